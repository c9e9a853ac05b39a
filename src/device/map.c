/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "src/device/map.h"
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

static int map_view(
	struct pmem2_source *source, uint64_t len, unsigned int prot, struct pmem2_map **out)
{
	struct pmem2_config *cfg;
	int ret = pmem2_config_new(&cfg);

	if (ret)
		return ddfs_pmem2_errno(ret);
	/* whatever the memory needs is acceptable: the door asks which it was */
	ret = pmem2_config_set_required_store_granularity(cfg, PMEM2_GRANULARITY_PAGE);
	if (!ret)
		ret = pmem2_config_set_length(cfg, len);
	if (!ret)
		ret = pmem2_config_set_protection(cfg, prot);
	if (!ret)
		ret = pmem2_map_new(out, cfg, source);
	pmem2_config_delete(&cfg);
	return ddfs_pmem2_errno(ret);
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
static int map_forced(struct ddfs_map *map, uint64_t len, const char *granularity)
{
	static const char name[] = "PMEM2_FORCE_GRANULARITY";
	const char *set = getenv(name);
	char *before = set ? strdup(set) : NULL;
	int ret;

	if (set && !before)
		return -ENOMEM;
	ret = change_environment(name, granularity);
	if (!ret)
		ret = map_view(
			map->source, len, PMEM2_PROT_READ | PMEM2_PROT_WRITE, &map->writable);
	change_environment(name, before);
	free(before);
	return ret;
}

int ddfs_map_writable(struct ddfs_map *map, const struct ddfs_source *src,
	enum pmem2_granularity granularity, const struct ddfs_listener *to)
{
	static const char *const names[] = {
		[PMEM2_GRANULARITY_BYTE] = "BYTE",
		[PMEM2_GRANULARITY_CACHE_LINE] = "CACHE_LINE",
		[PMEM2_GRANULARITY_PAGE] = "PAGE",
	};
	int ret = map_forced(map, src->size_bytes, names[granularity]);

	return ret ? fail(ret, src, to) : 0;
}

void ddfs_map_fini(struct ddfs_map *map)
{
	if (map->writable)
		pmem2_map_delete(&map->writable);
	pmem2_map_delete(&map->readable);
	pmem2_source_delete(&map->source);
}

/* read(2) does not work on device-dax. */
static int read_head_mapped(int fd, const struct ddfs_source *src, void *head)
{
	struct pmem2_source *source;
	struct pmem2_map *map;
	int ret = pmem2_source_from_fd(&source, fd);

	if (ret)
		return ddfs_pmem2_errno(ret);
	ret = map_view(source, src->align_bytes, PMEM2_PROT_READ, &map);
	if (!ret) {
		memcpy(head, pmem2_map_get_address(map), DDFS_HEAD_BYTES);
		pmem2_map_delete(&map);
	}
	pmem2_source_delete(&source);
	return ret;
}

int ddfs_map_read_head(int fd, const struct ddfs_source *src, void *head)
{
	ssize_t got;

	if (src->size_bytes < DDFS_HEAD_BYTES)
		return -EINVAL;
	if (src->kind == DDFS_SOURCE_DEVDAX)
		return read_head_mapped(fd, src, head);
	got = pread(fd, head, DDFS_HEAD_BYTES, 0);
	if (got < 0)
		return -errno;
	return got == DDFS_HEAD_BYTES ? 0 : -EINVAL;
}
