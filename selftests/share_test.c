// SPDX-License-Identifier: GPL-2.0
/*
 * One region in several processes: by fork(2), by a passed descriptor, and by
 * opening /dev/mmext0 more than once.
 */
#include "mmext_selftest.h"

#define NR_PAGES	8

FIXTURE(share)
{
	int fd;
	size_t length;
	char *addr;
	struct peer peer;
};

BACKINGS(share);

FIXTURE_SETUP(share)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(share)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

TEST_F(share, forked_child_and_parent_see_each_others_stores)
{
	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(1, peer_peek(&self->peer, self->addr));
	EXPECT_EQ(0, peer_poke(&self->peer, self->addr, 77));
	EXPECT_EQ(77, self->addr[0]);
	self->addr[page_size] = 78;
	EXPECT_EQ(78, peer_peek(&self->peer, self->addr + page_size));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(0, peer_stop(&self->peer));
	EXPECT_EQ(77, self->addr[0]);
}

TEST_F(share, pages_first_touched_after_fork_are_shared)
{
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(0, peer_poke(&self->peer, self->addr, 1));
	EXPECT_EQ(1, self->addr[0]);
	self->addr[page_size] = 2;
	EXPECT_EQ(2, peer_peek(&self->peer, self->addr + page_size));
	/* a hole that both read before one stores */
	EXPECT_EQ(0, self->addr[2 * page_size]);
	EXPECT_EQ(0, peer_peek(&self->peer, self->addr + 2 * page_size));
	EXPECT_EQ(0, peer_poke(&self->peer, self->addr + 2 * page_size, 3));
	EXPECT_EQ(3, self->addr[2 * page_size]);
	EXPECT_EQ(0, peer_stop(&self->peer));
}

TEST_F(share, fork_copies_the_entries)
{
	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_LT(0, peer_entry(&self->peer, self->fd, self->addr));
	EXPECT_EQ(1, peer_peek(&self->peer, self->addr));
	EXPECT_EQ(0, peer_stop(&self->peer));
}

TEST_F(share, grandchild_sees_the_pages)
{
	pid_t pid;

	self->addr[0] = 1;
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		pid = fork();
		CHILD_CHECK(pid >= 0);
		if (!pid) {
			CHILD_CHECK(self->addr[0] == 1);
			self->addr[0] = 2;
			_exit(0);
		}
		CHILD_CHECK(!child_status(pid));
		CHILD_CHECK(self->addr[0] == 2);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(2, self->addr[0]);
}

TEST_F(share, fork_and_unmap_at_once_lose_no_store)
{
	pid_t pid;
	int i;

	/* the child stores while the parent drops the entries */
	for (i = 0; i < 50; i++) {
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			fill(self->addr, self->length, i);
			_exit(0);
		}
		EXPECT_EQ(0, region_unmap(self->fd, 0, self->length, 0));
		EXPECT_EQ(0, child_status(pid));
		EXPECT_EQ(-1, filled_not(self->addr, self->length, i));
	}
}

TEST_F(share, exit_of_a_process_leaves_the_pages_to_the_others)
{
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(0, peer_poke(&self->peer, self->addr, 5));
	EXPECT_EQ(0, peer_stop(&self->peer));
	EXPECT_EQ(1, region_pages(self->fd));
	EXPECT_EQ(5, self->addr[0]);
}

TEST_F(share, kill_of_a_process_leaves_the_pages_to_the_others)
{
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(0, peer_poke(&self->peer, self->addr, 5));
	kill(self->peer.pid, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, child_status(self->peer.pid));
	EXPECT_EQ(1, region_pages(self->fd));
	EXPECT_EQ(5, self->addr[0]);
}

TEST_F(share, child_changes_its_own_mapping_alone)
{
	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(0, peer_mprotect(&self->peer, self->addr, page_size,
				   PROT_READ));
	EXPECT_EQ(-SIGSEGV, peer_poke(&self->peer, self->addr, 9));
	EXPECT_EQ(0, peer_munmap(&self->peer, self->addr + page_size,
				 page_size));
	EXPECT_EQ(-SIGSEGV, peer_peek(&self->peer, self->addr + page_size));
	EXPECT_EQ(0, poke(self->addr, 10));
	EXPECT_EQ(0, poke(self->addr + page_size, 11));
	EXPECT_EQ(10, peer_peek(&self->peer, self->addr));
	EXPECT_EQ(0, peer_stop(&self->peer));
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, self->addr,
					    self->length));
}

/* A process that had no descriptor of the region when it was forked. */
TEST(passed_descriptor_maps_the_same_region)
{
	struct peer peer;
	char *addr, *there;
	long fd_there;
	int fd;

	ASSERT_EQ(0, peer_start(&peer));
	fd = region_open();
	ASSERT_GE(fd, 0);
	addr = region_map(fd, 4 * page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, 4 * page_size, 1);
	fd_there = peer_send_fd(&peer, fd);
	ASSERT_LE(0, fd_there);
	there = peer_map(&peer, fd_there, 2 * page_size, 2 * page_size);
	ASSERT_NE(MAP_FAILED, there);
	EXPECT_EQ(3, peer_peek(&peer, there));
	EXPECT_EQ(0, peer_poke(&peer, there + page_size, 99));
	EXPECT_EQ(99, addr[3 * page_size]);
	EXPECT_EQ(0, peer_stop(&peer));
	close(fd);
}

TEST(passed_descriptor_keeps_the_region_when_the_sender_is_gone)
{
	int socks[2], fd, ret;
	char *addr;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		fd = region_open();
		CHILD_CHECK(fd >= 0);
		addr = region_map(fd, 4 * page_size, 0);
		CHILD_CHECK(addr != MAP_FAILED);
		fill(addr, 4 * page_size, 1);
		CHILD_CHECK(!send_fd(socks[1], fd));
		_exit(0);
	}
	ASSERT_EQ(0, child_status(pid));
	fd = recv_fd(socks[0]);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(4, region_pages(fd));
	addr = region_map(fd, 4 * page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(-1, filled_not(addr, 4 * page_size, 1));
	ret = munmap(addr, 4 * page_size);
	EXPECT_EQ(0, ret);
	close(fd);
}

TEST(descriptor_in_flight_keeps_the_region)
{
	int socks[2], fd;
	char val = 0;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	fd = region_open();
	ASSERT_GE(fd, 0);
	ASSERT_EQ(1, pwrite(fd, "x", 1, 100));
	ASSERT_EQ(0, send_fd(socks[1], fd));
	close(fd);
	fd = recv_fd(socks[0]);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(1, pread(fd, &val, 1, 100));
	EXPECT_EQ('x', val);
	close(fd);
}

TEST(last_descriptor_and_mapping_free_the_pages)
{
	int fd = region_open(), other = region_open();
	size_t length = 4 * MIB;
	struct mmext_info before, info;
	char *addr;

	ASSERT_GE(fd, 0);
	ASSERT_GE(other, 0);
	ASSERT_EQ(0, region_info(other, &before));
	addr = region_map(fd, length, 0);
	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, length, 0);
	ASSERT_EQ(0, region_info(other, &info));
	EXPECT_EQ(before.out_used + length, info.out_used);
	close(fd);
	ASSERT_EQ(0, region_info(other, &info));
	EXPECT_EQ(before.out_used + length, info.out_used);
	munmap(addr, length);
	/* the last reference is dropped when the task goes back to its work */
	ASSERT_EQ(0, region_info(other, &info));
	EXPECT_EQ(before.out_used, info.out_used);
	close(other);
}

TEST(exit_frees_the_pages)
{
	int other = region_open(), fd;
	struct mmext_info before, info;
	char *addr;
	pid_t pid;
	int i;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, region_info(other, &before));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		fd = region_open();
		CHILD_CHECK(fd >= 0);
		addr = region_map(fd, 4 * MIB, 0);
		CHILD_CHECK(addr != MAP_FAILED);
		fill(addr, 4 * MIB, 0);
		CHILD_CHECK(!region_info(other, &info));
		CHILD_CHECK(info.out_used == before.out_used + 4 * MIB);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	for (i = 0; i < 6000; i++) {
		ASSERT_EQ(0, region_info(other, &info));
		if (info.out_used == before.out_used)
			break;
		usleep(10000);
	}
	EXPECT_EQ(before.out_used, info.out_used);
}

TEST_F(share, duplicated_descriptor_is_the_same_region)
{
	int fd = dup(self->fd);
	char *addr;

	ASSERT_GE(fd, 0);
	addr = region_map(fd, page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	addr[0] = 3;
	EXPECT_EQ(3, self->addr[0]);
	EXPECT_EQ(1, region_pages(fd));
	/* and calls of one descriptor know the mappings of the other */
	EXPECT_EQ(0, region_zap(self->fd, addr, page_size));
	munmap(addr, page_size);
	close(fd);
}

static void *store_five(void *arg)
{
	fill(arg, NR_PAGES * page_size, 5);
	return NULL;
}

TEST_F(share, threads_share_it)
{
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, store_five, self->addr));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 5));
}

/* The region that every opener shares; each test leaves it empty. */
FIXTURE(shared_device)
{
	int fd;
	size_t length;
	char *addr;
};

static int shared_device_empty(int fd)
{
	struct mmext_unmap arg = {
		.size = sizeof(arg),
		.flags = MMEXT_UNMAP_FREE | MMEXT_UNMAP_TO_END,
	};

	return call_all(fd, MMEXT_UNMAP, &arg);
}

FIXTURE_SETUP(shared_device)
{
	self->fd = open(MMEXT_SHARED, O_RDWR);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, shared_device_empty(self->fd));
	self->length = 4 * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(shared_device)
{
	EXPECT_EQ(0, shared_device_empty(self->fd));
	munmap(self->addr, self->length);
	close(self->fd);
}

TEST_F(shared_device, opened_twice_is_one_region)
{
	int fd = open(MMEXT_SHARED, O_RDWR);
	char *addr;

	ASSERT_GE(fd, 0);
	addr = region_map(fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, addr);
	addr[0] = 1;
	EXPECT_EQ(1, self->addr[0]);
	self->addr[page_size] = 2;
	EXPECT_EQ(2, addr[page_size]);
	EXPECT_EQ(2, region_pages(fd));
	munmap(addr, self->length);
	close(fd);
}

TEST_F(shared_device, processes_that_open_it_each_share_it)
{
	struct peer peer;
	char *there;
	long fd;

	ASSERT_EQ(0, peer_start(&peer));
	/* not what it inherited, but what it opens itself */
	EXPECT_EQ(0, peer_munmap(&peer, self->addr, self->length));
	EXPECT_EQ(0, peer_close(&peer, self->fd));
	fd = peer_open_shared(&peer);
	ASSERT_GE(fd, 0);
	there = peer_map(&peer, fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, there);
	EXPECT_EQ(0, peer_poke(&peer, there, 42));
	EXPECT_EQ(42, self->addr[0]);
	self->addr[page_size] = 43;
	EXPECT_EQ(43, peer_peek(&peer, there + page_size));
	EXPECT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	EXPECT_EQ(43, peer_peek(&peer, there));
	EXPECT_EQ(0, peer_stop(&peer));
}

TEST_F(shared_device, keeps_its_pages_without_a_user)
{
	fill(self->addr, self->length, 1);
	munmap(self->addr, self->length);
	close(self->fd);
	self->fd = open(MMEXT_SHARED, O_RDWR);
	ASSERT_GE(self->fd, 0);
	EXPECT_EQ(4, region_pages(self->fd));
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
}

TEST_F(shared_device, has_the_length_of_the_module_parameter)
{
	struct mmext_info info;
	char *addr;

	ASSERT_EQ(0, region_info(self->fd, &info));
	ASSERT_EQ(64 * MIB, info.out_length);
	EXPECT_EQ(64 * MIB, region_stat(self->fd, "length"));
	addr = region_map(self->fd, page_size, info.out_length - page_size);
	ASSERT_NE(MAP_FAILED, addr);
	addr[0] = 1;
	EXPECT_EQ(1, addr[0]);
	munmap(addr, page_size);
	EXPECT_EQ(MAP_FAILED, region_map(self->fd, 2 * page_size,
					 info.out_length - page_size));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(shared_device, has_its_shape_already)
{
	EXPECT_EQ(-EBUSY, region_setup(self->fd, 4 * page_size));
}

TEST_F(shared_device, unmap_by_one_descriptor_drops_entries_of_the_others)
{
	int fd = open(MMEXT_SHARED, O_RDWR);

	ASSERT_GE(fd, 0);
	self->addr[0] = 1;
	EXPECT_EQ(0, region_unmap(fd, 0, page_size, 0));
	EXPECT_FALSE(entry_present(self->fd, self->addr));
	EXPECT_EQ(1, self->addr[0]);
	EXPECT_EQ(0, region_free(fd, 0, page_size));
	EXPECT_EQ(0, self->addr[0]);
	close(fd);
}

TEST_HARNESS_MAIN
