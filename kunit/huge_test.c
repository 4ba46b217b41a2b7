// SPDX-License-Identifier: GPL-2.0
/*
 * Leaves: who puts them in, what takes them out, and that a block has a table or
 * a leaf and never both.
 */
#include "fixture.h"

#include "../mm_ext/huge.h"

#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
KUNIT_ARRAY_PARAM(backends, fx_backends, fx_backend_name);

#define BLOCK		MMEXT_HUGE_PAGES
#define BLOCKS		(FX_PAGES / BLOCK)

/* A leaf has no special bit that fx_entry() would show in the same way. */
#define LEAF		BIT_ULL(5)

static int mmap_huge(struct fx *f, struct vm_area_struct *vma)
{
	int err = fx_mmap(f, vma);

	if (!err)
		mmext_vma_allow_huge(vma);
	return err;
}

/* What stands in the place of a leaf: as fx_entry(), with LEAF for one. */
static u64 leaf_at(struct fx *f, unsigned long addr)
{
	u64 ret = FX_NONE;
	pmd_t *pmdp, pmd;

	mmap_read_lock(f->mm);
	pmdp = mmext_find_pmd(f->mm, addr);
	pmd = pmdp ? READ_ONCE(*pmdp) : __pmd(0);
	mmap_read_unlock(f->mm);
	if (!pmd_none(pmd) && pmd_leaf(pmd)) {
		ret = (u64)pmd_pfn(pmd) << 8 | LEAF;
		if (pmd_present(pmd))
			ret |= FX_PRESENT;
		if (pmd_special(pmd))
			ret |= FX_SPECIAL;
		if (pmd_write(pmd))
			ret |= FX_WRITE;
		if (pmd_dirty(pmd))
			ret |= FX_DIRTY;
	} else if (!pmd_none(pmd)) {
		ret = FX_MARKER;
	}
	return ret;
}

#define LEAF_RO(_pfn)	((u64)(_pfn) << 8 | LEAF | FX_PRESENT | FX_SPECIAL)
#define LEAF_RW(_pfn)	(LEAF_RO(_pfn) | FX_WRITE)
#define LEAF_RWD(_pfn)	(LEAF_RW(_pfn) | FX_DIRTY)
/* a table stands there */
#define TABLE		FX_MARKER

#define EXPECT_LEAF(_f, _addr, _want) \
	KUNIT_EXPECT_EQ(test, leaf_at(_f, _addr), (u64)(_want))

/* The whole object, with room for the first page of a table beside it. */
static unsigned long map_huge(struct fx *f)
{
	f->mmap = mmap_huge;
	return fx_map(f, FX_PAGES);
}

/* With the levels above the leaves there. */
static unsigned long map_ready(struct fx *f)
{
	unsigned long addr = map_huge(f);

	mmext_huge_prepare(fx_lock(f, addr), addr);
	fx_unlock(f);
	KUNIT_ASSERT_TRUE(f->test, mmext_find_pmd(f->mm, addr));
	return addr;
}

FX_CASE(a_load_puts_a_leaf_in)
{
	unsigned long addr = map_huge(f);
	u64 val;

	KUNIT_ASSERT_EQ(test, fx_get(addr + 3 * PAGE_SIZE, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(3));
	EXPECT_LEAF(f, addr, LEAF_RW(f->pfn));
	EXPECT_LEAF(f, addr + PMD_SIZE, FX_NONE);
	FX_EXPECT_COUNT(f, inserted, 1);
	FX_EXPECT_COUNT(f, huge, 1);
	KUNIT_EXPECT_EQ(test, f->faults, 0U);
	KUNIT_EXPECT_TRUE(test, f->map.huge);
}

FX_CASE(a_store_puts_a_dirty_leaf_in)
{
	unsigned long addr = map_huge(f) + PMD_SIZE;

	KUNIT_ASSERT_EQ(test, fx_put(addr, FX_MARK(BLOCK)), 0);
	EXPECT_LEAF(f, addr, LEAF_RWD(f->pfn + BLOCK));
}

FX_CASE(a_store_makes_a_read_only_leaf_writable)
{
	unsigned long addr = map_ready(f);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, FX_PAGES), 0);
	EXPECT_LEAF(f, addr, LEAF_RO(f->pfn));
	KUNIT_ASSERT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	EXPECT_LEAF(f, addr, LEAF_RWD(f->pfn));
	EXPECT_LEAF(f, addr + PMD_SIZE, LEAF_RO(f->pfn + BLOCK));
	KUNIT_EXPECT_EQ(test, f->faults + f->mkwrites, 0U);
}

FX_CASE(no_leaf_without_leave)
{
	unsigned long addr = fx_map(f, FX_PAGES);
	u64 val;

	KUNIT_ASSERT_EQ(test, fx_get(addr, &val), 0);
	EXPECT_LEAF(f, addr, TABLE);
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, FX_PAGES), 0);
	EXPECT_LEAF(f, addr + PMD_SIZE, TABLE);
	FX_EXPECT_COUNT(f, huge, 0);
	KUNIT_EXPECT_FALSE(test, f->map.huge);
}

FX_CASE(no_leaf_over_the_end_of_the_vma)
{
	u64 val;

	f->mmap = mmap_huge;
	fx_map_at(f, f->base, BLOCK - 1, 0);
	KUNIT_ASSERT_EQ(test, fx_get(f->base, &val), 0);
	EXPECT_LEAF(f, f->base, TABLE);
}

FX_CASE(no_leaf_of_frames_that_are_not_aligned)
{
	unsigned long addr = map_ready(f);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn + 1, BLOCK), 0);
	EXPECT_LEAF(f, addr, TABLE);
	KUNIT_EXPECT_EQ(test, fx_entry(f, addr), FX_RO(f->pfn + 1));
}

FX_CASE(a_block_with_a_table_stays_small)
{
	unsigned long addr = map_huge(f);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_ASSERT_EQ(test, fx_zap(f, addr, FX_PAGES), 0);
	KUNIT_ASSERT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	KUNIT_ASSERT_EQ(test, fx_remap_rw(f, addr, f->pfn, FX_PAGES), 0);
	EXPECT_LEAF(f, addr, TABLE);
	EXPECT_LEAF(f, addr + PMD_SIZE, LEAF_RW(f->pfn + BLOCK));
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, BLOCK), (unsigned long)BLOCK);
}

FX_CASE(a_block_with_a_leaf_gets_no_table)
{
	unsigned long addr = map_ready(f);
	long tables;

	KUNIT_ASSERT_EQ(test, fx_remap_rw(f, addr, f->pfn, BLOCK), 0);
	tables = fx_tables(f);
	KUNIT_EXPECT_EQ(test, fx_insert(f, addr + PAGE_SIZE, f->pfn + 1),
			FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_remap_rw(f, addr + PAGE_SIZE, f->pfn + 1, 2),
			0);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr + PAGE_SIZE, f->pfn + 1,
				       FX_PAGES - 1), 0);
	EXPECT_LEAF(f, addr, LEAF_RW(f->pfn));
	EXPECT_LEAF(f, addr + PMD_SIZE, LEAF_RO(f->pfn + BLOCK));
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables);
}

FX_CASE(a_part_that_becomes_writable_makes_it_small)
{
	unsigned long addr = map_ready(f), part = addr + 5 * PAGE_SIZE;

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, FX_PAGES), 0);
	KUNIT_ASSERT_EQ(test, fx_remap_rw(f, part, f->pfn + 5, 2), 0);
	EXPECT_LEAF(f, addr, TABLE);
	FX_EXPECT_ENTRY(f, part, FX_RW(f->pfn + 5));
	FX_EXPECT_NONE(f, addr, 5);
	EXPECT_LEAF(f, addr + PMD_SIZE, LEAF_RO(f->pfn + BLOCK));
}

FX_CASE(a_leaf_of_other_frames_is_busy)
{
	unsigned long addr = map_ready(f);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, BLOCK), 0);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn + BLOCK, BLOCK), -EBUSY);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr + PAGE_SIZE, f->pfn, 1), -EBUSY);
	EXPECT_LEAF(f, addr, LEAF_RO(f->pfn));
}

/* How many blocks, of the frames that @first and the other begin at, are leaves now. */
static unsigned long remap_two(struct fx *f, unsigned long addr,
			       unsigned long first, unsigned long second,
			       bool write)
{
	struct page *blocks[] = {
		pfn_to_page(f->pfn + first), pfn_to_page(f->pfn + second),
	};
	struct vm_area_struct *vma = fx_lock(f, addr);
	unsigned long ret;

	ret = mmext_remap_leaves(vma, addr, blocks, 2,
				 mmext_vma_prot(vma, write));
	fx_unlock(f);
	return ret;
}

FX_CASE(blocks_in_any_order_are_leaves)
{
	unsigned long addr = map_ready(f);

	KUNIT_EXPECT_EQ(test, remap_two(f, addr, BLOCK, 0, false), 2UL);
	EXPECT_LEAF(f, addr, LEAF_RO(f->pfn + BLOCK));
	EXPECT_LEAF(f, addr + PMD_SIZE, LEAF_RO(f->pfn));
	FX_EXPECT_COUNT(f, inserted, 2);
	FX_EXPECT_COUNT(f, huge, 2);
	/* those that are there stay, and are made writable */
	KUNIT_EXPECT_EQ(test, remap_two(f, addr, BLOCK, 0, true), 2UL);
	EXPECT_LEAF(f, addr, LEAF_RWD(f->pfn + BLOCK));
	EXPECT_LEAF(f, addr + PMD_SIZE, LEAF_RWD(f->pfn));
	FX_EXPECT_COUNT(f, inserted, 2);
}

FX_CASE(blocks_end_at_what_can_not_be_a_leaf)
{
	unsigned long addr = map_ready(f);

	/* a table */
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr + PMD_SIZE, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, remap_two(f, addr, 0, BLOCK, false), 1UL);
	EXPECT_LEAF(f, addr, LEAF_RO(f->pfn));
	EXPECT_LEAF(f, addr + PMD_SIZE, TABLE);
	/* other frames, and such as are not aligned */
	KUNIT_EXPECT_EQ(test, remap_two(f, addr, BLOCK, 0, false), 0UL);
	KUNIT_EXPECT_EQ(test, remap_two(f, addr, 1, 0, false), 0UL);
	EXPECT_LEAF(f, addr, LEAF_RO(f->pfn));
	/* an address inside of a block */
	KUNIT_EXPECT_EQ(test, remap_two(f, addr + PAGE_SIZE, 0, BLOCK, false),
			0UL);
	/* an invalidation */
	KUNIT_ASSERT_EQ(test, fx_unmap_pages(f, 0, 0), 0);
	mmext_invalidate_begin(&f->map);
	KUNIT_EXPECT_EQ(test, remap_two(f, addr, 0, BLOCK, false), 0UL);
	mmext_invalidate_end(&f->map);
	EXPECT_LEAF(f, addr, FX_NONE);
}

FX_CASE(a_failure_takes_out_what_came_before)
{
	unsigned long addr = map_ready(f), last = addr + PMD_SIZE;

	KUNIT_ASSERT_EQ(test, fx_insert(f, last, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, FX_PAGES), -EBUSY);
	EXPECT_LEAF(f, addr, FX_NONE);
	FX_EXPECT_ENTRY(f, last, FX_RO(f->pfn));
}

FX_CASE(nothing_is_inserted_during_an_invalidation)
{
	unsigned long addr = map_ready(f);

	mmext_invalidate_begin(&f->map);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, FX_PAGES), -EAGAIN);
	mmext_invalidate_end(&f->map);
	EXPECT_LEAF(f, addr, FX_NONE);
	FX_EXPECT_COUNT(f, huge, 0);
	FX_EXPECT_COUNT(f, retries, 1);
}

static vm_fault_t insert_after_invalidation(struct fx *f, struct vm_fault *vmf)
{
	unsigned long seq;
	vm_fault_t ret;

	mmext_read_begin(&f->map, &seq);
	mmext_invalidate_begin(&f->map);
	mmext_invalidate_end(&f->map);
	ret = mmext_fault_insert_pfn_huge(vmf, f->pfn, vmf->vma->vm_page_prot,
					  seq);
	f->data = ret ? 1 : 2;
	return VM_FAULT_FALLBACK;
}

FX_CASE(a_look_up_before_an_invalidation_inserts_nothing)
{
	unsigned long addr = map_huge(f);
	u64 val;

	f->huge_fault = insert_after_invalidation;
	KUNIT_ASSERT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, f->data, 2UL);
	/* fault() put its page in */
	EXPECT_LEAF(f, addr, TABLE);
	KUNIT_EXPECT_EQ(test, f->faults, 1U);
	FX_EXPECT_COUNT(f, huge, 0);
}

FX_CASE(a_place_is_made_and_nothing_put_there)
{
	unsigned long addr = map_huge(f);
	struct vm_area_struct *vma = fx_lock(f, addr);

	KUNIT_EXPECT_FALSE(test, mmext_huge_ready(vma, addr));
	mmext_huge_prepare(vma, addr);
	KUNIT_EXPECT_TRUE(test, mmext_huge_ready(vma, addr));
	fx_unlock(f);
	EXPECT_LEAF(f, addr, FX_NONE);
	FX_EXPECT_COUNT(f, inserted, 0);
}

FX_CASE(a_part_takes_all_of_it_out)
{
	const struct fx_backend *b = test->param_value;
	unsigned long addr;

	if (!fx_use(f, b))
		return;
	addr = map_ready(f);
	KUNIT_ASSERT_EQ(test, fx_remap_rw(f, addr, f->pfn, FX_PAGES), 0);
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr + 7 * PAGE_SIZE, 1), 0);
	EXPECT_LEAF(f, addr, FX_NONE);
	EXPECT_LEAF(f, addr + PMD_SIZE, LEAF_RW(f->pfn + BLOCK));
	FX_EXPECT_COUNT(f, cleared, b->native);
	FX_EXPECT_COUNT(f, flushes, b->native);
	FX_EXPECT_COUNT(f, delegated, !b->native);
}

FX_CASE(a_range_takes_out_leaves_and_pages)
{
	const struct fx_backend *b = test->param_value;
	unsigned long addr;

	if (!fx_use(f, b))
		return;
	addr = map_ready(f);
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr + PMD_SIZE - PAGE_SIZE, f->pfn),
			FX_NOPAGE);
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr + PMD_SIZE, f->pfn + BLOCK,
				       BLOCK), 0);
	EXPECT_LEAF(f, addr + PMD_SIZE, LEAF_RO(f->pfn + BLOCK));
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr, FX_PAGES), 0);
	FX_EXPECT_NONE(f, addr, BLOCK);
	EXPECT_LEAF(f, addr + PMD_SIZE, FX_NONE);
	FX_EXPECT_COUNT(f, cleared, b->native ? 2 : 0);
	FX_EXPECT_COUNT(f, flushes, b->native);
}

FX_CASE(an_object_is_unmapped_from_every_process)
{
	unsigned long addr, other;

	if (!fx_use(f, test->param_value))
		return;
	addr = map_ready(f);
	other = fx_map_other(f, FX_PAGES);
	KUNIT_ASSERT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	fx_enter_other(f);
	KUNIT_ASSERT_EQ(test, fx_put(other, FX_MARK(0)), 0);
	fx_leave_other(f);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 3, 1), 0);
	EXPECT_LEAF(f, addr, FX_NONE);
	fx_enter_other(f);
	if (IS_ALIGNED(other, PMD_SIZE))
		EXPECT_LEAF(f, other, FX_NONE);
	else
		FX_EXPECT_NONE(f, other + 3 * PAGE_SIZE, 1);
	fx_leave_other(f);
}

static int wrprotect(struct fx *f, pgoff_t first, pgoff_t nr,
		     const unsigned long *only)
{
	int err;

	mmext_invalidate_begin(&f->map);
	err = mmext_wrprotect_mapping_pages(f->space, first, nr, only);
	mmext_invalidate_end(&f->map);
	return err;
}

FX_CASE(all_of_it_can_be_write_protected)
{
	unsigned long addr;

	if (!fx_use_native(f))
		return;
	addr = map_ready(f);
	KUNIT_ASSERT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	KUNIT_EXPECT_EQ(test, wrprotect(f, 0, FX_PAGES, NULL), 0);
	EXPECT_LEAF(f, addr, LEAF_RO(f->pfn));
	FX_EXPECT_COUNT(f, flushes, 1);
	KUNIT_ASSERT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	EXPECT_LEAF(f, addr, LEAF_RWD(f->pfn));
}

FX_CASE(a_part_that_is_write_protected_takes_it_out)
{
	DECLARE_BITMAP(only, FX_PAGES);
	unsigned long addr;

	if (!fx_use_native(f))
		return;
	addr = map_ready(f);
	KUNIT_ASSERT_EQ(test, fx_remap_rw(f, addr, f->pfn, FX_PAGES), 0);
	bitmap_zero(only, FX_PAGES);
	__set_bit(BLOCK + 3, only);
	KUNIT_EXPECT_EQ(test, wrprotect(f, 0, FX_PAGES, only), 0);
	EXPECT_LEAF(f, addr, LEAF_RW(f->pfn));
	EXPECT_LEAF(f, addr + PMD_SIZE, FX_NONE);
	KUNIT_EXPECT_EQ(test, wrprotect(f, 0, 1, NULL), 0);
	EXPECT_LEAF(f, addr, FX_NONE);
	/* a read-only one has nothing to lose */
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, BLOCK), 0);
	KUNIT_EXPECT_EQ(test, wrprotect(f, 0, 1, NULL), 0);
	EXPECT_LEAF(f, addr, LEAF_RO(f->pfn));
}

FX_CASE(looking_shows_each_frame)
{
	unsigned long addr = map_ready(f), pfn;
	struct vm_area_struct *vma;
	struct mmext_pte e;

	KUNIT_ASSERT_EQ(test, fx_remap_rw(f, addr, f->pfn, FX_PAGES), 0);
	vma = fx_lock(f, addr);
	KUNIT_EXPECT_EQ(test, mmext_follow_pte(vma, addr + 9 * PAGE_SIZE + 5,
					       &e), 0);
	KUNIT_EXPECT_EQ(test, e.pfn, f->pfn + 9);
	KUNIT_EXPECT_EQ(test, e.shift, (unsigned int)PMD_SHIFT);
	KUNIT_EXPECT_TRUE(test, e.write);
	KUNIT_EXPECT_FALSE(test, e.dirty);
	KUNIT_EXPECT_EQ(test, mmext_follow_pfn(vma, addr + PMD_SIZE +
					       PAGE_SIZE, &pfn), 0);
	KUNIT_EXPECT_EQ(test, pfn, f->pfn + BLOCK + 1);
	fx_unlock(f);
}

FX_CASE(another_process_reads_and_writes_it)
{
	unsigned long addr = map_ready(f);
	u64 val = 0;

	KUNIT_ASSERT_EQ(test, fx_remap_rw(f, addr, f->pfn, FX_PAGES), 0);
	KUNIT_EXPECT_EQ(test, mmext_access_remote_vm(f->mm, addr + 2 * PAGE_SIZE,
						     &val, sizeof(val), 0),
			(int)sizeof(val));
	KUNIT_EXPECT_EQ(test, val, FX_MARK(2));
	EXPECT_LEAF(f, addr, LEAF_RW(f->pfn));
	KUNIT_EXPECT_EQ(test, mmext_access_remote_vm(f->mm, addr + 2 * PAGE_SIZE,
						     &val, sizeof(val),
						     FOLL_WRITE),
			(int)sizeof(val));
	/* it may be in a TLB as clean, so it is said here that it is not */
	EXPECT_LEAF(f, addr, LEAF_RWD(f->pfn));
}

FX_CASE(the_kernel_takes_out_what_is_unmapped_in_part)
{
	unsigned long addr = map_ready(f);

	KUNIT_ASSERT_EQ(test, fx_remap_rw(f, addr, f->pfn, FX_PAGES), 0);
	fx_unmap(f, addr + PAGE_SIZE, 1);
	EXPECT_LEAF(f, addr, FX_NONE);
	EXPECT_LEAF(f, addr + PMD_SIZE, LEAF_RW(f->pfn + BLOCK));
	/* and what is unmapped is looked at without harm */
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 0, 0), 0);
	EXPECT_LEAF(f, addr + PMD_SIZE, FX_NONE);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_load_puts_a_leaf_in),
	KUNIT_CASE(a_store_puts_a_dirty_leaf_in),
	KUNIT_CASE(a_store_makes_a_read_only_leaf_writable),
	KUNIT_CASE(no_leaf_without_leave),
	KUNIT_CASE(no_leaf_over_the_end_of_the_vma),
	KUNIT_CASE(no_leaf_of_frames_that_are_not_aligned),
	KUNIT_CASE(a_block_with_a_table_stays_small),
	KUNIT_CASE(a_block_with_a_leaf_gets_no_table),
	KUNIT_CASE(a_part_that_becomes_writable_makes_it_small),
	KUNIT_CASE(a_leaf_of_other_frames_is_busy),
	KUNIT_CASE(blocks_in_any_order_are_leaves),
	KUNIT_CASE(blocks_end_at_what_can_not_be_a_leaf),
	KUNIT_CASE(a_failure_takes_out_what_came_before),
	KUNIT_CASE(nothing_is_inserted_during_an_invalidation),
	KUNIT_CASE(a_look_up_before_an_invalidation_inserts_nothing),
	KUNIT_CASE(a_place_is_made_and_nothing_put_there),
	KUNIT_CASE_PARAM(a_part_takes_all_of_it_out, backends_gen_params),
	KUNIT_CASE_PARAM(a_range_takes_out_leaves_and_pages,
			 backends_gen_params),
	KUNIT_CASE_PARAM(an_object_is_unmapped_from_every_process,
			 backends_gen_params),
	KUNIT_CASE(all_of_it_can_be_write_protected),
	KUNIT_CASE(a_part_that_is_write_protected_takes_it_out),
	KUNIT_CASE(looking_shows_each_frame),
	KUNIT_CASE(another_process_reads_and_writes_it),
	KUNIT_CASE(the_kernel_takes_out_what_is_unmapped_in_part),
	{}
};
#else
FX_CASE(there_are_none)
{
	unsigned long addr = fx_map(f, FX_PAGES);
	struct vm_area_struct *vma = fx_lock(f, addr);

	mmext_vma_allow_huge(vma);
	KUNIT_EXPECT_FALSE(test, mmext_huge_possible());
	KUNIT_EXPECT_FALSE(test, mmext_huge_fits(vma, addr));
	KUNIT_EXPECT_TRUE(test, mmext_huge_ready(vma, addr));
	fx_unlock(f);
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, FX_PAGES), 0);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, FX_PAGES), FX_PAGES);
	FX_EXPECT_COUNT(f, huge, 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(there_are_none),
	{}
};
#endif

FX_SUITE(huge, cases);
