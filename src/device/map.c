/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "src/device/map.h"
#include "src/device/mc.h"
#include "src/device/source.h"

int ddfs_pmem2_errno(int ret)
{
	if (ret > PMEM2_E_UNKNOWN)
		return ret; /* 0 or -errno */
	switch (ret) {
	case PMEM2_E_NO_ACCESS:
		return -EACCES;
	case PMEM2_E_NOSUPP:
		return -EOPNOTSUPP;
	case PMEM2_E_MAP_RANGE:
		return -EFBIG;
	default:
		return -EINVAL;
	}
}

static int map_part(struct pmem2_source *source, uint64_t off, uint64_t len, unsigned int prot,
	struct pmem2_map **out)
{
	struct pmem2_config *cfg;
	int ret = pmem2_config_new(&cfg);

	if (ret)
		return ddfs_pmem2_errno(ret);
	/* whatever the memory needs is acceptable: the door asks which it was */
	ret = pmem2_config_set_required_store_granularity(cfg, PMEM2_GRANULARITY_PAGE);
	if (!ret)
		ret = pmem2_config_set_offset(cfg, off);
	if (!ret)
		ret = pmem2_config_set_length(cfg, len);
	if (!ret)
		ret = pmem2_config_set_protection(cfg, prot);
	if (!ret)
		ret = pmem2_map_new(out, cfg, source);
	pmem2_config_delete(&cfg);
	return ddfs_pmem2_errno(ret);
}

static int map_view(
	struct pmem2_source *source, uint64_t len, unsigned int prot, struct pmem2_map **out)
{
	return map_part(source, 0, len, prot, out);
}

static int fail(int ret, const struct ddfs_source *src, const struct ddfs_listener *to)
{
	ddfs_say(to, LOG_ERR, "%s cannot be mapped: %s (%s)", src->path, strerror(-ret),
		pmem2_errormsg());
	return ret;
}

int ddfs_map_init(
	struct ddfs_map *map, int fd, const struct ddfs_source *src, const struct ddfs_listener *to)
{
	int ret = pmem2_source_from_fd(&map->source, fd);

	if (ret)
		return fail(ddfs_pmem2_errno(ret), src, to);
	ret = map_view(map->source, src->size_bytes, PMEM2_PROT_READ, &map->readable);
	if (ret) {
		fail(ret, src, to);
		pmem2_source_delete(&map->source);
		return ret;
	}
	map->writable = NULL;
	return 0;
}

/* Sets name to value, or removes it if value is NULL. */
static int change_environment(const char *name, const char *value)
{
	if (value ? setenv(name, value, 1) : unsetenv(name))
		return -errno;
	return 0;
}

/* libpmem2 picks its functions by what a mapping is. That is not always what they are to be: an
 * override, an image in memory, an eADR region beside one without. This variable, which it reads
 * at every mapping, is its way to be told. */
static int map_forced(
	struct ddfs_map *map, uint64_t len, const char *granularity, struct pmem2_map **out)
{
	static const char name[] = "PMEM2_FORCE_GRANULARITY";
	const char *set = getenv(name);
	char *before = set ? strdup(set) : NULL;
	int ret;

	if (set && !before)
		return -ENOMEM;
	ret = change_environment(name, granularity);
	if (!ret)
		ret = map_view(map->source, len, PMEM2_PROT_READ | PMEM2_PROT_WRITE, out);
	change_environment(name, before);
	free(before);
	return ret;
}

int ddfs_map_writable(
	struct ddfs_map *map, const struct ddfs_source *src, const struct ddfs_listener *to)
{
	int ret = map_view(
		map->source, src->size_bytes, PMEM2_PROT_READ | PMEM2_PROT_WRITE, &map->writable);

	return ret ? fail(ret, src, to) : 0;
}

/* The map itself is of no use, and as small as the device allows. */
int ddfs_map_functions(struct ddfs_map *map, const struct ddfs_source *src,
	enum pmem2_granularity granularity, struct ddfs_map_functions *out,
	const struct ddfs_listener *to)
{
	static const char *const names[] = {
		[PMEM2_GRANULARITY_BYTE] = "BYTE",
		[PMEM2_GRANULARITY_CACHE_LINE] = "CACHE_LINE",
		[PMEM2_GRANULARITY_PAGE] = "PAGE",
	};
	struct pmem2_map *forced;
	int ret = map_forced(map, src->align_bytes, names[granularity], &forced);

	if (ret)
		return fail(ret, src, to);
	*out = (struct ddfs_map_functions){
		.memcpy = pmem2_get_memcpy_fn(forced),
		.memset = pmem2_get_memset_fn(forced),
		.flush = pmem2_get_flush_fn(forced),
		.drain = pmem2_get_drain_fn(forced),
	};
	return ddfs_pmem2_errno(pmem2_map_delete(&forced));
}

void ddfs_map_fini(struct ddfs_map *map)
{
	if (map->writable)
		pmem2_map_delete(&map->writable);
	pmem2_map_delete(&map->readable);
	pmem2_source_delete(&map->source);
}

/* As read(2) of a bad page: it fails, and nobody dies. */
static int copy_block(void *block, const void *from)
{
	int ret = ddfs_mc_init();

	if (ret)
		return ret;
	if (ddfs_copy_mc(block, from, DDFS_HEAD_BYTES))
		ret = -EIO;
	ddfs_mc_fini();
	return ret;
}

/* read(2) does not work on device-dax. */
static int read_mapped(int fd, const struct ddfs_source *src, uint64_t off, void *block)
{
	uint64_t in_page = off % src->align_bytes;
	struct pmem2_source *source;
	struct pmem2_map *map;
	int ret = pmem2_source_from_fd(&source, fd);

	if (ret)
		return ddfs_pmem2_errno(ret);
	ret = map_part(source, off - in_page, src->align_bytes, PMEM2_PROT_READ, &map);
	if (!ret) {
		ret = copy_block(block, (uint8_t *)pmem2_map_get_address(map) + in_page);
		pmem2_map_delete(&map);
	}
	pmem2_source_delete(&source);
	return ret;
}

int ddfs_map_read_block(int fd, const struct ddfs_source *src, uint64_t off, void *block)
{
	ssize_t got;

	if (off >= src->size_bytes || src->size_bytes - off < DDFS_HEAD_BYTES)
		return -EINVAL;
	if (src->kind == DDFS_SOURCE_DEVDAX)
		return read_mapped(fd, src, off, block);
	got = pread(fd, block, DDFS_HEAD_BYTES, (off_t)off);
	if (got < 0)
		return -errno;
	return got == DDFS_HEAD_BYTES ? 0 : -EINVAL;
}

int ddfs_map_read_head(int fd, const struct ddfs_source *src, void *head)
{
	return ddfs_map_read_block(fd, src, 0, head);
}
