/* hash.c: what of a request decides which endpoint it goes to. */
#include <tidegate/lb.h>

#define SEED UINT64_C(0x7469646567617465) /* the same in every process */

static uint64_t of(struct tg_view v)
{
	return tg_hash64(SEED, v.p, v.n);
}

/* Several lines of a field count as one, whatever their order: as Envoy sorts them. */
static bool by_header(const struct tg_hash_policy *p, const struct tg_msg *m, uint64_t *out)
{
	struct tg_field *f = tg_msg_find_name(m, p->name, NULL);

	*out = 0;
	for (; f; f = tg_msg_find_name(m, p->name, f))
		*out += of(f->value);
	return tg_msg_find_name(m, p->name, NULL);
}

/* "a=1; name=value; b=2" (RFC 6265 section 4.2.1). */
static bool find_cookie(struct tg_view line, struct tg_view name, struct tg_view *value)
{
	while (line.n) {
		const uint8_t *end = memchr(line.p, ';', line.n);
		struct tg_view pair = tg_view_of(line.p, end ? (size_t)(end - line.p) : line.n);

		line = end ? tg_view_of(end + 1, (size_t)(line.p + line.n - end - 1))
			   : TG_VIEW_NONE;
		while (pair.n && pair.p[0] == ' ') {
			pair.p++;
			pair.n--;
		}
		if (pair.n <= name.n || pair.p[name.n] != '=' || memcmp(pair.p, name.p, name.n))
			continue;
		*value = tg_view_of(pair.p + name.n + 1, pair.n - name.n - 1);
		if (value->n >= 2 && value->p[0] == '"' && value->p[value->n - 1] == '"')
			*value = tg_view_of(value->p + 1, value->n - 2);
		return true;
	}
	return false;
}

static bool by_cookie(const struct tg_hash_policy *p, const struct tg_msg *m, uint64_t *out)
{
	const struct tg_view field = TG_VIEW("cookie");
	struct tg_field *f = NULL;
	struct tg_view value;

	while ((f = tg_msg_find_name(m, field, f)))
		if (find_cookie(f->value, p->name, &value) && value.n) {
			*out = of(value);
			return true;
		}
	return false;
}

static bool by_query(const struct tg_hash_policy *p, const struct tg_msg *m, uint64_t *out)
{
	struct tg_view q = m->query;

	while (q.p && q.n) {
		const uint8_t *end = memchr(q.p, '&', q.n);
		struct tg_view pair = tg_view_of(q.p, end ? (size_t)(end - q.p) : q.n);

		q = end ? tg_view_of(end + 1, (size_t)(q.p + q.n - end - 1)) : TG_VIEW_NONE;
		if (pair.n < p->name.n || memcmp(pair.p, p->name.p, p->name.n))
			continue;
		if (pair.n > p->name.n && pair.p[p->name.n] != '=')
			continue;
		if (pair.n > p->name.n)
			*out = of(tg_view_of(pair.p + p->name.n + 1, pair.n - p->name.n - 1));
		else
			*out = of(TG_VIEW_NONE);
		return true;
	}
	return false;
}

static bool by(const struct tg_hash_policy *p, const struct tg_msg *m, const struct tg_ip *source,
	uint64_t *out)
{
	switch (p->kind) {
	case TG_HASH_HEADER:
		return by_header(p, m, out);
	case TG_HASH_COOKIE:
		return by_cookie(p, m, out);
	case TG_HASH_QUERY:
		return by_query(p, m, out);
	default:
		*out = of(tg_view_of(source->b, sizeof(source->b)));
		return true;
	}
}

static void make_value(struct tg_rng *rng, uint8_t out[static 16])
{
	uint64_t v = tg_rng_next(rng);

	for (int i = 0; i < 16; i++, v >>= 4)
		out[i] = (uint8_t) "0123456789abcdef"[v & 15];
}

bool tg_hash_request(const struct tg_hash_policy *p, uint32_t n, const struct tg_msg *m,
	const struct tg_ip *source, struct tg_rng *rng, uint64_t *hash,
	const struct tg_hash_policy **give, uint8_t value[static 16])
{
	bool found = false;

	*hash = 0;
	*give = NULL;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t one;
		bool got = by(&p[i], m, source, &one);

		if (!got && p[i].kind == TG_HASH_COOKIE && p[i].has_ttl && !*give) {
			make_value(rng, value);
			one = of(tg_view_of(value, 16));
			*give = &p[i];
			got = true;
		}
		if (got)
			*hash = (*hash << 1 | *hash >> 63) ^ one;
		found |= got;
		if (found && p[i].terminal)
			break;
	}
	return found;
}
