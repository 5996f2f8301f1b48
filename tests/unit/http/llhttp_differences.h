/* llhttp_differences.h: where llhttp and Tidegate do not say the same, and why. Rows of the
 * tables by name; test_llhttp.c holds the list against both parsers. Included into an array of
 * struct listed. */
/* clang-format off */
{"chunked", "llhttp refuses",
	"this version of llhttp does not know BWS around extensions, escapes in quoted ones, or a "
	"second one behind a value",
	"ext_quoted ext_quoted_two ext_spaces ext_two"},
{"chunked", "we refuse",
	"llhttp takes empty names and values, and has no limit",
	"ext_257 ext_empty_two ext_no_name ext_no_value"},
{"chunked", "we refuse",
	"llhttp takes a bare LF at the end of the trailer section",
	"last_end_lf trailer_end_lf"},
{"chunked", "we refuse",
	"2^63 overflows signed readers, llhttp goes to 2^64; and it has no limit for zeros",
	"size_2_63 size_f size_zeros_endless"},
{"chunked", "we refuse",
	"llhttp takes trailers for fields like all others (and unfolds them, and takes empty "
	"names); RFC 9110 section 6.5.1 forbids those that frame, route or authorise",
	"trailer_authorization trailer_cache_control trailer_connection trailer_content_encoding "
	"trailer_content_type trailer_cookie trailer_fold trailer_forwarded trailer_host "
	"trailer_length trailer_lookalike trailer_no_name trailer_second_bad trailer_trailer"},
{"request", "fields",
	"the absolute target (or CONNECT's) has replaced the value of Host, or Host was added "
	"(RFC 9112 section 3.2.2)",
	"absolute_10 absolute_https absolute_no_path "
	"absolute_other_host absolute_query absolute_star absolute_star_slash absolute_upper "
	"absolute_v6 connect_v6"},
{"request", "keep-alive",
	"llhttp lets keep-alive win over close in HTTP/1.0; RFC 9112 section 9.3: close wins",
	"close_10"},
{"request", "keep-alive",
	"llhttp obeys Proxy-Connection; RFC 9112 appendix C.2.2: a trap for blind relays",
	"proxy_connection"},
{"request", "llhttp refuses",
	"llhttp does not take a tab behind chunked for white space",
	"coding_spaces"},
{"request", "llhttp refuses",
	"llhttp knows no minor version above 1; RFC 9110 section 2.5: process as 1.1",
	"http_12 http_19"},
{"request", "llhttp refuses",
	"llhttp knows a fixed set of methods; ours is any token (RFC 9110 section 9.1)",
	"method_32 method_lower"},
{"request", "upgrade",
	"llhttp leaves to its user what to switch to; we never switch in HTTP/1.0, with content, "
	"or to HTTP and TLS",
	"upgrade_10 upgrade_body upgrade_chunked upgrade_h2c upgrade_h2c_list upgrade_http "
	"upgrade_tls upgrade_two_fields"},
{"request", "we refuse",
	"llhttp does not look at Host; what is not uri-host[:port], or what readers could take "
	"for two, is refused",
	"absolute_bad_host_field absolute_empty_host_field host_256 host_backslash host_colon "
	"host_comma host_empty host_escaped host_fragment host_high host_list host_path host_port_big host_port_empty "
	"host_port_letters host_port_long host_port_negative host_port_sign host_query host_quote "
	"host_semicolon host_space host_star host_tab host_two_ports host_url host_userinfo "
	"host_v6_bad host_v6_bare host_v6_empty host_v6_junk host_v6_long host_v6_nested"},
{"request", "we refuse",
	"llhttp takes any characters and any form of target with any method; ours: target.c",
	"absolute_comma_host absolute_empty absolute_empty_path absolute_escaped_host "
	"absolute_file absolute_fragment absolute_ftp absolute_only_port absolute_port_big "
	"absolute_port_empty absolute_port_letters absolute_userinfo absolute_userinfo_pw "
	"absolute_v6_junk absolute_v6_open absolute_v6_zone absolute_vfuture connect_absolute "
	"connect_no_port connect_path connect_star connect_userinfo star_get star_path star_query "
	"star_star target_angle target_backslash target_fragment target_quote"},
{"request", "we refuse",
	"llhttp does not look at Host; RFC 9112 section 3.2 wants a 400",
	"absolute_no_host_field absolute_two_hosts no_host no_host_fields two_hosts two_hosts_10 "
	"two_hosts_apart two_hosts_same"},
{"request", "we refuse",
	"Transfer-Encoding means nothing in HTTP/1.0 (RFC 9112 section 6.1): a faulty frame",
	"coding_10"},
{"request", "we refuse",
	"llhttp only looks at whether the last coding of the last field is chunked, and takes an "
	"empty value for none",
	"coding_blank coding_comma coding_empty codings_empty_last"},
{"request", "we refuse",
	"llhttp leaves codings before chunked to its user; we have none: 501",
	"coding_gzip_chunked coding_identity_chunked codings_identity_first"},
{"request", "we refuse",
	"content that has no meaning with CONNECT and is forbidden with TRACE (RFC 9110 sections "
	"9.3.6 and 9.3.8)",
	"connect_chunked connect_length trace_chunked trace_length"},
{"request", "we refuse",
	"llhttp looks only for close, keep-alive and upgrade; options that are no tokens, too "
	"many, or name end-to-end fields are refused (RFC 9110 section 7.6.1)",
	"connection_33 connection_authorization connection_coding connection_cookie "
	"connection_forwarded connection_high connection_host connection_length connection_quoted "
	"connection_semicolon connection_two_words"},
{"request", "we refuse",
	"llhttp skips any CR and LF before the start line; ours: at most two CRLF",
	"cr_cr_lf cr_first crlf_3 crlf_lf lf_first"},
{"request", "we refuse",
	"llhttp takes an empty Transfer-Encoding for none",
	"empty_and_length"},
{"request", "we refuse",
	"llhttp takes a bare LF at the end of the head",
	"end_lf"},
{"request", "we refuse",
	"llhttp does not look at Expect; RFC 9110 section 10.1.1: 417",
	"expect_empty expect_list expect_other expect_parameter expect_second"},
{"request", "we refuse",
	"llhttp unfolds values (obs-fold); RFC 9112 section 5.2 lets a server refuse, and folding "
	"hides framing fields",
	"fold_blank fold_coding fold_length fold_space fold_tab name_indented"},
{"request", "we refuse",
	"llhttp takes HTTP/0.9 and HTTP/2.0 for versions it can parse",
	"http_09 http_20"},
{"request", "we refuse",
	"2^63 overflows signed readers; llhttp goes to 2^64",
	"length_2_63"},
{"request", "we refuse",
	"llhttp takes an empty field name",
	"name_empty"},
{"request", "we refuse",
	"CGI and its heirs read _ as -: a hidden framing field",
	"name_underscore_coding name_underscore_length"},
{"request", "we refuse",
	"llhttp takes a line without version for HTTP/0.9",
	"no_version target_cr_injection"},
{"request", "we refuse",
	"llhttp speaks RTSP, too",
	"rtsp_version"},
{"request", "we refuse",
	"llhttp skips spaces between the parts of the request line; other readers take the empty "
	"part",
	"two_spaces_1 two_spaces_2"},
{"request", "we refuse",
	"llhttp does not look into Upgrade; ours must be a list of protocols",
	"upgrade_comma upgrade_empty upgrade_no_version upgrade_slashes upgrade_two_words"},
{"response", "end",
	"llhttp waits for the content that Content-Length announces even though 304 has none (RFC "
	"9112 section 6.3)",
	"connect_200 status_304_length"},
{"response", "framing",
	"Content-Length: 0 is forbidden with 204 (RFC 9110 section 8.6): we drop it",
	"status_204_length_0"},
{"response", "framing",
	"Transfer-Encoding without content says nothing to us; llhttp reports the field",
	"head_chunked status_304_chunked"},
{"response", "keep-alive",
	"llhttp does not yet know of HEAD when it is asked; and a tunnel is no message for us "
	"after which another could come",
	"head_none status_101"},
{"response", "llhttp refuses",
	"llhttp knows no minor version above 1; RFC 9110 section 2.5: process as 1.1",
	"ok_12"},
{"response", "we refuse",
	"Transfer-Encoding means nothing in HTTP/1.0 (RFC 9112 section 6.1): a faulty frame",
	"coding_10"},
{"response", "we refuse",
	"llhttp reads until close what does not end in chunked (RFC 9112 section 6.3); readers "
	"differ: refused",
	"coding_empty coding_not_last coding_twice"},
{"response", "we refuse",
	"llhttp reads until close what does not end in chunked, and leaves other codings to its "
	"user; we have none",
	"coding_gzip coding_gzip_chunked coding_identity coding_x"},
{"response", "we refuse",
	"CGI and its heirs read _ as -: a hidden framing field",
	"coding_underscore"},
{"response", "we refuse",
	"llhttp lets framing fields stand where the RFC forbids them (1xx, 204, 2xx to CONNECT); "
	"somebody might believe them",
	"connect_200_chunked connect_200_length status_100_chunked status_100_length "
	"status_100_length_0 status_101_chunked status_101_length status_101_length_0 "
	"status_204_chunked status_204_length"},
{"response", "we refuse",
	"as in requests",
	"connection_cookie connection_length connection_words"},
{"response", "we refuse",
	"llhttp skips any CR and LF before the status line; no server sends them",
	"crlf_first lf_first"},
{"response", "we refuse",
	"llhttp takes a bare LF at the end of the head",
	"end_lf"},
{"response", "we refuse",
	"llhttp unfolds values (obs-fold)",
	"fold"},
{"response", "we refuse",
	"llhttp takes HTTP/0.9 and HTTP/2.0 for versions it can parse",
	"http_09 http_20"},
{"response", "we refuse",
	"llhttp takes an empty field name",
	"name_empty"},
{"response", "we refuse",
	"llhttp is lax about the status line: any number of digits and spaces, no reason and no "
	"space before it (RFC 9112 section 4); HTTP/1.0 has no 1xx",
	"no_reason_space no_status_space status_000 status_0200 status_099 status_100_10 status_2 "
	"status_20 status_600 status_999 two_spaces"},
{"response", "we refuse",
	"llhttp takes any bytes for the reason",
	"reason_ctl reason_del reason_nul"},
{"response", "we refuse",
	"llhttp takes a bare LF at the end of the status line and of the head",
	"reason_lf"},
{"response", "we refuse",
	"llhttp needs neither Upgrade nor the option with 101 (RFC 9110 section 15.2.2: must), "
	"nor HTTP/1.1",
	"status_101_10 status_101_bare status_101_no_option status_101_no_upgrade"},
	/* clang-format on */
