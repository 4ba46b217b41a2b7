// SPDX-License-Identifier: GPL-2.0
/*
 * Looking at entries.
 */
#include <linux/export.h>

#include "engine.h"
#include "pgtable.h"

/**
 * mmext_follow_pte - look at the entry of an address
 * @vma: one of the engine's
 * @address: user address in it
 * @out: filled in
 *
 * What it says was true while the table was locked; it faults nothing in.
 *
 * Context: mmap lock.
 * Return: 0; -ENOENT there is no entry; -EINVAL @vma is not the engine's or
 * @address is not in it.
 */
int mmext_follow_pte(struct vm_area_struct *vma, unsigned long address,
		     struct mmext_pte *out)
{
	struct mmext_walk w;

	if (!mmext_vma_mapping(vma) || address < vma->vm_start ||
	    address >= vma->vm_end)
		return -EINVAL;

	if (!mmext_entry_lock(vma->vm_mm, address, &w, out))
		return -ENOENT;

	mmext_entry_unlock(&w);
	return 0;
}
EXPORT_SYMBOL_GPL(mmext_follow_pte);

/**
 * mmext_follow_pfn - look up the page frame of a user address
 * @vma: memory mapping
 * @address: user address in it
 * @pfn: set to the page frame number
 *
 * Only PFN mappings are allowed.  The frame is not referenced: what keeps it
 * is the caller's business.
 *
 * Differs from follow_pfn(): @vma has to be the engine's.
 *
 * Context: mmap lock.
 * Return: 0; -EINVAL otherwise, also if there is no entry.
 */
int mmext_follow_pfn(struct vm_area_struct *vma, unsigned long address,
		     unsigned long *pfn)
{
	struct mmext_pte pte;

	if (!(vma->vm_flags & (VM_IO | VM_PFNMAP)) ||
	    mmext_follow_pte(vma, address, &pte))
		return -EINVAL;

	*pfn = pte.pfn;
	return 0;
}
EXPORT_SYMBOL_GPL(mmext_follow_pfn);
