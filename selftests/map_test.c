// SPDX-License-Identifier: GPL-2.0
/*
 * mmap(2) of a region, and what the memory calls of the kernel do to it.
 */
#include "mmext_selftest.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

#define NR_PAGES	8

FIXTURE(map)
{
	int fd;
	size_t length;
	char *addr;
};

BACKINGS(map);

FIXTURE_SETUP(map)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(map)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

TEST(device_belongs_to_root_alone)
{
	struct stat st;

	ASSERT_EQ(0, stat(MMEXT_DEVICE, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0600, st.st_mode & 07777);
	ASSERT_EQ(0, stat(MMEXT_SHARED, &st));
	EXPECT_EQ(0600, st.st_mode & 07777);
}

TEST(open_map_and_touch_needs_no_ioctl)
{
	int fd = open("/dev/mmext", O_RDWR);
	char *addr;

	ASSERT_GE(fd, 0);
	addr = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, addr);
	close(fd);
	strcpy(addr + 12345, "hello");
	EXPECT_STREQ("hello", addr + 12345);
	EXPECT_EQ(0, munmap(addr, 1 << 20));
}

TEST_F(map, fresh_memory_reads_as_zeroes)
{
	EXPECT_TRUE(all_bytes(self->addr, self->length, 0));
}

TEST_F(map, recycled_memory_reads_as_zeroes)
{
	size_t length = 4 * MIB;
	char *addr;
	int i, fd;

	for (i = 0; i < 4; i++) {
		fd = region_open();
		ASSERT_GE(fd, 0);
		addr = region_map(fd, length, 0);
		ASSERT_NE(MAP_FAILED, addr);
		EXPECT_TRUE(all_bytes(addr, length, 0));
		memset(addr, 0xa5, length);
		munmap(addr, length);
		close(fd);
	}
}

TEST_F(map, stored_bytes_are_read_back)
{
	__u32 state = 1;
	size_t i;

	for (i = 0; i < self->length; i++)
		self->addr[i] = next_random(&state);
	state = 1;
	for (i = 0; i < self->length; i++)
		if (self->addr[i] != (char)next_random(&state))
			break;
	EXPECT_EQ(self->length, i);
}

TEST_F(map, an_access_across_two_pages_works)
{
	__u64 val = 0x0123456789abcdefULL, seen;

	memcpy(self->addr + page_size - 3, &val, sizeof(val));
	memcpy(&seen, self->addr + page_size - 3, sizeof(seen));
	EXPECT_EQ(val, seen);
	EXPECT_EQ((char)0xef, self->addr[page_size - 3]);
	EXPECT_EQ(0x01, self->addr[page_size + 4]);
}

TEST_F(map, pages_of_several_tables_are_kept_apart)
{
	size_t length = 3 * TABLE + 5 * page_size;
	char *addr = region_map(self->fd, length, 0);

	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, length, 7);
	EXPECT_EQ(-1, filled_not(addr, length, 7));
	EXPECT_EQ(length / page_size, entries_present(self->fd, addr, length));
	munmap(addr, length);
}

TEST_F(map, two_mappings_of_an_offset_show_the_same_bytes)
{
	char *other = region_map(self->fd, self->length, 0);

	ASSERT_NE(MAP_FAILED, other);
	ASSERT_NE(self->addr, other);
	self->addr[10] = 1;
	EXPECT_EQ(1, other[10]);
	other[10] = 2;
	EXPECT_EQ(2, self->addr[10]);
	munmap(other, self->length);
	EXPECT_EQ(2, self->addr[10]);
}

TEST_F(map, the_offset_selects_the_page)
{
	char *other;

	fill(self->addr, self->length, 1);
	other = region_map(self->fd, 2 * page_size, 3 * page_size);
	ASSERT_NE(MAP_FAILED, other);
	EXPECT_EQ(4, other[0]);
	EXPECT_EQ(5, other[page_size]);
	munmap(other, 2 * page_size);
}

TEST_F(map, far_offsets_of_one_region_hold_their_own_pages)
{
	static const off_t offsets[] = {
		0, 1ULL << 21, 1ULL << 30, 1ULL << 32, 1ULL << 40,
	};
	char *addr[ARRAY_SIZE(offsets)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		addr[i] = region_map(self->fd, page_size, offsets[i]);
		ASSERT_NE(MAP_FAILED, addr[i]);
		EXPECT_EQ(0, addr[i][0]);
		addr[i][0] = i + 1;
	}
	for (i = 0; i < ARRAY_SIZE(offsets); i++)
		EXPECT_EQ((char)(i + 1), addr[i][0]);
	EXPECT_EQ(ARRAY_SIZE(offsets), region_pages(self->fd));
}

TEST_F(map, the_last_page_of_a_region_without_end_can_be_mapped)
{
	struct mmext_info info;
	__u64 end;
	char *addr;

	ASSERT_EQ(0, region_info(self->fd, &info));
	end = info.out_max_offset;
	/* a 32-bit program gives mmap(2) a 32-bit number of a page */
	if (sizeof(long) < sizeof(end))
		end = (__u64)page_size << 32;
	addr = region_map(self->fd, page_size, end - page_size);
	ASSERT_NE(MAP_FAILED, addr);
	addr[5] = 5;
	EXPECT_EQ(5, addr[5]);
	munmap(addr, page_size);
	if (end < info.out_max_offset)
		return;
	EXPECT_EQ(MAP_FAILED, region_map(self->fd, 2 * page_size,
					 info.out_max_offset - page_size));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(map, every_open_is_a_region_of_its_own)
{
	int fd = region_open();
	char *other;

	ASSERT_GE(fd, 0);
	other = region_map(fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, other);
	self->addr[0] = 1;
	EXPECT_EQ(0, other[0]);
	other[0] = 2;
	EXPECT_EQ(1, self->addr[0]);
	close(fd);
	munmap(other, self->length);
}

FIXTURE(private)
{
	int fd;
};

FIXTURE_VARIANT(private)
{
	int prot;
};

FIXTURE_VARIANT_ADD(private, writable)
{
	.prot = PROT_READ | PROT_WRITE,
};

FIXTURE_VARIANT_ADD(private, read_only)
{
	.prot = PROT_READ,
};

FIXTURE_VARIANT_ADD(private, no_access)
{
	.prot = PROT_NONE,
};

FIXTURE_SETUP(private)
{
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(private)
{
	close(self->fd);
}

TEST_F(private, mapping_is_refused)
{
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page_size, variant->prot, MAP_PRIVATE,
				   self->fd, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(private, mapping_of_a_read_only_descriptor_is_refused)
{
	int fd = open(MMEXT_DEVICE, O_RDONLY);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page_size, variant->prot, MAP_PRIVATE,
				   fd, 0));
	EXPECT_EQ(EINVAL, errno);
	close(fd);
}

TEST(read_only_descriptor_gives_no_writable_mapping)
{
	int fd = open(MMEXT_DEVICE, O_RDONLY);
	char *addr;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(MAP_FAILED, region_map(fd, page_size, 0));
	EXPECT_EQ(EACCES, errno);
	addr = region_map_prot(fd, page_size, 0, PROT_READ);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(0, peek(addr));
	EXPECT_EQ(-SIGSEGV, poke(addr, 1));
	EXPECT_EQ(-1, mprotect(addr, page_size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-SIGSEGV, poke(addr, 1));
	close(fd);
}

TEST(write_only_descriptor_gives_no_mapping)
{
	int fd = open(MMEXT_DEVICE, O_WRONLY);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(MAP_FAILED, region_map(fd, page_size, 0));
	EXPECT_EQ(EACCES, errno);
	close(fd);
}

TEST(mapping_past_the_end_is_refused)
{
	int fd = region_open();
	char *addr;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, region_setup(fd, 4 * page_size));
	EXPECT_EQ(MAP_FAILED, region_map(fd, 5 * page_size, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, region_map(fd, 2 * page_size, 3 * page_size));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, region_map(fd, page_size, 4 * page_size));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, region_map(fd, page_size, 1ULL << 40));
	EXPECT_EQ(EINVAL, errno);
	addr = region_map(fd, 4 * page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, 4 * page_size, 1);
	EXPECT_EQ(-1, filled_not(addr, 4 * page_size, 1));
	close(fd);
}

TEST_F(map, mapping_outlives_its_descriptor)
{
	fill(self->addr, self->length, 3);
	ASSERT_EQ(0, close(self->fd));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 3));
	self->addr[0] = 9;
	EXPECT_EQ(9, self->addr[0]);
}

TEST_F(map, data_outlives_every_mapping)
{
	char *addr = region_map(self->fd, self->length, 0);

	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, self->length, 5);
	munmap(addr, self->length);
	munmap(self->addr, self->length);
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 5));
}

TEST_F(map, partial_munmap_leaves_the_rest)
{
	char *addr = self->addr;

	fill(addr, self->length, 1);
	/* the head, the tail, and one in the middle */
	ASSERT_EQ(0, munmap(addr, page_size));
	ASSERT_EQ(0, munmap(addr + 7 * page_size, page_size));
	ASSERT_EQ(0, munmap(addr + 4 * page_size, page_size));
	EXPECT_EQ(-SIGSEGV, peek(addr));
	EXPECT_EQ(-SIGSEGV, peek(addr + 7 * page_size));
	EXPECT_EQ(-SIGSEGV, peek(addr + 4 * page_size));
	EXPECT_EQ(-1, filled_not(addr + page_size, 3 * page_size, 2));
	EXPECT_EQ(-1, filled_not(addr + 5 * page_size, 2 * page_size, 6));
	EXPECT_EQ(3, entries_present(self->fd, addr + page_size,
				     3 * page_size));
	EXPECT_EQ(2, entries_present(self->fd, addr + 5 * page_size,
				     2 * page_size));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(map, what_is_left_of_a_split_mapping_still_faults_the_right_page)
{
	char *addr = self->addr;

	ASSERT_EQ(0, munmap(addr, page_size));
	ASSERT_EQ(0, munmap(addr + 4 * page_size, page_size));
	fill(addr + page_size, 3 * page_size, 2);
	fill(addr + 5 * page_size, 3 * page_size, 6);
	addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(0, addr[0]);
	EXPECT_EQ(-1, filled_not(addr + page_size, 3 * page_size, 2));
	EXPECT_EQ(0, addr[4 * page_size]);
	EXPECT_EQ(-1, filled_not(addr + 5 * page_size, 3 * page_size, 6));
	munmap(addr, self->length);
}

TEST_F(map, mapping_over_a_mapping_replaces_it)
{
	fill(self->addr, self->length, 1);
	ASSERT_EQ(self->addr + page_size,
		  mmap(self->addr + page_size, page_size,
		       PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(1, self->addr[0]);
	EXPECT_EQ(0, self->addr[page_size]);
	EXPECT_EQ(3, self->addr[2 * page_size]);
	/* and another offset of the region over the anonymous page */
	ASSERT_EQ(self->addr + page_size,
		  mmap(self->addr + page_size, page_size,
		       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		       self->fd, 5 * page_size));
	EXPECT_EQ(6, self->addr[page_size]);
}

TEST_F(map, mremap_moves_data_and_entries)
{
	char *place = mmap(NULL, self->length, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *old = self->addr;
	long long faults;
	char *addr;

	ASSERT_NE(MAP_FAILED, place);
	fill(old, self->length, 1);
	addr = mremap(old, self->length, self->length,
		      MREMAP_MAYMOVE | MREMAP_FIXED, place);
	ASSERT_EQ(place, addr);
	self->addr = addr;
	EXPECT_EQ(-SIGSEGV, peek(old));
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, addr, self->length));
	faults = region_stat(self->fd, "faults");
	EXPECT_EQ(-1, filled_not(addr, self->length, 1));
	EXPECT_EQ(faults, region_stat(self->fd, "faults"));
	/* the moved mapping is known to the region */
	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	EXPECT_EQ(0, peek(addr));
	EXPECT_EQ(-EFAULT, region_zap(self->fd, old, page_size));
}

TEST_F(map, mremap_moves_across_a_table_border)
{
	size_t length = TABLE + 6 * page_size;
	char *place = mmap(NULL, length + 3 * page_size, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *addr = region_map_aligned(self->fd, length, 0);

	ASSERT_NE(MAP_FAILED, place);
	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, length, 1);
	addr = mremap(addr, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
		      place + 3 * page_size);
	ASSERT_EQ(place + 3 * page_size, addr);
	EXPECT_EQ(length / page_size, entries_present(self->fd, addr, length));
	EXPECT_EQ(-1, filled_not(addr, length, 1));
	munmap(addr, length);
}

TEST_F(map, mremap_moves_a_part)
{
	char *place = mmap(NULL, 2 * page_size, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *addr;

	ASSERT_NE(MAP_FAILED, place);
	fill(self->addr, self->length, 1);
	addr = mremap(self->addr + 3 * page_size, 2 * page_size, 2 * page_size,
		      MREMAP_MAYMOVE | MREMAP_FIXED, place);
	ASSERT_EQ(place, addr);
	EXPECT_EQ(-1, filled_not(addr, 2 * page_size, 4));
	EXPECT_EQ(-1, filled_not(self->addr, 3 * page_size, 1));
	EXPECT_EQ(-1, filled_not(self->addr + 5 * page_size, 3 * page_size, 6));
	EXPECT_EQ(-SIGSEGV, peek(self->addr + 3 * page_size));
	munmap(addr, 2 * page_size);
}

TEST_F(map, mremap_shrinks)
{
	fill(self->addr, self->length, 1);
	ASSERT_EQ(self->addr,
		  mremap(self->addr, self->length, 3 * page_size, 0));
	EXPECT_EQ(-1, filled_not(self->addr, 3 * page_size, 1));
	EXPECT_EQ(-SIGSEGV, peek(self->addr + 3 * page_size));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(map, mremap_growth_is_refused)
{
	fill(self->addr, self->length, 1);
	EXPECT_EQ(MAP_FAILED, mremap(self->addr, self->length,
				     self->length + page_size, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(self->addr, self->length,
				     2 * self->length, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
}

TEST_F(map, mremap_that_copies_the_mapping_is_refused)
{
	EXPECT_EQ(MAP_FAILED, mremap(self->addr, 0, self->length,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(MAP_FAILED, mremap(self->addr, self->length, self->length,
				     MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(map, mprotect_takes_write_away_and_gives_it_back)
{
	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	EXPECT_EQ(-SIGSEGV, poke(self->addr, 9));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	ASSERT_EQ(0, mprotect(self->addr, self->length,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	EXPECT_EQ(0, poke(self->addr, 9));
	EXPECT_EQ(9, self->addr[0]);
}

TEST_F(map, mprotect_takes_all_access_away_and_gives_it_back)
{
	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, mprotect(self->addr + page_size, page_size, PROT_NONE));
	EXPECT_EQ(-SIGSEGV, peek(self->addr + page_size));
	EXPECT_EQ(-SIGSEGV, poke(self->addr + page_size, 9));
	EXPECT_EQ(1, self->addr[0]);
	EXPECT_EQ(3, self->addr[2 * page_size]);
	ASSERT_EQ(0, mprotect(self->addr + page_size, page_size,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(2, peek(self->addr + page_size));
	EXPECT_EQ(0, poke(self->addr + page_size, 9));
	EXPECT_EQ(9, self->addr[page_size]);
}

TEST_F(map, read_only_mapping_can_be_made_writable)
{
	char *addr = region_map_prot(self->fd, page_size, 0, PROT_READ);

	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(0, peek(addr));
	EXPECT_EQ(-SIGSEGV, poke(addr, 1));
	ASSERT_EQ(0, mprotect(addr, page_size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, poke(addr, 1));
	EXPECT_EQ(1, self->addr[0]);
	munmap(addr, page_size);
}

TEST_F(map, mlock_and_map_populate_are_harmless)
{
	char *addr;

	fill(self->addr, self->length, 1);
	EXPECT_EQ(0, mlock(self->addr, self->length));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	EXPECT_EQ(0, munlock(self->addr, self->length));
	addr = mmap(NULL, self->length, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE | MAP_LOCKED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(-1, filled_not(addr, self->length, 1));
	munmap(addr, self->length);
}

TEST_F(map, msync_has_nothing_to_do)
{
	fill(self->addr, self->length, 1);
	EXPECT_EQ(0, msync(self->addr, self->length, MS_SYNC));
	EXPECT_EQ(0, msync(self->addr, self->length, MS_ASYNC));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
}

/* What is said of mappings of page frames; of pages: page_test. */
FIXTURE(frames)
{
	int fd;
	size_t length;
	char *addr;
};

FIXTURE_SETUP(frames)
{
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(frames)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

/* They can't be pinned: that is a meant limit. */
TEST_F(frames, get_user_pages_is_refused)
{
	char buf[16];
	struct iovec local = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct iovec remote = {
		.iov_base = self->addr,
		.iov_len = sizeof(buf),
	};
	int fds[2];

	fill(self->addr, self->length, 1);
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, pipe(fds));
	EXPECT_EQ(-1, vmsplice(fds[1], &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(1, self->addr[0]);
}

/* There is nothing that the kernel could lock, and it faults none of it in. */
TEST_F(frames, mlock_and_map_populate_map_nothing_and_lock_nothing)
{
	char *addr;

	ASSERT_EQ(0, region_free(self->fd, 0, self->length));
	EXPECT_EQ(0, mlock(self->addr, self->length));
	EXPECT_EQ(0, status_kb("VmLck:"));
	EXPECT_EQ(0, mlockall(MCL_CURRENT));
	EXPECT_EQ(0, munlockall());
	addr = mmap(NULL, self->length, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE | MAP_LOCKED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(0, status_kb("VmLck:"));
	EXPECT_EQ(0, entries_present(self->fd, self->addr, self->length));
	EXPECT_EQ(0, entries_present(self->fd, addr, self->length));
	EXPECT_EQ(0, region_pages(self->fd));
	munmap(addr, self->length);
}

TEST_F(map, system_calls_copy_from_and_to_it)
{
	size_t length = 3 * page_size;
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_LE(length, fcntl(fds[1], F_SETPIPE_SZ, 64 * 1024));
	memset(self->addr, 0x5a, length);
	EXPECT_EQ(length, write(fds[1], self->addr, length));
	/* into holes */
	EXPECT_EQ(length, read(fds[0], self->addr + 4 * page_size, length));
	EXPECT_TRUE(all_bytes(self->addr + 4 * page_size, length, 0x5a));
	EXPECT_EQ(0, self->addr[7 * page_size]);
}

TEST_F(frames, mapping_is_of_page_frames_and_not_dumped_nor_expanded)
{
	bool here = false, seen = false;
	unsigned long start;
	char line[256];
	FILE *file;

	fill(self->addr, self->length, 1);
	file = fopen("/proc/self/smaps", "r");
	ASSERT_NE(NULL, file);
	while (fgets(line, sizeof(line), file)) {
		if (strchr(line, '-') && sscanf(line, "%lx-", &start) == 1)
			here = start == (unsigned long)self->addr;
		if (!here || strncmp(line, "VmFlags:", 8))
			continue;
		seen = true;
		EXPECT_NE(NULL, strstr(line, " sh"));
		EXPECT_NE(NULL, strstr(line, " pf"));
		EXPECT_NE(NULL, strstr(line, " de"));
		EXPECT_NE(NULL, strstr(line, " dd"));
	}
	EXPECT_TRUE(seen);
	fclose(file);
}

FIXTURE(advice)
{
	int fd;
	size_t length;
	char *addr;
};

FIXTURE_VARIANT(advice)
{
	int advice;
	int error;
	/* for kernels with CONFIG_MEMORY_FAILURE; others do not know it */
	bool memory_failure;
};

/* What Linux refuses for mappings of page frames... */
FIXTURE_VARIANT_ADD(advice, dontneed)
{
	.advice = MADV_DONTNEED,
	.error = EINVAL,
};

FIXTURE_VARIANT_ADD(advice, free)
{
	.advice = MADV_FREE,
	.error = EINVAL,
};

FIXTURE_VARIANT_ADD(advice, cold)
{
	.advice = MADV_COLD,
	.error = EINVAL,
};

FIXTURE_VARIANT_ADD(advice, pageout)
{
	.advice = MADV_PAGEOUT,
	.error = EINVAL,
};

FIXTURE_VARIANT_ADD(advice, populate_read)
{
	.advice = MADV_POPULATE_READ,
	.error = EINVAL,
};

FIXTURE_VARIANT_ADD(advice, populate_write)
{
	.advice = MADV_POPULATE_WRITE,
	.error = EINVAL,
};

FIXTURE_VARIANT_ADD(advice, collapse)
{
	.advice = MADV_COLLAPSE,
	.error = EINVAL,
};

FIXTURE_VARIANT_ADD(advice, dodump)
{
	.advice = MADV_DODUMP,
	.error = EINVAL,
};

FIXTURE_VARIANT_ADD(advice, wipeonfork)
{
	.advice = MADV_WIPEONFORK,
	.error = EINVAL,
};

FIXTURE_VARIANT_ADD(advice, hwpoison)
{
	.advice = MADV_HWPOISON,
	.error = EFAULT,
	.memory_failure = true,
};

FIXTURE_VARIANT_ADD(advice, soft_offline)
{
	.advice = MADV_SOFT_OFFLINE,
	.error = EFAULT,
	.memory_failure = true,
};

/* ... for files that have no fallocate() ... */
FIXTURE_VARIANT_ADD(advice, remove)
{
	.advice = MADV_REMOVE,
	.error = -1,
};

/* ... and what it takes, and does nothing about. */
FIXTURE_VARIANT_ADD(advice, mergeable)
{
	.advice = MADV_MERGEABLE,
	.error = 0,
};

FIXTURE_VARIANT_ADD(advice, unmergeable)
{
	.advice = MADV_UNMERGEABLE,
	.error = 0,
};

FIXTURE_VARIANT_ADD(advice, hugepage)
{
	.advice = MADV_HUGEPAGE,
	.error = 0,
};

FIXTURE_VARIANT_ADD(advice, nohugepage)
{
	.advice = MADV_NOHUGEPAGE,
	.error = 0,
};

FIXTURE_VARIANT_ADD(advice, willneed)
{
	.advice = MADV_WILLNEED,
	.error = 0,
};

FIXTURE_VARIANT_ADD(advice, random)
{
	.advice = MADV_RANDOM,
	.error = 0,
};

FIXTURE_VARIANT_ADD(advice, sequential)
{
	.advice = MADV_SEQUENTIAL,
	.error = 0,
};

FIXTURE_VARIANT_ADD(advice, dontdump)
{
	.advice = MADV_DONTDUMP,
	.error = 0,
};

FIXTURE_SETUP(advice)
{
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	fill(self->addr, self->length, 1);
}

FIXTURE_TEARDOWN(advice)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

TEST_F(advice, madvise_leaves_data_and_entries_alone)
{
	int ret = madvise(self->addr, self->length, variant->advice);
	int err = errno, error = variant->error;

	if (variant->memory_failure &&
	    access("/proc/sys/vm/memory_failure_recovery", F_OK))
		error = EINVAL;
	if (error) {
		EXPECT_EQ(-1, ret);
		if (error > 0)
			EXPECT_EQ(error, err);
	} else {
		EXPECT_EQ(0, ret);
	}
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, self->addr,
					    self->length));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(map, dontfork_leaves_the_child_without_it)
{
	struct peer peer;

	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, madvise(self->addr, page_size, MADV_DONTFORK));
	ASSERT_EQ(0, peer_start(&peer));
	EXPECT_EQ(-SIGSEGV, peer_peek(&peer, self->addr));
	EXPECT_EQ(2, peer_peek(&peer, self->addr + page_size));
	EXPECT_EQ(0, peer_stop(&peer));
	/* Newer kernels refuse this for mappings of page frames. */
	if (madvise(self->addr, page_size, MADV_DOFORK)) {
		ASSERT_EQ(EINVAL, errno);
		return;
	}
	ASSERT_EQ(0, peer_start(&peer));
	EXPECT_EQ(1, peer_peek(&peer, self->addr));
	EXPECT_EQ(0, peer_stop(&peer));
}

TEST_HARNESS_MAIN
