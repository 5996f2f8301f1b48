/* live.c: a cluster with the endpoints that DNS has found. */
#include <tidegate/route.h>

int tg_cluster_with(struct tg_cluster *out, const struct tg_cluster *c,
	const struct tg_endpoint *endpoints, uint32_t n, tg_alloc_fn *alloc, void *ctx)
{
	int rc;

	*out = *c;
	out->live = NULL;
	out->health = NULL;
	out->n_endpoints = n < c->max_endpoints ? n : c->max_endpoints;
	out->endpoints = alloc(ctx, (out->n_endpoints + 1) * sizeof(*out->endpoints));
	if (!out->endpoints)
		return TG_ENOMEM;
	for (uint32_t i = 0; i < out->n_endpoints; i++) {
		out->endpoints[i] = endpoints[i];
		out->endpoints[i].id = c->first_id + i;
		tg_sockaddr_format(&endpoints[i].addr, out->endpoints[i].text);
	}
	rc = tg_cluster_compile(out);
	return rc ? rc : tg_cluster_compile_lb(out, alloc, ctx);
}
