/* SPDX-License-Identifier: MIT */
/* lwIP's surroundings: the one lock, memory within a bound, clocks, secrets, and its timers. lwIP wants each of its cyclic
 * functions called ten times a second or less. Here they run as often as somebody waits for them: ten times a second during DHCP and
 * before reports of groups, twenty times while a TCP connection has something under way, once while packets came lately, or
 * something waits for an answer; an idle machine has one timer a minute, and what was left out is made up for then.
 *
 * core guards all of lwIP. It is a spin lock, because packets are taken in from interrupts; what is done under it is bounded
 * by a batch of packets. */
#include "core.h"
#include "ether.h"
#include "ip.h"
#include "netconf.h"
#include "packet.h"
#include "tcp.h"
#include "tcp_table.h"
#include <base/chacha20.h>
#include <base/log.h>
#include <libos/heap.h>
#include <libos/page.h>
#include <libos/random.h>
#include <libos/timer.h>
#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/igmp.h>
#include <lwip/init.h>
#include <lwip/mem.h>
#include <lwip/mld6.h>
#include <lwip/nd6.h>
#include <lwip/netif.h>
#include <lwip/priv/nd6_priv.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <plat/time.h>
#include <string.h>
#include "lwip/replace.h"

#define BUSY_NS      (3 * NS_PER_SEC)
#define NS_PER_MS    1000000ull
#define TIMERS_MAX   16
#define CATCH_UP_MAX 600 /* calls at once */
#define GUARD_MS     200

static struct spin core = SPIN_INIT(RANK_NET_CORE);
static struct timer tick;
static bool tick_armed, tick_idle, tick_slow; /* guarded by core, as the next ones */
static uint64_t busy_until_ns;
static uint64_t last_ms[TIMERS_MAX];
static uint32_t isn_key[8];
static _Atomic size_t mem_used;
static size_t mem_limit;

void net_lock(void)
{
    spin_lock(&core);
}

void net_unlock(void)
{
    spin_unlock(&core);
}

/* ---- memory ---- */

struct mem_head {
    size_t size;
    size_t unused; /* keeps 16 bytes */
};

bool net_mem_take(size_t size)
{
    if (LIKELY(atomic_fetch_add_explicit(&mem_used, size, memory_order_relaxed) + size <=
               mem_limit))
        return true;
    net_mem_give(size);
    return false;
}

void net_mem_give(size_t size)
{
    atomic_fetch_sub_explicit(&mem_used, size, memory_order_relaxed);
}

void *net_mem_alloc(size_t n)
{
    size_t size = n + sizeof(struct mem_head);
    if (!net_mem_take(size))
        return NULL;
    struct mem_head *h = heap_alloc(size);
    if (!h) {
        net_mem_give(size);
        return NULL;
    }
    h->size = size;
    return h + 1;
}

void *net_mem_calloc(size_t n, size_t size)
{
    size_t bytes;
    void *p = __builtin_mul_overflow(n, size, &bytes) ? NULL : net_mem_alloc(bytes);
    if (p)
        memset(p, 0, bytes);
    return p;
}

void net_mem_free(void *p)
{
    struct mem_head *h = (struct mem_head *)p - 1;
    net_mem_give(h->size);
    heap_free(h);
}

/* The rest of what lwIP's mem.c would be. */
void mem_init(void)
{
}

void *mem_trim(void *p, size_t size)
{
    return p;
}

/* ---- clocks and secrets ---- */

u32_t sys_now(void)
{
    return (u32_t)(plat_time_ns() / NS_PER_MS);
}

uint32_t net_hook_random(void)
{
    return (uint32_t)random_u64();
}

uint32_t net_hook_isn(const void *lip, uint16_t lport, const void *rip, uint16_t rport)
{
    struct inet_addr l = addr_of_ip(lip), r = addr_of_ip(rip);
    uint32_t isn;
    if (syn_cookie_isn(&isn))
        return isn;
    uint32_t key[8], block[16];
    for (int i = 0; i < 4; i++) {
        key[i] = isn_key[i] ^ l.w[i];
        key[i + 4] = isn_key[i + 4] ^ r.w[i];
    }
    chacha20_block(key, (uint64_t)lport << 16 | rport, 0, block);
    return block[0] + (uint32_t)(plat_time_ns() / 4096);
}

void net_hook_assert(const char *text)
{
    panic("lwIP: %s", text);
}

/* ---- timers ---- */

static uint64_t now_ms(void)
{
    return plat_time_ns() / NS_PER_MS;
}

/* Does a connection's clock run: is something to be sent again, to be acknowledged, or to end? */
static bool is_timed(const struct tcp_pcb *p)
{
    return (p->state != ESTABLISHED && p->state != CLOSE_WAIT) || p->unacked || p->unsent ||
           p->ooseq || p->refused_data || p->persist_backoff ||
           p->flags & (TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND);
}

/* Is there one that is timed? *ret_slow: or one to which a second more or less makes no difference? */
static bool tcp_waits(bool *ret_slow)
{
    *ret_slow = tcp_tw_pcbs;
    for (const struct tcp_pcb *p = tcp_active_pcbs; p; p = p->next)
        if (is_timed(p))
            return true;
        else if (p->so_options & SOF_KEEPALIVE)
            *ret_slow = true;
    return false;
}

/* Is there a report of a group to be made? */
static bool reports(void)
{
    struct netif *n;
    NETIF_FOREACH(n)
    {
        for (const struct igmp_group *g = netif_igmp_data(n); g; g = g->next)
            if (g->timer)
                return true;
        for (const struct mld_group *g = netif_mld6_data(n); g; g = g->next)
            if (g->timer)
                return true;
    }
    return false;
}

/* Does something wait for an answer that lwIP itself asks for again? */
static bool negotiates(void)
{
    struct netif *n;
    NETIF_FOREACH(n)
    {
        struct dhcp *d = netif_dhcp_data(n);
        if (d && netif_is_link_up(n) && !dhcp_supplied_address(n))
            return true;
    }
    return reports();
}

/* May IPv6's clock stand still: does nothing that it knows end, or is to be asked again? */
static bool nd6_rests(void)
{
    struct netif *n;
    for (int i = 0; i < LWIP_ND6_NUM_NEIGHBORS; i++)
        if (neighbor_cache[i].state != ND6_NO_ENTRY && neighbor_cache[i].state != ND6_STALE)
            return false;
    for (int i = 0; i < LWIP_ND6_NUM_ROUTERS; i++)
        if (default_router_list[i].neighbor_entry)
            return false;
    for (int i = 0; i < LWIP_ND6_NUM_PREFIXES; i++)
        if (prefix_list[i].netif)
            return false;
    NETIF_FOREACH(n)
    {
        if (n->rs_count && netif_is_up(n) && netif_is_link_up(n))
            return false;
        for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
            u8_t state = netif_ip6_addr_state(n, i);
            if (ip6_addr_istentative(state) ||
                (!ip6_addr_isinvalid(state) && !netif_ip6_addr_isstatic(n, i)))
                return false;
        }
    }
    return true;
}

/* Is there nothing for a clock to do? */
static bool rests(lwip_cyclic_timer_handler handler)
{
    return handler == igmp_tmr || handler == mld6_tmr ? !reports()
           : handler == nd6_tmr                       ? nd6_rests()
                                                      : false;
}

static void run(unsigned i, uint64_t now)
{
    const struct lwip_cyclic_timer *t = &lwip_cyclic_timers[i];
    uint64_t due = (now - last_ms[i]) / t->interval_ms;
    if (!due)
        return;
    last_ms[i] += due * t->interval_ms;
    if (rests(t->handler))
        return;
    if (t->handler == etharp_tmr) {
        net_arp_ticks((uint32_t)min_u64(due, CATCH_UP_MAX));
        return;
    }
    for (due = due < CATCH_UP_MAX ? due : CATCH_UP_MAX; due; due--)
        t->handler();
}

/* TCP's clock, lwip_cyclic_timers[0]. What was left out of it nothing has waited for, but connections that end (TIME-WAIT) and idle
 * ones count its ticks. */
static void run_tcp(uint64_t now)
{
    static uint64_t guarded_ms;
    uint64_t due = (now - last_ms[0]) / TCP_TMR_INTERVAL;
    if (!due || (!tcp_active_pcbs && !tcp_tw_pcbs)) {
        last_ms[0] += due * TCP_TMR_INTERVAL;
        return;
    }
    if (tcp_active_pcbs)
        ether_take_back();
    if (due > 2)
        tcp_ticks += (u32_t)(due - 2) / 2; /* every second one is a slow one */
    for (unsigned i = 0; i < due && i < 2; i++) {
        tcp_table_begin_walk();
        tcp_guard_hold_acks();
        lwip_cyclic_timers[0].handler();
        tcp_guard_let_acks_go();
        tcp_table_end_walk();
    }
    last_ms[0] += due * TCP_TMR_INTERVAL;
    if (now - guarded_ms < GUARD_MS)
        return;
    guarded_ms = now;
    tcp_guard_tick();
    for (struct tcp_pcb *p = tcp_active_pcbs, *next; p; p = next) {
        next = p->next;
        if (p->unsent)
            net_tcp_output(p); /* held back for MSG_MORE */
    }
}

static void run_others(uint64_t now)
{
    for (unsigned i = 1; i < (unsigned)lwip_num_cyclic_timers; i++)
        run(i, now);
}

static void run_all(void)
{
    uint64_t now = now_ms();
    run_tcp(now);
    run_others(now);
}

/* Locks: core held. */
static void arm(void)
{
    uint64_t now = plat_time_ns();
    bool busy = now < busy_until_ns;
    bool slow, fast = negotiates(), tcp = tcp_waits(&slow);
    uint64_t ns = fast           ? 100 * NS_PER_MS
                  : tcp          ? TCP_TMR_INTERVAL * NS_PER_MS
                  : busy || slow ? NS_PER_SEC
                                 : 60 * NS_PER_SEC;
    tick_idle = !busy && !fast && !tcp && !slow;
    tick_slow = !fast && !tcp;
    tick_armed = true;
    timer_start(&tick, now + ns);
}

static void tick_fire(struct timer *t)
{
    net_lock();
    run_all();
    arm();
    net_unlock();
}

void net_touch(void)
{
    uint64_t now = plat_time_ns();
    busy_until_ns = now + BUSY_NS;
    if (UNLIKELY(tick_idle)) {
        /* lwIP may be in the midst of sending: TCP's clock is put right without its work. */
        uint64_t ms = now_ms(), due = (ms - last_ms[0]) / TCP_TMR_INTERVAL;
        tick_idle = false;
        tcp_ticks += (u32_t)(due / 2);
        last_ms[0] += due * TCP_TMR_INTERVAL;
        run_others(ms);
        arm();
    } else if (UNLIKELY(tick_slow)) {
        /* Whatever comes now, TCP's clock or a report may have to run for it. */
        tick_slow = false;
        timer_start(&tick, now + TCP_TMR_INTERVAL * NS_PER_MS);
    }
}

void net_touch_tcp(void)
{
    if (UNLIKELY(tick_idle || tick_slow))
        net_touch();
}

/* lwIP asks for its TCP clock (the only one that it asks for): run_all knows when that is needed. */
void sys_timeout(u32_t ms, sys_timeout_handler handler, void *arg)
{
    if (tick_idle)
        arm();
}

void sys_untimeout(sys_timeout_handler handler, void *arg)
{
}

void sys_timeouts_init(void)
{
}

/* ---- addresses ---- */

bool net_addr_is_own(const struct inet_addr *a)
{
    ip_addr_t ip;
    struct netif *n;
    ip_of_addr(&ip, a, 0);
    NETIF_FOREACH(n)
    {
        if (IP_IS_V4(&ip)) {
            if (ip4_addr_cmp(ip_2_ip4(&ip), netif_ip4_addr(n)) &&
                !ip4_addr_isany_val(*ip_2_ip4(&ip)))
                return true;
            continue;
        }
        for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++)
            if (ip6_addr_isvalid(netif_ip6_addr_state(n, i)) &&
                ip6_addr_cmp_zoneless(ip_2_ip6(&ip), netif_ip6_addr(n, i)))
                return true;
    }
    return false;
}

struct inet_addr net_source_for(const struct inet_addr *a)
{
    ip_addr_t ip, any = *IP_ANY_TYPE;
    struct inet_addr none = addr_is_v4(a) ? addr_v4(0) : (struct inet_addr){ 0 };
    ip_of_addr(&ip, a, 0);
    if (IP_IS_V4(&ip))
        ip_addr_set_zero_ip4(&any);
    net_lock();
    struct netif *n = IP_IS_V6(&ip) || netconf_reaches(a->w[3]) ? ip_route(&any, &ip) : NULL;
    const ip_addr_t *source = n ? ip_netif_get_local_ip(n, &ip) : NULL;
    struct inet_addr result = source ? addr_of_ip(source) : none;
    net_unlock();
    return result;
}

void net_core_init(void)
{
    mem_limit = (size_t)page_total_count() * PAGE_SIZE / 4;
    random_bytes(isn_key, sizeof(isn_key));
    timer_init(&tick, tick_fire);
    net_lock();
    uint64_t now = now_ms();
    must((size_t)lwip_num_cyclic_timers <= ARRAY_SIZE(last_ms));
    for (size_t i = 0; i < ARRAY_SIZE(last_ms); i++)
        last_ms[i] = now;
    tcp_table_init();
    syn_cookie_init();
    lwip_init();
    udp_init_input();
    tick_idle = true;
    net_unlock();
}
