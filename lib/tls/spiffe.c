#include <openssl/x509v3.h>

#include "spiffe.h"

static const struct tg_view scheme = {(const uint8_t *)"spiffe://", 9};

static bool is_trust_domain_byte(uint8_t c)
{
	return (uint8_t)(c - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '.' || c == '-' ||
	       c == '_';
}

static bool is_segment_byte(uint8_t c)
{
	return is_trust_domain_byte(c) || (uint8_t)(c - 'A') < 26;
}

bool tg_spiffe_trust_domain_ok(struct tg_view v)
{
	if (v.n == 0 || v.n > TG_SPIFFE_TRUST_DOMAIN_MAX)
		return false;
	for (uint32_t i = 0; i < v.n; i++)
		if (!is_trust_domain_byte(v.p[i]))
			return false;
	return true;
}

static bool is_dots(const uint8_t *p, uint32_t n)
{
	return (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.');
}

/* v: "/a/b", segments of at least one byte each; or nothing. */
static bool path_ok(struct tg_view v)
{
	uint32_t i = 0;

	while (i < v.n) {
		uint32_t start = ++i; /* behind the "/" */

		while (i < v.n && v.p[i] != '/')
			if (!is_segment_byte(v.p[i++]))
				return false;
		if (i == start || is_dots(v.p + start, i - start))
			return false;
	}
	return true;
}

bool tg_spiffe_parse(struct tg_view v, struct tg_view *td, struct tg_view *path)
{
	const uint8_t *slash;

	if (v.n > TG_SPIFFE_ID_MAX || !tg_view_has_prefix(v, scheme))
		return false;
	v.p += scheme.n;
	v.n -= scheme.n;
	slash = memchr(v.p, '/', v.n);
	*td = tg_view_of(v.p, slash ? (size_t)(slash - v.p) : v.n);
	*path = tg_view_of(v.p + td->n, v.n - td->n);
	return tg_spiffe_trust_domain_ok(*td) && path_ok(*path);
}

static bool ends_with_star(struct tg_view v)
{
	return v.n >= 2 && v.p[v.n - 2] == '/' && v.p[v.n - 1] == '*';
}

bool tg_spiffe_pattern_ok(struct tg_view pattern)
{
	struct tg_view td, path;

	if (ends_with_star(pattern))
		return tg_spiffe_parse(tg_view_of(pattern.p, pattern.n - 2), &td, &path);
	return tg_spiffe_parse(pattern, &td, &path) && path.n > 0;
}

bool tg_spiffe_match(struct tg_view pattern, struct tg_view id)
{
	if (!ends_with_star(pattern))
		return tg_view_eq(pattern, id);
	pattern.n--;
	return id.n > pattern.n && tg_view_has_prefix(id, pattern);
}

const char *tg_svid_fault(X509 *x, const struct tg_cert_names *n)
{
	struct tg_view td, path;
	uint32_t flags = X509_get_extension_flags(x), usage;

	if (flags & EXFLAG_INVALID)
		return "its extensions are malformed";
	if (n->n_uri == 0)
		return "has no URI name";
	if (n->n_uri > 1)
		return "has more than one URI name";
	if (!tg_spiffe_parse(n->uri, &td, &path))
		return "its URI name is not a SPIFFE ID";
	if (path.n == 0)
		return "its SPIFFE ID has no path";
	if (flags & EXFLAG_CA)
		return "is a CA certificate";
	if (!(flags & EXFLAG_KUSAGE))
		return "has no key usage";
	usage = X509_get_key_usage(x);
	if (usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN))
		return "its key may sign certificates or CRLs";
	if (!(usage & KU_DIGITAL_SIGNATURE))
		return "its key usage lacks digitalSignature";
	return NULL;
}
