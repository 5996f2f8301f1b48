/* script.h: packet scripts: "inject this segment, expect that one, at that time", in virtual time.
 *
 * The stack under test is whole: lib/tcp over lib/net over a wire of one process. The peer is a
 * second lib/net without TCP, so ARP, ND, checksums and IP headers are real on both ways, and the
 * script writes segments as text. A script is lines; each begins with a time in seconds, absolute
 * ("1.25") or after the line before ("+.04"):
 *
 *   0    listen
 *   +0   < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,wscale 7>
 *   +0   > S. 0:0(0) ack 1 <mss 1460,sackOK,TS val 0 ecr 100,wscale 7>
 *   +.01 < . 1:1(0) ack 1 win 257 <TS val 110 ecr 0>
 *   +0   event OPEN
 *
 *   <       a segment arrives: flags (S F R P . U E W), seq:end(len), ack, win as in the header; ts
 *           and checksums are right unless said otherwise. "ce", "ect0" mark its IP header; "urg
 * N": its urgent pointer >       this segment, and no other, leaves at this time, at most 2 ms late
 * (a "~" after the time: at most 10% late). What is not written is not compared; "nosack": no SACK
 * block; "notect": not marked as ECN-capable
 *   >>      the same for a run of segments, each of (len) bytes but the last, which alone has the P
 *
 * Numbers are relative to the ISNs; val and ecr of ours to our first TSval, in ms. Options: mss N,
 * wscale N, sackOK, TS val N|* ecr N|*, sack a:b c:d, raw HEX (bytes as they stand), nop, eol.
 *
 *   until   nothing leaves until this time
 *   listen [backlog N] [limit N] | connect [timeout MS] | write N | read N | finish | detach |
 * abort keepalive on|off | rcvbuf N refused NAME [to IP]   a connect, which fails at once for this
 * reason other N   the segments after it are from the peer's port N; 0: the first one again again
 * the next SYN-ACK begins another connection, whose ISN counts from there on more on|off   what is
 * written next is not all (tg_conn.tx_more)
 *   fault loss N | duplicate N | reorder N (millionths) | zero MS | truncate | none
 *   unlisten buffers N   N percent of the packet buffers
 * are free, the rest is in use elsewhere icmp toobig MTU SEQ | icmp hard SEQ | icmp soft SEQ event
 * A|B   the events since the last such line are these; "event -": none why NAME, acked N, written
 * N, final 0|1, readable N, space N   what the conn says stat NAME N   the counter or reason has
 * grown by N since the script's begin; with _now behind a gauge's name: is N asked N   so often was
 * the peer asked for its MAC address since the last such line state gone | time_wait | embryonic |
 * open   where the flow is in the table # a comment
 *
 * TG_SCRIPT_TRACE=1 in the environment prints every segment that leaves.
 * Whatever leaves without a line that expects it fails the script. At the end everything is taken
 * down and tg_tcp_validate(), the ledger and all pools are checked.
 */
#ifndef TG_TCP_SCRIPT_H
#define TG_TCP_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#define CONF_V6 0x001
#define CONF_NO_TS 0x002
#define CONF_NO_SACK 0x004
#define CONF_NO_WSCALE 0x008
#define CONF_NO_ECN 0x010
#define CONF_SMALL_EMB 0x020  /* two embryonic records */
#define CONF_KEEPALIVE 0x040  /* 10 s, 3 s, 2 probes */
#define CONF_SHORT_USER 0x080 /* user timeout 5 s */
#define CONF_SMALL_TW 0x100   /* two TIME-WAIT records */
#define CONF_SMALL_TX 0x200   /* one transmit block */
#define CONF_WRAP 0x400       /* both ISNs just below 2^32 */
#define CONF_SMALL_BUF 0x800  /* 8 KiB each way */
#define CONF_ONE_PORT 0x1000  /* one source port for active opens */
#define CONF_TS_WRAP 0x2000   /* our timestamps wrap a second after the begin */
#define CONF_LONG_USER 0x4000 /* user timeout a day */

struct script {
	const char *name; /* what it shows */
	uint32_t conf;
	const char *text; /* NULL: no script, a heading over those that follow */
};
#define ABOUT(text) \
	{ \
		text, 0, NULL \
	}

/* Runs it; on failure says which line and why. */
bool script_run(const struct script *s);
/* A test program over a table of scripts: each ends with a line. A command-line argument picks
 * those whose name contains it; --table prints them all as a Markdown table instead. */
int script_main(const char *suite, const struct script *s, unsigned int n, int argc, char **argv);

#endif
