// SPDX-License-Identifier: Apache-2.0
/*
 * libvirt's XML (the wall around libxml2). Domains are built as a tree, so that every text is escaped. The
 * choices are those of a modern cloud image: virtio throughout, a serial console, the guest agent's channel.
 */
#include "deploy/xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xpath.h>
#include <stdio.h>
#include <string.h>

#define METADATA_NAMESPACE "urn:virt-depot:domain:1"
#define X(text) ((const xmlChar *)(text))

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlXPathContext, xmlXPathFreeContext)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlXPathObject, xmlXPathFreeObject)

/* A child element with attributes: name, value, ... NULL. */
static xmlNode *add(xmlNode *parent, const char *name, ...) G_GNUC_NULL_TERMINATED;

static xmlNode *
add(xmlNode *parent, const char *name, ...)
{
    xmlNode *node = xmlNewChild(parent, NULL, X(name), NULL);
    const char *attribute;
    va_list args;

    va_start(args, name);
    while ((attribute = va_arg(args, const char *)) != NULL)
        xmlNewProp(node, X(attribute), X(va_arg(args, const char *)));
    va_end(args);
    return node;
}

static xmlNode *
add_text(xmlNode *parent, const char *name, const char *text)
{
    return xmlNewTextChild(parent, NULL, X(name), X(text));
}

static void
add_number(xmlNode *parent, const char *name, uint64_t number)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)number);

    add_text(parent, name, text);
}

static void
add_metadata(xmlNode *domain, const DomainSpec *spec)
{
    xmlNode *metadata = add(domain, "metadata", NULL);
    xmlNode *image = xmlNewChild(metadata, NULL, X("image"), NULL);
    g_autofree char *revision = g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)spec->revision);

    xmlSetNs(image, xmlNewNs(image, X(METADATA_NAMESPACE), X("depot")));
    xmlNewProp(image, X("name"), X(spec->image));
    xmlNewProp(image, X("source"), X(spec->source));
    xmlNewProp(image, X("revision"), X(revision));
    xmlNewProp(image, X("mode"), X(deploy_plan_mode_name(spec->mode)));
}

static void
add_machine(xmlNode *domain, const DomainSpec *spec)
{
    bool is_pc = strcmp(spec->arch, "x86_64") == 0 || strcmp(spec->arch, "i686") == 0;
    bool is_arm = strcmp(spec->arch, "aarch64") == 0;
    xmlNode *os = add(domain, "os", NULL), *features, *cpu;
    xmlNode *type = add_text(os, "type", "hvm");

    xmlNewProp(type, X("arch"), X(spec->arch));
    if (is_pc)
        xmlNewProp(type, X("machine"), X("q35"));
    if (is_arm) {
        xmlNewProp(type, X("machine"), X("virt"));
        xmlNewProp(os, X("firmware"), X("efi")); /* there is no BIOS to fall back to */
    }
    if (is_pc || is_arm) {
        features = add(domain, "features", NULL);
        add(features, "acpi", NULL);
        if (is_pc)
            add(features, "apic", NULL);
    }
    if (spec->is_kvm) {
        add(domain, "cpu", "mode", "host-passthrough", "check", "none", NULL);
    } else if (is_pc || is_arm) {
        /* qemu64 lacks what x86-64-v2 guests need; five-level paging (la57) breaks TCG guests. */
        cpu = add(domain, "cpu", "mode", "maximum", "check", "none", NULL);
        if (is_pc)
            add(cpu, "feature", "policy", "disable", "name", "la57", NULL);
    }
}

static void
add_disk(xmlNode *devices, const DomainSpec *spec)
{
    xmlNode *disk = add(devices, "disk", "type", "file", "device", "disk", NULL);

    /* The format is always stated; the backing chain never: libvirt follows what the overlay's header states.
     */
    add(disk, "driver", "name", "qemu", "type", disk_format_name(spec->disk_format), "discard", "unmap",
        "detect_zeroes", "unmap", NULL);
    add(disk, "source", "file", spec->disk, NULL);
    add(disk, "target", "dev", "vda", "bus", "virtio", NULL);
}

static void
add_network(xmlNode *devices, const DomainSpec *spec)
{
    static const char *const types[] = {
        [NETWORK_USER] = "user", [NETWORK_NAMED] = "network", [NETWORK_BRIDGE] = "bridge"};
    xmlNode *interface;

    if (spec->network.kind == NETWORK_NONE)
        return;
    interface = add(devices, "interface", "type", types[spec->network.kind], NULL);
    add(interface, "mac", "address", spec->mac, NULL);
    if (spec->network.name != NULL)
        add(interface, "source", types[spec->network.kind], spec->network.name, NULL);
    add(interface, "model", "type", "virtio", NULL);
}

static void
add_devices(xmlNode *domain, const DomainSpec *spec)
{
    xmlNode *devices = add(domain, "devices", NULL);
    xmlNode *node;

    add_disk(devices, spec);
    add_network(devices, spec);
    node = add(devices, "serial", "type", "pty", NULL);
    if (spec->serial_log != NULL)
        add(node, "log", "file", spec->serial_log, "append", "off", NULL);
    node = add(devices, "console", "type", "pty", NULL);
    add(node, "target", "type", "serial", "port", "0", NULL);
    node = add(devices, "channel", "type", "unix", NULL);
    add(node, "target", "type", "virtio", "name", "org.qemu.guest_agent.0", NULL);
    node = add(devices, "rng", "model", "virtio", NULL);
    xmlNewProp(add_text(node, "backend", "/dev/urandom"), X("model"), X("random"));
    add(devices, "memballoon", "model", "virtio", NULL);
}

char *
deploy_xml_domain(const DomainSpec *spec)
{
    g_autoptr(xmlDoc) doc = xmlNewDoc(X("1.0"));
    xmlNode *domain = xmlNewDocNode(doc, NULL, X("domain"), NULL);
    xmlNode *clock;
    xmlChar *text = NULL;
    char *copy;

    xmlDocSetRootElement(doc, domain);
    xmlNewProp(domain, X("type"), X(spec->is_kvm ? "kvm" : "qemu"));
    add_text(domain, "name", spec->name);
    add_text(domain, "uuid", spec->uuid);
    add_metadata(domain, spec);
    add_number(domain, "memory", spec->memory_bytes / 1024);
    add_number(domain, "vcpu", spec->cpus);
    add_machine(domain, spec);
    clock = add(domain, "clock", "offset", "utc", NULL);
    add(clock, "timer", "name", "rtc", "tickpolicy", "catchup", NULL);
    add_text(domain, "on_poweroff", "destroy");
    add_text(domain, "on_reboot", "restart");
    add_text(domain, "on_crash", "destroy");
    add_devices(domain, spec);
    xmlDocDumpFormatMemoryEnc(doc, &text, NULL, "UTF-8", 1);
    copy = g_strdup((const char *)text);
    xmlFree(text);
    return copy;
}

static xmlDoc *
parse(const char *text)
{
    return xmlReadMemory(text, (int)MIN(strlen(text), (size_t)G_MAXINT), "libvirt", NULL,
                         XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

static xmlXPathObject *
evaluate(xmlDoc *doc, const char *expression)
{
    g_autoptr(xmlXPathContext) context = doc == NULL ? NULL : xmlXPathNewContext(doc);

    return context == NULL ? NULL : xmlXPathEval(X(expression), context);
}

bool
deploy_xml_offers_kvm(const char *capabilities, const char *arch)
{
    g_autoptr(xmlDoc) doc = parse(capabilities);
    g_autoptr(xmlXPathObject) found = evaluate(doc, "/capabilities/guest/arch[domain/@type='kvm']");
    bool is_offered = false;

    for (int i = 0; found != NULL && found->nodesetval != NULL && i < found->nodesetval->nodeNr; i++) {
        xmlChar *name = xmlGetProp(found->nodesetval->nodeTab[i], X("name"));

        is_offered = is_offered || g_strcmp0((const char *)name, arch) == 0;
        xmlFree(name);
    }
    return is_offered;
}

bool
deploy_xml_qemu_user(const char *capabilities, unsigned *out_uid, unsigned *out_gid)
{
    g_autoptr(xmlDoc) doc = parse(capabilities);
    g_autoptr(xmlXPathObject) label = evaluate(
        doc, "string(/capabilities/host/secmodel[model='dac']/baselabel[@type='qemu' or @type='kvm'])");
    unsigned uid, gid;

    if (label == NULL || label->stringval == NULL ||
        sscanf((const char *)label->stringval, "+%u:+%u", &uid, &gid) != 2)
        return false;
    *out_uid = uid;
    *out_gid = gid;
    return true;
}

void
deploy_xml_collect_macs(const char *domain, GHashTable *macs)
{
    g_autoptr(xmlDoc) doc = parse(domain);
    g_autoptr(xmlXPathObject) found = evaluate(doc, "//mac[@address]");

    for (int i = 0; found != NULL && found->nodesetval != NULL && i < found->nodesetval->nodeNr; i++) {
        xmlChar *address = xmlGetProp(found->nodesetval->nodeTab[i], X("address"));

        g_hash_table_add(macs, g_ascii_strdown((const char *)address, -1));
        xmlFree(address);
    }
}

static void
disk_free(XmlDisk *disk)
{
    g_free(disk->target);
    g_free(disk->type);
    g_free(disk->path);
    g_free(disk->pool);
    g_free(disk->volume);
    g_free(disk->format);
    g_free(disk);
}

/* (transfer full) (nullable) attribute @name of @parent's child @element; of @parent itself where @element is NULL */
static char *
attribute_of(xmlNode *parent, const char *element, const char *name)
{
    xmlNode *node = element == NULL ? parent : xmlFirstElementChild(parent);
    xmlChar *value;
    char *copy;

    while (element != NULL && node != NULL && !xmlStrEqual(node->name, X(element)))
        node = xmlNextElementSibling(node);
    value = node != NULL ? xmlGetProp(node, X(name)) : NULL;
    copy = g_strdup((const char *)value);
    xmlFree(value);
    return copy;
}

GPtrArray *
deploy_xml_disks(const char *domain)
{
    GPtrArray *disks = g_ptr_array_new_with_free_func((GDestroyNotify)disk_free);
    g_autoptr(xmlDoc) doc = parse(domain);
    g_autoptr(xmlXPathObject) found =
        evaluate(doc, "/domain/devices/disk[not(@device) or @device='disk' or @device='lun']");

    for (int i = 0; found != NULL && found->nodesetval != NULL && i < found->nodesetval->nodeNr; i++) {
        xmlNode *node = found->nodesetval->nodeTab[i];
        XmlDisk *disk = g_new0(XmlDisk, 1);

        disk->target = attribute_of(node, "target", "dev");
        disk->type = attribute_of(node, NULL, "type");
        disk->path = attribute_of(node, "source", g_strcmp0(disk->type, "block") == 0 ? "dev" : "file");
        disk->pool = attribute_of(node, "source", "pool");
        disk->volume = attribute_of(node, "source", "volume");
        disk->format = attribute_of(node, "driver", "type");
        g_ptr_array_add(disks, disk);
    }
    return disks;
}
