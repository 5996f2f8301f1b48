#ifndef TEST_CONFIG_TESTS_H
#define TEST_CONFIG_TESTS_H

#include <tidegate/config.h>

/* Parses text; NULL with the errors in messages (of test_config.c). */
struct tg_snapshot *parse(const char *text);
extern char messages[16384];

void schema_in_reference(void);
void schema_refuses(void);
void schema_defaults(void);
void snapshot_values(void);
void snapshot_defaults(void);
void snapshot_routes(void);
void snapshot_breakers(void);
void snapshot_retries(void);
void snapshot_balancers(void);
void snapshot_matches(void);
void snapshot_overload(void);
void snapshot_paths(void);
void snapshot_mirrors(void);
void snapshot_service(void);
void snapshot_stats(void);
void snapshot_diff(void);
void filter_chains(void);

#endif
