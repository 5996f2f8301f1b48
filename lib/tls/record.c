/* record.c: opening and sealing records of TLS 1.3 (RFC 8446 section 5, keys: section 7.3) and of
 * TLS 1.2 (RFC 5246 section 6.2.3.3, nonces: RFC 5288 section 3, RFC 7905 section 2).
 *
 * A record in one piece goes through the implementation's call for whole records; any other through
 * its calls for pieces. Either way nothing is copied but what is small.
 */
#include "hash.h"

#include "record.h"

/* Up to here, which is a segment, content is copied beside its type byte, so that one call encrypts
 * both: the call for pieces costs more than the copy (perf/bench_aead.c). */
#define COPY_MAX 1536

#define MAX_LOG2 14
_Static_assert(1u << MAX_LOG2 == TG_REC_CONTENT_MAX, "content of a record");

#define AAD12 13          /* TLS 1.2: sequence number, type, version, length of the content */
#define BODY_MAX_12 16704 /* OpenSSL's limit; RFC 5246 section 6.2.3 would allow 18432 */
#define SALT 4            /* TLS 1.2, GCM: the nonce's fixed part */

static const enum tg_aead_id aead_of[] = {
	[TG_SUITE_AES_128_GCM_SHA256] = TG_AEAD_AES_128_GCM,
	[TG_SUITE_AES_256_GCM_SHA384] = TG_AEAD_AES_256_GCM,
	[TG_SUITE_CHACHA20_POLY1305_SHA256] = TG_AEAD_CHACHA20_POLY1305,
	[TG_SUITE12_AES_128_GCM_SHA256] = TG_AEAD_AES_128_GCM,
	[TG_SUITE12_AES_256_GCM_SHA384] = TG_AEAD_AES_256_GCM,
	[TG_SUITE12_CHACHA20_POLY1305_SHA256] = TG_AEAD_CHACHA20_POLY1305,
};

static inline const struct tg_aead_ops *ops_of(const struct tg_rec *r)
{
	return tg_aead_get(aead_of[r->suite]);
}

/* --- keys ------------------------------------------------------------------------------------- */

static void derive(struct tg_rec *r)
{
	struct tg_hmac secret;

	tg_hkdf_begin(&secret, tg_suite_hash_size((enum tg_suite)r->suite) == 48, r->secret);
	tg_hkdf_expand(&secret, "key", TG_VIEW_NONE, r->traffic_key, ops_of(r)->key_size);
	tg_hkdf_expand(&secret, "iv", TG_VIEW_NONE, r->iv, sizeof(r->iv));
	explicit_bzero(&secret, sizeof(secret));
}

void tg_rec_init(struct tg_rec *r, enum tg_suite suite, const uint8_t *secret, uint64_t seq)
{
	*r = (struct tg_rec){
		.suite = (uint8_t)suite, .front = TG_REC_HEADER, .max_log2 = MAX_LOG2, .seq = seq};
	memcpy(r->secret, secret, tg_suite_hash_size(suite));
	derive(r);
}

void tg_rec_init12(struct tg_rec *r, enum tg_suite suite, const uint8_t *key, const uint8_t *iv,
	uint64_t nonce, uint64_t seq)
{
	uint32_t fixed = tg_suite12_iv_size(suite);

	*r = (struct tg_rec){
		.suite = (uint8_t)suite, .front = TG_REC_HEADER, .max_log2 = MAX_LOG2, .seq = seq};
	memcpy(r->traffic_key, key, ops_of(r)->key_size);
	memcpy(r->iv, iv, fixed);
	if (fixed == SALT) {
		r->front = TG_REC_FRONT_MAX;
		nonce = __builtin_bswap64(nonce);
		memcpy(r->iv + SALT, &nonce, sizeof(nonce));
	}
}

uint32_t tg_suite_key_size(enum tg_suite suite)
{
	return tg_aead_get(aead_of[suite])->key_size;
}

uint32_t tg_suite12_iv_size(enum tg_suite suite)
{
	return aead_of[suite] == TG_AEAD_CHACHA20_POLY1305 ? TG_AEAD_NONCE : SALT;
}

bool tg_rec_wake(struct tg_rec *r, struct tg_aead_key *key)
{
	if (!ops_of(r)->expand(key, r->traffic_key))
		return false;
	r->key = key;
	return true;
}

struct tg_aead_key *tg_rec_rest(struct tg_rec *r)
{
	struct tg_aead_key *key = r->key;

	if (key)
		ops_of(r)->forget(key);
	r->key = NULL;
	return key;
}

void tg_rec_wipe(struct tg_rec *r)
{
	explicit_bzero(r, sizeof(*r));
}

bool tg_rec_next_key(struct tg_rec *r)
{
	uint8_t next[sizeof(r->secret)];
	uint32_t n = tg_suite_hash_size((enum tg_suite)r->suite);

	tg_hkdf_expand_label(
		(enum tg_suite)r->suite, r->secret, "traffic upd", TG_VIEW_NONE, next, n);
	memcpy(r->secret, next, n);
	explicit_bzero(next, sizeof(next));
	derive(r);
	r->seq = 0;
	return !r->key || ops_of(r)->expand(r->key, r->traffic_key);
}

bool tg_rec_is_worn(const struct tg_rec *r)
{
	return r->seq >= TG_REC_WORN(ops_of(r)->max_records);
}

/* Section 5.3, and RFC 7905. */
static void nonce_of(const struct tg_rec *r, uint8_t nonce[TG_AEAD_NONCE])
{
	uint64_t tail;

	memcpy(nonce, r->iv, TG_AEAD_NONCE - sizeof(tail));
	memcpy(&tail, r->iv + TG_AEAD_NONCE - sizeof(tail), sizeof(tail));
	tail ^= __builtin_bswap64(r->seq);
	memcpy(nonce + TG_AEAD_NONCE - sizeof(tail), &tail, sizeof(tail));
}

/* RFC 5288: of what we seal. */
static void nonce_of_gcm12(const struct tg_rec *r, uint8_t nonce[TG_AEAD_NONCE])
{
	uint64_t tail;

	memcpy(nonce, r->iv, TG_AEAD_NONCE);
	memcpy(&tail, nonce + SALT, sizeof(tail));
	tail = __builtin_bswap64(__builtin_bswap64(tail) + r->seq);
	memcpy(nonce + SALT, &tail, sizeof(tail));
}

/* What stands before a record's content, and what goes into its tag. */
struct frame {
	uint8_t front[TG_REC_FRONT_MAX], nonce[TG_AEAD_NONCE], aad12[AAD12];
	const uint8_t *aad;
	uint32_t n_aad;
};

/* Not kept as one: a load of both halves would wait for the store of the shorter one. */
static inline struct tg_view aad_of(const struct frame *f)
{
	return (struct tg_view){f->aad, f->n_aad};
}

/* TLS 1.2: what is authenticated beside n bytes of content. */
static void aad12(const struct tg_rec *r, uint8_t type, uint32_t n, struct frame *f)
{
	uint8_t *aad = f->aad12;

	tg_store_be32(aad, (uint32_t)(r->seq >> 32));
	tg_store_be32(aad + 4, (uint32_t)r->seq);
	aad[8] = type;
	aad[9] = aad[10] = 3;
	tg_store_be16(aad + 11, (uint16_t)n);
	f->aad = aad;
	f->n_aad = AAD12;
}

/* --- pieces ----------------------------------------------------------------------------------- */

/* A place in a list of pieces. */
struct place {
	const struct tg_span *v;
	uint32_t off; /* in v[0] */
};

/* On to the next piece if this one is used up; the list goes on. */
static inline void settle(struct place *at)
{
	while (at->off == at->v->n) {
		at->v++;
		at->off = 0;
	}
}

/* The next bytes in one run, at most n > 0 of them; the list has them. */
static struct tg_span take(struct place *at, uint32_t n)
{
	struct tg_span run;

	settle(at);
	run = (struct tg_span){at->v->p + at->off, at->v->n - at->off};
	if (run.n > n)
		run.n = n;
	at->off += run.n;
	return run;
}

static void put_cut(struct place *at, const uint8_t *p, uint32_t n)
{
	while (n) {
		struct tg_span run = take(at, n);

		memcpy(run.p, p, run.n);
		p += run.n;
		n -= run.n;
	}
}

static void get_cut(struct place *at, uint8_t *p, uint32_t n)
{
	while (n) {
		struct tg_span run = take(at, n);

		memcpy(p, run.p, run.n);
		p += run.n;
		n -= run.n;
	}
}

/* n is mostly a constant, and its bytes stand in one piece. */
static inline void put(struct place *at, const uint8_t *p, uint32_t n)
{
	if (tg_unlikely(at->v->n - at->off < n)) {
		put_cut(at, p, n);
		return;
	}
	memcpy(at->v->p + at->off, p, n);
	at->off += n;
}

static inline void get(struct place *at, uint8_t *p, uint32_t n)
{
	if (tg_unlikely(at->v->n - at->off < n)) {
		get_cut(at, p, n);
		return;
	}
	memcpy(p, at->v->p + at->off, n);
	at->off += n;
}

/* --- sealing ---------------------------------------------------------------------------------- */

static void frame_make(const struct tg_rec *r, uint8_t type, uint32_t n, struct frame *f)
{
	uint32_t body = n + tg_rec_overhead(r) - TG_REC_HEADER;

	/* In the pieces in which it is read: a load of several stores would wait for them. */
	tg_store_be32(f->front, TG_REC_DATA << 24 | 0x030300 | body >> 8);
	f->front[4] = (uint8_t)body;
	f->aad = f->front;
	f->n_aad = TG_REC_HEADER;
	if (!tg_rec_is12(r)) {
		nonce_of(r, f->nonce);
		return;
	}
	f->front[0] = type;
	aad12(r, type, n, f);
	if (r->front == TG_REC_HEADER) {
		nonce_of(r, f->nonce);
		return;
	}
	nonce_of_gcm12(r, f->nonce);
	memcpy(f->front + TG_REC_HEADER, f->nonce + SALT, TG_REC_NONCE12);
}

static void step_all(const struct tg_rec *r, const struct tg_aead_ops *ops, const uint8_t *in,
	uint32_t n, struct place *out)
{
	while (n) {
		struct tg_span run = take(out, n);

		ops->step(r->key, in, run.p, run.n);
		in += run.n;
		n -= run.n;
	}
}

static void seal_pieces(const struct tg_rec *r, uint8_t type, const struct tg_view *in,
	uint32_t n_in, const struct frame *f, struct place *out)
{
	const struct tg_aead_ops *ops = ops_of(r);
	uint8_t tag[TG_AEAD_TAG];

	ops->start(r->key, f->nonce, aad_of(f), true);
	for (uint32_t i = 0; i < n_in; i++)
		step_all(r, ops, in[i].p, in[i].n, out);
	if (!tg_rec_is12(r))
		step_all(r, ops, &type, 1, out);
	ops->finish(r->key, tag);
	put(out, tag, sizeof(tag));
}

/* All of `out` stands in one piece. */
static void seal_small(const struct tg_rec *r, uint8_t type, const struct tg_view *in,
	uint32_t n_in, const struct frame *f, uint8_t *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_in; i++) {
		if (in[i].n)
			memmove(out + n, in[i].p, in[i].n);
		n += in[i].n;
	}
	if (!tg_rec_is12(r))
		out[n++] = type;
	ops_of(r)->seal(r->key, f->nonce, aad_of(f), out, out, n, out + n);
}

static void put_front(const struct tg_rec *r, const struct frame *f, struct place *out)
{
	uint8_t *p = out->v->p;

	if (tg_unlikely(out->v->n < TG_REC_FRONT_MAX || r->front != TG_REC_HEADER)) {
		put(out, f->front, r->front);
		return;
	}
	/* In the pieces in which it was made, too. */
	memcpy(p, f->front, 4);
	p[4] = f->front[4];
	out->off = TG_REC_HEADER;
}

void tg_rec_seal(struct tg_rec *r, uint8_t type, const struct tg_view *in, uint32_t n_in,
	uint32_t n, const struct tg_span *out, uint32_t n_out)
{
	struct place at = {out, 0};
	struct frame f;

	frame_make(r, type, n, &f);
	put_front(r, &f, &at);
	settle(&at);
	if (n <= COPY_MAX && at.v->n - at.off >= n + tg_rec_overhead(r) - r->front)
		seal_small(r, type, in, n_in, &f, at.v->p + at.off);
	else
		seal_pieces(r, type, in, n_in, &f, &at);
	r->seq++;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* TLS 1.2 says everything in clear, and OpenSSL looks at the version before anything else. */
static int32_t frame12(const uint8_t header[static TG_REC_HEADER])
{
	uint16_t n = tg_load_be16(header + 3);

	if (header[1] != 3 || header[2] != 3)
		return -TG_ALERT_PROTOCOL_VERSION;
	if (n > BODY_MAX_12)
		return -TG_ALERT_RECORD_OVERFLOW;
	return TG_REC_HEADER + n;
}

/* In the order in which OpenSSL looks. */
int32_t tg_rec_frame_odd(const struct tg_rec *r, const uint8_t header[static TG_REC_HEADER])
{
	uint16_t n = tg_load_be16(header + 3);

	if (tg_rec_is12(r))
		return frame12(header);
	if (header[1] != 3)
		return -TG_ALERT_PROTOCOL_VERSION;
	if (header[0] != TG_REC_DATA)
		return -TG_ALERT_UNEXPECTED_MESSAGE;
	if (header[2] != 3)
		return -TG_ALERT_DECODE_ERROR;
	if (n > TG_REC_BODY_MAX)
		return -TG_ALERT_RECORD_OVERFLOW;
	return TG_REC_HEADER + n;
}

/* f from the record's front, of which the header is read and the body long enough. n: bytes between
 * front and tag. */
static void frame_read(const struct tg_rec *r, const uint8_t *header, struct place *at, uint32_t n,
	struct frame *f)
{
	f->aad = header;
	f->n_aad = TG_REC_HEADER;
	if (tg_rec_is12(r))
		aad12(r, header[0], n, f);
	if (r->front == TG_REC_HEADER) {
		nonce_of(r, f->nonce);
		return;
	}
	memcpy(f->nonce, r->iv, SALT);
	get(at, f->nonce + SALT, TG_REC_NONCE12);
}

/* Content and tag stand in one piece. */
static bool open_whole(const struct tg_rec *r, uint8_t *body, uint32_t n, const struct frame *f)
{
	return ops_of(r)->open(r->key, f->nonce, aad_of(f), body, n, body + n);
}

static bool open_pieces(const struct tg_rec *r, struct place at, uint32_t n, const struct frame *f)
{
	const struct tg_aead_ops *ops = ops_of(r);
	uint8_t tag[TG_AEAD_TAG];

	ops->start(r->key, f->nonce, aad_of(f), false);
	while (n) {
		struct tg_span run = take(&at, n);

		ops->step(r->key, run.p, run.p, run.n);
		n -= run.n;
	}
	get(&at, tag, sizeof(tag));
	return ops->finish(r->key, tag);
}

/* Length of p[0..n) without the zeros at its end. */
static uint32_t strip_zeros(const uint8_t *p, uint32_t n)
{
	uint64_t word;

	while (n >= sizeof(word)) {
		memcpy(&word, p + n - sizeof(word), sizeof(word));
		if (word)
			break;
		n -= sizeof(word);
	}
	while (n && !p[n - 1])
		n--;
	return n;
}

/* The last byte that is not zero of n bytes from a place on: its value, and in *len how many stand
 * before it. 0: there is none. Looked for from the end: without padding it is the last one. */
static uint8_t inner_type(struct place first, uint32_t n, uint32_t *len)
{
	struct place end = first;
	uint32_t left = n, from, size, used;

	/* Without padding, and in one piece. */
	if (tg_likely(first.v->n - first.off >= n && first.v->p[first.off + n - 1])) {
		*len = n - 1;
		return first.v->p[first.off + n - 1];
	}
	while (left)
		left -= take(&end, left).n;
	while (n) {
		from = end.v == first.v ? first.off : 0;
		size = end.off - from;
		used = strip_zeros(end.v->p + from, size);
		n -= size - used;
		if (used) {
			*len = n - 1;
			return end.v->p[end.off - size + used - 1];
		}
		if (n) {
			end.v--;
			end.off = end.v->n;
		}
	}
	*len = 0;
	return 0;
}

/* What was authenticated may still be nonsense: sections 5.1, 5.2 and 5.4. */
static int32_t check_inner(const struct tg_rec *r, uint8_t type, uint32_t len)
{
	if (type != TG_REC_ALERT && type != TG_REC_HANDSHAKE && type != TG_REC_DATA)
		return -TG_ALERT_UNEXPECTED_MESSAGE;
	if (!len && type != TG_REC_DATA)
		return -TG_ALERT_UNEXPECTED_MESSAGE;
	if (len > tg_rec_content_max(r))
		return -TG_ALERT_RECORD_OVERFLOW;
	return (int32_t)len;
}

static int32_t check12(const struct tg_rec *r, uint8_t type, uint32_t len)
{
	if (len > tg_rec_content_max(r))
		return -TG_ALERT_RECORD_OVERFLOW;
	if (type != TG_REC_ALERT && type != TG_REC_HANDSHAKE && type != TG_REC_DATA)
		return -TG_ALERT_UNEXPECTED_MESSAGE;
	return (int32_t)len;
}

int32_t tg_rec_open(struct tg_rec *r, const struct tg_span *rec, uint32_t cnt, uint8_t *type)
{
	struct place at = {rec, TG_REC_HEADER};
	const uint8_t *header = rec->p;
	struct frame f;
	uint32_t n, len;

	if (tg_unlikely(rec->n < TG_REC_HEADER)) {
		at.off = 0;
		get_cut(&at, f.front, TG_REC_HEADER);
		header = f.front;
	}
	n = tg_load_be16(header + 3) + TG_REC_HEADER;
	/* Nonce and tag at least, and in TLS 1.3 a type. The alerts are OpenSSL 3.0's. */
	if (n < tg_rec_overhead(r))
		return tg_rec_is12(r) ? -TG_ALERT_INTERNAL_ERROR : -TG_ALERT_BAD_RECORD_MAC;
	n -= r->front + TG_AEAD_TAG;
	frame_read(r, header, &at, n, &f);
	settle(&at);
	if (!(at.v->n - at.off >= n + TG_AEAD_TAG ? open_whole(r, at.v->p + at.off, n, &f)
						  : open_pieces(r, at, n, &f)))
		return -TG_ALERT_BAD_RECORD_MAC;
	r->seq++;
	if (tg_rec_is12(r)) {
		*type = header[0];
		return check12(r, *type, n);
	}
	*type = inner_type(at, n, &len);
	return check_inner(r, *type, len);
}
