/* A worker's OpenSSL: a library context of its own, with few algorithms in it.
 *
 * OpenSSL 3.0 makes the public key of each certificate that it reads by trying decoders, and walks
 * over all algorithms that the context has (some hundreds) to find them, each time: this costs more
 * than a signature. With only those that TLS needs it costs a fraction of one.
 *
 * So there are three contexts a worker. `full` has OpenSSL's default provider, and reads private
 * keys. `ctx` has a provider of ours that shows a part of the default one: its algorithms are the
 * default provider's own functions, with the default provider's context of `full`. Some are ours
 * (provider.h). `bare` has none at all: it is there for certificates whose keys nobody needs, those
 * in sessions (tg_facts_enter).
 */
#include <strings.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "provider.h"

#define SHOWN 24
#define LIBS_MAX 256 /* open at one time: a worker's each, of the store and of one that checks */

/* By operation: the first names of the algorithms that are shown; those that have no list are not.
 * What the default provider itself needs for these it takes from `full`. */
static const char *const shown[OSSL_OP__HIGHEST + 1][8] = {
	[OSSL_OP_DIGEST] = {"SHA1", "SHA2-256", "SHA2-384", "SHA2-512", "MD5", "MD5-SHA1"},
	[OSSL_OP_CIPHER] = {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-256-CBC"},
	[OSSL_OP_MAC] = {"HMAC"},
	[OSSL_OP_KDF] = {"TLS13-KDF", "TLS1-PRF", "HKDF"},
	[OSSL_OP_RAND] = {"CTR-DRBG", "SEED-SRC"},
	[OSSL_OP_KEYMGMT] = {"EC", "RSA", "RSA-PSS", "X25519", "ED25519", "HMAC"},
	[OSSL_OP_KEYEXCH] = {"ECDH", "X25519"},
	[OSSL_OP_SIGNATURE] = {"RSA", "ECDSA", "ED25519", "HMAC"},
	[OSSL_OP_DECODER] = {"EC", "RSA", "RSA-PSS", "ED25519"},
};

/* The entries of the default provider's tables, which are constants of libcrypto, that are shown.
 * Filled on the control core before the first context is used. */
static struct {
	bool filled;
	OSSL_ALGORITHM of[OSSL_OP__HIGHEST + 1][SHOWN + 1];
} tables;

/* All that are open. The control core opens and closes; workers find theirs, which is there as long
 * as they run. */
static struct {
	_Atomic(const void *) provider; /* the default provider's context; NULL: free */
	struct tg_tls_lib *lib;
} libs[LIBS_MAX];
static const struct tg_tls_lib *opening; /* the control core's */

/* Whether the first of an algorithm's names ("EC:id-ecPublicKey:...") is in the list. */
static bool is_shown(int op, const OSSL_ALGORITHM *a)
{
	size_t n = strcspn(a->algorithm_names, ":");

	for (int i = 0; i < 8 && shown[op][i]; i++)
		if (strlen(shown[op][i]) == n &&
			strncasecmp(a->algorithm_names, shown[op][i], n) == 0)
			return op != OSSL_OP_DECODER ||
			       (strstr(a->property_definition, "input=der") &&
				       strstr(a->property_definition,
					       "structure=SubjectPublicKeyInfo"));
	return false;
}

/* Ours instead of, or before, the default provider's. The last decoder is asked first. */
static void add_ours(void)
{
	OSSL_ALGORITHM *kdf = tables.of[OSSL_OP_KDF], *decoder = tables.of[OSSL_OP_DECODER];

	for (; kdf->algorithm_names; kdf++)
		if (strcasecmp(kdf->algorithm_names, "TLS13-KDF") == 0)
			kdf->implementation = tg_kdf_functions;
	while (decoder->algorithm_names)
		decoder++;
	*decoder = (OSSL_ALGORITHM){"EC:id-ecPublicKey:1.2.840.10045.2.1",
		"provider=tidegate,input=der,structure=SubjectPublicKeyInfo", tg_spki_functions,
		"P-256"};
}

static void fill_tables(const OSSL_PROVIDER *base)
{
	int no_cache;

	if (tables.filled)
		return;
	for (int op = 1; op <= OSSL_OP__HIGHEST; op++) {
		const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(base, op, &no_cache);
		int n = 0;

		for (; a && a->algorithm_names && n < SHOWN - 1; a++)
			if (is_shown(op, a))
				tables.of[op][n++] = *a;
	}
	add_ours();
	tables.filled = true;
}

static const OSSL_ALGORITHM *query(void *provider, int op, int *no_cache)
{
	*no_cache = 0;
	return op > 0 && op <= OSSL_OP__HIGHEST ? tables.of[op] : NULL;
}

struct tg_tls_lib *tg_lib_of(const void *provider)
{
	for (uint32_t i = 0; provider && i < LIBS_MAX; i++)
		if (atomic_load_explicit(&libs[i].provider, memory_order_acquire) == provider)
			return libs[i].lib;
	return NULL;
}

static bool enlist(struct tg_tls_lib *l)
{
	for (uint32_t i = 0; i < LIBS_MAX; i++)
		if (!atomic_load_explicit(&libs[i].provider, memory_order_relaxed)) {
			libs[i].lib = l;
			atomic_store_explicit(&libs[i].provider,
				OSSL_PROVIDER_get0_provider_ctx(l->base), memory_order_release);
			return true;
		}
	return false;
}

static void delist(const struct tg_tls_lib *l)
{
	for (uint32_t i = 0; i < LIBS_MAX; i++)
		if (libs[i].lib == l) {
			libs[i].lib = NULL;
			atomic_store_explicit(&libs[i].provider, NULL, memory_order_relaxed);
		}
}

/* Groups and their names in TLS; asked for when an SSL_CTX is made. */
static int capabilities(void *provider, const char *what, OSSL_CALLBACK *cb, void *arg)
{
	const struct tg_tls_lib *l = tg_lib_of(provider);

	return l ? OSSL_PROVIDER_get_capabilities(l->base, what, cb, arg) : 0;
}

/* The context is the default provider's, which outlives us. */
static void end_provider(void *provider)
{
}

static int begin_provider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
	const OSSL_DISPATCH **out, void **provider)
{
	static const OSSL_DISPATCH ours[] = {
		{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
		{OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities},
		{OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))end_provider},
		{0, NULL},
	};

	tg_spki_core(in);
	*out = ours;
	*provider = OSSL_PROVIDER_get0_provider_ctx(opening->base);
	return 1;
}

static bool open_exchange(struct tg_tls_lib *l)
{
	l->make_p256 = EVP_PKEY_CTX_new_from_name(l->ctx, "EC", NULL);
	return l->make_p256 && EVP_PKEY_keygen_init(l->make_p256) == 1 &&
	       EVP_PKEY_CTX_set_group_name(l->make_p256, "P-256") == 1;
}

bool tg_lib_open(struct tg_tls_lib *l)
{
	l->full = OSSL_LIB_CTX_new();
	l->base = l->full ? OSSL_PROVIDER_load(l->full, "default") : NULL;
	l->bare = l->base ? OSSL_LIB_CTX_new() : NULL;
	l->none = l->bare ? OSSL_PROVIDER_load(l->bare, "null") : NULL; /* else it is "default" */
	l->ctx = l->none ? OSSL_LIB_CTX_new() : NULL;
	if (!l->ctx)
		return false;
	fill_tables(l->base);
	opening = l;
	if (!enlist(l) || !tg_direct_open(&l->direct, l->base) ||
		!OSSL_PROVIDER_add_builtin(l->ctx, "tidegate", begin_provider))
		return false;
	l->part = OSSL_PROVIDER_load(l->ctx, "tidegate");
	l->sha256 = EVP_MD_fetch(l->ctx, "SHA256", NULL);
	l->aes256_cbc = EVP_CIPHER_fetch(l->ctx, "AES-256-CBC", NULL);
	return l->part && l->sha256 && l->aes256_cbc && open_exchange(l);
}

void tg_lib_close(struct tg_tls_lib *l)
{
	EVP_MD_free(l->sha256);
	EVP_CIPHER_free(l->aes256_cbc);
	EVP_PKEY_CTX_free(l->make_p256);
	if (l->part)
		OSSL_PROVIDER_unload(l->part);
	OSSL_LIB_CTX_free(l->ctx);
	if (l->none)
		OSSL_PROVIDER_unload(l->none);
	OSSL_LIB_CTX_free(l->bare);
	delist(l);
	tg_direct_close(&l->direct);
	if (l->base)
		OSSL_PROVIDER_unload(l->base);
	OSSL_LIB_CTX_free(l->full);
}

EVP_PKEY *tg_lib_import(const struct tg_tls_lib *l, EVP_PKEY *key)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(l->ctx, EVP_PKEY_get0_type_name(key), NULL);
	OSSL_PARAM *params = NULL;
	EVP_PKEY *to = NULL;

	if (c && EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params) == 1 &&
		EVP_PKEY_fromdata_init(c) == 1)
		EVP_PKEY_fromdata(c, &to, EVP_PKEY_KEYPAIR, params);
	for (OSSL_PARAM *p = params; p && p->key; p++)
		OPENSSL_cleanse(p->data, p->data_size);
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(c);
	return to;
}
