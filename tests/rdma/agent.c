/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rdma_agent: one end of an RDMA connection, told by lines on standard input what to do. Each is
 * answered by one line: "ok" and values, or "error", a negative errno or the status of a
 *completion, and a word on it.
 *
 *	open				ok QPN GID
 *	connect QPN GID			to another agent
 *	map FILE LENGTH			through libdevdaxfs, for reading and writing
 *	map-plain FILE LENGTH		with mmap(2)
 *	register			ok ADDRESS RKEY, of the whole mapping, for remote writing
 *	write ADDRESS RKEY TEXT		RDMA WRITE to the other agent's region
 *	recalled			ok 1 if the lease of the mapping is recalled, else 0
 *	deregister, unmap, close
 *	hold FILE			open it, remove its name, keep it open
 *	fork				ok PID, of a child that waits to be killed
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/mman.h>

#include "src/client/devdaxfs.h"
#include "tests/rdma/end.h"

struct agent {
	struct rdma_end end;
	struct ddfs_mapping *mapping; /* of map */
	void *address;		      /* of map and map-plain */
	size_t len;
	struct ibv_mr *region;
};

static int say_error(int status, const char *text)
{
	printf("error %d %s\n", status, text);
	return 0;
}

static int say_errno(int ret)
{
	return ret ? say_error(ret, strerror(-ret)) : printf("ok\n");
}

static int do_open(struct agent *agent, char **args)
{
	char gid[INET6_ADDRSTRLEN];
	int ret = rdma_end_init(&agent->end);

	(void)args;
	if (ret)
		return say_errno(ret);
	inet_ntop(AF_INET6, &agent->end.address.gid, gid, sizeof(gid));
	return printf("ok %" PRIu32 " %s\n", agent->end.address.qpn, gid);
}

static int do_connect(struct agent *agent, char **args)
{
	struct rdma_address other = { .qpn = strtoul(args[0], NULL, 0) };

	if (inet_pton(AF_INET6, args[1], &other.gid) != 1)
		return say_errno(-EINVAL);
	return say_errno(rdma_end_connect(&agent->end, &other));
}

static int do_map(struct agent *agent, char **args)
{
	int fd = open(args[0], O_RDWR | O_CLOEXEC), ret;

	if (fd < 0)
		return say_errno(-errno);
	ret = ddfs_mapping_new(
		fd, 0, strtoull(args[1], NULL, 0), DDFS_MAP_READ | DDFS_MAP_WRITE, &agent->mapping);
	close(fd);
	if (ret)
		return say_error(ret, ddfs_errormsg());
	agent->address = ddfs_mapping_address(agent->mapping);
	agent->len = ddfs_mapping_len(agent->mapping);
	return printf("ok\n");
}

static int do_map_plain(struct agent *agent, char **args)
{
	int fd = open(args[0], O_RDWR | O_CLOEXEC);
	size_t len = strtoull(args[1], NULL, 0);
	void *address;

	if (fd < 0)
		return say_errno(-errno);
	address = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (address == MAP_FAILED)
		return say_errno(-errno);
	agent->address = address;
	agent->len = len;
	return printf("ok\n");
}

static int do_unmap(struct agent *agent, char **args)
{
	(void)args;
	if (agent->mapping)
		ddfs_mapping_delete(agent->mapping);
	else if (agent->address)
		munmap(agent->address, agent->len);
	agent->mapping = NULL;
	agent->address = NULL;
	return printf("ok\n");
}

static int do_register(struct agent *agent, char **args)
{
	(void)args;
	agent->region = ibv_reg_mr(agent->end.pd, agent->address, agent->len,
		IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE);
	if (!agent->region)
		return say_errno(-errno);
	return printf("ok %" PRIu64 " %" PRIu32 "\n", (uint64_t)(uintptr_t)agent->address,
		agent->region->rkey);
}

static int do_deregister(struct agent *agent, char **args)
{
	int ret = -ibv_dereg_mr(agent->region);

	(void)args;
	if (!ret)
		agent->region = NULL;
	return say_errno(ret);
}

static int do_write(struct agent *agent, char **args)
{
	int ret = rdma_end_write(&agent->end, strtoull(args[0], NULL, 0), strtoul(args[1], NULL, 0),
		args[2], strlen(args[2]));

	return ret > 0 ? say_error(ret, ibv_wc_status_str(ret)) : say_errno(ret);
}

static int do_recalled(struct agent *agent, char **args)
{
	(void)args;
	return printf("ok %d\n", ddfs_lease_is_recalled(ddfs_mapping_lease(agent->mapping)));
}

static int do_close(struct agent *agent, char **args)
{
	(void)args;
	rdma_end_fini(&agent->end);
	return printf("ok\n");
}

static int do_hold(struct agent *agent, char **args)
{
	(void)agent;
	if (open(args[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600) < 0 || unlink(args[0]))
		return say_errno(-errno);
	return printf("ok\n");
}

static int do_fork(struct agent *agent, char **args)
{
	pid_t pid = fork();

	(void)agent;
	(void)args;
	while (pid == 0)
		pause();
	return pid < 0 ? say_errno(-errno) : printf("ok %d\n", pid);
}

static const struct {
	const char *name;
	int nr_args;
	int (*run)(struct agent *agent, char **args);
} commands[] = {
	{ "open", 0, do_open },
	{ "connect", 2, do_connect },
	{ "map", 2, do_map },
	{ "map-plain", 2, do_map_plain },
	{ "register", 0, do_register },
	{ "write", 3, do_write },
	{ "recalled", 0, do_recalled },
	{ "deregister", 0, do_deregister },
	{ "unmap", 0, do_unmap },
	{ "close", 0, do_close },
	{ "hold", 1, do_hold },
	{ "fork", 0, do_fork },
};

static void obey(struct agent *agent, char *line)
{
	char *words[5] = { NULL };
	int nr = 0;

	for (char *word = strtok(line, " \n"); word && nr < 5; word = strtok(NULL, " \n"))
		words[nr++] = word;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!nr || strcmp(commands[i].name, words[0]) || commands[i].nr_args != nr - 1)
			continue;
		commands[i].run(agent, words + 1);
		return;
	}
	say_error(-EINVAL, "not a command");
}

int main(void)
{
	struct agent agent = { 0 };
	char line[4096];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin))
		obey(&agent, line);
	return EXIT_SUCCESS;
}
