#include "iface.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "janitor.h"
#include "xdp.h"

bool tg_device_arg(const char *device, const char *key, char *out, size_t cap)
{
	size_t n = strlen(key);

	for (const char *p = strchr(device, ','); p; p = strchr(p, ',')) {
		p++;
		if (strncmp(p, key, n) == 0) {
			snprintf(out, cap, "%.*s", (int)strcspn(p + n, ","), p + n);
			return true;
		}
	}
	return false;
}

static int flags_of(const char *name)
{
	struct ifreq r = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), flags = -1;

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0)
		flags = (unsigned short)r.ifr_flags;
	if (fd >= 0)
		close(fd);
	return flags;
}

int tg_iface_set_mtu(const struct tg_port *p)
{
	const char *d = p->conf->device;
	struct ifreq r = {0};
	char name[IF_NAMESIZE];
	int fd, rc = TG_ESYS;

	if ((!p->ifindex && strncmp(d, "net_tap", 7)) ||
		!tg_device_arg(d, "iface=", name, sizeof(name)) || !if_nametoindex(name))
		return TG_ENOENT;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return TG_ESYS;
	if (ioctl(fd, SIOCGIFMTU, &r) == 0 && r.ifr_mtu == p->mtu) {
		rc = 0;
	} else {
		r.ifr_mtu = p->mtu;
		rc = ioctl(fd, SIOCSIFMTU, &r) ? TG_ESYS : 0;
	}
	close(fd);
	return rc;
}

/* The frames of net_af_packet's ring have 2048 bytes unless told else, 80 of them the kernel's. */
static int check_frames(const struct tg_port *p, struct tg_errbuf *e)
{
	unsigned int size = 2048, need = p->conf->mtu + 18u + 80u;
	char arg[16];

	if (tg_device_arg(p->conf->device, "framesz=", arg, sizeof(arg)))
		sscanf(arg, "%u", &size);
	if (size >= need)
		return 0;
	/* Whole frames in a block, whole pages in it, and a frame within our buffer. */
	need = (need + 127) & ~127u;
	return tg_fail(e, TG_ERANGE,
		"port %s: frames of %u bytes do not hold mtu = %u; add to its device: "
		",framesz=%u,blocksz=%u,framecnt=512",
		p->conf->name, size, p->conf->mtu, need, need * 32);
}

/* An AF_XDP socket takes packets of one queue only; the others' go to the kernel. */
static void check_queues(const struct tg_port *p, const char *iface)
{
	char path[128], arg[16];
	unsigned int have = 0, take = 1, first = 0;

	if (tg_device_arg(p->conf->device, "queue_count=", arg, sizeof(arg)))
		sscanf(arg, "%u", &take);
	if (tg_device_arg(p->conf->device, "start_queue=", arg, sizeof(arg)))
		sscanf(arg, "%u", &first);
	do
		snprintf(path, sizeof(path), "/sys/class/net/%s/queues/rx-%u", iface, have);
	while (access(path, F_OK) == 0 && ++have);
	if (have > take && first == 0)
		tg_say(TG_WARN,
			"port %s: interface %s has %u receive queues and Tidegate takes %u: "
			"packets of "
			"the others are lost to it; to change it: ethtool -L %s combined %u",
			p->conf->name, iface, have, take, iface, take);
	else if (have && first + take > have)
		tg_say(TG_WARN, "port %s: interface %s has %u receive queues only", p->conf->name,
			iface, have);
}

/* Several ports of ours may share an interface (start_queue=): the program is our own then. */
static int check_xdp(
	const struct tg_app *app, struct tg_port *p, const char *iface, struct tg_errbuf *e)
{
	p->xdp_before = tg_xdp_program(p->ifindex);
	if (!p->xdp_before)
		return 0;
	for (const struct tg_port *other = app->ports; other < p; other++)
		if (other->ifindex == p->ifindex)
			return 0;
	return tg_fail(e, TG_EEXIST,
		"port %s: interface %s has an XDP program (id %u): another process uses it; if "
		"none "
		"does, take it off: ip link set %s xdp off",
		p->conf->name, iface, p->xdp_before, iface);
}

int tg_iface_check(const struct tg_app *app, struct tg_port *p, struct tg_errbuf *e)
{
	const char *d = p->conf->device;
	bool xdp = strncmp(d, "net_af_xdp", 10) == 0;
	char name[64];
	int flags;

	if (!xdp && strncmp(d, "net_af_packet", 13))
		return 0;
	if (!tg_device_arg(d, "iface=", name, sizeof(name)))
		return tg_fail(e, TG_EINVAL,
			"port %s: device \"%s\" does not say which interface: add \",iface=NAME\"",
			p->conf->name, d);
	p->ifindex = strlen(name) < IF_NAMESIZE ? if_nametoindex(name) : 0;
	if (!p->ifindex)
		return tg_fail(e, TG_ENOENT,
			"port %s: there is no interface \"%s\" in this network namespace; \"ip "
			"link\" "
			"lists those that there are",
			p->conf->name, name);
	flags = flags_of(name);
	if (flags >= 0 && !(flags & IFF_UP))
		tg_say(TG_WARN, "port %s: interface %s is down; to bring it up: ip link set %s up",
			p->conf->name, name, name);
	p->was_promiscuous = flags >= 0 && flags & IFF_PROMISC;
	if (!xdp)
		return check_frames(p, e);
	check_queues(p, name);
	return check_xdp(app, p, name, e);
}

void tg_iface_tell_janitor(struct tg_app *app, const struct tg_port *p)
{
	uint32_t xdp = p->ifindex ? tg_xdp_program(p->ifindex) : 0;
	char what[64];

	if (xdp && xdp != p->xdp_before) {
		snprintf(what, sizeof(what), "%u %u", p->ifindex, xdp);
		tg_janitor_tell(app->janitor, TG_CHORE_XDP, what);
	}
	if (p->ifindex && p->promiscuous && !p->was_promiscuous) {
		snprintf(what, sizeof(what), "%u", p->ifindex);
		tg_janitor_tell(app->janitor, TG_CHORE_PROMISC, what);
	}
}
