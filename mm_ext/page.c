// SPDX-License-Identifier: GPL-2.0
/*
 * Pages with references: entries that get_user_pages() takes, that count as
 * resident, and that the kernel itself can take out.
 */
#include <linux/export.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "engine.h"
#include "pgtable.h"

/**
 * mmext_page_mappable - can a page be behind a normal entry
 * @page: any page
 *
 * One that is somebody's, that is of order 0, and that uses its map count for
 * counting maps.  Of a larger one the kernel counts the maps in more than one
 * place, and differently in each release.
 *
 * Context: any; @page can't go away.
 */
bool mmext_page_mappable(struct page *page)
{
	return page_count(page) && !PageCompound(page) && !PageAnon(page) &&
	       !PageSlab(page) && !page_has_type(page) &&
	       !is_zero_pfn(page_to_pfn(page));
}

/**
 * mmext_page_enter - have an entry show a page
 * @vma: one of the engine's that has pages
 * @addr: address of the entry
 * @ptep: the entry, which is none
 * @page: the page; the caller's reference to it becomes the entry's
 * @pte: what to store
 *
 * The caller adds it to the counters of the mm.
 *
 * Context: page-table lock.
 */
void mmext_page_enter(struct vm_area_struct *vma, unsigned long addr,
		      pte_t *ptep, struct page *page, pte_t pte)
{
	/* as the kernel's rmap, which subtracts with the last map */
	if (atomic_inc_and_test(&page->_mapcount))
		compat_mod_file_mapped(page, 1);
	mmext_set_pte(vma->vm_mm, addr, ptep, pte);
}

/**
 * mmext_page_leave - an entry that showed a page is cleared
 * @page: the page
 * @pte: what the entry was
 *
 * The entry's reference is the caller's now, to be put after the flush; the
 * caller subtracts it from the counters of the mm.
 *
 * Context: page-table lock.
 * Return: was it stored to?  Then set_page_dirty() is due, after the flush as
 * well: until then there may be more stores.
 */
bool mmext_page_leave(struct page *page, pte_t pte)
{
	if (atomic_add_negative(-1, &page->_mapcount))
		compat_mod_file_mapped(page, -1);
	return pte_dirty(pte);
}

/**
 * struct insert - pages on their way into the tables
 * @m: mapping of the VMA
 * @vma: where they go
 * @end: end of the range
 * @next: up to where it is in
 * @pages: the page of @next, and those behind it
 * @prot: protection of the entries
 * @seq: what @m's sequence was at the start
 * @keep: what is there already may stay
 * @relaxed: entries that were read-only are writable now
 */
struct insert {
	struct mmext_mapping *m;
	struct vm_area_struct *vma;
	unsigned long end;
	unsigned long next;
	struct page **pages;
	pgprot_t prot;
	unsigned long seq;
	bool keep;
	bool relaxed;
};

/* One page that is not in yet: is what stands there as good? */
static int keep_entry(struct insert *r, unsigned long addr, pte_t *ptep,
		      pte_t old, struct page *page)
{
	pte_t pte;

	if (!r->keep)
		return -EBUSY;
	if (!mmext_vma_pte_is(r->vma, old, page_to_pfn(page))) {
		/* a copy of the process's own, perhaps swapped out */
		if (is_cow_mapping(r->vma->vm_flags) &&
		    !mmext_vma_pte_ours(r->vma, old))
			return 0;
		return -EBUSY;
	}

	pte = mmext_mk_page_pte(page, r->prot);
	if (pte_write(pte) && !pte_write(old)) {
		mmext_pte_relax(r->vma, addr, ptep);
		r->relaxed = true;
	}
	return 0;
}

/* A page into an entry that is none, with a reference of its own. */
static __always_inline int enter(struct vm_area_struct *vma, unsigned long addr,
				 pte_t *ptep, struct page *page, pgprot_t prot)
{
	if (!mmext_page_mappable(page))
		return -EINVAL;

	get_page(page);
	mmext_page_enter(vma, addr, ptep, page, mmext_mk_page_pte(page, prot));
	return 0;
}

/* Fill one table, which is locked; the rest of it is behind the pointer. */
static int fill_pages(pte_t *ptep, unsigned long addr, void *data)
{
	struct insert *r = data;
	struct mm_struct *mm = r->vma->vm_mm;
	unsigned long end = min(r->end - 1, addr | ~PMD_MASK) + 1;
	long nr = 0;
	int err = 0;
	pte_t old;

	if (!mmext_seq_current(r->m, r->seq))
		return -EAGAIN;

	for (; addr < end; addr += PAGE_SIZE, ptep++, r->pages++) {
		old = READ_ONCE(*ptep);
		if (likely(pte_none(old))) {
			err = enter(r->vma, addr, ptep, *r->pages, r->prot);
			nr += !err;
		} else {
			err = mmext_page_mappable(*r->pages) ?
			      keep_entry(r, addr, ptep, old, *r->pages) :
			      -EINVAL;
		}
		if (err)
			break;
	}
	compat_add_mm_counter(mm, MM_FILEPAGES, nr);
	mmext_count(r->m, inserted, nr);
	r->next = addr;
	return err;
}

/*
 * Fill the table that is next.  MADV_DONTNEED frees tables of such a VMA under
 * the mmap lock for read, for which apply_to_page_range() is not prepared: so
 * that has to make the table and no more, and if it says that there was no
 * memory, the table may have been freed while it was made.
 */
static int fill_next(struct insert *r)
{
	struct mm_struct *mm = r->vma->vm_mm;
	unsigned int tries = 8;
	struct mmext_walk w;
	int err;

	do {
		if (mmext_walk_lock(mm, r->next, r->end, &w)) {
			err = fill_pages(w.pte, r->next, r);
			mmext_walk_unlock(&w);
			return err;
		}
		if (w.leaf)
			return -EBUSY;
		err = apply_to_page_range(mm, r->next, PAGE_SIZE, fill_pages,
					  r);
	} while (err == -ENOMEM && --tries && !fatal_signal_pending(current));

	return err;
}

static __always_inline int check_insert(struct vm_area_struct *vma,
					unsigned long addr, unsigned long num)
{
	if (!mmext_vma_mapping(vma) || !mmext_vma_has_pages(vma) ||
	    !PAGE_ALIGNED(addr))
		return -EINVAL;
	if (addr < vma->vm_start || addr >= vma->vm_end ||
	    num > (vma->vm_end - addr) >> PAGE_SHIFT)
		return -EFAULT;
	return 0;
}

static int insert_pages(struct vm_area_struct *vma, unsigned long addr,
			struct page **pages, unsigned long *num, pgprot_t prot,
			bool keep)
{
	struct mmext_mapping *m = mmext_vma_mapping(vma);
	struct insert r = {
		.m = m,
		.vma = vma,
		.next = addr,
		.pages = pages,
		.prot = prot,
		.keep = keep,
	};
	int err = check_insert(vma, addr, *num);

	if (err)
		return err;

	r.end = addr + (*num << PAGE_SHIFT);
	r.seq = atomic_long_read(&m->seq);

	while (!err && r.next < r.end) {
		err = fill_next(&r);
		cond_resched();
	}

	if (r.relaxed)
		mmext_tlb_relaxed(vma->vm_mm, addr, r.next);

	*num = (r.end - r.next) >> PAGE_SHIFT;
	return err;
}

/**
 * mmext_vm_insert_page - insert a page
 * @vma: one of the engine's, from mmext_vma_init_pages()
 * @addr: user address of the page
 * @page: a page of its own (order 0), that is not anonymous
 *
 * The entry has the protection of @vma and a reference to @page, and counts as
 * resident.  What @page is must stay true until this returns, as for
 * mmext_vmf_insert_pfn_prot(); in an mmap handler, for good.
 *
 * Differs from vm_insert_page(): it never sets VM_MIXEDMAP, which
 * mmext_vma_init_pages() did in the mmap handler, and refuses a VMA without it;
 * so it can be called from anywhere.  Compound pages and the zero page are
 * refused, and so is an @addr inside of a page.  A read-only entry is clean,
 * whatever the protection says.
 *
 * Context: process context; mmap lock, or the VMA's in a fault.  Allocates with
 * GFP_KERNEL.
 * Return: 0; -EINVAL @vma is not the engine's or has page frames, or @page or
 * @addr is not as said above; -EFAULT @addr is not in @vma; -EBUSY there is an
 * entry; -EAGAIN an invalidation of the mapping is in progress; -ENOMEM.
 */
int mmext_vm_insert_page(struct vm_area_struct *vma, unsigned long addr,
			 struct page *page)
{
	struct mmext_mapping *m;
	unsigned long num = 1;
	struct mmext_walk w;
	int err;

	err = check_insert(vma, addr, 1);
	if (err)
		return err;
	if (!mmext_walk_lock(vma->vm_mm, addr, addr + PAGE_SIZE, &w))
		return insert_pages(vma, addr, &page, &num, vma->vm_page_prot,
				    false);

	m = mmext_vma_mapping(vma);
	if (!mmext_seq_current(m, atomic_long_read(&m->seq)))
		err = -EAGAIN;
	else if (!pte_none(READ_ONCE(*w.pte)))
		err = mmext_page_mappable(page) ? -EBUSY : -EINVAL;
	else
		err = enter(vma, addr, w.pte, page, vma->vm_page_prot);
	if (!err) {
		compat_add_mm_counter(vma->vm_mm, MM_FILEPAGES, 1);
		mmext_count(m, inserted, 1);
	}
	mmext_walk_unlock(&w);
	return err;
}
EXPORT_SYMBOL_GPL(mmext_vm_insert_page);

/**
 * mmext_vm_insert_pages - insert pages
 * @vma: one of the engine's, from mmext_vma_init_pages()
 * @addr: user address of the first
 * @pages: the pages, as for mmext_vm_insert_page()
 * @num: how many; set to how many are not in
 *
 * On failure those that are in stay.
 *
 * Differs from vm_insert_pages() as mmext_vm_insert_page() from its namesake.
 *
 * Context: as mmext_vm_insert_page().
 * Return: as mmext_vm_insert_page(); -EAGAIN also an invalidation came between.
 */
int mmext_vm_insert_pages(struct vm_area_struct *vma, unsigned long addr,
			  struct page **pages, unsigned long *num)
{
	return insert_pages(vma, addr, pages, num, vma->vm_page_prot, false);
}
EXPORT_SYMBOL_GPL(mmext_vm_insert_pages);

/**
 * mmext_vm_insert_pages_prot - insert pages that are not in yet
 * @vma: one of the engine's, from mmext_vma_init_pages()
 * @addr: user address of the first
 * @pages: the pages, as for mmext_vm_insert_page()
 * @num: how many; set to how many are not done
 * @pgprot: protection of the entries, see mmext_vma_prot()
 *
 * mmext_vm_insert_pages() with a protection of its own, to which an entry that
 * shows its page already is as good as a new one, and is made writable if
 * @pgprot is.  A private mapping's own copy stays in the page's place.
 *
 * Context: as mmext_vm_insert_page().
 * Return: as mmext_vm_insert_pages(); -EBUSY an entry shows another page.
 */
int mmext_vm_insert_pages_prot(struct vm_area_struct *vma, unsigned long addr,
			       struct page **pages, unsigned long *num,
			       pgprot_t pgprot)
{
	return insert_pages(vma, addr, pages, num, pgprot, true);
}
EXPORT_SYMBOL_GPL(mmext_vm_insert_pages_prot);
