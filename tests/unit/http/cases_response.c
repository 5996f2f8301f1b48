/* cases_response.c: response heads. Origins are not trusted. */
#include "cases.h"

#define R(name, in, verdict, facts) \
	{ \
		name, in, sizeof(in) - 1, TG_H1_##verdict, TG_GET, facts \
	}
#define TO(method, name, in, verdict, facts) \
	{ \
		name, in, sizeof(in) - 1, TG_H1_##verdict, TG_##method, facts \
	}
#define MORE(name, in) \
	{ \
		name, in, sizeof(in) - 1, INCOMPLETE, TG_GET, NULL \
	}
#define OK200 "HTTP/1.1 200 OK\r\n"
#define L5 "Content-Length: 5\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define END "\r\n"

/* clang-format off */
const struct h1_case response_cases[] = {
	/* plain */
	R("ok", OK200 "Content-Length: 5\r\n\r\nhello", OK, "200 [OK] len=5 ka #1"),
	R("ok_chunked", OK200 CHUNKED END, OK, "200 [OK] chunked ka #1"),
	R("ok_until_close", OK200 END, OK, "200 [OK] close end #0"),
	R("ok_close", OK200 L5 "Connection: close\r\n\r\n", OK, "200 [OK] len=5 end #2"),
	R("ok_zero", OK200 "Content-Length: 0\r\n\r\n", OK, "200 [OK] len=0 ka #1"),
	R("ok_10", "HTTP/1.0 200 OK\r\n" L5 END, OK, "200 [OK] len=5 end #1"),
	R("ok_10_keep_alive", "HTTP/1.0 200 OK\r\n" L5 "Connection: keep-alive\r\n\r\n", OK, "200 [OK] len=5 ka #2"),
	R("ok_10_until_close", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", OK, "200 [OK] close end #1"),
	R("ok_12", "HTTP/1.2 200 OK\r\n" L5 END, OK, "200 [OK] len=5 ka #1"),
	R("reason_empty", "HTTP/1.1 200 \r\n" L5 END, OK, "200 [] len=5 ka #1"),
	R("reason_words", "HTTP/1.1 404 Not  Found!\t(really)\r\n" L5 END, OK, "404 [Not  Found!\t(really)] len=5 ka #1"),
	R("reason_latin", "HTTP/1.1 200 Gr\xfc\xdf" "e\r\n" L5 END, OK, "200 [Gr\xfc\xdf" "e] len=5 ka #1"),
	R("reason_space_first", "HTTP/1.1 200  OK\r\n" L5 END, OK, "200 [ OK] len=5 ka #1"),
	R("status_299", "HTTP/1.1 299 X\r\n" L5 END, OK, "299 [X] len=5 ka #1"),
	R("status_599", "HTTP/1.1 599 X\r\n" L5 END, OK, "599 [X] len=5 ka #1"),
	R("status_205", "HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n", OK, "205 [Reset] len=0 ka #1"),
	R("status_301", "HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", OK, "301 [Moved] len=0 ka #2"),
	R("value_latin", OK200 "X: \xfc\r\n" L5 END, OK, "200 [OK] len=5 ka #2"),
	R("upgrade_offer", OK200 "Upgrade: h2,h2c\r\nConnection: Upgrade\r\n" L5 END, OK, "200 [OK] len=5 ka #3"),
	R("two_cookies", OK200 "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n" L5 END, OK, "200 [OK] len=5 ka #3"),

	/* not complete */
	MORE("empty", ""),
	MORE("part_http", "HTT"),
	MORE("part_version", "HTTP/1.1"),
	MORE("part_space", "HTTP/1.1 "),
	MORE("part_status", "HTTP/1.1 20"),
	MORE("part_status_whole", "HTTP/1.1 200"),
	MORE("part_reason", "HTTP/1.1 200 O"),
	MORE("part_reason_cr", "HTTP/1.1 200 OK\r"),
	MORE("part_line", OK200),
	MORE("part_field", OK200 "X: y"),
	MORE("part_end", OK200 L5 "\r"),

	/* status line */
	R("crlf_first", "\r\n" OK200 L5 END, BAD_START_LINE, NULL),
	R("lf_first", "\n" OK200 L5 END, BAD_START_LINE, NULL),
	R("space_first", " " OK200 L5 END, BAD_START_LINE, NULL),
	R("nul_first", "\0" OK200 L5 END, BAD_START_LINE, NULL),
	R("html", "<html>no head</html>", BAD_START_LINE, NULL),
	R("request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD_START_LINE, NULL),
	R("icy", "ICY 200 OK\r\n\r\n", BAD_START_LINE, NULL),
	R("ssh", "SSH-2.0-OpenSSH_9.2\r\n", BAD_START_LINE, NULL),
	R("tls_alert", "\x15\x03\x03\x00\x02\x02\x46", BAD_START_LINE, NULL),
	R("http_lower", "http/1.1 200 OK\r\n" L5 END, BAD_START_LINE, NULL),
	R("http_mixed", "HtTP/1.1 200 OK\r\n" L5 END, BAD_VERSION, NULL),
	R("http_20", "HTTP/2.0 200 OK\r\n" L5 END, VERSION_NOT_SUPPORTED, NULL),
	R("http_2", "HTTP/2 200 OK\r\n" L5 END, BAD_VERSION, NULL),
	R("http_09", "HTTP/0.9 200 OK\r\n" L5 END, VERSION_NOT_SUPPORTED, NULL),
	R("http_1", "HTTP/1 200 OK\r\n" L5 END, BAD_VERSION, NULL),
	R("http_111", "HTTP/1.11 200 OK\r\n" L5 END, BAD_VERSION, NULL),
	R("http_comma", "HTTP/1,1 200 OK\r\n" L5 END, BAD_VERSION, NULL),
	R("http_space", "HTTP /1.1 200 OK\r\n" L5 END, BAD_VERSION, NULL),
	R("http_no_version", "HTTP 200 OK\r\n" L5 END, BAD_VERSION, NULL),
	R("tab_before_status", "HTTP/1.1\t200 OK\r\n" L5 END, BAD_VERSION, NULL),
	R("two_spaces", "HTTP/1.1  200 OK\r\n" L5 END, BAD_STATUS, NULL),
	R("no_status", "HTTP/1.1\r\n\r\n", BAD_VERSION, NULL),
	R("no_status_space", "HTTP/1.1 \r\n\r\n", BAD_STATUS, NULL),
	R("no_reason_space", "HTTP/1.1 200\r\n" L5 END, BAD_STATUS, NULL),
	R("status_tab", "HTTP/1.1 200\tOK\r\n" L5 END, BAD_STATUS, NULL),
	R("status_000", "HTTP/1.1 000 X\r\n" L5 END, BAD_STATUS, NULL),
	R("status_099", "HTTP/1.1 099 X\r\n" L5 END, BAD_STATUS, NULL),
	R("status_600", "HTTP/1.1 600 X\r\n" L5 END, BAD_STATUS, NULL),
	R("status_999", "HTTP/1.1 999 X\r\n" L5 END, BAD_STATUS, NULL),
	R("status_20", "HTTP/1.1 20 X\r\n" L5 END, BAD_STATUS, NULL),
	R("status_2", "HTTP/1.1 2\r\n" L5 END, BAD_STATUS, NULL),
	R("status_2000", "HTTP/1.1 2000 X\r\n" L5 END, BAD_STATUS, NULL),
	R("status_0200", "HTTP/1.1 0200 X\r\n" L5 END, BAD_STATUS, NULL),
	R("status_plus", "HTTP/1.1 +200 X\r\n" L5 END, BAD_STATUS, NULL),
	R("status_minus", "HTTP/1.1 -20 X\r\n" L5 END, BAD_STATUS, NULL),
	R("status_hex", "HTTP/1.1 2a0 X\r\n" L5 END, BAD_STATUS, NULL),
	R("status_words", "HTTP/1.1 OK\r\n" L5 END, BAD_STATUS, NULL),
	R("status_dot", "HTTP/1.1 404.1 X\r\n" L5 END, BAD_STATUS, NULL),
	R("status_high", "HTTP/1.1 20\xb2 X\r\n" L5 END, BAD_STATUS, NULL),
	R("reason_nul", "HTTP/1.1 200 O\0K\r\n" L5 END, BAD_START_LINE, NULL),
	R("reason_ctl", "HTTP/1.1 200 \x1b[0m\r\n" L5 END, BAD_START_LINE, NULL),
	R("reason_del", "HTTP/1.1 200 \x7f\r\n" L5 END, BAD_START_LINE, NULL),
	R("reason_cr", "HTTP/1.1 200 OK\rX: y\r\n" L5 END, BARE_CR, NULL),
	R("reason_lf", "HTTP/1.1 200 OK\n" L5 END, BARE_LF, NULL),
	R("all_lf", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", BARE_LF, NULL),

	/* field lines, as in requests */
	R("name_space_colon", OK200 "Content-Length : 5\r\n\r\n", BAD_FIELD_NAME, NULL),
	R("name_no_colon", OK200 "garbage\r\n\r\n", BAD_FIELD_NAME, NULL),
	R("name_empty", OK200 ": x\r\n\r\n", BAD_FIELD_NAME, NULL),
	R("fold", OK200 "X: a\r\n b\r\n" L5 END, OBS_FOLD, NULL),
	R("fold_first", OK200 " X: a\r\n" L5 END, OBS_FOLD, NULL),
	R("value_nul", OK200 "X: \0\r\n" L5 END, BAD_FIELD_VALUE, NULL),
	R("value_cr", OK200 "X: a\rSet-Cookie: b\r\n" L5 END, BARE_CR, NULL),
	R("value_lf", OK200 "X: a\nSet-Cookie: b\r\n" L5 END, BARE_LF, NULL),
	R("end_lf", OK200 L5 "\n", BARE_LF, NULL),
	R("end_cr", OK200 L5 "\rhello", BARE_CR, NULL),

	/* Content-Length */
	R("length_twice", OK200 L5 L5 END, MANY_CONTENT_LENGTHS, NULL),
	R("length_differ", OK200 L5 "Content-Length: 6\r\n\r\n", MANY_CONTENT_LENGTHS, NULL),
	R("length_list", OK200 "Content-Length: 5, 5\r\n\r\n", BAD_CONTENT_LENGTH, NULL),
	R("length_plus", OK200 "Content-Length: +5\r\n\r\n", BAD_CONTENT_LENGTH, NULL),
	R("length_minus", OK200 "Content-Length: -1\r\n\r\n", BAD_CONTENT_LENGTH, NULL),
	R("length_empty", OK200 "Content-Length:\r\n\r\n", BAD_CONTENT_LENGTH, NULL),
	R("length_hex", OK200 "Content-Length: 0x5\r\n\r\n", BAD_CONTENT_LENGTH, NULL),
	R("length_huge", OK200 "Content-Length: 99999999999999999999\r\n\r\n", BAD_CONTENT_LENGTH, NULL),
	R("length_bad_304", "HTTP/1.1 304 X\r\nContent-Length: x\r\n\r\n", BAD_CONTENT_LENGTH, NULL),
	TO(HEAD, "length_twice_head", OK200 L5 L5 END, MANY_CONTENT_LENGTHS, NULL),

	/* Transfer-Encoding */
	R("coding_and_length", OK200 CHUNKED L5 END, LENGTH_AND_CODING, NULL),
	R("length_and_coding", OK200 L5 CHUNKED END, LENGTH_AND_CODING, NULL),
	R("coding_twice", OK200 CHUNKED CHUNKED END, BAD_TRANSFER_ENCODING, NULL),
	R("coding_gzip", OK200 "Transfer-Encoding: gzip\r\n\r\n", UNKNOWN_CODING, NULL),
	R("coding_gzip_chunked", OK200 "Transfer-Encoding: gzip, chunked\r\n\r\n", UNKNOWN_CODING, NULL),
	R("coding_identity", OK200 "Transfer-Encoding: identity\r\n\r\n", UNKNOWN_CODING, NULL),
	R("coding_identity_length", OK200 "Transfer-Encoding: identity\r\n" L5 END, LENGTH_AND_CODING, NULL),
	R("coding_not_last", OK200 "Transfer-Encoding: chunked, gzip\r\n\r\n", BAD_TRANSFER_ENCODING, NULL),
	R("coding_x", OK200 "Transfer-Encoding: xchunked\r\n\r\n", UNKNOWN_CODING, NULL),
	R("coding_empty", OK200 "Transfer-Encoding:\r\n\r\n", BAD_TRANSFER_ENCODING, NULL),
	R("coding_vt", OK200 "Transfer-Encoding:\x0b" "chunked\r\n\r\n", BAD_FIELD_VALUE, NULL),
	R("coding_10", "HTTP/1.0 200 OK\r\n" CHUNKED END, CODING_IN_HTTP10, NULL),
	R("coding_underscore", OK200 "Transfer_Encoding: chunked\r\n" L5 END, BAD_FIELD_NAME, NULL),

	/* no content */
	R("status_100", "HTTP/1.1 100 Continue\r\n\r\n", OK, "100 [Continue] none ka #0"),
	R("status_103", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", OK, "103 [Early Hints] none ka #1"),
	R("status_199", "HTTP/1.1 199 X\r\n\r\n", OK, "199 [X] none ka #0"),
	R("status_100_length", "HTTP/1.1 100 Continue\r\n" L5 END, BODY_NOT_ALLOWED, NULL),
	R("status_100_length_0", "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n", BODY_NOT_ALLOWED, NULL),
	R("status_100_chunked", "HTTP/1.1 100 Continue\r\n" CHUNKED END, BODY_NOT_ALLOWED, NULL),
	R("status_100_10", "HTTP/1.0 100 Continue\r\n\r\n", BAD_STATUS, NULL),
	R("status_204", "HTTP/1.1 204 No Content\r\n\r\n", OK, "204 [No Content] none ka #0"),
	R("status_204_length_0", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", OK, "204 [No Content] none ka #1"),
	R("status_204_length", "HTTP/1.1 204 No Content\r\n" L5 END, BODY_NOT_ALLOWED, NULL),
	R("status_204_chunked", "HTTP/1.1 204 No Content\r\n" CHUNKED END, BODY_NOT_ALLOWED, NULL),
	R("status_304", "HTTP/1.1 304 X\r\n\r\n", OK, "304 [X] none ka #0"),
	R("status_304_length", "HTTP/1.1 304 X\r\n" L5 END, OK, "304 [X] none=5 ka #1"),
	R("status_304_chunked", "HTTP/1.1 304 X\r\n" CHUNKED END, OK, "304 [X] none ka #1"),
	R("status_304_both", "HTTP/1.1 304 X\r\n" CHUNKED L5 END, LENGTH_AND_CODING, NULL),
	TO(HEAD, "head_length", OK200 L5 END, OK, "200 [OK] none=5 ka #1"),
	TO(HEAD, "head_chunked", OK200 CHUNKED END, OK, "200 [OK] none ka #1"),
	TO(HEAD, "head_none", OK200 END, OK, "200 [OK] none ka #0"),
	TO(HEAD, "head_404", "HTTP/1.1 404 X\r\n" L5 END, OK, "404 [X] none=5 ka #1"),
	TO(HEAD, "head_10", "HTTP/1.0 200 OK\r\n" L5 END, OK, "200 [OK] none=5 end #1"),

	/* tunnels */
	R("status_101", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", OK, "101 [X] tunnel end upgrade #2"),
	R("status_101_length", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" L5 END, BODY_NOT_ALLOWED, NULL),
	R("status_101_length_0", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
		BODY_NOT_ALLOWED, NULL),
	R("status_101_chunked", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" CHUNKED END, BODY_NOT_ALLOWED, NULL),
	R("status_101_no_upgrade", "HTTP/1.1 101 X\r\nConnection: Upgrade\r\n\r\n", BAD_UPGRADE, NULL),
	R("status_101_no_option", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", BAD_UPGRADE, NULL),
	R("status_101_bare", "HTTP/1.1 101 X\r\n\r\n", BAD_UPGRADE, NULL),
	R("status_101_10", "HTTP/1.0 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", BAD_UPGRADE, NULL),
	TO(CONNECT, "connect_200", OK200 END, OK, "200 [OK] tunnel end #0"),
	TO(CONNECT, "connect_200_length", OK200 L5 END, BODY_NOT_ALLOWED, NULL),
	TO(CONNECT, "connect_200_chunked", OK200 CHUNKED END, BODY_NOT_ALLOWED, NULL),
	TO(CONNECT, "connect_403", "HTTP/1.1 403 X\r\n" L5 END, OK, "403 [X] len=5 ka #1"),

	/* Connection */
	R("connection_cookie", OK200 L5 "Connection: close, set-cookie\r\n\r\n", BAD_CONNECTION, NULL),
	R("connection_length", OK200 L5 "Connection: content-length\r\n\r\n", BAD_CONNECTION, NULL),
	R("connection_custom", OK200 L5 "Connection: x-a\r\nX-A: 1\r\n\r\n", OK, "200 [OK] len=5 ka #3"),
	R("connection_words", OK200 L5 "Connection: keep alive\r\n\r\n", BAD_CONNECTION, NULL),
	R("expect_is_ignored", OK200 L5 "Expect: x\r\n\r\n", OK, "200 [OK] len=5 ka #2"),
};
const uint32_t n_response_cases = sizeof(response_cases) / sizeof(response_cases[0]);
