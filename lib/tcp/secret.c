#include <string.h>

#include <tidegate/rng.h>
#include <tidegate/view.h>
#include <tidegate/wheel.h>

#include "secret.h"

#define COOKIE_PERIOD (64 * TG_SEC)
#define COOKIE_AGE_MAX 2 /* a cookie is good in its own period and in the next one */
#define COOKIE_MSS_BITS UINT32_C(0xffffff)

/* Ascending. What Ethernet, PPPoE, tunnels, jumbo frames and the two minima give for either
 * family. Eight values: three bits of guessing room is what they cost. */
static const uint16_t cookie_mss[8] = {536, 1220, 1300, 1440, 1452, 1460, 4312, 8940};

/* A key for each use, so that no output of one tells anything about another. */
static void derive(const uint8_t secret[32], uint8_t use, uint8_t key[16])
{
	uint8_t label[18];
	uint64_t half;

	memcpy(label, secret + 16, 16);
	label[16] = use;
	for (uint8_t i = 0; i < 2; i++) {
		label[17] = i;
		half = tg_siphash24(secret, label, sizeof(label));
		memcpy(key + 8 * i, &half, 8);
	}
}

void tg_secret_init(struct tg_secret *s, const uint8_t secret[32])
{
	derive(secret, 1, s->isn);
	derive(secret, 2, s->ts);
	derive(secret, 3, s->cookie1);
	derive(secret, 4, s->cookie2);
	derive(secret, 5, s->port);
	s->port_draws = 0;
}

uint32_t tg_secret_isn(const struct tg_secret *s, const struct tg_flow *f, uint64_t now)
{
	return (uint32_t)(now / (4 * TG_US)) + (uint32_t)tg_siphash24(s->isn, f, sizeof(*f));
}

uint32_t tg_secret_ts_offset(const struct tg_secret *s, const struct tg_flow *f)
{
	struct tg_ip pair[2] = {f->local, f->remote};

	return (uint32_t)tg_siphash24(s->ts, pair, sizeof(pair));
}

static uint32_t draw_port(struct tg_secret *s, const struct tg_flow *f, uint32_t span)
{
	struct {
		struct tg_flow flow;
		uint32_t low, high;
	} in = {*f, (uint32_t)s->port_draws, (uint32_t)(s->port_draws >> 32)};

	_Static_assert(sizeof(in) == sizeof(struct tg_flow) + 8, "no padding");
	s->port_draws++;
	in.flow.lport = 0;
	return (uint32_t)(tg_siphash24(s->port, &in, sizeof(in)) % span);
}

int tg_secret_port(struct tg_secret *s, struct tg_flow *f, uint16_t first, uint16_t last,
	uint32_t max_tries, tg_port_ok_fn *ok, void *ctx)
{
	uint32_t span = (uint32_t)last - first + 1, start;

	for (uint32_t i = 0; i < TG_SECRET_PORT_DRAWS; i++) {
		f->lport = (uint16_t)(first + draw_port(s, f, span));
		if (ok(ctx, f))
			return 0;
	}
	if (!max_tries || max_tries > span)
		max_tries = span;
	start = draw_port(s, f, span);
	for (uint32_t i = 0; i < max_tries; i++) {
		f->lport = (uint16_t)(first + (start + i) % span);
		if (ok(ctx, f))
			return 0;
	}
	return TG_ENOPORT;
}

/* What a cookie vouches for. No padding: hashed as bytes. */
struct cookie_input {
	struct tg_flow flow;
	uint32_t peer_isn, period;
};
_Static_assert(sizeof(struct cookie_input) == 44, "no padding");

/*
 *	cookie = hash1(flow, peer_isn) + (period << 24) + (hash2(flow, peer_isn, period) + index) %
 * 2^24
 *
 * hash1 hides the period and the index; hash2 makes a cookie of one period useless in another. A
 * blind guess hits one of 2 periods * 8 indices in 2^32.
 */
static uint32_t cookie_base(const struct tg_secret *s, const struct cookie_input *in)
{
	return (uint32_t)tg_siphash24(s->cookie1, in, offsetof(struct cookie_input, period));
}

static uint32_t cookie_mac(const struct tg_secret *s, const struct cookie_input *in)
{
	return (uint32_t)tg_siphash24(s->cookie2, in, sizeof(*in));
}

uint32_t tg_cookie_make(const struct tg_secret *s, const struct tg_flow *f, uint32_t peer_isn,
	uint16_t mss, uint64_t now)
{
	struct cookie_input in = {*f, peer_isn, (uint32_t)(now / COOKIE_PERIOD)};
	uint32_t index = TG_ARRAY_LEN(cookie_mss) - 1;

	while (index && cookie_mss[index] > mss)
		index--;
	return cookie_base(s, &in) + (in.period << 24) +
	       ((cookie_mac(s, &in) + index) & COOKIE_MSS_BITS);
}

uint16_t tg_cookie_check(const struct tg_secret *s, const struct tg_flow *f, uint32_t isn,
	uint32_t peer_isn, uint64_t now)
{
	struct cookie_input in = {*f, peer_isn, (uint32_t)(now / COOKIE_PERIOD)};
	uint32_t inner = isn - cookie_base(s, &in);
	uint32_t age = (in.period - (inner >> 24)) & 0xff, index;

	/* Before the first period nothing was made. */
	if (age >= COOKIE_AGE_MAX || age > in.period)
		return 0;
	in.period -= age;
	index = (inner - cookie_mac(s, &in)) & COOKIE_MSS_BITS;
	return index < TG_ARRAY_LEN(cookie_mss) ? cookie_mss[index] : 0;
}

/* The low bits of the timestamp: ECN, SACK, window scale (15: none), as Linux lays them out. */
#define TS_ECN 0x20
#define TS_SACK 0x10
#define TS_WSCALE 0x0f
#define TS_MASK ((1u << TG_COOKIE_TS_BITS) - 1)

uint32_t tg_cookie_ts(uint32_t ts_now, const struct tg_cookie_opts *o)
{
	uint32_t bits = o->wscale_ok ? o->wscale & TS_WSCALE : TS_WSCALE, ts;

	if (o->sack_ok)
		bits |= TS_SACK;
	if (o->ecn_ok)
		bits |= TS_ECN;
	ts = (ts_now & ~TS_MASK) | bits;
	/* Never from the future: the next segment's TSval must not be smaller than this one. */
	return bits > (ts_now & TS_MASK) ? ts - (1u << TG_COOKIE_TS_BITS) : ts;
}

void tg_cookie_ts_parse(uint32_t ts, struct tg_cookie_opts *o)
{
	uint32_t wscale = ts & TS_WSCALE;

	o->sack_ok = ts & TS_SACK;
	o->ecn_ok = ts & TS_ECN;
	o->wscale_ok = wscale != TS_WSCALE;
	o->wscale = o->wscale_ok ? (uint8_t)wscale : 0;
}
