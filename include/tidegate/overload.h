/* overload.h: what a worker gives up when it has too much to do: Envoy's overload manager.
 *
 *	monitors --pressure, 0 .. 1--> triggers --state, 0 .. 1--> actions
 *
 * Each worker measures itself and acts for itself, once an interval; between two looks a request
 * pays for one comparison of a word. A threshold is reached at `value` and left again below `clear`
 * (hysteresis); a scaled trigger goes from 0 to 1 with the pressure. An action's state is that of
 * its strongest trigger. A load shed point refuses by chance, as often as its state says.
 *
 * Decisions only: measuring and acting are the proxy's. Owner: a struct tg_overload belongs to one
 * worker. Bounds: fixed size. All shares are millionths.
 */
#ifndef TIDEGATE_OVERLOAD_H
#define TIDEGATE_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>

/* name, Envoy's where it has one, what pressure 1 is */
#define TG_MONITOR_LIST(X) \
	X(MEMORY, "envoy.resource_monitors.fixed_heap", \
		"all packet buffers, or all objects of a pool, are handed out") \
	X(CONNECTIONS, "envoy.resource_monitors.global_downstream_max_connections", \
		"max_active_downstream_connections are open, over all workers") \
	X(CPU, "envoy.resource_monitors.cpu_utilization", "no turn had nothing to do") \
	X(DELAY, "tidegate.resource_monitors.queue_delay", \
		"nothing came that had to wait for less than max_delay")

#define TG_OVERLOAD_LIST(X) \
	X(NO_KEEPALIVE, "envoy.overload_actions.disable_http_keepalive", \
		"each response ends its connection") \
	X(NO_REQUESTS, "envoy.overload_actions.stop_accepting_requests", \
		"new requests are answered 503") \
	X(NO_CONNECTIONS, "envoy.overload_actions.stop_accepting_connections", "SYNs are dropped") \
	X(REDUCE_TIMEOUTS, "envoy.overload_actions.reduce_timeouts", \
		"idle connections are closed earlier") \
	X(SHED_REQUESTS, "envoy.load_shed_points.http_connection_manager_decode_headers", \
		"a part of the requests of routes without priority HIGH is answered 503")

enum tg_monitor {
#define X(id, name, text) TG_MONITOR_##id,
	TG_MONITOR_LIST(X)
#undef X
		TG_MONITORS
};
enum tg_overload_action {
#define X(id, name, text) TG_OVERLOAD_##id,
	TG_OVERLOAD_LIST(X)
#undef X
		TG_OVERLOADS
};
#define TG_OVERLOAD_BIT(id) (1u << TG_OVERLOAD_##id)

#define TG_OVERLOAD_WHOLE 1000000u

const char *tg_monitor_name(enum tg_monitor m);
const char *tg_overload_name(enum tg_overload_action a);

/* How long what comes waits for a worker that takes it turn by turn: since the last turn that left
 * nothing over began, for behind it the queues were empty. An upper bound, from the clock that is
 * read once a turn. Two things make it long: turns that leave something over, and turns that are
 * long. */
struct tg_queue {
	uint64_t drained_at; /* ns: when the last turn that left nothing over began */
	uint64_t least; /* ns: the shortest such wait of all turns since this was set to UINT64_MAX
			 */
};

/* A turn began at now. work: there was something to do; left: something has to wait for the next
 * one. */
static inline void tg_queue_turn(struct tg_queue *q, uint64_t now, bool work, bool left)
{
	uint64_t wait = work ? now - q->drained_at : 0;

	if (wait < q->least)
		q->least = wait;
	if (!left)
		q->drained_at = now;
}

struct tg_overload_trigger {
	bool given, scaled;
	uint32_t from; /* threshold: state 1 from here on; scaled: above it, state > 0 */
	uint32_t to;   /* threshold: and 0 below this; scaled: from here on, state 1 */
};

/* Of a configuration. */
struct tg_overload_conf {
	uint64_t refresh; /* ns between two looks */
	bool watched[TG_MONITORS];
	uint64_t max_connections;
	uint64_t max_delay;          /* ns */
	uint64_t idle_timeout_least; /* ns, what an idle timeout is reduced to at state 1 */
	struct tg_overload_trigger trigger[TG_OVERLOADS][TG_MONITORS];
};

struct tg_overload {
	uint32_t state[TG_OVERLOADS];
	bool on[TG_OVERLOADS][TG_MONITORS]; /* thresholds that were reached and not yet left */
};

/* The states that follow from the pressures. Returns the bits of the actions that are on. c NULL:
 * none. */
uint32_t tg_overload_look(struct tg_overload *o, const struct tg_overload_conf *c,
	const uint32_t pressure[TG_MONITORS]);
/* used of all, as a pressure; all 0: none. */
uint32_t tg_pressure_of(uint64_t used, uint64_t all);

#endif
