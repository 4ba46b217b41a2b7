/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/mmext_test_driver: a driver on mmext's engine that calls each function
 * of the engine as a program tells it to.
 *
 * Its pages are contiguous, and page i begins with the byte i.  An mmap shows
 * page i at the offset of page i, by faults; offsets from
 * MMEXT_TEST_NO_FAULT on are never faulted in, so that what is there is what
 * a call put there.
 */
#ifndef MMEXT_TEST_DRIVER_H
#define MMEXT_TEST_DRIVER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MMEXT_TEST_PAGES	1024
#define MMEXT_TEST_NO_FAULT	0x100000000ULL

enum mmext_test_op {
	/* what the next mmap on this descriptor does: @size, a kind */
	MMEXT_TEST_KIND,
	/* out_pfn: the frame of page 0; out_value: calls of pfn_mkwrite */
	MMEXT_TEST_INFO,

	/*
	 * On the VMA of @vma, whatever it is: @addr, @size and @pfn as they
	 * are, PROT_WRITE in @prot, and MMEXT_TEST_PROT_DIRTY.
	 */
	MMEXT_TEST_INSERT_PFN,
	MMEXT_TEST_INSERT_PFN_PROT,
	MMEXT_TEST_REMAP_PFN_RANGE,
	MMEXT_TEST_ZAP_VMA_PTES,
	MMEXT_TEST_ZAP_PAGE_RANGE_SINGLE,
	MMEXT_TEST_ZAP_PAGE_RANGE,
	/*
	 * To @addr + @size; details: MMEXT_TEST_ZAP_ bits in @prot, with INDEX
	 * the first page in the lower half of @pfn and the last in the upper.
	 * ONE: by zap_page_range_single().  out_pfn: g->skipped
	 */
	MMEXT_TEST_UNMAP_VMAS,
	/* of page 0's first byte on: @addr, @size */
	MMEXT_TEST_VM_IOMAP_MEMORY,
	/* out_pfn */
	MMEXT_TEST_FOLLOW_PFN,
	/* out_pfn, out_value: MMEXT_TEST_PTE_ bits, and the shift << 8 */
	MMEXT_TEST_FOLLOW_PTE,
	/* out_value: 1 it has a mapping, 2 and it is this module's */
	MMEXT_TEST_VMA_MAPPING,

	/* On this device's address space; with @vma 1 on none */
	MMEXT_TEST_UNMAP_MAPPING_RANGE,	/* @addr, @size: bytes */
	MMEXT_TEST_UNMAP_MAPPING_PAGES,	/* @addr, @size: pages */

	/*
	 * access_remote_vm() on the process @vma: @addr, @size, a buffer at
	 * @pfn, MMEXT_TEST_ACCESS_ bits in @prot
	 */
	MMEXT_TEST_ACCESS,

	/* between invalidate_begin() and _end(): an insert, as INSERT_PFN */
	MMEXT_TEST_INSERT_WHILE_BUSY,
};

/* What mmap does with the VMA. */
enum mmext_test_kind {
	MMEXT_TEST_GOOD,
	MMEXT_TEST_NO_VM_OPS,		/* NULL */
	MMEXT_TEST_OTHER_VM_OPS,	/* without MMEXT_VM_OPS */
	MMEXT_TEST_NO_PFN_MKWRITE,
	MMEXT_TEST_NO_MAPPING,		/* vma_init(vma, NULL) */
	MMEXT_TEST_FOREIGN,		/* no vma_init: not the engine's */
};

#define MMEXT_TEST_PROT_WRITE	0x1
#define MMEXT_TEST_PROT_DIRTY	0x2

#define MMEXT_TEST_ZAP_MAPPING	0x1
#define MMEXT_TEST_ZAP_INDEX	0x2
#define MMEXT_TEST_ZAP_ONE	0x4

#define MMEXT_TEST_ACCESS_WRITE	0x1
#define MMEXT_TEST_ACCESS_FORCE	0x2
#define MMEXT_TEST_ACCESS_OTHER	0x4	/* a flag that is refused */

#define MMEXT_TEST_PTE_WRITE	0x1
#define MMEXT_TEST_PTE_DIRTY	0x2
#define MMEXT_TEST_PTE_YOUNG	0x4

/* What a function returned: 0, a negative errno, or a code of a fault. */
#define MMEXT_TEST_NOPAGE	1000
#define MMEXT_TEST_SIGBUS	1001
#define MMEXT_TEST_OOM		1002
#define MMEXT_TEST_OTHER	1003

struct mmext_test_call {
	__u32 op;
	__u32 prot;
	__aligned_u64 vma;
	__aligned_u64 addr;
	__aligned_u64 size;
	__aligned_u64 pfn;
	__aligned_u64 out_pfn;
	__u32 out_value;
	__s32 out_result;
};

#define MMEXT_TEST_CALL	_IOWR(0xED, 16, struct mmext_test_call)

#endif /* MMEXT_TEST_DRIVER_H */
