/* pump.h: the only mover of body bytes. min(readable(src), what the codec says, space(dst)).
 *
 * One pump a direction. It decodes what comes (length, chunks, until close, tunnel), encodes what
 * leaves, and keeps no byte of its own: what dst does not take stays unconsumed in src, whose
 * window closes. Owner: one worker.
 */
#ifndef TG_PROXY_PUMP_H
#define TG_PROXY_PUMP_H

#include <tidegate/conn.h>
#include <tidegate/http1.h>

struct tg_pump {
	struct tg_h1_body in; /* how src frames the content */
	struct tg_view lead;  /* bytes to write first: a head, or the end of a chunked body */
	struct tg_view again; /* and behind it what was written before, to another dst */
	uint8_t out;          /* enum tg_body_kind: how dst is to get the content */
	bool sealed;          /* the content is over and its end is in lead */
	uint64_t content;     /* bytes of content moved */
	uint64_t limit;       /* content is not moved beyond it */
	uint64_t taken;       /* bytes consumed from src, framing included */
	/* A run that dst took in part only (it had space and no packet buffer): its content, and
	 * how many bytes of it, framing included, are written. It is made again from src, where it
	 * still rests. 0: none. */
	uint32_t owed, owed_written;
	uint32_t owed_kept; /* how much of replay is that run's */
	/* Gets each run of content once, as it leaves for the first time; NULL: nobody. */
	void (*tee)(void *ctx, const struct tg_view *v, uint32_t cnt, uint32_t n);
	void *tee_ctx;
	uint64_t teed; /* bytes of content that it got */
	/* What was written behind the first lead, kept until the peer proved that it received
	 * something (replay == NULL: not kept). When it is full the pump waits, or gives it up. */
	uint8_t *replay;
	uint32_t replay_len, replay_cap;
	bool give_up, gave_up;
};

enum tg_pump_result {
	TG_PUMP_WAIT_SRC,   /* nothing to read now */
	TG_PUMP_WAIT_DST,   /* no room now: WRITABLE will come */
	TG_PUMP_WAIT_LIMIT, /* the filters allow no more now */
	TG_PUMP_WAIT_ACK,   /* the replay buffer is full: go on after tg_pump_forget() */
	TG_PUMP_DONE,       /* everything, its end included, has been written */
	TG_PUMP_BAD,        /* src's framing is malformed: in.refusal */
};

/* trailers: TG_PUMP_TRAILERS bytes that live as long as the pump, or NULL: trailers are dropped. */
#define TG_PUMP_TRAILERS (2048 + 5)
void tg_pump_init(struct tg_pump *p, enum tg_body_kind in, uint64_t length, enum tg_body_kind out,
	uint8_t *trailers);
enum tg_pump_result tg_pump_run(struct tg_pump *p, struct tg_conn *src, struct tg_conn *dst);
/* src is at its end: content that lasts until close is complete. False: it was cut. */
bool tg_pump_eof(struct tg_pump *p);
/* Begins anew with another dst: head, what is in replay, and the rest of src. */
void tg_pump_restart(struct tg_pump *p, struct tg_view head);
/* Delivery is proven: nothing has to be kept any more. */
static inline void tg_pump_forget(struct tg_pump *p)
{
	p->replay = NULL;
}

#endif
