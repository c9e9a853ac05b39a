/* SPDX-License-Identifier: BSD-3-Clause */
/* ddfs set: change how a mount works while it is in use. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "tools/ddfs.h"
#include "tools/ddfs_target.h"

/* ---- persistence ---------------------------------------------------------------------------- */

static const char *const persistence_words[] = {
	[DDFS_IOC_PERSISTENCE_AUTO] = "auto",
	[DDFS_IOC_PERSISTENCE_CPU_CACHE] = "cpu_cache",
	[DDFS_IOC_PERSISTENCE_MEMORY_CONTROLLER] = "memory_controller",
	[DDFS_IOC_PERSISTENCE_NONE] = "none",
};

static int set_persistence(const struct ddfs_target *t, const char *value)
{
	struct ddfs_ioc_persistence arg = { 0 };

	for (unsigned int i = 0; i < sizeof(persistence_words) / sizeof(*persistence_words); i++) {
		arg.wanted = i;
		if (strcmp(value, persistence_words[i]) == 0)
			return ddfs_target_ioctl(t, DDFS_IOC_SET_PERSISTENCE, &arg);
	}
	return -EINVAL;
}

static const char *why_not_persistence(int err)
{
	switch (err) {
	case -EOPNOTSUPP:
		return "the image is on a disk, where only auto and none can be set while it is "
		       "mounted";
	case -EROFS:
		return "the device can only be read: nothing is stored to it";
	default:
		return NULL;
	}
}

/* ---- all of them ---------------------------------------------------------------------------- */

static const struct setting {
	const char *name;
	const char *values;
	int (*set)(const struct ddfs_target *t, const char *value); /* -EINVAL: no such value */
	const char *(*why_not)(int err);			    /* NULL: as for every setting */
} settings[] = {
	{ "persistence", "auto, cpu_cache, memory_controller, none", set_persistence,
		why_not_persistence },
};
#define NR_SETTINGS (sizeof(settings) / sizeof(settings[0]))

static void complain(
	const struct ddfs_target *t, const struct setting *setting, const char *value, int err)
{
	const char *why = setting->why_not(err);

	if (why)
		ddfs_target_complain(t, why);
	else if (err == -EINVAL)
		fprintf(stderr, "ddfs: %s=%s: not one of %s\n", setting->name, value,
			setting->values);
	else if (err == -EPERM || err == -EACCES)
		ddfs_target_complain(t, "only root may change how a mount works; run it as root");
	else if (err == -ENOTTY)
		ddfs_target_complain(t, "not the mount point: name that");
	else
		ddfs_target_complain(t, strerror(-err));
}

static const struct setting *find_setting(const char *word, size_t len)
{
	for (size_t i = 0; i < NR_SETTINGS; i++)
		if (strlen(settings[i].name) == len && !strncmp(settings[i].name, word, len))
			return &settings[i];
	return NULL;
}

/* word: "name=value" */
static int set_one(const struct ddfs_target *t, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct setting *setting = find_setting(word, len);
	const char *value = word + len + 1;
	int ret;

	if (!setting || !word[len]) {
		fprintf(stderr, "ddfs: \"%s\" is no setting; see ddfs set --help\n", word);
		return -EINVAL;
	}
	ret = setting->set(t, value);
	if (ret)
		complain(t, setting, value, ret);
	return ret;
}

static void print_usage(FILE *to)
{
	fprintf(to, "usage: ddfs set %s\n%s.\n\n", ddfs_command_set.synopsis,
		ddfs_command_set.summary);
	for (size_t i = 0; i < NR_SETTINGS; i++)
		fprintf(to, "  %s=   %s\n", settings[i].name, settings[i].values);
	fputs("\n  -h, --help   print this\n", to);
}

static int set_all(const char *path, char **words, int nr)
{
	struct ddfs_target t;
	int ret = ddfs_target_open(path, &t);

	if (ret)
		return ret;
	for (int i = 0; i < nr && !ret; i++)
		ret = set_one(&t, words[i]);
	ddfs_target_close(&t);
	return ret;
}

static int set_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option = getopt_long(argc, argv, "h", options, NULL);

	if (option == 'h') {
		print_usage(stdout);
		return 0;
	}
	if (option >= 0)
		return -EINVAL;
	if (argc - optind < 2) {
		print_usage(stderr);
		return -EINVAL;
	}
	return set_all(argv[optind], argv + optind + 1, argc - optind - 1);
}

const struct ddfs_command ddfs_command_set = {
	.name = "set",
	.synopsis = "MOUNTPOINT NAME=VALUE...",
	.summary = "Change how a mount works while it is in use",
	.run = set_run,
};
