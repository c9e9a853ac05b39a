/* SPDX-License-Identifier: BSD-3-Clause */
/* Random operations on what files hold. */
#include <check.h>
#include <errno.h>
#include <linux/falloc.h>
#include <string.h>

#include "tests/unit/model.h"

#define MIB (UINT64_C(1) << 20)

/* Where things tend to go wrong: at the start, at the end of file, around blocks and chunks, and
 * seldom at the very limit. */
static uint64_t any_off(struct world *w, const struct mnode *n)
{
	uint64_t near = rng_below(&w->rng, 9000);

	switch (rng_below(&w->rng, 12)) {
	case 0:
	case 1:
		return rng_below(&w->rng, 3) * MODEL_BLOCK;
	case 2:
	case 3:
		return n->size;
	case 4:
		return n->size > near ? n->size - near : near;
	case 5:
		return 2 * MIB - 4500 + near;
	case 6:
		return rng_below(&w->rng, 5 * MIB);
	case 7:
		return rng_below(&w->rng, 1300) * MODEL_BLOCK;
	case 8:
		/* The last unit that can be addressed is not whole. */
		if (w->unit_bytes == MODEL_BLOCK && rng_below(&w->rng, 10) == 0)
			return DDFS_FILE_SIZE_MAX - near;
		return 4 * MIB - 4500 + near;
	default:
		return rng_below(&w->rng, 64 * 1024);
	}
}

static uint64_t any_len(struct world *w)
{
	switch (rng_below(&w->rng, 10)) {
	case 0:
		return 1 + rng_below(&w->rng, 3 * MIB);
	case 1:
		return MODEL_BLOCK * (1 + rng_below(&w->rng, 600));
	case 2:
	case 3:
		return 1 + rng_below(&w->rng, 300 * 1024);
	case 4:
	case 5:
		return MODEL_BLOCK;
	default:
		return 1 + rng_below(&w->rng, 12000);
	}
}

static void fill(struct world *w, size_t len)
{
	uint64_t *p = (uint64_t *)w->buf, v = rng_next(&w->rng);

	for (size_t i = 0; i < (len + 7) / 8; i++)
		p[i] = v += UINT64_C(0x9e3779b97f4a7c15);
}

/* n bytes were written or, with a full device, fewer. */
static int64_t check_partial(struct world *w, const char *what, int64_t got, int64_t want)
{
	if (got >= 0 && want >= 0 && got < want) {
		ck_assert_int_gt(got, 0);
		model_result(w, what, -ENOSPC, 0, (uint64_t)(want - got) / MODEL_BLOCK + 8);
		return got;
	}
	if (want < 0)
		return model_result(w, what, got, want, 0) ? 0 : -1;
	if (got == -ENOSPC)
		return model_result(w, what, got, 0, (uint64_t)want / MODEL_BLOCK + 8) ? 0 : -1;
	ck_assert_msg(got == want, "%s: %lld, want %lld", what, (long long)got, (long long)want);
	w->nr_ok++;
	return got;
}

void model_op_write(struct world *w)
{
	struct mnode *n = model_any_file(w);
	struct ddfs_inode *ip;
	bool append = rng_below(&w->rng, 5) == 0;
	uint64_t off, len = any_len(w);
	int64_t want, got;

	if (!n)
		return;
	off = append ? n->size : any_off(w, n);
	want = (int64_t)len;
	if (off >= DDFS_FILE_SIZE_MAX)
		want = -EFBIG;
	else if (len > DDFS_FILE_SIZE_MAX - off)
		want = (int64_t)(DDFS_FILE_SIZE_MAX - off);
	fill(w, len);
	model_trace(w, append ? "append" : "write", n, off, len);
	ip = model_get(w, n);
	got = check_partial(w, "write",
		ddfs_write(ip, append ? 12345 : off, w->buf, len, append ? DDFS_WRITE_APPEND : 0),
		want);
	ddfs_inode_put(ip);
	if (got > 0)
		model_write(n, off, w->buf, (size_t)got);
	else if (got < 0)
		model_verify_node(w, n);
}

void model_op_truncate(struct world *w)
{
	struct mnode *n = model_any(w);
	struct ddfs_inode *ip = model_get(w, n);
	struct ddfs_attr a = { .size = any_off(w, n) }, out;
	int want = model_is_dir(n) ? -EISDIR : !model_is_reg(n) ? -EINVAL : 0;

	model_trace(w, "truncate", n, a.size, 0);
	if (model_result(w, "truncate", ddfs_setattr(ip, &a, DDFS_SET_SIZE, &out, NULL), want, 8)) {
		model_truncate(n, a.size);
		ck_assert_uint_eq(out.size, a.size);
	}
	ddfs_inode_put(ip);
}

static int fallocate_error(
	const struct world *w, const struct mnode *n, int mode, uint64_t off, uint64_t len)
{
	if (off + len > DDFS_FILE_SIZE_MAX)
		return mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) ? 0 : -EFBIG;
	if (mode == FALLOC_FL_COLLAPSE_RANGE)
		return off % w->unit_bytes || len % w->unit_bytes || off + len >= n->size ? -EINVAL
											  : 0;
	if (mode == FALLOC_FL_INSERT_RANGE) {
		if (off % w->unit_bytes || len % w->unit_bytes || off >= n->size)
			return -EINVAL;
		return len > DDFS_FILE_SIZE_MAX - n->size ? -EFBIG : 0;
	}
	return 0;
}

static void fallocate_apply(struct mnode *n, int mode, uint64_t off, uint64_t len)
{
	if (off + len > DDFS_FILE_SIZE_MAX)
		len = off < DDFS_FILE_SIZE_MAX ? DDFS_FILE_SIZE_MAX - off : 0;
	if (mode == FALLOC_FL_COLLAPSE_RANGE) {
		model_collapse(n, off, len);
		return;
	}
	if (mode == FALLOC_FL_INSERT_RANGE) {
		model_insert(n, off, len);
		return;
	}
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		model_punch(n, off, len);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && off + len > n->size)
		n->size = off + len;
}

static const char *mode_name(int mode)
{
	static const char *const names[] = { "allocate", "allocate, keep size", "?", "punch", "?",
		"?", "?", "?", "collapse", "?", "?", "?", "?", "?", "?", "?", "zero",
		"zero, keep size" };

	return mode == FALLOC_FL_INSERT_RANGE ? "insert" : names[mode];
}

void model_op_fallocate(struct world *w)
{
	static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_COLLAPSE_RANGE,
		FALLOC_FL_INSERT_RANGE };
	int mode = modes[rng_below(&w->rng, sizeof(modes) / sizeof(modes[0]))], want, got;
	struct mnode *n = model_any_file(w);
	uint64_t off, len = any_len(w);
	struct ddfs_inode *ip;

	if (!n)
		return;
	off = any_off(w, n);
	if (mode >= FALLOC_FL_COLLAPSE_RANGE && mode != FALLOC_FL_ZERO_RANGE &&
		rng_below(&w->rng, 8)) {
		off -= off % w->unit_bytes;
		len = (len + w->unit_bytes - 1) / w->unit_bytes * w->unit_bytes;
	}
	want = fallocate_error(w, n, mode, off, len);
	model_trace(w, mode_name(mode), n, off, len);
	ip = model_get(w, n);
	got = ddfs_fallocate(ip, mode, off, len, NULL);
	/* Blocks kept far behind the end can be pushed out of what can be addressed. */
	if (mode == FALLOC_FL_INSERT_RANGE && got == -EFBIG && !want)
		want = -EFBIG;
	ddfs_inode_put(ip);
	if (model_result(w, "fallocate", got, want, (len + 2 * w->unit_bytes) / MODEL_BLOCK + 8))
		fallocate_apply(n, mode, off, len);
	else if (got == -ENOSPC)
		model_verify_node(w, n);
}

void model_op_copy(struct world *w)
{
	struct mnode *in = model_any_file(w), *out = model_any_file(w);
	struct ddfs_inode *ip, *op;
	uint64_t off_in, off_out, len = any_len(w);
	int64_t want, got;

	if (!in)
		return;
	off_in = any_off(w, in);
	off_out = any_off(w, out);
	want = off_in >= in->size	 ? 0
	       : len > in->size - off_in ? (int64_t)(in->size - off_in)
					 : (int64_t)len;
	if (want && off_out >= DDFS_FILE_SIZE_MAX)
		want = -EFBIG;
	else if (want && (uint64_t)want > DDFS_FILE_SIZE_MAX - off_out)
		want = (int64_t)(DDFS_FILE_SIZE_MAX - off_out);
	if (want > 0 && in == out && off_in < off_out + (uint64_t)want &&
		off_out < off_in + (uint64_t)want)
		want = -EINVAL;
	model_trace(w, "copy from", in, off_in, len);
	model_trace(w, "copy to", out, off_out, len);
	ip = model_get(w, in);
	op = model_get(w, out);
	got = check_partial(w, "copy", ddfs_copy_range(ip, off_in, op, off_out, len, NULL), want);
	ddfs_inode_put(ip);
	ddfs_inode_put(op);
	if (got > 0)
		model_copy(in, off_in, out, off_out, (size_t)got);
}

void model_op_verify(struct world *w)
{
	model_verify_node(w, model_any(w));
}
