/* From files to one text. @include is done here and not by libconfig, which does not say in which
 * file an error is when it reads from memory, and ends the process when it is given a directory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cfg.h"

#define TEXT_MAX ((size_t)256 << 20) /* bytes, included files and all */
#define INCLUDE_DEPTH 10

struct input {
	const char *text;
	size_t n;
	uint32_t file, line; /* line: of what is looked at */
};

bool cfg_buf_put(struct cfg *c, struct cfg_buf *b, const char *p, size_t n)
{
	if (b->cap - b->n < n + 1) {
		size_t cap = (b->n + n + 1) * 2;
		char *q = realloc(b->p, cap);

		if (!q) {
			c->no_memory = true;
			return false;
		}
		b->p = q;
		b->cap = cap;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = 0;
	return true;
}

static bool add_file(struct cfg *c, const char *name, uint32_t *index)
{
	struct cfg_text *t = &c->text;

	if (t->n_files == t->cap_files) {
		uint32_t cap = t->cap_files ? t->cap_files * 2 : 4;
		const char **p = realloc(t->files, cap * sizeof(*p));

		if (!p)
			return !(c->no_memory = true);
		t->files = p;
		t->cap_files = cap;
	}
	t->files[t->n_files] = cfg_strndup(&c->tmp, name, strlen(name));
	if (!t->files[t->n_files])
		return !(c->no_memory = true);
	*index = t->n_files++;
	return true;
}

/* The next line of the source is this one of a file. */
static bool begin_line(struct cfg *c, const struct input *in)
{
	struct cfg_text *t = &c->text;

	if (t->n_lines == t->cap_lines) {
		uint32_t cap = t->cap_lines ? t->cap_lines * 2 : 256;
		struct cfg_line *p = realloc(t->lines, cap * sizeof(*p));

		if (!p)
			return !(c->no_memory = true);
		t->lines = p;
		t->cap_lines = cap;
	}
	t->lines[t->n_lines++] = (struct cfg_line){in->file, in->line};
	return true;
}

size_t cfg_skip(const char *s, size_t n, bool *closed)
{
	const char *end = NULL;

	*closed = true;
	if (s[0] == '"') {
		for (size_t i = 1; i < n; i++) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				return i + 1;
		}
		*closed = false;
		return n;
	}
	if (s[0] == '#' || (n > 1 && s[0] == '/' && s[1] == '/')) {
		end = memchr(s, '\n', n);
		return end ? (size_t)(end - s) : n;
	}
	if (n > 1 && s[0] == '/' && s[1] == '*') {
		end = n > 3 ? memmem(s + 2, n - 2, "*/", 2) : NULL;
		*closed = end != NULL;
		return end ? (size_t)(end + 2 - s) : n;
	}
	return 0;
}

static bool read_all(
	struct cfg *c, const char *path, uint32_t *file, struct cfg_buf *b, struct cfg_line from)
{
	char chunk[16384];
	size_t n;
	FILE *f = fopen(path, "rb");
	int bad;

	if (!f) {
		cfg_error_at(c, from, "cannot open %s: %s", path, strerror(errno));
		return false;
	}
	errno = 0;
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 && b->n <= TEXT_MAX)
		if (!cfg_buf_put(c, b, chunk, n))
			break;
	bad = ferror(f) ? errno : 0;
	fclose(f);
	if (bad)
		cfg_error_at(c, from, "cannot read %s: %s", path, strerror(bad));
	else if (!c->no_memory)
		return add_file(c, path, file) && cfg_buf_put(c, b, "", 0);
	return false;
}

/* Whether a line begins with @include, and where its file name is. */
static bool is_include(const char *s, size_t n, size_t *name, size_t *name_n, size_t *line_n)
{
	const char *eol = memchr(s, '\n', n);
	size_t i = 0;

	n = eol ? (size_t)(eol - s) : n;
	*line_n = n;
	while (i < n && (s[i] == ' ' || s[i] == '\t'))
		i++;
	if (n - i < 8 || memcmp(s + i, "@include", 8) != 0)
		return false;
	*name = *name_n = 0;
	for (i += 8; i < n && (s[i] == ' ' || s[i] == '\t'); i++)
		;
	if (i < n && s[i] == '"') {
		const char *end = memchr(s + i + 1, '"', n - i - 1);

		*name = i + 1;
		*name_n = end ? (size_t)(end - s) - i - 1 : 0;
		/* nothing but blanks or a comment may follow */
		for (i = end ? (size_t)(end - s) + 1 : n; i < n; i++) {
			if (s[i] == '#' || (s[i] == '/' && i + 1 < n && s[i + 1] == '/'))
				break;
			if (!strchr(" \t\r;", s[i]))
				*name_n = 0;
		}
	}
	return true;
}

static bool expand(struct cfg *c, struct input in, int depth);

static bool include(struct cfg *c, const struct input *in, const char *name, size_t n, int depth)
{
	struct cfg_line here = {in->file, in->line};
	struct cfg_buf b = {0};
	struct input inner = {.line = 1};
	const char *path;
	bool ok = false;

	if (c->no_include) {
		cfg_error_at(c, here, "@include works only in files");
		return false;
	}
	if (n == 0) {
		cfg_error_at(c, here, "@include wants a line of its own: @include \"file.cfg\"");
		return false;
	}
	if (depth >= INCLUDE_DEPTH) {
		cfg_error_at(c, here, "@include more than %d deep: does a file include itself?",
			INCLUDE_DEPTH);
		return false;
	}
	path = cfg_printf(&c->tmp, "%s%.*s", name[0] == '/' ? "" : c->dir, (int)n, name);
	if (!path)
		c->no_memory = true;
	else if (read_all(c, path, &inner.file, &b, here)) {
		inner.text = b.p;
		inner.n = b.n;
		ok = expand(c, inner, depth + 1);
	}
	free(b.p);
	return ok;
}

/* Copies n bytes that lie in one or more lines. */
static bool copy(struct cfg *c, struct input *in, size_t *at, size_t n, bool *line_start)
{
	const char *s = in->text + *at, *end = s + n;

	while (s < end) {
		const char *eol = memchr(s, '\n', (size_t)(end - s));
		size_t part = (size_t)((eol ? eol + 1 : end) - s);

		if (*line_start && !begin_line(c, in))
			return false;
		if (!cfg_buf_put(c, &c->text.source, s, part))
			return false;
		*line_start = eol != NULL;
		in->line += eol != NULL;
		s += part;
	}
	*at += n;
	return true;
}

/* Bytes up to the next thing that could be a comment, a string or the end of a line. */
static size_t plain_run(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i] != '"' && s[i] != '#' && s[i] != '/' && s[i] != '\n')
		i++;
	return i < n ? i + (s[i] == '\n' || i == 0) : n;
}

static bool acceptable(struct cfg *c, const struct input *in)
{
	const char *nul = memchr(in->text, 0, in->n);
	uint32_t line = 1;

	if (c->text.source.n + in->n > TEXT_MAX) {
		cfg_error_at(c, (struct cfg_line){in->file, 1},
			"the configuration is larger than %zu MiB", TEXT_MAX >> 20);
		return false;
	}
	for (const char *p = in->text; nul && p < nul; p++)
		line += *p == '\n';
	if (nul)
		cfg_error_at(
			c, (struct cfg_line){in->file, line}, "NUL byte: this is not a text file");
	return !nul;
}

static bool expand(struct cfg *c, struct input in, int depth)
{
	bool line_start = true, closed;
	size_t at = 0;

	if (!acceptable(c, &in))
		return false;
	while (at < in.n) {
		size_t left = in.n - at, n, name, name_n;
		const char *s = in.text + at;

		if (line_start && is_include(s, left, &name, &name_n, &n)) {
			if (!include(c, &in, s + name, name_n, depth))
				return false;
			at += n < left ? n + 1 : n;
			in.line++;
			continue;
		}
		n = cfg_skip(s, left, &closed);
		if (!copy(c, &in, &at, n ? n : plain_run(s, left), &line_start))
			return false;
	}
	/* What follows an included file begins a line of its own. */
	return line_start || cfg_buf_put(c, &c->text.source, "\n", 1);
}

bool cfg_text_load(struct cfg *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct cfg_buf b = {0};
	struct input in = {.line = 1};
	bool ok;

	/* The file that an error of opening is told about. */
	c->dir = cfg_strndup(&c->tmp, path, slash ? (size_t)(slash - path) + 1 : 0);
	if (!c->dir)
		return !(c->no_memory = true);
	ok = read_all(c, path, &in.file, &b, (struct cfg_line){0, 1});
	if (!ok && !c->text.n_files)
		add_file(c, path, &in.file);
	if (ok) {
		in.text = b.p;
		in.n = b.n;
		ok = expand(c, in, 0) && cfg_buf_put(c, &c->text.source, "", 0);
	}
	free(b.p);
	return ok;
}

bool cfg_text_from(struct cfg *c, const char *name, const char *text)
{
	struct input in = {.line = 1, .text = text, .n = strlen(text)};

	c->no_include = true;
	c->dir = "";
	return add_file(c, name, &in.file) && expand(c, in, 0) &&
	       cfg_buf_put(c, &c->text.source, "", 0);
}

void cfg_text_free(struct cfg_text *t)
{
	free(t->source.p);
	free(t->lines);
	free(t->files);
	free(t->items);
}
