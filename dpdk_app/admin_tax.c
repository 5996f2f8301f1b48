/* /tax, /tax/sample: where the workers' time goes. What is counted since the start, for who takes
 * the difference of two readings (tgctl tax). */
#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "admin_req.h"

#define SAMPLE_SECONDS 10
#define SAMPLE_SECONDS_MAX 3600

/* What the kernel says of a thread. */
struct thread {
	uint64_t voluntary, involuntary; /* context switches */
	uint64_t user_ns, system_ns;     /* in steps of a clock tick */
	uint64_t run_ns, wait_ns;        /* on a CPU; runnable without one */
};

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * TG_SEC + (uint64_t)t.tv_nsec;
}

static bool read_file(int tid, const char *name, char *text, size_t room)
{
	char path[64];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
	f = fopen(path, "r");
	if (!f)
		return false;
	n = fread(text, 1, room - 1, f);
	fclose(f);
	text[n] = '\0';
	return n > 0;
}

static bool read_thread(int tid, struct thread *t)
{
	uint64_t tick = TG_SEC / (uint64_t)sysconf(_SC_CLK_TCK), user, system;
	char text[4096], *p;

	/* proc(5). The name, in parentheses, may hold anything. */
	if (!read_file(tid, "stat", text, sizeof(text)) || !(p = strrchr(text, ')')) ||
		sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
			&user, &system) != 2)
		return false;
	t->user_ns = user * tick;
	t->system_ns = system * tick;
	if (!read_file(tid, "status", text, sizeof(text)) ||
		!(p = strstr(text, "\nvoluntary_ctxt_switches:")) ||
		sscanf(p,
			"\nvoluntary_ctxt_switches: %" SCNu64
			" nonvoluntary_ctxt_switches: %" SCNu64,
			&t->voluntary, &t->involuntary) != 2)
		return false;
	if (!read_file(tid, "schedstat", text, sizeof(text)) ||
		sscanf(text, "%" SCNu64 " %" SCNu64, &t->run_ns, &t->wait_ns) != 2)
		t->run_ns = t->wait_ns = 0; /* a kernel without it */
	return true;
}

static json_t *thread_json(int tid)
{
	struct thread t;

	if (!tid || !read_thread(tid, &t))
		return json_null();
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "tid", tid, "voluntary_switches",
		(json_int_t)t.voluntary, "involuntary_switches", (json_int_t)t.involuntary,
		"user_ns", (json_int_t)t.user_ns, "system_ns", (json_int_t)t.system_ns, "run_ns",
		(json_int_t)t.run_ns, "wait_ns", (json_int_t)t.wait_ns);
}

static json_t *stages_json(const struct tg_tax_totals *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < TG_STAGES; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:I, s:f, s:f, s:s}", "stage",
				      tg_stage_name((enum tg_stage)i), "cycles",
				      (json_int_t)s->stage[i], "squares", s->squares[i], "products",
				      s->products[i], "text", tg_stage_text((enum tg_stage)i)));
	return list;
}

#define LOAD(field) ((json_int_t)__atomic_load_n(&s->field, __ATOMIC_RELAXED))

static json_t *worker_json(struct tg_worker *w)
{
	const struct tg_core_stats *s = w->stats;
	struct tg_tax_totals t;

	tg_tax_read(&s->tax, &t);
	return json_pack(
		"{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:{s:I, s:I, s:f, s:I, s:I, s:o}, s:o}",
		"worker", (int)w->index, "requests", (json_int_t)tg_hist_count(&s->rq_duration),
		"turns", LOAD(turns), "turns_busy", LOAD(turns_busy), "busy_cycles",
		LOAD(busy_cycles), "idle_cycles", LOAD(idle_cycles), "sleeps", LOAD(sleeps),
		"sampling", (int)tg_tax_wanted(&w->stats->tax, clock_ns()), "traced", "turns",
		(json_int_t)t.turns, "cycles", (json_int_t)t.cycles, "square", t.square,
		"empty_turns", (json_int_t)t.empty_turns, "empty_cycles",
		(json_int_t)t.empty_cycles, "stages", stages_json(&t), "thread",
		thread_json(atomic_load(&w->tid)));
}

static void worker_text(FILE *out, struct tg_worker *w)
{
	const struct tg_core_stats *s = w->stats;
	struct tg_tax_totals t;
	struct thread k;

	tg_tax_read(&s->tax, &t);
	fprintf(out, "%u::requests::%" PRIu64 "\n", w->index, tg_hist_count(&s->rq_duration));
	fprintf(out, "%u::turns::%lld\n%u::turns_busy::%lld\n", w->index, LOAD(turns), w->index,
		LOAD(turns_busy));
	fprintf(out, "%u::busy_cycles::%lld\n%u::idle_cycles::%lld\n%u::sleeps::%lld\n", w->index,
		LOAD(busy_cycles), w->index, LOAD(idle_cycles), w->index, LOAD(sleeps));
	fprintf(out, "%u::traced_turns::%" PRIu64 "\n%u::traced_cycles::%" PRIu64 "\n", w->index,
		t.turns, w->index, t.cycles);
	for (uint32_t i = 0; i < TG_STAGES; i++)
		fprintf(out, "%u::traced_cycles_%s::%" PRIu64 "\n", w->index,
			tg_stage_name((enum tg_stage)i), t.stage[i]);
	if (!read_thread(atomic_load(&w->tid), &k))
		return;
	fprintf(out, "%u::voluntary_switches::%" PRIu64 "\n%u::involuntary_switches::%" PRIu64 "\n",
		w->index, k.voluntary, w->index, k.involuntary);
	fprintf(out, "%u::user_ms::%" PRIu64 "\n%u::system_ms::%" PRIu64 "\n", w->index,
		k.user_ns / 1000000, w->index, k.system_ns / 1000000);
}

unsigned int tg_admin_tax(struct tg_admin_req *q)
{
	unsigned int status;
	bool json = tg_admin_wants_json(q, &status);
	json_t *list = json ? json_array() : NULL;

	for (uint32_t i = 0; status == MHD_HTTP_OK && i < tg_admin_workers(q); i++) {
		if (json)
			json_array_append_new(list, worker_json(&q->app->workers[i]));
		else
			worker_text(q->out, &q->app->workers[i]);
	}
	if (!json)
		return status;
	return tg_admin_json(q, json_pack("{s:I, s:I, s:i, s:o}", "now_ns", (json_int_t)clock_ns(),
					"tsc_hz", (json_int_t)rte_get_tsc_hz(), "traced_one_in",
					TG_TAX_EVERY, "workers", list));
}

unsigned int tg_admin_tax_sample(struct tg_admin_req *q)
{
	const char *arg = tg_admin_arg(q, "seconds");
	char *end = NULL;
	unsigned long seconds = arg ? strtoul(arg, &end, 10) : SAMPLE_SECONDS;

	if (arg && (*arg < '0' || *arg > '9' || *end || !seconds || seconds > SAMPLE_SECONDS_MAX)) {
		fprintf(q->out, "usage: /tax/sample?seconds=1 .. %d\n", SAMPLE_SECONDS_MAX);
		return MHD_HTTP_BAD_REQUEST;
	}
	for (uint32_t i = 0; i < tg_admin_workers(q); i++)
		tg_tax_ask(&q->app->workers[i].stats->tax, clock_ns() + seconds * TG_SEC);
	fprintf(q->out, "OK\none turn in %d is traced, for %lu s\n", TG_TAX_EVERY, seconds);
	return MHD_HTTP_OK;
}
