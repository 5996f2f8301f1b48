#include <tidegate/route.h>

#define HOST_MAX 255 /* bytes of a host; DNS names end at 253 */

struct host_slot {
	const struct tg_vhost *vhost; /* NULL: free */
	struct tg_view key;           /* "shop.example", or ".shop.example" of a wildcard */
	uint32_t tag;
	bool wild;
};

struct tg_host_table {
	const struct tg_vhost *any;           /* `*` */
	uint32_t mask;                        /* slots - 1, at most half of them in use */
	uint64_t wild_len[HOST_MAX / 64 + 1]; /* bit n: a wildcard key of n bytes exists */
	struct host_slot slots[];
};

static uint64_t key_hash(struct tg_view key, bool wild)
{
	return tg_hash64(wild, key.p, key.n);
}

/* The slot that holds key, or the free one where it would go. */
static struct host_slot *slot_of(const struct tg_host_table *t, struct tg_view key, bool wild)
{
	uint64_t h = key_hash(key, wild);
	uint32_t tag = (uint32_t)(h >> 32), i = (uint32_t)h & t->mask;
	const struct host_slot *s = &t->slots[i];

	while (s->vhost && (s->tag != tag || s->wild != wild || !tg_view_eq(s->key, key))) {
		i = (i + 1) & t->mask;
		s = &t->slots[i];
	}
	return (struct host_slot *)s;
}

static int duplicate(struct tg_errbuf *e, struct tg_view d, const char *a, const char *b)
{
	return tg_fail(e, TG_EEXIST, "domain \"%.*s\" is in virtual host \"%s\" and in \"%s\"",
		(int)d.n, (const char *)d.p, a, b);
}

static int add_domain(
	struct tg_host_table *t, const struct tg_vhost *v, struct tg_view d, struct tg_errbuf *e)
{
	bool wild = d.n > 2 && d.p[0] == '*' && d.p[1] == '.';
	struct tg_view key = wild ? tg_view_of(d.p + 1, d.n - 1) : d;
	struct host_slot *s;

	if (tg_view_eq(d, TG_VIEW("*"))) {
		if (t->any)
			return duplicate(e, d, t->any->name, v->name);
		t->any = v;
		return 0;
	}
	if (key.n == 0 || key.n > HOST_MAX)
		return tg_fail(e, TG_ERANGE, "domain \"%.*s\" is empty or longer than %d bytes",
			(int)(d.n < 64 ? d.n : 64), (const char *)d.p, HOST_MAX);
	s = slot_of(t, key, wild);
	if (s->vhost)
		return duplicate(e, d, s->vhost->name, v->name);
	*s = (struct host_slot){v, key, (uint32_t)(key_hash(key, wild) >> 32), wild};
	if (wild)
		t->wild_len[key.n / 64] |= UINT64_C(1) << key.n % 64;
	return 0;
}

struct tg_host_table *tg_host_table_build(struct tg_vhost *const *vhosts, uint32_t n,
	tg_alloc_fn *alloc, void *ctx, struct tg_errbuf *e)
{
	uint64_t domains = 0, slots = 8;
	struct tg_host_table *t;
	size_t size;

	for (uint32_t i = 0; i < n; i++)
		domains += vhosts[i]->n_domains;
	while (slots < 2 * domains + 1)
		slots *= 2;
	size = sizeof(*t) + slots * sizeof(t->slots[0]);
	t = slots <= UINT64_C(1) << 31 ? alloc(ctx, size) : NULL;
	if (!t) {
		tg_fail(e, TG_ENOMEM, "no memory for a host table of %llu domains",
			(unsigned long long)domains);
		return NULL;
	}
	memset(t, 0, size);
	t->mask = (uint32_t)(slots - 1);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t d = 0; d < vhosts[i]->n_domains; d++)
			if (add_domain(t, vhosts[i], vhosts[i]->domains[d], e))
				return NULL;
	return t;
}

/* Bytes of a registered name (RFC 3986 section 3.2.2). */
static bool host_byte(uint8_t c)
{
	return (uint8_t)(tg_ascii_lower(c) - 'a') < 26 || (uint8_t)(c - '0') < 10 ||
	       (c && strchr("-._~%!$&'()*+,;=", c));
}

static bool ip_literal_byte(uint8_t c)
{
	return (uint8_t)(tg_ascii_lower(c) - 'a') < 6 || (uint8_t)(c - '0') < 10 || c == ':' ||
	       c == '.';
}

static bool port_ok(struct tg_view v)
{
	uint32_t port = 0;

	for (uint32_t i = 0; i < v.n; i++) {
		if ((uint8_t)(v.p[i] - '0') > 9)
			return false;
		port = port * 10 + (uint32_t)(v.p[i] - '0');
		if (port > 65535)
			return false;
	}
	return true;
}

/* The host of host[:port] in lower case into out; its length, or -1 if this is no authority. */
static int host_of(struct tg_view a, uint8_t out[static HOST_MAX])
{
	bool literal = a.n && a.p[0] == '[';
	uint32_t n = 0;

	if (literal) {
		for (n = 1; n < a.n && a.p[n] != ']'; n++)
			if (!ip_literal_byte(a.p[n]))
				return -1;
		if (n == a.n || n == 1)
			return -1;
		n++;
	} else {
		while (n < a.n && a.p[n] != ':') {
			if (n >= HOST_MAX || !host_byte(a.p[n]))
				return -1;
			n++;
		}
	}
	if (n > HOST_MAX || (n == 0 && a.n))
		return -1;
	if (n < a.n && (a.p[n] != ':' || !port_ok(tg_view_of(a.p + n + 1, a.n - n - 1))))
		return -1;
	for (uint32_t i = 0; i < n; i++)
		out[i] = tg_ascii_lower(a.p[i]);
	return (int)n;
}

const struct tg_vhost *tg_host_find(const struct tg_host_table *t, struct tg_view authority)
{
	uint8_t buf[HOST_MAX];
	int n = host_of(authority, buf);
	const struct tg_vhost *v;

	if (n < 0)
		return NULL;
	if (n == 0)
		return t->any;
	v = slot_of(t, tg_view_of(buf, (size_t)n), false)->vhost;
	/* Longest suffix first; at least one byte stands for the star. */
	for (int dot = 1; !v && dot < n; dot++) {
		uint32_t len = (uint32_t)(n - dot);

		if (buf[dot] == '.' && t->wild_len[len / 64] >> len % 64 & 1)
			v = slot_of(t, tg_view_of(buf + dot, len), true)->vhost;
	}
	return v ? v : t->any;
}
