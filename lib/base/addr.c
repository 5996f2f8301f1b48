#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include <tidegate/addr.h>
#include <tidegate/view.h>

bool tg_ip_is_multicast(const struct tg_ip *a)
{
	return tg_ip_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

bool tg_ip_is_any(const struct tg_ip *a)
{
	static const struct tg_ip any6;

	return tg_ip_is_v4(a) ? a->w[3] == 0 : tg_ip_eq(a, &any6);
}

bool tg_ip_is_linklocal(const struct tg_ip *a)
{
	if (tg_ip_is_v4(a))
		return a->b[12] == 169 && a->b[13] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

bool tg_ip_in(const struct tg_ip *a, const struct tg_ip_prefix *net)
{
	uint32_t whole = net->len / 8, rest = net->len % 8;

	if (memcmp(a->b, net->ip.b, whole) != 0)
		return false;
	return !rest || ((a->b[whole] ^ net->ip.b[whole]) & (0xff00u >> rest) & 0xff) == 0;
}

struct tg_ip tg_ip_masked(const struct tg_ip *a, uint32_t bits)
{
	struct tg_ip out = {.b = {0}};

	memcpy(out.b, a->b, bits / 8);
	if (bits % 8)
		out.b[bits / 8] = (uint8_t)(a->b[bits / 8] & 0xff00u >> bits % 8);
	return out;
}

int tg_ip_parse(const char *s, struct tg_ip *out)
{
	uint32_t be;

	if (inet_pton(AF_INET, s, &be) == 1) {
		*out = tg_ip_v4(be);
		return 0;
	}
	if (inet_pton(AF_INET6, s, out->b) != 1)
		return TG_EINVAL;
	/* One address, one shape: the mapped form is how we hold IPv4 inside. */
	return tg_ip_is_v4(out) ? TG_EINVAL : 0;
}

/* A decimal number without sign, spaces or leading zeros. */
static int parse_number(const char *s, uint32_t max, uint32_t *out)
{
	char *end;
	unsigned long v;

	if (*s < '0' || *s > '9' || (s[0] == '0' && s[1]) || strlen(s) > 5)
		return TG_EINVAL;
	v = strtoul(s, &end, 10);
	if (*end)
		return TG_EINVAL;
	if (v > max)
		return TG_ERANGE;
	*out = (uint32_t)v;
	return 0;
}

/* Copies what stands before the last `sep` to head; returns what is behind it, or NULL. */
static const char *split(const char *s, char sep, char *head, size_t cap)
{
	const char *at = strrchr(s, sep);
	size_t n;

	if (!at)
		return NULL;
	n = (size_t)(at - s);
	if (n >= cap)
		return NULL;
	memcpy(head, s, n);
	head[n] = 0;
	return at + 1;
}

int tg_ip_prefix_parse(const char *s, struct tg_ip_prefix *out)
{
	char head[TG_ADDR_TEXT];
	const char *len_text = split(s, '/', head, sizeof(head));
	uint32_t len = 0;
	bool v4;
	int rc = tg_ip_parse(len_text ? head : s, &out->ip);

	if (rc)
		return rc;
	v4 = tg_ip_is_v4(&out->ip);
	out->len = 128;
	if (!len_text)
		return 0;
	rc = parse_number(len_text, v4 ? 32 : 128, &len);
	if (rc)
		return rc;
	out->len = (uint8_t)(v4 ? 96 + len : len);
	return 0;
}

int tg_sockaddr_parse(const char *s, struct tg_sockaddr *out)
{
	char head[TG_ADDR_TEXT];
	const char *port_text = split(s, ':', head, sizeof(head));
	size_t n;
	uint32_t port = 0;
	int rc;

	if (!port_text)
		return TG_EINVAL;
	n = strlen(head);
	if (head[0] == '[' && n > 2 && head[n - 1] == ']') {
		head[n - 1] = 0;
		rc = tg_ip_parse(head + 1, &out->ip);
		if (!rc && tg_ip_is_v4(&out->ip))
			rc = TG_EINVAL;
	} else {
		rc = tg_ip_parse(head, &out->ip);
		if (!rc && !tg_ip_is_v4(&out->ip)) /* fd00::1:80 could mean two things */
			rc = TG_EINVAL;
	}
	if (!rc)
		rc = parse_number(port_text, 65535, &port);
	if (!rc && port == 0)
		rc = TG_ERANGE;
	out->port = (uint16_t)port;
	return rc;
}

char *tg_ip_format(const struct tg_ip *a, char buf[static TG_ADDR_TEXT])
{
	if (tg_ip_is_v4(a))
		inet_ntop(AF_INET, &a->w[3], buf, TG_ADDR_TEXT);
	else
		inet_ntop(AF_INET6, a->b, buf, TG_ADDR_TEXT);
	return buf;
}

char *tg_sockaddr_format(const struct tg_sockaddr *a, char buf[static TG_ADDR_TEXT])
{
	char ip[TG_ADDR_TEXT];

	tg_ip_format(&a->ip, ip);
	snprintf(buf, TG_ADDR_TEXT, tg_ip_is_v4(&a->ip) ? "%.46s:%u" : "[%.46s]:%u", ip, a->port);
	return buf;
}
