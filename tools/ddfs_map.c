/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs map: which pages of the device hold a file. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/ddfs.h"
#include "tools/ddfs_table.h"
#include "tools/ddfs_target.h"

enum {
	COLUMN_OFFSET,
	COLUMN_LENGTH,
	COLUMN_DEVICE,
	COLUMN_FLAGS,
	COLUMN_HOLE,
	COLUMN_UNWRITTEN,
	COLUMN_BAD,
	NR_COLUMNS
};

static const struct ddfs_column columns[NR_COLUMNS] = {
	[COLUMN_OFFSET] = { "OFFSET", "offset", DDFS_COLUMN_NUMBER },
	[COLUMN_LENGTH] = { "LENGTH", "length", DDFS_COLUMN_NUMBER },
	[COLUMN_DEVICE] = { "DEVICE-OFFSET", "device_offset", DDFS_COLUMN_NUMBER },
	[COLUMN_FLAGS] = { "FLAGS", NULL, DDFS_COLUMN_TEXT },
	[COLUMN_HOLE] = { NULL, "hole", DDFS_COLUMN_BOOLEAN },
	[COLUMN_UNWRITTEN] = { NULL, "unwritten", DDFS_COLUMN_BOOLEAN },
	[COLUMN_BAD] = { NULL, "bad", DDFS_COLUMN_BOOLEAN },
};

struct map {
	const struct ddfs_target *target;
	struct ddfs_table *table;
	uint64_t nr_extents;		    /* that have pages */
	uint64_t written, unwritten, holes; /* bytes */
};

static const char *flag_name(uint32_t flags)
{
	if (flags & DDFS_IOC_EXTENT_HOLE)
		return "hole";
	if (flags & DDFS_IOC_EXTENT_BAD)
		return "bad";
	return flags & DDFS_IOC_EXTENT_UNWRITTEN ? "unwritten" : "";
}

static void add_extent(struct map *m, const struct ddfs_ioc_extent *e)
{
	bool hole = e->flags & DDFS_IOC_EXTENT_HOLE;
	bool unwritten = e->flags & DDFS_IOC_EXTENT_UNWRITTEN;

	ddfs_table_line(m->table);
	ddfs_table_set(m->table, COLUMN_OFFSET, "%" PRIu64, (uint64_t)e->off);
	ddfs_table_set(m->table, COLUMN_LENGTH, "%" PRIu64, (uint64_t)e->len);
	if (!hole)
		ddfs_table_set(m->table, COLUMN_DEVICE, "%" PRIu64, (uint64_t)e->device_off);
	ddfs_table_set(m->table, COLUMN_FLAGS, "%s", flag_name(e->flags));
	ddfs_table_set_flag(m->table, COLUMN_HOLE, hole);
	ddfs_table_set_flag(m->table, COLUMN_UNWRITTEN, unwritten);
	ddfs_table_set_flag(m->table, COLUMN_BAD, e->flags & DDFS_IOC_EXTENT_BAD);

	m->nr_extents += !hole;
	*(hole ? &m->holes : unwritten ? &m->unwritten : &m->written) += e->len;
}

static int add_extents(struct map *m)
{
	struct ddfs_ioc_layout arg;
	uint64_t at = 0;
	int ret;

	do {
		memset(&arg, 0, sizeof(arg));
		arg.off = at;
		ret = ddfs_target_ioctl(m->target, DDFS_IOC_LAYOUT, &arg);
		if (ret)
			return ret;
		for (uint32_t i = 0; i < arg.nr && i < DDFS_IOC_EXTENTS_MAX; i++)
			add_extent(m, &arg.extents[i]);
		if (arg.next <= at)
			break;
		at = arg.next;
	} while (at < (uint64_t)m->target->st.st_size);
	return 0;
}

static void print_summary(const struct map *m)
{
	printf("%" PRIu64 " extent%s on %s, %" PRIu64 " bytes written, %" PRIu64
	       " unwritten, %" PRIu64 " of holes\n",
		m->nr_extents, m->nr_extents == 1 ? "" : "s", m->target->info.path, m->written,
		m->unwritten, m->holes);
}

static int print_map(const struct ddfs_target *t, bool json)
{
	struct map m = { .target = t };
	int ret = ddfs_table_new("extents", columns, NR_COLUMNS, json, &m.table);

	if (ret) {
		ddfs_target_complain(t, strerror(-ret));
		return ret;
	}
	/* An empty file has no range to ask for. */
	if (t->st.st_size)
		ret = add_extents(&m);
	if (ret)
		ddfs_target_complain(t, strerror(-ret));
	else
		ret = ddfs_table_print(m.table);
	if (!ret && !json)
		print_summary(&m);
	ddfs_table_delete(m.table);
	return ret;
}

static int map_run(int argc, char **argv)
{
	struct ddfs_arguments a;
	struct ddfs_target t;
	int ret = ddfs_arguments_parse(&ddfs_command_map, argc, argv, &a);

	if (ret || a.done)
		return ret;
	ret = ddfs_target_open(a.path, &t);
	if (ret)
		return ret;
	if (S_ISREG(t.st.st_mode)) {
		ret = print_map(&t, a.json);
	} else {
		ddfs_target_complain(&t, "not a regular file; only these have extents");
		ret = -EINVAL;
	}
	ddfs_target_close(&t);
	return ret;
}

const struct ddfs_command ddfs_command_map = {
	.name = "map",
	.synopsis = "FILE",
	.summary = "Show which pages of the device hold a file",
	.run = map_run,
};
