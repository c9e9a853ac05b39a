/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/crash/states.h"

#include <stdlib.h>
#include <string.h>

#include "tests/crash/seen.h"
#include "tests/unit/room.h"

/* A store's part of a line. */
struct crash_piece {
	uint64_t off; /* of the line */
	const struct crash_span *span;
};

void crash_cut_init(struct crash_cut *c)
{
	memset(c, 0, sizeof(*c));
}

void crash_cut_fini(struct crash_cut *c)
{
	free(c->lines);
	free(c->images);
	free(c->words);
	free(c->pieces);
}

/* ---- lines and their versions --------------------------------------------------------------- */

static void add_pieces(struct crash_cut *c, const struct crash_span *s)
{
	uint64_t off = s->off & ~(uint64_t)(CRASH_LINE - 1);

	for (; off < s->end; off += CRASH_LINE) {
		c->pieces = array_room(c->pieces, c->nr_pieces, &c->pieces_cap, sizeof(*c->pieces));
		c->pieces[c->nr_pieces++] = (struct crash_piece){ off, s };
	}
}

static int compare_pieces(const void *va, const void *vb)
{
	const struct crash_piece *a = va, *b = vb;

	if (a->off != b->off)
		return a->off < b->off ? -1 : 1;
	return a->span < b->span ? -1 : a->span > b->span;
}

static void add_image(struct crash_cut *c, const uint64_t words[CRASH_WORDS])
{
	c->images = array_room(c->images, c->nr_images, &c->images_cap, sizeof(*c->images));
	memcpy(c->images[c->nr_images++], words, CRASH_LINE);
}

/* The bytes of the store that lie in the line. */
static void lay_over(const struct crash_log *log, const struct crash_piece *p, uint8_t *line)
{
	const struct crash_span *s = p->span;
	uint64_t from = s->off > p->off ? s->off : p->off;
	uint64_t end = s->end;

	if (end > p->off + CRASH_LINE)
		end = p->off + CRASH_LINE;
	memcpy(line + (from - p->off), crash_span_bytes(log, s) + (from - s->off), end - from);
}

static uint64_t count_changes(const uint64_t a[CRASH_WORDS], const uint64_t b[CRASH_WORDS])
{
	uint64_t n = 0;

	for (unsigned int w = 0; w < CRASH_WORDS; w++)
		n += a[w] != b[w];
	return n;
}

/* The line that the first of nr pieces lies in; returns how many do. */
static size_t add_line(struct crash_cut *c, const struct crash_log *log,
	const struct crash_piece *p, size_t nr, const struct crash_memory *durable)
{
	struct crash_line line = { .off = p->off, .first = c->nr_images };
	uint64_t words[CRASH_WORDS];
	size_t i;

	memcpy(words, durable->media.base + p->off, CRASH_LINE);
	add_image(c, words);
	for (i = 0; i < nr && p[i].off == line.off; i++) {
		uint64_t before[CRASH_WORDS], changes;

		memcpy(before, words, CRASH_LINE);
		lay_over(log, &p[i], (uint8_t *)words);
		changes = count_changes(before, words);
		if (!changes)
			continue;
		c->nr_words += changes;
		add_image(c, words);
		line.nr++;
	}
	if (!line.nr) {
		c->nr_images = line.first;
		return i;
	}
	c->lines = array_room(c->lines, c->nr_lines, &c->lines_cap, sizeof(*c->lines));
	c->lines[c->nr_lines++] = line;
	return i;
}

static void build_lines(struct crash_cut *c, const struct crash_log *log,
	const struct crash_pending *pending, const struct crash_memory *durable)
{
	c->nr_lines = c->nr_images = c->nr_pieces = 0;
	c->nr_words = 0;
	for (size_t i = 0; i < pending->nr; i++)
		add_pieces(c, &pending->spans[i]);
	if (pending->nr > 1)
		qsort(c->pieces, c->nr_pieces, sizeof(*c->pieces), compare_pieces);
	for (size_t i = 0; i < c->nr_pieces;)
		i += add_line(c, log, c->pieces + i, c->nr_pieces - i, durable);
}

/* ---- counting ------------------------------------------------------------------------------- */

/* How many values the word has, and which version of the line the n-th of them is from. */
static uint32_t nr_values(const struct crash_cut *c, const struct crash_line *l, unsigned int w)
{
	uint32_t n = 1;

	for (uint32_t v = 1; v <= l->nr; v++)
		n += c->images[l->first + v][w] != c->images[l->first + v - 1][w];
	return n;
}

static uint64_t nth_value(
	const struct crash_cut *c, const struct crash_line *l, unsigned int w, uint64_t n)
{
	uint32_t v = 0;

	while (n) {
		v++;
		n -= c->images[l->first + v][w] != c->images[l->first + v - 1][w];
	}
	return c->images[l->first + v][w];
}

/* Products, or anything above max. */
static uint64_t nr_by_words(const struct crash_cut *c, uint64_t max)
{
	uint64_t n = 1;

	for (size_t i = 0; i < c->nr_lines && n <= max; i++)
		for (unsigned int w = 0; w < CRASH_WORDS; w++)
			n *= nr_values(c, &c->lines[i], w);
	return n;
}

static uint64_t nr_by_lines(const struct crash_cut *c, uint64_t max)
{
	uint64_t n = 1;

	for (size_t i = 0; i < c->nr_lines && n <= max; i++)
		n *= c->lines[i].nr + 1;
	return n;
}

static void count_prefixes(struct crash_cut *c, uint32_t budget)
{
	c->scheme = c->nr_words < budget ? CRASH_PREFIXES : CRASH_SOME_PREFIXES;
	c->nr_states = c->nr_words < budget ? c->nr_words + 1 : budget;
}

/* ---- words that are tried alone ------------------------------------------------------------- */

static bool changes(const struct crash_cut *c, const struct crash_line *l, unsigned int w)
{
	return c->images[l->first][w] != c->images[l->first + l->nr][w];
}

static void add_words(struct crash_cut *c, size_t line)
{
	for (unsigned int w = 0; w < CRASH_WORDS; w++) {
		if (!changes(c, &c->lines[line], w))
			continue;
		c->words = array_room(c->words, c->nr_tried, &c->words_cap, sizeof(*c->words));
		c->words[c->nr_tried++] = (struct crash_word){ line, w };
	}
}

/* Whether a store begins in the line and goes on behind it: what begins with a header. */
static bool is_head(const struct crash_cut *c, size_t line)
{
	uint64_t off = c->lines[line].off;

	for (size_t i = 0; i < c->nr_pieces; i++) {
		const struct crash_span *s = c->pieces[i].span;

		if (s->off >= off && s->off < off + CRASH_LINE && s->end > off + CRASH_LINE)
			return true;
	}
	return false;
}

/* Heads first, then any; at most max words, or a line more. */
static void choose_words(struct crash_cut *c, size_t max)
{
	c->nr_tried = 0;
	for (size_t i = 0; i < c->nr_lines && c->nr_tried < max; i++)
		if (c->nr_words <= max || is_head(c, i))
			add_words(c, i);
	for (uint64_t n = 0; c->nr_words > max && c->nr_tried < max && n < max; n++)
		add_words(c, crash_hash(c->seed, ~n) % c->nr_lines);
}

static void count_subsets(struct crash_cut *c, uint32_t budget)
{
	uint64_t by_words = nr_by_words(c, budget), by_lines = nr_by_lines(c, budget);

	c->nr_states = by_words;
	c->scheme = CRASH_ALL_WORDS;
	if (by_words <= budget)
		return;
	c->nr_whole = by_lines;
	c->scheme = CRASH_ALL_LINES;
	if (by_lines > budget) {
		c->scheme = CRASH_EXTREMES;
		c->nr_each = c->nr_lines < budget / 2 ? (uint32_t)c->nr_lines : budget / 2;
		c->nr_whole = 2 + 2 * (uint64_t)c->nr_each;
	}
	choose_words(c, budget / 4);
	c->nr_ruled = c->nr_whole + 2 * c->nr_tried;
	c->nr_states = c->nr_ruled + budget / 2;
}

void crash_cut_build(struct crash_cut *c, enum crash_mode mode, const struct crash_log *log,
	const struct crash_pending *pending, const struct crash_memory *durable, uint32_t budget,
	uint64_t seed)
{
	c->seed = seed;
	c->nr_whole = c->nr_ruled = 0;
	build_lines(c, log, pending, durable);
	if (mode == CRASH_IN_ORDER)
		count_prefixes(c, budget);
	else
		count_subsets(c, budget);
}

/* ---- one state ------------------------------------------------------------------------------ */

/* What is left to be told, line by line. */
struct pick {
	const struct crash_cut *c;
	uint64_t i;
	uint64_t left; /* digits of i, or words of the prefix */
	uint64_t rest; /* of i, behind the whole ones: random */
	size_t line;   /* EXTREMES: the one */
};

static uint64_t prefix_words(const struct crash_cut *c, uint64_t i)
{
	if (c->scheme == CRASH_PREFIXES || !i)
		return i;
	if (i == 1)
		return c->nr_words;
	return 1 + crash_hash(c->seed, i) % (c->nr_words - 1);
}

/* Of the lines that are tried alone: all, or some. */
static size_t nth_line(const struct crash_cut *c, uint64_t n)
{
	return c->nr_each == c->nr_lines ? n : crash_hash(c->seed, n) % c->nr_lines;
}

static struct pick pick_begin(const struct crash_cut *c, uint64_t i)
{
	struct pick p = { .c = c, .i = i, .left = i };

	if (c->scheme == CRASH_PREFIXES || c->scheme == CRASH_SOME_PREFIXES)
		p.left = prefix_words(c, i);
	else if (c->scheme == CRASH_EXTREMES && i >= 2 && i < c->nr_whole)
		p.line = nth_line(c, (i - 2) / 2);
	else if (i >= c->nr_ruled)
		p.rest = crash_hash(c->seed, i);
	return p;
}

static void take_prefix(struct pick *p, const struct crash_line *l, uint64_t out[CRASH_WORDS])
{
	const uint64_t *old = p->c->images[l->first], *new = p->c->images[l->first + 1];

	for (unsigned int w = 0; w < CRASH_WORDS; w++) {
		bool there = old[w] != new[w] && p->left;

		p->left -= there;
		out[w] = there ? new[w] : old[w];
	}
}

static void take_words(struct pick *p, const struct crash_line *l, uint64_t out[CRASH_WORDS])
{
	for (unsigned int w = 0; w < CRASH_WORDS; w++) {
		uint32_t n = nr_values(p->c, l, w);

		out[w] = nth_value(p->c, l, w, p->left % n);
		p->left /= n;
	}
}

/* Few, half or most of the lines, and of every other state some torn. */
static uint32_t random_version(const struct pick *p, const struct crash_line *l, uint64_t r)
{
	static const uint8_t of_16[] = { 2, 8, 14 };

	if (r % 16 >= of_16[p->rest % 3])
		return 0;
	return l->nr - (uint32_t)(r / 16 % 4 ? 0 : r / 64 % l->nr);
}

static void take_random(struct pick *p, const struct crash_line *l, uint64_t out[CRASH_WORDS])
{
	size_t at = (size_t)(l - p->c->lines), nr = p->c->nr_lines;
	uint64_t r = crash_hash(p->rest, at);
	bool torn = at == (p->rest >> 8) % nr || (p->rest & 64 && r >> 60 < 4);

	if (!torn) {
		memcpy(out, p->c->images[l->first + random_version(p, l, r)], CRASH_LINE);
		return;
	}
	for (unsigned int w = 0; w < CRASH_WORDS; w++, r = crash_hash(r, w))
		out[w] = p->c->images[l->first + r % (l->nr + 1)][w];
}

/* One word alone, or all but it. */
static void take_word(const struct pick *p, const struct crash_line *l, uint64_t out[CRASH_WORDS])
{
	uint64_t n = p->i - p->c->nr_whole;
	const struct crash_word *it = &p->c->words[n / 2];
	const uint64_t *old = p->c->images[l->first], *new = p->c->images[l->first + l->nr];

	memcpy(out, n % 2 ? new : old, CRASH_LINE);
	if (l - p->c->lines == (ptrdiff_t)it->line)
		out[it->word] = n % 2 ? old[it->word] : new[it->word];
}

static uint32_t extreme_version(const struct pick *p, const struct crash_line *l)
{
	bool is_it = l - p->c->lines == (ptrdiff_t)p->line;

	if (p->i < 2)
		return p->i ? l->nr : 0;
	return is_it == (p->i % 2 == 0) ? l->nr : 0;
}

/* Lines in order, each once. */
static void pick_line(struct pick *p, const struct crash_line *l, uint64_t out[CRASH_WORDS])
{
	uint32_t v;

	if (p->c->scheme == CRASH_PREFIXES || p->c->scheme == CRASH_SOME_PREFIXES) {
		take_prefix(p, l, out);
	} else if (p->c->scheme == CRASH_ALL_WORDS) {
		take_words(p, l, out);
	} else if (p->i >= p->c->nr_ruled) {
		take_random(p, l, out);
	} else if (p->i >= p->c->nr_whole) {
		take_word(p, l, out);
	} else if (p->c->scheme == CRASH_ALL_LINES) {
		v = (uint32_t)(p->left % (l->nr + 1));
		p->left /= l->nr + 1;
		memcpy(out, p->c->images[l->first + v], CRASH_LINE);
	} else {
		memcpy(out, p->c->images[l->first + extreme_version(p, l)], CRASH_LINE);
	}
}

void crash_cut_apply(const struct crash_cut *c, uint64_t i, struct crash_memory *m)
{
	struct pick p = pick_begin(c, i);

	for (size_t n = 0; n < c->nr_lines; n++) {
		const struct crash_line *l = &c->lines[n];
		uint64_t words[CRASH_WORDS];

		pick_line(&p, l, words);
		if (memcmp(words, c->images[l->first], CRASH_LINE))
			crash_memory_store(m, l->off, words, CRASH_LINE);
	}
}

/* Each word: '.' as it was, else which version of the line it is from. */
static void print_words(FILE *out, const struct crash_cut *c, const struct crash_line *l,
	const uint64_t words[CRASH_WORDS])
{
	for (unsigned int w = 0; w < CRASH_WORDS; w++) {
		uint32_t v = 0;

		while (v < l->nr && c->images[l->first + v][w] != words[w])
			v++;
		fputc(!v ? (c->images[l->first + l->nr][w] == words[w] ? '=' : '.')
			 : (int)(v < 10 ? '0' + v : '+'),
			out);
	}
}

void crash_cut_print(FILE *out, const struct crash_cut *c, uint64_t i)
{
	struct pick p = pick_begin(c, i);

	fprintf(out,
		"state %llu of %llu; of each line that was stored to, its 8 words: = not changed, "
		". lost, else by which store\n",
		(unsigned long long)i, (unsigned long long)c->nr_states);
	for (size_t n = 0; n < c->nr_lines; n++) {
		uint64_t words[CRASH_WORDS];

		pick_line(&p, &c->lines[n], words);
		fprintf(out, "  line %#9llx  ", (unsigned long long)c->lines[n].off);
		print_words(out, c, &c->lines[n], words);
		fprintf(out, "  of %u\n", c->lines[n].nr);
	}
}
