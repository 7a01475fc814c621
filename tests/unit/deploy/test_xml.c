// SPDX-License-Identifier: Apache-2.0
/* Domains as XML: the elements that matter, escaping, and libvirt's own schema where it is installed. */
#include "deploy/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static DomainSpec
sound_spec(void)
{
    return (DomainSpec){
        .name = "web-1",
        .uuid = "2a8ff6b1-91e1-4c1e-a7d0-4b1f9bf0c6a1",
        .arch = "x86_64",
        .memory_bytes = 512u << 20,
        .cpus = 2,
        .disk = "/disks/web-1.qcow2",
        .disk_format = DISK_QCOW2,
        .network = {NETWORK_NAMED, "default"},
        .mac = "52:54:00:01:02:03",
        .serial_log = "/logs/web-1.log",
        .image = "debian-12",
        .source = "main",
        .revision = 3,
        .mode = DEPLOY_LINKED,
    };
}

static void
expect(const char *xml, const char *part)
{
    if (strstr(xml, part) == NULL)
        fail_msg("%s is not in %s", part, xml);
}

static void
validate(const char *xml)
{
    g_autofree char *program = g_find_program_in_path("virt-xml-validate");
    g_autofree char *path = NULL, *out = NULL, *err = NULL;
    int status = 0;
    int fd;

    if (program == NULL)
        return;
    fd = g_file_open_tmp("vd-xml-XXXXXX", &path, NULL);
    assert_true(fd >= 0);
    close(fd);
    assert_true(g_file_set_contents(path, xml, -1, NULL));
    const char *argv[] = {program, path, "domain", NULL};
    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, 0, NULL, NULL, &out, &err, &status, NULL));
    unlink(path);
    if (status != 0)
        fail_msg("%s%s%s", out, err, xml);
}

static void
a_domain_has_what_a_cloud_image_needs(void **state G_GNUC_UNUSED)
{
    static const char *const parts[] = {
        "<domain type=\"qemu\">",
        "<name>web-1</name>",
        "<memory>524288</memory>",
        "<vcpu>2</vcpu>",
        "machine=\"q35\"",
        "<cpu mode=\"maximum\" check=\"none\">",
        "<feature policy=\"disable\" name=\"la57\"/>",
        "<driver name=\"qemu\" type=\"qcow2\" discard=\"unmap\" detect_zeroes=\"unmap\"/>",
        "<source file=\"/disks/web-1.qcow2\"/>",
        "<target dev=\"vda\" bus=\"virtio\"/>",
        "<mac address=\"52:54:00:01:02:03\"/>",
        "<source network=\"default\"/>",
        "<log file=\"/logs/web-1.log\" append=\"off\"/>",
        "name=\"org.qemu.guest_agent.0\"",
        "/dev/urandom",
        "name=\"debian-12\" source=\"main\" revision=\"3\" mode=\"linked\"",
    };
    DomainSpec spec = sound_spec();
    g_autofree char *xml = deploy_xml_domain(&spec);

    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
        expect(xml, parts[i]);
    assert_null(strstr(xml, "backingStore"));
    validate(xml);
}

static void
variants_follow_the_request(void **state G_GNUC_UNUSED)
{
    static const struct {
        Network network;
        const char *arch, *part;
        bool is_kvm;
    } cases[] = {
        {{NETWORK_USER, NULL}, "x86_64", "<interface type=\"user\">", false},
        {{NETWORK_BRIDGE, "br0"}, "x86_64", "<source bridge=\"br0\"/>", false},
        {{NETWORK_USER, NULL}, "x86_64", "<cpu mode=\"host-passthrough\" check=\"none\"/>", true},
        {{NETWORK_USER, NULL}, "x86_64", "<domain type=\"kvm\">", true},
        {{NETWORK_USER, NULL}, "aarch64", "<os firmware=\"efi\">", false},
        {{NETWORK_USER, NULL}, "s390x", "<type arch=\"s390x\">hvm</type>", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        DomainSpec spec = sound_spec();
        g_autofree char *xml = NULL;

        spec.network = cases[i].network;
        spec.arch = cases[i].arch;
        spec.is_kvm = cases[i].is_kvm;
        spec.serial_log = NULL;
        xml = deploy_xml_domain(&spec);
        expect(xml, cases[i].part);
        assert_null(strstr(xml, "<log"));
        validate(xml);
    }
}

static void
no_network_means_no_interface(void **state G_GNUC_UNUSED)
{
    DomainSpec spec = sound_spec();
    g_autofree char *xml = NULL;

    spec.network = (Network){NETWORK_NONE, NULL};
    spec.mac = NULL;
    xml = deploy_xml_domain(&spec);
    assert_null(strstr(xml, "<interface"));
    validate(xml);
}

static void
every_text_is_escaped(void **state G_GNUC_UNUSED)
{
    DomainSpec spec = sound_spec();
    g_autofree char *xml = NULL;

    spec.disk = "/d/a'b\"<c>&amp;.qcow2";
    spec.image = "\"/><x y=\"";
    xml = deploy_xml_domain(&spec);
    expect(xml, "<source file=\"/d/a'b&quot;&lt;c&gt;&amp;amp;.qcow2\"/>");
    expect(xml, "name=\"&quot;/&gt;&lt;x y=&quot;\"");
    validate(xml);
}

static const char CAPABILITIES[] =
    "<capabilities><host><secmodel><model>none</model><doi>0</doi></secmodel>"
    "<secmodel><model>dac</model><doi>0</doi><baselabel type='kvm'>+64055:+108</baselabel>"
    "<baselabel type='qemu'>+64055:+108</baselabel></secmodel></host>"
    "<guest><os_type>hvm</os_type><arch name='x86_64'><domain type='qemu'/><domain "
    "type='kvm'/></arch></guest>"
    "<guest><os_type>hvm</os_type><arch name='aarch64'><domain type='qemu'/></arch></guest></capabilities>";

static void
capabilities_tell_of_kvm_and_of_qemus_user(void **state G_GNUC_UNUSED)
{
    unsigned uid = 0, gid = 0;

    assert_true(deploy_xml_offers_kvm(CAPABILITIES, "x86_64"));
    assert_false(deploy_xml_offers_kvm(CAPABILITIES, "aarch64"));
    assert_false(deploy_xml_offers_kvm("<capabilities/>", "x86_64"));
    assert_false(deploy_xml_offers_kvm("no xml", "x86_64"));
    assert_true(deploy_xml_qemu_user(CAPABILITIES, &uid, &gid));
    assert_int_equal(uid, 64055);
    assert_int_equal(gid, 108);
    assert_false(deploy_xml_qemu_user("<capabilities/>", &uid, &gid));
}

static void
addresses_of_a_domain_are_collected(void **state G_GNUC_UNUSED)
{
    g_autoptr(GHashTable) macs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    deploy_xml_collect_macs("<domain><devices><interface><mac address='52:54:00:AB:00:01'/></interface>"
                            "<interface><mac address='52:54:00:00:00:02'/></interface></devices></domain>",
                            macs);
    deploy_xml_collect_macs("no xml", macs);
    assert_int_equal(g_hash_table_size(macs), 2);
    assert_true(g_hash_table_contains(macs, "52:54:00:ab:00:01"));
}

static void
disks_are_listed_with_their_formats_and_drives_are_not(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) disks = deploy_xml_disks(
        "<domain><devices>"
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/d/top.qcow2'/>"
        "<backingStore type='file'><format type='raw'/><source file='/d/base.raw'/></backingStore>"
        "<target dev='vda'/></disk>"
        "<disk type='file' device='cdrom'><source file='/d/seed.iso'/><target dev='sda'/></disk>"
        "<disk type='block'><source dev='/dev/vg/lv'/><target dev='vdb'/></disk>"
        "<disk type='volume' device='disk'><driver type='raw'/><source pool='default' volume='a.img'/></disk>"
        "<disk type='network' device='lun'><source protocol='rbd' name='p/i'/><target dev='vdc'/></disk>"
        "</devices></domain>");
    const XmlDisk *disk;

    assert_int_equal(disks->len, 4);
    disk = g_ptr_array_index(disks, 0);
    assert_string_equal(disk->path, "/d/top.qcow2");
    assert_string_equal(disk->format, "qcow2");
    assert_string_equal(disk->target, "vda");
    disk = g_ptr_array_index(disks, 1);
    assert_string_equal(disk->path, "/dev/vg/lv");
    assert_null(disk->format);
    disk = g_ptr_array_index(disks, 2);
    assert_string_equal(disk->pool, "default");
    assert_string_equal(disk->volume, "a.img");
    assert_null(disk->path);
    disk = g_ptr_array_index(disks, 3);
    assert_string_equal(disk->type, "network");
    assert_null(disk->path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_domain_has_what_a_cloud_image_needs),
        cmocka_unit_test(variants_follow_the_request),
        cmocka_unit_test(no_network_means_no_interface),
        cmocka_unit_test(every_text_is_escaped),
        cmocka_unit_test(capabilities_tell_of_kvm_and_of_qemus_user),
        cmocka_unit_test(addresses_of_a_domain_are_collected),
        cmocka_unit_test(disks_are_listed_with_their_formats_and_drives_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
