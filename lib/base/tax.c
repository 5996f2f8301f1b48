#include <stdatomic.h>
#include <string.h>

#include <tidegate/tax.h>

const char *tg_stage_name(enum tg_stage s)
{
	static const char *const names[] = {
#define X(name, text) #name,
		TG_STAGE_LIST(X)
#undef X
	};

	return names[s];
}

const char *tg_stage_text(enum tg_stage s)
{
	static const char *const texts[] = {
#define X(name, text) text,
		TG_STAGE_LIST(X)
#undef X
	};

	return texts[s];
}

enum tg_stage tg_tax_border(struct tg_tax *t, enum tg_stage s, uint64_t tsc)
{
	enum tg_stage before = t->stage;

	t->now[before] += tsc - t->mark;
	t->mark = tsc;
	t->stage = (uint8_t)s;
	return before;
}

bool tg_tax_wanted(struct tg_tax *t, uint64_t now)
{
	return now < atomic_load_explicit(&t->until, memory_order_relaxed);
}

/* Random, because what a worker does repeats itself. Gaps of 1 .. 2 * TG_TAX_EVERY - 1; the
 * generator is xorshift's. */
static uint32_t gap(struct tg_tax *t)
{
	uint64_t x = t->random ? t->random : 0x9e3779b97f4a7c15u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	t->random = x;
	return 1 + (uint32_t)((x >> 32) % (2 * TG_TAX_EVERY - 1));
}

bool tg_tax_chosen(struct tg_tax *t)
{
	if (t->left-- > 1)
		return false;
	t->left = gap(t);
	return true;
}

void tg_tax_begin(struct tg_tax *t, uint64_t tsc)
{
	memset(t->now, 0, sizeof(t->now));
	t->mark = tsc;
	t->stage = TG_STAGE_loop;
	t->on = true;
}

static void add(struct tg_tax_totals *s, const uint64_t now[static TG_STAGES], bool busy)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < TG_STAGES; i++)
		sum += now[i];
	if (!busy) {
		s->empty_turns++;
		s->empty_cycles += sum;
		return;
	}
	s->turns++;
	s->cycles += sum;
	s->square += (double)sum * (double)sum;
	for (uint32_t i = 0; i < TG_STAGES; i++) {
		s->stage[i] += now[i];
		s->squares[i] += (double)now[i] * (double)now[i];
		s->products[i] += (double)now[i] * (double)sum;
	}
}

void tg_tax_end(struct tg_tax *t, uint64_t tsc, bool busy)
{
	uint32_t version = atomic_load_explicit(&t->version, memory_order_relaxed);

	tg_tax_border(t, TG_STAGE_loop, tsc);
	t->on = false;
	atomic_store_explicit(&t->version, version + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	add(&t->totals, t->now, busy);
	atomic_store_explicit(&t->version, version + 2, memory_order_release);
}

void tg_tax_ask(struct tg_tax *t, uint64_t until)
{
	uint64_t old = atomic_load(&t->until);

	while (old < until && !atomic_compare_exchange_weak(&t->until, &old, until))
		;
}

/* Words are read one by one with relaxed loads: the count says whether they belong together. */
static void copy(uint64_t *to, const uint64_t *from, size_t words)
{
	for (size_t i = 0; i < words; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

_Static_assert(sizeof(struct tg_tax_totals) % sizeof(uint64_t) == 0, "it is copied by words");

void tg_tax_read(const struct tg_tax *t, struct tg_tax_totals *out)
{
	uint32_t before, after;

	do {
		before = atomic_load_explicit(&t->version, memory_order_acquire);
		copy((uint64_t *)out, (const uint64_t *)&t->totals, sizeof(*out) / 8);
		atomic_thread_fence(memory_order_acquire);
		after = atomic_load_explicit(&t->version, memory_order_relaxed);
	} while (before != after || before & 1);
}
