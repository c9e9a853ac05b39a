/* SPDX-License-Identifier: BSD-3-Clause */
#include "src/daemon/options.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <syslog.h>
#include <unistd.h>

#include "src/daemon/log.h"

#ifndef MS_LAZYTIME
#define MS_LAZYTIME (1 << 25)
#endif
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

#define MS_ATIMES   (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)
#define MS_SECURE   (MS_NOSUID | MS_NODEV)
#define MAX_THREADS 1024

#define MAX_LEASE_SECONDS     86400
#define DEFAULT_LEASE_SECONDS 45 /* the kernel's lease-break-time */

/* ---- options without a value ---------------------------------------------------------------- */

/* Of mount(8) and fstab(5): flags for the kernel, or nothing to us. */
static const struct {
	const char *name;
	unsigned long set, clear;
} flag_options[] = {
	{ "ro", MS_RDONLY, 0 }, { "rw", 0, MS_RDONLY }, { "suid", 0, MS_NOSUID },
	{ "nosuid", MS_NOSUID, 0 }, { "dev", 0, MS_NODEV }, { "nodev", MS_NODEV, 0 },
	{ "exec", 0, MS_NOEXEC }, { "noexec", MS_NOEXEC, 0 }, { "sync", MS_SYNCHRONOUS, 0 },
	{ "async", 0, MS_SYNCHRONOUS }, { "dirsync", MS_DIRSYNC, 0 },
	{ "diratime", 0, MS_NODIRATIME }, { "nodiratime", MS_NODIRATIME, 0 },
	{ "symfollow", 0, MS_NOSYMFOLLOW }, { "nosymfollow", MS_NOSYMFOLLOW, 0 },
	{ "silent", MS_SILENT, 0 }, { "loud", 0, MS_SILENT }, { "noatime", MS_NOATIME, MS_ATIMES },
	{ "relatime", MS_RELATIME, MS_ATIMES }, { "strictatime", MS_STRICTATIME, MS_ATIMES },
	{ "atime", MS_RELATIME, MS_ATIMES }, { "nostrictatime", MS_RELATIME, MS_ATIMES },
	{ "norelatime", 0, 0 }, { "lazytime", MS_LAZYTIME, 0 }, { "nolazytime", 0, MS_LAZYTIME },
	{ "user", MS_SECURE | MS_NOEXEC, 0 }, { "users", MS_SECURE | MS_NOEXEC, 0 },
	{ "owner", MS_SECURE, 0 }, { "group", MS_SECURE, 0 }, { "nouser", 0, 0 },
	{ "nousers", 0, 0 }, { "noowner", 0, 0 }, { "nogroup", 0, 0 }, { "defaults", 0, 0 },
	{ "auto", 0, 0 }, { "noauto", 0, 0 }, { "nofail", 0, 0 }, { "_netdev", 0, 0 },
	{ "nomand", 0, 0 }, { "iversion", 0, 0 }, { "noiversion", 0, 0 },
	{ "default_permissions", 0, 0 }, /* always on */
};

static bool option_flag(struct ddfs_options *opt, const char *name)
{
	for (size_t i = 0; i < sizeof(flag_options) / sizeof(flag_options[0]); i++) {
		if (strcmp(name, flag_options[i].name))
			continue;
		opt->mount_flags &= ~flag_options[i].clear;
		opt->mount_flags |= flag_options[i].set;
		return true;
	}
	return false;
}

/* Ours, true or false. */
static bool option_bool(struct ddfs_options *opt, const char *name)
{
	const struct {
		const char *name;
		bool *field, value;
	} table[] = {
		{ "acl", &opt->fs.no_acl, false },
		{ "noacl", &opt->fs.no_acl, true },
		{ "user_xattr", &opt->no_user_xattr, false },
		{ "nouser_xattr", &opt->no_user_xattr, true },
		{ "allow_other", &opt->allow_other, true },
		{ "nonempty", &opt->nonempty, true },
		{ "remount", &opt->remount, true },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(name, table[i].name))
			continue;
		*table[i].field = table[i].value;
		return true;
	}
	return false;
}

/* ---- options with a value ------------------------------------------------------------------- */

/* The position of value among the words of a |-separated list, or -EINVAL. */
static int word_index(const char *words, const char *value)
{
	size_t len = strlen(value);

	for (int i = 0; words; i++) {
		const char *end = strchrnul(words, '|');

		if ((size_t)(end - words) == len && !memcmp(words, value, len))
			return i;
		words = *end ? end + 1 : NULL;
	}
	return -EINVAL;
}

#define ERRORS_WORDS	  "continue|remount-ro|abort"
#define DAX_WORDS	  "inode|always|never"
#define PERSISTENCE_WORDS "auto|cpu_cache|memory_controller|none"
#define EXPIRE_WORDS	  "wait|fail|kill"
#define MAP_WORDS	  "mem|dev"

static int value_errors(struct ddfs_options *opt, const char *value)
{
	int i = word_index(ERRORS_WORDS, value);

	if (i >= 0)
		opt->fs.errors = (enum ddfs_errors)i;
	return i < 0 ? i : 0;
}

static int value_dax(struct ddfs_options *opt, const char *value)
{
	int i = word_index(DAX_WORDS, value);

	if (i >= 0)
		opt->fs.dax = (enum ddfs_dax)i;
	return i < 0 ? i : 0;
}

static int value_persistence(struct ddfs_options *opt, const char *value)
{
	return ddfs_persistence_parse(value, &opt->persistence);
}

static int value_lease_expire(struct ddfs_options *opt, const char *value)
{
	int i = word_index(EXPIRE_WORDS, value);

	if (i >= 0)
		opt->fs.lease_expire = (enum ddfs_lease_expire)i;
	return i < 0 ? i : 0;
}

static int value_map(struct ddfs_options *opt, const char *value)
{
	int i = word_index(MAP_WORDS, value);

	if (i >= 0)
		opt->fs.map = i ? DDFS_PAGEMAP_DEV : DDFS_PAGEMAP_MEM;
	return i < 0 ? i : 0;
}

/* A number from 1 to max. */
static int number(const char *value, unsigned int max, unsigned int *out)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || *end || value[0] < '0' || value[0] > '9' || n < 1 || n > max)
		return -EINVAL;
	*out = (unsigned int)n;
	return 0;
}

static int value_nr_threads(struct ddfs_options *opt, const char *value)
{
	return number(value, MAX_THREADS, &opt->nr_threads);
}

static int value_lease_time(struct ddfs_options *opt, const char *value)
{
	return number(value, MAX_LEASE_SECONDS, &opt->fs.lease_time);
}

static int value_ignored(struct ddfs_options *opt, const char *value)
{
	(void)opt;
	(void)value;
	return 0;
}

/* What /proc/mounts shows of any FUSE mount, and mount(8) therefore repeats at a remount. */
static int value_of_remount(struct ddfs_options *opt, const char *value)
{
	(void)value;
	return opt->remount ? 0 : -ENOENT;
}

static const struct value_option {
	const char *name;
	int (*set)(struct ddfs_options *opt, const char *value);
	const char *allowed;
} value_options[] = {
	{ "errors", value_errors, ERRORS_WORDS },
	{ "dax", value_dax, DAX_WORDS },
	{ "persistence", value_persistence, PERSISTENCE_WORDS },
	{ "nr_threads", value_nr_threads, "a number from 1 to 1024" },
	{ "lease_time", value_lease_time, "a number of seconds from 1 to 86400" },
	{ "lease_expire", value_lease_expire, EXPIRE_WORDS },
	{ "map", value_map, MAP_WORDS },
	{ "user", value_ignored, "" },
	{ "comment", value_ignored, "" },
	{ "helper", value_ignored, "" },
	{ "uhelper", value_ignored, "" },
	{ "user_id", value_of_remount, "" },
	{ "group_id", value_of_remount, "" },
	{ "max_read", value_of_remount, "" },
};

static bool is_context(const char *item)
{
	return !strncmp(item, "context=", 8) || !strncmp(item, "fscontext=", 10) ||
	       !strncmp(item, "defcontext=", 11) || !strncmp(item, "rootcontext=", 12);
}

static int option_context(struct ddfs_options *opt, const char *item)
{
	size_t used = strlen(opt->context);
	int n = snprintf(
		opt->context + used, sizeof(opt->context) - used, "%s%s", used ? "," : "", item);

	return n < (int)(sizeof(opt->context) - used) ? 0 : -EINVAL;
}

static int option_value(struct ddfs_options *opt, char *item, struct ddfs_log *log)
{
	char *eq = strchr(item, '=');
	int ret;

	if (!eq)
		return -ENOENT;
	for (size_t i = 0; i < sizeof(value_options) / sizeof(value_options[0]); i++) {
		const struct value_option *o = &value_options[i];

		if (strlen(o->name) != (size_t)(eq - item) ||
			strncmp(item, o->name, (size_t)(eq - item)))
			continue;
		ret = o->set(opt, eq + 1);
		if (ret == -EINVAL)
			ddfs_log_printf(log, LOG_ERR, "mount option '%s': the value must be %s",
				item, o->allowed);
		return ret;
	}
	return -ENOENT;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static int option_one(struct ddfs_options *opt, char *item, struct ddfs_log *log)
{
	int ret;

	if (!*item || option_flag(opt, item) || option_bool(opt, item))
		return 0;
	if (!strncmp(item, "x-", 2) || !strncmp(item, "X-", 2))
		return 0;
	if (is_context(item))
		return option_context(opt, item);
	if (!strcmp(item, "dax")) {
		opt->fs.dax = DDFS_DAX_ALWAYS;
		return 0;
	}
	ret = option_value(opt, item, log);
	if (ret != -ENOENT || opt->sloppy)
		return ret == -ENOENT ? 0 : ret;
	ddfs_log_printf(log, LOG_ERR, "unknown mount option '%s'; see devdaxfs(5)", item);
	return -EINVAL;
}

/* The end of the item at list: a comma outside of double quotes, which an SELinux context has
 * around it. */
static char *item_end(char *list)
{
	bool quoted = false;

	for (; *list && (quoted || *list != ','); list++)
		quoted ^= *list == '"';
	return list;
}

/* What both the kernel and the filesystem have to know. */
static void options_settle(struct ddfs_options *opt)
{
	unsigned long flags = opt->mount_flags;

	opt->fs.readonly = flags & MS_RDONLY;
	opt->fs.lazytime = flags & MS_LAZYTIME;
	if (flags & MS_NOATIME)
		opt->fs.atime = DDFS_ATIME_NOATIME;
	else
		opt->fs.atime = flags & MS_STRICTATIME ? DDFS_ATIME_STRICT : DDFS_ATIME_RELATIME;
}

void ddfs_options_init(struct ddfs_options *opt)
{
	*opt = (struct ddfs_options){
		.mount_flags = MS_RELATIME,
		.allow_other = geteuid() == 0,
		.fs.kernel_refs = true,
		.fs.lease_time = DEFAULT_LEASE_SECONDS,
	};
	options_settle(opt);
}

int ddfs_options_parse(struct ddfs_options *opt, const char *list, struct ddfs_log *log)
{
	char *copy = strdup(list), *item = copy, *end;
	int ret = copy ? 0 : -ENOMEM;

	/* First, since what else is allowed depends on it. */
	if (copy && hasmntopt(&(struct mntent){ .mnt_opts = copy }, "remount"))
		opt->remount = true;
	while (!ret && *item) {
		end = item_end(item);
		if (*end)
			*end++ = '\0';
		ret = option_one(opt, item, log);
		item = end;
	}
	free(copy);
	options_settle(opt);
	return ret;
}

int ddfs_options_check_remount(
	const struct ddfs_options *now, const struct ddfs_options *wanted, struct ddfs_log *log)
{
	const char *what = NULL;

	if (now->fs.dax != wanted->fs.dax)
		what = "dax";
	else if (now->fs.no_acl != wanted->fs.no_acl)
		what = "acl";
	else if (now->no_user_xattr != wanted->no_user_xattr)
		what = "user_xattr";
	else if (now->fs.map != wanted->fs.map)
		what = "map";
	else if (now->persistence != wanted->persistence)
		what = "persistence";
	else if (now->nr_threads != wanted->nr_threads)
		what = "nr_threads";
	if (!what)
		return 0;
	ddfs_log_printf(log, LOG_ERR, "a remount cannot change '%s': %s", what,
		strcmp(what, "persistence") ? "unmount and mount again"
					    : "use ddfs set MOUNT persistence=");
	return -EINVAL;
}
