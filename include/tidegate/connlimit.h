/* connlimit.h: how many new connections a second a listener takes, in all and of one client.
 *
 * Asked when a SYN comes, before any memory is taken for it. Token buckets over all workers
 * (bucket.h): no limit is exceeded by a single connection. Clients are networks, an address or a
 * prefix; the table of those that are remembered is bounded. A SYN of a client that is over its
 * limit costs the listener's nothing.
 *
 * Owner: the snapshot; shared by all workers. Not here: TCP.
 */
#ifndef TIDEGATE_CONNLIMIT_H
#define TIDEGATE_CONNLIMIT_H

#include <tidegate/addr.h>
#include <tidegate/bucket.h>
#include <tidegate/why.h>

struct tg_connlimit {
	struct tg_bucket bucket;
	struct tg_buckets clients;
	bool has_all, has_client;
	struct tg_bucket_rate all, client;
	uint8_t v4_len, v6_len; /* bits that make a client: 0 .. 32, 0 .. 128 */
};

/* TG_WHY_none: it may come, and `take` has taken a token for it. Else why not. now: ns. */
enum tg_why tg_connlimit_ask(
	struct tg_connlimit *l, const struct tg_ip *from, uint64_t now, bool take);

#endif
