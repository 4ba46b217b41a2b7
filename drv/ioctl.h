/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tables of ioctls have in common: those of regions and of guest spaces.
 */
#ifndef _MMEXT_IOCTL_H
#define _MMEXT_IOCTL_H

#include <linux/bitops.h>
#include <linux/fs.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <uapi/linux/mmext.h>

#include "region.h"

/**
 * struct op - a row of a table
 * @cmd: the ioctl's number
 * @min: bytes of its structure as first published
 * @size: bytes of its structure now
 * @flags: those it knows
 * @write: it needs a descriptor that is open for writing
 * @what: for the table's own use
 * @fn: does it; what it leaves in @arg goes back to the program
 * @make: in place of @fn: makes the file of a descriptor
 * @fd: where in its structure that is
 */
struct op {
	unsigned int cmd;
	u32 min;
	u32 size;
	u32 flags;
	bool write;
	unsigned int what;
	int (*fn)(struct file *file, void *arg);
	struct file *(*make)(struct file *file, void *arg);
	u32 fd;
};

#define IOCTL_OP(_name, _struct, _last, _flags, _write, _what, _fn)	\
	[MMEXT_CMD_##_name] = {						\
		.cmd = MMEXT_##_name,					\
		.min = offsetofend(struct _struct, _last),		\
		.size = sizeof(struct _struct),				\
		.flags = _flags,					\
		.write = _write,					\
		.what = _what,						\
		.fn = _fn,						\
	}

/* One whose answer is out_fd. */
#define IOCTL_FD_OP(_name, _struct, _flags, _make)			\
	[MMEXT_CMD_##_name] = {						\
		.cmd = MMEXT_##_name,					\
		.min = offsetofend(struct _struct, out_fd),		\
		.size = sizeof(struct _struct),				\
		.flags = _flags,					\
		.make = _make,						\
		.fd = offsetof(struct _struct, out_fd),			\
	}

/**
 * struct op_table - the ioctls of a kind of descriptor
 * @ops: rows, by number
 * @nr: how many
 * @begin: is there still something to call; an error of its own
 * @checked: the structure is as it should be; may the call be made
 */
struct op_table {
	const struct op *ops;
	unsigned int nr;
	int (*begin)(struct file *file, const struct op *op);
	int (*checked)(struct file *file, const struct op *op);
};

/* What every structure begins with. */
struct ioctl_head {
	u32 size;
	u32 flags;
};

long ioctl_dispatch(struct file *file, unsigned int cmd, unsigned long arg,
		    const struct op_table *table, struct ioctl_head *head);
int check_range(u64 start, u64 length, u64 end);
int in_steps(struct file *file, void *arg, u64 *a, u64 *b, u64 *length,
	     long (*step)(struct file *file, void *arg, u64 pages));

/**
 * struct dirty_get - what DIRTY's GET has found and not given out yet
 * @d: the call
 * @marks: as a bitmap, of the pages of one block
 * @runs: as runs
 * @nr_runs: how many
 */
struct dirty_get {
	struct mmext_dirty *d;
	unsigned long marks[BITS_TO_LONGS(DIRTY_PAGES)];
	struct mmext_run runs[32];
	unsigned int nr_runs;
};

int dirty_check(struct file *file, const struct mmext_dirty *d, u32 *what);
int dirty_get(struct file *file, struct mmext_dirty *d,
	      long (*step)(struct file *file, void *arg, u64 pages));
unsigned long dirty_find_runs(struct dirty_get *g, pgoff_t first,
			      unsigned long nr);
int dirty_put_marks(struct dirty_get *g, pgoff_t first, unsigned long nr);

#endif /* _MMEXT_IOCTL_H */
