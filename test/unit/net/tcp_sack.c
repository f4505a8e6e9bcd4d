/* SPDX-License-Identifier: MIT */
/* libos/net/tcp_sack.c against control blocks that the test makes: what a peer may say in SACK options (RFC 2018, RFC 2883), what is
 * sent again for it (RFC 6675), and what a time-out does. Sequence numbers begin below 2^32 and wrap. */
#include <lwip/priv/tcp_priv.h>
#include <tcp_sack.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    SEGMENTS = 12,
    MSS = 100,
    WRAPS = 5,  /* segments below 2^32 */
    HAS = 0x80, /* tcp_seg.flags, as tcp_sack.c has them */
    SENT = 0x40,
    KIND_SACK = 5,
    NOP = 1,
    ROUNDS = 20000,
};

static const uint32_t BASE = 0u - WRAPS * MSS;

/* What the libraries want of whoever boots them. */
_Noreturn void machine_exit(int wait_status);
_Noreturn void machine_exit(int wait_status)
{
    exit(wait_status >> 8);
}

/* A connection with SEGMENTS segments of MSS bytes under way. */
struct conn {
    struct tcp_pcb pcb;
    struct tcp_seg seg[SEGMENTS];
    struct pbuf p[SEGMENTS];
    struct tcp_hdr h[SEGMENTS];
};

/* Where segment i begins. */
static uint32_t at(unsigned i)
{
    return BASE + i * MSS;
}

static int set_up(void **state)
{
    struct conn *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    for (unsigned i = 0; i < SEGMENTS; i++) {
        c->h[i].seqno = lwip_htonl(at(i));
        c->p[i].ref = 1;
        c->seg[i].p = &c->p[i];
        c->seg[i].len = MSS;
        c->seg[i].tcphdr = &c->h[i];
        c->seg[i].next = i + 1 < SEGMENTS ? &c->seg[i + 1] : NULL;
    }
    c->pcb.unacked = &c->seg[0];
    c->pcb.lastack = at(0);
    c->pcb.snd_nxt = at(SEGMENTS);
    c->pcb.mss = MSS;
    c->pcb.cwnd = c->pcb.snd_wnd = 2 * SEGMENTS * MSS;
    c->pcb.flags = TF_SACK;
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void put32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Hand over options in memory of exactly their size, so that a byte read beyond them is seen. */
static void options(struct conn *c, const uint8_t *opts, unsigned n)
{
    uint8_t *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, opts, n);
    tcp_sack_options(&c->pcb, exact, n);
    free(exact);
}

/* One option with n blocks of two numbers each. */
static void sack(struct conn *c, const uint32_t (*blocks)[2], unsigned n)
{
    uint8_t o[40] = { NOP, NOP, KIND_SACK, (uint8_t)(2 + 8 * n) };
    for (unsigned i = 0; i < n; i++) {
        put32(o + 4 + 8 * i, blocks[i][0]);
        put32(o + 8 + 8 * i, blocks[i][1]);
    }
    options(c, o, 4 + 8 * n);
}

static void sack_one(struct conn *c, uint32_t left, uint32_t right)
{
    const uint32_t block[1][2] = { { left, right } };
    sack(c, block, 1);
}

/* Bit i: segment i has these flags. */
static unsigned flagged(const struct conn *c, unsigned flags)
{
    unsigned set = 0;
    for (unsigned i = 0; i < SEGMENTS; i++)
        if ((c->seg[i].flags & flags) == flags)
            set |= 1u << i;
    return set;
}

/* A list must be sorted, and without the other's segments. Bit i: segment i is in it. */
static unsigned listed(const struct conn *c, const struct tcp_seg *list)
{
    unsigned set = 0, last = 0;
    for (const struct tcp_seg *s = list; s; s = s->next) {
        unsigned i = (unsigned)(s - c->seg);
        assert_true(i < SEGMENTS && i >= last && !(set & 1u << i));
        set |= 1u << i;
        last = i;
    }
    return set;
}

static void assert_lists(const struct conn *c, unsigned unsent)
{
    assert_int_equal(listed(c, c->pcb.unsent), unsent);
    assert_int_equal(listed(c, c->pcb.unacked) | unsent, (1u << SEGMENTS) - 1);
    assert_int_equal(listed(c, c->pcb.unacked) & unsent, 0);
}

/* All of unsent goes out again, as lwIP's tcp_output has it. */
static void send_all(struct conn *c)
{
    while (c->pcb.unsent) {
        struct tcp_seg *s = c->pcb.unsent, **to = &c->pcb.unacked;
        c->pcb.unsent = s->next;
        while (*to && *to < s)
            to = &(*to)->next;
        s->next = *to;
        *to = s;
    }
}

/* The peer acknowledges everything before segment n. */
static void acknowledge(struct conn *c, unsigned n)
{
    while (c->pcb.unacked && c->pcb.unacked < &c->seg[n])
        c->pcb.unacked = c->pcb.unacked->next;
    c->pcb.lastack = at(n);
}

/* ---- what the peer says ---- */

static void whole_segments_are_marked(void **state)
{
    struct conn *c = *state;
    sack_one(c, at(2), at(4));
    assert_int_equal(flagged(c, HAS), 0x00c);
    assert_true(c->pcb.flags & TCP_SACK_HOLES);
    sack_one(c, at(7) + 1, at(8)); /* parts */
    sack_one(c, at(9), at(10) - 1);
    assert_int_equal(flagged(c, HAS), 0x00c);
    sack_one(c, at(6) + 1, at(9) - 1);
    assert_int_equal(flagged(c, HAS), 0x08c);
}

static void blocks_add_up(void **state)
{
    struct conn *c = *state;
    const uint32_t blocks[4][2] = {
        { at(8), at(10) }, { at(1), at(3) }, { at(2), at(4) }, { at(4), at(5) }
    };
    sack(c, blocks, 4);
    assert_int_equal(flagged(c, HAS), 0x31e); /* across the wrap, overlapping, side by side */
    sack_one(c, at(1), at(2));                /* said again, and less than before */
    assert_int_equal(flagged(c, HAS), 0x31e);
}

static void what_was_never_sent_is_not_had(void **state)
{
    struct conn *c = *state;
    sack_one(c, at(3), at(SEGMENTS) + 1);
    sack_one(c, at(SEGMENTS), at(SEGMENTS + 2));
    sack_one(c, at(3), at(3) + 0x80000000u);
    assert_int_equal(flagged(c, HAS), 0);
    assert_false(c->pcb.flags & TCP_SACK_HOLES);
    sack_one(c, at(SEGMENTS - 1), at(SEGMENTS));
    assert_int_equal(flagged(c, HAS), 1u << (SEGMENTS - 1));
}

/* The last segment's FIN has a number, too. */
static void a_fin_counts(void **state)
{
    struct conn *c = *state;
    c->h[SEGMENTS - 1]._hdrlen_rsvd_flags = lwip_htons(5 << 12 | TCP_ACK | TCP_FIN);
    c->pcb.snd_nxt++;
    sack_one(c, at(SEGMENTS - 1), at(SEGMENTS));
    assert_int_equal(flagged(c, HAS), 0);
    sack_one(c, at(SEGMENTS - 1), at(SEGMENTS) + 1);
    assert_int_equal(flagged(c, HAS), 1u << (SEGMENTS - 1));
}

static void what_came_twice_is_not_news(void **state)
{
    struct conn *c = *state;
    const uint32_t blocks[2][2] = { { at(0), at(2) }, { at(6), at(7) } };
    acknowledge(c, 3);
    sack(c, blocks, 2); /* RFC 2883: the first is below what is acknowledged */
    assert_int_equal(flagged(c, HAS), 0x040);
    sack_one(c, at(2), at(5)); /* begins below it */
    assert_int_equal(flagged(c, HAS), 0x040);
}

static void nonsense_is_not_taken(void **state)
{
    struct conn *c = *state;
    uint8_t o[40];
    sack_one(c, at(4), at(4));
    sack_one(c, at(6), at(4));
    assert_int_equal(flagged(c, HAS), 0);
    memset(o, NOP, sizeof(o));
    o[0] = KIND_SACK;
    for (unsigned len = 0; len < 256; len++)
        for (unsigned n = 0; n <= 18; n++) { /* an option that says a length, in n bytes */
            o[1] = (uint8_t)len;
            put32(o + 2, at(2));
            put32(o + 6, at(3));
            put32(o + 10, at(4));
            put32(o + 14, at(5));
            bool first = len >= 10 && len <= n, second = len >= 18 && len <= n;
            options(c, o, n);
            assert_int_equal(flagged(c, HAS), (first ? 0x004 : 0) | (second ? 0x010 : 0));
            c->seg[2].flags = c->seg[4].flags = 0;
        }
    memcpy(o, (const uint8_t[]){ NOP, 0, KIND_SACK, 10 }, 4); /* behind the end of the list */
    put32(o + 4, at(2));
    put32(o + 8, at(3));
    options(c, o, 12);
    assert_int_equal(flagged(c, HAS), 0);
    memcpy(o, (const uint8_t[]){ 8, 2, KIND_SACK, 10 }, 4); /* behind another option */
    options(c, o, 12);
    assert_int_equal(flagged(c, HAS), 0x004);
}

static void nobody_agreed_on_it(void **state)
{
    struct conn *c = *state;
    c->pcb.flags = 0;
    sack_one(c, at(2), at(4));
    c->pcb.flags = TF_SACK;
    c->pcb.unacked = NULL;
    sack_one(c, at(2), at(4));
    assert_int_equal(flagged(c, HAS), 0);
}

/* Any blocks: marked is what lies within one of them, and that within what is under way. Counted without a wrap. */
static void as_in_numbers_that_do_not_wrap(void **state)
{
    uint32_t random = 1;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct conn *c = *state;
        uint32_t blocks[4][2];
        unsigned want = 0, first = round % 3;
        for (unsigned i = 0; i < SEGMENTS; i++)
            c->seg[i].flags = 0;
        c->pcb.unacked = &c->seg[first];
        c->pcb.lastack = at(first);
        for (unsigned b = 0; b < 4; b++) {
            int32_t edge[2]; /* relative to BASE, on the segments' edges mostly */
            for (unsigned e = 0; e < 2; e++) {
                random = random * 1664525 + 1013904223;
                edge[e] = (int32_t)(random >> 16) % (SEGMENTS + 4) * MSS - 2 * MSS;
                edge[e] += random >> 12 & 1 ? 0 : (int32_t)(random >> 8 & 3) - 1;
                blocks[b][e] = BASE + (uint32_t)edge[e];
            }
            for (int i = (int)first; i < SEGMENTS; i++)
                if (edge[0] >= (int)first * MSS && edge[1] <= SEGMENTS * MSS &&
                    i * MSS >= edge[0] && (i + 1) * MSS <= edge[1])
                    want |= 1u << i;
        }
        sack(c, blocks, 4);
        assert_int_equal(flagged(c, HAS), want);
    }
}

/* ---- what is sent again ---- */

static void three_that_overtook_begin_a_repair(void **state)
{
    struct conn *c = *state;
    sack_one(c, at(1), at(3));
    assert_int_equal(tcp_sack_prepare(&c->pcb), 2 * SEGMENTS * MSS + 2 * MSS);
    assert_lists(c, 0);
    assert_false(c->pcb.flags & TCP_SACK_REPAIR);
    sack_one(c, at(1), at(4));
    uint32_t open = tcp_sack_prepare(&c->pcb);
    assert_lists(c, 0x001); /* what lies above the last that it has may only be late */
    assert_int_equal(flagged(c, SENT), 0x001);
    assert_true(c->pcb.flags & TCP_SACK_REPAIR && c->pcb.flags & TF_INFR);
    assert_int_equal(c->pcb.ssthresh, SEGMENTS * MSS);
    assert_int_equal(c->pcb.cwnd, c->pcb.ssthresh);
    assert_int_equal(open, SEGMENTS * MSS + 3 * MSS);
}

static void holes_go_two_at_a_time_and_once(void **state)
{
    struct conn *c = *state;
    const uint32_t blocks[3][2] = { { at(1), at(2) }, { at(3), at(4) }, { at(9), at(11) } };
    sack(c, blocks, 3);
    (void)tcp_sack_prepare(&c->pcb);
    assert_lists(c, 0x005);
    send_all(c);
    (void)tcp_sack_prepare(&c->pcb);
    assert_lists(c, 0x030); /* across the wrap */
    send_all(c);
    c->p[7].ref = 2; /* the device has it still */
    (void)tcp_sack_prepare(&c->pcb);
    assert_lists(c, 0x140);
    send_all(c);
    (void)tcp_sack_prepare(&c->pcb);
    assert_lists(c, 0);
    c->p[7].ref = 1;
    (void)tcp_sack_prepare(&c->pcb);
    assert_lists(c, 0x080);
}

static void the_window_takes_what_is_sent_again(void **state)
{
    struct conn *c = *state;
    c->pcb.snd_wnd = 3 * MSS;
    const uint32_t blocks[2][2] = { { at(1), at(9) }, { at(10), at(11) } };
    sack(c, blocks, 2);
    uint32_t open = tcp_sack_prepare(&c->pcb);
    assert_lists(c, 0x201);
    assert_int_equal(c->pcb.ssthresh, 2 * MSS); /* the least */
    assert_int_equal(open, 2 * MSS + 9 * MSS);
    c->pcb.flags = TF_SACK;
    send_all(c);
    for (unsigned i = 0; i < SEGMENTS; i++)
        c->seg[i].flags = 0;
    /* lwIP's own repair, of a peer without marks: the first only, whatever the window. */
    c->pcb.flags |= TF_INFR;
    c->pcb.ssthresh = c->pcb.cwnd = 0;
    assert_int_equal(tcp_sack_prepare(&c->pcb), MSS);
    assert_lists(c, 0x001);
}

static void a_repair_ends_where_it_began(void **state)
{
    struct conn *c = *state;
    sack_one(c, at(1), at(4));
    (void)tcp_sack_prepare(&c->pcb);
    send_all(c);
    acknowledge(c, SEGMENTS - 1);
    (void)tcp_sack_prepare(&c->pcb);
    assert_true(c->pcb.flags & TCP_SACK_REPAIR && c->pcb.flags & TF_INFR);
    send_all(c);
    acknowledge(c, SEGMENTS);
    (void)tcp_sack_prepare(&c->pcb);
    assert_int_equal(c->pcb.flags & (TCP_SACK_REPAIR | TCP_SACK_HOLES | TF_INFR), 0);
}

static void what_is_lost_twice_is_sent_thrice(void **state)
{
    struct conn *c = *state;
    c->pcb.snd_nxt = at(7); /* the others are sent later */
    c->seg[6].next = NULL;
    sack_one(c, at(1), at(7));
    (void)tcp_sack_prepare(&c->pcb);
    assert_int_equal(listed(c, c->pcb.unsent), 0x001);
    send_all(c);
    c->seg[6].next = &c->seg[7];
    c->pcb.snd_nxt = at(SEGMENTS);
    sack_one(c, at(7), at(9));
    (void)tcp_sack_prepare(&c->pcb);
    assert_lists(c, 0); /* two that overtook it are not enough */
    sack_one(c, at(10), at(11));
    (void)tcp_sack_prepare(&c->pcb);
    assert_lists(c, 0x201);
    assert_int_equal(c->pcb.ssthresh, SEGMENTS * MSS / 2);
}

static void the_last_two_have_no_three_behind_them(void **state)
{
    struct conn *c = *state;
    acknowledge(c, SEGMENTS - 2);
    sack_one(c, at(SEGMENTS - 1), at(SEGMENTS));
    (void)tcp_sack_prepare(&c->pcb);
    assert_int_equal(listed(c, c->pcb.unsent), 1u << (SEGMENTS - 2));
}

/* ---- the clock has run out ---- */

/* lwIP has moved everything to what is to be sent. */
static void time_out(struct conn *c)
{
    send_all(c);
    c->pcb.unsent = c->pcb.unacked;
    c->pcb.unacked = NULL;
    tcp_set_flags(&c->pcb, TF_RTO);
    tcp_sack_timeout(&c->pcb);
}

static void a_time_out_spares_what_the_peer_has(void **state)
{
    struct conn *c = *state;
    const uint32_t blocks[2][2] = { { at(2), at(3) }, { at(4), at(7) } };
    sack(c, blocks, 2);
    (void)tcp_sack_prepare(&c->pcb);
    c->pcb.nrtx = 2;
    time_out(c);
    assert_lists(c, 0xf8b);
    assert_int_equal(flagged(c, HAS), 0x074);
    assert_int_equal(flagged(c, SENT), 0);
    assert_int_equal(c->pcb.flags & (TF_INFR | TCP_SACK_REPAIR), 0);
    assert_true(c->pcb.flags & TCP_SACK_HOLES);
}

static void a_peer_may_drop_what_it_had(void **state)
{
    struct conn *c = *state;
    sack_one(c, at(4), at(7));
    c->pcb.nrtx = 3; /* RFC 2018, 8: the marks are not believed for ever */
    time_out(c);
    assert_lists(c, 0xfff);
    assert_int_equal(flagged(c, HAS), 0);
    assert_false(c->pcb.flags & TCP_SACK_HOLES);
}

static void a_peer_that_lacks_nothing_has_dropped_it(void **state)
{
    struct conn *c = *state;
    sack_one(c, at(0), at(7)); /* and acknowledges none of it */
    (void)tcp_sack_prepare(&c->pcb);
    assert_lists(c, 0);
    time_out(c);
    assert_lists(c, 0xfff);
    assert_int_equal(flagged(c, HAS), 0);
}

static void the_clock_is_bounded(void **state)
{
    struct conn *c = *state;
    c->pcb.rto = 601;
    tcp_sack_timeout(&c->pcb);
    assert_int_equal(c->pcb.rto, 600);
    assert_int_equal(c->pcb.flags, TF_SACK); /* nothing else where nothing is marked */
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(whole_segments_are_marked),
        CASE(blocks_add_up),
        CASE(what_was_never_sent_is_not_had),
        CASE(a_fin_counts),
        CASE(what_came_twice_is_not_news),
        CASE(nonsense_is_not_taken),
        CASE(nobody_agreed_on_it),
        CASE(as_in_numbers_that_do_not_wrap),
        CASE(three_that_overtook_begin_a_repair),
        CASE(holes_go_two_at_a_time_and_once),
        CASE(the_window_takes_what_is_sent_again),
        CASE(a_repair_ends_where_it_began),
        CASE(what_is_lost_twice_is_sent_thrice),
        CASE(the_last_two_have_no_three_behind_them),
        CASE(a_time_out_spares_what_the_peer_has),
        CASE(a_peer_may_drop_what_it_had),
        CASE(a_peer_that_lacks_nothing_has_dropped_it),
        CASE(the_clock_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
