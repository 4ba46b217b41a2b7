// SPDX-License-Identifier: GPL-2.0
/*
 * read(2), write(2) and lseek(2) on a region.
 */
#include "mmext_selftest.h"

#define NR_PAGES	4

FIXTURE(rw)
{
	int fd;
	size_t length;
	char *buf;
};

BACKINGS(rw);

FIXTURE_SETUP(rw)
{
	size_t i;

	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->buf = malloc(2 * self->length);
	ASSERT_NE(NULL, self->buf);
	for (i = 0; i < 2 * self->length; i++)
		self->buf[i] = i * 7 + i / page_size + 1;
}

FIXTURE_TEARDOWN(rw)
{
	free(self->buf);
	close(self->fd);
}

TEST_F(rw, written_bytes_are_read_back)
{
	char *seen = malloc(self->length);

	ASSERT_NE(NULL, seen);
	ASSERT_EQ(self->length, write(self->fd, self->buf, self->length));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	ASSERT_EQ(self->length, read(self->fd, seen, self->length));
	EXPECT_EQ(0, memcmp(self->buf, seen, self->length));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	free(seen);
}

TEST_F(rw, any_offset_and_length_will_do)
{
	static const struct {
		off_t offset;
		size_t length;
	} parts[] = {
		{ 1, 1 }, { 4095, 2 }, { 4096, 4096 }, { 100, 5000 },
		{ 8191, 4098 }, { 3, 12000 },
	};
	char *seen = malloc(self->length);
	size_t i;

	ASSERT_NE(NULL, seen);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		ASSERT_EQ(parts[i].length,
			  pwrite(self->fd, self->buf + i, parts[i].length,
				 parts[i].offset));
		ASSERT_EQ(parts[i].length,
			  pread(self->fd, seen, parts[i].length,
				parts[i].offset));
		EXPECT_EQ(0, memcmp(self->buf + i, seen, parts[i].length));
	}
	/* what was never written to */
	ASSERT_EQ(1, pread(self->fd, seen, 1, 0));
	EXPECT_EQ(0, seen[0]);
	free(seen);
}

TEST_F(rw, mapping_and_descriptor_show_the_same_bytes)
{
	char *addr = region_map(self->fd, self->length, 0), byte;

	ASSERT_NE(MAP_FAILED, addr);
	ASSERT_EQ(self->length, pwrite(self->fd, self->buf, self->length, 0));
	EXPECT_EQ(0, memcmp(addr, self->buf, self->length));
	addr[5000] = 99;
	ASSERT_EQ(1, pread(self->fd, &byte, 1, 5000));
	EXPECT_EQ(99, byte);
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 5001));
	EXPECT_EQ('x', addr[5001]);
	munmap(addr, self->length);
}

TEST_F(rw, holes_read_as_zeroes_and_stay_holes)
{
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 2 * page_size));
	ASSERT_EQ(self->length, pread(self->fd, self->buf, self->length, 0));
	EXPECT_TRUE(all_bytes(self->buf, 2 * page_size, 0));
	EXPECT_EQ('x', self->buf[2 * page_size]);
	EXPECT_TRUE(all_bytes(self->buf + 2 * page_size + 1,
			      2 * page_size - 1, 0));
	EXPECT_EQ(1, region_pages(self->fd));
}

TEST_F(rw, region_without_end_never_ends)
{
	struct mmext_info info;

	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(self->length, pread(self->fd, self->buf, self->length,
				      1ULL << 40));
	EXPECT_TRUE(all_bytes(self->buf, self->length, 0));
	EXPECT_EQ(1, pwrite(self->fd, "x", 1, 1ULL << 50));
	EXPECT_EQ(page_size, pread(self->fd, self->buf, page_size,
				   1ULL << 50));
	EXPECT_EQ('x', self->buf[0]);
	EXPECT_EQ(1, region_pages(self->fd));
}

TEST_F(rw, read_stops_at_the_end)
{
	close(self->fd);
	self->fd = region_open_length(self->length);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(10, pread(self->fd, self->buf, 100, self->length - 10));
	EXPECT_EQ(0, pread(self->fd, self->buf, 100, self->length));
	EXPECT_EQ(0, pread(self->fd, self->buf, 100, 1ULL << 40));
	EXPECT_EQ(self->length, read(self->fd, self->buf, 2 * self->length));
	EXPECT_EQ(0, read(self->fd, self->buf, 1));
}

TEST_F(rw, write_past_the_end_is_enospc)
{
	close(self->fd);
	self->fd = region_open_length(self->length);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(-1, pwrite(self->fd, "x", 1, self->length));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(-1, pwrite(self->fd, "x", 1, 1ULL << 40));
	EXPECT_EQ(ENOSPC, errno);
	/* up to the end, and then no more */
	EXPECT_EQ(10, pwrite(self->fd, self->buf, 100, self->length - 10));
	EXPECT_EQ(self->length, write(self->fd, self->buf, 2 * self->length));
	EXPECT_EQ(-1, write(self->fd, "x", 1));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(0, write(self->fd, "", 0));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(rw, position_moves_with_read_and_write)
{
	ASSERT_EQ(3, write(self->fd, "abc", 3));
	ASSERT_EQ(3, write(self->fd, "def", 3));
	EXPECT_EQ(6, lseek(self->fd, 0, SEEK_CUR));
	ASSERT_EQ(1, lseek(self->fd, 1, SEEK_SET));
	ASSERT_EQ(4, read(self->fd, self->buf, 4));
	EXPECT_EQ(0, memcmp("bcde", self->buf, 4));
	EXPECT_EQ(5, lseek(self->fd, 0, SEEK_CUR));
	/* and not with pread and pwrite */
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 100));
	ASSERT_EQ(1, pread(self->fd, self->buf, 1, 100));
	EXPECT_EQ(5, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(rw, lseek_of_a_region_with_a_length)
{
	close(self->fd);
	self->fd = region_open_length(self->length);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(self->length, lseek(self->fd, 0, SEEK_END));
	EXPECT_EQ(self->length - 10, lseek(self->fd, -10, SEEK_END));
	EXPECT_EQ(self->length - 15, lseek(self->fd, -5, SEEK_CUR));
	EXPECT_EQ(7, lseek(self->fd, 7, SEEK_SET));
}

TEST_F(rw, lseek_to_the_end_of_what_has_none_is_einval)
{
	EXPECT_EQ(5, lseek(self->fd, 5, SEEK_SET));
	EXPECT_EQ(-1, lseek(self->fd, 0, SEEK_END));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(5, lseek(self->fd, 0, SEEK_CUR));
	EXPECT_EQ(1LL << 40, lseek(self->fd, 1LL << 40, SEEK_SET));
}

TEST_F(rw, lseek_before_the_begin_or_of_another_kind_is_einval)
{
	EXPECT_EQ(-1, lseek(self->fd, -1, SEEK_SET));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(self->fd, -1, SEEK_CUR));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(self->fd, 0, SEEK_DATA));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(self->fd, 0, SEEK_HOLE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(self->fd, 0, 77));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(rw, vectors_work)
{
	char a[3], b[5000], c[7];
	struct iovec vec[] = {
		{ a, sizeof(a) }, { b, sizeof(b) }, { c, sizeof(c) },
	};
	size_t total = sizeof(a) + sizeof(b) + sizeof(c);

	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	memset(c, 'c', sizeof(c));
	ASSERT_EQ(total, pwritev(self->fd, vec, 3, 4090));
	memset(b, 0, sizeof(b));
	ASSERT_EQ(total, preadv(self->fd, vec, 3, 4090));
	EXPECT_TRUE(all_bytes(b, sizeof(b), 'b'));
	ASSERT_EQ(total, pread(self->fd, self->buf, total, 4090));
	EXPECT_TRUE(all_bytes(self->buf, 3, 'a'));
	EXPECT_TRUE(all_bytes(self->buf + 5003, 7, 'c'));
}

TEST_F(rw, direction_that_the_descriptor_lacks_is_ebadf)
{
	int ro = open(MMEXT_DEVICE, O_RDONLY);
	int wo = open(MMEXT_DEVICE, O_WRONLY);

	ASSERT_GE(ro, 0);
	ASSERT_GE(wo, 0);
	EXPECT_EQ(-1, write(ro, "x", 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(1, read(ro, self->buf, 1));
	EXPECT_EQ(-1, read(wo, self->buf, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(1, write(wo, "x", 1));
	close(ro);
	close(wo);
}

TEST_F(rw, bad_pointer_is_efault_or_a_short_count)
{
	char *area = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, area);
	ASSERT_EQ(0, mprotect(area + page_size, page_size, PROT_NONE));
	memset(area, 'y', page_size);
	ASSERT_EQ(page_size, pwrite(self->fd, self->buf, page_size, 0));
	EXPECT_EQ(-1, pwrite(self->fd, area + page_size, 10, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, pread(self->fd, area + page_size, 10, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, pread(self->fd, area + page_size, 10,
			    1ULL << 30));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(10, pwrite(self->fd, area + page_size - 10, 100, 0));
	EXPECT_EQ(10, pread(self->fd, area + page_size - 10, 100, 0));
	/* nothing was taken from the page that was not copied to */
	ASSERT_EQ(1, pread(self->fd, area, 1, 10));
	EXPECT_EQ(self->buf[10], area[0]);
	munmap(area, 2 * page_size);
}

/* The buffer is in the region itself, and has to be faulted in meanwhile. */
TEST_F(rw, buffer_may_be_a_mapping_of_the_region)
{
	char *addr = region_map(self->fd, 2 * self->length, 0);

	ASSERT_NE(MAP_FAILED, addr);
	ASSERT_EQ(self->length, pwrite(self->fd, self->buf, self->length, 0));
	/* from holes, into holes, and onto itself */
	EXPECT_EQ(self->length, pread(self->fd, addr + self->length,
				      self->length, 0));
	EXPECT_EQ(0, memcmp(addr + self->length, self->buf, self->length));
	ASSERT_EQ(0, region_free(self->fd, self->length, self->length));
	EXPECT_EQ(self->length, pwrite(self->fd, addr + self->length,
				       self->length, 0));
	EXPECT_TRUE(all_bytes(addr, self->length, 0));
	EXPECT_EQ(page_size, pwrite(self->fd, addr, page_size, 0));
	EXPECT_EQ(page_size, pread(self->fd, addr, page_size, 0));
	ASSERT_EQ(0, region_zap(self->fd, addr, page_size));
	EXPECT_EQ(page_size, pwrite(self->fd, addr, page_size, 0));
	munmap(addr, 2 * self->length);
}

TEST_F(rw, many_megabytes_in_one_call)
{
	size_t length = 16 * MIB + 77;
	char *buf = malloc(length), *seen = malloc(length);
	__u32 state = 3;
	size_t i;

	ASSERT_NE(NULL, buf);
	ASSERT_NE(NULL, seen);
	for (i = 0; i + 4 < length; i += 4) {
		__u32 val = next_random(&state);

		memcpy(buf + i, &val, sizeof(val));
	}
	ASSERT_EQ(length, pwrite(self->fd, buf, length, 33));
	ASSERT_EQ(length, pread(self->fd, seen, length, 33));
	EXPECT_EQ(0, memcmp(buf, seen, length));
	free(buf);
	free(seen);
}

TEST_F(rw, descriptors_of_one_open_share_the_position)
{
	int fd = dup(self->fd);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(100, lseek(self->fd, 100, SEEK_SET));
	EXPECT_EQ(100, lseek(fd, 0, SEEK_CUR));
	close(fd);
}

TEST_F(rw, descriptors_of_two_opens_have_each_a_position)
{
	int one = open(MMEXT_SHARED, O_RDWR), two = open(MMEXT_SHARED, O_RDWR);

	ASSERT_GE(one, 0);
	ASSERT_GE(two, 0);
	ASSERT_EQ(3, write(one, "abc", 3));
	EXPECT_EQ(0, lseek(two, 0, SEEK_CUR));
	ASSERT_EQ(3, read(two, self->buf, 3));
	EXPECT_EQ(0, memcmp("abc", self->buf, 3));
	EXPECT_EQ(64 * MIB, lseek(two, 0, SEEK_END));
	EXPECT_EQ(0, region_free(one, 0, page_size));
	close(one);
	close(two);
}

TEST_HARNESS_MAIN
