/* SPDX-License-Identifier: MIT */
/* Manifests for engines that exist: Kubernetes with urunc, libvirt, Nomad. */
#include "deploy.h"

#include <string.h>

enum { MEMORY_DEFAULT_MIB = 512 };

static unsigned long long memory_mib(const struct deployment *d)
{
    return d->o->memory ? d->o->memory >> 20 : MEMORY_DEFAULT_MIB;
}

static unsigned cpus(const struct deployment *d)
{
    return d->o->cpus ? d->o->cpus : 1;
}

static void xml(struct buf *b, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '<':
            buf_str(b, "&lt;");
            break;
        case '&':
            buf_str(b, "&amp;");
            break;
        case '\'':
            buf_str(b, "&apos;");
            break;
        default:
            buf_add(b, s, 1);
        }
}

static void libvirt_disk(struct buf *b, const char *path, char letter)
{
    buf_str(b, "    <disk type='file' device='disk'>\n      <driver name='qemu' type='raw'/>\n"
               "      <source file='");
    xml(b, path);
    buf_printf(b, "'/>\n      <target dev='vd%c' bus='virtio'/>\n      <readonly/>\n    </disk>\n",
               letter);
}

char *manifest_libvirt(const struct deployment *d)
{
    struct buf b = { 0 };
    bool elf = ends_with(d->image, ".elf");
    buf_printf(&b, "<domain type='kvm'>\n  <name>%s</name>\n  <memory unit='MiB'>%llu</memory>\n",
               d->name, memory_mib(d));
    buf_printf(&b,
               "  <vcpu>%u</vcpu>\n  <os%s>\n    <type arch='x86_64' machine='q35'>hvm</type>\n",
               cpus(d), elf ? "" : " firmware='efi'");
    if (!d->disk) {
        buf_str(&b, "    <kernel>");
        xml(&b, d->absolute);
        buf_str(&b, "</kernel>\n    <cmdline>console=tty</cmdline>\n");
    }
    buf_str(&b,
            "  </os>\n  <features>\n    <acpi/>\n  </features>\n  <cpu mode='host-passthrough'/>\n"
            "  <on_poweroff>destroy</on_poweroff>\n  <on_reboot>restart</on_reboot>\n"
            "  <on_crash>destroy</on_crash>\n  <devices>\n");
    if (d->disk)
        libvirt_disk(&b, d->absolute, 'a');
    if (d->root)
        libvirt_disk(&b, d->root, d->disk ? 'b' : 'a');
    buf_str(&b, "    <interface type='network'>\n      <source network='default'/>\n"
                "      <model type='virtio'/>\n    </interface>\n    <serial type='pty'/>\n"
                "    <rng model='virtio'>\n      <backend model='random'>/dev/urandom</backend>\n  "
                "  </rng>\n"
                "  </devices>\n</domain>\n");
    return b.s;
}

char *manifest_kubernetes(const struct deployment *d)
{
    struct buf b = { 0 };
    buf_printf(&b,
               "apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  labels:\n    app: %s\nspec:\n"
               "  runtimeClassName: urunc\n  terminationGracePeriodSeconds: 30\n  containers:\n"
               "  - name: %s\n    image: %s:latest\n    imagePullPolicy: IfNotPresent\n"
               "    resources:\n      limits:\n        cpu: \"%u\"\n        memory: %lluMi\n",
               d->name, d->name, d->name, d->name, cpus(d), memory_mib(d));
    for (size_t i = 0; i < d->ports.n; i++) {
        const char *slash = strchr(d->ports.v[i], '/');
        if (!i)
            buf_str(&b, "    ports:\n");
        buf_printf(&b, "    - containerPort: %.*s\n      protocol: %s\n",
                   (int)strcspn(d->ports.v[i], "/"), d->ports.v[i],
                   slash && strcmp(slash, "/udp") == 0 ? "UDP" : "TCP");
    }
    return b.s;
}

char *manifest_nomad(const struct deployment *d)
{
    struct buf b = { 0 };
    buf_str(&b, "{\"Job\":{\"ID\":");
    buf_json(&b, d->name);
    buf_str(&b, ",\"Name\":");
    buf_json(&b, d->name);
    buf_str(&b, ",\"Type\":\"service\",\"Datacenters\":[\"*\"],\"TaskGroups\":[{\"Name\":");
    buf_json(&b, d->name);
    buf_str(&b, ",\"Count\":1,\"Tasks\":[{\"Name\":");
    buf_json(&b, d->name);
    buf_str(&b, ",\"Driver\":\"qemu\",\"KillTimeout\":30000000000,\"Config\":{\"image_path\":");
    buf_json(&b, d->absolute);
    buf_str(&b, ",\"accelerator\":\"kvm\",\"graceful_shutdown\":true,\"args\":[\"-bios\","
                "\"/usr/share/ovmf/OVMF.fd\",\"-machine\",\"q35\",\"-display\",\"none\"");
    if (d->root) { /* a comma in a file's name is written twice */
        struct buf drive = { 0 };
        buf_str(&drive, "if=virtio,format=raw,readonly=on,file=");
        for (const char *c = d->root; *c; c++)
            buf_printf(&drive, *c == ',' ? ",%c" : "%c", *c);
        buf_str(&b, ",\"-drive\",");
        buf_json(&b, drive.s);
    }
    buf_str(&b, "]},");
    buf_printf(&b, "\"Resources\":{\"Cores\":%u,\"MemoryMB\":%llu}}]}]}}\n", cpus(d),
               memory_mib(d));
    return b.s;
}
