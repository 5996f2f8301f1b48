/* Clients' sessions: kept for later connections to the same origin, each for one use.
 *
 * The table has sets of WAYS places; an origin's sessions are in the set that its hash says, and a
 * full set gives up the one that was put there first. A session counts only under the trust and the
 * own certificate with which it was made (the context's serial): any change there means full
 * handshakes.
 */
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include <tidegate/rng.h>

#include "internal.h"

#define WAYS 8
#define PER_ORIGIN 1        /* more are not sought: each resumed connection brings the next */
#define LIFETIME_MAX 604800 /* seconds (RFC 8446 section 4.6.1) */

struct session {
	SSL_SESSION *s; /* NULL: free */
	uint64_t serial;
	struct tg_sockaddr origin;
	int64_t expires;
	uint64_t order;
	struct tg_peer peer;
};

struct tg_session_table {
	uint32_t mask;
	uint64_t order, seed;
	struct session (*set)[WAYS];
};

/* --- the table ----------------------------------------------------------------------------------
 */

struct tg_session_table *tg_sessions_create(uint32_t n)
{
	struct tg_session_table *t = calloc(1, sizeof(*t));
	uint32_t sets = 1;

	while (sets * WAYS < n)
		sets *= 2;
	if (!t)
		return NULL;
	t->mask = sets - 1;
	t->set = calloc(sets, sizeof(*t->set));
	if (t->set && RAND_bytes((uint8_t *)&t->seed, sizeof(t->seed)) == 1)
		return t;
	tg_sessions_destroy(t);
	return NULL;
}

static SSL_SESSION *empty(struct session *e)
{
	SSL_SESSION *s = e->s;

	memset(e, 0, sizeof(*e));
	return s;
}

void tg_sessions_destroy(struct tg_session_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; t->set && i <= t->mask; i++)
		for (int w = 0; w < WAYS; w++)
			SSL_SESSION_free(empty(&t->set[i][w]));
	free(t->set);
	free(t);
}

static struct session *set_of(const struct tg_session_table *t, const struct tg_sockaddr *origin)
{
	uint8_t key[18];

	memcpy(key, origin->ip.b, 16);
	tg_store_be16(key + 16, origin->port);
	return t->set[tg_hash64(t->seed, key, sizeof(key)) & t->mask];
}

static bool is_for(const struct session *e, uint64_t serial, const struct tg_sockaddr *origin)
{
	return e->s && e->serial == serial && e->origin.port == origin->port &&
	       tg_ip_eq(&e->origin.ip, &origin->ip);
}

SSL_SESSION *tg_session_take(struct tg_session_table *t, uint64_t serial,
	const struct tg_sockaddr *origin, int64_t now, struct tg_peer *peer)
{
	struct session *set = set_of(t, origin);

	for (int w = 0; w < WAYS; w++) {
		if (set[w].s && set[w].expires <= now)
			SSL_SESSION_free(empty(&set[w]));
		if (!is_for(&set[w], serial, origin))
			continue;
		*peer = set[w].peer;
		return empty(&set[w]);
	}
	return NULL;
}

bool tg_session_wanted(
	const struct tg_session_table *t, uint64_t serial, const struct tg_sockaddr *origin)
{
	const struct session *set = set_of(t, origin);
	int n = 0;

	for (int w = 0; w < WAYS; w++)
		n += is_for(&set[w], serial, origin);
	return n < PER_ORIGIN;
}

static int64_t end_of(const struct tg_facts *f, const SSL_SESSION *s)
{
	int64_t life = SSL_SESSION_has_ticket(s) ? (int64_t)SSL_SESSION_get_ticket_lifetime_hint(s)
						 : (int64_t)SSL_SESSION_get_timeout(s);
	int64_t end;

	if (life > LIFETIME_MAX)
		life = LIFETIME_MAX;
	end = f->now + life;
	if (end > f->peer.expires)
		end = f->peer.expires;
	if (end > f->peer.authenticated + TG_TICKET_AUTH_MAX)
		end = f->peer.authenticated + TG_TICKET_AUTH_MAX;
	return end;
}

int tg_session_new(SSL *ssl, SSL_SESSION *s)
{
	struct tg_facts *f = tg_facts_of(ssl);
	struct session *set, *to;

	if (!f->w->sessions || !f->peer.known || !SSL_SESSION_is_resumable(s) ||
		end_of(f, s) <= f->now)
		return 0;
	set = to = set_of(f->w->sessions, &f->origin);
	for (int w = 1; w < WAYS && to->s; w++)
		if (!set[w].s || set[w].order < to->order)
			to = &set[w];
	SSL_SESSION_free(empty(to));
	*to = (struct session){
		.s = s,
		.serial = f->ctx->serial,
		.origin = f->origin,
		.expires = end_of(f, s),
		.order = ++f->w->sessions->order,
		.peer = f->peer,
	};
	return 1; /* the reference is ours now */
}

void tg_session_again(const struct tg_facts *f)
{
	SSL_SESSION *s = SSL_get1_session(f->ssl);

	if (s && !tg_session_new(f->ssl, s))
		SSL_SESSION_free(s);
}

/* --- tickets after the handshake ----------------------------------------------------------------
 */

struct tg_hs_resume *tg_resume_create(struct tg_facts *f)
{
	struct tg_hs_worker *w = f->w;
	struct tg_hs_resume *r;
	uint32_t id = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(f->ssl));
	SSL *ssl = f->ssl;

	if (!w->resumes.count || !tg_session_wanted(w->sessions, f->ctx->serial, &f->origin))
		return NULL;
	r = tg_pool_take(&w->resumes);
	if (!r)
		return NULL;
	r->f = *f;
	r->f.ssl = NULL;
	tg_set_hold(f->set, w->index);
	tg_rec_init(&r->rec, (enum tg_suite)(id - 0x1301), f->secret[1], f->rx_seq);
	f->ssl = NULL; /* r's from here on */
	if (!tg_facts_bind(&r->f, ssl)) {
		tg_hs_resume_drop(r);
		return NULL;
	}
	return r;
}

static uint8_t *put(uint8_t *to, struct tg_view v)
{
	if (v.n)
		memcpy(to, v.p, v.n);
	return to + v.n;
}

/* The message as it came (RFC 8446 section 4.6.1), without extensions; its bytes. */
static uint32_t write_ticket(const struct tg_ticket *t, uint8_t *b)
{
	uint8_t *p = b + 4;

	tg_store_be32(p, t->lifetime);
	tg_store_be32(p + 4, t->age_add);
	p[8] = (uint8_t)t->nonce.n;
	p = put(p + 9, t->nonce);
	tg_store_be16(p, (uint16_t)t->ticket.n);
	p = put(p + 2, t->ticket);
	tg_store_be16(p, 0);
	p += 2;
	tg_store_be32(b, (uint32_t)(p - b - 4));
	b[0] = SSL3_MT_NEWSESSION_TICKET;
	return (uint32_t)(p - b);
}

/* OpenSSL has not read anything since the handshake, so the record that it waits for is the first
 * one: the ticket is sealed as that, and OpenSSL makes a session of it as it would have done. */
static void feed(struct tg_hs_resume *r, struct tg_view msg)
{
	uint8_t rec[TG_REC_CONTENT_MAX + TG_REC_OVERHEAD], nothing[1];
	struct tg_span to = {rec, msg.n + TG_REC_OVERHEAD};
	struct tg_view in = tg_view_of(rec, to.n);
	struct tg_hs_io io = {.in = &in, .n_in = 1};

	tg_rec_seal(&r->rec, TG_REC_HANDSHAKE, &msg, 1, msg.n, &to, 1);
	ERR_clear_error();
	tg_wire_begin(&r->f.wire, &io);
	SSL_read(r->f.ssl, nothing, sizeof(nothing));
	tg_wire_end(&r->f.wire);
	ERR_clear_error();
}

bool tg_hs_ticket(struct tg_hs_resume *r, const struct tg_ticket *t, int64_t now)
{
	uint8_t msg[TG_REC_CONTENT_MAX];
	struct tg_aead_key key = {{0}};

	r->f.now = now;
	if (t->ticket.n <= sizeof(msg) - 300 && t->lifetime && tg_rec_wake(&r->rec, &key)) {
		feed(r, tg_view_of(msg, write_ticket(t, msg)));
		tg_rec_rest(&r->rec);
	}
	tg_aead_get(TG_AEAD_AES_128_GCM)->discard(&key);
	if (tg_session_wanted(r->f.w->sessions, r->f.ctx->serial, &r->f.origin))
		return true;
	tg_hs_resume_drop(r);
	return false;
}

void tg_hs_resume_drop(struct tg_hs_resume *r)
{
	struct tg_pool *home;

	if (!r)
		return;
	home = &r->f.w->resumes;
	tg_rec_wipe(&r->rec);
	tg_facts_fini(&r->f);
	tg_pool_put(home, r);
}
