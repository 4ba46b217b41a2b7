// SPDX-License-Identifier: GPL-2.0
/*
 * Pages with references: putting them in, ahead of faults and from them, and
 * taking them out.
 */
#include <linux/pagemap.h>

#include "fixture.h"

/* Entries of pages: as those of frames, and not special. */
#define PG_RO(_pfn)	(FX_RO(_pfn) & ~FX_SPECIAL)
#define PG_RW(_pfn)	(PG_RO(_pfn) | FX_WRITE)
#define PG_RWD(_pfn)	(PG_RW(_pfn) | FX_DIRTY)

static struct page *pg(struct fx *f, unsigned long index)
{
	return pfn_to_page(f->pfn + index);
}

static int mmap_pages(struct fx *f, struct vm_area_struct *vma)
{
	vma->vm_ops = &fx_vm_ops;
	return mmext_vma_init_pages(vma, &f->map);
}

static vm_fault_t fault_finish(struct fx *f, struct vm_fault *vmf)
{
	vm_fault_t ret;

	if (vmf->pgoff >= FX_PAGES)
		return VM_FAULT_SIGBUS;
	vmf->page = pg(f, vmf->pgoff);
	get_page(vmf->page);
	ret = mmext_finish_fault(vmf);
	if (!ret)
		return VM_FAULT_NOPAGE;
	put_page(vmf->page);
	return ret;
}

static unsigned long map_pages_at(struct fx *f, unsigned long addr,
				  unsigned long nr)
{
	f->mmap = mmap_pages;
	f->fault = fault_finish;
	fx_map_at(f, addr, nr, 0);
	return addr;
}

static unsigned long map_pages(struct fx *f, unsigned long nr)
{
	return map_pages_at(f, f->base, nr);
}

static int insert_page(struct fx *f, unsigned long addr, struct page *page)
{
	struct vm_area_struct *vma = fx_lock(f, addr);
	int ret = mmext_vm_insert_page(vma, addr, page);

	fx_unlock(f);
	return ret;
}

/* Pages from @first on; *nr is set to how many are not in. */
static int insert_some(struct fx *f, unsigned long addr, unsigned long first,
		       unsigned long *nr, bool keep, bool write)
{
	struct vm_area_struct *vma = fx_lock(f, addr);
	struct page *pages[16];
	unsigned long i;
	int ret;

	for (i = 0; i < *nr; i++)
		pages[i] = pg(f, first + i);
	if (keep)
		ret = mmext_vm_insert_pages_prot(vma, addr, pages, nr,
						 mmext_vma_prot(vma, write));
	else
		ret = mmext_vm_insert_pages(vma, addr, pages, nr);
	fx_unlock(f);
	return ret;
}

static long resident(struct fx *f)
{
	return fx_rss(f->mm, MM_FILEPAGES) - f->home.rss[MM_FILEPAGES];
}

static int zap_pages(struct fx *f, unsigned long addr, unsigned long nr)
{
	struct vm_area_struct *vma = fx_lock(f, addr);
	int ret = mmext_zap_page_range_single(vma, addr, nr << PAGE_SHIFT,
					      NULL);

	fx_unlock(f);
	return ret;
}

FX_CASE(a_page_is_referenced_mapped_and_resident)
{
	unsigned long addr = map_pages(f, 2);

	KUNIT_EXPECT_EQ(test, insert_page(f, addr + PAGE_SIZE, pg(f, 9)), 0);
	FX_EXPECT_NONE(f, addr, 1);
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, PG_RO(f->pfn + 9));
	KUNIT_EXPECT_EQ(test, page_ref_count(pg(f, 9)), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&pg(f, 9)->_mapcount), 0);
	KUNIT_EXPECT_EQ(test, resident(f), 1L);
	FX_EXPECT_COUNT(f, inserted, 1);

	KUNIT_EXPECT_EQ(test, zap_pages(f, addr, 2), 0);
	KUNIT_EXPECT_EQ(test, fx_frames(f), 0L);
	KUNIT_EXPECT_EQ(test, resident(f), 0L);
}

FX_CASE(an_entry_in_the_way_is_busy)
{
	unsigned long addr = map_pages(f, 1);

	KUNIT_EXPECT_EQ(test, insert_page(f, addr, pg(f, 0)), 0);
	KUNIT_EXPECT_EQ(test, insert_page(f, addr, pg(f, 0)), -EBUSY);
	KUNIT_EXPECT_EQ(test, insert_page(f, addr, pg(f, 1)), -EBUSY);
	FX_EXPECT_ENTRY(f, addr, PG_RO(f->pfn));
	KUNIT_EXPECT_EQ(test, page_ref_count(pg(f, 0)), 2);
}

FX_CASE(a_compound_page_is_refused)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, 1);
	unsigned long addr = map_pages(f, 1);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, insert_page(f, addr, page), -EINVAL);
	KUNIT_EXPECT_EQ(test, insert_page(f, addr, page + 1), -EINVAL);
	__free_pages(page, 1);
	FX_EXPECT_NONE(f, addr, 1);
}

FX_CASE(the_zero_page_is_refused)
{
	unsigned long addr = map_pages(f, 1);

	KUNIT_EXPECT_EQ(test, insert_page(f, addr, ZERO_PAGE(0)), -EINVAL);
	FX_EXPECT_NONE(f, addr, 1);
}

FX_CASE(pages_and_frames_have_vmas_of_their_own)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_EXPECT_EQ(test, insert_page(f, addr, pg(f, 0)), -EINVAL);
	fx_unmap(f, addr, 1);
	addr = map_pages(f, 1);
	KUNIT_EXPECT_EQ(test, fx_insert(f, addr, f->pfn), FX_SIGBUS);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 1), -EINVAL);
	FX_EXPECT_NONE(f, addr, 1);
}

FX_CASE(what_is_not_in_the_vma_is_a_bad_address)
{
	unsigned long addr = map_pages(f, 2), nr = 2;
	struct vm_area_struct *vma = fx_lock(f, addr);

	KUNIT_EXPECT_EQ(test, -EFAULT,
			mmext_vm_insert_page(vma, addr + 2 * PAGE_SIZE,
					     pg(f, 0)));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mmext_vm_insert_page(vma, addr + 1, pg(f, 0)));
	fx_unlock(f);
	KUNIT_EXPECT_EQ(test, -EFAULT,
			insert_some(f, addr + PAGE_SIZE, 0, &nr, false, false));
	KUNIT_EXPECT_EQ(test, nr, 2UL);
	FX_EXPECT_NONE(f, addr, 2);
}

FX_CASE(no_page_goes_in_during_an_invalidation)
{
	unsigned long addr = map_pages(f, 1);

	mmext_invalidate_begin(&f->map);
	KUNIT_EXPECT_EQ(test, insert_page(f, addr, pg(f, 0)), -EAGAIN);
	mmext_invalidate_end(&f->map);
	FX_EXPECT_NONE(f, addr, 1);
	KUNIT_EXPECT_EQ(test, fx_frames(f), 0L);
}

FX_CASE(many_go_in_across_a_border_and_say_how_far_they_came)
{
	unsigned long addr = f->base + PMD_SIZE - 5 * PAGE_SIZE, nr = 10;

	map_pages_at(f, addr, 10);
	KUNIT_EXPECT_EQ(test, insert_page(f, addr + 8 * PAGE_SIZE, pg(f, 20)),
			0);
	KUNIT_EXPECT_EQ(test, insert_some(f, addr, 0, &nr, false, false),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, nr, 2UL);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 10), 9UL);
	FX_EXPECT_ENTRY(f, addr + 7 * PAGE_SIZE, PG_RO(f->pfn + 7));
	KUNIT_EXPECT_EQ(test, resident(f), 9L);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 0, 10), 0);
	KUNIT_EXPECT_EQ(test, fx_frames(f), 0L);
}

FX_CASE(what_is_in_may_stay_and_becomes_writable)
{
	unsigned long addr = map_pages(f, 4), nr = 1;

	KUNIT_EXPECT_EQ(test, insert_some(f, addr + PAGE_SIZE, 1, &nr, true,
					  false), 0);
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, PG_RO(f->pfn + 1));
	nr = 3;
	KUNIT_EXPECT_EQ(test, insert_some(f, addr, 0, &nr, true, true), 0);
	KUNIT_EXPECT_EQ(test, nr, 0UL);
	FX_EXPECT_ENTRY(f, addr, PG_RW(f->pfn));
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, PG_RWD(f->pfn + 1));
	nr = 1;
	KUNIT_EXPECT_EQ(test, insert_some(f, addr, 3, &nr, true, true), -EBUSY);
	KUNIT_EXPECT_EQ(test, nr, 1UL);
}

/* From faults */

FX_CASE(a_read_fault_gives_a_page_that_the_first_store_faults_on)
{
	unsigned long addr = map_pages(f, 1);
	u64 val = 0;

	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(0));
	FX_EXPECT_ENTRY(f, addr, PG_RO(f->pfn));
	KUNIT_EXPECT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	FX_EXPECT_ENTRY(f, addr, PG_RWD(f->pfn));
	KUNIT_EXPECT_EQ(test, f->faults, 1U);
	KUNIT_EXPECT_EQ(test, f->mkwrites, 1U);
	KUNIT_EXPECT_EQ(test, page_ref_count(pg(f, 0)), 2);
}

FX_CASE(a_store_makes_the_page_dirty_when_the_entry_goes)
{
	unsigned long addr = map_pages(f, 2);
	u64 val;

	ClearPageDirty(pg(f, 0));
	ClearPageDirty(pg(f, 1));
	KUNIT_EXPECT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	KUNIT_EXPECT_EQ(test, fx_get(addr + PAGE_SIZE, &val), 0);
	FX_EXPECT_ENTRY(f, addr, PG_RWD(f->pfn));
	KUNIT_EXPECT_FALSE(test, PageDirty(pg(f, 0)));
	KUNIT_EXPECT_EQ(test, zap_pages(f, addr, 2), 0);
	KUNIT_EXPECT_TRUE(test, PageDirty(pg(f, 0)));
	KUNIT_EXPECT_FALSE(test, PageDirty(pg(f, 1)));
}

static vm_fault_t fault_alloc_set(struct fx *f, struct vm_fault *vmf)
{
	vm_fault_t ret;

	get_page(pg(f, 0));
	ret = mmext_alloc_set_pte(vmf, pg(f, 0));
	KUNIT_EXPECT_EQ(f->test, FX_VMF(ret), 0U);
	KUNIT_EXPECT_NOT_NULL(f->test, vmf->pte);
	if (!vmf->pte)
		return VM_FAULT_SIGBUS;
	KUNIT_EXPECT_EQ(f->test, pte_pfn(*vmf->pte), f->pfn);
	lockdep_assert_held(vmf->ptl);
	mmext_pte_unlock(vmf);
	KUNIT_EXPECT_NULL(f->test, vmf->pte);
	return VM_FAULT_NOPAGE;
}

FX_CASE(alloc_set_pte_leaves_the_table_locked)
{
	unsigned long addr = map_pages(f, 1);

	f->fault = fault_alloc_set;
	KUNIT_EXPECT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	FX_EXPECT_ENTRY(f, addr, PG_RWD(f->pfn));
	KUNIT_EXPECT_EQ(test, page_ref_count(pg(f, 0)), 2);
}

static vm_fault_t fault_overtaken(struct fx *f, struct vm_fault *vmf)
{
	pgprot_t prot = mmext_vma_prot(vmf->vma, true);
	unsigned long seq;

	KUNIT_EXPECT_TRUE(f->test, mmext_read_begin(&f->map, &seq));
	mmext_invalidate_begin(&f->map);
	mmext_invalidate_end(&f->map);
	KUNIT_EXPECT_EQ(f->test, 0U,
			FX_VMF(mmext_fault_insert_page(vmf, pg(f, 0), prot,
						       seq)));
	KUNIT_EXPECT_EQ(f->test, fx_entry_locked(f, vmf->address), FX_NONE);
	KUNIT_EXPECT_EQ(f->test, page_ref_count(pg(f, 0)), 1);
	return fault_finish(f, vmf);
}

FX_CASE(a_fault_that_an_invalidation_overtook_looks_again)
{
	unsigned long addr = map_pages(f, 1);
	u64 val = 0;

	f->fault = fault_overtaken;
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(0));
	FX_EXPECT_COUNT(f, retries, 1);
	FX_EXPECT_COUNT(f, inserted, 1);
}

FX_CASE(munmap_is_the_kernel_s_and_lets_go_of_everything)
{
	unsigned long addr = map_pages(f, 4), nr = 4;

	KUNIT_EXPECT_EQ(test, insert_some(f, addr, 0, &nr, false, false), 0);
	fx_unmap(f, addr, 4);
	KUNIT_EXPECT_EQ(test, fx_frames(f), 0L);
	KUNIT_EXPECT_EQ(test, resident(f), 0L);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_page_is_referenced_mapped_and_resident),
	KUNIT_CASE(an_entry_in_the_way_is_busy),
	KUNIT_CASE(a_compound_page_is_refused),
	KUNIT_CASE(the_zero_page_is_refused),
	KUNIT_CASE(pages_and_frames_have_vmas_of_their_own),
	KUNIT_CASE(what_is_not_in_the_vma_is_a_bad_address),
	KUNIT_CASE(no_page_goes_in_during_an_invalidation),
	KUNIT_CASE(many_go_in_across_a_border_and_say_how_far_they_came),
	KUNIT_CASE(what_is_in_may_stay_and_becomes_writable),
	KUNIT_CASE(a_read_fault_gives_a_page_that_the_first_store_faults_on),
	KUNIT_CASE(a_store_makes_the_page_dirty_when_the_entry_goes),
	KUNIT_CASE(alloc_set_pte_leaves_the_table_locked),
	KUNIT_CASE(a_fault_that_an_invalidation_overtook_looks_again),
	KUNIT_CASE(munmap_is_the_kernel_s_and_lets_go_of_everything),
	{}
};

FX_SUITE(page, cases);
