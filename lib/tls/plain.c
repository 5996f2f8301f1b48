#include "plain.h"

#include "take.h"

/* Tags (X.690 section 8.1.2) */
enum {
	BIT_STRING = 0x03,
	OCTET_STRING = 0x04,
	OID = 0x06,
	UTF8_STRING = 0x0c,
	PRINTABLE_STRING = 0x13,
	IA5_STRING = 0x16,
	UTC_TIME = 0x17,
	GENERALIZED_TIME = 0x18,
	SEQUENCE = 0x30,
	SET = 0x31,
	KEY_ID = 0x80, /* of AuthorityKeyIdentifier */
	EXTENSIONS = 0xa3
};

/* --- DER ----------------------------------------------------------------------------------------
 */

/* A value with this tag, its length definite, written in the fewest bytes (X.690 section 10.1), and
 * below 65536. */
static bool take_der(struct tg_view *v, uint8_t tag, struct tg_view *out)
{
	struct tg_view at = *v;
	uint32_t t, n;

	if (!tg_take_uint(&at, 1, &t) || t != tag || !tg_take_uint(&at, 1, &n))
		return false;
	if (n == 0x81) {
		if (!tg_take_uint(&at, 1, &n) || n < 0x80)
			return false;
	} else if (n == 0x82) {
		if (!tg_take_uint(&at, 2, &n) || n < 0x100)
			return false;
	} else if (n >= 0x80) {
		return false;
	}
	if (!tg_take(&at, n, out))
		return false;
	*v = at;
	return true;
}

/* The same where nothing stands behind it. */
static bool take_last(struct tg_view v, uint8_t tag, struct tg_view *out)
{
	return take_der(&v, tag, out) && v.n == 0;
}

/* The same with its tag and length. */
static bool take_raw(struct tg_view *v, uint8_t tag, struct tg_view *out)
{
	const uint8_t *from = v->p;
	struct tg_view body;

	if (!take_der(v, tag, &body))
		return false;
	*out = tg_view_of(from, (size_t)(v->p - from));
	return true;
}

/* Exactly these bytes. */
static bool take_bytes(struct tg_view *v, struct tg_view want)
{
	struct tg_view got;

	if (!tg_view_has_prefix(*v, want))
		return false;
	return tg_take(v, want.n, &got);
}

/* --- times (RFC 5280 section 4.1.2.5) -----------------------------------------------------------
 */

static bool two_digits(const uint8_t *p, uint32_t min, uint32_t max, uint32_t *out)
{
	uint32_t tens = (uint32_t)p[0] - '0', ones = (uint32_t)p[1] - '0';

	*out = tens * 10 + ones;
	return tens < 10 && ones < 10 && *out >= min && *out <= max;
}

static uint32_t days_of(uint32_t year, uint32_t month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

/* Days from 1970-01-01: all of 400 years have the same number, and a year from March to February
 * has its odd day at the end. */
static int64_t days_since_1970(uint32_t year, uint32_t month, uint32_t day)
{
	uint32_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;

	return (int64_t)(365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1) -
	       719468;
}

/* UTCTime to the year 2049, GeneralizedTime from then on; to the second, in UTC. */
static bool take_time(struct tg_view *v, int64_t *out)
{
	uint32_t year, century, month, day, hour, minute, second;
	struct tg_view t;
	const uint8_t *p;

	if (take_der(v, UTC_TIME, &t)) {
		if (t.n != 13 || !two_digits(t.p, 0, 99, &year))
			return false;
		year += year < 50 ? 2000 : 1900;
		p = t.p + 2;
	} else {
		if (!take_der(v, GENERALIZED_TIME, &t) || t.n != 15 ||
			!two_digits(t.p, 20, 99, &century) || !two_digits(t.p + 2, 0, 99, &year))
			return false;
		year += 100 * century;
		if (year < 2050)
			return false;
		p = t.p + 4;
	}
	if (!two_digits(p, 1, 12, &month) || !two_digits(p + 2, 1, days_of(year, month), &day) ||
		!two_digits(p + 4, 0, 23, &hour) || !two_digits(p + 6, 0, 59, &minute) ||
		!two_digits(p + 8, 0, 59, &second) || p[10] != 'Z')
		return false;
	*out = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
	return true;
}

/* --- names (section 4.1.2.4) --------------------------------------------------------------------
 */

/* Attribute types (X.520: 2.5.4.n), and what RFC 2253, or OpenSSL, calls them. */
static const struct {
	uint8_t n;
	const char *name;
} attributes[] = {
	{3, "CN"}, {5, "serialNumber"}, {6, "C"}, {7, "L"}, {8, "ST"}, {10, "O"}, {11, "OU"}};

static const char *attribute_name(uint8_t n)
{
	for (uint32_t i = 0; i < TG_ARRAY_LEN(attributes); i++)
		if (attributes[i].n == n)
			return attributes[i].name;
	return NULL;
}

/* Bytes that RFC 2253 section 2.4 does not escape, wherever they stand. */
static bool is_simple(uint8_t c)
{
	return (uint8_t)((c | 0x20) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-' ||
	       c == '.' || c == '/' || c == ':' || c == '_' || c == '@';
}

/* Spaces stand alone, and between other bytes, so that section 7.1 leaves them as they are. */
static bool text_ok(struct tg_view v)
{
	for (uint32_t i = 0; i < v.n; i++)
		if (!is_simple(v.p[i]) &&
			(v.p[i] != ' ' || i == 0 || i + 1 == v.n || v.p[i - 1] == ' '))
			return false;
	return v.n > 0;
}

/* The next attribute of a Name's content. */
static bool take_attribute(struct tg_view *rdns, uint8_t *type, struct tg_view *value)
{
	struct tg_view set, one, oid;

	if (!take_der(rdns, SET, &set) || !take_last(set, SEQUENCE, &one) ||
		!take_der(&one, OID, &oid) || oid.n != 3 || oid.p[0] != 0x55 || oid.p[1] != 4 ||
		!attribute_name(oid.p[2]))
		return false;
	*type = oid.p[2];
	return (take_last(one, UTF8_STRING, value) || take_last(one, PRINTABLE_STRING, value) ||
		       take_last(one, IA5_STRING, value)) &&
	       text_ok(*value);
}

bool tg_plain_name(struct tg_view name)
{
	struct tg_view rdns, value;
	uint8_t type;

	if (!take_last(name, SEQUENCE, &rdns))
		return false;
	while (rdns.n)
		if (!take_attribute(&rdns, &type, &value))
			return false;
	return true;
}

bool tg_plain_differ(struct tg_view a, struct tg_view b)
{
	struct tg_view va = TG_VIEW_NONE, vb = TG_VIEW_NONE;
	uint8_t ta, tb;

	if (!take_last(a, SEQUENCE, &a) || !take_last(b, SEQUENCE, &b))
		return false;
	while (a.n && b.n) {
		if (!take_attribute(&a, &ta, &va) || !take_attribute(&b, &tb, &vb))
			return false;
		if (ta != tb || !tg_view_eq_nocase(va, vb))
			return true;
	}
	return a.n != b.n;
}

/* The last attribute comes first. */
bool tg_plain_text(struct tg_view name, char out[static TG_PLAIN_SUBJECT_MAX], uint32_t *n)
{
	uint32_t at = TG_PLAIN_SUBJECT_MAX - 1; /* written from the end */
	struct tg_view rdns, value;
	uint8_t type;

	if (!take_last(name, SEQUENCE, &rdns))
		return false;
	while (rdns.n) {
		const char *key;
		uint32_t n_key;

		if (!take_attribute(&rdns, &type, &value))
			return false;
		key = attribute_name(type);
		n_key = (uint32_t)strlen(key);
		if (n_key + value.n + 2 > at)
			return false;
		if (at < TG_PLAIN_SUBJECT_MAX - 1)
			out[--at] = ',';
		at -= value.n;
		memcpy(out + at, value.p, value.n);
		out[--at] = '=';
		at -= n_key;
		memcpy(out + at, key, n_key);
	}
	*n = TG_PLAIN_SUBJECT_MAX - 1 - at;
	memmove(out, out + at, *n);
	out[*n] = 0;
	return true;
}

/* --- extensions (section 4.2.1) -----------------------------------------------------------------
 */

/* Section 4.2.1.9. A CA, and a leaf that spells out the default, are not plain. */
static bool read_constraints(struct tg_view v, struct tg_plain *c)
{
	struct tg_view body;

	(void)c;
	return take_last(v, SEQUENCE, &body) && body.n == 0;
}

/* Section 4.2.1.3: digitalSignature (bit 0) and neither keyCertSign (5) nor cRLSign (6), in one
 * byte whose last used bit is set (X.690 section 11.2.2). */
static bool read_usage(struct tg_view v, struct tg_plain *c)
{
	struct tg_view bits;
	uint32_t unused, b;

	(void)c;
	if (!take_last(v, BIT_STRING, &bits) || bits.n != 2)
		return false;
	unused = bits.p[0];
	b = bits.p[1];
	return unused < 8 && (b & 0x80) && !(b & 0x06) &&
	       (b & ((2u << unused) - 1)) == 1u << unused;
}

/* Section 4.2.1.12: id-kp (1.3.6.1.5.5.7.3) purposes, clientAuth (2) among them. */
static bool read_purposes(struct tg_view v, struct tg_plain *c)
{
	static const struct tg_view id_kp = TG_VIEW_OF("\x2b\x06\x01\x05\x05\x07\x03");
	struct tg_view all, oid;
	bool client = false;

	(void)c;
	if (!take_last(v, SEQUENCE, &all))
		return false;
	while (all.n) {
		if (!take_der(&all, OID, &oid) || oid.n != id_kp.n + 1 ||
			!tg_view_has_prefix(oid, id_kp) || oid.p[id_kp.n] >= 0x80)
			return false;
		client |= oid.p[id_kp.n] == 2;
	}
	return client;
}

static bool is_visible(struct tg_view v)
{
	for (uint32_t i = 0; i < v.n; i++)
		if (v.p[i] < 0x21 || v.p[i] > 0x7e)
			return false;
	return v.n > 0;
}

/* Section 4.2.1.6 */
static bool read_names(struct tg_view v, struct tg_plain *c)
{
	struct tg_view all, name;

	if (!take_last(v, SEQUENCE, &all) || !all.n)
		return false;
	c->names = all;
	while (all.n) {
		uint8_t type = all.p[0];

		if (!take_der(&all, type, &name))
			return false;
		if (type == TG_PLAIN_IP ? name.n != 4 && name.n != 16
					: (type != TG_PLAIN_URI && type != TG_PLAIN_DNS) ||
						  !is_visible(name))
			return false;
		c->n_uri += type == TG_PLAIN_URI;
	}
	return true;
}

bool tg_plain_next(struct tg_view *names, uint8_t *type, struct tg_view *name)
{
	if (!names->n)
		return false;
	*type = names->p[0];
	return take_der(names, *type, name);
}

/* Section 4.2.1.2 */
static bool read_key_id(struct tg_view v, struct tg_plain *c)
{
	return take_last(v, OCTET_STRING, &c->key_id) && c->key_id.n > 0;
}

/* Section 4.2.1.1, without the issuer's name and serial number. */
static bool read_issuer_key_id(struct tg_view v, struct tg_plain *c)
{
	struct tg_view body;

	return take_last(v, SEQUENCE, &body) && take_last(body, KEY_ID, &c->issuer_key_id) &&
	       c->issuer_key_id.n > 0;
}

/* All that there may be: id-ce (2.5.29) n. OpenSSL does not take some of them if they are
 * critical. */
static const struct {
	uint8_t n;
	bool never_critical;
	bool (*read)(struct tg_view v, struct tg_plain *c);
} extensions[] = {{14, true, read_key_id}, {15, false, read_usage}, {17, false, read_names},
	{19, false, read_constraints}, {35, true, read_issuer_key_id}, {37, false, read_purposes}};
#define USAGE (1u << 15)

/* One extension, whose number is added to `seen`. */
static bool take_extension(struct tg_view *all, struct tg_plain *c, uint64_t *seen)
{
	static const struct tg_view critical = TG_VIEW_OF("\x01\x01\xff");
	struct tg_view one, oid, value;
	bool is_critical;

	if (!take_der(all, SEQUENCE, &one) || !take_der(&one, OID, &oid) || oid.n != 3 ||
		oid.p[0] != 0x55 || oid.p[1] != 0x1d)
		return false;
	is_critical = take_bytes(&one, critical);
	if (!take_last(one, OCTET_STRING, &value))
		return false;
	for (uint32_t i = 0; i < TG_ARRAY_LEN(extensions); i++) {
		uint8_t n = extensions[i].n;

		if (n != oid.p[2])
			continue;
		if ((*seen & 1ull << n) || (is_critical && extensions[i].never_critical))
			return false;
		*seen |= 1ull << n;
		return extensions[i].read(value, c);
	}
	return false;
}

static bool read_extensions(struct tg_view v, struct tg_plain *c)
{
	uint64_t seen = 0;
	struct tg_view all;

	if (!take_last(v, SEQUENCE, &all))
		return false;
	while (all.n)
		if (!take_extension(&all, c, &seen))
			return false;
	return seen & USAGE;
}

/* --- the certificate (section 4.1) --------------------------------------------------------------
 */

static const struct tg_view version3 = TG_VIEW_OF("\xa0\x03\x02\x01\x02");
/* ecdsa-with-SHA256 (RFC 5758 section 3.2) */
static const struct tg_view ecdsa_sha256 =
	TG_VIEW_OF("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02");
/* SubjectPublicKeyInfo of P-256 (RFC 5480 sections 2.1.1 and 2.2), to the point: not compressed. */
static const struct tg_view p256 = TG_VIEW_OF(
	"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03"
	"\x01\x07\x03\x42\x00\x04");

/* Section 4.1.2.2: positive, at most 20 bytes, the fewest (X.690 section 8.3.2). */
static bool take_serial(struct tg_view *v)
{
	struct tg_view n;

	return take_der(v, 0x02, &n) && n.n >= 1 && n.n <= 20 && n.p[0] < 0x80 &&
	       (n.p[0] || (n.n > 1 && n.p[1] >= 0x80));
}

static bool take_validity(struct tg_view *v, struct tg_plain *c)
{
	struct tg_view both;

	return take_der(v, SEQUENCE, &both) && take_time(&both, &c->not_before) &&
	       take_time(&both, &c->not_after) && both.n == 0;
}

static bool take_key(struct tg_view *v, struct tg_plain *c)
{
	struct tg_view rest;

	if (!take_bytes(v, p256) || !tg_take(v, TG_PLAIN_POINT - 1, &rest))
		return false;
	c->point = rest.p - 1;
	return true;
}

static bool read_signed(struct tg_view v, struct tg_plain *c)
{
	struct tg_view exts;

	return take_bytes(&v, version3) && take_serial(&v) && take_bytes(&v, ecdsa_sha256) &&
	       take_raw(&v, SEQUENCE, &c->issuer) && tg_plain_name(c->issuer) &&
	       take_validity(&v, c) && take_raw(&v, SEQUENCE, &c->subject) &&
	       tg_plain_name(c->subject) && take_key(&v, c) && take_last(v, EXTENSIONS, &exts) &&
	       read_extensions(exts, c);
}

bool tg_plain_read(struct tg_view der, struct tg_plain *c)
{
	struct tg_view all, body, sig;

	memset(c, 0, sizeof(*c));
	if (der.n > TG_PLAIN_MAX || !take_last(der, SEQUENCE, &all) ||
		!take_raw(&all, SEQUENCE, &c->signed_part) || !take_bytes(&all, ecdsa_sha256) ||
		!take_last(all, BIT_STRING, &sig) || sig.n < 2 || sig.p[0] != 0)
		return false;
	c->signature = tg_view_of(sig.p + 1, sig.n - 1);
	return take_last(c->signed_part, SEQUENCE, &body) && read_signed(body, c);
}
