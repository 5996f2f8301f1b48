/* names.c: clusters by name, for routes that take theirs from a field. */
#include <tidegate/route.h>

struct tg_cluster_names {
	uint32_t mask; /* slots - 1, at most half of them in use */
	const struct tg_cluster *slots[];
};

static const struct tg_cluster **slot_of(const struct tg_cluster_names *t, struct tg_view name)
{
	uint64_t h = tg_hash64(0, name.p, name.n);
	const struct tg_cluster *const *s;

	for (;; h++) {
		s = &t->slots[h & t->mask];
		if (!*s || tg_view_eq(tg_view_str((*s)->name), name))
			return (const struct tg_cluster **)(uintptr_t)s;
	}
}

struct tg_cluster_names *tg_cluster_names_build(
	const struct tg_cluster *clusters, uint32_t n, tg_alloc_fn *alloc, void *ctx)
{
	struct tg_cluster_names *t;
	uint64_t slots = 2;
	size_t size;

	while (slots < 2 * (uint64_t)n + 1)
		slots *= 2;
	size = sizeof(*t) + slots * sizeof(t->slots[0]);
	t = slots <= UINT64_C(1) << 31 ? alloc(ctx, size) : NULL;
	if (!t)
		return NULL;
	memset(t, 0, size);
	t->mask = (uint32_t)(slots - 1);
	for (uint32_t i = 0; i < n; i++)
		*slot_of(t, tg_view_str(clusters[i].name)) = &clusters[i];
	return t;
}

const struct tg_cluster *tg_cluster_find(const struct tg_cluster_names *t, struct tg_view name)
{
	return *slot_of(t, name);
}
