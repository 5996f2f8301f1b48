/* bench_wheel.c: timers started, stopped, moved and fired, with few and with very many running. */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/rng.h>
#include <tidegate/wheel.h>

#include "bench.h"

#define PASS 256

static struct tg_wheel w;
static struct tg_timer *timers;
static struct tg_rng rng;
static uint32_t fired;
static uint8_t kind;

static void on_timer(void *ctx, struct tg_timer *t)
{
	fired++;
}

static uint64_t some_delay(void)
{
	return TG_MS + tg_rng_below(&rng, 1000) * TG_MS;
}

/* n others run all the while. */
static void with(uint32_t n)
{
	static uint64_t delays[PASS];
	struct tg_timer *mine = timers + n;
	struct bench b;
	char name[64];

	for (uint32_t i = 0; i < n; i++)
		tg_timer_start(&w, &timers[i], kind, 3600 * TG_SEC + some_delay());
	snprintf(name, sizeof(name), "wheel: start and stop, %u run", n);
	for (bench_begin(&b, name); bench_more(&b);) {
		for (uint32_t i = 0; i < PASS; i++)
			delays[i] = some_delay();
		bench_start(&b);
		for (uint32_t i = 0; i < PASS; i++) {
			tg_timer_start(&w, &mine[i], kind, delays[i]);
			tg_timer_stop(&w, &mine[i]);
		}
		bench_stop(&b, PASS);
	}
	snprintf(name, sizeof(name), "wheel: move, %u run", n);
	for (bench_begin(&b, name); bench_more(&b);) {
		bench_start(&b);
		for (uint32_t i = 0; i < PASS; i++)
			tg_timer_start(&w, &mine[i], kind, delays[i] + i * TG_US);
		bench_stop(&b, PASS);
	}
	snprintf(name, sizeof(name), "wheel: fire, %u run", n);
	for (bench_begin(&b, name); bench_more(&b);) {
		for (uint32_t i = 0; i < PASS; i++)
			tg_timer_start(&w, &mine[i], kind, some_delay() / 1000);
		fired = 0;
		bench_start(&b);
		while (fired < PASS)
			tg_wheel_advance(&w, w.now + 100 * TG_US, 0);
		bench_stop(&b, PASS);
	}
	snprintf(name, sizeof(name), "wheel: a turn without a deadline, %u run", n);
	for (bench_begin(&b, name); bench_more(&b);) {
		bench_start(&b);
		for (uint32_t i = 0; i < PASS; i++)
			tg_wheel_advance(&w, w.now + 300, 256);
		bench_stop(&b, PASS);
	}
	for (uint32_t i = 0; i < n + PASS; i++)
		tg_timer_stop(&w, &timers[i]);
}

int main(int argc, char **argv)
{
	uint32_t most = 1000000;

	bench_init(argc, argv);
	timers = calloc(most + PASS, sizeof(*timers));
	if (!timers)
		return 1;
	tg_rng_seed(&rng, 1);
	tg_wheel_init(&w, 1000 * TG_SEC);
	kind = (uint8_t)tg_wheel_kind(&w, on_timer, NULL);
	with(1000);
	with(bench_counts() ? 100000 : most);
	free(timers);
	return bench_end();
}
