// SPDX-License-Identifier: GPL-2.0
/*
 * POPULATE: pages and entries without faults.
 */
#include "mmext_selftest.h"

#define NR_PAGES	16

FIXTURE(populate)
{
	int fd;
	size_t length;
	char *addr;
};

BACKINGS(populate);

FIXTURE_SETUP(populate)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(populate)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

TEST_F(populate, with_write_makes_stores_take_no_fault)
{
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, self->addr,
					    self->length));
	fill(self->addr, self->length, 1);
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	EXPECT_EQ(0, region_stat(self->fd, "faults"));
}

TEST_F(populate, makes_reads_take_no_fault)
{
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length, 0));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_TRUE(all_bytes(self->addr, self->length, 0));
	EXPECT_EQ(0, region_stat(self->fd, "faults"));
}

TEST_F(populate, without_write_makes_read_only_entries)
{
	int flags;

	ASSERT_EQ(0, region_populate(self->fd, self->addr, page_size, 0));
	flags = entry_flags(self->fd, self->addr);
	EXPECT_TRUE(flags & MMEXT_ENTRY_PRESENT);
	EXPECT_FALSE(flags & MMEXT_ENTRY_WRITABLE);
	EXPECT_FALSE(flags & MMEXT_ENTRY_DIRTY);
	/* a store works all the same */
	EXPECT_EQ(0, poke(self->addr, 1));
	flags = entry_flags(self->fd, self->addr);
	EXPECT_TRUE(flags & MMEXT_ENTRY_WRITABLE);
	EXPECT_TRUE(flags & MMEXT_ENTRY_DIRTY);
	EXPECT_EQ(1, self->addr[0]);
}

TEST_F(populate, with_write_makes_writable_entries)
{
	ASSERT_EQ(0, region_populate(self->fd, self->addr, page_size,
				     MMEXT_POPULATE_WRITE));
	EXPECT_TRUE(entry_flags(self->fd, self->addr) & MMEXT_ENTRY_WRITABLE);
}

TEST_F(populate, keeps_what_is_there)
{
	fill(self->addr, self->length / 2, 1);
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(-1, filled_not(self->addr, self->length / 2, 1));
	EXPECT_TRUE(all_bytes(self->addr + self->length / 2, self->length / 2,
			      0));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(populate, maps_pages_that_other_mappings_made)
{
	char *other = region_map(self->fd, self->length, 0);
	long long faults;

	ASSERT_NE(MAP_FAILED, other);
	fill(other, self->length, 1);
	faults = region_stat(self->fd, "faults");
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length, 0));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	EXPECT_EQ(faults, region_stat(self->fd, "faults"));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	munmap(other, self->length);
}

TEST_F(populate, with_write_makes_existing_read_only_entries_writable)
{
	EXPECT_EQ(0, self->addr[0]);
	ASSERT_EQ(0, region_populate(self->fd, self->addr + page_size,
				     page_size, 0));
	ASSERT_EQ(0, region_populate(self->fd, self->addr, 2 * page_size,
				     MMEXT_POPULATE_WRITE));
	EXPECT_TRUE(entry_flags(self->fd, self->addr) & MMEXT_ENTRY_WRITABLE);
	EXPECT_TRUE(entry_flags(self->fd, self->addr + page_size) &
		    MMEXT_ENTRY_WRITABLE);
}

TEST_F(populate, without_write_leaves_writable_entries_writable)
{
	int flags;

	self->addr[0] = 1;
	flags = entry_flags(self->fd, self->addr);
	ASSERT_TRUE(flags & MMEXT_ENTRY_WRITABLE);
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length, 0));
	EXPECT_EQ(flags, entry_flags(self->fd, self->addr));
	EXPECT_FALSE(entry_flags(self->fd, self->addr + page_size) &
		     MMEXT_ENTRY_WRITABLE);
}

TEST_F(populate, does_its_range_and_no_more)
{
	ASSERT_EQ(0, region_populate(self->fd, self->addr + 3 * page_size,
				     4 * page_size, 0));
	EXPECT_EQ(4, region_pages(self->fd));
	EXPECT_EQ(0, entries_present(self->fd, self->addr, 3 * page_size));
	EXPECT_EQ(4, entries_present(self->fd, self->addr + 3 * page_size,
				     4 * page_size));
	EXPECT_EQ(0, entries_present(self->fd, self->addr + 7 * page_size,
				     9 * page_size));
}

TEST_F(populate, fills_the_gaps_between_entries)
{
	size_t i;

	for (i = 0; i < NR_PAGES; i += 3)
		self->addr[i * page_size] = i + 1;
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length,
				     MMEXT_POPULATE_WRITE));
	for (i = 0; i < NR_PAGES; i++)
		EXPECT_EQ(i % 3 ? 0 : i + 1, self->addr[i * page_size]);
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, self->addr,
					    self->length));
}

TEST_F(populate, crosses_table_borders)
{
	size_t length = 2 * TABLE + 8 * page_size;
	char *addr = region_map_aligned(self->fd, 4 * TABLE, 0);
	char *from = addr + TABLE - 4 * page_size;
	long long faults;

	ASSERT_NE(MAP_FAILED, addr);
	ASSERT_EQ(0, region_populate(self->fd, from, length,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(length / page_size, entries_present(self->fd, from, length));
	EXPECT_EQ(0, entries_present(self->fd, from - page_size, page_size));
	EXPECT_EQ(length / page_size, region_pages(self->fd));
	faults = region_stat(self->fd, "faults");
	fill(from, length, 9);
	EXPECT_EQ(-1, filled_not(from, length, 9));
	EXPECT_EQ(faults, region_stat(self->fd, "faults"));
	munmap(addr, 4 * TABLE);
}

TEST_F(populate, uses_the_offset_of_the_mapping)
{
	char *other = region_map(self->fd, 2 * page_size, 5 * page_size);

	ASSERT_NE(MAP_FAILED, other);
	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, region_populate(self->fd, other, 2 * page_size, 0));
	EXPECT_EQ(6, other[0]);
	EXPECT_EQ(7, other[page_size]);
	munmap(other, 2 * page_size);
}

TEST_F(populate, with_write_of_a_read_only_mapping_is_efault)
{
	char *addr = region_map_prot(self->fd, page_size, 0, PROT_READ);

	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(-EFAULT, region_populate(self->fd, addr, page_size,
					   MMEXT_POPULATE_WRITE));
	EXPECT_EQ(0, entries_present(self->fd, addr, page_size));
	EXPECT_EQ(0, region_populate(self->fd, addr, page_size, 0));
	EXPECT_EQ(1, entries_present(self->fd, addr, page_size));
	EXPECT_EQ(-SIGSEGV, poke(addr, 1));
	/* nor after mprotect() */
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	EXPECT_EQ(-EFAULT, region_populate(self->fd, self->addr, page_size,
					   MMEXT_POPULATE_WRITE));
	munmap(addr, page_size);
}

TEST_F(populate, with_write_by_a_read_only_descriptor_is_ebadf)
{
	int fd = open(MMEXT_DEVICE, O_RDONLY);
	char *addr;

	ASSERT_GE(fd, 0);
	addr = region_map_prot(fd, page_size, 0, PROT_READ);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(-EBADF, region_populate(fd, addr, page_size,
					  MMEXT_POPULATE_WRITE));
	EXPECT_EQ(0, region_populate(fd, addr, page_size, 0));
	EXPECT_EQ(1, entries_present(fd, addr, page_size));
	munmap(addr, page_size);
	close(fd);
}

TEST_F(populate, leaves_protected_pages_read_only)
{
	ASSERT_EQ(0, region_protect(self->fd, page_size, page_size,
				    MMEXT_PROTECT_READ_ONLY));
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, self->addr,
					    self->length));
	EXPECT_FALSE(entry_flags(self->fd, self->addr + page_size) &
		     MMEXT_ENTRY_WRITABLE);
	EXPECT_EQ(-SIGSEGV, poke(self->addr + page_size, 1));
	EXPECT_EQ(0, poke(self->addr, 1));
	EXPECT_EQ(0, poke(self->addr + 2 * page_size, 1));
}

TEST_F(populate, shows_aliased_pages_once)
{
	self->addr[0] = 5;
	ASSERT_EQ(0, region_alias(self->fd, 0, 3 * page_size, page_size));
	ASSERT_EQ(0, region_populate(self->fd, self->addr, 4 * page_size,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(3, region_pages(self->fd));
	EXPECT_EQ(5, self->addr[3 * page_size]);
	EXPECT_EQ(entry_pfn(self->fd, self->addr),
		  entry_pfn(self->fd, self->addr + 3 * page_size));
}

TEST_F(populate, again_costs_no_page)
{
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length, 0));
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length, 0));
	ASSERT_EQ(0, region_zap(self->fd, self->addr, self->length));
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length, 0));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, self->addr,
					    self->length));
}

static void *touch_all(void *arg)
{
	char **range = arg;

	fill(range[0], range[1] - range[0], 1);
	return NULL;
}

TEST_F(populate, and_faults_at_once_agree_on_the_pages)
{
	size_t length = 4 * MIB;
	char *addr = region_map(self->fd, length, 0);
	char *range[2] = { addr, addr + length };
	pthread_t thread;

	ASSERT_NE(MAP_FAILED, addr);
	ASSERT_EQ(0, pthread_create(&thread, NULL, touch_all, range));
	EXPECT_EQ(0, region_populate(self->fd, addr, length,
				     MMEXT_POPULATE_WRITE));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(length / page_size, region_pages(self->fd));
	EXPECT_EQ(-1, filled_not(addr, length, 1));
	ASSERT_EQ(0, region_zap(self->fd, addr, length));
	EXPECT_EQ(-1, filled_not(addr, length, 1));
	munmap(addr, length);
}

TEST_HARNESS_MAIN
