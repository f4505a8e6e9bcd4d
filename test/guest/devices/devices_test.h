/* SPDX-License-Identifier: MIT */
/* The parts of the device test. Each prints what it found as lines "NAME key=value ..." and panics on what is wrong. */
#ifndef DEVICES_TEST_H
#define DEVICES_TEST_H

#include <base/compiler.h>
#include <base/log.h>
#include <base/types.h>

/* Print one line. */
void say(const char *format, ...) PRINTF(1, 2);
/* The value of NAME= on the loader's command line, as a number; 0: not there. */
unsigned long option(const char *name);

void test_blk(void);
void test_net(void);

#endif
