/* addr.h: IP addresses and flows, one shape for both families.
 *
 * An IPv4 address is held as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so that tables, hashes and
 * comparisons know one type. Bytes are in network order; ports in host order. No state.
 */
#ifndef TIDEGATE_ADDR_H
#define TIDEGATE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <tidegate/err.h>

struct tg_ip {
	union {
		uint8_t b[16];
		uint32_t w[4]; /* as in memory: network order */
	};
};

struct tg_ip_prefix {
	struct tg_ip ip; /* host bits are kept: "10.77.1.1/24" is an interface address */
	uint8_t len;     /* bits of the 16-byte form: /24 of IPv4 is 120 */
};

struct tg_sockaddr {
	struct tg_ip ip;
	uint16_t port; /* host order */
};

/* A connection seen from Tidegate. 36 bytes, no padding: hashed and compared as bytes. */
struct tg_flow {
	struct tg_ip local, remote;
	uint16_t lport, rport; /* host order */
};
_Static_assert(sizeof(struct tg_flow) == 36, "tg_flow is hashed as bytes: no padding");

/* Longest text: "[" 45 characters "]:65535" and the terminator. */
#define TG_ADDR_TEXT 56

static inline bool tg_ip_is_v4(const struct tg_ip *a)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(a->b, mapped, 12) == 0;
}

static inline bool tg_ip_eq(const struct tg_ip *a, const struct tg_ip *b)
{
	return memcmp(a->b, b->b, 16) == 0;
}

static inline bool tg_sockaddr_eq(const struct tg_sockaddr *a, const struct tg_sockaddr *b)
{
	return a->port == b->port && tg_ip_eq(&a->ip, &b->ip);
}

/* be32: as it stands in a packet. */
static inline struct tg_ip tg_ip_v4(uint32_t be32)
{
	struct tg_ip a = {.b = {[10] = 0xff, [11] = 0xff}};

	a.w[3] = be32;
	return a;
}

bool tg_ip_is_multicast(const struct tg_ip *a); /* 224/4, ff00::/8 */
bool tg_ip_is_any(const struct tg_ip *a);       /* 0.0.0.0 or :: */
bool tg_ip_is_linklocal(const struct tg_ip *a); /* 169.254/16, fe80::/10 */
bool tg_ip_in(const struct tg_ip *a, const struct tg_ip_prefix *net);
/* Its first bits, of the 16-byte form; 0 .. 128. The others are 0. */
struct tg_ip tg_ip_masked(const struct tg_ip *a, uint32_t bits);

/* "10.0.0.1", "fd00::1". TG_EINVAL. */
int tg_ip_parse(const char *s, struct tg_ip *out);
/* "10.0.0.1/24", "fd00::1/64"; without a length the whole address. TG_EINVAL, TG_ERANGE. */
int tg_ip_prefix_parse(const char *s, struct tg_ip_prefix *out);
/* "10.0.0.1:80", "[fd00::1]:80". Port 1..65535. TG_EINVAL, TG_ERANGE. */
int tg_sockaddr_parse(const char *s, struct tg_sockaddr *out);

/* Both return buf. */
char *tg_ip_format(const struct tg_ip *a, char buf[static TG_ADDR_TEXT]);
char *tg_sockaddr_format(const struct tg_sockaddr *a, char buf[static TG_ADDR_TEXT]);

#endif
