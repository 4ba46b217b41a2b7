// SPDX-License-Identifier: GPL-2.0
/*
 * Objects, which VMAs are the engine's, invalidation, and taking a range out of
 * every address space.
 */
#include "fixture.h"

/* Objects */

FX_CASE(an_object_begins_with_nothing)
{
	struct mmext_mapping m;
	struct mmext_stats s;
	unsigned long seq;

	KUNIT_ASSERT_EQ(test, mmext_mapping_init(&m), 0);
	mmext_mapping_stats(&m, &s);
	KUNIT_EXPECT_EQ(test, s.inserted, 0ULL);
	KUNIT_EXPECT_EQ(test, s.cleared, 0ULL);
	KUNIT_EXPECT_EQ(test, s.flushes, 0ULL);
	KUNIT_EXPECT_EQ(test, s.delegated, 0ULL);
	KUNIT_EXPECT_EQ(test, s.retries, 0ULL);
	KUNIT_EXPECT_TRUE(test, mmext_read_begin(&m, &seq));
	mmext_mapping_destroy(&m);
	KUNIT_EXPECT_PTR_EQ(test, m.stats, (struct mmext_stats __percpu *)NULL);
}

FX_CASE(counters_are_added_up_over_the_cpus)
{
	struct mmext_stats *s;
	unsigned int cpu, n = 0;

	for_each_possible_cpu(cpu) {
		s = per_cpu_ptr(f->map.stats, cpu);
		s->inserted = 1;
		s->cleared = 2;
		s->flushes = 3;
		s->delegated = 4;
		s->retries = 5;
		n++;
	}
	FX_EXPECT_COUNT(f, inserted, 1 * n);
	FX_EXPECT_COUNT(f, cleared, 2 * n);
	FX_EXPECT_COUNT(f, flushes, 3 * n);
	FX_EXPECT_COUNT(f, delegated, 4 * n);
	FX_EXPECT_COUNT(f, retries, 5 * n);
}

/* The engine's VMAs */

FX_CASE(init_makes_a_vma_the_engines)
{
	unsigned long addr = fx_map(f, 1);
	struct vm_area_struct *vma = fx_lock(f, addr);
	unsigned long flags = vma->vm_flags;
	struct mmext_mapping *m = mmext_vma_mapping(vma);

	fx_unlock(f);
	KUNIT_EXPECT_PTR_EQ(test, m, &f->map);
	KUNIT_EXPECT_EQ(test, flags & (VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP),
			(unsigned long)(VM_PFNMAP | VM_DONTEXPAND |
					VM_DONTDUMP));
	KUNIT_EXPECT_EQ(test, flags & (VM_IO | VM_MIXEDMAP), 0UL);
	KUNIT_EXPECT_EQ(test, mmext_live_vmas(), f->live_vmas + 1);
}

FX_CASE(init_takes_a_shared_read_only_mapping)
{
	fx_map_read_only(f, 1);
	KUNIT_EXPECT_EQ(test, mmext_live_vmas(), f->live_vmas + 1);
}

static vm_fault_t never(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct no_open = {
	.close = mmext_vma_close,
	.pfn_mkwrite = never,
};

static const struct vm_operations_struct no_close = {
	.open = mmext_vma_open,
	.pfn_mkwrite = never,
};

static const struct vm_operations_struct no_mkwrite = {
	MMEXT_VM_OPS,
};

struct refusal {
	const char *name;
	const struct vm_operations_struct *ops;
	unsigned long vm_flags;		/* set by the handler */
	unsigned long prot;
	unsigned long map_flags;
	bool no_object;
	bool dead_object;
};

#define RW	(PROT_READ | PROT_WRITE)

static const struct refusal refusals[] = {
	{ "no object", &fx_vm_ops, 0, RW, MAP_SHARED, .no_object = true },
	{ "destroyed object", &fx_vm_ops, 0, RW, MAP_SHARED,
	  .dead_object = true },
	{ "no operations", NULL, 0, RW, MAP_SHARED },
	{ "open of another's", &no_open, 0, RW, MAP_SHARED },
	{ "close of another's", &no_close, 0, RW, MAP_SHARED },
	{ "no pfn_mkwrite", &no_mkwrite, 0, RW, MAP_SHARED },
	{ "private", &fx_vm_ops, 0, RW, MAP_PRIVATE },
	{ "private and read-only", &fx_vm_ops, 0, PROT_READ, MAP_PRIVATE },
	{ "mixed", &fx_vm_ops, VM_MIXEDMAP, RW, MAP_SHARED },
	{ "hugetlb", &fx_vm_ops, VM_HUGETLB, RW, MAP_SHARED },
};

static void refusal_name(const struct refusal *p, char *desc)
{
	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(refusals, refusals, refusal_name);

static int mmap_refused(struct fx *f, struct vm_area_struct *vma)
{
	const struct refusal *p = f->test->param_value;
	struct mmext_mapping dead = {}, *m = &f->map;
	unsigned long flags;
	int err;

	if (p->no_object)
		m = NULL;
	if (p->dead_object)
		m = &dead;
	vma->vm_ops = p->ops;
	vm_flags_set(vma, p->vm_flags);
	flags = vma->vm_flags;

	err = mmext_vma_init(vma, m);
	KUNIT_EXPECT_EQ(f->test, err, -EINVAL);
	KUNIT_EXPECT_EQ(f->test, (unsigned long)vma->vm_flags, flags);
	KUNIT_EXPECT_PTR_EQ(f->test, vma->vm_private_data, NULL);
	KUNIT_EXPECT_EQ(f->test, mmext_live_vmas(), f->live_vmas);

	/* the kernel takes a VMA apart whose handler failed: as it was, then */
	vm_flags_clear(vma, p->vm_flags);
	vma->vm_ops = NULL;
	return err ?: -EBADE;
}

FX_CASE(init_refuses)
{
	const struct refusal *p = test->param_value;

	f->mmap = mmap_refused;
	KUNIT_EXPECT_EQ(test, -EINVAL, fx_try_map(f, f->base, 1, p->prot,
						  p->map_flags, 0));
}

FX_CASE(a_vma_of_others_is_not_the_engines)
{
	unsigned long addr = fx_map_foreign(f, f->base, 1);
	struct vm_area_struct *vma = fx_lock(f, addr);

	/* though it has the object in vm_private_data */
	KUNIT_EXPECT_PTR_EQ(test, vma->vm_private_data, (void *)&f->map);
	KUNIT_EXPECT_PTR_EQ(test, mmext_vma_mapping(vma),
			    (struct mmext_mapping *)NULL);
	fx_unlock(f);
}

FX_CASE(anonymous_memory_is_not_the_engines)
{
	struct vm_area_struct *vma;

	KUNIT_ASSERT_EQ(test, f->base,
			vm_mmap(NULL, f->base, PAGE_SIZE, PROT_READ,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0));
	vma = fx_lock(f, f->base);
	KUNIT_EXPECT_PTR_EQ(test, mmext_vma_mapping(vma),
			    (struct mmext_mapping *)NULL);
	fx_unlock(f);
}

FX_CASE(both_halves_of_a_split_vma_are_the_engines)
{
	unsigned long addr = fx_map(f, 8);

	fx_unmap(f, addr + 3 * PAGE_SIZE, 2);
	KUNIT_EXPECT_EQ(test, mmext_live_vmas(), f->live_vmas + 2);
	KUNIT_EXPECT_PTR_EQ(test, mmext_vma_mapping(fx_lock(f, addr)), &f->map);
	fx_unlock(f);
	KUNIT_EXPECT_PTR_EQ(test, &f->map,
			    mmext_vma_mapping(fx_lock(f, addr +
						      5 * PAGE_SIZE)));
	fx_unlock(f);

	fx_unmap(f, addr, 8);
	KUNIT_EXPECT_EQ(test, mmext_live_vmas(), f->live_vmas);
}

/* Protections */

static pte_t prot_pte(struct fx *f, unsigned long addr, bool write)
{
	pte_t pte = pfn_pte(f->pfn, mmext_vma_prot(fx_lock(f, addr), write));

	fx_unlock(f);
	return pte;
}

FX_CASE(the_protection_of_a_vma_makes_the_first_store_a_fault)
{
	unsigned long addr = fx_map(f, 1);
	struct vm_area_struct *vma = fx_lock(f, addr);
	unsigned long prot = pgprot_val(vma->vm_page_prot);

	KUNIT_EXPECT_EQ(test, (unsigned long)
			pgprot_val(mmext_vma_prot(vma, false)), prot);
	fx_unlock(f);
	KUNIT_EXPECT_FALSE(test, pte_write(prot_pte(f, addr, false)));
}

FX_CASE(the_writable_protection_is_clean_and_young)
{
	pte_t pte = prot_pte(f, fx_map(f, 1), true);

	KUNIT_EXPECT_TRUE(test, pte_present(pte));
	KUNIT_EXPECT_TRUE(test, pte_write(pte));
	KUNIT_EXPECT_FALSE(test, pte_dirty(pte));
	KUNIT_EXPECT_TRUE(test, pte_young(pte));
}

FX_CASE(no_protection_is_more_than_the_vma_allows)
{
	fx_map_read_only(f, 1);
	KUNIT_EXPECT_FALSE(test, pte_write(prot_pte(f, f->base, true)));
}

static int mmap_writable_prot(struct fx *f, struct vm_area_struct *vma)
{
	int err = fx_mmap(f, vma);

	if (!err)
		f->data = pgprot_val(mmext_vma_prot(vma, false));
	return err;
}

FX_CASE(the_read_only_protection_is_one_in_a_handler_too)
{
	/* where vm_page_prot is not yet what it will be */
	f->mmap = mmap_writable_prot;
	fx_map(f, 1);
	KUNIT_EXPECT_FALSE(test, pte_write(pfn_pte(0, __pgprot(f->data))));
}

/* Ranges of a VMA of 8 pages at pages 4 to 11 */

struct part {
	const char *name;
	long first;		/* in pages from the start of the VMA */
	long nr;
	unsigned long addr_off;	/* in bytes, on top of that */
	unsigned long size_off;
	bool inside;
};

static const struct part parts[] = {
	{ "all", 0, 8, 0, 0, true },
	{ "first page", 0, 1, 0, 0, true },
	{ "last page", 7, 1, 0, 0, true },
	{ "nothing at the start", 0, 0, 0, 0, true },
	{ "nothing at the end", 8, 0, 0, 0, true },
	{ "page before", -1, 1, 0, 0, false },
	{ "nothing before", -1, 0, 0, 0, false },
	{ "page after", 8, 1, 0, 0, false },
	{ "nothing after", 9, 0, 0, 0, false },
	{ "over the start", -1, 2, 0, 0, false },
	{ "over the end", 7, 2, 0, 0, false },
	{ "address not a page's", 0, 1, 1, 0, false },
	{ "address a page's last byte", 0, 1, PAGE_SIZE - 1, 0, false },
	{ "size not a page's", 0, 1, 0, 1, false },
	{ "size past the end of all", 4, 0, 0, -PAGE_SIZE, false },
	{ "largest size", 0, 0, 0, PAGE_MASK, false },
};

static void part_name(const struct part *p, char *desc)
{
	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(parts, parts, part_name);

FX_CASE(range_in_a_vma)
{
	const struct part *p = test->param_value;
	unsigned long start = f->base + 4 * PAGE_SIZE;
	struct vm_area_struct *vma;

	fx_map_at(f, start, 8, 0);
	vma = fx_lock(f, start);
	KUNIT_EXPECT_EQ(test, p->inside,
			mmext_range_in_vma(vma, start + p->first * PAGE_SIZE +
					   p->addr_off,
					   p->nr * PAGE_SIZE + p->size_off));
	fx_unlock(f);
}

/* Invalidation */

FX_CASE(a_sample_stays_true_while_nothing_changes)
{
	unsigned long seq, again;

	KUNIT_EXPECT_TRUE(test, mmext_read_begin(&f->map, &seq));
	KUNIT_EXPECT_TRUE(test, mmext_read_begin(&f->map, &again));
	KUNIT_EXPECT_EQ(test, again, seq);
	KUNIT_EXPECT_TRUE(test, mmext_seq_current(&f->map, seq));
}

FX_CASE(no_look_up_begins_in_an_invalidation)
{
	unsigned long seq;

	mmext_invalidate_begin(&f->map);
	KUNIT_EXPECT_FALSE(test, mmext_read_begin(&f->map, &seq));
	/* not even with the sequence of now */
	KUNIT_EXPECT_FALSE(test, mmext_seq_current(&f->map, seq));
	mmext_invalidate_end(&f->map);
	KUNIT_EXPECT_TRUE(test, mmext_read_begin(&f->map, &seq));
}

FX_CASE(a_sample_is_old_once_an_invalidation_begins)
{
	unsigned long seq;

	KUNIT_EXPECT_TRUE(test, mmext_read_begin(&f->map, &seq));
	mmext_invalidate_begin(&f->map);
	KUNIT_EXPECT_FALSE(test, mmext_seq_current(&f->map, seq));
	mmext_invalidate_end(&f->map);
	KUNIT_EXPECT_FALSE(test, mmext_seq_current(&f->map, seq));
}

FX_CASE(overlapping_invalidations_end_with_the_last)
{
	unsigned long seq;

	mmext_invalidate_begin(&f->map);
	mmext_invalidate_begin(&f->map);
	mmext_invalidate_end(&f->map);
	KUNIT_EXPECT_FALSE(test, mmext_read_begin(&f->map, &seq));
	mmext_invalidate_end(&f->map);
	KUNIT_EXPECT_TRUE(test, mmext_read_begin(&f->map, &seq));
	KUNIT_EXPECT_TRUE(test, mmext_seq_current(&f->map, seq));
}

FX_CASE(every_invalidation_moves_the_sequence)
{
	unsigned long before, after;

	KUNIT_EXPECT_TRUE(test, mmext_read_begin(&f->map, &before));
	mmext_invalidate_begin(&f->map);
	mmext_invalidate_end(&f->map);
	KUNIT_EXPECT_TRUE(test, mmext_read_begin(&f->map, &after));
	KUNIT_EXPECT_NE(test, after, before);
}

/* Out of every address space: 8 pages, all mapped, some unmapped */

KUNIT_ARRAY_PARAM(backends, fx_backends, fx_backend_name);

struct unmapping {
	const char *name;
	pgoff_t first;
	pgoff_t nr;
	unsigned int left;	/* a bit a page */
};

static const struct unmapping unmappings[] = {
	{ "first page", 0, 1, 0xfe },
	{ "last page", 7, 1, 0x7f },
	{ "pages in between", 2, 3, 0xe3 },
	{ "all", 0, 8, 0x00 },
	{ "to the end", 5, 0, 0x1f },
	{ "all, to the end", 0, 0, 0x00 },
	{ "over the end", 6, 100, 0x3f },
	{ "after the end", 8, 8, 0xff },
	{ "to the largest index", 4, ULONG_MAX - 4, 0x0f },
	{ "past the largest index", 4, ULONG_MAX, 0x0f },
	{ "past the largest offset", 3, LLONG_MAX >> PAGE_SHIFT, 0x07 },
	{ "from the largest offset", LLONG_MAX >> PAGE_SHIFT, 1, 0xff },
};

static void unmapping_name(const struct unmapping *p, char *desc)
{
	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(unmappings, unmappings, unmapping_name);

static unsigned int left(struct fx *f, unsigned long addr)
{
	unsigned int i, ret = 0;

	for (i = 0; i < 8; i++) {
		if (fx_entry(f, addr + i * PAGE_SIZE))
			ret |= 1 << i;
	}
	return ret;
}

FX_CASE(unmap_pages)
{
	const struct unmapping *p = test->param_value;
	unsigned long addr = fx_map(f, 8);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, p->first, p->nr), 0);
	KUNIT_EXPECT_EQ(test, left(f, addr), p->left);
}

FX_CASE(unmap_pages_leaves_it_to_the_kernel)
{
	const struct unmapping *p = test->param_value;
	unsigned long addr = fx_map(f, 8);

	fx_use_kernel(f);
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, p->first, p->nr), 0);
	KUNIT_EXPECT_EQ(test, left(f, addr), p->left);
	FX_EXPECT_COUNT(f, cleared, 0);
	FX_EXPECT_COUNT(f, flushes, 0);
	FX_EXPECT_COUNT(f, delegated, p->first < 8);
}

FX_CASE(unmap_pages_of_no_object_is_refused)
{
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mmext_unmap_mapping_pages(NULL, 0, 1, true));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mmext_unmap_mapping_range(NULL, 0, PAGE_SIZE, 1));
}

FX_CASE(unmap_pages_of_an_object_that_nobody_maps)
{
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 0, 0), 0);
	FX_EXPECT_COUNT(f, delegated, 0);
	FX_EXPECT_COUNT(f, flushes, 0);
}

FX_CASE(unmap_pages_that_nobody_touched)
{
	if (!fx_use_native(f))
		return;
	fx_map(f, 8);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 0, 8), 0);
	FX_EXPECT_COUNT(f, cleared, 0);
	FX_EXPECT_COUNT(f, flushes, 0);
	KUNIT_EXPECT_EQ(test, fx_tables(f), 0L);
}

FX_CASE(unmap_pages_counts_what_it_did)
{
	unsigned long addr = fx_map(f, 8);

	if (!fx_use_native(f))
		return;
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 6), 0);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 2, 6), 0);
	FX_EXPECT_COUNT(f, inserted, 6);
	FX_EXPECT_COUNT(f, cleared, 4);
	FX_EXPECT_COUNT(f, flushes, 1);
	FX_EXPECT_COUNT(f, delegated, 0);
}

FX_CASE(unmap_pages_goes_by_the_offset_of_a_vma)
{
	unsigned long addr = f->base;

	if (!fx_use(f, test->param_value))
		return;
	/* pages 5 to 12 of the object */
	fx_map_at(f, addr, 8, 5);
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn + 5, 8), 0);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 0, 7), 0);
	KUNIT_EXPECT_EQ(test, left(f, addr), 0xfcU);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 11, 100), 0);
	KUNIT_EXPECT_EQ(test, left(f, addr), 0x3cU);
}

FX_CASE(unmap_pages_finds_every_vma)
{
	unsigned long addr = fx_map(f, 8), second = addr + PMD_SIZE;
	unsigned long third = addr + PUD_SIZE;

	if (!fx_use(f, test->param_value))
		return;
	fx_map_at(f, second, 8, 0);
	fx_map_at(f, third, 8, 4);
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	KUNIT_ASSERT_EQ(test, fx_remap(f, second, f->pfn, 8), 0);
	KUNIT_ASSERT_EQ(test, fx_remap(f, third, f->pfn + 4, 8), 0);

	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 3, 3), 0);
	KUNIT_EXPECT_EQ(test, left(f, addr), 0xc7U);
	KUNIT_EXPECT_EQ(test, left(f, second), 0xc7U);
	KUNIT_EXPECT_EQ(test, left(f, third), 0xfcU);
}

FX_CASE(unmap_pages_finds_both_halves_of_a_split_vma)
{
	unsigned long addr = fx_map(f, 8);

	if (!fx_use(f, test->param_value))
		return;
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	fx_unmap(f, addr + 3 * PAGE_SIZE, 2);
	KUNIT_ASSERT_EQ(test, left(f, addr), 0xe7U);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 2, 4), 0);
	KUNIT_EXPECT_EQ(test, left(f, addr), 0xc3U);
}

FX_CASE(unmap_pages_crosses_tables)
{
	unsigned long border = f->base + PMD_SIZE;

	if (!fx_use(f, test->param_value))
		return;
	fx_map_at(f, border - 4 * PAGE_SIZE, 8, 0);
	KUNIT_ASSERT_EQ(test, fx_remap(f, border - 4 * PAGE_SIZE, f->pfn, 8), 0);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 3, 2), 0);
	KUNIT_EXPECT_EQ(test, left(f, border - 4 * PAGE_SIZE), 0xe7U);
}

FX_CASE(unmap_pages_crosses_an_upper_border)
{
	unsigned long border = f->base + PUD_SIZE;

	if (!fx_use(f, test->param_value))
		return;
	fx_map_at(f, border - 4 * PAGE_SIZE, 8, 0);
	KUNIT_ASSERT_EQ(test, fx_remap(f, border - 4 * PAGE_SIZE, f->pfn, 8), 0);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 3, 2), 0);
	KUNIT_EXPECT_EQ(test, left(f, border - 4 * PAGE_SIZE), 0xe7U);
}

FX_CASE(unmap_pages_reaches_every_address_space)
{
	unsigned long addr = fx_map(f, 8), other = fx_map_other(f, 8);

	if (!fx_use(f, test->param_value))
		return;
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	fx_enter_other(f);
	KUNIT_ASSERT_EQ(test, fx_remap(f, other, f->pfn, 8), 0);
	fx_leave_other(f);

	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 6, 2), 0);
	KUNIT_EXPECT_EQ(test, left(f, addr), 0x3fU);
	fx_enter_other(f);
	KUNIT_EXPECT_EQ(test, left(f, other), 0x3fU);
	fx_leave_other(f);
}

FX_CASE(what_was_unmapped_can_be_had_again)
{
	unsigned long addr = fx_map(f, 1);
	u64 val = 0;

	if (!fx_use(f, test->param_value))
		return;
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, f->faults, 1U);
	KUNIT_EXPECT_EQ(test, fx_get(addr, &val), 0);
	KUNIT_EXPECT_EQ(test, val, FX_MARK(0));
	KUNIT_EXPECT_EQ(test, f->faults, 2U);
}

FX_CASE(unmap_pages_leaves_vmas_of_others_alone)
{
	unsigned long addr = fx_map(f, 8), foreign = addr + PMD_SIZE;

	if (!fx_use_native(f))
		return;
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	fx_map_foreign(f, foreign, 4);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 3, 3), -EPERM);
	KUNIT_EXPECT_EQ(test, left(f, addr), 0xc7U);
	KUNIT_EXPECT_EQ(test, left(f, foreign), 0x0fU);
}

FX_CASE(unmap_pages_says_nothing_of_vmas_elsewhere)
{
	unsigned long addr = fx_map(f, 8);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	fx_map_foreign(f, addr + PMD_SIZE, 4);
	KUNIT_EXPECT_EQ(test, fx_unmap_pages(f, 4, 1), 0);
	KUNIT_EXPECT_EQ(test, left(f, addr), 0xefU);
}

/* Bytes in place of pages */

struct bytes {
	const char *name;
	loff_t begin;
	loff_t len;
	int ret;
	unsigned int left;
};

#define P	((loff_t)PAGE_SIZE)

static const struct bytes bytes[] = {
	{ "a page", 2 * P, P, 0, 0xfb },
	{ "a byte", 2 * P + 7, 1, 0, 0xfb },
	{ "last byte of a page", 3 * P - 1, 1, 0, 0xfb },
	{ "two bytes of two pages", 3 * P - 1, 2, 0, 0xf3 },
	{ "a page that is not one", 2 * P + 1, P, 0, 0xf3 },
	{ "first page", 0, P, 0, 0xfe },
	{ "all", 0, 8 * P, 0, 0x00 },
	{ "to the end", 6 * P, 0, 0, 0x3f },
	{ "to the end from within a page", 6 * P + 5, 0, 0, 0x3f },
	{ "to the largest offset", 6 * P, LLONG_MAX - 6 * P, 0, 0x3f },
	{ "all there can be", 0, LLONG_MAX, 0, 0x00 },
	{ "last byte of all", LLONG_MAX - 1, 1, 0, 0xff },
	{ "negative begin", -1, P, -EINVAL, 0xff },
	{ "negative length", 0, -P, -EINVAL, 0xff },
	{ "past the largest offset", P, LLONG_MAX, -EINVAL, 0xff },
};

static void bytes_name(const struct bytes *p, char *desc)
{
	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(bytes, bytes, bytes_name);

FX_CASE(unmap_range)
{
	const struct bytes *p = test->param_value;
	unsigned long addr = fx_map(f, 8);

	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, 8), 0);
	KUNIT_EXPECT_EQ(test, p->ret,
			mmext_unmap_mapping_range(f->space, p->begin, p->len,
						  1));
	KUNIT_EXPECT_EQ(test, left(f, addr), p->left);
}

/* Write-protecting */

/* Map four pages, and store to all. */
static unsigned long map_stored(struct fx *f)
{
	unsigned long addr = fx_map(f, 4);
	unsigned int i;

	for (i = 0; i < 4; i++) {
		KUNIT_ASSERT_EQ(f->test, 0, fx_put(addr + i * PAGE_SIZE,
						   FX_MARK(i)));
		KUNIT_ASSERT_EQ(f->test, (u64)FX_RWD(f->pfn + i),
				fx_entry(f, addr + i * PAGE_SIZE));
	}
	return addr;
}

FX_CASE(wrprotect_makes_entries_read_only_and_clean)
{
	unsigned long addr;

	if (!fx_use_native(f))
		return;
	addr = map_stored(f);
	KUNIT_EXPECT_EQ(test, 0,
			mmext_wrprotect_mapping_pages(f->space, 1, 2, NULL));
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RO(f->pfn + 1));
	FX_EXPECT_ENTRY(f, addr + 2 * PAGE_SIZE, FX_RO(f->pfn + 2));
	FX_EXPECT_ENTRY(f, addr + 3 * PAGE_SIZE, FX_RWD(f->pfn + 3));
	FX_EXPECT_COUNT(f, flushes, 1);
	FX_EXPECT_COUNT(f, cleared, 0);
	/* the next store is a fault */
	f->mkwrites = 0;
	KUNIT_EXPECT_EQ(test, fx_put(addr + PAGE_SIZE, FX_MARK(1)), 0);
	KUNIT_EXPECT_EQ(test, f->mkwrites, 1U);
}

FX_CASE(wrprotect_of_no_pages_is_of_all)
{
	unsigned long addr;

	if (!fx_use_native(f))
		return;
	addr = map_stored(f);
	KUNIT_EXPECT_EQ(test, 0,
			mmext_wrprotect_mapping_pages(f->space, 2, 0, NULL));
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RWD(f->pfn + 1));
	FX_EXPECT_ENTRY(f, addr + 2 * PAGE_SIZE, FX_RO(f->pfn + 2));
	FX_EXPECT_ENTRY(f, addr + 3 * PAGE_SIZE, FX_RO(f->pfn + 3));
}

FX_CASE(wrprotect_leaves_what_the_bitmap_leaves_out)
{
	unsigned long only = BIT(1) | BIT(3), addr;

	if (!fx_use_native(f))
		return;
	/* the mapping begins behind where the bitmap does */
	fx_map_at(f, f->base, 3, 1);
	addr = f->base;
	KUNIT_ASSERT_EQ(test, fx_remap_rw(f, addr, f->pfn + 1, 3), 0);
	KUNIT_EXPECT_EQ(test, 0,
			mmext_wrprotect_mapping_pages(f->space, 0, 4, &only));
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn + 1));
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RW(f->pfn + 2));
	FX_EXPECT_ENTRY(f, addr + 2 * PAGE_SIZE, FX_RO(f->pfn + 3));
}

/* As mprotect(2) leaves it, which makes it writable again without a fault. */
FX_CASE(wrprotect_cleans_what_is_read_only)
{
	unsigned long addr;
	pte_t pte;

	if (!fx_use_native(f))
		return;
	addr = map_stored(f);
	pte = READ_ONCE(*fx_ptep(f->mm, addr));
	fx_plant(f, addr, pte_wrprotect(pte));
	KUNIT_EXPECT_EQ(test, 0,
			mmext_wrprotect_mapping_pages(f->space, 0, 1, NULL));
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
}

FX_CASE(wrprotect_reaches_every_address_space)
{
	unsigned long addr, other;

	if (!fx_use_native(f))
		return;
	addr = map_stored(f);
	other = fx_map_other(f, 2);
	fx_enter_other(f);
	KUNIT_ASSERT_EQ(test, fx_remap_rw(f, other, f->pfn, 2), 0);
	fx_leave_other(f);
	KUNIT_EXPECT_EQ(test, 0,
			mmext_wrprotect_mapping_pages(f->space, 1, 1, NULL));
	FX_EXPECT_ENTRY(f, addr + PAGE_SIZE, FX_RO(f->pfn + 1));
	fx_enter_other(f);
	FX_EXPECT_ENTRY(f, other, FX_RW(f->pfn));
	FX_EXPECT_ENTRY(f, other + PAGE_SIZE, FX_RO(f->pfn + 1));
	fx_leave_other(f);
}

FX_CASE(wrprotect_that_is_the_kernels_clears)
{
	unsigned long addr;

	if (!fx_use_kernel(f))
		return;
	addr = map_stored(f);
	KUNIT_EXPECT_EQ(test, 0,
			mmext_wrprotect_mapping_pages(f->space, 1, 2, NULL));
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
	FX_EXPECT_NONE(f, addr + PAGE_SIZE, 2);
	FX_EXPECT_ENTRY(f, addr + 3 * PAGE_SIZE, FX_RWD(f->pfn + 3));
	FX_EXPECT_COUNT(f, delegated, 1);
}

FX_CASE(wrprotect_refuses)
{
	unsigned long only = 1, addr, foreign;

	if (!fx_use_native(f))
		return;
	addr = map_stored(f);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mmext_wrprotect_mapping_pages(NULL, 0, 1, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			mmext_wrprotect_mapping_pages(f->space, 0, 0, &only));
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
	/* of others, which stay, and ours, which are done all the same */
	foreign = fx_map_foreign(f, f->base + PMD_SIZE, 1);
	KUNIT_EXPECT_EQ(test, -EPERM,
			mmext_wrprotect_mapping_pages(f->space, 0, 1, NULL));
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn));
	KUNIT_EXPECT_NE(test, fx_entry(f, foreign), FX_NONE);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(an_object_begins_with_nothing),
	KUNIT_CASE(counters_are_added_up_over_the_cpus),
	KUNIT_CASE(init_makes_a_vma_the_engines),
	KUNIT_CASE(init_takes_a_shared_read_only_mapping),
	KUNIT_CASE_PARAM(init_refuses, refusals_gen_params),
	KUNIT_CASE(a_vma_of_others_is_not_the_engines),
	KUNIT_CASE(anonymous_memory_is_not_the_engines),
	KUNIT_CASE(both_halves_of_a_split_vma_are_the_engines),
	KUNIT_CASE(the_protection_of_a_vma_makes_the_first_store_a_fault),
	KUNIT_CASE(the_writable_protection_is_clean_and_young),
	KUNIT_CASE(no_protection_is_more_than_the_vma_allows),
	KUNIT_CASE(the_read_only_protection_is_one_in_a_handler_too),
	KUNIT_CASE_PARAM(range_in_a_vma, parts_gen_params),
	KUNIT_CASE(a_sample_stays_true_while_nothing_changes),
	KUNIT_CASE(no_look_up_begins_in_an_invalidation),
	KUNIT_CASE(a_sample_is_old_once_an_invalidation_begins),
	KUNIT_CASE(overlapping_invalidations_end_with_the_last),
	KUNIT_CASE(every_invalidation_moves_the_sequence),
	KUNIT_CASE_PARAM(unmap_pages, unmappings_gen_params),
	KUNIT_CASE_PARAM(unmap_pages_leaves_it_to_the_kernel,
			 unmappings_gen_params),
	KUNIT_CASE(unmap_pages_of_no_object_is_refused),
	KUNIT_CASE(unmap_pages_of_an_object_that_nobody_maps),
	KUNIT_CASE(unmap_pages_that_nobody_touched),
	KUNIT_CASE(unmap_pages_counts_what_it_did),
	KUNIT_CASE_PARAM(unmap_pages_goes_by_the_offset_of_a_vma,
			 backends_gen_params),
	KUNIT_CASE_PARAM(unmap_pages_finds_every_vma, backends_gen_params),
	KUNIT_CASE_PARAM(unmap_pages_finds_both_halves_of_a_split_vma,
			 backends_gen_params),
	KUNIT_CASE_PARAM(unmap_pages_crosses_tables, backends_gen_params),
	KUNIT_CASE_PARAM(unmap_pages_crosses_an_upper_border,
			 backends_gen_params),
	KUNIT_CASE_PARAM(unmap_pages_reaches_every_address_space,
			 backends_gen_params),
	KUNIT_CASE_PARAM(what_was_unmapped_can_be_had_again,
			 backends_gen_params),
	KUNIT_CASE(unmap_pages_leaves_vmas_of_others_alone),
	KUNIT_CASE(unmap_pages_says_nothing_of_vmas_elsewhere),
	KUNIT_CASE_PARAM(unmap_range, bytes_gen_params),
	KUNIT_CASE(wrprotect_makes_entries_read_only_and_clean),
	KUNIT_CASE(wrprotect_of_no_pages_is_of_all),
	KUNIT_CASE(wrprotect_leaves_what_the_bitmap_leaves_out),
	KUNIT_CASE(wrprotect_cleans_what_is_read_only),
	KUNIT_CASE(wrprotect_reaches_every_address_space),
	KUNIT_CASE(wrprotect_that_is_the_kernels_clears),
	KUNIT_CASE(wrprotect_refuses),
	{}
};

FX_SUITE(mapping, cases);
