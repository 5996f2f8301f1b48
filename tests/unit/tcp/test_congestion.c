/* How much may be in flight: RFC 5681, 6928 (initial window), 3042 (limited transmit), 6675, 6937
 * (PRR), 8985 (RACK), 3168 (ECN), 9438 (CUBIC; its arithmetic is in tcpleaf/test_cubic.c), 7661. */
#include "opening.h"

#define TEN \
	"+0 write 14600\n" \
	"+0 >> P. 1:14601(1460)\n"
/* The first of ten is lost: recovery begins, ssthresh is seven segments */
#define FIRST_LOST \
	"+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n" \
	"+0 < . 1:1(0) ack 1 win 512 <sack 1461:4381>\n" \
	"+0 < . 1:1(0) ack 1 win 512 <sack 1461:5841>\n" \
	"+0 > . 1:1461(1460)\n"
#define OPEN_ECN \
	"0     listen\n" \
	"+0    < SEW 0:0(0) win 65535 <mss 1460,sackOK,wscale 7>\n" \
	"+0    > S.E 0:0(0) ack 1\n" \
	"+.1   < . 1:1(0) ack 1 win 512\n" \
	"+0    event OPEN\n"

static const struct script scripts[] = {
	ABOUT("Initial window and slow start"),
	{"ten segments of a small size are ten segments", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 500>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.1  < . 1:1(0) ack 1 win 65535\n"
		"+0   write 8000\n"
		"+0   >> . 1:5001(500)\n"},
	{"slow start: two for one", 0,
		OPEN "+0 write 60000\n"
		     "+0 >> . 1:14601(1460)\n"
		     "+.1 < . 1:1(0) ack 1461 win 512\n"
		     "+0 >> . 14601:17521(1460)\n"
		     "+0 < . 1:1(0) ack 2921 win 512\n"
		     "+0 >> . 17521:20441(1460)\n"},
	{"appropriate byte counting: an ACK of a half grows by a half", 0,
		OPEN "+0 write 60000\n"
		     "+0 >> . 1:14601(1460)\n"
		     "+.1 < . 1:1(0) ack 731 win 512\n"
		     "+0 > . 14601:16061(1460)\n"
		     "+0 < . 1:1(0) ack 1461 win 512\n"
		     "+0 > . 16061:17521(1460)\n"},
	{"one ACK of many segments adds as many, as in Linux (RFC 9406 would: eight)", 0,
		OPEN "+0 write 60000\n"
		     "+0 >> . 1:14601(1460)\n"
		     "+.1 < . 1:1(0) ack 14601 win 512\n"
		     "+0 >> . 14601:43801(1460)\n"},
	{"a user that sends little does not grow the window (RFC 7661)", 0,
		OPEN "+0 write 1460\n"
		     "+0 > P. 1:1461(1460)\n"
		     "+.1 < . 1:1(0) ack 1461 win 512\n"
		     "+.1 write 1460\n"
		     "+0 > P. 1461:2921(1460)\n"
		     "+.1 < . 1:1(0) ack 2921 win 512\n"
		     "+.1 write 1460\n"
		     "+0 > P. 2921:4381(1460)\n"
		     "+.1 < . 1:1(0) ack 4381 win 512\n"
		     "+.1 write 20440\n"
		     "+0 >> . 4381:18981(1460)\n"},
	{"nor does the peer's window when it is what limits", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 23\n"
		     "+0 write 60000\n"
		     "+0 >> . 1:2921(1460)\n"
		     "+.1 < . 1:1(0) ack 2921 win 23\n"
		     "+0 >> . 2921:5841(1460)\n"
		     "+.1 < . 1:1(0) ack 5841 win 23\n"
		     "+0 >> . 5841:8761(1460)\n"
		     "+.1 < . 1:1(0) ack 8761 win 512\n"
		     "+0 >> . 8761:23361(1460)\n"},

	ABOUT("Limited transmit and the duplicate-ACK threshold"),
	{"with SACK: one new segment for each of the first two", 0,
		OPEN TEN "+0 write 14600\n"
			 "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
			 "+0 > . 14601:16061(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:4381>\n"
			 "+0 > . 16061:17521(1460)\n"},
	{"without SACK: the same (RFC 3042)", 0,
		OPEN_BARE TEN "+0 write 14600\n"
			      "+.1 < . 1:1(0) ack 1 win 65535\n"
			      "+0 > . 14601:16061(1460)\n"
			      "+0 < . 1:1(0) ack 1 win 65535\n"
			      "+0 > . 16061:17521(1460)\n"
			      "+0 < . 1:1(0) ack 1 win 65535\n"
			      "+0 > . 1:1461(1460)\n"
			      "+0 stat tcp_fast_recovery 1\n"},
	{"not beyond the peer's window", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 115\n" /* 14720 */
		     "+0 write 29200\n"
		     "+0 >> . 1:14601(1460)\n"
		     "+.1 < . 1:1(0) ack 1 win 115 <sack 1461:2921>\n"
		     "+0 < . 1:1(0) ack 1 win 115 <sack 1461:4381>\n"
		     "+0 < . 1:1(0) ack 1 win 115 <sack 1461:5841>\n"
		     "+0 > . 1:1461(1460)\n"},
	{"data that the peer sends are no duplicate ACKs", 0,
		OPEN_BARE TEN "+.1 < P. 1:2(1) ack 1 win 65535\n"
			      "+0 < P. 2:3(1) ack 1 win 65535\n"
			      "+0 < P. 3:4(1) ack 1 win 65535\n"
			      "+0 < P. 4:5(1) ack 1 win 65535\n"
			      "+.04 > . 14601:14601(0) ack 5\n"
			      "+0 stat tcp_retransmits 0\n"},
	{"NewReno: after recovery old duplicate ACKs start nothing (RFC 6582)", 0,
		OPEN_BARE TEN "+.1 < . 1:1(0) ack 1 win 65535\n"
			      "+0 < . 1:1(0) ack 1 win 65535\n"
			      "+0 < . 1:1(0) ack 1 win 65535\n"
			      "+0 > . 1:1461(1460)\n"
			      "+.1 < . 1:1(0) ack 14601 win 65535\n"
			      "+0 write 5840\n"
			      "+0 >> P. 14601:20441(1460)\n"
			      "+0 < . 1:1(0) ack 14601 win 65535\n"
			      "+0 < . 1:1(0) ack 14601 win 65535\n"
			      "+0 < . 1:1(0) ack 14601 win 65535\n"
			      "+0 < . 1:1(0) ack 14601 win 65535\n"
			      "+0 stat tcp_fast_recovery 1\n"},

	ABOUT("Proportional rate reduction"),
	{"seven new segments for ten that arrive", 0,
		OPEN TEN "+0 write 29200\n"
			 "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
			 "+0 > . 14601:16061(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:4381>\n"
			 "+0 > . 16061:17521(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:5841>\n"
			 "+0 > . 1:1461(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:7301>\n"
			 "+0 > . 17521:18981(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:8761>\n"
			 "+0 > . 18981:20441(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:10221>\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:11681>\n"
			 "# seven are in flight, as many as ssthresh: one for one from here on\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:13141>\n"
			 "+0 > . 20441:21901(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:14601>\n"
			 "+0 > . 21901:23361(1460)\n"},
	{"when much was lost: one out for one in, and one more as ACKs move (SSRB)", 0,
		OPEN TEN "+0 write 29200\n"
			 "# one to six are lost\n"
			 "+.1 < . 1:1(0) ack 1 win 512 <sack 8761:10221>\n"
			 "+0 > . 14601:16061(1460)\n"
			 "+.001 < . 1:1(0) ack 1 win 512 <sack 8761:11681>\n"
			 "+0 > . 16061:17521(1460)\n"
			 "+.001 < . 1:1(0) ack 1 win 512 <sack 8761:13141>\n"
			 "+0 > . 1:1461(1460)\n"
			 "+.001 < . 1:1(0) ack 1 win 512 <sack 8761:14601>\n"
			 "+0 > . 1461:2921(1460)\n"
			 "+.098 < . 1:1(0) ack 1 win 512 <sack 8761:16061>\n"
			 "+0 > . 2921:4381(1460)\n"
			 "+.001 < . 1:1(0) ack 1461 win 512 <sack 8761:17521>\n"
			 "+0 >> . 4381:8761(1460)\n"},
	{"after recovery the window is ssthresh: seven segments", 0,
		OPEN TEN FIRST_LOST "+.1 < . 1:1(0) ack 14601 win 512\n"
				    "+0 write 29200\n"
				    "+0 >> . 14601:24821(1460)\n"},
	{"recovery with five holes: each is repaired once", 0,
		OPEN TEN
		"+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
		"+.001 < . 1:1(0) ack 1 win 512 <sack 4381:5841 1461:2921>\n"
		"+.001 < . 1:1(0) ack 1 win 512 <sack 7301:8761 4381:5841 1461:2921>\n"
		"+0 > . 1:1461(1460)\n"
		"+.001 < . 1:1(0) ack 1 win 512 "
		"<sack 10221:11681 7301:8761 4381:5841 1461:2921>\n"
		"+0 > . 2921:4381(1460)\n"
		"+.001 < . 1:1(0) ack 1 win 512 "
		"<sack 13141:14601 10221:11681 7301:8761 4381:5841>\n"
		"+0 > . 5841:7301(1460)\n"
		"+.1 < . 1:1(0) ack 2921 win 512 "
		"<sack 13141:14601 10221:11681 7301:8761 4381:5841>\n"
		"+0 > . 8761:10221(1460)\n"
		"+0 > . 11681:13141(1460)\n"
		"+.001 < . 1:1(0) ack 5841 win 512 <sack 13141:14601 10221:11681 7301:8761>\n"
		"+.001 < . 1:1(0) ack 8761 win 512 <sack 13141:14601 10221:11681>\n"
		"+.1 < . 1:1(0) ack 14601 win 512\n"
		"+.5 event DRAINED\n"
		"+0 stat tcp_retransmits 5\n"
		"+0 stat tcp_rto 0\n"},
	{"sacked segments are not sent again, also after a timeout", 0,
		OPEN TEN "+.1 < . 1:1(0) ack 1 win 512 <sack 4381:14601>\n"
			 "+0 > . 1:1461(1460)\n"
			 "+0 > . 1461:2921(1460)\n"
			 "+0 > . 2921:4381(1460)\n"
			 "+.3~ > . 1:1461(1460)\n"
			 "+.1 < . 1:1(0) ack 1461 win 512 <sack 4381:14601>\n"
			 "+0 >> . 1461:4381(1460)\n"
			 "+.1 < . 1:1(0) ack 14601 win 512\n"
			 "+.5 event DRAINED\n"},

	ABOUT("RACK"),
	{"reordering was seen: three SACKs alone are no loss any more", 0,
		OPEN TEN "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
			 "+.001 < . 1:1(0) ack 2921 win 512\n"
			 "+.001 < . 1:1(0) ack 2921 win 512 <sack 4381:8761>\n"
			 "+0 stat tcp_retransmits 0\n"
			 "+.025~ > . 2921:4381(1460)\n"
			 "+0 stat tcp_fast_recovery 1\n"},
	{"D-SACK widens the reordering window: a quarter of the round trip more", 0,
		OPEN TEN "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:4381>\n"
			 "+.025~ > . 1:1461(1460)\n"
			 "+.01 < . 1:1(0) ack 5841 win 512\n"
			 "+.09 < . 1:1(0) ack 8761 win 512 <sack 1:1461>\n"
			 "+0 stat tcp_spurious 1\n"
			 "+.01 < . 1:1(0) ack 8761 win 512 <sack 10221:11681>\n"
			 "+.05~ > . 8761:10221(1460)\n"},

	ABOUT("Undo of what was needless"),
	{"Eifel, fast retransmit: the ACK echoes the original", 0,
		OPEN_TS "+0 write 14480\n"
			"+0 >> P. 1:14481(1448)\n"
			"+.1 < . 1:1(0) ack 1 win 512 <TS val 300 ecr 100,sack 1449:2897>\n"
			"+0 < . 1:1(0) ack 1 win 512 <TS val 300 ecr 100,sack 1449:4345>\n"
			"+0 < . 1:1(0) ack 1 win 512 <TS val 300 ecr 100,sack 1449:5793>\n"
			"+0 > . 1:1449(1448)\n"
			"+.01 < . 1:1(0) ack 5793 win 512 <TS val 310 ecr 100>\n"
			"+0 stat tcp_spurious 1\n"
			"+.09 < . 1:1(0) ack 14481 win 512 <TS val 400 ecr 200>\n"
			"# ten and what has grown since; seven without the undo\n"
			"+0 write 20272\n"
			"+0 >> P. 14481:34753(1448)\n"},
	{"D-SACKs of all that a timeout sent again", 0,
		OPEN "+0 write 2920\n"
		     "+0 >> P. 1:2921(1460)\n"
		     "+.202~ > P. 1461:2921(1460)\n"
		     "+.3~ > . 1:1461(1460)\n"
		     "+.01 < . 1:1(0) ack 2921 win 512\n"
		     "+.02 < . 1:1(0) ack 2921 win 512 <sack 1461:2921>\n"
		     "+.02 < . 1:1(0) ack 2921 win 512 <sack 1:1461>\n"
		     "+0 event DRAINED\n"},
	{"F-RTO: duplicate ACKs after the timeout: it was a loss, slow start (RFC 5682 3a)",
		CONF_NO_SACK,
		OPEN_BARE TEN "+0 write 14600\n"
			      "+.3~ > . 1:1461(1460)\n"
			      "+.1 < . 1:1(0) ack 1461 win 65535\n"
			      "+0 > . 14601:16061(1460)\n"
			      "+0 > . 16061:17521(1460)\n"
			      "+.1 < . 1:1(0) ack 1461 win 65535\n"
			      "+0 > . 1461:2921(1460)\n"},

	ABOUT("Explicit congestion notification"),
	{"a SYN with ECE or CWR alone does not ask for it", 0,
		"0     listen\n"
		"+0    other 6001\n"
		"+0    < SE 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    other 6002\n"
		"+0    again\n"
		"+0    < SW 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"},
	{"we do not ask for it (Linux's default)", 0,
		"0 connect\n"
		"+0 > S 0:0(0)\n"},
	{"without agreement nothing is marked, and marks mean nothing", 0,
		OPEN "+.1 < . 1:101(100) ack 1 win 512 ce\n"
		     "+0 > . 1:1(0) ack 101\n"
		     "+0 write 14600\n"
		     "+0 >> P. 1:14601(1460) ack 101 notect\n"
		     "+.1 < .E 101:101(0) ack 14601 win 512\n"
		     "+0 write 14600\n"
		     "+0 >> P. 14601:29201(1460) ack 101 notect\n"},
	{"SYN-ACK, bare ACKs and probes are not marked", CONF_KEEPALIVE,
		"0     listen\n"
		"+0    < SEW 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S.E 0:0(0) ack 1 notect\n"
		"+.1   < . 1:101(100) ack 1 win 65535\n"
		"+0    > . 1:1(0) ack 101 notect\n"
		"+0    keepalive on\n"
		"+10~  > . 0:0(0) ack 101 notect\n"},
	{"CE and CWR in one segment: the echo goes on", 0,
		OPEN_ECN "+.1 < . 1:101(100) ack 1 win 512 ce\n"
			 "+0 > .E 1:1(0) ack 101\n"
			 "+0 < .W 101:201(100) ack 1 win 512 ce\n"
			 "+0 > .E 1:1(0) ack 201\n"
			 "+0 < .W 201:301(100) ack 1 win 512 ect0\n"
			 "+0 > . 1:1(0) ack 301\n"},
	{"the echo is on data too", 0,
		OPEN_ECN "+.1 < P. 1:101(100) ack 1 win 512 ce\n"
			 "+0 > .E 1:1(0) ack 101\n"
			 "+0 write 100\n"
			 "+0 > P.E 1:101(100) ack 101 ect0\n"},
	{"CE is answered at once, not after 40 ms", 0,
		OPEN_ECN QUICK16 "+.01 < P. 17:18(1) ack 1 win 512 ce\n"
				 "+0 > .E 1:1(0) ack 18\n"},
	{"ECE reduces once a round trip: seven tenths, then no more", 0,
		OPEN_ECN TEN "+0 write 43800\n"
			     "+.1 < .E 1:1(0) ack 1461 win 512\n"
			     "+0 < .E 1:1(0) ack 2921 win 512\n"
			     "+0 < .E 1:1(0) ack 4381 win 512\n"
			     "+0 < .E 1:1(0) ack 5841 win 512\n"
			     "+0 > .W 14601:16061(1460) ect0\n"
			     "+0 < . 1:1(0) ack 7301 win 512\n"
			     "+0 > . 16061:17521(1460) ect0\n"},
	{"CWR also after a loss; what is sent again is not marked", 0,
		OPEN_ECN TEN "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
			     "+0 < . 1:1(0) ack 1 win 512 <sack 1461:4381>\n"
			     "+0 < . 1:1(0) ack 1 win 512 <sack 1461:5841>\n"
			     "+0 > . 1:1461(1460) notect\n"
			     "+.1 < . 1:1(0) ack 14601 win 512\n"
			     "+0 write 1460\n"
			     "+0 > P.W 14601:16061(1460) ect0\n"},
};

int main(int argc, char **argv)
{
	return script_main("congestion", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
