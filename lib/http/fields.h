/* fields.h: what the fields of a complete head say about its framing and connection. Private. */
#ifndef TIDEGATE_HTTP_FIELDS_H
#define TIDEGATE_HTTP_FIELDS_H

#include <tidegate/http1.h>

/* More connection options than this are refused: each is looked up among all fields. */
#define TG_CONNECTION_OPTIONS_MAX 32

struct tg_facts {
	struct tg_field *host;   /* the first */
	struct tg_field *length; /* the first Content-Length */
	uint32_t hosts, lengths, coding_fields, upgrades, options;
	uint32_t codings, chunked; /* transfer codings in all, and how many of them are chunked */
	bool chunked_last, codings_bad;
	bool close, keep_alive, upgrade; /* connection options */
	bool upgrade_ok; /* every Upgrade member is a protocol that may be tunnelled */
	bool expect_continue, te_trailers;
};

/* Takes the next element of a comma-separated list, without its white space; false: no more.
 * Elements may be empty. */
bool tg_list_next(struct tg_view *rest, struct tg_view *element);
bool tg_is_token(struct tg_view v);
/* A field that Connection must never take away (RFC 9110 section 7.6.1). */
bool tg_field_is_end_to_end(struct tg_view name);
/* CGI and its heirs read '_' as '-': what looks like a framing field to them must not pass. */
bool tg_field_is_lookalike(struct tg_view name);

struct tg_head;
enum tg_h1_refusal tg_facts_gather(struct tg_head *h, struct tg_facts *f);
/* TG_H1_OK: the codings are exactly "chunked". */
enum tg_h1_refusal tg_facts_coding(const struct tg_facts *f);
/* 1*DIGIT below 2^63. */
bool tg_parse_length(struct tg_view v, uint64_t *out);

#endif
