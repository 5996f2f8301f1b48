/* kdf.c: TLS13-KDF for libssl, by hkdf.c.
 *
 * libssl derives some thirty secrets a handshake, and the default provider fetches its digest by
 * name for each, and allocates a dozen times. */
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "provider.h"
#include "record.h"

#define HASH_MAX 48
#define PREFIX "tls13 "
#define LABEL_MAX 12
#define OUT_MAX 255

/* What a derivation is about. */
struct wanted {
	int mode;
	bool digest; /* it was one that we know */
	enum tg_suite suite;
	struct tg_view key, salt, prefix, label, data;
};

static bool read_digest(const OSSL_PARAM *p, struct wanted *w)
{
	struct tg_view name;

	if (p->data_type != OSSL_PARAM_UTF8_STRING)
		return false;
	name = tg_view_of(p->data, p->data_size ? p->data_size : strlen(p->data));
	w->digest = true;
	if (tg_view_eq(name, tg_view_str("SHA2-256")) || tg_view_eq(name, tg_view_str("SHA256")))
		w->suite = TG_SUITE_AES_128_GCM_SHA256;
	else if (tg_view_eq(name, tg_view_str("SHA2-384")) ||
		 tg_view_eq(name, tg_view_str("SHA384")))
		w->suite = TG_SUITE_AES_256_GCM_SHA384;
	else
		w->digest = false;
	return w->digest;
}

static bool read_param(const OSSL_PARAM *p, struct wanted *w)
{
	const struct {
		const char *name;
		struct tg_view *to;
	} bytes[] = {{OSSL_KDF_PARAM_KEY, &w->key}, {OSSL_KDF_PARAM_SALT, &w->salt},
		{OSSL_KDF_PARAM_PREFIX, &w->prefix}, {OSSL_KDF_PARAM_LABEL, &w->label},
		{OSSL_KDF_PARAM_DATA, &w->data}};

	if (strcmp(p->key, OSSL_KDF_PARAM_MODE) == 0)
		return OSSL_PARAM_get_int(p, &w->mode) == 1;
	if (strcmp(p->key, OSSL_KDF_PARAM_DIGEST) == 0)
		return read_digest(p, w);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(bytes); i++)
		if (strcmp(p->key, bytes[i].name) == 0) {
			*bytes[i].to = tg_view_of(p->data, p->data_size);
			return p->data_type == OSSL_PARAM_OCTET_STRING;
		}
	return false; /* nothing that is meant for us is ignored */
}

static bool expand(const struct wanted *w, const uint8_t *secret, struct tg_view context,
	uint8_t *out, size_t n)
{
	char label[LABEL_MAX + 1] = {0};

	if (w->label.n > LABEL_MAX || context.n > 64 || n == 0 || n > OUT_MAX ||
		!tg_view_eq(w->prefix, tg_view_str(PREFIX)))
		return false;
	memcpy(label, w->label.p, w->label.n);
	tg_hkdf_expand_label(w->suite, secret, label, context, out, (uint32_t)n);
	return true;
}

/* The next secret of the schedule: Extract(Derive-Secret(salt, label, ""), key). */
static bool extract(const struct wanted *w, uint8_t *out, size_t n)
{
	static const uint8_t zeros[HASH_MAX];
	uint32_t size = tg_suite_hash_size(w->suite);
	struct tg_view key = w->key.p ? w->key : tg_view_of(zeros, size), salt = TG_VIEW_NONE;
	uint8_t hash[HASH_MAX], derived[HASH_MAX];
	bool ok = n == size;

	if (ok && w->salt.p) {
		tg_hkdf_hash_empty(w->suite, hash);
		salt = tg_view_of(derived, size);
		ok = w->salt.n == size &&
		     expand(w, w->salt.p, tg_view_of(hash, size), derived, size);
	}
	if (ok)
		tg_hkdf_extract(w->suite, salt, key, out);
	OPENSSL_cleanse(derived, sizeof(derived));
	return ok;
}

static int derive(void *ctx, unsigned char *out, size_t n, const OSSL_PARAM params[])
{
	struct wanted w = {.mode = -1};

	(void)ctx;
	for (const OSSL_PARAM *p = params; p && p->key; p++)
		if (!read_param(p, &w))
			return 0;
	if (!w.digest)
		return 0;
	if (w.mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY)
		return extract(&w, out, n);
	return w.mode == EVP_KDF_HKDF_MODE_EXPAND_ONLY && w.key.n == tg_suite_hash_size(w.suite) &&
	       expand(&w, w.key.p, w.data, out, n);
}

static void *begin(void *provider)
{
	return provider; /* there is no state: anything but NULL */
}

static void end(void *ctx)
{
	(void)ctx;
}

const OSSL_DISPATCH tg_kdf_functions[] = {
	{OSSL_FUNC_KDF_NEWCTX, (void (*)(void))begin},
	{OSSL_FUNC_KDF_FREECTX, (void (*)(void))end},
	{OSSL_FUNC_KDF_DERIVE, (void (*)(void))derive},
	{0, NULL},
};
