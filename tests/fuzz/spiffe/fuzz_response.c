/* What an agent may send: messages of both calls, and bytes of the connection. The first byte of
 * the input says which. */
#include <stdlib.h>

#include <tidegate/spiffe.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void look(struct tg_view v)
{
	for (uint32_t i = 0; i < v.n; i++)
		if (v.p[i] > 0xff)
			abort(); /* reads each byte, for the sanitizer */
}

static void look_at(const struct tg_spiffe_update *u, enum tg_spiffe_call call)
{
	if (call == TG_SPIFFE_SVIDS && u->n_svids == 0)
		abort();
	for (uint32_t i = 0; i < u->n_svids; i++) {
		const struct tg_spiffe_svid *s = &u->svids[i];

		if (!s->spiffe_id.n || !s->chain.n || !s->key.n || !s->bundle.n)
			abort();
		look(s->spiffe_id);
		look(s->hint);
		look(s->chain);
		look(s->key);
		look(s->bundle);
	}
	for (uint32_t i = 0; i < u->n_bundles; i++) {
		look(u->bundles[i].trust_domain);
		look(u->bundles[i].certs);
	}
	for (uint32_t i = 0; i < u->n_crls; i++)
		look(u->crls[i]);
}

static void on_update(void *arg, enum tg_spiffe_call call, const struct tg_spiffe_update *u)
{
	look_at(u, call);
}

static void on_end(void *arg, enum tg_spiffe_call call, int status, const char *text)
{
	uint32_t *ended = arg;

	if (*ended & 1u << call)
		abort(); /* a call ends once */
	*ended |= 1u << call;
	look(tg_view_str(text));
}

static void converse(const uint8_t *p, size_t n)
{
	static const struct tg_spiffe_events events = {on_update, on_end};
	uint32_t ended = 0;
	struct tg_spiffe *s = tg_spiffe_open(3, &events, &ended);
	struct tg_errbuf e;
	struct tg_view v;
	int rc = 0;

	while (s && n && !rc) {
		size_t some = 1 + p[0] % 64;

		while (tg_spiffe_pull(s, &v) == 0 && v.n)
			look(v);
		some = some < n ? some : n;
		rc = tg_spiffe_feed(s, p, some, &e);
		p += some;
		n -= some;
	}
	tg_spiffe_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	enum tg_spiffe_call call;
	struct tg_spiffe_update *u;
	struct tg_errbuf e;

	if (n == 0)
		return 0;
	if (p[0] % 3 == 2) {
		converse(p + 1, n - 1);
		return 0;
	}
	call = (enum tg_spiffe_call)(p[0] % 3);
	if (tg_spiffe_decode(call, tg_view_of(p + 1, n - 1), &u, &e) == 0) {
		look_at(u, call);
		tg_spiffe_update_free(u);
	}
	return 0;
}
