/* Predicates over fields. Several lines of one field count as one value joined by "," (Envoy; a
 * check of the first line alone could be bypassed by sending a second), without building it. */
#include <tidegate/match.h>

/* A place in the joined value: field f at byte at; at == its length is the comma behind it. */
struct place {
	const struct tg_msg *m;
	struct tg_view name;
	uint32_t f, at;
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
	if (p->at < v.n)
		return v.p[p->at++];
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

		if (line.n >= v.n && memmem(line.p, line.n, v.p, v.n))
			return true;
		p.at = line.n >= v.n ? line.n - v.n + 1 : 0;
		for (; p.at <= line.n; p.at++)
			if (goes_on(p, v, &end))
				return true;
		p.f = next_line(p.m, p.name, p.f + 1);
	}
	return false;
}

static bool joined_matches(const struct tg_header_match *h, struct place first)
{
	bool end = false;

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
	}
	return false;
}

static bool part_matches(const struct tg_header_match *h, struct tg_view part)
{
	switch (h->kind) {
	case TG_HEADER_EXACT:
		return tg_view_eq(part, h->value);
	case TG_HEADER_PREFIX:
		return tg_view_has_prefix(part, h->value);
	case TG_HEADER_SUFFIX:
		return part.n >= h->value.n &&
		       tg_view_eq(tg_view_of(part.p + (part.n - h->value.n), h->value.n), h->value);
	case TG_HEADER_CONTAINS:
		return h->value.n == 0 ||
		       (part.n >= h->value.n && memmem(part.p, part.n, h->value.p, h->value.n));
	case TG_HEADER_PRESENT:
		return part.n > 0;
	}
	return false;
}

static bool header_matches(const struct tg_header_match *h, const struct tg_msg *m)
{
	struct place first = {m, h->name, 0, 0};

	if (h->name.n && h->name.p[0] == ':') {
		if (tg_view_eq(h->name, TG_VIEW(":method")))
			return part_matches(h, m->method_name) != h->invert;
		if (tg_view_eq(h->name, TG_VIEW(":authority")))
			return part_matches(h, m->authority) != h->invert;
		return false;
	}
	first.f = next_line(m, h->name, 0);
	if (first.f >= m->n_fields)
		return h->kind == TG_HEADER_PRESENT && h->invert;
	return joined_matches(h, first) != h->invert;
}

bool tg_headers_match(const struct tg_header_match *h, uint32_t n, const struct tg_msg *m)
{
	for (uint32_t i = 0; i < n; i++)
		if (!header_matches(&h[i], m))
			return false;
	return true;
}
