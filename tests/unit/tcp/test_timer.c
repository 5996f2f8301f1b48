/* Timers: retransmission (RFC 6298), tail loss probe (RFC 8985), persist, keepalive, delayed ACK,
 * user timeout (RFC 9293 section 3.8). */
#include "opening.h"

/* Round trip 1 ms: the minimum RTO of 200 ms is what counts */
#define OPEN_NEAR \
	"0     listen\n" \
	"+0    < S 0:0(0) win 65535 <mss 1460>\n" \
	"+0    > S. 0:0(0) ack 1\n" \
	"+.001 < . 1:1(0) ack 1 win 65535\n" \
	"+0    event OPEN\n"

static const struct script scripts[] = {
	ABOUT("Retransmission timeout"),
	{"the first RTO of a SYN is 1 s", 0,
		"0 connect\n"
		"+0 > S 0:0(0)\n"
		"+1 > S 0:0(0)\n"},
	{"RTO = SRTT + 4 * RTTVAR, of the first sample three round trips", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.4  < . 1:1(0) ack 1 win 65535\n"
		"+0   write 10\n"
		"+0   > P. 1:11(10)\n"
		"+1.2~ > P. 1:11(10)\n"},
	{"a steady round trip: the variance sinks, the RTO towards SRTT + 200 ms", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.4  < . 1:1(0) ack 1 win 65535\n"
		"+0   write 10\n"
		"+0   > P. 1:11(10)\n"
		"+.4  < . 1:1(0) ack 11 win 65535\n"
		"+0   write 10\n"
		"+0   > P. 11:21(10)\n"
		"+.4  < . 1:1(0) ack 21 win 65535\n"
		"+0   write 10\n"
		"+0   > P. 21:31(10)\n"
		"+.4  < . 1:1(0) ack 31 win 65535\n"
		"+0   write 10\n"
		"+0   > P. 31:41(10)\n"
		"+.4  < . 1:1(0) ack 41 win 65535\n"
		"+0   write 10\n"
		"+0   > P. 41:51(10)\n"
		"+.4  < . 1:1(0) ack 51 win 65535\n"
		"+0   write 10\n"
		"+0   > P. 51:61(10)\n"
		"+.6~ > P. 51:61(10)\n"},
	{"never below 200 ms", 0,
		OPEN_NEAR "+0   write 10\n"
			  "+0   > P. 1:11(10)\n"
			  "+.001 < . 1:1(0) ack 11 win 65535\n"
			  "+0   write 10\n"
			  "+0   > P. 11:21(10)\n"
			  "+.201 > P. 11:21(10)\n"
			  "+.402 > P. 11:21(10)\n"},
	{"doubled up to 120 s, for the whole of a user's patience", CONF_LONG_USER,
		OPEN_NEAR "+0   write 10\n"
			  "+0   > P. 1:11(10)\n"
			  "+.2~  > P. 1:11(10)\n"
			  "+.4~  > P. 1:11(10)\n"
			  "+.8~  > P. 1:11(10)\n"
			  "+1.6~ > P. 1:11(10)\n"
			  "+3.2~ > P. 1:11(10)\n"
			  "+6.4~ > P. 1:11(10)\n"
			  "+12.8~ > P. 1:11(10)\n"
			  "+25.7~ > P. 1:11(10)\n"
			  "+51.4~ > P. 1:11(10)\n"
			  "+102.9~ > P. 1:11(10)\n"
			  "+120~ > P. 1:11(10)\n"
			  "+120~ > P. 1:11(10)\n"
			  "+120~ > P. 1:11(10)\n"
			  "+0 event -\n"},
	{"by default it is given up after 100 s (SHLD-11)", 0,
		OPEN_NEAR "+0   write 10\n"
			  "+0   > P. 1:11(10)\n"
			  "+.2~  > P. 1:11(10)\n"
			  "+.4~  > P. 1:11(10)\n"
			  "+.8~  > P. 1:11(10)\n"
			  "+1.6~ > P. 1:11(10)\n"
			  "+3.2~ > P. 1:11(10)\n"
			  "+6.4~ > P. 1:11(10)\n"
			  "+12.8~ > P. 1:11(10)\n"
			  "+25.7~ > P. 1:11(10)\n"
			  "99.9  event -\n"
			  "100.1 event FAILED\n"
			  "+0 why conn_timeout\n"
			  "+0 stat tcp_rto 8\n"},
	{"an ACK of new data restarts it (section 5.3)", CONF_NO_SACK,
		OPEN_BARE "+0  write 2920\n"
			  "+0  >> P. 1:2921(1460)\n"
			  "+.2 < . 1:1(0) ack 1461 win 65535\n"
			  "# not at 0.4, but an RTO (SRTT 112 ms, RTTVAR 62 ms) after that ACK\n"
			  "+.362 > P. 1461:2921(1460)\n"},
	{"all acknowledged: it is off (section 5.2)", CONF_NO_SACK,
		OPEN_BARE "+0  write 10\n"
			  "+0  > P. 1:11(10)\n"
			  "+.1 < . 1:1(0) ack 11 win 65535\n"
			  "+500 event DRAINED\n"},
	{"new data while it runs do not move it (section 5.1)", CONF_NO_SACK,
		OPEN_BARE "+0  write 10\n"
			  "+0  > P. 1:11(10)\n"
			  "+.2 write 10\n"
			  "+0  > P. 11:21(10)\n"
			  "+.1 > P. 1:11(10)\n"
			  "+0  > P. 11:21(10)\n"},
	{"Karn: the back-off lasts until a segment sent once is acknowledged", CONF_NO_SACK,
		OPEN_BARE "+0 write 10\n"
			  "+0 > P. 1:11(10)\n"
			  "+.3~ > P. 1:11(10)\n"
			  "+.01 < . 1:1(0) ack 11 win 65535\n"
			  "+0 write 10\n"
			  "+0 > P. 11:21(10)\n"
			  "+.1 < . 1:1(0) ack 21 win 65535\n"
			  "+0 write 10\n"
			  "+0 > P. 21:31(10)\n"
			  "+.3~ > P. 21:31(10)\n"},
	{"Karn: nor does an ACK that covers a retransmission among others", CONF_NO_SACK,
		OPEN_BARE "+0 write 2920\n"
			  "+0 >> P. 1:2921(1460)\n"
			  "+.3~ > . 1:1461(1460)\n"
			  "+.01 < . 1:1(0) ack 2921 win 65535\n"
			  "+0 write 10\n"
			  "+0 > P. 2921:2931(10)\n"
			  "+.6 > P. 2921:2931(10)\n"},
	{"with timestamps a retransmission gives a sample too (RFC 7323 section 4)", 0,
		OPEN_TS "+0 write 10\n"
			"+0 > P. 1:11(10)\n"
			"+.3~ > P. 1:11(10) ack 1 <TS val 400 ecr 200>\n"
			"+.3~ > P. 1:11(10) ack 1 <TS val 700 ecr 200>\n"
			"+.1 < . 1:1(0) ack 11 win 512 <TS val 600 ecr 700>\n"
			"# SRTT 100 ms, and no back-off\n"
			"+0 write 10\n"
			"+0 > P. 11:21(10)\n"
			"+.3~ > P. 11:21(10)\n"},

	ABOUT("Tail loss probe"),
	{"two round trips and 2 ms after the last of several segments", 0,
		OPEN "+0 write 2920\n"
		     "+0 >> P. 1:2921(1460)\n"
		     "+.202 > P. 1461:2921(1460)\n"
		     "+0 stat tcp_tlp 1\n"},
	{"a lone segment waits for a delayed ACK too, not longer than the RTO", 0,
		OPEN "+0 write 10\n"
		     "+0 > P. 1:11(10)\n"
		     "+.3~ > P. 1:11(10)\n"
		     "+0 stat tcp_tlp 1\n"
		     "+0 stat tcp_rto 0\n"},
	{"one probe, then the RTO", 0,
		OPEN "+0 write 2920\n"
		     "+0 >> P. 1:2921(1460)\n"
		     "+.202 > P. 1461:2921(1460)\n"
		     "+.3~ > . 1:1461(1460)\n"
		     "+0 stat tcp_tlp 1\n"
		     "+0 stat tcp_rto 1\n"},
	{"the probe's data arrived before: nothing was lost, nothing is slowed", 0,
		OPEN "+0 write 14600\n"
		     "+0 >> P. 1:14601(1460)\n"
		     "+.202~ > P. 13141:14601(1460)\n"
		     "+.05 < . 1:1(0) ack 14601 win 512\n"
		     "+.05 < . 1:1(0) ack 14601 win 512 <sack 13141:14601>\n"
		     "+0 write 29200\n"
		     "+0 >> P. 14601:43801(1460)\n"},
	{"the probe repaired a loss: the window pays for it with the next ACK", 0,
		OPEN "+0 write 14600\n"
		     "+0 >> P. 1:14601(1460)\n"
		     "+.1 < . 1:1(0) ack 13141 win 512\n"
		     "+.2~ > P. 13141:14601(1460)\n"
		     "+.1 < . 1:1(0) ack 14601 win 512\n"
		     "+.05 write 1460\n"
		     "+0 > P. 14601:16061(1460)\n"
		     "+.1 < . 1:1(0) ack 16061 win 512\n"
		     "# seven tenths of twenty segments\n"
		     "+.05 write 29200\n"
		     "+0 >> . 16061:36501(1460)\n"},
	{"the probe was needless, says a plain duplicate ACK: the window is as it was", 0,
		OPEN "+0 write 14600\n"
		     "+0 >> P. 1:14601(1460)\n"
		     "+.1 < . 1:1(0) ack 13141 win 512\n"
		     "+.2~ > P. 13141:14601(1460)\n"
		     "+.01 < . 1:1(0) ack 14601 win 512\n"
		     "+.05 < . 1:1(0) ack 14601 win 512\n"
		     "+.05 write 1460\n"
		     "+0 > P. 14601:16061(1460)\n"
		     "+.1 < . 1:1(0) ack 16061 win 512\n"
		     "+.05 write 29200\n"
		     "+0 >> P. 16061:45261(1460)\n"},
	{"no probe without SACK", CONF_NO_SACK,
		OPEN_BARE "+0 write 2920\n"
			  "+0 >> P. 1:2921(1460)\n"
			  "+.3~ > . 1:1461(1460)\n"
			  "+0 stat tcp_tlp 0\n"},
	{"no new data in a probe beyond the peer's window: the last segment instead", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 23\n"
		     "+0 write 4380\n"
		     "+0 >> . 1:2921(1460)\n"
		     "+.202~ > . 1461:2921(1460)\n"
		     "+0 stat tcp_tlp 1\n"},

	ABOUT("Window probes (persist timer)"),
	{"the first after an RTO, each after twice that time (SHLD-29, SHLD-30)", 0,
		OPEN_NEAR "+.1 < . 1:1(0) ack 1 win 0\n"
			  "+0 write 10\n"
			  "+.2~ > . 0:0(0) ack 1\n"
			  "+0 < . 1:1(0) ack 1 win 0\n"
			  "+.4~ > . 0:0(0) ack 1\n"
			  "+0 < . 1:1(0) ack 1 win 0\n"
			  "+.8~ > . 0:0(0) ack 1\n"
			  "+0 < . 1:1(0) ack 1 win 0\n"
			  "+1.6~ > . 0:0(0) ack 1\n"},
	{"an answered probe restarts the user's patience", CONF_SHORT_USER,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+0 write 10\n"
		     "+.3~ > . 0:0(0) ack 1\n"
		     "+.6~ > . 0:0(0) ack 1\n"
		     "+1.2~ > . 0:0(0) ack 1\n"
		     "+2.4~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+4.8~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 0\n"
		     "+0 event -\n"},
	{"nothing to send: a shut window is not probed", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+1000 event -\n"
		     "+0 stat tcp_zero_window_probes 0\n"},
	{"the probe goes on while the FIN waits behind data", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+0 write 10\n"
		     "+0 finish\n"
		     "+.3~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 512\n"
		     "+0 > FP. 1:11(10) ack 1\n"},
	{"a FIN alone needs no window", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+0 finish\n"
		     "+.3~ > . 0:0(0) ack 1\n"
		     "+0 < . 1:1(0) ack 1 win 512\n"
		     "+0 > F. 1:1(0) ack 1\n"},

	ABOUT("Keepalive"),
	{"off unless asked for (MUST-25)", CONF_KEEPALIVE, OPEN "+1000 event -\n"},
	{"two hours by default (MUST-28)", 0,
		OPEN "+0 keepalive on\n"
		     "7199 event -\n"
		     "7200.1 > . 0:0(0) ack 1\n"},
	{"no byte in a probe (SHLD-12)", CONF_KEEPALIVE,
		OPEN "+0 keepalive on\n"
		     "+10~ > . 0:0(0) ack 1\n"},
	{"what arrives puts it off, data and bare ACKs (MUST-26)", CONF_KEEPALIVE,
		OPEN "+0 keepalive on\n"
		     "+9 < P. 1:11(10) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 11\n"
		     "+9 < . 11:11(0) ack 1 win 512\n"
		     "+10~ > . 0:0(0) ack 11\n"},
	{"not while data are under way (MUST-26)", CONF_KEEPALIVE | CONF_NO_SACK,
		OPEN_BARE "+0 keepalive on\n"
			  "+9 write 10\n"
			  "+0 > P. 1:11(10)\n"
			  "+.3~ > P. 1:11(10)\n"
			  "+.6~ > P. 1:11(10)\n"
			  "+1.2~ > P. 1:11(10)\n"
			  "+.1 < . 1:1(0) ack 11 win 65535\n"
			  "+0 stat tcp_keepalive_probes 0\n"},
	{"one unanswered probe is no death (MUST-29)", CONF_KEEPALIVE,
		OPEN "+0 keepalive on\n"
		     "+10~ > . 0:0(0) ack 1\n"
		     "+3~  > . 0:0(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 1 win 512\n"
		     "+10~ > . 0:0(0) ack 1\n"
		     "+0 event -\n"},
	{"off again (MUST-24)", CONF_KEEPALIVE,
		OPEN "+0 keepalive on\n"
		     "+5 keepalive off\n"
		     "+1000 event -\n"},
	{"a probe says the timestamp of now", CONF_KEEPALIVE,
		OPEN_TS "+0 keepalive on\n"
			"+10 > . 0:0(0) ack 1 <TS val 10100 ecr 200>\n"},

	ABOUT("Delayed ACKs"),
	{"the first sixteen segments are acknowledged at once", 0,
		OPEN QUICK16 "+.01 < P. 17:18(1) ack 1 win 512\n"
			     "+.04 > . 1:1(0) ack 18\n"},
	{"40 ms, not later (MUST-40)", 0,
		OPEN QUICK16 "+.01 < . 17:18(1) ack 1 win 512\n"
			     "+.039 until\n"
			     "+.001 > . 1:1(0) ack 18\n"},
	{"a FIN is acknowledged at once", 0,
		OPEN QUICK16 "+.01 < F. 17:17(0) ack 1 win 512\n"
			     "+0 > . 1:1(0) ack 18\n"},
	{"out of order: at once, and what fills the gap", 0,
		OPEN QUICK16 "+.01 < . 18:19(1) ack 1 win 512\n"
			     "+0 > . 1:1(0) ack 17 <sack 18:19>\n"
			     "+.01 < . 17:18(1) ack 1 win 512\n"
			     "+0 > . 1:1(0) ack 19\n"},
	{"two full segments: at once (SHLD-19)", 0,
		OPEN QUICK16 "+.01 < . 17:1477(1460) ack 1 win 512\n"
			     "+.01 < . 1477:2937(1460) ack 1 win 512\n"
			     "+0 > . 1:1(0) ack 2937\n"},
	{"the ACK rides on data, and its timer is off", 0,
		OPEN QUICK16 "+.01 < P. 17:27(10) ack 1 win 512\n"
			     "+.01 write 10\n"
			     "+0 > P. 1:11(10) ack 27\n"
			     "+.1 < . 27:27(0) ack 11 win 512\n"
			     "+.1 event READABLE|DRAINED\n"},
	{"after a pause of an RTO the quick ones begin anew", 0,
		OPEN QUICK16 "+5 < P. 17:27(10) ack 1 win 512\n"
			     "+0 > . 1:1(0) ack 27\n"},
};

int main(int argc, char **argv)
{
	return script_main("timer", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
