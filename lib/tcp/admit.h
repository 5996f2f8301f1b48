/* admit.h: which answers to strangers a worker gives when it cannot give all of them.
 *
 * A SYN-ACK, a SYN cookie or a reset costs several times what the segment costs that asks for it.
 * Under a flood of such segments the device's queue would overflow, and then everybody loses:
 * established connections first of all. So while the device has a backlog, strangers share a budget
 * of answers a burst; it shrinks until the queue is drained as fast as it fills, and grows back
 * when it is. Sources that have completed a handshake lately are no strangers: their SYNs are
 * answered beyond the budget, at a bounded rate each, for a spoofing flood does not know them (or
 * if it does, gains no more than that rate).
 *
 * Owner: one worker. 64 KiB, fixed. Time is handed in. Not here: which segments are SYNs.
 */
#ifndef TG_TCP_ADMIT_H
#define TG_TCP_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/addr.h>

#define TG_ADMIT_ALL 32  /* answers a burst without a backlog: as many as it has segments */
#define TG_ADMIT_LEAST 2 /* and with the worst one */
#define TG_ADMIT_SOURCES 4096
#define TG_ADMIT_BURST 128 /* SYNs of a proven source at once ... */
#define TG_ADMIT_RATE 1    /* ... and a millisecond */

/* A source that completed a handshake; found by its hash, whose other bits tell it apart. */
struct tg_admit_source {
	uint32_t tag;     /* 0: none */
	uint32_t seen_ms; /* the last handshake completed */
	uint32_t fill_ms; /* tokens as of then */
	uint32_t tokens;
};

struct tg_admit {
	uint64_t seed;
	uint32_t budget;     /* answers to strangers in a burst, TG_ADMIT_LEAST .. TG_ADMIT_ALL */
	uint32_t used;       /* in this burst */
	uint32_t full, calm; /* consecutive bursts of either kind */
	struct tg_admit_source sources[TG_ADMIT_SOURCES];
};

void tg_admit_init(struct tg_admit *a, uint64_t seed);
/* A burst begins; backlog: the device had at least a whole burst. */
void tg_admit_burst(struct tg_admit *a, bool backlog);
/* May this stranger be answered? Counts against the budget if so. */
bool tg_admit_stranger(struct tg_admit *a);
/* The same for a SYN of this source, which may be proven. IPv6: the /64 is the source. */
bool tg_admit_syn(struct tg_admit *a, const struct tg_ip *source, uint32_t now_ms);
/* It completed a handshake: it is where it says. */
void tg_admit_proven(struct tg_admit *a, const struct tg_ip *source, uint32_t now_ms);

#endif
