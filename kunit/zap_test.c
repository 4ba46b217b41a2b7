// SPDX-License-Identifier: GPL-2.0
/*
 * Taking entries out of one VMA, by the engine and by the kernel.
 */
#include <linux/mm_inline.h>

#include "fixture.h"

KUNIT_ARRAY_PARAM(backends, fx_backends, fx_backend_name);

/* Map @nr pages at @addr, all of them present. */
static void map_present(struct fx *f, unsigned long addr, unsigned long nr)
{
	fx_map_at(f, addr, nr, 0);
	KUNIT_ASSERT_EQ(f->test, fx_remap(f, addr, f->pfn, nr), 0);
}

/* So many were cleared in one go, by whoever does it in this case. */
static void expect_cleared(struct fx *f, unsigned long nr)
{
	struct kunit *test = f->test;
	const struct fx_backend *b = test->param_value;

	FX_EXPECT_COUNT(f, cleared, b->native ? nr : 0);
	FX_EXPECT_COUNT(f, flushes, b->native);
	FX_EXPECT_COUNT(f, delegated, !b->native);
}

FX_CASE(takes_out_one_page)
{
	unsigned long addr = f->base;

	if (!fx_use(f, test->param_value))
		return;
	map_present(f, addr, 3);
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr + PAGE_SIZE, 1), 0);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
	FX_EXPECT_NONE(f, addr + PAGE_SIZE, 1);
	FX_EXPECT_ENTRY(f, addr + 2 * PAGE_SIZE, FX_RO(f->pfn + 2));
	expect_cleared(f, 1);
}

FX_CASE(takes_out_the_first_and_the_last_page)
{
	unsigned long addr = f->base;

	if (!fx_use(f, test->param_value))
		return;
	map_present(f, addr, 4);
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr, 1), 0);
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr + 3 * PAGE_SIZE, 1), 0);
	FX_EXPECT_NONE(f, addr, 1);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr + PAGE_SIZE, 2), 2UL);
	FX_EXPECT_NONE(f, addr + 3 * PAGE_SIZE, 1);
}

FX_CASE(takes_out_the_whole_vma)
{
	if (!fx_use(f, test->param_value))
		return;
	map_present(f, f->base, FX_PAGES);
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base, FX_PAGES), 0);
	FX_EXPECT_NONE(f, f->base, FX_PAGES);
	expect_cleared(f, FX_PAGES);
}

FX_CASE(takes_out_over_the_end_of_a_table)
{
	unsigned long border = f->base + PMD_SIZE;

	if (!fx_use(f, test->param_value))
		return;
	map_present(f, border - 3 * PAGE_SIZE, 6);
	KUNIT_EXPECT_EQ(test, fx_zap(f, border - 2 * PAGE_SIZE, 4), 0);
	KUNIT_EXPECT_EQ(test, fx_entries(f, border - 3 * PAGE_SIZE, 1), 1UL);
	FX_EXPECT_NONE(f, border - 2 * PAGE_SIZE, 4);
	KUNIT_EXPECT_EQ(test, fx_entries(f, border + 2 * PAGE_SIZE, 1), 1UL);
	expect_cleared(f, 4);
}

FX_CASE(takes_out_over_an_upper_border)
{
	unsigned long border = f->base + PUD_SIZE;

	if (!fx_use(f, test->param_value))
		return;
	map_present(f, border - 3 * PAGE_SIZE, 6);
	KUNIT_EXPECT_EQ(test, fx_zap(f, border - 2 * PAGE_SIZE, 4), 0);
	KUNIT_EXPECT_EQ(test, fx_entries(f, border - 3 * PAGE_SIZE, 1), 1UL);
	FX_EXPECT_NONE(f, border - 2 * PAGE_SIZE, 4);
	KUNIT_EXPECT_EQ(test, fx_entries(f, border + 2 * PAGE_SIZE, 1), 1UL);
	expect_cleared(f, 4);
}

FX_CASE(steps_over_holes_and_missing_tables)
{
	unsigned long addr = f->base, nr = 4 * PTRS_PER_PTE;

	if (!fx_use(f, test->param_value))
		return;
	fx_map_at(f, addr, nr, 0);
	/* a page each in the first and the last of four tables */
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr + 5 * PAGE_SIZE, f->pfn),
			FX_NOPAGE);
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr + (nr - 1) * PAGE_SIZE, f->pfn),
			FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr, nr), 0);
	FX_EXPECT_NONE(f, addr, nr);
	expect_cleared(f, 2);
}

FX_CASE(takes_out_a_dirty_page)
{
	unsigned long addr = fx_map(f, 1);

	if (!fx_use(f, test->param_value))
		return;
	KUNIT_ASSERT_EQ(test, fx_put(addr, 3), 0);
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr, 1), 0);
	FX_EXPECT_NONE(f, addr, 1);
	KUNIT_EXPECT_EQ(test, *fx_frame(f, 0), 3ULL);
	*fx_frame(f, 0) = FX_MARK(0);
}

FX_CASE(tables_stay)
{
	long tables;

	if (!fx_use(f, test->param_value))
		return;
	map_present(f, f->base, FX_PAGES);
	tables = fx_tables(f);
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base, FX_PAGES), 0);
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables);
}

FX_CASE(takes_out_half_of_a_split_vma)
{
	unsigned long addr = f->base, rest = addr + 4 * PAGE_SIZE;

	if (!fx_use(f, test->param_value))
		return;
	map_present(f, addr, 8);
	fx_unmap(f, addr + 3 * PAGE_SIZE, 1);
	KUNIT_EXPECT_EQ(test, fx_zap(f, rest, 4), 0);
	FX_EXPECT_NONE(f, rest, 4);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 3), 3UL);
	expect_cleared(f, 4);
}

FX_CASE(takes_out_of_one_address_space)
{
	unsigned long other = fx_map_other(f, 2);

	if (!fx_use(f, test->param_value))
		return;
	map_present(f, f->base, 2);
	fx_enter_other(f);
	KUNIT_ASSERT_EQ(test, fx_remap(f, other, f->pfn, 2), 0);
	KUNIT_EXPECT_EQ(test, fx_zap(f, other, 2), 0);
	FX_EXPECT_NONE(f, other, 2);
	fx_leave_other(f);
	KUNIT_EXPECT_EQ(test, fx_entries(f, f->base, 2), 2UL);
}

FX_CASE(the_next_access_faults_and_sees_another_page)
{
	unsigned long addr = fx_map(f, 1);
	u64 val = 0;

	if (!fx_use(f, test->param_value))
		return;
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn + 1), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(1));
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr, 1), 0);
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(0));
	KUNIT_EXPECT_EQ(test, f->faults, 1U);
}

FX_CASE(pages_of_many_read_before_are_seen_anew)
{
	unsigned long addr = f->base, i;
	u64 val;

	if (!fx_use(f, test->param_value))
		return;
	/* more than are flushed one by one */
	map_present(f, addr, 64);
	for (i = 0; i < 64; i++)
		KUNIT_EXPECT_EQ(test, fx_get(addr + i * PAGE_SIZE, &val), 0);
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr, 64), 0);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn + 64, 64), 0);
	for (i = 0; i < 64; i++) {
		KUNIT_EXPECT_EQ(test, fx_get(addr + i * PAGE_SIZE, &val), 0);
		KUNIT_EXPECT_EQ(test, val, FX_MARK(64 + i));
	}
}

FX_CASE(a_size_of_nothing_does_nothing)
{
	if (!fx_use(f, test->param_value))
		return;
	map_present(f, f->base, 2);
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base, 0), 0);
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base + PAGE_SIZE, 0), 0);
	KUNIT_EXPECT_EQ(test, fx_entries(f, f->base, 2), 2UL);
	FX_EXPECT_COUNT(f, flushes, 0);
	FX_EXPECT_COUNT(f, delegated, 0);
}

/* Ranges that are refused, of a VMA of 4 pages */

struct args {
	const char *name;
	long addr;
	unsigned long size;
};

static const struct args args[] = {
	{ "address not a page's", 1, PAGE_SIZE },
	{ "size not a page's", 0, PAGE_SIZE - 1 },
	{ "before", -(long)PAGE_SIZE, PAGE_SIZE },
	{ "over the start", -(long)PAGE_SIZE, 2 * PAGE_SIZE },
	{ "over the end", 3 * PAGE_SIZE, 2 * PAGE_SIZE },
	{ "behind", 4 * PAGE_SIZE, PAGE_SIZE },
	{ "nothing, far behind", 5 * PAGE_SIZE, 0 },
	{ "largest size", 0, PAGE_MASK },
	{ "size past the end of all", 2 * PAGE_SIZE, -PAGE_SIZE },
};

static void args_name(const struct args *p, char *desc)
{
	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(args, args, args_name);

FX_CASE(refuses_a_range)
{
	const struct args *p = test->param_value;
	unsigned long start = f->base + 4 * PAGE_SIZE;
	struct vm_area_struct *vma;

	map_present(f, start, 4);
	vma = fx_lock(f, start);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mmext_zap_vma_ptes(vma, start + p->addr, p->size));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mmext_zap_page_range_single(vma, start + p->addr,
						    p->size, NULL));
	fx_unlock(f);
	KUNIT_EXPECT_EQ(test, fx_entries(f, start, 4), 4UL);
	FX_EXPECT_COUNT(f, cleared, 0);
	FX_EXPECT_COUNT(f, delegated, 0);
}

FX_CASE(refuses_a_vma_of_others)
{
	unsigned long addr = fx_map_foreign(f, f->base, 2);
	struct vm_area_struct *vma;

	KUNIT_EXPECT_EQ(test, fx_zap(f, addr, 2), -EINVAL);
	vma = fx_lock(f, addr);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mmext_zap_page_range_single(vma, addr, PAGE_SIZE,
						    NULL));
	fx_unlock(f);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 2), 2UL);
}

FX_CASE(refuses_memory_that_is_no_pfn_mapping)
{
	f->mmap = fx_mmap_plain;
	fx_map_at(f, f->base, 1, 0);
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base, 1), -EINVAL);
}

/* Details */

static int zap_no_delegate(struct fx *f, unsigned long addr, unsigned long nr)
{
	struct mmext_zap_details details = { .flags = MMEXT_ZAP_NO_DELEGATE };
	struct vm_area_struct *vma = fx_lock(f, addr);
	int ret = mmext_zap_page_range_single(vma, addr, nr << PAGE_SHIFT,
					      &details);

	fx_unlock(f);
	return ret;
}

FX_CASE(does_not_delegate_what_it_can_do_itself)
{
	if (!fx_use_native(f))
		return;
	map_present(f, f->base, 2);
	KUNIT_EXPECT_EQ(test, zap_no_delegate(f, f->base, 2), 0);
	FX_EXPECT_NONE(f, f->base, 2);
	FX_EXPECT_COUNT(f, delegated, 0);
}

FX_CASE(says_what_it_may_not_delegate)
{
	fx_use_kernel(f);
	map_present(f, f->base, 2);
	KUNIT_EXPECT_EQ(test, zap_no_delegate(f, f->base, 2), -EAGAIN);
	KUNIT_EXPECT_EQ(test, fx_entries(f, f->base, 2), 2UL);
	FX_EXPECT_COUNT(f, delegated, 0);
}

FX_CASE(no_details_are_flags_of_nothing)
{
	struct mmext_zap_details details = {};
	struct vm_area_struct *vma;

	if (!fx_use(f, test->param_value))
		return;
	map_present(f, f->base, 1);
	vma = fx_lock(f, f->base);
	KUNIT_EXPECT_EQ(test, 0,
			mmext_zap_page_range_single(vma, f->base, PAGE_SIZE,
						    &details));
	fx_unlock(f);
	FX_EXPECT_NONE(f, f->base, 1);
	expect_cleared(f, 1);
}

/* What is not the engine's */

FX_CASE(a_marker_is_left_to_the_kernel)
{
	if (!fx_use_native(f))
		return;
	map_present(f, f->base, 3);
	KUNIT_ASSERT_EQ(test, fx_zap(f, f->base + PAGE_SIZE, 1), 0);
	fx_plant(f, f->base + PAGE_SIZE, fx_marker());
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base, 3), 0);
	FX_EXPECT_NONE(f, f->base, 1);
	FX_EXPECT_ENTRY(f, f->base + PAGE_SIZE, FX_MARKER);
	FX_EXPECT_NONE(f, f->base + 2 * PAGE_SIZE, 1);
	FX_EXPECT_COUNT(f, cleared, 3);
	fx_plant(f, f->base + PAGE_SIZE, __pte(0));
}

FX_CASE(an_entry_of_the_kernels_is_left_to_it)
{
	if (!fx_use_native(f))
		return;
	map_present(f, f->base, 2);
	KUNIT_ASSERT_EQ(test, fx_zap(f, f->base, 1), 0);
	fx_plant(f, f->base, pfn_pte(f->pfn, PAGE_READONLY));
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base, 2), 0);
	FX_EXPECT_ENTRY(f, f->base, FX_RO(f->pfn) & ~FX_SPECIAL);
	FX_EXPECT_NONE(f, f->base + PAGE_SIZE, 1);
	fx_plant(f, f->base, __pte(0));
}

/* Flushes */

FX_CASE(nothing_found_is_nothing_flushed)
{
	if (!fx_use_native(f))
		return;
	map_present(f, f->base, 2);
	KUNIT_ASSERT_EQ(test, fx_zap(f, f->base, 2), 0);
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base, 2), 0);
	FX_EXPECT_COUNT(f, flushes, 1);
	FX_EXPECT_COUNT(f, cleared, 2);
}

FX_CASE(nothing_found_is_flushed_if_another_flush_is_pending)
{
	if (!fx_use_native(f))
		return;
	fx_map(f, 2);
	/* another CPU has cleared an entry and has not flushed yet */
	inc_tlb_flush_pending(f->mm);
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base, 2), 0);
	FX_EXPECT_COUNT(f, flushes, 1);
	FX_EXPECT_COUNT(f, cleared, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->mm->tlb_flush_pending), 1);
	dec_tlb_flush_pending(f->mm);
}

FX_CASE(every_announcement_is_taken_back)
{
	if (!fx_use(f, test->param_value))
		return;
	map_present(f, f->base, 2);
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base, 1), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->mm->tlb_flush_pending), 0);
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base, 1), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->mm->tlb_flush_pending), 0);
	KUNIT_EXPECT_EQ(test, fx_zap(f, f->base, 3), -EINVAL);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->mm->tlb_flush_pending), 0);
}

/* Two VMAs of four pages with a hole of four between. */
static void map_two(struct fx *f)
{
	map_present(f, f->base, 4);
	map_present(f, f->base + 8 * PAGE_SIZE, 4);
}

static int zap_over(struct fx *f, unsigned long addr, unsigned long nr)
{
	struct vm_area_struct *vma = fx_lock(f, addr);
	int ret = mmext_zap_page_range(vma, addr, nr * PAGE_SIZE);

	fx_unlock(f);
	return ret;
}

FX_CASE(goes_over_vmas_and_holes_with_one_flush)
{
	if (!fx_use_native(f))
		return;
	map_two(f);
	KUNIT_EXPECT_EQ(test, zap_over(f, f->base + PAGE_SIZE, 10), 0);
	KUNIT_EXPECT_EQ(test, fx_entries(f, f->base, 4), 1UL);
	KUNIT_EXPECT_EQ(test, fx_entries(f, f->base + 8 * PAGE_SIZE, 4), 1UL);
	FX_EXPECT_COUNT(f, cleared, 6);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->mm->tlb_flush_pending), 0);
}

FX_CASE(goes_over_vmas_by_the_kernel)
{
	if (!fx_use_kernel(f))
		return;
	map_two(f);
	KUNIT_EXPECT_EQ(test, zap_over(f, f->base, 12), 0);
	FX_EXPECT_NONE(f, f->base, 12);
	FX_EXPECT_COUNT(f, delegated, 2);
	FX_EXPECT_COUNT(f, cleared, 0);
}

FX_CASE(steps_over_vmas_of_others_and_says_so)
{
	struct mmext_gather g;
	int ret;

	map_two(f);
	fx_map_foreign(f, f->base + 5 * PAGE_SIZE, 2);
	fx_lock(f, f->base);
	mmext_gather_begin(&g, f->mm, NULL);
	ret = mmext_unmap_vmas(&g, find_vma(f->mm, f->base), f->base,
			       f->base + 12 * PAGE_SIZE);
	mmext_gather_end(&g);
	fx_unlock(f);
	KUNIT_EXPECT_EQ(test, ret, -EPERM);
	KUNIT_EXPECT_EQ(test, g.skipped, 2 * PAGE_SIZE);
	FX_EXPECT_NONE(f, f->base, 4);
	KUNIT_EXPECT_EQ(test, fx_entries(f, f->base + 5 * PAGE_SIZE, 2), 2UL);
	FX_EXPECT_NONE(f, f->base + 8 * PAGE_SIZE, 4);
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(takes_out_one_page, backends_gen_params),
	KUNIT_CASE_PARAM(takes_out_the_first_and_the_last_page,
			 backends_gen_params),
	KUNIT_CASE_PARAM(takes_out_the_whole_vma, backends_gen_params),
	KUNIT_CASE_PARAM(takes_out_over_the_end_of_a_table,
			 backends_gen_params),
	KUNIT_CASE_PARAM(takes_out_over_an_upper_border, backends_gen_params),
	KUNIT_CASE_PARAM(steps_over_holes_and_missing_tables,
			 backends_gen_params),
	KUNIT_CASE_PARAM(takes_out_a_dirty_page, backends_gen_params),
	KUNIT_CASE_PARAM(tables_stay, backends_gen_params),
	KUNIT_CASE_PARAM(takes_out_half_of_a_split_vma, backends_gen_params),
	KUNIT_CASE_PARAM(takes_out_of_one_address_space, backends_gen_params),
	KUNIT_CASE_PARAM(the_next_access_faults_and_sees_another_page,
			 backends_gen_params),
	KUNIT_CASE_PARAM(pages_of_many_read_before_are_seen_anew,
			 backends_gen_params),
	KUNIT_CASE_PARAM(a_size_of_nothing_does_nothing, backends_gen_params),
	KUNIT_CASE_PARAM(refuses_a_range, args_gen_params),
	KUNIT_CASE(refuses_a_vma_of_others),
	KUNIT_CASE(refuses_memory_that_is_no_pfn_mapping),
	KUNIT_CASE(does_not_delegate_what_it_can_do_itself),
	KUNIT_CASE(says_what_it_may_not_delegate),
	KUNIT_CASE(goes_over_vmas_and_holes_with_one_flush),
	KUNIT_CASE(goes_over_vmas_by_the_kernel),
	KUNIT_CASE(steps_over_vmas_of_others_and_says_so),
	KUNIT_CASE_PARAM(no_details_are_flags_of_nothing, backends_gen_params),
	KUNIT_CASE(a_marker_is_left_to_the_kernel),
	KUNIT_CASE(an_entry_of_the_kernels_is_left_to_it),
	KUNIT_CASE(nothing_found_is_nothing_flushed),
	KUNIT_CASE(nothing_found_is_flushed_if_another_flush_is_pending),
	KUNIT_CASE_PARAM(every_announcement_is_taken_back, backends_gen_params),
	{}
};

FX_SUITE(zap, cases);
