#include "hugepages.h"

#include <dirent.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SYS_DIR "/sys/kernel/mm/hugepages"

static uint64_t read_number(const char *dir, const char *file)
{
	char path[PATH_MAX];
	unsigned long long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), SYS_DIR "/%s/%s", dir, file);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%llu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

/* The last mount wins: an earlier one of the same place is hidden below it. */
static void find_mount(uint64_t page, char out[static PATH_MAX])
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;

	out[0] = '\0';
	while (f && (m = getmntent(f))) {
		struct statfs fs;

		if (strcmp(m->mnt_type, "hugetlbfs") == 0 && statfs(m->mnt_dir, &fs) == 0 &&
			(uint64_t)fs.f_bsize == page && access(m->mnt_dir, R_OK | W_OK) == 0)
			snprintf(out, PATH_MAX, "%s", m->mnt_dir);
	}
	if (f)
		endmntent(f);
}

static bool better(const struct tg_hugepages *a, const struct tg_hugepages *b)
{
	if (a->enough != b->enough)
		return a->enough;
	if (!a->mount[0] != !b->mount[0])
		return a->mount[0];
	/* Larger pages, if they do not waste much: the caller asked for far more than one. */
	return a->page > b->page && (a->enough || a->free_bytes > b->free_bytes);
}

void tg_hugepages_look(struct tg_hugepages *h, uint64_t need)
{
	DIR *dir = opendir(SYS_DIR);
	struct dirent *d;

	memset(h, 0, sizeof(*h));
	while (dir && (d = readdir(dir))) {
		struct tg_hugepages one = {0};
		unsigned long long kib;
		uint64_t pages, reserved;

		if (sscanf(d->d_name, "hugepages-%llukB", &kib) != 1)
			continue;
		pages = read_number(d->d_name, "free_hugepages");
		reserved = read_number(d->d_name, "resv_hugepages");
		one.page = kib << 10;
		one.free_bytes = pages > reserved ? (pages - reserved) * one.page : 0;
		/* A few pages more than asked for: EAL's heap grows in whole pages. */
		one.enough = one.free_bytes >= need + 4 * (one.page < (1 << 30) ? one.page : 0);
		find_mount(one.page, one.mount);
		if (!h->page || better(&one, h))
			*h = one;
	}
	if (dir)
		closedir(dir);
}
