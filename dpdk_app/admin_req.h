/* admin_req.h: one admin request, between admin.c and the handlers. Private to the admin interface.
 */
#ifndef TIDEGATE_APP_ADMIN_REQ_H
#define TIDEGATE_APP_ADMIN_REQ_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>

#include "app.h"

struct MHD_Connection;

struct tg_admin_req {
	struct tg_app *app;
	struct MHD_Connection *conn;
	_Atomic bool *failed; /* /healthcheck/fail was called */
	FILE *out;            /* the body */
	const char *type;     /* Content-Type; text at first */
};

/* Writes the body; returns the status. */
typedef unsigned int tg_admin_fn(struct tg_admin_req *q);

/* Value of a query parameter ("" if it has none), or NULL: not there. */
const char *tg_admin_arg(const struct tg_admin_req *q, const char *name);
/* True for ?format=json. Other values than json and text go to *status = 400 with a text. */
bool tg_admin_wants_json(struct tg_admin_req *q, unsigned int *status);
/* Writes j (taken over; NULL: out of memory) and sets the type. Returns 200 or 500. */
unsigned int tg_admin_json(struct tg_admin_req *q, json_t *j);
/* LIVE as Envoy sees it: /healthcheck/fail makes it DRAINING. */
const char *tg_admin_state(const struct tg_admin_req *q);
/* Workers that may be looked at now. */
uint32_t tg_admin_workers(const struct tg_admin_req *q);
/* "2026-01-31T23:59:59.123Z" */
#define TG_ADMIN_TIME 32
char *tg_admin_time(uint64_t realtime_ns, char out[static TG_ADMIN_TIME]);
/* {"socket_address": {"address": .., "port_value": ..}}, Envoy's shape. */
json_t *tg_admin_sockaddr(const struct tg_sockaddr *a);
uint64_t tg_admin_uptime_ns(const struct tg_app *app);

/* A pool as /memory and /stats show it. */
struct tg_admin_pool {
	const char *name;
	int worker;    /* -1: shared by all */
	uint64_t size; /* bytes an object; 0: not known */
	uint64_t count, in_use, peak, refused;
	bool has_peak;
};
/* Every pool of the process, at most n; returns how many there are. */
uint32_t tg_admin_pools(const struct tg_admin_req *q, struct tg_admin_pool *out, uint32_t n);

tg_admin_fn tg_admin_ready, tg_admin_server_info, tg_admin_ports;            /* admin_server.c */
tg_admin_fn tg_admin_stats, tg_admin_prometheus, tg_admin_drops;             /* admin_stats.c */
tg_admin_fn tg_admin_clusters, tg_admin_listeners, tg_admin_config_dump;     /* admin_config.c */
tg_admin_fn tg_admin_explain;                                                /* admin_explain.c */
tg_admin_fn tg_admin_certs;                                                  /* admin_certs.c */
tg_admin_fn tg_admin_tax, tg_admin_tax_sample;                               /* admin_tax.c */
tg_admin_fn tg_admin_memory;                                                 /* admin_memory.c */
tg_admin_fn tg_admin_reload, tg_admin_drain, tg_admin_quit, tg_admin_reopen, /* admin_do.c */
	tg_admin_fail, tg_admin_ok;

#endif
