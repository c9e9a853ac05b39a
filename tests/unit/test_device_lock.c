/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * src/device/lock.c and owner.c: one owner a device, and who it is.
 *
 * ddfs_probe_super is wrapped, so that the mount record says what a test wants without a
 * filesystem being there.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <uuid/uuid.h>

#include "fs/mkfs.h"
#include "src/device/device.h"
#include "src/device/lock.h"
#include "src/device/owner.h"
#include "tests/unit/test_device_image.h"

static struct ddfs_probe record; /* what the superblock says */
static bool has_record;

bool __wrap_ddfs_probe_super(const void *head, struct ddfs_probe *out);
bool __wrap_ddfs_probe_super(const void *head, struct ddfs_probe *out)
{
	(void)head;
	*out = record;
	return has_record;
}

static void record_mounted_by(pid_t pid)
{
	char text[37] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%36s", text), 1);
	fclose(f);
	ck_assert_int_eq(uuid_parse(text, record.boot_id), 0);
	record.mounted = true;
	record.owner_pid = (uint32_t)pid;
	has_record = true;
}

static int open_device(
	const struct image *image, bool no_wait, struct ear *ear, struct ddfs_device **out)
{
	const struct ddfs_device_options opt = {
		.no_wait = no_wait,
		.log = ear_listen,
		.log_arg = ear,
	};

	ear->heard[0] = '\0';
	return ddfs_device_open(image->path, &opt, out);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

START_TEST(test_second_owner_refused)
{
	struct ddfs_device *first, *second;
	struct image image;
	struct ear ear;

	image_make(&image, IN_MEMORY, 16 * MIB);
	ck_assert_int_eq(open_device(&image, true, &ear, &first), 0);
	ck_assert_int_eq(open_device(&image, true, &ear, &second), -EBUSY);
	ck_assert_heard(&ear, "is in use by another process");
	ddfs_device_close(first);
	ck_assert_int_eq(open_device(&image, true, &ear, &first), 0);
	ddfs_device_close(first);
	image_remove(&image);
}
END_TEST

static void *close_soon(void *arg)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000000L };

	nanosleep(&pause, NULL);
	ddfs_device_close(arg);
	return NULL;
}

/* An owner that lives but has it mounted nowhere: an umount that is about to finish. */
START_TEST(test_waits_for_leaving_owner)
{
	struct ddfs_device *first, *second;
	struct image image;
	pthread_t thread;
	struct ear ear;
	int64_t start;

	if (_i)
		record_mounted_by(getpid());
	image_make(&image, IN_MEMORY, 16 * MIB);
	ck_assert_int_eq(open_device(&image, true, &ear, &first), 0);
	start = now_ms();
	ck_assert_int_eq(pthread_create(&thread, NULL, close_soon, first), 0);
	ck_assert_int_eq(open_device(&image, false, &ear, &second), 0);
	ck_assert_int_ge(now_ms() - start, 90);
	pthread_join(thread, NULL);
	ddfs_device_close(second);
	image_remove(&image);
}
END_TEST

/* The daemon forks: the lock must outlive the parent's copy of the descriptor. */
START_TEST(test_lock_survives_fork)
{
	struct ddfs_device *dev;
	struct image image;
	struct ear ear;
	int ends[2];
	char byte;
	pid_t child;

	image_make(&image, IN_MEMORY, 16 * MIB);
	ck_assert_int_eq(open_device(&image, true, &ear, &dev), 0);
	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) < 0);
	}
	ddfs_device_close(dev);
	ck_assert_int_eq(open_device(&image, true, &ear, &dev), -EBUSY);
	close(ends[1]);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(open_device(&image, true, &ear, &dev), 0);
	ddfs_device_close(dev);
	image_remove(&image);
}
END_TEST

/* A mount of our type whose daemon never answers is enough to show in mountinfo. */
static int mount_silent(const char *source, const char *dir)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[96];

	if (fd < 0)
		return -1;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (mount(source, dir, "fuse.devdaxfs", 0, options) == 0)
		return fd;
	close(fd);
	return -1;
}

START_TEST(test_mounted_owner_named)
{
	struct ddfs_device *first, *second;
	char dir[] = "/dev/shm/ddfs test-XXXXXX", link[PATH_MAX + 8], said[PATH_MAX + 128];
	struct image image;
	struct ear ear;
	int64_t start;
	int fuse;

	image_make(&image, IN_MEMORY, 16 * MIB);
	snprintf(link, sizeof(link), "%s link", image.path);
	ck_assert_int_eq(symlink(image.path, link), 0);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	fuse = mount_silent(_i ? link : image.path, dir);
	if (fuse >= 0) {
		record_mounted_by(getpid());
		ck_assert_int_eq(open_device(&image, true, &ear, &first), 0);
		start = now_ms();
		ck_assert_int_eq(open_device(&image, false, &ear, &second), -EBUSY);
		ck_assert_int_lt(now_ms() - start, 1000);
		snprintf(said, sizeof(said), "%s is mounted by pid %d at %s", image.path,
			(int)getpid(), dir);
		ck_assert_heard(&ear, said);
		ddfs_device_close(first);
		umount2(dir, MNT_DETACH);
		close(fuse);
	}
	rmdir(dir);
	unlink(link);
	image_remove(&image);
}
END_TEST

static const struct {
	const char *source; /* of the mount; %s is the image */
	const char *type;
	bool found;
} mounts[] = {
	{ "%s", "fuse.devdaxfs", true },
	{ "%s", "fuse.sshfs", false },
	{ "/nowhere/%s", "fuse.devdaxfs", false },
	{ "LABEL=else", "fuse.devdaxfs", false },
	{ "RELATIVE", "fuse.devdaxfs", true },
};

START_TEST(test_mountinfo)
{
	char mountpoint[PATH_MAX] = "", source[PATH_MAX + 16];
	struct image image, mountinfo;
	struct ddfs_source src;
	FILE *f;

	image_make(&image, IN_MEMORY, 16 * MIB);
	image_make(&mountinfo, IN_MEMORY, 0);
	ck_assert_int_eq(ddfs_source_find(image.path, &src, NULL, NULL), 0);
	snprintf(source, sizeof(source), mounts[_i].source, image.path);
	if (strcmp(source, "RELATIVE") == 0)
		snprintf(source, sizeof(source), "%s", strrchr(image.path, '/') + 1);
	f = fopen(mountinfo.path, "w");
	fprintf(f, "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n");
	fprintf(f, "99 22 0:50 / /mnt/a\\040b\\134c rw,nosuid shared:7 master:1 - %s %s rw\n",
		mounts[_i].type, source);
	fclose(f);
	ck_assert_int_eq(ddfs_owner_find_mount(mountinfo.path, &src, mountpoint), mounts[_i].found);
	if (mounts[_i].found)
		ck_assert_str_eq(mountpoint, "/mnt/a b\\c");
	image_remove(&mountinfo);
	image_remove(&image);
}
END_TEST

static pid_t find_owner(const struct image *image)
{
	int fd = open(image->path, O_RDONLY);
	struct ddfs_source src;
	struct ddfs_owner owner;

	ck_assert_int_eq(ddfs_source_find(image->path, &src, NULL, NULL), 0);
	ddfs_owner_find(fd, &src, &owner);
	close(fd);
	ck_assert_str_eq(owner.mountpoint, "");
	return owner.pid;
}

START_TEST(test_stale_record)
{
	struct image image;
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	image_make(&image, IN_MEMORY, 16 * MIB);
	ck_assert_int_eq(find_owner(&image), 0); /* no superblock */
	record_mounted_by(getpid());
	ck_assert_int_eq(find_owner(&image), getpid());
	record.mounted = false;
	ck_assert_int_eq(find_owner(&image), 0); /* unmounted */
	record_mounted_by(child);
	ck_assert_int_eq(find_owner(&image), 0); /* dead */
	record_mounted_by(getpid());
	record.boot_id[3] ^= 1;
	ck_assert_int_eq(find_owner(&image), 0); /* of another boot */
	image_remove(&image);
}
END_TEST

static int lock_image(const struct image *image, int fd, bool writable, struct ear *ear)
{
	const struct ddfs_listener to = { .log = ear_listen, .arg = ear };
	struct ddfs_source src;

	ear->heard[0] = '\0';
	ck_assert_int_eq(ddfs_source_find(image->path, &src, NULL, NULL), 0);
	return ddfs_lock_owner(fd, writable, true, &src, image->path, &to);
}

START_TEST(test_readers_share)
{
	struct image image;
	struct ear ear;
	int a, b, w;

	image_make(&image, IN_MEMORY, 16 * MIB);
	a = open(image.path, O_RDONLY);
	b = open(image.path, O_RDONLY);
	w = open(image.path, O_RDWR);
	ck_assert_int_eq(lock_image(&image, a, false, &ear), 0);
	ck_assert_int_eq(lock_image(&image, b, false, &ear), 0);
	ck_assert_int_eq(lock_image(&image, w, true, &ear), -EBUSY);
	close(a);
	close(b);
	ck_assert_int_eq(lock_image(&image, w, true, &ear), 0);
	close(w);
	image_remove(&image);
}
END_TEST

/* A client as src/devdaxfs_ioctl.h has it lock the device. */
static int client_of(const struct image *image, uint32_t epoch)
{
	const uint64_t bytes[] = { DDFS_LOCK_CLIENTS, DDFS_LOCK_EPOCH + epoch };
	int fd = open(image->path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (size_t i = 0; i < 2; i++) {
		struct flock lock = { .l_type = F_RDLCK, .l_start = (off_t)bytes[i], .l_len = 1 };

		ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	}
	return fd;
}

static const uint32_t epochs[] = { 1, 2, 0x7fffffff, UINT32_MAX };

START_TEST(test_clients_alive)
{
	uint32_t epoch = epochs[_i];
	struct ddfs_device *dev;
	struct image image;
	struct ear ear;
	int a, b;

	image_make(&image, IN_MEMORY, 16 * MIB);
	ck_assert_int_eq(open_device(&image, true, &ear, &dev), 0);
	ck_assert(!ddfs_device_clients_alive(dev, epoch));
	a = client_of(&image, epoch);
	b = client_of(&image, epoch);
	ck_assert(ddfs_device_clients_alive(dev, epoch));
	ck_assert(!ddfs_device_clients_alive(dev, epoch - 1));
	ck_assert(!ddfs_device_clients_alive(dev, epoch + 1));
	close(a);
	ck_assert(ddfs_device_clients_alive(dev, epoch));
	close(b);
	ck_assert(!ddfs_device_clients_alive(dev, epoch));
	ddfs_device_close(dev);
	image_remove(&image);
}
END_TEST

/* Whoever would store where clients have it mapped is refused, but for a mount, which knows what
 * they pinned; and those who only read. */
START_TEST(test_clients_keep_owners_out)
{
	struct ddfs_device_options opt = { .no_wait = true, .log = ear_listen };
	struct ddfs_device *dev;
	struct image image;
	struct ear ear = { .heard = "" };
	int client;

	opt.log_arg = &ear;
	image_make(&image, IN_MEMORY, 16 * MIB);
	client = client_of(&image, 7);
	ck_assert_int_eq(ddfs_device_open(image.path, &opt, &dev), -EBUSY);
	ck_assert_heard(&ear, "still have the device mapped");
	opt.with_clients = true;
	ck_assert_int_eq(ddfs_device_open(image.path, &opt, &dev), 0);
	ddfs_device_close(dev);
	opt.with_clients = false;
	opt.readonly = true;
	ck_assert_int_eq(ddfs_device_open(image.path, &opt, &dev), 0);
	ddfs_device_close(dev);
	opt.readonly = false;
	close(client);
	ck_assert_int_eq(ddfs_device_open(image.path, &opt, &dev), 0);
	ddfs_device_close(dev);
	image_remove(&image);
}
END_TEST

/* A child that was forked has the client's mapping too. */
START_TEST(test_clients_survive_fork)
{
	struct ddfs_device *dev;
	struct image image;
	struct ear ear;
	int ends[2], client;
	char byte;
	pid_t child;

	image_make(&image, IN_MEMORY, 16 * MIB);
	ck_assert_int_eq(open_device(&image, true, &ear, &dev), 0);
	client = client_of(&image, 3);
	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) < 0);
	}
	close(client);
	ck_assert(ddfs_device_clients_alive(dev, 3));
	close(ends[1]);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(!ddfs_device_clients_alive(dev, 3));
	ddfs_device_close(dev);
	image_remove(&image);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device lock");
	TCase *tc = tcase_create("lock");

	tcase_add_test(tc, test_second_owner_refused);
	tcase_add_loop_test(tc, test_waits_for_leaving_owner, 0, 2);
	tcase_add_test(tc, test_lock_survives_fork);
	tcase_add_loop_test(tc, test_mounted_owner_named, 0, 2);
	tcase_add_loop_test(tc, test_mountinfo, 0, sizeof(mounts) / sizeof(mounts[0]));
	tcase_add_test(tc, test_stale_record);
	tcase_add_test(tc, test_readers_share);
	tcase_add_loop_test(tc, test_clients_alive, 0, sizeof(epochs) / sizeof(epochs[0]));
	tcase_add_test(tc, test_clients_keep_owners_out);
	tcase_add_test(tc, test_clients_survive_fork);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
