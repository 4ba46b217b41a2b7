// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping a range of page frames at once.
 */
#include "fixture.h"

/* Are these the entries of consecutive frames, each with these bits? */
static bool shows(struct fx *f, unsigned long addr, unsigned long pfn,
		  unsigned long nr)
{
	for (; nr; nr--, addr += PAGE_SIZE, pfn++) {
		if (fx_entry(f, addr) != FX_RO(pfn))
			return false;
	}
	return true;
}

FX_CASE(maps_one_page)
{
	unsigned long addr = fx_map(f, 3);

	KUNIT_EXPECT_EQ(test, fx_remap(f, addr + PAGE_SIZE, f->pfn + 5, 1), 0);
	FX_EXPECT_NONE(f, addr, 1);
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RO(f->pfn + 5));
	FX_EXPECT_NONE(f, addr + 2 * PAGE_SIZE, 1);
	FX_EXPECT_COUNT(f, inserted, 1);
}

FX_CASE(maps_the_whole_vma)
{
	unsigned long addr = fx_map(f, FX_PAGES);

	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, FX_PAGES), 0);
	KUNIT_EXPECT_TRUE(test, shows(f, addr, f->pfn, FX_PAGES));
	FX_EXPECT_COUNT(f, inserted, FX_PAGES);
}

FX_CASE(maps_the_first_and_the_last_page)
{
	unsigned long addr = fx_map(f, 4), last = addr + 3 * PAGE_SIZE;

	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 1), 0);
	KUNIT_EXPECT_EQ(test, fx_remap(f, last, f->pfn + 1, 1), 0);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
	FX_EXPECT_NONE(f, addr + PAGE_SIZE, 2);
	FX_EXPECT_ENTRY(f, last, FX_RO(f->pfn + 1));
}

FX_CASE(maps_over_the_end_of_a_table)
{
	unsigned long border = f->base + PMD_SIZE;
	unsigned long addr = border - 3 * PAGE_SIZE;
	long tables;

	fx_map_at(f, addr, 8, 0);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 1), 0);
	tables = fx_tables(f);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr + PAGE_SIZE, f->pfn + 1, 6), 0);
	KUNIT_EXPECT_TRUE(test, shows(f, addr, f->pfn, 7));
	FX_EXPECT_NONE(f, addr + 7 * PAGE_SIZE, 1);
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables + 1);
	FX_EXPECT_COUNT(f, inserted, 7);
}

FX_CASE(maps_over_an_upper_border)
{
	unsigned long border = f->base + PUD_SIZE;
	unsigned long addr = border - 2 * PAGE_SIZE;
	long tables;

	fx_map_at(f, addr, 4, 0);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 1), 0);
	tables = fx_tables(f);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 4), 0);
	KUNIT_EXPECT_TRUE(test, shows(f, addr, f->pfn, 4));
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables + 2);
}

FX_CASE(maps_up_to_the_end_of_a_table_and_no_further)
{
	unsigned long addr = fx_map(f, FX_PAGES);

	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, PTRS_PER_PTE), 0);
	KUNIT_EXPECT_TRUE(test, shows(f, addr, f->pfn, PTRS_PER_PTE));
	FX_EXPECT_NONE(f, addr + PMD_SIZE, 1);
	FX_EXPECT_COUNT(f, inserted, PTRS_PER_PTE);
}

FX_CASE(maps_more_than_two_tables)
{
	/* the middle of one table, all of the next, some of a third */
	unsigned long addr = f->base + PMD_SIZE / 2;
	unsigned long nr = PTRS_PER_PTE / 2 + PTRS_PER_PTE + 7;

	fx_map_at(f, addr, nr, 0);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, nr), 0);
	KUNIT_EXPECT_TRUE(test, shows(f, addr, f->pfn, nr));
	FX_EXPECT_COUNT(f, inserted, nr);
}

FX_CASE(what_is_mapped_is_what_a_program_reads)
{
	unsigned long addr = fx_map(f, 4);
	u64 val = 0;

	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn + 100, 4), 0);
	KUNIT_EXPECT_EQ(test, fx_get(addr + 3 * PAGE_SIZE, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(103));
	KUNIT_EXPECT_EQ(test, f->faults, 0U);
}

FX_CASE(maps_writable_and_clean)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_EXPECT_EQ(test, fx_remap_rw(f, addr, f->pfn, 1), 0);
	FX_EXPECT_ENTRY(f, addr, FX_RW(f->pfn));
	KUNIT_EXPECT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	KUNIT_EXPECT_EQ(test, f->faults + f->mkwrites, 0U);
	/* UML's kernel walks the tables itself, and leaves no trace there */
	if (!IS_ENABLED(CONFIG_UML))
		FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
}

/* Sizes and addresses that are none */

struct args {
	const char *name;
	long addr;		/* bytes from the start of a VMA of 4 pages */
	unsigned long size;
	unsigned long pfn;	/* from the first frame of the object */
	int ret;
	unsigned long entries;
};

#define LAST_PFN	(~0UL)	/* the last there can be */

static const struct args args[] = {
	{ "a byte", 0, 1, 0, 0, 1 },
	{ "a page and a byte", 0, PAGE_SIZE + 1, 0, 0, 2 },
	{ "all but a byte", 0, 4 * PAGE_SIZE - 1, 0, 0, 4 },
	{ "nothing", 0, 0, 0, -EINVAL, 0 },
	{ "a byte too much", 0, 4 * PAGE_SIZE + 1, 0, -EINVAL, 0 },
	{ "a page too much", 0, 5 * PAGE_SIZE, 0, -EINVAL, 0 },
	{ "over the end", 3 * PAGE_SIZE, 2 * PAGE_SIZE, 0, -EINVAL, 0 },
	{ "behind the end", 4 * PAGE_SIZE, PAGE_SIZE, 0, -EINVAL, 0 },
	{ "over the start", -(long)PAGE_SIZE, 2 * PAGE_SIZE, 0, -EINVAL, 0 },
	{ "address not a page's", 8, PAGE_SIZE, 0, -EINVAL, 0 },
	{ "largest size", 0, ULONG_MAX, 0, -EINVAL, 0 },
	{ "size that rounds up to nothing", 0, ULONG_MAX - PAGE_SIZE + 2, 0,
	  -EINVAL, 0 },
	{ "largest size of pages", 0, PAGE_MASK, 0, -EINVAL, 0 },
	{ "size past the end of all", 2 * PAGE_SIZE, -PAGE_SIZE, 0, -EINVAL,
	  0 },
	{ "frames past the last", 0, 2 * PAGE_SIZE, LAST_PFN, -EINVAL, 0 },
};

static void args_name(const struct args *p, char *desc)
{
	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(args, args, args_name);

FX_CASE(sizes_and_addresses)
{
	const struct args *p = test->param_value;
	unsigned long start = f->base + 4 * PAGE_SIZE, pfn = f->pfn + p->pfn;
	struct vm_area_struct *vma;

	if (p->pfn == LAST_PFN)
		pfn = iomem_resource.end >> PAGE_SHIFT;
	fx_map_at(f, start, 4, 0);
	vma = fx_lock(f, start);
	KUNIT_EXPECT_EQ(test, p->ret,
			mmext_remap_pfn_range(vma, start + p->addr, pfn,
					      p->size, vma->vm_page_prot));
	fx_unlock(f);
	KUNIT_EXPECT_EQ(test, fx_entries(f, f->base, 16), p->entries);
	FX_EXPECT_COUNT(f, inserted, p->entries);
}

FX_CASE(a_refusal_makes_no_tables)
{
	unsigned long addr = fx_map(f, 4);

	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 5), -EINVAL);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, ULONG_MAX, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, fx_tables(f), 0L);
}

FX_CASE(a_range_over_two_vmas_is_refused)
{
	unsigned long addr = fx_map(f, 6);

	/* the same file, but not at the next offset */
	fx_map_at(f, addr + 3 * PAGE_SIZE, 3, 100);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 6), -EINVAL);
	FX_EXPECT_NONE(f, addr, 6);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 3), 0);
}

FX_CASE(a_vma_of_others_is_refused)
{
	unsigned long addr = fx_map_foreign(f, f->base, 2);

	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 2), -EINVAL);
	FX_EXPECT_COUNT(f, inserted, 0);
	KUNIT_EXPECT_EQ(test, fx_entries(f, addr, 2), 2UL);
}

/* What is there already */

FX_CASE(entries_of_the_right_frame_are_kept)
{
	unsigned long addr = fx_map(f, 8);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr + 2 * PAGE_SIZE, f->pfn + 2, 3),
			0);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	KUNIT_EXPECT_TRUE(test, shows(f, addr, f->pfn, 8));
	FX_EXPECT_COUNT(f, inserted, 8);
}

FX_CASE(to_map_again_is_to_change_nothing)
{
	unsigned long addr = fx_map(f, 8);

	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	KUNIT_EXPECT_TRUE(test, shows(f, addr, f->pfn, 8));
	FX_EXPECT_COUNT(f, inserted, 8);
	FX_EXPECT_COUNT(f, cleared, 0);
}

FX_CASE(entries_are_made_writable_if_asked)
{
	unsigned long addr = fx_map(f, 2);

	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 2), 0);
	KUNIT_EXPECT_EQ(test, fx_remap_rw(f, addr, f->pfn, 1), 0);
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RO(f->pfn + 1));
}

FX_CASE(entries_are_not_made_read_only)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_EXPECT_EQ(test, fx_remap_rw(f, addr, f->pfn, 1), 0);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 1), 0);
	FX_EXPECT_ENTRY(f, addr, FX_RW(f->pfn));
}

FX_CASE(another_frame_in_the_way_stays)
{
	unsigned long addr = fx_map(f, 8);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr + 5 * PAGE_SIZE, f->pfn + 77),
			FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 8), -EBUSY);
	FX_EXPECT_NONE(f, addr, 5);
	FX_EXPECT_ENTRY(f, addr + 5 * PAGE_SIZE, FX_RO(f->pfn + 77));
	FX_EXPECT_NONE(f, addr + 6 * PAGE_SIZE, 2);
}

FX_CASE(another_frame_in_the_first_page_stays)
{
	unsigned long addr = fx_map(f, 2);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn + 77), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 2), -EBUSY);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn + 77));
	FX_EXPECT_NONE(f, addr + PAGE_SIZE, 1);
	FX_EXPECT_COUNT(f, cleared, 0);
}

FX_CASE(a_failure_in_the_second_table_takes_the_first_back)
{
	unsigned long addr = fx_map(f, FX_PAGES), at = addr + PMD_SIZE;

	if (!fx_use(f, test->param_value))
		return;
	KUNIT_ASSERT_EQ(test, fx_insert(f, at + PAGE_SIZE, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, FX_PAGES), -EBUSY);
	FX_EXPECT_NONE(f, addr, PTRS_PER_PTE + 1);
	FX_EXPECT_ENTRY(f, at + PAGE_SIZE, FX_RO(f->pfn));
	FX_EXPECT_NONE(f, at + 2 * PAGE_SIZE, 8);
}

FX_CASE(a_marker_in_the_way_stays)
{
	unsigned long addr = fx_map(f, 4);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	fx_plant(f, addr + 2 * PAGE_SIZE, fx_marker());
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 4), -EBUSY);
	FX_EXPECT_NONE(f, addr, 2);
	FX_EXPECT_ENTRY(f, addr + 2 * PAGE_SIZE, FX_MARKER);
	FX_EXPECT_NONE(f, addr + 3 * PAGE_SIZE, 1);
	fx_plant(f, addr + 2 * PAGE_SIZE, __pte(0));
}

FX_CASE(nothing_is_mapped_during_an_invalidation)
{
	unsigned long addr = fx_map(f, 4);

	mmext_invalidate_begin(&f->map);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 4), -EAGAIN);
	mmext_invalidate_end(&f->map);
	FX_EXPECT_NONE(f, addr, 4);
	FX_EXPECT_COUNT(f, inserted, 0);
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 4), 0);
}

FX_CASE(a_read_only_mapping_stays_read_only)
{
	fx_map_read_only(f, 2);
	KUNIT_EXPECT_EQ(test, fx_remap_rw(f, f->base, f->pfn, 2), 0);
	KUNIT_EXPECT_TRUE(test, shows(f, f->base, f->pfn, 2));
}

FX_CASE(maps_the_rest_of_a_split_vma)
{
	unsigned long addr = fx_map(f, 8), rest = addr + 4 * PAGE_SIZE;

	fx_unmap(f, addr + 3 * PAGE_SIZE, 1);
	KUNIT_EXPECT_EQ(test, fx_remap(f, rest, f->pfn + 4, 4), 0);
	KUNIT_EXPECT_TRUE(test, shows(f, rest, f->pfn + 4, 4));
	KUNIT_EXPECT_EQ(test, fx_remap(f, addr, f->pfn, 4), -EINVAL);
	FX_EXPECT_NONE(f, addr, 4);
}

static int mmap_populated(struct fx *f, struct vm_area_struct *vma)
{
	int err = fx_mmap(f, vma);

	return err ?: mmext_remap_pfn_range(vma, vma->vm_start, f->pfn,
					    vma->vm_end - vma->vm_start,
					    mmext_vma_prot(vma, false));
}

FX_CASE(maps_from_an_mmap_handler)
{
	unsigned long addr;

	f->mmap = mmap_populated;
	addr = fx_map(f, 600);
	KUNIT_EXPECT_TRUE(test, shows(f, addr, f->pfn, 600));
}

FX_CASE(maps_in_another_address_space)
{
	unsigned long addr = fx_map(f, 4), other = fx_map_other(f, 4);

	fx_enter_other(f);
	KUNIT_EXPECT_EQ(test, fx_remap(f, other, f->pfn, 4), 0);
	KUNIT_EXPECT_TRUE(test, shows(f, other, f->pfn, 4));
	fx_leave_other(f);
	FX_EXPECT_NONE(f, addr, 4);
}

KUNIT_ARRAY_PARAM(backends, fx_backends, fx_backend_name);

static int iomap(struct fx *f, unsigned long addr, unsigned long len)
{
	struct vm_area_struct *vma;
	int ret;

	mmap_write_lock(f->mm);
	vma = find_vma(f->mm, addr);
	ret = mmext_vm_iomap_memory(vma, PFN_PHYS(f->pfn), len);
	mmap_write_unlock(f->mm);
	return ret;
}

FX_CASE(a_physical_range_is_mapped_by_the_offset_of_the_vma)
{
	fx_map_at(f, f->base, 4, 3);
	KUNIT_EXPECT_EQ(test, iomap(f, f->base, 6 * PAGE_SIZE), -EINVAL);
	KUNIT_EXPECT_EQ(test, iomap(f, f->base, 2 * PAGE_SIZE), -EINVAL);
	KUNIT_EXPECT_EQ(test, iomap(f, f->base, 0), -EINVAL);
	FX_EXPECT_NONE(f, f->base, 4);
	KUNIT_EXPECT_EQ(test, iomap(f, f->base, 6 * PAGE_SIZE + 1), 0);
	FX_EXPECT_ENTRY(f, f->base, FX_RO(f->pfn + 3));
	FX_EXPECT_ENTRY(f, f->base + 3 * PAGE_SIZE, FX_RO(f->pfn + 6));
}

/* mmext_remap_pages() of the object's pages from @last on, backwards. */
static int remap_backwards(struct fx *f, unsigned long addr, unsigned long last,
			   unsigned long nr)
{
	struct page **pages;
	unsigned long i;
	int ret;

	pages = kunit_kmalloc_array(f->test, nr, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		pages[i] = pfn_to_page(f->pfn + last - i);
	ret = mmext_remap_pages(fx_lock(f, addr), addr, pages, nr,
				PAGE_READONLY);
	fx_unlock(f);
	return ret;
}

FX_CASE(frames_need_not_follow_each_other)
{
	unsigned long addr = f->base + PMD_SIZE - 3 * PAGE_SIZE, i;

	fx_map_at(f, addr, 8, 0);
	KUNIT_EXPECT_EQ(test, remap_backwards(f, addr, 20, 7), 0);
	for (i = 0; i < 7; i++)
		FX_EXPECT_ENTRY(f, addr + i * PAGE_SIZE,
				FX_RO(f->pfn + 20 - i));
	FX_EXPECT_NONE(f, addr + 7 * PAGE_SIZE, 1);
	FX_EXPECT_COUNT(f, inserted, 7);
	KUNIT_EXPECT_EQ(test, remap_backwards(f, addr, 20, 7), 0);
	FX_EXPECT_COUNT(f, inserted, 7);
}

FX_CASE(another_frame_among_pages_stays)
{
	unsigned long addr = f->base + PMD_SIZE - 3 * PAGE_SIZE;
	unsigned long other = addr + 5 * PAGE_SIZE;

	fx_map_at(f, addr, 8, 0);
	KUNIT_ASSERT_EQ(test, fx_insert(f, other, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, remap_backwards(f, addr, 20, 7), -EBUSY);
	FX_EXPECT_NONE(f, addr, 5);
	FX_EXPECT_ENTRY(f, other, FX_RO(f->pfn));
	FX_EXPECT_NONE(f, addr + 6 * PAGE_SIZE, 2);
}

FX_CASE(pages_that_pass_the_vma_are_refused)
{
	unsigned long addr = fx_map(f, 4);

	KUNIT_EXPECT_EQ(test, remap_backwards(f, addr, 20, 5), -EINVAL);
	KUNIT_EXPECT_EQ(test, remap_backwards(f, addr + PAGE_SIZE, 20, 4),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, remap_backwards(f, addr + 1, 20, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, remap_backwards(f, addr, 20, 0), -EINVAL);
	FX_EXPECT_NONE(f, addr, 4);
}

FX_CASE(no_pages_are_mapped_during_an_invalidation)
{
	unsigned long addr = fx_map(f, 4);

	mmext_invalidate_begin(&f->map);
	KUNIT_EXPECT_EQ(test, remap_backwards(f, addr, 20, 4), -EAGAIN);
	mmext_invalidate_end(&f->map);
	FX_EXPECT_NONE(f, addr, 4);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(a_physical_range_is_mapped_by_the_offset_of_the_vma),
	KUNIT_CASE(maps_one_page),
	KUNIT_CASE(maps_the_whole_vma),
	KUNIT_CASE(maps_the_first_and_the_last_page),
	KUNIT_CASE(maps_over_the_end_of_a_table),
	KUNIT_CASE(maps_over_an_upper_border),
	KUNIT_CASE(maps_up_to_the_end_of_a_table_and_no_further),
	KUNIT_CASE(maps_more_than_two_tables),
	KUNIT_CASE(what_is_mapped_is_what_a_program_reads),
	KUNIT_CASE(maps_writable_and_clean),
	KUNIT_CASE_PARAM(sizes_and_addresses, args_gen_params),
	KUNIT_CASE(a_refusal_makes_no_tables),
	KUNIT_CASE(a_range_over_two_vmas_is_refused),
	KUNIT_CASE(a_vma_of_others_is_refused),
	KUNIT_CASE(entries_of_the_right_frame_are_kept),
	KUNIT_CASE(to_map_again_is_to_change_nothing),
	KUNIT_CASE(entries_are_made_writable_if_asked),
	KUNIT_CASE(entries_are_not_made_read_only),
	KUNIT_CASE(another_frame_in_the_way_stays),
	KUNIT_CASE(another_frame_in_the_first_page_stays),
	KUNIT_CASE_PARAM(a_failure_in_the_second_table_takes_the_first_back,
			 backends_gen_params),
	KUNIT_CASE(a_marker_in_the_way_stays),
	KUNIT_CASE(nothing_is_mapped_during_an_invalidation),
	KUNIT_CASE(a_read_only_mapping_stays_read_only),
	KUNIT_CASE(maps_the_rest_of_a_split_vma),
	KUNIT_CASE(maps_from_an_mmap_handler),
	KUNIT_CASE(maps_in_another_address_space),
	KUNIT_CASE(frames_need_not_follow_each_other),
	KUNIT_CASE(another_frame_among_pages_stays),
	KUNIT_CASE(pages_that_pass_the_vma_are_refused),
	KUNIT_CASE(no_pages_are_mapped_during_an_invalidation),
	{}
};

FX_SUITE(remap, cases);
