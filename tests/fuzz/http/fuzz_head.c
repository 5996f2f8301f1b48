/* fuzz_head.c: heads. Byte 0: request or response, and to which method; byte 1: the size of the
 * pieces; then the head.
 *
 * Holds: every scanner gives the same; so does every way to cut; views lie in the input; what is
 * accepted, edited as a proxy does and written, is accepted again and means the same.
 */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/http1.h>

#define CAP 40
#define MUST(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort(); \
		} \
	} while (0)

struct result {
	int32_t rc;
	uint8_t refusal;
	struct tg_msg m;
	struct tg_field fields[CAP];
};

struct input {
	bool request;
	enum tg_method to;
	const uint8_t *p;
	uint32_t n, step;
};

static const struct tg_h1_limits limits = {4096, 512, 32};
/* A proxy adds fields, and the next one must live with that. */
static const struct tg_h1_limits wider = {8192, 1024, CAP};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(
	const struct input *in, uint32_t step, const struct tg_h1_limits *lim, struct result *r)
{
	struct tg_h1_scan s = {0};
	uint32_t n = 0;

	r->m = (struct tg_msg){.fields = r->fields, .field_cap = CAP};
	do {
		n = in->n - n > step ? n + step : in->n;
		r->rc = in->request ? tg_h1_parse_request(&s, in->p, n, lim, &r->m)
				    : tg_h1_parse_response(&s, in->p, n, lim, in->to, &r->m);
	} while (r->rc == 0 && n < in->n);
	r->refusal = s.refusal;
	MUST((r->rc < 0) == (r->refusal != 0));
	MUST(r->rc <= (int32_t)in->n);
}

static bool equal(const struct tg_msg *a, const struct tg_msg *b)
{
	return a->is_request == b->is_request && a->version_minor == b->version_minor &&
	       a->method == b->method && a->status == b->status && a->body == b->body &&
	       a->content_length == b->content_length &&
	       a->has_content_length == b->has_content_length && a->keep_alive == b->keep_alive &&
	       a->upgrade == b->upgrade && a->expect_continue == b->expect_continue &&
	       a->te_trailers == b->te_trailers && tg_view_eq(a->method_name, b->method_name) &&
	       tg_view_eq(a->target, b->target) && tg_view_eq(a->scheme, b->scheme) &&
	       tg_view_eq(a->authority, b->authority) && tg_view_eq(a->path, b->path) &&
	       tg_view_eq(a->query, b->query) && !a->query.p == !b->query.p &&
	       tg_view_eq(a->reason, b->reason) && a->n_fields == b->n_fields;
}

static void must_equal(const struct result *a, const struct result *b)
{
	MUST(a->rc == b->rc && a->refusal == b->refusal);
	if (a->rc <= 0)
		return;
	MUST(equal(&a->m, &b->m));
	for (uint32_t i = 0; i < a->m.n_fields; i++) {
		MUST(a->fields[i].id == b->fields[i].id);
		MUST(tg_view_eq(a->fields[i].name, b->fields[i].name));
		MUST(tg_view_eq(a->fields[i].value, b->fields[i].value));
	}
}

/* What the proxy does between reading a head and writing it. */
static void forward(const struct input *in, struct result *r)
{
	static uint8_t out[8192];
	struct input again = *in;
	struct tg_msg *m = &r->m;
	enum tg_body_kind body = m->body;
	uint8_t scratch[24];
	struct result r2;
	int32_t n;

	MUST(tg_msg_remove_hop_by_hop(m));
	if (m->method == TG_CONNECT || m->body == TG_BODY_TUNNEL)
		return; /* no message is forwarded */
	if (in->request && !tg_msg_find(m, TG_FIELD_HOST))
		MUST(!tg_msg_add(m, TG_FIELD_HOST, TG_VIEW("host"), TG_VIEW("h")));
	/* To HEAD and with 304 the announced length is passed on. */
	if (body == TG_BODY_NONE && m->has_content_length && m->status != 204)
		body = TG_BODY_LENGTH;
	MUST(!tg_h1_frame(m, body, m->content_length, !m->keep_alive, false, scratch));
	n = tg_h1_write_head(m, out, sizeof(out));
	MUST(n > 0);
	again.p = out;
	again.n = (uint32_t)n;
	parse(&again, UINT32_MAX, &wider, &r2);
	MUST(r2.rc == n);
	MUST(r2.m.body == m->body && r2.m.content_length == m->content_length);
	MUST(r2.m.keep_alive == m->keep_alive && r2.m.status == m->status);
	MUST(tg_view_eq(r2.m.method_name, m->method_name) && tg_view_eq(r2.m.path, m->path));
	MUST(tg_view_eq(r2.m.query, m->query) && tg_view_eq(r2.m.reason, m->reason));
	if (m->authority.n)
		MUST(tg_view_eq(r2.m.authority, m->authority));
	for (uint32_t i = 0, k = 0; i < m->n_fields; i++) {
		if (m->fields[i].removed)
			continue;
		MUST(k < r2.m.n_fields);
		MUST(tg_view_eq(r2.fields[k].name, m->fields[i].name));
		MUST(tg_view_eq(r2.fields[k++].value, m->fields[i].value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in;
	struct result scalar, wide, cut;
	uint8_t *copy;

	if (size < 2 || size > 5000)
		return 0;
	in.n = (uint32_t)size - 2;
	copy = malloc(in.n ? in.n : 1);
	memcpy(copy, data + 2, in.n);
	in.p = copy;
	in.request = data[0] & 1;
	in.to = (enum tg_method)(data[0] >> 1) % (TG_METHOD_OTHER + 1);
	in.step = data[1] + 1u;
	MUST(!tg_h1_init("scalar"));
	parse(&in, UINT32_MAX, &limits, &scalar);
	MUST(!tg_h1_init("auto"));
	parse(&in, UINT32_MAX, &limits, &wide);
	must_equal(&scalar, &wide);
	parse(&in, in.step, &limits, &cut);
	must_equal(&wide, &cut);
	if (wide.rc > 0)
		forward(&in, &wide);
	free(copy);
	return 0;
}
