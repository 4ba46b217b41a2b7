// SPDX-License-Identifier: GPL-2.0
/*
 * No flush of the engine's own: every clearing is the kernel's.
 */
#include <linux/bug.h>

#include "tlb.h"

const enum mmext_tlb_id mmext_tlb_backend = MMEXT_TLB_ID_KERNEL;

void mmext_tlb_flush(struct mm_struct *mm, unsigned long start,
		     unsigned long end)
{
	/* mmext_tlb_native() is false, so nobody clears and comes here */
	WARN_ON_ONCE(1);
}
