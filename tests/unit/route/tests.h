#ifndef TEST_ROUTE_TESTS_H
#define TEST_ROUTE_TESTS_H

void host_order(void);
void host_bad_authority(void);
void host_without_any(void);
void host_duplicates(void);
void host_many(void);
void balance_equal(void);
void balance_weights(void);
void balance_avoid(void);
void balance_any_position(void);
void balance_bad_weights(void);
void lb_weights(void);
void lb_without_hash(void);
void lb_least_request(void);
void lb_little_moves(void);
void lb_hash_policies(void);
void health_registry(void);
void health_balancers(void);
void health_pending(void);
void level_loads(void);
void level_degraded(void);
void level_balancers(void);
void level_hash_stays(void);
void level_single(void);
void level_near(void);
void level_slow_start(void);
void level_slow_since(void);
void retry_words(void);
void retry_statuses(void);
void retry_failures(void);
void retry_backoff(void);

#endif
