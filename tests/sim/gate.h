/* gate.h: a whole Tidegate worker between clients and origins, in virtual time: host 0 runs the
 * proxy over TLS over TCP, host 1 all clients and origins (TLS and TCP of their own), and the
 * simulated wire lies between. What one is after: a transfer that stands still although nobody
 * waits for anything but the other side's next move.
 *
 *	gate.c       a seed -> a scenario; the proxy; one run, its order of events, its judgement
 *	gate_app.c   clients and origins: what they ask, send, read and expect
 *	gate_main.c  the command line
 *
 * As in sim.h everything follows from the seed, but for the bytes of TLS handshakes, whose
 * signatures differ in length by a byte or two.
 */
#ifndef TG_GATE_H
#define TG_GATE_H

#include <tidegate/http1.h>
#include <tidegate/proxy.h>

#include "sim.h"

#define GATE_CLIENTS 4
#define GATE_REQUESTS 5
#define GATE_ENDS 16
#define GATE_PIECE 20000 /* bytes that an end writes at once, at most */
#define GATE_HEAD 62000

enum gate_leg { GATE_PLAIN, GATE_TLS };

struct gate_pace {
	uint32_t write_max, read_max; /* bytes at once */
	uint64_t write_gap, read_gap; /* ns between two of them, at most; 0: driven by events */
};

struct gate_request {
	uint32_t up, down; /* bytes of content */
	bool up_chunked, down_chunked;
	uint32_t padding; /* bytes of a long field in both heads */
};

/* A client with its connection, or an origin's end of one. */
struct gate_end {
	struct gate_world *g;
	struct tg_conn *c;
	struct tg_timer timer;
	bool used, client, open, eof, over;
	struct gate_pace pace;
	uint64_t next_read, next_write; /* host time */
	/* a client's */
	uint32_t n_requests, at;
	struct gate_request request[GATE_REQUESTS];
	enum gate_leg origin;
	/* the message that goes out: staged, then content to be made */
	uint8_t out[GATE_HEAD + 1000];
	uint32_t n_out, off_out;
	bool out_chunked, out_ended;
	uint64_t out_left, out_at;
	/* the message that comes in */
	char head[GATE_HEAD + 1000];
	uint32_t n_head;
	bool in_body;
	struct tg_h1_body body;
	uint64_t got;
	uint32_t down;
	bool down_chunked;
	uint32_t padding;
	uint64_t key;
};

struct gate_world {
	struct sim_world *w;
	/* scenario */
	enum gate_leg down; /* the clients' leg; each request chooses the origins' */
	bool l4;
	bool strict; /* nothing here excuses an error */
	uint32_t listener_buf, cluster_buf, peer_buf, max_head_kb, tls_active, handshake_budget;
	uint32_t rx_ring;              /* frames that wait for a host; more are lost */
	uint32_t pause;                /* in a million turns: one after which a host gets no CPU */
	uint64_t pause_max, paused[2]; /* ns; world time until then */
	uint32_t n_clients;
	struct gate_end end[GATE_ENDS];
	/* the gate */
	struct tg_snapshot *snap;
	struct tg_proxy *proxy;
	struct tg_tls *tls[2]; /* of the gate, of the peers */
	struct tg_tcp_listener listeners[8];
	uint32_t n_listeners;
	struct tg_tcp_listener origin[2]; /* by leg */
	uint64_t realtime_offset[2];
	uint64_t done, bytes;
};

bool gate_setup(void);
/* Runs a seed. True: all was well. */
bool gate_run(struct gate_world *g, struct sim_world *w, uint64_t seed);
void gate_report(struct gate_world *g, FILE *f);

/* gate_app.c */
extern const struct tg_conn_user
	gate_origin_user[2]; /* of connections accepted, by leg; owner: g */
void gate_client_begin(struct gate_world *g, struct gate_end *e);
void gate_app_timer(void *ctx, struct tg_timer *t);
void gate_app_leave(struct gate_world *g);
void gate_end_print(const struct gate_end *e, FILE *f);

/* Where the gate listens, where origins do. */
uint16_t gate_port(const struct gate_world *g, enum gate_leg origin);
#define GATE_ORIGIN_PORT 8080 /* + leg */
/* TLS configurations: of the gate 0 (listeners) and 1 (cluster), of the peers: */
#define GATE_CONF_ORIGIN 2
#define GATE_CONF_CLIENT 3

#endif
