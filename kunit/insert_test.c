// SPDX-License-Identifier: GPL-2.0
/*
 * Putting one page frame in.
 */
#include "fixture.h"

FX_CASE(puts_in_a_frame)
{
	unsigned long addr = fx_map(f, 4);

	KUNIT_EXPECT_EQ(test, fx_insert(f, addr + PAGE_SIZE, f->pfn + 9),
			FX_NOPAGE);
	FX_EXPECT_NONE(f, addr, 1);
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RO(f->pfn + 9));
	FX_EXPECT_NONE(f, addr + 2 * PAGE_SIZE, 2);
	FX_EXPECT_COUNT(f, inserted, 1);
	FX_EXPECT_COUNT(f, retries, 0);
}

FX_CASE(the_frame_is_what_a_program_reads)
{
	unsigned long addr = fx_map(f, 1);
	u64 val = 0;

	KUNIT_EXPECT_EQ(test, fx_insert(f, addr, f->pfn + 9), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(9));
	KUNIT_EXPECT_EQ(test, f->faults, 0U);
}

FX_CASE(takes_no_reference_and_counts_no_rss)
{
	unsigned long addr = fx_map(f, 1);
	int i;

	KUNIT_EXPECT_EQ(test, fx_insert_rw(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_frames(f), 0L);
	for (i = 0; i < NR_MM_COUNTERS; i++)
		KUNIT_EXPECT_EQ(test, fx_rss(f->mm, i), f->home.rss[i]);
}

FX_CASE(puts_in_the_first_and_the_last_page)
{
	unsigned long addr = fx_map(f, 4);

	KUNIT_EXPECT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_insert(f, addr + 3 * PAGE_SIZE, f->pfn + 3),
			FX_NOPAGE);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
	FX_EXPECT_NONE(f, addr + PAGE_SIZE, 2);
	FX_EXPECT_ENTRY(f, addr + 3 * PAGE_SIZE, FX_RO(f->pfn + 3));
}

FX_CASE(any_address_of_a_page_will_do)
{
	unsigned long addr = fx_map(f, 2);

	KUNIT_EXPECT_EQ(test, fx_insert(f, addr + PAGE_SIZE - 1, f->pfn),
			FX_NOPAGE);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
	FX_EXPECT_NONE(f, addr + PAGE_SIZE, 1);
}

FX_CASE(refuses_what_is_not_in_the_vma)
{
	unsigned long addr = f->base + 4 * PAGE_SIZE, at;
	struct vm_area_struct *vma;

	fx_map_at(f, addr, 4, 0);
	vma = fx_lock(f, addr);
	for (at = addr - PAGE_SIZE; at <= addr + 4 * PAGE_SIZE;
	     at += 5 * PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, FX_SIGBUS,
				FX_VMF(mmext_vmf_insert_pfn(vma, at, f->pfn)));
	KUNIT_EXPECT_EQ(test, FX_SIGBUS,
			FX_VMF(mmext_vmf_insert_pfn(vma, addr - 1, f->pfn)));
	fx_unlock(f);
	FX_EXPECT_NONE(f, f->base, 12);
	KUNIT_EXPECT_EQ(test, fx_tables(f), 0L);
}

FX_CASE(refuses_a_vma_of_others)
{
	unsigned long addr = fx_map_foreign(f, f->base, 1);

	KUNIT_EXPECT_EQ(test, fx_insert(f, addr, f->pfn + 1), FX_SIGBUS);
	FX_EXPECT_COUNT(f, inserted, 0);
	KUNIT_EXPECT_EQ(test, fx_entry(f, addr) >> 8, (u64)f->pfn);
}

FX_CASE(refuses_a_frame_that_there_cannot_be)
{
	unsigned long last = iomem_resource.end >> PAGE_SHIFT;
	unsigned long addr = fx_map(f, 1);

	KUNIT_EXPECT_EQ(test, fx_insert(f, addr, last + 1), FX_SIGBUS);
	KUNIT_EXPECT_EQ(test, fx_insert(f, addr, ULONG_MAX), FX_SIGBUS);
	FX_EXPECT_NONE(f, addr, 1);
	KUNIT_EXPECT_EQ(test, fx_tables(f), 0L);
}

FX_CASE(an_entry_that_is_there_stays)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_EXPECT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_insert(f, addr, f->pfn + 1), FX_NOPAGE);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
	KUNIT_EXPECT_EQ(test, fx_insert_rw(f, addr, f->pfn), FX_NOPAGE);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
	FX_EXPECT_COUNT(f, inserted, 1);
}

FX_CASE(a_marker_is_left_to_the_kernel)
{
	unsigned long addr = fx_map(f, 2);

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	fx_plant(f, addr + PAGE_SIZE, fx_marker());
	KUNIT_EXPECT_EQ(test, fx_insert(f, addr + PAGE_SIZE, f->pfn),
			FX_SIGBUS);
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_MARKER);
	fx_plant(f, addr + PAGE_SIZE, __pte(0));
}

FX_CASE(no_frame_goes_in_during_an_invalidation)
{
	unsigned long addr = fx_map(f, 1);

	mmext_invalidate_begin(&f->map);
	KUNIT_EXPECT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	FX_EXPECT_NONE(f, addr, 1);
	FX_EXPECT_COUNT(f, inserted, 0);
	FX_EXPECT_COUNT(f, retries, 1);
	mmext_invalidate_end(&f->map);

	KUNIT_EXPECT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
}

FX_CASE(a_writable_entry_is_clean)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_EXPECT_EQ(test, fx_insert_rw(f, addr, f->pfn), FX_NOPAGE);
	FX_EXPECT_ENTRY(f, addr, FX_RW(f->pfn));
}

FX_CASE(a_dirty_read_only_protection_makes_a_clean_entry)
{
	unsigned long addr = fx_map(f, 1);
	struct vm_area_struct *vma = fx_lock(f, addr);
	pte_t pte = pte_mkdirty(pfn_pte(0, vma->vm_page_prot));

	KUNIT_EXPECT_EQ(test, FX_NOPAGE,
			FX_VMF(mmext_vmf_insert_pfn_prot(vma, addr, f->pfn,
							 __pgprot(pte_val(pte)))));
	fx_unlock(f);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
}

FX_CASE(a_dirty_writable_protection_makes_a_dirty_entry)
{
	unsigned long addr = fx_map(f, 1);
	struct vm_area_struct *vma = fx_lock(f, addr);
	pte_t pte = pte_mkdirty(pfn_pte(0, mmext_vma_prot(vma, true)));

	KUNIT_EXPECT_EQ(test, FX_NOPAGE,
			FX_VMF(mmext_vmf_insert_pfn_prot(vma, addr, f->pfn,
							 __pgprot(pte_val(pte)))));
	fx_unlock(f);
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
}

FX_CASE(a_read_only_mapping_gets_no_writable_entry)
{
	fx_map_read_only(f, 1);
	KUNIT_EXPECT_EQ(test, fx_insert_rw(f, f->base, f->pfn), FX_NOPAGE);
	FX_EXPECT_ENTRY(f, f->base, FX_RO(f->pfn));
	KUNIT_EXPECT_EQ(test, fx_put(f->base, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, *fx_frame(f, 0), FX_MARK(0));
}

FX_CASE(a_table_is_made_for_the_first_and_used_for_the_next)
{
	unsigned long border = f->base + PMD_SIZE;
	long tables;

	fx_map_at(f, border - 2 * PAGE_SIZE, 4, 0);
	KUNIT_EXPECT_EQ(test, fx_insert(f, border - 2 * PAGE_SIZE, f->pfn),
			FX_NOPAGE);
	tables = fx_tables(f);
	KUNIT_EXPECT_EQ(test, fx_insert(f, border - PAGE_SIZE, f->pfn + 1),
			FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables);
	KUNIT_EXPECT_EQ(test, fx_insert(f, border, f->pfn + 2), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables + 1);
	FX_EXPECT_ENTRY(f, border - PAGE_SIZE, FX_RO(f->pfn + 1));
	FX_EXPECT_ENTRY(f, border, FX_RO(f->pfn + 2));
	FX_EXPECT_NONE(f, border + PAGE_SIZE, 1);
}

FX_CASE(goes_in_on_both_sides_of_an_upper_border)
{
	unsigned long border = f->base + PUD_SIZE;
	long tables;

	fx_map_at(f, border - PAGE_SIZE, 2, 0);
	KUNIT_EXPECT_EQ(test, fx_insert(f, border - PAGE_SIZE, f->pfn),
			FX_NOPAGE);
	tables = fx_tables(f);
	KUNIT_EXPECT_EQ(test, fx_insert(f, border, f->pfn + 1), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables + 2);
	FX_EXPECT_ENTRY(f, border - PAGE_SIZE, FX_RO(f->pfn));
	FX_EXPECT_ENTRY(f, border, FX_RO(f->pfn + 1));
}

FX_CASE(entries_outlive_the_split_of_their_vma)
{
	unsigned long addr = fx_map(f, 5);
	unsigned int i;

	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, fx_insert(f, addr + i * PAGE_SIZE,
						f->pfn + i), FX_NOPAGE);
	fx_unmap(f, addr + 2 * PAGE_SIZE, 1);
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RO(f->pfn + 1));
	FX_EXPECT_NONE(f, addr + 2 * PAGE_SIZE, 1);
	FX_EXPECT_ENTRY(f, addr + 3 * PAGE_SIZE, FX_RO(f->pfn + 3));
}

FX_CASE(goes_in_behind_the_split_of_a_vma)
{
	unsigned long addr = fx_map(f, 5);

	fx_unmap(f, addr + 2 * PAGE_SIZE, 1);
	KUNIT_EXPECT_EQ(test, fx_insert(f, addr + 3 * PAGE_SIZE, f->pfn + 3),
			FX_NOPAGE);
	FX_EXPECT_ENTRY(f, addr + 3 * PAGE_SIZE, FX_RO(f->pfn + 3));
	FX_EXPECT_NONE(f, addr, 3);
}

FX_CASE(each_address_space_has_its_own_entry)
{
	unsigned long addr = fx_map(f, 1), other = fx_map_other(f, 1);

	KUNIT_EXPECT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	fx_enter_other(f);
	FX_EXPECT_NONE(f, other, 1);
	KUNIT_EXPECT_EQ(test, fx_insert_rw(f, other, f->pfn), FX_NOPAGE);
	FX_EXPECT_ENTRY(f, other, FX_RW(f->pfn));
	fx_leave_other(f);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
}

/* From faults */

FX_CASE(a_read_fault_puts_in_a_clean_entry)
{
	unsigned long addr = fx_map(f, 2) + PAGE_SIZE;
	u64 val = 0;

	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(1));
	FX_EXPECT_ENTRY(f, addr, FX_RW(f->pfn + 1));
	KUNIT_EXPECT_EQ(test, f->faults, 1U);
	KUNIT_EXPECT_EQ(test, f->mkwrites, 0U);
	FX_EXPECT_NONE(f, addr - PAGE_SIZE, 1);
}

FX_CASE(a_write_fault_puts_in_a_dirty_entry)
{
	unsigned long addr = fx_map(f, 1);

	KUNIT_EXPECT_EQ(test, fx_put(addr, 7), 0);
	KUNIT_EXPECT_EQ(test, *fx_frame(f, 0), 7ULL);
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
	KUNIT_EXPECT_EQ(test, f->faults, 1U);
	KUNIT_EXPECT_EQ(test, f->mkwrites, 0U);
	*fx_frame(f, 0) = FX_MARK(0);
}

FX_CASE(the_last_page_faults)
{
	unsigned long addr = fx_map(f, FX_PAGES);
	u64 val = 0;

	addr += (FX_PAGES - 1) * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, fx_get(addr + PAGE_SIZE - sizeof(val), &val), 0);
	KUNIT_EXPECT_EQ(test, val, 0ULL);
	FX_EXPECT_ENTRY(f, addr, FX_RW(f->pfn + FX_PAGES - 1));
}

static vm_fault_t fault_read_only(struct fx *f, struct vm_fault *vmf)
{
	unsigned long seq;

	KUNIT_EXPECT_TRUE(f->test, mmext_read_begin(&f->map, &seq));
	return mmext_fault_insert_pfn(vmf, f->pfn + vmf->pgoff,
				      mmext_vma_prot(vmf->vma, false), seq);
}

FX_CASE(a_write_fault_puts_in_no_dirty_read_only_entry)
{
	unsigned long addr = fx_map(f, 1);

	f->fault = fault_read_only;
	/* that one, and then the one that the store still makes */
	KUNIT_EXPECT_EQ(test, fx_put(addr, FX_MARK(0)), 0);
	KUNIT_EXPECT_EQ(test, f->faults, 1U);
	KUNIT_EXPECT_EQ(test, f->mkwrites, 1U);
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
}

static vm_fault_t fault_overtaken(struct fx *f, struct vm_fault *vmf)
{
	pgprot_t prot = mmext_vma_prot(vmf->vma, true);
	unsigned long seq;

	KUNIT_EXPECT_TRUE(f->test, mmext_read_begin(&f->map, &seq));
	mmext_invalidate_begin(&f->map);
	if (f->data)
		mmext_invalidate_end(&f->map);
	KUNIT_EXPECT_EQ(f->test, 0U,
			FX_VMF(mmext_fault_insert_pfn(vmf, f->pfn, prot, seq)));
	if (!f->data)
		mmext_invalidate_end(&f->map);
	KUNIT_EXPECT_EQ(f->test, fx_entry_locked(f, vmf->address), FX_NONE);
	return fx_fault(f, vmf);
}

FX_CASE(a_fault_that_an_invalidation_runs_into_looks_again)
{
	unsigned long addr = fx_map(f, 1);
	u64 val = 0;

	f->fault = fault_overtaken;
	f->data = false;
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(0));
	FX_EXPECT_COUNT(f, retries, 1);
	FX_EXPECT_COUNT(f, inserted, 1);
}

FX_CASE(a_fault_that_an_invalidation_overtook_looks_again)
{
	unsigned long addr = fx_map(f, 1);
	u64 val = 0;

	f->fault = fault_overtaken;
	f->data = true;
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(0));
	FX_EXPECT_COUNT(f, retries, 1);
	FX_EXPECT_COUNT(f, inserted, 1);
}

static vm_fault_t fault_impossible(struct fx *f, struct vm_fault *vmf)
{
	vm_fault_t ret = mmext_fault_insert_pfn(vmf, ULONG_MAX,
						vmf->vma->vm_page_prot, 0);

	KUNIT_EXPECT_EQ(f->test, FX_VMF(ret), FX_SIGBUS);
	return ret;
}

FX_CASE(a_fault_refuses_a_frame_that_there_cannot_be)
{
	unsigned long addr = fx_map(f, 1);
	u64 val;

	f->fault = fault_impossible;
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), -EFAULT);
	/* a copy that fails may try its bytes one by one */
	KUNIT_EXPECT_GE(test, f->faults, 1U);
	FX_EXPECT_NONE(f, addr, 1);
}

static vm_fault_t fault_foreign(struct fx *f, struct vm_fault *vmf)
{
	vm_fault_t ret = mmext_fault_insert_pfn(vmf, f->pfn,
						vmf->vma->vm_page_prot, 0);

	KUNIT_EXPECT_EQ(f->test, FX_VMF(ret), FX_SIGBUS);
	return ret;
}

FX_CASE(a_fault_refuses_a_vma_of_others)
{
	unsigned long addr = f->base;
	u64 val;

	f->mmap = fx_mmap_plain;
	f->fault = fault_foreign;
	fx_map_at(f, addr, 1, 0);
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), -EFAULT);
	/* a copy that fails may try its bytes one by one */
	KUNIT_EXPECT_GE(test, f->faults, 1U);
	FX_EXPECT_NONE(f, addr, 1);
}

FX_CASE(a_fault_takes_one_table)
{
	unsigned long addr = fx_map(f, FX_PAGES);
	long tables;
	u64 val;

	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	tables = fx_tables(f);
	KUNIT_EXPECT_EQ(test, fx_get(addr + PAGE_SIZE, &val), 0);
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables);
	KUNIT_EXPECT_EQ(test, fx_get(addr + PMD_SIZE, &val), 0);
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables + 1);
}

/* Several at once */

/**
 * struct around - what the next fault hands over, of the object's frames
 * @addr: first address
 * @nr: pages
 * @hole: page without a frame
 * @read_only: page that can't be stored to, if there is a bitmap
 * @bitmap: there is one
 * @overtaken: an invalidation comes first
 * @ret: what the function said
 */
struct around {
	unsigned long addr;
	unsigned int nr;
	unsigned int hole;
	unsigned int read_only;
	bool bitmap;
	bool overtaken;
	unsigned int ret;
};

static vm_fault_t fault_around(struct fx *f, struct vm_fault *vmf)
{
	struct around *a = (struct around *)f->data;
	DECLARE_BITMAP(read_only, MMEXT_AROUND_MAX + 1) = {};
	unsigned long pfns[MMEXT_AROUND_MAX + 1];
	unsigned long seq;
	unsigned int i;

	KUNIT_EXPECT_TRUE(f->test, mmext_read_begin(&f->map, &seq));
	for (i = 0; i < ARRAY_SIZE(pfns); i++)
		pfns[i] = f->pfn + i;
	pfns[a->hole] = MMEXT_NO_PFN;
	__set_bit(a->read_only, read_only);
	if (a->overtaken) {
		mmext_invalidate_begin(&f->map);
		mmext_invalidate_end(&f->map);
	}
	a->ret = FX_VMF(mmext_fault_insert_pfns(vmf, a->addr, a->nr, pfns,
						a->bitmap ? read_only : NULL,
						seq));
	if (a->ret == FX_NOPAGE)
		return VM_FAULT_NOPAGE;
	return a->ret ? VM_FAULT_SIGBUS : fx_fault(f, vmf);
}

/* The entry, but for young, which depends on the hardware. */
#define EXPECT_AROUND(_addr, _want) \
	KUNIT_EXPECT_EQ(test, fx_entry(f, _addr) & ~FX_YOUNG, \
			(u64)(_want) & ~FX_YOUNG)

FX_CASE(a_fault_puts_in_what_is_around_it)
{
	unsigned long addr = fx_map(f, 8);
	struct around a = { .addr = addr + PAGE_SIZE, .nr = 5, .hole = 3 };
	u64 val;

	f->fault = fault_around;
	f->data = (unsigned long)&a;
	KUNIT_EXPECT_EQ(test, fx_get(addr + 3 * PAGE_SIZE, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(2));
	FX_EXPECT_NONE(f, addr, 1);
	EXPECT_AROUND(addr + PAGE_SIZE, FX_RW(f->pfn));
	EXPECT_AROUND(addr + 2 * PAGE_SIZE, FX_RW(f->pfn + 1));
	FX_EXPECT_ENTRY(f, addr + 3 * PAGE_SIZE, FX_RW(f->pfn + 2));
	FX_EXPECT_NONE(f, addr + 4 * PAGE_SIZE, 1);
	EXPECT_AROUND(addr + 5 * PAGE_SIZE, FX_RW(f->pfn + 4));
	FX_EXPECT_NONE(f, addr + 6 * PAGE_SIZE, 2);
	FX_EXPECT_COUNT(f, inserted, 4);
	KUNIT_EXPECT_EQ(test, f->faults, 1U);
}

FX_CASE(only_the_page_of_the_fault_is_dirty)
{
	unsigned long addr = fx_map(f, 4);
	struct around a = {
		.addr = addr, .nr = 4, .hole = MMEXT_AROUND_MAX,
		.bitmap = true, .read_only = 2,
	};

	f->fault = fault_around;
	f->data = (unsigned long)&a;
	KUNIT_EXPECT_EQ(test, fx_put(addr + PAGE_SIZE, FX_MARK(1)), 0);
	EXPECT_AROUND(addr, FX_RW(f->pfn));
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RWD(f->pfn + 1));
	EXPECT_AROUND(addr + 2 * PAGE_SIZE, FX_RO(f->pfn + 2));
	EXPECT_AROUND(addr + 3 * PAGE_SIZE, FX_RW(f->pfn + 3));
	KUNIT_EXPECT_EQ(test, f->mkwrites, 0U);
}

FX_CASE(what_is_there_around_a_fault_stays)
{
	unsigned long addr = fx_map(f, 4);
	struct around a = { .addr = addr, .nr = 4, .hole = MMEXT_AROUND_MAX };
	u64 val;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn + 9), FX_NOPAGE);
	fx_plant(f, addr + PAGE_SIZE, fx_marker());
	f->fault = fault_around;
	f->data = (unsigned long)&a;
	KUNIT_EXPECT_EQ(test, fx_get(addr + 2 * PAGE_SIZE, &val), 0);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn + 9));
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_MARKER);
	EXPECT_AROUND(addr + 3 * PAGE_SIZE, FX_RW(f->pfn + 3));
	FX_EXPECT_COUNT(f, inserted, 3);
	fx_plant(f, addr + PAGE_SIZE, __pte(0));
}

FX_CASE(an_invalidation_keeps_all_of_them_out)
{
	unsigned long addr = fx_map(f, 4);
	struct around a = {
		.addr = addr, .nr = 4, .hole = MMEXT_AROUND_MAX,
		.overtaken = true,
	};
	u64 val;

	f->fault = fault_around;
	f->data = (unsigned long)&a;
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, a.ret, 0U);
	FX_EXPECT_COUNT(f, retries, 1);
	/* the one that was looked up again */
	FX_EXPECT_COUNT(f, inserted, 1);
	FX_EXPECT_NONE(f, addr + PAGE_SIZE, 3);
}

FX_CASE(several_refuses_a_wrong_stretch)
{
	unsigned long border = f->base + PMD_SIZE, addr = border - 8 * PAGE_SIZE;
	const struct around wrong[] = {
		/* nothing, too many, and not the page of the fault */
		{ .addr = addr, .nr = 0, .hole = 60 },
		{ .addr = addr, .nr = MMEXT_AROUND_MAX + 1, .hole = 60 },
		{ .addr = addr - PAGE_SIZE, .nr = 1, .hole = 60 },
		{ .addr = addr + PAGE_SIZE, .nr = 2, .hole = 60 },
		/* not of the VMA, of two tables, and not a page */
		{ .addr = addr - PAGE_SIZE, .nr = 4, .hole = 60 },
		{ .addr = addr, .nr = 9, .hole = 60 },
		{ .addr = addr + 1, .nr = 2, .hole = 60 },
		/* no frame for the page of the fault */
		{ .addr = addr, .nr = 4, .hole = 0 },
	};
	struct around a;
	unsigned int i;
	u64 val;

	fx_map_at(f, addr, 128, 0);
	f->fault = fault_around;
	f->data = (unsigned long)&a;
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		a = wrong[i];
		KUNIT_EXPECT_EQ(test, fx_get(addr, &val), -EFAULT);
		KUNIT_EXPECT_EQ_MSG(test, a.ret, FX_SIGBUS, "%u", i);
	}
	FX_EXPECT_NONE(f, addr, 128);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(puts_in_a_frame),
	KUNIT_CASE(the_frame_is_what_a_program_reads),
	KUNIT_CASE(takes_no_reference_and_counts_no_rss),
	KUNIT_CASE(puts_in_the_first_and_the_last_page),
	KUNIT_CASE(any_address_of_a_page_will_do),
	KUNIT_CASE(refuses_what_is_not_in_the_vma),
	KUNIT_CASE(refuses_a_vma_of_others),
	KUNIT_CASE(refuses_a_frame_that_there_cannot_be),
	KUNIT_CASE(an_entry_that_is_there_stays),
	KUNIT_CASE(a_marker_is_left_to_the_kernel),
	KUNIT_CASE(no_frame_goes_in_during_an_invalidation),
	KUNIT_CASE(a_writable_entry_is_clean),
	KUNIT_CASE(a_dirty_read_only_protection_makes_a_clean_entry),
	KUNIT_CASE(a_dirty_writable_protection_makes_a_dirty_entry),
	KUNIT_CASE(a_read_only_mapping_gets_no_writable_entry),
	KUNIT_CASE(a_table_is_made_for_the_first_and_used_for_the_next),
	KUNIT_CASE(goes_in_on_both_sides_of_an_upper_border),
	KUNIT_CASE(entries_outlive_the_split_of_their_vma),
	KUNIT_CASE(goes_in_behind_the_split_of_a_vma),
	KUNIT_CASE(each_address_space_has_its_own_entry),
	KUNIT_CASE(a_read_fault_puts_in_a_clean_entry),
	KUNIT_CASE(a_write_fault_puts_in_a_dirty_entry),
	KUNIT_CASE(the_last_page_faults),
	KUNIT_CASE(a_write_fault_puts_in_no_dirty_read_only_entry),
	KUNIT_CASE(a_fault_that_an_invalidation_runs_into_looks_again),
	KUNIT_CASE(a_fault_that_an_invalidation_overtook_looks_again),
	KUNIT_CASE(a_fault_refuses_a_frame_that_there_cannot_be),
	KUNIT_CASE(a_fault_refuses_a_vma_of_others),
	KUNIT_CASE(a_fault_takes_one_table),
	KUNIT_CASE(a_fault_puts_in_what_is_around_it),
	KUNIT_CASE(only_the_page_of_the_fault_is_dirty),
	KUNIT_CASE(what_is_there_around_a_fault_stays),
	KUNIT_CASE(an_invalidation_keeps_all_of_them_out),
	KUNIT_CASE(several_refuses_a_wrong_stretch),
	{}
};

FX_SUITE(insert, cases);
