/* msg.c: looking into and editing a message head. */
#include <tidegate/err.h>

#include "fields.h"
#include "names.h"

_Static_assert(TG_FIELD_MAX <= 64, "a set of ids is a word");

struct tg_field *tg_msg_find(const struct tg_msg *m, enum tg_field_id id)
{
	if (m->absent >> id & 1)
		return NULL;
	for (uint32_t i = 0; i < m->n_fields; i++)
		if (m->fields[i].id == id && !m->fields[i].removed)
			return &m->fields[i];
	return NULL;
}

struct tg_field *tg_msg_find_name(
	const struct tg_msg *m, struct tg_view name, const struct tg_field *after)
{
	for (uint32_t i = after ? (uint32_t)(after - m->fields) + 1 : 0; i < m->n_fields; i++)
		if (!m->fields[i].removed && tg_view_eq_nocase(m->fields[i].name, name))
			return &m->fields[i];
	return NULL;
}

int tg_msg_add(struct tg_msg *m, enum tg_field_id id, struct tg_view name, struct tg_view value)
{
	if (m->n_fields >= m->field_cap)
		return TG_ENOMEM;
	m->absent &= ~(UINT64_C(1) << id);
	m->fields[m->n_fields++] =
		(struct tg_field){.name = name, .value = value, .id = (uint16_t)id};
	return 0;
}

/* All with an id of the set. */
static uint32_t remove_ids(struct tg_msg *m, uint64_t set)
{
	uint32_t n = 0;

	if (!(set & ~m->absent))
		return 0;
	m->absent |= set;
	for (uint32_t i = 0; i < m->n_fields; i++) {
		struct tg_field *f = &m->fields[i];
		bool gone = (set >> f->id & 1) > f->removed;

		f->removed |= gone;
		n += gone;
	}
	return n;
}

uint32_t tg_msg_remove(struct tg_msg *m, enum tg_field_id id)
{
	return remove_ids(m, UINT64_C(1) << id);
}

static void remove_named(struct tg_msg *m, struct tg_view name)
{
	struct tg_field *f = NULL;

	while ((f = tg_msg_find_name(m, name, f)))
		f->removed = true;
}

/* The parser has refused such messages already; this holds for heads that came another way, too. */
static bool may_remove_all(const struct tg_msg *m)
{
	struct tg_view rest, e;
	uint32_t options = 0;

	for (uint32_t i = 0; i < m->n_fields; i++) {
		const struct tg_field *f = &m->fields[i];

		if (f->id != TG_FIELD_CONNECTION || f->removed)
			continue;
		for (rest = f->value; tg_list_next(&rest, &e);)
			if (e.n && (!tg_is_token(e) || tg_field_is_end_to_end(e) ||
					   ++options > TG_CONNECTION_OPTIONS_MAX))
				return false;
	}
	return true;
}

/* Every field that Connection names. */
static void remove_options(struct tg_msg *m)
{
	struct tg_view rest, e;

	for (uint32_t i = 0; i < m->n_fields; i++) {
		const struct tg_field *f = &m->fields[i];

		if (f->id != TG_FIELD_CONNECTION || f->removed)
			continue;
		for (rest = f->value; tg_list_next(&rest, &e);)
			if (e.n && tg_field_id_of(e) != TG_FIELD_CONNECTION)
				remove_named(m, e);
	}
}

bool tg_msg_remove_hop_by_hop(struct tg_msg *m)
{
	static const uint32_t always = 1u << TG_FIELD_CONNECTION | 1u << TG_FIELD_KEEP_ALIVE |
				       1u << TG_FIELD_PROXY_CONNECTION | 1u << TG_FIELD_TE |
				       1u << TG_FIELD_TRANSFER_ENCODING | 1u << TG_FIELD_UPGRADE |
				       1u << TG_FIELD_HTTP2_SETTINGS;

	if (tg_msg_find(m, TG_FIELD_CONNECTION)) {
		if (!may_remove_all(m))
			return false;
		remove_options(m);
	}
	remove_ids(m, always);
	return true;
}
