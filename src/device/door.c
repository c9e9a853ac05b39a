/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <syslog.h>
#include <unistd.h>

#include "src/device/door.h"
#include "src/device/map.h"
#include "src/device/mc.h"
#include "src/device/say.h"
#include "src/device/store.h"

static struct ddfs_door *door_of(struct ddfs_media *m)
{
	return (struct ddfs_door *)m;
}

static void count(atomic_ullong *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* ---- deep flush ----------------------------------------------------------------------------- */

int ddfs_door_sync_file(const struct ddfs_door *door)
{
	return fdatasync(door->file_fd) ? -EIO : 0;
}

static int sync_file(void *arg)
{
	return ddfs_door_sync_file(arg);
}

/* There is one at a time. */
static void note_shared(struct ddfs_media_stats *stats, uint64_t nr)
{
	if (nr > atomic_load_explicit(&stats->most_shared, memory_order_relaxed))
		atomic_store_explicit(&stats->most_shared, nr, memory_order_relaxed);
}

static int deep_flush_once(void *arg)
{
	struct ddfs_door *door = arg;

	count(&door->media.stats.deep_flushes, 1);
	note_shared(&door->media.stats, ddfs_turn_served(&door->deeps));
	if (door->file_fd >= 0)
		return ddfs_turn_take(&door->syncs, sync_file, door);
	if (door->hint_fd >= 0 && pwrite(door->hint_fd, "1", 1, 0) != 1)
		return -EIO;
	return 0;
}

static int deep_flush(struct ddfs_media *m, enum ddfs_sync_cause cause)
{
	struct ddfs_door *door = door_of(m);

	count(&m->stats.syncs[cause], 1);
	return ddfs_turn_take(&door->deeps, deep_flush_once, door);
}

/* ---- reading what may be poisoned ----------------------------------------------------------- */

static size_t count_lost(struct ddfs_media *m, size_t left)
{
	if (left)
		count(&m->stats.lines_lost, 1);
	return left;
}

static size_t copy_out(struct ddfs_media *m, void *dst, uint64_t off, size_t len)
{
	return count_lost(m, ddfs_copy_mc(dst, m->base + off, len));
}

static size_t probe(struct ddfs_media *m, uint64_t off, size_t len)
{
	return count_lost(m, ddfs_probe_mc(m->base + off, len));
}

static int clear_poison(struct ddfs_media *m, uint64_t off, size_t len)
{
	return ddfs_poison_clear(&door_of(m)->poison, off, len);
}

static int bad_ranges(
	struct ddfs_media *m, void (*found)(void *arg, uint64_t off, uint64_t len), void *arg)
{
	return ddfs_poison_list(&door_of(m)->poison, found, arg);
}

/* ---- scratch -------------------------------------------------------------------------------- */

static void *scratch(struct ddfs_media *m, uint64_t off, size_t len)
{
	(void)len;
	return door_of(m)->writable + off;
}

/* ---- opening -------------------------------------------------------------------------------- */

static const struct ddfs_media_ops door_ops = {
	.copy = ddfs_store_copy,
	.set = ddfs_store_set,
	.flush = ddfs_store_flush,
	.drain = ddfs_store_drain,
	.deep_flush = deep_flush,
	.copy_out = copy_out,
	.probe = probe,
	.clear_poison = clear_poison,
	.bad_ranges = bad_ranges,
	.scratch = scratch,
};

static const struct ddfs_media_ops readonly_ops = {
	.copy_out = copy_out,
	.probe = probe,
	.bad_ranges = bad_ranges,
};

static bool is_in_memory(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st))
		return false;
	return st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC || st.f_type == HUGETLBFS_MAGIC;
}

/* The attribute reads "1" if the region has flush hints, and writing it flushes. It is kept open:
 * pmem2_deep_flush would look the region up anew each time, which takes milliseconds. */
static int open_hints(const struct ddfs_source *src, const struct ddfs_listener *to)
{
	char path[96], has_hints = '0';
	int fd;

	if (!src->region_name[0])
		return -1;
	snprintf(path, sizeof(path), "/sys/bus/nd/devices/%s/deep_flush", src->region_name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (pread(fd, &has_hints, 1, 0) != 1)
		has_hints = '0';
	close(fd);
	if (has_hints != '1')
		return -1;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		ddfs_say(to, LOG_WARNING,
			"%s: %s: fsync cannot use the flush hints of %s; run as root", path,
			strerror(errno), src->region_name);
	return fd;
}

static int map_writable(struct ddfs_door *door, struct ddfs_map *map, const struct ddfs_source *src,
	const struct ddfs_listener *to)
{
	int ret = ddfs_map_functions(map, src, PMEM2_GRANULARITY_CACHE_LINE, &door->flushed, to);

	if (!ret)
		ret = ddfs_map_functions(map, src, PMEM2_GRANULARITY_BYTE, &door->elided, to);
	if (!ret)
		ret = ddfs_map_writable(map, src, to);
	if (!ret)
		door->writable = pmem2_map_get_address(map->writable);
	return ret;
}

void ddfs_door_init_readonly(
	struct ddfs_door *door, const struct ddfs_map *map, const struct ddfs_source *src)
{
	*door = (struct ddfs_door){
		.media = {
			.ops = &readonly_ops,
			.base = pmem2_map_get_address(map->readable),
			.size = src->size_bytes,
			.align_bytes = src->align_bytes,
			.readonly = true,
		},
		.policy = DDFS_POLICY_NONE,
		.file_fd = -1,
		.hint_fd = -1,
		.poison = { .source = map->source, .image_fd = -1 },
	};
	ddfs_turn_init(&door->syncs);
	ddfs_turn_init(&door->deeps);
	ddfs_turn_init(&door->catch_ups);
}

int ddfs_door_init(struct ddfs_door *door, int fd, struct ddfs_map *map,
	const struct ddfs_source *src, enum ddfs_persistence wanted, const struct ddfs_listener *to)
{
	int ret;

	ddfs_door_init_readonly(door, map, src);
	door->in_memory = src->kind == DDFS_SOURCE_IMAGE && is_in_memory(fd);
	door->granularity = pmem2_map_get_store_granularity(map->readable);
	door->policy = ddfs_policy_choose(src, door->granularity, door->in_memory, wanted, to);
	ret = ddfs_switch_init(&door->sw, src->size_bytes);
	if (!ret)
		ret = map_writable(door, map, src, to);
	if (ret) {
		ddfs_door_fini(door);
		return ret;
	}
	ddfs_mc_add_view(door->writable, door->media.base, door->media.size);
	door->media.ops = &door_ops;
	door->media.readonly = false;
	if (src->kind == DDFS_SOURCE_IMAGE)
		door->poison.image_fd = fd;
	if (src->kind == DDFS_SOURCE_DEVDAX)
		door->hint_fd = open_hints(src, to);
	else if (!door->in_memory)
		door->file_fd = fd;
	return 0;
}

void ddfs_door_fini(struct ddfs_door *door)
{
	ddfs_mc_remove_view(door->writable);
	ddfs_store_forget(door);
	if (door->hint_fd >= 0)
		close(door->hint_fd);
	ddfs_switch_fini(&door->sw);
	ddfs_turn_fini(&door->catch_ups);
	ddfs_turn_fini(&door->deeps);
	ddfs_turn_fini(&door->syncs);
}
