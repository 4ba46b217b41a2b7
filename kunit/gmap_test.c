// SPDX-License-Identifier: GPL-2.0
/*
 * Guest spaces: translation, what is mapped by guest and by parent address, links,
 * arms, and the sequence.  Runs after the suites that want an address space that
 * nobody mirrors.
 */
#include <linux/fault-inject.h>
#include <linux/mm.h>
#include <linux/prandom.h>

#include "fixture.h"

#ifdef CONFIG_MMU_NOTIFIER
#include "../mm_ext/gmap.h"

#define SHIFT		16
#define SEGMENT		BIT(SHIFT)
#define NONE		((unsigned long)-EFAULT)

static struct mmext_gmap *space(struct fx *f, unsigned long limit,
				unsigned int shift, unsigned int flags)
{
	struct mmext_gmap *g = mmext_gmap_create(f->mm, limit, shift, flags);

	KUNIT_ASSERT_FALSE(f->test, IS_ERR(g));
	return g;
}

/* Anonymous memory at f->base, of the parent's. */
static unsigned long parent(struct fx *f, unsigned long size)
{
	unsigned long addr = vm_mmap(NULL, f->base, size,
				     PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);

	KUNIT_ASSERT_EQ(f->test, addr, f->base);
	return addr;
}

static int link_one(struct mmext_gmap *g, unsigned long gaddr,
		    unsigned long vmaddr)
{
	int err;

	mmext_gmap_lock(g);
	err = __mmext_gmap_link(g, gaddr, vmaddr);
	mmext_gmap_unlock(g);
	return err;
}

static struct mmext_gmap_info info(struct mmext_gmap *g)
{
	struct mmext_gmap_info i;

	mmext_gmap_info(g, &i);
	return i;
}

/* Translation */

FX_CASE(translates_what_is_mapped_and_nothing_else)
{
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT, 0);

	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, 0), NONE);
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, 7 * SEGMENT, SEGMENT,
						     2 * SEGMENT), 0);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, SEGMENT - 1), NONE);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, SEGMENT), 7 * SEGMENT);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, 3 * SEGMENT - 1),
			9 * SEGMENT - 1);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, 3 * SEGMENT), NONE);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, ULONG_MAX), NONE);
	mmext_gmap_free(g);
}

FX_CASE(parent_address_0_is_a_translation)
{
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT, 0);

	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, 0, SEGMENT, SEGMENT),
			0);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, SEGMENT), 0UL);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, SEGMENT + 5), 5UL);
	mmext_gmap_free(g);
}

FX_CASE(the_last_segment_of_all_can_be_mapped)
{
	unsigned long last = -PAGE_SIZE;
	struct mmext_gmap *g = space(f, ULONG_MAX, PAGE_SHIFT, 0);

	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, PAGE_SIZE, last,
						     PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, ULONG_MAX),
			2 * PAGE_SIZE - 1);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, last - 1), NONE);
	KUNIT_EXPECT_EQ(test, mmext_gmap_unmap_segment(g, last, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, ULONG_MAX), NONE);
	mmext_gmap_free(g);
}

FX_CASE(the_place_of_an_entry_is_its_guest_address)
{
	static const unsigned long at[] = {
		0, 1, 511, 512, 513, 512 * 512 - 1, 512 * 512, 1UL << 40,
	};
	struct mmext_gmap *g = space(f, ULONG_MAX, PAGE_SHIFT, 0);
	unsigned long gaddr, *entry;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		gaddr = at[i] << PAGE_SHIFT;
		KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, 0, gaddr,
							     PAGE_SIZE), 0);
		entry = gmap_entry(g, gaddr + 17);
		KUNIT_EXPECT_EQ(test, gaddr,
				__mmext_gmap_segment_gaddr(entry));
	}
	mmext_gmap_free(g);
}

/* By guest and by parent address */

FX_CASE(a_range_is_cut_in_two)
{
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT, 0);
	u64 gaddr;

	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, 0, 0, 10 * SEGMENT), 0);
	KUNIT_ASSERT_EQ(test, mmext_gmap_unmap_segment(g, 4 * SEGMENT,
						       2 * SEGMENT), 0);
	KUNIT_EXPECT_EQ(test, info(g).segments, 8UL);
	KUNIT_EXPECT_TRUE(test, gmap_concerns(g, 4 * SEGMENT - 1, 4 * SEGMENT));
	KUNIT_EXPECT_FALSE(test, gmap_concerns(g, 4 * SEGMENT,
					       6 * SEGMENT - 1));
	KUNIT_EXPECT_TRUE(test, gmap_concerns(g, 5 * SEGMENT, 6 * SEGMENT));
	KUNIT_EXPECT_EQ(test, mmext_gmap_reverse(g, 5 * SEGMENT, &gaddr, 1),
			0UL);
	KUNIT_EXPECT_EQ(test, mmext_gmap_reverse(g, 6 * SEGMENT, &gaddr, 1),
			1UL);
	KUNIT_EXPECT_EQ(test, gaddr, 6ULL * SEGMENT);
	mmext_gmap_free(g);
}

/* More than are looked through in one go, and the first one behind. */
FX_CASE(unmapping_goes_on_behind_tables_of_nothing)
{
	static const unsigned long far[] = {
		SZ_1G - PAGE_SIZE, SZ_1G, SZ_1G + SZ_512M - PAGE_SIZE
	};
	unsigned long size = SZ_1G + SZ_512M;
	struct mmext_gmap *g = space(f, size - 1, PAGE_SHIFT, 0);
	size_t i;

	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, 0, 0, size), 0);
	KUNIT_ASSERT_EQ(test, mmext_gmap_unmap_segment(g, 0, size), 0);
	for (i = 0; i < ARRAY_SIZE(far); i++) {
		KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, 0, far[i],
							     PAGE_SIZE), 0);
		KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, far[i]), 0UL);
		KUNIT_EXPECT_EQ(test, mmext_gmap_unmap_segment(g, 0, size), 0);
		KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, far[i]), NONE);
	}
	mmext_gmap_free(g);
}

FX_CASE(many_names_of_one_segment_are_found)
{
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT, 0);
	u64 gaddrs[4] = {};
	unsigned int i;
	u64 sum = 0;

	for (i = 1; i <= 4; i++)
		KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, SEGMENT,
							     i * i * SEGMENT,
							     SEGMENT), 0);
	KUNIT_EXPECT_EQ(test, mmext_gmap_reverse(g, SEGMENT + 3, gaddrs, 4),
			4UL);
	for (i = 0; i < 4; i++)
		sum += gaddrs[i];
	KUNIT_EXPECT_EQ(test, sum, (1 + 4 + 9 + 16) * SEGMENT + 4 * 3ULL);
	/* and without room for all */
	KUNIT_EXPECT_EQ(test, mmext_gmap_reverse(g, SEGMENT, gaddrs, 1), 4UL);
	mmext_gmap_free(g);
}

#define MODEL	64

/* What a plain array says, after each of many changes. */
static void compare(struct kunit *test, struct mmext_gmap *g,
		    const long *model)
{
	unsigned long i, j, names, mapped = 0;
	u64 gaddr;

	for (i = 0; i < MODEL; i++) {
		KUNIT_ASSERT_EQ(test, mmext_gmap_translate(g, i * SEGMENT),
				model[i] < 0 ? NONE : model[i] * SEGMENT);
		mapped += model[i] >= 0;
		for (names = 0, j = 0; j < MODEL; j++)
			names += model[j] == (long)i;
		KUNIT_ASSERT_EQ(test, mmext_gmap_reverse(g, i * SEGMENT + 1,
							 &gaddr, 1), names);
		KUNIT_ASSERT_EQ(test, gmap_concerns(g, i * SEGMENT,
						    (i + 1) * SEGMENT - 1),
				names > 0);
	}
	KUNIT_ASSERT_EQ(test, info(g).segments, mapped);
}

FX_CASE(random_changes_are_those_of_an_array)
{
	struct mmext_gmap *g = space(f, MODEL * SEGMENT - 1, SHIFT, 0);
	struct rnd_state rnd;
	long model[MODEL];
	unsigned int round, i;

	prandom_seed_state(&rnd, 4711);
	memset(model, 0xff, sizeof(model));
	for (round = 0; round < 300; round++) {
		u32 r = prandom_u32_state(&rnd);
		unsigned long to = r % MODEL, from = r / 64 % MODEL;
		unsigned long nr = 1 + r / 4096 % 16;
		int err;

		nr = min3(nr, MODEL - to, MODEL - from);
		if (r >> 30) {
			err = mmext_gmap_map_segment(g, from * SEGMENT,
						     to * SEGMENT,
						     nr * SEGMENT);
			KUNIT_ASSERT_EQ(test, err, 0);
			for (i = 0; i < nr; i++)
				model[to + i] = from + i;
		} else {
			err = mmext_gmap_unmap_segment(g, to * SEGMENT,
						       nr * SEGMENT);
			KUNIT_ASSERT_EQ(test, err, 0);
			for (i = 0; i < nr; i++)
				model[to + i] = -1;
		}
		compare(test, g, model);
	}
	mmext_gmap_free(g);
}

/* Links */

FX_CASE(one_name_goes_and_the_other_stays_linked)
{
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT, 0);

	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, 0, 0, SEGMENT), 0);
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, 0, SEGMENT, SEGMENT),
			0);
	KUNIT_EXPECT_EQ(test, link_one(g, 5, 5), 0);
	KUNIT_EXPECT_EQ(test, link_one(g, SEGMENT, 0), 0);
	KUNIT_EXPECT_EQ(test, link_one(g, SEGMENT, 0), 0);
	KUNIT_EXPECT_EQ(test, link_one(g, SEGMENT, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, info(g).linked, 2UL);
	KUNIT_ASSERT_EQ(test, mmext_gmap_unmap_segment(g, 0, SEGMENT), 0);
	KUNIT_EXPECT_EQ(test, info(g).linked, 1UL);

	mmext_gmap_lock(g);
	KUNIT_EXPECT_EQ(test, __mmext_gmap_unlink_by_vmaddr(g, 17), 1);
	KUNIT_EXPECT_EQ(test, __mmext_gmap_unlink_by_vmaddr(g, 17), 0);
	KUNIT_EXPECT_EQ(test, __mmext_gmap_unmap_by_gaddr(g, SEGMENT), 0);
	mmext_gmap_unlock(g);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, SEGMENT), NONE);
	mmext_gmap_free(g);
}

FX_CASE(an_exclusive_space_links_once)
{
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT,
				     MMEXT_GMAP_ALLOC_EXCLUSIVE);

	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, 0, 0, SEGMENT), 0);
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, 0, SEGMENT, SEGMENT),
			0);
	KUNIT_EXPECT_EQ(test, link_one(g, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, link_one(g, SEGMENT, 0), -EFAULT);
	KUNIT_EXPECT_EQ(test, mmext_gmap_unlink(f->mm, NULL, 0), 1UL);
	KUNIT_EXPECT_EQ(test, link_one(g, SEGMENT, 0), 0);
	mmext_gmap_free(g);
}

/* Invalidations in progress */

FX_CASE(the_table_of_invalidations_has_room_for_some)
{
	struct gmap_busy_table t = {};
	char keys[GMAP_BUSY_MAX + 1];
	unsigned int i;

	KUNIT_EXPECT_FALSE(test, gmap_busy_overlaps(&t, 0, ULONG_MAX));
	for (i = 0; i < GMAP_BUSY_MAX; i++)
		KUNIT_EXPECT_TRUE(test, gmap_busy_add(&t, &keys[i], 10 * i,
						      10 * i + 4));
	KUNIT_EXPECT_FALSE(test, gmap_busy_add(&t, &keys[i], 0, 1));
	KUNIT_EXPECT_FALSE(test, gmap_busy_has(&t, &keys[i]));
	KUNIT_EXPECT_FALSE(test, gmap_busy_del(&t, &keys[i]));
	KUNIT_EXPECT_TRUE(test, gmap_busy_overlaps(&t, 34, 39));
	KUNIT_EXPECT_FALSE(test, gmap_busy_overlaps(&t, 35, 39));
	KUNIT_EXPECT_TRUE(test, gmap_busy_overlaps(&t, 35, 40));
	KUNIT_EXPECT_TRUE(test, gmap_busy_has(&t, &keys[3]));
	KUNIT_EXPECT_TRUE(test, gmap_busy_del(&t, &keys[3]));
	KUNIT_EXPECT_FALSE(test, gmap_busy_overlaps(&t, 30, 39));
	KUNIT_EXPECT_TRUE(test, gmap_busy_add(&t, &keys[GMAP_BUSY_MAX], 30,
					      31));
}

/* Is what was looked up before still true? */
static bool still(struct mmext_gmap *g, unsigned long vmaddr,
		  unsigned long seq)
{
	bool ret;

	mmext_gmap_lock(g);
	ret = gmap_seq_current(g, vmaddr, seq);
	mmext_gmap_unlock(g);
	return ret;
}

FX_CASE(an_invalidation_makes_a_look_up_stale)
{
	unsigned long addr = parent(f, 4 * SEGMENT), seq;
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT, 0);

	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, addr, 0, SEGMENT), 0);
	KUNIT_ASSERT_EQ(test, fx_put(addr, 1), 0);
	KUNIT_ASSERT_EQ(test, fx_put(addr + 2 * SEGMENT, 1), 0);

	KUNIT_ASSERT_EQ(test, gmap_read_begin(g, &seq), 0);
	KUNIT_EXPECT_TRUE(test, still(g, addr, seq));
	/* what is not mapped concerns nobody */
	vm_munmap(addr + 2 * SEGMENT, SEGMENT);
	KUNIT_EXPECT_TRUE(test, still(g, addr, seq));
	KUNIT_EXPECT_EQ(test, info(g).notified, 0ULL);
	vm_munmap(addr, PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, still(g, addr, seq));
	KUNIT_EXPECT_EQ(test, info(g).notified, 1ULL);

	KUNIT_ASSERT_EQ(test, gmap_read_begin(g, &seq), 0);
	KUNIT_EXPECT_TRUE(test, still(g, addr, seq));
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, addr, SEGMENT,
						     SEGMENT), 0);
	KUNIT_EXPECT_FALSE(test, still(g, addr, seq));
	mmext_gmap_free(g);
}

FX_CASE(a_look_up_in_the_middle_of_an_invalidation_is_stale)
{
	unsigned long addr = parent(f, SEGMENT), seq;
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT, 0);
	struct mmu_notifier_range r = {
		.mm = f->mm,
		.start = addr,
		.end = addr + PAGE_SIZE,
		.event = MMU_NOTIFY_CLEAR,
	};
	const struct mmu_notifier_ops *ops = g->gm->mn.ops;

	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, addr, 0, SEGMENT), 0);
	KUNIT_ASSERT_EQ(test, gmap_read_begin(g, &seq), 0);
	ops->invalidate_range_start(&g->gm->mn, &r);
	KUNIT_ASSERT_EQ(test, gmap_read_begin(g, &seq), 0);
	KUNIT_EXPECT_FALSE(test, still(g, addr, seq));
	/* of another page, and nobody's */
	KUNIT_EXPECT_TRUE(test, still(g, addr + PAGE_SIZE, seq));
	ops->invalidate_range_end(&g->gm->mn, &r);
	KUNIT_EXPECT_FALSE(test, still(g, addr, seq));
	KUNIT_ASSERT_EQ(test, gmap_read_begin(g, &seq), 0);
	KUNIT_EXPECT_TRUE(test, still(g, addr, seq));
	mmext_gmap_free(g);
}

/* Arms */

struct told {
	struct mmext_gmap_notifier nb;
	struct mmext_gmap *g;
	unsigned int nr;
	unsigned int flags;
	unsigned long gaddrs[8];
};

static void tell(struct mmext_gmap_notifier *nb, struct mmext_gmap *g,
		 unsigned long gaddr, unsigned int flags)
{
	struct told *t = container_of(nb, struct told, nb);

	if (g != t->g || flags & MMEXT_GMAP_NOTIFY_GONE)
		return;
	t->flags |= flags;
	if (t->nr < ARRAY_SIZE(t->gaddrs))
		t->gaddrs[t->nr] = gaddr;
	t->nr++;
}

FX_CASE(each_name_of_a_page_is_told_once)
{
	unsigned long addr = parent(f, SEGMENT);
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT, 0);
	struct told t = { .g = g, .nb.notifier_call = tell };

	KUNIT_ASSERT_EQ(test, mmext_gmap_register_ipte_notifier(&t.nb), 0);
	KUNIT_EXPECT_EQ(test, mmext_gmap_register_ipte_notifier(&t.nb),
			-EEXIST);
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, addr, 0, SEGMENT), 0);
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, addr, SEGMENT, SEGMENT),
			0);
	KUNIT_ASSERT_EQ(test, mmext_gmap_ipte_notify(g, 0, 2 * PAGE_SIZE, 0),
			2L * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, mmext_gmap_ipte_notify(g, SEGMENT, PAGE_SIZE, 0),
			(long)PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, info(g).armed, 3UL);

	vm_munmap(addr, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, t.nr, 2U);
	KUNIT_EXPECT_EQ(test, t.gaddrs[0] + t.gaddrs[1], SEGMENT);
	KUNIT_EXPECT_EQ(test, info(g).armed, 1UL);
	/* nothing is armed there any more */
	mmext_ptep_notify(f->mm, addr, NULL);
	KUNIT_EXPECT_EQ(test, t.nr, 2U);
	mmext_ptep_notify(f->mm, addr + PAGE_SIZE + 5, NULL);
	KUNIT_EXPECT_EQ(test, t.nr, 3U);
	KUNIT_EXPECT_EQ(test, t.gaddrs[2], PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, t.flags, 0U);

	mmext_gmap_unregister_ipte_notifier(&t.nb);
	KUNIT_ASSERT_EQ(test, (long)PAGE_SIZE,
			mmext_gmap_ipte_notify(g, PAGE_SIZE, PAGE_SIZE, 0));
	vm_munmap(addr, SEGMENT);
	KUNIT_EXPECT_EQ(test, t.nr, 3U);
	mmext_gmap_free(g);
}

FX_CASE(arms_allow_what_they_say)
{
	unsigned long addr = parent(f, SEGMENT);
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT, 0);
	struct told t = { .g = g, .nb.notifier_call = tell };

	KUNIT_ASSERT_EQ(test, mmext_gmap_register_ipte_notifier(&t.nb), 0);
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, addr, 0, SEGMENT), 0);
	KUNIT_ASSERT_EQ(test, (long)PAGE_SIZE,
			mmext_gmap_protect_notify(g, 0, PAGE_SIZE, true));
	KUNIT_ASSERT_EQ(test, (long)PAGE_SIZE,
			mmext_gmap_protect_notify(g, PAGE_SIZE, PAGE_SIZE,
						  false));
	KUNIT_EXPECT_EQ(test, mmext_gmap_fault(g, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, t.nr, 0U);
	KUNIT_EXPECT_EQ(test, mmext_gmap_fault(g, PAGE_SIZE, 0), 0);
	KUNIT_EXPECT_EQ(test, t.nr, 1U);
	/* the parent's entry changes, and tells of that as well */
	KUNIT_EXPECT_EQ(test, mmext_gmap_fault(g, 0, FAULT_FLAG_WRITE), 0);
	KUNIT_EXPECT_EQ(test, t.nr, 2U);
	KUNIT_EXPECT_EQ(test, info(g).armed, 0UL);
	mmext_gmap_unregister_ipte_notifier(&t.nb);
	mmext_gmap_free(g);
}

/* Memory that is not there: each allocation of a call fails in turn. */

/*
 * How many were made to fail, before there was none left.  Some calls go through
 * nevertheless, by a second attempt that may wait: @_undo takes them back.
 */
#define FAILS_CLEANLY(_call, _check, _undo)				\
({									\
	unsigned int _n;						\
	bool _failed;							\
	int _err;							\
									\
	for (_n = 1; _n < 100; _n++) {					\
		fx_fail_nth(_n);					\
		_err = (_call);						\
		_failed = fx_fail_end();				\
		if (_err) {						\
			KUNIT_ASSERT_EQ(test, _err, -ENOMEM);		\
			_check;						\
		} else if (_failed) {					\
			_undo;						\
		} else {						\
			break;						\
		}							\
	}								\
	_n - 1;								\
})

FX_CASE(without_memory_map_changes_nothing)
{
	struct mmext_gmap *g = space(f, ULONG_MAX, PAGE_SHIFT, 0);
	unsigned long to = (1UL << 40) - 4 * PAGE_SIZE, failed;

	if (!fx_injects(test))
		goto free;
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, 0, to - 4 * PAGE_SIZE,
						     12 * PAGE_SIZE), 0);
	failed = FAILS_CLEANLY(mmext_gmap_map_segment(g, SZ_1G, to,
						      8 * PAGE_SIZE), ({
		KUNIT_EXPECT_EQ(test, info(g).segments, 12UL);
		KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, to),
				4 * PAGE_SIZE);
		KUNIT_EXPECT_FALSE(test, gmap_concerns(g, SZ_1G, SZ_2G));
	}), KUNIT_ASSERT_EQ(test, 0,
			    mmext_gmap_map_segment(g, 0, to - 4 * PAGE_SIZE,
						   12 * PAGE_SIZE)));
	/* tables of names on the way */
	KUNIT_EXPECT_GE(test, failed, 2UL);
	KUNIT_EXPECT_EQ(test, mmext_gmap_translate(g, to),
			(unsigned long)SZ_1G);
	failed = FAILS_CLEANLY(mmext_gmap_map_segment(g, 0, 1UL << 50,
						      PAGE_SIZE),
			       KUNIT_EXPECT_EQ(test, NONE,
					       mmext_gmap_translate(g,
							1UL << 50)),
			       mmext_gmap_unmap_segment(g, 1UL << 50,
							PAGE_SIZE));
	/* tables on the way, each of which stays for the next attempt */
	KUNIT_EXPECT_GE(test, failed, 2UL);
free:
	mmext_gmap_free(g);
}

FX_CASE(without_memory_a_fault_links_nothing)
{
	unsigned long addr = parent(f, SEGMENT), failed;
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT, 0);

	if (!fx_injects(test))
		goto free;
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, addr, 0, SEGMENT), 0);
	failed = FAILS_CLEANLY(mmext_gmap_fault(g, 0, FAULT_FLAG_WRITE),
			       KUNIT_EXPECT_EQ(test, info(g).linked, 0UL),
			       mmext_gmap_unlink(f->mm, NULL, addr));
	KUNIT_EXPECT_GE(test, failed, 1UL);
	KUNIT_EXPECT_EQ(test, info(g).linked, 1UL);

	/* a link takes none */
	mmext_gmap_unlink(f->mm, NULL, addr);
	failed = FAILS_CLEANLY(link_one(g, 0, addr), (void)0, (void)0);
	KUNIT_EXPECT_EQ(test, failed, 0UL);
free:
	mmext_gmap_free(g);
}

FX_CASE(without_memory_nothing_is_armed)
{
	unsigned long addr = parent(f, SEGMENT), failed;
	struct mmext_gmap *g = space(f, SZ_1G - 1, SHIFT, 0);

	if (!fx_injects(test))
		goto free;
	KUNIT_ASSERT_EQ(test, mmext_gmap_map_segment(g, addr, 0, SEGMENT), 0);
	failed = FAILS_CLEANLY(min_t(long, 0,
				     mmext_gmap_ipte_notify(g, 0, PAGE_SIZE,
							    0)),
			       KUNIT_EXPECT_EQ(test, info(g).armed, 0UL),
			       mmext_ptep_notify(f->mm, addr, NULL));
	KUNIT_EXPECT_GE(test, failed, 2UL);
	KUNIT_EXPECT_EQ(test, info(g).armed, 1UL);
free:
	mmext_gmap_free(g);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(translates_what_is_mapped_and_nothing_else),
	KUNIT_CASE(parent_address_0_is_a_translation),
	KUNIT_CASE(the_last_segment_of_all_can_be_mapped),
	KUNIT_CASE(the_place_of_an_entry_is_its_guest_address),
	KUNIT_CASE(a_range_is_cut_in_two),
	KUNIT_CASE(unmapping_goes_on_behind_tables_of_nothing),
	KUNIT_CASE(many_names_of_one_segment_are_found),
	KUNIT_CASE(random_changes_are_those_of_an_array),
	KUNIT_CASE(one_name_goes_and_the_other_stays_linked),
	KUNIT_CASE(an_exclusive_space_links_once),
	KUNIT_CASE(the_table_of_invalidations_has_room_for_some),
	KUNIT_CASE(an_invalidation_makes_a_look_up_stale),
	KUNIT_CASE(a_look_up_in_the_middle_of_an_invalidation_is_stale),
	KUNIT_CASE(each_name_of_a_page_is_told_once),
	KUNIT_CASE(arms_allow_what_they_say),
	KUNIT_CASE(without_memory_map_changes_nothing),
	KUNIT_CASE(without_memory_a_fault_links_nothing),
	KUNIT_CASE(without_memory_nothing_is_armed),
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

FX_SUITE(gmap, cases);
