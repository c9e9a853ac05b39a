/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel gives the user's number as it is in the mounter's user namespace, so root of any
 * namespace reads as 0. Three things make it good enough:
 *
 * - Who is asking has had an answer of the daemon already, and the kernel lets a daemon answer only
 *   its own user or processes of the mounter's namespace and those below it. A 0 is then a root
 *   above us, or ours.
 * - That does not hold for an administrator where the module parameter allow_sys_admin_access of
 *   fuse is set. But mounts of a namespace below ours are in mount namespaces of such alone, and
 *   this process is not in one of those.
 * - Other numbers mean the same user to both only if ours is the initial namespace; elsewhere none
 *   but 0 is taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "src/client/error.h"
#include "src/client/mount.h"

#define TYPE	    "fuse.devdaxfs"
#define USER_OPTION "user_id="

/* Namespaces are a thread's, and the first thread of a process may be gone. */
#define TABLE	"/proc/thread-self/mountinfo"
#define MAP	"/proc/thread-self/uid_map"
#define NS_MNT	"/proc/thread-self/ns/mnt"
#define NS_USER "/proc/thread-self/ns/user"

/* ---- the table of mounts -------------------------------------------------------------------- */

/* The last one: what a user may have had put before it is not the filesystem's own word. */
static bool find_user(char *options, uid_t *out)
{
	bool found = false;
	char *word;

	while ((word = strsep(&options, ",")))
		if (strncmp(word, USER_OPTION, strlen(USER_OPTION)) == 0)
			found = sscanf(word + strlen(USER_OPTION), "%u", out) == 1;
	return found;
}

/* "ID PARENT MAJOR:MINOR ROOT WHERE OPTIONS TAG... - TYPE SOURCE OPTIONS", proc(5). Blanks within a
 * word are escaped; a source may be empty. */
static bool parse(char *line, dev_t mount, uid_t *out)
{
	unsigned int major, minor;
	char *rest = strstr(line, " - "), *type;

	if (!rest || sscanf(line, "%*u %*u %u:%u", &major, &minor) != 2 ||
		makedev(major, minor) != mount)
		return false;
	rest += 3;
	type = strsep(&rest, " ");
	strsep(&rest, " ");
	if (!rest || strcmp(type, TYPE) != 0)
		return false;
	rest[strcspn(rest, " \n")] = '\0';
	return find_user(rest, out);
}

/* Bind mounts are further lines of the same, and any of them will do. */
static int find(dev_t mount, uid_t *out)
{
	FILE *table = fopen(TABLE, "re");
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	if (!table)
		return ddfs_client_error(-EACCES,
			"who mounted the filesystem cannot be told: " TABLE ": %s",
			strerror(errno));
	while (!found && getline(&line, &size, table) > 0)
		found = parse(line, mount, out);
	free(line);
	fclose(table);
	if (found)
		return 0;
	return ddfs_client_error(-EACCES, "who mounted the filesystem cannot be told: no mount of "
					  "it as " TYPE " is in " TABLE);
}

/* ---- namespaces ----------------------------------------------------------------------------- */

static bool is_initial_namespace(void)
{
	FILE *map = fopen(MAP, "re");
	unsigned int inside = 1, outside = 1, nr = 0;
	bool read;

	if (!map)
		return false;
	read = fscanf(map, "%u %u %u", &inside, &outside, &nr) == 3;
	fclose(map);
	return read && inside == 0 && outside == 0 && nr == UINT32_MAX;
}

/* The kernel refuses to give a namespace that is not ours or below ours. */
static bool owner_is_below(int mounts)
{
	int owner = ioctl(mounts, NS_GET_USERNS);
	struct stat ours, theirs;
	bool same;

	if (owner < 0)
		return errno != EPERM;
	same = stat(NS_USER, &ours) == 0 && fstat(owner, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
	close(owner);
	return !same;
}

/* Whether the mounts that this process sees are those of a user namespace below its own. */
static bool is_visitor(void)
{
	int mounts = open(NS_MNT, O_RDONLY | O_CLOEXEC);
	bool below;

	if (mounts < 0)
		return true;
	below = owner_is_below(mounts);
	close(mounts);
	return below;
}

/* ---- who is trusted ------------------------------------------------------------------------- */

/* A program with more rights than its user has must not be lent to him. */
static bool is_ourselves(uid_t user)
{
	return user == geteuid() && !getauxval(AT_SECURE);
}

static int check_user(uid_t user, uid_t owner)
{
	if (user == 0)
		return 0;
	if (!is_initial_namespace())
		return ddfs_client_error(-EACCES,
			"the filesystem was mounted by user %u: in a user namespace only root is "
			"trusted with the device",
			user);
	if (user == owner || is_ourselves(user))
		return 0;
	return ddfs_client_error(-EACCES,
		"the filesystem was mounted by user %u, whom this process does not trust with the "
		"device: that is root, the device's owner, or the user it runs as",
		user);
}

int ddfs_client_mount_check(dev_t mount, uid_t owner)
{
	uid_t user;
	int ret = find(mount, &user);

	if (ret)
		return ret;
	if (is_visitor())
		return ddfs_client_error(-EACCES,
			"the mounts that this process sees are those of a user namespace below its "
			"own, whose root is not trusted with the device");
	return check_user(user, owner);
}
