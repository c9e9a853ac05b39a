/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one worker of the soak has made of its directory, byte by byte, and what a step changes.
 *
 *	soak_model_step(m, &step);	what the filesystem was asked for and has acknowledged
 *
 * A worker is the only one that writes below its directory, so the model is exact. Names and
 * contents come from numbers: a step says all that there is to know of it.
 */
#ifndef DDFS_TEST_SOAK_MODEL_H
#define DDFS_TEST_SOAK_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SOAK_NODES    48u /* 0 is none, 1 the worker's own directory */
#define SOAK_ROOT     1u
#define SOAK_NAMES    9u /* possible in each directory */
#define SOAK_XATTRS   3u
#define SOAK_FILE_MAX (512u << 10) /* bytes */
#define SOAK_DEPTH    6u	   /* directories below each other */
#define SOAK_BLOCK    4096u
#define SOAK_PINS     2u /* of a worker: as many clients hold files for it */

enum soak_kind {
	SOAK_CREATE, /* arg: mode */
	SOAK_WRITE,  /* off, len, seed; arg: SOAK_WRITE_* */
	SOAK_MAP,    /* the same through a mapping, and msync */
	SOAK_TRUNCATE,
	SOAK_FALLOCATE, /* arg: FALLOC_FL_* */
	SOAK_COPY,	/* from dir, name at off to dir2, name2 at off2 */
	SOAK_UNLINK,	/* arg: keep it open for a while */
	SOAK_RENAME,	/* to dir2, name2, which may be there */
	SOAK_EXCHANGE,
	SOAK_LINK,
	SOAK_SYMLINK, /* len, seed: the target */
	SOAK_MKDIR,
	SOAK_RMDIR,
	SOAK_SETXATTR, /* arg: which; len, seed: the value */
	SOAK_REMOVEXATTR,
	SOAK_CHMOD,
	SOAK_UTIMES, /* seed: seconds */
	SOAK_SETDAX, /* of a directory: files made there are DAX inodes */
	SOAK_FSYNC,
	SOAK_PIN,   /* off, len, which the file grows to; arg: which pin; off2: when it is let go */
	SOAK_UNPIN, /* arg: which */
	SOAK_STORE, /* off, len, seed, through the mapping that the pin arg is of */
	SOAK_KINDS,
};

enum soak_write {
	SOAK_WRITE_FSYNC = 1,
	SOAK_WRITE_DSYNC = 2,
	SOAK_WRITE_DIRECT = 4,
	SOAK_WRITE_APPEND = 8, /* off is the size */
};

/* A pin is let go that many milliseconds after that is asked for, or not at all. */
#define SOAK_NEVER UINT32_MAX

struct soak_step {
	uint64_t number; /* counts from 1 */
	uint64_t seed;
	uint32_t kind;
	uint32_t off, off2, len, arg;
	uint8_t dir, name, dir2, name2;
};

enum soak_type { SOAK_NONE, SOAK_FILE, SOAK_DIR, SOAK_SYM };

struct soak_node {
	uint8_t type;
	uint8_t dax; /* has the attribute */
	uint8_t has_mtime;
	uint8_t pad;
	uint32_t mode;
	uint32_t size;		/* of a file; of a symlink: its target's */
	uint64_t seed;		/* of a symlink's target */
	uint64_t mtime_seconds; /* if has_mtime */
	struct {
		uint32_t len_plus_1; /* 0: not there */
		uint32_t pad;
		uint64_t seed;
	} xattr[SOAK_XATTRS];
};

/* A range that a client has mapped. It may have let go since, if it was asked to. */
struct soak_pin {
	uint8_t is_there;
	uint8_t node; /* 0: the file has lost its last name since */
	uint8_t pad[2];
	uint32_t off, len; /* bytes of the file */
};

struct soak_model {
	uint64_t nr_steps; /* made so far */
	uint64_t unit;	   /* of DAX inodes, bytes: what a page of a pin lies in */
	struct soak_node node[SOAK_NODES];
	uint8_t child[SOAK_NODES][SOAK_NAMES]; /* of directories: 0 or a node */
	struct soak_pin pin[SOAK_PINS];
	uint8_t *data[SOAK_NODES]; /* of files, SOAK_FILE_MAX bytes, zero from size on */
	uint8_t *kept[SOAK_PINS];  /* the same, of a file without a name that a pin is of */
};

struct soak_model *soak_model_new(void); /* an empty directory */
struct soak_model *soak_model_copy(const struct soak_model *m);
void soak_model_delete(struct soak_model *m);

uint8_t *soak_model_room(void); /* for the data of a file */

/* As a file, for the next process; replaced as a whole. False: errno says why. */
bool soak_model_save(const struct soak_model *m, const char *path);
struct soak_model *soak_model_load(const char *path);

/* What the step makes of it, if it succeeds. */
void soak_model_step(struct soak_model *m, const struct soak_step *s);

/* Whether the filesystem should do it. */
bool soak_model_allows(const struct soak_model *m, const struct soak_step *s);

unsigned int soak_model_nlink(const struct soak_model *m, unsigned int node);
/* The directory that a directory is in, and how deep it is below the worker's own. */
unsigned int soak_model_parent(const struct soak_model *m, unsigned int node);
unsigned int soak_model_depth(const struct soak_model *m, unsigned int node);

/* A name of a node that is not the worker's directory. False: it has none. */
bool soak_model_find_name(
	const struct soak_model *m, unsigned int node, uint8_t *dir, uint8_t *name);

/* Bytes that tell where they come from. */
void soak_fill(void *buf, size_t len, uint64_t seed);
/* out: 256 bytes. */
void soak_name(unsigned int name, char *out);
/* out: len + 1 bytes. */
void soak_target(uint64_t seed, uint32_t len, char *out);
void soak_step_print(FILE *to, const struct soak_step *s);

/* Whether a crash may leave it half done: some of the range old, some new. */
bool soak_step_is_overwrite(const struct soak_step *s);

#endif
