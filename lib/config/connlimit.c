/* `connection_rate_limit` of listeners. */
#include <tidegate/connlimit.h>
#include <tidegate/rng.h>

#include "keys.h"

static const struct cfg_refused none[] = {{NULL}};

static const struct cfg_key client_keys[] = {
	KEY(raw_client_limit, bucket, "token_bucket", .type = CFG_GROUP, .flags = CFG_REQUIRED,
		.group = &cfg_token_bucket,
		.example = "{ max_tokens = 20; tokens_per_fill = 10; fill_interval = \"1s\"; }",
		.doc = "new connections of one client"),
	KEY(raw_client_limit, v4, "v4_prefix_mask_len", .type = CFG_U32, .dflt = "32", .max = 32,
		.example = "32", .doc = "bits of an IPv4 address that make a client"),
	KEY(raw_client_limit, v6, "v6_prefix_mask_len", .type = CFG_U32, .dflt = "64", .max = 128,
		.example = "64", .doc = "bits of an IPv6 address that make a client"),
	KEY(raw_client_limit, max_clients, "max_clients", .type = CFG_U32, .dflt = "100000",
		.min = 1, .max = TG_BUCKETS_KEYS_MAX, .example = "100000",
		.doc = "clients that are remembered at a time; the memory is taken at once, 84 "
		       "bytes each"),
	END};
static const struct cfg_group client_group = {
	"per_client", sizeof(struct raw_client_limit), client_keys, none};

static const struct cfg_key connlimit_keys[] = {
	KEY(raw_connlimit, bucket, "token_bucket", .type = CFG_GROUP, .group = &cfg_token_bucket,
		.example = "{ max_tokens = 1000; tokens_per_fill = 500; fill_interval = \"1s\"; }",
		.doc = "new connections of all clients together"),
	KEY(raw_connlimit, client, "per_client", .type = CFG_GROUP, .group = &client_group,
		.example = "{ token_bucket: { max_tokens = 20; tokens_per_fill = 10; fill_interval "
			   "= \"1s\"; }; }",
		.doc = "and of each"),
	END};
const struct cfg_group cfg_connlimit = {
	"connection_rate_limit", sizeof(struct raw_connlimit), connlimit_keys, none};

void cfg_check_connlimit(struct cfg *c, const struct raw_connlimit *l, const char *who)
{
	if (l->h.at && !l->h.meant && !l->bucket.h.at && !l->client.h.at)
		cfg_error(c, cfg_line_of(l->h.at),
			"%s: \"connection_rate_limit\" limits nothing: give \"token_bucket\" or "
			"\"per_client\"",
			who);
}

bool cfg_compile_connlimit(
	struct cfg *c, const struct raw_connlimit *raw, struct tg_connlimit **out)
{
	uint8_t *mem, secret[16];
	size_t bytes;

	*out = NULL;
	if (!raw->h.at)
		return true;
	bytes = raw->client.h.at ? tg_buckets_bytes(raw->client.max_clients) : 0;
	mem = cfg_need(c, c->keep, sizeof(**out) + bytes + 64);
	if (!mem || tg_rng_secret(secret, sizeof(secret)))
		return false;
	mem += (64 - (uintptr_t)mem % 64) % 64;
	*out = (struct tg_connlimit *)mem;
	**out = (struct tg_connlimit){
		.has_all = raw->bucket.h.at,
		.has_client = raw->client.h.at,
		.all = cfg_bucket_rate(&raw->bucket),
		.client = cfg_bucket_rate(&raw->client.bucket),
		.v4_len = (uint8_t)raw->client.v4,
		.v6_len = (uint8_t)raw->client.v6,
	};
	if (bytes)
		tg_buckets_init(
			&(*out)->clients, mem + sizeof(**out), raw->client.max_clients, secret);
	return true;
}
