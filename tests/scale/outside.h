/* outside.h: the world around one worker, as Ethernet frames: millions of clients and an origin.
 *
 * Each client is one TCP connection of 16 bytes that does real handshakes, asks for a path with its
 * own number in it and accepts no answer but its own. The origin answers every request that is in
 * one segment. Neither is a TCP: nothing but a SYN is sent twice, so the link must not lose;
 * whatever is not as it must be is kept as the first failure. Owner: one thread. Bound: memory of
 * `clients`, taken at init.
 *
 *   client n  even: 10.64.0.1 + n / 50000, odd: fd64::1 + n / 50000; port 10000 + n % 50000
 *   routers   10.0.0.2, fd10::2 (north)
 *   gate      10.0.0.1:80, [fd10::1]:80 (north), 10.1.0.1 (south)
 *   origin    10.1.0.2:8080 (south)
 */
#ifndef SCALE_OUTSIDE_H
#define SCALE_OUTSIDE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#define OUTSIDE_CLIENTS_MAX 8000000u
#define OUTSIDE_ANSWER 200 /* bytes of an answer's body */

enum outside_side { OUTSIDE_NORTH, OUTSIDE_SOUTH, OUTSIDE_SIDES };

enum outside_state {
	CLIENT_CLOSED,
	CLIENT_OPENING, /* SYN is out */
	CLIENT_OPEN,
	CLIENT_ASKING, /* a request is out */
	CLIENT_ENDING, /* an answer with Connection: close, then the gate's FIN are awaited */
	CLIENT_CLOSING /* our FIN is out */
};

struct outside_peer {
	uint32_t seq, ack; /* SND.NXT, RCV.NXT */
	uint32_t ts;       /* the gate's newest TSval */
	uint32_t state;    /* enum outside_state */
};

struct outside_conf {
	uint32_t clients;
	struct rte_mempool *mbufs;
	bool checksums; /* the link vouches for nothing: fill them in */
	/* What stands in front of the path of the next request, "/a/b"; NULL: nothing does. */
	const char *(*path)(void *ctx);
	/* Takes a frame for the gate. */
	void (*send)(void *ctx, enum outside_side side, struct rte_mbuf *m);
	void *ctx;
};

struct outside {
	struct outside_conf conf;
	struct outside_peer *clients, *origins; /* origins: by the gate's port */
	uint8_t gate_mac[OUTSIDE_SIDES][6];     /* learned */
	bool known[OUTSIDE_SIDES];
	uint32_t now_ms;                   /* the clients' timestamp clock: the user sets it */
	uint32_t pending;                  /* clients that wait for something */
	uint64_t opened, answered, closed; /* done so far */
	uint64_t pushed_out;               /* open ones that the gate closed or reset by itself */
	uint64_t repeats;                  /* segments that the gate sent again */
	char failure[160];                 /* the first; "" none */
};

/* False: no memory. */
bool outside_init(struct outside *o, const struct outside_conf *conf);
void outside_fini(struct outside *o);

/* Asks for the gate's hardware addresses; nothing else may be begun before outside_ready(). */
void outside_greet(struct outside *o);
bool outside_ready(const struct outside *o);

/* A frame from the gate, which is consumed. */
void outside_input(struct outside *o, enum outside_side side, struct rte_mbuf *m);

/* The client must be CLOSED, OPEN, OPEN, OPEN. Each but the last is pending until it is done. */
void outside_open(struct outside *o, uint32_t client);
void outside_ask(struct outside *o, uint32_t client, bool last); /* last: Connection: close */
void outside_close(struct outside *o, uint32_t client);
void outside_reset(struct outside *o, uint32_t client);

/* Every SYN that has no answer again: a gate in trouble may let strangers wait. Walks over all. */
void outside_open_again(struct outside *o);

static inline enum outside_state outside_state(const struct outside *o, uint32_t client)
{
	return (enum outside_state)o->clients[client].state;
}

#endif
