/* What size a segment may have on its path: RFC 1191, 8201, 6691, 4821, and which ICMP errors are
 * believed: RFC 5461, 5927. What lib/net makes of the packets themselves is in net/test_icmp.c. */
#include "opening.h"

#define OPEN6 \
	"0    listen\n" \
	"+0   < S 0:0(0) win 65535 <mss 1440,sackOK,wscale 7>\n" \
	"+0   > S. 0:0(0) ack 1 <mss 1440,sackOK,wscale 7>\n" \
	"+.1  < . 1:1(0) ack 1 win 512\n" \
	"+0   event OPEN\n"

static const struct script scripts[] = {
	ABOUT("Packet too big"),
	{"in the middle of a stream: what is unsent is cut as well", 0,
		OPEN "+0 write 29200\n"
		     "+0 >> . 1:14601(1460)\n"
		     "+.1 < . 1:1(0) ack 13141 win 512\n"
		     "+0 >> P. 14601:29201(1460)\n"
		     "+.05 icmp toobig 1000 13141\n"
		     "+0 > . 13141:14101(960)\n"
		     "+0 > . 14101:14601(500)\n"
		     "+0 > . 14601:15561(960)\n"
		     "+0 > . 15561:16061(500)\n"
		     "+0 > . 16061:17021(960)\n"
		     "+0 > . 17021:17521(500)\n"
		     "+0 > . 17521:18481(960)\n"
		     "+0 > . 18481:18981(500)\n"
		     "+0 > . 18981:19941(960)\n"
		     "+0 > . 19941:20441(500)\n"
		     "+0 > . 20441:21401(960)\n"
		     "+0 > . 21401:21901(500)\n"
		     "+0 > . 21901:22861(960)\n"
		     "+0 > . 22861:23361(500)\n"
		     "+0 > . 23361:24321(960)\n"
		     "+0 > . 24321:24821(500)\n"
		     "+0 > . 24821:25781(960)\n"
		     "+0 > . 25781:26281(500)\n"
		     "+0 > . 26281:27241(960)\n"
		     "+0 > . 27241:27741(500)\n"
		     "+0 > . 27741:28701(960)\n"
		     "+0 > P. 28701:29201(500)\n"},
	{"twice: 1400, then 800", 0,
		OPEN "+0 write 1460\n"
		     "+0 > P. 1:1461(1460)\n"
		     "+.01 icmp toobig 1400 1\n"
		     "+0 > . 1:1361(1360)\n"
		     "+0 > P. 1361:1461(100)\n"
		     "+.01 icmp toobig 800 1\n"
		     "+0 > . 1:761(760)\n"
		     "+0 > . 761:1361(600)\n"
		     "+.1 < . 1:1(0) ack 1461 win 512\n"
		     "+0 write 1460\n"
		     "+0 >> P. 1461:2921(760)\n"},
	{"a larger one than ours changes nothing", 0,
		OPEN "+0 write 1460\n"
		     "+0 > P. 1:1461(1460)\n"
		     "+.01 icmp toobig 1500 1\n"
		     "+0 icmp toobig 9000 1\n"
		     "+.01 stat tcp_retransmits 0\n"},
	{"the same one again changes nothing", 0,
		OPEN "+0 write 1460\n"
		     "+0 > P. 1:1461(1460)\n"
		     "+.01 icmp toobig 1000 1\n"
		     "+0 > . 1:961(960)\n"
		     "+0 > P. 961:1461(500)\n"
		     "+.01 icmp toobig 1000 1\n"
		     "+0 stat tcp_retransmits 2\n"},
	{"what is in flight and small enough is not sent again", 0,
		OPEN "+0 write 500\n"
		     "+0 > P. 1:501(500)\n"
		     "+0 write 1460\n"
		     "+0 > P. 501:1961(1460)\n"
		     "+.01 icmp toobig 1000 501\n"
		     "+0 > . 501:1461(960)\n"
		     "+0 > P. 1461:1961(500)\n"},
	{"with timestamps: less twelve", 0,
		OPEN_TS "+0 write 1448\n"
			"+0 > P. 1:1449(1448)\n"
			"+.01 icmp toobig 1000 1\n"
			"+0 > . 1:949(948)\n"
			"+0 > P. 949:1449(500)\n"},
	{"IPv6: 1280", CONF_V6,
		OPEN6 "+0 write 1440\n"
		      "+0 > P. 1:1441(1440)\n"
		      "+.01 icmp toobig 1280 1\n"
		      "+0 > . 1:1221(1220)\n"
		      "+0 > P. 1221:1441(220)\n"},
	{"during a handshake it is not believed", 0,
		"0    connect\n"
		"+0   > S 0:0(0)\n"
		"+0   icmp toobig 600 0\n"
		"+.1  < S. 0:0(0) ack 1 win 65535 <mss 1460>\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   write 1460\n"
		"+0   > P. 1:1461(1460)\n"},
	{"it is no congestion: the window is as it was", 0,
		OPEN "+0 write 1460\n"
		     "+0 > P. 1:1461(1460)\n"
		     "+.01 icmp toobig 1040 1\n"
		     "+0 > . 1:1001(1000)\n"
		     "+0 > P. 1001:1461(460)\n"
		     "+.1 < . 1:1(0) ack 1461 win 512\n"
		     "+0 stat tcp_fast_recovery 0\n"
		     "+0 stat tcp_rto 0\n"
		     "+0 write 14000\n"
		     "+0 >> P. 1461:15461(1000)\n"},

	ABOUT("Which errors are believed"),
	{"one about the first byte in flight, and about the last", 0,
		OPEN "+0 write 2920\n"
		     "+0 >> P. 1:2921(1460)\n"
		     "+.01 icmp toobig 1400 2920\n"
		     "+0 > . 1:1361(1360)\n"
		     "+0 > . 1361:1461(100)\n"
		     "+0 > . 1461:2821(1360)\n"
		     "+0 > P. 2821:2921(100)\n"},
	{"one about a byte that is acknowledged, or not sent yet: no", 0,
		OPEN "+0 write 1460\n"
		     "+0 > P. 1:1461(1460)\n"
		     "+.1 < . 1:1(0) ack 1461 win 512\n"
		     "+0 icmp toobig 600 1460\n"
		     "+0 icmp toobig 600 1461\n"
		     "+0 icmp hard 1\n"
		     "+0 write 1460\n"
		     "+0 > P. 1461:2921(1460)\n"},
	{"a hard one ends no open connection; it names the reason at the end (MUST-47, MUST-56)",
		CONF_SHORT_USER | CONF_NO_SACK,
		OPEN_BARE "+0 write 10\n"
			  "+0 > P. 1:11(10)\n"
			  "+.1 icmp hard 1\n"
			  "+0 event -\n"
			  "+.2~ > P. 1:11(10)\n"
			  "+.6~ > P. 1:11(10)\n"
			  "+1.2~ > P. 1:11(10)\n"
			  "+2.4~ > P. 1:11(10)\n"
			  "5.5 event FAILED\n"
			  "+0 why conn_unreachable\n"},
	{"in TIME-WAIT and in a handshake of a listener they mean nothing", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+0   icmp hard 0\n"
		"+0   state embryonic\n"
		"+.1  < . 1:1(0) ack 1 win 512\n"
		"+0   event OPEN\n"},
};

int main(int argc, char **argv)
{
	return script_main("path", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
