/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs badblocks: which memory of the device can't be read, and whose it is. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/ddfs.h"
#include "tools/ddfs_names.h"
#include "tools/ddfs_table.h"
#include "tools/ddfs_target.h"

#define BLOCK_BYTES 4096u

enum {
	COLUMN_DEVICE,
	COLUMN_LENGTH,
	COLUMN_WHAT,
	COLUMN_FILE,
	COLUMN_FILE_JSON,
	COLUMN_INODE,
	COLUMN_UNLINKED,
	COLUMN_OFFSET,
	COLUMN_SINCE,
	NR_COLUMNS
};

static const struct ddfs_column columns[NR_COLUMNS] = {
	[COLUMN_DEVICE] = { "DEVICE-OFFSET", "device_offset", DDFS_COLUMN_NUMBER },
	[COLUMN_LENGTH] = { "LENGTH", "length", DDFS_COLUMN_NUMBER },
	[COLUMN_WHAT] = { "WHAT", "what", DDFS_COLUMN_TEXT },
	[COLUMN_FILE] = { "FILE", NULL, DDFS_COLUMN_TEXT },
	[COLUMN_FILE_JSON] = { NULL, "file", DDFS_COLUMN_TEXT },
	[COLUMN_INODE] = { NULL, "inode", DDFS_COLUMN_NUMBER },
	[COLUMN_UNLINKED] = { NULL, "unlinked", DDFS_COLUMN_BOOLEAN },
	[COLUMN_OFFSET] = { "OFFSET", "offset", DDFS_COLUMN_NUMBER },
	[COLUMN_SINCE] = { "SINCE", "since", DDFS_COLUMN_TEXT },
};

struct bad {
	const struct ddfs_target *target;
	bool of_file; /* only what is the target's own */
	struct ddfs_ioc_bad_range *range;
	size_t nr, cap;
	uint64_t nr_blocks;
	struct ddfs_names names;
};

/* ---- asking --------------------------------------------------------------------------------- */

static int add_range(struct bad *b, const struct ddfs_ioc_bad_range *r)
{
	struct ddfs_ioc_bad_range *p = b->range;

	if (b->of_file && (ino_t)(uint32_t)r->node != b->target->st.st_ino)
		return 0;
	if (b->nr == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : DDFS_IOC_BAD_MAX;

		p = reallocarray(p, cap, sizeof(*p));
		if (!p)
			return -ENOMEM;
		b->range = p;
		b->cap = cap;
	}
	p[b->nr++] = *r;
	b->nr_blocks += r->len / BLOCK_BYTES;
	return r->node && !b->of_file ? ddfs_names_add(&b->names, (uint32_t)r->node) : 0;
}

static int ask(struct bad *b, const struct ddfs_target *root)
{
	struct ddfs_ioc_bad arg;
	uint64_t after = 0, end;
	int ret = 0;

	for (;;) {
		memset(&arg, 0, sizeof(arg));
		arg.after = after;
		ret = ddfs_target_ioctl(root, DDFS_IOC_BAD, &arg);
		if (ret || !arg.nr || arg.nr > DDFS_IOC_BAD_MAX)
			return ret;
		for (uint32_t i = 0; i < arg.nr && !ret; i++)
			ret = add_range(b, &arg.ranges[i]);
		end = arg.ranges[arg.nr - 1].device_off + arg.ranges[arg.nr - 1].len;
		if (ret || end <= after)
			return ret;
		after = end;
	}
}

/* ---- cells ---------------------------------------------------------------------------------- */

static const char *kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[DDFS_IOC_BAD_FREE] = "free",
		[DDFS_IOC_BAD_FIXED] = "fixed",
		[DDFS_IOC_BAD_DATA] = "data",
		[DDFS_IOC_BAD_META] = "metadata",
		[DDFS_IOC_BAD_INODES] = "inodes",
		[DDFS_IOC_BAD_UNKNOWN] = "unknown",
	};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}

/* One that the walk did not meet has no name, or lies in a directory that can't be read; the kernel
 * may know of it all the same. */
static void set_file(struct ddfs_table *t, const struct bad *b, uint64_t node)
{
	const char *path = ddfs_names_get(&b->names, (uint32_t)node);
	struct ddfs_node_name name = { .unlinked = false };

	if (path)
		snprintf(name.text, sizeof(name.text), "%s", path);
	else
		ddfs_target_name(b->target, node, &name);
	ddfs_table_set(t, COLUMN_FILE, "%s%s", name.text, name.unlinked ? " (unlinked)" : "");
	ddfs_table_set(t, COLUMN_FILE_JSON, "%s", name.text);
	ddfs_table_set(t, COLUMN_INODE, "%" PRIu32, (uint32_t)node);
	ddfs_table_set_flag(t, COLUMN_UNLINKED, name.unlinked);
}

static void add_line(struct ddfs_table *t, const struct bad *b, const struct ddfs_ioc_bad_range *r)
{
	ddfs_table_line(t);
	ddfs_table_set(t, COLUMN_DEVICE, "%" PRIu64, (uint64_t)r->device_off);
	ddfs_table_set(t, COLUMN_LENGTH, "%" PRIu64, (uint64_t)r->len);
	ddfs_table_set(t, COLUMN_WHAT, "%s", kind_name(r->kind));
	if (r->node)
		set_file(t, b, r->node);
	if (r->kind == DDFS_IOC_BAD_DATA)
		ddfs_table_set(t, COLUMN_OFFSET, "%" PRIu64, (uint64_t)r->off);
	ddfs_table_set_time(t, COLUMN_SINCE, r->since_sec);
}

static int print_table(const struct bad *b, bool json)
{
	struct ddfs_table *t;
	int ret = ddfs_table_new("badblocks", columns, NR_COLUMNS, json, &t);

	if (ret) {
		ddfs_target_complain(b->target, strerror(-ret));
		return ret;
	}
	for (size_t i = 0; i < b->nr; i++)
		add_line(t, b, &b->range[i]);
	ret = ddfs_table_print(t);
	if (!ret && !json)
		printf("%" PRIu64 " bad block%s of %u bytes on %s\n", b->nr_blocks,
			b->nr_blocks == 1 ? "" : "s", BLOCK_BYTES, b->target->info.path);
	ddfs_table_delete(t);
	return ret;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void complain(const struct ddfs_target *t, int err)
{
	if (err == -EPERM || err == -EACCES)
		ddfs_target_complain(t, "only root and the owner of the device may see what is bad "
					"of it; run it as root");
	else if (err == -ENOTTY)
		ddfs_target_complain(t, "the daemon of this mount does not know of bad blocks");
	else
		ddfs_target_complain(t, strerror(-err));
}

static int list(struct bad *b, const struct ddfs_target *root, bool json)
{
	char path[PATH_MAX];
	int ret = ask(b, root);

	if (!ret && b->names.nr)
		ret = realpath(b->target->path, path) ? ddfs_names_find(&b->names, path) : -errno;
	if (!ret)
		return print_table(b, json);
	complain(b->target, ret);
	return ret;
}

/* The root directory answers, whichever file is asked for. */
static int list_of(const struct ddfs_target *t, bool json)
{
	struct ddfs_target root;
	struct bad b = { .target = t };
	int ret = ddfs_target_open_root(t, &root);

	if (ret) {
		ddfs_target_complain(t, "the root directory of its mount is not to be reached "
					"from it; name the mount point");
		return ret;
	}
	b.of_file = t->st.st_ino != root.st.st_ino;
	ret = list(&b, &root, json);
	ddfs_names_fini(&b.names);
	free(b.range);
	ddfs_target_close(&root);
	return ret;
}

static int badblocks_run(int argc, char **argv)
{
	struct ddfs_arguments a;
	struct ddfs_target t;
	int ret = ddfs_arguments_parse(&ddfs_command_badblocks, argc, argv, &a);

	if (ret || a.done)
		return ret;
	ret = ddfs_target_open(a.path, &t);
	if (ret)
		return ret;
	ret = list_of(&t, a.json);
	ddfs_target_close(&t);
	return ret;
}

const struct ddfs_command ddfs_command_badblocks = {
	.name = "badblocks",
	.synopsis = "MOUNTPOINT|FILE",
	.summary = "Show which memory of a mount or file can't be read",
	.run = badblocks_run,
};
