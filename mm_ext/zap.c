// SPDX-License-Identifier: GPL-2.0
/*
 * Taking entries out of VMAs, or the right to store from them: of one, or of
 * those between two addresses.
 */
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/mm_inline.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "engine.h"
#include "huge.h"
#include "pgtable.h"

/* Among the references of a gather: the page was stored to. */
#define REF_DIRTY	1UL

/*
 * Room for more references than there is on the stack: a page of it, but
 * without it a zap goes on all the same.
 */
static void gather_grow(struct mmext_gather *g)
{
	unsigned long *refs;

	refs = (unsigned long *)__get_free_page(GFP_NOWAIT | __GFP_NOWARN);
	if (!refs)
		return;

	memcpy(refs, g->few, sizeof(g->few));
	g->refs = refs;
	g->max_refs = PAGE_SIZE / sizeof(*refs);
}

/* @nr entries, of 2^@shift bytes or more, from @start on and before @end. */
static void gather_add(struct mmext_gather *g, unsigned long start,
		       unsigned long end, unsigned long nr, unsigned int shift)
{
	if (!g->nr) {
		g->start = start;
		g->shift = shift;
	}
	g->nr += nr;
	g->end = end;
	g->shift = min(g->shift, shift);
}

/* Nobody reaches the pages through the entries any more. */
static void gather_put(struct mmext_gather *g)
{
	unsigned int i;

	for (i = 0; i < g->nr_refs; i++) {
		struct page *page = (struct page *)(g->refs[i] & ~REF_DIRTY);

		if (g->refs[i] & REF_DIRTY)
			set_page_dirty(page);
		put_page(page);
	}
	g->nr_refs = 0;
}

/*
 * Clear what the engine put into one table.  Whatever else is there, the
 * kernel put there and takes out again.
 */
static void clear_table(struct mm_struct *mm, unsigned long addr,
			struct mmext_walk *w, struct mmext_gather *g)
{
	unsigned long first = 0, end = 0, nr = 0;
	pte_t *ptep = w->pte;
	pte_t pte;

	for (; addr < w->next; addr += PAGE_SIZE, ptep++) {
		pte = READ_ONCE(*ptep);
		if (!mmext_pte_ours(pte))
			continue;

		ptep_get_and_clear(mm, addr, ptep);
		if (!nr++)
			first = addr;
		end = addr + PAGE_SIZE;
	}
	if (nr)
		gather_add(g, first, end, nr, PAGE_SHIFT);
}

/*
 * The same of pages.  Returns how far there was room for their references; says
 * whether there are entries that the kernel put there.
 */
static unsigned long clear_refs(struct vm_area_struct *vma, unsigned long addr,
				struct mmext_walk *w, struct mmext_gather *g,
				bool *foreign)
{
	struct mm_struct *mm = vma->vm_mm;
	pte_t *ptep = w->pte;
	unsigned long first = 0, end = 0;
	struct page *page;
	long nr = 0;
	pte_t pte;

	for (; addr < w->next; addr += PAGE_SIZE, ptep++) {
		pte = READ_ONCE(*ptep);
		if (pte_none(pte))
			continue;
		if (!mmext_vma_pte_ours(vma, pte)) {
			*foreign = true;
			continue;
		}
		if (g->nr_refs == g->max_refs)
			break;

		pte = ptep_get_and_clear(mm, addr, ptep);
		page = pfn_to_page(pte_pfn(pte));
		g->refs[g->nr_refs++] = (unsigned long)page |
					(mmext_page_leave(page, pte) ?
					 REF_DIRTY : 0);
		if (!nr++)
			first = addr;
		end = addr + PAGE_SIZE;
	}
	if (nr)
		gather_add(g, first, end, nr, PAGE_SHIFT);
	compat_add_mm_counter(mm, MM_FILEPAGES, -nr);
	return addr;
}

/* Pages of a range that are to be write-protected: bit @first of @only on. */
struct protect {
	const unsigned long *only;
	unsigned long first;
	unsigned long start;
};

/*
 * Write-protect and clean what the engine put into one table.  Read-only ones
 * that are dirty, too: mprotect(2) leaves them so, and makes them writable
 * without a fault.  The hardware may set bits of a valid entry, so it is taken
 * out first.
 */
static void protect_table(struct vm_area_struct *vma, unsigned long addr,
			  struct mmext_walk *w, struct mmext_gather *g,
			  const struct protect *p)
{
	bool has_pages = mmext_vma_has_pages(vma);
	struct mm_struct *mm = vma->vm_mm;
	pte_t *ptep = w->pte;
	unsigned long bit = p->first + ((addr - p->start) >> PAGE_SHIFT);
	unsigned long first = 0, end = 0, nr = 0;
	pte_t pte;

	for (; addr < w->next; addr += PAGE_SIZE, ptep++, bit++) {
		if (p->only && !test_bit(bit, p->only))
			continue;
		pte = READ_ONCE(*ptep);
		if (!mmext_vma_pte_ours(vma, pte) ||
		    !(pte_write(pte) || pte_dirty(pte)))
			continue;

		pte = ptep_get_and_clear(mm, addr, ptep);
		if (has_pages && pte_dirty(pte))
			set_page_dirty(pfn_to_page(pte_pfn(pte)));
		mmext_set_pte(mm, addr, ptep, pte_wrprotect(pte_mkclean(pte)));
		if (!nr++)
			first = addr;
		end = addr + PAGE_SIZE;
	}
	if (nr)
		gather_add(g, first, end, nr, PAGE_SHIFT);
}

/* Is a page of the leaf among those that are to be write-protected? */
static bool leaf_wanted(unsigned long addr, unsigned long next,
			const struct protect *p)
{
	unsigned long bit = p->first + ((addr - p->start) >> PAGE_SHIFT);
	unsigned long end = bit + ((next - addr) >> PAGE_SHIFT);

	return !p->only || find_next_bit(p->only, end, bit) < end;
}

/*
 * Where there is no table.  A leaf goes as a whole; if only its right to store
 * is to go, and for all of it, that.  Returns false if it is to be looked at
 * again.
 */
static bool zap_leaf(struct mmext_gather *g, struct vm_area_struct *vma,
		     unsigned long addr, struct mmext_walk *w,
		     const struct protect *p)
{
	unsigned long block = addr & PMD_MASK;
	struct mmext_pte e;

	if (mmext_vma_has_pages(vma))
		return true;
	if (!w->leaf) {
		mmext_leaf_settle(g->last, g->mm, w);
		return true;
	}
	if (!mmext_leaf_get(g->mm, addr, w, &e))
		return false;

	if (!p) {
		mmext_leaf_clear(g->mm, addr, w);
		gather_add(g, block, block + PMD_SIZE, 1, PMD_SHIFT);
	} else if ((e.write || e.dirty) && leaf_wanted(addr, w->next, p)) {
		if (!p->only && w->next - addr == PMD_SIZE)
			mmext_leaf_wrprotect(g->mm, addr, w);
		else
			mmext_leaf_clear(g->mm, addr, w);
		gather_add(g, block, block + PMD_SIZE, 1, PMD_SHIFT);
	}
	mmext_leaf_put(w);
	return true;
}

static void gather_flush(struct mmext_gather *g)
{
	mmext_tlb_flush(g->mm, g->start, g->end, g->shift);
	mmext_count(g->last, flushes, 1);
	g->nr = 0;
	gather_put(g);
}

/*
 * Between two tables.  Nothing waits, cleared and reachable, for this to run
 * again; and what there is no more room beside is flushed.
 */
static void gather_resched(struct mmext_gather *g)
{
	if (!need_resched() && g->nr_refs < g->max_refs)
		return;

	if (g->nr)
		gather_flush(g);
	cond_resched();
}

/*
 * Clear a range of one VMA; or with @p write-protect pages of it.  Returns
 * whether there are entries that only the kernel can take out.
 */
static bool zap_range(struct mmext_gather *g, struct vm_area_struct *vma,
		      unsigned long addr, unsigned long end,
		      const struct protect *p)
{
	struct mmext_mapping *m = mmext_vma_mapping(vma);
	bool has_pages = mmext_vma_has_pages(vma);
	unsigned long before, cleared = 0;
	struct mmext_walk w;
	bool foreign = false;
	unsigned long next;

	g->last = m;
	if (has_pages && !p) {
		if (g->refs == g->few &&
		    (end - addr) >> PAGE_SHIFT > ARRAY_SIZE(g->few))
			gather_grow(g);
		update_hiwater_rss(g->mm);
	}

	for (;;) {
		before = g->nr;
		if (mmext_walk_lock(g->mm, addr, end, &w)) {
			next = w.next;
			if (p)
				protect_table(vma, addr, &w, g, p);
			else if (has_pages)
				next = clear_refs(vma, addr, &w, g, &foreign);
			else
				clear_table(g->mm, addr, &w, g);
			mmext_walk_unlock(&w);
		} else {
			next = zap_leaf(g, vma, addr, &w, p) ? w.next : addr;
		}
		cleared += g->nr - before;
		addr = next;
		if (addr >= end)
			break;
		gather_resched(g);
	}
	if (!p)
		mmext_count(m, cleared, cleared);
	return foreign;
}

/**
 * mmext_gather_begin - begin to clear entries of an mm
 * @g: the caller's, filled in
 * @mm: whose
 * @details: details of the zap, or NULL; stays the caller's, until
 *	mmext_gather_end()
 *
 * Another CPU may have cleared an entry and not flushed yet.  This one finds
 * nothing there, but to its caller the page must be gone all the same, so
 * every clearing is announced before it starts (tlb_flush_pending counts the
 * kernel's own, too), and who finds another one under way flushes everything.
 *
 * Context: the mmap lock, at least for read; it is held until
 * mmext_gather_end().  (Inside the engine also the i_mmap_rwsem of the one VMA
 * that is cleared.)
 */
void mmext_gather_begin(struct mmext_gather *g, struct mm_struct *mm,
			const struct mmext_zap_details *details)
{
	memset(g, 0, sizeof(*g));
	g->mm = mm;
	g->details = details;
	g->refs = g->few;
	g->max_refs = ARRAY_SIZE(g->few);
	/* the lock keeps this so */
	g->delegate = mmext_needs_kernel(mm);
	if (!g->delegate)
		inc_tlb_flush_pending(mm);
}
EXPORT_SYMBOL_GPL(mmext_gather_begin);

/**
 * mmext_gather_end - flush what was cleared
 * @g: what mmext_gather_begin() began
 *
 * When this returns no CPU can reach what was cleared.
 *
 * Context: as mmext_gather_begin(), before the lock is dropped.  May sleep.
 */
void mmext_gather_end(struct mmext_gather *g)
{
	if (g->delegate)
		return;

	if (g->nr)
		mmext_test_flush_gap();

	/*
	 * What was found, or that a table was not, before who else is at it:
	 * a table that is not there has no lock to order the two.
	 */
	smp_mb();

	if (g->last && mm_tlb_flush_nested(g->mm)) {
		mmext_tlb_flush(g->mm, 0, MMEXT_TLB_ALL, PAGE_SHIFT);
		mmext_count(g->last, flushes, 1);
	} else if (g->nr) {
		mmext_tlb_flush(g->mm, g->start, g->end, g->shift);
		mmext_count(g->last, flushes, 1);
	}

	dec_tlb_flush_pending(g->mm);
	gather_put(g);
	if (g->refs != g->few)
		free_page((unsigned long)g->refs);
}
EXPORT_SYMBOL_GPL(mmext_gather_end);

/* Narrow a range of @vma down to the pages that @details wants of it. */
static bool clip_to_index(struct vm_area_struct *vma, unsigned long *addr,
			  unsigned long *end,
			  const struct mmext_zap_details *details)
{
	pgoff_t first = vma->vm_pgoff, last = first + vma_pages(vma) - 1;

	if (!details || !(details->flags & MMEXT_ZAP_INDEX))
		return true;
	if (details->first_index > last || details->last_index < first ||
	    details->first_index > details->last_index)
		return false;

	if (details->first_index > first)
		*addr = max(*addr, vma->vm_start +
			    ((details->first_index - first) << PAGE_SHIFT));
	if (details->last_index < last)
		*end = min(*end, vma->vm_start +
			   ((details->last_index - first + 1) << PAGE_SHIFT));
	return *addr < *end;
}

/* The mapping of a VMA, if it is the engine's and one that @details wants. */
static struct mmext_mapping *
wanted_mapping(struct vm_area_struct *vma,
	       const struct mmext_zap_details *details)
{
	struct mmext_mapping *m = mmext_vma_mapping(vma);

	return details && details->mapping && details->mapping != m ? NULL : m;
}

/* A range inside one of the engine's VMAs. */
static int zap_one(struct mmext_gather *g, struct vm_area_struct *vma,
		   unsigned long addr, unsigned long end)
{
	const struct mmext_zap_details *details = g->details;
	bool keep = is_cow_mapping(vma->vm_flags) && details &&
		    !details->even_cows;

	if (!clip_to_index(vma, &addr, &end, details))
		return 0;

	/* without a backend nothing that clears is even built */
	if (!mmext_tlb_native() || g->delegate) {
		/* what is exported takes the copies, too */
		if (keep)
			return -EOPNOTSUPP;
	} else if (!zap_range(g, vma, addr, end, NULL) || keep) {
		return 0;
	} else if (details && details->flags & MMEXT_ZAP_NO_DELEGATE) {
		return -EAGAIN;
	}

	mmext_delegate_vma(vma, addr, end - addr);
	return 0;
}

/**
 * mmext_unmap_vmas - remove the entries between two addresses
 * @g: what mmext_gather_begin() began
 * @vma: the VMA to start with, or NULL for nothing at all
 * @start_addr: user address to start at, a multiple of the page size
 * @end_addr: where it ends, a multiple of the page size
 *
 * Goes over @vma and those behind it.  What is not in the range, and what the
 * gather's details do not want, stays.
 *
 * What was cleared is flushed by mmext_gather_end(), and before the CPU is
 * given up here.
 *
 * Differs from unmap_vmas(): VMAs that are not the engine's are left alone, and
 * the caller is told; in an mm that the kernel has to clear, it is cleared and
 * flushed VMA by VMA.  Page tables stay.
 *
 * Context: process context, may sleep.  The mmap lock, at least for read.
 * Return: 0; -EPERM there were VMAs of others in the range, or private ones as
 * mmext_zap_page_range_single() says -EOPNOTSUPP of, and they were left alone
 * (g->skipped has their bytes); -EINVAL the range is none, or @vma is not of the
 * gather's mm, and nothing was done.
 */
int mmext_unmap_vmas(struct mmext_gather *g, struct vm_area_struct *vma,
		     unsigned long start_addr, unsigned long end_addr)
{
	unsigned long addr, end;
	int ret = 0;

	if (!PAGE_ALIGNED(start_addr) || !PAGE_ALIGNED(end_addr) ||
	    start_addr > end_addr || (vma && vma->vm_mm != g->mm))
		return -EINVAL;

	for (; vma && vma->vm_start < end_addr;
	     vma = find_vma(g->mm, vma->vm_end)) {
		addr = max(start_addr, vma->vm_start);
		end = min(end_addr, vma->vm_end);
		if (addr >= end)
			continue;

		if (!wanted_mapping(vma, g->details) ||
		    zap_one(g, vma, addr, end)) {
			g->skipped += end - addr;
			ret = -EPERM;
		}
		gather_resched(g);
	}
	return ret;
}
EXPORT_SYMBOL_GPL(mmext_unmap_vmas);

/**
 * mmext_zap_page_range - remove the entries of a range of VMAs
 * @vma: the VMA that holds the first page
 * @start: first user address, a multiple of the page size
 * @size: bytes, a multiple of the page size
 *
 * The range may go on in the VMAs behind @vma, and have holes.  When this
 * returns no CPU can reach the engine's pages through it.
 *
 * Differs from zap_page_range(): VMAs that are not the engine's are left alone,
 * and the caller is told; a range that does not begin in @vma, or that wraps,
 * is refused; a size of 0 does nothing.
 *
 * Context: process context, may sleep.  The mmap lock, at least for read.
 * Return: 0; -EINVAL as above, with nothing done; -EPERM there were VMAs of
 * others in the range, and they were left alone.
 */
int mmext_zap_page_range(struct vm_area_struct *vma, unsigned long start,
			 unsigned long size)
{
	struct mmext_gather g;
	int ret;

	if (!PAGE_ALIGNED(start) || !PAGE_ALIGNED(size) ||
	    start < vma->vm_start || start >= vma->vm_end ||
	    size > ULONG_MAX - start)
		return -EINVAL;

	mmext_gather_begin(&g, vma->vm_mm, NULL);
	ret = mmext_unmap_vmas(&g, vma, start, start + size);
	mmext_gather_end(&g);
	return ret;
}
EXPORT_SYMBOL_GPL(mmext_zap_page_range);

/**
 * mmext_zap_page_range_single - remove the entries of a range of one VMA
 * @vma: VMA that holds the range
 * @address: first user address, a multiple of the page size
 * @size: bytes, a multiple of the page size
 * @details: details of the zap, or NULL
 *
 * When this returns no CPU can reach the pages through the range any more.
 * An mm that has MMU notifiers is cleared by the kernel's own zap, and so are
 * the copies that stores to a private mapping made.
 *
 * Differs from zap_page_range_single(): refuses what is not the engine's, or
 * not of the mapping that @details names, and a range that is not inside @vma,
 * where the namesake would go on; a size of 0 does nothing.
 *
 * Context: process context, may sleep.  The mmap lock, at least for read; or,
 * with MMEXT_ZAP_NO_DELEGATE, the i_mmap_rwsem of the VMA's file.
 * Return: 0; -EINVAL as above; -EAGAIN MMEXT_ZAP_NO_DELEGATE was given and
 * this range, or what is left there, is the kernel's to clear; -EOPNOTSUPP
 * @details wants the copies of a private mapping kept that is the kernel's to
 * clear: it exports nothing for that.
 */
int mmext_zap_page_range_single(struct vm_area_struct *vma,
				unsigned long address, unsigned long size,
				struct mmext_zap_details *details)
{
	struct mmext_gather g;
	int ret;

	if (!wanted_mapping(vma, details) ||
	    !mmext_range_in_vma(vma, address, size))
		return -EINVAL;

	if (!size)
		return 0;

	if (details && details->flags & MMEXT_ZAP_NO_DELEGATE &&
	    mmext_needs_kernel(vma->vm_mm))
		return -EAGAIN;

	mmext_gather_begin(&g, vma->vm_mm, details);
	ret = zap_one(&g, vma, address, address + size);
	mmext_gather_end(&g);
	return ret;
}
EXPORT_SYMBOL_GPL(mmext_zap_page_range_single);

/**
 * mmext_wrprotect_range - write-protect pages of a range of one VMA
 * @vma: VMA that holds the range
 * @address: first user address, a multiple of the page size
 * @size: bytes, a multiple of the page size
 * @only: bitmap of the pages that are meant, NULL for all
 * @first: bit of the page at @address
 *
 * See mmext_wrprotect_mapping_pages().
 *
 * Context: process context, may sleep; i_mmap_rwsem of the VMA's file.
 * Return: 0; -EINVAL @vma is not the engine's or the range is not inside it;
 * -EAGAIN the entries of this mm are the kernel's to clear.
 */
int mmext_wrprotect_range(struct vm_area_struct *vma, unsigned long address,
			  unsigned long size, const unsigned long *only,
			  unsigned long first)
{
	struct protect p = { .only = only, .first = first, .start = address };
	struct mmext_gather g;

	if (!mmext_vma_mapping(vma) || !mmext_range_in_vma(vma, address, size))
		return -EINVAL;
	if (mmext_needs_kernel(vma->vm_mm))
		return -EAGAIN;

	mmext_gather_begin(&g, vma->vm_mm, NULL);
	zap_range(&g, vma, address, address + size, &p);
	mmext_gather_end(&g);
	return 0;
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_wrprotect_range);

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
