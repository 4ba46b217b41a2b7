// SPDX-License-Identifier: GPL-2.0
/*
 * Looking at entries.
 */
#include "fixture.h"

#define UNTOUCHED	0x5a5a5a5aUL

static int follow(struct fx *f, unsigned long addr, struct mmext_pte *pte)
{
	int ret;

	memset(pte, 0, sizeof(*pte));
	pte->pfn = UNTOUCHED;
	ret = mmext_follow_pte(fx_lock(f, addr), addr, pte);
	fx_unlock(f);
	return ret;
}

static int follow_pfn_of(struct fx *f, unsigned long addr, unsigned long *pfn)
{
	int ret;

	*pfn = UNTOUCHED;
	ret = mmext_follow_pfn(fx_lock(f, addr), addr, pfn);
	fx_unlock(f);
	return ret;
}

FX_CASE(sees_a_read_only_entry)
{
	unsigned long addr = fx_map(f, 1);
	struct mmext_pte pte;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn + 3), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, follow(f, addr, &pte), 0);
	KUNIT_EXPECT_EQ(test, pte.pfn, f->pfn + 3);
	KUNIT_EXPECT_EQ(test, pte.shift, (unsigned int)PAGE_SHIFT);
	KUNIT_EXPECT_FALSE(test, pte.write);
	KUNIT_EXPECT_FALSE(test, pte.dirty);
	KUNIT_EXPECT_TRUE(test, pte.young);
}

FX_CASE(sees_a_writable_entry)
{
	unsigned long addr = fx_map(f, 1);
	struct mmext_pte pte;

	KUNIT_ASSERT_EQ(test, fx_insert_rw(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, follow(f, addr, &pte), 0);
	KUNIT_EXPECT_EQ(test, pte.pfn, f->pfn);
	KUNIT_EXPECT_TRUE(test, pte.write);
	KUNIT_EXPECT_FALSE(test, pte.dirty);
}

FX_CASE(sees_that_a_page_was_stored_to)
{
	unsigned long addr = fx_map(f, 1);
	struct mmext_pte pte;

	KUNIT_ASSERT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	KUNIT_EXPECT_EQ(test, follow(f, addr, &pte), 0);
	KUNIT_EXPECT_TRUE(test, pte.write);
	KUNIT_EXPECT_TRUE(test, pte.dirty);
	KUNIT_EXPECT_TRUE(test, pte.young);
}

FX_CASE(sees_that_a_page_was_not_accessed)
{
	unsigned long addr = fx_map(f, 1);
	pte_t old = pte_mkold(mmext_mk_pte(f->pfn, PAGE_READONLY));
	struct mmext_pte pte;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	fx_plant(f, addr, old);
	KUNIT_EXPECT_EQ(test, follow(f, addr, &pte), 0);
	KUNIT_EXPECT_EQ(test, pte.pfn, f->pfn);
	KUNIT_EXPECT_FALSE(test, pte.young);
}

FX_CASE(any_address_of_a_page_will_do)
{
	unsigned long addr = fx_map(f, 2);
	struct mmext_pte pte;
	unsigned long pfn;

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 2), 0);
	KUNIT_EXPECT_EQ(test, follow(f, addr + PAGE_SIZE - 1, &pte), 0);
	KUNIT_EXPECT_EQ(test, pte.pfn, f->pfn);
	KUNIT_EXPECT_EQ(test, follow(f, addr + 2 * PAGE_SIZE - 1, &pte), 0);
	KUNIT_EXPECT_EQ(test, pte.pfn, f->pfn + 1);
	KUNIT_EXPECT_EQ(test, follow_pfn_of(f, addr + PAGE_SIZE + 8, &pfn), 0);
	KUNIT_EXPECT_EQ(test, pfn, f->pfn + 1);
}

FX_CASE(there_is_nothing_without_a_table)
{
	unsigned long addr = fx_map(f, 1);
	struct mmext_pte pte;

	KUNIT_EXPECT_EQ(test, follow(f, addr, &pte), -ENOENT);
	KUNIT_EXPECT_EQ(test, pte.pfn, UNTOUCHED);
	KUNIT_EXPECT_EQ(test, fx_tables(f), 0L);
	KUNIT_EXPECT_EQ(test, f->faults, 0U);
}

FX_CASE(there_is_nothing_in_a_hole_of_a_table)
{
	unsigned long addr = fx_map(f, 3);
	struct mmext_pte pte;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr + 2 * PAGE_SIZE, f->pfn),
			FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, follow(f, addr + PAGE_SIZE, &pte), -ENOENT);
	KUNIT_EXPECT_EQ(test, pte.pfn, UNTOUCHED);
}

FX_CASE(there_is_nothing_after_a_zap)
{
	unsigned long addr = fx_map(f, 1);
	struct mmext_pte pte;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_ASSERT_EQ(test, fx_zap(f, addr, 1), 0);
	KUNIT_EXPECT_EQ(test, follow(f, addr, &pte), -ENOENT);
}

FX_CASE(a_marker_is_nothing)
{
	unsigned long addr = fx_map(f, 2), pfn;
	struct mmext_pte pte;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	fx_plant(f, addr + PAGE_SIZE, fx_marker());
	KUNIT_EXPECT_EQ(test, follow(f, addr + PAGE_SIZE, &pte), -ENOENT);
	KUNIT_EXPECT_EQ(test, pte.pfn, UNTOUCHED);
	KUNIT_EXPECT_EQ(test, follow_pfn_of(f, addr + PAGE_SIZE, &pfn),
			-EINVAL);
	fx_plant(f, addr + PAGE_SIZE, __pte(0));
}

FX_CASE(looks_on_both_sides_of_every_border)
{
	unsigned long table = f->base + PMD_SIZE, upper = f->base + PUD_SIZE;
	unsigned long pfn;

	fx_map_at(f, table - PAGE_SIZE, 2, 0);
	fx_map_at(f, upper - PAGE_SIZE, 2, 10);
	KUNIT_ASSERT_EQ(test, fx_remap(f, table - PAGE_SIZE, f->pfn, 2), 0);
	KUNIT_ASSERT_EQ(test, fx_remap(f, upper - PAGE_SIZE, f->pfn + 10, 2),
			0);
	KUNIT_EXPECT_EQ(test, follow_pfn_of(f, table - 1, &pfn), 0);
	KUNIT_EXPECT_EQ(test, pfn, f->pfn);
	KUNIT_EXPECT_EQ(test, follow_pfn_of(f, table, &pfn), 0);
	KUNIT_EXPECT_EQ(test, pfn, f->pfn + 1);
	KUNIT_EXPECT_EQ(test, follow_pfn_of(f, upper - 1, &pfn), 0);
	KUNIT_EXPECT_EQ(test, pfn, f->pfn + 10);
	KUNIT_EXPECT_EQ(test, follow_pfn_of(f, upper, &pfn), 0);
	KUNIT_EXPECT_EQ(test, pfn, f->pfn + 11);
}

FX_CASE(refuses_addresses_outside_of_the_vma)
{
	unsigned long addr = f->base + 4 * PAGE_SIZE, pfn;
	struct vm_area_struct *vma;
	struct mmext_pte pte;

	fx_map_at(f, addr, 2, 0);
	/* a neighbour, which has an entry there */
	fx_map_at(f, addr + 2 * PAGE_SIZE, 1, 100);
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr + 2 * PAGE_SIZE, f->pfn),
			FX_NOPAGE);
	vma = fx_lock(f, addr);
	KUNIT_EXPECT_EQ(test, mmext_follow_pte(vma, addr - 1, &pte), -EINVAL);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mmext_follow_pte(vma, addr + 2 * PAGE_SIZE, &pte));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mmext_follow_pfn(vma, addr + 2 * PAGE_SIZE, &pfn));
	KUNIT_EXPECT_EQ(test, mmext_follow_pte(vma, ULONG_MAX, &pte), -EINVAL);
	KUNIT_EXPECT_EQ(test, mmext_follow_pte(vma, 0, &pte), -EINVAL);
	fx_unlock(f);
}

FX_CASE(refuses_a_vma_of_others)
{
	unsigned long addr = fx_map_foreign(f, f->base, 1), pfn;
	struct mmext_pte pte;

	KUNIT_EXPECT_EQ(test, follow(f, addr, &pte), -EINVAL);
	KUNIT_EXPECT_EQ(test, pte.pfn, UNTOUCHED);
	KUNIT_EXPECT_EQ(test, follow_pfn_of(f, addr, &pfn), -EINVAL);
	KUNIT_EXPECT_EQ(test, pfn, UNTOUCHED);
}

FX_CASE(follow_pfn_gives_the_frame)
{
	unsigned long addr = fx_map(f, 1), pfn;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn + 42), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, follow_pfn_of(f, addr, &pfn), 0);
	KUNIT_EXPECT_EQ(test, pfn, f->pfn + 42);
}

FX_CASE(follow_pfn_has_one_answer_for_nothing)
{
	unsigned long addr = fx_map(f, 1), pfn;

	KUNIT_EXPECT_EQ(test, follow_pfn_of(f, addr, &pfn), -EINVAL);
	KUNIT_EXPECT_EQ(test, pfn, UNTOUCHED);
}

FX_CASE(looks_at_one_address_space)
{
	unsigned long addr = fx_map(f, 1), other = fx_map_other(f, 1), pfn;
	struct mmext_pte pte;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	fx_enter_other(f);
	KUNIT_EXPECT_EQ(test, follow(f, other, &pte), -ENOENT);
	KUNIT_EXPECT_EQ(test, fx_insert(f, other, f->pfn + 1), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, follow_pfn_of(f, other, &pfn), 0);
	KUNIT_EXPECT_EQ(test, pfn, f->pfn + 1);
	fx_leave_other(f);
	KUNIT_EXPECT_EQ(test, follow_pfn_of(f, addr, &pfn), 0);
	KUNIT_EXPECT_EQ(test, pfn, f->pfn);
}

static int follow_range(struct fx *f, unsigned long addr, unsigned long nr,
			struct mmext_pte *ptes)
{
	int ret = mmext_follow_ptes(fx_lock(f, addr), addr, nr, ptes);

	fx_unlock(f);
	return ret;
}

FX_CASE(a_range_is_looked_at_over_holes_and_borders)
{
	/* from one table over a missing one into a third */
	unsigned long addr = f->base + PMD_SIZE - 2 * PAGE_SIZE;
	unsigned long nr = 2 + PTRS_PER_PTE + 3, i;
	struct mmext_pte *ptes;

	ptes = kunit_kmalloc_array(test, nr + 1, sizeof(*ptes), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ptes);
	memset(ptes, 0x5a, (nr + 1) * sizeof(*ptes));
	fx_map_at(f, addr, nr, 0);
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr + PAGE_SIZE, f->pfn + 3),
			FX_NOPAGE);
	KUNIT_ASSERT_EQ(test, fx_insert_rw(f, addr + (nr - 2) * PAGE_SIZE,
					   f->pfn + 4), FX_NOPAGE);

	KUNIT_EXPECT_EQ(test, follow_range(f, addr, nr, ptes), 0);
	for (i = 0; i < nr; i++) {
		if (i != 1 && i != nr - 2)
			KUNIT_EXPECT_EQ(test, ptes[i].shift, 0U);
	}
	KUNIT_EXPECT_EQ(test, ptes[1].pfn, f->pfn + 3);
	KUNIT_EXPECT_EQ(test, ptes[1].shift, (unsigned int)PAGE_SHIFT);
	KUNIT_EXPECT_FALSE(test, ptes[1].write);
	KUNIT_EXPECT_EQ(test, ptes[nr - 2].pfn, f->pfn + 4);
	KUNIT_EXPECT_TRUE(test, ptes[nr - 2].write);
	KUNIT_EXPECT_EQ(test, ptes[nr].shift, 0x5a5a5a5aU);
}

FX_CASE(a_range_that_passes_the_vma_is_refused)
{
	unsigned long addr = fx_map(f, 2);
	struct mmext_pte ptes[3];

	KUNIT_EXPECT_EQ(test, follow_range(f, addr, 3, ptes), -EINVAL);
	KUNIT_EXPECT_EQ(test, follow_range(f, addr + PAGE_SIZE, 2, ptes),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, follow_range(f, addr, 0, ptes), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(sees_a_read_only_entry),
	KUNIT_CASE(sees_a_writable_entry),
	KUNIT_CASE(sees_that_a_page_was_stored_to),
	KUNIT_CASE(sees_that_a_page_was_not_accessed),
	KUNIT_CASE(any_address_of_a_page_will_do),
	KUNIT_CASE(there_is_nothing_without_a_table),
	KUNIT_CASE(there_is_nothing_in_a_hole_of_a_table),
	KUNIT_CASE(there_is_nothing_after_a_zap),
	KUNIT_CASE(a_marker_is_nothing),
	KUNIT_CASE(looks_on_both_sides_of_every_border),
	KUNIT_CASE(refuses_addresses_outside_of_the_vma),
	KUNIT_CASE(refuses_a_vma_of_others),
	KUNIT_CASE(follow_pfn_gives_the_frame),
	KUNIT_CASE(follow_pfn_has_one_answer_for_nothing),
	KUNIT_CASE(looks_at_one_address_space),
	KUNIT_CASE(a_range_is_looked_at_over_holes_and_borders),
	KUNIT_CASE(a_range_that_passes_the_vma_is_refused),
	{}
};

FX_SUITE(follow, cases);
