/* memconn.h: two conns joined back to back in memory, for tests of everything above TCP.
 *
 * What one writes the other reads, through ring buffers of a chosen size; FIN, RST, connect failure
 * and small windows can be produced at will. One thread; uses malloc; tests only.
 */
#ifndef TIDEGATE_MEMCONN_H
#define TIDEGATE_MEMCONN_H

#include <tidegate/ready.h>

struct tg_memconn_pair {
	struct tg_conn *a, *b;
};

/* Both ends open, each with room for buf_bytes unread bytes. Addresses go to info(). */
struct tg_memconn_pair tg_memconn_open(struct tg_ready *r, uint32_t buf_bytes,
	const struct tg_sockaddr *a, const struct tg_sockaddr *b);
/* tg_ready_drain()'s reap. */
void tg_memconn_reap(void *ctx, struct tg_conn *c);
/* The end fails as if by a reset: FAILED with why. */
void tg_memconn_fail(struct tg_conn *c, enum tg_why why);
/* From now on the end acknowledges nothing: bytes that its peer writes count as never delivered. */
void tg_memconn_deaf(struct tg_conn *c);
/* It acknowledges again, what came meanwhile included; its peer hears of that at the next event. */
void tg_memconn_hears(struct tg_conn *c);
/* From now on a write takes at most `most` bytes, however much space there seems to be: TCP without
 * packet buffers. 0: as usual. */
void tg_memconn_stingy(struct tg_conn *c, uint32_t most);
/* From now on the end's peer refuses tg_conn_fault(), as a TLS connection that is not open does. */
void tg_memconn_faultless(struct tg_conn *c);
/* Conns alive (not yet reaped), over all pairs: 0 at the end of a test. */
uint32_t tg_memconn_alive(void);

#endif
