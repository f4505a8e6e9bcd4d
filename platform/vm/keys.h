/* SPDX-License-Identifier: MIT */
/* Ctrl-Alt-Del in a stream of a keyboard's bytes. Pure: unit-tested on the host. */
#ifndef VM_KEYS_H
#define VM_KEYS_H

#include <base/types.h>

/* What is held down, and the prefixes that came. All zero to begin with. */
struct keys {
    bool ctrl, alt, extended, released;
};

/* The next byte, of scan code set 1 (which a controller that translates gives) or 2 (Firecracker's). True: Del goes down while
 * Ctrl and Alt are held. */
bool keys_ctrl_alt_del(struct keys *k, uint8_t byte);

#endif
