// SPDX-License-Identifier: GPL-2.0
/*
 * ZAP: the entries of the caller's own mapping go, the pages stay.
 */
#include "mmext_selftest.h"

#define NR_PAGES	16

FIXTURE(zap)
{
	int fd;
	size_t length;
	char *addr;
};

BACKINGS(zap);

FIXTURE_SETUP(zap)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	fill(self->addr, self->length, 1);
}

FIXTURE_TEARDOWN(zap)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

TEST_F(zap, drops_entries_and_keeps_data)
{
	ASSERT_EQ(NR_PAGES, entries_present(self->fd, self->addr,
					    self->length));
	ASSERT_EQ(0, region_zap(self->fd, self->addr, self->length));
	EXPECT_EQ(0, entries_present(self->fd, self->addr, self->length));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
}

TEST_F(zap, next_access_is_a_fault)
{
	long long faults = region_stat(self->fd, "faults");

	ASSERT_EQ(0, region_zap(self->fd, self->addr, page_size));
	EXPECT_EQ(1, self->addr[0]);
	EXPECT_EQ(faults + 1, region_stat(self->fd, "faults"));
	EXPECT_EQ(1, self->addr[0]);
	EXPECT_EQ(2, self->addr[page_size]);
	EXPECT_EQ(faults + 1, region_stat(self->fd, "faults"));
}

TEST_F(zap, takes_its_range_and_no_more)
{
	ASSERT_EQ(0, region_zap(self->fd, self->addr + 3 * page_size,
				4 * page_size));
	EXPECT_EQ(3, entries_present(self->fd, self->addr, 3 * page_size));
	EXPECT_EQ(0, entries_present(self->fd, self->addr + 3 * page_size,
				     4 * page_size));
	EXPECT_EQ(9, entries_present(self->fd, self->addr + 7 * page_size,
				     9 * page_size));
}

TEST_F(zap, leaves_other_mappings_of_the_process)
{
	char *other = region_map(self->fd, self->length, 0);

	ASSERT_NE(MAP_FAILED, other);
	EXPECT_EQ(-1, filled_not(other, self->length, 1));
	ASSERT_EQ(0, region_zap(self->fd, self->addr, self->length));
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, other, self->length));
	munmap(other, self->length);
}

TEST_F(zap, leaves_other_processes)
{
	struct peer peer;

	ASSERT_EQ(0, peer_start(&peer));
	EXPECT_EQ(1, peer_peek(&peer, self->addr));
	ASSERT_EQ(0, region_zap(self->fd, self->addr, page_size));
	EXPECT_LT(0, peer_entry(&peer, self->fd, self->addr));
	EXPECT_FALSE(entry_present(self->fd, self->addr));
	/* and the other way round */
	EXPECT_EQ(0, peer_zap(&peer, self->fd, self->addr + page_size,
			      page_size));
	EXPECT_EQ(0, peer_entry(&peer, self->fd, self->addr + page_size));
	EXPECT_TRUE(entry_present(self->fd, self->addr + page_size));
	EXPECT_EQ(0, peer_stop(&peer));
}

TEST_F(zap, of_nothing_does_nothing)
{
	char *addr = region_map(self->fd, 64 * MIB, 1ULL << 30);

	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(0, region_zap(self->fd, addr, 64 * MIB));
	EXPECT_EQ(0, region_zap(self->fd, self->addr, self->length));
	EXPECT_EQ(0, region_zap(self->fd, self->addr, self->length));
	munmap(addr, 64 * MIB);
}

TEST_F(zap, crosses_table_borders_and_gaps)
{
	char *addr = region_map_aligned(self->fd, 4 * TABLE, 1ULL << 30);
	char *from = addr + TABLE - 2 * page_size;
	size_t length = 2 * TABLE + 4 * page_size;

	ASSERT_NE(MAP_FAILED, addr);
	/* both ends, and a table in between that does not exist */
	fill(addr + TABLE - 4 * page_size, 8 * page_size, 1);
	fill(addr + 3 * TABLE - 4 * page_size, 8 * page_size, 9);
	ASSERT_EQ(0, region_zap(self->fd, from, length));
	EXPECT_EQ(2, entries_present(self->fd, addr, TABLE - 2 * page_size));
	EXPECT_EQ(0, entries_present(self->fd, from, length));
	EXPECT_EQ(2, entries_present(self->fd, from + length,
				     TABLE - 2 * page_size));
	EXPECT_EQ(-1, filled_not(addr + TABLE - 4 * page_size, 8 * page_size,
				 1));
	EXPECT_EQ(-1, filled_not(addr + 3 * TABLE - 4 * page_size,
				 8 * page_size, 9));
	munmap(addr, 4 * TABLE);
}

TEST_F(zap, of_more_pages_than_are_flushed_one_by_one)
{
	size_t length = 200 * page_size;
	char *addr = region_map(self->fd, length, 0);

	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, length, 3);
	ASSERT_EQ(0, region_zap(self->fd, addr, length));
	EXPECT_EQ(0, entries_present(self->fd, addr, length));
	EXPECT_EQ(-1, filled_not(addr, length, 3));
	munmap(addr, length);
}

static int keep_adding;

static void *add_to(void *arg)
{
	unsigned long added = 0;

	pin(1);
	while (load(&keep_adding)) {
		__atomic_fetch_add((unsigned long *)arg, 1, __ATOMIC_RELAXED);
		added++;
	}
	return (void *)added;
}

TEST_F(zap, loses_no_store_of_another_thread)
{
	unsigned long *counter = (unsigned long *)self->addr;
	struct rounds rounds = rounds_begin(2000);
	pthread_t thread;
	void *added;
	int i;

	*counter = 0;
	keep_adding = 1;
	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, add_to, counter));
	while (!load(counter))
		sched_yield();
	for (i = 0; rounds_go_on(&rounds, i); i++)
		ASSERT_EQ(0, region_zap(self->fd, self->addr, page_size));
	store(&keep_adding, 0);
	ASSERT_EQ(0, pthread_join(thread, &added));
	EXPECT_NE(0, (unsigned long)added);
	EXPECT_EQ((unsigned long)added, *counter);
}

TEST_F(zap, of_a_read_only_mapping_works)
{
	char *addr = region_map_prot(self->fd, page_size, 0, PROT_READ);

	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(1, addr[0]);
	EXPECT_TRUE(entry_present(self->fd, addr));
	EXPECT_EQ(0, region_zap(self->fd, addr, page_size));
	EXPECT_FALSE(entry_present(self->fd, addr));
	EXPECT_EQ(1, addr[0]);
	munmap(addr, page_size);
}

TEST_HARNESS_MAIN
