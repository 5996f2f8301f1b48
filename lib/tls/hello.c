#include "hello.h"

#define EXTENSIONS_MAX 32 /* clients have up to 20 or so */
#define LIST_MAX 64       /* entries of lists that are walked for each other's entries */

enum { SUITE_FIRST = 0x1301, SUITES = 3, FALLBACK_SCSV = 0x5600, TLS13 = 0x0304 };

/* What is read before it can be judged. */
struct reading {
	struct tg_hello *h;
	struct tg_view groups, shares, versions;
	uint16_t seen[EXTENSIONS_MAX];
	uint32_t n_seen;
};

/* RFC 8701 */
static bool is_grease(uint16_t v)
{
	return (v & 0x0f0f) == 0x0a0a && v >> 8 == (v & 0xff);
}

static bool read_list16(struct tg_view data, uint32_t bytes, struct tg_view *out)
{
	return tg_take_whole(data, bytes, out) && out->n && out->n % 2 == 0;
}

/* --- extensions ---------------------------------------------------------------------------------
 */

/* RFC 6066 section 3: one name, of a host. */
static bool read_sni(struct reading *r, struct tg_view data)
{
	struct tg_view list;
	uint32_t type;

	return tg_take_whole(data, 2, &list) && tg_take_uint(&list, 1, &type) && type == 0 &&
	       tg_take_whole(list, 2, &r->h->sni) && r->h->sni.n && r->h->sni.n <= 255 &&
	       !memchr(r->h->sni.p, 0, r->h->sni.n);
}

/* RFC 7301 section 3.1 */
static bool read_alpn(struct reading *r, struct tg_view data)
{
	struct tg_view list, name;

	if (!tg_take_whole(data, 2, &list) || list.n < 2)
		return false;
	r->h->alpn = list;
	while (list.n)
		if (!tg_take_vec(&list, 1, &name) || !name.n)
			return false;
	return true;
}

static bool read_groups(struct reading *r, struct tg_view data)
{
	return read_list16(data, 2, &r->groups) && r->groups.n <= 2 * LIST_MAX;
}

static bool read_shares(struct reading *r, struct tg_view data)
{
	return tg_take_whole(data, 2, &r->shares);
}

static bool read_versions(struct reading *r, struct tg_view data)
{
	return read_list16(data, 1, &r->versions);
}

static bool read_schemes(struct reading *r, struct tg_view data)
{
	return read_list16(data, 2, &r->h->schemes);
}

static bool read_cert_schemes(struct reading *r, struct tg_view data)
{
	return read_list16(data, 2, &r->h->cert_schemes);
}

static bool read_modes(struct reading *r, struct tg_view data)
{
	struct tg_view modes;

	if (!tg_take_whole(data, 1, &modes) || !modes.n)
		return false;
	r->h->modes = true;
	r->h->psk_dhe = memchr(modes.p, 1, modes.n);
	return true;
}

/* Section 4.2.11. What stands in the lists is judged when the first ticket is one of ours. */
static bool read_psk(struct reading *r, struct tg_view data)
{
	return tg_take_vec(&data, 2, &r->h->identities) && r->h->identities.n &&
	       tg_take_whole(data, 2, &r->h->binders) && r->h->binders.n;
}

/* RFC 6066 section 8: OCSP, without more. It is not answered. */
static bool read_status(struct reading *r, struct tg_view data)
{
	(void)r;
	return tg_view_eq(data, TG_VIEW("\1\0\0\0\0"));
}

/* Of TLS 1.2: as clients fill them in that can speak both. */
static bool read_formats(struct reading *r, struct tg_view data)
{
	struct tg_view formats;

	(void)r;
	return tg_take_whole(data, 1, &formats) && formats.n && memchr(formats.p, 0, formats.n);
}

static bool read_renegotiation(struct reading *r, struct tg_view data)
{
	(void)r;
	return tg_view_eq(data, TG_VIEW("\0"));
}

static bool read_empty(struct reading *r, struct tg_view data)
{
	(void)r;
	return data.n == 0;
}

static bool read_any(struct reading *r, struct tg_view data)
{
	(void)r;
	(void)data;
	return true;
}

/* Those that mean something to OpenSSL 3; others it does not look at. Without a function: not
 * plain. */
static const struct {
	uint16_t type;
	bool (*read)(struct reading *r, struct tg_view data);
} extensions[] = {
	{0, read_sni},
	{1, NULL}, /* max_fragment_length */
	{5, read_status},
	{10, read_groups},
	{11, read_formats},
	{12, NULL}, /* srp */
	{13, read_schemes},
	{14, NULL}, /* use_srtp */
	{16, read_alpn},
	{18, read_any},   /* signed_certificate_timestamp */
	{19, NULL},       /* client_certificate_type */
	{20, NULL},       /* server_certificate_type */
	{21, read_any},   /* padding */
	{22, read_empty}, /* encrypt_then_mac */
	{23, read_any},   /* extended_master_secret */
	{35, read_any},   /* session_ticket */
	{41, read_psk},
	{42, NULL}, /* early_data */
	{43, read_versions},
	{44, NULL}, /* cookie */
	{45, read_modes},
	{47, NULL},       /* certificate_authorities */
	{49, read_empty}, /* post_handshake_auth */
	{50, read_cert_schemes},
	{51, read_shares},
	{13172, NULL},  /* next_protocol_negotiation */
	{0xfde8, NULL}, /* a workaround for CryptoPro */
	{0xff01, read_renegotiation},
};

static bool read_extension(struct reading *r, uint16_t type, struct tg_view data)
{
	for (uint32_t i = 0; i < r->n_seen; i++)
		if (r->seen[i] == type)
			return false;
	if (r->n_seen == EXTENSIONS_MAX)
		return false;
	r->seen[r->n_seen++] = type;
	for (uint32_t i = 0; i < TG_ARRAY_LEN(extensions); i++)
		if (extensions[i].type == type)
			return extensions[i].read && extensions[i].read(r, data);
	return true;
}

static bool read_extensions(struct reading *r, struct tg_view all)
{
	struct tg_view data;
	uint32_t type;

	while (all.n) {
		if (r->h->identities.n) /* pre_shared_key is the last one */
			return false;
		if (!tg_take_uint(&all, 2, &type) || !tg_take_vec(&all, 2, &data) ||
			!read_extension(r, (uint16_t)type, data))
			return false;
	}
	return true;
}

/* --- choices ------------------------------------------------------------------------------------
 */

/* OpenSSL looks which of the suites that it knows stands first: certain only for ours. */
static bool read_suites(struct tg_hello *h, struct tg_view list)
{
	bool first = true;

	if (!list.n || list.n % 2)
		return false;
	for (uint32_t i = 0; i < list.n; i += 2) {
		uint16_t id = tg_load_be16(list.p + i);
		uint16_t n = (uint16_t)(id - SUITE_FIRST);

		if (id == FALLBACK_SCSV)
			return false;
		if (n < SUITES) {
			h->suite[n] = true;
			h->chacha_first |= first && n == 2;
		}
		if (n >= SUITES && first && !is_grease(id))
			return false;
		first &= is_grease(id);
	}
	return h->suite[0] || h->suite[1] || h->suite[2];
}

static uint32_t share_size(uint16_t group)
{
	return group == TG_GROUP_X25519 ? TG_HELLO_SHARE_X25519
	       : group == TG_GROUP_P256 ? TG_HELLO_SHARE_P256
					: 0;
}

/* The first share that we can use, whatever the order of the groups: so does OpenSSL. */
static bool choose_share(struct reading *r)
{
	struct tg_view all = r->shares, share;
	struct tg_hello *h = r->h;
	uint16_t seen[8];
	uint32_t group, n = 0;

	while (all.n) {
		if (!tg_take_uint(&all, 2, &group) || !tg_take_vec(&all, 2, &share) || !share.n ||
			!tg_list16_has(r->groups, (uint16_t)group) || n == TG_ARRAY_LEN(seen))
			return false;
		for (uint32_t i = 0; i < n; i++)
			if (seen[i] == group)
				return false;
		seen[n++] = (uint16_t)group;
		if (!share_size((uint16_t)group))
			continue;
		if (share.n != share_size((uint16_t)group) ||
			(group == TG_GROUP_P256 && share.p[0] != 4))
			return false;
		if (h->share.n)
			continue;
		h->group = (uint16_t)group;
		h->share = share;
	}
	return h->share.n;
}

bool tg_hello_read(struct tg_view message, struct tg_hello *out)
{
	struct reading r = {.h = out};
	struct tg_view body, fixed, suites, compression, exts;
	const uint8_t *start = message.p;
	uint32_t type;

	memset(out, 0, sizeof(*out));
	if (!tg_take_uint(&message, 1, &type) || type != 1 || !tg_take_whole(message, 3, &body) ||
		!tg_take(&body, 34, &fixed) || tg_load_be16(fixed.p) != 0x0303 ||
		!tg_take_vec(&body, 1, &out->session) || out->session.n > 32 ||
		!tg_take_vec(&body, 2, &suites) || !tg_take_vec(&body, 1, &compression) ||
		!tg_view_eq(compression, TG_VIEW("\0")) || !tg_take_whole(body, 2, &exts))
		return false;
	if (!read_suites(out, suites) || !read_extensions(&r, exts))
		return false;
	if (!tg_list16_has(r.versions, TLS13) || !out->schemes.n || !choose_share(&r))
		return false;
	if (out->identities.n)
		out->unbound = (uint32_t)(out->binders.p - 2 - start);
	return !out->identities.n || out->modes;
}
