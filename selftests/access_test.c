// SPDX-License-Identifier: GPL-2.0
/*
 * ACCESS: the caller's own memory, whatever is mapped there.
 */
#include "mmext_selftest.h"

/* more than is pinned at once, and more than a step between signals */
#define LENGTH	(3 * MIB)

FIXTURE(access)
{
	int fd;
	/* anonymous memory of LENGTH, with a page that can't be had behind */
	__u8 *addr;
	__u8 *buffer;
};

static __u8 *alloc_guarded(void)
{
	__u8 *addr = mmap(NULL, LENGTH + page_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (addr != MAP_FAILED)
		mprotect(addr + LENGTH, page_size, PROT_NONE);
	return addr;
}

/* Bytes that are the same nowhere near each other. */
static void pattern(__u8 *at, size_t length, __u32 seed)
{
	size_t i;

	for (i = 0; i < length; i++)
		at[i] = next_random(&seed) >> 24;
}

FIXTURE_SETUP(access)
{
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->addr = alloc_guarded();
	ASSERT_NE(MAP_FAILED, self->addr);
	self->buffer = alloc_guarded();
	ASSERT_NE(MAP_FAILED, self->buffer);
}

FIXTURE_TEARDOWN(access)
{
	munmap(self->addr, LENGTH + page_size);
	munmap(self->buffer, LENGTH + page_size);
	close(self->fd);
}

TEST_F(access, reads_any_bytes)
{
	const struct {
		size_t at;
		size_t length;
	} ranges[] = {
		{ 0, 1 }, { 4095, 2 }, { 100, 0 }, { 1, 4096 }, { 0, LENGTH },
		{ 4097, LENGTH - 5000 }, { LENGTH - 1, 1 }, { 3, 70000 },
	};
	size_t i;

	pattern(self->addr, LENGTH, 1);
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		size_t at = ranges[i].at, length = ranges[i].length;

		memset(self->buffer, 0, LENGTH);
		ASSERT_EQ(length, region_access(self->fd, self->addr + at,
						self->buffer, length, 0));
		EXPECT_EQ(0, memcmp(self->addr + at, self->buffer, length));
		EXPECT_TRUE(all_bytes(self->buffer + length, LENGTH - length,
				      0));
	}
}

TEST_F(access, writes_any_bytes)
{
	pattern(self->buffer, LENGTH, 2);
	ASSERT_EQ(LENGTH - 4097, region_access(self->fd, self->addr + 4001,
					       self->buffer + 3, LENGTH - 4097,
					       MMEXT_ACCESS_WRITE));
	EXPECT_EQ(0, memcmp(self->addr + 4001, self->buffer + 3,
			    LENGTH - 4097));
	EXPECT_TRUE(all_bytes(self->addr, 4001, 0));
	EXPECT_TRUE(all_bytes(self->addr + LENGTH - 96, 96, 0));
}

TEST_F(access, advances_the_structure)
{
	struct mmext_access arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)self->addr + 10,
		.length = 5000,
		.buffer = (uintptr_t)self->buffer + 20,
	};

	ASSERT_EQ(0, call(self->fd, MMEXT_ACCESS, &arg));
	EXPECT_EQ((uintptr_t)self->addr + 5010, arg.addr);
	EXPECT_EQ((uintptr_t)self->buffer + 5020, arg.buffer);
	EXPECT_EQ(0, arg.length);
}

/* The mapping has no more than that: all before it is transferred. */
TEST_F(access, ends_at_what_cannot_be_had)
{
	struct mmext_access arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)self->addr + LENGTH - 10000,
		.length = 10001,
		.buffer = (uintptr_t)self->buffer,
	};

	pattern(self->addr, LENGTH, 3);
	ASSERT_EQ(-EFAULT, call(self->fd, MMEXT_ACCESS, &arg));
	EXPECT_EQ((uintptr_t)self->addr + LENGTH, arg.addr);
	EXPECT_EQ((uintptr_t)self->buffer + 10000, arg.buffer);
	EXPECT_EQ(1, arg.length);
	EXPECT_EQ(0, memcmp(self->addr + LENGTH - 10000, self->buffer, 10000));
	/* and again, with nothing done */
	ASSERT_EQ(-EFAULT, call(self->fd, MMEXT_ACCESS, &arg));
	EXPECT_EQ(1, arg.length);
	munmap(self->addr + LENGTH, page_size);
	EXPECT_EQ(-EFAULT, call(self->fd, MMEXT_ACCESS, &arg));
}

TEST_F(access, ends_where_the_buffer_does)
{
	__u8 *end = self->buffer + LENGTH;
	long long done;

	pattern(self->addr, LENGTH, 4);
	done = region_access(self->fd, self->addr + 5, end - 6000, 9000, 0);
	EXPECT_LT(0, done);
	EXPECT_LE(done, 6000);
	EXPECT_GT(done, 6000 - (long long)page_size);
	EXPECT_EQ(0, memcmp(self->addr + 5, end - 6000, done));
	EXPECT_EQ(-EFAULT, region_access(self->fd, self->addr, end, 10, 0));
	/* what can't be read is not written as zeroes */
	memset(self->addr, 8, LENGTH);
	done = region_access(self->fd, self->addr + 5, end - 6000, 9000,
			     MMEXT_ACCESS_WRITE);
	EXPECT_LE(done, 6000);
	EXPECT_EQ(0, memcmp(self->addr + 5, end - 6000, done));
	EXPECT_TRUE(all_bytes(self->addr + 5 + done, LENGTH - 5 - done, 8));
	EXPECT_EQ(-EFAULT, region_access(self->fd, self->addr, end, 10,
					 MMEXT_ACCESS_WRITE));
}

TEST_F(access, keeps_to_the_protection)
{
	self->addr[0] = 1;
	self->addr[page_size] = 2;
	ASSERT_EQ(0, mprotect(self->addr, page_size, PROT_READ));
	EXPECT_EQ(-EFAULT, region_access(self->fd, self->addr, self->buffer,
					 1, MMEXT_ACCESS_WRITE));
	EXPECT_EQ(1, region_access(self->fd, self->addr, self->buffer, 1, 0));
	ASSERT_EQ(0, mprotect(self->addr, page_size, PROT_NONE));
	EXPECT_EQ(-EFAULT, region_access(self->fd, self->addr, self->buffer,
					 1, 0));
	EXPECT_EQ(1, region_access(self->fd, self->addr + page_size,
				   self->buffer, 1, 0));
	EXPECT_EQ(2, self->buffer[0]);
}

TEST_F(access, of_a_range_that_is_none)
{
	struct mmext_access arg = { .size = sizeof(arg), .length = 100 };

	EXPECT_EQ(-EFAULT, region_access(self->fd, NULL, self->buffer, 1, 0));
	EXPECT_EQ(0, region_access(self->fd, NULL, NULL, 0, 0));
	arg.addr = -50ULL;
	EXPECT_EQ(-EOVERFLOW, call(self->fd, MMEXT_ACCESS, &arg));
	arg.addr = 1ULL << 63;
	EXPECT_EQ(-EFAULT, call(self->fd, MMEXT_ACCESS, &arg));
	arg.addr = (uintptr_t)self->addr;
	arg.buffer = -50ULL;
	EXPECT_EQ(-EFAULT, call(self->fd, MMEXT_ACCESS, &arg));
	EXPECT_EQ(100, arg.length);
}

/* Memory, a region, memory: three mappings in a row, one in frames. */
TEST_F(access, goes_over_mappings_of_every_kind)
{
	size_t at = MIB, length = 40 * page_size;
	__u8 *region = self->addr + at;
	int flags = MAP_SHARED | MAP_FIXED;

	ASSERT_EQ(region, mmap(region, length, PROT_READ | PROT_WRITE, flags,
			       self->fd, 0));
	pattern(self->buffer, LENGTH, 5);
	ASSERT_EQ(LENGTH, region_access(self->fd, self->addr, self->buffer,
					LENGTH, MMEXT_ACCESS_WRITE));
	EXPECT_EQ(0, memcmp(self->addr, self->buffer, LENGTH));
	memset(self->buffer, 0, LENGTH);
	/* pages that no entry shows are read all the same */
	ASSERT_EQ(0, region_zap(self->fd, region, length));
	ASSERT_EQ(LENGTH - 7, region_access(self->fd, self->addr + 7,
					    self->buffer, LENGTH - 7, 0));
	EXPECT_EQ(0, memcmp(self->addr + 7, self->buffer, LENGTH - 7));
}

TEST_F(access, from_a_region_to_itself)
{
	__u8 *region = region_map(self->fd, 16 * page_size, 0);

	ASSERT_NE(MAP_FAILED, region);
	pattern(region, 8 * page_size, 6);
	ASSERT_EQ(8 * page_size - 3,
		  region_access(self->fd, region + 3, region + 8 * page_size,
				8 * page_size - 3, 0));
	EXPECT_EQ(0, memcmp(region + 3, region + 8 * page_size,
			    8 * page_size - 3));
	munmap(region, 16 * page_size);
}

TEST_F(access, keeps_to_the_regions_protection)
{
	__u8 *region = region_map(self->fd, 4 * page_size, 0);

	ASSERT_NE(MAP_FAILED, region);
	fill(region, 4 * page_size, 1);
	ASSERT_EQ(0, region_protect(self->fd, page_size, page_size,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(page_size, region_access(self->fd, region, self->buffer,
					   4 * page_size, MMEXT_ACCESS_WRITE));
	EXPECT_EQ(2, region[page_size]);
	EXPECT_EQ(3, region[2 * page_size]);
	EXPECT_EQ(4 * page_size, region_access(self->fd, region, self->buffer,
					       4 * page_size, 0));
	munmap(region, 4 * page_size);
}

/* A private copy is the process's own; its file keeps what it has. */
TEST_F(access, writes_to_a_private_mapping_make_a_copy)
{
	int file = memfd_create("access", MFD_CLOEXEC);
	__u8 byte = 0, *copy;

	ASSERT_GE(file, 0);
	ASSERT_EQ(0, ftruncate(file, page_size));
	ASSERT_EQ(1, pwrite(file, "a", 1, 0));
	copy = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file,
		    0);
	ASSERT_NE(MAP_FAILED, copy);
	EXPECT_EQ('a', copy[0]);
	EXPECT_EQ(1, region_access(self->fd, copy, "b", 1,
				   MMEXT_ACCESS_WRITE));
	EXPECT_EQ('b', copy[0]);
	ASSERT_EQ(1, pread(file, &byte, 1, 0));
	EXPECT_EQ('a', byte);
	munmap(copy, page_size);
	close(file);
}

/* The pages of a forked process are not its parent's any more. */
TEST_F(access, after_fork_writes_to_the_callers_copy)
{
	pid_t pid;

	self->addr[0] = 1;
	pid = fork();
	if (!pid) {
		CHILD_CHECK(region_access(self->fd, self->addr, "\2", 1,
					  MMEXT_ACCESS_WRITE) == 1);
		_exit(self->addr[0] == 2 ? 0 : 1);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(1, self->addr[0]);
}

TEST_F(access, does_not_shape_the_region)
{
	ASSERT_EQ(1, region_access(self->fd, self->addr, self->buffer, 1, 0));
	EXPECT_EQ(0, region_setup(self->fd, MIB));
}

static void on_alarm(int sig __unused)
{
}

TEST_F(access, interrupted_goes_on_where_it_was)
{
	struct sigaction action = { .sa_handler = on_alarm };
	timer_t timer;
	struct sigevent event = {
		.sigev_notify = SIGEV_SIGNAL,
		.sigev_signo = SIGALRM,
	};
	struct itimerspec every = {
		.it_value.tv_nsec = 300000,
		.it_interval.tv_nsec = 300000,
	};
	long long done = 0;
	int i;

	sigaction(SIGALRM, &action, NULL);
	pattern(self->addr, LENGTH, 7);
	ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer));
	ASSERT_EQ(0, timer_settime(timer, 0, &every, NULL));
	for (i = 0; i < 20 && done >= 0; i++)
		done = region_access(self->fd, self->addr, self->buffer,
				     LENGTH, 0);
	timer_delete(timer);
	ASSERT_EQ(LENGTH, done);
	EXPECT_EQ(0, memcmp(self->addr, self->buffer, LENGTH));
}

TEST_HARNESS_MAIN
