#include <openssl/crypto.h>

#include "ticket13.h"

#include "take.h"

#define NAME 16
#define IV 16
#define HMAC 32

/* DER */
enum { INTEGER = 0x02, OCTETS = 0x04, SEQUENCE = 0x30, EXPLICIT = 0xa0 };
enum { VERSION = 1, TLS13 = 0x0304, SUITE_FIRST = 0x1301, SUITES = 3 };
/* Numbers of the explicit tags */
enum {
	TIME = 1,
	TIMEOUT = 2,
	PEER = 3,
	CONTEXT = 4,
	HOST = 6,
	HINT = 9,
	AGE_ADD = 14,
	PROTOCOL = 16,
	SAYS = 18,
	GROUP = 19
};

/* --- writing ------------------------------------------------------------------------------------
 */

struct out {
	uint8_t *p;
	uint32_t n;
};

static void put_head(struct out *o, uint8_t tag, uint32_t n)
{
	o->p[o->n++] = tag;
	if (n >= 256) {
		o->p[o->n++] = 0x82;
		o->p[o->n++] = (uint8_t)(n >> 8);
	} else if (n >= 128) {
		o->p[o->n++] = 0x81;
	}
	o->p[o->n++] = (uint8_t)n;
}

static void put(struct out *o, uint8_t tag, struct tg_view v)
{
	put_head(o, tag, v.n);
	if (v.n)
		memcpy(o->p + o->n, v.p, v.n);
	o->n += v.n;
}

static void put_explicit(struct out *o, uint8_t number, uint8_t tag, struct tg_view v)
{
	put_head(o, EXPLICIT + number, v.n + (v.n < 128 ? 2 : v.n < 256 ? 3 : 4));
	put(o, tag, v);
}

static void put_octets(struct out *o, uint8_t number, struct tg_view v)
{
	if (v.n)
		put_explicit(o, number, OCTETS, v);
}

/* A number as DER has it: as short as it can be, and not negative. */
static struct tg_view number(uint8_t b[9], uint64_t v)
{
	uint32_t at = 9;

	do {
		b[--at] = (uint8_t)v;
		v >>= 8;
	} while (v);
	if (b[at] & 0x80)
		b[--at] = 0;
	return tg_view_of(b + at, 9 - at);
}

static void put_number(struct out *o, uint8_t tag_number, uint64_t v)
{
	uint8_t b[9];

	if (v)
		put_explicit(o, tag_number, INTEGER, number(b, v));
}

/* Behind room for the head of a sequence; its bytes. */
static uint32_t write_fields(const struct tg_session13 *s, uint8_t *to)
{
	uint8_t id[2] = {0x13, (uint8_t)(1 + s->suite)}, b[9];
	struct out o = {to, 0};

	put(&o, INTEGER, number(b, VERSION));
	put(&o, INTEGER, number(b, TLS13));
	put(&o, OCTETS, tg_view_of(id, 2));
	put(&o, OCTETS, TG_VIEW_NONE); /* session ID */
	put(&o, OCTETS, tg_view_of(s->psk, tg_suite_hash_size(s->suite)));
	put_number(&o, TIME, (uint64_t)s->time);
	put_number(&o, TIMEOUT, (uint64_t)s->timeout);
	if (s->cert.n)
		put(&o, EXPLICIT + PEER, s->cert);
	put_octets(&o, CONTEXT, s->context);
	put_octets(&o, HOST, s->sni);
	put_number(&o, AGE_ADD, s->age_add);
	put_octets(&o, PROTOCOL, s->alpn);
	put_octets(&o, SAYS, s->says);
	put_number(&o, GROUP, s->group);
	return o.n;
}

uint32_t tg_session13_seal(const struct tg_session13 *s, const struct tg_ticket_keys *keys,
	const uint8_t iv[static IV], EVP_CIPHER_CTX *c, const EVP_CIPHER *aes, uint8_t *out)
{
	const struct tg_ticket_key *k = &keys->key[0];
	uint8_t plain[TG_TICKET13_MAX], *fields = plain + 4;
	int n = 0, last = 0;
	uint32_t head, size;
	struct out o = {plain, 0};

	if (!keys->n || s->cert.n + s->sni.n + s->alpn.n > TG_TICKET13_MAX - 512)
		return 0;
	size = write_fields(s, fields);
	head = size < 128 ? 2 : size < 256 ? 3 : 4;
	o.p = fields - head;
	put_head(&o, SEQUENCE, size);
	memcpy(out, k->name, NAME);
	memcpy(out + NAME, iv, IV);
	if (EVP_EncryptInit_ex2(c, aes, k->aes, iv, NULL) == 1 &&
		EVP_EncryptUpdate(c, out + NAME + IV, &n, o.p, (int)(head + size)) == 1 &&
		EVP_EncryptFinal_ex(c, out + NAME + IV + n, &last) == 1) {
		n += NAME + IV + last;
		tg_hkdf_extract(TG_SUITE_AES_128_GCM_SHA256, tg_view_of(k->hmac, sizeof(k->hmac)),
			tg_view_of(out, (uint32_t)n), out + n); /* it is HMAC */
		n += HMAC;
	} else {
		n = 0;
	}
	EVP_CIPHER_CTX_reset(c);
	explicit_bzero(plain, 4 + size);
	return (uint32_t)n;
}

/* --- reading ------------------------------------------------------------------------------------
 */

static bool get(struct tg_view *v, uint32_t *tag, struct tg_view *content)
{
	struct tg_view at = *v;
	uint32_t n;

	if (!tg_take_uint(&at, 1, tag) || !tg_take_uint(&at, 1, &n))
		return false;
	if (n >= 0x80 && (n < 0x81 || n > 0x82 || !tg_take_uint(&at, n - 0x80, &n)))
		return false;
	if (!tg_take(&at, n, content))
		return false;
	*v = at;
	return true;
}

static bool get_as(struct tg_view *v, uint32_t want, struct tg_view *content)
{
	uint32_t tag;

	return get(v, &tag, content) && tag == want;
}

static bool to_number(struct tg_view v, uint64_t *out)
{
	*out = 0;
	if (v.n == 0 || v.n > 8 || v.p[0] & 0x80)
		return false;
	for (uint32_t i = 0; i < v.n; i++)
		*out = *out << 8 | v.p[i];
	return true;
}

static bool get_number(struct tg_view *v, uint64_t *out)
{
	struct tg_view content;

	return get_as(v, INTEGER, &content) && to_number(content, out);
}

/* The one value that an explicit tag holds. */
static bool inner_number(struct tg_view v, uint64_t *out)
{
	return get_number(&v, out) && v.n == 0;
}

static bool inner_octets(struct tg_view v, struct tg_view *out)
{
	return get_as(&v, OCTETS, out) && v.n == 0;
}

/* Something optional; false: not what libssl writes for us. */
static bool read_field(struct tg_session13 *s, uint32_t number, struct tg_view v)
{
	uint64_t n = 0;

	switch (number) {
	case TIME:
		return inner_number(v, &n) && (s->time = (int64_t)n);
	case TIMEOUT:
		return inner_number(v, &n) && (s->timeout = (int64_t)n);
	case PEER:
		s->cert = v;
		return v.n;
	case CONTEXT:
		return inner_octets(v, &s->context);
	case HOST:
		return inner_octets(v, &s->sni);
	case PROTOCOL:
		return inner_octets(v, &s->alpn);
	case SAYS:
		return inner_octets(v, &s->says);
	case HINT:
	case AGE_ADD:
	case GROUP:
		return inner_number(v, &n);
	default:
		return false;
	}
}

static bool read_session(struct tg_view all, struct tg_session13 *s)
{
	struct tg_view v, suite, id, psk, content;
	uint64_t version, protocol;
	uint32_t tag, last = 0;

	memset(s, 0, sizeof(*s));
	if (!get_as(&all, SEQUENCE, &v) || all.n || !get_number(&v, &version) ||
		version != VERSION || !get_number(&v, &protocol) || protocol != TLS13 ||
		!get_as(&v, OCTETS, &suite) || suite.n != 2 || !get_as(&v, OCTETS, &id) ||
		!get_as(&v, OCTETS, &psk))
		return false;
	s->suite = (enum tg_suite)(tg_load_be16(suite.p) - SUITE_FIRST);
	if ((uint32_t)s->suite >= SUITES || psk.n != tg_suite_hash_size(s->suite))
		return false;
	memcpy(s->psk, psk.p, psk.n);
	while (v.n) {
		if (!get(&v, &tag, &content) || tag <= EXPLICIT + last ||
			!read_field(s, tag - EXPLICIT, content))
			return false;
		last = tag - EXPLICIT;
	}
	return true;
}

static const struct tg_ticket_key *key_of(const struct tg_ticket_keys *keys, const uint8_t *name)
{
	for (uint32_t i = 0; i < keys->n; i++)
		if (memcmp(keys->key[i].name, name, NAME) == 0)
			return &keys->key[i];
	return NULL;
}

bool tg_session13_open(struct tg_view ticket, const struct tg_ticket_keys *keys, EVP_CIPHER_CTX *c,
	const EVP_CIPHER *aes, uint8_t *plain, struct tg_session13 *s)
{
	const struct tg_ticket_key *k;
	uint8_t mac[HMAC];
	int n = 0, last = 0, size;
	bool ok;

	if (ticket.n < NAME + IV + HMAC + 16 || ticket.n > TG_TICKET13_MAX ||
		(ticket.n - HMAC) % 16 || !(k = key_of(keys, ticket.p)))
		return false;
	size = (int)ticket.n - HMAC;
	tg_hkdf_extract(TG_SUITE_AES_128_GCM_SHA256, tg_view_of(k->hmac, sizeof(k->hmac)),
		tg_view_of(ticket.p, (uint32_t)size), mac);
	if (CRYPTO_memcmp(mac, ticket.p + size, HMAC) != 0)
		return false;
	ok = EVP_DecryptInit_ex2(c, aes, k->aes, ticket.p + NAME, NULL) == 1 &&
	     EVP_DecryptUpdate(c, plain, &n, ticket.p + NAME + IV, size - NAME - IV) == 1 &&
	     EVP_DecryptFinal_ex(c, plain + n, &last) == 1;
	EVP_CIPHER_CTX_reset(c);
	return ok && read_session(tg_view_of(plain, (uint32_t)(n + last)), s);
}
