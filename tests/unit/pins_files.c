/* SPDX-License-Identifier: BSD-3-Clause */
/* Files and their contents, and the calls that wait for nobody. */
#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/pins_world.h"
#include "tests/unit/tree.h"

#define WRITE_MAX 24u /* halves */

static const char *name_of(int name, char buf[16])
{
	snprintf(buf, 16, "f%d", name);
	return buf;
}

static bool is_used(const struct world *w, int name)
{
	for (unsigned int i = 0; i < w->nr_files; i++)
		if (w->files[i]->name == name)
			return true;
	return false;
}

struct wfile *file_any(struct world *w)
{
	for (unsigned int n = 0; n < 8 && w->nr_files; n++) {
		struct wfile *f = w->files[rng_below(&w->rng, w->nr_files)];

		if (f->name >= 0 || f->nr_opens)
			return f;
	}
	return NULL;
}

struct wfile *file_named(struct world *w)
{
	struct wfile *f = file_any(w);

	return f && f->name >= 0 ? f : NULL;
}

void file_delete(struct world *w, struct wfile *f)
{
	unsigned int i = 0;

	while (w->files[i] != f)
		i++;
	w->files[i] = w->files[--w->nr_files];
	ddfs_inode_put(f->ip);
	free(f->val);
	free(f);
}

/* ---- names ---------------------------------------------------------------------------------- */

void do_create(struct world *w)
{
	int name = (int)rng_below(&w->rng, NR_NAMES), err;
	struct wfile *f;
	char buf[16];

	if (w->nr_files == NR_FILES || is_used(w, name))
		return;
	err = tree_make(w->root, name_of(name, buf), S_IFREG | 0644);
	if (err == -ENOSPC)
		return;
	must(w, !err, "create: %s", strerror(-err));
	f = calloc(1, sizeof(*f));
	f->val = calloc(w->max_halves, sizeof(*f->val));
	f->ip = tree_get(w->root, buf);
	f->id = ddfs_inode_id(f->ip);
	f->name = name;
	w->files[w->nr_files++] = f;
	world_trace(w, "create %s: %llx", buf, (unsigned long long)f->id);
}

void do_unlink(struct world *w)
{
	struct wfile *f = file_named(w);
	char buf[16];
	int err;

	if (!f)
		return;
	world_trace(w, "unlink %llx", (unsigned long long)f->id);
	err = tree_unlink(w->root, name_of(f->name, buf));
	must(w, !err, "unlink: %s", strerror(-err));
	f->name = -1;
	check_pins_of(w, f);
	book_file_unused(w, f);
}

void do_rename_over(struct world *w)
{
	struct wfile *f = file_named(w), *over = file_named(w);
	char from[16], to[16];
	int err;

	if (!f || !over || f == over)
		return;
	world_trace(w, "rename %llx over %llx", (unsigned long long)f->id,
		(unsigned long long)over->id);
	err = tree_rename(w->root, name_of(f->name, from), w->root, name_of(over->name, to), 0);
	must(w, !err, "rename: %s", strerror(-err));
	f->name = over->name;
	over->name = -1;
	check_pins_of(w, over);
	book_file_unused(w, over);
}

/* ---- contents ------------------------------------------------------------------------------- */

static void fill_half(uint8_t *buf, uint64_t val)
{
	memset(buf, 0, HALF);
	memcpy(buf, &val, 8);
	memcpy(buf + HALF - 8, &val, 8);
}

void do_write(struct world *w)
{
	static uint8_t buf[WRITE_MAX * HALF];
	struct wfile *f = file_any(w);
	uint64_t off, len, done;
	ssize_t n;

	if (!f)
		return;
	off = rng_below(&w->rng, w->max_halves - WRITE_MAX);
	len = 1 + rng_below(&w->rng, WRITE_MAX);
	for (uint64_t i = 0; i < len; i++)
		fill_half(buf + i * HALF, w->last_val + i + 1);
	n = ddfs_write(f->ip, off * HALF, buf, len * HALF, 0);
	world_trace(w, "write %llx %llu+%llu: %zd", (unsigned long long)f->id,
		(unsigned long long)off, (unsigned long long)len, n);
	w->nr_full += n == -ENOSPC;
	must(w, n > 0 || n == -ENOSPC, "write: %s", strerror((int)-n));
	must(w, n < 0 || n % (ssize_t)HALF == 0, "wrote %zd", n);
	done = n > 0 ? (uint64_t)n / HALF : 0;
	for (uint64_t i = 0; i < done; i++)
		f->val[off + i] = w->last_val + i + 1;
	w->last_val += len;
	if (done && off + done > f->size)
		f->size = off + done;
	check_blocks(w, f, off / 2, (off + len + 1) / 2);
	check_pins_of(w, f);
}

void do_allocate(struct world *w)
{
	struct wfile *f = file_any(w);
	bool keep = rng_below(&w->rng, 2);
	uint64_t off, len;
	int err;

	if (!f)
		return;
	off = rng_below(&w->rng, w->max_halves - w->unit);
	len = 1 + rng_below(&w->rng, w->max_halves - off);
	err = ddfs_fallocate(f->ip, keep ? FALLOC_FL_KEEP_SIZE : 0, off * HALF, len * HALF, NULL);
	world_trace(w, "allocate %llx %llu+%llu: %d", (unsigned long long)f->id,
		(unsigned long long)off, (unsigned long long)len, err);
	w->nr_full += err == -ENOSPC;
	must(w, !err || err == -ENOSPC, "allocate: %s", strerror(-err));
	if (!err && !keep && off + len > f->size)
		f->size = off + len;
	check_blocks(w, f, off / 2, (off + len + 1) / 2);
	check_pins_of(w, f);
}

/* ---- all space ------------------------------------------------------------------------------ */

/* Every block that is free becomes the ballast's, then some are free again. */
void do_fill(struct world *w)
{
	struct wfile ballast = { .ip = w->ballast };
	uint64_t piece = w->nr_blocks / 4 * BLK, from = w->ballast_size;
	struct ddfs_attr a = { .size = 0 };
	int err;

	while (piece >= BLK) {
		err = ddfs_fallocate(w->ballast, 0, w->ballast_size, piece, NULL);
		must(w, !err || err == -ENOSPC, "fill: %s", strerror(-err));
		if (err)
			piece /= 2;
		else
			w->ballast_size += piece;
	}
	check_blocks(w, &ballast, from / BLK, (w->ballast_size + BLK - 1) / BLK);
	world_trace(w, "filled: %llu", (unsigned long long)w->ballast_size);
	/* So little that it is used up soon, or so much that there is always some. */
	a.size = rng_below(&w->rng, 2) ? w->ballast_size / 2 : 0;
	a.size += rng_below(&w->rng, w->ballast_size / 2 + 1);
	err = ddfs_setattr(w->ballast, &a, DDFS_SET_SIZE, NULL, NULL);
	must(w, !err, "truncate: %s", strerror(-err));
	w->ballast_size = a.size;
}
