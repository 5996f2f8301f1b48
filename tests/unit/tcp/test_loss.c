/* Loss found and repaired: RFC 6298, 6582, 2018, 6675, 8985 (RACK-TLP), 6937 (PRR), 3522 and 4015
 * (Eifel), 5682 (F-RTO), 2883 (D-SACK), 4821 and 8201 (path MTU). Round trip 100 ms: RTO is 300 ms.
 */
#include "opening.h"

#define TEN \
	"+0 write 14600\n" \
	"+0 >> P. 1:14601(1460)\n"

/* Four timeouts of a full segment */
#define HOLE \
	"+0 write 1460\n" \
	"+0 > P. 1:1461(1460)\n" \
	"+.3~ > P. 1:1461(1460)\n" \
	"+.6~ > P. 1:1461(1460)\n" \
	"+1.2~ > P. 1:1461(1460)\n" \
	"+2.4~ > . 1:1025(1024)\n"

static const struct script scripts[] = {
	{"one lost of ten: three SACKs, fast retransmit", 0,
		OPEN TEN "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:4381>\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:5841>\n"
			 "+0 > . 1:1461(1460)\n"
			 "+0 stat tcp_fast_recovery 1\n"
			 "+.01 < . 1:1(0) ack 1 win 512 <sack 1461:14601>\n"
			 "+.09 < . 1:1(0) ack 14601 win 512\n"
			 "+0 event DRAINED\n"
			 "+0 stat tcp_retransmits 1\n"
			 "+0 stat tcp_rto 0\n"},
	{"a single SACK: after a quarter of the round trip (RACK)", 0,
		OPEN "+0 write 2920\n"
		     "+0 > . 1:1461(1460)\n"
		     "+0 > P. 1461:2921(1460)\n"
		     "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
		     "+.025~ > . 1:1461(1460)\n"
		     "+.1 < . 1:1(0) ack 2921 win 512\n"
		     "+0 event DRAINED\n"},
	{"reordering within a quarter of the round trip: no retransmission", 0,
		OPEN "+0 write 2920\n"
		     "+0 > . 1:1461(1460)\n"
		     "+0 > P. 1461:2921(1460)\n"
		     "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
		     "+.02 < . 1:1(0) ack 2921 win 512\n"
		     "+.5 stat tcp_retransmits 0\n"
		     "+0 event DRAINED\n"},
	{"two holes are both repaired; limited transmit before, PRR behind", 0,
		OPEN TEN "+0 write 14600\n"
			 "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
			 "+0 > . 14601:16061(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:2921 4381:5841>\n"
			 "+0 > . 16061:17521(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:2921 4381:7301>\n"
			 "+0 > . 1:1461(1460)\n"
			 "# in flight: 7 segments, as many as ssthresh; 8 with this one\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:2921 4381:8761>\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:2921 4381:10221>\n"
			 "+0 > . 2921:4381(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:2921 4381:11681>\n"
			 "+0 > . 17521:18981(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:2921 4381:14601>\n"
			 "+0 > . 18981:20441(1460)\n"
			 "+0 > . 20441:21901(1460)\n"
			 "+.1 < . 1:1(0) ack 2921 win 512 <sack 4381:14601>\n"
			 "+0 > . 21901:23361(1460)\n"
			 "+0 < . 1:1(0) ack 14601 win 512\n"
			 "+0 > . 23361:24821(1460)\n"
			 "+0 stat tcp_retransmits 2\n"},
	{"a lost retransmission is found too", 0,
		OPEN TEN "+0 write 14600\n"
			 "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
			 "+0 > . 14601:16061(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:4381>\n"
			 "+0 > . 16061:17521(1460)\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:5841>\n"
			 "+0 > . 1:1461(1460)\n"
			 "+.01 < . 1:1(0) ack 1 win 512 <sack 1461:14601>\n"
			 "+0 > . 17521:18981(1460)\n"
			 "+0 > . 18981:20441(1460)\n"
			 "+0 > . 20441:21901(1460)\n"
			 "+0 > . 21901:23361(1460)\n"
			 "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:18981>\n"
			 "+0 > . 1:1461(1460)\n"
			 "+0 > . 23361:24821(1460)\n"
			 "+0 > . 24821:26281(1460)\n"
			 "+0 > . 26281:27741(1460)\n"
			 "+0 stat tcp_rto 0\n"},
	{"the tail is lost: a probe after two round trips, then recovery", 0,
		OPEN TEN "+.1 < . 1:1(0) ack 13141 win 512\n"
			 "+.2~ > P. 13141:14601(1460)\n"
			 "+0 stat tcp_tlp 1\n"
			 "+.1 < . 1:1(0) ack 14601 win 512\n"
			 "+0 event DRAINED\n"
			 "+0 stat tcp_rto 0\n"},
	{"the last three are lost: the probe's SACK shows the others", 0,
		OPEN TEN "+.1 < . 1:1(0) ack 10221 win 512\n"
			 "+.2~ > P. 13141:14601(1460)\n"
			 "+.1 < . 1:1(0) ack 10221 win 512 <sack 13141:14601>\n"
			 "+0 > . 10221:11681(1460)\n"
			 "+.1 < . 1:1(0) ack 11681 win 512 <sack 13141:14601>\n"
			 "+0 > . 11681:13141(1460)\n"
			 "+0 stat tcp_fast_recovery 1\n"
			 "+.1 < . 1:1(0) ack 14601 win 512\n"
			 "+0 event DRAINED\n"},
	{"the probe carries new data when there are some", 0,
		OPEN TEN "+0 write 2920\n"
			 "# the window is full: the probe goes beyond it by one segment\n"
			 "+.2~ > . 14601:16061(1460)\n"
			 "+0 stat tcp_tlp 1\n"
			 "+0 stat tcp_retransmits 0\n"
			 "+.1 < . 1:1(0) ack 16061 win 512\n"
			 "+0 > P. 16061:17521(1460)\n"},
	{"RTO: 300 ms, doubled each time", CONF_NO_SACK,
		OPEN_BARE "+0 write 1000\n"
			  "+0 > P. 1:1001(1000)\n"
			  "+.3~ > P. 1:1001(1000)\n"
			  "+.6~ > P. 1:1001(1000)\n"
			  "+1.2~ > P. 1:1001(1000)\n"
			  "+2.4~ > P. 1:1001(1000)\n"
			  "+0 stat tcp_rto 4\n"
			  "+.1 < . 1:1(0) ack 1001 win 65535\n"
			  "+0 event DRAINED\n"},
	{"RTO: slow start from one segment", CONF_NO_SACK,
		OPEN_BARE TEN "+.3~ > . 1:1461(1460)\n"
			      "+.1 < . 1:1(0) ack 1461 win 65535\n"
			      "+0 > . 1461:2921(1460)\n"
			      "+0 > . 2921:4381(1460)\n"
			      "+.1 < . 1:1(0) ack 4381 win 65535\n"
			      "+0 > . 4381:5841(1460)\n"
			      "+0 > . 5841:7301(1460)\n"
			      "+0 > . 7301:8761(1460)\n"
			      "+0 > . 8761:10221(1460)\n"
			      "+.1 < . 1:1(0) ack 14601 win 65535\n"
			      "+0 event DRAINED\n"},
	{"no RTO below 200 ms, on a path of 1 ms either", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.001 < . 1:1(0) ack 1 win 65535\n"
		"+0   write 10\n"
		"+0   > P. 1:11(10)\n"
		"+.201 > P. 1:11(10)\n"},
	{"user timeout: FAILED", CONF_SHORT_USER | CONF_NO_SACK,
		OPEN_BARE "+0 write 10\n"
			  "+0 > P. 1:11(10)\n"
			  "+.3~ > P. 1:11(10)\n"
			  "+.6~ > P. 1:11(10)\n"
			  "+1.2~ > P. 1:11(10)\n"
			  "+2.4~ > P. 1:11(10)\n"
			  "5.09 event -\n"
			  "5.5 event FAILED\n"
			  "+0 why conn_timeout\n"
			  "+0 final 0\n"},
	{"NewReno: three duplicate ACKs, then a partial one", 0,
		OPEN_BARE TEN "+.1 < . 1:1(0) ack 1 win 65535\n"
			      "+0 < . 1:1(0) ack 1 win 65535\n"
			      "+0 < . 1:1(0) ack 1 win 65535\n"
			      "+0 > . 1:1461(1460)\n"
			      "+.1 < . 1:1(0) ack 2921 win 65535\n"
			      "+0 > . 2921:4381(1460)\n"
			      "+.1 < . 1:1(0) ack 14601 win 65535\n"
			      "+0 event DRAINED\n"
			      "+0 stat tcp_retransmits 2\n"
			      "+0 stat tcp_fast_recovery 1\n"},
	{"a window update is no duplicate ACK", 0,
		OPEN_BARE TEN "+.1 < . 1:1(0) ack 1 win 65000\n"
			      "+0 < . 1:1(0) ack 1 win 65100\n"
			      "+0 < . 1:1(0) ack 1 win 65200\n"
			      "+0 < . 1:1(0) ack 1 win 65300\n"
			      "+0 stat tcp_retransmits 0\n"},
	{"Eifel: the RTO was needless, say the timestamps", 0,
		OPEN_TS "+0 write 2896\n"
			"+0 > . 1:1449(1448)\n"
			"+0 > P. 1449:2897(1448)\n"
			"+.202~ > P. 1449:2897(1448)\n"
			"+.3~ > . 1:1449(1448)\n"
			"+.05 < . 1:1(0) ack 1449 win 512 <TS val 700 ecr 100>\n"
			"+0 stat tcp_spurious 1\n"
			"+0 < . 1:1(0) ack 2897 win 512 <TS val 700 ecr 100>\n"
			"+0 event DRAINED\n"},
	{"F-RTO without timestamps: originals arrive, nothing more is sent again", 0,
		OPEN TEN "+0 write 14600\n"
			 "+.202~ > . 14601:16061(1460)\n"
			 "+.3~ > . 1:1461(1460)\n"
			 "+.05 < . 1:1(0) ack 1461 win 512\n"
			 "+0 > . 16061:17521(1460)\n"
			 "+0 > . 17521:18981(1460)\n"
			 "+.01 < . 1:1(0) ack 2921 win 512\n"
			 "+0 stat tcp_spurious 1\n"
			 "+0 stat tcp_retransmits 1\n"},
	{"a timeout without SACK: that the rest had come does not make it needless", 0,
		OPEN_BARE TEN "+0 write 14600\n"
			      "+.3~ > . 1:1461(1460)\n"
			      "+.1 < . 1:1(0) ack 14601 win 65535\n"
			      "# not beyond ssthresh, seven of ten\n"
			      "+0 >> . 14601:24821(1460)\n"
			      "+0 stat tcp_spurious 0\n"},
	{"D-SACK of the only retransmission: undone", 0,
		OPEN TEN "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:4381>\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:5841>\n"
			 "+0 > . 1:1461(1460)\n"
			 "+.01 < . 1:1(0) ack 7301 win 512\n"
			 "+.05 < . 1:1(0) ack 7301 win 512 <sack 1:1461>\n"
			 "+0 stat tcp_spurious 1\n"},
	{"D-SACK after recovery is over, and more is in flight: undone", 0,
		OPEN TEN "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:2921>\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:4381>\n"
			 "+0 < . 1:1(0) ack 1 win 512 <sack 1461:5841>\n"
			 "+0 > . 1:1461(1460)\n"
			 "+0 write 14600\n"
			 "+.01 < . 1:1(0) ack 14601 win 512\n"
			 "+0 > . 14601:16061(1460)\n"
			 "+0 > . 16061:17521(1460)\n"
			 "+0 > . 17521:18981(1460)\n"
			 "+0 > . 18981:20441(1460)\n"
			 "+0 > . 20441:21901(1460)\n"
			 "+0 > . 21901:23361(1460)\n"
			 "+0 > . 23361:24821(1460)\n"
			 "+.05 < . 1:1(0) ack 14601 win 512 <sack 1:1461>\n"
			 "+0 > . 24821:26281(1460)\n"
			 "+0 > . 26281:27741(1460)\n"
			 "+0 > P. 27741:29201(1460)\n"
			 "+0 stat tcp_spurious 1\n"},
	{"SACK reneging: after half a round trip everything goes again", 0,
		OPEN "+0 write 4380\n"
		     "+0 > . 1:1461(1460)\n"
		     "+0 > . 1461:2921(1460)\n"
		     "+0 > P. 2921:4381(1460)\n"
		     "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:4381>\n"
		     "+.025~ > . 1:1461(1460)\n"
		     "+.1 < . 1:1(0) ack 1461 win 512\n"
		     "+.05~ > . 1461:2921(1460)\n"
		     "+.1 < . 1:1(0) ack 2921 win 512\n"
		     "+0 > P. 2921:4381(1460)\n"},
	{"no reneging: the ACK that was late comes within that time", 0,
		OPEN "+0 write 4380\n"
		     "+0 > . 1:1461(1460)\n"
		     "+0 > . 1461:2921(1460)\n"
		     "+0 > P. 2921:4381(1460)\n"
		     "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:4381>\n"
		     "+.025~ > . 1:1461(1460)\n"
		     "+.1 < . 1:1(0) ack 1461 win 512\n"
		     "+.04 < . 1:1(0) ack 4381 win 512\n"
		     "+.5 event DRAINED\n"
		     "+0 stat tcp_rto 0\n"},
	{"SACK blocks that no receiver could send mean nothing", 0,
		OPEN "+0 write 1460\n"
		     "+0 > P. 1:1461(1460)\n"
		     "+.1 < . 1:1(0) ack 1 win 512 <sack 1461:1000000>\n"
		     "+0 < . 1:1(0) ack 1 win 512 <sack 1400:100>\n"
		     "+0 < . 1:1(0) ack 1 win 512 <sack 4294900000:4294950000>\n"
		     "+0 < . 1:1(0) ack 1461 win 512\n"
		     "+0 event DRAINED\n"
		     "+0 stat tcp_retransmits 0\n"},
	{"path MTU shrinks: smaller segments at once, no slower", 0,
		OPEN "+0 write 4380\n"
		     "+0 > . 1:1461(1460)\n"
		     "+0 > . 1461:2921(1460)\n"
		     "+0 > P. 2921:4381(1460)\n"
		     "+.05 icmp toobig 1000 1\n"
		     "+0 > . 1:961(960)\n"
		     "+0 > . 961:1461(500)\n"
		     "+0 > . 1461:2421(960)\n"
		     "+0 > . 2421:2921(500)\n"
		     "+0 > . 2921:3881(960)\n"
		     "+0 > P. 3881:4381(500)\n"
		     "+.1 < . 1:1(0) ack 4381 win 512\n"
		     "+0 write 1000\n"
		     "+0 > . 4381:5341(960)\n"
		     "+0 > P. 5341:5381(40)\n"},
	{"too-big for something not in flight is not believed", 0,
		OPEN "+0 write 1460\n"
		     "+0 > P. 1:1461(1460)\n"
		     "+.05 icmp toobig 1000 1461\n"
		     "+0 icmp toobig 1000 100000\n"
		     "+.05 < . 1:1(0) ack 1461 win 512\n"
		     "+0 write 1460\n"
		     "+0 > P. 1461:2921(1460)\n"},
	{"ICMP unreachable does not end an open connection", 0,
		OPEN "+0 write 10\n"
		     "+0 > P. 1:11(10)\n"
		     "+0 icmp hard 1\n"
		     "+0 icmp soft 1\n"
		     "+.1 < . 1:1(0) ack 11 win 512\n"
		     "+0 event DRAINED\n"},
	{"black hole: after four timeouts the segments are smaller, and stay so", CONF_NO_SACK,
		OPEN_BARE HOLE "+.1 < . 1:1(0) ack 1025 win 65535\n"
			       "+0 > P. 1025:1461(436)\n"
			       "+.1 < . 1:1(0) ack 1461 win 65535\n"
			       "+0 write 1460\n"
			       "+0 > . 1461:2485(1024)\n"
			       "+0 > P. 2485:2921(436)\n"
			       "+.1 < . 1:1(0) ack 2921 win 65535\n"
			       "# a pause is no reason to try again\n"
			       "+60 write 1460\n"
			       "+0 > . 2921:3945(1024)\n"
			       "+0 > P. 3945:4381(436)\n"
			       "+.1 < . 1:1(0) ack 4381 win 65535\n"},
	{"black hole: after ten minutes the path's size is tried again", CONF_NO_SACK,
		OPEN_BARE HOLE "+.1 < . 1:1(0) ack 1461 win 65535\n"
			       "+540 write 1460\n"
			       "+0 > . 1461:2485(1024)\n"
			       "+0 > P. 2485:2921(436)\n"
			       "+.1 < . 1:1(0) ack 2921 win 65535\n"
			       "+120 write 1460\n"
			       "+0 > P. 2921:4381(1460)\n"
			       "+.1 < . 1:1(0) ack 4381 win 65535\n"},
	{"black hole: when the smallest vanish too it was not the size", CONF_NO_SACK,
		OPEN_BARE HOLE "+4.8~ > . 1:513(512)\n"
			       "+9.6~ > . 1:501(500)\n"
			       "# the path's size again, but what was cut stays cut\n"
			       "+19.2~ > . 1:501(500)\n"
			       "+0 > . 501:513(12)\n"
			       "+0 > . 513:1025(512)\n"
			       "+0 > P. 1025:1461(436)\n"
			       "+.1 < . 1:1(0) ack 1461 win 65535\n"
			       "+0 write 1460\n"
			       "+0 > P. 1461:2921(1460)\n"},
	{"black hole on IPv6: no smaller than 1280 allows", CONF_NO_SACK | CONF_V6,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1440>\n"
		"+0   > S. 0:0(0) ack 1 <mss 1440>\n"
		"+.1  < . 1:1(0) ack 1 win 65535\n"
		"+0   write 1440\n"
		"+0   > P. 1:1441(1440)\n"
		"+.3~ > P. 1:1441(1440)\n"
		"+.6~ > P. 1:1441(1440)\n"
		"+1.2~ > P. 1:1441(1440)\n"
		"+2.4~ > . 1:1209(1208)\n"
		"+.1 < . 1:1(0) ack 1209 win 65535\n"
		"+0   > P. 1209:1441(232)\n"},
	{"a part of a segment acknowledged", 0,
		OPEN_BARE "+0 write 1460\n"
			  "+0 > P. 1:1461(1460)\n"
			  "+.1 < . 1:1(0) ack 501 win 65535\n"
			  "+0 acked 500\n"
			  "+.3~ > P. 501:1461(960)\n"},
	{"Karn: the ACK of a segment sent twice tells no round trip", CONF_NO_SACK,
		OPEN_BARE "+0 write 10\n"
			  "+0 > P. 1:11(10)\n"
			  "+.3~ > P. 1:11(10)\n"
			  "+.01 < . 1:1(0) ack 11 win 65535\n"
			  "+0 write 10\n"
			  "+0 > P. 11:21(10)\n"
			  "+.6~ > P. 11:21(10)\n"},
};

int main(int argc, char **argv)
{
	return script_main("loss", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
