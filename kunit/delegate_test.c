// SPDX-License-Identifier: GPL-2.0
/*
 * What is handed to the kernel's own zap.
 *
 * The suite that runs last, and the cases with a notifier last in it: an
 * address space that had a notifier counts as one that has.
 */
#include <linux/mmu_notifier.h>

#include "fixture.h"

static void delegate(struct fx *f, unsigned long addr, unsigned long nr)
{
	mmext_delegate_vma(fx_lock(f, addr), addr, nr << PAGE_SHIFT);
	fx_unlock(f);
}

FX_CASE(the_kernel_clears_a_range_of_a_vma)
{
	unsigned long addr = fx_map(f, 6);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 6), 0);
	delegate(f, addr + 2 * PAGE_SIZE, 3);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 2), 2UL);
	FX_EXPECT_NONE(f, addr + 2 * PAGE_SIZE, 3);
	FX_EXPECT_ENTRY(f, addr + 5 * PAGE_SIZE, FX_RO(f->pfn + 5));
	FX_EXPECT_COUNT(f, delegated, 1);
	FX_EXPECT_COUNT(f, cleared, 0);
}

FX_CASE(the_kernel_clears_the_whole_of_a_vma)
{
	unsigned long addr = fx_map(f, FX_PAGES);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, FX_PAGES), 0);
	delegate(f, addr, FX_PAGES);
	FX_EXPECT_NONE(f, addr, FX_PAGES);
	FX_EXPECT_COUNT(f, delegated, 1);
}

FX_CASE(the_kernel_clears_over_an_upper_border)
{
	unsigned long border = f->base + PUD_SIZE;

	fx_map_at(f, border - 2 * PAGE_SIZE, 4, 0);
	KUNIT_ASSERT_EQ(test, 0,
			fx_remap(f, border - 2 * PAGE_SIZE, f->pfn, 4));
	delegate(f, border - PAGE_SIZE, 2);
	KUNIT_EXPECT_EQ(test, fx_entries(f, border - 2 * PAGE_SIZE, 1), 1UL);
	FX_EXPECT_NONE(f, border - PAGE_SIZE, 2);
	KUNIT_EXPECT_EQ(test, fx_entries(f, border + PAGE_SIZE, 1), 1UL);
}

FX_CASE(the_kernel_clears_pages_of_an_object_everywhere)
{
	unsigned long addr = fx_map(f, 8), other = fx_map_other(f, 8);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	fx_enter_other(f);
	KUNIT_ASSERT_EQ(test, fx_remap(f, other, f->pfn, 8), 0);
	fx_leave_other(f);

	mmext_delegate_mapping(f->space, 5, 2, true);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 5), 5UL);
	FX_EXPECT_NONE(f, addr + 5 * PAGE_SIZE, 2);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr + 7 * PAGE_SIZE, 1), 1UL);
	fx_enter_other(f);
	KUNIT_EXPECT_EQ(test, fx_entries(f, other, 5), 5UL);
	FX_EXPECT_NONE(f, other + 5 * PAGE_SIZE, 2);
	KUNIT_EXPECT_EQ(test, fx_entries(f, other + 7 * PAGE_SIZE, 1), 1UL);
	fx_leave_other(f);
}

FX_CASE(the_kernel_clears_an_object_to_its_end)
{
	unsigned long addr = fx_map(f, 8);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	mmext_delegate_mapping(f->space, 3, 0, true);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 3), 3UL);
	FX_EXPECT_NONE(f, addr + 3 * PAGE_SIZE, 5);
}

FX_CASE(unmap_hands_two_address_spaces_over_at_once)
{
	unsigned long addr = fx_map(f, 4), other = fx_map_other(f, 4);

	fx_use_kernel(f);
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 4), 0);
	fx_enter_other(f);
	KUNIT_ASSERT_EQ(test, fx_remap(f, other, f->pfn, 4), 0);
	fx_leave_other(f);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 1, 2), 0);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 4), 2UL);
	fx_enter_other(f);
	KUNIT_EXPECT_EQ(test, fx_entries(f, other, 4), 2UL);
	fx_leave_other(f);
	/* a range of each */
	FX_EXPECT_COUNT(f, delegated, 2);
	FX_EXPECT_COUNT(f, cleared, 0);
	FX_EXPECT_COUNT(f, flushes, 0);
}

#ifdef CONFIG_MMU_NOTIFIER
/* What a mirror of the page tables is told. */
struct mirror {
	struct mmu_notifier mn;
	unsigned long low, high;	/* what the case is about */
	unsigned long start, end;	/* of the last range there */
	unsigned int starts, ends;
	unsigned long there;		/* entries when it was told to let go */
	struct fx *f;
};

static int range_start(struct mmu_notifier *mn,
		       const struct mmu_notifier_range *range)
{
	struct mirror *m = container_of(mn, struct mirror, mn);
	unsigned long addr;

	if (range->start >= m->high || range->end <= m->low)
		return 0;
	m->start = range->start;
	m->end = range->end;
	m->starts++;
	for (addr = range->start; addr < range->end; addr += PAGE_SIZE)
		m->there += fx_entry_locked(m->f, addr) != FX_NONE;
	return 0;
}

static void range_end(struct mmu_notifier *mn,
		      const struct mmu_notifier_range *range)
{
	struct mirror *m = container_of(mn, struct mirror, mn);

	if (range->start < m->high && range->end > m->low)
		m->ends++;
}

static const struct mmu_notifier_ops mirror_ops = {
	.invalidate_range_start = range_start,
	.invalidate_range_end = range_end,
};

/* Map 8 pages, all present, and watch them. */
static unsigned long mirrored(struct fx *f, struct mirror *m)
{
	unsigned long addr = fx_map(f, 8);

	m->f = f;
	m->low = addr;
	m->high = addr + 8 * PAGE_SIZE;
	m->mn.ops = &mirror_ops;
	KUNIT_ASSERT_EQ(f->test, fx_remap(f, addr, f->pfn, 8), 0);
	KUNIT_ASSERT_EQ(f->test, mmu_notifier_register(&m->mn, f->mm), 0);
	return addr;
}

FX_CASE(a_mirror_is_told_of_a_zap_before_it)
{
	struct mirror m = {};
	unsigned long addr;

	if (!fx_use_native(f))
		return;
	addr = mirrored(f, &m);
	KUNIT_EXPECT_TRUE(test, mmext_needs_kernel(f->mm));
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr + 2 * PAGE_SIZE, 3), 0);
	mmu_notifier_unregister(&m.mn, f->mm);

	KUNIT_EXPECT_EQ(test, m.starts, 1U);
	KUNIT_EXPECT_EQ(test, m.ends, 1U);
	KUNIT_EXPECT_EQ(test, m.start, addr + 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, m.end, addr + 5 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, m.there, 3UL);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 8), 5UL);
	FX_EXPECT_COUNT(f, delegated, 1);
	FX_EXPECT_COUNT(f, cleared, 0);
	FX_EXPECT_COUNT(f, flushes, 0);
}

FX_CASE(a_mirror_is_told_when_an_object_is_unmapped)
{
	struct mirror m = {};
	unsigned long addr;

	if (!fx_use_native(f))
		return;
	addr = mirrored(f, &m);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 6, 2), 0);
	mmu_notifier_unregister(&m.mn, f->mm);

	KUNIT_EXPECT_EQ(test, m.starts, 1U);
	KUNIT_EXPECT_EQ(test, m.ends, 1U);
	KUNIT_EXPECT_EQ(test, m.start, addr + 6 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, m.end, addr + 8 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, m.there, 2UL);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 8), 6UL);
	FX_EXPECT_COUNT(f, delegated, 1);
	FX_EXPECT_COUNT(f, cleared, 0);
}

FX_CASE(who_has_no_mirror_is_cleared_by_the_engine)
{
	struct mirror m = {};
	unsigned long addr, other;

	if (!fx_use_native(f))
		return;
	addr = mirrored(f, &m);
	other = fx_map_other(f, 8);
	fx_enter_other(f);
	KUNIT_ASSERT_EQ(test, fx_remap(f, other, f->pfn, 8), 0);
	fx_leave_other(f);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 0, 3), 0);
	mmu_notifier_unregister(&m.mn, f->mm);

	KUNIT_EXPECT_EQ(test, m.starts, 1U);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 8), 5UL);
	fx_enter_other(f);
	KUNIT_EXPECT_EQ(test, fx_entries(f, other, 8), 5UL);
	fx_leave_other(f);
	FX_EXPECT_COUNT(f, delegated, 1);
	FX_EXPECT_COUNT(f, cleared, 3);
	FX_EXPECT_COUNT(f, flushes, 1);
}

FX_CASE(a_mirror_is_not_told_of_what_is_not_done)
{
	struct mmext_zap_details details = { .flags = MMEXT_ZAP_NO_DELEGATE };
	struct mirror m = {};
	struct vm_area_struct *vma;
	unsigned long addr;

	if (!fx_use_native(f))
		return;
	addr = mirrored(f, &m);
	vma = fx_lock(f, addr);
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			mmext_zap_page_range_single(vma, addr, PAGE_SIZE,
						    &details));
	fx_unlock(f);
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr, 9), -EINVAL);
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr, 0), 0);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 8, 1), 0);
	mmu_notifier_unregister(&m.mn, f->mm);

	KUNIT_EXPECT_EQ(test, m.starts, 0U);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 8), 8UL);
	FX_EXPECT_COUNT(f, delegated, 0);
}

FX_CASE(a_mirror_is_told_of_what_a_failed_remap_takes_back)
{
	struct mirror m = {};
	unsigned long addr;

	if (!fx_use_native(f))
		return;
	addr = mirrored(f, &m);
	/* two right ones, and then another frame */
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 2, 1), 0);
	KUNIT_EXPECT_EQ(test, fx_insert(f, addr + 2 * PAGE_SIZE, f->pfn + 50),
			FX_NOPAGE);
	m.starts = 0;
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 8), -EBUSY);
	mmu_notifier_unregister(&m.mn, f->mm);

	KUNIT_EXPECT_EQ(test, m.starts, 1U);
	KUNIT_EXPECT_EQ(test, m.start, addr);
	KUNIT_EXPECT_EQ(test, m.end, addr + 2 * PAGE_SIZE);
	FX_EXPECT_NONE(f, addr, 2);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 8), 6UL);
}
#endif

static struct kunit_case cases[] = {
	KUNIT_CASE(the_kernel_clears_a_range_of_a_vma),
	KUNIT_CASE(the_kernel_clears_the_whole_of_a_vma),
	KUNIT_CASE(the_kernel_clears_over_an_upper_border),
	KUNIT_CASE(the_kernel_clears_pages_of_an_object_everywhere),
	KUNIT_CASE(the_kernel_clears_an_object_to_its_end),
	KUNIT_CASE(unmap_hands_two_address_spaces_over_at_once),
#ifdef CONFIG_MMU_NOTIFIER
	KUNIT_CASE(a_mirror_is_told_of_a_zap_before_it),
	KUNIT_CASE(a_mirror_is_told_when_an_object_is_unmapped),
	KUNIT_CASE(who_has_no_mirror_is_cleared_by_the_engine),
	KUNIT_CASE(a_mirror_is_not_told_of_what_is_not_done),
	KUNIT_CASE(a_mirror_is_told_of_what_a_failed_remap_takes_back),
#endif
	{}
};

FX_SUITE(delegate, cases);
