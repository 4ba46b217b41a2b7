// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: their entries, and the records that say where these are.
 */
#include <linux/mm.h>

#include "fixture.h"

#ifdef CONFIG_MMU_NOTIFIER
#include "../mm_ext/gmap.h"
#include "../mm_ext/pgtable.h"

#define SHIFT		16
#define SEGMENT		BIT(SHIFT)

/* A window of two tables: it begins in the middle of one. */
#define SIZE		(2 * PMD_SIZE)

struct case_data {
	struct mmext_gmap *g;
	struct mmext_gmap_view *view;
	unsigned long parent;
	unsigned long window;
};

static int window_mmap(struct fx *f, struct vm_area_struct *vma)
{
	return mmext_gmap_mmap((struct mmext_gmap_view *)f->data, vma);
}

/* Map SIZE bytes of anonymous memory, a space onto it, and a window onto that. */
static bool set_up(struct fx *f, struct case_data *c)
{
	struct kunit *test = f->test;

	if (!fx_use_native(f))
		return false;
	c->parent = vm_mmap(NULL, f->base, SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
	KUNIT_ASSERT_EQ(test, c->parent, f->base);
	c->g = mmext_gmap_create(f->mm, SIZE - 1, SHIFT, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(c->g));
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(c->g, c->parent, 0, SIZE),
			0);
	c->view = mmext_gmap_view(c->g);
	f->data = (unsigned long)c->view;
	f->mmap = window_mmap;
	c->window = f->base + PUD_SIZE + PMD_SIZE / 2;
	fx_map_at(f, c->window, SIZE >> PAGE_SHIFT, 0);
	return true;
}

static void tear_down(struct fx *f, struct case_data *c)
{
	struct kunit *test = f->test;

	fx_unmap(f, c->window, SIZE >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, mmext_live_records(), 0L);
	mmext_gmap_free(c->g);
}

static struct mmext_gmap_info info(struct case_data *c)
{
	struct mmext_gmap_info i;

	mmext_gmap_info(c->g, &i);
	return i;
}

static unsigned long entries(struct fx *f, struct case_data *c)
{
	return fx_entries(f, c->window, SIZE >> PAGE_SHIFT);
}

static u64 frame_of(u64 entry)
{
	return entry >> 8;
}

FX_CASE(a_load_makes_a_clean_read_only_entry)
{
	struct case_data c;
	u64 val, entry;

	if (!set_up(f, &c))
		return;
	KUNIT_ASSERT_EQ(test, fx_put(c.parent, 4711), 0);
	KUNIT_ASSERT_EQ(test, fx_get(c.window, &val), 0);
	KUNIT_EXPECT_EQ(test, val, 4711ULL);
	entry = fx_entry(f, c.window);
	KUNIT_EXPECT_EQ(test, frame_of(entry),
			frame_of(fx_entry(f, c.parent)));
	KUNIT_EXPECT_EQ(test, entry, FX_RO(frame_of(entry)));
	/* a store makes it writable and dirty, in place */
	KUNIT_ASSERT_EQ(test, fx_put(c.window, 4712), 0);
	KUNIT_EXPECT_EQ(test, fx_entry(f, c.window), FX_RWD(frame_of(entry)));
	KUNIT_ASSERT_EQ(test, fx_get(c.parent, &val), 0);
	KUNIT_EXPECT_EQ(test, val, 4712ULL);
	KUNIT_EXPECT_EQ(test, entries(f, &c), 1UL);
	tear_down(f, &c);
}

FX_CASE(a_load_takes_along_what_the_parent_has)
{
	struct case_data c;
	unsigned int i;
	u64 val;

	if (!set_up(f, &c))
		return;
	for (i = 2; i < 20; i += 2)
		KUNIT_ASSERT_EQ(test, fx_put(c.parent + i * PAGE_SIZE, i), 0);
	KUNIT_ASSERT_EQ(test, fx_get(c.window + 4 * PAGE_SIZE, &val), 0);
	KUNIT_EXPECT_EQ(test, val, 4ULL);
	/* 2, 4, ... 14, of the aligned 16 */
	KUNIT_EXPECT_EQ(test, entries(f, &c), 7UL);
	KUNIT_EXPECT_EQ(test, info(&c).inserted, 7ULL);
	FX_EXPECT_NONE(f, c.window + PAGE_SIZE, 1);
	FX_EXPECT_NONE(f, c.window + 16 * PAGE_SIZE, 1);
	tear_down(f, &c);
}

FX_CASE(the_zero_page_is_never_shown)
{
	struct case_data c;
	u64 val = 1;

	if (!set_up(f, &c))
		return;
	KUNIT_ASSERT_EQ(test, fx_get(c.window, &val), 0);
	KUNIT_EXPECT_EQ(test, val, 0ULL);
	KUNIT_EXPECT_FALSE(test, is_zero_pfn(frame_of(fx_entry(f, c.window))));
	/* and goes when the parent has a page of its own */
	KUNIT_ASSERT_EQ(test, fx_put(c.parent, 5), 0);
	FX_EXPECT_NONE(f, c.window, 1);
	KUNIT_ASSERT_EQ(test, fx_get(c.window, &val), 0);
	KUNIT_EXPECT_EQ(test, val, 5ULL);
	tear_down(f, &c);
}

FX_CASE(a_record_is_of_one_table)
{
	unsigned long i, nr = SIZE >> PAGE_SHIFT;
	struct case_data c;

	if (!set_up(f, &c))
		return;
	KUNIT_EXPECT_EQ(test, info(&c).records, 0UL);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, fx_put(c.window + i * PAGE_SIZE, i), 0);
	/* two whole ones and a half, on either side */
	KUNIT_EXPECT_EQ(test, info(&c).records, 3UL);
	KUNIT_EXPECT_EQ(test, entries(f, &c), nr);

	/* what the parent takes away leaves the windows, and records stay */
	vm_munmap(c.parent + PMD_SIZE / 2 - PAGE_SIZE, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, info(&c).records, 3UL);
	FX_EXPECT_NONE(f, c.window + PMD_SIZE / 2 - PAGE_SIZE, 2);
	tear_down(f, &c);
}

FX_CASE(what_a_window_loses_is_dropped_with_its_record)
{
	unsigned long i, nr = SIZE >> PAGE_SHIFT;
	struct case_data c;

	if (!set_up(f, &c))
		return;
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, fx_put(c.window + i * PAGE_SIZE, i), 0);
	/* one page, and the record of its table goes whole */
	fx_unmap(f, c.window + PMD_SIZE / 2, 1);
	KUNIT_EXPECT_EQ(test, info(&c).records, 2UL);
	KUNIT_EXPECT_EQ(test, entries(f, &c), nr - PTRS_PER_PTE);
	/* and comes back with the next access */
	KUNIT_ASSERT_EQ(test, fx_put(c.window + PMD_SIZE, 1), 0);
	KUNIT_EXPECT_EQ(test, info(&c).records, 3UL);
	KUNIT_EXPECT_EQ(test, fx_put(c.window + PMD_SIZE / 2, 1), -EFAULT);
	tear_down(f, &c);
}

FX_CASE(unmapped_segments_leave_the_window_and_others_stay)
{
	struct case_data c;
	unsigned long i;

	if (!set_up(f, &c))
		return;
	for (i = 0; i < 4; i++)
		KUNIT_ASSERT_EQ(test, fx_put(c.window + i * SEGMENT, i), 0);
	KUNIT_ASSERT_EQ(test, mmext_gmap_unmap_segment(c.g, SEGMENT, SEGMENT),
			0);
	KUNIT_EXPECT_EQ(test, entries(f, &c), 3UL);
	FX_EXPECT_NONE(f, c.window + SEGMENT, 1);
	KUNIT_EXPECT_EQ(test, fx_put(c.window + SEGMENT, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, mmext_gmap_unlink(f->mm, NULL, c.parent), 1UL);
	FX_EXPECT_NONE(f, c.window, 1);
	KUNIT_EXPECT_EQ(test, fx_put(c.window, 1), 0);
	tear_down(f, &c);
}

FX_CASE(a_name_goes_after_the_flush_that_is_due)
{
	struct case_data c;

	if (!set_up(f, &c))
		return;
	KUNIT_ASSERT_EQ(test, fx_put(c.window, 1), 0);
	mmext_gmap_lock(c.g);
	KUNIT_EXPECT_EQ(test, __mmext_gmap_unlink_by_vmaddr(c.g, c.parent), 1);
	KUNIT_EXPECT_PTR_EQ(test, c.g->due.mm, f->mm);
	KUNIT_EXPECT_EQ(test, __mmext_gmap_unmap_by_gaddr(c.g, 0), 0);
	KUNIT_EXPECT_NULL(test, c.g->due.mm);
	mmext_gmap_unlock(c.g);
	tear_down(f, &c);
}

FX_CASE(a_mark_is_what_an_entry_tells)
{
	unsigned long marks[BITS_TO_LONGS(MMEXT_GMAP_BLOCK_PAGES)];
	struct case_data c;
	u64 entry;

	if (!set_up(f, &c))
		return;
	KUNIT_ASSERT_EQ(test, fx_put(c.window, 1), 0);
	KUNIT_ASSERT_EQ(test, fx_put(c.window + PAGE_SIZE, 1), 0);
	KUNIT_EXPECT_GT(test, mmext_gmap_dirty_start(c.g, 0, 8), 0L);
	/* writable, but clean */
	entry = fx_entry(f, c.window);
	KUNIT_EXPECT_EQ(test, entry, FX_RW(frame_of(entry)));
	KUNIT_ASSERT_EQ(test, fx_put(c.window, 2), 0);
	KUNIT_EXPECT_EQ(test, fx_entry(f, c.window), FX_RWD(frame_of(entry)));
	/* and it goes on to tell, until it is asked to forget */
	mmext_gmap_dirty_get(c.g, 0, 8, marks, NULL, NULL, false);
	KUNIT_EXPECT_EQ(test, marks[0], 1UL);
	KUNIT_EXPECT_EQ(test, fx_entry(f, c.window), FX_RWD(frame_of(entry)));

	KUNIT_EXPECT_EQ(test, mmext_gmap_dirty_get(c.g, 0, 8, marks, NULL, NULL,
						   true), 8UL);
	KUNIT_EXPECT_EQ(test, marks[0], 1UL);
	KUNIT_EXPECT_EQ(test, fx_entry(f, c.window), FX_RW(frame_of(entry)));
	mmext_gmap_dirty_get(c.g, 0, 8, marks, NULL, NULL, true);
	KUNIT_EXPECT_EQ(test, marks[0], 0UL);
	KUNIT_ASSERT_EQ(test, fx_put(c.window + PAGE_SIZE, 3), 0);
	mmext_gmap_dirty_get(c.g, 0, 8, marks, NULL, NULL, false);
	KUNIT_EXPECT_EQ(test, marks[0], 2UL);
	mmext_gmap_dirty_stop(c.g, 0, 8);
	mmext_gmap_dirty_get(c.g, 0, 8, marks, NULL, NULL, false);
	KUNIT_EXPECT_EQ(test, marks[0], 0UL);
	tear_down(f, &c);
}

FX_CASE(age_is_of_what_is_gone_as_well)
{
	unsigned long young[BITS_TO_LONGS(MMEXT_GMAP_BLOCK_PAGES)];
	struct case_data c;

	if (!set_up(f, &c))
		return;
	KUNIT_ASSERT_EQ(test, fx_put(c.window, 1), 0);
	KUNIT_ASSERT_EQ(test, fx_put(c.window + 2 * PAGE_SIZE, 1), 0);
	vm_munmap(c.parent, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, mmext_gmap_age(c.g, 0, 64, young), 64UL);
	KUNIT_EXPECT_EQ(test, young[0], 5UL);
	mmext_gmap_age(c.g, 0, 64, young);
	KUNIT_EXPECT_EQ(test, young[0], 0UL);
	KUNIT_ASSERT_EQ(test, fx_put(c.window + 2 * PAGE_SIZE, 2), 0);
	mmext_gmap_age(c.g, 0, 64, young);
	KUNIT_EXPECT_EQ(test, young[0], 4UL);
	tear_down(f, &c);
}

FX_CASE(a_view_shows_what_is_enabled)
{
	struct mmext_gmap_view view;
	struct case_data c;
	struct mmext_gmap *g;
	unsigned long addr;
	u64 val;

	if (!set_up(f, &c))
		return;
	g = mmext_gmap_create(f->mm, SIZE - 1, SHIFT, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(g));
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, c.parent + SEGMENT, 0,
						     SEGMENT), 0);
	mmext_gmap_view_init(&view);
	f->data = (unsigned long)&view;
	addr = c.window + SIZE;
	fx_map_at(f, addr, SEGMENT >> PAGE_SHIFT, 0);
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), -EFAULT);

	KUNIT_ASSERT_EQ(test, fx_put(c.parent, 1), 0);
	KUNIT_ASSERT_EQ(test, fx_put(c.parent + SEGMENT, 2), 0);
	KUNIT_EXPECT_EQ(test, mmext_gmap_enable(&view, c.g), 0);
	KUNIT_ASSERT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, 1ULL);
	KUNIT_ASSERT_EQ(test, fx_get(c.window, &val), 0);
	KUNIT_EXPECT_EQ(test, mmext_gmap_enable(&view, g), 0);
	FX_EXPECT_NONE(f, addr, 1);
	KUNIT_EXPECT_NE(test, fx_entry(f, c.window), FX_NONE);
	KUNIT_ASSERT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, 2ULL);
	KUNIT_EXPECT_EQ(test, mmext_gmap_disable(&view), 0);
	KUNIT_EXPECT_EQ(test, mmext_gmap_disable(&view), 0);
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), -EFAULT);

	fx_unmap(f, addr, SEGMENT >> PAGE_SHIFT);
	mmext_gmap_free(g);
	tear_down(f, &c);
}

FX_CASE(a_removed_space_shows_nothing)
{
	struct case_data c;
	u64 val;

	if (!set_up(f, &c))
		return;
	KUNIT_ASSERT_EQ(test, fx_put(c.window, 1), 0);
	mmext_gmap_remove(c.g);
	KUNIT_EXPECT_EQ(test, mmext_live_records(), 0L);
	FX_EXPECT_NONE(f, c.window, 1);
	KUNIT_EXPECT_EQ(test, fx_get(c.window, &val), -EFAULT);
	KUNIT_EXPECT_EQ(test, mmext_gmap_fault(c.g, 0, 0), -ESRCH);
	tear_down(f, &c);
}

/* Each allocation of a window's first fault fails in turn. */
FX_CASE(without_memory_a_fault_leaves_no_record)
{
	struct case_data c;
	unsigned int n;
	bool failed;
	int err;

	if (!fx_injects(test) || !set_up(f, &c))
		return;

	KUNIT_ASSERT_EQ(test, fx_put(c.parent, 1), 0);
	for (n = 1; n < 100; n++) {
		fx_fail_nth(n);
		err = fx_put(c.window, 2);
		failed = fx_fail_end();
		if (err) {
			KUNIT_EXPECT_EQ(test, info(&c).records, 0UL);
			KUNIT_EXPECT_EQ(test, entries(f, &c), 0UL);
		} else if (failed) {
			/* by a second attempt that may wait */
			fx_unmap(f, c.window, SIZE >> PAGE_SHIFT);
			fx_map_at(f, c.window, SIZE >> PAGE_SHIFT, 0);
		} else {
			break;
		}
	}
	/* the table, the record, and what is said of its pages */
	KUNIT_EXPECT_GT(test, n, 3U);
	tear_down(f, &c);
}

#ifdef CONFIG_PER_VMA_LOCK
/*
 * What the core does of a fault in a window under the lock of its VMA, and with the
 * mmap lock taken by somebody else.
 */
static vm_fault_t fault_beside_writer(struct fx *f, struct case_data *c,
				      unsigned long addr, bool writer)
{
	struct kunit *test = f->test;
	struct vm_area_struct *vma = lock_vma_under_rcu(f->mm, addr);
	struct vm_fault vmf = {
		.vma = vma,
		.address = addr,
		.real_address = addr,
		.pgoff = (addr - c->window) >> PAGE_SHIFT,
		.flags = FAULT_FLAG_DEFAULT | FAULT_FLAG_USER |
			 FAULT_FLAG_VMA_LOCK,
	};
	vm_fault_t ret;

	KUNIT_ASSERT_NOT_NULL(test, vma);
	vmf.pmd = mmext_find_pmd(f->mm, addr);
	if (writer)
		KUNIT_EXPECT_TRUE(test, down_write_trylock(&f->mm->mmap_lock));
	ret = vma->vm_ops->fault(&vmf);
	if (writer)
		up_write(&f->mm->mmap_lock);
	if (!(ret & VM_FAULT_RETRY))
		vma_end_read(vma);
	/* who changes mappings waits for nobody */
	mmap_write_lock(f->mm);
	vma = vma_lookup(f->mm, addr);
	vma_start_write(vma);
	mmap_write_unlock(f->mm);
	return ret;
}

static vm_fault_t fault_under_vma_lock(struct fx *f, struct case_data *c,
				       unsigned long addr)
{
	return fault_beside_writer(f, c, addr, false);
}

FX_CASE(under_the_vma_s_lock_it_maps_what_is_there)
{
	struct case_data c;
	unsigned long addr;

	if (!set_up(f, &c))
		return;
	KUNIT_ASSERT_EQ(test, fx_put(c.parent, 1), 0);
	KUNIT_ASSERT_EQ(test, fx_put(c.parent + 20 * PAGE_SIZE, 2), 0);
	/* no record yet, and no table */
	KUNIT_EXPECT_EQ(test, fault_under_vma_lock(f, &c, c.window),
			(vm_fault_t)VM_FAULT_RETRY);
	KUNIT_EXPECT_EQ(test, entries(f, &c), 0UL);
	KUNIT_ASSERT_EQ(test, fx_put(c.window, 1), 0);

	addr = c.window + 20 * PAGE_SIZE;
	FX_EXPECT_NONE(f, addr, 1);
	KUNIT_EXPECT_EQ(test, fault_under_vma_lock(f, &c, addr),
			(vm_fault_t)VM_FAULT_NOPAGE);
	KUNIT_EXPECT_EQ(test, frame_of(fx_entry(f, addr)),
			frame_of(fx_entry(f, c.parent + 20 * PAGE_SIZE)));
	KUNIT_EXPECT_EQ(test, entries(f, &c), 2UL);
	tear_down(f, &c);
}

FX_CASE(under_the_vma_s_lock_nobody_is_waited_for)
{
	struct case_data c;
	unsigned long addr;

	if (!set_up(f, &c))
		return;
	KUNIT_ASSERT_EQ(test, fx_put(c.parent, 1), 0);
	KUNIT_ASSERT_EQ(test, fx_put(c.parent + 20 * PAGE_SIZE, 1), 0);
	KUNIT_ASSERT_EQ(test, fx_put(c.window, 1), 0);
	addr = c.window + 20 * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, fault_beside_writer(f, &c, addr, true),
			(vm_fault_t)VM_FAULT_RETRY);
	FX_EXPECT_NONE(f, addr, 1);
	/* the parent has no page, or no memory, or has gone */
	addr = c.window + 40 * PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, fault_under_vma_lock(f, &c, addr),
			(vm_fault_t)VM_FAULT_RETRY);
	KUNIT_ASSERT_EQ(test, vm_munmap(c.parent + 40 * PAGE_SIZE, PAGE_SIZE),
			0);
	KUNIT_EXPECT_EQ(test, fault_under_vma_lock(f, &c, addr),
			(vm_fault_t)VM_FAULT_RETRY);
	FX_EXPECT_NONE(f, addr, 1);
	mmext_gmap_remove(c.g);
	KUNIT_EXPECT_EQ(test, fault_under_vma_lock(f, &c, c.window),
			(vm_fault_t)VM_FAULT_SIGBUS);
	tear_down(f, &c);
}
#endif /* CONFIG_PER_VMA_LOCK */

static struct kunit_case cases[] = {
	KUNIT_CASE(a_load_makes_a_clean_read_only_entry),
	KUNIT_CASE(a_load_takes_along_what_the_parent_has),
	KUNIT_CASE(the_zero_page_is_never_shown),
	KUNIT_CASE(a_record_is_of_one_table),
	KUNIT_CASE(what_a_window_loses_is_dropped_with_its_record),
	KUNIT_CASE(unmapped_segments_leave_the_window_and_others_stay),
	KUNIT_CASE(a_name_goes_after_the_flush_that_is_due),
	KUNIT_CASE(a_mark_is_what_an_entry_tells),
	KUNIT_CASE(age_is_of_what_is_gone_as_well),
	KUNIT_CASE(a_view_shows_what_is_enabled),
	KUNIT_CASE(a_removed_space_shows_nothing),
	KUNIT_CASE(without_memory_a_fault_leaves_no_record),
#ifdef CONFIG_PER_VMA_LOCK
	KUNIT_CASE(under_the_vma_s_lock_it_maps_what_is_there),
	KUNIT_CASE(under_the_vma_s_lock_nobody_is_waited_for),
#endif
	{}
};
#else
FX_CASE(needs_mmu_notifiers)
{
	kunit_skip(test, "a kernel without MMU notifiers");
}

static struct kunit_case cases[] = {
	KUNIT_CASE(needs_mmu_notifiers),
	{}
};
#endif /* CONFIG_MMU_NOTIFIER */

FX_SUITE(gmap_window, cases);
