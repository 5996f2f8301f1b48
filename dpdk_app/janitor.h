/* janitor.h: whatever way the process ends, nothing of it stays.
 *
 * A child, forked before DPDK starts, that waits for its parent's end on a pipe and then removes
 * what it has been told: runtime folders, hugepage files, XDP programs. It keeps the privileges
 * that its parent drops, and does nothing else with them: it reads no other input. So SIGKILL, a
 * crash and a dropped user id leave an interface that works and no files.
 */
#ifndef TIDEGATE_APP_JANITOR_H
#define TIDEGATE_APP_JANITOR_H

#include <stdint.h>

#include <tidegate/err.h>

enum tg_chore {
	TG_CHORE_DIR,       /* path: a folder and what is in it */
	TG_CHORE_EMPTY_DIR, /* path: a folder, if it is empty */
	TG_CHORE_FILES,     /* path: files by pattern, in the last component only */
	TG_CHORE_INODE,     /* "device inode path": that file, if it is still that one */
	TG_CHORE_XDP,       /* "ifindex program-id": detach that program if it is still there */
	TG_CHORE_PROMISC,   /* "ifindex": out of promiscuous mode */
};

struct tg_janitor;

/* Call while there is one thread. NULL with text: no process or memory. */
struct tg_janitor *tg_janitor_start(struct tg_errbuf *e);
/* Chores are done in the order told. */
void tg_janitor_tell(struct tg_janitor *j, enum tg_chore chore, const char *what);
/* Tells it that the end has come, and waits until it is done. */
void tg_janitor_stop(struct tg_janitor *j);

/* Removes a folder with its files and folders; does not follow links. */
void tg_janitor_remove_dir(const char *path);

#endif
