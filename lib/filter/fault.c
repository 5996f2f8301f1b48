/* fault.c: faults on purpose, as Envoy's filter of that name. */
#include <tidegate/fault.h>
#include <tidegate/log.h>

#define MS UINT64_C(1000000)
#define SEC UINT64_C(1000000000)

/* A slow response gets its share in slices of this. */
#define SLICE (SEC / 16)

/* Who is to be cut after some bytes is looked at so often meanwhile, and gets these bytes before.
 */
#define END_LOOK (5 * MS)
#define END_PAUSE MS

#define HEADER_DELAY_MAX (UINT64_C(24) * 3600 * 1000) /* ms */
#define HEADER_RATE_MAX (UINT64_C(4) << 20)           /* KiB/s */

enum step { STEP_NEW, STEP_DELAYED, STEP_DONE };

struct fault_state {
	uint8_t step;
	bool active;     /* counted in max_active_faults */
	uint32_t slice;  /* bytes of a response in SLICE; 0: not limited */
	uint8_t end;     /* enum tg_fault_end */
	uint64_t end_at; /* ns; 0: not yet */
	uint64_t until;  /* ns: end of the delay */
	uint64_t next;   /* ns: when the next slice is due */
	uint64_t allow;  /* bytes of content that may have been moved so far */
};

/* What all workers share: in the first worker's line, written by atomics only. */
struct fault_core {
	uint32_t active;
};

static const struct tg_stat_def counters[TG_FAULT_COUNTERS] = {
	[TG_FAULT_DELAYS] = {"delays_injected", "requests that were delayed"},
	[TG_FAULT_ABORTS] = {"aborts_injected", "requests that were aborted"},
	[TG_FAULT_RATES] = {"response_rl_injected", "responses that were slowed down"},
	[TG_FAULT_TRANSPORTS] = {"transport_injected",
		"requests whose connection was spoilt, or cut in the response"},
	[TG_FAULT_OVERFLOW] = {"faults_overflow", "faults left out for max_active_faults"},
	[TG_FAULT_ACTIVE] = {"active_faults", "requests under way with a fault in them", true},
};

static int compile(void *conf, const void *in, const struct tg_filter_env *env)
{
	(void)env;
	memcpy(conf, in, sizeof(struct tg_fault_in));
	return 0;
}

/* --- what the request asks for -----------------------------------------------------------------
 */

/* A decimal number of at most `max`; with `places` digits behind the point its value is scaled by
 * 10^places. False: there is no such field, or it is no such number. */
static bool field_number(
	const struct tg_msg *m, struct tg_view name, uint32_t places, uint64_t max, uint64_t *out)
{
	const struct tg_field *f = tg_msg_find_name(m, name, NULL);
	uint32_t i = 0, digits = 0, behind = 0;
	uint64_t v = 0;
	bool point = false;

	for (; f && i < f->value.n; i++) {
		uint8_t c = f->value.p[i];

		if (c == '.' && places && digits && !point) {
			point = true;
			continue;
		}
		if (c < '0' || c > '9' || (point && behind == places) || v > max)
			return false;
		v = v * 10 + (c - '0');
		digits++;
		behind += point;
	}
	for (; behind < places; behind++)
		v *= 10;
	if (!digits || v > max)
		return false;
	*out = v;
	return true;
}

/* Of how many such requests it happens to. name: the field that lowers the percentage. */
static uint32_t share(
	const struct tg_msg *m, uint32_t percentage, bool by_header, struct tg_view name)
{
	uint64_t asked;

	/* Envoy heeds it only where the fault itself is by header; so do we. */
	if (by_header && field_number(m, name, 4, TG_MILLION, &asked) && asked < percentage)
		percentage = (uint32_t)asked;
	return percentage;
}

/* Whether it happens this time. */
static bool chance(struct tg_exchange *ex, uint32_t millionths)
{
	return millionths == TG_MILLION ||
	       (millionths && tg_rng_below(ex->rng, TG_MILLION) < millionths);
}

/* What is asked for, and with what chance in *share_of; 0: nothing. */
static uint64_t asked_rate(
	const struct tg_fault_rate *r, const struct tg_msg *m, uint32_t *share_of)
{
	uint64_t kbps = r->limit_kbps;

	if (!r->given ||
		(r->by_header && !field_number(m, TG_VIEW("x-envoy-fault-throughput-response"), 0,
					 HEADER_RATE_MAX, &kbps)))
		return 0;
	*share_of = share(m, r->percentage, r->by_header,
		TG_VIEW("x-envoy-fault-throughput-response-percentage"));
	return kbps;
}

/* ns; the same. */
static uint64_t asked_delay(
	const struct tg_fault_delay *d, const struct tg_msg *m, uint32_t *share_of)
{
	uint64_t ns = d->fixed;

	if (d->given && d->by_header &&
		field_number(m, TG_VIEW("x-envoy-fault-delay-request"), 0, HEADER_DELAY_MAX, &ns))
		ns *= MS;
	*share_of = share(
		m, d->percentage, d->by_header, TG_VIEW("x-envoy-fault-delay-request-percentage"));
	return d->given ? ns : 0;
}

/* --- how many at a time ------------------------------------------------------------------------
 */

static uint32_t *active_of(const struct tg_filter *f)
{
	return &((struct fault_core *)tg_filter_core(f, 0))->active;
}

/* Never more than the limit, whatever the other workers do. */
static bool take_place(uint32_t *active, uint32_t max)
{
	uint32_t n = __atomic_load_n(active, __ATOMIC_RELAXED);

	do {
		if (n >= max)
			return false;
	} while (!__atomic_compare_exchange_n(
		active, &n, n + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

static bool begin_fault(const struct tg_filter *f, struct tg_exchange *ex, struct fault_state *s)
{
	const struct tg_fault_in *c = f->conf;

	if (s->active)
		return true;
	if (c->max_active_faults != UINT32_MAX && !take_place(active_of(f), c->max_active_faults)) {
		tg_filter_count(f, ex->worker, TG_FAULT_OVERFLOW);
		return false;
	}
	s->active = true;
	tg_filter_count(f, ex->worker, TG_FAULT_ACTIVE);
	return true;
}

static void on_end(const struct tg_filter *f, struct tg_exchange *ex, const struct tg_outcome *o)
{
	const struct tg_fault_in *c = f->conf;
	const struct fault_state *s = tg_filter_state(f, ex);

	(void)o;
	if (!s->active)
		return;
	if (c->max_active_faults != UINT32_MAX)
		__atomic_fetch_sub(active_of(f), 1, __ATOMIC_RELAXED);
	f->counters[ex->worker * TG_FILTER_ROW(TG_FAULT_COUNTERS) + TG_FAULT_ACTIVE]--;
}

/* --- the faults --------------------------------------------------------------------------------
 */

static bool is_principal(const struct tg_fault_in *c, const struct tg_identity *id)
{
	for (uint32_t i = 0; i < c->n_principals && id; i++) {
		struct tg_view p = c->principals[i];

		if (p.n && p.p[p.n - 1] == '*'
				? tg_view_has_prefix(id->uri, tg_view_of(p.p, p.n - 1))
				: tg_view_eq(id->uri, p))
			return true;
	}
	return !c->n_principals;
}

static bool concerned(
	const struct tg_fault_in *c, const struct tg_exchange *ex, const struct tg_msg *m)
{
	if (c->upstream_cluster && (!ex->cluster || strcmp(ex->cluster, c->upstream_cluster) != 0))
		return false;
	return is_principal(c, ex->client.identity) &&
	       tg_headers_match(c->headers, c->n_headers, m, NULL);
}

static void slow_down(const struct tg_filter *f, struct tg_exchange *ex, const struct tg_msg *m,
	struct fault_state *s)
{
	const struct tg_fault_in *c = f->conf;
	uint32_t millionths = 0;
	uint64_t kbps = asked_rate(&c->rate, m, &millionths);

	if (!kbps || !chance(ex, millionths) || !begin_fault(f, ex, s))
		return;
	s->slice = (uint32_t)(kbps * 1024 / (SEC / SLICE));
	tg_filter_count(f, ex->worker, TG_FAULT_RATES);
}

static void spoil(const struct tg_filter *f, struct tg_exchange *ex, struct fault_state *s)
{
	const struct tg_fault_transport *t = &((const struct tg_fault_in *)f->conf)->transport;
	const struct tg_conn_fault *n = &t->network;

	if (!t->given || !chance(ex, t->percentage) || !begin_fault(f, ex, s))
		return;
	if ((n->loss || n->duplicate || n->reorder || n->zero_window) && ex->spoil(ex, n)) {
		tg_filter_count(f, ex->worker, TG_FAULT_OVERFLOW);
		return;
	}
	s->end = (uint8_t)t->end;
	tg_filter_count(f, ex->worker, TG_FAULT_TRANSPORTS);
}

/* True: the request waits. */
static bool delay(const struct tg_filter *f, struct tg_exchange *ex, const struct tg_msg *m,
	struct fault_state *s)
{
	const struct tg_fault_in *c = f->conf;
	uint32_t millionths = 0;
	uint64_t ns = asked_delay(&c->delay, m, &millionths);

	if (!ns || !chance(ex, millionths) || !begin_fault(f, ex, s))
		return false;
	s->until = ex->now + ns;
	ex->flags |= TG_FLAG(DI);
	tg_filter_count(f, ex->worker, TG_FAULT_DELAYS);
	return true;
}

/* A gRPC status in a head without content ("trailers-only"). */
static void reply_grpc(struct tg_exchange *ex, uint8_t status)
{
	static const struct tg_field fixed[] = {
		{TG_VIEW_OF("content-type"), TG_VIEW_OF("application/grpc"), 0, false},
		{TG_VIEW_OF("grpc-message"), TG_VIEW_OF("fault filter abort"), 0, false}};
	static const uint8_t name[] = "grpc-status", digits[] = "012345678910111213141516";
	struct tg_field *fields = tg_arena_alloc(ex->arena, (uint32_t)(3 * sizeof(*fields)));

	ex->reply.status = 200;
	if (!fields)
		return;
	memcpy(fields, fixed, sizeof(fixed));
	fields[2] = (struct tg_field){.name = {name, sizeof(name) - 1}};
	fields[2].value = status < 10 ? tg_view_of(digits + status, 1)
				      : tg_view_of(digits + 10 + 2 * (status - 10), 2);
	ex->reply.fields = fields;
	ex->reply.n_fields = 3;
}

/* The status to abort with, http or *grpc; 0: neither is asked for. */
static uint16_t abort_status(
	const struct tg_fault_abort *a, const struct tg_msg *m, bool *grpc, uint8_t *grpc_status)
{
	uint64_t v;

	*grpc = !a->by_header && !a->http_status;
	*grpc_status = a->grpc_status;
	if (!a->by_header)
		return a->http_status;
	if (field_number(m, TG_VIEW("x-envoy-fault-abort-request"), 0, 599, &v))
		return v >= 200 ? (uint16_t)v : 0;
	*grpc = field_number(m, TG_VIEW("x-envoy-fault-abort-grpc-request"), 0, 16, &v);
	if (*grpc)
		*grpc_status = (uint8_t)v;
	return 0;
}

struct fault_answer {
	uint16_t status; /* unless grpc */
	uint8_t grpc_status;
	bool grpc;
	uint32_t share;
};

/* False: no abort is asked for. */
static bool asked_abort(
	const struct tg_fault_abort *a, const struct tg_msg *m, struct fault_answer *out)
{
	if (!a->given)
		return false;
	out->status = abort_status(a, m, &out->grpc, &out->grpc_status);
	out->share = share(
		m, a->percentage, a->by_header, TG_VIEW("x-envoy-fault-abort-request-percentage"));
	return out->status || out->grpc;
}

static enum tg_verdict reply(struct tg_exchange *ex, const struct fault_answer *a)
{
	uint16_t status = a->status;

	ex->reply.flags = TG_FLAG(FI);
	ex->reply.details = TG_VIEW("fault_filter_abort");
	if (a->grpc) {
		reply_grpc(ex, a->grpc_status);
	} else {
		ex->reply.status = status;
		/* 204 and 304 have no content (RFC 9110 section 6.4.1). */
		if (status != 204 && status != 304)
			ex->reply.body = TG_VIEW("fault filter abort");
	}
	return TG_REPLY;
}

static enum tg_verdict abort_request(const struct tg_filter *f, struct tg_exchange *ex,
	const struct tg_msg *m, struct fault_state *s)
{
	const struct tg_fault_in *c = f->conf;
	struct fault_answer a;

	if (!asked_abort(&c->abort, m, &a) || !chance(ex, a.share) || !begin_fault(f, ex, s))
		return TG_PASS;
	tg_filter_count(f, ex->worker, TG_FAULT_ABORTS);
	return reply(ex, &a);
}

static enum tg_verdict on_request(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m)
{
	struct fault_state *s = tg_filter_state(f, ex);

	if (s->step == STEP_NEW) {
		s->step = STEP_DONE;
		if (!concerned(f->conf, ex, m))
			return TG_PASS;
		slow_down(f, ex, m, s);
		spoil(f, ex, s);
		if (delay(f, ex, m, s))
			s->step = STEP_DELAYED;
	}
	if (s->step == STEP_DELAYED) {
		if (ex->now < s->until) {
			ex->wake_at = s->until;
			return TG_WAIT;
		}
		s->step = STEP_DONE;
	}
	return abort_request(f, ex, m, s);
}

static void wake_by(struct tg_exchange *ex, uint64_t at)
{
	if (at < ex->wake_at)
		ex->wake_at = at;
}

/* What is left of a slice is lost, so that no more than the rate ever gathers. */
static void next_slice(struct tg_exchange *ex, struct tg_body *b, struct fault_state *s)
{
	if (ex->now >= s->next) {
		bool late = ex->now - s->next > SLICE;

		s->allow = b->moved + s->slice;
		s->next = (late ? ex->now : s->next) + SLICE;
	}
	if (b->allow > s->allow)
		b->allow = s->allow;
	wake_by(ex, s->next);
}

/* True: the client has what it was to get. */
static bool at_end(const struct tg_fault_transport *t, struct tg_exchange *ex, struct tg_body *b,
	struct fault_state *s)
{
	if (b->allow > t->end_after)
		b->allow = t->end_after > b->moved ? t->end_after : b->moved;
	if (b->moved < t->end_after) {
		wake_by(ex, ex->now + END_LOOK);
		return false;
	}
	if (!s->end_at)
		s->end_at = ex->now + END_PAUSE;
	wake_by(ex, s->end_at);
	return ex->now >= s->end_at;
}

static enum tg_verdict on_body(const struct tg_filter *f, struct tg_exchange *ex, struct tg_body *b)
{
	static const uint8_t cuts[] = {[TG_FAULT_END_RESET] = TG_CUT_RESET,
		[TG_FAULT_END_FIN] = TG_CUT_FIN,
		[TG_FAULT_END_ALERT] = TG_CUT_ALERT};
	const struct tg_fault_transport *t = &((const struct tg_fault_in *)f->conf)->transport;
	struct fault_state *s = tg_filter_state(f, ex);

	if (!b->response || (!s->slice && !s->end))
		return TG_PASS;
	if (s->slice)
		next_slice(ex, b, s);
	if (!s->end || !at_end(t, ex, b, s))
		return TG_WAIT;
	ex->reply.flags = TG_FLAG(FI);
	ex->reply.details = TG_VIEW("fault_filter_transport");
	ex->reply.cut = cuts[s->end];
	ex->reply.alert = t->alert;
	return TG_RESET;
}

/* --- dry runs ----------------------------------------------------------------------------------
 */

static void explain_transport(const struct tg_fault_transport *t, struct tg_explain *x)
{
	static const char *const ends[] = {[TG_FAULT_END_NONE] = "",
		[TG_FAULT_END_RESET] = "reset",
		[TG_FAULT_END_FIN] = "ended by a FIN",
		[TG_FAULT_END_ALERT] = "ended by an alert"};
	const struct tg_conn_fault *n = &t->network;

	if (!t->given)
		return;
	x->say(x, "transport: of %.4f %% of requests", t->percentage / 1e4);
	if (n->loss || n->duplicate || n->reorder)
		x->say(x, "segments: %.4f %% lost, %.4f %% sent twice, %.4f %% out of order",
			n->loss / 1e4, n->duplicate / 1e4, n->reorder / 1e4);
	if (n->zero_window)
		x->say(x, "window of 0 for %.1f ms", (double)n->zero_window / 1e6);
	if (t->end != TG_FAULT_END_NONE)
		x->say(x, "response %s after %llu bytes", ends[t->end],
			(unsigned long long)t->end_after);
}

static enum tg_verdict explain(
	const struct tg_filter *f, struct tg_exchange *ex, struct tg_msg *m, struct tg_explain *x)
{
	const struct tg_fault_in *c = f->conf;
	uint32_t millionths = 0, active = __atomic_load_n(active_of(f), __ATOMIC_RELAXED);
	struct fault_answer a;
	uint64_t n;

	if (!concerned(c, ex, m)) {
		x->say(x, "not for this request, client or cluster");
		return TG_PASS;
	}
	if (c->max_active_faults != UINT32_MAX)
		x->say(x, "%u of at most %u faults are active", active, c->max_active_faults);
	if (c->max_active_faults <= active && c->max_active_faults != UINT32_MAX)
		return TG_PASS;
	n = asked_rate(&c->rate, m, &millionths);
	if (n)
		x->say(x, "response at %llu KiB/s: %.4f %% of requests", (unsigned long long)n,
			millionths / 1e4);
	explain_transport(&c->transport, x);
	n = asked_delay(&c->delay, m, &millionths);
	if (n)
		x->say(x, "delay of %.3f ms: %.4f %% of requests", (double)n / 1e6,
			millionths / 1e4);
	if (!asked_abort(&c->abort, m, &a))
		return TG_PASS;
	x->say(x, "abort with %s %u: %.4f %% of requests", a.grpc ? "gRPC status" : "status",
		a.grpc ? a.grpc_status : a.status, a.share / 1e4);
	return a.share > TG_MILLION / 2 ? reply(ex, &a) : TG_PASS;
}

const struct tg_filter_ops tg_fault_http = {
	.name = "fault",
	.conf_size = sizeof(struct tg_fault_in),
	.core_size = sizeof(struct fault_core),
	.exch_size = sizeof(struct fault_state),
	.n_counters = TG_FAULT_COUNTERS,
	.counters = counters,
	.compile = compile,
	.on_request = on_request,
	.on_body = on_body,
	.on_end = on_end,
	.explain = explain,
};
