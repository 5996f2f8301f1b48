#include <tidegate/steer.h>
#include <tidegate/view.h>

/*
 * The Toeplitz hash takes, for each set bit i of the input, the 32 key bits from i on. With a key
 * of one 16-bit pattern these are the pattern twice, rotated by i mod 16; so words of input at the
 * same place in 16 bits cancel each other, and the hash of the whole input is that of the
 * exclusive-or of its 16-bit words. This is also why both directions of a flow hash alike.
 */
#define PATTERN 0x6d5au

void tg_steer_init(struct tg_steer *s, uint32_t n_workers)
{
	s->n_workers = n_workers;
	for (uint32_t i = 0; i < TG_STEER_KEY_LEN; i += 2)
		tg_store_be16(&s->key[i], PATTERN);
	for (uint32_t i = 0; i < TG_STEER_RETA; i++)
		s->reta[i] = (uint8_t)(i % n_workers);
}

uint32_t tg_steer_hash(const struct tg_steer *s, const struct tg_flow *f)
{
	const struct tg_ip *l = &f->local, *r = &f->remote;
	uint32_t x = l->w[3] ^ r->w[3], h = 0;
	uint16_t word;

	(void)s;
	if (!tg_ip_is_v4(l))
		x ^= l->w[0] ^ l->w[1] ^ l->w[2] ^ r->w[0] ^ r->w[1] ^ r->w[2];
	word = __builtin_bswap16((uint16_t)(x ^ x >> 16)) ^ f->lport ^ f->rport;
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t bit = word >> (15 - i) & 1;

		h ^= (0u - bit) & (PATTERN << i | PATTERN >> (16 - i));
	}
	h &= 0xffff;
	return h << 16 | h;
}
