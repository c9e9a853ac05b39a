/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs stats: what a mount has stored, flushed and synced. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/ddfs.h"
#include "tools/ddfs_table.h"
#include "tools/ddfs_target.h"

#define AT(field) offsetof(struct ddfs_ioc_stats, field)

/* In order; each is a line of the table, or a field of the JSON. */
static const struct counter {
	const char *key;
	size_t at;
} counters[] = {
	{ "bytes_stored", AT(bytes_stored) },
	{ "lines_flushed", AT(lines_flushed) },
	{ "lines_elided", AT(lines_elided) },
	{ "fences", AT(fences) },
	{ "deep_flushes", AT(deep_flushes) },
	{ "most_shared", AT(most_shared) },
	{ "syncs_file", AT(syncs[DDFS_IOC_SYNCS_FILE]) },
	{ "syncs_fs", AT(syncs[DDFS_IOC_SYNCS_FS]) },
	{ "syncs_write", AT(syncs[DDFS_IOC_SYNCS_WRITE]) },
	{ "syncs_range", AT(syncs[DDFS_IOC_SYNCS_RANGE]) },
	{ "syncs_mount", AT(syncs[DDFS_IOC_SYNCS_MOUNT]) },
	{ "lines_lost", AT(lines_lost) },
	{ "threads", AT(nr_threads) },
};
#define NR_COUNTERS (sizeof(counters) / sizeof(counters[0]))

static uint64_t value_of(const struct ddfs_ioc_stats *s, size_t i)
{
	__u64 value;

	memcpy(&value, (const char *)s + counters[i].at, sizeof(value));
	return value;
}

static uint64_t sum_requests(const struct ddfs_ioc_stats *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(s->requests) / sizeof(s->requests[0]); i++)
		sum += s->requests[i];
	return sum;
}

/* ---- for programs: one object --------------------------------------------------------------- */

enum { FIELD_PERSISTENCE, FIELD_REQUESTS, FIELD_COUNTERS };

static void add_fields(struct ddfs_table *t, const struct ddfs_ioc_stats *s)
{
	ddfs_table_line(t);
	ddfs_table_set(t, FIELD_PERSISTENCE, "%s", s->persistence);
	ddfs_table_set(t, FIELD_REQUESTS, "%" PRIu64, sum_requests(s));
	for (size_t i = 0; i < NR_COUNTERS; i++)
		ddfs_table_set(t, FIELD_COUNTERS + i, "%" PRIu64, value_of(s, i));
}

static int print_json(const struct ddfs_ioc_stats *s)
{
	struct ddfs_column columns[FIELD_COUNTERS + NR_COUNTERS] = {
		[FIELD_PERSISTENCE] = { NULL, "persistence", DDFS_COLUMN_TEXT },
		[FIELD_REQUESTS] = { NULL, "requests", DDFS_COLUMN_NUMBER },
	};
	struct ddfs_table *t;
	int ret;

	for (size_t i = 0; i < NR_COUNTERS; i++)
		columns[FIELD_COUNTERS + i] =
			(struct ddfs_column){ NULL, counters[i].key, DDFS_COLUMN_NUMBER };
	ret = ddfs_table_new("stats", columns, FIELD_COUNTERS + NR_COUNTERS, true, &t);
	if (ret)
		return ret;
	add_fields(t, s);
	ret = ddfs_table_print(t);
	ddfs_table_delete(t);
	return ret;
}

/* ---- for people: a line each ---------------------------------------------------------------- */

enum { COLUMN_NAME, COLUMN_VALUE, NR_COLUMNS };

static const struct ddfs_column columns[NR_COLUMNS] = {
	[COLUMN_NAME] = { "COUNTER", NULL, DDFS_COLUMN_TEXT },
	[COLUMN_VALUE] = { "VALUE", NULL, DDFS_COLUMN_NUMBER },
};

static void add_line(struct ddfs_table *t, const char *key, uint64_t value)
{
	ddfs_table_line(t);
	ddfs_table_set(t, COLUMN_NAME, "%s", key);
	ddfs_table_set(t, COLUMN_VALUE, "%" PRIu64, value);
}

static int print_text(const struct ddfs_ioc_stats *s)
{
	struct ddfs_table *t;
	int ret = ddfs_table_new("stats", columns, NR_COLUMNS, false, &t);

	if (ret)
		return ret;
	printf("persistence: %s\n", s->persistence);
	for (size_t i = 0; i < NR_COUNTERS; i++)
		add_line(t, counters[i].key, value_of(s, i));
	add_line(t, "requests", sum_requests(s));
	ret = ddfs_table_print(t);
	ddfs_table_delete(t);
	return ret;
}

/* --------------------------------------------------------------------------------------------- */

static int print_stats(const struct ddfs_target *target, bool json)
{
	struct ddfs_ioc_stats s = { 0 };
	int ret = ddfs_target_ioctl(target, DDFS_IOC_STATS, &s);

	if (ret) {
		ddfs_target_complain(target,
			ret == -ENOTTY ? "counted for whole mounts only; name the mount point"
				       : strerror(-ret));
		return ret;
	}
	s.persistence[sizeof(s.persistence) - 1] = '\0';
	return json ? print_json(&s) : print_text(&s);
}

static int stats_run(int argc, char **argv)
{
	struct ddfs_arguments a;
	struct ddfs_target t;
	int ret = ddfs_arguments_parse(&ddfs_command_stats, argc, argv, &a);

	if (ret || a.done)
		return ret;
	ret = ddfs_target_open(a.path, &t);
	if (ret)
		return ret;
	ret = print_stats(&t, a.json);
	ddfs_target_close(&t);
	return ret;
}

const struct ddfs_command ddfs_command_stats = {
	.name = "stats",
	.synopsis = "MOUNTPOINT",
	.summary = "Show what a mount has stored, flushed and synced",
	.run = stats_run,
};
