/* ratelimit.h: what local and global limits share: descriptors of a request, numbers of a response.
 */
#ifndef TG_FILTER_RATELIMIT_H
#define TG_FILTER_RATELIMIT_H

#include <tidegate/ratelimit.h>

#define RATELIMIT_SEC UINT64_C(1000000000)

/* An item of rate_limits, and the descriptors that have its keys. */
struct ratelimit_limit {
	const struct tg_ratelimit_limit *in;
	uint32_t n_fit, *fit;
};

/* The value of an action. */
struct ratelimit_value {
	struct tg_view text;
	struct tg_ip ip; /* of addresses, instead */
};

/* NULL: no memory. */
struct ratelimit_limit *ratelimit_limits(const struct tg_ratelimit_limit *limits, uint32_t n_limits,
	const struct tg_ratelimit_descriptor *descriptors, uint32_t n_descriptors,
	const struct tg_filter_env *env);
/* One of its values is left open. */
bool ratelimit_is_open(const struct tg_ratelimit_descriptor *d);
bool ratelimit_is_address(const struct tg_ratelimit_action *a);
/* The first of the descriptors that fits the request, and the values of the limit's actions; NULL:
 * none does. */
const struct tg_ratelimit_descriptor *ratelimit_find(const struct ratelimit_limit *l,
	const struct tg_ratelimit_descriptor *descriptors, const struct tg_exchange *ex,
	const struct tg_msg *m, struct ratelimit_value v[static TG_RATELIMIT_ENTRIES_MAX]);

/* "header=a, remote_address=10.0.0.1" */
void ratelimit_describe(const struct ratelimit_limit *l, const struct tg_ratelimit_descriptor *d,
	const struct ratelimit_value *v, char *out, size_t n);
/* Decimal, in the exchange's arena. .p NULL: no memory. */
struct tg_view ratelimit_number(struct tg_exchange *ex, uint64_t v);
/* The whole seconds in which it has happened. */
uint64_t ratelimit_seconds(uint64_t ns);

#endif
