#include "xdp.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tidegate/err.h>

struct request {
	struct nlmsghdr h;
	struct ifinfomsg ifi;
	char attrs[64];
};

struct attached {
	uint32_t id;
	uint8_t mode; /* XDP_ATTACHED_* */
};

/* Sends q, returns the length of the answer in buf; negative: refused. */
static ssize_t ask(struct request *q, void *buf, size_t cap)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;

	if (fd < 0)
		return TG_ESYS;
	n = sendto(fd, q, q->h.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	if (n > 0)
		n = recv(fd, buf, cap, 0);
	close(fd);
	return n > 0 ? n : TG_ESYS;
}

static struct request request(uint16_t type, uint16_t flags, uint32_t ifindex)
{
	struct request q;

	memset(&q, 0, sizeof(q));
	q.h.nlmsg_len = NLMSG_LENGTH(sizeof(q.ifi));
	q.h.nlmsg_type = type;
	q.h.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	q.ifi.ifi_family = AF_UNSPEC;
	q.ifi.ifi_index = (int)ifindex;
	return q;
}

static const struct rtattr *find(const void *attrs, size_t len, uint16_t type)
{
	const struct rtattr *a = attrs;

	for (; RTA_OK(a, len); a = RTA_NEXT(a, len))
		if ((a->rta_type & NLA_TYPE_MASK) == type)
			return a;
	return NULL;
}

static struct attached look(uint32_t ifindex)
{
	struct request q = request(RTM_GETLINK, 0, ifindex);
	struct attached out = {0};
	union {
		struct nlmsghdr h;
		char bytes[32768];
	} r;
	const struct rtattr *xdp, *id, *mode;
	ssize_t n = ask(&q, &r, sizeof(r));

	if (n < 0 || !NLMSG_OK(&r.h, (size_t)n) || r.h.nlmsg_type != RTM_NEWLINK)
		return out;
	xdp = find(IFLA_RTA(NLMSG_DATA(&r.h)), IFLA_PAYLOAD(&r.h), IFLA_XDP);
	if (!xdp)
		return out;
	id = find(RTA_DATA(xdp), RTA_PAYLOAD(xdp), IFLA_XDP_PROG_ID);
	mode = find(RTA_DATA(xdp), RTA_PAYLOAD(xdp), IFLA_XDP_ATTACHED);
	if (id)
		memcpy(&out.id, RTA_DATA(id), sizeof(out.id));
	if (mode)
		memcpy(&out.mode, RTA_DATA(mode), sizeof(out.mode));
	return out;
}

uint32_t tg_xdp_program(uint32_t ifindex)
{
	return look(ifindex).id;
}

static void put(struct request *q, struct rtattr *nest, uint16_t type, const void *v, size_t n)
{
	struct rtattr *a = (struct rtattr *)((char *)nest + RTA_ALIGN(nest->rta_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(n);
	memcpy(RTA_DATA(a), v, n);
	nest->rta_len = (unsigned short)(RTA_ALIGN(nest->rta_len) + RTA_ALIGN(a->rta_len));
	q->h.nlmsg_len = (uint32_t)((char *)nest - (char *)q) + nest->rta_len;
}

int tg_xdp_detach(uint32_t ifindex)
{
	struct request q = request(RTM_SETLINK, NLM_F_ACK, ifindex);
	struct rtattr *nest = (struct rtattr *)((char *)&q + NLMSG_ALIGN(q.h.nlmsg_len));
	struct attached at = look(ifindex);
	uint32_t flags = at.mode == XDP_ATTACHED_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	int32_t none = -1;
	union {
		struct nlmsghdr h;
		char bytes[4096];
	} r;
	ssize_t n;

	nest->rta_type = IFLA_XDP | NLA_F_NESTED;
	nest->rta_len = RTA_LENGTH(0);
	put(&q, nest, IFLA_XDP_FD, &none, sizeof(none));
	put(&q, nest, IFLA_XDP_FLAGS, &flags, sizeof(flags));
	n = ask(&q, &r, sizeof(r));
	if (n < 0 || !NLMSG_OK(&r.h, (size_t)n) || r.h.nlmsg_type != NLMSG_ERROR)
		return TG_ESYS;
	return ((struct nlmsgerr *)NLMSG_DATA(&r.h))->error ? TG_ESYS : 0;
}
