/* http1.h: HTTP/1.1 as a sans-IO codec (RFC 9110, 9112). Bytes in, events and bytes out.
 *
 * No I/O, no time, no allocation: the caller brings the bytes, contiguous for a head, and the
 * memory for the fields. Every function is total: any input gives a result, and the work is linear
 * in its length. Strict on purpose: what two parsers could read in two ways is refused, never
 * repaired (RFC 9112 section 11.2). The scanners exist in AVX2, NEON and scalar form, chosen once
 * by tg_h1_init(); all give the same results. Thread-safe: no state but the choice of scanner.
 */
#ifndef TIDEGATE_HTTP1_H
#define TIDEGATE_HTTP1_H

#include <tidegate/msg.h>

/* Chooses the scanner: "auto", "scalar", "avx2", "neon". 0, or TG_ENOSUP where the CPU has it not.
 */
int tg_h1_init(const char *scanner);
const char *tg_h1_scanner(void); /* the one in use */

struct tg_h1_limits {
	uint32_t max_head;   /* bytes of start line and fields, CRLFs included; 60 KiB by default */
	uint32_t max_target; /* bytes; 8 KiB by default */
	uint16_t max_fields; /* 100 by default, as Envoy */
};
#define TG_H1_LIMITS_DEFAULT ((struct tg_h1_limits){60 * 1024, 8 * 1024, 100})

/* Refusals. The status to answer a request with is tg_h1_status(); a response that is refused is a
 * 502 to the client. Each has one name, for the log's details column. */
#define TG_H1_REFUSALS(X) \
	X(BAD_START_LINE, 400, "start_line") \
	X(BAD_METHOD, 400, "method") \
	X(BAD_TARGET, 400, "target") \
	X(TARGET_TOO_LONG, 414, "target_too_long") \
	X(BAD_VERSION, 400, "version") \
	X(VERSION_NOT_SUPPORTED, 505, "version_not_supported") \
	X(BAD_STATUS, 400, "status") \
	X(BAD_FIELD_NAME, 400, "field_name") \
	X(BAD_FIELD_VALUE, 400, "field_value") \
	X(OBS_FOLD, 400, "obs_fold") \
	X(BARE_CR, 400, "bare_cr") \
	X(BARE_LF, 400, "bare_lf") \
	X(HEAD_TOO_BIG, 431, "head_too_big") \
	X(TOO_MANY_FIELDS, 431, "too_many_fields") \
	X(NO_HOST, 400, "no_host") \
	X(MANY_HOSTS, 400, "many_hosts") \
	X(BAD_HOST, 400, "bad_host") \
	X(BAD_CONTENT_LENGTH, 400, "content_length") \
	X(MANY_CONTENT_LENGTHS, 400, "many_content_lengths") \
	X(LENGTH_AND_CODING, 400, "content_length_and_transfer_encoding") \
	X(BAD_TRANSFER_ENCODING, 400, "transfer_encoding") \
	X(UNKNOWN_CODING, 501, "unknown_transfer_coding") \
	X(CODING_IN_HTTP10, 400, "transfer_encoding_in_http10") \
	X(BAD_CONNECTION, 400, "connection_field") \
	X(BAD_EXPECT, 417, "expectation") \
	X(BAD_UPGRADE, 400, "upgrade") \
	X(BAD_CHUNK_SIZE, 400, "chunk_size") \
	X(BAD_CHUNK_EXT, 400, "chunk_extension") \
	X(BAD_CHUNK_END, 400, "chunk_end") \
	X(BAD_TRAILER, 400, "trailer") \
	X(TRAILERS_TOO_BIG, 431, "trailers_too_big") \
	X(BODY_NOT_ALLOWED, 400, "body_not_allowed")

enum tg_h1_refusal {
	TG_H1_OK,
#define X(name, status, text) TG_H1_##name,
	TG_H1_REFUSALS(X)
#undef X
		TG_H1_REFUSAL_MAX
};
uint16_t tg_h1_status(enum tg_h1_refusal r);
const char *tg_h1_refusal_name(enum tg_h1_refusal r);

/* Where a head that comes in pieces stands. Zero it for each message. */
struct tg_h1_scan {
	uint32_t seen;   /* bytes looked at: a head that trickles in costs linear time */
	uint32_t start;  /* leading empty lines skipped (RFC 9112 section 2.2: at most 2, CRLF only)
			  */
	uint8_t refusal; /* enum tg_h1_refusal, once a parse returned < 0 */
	/* private: where in the head `seen` is */
	uint8_t phase;
	uint16_t n_fields;
	uint32_t token, target; /* offsets where the token under way and the target begin */
};

/* Parses a request head at buf[0 .. len). m->fields and m->field_cap are the caller's; all else in
 * m is written. > 0  bytes of the head, leading empty lines included; m is complete, its views
 * point into buf; = 0  not complete: call again with the same buf start and more bytes (buf may
 * have moved); < 0  refused: s->refusal says why. As soon as it can be known: a head that can never
 * become valid does not have to be waited for to its end, but a target, field or head over its
 * limit is refused by then at the latest. */
int32_t tg_h1_parse_request(struct tg_h1_scan *s, const uint8_t *buf, uint32_t len,
	const struct tg_h1_limits *limits, struct tg_msg *m);
/* The same for a response head. `to` is the method of the request that it answers: HEAD and CONNECT
 * change the framing. A 1xx comes out like any head, body NONE (101: TUNNEL). Framing fields where
 * there is no content (1xx, 204, 2xx to CONNECT) are refused, but for "Content-Length: 0" with 204,
 * which comes out as removed. With 304 and to HEAD the length is that of the content not sent. */
int32_t tg_h1_parse_response(struct tg_h1_scan *s, const uint8_t *buf, uint32_t len,
	const struct tg_h1_limits *limits, enum tg_method to, struct tg_msg *m);

/* A body being read. Bytes are never stored here: data comes back as views of the input. */
struct tg_h1_body {
	uint8_t kind;  /* enum tg_body_kind */
	uint8_t state; /* private */
	uint8_t refusal;
	bool ended;           /* everything was read, trailers included */
	uint64_t left;        /* of the content or of this chunk, not yet read */
	uint32_t line_len;    /* chunk-size line or trailer section so far, for its limit */
	uint32_t trailer_len; /* bytes in trailers */
	uint8_t *trailers; /* caller's memory for the trailer section; NULL: trailers are checked,
			      then dropped */
	uint32_t trailers_cap;
	uint8_t name[32], name_len; /* private: the trailer field's name so far */
};

#define TG_H1_CHUNK_LINE_MAX 256 /* bytes of a chunk-size line with its extensions */
#define TG_H1_TRAILERS_MAX 8192  /* bytes of a trailer section */

void tg_h1_body_init(struct tg_h1_body *b, enum tg_body_kind kind, uint64_t content_length);

/* Reads from in: *used bytes are done with; *data is a run of content inside in (may be empty).
 * Call again while it makes progress. Returns 0, or -1: refused, b->refusal says why. b->ended
 * after the last byte; then nothing more is used. UNTIL_CLOSE and TUNNEL: all is data, never ended
 * (the caller sees EOF). At EOF the message is complete only if b->ended or kind is UNTIL_CLOSE or
 * TUNNEL. */
int tg_h1_body_read(struct tg_h1_body *b, struct tg_view in, uint32_t *used, struct tg_view *data);

/* After b->ended with trailers: the validated section, "name: value CRLF" lines without the final
 * empty line. Fields that framing, routing or connections need are refused in trailers (RFC 9110
 * section 6.5.1): TG_H1_BAD_TRAILER. */
static inline struct tg_view tg_h1_body_trailers(const struct tg_h1_body *b)
{
	return tg_view_of(b->trailers, b->trailer_len);
}

/* "1a2b\r\n" for a chunk of n > 0 bytes into out; returns its length. */
#define TG_H1_CHUNK_HEAD_MAX 18
uint32_t tg_h1_chunk_head(uint8_t out[static TG_H1_CHUNK_HEAD_MAX], uint64_t n);

/* Serialises m's start line and fields (not the removed ones) and the empty line into out[0 ..
 * cap). Framing and connection fields are whatever m->fields has: see tg_h1_frame(). HTTP/1.1
 * always. Returns its length, or TG_ETOOBIG. */
int32_t tg_h1_write_head(const struct tg_msg *m, uint8_t *out, uint32_t cap);

/* Replaces Content-Length, Transfer-Encoding and Connection in m by what `body`, `content_length`
 * and `close` ask for. scratch: 24 bytes that live as long as m. upgrade: keep `Connection:
 * upgrade` with m's Upgrade field (which the caller must have kept). TG_ENOMEM: no field left. */
int tg_h1_frame(struct tg_msg *m, enum tg_body_kind body, uint64_t content_length, bool close,
	bool upgrade, uint8_t scratch[static 24]);

/* uri-host [ ":" port ], not empty, no userinfo (RFC 3986 section 3.2). */
bool tg_is_authority(struct tg_view v);

/* Path normalisation for matching and forwarding, as Envoy's normalize_path with merge_slashes off
 * (RFC 3986 6.2.2): decodes percent-encoded unreserved characters, upper-cases hex digits, removes
 * dot segments. out needs path.n bytes. Returns the length; TG_EINVAL: bad escape, escaped NUL or
 * slash/backslash (%2f, %5c are kept as they are when keep_escaped_slashes, else refused), or a dot
 * segment that leaves the root. */
int32_t tg_path_normalise(struct tg_view path, bool keep_escaped_slashes, uint8_t *out);

#endif
