#include <stdlib.h>

#include <openssl/err.h>

#include "internal.h"

/* --- sets ---------------------------------------------------------------------------------------
 */

static void free_set(struct tg_tls_set *s)
{
	for (uint32_t i = 0; s->ctx && i < s->n; i++)
		tg_ctx_drop(s->ctx[i]);
	tg_ticket_wipe(&s->keys);
	free(s->ctx);
	free(s->users);
	free(s);
}

static struct tg_tls_set *new_set(struct tg_tls_store *st, uint32_t n)
{
	struct tg_tls_set *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->store = st;
	s->n = n;
	s->ctx = calloc(n + 1u, sizeof(struct tg_tls_ctx *));
	s->users = calloc(st->workers, sizeof(*s->users));
	if (s->ctx && s->users)
		return s;
	free_set(s);
	return NULL;
}

/* Sets that no worker uses, and none can adopt any more because all have gone past them. */
static void reap(struct tg_tls_store *st)
{
	uint64_t oldest = UINT64_MAX;

	for (uint32_t w = 0; w < st->workers; w++) {
		uint64_t gen = atomic_load_explicit(&st->adopted[w], memory_order_acquire);

		if (gen < oldest)
			oldest = gen;
	}
	for (struct tg_tls_set **at = &st->sets, *s; (s = *at);) {
		if (s != st->current && s->gen < oldest &&
			atomic_load_explicit(&s->refs, memory_order_acquire) == 0) {
			*at = s->next;
			free_set(s);
		} else {
			at = &s->next;
		}
	}
}

static void make_current(struct tg_tls_store *st, struct tg_tls_set *s)
{
	s->gen = ++st->last_gen;
	s->keys = st->keys;
	s->next = st->sets;
	st->sets = s;
	st->current = s;
	reap(st);
}

/* --- making a set -------------------------------------------------------------------------------
 */

static struct tg_tls_ctx *find_ctx(const struct tg_tls_set *s, const uint8_t digest[TG_DIGEST])
{
	for (uint32_t i = 0; s && i < s->n; i++)
		if (s->ctx[i] && memcmp(s->ctx[i]->digest, digest, TG_DIGEST) == 0)
			return s->ctx[i];
	return NULL;
}

/* The context for conf: one that there is (in s, which is being made, or in the current set), or a
 * new one. */
static struct tg_tls_ctx *ctx_for(struct tg_tls_store *st, const struct tg_tls_set *s,
	const struct tg_tls_conf *conf, int64_t now, struct tg_complaints *c)
{
	struct tg_material *m = tg_material_read(conf, st->said, c);
	struct tg_tls_ctx *x;

	if (!m)
		return NULL;
	x = find_ctx(s, m->digest);
	if (!x)
		x = find_ctx(st->current, m->digest);
	if (x)
		x->refs++;
	else
		x = tg_ctx_create(conf, m, st->libs, st->workers, now, c);
	tg_material_free(m);
	return x;
}

/* What is in use for configuration i, of which another could not be made. */
static struct tg_tls_ctx *keep_ctx(const struct tg_tls_store *st, uint32_t i)
{
	struct tg_tls_ctx *x = st->current && i < st->current->n ? st->current->ctx[i] : NULL;

	if (x)
		x->refs++;
	return x;
}

/* again: confs are those of the current set, and what cannot be made anew stays as it is. */
static struct tg_tls_set *make_set(struct tg_tls_store *st, const struct tg_tls_conf *const *confs,
	uint32_t n, bool again, int64_t now, struct tg_complaints *c)
{
	struct tg_tls_set *s = new_set(st, n);

	if (!s) {
		tg_complain(c, "no memory left");
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t before = c->n;

		if (confs[i])
			s->ctx[i] = ctx_for(st, s, confs[i], now, c);
		if (c->n != before && again)
			s->ctx[i] = keep_ctx(st, i);
		else if (c->n != before && confs[i]->workload_api && confs[i]->n_pairs == 0)
			c->n = before; /* no mistake of whoever wrote the configuration */
	}
	if (c->n == 0 || again)
		return s;
	free_set(s);
	return NULL;
}

/* --- configurations kept ------------------------------------------------------------------------
 */

static void free_confs(struct tg_tls_conf **confs, uint32_t n)
{
	for (uint32_t i = 0; confs && i < n; i++)
		free(confs[i]);
	free(confs);
}

static struct tg_tls_conf **copy_confs(const struct tg_tls_conf *const *confs, uint32_t n)
{
	struct tg_tls_conf **to = calloc(n + 1u, sizeof(*to));

	for (uint32_t i = 0; to && i < n; i++)
		if (confs[i] && !(to[i] = tg_conf_copy(confs[i]))) {
			free_confs(to, n);
			return NULL;
		}
	return to;
}

/* --- interface ----------------------------------------------------------------------------------
 */

struct tg_tls_store *tg_tls_store_create(uint32_t workers, struct tg_errbuf *e)
{
	struct tg_tls_store *st = calloc(1, sizeof(*st));

	if (!st)
		goto fail;
	st->workers = workers;
	st->libs = calloc(workers, sizeof(*st->libs));
	st->adopted = calloc(workers, sizeof(*st->adopted));
	if (!st->libs || !st->adopted)
		goto fail;
	for (uint32_t w = 0; w < workers; w++)
		if (!tg_lib_open(&st->libs[w]))
			goto fail;
	return st;
fail:
	tg_fail(e, TG_ENOMEM, "OpenSSL's library contexts cannot be made: %s", tg_ssl_reason());
	tg_tls_store_destroy(st);
	return NULL;
}

void tg_tls_store_destroy(struct tg_tls_store *st)
{
	if (!st)
		return;
	for (struct tg_tls_set *s = st->sets, *next; s; s = next) {
		next = s->next;
		free_set(s);
	}
	free_confs(st->confs, st->n);
	for (int i = 0; i < TG_TLS_SOURCES; i++)
		tg_workload_free(st->said[i]);
	for (uint32_t w = 0; st->libs && w < st->workers; w++)
		tg_lib_close(&st->libs[w]);
	free(st->libs);
	free(st->adopted);
	tg_ticket_wipe(&st->keys);
	free(st);
}

int tg_tls_store_load(struct tg_tls_store *st, const struct tg_tls_conf *const *confs, uint32_t n,
	int64_t now, tg_tls_complain *complain, void *arg)
{
	struct tg_complaints c = {complain, arg, 0};
	struct tg_tls_conf **copies = copy_confs(confs, n);
	struct tg_tls_set *s = copies ? make_set(st, confs, n, false, now, &c) : NULL;

	if (s && st->keys.n == 0 && !tg_ticket_rotate(&st->keys, now)) {
		tg_complain(&c, "no random key for tickets: %s", tg_ssl_reason());
		free_set(s);
		s = NULL;
	}
	if (!s) {
		free_confs(copies, n);
		return c.n ? TG_EINVAL : TG_ENOMEM;
	}
	free_confs(st->confs, st->n);
	st->confs = copies;
	st->n = n;
	make_current(st, s);
	return 0;
}

int tg_tls_store_check(const struct tg_tls_conf *const *confs, uint32_t n, int64_t now,
	tg_tls_complain *complain, void *arg)
{
	struct tg_errbuf e;
	struct tg_tls_store *st = tg_tls_store_create(1, &e);
	int r = TG_ENOMEM;

	if (st)
		r = tg_tls_store_load(st, confs, n, now, complain, arg);
	tg_tls_store_destroy(st);
	return r;
}

/* Makes the set anew of what there is now. Returns as refresh. */
static int remake(struct tg_tls_store *st, int64_t now, struct tg_complaints *c)
{
	bool changed = false;
	struct tg_tls_set *s;

	if (!st->current)
		return 0;
	s = make_set(st, (const struct tg_tls_conf *const *)st->confs, st->n, true, now, c);
	if (!s)
		return TG_ENOMEM;
	for (uint32_t i = 0; i < s->n; i++)
		changed |= s->ctx[i] != st->current->ctx[i];
	if (changed)
		make_current(st, s);
	else
		free_set(s);
	return changed ? 1 : c->n ? TG_EINVAL : 0;
}

int tg_tls_store_refresh(struct tg_tls_store *st, int64_t now, tg_tls_complain *complain, void *arg)
{
	struct tg_complaints c = {complain, arg, 0};

	return remake(st, now, &c);
}

static void miss_svids(const struct tg_tls_store *st, struct tg_complaints *c)
{
	const struct tg_workload *w = st->said[TG_TLS_SVIDS];

	for (uint32_t i = 0; w && i < st->n; i++) {
		const struct tg_tls_conf *f = st->confs[i];

		if (f && f->workload_api && !f->n_pairs && !tg_workload_find(w, f->svid))
			tg_complain(c, "the agent gives us no SVID \"%s\"", f->svid);
	}
}

int tg_tls_store_workload(struct tg_tls_store *st, enum tg_tls_source source,
	const struct tg_tls_workload *w, int64_t now, tg_tls_complain *complain, void *arg)
{
	struct tg_complaints c = {complain, arg, 0};
	struct tg_workload *said = NULL;

	if (w && !(said = tg_workload_create(w, &st->libs[0], now, &c)))
		return TG_EINVAL;
	tg_workload_free(st->said[source]);
	st->said[source] = said;
	miss_svids(st, &(struct tg_complaints){complain, arg, 0});
	return remake(st, now, &c);
}

bool tg_tls_store_tick(struct tg_tls_store *st, int64_t now)
{
	struct tg_tls_set *s;

	reap(st);
	if (!st->current || now - st->keys.key[0].made < TG_TICKET_ROTATE)
		return false;
	s = new_set(st, st->current->n);
	if (!s || !tg_ticket_rotate(&st->keys, now)) {
		if (s)
			free_set(s);
		ERR_clear_error();
		return false; /* the old keys go on; the next tick tries again */
	}
	for (uint32_t i = 0; i < s->n; i++)
		if ((s->ctx[i] = st->current->ctx[i]))
			s->ctx[i]->refs++;
	make_current(st, s);
	return true;
}

struct tg_tls_set *tg_tls_store_current(struct tg_tls_store *st)
{
	return st->current;
}

bool tg_tls_set_usable(const struct tg_tls_set *s, uint32_t conf_id)
{
	return conf_id < s->n && s->ctx[conf_id];
}

void tg_tls_set_certs(
	const struct tg_tls_set *s, void (*each)(void *arg, const struct tg_tls_cert *c), void *arg)
{
	for (uint32_t i = 0; i < s->n; i++)
		for (uint32_t j = 0; s->ctx[i] && j < s->ctx[i]->n_certs; j++) {
			struct tg_tls_cert c = s->ctx[i]->certs[j].pub;

			c.conf_id = i; /* equal configurations share a context */
			each(arg, &c);
		}
}

void tg_tls_store_files(const struct tg_tls_store *st,
	void (*each)(void *arg, const char *path, bool secret), void *arg)
{
	for (uint32_t i = 0; i < st->n; i++)
		if (st->confs[i])
			tg_material_files(st->confs[i], each, arg);
}
