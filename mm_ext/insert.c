// SPDX-License-Identifier: GPL-2.0
/*
 * Putting one page frame into a VMA, from a fault handler, and those around it.
 */
#include <linux/export.h>

#include "engine.h"
#include "pgtable.h"

/* Returns 0 if an invalidation came since @seq. */
static vm_fault_t insert_pfn(struct vm_area_struct *vma, struct vm_fault *vmf,
			     unsigned long addr, unsigned long pfn,
			     pgprot_t prot, unsigned long seq)
{
	struct mmext_mapping *m = mmext_vma_mapping(vma);
	bool dirty = vmf && vmf->flags & FAULT_FLAG_WRITE;
	vm_fault_t ret = VM_FAULT_NOPAGE;
	struct mmext_walk w;
	pte_t old, pte;

	addr &= PAGE_MASK;
	if (!mmext_pfns_possible(pfn, 1))
		return VM_FAULT_SIGBUS;

	switch (mmext_walk_lock_alloc(vma, vmf, addr, &w)) {
	case 0:
		break;
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:
		return VM_FAULT_NOPAGE;
	}

	old = READ_ONCE(*w.pte);
	if (!mmext_seq_current(m, seq)) {
		mmext_count(m, retries, 1);
		ret = 0;
	} else if (pte_none(old)) {
		pte = mmext_mk_pte(pfn, prot);
		if (dirty && pte_write(pte))
			pte = pte_mkdirty(pte_mkyoung(pte));
		mmext_set_pte(vma->vm_mm, addr, w.pte, pte);
		mmext_count(m, inserted, 1);
	} else if (!pte_present(old)) {
		/* a marker of the kernel's: to fault again would change nothing */
		ret = VM_FAULT_SIGBUS;
	}
	mmext_walk_unlock(&w);

	return ret;
}

/**
 * mmext_fault_insert_pfn - insert what a fault handler looked up
 * @vmf: the fault, in one of the engine's VMAs
 * @pfn: page frame that @vmf's address shows
 * @pgprot: protection of the entry, see mmext_vma_prot()
 * @seq: what mmext_read_begin() gave before @pfn was looked up
 *
 * For a driver whose objects can change what an offset shows: inserts only if
 * no invalidation came since the look-up.  Takes the page table that the core
 * allocated ahead of the fault.
 *
 * Context: from a fault handler.  Does not allocate.
 * Return: 0 an invalidation came: look up again, see mmext_read_begin().
 * Otherwise the value for the handler to return: VM_FAULT_NOPAGE; or
 * VM_FAULT_SIGBUS the VMA is not the engine's or has pages, there can't be such
 * a frame, or what is there is a marker of the kernel's.
 */
vm_fault_t mmext_fault_insert_pfn(struct vm_fault *vmf, unsigned long pfn,
				  pgprot_t pgprot, unsigned long seq)
{
	if (!mmext_vma_mapping(vmf->vma) || mmext_vma_has_pages(vmf->vma))
		return VM_FAULT_SIGBUS;

	return insert_pfn(vmf->vma, vmf, vmf->address, pfn, pgprot, seq);
}
EXPORT_SYMBOL_GPL(mmext_fault_insert_pfn);

/*
 * Fill what is none with frames; the table is locked.  That of the fault is its
 * own case, and ahead of the others.  Returns how many it was.
 */
static unsigned int fill_frames(struct vm_fault *vmf, unsigned long addr,
				unsigned int nr, const unsigned long *pfns,
				const unsigned long *read_only, pte_t *ptep)
{
	unsigned int fault = ((vmf->address & PAGE_MASK) - addr) >> PAGE_SHIFT;
	struct vm_area_struct *vma = vmf->vma;
	struct mmext_ptes ptes[] = {
		mmext_ptes(mmext_vma_prot(vma, true)),
		mmext_ptes(mmext_vma_prot(vma, false)),
	};
	bool old = mmext_old_is_free(), ro;
	struct mm_struct *mm = vma->vm_mm;
	unsigned int i, filled = 0;
	pte_t pte;

	if (read_only && bitmap_empty(read_only, nr))
		read_only = NULL;
	if (pte_none(READ_ONCE(ptep[fault]))) {
		ro = read_only && test_bit(fault, read_only);
		pte = mmext_pte_of(&ptes[ro], pfns[fault]);
		if (vmf->flags & FAULT_FLAG_WRITE && pte_write(pte))
			pte = pte_mkdirty(pte_mkyoung(pte));
		mmext_store_pte(&ptes[ro], mm, vmf->address & PAGE_MASK,
				ptep + fault, pte);
		filled++;
	}

	for (i = 0; i < nr; i++, addr += PAGE_SIZE) {
		if (pfns[i] == MMEXT_NO_PFN || !pte_none(READ_ONCE(ptep[i])))
			continue;

		ro = read_only && test_bit(i, read_only);
		pte = mmext_pte_of(&ptes[ro], pfns[i]);
		mmext_store_pte(&ptes[ro], mm, addr, ptep + i,
				old ? pte_mkold(pte) : pte);
		filled++;
	}
	return filled;
}

/* The same with pages, each with a reference. */
static unsigned int fill_pages(struct vm_fault *vmf, unsigned long addr,
			       unsigned int nr, const unsigned long *pfns,
			       const unsigned long *read_only, pte_t *ptep)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long fault = vmf->address & PAGE_MASK;
	pgprot_t prot[] = {
		mmext_vma_prot(vma, true), mmext_vma_prot(vma, false),
	};
	bool old = mmext_old_is_free();
	unsigned int i, filled = 0;
	struct page *page;
	pte_t pte;

	for (i = 0; i < nr; i++, addr += PAGE_SIZE) {
		if (pfns[i] == MMEXT_NO_PFN || !pte_none(READ_ONCE(ptep[i])))
			continue;

		page = pfn_to_page(pfns[i]);
		if (!mmext_page_mappable(page))
			continue;

		pte = mmext_mk_page_pte(page, prot[read_only &&
						   test_bit(i, read_only)]);
		if (addr != fault)
			pte = old ? pte_mkold(pte) : pte;
		else if (vmf->flags & FAULT_FLAG_WRITE && pte_write(pte))
			pte = pte_mkdirty(pte_mkyoung(pte));
		get_page(page);
		mmext_page_enter(vma, addr, ptep + i, page, pte);
		filled++;
	}
	compat_add_mm_counter(vma->vm_mm, MM_FILEPAGES, filled);
	return filled;
}

/* Is it a stretch of one table and one VMA that the fault is in? */
static bool around_fault(struct vm_fault *vmf, unsigned long addr,
			 unsigned int nr)
{
	unsigned long size = (unsigned long)nr << PAGE_SHIFT;

	if (!nr || nr > MMEXT_AROUND_MAX ||
	    !mmext_range_in_vma(vmf->vma, addr, size))
		return false;
	return vmf->address >= addr && vmf->address - addr < size &&
	       !((addr ^ (addr + size - 1)) & PMD_MASK);
}

/**
 * mmext_fault_insert_pfns - insert what a fault handler looked up, and around
 * @vmf: the fault, in one of the engine's VMAs
 * @addr: user address of the first page, not behind that of @vmf
 * @nr: pages, at most MMEXT_AROUND_MAX, that of @vmf among them
 * @pfns: their page frames; MMEXT_NO_PFN where there is none to insert
 * @read_only: bitmap of the pages that can't be stored to without another
 *	fault; NULL: none of them
 * @seq: what mmext_read_begin() gave before the first of @pfns was looked up
 *
 * mmext_fault_insert_pfn() for several pages: under one lock of the table, and
 * with one look at the sequence for all of them.  The pages are of one VMA and
 * of one table (PMD_SIZE of addresses).  Entries that are there stay.  Those
 * that the fault was not for are clean, and, where the hardware marks an entry
 * at no cost, not young.  Otherwise they are what mmext_vma_prot() says.
 *
 * In a VMA that has pages, each is as for mmext_fault_insert_page(), and an entry
 * takes a reference; what can't be mapped is left out.
 *
 * Context: from a fault handler, also from map_pages().  Does not allocate and
 * does not sleep.
 * Return: as mmext_fault_insert_pfn(), or mmext_fault_insert_page();
 * VM_FAULT_SIGBUS also if the range is not as said above.
 */
vm_fault_t mmext_fault_insert_pfns(struct vm_fault *vmf, unsigned long addr,
				   unsigned int nr, const unsigned long *pfns,
				   const unsigned long *read_only,
				   unsigned long seq)
{
	struct mmext_mapping *m = mmext_vma_mapping(vmf->vma);
	vm_fault_t ret = VM_FAULT_NOPAGE;
	unsigned long last = 0;
	struct mmext_walk w;
	unsigned int i;
	pte_t pte;

	if (!m || !around_fault(vmf, addr, nr))
		return VM_FAULT_SIGBUS;
	for (i = 0; i < nr; i++) {
		if (pfns[i] > last && pfns[i] != MMEXT_NO_PFN)
			last = pfns[i];
	}
	i = (vmf->address - addr) >> PAGE_SHIFT;
	if (pfns[i] == MMEXT_NO_PFN || !mmext_pfns_possible(last, 1))
		return VM_FAULT_SIGBUS;
	if (!mmext_may_insert_page(vmf))
		return VM_FAULT_SIGBUS;

	if (mmext_walk_lock_alloc(vmf->vma, vmf, addr, &w))
		return VM_FAULT_NOPAGE;

	pte = READ_ONCE(w.pte[i]);
	if (!mmext_seq_current(m, seq)) {
		mmext_count(m, retries, 1);
		ret = 0;
	} else if (!pte_none(pte) && !pte_present(pte)) {
		ret = VM_FAULT_SIGBUS;
	} else if (mmext_vma_has_pages(vmf->vma) &&
		   !mmext_page_mappable(pfn_to_page(pfns[i]))) {
		ret = VM_FAULT_SIGBUS;
	} else {
		i = mmext_vma_has_pages(vmf->vma) ?
		    fill_pages(vmf, addr, nr, pfns, read_only, w.pte) :
		    fill_frames(vmf, addr, nr, pfns, read_only, w.pte);
		mmext_count(m, inserted, i);
	}
	mmext_walk_unlock(&w);

	return ret;
}
EXPORT_SYMBOL_GPL(mmext_fault_insert_pfns);

/**
 * mmext_vmf_insert_pfn_prot - insert a page frame with a protection of its own
 * @vma: one of the engine's
 * @addr: user address in @vma
 * @pfn: page frame
 * @pgprot: protection of the entry
 *
 * For a fault handler whose look-up of @pfn stays true until this returns,
 * because it never changes or because the caller holds a lock that whoever
 * changes it takes, too.  Others want mmext_fault_insert_pfn().
 *
 * An entry that is there already stays.  A read-only one is made clean,
 * whatever @pgprot says.
 *
 * Differs from vmf_insert_pfn_prot(): what that has BUG_ON()s for is
 * VM_FAULT_SIGBUS; the memory type is as @pgprot says and not looked up.
 *
 * Context: process context, mmap lock or VMA lock.  May allocate with
 * GFP_KERNEL.
 * Return: VM_FAULT_NOPAGE inserted, or there was an entry, or an invalidation
 * is in progress and the access will fault again; VM_FAULT_OOM;
 * VM_FAULT_SIGBUS @vma is not the engine's or has pages, @addr is not in it,
 * there can't be such a frame, or what is there is a marker of the kernel's.
 */
vm_fault_t mmext_vmf_insert_pfn_prot(struct vm_area_struct *vma,
				     unsigned long addr, unsigned long pfn,
				     pgprot_t pgprot)
{
	struct mmext_mapping *m = mmext_vma_mapping(vma);

	if (!m || mmext_vma_has_pages(vma) || addr < vma->vm_start ||
	    addr >= vma->vm_end)
		return VM_FAULT_SIGBUS;

	return insert_pfn(vma, NULL, addr, pfn, pgprot,
			  atomic_long_read(&m->seq)) ?: VM_FAULT_NOPAGE;
}
EXPORT_SYMBOL_GPL(mmext_vmf_insert_pfn_prot);

/**
 * mmext_vmf_insert_pfn - insert a page frame
 * @vma: one of the engine's
 * @addr: user address in @vma
 * @pfn: page frame
 *
 * mmext_vmf_insert_pfn_prot() with the protection of the VMA, which makes the
 * first store a fault (pfn_mkwrite).
 *
 * Differs from vmf_insert_pfn() as that from its namesake.
 *
 * Context: as mmext_vmf_insert_pfn_prot().
 * Return: as mmext_vmf_insert_pfn_prot().
 */
vm_fault_t mmext_vmf_insert_pfn(struct vm_area_struct *vma, unsigned long addr,
				unsigned long pfn)
{
	return mmext_vmf_insert_pfn_prot(vma, addr, pfn, vma->vm_page_prot);
}
EXPORT_SYMBOL_GPL(mmext_vmf_insert_pfn);
