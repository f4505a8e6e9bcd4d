/* SPDX-License-Identifier: MIT */
/* What the files of libos/proc know of tracing among themselves. */
#ifndef PROC_TRACE_INT_H
#define PROC_TRACE_INT_H

#include <libos/trace.h>

/* struct trace.pending: what makes a tracee stop on its way to ring 3. */
enum {
    TRACE_STOP = 1,   /* PTRACE_INTERRUPT, or the stop of a new tracee; any stop will do */
    TRACE_NOTIFY = 2, /* the group stopped or went on: tell a tracer that seized */
    TRACE_GROUP = 4,  /* the group stops: this one has not yet */
};

/* Stop with this wait code until the tracer says how to go on: the signal that it gives. why: CLD_TRAPPED, CLD_STOPPED.
 * sig_lock is held, and let go meanwhile. */
int trace_stop(struct thread *t, int code, int why, unsigned long message,
               struct abi_siginfo *info);
/* The stop of a group, or what PTRACE_INTERRUPT asked for. sig_lock as above. */
void trace_trap(struct thread *t);
/* A signal is about to be taken: what is to be taken in its place, 0: nothing. sig_lock as above. */
int trace_take_signal(struct thread *t, struct abi_siginfo *info);
/* The stop of a single step that led into a signal handler. */
void trace_handler_entered(struct thread *t);
/* SIGCONT, or another stop, was sent to the group of t. sig_lock is held. */
void trace_group_changed(struct thread *t, bool stops);
/* SIGKILL came for a process that ends: those that stopped on their way out go on. sig_lock is held. */
void trace_kill(struct process *p);
/* The call was entered by the usual entry, but its end is to be reported. */
void trace_late_end(struct plat_frame *f);

/* t traces nobody any more: it ends. */
void trace_tracer_exits(struct thread *t);
/* Undo the tie between t and its tracer. process_lock and sig_lock are held. */
void trace_unlink(struct thread *t);
/* The traced t has ended: tell its tracer. process_lock is held. */
void trace_notify_exit(struct thread *t, int code, int status);

/* Put info into t's queue and wake it. sig_lock is held. */
void signal_send_locked(struct thread *t, const struct abi_siginfo *info);
/* Have t look at its work, whatever it does now. states: bit mask of what may be woken. */
void signal_poke(struct thread *t, unsigned states);

#endif
