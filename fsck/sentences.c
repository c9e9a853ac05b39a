/* SPDX-License-Identifier: BSD-3-Clause */
#include "fsck/sentences.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsck/state.h"
#include "fsck/room.h"

static bool make_room(struct fsck_sentences *l)
{
	struct fsck_sentence *s = fsck_room(l->s, l->nr, &l->room, sizeof(*s));

	if (!s)
		return false;
	l->s = s;
	return true;
}

static void tell(const struct fsck *f, const struct fsck_sentence *s, bool fixed)
{
	if (f->opt->say)
		f->opt->say(f->opt->arg, s->text, fixed);
}

const char *fsck_name_show(const uint8_t *name, size_t len, char out[FSCK_NAME_ROOM])
{
	char *to = out;

	for (size_t i = 0; i < len && i < FSCK_NAME_MAX; i++)
		if (name[i] >= ' ' && name[i] != '\\' && name[i] != 0x7f)
			*to++ = (char)name[i];
		else
			to += sprintf(to, "\\%03o", name[i]);
	strcpy(to, len > FSCK_NAME_MAX ? "..." : "");
	return out;
}

void fsck_problem(struct fsck *f, bool preen, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0) {
		fsck_fail(f, -ENOMEM);
		return;
	}
	pthread_mutex_lock(&f->say_lock);
	if (make_room(&f->now)) {
		f->now.s[f->now.nr++] = (struct fsck_sentence){ text, f->pass, preen };
		f->nr_unsafe += !preen;
		/* the question follows at once */
		if (f->starting && f->opt->mode == DDFS_FSCK_ASK)
			tell(f, &f->now.s[f->now.nr - 1], false);
	} else {
		free(text);
		fsck_fail(f, -ENOMEM);
	}
	pthread_mutex_unlock(&f->say_lock);
}

/* By pass, and in it by the numbers that they name: which thread was first says nothing. */
static int compare(const void *a, const void *b)
{
	const struct fsck_sentence *x = a, *y = b;

	if (x->pass != y->pass)
		return x->pass < y->pass ? -1 : 1;
	return strverscmp(x->text, y->text);
}

static void sort(struct fsck_sentences *l)
{
	if (l->nr > 1)
		qsort(l->s, l->nr, sizeof(*l->s), compare);
}

static void tell_fixed(struct fsck *f, const struct fsck_sentence *s)
{
	f->out->nr_fixed++;
	f->out->nr_problems++;
	if (f->opt->mode != DDFS_FSCK_ASK)
		tell(f, s, true);
}

static void drop_behind(struct fsck_sentences *l, size_t nr)
{
	while (l->nr > nr)
		free(l->s[--l->nr].text);
}

void fsck_sentences_forget(struct fsck *f, size_t nr)
{
	for (size_t i = nr; i < f->now.nr; i++)
		f->nr_unsafe -= !f->now.s[i].preen;
	drop_behind(&f->now, nr);
}

/* With ASK a refusal may have been about any of them. */
static bool is_left(const struct fsck *f, const struct fsck_sentence *s)
{
	if (f->opt->mode == DDFS_FSCK_ASK)
		return f->asked != f->granted;
	return f->opt->mode == DDFS_FSCK_PREEN && !s->preen;
}

void fsck_sentences_started(struct fsck *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->now.nr; i++) {
		if (is_left(f, &f->now.s[i]))
			free(f->now.s[i].text);
		else
			f->now.s[kept++] = f->now.s[i];
	}
	f->now.nr = kept;
	f->starting = false;
	fsck_sentences_next(f);
}

void fsck_sentences_settle(struct fsck *f)
{
	const struct fsck_sentence *now, *before;
	size_t i = 0, j = 0;

	sort(&f->now);
	while (i < f->now.nr || j < f->before.nr) {
		int order;

		now = i < f->now.nr ? &f->now.s[i] : NULL;
		before = j < f->before.nr ? &f->before.s[j] : NULL;
		order = !now ? 1 : !before ? -1 : compare(now, before);
		if (order > 0)
			tell_fixed(f, before);
		else if (order < 0 && f->opt->mode == DDFS_FSCK_ASK)
			tell(f, now, false);
		i += order <= 0;
		j += order >= 0;
	}
}

void fsck_sentences_next(struct fsck *f)
{
	struct fsck_sentences before = f->before;

	drop_behind(&before, 0);
	sort(&f->now);
	f->before = f->now;
	f->now = before;
	f->nr_unsafe = 0;
}

void fsck_sentences_leave(struct fsck *f)
{
	sort(&f->now);
	for (size_t i = 0; i < f->now.nr && f->opt->mode != DDFS_FSCK_ASK; i++)
		tell(f, &f->now.s[i], false);
	f->out->nr_left += f->now.nr;
	f->out->nr_problems += f->now.nr;
	drop_behind(&f->now, 0);
}

void fsck_sentences_fini(struct fsck *f)
{
	drop_behind(&f->now, 0);
	drop_behind(&f->before, 0);
	free(f->now.s);
	free(f->before.s);
}
