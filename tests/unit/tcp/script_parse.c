#include <stdlib.h>
#include <string.h>

#include "script_parse.h"

const char *script_skip(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

bool script_word(const char **p, const char *w)
{
	size_t n = strlen(w);

	*p = script_skip(*p);
	if (strncmp(*p, w, n) ||
		(strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", (*p)[n]) &&
			(*p)[n]))
		return false;
	*p += n;
	return true;
}

uint32_t script_number(const char **p)
{
	char *end;
	long long v;

	*p = script_skip(*p);
	v = strtoll(*p, &end, 0);
	if (end == *p)
		script_fail("a number is missing at \"%.20s\"", *p);
	*p = end;
	return (uint32_t)v;
}

static void parse_ts(const char **p, struct line_opt *l)
{
	l->o.has |= TG_OPT_TS;
	if (script_word(p, "val")) {
		*p = script_skip(*p);
		if (**p == '*') {
			l->any_val = true;
			(*p)++;
		} else {
			l->o.tsval = script_number(p);
		}
	}
	if (script_word(p, "ecr")) {
		*p = script_skip(*p);
		if (**p == '*') {
			l->any_ecr = true;
			(*p)++;
		} else {
			l->o.tsecr = script_number(p);
		}
	}
}

static void parse_hex(const char **p, struct line_opt *l)
{
	unsigned int b;

	*p = script_skip(*p);
	while (sscanf(*p, "%2x", &b) == 1 && l->n_raw < 40) {
		l->raw[l->n_raw++] = (uint8_t)b;
		*p += 2;
	}
}

static void parse_opts(const char **p, struct line_opt *l)
{
	l->given = true;
	while (**p && **p != '>' && !script_failed()) {
		if (script_word(p, "mss")) {
			l->o.has |= TG_OPT_MSS;
			l->o.mss = (uint16_t)script_number(p);
		} else if (script_word(p, "wscale")) {
			l->o.has |= TG_OPT_WSCALE;
			l->o.wscale = (uint8_t)script_number(p);
		} else if (script_word(p, "sackOK")) {
			l->o.has |= TG_OPT_SACK_OK;
		} else if (script_word(p, "TS")) {
			parse_ts(p, l);
		} else if (script_word(p, "sack")) {
			l->o.has |= TG_OPT_SACK;
			for (*p = script_skip(*p);
				((**p >= '0' && **p <= '9') || **p == '-') && l->o.n_sack < 4;
				*p = script_skip(*p)) {
				l->o.sack[l->o.n_sack].start = script_number(p);
				(*p)++;
				l->o.sack[l->o.n_sack++].end = script_number(p);
			}
		} else if (script_word(p, "raw")) {
			parse_hex(p, l);
		} else if (!script_word(p, "nop") && !script_word(p, "eol")) {
			script_fail("option at \"%.20s\"", *p);
		}
		*p = script_skip(*p);
		if (**p == ',')
			(*p)++;
	}
	if (**p == '>')
		(*p)++;
}

void script_seg(const char *p, struct line_seg *s)
{
	static const char letters[] = "FSRP.UEW";

	memset(s, 0, sizeof(*s));
	for (p = script_skip(p); *p && *p != ' '; p++) {
		const char *f = strchr(letters, *p);

		if (*p == '-')
			continue;
		if (!f)
			script_fail("flag '%c'", *p);
		else
			s->flags |= (uint8_t)(1u << (f - letters));
	}
	s->seq = script_number(&p);
	if (*p++ != ':')
		script_fail("seq:end(len)");
	s->end = script_number(&p);
	if (*p++ != '(')
		script_fail("seq:end(len)");
	s->len = script_number(&p);
	p++;
	while (*(p = script_skip(p)) && !script_failed()) {
		if (script_word(&p, "ack")) {
			s->has_ack = true;
			s->ack = script_number(&p);
		} else if (script_word(&p, "win")) {
			s->has_win = true;
			s->win = script_number(&p);
		} else if (script_word(&p, "urg")) {
			s->urg = script_number(&p);
		} else if (script_word(&p, "ce")) {
			s->ce = true;
		} else if (script_word(&p, "ect0")) {
			s->ect = true;
		} else if (script_word(&p, "notect")) {
			s->notect = true;
		} else if (script_word(&p, "nosack")) {
			s->opt.nosack = true;
		} else if (*p == '<') {
			p++;
			parse_opts(&p, &s->opt);
		} else {
			script_fail("what is \"%.20s\"?", p);
		}
	}
}
