/* bench_routes.h: a crowd of routes and who asks for them, for benches.
 *
 * A route is /team-T/service-N/v1. The numbers of few routes are spread over those that 100,000
 * have, so that their texts are as long and as much alike: what many cost more is not that of
 * longer names. Which route a request is for is drawn evenly, or by Zipf's law, in which the most
 * wanted of 100,000 gets a twelfth of all.
 */
#ifndef PERF_BENCH_ROUTES_H
#define PERF_BENCH_ROUTES_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_ROUTES_MAX 100000

enum bench_law { BENCH_EVEN, BENCH_ZIPF };

/* Route i of n; `behind` it. */
void bench_route_name(char *out, size_t size, uint32_t i, uint32_t n, const char *behind);
/* n_picks numbers below n, in bench_take()'s memory. */
uint32_t *bench_pick(uint32_t n, enum bench_law law, uint32_t n_picks);
const char *bench_law_name(enum bench_law law);

#endif
