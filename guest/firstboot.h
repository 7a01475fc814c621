// SPDX-License-Identifier: Apache-2.0
/*
 * Scripts that a guest runs once, when it boots the next time: where they lie, and what of the guest's init starts them. A
 * runner moves each script away before it runs, so that one which reboots the guest does not run again; what they print goes
 * to FIRSTBOOT_LOG. A script that succeeded is deleted, one that failed stays in FIRSTBOOT_TOP/done. Pure.
 */
#pragma once

#include "base/error.h"

/* Below /var, which can be written to at boot also where /usr cannot. */
#define FIRSTBOOT_TOP "/var/lib/virt-depot/firstboot"
#define FIRSTBOOT_SCRIPTS FIRSTBOOT_TOP "/scripts"
#define FIRSTBOOT_LOG "/var/log/virt-depot-firstboot.log"
#define FIRSTBOOT_NAME_MAX 60u

typedef enum { FIRSTBOOT_SYSTEMD, FIRSTBOOT_OPENRC, FIRSTBOOT_SYSV, FIRSTBOOT_INITS } FirstbootInit;

/** firstboot_proof: (element-type utf8) the files by which an init is known: any one of them, NULL-terminated. */
const char *const *firstboot_proof(FirstbootInit init);

/** FirstbootFile: a file with @text and @mode; or, where @link is not NULL, a symbolic link to it. */
typedef struct {
    const char *path;
    const char *text, *link;
    int mode;
} FirstbootFile;

/** firstboot_files: the runner and what starts it under @init, ended by a file without a path. */
const FirstbootFile *firstboot_files(FirstbootInit init);

/**
 * firstboot_name: (transfer full) @title as a file name, at most FIRSTBOOT_NAME_MAX bytes of it, after the number that orders
 * the scripts: one more than the greatest of the paths @old.
 */
char *firstboot_name(const char *title, char *const *old);
