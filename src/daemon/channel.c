/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Waiting requests of one descriptor that the others on it do not notice. */
#define PARKED_FEW 128

/* Longest answer that is written in one piece. */
#define WHOLE_BYTES 512

/* In the number of an INTERRUPT, which is otherwise that of the request to be interrupted. */
#define UNIQUE_INTERRUPT 1

void ddfs_channels_init(struct ddfs_channels *c, int fd)
{
	*c = (struct ddfs_channels){ .fd = { fd }, .nr = 1 };
	pthread_mutex_init(&c->lock, NULL);
}

void ddfs_channels_fini(struct ddfs_channels *c)
{
	for (unsigned int i = 1; i < atomic_load(&c->nr); i++)
		close(c->fd[i]);
	pthread_mutex_destroy(&c->lock);
}

unsigned int ddfs_channels_current(struct ddfs_channels *c)
{
	return atomic_load_explicit(&c->current, memory_order_acquire);
}

/* Another descriptor of the connection; false if there can't be one. */
static bool channels_add(struct ddfs_channels *c)
{
	unsigned int nr = atomic_load(&c->nr);
	uint32_t first = (uint32_t)c->fd[0];
	int fd;

	if (nr == DDFS_CHANNELS_MAX)
		return false;
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (ioctl(fd, FUSE_DEV_IOC_CLONE, &first) < 0) {
		close(fd);
		return false;
	}
	c->fd[nr] = fd;
	atomic_store(&c->nr, nr + 1);
	return true;
}

static unsigned int channels_emptiest(const struct ddfs_channels *c)
{
	unsigned int best = 0;

	for (unsigned int i = 1; i < c->nr; i++)
		if (c->nr_parked[i] < c->nr_parked[best])
			best = i;
	return best;
}

/* Whoever sleeps in read(2) does so on the old one until the next request. */
static void channels_switch(struct ddfs_channels *c)
{
	unsigned int to = channels_emptiest(c);

	if (c->nr_parked[to] >= PARKED_FEW && channels_add(c))
		to = channels_emptiest(c);
	atomic_store_explicit(&c->current, to, memory_order_release);
}

void ddfs_channels_park(struct ddfs_channels *c, unsigned int channel)
{
	pthread_mutex_lock(&c->lock);
	c->nr_parked[channel]++;
	if (c->nr_parked[channel] >= PARKED_FEW && channel == atomic_load(&c->current))
		channels_switch(c);
	pthread_mutex_unlock(&c->lock);
}

void ddfs_channels_unpark(struct ddfs_channels *c, unsigned int channel)
{
	pthread_mutex_lock(&c->lock);
	c->nr_parked[channel]--;
	pthread_mutex_unlock(&c->lock);
}

/* The kernel finds and takes hold of the memory of each piece anew, which costs more than to put
 * together here what is short. */
static ssize_t channel_write(int fd, const struct iovec *iov, int count)
{
	char whole[WHOLE_BYTES];
	size_t len = 0;

	for (int i = 0; i < count; i++) {
		if (iov[i].iov_len > sizeof(whole) - len)
			return writev(fd, iov, count);
		memcpy(whole + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	return write(fd, whole, len);
}

/* An INTERRUPT may have been read from another channel than the request that it is for, which is
 * where the kernel looks for it. */
static ssize_t channels_writev_all(struct ddfs_channels *c, const struct iovec *iov, int count)
{
	ssize_t ret = -1;

	for (unsigned int i = 0; i < atomic_load(&c->nr); i++) {
		ret = channel_write(c->fd[i], iov, count);
		if (ret >= 0 || errno != ENOENT)
			break;
	}
	return ret;
}

ssize_t ddfs_channels_writev(struct ddfs_channels *c, unsigned int channel, uint64_t unique,
	const struct iovec *iov, int count)
{
	if (unique & UNIQUE_INTERRUPT)
		return channels_writev_all(c, iov, count);
	return channel_write(c->fd[channel], iov, count);
}
