/* opening.h: the beginnings that scripts share. Round trip 100 ms; the peer's window 65536 (512 <<
 * 7). */
#ifndef TG_TCP_OPENING_H
#define TG_TCP_OPENING_H

#include <tidegate/view.h>

#include "script.h"

/* SACK and window scale, no timestamps: full segments are 1460 bytes */
#define OPEN \
	"0    listen\n" \
	"+0   < S 0:0(0) win 65535 <mss 1460,sackOK,wscale 7>\n" \
	"+0   > S. 0:0(0) ack 1 win 64240 <mss 1460,sackOK,wscale 7>\n" \
	"+.1  < . 1:1(0) ack 1 win 512\n" \
	"+0   event OPEN\n"

/* with timestamps: full segments are 1448 bytes; ours tick from 0, the peer's from 100 */
#define OPEN_TS \
	"0    listen\n" \
	"+0   < S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,wscale 7>\n" \
	"+0   > S. 0:0(0) ack 1 win 65160 <mss 1460,sackOK,TS val 0 ecr 100,wscale 7>\n" \
	"+.1  < . 1:1(0) ack 1 win 512 <TS val 200 ecr 0>\n" \
	"+0   event OPEN\n"

/* nothing but MSS: a peer of the last century */
#define OPEN_BARE \
	"0    listen\n" \
	"+0   < S 0:0(0) win 65535 <mss 1460>\n" \
	"+0   > S. 0:0(0) ack 1 win 64240 <mss 1460>\n" \
	"+.1  < . 1:1(0) ack 1 win 65535\n" \
	"+0   event OPEN\n"

/* Spends the quick ACKs of the start: sixteen segments of one byte, one ACK each. */
#define ONE(n) \
	"+.01 < . " #n ":" #n "(1) ack 1 win 512\n" \
	"+0 > . 1:1(0)\n"
#define QUICK16 \
	ONE(1) \
	ONE(2) \
	ONE(3) \
	ONE(4) \
	ONE(5) \
	ONE(6) \
	ONE(7) \
	ONE(8) \
	ONE(9) \
	ONE(10) \
	ONE(11) \
	ONE(12) \
	ONE(13) \
	ONE(14) \
	ONE(15) \
	ONE(16) \
	"+0 event " \
	"READABLE\n"

#endif
