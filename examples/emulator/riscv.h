/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A hart: RV64IMAC, unprivileged, as a program under Linux sees it.  It knows
 * nothing of where its memory comes from but that it lies in one piece.
 */
#ifndef RISCV_H
#define RISCV_H

#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#define CODE_PAGE	4096	/* bytes; decoded instructions are kept by page */

enum { ZERO, RA, SP, A0 = 10, A1, A2, A7 = 17, NR_REGS = 32 };

/* Why hart_run() returned. */
enum stop {
	STOP_COUNT,	/* as many instructions as were asked for are done */
	STOP_ECALL,	/* a system call, with pc behind it */
	STOP_FENCE_I,	/* code may have changed, and matters from here on */
	STOP_CODE,	/* the page of code at @where is unknown: hart_watch() */
	STOP_ILLEGAL,	/* pc is at something that is no instruction */
	STOP_ACCESS,	/* pc is at one that accesses @where, which is no memory */
};

/* All that makes a hart go on where it was. */
struct state {
	u64 x[NR_REGS];
	u64 pc;
	u64 reserved;	/* address that LR has, or NOT_RESERVED */
	u64 count;		/* instructions that are done */
};

#define NOT_RESERVED	(~(u64)0)

struct hart {
	struct state state;
	unsigned char *mem;	/* guest address 0 */
	u64 size;		/* of mem, in whole pages */
	u64 where;		/* for some of enum stop */
	struct code **code;	/* decoded instructions, by page */
};

/**
 * hart_init - a hart that has not begun
 * @h: the hart
 * @mem: its memory
 * @size: bytes, a multiple of CODE_PAGE
 *
 * Return: 0, or -1 if there is no memory.
 */
int hart_init(struct hart *h, void *mem, u64 size);

/**
 * hart_run - interpret
 * @h: the hart
 * @until: what state.count is not to pass
 *
 * Return: why it stopped.
 */
enum stop hart_run(struct hart *h, u64 until);

/**
 * hart_watch - keep decoded instructions of a page from now on
 * @h: the hart
 * @addr: in the page
 *
 * Whoever calls it has seen to it that a change of the page will not go unnoticed.
 *
 * Return: 0, or -1 if there is no memory.
 */
int hart_watch(struct hart *h, u64 addr);

/**
 * hart_forget - drop what was decoded of a page
 * @h: the hart
 * @addr: in the page
 *
 * Return: 1 if there was something, else 0.
 */
int hart_forget(struct hart *h, u64 addr);

#endif /* RISCV_H */
