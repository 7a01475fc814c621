// SPDX-License-Identifier: Apache-2.0
/*
 * Inside a disk: find out what is installed, and edit it, through libguestfs. All the disks of one call share one
 * appliance launch. Also finds out whether this host's KVM really works, because the appliance needs to know.
 */
#pragma once

#include "base/cli.h"
#include "base/error.h"
#include "base/progress.h"
#include "disk/disk.h"

#include <stdint.h>

/* ---- acceleration ---- */

typedef enum { GUEST_ACCEL_AUTO, GUEST_ACCEL_KVM, GUEST_ACCEL_TCG } GuestAccel;

/** guest_accel_parse: "auto", "kvm", "tcg"; else BASE_ERROR_USAGE. */
bool guest_accel_parse(const char *text, GuestAccel *out_accel, GError **error);

/** guest_accel_name: "auto", "kvm", "tcg". */
const char *guest_accel_name(GuestAccel accel);

/**
 * guest_accel_probe: whether qemu can run a guest under KVM here: not whether /dev/kvm opens, but by running a few
 * guest instructions. The verdict is remembered in @state_dir per boot, qemu binary and /dev/kvm, so that a second
 * call costs no process.
 * @out_reason: (transfer full) (nullable): for GUEST_ACCEL_TCG one line that says why, fit for a warning; NULL where
 *   there is no /dev/kvm at all or KVM works
 * Returns: GUEST_ACCEL_KVM or GUEST_ACCEL_TCG
 */
GuestAccel guest_accel_probe(const char *state_dir, char **out_reason);

/* ---- disks ---- */

/** GuestDisk: one of a guest's disks. Owned strings. */
typedef struct {
    char *path;
    char *format; /* (nullable) "raw", "qcow2"; NULL: by its header */
} GuestDisk;
GuestDisk *guest_disk_new(const char *path, const char *format);
void guest_disk_free(GuestDisk *disk);

/* ---- what is installed ---- */

/** GuestInfo: one installed operating system. Strings are NULL where not known. */
typedef struct {
    char *type;   /* "linux", "windows" ... */
    char *distro; /* "debian" */
    int major, minor;
    char *product;         /* "Debian GNU/Linux 12 (bookworm)", as os-release(5) has it, else libguestfs */
    char *version;         /* "12", "9.4": os-release's VERSION_ID, else libguestfs's numbers */
    char *osinfo;          /* "debian12" */
    char *arch;            /* "x86_64" */
    char *root;            /* "/dev/sda1" or "/dev/vg/root" */
    char *root_fs;         /* "ext4" */
    char *expand;          /* the partition that grows with the disk, "/dev/sda1" */
    char *lvexpand;        /* the logical volume that grows after it, "/dev/vg/root" */
    char *package_manager; /* "apt" */
    char *hostname;        /* what /etc/hostname says */
    char *firmware;        /* what it can boot from: "bios", "uefi", "bios,uefi" */
    bool has_cloud_init;
    bool has_selinux;  /* enforcing or permissive: new files need labels */
    GPtrArray *mounts; /* (element-type GuestMount) in the order to mount them */
    /* What edits need alone, NULL where guest_inspect() made it. */
    GPtrArray
        *containers; /* (element-type GuestMount) (nullable) encrypted partitions and what they are open as */
    bool has_lvm;    /* the disk has a physical volume */
    GPtrArray *packages; /* (element-type GuestPackage) (nullable): not asked for, or none known */
} GuestInfo;
typedef struct {
    char *device; /* "/dev/sda1" */
    char *path;   /* "/" */
} GuestMount;
void guest_info_free(GuestInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestInfo, guest_info_free)

#define GUEST_MAX_PACKAGES 100000u /* all of Debian has 65,000 */

/** GuestPackage: one installed package. Strings are NULL where not known. */
typedef struct {
    char *name;
    char *version; /* as the package manager writes it: "1:2.38-5", "5.1.8-6.el9" */
    char *arch;    /* the package manager's word: "amd64" */
    char *source;  /* the source package */
    char *vendor;
} GuestPackage;
void guest_package_free(GuestPackage *package);

/** GuestSubject: a disk to look into, and what was found: @info or @error, both owned. */
typedef struct {
    const char *path;
    DiskFormat format;
    GuestInfo *info;
    GError *error;
} GuestSubject;
void guest_subject_clear(GuestSubject *subject);

/**
 * guest_inspect: look into @n disks read-only; on each exactly one operating system must be found. Disks that cannot be
 * taken for one another share an appliance launch, up to 24 of them; those with LVM, or with a file system that another
 * one has too, get one of their own.
 * @accel: as given on the command line; AUTO probes
 * @want_packages: list what is installed, too
 * @out_reason: (transfer full) (nullable): why the appliance runs without KVM, as guest_accel_probe() has it
 * Returns: false with @error where nothing could be inspected at all (Ctrl-C); else each subject has its own result
 */
bool guest_inspect(GuestSubject *subjects, unsigned n, GuestAccel accel, bool want_packages,
                   char **out_reason, GError **error);

/* ---- operations, as virt-customize's options say them ---- */

/** GuestOps: what is to be done to a guest, in order. */
typedef struct GuestOps GuestOps;
GuestOps *guest_ops_new(void);
void guest_ops_free(GuestOps *ops);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestOps, guest_ops_free)
bool guest_ops_is_empty(const GuestOps *ops);

/**
 * guest_ops_add: one of virt-customize's options, by its name without the dashes: "write" with "/etc/motd:hello".
 * @argument: NULL for an option without one
 * Errors: BASE_ERROR_USAGE: no such operation; an argument that cannot be right
 */
bool guest_ops_add(GuestOps *ops, const char *option, const char *argument, GError **error);

/**
 * guest_ops_add_file: the operations in a file as --commands-from-file has it: a name without dashes and its argument on each
 * line, '#' comments, and lines that go on after a final backslash.
 */
bool guest_ops_add_file(GuestOps *ops, const char *path, GError **error);

/** GuestOpText: an operation for a reader, without secrets. */
typedef struct {
    const char *name;
    char *argument;            /* (nullable) */
    const char *left_to_guest; /* (nullable) what is decided only when the guest is seen */
} GuestOpText;
void guest_op_text_free(GuestOpText *text);

/** guest_ops_describe: (element-type GuestOpText) (transfer full) in the order given. */
GPtrArray *guest_ops_describe(const GuestOps *ops);

/**
 * guest_option_entries: every operation as an option of a verb, and --commands-from-file; they add up, in the order of the command
 * line, to what guest_options_take() returns. For Verb's more_options.
 */
const GOptionEntry *guest_option_entries(void);

/** guest_options_take: (transfer full) the operations that the command line asked for; never NULL. */
GuestOps *guest_options_take(void);

/* ---- keys ---- */

/** GuestKeys: passphrases of encrypted disks. */
typedef struct GuestKeys GuestKeys;
GuestKeys *guest_keys_new(void);
void guest_keys_free(GuestKeys *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestKeys, guest_keys_free)

/**
 * guest_keys_add: one of virt-customize's --key options: "ID:file:FILENAME" (a private file) or "ID:key:PASSPHRASE", where ID
 * is a device of the guest, a LUKS UUID, or "all". Errors: BASE_ERROR_USAGE; a file that others can read
 */
bool guest_keys_add(GuestKeys *keys, const char *selector, GError **error);

/* ---- edits ---- */

/** GuestEdit: what to do to one guest. Everything is optional. Strings are owned by the caller. */
typedef struct {
    const char *path; /* the disk, opened read-write */
    DiskFormat format;
    const char *label; /* for messages: the VM's name */
    bool grow;         /* expand partition, volume and file system to the end of the disk */
    uint64_t
        shrink_to; /* bytes; 0: no. File system, partition and the image file become smaller; needs no @grow */
    const char *hostname;
    const char *root_password;   /* plain text; hashed here with the best scheme that the guest knows */
    const char *const *ssh_keys; /* NULL-terminated public key lines for root (or @ssh_user) */
    const char *ssh_user;        /* NULL: root */
    const GuestOps *ops;         /* (nullable) after all of the above; their passwords at the very end */
    bool
        fresh_identity; /* blank machine-id, drop random seeds and DHCP leases, new SSH host keys at first boot */
} GuestEdit;

/** GuestAttached: a disk that programs of the guest may read. Borrowed. */
typedef struct {
    const char *path;
    DiskFormat format;
} GuestAttached;

/** GuestRun: how to carry edits out. */
typedef struct {
    GuestAccel accel;
    const GuestKeys *keys; /* (nullable) of encrypted disks */
    unsigned memory_mb;    /* of the appliance; 0: enough for edits */
    unsigned cpus;         /* 0: one */
    bool has_network;      /* programs of the guest that run now may use it */
    bool
        is_same_image; /* the disks are clones of one image: what is found on the first holds for all of them */
    const GuestAttached *attached; /* disks that programs of the guest may read now, as the last ones */
    unsigned n_attached;
    Progress *progress; /* (nullable): gets one unit per finished guest */
    /** tell_password: (nullable) a random password that was made for guest number @number. */
    void (*tell_password)(unsigned number, const char *user, const char *password, void *context);
    void *context; /* for tell_password */
} GuestRun;

/**
 * guest_customize: apply @edits (@n of them) in ONE appliance launch, one disk at a time: clones of an image carry
 * the same LVM, btrfs and XFS identities, so the LVM filter is set to the disk at hand and everything is unmounted
 * before the next.
 * A user, key, password or host name that cannot be right is BASE_ERROR_USAGE before anything starts. On failure
 * disks may be half edited: the caller throws them away.
 * @out_reason: as in guest_inspect()
 */
bool guest_customize(const GuestEdit *edits, unsigned n, const GuestRun *run, char **out_reason,
                     GError **error);

/**
 * guest_customize_disks: the same for disk files that stand on their own, locked against everybody else meanwhile: what is edited
 * are copies beside them, which take their names when all of them are done.
 * @edits: their formats are not used
 * @formats: (element-type utf8, nullable) for each disk "raw", "qcow2"; NULL and "auto": by its header
 * @is_in_place: edit the files themselves
 * Errors: as those of guest_customize(); a disk that is in use or cannot be replaced. Where it fails, the files are as they were,
 *   unless @is_in_place, or the names of some could be given and those of others not
 */
bool guest_customize_disks(const GuestEdit *edits, const char *const *formats, unsigned n, bool is_in_place,
                           const GuestRun *run, char **out_reason, GError **error);

/** guest_check_disk: whether there is a disk @path, and in that @format (nullable). */
bool guest_check_disk(const char *path, const char *format, GError **error);

/** guest_edit_needs_appliance: whether the edit asks for anything at all. */
bool guest_edit_needs_appliance(const GuestEdit *edit);

extern const Verb GUEST_VERB_BUILD;
extern const Verb GUEST_VERB_SEAL;

/* ---- looking inside ---- */

/** GuestView: one guest in an appliance. Freed without guest_view_finish() it loses what was not written yet. */
typedef struct GuestView GuestView;
void guest_view_free(GuestView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestView, guest_view_free)

typedef struct {
    const GPtrArray *disks; /* (element-type GuestDisk) all disks of the one guest */
    const char *label;      /* for messages */
    GuestAccel accel;
    bool is_writable; /* else nothing is written, and the guest may be running */
    bool has_network; /* programs of the guest may use the host's */
    bool is_rescue;   /* guest_view_console() will be used */
} GuestViewOptions;

/**
 * guest_view_open: start an appliance with the disks; nothing is mounted.
 * @out_reason: as in guest_inspect()
 * Errors: BASE_ERROR_EXISTS: to be written to, and a running program has it open
 */
GuestView *guest_view_open(const GuestViewOptions *options, char **out_reason, GError **error);

/**
 * guest_view_mount: mount the one system on the disks as it would itself, or what @mounts say.
 * @mounts: (nullable) NULL-terminated "DEVICE" or "DEVICE:PATH", in order
 */
bool guest_view_mount(GuestView *view, const char *const *mounts, GError **error);

/** guest_view_finish: unmount, and write everything back. */
bool guest_view_finish(GuestView *view, GError **error);

/** guest_view_warnings: (element-type utf8) what was left out, so far: one line each. */
const GPtrArray *guest_view_warnings(const GuestView *view);

/** GuestFile: one file, as lstat(2) has it. */
typedef struct {
    char *name;    /* relative to the folder that was listed; the guest's bytes */
    unsigned mode; /* 0: it cannot be looked at */
    int64_t n_links, uid, gid, size, mtime;
    char *link; /* what a symbolic link says; else NULL */
} GuestFile;

/** guest_view_list: (element-type GuestFile) the folder @path, by name. @has_details: else the names alone are there */
GPtrArray *guest_view_list(GuestView *view, const char *path, bool is_recursive, bool has_details,
                           GError **error);

/** guest_view_read: the regular file @path goes to @fd, called @name in messages. */
bool guest_view_read(GuestView *view, const char *path, int fd, const char *name, GError **error);

/**
 * guest_view_replace: @path gets the content of this host's file @local in one step; mode, owner and labels stay.
 * @backup: (nullable) the old one stays under its name with this after it
 */
bool guest_view_replace(GuestView *view, const char *path, const char *local, const char *backup,
                        GError **error);

/** guest_view_apply: carry out operations on the mounted guest, in order. */
bool guest_view_apply(GuestView *view, const GuestOps *ops, GError **error);

/** guest_view_copy_in: the file or folder @local of this host, with all that it holds, into the guest's folder @dir. */
bool guest_view_copy_in(GuestView *view, const char *local, const char *dir, GError **error);

/**
 * guest_view_copy_out: the guest's file or folder @path into this host's folder @local_dir. No name in the guest leads out of
 * that. Files belong to the caller; setuid, setgid and sticky bits are dropped.
 * @out_special: how many devices, FIFOs and sockets were left out
 */
bool guest_view_copy_out(GuestView *view, const char *path, const char *local_dir, unsigned *out_special,
                         GError **error);

/** guest_view_run: a shell command in the guest. @out_text: (transfer full) what it printed. */
bool guest_view_run(GuestView *view, const char *command, char **out_text, GError **error);

/** GuestVolume: something on a guest's disks. Strings are NULL where not known. */
typedef struct {
    const char *kind; /* "filesystem", "partition", "pv", "vg", "lv", "device" */
    char *name;       /* "/dev/sda1" */
    char *fs;         /* of a file system: "ext4", "swap", "unknown" */
    char *label, *uuid;
    int mbr_id;    /* of a partition in an MBR table; else -1 */
    uint64_t size; /* bytes; 0: not known */
    char *parent;  /* the disk of a partition, the group of a logical volume */
} GuestVolume;

/** guest_view_volumes: (element-type GuestVolume) file systems; @is_all: also swap, and all that these lie on. */
GPtrArray *guest_view_volumes(GuestView *view, bool is_all, GError **error);

/** GuestUsage: how full a file system is, in bytes. */
typedef struct {
    char *name;
    uint64_t size, used, available; /* @available: to users other than root */
    uint64_t inodes, free_inodes;
} GuestUsage;

/** guest_view_usage: (element-type GuestUsage) of every file system that can be mounted. Nothing may be mounted. */
GPtrArray *guest_view_usage(GuestView *view, GError **error);

/**
 * guest_view_sparsify: give back what file systems, swap and volume groups do not use, and finish. Nothing may be mounted.
 * @out_before, @out_after: what the files take on this host, in bytes
 */
bool guest_view_sparsify(GuestView *view, uint64_t *out_before, uint64_t *out_after, GError **error);

/**
 * guest_view_console: a root shell in the appliance, on the caller's terminal: what is mounted is below /sysroot. Returns when
 * the shell ends, or after Ctrl-].
 */
bool guest_view_console(GuestView *view, int in_fd, int out_fd, GError **error);
