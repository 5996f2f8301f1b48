/* The reader of plain certificates (plain.h), one field after the other: what it takes is what it
 * says that it takes, and nothing that OpenSSL refuses (admitting.h). */
#include "../tgtest.h"
#include "admitting.h"

/* --- one field after the other ------------------------------------------------------------------
 */

static void the_plain_one(void)
{
	struct der_cert c = leaf();
	struct der d, empty = {.n = 0};

	open_all();
	c = leaf();
	expect_cert("both", "plain", &c);
	der_sign(&d, &c, other_key);
	expect("none", "signed by another", of(&d));
	der_wrap(&empty, 0x30, TG_VIEW_NONE);
	c.subject = of(&empty);
	expect_cert("both", "no subject", &c);
	c = leaf();
	c.tail = TG_VIEW("\0");
	expect_cert("none", "a byte behind it", &c);
	close_all();
}

/* For each, one part is replaced. */
static void fields(void)
{
	static const struct {
		const char *want, *what;
		size_t part;
		struct tg_view with;
	} cases[] = {
#define PART(name) offsetof(struct der_cert, name)
		{"none", "no version", PART(version), TG_VIEW_OF("")},
		{"none", "version 1", PART(version), TG_VIEW_OF("\xa0\x03\x02\x01\x00")},
		{"none", "version 2", PART(version), TG_VIEW_OF("\xa0\x03\x02\x01\x01")},
		{"none", "version 4", PART(version), TG_VIEW_OF("\xa0\x03\x02\x01\x03")},
		{"none", "version -1", PART(version), TG_VIEW_OF("\xa0\x03\x02\x01\xff")},
		{"none", "version padded", PART(version), TG_VIEW_OF("\xa0\x04\x02\x02\x00\x02")},
		{"none", "serial 0", PART(serial), TG_VIEW_OF("\x02\x01\x00")},
		{"both", "serial 1", PART(serial), TG_VIEW_OF("\x02\x01\x01")},
		{"both", "serial 128", PART(serial), TG_VIEW_OF("\x02\x02\x00\x80")},
		{"none", "serial padded", PART(serial), TG_VIEW_OF("\x02\x02\x00\x7f")},
		{"none", "serial negative", PART(serial), TG_VIEW_OF("\x02\x01\x80")},
		{"none", "serial empty", PART(serial), TG_VIEW_OF("\x02\x00")},
		{"none", "no serial", PART(serial), TG_VIEW_OF("")},
		{"both", "serial of 20 bytes", PART(serial),
			TG_VIEW_OF("\x02\x14"
				   "abcdefghijklmnopqrst")},
		{"none", "serial of 21 bytes", PART(serial),
			TG_VIEW_OF("\x02\x15"
				   "abcdefghijklmnopqrstu")},
		{"none", "serial of another type", PART(serial), TG_VIEW_OF("\x0a\x01\x01")},
		{"none", "serial's length in two bytes", PART(serial),
			TG_VIEW_OF("\x02\x81\x01\x01")},
		{"none", "serial's length negative", PART(serial), TG_VIEW_OF("\x02\xff\x01")},
		{"none", "serial's length huge", PART(serial),
			TG_VIEW_OF("\x02\x84\xff\xff\xff\xff\x01")},
		{"none", "serial's length of 8 bytes", PART(serial),
			TG_VIEW_OF("\x02\x88\x00\x00\x00\x00\x00\x00\x00\x01\x01")},
		{"none", "no algorithm", PART(alg), TG_VIEW_OF("")},
		{"none", "other algorithm within", PART(alg),
			TG_VIEW_OF("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03")},
		{"none", "other algorithm outside", PART(outer_alg),
			TG_VIEW_OF("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03")},
		{"none", "SHA-1 outside", PART(outer_alg),
			TG_VIEW_OF("\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01")},
		{"none", "NULL parameter within", PART(alg),
			TG_VIEW_OF("\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x05\x00")},
		{"none", "NULL parameter outside", PART(outer_alg),
			TG_VIEW_OF("\x30\x0c\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x05\x00")},
		{"none", "no issuer", PART(issuer), TG_VIEW_OF("")},
		{"none", "empty issuer", PART(issuer), TG_VIEW_OF("\x30\x00")},
		{"none", "no validity", PART(validity), TG_VIEW_OF("")},
		{"none", "empty validity", PART(validity), TG_VIEW_OF("\x30\x00")},
		{"none", "no subject at all", PART(subject), TG_VIEW_OF("")},
		{"none", "subject of another type", PART(subject), TG_VIEW_OF("\x31\x00")},
		{"none", "no key", PART(key), TG_VIEW_OF("")},
		{"none", "no extensions", PART(exts), TG_VIEW_OF("")},
		{"none", "issuer's unique ID", PART(more), TG_VIEW_OF("\x81\x02\x00\x01")},
		{"none", "subject's unique ID", PART(more), TG_VIEW_OF("\x82\x02\x00\x01")},
		{"none", "something between", PART(more), TG_VIEW_OF("\x05\x00")},
		{"none", "a NULL behind it", PART(tail), TG_VIEW_OF("\x05\x00")},
#undef PART
	};
	struct der_cert c;

	open_all();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		c = leaf();
		memcpy((char *)&c + cases[i].part, &cases[i].with, sizeof(struct tg_view));
		expect_cert(cases[i].want, cases[i].what, &c);
	}
	for (uint8_t unused = 1; unused < 9; unused++) {
		c = leaf();
		c.unused = unused;
		expect_cert("none", "a signature with unused bits", &c);
	}
	close_all();
}

static void times(void)
{
	static const struct {
		const char *want, *what, *both; /* the two times, one behind the other */
	} cases[] = {
		{"both", "the usual", "\x17\r700101000000Z\x17\r491231235959Z"},
		{"both", "GeneralizedTime",
			"\x17\r500101000000Z\x18\x0f"
			"20500101000000Z"},
		{"both", "no end (RFC 5280 4.1.2.5)",
			"\x17\r700101000000Z\x18\x0f"
			"99991231235959Z"},
		{"none", "GeneralizedTime too early",
			"\x17\r700101000000Z\x18\x0f"
			"20491231235959Z"},
		{"none", "before 1970", "\x17\r500101000000Z\x17\r690101000000Z"},
		{"both", "on a 29th", "\x17\r240229000000Z\x17\r480229000000Z"},
		{"none", "on no 29th", "\x17\r230229000000Z\x17\r480229000000Z"},
		{"none", "on no 29th, 2100",
			"\x17\r230228000000Z\x18\x0f"
			"21000229000000Z"},
		{"none", "on a 31st", "\x17\r230431000000Z\x17\r480229000000Z"},
		{"none", "on a 0th", "\x17\r230400000000Z\x17\r480229000000Z"},
		{"none", "month 0", "\x17\r230001000000Z\x17\r480229000000Z"},
		{"none", "month 13", "\x17\r231301000000Z\x17\r480229000000Z"},
		{"none", "hour 24", "\x17\r230101240000Z\x17\r480229000000Z"},
		{"none", "minute 60", "\x17\r230101006000Z\x17\r480229000000Z"},
		{"none", "second 60", "\x17\r230101000060Z\x17\r480229000000Z"},
		{"none", "no seconds",
			"\x17\x0b"
			"2301010000Z\x17\r480229000000Z"},
		{"none", "fractions",
			"\x18\x11"
			"20230101000000.5Z\x17\r480229000000Z"},
		{"none", "another zone",
			"\x17\x11"
			"230101000000+0000\x17\r480229000000Z"},
		{"none", "no zone",
			"\x17\x0c"
			"230101000000\x17\r480229000000Z"},
		{"none", "small z", "\x17\r230101000000z\x17\r480229000000Z"},
		{"none", "no digit", "\x17\r23010100000:Z\x17\r480229000000Z"},
		{"none", "a sign", "\x17\r+30101000000Z\x17\r480229000000Z"},
		{"none", "another string", "\x16\r230101000000Z\x17\r480229000000Z"},
		{"none", "three times",
			"\x17\r230101000000Z\x17\r480229000000Z\x17\r480229000000Z"},
		{"none", "one time", "\x17\r230101000000Z"},
		{"none", "the wrong order", "\x17\r480229000000Z\x17\r230101000000Z"},
	};
	static const struct {
		const char *want;
		int64_t from, to;
	} borders[] = {{"both", 0, 1}, {"none", 0, 0}, {"none", 1, 2}, {"both", -1, 1},
		{"none", -1, 0}, {"none", -2, -1}, {"both", -1, 86399}, {"both", -1, 86400},
		{"both", -86400, 1}, {"none", 2, 1}};
	struct der d = {.n = 0};
	struct der_cert c;

	open_all();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		d.n = 0;
		der_wrap(&d, 0x30, tg_view_str(cases[i].both));
		c = leaf();
		c.validity = of(&d);
		expect_cert(cases[i].want, cases[i].what, &c);
	}
	for (uint32_t i = 0; i < TG_ARRAY_LEN(borders); i++) {
		d.n = 0;
		der_validity(&d, lab.now + borders[i].from, lab.now + borders[i].to);
		c = leaf();
		c.validity = of(&d);
		expect_cert(borders[i].want, "at a border", &c);
	}
	close_all();
}

static void subjects(void)
{
	static const struct {
		const char *want;
		uint8_t type, tag;
		const char *value;
	} cases[] = {{"both", 3, 0x0c, "a"}, {"both", 3, 0x13, "a"}, {"both", 3, 0x16, "a"},
		{"both", 6, 0x13, "US"}, {"both", 10, 0x0c, "SPIRE"}, {"both", 5, 0x13, "12:34"},
		{"both", 7, 0x0c, "Bonn"}, {"both", 8, 0x0c, "NRW"},
		{"both", 11, 0x0c, "a b c/d_e@f.g-h"}, {"none", 12, 0x0c, "title"},
		{"none", 3, 0x14, "T61"}, {"none", 3, 0x1e, "BMP!"}, {"none", 3, 0x1c, "four"},
		{"none", 3, 0x04, "octets"}, {"none", 3, 0x12, "123"}, {"none", 3, 0x0c, ""},
		{"none", 3, 0x0c, " a"}, {"none", 3, 0x0c, "a "}, {"none", 3, 0x0c, "a  b"},
		{"none", 3, 0x0c, "a,b"}, {"none", 3, 0x0c, "#a"}, {"none", 3, 0x0c, "a+b"},
		{"none", 3, 0x0c, "a\\b"}, {"none", 3, 0x0c, "a\tb"}, {"none", 3, 0x0c, "\xc3\xa4"},
		{"none", 3, 0x13, "\xe4"}, {"none", 3, 0x0c, "\xff"}, {"none", 3, 0x0c, "a\"b"},
		{"none", 3, 0x0c, "a<b"}, {"none", 3, 0x0c, "a;b"},
		{"none", 10, 0x0c, "Example Root"}, {"none", 10, 0x13, "Example Root"},
		{"none", 10, 0x0c, "EXAMPLE ROOT"}, {"none", 10, 0x0c, "Example  Root"},
		{"both", 3, 0x0c, "Example Root"}, {"both", 10, 0x0c, "Example Roo"},
		{"both", 10, 0x0c, "Example-Root"}};
	struct der d = {.n = 0}, two = {.n = 0}, body = {.n = 0};
	struct der_cert c;

	open_all();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		d.n = 0;
		der_name(&d, cases[i].type, cases[i].tag, cases[i].value);
		c = leaf();
		c.subject = of(&d);
		expect_cert(cases[i].want, cases[i].value, &c);
	}
	/* Two attributes, one behind the other; the first is the CA's. */
	der_put(&body, tg_view_of(ca_name.b + 2, ca_name.n - 2));
	der_put(&body, tg_view_of(leaf_name.b + 2, leaf_name.n - 2));
	der_wrap(&two, 0x30, of(&body));
	c.subject = of(&two);
	expect_cert("both", "two attributes", &c);
	c.issuer = of(&two);
	expect_cert("none", "another issuer", &c);
	/* Both in one set. */
	body.n = two.n = 0;
	der_put(&body, tg_view_of(ca_name.b + 4, ca_name.n - 4));
	der_put(&body, tg_view_of(leaf_name.b + 4, leaf_name.n - 4));
	d.n = 0;
	der_wrap(&d, 0x31, of(&body));
	der_wrap(&two, 0x30, of(&d));
	c = leaf();
	c.subject = of(&two);
	expect_cert("none", "a set of two", &c);
	/* Very long ones. */
	for (uint32_t n = 300; n < 1200; n += 61) {
		char text[1201];

		memset(text, 'x', n);
		text[n] = 0;
		d.n = 0;
		der_name(&d, 3, 0x0c, text);
		c.subject = of(&d);
		expect_cert(n + 5 < TG_PLAIN_SUBJECT_MAX ? "both" : "none", "long", &c);
	}
	close_all();
}

static void keys(void)
{
	static const uint8_t infinity[] = POINT_HEAD;
	static const char *const kinds[] = {"P-384", "P-521", "secp256k1"};
	struct der_cert c;
	struct der d;

	open_all();
	c = leaf();
	for (uint32_t i = 0; i < 65; i++) { /* on no curve, or of another form */
		d = leaf_spki;
		d.b[sizeof(infinity) - 1 + i] ^= 1;
		c.key = of(&d);
		expect_cert("none", "another point", &c);
	}
	for (uint32_t i = 0; i < sizeof(infinity) - 1; i++) {
		d = leaf_spki;
		d.b[i] ^= 1;
		c.key = of(&d);
		expect_cert("none", "another head", &c);
	}
	d = leaf_spki;
	memset(d.b + sizeof(infinity), 0, 64);
	c.key = of(&d);
	expect_cert("none", "0, 0", &c);
	memset(d.b + sizeof(infinity), 0xff, 64);
	expect_cert("none", "too large", &c);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(kinds); i++) {
		EVP_PKEY *key = EVP_EC_gen(kinds[i]);

		spki_of(&d, key);
		c.key = of(&d);
		expect_cert("none", kinds[i], &c);
		EVP_PKEY_free(key);
	}
	close_all();
}

/* --- extensions ---------------------------------------------------------------------------------
 */

static void expect_ext(
	const char *want, const char *what, uint8_t n, bool critical, struct tg_view v)
{
	struct der_cert c = leaf();
	struct der d;

	leaf_exts_but(&d, n, critical, v);
	c.exts = of(&d);
	expect_cert(want, what, &c);
}

static void extensions(void)
{
	static const struct {
		const char *want, *what;
		uint8_t n;
		bool critical;
		struct tg_view value;
	} cases[] = {
		{"none", "no usage", USAGE, true, TG_VIEW_OF("")},
		{"both", "usage not critical", USAGE, false, TG_VIEW_OF("\x03\x02\x07\x80")},
		{"none", "usage: nothing", USAGE, true, TG_VIEW_OF("\x03\x01\x00")},
		{"none", "usage: empty", USAGE, true, TG_VIEW_OF("\x03\x00")},
		{"none", "usage: two bytes", USAGE, true, TG_VIEW_OF("\x03\x03\x07\x80\x80")},
		{"none", "usage: more behind", USAGE, true, TG_VIEW_OF("\x03\x02\x07\x80\x00")},
		{"none", "usage: no bits", USAGE, true, TG_VIEW_OF("\x04\x02\x07\x80")},
		{"both", "no purposes", PURPOSES, false, TG_VIEW_OF("")},
		{"both", "purposes critical", PURPOSES, true, TG_VIEW_OF(CLIENT_AUTH)},
		{"none", "purposes: none", PURPOSES, false, TG_VIEW_OF("\x30\x00")},
		{"none", "purposes: server", PURPOSES, false,
			TG_VIEW_OF("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01")},
		{"both", "purposes: both", PURPOSES, false,
			TG_VIEW_OF("\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01"
				   "\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02")},
		{"none", "purposes: any", PURPOSES, false,
			TG_VIEW_OF("\x30\x06\x06\x04\x55\x1d\x25\x00")},
		{"none", "purposes: a set", PURPOSES, false,
			TG_VIEW_OF("\x31\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02")},
		{"none", "purposes: cut", PURPOSES, false,
			TG_VIEW_OF("\x30\x09\x06\x08\x2b\x06\x01\x05\x05\x07\x03")},
		{"both", "no constraints", CONSTRAINTS, true, TG_VIEW_OF("")},
		{"both", "constraints not critical", CONSTRAINTS, false, TG_VIEW_OF("\x30\x00")},
		{"none", "a CA", CONSTRAINTS, true, TG_VIEW_OF("\x30\x03\x01\x01\xff")},
		{"none", "a CA in BER", CONSTRAINTS, true, TG_VIEW_OF("\x30\x03\x01\x01\x01")},
		{"none", "no CA, spelt out", CONSTRAINTS, true, TG_VIEW_OF("\x30\x03\x01\x01\x00")},
		{"none", "a path length", CONSTRAINTS, true, TG_VIEW_OF("\x30\x03\x02\x01\x00")},
		{"none", "constraints: empty", CONSTRAINTS, true, TG_VIEW_OF("\x05\x00")},
		{"none", "constraints: more behind", CONSTRAINTS, true, TG_VIEW_OF("\x30\x00\x00")},
		{"both", "no key id", SUBJECT_KEY, false, TG_VIEW_OF("")},
		{"none", "key id critical", SUBJECT_KEY, true, TG_VIEW_OF(KEY_ID)},
		{"none", "key id empty", SUBJECT_KEY, false, TG_VIEW_OF("\x04\x00")},
		{"none", "key id of another type", SUBJECT_KEY, false,
			TG_VIEW_OF("\x03\x02\x00\x01")},
		{"both", "no issuer key id", ISSUER_KEY, false, TG_VIEW_OF("")},
		{"none", "issuer key id critical", ISSUER_KEY, true, TG_VIEW_OF(ISSUER_KEY_ID)},
		{"none", "issuer key id empty", ISSUER_KEY, false, TG_VIEW_OF("\x30\x02\x80\x00")},
		{"none", "issuer key id without one", ISSUER_KEY, false, TG_VIEW_OF("\x30\x00")},
		{"none", "another issuer key", ISSUER_KEY, false,
			TG_VIEW_OF("\x30\x06\x80\x04"
				   "cccd")},
		{"none", "a longer issuer key", ISSUER_KEY, false,
			TG_VIEW_OF("\x30\x07\x80\x05"
				   "ccccc")},
		{"none", "issuer's serial", ISSUER_KEY, false,
			TG_VIEW_OF("\x30\x09\x80\x04"
				   "cccc\x82\x01\x01")},
		{"plain", "no names", NAMES, true, TG_VIEW_OF("")},
		{"both", "names not critical", NAMES, false,
			TG_VIEW_OF("\x30\x1b\x86\x19spiffe://mesh.example/web")},
		{"none", "names: none", NAMES, true, TG_VIEW_OF("\x30\x00")},
		{"plain", "two URIs", NAMES, true,
			TG_VIEW_OF("\x30\x32\x86\x19spiffe://mesh.example/web"
				   "\x86\x15spiffe://mesh.ex/web1")},
		{"both", "URI and DNS", NAMES, true,
			TG_VIEW_OF("\x30\x22\x82\x05"
				   "a.b.c\x86\x19spiffe://mesh.example/web")},
		{"both", "two DNS names", NAMES, true,
			TG_VIEW_OF("\x30\x26\x82\x05"
				   "a.b.c\x86\x19spiffe://mesh.example/web\x82\x02"
				   "dd")},
		{"both", "URI and IPv4", NAMES, true,
			TG_VIEW_OF("\x30\x21\x86\x19spiffe://mesh.example/web\x87\x04"
				   "\x7f\x00\x00\x01")},
		{"both", "URI and IPv6", NAMES, true,
			TG_VIEW_OF("\x30\x2d\x86\x19spiffe://mesh.example/web\x87\x10"
				   "0123456789abcdef")},
		{"none", "IP of 5 bytes", NAMES, true,
			TG_VIEW_OF("\x30\x22\x86\x19spiffe://mesh.example/web\x87\x05"
				   "\x7f\x00\x00\x01\x01")},
		{"none", "a mail address", NAMES, true,
			TG_VIEW_OF("\x30\x20\x86\x19spiffe://mesh.example/web\x81\x03"
				   "a@b")},
		{"none", "another name", NAMES, true,
			TG_VIEW_OF("\x30\x20\x86\x19spiffe://mesh.example/web\x88\x03"
				   "\x2a\x03\x04")},
		{"none", "an empty URI", NAMES, true, TG_VIEW_OF("\x30\x02\x86\x00")},
		{"none", "an empty DNS name", NAMES, true,
			TG_VIEW_OF("\x30\x1d\x86\x19spiffe://mesh.example/web\x82\x00")},
		{"none", "a space", NAMES, true,
			TG_VIEW_OF("\x30\x1b\x86\x19spiffe://mesh.example/ eb")},
		{"none", "a zero", NAMES, true,
			TG_VIEW_OF("\x30\x1b\x86\x19spiffe://mesh.example/\0eb")},
		{"none", "no ASCII", NAMES, true,
			TG_VIEW_OF("\x30\x1b\x86\x19spiffe://mesh.example/\xc3\xa4"
				   "b")},
		{"plain", "a port", NAMES, true,
			TG_VIEW_OF("\x30\x1b\x86\x19spiffe://mesh.example:1/w")},
		{"plain", "no path", NAMES, true,
			TG_VIEW_OF("\x30\x17\x86\x15spiffe://mesh.example")},
		{"plain", "a slash at the end", NAMES, true,
			TG_VIEW_OF("\x30\x1b\x86\x19spiffe://mesh.example/we/")},
		{"plain", "capitals", NAMES, true,
			TG_VIEW_OF("\x30\x1b\x86\x19spiffe://Mesh.example/web")},
		{"plain", "a web page", NAMES, true,
			TG_VIEW_OF("\x30\x1b\x86\x19https://mesh.example/webb")},
		{"plain", "another trust domain", NAMES, true,
			TG_VIEW_OF("\x30\x1b\x86\x19spiffe://mesh.examplf/web")},
		{"none", "URI cut", NAMES, true,
			TG_VIEW_OF("\x30\x1b\x86\x1aspiffe://mesh.example/web")},
		{"none", "constructed URI", NAMES, true,
			TG_VIEW_OF("\x30\x1d\xa6\x1b\x16\x19spiffe://mesh.example/web")},
	};

	open_all();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(cases); i++)
		expect_ext(cases[i].want, cases[i].what, cases[i].n, cases[i].critical,
			cases[i].value);
	/* All usages of a byte, written as they should be, and with each number of unused bits. */
	for (uint32_t b = 1; b < 256; b++)
		for (uint8_t unused = 0; unused < 8; unused++) {
			uint8_t v[] = {3, 2, unused, (uint8_t)b};
			bool der = unused == (uint32_t)__builtin_ctz(b);

			if (der || b == 0x80 || b == 0x88 || b == 0x81)
				expect_ext(der && (b & 0x80) && !(b & 6) ? "both" : "none", "usage",
					USAGE, true, tg_view_of(v, 4));
		}
	close_all();
}

/* Extensions added to those of the plain one. */
static void more_extensions(void)
{
	static const struct {
		const char *what;
		struct tg_view oid, value;
	} cases[] = {
		{"name constraints", TG_VIEW_OF("\x55\x1d\x1e"), TG_VIEW_OF("\x30\x00")},
		{"policies", TG_VIEW_OF("\x55\x1d\x20"),
			TG_VIEW_OF("\x30\x06\x30\x04\x06\x02\x2a\x03")},
		{"policy mappings", TG_VIEW_OF("\x55\x1d\x21"), TG_VIEW_OF("\x30\x00")},
		{"policy constraints", TG_VIEW_OF("\x55\x1d\x24"),
			TG_VIEW_OF("\x30\x03\x80\x01\x00")},
		{"inhibit any policy", TG_VIEW_OF("\x55\x1d\x36"), TG_VIEW_OF("\x02\x01\x00")},
		{"issuer's names", TG_VIEW_OF("\x55\x1d\x12"),
			TG_VIEW_OF("\x30\x03\x82\x01"
				   "a")},
		{"CRL points", TG_VIEW_OF("\x55\x1d\x1f"), TG_VIEW_OF("\x30\x00")},
		{"freshest CRL", TG_VIEW_OF("\x55\x1d\x2e"), TG_VIEW_OF("\x30\x00")},
		{"proxy", TG_VIEW_OF("\x2b\x06\x01\x05\x05\x07\x01\x0e"),
			TG_VIEW_OF("\x30\x0c\x30\x0a"
				   "\x06\x08\x2b\x06\x01\x05\x05\x07\x15\x01")},
		{"issuer's addresses", TG_VIEW_OF("\x2b\x06\x01\x05\x05\x07\x01\x01"),
			TG_VIEW_OF("\x30\x00")},
		{"TLS features", TG_VIEW_OF("\x2b\x06\x01\x05\x05\x07\x01\x18"),
			TG_VIEW_OF("\x30\x03\x02\x01\x05")},
		{"IP blocks", TG_VIEW_OF("\x2b\x06\x01\x05\x05\x07\x01\x07"),
			TG_VIEW_OF("\x30\x00")},
		{"Netscape's type", TG_VIEW_OF("\x60\x86\x48\x01\x86\xf8\x42\x01\x01"),
			TG_VIEW_OF("\x03\x02\x07\x80")},
		{"poison", TG_VIEW_OF("\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x03"),
			TG_VIEW_OF("\x05\x00")},
		{"unknown", TG_VIEW_OF("\x2a\x03\x04"), TG_VIEW_OF("\x05\x00")},
		{"unknown of id-ce", TG_VIEW_OF("\x55\x1d\x3f"), TG_VIEW_OF("\x05\x00")},
		{"far above", TG_VIEW_OF("\x55\x1d\xff"), TG_VIEW_OF("\x05\x00")},
		{"a longer id-ce", TG_VIEW_OF("\x55\x1d\x0f\x01"), TG_VIEW_OF("\x03\x02\x07\x80")},
		{"no identifier", TG_VIEW_OF(""), TG_VIEW_OF("\x05\x00")},
	};
	static const struct tg_view flags[] = {TG_VIEW_OF(""), TG_VIEW_OF("\x01\x01\xff"),
		TG_VIEW_OF("\x01\x01\x00"), TG_VIEW_OF("\x01\x01\x01"), TG_VIEW_OF("\x01\x00"),
		TG_VIEW_OF("\x01\x02\xff\xff"), TG_VIEW_OF("\x01\x01\xff\x01\x01\xff")};
	static const uint8_t known[] = {
		USAGE, NAMES, CONSTRAINTS, PURPOSES, SUBJECT_KEY, ISSUER_KEY};
	struct der_cert c;
	struct der d;

	open_all();
	c = leaf();
	for (uint32_t i = 0; i < TG_ARRAY_LEN(cases); i++)
		for (uint32_t k = 0; k < 2; k++) {
			d = leaf_exts;
			der_ext_of(&d, cases[i].oid, flags[k], cases[i].value);
			c.exts = of(&d);
			expect_cert("none", cases[i].what, &c);
		}
	for (uint32_t i = 0; i < TG_ARRAY_LEN(known); i++) { /* twice: the same once more */
		struct tg_view all = of(&leaf_exts);

		d = leaf_exts;
		while (all.n) {
			struct tg_view one = {all.p, all.p[1] + 2u};

			if (one.p[6] == known[i])
				der_put(&d, one);
			all = tg_view_of(all.p + one.n, all.n - one.n);
		}
		CU_ASSERT_FATAL(d.n > leaf_exts.n);
		c.exts = of(&d);
		expect_cert("none", "twice", &c);
	}
	for (uint32_t i = 0; i < TG_ARRAY_LEN(flags); i++) {
		uint8_t oid[] = {0x55, 0x1d, USAGE};

		leaf_exts_but(&d, USAGE, false, TG_VIEW_NONE);
		der_ext_of(&d, tg_view_of(oid, 3), flags[i], TG_VIEW("\x03\x02\x07\x80"));
		c.exts = of(&d);
		expect_cert(i < 2 ? "both" : "none", "critical, or how", &c);
	}
	close_all();
}

TG_TEST_MAIN("tls_plain", {"the plain one", the_plain_one}, {"fields", fields}, {"times", times},
	{"subjects", subjects}, {"keys", keys}, {"extensions", extensions},
	{"more extensions", more_extensions})
