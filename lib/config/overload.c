/* `overload_manager`. */
#include <string.h>

#include "keys.h"

static const struct cfg_refused none[] = {{NULL}};

static const struct cfg_key monitor_keys[] = {
	KEY(raw_monitor, name, "name", .type = CFG_NAME, .max = 128, .flags = CFG_REQUIRED,
		.example = "\"envoy.resource_monitors.cpu_utilization\"",
		.doc = "what is watched: envoy.resource_monitors.fixed_heap (packet buffers and "
		       "pools), .global_downstream_max_connections, .cpu_utilization, or "
		       "tidegate.resource_monitors.queue_delay"),
	KEY(raw_monitor, max_connections, "max_active_downstream_connections", .type = CFG_U32,
		.min = 1, .max = 16 * 1024 * 1024, .example = "10000",
		.doc = "clients' connections that are pressure 1 (global_downstream_max_"
		       "connections)"),
	KEY(raw_monitor, max_delay, "max_delay", .type = CFG_DURATION, .min = SEC / 1000,
		.max = 60 * SEC, .dflt = "100ms", .example = "\"100ms\"",
		.doc = "how long everything that comes waits for the worker at pressure 1 "
		       "(queue_delay)"),
	END};
static const struct cfg_group monitor_group = {
	"resource monitor", sizeof(struct raw_monitor), monitor_keys, none};

static const struct cfg_key level_keys[] = {
	KEY(raw_level, value, "value", .type = CFG_FRACTION, .flags = CFG_REQUIRED,
		.example = "0.95", .doc = "the pressure, 0 to 1, from which on it acts"),
	KEY(raw_level, clear, "clear", .type = CFG_FRACTION, .example = "0.85",
		.doc = "and below which it no longer does; without it, nine tenths of value"),
	END};
static const struct cfg_group level_group = {
	"threshold", sizeof(struct raw_level), level_keys, none};

static const struct cfg_key scaled_keys[] = {
	KEY(raw_scaled, from, "scaling_threshold", .type = CFG_FRACTION, .flags = CFG_REQUIRED,
		.example = "0.5", .doc = "the pressure above which it acts a little"),
	KEY(raw_scaled, to, "saturation_threshold", .type = CFG_FRACTION, .flags = CFG_REQUIRED,
		.example = "0.9", .doc = "and from which on it acts wholly"),
	END};
static const struct cfg_group scaled_group = {
	"scaled", sizeof(struct raw_scaled), scaled_keys, none};

static const struct cfg_key trigger_keys[] = {
	KEY(raw_trigger, name, "name", .type = CFG_NAME, .max = 128, .flags = CFG_REQUIRED,
		.example = "\"envoy.resource_monitors.cpu_utilization\"",
		.doc = "the resource monitor, one of those listed"),
	KEY(raw_trigger, level, "threshold", .type = CFG_GROUP, .group = &level_group,
		.example = "{ value = 0.95; }", .doc = "on and off"),
	KEY(raw_trigger, scaled, "scaled", .type = CFG_GROUP, .group = &scaled_group,
		.example = "{ scaling_threshold = 0.5; saturation_threshold = 0.9; }",
		.doc = "by degrees"),
	END};
static const struct cfg_group trigger_group = {
	"trigger", sizeof(struct raw_trigger), trigger_keys, none};

static const struct cfg_key timer_keys[] = {
	KEY(raw_timer, timer, "timer", .type = CFG_NAME, .flags = CFG_REQUIRED,
		.example = "\"HTTP_DOWNSTREAM_CONNECTION_IDLE\"",
		.doc = "HTTP_DOWNSTREAM_CONNECTION_IDLE: listeners' idle_timeout"),
	KEY(raw_timer, least, "min_timeout", .type = CFG_DURATION, .max = YEAR,
		.flags = CFG_REQUIRED, .example = "\"2s\"",
		.doc = "what it is reduced to when the action is wholly on"),
	END};
static const struct cfg_refused refused_timer[] = {{"min_scale", "min_timeout"}, {NULL}};
static const struct cfg_group timer_group = {
	"timer_scale_factors", sizeof(struct raw_timer), timer_keys, refused_timer};

static const struct cfg_key action_keys[] = {
	KEY(raw_overload_action, name, "name", .type = CFG_NAME, .max = 128, .flags = CFG_REQUIRED,
		.example = "\"envoy.overload_actions.stop_accepting_requests\"",
		.doc = "what is done: envoy.overload_actions.disable_http_keepalive, "
		       ".stop_accepting_requests, .stop_accepting_connections or "
		       ".reduce_timeouts"),
	KEY(raw_overload_action, triggers, "triggers", .type = CFG_GROUPS,
		.flags = CFG_REQUIRED | CFG_NOT_EMPTY, .group = &trigger_group,
		.example = "( { name = \"...\"; threshold: { value = 0.95; }; } )",
		.doc = "when; the strongest one counts"),
	KEY(raw_overload_action, timers, "timer_scale_factors", .type = CFG_GROUPS,
		.group = &timer_group,
		.example = "( { timer = \"HTTP_DOWNSTREAM_CONNECTION_IDLE\"; min_timeout = \"2s\"; "
			   "} )",
		.doc = "what is reduced (reduce_timeouts)"),
	END};
static const struct cfg_group action_group = {
	"overload action", sizeof(struct raw_overload_action), action_keys, none};

static const struct cfg_key point_keys[] = {
	KEY(raw_overload_action, name, "name", .type = CFG_NAME, .max = 128, .flags = CFG_REQUIRED,
		.example = "\"envoy.load_shed_points.http_connection_manager_decode_headers\"",
		.doc = "envoy.load_shed_points.http_connection_manager_decode_headers: requests, "
		       "by "
		       "chance; those of routes with priority HIGH are exempt"),
	KEY(raw_overload_action, triggers, "triggers", .type = CFG_GROUPS,
		.flags = CFG_REQUIRED | CFG_NOT_EMPTY | CFG_TOLD, .group = &trigger_group,
		.example = "( { name = \"...\"; scaled: { scaling_threshold = 0.5; "
			   "saturation_threshold = 0.9; }; } )",
		.doc = "when; the strongest one counts"),
	END};
static const struct cfg_group point_group = {
	"load shed point", sizeof(struct raw_overload_action), point_keys, none};

static const struct cfg_key overload_keys[] = {
	KEY(raw_overload, refresh, "refresh_interval", .type = CFG_DURATION, .min = SEC / 100,
		.max = 60 * SEC, .dflt = "100ms", .example = "\"100ms\"",
		.doc = "time between two looks at the monitors"),
	KEY(raw_overload, monitors, "resource_monitors", .type = CFG_GROUPS,
		.flags = CFG_REQUIRED | CFG_NOT_EMPTY, .group = &monitor_group,
		.example = "( { name = \"envoy.resource_monitors.cpu_utilization\"; } )",
		.doc = "what is watched"),
	KEY(raw_overload, actions, "actions", .type = CFG_GROUPS, .group = &action_group,
		.example = "( { name = \"...\"; triggers: ( ... ); } )", .doc = "what is done"),
	KEY(raw_overload, points, "loadshed_points", .type = CFG_GROUPS, .group = &point_group,
		.example = "( { name = \"...\"; triggers: ( ... ); } )", .doc = "and what refused"),
	END};
static const struct cfg_refused refused_overload[] = {{"buffer_factory_config"}, {NULL}};
const struct cfg_group cfg_overload = {
	"overload_manager", sizeof(struct raw_overload), overload_keys, refused_overload};

/* TG_MONITORS, TG_OVERLOADS: there is none. */
static uint32_t monitor_of(const char *name)
{
	uint32_t m = 0;

	while (name && m < TG_MONITORS && strcmp(tg_monitor_name(m), name) != 0)
		m++;
	return m;
}

static uint32_t action_of(const char *name)
{
	uint32_t a = 0;

	while (name && a < TG_OVERLOADS && strcmp(tg_overload_name(a), name) != 0)
		a++;
	return a;
}

static void check_monitor(struct cfg *c, const struct raw_monitor *m, bool seen[TG_MONITORS])
{
	uint32_t is = monitor_of(m->name);
	bool connections = cfg_given(&monitor_group, &m->h, "max_active_downstream_connections");

	if (!m->name)
		return;
	if (is == TG_MONITORS) {
		cfg_error(c, cfg_key_line(&m->h, "name"),
			"resource monitor \"%s\" is not supported; there are "
			"\"envoy.resource_monitors.fixed_heap\", "
			"\"envoy.resource_monitors.global_downstream_max_connections\", "
			"\"envoy.resource_monitors.cpu_utilization\" and "
			"\"tidegate.resource_monitors.queue_delay\"",
			m->name);
		return;
	}
	if (seen[is])
		cfg_error(c, cfg_line_of(m->h.at), "resource monitor \"%s\" stands here twice",
			m->name);
	seen[is] = true;
	if (connections != (is == TG_MONITOR_CONNECTIONS))
		cfg_error(c, cfg_line_of(m->h.at), "resource monitor \"%s\" %s", m->name,
			connections ? "takes no \"max_active_downstream_connections\""
				    : "needs \"max_active_downstream_connections\"");
	if (is != TG_MONITOR_DELAY && cfg_given(&monitor_group, &m->h, "max_delay"))
		cfg_error(c, cfg_key_line(&m->h, "max_delay"),
			"resource monitor \"%s\" takes no \"max_delay\"", m->name);
}

static void check_trigger(struct cfg *c, const struct raw_trigger *t, const char *who,
	const bool watched[TG_MONITORS], bool whole)
{
	uint32_t m = monitor_of(t->name);

	if (t->name && whole && (m == TG_MONITORS || !watched[m]))
		cfg_error(c, cfg_key_line(&t->h, "name"),
			"%s: trigger \"%s\" is none of the \"resource_monitors\" listed", who,
			t->name);
	if (!t->level.h.at == !t->scaled.h.at)
		cfg_error(c, cfg_line_of(t->h.at),
			"%s: a trigger has either \"threshold\" or \"scaled\"", who);
	if (t->level.h.at && cfg_given(&level_group, &t->level.h, "clear") &&
		t->level.clear > t->level.value)
		cfg_error(c, cfg_key_line(&t->level.h, "clear"),
			"%s: threshold: \"clear\" is above \"value\": it would never rest", who);
	if (t->scaled.h.at && t->scaled.h.given && t->scaled.from >= t->scaled.to)
		cfg_error(c, cfg_line_of(t->scaled.h.at),
			"%s: scaled: \"saturation_threshold\" has to be above "
			"\"scaling_threshold\"",
			who);
}

static void check_timers(struct cfg *c, const struct raw_overload_action *a, uint32_t is)
{
	for (uint32_t i = 0; i < a->timers.n; i++) {
		const struct raw_timer *t = &cfg_items(&a->timers, raw_timer)[i];

		if (t->timer && strcmp(t->timer, "HTTP_DOWNSTREAM_CONNECTION_IDLE") != 0)
			cfg_error(c, cfg_key_line(&t->h, "timer"),
				"timer_scale_factors: \"%s\" is not supported; there is "
				"\"HTTP_DOWNSTREAM_CONNECTION_IDLE\"",
				t->timer);
	}
	if (a->name && is < TG_OVERLOADS &&
		(is == TG_OVERLOAD_REDUCE_TIMEOUTS) != (a->timers.n == 1))
		cfg_error(c, cfg_line_of(a->h.at), "overload action \"%s\" %s", a->name,
			is == TG_OVERLOAD_REDUCE_TIMEOUTS
				? "needs \"timer_scale_factors\" with one timer"
				: "takes no \"timer_scale_factors\"");
}

static void check_action(struct cfg *c, const struct raw_overload_action *a, bool point,
	const bool watched[TG_MONITORS], bool whole, bool seen[TG_OVERLOADS])
{
	const char *what = point ? "load shed point" : "overload action";
	uint32_t is = action_of(a->name);

	if (a->name && (is == TG_OVERLOADS || (is == TG_OVERLOAD_SHED_REQUESTS) != point)) {
		cfg_error(c, cfg_key_line(&a->h, "name"), "%s \"%s\" is not supported; %s", what,
			a->name,
			point ? "there is "
				"\"envoy.load_shed_points.http_connection_manager_decode_headers\""
			      : "there are \"envoy.overload_actions.disable_http_keepalive\", "
				"\"envoy.overload_actions.stop_accepting_requests\", "
				"\"envoy.overload_actions.stop_accepting_connections\" and "
				"\"envoy.overload_actions.reduce_timeouts\"");
	} else if (a->name) {
		if (seen[is])
			cfg_error(c, cfg_line_of(a->h.at), "%s \"%s\" stands here twice", what,
				a->name);
		seen[is] = true;
	}
	check_timers(c, a, is);
	for (uint32_t i = 0; i < a->triggers.n; i++)
		check_trigger(c, &cfg_items(&a->triggers, raw_trigger)[i], what, watched, whole);
}

void cfg_check_overload(struct cfg *c, const struct raw_overload *o)
{
	bool watched[TG_MONITORS] = {false}, seen[TG_OVERLOADS] = {false};

	if (!o->h.at)
		return;
	for (uint32_t i = 0; i < o->monitors.n; i++)
		check_monitor(c, &cfg_items(&o->monitors, raw_monitor)[i], watched);
	for (uint32_t i = 0; i < o->actions.n; i++)
		check_action(c, &cfg_items(&o->actions, raw_overload_action)[i], false, watched,
			o->monitors.whole, seen);
	for (uint32_t i = 0; i < o->points.n; i++)
		check_action(c, &cfg_items(&o->points, raw_overload_action)[i], true, watched,
			o->monitors.whole, seen);
	if (!o->h.meant && !o->actions.at && !o->points.at)
		cfg_error(c, cfg_line_of(o->h.at),
			"overload_manager: nothing is done: give \"actions\" or "
			"\"loadshed_points\"");
}

static void compile_action(const struct raw_overload_action *a, struct tg_overload_conf *out)
{
	uint32_t is = action_of(a->name);

	for (uint32_t i = 0; i < a->triggers.n; i++) {
		const struct raw_trigger *t = &cfg_items(&a->triggers, raw_trigger)[i];
		struct tg_overload_trigger *to = &out->trigger[is][monitor_of(t->name)];

		to->given = true;
		to->scaled = t->scaled.h.at;
		to->from = to->scaled ? t->scaled.from : t->level.value;
		to->to = to->scaled                                      ? t->scaled.to
			 : cfg_given(&level_group, &t->level.h, "clear") ? t->level.clear
									 : t->level.value / 10 * 9;
	}
	if (a->timers.n)
		out->idle_timeout_least = cfg_items(&a->timers, raw_timer)[0].least;
}

bool cfg_compile_overload(
	struct cfg *c, const struct raw_overload *o, const struct tg_overload_conf **out)
{
	struct tg_overload_conf *conf;

	if (!o->h.at)
		return true;
	conf = cfg_need(c, c->keep, sizeof(*conf));
	if (!conf)
		return false;
	conf->refresh = o->refresh;
	for (uint32_t i = 0; i < o->monitors.n; i++) {
		const struct raw_monitor *m = &cfg_items(&o->monitors, raw_monitor)[i];

		conf->watched[monitor_of(m->name)] = true;
		if (monitor_of(m->name) == TG_MONITOR_CONNECTIONS)
			conf->max_connections = m->max_connections;
		if (monitor_of(m->name) == TG_MONITOR_DELAY)
			conf->max_delay = m->max_delay;
	}
	for (uint32_t i = 0; i < o->actions.n; i++)
		compile_action(&cfg_items(&o->actions, raw_overload_action)[i], conf);
	for (uint32_t i = 0; i < o->points.n; i++)
		compile_action(&cfg_items(&o->points, raw_overload_action)[i], conf);
	*out = conf;
	return true;
}
