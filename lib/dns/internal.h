/* internal.h: private to lib/dns. */
#ifndef TG_DNS_INTERNAL_H
#define TG_DNS_INTERNAL_H

#include <ares.h>

#include <tidegate/dns.h>
#include <tidegate/rng.h>

/* The servers of a configuration, and what is under way there. All watches that ask alike share
 * one. */
struct dns_channel {
	struct dns_channel *next;
	struct tg_dns *dns;
	ares_channel ares;
	int epoll; /* c-ares' sockets; itself in dns->epoll */
	uint32_t refs, asking;
	int64_t resolv_conf; /* when that was changed, ns; 0: it is not looked at */
	bool tcp, no_search;
	uint32_t timeout_ms, tries;
	char *resolvers;
};

struct tg_dns_watch {
	struct tg_dns_watch *next;
	struct tg_dns *dns;
	struct dns_channel *channel;
	char *name;
	struct tg_dns_conf conf; /* .resolvers is the channel's */
	tg_dns_fn *fn;
	void *owner;
	uint64_t due; /* ns; 0: at once */
	uint32_t failures;
	bool asking, second; /* second: the other family, after nothing came of the first */
	bool unsure;  /* the first family got no answer: nothing in the other means nothing */
	bool gone;    /* nobody wants it; freed when it is answered */
	uint32_t ttl; /* s; of what was found */
	uint32_t n;
	struct tg_ip ips[TG_DNS_ADDRS_MAX];
};

struct tg_dns {
	int epoll;
	struct tg_rng rng;
	uint64_t now;
	uint32_t asking;
	bool ending;
	struct dns_channel *channels;
	struct tg_dns_watch *watches;
};

/* channel.c */
struct dns_channel *dns_channel_get(
	struct tg_dns *d, const struct tg_dns_conf *conf, struct tg_errbuf *e);
void dns_channel_put(struct dns_channel *c);
/* What has come, and what has taken too long. */
void dns_channel_process(struct dns_channel *c);
/* Reads resolv.conf again, if it has changed and nothing is under way. */
void dns_channel_renew(struct dns_channel *c);

#endif
