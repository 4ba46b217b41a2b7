// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping a range of page frames at once.
 */
#include <linux/export.h>
#include <linux/sched.h>

#include "engine.h"
#include "huge.h"
#include "pgtable.h"

/**
 * struct remap - a range on its way into the tables
 * @m: mapping of the VMA
 * @vma: where it goes
 * @end: end of the range
 * @next: up to where it is in
 * @pfn: frame of @next, and those behind it; or
 * @pages: the page of @next, and those behind it
 * @prot: protection of the entries
 * @seq: what @m's sequence was at the start
 * @relaxed: entries that were read-only are writable now
 */
struct remap {
	struct mmext_mapping *m;
	struct vm_area_struct *vma;
	unsigned long end;
	unsigned long next;
	unsigned long pfn;
	struct page **pages;
	pgprot_t prot;
	unsigned long seq;
	bool relaxed;
};

/* What is there may stay if it shows the same, and may be stored to then. */
static int keep_entry(struct remap *r, unsigned long addr, pte_t *ptep,
		      pte_t pte)
{
	pte_t old = READ_ONCE(*ptep);

	if (!mmext_pte_is(old, pte_pfn(pte)))
		return -EBUSY;
	if (pte_write(pte) && !pte_write(old)) {
		mmext_pte_relax(r->vma, addr, ptep);
		r->relaxed = true;
	}
	return 0;
}

/* A page's frame is its address less something, and shifted by so much. */
#define PAGE_STRUCT_SHIFT	(PAGE_SHIFT - ilog2(sizeof(struct page)))

static __always_inline bool pages_are_linear(void)
{
	return IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP) &&
	       is_power_of_2(sizeof(struct page));
}

/* Entries that are looked at together. */
#define AT_ONCE		8UL

/*
 * Fill plain entries, AT_ONCE of them, up to where one is there or less than that are
 * left: with frames that follow each other, or with those of @page.  Returns how many.
 * No READ_ONCE(): what is none is nobody else's to change.
 */
static __always_inline unsigned long
fill_plain(const struct mmext_ptes *ptes, bool pages, struct page **page,
	   unsigned long pfn, pte_t *ptep, unsigned long nr)
{
	u64 val = ptes->zero;
	unsigned long i;

	if (pages)
		val += ((u64)page_to_pfn(*page) << PAGE_SHIFT) -
		       ((u64)(uintptr_t)*page << PAGE_STRUCT_SHIFT);
	else
		val += (u64)pfn << PAGE_SHIFT;

#define OLD(_n)		mmext_plain_val(ptep[_n])
#define FILL(_n)							\
	mmext_plain_store(ptep + (_n), mmext_plain_pte(val +		\
		(pages ? (u64)(uintptr_t)page[_n] << PAGE_STRUCT_SHIFT : \
			 (_n) * PAGE_SIZE)))

	for (i = 0; i + AT_ONCE <= nr; i += AT_ONCE) {
		if (unlikely(OLD(0) | OLD(1) | OLD(2) | OLD(3) |
			     OLD(4) | OLD(5) | OLD(6) | OLD(7)))
			break;
		FILL(0);
		FILL(1);
		FILL(2);
		FILL(3);
		FILL(4);
		FILL(5);
		FILL(6);
		FILL(7);
		ptep += AT_ONCE;
		if (pages)
			page += AT_ONCE;
		else
			val += AT_ONCE * PAGE_SIZE;
	}
#undef FILL
#undef OLD
	return i;
}

/* The same one by one, at most @nr, of whatever kind and wherever one may be. */
static __always_inline unsigned long
fill_each(struct remap *r, const struct mmext_ptes *ptes, unsigned long from,
	  pte_t *ptep, unsigned long addr, unsigned long nr,
	  unsigned long *kept, int *err)
{
	struct mm_struct *mm = r->vma->vm_mm;
	unsigned long i, pfn;
	pte_t pte;

	for (i = 0; i < nr; i++, addr += PAGE_SIZE, ptep++) {
		pfn = r->pages ? page_to_pfn(r->pages[from + i]) :
				 r->pfn + from + i;
		pte = mmext_pte_of(ptes, pfn);
		if (likely(pte_none(READ_ONCE(*ptep)))) {
			mmext_store_pte(ptes, mm, addr, ptep, pte);
			continue;
		}
		*err = keep_entry(r, addr, ptep, pte);
		if (*err)
			break;
		(*kept)++;
	}
	return i;
}

/*
 * Fill entries that follow each other: with frames that do, too, or with those of
 * r->pages.  Returns how many, and in *kept how many were there.
 */
static unsigned long fill(struct remap *r, pte_t *ptep, unsigned long addr,
			  unsigned long nr, unsigned long *kept, int *err)
{
	struct mmext_ptes ptes = mmext_ptes(r->prot);
	unsigned long done = 0, some;

	while (done < nr && !*err) {
		if (ptes.plain && !r->pages)
			done += fill_plain(&ptes, false, NULL, r->pfn + done,
					   ptep + done, nr - done);
		else if (ptes.plain && pages_are_linear())
			done += fill_plain(&ptes, true, r->pages + done, 0,
					   ptep + done, nr - done);

		/* up to where so many may be none again */
		some = min(nr - done, ptes.plain ? AT_ONCE : nr);
		done += fill_each(r, &ptes, done, ptep + done,
				  addr + (done << PAGE_SHIFT), some, kept, err);
	}
	return done;
}

/*
 * Fill one table.  apply_to_page_range() calls this for a range of one page,
 * under the table's lock; the rest of the table is a step of the pointer away.
 */
static int fill_table(pte_t *ptep, unsigned long addr, void *data)
{
	struct remap *r = data;
	unsigned long end = min(r->end - 1, addr | ~PMD_MASK) + 1;
	unsigned long nr = (end - addr) >> PAGE_SHIFT, kept = 0;
	int err = 0;

	if (!mmext_seq_current(r->m, r->seq))
		return -EAGAIN;

	nr = fill(r, ptep, addr, nr, &kept, &err);
	r->pfn += nr;
	if (r->pages)
		r->pages += nr;
	r->next = addr + (nr << PAGE_SHIFT);
	mmext_count(r->m, inserted, nr - kept);
	return err;
}

/*
 * By one entry, where the next block can have one.  Returns -EEXIST if it is to
 * be by a table.
 */
static int remap_leaf(struct remap *r)
{
	pmd_t *pmd;

	if (r->end - r->next < PMD_SIZE || !IS_ALIGNED(r->next, PMD_SIZE) ||
	    !IS_ALIGNED(r->pfn, MMEXT_HUGE_PAGES) ||
	    !mmext_huge_fits(r->vma, r->next))
		return -EEXIST;
	/* no level for it: that comes only with a table */
	pmd = mmext_find_pmd(r->vma->vm_mm, r->next);
	if (!pmd)
		return -EEXIST;

	switch (mmext_leaf_insert(r->vma, pmd, r->next, r->pfn, r->prot, r->seq,
				  false, &r->relaxed)) {
	case MMEXT_LEAF_IN:
	case MMEXT_LEAF_KEPT:
		r->next += PMD_SIZE;
		r->pfn += MMEXT_HUGE_PAGES;
		return 0;
	case MMEXT_LEAF_OTHER:
		return -EBUSY;
	case MMEXT_LEAF_STALE:
		return -EAGAIN;
	default:
		return -EEXIST;
	}
}

/*
 * A leaf stands where a part of a block is to go.  It is as good as a table if it
 * shows the same, and allows as much; if it does not allow it, it goes.
 */
static int remap_part(struct remap *r)
{
	unsigned long end = min(r->end - 1, r->next | ~PMD_MASK) + 1;
	bool write = pte_write(mmext_mk_pte(r->pfn, r->prot));
	struct mmext_walk w;
	struct mmext_pte e;

	if (!mmext_entry_lock(r->vma->vm_mm, r->next, &w, &e))
		return 0;
	mmext_entry_unlock(&w);
	if (e.shift != PMD_SHIFT)
		return 0;
	if (e.pfn != r->pfn)
		return -EBUSY;
	if (write && !e.write)
		return mmext_zap_page_range_single(r->vma, r->next & PMD_MASK,
						   PMD_SIZE, NULL);

	r->pfn += (end - r->next) >> PAGE_SHIFT;
	r->next = end;
	return 0;
}

static int remap_next(struct remap *r)
{
	int err = remap_leaf(r);

	if (err == -EEXIST)
		err = mmext_apply_to_table(r->vma, r->next, fill_table, r);
	if (err == -EEXIST)
		err = remap_part(r);
	return err;
}

/* As in a mapping of pages: a table that is there is not asked for. */
static int fill_next(struct remap *r)
{
	unsigned long from = r->next;
	struct mmext_walk w;
	int err;

	if (mmext_walk_lock(r->vma->vm_mm, r->next, r->end, &w)) {
		err = fill_table(w.pte, r->next, r);
		mmext_walk_unlock(&w);
		return err;
	}
	err = w.leaf ? -EEXIST :
		       mmext_apply_to_table(r->vma, r->next, fill_table, r);
	if (err != -EEXIST)
		return err;

	/* a leaf is of pages that follow each other */
	r->pfn = page_to_pfn(*r->pages);
	err = remap_part(r);
	r->pages += (r->next - from) >> PAGE_SHIFT;
	return err;
}

/* All of it, or nothing of what is ahead of where it fails. */
static int remap_range(struct remap *r, unsigned long addr, unsigned long size)
{
	int err = 0;

	r->next = addr;
	r->end = addr + size;
	r->seq = atomic_long_read(&r->m->seq);

	while (!err && r->next < r->end) {
		err = r->pages ? fill_next(r) : remap_next(r);
		cond_resched();
	}

	if (r->relaxed)
		mmext_tlb_relaxed(r->vma->vm_mm, addr, r->next);
	if (err && r->next > addr)
		mmext_zap_page_range_single(r->vma, addr, r->next - addr, NULL);
	return err;
}

/**
 * mmext_remap_pfn_range - map a range of page frames
 * @vma: one of the engine's
 * @addr: first user address, a multiple of the page size
 * @pfn: page frame of @addr; those of the following pages follow it
 * @size: bytes; rounded up to pages
 * @prot: protection of the entries
 *
 * Entries of the range that show the right frame already are kept, and made
 * writable if @prot is.  On failure no entry of the range before the failing
 * page is left, whoever made it.
 *
 * What the frames are must stay true until this returns, as for
 * mmext_vmf_insert_pfn_prot().  In an mmap handler the VMA is not in i_mmap yet,
 * and an invalidation would not find it: only objects that never change are
 * mapped there.
 *
 * Where a block of PMD_SIZE of @vma and of the frames is aligned, and
 * mmext_vma_allow_huge() was called for @vma, it is one entry; see also
 * mmext_huge_prepare().
 *
 * Differs from remap_pfn_range(): an entry that shows another frame is -EBUSY
 * and not a BUG; a range that is not inside @vma is refused; also under the
 * mmap lock for read, and then any number of times; @vma does not become VM_IO.
 *
 * Context: process context; mmap lock.  Allocates with GFP_KERNEL.
 * Return: 0; -EINVAL @vma is not the engine's or has pages, @addr or the range is
 * wrong, or there can't be such frames; -EBUSY as above; -EAGAIN an invalidation
 * of the mapping came between; -ENOMEM.
 */
int mmext_remap_pfn_range(struct vm_area_struct *vma, unsigned long addr,
			  unsigned long pfn, unsigned long size, pgprot_t prot)
{
	struct mmext_mapping *m = mmext_vma_mapping(vma);
	struct remap r = { .m = m, .vma = vma, .pfn = pfn, .prot = prot };

	if (!m || mmext_vma_has_pages(vma) || !size ||
	    size > ULONG_MAX - PAGE_SIZE)
		return -EINVAL;
	size = PAGE_ALIGN(size);
	if (!mmext_range_in_vma(vma, addr, size) ||
	    !mmext_pfns_possible(pfn, size >> PAGE_SHIFT))
		return -EINVAL;

	return remap_range(&r, addr, size);
}
EXPORT_SYMBOL_GPL(mmext_remap_pfn_range);

/**
 * mmext_remap_pages - map the frames of pages
 * @vma: one of the engine's, from mmext_vma_init()
 * @addr: first user address, a multiple of the page size
 * @pages: the pages; the entries take no reference to them
 * @nr: how many
 * @prot: protection of the entries
 *
 * mmext_remap_pfn_range() for frames that do not follow each other: one walk of
 * the tables and not one for each piece.  There is no such function in
 * mm/memory.c.
 *
 * Context: process context; mmap lock.  Allocates with GFP_KERNEL.
 * Return: as mmext_remap_pfn_range().
 */
int mmext_remap_pages(struct vm_area_struct *vma, unsigned long addr,
		      struct page **pages, unsigned long nr, pgprot_t prot)
{
	struct mmext_mapping *m = mmext_vma_mapping(vma);
	struct remap r = { .m = m, .vma = vma, .pages = pages, .prot = prot };

	if (!m || mmext_vma_has_pages(vma) || !nr || addr < vma->vm_start ||
	    addr >= vma->vm_end || !PAGE_ALIGNED(addr) ||
	    nr > (vma->vm_end - addr) >> PAGE_SHIFT)
		return -EINVAL;

	return remap_range(&r, addr, nr << PAGE_SHIFT);
}
EXPORT_SYMBOL_GPL(mmext_remap_pages);
