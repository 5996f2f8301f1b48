/* spki.c: reads the public key of a certificate (SubjectPublicKeyInfo, RFC 5480) if it is of P-256
 * and not compressed, which has but one encoding in DER.
 *
 * The default provider makes the curve anew for each key, with its Montgomery numbers: half of what
 * a verification costs. Here the curve comes from a key that is there already, by the default
 * provider's own functions for keys; they also check that the point is on the curve. What is not
 * recognised here, or not on the curve, is left to the default provider's decoder.
 */
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>

#include "provider.h"

#define POINT 65 /* 04, x, y */

static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
	0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

/* The same in all library contexts: set when the first provider begins, on the control core. */
static OSSL_FUNC_BIO_read_ex_fn *read_ex;

void (*tg_dispatch_find(const OSSL_DISPATCH *d, int id))(void)
{
	for (; d && d->function_id; d++)
		if (d->function_id == id)
			return d->function;
	return NULL;
}

void tg_spki_core(const OSSL_DISPATCH *in)
{
	if (!read_ex) /* workers read it */
		read_ex = (OSSL_FUNC_BIO_read_ex_fn *)tg_dispatch_find(in, OSSL_FUNC_BIO_READ_EX);
}

/* --- the key that is copied ---------------------------------------------------------------------
 */

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

static bool find_ecdsa(struct tg_lib_ec *ec, const OSSL_PROVIDER *base)
{
	const OSSL_DISPATCH *d = functions_of(base, OSSL_OP_SIGNATURE, "ECDSA");

	ec->sig_new =
		(OSSL_FUNC_signature_newctx_fn *)tg_dispatch_find(d, OSSL_FUNC_SIGNATURE_NEWCTX);
	ec->verify_init = (OSSL_FUNC_signature_verify_init_fn *)tg_dispatch_find(
		d, OSSL_FUNC_SIGNATURE_VERIFY_INIT);
	ec->verify =
		(OSSL_FUNC_signature_verify_fn *)tg_dispatch_find(d, OSSL_FUNC_SIGNATURE_VERIFY);
	ec->sig_free =
		(OSSL_FUNC_signature_freectx_fn *)tg_dispatch_find(d, OSSL_FUNC_SIGNATURE_FREECTX);
	return ec->sig_new && ec->verify_init && ec->verify && ec->sig_free;
}

bool tg_spki_open(struct tg_tls_lib *l)
{
	const OSSL_DISPATCH *d = functions_of(l->base, OSSL_OP_KEYMGMT, "EC:");
	struct tg_lib_ec *ec = &l->ec;
	OSSL_FUNC_keymgmt_new_fn *make =
		(OSSL_FUNC_keymgmt_new_fn *)tg_dispatch_find(d, OSSL_FUNC_KEYMGMT_NEW);
	OSSL_FUNC_keymgmt_import_fn *import =
		(OSSL_FUNC_keymgmt_import_fn *)tg_dispatch_find(d, OSSL_FUNC_KEYMGMT_IMPORT);
	char p256[] = "P-256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, p256, 0),
		OSSL_PARAM_construct_end()};

	ec->dup = (OSSL_FUNC_keymgmt_dup_fn *)tg_dispatch_find(d, OSSL_FUNC_KEYMGMT_DUP);
	ec->set_params = (OSSL_FUNC_keymgmt_set_params_fn *)tg_dispatch_find(
		d, OSSL_FUNC_KEYMGMT_SET_PARAMS);
	ec->free = (OSSL_FUNC_keymgmt_free_fn *)tg_dispatch_find(d, OSSL_FUNC_KEYMGMT_FREE);
	if (!make || !import || !ec->dup || !ec->set_params || !ec->free ||
		!find_ecdsa(ec, l->base))
		return false;
	ec->p256 = make(OSSL_PROVIDER_get0_provider_ctx(l->base));
	return ec->p256 && import(ec->p256, OSSL_KEYMGMT_SELECT_ALL_PARAMETERS, params) == 1;
}

void tg_spki_close(struct tg_tls_lib *l)
{
	if (l->ec.p256)
		l->ec.free(l->ec.p256);
	l->ec.p256 = NULL;
}

/* --- the decoder --------------------------------------------------------------------------------
 */

void *tg_spki_key(const struct tg_lib_ec *ec, const uint8_t *point)
{
	void *key = ec->dup(ec->p256, OSSL_KEYMGMT_SELECT_ALL_PARAMETERS);
	OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
				       (void *)(uintptr_t)point, POINT),
		OSSL_PARAM_construct_end()};

	if (!key || ec->set_params(key, params) == 1)
		return key;
	ec->free(key);
	return NULL;
}

/* Whether all that there is to read is such a key. */
static bool read_key(OSSL_CORE_BIO *from, uint8_t *b)
{
	size_t want = sizeof(head) + POINT, n = 0, got = 0;

	while (n <= want && read_ex(from, b + n, want + 1 - n, &got) == 1 && got)
		n += got;
	return n == want && memcmp(b, head, sizeof(head)) == 0 && b[sizeof(head)] == 4;
}

/* 1 also for what is none of ours: the next decoder is asked (provider-decoder(7)). */
static int decode(void *ctx, OSSL_CORE_BIO *from, int selection, OSSL_CALLBACK *found, void *arg,
	OSSL_PASSPHRASE_CALLBACK *pass, void *pass_arg)
{
	const struct tg_tls_lib *l = ctx;
	uint8_t b[sizeof(head) + POINT + 1];
	int type = OSSL_OBJECT_PKEY, ok;
	char name[] = "EC";
	void *key;

	(void)pass;
	(void)pass_arg;
	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || !read_key(from, b))
		return 1;
	key = tg_spki_key(&l->ec, b + sizeof(head));
	if (!key)
		return 1;
	ok = found((OSSL_PARAM[]){OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
			   OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, name, 0),
			   OSSL_PARAM_construct_octet_string(
				   OSSL_OBJECT_PARAM_REFERENCE, &key, sizeof(key)),
			   OSSL_PARAM_construct_end()},
		arg);
	if (key) /* whoever takes it clears the reference */
		l->ec.free(key);
	return ok;
}

static void *begin(void *provider)
{
	return tg_lib_of(provider);
}

static void end(void *ctx)
{
	(void)ctx;
}

const OSSL_DISPATCH tg_spki_functions[] = {
	{OSSL_FUNC_DECODER_NEWCTX, (void (*)(void))begin},
	{OSSL_FUNC_DECODER_FREECTX, (void (*)(void))end},
	{OSSL_FUNC_DECODER_DECODE, (void (*)(void))decode},
	{0, NULL},
};
