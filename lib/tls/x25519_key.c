/* x25519_key.c: keys of X25519 for libssl: the default provider's, but that making one takes its
 * public half from x25519.c. Everything else, the exchange itself too, is the default provider's.
 */
#include <strings.h>

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "provider.h"
#include "x25519.h"

#define FUNCTIONS 40
#define BYTES 32

/* The default provider's functions, of which new and import are asked here. */
static struct {
	OSSL_FUNC_keymgmt_new_fn *new;
	OSSL_FUNC_keymgmt_import_fn *import;
	OSSL_FUNC_keymgmt_free_fn *free;
} base;

/* A generation: of a key, or of one without numbers, which takes a peer's share later. */
struct making {
	void *provider;
	const struct tg_tls_lib *lib;
	int selection;
};

/* The only parameter that there is says what is known. */
static int set_params(void *ctx, const OSSL_PARAM params[])
{
	for (const OSSL_PARAM *p = params; p && p->key; p++)
		if (strcmp(p->key, OSSL_PKEY_PARAM_GROUP_NAME) == 0 &&
			(p->data_type != OSSL_PARAM_UTF8_STRING ||
				strcasecmp(p->data, "x25519") != 0))
			return 0;
	return 1;
}

static const OSSL_PARAM *settable(void *ctx, void *provider)
{
	static const OSSL_PARAM all[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0), OSSL_PARAM_END};

	return all;
}

static void *gen_init(void *provider, int selection, const OSSL_PARAM params[])
{
	struct making *m = set_params(NULL, params) ? OPENSSL_zalloc(sizeof(*m)) : NULL;

	if (!m)
		return NULL;
	m->provider = provider;
	m->lib = tg_lib_of(provider);
	m->selection = selection;
	return m;
}

static void gen_end(void *ctx)
{
	OPENSSL_free(ctx);
}

static bool fill(const struct making *m, void *key)
{
	uint8_t private[BYTES], public[BYTES];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, private, BYTES),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public, BYTES),
		OSSL_PARAM_construct_end()};
	bool ok = m->lib && RAND_priv_bytes_ex(m->lib->full, private, BYTES, 0) == 1;

	if (ok) {
		private[0] &= 248;
		private[31] = (uint8_t)((private[31] & 127) | 64);
		tg_x25519_public(public, private);
		ok = base.import(key, OSSL_KEYMGMT_SELECT_KEYPAIR, params) == 1;
	}
	OPENSSL_cleanse(private, sizeof(private));
	return ok;
}

static void *gen(void *ctx, OSSL_CALLBACK *progress, void *arg)
{
	const struct making *m = ctx;
	void *key = base.new(m->provider);

	if (!key || !(m->selection & OSSL_KEYMGMT_SELECT_KEYPAIR) || fill(m, key))
		return key;
	base.free(key);
	return NULL;
}

/* x25519.c against OpenSSL, in this process, on this CPU. */
static bool agrees(const struct tg_tls_lib *l)
{
	uint8_t scalar[BYTES], ours[BYTES], theirs[BYTES];
	bool ok = true;

	for (uint32_t i = 0; i < 16 && ok; i++) {
		size_t n = sizeof(theirs);
		EVP_PKEY *key;

		memset(scalar, (int)(i * 0x11), sizeof(scalar));
		scalar[7 + i] ^= 0x5a;
		key = EVP_PKEY_new_raw_private_key_ex(l->full, "X25519", NULL, scalar, BYTES);
		tg_x25519_public(ours, scalar);
		ok = key && EVP_PKEY_get_raw_public_key(key, theirs, &n) == 1 && n == BYTES &&
		     memcmp(ours, theirs, BYTES) == 0;
		EVP_PKEY_free(key);
	}
	return ok;
}

const OSSL_DISPATCH *tg_x25519_functions(const struct tg_tls_lib *l, const OSSL_DISPATCH *d)
{
	static OSSL_DISPATCH all[FUNCTIONS];
	static const OSSL_DISPATCH ours[] = {
		{OSSL_FUNC_KEYMGMT_GEN_INIT, (void (*)(void))gen_init},
		{OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, (void (*)(void))set_params},
		{OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, (void (*)(void))settable},
		{OSSL_FUNC_KEYMGMT_GEN, (void (*)(void))gen},
		{OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (void (*)(void))gen_end},
	};
	uint32_t n = 0;

	tg_x25519_init();
	base.new = (OSSL_FUNC_keymgmt_new_fn *)tg_dispatch_find(d, OSSL_FUNC_KEYMGMT_NEW);
	base.import = (OSSL_FUNC_keymgmt_import_fn *)tg_dispatch_find(d, OSSL_FUNC_KEYMGMT_IMPORT);
	base.free = (OSSL_FUNC_keymgmt_free_fn *)tg_dispatch_find(d, OSSL_FUNC_KEYMGMT_FREE);
	if (!base.new || !base.import || !base.free || !agrees(l))
		return d;
	for (; d[n].function_id && n < FUNCTIONS - 1; n++) {
		all[n] = d[n];
		for (uint32_t i = 0; i < TG_ARRAY_LEN(ours); i++)
			if (ours[i].function_id == d[n].function_id)
				all[n] = ours[i];
	}
	return d[n].function_id ? d : all;
}
