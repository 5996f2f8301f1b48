/* SYN cookies (RFC 4987 section 3.6) and how a handshake is remembered before: what fits into a
 * cookie, what is asked of it, for how long. Two embryonic records are there; both are taken. */
#include "opening.h"

#define FULL \
	"0     listen\n" \
	"+0    other 6001\n" \
	"+0    < S 0:0(0) win 65535 <mss 1460>\n" \
	"+0    > S. 0:0(0) ack 1\n" \
	"+0    other 6002\n" \
	"+0    again\n" \
	"+0    < S 0:0(0) win 65535 <mss 1460>\n" \
	"+0    > S. 0:0(0) ack 1\n" \
	"+0    other 0\n" \
	"+0    again\n"
/* Takes the two handshakes away */
#define RELEASE \
	"+0    other 6001\n" \
	"+0    < R 1:1(0) win 0\n" \
	"+0    other 6002\n" \
	"+0    < R 1:1(0) win 0\n" \
	"+0    other 0\n"

static const struct script scripts[] = {
	ABOUT("What a cookie carries"),
	{"with timestamps: SACK and window scale ride in them", CONF_SMALL_EMB,
		FULL "+0  < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,wscale 9>\n"
		     "+0  > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 100,wscale 7>\n"
		     "+0  stat tcp_cookies_sent 1\n"
		     "# 8 << 9 bytes are two segments and a half\n"
		     "+.1 < . 1:1(0) ack 1 win 8 <TS val 200 ecr 0>\n"
		     "+0  event OPEN\n"
		     "+0  stat tcp_cookies_accepted 1\n"
		     "+0  write 8000\n"
		     "+0  >> . 1:2897(1448) ack 1\n"
		     "+.1 < . 101:201(100) ack 2897 win 8 <TS val 300 ecr 0>\n"
		     "+0  > . 2897:2897(0) ack 1 <TS val * ecr 200,sack 101:201>\n"
		     "+0  >> . 2897:5793(1448) ack 1\n"},
	{"timestamps without SACK and window scale: neither", CONF_SMALL_EMB,
		FULL "+0  < S 0:0(0) win 65535 <mss 1460,TS val 100 ecr 0>\n"
		     "+0  > S. 0:0(0) ack 1 <mss 1460,TS val 0 ecr 100>\n"
		     "+.1 < . 1:1(0) ack 1 win 1448 <TS val 200 ecr 0>\n"
		     "+0  event OPEN\n"
		     "+0  write 2896\n"
		     "+0  >> . 1:1449(724) ack 1\n"
		     "+.1 < . 101:201(100) ack 1449 win 1448 <TS val 300 ecr 0>\n"
		     "+0  > . 1449:1449(0) ack 1 nosack\n"
		     "+0  >> P. 1449:2897(724) ack 1\n"},
	{"ECN rides in the timestamps too", CONF_SMALL_EMB,
		FULL "+0  < SEW 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,wscale 7>\n"
		     "+0  > S.E 0:0(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 1 win 512 <TS val 200 ecr 0>\n"
		     "+0  event OPEN\n"
		     "+0  write 100\n"
		     "+0  > P. 1:101(100) ack 1 ect0\n"},
	{"without timestamps: the MSS and nothing else", CONF_SMALL_EMB,
		FULL "+0  < SEW 0:0(0) win 65535 <mss 1460,sackOK,wscale 7>\n"
		     "+0  > S. 0:0(0) ack 1 <mss 1460>\n"
		     "+.1 < . 1:1(0) ack 1 win 2920\n"
		     "+0  event OPEN\n"
		     "+0  write 5840\n"
		     "+0  >> . 1:2921(1460) ack 1 notect\n"
		     "+.1 < . 101:201(100) ack 2921 win 2920\n"
		     "+0  > . 2921:2921(0) ack 1 nosack\n"
		     "+0  >> P. 2921:5841(1460) ack 1 notect\n"},
	{"an MSS of 1000 becomes the next one below that a cookie knows", CONF_SMALL_EMB,
		FULL "+0  < S 0:0(0) win 65535 <mss 1000>\n"
		     "+0  > S. 0:0(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 1 win 65535\n"
		     "+0  write 1000\n"
		     "+0  >> P. 1:1001(536) ack 1\n"},
	{"data with the ACK are taken; the first RTO is 3 s", CONF_SMALL_EMB,
		FULL "+0  < S 0:0(0) win 65535 <mss 1460>\n"
		     "+0  > S. 0:0(0) ack 1\n"
		     "+.1 < P. 1:101(100) ack 1 win 65535\n"
		     "+0  > . 1:1(0) ack 101\n" RELEASE "+0  event OPEN|READABLE\n"
		     "+0  write 100\n"
		     "+0  > P. 1:101(100) ack 101\n"
		     "+3~ > P. 1:101(100) ack 101\n"},

	ABOUT("What is not a cookie"),
	{"one more, one less: RST", CONF_SMALL_EMB,
		FULL "+0  < S 0:0(0) win 65535 <mss 1460>\n"
		     "+0  > S. 0:0(0) ack 1\n"
		     "+.1 < . 1:1(0) ack 65537 win 1000\n"
		     "+0  > R 65537:65537(0)\n"
		     "+0  < . 1:1(0) ack -65535 win 1000\n"
		     "+0  > R -65535:-65535(0)\n"
		     "+0  stat tcp_cookie_bad 2\n"},
	{"with another number of the peer's: RST", CONF_SMALL_EMB,
		FULL "+0  < S 0:0(0) win 65535 <mss 1460>\n"
		     "+0  > S. 0:0(0) ack 1\n"
		     "+.1 < . 2:2(0) ack 1 win 1000\n"
		     "+0  > R 1:1(0)\n"
		     "+0  stat tcp_cookie_bad 1\n"},
	{"from another port: RST", CONF_SMALL_EMB,
		FULL "+0  < S 0:0(0) win 65535 <mss 1460>\n"
		     "+0  > S. 0:0(0) ack 1\n"
		     "+.1 other 6003\n"
		     "+0  < . 1:1(0) ack 1 win 1000\n"
		     "+0  > R 1:1(0)\n"
		     "+0  stat tcp_cookie_bad 1\n"},
	{"older than two minutes: RST", CONF_SMALL_EMB,
		"0     listen backlog 1\n"
		"+0    other 6001\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    < . 1:1(0) ack 1 win 1000\n"
		"+0    event OPEN\n"
		"+0    abort\n"
		"+0    > R. 1:1(0)\n"
		"+0    other 6002\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    other 0\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    stat tcp_cookies_sent 1\n"
		"+0    other 6002\n"
		"+0    < R 1:1(0) win 0\n"
		"+0    other 0\n"
		"+128.1 < . 1:1(0) ack 1 win 1000\n"
		"+0    > R 1:1(0)\n"},
	{"an RST or a FIN without data opens nothing", CONF_SMALL_EMB,
		FULL "+0  < S 0:0(0) win 65535 <mss 1460>\n"
		     "+0  > S. 0:0(0) ack 1\n"
		     "+.1 < R. 1:1(0) ack 1 win 0\n"
		     "+0  state gone\n"
		     "+0  < F 1:1(0) win 0\n"
		     "+0  state gone\n"
		     "+0  stat tcp_cookies_accepted 0\n"},

	ABOUT("A limit of connections"),
	{"a cookie costs nothing before it comes back, and no more than one connection",
		CONF_SMALL_EMB,
		"0     listen limit 3\n"
		"+0    other 6001\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    other 6002\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    other 6003\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    other 0\n"
		"+0    again\n"
		"+0    < S 0:0(0) win 65535 <mss 1460>\n"
		"+0    > S. 0:0(0) ack 1\n"
		"+0    stat tcp_cookies_sent 2\n"
		"+.1   < . 1:1(0) ack 1 win 1000\n"
		"+0    event OPEN\n"
		"+0    abort\n"
		"+0    > R. 1:1(0) ack 1\n"
		"# the same cookie again, and another SYN\n"
		"+.1   < . 1:1(0) ack 1 win 1000\n"
		"+0    stat tcp_listener_rate 1\n"
		"+0    state gone\n"
		"+0    < S 100:100(0) win 65535 <mss 1460>\n"
		"+0    stat tcp_listener_rate 2\n"
		"+0    stat tcp_cookies_accepted 1\n"},

	ABOUT("The end of the emergency"),
	{"a record is free again: the next SYN is remembered", CONF_SMALL_EMB,
		FULL RELEASE "+0 again\n"
			     "+0 < S 0:0(0) win 65535 <mss 1460,sackOK,wscale 7>\n"
			     "+0 > S. 0:0(0) ack 1 <mss 1460,sackOK,wscale 7>\n"
			     "+0 state embryonic\n"
			     "+0 stat tcp_cookies_sent 0\n"},
	{"a listener's backlog counts only its own handshakes", 0,
		"0  listen backlog 1\n"
		"+0 other 6001\n"
		"+0 < S 0:0(0) win 65535 <mss 1460>\n"
		"+0 > S. 0:0(0) ack 1\n"
		"+0 state embryonic\n"
		"+0 other 6002\n"
		"+0 again\n"
		"+0 < S 0:0(0) win 65535 <mss 1460>\n"
		"+0 > S. 0:0(0) ack 1\n"
		"+0 stat tcp_cookies_sent 1\n"
		"+0 state gone\n"},
};

int main(int argc, char **argv)
{
	return script_main("cookie", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
