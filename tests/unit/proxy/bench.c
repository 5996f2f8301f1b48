#include <stdlib.h>

#ifdef BENCH_WITHOUT_CUNIT /* the fuzzer: a broken promise ends the process */
#define CU_ASSERT(x) ((x) ? (void)0 : abort())
#define CU_ASSERT_FATAL(x) CU_ASSERT(x)
#define CU_ASSERT_TRUE(x) CU_ASSERT(x)
#define CU_ASSERT_EQUAL(x, y) CU_ASSERT((x) == (y))
#define CU_ASSERT_EQUAL_FATAL(x, y) CU_ASSERT((x) == (y))
#define CU_ASSERT_PTR_NOT_NULL_FATAL(x) CU_ASSERT((x) != NULL)
#define CU_FAIL_FATAL(text) abort()
#else
#include <CUnit/CUnit.h>
#endif

#include "bench.h"

struct bench b;

static struct tg_cluster_stats cluster_stats[3][2];
static struct tg_listener_stats listener_stats[2];

/* --- snapshot by hand ------------------------------------------------------------------------ */

/* Everything of a snapshot hangs on one list, so that it is freed at once. */
struct block {
	struct block *next;
	_Alignas(16) uint8_t data[];
};

struct own_snapshot {
	struct tg_snapshot s;
	struct block *blocks;
	struct tg_listener_conf listeners[2];
	struct tg_vhost vhosts[1];
	struct tg_route routes[3];
	struct tg_cluster clusters[3];
	struct tg_endpoint endpoints[3]; /* v1's, one that it may get, db's */
	struct tg_view domains[1];
};

static void *alloc(void *ctx, size_t n)
{
	struct own_snapshot *o = ctx;
	struct block *k = calloc(1, sizeof(*k) + n);

	k->next = o->blocks;
	o->blocks = k;
	return k->data;
}

static struct own_snapshot *current(void)
{
	return TG_CONTAINER(b.snap, struct own_snapshot, s);
}

static void set_addr(struct tg_sockaddr *a, const char *text)
{
	CU_ASSERT_EQUAL_FATAL(tg_sockaddr_parse(text, a), 0);
}

static void set_cluster(
	struct own_snapshot *o, uint32_t i, const char *name, uint32_t first, uint32_t n)
{
	o->clusters[i] = (struct tg_cluster){
		.name = name,
		.id = i,
		.connect_timeout = 5 * TG_SEC,
		.idle_timeout = 3600 * TG_SEC,
		.thresholds = {{.max = {1024, 1024, 1024, 3}}, {.max = {1024, 1024, 1024, 3}}},
		.buffer_limit = 1 << 18,
		.n_endpoints = n,
		.endpoints = &o->endpoints[first],
		.stats = cluster_stats[i],
	};
}

static void set_listener(struct own_snapshot *o, uint32_t i, const char *name, const char *addr)
{
	o->listeners[i] = (struct tg_listener_conf){
		.name = name,
		.id = i,
		.buffer_limit = 1 << 18,
		.idle_timeout = 3600 * TG_SEC,
		.stream_idle_timeout = 300 * TG_SEC,
		.delayed_close_timeout = TG_SEC,
		.limits = TG_H1_LIMITS_DEFAULT,
		.use_remote_address = true,
		.generate_request_id = true,
		.server_name = "tidegate",
		.stats = &listener_stats[i],
	};
	set_addr(&o->listeners[i].addr, addr);
}

static void set_route(
	struct tg_route *r, uint32_t order, const char *prefix, const struct tg_cluster *c)
{
	*r = (struct tg_route){.name = "r",
		.kind = TG_MATCH_PREFIX,
		.match = tg_view_str(prefix),
		.order = order,
		.cluster = c,
		.timeout = 15 * TG_SEC,
		.idle_timeout = UINT64_MAX};
}

struct tg_snapshot *bench_snapshot(uint64_t generation)
{
	struct own_snapshot *o = aligned_alloc(64, (sizeof(*o) + 63) / 64 * 64);
	struct tg_vhost *v;
	struct tg_errbuf e;

	memset(o, 0, sizeof(*o));
	set_addr(&o->endpoints[0].addr, "10.0.2.2:8080");
	o->endpoints[0].weight = 1;
	set_cluster(o, 0, "v1", 0, 1);
	set_cluster(o, 1, "none", 0, 0);
	set_addr(&o->endpoints[1].addr, "10.0.2.4:8080");
	set_addr(&o->endpoints[2].addr, "10.0.2.3:5432");
	for (uint32_t i = 1; i < 3; i++) {
		o->endpoints[i].id = i;
		o->endpoints[i].weight = 1;
	}
	set_cluster(o, 2, "db", 2, 1);
	set_listener(o, 0, "web", "10.0.1.1:80");
	set_listener(o, 1, "raw", "10.0.1.1:5432");
	o->listeners[1].protocol = TG_PROTOCOL_TCP;
	o->listeners[1].cluster = &o->clusters[2];
	o->listeners[1].max_connect_attempts = 1;
	set_route(&o->routes[0], 0, "/empty", &o->clusters[1]);
	set_route(&o->routes[1], 1, "/api", &o->clusters[0]);
	o->domains[0] = TG_VIEW("shop.example");
	v = &o->vhosts[0];
	*v = (struct tg_vhost){.name = "shop",
		.n_domains = 1,
		.domains = o->domains,
		.n_routes = 2,
		.routes = o->routes};
	CU_ASSERT_EQUAL_FATAL(tg_vhost_compile(v, alloc, o), 0);
	o->listeners[0].hosts = tg_host_table_build(&v, 1, alloc, o, &e);
	o->s.generation = generation;
	o->s.n_listeners = 2;
	o->s.listeners = o->listeners;
	o->s.n_vhosts = 1;
	o->s.vhosts = o->vhosts;
	o->s.n_clusters = 3;
	o->s.clusters = o->clusters;
	o->s.n_endpoints = 3;
	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL_FATAL(tg_health_bind(b.health, &o->clusters[i]), 0);
		tg_health_use(&o->clusters[i]);
	}
	return &o->s;
}

void bench_snapshot_free(struct tg_snapshot *s)
{
	struct own_snapshot *o = TG_CONTAINER(s, struct own_snapshot, s);

	CU_ASSERT_EQUAL(s->worker[0].pins, 0);
	for (uint32_t i = 0; i < 3; i++)
		tg_health_unbind(&o->clusters[i]);
	while (o->blocks) {
		struct block *k = o->blocks;

		o->blocks = k->next;
		free(k);
	}
	free(o);
}

struct tg_listener_conf *bench_web(void)
{
	return &current()->listeners[0];
}

struct tg_cluster *bench_cluster(void)
{
	return &current()->clusters[0];
}

struct tg_route *bench_route(void)
{
	return &current()->routes[1];
}

/* --- peers ----------------------------------------------------------------------------------- */

static void on_peer(struct tg_conn *c, uint32_t ev)
{
	struct bench_peer *p = c->owner;

	p->open |= (ev & TG_EV_OPEN) != 0;
	p->eof |= (ev & TG_EV_EOF) != 0;
	p->failed |= (ev & TG_EV_FAILED) != 0;
}

static const struct tg_conn_user peer_user = {on_peer};

static struct bench_peer *new_peer(struct tg_conn *c)
{
	for (uint32_t i = 0; i < BENCH_PEERS; i++) {
		struct bench_peer *p = &b.peers[i];

		if (p->used)
			continue;
		*p = (struct bench_peer){.conn = c, .used = true, .got = malloc(BENCH_BYTES)};
		c->user = &peer_user;
		c->owner = p;
		return p;
	}
	CU_FAIL_FATAL("too many peers on the bench");
	return NULL;
}

static bool read_peer(struct bench_peer *p)
{
	struct tg_view v[2];
	uint32_t cnt, n = 0;

	if (!p->used || p->detached || p->hold)
		return false;
	cnt = tg_conn_peek(p->conn, v, 2);
	for (uint32_t i = 0; i < cnt; i++) {
		CU_ASSERT_FATAL(p->n + v[i].n < BENCH_BYTES);
		memcpy(p->got + p->n, v[i].p, v[i].n);
		p->n += v[i].n;
		n += v[i].n;
	}
	tg_conn_consume(p->conn, n);
	return n > 0;
}

void bench_run(void)
{
	bool moved;

	do {
		moved = tg_ready_drain(&b.ready, 0, tg_memconn_reap, NULL) > 0;
		for (uint32_t i = 0; i < BENCH_PEERS; i++)
			moved |= read_peer(&b.peers[i]);
		CU_ASSERT(tg_proxy_validate(b.proxy));
	} while (moved);
}

void bench_advance(uint64_t ns)
{
	uint64_t end = b.wheel.now + ns;

	bench_run();
	tg_proxy_attend(b.proxy);
	while (b.wheel.now < end) {
		uint64_t next = tg_wheel_next(&b.wheel);

		tg_wheel_advance(&b.wheel, next < end ? next : end, 0);
		bench_run();
	}
}

struct bench_peer *bench_client(uint32_t listener)
{
	struct tg_sockaddr client, server;
	struct tg_memconn_pair pair;
	struct bench_peer *p;

	set_addr(&client, "10.0.1.2:40000");
	server = b.snap->listeners[listener].addr;
	pair = tg_memconn_open(&b.ready, b.buf, &client, &server);
	p = new_peer(pair.a);
	p->open = true;
	pair.b->user = b.accept_user;
	pair.b->owner = b.accept_owner[listener];
	tg_ready_raise(&b.ready, pair.b, TG_EV_OPEN);
	bench_run();
	return p;
}

void bench_send_n(struct bench_peer *p, const void *data, uint32_t n)
{
	struct tg_view v = tg_view_of(data, n);

	while (v.n) {
		uint32_t took = tg_conn_write(p->conn, &v, 1);

		v.p += took;
		v.n -= took;
		bench_run();
		if (!took)
			break;
	}
	CU_ASSERT_EQUAL(v.n, 0);
}

void bench_send(struct bench_peer *p, const char *text)
{
	bench_send_n(p, text, (uint32_t)strlen(text));
}

void bench_fin(struct bench_peer *p)
{
	tg_conn_finish(p->conn);
	bench_run();
}

void bench_reset(struct bench_peer *p)
{
	tg_conn_abort(p->conn, TG_WHY_conn_aborted);
	p->detached = true;
	bench_run();
}

void bench_detach(struct bench_peer *p)
{
	if (!p->detached)
		tg_conn_detach(p->conn);
	p->detached = true;
	bench_run();
}

const char *bench_got(struct bench_peer *p)
{
	bench_run();
	p->got[p->n] = 0;
	p->n = 0;
	return (const char *)p->got;
}

/* --- the proxy's network --------------------------------------------------------------------- */

static int on_connect(void *ctx, const struct tg_sockaddr *to, uint64_t timeout, uint32_t buf,
	const struct tg_conn_user *user, void *owner, struct tg_conn **out)
{
	struct tg_sockaddr local;
	struct tg_memconn_pair pair;
	uint32_t used = 0;

	(void)ctx;
	(void)timeout;
	if (b.connect_error)
		return b.connect_error;
	for (uint32_t i = 0; i < BENCH_PEERS; i++)
		used += b.peers[i].used;
	if (used == BENCH_PEERS) /* the bench is full: to the proxy that is no free port */
		return TG_ENOPORT;
	set_addr(&local, "10.0.2.1:33000");
	pair = tg_memconn_open(&b.ready, b.honour_buffer ? buf : b.buf, &local, to);
	pair.a->user = user;
	pair.a->owner = owner;
	b.dialled[b.n_origins] = pair.a;
	b.to[b.n_origins] = *to;
	b.origin[b.n_origins++] = new_peer(pair.b);
	if (b.connect_fails && (!b.connect_fails_first || b.n_origins <= b.connect_fails_first))
		tg_memconn_fail(pair.a, b.connect_fails);
	else if (!b.connect_hangs)
		tg_ready_raise(&b.ready, pair.a, TG_EV_OPEN);
	*out = pair.a;
	return 0;
}

static int on_listen(void *ctx, const struct tg_sockaddr *addr, uint32_t buf,
	const struct tg_conn_user *user, void *owner, void **handle)
{
	(void)ctx;
	(void)addr;
	(void)buf;
	b.accept_user = user;
	if (b.refuse_listen)
		return TG_ENOMEM;
	b.accept_owner[b.n_listeners] = owner;
	*handle = &b.accept_owner[b.n_listeners++];
	return 0;
}

static void on_unlisten(void *ctx, void *handle)
{
	(void)ctx;
	*(void **)handle = NULL;
}

static void on_refuse(void *ctx, bool on)
{
	(void)ctx;
	b.refusing = on;
}

void bench_limit(enum tg_resource r, uint32_t limit)
{
	bench_cluster()->thresholds[TG_PRIORITY_DEFAULT].max[r] = limit;
	for (uint32_t w = 0; w < b.n_workers; w++)
		tg_breaker_adopt(bench_breaker(w), bench_cluster(), w);
}

struct tg_breaker *bench_breaker(uint32_t worker)
{
	return tg_breakers_get(b.breakers, bench_cluster()->name) + worker;
}

void bench_start(uint32_t buf)
{
	bench_start_of(buf, 1);
}

void bench_start_of(uint32_t buf, uint32_t n_workers)
{
	struct tg_proxy_conf conf = {
		.n_workers = n_workers,
		.max_downstream = 32,
		.max_upstream = 32,
		.max_exchanges = 16,
		.net = {.connect = on_connect,
			.listen = on_listen,
			.unlisten = on_unlisten,
			.refuse = on_refuse},
		.wheel = &b.wheel,
		.stats = &b.core,
		.realtime_offset = UINT64_C(784111776) * TG_SEC, /* RFC 9110's example date */
		.seed = 1,
	};
	struct tg_errbuf e;

	memset(&b, 0, sizeof(b));
	memset(cluster_stats, 0, sizeof(cluster_stats));
	memset(listener_stats, 0, sizeof(listener_stats));
	b.buf = buf;
	b.n_workers = n_workers;
	b.breakers = conf.breakers = tg_breakers_create(n_workers);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.breakers);
	b.health = tg_health_create(n_workers);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.health);
	tg_wheel_init(&b.wheel, TG_SEC);
	tg_ready_init(&b.ready);
	b.log = conf.log = tg_log_ring_create(64);
	tg_h1_init("auto");
	b.proxy = tg_proxy_create(&conf, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.proxy);
	b.snap = bench_snapshot(1);
	CU_ASSERT_EQUAL(tg_proxy_adopt(b.proxy, b.snap), 0);
}

const struct tg_log_record *bench_log(void)
{
	static struct tg_log_record r;
	const struct tg_log_record *first = tg_log_peek(b.log);

	if (!first)
		return NULL;
	r = *first;
	tg_log_release(b.log);
	return &r;
}

static void detach_all(void)
{
	for (uint32_t i = 0; i < BENCH_PEERS; i++)
		if (b.peers[i].used)
			bench_detach(&b.peers[i]);
	bench_run();
}

void bench_end(void)
{
	const struct tg_pool *pools[16];
	uint32_t n;

	bench_run();
	detach_all();
	tg_proxy_abort_all(b.proxy); /* may dial once more for one that waits */
	detach_all();
	CU_ASSERT_TRUE(tg_proxy_idle(b.proxy));
	n = tg_proxy_pools(b.proxy, pools, 16);
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(pools[i]->name, "listener") != 0 &&
			strcmp(pools[i]->name, "endpoint") != 0)
			CU_ASSERT_EQUAL(pools[i]->in_use, 0);
	CU_ASSERT_EQUAL(b.core.http_exchanges, 0);
	CU_ASSERT_EQUAL(listener_stats[0].downstream_cx_active, 0);
	CU_ASSERT_EQUAL(listener_stats[0].downstream_rq_active, 0);
	CU_ASSERT_EQUAL(cluster_stats[0][0].upstream_cx_active, 0);
	CU_ASSERT_EQUAL(cluster_stats[0][0].upstream_rq_active, 0);
	CU_ASSERT_EQUAL(cluster_stats[0][0].upstream_rq_pending_active, 0);
	tg_proxy_destroy(b.proxy);
	for (uint32_t r = 0; r < TG_RESOURCES; r++)
		CU_ASSERT_EQUAL(bench_breaker(0)->lease[0][r].used, 0);
	tg_breakers_destroy(b.breakers);
	tg_ready_drain(&b.ready, 0, tg_memconn_reap, NULL);
	CU_ASSERT_EQUAL(tg_memconn_alive(), 0);
	CU_ASSERT_EQUAL(b.wheel.running, 0);
	bench_snapshot_free(b.snap);
	tg_health_destroy(b.health);
	tg_log_ring_destroy(b.log);
	for (uint32_t i = 0; i < BENCH_PEERS; i++)
		free(b.peers[i].got);
}
