/* Data in both directions, windows, delayed ACKs, urgent data, keepalive, ECN. RFC 9293
 * sections 3.7, 3.8; 5681; 7323; 3168; 1122. */
#include "opening.h"

#define TEN_FROM_1 "+0 >> P. 1:14601(1460)\n"

/* One of the segments that are acknowledged at once because they are the first. */
#define QUICK(from, to) \
	"+0 < P. " #from ":" #to "(1000) ack 1 win 512\n" \
	"+0 > . 1:1(0) ack " #to "\n"

/* After a pause the first segment is acknowledged at once. */
#define LATER(from, to) \
	"+10 < P. " #from ":" #to "(100) ack 1 win 512\n" \
	"+0 > . 1:1(0) ack " #to "\n"
#define TWO_MINUTES \
	LATER(1, 101) \
	LATER(101, 201) \
	LATER(201, 301) \
	LATER(301, 401) \
	LATER(401, 501) \
	LATER(501, 601) \
	LATER(601, 701) \
	LATER(701, 801) \
	LATER(801, 901) \
	LATER(901, 1001) \
	LATER(1001, 1101) \
	LATER(1101, 1201)

static const struct script scripts[] = {
	{"the first data are acknowledged at once", 0,
		OPEN "+.1 < P. 1:1001(1000) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1001\n"
		     "+0 event READABLE\n"
		     "+0 readable 1000\n"},
	{"after sixteen quick ACKs: every second full segment", 0,
		OPEN QUICK16 "+.01 < . 17:1477(1460) ack 1 win 512\n"
			     "+.01 < . 1477:2937(1460) ack 1 win 512\n"
			     "+0   > . 1:1(0) ack 2937\n"
			     "+.01 < . 2937:4397(1460) ack 1 win 512\n"
			     "+.01 < . 4397:5857(1460) ack 1 win 512\n"
			     "+0   > . 1:1(0) ack 5857\n"},
	{"a lone segment is acknowledged after 40 ms", 0,
		OPEN QUICK16 "+.01 < . 17:27(10) ack 1 win 512\n"
			     "+.04 > . 1:1(0) ack 27\n"},
	{"a request and its answer: the ACK rides along, then delayed ACKs", 0,
		OPEN "+.1 < P. 1:101(100) ack 1 win 512\n"
		     "+0  > . 1:1(0) ack 101\n"
		     "+.01 write 200\n"
		     "+0  > P. 1:201(200) ack 101\n"
		     "+.1 < P. 101:201(100) ack 201 win 512\n"
		     "+.01 write 200\n"
		     "+0  > P. 201:401(200) ack 201\n"
		     "+.1 < P. 201:301(100) ack 401 win 512\n"
		     "+.04 > . 401:401(0) ack 301\n"},
	{"new data confirm the neighbour: it is not probed (RFC 4861 section 7.3.1)", 0,
		OPEN "+0 asked 1\n" TWO_MINUTES "+0 asked 0\n"},
	{"new data confirm the neighbour, IPv6", CONF_V6,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1440>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.1  < . 1:1(0) ack 1 win 512\n"
		"+0   asked 1\n" TWO_MINUTES "+0 asked 0\n"},
	{"reading all of a short segment acknowledges it", 0,
		OPEN QUICK16 "+.01 < P. 17:27(10) ack 1 win 512\n"
			     "+0   read 26\n"
			     "+0   > . 1:1(0) ack 27\n"},
	{"initial window of ten segments", 0,
		OPEN "+0 write 20000\n"
		     "+0 > . 1:1461(1460) ack 1\n"
		     "+0 > . 1461:2921(1460) ack 1\n"
		     "+0 > . 2921:4381(1460) ack 1\n"
		     "+0 > . 4381:5841(1460) ack 1\n"
		     "+0 > . 5841:7301(1460) ack 1\n"
		     "+0 > . 7301:8761(1460) ack 1\n"
		     "+0 > . 8761:10221(1460) ack 1\n"
		     "+0 > . 10221:11681(1460) ack 1\n"
		     "+0 > . 11681:13141(1460) ack 1\n"
		     "+0 > . 13141:14601(1460) ack 1\n"
		     "+.1 < . 1:1(0) ack 2921 win 512\n"
		     "+0 > . 14601:16061(1460) ack 1\n"
		     "+0 > . 16061:17521(1460) ack 1\n"
		     "+0 > . 17521:18981(1460) ack 1\n"
		     "+0 > P. 18981:20001(1020) ack 1\n"
		     "+.1 < . 1:1(0) ack 20001 win 512\n"
		     "+0 event DRAINED\n"
		     "+0 acked 20000\n"},
	{"no Nagle: small writes leave at once", 0,
		OPEN "+0 write 10\n"
		     "+0 > P. 1:11(10) ack 1\n"
		     "+0 write 10\n"
		     "+0 > P. 11:21(10) ack 1\n"},
	{"the sequence numbers wrap, ours and the peer's", CONF_WRAP,
		OPEN "+.1 < . 1:1461(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1461\n"
		     "+.1 < P. 1461:2921(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2921\n"
		     "+0 write 8000\n"
		     "+0 > . 1:1461(1460) ack 2921\n"
		     "+0 > . 1461:2921(1460) ack 2921\n"
		     "+0 > . 2921:4381(1460) ack 2921\n"
		     "+0 > . 4381:5841(1460) ack 2921\n"
		     "+0 > . 5841:7301(1460) ack 2921\n"
		     "+0 > P. 7301:8001(700) ack 2921\n"
		     "+.1 < . 2921:2921(0) ack 8001 win 512\n"
		     "+0 event READABLE|DRAINED\n"
		     "+0 readable 2920\n"},
	{"out of order: immediate dup ACK with SACK; a filled gap: at once", 0,
		OPEN "+.1 < . 1461:2921(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 1461:2921>\n"
		     "+0 < . 4381:5841(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 4381:5841 1461:2921>\n"
		     "+0 event -\n"
		     "+0 < . 1:1461(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2921 <sack 4381:5841>\n"
		     "+0 < . 2921:4381(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 5841 nosack\n"
		     "+0 readable 5840\n"},
	{"SACK: the newest block first, at most four", 0,
		OPEN "+.1 < . 1001:1101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 1001:1101>\n"
		     "+0 < . 2001:2101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 2001:2101 1001:1101>\n"
		     "+0 < . 3001:3101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 3001:3101 2001:2101 1001:1101>\n"
		     "+0 < . 4001:4101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 4001:4101 3001:3101 2001:2101 1001:1101>\n"
		     "+0 < . 5001:5101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 5001:5101 4001:4101 3001:3101 2001:2101>\n"
		     "+0 < . 2101:2201(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 2001:2201 5001:5101 4001:4101 3001:3101>\n"},
	{"SACK beside timestamps: three blocks", 0,
		OPEN_TS
		"+.1 < . 1001:1101(100) ack 1 win 512 <TS val 300 ecr 0>\n"
		"+0 > . 1:1(0) ack 1 <TS val 200 ecr 200,sack 1001:1101>\n"
		"+0 < . 2001:2101(100) ack 1 win 512 <TS val 300 ecr 0>\n"
		"+0 > . 1:1(0) ack 1 <TS val 200 ecr 200,sack 2001:2101 1001:1101>\n"
		"+0 < . 3001:3101(100) ack 1 win 512 <TS val 300 ecr 0>\n"
		"+0 > . 1:1(0) ack 1 <TS val 200 ecr 200,sack 3001:3101 2001:2101 1001:1101>\n"
		"+0 < . 4001:4101(100) ack 1 win 512 <TS val 300 ecr 0>\n"
		"+0 > . 1:1(0) ack 1 <TS val 200 ecr 200,sack 4001:4101 3001:3101 2001:2101>\n"},
	{"without SACK agreed: bare dup ACKs", 0,
		OPEN_BARE "+.1 < . 1461:2921(1460) ack 1 win 65535\n"
			  "+0 > . 1:1(0) ack 1 nosack\n"
			  "+0 < . 1:1461(1460) ack 1 win 65535\n"
			  "+0 > . 1:1(0) ack 2921\n"},
	{"a duplicate is told by D-SACK", 0,
		OPEN "+.1 < . 1:1001(1000) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1001\n"
		     "+.1 < . 1:1001(1000) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1001 <sack 1:1001>\n"
		     "+.1 < . 501:1501(1000) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1501 <sack 501:1001>\n"
		     "+0 stat tcp_old_data 1\n"
		     "+0 readable 1500\n"},
	{"D-SACK of an out-of-order duplicate, inside its block", 0,
		OPEN "+.1 < . 2001:3001(1000) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 2001:3001>\n"
		     "+.1 < . 2001:2501(500) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 2001:2501 2001:3001>\n"},
	{"overlapping pieces out of order make one stream", 0,
		OPEN "+.1 < . 301:401(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 301:401>\n"
		     "+0 < . 101:201(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 101:201 301:401>\n"
		     "+0 < . 151:351(200) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 < . 51:451(400) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 < . 1:101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 451\n"
		     "+0 readable 450\n"},
	{"an overlap from both sides, and exactly the rest: no byte is lost", 0,
		OPEN "+.1 < . 101:201(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 101:201>\n"
		     "+0 < . 301:401(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 301:401 101:201>\n"
		     "+0 < . 151:351(200) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 151:201 101:401>\n"
		     "+0 < . 1:101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 401\n"
		     "+0 readable 400\n"},
	{"timestamps: ours rise, theirs are echoed", 0,
		OPEN_TS "+.1 < . 1:101(100) ack 1 win 512 <TS val 300 ecr 0>\n"
			"+0 > . 1:1(0) ack 101 <TS val 200 ecr 300>\n"
			"+.1 < . 201:301(100) ack 1 win 512 <TS val 400 ecr 200>\n"
			"+0 > . 1:1(0) ack 101 <TS val 300 ecr 300,sack 201:301>\n"
			"+.1 < . 101:201(100) ack 1 win 512 <TS val 500 ecr 200>\n"
			"+0 > . 1:1(0) ack 301 <TS val 400 ecr 500>\n"},
	{"the echoed timestamp is that of the first segment not acknowledged", 0,
		OPEN_TS "+.1 < P. 1:101(100) ack 1 win 512 <TS val 300 ecr 0>\n"
			"+0 > . 1:1(0) ack 101 <TS val 200 ecr 300>\n"
			"+0 write 10\n"
			"+0 > P. 1:11(10) ack 101\n"
			"+.1 < . 101:201(100) ack 11 win 512 <TS val 400 ecr 200>\n"
			"+.01 < . 201:301(100) ack 11 win 512 <TS val 410 ecr 200>\n"
			"+.03 > . 11:11(0) ack 301 <TS val 340 ecr 400>\n"},
	{"PAWS: an old timestamp is not believed", 0,
		OPEN_TS "+.1 < P. 1:101(100) ack 1 win 512 <TS val 300 ecr 0>\n"
			"+0 > . 1:1(0) ack 101\n"
			"+.1 < P. 101:201(100) ack 1 win 512 <TS val 299 ecr 0>\n"
			"+0 > . 1:1(0) ack 101 <TS val 300 ecr 300>\n"
			"+0 stat tcp_paws 1\n"
			"+0 readable 100\n"},
	{"PAWS does not look at RST", 0,
		OPEN_TS "+.1 < R 1:1(0) win 0 <TS val 1 ecr 0>\n"
			"+0 event FAILED\n"
			"+0 why conn_reset_by_peer\n"},
	{"PAWS forgets after 24 days", 0,
		OPEN_TS "2160000 < P. 1:101(100) ack 1 win 512 <TS val 3000000000 ecr 0>\n"
			"+0 > . 1:1(0) ack 101 <TS val * ecr 3000000000>\n"},
	{"urgent data are data like others", 0,
		OPEN "+.1 < PU. 1:101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 101\n"
		     "+0 readable 100\n"},
	{"the window closes as nobody reads, and opens when somebody does", CONF_SMALL_BUF,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1 win 7300\n"
		"+.1  < . 1:1(0) ack 1 win 65535\n"
		"+0   event OPEN\n"
		"+.1  < . 1:1461(1460) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1461 win 5840\n"
		"+.1  < . 1461:2921(1460) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 2921 win 4380\n"
		"+.1  < . 2921:4381(1460) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 4381 win 2920\n"
		"+.1  < . 4381:5841(1460) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 5841 win 1460\n"
		"+.1  < . 5841:7301(1460) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 7301 win 0\n"
		"# the peer probes, with a byte, and as Linux does\n"
		"+.2  < . 7301:7302(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 7301 win 0\n"
		"+0   stat tcp_rcv_full 1\n"
		"+.4  < . 7300:7300(0) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 7301 win 0\n"
		"# a silly little read tells nothing\n"
		"+0   read 500\n"
		"+.1  read 500\n"
		"+0   > . 1:1(0) ack 7301 win 1892\n"},
	{"a window once offered is never taken back", CONF_SMALL_BUF,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1 win 7300\n"
		"+.1  < . 1:1(0) ack 1 win 65535\n"
		"+0   rcvbuf 4096\n"
		"+.1  < . 1:1461(1460) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1461 win 5840\n"
		"+.1  < . 1461:7301(1460) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 2921 win 4380\n"},
	{"bytes beyond the window are cut off", CONF_SMALL_BUF,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1 win 7300\n"
		"+.1  < . 1:1(0) ack 1 win 65535\n"
		"+.1  < . 7201:7401(200) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+.1  < . 1:1461(1460) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1461\n"
		"+.1  < . 1461:2921(1460) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 2921\n"
		"+.1  < . 2921:4381(1460) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 4381\n"
		"+.1  < . 4381:5841(1460) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 5841\n"
		"+.1  < . 5841:7201(1360) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 7301\n"},
	{"the peer's window is kept to", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 23\n" /* 2944 bytes */
		     "+0 write 5000\n"
		     "+0 > . 1:1461(1460) ack 1\n"
		     "+0 > . 1461:2921(1460) ack 1\n"
		     "+.1 < . 1:1(0) ack 2921 win 23\n"
		     "+0 > . 2921:4381(1460) ack 1\n"
		     "+0 > P. 4381:5001(620) ack 1\n"},
	{"zero window: probes with back-off, data when it opens", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+0 write 1000\n"
		     "+.3~ > . 0:0(0) ack 1\n"
		     "+.0 < . 1:1(0) ack 1 win 0\n"
		     "+.6~ > . 0:0(0) ack 1\n"
		     "+.0 < . 1:1(0) ack 1 win 0\n"
		     "+1.2~ > . 0:0(0) ack 1\n"
		     "+.0 < . 1:1(0) ack 1 win 0\n"
		     "+0 stat tcp_zero_window_probes 3\n"
		     "+.1 < . 1:1(0) ack 1 win 512\n"
		     "+0 > P. 1:1001(1000) ack 1\n"},
	{"zero window: what is lost when it opens comes again at once, not after a probe's "
	 "back-off",
		0,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+0 write 1000\n"
		     "+.3~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+.6~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+1.2~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+2.4~ > . 0:0(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 1 win 512\n"
		     "+0 > P. 1:1001(1000) ack 1\n"
		     "+.3~ > P. 1:1001(1000) ack 1\n"
		     "+.1 < . 1:1(0) ack 1001 win 512\n"},
	{"zero window for ten minutes with answers: no failure", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+0 write 1000\n"
		     "+.3~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+.6~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+1.2~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+2.4~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+4.8~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+9.6~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+19.2~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+38.4~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+76.8~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+120~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+120~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+120~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 512\n"
		     "+0 > P. 1:1001(1000) ack 1\n"
		     "+0 event -\n"},
	{"zero window without answers: failed after the user timeout", CONF_SHORT_USER,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+0 write 1000\n"
		     "+.3~ > . 0:0(0) ack 1\n"
		     "+.6~ > . 0:0(0) ack 1\n"
		     "+1.2~ > . 0:0(0) ack 1\n"
		     "+2.4~ > . 0:0(0) ack 1\n"
		     "+5 event FAILED\n"
		     "+0 why conn_timeout\n"},
	{"a window smaller than a segment: its part only when probed", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 4\n"
		     "+0 write 1000\n"
		     "+.3~ > . 1:513(512) ack 1\n"
		     "+.1 < . 1:1(0) ack 513 win 4\n"
		     "+0 > P. 513:1001(488) ack 1\n"},
	{"a peer whose whole buffer is below a segment gets half of it", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 1000 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.1  < . 1:1(0) ack 1 win 1000\n"
		"+0   event OPEN\n"
		"+0   write 1500\n"
		"+0   > . 1:501(500) ack 1\n"
		"+0   > . 501:1001(500) ack 1\n"
		"+.1  < . 1:1(0) ack 1001 win 1000\n"
		"+0   > P. 1001:1501(500) ack 1\n"},
	{"DRAINED when all is acknowledged, WRITABLE when there is room", CONF_SMALL_BUF,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460,sackOK,wscale 7>\n"
		"+0   > S. 0:0(0) ack 1 win 7300\n"
		"+.1  < . 1:1(0) ack 1 win 512\n"
		"+0   event OPEN\n"
		"+0 write 10000\n"
		"+0 > . 1:1461(1460)\n"
		"+0 > . 1461:2921(1460)\n"
		"+0 > . 2921:4381(1460)\n"
		"+0 > . 4381:5841(1460)\n"
		"+0 > . 5841:7301(1460)\n"
		"+0 > P. 7301:8193(892)\n"
		"+0 written 8192\n"
		"+0 space 0\n"
		"+.1 < . 1:1(0) ack 1461 win 512\n"
		"+0 event -\n"
		"+0 < . 1:1(0) ack 2921 win 512\n"
		"+0 event WRITABLE\n"
		"+0 space 2920\n"
		"+.01 < . 1:1(0) ack 8193 win 512\n"
		"+0 event DRAINED\n"},
	{"keepalive: probes, answered", CONF_KEEPALIVE,
		OPEN "+0 keepalive on\n"
		     "+10~ > . 0:0(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 1 win 512\n"
		     "+10~ > . 0:0(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 1 win 512\n"
		     "+0 event -\n"},
	{"keepalive: unanswered probes end it", CONF_KEEPALIVE,
		OPEN "+0 keepalive on\n"
		     "+10~ > . 0:0(0) ack 1\n"
		     "+3~  > . 0:0(0) ack 1\n"
		     "+3~  > R. 1:1(0) ack 1\n"
		     "+0 event FAILED\n"
		     "+0 why conn_keepalive\n"},
	{"no keepalive unless asked for", CONF_KEEPALIVE, OPEN "100 event -\n"},
	{"the peer's keepalive probe is answered", 0,
		OPEN "+10 < . 0:0(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+10 < . 0:1(1) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 0:1>\n"},
	{"ECN: CE is echoed until CWR", 0,
		"0     listen\n"
		"+0    < SEW 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S.E 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 65535\n"
		"+.1   < . 1:101(100) ack 1 win 65535 ce\n"
		"+0    > .E 1:1(0) ack 101\n"
		"+.1   < . 101:201(100) ack 1 win 65535 ect0\n"
		"+0    > .E 1:1(0) ack 201\n"
		"+.1   < .W 201:301(100) ack 1 win 65535 ect0\n"
		"+0    > . 1:1(0) ack 301\n"},
	{"ECN: ECE slows down once a window, CWR tells it", 0,
		"0     listen\n"
		"+0    < SEW 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S.E 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 65535\n"
		"+0    write 20000\n"
		"+0    > . 1:1461(1460) ect0\n"
		"+0    > . 1461:2921(1460)\n"
		"+0    > . 2921:4381(1460)\n"
		"+0    > . 4381:5841(1460)\n"
		"+0    > . 5841:7301(1460)\n"
		"+0    > . 7301:8761(1460)\n"
		"+0    > . 8761:10221(1460)\n"
		"+0    > . 10221:11681(1460)\n"
		"+0    > . 11681:13141(1460)\n"
		"+0    > . 13141:14601(1460)\n"
		"+.1   < .E 1:1(0) ack 1461 win 65535\n"
		"+0    < .E 1:1(0) ack 5841 win 65535\n"
		"# seven segments: 10220 bytes, 8760 are in flight\n"
		"+0    > .W 14601:16061(1460) ack 1 ect0\n"
		"+0    < .E 1:1(0) ack 7301 win 65535\n"
		"+0    > . 16061:17521(1460) ack 1 ect0\n"},
	{"ECN: ECE on the ACK of everything slows down too", 0,
		"0     listen\n"
		"+0    < SEW 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S.E 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 65535\n"
		"+0    write 100\n"
		"+0    > P. 1:101(100) ect0\n"
		"+.1   < .E 1:1(0) ack 101 win 65535\n"
		"+0    write 100\n"
		"+0    > P.W 101:201(100) ect0\n"
		"+.1   < . 1:1(0) ack 201 win 65535\n"
		"+0    write 100\n"
		"+0    > P. 201:301(100) ect0\n"},
	{"a full segment that was pushed is acknowledged as soon as it has been read", 0,
		OPEN QUICK(1, 1001) QUICK(1001, 2001) QUICK(2001, 3001) QUICK(3001, 4001) QUICK(
			4001, 5001) QUICK(5001, 6001) QUICK(6001, 7001) QUICK(7001, 8001)
			QUICK(8001, 9001) QUICK(9001, 10001) QUICK(10001, 11001) QUICK(11001, 12001)
				QUICK(12001, 13001) QUICK(13001, 14001) QUICK(14001, 15001) QUICK(
					15001, 16001) "+.01 < . 16001:17001(1000) ack 1 win 512\n"
						      "+0 read 17000\n"
						      "+.04~ > . 1:1(0) ack 17001\n"
						      "+.01 < P. 17001:18001(1000) ack 1 win 512\n"
						      "+0 read 1000\n"
						      "+0 > . 1:1(0) ack 18001\n"},
	{"more to come: a segment that is not full waits, two milliseconds at most", 0,
		OPEN "+0    more on\n"
		     "+0    write 1000\n"
		     "+.0005 write 1000\n"
		     "+0    > . 1:1461(1460)\n"
		     "+.001~ > P. 1461:2001(540)\n"
		     "+.05  < . 1:1(0) ack 2001 win 512\n"
		     "+0    more on\n"
		     "+0    write 500\n"
		     "+0    more off\n"
		     "+0    write 10\n"
		     "+0    > P. 2001:2511(510)\n"
		     "+0    more on\n"
		     "+0    write 10\n"
		     "+0    finish\n"
		     "+0    > FP. 2511:2521(10)\n"},
	{"more to come: the delayed ACK rides on what waited", 0,
		OPEN "+0    write 10\n"
		     "+0    > P. 1:11(10)\n"
		     "+.1   < . 1:1(0) ack 11 win 512\n"
		     "+0    < P. 1:101(100) ack 11 win 512\n"
		     "+0    more on\n"
		     "+0    write 10\n"
		     "+.001~ > P. 11:21(10) ack 101\n"
		     "+.05  < . 101:101(0) ack 21 win 512\n"
		     "+.5   stat tcp_rto 0\n"},
	{"data with ECT are not marked again when sent again", 0,
		"0     listen\n"
		"+0    < SEW 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S.E 0:0(0) ack 1\n"
		"+.1   < . 1:1(0) ack 1 win 65535\n"
		"+0    write 100\n"
		"+0    > P. 1:101(100) ect0\n"
		"+.3~  > P. 1:101(100)\n"},
	{"the window halves with each RTO of idleness, not below ten segments", 0,
		OPEN "+0 write 14600\n" TEN_FROM_1 "+.1 < . 1:1(0) ack 14601 win 512\n"
		     "# twenty; idle for 2 RTOs of about 300 ms\n"
		     "+.7 write 29200\n"
		     "+0 > . 14601:16061(1460)\n"
		     "+0 > . 16061:17521(1460)\n"
		     "+0 > . 17521:18981(1460)\n"
		     "+0 > . 18981:20441(1460)\n"
		     "+0 > . 20441:21901(1460)\n"
		     "+0 > . 21901:23361(1460)\n"
		     "+0 > . 23361:24821(1460)\n"
		     "+0 > . 24821:26281(1460)\n"
		     "+0 > . 26281:27741(1460)\n"
		     "+0 > . 27741:29201(1460)\n"},
	{"idle for less than an RTO: the window is as it was", 0,
		OPEN "+0 write 14600\n" TEN_FROM_1 "+.1 < . 1:1(0) ack 14601 win 512\n"
		     "+.1 write 17520\n"
		     "+0 > . 14601:16061(1460)\n"
		     "+0 > . 16061:17521(1460)\n"
		     "+0 > . 17521:18981(1460)\n"
		     "+0 > . 18981:20441(1460)\n"
		     "+0 > . 20441:21901(1460)\n"
		     "+0 > . 21901:23361(1460)\n"
		     "+0 > . 23361:24821(1460)\n"
		     "+0 > . 24821:26281(1460)\n"
		     "+0 > . 26281:27741(1460)\n"
		     "+0 > . 27741:29201(1460)\n"
		     "+0 > . 29201:30661(1460)\n"
		     "+0 > P. 30661:32121(1460)\n"},
	{"after an idle second the window starts anew", 0,
		OPEN "+0 write 1460\n"
		     "+0 > P. 1:1461(1460)\n"
		     "+.1 < . 1:1(0) ack 1461 win 512\n"
		     "+5 write 30000\n"
		     "+0 > . 1461:2921(1460)\n"
		     "+0 > . 2921:4381(1460)\n"
		     "+0 > . 4381:5841(1460)\n"
		     "+0 > . 5841:7301(1460)\n"
		     "+0 > . 7301:8761(1460)\n"
		     "+0 > . 8761:10221(1460)\n"
		     "+0 > . 10221:11681(1460)\n"
		     "+0 > . 11681:13141(1460)\n"
		     "+0 > . 13141:14601(1460)\n"
		     "+0 > . 14601:16061(1460)\n"},
	{"no transmit block left: writes wait, and are told", CONF_SMALL_TX,
		OPEN "+0 write 100\n"
		     "+0 > P. 1:101(100)\n"
		     "+0 stat tcp_connections_now 1\n"},

	ABOUT("Urgent data: part of the stream, in their place, as with SO_OOBINLINE (RFC 6093)"),
	{"URG with a pointer into the segment", 0,
		OPEN "+.1 < PU. 1:101(100) ack 1 win 512 urg 50\n"
		     "+0 > . 1:1(0) ack 101\n"
		     "+0 event READABLE\n"
		     "+0 readable 100\n"},
	{"URG with a pointer beyond the segment, the rest later (MUST-31)", 0,
		OPEN "+.1 < U. 1:101(100) ack 1 win 512 urg 300\n"
		     "+0 > . 1:1(0) ack 101\n"
		     "+0 < PU. 101:301(200) ack 1 win 512 urg 200\n"
		     "+0 > . 1:1(0) ack 301\n"
		     "+0 readable 300\n"},
	{"a pointer without URG, URG with pointer 0 and 65535", 0,
		OPEN "+.1 < P. 1:11(10) ack 1 win 512 urg 5\n"
		     "+0 > . 1:1(0) ack 11\n"
		     "+0 < PU. 11:21(10) ack 1 win 512 urg 0\n"
		     "+0 > . 1:1(0) ack 21\n"
		     "+0 < PU. 21:31(10) ack 1 win 512 urg 65535\n"
		     "+0 > . 1:1(0) ack 31\n"
		     "+0 readable 30\n"},
	{"URG without data", 0,
		OPEN "+.1 < U. 1:1(0) ack 1 win 512 urg 100\n"
		     "+.1 event -\n"
		     "+0 stat rx_tcp_segments 3\n"},
	{"urgent data out of order, and with FIN", 0,
		OPEN "+.1 < FU. 11:21(10) ack 1 win 512 urg 10\n"
		     "+0 > . 1:1(0) ack 1 <sack 11:22>\n"
		     "+0 < U. 1:11(10) ack 1 win 512 urg 20\n"
		     "+0 > . 1:1(0) ack 22\n"
		     "+0 event READABLE|EOF\n"
		     "+0 readable 20\n"},
	{"we never send URG", 0,
		OPEN "+.1 < U. 1:1(0) ack 1 win 512 urg 1\n"
		     "+0 write 10\n"
		     "+0 > P. 1:11(10) ack 1\n"},

	ABOUT("Timestamps that wrap, PAWS at its edges"),
	{"ours wrap: the round trip is measured across", CONF_TS_WRAP,
		OPEN_TS "+.8 write 10\n"
			"+0 > P. 1:11(10) ack 1 <TS val 900 ecr 200>\n"
			"+.2 < . 1:1(0) ack 11 win 512 <TS val 1200 ecr 900>\n"
			"+0 write 10\n"
			"+0 > P. 11:21(10) ack 1 <TS val 1100 ecr 1200>\n"
			"+.1 < P. 1:11(10) ack 21 win 512 <TS val 1300 ecr 1100>\n"
			"+0 event DRAINED|READABLE\n"
			"+.04 > . 21:21(0) ack 11 <TS val 1240 ecr 1300>\n"},
	{"the peer's wrap: newer is newer", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 4294967200 ecr 0,wscale 7>\n"
		"+0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 4294967200,wscale 7>\n"
		"+.1  < . 1:1(0) ack 1 win 512 <TS val 4294967290 ecr 0>\n"
		"+.1  < P. 1:11(10) ack 1 win 512 <TS val 94 ecr 0>\n"
		"+0   > . 1:1(0) ack 11 <TS val 200 ecr 94>\n"
		"+0   < P. 11:21(10) ack 1 win 512 <TS val 4294967295 ecr 0>\n"
		"+0   > . 1:1(0) ack 11 <TS val 200 ecr 94>\n"
		"+0   stat tcp_paws 1\n"},
	{"exactly half of the space away: old", 0,
		OPEN_TS "+.1 < P. 1:11(10) ack 1 win 512 <TS val 2147483848 ecr 0>\n"
			"+0 > . 1:1(0) ack 1 <TS val 200 ecr 200>\n"
			"+0 stat tcp_paws 1\n"},
	{"one less than that: new", 0,
		OPEN_TS "+.1 < P. 1:11(10) ack 1 win 512 <TS val 2147483847 ecr 0>\n"
			"+0 > . 1:1(0) ack 11 <TS val 200 ecr 2147483847>\n"},
	{"an equal timestamp is not old", 0,
		OPEN_TS "+.1 < P. 1:11(10) ack 1 win 512 <TS val 200 ecr 0>\n"
			"+0 > . 1:1(0) ack 11\n"
			"+0 < P. 11:21(10) ack 1 win 512 <TS val 200 ecr 0>\n"
			"+0 > . 1:1(0) ack 21\n"},
	{"PAWS: a pure ACK that was overtaken is no old duplicate", 0,
		OPEN_TS "+.1 < P. 1:11(10) ack 1 win 512 <TS val 300 ecr 0>\n"
			"+0 > . 1:1(0) ack 11\n"
			"+0 < . 11:11(0) ack 1 win 512 <TS val 299 ecr 0>\n"
			"+.1 stat tcp_paws 0\n"},
	{"PAWS: an old SYN and an old FIN are answered, not taken", 0,
		OPEN_TS "+.1 < P. 1:11(10) ack 1 win 512 <TS val 300 ecr 0>\n"
			"+0 > . 1:1(0) ack 11\n"
			"+0 event READABLE\n"
			"+0 < S 0:0(0) win 512 <mss 1460,TS val 250 ecr 0>\n"
			"+0 > . 1:1(0) ack 11\n"
			"+0 < F. 11:11(0) ack 1 win 512 <TS val 250 ecr 0>\n"
			"+0 > . 1:1(0) ack 11\n"
			"+0 event -\n"
			"+0 stat tcp_paws 2\n"},
	{"every segment carries timestamps, RST included or not (RFC 7323 section 3.2)", 0,
		OPEN_TS "+0 write 1448\n"
			"+0 > P. 1:1449(1448) ack 1 <TS val 100 ecr 200>\n"
			"+0 finish\n"
			"+0 > F. 1449:1449(0) ack 1 <TS val 100 ecr 200>\n"
			"+.1 < . 1:1(0) ack 1450 win 512 <TS val 300 ecr 100>\n"
			"+0 < P. 1:11(10) ack 1450 win 512 <TS val 300 ecr 100>\n"
			"+.04 > . 1450:1450(0) ack 11 <TS val 240 ecr 300>\n"},
	{"an echo from the future refuses a SYN-ACK", 0,
		"0    connect\n"
		"+0   > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0,wscale 7>\n"
		"+.1  < S. 0:0(0) ack 1 win 65535 <mss 1460,TS val 100 ecr 5000>\n"
		"+0   > R 1:1(0)\n"
		"+0   < S. 0:0(0) ack 1 win 65535 <mss 1460,TS val 100 ecr 0>\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   event OPEN\n"},

	ABOUT("Sequence numbers that wrap, when something is lost"),
	{"fast retransmit and SACK across 2^32", CONF_WRAP,
		OPEN "+0 write 14600\n"
		     "+0 >> P. 1:14601(1460)\n"
		     "+.1 < . 1:1(0) ack 1461 win 512 <sack 2921:4381>\n"
		     "+0 < . 1:1(0) ack 1461 win 512 <sack 2921:5841>\n"
		     "+0 < . 1:1(0) ack 1461 win 512 <sack 2921:7301>\n"
		     "+0 > . 1461:2921(1460)\n"
		     "+.1 < . 1:1(0) ack 14601 win 512\n"
		     "+0 event DRAINED\n"
		     "+0 acked 14600\n"},
	{"a timeout across 2^32", CONF_WRAP | CONF_NO_SACK,
		OPEN_BARE "+0 write 14600\n"
			  "+0 >> P. 1:14601(1460)\n"
			  "+.3~ > . 1:1461(1460)\n"
			  "+.1 < . 1:1(0) ack 14601 win 65535\n"
			  "+0 acked 14600\n"},
	{"D-SACK across 2^32", CONF_WRAP,
		OPEN "+.1 < . 1:1461(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1461\n"
		     "+0 < . 1:1461(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1461 <sack 1:1461>\n"},
	{"PAWS saves from an old segment of the round before", CONF_WRAP,
		OPEN_TS "+.1 < P. 1:1449(1448) ack 1 win 512 <TS val 300 ecr 0>\n"
			"+0 > . 1:1(0) ack 1449\n"
			"+0 < P. 1449:2897(1448) ack 1 win 512 <TS val 100 ecr 0>\n"
			"+0 > . 1:1(0) ack 1449\n"
			"+0 readable 1448\n"},
};

int main(int argc, char **argv)
{
	return script_main("data", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
