/* tls.c: contexts of the clients and of the origin. */
#include <stdio.h>
#include <time.h>

#include "load.h"

#define HANDSHAKES 4096u

static void complain(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "tg_load: tls: %s\n", text);
}

static void fill(struct tg_tls_conf *c, struct tg_tls_pair *pair, const struct load_files *f)
{
	*pair = (struct tg_tls_pair){f->cert, f->key};
	c->pairs = pair;
	c->n_pairs = f->cert ? 1 : 0;
	c->ca = f->ca;
	c->alpn[0] = "http/1.1";
	c->n_alpn = 1;
	c->min_version = 13;
}

static uint64_t realtime_offset(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * TG_SEC + (uint64_t)ts.tv_nsec - load_now();
}

int load_tls_start(struct load *l, struct tg_errbuf *e)
{
	const struct load_conf *c = &l->conf;
	struct tg_tls_pair pair[2];
	struct tg_tls_conf client = {
		.id = LOAD_TLS_CLIENT, .sni = c->sni, .session_tickets = c->resume};
	struct tg_tls_conf origin = {.id = LOAD_TLS_ORIGIN,
		.server = true,
		.require_client_certificate = c->origin_tls.ca,
		.session_tickets = true};
	const struct tg_tls_conf *confs[2] = {
		c->client_tls.ca ? &client : NULL, c->origin_tls.cert ? &origin : NULL};
	uint32_t conns = 2 * c->connections + 1024;
	struct tg_tls_worker_conf w = {.max_conns = conns,
		/* The origin's may all come at once. */
		.max_handshakes = c->opening + (conns < HANDSHAKES ? conns : HANDSHAKES),
		.max_active = conns < 16384 ? conns : 16384,
		.handshake_budget = 4,
		.sessions = 16,
		.realtime_offset = realtime_offset(),
		.wheel = &l->wheel,
		.ready = &l->ready,
		.stats = l->stats};

	if (!tg_tls_init())
		return tg_fail(e, TG_ESYS, "the TLS library does not work");
	fill(&client, &pair[0], &c->client_tls);
	fill(&origin, &pair[1], &c->origin_tls);
	l->store = tg_tls_store_create(1, e);
	if (!l->store)
		return TG_ENOMEM;
	if (tg_tls_store_load(l->store, confs, 2, (int64_t)time(NULL), complain, NULL))
		return tg_fail(e, TG_EINVAL, "its certificates cannot be used");
	l->tls = tg_tls_create(&w, e);
	if (!l->tls)
		return TG_ENOMEM;
	tg_tls_adopt(l->tls, tg_tls_store_current(l->store));
	return 0;
}
