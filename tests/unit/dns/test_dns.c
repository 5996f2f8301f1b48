/* A server of the test's own on the loopback, and watches that ask it. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <tidegate/dns.h>

#include "tgtest.h"

#define SEC UINT64_C(1000000000)
#define MS UINT64_C(1000000)

#define A 1
#define AAAA 28

/* What the server says. */
static struct {
	int fd;
	uint16_t port;
	int rcode, rcode4; /* rcode4: of questions for A, if it is not 0 */
	bool silent;
	uint32_t ttl;
	const char *v4[8], *v6[8];
	uint32_t n4, n6;
	uint32_t asked4, asked6;
	bool spoof; /* an answer with another id goes ahead */
} srv;

static uint8_t *put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

static uint8_t *record(uint8_t *p, int type, const char *addr)
{
	p = put16(p, 0xc00c);
	p = put16(p, (uint32_t)type);
	p = put16(p, 1);
	p = put16(p, srv.ttl >> 16);
	p = put16(p, srv.ttl & 0xffff);
	p = put16(p, type == A ? 4 : 16);
	inet_pton(type == A ? AF_INET : AF_INET6, addr, p);
	return p + (type == A ? 4 : 16);
}

static void serve(void)
{
	uint8_t q[512], out[4096], *p;
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(srv.fd, q, sizeof(q), MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	uint32_t end = 12, count;
	int type, rcode;

	if (n < 17)
		return;
	while (end < (uint32_t)n && q[end])
		end += q[end] + 1u;
	type = q[end + 1] << 8 | q[end + 2];
	if (type == A)
		srv.asked4++;
	else
		srv.asked6++;
	if (srv.silent)
		return;
	rcode = type == A && srv.rcode4 ? srv.rcode4 : srv.rcode;
	count = rcode ? 0 : type == A ? srv.n4 : srv.n6;
	memcpy(out, q, end + 5);
	out[2] = 0x84; /* an authoritative answer */
	out[3] = (uint8_t)(0x80 | rcode);
	put16(out + 6, count);
	put16(out + 8, 0);
	put16(out + 10, 0);
	p = out + end + 5;
	for (uint32_t i = 0; i < count; i++)
		p = record(p, type, type == A ? srv.v4[i] : srv.v6[i]);
	if (srv.spoof) {
		out[0] ^= 0x55;
		sendto(srv.fd, out, (size_t)(p - out), 0, (struct sockaddr *)&from, len);
		out[0] ^= 0x55;
	}
	sendto(srv.fd, out, (size_t)(p - out), 0, (struct sockaddr *)&from, len);
}

static void server_begin(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	memset(&srv, 0, sizeof(srv));
	srv.ttl = 30;
	srv.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(srv.fd, (struct sockaddr *)&a, sizeof(a)), 0);
	getsockname(srv.fd, (struct sockaddr *)&a, &len);
	srv.port = ntohs(a.sin_port);
}

/* --- the client's side --- */

static struct tg_dns *dns;
static char resolvers[64];
static struct {
	uint32_t asked, answers;
	struct tg_dns_answer last;
	struct tg_ip ips[TG_DNS_ADDRS_MAX];
	char why[64];
} got;

static void take(void *owner, const struct tg_dns_answer *a)
{
	CU_ASSERT_PTR_EQUAL(owner, &got);
	if (a->outcome == TG_DNS_ASKED) {
		got.asked++;
		return;
	}
	got.answers++;
	got.last = *a;
	snprintf(got.why, sizeof(got.why), "%s", a->why);
	memcpy(got.ips, a->ips, a->n * sizeof(a->ips[0]));
}

static struct tg_dns_conf conf(enum tg_dns_family family)
{
	snprintf(resolvers, sizeof(resolvers), "127.0.0.1:%u", srv.port);
	return (struct tg_dns_conf){.family = family,
		.refresh = 5 * SEC,
		.min_refresh = SEC,
		.resolvers = resolvers,
		.no_search = true,
		.timeout_ms = 100,
		.tries = 2};
}

static struct tg_dns_watch *begin(const struct tg_dns_conf *c)
{
	struct tg_dns_watch *w;
	struct tg_errbuf e;

	memset(&got, 0, sizeof(got));
	dns = tg_dns_create(7, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dns);
	w = tg_dns_watch_new(dns, "shop.test", c, take, &got, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	return w;
}

static void end(void)
{
	tg_dns_destroy(dns);
	close(srv.fd);
}

/* Until one more answer is there. now: virtual; what c-ares waits for is real. */
static void next_answer(uint64_t now)
{
	uint32_t before = got.answers;

	for (int i = 0; i < 2000 && got.answers == before; i++) {
		struct pollfd p[2] = {{tg_dns_fd(dns), POLLIN, 0}, {srv.fd, POLLIN, 0}};

		tg_dns_run(dns, now);
		if (got.answers == before)
			poll(p, 2, 20);
		serve();
	}
	CU_ASSERT_EQUAL(got.answers, before + 1);
}

static void expect(uint32_t i, const char *text)
{
	char buf[TG_ADDR_TEXT];

	CU_ASSERT_TRUE_FATAL(i < got.last.n);
	CU_ASSERT_STRING_EQUAL(tg_ip_format(&got.ips[i], buf), text);
}

static void addresses_in_order(void)
{
	struct tg_dns_conf c;

	server_begin();
	c = conf(TG_DNS_V4_ONLY);
	srv.n4 = 3;
	srv.v4[0] = "10.0.0.9";
	srv.v4[1] = "10.0.0.1";
	srv.v4[2] = "10.0.0.9";
	begin(&c);
	next_answer(SEC);
	CU_ASSERT_EQUAL(got.last.outcome, TG_DNS_FOUND);
	CU_ASSERT_EQUAL(got.last.n, 2);
	expect(0, "10.0.0.9");
	expect(1, "10.0.0.1");
	CU_ASSERT_EQUAL(got.asked, 1);
	CU_ASSERT_EQUAL(srv.asked6, 0);
	CU_ASSERT_EQUAL(got.last.again_in, 5 * SEC);
	end();
}

static void families(void)
{
	static const struct {
		enum tg_dns_family family;
		uint32_t n4, n6, n, asked4, asked6;
		const char *first;
	} t[] = {
		{TG_DNS_V4_ONLY, 1, 1, 1, 1, 0, "10.0.0.1"},
		{TG_DNS_V6_ONLY, 1, 1, 1, 0, 1, "fd00::1"},
		{TG_DNS_V6_ONLY, 1, 0, 0, 0, 1, NULL},
		{TG_DNS_V4_PREFERRED, 1, 1, 1, 1, 0, "10.0.0.1"},
		{TG_DNS_V4_PREFERRED, 0, 1, 1, 1, 1, "fd00::1"},
		{TG_DNS_AUTO, 1, 1, 1, 0, 1, "fd00::1"},
		{TG_DNS_AUTO, 1, 0, 1, 1, 1, "10.0.0.1"},
		{TG_DNS_AUTO, 0, 0, 0, 1, 1, NULL},
		{TG_DNS_ALL, 1, 1, 2, 1, 1, NULL},
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct tg_dns_conf c;

		server_begin();
		c = conf(t[i].family);
		srv.n4 = t[i].n4;
		srv.n6 = t[i].n6;
		srv.v4[0] = "10.0.0.1";
		srv.v6[0] = "fd00::1";
		begin(&c);
		next_answer(SEC);
		CU_ASSERT_EQUAL(got.last.n, t[i].n);
		CU_ASSERT_EQUAL(got.last.outcome, t[i].n ? TG_DNS_FOUND : TG_DNS_EMPTY);
		CU_ASSERT_EQUAL(srv.asked4, t[i].asked4);
		CU_ASSERT_EQUAL(srv.asked6, t[i].asked6);
		if (t[i].first)
			expect(0, t[i].first);
		end();
	}
}

static void ttl_decides(void)
{
	static const struct {
		bool respect;
		uint32_t ttl;
		uint64_t in;
	} t[] = {{false, 60, 5 * SEC}, {true, 60, 60 * SEC}, {true, 0, 5 * SEC},
		{true, 1, 2 * SEC}, /* min_refresh */
		{true, 0x7fffffff, 7 * 86400 * SEC}};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct tg_dns_conf c;

		server_begin();
		c = conf(TG_DNS_V4_ONLY);
		c.respect_ttl = t[i].respect;
		c.min_refresh = 2 * SEC;
		srv.n4 = 1;
		srv.v4[0] = "10.0.0.1";
		srv.ttl = t[i].ttl;
		begin(&c);
		next_answer(SEC);
		CU_ASSERT_EQUAL(got.last.again_in, t[i].in);
		end();
	}
}

static void asked_again_when_due(void)
{
	struct tg_dns_conf c;
	int ms;

	server_begin();
	c = conf(TG_DNS_V4_ONLY);
	srv.n4 = 1;
	srv.v4[0] = "10.0.0.1";
	begin(&c);
	next_answer(SEC);
	ms = tg_dns_run(dns, 2 * SEC);
	CU_ASSERT_EQUAL(ms, 4000);
	CU_ASSERT_EQUAL(got.asked, 1);
	srv.v4[0] = "10.0.0.2";
	next_answer(6 * SEC);
	expect(0, "10.0.0.2");
	CU_ASSERT_EQUAL(got.asked, 2);
	end();
}

static void failures_back_off(void)
{
	struct tg_dns_conf c;
	uint64_t now = SEC, most = 2 * SEC;

	server_begin();
	c = conf(TG_DNS_V4_ONLY);
	c.failure_base = 2 * SEC;
	c.failure_max = 10 * SEC;
	srv.rcode = 2; /* SERVFAIL */
	begin(&c);
	for (int i = 0; i < 5; i++) {
		next_answer(now);
		CU_ASSERT_EQUAL(got.last.outcome, TG_DNS_FAILED);
		CU_ASSERT_TRUE(got.last.again_in <= most && got.last.again_in >= most / 2);
		now += got.last.again_in;
		most = most * 2 < 10 * SEC ? most * 2 : 10 * SEC;
	}
	srv.rcode = 0;
	srv.n4 = 1;
	srv.v4[0] = "10.0.0.1";
	next_answer(now);
	CU_ASSERT_EQUAL(got.last.outcome, TG_DNS_FOUND);
	srv.rcode = 2;
	next_answer(now + 5 * SEC);
	CU_ASSERT_TRUE(got.last.again_in <= 2 * SEC); /* from the beginning */
	end();
}

/* No answer for one family and nothing in the other is no answer. */
static void half_an_answer_says_nothing(void)
{
	struct tg_dns_conf c;

	server_begin();
	c = conf(TG_DNS_V4_PREFERRED);
	srv.rcode4 = 2;
	begin(&c);
	next_answer(SEC);
	CU_ASSERT_EQUAL(got.last.outcome, TG_DNS_FAILED);
	srv.rcode4 = 0;
	next_answer(SEC + got.last.again_in);
	CU_ASSERT_EQUAL(got.last.outcome, TG_DNS_EMPTY);
	end();
}

static void nothing_and_no_answer_differ(void)
{
	struct tg_dns_conf c;

	server_begin();
	c = conf(TG_DNS_V4_ONLY);
	srv.rcode = 3; /* NXDOMAIN */
	begin(&c);
	next_answer(SEC);
	CU_ASSERT_EQUAL(got.last.outcome, TG_DNS_EMPTY);
	CU_ASSERT_EQUAL(got.last.again_in, 5 * SEC);
	srv.rcode = 0; /* no data */
	next_answer(10 * SEC);
	CU_ASSERT_EQUAL(got.last.outcome, TG_DNS_EMPTY);
	srv.rcode = 5; /* REFUSED */
	next_answer(20 * SEC);
	CU_ASSERT_EQUAL(got.last.outcome, TG_DNS_FAILED);
	srv.rcode = 0;
	srv.silent = true;
	srv.asked4 = 0;
	next_answer(30 * SEC);
	CU_ASSERT_EQUAL(got.last.outcome, TG_DNS_FAILED);
	CU_ASSERT_EQUAL(srv.asked4, 2); /* tries */
	CU_ASSERT_STRING_EQUAL(got.why, "Timeout while contacting DNS servers");
	end();
}

static void strangers_answers_are_ignored(void)
{
	struct tg_dns_conf c;

	server_begin();
	c = conf(TG_DNS_V4_ONLY);
	srv.n4 = 1;
	srv.v4[0] = "10.0.0.1";
	srv.spoof = true;
	begin(&c);
	next_answer(SEC);
	CU_ASSERT_EQUAL(got.last.outcome, TG_DNS_FOUND);
	CU_ASSERT_EQUAL(got.answers, 1);
	end();
}

static void ends_in_the_middle(void)
{
	struct tg_dns_watch *w, *other;
	struct tg_dns_conf c;
	struct tg_errbuf e;

	server_begin();
	c = conf(TG_DNS_AUTO);
	srv.n4 = 1;
	srv.v4[0] = "10.0.0.1";
	w = begin(&c);
	other = tg_dns_watch_new(dns, "other.test", &c, take, &got, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	tg_dns_run(dns, SEC);
	CU_ASSERT_EQUAL(got.asked, 2);
	tg_dns_watch_free(w);
	next_answer(SEC); /* the other's */
	tg_dns_run(dns, 100 * SEC);
	CU_ASSERT_EQUAL(got.answers, 1);
	CU_ASSERT_EQUAL(got.asked, 3);
	end(); /* with a question under way */
	CU_ASSERT_EQUAL(got.answers, 1);
}

static void names(void)
{
	static char label[80], name[300];

	CU_ASSERT_TRUE(tg_dns_is_name("shop"));
	CU_ASSERT_TRUE(tg_dns_is_name("shop.example."));
	CU_ASSERT_TRUE(tg_dns_is_name("_http._tcp.shop-1.example"));
	CU_ASSERT_TRUE(tg_dns_is_name("1.example"));
	CU_ASSERT_FALSE(tg_dns_is_name(""));
	CU_ASSERT_FALSE(tg_dns_is_name("."));
	CU_ASSERT_FALSE(tg_dns_is_name("a..b"));
	CU_ASSERT_FALSE(tg_dns_is_name(".a"));
	CU_ASSERT_FALSE(tg_dns_is_name("-a.b"));
	CU_ASSERT_FALSE(tg_dns_is_name("a b"));
	CU_ASSERT_FALSE(tg_dns_is_name("a/b"));
	CU_ASSERT_FALSE(tg_dns_is_name("10.0.0.256"));
	memset(label, 'a', 64);
	CU_ASSERT_FALSE(tg_dns_is_name(label));
	label[63] = '\0';
	CU_ASSERT_TRUE(tg_dns_is_name(label));
	for (int i = 0; i < 4; i++)
		snprintf(name + 64 * i, sizeof(name) - 64 * (size_t)i, "%s%s", label,
			i < 3 ? "." : "");
	CU_ASSERT_FALSE(tg_dns_is_name(name));
	CU_ASSERT_TRUE(tg_dns_is_resolver("10.0.0.53"));
	CU_ASSERT_TRUE(tg_dns_is_resolver("[fd00::53]:5353"));
	CU_ASSERT_TRUE(tg_dns_is_resolver("fd00::53"));
	CU_ASSERT_FALSE(tg_dns_is_resolver("dns.example"));
	CU_ASSERT_FALSE(tg_dns_is_resolver("10.0.0.53:0"));
}

TG_TEST_MAIN("dns", {"addresses come in the answer's order", addresses_in_order},
	{"families", families}, {"TTL decides", ttl_decides},
	{"asked again when due", asked_again_when_due}, {"failures back off", failures_back_off},
	{"half an answer says nothing", half_an_answer_says_nothing},
	{"nothing and no answer differ", nothing_and_no_answer_differ},
	{"strangers' answers are ignored", strangers_answers_are_ignored},
	{"ends in the middle", ends_in_the_middle}, {"names", names})
