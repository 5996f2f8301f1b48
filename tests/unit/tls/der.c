#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "der.h"

void der_put(struct der *d, struct tg_view v)
{
	assert(v.n <= DER_MAX - d->n);
	if (v.n)
		memcpy(d->b + d->n, v.p, v.n);
	d->n += v.n;
}

static void put8(struct der *d, uint32_t v)
{
	uint8_t b = (uint8_t)v;

	der_put(d, tg_view_of(&b, 1));
}

void der_wrap_ber(struct der *d, uint8_t tag, struct tg_view content, uint32_t width)
{
	put8(d, tag);
	if (width == 0) {
		put8(d, 0x80);
	} else if (width == 1) {
		put8(d, content.n);
	} else {
		put8(d, 0x80 | (width - 1));
		for (uint32_t i = width - 1; i--;)
			put8(d, i > 3 ? 0 : content.n >> (8 * i));
	}
	der_put(d, content);
	if (width == 0)
		der_put(d, TG_VIEW("\0\0"));
}

void der_wrap(struct der *d, uint8_t tag, struct tg_view content)
{
	der_wrap_ber(d, tag, content, content.n < 0x80 ? 1 : content.n < 0x100 ? 2 : 3);
}

void der_ext_of(struct der *d, struct tg_view oid, struct tg_view critical, struct tg_view value)
{
	struct der e = {.n = 0};

	der_wrap(&e, 0x06, oid);
	der_put(&e, critical);
	der_wrap(&e, 0x04, value);
	der_wrap(d, 0x30, tg_view_of(e.b, e.n));
}

void der_ext(struct der *d, uint8_t n, bool critical, struct tg_view value)
{
	uint8_t oid[3] = {0x55, 0x1d, n};

	der_ext_of(d, tg_view_of(oid, 3), critical ? TG_VIEW("\x01\x01\xff") : TG_VIEW_NONE, value);
}

void der_name(struct der *d, uint8_t type, uint8_t tag, const char *value)
{
	struct der pair = {.n = 0}, one = {.n = 0}, set = {.n = 0};
	uint8_t oid[3] = {0x55, 0x04, type};

	der_wrap(&pair, 0x06, tg_view_of(oid, 3));
	der_wrap(&pair, tag, tg_view_str(value));
	der_wrap(&one, 0x30, tg_view_of(pair.b, pair.n));
	der_wrap(&set, 0x31, tg_view_of(one.b, one.n));
	der_wrap(d, 0x30, tg_view_of(set.b, set.n));
}

static void put_time(struct der *d, int64_t t)
{
	time_t tt = (time_t)t;
	char text[32];
	struct tm tm;

	gmtime_r(&tt, &tm);
	if (tm.tm_year < 150) {
		strftime(text, sizeof(text), "%y%m%d%H%M%SZ", &tm);
		der_wrap(d, 0x17, tg_view_str(text));
	} else {
		strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm);
		der_wrap(d, 0x18, tg_view_str(text));
	}
}

void der_validity(struct der *d, int64_t from, int64_t to)
{
	struct der both = {.n = 0};

	put_time(&both, from);
	put_time(&both, to);
	der_wrap(d, 0x30, tg_view_of(both.b, both.n));
}

struct der_cert der_plain(void)
{
	static const struct tg_view ecdsa_sha256 =
		TG_VIEW_OF("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02");

	return (struct der_cert){.version = TG_VIEW("\xa0\x03\x02\x01\x02"),
		.serial = TG_VIEW("\x02\x04\x12\x34\x56\x78"),
		.alg = ecdsa_sha256,
		.outer_alg = ecdsa_sha256};
}

void der_sign_bytes(struct der *d, struct tg_view tbs, const struct der_cert *c, EVP_PKEY *by)
{
	struct der all = {.n = 0};
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t sig[1024];
	size_t n = sizeof(sig) - 1;
	int ok;

	ok = EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, by) == 1 &&
	     EVP_DigestSign(md, sig + 1, &n, tbs.p, tbs.n) == 1;
	assert(ok);
	EVP_MD_CTX_free(md);
	sig[0] = c->unused;
	der_put(&all, tbs);
	der_put(&all, c->outer_alg);
	der_wrap(&all, 0x03, tg_view_of(sig, n + 1));
	d->n = 0;
	der_wrap(d, 0x30, tg_view_of(all.b, all.n));
	der_put(d, c->tail);
}

void der_sign(struct der *d, const struct der_cert *c, EVP_PKEY *by)
{
	struct der tbs = {.n = 0}, seq = {.n = 0}, exts = {.n = 0}, whole = {.n = 0};

	der_put(&tbs, c->version);
	der_put(&tbs, c->serial);
	der_put(&tbs, c->alg);
	der_put(&tbs, c->issuer);
	der_put(&tbs, c->validity);
	der_put(&tbs, c->subject);
	der_put(&tbs, c->key);
	der_put(&tbs, c->more);
	if (c->exts.n) {
		der_wrap(&seq, 0x30, c->exts);
		der_wrap(&exts, 0xa3, tg_view_of(seq.b, seq.n));
		der_put(&tbs, tg_view_of(exts.b, exts.n));
	}
	der_wrap(&whole, 0x30, tg_view_of(tbs.b, tbs.n));
	der_sign_bytes(d, tg_view_of(whole.b, whole.n), c, by);
}
