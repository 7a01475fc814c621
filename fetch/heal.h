// SPDX-License-Identifier: Apache-2.0
/*
 * A cached image against its manifest, block by block; what is damaged is fetched again and written over in place, as disks
 * may have the very file as their base. Rules: the new blocks are complete and verified, in a file of their own, before the
 * first byte of the image changes; only pages that are wrong are written, with what they should always have been. So
 * a running guest never reads worse than before, and a kill -9 leaves an image that the next check heals further.
 */
#pragma once

#include "fetch/job.h"

typedef enum {
    HEAL_GOOD,    /* nothing was wrong */
    HEAL_HEALED,  /* now nothing is */
    HEAL_DAMAGED, /* and it stays so, for @reason */
    HEAL_UNKNOWN, /* there is no manifest to compare it with, for @reason */
} HealState;
const char *heal_state_name(HealState state); /* "good", "healed", "damaged", "unknown" */

typedef struct {
    HealState state;
    unsigned blocks, bad;   /* how many there are, and how many were wrong */
    uint64_t fetched_bytes; /* packed */
    char *reason;           /* (nullable) */
} Heal;
void heal_clear(Heal *heal);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Heal, heal_clear)

/**
 * heal_image: @path is the complete image of @job, whose lock the caller holds.
 * @is_fixed: whether to fetch what is wrong; not from a catalogue that is offline
 * Errors: the file cannot be opened; _INTERRUPTED. That something cannot be fetched or written is HEAL_DAMAGED, and so is a file
 * that somebody else changes meanwhile: of that nothing can be said.
 */
bool heal_image(const Job *job, const char *path, bool is_fixed, Heal *out_heal, GError **error);
