/* Where the agent listens, and how long to wait before it is asked again. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/un.h>

#include <tidegate/spiffe.h>

static int unix_endpoint(
	const char *uri, const char *path, struct tg_spiffe_endpoint *out, struct tg_errbuf *e)
{
	struct sockaddr_un *a = (struct sockaddr_un *)&out->addr;
	size_t n;

	/* "unix:///path" has an empty authority, "unix:/path" none: RFC 3986 section 3. */
	if (strncmp(path, "//", 2) == 0)
		path += 2;
	n = strlen(path);
	if (path[0] != '/' || n < 2)
		return tg_fail(e, TG_EINVAL, "\"%s\": write unix:///path/of/the/socket", uri);
	if (strpbrk(path, "?#%"))
		return tg_fail(e, TG_EINVAL, "\"%s\": only a path may be in it", uri);
	if (n >= sizeof(a->sun_path))
		return tg_fail(e, TG_EINVAL, "\"%s\": the path is longer than %zu bytes", uri,
			sizeof(a->sun_path) - 1);
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, path, n + 1);
	out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return 0;
}

static bool parse_port(const char *s, uint16_t *port)
{
	char *end;
	unsigned long v;

	if (s[0] < '1' || s[0] > '9')
		return false;
	v = strtoul(s, &end, 10);
	if (*end || v > 65535)
		return false;
	*port = htons((uint16_t)v);
	return true;
}

static bool tcp_address(const char *rest, struct tg_spiffe_endpoint *out)
{
	struct sockaddr_in *a4 = (struct sockaddr_in *)&out->addr;
	struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)&out->addr;
	const char *colon = strrchr(rest, ':');
	bool six = rest[0] == '[';
	char host[64];
	size_t n;

	if (!colon)
		return false;
	n = (size_t)(colon - rest);
	if (six && (n < 3 || rest[n - 1] != ']'))
		return false;
	rest += six;
	n -= six ? 2 : 0;
	if (n == 0 || n >= sizeof(host))
		return false;
	memcpy(host, rest, n);
	host[n] = 0;
	if (six) {
		a6->sin6_family = AF_INET6;
		out->len = sizeof(*a6);
		return inet_pton(AF_INET6, host, &a6->sin6_addr) == 1 &&
		       parse_port(colon + 1, &a6->sin6_port);
	}
	a4->sin_family = AF_INET;
	out->len = sizeof(*a4);
	return inet_pton(AF_INET, host, &a4->sin_addr) == 1 && parse_port(colon + 1, &a4->sin_port);
}

int tg_spiffe_endpoint(const char *uri, struct tg_spiffe_endpoint *out, struct tg_errbuf *e)
{
	memset(out, 0, sizeof(*out));
	if (strncmp(uri, "unix:", 5) == 0)
		return unix_endpoint(uri, uri + 5, out, e);
	if (strncmp(uri, "tcp://", 6) == 0) {
		if (tcp_address(uri + 6, out))
			return 0;
		return tg_fail(e, TG_EINVAL,
			"\"%s\": write tcp://ADDRESS:PORT, and nothing behind it", uri);
	}
	return tg_fail(e, TG_EINVAL,
		"\"%s\": write unix:///path/of/the/socket or tcp://ADDRESS:PORT", uri);
}

uint64_t tg_spiffe_retry_delay(uint32_t n, uint64_t random)
{
	uint64_t delay = 100000000u, most = 30000000000u; /* ns */

	for (uint32_t i = 0; i < n && delay < most; i++)
		delay *= 2;
	if (delay > most)
		delay = most;
	return delay / 2 + random % (delay / 2 + 1);
}
