/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Poisoned memory for a process that maps an image file in /dev/shm, or a device-dax of 4 KiB
 * alignment: a library to preload into it. It listens on the UNIX socket DDFS_POISON_SOCKET. Each
 * connection is one line, in bytes of the file DDFS_POISON_FILE, and one line of answer, "ok" or an
 * error:
 *
 *	poison OFFSET LENGTH	loads from the views that can't be stored to raise SIGBUS (with
 *				BUS_MCEERR_AR, or BUS_ADRERR from a kernel without
 *CONFIG_MEMORY_FAILURE) heal OFFSET LENGTH	as before
 *
 * DDFS_POISON_AT, "OFFSET LENGTH ...", is poisoned whenever it is mapped. If DDFS_POISON_CLEARS is
 * set, fallocate(2) heals where it punches holes into the file; else that fails there.
 *
 * What the file holds does not change, and stores through a writable view go on working, as those
 *to poisoned persistent memory may. Where the kernel has UFFDIO_POISON (6.6) that does it.
 *Elsewhere one page of other memory is poisoned for good, with madvise(2), and mapped in place of
 *each: for virtual machines, for the page is lost until the machine ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#define PAGE 4096u

/* Of Linux 6.6; the headers here may be older. */
#ifndef UFFDIO_POISON
#define UFFD_FEATURE_POISON (1 << 14)
struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif

#define NR_POISONED 1024u

struct agent {
	const char *file;
	int listen_fd;
	int fault_fd; /* -1: without userfaultfd, by bad_fd */
	int bad_fd;   /* one page that is poisoned */
	pthread_mutex_t lock;
	unsigned int nr; /* pages in place of which bad_fd is mapped */
	struct {
		void *page;
		uint64_t off;
	} poisoned[NR_POISONED];
};

/* One, for the whole process: the kernel's calls that are watched here have no argument for it. */
static struct agent agent = { .fault_fd = -1, .bad_fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- a page, by userfaultfd ----------------------------------------------------------------- */

static int fault_poison(const struct agent *a, void *page)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)page, PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_poison poison = { .range = reg.range };
	int ret;

	if (ioctl(a->fault_fd, UFFDIO_REGISTER, &reg))
		return -errno;
	/* Only where nothing is mapped; and others may touch it again in between. */
	do {
		if (madvise(page, PAGE, MADV_DONTNEED))
			return -errno;
		ret = ioctl(a->fault_fd, UFFDIO_POISON, &poison);
	} while (ret && (errno == EEXIST || errno == EAGAIN));
	return ret ? -errno : 0;
}

static int fault_heal(const struct agent *a, void *page)
{
	struct uffdio_range range = { (uintptr_t)page, PAGE };

	if (ioctl(a->fault_fd, UFFDIO_UNREGISTER, &range) || madvise(page, PAGE, MADV_DONTNEED))
		return -errno;
	return 0;
}

/* ---- a page, by one that is bad ------------------------------------------------------------- */

static void *map_at(void *page, int fd, uint64_t off)
{
	return (void *)syscall(SYS_mmap, page, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, off);
}

static bool is_replaced(const struct agent *a, uint64_t off)
{
	for (unsigned int i = 0; i < a->nr; i++) {
		if (a->poisoned[i].off == off)
			return true;
	}
	return false;
}

static int replace_poison(struct agent *a, void *page, uint64_t off)
{
	if (a->nr == NR_POISONED)
		return -ENOSPC;
	if (map_at(page, a->bad_fd, 0) == MAP_FAILED)
		return -errno;
	a->poisoned[a->nr].page = page;
	a->poisoned[a->nr++].off = off;
	return 0;
}

static int replace_heal(struct agent *a, uint64_t off)
{
	int fd = open(a->file, O_RDONLY | O_CLOEXEC);
	int ret = fd < 0 ? -errno : 0;

	for (unsigned int i = 0; i < a->nr && !ret;) {
		if (a->poisoned[i].off != off)
			i++;
		else if (map_at(a->poisoned[i].page, fd, off) == MAP_FAILED)
			ret = -errno;
		else
			a->poisoned[i] = a->poisoned[--a->nr];
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Its own thread may get the signal: the handler of the process is not called for it. */
static int open_bad(void)
{
	int fd = memfd_create("poison", MFD_CLOEXEC);
	void *page;

	if (fd < 0 || ftruncate(fd, PAGE))
		return -1;
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -1;
	*(volatile char *)page = 0;
	if (madvise(page, PAGE, MADV_HWPOISON))
		return -1;
	munmap(page, PAGE);
	return fd;
}

/* ---- where it is mapped --------------------------------------------------------------------- */

/* Whether a line of /proc/self/maps is a view of the byte of the file, and at which address. */
static bool is_view(char *line, const char *file, uint64_t off, void **page)
{
	uint64_t start, end, file_off;
	char perms[5];
	int path = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &start, &end, perms,
		    &file_off, &path) != 4)
		return false;
	if (strcmp(perms, "r--s") != 0 || strcmp(line + path, file) != 0)
		return false;
	if (off < file_off || off - file_off >= end - start)
		return false;
	*page = (void *)(uintptr_t)(start + off - file_off); // NOLINT(performance-no-int-to-ptr)
	return true;
}

static int change_view(struct agent *a, bool poison, void *page, uint64_t off)
{
	if (a->fault_fd < 0)
		return poison ? replace_poison(a, page, off) : -EINVAL;
	return poison ? fault_poison(a, page) : fault_heal(a, page);
}

/* In every view of it. -ENXIO: there is none. */
static int change_page(struct agent *a, bool poison, uint64_t off)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	int ret = -ENXIO;
	void *page;

	if (!maps)
		return -errno;
	while ((ret == 0 || ret == -ENXIO) && fgets(line, sizeof(line), maps)) {
		if (is_view(line, a->file, off, &page))
			ret = change_view(a, poison, page, off);
	}
	fclose(maps);
	return ret;
}

static int change_range(struct agent *a, bool poison, uint64_t off, uint64_t len)
{
	int ret = 0;

	pthread_mutex_lock(&a->lock);
	for (uint64_t end = off + len; ret == 0 && off < end; off += PAGE) {
		if (!poison && a->fault_fd < 0)
			ret = replace_heal(a, off);
		else if (!is_replaced(a, off))
			ret = change_page(a, poison, off);
	}
	pthread_mutex_unlock(&a->lock);
	return ret;
}

/* ---- orders --------------------------------------------------------------------------------- */

static int obey(struct agent *a, const char *order)
{
	bool poison = strncmp(order, "poison ", 7) == 0;
	uint64_t off, len;

	if (sscanf(order, "%*[a-z] %" SCNu64 " %" SCNu64, &off, &len) != 2)
		return -EINVAL;
	return change_range(a, poison, off & -(uint64_t)PAGE, len);
}

static void *serve(void *arg)
{
	struct agent *a = arg;
	char order[128];
	ssize_t len;
	int fd, ret;

	while ((fd = accept4(a->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		len = read(fd, order, sizeof(order) - 1);
		order[len > 0 ? len : 0] = '\0';
		ret = obey(a, order);
		dprintf(fd, "%s\n", ret ? strerror(-ret) : "ok");
		close(fd);
	}
	return NULL;
}

/* ---- what is mapped ------------------------------------------------------------------------- */

static void poison_from_the_start(uint64_t mapped, uint64_t len)
{
	const char *at = getenv("DDFS_POISON_AT");
	uint64_t off, count;
	int used;

	for (; at && sscanf(at, "%" SCNu64 " %" SCNu64 "%n", &off, &count, &used) == 2;
		at += used) {
		if (off >= mapped && off - mapped < len && change_range(&agent, true, off, count))
			abort();
	}
}

/* In place of the C library's. */
void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *at = (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, off);

	if (at != MAP_FAILED && prot == PROT_READ && fd >= 0 && agent.file)
		poison_from_the_start((uint64_t)off, len);
	return at;
}

void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));

static bool is_file(int fd)
{
	struct stat st, of_file;

	return agent.file && !fstat(fd, &st) && !stat(agent.file, &of_file) &&
	       st.st_ino == of_file.st_ino && st.st_dev == of_file.st_dev;
}

/* The same. A hole punched into the file is how its owner has poison cleared. */
int fallocate(int fd, int mode, off_t off, off_t len)
{
	bool clears = (mode & FALLOC_FL_PUNCH_HOLE) && is_file(fd);
	int ret;

	if (clears && !getenv("DDFS_POISON_CLEARS")) {
		errno = EOPNOTSUPP;
		return -1;
	}
	ret = (int)syscall(SYS_fallocate, fd, mode, off, len);
	if (!ret && clears)
		change_range(&agent, false, (uint64_t)off, (uint64_t)len);
	return ret;
}

int fallocate64(int, int, off_t, off_t) __attribute__((alias("fallocate")));

/* ---- starting ------------------------------------------------------------------------------- */

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8)) {
		perror(path);
		abort();
	}
	return fd;
}

static int open_faults(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_POISON };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* A thread of its own that no signal of the process goes to; it ends with the process. */
__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("DDFS_POISON_SOCKET");
	sigset_t all, before;
	pthread_t thread;

	if (!path || !getenv("DDFS_POISON_FILE"))
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	agent.fault_fd = open_faults();
	if (agent.fault_fd < 0 && (agent.bad_fd = open_bad()) < 0) {
		perror("neither UFFDIO_POISON nor MADV_HWPOISON");
		abort();
	}
	agent.listen_fd = listen_at(path);
	agent.file = getenv("DDFS_POISON_FILE");
	if (pthread_create(&thread, NULL, serve, &agent))
		abort();
	pthread_detach(thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
