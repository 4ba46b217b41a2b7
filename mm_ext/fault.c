// SPDX-License-Identifier: GPL-2.0
/*
 * Finishing faults: on entries that exist, and with pages that were found.
 */
#include <linux/export.h>
#include <linux/oom.h>

#include "engine.h"
#include "pgtable.h"

/**
 * mmext_finish_mkwrite_fault - make an entry writable
 * @vmf: a write fault on a read-only entry, as pfn_mkwrite() or page_mkwrite()
 *	gets it
 *
 * Call it when the page may be stored to, under a lock that keeps that true
 * until this returns.
 *
 * Differs from finish_mkwrite_fault(): the answers, which are the engine's own
 * since the kernel's changed with time.  The handler returns VM_FAULT_NOPAGE
 * for both.
 *
 * Context: from pfn_mkwrite() or page_mkwrite().
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

	if (mmext_vma_pte_is(vma, *w.pte, pte_pfn(vmf->orig_pte)) &&
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

/**
 * mmext_may_insert_page - may a fault be answered with the object's own page
 * @vmf: the fault
 *
 * Context: from a fault handler.
 * Return: false if that is for the core to do, or too late.
 */
bool mmext_may_insert_page(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;

	if (vma->vm_flags & VM_SHARED)
		return true;

	/*
	 * A store to a private mapping wants a copy, which is the core's; and
	 * the OOM reaper, if it was there, may have taken one.
	 */
	return !(vmf->flags & FAULT_FLAG_WRITE) &&
	       !check_stable_address_space(vma->vm_mm);
}

/*
 * With the table locked if vmf->pte is set, whatever it returns: 0 the page is
 * in, VM_FAULT_ otherwise; VM_FAULT_RETRY stands for an invalidation since @seq.
 * @ref: take a reference for the entry, or else give it the caller's.
 */
static vm_fault_t set_page(struct vm_fault *vmf, struct page *page,
			   pgprot_t prot, unsigned long seq, bool ref)
{
	struct vm_area_struct *vma = vmf->vma;
	struct mmext_mapping *m = mmext_vma_mapping(vma);
	unsigned long addr = vmf->address & PAGE_MASK;
	struct mmext_walk w;
	pte_t old, pte;

	vmf->pte = NULL;
	if (!m || !mmext_vma_has_pages(vma) || !mmext_may_insert_page(vmf))
		return VM_FAULT_SIGBUS;

	if (mmext_walk_lock_alloc(vma, vmf, addr, &w))
		return VM_FAULT_NOPAGE;
	vmf->pte = w.pte;
	vmf->ptl = w.ptl;

	/* before a look at the page: it may be another's by now */
	if (!mmext_seq_current(m, seq)) {
		mmext_count(m, retries, 1);
		return VM_FAULT_RETRY;
	}

	old = READ_ONCE(*w.pte);
	if (pte_present(old))
		return VM_FAULT_NOPAGE;
	/* a marker of the kernel's: to fault again would change nothing */
	if (!pte_none(old) || !mmext_page_mappable(page))
		return VM_FAULT_SIGBUS;

	pte = mmext_mk_page_pte(page, prot);
	if (vmf->flags & FAULT_FLAG_WRITE && pte_write(pte))
		pte = pte_mkdirty(pte_mkyoung(pte));
	if (ref)
		get_page(page);
	mmext_page_enter(vma, addr, w.pte, page, pte);
	compat_add_mm_counter(vma->vm_mm, MM_FILEPAGES, 1);
	mmext_count(m, inserted, 1);
	return 0;
}

/**
 * mmext_pte_unlock - let go of the table that mmext_alloc_set_pte() locked
 * @vmf: the fault, its vmf->pte not NULL; it is afterwards
 *
 * Context: from the fault handler that called it.
 */
void mmext_pte_unlock(struct vm_fault *vmf)
{
	struct mmext_walk w = { .pte = vmf->pte, .ptl = vmf->ptl };

	mmext_walk_unlock(&w);
	vmf->pte = NULL;
}
EXPORT_SYMBOL_GPL(mmext_pte_unlock);

/**
 * mmext_alloc_set_pte - set up the entry of a page
 * @vmf: the fault, in one of the engine's VMAs that has pages
 * @page: page to map, as for mmext_vm_insert_page(); the caller's reference
 *	becomes the entry's
 *
 * The table, if there is none, is the one that the core allocated ahead of the
 * fault.  The entry is that of the VMA's protection, and for a store writable
 * and dirty.  What @page is must stay true until the table is unlocked, as for
 * mmext_vmf_insert_pfn_prot().
 *
 * If vmf->pte is not NULL when it returns, with success or not, the table is
 * locked, and the caller calls mmext_pte_unlock().
 *
 * Differs from alloc_set_pte(): no memory cgroup, since it makes no private
 * pages: a store to a private mapping is refused, and its page given to the
 * core in vmf->page.  vmf->pte has no meaning when it is called.  It allocates
 * nothing.
 *
 * Context: from a fault handler.
 * Return: 0; VM_FAULT_NOPAGE there was an entry, or an invalidation is in
 * progress, or no table at hand: the access will fault again; VM_FAULT_SIGBUS
 * refused, or what is there is a marker of the kernel's.
 */
vm_fault_t mmext_alloc_set_pte(struct vm_fault *vmf, struct page *page)
{
	struct vm_area_struct *vma = vmf->vma;
	struct mmext_mapping *m = mmext_vma_mapping(vma);
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	vm_fault_t ret;

	ret = set_page(vmf, page, mmext_vma_prot(vma, write),
		       m ? atomic_long_read(&m->seq) : 0, false);
	return ret == VM_FAULT_RETRY ? VM_FAULT_NOPAGE : ret;
}
EXPORT_SYMBOL_GPL(mmext_alloc_set_pte);

/**
 * mmext_finish_fault - finish a page fault
 * @vmf: the fault, its vmf->page prepared
 *
 * Maps vmf->page, and on success consumes the caller's reference to it.  The
 * handler then returns VM_FAULT_NOPAGE.  Otherwise it puts the page, and
 * returns what this returned.
 *
 * Differs from finish_fault(): for a driver's handler, where that is called
 * after it.  vmf->page need not be locked; what it is must stay true until this
 * returns, as for mmext_vmf_insert_pfn_prot().  A store to a private mapping is
 * refused: there the handler returns with vmf->page, and the core makes the
 * copy.
 *
 * Context: from a fault handler.
 * Return: 0 or as mmext_alloc_set_pte().
 */
vm_fault_t mmext_finish_fault(struct vm_fault *vmf)
{
	vm_fault_t ret = mmext_alloc_set_pte(vmf, vmf->page);

	if (vmf->pte)
		mmext_pte_unlock(vmf);
	return ret;
}
EXPORT_SYMBOL_GPL(mmext_finish_fault);

/**
 * mmext_fault_insert_page - insert the page that a fault handler looked up
 * @vmf: the fault, in one of the engine's VMAs that has pages
 * @page: page that @vmf's address shows
 * @pgprot: protection of the entry, see mmext_vma_prot()
 * @seq: what mmext_read_begin() gave before @page was looked up
 *
 * mmext_fault_insert_pfn() for pages: inserts only if no invalidation came since
 * the look-up.  The caller needs no reference to @page, which is not looked at
 * before that is known; the entry takes one.
 *
 * Context: from a fault handler.  Does not allocate.
 * Return: 0 an invalidation came: look up again, see mmext_read_begin().
 * Otherwise the value for the handler to return: VM_FAULT_NOPAGE; or
 * VM_FAULT_SIGBUS as mmext_alloc_set_pte().
 */
vm_fault_t mmext_fault_insert_page(struct vm_fault *vmf, struct page *page,
				   pgprot_t pgprot, unsigned long seq)
{
	vm_fault_t ret = set_page(vmf, page, pgprot, seq, true);

	if (vmf->pte)
		mmext_pte_unlock(vmf);
	if (ret == VM_FAULT_RETRY)
		return 0;
	return ret ?: VM_FAULT_NOPAGE;
}
EXPORT_SYMBOL_GPL(mmext_fault_insert_page);
