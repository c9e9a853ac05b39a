/* SPDX-License-Identifier: BSD-3-Clause */
/* src/device/source.c and the files behind it, as far as a machine without device-dax shows. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "src/device/device.h"
#include "src/device/map.h"
#include "src/device/source.h"
#include "tests/unit/test_device_image.h"

static int find(const char *name, struct ddfs_source *out, struct ear *ear)
{
	ear->heard[0] = '\0';
	return ddfs_source_find(name, out, ear_listen, ear);
}

START_TEST(test_image)
{
	struct ddfs_source src;
	struct image image;
	struct ear ear;

	image_make(&image, IN_MEMORY, 16 * MIB + 100);
	ck_assert_int_eq(find(image.path, &src, &ear), 0);
	ck_assert_int_eq(src.kind, DDFS_SOURCE_IMAGE);
	ck_assert_str_eq(src.path, image.path);
	ck_assert_uint_eq(src.size_bytes, 16 * MIB); /* whole pages */
	ck_assert_uint_eq(src.align_bytes, 4096);
	ck_assert_int_eq(src.domain, DDFS_DOMAIN_UNKNOWN);
	ck_assert_str_eq(src.dax_name, "");
	ck_assert_str_eq(ear.heard, "");
	image_remove(&image);
}
END_TEST

START_TEST(test_image_relative_and_linked)
{
	struct ddfs_source direct, linked, relative, other;
	struct image image, second;
	char link[PATH_MAX + 8];
	struct ear ear;

	image_make(&image, IN_MEMORY, 16 * MIB);
	image_make(&second, IN_MEMORY, 16 * MIB);
	snprintf(link, sizeof(link), "%s.link", image.path);
	ck_assert_int_eq(symlink(image.path, link), 0);
	ck_assert_int_eq(chdir(IN_MEMORY), 0);

	ck_assert_int_eq(find(image.path, &direct, &ear), 0);
	ck_assert_int_eq(find(link, &linked, &ear), 0);
	ck_assert_int_eq(find(strrchr(image.path, '/') + 1, &relative, &ear), 0);
	ck_assert_int_eq(find(second.path, &other, &ear), 0);
	ck_assert_str_eq(linked.path, image.path);
	ck_assert_str_eq(relative.path, image.path);
	ck_assert(ddfs_source_is_same(&direct, &linked));
	ck_assert(ddfs_source_is_same(&direct, &relative));
	ck_assert(!ddfs_source_is_same(&direct, &other));
	unlink(link);
	image_remove(&second);
	image_remove(&image);
}
END_TEST

static const struct {
	const char *name;
	int ret;
	const char *advice;
} refusals[] = {
	{ "/dev/shm/ddfs-no-such-file", -ENOENT, "truncate -s" },
	{ "", -ENOENT, "no such file" },
	{ "/dev/shm", -EISDIR, "is a directory" },
	{ "/dev/null", -ENODEV, "not device-dax" },
	{ "/etc/passwd/x", -ENOTDIR, "Not a directory" },
	{ "dax99.7", -ENOENT, "there is no /dev/dax99.7" },
	{ "/dev/dax99.7", -ENOENT, "daxctl list" },
	{ "namespace99.7", -ENOENT, "ndctl list" },
	{ "UUID=12", -EINVAL, "12 is not a UUID" },
	{ "UUID=6f5c0a52-95ff-4cd6-8a4a-f4b51dca8ef0", -ENOENT, "image file must be named" },
	{ "LABEL=no such label", -ENOENT, "LABEL=no such label" },
};

START_TEST(test_refused)
{
	struct ddfs_source src = { .size_bytes = 42 };
	struct ear ear;

	ck_assert_int_eq(find(refusals[_i].name, &src, &ear), refusals[_i].ret);
	ck_assert_heard(&ear, refusals[_i].advice);
	ck_assert_uint_eq(src.size_bytes, 42); /* untouched */
}
END_TEST

START_TEST(test_path_too_long)
{
	char name[PATH_MAX + 2];
	struct ddfs_source src;
	struct ear ear;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(find(name, &src, &ear), -ENAMETOOLONG);
	ck_assert_heard(&ear, "longer than");
}
END_TEST

static void refuse_node(mode_t mode, dev_t rdev, int ret, const char *advice)
{
	struct ddfs_source src;
	struct image image;
	struct ear ear;

	image_make(&image, ON_DISK, 0);
	image_remove(&image);
	if (mknod(image.path, mode | 0600, rdev))
		return; /* not root, or a container that may not */
	ck_assert_int_eq(find(image.path, &src, &ear), ret);
	ck_assert_heard(&ear, advice);
	image_remove(&image);
}

START_TEST(test_fifo)
{
	refuse_node(S_IFIFO, 0, -EINVAL, "neither device-dax nor an image file");
}
END_TEST

START_TEST(test_block_device)
{
	refuse_node(S_IFBLK, makedev(7, 250), -ENODEV, "ndctl create-namespace -m devdax");
}
END_TEST

static const struct {
	const char *word;
	int ret;
	enum ddfs_persistence value;
} words[] = {
	{ "auto", 0, DDFS_PERSISTENCE_AUTO },
	{ "cpu_cache", 0, DDFS_PERSISTENCE_CPU_CACHE },
	{ "memory_controller", 0, DDFS_PERSISTENCE_MEMORY_CONTROLLER },
	{ "none", 0, DDFS_PERSISTENCE_NONE },
	{ "page", -EINVAL, 0 },
	{ "", -EINVAL, 0 },
	{ "CPU_CACHE", -EINVAL, 0 },
};

START_TEST(test_persistence_word)
{
	enum ddfs_persistence value;

	ck_assert_int_eq(ddfs_persistence_parse(words[_i].word, &value), words[_i].ret);
	if (!words[_i].ret)
		ck_assert_int_eq(value, words[_i].value);
}
END_TEST

/* What the next mapping of a part can't read: as the end of a file that was cut short behind it. */
static int cut_fd = -1;

void *__real_pmem2_map_get_address(struct pmem2_map *map);
void *__wrap_pmem2_map_get_address(struct pmem2_map *map);
void *__wrap_pmem2_map_get_address(struct pmem2_map *map)
{
	if (cut_fd >= 0)
		ck_assert_int_eq(ftruncate(cut_fd, 0), 0);
	return __real_pmem2_map_get_address(map);
}

/* An image, read as a device of that alignment would be. */
static const uint64_t alignments[] = { 4096, 2 * MIB };

START_TEST(test_block)
{
	struct ddfs_source src = {
		.kind = DDFS_SOURCE_DEVDAX, .size_bytes = 16 * MIB, .align_bytes = alignments[_i]
	};
	uint8_t block[DDFS_HEAD_BYTES];
	const uint64_t last = 16 * MIB - sizeof(block);
	struct image image;
	int fd;

	image_make(&image, IN_MEMORY, 16 * MIB);
	fd = open(image.path, O_RDWR);
	ck_assert_int_eq(pwrite(fd, "first", 5, 0), 5);
	ck_assert_int_eq(pwrite(fd, "last", 4, (off_t)last), 4);
	ck_assert_int_eq(ddfs_map_read_head(fd, &src, block), 0);
	ck_assert(memcmp(block, "first", 5) == 0);
	ck_assert_int_eq(ddfs_map_read_block(fd, &src, last, block), 0);
	ck_assert(memcmp(block, "last", 4) == 0);
	ck_assert_int_eq(ddfs_map_read_block(fd, &src, 16 * MIB, block), -EINVAL);
	cut_fd = fd;
	ck_assert_int_eq(ddfs_map_read_head(fd, &src, block), -EIO);
	ck_assert_int_eq(ftruncate(fd, 16 * MIB), 0);
	ck_assert_int_eq(ddfs_map_read_block(fd, &src, last, block), -EIO);
	close(fd);
	image_remove(&image);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device source");
	TCase *tc = tcase_create("source");

	tcase_add_test(tc, test_image);
	tcase_add_test(tc, test_image_relative_and_linked);
	tcase_add_loop_test(tc, test_refused, 0, sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tc, test_path_too_long);
	tcase_add_test(tc, test_fifo);
	tcase_add_test(tc, test_block_device);
	tcase_add_loop_test(tc, test_persistence_word, 0, sizeof(words) / sizeof(words[0]));
	tcase_add_loop_test(tc, test_block, 0, sizeof(alignments) / sizeof(alignments[0]));
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
