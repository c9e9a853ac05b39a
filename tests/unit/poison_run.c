/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/poison_run.h"

#include <errno.h>
#include <stdio.h>

#include "tests/unit/tree.h"

static struct ddfs_inode *try_get(struct poison_world *w, const char *name)
{
	struct ddfs_inode *ip;
	struct ddfs_entry e;

	if (ddfs_lookup(w->root, name, strlen(name), &e) || ddfs_inode_get(w->fs, e.attr.id, &ip))
		return NULL;
	return ip;
}

void poison_world_open(struct poison_world *w)
{
	w->dir = try_get(w, "empty");
	for (unsigned int i = 0; i < poison_nr_names; i++)
		w->ip[i] = try_get(w, poison_names[i]);
}

static void put(struct ddfs_inode **ip)
{
	if (*ip)
		ddfs_inode_put(*ip);
	*ip = NULL;
}

void poison_world_close(struct poison_world *w)
{
	put(&w->dir);
	for (unsigned int i = 0; i < poison_nr_names; i++)
		put(&w->ip[i]);
}

/* What an operation may say of an object of another type, or of one that is gone. */
static bool is_expected(int64_t ret)
{
	static const int expected[] = { ENOENT, EEXIST, ENOTDIR, EISDIR, EINVAL, ENODEV, EPERM,
		EOPNOTSUPP, ENOTEMPTY, ENODATA, ENXIO, ESTALE, ENOSPC, EBUSY };

	for (unsigned int i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (ret == -expected[i])
			return true;
	return ret >= 0;
}

static void run_op(struct poison_world *w, const struct poison_op *op, struct poison_target *t)
{
	unsigned int commits = w->s->nr_commits;
	int64_t ret;

	if (w->before)
		w->before(w);
	ret = op->run(t);
	if (getenv("DDFS_POISON_LOG"))
		fprintf(stderr, "%s of %s: %lld\n", op->name, t->name, (long long)ret);
	if (w->after)
		w->after(w);
	/* A remount that fails may leave it read-only. */
	ck_assert_msg(is_expected(ret) || (w->poisoned && (ret == -EIO || ret == -EROFS)),
		"%s of %s: %s", op->name, t->name, strerror((int)-ret));
	ck_assert_msg(op->steps || ret != -EIO || w->s->nr_commits == commits,
		"%s of %s failed and changed something", op->name, t->name);
}

void poison_run_all(struct poison_world *w)
{
	struct poison_target t = { .fs = w->fs, .root = w->root, .dir = w->dir };

	for (unsigned int n = 0; n < poison_nr_names; n++) {
		t.name = poison_names[n];
		t.ip = w->ip[n];
		for (unsigned int i = 0; i < poison_nr_ops; i++) {
			t.round = w->round++;
			run_op(w, &poison_ops[i], &t);
		}
	}
}
