/* rbac.h: the filter "rbac": who may do what, by Envoy's rules.
 *
 * Two filters of one name: for requests (tg_rbac_http) and for connections of protocol "tcp"
 * (tg_rbac_tcp). This is their input, which lib/config makes of the text; docs/filters.md is the
 * reference. Input strings must live as long as the compiled filter.
 *
 * Cost: a policy names its principals, but a request looks its own up: one hash probe for the name,
 * one for each depth at which some pattern ends in a star; then only the policies found are
 * checked. So it does not grow with the number of principals. Paths and addresses of a policy: a
 * binary search.
 */
#ifndef TIDEGATE_RBAC_H
#define TIDEGATE_RBAC_H

#include <tidegate/filter.h>
#include <tidegate/match.h>

enum tg_rbac_action {
	TG_RBAC_ALLOW, /* refused unless a policy matches */
	TG_RBAC_DENY,  /* refused if a policy matches */
	TG_RBAC_LOG    /* never refused; what matches is counted */
};

struct tg_rbac_strings {
	uint32_t n;
	const struct tg_view *v;
};

struct tg_rbac_networks {
	uint32_t n;
	const struct tg_ip_prefix *v;
};

/* Matches if everything holds that is given; of a list: one of it. What is not given (n 0) always
 * holds. */
struct tg_rbac_policy {
	const char *name;
	/* See tg_rbac_principal_fault(). */
	struct tg_rbac_strings principals, not_principals;
	/* "/exact", or "/prefix" followed by "*"; as normalised, without query. */
	struct tg_rbac_strings paths, not_paths;
	struct tg_rbac_strings methods, not_methods;
	uint32_t n_headers; /* all must hold */
	const struct tg_header_match *headers;
	struct tg_rbac_networks source_ips, not_source_ips; /* of the connection */
};

struct tg_rbac_rules {
	bool given; /* false: nothing is refused. Given and n = 0: no policy matches anything */
	enum tg_rbac_action action;
	uint32_t n;
	const struct tg_rbac_policy *policies;
};

struct tg_rbac_in {
	struct tg_rbac_rules rules;
	struct tg_rbac_rules shadow; /* only counted */
};

extern const struct tg_filter_ops tg_rbac_http, tg_rbac_tcp;

enum tg_rbac_counter {
	TG_RBAC_ALLOWED,
	TG_RBAC_DENIED,
	TG_RBAC_SHADOW_ALLOWED,
	TG_RBAC_SHADOW_DENIED,
	TG_RBAC_LOGGED,
	TG_RBAC_NOT_LOGGED,
	TG_RBAC_COUNTERS
};

/* NULL, or why s is no principal:
 *   "*"                     anybody, also without a certificate
 *   "authenticated"         anybody with a verified certificate
 *   "spiffe://td/ns/shop"   whose certificate's URI is that (any scheme)
 *   "spiffe://td/ns/" "*"   whose URI is below that, at least one byte
 *   "web.example"           whose certificate's DNS name is that
 *   "CN=web,O=example"      whose certificate's subject is that (RFC 2253) */
#define TG_RBAC_DEPTH_MAX 32 /* slashes in a pattern with a star */
const char *tg_rbac_principal_fault(const char *s);

#endif
