#include "janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xdp.h"

#define CHORES_MAX 64

struct tg_janitor {
	pid_t pid;
	int fd; /* write end */
};

struct chore {
	uint32_t kind;
	char what[PATH_MAX];
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	remove(path);
	return 0;
}

void tg_janitor_remove_dir(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void remove_files(const char *pattern)
{
	glob_t g;

	if (glob(pattern, GLOB_NOSORT, NULL, &g) == 0)
		for (size_t i = 0; i < g.gl_pathc; i++)
			unlink(g.gl_pathv[i]);
	globfree(&g);
}

/* Not another instance's that has taken the place meanwhile. */
static void remove_inode(const char *what)
{
	unsigned long long dev, ino;
	struct stat st;
	int at = 0;

	if (sscanf(what, "%llu %llu %n", &dev, &ino, &at) == 2 && at &&
		lstat(what + at, &st) == 0 && st.st_dev == dev && st.st_ino == ino)
		unlink(what + at);
}

static void detach_xdp(const char *what)
{
	unsigned int ifindex, id;

	if (sscanf(what, "%u %u", &ifindex, &id) == 2 && id && tg_xdp_program(ifindex) == id)
		tg_xdp_detach(ifindex);
}

static void end_promiscuous(const char *what)
{
	struct ifreq r = {0};
	unsigned int ifindex;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (sscanf(what, "%u", &ifindex) == 1 && if_indextoname(ifindex, r.ifr_name) &&
		ioctl(fd, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_PROMISC)) {
		r.ifr_flags = (short)(r.ifr_flags & ~IFF_PROMISC);
		ioctl(fd, SIOCSIFFLAGS, &r);
	}
	close(fd);
}

static void do_chore(const struct chore *c)
{
	switch (c->kind) {
	case TG_CHORE_DIR:
		tg_janitor_remove_dir(c->what);
		break;
	case TG_CHORE_EMPTY_DIR:
		rmdir(c->what);
		break;
	case TG_CHORE_FILES:
		remove_files(c->what);
		break;
	case TG_CHORE_INODE:
		remove_inode(c->what);
		break;
	case TG_CHORE_XDP:
		detach_xdp(c->what);
		break;
	case TG_CHORE_PROMISC:
		end_promiscuous(c->what);
		break;
	}
}

static bool read_all(int fd, void *buf, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = read(fd, (char *)buf + done, n - done);

		if (r <= 0 && !(r < 0 && errno == EINTR))
			return false;
		done += r > 0 ? (size_t)r : 0;
	}
	return true;
}

/* Files last: DPDK's folders may be needed until everything is detached. */
static void janitor(int fd)
{
	struct chore *chores = calloc(CHORES_MAX, sizeof(*chores));
	int n = 0;

	prctl(PR_SET_NAME, "tidegate-clean");
	while (chores && n < CHORES_MAX && read_all(fd, &chores[n], sizeof(*chores)))
		n++;
	for (int i = n - 1; i >= 0; i--)
		if (chores[i].kind == TG_CHORE_XDP)
			do_chore(&chores[i]);
	for (int i = 0; i < n; i++)
		if (chores[i].kind != TG_CHORE_XDP)
			do_chore(&chores[i]);
	_exit(0);
}

struct tg_janitor *tg_janitor_start(struct tg_errbuf *e)
{
	struct tg_janitor *j = calloc(1, sizeof(*j));
	int fds[2];

	if (!j || pipe2(fds, O_CLOEXEC)) {
		tg_fail(e, TG_ESYS, "cannot make a pipe: %s", strerror(errno));
		free(j);
		return NULL;
	}
	j->fd = fds[1];
	j->pid = fork();
	if (j->pid == 0) {
		/* Signals are blocked already: what ends the parent must not end its janitor. A
		 * session of its own, so that the terminal does not either. */
		setsid();
		close(fds[1]);
		janitor(fds[0]);
	}
	close(fds[0]);
	if (j->pid < 0) {
		tg_fail(e, TG_ESYS, "cannot fork: %s", strerror(errno));
		close(fds[1]);
		free(j);
		return NULL;
	}
	return j;
}

void tg_janitor_tell(struct tg_janitor *j, enum tg_chore kind, const char *what)
{
	struct chore c = {.kind = kind};
	size_t done = 0;

	snprintf(c.what, sizeof(c.what), "%s", what);
	while (j && done < sizeof(c)) {
		ssize_t w = write(j->fd, (const char *)&c + done, sizeof(c) - done);

		if (w < 0 && errno != EINTR)
			return; /* it is gone: the next start sweeps */
		done += w > 0 ? (size_t)w : 0;
	}
}

void tg_janitor_stop(struct tg_janitor *j)
{
	if (!j)
		return;
	close(j->fd);
	while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(j);
}
