// SPDX-License-Identifier: GPL-2.0
/*
 * Finishing faults on entries that exist.
 */
#include <linux/export.h>

#include "engine.h"
#include "pgtable.h"

/**
 * mmext_finish_mkwrite_fault - make an entry writable
 * @vmf: a write fault on a read-only entry, as pfn_mkwrite() gets it
 *
 * Call it when the page may be stored to, under a lock that keeps that true
 * until this returns.
 *
 * Differs from finish_mkwrite_fault(): the answers, which are the engine's own
 * since the kernel's changed with time.  The handler returns VM_FAULT_NOPAGE
 * for both.
 *
 * Context: from pfn_mkwrite().
 * Return: 1 the entry is writable and dirty now; 0 it changed meanwhile, and
 * the access will be tried again; -EINVAL the VMA is not the engine's or does
 * not allow stores.
 */
int mmext_finish_mkwrite_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr = vmf->address & PAGE_MASK;
	struct mmext_mapping *m = mmext_vma_mapping(vma);
	struct mmext_walk w;
	int ret = 0;

	if (!m || (vma->vm_flags & (VM_WRITE | VM_SHARED)) !=
		  (VM_WRITE | VM_SHARED))
		return -EINVAL;

	if (!mmext_walk_lock(vma->vm_mm, addr, addr + PAGE_SIZE, &w))
		return 0;

	if (mmext_pte_is(*w.pte, pte_pfn(vmf->orig_pte)) &&
	    mmext_seq_current(m, atomic_long_read(&m->seq))) {
		mmext_pte_relax(vma, addr, w.pte);
		ret = 1;
	}
	mmext_walk_unlock(&w);

	if (ret)
		mmext_tlb_relaxed(vma->vm_mm, addr, addr + PAGE_SIZE);

	return ret;
}
EXPORT_SYMBOL_GPL(mmext_finish_mkwrite_fault);
