/* log.h: from a worker's finished exchange to a line in a file, without the worker ever waiting.
 *
 * A worker fills a struct tg_log_record in place in its own single-producer ring; the sink thread
 * formats and writes. A full ring drops the record and counts it. Text is cut at the lengths below;
 * the cut is marked by nothing but its length, as Envoy's %REQ(X):N% does. Bound: the ring, sized
 * at start.
 */
#ifndef TIDEGATE_LOG_H
#define TIDEGATE_LOG_H

#include <tidegate/addr.h>
#include <tidegate/err.h>
#include <tidegate/view.h>

/* Envoy's response flags, in the order in which the log prints them: enum suffix, letters. */
#define TG_FLAG_LIST(X) \
	X(UH) \
	X(UF) \
	X(UO) \
	X(NR) \
	X(URX) \
	X(NC) \
	X(DT) \
	X(DC) \
	X(UT) \
	X(LR) \
	X(UR) \
	X(UC) \
	X(DI) \
	X(FI) \
	X(RL) \
	X(UAEX) \
	X(RLSE) \
	X(IH) \
	X(SI) \
	X(DPE) \
	X(UPE) \
	X(OM)

enum tg_flag_bit {
#define X(f) TG_FLAG_BIT_##f,
	TG_FLAG_LIST(X)
#undef X
		TG_FLAG_BITS
};
#define TG_FLAG(f) (1u << TG_FLAG_BIT_##f)

#define TG_LOG_PATH_MAX 512
#define TG_LOG_TEXT_MAX 128

struct tg_log_text {
	uint16_t n;
	uint8_t b[TG_LOG_TEXT_MAX];
};

static inline void tg_log_text_set(struct tg_log_text *t, struct tg_view v)
{
	t->n = (uint16_t)(v.n < TG_LOG_TEXT_MAX ? v.n : TG_LOG_TEXT_MAX);
	if (t->n)
		memcpy(t->b, v.p, t->n);
}

struct tg_log_record {
	uint64_t start_ns;                   /* CLOCK_REALTIME of the first byte of the request */
	uint64_t duration_ns;                /* to the last byte of the response */
	uint64_t bytes_received, bytes_sent; /* content bytes, as Envoy counts */
	int64_t upstream_ns;                 /* request sent to response head; -1: none */
	uint32_t flags;                      /* TG_FLAG bits */
	uint16_t status;                     /* 0: none was sent */
	uint8_t version_minor;
	bool tcp; /* an L4 connection: no request in it */
	bool has_filter_details, has_peer_uri;
	uint8_t transport;             /* enum tg_why: why the connection to the origin failed,
					  where TLS is why; 0: none */
	const char *details;           /* static string: response code details, "via_upstream",
					  "route_not_found" ... */
	struct tg_sockaddr downstream; /* the client */
	struct tg_sockaddr local;      /* the address that it reached; port 0: not filled in */
	struct tg_sockaddr upstream;   /* port 0: none */
	struct tg_log_text method, authority, user_agent, xff, request_id, route, cluster, listener;
	uint16_t path_n;
	uint8_t path[TG_LOG_PATH_MAX];
	/* Seldom there: not touched unless has_... says so, as they are cold. */
	struct tg_log_text filter_details; /* what a filter said, in place of details */
	struct tg_log_text peer_uri;       /* of the client's verified certificate */
};

static inline void tg_log_filter_details_set(struct tg_log_record *r, struct tg_view v)
{
	r->has_filter_details = v.n > 0;
	if (v.n)
		tg_log_text_set(&r->filter_details, v);
}

static inline void tg_log_peer_uri_set(struct tg_log_record *r, struct tg_view v)
{
	r->has_peer_uri = v.n > 0;
	if (v.n)
		tg_log_text_set(&r->peer_uri, v);
}

struct tg_log_ring;
/* capacity: records, rounded up to a power of two. NULL: no memory. */
struct tg_log_ring *tg_log_ring_create(uint32_t capacity);
void tg_log_ring_destroy(struct tg_log_ring *r);
/* Producer: the next free record (content undefined), or NULL: full. Nothing is visible until
 * commit. */
struct tg_log_record *tg_log_reserve(struct tg_log_ring *r);
void tg_log_commit(struct tg_log_ring *r);
/* Consumer: the oldest record, or NULL; valid until release. */
const struct tg_log_record *tg_log_peek(struct tg_log_ring *r);
void tg_log_release(struct tg_log_ring *r);
/* Any thread, for /memory: records that fit, and those that wait now. */
uint32_t tg_log_ring_size(const struct tg_log_ring *r);
uint32_t tg_log_ring_used(const struct tg_log_ring *r);

/* A compiled access-log format: Envoy's %OPERATORS% (those that apply; docs/access-log.md).
 * Immutable. */
struct tg_log_format;
extern const char tg_log_default_format[]; /* Envoy's default */
#define TG_LOG_FORMAT_MAX 4096             /* bytes of a format's text */
#define TG_LOG_LINE_MAX 8192               /* enough for any line of the default format */
/* NULL with text: an operator that is not known, or one whose value is not recorded. */
struct tg_log_format *tg_log_format_compile(const char *text, struct tg_errbuf *e);
void tg_log_format_free(struct tg_log_format *f);
/* Writes one line, without NUL, at most cap (>= 1) bytes; returns its length. It ends with the one
 * newline that is in it, also when it had to be cut, and also when the format does not have one:
 * whatever a client sends, a record is a line and a line a record. In values, everything but
 * printable ASCII, and '"' and '\\', is written as \xNN; an empty value is "-". */
uint32_t tg_log_format_line(
	const struct tg_log_format *f, const struct tg_log_record *r, char *out, uint32_t cap);
/* "UF,URX" or "-". Returns out. */
#define TG_LOG_FLAGS_TEXT 80 /* all of them, and the NUL */
char *tg_log_flags_text(uint32_t flags, char out[static TG_LOG_FLAGS_TEXT]);

#endif
