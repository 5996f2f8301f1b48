#include <tidegate/edit.h>

static void remove_all(struct tg_msg *m, struct tg_view name)
{
	struct tg_field *f = NULL;

	while ((f = tg_msg_find_name(m, name, f)))
		f->removed = true;
}

#define OTHERS 8 /* fields that are added behind the edits, by whoever frames the message */

/* Room for one more field, and for those. */
static bool make_room(struct tg_msg *m, struct tg_arena *a)
{
	uint32_t cap = m->field_cap + 32u;
	struct tg_field *fields;

	if (m->n_fields + OTHERS < m->field_cap)
		return true;
	fields = cap <= UINT16_MAX ? tg_arena_alloc(a, cap * (uint32_t)sizeof(*fields)) : NULL;
	if (!fields)
		return false;
	memcpy(fields, m->fields, m->n_fields * sizeof(*fields));
	m->fields = fields;
	m->field_cap = (uint16_t)cap;
	return true;
}

#define PIECES_MAX 32 /* lib/config allows no more */

static bool value_of(const struct tg_field_add *add, struct tg_arena *a, tg_piece_fn *fn, void *ctx,
	struct tg_view *out)
{
	struct tg_view v[PIECES_MAX];
	uint64_t n = 0;
	uint8_t *t;

	for (uint32_t i = 0; i < add->n; i++) {
		const struct tg_piece *p = &add->pieces[i];

		v[i] = p->text;
		if (p->kind != TG_PIECE_TEXT && !fn(ctx, p, &v[i]))
			return false;
		if (p->max && v[i].n > p->max)
			v[i].n = p->max;
		n += v[i].n;
	}
	if (add->n == 1) {
		*out = v[0];
		return true;
	}
	t = n <= UINT32_MAX ? tg_arena_alloc(a, (uint32_t)n) : NULL;
	*out = tg_view_of(t, (size_t)n);
	if (!t)
		return false;
	for (uint32_t i = 0; i < add->n; i++) {
		if (v[i].n)
			memcpy(t, v[i].p, v[i].n);
		t += v[i].n;
	}
	return true;
}

static bool add_field(const struct tg_field_add *add, struct tg_msg *m, struct tg_arena *a,
	tg_piece_fn *fn, void *ctx)
{
	bool there = tg_msg_find_name(m, add->name, NULL) != NULL;
	struct tg_view value;

	if ((add->append == TG_ADD_IF_ABSENT && there) ||
		(add->append == TG_OVERWRITE_IF_EXISTS && !there))
		return true;
	if (!value_of(add, a, fn, ctx, &value))
		return false;
	if (!value.n && !add->keep_empty)
		return true;
	if (add->append == TG_OVERWRITE_IF_EXISTS_OR_ADD || add->append == TG_OVERWRITE_IF_EXISTS)
		remove_all(m, add->name);
	return make_room(m, a) && tg_msg_add(m, (enum tg_field_id)add->id, add->name, value) == 0;
}

bool tg_edit(
	const struct tg_edits *e, struct tg_msg *m, struct tg_arena *a, tg_piece_fn *fn, void *ctx)
{
	for (uint32_t i = 0; i < e->n_remove; i++)
		remove_all(m, e->remove[i]);
	for (uint32_t i = 0; i < e->n_add; i++)
		if (!add_field(&e->add[i], m, a, fn, ctx))
			return false;
	return true;
}
