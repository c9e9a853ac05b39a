/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pin records: which blocks clients hold, on media, so that a mount after the daemon was killed
 * keeps them. One for each run of a pin, in the slots of the pin table.
 *
 *	err = ddfs_pin_record_store(fs, &record, &slot);	before the client is told
 *	...
 *	ddfs_pin_record_erase(fs, slot);			before a page is let go
 *
 * Stores are not waited for: the order of one program's stores is kept for whoever maps the device
 * after it, and after a power loss no client is left for whom a record could matter.
 */
#ifndef DDFS_FS_PIN_RECORD_H
#define DDFS_FS_PIN_RECORD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/format.h"

struct ddfs_fs;

struct ddfs_pin_records {
	uint64_t off;	      /* of the table's head, bytes; fixed */
	uint32_t nr_max;      /* slots there is room for; fixed */
	pthread_mutex_t lock; /* a leaf; protects the rest */
	uint32_t nr_slots;    /* as the head says */
	uint32_t nr_used;
	uint32_t first_free; /* none is free below */
	uint64_t *used;	     /* a bit a slot */
};

/* -ENOMEM. */
int ddfs_pin_records_init(struct ddfs_fs *fs);
void ddfs_pin_records_fini(struct ddfs_fs *fs);

/* Slots that may hold a record from earlier mounts: those of the head or, if that is damaged,
 * all. */
uint32_t ddfs_pin_records_load(struct ddfs_fs *fs);
/* Whether the slot holds a valid one: 1, 0, or -EIO: it can't be read. */
int ddfs_pin_record_read(struct ddfs_fs *fs, uint32_t slot, struct ddfs_pin_record *out);
/* Nobody needs what can't be read of the slot's block: it is made anew or, where that fails, not
 * used. */
void ddfs_pin_record_repair(struct ddfs_fs *fs, uint32_t slot);
/* The record of an earlier mount stays, or goes. */
void ddfs_pin_record_keep(struct ddfs_fs *fs, uint32_t slot);
void ddfs_pin_record_drop(struct ddfs_fs *fs, uint32_t slot);

/* Into a free slot, the lowest; r's crc is filled in. -ENOLCK: the table is full. */
int ddfs_pin_record_store(struct ddfs_fs *fs, struct ddfs_pin_record *r, uint32_t *slot);
/* The slot is free again. Once only recovery may write media, the record stays for that. */
void ddfs_pin_record_erase(struct ddfs_fs *fs, uint32_t slot);

/* If none is in use: the next mount need not look. */
void ddfs_pin_records_close(struct ddfs_fs *fs);

#endif
