// SPDX-License-Identifier: GPL-2.0
/*
 * Looking at entries.
 */
#include <linux/export.h>
#include <linux/string.h>

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
 * mmext_follow_ptes - look at the entries of a range
 * @vma: one of the engine's
 * @address: user address in it, of the first
 * @nr: pages, all of them in @vma
 * @out: filled in, an element a page; where there is no entry, shift is 0
 *
 * mmext_follow_pte() for many, with one walk and one lock for those of a table.
 *
 * Context: mmap lock.  Does not reschedule.
 * Return: 0; -EINVAL @vma is not the engine's, or the range is not in it.
 */
int mmext_follow_ptes(struct vm_area_struct *vma, unsigned long address,
		      unsigned long nr, struct mmext_pte *out)
{
	unsigned long addr = address & PAGE_MASK, end;
	struct mmext_walk w;
	pte_t *ptep, pte;

	if (!mmext_vma_mapping(vma) || address < vma->vm_start ||
	    address >= vma->vm_end || nr > (vma->vm_end - addr) >> PAGE_SHIFT)
		return -EINVAL;

	memset(out, 0, nr * sizeof(*out));
	for (end = addr + (nr << PAGE_SHIFT); addr < end; ) {
		if (!mmext_walk_lock(vma->vm_mm, addr, end, &w)) {
			for (; w.leaf && addr < w.next; addr += PAGE_SIZE)
				mmext_follow_pte(vma, addr, out++);
			out += (w.next - addr) >> PAGE_SHIFT;
			addr = w.next;
			continue;
		}

		for (ptep = w.pte; addr < w.next; addr += PAGE_SIZE, out++) {
			pte = READ_ONCE(*ptep++);
			if (!pte_present(pte))
				continue;
			out->pfn = pte_pfn(pte);
			out->shift = PAGE_SHIFT;
			out->write = pte_write(pte);
			out->dirty = pte_dirty(pte);
			out->young = pte_young(pte);
		}
		mmext_walk_unlock(&w);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(mmext_follow_ptes);

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
	struct mmext_walk w;
	struct mmext_pte e;
	pte_t pte;

	if (!(vma->vm_flags & (VM_IO | VM_PFNMAP)) || !mmext_vma_mapping(vma) ||
	    address < vma->vm_start || address >= vma->vm_end)
		return -EINVAL;

	address &= PAGE_MASK;
	if (!mmext_walk_lock(vma->vm_mm, address, address + PAGE_SIZE, &w)) {
		if (!w.leaf || mmext_follow_pte(vma, address, &e))
			return -EINVAL;
		*pfn = e.pfn;
		return 0;
	}

	pte = READ_ONCE(*w.pte);
	mmext_walk_unlock(&w);
	if (!pte_present(pte))
		return -EINVAL;
	*pfn = pte_pfn(pte);
	return 0;
}
EXPORT_SYMBOL_GPL(mmext_follow_pfn);
