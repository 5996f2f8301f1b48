/* Connections end: FIN in every order, half-close, reset, orphans, TIME-WAIT. RFC 9293
 * sections 3.6, 3.10.4 to .8; 1122; 6191; 1337 is not followed (an exact RST ends TIME-WAIT, as in
 * Linux). */
#include "opening.h"

/* Both FINs, ours first, to TIME-WAIT at 0.2 s */
#define TO_TIME_WAIT \
	"+0   finish\n" \
	"+0   > F. 1:1(0) ack 1\n" \
	"+.1  < F. 1:1(0) ack 2 win 512\n" \
	"+0   > . 2:2(0) ack 2\n" \
	"+0   state time_wait\n"

static const struct script scripts[] = {
	{"the peer closes first", 0,
		OPEN "+.1 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+0 event EOF\n"
		     "+.1 finish\n"
		     "+0 > F. 1:1(0) ack 2\n"
		     "+.1 < . 2:2(0) ack 2 win 512\n"
		     "+0 event DRAINED\n"
		     "+0 state gone\n"},
	{"we close first: TIME-WAIT for a minute", 0,
		OPEN "+0 finish\n"
		     "+0 > F. 1:1(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 2 win 512\n"
		     "+0 event DRAINED\n"
		     "+.1 < F. 1:1(0) ack 2 win 512\n"
		     "+0 > . 2:2(0) ack 2\n"
		     "+0 event EOF\n"
		     "+0 state time_wait\n"
		     "+0 stat tcp_time_wait_now 1\n"
		     "+59.9 state time_wait\n"
		     "+.2 state gone\n"
		     "+0 stat tcp_time_wait_now 0\n"},
	{"FIN and FIN-ACK in one", 0, OPEN TO_TIME_WAIT "+0 event EOF|DRAINED\n"},
	{"simultaneous close", 0,
		OPEN "+0 finish\n"
		     "+0 > F. 1:1(0) ack 1\n"
		     "+.05 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 2:2(0) ack 2\n"
		     "+0 state open\n"
		     "+.05 < . 2:2(0) ack 2 win 512\n"
		     "+0 state time_wait\n"
		     "+0 event EOF|DRAINED\n"},
	{"FIN rides on the last data", 0,
		OPEN "+0 write 100\n"
		     "+0 > P. 1:101(100)\n"
		     "+0 finish\n"
		     "+0 > F. 101:101(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 102 win 512\n"
		     "+0 event DRAINED\n"},
	{"half-close: we finished, and read on", 0,
		OPEN "+0 finish\n"
		     "+0 > F. 1:1(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 2 win 512\n"
		     "+100 < P. 1:101(100) ack 2 win 512\n"
		     "+0 > . 2:2(0) ack 101\n"
		     "+0 read 100\n"
		     "+.1 < F. 101:101(0) ack 2 win 512\n"
		     "+0 > . 2:2(0) ack 102\n"
		     "+0 event DRAINED|READABLE|EOF\n"},
	{"half-close: the peer finished, and we write on", 0,
		OPEN "+.1 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+100 write 100\n"
		     "+0 > P. 1:101(100) ack 2\n"
		     "+.1 < . 2:2(0) ack 101 win 512\n"
		     "+0 event EOF|DRAINED\n"
		     "+0 finish\n"
		     "+0 > F. 101:101(0) ack 2\n"
		     "+.1 < . 2:2(0) ack 102 win 512\n"
		     "+0 state gone\n"},
	{"FIN with data, and out of order", 0,
		OPEN "+.1 < F. 1001:2001(1000) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 1001:2002>\n"
		     "+0 event -\n"
		     "+.1 < . 1:1001(1000) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2002\n"
		     "+0 event READABLE|EOF\n"
		     "+0 readable 2000\n"},
	{"a bare FIN out of order", 0,
		OPEN "+.1 < F. 1001:1001(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 1001:1002>\n"
		     "+.1 < . 1:1001(1000) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1002\n"
		     "+0 event READABLE|EOF\n"},
	{"our FIN is sent again until it is acknowledged", 0,
		OPEN "+0 finish\n"
		     "+0 > F. 1:1(0) ack 1\n"
		     "# the first is a tail loss probe\n"
		     "+.3~ > F. 1:1(0) ack 1\n"
		     "+.3~ > F. 1:1(0) ack 1\n"
		     "+.6~ > F. 1:1(0) ack 1\n"
		     "+1.2~ > F. 1:1(0) ack 1\n"
		     "+0 stat tcp_tlp 1\n"
		     "+0 stat tcp_rto 3\n"
		     "+.1 < . 1:1(0) ack 2 win 512\n"
		     "+0 event DRAINED\n"},
	{"the peer's FIN again: acknowledged again", 0,
		OPEN "+.1 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+.3 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+0 event EOF\n"},
	{"TIME-WAIT: the FIN again is acknowledged and the minute starts anew", 0,
		OPEN TO_TIME_WAIT "+30 < F. 1:1(0) ack 2 win 512\n"
				  "+0 > . 2:2(0) ack 2\n"
				  "+59 state time_wait\n"
				  "+1.2 state gone\n"},
	{"TIME-WAIT: a bare ACK is not answered", 0,
		OPEN TO_TIME_WAIT "+1 < . 2:2(0) ack 2 win 512\n"
				  "+.1 stat tcp_time_wait 1\n"},
	{"TIME-WAIT: old data are acknowledged, ten times a second at most", 0,
		OPEN TO_TIME_WAIT "+1 < . 1:11(10) ack 2 win 512\n"
				  "+0 > . 2:2(0) ack 2\n"
				  "+0 < . 1:11(10) ack 2 win 512\n"
				  "+.05 stat tcp_time_wait 2\n"},
	{"TIME-WAIT: an exact RST ends it, another does not", 0,
		OPEN TO_TIME_WAIT "+1 < R 1:1(0) win 0\n"
				  "+0 state time_wait\n"
				  "+0 < R 2:2(0) win 0\n"
				  "+0 state gone\n"},
	{"TIME-WAIT: a SYN with a higher number begins anew", 0,
		OPEN TO_TIME_WAIT "+1 detach\n"
				  "+0 again\n"
				  "+0 < S 100000:100000(0) win 65535 <mss 1460>\n"
				  "+0 > S. 0:0(0) ack 100001\n"
				  "+0 state embryonic\n"
				  "+0 stat tcp_time_wait_now 0\n"},
	{"TIME-WAIT: a SYN with an old number does not", 0,
		OPEN TO_TIME_WAIT "+1 < S -100000:-100000(0) win 65535 <mss 1460>\n"
				  "+0 > . 2:2(0) ack 2\n"
				  "+0 state time_wait\n"},
	{"TIME-WAIT: a newer timestamp lets a SYN with any number in (RFC 6191)", 0,
		OPEN_TS "+0   finish\n"
			"+0   > F. 1:1(0) ack 1\n"
			"+.1  < F. 1:1(0) ack 2 win 512 <TS val 300 ecr 100>\n"
			"+0   > . 2:2(0) ack 2\n"
			"+0   detach\n"
			"+0   < S -100000:-100000(0) win 65535 <mss 1460,TS val 300 ecr 0>\n"
			"+0   > . 2:2(0) ack 2\n"
			"+1   again\n"
			"+0   < S -100000:-100000(0) win 65535 <mss 1460,TS val 1300 ecr 0>\n"
			"+0   > S. 0:0(0)\n"
			"+0   state embryonic\n"},
	{"the oldest TIME-WAIT makes room", CONF_SMALL_TW,
		OPEN TO_TIME_WAIT "+0 detach\n"
				  "+0 other 6001\n"
				  "+0 again\n"
				  "+0 < S 0:0(0) win 65535 <mss 1460>\n"
				  "+0 > S. 0:0(0) ack 1\n"
				  "+0 < . 1:1(0) ack 1 win 512\n" TO_TIME_WAIT "+0 detach\n"
				  "+0 other 6002\n"
				  "+0 again\n"
				  "+0 < S 0:0(0) win 65535 <mss 1460>\n"
				  "+0 > S. 0:0(0) ack 1\n"
				  "+0 < . 1:1(0) ack 1 win 512\n" TO_TIME_WAIT
				  "+0 stat tcp_time_wait_now 2\n"
				  "+0 other 0\n"
				  "+0 state gone\n"},
	{"an exact RST resets", 0,
		OPEN "+0 write 10\n"
		     "+0 > P. 1:11(10)\n"
		     "+.1 < R 1:1(0) win 0\n"
		     "+0 event FAILED\n"
		     "+0 why conn_reset_by_peer\n"
		     "+0 final 0\n"
		     "+0 acked 0\n"
		     "+0 written 10\n"
		     "+0 state gone\n"},
	{"RST after unread data: they stay readable", 0,
		OPEN "+.1 < P. 1:101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 101\n"
		     "+.1 < R. 101:101(0) ack 1 win 0\n"
		     "+0 event READABLE|FAILED\n"
		     "+0 readable 100\n"
		     "+0 read 50\n"
		     "+0 readable 50\n"},
	{"FIN, then RST, nothing acknowledged: the proof that no byte arrived", 0,
		OPEN "+.1 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+0 event EOF\n"
		     "+0 write 100\n"
		     "+0 > P. 1:101(100) ack 2\n"
		     "+0 final 0\n"
		     "+.1 < R 2:2(0) win 0\n"
		     "+0 event FAILED\n"
		     "+0 acked 0\n"
		     "+0 final 1\n"},
	{"data that crossed the FIN: the RST has the FIN's number", 0,
		OPEN "+0 write 100\n"
		     "+0 > P. 1:101(100) ack 1\n"
		     "+.05 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 101:101(0) ack 2\n"
		     "+.05 < R 1:1(0) win 0\n"
		     "+0 event EOF|FAILED\n"
		     "+0 acked 0\n"
		     "+0 final 1\n"},
	{"FIN, an ACK of some, then RST: those arrived", 0,
		OPEN "+.1 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+0 write 100\n"
		     "+0 > P. 1:101(100) ack 2\n"
		     "+.1 < R. 2:2(0) ack 51 win 0\n"
		     "+0 event EOF|FAILED\n"
		     "+0 acked 50\n"
		     "+0 written 100\n"},
	{"abort: RST with the ACK's number", 0,
		OPEN "+.1 < P. 1:101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 101\n"
		     "+0 abort\n"
		     "+0 > R. 1:1(0) ack 101\n"
		     "+0 state gone\n"
		     "+0 stat conn_aborted 1\n"},
	{"detach with unread data: RST", 0,
		OPEN "+.1 < P. 1:101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 101\n"
		     "+0 detach\n"
		     "+0 > R. 1:1(0) ack 101\n"
		     "+0 state gone\n"},
	{"detach with all read: what was written and FIN go out", 0,
		OPEN "+0 write 100\n"
		     "+0 > P. 1:101(100)\n"
		     "+0 detach\n"
		     "+0 > F. 101:101(0)\n"
		     "+.1 < . 1:1(0) ack 102 win 512\n"
		     "+.1 < F. 1:1(0) ack 102 win 512\n"
		     "+0 > . 102:102(0) ack 2\n"
		     "+0 state time_wait\n"},
	{"detach, then data come: RST", 0,
		OPEN "+0 detach\n"
		     "+0 > F. 1:1(0)\n"
		     "+.1 < P. 1:101(100) ack 2 win 512\n"
		     "+0 > R. 2:2(0)\n"
		     "+0 state gone\n"
		     "+0 stat tcp_after_close 1\n"},
	{"an orphan in FIN-WAIT-2 is forgotten after a minute", 0,
		OPEN "+0 detach\n"
		     "+0 > F. 1:1(0)\n"
		     "+.1 < . 1:1(0) ack 2 win 512\n"
		     "+59 state open\n"
		     "+1.1 state gone\n"
		     "+0 stat conn_linger 1\n"},
	{"an orphan whose peer keeps the window shut is reset after a minute", 0,
		OPEN "+0 write 10\n"
		     "+0 > P. 1:11(10)\n"
		     "+.1 < . 1:1(0) ack 11 win 0\n"
		     "+0 write 10\n"
		     "+0 detach\n"
		     "+.3~ > . 10:10(0) ack 1\n"
		     "+0 < . 1:1(0) ack 11 win 0\n"
		     "+.6~ > . 10:10(0) ack 1\n"
		     "+0 < . 1:1(0) ack 11 win 0\n"
		     "+1.2~ > . 10:10(0) ack 1\n"
		     "+0 < . 1:1(0) ack 11 win 0\n"
		     "+2.4~ > . 10:10(0) ack 1\n"
		     "+0 < . 1:1(0) ack 11 win 0\n"
		     "+4.8~ > . 10:10(0) ack 1\n"
		     "+0 < . 1:1(0) ack 11 win 0\n"
		     "+9.6~ > . 10:10(0) ack 1\n"
		     "+0 < . 1:1(0) ack 11 win 0\n"
		     "+19.2~ > . 10:10(0) ack 1\n"
		     "+0 < . 1:1(0) ack 11 win 0\n"
		     "60.2~ > R. 11:11(0) ack 1\n"
		     "+0 state gone\n"
		     "+0 stat conn_linger 1\n"},
	{"LAST-ACK and CLOSING end by RST too", 0,
		OPEN "+.1 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+0 finish\n"
		     "+0 > F. 1:1(0) ack 2\n"
		     "+.1 < R 2:2(0) win 0\n"
		     "+0 event EOF|FAILED\n"
		     "+0 state gone\n"},
	{"data after the peer's FIN are nonsense: acknowledged, not taken", 0,
		OPEN "+.1 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+.1 < P. 2:12(10) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+0 event EOF\n"
		     "+0 readable 0\n"},
	{"finish waits for the window", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+0 write 10\n"
		     "+0 finish\n"
		     "+.1 < . 1:1(0) ack 1 win 512\n"
		     "+0 > FP. 1:11(10) ack 1\n"},

	ABOUT("FIN, lost, late and early"),
	{"FIN-WAIT-1: the data are acknowledged, the FIN is not: it goes again", CONF_NO_SACK,
		OPEN_BARE "+0 write 100\n"
			  "+0 > P. 1:101(100)\n"
			  "+0 finish\n"
			  "+0 > F. 101:101(0) ack 1\n"
			  "+.1 < . 1:1(0) ack 101 win 65535\n"
			  "+.3~ > F. 101:101(0) ack 1\n"
			  "+.1 < . 1:1(0) ack 102 win 65535\n"
			  "+0 event DRAINED\n"},
	{"FIN-WAIT-1: data and FIN lost together", CONF_NO_SACK,
		OPEN_BARE "+0 write 1460\n"
			  "+0 > P. 1:1461(1460)\n"
			  "+0 finish\n"
			  "+0 > F. 1461:1461(0) ack 1\n"
			  "+.3~ > P. 1:1461(1460)\n"
			  "+.1 < . 1:1(0) ack 1461 win 65535\n"
			  "+0 > F. 1461:1461(0) ack 1\n"
			  "+.1 < . 1:1(0) ack 1462 win 65535\n"
			  "+0 event DRAINED\n"},
	{"the FIN is sacked: the data before it are sent again", 0,
		OPEN "+0 write 1460\n"
		     "+0 > P. 1:1461(1460)\n"
		     "+0 finish\n"
		     "+0 > F. 1461:1461(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:1462>\n"
		     "+.025~ > P. 1:1461(1460)\n"
		     "+.1 < . 1:1(0) ack 1462 win 512\n"
		     "+0 event DRAINED\n"},
	{"FIN-WAIT-2: data, then the FIN behind a hole", 0,
		OPEN "+0 finish\n"
		     "+0 > F. 1:1(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 2 win 512\n"
		     "+.1 < F. 101:101(0) ack 2 win 512\n"
		     "+0 > . 2:2(0) ack 1\n"
		     "+.1 < P. 1:101(100) ack 2 win 512\n"
		     "+0 > . 2:2(0) ack 102\n"
		     "+0 state time_wait\n"
		     "+0 event DRAINED|READABLE|EOF\n"
		     "+0 readable 100\n"},
	{"CLOSING: our FIN is sent again until it is acknowledged", CONF_NO_SACK,
		OPEN_BARE "+0 finish\n"
			  "+0 > F. 1:1(0) ack 1\n"
			  "+.05 < F. 1:1(0) ack 1 win 65535\n"
			  "+0 > . 2:2(0) ack 2\n"
			  "+.25~ > F. 1:1(0) ack 2\n"
			  "+.6~ > F. 1:1(0) ack 2\n"
			  "+.1 < . 2:2(0) ack 2 win 65535\n"
			  "+0 state time_wait\n"},
	{"LAST-ACK: our FIN is sent again until it is acknowledged", CONF_NO_SACK,
		OPEN_BARE "+0 < F. 1:1(0) ack 1 win 65535\n"
			  "+0 > . 1:1(0) ack 2\n"
			  "+0 finish\n"
			  "+0 > F. 1:1(0) ack 2\n"
			  "+.3~ > F. 1:1(0) ack 2\n"
			  "+.6~ > F. 1:1(0) ack 2\n"
			  "+0 state open\n"
			  "+.1 < . 2:2(0) ack 2 win 65535\n"
			  "+0 state gone\n"},
	{"LAST-ACK: the peer's FIN again is answered", 0,
		OPEN "+0 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+0 finish\n"
		     "+0 > F. 1:1(0) ack 2\n"
		     "+.1 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 2:2(0) ack 2\n"
		     "+.1 < . 2:2(0) ack 2 win 512\n"
		     "+0 state gone\n"},
	{"LAST-ACK: nobody answers: given up after the user timeout",
		CONF_SHORT_USER | CONF_NO_SACK,
		OPEN_BARE "+0 < F. 1:1(0) ack 1 win 65535\n"
			  "+0 > . 1:1(0) ack 2\n"
			  "+0 finish\n"
			  "+0 > F. 1:1(0) ack 2\n"
			  "+.3~ > F. 1:1(0) ack 2\n"
			  "+.6~ > F. 1:1(0) ack 2\n"
			  "+1.2~ > F. 1:1(0) ack 2\n"
			  "+2.4~ > F. 1:1(0) ack 2\n"
			  "5.5 event EOF|FAILED\n"
			  "+0 why conn_timeout\n"
			  "+0 state gone\n"},
	{"CLOSE-WAIT lasts for as long as the user wants", 0,
		OPEN "+0 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+5000 write 10\n"
		     "+0 > P. 1:11(10) ack 2\n"},
	{"FIN with the last data, in one segment", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+0 write 10\n"
		     "+0 finish\n"
		     "+.1 < . 1:1(0) ack 1 win 512\n"
		     "+0 > FP. 1:11(10) ack 1\n"
		     "+.1 < . 1:1(0) ack 12 win 512\n"
		     "+0 event DRAINED\n"},
	{"simultaneous close with data on both sides", 0,
		OPEN "+0 write 100\n"
		     "+0 > P. 1:101(100) ack 1\n"
		     "+0 finish\n"
		     "+0 > F. 101:101(0) ack 1\n"
		     "+.05 < FP. 1:51(50) ack 1 win 512\n"
		     "+0 > . 102:102(0) ack 52\n"
		     "+.05 < . 52:52(0) ack 102 win 512\n"
		     "+0 state time_wait\n"
		     "+0 event READABLE|EOF|DRAINED\n"
		     "+0 readable 50\n"},
	{"the numbers wrap between data and FIN", CONF_WRAP,
		OPEN "+.1 < . 1:1001(1000) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1001\n"
		     "+0 < FP. 1001:1101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1102\n"
		     "+0 event READABLE|EOF\n"
		     "+0 write 8000\n"
		     "+0 >> P. 1:8001(1460) ack 1102\n"
		     "+0 finish\n"
		     "+0 > F. 8001:8001(0) ack 1102\n"
		     "+.1 < . 1102:1102(0) ack 8002 win 512\n"
		     "+0 state gone\n"},

	ABOUT("Abort and RST in every state"),
	{"abort in SYN-SENT: nothing is sent", 0,
		"0   connect\n"
		"+0  > S 0:0(0)\n"
		"+.1 abort\n"
		"+0  state gone\n"},
	{"abort in FIN-WAIT-1, FIN-WAIT-2: RST", 0,
		OPEN "+0 finish\n"
		     "+0 > F. 1:1(0) ack 1\n"
		     "+0 abort\n"
		     "+0 > R. 2:2(0) ack 1\n"
		     "+0 state gone\n"},
	{"abort in CLOSE-WAIT: RST", 0,
		OPEN "+.1 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+0 abort\n"
		     "+0 > R. 1:1(0) ack 2\n"
		     "+0 state gone\n"},
	{"abort with data under way: the RST is behind them", 0,
		OPEN "+0 write 1000\n"
		     "+0 > P. 1:1001(1000) ack 1\n"
		     "+0 abort\n"
		     "+0 > R. 1001:1001(0) ack 1\n"},
	{"abort with data beyond the peer's window: the RST is in it", 0,
		OPEN "+0 write 2920\n"
		     "+0 >> P. 1:2921(1460) ack 1\n"
		     "+.1 < . 1:1(0) ack 1 win 10\n"
		     "+0 abort\n"
		     "+0 > R. 1281:1281(0) ack 1\n"},
	{"RST with data in it (SHLD-2)", 0,
		OPEN "+.1 < R 1:11(10) win 0\n"
		     "+0 event FAILED\n"
		     "+0 why conn_reset_by_peer\n"
		     "+0 readable 0\n"},
	{"RST in FIN-WAIT-1, FIN-WAIT-2", 0,
		OPEN "+0 finish\n"
		     "+0 > F. 1:1(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 2 win 512\n"
		     "+0 < R 2:2(0) win 0\n"
		     "+0 > . 2:2(0) ack 1\n"
		     "+0 < R 1:1(0) win 0\n"
		     "+0 event DRAINED|FAILED\n"
		     "+0 state gone\n"},
	{"RST in CLOSING", 0,
		OPEN "+0 finish\n"
		     "+0 > F. 1:1(0) ack 1\n"
		     "+.05 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 2:2(0) ack 2\n"
		     "+0 < R 2:2(0) win 0\n"
		     "+0 event EOF|FAILED\n"
		     "+0 state gone\n"},
	{"data after the last ACK of a closed connection: RST", 0,
		OPEN "+0 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+0 finish\n"
		     "+0 > F. 1:1(0) ack 2\n"
		     "+.1 < . 2:2(0) ack 2 win 512\n"
		     "+0 state gone\n"
		     "+0 < P. 2:12(10) ack 2 win 512\n"
		     "+0 > R 2:2(0)\n"},
	{"detached in FIN-WAIT-2, data come: RST (SHLD-3)", 0,
		OPEN "+0 finish\n"
		     "+0 > F. 1:1(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 2 win 512\n"
		     "+0 detach\n"
		     "+.1 < P. 1:101(100) ack 2 win 512\n"
		     "+0 > R. 2:2(0)\n"
		     "+0 state gone\n"},
	{"detached in CLOSE-WAIT: FIN, then LAST-ACK", 0,
		OPEN "+0 < F. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2\n"
		     "+0 detach\n"
		     "+0 > F. 1:1(0) ack 2\n"
		     "+.1 < . 2:2(0) ack 2 win 512\n"
		     "+0 state gone\n"},

	ABOUT("TIME-WAIT and the same ports again"),
	{"an RST in the window, not exact: no end", 0,
		OPEN TO_TIME_WAIT "+1 < R 3:3(0) win 0\n"
				  "+0 < R 100:100(0) win 0\n"
				  "+0 state time_wait\n"
				  "+0 stat tcp_rst_blind 2\n"},
	{"a SYN-ACK is answered, and begins nothing", 0,
		OPEN TO_TIME_WAIT "+1 < S. 100000:100000(0) ack 2 win 512\n"
				  "+0 > . 2:2(0) ack 2\n"
				  "+0 state time_wait\n"},
	{"an old segment does not restart the minute", 0,
		OPEN TO_TIME_WAIT "+30 < . 1:11(10) ack 2 win 512\n"
				  "+0 > . 2:2(0) ack 2\n"
				  "+29.8 state time_wait\n"
				  "+.4 state gone\n"},
	{"PAWS: an old FIN does not restart the minute", 0,
		OPEN_TS "+0   finish\n"
			"+0   > F. 1:1(0) ack 1\n"
			"+.1  < F. 1:1(0) ack 2 win 512 <TS val 300 ecr 100>\n"
			"+0   > . 2:2(0) ack 2 <TS val 200 ecr 300>\n"
			"+30  < F. 1:1(0) ack 2 win 512 <TS val 250 ecr 100>\n"
			"+0   > . 2:2(0) ack 2 <TS val 30200 ecr 300>\n"
			"+29.8 state time_wait\n"
			"+.4  state gone\n"},
	{"a SYN with an older timestamp begins nothing, whatever its number", 0,
		OPEN_TS "+0   finish\n"
			"+0   > F. 1:1(0) ack 1\n"
			"+.1  < F. 1:1(0) ack 2 win 512 <TS val 300 ecr 100>\n"
			"+0   > . 2:2(0) ack 2\n"
			"+1   < S 100000:100000(0) win 65535 <mss 1460,TS val 200 ecr 0>\n"
			"+0   > . 2:2(0) ack 2\n"
			"+0   state time_wait\n"},
	{"the next ISN is beyond what the old connection sent: 250 for each ms (MUST-8)", 0,
		OPEN TO_TIME_WAIT "+1 detach\n"
				  "+0 < S 100000:100000(0) win 65535 <mss 1460>\n"
				  "+0 > S. 300000:300000(0) ack 100001\n"
				  "+0 state embryonic\n"},
	{"active open with one port: none for a second, then the same again (RFC 6191)",
		CONF_ONE_PORT,
		"0    connect\n"
		"+0   > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0,wscale 7>\n"
		"+.1  < S. 0:0(0) ack 1 win 65535 <mss 1460,TS val 100 ecr 0>\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   finish\n"
		"+0   > F. 1:1(0) ack 1\n"
		"+.1  < F. 1:1(0) ack 2 win 512 <TS val 300 ecr 100>\n"
		"+0   > . 2:2(0) ack 2\n"
		"+0   state time_wait\n"
		"+0   detach\n"
		"+0   refused conn_no_port\n"
		"+.9  refused conn_no_port\n"
		"+.2  again\n"
		"+0   connect\n"
		"+0   > S 0:0(0) <mss 1460,sackOK,TS val * ecr 0,wscale 7>\n"
		"+0   stat tcp_time_wait_now 0\n"},
	{"without timestamps the port stays taken for the whole minute", CONF_ONE_PORT,
		"0    connect\n"
		"+0   > S 0:0(0)\n"
		"+.1  < S. 0:0(0) ack 1 win 65535 <mss 1460>\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   finish\n"
		"+0   > F. 1:1(0) ack 1\n"
		"+.1  < F. 1:1(0) ack 2 win 512\n"
		"+0   > . 2:2(0) ack 2\n"
		"+0   detach\n"
		"+59  refused conn_no_port\n"
		"+1.1 again\n"
		"+0   connect\n"
		"+0   > S 0:0(0)\n"},
};

int main(int argc, char **argv)
{
	return script_main("close", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
