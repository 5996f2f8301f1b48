/* args.h: an argument vector in the making, for rte_eal_init(). */
#ifndef TIDEGATE_APP_ARGS_H
#define TIDEGATE_APP_ARGS_H

#include <stdbool.h>

#define TG_ARGS_MAX 128

struct tg_args {
	int n;
	char *v[TG_ARGS_MAX + 1]; /* NULL after the last; freed by tg_args_free() */
	bool full;                /* something did not fit */
};

void tg_args_add(struct tg_args *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds the words of text, split at blanks; quotes group, as in a shell. */
void tg_args_split(struct tg_args *a, const char *text);
/* Whether option `name` ("--no-huge", "-m") is among them, with or without a value. */
bool tg_args_have(const struct tg_args *a, const char *name);
void tg_args_free(struct tg_args *a);

#endif
