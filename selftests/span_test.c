// SPDX-License-Identifier: GPL-2.0
/*
 * ZAP over several mappings at once: of one that was split, and with SPAN over
 * whatever lies between two addresses.
 */
#include "mmext_selftest.h"

#define NR	4
#define LENGTH	(NR * page_size)
/* pages from one mapping to the next: each is followed by a hole */
#define STRIDE	(2 * NR)
#define MAPPINGS 4
#define SPAN	(MAPPINGS * STRIDE * page_size)

FIXTURE(span)
{
	int fd;
	/* MAPPINGS of the region's first pages */
	char *addr;
};

static char *place(char *addr, int mapping)
{
	return addr + mapping * STRIDE * page_size;
}

static char *map_at(int fd, char *addr)
{
	return mmap(addr, LENGTH, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0);
}

BACKINGS(span);

FIXTURE_SETUP(span)
{
	int i;

	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->addr = mmap(NULL, SPAN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	ASSERT_EQ(0, munmap(self->addr, SPAN));
	for (i = 0; i < MAPPINGS; i++) {
		ASSERT_NE(MAP_FAILED, map_at(self->fd, place(self->addr, i)));
		fill(place(self->addr, i), LENGTH, 1);
	}
}

FIXTURE_TEARDOWN(span)
{
	munmap(self->addr, SPAN);
	close(self->fd);
}

#define PLACE(i)	place(self->addr, i)

static long present_at(int fd, char *addr)
{
	return entries_present(fd, addr, LENGTH);
}

TEST_F(span, takes_every_mapping_of_the_region_and_the_holes)
{
	int i;

	EXPECT_EQ(0, region_zap_span(self->fd, self->addr, SPAN));
	for (i = 0; i < MAPPINGS; i++) {
		EXPECT_EQ(0, present_at(self->fd, PLACE(i)));
		EXPECT_EQ(-1, filled_not(PLACE(i), LENGTH, 1));
	}
	EXPECT_EQ(NR, region_pages(self->fd));
}

TEST_F(span, takes_its_range_and_no_more)
{
	EXPECT_EQ(0, region_zap_span(self->fd, PLACE(0) + page_size,
				     PLACE(2) - PLACE(0)));
	EXPECT_EQ(1, present_at(self->fd, PLACE(0)));
	EXPECT_EQ(0, present_at(self->fd, PLACE(1)));
	EXPECT_EQ(NR - 1, present_at(self->fd, PLACE(2)));
	EXPECT_EQ(NR, present_at(self->fd, PLACE(3)));
}

TEST_F(span, without_the_flag_is_efault)
{
	EXPECT_EQ(-EFAULT, region_zap(self->fd, self->addr, SPAN));
	EXPECT_EQ(NR, present_at(self->fd, PLACE(0)));
}

TEST_F(span, leaves_others_alone_and_says_how_much)
{
	int other = region_open();
	char *anon = PLACE(0) + LENGTH;

	ASSERT_GE(other, 0);
	ASSERT_NE(MAP_FAILED, map_at(other, PLACE(1)));
	fill(PLACE(1), LENGTH, 9);
	ASSERT_EQ(anon, mmap(anon, page_size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	*anon = 7;
	EXPECT_EQ((NR + 1) * page_size,
		  region_zap_span(self->fd, self->addr, SPAN));
	EXPECT_EQ(7, *anon);
	EXPECT_EQ(NR, present_at(other, PLACE(1)));
	EXPECT_EQ(0, present_at(self->fd, PLACE(0)));
	EXPECT_EQ(0, present_at(self->fd, PLACE(2)));
	/* no more of them than the range has */
	EXPECT_EQ(page_size, region_zap_span(self->fd, anon, page_size));
	EXPECT_EQ(page_size, region_zap_span(self->fd, PLACE(1) + page_size,
					     page_size));
	close(other);
}

TEST_F(span, of_nothing_but_holes_does_nothing)
{
	char *hole = PLACE(0) + LENGTH;

	EXPECT_EQ(0, region_zap_span(self->fd, hole, PLACE(1) - hole));
	EXPECT_EQ(0, region_zap_span(self->fd, hole, 0));
	EXPECT_EQ(NR, present_at(self->fd, PLACE(0)));
	EXPECT_EQ(NR, present_at(self->fd, PLACE(1)));
}

/* In no more steps than there is something to do. */
TEST_F(span, of_the_whole_address_space)
{
	__u64 end = (uintptr_t)self->addr + SPAN;
	int i;

	EXPECT_LT(0, region_zap_span(self->fd, NULL, end));
	for (i = 0; i < MAPPINGS; i++)
		EXPECT_EQ(0, present_at(self->fd, PLACE(i)));
	EXPECT_EQ(-EFAULT, region_zap_span(self->fd, NULL, 1ULL << 62));
}

TEST_F(span, takes_those_of_another_descriptor_of_the_region)
{
	int one = open(MMEXT_SHARED, O_RDWR | O_CLOEXEC);
	int two = open(MMEXT_SHARED, O_RDWR | O_CLOEXEC);

	ASSERT_GE(one, 0);
	ASSERT_GE(two, 0);
	ASSERT_NE(MAP_FAILED, map_at(one, PLACE(0)));
	ASSERT_NE(MAP_FAILED, map_at(two, PLACE(1)));
	fill(PLACE(0), LENGTH, 3);
	fill(PLACE(1), LENGTH, 3);
	EXPECT_EQ(2 * LENGTH, region_zap_span(one, self->addr, SPAN));
	EXPECT_EQ(0, present_at(one, PLACE(0)));
	EXPECT_EQ(0, present_at(two, PLACE(1)));
	EXPECT_EQ(NR, present_at(self->fd, PLACE(2)));
	close(one);
	close(two);
}

TEST_F(span, leaves_other_processes)
{
	struct peer peer;

	ASSERT_EQ(0, peer_start(&peer));
	EXPECT_EQ(1, peer_peek(&peer, PLACE(1)));
	EXPECT_EQ(0, region_zap_span(self->fd, self->addr, SPAN));
	EXPECT_LT(0, peer_entry(&peer, self->fd, PLACE(1)));
	EXPECT_EQ(0, peer_stop(&peer));
}

/* mprotect() makes three VMAs of one mapping. */
TEST_F(span, of_a_mapping_that_was_split_needs_no_flag)
{
	ASSERT_EQ(0, mprotect(PLACE(0) + page_size, page_size, PROT_READ));
	ASSERT_EQ(0, region_zap(self->fd, PLACE(0), LENGTH));
	EXPECT_EQ(0, present_at(self->fd, PLACE(0)));
	EXPECT_EQ(NR, present_at(self->fd, PLACE(1)));
	EXPECT_EQ(-1, filled_not(PLACE(0), LENGTH, 1));
}

TEST_HARNESS_MAIN
