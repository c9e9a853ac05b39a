/* SPDX-License-Identifier: BSD-3-Clause */
/* Pinning a range of a file. */
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/core.h"
#include "fs/extent_bulk.h"
#include "fs/fault.h"
#include "fs/file.h"
#include "fs/pin_plan.h"
#include "fs/tx.h"

/* Returned by the steps below to start over with the file locked exclusive. */
#define WANTS_CHANGE 2

/* One call. */
struct pinning {
	struct ddfs_op op;
	struct ddfs_inode *ip;
	const struct ddfs_pin_args *args;
	struct ddfs_wait *wait;
	bool exclusive;	      /* the file is locked so */
	uint64_t end;	      /* of the range, bytes of the file */
	uint64_t first, last; /* what is pinned, blocks of the file */
	struct ddfs_pin_plan plan;
};

/* ---- what is asked for ---------------------------------------------------------------------- */

static int check_args(const struct ddfs_pin_args *a)
{
	unsigned int modes = DDFS_PIN_MODE_READ | DDFS_PIN_MODE_WRITE;
	unsigned int flags =
		DDFS_PIN_FAULT | DDFS_PIN_GROW | DDFS_PIN_WHOLE_UNITS | DDFS_PIN_BAD_HOLES;

	if (!a->mode || a->mode & ~modes || a->flags & ~flags)
		return -EINVAL;
	return a->flags & DDFS_PIN_GROW && !(a->flags & DDFS_PIN_FAULT) ? -EINVAL : 0;
}

static bool changes_file(const struct ddfs_pin_args *a)
{
	return a->mode & DDFS_PIN_MODE_WRITE || a->flags & DDFS_PIN_FAULT;
}

static int check_file(const struct ddfs_inode *ip, const struct ddfs_pin_args *a)
{
	uint32_t frozen = DDFS_FLAG_IMMUTABLE | DDFS_FLAG_APPEND;
	int err = ddfs_file_check(ip);

	if (err)
		return err;
	if (!ip->dax)
		return -EOPNOTSUPP;
	if (a->epoch && a->epoch != ddfs_fs_epoch(ip->fs))
		return -ESTALE;
	if (!changes_file(a))
		return 0;
	/* Stores through a mapping can't be told to append. */
	if (ddfs_le32(ddfs_inode_view(ip, NULL)->flags) & frozen)
		return -EPERM;
	return ddfs_fs_writable(ip->fs);
}

static uint64_t file_size(const struct ddfs_inode *ip)
{
	return ddfs_le64(ddfs_inode_view(ip, NULL)->size);
}

/* What the range is, as the file is now or will have grown. */
static int find_range(struct pinning *p)
{
	const struct ddfs_pin_args *a = p->args;
	uint64_t size = file_size(p->ip), unit = 1;
	bool grow = a->flags & DDFS_PIN_GROW && a->len;

	if (grow && (a->off > DDFS_FILE_SIZE_MAX || a->len > DDFS_FILE_SIZE_MAX - a->off))
		return -EFBIG;
	if (grow && a->off + a->len > size)
		size = a->off + a->len;
	if (a->off >= size)
		return -ENXIO;
	p->end = a->len && a->len < size - a->off ? a->off + a->len : size;
	if (a->flags & DDFS_PIN_WHOLE_UNITS)
		unit = ddfs_file_unit(p->ip);
	p->first = (a->off >> DDFS_BLOCK_SHIFT) / unit * unit;
	p->last = (ddfs_file_end_block(p->end) + unit - 1) / unit * unit;
	if (p->last > UINT32_MAX)
		p->last = UINT32_MAX;
	return 0;
}

/* ---- what the file lacks -------------------------------------------------------------------- */

static int make_plan(struct pinning *p)
{
	uint64_t unit = p->args->flags & DDFS_PIN_WHOLE_UNITS ? ddfs_file_unit(p->ip) : 1;
	int err;

	ddfs_pin_plan_fini(&p->plan);
	err = ddfs_pin_plan_make(p->ip, p->first, p->last, unit, &p->plan);
	if (err || !p->plan.misfit)
		return err;
	if (!atomic_exchange(&p->ip->told_misfit, true))
		ddfs_log(p->ip->fs, LOG_NOTICE,
			"inode %u can't be mapped: it was laid out before it became a DAX file; a "
			"copy of it, made as one, can be",
			p->ip->ino);
	return -EOPNOTSUPP;
}

static int touch(struct ddfs_tx *tx, struct ddfs_inode_disk *di, void *arg)
{
	(void)tx;
	(void)arg;
	ddfs_touch(di, true);
	return 0;
}

/* Space first, so that there either is enough or the file stays as it is; then its size, so that
 * what is written lies in it; then its contents. */
static int make_real(struct pinning *p)
{
	int err = ddfs_file_allocate(&p->op, p->ip, p->first, p->last);

	if (!err && p->end > file_size(p->ip))
		err = ddfs_resize(&p->op, p->ip, p->end, touch, NULL);
	if (!err)
		err = ddfs_file_fault(&p->op, p->ip, p->first, p->last);
	if (err == 1)
		return WANTS_CHANGE;
	return err ? err : make_plan(p);
}

static int fill_in(struct pinning *p)
{
	bool lacks = p->plan.lacks || p->end > file_size(p->ip);

	if (!(p->args->flags & DDFS_PIN_FAULT) || !lacks)
		return 0;
	return p->exclusive ? make_real(p) : WANTS_CHANGE;
}

/* A holder that has not asked for it is not let into what would kill it. */
static int check_bad(const struct pinning *p)
{
	return p->plan.bad && !(p->args->flags & DDFS_PIN_BAD_HOLES) ? -EIO : 0;
}

/* ---- the pin -------------------------------------------------------------------------------- */

/* The pin's own copy of what it does not hold. */
static struct ddfs_pin_priv *take_gaps(struct ddfs_pin_plan *plan)
{
	struct ddfs_pin_priv *priv = calloc(1, sizeof(*priv));

	if (!priv)
		return NULL;
	priv->gaps = plan->gaps;
	priv->nr_gaps = (uint32_t)plan->nr_gaps;
	plan->gaps = NULL;
	return priv;
}

static int add(struct pinning *p, struct ddfs_pin_priv *priv, struct ddfs_pin **pin)
{
	struct ddfs_fs *fs = p->ip->fs;
	struct ddfs_pin_params params = {
		.owner = p->args->owner,
		.holder = p->args->holder,
		.first = p->first,
		.last = p->last,
		.mode = p->args->mode,
		.epoch = p->args->epoch ? p->args->epoch : ddfs_fs_epoch(fs),
		.runs = p->plan.runs,
		.nr_runs = p->plan.nr_runs,
		.priv = priv,
		.record = ddfs_pin_store_records,
		.arg = fs,
	};
	int err = ddfs_pins_begin_one(fs);

	if (err)
		return err;
	ddfs_inode_hold(p->ip);
	err = ddfs_pin_add(&p->ip->layout, &params, pin);
	if (!err)
		return 0;
	ddfs_inode_put(p->ip);
	ddfs_pins_cancel_one(fs);
	return err;
}

static int make(struct pinning *p, struct ddfs_pin **pin)
{
	struct ddfs_pin_priv *priv = take_gaps(&p->plan);
	int err = priv ? add(p, priv, pin) : -ENOMEM;

	if (err)
		ddfs_pin_priv_delete(priv);
	return err;
}

/* With the file's lock held, which keeps the pin's memory (pins.c), though not the pin: another
 * thread of its holder may end it at once. */
static void tell(const struct pinning *p, const struct ddfs_pin *pin, struct ddfs_pinned *out,
	struct ddfs_file_extent *extents, uint32_t max)
{
	const struct ddfs_pin_priv *priv = pin->priv;

	*out = (struct ddfs_pinned){ .id = pin->id,
		.off = ddfs_block_off(p->first),
		.len = ddfs_block_off(p->last - p->first),
		.nr_extents = (uint32_t)pin->nr_runs + priv->nr_gaps };
	ddfs_pin_plan_extents(pin->runs, pin->nr_runs, priv->gaps, priv->nr_gaps, 0, extents, max);
}

static DDFS_GUARD_STEP int pin_locked(struct pinning *p, struct ddfs_pin **pin)
{
	int err = check_file(p->ip, p->args);

	if (!err)
		err = find_range(p);
	/* Before anything is allocated where a change that waits will take it away. */
	/* Who cancels the wait may put the caller's reference before this has let go. */
	if (!err && p->wait)
		ddfs_op_hold_more(&p->op, p->ip);
	if (!err)
		err = ddfs_pin_admit(&p->ip->layout, p->args->owner, p->args->holder, p->first,
			p->last, p->wait);
	if (!err)
		err = make_plan(p);
	if (!err)
		err = check_bad(p);
	if (!err)
		err = fill_in(p);
	if (!err)
		err = check_bad(p);
	if (!err)
		err = make(p, pin);
	if (!err && p->args->mode & DDFS_PIN_MODE_WRITE)
		ddfs_inode_modified(p->ip);
	return err;
}

int ddfs_pin(struct ddfs_inode *ip, const struct ddfs_pin_args *args, struct ddfs_wait *wait,
	struct ddfs_pinned *out, struct ddfs_file_extent *extents, uint32_t max)
{
	struct pinning p = { .ip = ip, .args = args, .wait = wait };
	struct ddfs_pin *pin;
	int err = check_args(args);

	if (err)
		return err;
	do {
		p.exclusive = err == WANTS_CHANGE;
		ddfs_op_begin(&p.op, ip->fs);
		ddfs_op_lock(&p.op, ip, p.exclusive);
		err = DDFS_GUARDED(ip->fs, pin_locked(&p, &pin));
		if (!err)
			tell(&p, pin, out, extents, max);
		ddfs_op_end(&p.op, err);
		ddfs_pin_plan_fini(&p.plan);
	} while (err == WANTS_CHANGE);
	return err;
}

int ddfs_unpin(struct ddfs_fs *fs, struct ddfs_pin_owner *owner, uint64_t id)
{
	return ddfs_pin_remove(fs->pins.layouts, owner, id);
}

void ddfs_pins_release(struct ddfs_fs *fs, struct ddfs_pin_owner *owner)
{
	ddfs_pin_owner_release(fs->pins.layouts, owner);
}

/* ---- its extents, later --------------------------------------------------------------------- */

struct extents_wanted {
	uint32_t first, max;
	struct ddfs_file_extent *out;
};

static int fill_extents(const struct ddfs_pin *pin, void *arg)
{
	const struct ddfs_pin_priv *priv = pin->priv;
	const struct extents_wanted *w = arg;

	return (int)ddfs_pin_plan_extents(
		pin->runs, pin->nr_runs, priv->gaps, priv->nr_gaps, w->first, w->out, w->max);
}

int ddfs_pin_extents(struct ddfs_fs *fs, struct ddfs_pin_owner *owner, uint64_t id, uint32_t first,
	struct ddfs_file_extent *extents, uint32_t max)
{
	struct extents_wanted w = { first, max, extents };

	return ddfs_pin_visit(fs->pins.layouts, owner, id, fill_extents, &w);
}
