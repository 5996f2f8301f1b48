/* target.h: request targets and authorities (RFC 9112 section 3.2). Private to lib/http. */
#ifndef TIDEGATE_HTTP_TARGET_H
#define TIDEGATE_HTTP_TARGET_H

#include <tidegate/http1.h>

/* Sets scheme, authority, path and query from m->target and m->method. False: not a form that
 * this method may have. */
bool tg_target_split(struct tg_msg *m);
/* uri-host [ ":" port ], not empty, no userinfo. */
bool tg_authority_ok(struct tg_view v, bool need_port);

#endif
