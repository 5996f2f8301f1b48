/* What our provider does itself (provider.h), against OpenSSL's own. */
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#include "../tgtest.h"
#include "provider.h"
#include "tlstest.h"

static struct tg_tls_lib lib;

/* --- TLS13-KDF ----------------------------------------------------------------------------------
 */

struct derivation {
	int mode;
	const char *digest, *prefix, *label;
	uint8_t key[64], salt[64], data[64];
	size_t n_key, n_salt, n_data, n_out; /* n_key, n_salt: 0: none is given */
	bool no_data;
};

static int derive(OSSL_LIB_CTX *ctx, const struct derivation *d, uint8_t *out)
{
	EVP_KDF *kdf = EVP_KDF_fetch(ctx, "TLS13-KDF", NULL);
	EVP_KDF_CTX *c = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[8], *p = params;
	int r;

	*p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, (int *)&d->mode);
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)d->digest, 0);
	if (d->n_key)
		*p++ = OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_KEY, (void *)d->key, d->n_key);
	if (d->n_salt)
		*p++ = OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_SALT, (void *)d->salt, d->n_salt);
	*p++ = OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_PREFIX, (void *)d->prefix, strlen(d->prefix));
	*p++ = OSSL_PARAM_construct_octet_string(
		OSSL_KDF_PARAM_LABEL, (void *)d->label, strlen(d->label));
	if (!d->no_data)
		*p++ = OSSL_PARAM_construct_octet_string(
			OSSL_KDF_PARAM_DATA, (void *)d->data, d->n_data);
	*p = OSSL_PARAM_construct_end();
	r = EVP_KDF_derive(c, out, d->n_out, params);
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
	ERR_clear_error();
	return r;
}

static void agree(const struct derivation *d)
{
	uint8_t ours[256] = {0}, theirs[256] = {0};

	CU_ASSERT_EQUAL(derive(lib.full, d, theirs), 1);
	CU_ASSERT_EQUAL(derive(lib.ctx, d, ours), 1);
	CU_ASSERT_EQUAL(memcmp(ours, theirs, sizeof(ours)), 0);
}

static void key_schedule(void)
{
	static const char *const labels[] = {"key", "iv", "finished", "c hs traffic",
		"s ap traffic", "resumption", "derived", "exp master", "traffic upd"};
	struct tg_rng rng;

	tg_rng_seed(&rng, 1);
	for (uint32_t i = 0; i < 400; i++) {
		size_t size = i % 2 ? 48 : 32;
		struct derivation d = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
			.digest = i % 2 ? "SHA2-384" : "SHA2-256",
			.prefix = "tls13 ",
			.label = labels[i % TG_ARRAY_LEN(labels)],
			.n_key = size,
			.n_data = i % 3 ? size : 0,
			.no_data = i % 5 == 0,
			.n_out = 1 + tg_rng_below(&rng, 200)};

		fill(&rng, d.key, sizeof(d.key));
		fill(&rng, d.salt, sizeof(d.salt));
		fill(&rng, d.data, sizeof(d.data));
		agree(&d);
		/* The early secret without and with a PSK, the next ones with an ECDH secret of any
		 * size, and the master secret. */
		d.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
		d.label = "derived";
		d.no_data = true;
		d.n_out = size;
		d.n_salt = i % 4 < 2 ? size : 0;
		d.n_key = i % 8 < 3 ? 0 : 1 + tg_rng_below(&rng, 64);
		agree(&d);
	}
}

static void refused_derivations(void)
{
	const struct derivation good = {.mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY,
		.digest = "SHA2-256",
		.prefix = "tls13 ",
		.label = "key",
		.n_key = 32,
		.n_out = 16};
	struct derivation d = good;
	uint8_t out[300];

	CU_ASSERT_EQUAL(derive(lib.ctx, &d, out), 1);
	d.digest = "SHA1";
	CU_ASSERT(derive(lib.ctx, &d, out) <= 0);
	d = good;
	d.mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
	CU_ASSERT(derive(lib.ctx, &d, out) <= 0);
	d = good;
	d.label = "thirteen long";
	CU_ASSERT(derive(lib.ctx, &d, out) <= 0);
	d = good;
	d.prefix = "dtls13";
	CU_ASSERT(derive(lib.ctx, &d, out) <= 0);
	d = good;
	d.n_key = 31;
	CU_ASSERT(derive(lib.ctx, &d, out) <= 0);
	d.n_key = 0;
	CU_ASSERT(derive(lib.ctx, &d, out) <= 0);
	d = good;
	d.n_out = 256;
	CU_ASSERT(derive(lib.ctx, &d, out) <= 0);
	d.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
	d.n_out = 31;
	CU_ASSERT(derive(lib.ctx, &d, out) <= 0);
	d.n_out = 32;
	d.n_salt = 31;
	CU_ASSERT(derive(lib.ctx, &d, out) <= 0);
}

/* --- public keys --------------------------------------------------------------------------------
 */

static EVP_PKEY *read_key(OSSL_LIB_CTX *ctx, const uint8_t *der, long n)
{
	const uint8_t *p = der;
	EVP_PKEY *key = d2i_PUBKEY_ex(NULL, &p, n, ctx, NULL);

	ERR_clear_error();
	return key;
}

/* The same key comes out of the same bytes, or none; and it works. */
static void same_key(const char *what, const uint8_t *der, long n, EVP_PKEY *private)
{
	EVP_PKEY *ours = read_key(lib.ctx, der, n), *theirs = read_key(lib.full, der, n);
	uint8_t sig[512], *again = NULL;
	size_t n_sig = sizeof(sig);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	const char *md = private && EVP_PKEY_is_a(private, "ED25519") ? NULL : "SHA256";

	if ((ours != NULL) != (theirs != NULL) || (ours && EVP_PKEY_eq(ours, theirs) != 1))
		printf("%s: not the same\n", what);
	CU_ASSERT_EQUAL(ours != NULL, theirs != NULL);
	if (ours && theirs)
		CU_ASSERT_EQUAL(EVP_PKEY_eq(ours, theirs), 1);
	if (ours && private) {
		CU_ASSERT_EQUAL(
			EVP_DigestSignInit_ex(c, NULL, md, lib.full, NULL, private, NULL), 1);
		CU_ASSERT_EQUAL(EVP_DigestSign(c, sig, &n_sig, der, (size_t)n), 1);
		EVP_MD_CTX_reset(c);
		CU_ASSERT_EQUAL(EVP_DigestVerifyInit_ex(c, NULL, md, lib.ctx, NULL, ours, NULL), 1);
		CU_ASSERT_EQUAL(EVP_DigestVerify(c, sig, n_sig, der, (size_t)n), 1);
		CU_ASSERT_EQUAL(EVP_PKEY_get_bits(ours), EVP_PKEY_get_bits(private));
	}
	OPENSSL_free(again);
	EVP_MD_CTX_free(c);
	EVP_PKEY_free(ours);
	EVP_PKEY_free(theirs);
	ERR_clear_error();
}

static void all_kinds(void)
{
	static const char *const curves[] = {"P-256", "P-384", "P-521", "secp256k1"};
	uint8_t *der;
	int n;

	for (uint32_t i = 0; i < TG_ARRAY_LEN(curves) + 2; i++) {
		EVP_PKEY *key = i < TG_ARRAY_LEN(curves)
					? EVP_PKEY_Q_keygen(lib.full, NULL, "EC", curves[i])
				: i == TG_ARRAY_LEN(curves)
					? EVP_PKEY_Q_keygen(lib.full, NULL, "RSA", (size_t)2048)
					: EVP_PKEY_Q_keygen(lib.full, NULL, "ED25519");

		der = NULL;
		n = i2d_PUBKEY(key, &der);
		same_key(i < TG_ARRAY_LEN(curves) ? curves[i] : "other", der, n, key);
		OPENSSL_free(der);
		EVP_PKEY_free(key);
	}
}

/* Every byte of a P-256 key changed, every length, and what may follow. */
static void damaged_keys(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(lib.full, NULL, "EC", "P-256");
	uint8_t *der = NULL, b[93] = {0};
	int n = i2d_PUBKEY(key, &der);

	CU_ASSERT_EQUAL_FATAL(n, 91);
	for (int i = 0; i < n; i++)
		for (int bit = 0; bit < 8; bit += 3) {
			memcpy(b, der, 91);
			b[i] ^= (uint8_t)(1 << bit);
			same_key("changed", b, n, NULL);
		}
	memcpy(b, der, 91);
	for (int i = 0; i < 93; i++)
		same_key("cut", b, i, NULL);
	CU_ASSERT_EQUAL(EVP_PKEY_set_utf8_string_param(
				key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed"),
		1);
	OPENSSL_free(der);
	der = NULL;
	n = i2d_PUBKEY(key, &der);
	CU_ASSERT_EQUAL(n, 59);
	same_key("compressed", der, n, key);
	memset(b + 27, 0, 64); /* nowhere on the curve */
	CU_ASSERT_PTR_NULL(read_key(lib.ctx, b, 91));
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}

static int on_object(OSSL_DECODER_INSTANCE *inst, const OSSL_PARAM *params, void *arg)
{
	int *n = arg;
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_OBJECT_PARAM_DATA_TYPE);

	(void)inst;
	*n += p && p->data && strcmp(p->data, "EC") == 0;
	return 0; /* not taken: the decoder frees it */
}

/* That it is ours that is asked, and what it leaves to others. */
static int found_by_us(const uint8_t *der, size_t n, int selection)
{
	OSSL_DECODER *d = OSSL_DECODER_fetch(lib.ctx, "EC", "provider=tidegate,input=der");
	OSSL_DECODER_CTX *c = OSSL_DECODER_CTX_new();
	int found = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_EQUAL(OSSL_DECODER_CTX_add_decoder(c, d), 1);
	OSSL_DECODER_CTX_set_selection(c, selection);
	OSSL_DECODER_CTX_set_construct(c, on_object);
	OSSL_DECODER_CTX_set_construct_data(c, &found);
	OSSL_DECODER_from_data(c, &der, &n);
	OSSL_DECODER_CTX_free(c);
	OSSL_DECODER_free(d);
	ERR_clear_error();
	return found;
}

static void ours_is_asked(void)
{
	static const char *const curves[] = {"P-256", "P-384"};

	for (uint32_t i = 0; i < 2; i++) {
		EVP_PKEY *key = EVP_PKEY_Q_keygen(lib.full, NULL, "EC", curves[i]);
		uint8_t *der = NULL;
		int n = i2d_PUBKEY(key, &der);

		CU_ASSERT_EQUAL(found_by_us(der, (size_t)n, EVP_PKEY_PUBLIC_KEY), i == 0);
		CU_ASSERT_EQUAL(found_by_us(der, (size_t)n, 0), i == 0);
		CU_ASSERT_EQUAL(found_by_us(der, (size_t)n, EVP_PKEY_KEYPAIR), 0);
		OPENSSL_free(der);
		EVP_PKEY_free(key);
	}
}

static void other_libraries(void)
{
	struct tg_tls_lib more[3] = {{0}};

	for (int i = 0; i < 3; i++)
		CU_ASSERT_TRUE_FATAL(tg_lib_open(&more[i]));
	tg_lib_close(&more[1]);
	CU_ASSERT_PTR_EQUAL(tg_lib_of(OSSL_PROVIDER_get0_provider_ctx(more[2].base)), &more[2]);
	CU_ASSERT_PTR_EQUAL(tg_lib_of(OSSL_PROVIDER_get0_provider_ctx(lib.base)), &lib);
	CU_ASSERT_PTR_NULL(tg_lib_of(&more));
	CU_ASSERT_PTR_NULL(tg_lib_of(NULL));
	tg_lib_close(&more[0]);
	tg_lib_close(&more[2]);
	all_kinds();
}

static void open_lib(void)
{
	CU_ASSERT_TRUE_FATAL(tg_lib_open(&lib));
}

static void close_lib(void)
{
	tg_lib_close(&lib);
}

TG_TEST_MAIN("tls_provider", {"open", open_lib}, {"the key schedule", key_schedule},
	{"refused derivations", refused_derivations}, {"keys of all kinds", all_kinds},
	{"damaged keys", damaged_keys}, {"ours is asked", ours_is_asked},
	{"several libraries", other_libraries}, {"close", close_lib})
