// SPDX-License-Identifier: GPL-2.0
/*
 * UNMAP: the entries of every process go, and with FREE the pages, too.
 */
#include "mmext_selftest.h"

#define NR_PAGES	16

FIXTURE(unmap)
{
	int fd;
	size_t length;
	char *addr;
	struct peer peer;
};

BACKINGS(unmap);

FIXTURE_SETUP(unmap)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	fill(self->addr, self->length, 1);
}

FIXTURE_TEARDOWN(unmap)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

#define PAGE(n)	(self->addr + (n) * page_size)

TEST_F(unmap, drops_entries_and_keeps_data)
{
	ASSERT_EQ(0, region_unmap(self->fd, 0, self->length, 0));
	EXPECT_EQ(0, entries_present(self->fd, self->addr, self->length));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
}

TEST_F(unmap, drops_the_entries_of_every_process_and_mapping)
{
	char *other = region_map(self->fd, self->length, 4 * page_size);

	ASSERT_NE(MAP_FAILED, other);
	EXPECT_EQ(5, other[0]);
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(5, peer_peek(&self->peer, PAGE(4)));
	EXPECT_EQ(5, peer_peek(&self->peer, other));
	ASSERT_EQ(0, region_unmap(self->fd, 4 * page_size, page_size, 0));
	EXPECT_FALSE(entry_present(self->fd, PAGE(4)));
	EXPECT_FALSE(entry_present(self->fd, other));
	EXPECT_EQ(0, peer_entry(&self->peer, self->fd, PAGE(4)));
	EXPECT_EQ(0, peer_entry(&self->peer, self->fd, other));
	/* and of no other page */
	EXPECT_TRUE(entry_present(self->fd, PAGE(3)));
	EXPECT_TRUE(entry_present(self->fd, PAGE(5)));
	EXPECT_LT(0, peer_entry(&self->peer, self->fd, PAGE(3)));
	EXPECT_EQ(5, peer_peek(&self->peer, other));
	EXPECT_EQ(0, peer_stop(&self->peer));
	munmap(other, self->length);
}

TEST_F(unmap, free_makes_a_hole)
{
	struct mmext_info before, info;

	ASSERT_EQ(0, region_info(self->fd, &before));
	ASSERT_EQ(0, region_free(self->fd, 2 * page_size, 3 * page_size));
	EXPECT_EQ(NR_PAGES - 3, region_pages(self->fd));
	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(before.out_used - 3 * page_size, info.out_used);
	EXPECT_EQ(0, entries_present(self->fd, PAGE(2), 3 * page_size));
	EXPECT_TRUE(all_bytes(PAGE(2), 3 * page_size, 0));
	EXPECT_EQ(-1, filled_not(PAGE(0), 2 * page_size, 1));
	EXPECT_EQ(-1, filled_not(PAGE(5), 11 * page_size, 6));
}

TEST_F(unmap, freed_range_is_zeroes_in_every_process)
{
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(1, peer_peek(&self->peer, PAGE(0)));
	EXPECT_EQ(2, peer_peek(&self->peer, PAGE(1)));
	ASSERT_EQ(0, region_free(self->fd, 0, 2 * page_size));
	EXPECT_EQ(0, peer_peek(&self->peer, PAGE(0)));
	EXPECT_EQ(0, peer_peek(&self->peer, PAGE(1)));
	/* and shared again */
	EXPECT_EQ(0, peer_poke(&self->peer, PAGE(0), 33));
	EXPECT_EQ(33, *PAGE(0));
	EXPECT_EQ(0, peer_stop(&self->peer));
}

TEST_F(unmap, read_sees_the_hole)
{
	char buf[16];

	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	ASSERT_EQ(sizeof(buf), pread(self->fd, buf, sizeof(buf), 0));
	EXPECT_TRUE(all_bytes(buf, sizeof(buf), 0));
	EXPECT_EQ(NR_PAGES - 1, region_pages(self->fd));
}

TEST_F(unmap, store_after_free_is_on_a_fresh_page)
{
	memset(self->addr, 0xee, page_size);
	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	self->addr[100] = 1;
	EXPECT_TRUE(all_bytes(self->addr, 100, 0));
	EXPECT_EQ(1, self->addr[100]);
	EXPECT_TRUE(all_bytes(self->addr + 101, page_size - 101, 0));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(unmap, free_of_a_hole_does_nothing)
{
	EXPECT_EQ(0, region_free(self->fd, 1ULL << 40, 64 * MIB));
	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	EXPECT_EQ(0, region_free(self->fd, 0, page_size));
	EXPECT_EQ(NR_PAGES - 1, region_pages(self->fd));
}

TEST_F(unmap, free_of_what_no_one_has_mapped)
{
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 1ULL << 40));
	EXPECT_EQ(NR_PAGES + 1, region_pages(self->fd));
	EXPECT_EQ(0, region_free(self->fd, 1ULL << 40, page_size));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(unmap, to_end_takes_everything_behind_the_offset)
{
	struct mmext_unmap arg = {
		.size = sizeof(arg),
		.flags = MMEXT_UNMAP_FREE | MMEXT_UNMAP_TO_END,
		.offset = 6 * page_size,
	};
	char byte;

	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 1ULL << 45));
	ASSERT_EQ(0, call_all(self->fd, MMEXT_UNMAP, &arg));
	EXPECT_EQ(6, region_pages(self->fd));
	EXPECT_EQ(-1, filled_not(PAGE(0), 6 * page_size, 1));
	EXPECT_TRUE(all_bytes(PAGE(6), 10 * page_size, 0));
	ASSERT_EQ(1, pread(self->fd, &byte, 1, 1ULL << 45));
	EXPECT_EQ(0, byte);
}

TEST_F(unmap, to_end_without_free_keeps_the_pages)
{
	struct mmext_unmap arg = {
		.size = sizeof(arg),
		.flags = MMEXT_UNMAP_TO_END,
		.offset = 6 * page_size,
	};

	ASSERT_EQ(0, call_all(self->fd, MMEXT_UNMAP, &arg));
	EXPECT_EQ(6, entries_present(self->fd, self->addr, self->length));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
}

TEST_F(unmap, to_end_makes_a_range_of_itself)
{
	struct mmext_unmap arg = {
		.size = sizeof(arg),
		.flags = MMEXT_UNMAP_TO_END,
		.offset = page_size,
	};
	struct mmext_info info;
	int fd = region_open_length(4 * page_size);

	ASSERT_EQ(0, region_info(self->fd, &info));
	ASSERT_EQ(0, call(self->fd, MMEXT_UNMAP, &arg));
	EXPECT_EQ(0, arg.flags);
	EXPECT_EQ(0, arg.length);
	EXPECT_EQ(info.out_max_offset, arg.offset);
	ASSERT_GE(fd, 0);
	arg.flags = MMEXT_UNMAP_TO_END;
	arg.offset = page_size;
	ASSERT_EQ(0, call(fd, MMEXT_UNMAP, &arg));
	EXPECT_EQ(0, arg.flags);
	EXPECT_EQ(0, arg.length);
	EXPECT_EQ(4 * page_size, arg.offset);
	/* from the end to the end */
	arg.flags = MMEXT_UNMAP_TO_END;
	EXPECT_EQ(0, call(fd, MMEXT_UNMAP, &arg));
	arg.flags = MMEXT_UNMAP_TO_END;
	arg.offset = 5 * page_size;
	EXPECT_EQ(-EINVAL, call(fd, MMEXT_UNMAP, &arg));
	close(fd);
}

TEST_F(unmap, to_end_with_a_length_is_einval)
{
	struct mmext_unmap arg = {
		.size = sizeof(arg),
		.flags = MMEXT_UNMAP_TO_END | MMEXT_UNMAP_FREE,
		.length = page_size,
	};

	EXPECT_EQ(-EINVAL, call(self->fd, MMEXT_UNMAP, &arg));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(unmap, free_by_a_read_only_descriptor_is_ebadf)
{
	int fd = open(MMEXT_SHARED, O_RDONLY), rw = open(MMEXT_SHARED, O_RDWR);
	char *addr;

	ASSERT_GE(fd, 0);
	ASSERT_GE(rw, 0);
	addr = region_map(rw, page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	addr[0] = 1;
	EXPECT_EQ(-EBADF, region_free(fd, 0, page_size));
	EXPECT_EQ(1, addr[0]);
	EXPECT_TRUE(entry_present(rw, addr));
	EXPECT_EQ(0, region_unmap(fd, 0, page_size, 0));
	EXPECT_FALSE(entry_present(rw, addr));
	EXPECT_EQ(1, addr[0]);
	EXPECT_EQ(0, region_free(rw, 0, page_size));
	munmap(addr, page_size);
	close(fd);
	close(rw);
}

TEST_F(unmap, finds_mappings_that_begin_elsewhere)
{
	/* each shows page 5: at its begin, at its end, in the middle */
	static const int first[] = { 5, 2, 3 }, nr[] = { 4, 4, 6 };
	char *addr[ARRAY_SIZE(first)], *behind, *before;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(first); i++) {
		addr[i] = region_map(self->fd, nr[i] * page_size,
				     first[i] * page_size);
		ASSERT_NE(MAP_FAILED, addr[i]);
		EXPECT_EQ(-1, filled_not(addr[i], nr[i] * page_size,
					 first[i] + 1));
	}
	before = region_map(self->fd, 5 * page_size, 0);
	ASSERT_NE(MAP_FAILED, before);
	EXPECT_EQ(-1, filled_not(before, 5 * page_size, 1));
	behind = region_map(self->fd, 2 * page_size, 6 * page_size);
	ASSERT_NE(MAP_FAILED, behind);
	EXPECT_EQ(-1, filled_not(behind, 2 * page_size, 7));

	ASSERT_EQ(0, region_unmap(self->fd, 5 * page_size, page_size, 0));
	for (i = 0; i < ARRAY_SIZE(first); i++) {
		EXPECT_FALSE(entry_present(self->fd, addr[i] +
					   (5 - first[i]) * page_size));
		EXPECT_EQ(nr[i] - 1, entries_present(self->fd, addr[i],
						     nr[i] * page_size));
	}
	EXPECT_EQ(5, entries_present(self->fd, before, 5 * page_size));
	EXPECT_EQ(2, entries_present(self->fd, behind, 2 * page_size));
}

TEST_F(unmap, finds_what_became_of_a_mapping)
{
	char *place = mmap(NULL, page_size, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, place);
	/* split by munmap(), moved by mremap(), split by mprotect() */
	ASSERT_EQ(0, munmap(PAGE(2), page_size));
	ASSERT_EQ(place, mremap(PAGE(4), page_size, page_size,
				MREMAP_MAYMOVE | MREMAP_FIXED, place));
	ASSERT_EQ(0, mprotect(PAGE(6), page_size, PROT_READ));
	EXPECT_TRUE(entry_present(self->fd, place));
	ASSERT_EQ(0, region_free(self->fd, 0, self->length));
	EXPECT_EQ(0, peek(place));
	EXPECT_EQ(0, peek(PAGE(0)));
	EXPECT_EQ(0, peek(PAGE(3)));
	EXPECT_EQ(0, peek(PAGE(6)));
	EXPECT_EQ(0, peek(PAGE(7)));
	EXPECT_EQ(-SIGSEGV, peek(PAGE(2)));
	EXPECT_EQ(-SIGSEGV, peek(PAGE(4)));
}

TEST_F(unmap, crosses_table_borders)
{
	size_t from = TABLE - 3 * page_size, length = TABLE + 6 * page_size;
	char *addr = region_map_aligned(self->fd, 3 * TABLE, 0);

	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, 3 * TABLE, 1);
	ASSERT_EQ(0, region_free(self->fd, from, length));
	EXPECT_EQ(0, entries_present(self->fd, addr + from, length));
	EXPECT_EQ((3 * TABLE - length) / page_size,
		  entries_present(self->fd, addr, 3 * TABLE));
	EXPECT_TRUE(all_bytes(addr + from, length, 0));
	EXPECT_EQ(-1, filled_not(addr, from, 1));
	EXPECT_EQ(-1, filled_not(addr + from + length,
				 3 * TABLE - from - length,
				 1 + (from + length) / page_size));
	munmap(addr, 3 * TABLE);
}

TEST_F(unmap, free_of_many_pages)
{
	size_t length = 48 * MIB;
	char *addr = region_map(self->fd, length, 0);

	ASSERT_NE(MAP_FAILED, addr);
	ASSERT_EQ(0, region_populate(self->fd, addr, length, 0));
	ASSERT_EQ(0, region_free(self->fd, page_size, length - page_size));
	EXPECT_EQ(1, region_pages(self->fd));
	EXPECT_EQ(1, addr[0]);
	EXPECT_EQ(0, addr[page_size]);
	EXPECT_EQ(0, addr[length - 1]);
	munmap(addr, length);
}

TEST_HARNESS_MAIN
