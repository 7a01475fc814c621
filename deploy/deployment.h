// SPDX-License-Identifier: Apache-2.0
/* One running call of deploy_vms(), shared by prepare.c (looks and decides) and deploy.c (makes). Private. */
#pragma once

#include "base/journal.h"
#include "deploy/disks.h"
#include "deploy/host.h"
#include "fetch/fetch.h"

typedef struct {
    const DeployRequest *request;
    DeployResult result; /* what is decided so far */
    bool is_session;
    char *disk_dir, *arch;
    GuestAccel accel; /* of the appliance: never AUTO */
    Network network;
    Host *host;
    bool has_qemu_user;
    unsigned qemu_uid, qemu_gid;
    FetchImage *image;
    DiskBase base;
    char *staging;
    Journal *journal;
} Deployment;
void deploy_clear(Deployment *d);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Deployment, deploy_clear)

/** deploy_report: one line to the user, a warning or a note. */
void deploy_report(const Deployment *d, bool is_warning, const char *format, ...) G_GNUC_PRINTF(3, 4);

/** deploy_prepare_host: connect, decide network, acceleration and every VM's names and addresses; check that they are free. */
bool deploy_prepare_host(Deployment *d, GError **error);

/** deploy_prepare_image: the image from the cache or its repository, opened and locked; decides mode, size and disk names. */
bool deploy_prepare_image(Deployment *d, GError **error);

/** deploy_prepare_without_image: what can be said of mode, size and disk names in a dry run. */
bool deploy_prepare_without_image(Deployment *d, GError **error);
