#include <assert.h>
#include <stddef.h>
#include <string.h>

#include <tidegate/err.h>
#include <tidegate/view.h>
#include <tidegate/wheel.h>

#define SLOT_BITS 8
#define SLOT_MASK (TG_WHEEL_SLOTS - 1)
#define MAX_TICKS ((UINT64_C(200) * 86400 * TG_SEC) >> TG_WHEEL_TICK_SHIFT)

/*
 * Level 0 has a slot a tick; level k a slot for 256^k ticks. A timer lies in the lowest level whose
 * span covers its distance, in the slot of its own expiry's digit. When `tick` enters a new slot of
 * level k > 0, the timers of that slot move down ("cascade"). Distances are below 256^5, so level 4
 * never laps.
 */

void tg_wheel_init(struct tg_wheel *w, uint64_t now)
{
	memset(w, 0, sizeof(*w));
	w->now = now;
	w->tick = now >> TG_WHEEL_TICK_SHIFT;
}

int tg_wheel_kind(struct tg_wheel *w, tg_timer_fn *fn, void *ctx)
{
	if (w->n_kinds == TG_WHEEL_KINDS)
		return TG_ENOMEM;
	w->fn[w->n_kinds] = fn;
	w->ctx[w->n_kinds] = ctx;
	return (int)w->n_kinds++;
}

static uint32_t slot_of(uint64_t tick, uint32_t level)
{
	return (uint32_t)(tick >> (level * SLOT_BITS)) & SLOT_MASK;
}

static void link_in(struct tg_wheel *w, struct tg_timer *t, uint32_t level, uint32_t slot)
{
	struct tg_timer **head = &w->slot[level][slot];

	t->next = *head;
	if (t->next)
		t->next->pprev = &t->next;
	t->pprev = head;
	*head = t;
	w->occupied[level][slot / 64] |= UINT64_C(1) << (slot % 64);
}

/* The level where the expiry's highest digit that differs from now's lies: every lower digit will
 * be walked through again after that slot was entered. */
static void place(struct tg_wheel *w, struct tg_timer *t)
{
	uint64_t differs = t->expires ^ w->tick;
	uint32_t level = differs ? (uint32_t)(63 - __builtin_clzll(differs)) / SLOT_BITS : 0;

	link_in(w, t, level, slot_of(t->expires, level));
}

static void unlink_from(struct tg_wheel *w, struct tg_timer *t)
{
	struct tg_timer **pprev = t->pprev;

	*pprev = t->next;
	if (t->next)
		t->next->pprev = pprev;
	t->next = NULL;
	t->pprev = NULL;
	/* The last one of a slot: its head is an element of w->slot, so the position tells the bit.
	 */
	if (!*pprev && (char *)pprev >= (char *)w->slot &&
		(char *)pprev < (char *)w->slot + sizeof(w->slot)) {
		uint32_t i = (uint32_t)(pprev - &w->slot[0][0]);

		w->occupied[i / TG_WHEEL_SLOTS][i % TG_WHEEL_SLOTS / 64] &=
			~(UINT64_C(1) << (i % 64));
	}
}

void tg_timer_start(struct tg_wheel *w, struct tg_timer *t, uint8_t kind, uint64_t delay_ns)
{
	uint64_t deadline = w->now + delay_ns, tick;

	if (t->pprev)
		tg_timer_stop(w, t);
	if (deadline < w->now || (delay_ns >> TG_WHEEL_TICK_SHIFT) > MAX_TICKS)
		deadline = w->now + (MAX_TICKS << TG_WHEEL_TICK_SHIFT);
	/* Rounded up: never before the deadline. At least one tick ahead: w->tick has been served.
	 */
	tick = (deadline + (1 << TG_WHEEL_TICK_SHIFT) - 1) >> TG_WHEEL_TICK_SHIFT;
	if (tick <= w->tick)
		tick = w->tick + 1;
	t->expires = tick;
	t->kind = kind;
	place(w, t);
	w->running++;
}

void tg_timer_stop(struct tg_wheel *w, struct tg_timer *t)
{
	if (!t->pprev)
		return;
	unlink_from(w, t);
	w->running--;
}

/* Distance from `from` (exclusive) to the next occupied slot of a level, 1 .. 255, or 0: none ahead
 * before the level wraps. */
static uint32_t next_occupied(const struct tg_wheel *w, uint32_t level, uint32_t from)
{
	for (uint32_t s = from + 1; s < TG_WHEEL_SLOTS; s = (s | 63) + 1) {
		uint64_t bits = w->occupied[level][s / 64] >> (s % 64);

		if (bits)
			return s + (uint32_t)__builtin_ctzll(bits) - from;
	}
	return 0;
}

/* The next tick at which something must be done: fire a slot of level 0, or cascade a higher one.
 */
static uint64_t next_tick(const struct tg_wheel *w)
{
	for (uint32_t level = 0; level < TG_WHEEL_LEVELS; level++) {
		uint32_t shift = level * SLOT_BITS;
		uint32_t ahead = next_occupied(w, level, slot_of(w->tick, level));

		if (ahead)
			return ((w->tick >> shift) + ahead) << shift;
	}
	return UINT64_MAX;
}

static void cascade(struct tg_wheel *w)
{
	for (uint32_t level = TG_WHEEL_LEVELS - 1; level > 0; level--) {
		uint32_t slot = slot_of(w->tick, level);
		struct tg_timer *t;

		if (w->tick & ((UINT64_C(1) << (level * SLOT_BITS)) - 1))
			continue;
		while ((t = w->slot[level][slot])) {
			unlink_from(w, t);
			place(w, t);
		}
	}
}

/* Fires the current slot of level 0; returns how many, at most budget. */
static uint32_t fire(struct tg_wheel *w, uint32_t budget)
{
	struct tg_timer **head = &w->slot[0][slot_of(w->tick, 0)], *t;
	uint32_t fired = 0;

	while (fired < budget && (t = *head)) {
		tg_timer_stop(w, t);
		fired++;
		w->fn[t->kind](w->ctx[t->kind], t);
	}
	return fired;
}

uint32_t tg_wheel_advance(struct tg_wheel *w, uint64_t now, uint32_t budget)
{
	uint64_t target = now >> TG_WHEEL_TICK_SHIFT;
	uint32_t fired = 0;

	if (!budget)
		budget = UINT32_MAX;
	if (now > w->now)
		w->now = now;
	/* What a former budget left in this tick's slot comes first. */
	fired += fire(w, budget);
	while (fired < budget && w->tick < target) {
		uint64_t next = next_tick(w);

		if (next > target) {
			w->tick = target;
			break;
		}
		w->tick = next;
		cascade(w);
		fired += fire(w, budget - fired);
	}
	return fired;
}

uint64_t tg_wheel_next(const struct tg_wheel *w)
{
	uint64_t tick;

	if (w->slot[0][slot_of(w->tick, 0)])
		return w->now;
	tick = next_tick(w);
	return tick == UINT64_MAX ? UINT64_MAX : tick << TG_WHEEL_TICK_SHIFT;
}

static bool slot_ok(const struct tg_wheel *w, uint32_t level, uint32_t slot, uint32_t *count)
{
	struct tg_timer *const *pprev = &w->slot[level][slot];
	bool bit = w->occupied[level][slot / 64] >> (slot % 64) & 1;

	if (bit != (*pprev != NULL))
		return false;
	for (const struct tg_timer *t = *pprev; t; t = t->next) {
		if (t->pprev != pprev || t->kind >= w->n_kinds ||
			slot_of(t->expires, level) != slot)
			return false;
		if (t->expires < w->tick || ++*count > w->running)
			return false;
		pprev = &t->next;
	}
	return true;
}

/* 64 slots that are said to be empty */
static bool all_empty(struct tg_timer *const *slot)
{
	uintptr_t any = 0;

	for (uint32_t i = 0; i < 64; i++)
		any |= (uintptr_t)slot[i];
	return !any;
}

bool tg_wheel_validate(const struct tg_wheel *w)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < TG_WHEEL_LEVELS * TG_WHEEL_SLOTS / 64; i++) {
		uint32_t level = i / (TG_WHEEL_SLOTS / 64), first = i * 64 % TG_WHEEL_SLOTS;

		if (!w->occupied[level][first / 64]) {
			if (!all_empty(&w->slot[level][first]))
				return false;
			continue;
		}
		for (uint32_t slot = first; slot < first + 64; slot++)
			if (!slot_ok(w, level, slot, &count))
				return false;
	}
	return count == w->running;
}
