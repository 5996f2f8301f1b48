/* cases.h: heads, bodies and what the codec must say to them. Shared by the table-driven tests and
 * by the comparison with llhttp, so that every row is judged by both parsers. */
#ifndef TIDEGATE_TEST_HTTP_CASES_H
#define TIDEGATE_TEST_HTTP_CASES_H

#include <tidegate/http1.h>

#define INCOMPLETE 255 /* a verdict beside enum tg_h1_refusal: more bytes are needed */

struct h1_case {
	const char *name; /* unique in its table */
	const char *in;
	uint32_t n;
	uint8_t verdict; /* TG_H1_OK, a refusal, or INCOMPLETE */
	uint8_t to;      /* responses: the request's method */
	const char
		*facts; /* as h1_facts() writes them; for bodies the content; NULL with a refusal */
};

extern const struct h1_case request_cases[], response_cases[], chunked_cases[];
extern const uint32_t n_request_cases, n_response_cases, n_chunked_cases;

/* "GET /p?q @host len=5 ka #2": what the head means, in one line. */
void h1_facts(const struct tg_msg *m, char *out, size_t cap);

#endif
