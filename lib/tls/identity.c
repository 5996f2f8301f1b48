/* Identities of a worker's peers, one for each certificate, and short texts, one for each spelling.
 *
 * Both live in chained hash tables of fixed size. What no connection refers to any longer stays for
 * a while (the newest IDLE_MAX), since the same peers come back: then their certificate need not be
 * verified or printed again. */
#include <stddef.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <tidegate/rng.h>

#include "internal.h"
#include "plain.h"

#define IDLE_MAX 1024
#define BUCKETS_MAX 65536u
#define TRUSTS 2 /* serials for which a verification is remembered */

struct ident {
	struct tg_identity pub;
	struct ident *next;
	struct tg_link idle; /* in the table's ring while refs is 0 */
	uint8_t digest[TG_DIGEST];
	enum tg_ident_kind kind;
	uint8_t n_seen;
	uint8_t point[65]; /* the key; [0] 0: of another kind */
	struct {
		uint64_t serial;
		struct tg_peer peer;
	} seen[TRUSTS];
	char *subject, *pem;
	char hash[2 * TG_DIGEST + 1];
	char names[]; /* URIs, DNS names; the subject where `subject` is NULL */
};

struct name {
	struct name *next;
	struct tg_name pub; /* last: its text follows */
};

struct tg_ident_table {
	uint32_t mask, n_idle;
	struct tg_link idle; /* oldest first */
	struct ident **ident;
	struct name **name;
	uint8_t key[16]; /* of the names' hash */
};

struct tg_ident_table *tg_idents_create(uint32_t max_conns)
{
	struct tg_ident_table *t = calloc(1, sizeof(*t));
	uint32_t n = 256;

	while (n < max_conns && n < BUCKETS_MAX)
		n *= 2;
	if (!t)
		return NULL;
	t->mask = n - 1;
	tg_list_init(&t->idle);
	t->ident = calloc(n, sizeof(struct ident *));
	t->name = calloc(n, sizeof(struct name *));
	if (t->ident && t->name && RAND_bytes(t->key, sizeof(t->key)) == 1)
		return t;
	tg_idents_destroy(t);
	return NULL;
}

/* --- identities ---------------------------------------------------------------------------------
 */

static struct ident **ident_bucket(struct tg_ident_table *t, const uint8_t digest[TG_DIGEST])
{
	return &t->ident[tg_load_be32(digest) & t->mask];
}

static void free_ident(struct tg_ident_table *t, struct ident *i)
{
	struct ident **at = ident_bucket(t, i->digest);

	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	free(i->subject);
	free(i->pem);
	free(i);
}

static void shrink_idle(struct tg_ident_table *t, uint32_t max)
{
	while (t->n_idle > max) {
		struct tg_link *l = tg_list_shift(&t->idle);

		t->n_idle--;
		free_ident(t, TG_CONTAINER(l, struct ident, idle));
	}
}

void tg_idents_destroy(struct tg_ident_table *t)
{
	if (!t)
		return;
	shrink_idle(t, 0);
	free(t->ident);
	free(t->name);
	free(t);
}

static void print_hash(struct ident *i)
{
	static const char hex[] = "0123456789abcdef";

	for (int b = 0; b < TG_DIGEST; b++) {
		i->hash[2 * b] = hex[i->digest[b] >> 4];
		i->hash[2 * b + 1] = hex[i->digest[b] & 15];
	}
}

/* names has them all; uris, dns_names: bytes; uri, dns: of the first of each. */
static void fill(struct ident *i, uint32_t uris, uint32_t uri, uint32_t dns_names, uint32_t dns,
	const uint8_t *point)
{
	struct tg_identity *id = &i->pub;

	id->uris = tg_view_of(i->names, uris);
	id->dns_names = tg_view_of(i->names + uris, dns_names);
	id->uri = tg_view_of(i->names, uri);
	id->dns = tg_view_of(id->dns_names.p, dns);
	if (i->kind == TG_IDENT_SVID)
		id->spiffe_id = id->uri;
	print_hash(i);
	id->hash = tg_view_of(i->hash, 2 * TG_DIGEST);
	if (point)
		memcpy(i->point, point, sizeof(i->point));
}

static void fill_from(struct ident *i, X509 *x, const struct tg_cert_names *n)
{
	uint32_t uris = tg_cert_list(n, GEN_URI, i->names);

	fill(i, uris, n->uri.n, tg_cert_list(n, GEN_DNS, i->names + uris), n->dns.n,
		tg_cert_point(x));
	if (i->kind == TG_IDENT_OWN && !tg_svid_fault(x, n))
		i->pub.spiffe_id = i->pub.uri;
	i->pub.subject = tg_view_str(i->subject);
	i->pub.not_after = tg_cert_not_after(x);
}

static struct ident *make_ident(X509 *x, const uint8_t digest[TG_DIGEST], enum tg_ident_kind kind)
{
	struct tg_cert_names n;
	struct ident *i = NULL;

	if (!tg_cert_names(x, &n))
		goto out;
	i = calloc(
		1, sizeof(*i) + tg_cert_list(&n, GEN_URI, NULL) + tg_cert_list(&n, GEN_DNS, NULL));
	if (!i)
		goto out;
	memcpy(i->digest, digest, TG_DIGEST);
	i->kind = kind;
	i->subject = tg_cert_subject(x);
	if (i->subject) {
		fill_from(i, x, &n);
	} else {
		free(i);
		i = NULL;
	}
out:
	tg_cert_names_free(&n);
	ERR_clear_error();
	return i;
}

/* As tg_cert_list(); *first: bytes of the first one, if there is one. */
static uint32_t list_plain(const struct tg_plain *c, uint8_t type, char *to, uint32_t *first)
{
	struct tg_view names = c->names, v;
	uint32_t bytes = 0;
	uint8_t t;

	*first = 0;
	while (tg_plain_next(&names, &t, &v)) {
		if (t != type)
			continue;
		if (!bytes)
			*first = v.n;
		if (to) {
			memcpy(to + bytes, v.p, v.n);
			to[bytes + v.n] = 0;
		}
		bytes += v.n + 1;
	}
	return bytes;
}

static struct ident *make_plain(
	const struct tg_plain *c, const uint8_t digest[TG_DIGEST], enum tg_ident_kind kind)
{
	uint32_t uri, dns, uris = list_plain(c, TG_PLAIN_URI, NULL, &uri),
			   dns_names = list_plain(c, TG_PLAIN_DNS, NULL, &dns), n_subject;
	char subject[TG_PLAIN_SUBJECT_MAX], *to;
	struct ident *i;

	if (!tg_plain_text(c->subject, subject, &n_subject))
		return NULL;
	i = calloc(1, sizeof(*i) + uris + dns_names + n_subject + 1);
	if (!i)
		return NULL;
	memcpy(i->digest, digest, TG_DIGEST);
	i->kind = kind;
	list_plain(c, TG_PLAIN_URI, i->names, &uri);
	list_plain(c, TG_PLAIN_DNS, i->names + uris, &dns);
	fill(i, uris, uri, dns_names, dns, c->point);
	to = i->names + uris + dns_names;
	memcpy(to, subject, n_subject + 1);
	i->pub.subject = tg_view_of(to, n_subject);
	i->pub.not_after = c->not_after;
	return i;
}

static struct ident *find_ident(struct tg_ident_table *t, const uint8_t digest[TG_DIGEST])
{
	struct ident *i = *ident_bucket(t, digest);

	while (i && memcmp(i->digest, digest, TG_DIGEST) != 0)
		i = i->next;
	return i;
}

static struct tg_identity *hold(struct tg_ident_table *t, struct ident *i)
{
	if (i->pub.refs++ == 0) {
		tg_list_del(&i->idle);
		t->n_idle--;
	}
	return &i->pub;
}

struct tg_identity *tg_ident_find(
	struct tg_ident_table *t, const uint8_t digest[static TG_DIGEST], enum tg_ident_kind kind)
{
	struct ident *i = find_ident(t, digest);

	while (i && (i->kind != kind || memcmp(i->digest, digest, TG_DIGEST) != 0))
		i = i->next;
	return i ? hold(t, i) : NULL;
}

/* i: NULL, or a new one. */
static struct tg_identity *add(struct tg_ident_table *t, struct ident *i)
{
	struct ident **at;

	if (!i)
		return NULL;
	at = ident_bucket(t, i->digest);
	i->next = *at;
	*at = i;
	i->pub.refs = 1;
	return &i->pub;
}

struct tg_identity *tg_ident_of(struct tg_ident_table *t, X509 *x,
	const uint8_t digest[static TG_DIGEST], enum tg_ident_kind kind)
{
	struct tg_identity *id = tg_ident_find(t, digest, kind);

	return id ? id : add(t, make_ident(x, digest, kind));
}

struct tg_identity *tg_ident_of_plain(struct tg_ident_table *t, const struct tg_plain *c,
	const uint8_t digest[static TG_DIGEST], enum tg_ident_kind kind)
{
	struct tg_identity *id = tg_ident_find(t, digest, kind);

	return id ? id : add(t, make_plain(c, digest, kind));
}

bool tg_ident_keep_pem(struct tg_identity *id, struct tg_view der)
{
	struct ident *i = TG_CONTAINER(id, struct ident, pub);

	if (!i->pem && (i->pem = tg_cert_url_pem(der)))
		id->cert_pem = tg_view_str(i->pem);
	return i->pem;
}

bool tg_ident_keep_pem_of(struct tg_identity *id, X509 *x)
{
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);
	bool ok = n > 0 && tg_ident_keep_pem(id, tg_view_of(der, (size_t)n));

	OPENSSL_free(der);
	return ok;
}

void tg_ident_drop(struct tg_ident_table *t, struct tg_identity *id)
{
	struct ident *i;

	if (!id || --id->refs)
		return;
	i = TG_CONTAINER(id, struct ident, pub);
	tg_list_push(&t->idle, &i->idle);
	t->n_idle++;
	shrink_idle(t, IDLE_MAX);
}

/* Whether i was verified under x, and holds now. */
static bool recall(
	const struct ident *i, const struct tg_tls_ctx *x, int64_t now, struct tg_peer *out)
{
	for (uint32_t s = 0; s < i->n_seen; s++) {
		if (i->seen[s].serial != x->serial || i->seen[s].peer.expires <= now ||
			i->seen[s].peer.authenticated > now)
			continue;
		*out = i->seen[s].peer;
		out->authenticated = now;
		return true;
	}
	return false;
}

static struct ident *find_recalled(struct tg_ident_table *t, const uint8_t leaf[TG_DIGEST],
	const struct tg_tls_ctx *x, int64_t now, struct tg_peer *out)
{
	struct ident *i = find_ident(t, leaf);

	while (i && (memcmp(i->digest, leaf, TG_DIGEST) != 0 || !recall(i, x, now, out)))
		i = i->next;
	return i;
}

bool tg_ident_recall(struct tg_ident_table *t, const uint8_t leaf[static TG_DIGEST],
	const struct tg_tls_ctx *x, int64_t now, struct tg_peer *out)
{
	return find_recalled(t, leaf, x, now, out);
}

struct tg_identity *tg_ident_known(struct tg_ident_table *t, const uint8_t leaf[static TG_DIGEST],
	const struct tg_tls_ctx *x, int64_t now, struct tg_peer *out)
{
	struct tg_peer found;
	struct ident *i = find_recalled(t, leaf, x, now, &found);

	if (!i || !i->point[0] || i->kind != (found.svid ? TG_IDENT_SVID : TG_IDENT_PLAIN))
		return NULL;
	*out = found;
	return hold(t, i);
}

const uint8_t *tg_ident_point(const struct tg_identity *id)
{
	return TG_CONTAINER(id, struct ident, pub)->point;
}

void tg_ident_remember(struct tg_identity *id, uint64_t serial, const struct tg_peer *p)
{
	struct ident *i = TG_CONTAINER(id, struct ident, pub);
	uint32_t s = 0;

	while (s < i->n_seen && i->seen[s].serial != serial)
		s++;
	if (s == TRUSTS)
		s = i->seen[0].serial < i->seen[1].serial ? 0 : 1; /* the older trust */
	i->seen[s].serial = serial;
	i->seen[s].peer = *p;
	if (s >= i->n_seen)
		i->n_seen = (uint8_t)(s + 1);
}

/* --- names --------------------------------------------------------------------------------------
 */

/* Keyed: peers choose the texts, and must not be able to choose the bucket. */
static struct name **name_bucket(struct tg_ident_table *t, const char *s, size_t n)
{
	return &t->name[tg_siphash24(t->key, s, n) & t->mask];
}

struct tg_name *tg_name_of(struct tg_ident_table *t, const char *s, size_t n)
{
	struct name **head = name_bucket(t, s, n), *i;

	if (n > UINT16_MAX)
		return NULL;
	for (i = *head; i; i = i->next)
		if (i->pub.n == n && memcmp(i->pub.s, s, n) == 0) {
			i->pub.refs++;
			return &i->pub;
		}
	i = malloc(sizeof(*i) + n + 1);
	if (!i)
		return NULL;
	i->pub.refs = 1;
	i->pub.n = (uint16_t)n;
	memcpy(i->pub.s, s, n);
	i->pub.s[n] = 0;
	i->next = *head;
	*head = i;
	return &i->pub;
}

void tg_name_drop(struct tg_ident_table *t, struct tg_name *n)
{
	struct name **at, *i;

	if (!n || --n->refs)
		return;
	i = TG_CONTAINER(n, struct name, pub);
	at = name_bucket(t, n->s, n->n);
	while (*at != i)
		at = &(*at)->next;
	*at = i->next;
	free(i);
}
