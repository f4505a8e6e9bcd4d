/* SPDX-License-Identifier: MIT */
/* PR_SET_MM, for prctl.c. */
#ifndef PRCTL_MM_H
#define PRCTL_MM_H

/* The option PR_SET_MM with its other arguments; 0 or an errno. */
int prctl_set_mm(unsigned long what, unsigned long addr, unsigned long a4, unsigned long a5);

#endif
