/* cases_chunked.c: chunked content. `facts` is the data, then '|' and what is left over behind the
 * end, then
 * '|' and the trailer section. */
#include "cases.h"

#define C(name, in, verdict, facts) \
	{ \
		name, in, sizeof(in) - 1, TG_H1_##verdict, 0, facts \
	}
#define MORE(name, in) \
	{ \
		name, in, sizeof(in) - 1, INCOMPLETE, 0, NULL \
	}
#define LAST "0\r\n\r\n"
#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN

/* clang-format off */
const struct h1_case chunked_cases[] = {
	C("one", "5\r\nhello\r\n" LAST, OK, "hello||"),
	C("two", "5\r\nhello\r\n6\r\n world\r\n" LAST, OK, "hello world||"),
	C("none", LAST, OK, "||"),
	C("left_over", "5\r\nhello\r\n" LAST "GET / HTTP/1.1", OK, "hello|GET / HTTP/1.1|"),
	C("left_over_crlf", LAST "\r\n", OK, "|\r\n|"),
	C("hex_lower", "a\r\n0123456789\r\n" LAST, OK, "0123456789||"),
	C("hex_upper", "A\r\n0123456789\r\n" LAST, OK, "0123456789||"),
	C("hex_two_digits", "0a\r\n0123456789\r\n" LAST, OK, "0123456789||"),
	C("leading_zeros", "00000000000000000000005\r\nhello\r\n" LAST, OK, "hello||"),
	C("many_zeros_end", "000000\r\n\r\n", OK, "||"),
	C("data_is_crlf", "2\r\n\r\n\r\n" LAST, OK, "\r\n||"),
	C("data_is_chunk", "5\r\n0\r\n\r\n\r\n" LAST, OK, "0\r\n\r\n||"),
	C("data_has_nul", "3\r\na\0b\r\n" LAST, OK, "a\0b||"),

	MORE("empty", ""),
	MORE("part_size", "5"),
	MORE("part_size_cr", "5\r"),
	MORE("part_size_crlf", "5\r\n"),
	MORE("part_data", "5\r\nhel"),
	MORE("part_data_cr", "5\r\nhello\r"),
	MORE("part_chunk", "5\r\nhello\r\n"),
	MORE("part_last", "5\r\nhello\r\n0"),
	MORE("part_end", "0\r\n"),
	MORE("part_end_cr", "0\r\n\r"),
	MORE("part_trailer", "0\r\nX: y"),
	MORE("part_trailer_line", "0\r\nX: y\r\n"),
	MORE("part_ext", "5;a=\"b"),

	/* size */
	C("size_empty", "\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_space_first", " 5\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_tab_first", "\t5\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_space_end", "5 \r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("size_tab_end", "5\t\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("size_vt_end", "5\x0b\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_nul_end", "5\0\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_plus", "+5\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_minus", "-5\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_minus_0", "-0\r\n\r\n", BAD_CHUNK_SIZE, NULL),
	C("size_0x", "0x5\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_0X", "0X5\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_h", "5h\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_g", "g\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_dot", "5.0\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_comma", "5,5\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_underscore", "0_5\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_two", "5 5\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("size_quoted", "\"5\"\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_high", "\xb5\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_2_63", "8000000000000000\r\n", BAD_CHUNK_SIZE, NULL),
	C("size_2_64", "10000000000000000\r\n", BAD_CHUNK_SIZE, NULL),
	C("size_2_64_5", "10000000000000005\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("size_f", "ffffffffffffffff\r\nhello", BAD_CHUNK_SIZE, NULL),
	MORE("size_2_32_5", "100000005\r\nhello"),
	MORE("size_max", "7fffffffffffffff\r\nhello"),
	C("size_endless", FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY, BAD_CHUNK_SIZE, NULL),
	C("size_zeros_endless", "0000000000000000000000000000000000000000000000000000000000000000"
		"0000000000000000000000000000000000000000000000000000000000000000"
		"0000000000000000000000000000000000000000000000000000000000000000"
		"00000000000000000000000000000000000000000000000000000000000000000", BAD_CHUNK_SIZE, NULL),
	C("size_lf", "5\nhello\r\n" LAST, BARE_LF, NULL),
	C("size_lf_all", "5\nhello\n0\n\n", BARE_LF, NULL),
	C("size_cr", "5\rhello\r\n" LAST, BARE_CR, NULL),
	C("size_cr_cr_lf", "5\r\r\nhello\r\n" LAST, BARE_CR, NULL),
	C("size_lf_first", "\n5\r\nhello\r\n" LAST, BAD_CHUNK_SIZE, NULL),

	/* extensions */
	C("ext_name", "5;a\r\nhello\r\n" LAST, OK, "hello||"),
	C("ext_value", "5;a=b\r\nhello\r\n" LAST, OK, "hello||"),
	C("ext_two", "5;a=b;c=d\r\nhello\r\n" LAST, OK, "hello||"),
	C("ext_quoted", "5;a=\"b c;\\\"\\\\\"\r\nhello\r\n" LAST, OK, "hello||"),
	C("ext_quoted_tab", "5;a=\"\t\xff\"\r\nhello\r\n" LAST, OK, "hello||"),
	C("ext_quoted_two", "5;a=\"b\";c=\"d\" ; e\r\nhello\r\n" LAST, OK, "hello||"),
	C("ext_spaces", "5 \t; a = b ; c\r\nhello\r\n" LAST, OK, "hello||"),
	C("ext_on_last", "0;a=b\r\n\r\n", OK, "||"),
	C("ext_empty", "5;\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_empty_two", "5;;a\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_no_name", "5;=b\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_no_value", "5;a=\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_space_end", "5;a \r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_value_space_end", "5;a=b \r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_two_names", "5;a b\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_lf", "5;a\nhello\r\n" LAST, BARE_LF, NULL),
	C("ext_lf_first", "5;\nhello\r\n" LAST, BARE_LF, NULL),
	C("ext_value_lf", "5;a=b\nhello\r\n" LAST, BARE_LF, NULL),
	C("ext_cr", "5;a\rb\r\nhello\r\n" LAST, BARE_CR, NULL),
	C("ext_quoted_crlf", "5;a=\"\r\nhello\"\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_quoted_lf", "5;a=\"\nhello\"\r\n" LAST, BARE_LF, NULL),
	C("ext_quoted_cr", "5;a=\"\r\"\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_escaped_cr", "5;a=\"\\\r\n\"\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_quoted_nul", "5;a=\"\0\"\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_quoted_junk", "5;a=\"b\"c\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_nul", "5;a\0\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_high", "5;\xff\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_ctl", "5;\x01\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),
	C("ext_256", "5;" FIFTY FIFTY FIFTY FIFTY FIFTY "012\r\nhello\r\n" LAST, OK, "hello||"),
	C("ext_257", "5;" FIFTY FIFTY FIFTY FIFTY FIFTY "0123456\r\nhello\r\n" LAST, BAD_CHUNK_EXT, NULL),

	/* the end of a chunk */
	C("data_long", "5\r\nhelloo\r\n" LAST, BAD_CHUNK_END, NULL),
	C("data_short", "6\r\nhello\r\n" LAST, BAD_CHUNK_END, NULL),
	C("data_no_crlf", "5\r\nhello0\r\n\r\n", BAD_CHUNK_END, NULL),
	C("data_lf", "5\r\nhello\n" LAST, BAD_CHUNK_END, NULL),
	C("data_cr", "5\r\nhello\r" LAST, BAD_CHUNK_END, NULL),
	C("data_cr_cr", "5\r\nhello\r\r\n" LAST, BAD_CHUNK_END, NULL),
	C("data_two_crlf", "5\r\nhello\r\n\r\n" LAST, BAD_CHUNK_SIZE, NULL),
	C("data_space", "5\r\nhello \r\n" LAST, BAD_CHUNK_END, NULL),
	C("last_lf", "0\n\r\n", BARE_LF, NULL),
	C("last_lf_lf", "0\n\n", BARE_LF, NULL),
	C("last_end_lf", "0\r\n\n", BARE_LF, NULL),
	C("last_end_cr", "0\r\n\rX", BARE_CR, NULL),
	C("last_end_request", "0\r\nGET / HTTP/1.1\r\n\r\n", BAD_TRAILER, NULL),

	/* trailers */
	C("trailer", "0\r\nX-A: b\r\n\r\n", OK, "||X-A: b\r\n"),
	C("trailer_after_data", "5\r\nhello\r\n0\r\nX-A: b\r\n\r\nrest", OK, "hello|rest|X-A: b\r\n"),
	C("trailer_two", "0\r\nX-A: b\r\nGrpc-Status: 0\r\n\r\n", OK, "||X-A: b\r\nGrpc-Status: 0\r\n"),
	C("trailer_spaces", "0\r\nX-A: \t b  c \t\r\n\r\n", OK, "||X-A: b  c\r\n"),
	C("trailer_no_space", "0\r\nX-A:b\r\n\r\n", OK, "||X-A: b\r\n"),
	C("trailer_empty", "0\r\nX-A:\r\n\r\n", OK, "||X-A:\r\n"),
	C("trailer_blank", "0\r\nX-A:  \t \r\n\r\n", OK, "||X-A:\r\n"),
	C("trailer_latin", "0\r\nX-A: \xe4\r\n\r\n", OK, "||X-A: \xe4\r\n"),
	C("trailer_long_name", "0\r\n" FIFTY ": b\r\n\r\n", OK, "||" FIFTY ": b\r\n"),
	C("trailer_host", "0\r\nHost: b\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_length", "0\r\nContent-Length: 5\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_lookalike", "0\r\nContent_Length: 5\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_coding", "0\r\ntransfer-encoding: chunked\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_connection", "0\r\nConnection: close\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_trailer", "0\r\nTrailer: x\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_authorization", "0\r\nAuthorization: Basic x\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_cookie", "0\r\nCookie: a=b\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_content_type", "0\r\nContent-Type: a/b\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_content_encoding", "0\r\nContent-Encoding: gzip\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_forwarded", "0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_cache_control", "0\r\nCache-Control: no-store\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_second_bad", "0\r\nX-A: b\r\nHOST: c\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_space_colon", "0\r\nX-A : b\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_no_colon", "0\r\nX-A\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_no_name", "0\r\n: b\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_fold", "0\r\nX-A: b\r\n c\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_fold_first", "0\r\n X-A: b\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_nul", "0\r\nX-A: \0\r\n\r\n", BAD_TRAILER, NULL),
	C("trailer_lf", "0\r\nX-A: b\n\r\n", BARE_LF, NULL),
	C("trailer_name_lf", "0\r\nX-A\n\r\n", BARE_LF, NULL),
	C("trailer_cr", "0\r\nX-A: b\rc\r\n\r\n", BARE_CR, NULL),
	C("trailer_end_lf", "0\r\nX-A: b\r\n\n", BARE_LF, NULL),
	C("trailer_end_cr", "0\r\nX-A: b\r\n\rx", BARE_CR, NULL),
};
const uint32_t n_chunked_cases = sizeof(chunked_cases) / sizeof(chunked_cases[0]);
