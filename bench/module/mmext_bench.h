/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/mmext_bench_engine and /dev/mmext_bench_kernel: one driver twice, as
 * simple as a driver can be.  Both show the same page frames in a row, and do
 * the same calls over a range: the one with mmext's functions, the other with
 * those of the kernel that they are named after.
 *
 * /dev/mmext_bench_gmap: what is to be seen of guest spaces in the kernel alone.
 */
#ifndef MMEXT_BENCH_H
#define MMEXT_BENCH_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Mappings from this offset on hold references to the pages; in pages. */
#define MMEXT_BENCH_PAGES	0x100000ULL
/* Those from this one on are by leaves of 2 MiB; of the kernel's side alone. */
#define MMEXT_BENCH_HUGE	(2 * MMEXT_BENCH_PAGES)

enum mmext_bench_op {
	/* of frames: a call for all, and one for each */
	MMEXT_BENCH_REMAP_PFN_RANGE,
	MMEXT_BENCH_REMAP_EACH,
	MMEXT_BENCH_ZAP_VMA_PTES,
	/* a call for each page */
	MMEXT_BENCH_FOLLOW_PFN,
	/* of pages: a call for each, and one for all */
	MMEXT_BENCH_INSERT_PAGE,
	MMEXT_BENCH_INSERT_PAGES,
	MMEXT_BENCH_ZAP_PAGE_RANGE,
	/* of what the addresses show, in every process */
	MMEXT_BENCH_UNMAP_MAPPING_RANGE,
	/* nothing: what is left is the call's own way in and out */
	MMEXT_BENCH_NOTHING,
	/*
	 * of /dev/mmext_bench_gmap: a space with a segment for each page of the range,
	 * which is parent address 2 pages times its number from @addr on; it goes
	 * with the descriptor, as what follows does
	 */
	MMEXT_BENCH_GMAP_MAKE,
	/* an address of each segment, looked up */
	MMEXT_BENCH_GMAP_TRANSLATE,
	/* an MMU notifier that does nothing, for the caller */
	MMEXT_BENCH_NOTIFIER,
};

/**
 * struct mmext_bench_call - do one thing to a range of the caller's addresses
 * @op: enum mmext_bench_op
 * @reserved: 0
 * @addr: first user address, in a mapping of this device if it has any
 * @size: bytes
 */
struct mmext_bench_call {
	__u32 op;
	__u32 reserved;
	__aligned_u64 addr;
	__aligned_u64 size;
};

#define MMEXT_BENCH_CALL	_IOW(0xED, 48, struct mmext_bench_call)

#endif /* MMEXT_BENCH_H */
