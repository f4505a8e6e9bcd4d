/* SPDX-License-Identifier: MIT */
/* The rounds of the stress test. Each takes well below a second, checks what it did, and ends the process by stress_fail
 * when something is wrong. */
#ifndef STRESS_H
#define STRESS_H

/* The program, to be executed. */
extern const char *const stress_self;

void stress_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
int stress_stopped(void);
unsigned stress_random(unsigned *state);

void stress_processes(unsigned seed);
void stress_memory(unsigned seed);
void stress_mappings(unsigned seed);
void stress_futexes(unsigned seed);
void stress_files(unsigned seed);
void stress_truncation(unsigned seed);
void stress_pipes(unsigned seed);
void stress_signals(unsigned seed);
void stress_timers(unsigned seed);
void stress_threads(unsigned seed);
void stress_affinity(unsigned seed);

#define NEED(e)                                                                                    \
    do {                                                                                           \
        if (!(e))                                                                                  \
            stress_fail("%s:%d: %s", __FILE__, __LINE__, #e);                                      \
    } while (0)

#endif
