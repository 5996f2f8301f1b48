/* affinity.c: the hash of a request, and the cookie by which the next one will have it too. */
#include "internal.h"

/* name="value"; Max-Age=60; Path=/; HttpOnly (RFC 6265 section 4.1), as Envoy writes it. */
static bool write_cookie(struct px_exch *ex, const struct tg_hash_policy *p, const uint8_t *value)
{
	uint8_t *t = tg_arena_alloc(&ex->arena, p->name.n + p->path.n + 80);
	uint32_t n = 0;

	if (!t)
		return false;
#define PUT(from, len) \
	do { \
		memcpy(t + n, from, len); \
		n += (uint32_t)(len); \
	} while (0)
	PUT(p->name.p, p->name.n);
	PUT("=\"", 2);
	PUT(value, 16);
	PUT("\"", 1);
	if (p->ttl) {
		PUT("; Max-Age=", 10);
		n += px_text_u64((p->ttl + TG_SEC - 1) / TG_SEC, t + n);
	}
	if (p->path.n) {
		PUT("; Path=", 7);
		PUT(p->path.p, p->path.n);
	}
	PUT("; HttpOnly", 10);
#undef PUT
	ex->cookie = tg_view_of(t, n);
	return true;
}

bool px_affinity(struct px_exch *ex)
{
	const struct tg_hash_policy *give;
	struct tg_conn_info info;
	uint8_t value[16];

	tg_conn_info(ex->down->conn, &info);
	ex->has_hash = tg_hash_request(ex->route->hash, ex->route->n_hash, &ex->req,
		&info.remote.ip, &ex->proxy->rng, &ex->hash, &give, value);
	return !give || write_cookie(ex, give, value);
}
