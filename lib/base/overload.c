#include <string.h>

#include <tidegate/overload.h>

const char *tg_monitor_name(enum tg_monitor m)
{
	static const char *const names[] = {
#define X(id, name, text) name,
		TG_MONITOR_LIST(X)
#undef X
	};

	return names[m];
}

const char *tg_overload_name(enum tg_overload_action a)
{
	static const char *const names[] = {
#define X(id, name, text) name,
		TG_OVERLOAD_LIST(X)
#undef X
	};

	return names[a];
}

uint32_t tg_pressure_of(uint64_t used, uint64_t all)
{
	if (!all)
		return 0;
	return used >= all ? TG_OVERLOAD_WHOLE
			   : (uint32_t)((unsigned __int128)used * TG_OVERLOAD_WHOLE / all);
}

static uint32_t state_of(const struct tg_overload_trigger *t, uint32_t pressure, bool *on)
{
	if (!t->given)
		return 0;
	if (!t->scaled) {
		*on = pressure >= (*on ? t->to : t->from);
		return *on ? TG_OVERLOAD_WHOLE : 0;
	}
	if (pressure <= t->from)
		return 0;
	return tg_pressure_of(pressure - t->from, t->to - t->from);
}

uint32_t tg_overload_look(struct tg_overload *o, const struct tg_overload_conf *c,
	const uint32_t pressure[TG_MONITORS])
{
	uint32_t bits = 0;

	if (!c) {
		memset(o, 0, sizeof(*o));
		return 0;
	}
	for (uint32_t a = 0; a < TG_OVERLOADS; a++) {
		o->state[a] = 0;
		for (uint32_t m = 0; m < TG_MONITORS; m++) {
			uint32_t s = state_of(&c->trigger[a][m], pressure[m], &o->on[a][m]);

			if (s > o->state[a])
				o->state[a] = s;
		}
		/* Two act by degrees; the others only when they are wholly on, as Envoy's. */
		if (o->state[a] == TG_OVERLOAD_WHOLE ||
			(o->state[a] && (a == TG_OVERLOAD_REDUCE_TIMEOUTS ||
						a == TG_OVERLOAD_SHED_REQUESTS)))
			bits |= 1u << a;
	}
	return bits;
}
