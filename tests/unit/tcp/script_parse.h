/* script_parse.h: the text of a packet script: words, numbers, segments. Private to script.c and
 * script_parse.c. */
#ifndef SCRIPT_PARSE_H
#define SCRIPT_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include <tidegate/net.h>

#include "opts.h"

struct line_opt {
	bool given, nosack, any_val, any_ecr;
	struct tg_opts o;
	uint8_t raw[40];
	uint32_t n_raw;
};

struct line_seg {
	uint8_t flags;
	uint32_t seq, end, len, ack, win, urg;
	bool has_ack, has_win, ce, ect, notect;
	struct line_opt opt;
};

const char *script_skip(const char *p); /* over blanks */
/* True, and *p behind it, if the next word is w. */
bool script_word(const char **p, const char *w);
uint32_t script_number(const char **p);
void script_seg(const char *p, struct line_seg *s);

/* script.c: the script has failed, with this reason for its reader. */
void script_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool script_failed(void);

#endif
