// SPDX-License-Identifier: GPL-2.0
/*
 * REVOKE: a region goes away for good, from under everybody.
 */
#include "mmext_selftest.h"

#include <sys/ptrace.h>

#define NR_PAGES	8

FIXTURE(revoke)
{
	int fd;
	size_t length;
	char *addr;
	struct peer peer;
};

BACKINGS(revoke);

FIXTURE_SETUP(revoke)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, 2 * self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	fill(self->addr, self->length, 1);
}

FIXTURE_TEARDOWN(revoke)
{
	munmap(self->addr, 2 * self->length);
	close(self->fd);
}

TEST_F(revoke, access_is_sigbus)
{
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(-SIGBUS, peek(self->addr));
	EXPECT_EQ(-SIGBUS, poke(self->addr, 1));
	EXPECT_EQ(-SIGBUS, peek(self->addr + self->length - 1));
	/* holes as well */
	EXPECT_EQ(-SIGBUS, peek(self->addr + self->length));
	EXPECT_EQ(-SIGBUS, poke(self->addr + self->length, 1));
}

TEST_F(revoke, access_of_every_process_and_mapping_is_sigbus)
{
	char *other = region_map(self->fd, self->length, page_size);

	ASSERT_NE(MAP_FAILED, other);
	EXPECT_EQ(2, other[0]);
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(1, peer_peek(&self->peer, self->addr));
	EXPECT_EQ(2, peer_peek(&self->peer, other));
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(-SIGBUS, peer_peek(&self->peer, self->addr));
	EXPECT_EQ(-SIGBUS, peer_peek(&self->peer, other));
	EXPECT_EQ(-SIGBUS, peer_poke(&self->peer, other, 1));
	EXPECT_EQ(-SIGBUS, peek(other));
	EXPECT_EQ(0, peer_stop(&self->peer));
	munmap(other, self->length);
}

TEST_F(revoke, read_write_and_mmap_are_enodev)
{
	char buf[8] = "";

	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(-1, read(self->fd, buf, sizeof(buf)));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, pread(self->fd, buf, sizeof(buf), 0));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, write(self->fd, buf, sizeof(buf)));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-1, pwrite(self->fd, buf, sizeof(buf), 0));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(MAP_FAILED, region_map(self->fd, page_size, 0));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(revoke, every_descriptor_is_enodev)
{
	struct mmext_info info;
	int fd = dup(self->fd);
	char byte;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(-ENODEV, region_info(fd, &info));
	EXPECT_EQ(-1, pread(fd, &byte, 1, 0));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-ENODEV, region_revoke(fd));
	close(fd);
}

TEST_F(revoke, frees_every_page)
{
	struct mmext_info before, info;
	int other = region_open();

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, region_info(other, &before));
	ASSERT_EQ(0, region_alias(self->fd, 0, page_size, page_size));
	ASSERT_EQ(0, region_protect(self->fd, 2 * page_size, page_size,
				    MMEXT_PROTECT_READ_ONLY));
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(0, region_pages(self->fd));
	ASSERT_EQ(0, region_info(other, &info));
	EXPECT_EQ(before.out_used - self->length, info.out_used);
	close(other);
}

TEST_F(revoke, shows_in_fdinfo)
{
	EXPECT_EQ(0, region_stat(self->fd, "revoked"));
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(1, region_stat(self->fd, "revoked"));
}

TEST_F(revoke, leaves_other_regions_alone)
{
	int fd = region_open();
	char *addr;

	ASSERT_GE(fd, 0);
	addr = region_map(fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, self->length, 1);
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(NR_PAGES, entries_present(fd, addr, self->length));
	EXPECT_EQ(-1, filled_not(addr, self->length, 1));
	EXPECT_EQ(0, poke(addr, 5));
	munmap(addr, self->length);
	close(fd);
}

TEST_F(revoke, memory_calls_on_what_is_left_are_harmless)
{
	pid_t pid;

	ASSERT_EQ(0, region_revoke(self->fd));
	ASSERT_EQ(0, mprotect(self->addr, page_size, PROT_READ));
	ASSERT_EQ(0, munmap(self->addr + page_size, page_size));
	ASSERT_EQ(self->addr + 4 * page_size,
		  mremap(self->addr + 4 * page_size, 4 * page_size,
			 2 * page_size, 0));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		CHILD_CHECK(peek(self->addr) == -SIGBUS);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(-SIGBUS, peek(self->addr));
	EXPECT_EQ(-SIGBUS, peek(self->addr + 4 * page_size));
	EXPECT_EQ(-SIGSEGV, peek(self->addr + page_size));
}

TEST_F(revoke, system_calls_that_copy_get_efault)
{
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(-1, write(fds[1], self->addr, 8));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(8, write(fds[1], "12345678", 8));
	EXPECT_EQ(-1, read(fds[0], self->addr, 8));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(revoke, debugger_gets_eio)
{
	ASSERT_EQ(0, peer_start(&self->peer));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->peer.pid, NULL, NULL));
	ASSERT_EQ(self->peer.pid, waitpid(self->peer.pid, NULL, 0));
	errno = 0;
	EXPECT_EQ(1, ptrace(PTRACE_PEEKDATA, self->peer.pid, self->addr,
			    NULL) & 0xff);
	ASSERT_EQ(0, region_revoke(self->fd));
	errno = 0;
	EXPECT_EQ(-1, ptrace(PTRACE_PEEKDATA, self->peer.pid, self->addr,
			     NULL));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, ptrace(PTRACE_POKEDATA, self->peer.pid, self->addr,
			     (void *)1L));
	EXPECT_EQ(EIO, errno);
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->peer.pid, NULL, NULL));
	EXPECT_EQ(0, peer_stop(&self->peer));
}

/* Readers and writers that are at it when the region goes. */
struct runner {
	volatile char *addr;
	int write;
	int running;
	int end;
	int wrong;
};

static void run_until_signal(struct runner *runner)
{
	int val;

	pin(1);
	for (;;) {
		val = runner->write ? poke(runner->addr, 1) :
				      peek(runner->addr);
		if (val < 0)
			break;
		if (!runner->write && val != 1)
			runner->wrong++;
		store(&runner->running, 1);
	}
	/* for good */
	if (peek(runner->addr) != -SIGBUS)
		runner->wrong++;
	store(&runner->end, -val);
}

static void *runner_thread(void *arg)
{
	run_until_signal(arg);
	return NULL;
}

FIXTURE(runner)
{
	struct runner *runner;
};

FIXTURE_VARIANT(runner)
{
	int write;
	bool process;
};

FIXTURE_VARIANT_ADD(runner, reading_thread)
{
};

FIXTURE_VARIANT_ADD(runner, writing_thread)
{
	.write = 1,
};

FIXTURE_VARIANT_ADD(runner, reading_process)
{
	.process = true,
};

FIXTURE_VARIANT_ADD(runner, writing_process)
{
	.write = 1,
	.process = true,
};

FIXTURE_SETUP(runner)
{
	self->runner = shared_alloc(page_size);
	ASSERT_NE(MAP_FAILED, self->runner);
	pin(0);
}

FIXTURE_TEARDOWN(runner)
{
	munmap(self->runner, page_size);
}

TEST_F_TIMEOUT(runner, gets_sigbus_and_nothing_else_when_the_region_goes,
	       120)
{
	pthread_t thread;
	pid_t pid = 0;
	char *addr;
	int i, fd;

	for (i = 0; i < 30; i++) {
		fd = region_open();
		ASSERT_GE(fd, 0);
		addr = region_map(fd, page_size, 0);
		ASSERT_NE(MAP_FAILED, addr);
		addr[0] = 1;
		memset(self->runner, 0, sizeof(*self->runner));
		self->runner->addr = addr;
		self->runner->write = variant->write;
		if (variant->process) {
			pid = fork();
			ASSERT_GE(pid, 0);
			if (!pid) {
				run_until_signal(self->runner);
				_exit(0);
			}
		} else {
			ASSERT_EQ(0, pthread_create(&thread, NULL,
						    runner_thread,
						    self->runner));
		}
		wait_for(&self->runner->running, 1);
		ASSERT_EQ(0, region_revoke(fd));
		ASSERT_EQ(0, variant->process ? child_status(pid) :
						pthread_join(thread, NULL));
		ASSERT_EQ(SIGBUS, self->runner->end);
		ASSERT_EQ(0, self->runner->wrong);
		munmap(addr, page_size);
		close(fd);
	}
}

static void *write_until_error(void *arg)
{
	int fd = *(int *)arg;

	pin(1);
	while (pwrite(fd, "x", 1, 0) == 1)
		;
	return (void *)(long)errno;
}

TEST_F(revoke, ends_a_loop_of_writes_with_enodev)
{
	pthread_t thread;
	void *error;

	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_until_error,
				    &self->fd));
	usleep(20000);
	ASSERT_EQ(0, region_revoke(self->fd));
	ASSERT_EQ(0, pthread_join(thread, &error));
	EXPECT_EQ(ENODEV, (long)error);
	EXPECT_EQ(0, region_pages(self->fd));
}

TEST_HARNESS_MAIN
