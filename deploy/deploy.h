// SPDX-License-Identifier: Apache-2.0
/* VMs on a host: a cached image becomes N libvirt domains, or nothing at all. */
#pragma once

#include "base/cli.h"
#include "guest/guest.h"

#define DEPLOY_MAX_COUNT                                                                                     \
    1000u /* VMs of one call: their disks are customized by one appliance, one after another */

typedef enum {
    DEPLOY_AUTO,   /* a full copy where that is a reflink, else linked */
    DEPLOY_LINKED, /* an overlay: it needs the cached image for as long as it lives */
    DEPLOY_FULL,   /* a copy that needs nothing */
} DeployMode;

/** DeployReport: told as it happens, what the user should read: one line, no prefix. */
typedef void (*DeployReport)(bool is_warning, const char *text);

/** DeployRequest: what the command line asks for. Strings are borrowed; NULL or 0 means the default. */
typedef struct {
    const char *image; /* "NAME" or "SOURCE/NAME", as for fetch_image() */
    const char *name;
    unsigned count; /* 1: one VM called @name; more: @name-1 .. @name-@count */
    DeployMode mode;
    uint64_t size_bytes;  /* 0: as large as the image */
    const char *hostname; /* NULL: each VM's name */
    const char *root_password;
    bool has_random_password; /* one per VM, returned in DeployVm */
    const char *const *ssh_keys;
    bool is_uncustomized; /* the disk is left as the image has it */
    const char *uri;      /* NULL: $LIBVIRT_DEFAULT_URI, else qemu:///system for root and qemu:///session */
    bool is_offline;      /* the image is in the cache, or this fails */
    bool is_started;
    uint64_t memory_bytes;
    unsigned cpus;
    const char *network;        /* "none", "user", "bridge:BR" or a network's name; NULL: see the manual */
    const char *disk_dir;       /* NULL: path_disks() */
    const char *serial_log_dir; /* NULL: the consoles are not logged */
    const char *arch;
    GuestAccel accel;
    DeployReport report;
} DeployRequest;

/** DeployVm: one VM that is planned, and then made. */
typedef struct {
    char *name, *hostname;
    char *uuid, *mac;    /* @mac is NULL without a network */
    char *disk;          /* absolute */
    char *serial_log;    /* absolute, or NULL */
    char *root_password; /* only where it was generated */
} DeployVm;
void deploy_vm_free(DeployVm *vm);

/** DeployResult: the VMs and what they share. */
typedef struct {
    GPtrArray *vms; /* (element-type DeployVm) */
    char *uri;
    char *image, *source; /* @source is NULL in a dry run */
    uint64_t revision;
    char *base;          /* the cached image; NULL in a dry run */
    uint64_t size_bytes; /* 0 in a dry run without a size */
    DeployMode mode;     /* AUTO only in a dry run that could not tell yet */
    bool is_kvm;
    char *network; /* as in DeployRequest, never NULL */
} DeployResult;
void deploy_result_clear(DeployResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DeployResult, deploy_result_clear)

/**
 * deploy_vms: pull the image where it is not cached, make the disks, customize them in one appliance launch,
 * define the domains and start them where asked. First undoes what a killed deploy left behind. On failure
 * everything that this call made is gone again; what was there before is never touched.
 * @is_dry_run: check and plan only: nothing is pulled or changed
 * Errors: BASE_ERROR_USAGE, _EXISTS (a name or disk is taken), _INTERRUPTED, and those of fetch_image()
 */
bool deploy_vms(const DeployRequest *request, bool is_dry_run, DeployResult *out_result, GError **error);

extern const Verb DEPLOY_VERB_CUSTOMIZE; /* virt-depot customize */
extern const Verb DEPLOY_VERB_DEPLOY;
extern const Verb DEPLOY_VERB_GUEST_LS, DEPLOY_VERB_GUEST_CAT, DEPLOY_VERB_GUEST_EDIT,
    DEPLOY_VERB_GUEST_COPY_IN, DEPLOY_VERB_GUEST_COPY_OUT, DEPLOY_VERB_GUEST_FILESYSTEMS,
    DEPLOY_VERB_GUEST_DF, DEPLOY_VERB_GUEST_SHELL, DEPLOY_VERB_GUEST_RESCUE, DEPLOY_VERB_GUEST_SPARSIFY;
