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

/* What the client is told: of several limits, of the one that has least left. */
struct ratelimit_told {
	bool known;
	uint32_t limit, left;
	uint64_t reset; /* ns until more come; set by who is told that it is the least */
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
/* False: another has less. */
static inline bool ratelimit_is_least(struct ratelimit_told *t, uint32_t limit, uint32_t left)
{
	if (t->known && t->left <= left)
		return false;
	*t = (struct ratelimit_told){true, limit, left, 0};
	return true;
}

/* x-ratelimit-limit, -remaining and -reset, if anything is known. policy: the first one's, if it is
 * not just the limit. Without room for them the response goes without. */
void ratelimit_tell(struct tg_exchange *ex, struct tg_msg *m, const struct ratelimit_told *t,
	struct tg_view policy);
/* Is over a limit: with retry-after and these fields. */
enum tg_verdict ratelimit_refuse(struct tg_exchange *ex, uint16_t status, struct tg_view details,
	const struct ratelimit_told *t, const struct tg_field *more, uint32_t n);
/* Decimal, in the exchange's arena. .p NULL: no memory. */
struct tg_view ratelimit_number(struct tg_exchange *ex, uint64_t v);

#endif
