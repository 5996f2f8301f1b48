/* cfg.h: one reading of a configuration, from text to snapshot. Private to lib/config.
 *
 *	text.c   files -> one text, @include expanded; which file and line each of its lines is
 *	scan.c   what libconfig would pass over in silence; then libconfig
 *	read.c   settings -> raw structures, by the tables of schema.c: shape, types, ranges,
 *defaults check_*  what needs more than one key: names, addresses, duplicates compile  raw
 *structures -> struct tg_snapshot
 *
 * Each step goes on after errors as far as the errors allow, so that all are told in one run; what
 * an error makes unknown is not complained about again.
 */
#ifndef TG_CONFIG_CFG_H
#define TG_CONFIG_CFG_H

#include <libconfig.h>
#include <tidegate/config.h>

#include "mem.h"

struct raw_config;

/* Expressions by hash, for all that is read from one text; zeroed at first. */
struct cfg_regex_table {
	struct cfg_regex **slots; /* malloc'ed */
	uint32_t n_slots, n;      /* a power of two, or 0; expressions */
};
struct cfg_regexes {
	struct cfg_regex_table all;
	struct cfg_regex_table rests; /* one for each tg_regex_rest() */
};

struct cfg_line {
	uint32_t file; /* index of files */
	uint32_t line; /* 1.. */
};

struct cfg_buf {
	char *p;
	size_t n, cap;
};

struct cfg_text {
	struct cfg_buf source;  /* terminated; @include expanded */
	struct cfg_line *lines; /* of the source's lines */
	uint32_t n_lines, cap_lines;
	const char **files;
	uint32_t n_files, cap_files;
	uint32_t *items; /* source line of each scalar in a list or array, in order */
	uint32_t n_items, cap_items;
};

struct cfg_error {
	struct cfg_line at;
	uint32_t line;  /* of the source: the order in which errors are printed */
	uint32_t order; /* among those of one line */
	const char *text;
};

struct cfg {
	struct cfg_text text;
	struct cfg_error *errors;
	uint32_t n_errors, cap_errors;
	bool no_memory;  /* something could not be allocated: the result is worthless */
	bool no_include; /* the text is not from a file */
	const char *dir; /* of the main file, with its slash, or "" */
	config_t lib;
	struct cfg_mem tmp;          /* until the end of the reading */
	struct cfg_mem *keep;        /* the snapshot's */
	struct cfg_regexes *regexes; /* the snapshot's */
	struct tg_quota **quota;     /* the snapshot's */
	bool has_rate_limit_service;
};

/* errors.c. line: of the expanded source, 0 = the file as a whole. */
void cfg_error(struct cfg *c, uint32_t line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void cfg_error_at(struct cfg *c, struct cfg_line at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* cfg_alloc() from tmp or keep that notes failure. */
void *cfg_need(struct cfg *c, struct cfg_mem *m, size_t n);
/* Prints what was collected, in the order of the text. */
void cfg_print_errors(struct cfg *c, FILE *err);
/* "line 7", or "other.cfg:7" if that is not the file of `from`. In tmp. */
const char *cfg_line_text(struct cfg *c, uint32_t line, uint32_t from);

/* text.c. False: an error was reported. */
bool cfg_text_load(struct cfg *c, const char *path);
bool cfg_text_from(struct cfg *c, const char *name, const char *text);
void cfg_text_free(struct cfg_text *t);
bool cfg_buf_put(struct cfg *c, struct cfg_buf *b, const char *p, size_t n);
/* Bytes of the comment or string that begins at s[0 .. n); 0: none does. *closed: it has an end. */
size_t cfg_skip(const char *s, size_t n, bool *closed);

/* scan.c: checks the source's tokens and gives it to libconfig. */
bool cfg_parse(struct cfg *c);
/* The source line of a setting. */
uint32_t cfg_line_of(const config_setting_t *s);

/* regexes.c. NULL: it is no expression, which was reported, or no memory. */
const struct tg_regex *cfg_regex(struct cfg *c, const char *pattern, enum tg_regex_use use,
	const char *who, const char *key, uint32_t line);
void cfg_regexes_free(struct cfg_regexes *all);

/* value.c: texts of values. 0, TG_EINVAL, TG_ERANGE (too large to be held). */
int cfg_parse_duration(const char *s, uint64_t *ns);
int cfg_parse_size(const char *s, uint64_t *bytes);
void cfg_format_duration(uint64_t ns, char out[static 32]);
void cfg_format_size(uint64_t bytes, char out[static 32]);

/* read.c */
void cfg_read(struct cfg *c, struct raw_config *raw);

/* check_net.c, check_http.c */
void cfg_check_net(struct cfg *c, struct raw_config *raw);
void cfg_check_http(struct cfg *c, struct raw_config *raw);

/* compile.c: only after a reading without errors. False: no memory. */
bool cfg_compile(struct cfg *c, const struct raw_config *raw, struct tg_snapshot *s);

#endif
