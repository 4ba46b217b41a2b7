// SPDX-License-Identifier: GPL-2.0
/*
 * Another address space's memory: frames, which the engine follows.
 */
#include <linux/slab.h>

#include "fixture.h"

#define LEN	((int)PAGE_SIZE + 16)

static u8 *buffer(struct kunit *test)
{
	u8 *buf = kunit_kzalloc(test, LEN, GFP_KERNEL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, buf);
	return buf;
}

FX_CASE(reads_frames_over_a_page_border)
{
	unsigned long addr = fx_map(f, 2);
	u8 *buf = buffer(test);
	u64 mark;

	KUNIT_EXPECT_EQ(test, mmext_access_remote_vm(f->mm, addr, buf, LEN, 0),
			LEN);
	memcpy(&mark, buf, sizeof(mark));
	KUNIT_EXPECT_EQ(test, mark, (u64)FX_MARK(0));
	memcpy(&mark, buf + PAGE_SIZE, sizeof(mark));
	KUNIT_EXPECT_EQ(test, mark, (u64)FX_MARK(1));
	KUNIT_EXPECT_EQ(test, f->faults, 2U);
}

FX_CASE(follows_an_entry_that_is_there_without_a_fault)
{
	unsigned long addr = fx_map(f, 1);
	u64 mark;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn + 3), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, mmext_access_remote_vm(f->mm, addr, &mark, 8, 0),
			8);
	KUNIT_EXPECT_EQ(test, mark, (u64)FX_MARK(3));
	KUNIT_EXPECT_EQ(test, f->faults, 0U);
	FX_EXPECT_ENTRY(f, addr, FX_RO(f->pfn + 3));
}

FX_CASE(a_store_to_a_read_only_entry_asks_the_driver)
{
	unsigned long addr = fx_map(f, 1);
	u64 val = 5;

	KUNIT_ASSERT_EQ(test, fx_insert(f, addr, f->pfn), FX_NOPAGE);
	KUNIT_EXPECT_EQ(test, mmext_access_remote_vm(f->mm, addr, &val, 8,
						     FOLL_WRITE), 8);
	KUNIT_EXPECT_EQ(test, f->mkwrites, 1U);
	KUNIT_EXPECT_EQ(test, *fx_frame(f, 0), 5ULL);
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
	*fx_frame(f, 0) = FX_MARK(0);
}

FX_CASE(a_store_leaves_a_dirty_entry)
{
	unsigned long addr = fx_map(f, 1);
	u64 val = 5;

	KUNIT_ASSERT_EQ(test, fx_insert_rw(f, addr, f->pfn), FX_NOPAGE);
	FX_EXPECT_ENTRY(f, addr, FX_RW(f->pfn));
	KUNIT_EXPECT_EQ(test, mmext_access_remote_vm(f->mm, addr, &val, 8,
						     FOLL_WRITE), 8);
	FX_EXPECT_ENTRY(f, addr, FX_RWD(f->pfn));
	KUNIT_EXPECT_EQ(test, f->mkwrites, 0U);
	*fx_frame(f, 0) = FX_MARK(0);
}

FX_CASE(ends_where_the_mapping_does)
{
	unsigned long addr = fx_map(f, 1);
	u8 *buf = buffer(test);

	KUNIT_EXPECT_EQ(test, mmext_access_remote_vm(f->mm, addr + 8, buf, LEN,
						     0), (int)PAGE_SIZE - 8);
	KUNIT_EXPECT_EQ(test, mmext_access_remote_vm(f->mm, addr + PAGE_SIZE,
						     buf, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, mmext_access_remote_vm(f->mm, addr, buf, 0, 0),
			0);
}

FX_CASE(refuses_flags_and_lengths)
{
	u64 val;

	KUNIT_EXPECT_EQ(test, mmext_access_remote_vm(f->mm, f->base, &val, -1,
						     0), -EINVAL);
	KUNIT_EXPECT_EQ(test, mmext_access_remote_vm(f->mm, f->base, &val, 8,
						     FOLL_NOWAIT), -EINVAL);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(reads_frames_over_a_page_border),
	KUNIT_CASE(follows_an_entry_that_is_there_without_a_fault),
	KUNIT_CASE(a_store_to_a_read_only_entry_asks_the_driver),
	KUNIT_CASE(a_store_leaves_a_dirty_entry),
	KUNIT_CASE(ends_where_the_mapping_does),
	KUNIT_CASE(refuses_flags_and_lengths),
	{}
};

FX_SUITE(access, cases);
