/* csum.h: the Internet checksum (RFC 1071) over addresses, buffers and chains.
 *
 * Partial sums are of 16-bit words as they stand in memory, so byte order does not matter until the
 * result is stored. A sum over a packet with a right checksum in it folds to 0xffff.
 */
#ifndef TG_NET_CSUM_H
#define TG_NET_CSUM_H

#include <arpa/inet.h>
#include <rte_mbuf.h>
#include <string.h>

#include <tidegate/addr.h>

static inline uint16_t tg_csum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The words of a buffer. rte_raw_cksum() of 22.11 adds 16 bits at a time: 283 ns for 1460 bytes
 * where this takes 77 (gcc 12 -O2, x86-64-v2), and devices without offload have every byte summed.
 */
static inline uint64_t tg_csum_raw(const void *buf, uint32_t len)
{
	uint64_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
	const uint8_t *p = buf;
	uint32_t w[8];

	for (; len >= 32; len -= 32, p += 32) {
		memcpy(w, p, 32);
		s0 += w[0];
		s1 += w[1];
		s2 += w[2];
		s3 += w[3];
		s0 += w[4];
		s1 += w[5];
		s2 += w[6];
		s3 += w[7];
	}
	for (; len >= 4; len -= 4, p += 4) {
		memcpy(w, p, 4);
		s0 += w[0];
	}
	w[0] = 0; /* an odd byte counts as if a zero followed */
	memcpy(w, p, len);
	return s0 + s1 + s2 + s3 + w[0];
}

/* The pseudo header of RFC 9293 section 3.1 and RFC 8200 section 8.1. */
static inline uint64_t tg_csum_pseudo(
	const struct tg_ip *src, const struct tg_ip *dst, uint8_t proto, uint32_t len)
{
	uint64_t sum = (uint64_t)htonl(len) + htonl(proto);

	if (tg_ip_is_v4(src))
		return sum + src->w[3] + dst->w[3];
	for (int i = 0; i < 4; i++)
		sum += (uint64_t)src->w[i] + dst->w[i];
	return sum;
}

/* len bytes from off on; the caller knows that the chain has them. rte_raw_cksum_mbuf() of 22.11
 * loses carries where a segment starts at an odd byte, so not that. */
static inline uint64_t tg_csum_mbuf(const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	uint64_t sum = 0;
	bool odd = false;

	while (off >= m->data_len && m->next) {
		off -= m->data_len;
		m = m->next;
	}
	for (; m && len; m = m->next, off = 0) {
		uint32_t part = RTE_MIN(len, (uint32_t)m->data_len - off);
		uint16_t s =
			tg_csum_fold(tg_csum_raw(rte_pktmbuf_mtod_offset(m, uint8_t *, off), part));

		sum += odd ? __builtin_bswap16(s) : s;
		odd ^= part & 1;
		len -= part;
	}
	return sum;
}

/* What to store in the checksum field (which must be zero, or not counted) for a sum. */
static inline uint16_t tg_csum_of(uint64_t sum)
{
	return (uint16_t)~tg_csum_fold(sum);
}

#endif
