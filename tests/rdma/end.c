/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <arpa/inet.h>

#include "tests/rdma/end.h"

/* A GID that routing knows: the one made of the IPv4 address. */
static int find_gid(struct rdma_end *end, int nr_gids)
{
	struct ibv_gid_entry entry;

	for (int i = 0; i < nr_gids; i++) {
		if (ibv_query_gid_ex(end->context, RDMA_PORT, i, &entry, 0) ||
			entry.gid_type != IBV_GID_TYPE_ROCE_V2 ||
			memcmp(entry.gid.raw, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12))
			continue;
		end->gid_index = i;
		end->address.gid = entry.gid;
		return 0;
	}
	return -ENODEV;
}

static int open_device(struct rdma_end *end, struct ibv_device *device)
{
	struct ibv_port_attr port;

	end->context = ibv_open_device(device);
	if (!end->context)
		return -ENODEV;
	if (!ibv_query_port(end->context, RDMA_PORT, &port) && port.state == IBV_PORT_ACTIVE &&
		port.link_layer == IBV_LINK_LAYER_ETHERNET && !find_gid(end, port.gid_tbl_len))
		return 0;
	ibv_close_device(end->context);
	end->context = NULL;
	return -ENODEV;
}

static int find_device(struct rdma_end *end)
{
	struct ibv_device **devices = ibv_get_device_list(NULL);
	int ret = -ENODEV;

	for (int i = 0; devices && devices[i] && ret; i++)
		ret = open_device(end, devices[i]);
	if (devices)
		ibv_free_device_list(devices);
	return ret;
}

static int make_queues(struct rdma_end *end)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 4, .max_recv_wr = 4, .max_send_sge = 1, .max_recv_sge = 1 },
	};
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = RDMA_PORT,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ,
	};

	end->pd = ibv_alloc_pd(end->context);
	if (!end->pd)
		return -errno;
	end->cq = ibv_create_cq(end->context, 8, NULL, NULL, 0);
	if (!end->cq)
		return -errno;
	init.send_cq = init.recv_cq = end->cq;
	end->qp = ibv_create_qp(end->pd, &init);
	if (!end->qp)
		return -errno;
	end->address.qpn = end->qp->qp_num;
	return -ibv_modify_qp(end->qp, &attr,
		IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

int rdma_end_init(struct rdma_end *end)
{
	int ret;

	memset(end, 0, sizeof(*end));
	ret = find_device(end);
	if (ret)
		return ret;
	ret = make_queues(end);
	if (ret)
		goto fini;
	end->local = ibv_reg_mr(end->pd, end->buffer, sizeof(end->buffer), IBV_ACCESS_LOCAL_WRITE);
	if (end->local)
		return 0;
	ret = -errno;
fini:
	rdma_end_fini(end);
	return ret;
}

void rdma_end_fini(struct rdma_end *end)
{
	if (end->local)
		ibv_dereg_mr(end->local);
	if (end->qp)
		ibv_destroy_qp(end->qp);
	if (end->cq)
		ibv_destroy_cq(end->cq);
	if (end->pd)
		ibv_dealloc_pd(end->pd);
	if (end->context)
		ibv_close_device(end->context);
	memset(end, 0, sizeof(*end));
}

static int receive_from(struct rdma_end *end, const struct rdma_address *other)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_1024,
		.dest_qp_num = other->qpn,
		.max_dest_rd_atomic = 1,
		.min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1,
			.port_num = RDMA_PORT,
			.grh = { .dgid = other->gid, .sgid_index = end->gid_index, .hop_limit = 1 },
		},
	};

	return -ibv_modify_qp(end->qp, &attr,
		IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
			IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
}

int rdma_end_connect(struct rdma_end *end, const struct rdma_address *other)
{
	/* 4 µs << timeout between retries: an end that is gone is noticed within seconds. */
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.timeout = 16,
		.retry_cnt = 5,
		.rnr_retry = 5,
		.max_rd_atomic = 1,
	};
	int ret = receive_from(end, other);

	if (ret)
		return ret;
	return -ibv_modify_qp(end->qp, &attr,
		IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}

int rdma_end_write(
	struct rdma_end *end, uint64_t addr, uint32_t rkey, const void *bytes, uint32_t len)
{
	struct ibv_sge sge = { (uintptr_t)end->buffer, len, end->local->lkey };
	struct ibv_send_wr *bad, work = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = addr, .rkey = rkey },
	};
	struct ibv_wc completion;
	int ret;

	if (len > sizeof(end->buffer))
		return -EINVAL;
	memcpy(end->buffer, bytes, len);
	ret = ibv_post_send(end->qp, &work, &bad);
	if (ret)
		return -ret;
	do
		ret = ibv_poll_cq(end->cq, 1, &completion);
	while (ret == 0);
	return ret < 0 ? -EIO : (int)completion.status;
}
