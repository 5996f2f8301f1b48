/* Windows, both sides: what is acceptable, what is told, what is kept to. RFC 9293 sections 3.4,
 * 3.8.6, 3.10.7.4; 7323 section 2. */
#include "opening.h"

/* Our receive window is 7300: no window scale, 8 KiB of buffer */
#define OPEN_SMALL \
	"0    listen\n" \
	"+0   < S 0:0(0) win 65535 <mss 1460,sackOK>\n" \
	"+0   > S. 0:0(0) ack 1 win 7300\n" \
	"+.1  < . 1:1(0) ack 1 win 65535\n" \
	"+0   event OPEN\n"
/* ... and full: 7301 is the next byte */
#define FILL \
	"+.1  < . 1:1461(1460) ack 1 win 65535\n" \
	"+0   > . 1:1(0) ack 1461 win 5840\n" \
	"+.1  < . 1461:2921(1460) ack 1 win 65535\n" \
	"+0   > . 1:1(0) ack 2921 win 4380\n" \
	"+.1  < . 2921:4381(1460) ack 1 win 65535\n" \
	"+0   > . 1:1(0) ack 4381 win 2920\n" \
	"+.1  < . 4381:5841(1460) ack 1 win 65535\n" \
	"+0   > . 1:1(0) ack 5841 win 1460\n" \
	"+.1  < . 5841:7301(1460) ack 1 win 65535\n" \
	"+0   > . 1:1(0) ack 7301 win 0\n" \
	"+0   event READABLE\n"

#define FOUR_SEGMENTS \
	"+.1  < . 1:1461(1460) ack 1 win 512\n" \
	"+0   > . 1:1(0) ack 1461\n" \
	"+.1  < . 1461:2921(1460) ack 1 win 512\n" \
	"+0   > . 1:1(0) ack 2921\n" \
	"+.1  < . 2921:4381(1460) ack 1 win 512\n" \
	"+0   > . 1:1(0) ack 4381\n" \
	"+.1  < . 4381:5841(1460) ack 1 win 512\n" \
	"+0   > . 1:1(0) ack 5841\n"

static const struct script scripts[] = {
	ABOUT("The edges of the receive window"),
	{"a segment that ends at the right edge is kept", CONF_SMALL_BUF,
		OPEN_SMALL "+0 < . 5841:7301(1460) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 1 <sack 5841:7301>\n"},
	{"one byte beyond the right edge is cut off", CONF_SMALL_BUF,
		OPEN_SMALL "+0 < . 5842:7302(1460) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 1 <sack 5842:7301>\n"},
	{"a segment that begins at the right edge is not taken", CONF_SMALL_BUF,
		OPEN_SMALL "+0 < . 7301:7311(10) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 1 nosack\n"
			   "+0 stat tcp_rcv_full 1\n"},
	{"a segment beyond the right edge is not looked at", CONF_SMALL_BUF,
		OPEN_SMALL "+0 < . 7302:7312(10) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 1 nosack\n"
			   "+0 stat tcp_out_of_window 1\n"},
	{"the last byte of the window alone", CONF_SMALL_BUF,
		OPEN_SMALL "+0 < . 7300:7301(1) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 1 <sack 7300:7301>\n"},
	{"a segment from before the left edge: its new part is taken", 0,
		OPEN "+.1 < . 1:101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 101\n"
		     "+0 < . 51:151(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 151 <sack 51:101>\n"
		     "+0 readable 150\n"},
	{"a segment that ends at the left edge is old, its ACK counts", 0,
		OPEN "+.1 < . 1:101(100) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 101\n"
		     "+0 write 10\n"
		     "+0 > P. 1:11(10)\n"
		     "+0 < . 1:101(100) ack 11 win 512\n"
		     "+0 > . 11:11(0) ack 101 <sack 1:101>\n"
		     "+0 acked 10\n"},
	{"a segment longer than the whole window is cut on both sides", CONF_SMALL_BUF,
		OPEN_SMALL "+0 < . 1:101(100) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 101\n"
			   "+0 < . -99:1361(1460) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 1361 <sack -99:101>\n"
			   "+0 readable 1360\n"},
	{"the window's edges wrap around 2^32", CONF_WRAP,
		OPEN "+.1 < . 1001:2461(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 1001:2461>\n"
		     "+0 < . 2461:3921(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1 <sack 1001:3921>\n"
		     "+0 < . 300000:300010(10) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1\n"
		     "+0 stat tcp_out_of_window 1\n"
		     "+0 < . 1:1001(1000) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 3921\n"
		     "+0 readable 3920\n"},

	ABOUT("A receive window of zero"),
	{"data are refused and answered, a bare ACK counts", CONF_SMALL_BUF,
		OPEN_SMALL FILL "+0 write 10\n"
				"+0 > P. 1:11(10) ack 7301 win 0\n"
				"+0 < . 7301:7401(100) ack 11 win 65535\n"
				"+0 > . 11:11(0) ack 7301 win 0\n"
				"+0 acked 10\n"
				"+0 stat tcp_rcv_full 1\n"},
	{"an exact RST ends it all the same (MUST-66)", CONF_SMALL_BUF,
		OPEN_SMALL FILL "+0 < R 7301:7301(0) win 0\n"
				"+0 event FAILED\n"
				"+0 why conn_reset_by_peer\n"
				"+0 readable 7300\n"},
	{"an RST elsewhere does not", CONF_SMALL_BUF,
		OPEN_SMALL FILL "+0 < R 7302:7302(0) win 0\n"
				"+0 < R 7300:7300(0) win 0\n"
				"+0 event -\n"
				"+0 stat tcp_rst_blind 2\n"},
	{"a bare FIN needs no room", CONF_SMALL_BUF,
		OPEN_SMALL FILL "+0 < F. 7301:7301(0) ack 1 win 65535\n"
				"+0 > . 1:1(0) ack 7302 win 0\n"
				"+0 event EOF\n"
				"+0 readable 7300\n"},
	{"a FIN behind data that have no room waits", CONF_SMALL_BUF,
		OPEN_SMALL FILL "+0 < FP. 7301:7311(10) ack 1 win 65535\n"
				"+0 > . 1:1(0) ack 7301 win 0\n"
				"+0 event -\n"
				"+0 read 7300\n"
				"+0 > . 1:1(0) ack 7301 win 8192\n"
				"+0 < FP. 7301:7311(10) ack 1 win 65535\n"
				"+0 > . 1:1(0) ack 7312\n"
				"+0 event READABLE|EOF\n"},
	{"an urgent pointer is no harm (MUST-66)", CONF_SMALL_BUF,
		OPEN_SMALL FILL "+0 < U. 7301:7301(0) ack 1 win 65535 urg 100\n"
				"+.1 event -\n"},
	{"the peer's probes are answered for as long as it asks (MAY-8)", CONF_SMALL_BUF,
		OPEN_SMALL FILL "+1   < . 7301:7302(1) ack 1 win 65535\n"
				"+0   > . 1:1(0) ack 7301 win 0\n"
				"+60  < . 7301:7302(1) ack 1 win 65535\n"
				"+0   > . 1:1(0) ack 7301 win 0\n"
				"+600 < . 7301:7302(1) ack 1 win 65535\n"
				"+0   > . 1:1(0) ack 7301 win 0\n"
				"+0   event -\n"},

	ABOUT("When the window opens: receiver's silly window avoidance"),
	{"nothing is told before the window has grown by a segment", CONF_SMALL_BUF,
		OPEN_SMALL FILL "+0 read 500\n"
				"+.1 read 60\n"
				"+.1 read 10\n"
				"+0 > . 1:1(0) ack 7301 win 1462\n"},
	{"reading all opens all of it, at once", CONF_SMALL_BUF,
		OPEN_SMALL FILL "+0 read 7300\n"
				"+0 > . 1:1(0) ack 7301 win 8192\n"},
	{"an update when the window has doubled, not at every read", CONF_SMALL_BUF,
		OPEN_SMALL FILL "+0 read 2000\n"
				"+0 > . 1:1(0) ack 7301 win 2892\n"
				"+0 read 1000\n"
				"+0 read 1000\n"
				"+0 read 1000\n"
				"+0 > . 1:1(0) ack 7301 win 5892\n"},
	{"the last bytes of the window stay offered, few as they are (SHLD-14)", CONF_SMALL_BUF,
		OPEN_SMALL "+0 < P. 1:2(1) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 2 win 8191\n"
			   "+0 < . 2:1462(1460) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 1462 win 6731\n"
			   "+0 < . 1462:2922(1460) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 2922 win 5271\n"
			   "+0 < . 2922:4382(1460) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 4382 win 3811\n"
			   "+0 < . 4382:5842(1460) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 5842 win 2351\n"
			   "+0 < . 5842:7302(1460) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 7302 win 891\n"},
	{"small segments do not shrink the window by more than they take", CONF_SMALL_BUF,
		OPEN_SMALL "+0 < P. 1:2(1) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 2 win 8191\n"
			   "+0 < P. 2:3(1) ack 1 win 65535\n"
			   "+0 > . 1:1(0) ack 3 win 8190\n"},

	ABOUT("The peer's window"),
	{"it is unsigned and scaled: 65535 << 14", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 1460,wscale 14>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.1  < . 1:1(0) ack 1 win 65535\n"
		"+0   write 14600\n"
		"+0   >> P. 1:14601(1460)\n"},
	{"window 65535 without scale is not negative (MUST-1)", CONF_NO_WSCALE,
		OPEN_BARE "+0 write 14600\n"
			  "+0 >> P. 1:14601(1460)\n"},
	{"the window of the SYN holds until the first ACK says another", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 1460 <mss 1460>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.1  < . 1:1(0) ack 1 win 4380\n"
		"+0   write 5840\n"
		"+0   >> . 1:4381(1460) ack 1\n"},
	{"an older segment's window is not believed (SND.WL1)", 0,
		OPEN "+.1 < . 101:201(100) ack 1 win 23\n"
		     "+0 > . 1:1(0) ack 1 <sack 101:201>\n"
		     "+0 < . 1:1(0) ack 1 win 512\n"
		     "+0 write 4380\n"
		     "+0 >> . 1:2921(1460) ack 1\n"},
	{"an older ACK's window is not believed (SND.WL2)", 0,
		OPEN "+0 write 2920\n"
		     "+0 >> P. 1:2921(1460)\n"
		     "+.1 < . 1:1(0) ack 2921 win 11\n"
		     "+0 < . 1:1(0) ack 1461 win 512\n"
		     "+0 write 2920\n"
		     "+0 until\n"
		     "+.3~ > . 2921:4329(1408)\n"},
	{"a window update alone lets data go", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+0 write 1000\n"
		     "+.1 < . 1:1(0) ack 1 win 512\n"
		     "+0 > P. 1:1001(1000) ack 1\n"},
	{"the window shrinks below what is in flight: nothing new leaves (MUST-34, SHLD-15)", 0,
		OPEN "+0 write 14600\n"
		     "+0 >> P. 1:14601(1460)\n"
		     "+0 write 2920\n"
		     "+.1 < . 1:1(0) ack 1461 win 34\n"
		     "+0 until\n"
		     "+.05 < . 1:1(0) ack 14601 win 34\n"
		     "+0 >> P. 14601:17521(1460)\n"},
	{"what was sent into a window that shrank is sent again in it (SHLD-16)", CONF_NO_SACK,
		OPEN_BARE "+0 write 4380\n"
			  "+0 >> P. 1:4381(1460)\n"
			  "+.1 < . 1:1(0) ack 1461 win 1460\n"
			  "+.3~ > . 1461:2921(1460)\n"
			  "+.1 < . 1:1(0) ack 2921 win 65535\n"
			  "+0 > P. 2921:4381(1460)\n"},
	{"the window shrinks to zero with data in flight: probed, not given up (MUST-35, SHLD-17)",
		CONF_SHORT_USER | CONF_NO_SACK,
		OPEN_BARE "+0 write 1460\n"
			  "+0 > P. 1:1461(1460)\n"
			  "+.1 < . 1:1(0) ack 1 win 0\n"
			  "+.2~ > P. 1:1461(1460)\n"
			  "+0 < . 1:1(0) ack 1 win 0\n"
			  "+.6~ > P. 1:1461(1460)\n"
			  "+0 < . 1:1(0) ack 1 win 0\n"
			  "+1.2~ > P. 1:1461(1460)\n"
			  "+0 < . 1:1(0) ack 1 win 0\n"
			  "+2.4~ > P. 1:1461(1460)\n"
			  "+0 < . 1:1(0) ack 1 win 0\n"
			  "# the user timeout cuts the back-off, and is not reached\n"
			  "+2.6~ > P. 1:1461(1460)\n"
			  "+0 < . 1:1(0) ack 1 win 0\n"
			  "+0 event -\n"
			  "+.1 < . 1:1(0) ack 1461 win 65535\n"
			  "+0 event DRAINED\n"},

	ABOUT("Sender's silly window avoidance and PSH"),
	{"what was promised is not taken while buffers are scarce: four segments", 0,
		OPEN "+0 buffers 20\n" FOUR_SEGMENTS "+.1 < . 5841:7301(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 5841\n"
		     "+0 stat tcp_rcv_full 1\n"
		     "+0 read 5840\n"
		     "+.1 < . 5841:7301(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 7301\n"},
	{"two when they are short, of both queues", 0,
		OPEN "+0 buffers 11\n"
		     "+.1 < . 1:1461(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1461\n"
		     "+.1 < . 1461:2921(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2921\n"
		     "+.1 < . 2921:4381(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 2921\n"
		     "+0 stat tcp_rcv_full 1\n"
		     "+0 space 2920\n"},
	{"a segment when the devices' own are touched", 0,
		OPEN "+0 buffers 6\n"
		     "+.1 < . 1:1461(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1461\n"
		     "+.1 < . 1461:2921(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 1461\n"
		     "+0 stat tcp_rcv_full 1\n"},
	{"plenty of buffers again: all that was promised", 0,
		OPEN "+0 buffers 20\n" FOUR_SEGMENTS "+0 buffers 90\n"
		     "+.1 < . 5841:7301(1460) ack 1 win 512\n"
		     "+0 > . 1:1(0) ack 7301\n"},
	{"a window a little larger than a segment: no crumb behind it", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 12\n" /* 1536 bytes */
		     "+0 write 4380\n"
		     "+0 > . 1:1461(1460) ack 1\n"
		     "+.1 < . 1:1(0) ack 1461 win 12\n"
		     "+0 > . 1461:2921(1460) ack 1\n"},
	{"small writes while the window is shut leave as full segments (SHLD-28)", 0,
		OPEN "+.1 < . 1:1(0) ack 1 win 0\n"
		     "+0 write 500\n"
		     "+0 write 500\n"
		     "+0 write 500\n"
		     "+0 write 500\n"
		     "+.1 < . 1:1(0) ack 1 win 512\n"
		     "+0 >> P. 1:2001(1460) ack 1\n"},
	{"PSH on the last segment of what is queued, not on the others (MUST-61, SHLD-27)", 0,
		OPEN "+0 write 3000\n"
		     "+0 > . 1:1461(1460) ack 1\n"
		     "+0 > . 1461:2921(1460) ack 1\n"
		     "+0 > P. 2921:3001(80) ack 1\n"},
	{"a write never waits for another one (MUST-60)", 0,
		OPEN "+0 write 1\n"
		     "+0 > P. 1:2(1) ack 1\n"
		     "+0 write 1461\n"
		     "+0 >> P. 2:1463(1460) ack 1\n"},
};

int main(int argc, char **argv)
{
	return script_main("window", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
