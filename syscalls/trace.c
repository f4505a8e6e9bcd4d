/* SPDX-License-Identifier: MIT */
/* Decodes system calls in strace's format, from the descriptors that gen.py writes. What is printed was read from
 * the program's memory apart from what the call read, so a racing program can make the two differ; it shows, it does
 * not decide. Arguments before the first one that the call writes are read before the call, the others after. */
#include "trace.h"

#include <libos/sys.h>
#include <libos/thread.h>
#include <libos/trace.h>
#include <libos/user.h>
#include <sys_proto.h>

#include <base/log.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { RESULT_COLUMN = 40 };

static _Atomic int unfinished; /* tid of the thread whose line has no end yet; 0: none */

void trace_add(struct trace_line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof(l->text) - 64; /* the result always fits */
    int n = l->used < room ? vsnprintf(l->text + l->used, room - l->used, format, args) : 0;
    va_end(args);
    if (n > 0 && l->used + (size_t)n >= room) {
        l->used = room - 4;
        memcpy(l->text + l->used, "...", 3);
        l->used = room; /* nothing more is added */
    } else if (n > 0) {
        l->used += (size_t)n;
    }
}

static void add_byte(struct trace_line *l, unsigned char c, unsigned char next)
{
    static const char from[] = "\n\t\r\v\f\"\\", to[] = "ntrvf\"\\";
    const char *special = c ? strchr(from, c) : NULL;
    if (special)
        trace_add(l, "\\%c", to[special - from]);
    else if (c >= ' ' && c < 0x7f)
        trace_add(l, "%c", c);
    else
        trace_add(l, next >= '0' && next <= '9' ? "\\%03o" : "\\%o", c);
}

void trace_bytes(struct trace_line *l, uintptr_t addr, size_t n)
{
    unsigned char buf[TRACE_STRING + 1] = { 0 };
    size_t shown = n < TRACE_STRING ? n : TRACE_STRING;
    if (user_read_raw(buf, addr, shown)) {
        trace_add(l, "%#lx", (unsigned long)addr);
        return;
    }
    trace_add(l, "\"");
    for (size_t i = 0; i < shown; i++)
        add_byte(l, buf[i], buf[i + 1]);
    trace_add(l, shown < n ? "\"..." : "\"");
}

/* A string of the program, at most max bytes of it; read piece by piece, as it may end just before an unmapped page. */
static void add_string(struct trace_line *l, uintptr_t addr, size_t max)
{
    unsigned char c, next;
    if (user_read_raw(&c, addr, 1)) {
        trace_add(l, "%#lx", (unsigned long)addr);
        return;
    }
    trace_add(l, "\"");
    for (size_t i = 0; c; i++, c = next) {
        if (i == max) {
            trace_add(l, "\"...");
            return;
        }
        if (user_read_raw(&next, addr + i + 1, 1))
            next = 0;
        add_byte(l, c, next);
    }
    trace_add(l, "\"");
}

/* Some lists hold numbers in their low bits beside single bits (O_ACCMODE, FUTEX_WAKE): the name with most bits that
 * are all there wins, and a name for 0 is shown when the low six bits are 0. */
void trace_flags(struct trace_line *l, const struct trace_value *list, unsigned long v)
{
    unsigned long left = v;
    const char *bar = "";
    for (const struct trace_value *z = list; z->name; z++)
        if (z->value == 0 && (v & 0x3f) == 0) {
            trace_add(l, "%s", trace_strings + z->name);
            bar = "|";
        }
    while (left) {
        const struct trace_value *best = NULL;
        for (const struct trace_value *f = list; f->name; f++)
            if (f->value && (left & f->value) == f->value &&
                (!best || __builtin_popcount(f->value) > __builtin_popcount(best->value)))
                best = f;
        if (!best)
            break;
        trace_add(l, "%s%s", bar, trace_strings + best->name);
        left &= ~(unsigned long)best->value;
        bar = "|";
    }
    if (left || !*bar)
        trace_add(l, "%s%#lx", bar, left);
}

static void add_one(struct trace_line *l, const struct trace_value *list, int v)
{
    for (; list->name; list++)
        if (list->value == (uint32_t)v) {
            trace_add(l, "%s", trace_strings + list->name);
            return;
        }
    trace_add(l, "%#x", (unsigned)v);
}

static void add_clock(struct trace_line *l, int v)
{
    static const char names[][16] = { "REALTIME",        "MONOTONIC",     "PROCESS_CPUTIME",
                                      "THREAD_CPUTIME",  "MONOTONIC_RAW", "REALTIME_COARSE",
                                      "MONOTONIC_COARS", "BOOTTIME",      "REALTIME_ALARM",
                                      "BOOTTIME_ALARM" };
    if (v >= 0 && v < (int)ARRAY_SIZE(names))
        trace_add(l, "CLOCK_%.15s%s", names[v], v == 2 || v == 3 ? "_ID" : v == 6 ? "E" : "");
    else
        trace_add(l, "%d", v);
}

static void add_number(struct trace_line *l, unsigned kind, const struct trace_value *values,
                       unsigned long v)
{
    switch (kind) {
    case K_dirfd:
        if ((int)v == AT_FDCWD)
            trace_add(l, "AT_FDCWD");
        else
            trace_add(l, "%d", (int)v);
        return;
    case K_sig:
        trace_signal(l, (int)v);
        return;
    case K_clock:
        add_clock(l, (int)v);
        return;
    case K_one:
        add_one(l, values, (int)v);
        return;
    case K_flags:
        trace_flags(l, values, (unsigned)v);
        return;
    case K_lflags:
        trace_flags(l, values, v);
        return;
    case K_mode:
        trace_add(l, "%#03o", (unsigned)v);
        return;
    case K_uint:
    case K_uid:
    case K_gid:
        trace_add(l, "%u", (unsigned)v);
        return;
    case K_addr:
        trace_add(l, v ? "%#lx" : "NULL", v);
        return;
    case K_size:
    case K_ulong:
    case K_u64:
        trace_add(l, "%lu", v);
        return;
    case K_long:
    case K_off:
    case K_ssize:
        trace_add(l, "%ld", (long)v);
        return;
    default:
        trace_add(l, "%d", (int)v);
    }
}

/* argv and envp: strings up to a NULL. */
static void add_vector(struct trace_line *l, uintptr_t addr)
{
    uintptr_t s;
    trace_add(l, "[");
    for (unsigned i = 0; !user_read_raw(&s, addr + i * sizeof(s), sizeof(s)) && s; i++) {
        if (i == TRACE_ELEMENTS) {
            trace_add(l, ", ...");
            break;
        }
        trace_add(l, i ? ", " : "");
        add_string(l, s, TRACE_STRING);
    }
    trace_add(l, "]");
}

static void add_array(struct trace_line *l, unsigned kind, uintptr_t addr, size_t n)
{
    trace_add(l, "[");
    for (size_t i = 0; i < n; i++) {
        trace_add(l, i ? ", " : "");
        if (i == TRACE_ELEMENTS) {
            trace_add(l, "...");
            break;
        }
        if (!trace_object(l, kind, addr + i * trace_object_size(kind))) {
            trace_add(l, "%#lx", (unsigned long)addr);
            break;
        }
    }
    trace_add(l, "]");
}

/* What the pointer v of argument a points to; all are the call's arguments, ret its result so far. */
static void add_pointed(struct trace_line *l, const struct trace_arg *a, unsigned long v,
                        const unsigned long *all, long ret)
{
    size_t n = a->len >= 16 ? all[a->len - 16] : a->len;
    if (a->kind == K_path || a->kind == K_str)
        add_string(l, v, a->kind == K_path ? TRACE_PATH : TRACE_STRING);
    else if (a->len == 15)
        add_vector(l, v);
    else if (a->kind == K_u8 || a->kind == K_char)
        trace_bytes(l, v, a->way == TRACE_OUT && (size_t)ret < n ? (size_t)ret : n);
    else if (a->len && trace_object_size(a->kind))
        add_array(l, a->kind, v,
                  a->way == TRACE_OUT && a->len >= 16 && (size_t)ret < n ? (size_t)ret : n);
    else if (!a->len && (a->kind == K_int || a->kind == K_uint || a->kind == K_addr))
        add_array(l, a->kind, v, 1);
    else if (!trace_object(l, a->kind, v))
        trace_add(l, "%#lx", v);
}

/* Arguments from number from on, as long as they are not written by the call (or to the end when it is over). The number
 * of the first one that is left. */
static unsigned add_args(struct trace_line *l, const struct trace_call *c, unsigned from,
                         const unsigned long *all, const long *ret)
{
    unsigned i = from;
    for (; i < c->count; i++) {
        const struct trace_arg *a = &trace_args[c->args + i];
        if (!ret && a->way >= TRACE_OUT)
            break;
        if (a->kind == K_mode && i && a[-1].kind == K_flags &&
            !(all[i - 1] & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY))
            continue; /* open: the mode counts only for a new file */
        trace_add(l, i > from ? ", " : "");
        if (a->way == TRACE_VALUE)
            add_number(l, a->kind, &trace_values[a->values], all[i]);
        else if (!all[i])
            trace_add(l, "NULL");
        else if (ret && *ret < 0 && a->way == TRACE_OUT)
            trace_add(l, "%#lx", all[i]);
        else
            add_pointed(l, a, all[i], all, ret ? *ret : 0);
    }
    if (!ret && i && i < c->count)
        trace_add(l, ", ");
    return i;
}

/* ")" and the blanks up to the column where strace puts "=". */
static void add_close(struct trace_line *l)
{
    size_t column = l->column + l->used + 1;
    int blanks = column < RESULT_COLUMN ? (int)(RESULT_COLUMN - column) : 1;
    l->used += (size_t)snprintf(l->text + l->used, sizeof(l->text) - l->used, ")%*s= ", blanks, "");
}

static void add_result(struct trace_line *l, const struct trace_call *c, long ret)
{
    add_close(l);
    const char *name = ret < 0 && ret > -4096 ? trace_errno((int)-ret) : NULL;
    size_t room = sizeof(l->text) - l->used;
    int n;
    if (name)
        n = snprintf(l->text + l->used, room, "-1 %s\n", name);
    else if (ret <= -512 && ret > -4096)
        n = snprintf(l->text + l->used, room, "? (interrupted by a signal)\n");
    else if (c && c->ret == K_addr)
        n = snprintf(l->text + l->used, room, "%#lx\n", ret);
    else if (c && c->ret == K_mode)
        n = snprintf(l->text + l->used, room, "%#03lo\n", ret);
    else
        n = snprintf(l->text + l->used, room, "%ld\n", ret);
    l->used += (size_t)n;
}

static const struct trace_call *find_call(unsigned long nr)
{
    unsigned low = 0, high = trace_call_count;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (trace_calls[mid].nr < nr)
            low = mid + 1;
        else
            high = mid;
    }
    return low < trace_call_count && trace_calls[low].nr == nr ? &trace_calls[low] : NULL;
}

/* Write the line; complete: it ends here. Another thread's unfinished line is ended first, as strace does. */
static void write_line(struct trace_line *l, int tid, bool complete)
{
    int open = atomic_exchange(&unfinished, complete ? 0 : tid);
    if (open && open != tid)
        log_raw(" <unfinished ...>\n", 18);
    log_raw(l->text, l->used);
    l->column = complete ? 0 : l->column + l->used;
    l->used = 0;
}

static void add_thread(struct trace_line *l, int tid)
{
    if (tid != 1)
        trace_add(l, "[pid %5d] ", tid);
}

long trace_decode(const unsigned long all[6], unsigned long nr)
{
    const struct trace_call *c = find_call(nr);
    struct trace_line l = { 0 };
    int tid = thread_current()->tid;
    unsigned i = 0;

    add_thread(&l, tid);
    if (!c)
        trace_add(&l, "syscall_%#lx(", nr);
    else
        trace_add(&l, "%s(", sys_call_name(nr));
    i = c ? add_args(&l, c, 0, all, NULL) : 0;
    if (c && c->ret == K_void) {
        add_close(&l);
        trace_add(&l, "?\n");
        write_line(&l, tid, true);
    } else if (c && c->blocks) {
        write_line(&l, tid, false);
    }
    long ret = upcall_syscall(all[0], all[1], all[2], all[3], all[4], all[5], nr);
    if (c && c->ret == K_void)
        return ret;
    if (!l.used && atomic_load(&unfinished) != tid) {
        l.column = 0;
        add_thread(&l, tid);
        trace_add(&l, "<... %s resumed>", sys_call_name(nr));
    }
    if (c)
        add_args(&l, c, i, all, &ret);
    add_result(&l, c, ret);
    write_line(&l, tid, true);
    return ret;
}
