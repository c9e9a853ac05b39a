/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "src/device/lock.h"
#include "src/device/owner.h"

#define POLL_MS	 5
#define QUIET_MS 1000  /* a wait longer than this is said */
#define LIMIT_MS 60000 /* and longer than this given up */

static int try_lock(int fd, bool writable)
{
	struct flock lock = {
		.l_type = writable ? F_WRLCK : F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = DDFS_LOCK_OWNER,
		.l_len = 1,
	};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void say_busy(
	const char *name, const struct ddfs_owner *owner, const struct ddfs_listener *to)
{
	if (owner->mountpoint[0])
		ddfs_say(to, LOG_ERR, "%s is mounted by pid %d at %s", name, (int)owner->pid,
			owner->mountpoint);
	else if (owner->pid)
		ddfs_say(to, LOG_ERR,
			"%s is in use by pid %d, which has it mounted nowhere: files of a lazy "
			"unmount may still be open",
			name, (int)owner->pid);
	else
		ddfs_say(to, LOG_ERR,
			"%s is in use by another process: a read-only mount, mkfs.devdaxfs or "
			"fsck.devdaxfs",
			name);
}

static void say_waiting(
	const char *name, const struct ddfs_owner *owner, const struct ddfs_listener *to)
{
	if (owner->pid)
		ddfs_say(to, LOG_NOTICE, "waiting for pid %d to let go of %s", (int)owner->pid,
			name);
	else
		ddfs_say(to, LOG_NOTICE, "waiting for another process to let go of %s", name);
}

/* Whether somebody else holds a lock on that byte. An answer that cannot be had is a yes: what is
 * asked for is whether memory may be used for something else. */
static bool is_locked(int fd, uint64_t byte)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

bool ddfs_lock_has_owner(int fd)
{
	return is_locked(fd, DDFS_LOCK_OWNER);
}

bool ddfs_lock_has_clients(int fd)
{
	return is_locked(fd, DDFS_LOCK_CLIENTS);
}

bool ddfs_lock_clients_alive(int fd, uint32_t epoch)
{
	return is_locked(fd, DDFS_LOCK_EPOCH + epoch);
}

int ddfs_lock_owner(int fd, bool writable, bool no_wait, const struct ddfs_source *src,
	const char *name, const struct ddfs_listener *to)
{
	const struct timespec pause = { .tv_nsec = POLL_MS * 1000000L };
	int64_t start = now_ms(), waited;
	struct ddfs_owner owner;
	bool said = false;
	int ret;

	for (;;) {
		ret = try_lock(fd, writable);
		if (ret != -EBUSY)
			break;
		/* looked up anew each time: it may be mounting rather than going */
		ddfs_owner_find(fd, src, &owner);
		waited = now_ms() - start;
		if (owner.mountpoint[0] || no_wait || waited >= LIMIT_MS) {
			say_busy(name, &owner, to);
			return ret;
		}
		if (waited >= QUIET_MS && !said) {
			say_waiting(name, &owner, to);
			said = true;
		}
		nanosleep(&pause, NULL);
	}
	if (ret)
		ddfs_say(to, LOG_ERR, "%s cannot be locked: %s", name, strerror(-ret));
	return ret;
}
