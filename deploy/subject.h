// SPDX-License-Identifier: Apache-2.0
/* Which disks a command line means: files, or those of a libvirt domain. Private to deploy/. */
#pragma once

#include "base/cli.h"
#include "guest/guest.h"

#define SUBJECT_MAX_DISKS 24u /* of one guest; the appliance takes no more at once */

/** SubjectOptions: what the options below were given. */
typedef struct {
    char *domain;
    char *connect;
    char **files;
    char *format;
    char *accel;
    char **mounts;
} SubjectOptions;
extern SubjectOptions subject_options;

/* For a verb's table of options. */
/* clang-format off */
#define SUBJECT_OPTIONS                                                                                      \
    {"add", 'a', 0, G_OPTION_ARG_FILENAME_ARRAY, &subject_options.files,                                     \
     "A disk of the guest; again for its other disks", "FILE"},                                              \
    {"domain", 'd', 0, G_OPTION_ARG_STRING, &subject_options.domain, "The disks of a libvirt domain",        \
     "NAME"},                                                                                                \
    {"connect", 'c', 0, G_OPTION_ARG_STRING, &subject_options.connect, "libvirt connection", "URI"},         \
    {"format", 0, 0, G_OPTION_ARG_STRING, &subject_options.format,                                           \
     "raw or qcow2 (default: by the header)", "FORMAT"},                                                     \
    {"accel", 0, 0, G_OPTION_ARG_STRING, &subject_options.accel, "auto, kvm or tcg", "ACCEL"}
/* For the verbs that mount the guest. */
#define SUBJECT_MOUNT_OPTION                                                                                 \
    {"mount", 'm', 0, G_OPTION_ARG_STRING_ARRAY, &subject_options.mounts,                                    \
     "Mount this instead of what the guest itself would", "DEVICE[:PATH]"}
/* clang-format on */

/** Subject: one guest. */
typedef struct {
    char *label;      /* the domain's name, or that of the first file */
    GPtrArray *disks; /* (element-type GuestDisk) in the order of the guest */
    bool is_running;
    GuestAccel accel;
} Subject;
void subject_clear(Subject *subject);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Subject, subject_clear)

/**
 * subject_read: what subject_options name; where they name neither a domain nor a file, the first of @argv is the disk file
 * and is taken away. Files are not opened.
 * @is_written: refuse a domain that runs or has saved its state
 * Errors: BASE_ERROR_USAGE: no guest, or two; BASE_ERROR_NOT_FOUND: no such domain; a disk that is no file here
 */
bool subject_read(int *argc, char ***argv, bool is_written, Subject *out_subject, GError **error);

/** subject_of_domain: the disks of the domain @name. @uri: (nullable) as deploy_host_default_uri() has it */
bool subject_of_domain(const char *name, const char *uri, bool is_written, Subject *out_subject,
                       GError **error);

/** subject_warn: print what @view had to leave out since the last call. */
void subject_warn(const GuestView *view);

/** SubjectUse: what a verb does with the guest. */
typedef enum { SUBJECT_UNMOUNTED = 1, SUBJECT_WRITE = 2, SUBJECT_RESCUE = 4, SUBJECT_NETWORK = 8 } SubjectUse;

/**
 * subject_open: subject_read(), then open the guest and mount it, as @use (SubjectUse, or-ed) says; tells what the user should
 * know. A rescue is also opened where nothing can be mounted.
 */
GuestView *subject_open(int *argc, char ***argv, unsigned use, GError **error);
