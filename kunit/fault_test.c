// SPDX-License-Identifier: GPL-2.0
/*
 * Finishing faults on entries that exist.
 */
#include "fixture.h"

/* Call finish_mkwrite_fault() as if for a fault that saw @seen. */
static int finish(struct fx *f, unsigned long addr, pte_t seen)
{
	struct vm_area_struct *vma = fx_lock(f, addr);
	struct vm_fault vmf = {
		.vma = vma,
		.address = addr,
		.orig_pte = seen,
		.flags = FAULT_FLAG_WRITE,
	};
	int ret = mmext_finish_mkwrite_fault(&vmf);

	fx_unlock(f);
	return ret;
}

static pte_t entry_of(unsigned long pfn)
{
	return mmext_mk_pte(pfn, PAGE_READONLY);
}

FX_CASE(a_store_makes_the_entry_writable_and_dirty)
{
	unsigned long addr = fx_map(f, 3) + PAGE_SIZE;

	KUNIT_ASSERT_EQ(test, fx_remap(f, f->base, f->pfn, 3), 0);
	KUNIT_EXPECT_EQ(test, fx_put(addr, 4711), 0);
	KUNIT_EXPECT_EQ(test, *fx_frame(f, 1), 4711ULL);
	KUNIT_EXPECT_EQ(test, f->faults, 0U);
	KUNIT_EXPECT_EQ(test, f->mkwrites, 1U);
	FX_EXPECT_ENTRY(f, addr - PAGE_SIZE, FX_RO(f->pfn));
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn + 1));
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RO(f->pfn + 2));
	*fx_frame(f, 1) = FX_MARK(1);
}

FX_CASE(the_second_store_is_no_fault)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_put(addr, 1), 0);
	KUNIT_EXPECT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	KUNIT_EXPECT_EQ(test, f->mkwrites, 1U);
	KUNIT_EXPECT_EQ(test, f->faults, 0U);
}

static vm_fault_t refuse(struct fx *f, struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

FX_CASE(a_store_that_is_refused_changes_nothing)
{
	unsigned long addr = fx_map(f, 1);
	u64 val = 0;

	f->mkwrite = refuse;
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_put(addr, 1), -EFAULT);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(0));
}

FX_CASE(makes_an_entry_writable)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, finish(f, addr, entry_of(f->pfn)), 1);
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
}

FX_CASE(any_address_of_the_page_will_do)
{
	unsigned long addr = fx_map(f, 2);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 2), 0);
	KUNIT_EXPECT_EQ(test, 1, finish(f, addr + PAGE_SIZE - 1,
					entry_of(f->pfn)));
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RO(f->pfn + 1));
}

FX_CASE(makes_the_last_entry_of_a_table_writable)
{
	unsigned long addr = f->base + PMD_SIZE - PAGE_SIZE;

	fx_map_at(f, addr, 2, 0);
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 2), 0);
	KUNIT_EXPECT_EQ(test, finish(f, addr, entry_of(f->pfn)), 1);
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RO(f->pfn + 1));
}

FX_CASE(an_entry_that_is_writable_by_now_is_made_dirty)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_ASSERT_EQ(test, fx_insert_rw(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, finish(f, addr, entry_of(f->pfn)), 1);
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
}

FX_CASE(an_entry_that_is_gone_is_tried_again)
{
	unsigned long addr = fx_map(f, 2);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr + PAGE_SIZE, f->pfn),
			FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, finish(f, addr, entry_of(f->pfn)), 0);
	FX_EXPECT_NONE(f, addr, 1);
}

FX_CASE(a_table_that_is_gone_is_tried_again)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_EXPECT_EQ(test, finish(f, addr, entry_of(f->pfn)), 0);
	FX_EXPECT_NONE(f, addr, 1);
	KUNIT_EXPECT_EQ(test, fx_tables(f), 0L);
}

FX_CASE(another_frame_by_now_is_tried_again)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn + 1), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, finish(f, addr, entry_of(f->pfn)), 0);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn + 1));
}

FX_CASE(a_marker_by_now_is_tried_again)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_ASSERT_EQ(test, fx_zap(f, addr, 1), 0);
	fx_plant(f, addr, fx_marker());
	KUNIT_EXPECT_EQ(test, finish(f, addr, fx_marker()), 0);
	FX_EXPECT_ENTRY(f, addr, FX_MARKER);
	fx_plant(f, addr, __pte(0));
}

FX_CASE(nothing_is_made_writable_during_an_invalidation)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	mmext_invalidate_begin(&f->map);
	KUNIT_EXPECT_EQ(test, finish(f, addr, entry_of(f->pfn)), 0);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
	mmext_invalidate_end(&f->map);
	KUNIT_EXPECT_EQ(test, finish(f, addr, entry_of(f->pfn)), 1);
}

FX_CASE(a_mapping_without_stores_is_refused)
{
	fx_map_read_only(f, 1);
	KUNIT_ASSERT_EQ(test, fx_insert(f, f->base, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, finish(f, f->base, entry_of(f->pfn)), -EINVAL);
	FX_EXPECT_ENTRY(f, f->base, FX_RO(f->pfn));
}

FX_CASE(a_vma_of_others_is_refused)
{
	unsigned long addr = fx_map_foreign(f, f->base, 1);
	u64 before = fx_entry(f, addr);

	KUNIT_EXPECT_EQ(test, finish(f, addr, entry_of(f->pfn)), -EINVAL);
	FX_EXPECT_ENTRY(f, addr, before);
}

FX_CASE(each_address_space_stores_for_itself)
{
	unsigned long addr = fx_map(f, 1), other = fx_map_other(f, 1);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	fx_enter_other(f);
	KUNIT_ASSERT_EQ(test, fx_insert(f, other, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_put(other, FX_MARK(0)), 0);
	FX_EXPECT_ENTRY(f, other, FX_RWD(f->pfn));
	fx_leave_other(f);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_store_makes_the_entry_writable_and_dirty),
	KUNIT_CASE(the_second_store_is_no_fault),
	KUNIT_CASE(a_store_that_is_refused_changes_nothing),
	KUNIT_CASE(makes_an_entry_writable),
	KUNIT_CASE(any_address_of_the_page_will_do),
	KUNIT_CASE(makes_the_last_entry_of_a_table_writable),
	KUNIT_CASE(an_entry_that_is_writable_by_now_is_made_dirty),
	KUNIT_CASE(an_entry_that_is_gone_is_tried_again),
	KUNIT_CASE(a_table_that_is_gone_is_tried_again),
	KUNIT_CASE(another_frame_by_now_is_tried_again),
	KUNIT_CASE(a_marker_by_now_is_tried_again),
	KUNIT_CASE(nothing_is_made_writable_during_an_invalidation),
	KUNIT_CASE(a_mapping_without_stores_is_refused),
	KUNIT_CASE(a_vma_of_others_is_refused),
	KUNIT_CASE(each_address_space_stores_for_itself),
	{}
};

FX_SUITE(fault, cases);
