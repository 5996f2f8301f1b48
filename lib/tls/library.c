/* A worker's OpenSSL: a library context of its own, with few algorithms in it.
 *
 * OpenSSL 3.0 makes the public key of each certificate that it reads by trying decoders, and for
 * that it collects all decoders and kinds of keys that the context has (some hundred), each time:
 * this costs more than a signature. A context with only those that certificates in TLS need does it
 * in a third of the time.
 *
 * So there are two contexts a worker. `full` has OpenSSL's default provider, and reads private
 * keys. `ctx` has a provider of ours that shows a part of the default one: its algorithms are the
 * default provider's own functions, with the default provider's context of `full`.
 */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "context.h"

#define SHOWN 24

/* The default provider's tables, which are constants of libcrypto; the last two are our choices
 * from them. Filled on the control core before the first context is used. */
static struct {
	bool filled;
	const OSSL_ALGORITHM *of[OSSL_OP__HIGHEST + 1];
	OSSL_ALGORITHM keys[SHOWN + 1], decoders[SHOWN + 1];
} tables;

static struct tg_tls_lib *libs; /* all that are open; the control core's */

/* Whether the first of an algorithm's names ("EC:id-ecPublicKey:...") is in the list. */
static bool is_one_of(const OSSL_ALGORITHM *a, const char *const *names)
{
	size_t n = strcspn(a->algorithm_names, ":");

	for (; *names; names++)
		if (strlen(*names) == n && strncmp(a->algorithm_names, *names, n) == 0)
			return true;
	return false;
}

static void choose_keys(const OSSL_ALGORITHM *a)
{
	static const char *const names[] = {
		"EC", "RSA", "RSA-PSS", "X25519", "ED25519", "HMAC", NULL};
	int n = 0;

	for (; a && a->algorithm_names && n < SHOWN; a++)
		if (is_one_of(a, names))
			tables.keys[n++] = *a;
}

static void choose_decoders(const OSSL_ALGORITHM *a)
{
	static const char *const names[] = {"EC", "RSA", "RSA-PSS", "ED25519", NULL};
	int n = 0;

	for (; a && a->algorithm_names && n < SHOWN; a++)
		if (is_one_of(a, names) && strstr(a->property_definition, "input=der") &&
			strstr(a->property_definition, "structure=SubjectPublicKeyInfo"))
			tables.decoders[n++] = *a;
}

static void fill_tables(const OSSL_PROVIDER *base)
{
	int no_cache;

	if (tables.filled)
		return;
	for (int op = 1; op <= OSSL_OP__HIGHEST; op++)
		tables.of[op] = OSSL_PROVIDER_query_operation(base, op, &no_cache);
	choose_keys(tables.of[OSSL_OP_KEYMGMT]);
	choose_decoders(tables.of[OSSL_OP_DECODER]);
	tables.of[OSSL_OP_KEYMGMT] = tables.keys;
	tables.of[OSSL_OP_DECODER] = tables.decoders;
	tables.of[OSSL_OP_ENCODER] = tables.of[OSSL_OP_STORE] = NULL;
	tables.filled = true;
}

static const OSSL_ALGORITHM *query(void *provider, int op, int *no_cache)
{
	*no_cache = 0;
	return op > 0 && op <= OSSL_OP__HIGHEST ? tables.of[op] : NULL;
}

/* Groups and their names in TLS; asked for when an SSL_CTX is made. */
static int capabilities(void *provider, const char *what, OSSL_CALLBACK *cb, void *arg)
{
	for (struct tg_tls_lib *l = libs; l; l = l->next)
		if (OSSL_PROVIDER_get0_provider_ctx(l->base) == provider)
			return OSSL_PROVIDER_get_capabilities(l->base, what, cb, arg);
	return 0;
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

	*out = ours;
	*provider = OSSL_PROVIDER_get0_provider_ctx(libs->base); /* the one that is being opened */
	return 1;
}

bool tg_lib_open(struct tg_tls_lib *l)
{
	l->full = OSSL_LIB_CTX_new();
	l->base = l->full ? OSSL_PROVIDER_load(l->full, "default") : NULL;
	l->ctx = l->base ? OSSL_LIB_CTX_new() : NULL;
	if (!l->ctx)
		return false;
	fill_tables(l->base);
	l->next = libs;
	libs = l;
	if (!OSSL_PROVIDER_add_builtin(l->ctx, "tidegate", begin_provider))
		return false;
	l->part = OSSL_PROVIDER_load(l->ctx, "tidegate");
	l->sha256 = EVP_MD_fetch(l->ctx, "SHA256", NULL);
	l->aes256_cbc = EVP_CIPHER_fetch(l->ctx, "AES-256-CBC", NULL);
	return l->part && l->sha256 && l->aes256_cbc;
}

void tg_lib_close(struct tg_tls_lib *l)
{
	for (struct tg_tls_lib **at = &libs; *at; at = &(*at)->next)
		if (*at == l) {
			*at = l->next;
			break;
		}
	EVP_MD_free(l->sha256);
	EVP_CIPHER_free(l->aes256_cbc);
	if (l->part)
		OSSL_PROVIDER_unload(l->part);
	OSSL_LIB_CTX_free(l->ctx);
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
