/* names.c: names of methods, fields and refusals. */
#include <tidegate/http1.h>

#include "names.h"

static const struct tg_view methods[] = {
	[TG_GET] = {(const uint8_t *)"GET", 3},
	[TG_HEAD] = {(const uint8_t *)"HEAD", 4},
	[TG_POST] = {(const uint8_t *)"POST", 4},
	[TG_PUT] = {(const uint8_t *)"PUT", 3},
	[TG_DELETE] = {(const uint8_t *)"DELETE", 6},
	[TG_CONNECT] = {(const uint8_t *)"CONNECT", 7},
	[TG_OPTIONS] = {(const uint8_t *)"OPTIONS", 7},
	[TG_TRACE] = {(const uint8_t *)"TRACE", 5},
	[TG_PATCH] = {(const uint8_t *)"PATCH", 5},
	[TG_METHOD_OTHER] = {(const uint8_t *)"", 0},
};

static const struct tg_view fields[TG_FIELD_MAX] = {
#define X(id, name) [TG_FIELD_##id] = {(const uint8_t *)(name), sizeof(name) - 1},
	TG_FIELD_LIST(X)
#undef X
};

static const struct {
	uint16_t status;
	const char *name;
} refusals[TG_H1_REFUSAL_MAX] = {[TG_H1_OK] = {200, "ok"},
#define X(id, status, text) [TG_H1_##id] = {status, text},
	TG_H1_REFUSALS(X)
#undef X
};

struct tg_view tg_method_name(enum tg_method m)
{
	return (unsigned int)m < TG_ARRAY_LEN(methods) ? methods[m] : methods[TG_METHOD_OTHER];
}

/* Methods are case-sensitive (RFC 9110 section 9.1). */
enum tg_method tg_method_of(struct tg_view name)
{
	if (name.n == 3 && !memcmp(name.p, "GET", 3))
		return TG_GET;
	for (uint32_t i = TG_HEAD; i < TG_METHOD_OTHER; i++)
		if (methods[i].n == name.n && !memcmp(methods[i].p, name.p, name.n))
			return (enum tg_method)i;
	return TG_METHOD_OTHER;
}

struct tg_view tg_field_name(enum tg_field_id id)
{
	return (unsigned int)id < TG_FIELD_MAX ? fields[id] : TG_VIEW_NONE;
}

enum tg_field_id tg_field_id_of(struct tg_view name)
{
	enum tg_field_id id = tg_field_id_of_token(name);

	return id && tg_view_eq_nocase(name, fields[id]) ? id : TG_FIELD_UNKNOWN;
}

uint16_t tg_h1_status(enum tg_h1_refusal r)
{
	return (unsigned int)r < TG_H1_REFUSAL_MAX ? refusals[r].status : 400;
}

const char *tg_h1_refusal_name(enum tg_h1_refusal r)
{
	return (unsigned int)r < TG_H1_REFUSAL_MAX ? refusals[r].name : "unknown";
}
