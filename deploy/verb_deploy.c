// SPDX-License-Identifier: Apache-2.0
/* virt-depot deploy: the command line, and what it prints. */
#include "base/file.h"
#include "base/json.h"
#include "deploy/deploy.h"
#include "deploy/plan.h"
#include "fetch/fetch.h"

#include <string.h>

#define MAX_KEY_FILE_BYTES (64u << 10) /* hundreds of keys */
#define MIN_MEMORY_BYTES (16u << 20)   /* less was meant as MiB */
#define MAX_CPUS 4096                  /* libvirt and qemu have their own, lower limits */
#define DEFAULT_MEMORY (1ull << 30)

static int option_count = 1;
static gboolean option_strict, option_linked, option_full, option_start, option_dry_run, option_json,
    option_no_customize, option_offline;
static char *option_size, *option_hostname, *option_password, *option_connect, *option_memory,
    *option_network;
static char *option_disk_dir, *option_serial_log, *option_arch, *option_accel;
static char **option_ssh_keys;
static int option_cpus = 1;

static const GOptionEntry OPTIONS[] = {
    {"count", 0, 0, G_OPTION_ARG_INT, &option_count, "Make N VMs: NAME-1 to NAME-N", "N"},
    {"linked", 0, 0, G_OPTION_ARG_NONE, &option_linked, "Linked clones: overlays on the cached image", NULL},
    {"full", 0, 0, G_OPTION_ARG_NONE, &option_full, "Full copies that do not need the cached image", NULL},
    {"size", 0, 0, G_OPTION_ARG_STRING, &option_size, "Grow disk and file system to SIZE", "SIZE"},
    {"hostname", 0, 0, G_OPTION_ARG_STRING, &option_hostname, "Host name (default: NAME)", "NAME"},
    {"ssh-key", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &option_ssh_keys, "Public keys that may log in as root",
     "FILE"},
    {"root-password", 0, 0, G_OPTION_ARG_STRING, &option_password, "file:PATH, password:TEXT or random",
     "SELECTOR"},
    {"no-customize", 0, 0, G_OPTION_ARG_NONE, &option_no_customize, "Leave the disk as the image has it",
     NULL},
    {"connect", 'c', 0, G_OPTION_ARG_STRING, &option_connect, "libvirt connection", "URI"},
    {"start", 0, 0, G_OPTION_ARG_NONE, &option_start, "Start the VMs", NULL},
    {"memory", 0, 0, G_OPTION_ARG_STRING, &option_memory, "Memory (default: 1G)", "SIZE"},
    {"cpus", 0, 0, G_OPTION_ARG_INT, &option_cpus, "Virtual CPUs (default: 1)", "N"},
    {"network", 0, 0, G_OPTION_ARG_STRING, &option_network, "none, user, bridge:BR or a libvirt network",
     "NETWORK"},
    {"disk-dir", 0, 0, G_OPTION_ARG_FILENAME, &option_disk_dir, "Folder of the new disks", "DIR"},
    {"serial-log", 0, 0, G_OPTION_ARG_FILENAME, &option_serial_log, "Log serial consoles to DIR/NAME.log",
     "DIR"},
    {"arch", 0, 0, G_OPTION_ARG_STRING, &option_arch, "Architecture (default: this host's)", "ARCH"},
    {"accel", 0, 0, G_OPTION_ARG_STRING, &option_accel, "auto, kvm or tcg", "ACCEL"},
    {"offline", 0, 0, G_OPTION_ARG_NONE, &option_offline,
     "Only what is in the cache, by the last verified index, without asking any server", NULL},
    {"strict", 0, 0, G_OPTION_ARG_NONE, &option_strict,
     "Unpack nothing before the digest of its whole file is known to be right", NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &option_dry_run, "Check and print the plan; change nothing", NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &option_json, "Print JSON", NULL},
    G_OPTION_ENTRY_NULL,
};

static void
report(bool is_warning, const char *text)
{
    if (is_warning)
        cli_warn("%s", text);
    else
        cli_note("%s", text);
}

/* ---- the command line ---- */

/* @out_password: plain text, to be wiped by the caller; NULL for none or for "random". */
static bool
read_password(char **out_password, bool *out_is_random, GError **error)
{
    const char *selector = option_password;

    if (selector == NULL)
        return true;
    if (strcmp(selector, "random") == 0) {
        *out_is_random = true;
        return true;
    }
    if (g_str_has_prefix(selector, "file:")) {
        *out_password = cli_read_secret(selector + strlen("file:"), error);
        if (*out_password == NULL)
            return false;
    } else if (g_str_has_prefix(selector, "password:")) {
        cli_warn("--root-password password:... can be seen by every user in the process list; use file:PATH");
        *out_password = g_strdup(selector + strlen("password:"));
    } else {
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--root-password: must be file:PATH, password:TEXT or random");
    }
    return (*out_password)[0] != '\0' || error_set_code(error, BASE_ERROR_USAGE, "--root-password: is empty");
}

static bool
read_key_file(const char *path, GPtrArray *keys, GError **error)
{
    g_autoptr(GBytes) bytes = file_read(path, MAX_KEY_FILE_BYTES, error);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    guint before = keys->len;

    if (bytes == NULL)
        return false;
    text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    if (strstr(text, "-----BEGIN") != NULL)
        return error_set_code(error, BASE_ERROR_USAGE, "%s: is a private key; give the .pub file", path);
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        g_strstrip(*line);
        if ((*line)[0] == '\0' || (*line)[0] == '#')
            continue;
        if (strchr(*line, ' ') == NULL || !deploy_plan_path_check(*line, NULL))
            return error_set_code(error, BASE_ERROR_USAGE, "%s: is not a file of SSH public keys", path);
        g_ptr_array_add(keys, g_strdup(*line));
    }
    return keys->len > before || error_set_code(error, BASE_ERROR_USAGE, "%s: holds no SSH public key", path);
}

/* (transfer full) NULL-terminated, or NULL on error. */
static char **
read_keys(GError **error)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new_with_free_func(g_free);

    for (char **path = option_ssh_keys; path != NULL && *path != NULL; path++)
        if (!read_key_file(*path, keys, error))
            return NULL;
    g_ptr_array_add(keys, NULL);
    g_ptr_array_set_free_func(keys, NULL); /* the strings are handed out with the array */
    return (char **)g_ptr_array_free(g_steal_pointer(&keys), FALSE);
}

static bool
check_combinations(GError **error)
{
    if (option_linked && option_full)
        return error_set_code(error, BASE_ERROR_USAGE, "--linked and --full exclude each other");
    if (option_no_customize &&
        (option_hostname != NULL || option_password != NULL || option_ssh_keys != NULL))
        return error_set_code(error, BASE_ERROR_USAGE,
                              "--no-customize excludes --hostname, --root-password and --ssh-key");
    if (option_count < 1 || option_count > (int)DEPLOY_MAX_COUNT)
        return error_set_code(error, BASE_ERROR_USAGE, "--count must be from 1 to %u", DEPLOY_MAX_COUNT);
    if (option_cpus < 1 || option_cpus > MAX_CPUS)
        return error_set_code(error, BASE_ERROR_USAGE, "--cpus must be from 1 to %d", MAX_CPUS);
    return true;
}

static bool
fill_request(DeployRequest *request, char **argv, GError **error)
{
    *request = (DeployRequest){
        .image = argv[0],
        .name = argv[1],
        .count = (unsigned)option_count,
        .mode = option_linked ? DEPLOY_LINKED
                : option_full ? DEPLOY_FULL
                              : DEPLOY_AUTO,
        .hostname = option_hostname,
        .is_uncustomized = option_no_customize,
        .uri = option_connect,
        .is_offline = option_offline,
        .is_started = option_start,
        .memory_bytes = DEFAULT_MEMORY,
        .cpus = (unsigned)option_cpus,
        .network = option_network,
        .disk_dir = option_disk_dir,
        .arch = option_arch,
        .report = report,
    };
    if (option_size != NULL && !cli_parse_size(option_size, &request->size_bytes, error))
        return false;
    if (option_memory != NULL && !cli_parse_size(option_memory, &request->memory_bytes, error))
        return false;
    if (request->memory_bytes < MIN_MEMORY_BYTES)
        return error_set_code(error, BASE_ERROR_USAGE, "--memory %s is only so many bytes; did you mean %sM?",
                              option_memory, option_memory);
    return option_accel == NULL || guest_accel_parse(option_accel, &request->accel, error);
}

/* ---- output ---- */

static void
print_json(const DeployResult *result)
{
    g_autoptr(Json) list = json_new_array();
    g_autofree char *text = NULL;

    for (guint i = 0; i < result->vms->len; i++) {
        const DeployVm *vm = g_ptr_array_index(result->vms, i);
        Json *item = json_new_object();

        json_set_text(item, "name", vm->name);
        json_set_text(item, "uuid", option_dry_run ? NULL : vm->uuid);
        json_set_text(item, "hostname", vm->hostname);
        json_set_text(item, "mac", option_dry_run ? NULL : vm->mac);
        json_set_text(item, "network", result->network);
        json_set_text(item, "disk", vm->disk);
        json_set_number(item, "size", (int64_t)result->size_bytes);
        json_set_text(item, "mode", deploy_plan_mode_name(result->mode));
        json_set_text(item, "type", result->is_kvm ? "kvm" : "qemu");
        json_set_text(item, "image", result->image);
        json_set_text(item, "source", result->source);
        json_set_number(item, "revision", (int64_t)result->revision);
        json_set_text(item, "base", result->base);
        json_set_text(item, "connect", result->uri);
        json_set_text(item, "state", option_dry_run ? "planned" : option_start ? "running" : "shut off");
        if (vm->serial_log != NULL)
            json_set_text(item, "serial_log", vm->serial_log);
        if (vm->root_password != NULL && !option_dry_run)
            json_set_text(item, "root_password", vm->root_password);
        json_append(list, item);
    }
    text = json_print(list);
    g_print("%s", text);
}

static void
print_table(const DeployResult *result)
{
    static const char *const heading[] = {"NAME", "STATE", "TYPE", "MODE", "SIZE", "MAC", "DISK", NULL};
    g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
    g_autofree char *size =
        result->size_bytes == 0 ? g_strdup("image's") : cli_format_size(result->size_bytes);

    for (guint i = 0; i < result->vms->len; i++) {
        const DeployVm *vm = g_ptr_array_index(result->vms, i);
        const char *row[] = {vm->name,
                             option_dry_run ? "planned"
                             : option_start ? "running"
                                            : "shut off",
                             result->is_kvm ? "kvm" : "qemu",
                             deploy_plan_mode_name(result->mode),
                             size,
                             vm->mac == NULL || option_dry_run ? "-" : vm->mac,
                             vm->disk == NULL ? "-" : vm->disk,
                             NULL};

        g_ptr_array_add(rows, g_strdupv((char **)row));
    }
    cli_print_table(heading, rows);
    for (guint i = 0; !option_dry_run && i < result->vms->len; i++) {
        const DeployVm *vm = g_ptr_array_index(result->vms, i);

        if (vm->root_password != NULL)
            g_print("root password of %s: %s\n", vm->name, vm->root_password);
    }
}

static bool
run_deploy(int argc G_GNUC_UNUSED, char **argv, GError **error)
{
    DeployRequest request;
    g_auto(DeployResult) result = {0};
    g_autofree char *password = NULL;
    g_autofree char *here = g_get_current_dir();
    g_autofree char *log_dir = NULL;
    g_auto(GStrv) keys = NULL;

    fetch_set_strict(option_strict);
    if (!check_combinations(error) || !fill_request(&request, argv, error) ||
        !read_password(&password, &request.has_random_password, error))
        return false;
    keys = read_keys(error);
    if (keys == NULL)
        return false;
    if (option_serial_log != NULL)
        log_dir = g_canonicalize_filename(option_serial_log, here);
    request.root_password = password;
    request.ssh_keys = (const char *const *)keys;
    request.serial_log_dir = log_dir;
    if (!deploy_vms(&request, option_dry_run, &result, error))
        return false;
    if (password != NULL)
        explicit_bzero(password, strlen(password));
    if (option_json)
        print_json(&result);
    else
        print_table(&result);
    return true;
}

const Verb DEPLOY_VERB_DEPLOY = {
    .name = "deploy",
    .arguments = "IMAGE NAME",
    .summary = "Make VMs of an image",
    .description =
        "The image is pulled where it is not cached. All VMs are customized in one appliance launch; when "
        "any step fails, nothing is left behind.",
    .options = OPTIONS,
    .min_arguments = 2,
    .max_arguments = 2,
    .run = run_deploy,
};
