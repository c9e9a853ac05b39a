/* SPDX-License-Identifier: BSD-3-Clause */
/* One end of a reliable connection between two queue pairs of a RoCE device. */
#ifndef TESTS_RDMA_END_H
#define TESTS_RDMA_END_H

#include <stdint.h>
#include <infiniband/verbs.h>

#define RDMA_PORT	1
#define RDMA_BUFFER_LEN 4096

/* What the other end needs to connect. */
struct rdma_address {
	uint32_t qpn;
	union ibv_gid gid;
};

struct rdma_end {
	struct ibv_context *context;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	struct ibv_mr *local; /* over buffer: where writes come from */
	uint32_t gid_index;
	struct rdma_address address;
	char buffer[RDMA_BUFFER_LEN];
};

/* On the first device with an active Ethernet port; -ENODEV: there is none. */
int rdma_end_init(struct rdma_end *end);
void rdma_end_fini(struct rdma_end *end);

int rdma_end_connect(struct rdma_end *end, const struct rdma_address *other);

/* RDMA WRITE of len bytes to memory of the other end. Status of the completion, or -errno. */
int rdma_end_write(
	struct rdma_end *end, uint64_t addr, uint32_t rkey, const void *bytes, uint32_t len);

#endif
