// SPDX-License-Identifier: GPL-2.0
/*
 * What a debugger sees of a mapping: ptrace(2) and /proc/PID/mem.
 */
#include "mmext_selftest.h"

#include <sys/ptrace.h>

#define NR_PAGES	6

FIXTURE(debug)
{
	int fd;
	size_t length;
	char *addr;
	struct peer peer;
	int mem;
};

BACKINGS(debug);

FIXTURE_SETUP(debug)
{
	char path[64];

	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	/* the third and the last page are holes */
	fill(self->addr, 2 * page_size, 1);
	fill(self->addr + 3 * page_size, 2 * page_size, 4);
	ASSERT_EQ(0, peer_start(&self->peer));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->peer.pid, NULL, NULL));
	ASSERT_EQ(self->peer.pid, waitpid(self->peer.pid, NULL, 0));
	snprintf(path, sizeof(path), "/proc/%d/mem", self->peer.pid);
	self->mem = open(path, O_RDWR);
	ASSERT_GE(self->mem, 0);
}

FIXTURE_TEARDOWN(debug)
{
	ptrace(PTRACE_DETACH, self->peer.pid, NULL, NULL);
	EXPECT_EQ(0, peer_stop(&self->peer));
	close(self->mem);
	munmap(self->addr, self->length);
	close(self->fd);
}

static int peek_at(pid_t pid, void *addr, long *val)
{
	errno = 0;
	*val = ptrace(PTRACE_PEEKDATA, pid, addr, NULL);
	return -errno;
}

TEST_F(debug, peek_reads_a_page)
{
	long val;

	ASSERT_EQ(0, peek_at(self->peer.pid, self->addr, &val));
	EXPECT_EQ(1, val);
	ASSERT_EQ(0, peek_at(self->peer.pid, self->addr + 4 * page_size, &val));
	EXPECT_EQ(5, val);
}

TEST_F(debug, peek_reads_what_the_process_never_touched)
{
	char *later;
	long val;

	/* a mapping that only the child has, and has not touched */
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->peer.pid, NULL, NULL));
	later = peer_map(&self->peer, self->fd, page_size, page_size);
	ASSERT_NE(MAP_FAILED, later);
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->peer.pid, NULL, NULL));
	ASSERT_EQ(self->peer.pid, waitpid(self->peer.pid, NULL, 0));
	ASSERT_EQ(0, peek_at(self->peer.pid, later, &val));
	EXPECT_EQ(2, val);
}

TEST_F(debug, peek_reads_a_hole_as_zero)
{
	long val;

	ASSERT_EQ(0, peek_at(self->peer.pid, self->addr + 2 * page_size, &val));
	EXPECT_EQ(0, val);
	ASSERT_EQ(0, peek_at(self->peer.pid, self->addr + 5 * page_size, &val));
	EXPECT_EQ(0, val);
}

TEST_F(debug, poke_stores_to_a_page)
{
	ASSERT_EQ(0, ptrace(PTRACE_POKEDATA, self->peer.pid,
			    self->addr + page_size,
			    (void *)0x1122334455667788L));
	EXPECT_EQ(0x1122334455667788L, *(long *)(self->addr + page_size));
	EXPECT_EQ(1, self->addr[0]);
}

TEST_F(debug, poke_stores_to_a_hole)
{
	long long pages = region_pages(self->fd);

	ASSERT_EQ(0, ptrace(PTRACE_POKEDATA, self->peer.pid,
			    self->addr + 2 * page_size + 8, (void *)77L));
	EXPECT_EQ(77, *(long *)(self->addr + 2 * page_size + 8));
	EXPECT_EQ(0, *(long *)(self->addr + 2 * page_size));
	EXPECT_EQ(pages + 1, region_pages(self->fd));
}

TEST_F(debug, word_across_two_pages)
{
	char *place = self->addr + page_size - 3;
	long val;

	memcpy(place, "abcdefgh", 8);
	ASSERT_EQ(0, peek_at(self->peer.pid, place, &val));
	EXPECT_EQ(0, memcmp(&val, "abcdefgh", 8));
	memcpy(&val, "ABCDEFGH", 8);
	ASSERT_EQ(0, ptrace(PTRACE_POKEDATA, self->peer.pid, place,
			    (void *)val));
	EXPECT_EQ(0, memcmp(place, "ABCDEFGH", 8));
}

TEST_F(debug, beyond_the_mapping_is_eio)
{
	char *end = self->addr + self->length;
	long val;

	/* make sure that nothing is there */
	ASSERT_EQ(0, peek_at(self->peer.pid, end - 8, &val));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->peer.pid, NULL, NULL));
	EXPECT_EQ(0, peer_munmap(&self->peer, end - page_size, page_size));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->peer.pid, NULL, NULL));
	ASSERT_EQ(self->peer.pid, waitpid(self->peer.pid, NULL, 0));
	EXPECT_EQ(-EIO, peek_at(self->peer.pid, end - page_size, &val));
	EXPECT_EQ(-EIO, peek_at(self->peer.pid, end - page_size - 4, &val));
	EXPECT_EQ(0, peek_at(self->peer.pid, end - page_size - 8, &val));
}

TEST_F(debug, proc_mem_reads_across_pages_and_holes)
{
	char *buf = malloc(self->length);

	ASSERT_NE(NULL, buf);
	memset(buf, 0xff, self->length);
	ASSERT_EQ(self->length, pread(self->mem, buf, self->length,
				      (uintptr_t)self->addr));
	EXPECT_EQ(0, memcmp(buf, self->addr, self->length));
	EXPECT_EQ(1, buf[0]);
	EXPECT_EQ(0, buf[2 * page_size]);
	EXPECT_EQ(4, buf[3 * page_size]);
	/* not from the begin of a page to the end of one */
	memset(buf, 0xff, self->length);
	ASSERT_EQ(3 * page_size, pread(self->mem, buf, 3 * page_size,
				       (uintptr_t)self->addr + 100));
	EXPECT_EQ(0, memcmp(buf, self->addr + 100, 3 * page_size));
	free(buf);
}

TEST_F(debug, proc_mem_writes_across_pages_and_holes)
{
	char *buf = malloc(self->length);
	size_t i;

	ASSERT_NE(NULL, buf);
	for (i = 0; i < self->length; i++)
		buf[i] = i * 3 + 1;
	ASSERT_EQ(self->length - 200, pwrite(self->mem, buf,
					     self->length - 200,
					     (uintptr_t)self->addr + 100));
	EXPECT_EQ(0, memcmp(buf, self->addr + 100, self->length - 200));
	EXPECT_EQ(1, self->addr[0]);
	EXPECT_EQ(0, self->addr[self->length - 1]);
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	free(buf);
}

TEST_F(debug, read_only_mapping_takes_no_store)
{
	long val;

	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->peer.pid, NULL, NULL));
	ASSERT_EQ(0, peer_mprotect(&self->peer, self->addr, page_size,
				   PROT_READ));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->peer.pid, NULL, NULL));
	ASSERT_EQ(self->peer.pid, waitpid(self->peer.pid, NULL, 0));
	EXPECT_EQ(-1, ptrace(PTRACE_POKEDATA, self->peer.pid, self->addr,
			     (void *)9L));
	EXPECT_EQ(EIO, errno);
	ASSERT_EQ(0, peek_at(self->peer.pid, self->addr, &val));
	EXPECT_EQ(1, val);
}

TEST_F(debug, sees_an_exchange)
{
	long val;

	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	ASSERT_EQ(0, peek_at(self->peer.pid, self->addr, &val));
	EXPECT_EQ(2, val);
}

TEST_HARNESS_MAIN
