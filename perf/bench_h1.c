/* bench_h1.c: what reading and writing an HTTP/1.1 head costs, with each scanner.
 *
 * The head is warm in the first cache, at changing alignments, and the same each time: the kind
 * case, as in the published figures that this is compared with.
 */
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/http1.h>

#include "bench.h"

#define PASS 64
#define FIELDS 64

/* As long as the head that parsers are commonly measured with (about 700 bytes, ten fields, a long
 * cookie). */
static const char browser[] =
	"GET /wp-content/uploads/2010/03/a-picture-with-a-long-name.jpg?width=800&v=20 HTTP/1.1\r\n"
	"Host: www.shop.example\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
	"Accept: image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n"
	"Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
	"Accept-Encoding: gzip, deflate, br, zstd\r\n"
	"Referer: https://www.shop.example/catalogue/pictures/index.html\r\n"
	"Connection: keep-alive\r\n"
	"Cookie: session=0123456789abcdef0123456789abcdef; _ga=GA1.2.123456789.1700000000; "
	"consent=1; theme=dark; basket=8d7f6a5b4c3d2e1f; last=2024-01-01T00:00:00Z; "
	"visitor=fedcba9876543210\r\n"
	"If-None-Match: \"5f3e2d1c0b9a8\"\r\n"
	"Cache-Control: max-age=0\r\n"
	"\r\n";
static const char small[] = "GET / HTTP/1.1\r\nHost: 10.77.1.1\r\nUser-Agent: curl/7.88.1\r\n"
			    "Accept: */*\r\n\r\n";
static const char answer[] =
	"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n"
	"Content-Type: text/html\r\nContent-Length: 612\r\n"
	"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nConnection: keep-alive\r\n"
	"ETag: \"65921180-264\"\r\nAccept-Ranges: bytes\r\n\r\n";

static const struct tg_h1_limits limits = TG_H1_LIMITS_DEFAULT;

static void check(bool ok)
{
	if (!ok) {
		fprintf(stderr, "a head was not read\n");
		exit(1);
	}
}

static void parse(const char *text, uint32_t n, bool request, struct tg_msg *m)
{
	struct tg_h1_scan s = {0};
	int32_t rc =
		request ? tg_h1_parse_request(&s, (const uint8_t *)text, n, &limits, m)
			: tg_h1_parse_response(&s, (const uint8_t *)text, n, &limits, TG_GET, m);

	check(rc == (int32_t)n);
}

static void bench_parse(const char *what, const char *text, uint32_t n, bool request)
{
	static char copies[8][1024 + 64];
	struct tg_field fields[FIELDS];
	struct tg_msg m = {.fields = fields, .field_cap = FIELDS};
	struct bench b;
	char name[80];

	snprintf(name, sizeof(name), "h1: %s, %u bytes, %s", what, n, tg_h1_scanner());
	for (uint32_t i = 0; i < 8; i++)
		memcpy(copies[i] + i, text, n);
	for (bench_begin(&b, name); bench_more(&b);) {
		bench_start(&b);
		for (uint32_t i = 0; i < PASS; i++)
			parse(copies[i % 8] + i % 8, n, request, &m);
		bench_stop(&b, PASS);
	}
}

/* Hop-by-hop fields removed, framed and written, as the proxy does for each request. */
static void bench_forward(const char *text, uint32_t n)
{
	struct tg_field fields[FIELDS];
	struct tg_msg parsed = {.fields = fields, .field_cap = FIELDS};
	uint8_t out[2048], scratch[24];
	struct bench b;
	char name[80];

	parse(text, n, true, &parsed);
	snprintf(name, sizeof(name), "h1: strip, frame and write, %u bytes", n);
	for (bench_begin(&b, name); bench_more(&b);) {
		bench_start(&b);
		for (uint32_t i = 0; i < PASS; i++) {
			struct tg_msg m = parsed;

			for (uint32_t k = 0; k < m.n_fields; k++)
				m.fields[k].removed = false;
			check(tg_msg_remove_hop_by_hop(&m));
			check(!tg_h1_frame(&m, m.body, 0, false, false, scratch));
			check(tg_h1_write_head(&m, out, sizeof(out)) > 0);
		}
		bench_stop(&b, PASS);
	}
}

int main(int argc, char **argv)
{
	static const char *const scanners[] = {"scalar", "avx2", "neon"};

	bench_init(argc, argv);
	for (uint32_t i = 0; i < TG_ARRAY_LEN(scanners); i++) {
		if (tg_h1_init(scanners[i]) < 0)
			continue;
		bench_parse("request of a browser", browser, sizeof(browser) - 1, true);
		bench_parse("request of curl", small, sizeof(small) - 1, true);
		bench_parse("response of nginx", answer, sizeof(answer) - 1, false);
	}
	bench_forward(browser, sizeof(browser) - 1);
	bench_forward(small, sizeof(small) - 1);
	return bench_end();
}
