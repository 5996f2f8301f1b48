/* SPIFFE IDs by the SPIFFE-ID standard, patterns, and leaf X.509-SVIDs. */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>

#include "../tgtest.h"
#include "pki.h"
#include "spiffe.h"

static void ids(void)
{
	static const struct {
		const char *id, *td, *path; /* td NULL: no SPIFFE ID */
	} cases[] = {
		{"spiffe://mesh.example/ns/shop/sa/v1", "mesh.example", "/ns/shop/sa/v1"},
		{"spiffe://mesh.example", "mesh.example", ""},
		{"spiffe://a", "a", ""},
		{"spiffe://1.2.3.4/x", "1.2.3.4", "/x"},
		{"spiffe://a_b-c.d/A.b-C_9", "a_b-c.d", "/A.b-C_9"},
		{"spiffe://a/...", "a", "/..."},
		{"spiffe://a/.x/..x", "a", "/.x/..x"},
		{"", NULL, NULL},
		{"spiffe:/a/b", NULL, NULL},
		{"spiffe://", NULL, NULL},
		{"spiffe:///path", NULL, NULL},
		{"http://a/b", NULL, NULL},
		{"SPIFFE://a/b", NULL, NULL},
		{"spiffe://A/b", NULL, NULL},
		{"spiffe://a:443/b", NULL, NULL},
		{"spiffe://u@a/b", NULL, NULL},
		{"spiffe://a b/c", NULL, NULL},
		{"spiffe://a/", NULL, NULL},
		{"spiffe://a/b/", NULL, NULL},
		{"spiffe://a//b", NULL, NULL},
		{"spiffe://a/./b", NULL, NULL},
		{"spiffe://a/b/..", NULL, NULL},
		{"spiffe://a/b?c", NULL, NULL},
		{"spiffe://a/b#c", NULL, NULL},
		{"spiffe://a?b", NULL, NULL},
		{"spiffe://a/%62", NULL, NULL},
		{"spiffe://a/*", NULL, NULL},
		{"spiffe://a/\xc3\xa9", NULL, NULL},
		{" spiffe://a/b", NULL, NULL},
	};

	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		struct tg_view td, path;
		bool ok = tg_spiffe_parse(tg_view_str(cases[i].id), &td, &path);

		if (ok != (cases[i].td != NULL))
			fprintf(stderr, "%s\n", cases[i].id);
		CU_ASSERT_EQUAL(ok, cases[i].td != NULL);
		if (ok && cases[i].td) {
			CU_ASSERT(tg_view_eq(td, tg_view_str(cases[i].td)));
			CU_ASSERT(tg_view_eq(path, tg_view_str(cases[i].path)));
		}
	}
}

static void lengths(void)
{
	char id[TG_SPIFFE_ID_MAX + 2] = "spiffe://";
	struct tg_view td, path;

	memset(id + 9, 'a', sizeof(id) - 9);
	CU_ASSERT(tg_spiffe_parse(tg_view_of(id, 9 + 255), &td, &path));
	CU_ASSERT_FALSE(tg_spiffe_parse(tg_view_of(id, 9 + 256), &td, &path));
	id[10] = '/';
	CU_ASSERT(tg_spiffe_parse(tg_view_of(id, TG_SPIFFE_ID_MAX), &td, &path));
	CU_ASSERT_FALSE(tg_spiffe_parse(tg_view_of(id, TG_SPIFFE_ID_MAX + 1), &td, &path));
	/* A byte of 0 is a byte like others. */
	CU_ASSERT_FALSE(tg_spiffe_parse(tg_view_of("spiffe://a/b\0c", 14), &td, &path));
}

static void patterns(void)
{
	static const struct {
		const char *pattern, *id;
		bool ok, match;
	} cases[] = {
		{"spiffe://a/b", "spiffe://a/b", true, true},
		{"spiffe://a/b", "spiffe://a/bc", true, false},
		{"spiffe://a/b", "spiffe://a", true, false},
		{"spiffe://a/b/*", "spiffe://a/b/c", true, true},
		{"spiffe://a/b/*", "spiffe://a/b/c/d", true, true},
		{"spiffe://a/b/*", "spiffe://a/b", true, false},
		{"spiffe://a/b/*", "spiffe://a/bb/c", true, false},
		{"spiffe://a/*", "spiffe://a/b", true, true},
		{"spiffe://a/*", "spiffe://ab/c", true, false},
		{"spiffe://a/*", "spiffe://a.evil/c", true, false},
		{"spiffe://a", "spiffe://a", false, true},
		{"spiffe://a*", "spiffe://ab", false, false},
		{"spiffe://a/b*", "spiffe://a/bc", false, false},
		{"spiffe://*/b", "spiffe://a/b", false, false},
		{"spiffe:///*", "spiffe://a/b", false, false},
		{"*", "spiffe://a/b", false, false},
		{"", "spiffe://a/b", false, false},
	};

	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		struct tg_view p = tg_view_str(cases[i].pattern), id = tg_view_str(cases[i].id);

		CU_ASSERT_EQUAL(tg_spiffe_pattern_ok(p), cases[i].ok);
		CU_ASSERT_EQUAL(tg_spiffe_match(p, id), cases[i].match);
	}
}

static void svids(void)
{
#define ID "URI:spiffe://mesh.example/web"
	static const struct {
		struct pki_spec spec;
		const char *fault; /* NULL: good */
	} cases[] = {
		{{.cn = "web", .san = ID}, NULL},
		{{.san = ID}, NULL},
		{{.san = ID ",DNS:web.example,DNS:web,IP:10.0.0.1"}, NULL},
		{{.san = ID, .ext_usage = ""}, NULL},
		{{.san = ID, .usage = "digitalSignature,keyEncipherment"}, NULL},
		{{.cn = "web"}, "no URI"},
		{{.san = "DNS:web.example"}, "no URI"},
		{{.san = ID "," ID}, "more than one URI"},
		{{.san = ID ",URI:https://web.example/"}, "more than one URI"},
		{{.san = "URI:https://web.example/"}, "not a SPIFFE ID"},
		{{.san = "URI:spiffe://mesh.example/web/"}, "not a SPIFFE ID"},
		{{.san = "URI:spiffe://Mesh.example/web"}, "not a SPIFFE ID"},
		{{.san = "URI:spiffe://mesh.example"}, "no path"},
		{{.san = ID, .ca = true}, "is a CA"},
		{{.san = ID, .usage = ""}, "no key usage"},
		{{.san = ID, .usage = "digitalSignature,keyCertSign"}, "may sign"},
		{{.san = ID, .usage = "digitalSignature,cRLSign"}, "may sign"},
		{{.san = ID, .usage = "keyEncipherment"}, "lacks digitalSignature"},
	};

	for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
		struct pki_cert c = pki_issue(&cases[i].spec, NULL);
		struct tg_cert_names n;
		const char *fault;

		CU_ASSERT(tg_cert_names(c.x, &n));
		fault = tg_svid_fault(c.x, &n);
		if (cases[i].fault)
			CU_ASSERT(fault && strstr(fault, cases[i].fault))
		else
			CU_ASSERT_PTR_NULL(fault)
		tg_cert_names_free(&n);
		pki_free(&c);
	}
}

/* Names that would have to be escaped in logs and header fields are no names; they still count. */
static void odd_names(void)
{
	struct pki_cert c = pki_issue(
		&(struct pki_spec){
			.san = "URI:spiffe://a/b\x01X-Evil: 1,DNS:a\tb,DNS:good.example"},
		NULL);
	struct tg_cert_names n;
	char *text;

	CU_ASSERT(tg_cert_names(c.x, &n));
	CU_ASSERT_EQUAL(n.n_uri, 1);
	CU_ASSERT_EQUAL(n.uri.n, 0);
	CU_ASSERT(tg_view_eq(n.dns, TG_VIEW("good.example")));
	text = tg_cert_dns_and_ip(&n);
	CU_ASSERT_STRING_EQUAL(text, "good.example");
	free(text);
	tg_cert_names_free(&n);
	pki_free(&c);
}

/* It is OpenSSL's PEM once it is decoded. */
static void url_pem_of(struct tg_view der, X509 *x)
{
	char *pem = tg_cert_url_pem(der), *to = pem, *want;
	BIO *b = BIO_new(BIO_s_mem());
	unsigned int c;
	long n;

	CU_ASSERT_FATAL(pem && PEM_write_bio_X509(b, x) == 1);
	CU_ASSERT(strncmp(pem, "-----BEGIN%20CERTIFICATE-----%0AMI", 34) == 0);
	CU_ASSERT_EQUAL(
		strspn(pem, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%-"),
		strlen(pem));
	for (const char *s = pem; *s; s++) {
		if (*s == '%') {
			CU_ASSERT_FATAL(sscanf(s + 1, "%2x", &c) == 1);
			*to++ = (char)c;
			s += 2;
		} else {
			*to++ = *s;
		}
	}
	n = BIO_get_mem_data(b, &want);
	CU_ASSERT(n == to - pem && memcmp(want, pem, (size_t)n) == 0);
	BIO_free(b);
	free(pem);
}

/* All lengths of the last line. */
static void url_pem(void)
{
	char san[128] = "DNS:";

	for (uint32_t n = 4; n < 54; n++) {
		uint8_t *der = NULL;
		struct pki_cert c;
		int size;

		san[n] = 'a';
		c = pki_issue(&(struct pki_spec){.san = san}, NULL);
		size = i2d_X509(c.x, &der);
		CU_ASSERT_FATAL(size > 0);
		url_pem_of(tg_view_of(der, (size_t)size), c.x);
		OPENSSL_free(der);
		pki_free(&c);
	}
}

static void texts(void)
{
	struct pki_cert c = pki_issue(&(struct pki_spec){.cn = "a\"b, c\n",
					      .san = "IP:10.1.2.3,DNS:a.example,IP:2001:db8::1"},
		NULL);
	struct tg_cert_names n;
	char *subject = tg_cert_subject(c.x), *names;

	CU_ASSERT_STRING_EQUAL(subject, "CN=a\\\"b\\, c\\0A");
	CU_ASSERT(tg_cert_names(c.x, &n));
	names = tg_cert_dns_and_ip(&n);
	CU_ASSERT_STRING_EQUAL(names, "10.1.2.3, a.example, 2001:db8::1");
	free(subject);
	free(names);
	tg_cert_names_free(&n);
	pki_free(&c);
}

TG_TEST_MAIN("tls_spiffe", {"IDs", ids}, {"lengths", lengths}, {"patterns", patterns},
	{"leaf SVIDs", svids}, {"names with odd bytes", odd_names}, {"texts", texts},
	{"PEM in a URL", url_pem})
