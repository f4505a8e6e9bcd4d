/* SPDX-License-Identifier: MIT */
/* The VM's network (net.h). QEMU's user network needs no rights and no set-up; the guest's addresses in it are always the
 * same, so they are given on its command line, and no DHCP is waited for. A tap interface is the user's to set up. */
#include "net.h"
#include "cmdline.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT_MAX = 65535 };

static unsigned port(const char *option, const char *text, const char **ret_end)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (!isdigit((unsigned char)*text) || v < 1 || v > PORT_MAX)
        fail(option, "'%s' has no port from 1 to 65535 where one is expected", text);
    *ret_end = end;
    return (unsigned)v;
}

static void check_ip(const char *option, const char *text, size_t n)
{
    struct in_addr a;
    char *copy = xprintf("%.*s", (int)n, text);
    if (inet_pton(AF_INET, copy, &a) != 1)
        fail(option, "'%s' is not an IPv4 address", copy);
}

/* [ADDRESS:]HOST:GUEST[/tcp|/udp] */
static void publish(struct net_spec *n, const char *v)
{
    const char *first = strchr(v, ':'), *second = first ? strchr(first + 1, ':') : NULL, *end;
    const char *address = "127.0.0.1", *at = v;
    if (!first)
        fail("-p", "'%s' is not HOST:GUEST; write for example -p 8080:80", v);
    if (second) {
        check_ip("-p", v, (size_t)(first - v));
        address = xprintf("%.*s", (int)(first - v), v);
        at = first + 1;
    }
    unsigned host = port("-p", at, &end);
    if (*end != ':')
        fail("-p", "'%s' is not HOST:GUEST; write for example -p 8080:80", v);
    unsigned guest = port("-p", end + 1, &end);
    bool udp = strcmp(end, "/udp") == 0;
    if (*end && !udp && strcmp(end, "/tcp") != 0)
        fail("-p", "'%s' ends with '%s'; /tcp and /udp are known", v, end);
    list_add(&n->ports, xprintf("hostfwd=%s:%s:%u-:%u", udp ? "udp" : "tcp", address, host, guest));
}

static void choose(struct net_spec *n, const char *v)
{
    n->user = strcmp(v, "user") == 0;
    n->none = strcmp(v, "none") == 0;
    n->tap = strncmp(v, "tap=", 4) == 0 && v[4] ? v + 4 : NULL;
    if (!n->user && !n->none && !n->tap)
        fail("--net", "'%s' is not known; one of: user, tap=NAME, none", v);
    if (n->tap && (strlen(n->tap) > 15 || strchr(n->tap, ',')))
        fail("--net", "'%s' is not the name of an interface", n->tap);
}

static void set_ip(struct net_spec *n, const char *v)
{
    const char *slash = strchr(v, '/'), *comma = strchr(v, ',');
    char *end;
    if (strcmp(v, "dhcp") == 0) {
        n->ip = v;
        return;
    }
    if (!slash || (comma && comma < slash))
        fail("--ip", "'%s' has no prefix length; write for example 192.168.1.5/24,192.168.1.1", v);
    check_ip("--ip", v, (size_t)(slash - v));
    unsigned long prefix = strtoul(slash + 1, &end, 10);
    if (!isdigit((unsigned char)slash[1]) || prefix < 1 || prefix > 32 || (*end && *end != ','))
        fail("--ip", "'%s': the prefix length is from 1 to 32", v);
    if (comma) {
        check_ip("--ip", comma + 1, strlen(comma + 1));
        n->gateway = comma + 1;
    }
    n->ip = xprintf("%.*s", (int)(end - v), v);
}

static void set_dns(struct net_spec *n, const char *v)
{
    for (const char *at = v;; at++) {
        size_t len = strcspn(at, ",");
        struct in6_addr six;
        if (inet_pton(AF_INET6, xprintf("%.*s", (int)len, at), &six) != 1)
            check_ip("--dns", at, len);
        at += len;
        if (!*at)
            break;
    }
    n->dns = v;
}

static void set_vsock(struct net_spec *n, const char *v)
{
    enum { FIRST = 3 };
    char *end;
    unsigned long cid = isdigit((unsigned char)*v) ? strtoul(v, &end, 10) : 0;
    if (cid < FIRST || cid >= UINT32_MAX ||
        (*end && (strncmp(end, ",socket=", 8) != 0 || !end[8] || strpbrk(end + 8, ",\""))))
        fail("--vsock", "'%s' is not CID or CID,socket=PATH; CID is a number from 3 on", v);
    n->vsock_cid = (unsigned)cid;
    n->vsock_socket = *end ? end + 8 : NULL;
}

static void set_notify(struct net_spec *n, const char *v)
{
    static const char *const kinds[] = { "vsock:", "vsock-stream:", "vsock-seqpacket:" };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        unsigned cid, p;
        char rest;
        size_t len = strlen(kinds[i]);
        if (strncmp(v, kinds[i], len) == 0 && isdigit((unsigned char)v[len]) && !strchr(v, ' ') &&
            sscanf(v + len, "%u:%u%c", &cid, &p, &rest) == 2) {
            n->notify = v;
            return;
        }
    }
    fail("--notify", "'%s' is not vsock-stream:CID:PORT; the host's CID is 2", v);
}

static void set_metrics(struct net_spec *n, const char *v)
{
    char *end;
    unsigned long p = isdigit((unsigned char)*v) ? strtoul(v, &end, 10) : 0;
    if (!p || *end || p >= UINT32_MAX)
        fail("--metrics", "'%s' is not a port of AF_VSOCK, for example 9100", v);
    n->metrics = (unsigned)p;
}

void net_option(struct net_spec *n, const char *name, const char *v)
{
    if (strcmp(name, "publish") == 0)
        publish(n, v);
    else if (strcmp(name, "net") == 0)
        choose(n, v);
    else if (strcmp(name, "ip") == 0)
        set_ip(n, v);
    else if (strcmp(name, "vsock") == 0)
        set_vsock(n, v);
    else if (strcmp(name, "notify") == 0)
        set_notify(n, v);
    else if (strcmp(name, "metrics") == 0)
        set_metrics(n, v);
    else
        set_dns(n, v);
}

bool net_is_on(const struct net_spec *n)
{
    return !n->none && (n->user || n->tap || n->ports.n || n->ip || n->dns);
}

void net_qemu_args(const struct net_spec *n, const char *machine, struct list *args)
{
    if (!net_is_on(n))
        return;
    struct buf dev = { 0 };
    if (n->tap) {
        if (n->ports.n)
            fail("-p", "ports are passed on by the user network; a tap interface is reached at the "
                       "guest's address");
        buf_printf(&dev, "tap,id=net0,ifname=%s,script=no,downscript=no,vhost=off", n->tap);
    } else {
        buf_printf(&dev, "user,id=net0");
        for (size_t i = 0; i < n->ports.n; i++)
            buf_printf(&dev, ",%s", n->ports.v[i]);
    }
    list_add(args, "-netdev");
    list_add(args, dev.s);
    list_add(args, "-device");
    list_add(args, strcmp(machine, "microvm") == 0 ? "virtio-net-device,netdev=net0"
                                                   : "virtio-net-pci,netdev=net0,romfile=");
    if (strcmp(machine, "microvm") == 0) {
        list_add(args, "-global"); /* the current version of the device, not the one of 2010 */
        list_add(args, "virtio-mmio.force-legacy=false");
    }
}

void vsock_qemu_args(const struct net_spec *n, const char *machine, struct list *args)
{
    bool mmio = strcmp(machine, "microvm") == 0;
    if (!n->vsock_cid)
        return;
    if (n->vsock_socket) {
        list_add(args, "-chardev");
        list_add(args, xprintf("socket,id=vsock0,path=%s", n->vsock_socket));
        list_add(args, "-device");
        list_add(args, mmio ? "vhost-user-vsock-device,chardev=vsock0"
                            : "vhost-user-vsock-pci,chardev=vsock0");
    } else {
        list_add(args, "-device");
        list_add(args,
                 xprintf("vhost-vsock-%s,guest-cid=%u", mmio ? "device" : "pci", n->vsock_cid));
    }
    if (mmio) {
        list_add(args, "-global"); /* the device has no older version */
        list_add(args, "virtio-mmio.force-legacy=false");
    }
}

void net_append(const struct net_spec *n, struct buf *append)
{
    if ((n->notify || n->metrics) && !n->vsock_cid)
        fail(n->notify ? "--notify" : "--metrics",
             "needs a socket device to the host; add --vsock CID");
    if (n->notify)
        cmdline_add(append, xprintf("notify=%s", n->notify));
    if (n->metrics)
        cmdline_add(append, xprintf("metrics=%u", n->metrics));
    if (!net_is_on(n))
        return;
    if (n->ip) {
        cmdline_add(append, xprintf("ip=%s", n->ip));
        if (n->gateway)
            cmdline_add(append, xprintf("gateway=%s", n->gateway));
    } else if (!n->tap) {
        cmdline_add(append, "ip=10.0.2.15/24");
        cmdline_add(append, "gateway=10.0.2.2");
    }
    if (n->dns)
        cmdline_add(append, xprintf("dns=%s", n->dns));
    else if (!n->tap)
        cmdline_add(append, "dns=10.0.2.3");
}
