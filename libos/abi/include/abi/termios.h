/* SPDX-License-Identifier: MIT */
/* Terminals and other ioctls (asm-generic/ioctls.h, asm-generic/termbits.h). */
#ifndef ABI_TERMIOS_H
#define ABI_TERMIOS_H

#include <base/user_ptr.h>
#include <stdint.h>

#define TCGETS             0x5401
#define TCSETS             0x5402
#define TCSETSW            0x5403
#define TCSETSF            0x5404
#define TCGETA             0x5405
#define TCSETA             0x5406
#define TCSETAW            0x5407
#define TCSETAF            0x5408
#define TCSBRK             0x5409
#define TCXONC             0x540a
#define TCFLSH             0x540b
#define TIOCEXCL           0x540c
#define TIOCNXCL           0x540d
#define TIOCSCTTY          0x540e
#define TIOCGPGRP          0x540f
#define TIOCSPGRP          0x5410
#define TIOCOUTQ           0x5411
#define TIOCSTI            0x5412
#define TIOCGWINSZ         0x5413
#define TIOCSWINSZ         0x5414
#define TIOCMGET           0x5415
#define TIOCGSOFTCAR       0x5419
#define TIOCSSOFTCAR       0x541a
#define TIOCSBRK           0x5427
#define TIOCCBRK           0x5428
#define TIOCGLCKTRMIOS     0x5456
#define TIOCSLCKTRMIOS     0x5457
#define TIOCCONS           0x541d
#define TIOCPKT            0x5420
#define TIOCGDEV           0x80045432u
#define TIOCSIG            0x40045436
#define TIOCVHANGUP        0x5437
#define TIOCGPKT           0x80045438u
#define TIOCGEXCL          0x80045440u
#define TIOCINQ            0x541b
#define TIOCNOTTY          0x5422
#define TIOCGETD           0x5424
#define TIOCSETD           0x5423
#define TCSBRKP            0x5425
#define TIOCGSID           0x5429
#define TCGETS2            0x802c542au
#define TCSETS2            0x402c542b
#define TIOCGPTN           0x80045430u
#define TIOCSPTLCK         0x40045431
#define TIOCGPTLCK         0x80045439u
#define TIOCGPTPEER        0x5441
#define FIONREAD           0x541b
#define FIONBIO            0x5421
#define FIONCLEX           0x5450
#define FIOCLEX            0x5451
#define FIOASYNC           0x5452
#define FIOQSIZE           0x5460
#define IGNBRK             01
#define BRKINT             02
#define IGNPAR             04
#define PARMRK             010
#define INPCK              020
#define ISTRIP             040
#define INLCR              0100
#define IGNCR              0200
#define ICRNL              0400
#define IUCLC              01000
#define IXON               02000
#define IXANY              04000
#define IXOFF              010000
#define IMAXBEL            020000
#define IUTF8              040000
#define OPOST              01
#define OLCUC              02
#define ONLCR              04
#define OCRNL              010
#define ONOCR              020
#define ONLRET             040
#define OFILL              0100
#define OFDEL              0200
#define XTABS              014000
#define CBAUD              010017
#define CSIZE              060
#define CS5                0
#define CS6                020
#define CS7                040
#define CS8                060
#define CSTOPB             0100
#define CREAD              0200
#define PARENB             0400
#define PARODD             01000
#define HUPCL              02000
#define CLOCAL             04000
#define B9600              015
#define B38400             017
#define B115200            010002
#define ISIG               01
#define ICANON             02
#define XCASE              04
#define ECHO               010
#define ECHOE              020
#define ECHOK              040
#define ECHONL             0100
#define NOFLSH             0200
#define TOSTOP             0400
#define ECHOCTL            01000
#define ECHOPRT            02000
#define ECHOKE             04000
#define FLUSHO             010000
#define PENDIN             040000
#define IEXTEN             0100000
#define EXTPROC            0200000
#define VINTR              0
#define VQUIT              1
#define VERASE             2
#define VKILL              3
#define VEOF               4
#define VTIME              5
#define VMIN               6
#define VSWTC              7
#define VSTART             8
#define VSTOP              9
#define VSUSP              10
#define VEOL               11
#define VREPRINT           12
#define VDISCARD           13
#define VWERASE            14
#define VLNEXT             15
#define VEOL2              16
#define TCOOFF             0
#define TCOON              1
#define TCIOFF             2
#define TCION              3
#define TCIFLUSH           0
#define TCOFLUSH           1
#define TCIOFLUSH          2
#define BOTHER             010000 /* speeds are numbers, in c_ispeed and c_ospeed */
#define IBSHIFT            16
#define TIOCPKT_DATA       0
#define TIOCPKT_FLUSHREAD  1
#define TIOCPKT_FLUSHWRITE 2
#define TIOCPKT_STOP       4
#define TIOCPKT_START      8
#define TIOCPKT_NOSTOP     16
#define TIOCPKT_DOSTOP     32
#define TIOCPKT_IOCTL      64

#define ABI_NCCS 19

/* The kernel's struct termios (TCGETS), which is shorter than libc's. */
struct abi_termios {
    uint32_t c_iflag;
    uint32_t c_oflag;
    uint32_t c_cflag;
    uint32_t c_lflag;
    uint8_t c_line;
    uint8_t c_cc[ABI_NCCS];
};

struct abi_termios2 {
    uint32_t c_iflag;
    uint32_t c_oflag;
    uint32_t c_cflag;
    uint32_t c_lflag;
    uint8_t c_line;
    uint8_t c_cc[ABI_NCCS];
    uint32_t c_ispeed;
    uint32_t c_ospeed;
};

/* TCGETA and its family: System V's. */
struct abi_termio {
    uint16_t c_iflag;
    uint16_t c_oflag;
    uint16_t c_cflag;
    uint16_t c_lflag;
    uint8_t c_line;
    uint8_t c_cc[8];
};

struct abi_winsize {
    uint16_t ws_row;
    uint16_t ws_col;
    uint16_t ws_xpixel;
    uint16_t ws_ypixel;
};
USER_TYPES(termios, struct abi_termios);
USER_TYPES(termios2, struct abi_termios2);
USER_TYPES(termio, struct abi_termio);
USER_TYPES(winsize, struct abi_winsize);

#endif
