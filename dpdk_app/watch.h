/* watch.h: tells when a file may have another content: by inotify on the directories.
 *
 * Control core only. What is watched is each directory on the way to a file in which a name is
 * looked up that matters: that of the file itself, and that of every symbolic link before it. So a
 * file that is written in place, one that is renamed over another, and a link that is swapped (as
 * Kubernetes swaps ..data) are all seen, and so is a directory that goes and comes back. Bounds: a
 * watch a directory, an entry a name. Not here: what the files hold, and when to read them.
 *
 * Where the kernel gives no watch (limits, permissions), the watch is blind: whoever asks must
 * compare the files by himself.
 */
#ifndef TG_APP_WATCH_H
#define TG_APP_WATCH_H

#include <stdbool.h>

struct tg_watch;

struct tg_watch *tg_watch_open(void); /* NULL: no memory */
void tg_watch_close(struct tg_watch *w);

/* To be polled for reading; -1: there is nothing to poll. */
int tg_watch_fd(const struct tg_watch *w);

/* What is watched from now on: begin, add for each path (relative ones from the working directory),
 * end. Names that are not there yet are watched too. Read the files after this, not before, and
 * call it again after each change, since links may lead elsewhere then. */
void tg_watch_begin(struct tg_watch *w);
void tg_watch_add(struct tg_watch *w, const char *path);
void tg_watch_end(struct tg_watch *w);

/* Takes what has happened; never waits. True: a name that matters was among it. */
bool tg_watch_changed(struct tg_watch *w);

/* True: somebody has written into a watched file and not closed it yet. */
bool tg_watch_writing(const struct tg_watch *w);

/* Why the last begin .. end left something unwatched; NULL: all is watched. */
const char *tg_watch_blind(const struct tg_watch *w);

#endif
