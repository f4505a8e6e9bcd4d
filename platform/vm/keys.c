/* SPDX-License-Identifier: MIT */
/* Pure: see keys.h. The two sets have no code in common that means one of these keys in one and is a prefix in the other; what
 * another key's code of the one set would hold down in the other is Ctrl (T) and Alt (W), and E0 71 is no key of set 1. */
#include "vm/keys.h"

enum { EXTENDED = 0xe0, RELEASED_2 = 0xf0, RELEASED_1 = 0x80 };
enum { CTRL_1 = 0x1d, ALT_1 = 0x38, DEL_1 = 0x53, CTRL_2 = 0x14, ALT_2 = 0x11, DEL_2 = 0x71 };

bool keys_ctrl_alt_del(struct keys *k, uint8_t byte)
{
    bool extended = k->extended, up = k->released;

    if (byte == EXTENDED || byte == RELEASED_2) {
        k->extended = k->extended || byte == EXTENDED;
        k->released = byte == RELEASED_2;
        return false;
    }
    k->extended = k->released = false;
    if (byte & RELEASED_1) {
        up = true;
        byte &= (uint8_t)~RELEASED_1;
    }
    if (byte == CTRL_1 || byte == CTRL_2)
        k->ctrl = !up;
    else if (byte == ALT_1 || byte == ALT_2)
        k->alt = !up;
    return k->ctrl && k->alt && !up &&
           ((byte == DEL_2 && extended) || byte == DEL_1); /* 53 alone: the keypad's */
}
