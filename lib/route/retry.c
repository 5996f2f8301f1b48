#include <tidegate/retry.h>
#include <tidegate/wheel.h>

static const struct tg_view words[] = {
#define X(id, text) {(const uint8_t *)(text), sizeof(text) - 1},
	TG_RETRY_LIST(X)
#undef X
};

/* Takes the next item of a list with commas off v, without the white space around it. */
static struct tg_view next_item(struct tg_view *v)
{
	const uint8_t *comma = v->n ? memchr(v->p, ',', v->n) : NULL;
	struct tg_view item = tg_view_of(v->p, comma ? (size_t)(comma - v->p) : v->n);

	v->n -= comma ? item.n + 1 : item.n;
	v->p = comma ? comma + 1 : v->p + item.n;
	while (item.n && (item.p[0] == ' ' || item.p[0] == '\t')) {
		item.p++;
		item.n--;
	}
	while (item.n && (item.p[item.n - 1] == ' ' || item.p[item.n - 1] == '\t'))
		item.n--;
	return item;
}

uint32_t tg_retry_on_parse(struct tg_view list, struct tg_view *bad)
{
	uint32_t on = 0;

	*bad = TG_VIEW_NONE;
	while (list.n) {
		struct tg_view item = next_item(&list);
		uint32_t i = 0;

		while (i < TG_ARRAY_LEN(words) && !tg_view_eq(words[i], item))
			i++;
		if (i < TG_ARRAY_LEN(words))
			on |= 1u << i;
		else if (item.n && !bad->n)
			*bad = item;
	}
	return on;
}

void tg_retry_statuses_parse(struct tg_view list, struct tg_retry_statuses *out)
{
	while (list.n && out->n < TG_RETRY_STATUSES) {
		struct tg_view item = next_item(&list);
		uint32_t code = 0;

		for (uint32_t i = 0; i < item.n; i++) {
			bool digit = (uint8_t)(item.p[i] - '0') < 10;

			code = digit && code < 1000 ? code * 10 + (uint32_t)(item.p[i] - '0')
						    : 1000;
		}
		if (code >= 100 && code < 600)
			out->code[out->n++] = (uint16_t)code;
	}
}

static bool has_status(const struct tg_retry_statuses *s, uint16_t status)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->code[i] == status)
			return true;
	return false;
}

static bool has_header(const struct tg_retry_policy *p, const struct tg_msg *m)
{
	for (uint32_t i = 0; i < p->n_headers; i++)
		if (tg_headers_match(&p->headers[i], 1, m, NULL))
			return true;
	return false;
}

static bool has_one_of(struct tg_view names, const struct tg_msg *m)
{
	while (names.n) {
		struct tg_view name = next_item(&names);

		if (name.n && tg_msg_find_name(m, name, NULL))
			return true;
	}
	return false;
}

/* The word of the gRPC status that the head has, where there is one for it. */
static uint32_t grpc_word(const struct tg_msg *m)
{
	static const struct {
		struct tg_view status;
		uint32_t word;
	} words_of[] = {{TG_VIEW_OF("1"), TG_RETRY_CANCELLED},
		{TG_VIEW_OF("4"), TG_RETRY_DEADLINE_EXCEEDED},
		{TG_VIEW_OF("13"), TG_RETRY_INTERNAL},
		{TG_VIEW_OF("8"), TG_RETRY_RESOURCE_EXHAUSTED},
		{TG_VIEW_OF("14"), TG_RETRY_UNAVAILABLE}};
	const struct tg_field *f = tg_msg_find_name(m, TG_VIEW("grpc-status"), NULL);

	for (uint32_t i = 0; f && i < TG_ARRAY_LEN(words_of); i++)
		if (tg_view_eq(f->value, words_of[i].status))
			return words_of[i].word;
	return 0;
}

bool tg_retry_by_response(uint32_t on, const struct tg_retry_policy *policy,
	const struct tg_retry_asked *asked, const struct tg_msg *m)
{
	uint16_t s = m->status;

	/* Somebody's limit, which a retry would only press harder. */
	if (tg_msg_find(m, TG_FIELD_X_ENVOY_RATELIMITED))
		return on & TG_RETRY_ENVOY_RATELIMITED;
	if ((on & TG_RETRY_5XX) && s >= 500)
		return true;
	if ((on & TG_RETRY_GATEWAY_ERROR) && s >= 502 && s <= 504)
		return true;
	if ((on & TG_RETRY_RETRIABLE_4XX) && s == 409)
		return true;
	if ((on & TG_RETRY_RETRIABLE_STATUS_CODES) &&
		((policy && has_status(&policy->statuses, s)) || has_status(&asked->statuses, s)))
		return true;
	if ((on & TG_RETRY_GRPC) && (on & grpc_word(m)))
		return true;
	return (on & TG_RETRY_RETRIABLE_HEADERS) &&
	       ((policy && has_header(policy, m)) || has_one_of(asked->names, m));
}

bool tg_retry_by_failure(uint32_t on, enum tg_retry_failure f)
{
	const uint32_t any = TG_RETRY_5XX | TG_RETRY_GATEWAY_ERROR | TG_RETRY_RESET;

	switch (f) {
	case TG_RETRY_NO_CONNECTION:
		return on & (any | TG_RETRY_CONNECT_FAILURE | TG_RETRY_RESET_BEFORE_REQUEST);
	case TG_RETRY_LOST_UNDELIVERED:
		return on & (any | TG_RETRY_RESET_BEFORE_REQUEST);
	default:
		return on & any;
	}
}

uint64_t tg_retry_backoff(uint64_t base, uint64_t max, uint32_t n, struct tg_rng *rng)
{
	uint64_t limit = max;

	if (n < 32 && base <= UINT64_MAX >> 32 && ((UINT64_C(1) << n) - 1) * base < max)
		limit = ((UINT64_C(1) << n) - 1) * base;
	return limit ? (uint64_t)(((unsigned __int128)tg_rng_next(rng) * limit) >> 64) : 0;
}

/* Decimal digits only: a date (RFC 9110 section 10.2.3) is none of ours, as of Envoy's. */
static bool seconds(struct tg_view v, uint64_t *out)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < v.n; i++) {
		if ((uint8_t)(v.p[i] - '0') > 9 || n > UINT32_MAX)
			return false;
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	*out = n;
	return v.n > 0 && n <= UINT32_MAX;
}

uint64_t tg_retry_reset_wait(const struct tg_retry_policy *p, const struct tg_msg *m,
	uint64_t realtime, struct tg_rng *rng)
{
	for (uint32_t i = 0; i < p->n_resets; i++) {
		const struct tg_field *f = tg_msg_find_name(m, p->resets[i].name, NULL);
		uint64_t n, now = realtime / TG_SEC, wait;

		if (!f || !seconds(f->value, &n))
			continue;
		if (p->resets[i].timestamp)
			n = n > now ? n - now : 0;
		wait = n * TG_SEC;
		if (wait && wait <= p->reset_max)
			return wait +
			       (uint64_t)(((unsigned __int128)tg_rng_next(rng) * (wait / 2)) >> 64);
	}
	return 0;
}
