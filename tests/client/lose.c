/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/client/lose.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/client/client.h"

#define PAGE_BYTES ((uintptr_t)4096)

/* Of <linux/userfaultfd.h> from Linux 6.6 on. */
#define POISON_FEATURE (UINT64_C(1) << 14)
struct poison_arg {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define POISON_IOCTL _IOWR(UFFDIO, 0x08, struct poison_arg)

/* -1: the kernel can't. One for all pages, open to the end: memory that it covers belongs to it. */
static int get_faults(void)
{
	static int fd = -1;
	struct uffdio_api api = { .api = UFFD_API, .features = POISON_FEATURE };

	if (fd >= 0)
		return fd;
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool poison(int fd, void *page)
{
	struct uffdio_range range = { .start = (uintptr_t)page, .len = PAGE_BYTES };
	struct uffdio_register reg = { .range = range, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct poison_arg p = { .range = range };

	if (ioctl(fd, UFFDIO_REGISTER, &reg))
		return false;
	/* It must not be there yet. */
	CHECK(madvise(page, PAGE_BYTES, MADV_DONTNEED) == 0);
	return ioctl(fd, POISON_IOCTL, &p) == 0;
}

void lose_page(void *page)
{
	int fd = get_faults();

	if (fd >= 0 && poison(fd, page))
		return;
	if (!client_is_device() || madvise(page, PAGE_BYTES, MADV_HWPOISON))
		client_skip("no poison here: neither UFFDIO_POISON nor a device and MADV_HWPOISON");
}

void lose_nothing(void *addr, size_t len)
{
	madvise(addr, len, MADV_DONTNEED);
}

void *lose_elsewhere(void)
{
	int fd = memfd_create("cut", MFD_CLOEXEC);
	void *page;

	CHECK(fd >= 0);
	page = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(page != MAP_FAILED);
	return page;
}
