/* SPDX-License-Identifier: MIT */
/* Restricted injection of SEV-SNP: the host can raise one exception alone, #HV, which means "look at the doorbell page", a
 * shared page of this CPU where it says which interrupt is pending. #HV is no interrupt: it comes with interrupts off too. It is
 * then kept in mind (x86_cpu.rung, X86_THREAD_DOORBELL), and served where interrupts would be let in.
 * Spec: AMD APM volume 2, 15.36.16; GHCB specification 2.03, 5. */
#ifndef CC_DOORBELL_H
#define CC_DOORBELL_H

#include <base/compiler.h>
#include <base/types.h>

struct plat_frame;
struct x86_cpu;

/* A further CPU's page, before it starts; false: there is no memory. */
NODISCARD bool doorbell_prepare(struct x86_cpu *c);
/* On CPU c, which has a GHCB: from now on its interrupts come by its page; the first CPU's is made here. The end of the guest
 * when the host will not have that. */
void doorbell_register(struct x86_cpu *c);

/* #HV. False: this guest has no doorbell. from_user: f is ring 3's, and what is pending is served at once. Else it is noted, and
 * f goes on where it was, but where it would wait for an interrupt, or would return to ring 3 without having looked again. */
bool doorbell_rings(struct plat_frame *f, bool from_user);
/* Serve what is pending, with interrupts off, as if it had come at f (NULL: in ring 0). False: this guest has no doorbell. */
bool doorbell_serve(struct plat_frame *f);
/* Wait until it rings, and serve it. False: this guest has no doorbell. */
bool doorbell_halt(void);
/* At the end of an interrupt: whether the controller need not be told. Says so once for each. */
bool doorbell_ended(void);

#endif
