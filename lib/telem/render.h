/* render.h: one rendering of the statistics under way. Private to lib/telem. */
#ifndef TG_TELEM_RENDER_H
#define TG_TELEM_RENDER_H

#include <regex.h>

#include <tidegate/stats.h>

struct tg_render {
	const struct tg_stats *s;
	const struct tg_stats_query *q;
	FILE *out;
	regex_t regex; /* if q->filter */
	uint32_t n;    /* JSON: values printed so far */
};

/* Whether filter and used_only let a value through. */
bool tg_render_wants(const struct tg_render *r, const struct tg_stat *v);
void tg_render_prometheus(struct tg_render *r);

#endif
