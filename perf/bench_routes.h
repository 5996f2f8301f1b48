/* bench_routes.h: a crowd of routes and who asks for them, for benches.
 *
 * Route i is /team-T/service-i/v1. Which one a request is for is drawn evenly, or by Zipf's law, in
 * which the most wanted of 100,000 gets a twelfth of all.
 */
#ifndef PERF_BENCH_ROUTES_H
#define PERF_BENCH_ROUTES_H

#include <stdint.h>

#define BENCH_ROUTE "/team-%u/service-%u/v1" /* of i % 100 and i */

enum bench_law { BENCH_EVEN, BENCH_ZIPF };

/* n_picks numbers below n, in bench_take()'s memory. */
uint32_t *bench_pick(uint32_t n, enum bench_law law, uint32_t n_picks);
const char *bench_law_name(enum bench_law law);

#endif
