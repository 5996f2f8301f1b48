/* rbac.h: compiled policies. Private to the filter "rbac".
 *
 *	request --principal table--> policies that name its client --the rest of each--> verdict
 *
 * Immutable; matching allocates nothing.
 */
#ifndef TG_FILTER_RBAC_H
#define TG_FILTER_RBAC_H

#include <tidegate/rbac.h>

#define RBAC_NONE UINT32_MAX

/* --- rbac_set.c: strings and addresses, found by binary search ---------------------------------
 */

struct rbac_set {
	uint32_t n_exact, n_prefix;
	struct tg_view *exact, *prefix; /* sorted; no prefix begins with another */
};

struct rbac_range {
	struct tg_ip from, to;
};

struct rbac_nets {
	uint32_t n;
	struct rbac_range *ranges; /* sorted, apart from each other */
};

/* TG_ENOMEM. A string that ends in "*" is a prefix if stars is true. */
int rbac_set_build(struct rbac_set *s, const struct tg_rbac_strings *in, bool stars,
	const struct tg_filter_env *env);
int rbac_nets_build(
	struct rbac_nets *s, const struct tg_rbac_networks *in, const struct tg_filter_env *env);
bool rbac_set_exact(const struct rbac_set *s, struct tg_view v);
bool rbac_set_has(const struct rbac_set *s, struct tg_view v);
bool rbac_nets_have(const struct rbac_nets *s, const struct tg_ip *a);

/* --- rbac_who.c: from a client to the policies that name it ------------------------------------
 */

/* A principal, and the policies that name it: ascending. */
struct rbac_who {
	struct tg_view key;
	uint8_t kind;
	uint32_t n_yes, n_no;
	const uint32_t *yes, *no; /* principals and not_principals */
};

struct rbac_table {
	uint32_t n, mask;
	uint64_t depths; /* bit d: some pattern with a star has d slashes */
	struct rbac_who *who;
	uint32_t *slots; /* open addressing; 1 + index of who, 0: free */
	struct rbac_who anybody, authenticated;
};

/* The principals that a client is. */
#define RBAC_FOUND_MAX 128
struct rbac_found {
	const struct rbac_who *who[RBAC_FOUND_MAX];
	uint32_t n;
	bool more; /* than there is room for: nothing can be said of such a client */
};

int rbac_table_build(
	struct rbac_table *t, const struct tg_rbac_rules *in, const struct tg_filter_env *env);
void rbac_table_find(const struct rbac_table *t, const struct tg_client *c, struct rbac_found *out);

/* --- rbac_engine.c -----------------------------------------------------------------------------
 */

struct rbac_policy {
	const char *name;
	struct tg_view details; /* response code details if it is why a request is refused */
	struct rbac_set paths, not_paths, methods, not_methods;
	struct rbac_nets source_ips, not_source_ips;
	uint32_t n_headers;
	const struct tg_header_match *headers;
	bool any_path, any_method, any_source, excludes; /* excludes: has not_principals */
};

struct rbac_engine {
	bool given;
	enum tg_rbac_action action;
	uint32_t n;
	struct rbac_policy *policies;
	struct rbac_table table;
};

/* What is asked. */
struct rbac_question {
	const struct tg_client *client;
	const struct tg_msg *m; /* NULL: a connection */
	struct tg_view path;
	struct tg_view reading; /* the same path as another reader may take it; .p NULL: as path */
};

struct rbac_answer {
	bool allowed;
	bool matched;
	struct tg_view details; /* if not allowed */
	uint32_t policy;        /* that matched; RBAC_NONE */
};

int rbac_engine_build(
	struct rbac_engine *e, const struct tg_rbac_rules *in, const struct tg_filter_env *env);
struct rbac_answer rbac_engine_ask(const struct rbac_engine *e, const struct rbac_question *q);
/* Of a policy that names the client, what else of it does not hold; NULL: all does. */
const char *rbac_engine_miss(const struct rbac_engine *e, uint32_t policy,
	const struct rbac_question *q, const struct rbac_found *f);

/* Whether readers of a normalised path differ: empty segments, escaped slashes, parameters of
 * segments. */
bool rbac_path_ambiguous(struct tg_view path);
/* How the most liberal of them would read it, into out (path.n bytes). Returns its length, or 0: it
 * leads out of the root. */
uint32_t rbac_path_reading(struct tg_view path, uint8_t *out);

#endif
