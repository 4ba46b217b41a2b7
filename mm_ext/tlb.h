/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Removing stale translations.  No flush_tlb_*() is exported, so there is a
 * backend for each architecture where the flush can be had without them, and
 * a generic one that has none: then the kernel's own zap clears and flushes
 * (delegate.c).
 */
#ifndef _MMEXT_TLB_H
#define _MMEXT_TLB_H

#include <linux/mm_types.h>

#include "visible.h"

/* As the ABI numbers them. */
enum mmext_tlb_id {
	MMEXT_TLB_ID_KERNEL = 0,
	MMEXT_TLB_ID_X86 = 1,
	MMEXT_TLB_ID_ARM64 = 2,
};

/* A flush of this end is one of everything. */
#define MMEXT_TLB_ALL	ULONG_MAX

/* tlb_x86.c, tlb_arm64.c or tlb_generic.c, whichever is built */
enum mmext_tlb_id mmext_tlb_backend(void);
void mmext_tlb_flush(struct mm_struct *mm, unsigned long start,
		     unsigned long end, unsigned int shift);
void mmext_tlb_relaxed(struct mm_struct *mm, unsigned long start,
		       unsigned long end);

/* mapping.c */
extern bool mmext_tlb_use_native;
int mmext_tlb_init(const char *mode);
enum mmext_tlb_id mmext_tlb_live(void);

/* Without a backend nothing that clears is built: it may not even link. */
static inline bool mmext_tlb_native(void)
{
#ifdef MMEXT_TLB_NONE
	return false;
#else
	return READ_ONCE(mmext_tlb_use_native);
#endif
}

#endif /* _MMEXT_TLB_H */
