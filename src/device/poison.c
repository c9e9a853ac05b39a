/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/device/poison.h"

#include <errno.h>
#include <fcntl.h>
#include <libpmem2.h>
#include <linux/falloc.h>

#include "src/device/map.h"

int ddfs_poison_list(const struct ddfs_device_poison *p,
	void (*found)(void *arg, uint64_t off, uint64_t len), void *arg)
{
	struct pmem2_badblock_context *ctx;
	struct pmem2_badblock bad;
	int ret = pmem2_badblock_context_new(&ctx, p->source);

	if (ret)
		return ddfs_pmem2_errno(ret);
	while (!(ret = pmem2_badblock_next(ctx, &bad)))
		found(arg, bad.offset, bad.length);
	pmem2_badblock_context_delete(&ctx);
	return ret == PMEM2_E_NO_BAD_BLOCK_FOUND ? 0 : ddfs_pmem2_errno(ret);
}

/* A page that memory was found bad under stays part of a file in memory until it is punched out. */
static int replace_pages(int fd, uint64_t off, size_t len)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) ||
		fallocate(fd, 0, (off_t)off, (off_t)len))
		return -errno;
	return 0;
}

int ddfs_poison_clear(const struct ddfs_device_poison *p, uint64_t off, size_t len)
{
	struct pmem2_badblock bad = { .offset = off, .length = len };
	struct pmem2_badblock_context *ctx;
	int ret;

	if (p->image_fd >= 0)
		return replace_pages(p->image_fd, off, len);
	ret = pmem2_badblock_context_new(&ctx, p->source);
	if (ret)
		return ddfs_pmem2_errno(ret);
	ret = pmem2_badblock_clear(ctx, &bad);
	pmem2_badblock_context_delete(&ctx);
	return ddfs_pmem2_errno(ret);
}
