/* Predicates over fields. Several lines of one field count as one value joined by "," (Envoy; a
 * check of the first line alone could be bypassed by sending a second), without building it. */
#include <tidegate/match.h>

/* A place in the joined value: field f at byte at; at == its length is the comma behind it. */
struct place {
	const struct tg_msg *m;
	struct tg_view name;
	uint32_t f, at;
	bool fold; /* bytes come in lower case */
};

static uint32_t next_line(const struct tg_msg *m, struct tg_view name, uint32_t f)
{
	while (f < m->n_fields &&
		(m->fields[f].removed || !tg_view_eq_nocase(m->fields[f].name, name)))
		f++;
	return f;
}

/* The byte at p, then one on; -1 at the end. */
static int take(struct place *p)
{
	struct tg_view v;
	uint32_t next;

	if (p->f >= p->m->n_fields)
		return -1;
	v = p->m->fields[p->f].value;
	if (p->at < v.n) {
		uint8_t c = v.p[p->at++];

		return p->fold ? tg_ascii_lower(c) : c;
	}
	next = next_line(p->m, p->name, p->f + 1);
	if (next >= p->m->n_fields)
		return -1;
	p->f = next;
	p->at = 0;
	return ',';
}

/* Whether the joined value goes on with v from p; *end then tells if nothing follows. */
static bool goes_on(struct place p, struct tg_view v, bool *end)
{
	for (uint32_t i = 0; i < v.n; i++)
		if (take(&p) != v.p[i])
			return false;
	*end = take(&p) < 0;
	return true;
}

/* Length of the joined value from p on. */
static uint64_t length(struct place p)
{
	uint64_t n = 0;

	for (uint32_t f = p.f; f < p.m->n_fields; f = next_line(p.m, p.name, f + 1))
		n += p.m->fields[f].value.n + 1;
	return n - 1;
}

static bool joined_ends(struct place p, struct tg_view v)
{
	uint64_t n = length(p);
	bool end;

	if (n < v.n)
		return false;
	for (n -= v.n; n; n--)
		take(&p);
	return goes_on(p, v, &end);
}

/* v inside one line, or across the joints. */
static bool joined_contains(struct place p, struct tg_view v)
{
	bool end;

	if (v.n == 0)
		return true;
	while (p.f < p.m->n_fields) {
		struct tg_view line = p.m->fields[p.f].value;

		if (!p.fold && line.n >= v.n && memmem(line.p, line.n, v.p, v.n))
			return true;
		p.at = !p.fold && line.n >= v.n ? line.n - v.n + 1 : 0;
		for (; p.at <= line.n; p.at++)
			if (goes_on(p, v, &end))
				return true;
		p.f = next_line(p.m, p.name, p.f + 1);
	}
	return false;
}

/* The joined value in one piece. A single line stays where it is. .p NULL: it is too long. */
static struct tg_view joined(struct place p, struct tg_regex_scratch *s)
{
	uint32_t next = next_line(p.m, p.name, p.f + 1);
	uint64_t n = length(p);

	if (next >= p.m->n_fields)
		return p.m->fields[p.f].value;
	if (n > sizeof(s->text))
		return TG_VIEW_NONE;
	for (uint64_t i = 0; i < n; i++)
		s->text[i] = (uint8_t)take(&p);
	return tg_view_of(s->text, n);
}

static bool regex_matches(
	const struct tg_header_match *h, struct tg_view v, const struct tg_match_env *env)
{
	return env && env->regex && tg_regex_matches(h->regex, v, env->regex);
}

/* A whole decimal number, perhaps with a sign, in [from, to). */
static bool in_range(const struct tg_header_match *h, struct tg_view v)
{
	bool minus = v.n && v.p[0] == '-';
	uint32_t i = v.n && (minus || v.p[0] == '+');
	int64_t n = 0;

	if (i == v.n)
		return false;
	for (; i < v.n; i++) {
		int digit = v.p[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(n, 10, &n) ||
			__builtin_sub_overflow(n, digit, &n)) /* negative: holds INT64_MIN */
			return false;
	}
	if (!minus && n == INT64_MIN)
		return false;
	n = minus ? n : -n;
	return h->from <= n && n < h->to;
}

static bool joined_matches(
	const struct tg_header_match *h, struct place first, const struct tg_match_env *env)
{
	bool end = false;
	struct tg_view v;

	switch (h->kind) {
	case TG_HEADER_EXACT:
		return goes_on(first, h->value, &end) && end;
	case TG_HEADER_PREFIX:
		return goes_on(first, h->value, &end);
	case TG_HEADER_SUFFIX:
		return joined_ends(first, h->value);
	case TG_HEADER_CONTAINS:
		return joined_contains(first, h->value);
	case TG_HEADER_PRESENT:
		return true;
	case TG_HEADER_REGEX:
		v = env && env->regex ? joined(first, env->regex) : TG_VIEW_NONE;
		return (v.p || length(first) == 0) && regex_matches(h, v, env);
	case TG_HEADER_RANGE: /* with a comma in it, it is no number */
		return next_line(first.m, h->name, first.f + 1) >= first.m->n_fields &&
		       in_range(h, first.m->fields[first.f].value);
	}
	return false;
}

/* Whether v stands in part, from its byte `at` on. */
static bool stands_at(struct tg_view part, uint32_t at, struct tg_view v, bool fold)
{
	if (part.n < v.n || at > part.n - v.n)
		return false;
	if (fold)
		return tg_view_eq_nocase(tg_view_of(part.p + at, v.n), v);
	return v.n == 0 || memcmp(part.p + at, v.p, v.n) == 0;
}

static bool part_contains(struct tg_view part, struct tg_view v, bool fold)
{
	if (v.n == 0 || !fold)
		return v.n == 0 || (part.n >= v.n && memmem(part.p, part.n, v.p, v.n));
	for (uint32_t at = 0; at + v.n <= part.n; at++)
		if (stands_at(part, at, v, true))
			return true;
	return false;
}

/* Of one piece of text. */
static bool part_matches(
	const struct tg_header_match *h, struct tg_view part, const struct tg_match_env *env)
{
	struct tg_view v = h->value;

	switch (h->kind) {
	case TG_HEADER_EXACT:
		return part.n == v.n && stands_at(part, 0, v, h->ignore_case);
	case TG_HEADER_PREFIX:
		return stands_at(part, 0, v, h->ignore_case);
	case TG_HEADER_SUFFIX:
		return part.n >= v.n && stands_at(part, part.n - v.n, v, h->ignore_case);
	case TG_HEADER_CONTAINS:
		return part_contains(part, v, h->ignore_case);
	case TG_HEADER_PRESENT:
		return part.n > 0;
	case TG_HEADER_REGEX:
		return regex_matches(h, part, env);
	case TG_HEADER_RANGE:
		return in_range(h, part);
	}
	return false;
}

static bool missing_matches(const struct tg_header_match *h, const struct tg_match_env *env)
{
	if (h->missing_is_empty)
		return part_matches(h, TG_VIEW_NONE, env) != h->invert;
	return h->kind == TG_HEADER_PRESENT && h->invert;
}

static bool header_matches(
	const struct tg_header_match *h, const struct tg_msg *m, const struct tg_match_env *env)
{
	struct place first = {m, h->name, 0, 0, h->ignore_case};

	if (h->name.n && h->name.p[0] == ':') {
		if (tg_view_eq(h->name, TG_VIEW(":method")))
			return part_matches(h, m->method_name, env) != h->invert;
		if (tg_view_eq(h->name, TG_VIEW(":authority")))
			return part_matches(h, m->authority, env) != h->invert;
		return false;
	}
	first.f = next_line(m, h->name, 0);
	if (first.f >= m->n_fields)
		return missing_matches(h, env);
	return joined_matches(h, first, env) != h->invert;
}

bool tg_headers_match(const struct tg_header_match *h, uint32_t n, const struct tg_msg *m,
	const struct tg_match_env *env)
{
	for (uint32_t i = 0; i < n; i++)
		if (!header_matches(&h[i], m, env))
			return false;
	return true;
}

/* The first parameter of that name. */
static bool find_parameter(struct tg_view query, struct tg_view name, struct tg_view *value)
{
	while (query.n) {
		const uint8_t *amp = memchr(query.p, '&', query.n);
		struct tg_view p = tg_view_of(query.p, amp ? (size_t)(amp - query.p) : query.n);
		const uint8_t *eq = p.n ? memchr(p.p, '=', p.n) : NULL;
		uint32_t n = eq ? (uint32_t)(eq - p.p) : p.n, used = p.n + (amp != NULL);

		if (tg_view_eq(tg_view_of(p.p, n), name)) {
			*value = eq ? tg_view_of(eq + 1, p.n - n - 1) : tg_view_of(p.p + n, 0);
			return true;
		}
		query = tg_view_of(query.p + used, query.n - used);
	}
	return false;
}

static bool parameter_matches(
	const struct tg_header_match *h, const struct tg_msg *m, const struct tg_match_env *env)
{
	struct tg_view value;

	if (!find_parameter(m->query, h->name, &value))
		return missing_matches(h, env);
	return (h->kind == TG_HEADER_PRESENT || part_matches(h, value, env)) != h->invert;
}

bool tg_query_matches(const struct tg_header_match *h, uint32_t n, const struct tg_msg *m,
	const struct tg_match_env *env)
{
	for (uint32_t i = 0; i < n; i++)
		if (!parameter_matches(&h[i], m, env))
			return false;
	return true;
}
