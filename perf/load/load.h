/* load.h: tg_load, clients and an origin in one process, on Tidegate's own libraries.
 *
 *   clients --north--> [ the proxy under test ] --south--> origin      tg_load is both ends
 *
 * One thread plays all clients and the origin, so that the proxy has the other core to itself, and
 * checks every answer: status, length, the request's number, and each byte of content. How bytes
 * travel is a load_wire: Tidegate's own TCP on two DPDK ports (stack.c), or the kernel's sockets
 * (sockets.c), for proxies that live above the kernel. All above it is the same code: HTTP by
 * lib/http, TLS by lib/tls.
 *
 * Closed loop: each connection has one request under way at all times: capacity. Open loop (rate):
 * requests fall due by a Poisson process, and a latency counts from when the request was due, not
 * from when a connection was free for it. Requests on one connection never overlap.
 *
 * Owner: one thread. Bound: memory of `connections`, taken at start. Not here: what is compared and
 * how (perf/run.sh).
 */
#ifndef PERF_LOAD_H
#define PERF_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/conn.h>
#include <tidegate/err.h>
#include <tidegate/hist.h>
#include <tidegate/list.h>
#include <tidegate/pool.h>
#include <tidegate/ready.h>
#include <tidegate/rng.h>
#include <tidegate/stats.h>
#include <tidegate/tls.h>
#include <tidegate/wheel.h>

#define LOAD_ADDRESSES_MAX 30 /* of clients */
#define LOAD_LEVELS_MAX 8
#define LOAD_SLOW_TICK (10 * TG_MS)
#define LOAD_BUFFER (256u * 1024) /* receive and send buffer of a connection on DPDK ports */

/* --- options: options.c ----------------------------------------------------------------------- */

enum load_headers { LOAD_SMALL, LOAD_USUAL, LOAD_MANY };

struct load_files {
	const char *ca, *cert, *key; /* PEM; all NULL: plain text */
};

struct load_conf {
	const char *north, *south;               /* DPDK devices; NULL: the kernel's sockets */
	uint32_t memory;                         /* MiB for DPDK */
	int cpu;                                 /* -1: any */
	const char *client_netns, *origin_netns; /* names of namespaces; NULL: ours */
	struct tg_ip_prefix client;              /* the first client address, and its network */
	uint32_t n_addresses;                    /* of clients, one after the other */
	uint8_t origin_len;                      /* bits of the origin's network */
	struct tg_sockaddr target, origin;       /* origin.port 0: there is none here */
	struct load_files client_tls, origin_tls;
	const char *sni; /* name in the proxy's certificate */
	bool resume;     /* clients use tickets */

	uint32_t connections;
	uint32_t active;        /* closed loop: requests at once, each on any of them; 0: all */
	uint32_t slow;          /* clients that send and read slow_rate bytes a second at most */
	uint32_t slow_rate;     /* at least 1 in LOAD_SLOW_TICK */
	uint32_t each;          /* requests on a connection, then a new one; 0: no limit */
	uint32_t opening;       /* connections that may be opening at once */
	uint32_t patience;      /* s without progress in opening */
	double rate;            /* requests a second, open loop; 0: closed */
	double warmup, seconds; /* s */
	uint32_t paths;         /* distinct targets */
	double zipf;            /* the k-th target is asked for as 1 / k ^ zipf; 0: all alike */
	uint32_t body, upload;  /* bytes of content in a response, in a request */
	enum load_headers headers;
	uint32_t n_levels, levels[LOAD_LEVELS_MAX]; /* hold: idle connections to stop at */
	uint64_t seed;
};

/* Exits with a message on a mistake. */
void load_options(struct load_conf *c, int argc, char **argv);

/* --- how bytes travel ------------------------------------------------------------------------- */

struct load;

struct load_wire {
	/* What has come, as events on the ready list; returns how much. */
	uint32_t (*receive)(struct load *l);
	/* Everything written since goes out. */
	void (*flush)(struct load *l);
	/* There is nothing to do for ns. */
	void (*rest)(struct load *l, uint64_t ns);
	/* As tg_tcp_connect() and tg_tcp_listen(). address: which of the clients' addresses. */
	int (*connect)(struct load *l, uint32_t address, const struct tg_conn_user *user,
		void *owner, struct tg_conn **out);
	int (*listen)(struct load *l, const struct tg_conn_user *user);
	tg_reap_fn *reap;
	void *reap_ctx;
};

/* The thread is in the namespace from now on; NULL: it stays. False: errno says why. */
bool load_enter(const char *netns);

const struct load_wire *load_stack_start(struct load *l, struct tg_errbuf *e);
const struct load_wire *load_sockets_start(struct load *l, struct tg_errbuf *e);

/* --- what is sent and what must come: work.c -------------------------------------------------- */

#define LOAD_HEAD_MAX 4096
#define LOAD_NUMBER 8 /* digits of a request's number */

/* A head with a place for the request's number. */
struct load_head {
	char text[LOAD_HEAD_MAX];
	uint32_t n, number; /* bytes; offset of the number */
};

struct load_work {
	struct load_head request, last_request, response, last_response;
	uint8_t *pattern; /* content: byte i of number k is pattern[(k + i) % LOAD_PATTERN] */
};
#define LOAD_PATTERN 65536u

bool load_work_init(struct load_work *w, const struct load_conf *c);
/* Writes the number into h, and h to conn with as much of the content of that number (bytes of it
 * in all) as fits, in one write; *at: how much. False: the head did not fit. The rest follows by
 * load_send_body(). */
bool load_send(const struct load_work *w, struct tg_conn *conn, struct load_head *h,
	uint32_t number, uint64_t *at, uint64_t bytes);
void load_send_body(const struct load_work *w, struct tg_conn *conn, uint32_t number, uint64_t *at,
	uint64_t bytes);
/* At most `most` bytes of a slow client's head, from *at on. */
void load_send_slowly(
	struct tg_conn *conn, struct load_head *h, uint32_t number, uint32_t *at, uint32_t most);
/* Whether v is the content of `number` from `at` on. */
bool load_is_content(
	const struct load_work *w, uint32_t number, uint64_t at, const uint8_t *p, uint32_t n);
/* The unread bytes in one piece if that takes no more than LOAD_HEAD_MAX of copying. */
struct tg_view load_front(struct tg_conn *conn, uint8_t scratch[static LOAD_HEAD_MAX]);
/* Decimal digits in front of v; UINT32_MAX: none. */
uint32_t load_digits(struct tg_view v);

/* --- counts ----------------------------------------------------------------------------------- */

#define LOAD_COUNTS(X) \
	X(responses, "whole and right") \
	X(requests, "sent by clients") \
	X(connections, "opened by clients") \
	X(body_bytes, "content received by clients") \
	X(served, "requests that the origin answered") \
	X(origin_connections, "accepted by the origin") \
	X(bad_status, "responses that are not 200") \
	X(bad_head, "responses that cannot be read, or that answer something else") \
	X(bad_body, "wrong content or length") \
	X(bad_request, "requests that the origin found damaged") \
	X(closed_early, "connections that ended within an exchange") \
	X(not_connected, "connections that did not open") \
	X(short_write, "heads that did not fit") \
	X(unanswered, "requests without an answer at the end")

struct load_counts {
#define X(name, text) uint64_t name;
	LOAD_COUNTS(X)
#undef X
};

static inline uint64_t load_errors(const struct load_counts *c)
{
	return c->bad_status + c->bad_head + c->bad_body + c->bad_request + c->closed_early +
	       c->not_connected + c->short_write + c->unanswered;
}

/* --- everything ------------------------------------------------------------------------------- */

struct load_client;
struct load_served;

#define LOAD_SEQUENCE (1u << 20)

struct load {
	struct load_conf conf;
	struct tg_wheel wheel;
	struct tg_ready ready;
	struct tg_rng rng;
	struct tg_stats *registry;
	struct tg_core_stats *stats; /* of lib/net, lib/tcp and lib/tls */
	const struct load_wire *wire;
	void *wire_state;
	struct tg_tls_store *store; /* NULL: no TLS */
	struct tg_tls *tls;
	struct load_work work;
	struct load_counts counts;
	struct tg_hist latency;
	struct tg_hist hiccup; /* ns by which turns without work took longer than they should */
	uint64_t window_from, window_to; /* ns: latency is that of requests due in between */
	uint64_t busy_ns, turns;         /* of turns in which something happened */

	struct load_client *clients;
	uint32_t opening;          /* now */
	uint32_t opened, answered; /* clients that were open, had an answer, ever */
	struct tg_link idle;       /* open, without a request */
	struct tg_link closed;     /* to be opened */
	uint32_t under_way;        /* requests without an answer */
	uint32_t *sequence;        /* conf.zipf: LOAD_SEQUENCE numbers of requests to come */
	uint32_t in_sequence;
	uint8_t slow_kind;   /* of timers */
	bool asking;         /* new requests may be sent */
	uint64_t not_before; /* ns: of the first connection, when it was refused */
	uint32_t open_limit; /* clients that may be open */
	uint64_t due;        /* open loop: when the next request falls due, ns */
	uint64_t *queue;     /* open loop: when the requests that wait were due; a ring */
	uint32_t queue_head, queue_tail;

	struct tg_pool served; /* struct load_served */
};

uint64_t load_now(void); /* ns of CLOCK_MONOTONIC */

/* tls.c: the store, contexts and worker of conf. */
int load_tls_start(struct load *l, struct tg_errbuf *e);
#define LOAD_TLS_CLIENT 0
#define LOAD_TLS_ORIGIN 1

/* client.c */
bool load_clients_init(struct load *l);
/* Opens what may be opened and sends what is due. Returns how much it did. */
uint32_t load_clients_turn(struct load *l);

/* origin.c */
bool load_origin_init(struct load *l);

/* report.c: one line of JSON on standard output. */
void load_event(const char *event, uint64_t number);
void load_report(
	const struct load *l, const struct load_counts *from, double seconds, uint64_t busy_from);

#endif
