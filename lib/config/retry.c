/* `retry_policy` of virtual hosts and routes. */
#include <string.h>

#include "schema.h"

static void check_words(struct cfg *c, const struct raw_retry *raw, const char *who)
{
	struct tg_view bad;

	if (!raw->retry_on)
		return;
	tg_retry_on_parse(tg_view_str(raw->retry_on), &bad);
	if (bad.n)
		cfg_error(c, cfg_key_line(&raw->h, "retry_on"),
			"%s: retry_policy: \"retry_on\" has \"%.*s\", which is none of \"5xx\", "
			"\"gateway-error\", \"reset\", \"reset-before-request\", "
			"\"connect-failure\", "
			"\"envoy-ratelimited\", \"retriable-4xx\", \"retriable-status-codes\", "
			"\"retriable-headers\", and of gRPC \"cancelled\", \"deadline-exceeded\", "
			"\"internal\", \"resource-exhausted\" and \"unavailable\"",
			who, (int)bad.n, (const char *)bad.p);
}

/* A list that nothing asks for. */
static void check_list(struct cfg *c, const struct raw_retry *raw, const struct raw_list *l,
	const char *key, uint32_t bit, const char *word, const char *who)
{
	struct tg_view bad;
	bool wanted = raw->retry_on && (tg_retry_on_parse(tg_view_str(raw->retry_on), &bad) & bit);

	if (l->n && !wanted && raw->retry_on)
		cfg_error(c, cfg_key_line(&raw->h, key),
			"%s: retry_policy: \"%s\" does nothing without \"%s\" in \"retry_on\"", who,
			key, word);
}

void cfg_check_retry(struct cfg *c, const struct raw_retry *raw, const char *who)
{
	const struct raw_item *hosts = raw->host_predicates.items;

	if (!raw->h.at)
		return;
	check_words(c, raw, who);
	check_list(c, raw, &raw->statuses, "retriable_status_codes",
		TG_RETRY_RETRIABLE_STATUS_CODES, "retriable-status-codes", who);
	check_list(c, raw, &raw->headers, "retriable_headers", TG_RETRY_RETRIABLE_HEADERS,
		"retriable-headers", who);
	/* Status codes may also be a client's to say. */
	if (raw->retry_on && strstr(raw->retry_on, "retriable-headers") && !raw->headers.at)
		cfg_error(c, cfg_key_line(&raw->h, "retry_on"),
			"%s: retry_policy: \"retriable-headers\" in \"retry_on\" does nothing "
			"without "
			"\"retriable_headers\"",
			who);
	if (raw->statuses.n > TG_RETRY_STATUSES)
		cfg_error(c, cfg_line_of(raw->statuses.at),
			"%s: retry_policy: at most %d \"retriable_status_codes\" are possible, "
			"here "
			"are %u",
			who, TG_RETRY_STATUSES, raw->statuses.n);
	for (uint32_t i = 0; i < raw->headers.n; i++)
		cfg_check_header(c, &cfg_items(&raw->headers, raw_header)[i]);
	for (uint32_t i = 0; i < raw->host_predicates.n; i++)
		if (hosts[i].ok && strcmp(hosts[i].s, "previous_hosts") != 0)
			cfg_error(c, cfg_line_of(hosts[i].at),
				"%s: retry_policy: \"retry_host_predicate\" has \"%s\"; only "
				"\"previous_hosts\" is possible",
				who, hosts[i].s);
	for (uint32_t i = 0; i < raw->limited.resets.n; i++) {
		const struct raw_reset *x = &cfg_items(&raw->limited.resets, raw_reset)[i];

		if (x->name && !cfg_is_token(x->name))
			cfg_error(c, cfg_key_line(&x->h, "name"),
				"%s: reset_headers: \"%s\" is no name of a field", who, x->name);
	}
	if (raw->backoff.max && raw->backoff.max < raw->backoff.base)
		cfg_error(c, cfg_key_line(&raw->backoff.h, "max_interval"),
			"%s: retry_back_off: \"max_interval\" is shorter than \"base_interval\"",
			who);
}

void cfg_check_hedge(
	struct cfg *c, const struct raw_hedge *raw, const struct raw_retry *retry, const char *who)
{
	if (raw->h.at && raw->on_timeout && !retry->h.at)
		cfg_error(c, cfg_line_of(raw->h.at),
			"%s: hedge_policy: it does nothing without a \"retry_policy\" with "
			"\"per_try_timeout\"",
			who);
}

static bool compile_resets(
	struct cfg *c, const struct raw_limited_backoff *raw, struct tg_retry_policy *p)
{
	struct tg_retry_reset *out;

	if (!raw->resets.n)
		return true;
	p->resets = out = cfg_need(c, c->keep, raw->resets.n * sizeof(*out));
	if (!out)
		return false;
	p->reset_max = raw->max;
	p->n_resets = raw->resets.n;
	for (uint32_t i = 0; i < raw->resets.n; i++) {
		const struct raw_reset *x = &cfg_items(&raw->resets, raw_reset)[i];

		out[i] = (struct tg_retry_reset){tg_view_str(x->name), x->format == 1};
	}
	return true;
}

bool cfg_compile_retry(
	struct cfg *c, const struct raw_retry *raw, const struct tg_retry_policy **out)
{
	struct tg_retry_policy *p;
	struct tg_view bad;

	if (!raw->h.at)
		return true;
	p = cfg_need(c, c->keep, sizeof(*p));
	if (!p)
		return false;
	p->on = tg_retry_on_parse(tg_view_str(raw->retry_on), &bad);
	p->num_retries = raw->num_retries;
	p->per_try_timeout = raw->per_try_timeout;
	p->per_try_idle_timeout = raw->per_try_idle_timeout;
	if (!compile_resets(c, &raw->limited, p))
		return false;
	p->backoff_base = raw->backoff.base;
	p->backoff_max = raw->backoff.max ? raw->backoff.max : 10 * raw->backoff.base;
	p->avoid_previous = !raw->host_predicates.at || raw->host_predicates.n;
	p->host_attempts = raw->host_attempts;
	for (uint32_t i = 0; i < raw->statuses.n; i++)
		p->statuses.code[p->statuses.n++] =
			(uint16_t)cfg_items(&raw->statuses, raw_item)[i].u;
	p->n_headers = raw->headers.n;
	if (p->n_headers) {
		p->headers = cfg_compile_headers(c, &raw->headers);
		if (!p->headers)
			return false;
	}
	*out = p;
	return true;
}
