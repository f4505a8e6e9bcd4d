/* SPDX-License-Identifier: MIT */
/* Wall time and the clocks that ring 3 reads without a call. */
#ifndef LIBOS_TIME_H
#define LIBOS_TIME_H

/* Set CLOCK_REALTIME from the platform and publish the vDSO's data. Needs pages. Called once, at boot. */
void time_init(void);

#endif
