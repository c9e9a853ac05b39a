/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/client/client.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/devdaxfs_ioctl.h"

/* ---- files ---------------------------------------------------------------------------------- */

static uint8_t pattern_byte(uint64_t seed, uint64_t off)
{
	uint64_t word = (seed * 0x9e3779b97f4a7c15u + off / 8) * 0xff51afd7ed558ccdu;

	return (uint8_t)(word >> (8 + off % 8 * 4));
}

void client_pattern(void *to, uint64_t seed, uint64_t off, size_t len)
{
	uint8_t *p = to;
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = pattern_byte(seed, off + i);
}

bool client_is_pattern(const void *from, uint64_t seed, uint64_t off, size_t len)
{
	const uint8_t *p = from;
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] == pattern_byte(seed, off + i))
			continue;
		fprintf(stderr, "byte %llu is %#x, want %#x\n", (unsigned long long)(off + i), p[i],
			pattern_byte(seed, off + i));
		return false;
	}
	return true;
}

void client_pwrite(int fd, uint64_t seed, uint64_t off, size_t len)
{
	uint8_t *bytes = malloc(len);

	CHECK(bytes != NULL);
	client_pattern(bytes, seed, off, len);
	CHECK_SAME(pwrite(fd, bytes, len, (off_t)off), len);
	free(bytes);
}

bool client_file_is(int fd, uint64_t seed, uint64_t off, size_t len)
{
	uint8_t *bytes = malloc(len);
	bool good;

	CHECK(bytes != NULL);
	CHECK_SAME(pread(fd, bytes, len, (off_t)off), len);
	good = client_is_pattern(bytes, seed, off, len);
	free(bytes);
	return good;
}

int client_file(const char *name, uint64_t seed, uint64_t size)
{
	const uint64_t step = 4 * MIB;
	uint64_t off;
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	CHECK(fd >= 0 && fchmod(fd, 0666) == 0);
	for (off = 0; off < size; off += step)
		client_pwrite(fd, seed, off, size - off < step ? size - off : step);
	return fd;
}

uint64_t client_file_size(int fd)
{
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	return (uint64_t)st.st_size;
}

static void get_info(struct ddfs_ioc_info *info)
{
	int fd = open(".", O_RDONLY | O_DIRECTORY);

	CHECK(fd >= 0 && ioctl(fd, DDFS_IOC_INFO, info) == 0);
	close(fd);
}

uint64_t client_unit(void)
{
	struct ddfs_ioc_info info;

	get_info(&info);
	return info.unit_bytes;
}

uint64_t client_piece(void)
{
	const uint64_t unit = client_unit();

	return unit < MIB ? MIB : unit;
}

uint32_t client_epoch(void)
{
	struct ddfs_ioc_info info;

	get_info(&info);
	return info.epoch;
}

uint64_t client_size(void)
{
	struct ddfs_ioc_info info;

	get_info(&info);
	return info.size_bytes;
}

const char *client_image(void)
{
	static char path[PATH_MAX];
	struct ddfs_ioc_info info;

	get_info(&info);
	if (!info.inode)
		client_skip("for image files");
	snprintf(path, sizeof(path), "%s", info.path);
	return path;
}

bool client_is_device(void)
{
	struct ddfs_ioc_info info;

	get_info(&info);
	return info.inode == 0;
}

static struct ddfs_ioc_pin_stats stats_of(int fd)
{
	struct ddfs_ioc_pin_stats stats;

	CHECK(ioctl(fd, DDFS_IOC_PIN_STATS, &stats) == 0);
	return stats;
}

uint64_t client_nr_pins(int fd)
{
	return stats_of(fd).nr_pins;
}

uint64_t client_nr_breaks(int fd)
{
	return stats_of(fd).nr_breaks;
}
