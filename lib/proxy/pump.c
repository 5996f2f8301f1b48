#include "pump.h"

#define VIEWS_IN 16
#define VIEWS_OUT (VIEWS_IN * 2 + 3)
#define CHUNK_OVERHEAD (TG_H1_CHUNK_HEAD_MAX + 2)

/* The trailer section is collected behind room for "0\r\n" and before room for the last "\r\n". */
#define TRAILERS_FRONT 3
#define TRAILERS_BACK 2

void tg_pump_init(struct tg_pump *p, enum tg_body_kind in, uint64_t length, enum tg_body_kind out,
	uint8_t *trailers)
{
	memset(p, 0, sizeof(*p));
	p->out = (uint8_t)out;
	p->limit = UINT64_MAX;
	tg_h1_body_init(&p->in, in, length);
	if (trailers) {
		p->in.trailers = trailers + TRAILERS_FRONT;
		p->in.trailers_cap = TG_PUMP_TRAILERS - TRAILERS_FRONT - TRAILERS_BACK;
	}
}

static void lead_took(struct tg_pump *p, uint32_t n)
{
	if (n) /* nothing to go on from, else */
		p->lead.p += n;
	p->lead.n -= n;
}

/* True when nothing is left of lead. */
static bool write_lead(struct tg_pump *p, struct tg_conn *dst)
{
	if (p->lead.n)
		lead_took(p, tg_conn_write(dst, &p->lead, 1));
	return p->lead.n == 0;
}

/* Content is there to go with it, in the same packet and, over TLS, in the same record. */
static bool lead_has_company(const struct tg_pump *p, struct tg_conn *src, struct tg_conn *dst)
{
	return !p->sealed && !p->in.ended && !p->owed && p->content < p->limit && src &&
	       tg_conn_peek(src, &(struct tg_view){0}, 1) &&
	       tg_conn_space(dst) > p->lead.n + CHUNK_OVERHEAD;
}

/* The content is complete: its end goes to lead. */
static void seal(struct tg_pump *p)
{
	uint8_t *t = p->in.trailers;

	p->sealed = true;
	if (p->out != TG_BODY_CHUNKED)
		return;
	if (!t || !p->in.trailer_len) {
		p->lead = TG_VIEW("0\r\n\r\n");
		return;
	}
	memcpy(t - TRAILERS_FRONT, "0\r\n", TRAILERS_FRONT);
	memcpy(t + p->in.trailer_len, "\r\n", TRAILERS_BACK);
	p->lead =
		tg_view_of(t - TRAILERS_FRONT, TRAILERS_FRONT + p->in.trailer_len + TRAILERS_BACK);
}

/* A run of decoded content, gathered from src's views without copying. */
struct run {
	struct tg_view out[VIEWS_OUT];
	uint32_t n_out, content, used;
	uint8_t head[TG_H1_CHUNK_HEAD_MAX];
};

/* Decodes from the views at most room bytes of content. -1: malformed. */
static int gather(
	struct tg_pump *p, const struct tg_view *in, uint32_t cnt, uint32_t room, struct run *r)
{
	/* Slots 0 and 1 are for lead and for the chunk head. */
	r->n_out = 2;
	r->content = r->used = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		struct tg_view v = in[i];

		while (v.n && !p->in.ended) {
			struct tg_view lim = v, data = TG_VIEW_NONE;
			uint32_t used = 0;

			if (r->content == room || r->n_out == VIEWS_OUT - 1)
				return 0;
			if (lim.n > room - r->content)
				lim.n = room - r->content;
			if (tg_h1_body_read(&p->in, lim, &used, &data))
				return -1;
			if (data.n) {
				r->out[r->n_out++] = data;
				r->content += data.n;
			}
			r->used += used;
			if (!used)
				return 0;
			v.p += used;
			v.n -= used;
		}
	}
	return 0;
}

static void remember(struct tg_pump *p, const struct tg_view *v, uint32_t cnt)
{
	uint32_t before = p->replay_len;

	for (uint32_t i = 0; i < cnt; i++) {
		memcpy(p->replay + p->replay_len, v[i].p, v[i].n);
		p->replay_len += v[i].n;
	}
	p->owed_kept = p->replay_len - before;
}

/* Cuts n bytes off the front of the views; returns the first that is left. */
static struct tg_view *cut(struct tg_view *v, uint32_t *cnt, uint32_t n)
{
	while (n && n >= v->n) {
		n -= v->n;
		v++;
		--*cnt;
	}
	v->p += n;
	v->n -= n;
	return v;
}

/* A run may be made again, whole or in part, for the same connection or for another try. */
static void give_tee(struct tg_pump *p, const struct tg_view *first, uint32_t cnt, uint32_t n)
{
	uint64_t skip = p->teed - p->content;
	struct tg_view v[VIEWS_OUT];
	const struct tg_view *rest;

	if (skip >= n)
		return;
	memcpy(v, first, cnt * sizeof(*v));
	rest = cut(v, &cnt, (uint32_t)skip);
	p->tee(p->tee_ctx, rest, cnt, n - (uint32_t)skip);
	p->teed = p->content + n;
}

/* Frames the run and writes it behind lead. There is room for all of it, but perhaps no packet
 * buffer: false, and what was written is noted. */
static bool write_run(struct tg_pump *p, struct tg_conn *dst, struct run *r)
{
	struct tg_view *first = &r->out[2];
	uint32_t cnt = r->n_out - 2, left = r->content, lead = p->lead.n, took;

	if (!r->content)
		return write_lead(p, dst);
	if (tg_unlikely(p->tee != NULL))
		give_tee(p, first, cnt, r->content);
	if (p->out == TG_BODY_CHUNKED) {
		*--first = tg_view_of(r->head, tg_h1_chunk_head(r->head, r->content));
		r->out[r->n_out++] = TG_VIEW("\r\n");
		left += first->n + 2;
		cnt += 2;
	}
	if (p->owed)
		first = cut(first, &cnt, p->owed_written);
	else if (p->replay)
		remember(p, first, cnt);
	if (lead) {
		*--first = p->lead;
		cnt++;
	}
	took = tg_conn_write(dst, first, cnt);
	if (lead > took)
		lead = took;
	lead_took(p, lead);
	took += p->owed_written - lead;
	if (tg_unlikely(took < left)) {
		p->owed = r->content;
		p->owed_written = took;
		return false;
	}
	p->owed = p->owed_written = 0;
	p->content += r->content;
	return true;
}

/* One run. WAIT_SRC and WAIT_DST end the loop; DONE means: progress was made. */
static enum tg_pump_result move(struct tg_pump *p, struct tg_conn *src, struct tg_conn *dst)
{
	uint32_t overhead = p->out == TG_BODY_CHUNKED && !p->owed ? CHUNK_OVERHEAD : 0;
	uint32_t room = tg_conn_space(dst), cnt;
	const struct tg_h1_body before = p->in;
	struct tg_view in[VIEWS_IN];
	struct run r;

	cnt = tg_conn_peek(src, in, VIEWS_IN);
	if (!cnt)
		return TG_PUMP_WAIT_SRC;
	if (room <= overhead + p->lead.n) {
		tg_conn_write(dst, NULL, 0);
		return TG_PUMP_WAIT_DST;
	}
	room -= p->lead.n;
	if (tg_unlikely(p->limit - p->content < room - overhead) && !p->owed) {
		room = overhead + (uint32_t)(p->limit - p->content);
		if (room == overhead)
			return TG_PUMP_WAIT_LIMIT;
	}
	if (p->owed) {
		room = p->owed;
	} else if (p->replay && p->replay_cap - p->replay_len <= overhead) {
		if (!p->give_up)
			return TG_PUMP_WAIT_ACK;
		p->replay = NULL;
		p->gave_up = true;
	} else if (p->replay && room > p->replay_cap - p->replay_len) {
		room = p->replay_cap - p->replay_len;
	}
	if (gather(p, in, cnt, room - overhead, &r) < 0)
		return TG_PUMP_BAD;
	if (!write_run(p, dst, &r)) {
		p->in = before;
		return TG_PUMP_WAIT_DST;
	}
	tg_conn_consume(src, r.used);
	p->taken += r.used;
	return r.used ? TG_PUMP_DONE : TG_PUMP_WAIT_SRC;
}

enum tg_pump_result tg_pump_run(struct tg_pump *p, struct tg_conn *src, struct tg_conn *dst)
{
	for (;;) {
		enum tg_pump_result r;

		if (p->lead.n && (p->again.n || !lead_has_company(p, src, dst)) &&
			!write_lead(p, dst))
			return TG_PUMP_WAIT_DST;
		if (tg_unlikely(p->again.n)) {
			p->lead = p->again;
			p->again = TG_VIEW_NONE;
			continue;
		}
		if (p->sealed)
			return TG_PUMP_DONE;
		if (p->in.ended) {
			seal(p);
			continue;
		}
		if (!src)
			return TG_PUMP_WAIT_SRC;
		r = move(p, src, dst);
		if (r != TG_PUMP_DONE)
			return r;
	}
}

void tg_pump_restart(struct tg_pump *p, struct tg_view head)
{
	/* A run that was not taken whole still rests in src. */
	if (p->owed && p->replay)
		p->replay_len -= p->owed_kept;
	p->owed = p->owed_written = 0;
	p->lead = head;
	p->again = p->replay ? tg_view_of(p->replay, p->replay_len) : TG_VIEW_NONE;
	p->sealed = false;
}

bool tg_pump_eof(struct tg_pump *p)
{
	if (p->in.kind == TG_BODY_UNTIL_CLOSE || p->in.kind == TG_BODY_TUNNEL)
		p->in.ended = true;
	return p->in.ended;
}
