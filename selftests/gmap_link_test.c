// SPDX-License-Identifier: GPL-2.0
/*
 * Links: what hands out the parent's pages, what takes them back, and faults
 * without a window.
 */
#include "mmext_gmap.h"

#include <linux/userfaultfd.h>

#define GUEST		(16 * SEGMENT)
#define HOST_LENGTH	(8 * SEGMENT)

FIXTURE(link)
{
	int fd;
	char *host;
};

FIXTURE_SETUP(link)
{
	self->fd = gmap_open();
	ASSERT_GE(self->fd, 0);
	self->host = host_alloc_shared(HOST_LENGTH);
	ASSERT_NE(NULL, self->host);
}

FIXTURE_TEARDOWN(link)
{
	munmap(self->host, HOST_LENGTH);
	close(self->fd);
}

#define HOST(n)		(self->host + (n) * SEGMENT)
#define LINKED(fd)	gmap_stat_of(fd, out_linked)

/* How many pages of a range of this process are there. */
static size_t pages_there(char *addr, size_t length)
{
	size_t i, nr = length / page_size, there = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	__u64 *entries = calloc(nr, sizeof(*entries));

	if (pread(fd, entries, nr * sizeof(*entries),
		  to_u64(addr) / page_size * sizeof(*entries)) ==
	    (ssize_t)(nr * sizeof(*entries)))
		for (i = 0; i < nr; i++)
			there += entries[i] >> 63;
	free(entries);
	close(fd);
	return there;
}

TEST_F(link, __gmap_link)
{
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 2 * SEGMENT));
	EXPECT_EQ(0, LINKED(self->fd));
	EXPECT_EQ(0, gmap_link(self->fd, GUEST + 4321, to_u64(HOST(0)) + 4321));
	EXPECT_EQ(1, LINKED(self->fd));
	/* the same again, at another place of the segment */
	EXPECT_EQ(0, gmap_link(self->fd, GUEST, to_u64(HOST(0))));
	EXPECT_EQ(0, gmap_link(self->fd, GUEST + SEGMENT - 1,
			       to_u64(HOST(1)) - 1));
	EXPECT_EQ(1, LINKED(self->fd));
	EXPECT_EQ(0, gmap_link(self->fd, GUEST + SEGMENT, to_u64(HOST(1))));
	EXPECT_EQ(2, LINKED(self->fd));
	EXPECT_EQ(2, gmap_stat_of(self->fd, out_segments));
}

TEST_F(link, link_to_what_it_does_not_translate_to_is_efault)
{
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 2 * SEGMENT));
	/* not mapped, above the limit, another segment, another place in it */
	EXPECT_EQ(-EFAULT, gmap_link(self->fd, 0, to_u64(HOST(0))));
	EXPECT_EQ(-EFAULT, gmap_link(self->fd, LIMIT + 1, to_u64(HOST(0))));
	EXPECT_EQ(-EFAULT, gmap_link(self->fd, ~0ULL, to_u64(HOST(0))));
	EXPECT_EQ(-EFAULT, gmap_link(self->fd, GUEST, to_u64(HOST(1))));
	EXPECT_EQ(-EFAULT, gmap_link(self->fd, GUEST + page_size,
				     to_u64(HOST(0))));
	EXPECT_EQ(-EFAULT, gmap_link(self->fd, GUEST, 0));
	EXPECT_EQ(-EFAULT, gmap_link(self->fd, GUEST, ~0ULL));
	EXPECT_EQ(0, LINKED(self->fd));
}

TEST_F(link, one_host_segment_may_have_many_guest_segments)
{
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST * i, SEGMENT));
		EXPECT_EQ(0, gmap_link(self->fd, GUEST * i, to_u64(HOST(0))));
	}
	EXPECT_EQ(4, LINKED(self->fd));
}

TEST_F(link, exclusive_space_refuses_a_second_link)
{
	int fd = gmap_create(LIMIT, 0, MMEXT_GMAP_CREATE_EXCLUSIVE);

	ASSERT_GE(fd, 0);
	/* mapping it twice is no link */
	ASSERT_EQ(0, gmap_map(fd, HOST(0), GUEST, SEGMENT));
	ASSERT_EQ(0, gmap_map(fd, HOST(0), 2 * GUEST, SEGMENT));
	EXPECT_EQ(0, gmap_link(fd, GUEST, to_u64(HOST(0))));
	EXPECT_EQ(0, gmap_link(fd, GUEST, to_u64(HOST(0))));
	EXPECT_EQ(-EFAULT, gmap_link(fd, 2 * GUEST, to_u64(HOST(0))));
	EXPECT_EQ(-EFAULT, gmap_fault(fd, 2 * GUEST, page_size, 0));
	EXPECT_EQ(1, LINKED(fd));
	/* when the first has gone, the second may */
	EXPECT_EQ(1, gmap_unlink(fd, to_u64(HOST(0)), 0));
	EXPECT_EQ(0, gmap_link(fd, 2 * GUEST, to_u64(HOST(0))));
	EXPECT_EQ(-EFAULT, gmap_fault(fd, GUEST, page_size, 0));
	EXPECT_EQ(0, gmap_unmap(fd, 2 * GUEST, SEGMENT));
	EXPECT_EQ(0, gmap_fault(fd, GUEST, page_size, 0));
	EXPECT_EQ(1, LINKED(fd));
	close(fd);
}

TEST_F(link, exclusive_space_shows_one_of_two)
{
	int fd = gmap_create(LIMIT, 0, MMEXT_GMAP_CREATE_EXCLUSIVE);
	char *window;

	NEED_WINDOWS();
	ASSERT_GE(fd, 0);
	*HOST(0) = 7;
	ASSERT_EQ(0, gmap_map(fd, HOST(0), 0, SEGMENT));
	ASSERT_EQ(0, gmap_map(fd, HOST(0), SEGMENT, SEGMENT));
	window = window_map(fd, 2 * SEGMENT, 0);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(7, peek(window + SEGMENT));
	EXPECT_EQ(-SIGBUS, peek(window));
	munmap(window, 2 * SEGMENT);
	close(fd);
}

/* Unlinking */

TEST_F(link, __gmap_unlink_by_vmaddr)
{
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 2 * SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), 2 * GUEST, SEGMENT));
	EXPECT_EQ(0, gmap_unlink(self->fd, to_u64(HOST(0)), 0));
	ASSERT_EQ(0, gmap_link(self->fd, GUEST, to_u64(HOST(0))));
	ASSERT_EQ(0, gmap_link(self->fd, GUEST + SEGMENT, to_u64(HOST(1))));
	ASSERT_EQ(0, gmap_link(self->fd, 2 * GUEST, to_u64(HOST(0))));
	/* every guest segment that names it, by any of its addresses */
	EXPECT_EQ(2, gmap_unlink(self->fd, to_u64(HOST(0)) + 12345, 0));
	EXPECT_EQ(1, LINKED(self->fd));
	EXPECT_EQ(0, gmap_unlink(self->fd, to_u64(HOST(0)), 0));
	EXPECT_EQ(0, gmap_unlink(self->fd, to_u64(HOST(2)), 0));
	EXPECT_EQ(0, gmap_unlink(self->fd, ~0ULL, 0));
	/* the translation stays, and the next fault links again */
	EXPECT_EQ((long long)to_u64(HOST(0)), gmap_translate(self->fd, GUEST));
	EXPECT_EQ((long long)to_u64(HOST(0)),
		  gmap_translate(self->fd, 2 * GUEST));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST, page_size, 0));
	EXPECT_EQ(2, LINKED(self->fd));
}

TEST_F(link, gmap_unlink)
{
	int other = gmap_open();

	/* every space of this process, or the one that it is asked of */
	ASSERT_GE(other, 0);
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	ASSERT_EQ(0, gmap_map(other, HOST(0), 0, SEGMENT));
	ASSERT_EQ(0, gmap_map(other, HOST(0), SEGMENT, SEGMENT));
	ASSERT_EQ(0, gmap_link(self->fd, GUEST, to_u64(HOST(0))));
	ASSERT_EQ(0, gmap_link(other, 0, to_u64(HOST(0))));
	ASSERT_EQ(0, gmap_link(other, SEGMENT, to_u64(HOST(0))));
	EXPECT_EQ(1, gmap_unlink(self->fd, to_u64(HOST(0)), 0));
	EXPECT_EQ(2, LINKED(other));
	ASSERT_EQ(0, gmap_link(self->fd, GUEST, to_u64(HOST(0))));
	EXPECT_EQ(3, gmap_unlink(self->fd, to_u64(HOST(0)),
				 MMEXT_GMAP_UNLINK_EVERY_SPACE));
	EXPECT_EQ(0, LINKED(self->fd));
	EXPECT_EQ(0, LINKED(other));
	EXPECT_EQ((long long)to_u64(HOST(0)), gmap_translate(self->fd, GUEST));
	EXPECT_EQ((long long)to_u64(HOST(0)), gmap_translate(other, SEGMENT));
	close(other);
}

static long run_every_space(int sock __unused, void *arg)
{
	return gmap_unlink(*(int *)arg, 64 * GIB,
			   MMEXT_GMAP_UNLINK_EVERY_SPACE);
}

TEST_F(link, unlink_of_every_space_is_of_this_parent)
{
	struct owner *owner = owner_start(HOST_SHARED);

	ASSERT_NE(NULL, owner);
	ASSERT_EQ(0, gmap_fault(owner->space, 0, page_size, 0));
	EXPECT_EQ(1, LINKED(owner->space));
	/* the same addresses, of another process */
	ASSERT_EQ(0, gmap_map(self->fd, owner->host, GUEST, SEGMENT));
	ASSERT_EQ(0, gmap_link(self->fd, GUEST, to_u64(owner->host)));
	EXPECT_EQ(1, gmap_unlink(self->fd, to_u64(owner->host),
				 MMEXT_GMAP_UNLINK_EVERY_SPACE));
	EXPECT_EQ(1, LINKED(owner->space));
	EXPECT_EQ(-EPERM, run_every_space(0, &owner->space));
	EXPECT_EQ(0, owner_stop(owner));
}

TEST_F(link, unlink_takes_the_entries_out_of_the_window)
{
	char *window;
	__u64 faults;

	NEED_WINDOWS();
	fill(HOST(0), SEGMENT, 1);
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), 0, SEGMENT));
	window = window_map(self->fd, SEGMENT, 0);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(-1, filled_not(window, SEGMENT, 1));
	EXPECT_EQ(1, LINKED(self->fd));
	EXPECT_LT(0, pages_there(window, SEGMENT));
	EXPECT_EQ(1, gmap_unlink(self->fd, to_u64(HOST(0)), 0));
	EXPECT_EQ(0, pages_there(window, SEGMENT));
	faults = gmap_stat_of(self->fd, out_faults);
	EXPECT_EQ(-1, filled_not(window, SEGMENT, 1));
	EXPECT_LT(faults, gmap_stat_of(self->fd, out_faults));
	EXPECT_EQ(1, LINKED(self->fd));
	munmap(window, SEGMENT);
}

TEST_F(link, unmap_of_one_name_leaves_the_other_linked)
{
	char *window;

	NEED_WINDOWS();
	fill(HOST(0), SEGMENT, 1);
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), 0, SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), SEGMENT, SEGMENT));
	window = window_map(self->fd, 2 * SEGMENT, 0);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(-1, filled_not(window, SEGMENT, 1));
	EXPECT_EQ(-1, filled_not(window + SEGMENT, SEGMENT, 1));
	EXPECT_EQ(2, LINKED(self->fd));
	ASSERT_EQ(0, gmap_unmap(self->fd, 0, SEGMENT));
	EXPECT_EQ(1, LINKED(self->fd));
	EXPECT_EQ(0, pages_there(window, SEGMENT));
	EXPECT_LT(0, pages_there(window + SEGMENT, SEGMENT));
	EXPECT_EQ(-SIGBUS, peek(window));
	EXPECT_EQ(-1, filled_not(window + SEGMENT, SEGMENT, 1));
	munmap(window, 2 * SEGMENT);
}

TEST_F(link, map_over_a_link_drops_it)
{
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	ASSERT_EQ(0, gmap_link(self->fd, GUEST, to_u64(HOST(0))));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(1), GUEST, SEGMENT));
	EXPECT_EQ(0, LINKED(self->fd));
	EXPECT_EQ(-EFAULT, gmap_link(self->fd, GUEST, to_u64(HOST(0))));
	EXPECT_EQ(0, gmap_link(self->fd, GUEST, to_u64(HOST(1))));
	EXPECT_EQ(0, gmap_unmap(self->fd, GUEST, SEGMENT));
	EXPECT_EQ(0, LINKED(self->fd));
}

/* Faults */

TEST_F(link, gmap_fault)
{
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 4 * SEGMENT));
	ASSERT_EQ(0, pages_there(HOST(0), 4 * SEGMENT));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST, page_size, 0));
	EXPECT_LE(1, pages_there(HOST(0), SEGMENT));
	EXPECT_EQ(1, LINKED(self->fd));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST + SEGMENT - 2 * page_size,
				4 * page_size, MMEXT_GMAP_FAULT_WRITE));
	EXPECT_EQ(4, pages_there(HOST(1) - 2 * page_size, 4 * page_size));
	EXPECT_EQ(2, LINKED(self->fd));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST + 2 * SEGMENT, 2 * SEGMENT,
				MMEXT_GMAP_FAULT_WRITE));
	EXPECT_EQ(2 * SEGMENT / page_size,
		  pages_there(HOST(2), 2 * SEGMENT));
	EXPECT_EQ(4, LINKED(self->fd));
	EXPECT_LE(5, gmap_stat_of(self->fd, out_faults));
	/* nothing was changed */
	EXPECT_TRUE(all_bytes(HOST(0), 4 * SEGMENT, 0));
}

TEST_F(link, fault_of_a_range_is_checked_before_it_is_begun)
{
	__u64 page = page_size;

	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	EXPECT_EQ(-EINVAL, gmap_fault(self->fd, GUEST + 1, page, 0));
	EXPECT_EQ(-EINVAL, gmap_fault(self->fd, GUEST, page + 1, 0));
	EXPECT_EQ(-EINVAL, gmap_fault(self->fd, GUEST, 1, 0));
	EXPECT_EQ(-EOVERFLOW, gmap_fault(self->fd, GUEST, -page, 0));
	EXPECT_EQ(-EOVERFLOW, gmap_fault(self->fd, -page, 2 * page, 0));
	EXPECT_EQ(-EINVAL, gmap_fault(self->fd, LIMIT + 1, page, 0));
	EXPECT_EQ(-EINVAL, gmap_fault(self->fd, LIMIT + 1 - page, 2 * page, 0));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST, 0, 0));
	EXPECT_EQ(0, gmap_fault(self->fd, 0, 0, 0));
	EXPECT_EQ(0, LINKED(self->fd));
	EXPECT_EQ(0, pages_there(HOST(0), SEGMENT));
}

TEST_F(link, fault_up_to_a_hole_says_how_far_it_came)
{
	__u64 done = 99;

	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(2), GUEST + 2 * SEGMENT, SEGMENT));
	EXPECT_EQ(-EFAULT, gmap_fault_done(self->fd, GUEST + SEGMENT -
					   3 * page_size, 2 * SEGMENT,
					   MMEXT_GMAP_FAULT_WRITE, &done));
	EXPECT_EQ(3 * page_size, done);
	EXPECT_EQ(3, pages_there(HOST(0), SEGMENT));
	EXPECT_EQ(0, pages_there(HOST(2), SEGMENT));
	EXPECT_EQ(-EFAULT, gmap_fault_done(self->fd, 0, SEGMENT, 0, &done));
	EXPECT_EQ(0, done);
	EXPECT_EQ(1, LINKED(self->fd));
}

TEST_F(link, fault_where_the_parent_has_nothing_is_efault)
{
	__u64 done;

	ASSERT_EQ(0, munmap(HOST(0) + 4 * page_size, page_size));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	EXPECT_EQ(-EFAULT, gmap_fault_done(self->fd, GUEST, SEGMENT, 0, &done));
	EXPECT_EQ(4 * page_size, done);
	ASSERT_EQ(0, mprotect(HOST(1), page_size, PROT_NONE));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(1), GUEST, SEGMENT));
	EXPECT_EQ(-EFAULT, gmap_fault(self->fd, GUEST, page_size, 0));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST + page_size, page_size, 0));
	/* a file that ends before it */
	ASSERT_EQ(0, gmap_map_at(self->fd, 0, GUEST, SEGMENT));
	EXPECT_EQ(-EFAULT, gmap_fault(self->fd, GUEST, page_size, 0));
}

TEST_F(link, fault_past_the_end_of_a_file_is_efault)
{
	int fd = host_backing(HOST_SHARED, 2 * page_size);

	ASSERT_GE(fd, 0);
	ASSERT_NE(MAP_FAILED, host_map_at(HOST_SHARED, fd, HOST(0), SEGMENT,
					  0));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST, 2 * page_size, 0));
	EXPECT_EQ(-EFAULT, gmap_fault(self->fd, GUEST + 2 * page_size,
				      page_size, 0));
	ASSERT_EQ(0, ftruncate(fd, 3 * page_size));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST + 2 * page_size, page_size, 0));
	close(fd);
}

TEST_F(link, fault_for_a_store_where_the_parent_may_not_is_efault)
{
	__u64 done;

	ASSERT_EQ(0, mprotect(HOST(0) + 2 * page_size, page_size, PROT_READ));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST, SEGMENT, 0));
	EXPECT_EQ(-EFAULT, gmap_fault_done(self->fd, GUEST, SEGMENT,
					   MMEXT_GMAP_FAULT_WRITE, &done));
	EXPECT_EQ(2 * page_size, done);
	/* also where a debugger may: privately, which makes a copy */
	ASSERT_NE(MAP_FAILED, host_map_at(HOST_ANON, -1, HOST(0), page_size,
					  0));
	*HOST(0) = 5;
	ASSERT_EQ(0, mprotect(HOST(0), page_size, PROT_READ));
	EXPECT_EQ(-EFAULT, gmap_fault(self->fd, GUEST, page_size,
				      MMEXT_GMAP_FAULT_WRITE));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST, page_size, 0));
	EXPECT_EQ(5, *HOST(0));
}

TEST_F(link, mapped_before_the_parent_exists)
{
	char *window = NULL;

	ASSERT_EQ(0, munmap(HOST(0), SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	EXPECT_EQ(-EFAULT, gmap_fault(self->fd, GUEST, page_size, 0));
	EXPECT_EQ((long long)to_u64(HOST(0)), gmap_translate(self->fd, GUEST));
	if (have_windows()) {
		window = window_map(self->fd, SEGMENT, GUEST);
		ASSERT_NE(MAP_FAILED, window);
		EXPECT_EQ(-SIGBUS, peek(window));
		EXPECT_EQ(-SIGBUS, poke(window, 1));
	}
	ASSERT_NE(MAP_FAILED, mmap(HOST(0), SEGMENT, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
				   -1, 0));
	*HOST(0) = 9;
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST, SEGMENT,
				MMEXT_GMAP_FAULT_WRITE));
	if (window) {
		EXPECT_EQ(9, peek(window));
		EXPECT_EQ(0, poke(window + page_size, 8));
		EXPECT_EQ(8, HOST(0)[page_size]);
		munmap(window, SEGMENT);
	}
}

static long run_fault(int sock __unused, void *arg)
{
	return gmap_fault(*(int *)arg, GUEST, SEGMENT, MMEXT_GMAP_FAULT_WRITE);
}

TEST_F(link, fault_by_another_process_is_of_the_parents_memory)
{
	struct runner other;

	ASSERT_EQ(0, runner_start(&other));
	/* which the other has no more since the fork */
	ASSERT_NE(MAP_FAILED, mmap(HOST(0), SEGMENT, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
				   -1, 0));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	EXPECT_EQ(0, runner_do(&other, run_fault, &self->fd));
	EXPECT_EQ(SEGMENT / page_size, pages_there(HOST(0), SEGMENT));
	EXPECT_EQ(0, runner_stop(&other));
}

/* Memory that somebody has to bring: a userfaultfd. */

static int missing_register(void *addr, size_t length)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = to_u64(addr), .len = length },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return -1;
	return fd;
}

TEST_F(link, fault_that_would_wait_is_eagain_if_it_may_not)
{
	int uffd = missing_register(HOST(0) + page_size, page_size);
	struct uffdio_zeropage zero = {
		.range = {
			.start = to_u64(HOST(0) + page_size),
			.len = page_size,
		},
	};
	__u64 done;

	ASSERT_GE(uffd, 0);
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	EXPECT_EQ(-EAGAIN, gmap_fault_done(self->fd, GUEST, 3 * page_size,
					   MMEXT_GMAP_FAULT_NOWAIT, &done));
	EXPECT_EQ(page_size, done);
	EXPECT_EQ(-EAGAIN, gmap_fault(self->fd, GUEST + page_size, page_size,
				      MMEXT_GMAP_FAULT_NOWAIT |
				      MMEXT_GMAP_FAULT_WRITE));
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_ZEROPAGE, &zero));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST, 3 * page_size,
				MMEXT_GMAP_FAULT_NOWAIT));
	close(uffd);
}

static long run_stuck_fault(int sock __unused, void *arg)
{
	/* until it is killed: nobody brings that page */
	return gmap_fault(*(int *)arg, GUEST, page_size, 0);
}

TEST_F(link, fault_that_waits_ends_with_a_fatal_signal)
{
	int uffd = missing_register(HOST(0), page_size), i;
	struct pollfd fds = { .fd = uffd, .events = POLLIN };
	struct runner other;

	ASSERT_GE(uffd, 0);
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	ASSERT_EQ(0, runner_start(&other));
	ASSERT_EQ(0, runner_begin(&other, run_stuck_fault, &self->fd));
	EXPECT_EQ(1, poll(&fds, 1, 10000));
	ASSERT_EQ(0, kill(other.pid, SIGKILL));
	for (i = 0; i < 1000 && !waitpid(other.pid, NULL, WNOHANG); i++)
		usleep(10000);
	EXPECT_GT(1000, i);
	close(other.sock);
	/* and the parent's memory is not held by it */
	EXPECT_EQ(0, munmap(HOST(1), SEGMENT));
	close(uffd);
}

/* The parent's mappings change while it is faulted in. */
struct faulter {
	int fd;
	int end;
	unsigned long done;
	unsigned long absent;
	unsigned long wrong;
};

static void *fault_on(void *arg)
{
	struct faulter *f = arg;
	int ret;

	pin(1);
	while (!load(&f->end)) {
		ret = gmap_fault(f->fd, GUEST, 16 * page_size,
				 MMEXT_GMAP_FAULT_WRITE);
		if (!ret)
			f->done++;
		else if (ret == -EFAULT)
			f->absent++;
		else
			f->wrong++;
	}
	return NULL;
}

TEST_F_TIMEOUT(link, fault_while_the_parent_changes, 120)
{
	struct rounds rounds = gmap_rounds(3000);
	struct faulter f = { .fd = self->fd };
	pthread_t thread;
	int i;

	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, fault_on, &f));
	for (i = 0; rounds_until(&rounds, i, load(&f.done) || load(&f.absent));
	     i++) {
		switch (i % 5) {
		case 0:
			munmap(HOST(0) + 8 * page_size, page_size);
			break;
		case 1:
			host_map_at(HOST_ANON, -1, HOST(0), SEGMENT, 0);
			break;
		case 2:
			mprotect(HOST(0) + 4 * page_size, page_size, PROT_READ);
			break;
		case 3:
			gmap_unlink(self->fd, to_u64(HOST(0)), 0);
			break;
		case 4:
			gmap_map(self->fd, HOST(i % 2), GUEST, SEGMENT);
			break;
		}
	}
	store(&f.end, 1);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, f.wrong);
	EXPECT_LT(0, f.done + f.absent);
	printf("# %lu faults, %lu where nothing was\n", f.done, f.absent);
}

TEST_HARNESS_MAIN
