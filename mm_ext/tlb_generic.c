// SPDX-License-Identifier: GPL-2.0
/*
 * No flush of the engine's own: every clearing is the kernel's.
 */
#include <linux/bug.h>

#include "tlb.h"

enum mmext_tlb_id mmext_tlb_backend(void)
{
	return MMEXT_TLB_ID_KERNEL;
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_tlb_backend);

void mmext_tlb_flush(struct mm_struct *mm, unsigned long start,
		     unsigned long end, unsigned int shift)
{
	/* mmext_tlb_native() is false, so nobody clears and comes here */
	WARN_ON_ONCE(1);
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_tlb_flush);

/*
 * The fault by a stale entry that does not allow a store finds nothing to do,
 * and the kernel's flush_tlb_fix_spurious_fault() removes the entry.
 */
void mmext_tlb_relaxed(struct mm_struct *mm, unsigned long start,
		       unsigned long end)
{
}
