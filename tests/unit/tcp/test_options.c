/* TCP options as a peer may write them: RFC 9293 section 3.1 and 3.2, 7323, 2018. Strictness is
 * Linux's: a length that cannot be ends the list, what stood before it counts, and the segment is
 * taken. */
#include "opening.h"

/* A SYN with these option bytes from that port, and what our SYN-ACK says we understood */
#define SYN(port, hex, answer) \
	"+0 other " #port "\n" \
	"+0 again\n" \
	"+0 < S 0:0(0) win 65535 <raw " hex ">\n" \
	"+0 > S. 0:0(0) ack 1 <" answer ">\n"
#define NONE "mss 1460"

/* A SYN with these option bytes, and the segments that 1100 bytes then travel in */
#define SEGMENT_SIZE(hex, runs) \
	"0    listen\n" \
	"+0   < S 0:0(0) win 65535 <raw " hex ">\n" \
	"+0   > S. 0:0(0) ack 1\n" \
	"+.1  < . 1:1(0) ack 1 win 65535\n" \
	"+0   write 1100\n" runs
#define SIZE_536 "+0 >> P. 1:1101(536) ack 1\n"
#define SIZE_1000 "+0 >> P. 1:1101(1000) ack 1\n"

/* A segment of ten bytes with these option bytes on an open connection: taken */
#define TAKEN(from, to, hex) \
	"+0 < P. " #from ":" #to "(10) ack 1 win 512 <raw " hex ">\n" \
	"+0 > . 1:1(0) ack " #to "\n"

static const struct script scripts[] = {
	ABOUT("Maximum segment size"),
	{"MSS of length 0 counts as none: 536", 0, SEGMENT_SIZE("020003e8", SIZE_536)},
	{"MSS of length 1 counts as none: 536", 0, SEGMENT_SIZE("020103e8", SIZE_536)},
	{"MSS of length 3 is skipped: 536", 0, SEGMENT_SIZE("02030301", SIZE_536)},
	{"MSS of length 5 is skipped: 536", 0, SEGMENT_SIZE("020503e800010101", SIZE_536)},
	{"MSS over the end counts as none: 536", 0, SEGMENT_SIZE("01010204", SIZE_536)},
	{"MSS behind one NOP: no word boundary is needed", 0,
		SEGMENT_SIZE("01020403e8010101", SIZE_1000)},
	{"the last of two MSS counts", 0, SEGMENT_SIZE("020405b4020403e8", SIZE_1000)},
	{"MSS behind EOL is not read: 536", 0, SEGMENT_SIZE("00010101020403e8", SIZE_536)},
	{"MSS behind options that nobody knows", 0,
		SEGMENT_SIZE("1e0400012202fd06f989aabbfe03cc01020403e8", SIZE_1000)},
	{"MSS 0 counts as none: 536", 0, SEGMENT_SIZE("02040000", SIZE_536)},
	{"MSS 65535: our own MTU decides", 0,
		"0    listen\n"
		"+0   < S 0:0(0) win 65535 <mss 65535>\n"
		"+0   > S. 0:0(0) ack 1\n"
		"+.1  < . 1:1(0) ack 1 win 65535\n"
		"+0   write 2920\n"
		"+0   >> P. 1:2921(1460) ack 1\n"},
	{"MSS in a segment that is no SYN changes nothing", 0,
		OPEN "+.1 < P. 1:11(10) ack 1 win 512 <raw 020403e8>\n"
		     "+0  > . 1:1(0) ack 11\n"
		     "+0  write 1460\n"
		     "+0  > P. 1:1461(1460) ack 11\n"},

	ABOUT("Window scale, SACK-permitted, timestamps in a SYN"),
	{"window scale with lengths 0, 1, 2, 4 and over the end: none", 0,
		"0 listen\n" SYN(6001, "03000701", NONE) SYN(6002, "03010701", NONE)
			SYN(6003, "03020101", NONE) SYN(6004, "03040701", NONE)
				SYN(6005, "01010303", NONE) SYN(6006, "01010103", NONE)},
	{"SACK-permitted with lengths 0, 1, 3 and over the end: none", 0,
		"0 listen\n" SYN(6001, "04000101", NONE) SYN(6002, "04010101", NONE) SYN(6003,
			"04030001", NONE) SYN(6004, "01010104", NONE) SYN(6005, "01010403", NONE)},
	{"timestamps with lengths 0, 1, 2, 9, 11 and over the end: none", 0,
		"0 listen\n" SYN(6001, "0800000000010000000001", NONE) SYN(
			6002, "080100000001000000000101", NONE) SYN(6003, "0802010101010101", NONE)
			SYN(6004, "080900000001000000010101", NONE)
				SYN(6005, "080b0000000100000000000101", NONE)
					SYN(6006, "0101080a00000001", NONE)},
	{"SACK blocks on a SYN mean nothing", 0,
		"0 listen\n" SYN(6001, "0101050a0000000100000002", NONE)},
	{"what stands before a broken option counts, what is behind does not", 0,
		"0 listen\n" SYN(6001, "0402030307080001", "mss 1460,sackOK,wscale 7")
			SYN(6002, "0402fd0003030701", "mss 1460,sackOK")
				SYN(6003, "030307fd01040201", "mss 1460,wscale 7")},
	{"forty bytes of NOP", 0,
		"0 listen\n" SYN(6001,
			"01010101010101010101010101010101010101010101010101010101010101010101010101"
			"010101",
			NONE)},
	{"forty bytes of an unknown option; one byte short", 0,
		"0 listen\n" SYN(6001,
			"fd280000000000000000000000000000000000000000000000000000000000000000000000"
			"000000",
			NONE) SYN(6002,
			"fd2900000000000000000000000000000000000000000000000000000000000000000000"
			"00000000",
			NONE)},
	{"each option alone, in any order, all at once", 0,
		"0 listen\n" SYN(6001, "04020101", "mss 1460,sackOK")
			SYN(6002, "03030701", "mss 1460,wscale 7")
				SYN(6003, "080a00000001000000000101", "mss 1460,TS val * ecr 1")
					SYN(6004, "0303070402080a0000000500000000020405b4",
						"mss 1460,sackOK,TS val * ecr 5,wscale 7")},
	{"the options of our SYN-ACK are those that the peer has too", 0,
		"0 listen\n" SYN(6001, "020405b4", NONE)
			SYN(6002, "020405b40402", "mss 1460,sackOK")},
	{"we offer nothing that is switched off", CONF_NO_TS | CONF_NO_SACK | CONF_NO_WSCALE,
		"0 listen\n"
		"+0 < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 1 ecr 0,wscale 7>\n"
		"+0 > S. 0:0(0) ack 1 <mss 1460>\n"},

	ABOUT("The SYN-ACK's options, of an active open"),
	{"a SYN-ACK without options: plain, 536", 0,
		"0    connect\n"
		"+0   > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0,wscale 7>\n"
		"+.1  < S. 0:0(0) ack 1 win 65535\n"
		"+0   > . 1:1(0) ack 1 win 65535 nosack\n"
		"+0   write 1072\n"
		"+0   >> P. 1:1073(536) ack 1\n"},
	{"no window scale from the peer: ours is off too (RFC 7323 section 2.2)", 0,
		"0    connect\n"
		"+0   > S 0:0(0) <mss 1460,sackOK,TS val 0 ecr 0,wscale 7>\n"
		"+.1  < S. 0:0(0) ack 1 win 1000 <mss 1460,sackOK>\n"
		"+0   > . 1:1(0) ack 1 win 65535\n"
		"+0   write 2000\n"
		"+0   >> . 1:1001(500) ack 1\n"},
	{"the window of a SYN-ACK is never scaled (section 2.2)", 0,
		"0    connect\n"
		"+0   > S 0:0(0)\n"
		"+.1  < S. 0:0(0) ack 1 win 2920 <mss 1460,wscale 7>\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   write 4380\n"
		"+0   >> . 1:2921(1460) ack 1\n"
		"+.1  < . 1:1(0) ack 2921 win 23\n"
		"+0   > P. 2921:4381(1460) ack 1\n"},
	{"malformed options in a SYN-ACK: what came before them counts", 0,
		"0    connect\n"
		"+0   > S 0:0(0)\n"
		"+.1  < S. 0:0(0) ack 1 win 65535 <raw 020403e804000000>\n"
		"+0   > . 1:1(0) ack 1\n"
		"+0   event OPEN\n"
		"+0   write 1100\n" SIZE_1000},
	{"window scale 15 in a SYN-ACK counts as 14", 0,
		"0    connect\n"
		"+0   > S 0:0(0)\n"
		"+.1  < S. 0:0(0) ack 1 win 1 <raw 020405b40103030f>\n"
		"+0   > . 1:1(0) ack 1\n"
		"+.1  < . 1:1(0) ack 1 win 1\n"
		"+0   write 14600\n"
		"+0   >> P. 1:14601(1460) ack 1\n"},

	ABOUT("Options on an open connection"),
	{"lengths 0, 1 and over the end, of every kind: the data are taken", 0,
		OPEN "+.1 until\n" TAKEN(1, 11, "02000101") TAKEN(11, 21, "02010101") TAKEN(
			21, 31, "0101020a") TAKEN(31, 41, "03000101") TAKEN(41, 51, "03010101")
			TAKEN(51, 61, "0101030a") TAKEN(61, 71, "04000101")
				TAKEN(71, 81, "04010101") TAKEN(81, 91, "0101040a")
					TAKEN(91, 101, "05000101") TAKEN(101, 111, "05010101")
						TAKEN(111, 121, "0101050a") "+0 readable 120\n"},
	{"the same for timestamps and kinds that nobody knows", 0,
		OPEN "+.1 until\n" TAKEN(1, 11, "08000101") TAKEN(11, 21, "08010101")
			TAKEN(21, 31, "0101080a") TAKEN(31, 41, "1e000101")
				TAKEN(41, 51, "1e010101") TAKEN(51, 61, "01011e05")
					TAKEN(61, 71, "ff000101") TAKEN(71, 81, "ff010101")
						TAKEN(81, 91, "010101ff") "+0 readable 90\n"},
	{"SACK with lengths 2, 9, 11, 17: no blocks", 0,
		OPEN "+0 write 4380\n"
		     "+0 >> P. 1:4381(1460)\n"
		     "+.1 < . 1:1(0) ack 1 win 512 <raw 05020101>\n"
		     "+0 < . 1:1(0) ack 1 win 512 <raw 05090000000100000001010101>\n"
		     "+0 < . 1:1(0) ack 1 win 512 <raw 050b000000010000000100000101>\n"
		     "+0 < . 1:1(0) ack 1 win 512 "
		     "<raw 05110000000100000001000000010000000100>\n"
		     "+.01 stat tcp_retransmits 0\n"
		     "+0 < . 1:1(0) ack 4381 win 512\n"
		     "+0 event DRAINED\n"},
	{"a segment without timestamps where they were agreed is taken, as Linux does", 0,
		OPEN_TS "+.1 < P. 1:11(10) ack 1 win 512\n"
			"+0 > . 1:1(0) ack 11 <TS val 200 ecr 200>\n"
			"+0 readable 10\n"},
	{"timestamps that were not agreed are ignored, and not sent", 0,
		OPEN "+.1 < P. 1:11(10) ack 1 win 512 <TS val 5 ecr 0>\n"
		     "+0 > . 1:1(0) ack 11 nosack\n"
		     "+0 < P. 11:21(10) ack 1 win 512 <TS val 4 ecr 0>\n"
		     "+0 > . 1:1(0) ack 21\n"
		     "+0 stat tcp_paws 0\n"},
	{"timestamps in an unusual place are read", 0,
		OPEN_TS "+.1 < P. 1:11(10) ack 1 win 512 <raw 080a0000012c000000000101>\n"
			"+0 > . 1:1(0) ack 11 <TS val 200 ecr 300>\n"
			"+0 < P. 11:21(10) ack 1 win 512 <raw 01080a00000131000000000100>\n"
			"+0 > . 1:1(0) ack 21 <TS val 200 ecr 305>\n"},
};

int main(int argc, char **argv)
{
	return script_main("options", scripts, TG_ARRAY_LEN(scripts), argc, argv);
}
