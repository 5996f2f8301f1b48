/* secret.h: what an off-path attacker must not guess: initial sequence numbers (RFC 6528), source
 * ports (RFC 6056), timestamp offsets (RFC 7323 section 7.1) and SYN cookies (RFC 4987).
 *
 * Owner: one worker. No memory beyond the struct. All is SipHash-2-4 with keys derived from one
 * 32-byte secret; time (ns) is handed in. Cookies age by a 64 s counter.
 */
#ifndef TG_TCP_SECRET_H
#define TG_TCP_SECRET_H

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/addr.h>
#include <tidegate/err.h>

struct tg_secret {
	uint8_t isn[16], ts[16], cookie1[16], cookie2[16], port[16];
	uint64_t port_draws; /* goes into each draw, so that none repeats */
};

void tg_secret_init(struct tg_secret *s, const uint8_t secret[32]);

/* RFC 6528: a 4 us clock plus a keyed hash of the 4-tuple. */
uint32_t tg_secret_isn(const struct tg_secret *s, const struct tg_flow *f, uint64_t now);

/* What to add to the TS clock for the connection: a hash of the two addresses only, so that
 * timestamps go on rising over successive connections of a pair of hosts (RFC 6191, PAWS in
 * TIME-WAIT), and tell nobody our uptime. */
uint32_t tg_secret_ts_offset(const struct tg_secret *s, const struct tg_flow *f);

/* Is the source port good? f is complete. */
typedef bool tg_port_ok_fn(void *ctx, const struct tg_flow *f);

#define TG_SECRET_PORT_DRAWS 32

/* Source port for an active open: drawn anew for each (RFC 6056 section 3.3.2), so that who has
 * seen the ports of a thousand connections to a destination knows nothing of the next one's.
 * (Algorithms 3 and 4 count up towards a destination: that is what they are guessed by. What they
 * are for, not to meet an old TIME-WAIT at the other end again soon, is seen to by timestamps and
 * ISNs that rise.) After TG_SECRET_PORT_DRAWS draws in vain, candidates are tried in a row from a
 * drawn one on, each once and max_tries at most (0: all), until ok says yes. f->lport is set. 0, or
 * TG_ENOPORT (f->lport is then anything). first <= last, first >= 1. */
int tg_secret_port(struct tg_secret *s, struct tg_flow *f, uint16_t first, uint16_t last,
	uint32_t max_tries, tg_port_ok_fn *ok, void *ctx);

/* SYN cookies. The cookie is our ISN; its MSS is the largest of a table of eight that is not above
 * the peer's. The rest of the peer's options rides in the low 6 bits of our timestamp, if the peer
 * sends timestamps; otherwise there is neither window scale nor SACK. */
#define TG_COOKIE_TS_BITS 6

struct tg_cookie_opts {
	uint8_t wscale; /* the peer's, 0 .. 14 */
	bool wscale_ok, sack_ok, ecn_ok;
};

/* f as seen by us, peer_isn = SEG.SEQ of the SYN; mss: the peer's (536 or 1220 when it sent none).
 */
uint32_t tg_cookie_make(const struct tg_secret *s, const struct tg_flow *f, uint32_t peer_isn,
	uint16_t mss, uint64_t now);

/* The ACK of a handshake by cookie: isn = SEG.ACK - 1, peer_isn = SEG.SEQ - 1. The MSS (536 or
 * more), or 0: not a cookie of ours, or older than two periods (64 .. 128 s). */
uint16_t tg_cookie_check(const struct tg_secret *s, const struct tg_flow *f, uint32_t isn,
	uint32_t peer_isn, uint64_t now);

/* TSval of a SYN-ACK with cookie: ts_now with its low bits replaced, never later than ts_now.
 * ts_now is the clock without tg_secret_ts_offset(); the caller adds that afterwards. */
uint32_t tg_cookie_ts(uint32_t ts_now, const struct tg_cookie_opts *o);

/* And back, from TSecr minus tg_secret_ts_offset(). Believe it only after tg_cookie_check(). */
void tg_cookie_ts_parse(uint32_t ts, struct tg_cookie_opts *o);

#endif
