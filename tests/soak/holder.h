/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process that holds a range of a file mapped, with the client library, and does as it is told
 * through a socket. It has nothing to do with the daemon's life or the worker's: what it holds it
 * goes on holding.
 *
 *	struct soak_answer answer;
 *
 *	if (soak_ask(socket, &(struct soak_ask){ .what = SOAK_ASK_LOOK }, &answer, bytes))
 *		...answer.len bytes are what it sees
 */
#ifndef DDFS_TEST_SOAK_HOLDER_H
#define DDFS_TEST_SOAK_HOLDER_H

#include <stdbool.h>
#include <stdint.h>

enum soak_ask_what {
	SOAK_ASK_PIN,	/* off, len, grow, patience, path */
	SOAK_ASK_UNPIN, /* also if it holds nothing */
	SOAK_ASK_STORE, /* off in the file, len, seed: of soak_fill. ENOENT: it holds nothing */
	SOAK_ASK_LOOK,	/* what it sees comes behind the answer. ENOENT: it holds nothing */
	SOAK_ASK_LEAVE, /* let go if the daemon lives that it pinned with */
	SOAK_ASK_DIE,	/* by SIGKILL */
};

struct soak_ask {
	uint32_t what;
	uint32_t off, len; /* bytes of the file */
	uint32_t grow;	   /* the file to the end of the range */
	uint32_t patience; /* milliseconds until it lets go when it is asked to, or SOAK_NEVER */
	uint64_t seed;
	char path[4096];
};

struct soak_answer {
	int32_t error; /* an errno */
	uint32_t len;  /* bytes that follow */
};

/* Be one, until killed: also by the end of whoever started it. Its exit status, 2, if the socket
 * can't be had. */
int soak_holder(const char *socket);

/* data: for what follows the answer, SOAK_FILE_MAX bytes; NULL if nothing does. False: there is no
 * holder, or it ended meanwhile. */
bool soak_ask(
	const char *socket, const struct soak_ask *ask, struct soak_answer *answer, uint8_t *data);

#endif
