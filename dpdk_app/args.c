#include "args.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tg_args_add(struct tg_args *a, const char *fmt, ...)
{
	va_list ap;

	if (a->n == TG_ARGS_MAX) {
		a->full = true;
		return;
	}
	va_start(ap, fmt);
	if (vasprintf(&a->v[a->n], fmt, ap) < 0) {
		a->v[a->n] = NULL;
		a->full = true;
	} else {
		a->n++;
	}
	va_end(ap);
}

void tg_args_split(struct tg_args *a, const char *text)
{
	char word[1024], quote = '\0';
	size_t n = 0;
	bool in = false;

	for (const char *p = text;; p++) {
		if (!*p || (!quote && isspace((unsigned char)*p))) {
			if (in)
				tg_args_add(a, "%.*s", (int)n, word);
			in = false;
			n = 0;
			if (!*p)
				return;
		} else if (quote ? *p == quote : (*p == '"' || *p == '\'')) {
			quote = quote ? '\0' : *p;
			in = true;
		} else {
			in = true;
			if (n < sizeof(word))
				word[n++] = *p;
			else
				a->full = true;
		}
	}
}

bool tg_args_have(const struct tg_args *a, const char *name)
{
	size_t n = strlen(name);

	for (int i = 0; i < a->n; i++)
		if (strncmp(a->v[i], name, n) == 0 &&
			(!a->v[i][n] || a->v[i][n] == '=' || name[1] != '-'))
			return true;
	return false;
}

void tg_args_free(struct tg_args *a)
{
	while (a->n > 0)
		free(a->v[--a->n]);
}
