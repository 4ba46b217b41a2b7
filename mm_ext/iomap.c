// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping a physical range.
 */
#include <linux/export.h>

#include "engine.h"

/**
 * mmext_vm_iomap_memory - map a physical range into a VMA
 * @vma: one of the engine's
 * @start: physical address of the range
 * @len: bytes of the range
 *
 * All of @vma is mapped, from the page of the range on that vma->vm_pgoff is,
 * with the protection of @vma: the driver sets the memory type there first
 * (pgprot_writecombine() for example), and holds it, since two types at once of
 * one address are what no CPU promises anything about.  As with the namesake a
 * range may begin and end inside of a page; what shares the page is then mapped
 * as well.
 *
 * From an mmap handler for objects that never change, as said of
 * mmext_remap_pfn_range().  Or from a fault handler: what is there already
 * stays, so a fault may find all of @vma mapped, part of it, or nothing.
 *
 * Differs from vm_iomap_memory(): @vma becomes VM_IO, as there, but it may be
 * that before, and then this needs the mmap lock only for read; a range whose
 * last page is past the largest address is refused; nobody looks the memory
 * type up, or reserves it; otherwise as mmext_remap_pfn_range() differs.
 *
 * Context: process context; mmap lock, for write if @vma is not VM_IO yet.
 * Allocates with GFP_KERNEL.
 * Return: 0; -EINVAL @vma is not the engine's or not inside the range, or the
 * range wraps; otherwise as mmext_remap_pfn_range().
 */
int mmext_vm_iomap_memory(struct vm_area_struct *vma, phys_addr_t start,
			  unsigned long len)
{
	unsigned long pfn = start >> PAGE_SHIFT, pages;

	if (!mmext_vma_mapping(vma) || !len || start + (len - 1) < start)
		return -EINVAL;

	pages = ((start + (len - 1)) >> PAGE_SHIFT) - pfn + 1;
	if (vma->vm_pgoff > pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;

	if (!(vma->vm_flags & VM_IO))
		vm_flags_set(vma, VM_IO);

	return mmext_remap_pfn_range(vma, vma->vm_start, pfn + vma->vm_pgoff,
				     vma->vm_end - vma->vm_start,
				     pgprot_decrypted(vma->vm_page_prot));
}
EXPORT_SYMBOL_GPL(mmext_vm_iomap_memory);
