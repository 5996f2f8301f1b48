#include "direct.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "provider.h"

void (*tg_dispatch_find(const OSSL_DISPATCH *d, int id))(void)
{
	for (; d && d->function_id; d++)
		if (d->function_id == id)
			return d->function;
	return NULL;
}

/* name: how an algorithm's names begin. */
static const OSSL_DISPATCH *functions_of(const OSSL_PROVIDER *base, int op, const char *name)
{
	int no_cache;
	const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(base, op, &no_cache);

	for (; a && a->algorithm_names; a++)
		if (strncmp(a->algorithm_names, name, strlen(name)) == 0)
			return a->implementation;
	return NULL;
}

#define FIND(to, d, id, name) \
	((to) = (OSSL_FUNC_##name##_fn *)tg_dispatch_find(d, OSSL_FUNC_##id)) /* NULL: not there \
									       */

static bool find_keys(struct tg_direct_keys *k, const OSSL_PROVIDER *base, const char *name)
{
	const OSSL_DISPATCH *d = functions_of(base, OSSL_OP_KEYMGMT, name);

	return FIND(k->make, d, KEYMGMT_NEW, keymgmt_new) &&
	       FIND(k->free, d, KEYMGMT_FREE, keymgmt_free) &&
	       FIND(k->import, d, KEYMGMT_IMPORT, keymgmt_import) &&
	       FIND(k->dup, d, KEYMGMT_DUP, keymgmt_dup) &&
	       FIND(k->set_params, d, KEYMGMT_SET_PARAMS, keymgmt_set_params) &&
	       FIND(k->get_params, d, KEYMGMT_GET_PARAMS, keymgmt_get_params) &&
	       FIND(k->gen_init, d, KEYMGMT_GEN_INIT, keymgmt_gen_init) &&
	       FIND(k->gen, d, KEYMGMT_GEN, keymgmt_gen) &&
	       FIND(k->gen_cleanup, d, KEYMGMT_GEN_CLEANUP, keymgmt_gen_cleanup);
}

/* --- P-256 --------------------------------------------------------------------------------------
 */

static void close_verifier(const struct tg_direct *d, struct tg_p256 *v)
{
	if (v && v->ctx)
		d->p256.free(v->ctx);
	if (v && v->key)
		d->p256.keys.free(v->key);
	free(v);
}

static struct tg_p256 *open_verifier(const struct tg_direct *d)
{
	struct tg_p256 *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->key = d->p256.keys.dup(d->p256.curve, OSSL_KEYMGMT_SELECT_ALL_PARAMETERS);
	v->ctx = v->key ? d->p256.make(d->provider, NULL) : NULL;
	if (v->ctx && d->p256.init(v->ctx, v->key, NULL) == 1)
		return v;
	close_verifier(d, v);
	return NULL;
}

static bool open_p256(struct tg_direct *d, const OSSL_PROVIDER *base)
{
	const OSSL_DISPATCH *sig = functions_of(base, OSSL_OP_SIGNATURE, "ECDSA");
	char name[] = "P-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0),
		OSSL_PARAM_construct_end()};

	if (!find_keys(&d->p256.keys, base, "EC:") ||
		!FIND(d->p256.make, sig, SIGNATURE_NEWCTX, signature_newctx) ||
		!FIND(d->p256.init, sig, SIGNATURE_VERIFY_INIT, signature_verify_init) ||
		!FIND(d->p256.verify, sig, SIGNATURE_VERIFY, signature_verify) ||
		!FIND(d->p256.free, sig, SIGNATURE_FREECTX, signature_freectx))
		return false;
	d->p256.curve = d->p256.keys.make(d->provider);
	if (!d->p256.curve ||
		d->p256.keys.import(d->p256.curve, OSSL_KEYMGMT_SELECT_ALL_PARAMETERS, params) != 1)
		return false;
	d->p256.peers = open_verifier(d);
	d->p256.anchors = open_verifier(d);
	return d->p256.peers && d->p256.anchors;
}

/* Gives a key this public part; whether it can have it. */
static bool set_public(const struct tg_direct_keys *k, void *key, const uint8_t *p, size_t n)
{
	OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(
				       OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, (void *)(uintptr_t)p, n),
		OSSL_PARAM_construct_end()};

	return k->set_params(key, params) == 1;
}

void *tg_direct_p256(const struct tg_direct *d, const uint8_t *point)
{
	const struct tg_direct_keys *k = &d->p256.keys;
	void *key = k->dup(d->p256.curve, OSSL_KEYMGMT_SELECT_ALL_PARAMETERS);

	if (!key || set_public(k, key, point, TG_P256_POINT))
		return key;
	k->free(key);
	return NULL;
}

bool tg_p256_set(const struct tg_direct *d, struct tg_p256 *v, const uint8_t *point)
{
	if (v->is_set && memcmp(v->point, point, TG_P256_POINT) == 0)
		return true;
	/* Whether the context kept anything of the key that it had, provider-signature(7) does not
	 * say. */
	v->is_set = set_public(&d->p256.keys, v->key, point, TG_P256_POINT) &&
		    d->p256.init(v->ctx, v->key, NULL) == 1;
	memcpy(v->point, point, TG_P256_POINT);
	return v->is_set;
}

int tg_p256_verify(const struct tg_direct *d, struct tg_p256 *v, const uint8_t *point,
	const uint8_t *digest, uint32_t n, struct tg_view sig)
{
	if (!tg_p256_set(d, v, point))
		return -1;
	return d->p256.verify(v->ctx, sig.p, sig.n, digest, n) == 1;
}

/* --- X25519 -------------------------------------------------------------------------------------
 */

static bool open_x25519(struct tg_direct *d, const OSSL_PROVIDER *base)
{
	const OSSL_DISPATCH *ex = functions_of(base, OSSL_OP_KEYEXCH, "X25519");

	if (!find_keys(&d->x25519.keys, base, "X25519") ||
		!FIND(d->x25519.make, ex, KEYEXCH_NEWCTX, keyexch_newctx) ||
		!FIND(d->x25519.init, ex, KEYEXCH_INIT, keyexch_init) ||
		!FIND(d->x25519.set_peer, ex, KEYEXCH_SET_PEER, keyexch_set_peer) ||
		!FIND(d->x25519.derive, ex, KEYEXCH_DERIVE, keyexch_derive) ||
		!FIND(d->x25519.free, ex, KEYEXCH_FREECTX, keyexch_freectx))
		return false;
	d->x25519.gen = d->x25519.keys.gen_init(d->provider, OSSL_KEYMGMT_SELECT_KEYPAIR, NULL);
	d->x25519.peer = d->x25519.keys.make(d->provider);
	return d->x25519.gen && d->x25519.peer;
}

static bool get_public(const struct tg_direct_keys *k, void *key, uint8_t *to, size_t n)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, to, n),
		OSSL_PARAM_construct_end()};

	return k->get_params(key, params) == 1 && params[0].return_size == n;
}

bool tg_x25519_exchange(const struct tg_direct *d, const uint8_t share[static TG_X25519_KEY],
	uint8_t own[static TG_X25519_KEY], uint8_t secret[static TG_X25519_KEY])
{
	const struct tg_direct_keys *k = &d->x25519.keys;
	void *ours = k->gen(d->x25519.gen, NULL, NULL);
	void *ctx = ours ? d->x25519.make(d->provider) : NULL;
	size_t n = TG_X25519_KEY;
	bool ok = ctx && get_public(k, ours, own, n) && set_public(k, d->x25519.peer, share, n) &&
		  d->x25519.init(ctx, ours, NULL) == 1 &&
		  d->x25519.set_peer(ctx, d->x25519.peer) == 1 &&
		  d->x25519.derive(ctx, secret, &n, n) == 1 && n == TG_X25519_KEY;

	if (ctx)
		d->x25519.free(ctx);
	if (ours)
		k->free(ours);
	return ok;
}

/* --- life ---------------------------------------------------------------------------------------
 */

bool tg_direct_open(struct tg_direct *d, const OSSL_PROVIDER *base)
{
	d->provider = OSSL_PROVIDER_get0_provider_ctx(base);
	return open_p256(d, base) && open_x25519(d, base);
}

void tg_direct_close(struct tg_direct *d)
{
	close_verifier(d, d->p256.peers);
	close_verifier(d, d->p256.anchors);
	if (d->p256.curve)
		d->p256.keys.free(d->p256.curve);
	if (d->x25519.peer)
		d->x25519.keys.free(d->x25519.peer);
	if (d->x25519.gen)
		d->x25519.keys.gen_cleanup(d->x25519.gen);
	memset(d, 0, sizeof(*d));
}
