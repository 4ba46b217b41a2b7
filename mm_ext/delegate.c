// SPDX-License-Identifier: GPL-2.0
/*
 * What is handed to the kernel's own zap: every call into it, with its reason.
 *
 * 1. An mm with MMU notifiers: a hypervisor, an IOMMU or an RDMA card mirrors
 *    its page tables and must be told before an entry goes.  The calls that
 *    tell it are not exported.
 * 2. No TLB flush of the engine's own, because there is none for this
 *    architecture or the administrator asked for the kernel's (tlb=kernel).
 * 3. What the kernel put into a mapping of pages: the copies that stores to a
 *    private mapping made, wherever they are by now, and markers.
 *
 * In the first two cases the kernel's zap does the clearing as well as the rest.
 * Nothing here is called from a notifier.
 */
#include "engine.h"

/**
 * mmext_delegate_vma - have the kernel clear a range of one VMA
 * @vma: the engine's
 * @addr: first address
 * @size: bytes, the range inside @vma
 *
 * Private copies go as well: none of what is exported leaves them.
 *
 * Context: mmap lock, at least for read.  May sleep.
 */
void mmext_delegate_vma(struct vm_area_struct *vma, unsigned long addr,
			unsigned long size)
{
	mmext_count(mmext_vma_mapping(vma), delegated, 1);
	if (vma->vm_flags & VM_PFNMAP)
		compat_zap_pfnmap(vma, addr, size);
	else
		compat_zap_mixedmap(vma, addr, size);
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_delegate_vma);

/**
 * mmext_delegate_mapping - have the kernel clear a range in every process
 * @mapping: the object's address space
 * @start: first page
 * @nr: pages, 0 to the end
 * @even_cows: also private copies
 *
 * Context: may sleep; takes i_mmap_rwsem, so the caller does not hold it.
 */
void mmext_delegate_mapping(struct address_space *mapping, pgoff_t start,
			    pgoff_t nr, bool even_cows)
{
	unmap_mapping_range(mapping, (loff_t)start << PAGE_SHIFT,
			    (loff_t)nr << PAGE_SHIFT, even_cows);
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_delegate_mapping);
