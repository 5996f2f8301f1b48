/* rig.h: a filter on a rig: memory that can run out, clients, requests and policies by text. */
#ifndef TEST_FILTER_RIG_H
#define TEST_FILTER_RIG_H

#include <tidegate/rbac.h>

/* What env allocates; freed at once. */
struct rig {
	struct rig_block *blocks;
	uint32_t allocations, fail_at; /* the fail_at-th returns NULL; 0: none */
	struct tg_filter_env env;
	struct tg_arena_source arenas;
	struct tg_arena arena;
	struct tg_stats *stats;
	struct tg_filter_chain chain;
	struct tg_rng rng;
};

void rig_start(struct rig *r);
void rig_end(struct rig *r);
void *rig_alloc(struct rig *r, size_t n);

/* A policy; lists are words with spaces between. */
struct spec {
	const char *name;
	const char *who, *not_who, *paths, *not_paths, *methods, *not_methods, *from, *not_from;
	uint32_t n_headers;
	const struct tg_header_match *headers;
};
struct tg_rbac_rules rig_rules(
	struct rig *r, enum tg_rbac_action action, const struct spec *specs, uint32_t n);

/* One chain of one filter "rbac" at listener "web", bound to statistics. */
int rig_chain(struct rig *r, const struct tg_filter_ops *ops, const struct tg_rbac_in *in);
uint64_t rig_count(const struct rig *r, enum tg_rbac_counter i);

/* A client, and the certificate that it has shown; NULL: none. from: its address. */
struct who {
	const char *uri, *dns, *subject, *from;
};
struct request {
	const char *method, *path;
	uint16_t n_fields;
	const struct tg_field *fields;
};
/* 200: passed. The reply stays in *reply (NULL: not wanted). */
uint16_t rig_ask(
	struct rig *r, const struct who *w, const struct request *q, struct tg_filter_reply *reply);
/* With bytes that are no text. */
uint16_t rig_ask_identity(struct rig *r, const struct tg_identity *id, struct tg_ip from,
	const struct request *q, struct tg_filter_reply *reply);
bool rig_connect(struct rig *r, const struct who *w, struct tg_filter_reply *reply);

#endif
