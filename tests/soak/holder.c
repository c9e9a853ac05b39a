/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/soak/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "src/client/devdaxfs.h"
#include "tests/soak/model.h"

struct holder {
	struct ddfs_mapping *m; /* NULL: nothing is held */
	uint32_t off;		/* in the file, of the mapping */
	uint32_t patience;
	int64_t let_go_at; /* milliseconds; 0: it is not asked to */
	bool is_left;	   /* the daemon is gone, and asks for nothing any more */
	uint8_t *bytes;	   /* SOAK_FILE_MAX */
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- what it is told ------------------------------------------------------------------------ */

static void let_go(struct holder *h)
{
	ddfs_mapping_delete(h->m);
	h->m = NULL;
}

static int pin(struct holder *h, const struct soak_ask *ask)
{
	unsigned int flags = DDFS_MAP_READ | DDFS_MAP_WRITE | (ask->grow ? DDFS_MAP_GROW : 0);
	int fd = open(ask->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC), ret;

	if (fd < 0)
		return errno;
	let_go(h);
	ret = ddfs_mapping_new(fd, ask->off, ask->len, flags, &h->m);
	close(fd);
	if (ret)
		return -ret;
	h->off = ask->off;
	h->patience = ask->patience;
	h->let_go_at = 0;
	h->is_left = false;
	return 0;
}

static int store(struct holder *h, const struct soak_ask *ask)
{
	if (!h->m)
		return ENOENT;
	soak_fill(h->bytes, ask->len, ask->seed);
	ddfs_mapping_memcpy(
		h->m, (char *)ddfs_mapping_address(h->m) + (ask->off - h->off), h->bytes, ask->len);
	return 0;
}

static void leave(struct holder *h)
{
	if (h->m && ddfs_lease_is_recalled(ddfs_mapping_lease(h->m)) >= 0)
		let_go(h);
}

static void carry_out(struct holder *h, const struct soak_ask *ask, struct soak_answer *answer)
{
	*answer = (struct soak_answer){ 0 };
	switch (ask->what) {
	case SOAK_ASK_PIN:
		answer->error = pin(h, ask);
		break;
	case SOAK_ASK_UNPIN:
		let_go(h);
		break;
	case SOAK_ASK_STORE:
		answer->error = store(h, ask);
		break;
	case SOAK_ASK_LOOK:
		answer->error = h->m ? 0 : ENOENT;
		answer->len = h->m ? (uint32_t)ddfs_mapping_len(h->m) : 0;
		break;
	case SOAK_ASK_LEAVE:
		leave(h);
		break;
	default:
		kill(getpid(), SIGKILL);
	}
}

/* ---- the socket ----------------------------------------------------------------------------- */

/* Whoever asks is not kept from the answer by a signal: what was asked for is done by then. */
static bool move_all(int fd, char *data, size_t len, bool out)
{
	while (len) {
		ssize_t n = out ? send(fd, data, len, MSG_NOSIGNAL) : recv(fd, data, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static bool send_all(int fd, const void *data, size_t len)
{
	return move_all(fd, (char *)data, len, true);
}

static bool receive_all(int fd, void *data, size_t len)
{
	return move_all(fd, data, len, false);
}

static bool address_of(const char *path, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(out->sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	strcpy(out->sun_path, path);
	return true;
}

static bool connect_to(int fd, const char *path)
{
	struct sockaddr_un address;
	int ret;

	if (!address_of(path, &address))
		return false;
	do
		ret = connect(fd, (struct sockaddr *)&address, sizeof(address));
	while (ret && errno == EINTR);
	return !ret;
}

static void serve(struct holder *h, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	struct soak_ask ask;
	struct soak_answer answer;

	if (fd < 0)
		return;
	if (receive_all(fd, &ask, sizeof(ask))) {
		carry_out(h, &ask, &answer);
		/* Who asked may be gone. */
		if (send_all(fd, &answer, sizeof(answer)) && answer.len)
			send_all(fd, ddfs_mapping_address(h->m), answer.len);
	}
	close(fd);
}

bool soak_ask(const char *socket_path, const struct soak_ask *ask, struct soak_answer *answer,
	uint8_t *data)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 && connect_to(fd, socket_path) && send_all(fd, ask, sizeof(*ask)) &&
		    receive_all(fd, answer, sizeof(*answer)) &&
		    answer->len <= (data ? SOAK_FILE_MAX : 0) && receive_all(fd, data, answer->len);

	if (fd >= 0)
		close(fd);
	return good;
}

/* ---- its life ------------------------------------------------------------------------------- */

/* Asked to let go: by the daemon, if that lives. */
static void on_recall(struct holder *h, short revents)
{
	if (revents & (POLLERR | POLLHUP | POLLNVAL))
		h->is_left = true;
	else if (revents & POLLPRI && !h->let_go_at)
		h->let_go_at = now() + h->patience;
}

static int milliseconds_left(const struct holder *h)
{
	int64_t left;

	if (!h->m || !h->let_go_at || h->patience == SOAK_NEVER)
		return -1;
	left = h->let_go_at - now();
	return left > 0 ? (int)left : 0;
}

static void live(struct holder *h, int listener)
{
	for (;;) {
		bool asks = h->m && !h->is_left && !h->let_go_at;
		struct pollfd p[2] = { { .fd = listener, .events = POLLIN },
			{ .fd = asks ? ddfs_lease_fd(ddfs_mapping_lease(h->m)) : -1,
				.events = POLLPRI } };

		if (poll(p, 2, milliseconds_left(h)) < 0)
			abort();
		if (asks)
			on_recall(h, p[1].revents);
		if (milliseconds_left(h) == 0)
			let_go(h);
		if (p[0].revents)
			serve(h, listener);
	}
}

int soak_holder(const char *socket_path)
{
	struct holder h = { .bytes = soak_model_room() };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	unlink(socket_path);
	if (fd < 0 || !address_of(socket_path, &address) ||
		bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 16)) {
		perror(socket_path);
		return 2;
	}
	puts("ready");
	fflush(stdout);
	live(&h, fd);
	return 0;
}
