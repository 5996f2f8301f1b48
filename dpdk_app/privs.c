/* privs.c: dataplane.user and core_dumps. Everything that needs root is open by now; what must be
 * undone as root is the janitor's. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "control.h"

static int become_user(struct tg_app *app, struct tg_errbuf *e)
{
	const char *user = app->boot->dataplane.user;
	const char *log = app->boot->admin.access_log;
	const struct passwd *pw;

	if (!user || !user[0])
		return 0;
	errno = 0;
	pw = getpwnam(user);
	if (!pw)
		return tg_fail(e, TG_ENOENT,
			"dataplane.user: there is no user \"%s\"; to make one: adduser --system "
			"--group %s",
			user, user);
	if (geteuid() == pw->pw_uid && getegid() == pw->pw_gid)
		return 0;
	/* Opened as root; the user must be able to open it again. */
	if (log && log[0] && strcmp(log, "-") && lchown(log, pw->pw_uid, pw->pw_gid))
		tg_say(TG_WARN, "cannot give %s to user \"%s\": %s; it cannot be opened anew later",
			log, user, strerror(errno));
	if (initgroups(user, pw->pw_gid) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) ||
		setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid))
		return tg_fail(e, TG_ESYS, "dataplane.user: cannot become \"%s\": %s%s", user,
			strerror(errno), geteuid() ? "; only root can" : "");
	if (pw->pw_uid && setuid(0) == 0)
		return tg_fail(e, TG_ESYS,
			"dataplane.user: the kernel lets \"%s\" become root "
			"again; not going on",
			user);
	if (access(app->config_path, R_OK))
		tg_say(TG_WARN,
			"user \"%s\" cannot read %s: a reload will fail; to allow it: chgrp "
			"%s and chmod g+r",
			user, app->config_path, user);
	return 0;
}

int tg_privileges_drop(struct tg_app *app, struct tg_errbuf *e)
{
	int rc = become_user(app, e);

	/* A change of user may have set it either way (proc(5), suid_dumpable). */
	if (prctl(PR_SET_DUMPABLE, (unsigned long)app->boot->dataplane.core_dumps))
		tg_say(TG_WARN, "dataplane.core_dumps: %s", strerror(errno));
	return rc;
}
