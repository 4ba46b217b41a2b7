// SPDX-License-Identifier: GPL-2.0
/*
 * REMAP: pages that change places, and pages that several offsets show.
 */
#include "mmext_selftest.h"

#define NR_PAGES	16

FIXTURE(remap)
{
	int fd;
	size_t length;
	char *addr;
	struct peer peer;
};

BACKINGS(remap);

FIXTURE_SETUP(remap)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, 2 * self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	/* the second half is holes */
	fill(self->addr, self->length, 1);
}

FIXTURE_TEARDOWN(remap)
{
	munmap(self->addr, 2 * self->length);
	close(self->fd);
}

#define PAGE(n)	(self->addr + (n) * page_size)

TEST_F(remap, exchanges_two_pages)
{
	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	EXPECT_EQ(2, *PAGE(0));
	EXPECT_EQ(1, *PAGE(1));
	EXPECT_EQ(3, *PAGE(2));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(remap, exchange_twice_is_none)
{
	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	ASSERT_EQ(0, region_exchange(self->fd, page_size, 0, page_size));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
}

TEST_F(remap, exchanges_two_ranges)
{
	ASSERT_EQ(0, region_exchange(self->fd, 0, 8 * page_size,
				     8 * page_size));
	EXPECT_EQ(-1, filled_not(PAGE(0), 8 * page_size, 9));
	EXPECT_EQ(-1, filled_not(PAGE(8), 8 * page_size, 1));
}

TEST_F(remap, copies_no_byte)
{
	__u64 pfn0, pfn1;

	pfn0 = entry_pfn(self->fd, PAGE(0));
	pfn1 = entry_pfn(self->fd, PAGE(1));
	ASSERT_NE(0, pfn0);
	ASSERT_NE(pfn0, pfn1);
	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	EXPECT_EQ(2, *PAGE(0));
	EXPECT_EQ(1, *PAGE(1));
	EXPECT_EQ(pfn1, entry_pfn(self->fd, PAGE(0)));
	EXPECT_EQ(pfn0, entry_pfn(self->fd, PAGE(1)));
}

TEST_F(remap, stores_after_an_exchange_go_to_the_new_page)
{
	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	*PAGE(0) = 50;
	*PAGE(1) = 51;
	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	EXPECT_EQ(51, *PAGE(0));
	EXPECT_EQ(50, *PAGE(1));
}

TEST_F(remap, holes_move_as_holes)
{
	/* page 0 for the hole at 20 */
	ASSERT_EQ(0, region_exchange(self->fd, 0, 20 * page_size, page_size));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(1, *PAGE(20));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(0, *PAGE(0));
	/* and back */
	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	ASSERT_EQ(0, region_exchange(self->fd, 0, 20 * page_size, page_size));
	EXPECT_EQ(1, *PAGE(0));
	EXPECT_EQ(0, *PAGE(20));
	/* two holes */
	ASSERT_EQ(0, region_exchange(self->fd, 24 * page_size, 28 * page_size,
				     4 * page_size));
	EXPECT_EQ(0, *PAGE(24));
}

TEST_F(remap, alias_shows_the_same_page)
{
	ASSERT_EQ(0, region_alias(self->fd, 0, 5 * page_size, page_size));
	EXPECT_EQ(1, *PAGE(5));
	*PAGE(5) = 70;
	EXPECT_EQ(70, *PAGE(0));
	*PAGE(0) = 71;
	EXPECT_EQ(71, *PAGE(5));
	EXPECT_EQ(entry_pfn(self->fd, PAGE(0)), entry_pfn(self->fd, PAGE(5)));
}

TEST_F(remap, alias_drops_the_pages_that_were_there)
{
	ASSERT_EQ(0, region_alias(self->fd, 0, 8 * page_size, 4 * page_size));
	EXPECT_EQ(NR_PAGES - 4, region_pages(self->fd));
	EXPECT_EQ(-1, filled_not(PAGE(8), 4 * page_size, 1));
	EXPECT_EQ(-1, filled_not(PAGE(0), 8 * page_size, 1));
	EXPECT_EQ(-1, filled_not(PAGE(12), 4 * page_size, 13));
}

TEST_F(remap, aliased_page_is_freed_with_its_last_offset)
{
	ASSERT_EQ(0, region_alias(self->fd, 0, 20 * page_size, page_size));
	ASSERT_EQ(0, region_alias(self->fd, 20 * page_size, 21 * page_size,
				  page_size));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(1, *PAGE(20));
	EXPECT_EQ(1, *PAGE(21));
	ASSERT_EQ(0, region_free(self->fd, 21 * page_size, page_size));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(1, *PAGE(20));
	ASSERT_EQ(0, region_free(self->fd, 20 * page_size, page_size));
	EXPECT_EQ(NR_PAGES - 1, region_pages(self->fd));
	EXPECT_EQ(0, *PAGE(20));
	EXPECT_EQ(0, *PAGE(0));
}

TEST_F(remap, alias_of_a_hole_is_a_hole)
{
	ASSERT_EQ(0, region_alias(self->fd, 20 * page_size, 0, page_size));
	EXPECT_EQ(NR_PAGES - 1, region_pages(self->fd));
	EXPECT_EQ(0, *PAGE(0));
	/* and no more than that: what comes later is not shared */
	*PAGE(20) = 5;
	EXPECT_EQ(0, *PAGE(0));
	*PAGE(0) = 6;
	EXPECT_EQ(5, *PAGE(20));
}

TEST_F(remap, alias_again_changes_nothing)
{
	ASSERT_EQ(0, region_alias(self->fd, 0, 20 * page_size, page_size));
	ASSERT_EQ(0, region_alias(self->fd, 0, 20 * page_size, page_size));
	ASSERT_EQ(0, region_alias(self->fd, 20 * page_size, 0, page_size));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(1, *PAGE(0));
	EXPECT_EQ(1, *PAGE(20));
	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	EXPECT_EQ(1, *PAGE(20));
	ASSERT_EQ(0, region_free(self->fd, 20 * page_size, page_size));
	EXPECT_EQ(NR_PAGES - 1, region_pages(self->fd));
}

TEST_F(remap, aliased_offsets_can_be_exchanged)
{
	ASSERT_EQ(0, region_alias(self->fd, 0, 20 * page_size, page_size));
	ASSERT_EQ(0, region_exchange(self->fd, 20 * page_size, page_size,
				     page_size));
	EXPECT_EQ(1, *PAGE(0));
	EXPECT_EQ(1, *PAGE(1));
	EXPECT_EQ(2, *PAGE(20));
	/* the two offsets of one page for each other */
	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	EXPECT_EQ(1, *PAGE(0));
	EXPECT_EQ(1, *PAGE(1));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(remap, ranges_that_overlap_are_einval)
{
	EXPECT_EQ(-EINVAL, region_exchange(self->fd, 0, page_size,
					   2 * page_size));
	EXPECT_EQ(-EINVAL, region_exchange(self->fd, 3 * page_size, 0,
					   4 * page_size));
	EXPECT_EQ(-EINVAL, region_exchange(self->fd, 0, 0, page_size));
	EXPECT_EQ(-EINVAL, region_alias(self->fd, 0, page_size,
					2 * page_size));
	EXPECT_EQ(-EINVAL, region_alias(self->fd, page_size, 0,
					2 * page_size));
	EXPECT_EQ(-EINVAL, region_alias(self->fd, 0, 0, page_size));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(remap, ranges_that_touch_are_taken)
{
	ASSERT_EQ(0, region_exchange(self->fd, 2 * page_size, 0,
				     2 * page_size));
	EXPECT_EQ(-1, filled_not(PAGE(0), 2 * page_size, 3));
	EXPECT_EQ(-1, filled_not(PAGE(2), 2 * page_size, 1));
}

TEST_F(remap, every_mapping_and_process_sees_it)
{
	char *other = region_map(self->fd, self->length, page_size);

	ASSERT_NE(MAP_FAILED, other);
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(1, peer_peek(&self->peer, PAGE(0)));
	EXPECT_EQ(2, peer_peek(&self->peer, PAGE(1)));
	EXPECT_EQ(2, peer_peek(&self->peer, other));
	EXPECT_EQ(2, other[0]);
	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	EXPECT_EQ(2, peer_peek(&self->peer, PAGE(0)));
	EXPECT_EQ(1, peer_peek(&self->peer, PAGE(1)));
	EXPECT_EQ(1, peer_peek(&self->peer, other));
	EXPECT_EQ(1, other[0]);
	ASSERT_EQ(0, region_alias(self->fd, 4 * page_size, page_size,
				  page_size));
	EXPECT_EQ(5, peer_peek(&self->peer, PAGE(1)));
	EXPECT_EQ(5, peer_peek(&self->peer, other));
	EXPECT_EQ(5, other[0]);
	EXPECT_EQ(5, *PAGE(1));
	/* and stores of the other process */
	EXPECT_EQ(0, peer_poke(&self->peer, other, 60));
	EXPECT_EQ(60, *PAGE(4));
	EXPECT_EQ(0, peer_stop(&self->peer));
	munmap(other, self->length);
}

TEST_F(remap, read_and_write_see_it)
{
	char byte;

	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	ASSERT_EQ(1, pread(self->fd, &byte, 1, 0));
	EXPECT_EQ(2, byte);
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, page_size));
	EXPECT_EQ('x', *PAGE(1));
}

TEST_F(remap, crosses_table_borders)
{
	size_t nr, length = TABLE + 1 * MIB;
	size_t from = 1 * MIB + 3 * page_size;
	size_t to = 3 * TABLE - 5 * page_size;
	char *addr = region_map_aligned(self->fd, 6 * TABLE, 0);
	long long pages;

	ASSERT_NE(MAP_FAILED, addr);
	nr = length / page_size;
	fill(addr, 6 * TABLE, 0);
	pages = region_pages(self->fd);
	ASSERT_EQ(0, region_exchange(self->fd, from, to, length));
	EXPECT_EQ(-1, filled_not(addr, from, 0));
	EXPECT_EQ(-1, filled_not(addr + from, length, to / page_size));
	EXPECT_EQ(-1, filled_not(addr + from + length, to - from - length,
				 from / page_size + nr));
	EXPECT_EQ(-1, filled_not(addr + to, length, from / page_size));
	EXPECT_EQ(-1, filled_not(addr + to + length, 6 * TABLE - to - length,
				 to / page_size + nr));
	EXPECT_EQ(pages, region_pages(self->fd));
	/* the same as aliases */
	ASSERT_EQ(0, region_alias(self->fd, from, to, length));
	EXPECT_EQ(-1, filled_not(addr + to, length, to / page_size));
	EXPECT_EQ(pages - nr, region_pages(self->fd));
	munmap(addr, 6 * TABLE);
}

TEST_F(remap, exchange_of_sparse_ranges_moves_what_is_there)
{
	__u64 far = 1ULL << 40;
	char *addr = region_map(self->fd, 4 * MIB, far);

	ASSERT_NE(MAP_FAILED, addr);
	addr[3 * MIB] = 9;
	ASSERT_EQ(0, region_exchange(self->fd, 0, far, 4 * MIB));
	EXPECT_EQ(-1, filled_not(addr, self->length, 1));
	EXPECT_EQ(0, addr[3 * MIB]);
	EXPECT_EQ(0, *PAGE(0));
	munmap(addr, 4 * MIB);
	addr = region_map(self->fd, page_size, 3 * MIB);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(9, addr[0]);
	munmap(addr, page_size);
}

TEST_F(remap, protection_stays_with_the_offset)
{
	ASSERT_EQ(0, region_protect(self->fd, 0, page_size,
				    MMEXT_PROTECT_READ_ONLY));
	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	EXPECT_EQ(2, *PAGE(0));
	EXPECT_EQ(1, *PAGE(1));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(0), 9));
	EXPECT_EQ(0, poke(PAGE(1), 9));
	EXPECT_EQ(2, *PAGE(0));
	EXPECT_EQ(9, *PAGE(1));
	/* an alias of a page that can't be stored to here can be there */
	ASSERT_EQ(0, region_alias(self->fd, 0, 5 * page_size, page_size));
	EXPECT_EQ(0, poke(PAGE(5), 7));
	EXPECT_EQ(7, *PAGE(0));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(0), 9));
	ASSERT_EQ(0, region_alias(self->fd, 6 * page_size, 0, page_size));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(0), 9));
	EXPECT_EQ(7, *PAGE(6));
}

/* Additions to a counter that moves about are all in one page or the other. */
struct adder {
	unsigned long *counter;
	unsigned long added;
	int running;
	int end;
};

static void *add_many(void *arg)
{
	struct adder *adder = arg;

	pin(1);
	while (!load(&adder->end)) {
		__atomic_fetch_add(adder->counter, 1, __ATOMIC_RELAXED);
		store(&adder->added, adder->added + 1);
		store(&adder->running, 1);
	}
	return NULL;
}

TEST_F(remap, no_store_is_lost_between_two_pages)
{
	struct adder adder = { .counter = (unsigned long *)PAGE(20) };
	unsigned long *other = (unsigned long *)PAGE(21);
	struct rounds rounds = rounds_begin(500);
	unsigned long added;
	pthread_t thread;
	int i;

	*adder.counter = 0;
	*other = 0;
	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, add_many, &adder));
	wait_for(&adder.running, 1);
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		/* so that there is something to lose in each round */
		added = load(&adder.added);
		while (load(&adder.added) == added)
			sched_yield();
		ASSERT_EQ(0, region_exchange(self->fd, 20 * page_size,
					     21 * page_size, page_size));
	}
	store(&adder.end, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(adder.added, *adder.counter + *other);
	EXPECT_NE(0, *adder.counter);
	EXPECT_NE(0, *other);
}

TEST_F(remap, split_and_moved_mappings_see_it)
{
	char *place = mmap(NULL, 2 * page_size, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *moved;

	ASSERT_NE(MAP_FAILED, place);
	moved = mremap(PAGE(4), 2 * page_size, 2 * page_size,
		       MREMAP_MAYMOVE | MREMAP_FIXED, place);
	ASSERT_EQ(place, moved);
	ASSERT_EQ(0, munmap(PAGE(8), page_size));
	ASSERT_EQ(0, region_exchange(self->fd, 4 * page_size, 9 * page_size,
				     2 * page_size));
	EXPECT_EQ(10, moved[0]);
	EXPECT_EQ(11, moved[page_size]);
	EXPECT_EQ(5, *PAGE(9));
	EXPECT_EQ(6, *PAGE(10));
	munmap(moved, 2 * page_size);
}

TEST_HARNESS_MAIN
