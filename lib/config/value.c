#include <inttypes.h>
#include <string.h>

#include "cfg.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
	{"ns", UINT64_C(1)},
	{"us", UINT64_C(1000)},
	{"ms", UINT64_C(1000000)},
	{"s", UINT64_C(1000000000)},
	{"m", UINT64_C(60000000000)},
	{"h", UINT64_C(3600000000000)},
	{"d", UINT64_C(86400000000000)},
};
static const struct unit sizes[] = {
	{"B", UINT64_C(1)},
	{"KiB", UINT64_C(1) << 10},
	{"MiB", UINT64_C(1) << 20},
	{"GiB", UINT64_C(1) << 30},
	{"TiB", UINT64_C(1) << 40},
};

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A decimal number, a unit and nothing else: "1.5s". The result is exact or refused. */
static int parse(const char *s, const struct unit *units, size_t n, uint64_t *out)
{
	uint64_t v = 0, scale = 1, factor = 0;
	bool fraction = false;

	if (!digit(*s))
		return TG_EINVAL;
	for (; digit(*s) || (*s == '.' && !fraction && digit(s[1])); s++) {
		if (*s == '.') {
			fraction = true;
			continue;
		}
		if (__builtin_mul_overflow(v, 10, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return TG_ERANGE;
		if (fraction && __builtin_mul_overflow(scale, 10, &scale))
			return TG_ERANGE;
	}
	for (size_t i = 0; i < n; i++)
		if (strcmp(s, units[i].name) == 0)
			factor = units[i].factor;
	if (!factor)
		return TG_EINVAL;
	if (__builtin_mul_overflow(v, factor, &v) || v % scale)
		return TG_ERANGE;
	v /= scale;
	if (v > INT64_MAX)
		return TG_ERANGE;
	*out = v;
	return 0;
}

/* In the largest unit that gives a whole number. */
static void format(uint64_t v, const struct unit *units, size_t n, const char *base, char out[32])
{
	while (n > 1 && (v == 0 || v % units[n - 1].factor))
		n--;
	if (v == 0)
		snprintf(out, 32, "0%s", base);
	else
		snprintf(out, 32, "%" PRIu64 "%s", v / units[n - 1].factor, units[n - 1].name);
}

int cfg_parse_duration(const char *s, uint64_t *ns)
{
	return parse(s, durations, TG_ARRAY_LEN(durations), ns);
}

int cfg_parse_size(const char *s, uint64_t *bytes)
{
	return parse(s, sizes, TG_ARRAY_LEN(sizes), bytes);
}

void cfg_format_duration(uint64_t ns, char out[static 32])
{
	format(ns, durations, TG_ARRAY_LEN(durations), "s", out);
}

void cfg_format_size(uint64_t bytes, char out[static 32])
{
	format(bytes, sizes, TG_ARRAY_LEN(sizes), "", out);
}
