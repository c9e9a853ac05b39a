/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks at a devdaxfs, mounted or not, and changes settings. Exits with 0, or with 1 after saying
 * what is wrong. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ddfs.h"

static const struct ddfs_command *const commands[] = {
	&ddfs_command_badblocks,
	&ddfs_command_dump,
	&ddfs_command_map,
	&ddfs_command_metadump,
	&ddfs_command_metarestore,
	&ddfs_command_pins,
	&ddfs_command_set,
	&ddfs_command_stats,
};
#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *to)
{
	fputs("usage: ddfs COMMAND [options] ...\n"
	      "Look at a devdaxfs.\n"
	      "\n",
		to);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(to, "  %-11s %-28s %s\n", commands[i]->name, commands[i]->synopsis,
			commands[i]->summary);
	fputs("\n"
	      "  -V, --version   print the version\n"
	      "  -h, --help      print this; behind a command, how that is used\n",
		to);
}

static void print_command_usage(FILE *to, const struct ddfs_command *command)
{
	fprintf(to,
		"usage: ddfs %s [options] %s\n"
		"%s.\n"
		"\n"
		"  -J, --json   print it as JSON\n"
		"  -h, --help   print this\n",
		command->name, command->synopsis, command->summary);
}

int ddfs_arguments_parse(
	const struct ddfs_command *command, int argc, char **argv, struct ddfs_arguments *out)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct ddfs_arguments a = { .path = NULL };
	int option;

	while ((option = getopt_long(argc, argv, "Jh", options, NULL)) >= 0) {
		if (option == 'J') {
			a.json = true;
		} else if (option == 'h') {
			print_command_usage(stdout, command);
			a.done = true;
			*out = a;
			return 0;
		} else { /* getopt has said what */
			return -EINVAL;
		}
	}
	if (optind != argc - 1) {
		print_command_usage(stderr, command);
		return -EINVAL;
	}
	a.path = argv[optind];
	*out = a;
	return 0;
}

static int run_command(const char *name, int argc, char **argv)
{
	for (size_t i = 0; i < NR_COMMANDS; i++) {
		if (strcmp(name, commands[i]->name) == 0) {
			optind = 0; /* begin anew, with this command's arguments */
			return commands[i]->run(argc, argv);
		}
	}
	fprintf(stderr, "ddfs: there is no command \"%s\"; see ddfs --help\n", name);
	return -EINVAL;
}

/* Of options in front of the command: what to exit with, or -1 to go on. */
static int take_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};

	/* "+": what is behind the command is the command's. */
	switch (getopt_long(argc, argv, "+Vh", options, NULL)) {
	case -1:
		return -1;
	case 'V':
		puts("ddfs " DDFS_VERSION);
		return EXIT_SUCCESS;
	case 'h':
		print_usage(stdout);
		return EXIT_SUCCESS;
	default:
		return EXIT_FAILURE;
	}
}

/* Output that could not be written is a failure too. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "ddfs: cannot write the result: %s\n", strerror(errno));
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	const char *name;
	int status;

	setlocale(LC_ALL, "");
	status = take_options(argc, argv);
	if (status >= 0)
		return finish(status);
	if (optind == argc) {
		print_usage(stderr);
		return EXIT_FAILURE;
	}
	name = argv[optind];
	argv[optind] = argv[0]; /* what getopt calls us */
	return finish(
		run_command(name, argc - optind, argv + optind) ? EXIT_FAILURE : EXIT_SUCCESS);
}
