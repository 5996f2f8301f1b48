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

static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
	0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

/* The same in all library contexts: set when the first provider begins, on the control core. */
static OSSL_FUNC_BIO_read_ex_fn *read_ex;

void tg_spki_core(const OSSL_DISPATCH *in)
{
	if (!read_ex) /* workers read it */
		read_ex = (OSSL_FUNC_BIO_read_ex_fn *)tg_dispatch_find(in, OSSL_FUNC_BIO_READ_EX);
}

/* Whether all that there is to read is such a key. */
static bool read_key(OSSL_CORE_BIO *from, uint8_t *b)
{
	size_t want = sizeof(head) + TG_P256_POINT, n = 0, got = 0;

	while (n <= want && read_ex(from, b + n, want + 1 - n, &got) == 1 && got)
		n += got;
	return n == want && memcmp(b, head, sizeof(head)) == 0 && b[sizeof(head)] == 4;
}

/* 1 also for what is none of ours: the next decoder is asked (provider-decoder(7)). */
static int decode(void *ctx, OSSL_CORE_BIO *from, int selection, OSSL_CALLBACK *found, void *arg,
	OSSL_PASSPHRASE_CALLBACK *pass, void *pass_arg)
{
	const struct tg_tls_lib *l = ctx;
	uint8_t b[sizeof(head) + TG_P256_POINT + 1];
	int type = OSSL_OBJECT_PKEY, ok;
	char name[] = "EC";
	void *key;

	(void)pass;
	(void)pass_arg;
	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || !read_key(from, b))
		return 1;
	key = tg_direct_p256(&l->direct, b + sizeof(head));
	if (!key)
		return 1;
	ok = found((OSSL_PARAM[]){OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
			   OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, name, 0),
			   OSSL_PARAM_construct_octet_string(
				   OSSL_OBJECT_PARAM_REFERENCE, &key, sizeof(key)),
			   OSSL_PARAM_construct_end()},
		arg);
	if (key) /* whoever takes it clears the reference */
		l->direct.p256.keys.free(key);
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
