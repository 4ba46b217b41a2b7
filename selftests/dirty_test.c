// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log: which offsets were changed, and that no change is ever lost.
 */
#include "mmext_selftest.h"

#include <sys/ptrace.h>

#define NR	64UL
#define LENGTH	(NR * page_size)

/* The marks of the first 64 pages. */
static __u64 dirty_get(int fd, __u32 flags)
{
	__u64 marks = ~0ULL;
	int ret = dirty_call(fd, MMEXT_DIRTY_GET | flags, 0, LENGTH, &marks, 0);

	return ret ? 0xbad0000000000000ULL | -ret : marks;
}

#define PEEK()		dirty_get(self->fd, 0)
#define HARVEST()	dirty_get(self->fd, MMEXT_DIRTY_CLEAR)
#define BIT(n)		(1ULL << (n))

FIXTURE(dirty)
{
	int fd;
	char *addr;
	struct peer peer;
};

BACKINGS(dirty);

/* Pages that are there, tracked; what was stored before does not count. */
FIXTURE_SETUP(dirty)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->addr = region_map(self->fd, LENGTH, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	fill(self->addr, LENGTH / 2, 1);
	ASSERT_EQ(0, dirty_start(self->fd, 0, LENGTH));
}

FIXTURE_TEARDOWN(dirty)
{
	munmap(self->addr, LENGTH);
	close(self->fd);
}

#define PAGE(n)		(self->addr + (n) * page_size)
#define STORE(n)	ASSERT_EQ(0, poke(PAGE(n), 9))

TEST_F(dirty, what_was_stored_before_is_not_marked)
{
	EXPECT_EQ(0, HARVEST());
}

TEST_F(dirty, a_store_is_marked_until_it_is_harvested)
{
	STORE(3);
	STORE(17);
	EXPECT_EQ(BIT(3) | BIT(17), PEEK());
	EXPECT_EQ(BIT(3) | BIT(17), HARVEST());
	EXPECT_EQ(0, HARVEST());
	EXPECT_EQ(9, *PAGE(3));
	/* the entry that was written to is not to be any more */
	STORE(3);
	EXPECT_EQ(BIT(3), HARVEST());
	EXPECT_EQ(0, HARVEST());
}

TEST_F(dirty, the_first_store_is_a_fault_and_the_next_is_none)
{
	long long faults;

	STORE(3);
	faults = region_stat(self->fd, "faults");
	STORE(3);
	EXPECT_EQ(faults, region_stat(self->fd, "faults"));
	EXPECT_EQ(BIT(3), HARVEST());
	STORE(3);
	EXPECT_EQ(faults + 1, region_stat(self->fd, "faults"));
}

TEST_F(dirty, a_load_is_not_marked)
{
	EXPECT_EQ(4, peek(PAGE(3)));
	ASSERT_EQ(0, region_zap(self->fd, self->addr, LENGTH));
	EXPECT_EQ(4, peek(PAGE(3)));
	/* of a hole neither */
	EXPECT_EQ(0, peek(PAGE(40)));
	EXPECT_EQ(0, HARVEST());
	STORE(3);
	STORE(40);
	EXPECT_EQ(BIT(3) | BIT(40), HARVEST());
}

TEST_F(dirty, a_store_where_no_entry_is_is_marked)
{
	ASSERT_EQ(0, region_zap(self->fd, self->addr, LENGTH));
	STORE(5);
	STORE(50);
	EXPECT_EQ(BIT(5) | BIT(50), HARVEST());
	STORE(5);
	STORE(50);
	EXPECT_EQ(BIT(5) | BIT(50), HARVEST());
}

/* What one fault maps around the page that it is for. */
TEST_F(dirty, stores_to_neighbours_of_a_fault_are_marked)
{
	int i;

	ASSERT_EQ(0, region_zap(self->fd, self->addr, LENGTH));
	STORE(0);
	EXPECT_EQ(2, peek(PAGE(1)));
	for (i = 0; i < 8; i++)
		STORE(i);
	EXPECT_EQ(0xff, HARVEST());
}

TEST_F(dirty, tracked_entries_are_read_only_and_clean_until_they_are_marked)
{
	int flags = entry_flags(self->fd, PAGE(0));

	EXPECT_FALSE(flags & (MMEXT_ENTRY_WRITABLE | MMEXT_ENTRY_DIRTY));
	STORE(0);
	EXPECT_TRUE(entry_flags(self->fd, PAGE(0)) & MMEXT_ENTRY_WRITABLE);
	HARVEST();
	flags = entry_flags(self->fd, PAGE(0));
	EXPECT_FALSE(flags & (MMEXT_ENTRY_WRITABLE | MMEXT_ENTRY_DIRTY));
}

TEST_F(dirty, every_process_and_mapping_is_seen)
{
	char *other = region_map(self->fd, LENGTH, 0);

	ASSERT_NE(MAP_FAILED, other);
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(0, peer_poke(&self->peer, PAGE(1), 1));
	EXPECT_EQ(0, peer_poke(&self->peer, other + 2 * page_size, 1));
	EXPECT_EQ(0, poke(other + 3 * page_size, 1));
	EXPECT_EQ(BIT(1) | BIT(2) | BIT(3), HARVEST());
	/* each of them lost the right to store */
	EXPECT_EQ(0, peer_poke(&self->peer, PAGE(1), 2));
	EXPECT_EQ(BIT(1), HARVEST());
	EXPECT_EQ(0, poke(other + 3 * page_size, 2));
	EXPECT_EQ(BIT(3), HARVEST());
	STORE(3);
	EXPECT_EQ(BIT(3), HARVEST());
	EXPECT_EQ(0, peer_stop(&self->peer));
	munmap(other, LENGTH);
}

TEST_F(dirty, a_child_has_no_more_right_than_its_parent)
{
	STORE(1);
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(BIT(1), HARVEST());
	EXPECT_EQ(0, peer_poke(&self->peer, PAGE(1), 1));
	EXPECT_EQ(BIT(1), HARVEST());
	EXPECT_EQ(0, peer_poke(&self->peer, PAGE(2), 1));
	EXPECT_EQ(BIT(2), HARVEST());
	EXPECT_EQ(0, peer_stop(&self->peer));
}

static int cycle(char *addr, int prot)
{
	return mprotect(addr, LENGTH, prot) ? -errno :
	       mprotect(addr, LENGTH, PROT_READ | PROT_WRITE) ? -errno : 0;
}

TEST_F(dirty, mprotect_gives_no_right_to_store)
{
	STORE(1);
	EXPECT_EQ(BIT(1), HARVEST());
	ASSERT_EQ(0, cycle(self->addr, PROT_READ));
	STORE(1);
	STORE(2);
	EXPECT_EQ(BIT(1) | BIT(2), HARVEST());
	ASSERT_EQ(0, cycle(self->addr, PROT_NONE));
	STORE(1);
	EXPECT_EQ(BIT(1), HARVEST());
}

/* A read-only entry that is dirty becomes writable without a fault. */
TEST_F(dirty, a_harvest_while_mprotected_cleans_too)
{
	int prots[] = { PROT_READ, PROT_NONE };
	int i;

	for (i = 0; i < 2; i++) {
		STORE(1);
		ASSERT_EQ(0, mprotect(self->addr, LENGTH, prots[i]));
		EXPECT_EQ(BIT(1), HARVEST());
		ASSERT_EQ(0, mprotect(self->addr, LENGTH,
				      PROT_READ | PROT_WRITE));
		STORE(1);
		EXPECT_EQ(BIT(1), HARVEST());
	}
}

TEST_F(dirty, a_start_while_mprotected_cleans_too)
{
	ASSERT_EQ(0, dirty_stop(self->fd, 0, LENGTH));
	STORE(1);
	ASSERT_EQ(0, mprotect(self->addr, LENGTH, PROT_READ));
	ASSERT_EQ(0, dirty_start(self->fd, 0, LENGTH));
	ASSERT_EQ(0, mprotect(self->addr, LENGTH, PROT_READ | PROT_WRITE));
	STORE(1);
	EXPECT_EQ(BIT(1), HARVEST());
}

TEST_F(dirty, mremap_loses_nothing)
{
	char *place = mmap(NULL, LENGTH, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, place);
	STORE(1);
	ASSERT_EQ(place, mremap(self->addr, LENGTH, LENGTH,
				MREMAP_MAYMOVE | MREMAP_FIXED, place));
	self->addr = place;
	EXPECT_EQ(BIT(1), HARVEST());
	STORE(1);
	STORE(2);
	EXPECT_EQ(BIT(1) | BIT(2), HARVEST());
}

TEST_F(dirty, dropping_entries_loses_nothing)
{
	char *other = region_map(self->fd, LENGTH, 0);

	ASSERT_NE(MAP_FAILED, other);
	STORE(1);
	STORE(2);
	EXPECT_EQ(0, poke(other + 3 * page_size, 9));
	ASSERT_EQ(0, region_zap(self->fd, PAGE(1), page_size));
	ASSERT_EQ(0, region_unmap(self->fd, 2 * page_size, page_size, 0));
	/* of two mappings of the page, one goes with its entries */
	EXPECT_EQ(0, munmap(other, LENGTH));
	EXPECT_EQ(BIT(1) | BIT(2) | BIT(3), HARVEST());
}

TEST_F(dirty, an_exchange_marks_both_ranges)
{
	ASSERT_EQ(0, region_exchange(self->fd, 2 * page_size, 40 * page_size,
				     2 * page_size));
	EXPECT_EQ(BIT(2) | BIT(3) | BIT(40) | BIT(41), HARVEST());
	STORE(40);
	EXPECT_EQ(BIT(40), HARVEST());
	/* of holes nothing changes */
	ASSERT_EQ(0, region_exchange(self->fd, 50 * page_size, 60 * page_size,
				     2 * page_size));
	EXPECT_EQ(0, HARVEST());
}

TEST_F(dirty, an_alias_marks_the_range_that_shows_other_pages_now)
{
	ASSERT_EQ(0, region_alias(self->fd, 2 * page_size, 40 * page_size,
				  page_size));
	EXPECT_EQ(BIT(40), HARVEST());
	/* and then each store the offset that it is made through */
	STORE(40);
	EXPECT_EQ(BIT(40), HARVEST());
	STORE(2);
	EXPECT_EQ(BIT(2), HARVEST());
	EXPECT_EQ(9, *PAGE(40));
}

TEST_F(dirty, a_free_marks_the_pages_that_were_there)
{
	ASSERT_EQ(0, region_free(self->fd, 31 * page_size, 2 * page_size));
	EXPECT_EQ(BIT(31), HARVEST());
	STORE(31);
	EXPECT_EQ(BIT(31), HARVEST());
}

TEST_F(dirty, protect_changes_nothing_and_loses_nothing)
{
	STORE(1);
	ASSERT_EQ(0, region_protect(self->fd, 0, LENGTH,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(2), 1));
	EXPECT_EQ(9, peek(PAGE(1)));
	EXPECT_EQ(BIT(1), HARVEST());
	ASSERT_EQ(0, region_protect(self->fd, 0, LENGTH, 0));
	EXPECT_EQ(0, HARVEST());
	STORE(1);
	STORE(2);
	EXPECT_EQ(BIT(1) | BIT(2), HARVEST());
}

TEST_F(dirty, write_is_marked_and_read_is_not)
{
	char byte;

	EXPECT_EQ(1, pread(self->fd, &byte, 1, 0));
	EXPECT_EQ(0, HARVEST());
	EXPECT_EQ(1, pwrite(self->fd, "x", 1, 4 * page_size));
	EXPECT_EQ(2, pwrite(self->fd, "xy", 2, 51 * page_size - 1));
	EXPECT_EQ(BIT(4) | BIT(50) | BIT(51), HARVEST());
}

TEST_F(dirty, a_debuggers_store_is_marked)
{
	ASSERT_EQ(0, peer_start(&self->peer));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->peer.pid, NULL, NULL));
	ASSERT_EQ(self->peer.pid, waitpid(self->peer.pid, NULL, 0));
	errno = 0;
	ptrace(PTRACE_PEEKDATA, self->peer.pid, PAGE(6), NULL);
	EXPECT_EQ(0, errno);
	EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, self->peer.pid, PAGE(5),
			    (void *)99L));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->peer.pid, NULL, NULL));
	EXPECT_EQ(BIT(5), HARVEST());
	EXPECT_EQ(0, peer_stop(&self->peer));
}

TEST_F(dirty, populate_marks_what_it_makes_writable)
{
	ASSERT_EQ(0, region_zap(self->fd, self->addr, LENGTH));
	ASSERT_EQ(0, region_populate(self->fd, self->addr, 4 * page_size, 0));
	EXPECT_EQ(0, HARVEST());
	STORE(1);
	EXPECT_EQ(BIT(1), HARVEST());
	ASSERT_EQ(0, region_populate(self->fd, PAGE(30), 4 * page_size,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(0xfULL << 30, HARVEST());
	STORE(31);
	EXPECT_EQ(BIT(31), HARVEST());
}

TEST_F(dirty, a_system_calls_store_is_marked)
{
	int fds[2];

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(4, write(fds[1], "abcd", 4));
	EXPECT_EQ(4, read(fds[0], PAGE(7), 4));
	EXPECT_EQ(BIT(7), HARVEST());
	close(fds[0]);
	close(fds[1]);
}

TEST_F(dirty, only_what_is_tracked_is_marked)
{
	ASSERT_EQ(0, dirty_stop(self->fd, 0, LENGTH));
	STORE(3);
	EXPECT_EQ(0, HARVEST());
	ASSERT_EQ(0, dirty_start(self->fd, 8 * page_size, 4 * page_size));
	STORE(7);
	STORE(8);
	STORE(11);
	STORE(12);
	EXPECT_EQ(BIT(8) | BIT(11), HARVEST());
}

TEST_F(dirty, overlapping_starts_are_one_and_keep_marks)
{
	STORE(1);
	ASSERT_EQ(0, dirty_start(self->fd, 0, 2 * LENGTH));
	STORE(2);
	EXPECT_EQ(BIT(1) | BIT(2), PEEK());
	ASSERT_EQ(0, dirty_stop(self->fd, page_size, page_size));
	EXPECT_EQ(BIT(2), PEEK());
	STORE(1);
	EXPECT_EQ(BIT(2), HARVEST());
}

TEST_F(dirty, stop_forgets_and_start_begins_anew)
{
	STORE(1);
	ASSERT_EQ(0, dirty_stop(self->fd, 0, LENGTH));
	ASSERT_EQ(0, dirty_stop(self->fd, 0, LENGTH));
	ASSERT_EQ(0, dirty_start(self->fd, 0, LENGTH));
	EXPECT_EQ(0, PEEK());
	STORE(1);
	EXPECT_EQ(BIT(1), HARVEST());
}

TEST_F(dirty, a_harvest_takes_its_range_and_no_more)
{
	struct mmext_run run = { 0 };

	STORE(1);
	STORE(2);
	STORE(3);
	EXPECT_EQ(0, dirty_call(self->fd, MMEXT_DIRTY_GET | MMEXT_DIRTY_RUNS |
				MMEXT_DIRTY_CLEAR, 2 * page_size, page_size,
				&run, 1));
	EXPECT_EQ(2 * page_size, run.offset);
	EXPECT_EQ(page_size, run.length);
	EXPECT_EQ(BIT(1) | BIT(3), HARVEST());
}

TEST_F(dirty, runs_are_what_the_bitmap_is)
{
	struct mmext_run runs[8] = { 0 };
	struct mmext_dirty arg = {
		.size = sizeof(arg),
		.flags = MMEXT_DIRTY_GET | MMEXT_DIRTY_RUNS | MMEXT_DIRTY_CLEAR,
		.length = LENGTH,
		.marks = (uintptr_t)runs,
		.nr = 2,
	};

	STORE(0);
	STORE(1);
	STORE(9);
	STORE(62);
	STORE(63);
	/* two, and then there is no room; what is left is left */
	ASSERT_EQ(0, call(self->fd, MMEXT_DIRTY, &arg));
	EXPECT_EQ(0, arg.nr);
	EXPECT_EQ((uintptr_t)(runs + 2), arg.marks);
	EXPECT_EQ(62 * page_size, arg.offset);
	EXPECT_EQ(2 * page_size, arg.length);
	EXPECT_EQ(0, runs[0].offset);
	EXPECT_EQ(2 * page_size, runs[0].length);
	EXPECT_EQ(9 * page_size, runs[1].offset);
	EXPECT_EQ(page_size, runs[1].length);
	EXPECT_EQ(BIT(62) | BIT(63), PEEK());
	EXPECT_EQ(-EINVAL, call(self->fd, MMEXT_DIRTY, &arg));
	arg.nr = 6;
	ASSERT_EQ(0, call(self->fd, MMEXT_DIRTY, &arg));
	EXPECT_EQ(5, arg.nr);
	EXPECT_EQ(0, arg.length);
	EXPECT_EQ(62 * page_size, runs[2].offset);
	EXPECT_EQ(2 * page_size, runs[2].length);
	EXPECT_EQ(0, HARVEST());
}

TEST_F(dirty, runs_of_a_region_without_end_are_found_at_once)
{
	struct mmext_run runs[4] = { 0 };
	struct mmext_info info;
	__u64 far = 1ULL << 45;

	ASSERT_EQ(0, region_info(self->fd, &info));
	ASSERT_EQ(0, dirty_start(self->fd, far, page_size));
	EXPECT_EQ(1, pwrite(self->fd, "x", 1, far));
	STORE(63);
	EXPECT_EQ(0, dirty_call(self->fd, MMEXT_DIRTY_GET | MMEXT_DIRTY_RUNS, 0,
				info.out_max_offset, runs, 4));
	EXPECT_EQ(63 * page_size, runs[0].offset);
	EXPECT_EQ(far, runs[1].offset);
	EXPECT_EQ(page_size, runs[1].length);
	EXPECT_EQ(0, runs[2].length);
	EXPECT_EQ(0, dirty_stop(self->fd, 0, info.out_max_offset));
	EXPECT_EQ(0, PEEK());
}

TEST_F(dirty, marks_cross_the_blocks_of_the_log)
{
	size_t pages = 3 * 4096, i, at[] = { 0, 4095, 4096, 8191, 12287 };
	__u64 *marks = calloc(pages / 64, sizeof(*marks));
	char *addr = region_map(self->fd, pages * page_size, 1ULL << 40);
	size_t found = 0;

	ASSERT_NE(NULL, marks);
	ASSERT_NE(MAP_FAILED, addr);
	ASSERT_EQ(0, dirty_start(self->fd, 1ULL << 40, pages * page_size));
	for (i = 0; i < ARRAY_SIZE(at); i++)
		ASSERT_EQ(0, poke(addr + at[i] * page_size, 1));
	ASSERT_EQ(0, dirty_call(self->fd, MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR,
				1ULL << 40, pages * page_size, marks, 0));
	for (i = 0; i < pages; i++)
		found += marks[i / 64] >> i % 64 & 1;
	EXPECT_EQ(ARRAY_SIZE(at), found);
	for (i = 0; i < ARRAY_SIZE(at); i++)
		EXPECT_TRUE(marks[at[i] / 64] >> at[i] % 64 & 1);
	munmap(addr, pages * page_size);
	free(marks);
}

TEST_F(dirty, marks_that_cannot_be_given_out_stay)
{
	STORE(1);
	EXPECT_EQ(-EFAULT, dirty_call(self->fd, MMEXT_DIRTY_GET |
				      MMEXT_DIRTY_CLEAR, 0, LENGTH,
				      (void *)8, 0));
	EXPECT_EQ(-EFAULT, dirty_call(self->fd, MMEXT_DIRTY_GET |
				      MMEXT_DIRTY_CLEAR | MMEXT_DIRTY_RUNS, 0,
				      LENGTH, (void *)8, 1));
	EXPECT_EQ(BIT(1), HARVEST());
	STORE(1);
	EXPECT_EQ(BIT(1), HARVEST());
}

TEST_F(dirty, wrong_flags_and_ranges_are_einval)
{
	__u32 wrong[] = {
		0, MMEXT_DIRTY_CLEAR, MMEXT_DIRTY_RUNS,
		MMEXT_DIRTY_START | MMEXT_DIRTY_STOP,
		MMEXT_DIRTY_START | MMEXT_DIRTY_GET,
		MMEXT_DIRTY_STOP | MMEXT_DIRTY_CLEAR,
		MMEXT_DIRTY_START | MMEXT_DIRTY_RUNS,
		MMEXT_DIRTY_GET | 32,
	};
	__u64 marks;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_EQ(-EINVAL, dirty_call(self->fd, wrong[i], 0, LENGTH,
					      &marks, 1));
	EXPECT_EQ(-EINVAL, dirty_call(self->fd, MMEXT_DIRTY_GET, page_size,
				      page_size, &marks, 0));
	EXPECT_EQ(-EINVAL, dirty_call(self->fd, MMEXT_DIRTY_GET |
				      MMEXT_DIRTY_RUNS, 0, LENGTH, &marks, 0));
}

TEST_F(dirty, needs_a_descriptor_to_write_by_unless_it_only_looks)
{
	int fd = open(MMEXT_SHARED, O_RDONLY | O_CLOEXEC);
	__u64 marks;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EBADF, dirty_start(fd, 0, LENGTH));
	EXPECT_EQ(-EBADF, dirty_stop(fd, 0, LENGTH));
	EXPECT_EQ(-EBADF, dirty_call(fd, MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR, 0,
				     LENGTH, &marks, 0));
	EXPECT_EQ(0, dirty_call(fd, MMEXT_DIRTY_GET, 0, LENGTH, &marks, 0));
	EXPECT_EQ(0, marks);
	close(fd);
}

TEST_F(dirty, memory_of_the_log_is_counted_and_refused_up_front)
{
	struct mmext_info before, info;

	ASSERT_EQ(0, region_info(self->fd, &before));
	EXPECT_EQ(-ENOSPC, dirty_start(self->fd, 0, before.out_max_offset));
	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(before.out_used, info.out_used);
	ASSERT_EQ(0, dirty_start(self->fd, 1ULL << 40, 64 * MIB));
	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_LT(before.out_used, info.out_used);
	EXPECT_GE(before.out_used + 16384, info.out_used);
	ASSERT_EQ(0, dirty_stop(self->fd, 1ULL << 40, 64 * MIB));
	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(before.out_used, info.out_used);
}

TEST_F(dirty, revoke_ends_it)
{
	__u64 marks;

	STORE(1);
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(-ENODEV, dirty_call(self->fd, MMEXT_DIRTY_GET, 0, LENGTH,
				      &marks, 0));
}

/*
 * No store is lost.  Threads store a number that grows to pages of their own, in
 * different ways.  A harvester looks at all the numbers, takes the marks, and
 * then takes down the numbers of the pages that were marked.  A number that it
 * saw before a harvest that does not mark the page, and that is not the one it
 * took down last, was stored and not marked.
 */
#define STORM_PAGES	64UL
#define STORERS		3

struct storm {
	int fd;
	char *addr[STORERS];
	unsigned int known[STORM_PAGES];
	int stop;
	unsigned int seed;
	unsigned long stores;
	unsigned long writes;
};

struct storer {
	struct storm *storm;
	int nr;
};

static volatile unsigned int *word_of(struct storm *s, int nr, size_t page)
{
	return (volatile unsigned int *)(s->addr[nr] + page * page_size);
}

static void *store_on(void *arg)
{
	struct storer *me = arg;
	struct storm *s = me->storm;
	__u32 state = s->seed + me->nr;
	unsigned int n = 0, val;
	size_t page;

	while (!load(&s->stop)) {
		page = next_random(&state) % (STORM_PAGES / STORERS) * STORERS +
		       me->nr;
		n++;
		if (n % 100 == 0) {
			val = *word_of(s, me->nr, page) + 1;
			if (pwrite(s->fd, &val, sizeof(val),
				   page * page_size) == sizeof(val))
				__atomic_fetch_add(&s->writes, 1,
						   __ATOMIC_RELAXED);
			continue;
		}
		if (n % 64 == 0 && me->nr == 1)
			cycle(s->addr[me->nr], n % 128 ? PROT_READ : PROT_NONE);
		else if (n % 64 == 0 && me->nr == 2)
			region_zap(s->fd, s->addr[me->nr], LENGTH);
		(*word_of(s, me->nr, page))++;
	}
	__atomic_fetch_add(&s->stores, n, __ATOMIC_RELAXED);
	return NULL;
}

TEST_F_TIMEOUT(dirty, no_store_is_lost_in_a_storm, 120)
{
	struct storm s = { .fd = self->fd, .seed = 4711 };
	struct storer storers[STORERS];
	pthread_t threads[STORERS];
	__u64 end = now_us() + portion(2000000), marks, harvests = 0, found = 0;
	unsigned int now, seen[STORM_PAGES];
	size_t i;
	int last = 0;

	ASSERT_EQ(0, region_free(self->fd, 0, LENGTH));
	HARVEST();
	for (i = 0; i < STORERS; i++) {
		s.addr[i] = region_map(self->fd, LENGTH, 0);
		ASSERT_NE(MAP_FAILED, s.addr[i]);
		storers[i] = (struct storer) { .storm = &s, .nr = i };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, store_on,
					    &storers[i]));
	}

	while (!last) {
		/* on a busy host they may begin late */
		if (now_us() > end && ((found && load(&s.writes)) ||
				       now_us() > end + LATE_US)) {
			store(&s.stop, 1);
			for (i = 0; i < STORERS; i++)
				ASSERT_EQ(0, pthread_join(threads[i], NULL));
			last = 1;
		}
		for (i = 0; i < STORM_PAGES; i++)
			seen[i] = *(volatile unsigned int *)PAGE(i);
		marks = HARVEST();
		harvests++;
		for (i = 0; i < STORM_PAGES; i++) {
			if (!(marks & BIT(i))) {
				ASSERT_EQ(s.known[i], seen[i])
					TH_LOG("page %zu", i);
				continue;
			}
			found++;
			ASSERT_EQ(sizeof(now), pread(self->fd, &now,
						     sizeof(now),
						     i * page_size));
			s.known[i] = now;
		}
	}
	for (i = 0; i < STORM_PAGES; i++)
		EXPECT_EQ(s.known[i], *word_of(&s, 0, i)) TH_LOG("page %zu", i);
	printf("# seed %u: %lu stores, %lu writes, %llu harvests, %llu marks\n",
	       s.seed, s.stores, s.writes,
	       (unsigned long long)harvests, (unsigned long long)found);
	fflush(stdout);
	EXPECT_LT(0, s.stores);
	EXPECT_LT(0, s.writes);
	EXPECT_LT(0, found);
	for (i = 0; i < STORERS; i++)
		munmap(s.addr[i], LENGTH);
}

/*
 * A CPU that has the right to store in its TLB: when a harvest has returned, no
 * store happens that is not marked.
 */
struct counter {
	volatile unsigned int *word;
	int stop;
};

static void *count_on(void *arg)
{
	struct counter *c = arg;

	pin(1);
	while (!load(&c->stop))
		(*c->word)++;
	return NULL;
}

TEST_F_TIMEOUT(dirty, a_store_after_a_harvest_is_in_the_next, 120)
{
	struct counter c = { .word = (void *)PAGE(1) };
	struct rounds rounds = rounds_begin(250);
	unsigned int before;
	pthread_t thread;
	__u64 marks;
	int i;

	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, count_on, &c));
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		before = *c.word;
		while (*c.word == before)
			;
		HARVEST();
		before = *c.word;
		/* for as long as it takes: on a busy host, the other CPU's turn */
		while (*c.word == before)
			;
		marks = PEEK();
		ASSERT_EQ(BIT(1), marks) TH_LOG("round %d", i);
	}
	store(&c.stop, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

TEST_HARNESS_MAIN
