/* fuzz_record.c: bytes from the network against the record layer.
 *
 * The input says how memory is cut, and is then taken twice: as records of an attacker, who does
 * not know the keys (nothing may open), and as inner plain text of a peer who does (the record must
 * open to what RFC 8446 section 5.4 says, in both implementations, however it is cut). TLS 1.2 has
 * no inner plain text: the type stands in the header.
 */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/view.h>

#include "record.h"

#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

#define MAX 20000
#define PIECES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const impls[] = {"evp", "ipsec-mb"};
static struct tg_aead_key keys[2][2];

/* Cuts exact memory, so that the sanitizer sees a byte too many. */
struct cuts {
	struct tg_span v[PIECES];
	uint32_t n;
};

static void cut(struct cuts *c, const uint8_t *from, uint32_t n, const uint8_t *how, uint32_t n_how)
{
	c->n = 0;
	for (uint32_t i = 0; n || !i; i++) {
		uint32_t take = i < n_how && c->n < PIECES - 1 ? how[i] : n;

		take = take < n ? take : n;
		c->v[c->n].p = malloc(take ? take : 1);
		c->v[c->n].n = take;
		memcpy(c->v[c->n++].p, from, take);
		from += take;
		n -= take;
	}
}

static uint32_t join(struct cuts *c, uint8_t *to)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		memcpy(to + n, c->v[i].p, c->v[i].n);
		n += c->v[i].n;
		free(c->v[i].p);
	}
	return n;
}

static void begin(struct tg_rec *r, uint32_t suite, struct tg_aead_key *key)
{
	static const uint8_t secret[48] = {1, 2, 3};

	if (tg_suite_is12((enum tg_suite)suite))
		tg_rec_init12(r, (enum tg_suite)suite, secret, secret, ~UINT64_C(2), suite << 20);
	else
		tg_rec_init(r, (enum tg_suite)suite, secret, suite << 20);
	MUST(tg_rec_wake(r, key));
}

/* As an attacker. */
static void foreign(const uint8_t *in, uint32_t n, uint32_t suite, uint32_t impl,
	const uint8_t *how, uint32_t n_how)
{
	static uint8_t rest[MAX];
	struct tg_rec r;
	struct cuts c;
	uint8_t type;
	int32_t len, got;

	if (n < TG_REC_HEADER)
		return;
	begin(&r, suite, &keys[impl][0]);
	len = tg_rec_frame(&r, in);
	MUST(len < 0 || len >= TG_REC_HEADER);
	if (len < 0 || (uint32_t)len > n)
		return;
	begin(&r, suite, &keys[impl][0]);
	cut(&c, in, (uint32_t)len, how, n_how);
	got = tg_rec_open(&r, c.v, c.n, &type);
	/* In TLS 1.2 one without room for nonce and tag is answered as OpenSSL does. */
	if (got == -TG_ALERT_INTERNAL_ERROR)
		MUST(tg_suite_is12((enum tg_suite)suite) && len < TG_REC_HEADER + 8 + 16);
	else
		MUST(got == -TG_ALERT_BAD_RECORD_MAC);
	join(&c, rest);
	tg_rec_rest(&r);
}

static bool known(uint8_t type)
{
	return type >= TG_REC_ALERT && type <= TG_REC_DATA;
}

/* What section 5.4 says of an inner plain text. */
static int32_t reference(const uint8_t *in, uint32_t n, uint8_t *type)
{
	while (n && !in[n - 1])
		n--;
	if (!n)
		return -TG_ALERT_UNEXPECTED_MESSAGE;
	*type = in[--n];
	if (!known(*type) || (*type != TG_REC_DATA && !n))
		return -TG_ALERT_UNEXPECTED_MESSAGE;
	return n > TG_REC_CONTENT_MAX ? -TG_ALERT_RECORD_OVERFLOW : (int32_t)n;
}

/* As a peer: seals content || type || zeros as they are, using that sealing as data appends one
 * type byte. */
static void authentic(const uint8_t *in, uint32_t n, uint32_t suite, uint32_t impl,
	const uint8_t *how, uint32_t n_how)
{
	static uint8_t rec[MAX], open[MAX];
	uint8_t type = 0, want_type = 0, last;
	struct tg_rec r;
	struct cuts c;
	int32_t got, want;
	uint32_t total;

	if (!n || n > TG_REC_CONTENT_MAX)
		return;
	last = in[n - 1];
	begin(&r, suite, &keys[impl][0]);
	total = n - 1 + tg_rec_overhead(&r);
	cut(&c, rec, total, how, n_how);
	tg_rec_seal(&r, last, &(struct tg_view){in, n - 1}, 1, n - 1, c.v, c.n);
	tg_rec_rest(&r);
	MUST(join(&c, rec) == total);
	MUST(tg_rec_frame(&r, rec) == (int32_t)total);

	/* The other one opens it. */
	if (!tg_aead_init(impls[!impl]))
		impl = !impl;
	begin(&r, suite, &keys[!impl][1]);
	cut(&c, rec, total, how + n_how / 2, n_how - n_how / 2);
	want_type = last;
	if (!tg_rec_is12(&r))
		want = reference(in, n, &want_type);
	else
		want = known(last) ? (int32_t)n - 1 : -TG_ALERT_UNEXPECTED_MESSAGE;
	got = tg_rec_open(&r, c.v, c.n, &type);
	join(&c, open);
	MUST(got == want);
	MUST(got < 0 || (type == want_type && !memcmp(open + r.front, in, (uint32_t)got)));
	tg_rec_rest(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t suite, impl, n_how, n;
	const uint8_t *how;

	if (size < 2 || size > MAX - TG_REC_OVERHEAD_MAX)
		return 0;
	suite = data[0] % 3 + (data[0] / 48 & 1 ? TG_SUITE12_AES_128_GCM_SHA256 : 0);
	n_how = data[0] / 3 % 16;
	how = data + 1;
	if (size < 1 + n_how)
		return 0;
	data += 1 + n_how;
	n = (uint32_t)size - 1 - n_how;
	for (impl = 0; impl < 2; impl++) {
		if (!tg_aead_init(impls[impl]))
			continue;
		foreign(data, n, suite, impl, how, n_how);
		authentic(data, n, suite, impl, how, n_how);
	}
	return 0;
}
