// SPDX-License-Identifier: GPL-2.0
/*
 * PROTECT: offsets that can't be stored to, whatever mprotect(2) says.
 */
#include "mmext_selftest.h"

#include <sys/ptrace.h>

#define NR_PAGES	8

FIXTURE(protect)
{
	int fd;
	size_t length;
	char *addr;
	struct peer peer;
};

BACKINGS(protect);

FIXTURE_SETUP(protect)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(protect)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

#define PAGE(n)	(self->addr + (n) * page_size)

#define PROTECT(first, nr)						\
	ASSERT_EQ(0, region_protect(self->fd, (first) * page_size,	\
				    (nr) * page_size,			\
				    MMEXT_PROTECT_READ_ONLY))

#define UNPROTECT(first, nr)						\
	ASSERT_EQ(0, region_protect(self->fd, (first) * page_size,	\
				    (nr) * page_size, 0))

TEST_F(protect, store_is_sigsegv_and_data_stays)
{
	fill(self->addr, self->length, 1);
	PROTECT(1, 2);
	EXPECT_EQ(2, peek(PAGE(1)));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(1), 9));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(2), 9));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
}

TEST_F(protect, neighbours_can_be_stored_to)
{
	fill(self->addr, self->length, 1);
	PROTECT(1, 2);
	EXPECT_EQ(0, poke(PAGE(0), 9));
	EXPECT_EQ(0, poke(PAGE(1) - 1, 9));
	EXPECT_EQ(0, poke(PAGE(3), 9));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(3) - 1, 9));
}

TEST_F(protect, lifted_again_it_can_be_stored_to)
{
	fill(self->addr, self->length, 1);
	PROTECT(0, NR_PAGES);
	EXPECT_EQ(-SIGSEGV, poke(PAGE(0), 9));
	UNPROTECT(0, NR_PAGES);
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	fill(self->addr, self->length, 50);
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 50));
}

TEST_F(protect, lifted_in_part)
{
	fill(self->addr, self->length, 1);
	PROTECT(0, NR_PAGES);
	UNPROTECT(3, 1);
	EXPECT_EQ(-SIGSEGV, poke(PAGE(2), 9));
	EXPECT_EQ(0, poke(PAGE(3), 9));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(4), 9));
}

TEST_F(protect, twice_is_once)
{
	fill(self->addr, self->length, 1);
	PROTECT(0, 4);
	PROTECT(2, 4);
	EXPECT_EQ(-SIGSEGV, poke(PAGE(3), 9));
	UNPROTECT(0, 6);
	UNPROTECT(0, 6);
	EXPECT_EQ(0, poke(PAGE(3), 9));
}

/* mprotect(2) makes a read-only entry that is dirty writable, by itself. */
TEST_F(protect, survives_an_mprotect_cycle_of_pages_that_were_dirty)
{
	fill(self->addr, self->length, 1);
	ASSERT_TRUE(entry_flags(self->fd, PAGE(1)) & MMEXT_ENTRY_DIRTY);
	PROTECT(1, 2);
	EXPECT_EQ(2, peek(PAGE(1)));
	EXPECT_EQ(3, peek(PAGE(2)));
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	ASSERT_EQ(0, mprotect(self->addr, self->length,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(1), 9));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(2), 9));
	EXPECT_EQ(0, poke(PAGE(0), 1));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
}

TEST_F(protect, survives_an_mprotect_cycle_without_a_touch)
{
	fill(self->addr, self->length, 1);
	PROTECT(1, 2);
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	ASSERT_EQ(0, mprotect(self->addr, self->length,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(1), 9));
	EXPECT_EQ(2, peek(PAGE(1)));
}

TEST_F(protect, survives_an_mprotect_cycle_of_clean_pages)
{
	EXPECT_EQ(0, peek(PAGE(1)));
	ASSERT_FALSE(entry_flags(self->fd, PAGE(1)) & MMEXT_ENTRY_DIRTY);
	PROTECT(1, 1);
	EXPECT_EQ(0, peek(PAGE(1)));
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	ASSERT_EQ(0, mprotect(self->addr, self->length,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(1), 9));
	EXPECT_EQ(0, peek(PAGE(1)));
}

TEST_F(protect, survives_mprotect_cycles_while_read_only)
{
	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	PROTECT(1, 2);
	EXPECT_EQ(2, peek(PAGE(1)));
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_NONE));
	ASSERT_EQ(0, mprotect(self->addr, self->length,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(1), 9));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(2), 9));
	EXPECT_EQ(0, poke(PAGE(3), 9));
}

TEST_F(protect, read_only_entries_are_clean)
{
	int flags;

	fill(self->addr, self->length, 1);
	PROTECT(0, 2);
	EXPECT_EQ(1, peek(PAGE(0)));
	flags = entry_flags(self->fd, PAGE(0));
	EXPECT_TRUE(flags & MMEXT_ENTRY_PRESENT);
	EXPECT_FALSE(flags & MMEXT_ENTRY_WRITABLE);
	EXPECT_FALSE(flags & MMEXT_ENTRY_DIRTY);
	flags = entry_flags(self->fd, PAGE(1));
	EXPECT_FALSE(flags & (MMEXT_ENTRY_WRITABLE | MMEXT_ENTRY_DIRTY));
}

TEST_F(protect, holds_in_every_process_and_mapping)
{
	char *other = region_map(self->fd, self->length, 0), *later;

	ASSERT_NE(MAP_FAILED, other);
	fill(other, self->length, 1);
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(0, peer_poke(&self->peer, PAGE(0), 1));
	EXPECT_EQ(0, peer_poke(&self->peer, other, 1));
	PROTECT(0, 1);
	EXPECT_EQ(-SIGSEGV, peer_poke(&self->peer, PAGE(0), 9));
	EXPECT_EQ(-SIGSEGV, peer_poke(&self->peer, other, 9));
	EXPECT_EQ(-SIGSEGV, poke(other, 9));
	/* and in one that comes after */
	later = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, later);
	EXPECT_EQ(-SIGSEGV, poke(later, 9));
	EXPECT_EQ(1, peek(later));
	UNPROTECT(0, 1);
	EXPECT_EQ(0, peer_poke(&self->peer, PAGE(0), 9));
	EXPECT_EQ(9, peek(later));
	EXPECT_EQ(0, peer_stop(&self->peer));
}

TEST_F(protect, holds_in_a_child_forked_later)
{
	fill(self->addr, self->length, 1);
	PROTECT(0, 1);
	EXPECT_EQ(1, peek(PAGE(0)));
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(-SIGSEGV, peer_poke(&self->peer, PAGE(0), 9));
	EXPECT_EQ(1, peer_peek(&self->peer, PAGE(0)));
	EXPECT_EQ(0, peer_poke(&self->peer, PAGE(1), 9));
	EXPECT_EQ(0, peer_stop(&self->peer));
}

TEST_F(protect, hole_reads_as_zeroes_and_takes_no_store)
{
	PROTECT(0, 2);
	EXPECT_EQ(-SIGSEGV, poke(PAGE(0), 9));
	EXPECT_EQ(0, peek(PAGE(0)));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(0), 9));
	UNPROTECT(0, 2);
	EXPECT_EQ(0, poke(PAGE(0), 9));
	EXPECT_EQ(0, poke(PAGE(1), 9));
	EXPECT_EQ(0, peek(PAGE(0) + 1));
}

TEST_F(protect, stays_when_the_page_is_freed)
{
	fill(self->addr, self->length, 1);
	PROTECT(0, 2);
	ASSERT_EQ(0, region_free(self->fd, 0, self->length));
	EXPECT_EQ(0, peek(PAGE(0)));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(0), 9));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(1), 9));
	EXPECT_EQ(0, poke(PAGE(2), 9));
	UNPROTECT(0, 2);
	EXPECT_EQ(0, poke(PAGE(0), 9));
}

TEST_F(protect, write_is_eperm)
{
	size_t length = 2 * page_size;
	char *buf = malloc(length);
	char byte;

	ASSERT_NE(NULL, buf);
	memset(buf, 'x', length);
	fill(self->addr, self->length, 1);
	PROTECT(1, 1);
	EXPECT_EQ(-1, pwrite(self->fd, "x", 1, page_size));
	EXPECT_EQ(EPERM, errno);
	/* up to it, and no further */
	EXPECT_EQ(page_size, pwrite(self->fd, buf, length, 0));
	EXPECT_EQ(2, *PAGE(1));
	EXPECT_EQ('x', *PAGE(0));
	EXPECT_EQ(1, pread(self->fd, &byte, 1, page_size));
	EXPECT_EQ(2, byte);
	UNPROTECT(1, 1);
	EXPECT_EQ(length, pwrite(self->fd, buf, length, 0));
	EXPECT_EQ('x', *PAGE(1));
	free(buf);
}

TEST_F(protect, debugger_cannot_store_either)
{
	fill(self->addr, self->length, 1);
	PROTECT(0, 1);
	ASSERT_EQ(0, peer_start(&self->peer));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->peer.pid, NULL, NULL));
	ASSERT_EQ(self->peer.pid, waitpid(self->peer.pid, NULL, 0));
	EXPECT_EQ(-1, ptrace(PTRACE_POKEDATA, self->peer.pid, PAGE(0),
			     (void *)99L));
	EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, self->peer.pid, PAGE(1),
			    (void *)99L));
	errno = 0;
	EXPECT_EQ(1, ptrace(PTRACE_PEEKDATA, self->peer.pid, PAGE(0),
			    NULL) & 0xff);
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->peer.pid, NULL, NULL));
	EXPECT_EQ(0, peer_stop(&self->peer));
	EXPECT_EQ(1, *PAGE(0));
	EXPECT_EQ(99, *PAGE(1));
}

TEST_F(protect, system_call_that_stores_gets_efault)
{
	int fds[2];

	fill(self->addr, self->length, 1);
	PROTECT(0, 1);
	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(4, write(fds[1], "abcd", 4));
	EXPECT_EQ(-1, read(fds[0], PAGE(0), 4));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(4, write(fds[1], PAGE(0), 4));
	EXPECT_EQ(1, *PAGE(0));
}

TEST_F(protect, holds_in_moved_and_split_mappings)
{
	char *place = mmap(NULL, 2 * page_size, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, place);
	fill(self->addr, self->length, 1);
	PROTECT(2, 1);
	EXPECT_EQ(3, peek(PAGE(2)));
	ASSERT_EQ(place, mremap(PAGE(2), 2 * page_size, 2 * page_size,
				MREMAP_MAYMOVE | MREMAP_FIXED, place));
	EXPECT_EQ(-SIGSEGV, poke(place, 9));
	EXPECT_EQ(0, poke(place + page_size, 9));
	EXPECT_EQ(3, peek(place));
}

TEST_F(protect, crosses_table_borders)
{
	size_t from = TABLE - 2 * page_size, length = TABLE + 4 * page_size;
	char *addr = region_map_aligned(self->fd, 3 * TABLE, 0);
	char *end = addr + from + length;

	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, 3 * TABLE, 1);
	ASSERT_EQ(0, region_protect(self->fd, from, length,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(0, poke(addr + from - 1, 9));
	EXPECT_EQ(-SIGSEGV, poke(addr + from, 9));
	EXPECT_EQ(-SIGSEGV, poke(addr + TABLE, 9));
	EXPECT_EQ(-SIGSEGV, poke(addr + 2 * TABLE - 1, 9));
	EXPECT_EQ(-SIGSEGV, poke(end - 1, 9));
	EXPECT_EQ(0, poke(end, 9));
	munmap(addr, 3 * TABLE);
}

TEST_F(protect, costs_no_page)
{
	PROTECT(0, NR_PAGES);
	EXPECT_EQ(0, region_pages(self->fd));
	UNPROTECT(0, NR_PAGES);
	EXPECT_EQ(0, region_pages(self->fd));
}

TEST_F(protect, by_a_read_only_descriptor_is_ebadf)
{
	int fd = open(MMEXT_SHARED, O_RDONLY);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EBADF, region_protect(fd, 0, page_size,
					 MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(-EBADF, region_protect(fd, 0, page_size, 0));
	close(fd);
}

/* No store of another CPU lands when PROTECT has returned. */
struct writer {
	volatile unsigned int *word;
	int stop;
	int stopped;
	int round;
};

static void *write_on(void *arg)
{
	struct writer *writer = arg;
	volatile unsigned int *word = writer->word;
	volatile int round = 0;

	pin(1);
	fault_catch();
	while (!load(&writer->stop)) {
		if (sigsetjmp(fault_env, 0)) {
			round++;
			store(&writer->stopped, round);
			while (load(&writer->round) != round &&
			       !load(&writer->stop))
				;
			continue;
		}
		fault_armed = 1;
		while (!load(&writer->stop))
			(*word)++;
		fault_armed = 0;
	}
	return NULL;
}

TEST_F_TIMEOUT(protect, stops_a_storing_thread, 120)
{
	struct writer writer = { .word = (void *)self->addr };
	struct rounds rounds = rounds_begin(200);
	unsigned int before, seen;
	pthread_t thread;
	int i;

	pin(0);
	*writer.word = 0;
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_on, &writer));
	for (i = 1; rounds_go_on(&rounds, i - 1); i++) {
		before = *writer.word;
		while (*writer.word == before)
			;
		PROTECT(0, 1);
		seen = *writer.word;
		spin(20000);
		ASSERT_EQ(seen, *writer.word) TH_LOG("round %d", i);
		wait_for(&writer.stopped, i);
		ASSERT_EQ(seen, *writer.word);
		UNPROTECT(0, 1);
		store(&writer.round, i);
	}
	store(&writer.stop, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

TEST_HARNESS_MAIN
