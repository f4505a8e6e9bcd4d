/* SPDX-License-Identifier: MIT */
/* What the host hears of the guest over AF_VSOCK (libos/host.h). A notification is one connection with the text in it, as
 * systemd-vmspawn reads them; counters are one answer per connection, made by one libOS thread, so that a host which does not read
 * delays only the next one, and no longer than PATIENCE. Spec: sd_notify(3), the Prometheus text format 0.0.4. */
#include "gen.h"
#include <abi/errno.h>
#include <abi/poll.h>
#include <abi/socket.h>
#include <abi/time.h>
#include <abi/vsock.h>
#include <base/log.h>
#include <libos/dev/netdev.h>
#include <libos/file.h>
#include <libos/heap.h>
#include <libos/host.h>
#include <libos/net.h>
#include <libos/page.h>
#include <libos/process.h>
#include <libos/sched.h>
#include <libos/socket.h>
#include <libos/sysinfo.h>
#include <libos/time.h>
#include <libos/waitq.h>
#include <plat/cpu.h>
#include <plat/mem.h>
#include <plat/time.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE (5 * NS_PER_SEC)
enum { BACKLOG = 4, REQUEST_MAX = 4096 };

struct address {
    int type;
    uint32_t cid, port;
};

static bool parse_number(const char **at, char end, uint32_t *ret)
{
    char *stop;
    if (**at < '0' || **at > '9')
        return false;
    unsigned long v = strtoul(*at, &stop, 10);
    *at = stop + (*stop != 0);
    *ret = (uint32_t)v;
    return *stop == end && v < UINT32_MAX;
}

static bool parse_address(const char *text, struct address *ret)
{
    static const struct {
        const char *prefix;
        int type;
    } kinds[] = { { "vsock:", SOCK_STREAM },
                  { "vsock-stream:", SOCK_STREAM },
                  { "vsock-seqpacket:", SOCK_SEQPACKET } };
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        size_t n = strlen(kinds[i].prefix);
        const char *at = text + n;
        if (strncmp(text, kinds[i].prefix, n) == 0) {
            ret->type = kinds[i].type;
            return parse_number(&at, ':', &ret->cid) && parse_number(&at, 0, &ret->port);
        }
    }
    return false;
}

bool host_notify_address(const char *text)
{
    struct address a;
    return parse_address(text, &a);
}

/* Send all n bytes. 0, or a negative errno. */
static int send_all(struct socket *s, const char *text, size_t n)
{
    struct iter it;
    struct socket_msg m = { .it = &it, .flags = MSG_NOSIGNAL };
    iter_kernel(&it, (void *)(uintptr_t)text, n);
    ssize_type sent = socket_send(s, &m);
    return sent < 0 ? (int)sent : (size_t)sent < n ? -EIO : 0;
}

static void set_name(struct abi_sockaddr_storage *ret, uint32_t cid, uint32_t port)
{
    struct abi_sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_port = port, .svm_cid = cid };
    memcpy(ret, &vm, sizeof(vm));
}

/* Not by a sleep that a signal ends: the program may be about to end. */
static int wait_connected(struct socket *s)
{
    int err = WAIT_EVENT(&s->wait, SLEEP_UNINTERRUPTIBLE, plat_time_ns() + PATIENCE,
                         s->ops->poll(s) & (EPOLLOUT | EPOLLERR));
    return err ? err : -s->error;
}

void host_notify(const char *address, const char *text)
{
    struct abi_sockaddr_storage name;
    struct address a;
    struct file *f;
    int err = -EINVAL;
    if (parse_address(address, &a))
        err = socket_create(AF_VSOCK, a.type, 0, 0, &f);
    if (!err) {
        struct socket *s = socket_of(f);
        s->sndtimeo_ns = PATIENCE;
        set_name(&name, a.cid, a.port);
        err = socket_connect(s, &name, sizeof(struct abi_sockaddr_vm), true);
        if (err == -EINPROGRESS)
            err = wait_connected(s);
        if (!err)
            err = send_all(s, text, strlen(text));
        file_put(f);
    }
    if (err)
        log_warn("%s: the host was not notified (error %d)", address, -err);
}

/* ---- counters ---- */

static void show(struct text *t, const char *name, const char *type, const char *help)
{
    text_printf(t, "# HELP alcove_%s %s\n# TYPE alcove_%s %s\n", name, help, name, type);
}

static void show_one(struct text *t, const char *name, const char *type, const char *help,
                     uint64_t value)
{
    show(t, name, type, help);
    text_printf(t, "alcove_%s %llu\n", name, (unsigned long long)value);
}

static void show_seconds(struct text *t, const char *what, unsigned cpu, uint64_t ns)
{
    text_printf(t, "alcove_cpu_seconds_total{cpu=\"%u\",mode=\"%s\"} %llu.%09llu\n", cpu, what,
                (unsigned long long)(ns / NS_PER_SEC), (unsigned long long)(ns % NS_PER_SEC));
}

static void show_cpus(struct text *t)
{
    uint64_t switches = 0, avg[3];
    unsigned running, total;
    show(t, "cpu_seconds_total", "counter", "Time of each CPU by what it did.");
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        struct cpu_told busy;
        uint64_t mine;
        sched_busy(i, &busy, &mine);
        switches += mine;
        show_seconds(t, "user", i, busy.user_ns);
        show_seconds(t, "system", i, busy.system_ns);
        show_seconds(t, "idle", i, sched_idle_ns(i));
    }
    sched_load(avg, &running, &total);
    show_one(t, "context_switches_total", "counter", "Changes from one thread to another.",
             switches);
    show_one(t, "threads", "gauge", "Threads that there are.", total);
    show_one(t, "threads_running", "gauge", "Threads that run or could.", running);
    show_one(t, "processes_total", "counter", "Processes that have begun.", process_count());
}

static void show_memory(struct text *t)
{
    struct page_stats p;
    page_stats(&p);
    const struct {
        const char *use;
        uint64_t pages;
    } rows[] = { { "total", p.total },
                 { "free", p.free },
                 { "libos", p.kernel },
                 { "anonymous", p.anon },
                 { "file", p.file } };
    show(t, "memory_bytes", "gauge", "Memory of the machine by use.");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        text_printf(t, "alcove_memory_bytes{use=\"%s\"} %llu\n", rows[i].use,
                    (unsigned long long)(rows[i].pages * PAGE_SIZE));
}

static void show_interfaces(struct text *t)
{
    struct netdev_stats s[NETDEV_MAX];
    struct netdev *d;
    unsigned n = 0;
    for (; n < NETDEV_MAX && (d = netdev_at(n)); n++)
        d->ops->stats(d, &s[n]);
    if (!n)
        return;
    show(t, "network_receive_bytes_total", "counter", "Bytes of frames that came.");
    for (unsigned i = 0; i < n; i++)
        text_printf(t, "alcove_network_receive_bytes_total{device=\"%s\"} %llu\n",
                    netdev_at(i)->name, (unsigned long long)s[i].rx_bytes);
    show(t, "network_transmit_bytes_total", "counter", "Bytes of frames that were sent.");
    for (unsigned i = 0; i < n; i++)
        text_printf(t, "alcove_network_transmit_bytes_total{device=\"%s\"} %llu\n",
                    netdev_at(i)->name, (unsigned long long)s[i].tx_bytes);
}

static void show_protocols(struct text *t)
{
    struct net_counters c;
    net_counters(&c);
    show_one(t, "tcp_connections_opened_total", "counter", "TCP connections by connect.",
             c.tcp_active);
    show_one(t, "tcp_connections_accepted_total", "counter", "TCP connections to listeners.",
             c.tcp_passive);
    show_one(t, "tcp_connections", "gauge", "TCP connections that stand.", c.tcp_established);
    show_one(t, "tcp_segments_received_total", "counter", "TCP segments that came.", c.tcp_in);
    show_one(t, "tcp_segments_sent_total", "counter", "TCP segments that were sent.", c.tcp_out);
    show_one(t, "tcp_segments_retransmitted_total", "counter", "TCP segments sent again.",
             c.tcp_again);
    show_one(t, "udp_datagrams_received_total", "counter", "UDP datagrams that came.", c.udp_in);
    show_one(t, "udp_datagrams_sent_total", "counter", "UDP datagrams that were sent.", c.udp_out);
}

static void show_all(struct text *t)
{
    struct abi_utsname u;
    system_names(&u);
    show(t, "info", "gauge", "The libOS.");
    text_printf(t, "alcove_info{release=\"%s\"} 1\n", u.release);
    show_one(t, "uptime_seconds", "gauge", "Since the machine began.", plat_time_ns() / NS_PER_SEC);
    show_cpus(t);
    show_memory(t);
    show_interfaces(t);
    show_protocols(t);
}

/* Read what is asked for, up to the empty line, or as far as it comes: the answer is always the same. */
static void read_request(struct socket *s)
{
    char *buf = heap_alloc(REQUEST_MAX);
    size_t n = 0;
    while (buf && n < REQUEST_MAX - 1) {
        struct iter it;
        struct socket_msg m = { .it = &it };
        iter_kernel(&it, buf + n, REQUEST_MAX - 1 - n);
        ssize_type got = socket_recv(s, &m);
        if (got <= 0)
            break;
        n += (size_t)got;
        buf[n] = 0;
        if (strstr(buf, "\r\n\r\n") || strstr(buf, "\n\n"))
            break;
    }
    heap_free(buf);
}

static void answer(struct file *f)
{
    static const char header[] = "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"
                                 "Connection: close\r\n\r\n";
    struct socket *s = socket_of(f);
    struct text t = { 0 };
    s->rcvtimeo_ns = s->sndtimeo_ns = PATIENCE;
    read_request(s);
    show_all(&t);
    /* The host may go away at any time, which is its own affair. */
    if (!t.failed && !send_all(s, header, sizeof(header) - 1) && send_all(s, t.buf, t.len))
        log_info("metrics: the host did not read them");
    text_fini(&t);
}

static void serve(void *arg)
{
    struct file *listener = arg, *f;
    for (;;) {
        int err = socket_accept(socket_of(listener), 0, false, &f, NULL, NULL);
        if (!err) {
            answer(f);
            file_put(f);
        } else if (clock_sleep(CLOCK_MONOTONIC, plat_time_ns() + NS_PER_SEC)) {
            return; /* no memory, and the machine ends */
        }
    }
}

void host_metrics_start(unsigned port)
{
    struct abi_sockaddr_storage name;
    struct file *f;
    int err = socket_create(AF_VSOCK, SOCK_STREAM, 0, 0, &f);
    if (!err) {
        set_name(&name, VMADDR_CID_ANY, port);
        err = socket_bind(socket_of(f), &name, sizeof(struct abi_sockaddr_vm));
        if (!err)
            err = socket_listen(socket_of(f), BACKLOG);
        if (!err)
            err = thread_create_kernel("metrics", serve, f);
        if (err)
            file_put(f);
    }
    if (err)
        log_warn("metrics: port %u cannot be used (error %d)", port, -err);
}
