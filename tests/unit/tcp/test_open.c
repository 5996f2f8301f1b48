/* Connections begin. RFC 9293 sections 3.5, 3.10.7.2 and .3; 7323; 4987; 5961. */
#include "opening.h"

static const struct script scripts[] = {
	{"passive open: MSS from the MTU, Linux's options and window", 0,
		OPEN "+0 stat tcp_accepted 1\n"
		     "+0 state open\n"},
	{"passive open with timestamps", 0, OPEN_TS "+0 state open\n"},
	{"passive open of a peer without options", 0, OPEN_BARE "+0 state open\n"},
	{"passive open on IPv6: MSS 1440", CONF_V6,
		"0   listen\n"
		"+0  < S 0:0(0) win 65535 <mss 1440,sackOK,TS val 1 ecr 0,wscale 7>\n"
		"+0  > S. 0:0(0) ack 1 win 64260 <mss 1440,sackOK,TS val 0 ecr 1,wscale 7>\n"
		"+.1 < . 1:1(0) ack 1 win 512 <TS val 2 ecr 0>\n"
		"+0  event OPEN\n"},
	{"no MSS option means 536 (IPv4)", 0,
		"0   listen\n"
		"+0  < S 0:0(0) win 65535\n"
		"+0  > S. 0:0(0) ack 1 <mss 1460>\n"
		"+.1 < . 1:1(0) ack 1 win 65535\n"
		"+0  event OPEN\n"
		"+0  write 1072\n"
		"+0  > . 1:537(536) ack 1\n"
		"+0  > P. 537:1073(536) ack 1\n"},
	{"no MSS option means 1220 (IPv6)", CONF_V6,
		"0   listen\n"
		"+0  < S 0:0(0) win 65535\n"
		"+0  > S. 0:0(0) ack 1 <mss 1440>\n"
		"+.1 < . 1:1(0) ack 1 win 65535\n"
		"+0  event OPEN\n"
		"+0  write 1221\n"
		"+0  > . 1:1221(1220) ack 1\n"
		"+0  > P. 1221:1222(1) ack 1\n"},
	{"a tiny MSS is not taken below Linux's 48", 0,
		"0   listen\n"
		"+0  < S 0:0(0) win 65535 <mss 1>\n"
		"+0  > S. 0:0(0) ack 1 <mss 1460>\n"
		"+.1 < . 1:1(0) ack 1 win 65535\n"
		"+0  event OPEN\n"
		"+0  write 49\n"
		"+0  > . 1:49(48) ack 1\n"
		"+0  > P. 49:50(1) ack 1\n"},
	{"window scale above 14 counts as 14", 0,
		"0   listen\n"
		"+0  < S 0:0(0) win 65535 <raw 020405b4010303ff>\n"
		"+0  > S. 0:0(0) ack 1 <mss 1460,wscale 7>\n"
		"+.1 < . 1:1(0) ack 1 win 1\n"
		"+0  event OPEN\n"
		"+0  write 14600\n"
		"+0  > . 1:1461(1460) ack 1\n"
		"+0  > . 1461:2921(1460) ack 1\n"
		"+0  > . 2921:4381(1460) ack 1\n"
		"+0  > . 4381:5841(1460) ack 1\n"
		"+0  > . 5841:7301(1460) ack 1\n"
		"+0  > . 7301:8761(1460) ack 1\n"
		"+0  > . 8761:10221(1460) ack 1\n"
		"+0  > . 10221:11681(1460) ack 1\n"
		"+0  > . 11681:13141(1460) ack 1\n"
		"+0  > P. 13141:14601(1460) ack 1\n"},
	{"SYN-ACK again after 1, 2, 4, 8, 16 s, then forgotten", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+1    > S. 0:0(0) ack 1\n"
		"+2    > S. 0:0(0) ack 1\n"
		"+4    > S. 0:0(0) ack 1\n"
		"+8    > S. 0:0(0) ack 1\n"
		"+16   > S. 0:0(0) ack 1\n"
		"+31.9 state embryonic\n"
		"+.2   state gone\n"
		"+0    stat conn_connect_timeout 1\n"},
	{"the SYN again: the SYN-ACK again", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.6   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 1000\n"
		"+0    event OPEN\n"},
	{"data on the SYN are ignored, and come again", 0,
		"0     listen\n"
		"+0    < S 0:500(500) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < P. 1:501(500) ack 1 win 1000\n"
		"+0    > . 1:1(0) ack 501\n"
		"+0    event OPEN|READABLE\n"
		"+0    readable 500\n"},
	{"data with the handshake's ACK are taken", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < P. 1:11(10) ack 1 win 1000\n"
		"+0    > . 1:1(0) ack 11\n"
		"+0    event OPEN|READABLE\n"},
	{"a lost handshake ACK: data open it as well", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.3   < P. 1:11(10) ack 1 win 1000\n"
		"+0    > . 1:1(0) ack 11\n"
		"+0    event OPEN|READABLE\n"},
	{"FIN with the handshake's ACK", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < F. 1:1(0) ack 1 win 1000\n"
		"+0    > . 1:1(0) ack 2\n"
		"+0    event OPEN|EOF\n"},
	{"an ACK of something else is answered with RST", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1000 win 1000\n"
		"+0    > R 1000:1000(0)\n"
		"+0    state embryonic\n"
		"+0    stat tcp_embryonic 1\n"
		"+0    stat tcp_embryonic_now 1\n"},
	{"exact RST ends a handshake; another does not", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < R 2:2(0) win 0\n"
		"+0    state embryonic\n"
		"+.1   < R 1:1(0) win 0\n"
		"+0    state gone\n"},
	{"another SYN in the handshake's window: ACK, no harm", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < S 100:100(0) win 65535 <mss 1460>\n"
		"+0    > . 1:1(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 1000\n"
		"+0    event OPEN\n"},
	{"SYN to a closed port: RST that acknowledges it", 0,
		"0     < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > R. 0:0(0) ack 1\n"
		"+0    stat tcp_no_listener 1\n"},
	{"ACK to a closed port: RST at its number", 0,
		"0     < . 1:1(0) ack 12345 win 65535\n"
		"+0    > R 12345:12345(0)\n"
		"+0    stat tcp_no_connection 1\n"},
	{"FIN, data and all flags without ACK to a closed port: reset, with what they ask for", 0,
		"0     < F 1:1(0) win 65535\n"
		"+0    > R. 0:0(0) ack 2\n"
		"+0    < - 1:11(10) win 65535\n"
		"+0    > R. 0:0(0) ack 11\n"
		"+0    < FUP 1:11(10) win 65535\n"
		"+0    > R. 0:0(0) ack 12\n"
		"+0    < SF 1:1(0) win 65535\n"
		"+0    > R. 0:0(0) ack 3\n"
		"+.1   stat tcp_no_connection 3\n"
		"+0    stat tcp_no_listener 1\n"},
	{"RST to a closed port: silence", 0,
		"0     < R 1:1(0) win 65535\n"
		"+.1   stat tcp_no_connection 1\n"},
	{"RST and ACK to a listener", 0,
		"0     listen\n"
		"+0    < R 1:1(0) win 100\n"
		"+0    < . 1:1(0) ack 55 win 100\n"
		"+0    > R 55:55(0)\n"
		"+0    < SF 1:1(0) win 100\n"
		"+0    < SR 1:1(0) win 100\n"
		"+0    < FUP 1:1(0) win 100\n"
		"+0    < - 1:1(0) win 100\n"
		"+.1   stat tcp_bad_flags 3\n"},
	{"no embryonic record left: a cookie, and it opens", CONF_SMALL_EMB,
		"0     listen\n"
		"+0    other 6001\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    other 6002\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    other 0\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,wscale 7>\n"
		"+0    > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val * ecr 100,wscale 7>\n"
		"+0    stat tcp_cookies_sent 1\n"
		"+.1   < P. 1:101(100) ack 1 win 512 <TS val 200 ecr 0>\n"
		"+0    > . 1:1(0) ack 101 <TS val * ecr 200>\n"
		"+0    stat tcp_cookies_accepted 1\n"
		"+0    event OPEN|READABLE\n"
		"+0    write 3000\n"
		"+0    > . 1:1449(1448) ack 101\n"
		"+0    > . 1449:2897(1448) ack 101\n"
		"+0    > P. 2897:3001(104) ack 101\n"
		"+0    abort\n"
		"+0    > R. 3001:3001(0) ack 101\n"},
	{"a SYN over the limit is dropped without a word, a repeated one costs nothing", 0,
		"0     listen limit 1\n"
		"+0    other 6001\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.6   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    other 0\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    stat tcp_listener_rate 1\n"
		"+0    state gone\n"},
	{"an ACK that is no cookie: RST", CONF_SMALL_EMB,
		"0     listen backlog 1\n"
		"+0    other 6001\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    other 0\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1000000 win 512\n"
		"+0    > R 1000000:1000000(0)\n"
		"+0    stat tcp_cookie_bad 1\n"},
	{"unlisten drops the handshakes, keeps connections", 0,
		OPEN "+0 other 6001\n"
		     "+0 again\n"
		     "+0 < S 0:0(0) win 65535 <mss 1460>\n"
		     "+0 > S. 0:0(0) ack 1\n"
		     "+0 state embryonic\n"
		     "+0 unlisten\n"
		     "+0 state gone\n"
		     "+0 other 0\n"
		     "+0 state open\n"},
	{"active open", 0,
		"0     connect\n"
		"+0    > S 0:0(0) win 64240 <mss 1460,sackOK,TS val 0 ecr 0,wscale 7>\n"
		"+.1   < S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 100 ecr 0,wscale 7>\n"
		"+0    > . 1:1(0) ack 1 win 2048 <TS val 100 ecr 100>\n"
		"+0    event OPEN\n"
		"+0    stat tcp_connected 1\n"},
	{"SYN again after 1, 2, 4, 8, 16, 32 s; failed after 127", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+1    > S 0:0(0)\n"
		"+2    > S 0:0(0)\n"
		"+4    > S 0:0(0)\n"
		"+8    > S 0:0(0)\n"
		"+16   > S 0:0(0)\n"
		"+32   > S 0:0(0)\n"
		"+64.1 event FAILED\n"
		"+0    why conn_connect_timeout\n"
		"+0    final 1\n"},
	{"the user's connect timeout", 0,
		"0     connect timeout 1500\n"
		"+0    > S 0:0(0)\n"
		"+1    > S 0:0(0)\n"
		"1.49  event -\n"
		"1.51  event FAILED\n"
		"+0    why conn_connect_timeout\n"},
	{"active open refused", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < R. 0:0(0) ack 1 win 0\n"
		"+0    event FAILED\n"
		"+0    why conn_refused\n"
		"+0    final 1\n"
		"+0    state gone\n"},
	{"a blind RST does not refuse", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < R 0:0(0) win 0\n"
		"+0    event -\n"
		"+.1   < R. 0:0(0) ack 7 win 0\n"
		"+0    event -\n"
		"+0    stat tcp_ack_future 1\n"},
	{"SYN-ACK of another time: RST, and the open goes on", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < S. 0:0(0) ack 500 win 1000 <mss 1460>\n"
		"+0    > R 500:500(0)\n"
		"+.1   < S. 0:0(0) ack 1 win 1000 <mss 1460>\n"
		"+0    > . 1:1(0) ack 1\n"
		"+0    event OPEN\n"},
	{"a bare ACK answers no SYN", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < . 0:0(0) ack 1 win 1000\n"
		"+0    event -\n"
		"+0    stat tcp_embryonic 1\n"},
	{"the final ACK was lost: it comes again", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < S. 0:0(0) ack 1 win 1000 <mss 1460>\n"
		"+0    > . 1:1(0) ack 1\n"
		"+1    < S. 0:0(0) ack 1 win 1000 <mss 1460>\n"
		"+0    > . 1:1(0) ack 1\n"
		"+0    event OPEN\n"},
	{"simultaneous open", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,wscale 7>\n"
		"+0    > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 100 ecr 100,wscale 7>\n"
		"+.1   < S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 200 ecr 0,wscale 7>\n"
		"+0    event OPEN\n"
		"+0    write 10\n"
		"+0    > P. 1:11(10) ack 1\n"},
	{"simultaneous open, and RST exactly there refuses", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < R. 1:1(0) ack 1 win 0\n"
		"+0    event FAILED\n"
		"+0    why conn_refused\n"},
	{"ICMP hard error while opening fails it; not with another number", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+0    icmp hard 77\n"
		"+0    event -\n"
		"+0    icmp hard 0\n"
		"+0    event FAILED\n"
		"+0    why conn_unreachable\n"},
	{"ICMP soft error while opening: goes on", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+0    icmp soft 0\n"
		"+0    event -\n"
		"+1    > S 0:0(0)\n"
		"+.1   < S. 0:0(0) ack 1 win 1000 <mss 1460>\n"
		"+0    > . 1:1(0) ack 1\n"
		"+0    event OPEN\n"},
	{"a SYN sent twice: initial window of one segment", CONF_NO_TS,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+1    > S 0:0(0)\n"
		"+2    > S 0:0(0)\n"
		"+.1   < S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK>\n"
		"+0    > . 1:1(0) ack 1\n"
		"+0    event OPEN\n"
		"+0    write 4380\n"
		"+0    > . 1:1461(1460) ack 1\n"},
	{"a SYN sent again: the first RTO is 3 s (RFC 6298 section 5.7)", CONF_NO_TS,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+1    > S 0:0(0)\n"
		"+.1   < S. 0:0(0) ack 1 win 65535 <mss 1460>\n"
		"+0    > . 1:1(0) ack 1\n"
		"+0    event OPEN\n"
		"+0    write 10\n"
		"+0    > P. 1:11(10) ack 1\n"
		"+3~   > P. 1:11(10) ack 1\n"
		"+6~   > P. 1:11(10) ack 1\n"},
	{"a SYN-ACK sent again: 3 s as well, and ten segments yet", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+1    > S. 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 65535\n"
		"+0    event OPEN\n"
		"+0    write 2920\n"
		"+0    > . 1:1461(1460) ack 1\n"
		"+0    > P. 1461:2921(1460) ack 1\n"
		"+3~   > . 1:1461(1460) ack 1\n"},
	{"a SYN-ACK sent three times: one segment", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+1    > S. 0:0(0) ack 1\n"
		"+2    > S. 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 65535\n"
		"+0    event OPEN\n"
		"+0    write 2920\n"
		"+0    > . 1:1461(1460) ack 1\n"
		"+.1   < . 1:1(0) ack 1461 win 65535\n"
		"+0    > P. 1461:2921(1460) ack 1\n"},
	{"malformed options on a SYN: what came before them counts", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <raw 020403e808000000>\n"
		"+0    > S. 0:0(0) ack 1 <mss 1460>\n"
		"+.1   < . 1:1(0) ack 1 win 65535\n"
		"+0    event OPEN\n"
		"+0    write 1001\n"
		"+0    > . 1:1001(1000) ack 1\n"
		"+0    > P. 1001:1002(1) ack 1\n"},
	{"options of length 0, 1 and over the end", 0,
		"0     listen\n"
		"+0    other 6001\n"
		"+0    < S 0:0(0) win 65535 <raw 03000000>\n"
		"+0    > S. 0:0(0) ack 1 <mss 1460>\n"
		"+0    other 6002\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <raw 03010000>\n"
		"+0    > S. 0:0(0) ack 1 <mss 1460>\n"
		"+0    other 6003\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <raw 01010820>\n"
		"+0    > S. 0:0(0) ack 1 <mss 1460>\n"
		"+0    other 6004\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <raw 010101fd>\n"
		"+0    > S. 0:0(0) ack 1 <mss 1460>\n"},
	{"ECN is agreed when the peer asks", 0,
		"0     listen\n"
		"+0    < SEW 0:0(0) win 65535 <mss 1460,sackOK>\n"
		"+0    > S.E 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 65535\n"
		"+0    event OPEN\n"
		"+0    write 100\n"
		"+0    > P. 1:101(100) ack 1 ect0\n"},
	{"ECN refused by configuration", CONF_NO_ECN,
		"0     listen\n"
		"+0    < SEW 0:0(0) win 65535 <mss 1460,sackOK>\n"
		"+0    > S. 0:0(0) ack 1\n"},

	ABOUT("Data and FIN in the handshake, of an active open"),
	{"data on the SYN-ACK are taken", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < S. 0:10(10) ack 1 win 65535 <mss 1460>\n"
		"+0    > . 1:1(0) ack 11\n"
		"+0    event OPEN|READABLE\n"
		"+0    readable 10\n"},
	{"data and FIN on the SYN-ACK", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < S.F 0:10(10) ack 1 win 65535 <mss 1460>\n"
		"+0    > . 1:1(0) ack 12\n"
		"+0    event OPEN|READABLE|EOF\n"
		"+0    readable 10\n"},
	{"the user finishes before it is open: FIN with the handshake's ACK", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+0    finish\n"
		"+.1   < S. 0:0(0) ack 1 win 65535 <mss 1460>\n"
		"+0    > F. 1:1(0) ack 1\n"
		"+0    event OPEN\n"},
	{"detached before it is open: forgotten without a word", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+0    detach\n"
		"+0    state gone\n"
		"+.1   < S. 0:0(0) ack 1 win 65535 <mss 1460>\n"
		"+0    > R 1:1(0)\n"},

	ABOUT("Simultaneous open"),
	{"the peer's SYN comes again: our SYN-ACK does too", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 65535\n"
		"+0    event OPEN\n"},
	{"our SYN-ACK is lost: again after 1, 2, 4 s", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+1    > S. 0:0(0) ack 1\n"
		"+2    > S. 0:0(0) ack 1\n"
		"+4    > S. 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 65535\n"
		"+0    event OPEN\n"},
	{"the bare ACK opens it, and data behind it", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < S 0:0(0) win 65535 <mss 1460,wscale 7>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < P. 1:101(100) ack 1 win 512\n"
		"+0    > . 1:1(0) ack 101\n"
		"+0    event OPEN|READABLE\n"},
	{"data on the peer's SYN wait for its retransmission", 0,
		"0     connect\n"
		"+0    > S 0:0(0)\n"
		"+.1   < S 0:100(100) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < P. 1:101(100) ack 1 win 65535\n"
		"+0    > . 1:1(0) ack 101\n"
		"+0    event OPEN|READABLE\n"
		"+0    readable 100\n"},

	ABOUT("Maximum segment size and the path"),
	{"the peer's MSS is kept to, less our timestamps (RFC 6691)", 0,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 1000,TS val 1 ecr 0>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 65535 <TS val 2 ecr 0>\n"
		"+0    write 1976\n"
		"+0    >> P. 1:1977(988) ack 1\n"},
	{"less SACK blocks as well: a segment beside them is not larger", 0,
		OPEN "+.1 < . 101:201(100) ack 1 win 512\n"
		     "+0  > . 1:1(0) ack 1 <sack 101:201>\n"
		     "+0  write 1460\n"
		     "+0  > P. 1:1461(1460) ack 1 nosack\n"},
	{"IPv6, MSS 65535: our MTU decides", CONF_V6,
		"0     listen\n"
		"+0    < S 0:0(0) win 65535 <mss 65535>\n"
		"+0    > S. 0:0(0) ack 1 <mss 1440>\n"
		"+.1   < . 1:1(0) ack 1 win 65535\n"
		"+0    write 2880\n"
		"+0    >> P. 1:2881(1440) ack 1\n"},

	ABOUT("Addresses"),
	{"no open towards a broadcast, a group, or nowhere (MUST-46)", 0,
		"0  refused conn_unreachable to 255.255.255.255\n"
		"+0 refused conn_unreachable to 10.0.0.255\n"
		"+0 refused conn_unreachable to 224.0.0.1\n"
		"+0 refused conn_unreachable to 0.0.0.0\n"
		"+0 refused conn_unreachable to 192.0.2.1\n"},
	{"the same on IPv6", CONF_V6,
		"0  refused conn_unreachable to ff02::1\n"
		"+0 refused conn_unreachable to ::\n"
		"+0 refused conn_unreachable to 2001:db8::1\n"},
};

int main(int argc, char **argv)
{
	return script_main("open", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
