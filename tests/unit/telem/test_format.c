#include <tidegate/log.h>
#include <tidegate/why.h>

#include "../tgtest.h"

static struct tg_log_record sample(void)
{
	struct tg_log_record r = {
		.start_ns = 1767225599123456789u, /* 2025-12-31T23:59:59.123456789Z */
		.duration_ns = 12345678,
		.bytes_received = 11,
		.bytes_sent = 18446744073709551615u,
		.upstream_ns = 9876543,
		.status = 200,
		.version_minor = 1,
		.details = "via_upstream",
	};

	tg_sockaddr_parse("10.0.0.7:40000", &r.downstream);
	tg_sockaddr_parse("10.77.1.1:80", &r.local);
	tg_sockaddr_parse("[fd77:2::2]:8080", &r.upstream);
	tg_log_text_set(&r.method, TG_VIEW("GET"));
	tg_log_text_set(&r.authority, TG_VIEW("shop.example"));
	tg_log_text_set(&r.user_agent, TG_VIEW("curl/7.88.1"));
	tg_log_text_set(&r.xff, TG_VIEW("10.0.0.7"));
	tg_log_text_set(&r.request_id, TG_VIEW("6f9619ff-8b86-4011-b42d-00c04fc964ff"));
	tg_log_text_set(&r.route, TG_VIEW("front"));
	tg_log_text_set(&r.cluster, TG_VIEW("v1"));
	tg_log_text_set(&r.listener, TG_VIEW("web"));
	tg_log_peer_uri_set(&r, TG_VIEW("spiffe://mesh.example/a"));
	r.path_n = 7;
	memcpy(r.path, "/a?b=%c", 7);
	return r;
}

static char line[TG_LOG_LINE_MAX + 1];

static const char *print(const char *format, const struct tg_log_record *r)
{
	struct tg_errbuf e = {""};
	struct tg_log_format *f = tg_log_format_compile(format, &e);
	uint32_t n;

	if (!f) {
		CU_FAIL(e.text);
		fprintf(stderr, "\n%s: %s\n", format, e.text);
		return "";
	}
	n = tg_log_format_line(f, r, line, TG_LOG_LINE_MAX);
	line[n] = '\0';
	tg_log_format_free(f);
	return line;
}

#define EXPECT(format, r, want) CU_ASSERT_STRING_EQUAL(print(format, r), want "\n")

/* What a filter says stands in the place of details; its text is the configuration's. */
static void what_a_filter_says(void)
{
	struct tg_log_record r = sample();

	tg_log_filter_details_set(&r, TG_VIEW("denied[a\nb]"));
	EXPECT("%RESPONSE_CODE_DETAILS%", &r, "denied[a\\x0Ab]");
	EXPECT("%RESPONSE_CODE_DETAILS:6%", &r, "denied");
	r.details = NULL;
	EXPECT("%RESPONSE_CODE_DETAILS%", &r, "denied[a\\x0Ab]");
	/* what is not there is not looked at: it is of the record before */
	tg_log_filter_details_set(&r, TG_VIEW_NONE);
	tg_log_peer_uri_set(&r, TG_VIEW_NONE);
	EXPECT("%RESPONSE_CODE_DETAILS% %DOWNSTREAM_PEER_URI_SAN%", &r, "- -");
}

static void why_tls_failed(void)
{
	struct tg_log_record r = sample();

	EXPECT("%UPSTREAM_TRANSPORT_FAILURE_REASON%", &r, "-");
	EXPECT("%RESPONSE_CODE_DETAILS%", &r, "via_upstream");
	r.transport = TG_WHY_tls_expired;
	EXPECT("%UPSTREAM_TRANSPORT_FAILURE_REASON%", &r,
		"TLS_error:_certificate_has_expired_(certificate_expired)");
	EXPECT("%UPSTREAM_TRANSPORT_FAILURE_REASON:9%", &r, "TLS_error");
	r.details = "upstream_reset_before_response_started{connection_failure}";
	EXPECT("%RESPONSE_CODE_DETAILS%", &r,
		"upstream_reset_before_response_started{connection_failure|"
		"TLS_error:_certificate_has_expired_(certificate_expired)}");
	r.details = "upstream_connect_failure";
	EXPECT("%RESPONSE_CODE_DETAILS%", &r,
		"upstream_connect_failure{TLS_error:_certificate_has_expired_(certificate_"
		"expired)}");
	r.details = NULL;
	EXPECT("%RESPONSE_CODE_DETAILS%", &r, "-");
}

static void default_format(void)
{
	struct tg_log_record r = sample();

	EXPECT(tg_log_default_format, &r,
		"[2025-12-31T23:59:59.123Z] \"GET /a?b=%c HTTP/1.1\" 200 - 11 "
		"18446744073709551615 12 9 \"10.0.0.7\" \"curl/7.88.1\" "
		"\"6f9619ff-8b86-4011-b42d-00c04fc964ff\" \"shop.example\" \"[fd77:2::2]:8080\"");
}

static void tcp_connection(void)
{
	struct tg_log_record r = {.upstream_ns = -1, .tcp = true, .flags = TG_FLAG(UF)};

	EXPECT(tg_log_default_format, &r,
		"[1970-01-01T00:00:00.000Z] \"- - -\" 0 UF 0 0 0 - \"-\" \"-\" \"-\" \"-\" \"-\"");
}

static void every_operator(void)
{
	static const struct {
		const char *format, *want;
	} t[] = {
		{"%REQ(:METHOD)%", "GET\n"},
		{"%REQ(:PATH)%", "/a?b=%c\n"},
		{"%REQ(x-envoy-original-path?:path)%", "/a?b=%c\n"},
		{"%REQ(:AUTHORITY)%", "shop.example\n"},
		{"%REQ(User-Agent)%", "curl/7.88.1\n"},
		{"%REQ(X-FORWARDED-FOR)%", "10.0.0.7\n"},
		{"%REQ(X-REQUEST-ID):8%", "6f9619ff\n"},
		{"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", "9\n"},
		{"%PROTOCOL%", "HTTP/1.1\n"},
		{"%RESPONSE_CODE%", "200\n"},
		{"%RESPONSE_CODE_DETAILS%", "via_upstream\n"},
		{"%RESPONSE_FLAGS%", "-\n"},
		{"%BYTES_RECEIVED%/%BYTES_SENT%", "11/18446744073709551615\n"},
		{"%DURATION%", "12\n"},
		{"%DURATION_US%", "12345\n"},
		{"%UPSTREAM_HOST%", "[fd77:2::2]:8080\n"},
		{"%UPSTREAM_CLUSTER%", "v1\n"},
		{"%DOWNSTREAM_REMOTE_ADDRESS%", "10.0.0.7:40000\n"},
		{"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "10.0.0.7\n"},
		{"%DOWNSTREAM_LOCAL_ADDRESS%", "10.77.1.1:80\n"},
		{"%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", "10.77.1.1\n"},
		{"%ROUTE_NAME% %LISTENER_NAME%", "front web\n"},
		{"%DOWNSTREAM_PEER_URI_SAN%", "spiffe://mesh.example/a\n"},
		{"100%% %REQ(:METHOD):2%%%", "100% GE%\n"},
		{"no operator", "no operator\n"},
		{"%START_TIME:10%", "2025-12-31\n"},
		{"%START_TIME(%Y/%m/%dT%H:%M:%S%z)%", "2025/12/31T23:59:59+0000\n"},
		{"%START_TIME(%s.%3f)%", "1767225599.123\n"},
		{"%START_TIME(%f %9f %6f %1f %%f)%", "123456789 123456789 123456 1 %f\n"},
		{"%START_TIME((%H))%!", "(23)!\n"},
		{"%START_TIME(%n)%", "\\x0A\n"},
	};
	struct tg_log_record r = sample();

	for (uint32_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		const char *got = print(t[i].format, &r);

		CU_ASSERT_STRING_EQUAL(got, t[i].want);
		if (strcmp(got, t[i].want) != 0)
			fprintf(stderr, "\n%s: %s", t[i].format, got);
	}
}

static void refused_with_a_reason(void)
{
	static const struct {
		const char *format, *says;
	} t[] = {
		{"", "1 to 4096"},
		{"\n", "1 to 4096"},
		{"%NO_SUCH%", "unknown operator %NO_SUCH%"},
		{"%REQ(COOKIE)%", "%REQ(COOKIE)% is not recorded"},
		{"%REQ%", "needs an argument"},
		{"%PROTOCOL(x)%", "not recorded"},
		{"100%", "written as %%"},
		{"%%%", "written as %%"},
		{"%REQ(:PATH%", "written as %%"},
		{"%REQ(:PATH)", "written as %%"},
		{"%REQ(:PATH):%", "written as %%"},
		{"%REQ(:PATH):x%", "written as %%"},
		{"%DURATION:3%", "takes no :N"},
		{"% %", "written as %%"},
		{"%protocol%", "written as %%"},
		{"%START_TIME()%", "empty or too long"},
		{"a\nb", "line break"},
		{"a\n\n", "line break"},
	};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(t); i++) {
		struct tg_errbuf e = {""};
		struct tg_log_format *f = tg_log_format_compile(t[i].format, &e);

		CU_ASSERT_PTR_NULL(f);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, t[i].says));
		if (f || !strstr(e.text, t[i].says))
			fprintf(stderr, "\n%s: %s", t[i].format, e.text);
		tg_log_format_free(f);
	}
}

/* No byte that a client can send makes a second line, closes a quote or moves a terminal's cursor.
 */
static void nothing_can_be_forged(void)
{
	struct tg_log_record r = sample();

	r.path_n = 0;
	for (uint32_t c = 0; c < 256; c++)
		r.path[r.path_n++] = (uint8_t)c;
	print("\"%REQ(:PATH)%\"", &r);
	CU_ASSERT_PTR_EQUAL(strchr(line, '\n'), line + strlen(line) - 1);
	CU_ASSERT_PTR_EQUAL(strchr(line + 1, '"'), line + strlen(line) - 2);
	for (const char *c = line; *c != '\n'; c++)
		CU_ASSERT(*c >= 0x20 && *c < 0x7f);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\\x0A"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\\x0D"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\\x1B"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\\x22"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\\x5C"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\\xFF"));
	tg_log_text_set(&r.user_agent, TG_VIEW("a\"\n[2026] \"GET /admin"));
	EXPECT("\"%REQ(USER-AGENT)%\"", &r, "\"a\\x22\\x0A[2026] \\x22GET /admin\"");
	/* An empty value is told from "-" by nothing, as in Envoy. */
	tg_log_text_set(&r.user_agent, TG_VIEW_NONE);
	EXPECT("%REQ(USER-AGENT)%", &r, "-");
}

/* Cut at every length: always one line, never half an escape, never a byte beyond cap. */
static void cut_lines(void)
{
	struct tg_log_record r = sample();
	struct tg_log_format *f = tg_log_format_compile("<%REQ(:PATH)%>", NULL);
	char out[64];

	r.path_n = 5;
	memcpy(r.path, "\n\n\n\n\n", 5);
	for (uint32_t cap = 1; cap < 32; cap++) {
		uint32_t n, body;

		memset(out, 'Z', sizeof(out));
		n = tg_log_format_line(f, &r, out, cap);
		CU_ASSERT(n >= 1 && n <= cap);
		CU_ASSERT_EQUAL(out[n - 1], '\n');
		CU_ASSERT_PTR_NULL(memchr(out, '\n', n - 1));
		CU_ASSERT_EQUAL(out[cap], 'Z');
		body = n > 1 ? n - 2 : 0; /* without '<' and newline */
		CU_ASSERT(body % 4 == 0 || cap > 22);
	}
	tg_log_format_free(f);
}

static void longest_default_line_fits(void)
{
	struct tg_log_record r = sample();
	struct tg_log_text *texts[] = {&r.method, &r.authority, &r.user_agent, &r.xff,
		&r.request_id, &r.route, &r.cluster, &r.listener};

	for (uint32_t i = 0; i < TG_ARRAY_LEN(texts); i++) {
		texts[i]->n = UINT16_MAX; /* lengths are not trusted either */
		memset(texts[i]->b, 1, TG_LOG_TEXT_MAX);
	}
	r.path_n = UINT16_MAX;
	memset(r.path, 1, sizeof(r.path));
	r.flags = UINT32_MAX;
	r.bytes_received = r.bytes_sent = r.duration_ns = UINT64_MAX;
	r.upstream_ns = INT64_MAX;
	print(tg_log_default_format, &r);
	CU_ASSERT(strlen(line) < TG_LOG_LINE_MAX);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "\"[fd77:2::2]:8080\"\n"));
}

static void flags(void)
{
	char out[TG_LOG_FLAGS_TEXT];

	CU_ASSERT_STRING_EQUAL(tg_log_flags_text(0, out), "-");
	CU_ASSERT_STRING_EQUAL(tg_log_flags_text(TG_FLAG(URX) | TG_FLAG(UF), out), "UF,URX");
	tg_log_flags_text(UINT32_MAX, out);
	CU_ASSERT_STRING_EQUAL(out + strlen(out) - 3, ",OM");
}

TG_TEST_MAIN("log format", {"default format", default_format}, {"tcp connection", tcp_connection},
	{"every operator", every_operator}, {"refused with a reason", refused_with_a_reason},
	{"nothing can be forged", nothing_can_be_forged}, {"cut lines", cut_lines},
	{"longest default line fits", longest_default_line_fits}, {"flags", flags},
	{"why TLS failed", why_tls_failed}, {"what a filter says", what_a_filter_says})
