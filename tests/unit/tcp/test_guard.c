/* What the stack is safe from: RFC 5961, 6528, floods of small things. */
#include "opening.h"

#define CHALLENGED "+0 > . 1:1(0) ack 1\n"
#define TWICE(x) x x
#define TEN_TIMES(x) TWICE(x TWICE(TWICE(x)))
#define FAR_BEFORE "+0 < . -1000000:-999900(100) ack 1 win 512\n"
#define AGAIN "+0 < . -99:1(100) ack 1 win 512\n"

static const struct script scripts[] = {
	{"RST in the window: challenge ACK; outside: silence; exact: the end", 0,
		OPEN "+.1 < R 2:2(0) win 0\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 < R 60000:60000(0) win 0\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 < R 0:0(0) win 0\n"
		     "+0 < R 300000:300000(0) win 0\n"
		     "+.1 stat tcp_rst_challenged 2\n"
		     "+0 stat tcp_rst_blind 2\n"
		     "+0 event -\n"
		     "+0 < R 1:1(0) win 0\n"
		     "+0 event FAILED\n"},
	{"SYN in and out of the window: challenge ACK", 0,
		OPEN "+.1 < S 1:1(0) win 100\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 < S 1000000:1000000(0) win 100\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 < S. 0:0(0) ack 1 win 100\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 stat tcp_syn_challenged 3\n"
		     "+0 event -\n"},
	{"challenge ACKs: five at once, then one in 200 ms", 0,
		OPEN "+1 < S 1:1(0) win 100\n" CHALLENGED "+0 < S 1:1(0) win 100\n" CHALLENGED
		     "+0 < R 2:2(0) win 0\n" CHALLENGED "+0 < R 2:2(0) win 0\n" CHALLENGED
		     "+0 < . 1:1(0) ack 7 win 512\n" CHALLENGED
		     "# the same in every kind: silence\n"
		     "+0 < S 1:1(0) win 100\n"
		     "+0 < R 2:2(0) win 0\n"
		     "+0 < . 1:1(0) ack 7 win 512\n"
		     "+0 < . 1000000:1000000(0) ack 1 win 512\n"
		     "+.19 < S 1:1(0) win 100\n"
		     "+.02 < S 1:1(0) win 100\n" CHALLENGED "+0 < S 1:1(0) win 100\n"
		     "+.18 < S 1:1(0) win 100\n"
		     "+.02 < S 1:1(0) win 100\n" CHALLENGED "+0 < S 1:1(0) win 100\n"
		     "+.6 < S 1:1(0) win 100\n" CHALLENGED "+0 < S 1:1(0) win 100\n" CHALLENGED
		     "+0 < S 1:1(0) win 100\n" CHALLENGED "+0 < S 1:1(0) win 100\n"
		     "+0 stat tcp_challenge_acks 10\n"
		     "+0 stat tcp_syn_challenged 13\n"
		     "+0 stat tcp_rst_challenged 3\n"
		     "+0 event -\n"},
	{"data beyond the window: not more than five answers at once", 0,
		OPEN "+1 < . 1000000:1000010(10) ack 1 win 512\n" CHALLENGED
		     "+0 < . 1000000:1000010(10) ack 1 win 512\n" CHALLENGED
		     "+0 < . 1000000:1000010(10) ack 1 win 512\n" CHALLENGED
		     "+0 < . 1000000:1000010(10) ack 1 win 512\n" CHALLENGED
		     "+0 < . 1000000:1000010(10) ack 1 win 512\n" CHALLENGED
		     "+0 < . 1000000:1000010(10) ack 1 win 512\n"
		     "+0 < . 1000000:1000010(10) ack 1 win 512\n"
		     "+0 stat tcp_out_of_window 7\n"},
	{"an ACK of what was never sent: an ACK, and no data taken", 0,
		OPEN "+.1 < P. 1:11(10) ack 2 win 512\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 stat tcp_ack_future 1\n"
		     "+0 readable 0\n"},
	{"an ACK older than the largest window: challenge ACK (RFC 5961 section 5)", 0,
		OPEN "+.1 < P. 1:11(10) ack -70000 win 512\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 stat tcp_ack_old 1\n"
		     "+0 readable 0\n"
		     "+0 < P. 1:11(10) ack -60000 win 512\n"
		     "+0 > . 1:1(0) ack 11\n"
		     "+0 readable 10\n"},
	{"no ACK flag: dropped", 0,
		OPEN "+.1 < - 1:11(10) win 512\n"
		     "+0 < F 1:1(0) win 512\n"
		     "+0 < FUP 1:1(0) win 512\n"
		     "+.1 stat tcp_bad_flags 3\n"
		     "+0 event -\n"},
	{"all flags at once are a RST first, then a SYN; none at all is nothing", 0,
		OPEN "+.1 < - 1:11(10) win 512\n"
		     "+0 < FUP 1:11(10) win 512\n"
		     "+0 stat tcp_bad_flags 2\n"
		     "+0 < SF. 1:1(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 < FSRPU. 2:2(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 event -\n"
		     "+0 < FSRPU. 1:1(0) ack 1 win 512\n"
		     "+0 event FAILED\n"},
	{"data far outside the window: ACK, nothing kept", 0,
		OPEN "+.1 < . 1000000:1000100(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 < . -1000:-900(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack -1000:-900>\n"
		     "+0 stat tcp_out_of_window 1\n"
		     "+0 stat tcp_old_data 1\n"},
	{"data from far before the window are a guess, answered as challenges", 0,
		OPEN "+1 stat tcp_challenge_acks 0\n" FAR_BEFORE CHALLENGED FAR_BEFORE CHALLENGED
			FAR_BEFORE CHALLENGED FAR_BEFORE CHALLENGED FAR_BEFORE CHALLENGED TEN_TIMES(
				FAR_BEFORE) "+.1 stat tcp_challenge_acks 5\n"
					    "+0 stat tcp_old_data 15\n"},
	{"what the peer may be sending again is always answered", 0,
		OPEN_BARE "+1 stat tcp_challenge_acks 0\n" TEN_TIMES(AGAIN CHALLENGED)
			AGAIN CHALLENGED "+0 stat tcp_challenge_acks 0\n"
					 "+0 stat tcp_old_data 11\n"},
	{"a bare ACK outside the window is answered", 0,
		OPEN "+1 < . 1000000:1000000(0) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 stat tcp_out_of_window 1\n"},
	{"embryonic: a storm of wrong segments gets two answers a second", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.1  < S 5:5(0) win 100\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < S 5:5(0) win 100\n"
		"+0   < S 5:5(0) win 100\n"
		"+.1  stat tcp_embryonic 3\n"},
	{"embryonic: the SYN again and again does not multiply SYN-ACKs", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.1  < S 0:0(0) win 100\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+0   < S 0:0(0) win 100\n"
		"+0   < S 0:0(0) win 100\n"
		"+.1  stat rx_tcp_segments 4\n"},
	{"holes that would pin a buffer each are bounded, the furthest goes first", CONF_SMALL_BUF,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.1  < . 1:1(0) ack 1 win 65535\n"
		"+0   < . 11:12(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 21:22(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 31:32(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 41:42(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 51:52(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 61:62(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 71:72(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 81:82(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 91:92(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 101:102(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 111:112(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 121:122(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 131:132(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 141:142(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 151:152(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 161:162(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 171:172(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 181:182(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 191:192(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 201:202(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 211:212(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 221:222(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 231:232(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   < . 241:242(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   stat tcp_ooo_segments 24\n"
		"# beyond the bound: the furthest is refused, a nearer one takes its place\n"
		"+0   < . 251:252(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   stat tcp_ooo_full 1\n"
		"+0   < . 5:6(1) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   stat tcp_ooo_pruned 1\n"
		"+0   < . 1:242(241) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 242\n"
		"+0   readable 241\n"},
	{"malformed options on an open connection are not fatal", 0,
		OPEN_TS "+.1 < P. 1:11(10) ack 1 win 512 <raw 01010800>\n"
			"+0 > . 1:1(0) ack 11\n"
			"+0 < P. 11:21(10) ack 1 win 512 <raw 0101050a0000>\n"
			"+0 > . 1:1(0) ack 21\n"
			"+0 < P. 21:31(10) ack 1 win 512 <raw 08ff0000>\n"
			"+0 > . 1:1(0) ack 31\n"
			"+0 readable 30\n"},
	{"the two ends of a forged conversation do not answer each other for ever", 0,
		OPEN "+1 < . 1:1(0) ack 5 win 512\n" CHALLENGED
		     "+0 < . 1:1(0) ack 5 win 512\n" CHALLENGED
		     "+0 < . 1:1(0) ack 5 win 512\n" CHALLENGED
		     "+0 < . 1:1(0) ack 5 win 512\n" CHALLENGED
		     "+0 < . 1:1(0) ack 5 win 512\n" CHALLENGED "+0 < . 1:1(0) ack 5 win 512\n"
		     "+.1 stat tcp_challenge_acks 5\n"
		     "+0 stat tcp_ack_future 6\n"},
};

int main(int argc, char **argv)
{
	return script_main("guard", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
