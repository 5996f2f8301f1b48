/* A worker's hold on a set. Each worker counts its uses for itself; only the first and the last of
 * them touch the count that the control core reads. */
#include "internal.h"

void tg_set_hold(struct tg_tls_set *s, uint32_t worker)
{
	if (s->users[worker]++ == 0)
		atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
}

void tg_set_drop(struct tg_tls_set *s, uint32_t worker)
{
	if (--s->users[worker] == 0)
		atomic_fetch_sub_explicit(&s->refs, 1, memory_order_release);
}

void tg_set_adopted(struct tg_tls_set *s, uint32_t worker)
{
	/* After the hold: whoever sees this generation also sees that s is in use. */
	atomic_store_explicit(&s->store->adopted[worker], s->gen, memory_order_release);
}
