// SPDX-License-Identifier: GPL-2.0
/*
 * Walking, locking and allocating page tables.
 */
#include "fixture.h"

/* walk_lock() and at once unlock() */
static bool walk(struct fx *f, unsigned long addr, unsigned long end,
		 struct mmext_walk *w)
{
	bool found;

	mmap_read_lock(f->mm);
	found = mmext_walk_lock(f->mm, addr, end, w);
	if (found)
		mmext_walk_unlock(w);
	mmap_read_unlock(f->mm);
	return found;
}

/* walk_lock_alloc() outside of a fault, and at once unlock() */
static int walk_alloc(struct fx *f, unsigned long addr, struct mmext_walk *w)
{
	int err = mmext_walk_lock_alloc(fx_lock(f, addr), NULL, addr, w);

	if (!err)
		mmext_walk_unlock(w);
	fx_unlock(f);
	return err;
}

FX_CASE(finds_no_table_in_a_new_mapping)
{
	unsigned long addr = fx_map(f, 4);
	struct mmext_walk w;

	KUNIT_EXPECT_FALSE(test, walk(f, addr, addr + PAGE_SIZE, &w));
	KUNIT_EXPECT_FALSE(test, w.leaf);
	KUNIT_EXPECT_EQ(test, w.next, addr + PAGE_SIZE);
}

FX_CASE(finds_the_entry_of_an_address)
{
	unsigned long addr = fx_map(f, 4) + PAGE_SIZE;
	struct mmext_walk w;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn + 3), FX_NOPAGE);
	KUNIT_EXPECT_TRUE(test, walk(f, addr, addr + PAGE_SIZE, &w));
	KUNIT_EXPECT_PTR_EQ(test, w.pte, fx_ptep(f->mm, addr));
	KUNIT_EXPECT_EQ(test, w.next, addr + PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, w.leaf);
}

FX_CASE(finds_an_empty_entry_in_a_table)
{
	unsigned long addr = fx_map(f, 4);
	struct mmext_walk w;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_TRUE(test, walk(f, addr + PAGE_SIZE, addr + 2 * PAGE_SIZE,
				     &w));
	KUNIT_EXPECT_TRUE(test, pte_none(*w.pte));
}

FX_CASE(a_table_answers_up_to_its_end)
{
	unsigned long addr = fx_map(f, FX_PAGES);
	struct mmext_walk w;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_TRUE(test, walk(f, addr + PAGE_SIZE, addr + 2 * PMD_SIZE,
				     &w));
	KUNIT_EXPECT_EQ(test, w.next, addr + PMD_SIZE);
}

FX_CASE(a_table_answers_no_further_than_asked)
{
	unsigned long addr = fx_map(f, FX_PAGES);
	struct mmext_walk w;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_TRUE(test, walk(f, addr, addr + 3 * PAGE_SIZE, &w));
	KUNIT_EXPECT_EQ(test, w.next, addr + 3 * PAGE_SIZE);
}

FX_CASE(a_missing_table_is_a_hole_of_its_size)
{
	unsigned long addr = fx_map(f, FX_PAGES);
	struct mmext_walk w;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_FALSE(test, walk(f, addr + PMD_SIZE + PAGE_SIZE,
				      addr + 8 * PMD_SIZE, &w));
	KUNIT_EXPECT_EQ(test, w.next, addr + 2 * PMD_SIZE);
}

FX_CASE(a_missing_upper_table_is_a_hole_of_its_size)
{
	unsigned long addr = fx_map(f, 1);
	struct mmext_walk w;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_FALSE(test, walk(f, addr + PUD_SIZE + PAGE_SIZE,
				      addr + 3 * PUD_SIZE, &w));
	KUNIT_EXPECT_EQ(test, w.next, addr + 2 * PUD_SIZE);
}

FX_CASE(steps_over_tables_and_holes_to_the_end)
{
	unsigned long addr = f->base, end = addr + FX_SPAN, at;
	unsigned long tables = 0, holes = 0;
	struct mmext_walk w;

	/* tables in blocks 0 and 2, and the first of the second GiB */
	fx_map_at(f, addr, 1, 0);
	fx_map_at(f, addr + 2 * PMD_SIZE, 1, 0);
	fx_map_at(f, addr + PUD_SIZE, 1, 0);
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr + 2 * PMD_SIZE, f->pfn),
			FX_NOPAGE);
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr + PUD_SIZE, f->pfn), FX_NOPAGE);

	for (at = addr; at < end; at = w.next) {
		if (walk(f, at, end, &w))
			tables++;
		else
			holes++;
	}
	KUNIT_EXPECT_EQ(test, at, end);
	KUNIT_EXPECT_EQ(test, tables, 3UL);
	KUNIT_EXPECT_EQ(test, holes, 2 * (unsigned long)PTRS_PER_PMD - 3);
}

FX_CASE(ends_at_the_end_of_the_address_space)
{
	struct mmext_walk w;

	/* whatever there may be */
	walk(f, TASK_SIZE - PAGE_SIZE, TASK_SIZE, &w);
	KUNIT_EXPECT_EQ(test, w.next, (unsigned long)TASK_SIZE);
}

FX_CASE(finds_nothing_where_nothing_is_mapped)
{
	struct mmext_walk w;

	KUNIT_EXPECT_FALSE(test, walk(f, f->base, f->base + PAGE_SIZE, &w));
	KUNIT_EXPECT_EQ(test, fx_tables(f), 0L);
}

#ifndef MMEXT_TLB_NONE
FX_CASE(peeks_at_what_is_there)
{
	unsigned long addr = fx_map(f, 2);
	pte_t pte;

	KUNIT_EXPECT_FALSE(test, mmext_peek_pte(f->mm, addr, &pte));
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_ASSERT_TRUE(test, mmext_peek_pte(f->mm, addr, &pte));
	KUNIT_EXPECT_EQ(test, pte_pfn(pte), f->pfn);
	KUNIT_ASSERT_TRUE(test, mmext_peek_pte(f->mm, addr + PAGE_SIZE, &pte));
	KUNIT_EXPECT_TRUE(test, pte_none(pte));
	/* there is no table, and there are no upper ones; nor is there a VMA */
	KUNIT_EXPECT_FALSE(test, mmext_peek_pte(f->mm, addr + PMD_SIZE, &pte));
	KUNIT_EXPECT_FALSE(test, mmext_peek_pte(f->mm, addr + PUD_SIZE, &pte));
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
}
#endif

FX_CASE(holds_the_tables_lock)
{
	unsigned long addr = fx_map(f, 1);
	struct mmext_walk w;
	bool held;

	if (!IS_ENABLED(CONFIG_LOCKDEP)) {
		kunit_mark_skipped(test, "no lockdep");
		return;
	}
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_TRUE(test, mmext_walk_lock(f->mm, addr, addr + PAGE_SIZE,
						&w));
	held = lockdep_is_held(w.ptl);
	mmext_walk_unlock(&w);
	KUNIT_EXPECT_TRUE(test, held);
	KUNIT_EXPECT_FALSE(test, lockdep_is_held(w.ptl));
	mmap_read_unlock(f->mm);
}

FX_CASE(holds_what_keeps_the_table)
{
	unsigned long addr = fx_map(f, 1);
	struct mmext_walk w;
	bool held;

	if (!IS_ENABLED(CONFIG_PROVE_RCU)) {
		kunit_mark_skipped(test, "RCU is not told");
		return;
	}
	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_TRUE(test, mmext_walk_lock(f->mm, addr, addr + PAGE_SIZE,
						&w));
	held = rcu_read_lock_held();
	mmext_walk_unlock(&w);
	KUNIT_EXPECT_EQ(test, held, (bool)COMPAT_TABLES_GO);
	KUNIT_EXPECT_FALSE(test, rcu_read_lock_held());
	mmap_read_unlock(f->mm);
}

FX_CASE(holds_nothing_if_it_finds_nothing)
{
	unsigned long addr = fx_map(f, 1);
	struct mmext_walk w;

	mmap_read_lock(f->mm);
	KUNIT_EXPECT_FALSE(test, mmext_walk_lock(f->mm, addr, addr + PAGE_SIZE,
						 &w));
	if (IS_ENABLED(CONFIG_PROVE_RCU))
		KUNIT_EXPECT_FALSE(test, rcu_read_lock_held());
	KUNIT_EXPECT_EQ(test, preempt_count(), 0);
	mmap_read_unlock(f->mm);
}

FX_CASE(makes_a_table)
{
	unsigned long addr = fx_map(f, FX_PAGES);
	struct mmext_walk w;
	long tables;

	KUNIT_EXPECT_EQ(test, walk_alloc(f, addr, &w), 0);
	KUNIT_EXPECT_PTR_EQ(test, w.pte, fx_ptep(f->mm, addr));
	KUNIT_EXPECT_EQ(test, w.next, addr + PAGE_SIZE);
	tables = fx_tables(f);
	KUNIT_EXPECT_GE(test, tables, 2L);

	/* the levels above are there now */
	KUNIT_EXPECT_EQ(test, walk_alloc(f, addr + PMD_SIZE, &w), 0);
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables + 1);
}

FX_CASE(makes_a_table_once)
{
	unsigned long addr = fx_map(f, 2);
	struct mmext_walk w, again;
	long tables;

	KUNIT_EXPECT_EQ(test, walk_alloc(f, addr, &w), 0);
	tables = fx_tables(f);
	KUNIT_EXPECT_EQ(test, walk_alloc(f, addr, &again), 0);
	KUNIT_EXPECT_PTR_EQ(test, again.pte, w.pte);
	KUNIT_EXPECT_EQ(test, walk_alloc(f, addr + PAGE_SIZE, &again), 0);
	KUNIT_EXPECT_PTR_EQ(test, again.pte, w.pte + 1);
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables);
}

FX_CASE(makes_tables_on_both_sides_of_an_upper_border)
{
	unsigned long border = f->base + PUD_SIZE;
	struct mmext_walk w;
	long tables;

	fx_map_at(f, border - PAGE_SIZE, 2, 0);
	KUNIT_EXPECT_EQ(test, walk_alloc(f, border - PAGE_SIZE, &w), 0);
	tables = fx_tables(f);
	KUNIT_EXPECT_EQ(test, walk_alloc(f, border, &w), 0);
	KUNIT_EXPECT_EQ(test, fx_tables(f), tables + 2);
}

static vm_fault_t fault_takes_prealloc(struct fx *f, struct vm_fault *vmf)
{
	long tables = fx_tables(f);
	struct mmext_walk w;

	KUNIT_EXPECT_FALSE(f->test, !vmf->prealloc_pte);
	KUNIT_EXPECT_EQ(f->test, 0,
			mmext_walk_lock_alloc(vmf->vma, vmf, vmf->address, &w));
	mmext_walk_unlock(&w);
	KUNIT_EXPECT_TRUE(f->test, !vmf->prealloc_pte);
	KUNIT_EXPECT_EQ(f->test, fx_tables(f), tables + 1);
	return fx_fault(f, vmf);
}

FX_CASE(a_fault_takes_the_table_at_hand)
{
	unsigned long addr = fx_map(f, 1);
	u64 val = 0;

	f->fault = fault_takes_prealloc;
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(0));
	KUNIT_EXPECT_EQ(test, f->faults, 1U);
}

static vm_fault_t fault_without_prealloc(struct fx *f, struct vm_fault *vmf)
{
	pgtable_t table = vmf->prealloc_pte;
	long tables = fx_tables(f);
	struct mmext_walk w;

	vmf->prealloc_pte = NULL;
	KUNIT_EXPECT_EQ(f->test, -EAGAIN,
			mmext_walk_lock_alloc(vmf->vma, vmf, vmf->address, &w));
	KUNIT_EXPECT_EQ(f->test, fx_tables(f), tables);
	vmf->prealloc_pte = table;
	return fx_fault(f, vmf);
}

FX_CASE(a_fault_without_a_table_at_hand_tries_again)
{
	unsigned long addr = fx_map(f, 1);
	u64 val = 0;

	f->fault = fault_without_prealloc;
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(0));
}

static vm_fault_t fault_finds_table(struct fx *f, struct vm_fault *vmf)
{
	struct mmext_walk w;
	long tables;

	/* somebody else was faster */
	KUNIT_EXPECT_EQ(f->test, 0,
			mmext_walk_lock_alloc(vmf->vma, NULL, vmf->address,
					      &w));
	mmext_walk_unlock(&w);
	tables = fx_tables(f);
	KUNIT_EXPECT_EQ(f->test, 0,
			mmext_walk_lock_alloc(vmf->vma, vmf, vmf->address, &w));
	mmext_walk_unlock(&w);
	KUNIT_EXPECT_FALSE(f->test, !vmf->prealloc_pte);
	KUNIT_EXPECT_EQ(f->test, fx_tables(f), tables);
	return fx_fault(f, vmf);
}

FX_CASE(a_fault_leaves_the_table_at_hand_if_there_is_one)
{
	unsigned long addr = fx_map(f, 1);
	u64 val;

	f->fault = fault_finds_table;
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* Where the entry of the PMD level of an address is. */
static pmd_t *pmd_of(struct mm_struct *mm, unsigned long addr)
{
	p4d_t *p4d = p4d_offset(pgd_offset(mm, addr), addr);

	return pmd_offset(pud_offset(p4d, addr), addr);
}

FX_CASE(a_leaf_is_no_table)
{
	unsigned long addr = fx_map(f, FX_PAGES), leaf = addr + PMD_SIZE;
	struct mmext_walk w;
	pmd_t *pmd;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	pmd = pmd_of(f->mm, leaf);
	KUNIT_ASSERT_TRUE(test, pmd_none(*pmd));
	set_pmd(pmd, pmd_mkhuge(pfn_pmd(ALIGN_DOWN(f->pfn, PTRS_PER_PTE),
					PAGE_READONLY)));

	KUNIT_EXPECT_FALSE(test, walk(f, leaf, leaf + 2 * PMD_SIZE, &w));
	KUNIT_EXPECT_TRUE(test, w.leaf);
	KUNIT_EXPECT_EQ(test, w.next, leaf + PMD_SIZE);
	KUNIT_EXPECT_EQ(test, walk_alloc(f, leaf, &w), -EBUSY);
	KUNIT_EXPECT_EQ(test, fx_insert(f, leaf, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_TRUE(test, pmd_leaf(*pmd));

	set_pmd(pmd, __pmd(0));
}
#else
static void a_leaf_is_no_table(struct kunit *test)
{
	kunit_skip(test, "no leaves");
}
#endif

/* Frames */

struct frames {
	const char *name;
	bool from_last;
	unsigned long pfn;
	unsigned long nr;
	bool possible;
};

static const struct frames frames[] = {
	{ "first", false, 0, 1, true },
	{ "last", true, 0, 1, true },
	{ "one after the last", true, 1, 1, false },
	{ "last and one more", true, 0, 2, false },
	{ "largest number", false, ULONG_MAX, 1, false },
	{ "last and more than fit in a word", true, 0, ULONG_MAX, false },
	{ "all numbers", false, 0, ULONG_MAX, false },
	{ "largest number and more", false, ULONG_MAX, ULONG_MAX, false },
};

static void frames_name(const struct frames *p, char *desc)
{
	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(frames, frames, frames_name);

FX_CASE(frames_that_there_can_be)
{
	const struct frames *p = test->param_value;
	unsigned long last = iomem_resource.end >> PAGE_SHIFT;

	KUNIT_EXPECT_EQ(test, p->possible,
			mmext_pfns_possible(p->pfn + (p->from_last ? last : 0),
					    p->nr));
}

FX_CASE(all_frames_may_come_together)
{
	unsigned long last = iomem_resource.end >> PAGE_SHIFT;

	KUNIT_EXPECT_TRUE(test, mmext_pfns_possible(0, last + 1));
	KUNIT_EXPECT_FALSE(test, mmext_pfns_possible(0, last + 2));
	KUNIT_EXPECT_FALSE(test, mmext_pfns_possible(1, last + 1));
}

/* Entries */

static pgprot_t prot_of(pte_t pte)
{
	return __pgprot(pte_val(pte));
}

FX_CASE(a_read_only_entry_is_made_clean)
{
	pte_t dirty = pte_mkdirty(pte_wrprotect(pfn_pte(0, PAGE_SHARED)));
	pte_t pte = mmext_mk_pte(f->pfn, prot_of(dirty));

	KUNIT_EXPECT_TRUE(test, pte_present(pte));
	KUNIT_EXPECT_FALSE(test, pte_write(pte));
	KUNIT_EXPECT_FALSE(test, pte_dirty(pte));
	KUNIT_EXPECT_EQ(test, pte_pfn(pte), f->pfn);
}

FX_CASE(a_writable_entry_stays_as_dirty_as_asked)
{
	pte_t clean = pte_mkclean(pte_mkwrite_novma(pfn_pte(0, PAGE_SHARED)));
	pgprot_t dirty = prot_of(pte_mkdirty(clean));

	KUNIT_EXPECT_TRUE(test, pte_write(mmext_mk_pte(f->pfn, dirty)));
	KUNIT_EXPECT_TRUE(test, pte_dirty(mmext_mk_pte(f->pfn, dirty)));
	KUNIT_EXPECT_FALSE(test, pte_dirty(mmext_mk_pte(f->pfn,
							prot_of(clean))));
}

FX_CASE(entries_are_special)
{
	if (!IS_ENABLED(CONFIG_ARCH_HAS_PTE_SPECIAL)) {
		kunit_mark_skipped(test, "no bit for it in this architecture");
		return;
	}
	KUNIT_EXPECT_TRUE(test, pte_special(mmext_mk_pte(f->pfn,
							 PAGE_READONLY)));
}

FX_CASE(knows_its_own_entry_for_a_frame)
{
	pte_t pte = mmext_mk_pte(f->pfn, PAGE_READONLY);

	KUNIT_EXPECT_TRUE(test, mmext_pte_ours(pte));
	KUNIT_EXPECT_TRUE(test, mmext_pte_is(pte, f->pfn));
	KUNIT_EXPECT_FALSE(test, mmext_pte_is(pte, f->pfn + 1));
}

FX_CASE(nothing_and_a_marker_are_not_its_own)
{
	pte_t marker = fx_marker();

	KUNIT_EXPECT_FALSE(test, mmext_pte_ours(__pte(0)));
	KUNIT_EXPECT_FALSE(test, mmext_pte_is(__pte(0), 0));
	KUNIT_EXPECT_FALSE(test, mmext_pte_ours(marker));
	KUNIT_EXPECT_FALSE(test, mmext_pte_is(marker, pte_pfn(marker)));
}

FX_CASE(an_entry_of_the_kernels_is_not_its_own)
{
	pte_t pte = pfn_pte(f->pfn, PAGE_READONLY);

	if (!IS_ENABLED(CONFIG_ARCH_HAS_PTE_SPECIAL)) {
		kunit_mark_skipped(test, "no bit for it in this architecture");
		return;
	}
	KUNIT_EXPECT_FALSE(test, mmext_pte_ours(pte));
	KUNIT_EXPECT_FALSE(test, mmext_pte_is(pte, f->pfn));
}

FX_CASE(to_relax_is_to_make_writable_dirty_and_young)
{
	unsigned long addr = fx_map(f, 1);
	pte_t old = mmext_mk_pte(f->pfn, PAGE_READONLY);
	struct vm_area_struct *vma;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	fx_plant(f, addr, pte_mkold(old));
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn) & ~FX_YOUNG);
	vma = fx_lock(f, addr);
	mmext_pte_relax(vma, addr, fx_ptep(f->mm, addr));
	fx_unlock(f);
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
}

static struct kunit_case cases[] = {
	KUNIT_CASE(finds_no_table_in_a_new_mapping),
	KUNIT_CASE(finds_the_entry_of_an_address),
	KUNIT_CASE(finds_an_empty_entry_in_a_table),
	KUNIT_CASE(a_table_answers_up_to_its_end),
	KUNIT_CASE(a_table_answers_no_further_than_asked),
	KUNIT_CASE(a_missing_table_is_a_hole_of_its_size),
	KUNIT_CASE(a_missing_upper_table_is_a_hole_of_its_size),
	KUNIT_CASE(steps_over_tables_and_holes_to_the_end),
	KUNIT_CASE(ends_at_the_end_of_the_address_space),
	KUNIT_CASE(finds_nothing_where_nothing_is_mapped),
#ifndef MMEXT_TLB_NONE
	KUNIT_CASE(peeks_at_what_is_there),
#endif
	KUNIT_CASE(holds_the_tables_lock),
	KUNIT_CASE(holds_what_keeps_the_table),
	KUNIT_CASE(holds_nothing_if_it_finds_nothing),
	KUNIT_CASE(makes_a_table),
	KUNIT_CASE(makes_a_table_once),
	KUNIT_CASE(makes_tables_on_both_sides_of_an_upper_border),
	KUNIT_CASE(a_fault_takes_the_table_at_hand),
	KUNIT_CASE(a_fault_without_a_table_at_hand_tries_again),
	KUNIT_CASE(a_fault_leaves_the_table_at_hand_if_there_is_one),
	KUNIT_CASE(a_leaf_is_no_table),
	KUNIT_CASE_PARAM(frames_that_there_can_be, frames_gen_params),
	KUNIT_CASE(all_frames_may_come_together),
	KUNIT_CASE(a_read_only_entry_is_made_clean),
	KUNIT_CASE(a_writable_entry_stays_as_dirty_as_asked),
	KUNIT_CASE(entries_are_special),
	KUNIT_CASE(knows_its_own_entry_for_a_frame),
	KUNIT_CASE(nothing_and_a_marker_are_not_its_own),
	KUNIT_CASE(an_entry_of_the_kernels_is_not_its_own),
	KUNIT_CASE(to_relax_is_to_make_writable_dirty_and_young),
	{}
};

FX_SUITE(pgtable, cases);
