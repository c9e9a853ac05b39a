/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ddfs_newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODE 0600

static int complain(const char *path, int err)
{
	if (err == -EEXIST)
		fprintf(stderr, "ddfs: %s exists; remove it first, or choose another name\n", path);
	else
		fprintf(stderr, "ddfs: cannot make %s: %s\n", path, strerror(-err));
	return err;
}

/* Without a name, so that nothing is left whatever ends the program. */
static int open_nameless(const char *path)
{
	char *copy = strdup(path);
	int fd;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, MODE);
	fd = fd < 0 ? -errno : fd;
	free(copy);
	return fd;
}

int ddfs_newfile_open(const char *path, struct ddfs_newfile *out)
{
	struct ddfs_newfile f = { .path = path };

	if (!access(path, F_OK))
		return complain(path, -EEXIST);
	f.fd = open_nameless(path);
	if (f.fd == -EOPNOTSUPP || f.fd == -EISDIR || f.fd == -EINVAL) {
		f.named = true;
		f.fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, MODE);
		f.fd = f.fd < 0 ? -errno : f.fd;
	}
	if (f.fd < 0)
		return complain(path, f.fd);
	*out = f;
	return 0;
}

static int give_name(const struct ddfs_newfile *f)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, f->path, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

int ddfs_newfile_keep(struct ddfs_newfile *f)
{
	int err = f->named ? 0 : give_name(f);

	if (err) {
		complain(f->path, err);
		ddfs_newfile_drop(f);
		return err;
	}
	if (!close(f->fd))
		return 0;
	err = -errno;
	unlink(f->path);
	return complain(f->path, err);
}

void ddfs_newfile_drop(struct ddfs_newfile *f)
{
	close(f->fd);
	if (f->named)
		unlink(f->path);
}
