// SPDX-License-Identifier: GPL-2.0
/*
 * Regions with HUGE: aligned blocks are backed in one piece, and mapped by one
 * entry.  Where that has no effect, all of this is to hold with small pages, and
 * nothing is to be seen but them.
 */
#include "mmext_selftest.h"

#include <sys/ptrace.h>

#define BLOCK		TABLE
#define NR_BLOCKS	4
#define LENGTH		(NR_BLOCKS * BLOCK)

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define TIMEOUT		120

static int region_open_huge(__u64 length, __u32 backing)
{
	struct mmext_setup arg = {
		.size = sizeof(arg),
		.flags = MMEXT_SETUP_HUGE,
		.length = length,
		.backing = backing,
	};
	int fd = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0 && call(fd, MMEXT_SETUP, &arg)) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool has_huge(int fd)
{
	struct mmext_info info;

	return !region_info(fd, &info) &&
	       info.out_features & MMEXT_FEATURE_HUGE;
}

/* log2 of what the entry of an address maps; 0: none. */
static int level(int fd, const void *addr)
{
	struct mmext_entry entry = { 0 };
	int ret = region_lookup(fd, (void *)addr, page_size, &entry);

	return ret ? ret : (int)entry.shift;
}

FIXTURE(huge)
{
	int fd;
	char *addr;
	bool huge;
	bool kernel;
	/* what an entry of a whole block is, and of a part of one */
	int block;
	int page;
	size_t pages;
	struct peer peer;
};

FIXTURE_SETUP(huge)
{
	struct mmext_info info;

	self->fd = region_open_huge(LENGTH, MMEXT_BACKING_PFN);
	ASSERT_GE(self->fd, 0);
	self->addr = region_map(self->fd, LENGTH, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	self->huge = has_huge(self->fd);
	ASSERT_EQ(0, region_info(self->fd, &info));
	self->kernel = info.out_tlb == MMEXT_TLB_KERNEL;
	self->page = __builtin_ctzl(page_size);
	self->block = self->huge ? __builtin_ctzl(BLOCK) : self->page;
	self->pages = BLOCK / page_size;
	fault_catch();
}

FIXTURE_TEARDOWN(huge)
{
	munmap(self->addr, LENGTH);
	close(self->fd);
}

#define AT(n)		(self->addr + (n) * BLOCK)
#define LEVEL(n)	level(self->fd, AT(n))
#define FILL(n, val)	fill(AT(n), BLOCK, val)
#define FILLED(n, val)	EXPECT_EQ(-1, filled_not(AT(n), BLOCK, val))

/* What is left of a block after something was done to a part of it. */
#define NONE_OR_PAGE	(self->huge ? 0 : self->page)

TEST(info_says_whether_it_has_an_effect)
{
	int fd = region_open_huge(0, MMEXT_BACKING_PFN);
	struct mmext_info info;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, region_info(fd, &info));
	EXPECT_EQ(page_size | (has_huge(fd) ? BLOCK : 0), info.out_page_sizes);
	close(fd);
}

TEST_F(huge, mappings_are_aligned)
{
	char *odd;

	if (self->huge)
		EXPECT_EQ(0, (uintptr_t)self->addr % BLOCK);
	/* to the offset, and not to the address */
	odd = region_map(self->fd, LENGTH - page_size, page_size);
	ASSERT_NE(MAP_FAILED, odd);
	if (self->huge)
		EXPECT_EQ(page_size, (uintptr_t)odd % BLOCK);
	EXPECT_EQ(0, odd[0]);
	munmap(odd, LENGTH - page_size);
}

TEST_F(huge, first_store_maps_a_block)
{
	self->addr[5] = 1;
	EXPECT_EQ(self->block, LEVEL(0));
	EXPECT_EQ(self->block, level(self->fd, AT(0) + BLOCK - page_size) ?:
			       self->page);
	EXPECT_EQ(0, LEVEL(1));
	EXPECT_EQ(MMEXT_ENTRY_PRESENT | MMEXT_ENTRY_WRITABLE |
		  MMEXT_ENTRY_DIRTY | MMEXT_ENTRY_YOUNG,
		  entry_flags(self->fd, self->addr));
	EXPECT_EQ(self->huge ? self->pages : 1, region_pages(self->fd));
	EXPECT_EQ(1, region_stat(self->fd, "faults"));
	EXPECT_EQ(1, region_stat(self->fd, "inserted"));
	EXPECT_EQ(self->huge, region_stat(self->fd, "huge"));
	EXPECT_EQ(1, self->addr[5]);
	self->addr[5] = 0;
	EXPECT_TRUE(all_bytes(self->addr, BLOCK, 0));
	if (self->huge)
		EXPECT_EQ(1, region_stat(self->fd, "faults"));
}

TEST_F(huge, first_load_maps_a_block)
{
	EXPECT_EQ(0, self->addr[BLOCK + 5]);
	EXPECT_EQ(self->block, LEVEL(1));
	EXPECT_FALSE(entry_flags(self->fd, AT(1)) & MMEXT_ENTRY_DIRTY);
	FILL(1, 3);
	FILLED(1, 3);
	EXPECT_TRUE(entry_flags(self->fd, AT(1)) & MMEXT_ENTRY_DIRTY);
	if (self->huge)
		EXPECT_EQ(1, region_stat(self->fd, "faults"));
}

TEST_F(huge, lookup_names_each_frame)
{
	struct mmext_entry entries[8];
	int i;

	FILL(0, 1);
	ASSERT_EQ(0, region_lookup(self->fd, self->addr, 8 * page_size,
				   entries));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(self->block, entries[i].shift);
		if (self->huge)
			EXPECT_EQ(entries[0].pfn + i, entries[i].pfn);
	}
	if (self->huge)
		EXPECT_EQ(0, entries[0].pfn % self->pages);
}

TEST_F(huge, write_backs_a_block_for_the_mapping_to_come)
{
	char byte = 7;

	ASSERT_EQ(1, pwrite(self->fd, &byte, 1, BLOCK + 3));
	EXPECT_EQ(self->huge ? self->pages : 1, region_pages(self->fd));
	EXPECT_EQ(7, AT(1)[3]);
	EXPECT_EQ(self->block, LEVEL(1));
}

TEST_F(huge, populate_maps_blocks)
{
	int i;

	ASSERT_EQ(0, region_populate(self->fd, self->addr, LENGTH,
				     MMEXT_POPULATE_WRITE));
	for (i = 0; i < NR_BLOCKS; i++) {
		EXPECT_EQ(self->block, LEVEL(i));
		EXPECT_EQ(MMEXT_ENTRY_PRESENT | MMEXT_ENTRY_WRITABLE,
			  entry_flags(self->fd, AT(i)) &
			  (MMEXT_ENTRY_PRESENT | MMEXT_ENTRY_WRITABLE));
	}
	EXPECT_EQ(LENGTH / page_size, entries_present(self->fd, self->addr,
						      LENGTH));
	EXPECT_EQ(LENGTH / page_size, region_pages(self->fd));
	EXPECT_EQ(self->huge ? NR_BLOCKS : 0, region_stat(self->fd, "huge"));
	fill(self->addr, LENGTH, 1);
	EXPECT_EQ(-1, filled_not(self->addr, LENGTH, 1));
	if (!self->huge)
		EXPECT_EQ(0, region_stat(self->fd, "faults"));
}

TEST_F(huge, populate_without_write_makes_read_only_entries)
{
	__u32 writable = MMEXT_ENTRY_WRITABLE | MMEXT_ENTRY_DIRTY;

	ASSERT_EQ(0, region_populate(self->fd, self->addr, LENGTH, 0));
	EXPECT_EQ(self->block, LEVEL(0));
	EXPECT_EQ(self->block, LEVEL(1));
	EXPECT_EQ(0, entry_flags(self->fd, AT(0)) & writable);
	EXPECT_EQ(0, entry_flags(self->fd, AT(1)) & writable);
	EXPECT_TRUE(all_bytes(self->addr, LENGTH, 0));
	/* a store makes it writable, and keeps it whole */
	EXPECT_EQ(0, poke(AT(1) + 5, 1));
	EXPECT_EQ(self->block, LEVEL(1));
	EXPECT_EQ(writable, entry_flags(self->fd, AT(1)) & writable);
	EXPECT_EQ(0, entry_flags(self->fd, AT(0)) & writable);
	EXPECT_EQ(1, region_stat(self->fd, "faults-mkwrite"));
	EXPECT_EQ(1, AT(1)[5]);
	/* and so does populate */
	ASSERT_EQ(0, region_populate(self->fd, AT(2), BLOCK,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(self->block, LEVEL(2));
	EXPECT_TRUE(entry_flags(self->fd, AT(2)) & MMEXT_ENTRY_WRITABLE);
}

TEST_F(huge, populate_maps_what_others_made)
{
	char *other = region_map(self->fd, LENGTH, 0);

	ASSERT_NE(MAP_FAILED, other);
	fill(other, LENGTH, 4);
	ASSERT_EQ(0, region_populate(self->fd, self->addr, LENGTH,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(self->block, LEVEL(0));
	EXPECT_EQ(self->block, LEVEL(3));
	EXPECT_EQ(-1, filled_not(self->addr, LENGTH, 4));
	munmap(other, LENGTH);
}

TEST_F(huge, populate_of_parts_fills_them)
{
	/* the end of one, all of the next, the beginning of a third */
	ASSERT_EQ(0, region_populate(self->fd, AT(1) - 3 * page_size,
				     BLOCK + 7 * page_size, 0));
	EXPECT_EQ(self->pages + 7, entries_present(self->fd, self->addr,
						   LENGTH));
	EXPECT_EQ(self->page, level(self->fd, AT(1) - page_size));
	EXPECT_EQ(self->block, LEVEL(1));
	EXPECT_EQ(self->page, LEVEL(2));
	fill(self->addr, LENGTH, 9);
	EXPECT_EQ(-1, filled_not(self->addr, LENGTH, 9));
	/* parts of what is there in whole */
	ASSERT_EQ(0, region_populate(self->fd, AT(1) + page_size, page_size,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(self->block, LEVEL(1));
	EXPECT_EQ(-1, filled_not(self->addr, LENGTH, 9));
}

TEST_F(huge, populate_makes_part_of_a_read_only_block_writable)
{
	ASSERT_EQ(0, region_populate(self->fd, AT(1), BLOCK, 0));
	ASSERT_EQ(0, region_populate(self->fd, AT(1) + page_size, page_size,
				     MMEXT_POPULATE_WRITE));
	EXPECT_TRUE(entry_flags(self->fd, AT(1) + page_size) &
		    MMEXT_ENTRY_WRITABLE);
	EXPECT_FALSE(entry_flags(self->fd, AT(1)) & MMEXT_ENTRY_WRITABLE);
	EXPECT_EQ(self->page, level(self->fd, AT(1) + page_size));
	FILL(1, 1);
	FILLED(1, 1);
}

/* Far from all else, where not even the levels above the tables are there. */
TEST_F(huge, populate_maps_a_block_where_there_are_no_tables)
{
	char *far = (char *)(BLOCK << 21);

	munmap(self->addr, LENGTH);
	far = mmap(far, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		   self->fd, 0);
	ASSERT_NE(MAP_FAILED, far);
	self->addr = far;
	ASSERT_EQ(0, region_populate(self->fd, self->addr, LENGTH, 0));
	EXPECT_EQ(self->block, LEVEL(0));
	EXPECT_EQ(self->block, LEVEL(1));
	EXPECT_FALSE(entry_flags(self->fd, AT(0)) & MMEXT_ENTRY_WRITABLE);
	EXPECT_TRUE(all_bytes(self->addr, LENGTH, 0));
}

TEST_F(huge, zap_of_a_part_drops_all_of_it)
{
	FILL(0, 1);
	FILL(1, 2);
	ASSERT_EQ(0, region_zap(self->fd, AT(1) - page_size, page_size));
	EXPECT_EQ(0, level(self->fd, AT(1) - page_size));
	EXPECT_EQ(NONE_OR_PAGE, LEVEL(0));
	EXPECT_EQ(self->block, LEVEL(1));
	FILLED(0, 1);
	FILLED(1, 2);
	/* nothing changed what it shows, so it is whole again */
	EXPECT_EQ(self->block, LEVEL(0));
}

TEST_F(huge, zap_of_all_drops_all)
{
	fill(self->addr, LENGTH, 1);
	ASSERT_EQ(0, region_zap(self->fd, self->addr, LENGTH));
	EXPECT_EQ(0, entries_present(self->fd, self->addr, LENGTH));
	fill(self->addr, LENGTH, 2);
	ASSERT_EQ(0, region_unmap(self->fd, 0, LENGTH, 0));
	EXPECT_EQ(0, entries_present(self->fd, self->addr, LENGTH));
	EXPECT_EQ(-1, filled_not(self->addr, LENGTH, 2));
	EXPECT_EQ(self->block, LEVEL(0));
}

TEST_F(huge, munmap_of_a_part_leaves_the_rest)
{
	char *hole = AT(1) + 16 * page_size;

	FILL(1, 1);
	ASSERT_EQ(0, munmap(hole, page_size));
	EXPECT_EQ(-SIGSEGV, peek(hole));
	EXPECT_EQ(-1, filled_not(AT(1), 16 * page_size, 1));
	EXPECT_EQ(-1, filled_not(hole + page_size, BLOCK - 17 * page_size,
				 1 + 17));
	EXPECT_EQ(self->page, level(self->fd, AT(1)));
	EXPECT_EQ(0, poke(AT(1), 3));
	EXPECT_EQ(3, *AT(1));
}

TEST_F(huge, mprotect_of_a_part)
{
	char *part = AT(1) + 16 * page_size;

	FILL(1, 1);
	ASSERT_EQ(0, mprotect(part, page_size, PROT_READ));
	EXPECT_EQ(-SIGSEGV, poke(part, 9));
	FILLED(1, 1);
	EXPECT_EQ(0, poke(part - 1, 9));
	EXPECT_EQ(0, poke(part + page_size, 17 + 1));
	EXPECT_EQ(self->page, level(self->fd, part));
	ASSERT_EQ(0, mprotect(part, page_size, PROT_READ | PROT_WRITE));
	FILL(1, 2);
	FILLED(1, 2);
}

TEST_F(huge, mprotect_of_a_block)
{
	FILL(1, 1);
	ASSERT_EQ(0, mprotect(AT(1), BLOCK, PROT_READ));
	EXPECT_EQ(self->block, LEVEL(1));
	EXPECT_EQ(-SIGSEGV, poke(AT(1) + 5 * page_size, 9));
	FILLED(1, 1);
	ASSERT_EQ(0, mprotect(AT(1), BLOCK, PROT_NONE));
	EXPECT_EQ(-SIGSEGV, peek(AT(1)));
	ASSERT_EQ(0, mprotect(AT(1), BLOCK, PROT_READ | PROT_WRITE));
	FILLED(1, 1);
	FILL(1, 2);
	FILLED(1, 2);
	EXPECT_EQ(self->block, LEVEL(1));
	/* of a mapping that was read-only from the start */
	ASSERT_EQ(0, mprotect(AT(2), BLOCK, PROT_READ));
	EXPECT_EQ(0, peek(AT(2)));
	EXPECT_EQ(self->block, LEVEL(2));
	EXPECT_FALSE(entry_flags(self->fd, AT(2)) & MMEXT_ENTRY_WRITABLE);
}

TEST_F(huge, mremap_moves_a_block)
{
	char *to = region_map_aligned(self->fd, 2 * BLOCK, 0);

	ASSERT_NE(MAP_FAILED, to);
	ASSERT_EQ(0, munmap(to, 2 * BLOCK));
	FILL(1, 1);
	ASSERT_EQ(to, mremap(AT(1), BLOCK, BLOCK,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(self->block, level(self->fd, to));
	EXPECT_EQ(-1, filled_not(to, BLOCK, 1));
	EXPECT_EQ(-SIGSEGV, peek(AT(1)));
	/* what was moved is unmapped as well */
	ASSERT_EQ(0, region_free(self->fd, BLOCK, BLOCK));
	EXPECT_TRUE(all_bytes(to, BLOCK, 0));
	munmap(to, BLOCK);
}

TEST_F(huge, mremap_to_where_it_does_not_fit)
{
	char *to = region_map_aligned(self->fd, 2 * BLOCK, 0) + page_size;

	ASSERT_EQ(0, munmap(to - page_size, 2 * BLOCK));
	FILL(1, 1);
	ASSERT_EQ(to, mremap(AT(1), BLOCK, BLOCK,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	EXPECT_EQ(-1, filled_not(to, BLOCK, 1));
	EXPECT_EQ(self->page, level(self->fd, to));
	fill(to, BLOCK, 2);
	EXPECT_EQ(-1, filled_not(to, BLOCK, 2));
	munmap(to, BLOCK);
}

TEST_F(huge, a_mapping_that_is_not_aligned_has_small_pages)
{
	char *at = region_map_aligned(self->fd, 2 * BLOCK, 0) + page_size;
	char *odd;

	ASSERT_EQ(0, munmap(at - page_size, 2 * BLOCK));
	odd = mmap(at, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		   self->fd, 0);
	ASSERT_EQ(at, odd);
	fill(odd, BLOCK, 5);
	EXPECT_EQ(self->page, level(self->fd, odd));
	FILLED(0, 5);
	EXPECT_EQ(self->block, LEVEL(0));
	ASSERT_EQ(0, region_zap(self->fd, odd, BLOCK));
	ASSERT_EQ(0, region_populate(self->fd, odd, BLOCK, 0));
	EXPECT_EQ(self->page, level(self->fd, odd));
	EXPECT_EQ(-1, filled_not(odd, BLOCK, 5));
	munmap(odd, BLOCK);
}

TEST_F(huge, a_region_may_end_inside_of_a_block)
{
	int fd = region_open_huge(BLOCK + 3 * page_size, MMEXT_BACKING_PFN);
	char *addr;

	ASSERT_GE(fd, 0);
	addr = region_map(fd, BLOCK + 3 * page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, BLOCK + 3 * page_size, 1);
	EXPECT_EQ(-1, filled_not(addr, BLOCK + 3 * page_size, 1));
	EXPECT_EQ(self->block, level(fd, addr));
	EXPECT_EQ(self->page, level(fd, addr + BLOCK));
	EXPECT_EQ(self->pages + 3, region_pages(fd));
	munmap(addr, BLOCK + 3 * page_size);
	close(fd);
}

TEST_F(huge, pages_with_references_are_small)
{
	int fd = region_open_huge(0, MMEXT_BACKING_PAGE);
	char *addr;

	ASSERT_GE(fd, 0);
	addr = region_map(fd, LENGTH, 0);
	ASSERT_NE(MAP_FAILED, addr);
	addr[0] = 1;
	EXPECT_EQ(self->page, level(fd, addr));
	EXPECT_EQ(1, region_pages(fd));
	munmap(addr, LENGTH);
	close(fd);
}

TEST_F(huge, a_region_without_it_has_small_pages)
{
	int fd = region_open();
	char *addr;

	ASSERT_GE(fd, 0);
	addr = region_map_aligned(fd, LENGTH, 0);
	ASSERT_NE(MAP_FAILED, addr);
	/* whatever the program asks of the kernel */
	madvise(addr, LENGTH, MADV_HUGEPAGE);
	fill(addr, LENGTH, 1);
	EXPECT_EQ(self->page, level(fd, addr));
	EXPECT_EQ(0, region_stat(fd, "huge"));
	munmap(addr, LENGTH);
	close(fd);
}

TEST_F(huge, madvise_nohugepage_is_heeded)
{
	FILL(0, 1);
	/* -EINVAL where the kernel has none */
	madvise(self->addr, LENGTH, MADV_NOHUGEPAGE);
	FILL(1, 2);
	EXPECT_EQ(self->page, LEVEL(1));
	ASSERT_EQ(0, region_populate(self->fd, AT(2), BLOCK, 0));
	EXPECT_EQ(self->page, LEVEL(2));
	/* parts of what was there before */
	ASSERT_EQ(0, region_populate(self->fd, AT(0) + page_size, page_size,
				     MMEXT_POPULATE_WRITE));
	FILLED(0, 1);
	FILLED(1, 2);
}

TEST_F(huge, madvise_dontneed_is_refused)
{
	FILL(1, 1);
	EXPECT_EQ(-1, madvise(AT(1), BLOCK, MADV_DONTNEED));
	EXPECT_EQ(self->block, LEVEL(1));
	FILLED(1, 1);
}

TEST_F(huge, mlock_and_get_user_pages)
{
	struct iovec local, remote = { .iov_base = self->addr, .iov_len = 1 };
	char byte;

	self->addr[0] = 1;
	EXPECT_EQ(0, mlock(self->addr, LENGTH));
	EXPECT_EQ(self->block, LEVEL(0));
	EXPECT_EQ(0, munlock(self->addr, LENGTH));
	local.iov_base = &byte;
	local.iov_len = 1;
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(huge, fork_shows_the_same)
{
	int flags;
	pid_t pid;

	FILL(0, 1);
	FILL(1, 2);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* a fork in flight is to keep no entry that is taken out */
		if (self->huge)
			CHILD_CHECK(!entries_present(self->fd, self->addr,
						     LENGTH));
		CHILD_CHECK(filled_not(AT(0), BLOCK, 1) == -1);
		CHILD_CHECK(LEVEL(0) == self->block);
		fill(AT(1), BLOCK, 3);
		CHILD_CHECK(LEVEL(1) == self->block);
		CHILD_CHECK(!munmap(AT(1) + page_size, page_size));
		CHILD_CHECK(filled_not(AT(1) + 2 * page_size, 4 * page_size,
				       3 + 2) == -1);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	FILLED(0, 1);
	FILLED(1, 3);
	EXPECT_EQ(self->block, LEVEL(0));
	flags = entry_flags(self->fd, AT(0));
	EXPECT_TRUE(flags & MMEXT_ENTRY_WRITABLE);
}

/* Of a fork of a fork, and when the program wants it the other way. */
TEST_F(huge, no_fork_copies_a_block)
{
	pid_t pid, grandchild;

	FILL(0, 1);
	madvise(self->addr, LENGTH, MADV_KEEPONFORK);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		CHILD_CHECK(filled_not(AT(0), BLOCK, 1) == -1);
		madvise(self->addr, LENGTH, MADV_KEEPONFORK);
		grandchild = fork();
		if (!grandchild) {
			if (self->huge)
				CHILD_CHECK(!entries_present(self->fd,
							     self->addr,
							     LENGTH));
			CHILD_CHECK(filled_not(AT(0), BLOCK, 1) == -1);
			_exit(0);
		}
		CHILD_CHECK(!child_status(grandchild));
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
}

TEST_F(huge, exchange_of_blocks_keeps_them_whole)
{
	FILL(0, 1);
	FILL(1, 2);
	FILL(2, 3);
	FILL(3, 4);
	ASSERT_EQ(0, region_exchange(self->fd, 0, 2 * BLOCK, 2 * BLOCK));
	FILLED(0, 3);
	FILLED(1, 4);
	FILLED(2, 1);
	FILLED(3, 2);
	EXPECT_EQ(self->block, LEVEL(0));
	EXPECT_EQ(self->block, LEVEL(3));
}

TEST_F(huge, exchange_with_a_hole)
{
	FILL(1, 2);
	ASSERT_EQ(0, region_exchange(self->fd, BLOCK, 3 * BLOCK, BLOCK));
	EXPECT_TRUE(all_bytes(AT(1), BLOCK, 0));
	FILLED(3, 2);
	EXPECT_EQ(self->block, LEVEL(3));
	EXPECT_EQ(self->block, LEVEL(1));
}

TEST_F(huge, exchange_of_parts_makes_blocks_small)
{
	size_t from = 3 * page_size, to = 2 * BLOCK + 8 * page_size;

	FILL(0, 1);
	FILL(1, 2);
	FILL(2, 3);
	ASSERT_EQ(0, region_exchange(self->fd, from, to, 4 * page_size));
	EXPECT_EQ(NONE_OR_PAGE, LEVEL(0));
	EXPECT_EQ(self->block, LEVEL(1));
	EXPECT_EQ(-1, filled_not(AT(0), 3 * page_size, 1));
	EXPECT_EQ(-1, filled_not(self->addr + from, 4 * page_size, 3 + 8));
	EXPECT_EQ(-1, filled_not(AT(0) + 7 * page_size, BLOCK - 7 * page_size,
				 1 + 7));
	EXPECT_EQ(-1, filled_not(self->addr + to, 4 * page_size, 1 + 3));
	EXPECT_EQ(-1, filled_not(AT(2) + 12 * page_size, BLOCK - 12 * page_size,
				 3 + 12));
	EXPECT_EQ(self->page, LEVEL(0));
	EXPECT_EQ(self->page, LEVEL(2));
	/* each where it was, but not known to be in one piece */
	ASSERT_EQ(0, region_exchange(self->fd, from, to, 4 * page_size));
	FILLED(0, 1);
	FILLED(2, 3);
}

TEST_F(huge, blocks_that_are_exchanged_across_each_other)
{
	fill(self->addr, LENGTH, 1);
	ASSERT_EQ(0, region_exchange(self->fd, page_size, 2 * BLOCK, BLOCK));
	EXPECT_EQ(-1, filled_not(AT(0), page_size, 1));
	EXPECT_EQ(-1, filled_not(AT(0) + page_size, BLOCK,
				 1 + 2 * self->pages));
	EXPECT_EQ(-1, filled_not(AT(2), BLOCK, 1 + 1));
	EXPECT_EQ(self->page, LEVEL(0));
	EXPECT_EQ(self->page, LEVEL(2));
	EXPECT_EQ(self->block, LEVEL(3));
}

TEST_F(huge, alias_of_a_block)
{
	FILL(0, 1);
	FILL(1, 2);
	ASSERT_EQ(0, region_alias(self->fd, 0, BLOCK, BLOCK));
	FILLED(1, 1);
	EXPECT_EQ(self->block, LEVEL(1));
	EXPECT_EQ(self->pages, region_pages(self->fd));
	FILL(1, 7);
	FILLED(0, 7);
	/* what one of them drops, the other keeps */
	ASSERT_EQ(0, region_free(self->fd, 0, BLOCK));
	FILLED(1, 7);
	EXPECT_TRUE(all_bytes(AT(0), BLOCK, 0));
	EXPECT_EQ(self->block, LEVEL(0));
	EXPECT_EQ(self->block, LEVEL(1));
	/* parts of parts */
	ASSERT_EQ(0, region_alias(self->fd, BLOCK, page_size, 2 * page_size));
	EXPECT_EQ(-1, filled_not(AT(0) + page_size, 2 * page_size, 7));
	EXPECT_EQ(0, *AT(0));
	ASSERT_EQ(0, region_free(self->fd, BLOCK, BLOCK));
	EXPECT_EQ(-1, filled_not(AT(0) + page_size, 2 * page_size, 7));
}

TEST_F(huge, protect_of_a_part)
{
	size_t part = BLOCK + 16 * page_size;

	FILL(1, 1);
	ASSERT_EQ(0, region_protect(self->fd, part, page_size,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(-SIGSEGV, poke(self->addr + part, 9));
	FILLED(1, 1);
	EXPECT_EQ(0, poke(self->addr + part - 1, 1));
	EXPECT_EQ(0, poke(self->addr + part + page_size, 1 + 17));
	EXPECT_EQ(-SIGSEGV, poke(self->addr + part, 9));
	FILLED(1, 1);
	EXPECT_EQ(self->page, LEVEL(1));
	ASSERT_EQ(0, region_protect(self->fd, part, page_size, 0));
	FILL(1, 3);
	FILLED(1, 3);
}

TEST_F(huge, protect_of_a_block_that_nothing_maps)
{
	FILL(1, 1);
	ASSERT_EQ(0, region_protect(self->fd, BLOCK + page_size, page_size,
				    MMEXT_PROTECT_READ_ONLY));
	ASSERT_EQ(0, region_populate(self->fd, AT(1), BLOCK,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(0, poke(AT(1), 1));
	EXPECT_EQ(-SIGSEGV, poke(AT(1) + page_size, 1));
	FILLED(1, 1);
	/* a hole that is protected is filled with the others around it */
	ASSERT_EQ(0, region_protect(self->fd, 2 * BLOCK + page_size, page_size,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(0, poke(AT(2), 1));
	EXPECT_EQ(-SIGSEGV, poke(AT(2) + page_size, 1));
	EXPECT_EQ(0, *(AT(2) + page_size));
	EXPECT_EQ(self->page, LEVEL(2));
}

TEST_F(huge, dirty_log_of_a_part)
{
	__u64 marks[8];

	FILL(0, 1);
	FILL(1, 2);
	ASSERT_EQ(0, dirty_start(self->fd, BLOCK + 2 * page_size, 2 * page_size));
	/* the kernel's own zap takes out what is around them as well */
	EXPECT_EQ(self->kernel ? 0 : NONE_OR_PAGE, LEVEL(1));
	EXPECT_EQ(self->block, LEVEL(0));
	EXPECT_EQ(0, poke(AT(1) + page_size, 9));
	EXPECT_EQ(0, poke(AT(1) + 3 * page_size, 9));
	EXPECT_EQ(self->page, level(self->fd, AT(1) + 3 * page_size));
	ASSERT_EQ(0, dirty_call(self->fd, MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR,
				BLOCK, BLOCK, marks, 0));
	EXPECT_EQ(1ULL << 3, marks[0]);
	EXPECT_EQ(0, poke(AT(1) + 2 * page_size, 9));
	EXPECT_EQ(0, poke(AT(1) + 3 * page_size, 9));
	ASSERT_EQ(0, dirty_call(self->fd, MMEXT_DIRTY_GET, BLOCK, BLOCK,
				marks, 0));
	EXPECT_EQ(3ULL << 2, marks[0]);
}

TEST_F(huge, dirty_log_of_a_block_that_nothing_maps)
{
	__u64 marks[8];

	FILL(1, 2);
	ASSERT_EQ(0, region_zap(self->fd, AT(1), BLOCK));
	ASSERT_EQ(0, dirty_start(self->fd, 0, LENGTH));
	FILLED(1, 2);
	EXPECT_EQ(0, poke(AT(1) + 5 * page_size, 9));
	EXPECT_EQ(0, poke(AT(2) + 5 * page_size, 9));
	ASSERT_EQ(0, dirty_call(self->fd, MMEXT_DIRTY_GET, BLOCK, BLOCK,
				marks, 0));
	EXPECT_EQ(1ULL << 5, marks[0]);
	ASSERT_EQ(0, dirty_call(self->fd, MMEXT_DIRTY_GET, 2 * BLOCK, BLOCK,
				marks, 0));
	EXPECT_EQ(1ULL << 5, marks[0]);
	/* without the log it may be whole again, once nothing of it is mapped */
	ASSERT_EQ(0, dirty_stop(self->fd, 0, LENGTH));
	ASSERT_EQ(AT(1), mmap(AT(1), BLOCK, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, self->fd, BLOCK));
	EXPECT_EQ(9, *(AT(1) + 5 * page_size));
	EXPECT_EQ(self->block, level(self->fd, AT(1) + 5 * page_size));
}

TEST_F(huge, dirty_log_of_a_read_only_block)
{
	__u64 marks[8];

	ASSERT_EQ(0, region_populate(self->fd, AT(1), BLOCK, 0));
	ASSERT_EQ(0, dirty_start(self->fd, BLOCK, BLOCK));
	EXPECT_EQ(0, poke(AT(1) + 5 * page_size, 9));
	ASSERT_EQ(0, dirty_call(self->fd, MMEXT_DIRTY_GET, BLOCK, BLOCK,
				marks, 0));
	EXPECT_EQ(1ULL << 5, marks[0]);
	EXPECT_EQ(0, poke(AT(1) + 6 * page_size, 9));
	ASSERT_EQ(0, dirty_call(self->fd, MMEXT_DIRTY_GET, BLOCK, BLOCK,
				marks, 0));
	EXPECT_EQ(3ULL << 5, marks[0]);
}

TEST_F(huge, free_of_a_part)
{
	size_t part = BLOCK + 16 * page_size;

	FILL(1, 1);
	ASSERT_EQ(0, region_free(self->fd, part, page_size));
	EXPECT_EQ(self->pages - 1, region_pages(self->fd));
	EXPECT_EQ(NONE_OR_PAGE, LEVEL(1));
	EXPECT_TRUE(all_bytes(self->addr + part, page_size, 0));
	EXPECT_EQ(-1, filled_not(AT(1), 16 * page_size, 1));
	EXPECT_EQ(-1, filled_not(self->addr + part + page_size,
				 BLOCK - 17 * page_size, 1 + 17));
	EXPECT_EQ(self->page, LEVEL(1));
	EXPECT_EQ(self->pages, region_pages(self->fd));
	FILL(1, 3);
	FILLED(1, 3);
}

TEST_F(huge, free_of_a_block)
{
	fill(self->addr, LENGTH, 1);
	ASSERT_EQ(0, region_free(self->fd, BLOCK, 2 * BLOCK));
	EXPECT_EQ(2 * self->pages, region_pages(self->fd));
	EXPECT_EQ(0, LEVEL(1));
	FILLED(0, 1);
	EXPECT_TRUE(all_bytes(AT(1), 2 * BLOCK, 0));
	EXPECT_EQ(self->block, LEVEL(1));
	EXPECT_EQ(self->block, LEVEL(2));
}

TEST_F(huge, revoke_takes_them_away)
{
	fill(self->addr, LENGTH, 1);
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(-SIGBUS, peek(AT(0)));
	EXPECT_EQ(-SIGBUS, poke(AT(3) + 5, 1));
	EXPECT_EQ(0, region_pages(self->fd));
}

TEST_F(huge, other_processes_see_it_too)
{
	char *theirs;

	ASSERT_EQ(0, peer_start(&self->peer));
	theirs = peer_map(&self->peer, self->fd, LENGTH, 0);
	ASSERT_NE(MAP_FAILED, theirs);
	FILL(1, 1);
	FILL(2, 2);
	EXPECT_EQ(1, peer_peek(&self->peer, theirs + BLOCK));
	EXPECT_EQ(0, peer_poke(&self->peer, theirs + BLOCK, 5));
	EXPECT_EQ(5, *AT(1));
	ASSERT_EQ(0, region_exchange(self->fd, BLOCK, 2 * BLOCK, BLOCK));
	EXPECT_EQ(2, peer_peek(&self->peer, theirs + BLOCK));
	ASSERT_EQ(0, region_free(self->fd, BLOCK, page_size));
	EXPECT_EQ(0, peer_peek(&self->peer, theirs + BLOCK));
	EXPECT_EQ(3, peer_peek(&self->peer, theirs + BLOCK + page_size));
	ASSERT_EQ(0, region_protect(self->fd, 2 * BLOCK, page_size,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(-SIGSEGV, peer_poke(&self->peer, theirs + 2 * BLOCK, 1));
	EXPECT_EQ(0, peer_stop(&self->peer));
}

TEST_F(huge, debuggers_and_access)
{
	char buffer[64];
	long val;

	FILL(1, 1);
	ASSERT_EQ(sizeof(buffer), region_access(self->fd, AT(1) + page_size,
						buffer, sizeof(buffer), 0));
	EXPECT_EQ(2, buffer[0]);
	buffer[0] = 9;
	ASSERT_EQ(sizeof(buffer), region_access(self->fd, AT(1) + page_size,
						buffer, sizeof(buffer),
						MMEXT_ACCESS_WRITE));
	EXPECT_EQ(9, *(AT(1) + page_size));
	ASSERT_EQ(0, peer_start(&self->peer));
	ASSERT_EQ(1, peer_peek(&self->peer, AT(1)));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->peer.pid, NULL, NULL));
	ASSERT_EQ(self->peer.pid, waitpid(self->peer.pid, NULL, 0));
	val = ptrace(PTRACE_PEEKDATA, self->peer.pid, AT(1) + page_size, NULL);
	EXPECT_EQ(9, val & 0xff);
	EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, self->peer.pid, AT(1), 77L));
	ptrace(PTRACE_DETACH, self->peer.pid, NULL, NULL);
	EXPECT_EQ(77, *AT(1));
	EXPECT_EQ(0, peer_stop(&self->peer));
}

TEST_F(huge, near_the_limit_pages_are_small)
{
	struct mmext_info info;
	char before[32], text[32];

	ASSERT_EQ(0, param_read("limit", before, sizeof(before)));
	ASSERT_EQ(0, region_info(self->fd, &info));
	snprintf(text, sizeof(text), "%llu", info.out_used + BLOCK / 2);
	ASSERT_EQ(0, param_write("limit", text));
	EXPECT_EQ(0, poke(AT(0), 1));
	EXPECT_EQ(self->page, LEVEL(0));
	EXPECT_EQ(1, region_pages(self->fd));
	EXPECT_EQ(0, region_populate(self->fd, AT(1), BLOCK / 4, 0));
	EXPECT_EQ(-ENOSPC, region_populate(self->fd, AT(2), BLOCK, 0));
	EXPECT_EQ(-SIGBUS, poke(AT(3), 1));
	EXPECT_EQ(BLOCK / 2 / page_size, region_pages(self->fd));
	ASSERT_EQ(0, param_write("limit", before));
	EXPECT_EQ(0, poke(AT(3), 1));
	EXPECT_EQ(self->block, LEVEL(3));
	EXPECT_EQ(1, *AT(0));
}

/* A group that has room for pages, and none for a block. */
TEST_F(huge, with_little_memory_pages_are_small)
{
	char dir[64], path[96];
	int i;
	pid_t pid;

	if (access(CGROUP_ROOT "/cgroup.controllers", F_OK)) {
		mkdir(CGROUP_ROOT, 0755);
		ASSERT_EQ(0, mount("cgroup2", CGROUP_ROOT, "cgroup2", 0, NULL));
	}
	ASSERT_EQ(0, file_write(CGROUP_ROOT "/cgroup.subtree_control",
				"+memory"));
	snprintf(dir, sizeof(dir), CGROUP_ROOT "/mmext-huge-%d", getpid());
	ASSERT_EQ(0, mkdir(dir, 0755));
	snprintf(path, sizeof(path), "%s/memory.max", dir);
	ASSERT_EQ(0, file_write(path, "1800K"));
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		CHILD_CHECK(!file_write(path, "0"));
		CHILD_CHECK(!poke(AT(1), 1));
		CHILD_CHECK(!poke(AT(2), 2));
		CHILD_CHECK(LEVEL(1) == self->page);
		CHILD_CHECK(LEVEL(2) == self->page);
		CHILD_CHECK(region_pages(self->fd) == 2);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(1, *AT(1));
	EXPECT_EQ(2, *AT(2));
	for (i = 0; i < 100 && rmdir(dir); i++)
		usleep(10000);
}

TEST_F(huge, pages_are_given_back)
{
	struct mmext_info before, after;

	ASSERT_EQ(0, region_info(self->fd, &before));
	fill(self->addr, LENGTH, 1);
	ASSERT_EQ(0, region_info(self->fd, &after));
	EXPECT_EQ(before.out_used + LENGTH, after.out_used);
	ASSERT_EQ(0, region_free(self->fd, 0, LENGTH));
	ASSERT_EQ(0, region_info(self->fd, &after));
	EXPECT_EQ(before.out_used, after.out_used);
	EXPECT_EQ(0, region_pages(self->fd));
}

/* What a thread on another CPU sees and does, while this one changes it. */
struct shared {
	int end;
	int running;
	/* a byte that is read may be 0, or from here on */
	int least;
	long stale;
	long turns;
	int fd;
	char *volatile addr;
	__u32 random;
};

/* Read without an end, from a TLB that has the entry. */
static void *reading(void *arg)
{
	struct shared *s = arg;
	int least, val, i;

	pin(1);
	while (!load(&s->end)) {
		least = load(&s->least);
		for (i = 0; i < NR_BLOCKS; i++) {
			val = *(volatile int *)(s->addr + i * BLOCK +
						7 * 4096);
			if (val && val < least)
				s->stale++;
		}
		s->turns++;
		store(&s->running, 1);
	}
	return NULL;
}

/* Of each block one int tells when it was stored. */
static void stamp(char *addr, int val)
{
	int i;

	for (i = 0; i < NR_BLOCKS; i++)
		*(volatile int *)(addr + i * BLOCK + 7 * page_size) = val;
}

static void *await_turns(struct shared *s, long turns)
{
	turns += load(&s->turns);
	while (load(&s->turns) < turns)
		sched_yield();
	return NULL;
}

TEST_F_TIMEOUT(huge, no_byte_is_seen_after_a_free, TIMEOUT)
{
	struct shared s = { .fd = self->fd, .addr = self->addr };
	struct rounds rounds = rounds_begin(400);
	pthread_t thread;
	int i, b;

	pin(0);
	stamp(self->addr, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, reading, &s));
	wait_for(&s.running, 1);
	for (i = 2; rounds_go_on(&rounds, i); i++) {
		await_turns(&s, 2);
		/* all, or a part, of each */
		for (b = 0; b < NR_BLOCKS; b++)
			ASSERT_EQ(0, region_free(self->fd, i % 3 ? b * BLOCK :
						 b * BLOCK + 7 * page_size,
						 i % 3 ? BLOCK : page_size));
		store(&s.least, i);
		await_turns(&s, 2);
		/* without the tables of the parts, for blocks to be whole */
		if (i % 3 == 1)
			ASSERT_EQ(self->addr,
				  mmap(self->addr, LENGTH,
				       PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_FIXED, self->fd, 0));
		stamp(self->addr, i);
		ASSERT_EQ(0, s.stale) TH_LOG("round %d", i);
	}
	store(&s.end, 1);
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s.stale);
	if (self->huge)
		EXPECT_GT(region_stat(self->fd, "huge"), 10);
}

TEST_F_TIMEOUT(huge, no_byte_is_seen_after_an_exchange, TIMEOUT)
{
	int other = region_open_huge(2 * LENGTH, MMEXT_BACKING_PFN);
	struct rounds rounds = rounds_begin(400);
	struct shared s = { .fd = other };
	pthread_t thread;
	char *addr;
	int i;

	ASSERT_GE(other, 0);
	addr = region_map(other, 2 * LENGTH, 0);
	ASSERT_NE(MAP_FAILED, addr);
	s.addr = addr;
	pin(0);
	stamp(addr, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, reading, &s));
	wait_for(&s.running, 1);
	for (i = 2; rounds_go_on(&rounds, i); i++) {
		stamp(addr + LENGTH, i);
		await_turns(&s, 2);
		ASSERT_EQ(0, region_exchange(other, 0, LENGTH, LENGTH));
		store(&s.least, i);
		await_turns(&s, 2);
		ASSERT_EQ(0, s.stale) TH_LOG("round %d", i);
	}
	store(&s.end, 1);
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s.stale);
	EXPECT_EQ(self->block, level(other, addr + 7 * page_size));
	munmap(addr, 2 * LENGTH);
	close(other);
}

/* Fork without an end; each child looks for what was freed. */
static void *forking(void *arg)
{
	struct shared *s = arg;
	int i, least, val;
	long looks;
	pid_t pid;

	pin(1);
	while (!load(&s->end)) {
		pid = fork();
		if (!pid) {
			for (looks = 0; looks < 200; looks++) {
				least = load(&s->least);
				for (i = 0; i < NR_BLOCKS; i++) {
					val = *(volatile int *)
					      (s->addr + i * BLOCK + 7 * 4096);
					if (val && val < least)
						_exit(1);
				}
			}
			_exit(0);
		}
		if (pid < 0 || child_status(pid))
			s->stale++;
		s->turns++;
		store(&s->running, 1);
	}
	return NULL;
}

TEST_F_TIMEOUT(huge, fork_against_free, TIMEOUT)
{
	struct shared *s = shared_alloc(sizeof(*s));
	struct rounds rounds = rounds_begin(3000);
	pthread_t thread;
	int i;

	ASSERT_NE(MAP_FAILED, s);
	s->addr = self->addr;
	pin(0);
	stamp(self->addr, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, forking, s));
	wait_for(&s->running, 1);
	for (i = 2; rounds_until(&rounds, i, load(&s->turns) > 2); i++) {
		spin(i * 37 % 5000);
		ASSERT_EQ(0, region_free(self->fd, 0, LENGTH));
		store(&s->least, i);
		stamp(self->addr, i);
		ASSERT_EQ(0, s->stale) TH_LOG("round %d", i);
	}
	store(&s->end, 1);
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s->stale);
	EXPECT_GT(s->turns, 2);
}

/* Whatever takes entries out, or makes tables, in any part of any block. */
static void *zapping(void *arg)
{
	struct shared *s = arg;
	size_t offset, length;
	__u32 state = s->random;
	int ret = 0;

	pin(1);
	while (!load(&s->end)) {
		offset = next_random(&state) % (LENGTH / page_size);
		length = next_random(&state) % (LENGTH / page_size - offset);
		/* often whole blocks */
		if (next_random(&state) & 1) {
			offset &= ~(BLOCK / page_size - 1);
			length = BLOCK / page_size;
		}
		offset *= page_size;
		length *= page_size;
		switch (next_random(&state) % 6) {
		case 0:
			ret = region_zap(s->fd, s->addr + offset, length);
			break;
		case 1:
			ret = region_unmap(s->fd, offset, length, 0);
			break;
		case 2:
			ret = region_populate(s->fd, s->addr + offset, length,
					      0);
			break;
		case 3:
			ret = region_populate(s->fd, s->addr + offset, length,
					      MMEXT_POPULATE_WRITE);
			break;
		case 4:
			ret = mprotect(s->addr + offset, length, PROT_READ) ||
			      mprotect(s->addr, LENGTH,
				       PROT_READ | PROT_WRITE);
			break;
		case 5:
			/* so that blocks get to be whole again */
			ret = mmap(s->addr, LENGTH, PROT_READ,
				   MAP_SHARED | MAP_FIXED, s->fd,
				   0) == MAP_FAILED ||
			      mprotect(s->addr, LENGTH, PROT_READ | PROT_WRITE);
			break;
		}
		/* an access that an mprotect() came in the way of */
		if (ret && ret != -EFAULT)
			s->stale++;
		s->turns++;
		store(&s->running, 1);
	}
	return NULL;
}

TEST_F_TIMEOUT(huge, faults_against_zaps, TIMEOUT)
{
	struct shared s = {
		.fd = self->fd,
		.addr = self->addr,
		.random = 2463534242U,
	};
	struct rounds rounds = rounds_begin(4000);
	__u32 state = 88172645U;
	bool go_on = true;
	pthread_t thread;
	size_t page;
	int i, ret;

	pin(0);
	fill(self->addr, LENGTH, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, zapping, &s));
	wait_for(&s.running, 1);
	for (i = 0; go_on || load(&s.turns) < 4; i++) {
		go_on = go_on && rounds_go_on(&rounds, i);
		page = next_random(&state) % (LENGTH / page_size);
		ASSERT_EQ((__u8)(1 + page), peek(self->addr +
						 page * page_size));
		/* with the other thread's mprotect(), it may not be possible */
		ret = poke(self->addr + page * page_size, 1 + page);
		if (ret != -SIGSEGV)
			ASSERT_EQ(0, ret);
		/* without a log nothing is lost */
		if (i % 64 == 0)
			ASSERT_EQ(0, s.stale);
	}
	store(&s.end, 1);
	EXPECT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s.stale);
	EXPECT_EQ(-1, filled_not(self->addr, LENGTH, 1));
	if (self->huge)
		EXPECT_GE(region_stat(self->fd, "huge"), NR_BLOCKS);
}

/* Two that populate and fault the same blocks for the first time. */
static void *populating(void *arg)
{
	struct shared *s = arg;
	long turn = 0;

	pin(1);
	while (!load(&s->end)) {
		if (load(&s->least) == turn) {
			sched_yield();
			continue;
		}
		turn = load(&s->least);
		if (region_populate(s->fd, s->addr + (turn % 7) * 4096,
				    LENGTH - 8 * 4096, turn % 2))
			s->stale++;
		store(&s->turns, turn);
	}
	return NULL;
}

TEST_F_TIMEOUT(huge, populate_against_faults, TIMEOUT)
{
	struct shared s = { .fd = self->fd, .addr = self->addr };
	struct rounds rounds = rounds_begin(300);
	pthread_t thread;
	int i, b;

	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, populating, &s));
	for (i = 1; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(0, region_free(self->fd, 0, LENGTH));
		ASSERT_EQ(self->addr, mmap(self->addr, LENGTH,
					   PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_FIXED, self->fd,
					   0));
		store(&s.least, i);
		spin(i * 97 % 4000);
		for (b = NR_BLOCKS - 1; b >= 0; b--)
			AT(b)[(i % 512) * page_size] = i;
		while (load(&s.turns) != i)
			sched_yield();
		for (b = 0; b < NR_BLOCKS; b++)
			ASSERT_EQ((char)i, AT(b)[(i % 512) * page_size]);
		ASSERT_EQ(0, s.stale);
	}
	store(&s.end, 1);
	EXPECT_EQ(0, pthread_join(thread, NULL));
}

TEST_HARNESS_MAIN
