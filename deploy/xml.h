// SPDX-License-Identifier: Apache-2.0
/* libvirt's XML, written and read. Pure. Private to deploy/. */
#pragma once

#include "deploy/plan.h"

/** DomainSpec: what a domain's XML is made of. Strings are borrowed, valid UTF-8 without control characters.
 */
typedef struct {
    const char *name, *uuid;
    const char *arch; /* as the image has it: "x86_64" */
    bool is_kvm;
    uint64_t memory_bytes;
    unsigned cpus;
    const char *disk; /* absolute */
    DiskFormat disk_format;
    Network network;
    const char *mac;        /* NULL without a network */
    const char *serial_log; /* absolute, or NULL */
    /* for our own metadata element */
    const char *image, *source;
    uint64_t revision;
    DeployMode mode;
} DomainSpec;

/** deploy_xml_domain: (transfer full) the domain as virDomainDefineXML() takes it. */
char *deploy_xml_domain(const DomainSpec *spec);

/** deploy_xml_offers_kvm: whether @capabilities (virConnectGetCapabilities) list domain type kvm for @arch. */
bool deploy_xml_offers_kvm(const char *capabilities, const char *arch);

/**
 * deploy_xml_qemu_user: whom libvirt runs qemu as, from the DAC security model in @capabilities.
 * Returns: false where it does not say: qemu runs as the calling user
 */
bool deploy_xml_qemu_user(const char *capabilities, unsigned *out_uid, unsigned *out_gid);

/** deploy_xml_collect_macs: add every <mac address=''/> of a domain's XML to the set @macs, in lower case. */
void deploy_xml_collect_macs(const char *domain, GHashTable *macs);

/** XmlDisk: one disk of a domain, as its XML names it. NULL where it says nothing. */
typedef struct {
    char *target;        /* "vda" */
    char *type;          /* "file", "block", "volume", "network" ... */
    char *path;          /* of a file or block device */
    char *pool, *volume; /* of a volume */
    char *format;        /* "raw", "qcow2" */
} XmlDisk;

/** deploy_xml_disks: (transfer full) (element-type XmlDisk) the disks of a domain's XML, but for CD and floppy drives. */
GPtrArray *deploy_xml_disks(const char *domain);
