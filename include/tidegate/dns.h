/* dns.h: names made addresses, over and over again.
 *
 * A watch asks for one name as soon as it is there, and again when the answer has aged: after its
 * TTL (respect_ttl) or `refresh`, after a failure with growing distance. What comes back is told to
 * its owner, who keeps what he had where there is nothing new. Names are looked up by c-ares: in
 * /etc/hosts, then by the servers of resolv.conf (which is read again when it has changed) or by
 * those of the configuration, over the kernel's sockets.
 *
 * Threads: one, the control core. Nothing here waits: tg_dns_run() does what can be done, and
 * tg_dns_fd() is readable when there is more. Bounds: TG_DNS_ADDRS_MAX addresses of a name, the
 * others are not looked at; TG_DNS_ASKING_MAX lookups at once. A hostile server can do no more than
 * say what a name means; c-ares matches answers with questions (random ids and ports).
 */
#ifndef TIDEGATE_DNS_H
#define TIDEGATE_DNS_H

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/addr.h>
#include <tidegate/err.h>

#define TG_DNS_ADDRS_MAX 128
#define TG_DNS_ASKING_MAX 64
#define TG_DNS_NAME_MAX 253 /* bytes of a name, without a final dot: RFC 1035 section 2.3.4 */

/* Envoy's dns_lookup_family. The order is that of the configuration's words. */
enum tg_dns_family {
	TG_DNS_AUTO,         /* AAAA; where there is none, A */
	TG_DNS_V4_ONLY,      /* A */
	TG_DNS_V6_ONLY,      /* AAAA */
	TG_DNS_V4_PREFERRED, /* A; where there is none, AAAA */
	TG_DNS_ALL,          /* both */
};

struct tg_dns_conf {
	enum tg_dns_family family;
	bool respect_ttl;
	uint64_t refresh;                   /* ns; between lookups */
	uint64_t min_refresh;               /* ns; the shortest that a TTL can make it */
	uint64_t failure_base, failure_max; /* ns; behind failures. base 0: refresh */
	const char *resolvers; /* "10.0.0.53:53,[fd00::53]:53"; "": those of resolv.conf */
	bool tcp;              /* no UDP */
	bool no_search;        /* resolv.conf's search domains are not tried */
	uint32_t timeout_ms;   /* for an answer; doubled with each try */
	uint32_t tries;        /* 1.. */
};

enum tg_dns_outcome {
	TG_DNS_ASKED,  /* a lookup begins; no more is known */
	TG_DNS_FOUND,  /* addresses, at least one */
	TG_DNS_EMPTY,  /* the name does not exist, or has no address of that family */
	TG_DNS_FAILED, /* no answer, or one that says nothing: SERVFAIL, REFUSED ... */
};

struct tg_dns_answer {
	enum tg_dns_outcome outcome;
	uint32_t n; /* FOUND: each once, in the order of the answer */
	const struct tg_ip *ips;
	uint64_t again_in; /* ns to the next lookup; not with ASKED */
	const char *why;   /* EMPTY, FAILED: a few words */
};

struct tg_dns;
struct tg_dns_watch;
/* From inside tg_dns_run() or tg_dns_watch_new(); must not call anything of this module. */
typedef void tg_dns_fn(void *owner, const struct tg_dns_answer *a);

/* NULL with e->text. */
struct tg_dns *tg_dns_create(uint64_t seed, struct tg_errbuf *e);
void tg_dns_destroy(struct tg_dns *d); /* its watches too; tells nobody */

/* conf is copied. The first lookup begins with the next tg_dns_run(). NULL with e->text: no memory,
 * or resolvers that are no addresses. */
struct tg_dns_watch *tg_dns_watch_new(struct tg_dns *d, const char *name,
	const struct tg_dns_conf *conf, tg_dns_fn *fn, void *owner, struct tg_errbuf *e);
/* fn is not called any more. */
void tg_dns_watch_free(struct tg_dns_watch *w);
/* The name is asked for at once, unless that is under way. */
void tg_dns_watch_hurry(struct tg_dns_watch *w);

/* now: ns, monotonic. Returns in how many ms it wants to be called at the latest; -1: only when
 * tg_dns_fd() is readable. */
int tg_dns_run(struct tg_dns *d, uint64_t now);
int tg_dns_fd(const struct tg_dns *d);

/* Whether it can be a name: letters, digits, hyphens and underscores in labels of up to 63, at
 * least one of them no number (an address that is misspelt is no name). */
bool tg_dns_is_name(const char *s);
/* "ADDRESS[:PORT]", IPv6 with a port in brackets: a resolver. */
bool tg_dns_is_resolver(const char *s);

#endif
