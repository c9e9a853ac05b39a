/* SPDX-License-Identifier: BSD-3-Clause */
/* devdaxfs(8), which is also mount(8)'s helper for the type fuse.devdaxfs. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "src/daemon/daemon.h"
#include "src/daemon/remount.h"

/* What mount(8) takes for a mount that failed. */
#define EXIT_MOUNT 32

struct args {
	bool is_helper; /* called by mount(8) */
	bool foreground;
	bool debug;
	bool fake; /* all but the mount itself */
	const char *source;
	const char *target;
	struct ddfs_options options;
	char list[4096]; /* what they were parsed from */
};

static void usage(FILE *to)
{
	fputs("usage: devdaxfs [-f] [-d] [-o OPTIONS] SOURCE MOUNTPOINT\n"
	      "\n"
	      "Mounts the devdaxfs on SOURCE: an image file, /dev/daxX.Y, daxX.Y, namespaceX.Y,\n"
	      "UUID=... or LABEL=... MOUNTPOINT is an empty directory.\n"
	      "\n"
	      "  -f          stay in the foreground, log to stderr\n"
	      "  -d          as -f, and print each request\n"
	      "  -o OPTIONS  ro, dax=inode|always|never, errors=..., ...; see devdaxfs(5)\n"
	      "  -V          print the version\n"
	      "  -h          print this\n"
	      "\n"
	      "umount MOUNTPOINT, or SIGTERM, ends it. mkfs.devdaxfs(8) makes a filesystem.\n",
		to);
}

/* ---- the command line ----------------------------------------------------------------------- */

static int args_add_options(struct args *a, const char *list)
{
	size_t used = strlen(a->list);
	int n = snprintf(a->list + used, sizeof(a->list) - used, "%s%s", used ? "," : "", list);

	if (n >= (int)(sizeof(a->list) - used)) {
		ddfs_log_printf(NULL, LOG_ERR, "the mount options are too long");
		return -EINVAL;
	}
	return 0;
}

static int args_enter_namespace(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret = fd < 0 || setns(fd, CLONE_NEWNS) < 0 ? -errno : 0;

	if (ret)
		ddfs_log_printf(
			NULL, LOG_ERR, "cannot enter mount namespace %s: %s", path, strerror(-ret));
	if (fd >= 0)
		close(fd);
	return ret;
}

/* mount(8) has its own letters: -f is a mount that does everything but mount. */
static int args_one_helper(struct args *a, int opt, const char *value)
{
	switch (opt) {
	case 'f':
		a->fake = true;
		return 0;
	case 's':
		a->options.sloppy = true;
		return 0;
	case 'r':
		return args_add_options(a, "ro");
	case 'w':
		return args_add_options(a, "rw");
	case 'n': /* there is no mtab */
	case 'v':
	case 't': /* the type that we are the helper of */
		return 0;
	case 'N':
		return args_enter_namespace(value);
	case 'o':
		return args_add_options(a, value);
	default:
		return -EINVAL;
	}
}

static int args_one(struct args *a, int opt, const char *value)
{
	switch (opt) {
	case 'd':
		a->debug = true;
		a->foreground = true;
		return 0;
	case 'f':
		a->foreground = true;
		return 0;
	case 'o':
		return args_add_options(a, value);
	case 'V':
		printf("devdaxfs %s, libfuse %s\n", DDFS_VERSION, fuse_pkgversion());
		exit(EXIT_SUCCESS);
	case 'h':
		usage(stdout);
		exit(EXIT_SUCCESS);
	default:
		return -EINVAL;
	}
}

static int args_parse(struct args *a, int argc, char **argv)
{
	const char *letters = a->is_helper ? "fo:snvrwt:N:" : "do:fVh";
	int ret = 0, opt;

	while (!ret && (opt = getopt(argc, argv, letters)) != -1)
		ret = a->is_helper ? args_one_helper(a, opt, optarg) : args_one(a, opt, optarg);
	if (ret || argc - optind != 2) {
		usage(stderr);
		return -EINVAL;
	}
	a->source = argv[optind];
	a->target = argv[optind + 1];
	return ddfs_options_parse(&a->options, a->list, NULL);
}

/* ---- running -------------------------------------------------------------------------------- */

struct background {
	struct ddfs_log *log;
	int pipe_fd; /* the parent waits at its other end */
};

/* The mount is usable: from here on nobody waits for us, and nobody sees stderr. */
static void background_ready(void *arg)
{
	struct background *b = arg;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ssize_t ret;

	ddfs_log_detach(b->log);
	if (chdir("/") < 0 || null < 0)
		ddfs_log_printf(
			b->log, LOG_WARNING, "cannot leave the terminal: %s", strerror(errno));
	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	ret = write(b->pipe_fd, "", 1);
	(void)ret; /* the parent may have been killed; the mount stays */
	close(b->pipe_fd);
}

static int run_daemon(const struct args *a, int pipe_fd)
{
	struct ddfs_daemon *d = calloc(1, sizeof(*d));
	struct background b = { .pipe_fd = pipe_fd };
	int ret;

	if (!d)
		return -ENOMEM;
	b.log = &d->log;
	ddfs_log_init(&d->log, a->foreground, a->debug);
	d->source = a->source;
	d->target = a->target;
	d->debug = a->debug;
	d->options = a->options;
	ret = ddfs_daemon_run(d, a->foreground ? NULL : background_ready, &b);
	free(d);
	return ret;
}

/* The child has said by itself what went wrong, unless it was killed. */
static int wait_for_child(pid_t child, int pipe_fd)
{
	char byte;
	int status;
	ssize_t n;

	do
		n = read(pipe_fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		return 0;
	if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
		ddfs_log_printf(
			NULL, LOG_ERR, "the daemon was killed: %s", strsignal(WTERMSIG(status)));
	return -EIO;
}

static int run_background(const struct args *a)
{
	int fds[2], ret;
	pid_t child;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child) {
		close(fds[1]);
		ret = wait_for_child(child, fds[0]);
		close(fds[0]);
		return ret;
	}
	close(fds[0]);
	setsid();
	exit(run_daemon(a, fds[1]) ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int run(const struct args *a)
{
	if (a->fake)
		return 0;
	if (a->options.remount)
		return ddfs_remount(a->target, &a->options, a->list);
	return a->foreground ? run_daemon(a, -1) : run_background(a);
}

static bool called_by_mount(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	return !strncmp(slash ? slash + 1 : argv0, "mount.", 6);
}

int main(int argc, char **argv)
{
	struct args *a = calloc(1, sizeof(*a));
	int ret, status = EXIT_SUCCESS;

	if (!a)
		return EXIT_FAILURE;
	a->is_helper = called_by_mount(argv[0]);
	ddfs_options_init(&a->options);
	ret = args_parse(a, argc, argv);
	if (ret)
		status = EXIT_FAILURE;
	else if (run(a))
		status = a->is_helper ? EXIT_MOUNT : EXIT_FAILURE;
	free(a);
	return status;
}
