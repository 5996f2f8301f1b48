#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cfg.h"

static const struct cfg_line whole_file = {0, 1};

static void add(struct cfg *c, struct cfg_line at, uint32_t line, const char *fmt, va_list ap)
{
	char text[512];

	if (c->n_errors == c->cap_errors) {
		uint32_t cap = c->cap_errors ? c->cap_errors * 2 : 16;
		struct cfg_error *p = realloc(c->errors, cap * sizeof(*p));

		if (!p) {
			c->no_memory = true;
			return;
		}
		c->errors = p;
		c->cap_errors = cap;
	}
	vsnprintf(text, sizeof(text), fmt, ap);
	/* One error, one line, whatever strings of the file are quoted in it. */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	c->errors[c->n_errors] =
		(struct cfg_error){at, line, c->n_errors, cfg_strndup(&c->tmp, text, strlen(text))};
	if (c->errors[c->n_errors].text)
		c->n_errors++;
	else
		c->no_memory = true;
}

void cfg_error(struct cfg *c, uint32_t line, const char *fmt, ...)
{
	struct cfg_line at = whole_file;
	va_list ap;

	if (line >= 1 && line <= c->text.n_lines)
		at = c->text.lines[line - 1];
	va_start(ap, fmt);
	add(c, at, line, fmt, ap);
	va_end(ap);
}

void cfg_error_at(struct cfg *c, struct cfg_line at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(c, at, c->text.n_lines, fmt, ap);
	va_end(ap);
}

void *cfg_need(struct cfg *c, struct cfg_mem *m, size_t n)
{
	void *p = cfg_alloc(m, n);

	if (!p)
		c->no_memory = true;
	return p;
}

static int by_line(const void *x, const void *y)
{
	const struct cfg_error *a = x, *b = y;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

void cfg_print_errors(struct cfg *c, FILE *err)
{
	if (c->n_errors)
		qsort(c->errors, c->n_errors, sizeof(*c->errors), by_line);
	for (uint32_t i = 0; i < c->n_errors; i++)
		fprintf(err, "%s:%u: %s\n",
			c->text.n_files ? c->text.files[c->errors[i].at.file] : "?",
			c->errors[i].at.line, c->errors[i].text);
	if (c->no_memory)
		fprintf(err, "%s:1: not enough memory for this configuration\n",
			c->text.n_files ? c->text.files[0] : "?");
}

const char *cfg_line_text(struct cfg *c, uint32_t line, uint32_t from)
{
	struct cfg_line at = whole_file, here = whole_file;
	const char *text;

	if (line >= 1 && line <= c->text.n_lines)
		at = c->text.lines[line - 1];
	if (from >= 1 && from <= c->text.n_lines)
		here = c->text.lines[from - 1];
	if (strcmp(c->text.files[at.file], c->text.files[here.file]) == 0)
		text = cfg_printf(&c->tmp, "line %u", at.line);
	else
		text = cfg_printf(&c->tmp, "%s:%u", c->text.files[at.file], at.line);
	return text ? text : "another line";
}
