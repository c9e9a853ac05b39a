/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ddfs, the control command. A subcommand is one file with one function, and one line of the table
 * in ddfs.c. It talks to a mount by the ioctls of src/devdaxfs_ioctl.h on what it was named, so
 * that who may do what is the kernel's to say; or it reads a device, mounted or not.
 */
#ifndef DDFS_TOOLS_DDFS_H
#define DDFS_TOOLS_DDFS_H

#include <stdbool.h>

struct ddfs_command {
	const char *name;
	const char *synopsis; /* its arguments */
	const char *summary;  /* one line */
	/* argv[1] and on are its arguments. 0 or -errno, after saying what is wrong. */
	int (*run)(int argc, char **argv);
};

extern const struct ddfs_command ddfs_command_badblocks;
extern const struct ddfs_command ddfs_command_dump;
extern const struct ddfs_command ddfs_command_map;
extern const struct ddfs_command ddfs_command_metadump;
extern const struct ddfs_command ddfs_command_metarestore;
extern const struct ddfs_command ddfs_command_pins;
extern const struct ddfs_command ddfs_command_set;
extern const struct ddfs_command ddfs_command_stats;

/* What the commands take that print a table of something. */
struct ddfs_arguments {
	const char *path;
	bool json;
	bool done; /* nothing is left to do: help was asked for */
};
/* -EINVAL after saying what is wrong. */
int ddfs_arguments_parse(
	const struct ddfs_command *command, int argc, char **argv, struct ddfs_arguments *out);

#endif
