/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/mmext_test_engine and /dev/mmext_test_kernel: one driver twice.  Both
 * show the same pages and do the same calls, the one with mmext's functions,
 * the other with those of the kernel that they are named after.
 *
 * Which page an mmap shows is its offset, in pages, modulo MMEXT_ORACLE_PAGES;
 * what a fault does is the offset's multiple of MMEXT_ORACLE_MODE.
 */
#ifndef MMEXT_TEST_ORACLE_H
#define MMEXT_TEST_ORACLE_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MMEXT_ORACLE_PAGES	256
#define MMEXT_ORACLE_MODE	0x100000ULL

/* Of another piece of memory, zeroed, not counted by MMEXT_ORACLE_COUNTS. */
#define MMEXT_ORACLE_BLOCK	512

enum mmext_oracle_mode {
	/* insert_pfn(): read-only, so that the first store is pfn_mkwrite */
	MMEXT_ORACLE_FAULT,
	/* insert_pfn_prot(): writable where the VMA is */
	MMEXT_ORACLE_FAULT_PROT,
	/* the engine's insertion for objects that change; the kernel's as PROT */
	MMEXT_ORACLE_FAULT_CHECKED,
	/* SIGBUS: what is there is what a call put there */
	MMEXT_ORACLE_NO_FAULT,
	MMEXT_ORACLE_MODES,
	/* as NO_FAULT, for pages with references and not for frames */
	MMEXT_ORACLE_PAGES_MODE = MMEXT_ORACLE_MODES,
	/* a block of MMEXT_ORACLE_BLOCK pages, by one entry where that can be */
	MMEXT_ORACLE_HUGE_MODE
};

enum mmext_oracle_op {
	/*
	 * On the VMA of @vma: @addr and @size as they are; @page is an index of
	 * the device's, or with MMEXT_ORACLE_RAW a frame.
	 */
	MMEXT_ORACLE_INSERT_PFN,
	MMEXT_ORACLE_INSERT_PFN_PROT,
	MMEXT_ORACLE_REMAP_PFN_RANGE,
	MMEXT_ORACLE_INSERT_PAGE,
	/* @size: pages; out_value: how many are not in */
	MMEXT_ORACLE_INSERT_PAGES,
	MMEXT_ORACLE_ZAP_VMA_PTES,
	/* zap_page_range(), zap_page_range_single() or zap_vma_range() */
	MMEXT_ORACLE_ZAP_PAGE_RANGE,
	/* the same over several VMAs; where the kernel's has lost that, one by one */
	MMEXT_ORACLE_ZAP_VMAS,
	/* vm_iomap_memory(): @addr: bytes behind page 0's first, @size */
	MMEXT_ORACLE_VM_IOMAP_MEMORY,
	/* out_value: the page's index; also follow_pfnmap_start() */
	MMEXT_ORACLE_FOLLOW_PFN,

	/* On this device's address space; @addr, @size: bytes, or pages */
	MMEXT_ORACLE_UNMAP_MAPPING_RANGE,
	MMEXT_ORACLE_UNMAP_MAPPING_PAGES,

	/* A byte at @addr, by the kernel: a fault that can be measured */
	MMEXT_ORACLE_LOAD,		/* out_value */
	MMEXT_ORACLE_STORE,		/* @page: the byte */

	/* out_value: calls of pfn_mkwrite and page_mkwrite; out_refs: see struct */
	MMEXT_ORACLE_COUNTS,
};

/* @prot of a call: more than read-only and clean; and the memory type */
#define MMEXT_ORACLE_WRITE	0x1	/* only where the VMA is writable */
#define MMEXT_ORACLE_DIRTY	0x2
#define MMEXT_ORACLE_WC		0x4

/* @flags of a call */
#define MMEXT_ORACLE_RAW	0x1	/* @page is a page frame number */
/*
 * Only what the kernel's own function is defined for: the range ends at the
 * VMA's end at the latest; and, to remap, it has no entry yet and is not the
 * whole VMA, whose memory type x86 would then look for in its first entry at
 * every later change.  -EEXIST if not.
 */
#define MMEXT_ORACLE_DEFINED	0x2

/* What a function returned: 0, a negative errno, or a code of a fault. */
#define MMEXT_ORACLE_NOPAGE	1000
#define MMEXT_ORACLE_SIGBUS	1001
#define MMEXT_ORACLE_OOM	1002
#define MMEXT_ORACLE_OTHER	1003

/**
 * struct mmext_oracle_call - a call of one function
 * @op: enum mmext_oracle_op
 * @prot: MMEXT_ORACLE_ bits
 * @flags: MMEXT_ORACLE_ bits
 * @out_result: what the function returned
 * @vma: an address in the VMA
 * @addr: see the operations
 * @size: see the operations
 * @page: see the operations
 * @out_value: see the operations
 * @out_rss: what the call changed in the process's counters, by type
 * @out_refs: references to the device's pages, beyond its own, of all pages
 * @out_maps: the same for their map counts
 */
struct mmext_oracle_call {
	__u32 op;
	__u32 prot;
	__u32 flags;
	__s32 out_result;
	__aligned_u64 vma;
	__aligned_u64 addr;
	__aligned_u64 size;
	__aligned_u64 page;
	__aligned_u64 out_value;
	__s64 out_rss[4];
	__s64 out_refs;
	__s64 out_maps;
};

#define MMEXT_ORACLE_CALL	_IOWR(0xED, 32, struct mmext_oracle_call)

#define MMEXT_ORACLE_PRESENT	0x01
#define MMEXT_ORACLE_WRITABLE	0x02
#define MMEXT_ORACLE_IS_DIRTY	0x04
#define MMEXT_ORACLE_YOUNG	0x08
#define MMEXT_ORACLE_SPECIAL	0x10

/**
 * struct mmext_oracle_entry - an entry, by a walk that is not the engine's
 * @raw: the entry, bit for bit; 0 where there is no table
 * @page: index of its page, -1 if it shows none of the device's
 * @flags: MMEXT_ORACLE_ bits, as the kernel reads it
 * @level: of the entry that the walk ended at: 1 PTE, 2 PMD, ..., 5 PGD
 */
struct mmext_oracle_entry {
	__aligned_u64 raw;
	__s64 page;
	__u32 flags;
	__u32 level;
};

/**
 * struct mmext_oracle_look - the page tables of a range of the caller's
 * @addr: first user address
 * @nr: pages
 * @entries: pointer to that many struct mmext_oracle_entry
 * @out_tables: PTE tables that the range has
 * @out_pgtables: bytes of page tables that the process has
 */
struct mmext_oracle_look {
	__aligned_u64 addr;
	__aligned_u64 nr;
	__aligned_u64 entries;
	__aligned_u64 out_tables;
	__aligned_u64 out_pgtables;
};

#define MMEXT_ORACLE_LOOK	_IOWR(0xED, 33, struct mmext_oracle_look)

#endif /* MMEXT_TEST_ORACLE_H */
