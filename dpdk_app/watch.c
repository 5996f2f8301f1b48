#include "watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel's own walk */
/* IN_MODIFY too: who waits for quiet sees that somebody still writes. */
#define EVENTS \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE | \
		IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)

struct entry {
	int wd;
	bool old;     /* of before tg_watch_begin() */
	bool writing; /* written to, not closed */
	char *name;
};

struct tg_watch {
	int fd;
	struct entry *entry;
	size_t n, room;
	char blind[PATH_MAX + 128]; /* empty: not */
};

struct tg_watch *tg_watch_open(void)
{
	struct tg_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		snprintf(w->blind, sizeof(w->blind), "inotify: %s", strerror(errno));
	return w;
}

void tg_watch_close(struct tg_watch *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	for (size_t i = 0; i < w->n; i++)
		free(w->entry[i].name);
	free(w->entry);
	free(w);
}

int tg_watch_fd(const struct tg_watch *w)
{
	return w->fd;
}

const char *tg_watch_blind(const struct tg_watch *w)
{
	return w->blind[0] ? w->blind : NULL;
}

/* --- what is watched ----------------------------------------------------------------------------
 */

static void note_blind(struct tg_watch *w, const char *dir, const char *why)
{
	if (!w->blind[0])
		snprintf(w->blind, sizeof(w->blind), "%s: %s", dir, why);
}

static bool grow(struct tg_watch *w)
{
	size_t room = w->room ? 2 * w->room : 16;
	struct entry *more;

	if (w->n < w->room)
		return true;
	more = realloc(w->entry, room * sizeof(*more));
	if (!more)
		return false;
	w->entry = more;
	w->room = room;
	return true;
}

static void watch_name(struct tg_watch *w, const char *dir, const char *name)
{
	int wd = inotify_add_watch(w->fd, dir, EVENTS);

	if (wd < 0) {
		note_blind(w, dir,
			errno == ENOSPC ? "the limit fs.inotify.max_user_watches is reached"
					: strerror(errno));
		return;
	}
	for (size_t i = 0; i < w->n; i++)
		if (w->entry[i].wd == wd && strcmp(w->entry[i].name, name) == 0) {
			w->entry[i].old = false;
			return;
		}
	if (grow(w) && (w->entry[w->n].name = strdup(name))) {
		w->entry[w->n].wd = wd;
		w->entry[w->n].writing = false;
		w->entry[w->n++].old = false;
	} else {
		note_blind(w, dir, "no memory left");
	}
}

/* A walk along a path, as the kernel would walk. */
struct walk {
	char dir[PATH_MAX];      /* where we are, without links; "" is the root */
	char rest[2 * PATH_MAX]; /* what is left of the path */
	char name[NAME_MAX + 1]; /* the next component */
};

static bool next_name(struct walk *k)
{
	char *from = k->rest + strspn(k->rest, "/");
	size_t n = strcspn(from, "/");

	if (n == 0 || n > NAME_MAX)
		return false;
	memcpy(k->name, from, n);
	k->name[n] = 0;
	memmove(k->rest, from + n, strlen(from + n) + 1);
	return true;
}

static void step_up(struct walk *k)
{
	char *slash = strrchr(k->dir, '/');

	if (slash)
		*slash = 0;
	else
		k->dir[0] = 0;
}

static bool step_into(struct walk *k)
{
	size_t n = strlen(k->dir), m = strlen(k->name);

	if (n + m + 2 > sizeof(k->dir))
		return false;
	k->dir[n] = '/';
	memcpy(k->dir + n + 1, k->name, m + 1);
	return true;
}

/* The link at dir/name goes before the rest. */
static bool follow(struct walk *k, const char *link)
{
	char to[PATH_MAX], rest[2 * PATH_MAX];
	ssize_t n = readlink(link, to, sizeof(to) - 1);

	if (n <= 0)
		return false;
	to[n] = 0;
	if (snprintf(rest, sizeof(rest), "%s%s", to, k->rest) >= (int)sizeof(rest))
		return false;
	strcpy(k->rest, rest);
	if (to[0] == '/')
		k->dir[0] = 0;
	return true;
}

static bool walk_from(struct walk *k, const char *path)
{
	k->dir[0] = 0;
	if (path[0] != '/') {
		if (!getcwd(k->dir, sizeof(k->dir)))
			return false;
		if (strcmp(k->dir, "/") == 0)
			k->dir[0] = 0;
	}
	return snprintf(k->rest, sizeof(k->rest), "%s", path) < (int)PATH_MAX;
}

static void walk(struct tg_watch *w, struct walk *k)
{
	char at[PATH_MAX + NAME_MAX + 2];
	int links = 0;

	while (next_name(k)) {
		bool last = k->rest[strspn(k->rest, "/")] == 0, there;
		struct stat st;

		if (strcmp(k->name, ".") == 0)
			continue;
		if (strcmp(k->name, "..") == 0) {
			step_up(k);
			continue;
		}
		snprintf(at, sizeof(at), "%s/%s", k->dir, k->name);
		there = lstat(at, &st) == 0;
		if (last || !there || S_ISLNK(st.st_mode))
			watch_name(w, k->dir[0] ? k->dir : "/", k->name);
		if (there && S_ISLNK(st.st_mode)) {
			if (++links > LINKS_MAX || !follow(k, at))
				return;
		} else if (last || !there || !step_into(k)) {
			return; /* where it is not there, its coming is seen */
		}
	}
}

void tg_watch_begin(struct tg_watch *w)
{
	if (w->fd < 0)
		return;
	w->blind[0] = 0;
	for (size_t i = 0; i < w->n; i++)
		w->entry[i].old = true;
}

void tg_watch_add(struct tg_watch *w, const char *path)
{
	struct walk *k = malloc(sizeof(*k));

	if (w->fd >= 0 && k && walk_from(k, path))
		walk(w, k);
	else if (w->fd >= 0)
		note_blind(w, path, "cannot be followed");
	free(k);
}

static bool is_used(const struct tg_watch *w, int wd)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->entry[i].wd == wd)
			return true;
	return false;
}

void tg_watch_end(struct tg_watch *w)
{
	for (size_t i = 0; i < w->n;) {
		int wd = w->entry[i].wd;

		if (!w->entry[i].old) {
			i++;
			continue;
		}
		free(w->entry[i].name);
		w->entry[i] = w->entry[--w->n];
		if (!is_used(w, wd))
			inotify_rm_watch(w->fd, wd); /* fails if the directory is gone */
	}
}

/* --- what happens -------------------------------------------------------------------------------
 */

static bool take(struct tg_watch *w, const struct inotify_event *e)
{
	bool matters = e->mask & IN_Q_OVERFLOW;

	for (size_t i = 0; i < w->n; i++) {
		struct entry *n = &w->entry[i];

		if (e->mask & IN_Q_OVERFLOW)
			n->writing = false; /* its end may be what was lost */
		if (n->wd != e->wd || (e->len && strcmp(n->name, e->name) != 0))
			continue;
		matters = true;
		if (e->mask & IN_MODIFY)
			n->writing = true;
		else if (e->mask & ~(uint32_t)IN_ATTRIB)
			n->writing = false;
	}
	return matters;
}

bool tg_watch_writing(const struct tg_watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->entry[i].writing)
			return true;
	return false;
}

bool tg_watch_changed(struct tg_watch *w)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool changed = false;
	ssize_t n;

	while (w->fd >= 0 && (n = read(w->fd, buf, sizeof(buf))) > 0)
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const struct inotify_event *)p;

			changed |= take(w, e);
			p += sizeof(*e) + e->len;
		}
	return changed;
}
