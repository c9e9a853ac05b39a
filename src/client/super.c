/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/client/super.h"

#define SUPER_BYTES 4096 /* also how far before the end the second one begins */
#define MAGIC	    UINT64_C(0x7366786164766564)
#define MAGIC_OFF   8
#define UUID_OFF    40
#define HEAD_BYTES  (UUID_OFF + 16)

/* read(2) does not work on device-dax. */
static int read_mapped(int fd, uint64_t off, uint64_t align, uint8_t head[HEAD_BYTES])
{
	uint64_t start = off & ~(align - 1);
	uint8_t *map = mmap(NULL, align, PROT_READ, MAP_SHARED, fd, (off_t)start);

	if (map == MAP_FAILED)
		return -errno;
	memcpy(head, map + (off - start), HEAD_BYTES);
	munmap(map, align);
	return 0;
}

static int read_head(int fd, uint64_t off, uint64_t align, uint8_t head[HEAD_BYTES])
{
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISCHR(st.st_mode))
		return read_mapped(fd, off, align, head);
	got = pread(fd, head, HEAD_BYTES, (off_t)off);
	if (got < 0)
		return -errno;
	return got == HEAD_BYTES ? 0 : -EIO;
}

static bool matches(const uint8_t head[HEAD_BYTES], const uint8_t uuid[16])
{
	uint64_t magic;

	memcpy(&magic, head + MAGIC_OFF, sizeof(magic));
	return le64toh(magic) == MAGIC && memcmp(head + UUID_OFF, uuid, 16) == 0;
}

/* One of the two is enough: the filesystem itself is content with it. */
int ddfs_client_super_check(
	int fd, uint64_t size_bytes, uint64_t align_bytes, const uint8_t uuid[16])
{
	uint8_t head[HEAD_BYTES];
	int ret = read_head(fd, 0, align_bytes, head);

	if (ret || matches(head, uuid))
		return ret;
	ret = read_head(fd, size_bytes - SUPER_BYTES, align_bytes, head);
	if (ret || matches(head, uuid))
		return ret;
	return -ENODEV;
}
