// SPDX-License-Identifier: GPL-2.0
/*
 * Taking entries out of one VMA.
 */
#include <linux/export.h>
#include <linux/mm_inline.h>
#include <linux/sched.h>

#include "engine.h"
#include "pgtable.h"

/* What was cleared and is not flushed yet. */
struct gather {
	unsigned long start;
	unsigned long end;
	unsigned long nr;
};

/*
 * Clear what the engine put into one table.  Whatever else is there, the
 * kernel put there and takes out again.
 */
static void clear_table(struct mm_struct *mm, unsigned long addr,
			struct mmext_walk *w, struct gather *g)
{
	pte_t *ptep = w->pte;
	pte_t pte;

	for (; addr < w->next; addr += PAGE_SIZE, ptep++) {
		pte = READ_ONCE(*ptep);
		if (!mmext_pte_ours(pte))
			continue;

		ptep_get_and_clear(mm, addr, ptep);
		if (!g->nr++)
			g->start = addr;
		g->end = addr + PAGE_SIZE;
	}
}

/*
 * Clear a range and flush it.
 *
 * Another CPU may have cleared an entry in it and not flushed yet.  This one
 * finds nothing, but to its caller the page must be gone all the same, so
 * every clearing is announced before it starts (tlb_flush_pending counts the
 * kernel's own, too), and who finds another one under way flushes everything.
 */
static void zap_range(struct vm_area_struct *vma, struct mmext_mapping *m,
		      unsigned long addr, unsigned long end)
{
	struct mm_struct *mm = vma->vm_mm;
	struct gather g = {};
	struct mmext_walk w;

	inc_tlb_flush_pending(mm);

	for (; addr < end; addr = w.next) {
		if (mmext_walk_lock(mm, addr, end, &w)) {
			clear_table(mm, addr, &w, &g);
			mmext_walk_unlock(&w);
		}
		cond_resched();
	}

	if (g.nr)
		mmext_test_flush_gap();

	/*
	 * What was found, or that a table was not, before who else is at it:
	 * a table that is not there has no lock to order the two.
	 */
	smp_mb();

	if (mm_tlb_flush_nested(mm)) {
		mmext_tlb_flush(mm, 0, MMEXT_TLB_ALL);
		mmext_count(m, flushes, 1);
	} else if (g.nr) {
		mmext_tlb_flush(mm, g.start, g.end);
		mmext_count(m, flushes, 1);
	}

	dec_tlb_flush_pending(mm);
	mmext_count(m, cleared, g.nr);
}

/**
 * mmext_zap_page_range_single - remove the entries of a range of one VMA
 * @vma: VMA that holds the range
 * @address: first user address, a multiple of the page size
 * @size: bytes, a multiple of the page size
 * @details: details of the zap, or NULL
 *
 * When this returns no CPU can reach the pages through the range any more.
 * An mm that has MMU notifiers is cleared by the kernel's own zap.
 *
 * Differs from zap_page_range_single(): refuses what is not the engine's, and
 * a range that is not inside @vma, where the namesake would go on; a size of
 * 0 does nothing.
 *
 * Context: process context, may sleep.  The mmap lock, at least for read; or,
 * with MMEXT_ZAP_NO_DELEGATE, the i_mmap_rwsem of the VMA's file.
 * Return: 0; -EINVAL as above; -EAGAIN MMEXT_ZAP_NO_DELEGATE was given and
 * this range is the kernel's to clear.
 */
int mmext_zap_page_range_single(struct vm_area_struct *vma,
				unsigned long address, unsigned long size,
				struct mmext_zap_details *details)
{
	struct mmext_mapping *m = mmext_vma_mapping(vma);

	if (!m || !mmext_range_in_vma(vma, address, size))
		return -EINVAL;

	if (!size)
		return 0;

	if (mmext_needs_kernel(vma->vm_mm)) {
		if (details && details->flags & MMEXT_ZAP_NO_DELEGATE)
			return -EAGAIN;
		mmext_delegate_vma(vma, address, size);
		return 0;
	}

	zap_range(vma, m, address, address + size);
	return 0;
}
EXPORT_SYMBOL_GPL(mmext_zap_page_range_single);

/**
 * mmext_zap_vma_ptes - remove the entries of a range of a PFN mapping
 * @vma: VMA that holds the range
 * @address: first user address, a multiple of the page size
 * @size: bytes, a multiple of the page size
 *
 * Differs from zap_vma_ptes(): says whether it did it.
 *
 * Context: process context, may sleep.  The mmap lock, at least for read.
 * Return: 0; -EINVAL @vma is not the engine's or not VM_PFNMAP, or the range
 * is not inside it.
 */
int mmext_zap_vma_ptes(struct vm_area_struct *vma, unsigned long address,
		       unsigned long size)
{
	if (!(vma->vm_flags & VM_PFNMAP))
		return -EINVAL;

	return mmext_zap_page_range_single(vma, address, size, NULL);
}
EXPORT_SYMBOL_GPL(mmext_zap_vma_ptes);
