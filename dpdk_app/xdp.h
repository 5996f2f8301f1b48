/* xdp.h: which XDP program an interface has, by rtnetlink. Any thread; a few system calls each. */
#ifndef TIDEGATE_APP_XDP_H
#define TIDEGATE_APP_XDP_H

#include <stdint.h>

/* The program's id; 0: none, or no such interface. */
uint32_t tg_xdp_program(uint32_t ifindex);
/* Takes it off, whichever it is. TG_ESYS. */
int tg_xdp_detach(uint32_t ifindex);

#endif
