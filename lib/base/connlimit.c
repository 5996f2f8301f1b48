#include <tidegate/connlimit.h>

static uint64_t client_hash(const struct tg_connlimit *l, const struct tg_ip *from)
{
	struct tg_ip net = tg_ip_masked(from, tg_ip_is_v4(from) ? 96u + l->v4_len : l->v6_len);

	return tg_buckets_hash(&l->clients, 0, net.b, sizeof(net.b));
}

enum tg_why tg_connlimit_ask(
	struct tg_connlimit *l, const struct tg_ip *from, uint64_t now, bool take)
{
	if (l->has_client) {
		uint64_t hash = client_hash(l, from);

		if (take ? tg_buckets_take(&l->clients, &l->client, hash, now, NULL) ==
					TG_BUCKETS_EMPTY
			 : !tg_buckets_left(&l->clients, &l->client, hash, now))
			return TG_WHY_tcp_client_rate;
	}
	if (!l->has_all)
		return TG_WHY_none;
	if (take ? tg_bucket_take(&l->bucket, &l->all, now, NULL)
		 : tg_bucket_left(&l->bucket, &l->all, now) > 0)
		return TG_WHY_none;
	return TG_WHY_tcp_listener_rate;
}
