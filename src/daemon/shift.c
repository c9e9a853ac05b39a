/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/shift.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fs.h"
#include "src/daemon/ops.h"
#include "src/daemon/session.h"

struct shift_node {
	struct ddfs_shift_job job;
	struct shift_node *next;
};

struct ddfs_shift {
	struct ddfs_session *session;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* protected by lock */
	struct shift_node *head, **tail;
	bool stop;
};

/* The kernel's file handle of a node, as its fs/fuse makes them (FILEID_INO64_GEN). */
#define HANDLE_TYPE  0x81
#define HANDLE_WORDS 3

/*
 * Have the kernel ask for the file's size: it uses the one it has for O_APPEND and for the end of
 * file. There is no notification for that, so the file is looked at like anybody else would, found
 * by handle since it may have no name. Should this fail, the kernel asks at the next stat(2).
 */
static void shift_refresh(struct ddfs_shift *shift, ddfs_id id)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + HANDLE_WORDS * sizeof(uint32_t)];
	} h = { .handle = { .handle_bytes = HANDLE_WORDS * sizeof(uint32_t),
			.handle_type = HANDLE_TYPE } };
	uint32_t words[HANDLE_WORDS] = { (uint32_t)(id >> 32), (uint32_t)id, (uint32_t)(id >> 32) };
	int mount_fd, fd;
	struct stat st;

	mount_fd =
		open(ddfs_session_mountpoint(shift->session), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mount_fd < 0)
		return;
	memcpy(h.handle.f_handle, words, sizeof(words));
	fd = open_by_handle_at(mount_fd, &h.handle, O_PATH | O_CLOEXEC);
	if (fd >= 0) {
		fstat(fd, &st);
		close(fd);
	}
	close(mount_fd);
}

/* Before the change, so that stores through a mapping are written where they belong now; and
 * behind it, since pages may have been read in between. */
static void shift_do(struct ddfs_shift *shift, const struct ddfs_shift_job *job)
{
	struct fuse_session *fuse = ddfs_session_fuse(shift->session);
	ddfs_id id = ddfs_inode_id(job->ip);
	int ret;

	fuse_lowlevel_notify_inval_inode(fuse, id, 0, 0);
	ret = ddfs_fallocate(job->ip, job->mode, job->off, job->len);
	fuse_lowlevel_notify_inval_inode(fuse, id, 0, 0);
	ddfs_inode_put(job->ip);
	shift_refresh(shift, id);
	if (ret)
		ddfs_op_reply(job->req, ret);
	else
		fuse_reply_ioctl(job->req, 0, NULL, 0);
}

/* The next job, waited for; NULL when there will be none. */
static struct shift_node *shift_next(struct ddfs_shift *shift)
{
	struct shift_node *node;

	pthread_mutex_lock(&shift->lock);
	while (!shift->head && !shift->stop)
		pthread_cond_wait(&shift->changed, &shift->lock);
	node = shift->head;
	if (node)
		shift->head = node->next;
	if (!shift->head)
		shift->tail = &shift->head;
	pthread_mutex_unlock(&shift->lock);
	return node;
}

static void *shift_main(void *arg)
{
	struct ddfs_shift *shift = arg;
	struct shift_node *node;

	while ((node = shift_next(shift))) {
		shift_do(shift, &node->job);
		free(node);
	}
	return NULL;
}

int ddfs_shift_new(struct ddfs_session *s, struct ddfs_shift **out)
{
	struct ddfs_shift *shift = calloc(1, sizeof(*shift));
	int err;

	if (!shift)
		return -ENOMEM;
	shift->session = s;
	shift->tail = &shift->head;
	pthread_mutex_init(&shift->lock, NULL);
	pthread_cond_init(&shift->changed, NULL);
	err = pthread_create(&shift->thread, NULL, shift_main, shift);
	if (err) {
		free(shift);
		return -err;
	}
	*out = shift;
	return 0;
}

void ddfs_shift_delete(struct ddfs_shift *shift)
{
	pthread_mutex_lock(&shift->lock);
	shift->stop = true;
	pthread_cond_signal(&shift->changed);
	pthread_mutex_unlock(&shift->lock);
	pthread_join(shift->thread, NULL);
	pthread_cond_destroy(&shift->changed);
	pthread_mutex_destroy(&shift->lock);
	free(shift);
}

int ddfs_shift_add(struct ddfs_shift *shift, const struct ddfs_shift_job *job)
{
	struct shift_node *node = malloc(sizeof(*node));
	bool stop;

	if (!node)
		return -ENOMEM;
	node->job = *job;
	node->next = NULL;
	pthread_mutex_lock(&shift->lock);
	stop = shift->stop;
	if (!stop) {
		*shift->tail = node;
		shift->tail = &node->next;
		pthread_cond_signal(&shift->changed);
	}
	pthread_mutex_unlock(&shift->lock);
	if (!stop)
		return 0;
	free(node);
	return -ESHUTDOWN;
}
