// SPDX-License-Identifier: GPL-2.0
/*
 * What fdinfo counts, exactly.
 */
#include "mmext_selftest.h"

#define NR_PAGES	8
#define LENGTH		(NR_PAGES * page_size)

FIXTURE(stat)
{
	int fd;
	char *addr;
};

FIXTURE_SETUP(stat)
{
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->addr = region_map(self->fd, LENGTH, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(stat)
{
	munmap(self->addr, LENGTH);
	close(self->fd);
}

#define PAGE(n)		(self->addr + (n) * page_size)
#define STAT(what)	region_stat(self->fd, what)

TEST_F(stat, faults_by_kind)
{
	EXPECT_EQ(0, peek(PAGE(0)));
	EXPECT_EQ(0, peek(PAGE(1)));
	EXPECT_EQ(0, poke(PAGE(2), 1));
	/* with an entry that is there, none */
	EXPECT_EQ(1, peek(PAGE(2)));
	EXPECT_EQ(0, poke(PAGE(0), 1));
	EXPECT_EQ(2, STAT("faults-read"));
	EXPECT_EQ(1, STAT("faults-write"));
	EXPECT_EQ(0, STAT("faults-mkwrite"));
	/* a read-only entry that a store finds */
	ASSERT_EQ(0, region_populate(self->fd, PAGE(3), page_size, 0));
	EXPECT_EQ(0, poke(PAGE(3), 1));
	EXPECT_EQ(1, STAT("faults-mkwrite"));
	EXPECT_EQ(4, STAT("faults"));
}

TEST_F(stat, pages_and_entries)
{
	struct mmext_info info;
	bool kernel;

	ASSERT_EQ(0, region_info(self->fd, &info));
	kernel = info.out_tlb == MMEXT_TLB_KERNEL;
	EXPECT_EQ(0, STAT("inserted"));
	ASSERT_EQ(0, region_populate(self->fd, self->addr, LENGTH, 0));
	EXPECT_EQ(NR_PAGES, STAT("pages"));
	EXPECT_EQ(NR_PAGES, STAT("inserted"));
	/* what is there is not inserted again */
	ASSERT_EQ(0, region_populate(self->fd, self->addr, LENGTH, 0));
	EXPECT_EQ(NR_PAGES, STAT("inserted"));
	EXPECT_EQ(0, STAT("cleared"));
	EXPECT_EQ(0, STAT("flushes"));
	ASSERT_EQ(0, region_zap(self->fd, self->addr, 3 * page_size));
	EXPECT_EQ(kernel ? 0 : 3, STAT("cleared"));
	EXPECT_EQ(kernel ? 0 : 1, STAT("flushes"));
	EXPECT_EQ(kernel ? 1 : 0, STAT("delegated"));
	/* and what is not there is not cleared again, nor flushed */
	ASSERT_EQ(0, region_zap(self->fd, self->addr, 3 * page_size));
	EXPECT_EQ(kernel ? 0 : 3, STAT("cleared"));
	EXPECT_EQ(kernel ? 0 : 1, STAT("flushes"));
	EXPECT_EQ(NR_PAGES, STAT("pages"));
	ASSERT_EQ(0, region_free(self->fd, 0, LENGTH));
	EXPECT_EQ(0, STAT("pages"));
	EXPECT_EQ(kernel ? 0 : NR_PAGES, STAT("cleared"));
}

TEST_HARNESS_MAIN
