// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: what is seen and stored through a mapping of a guest space, whatever the
 * space maps there and the parent does to its memory meanwhile.
 */
#include "mmext_gmap_window.h"

/* Loads and stores */

TEST_F(window, shows_what_the_parent_has_and_the_parent_what_it_stores)
{
	NEED();
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	number_pages(self->host, LENGTH / 2);
	WORD(HOST(5)) = 1000;
	EXPECT_EQ(1000, WORD(WINDOW(5)));
	WORD(WINDOW(6)) = 1001;
	EXPECT_EQ(1001, WORD(HOST(6)));
	WORD(WINDOW(PAGES - 1)) = 1002;
	EXPECT_EQ(1002, WORD(HOST(PAGES - 1)));
	WORD(HOST(6)) = 1003;
	EXPECT_EQ(1003, WORD(WINDOW(6)));
	EXPECT_LT(0, gmap_stat_of(self->fd, out_inserted));
	EXPECT_LT(0, gmap_stat_of(self->fd, out_records));
}

/* What the parent has, and can store to, comes with a store beside it. */
TEST_F(window, store_maps_around_it_what_the_parent_can_store_to)
{
	__u64 inserted, faults;
	size_t i;

	NEED();
	/* of memory that is by the page, whatever the kernel likes best */
	if (self->kind != HOST_SHARED)
		SKIP(return, "not of such memory");
	number_pages(self->host, LENGTH);
	ASSERT_EQ(0, mprotect(HOST(68), page_size, PROT_READ));
	WORD(WINDOW(72)) = 1000;
	inserted = gmap_stat_of(self->fd, out_inserted);
	EXPECT_LE(4, inserted);
	EXPECT_GE(16, inserted);
	faults = gmap_stat_of(self->fd, out_faults);
	for (i = 72; i < 88; i++)
		WORD(WINDOW(i)) = 1000 + i;
	EXPECT_GE(faults + 3, gmap_stat_of(self->fd, out_faults));
	for (i = 72; i < 88; i++)
		EXPECT_EQ(1000 + i, WORD(HOST(i)));
	/* and what it can't store to does not */
	EXPECT_EQ(-SIGSEGV, poke(WINDOW(68), 1));
	EXPECT_EQ(69, WORD(HOST(68)));
	ASSERT_EQ(0, mprotect(HOST(68), page_size, PROT_READ | PROT_WRITE));
}

TEST_F(window, two_windows_and_two_names_are_one_memory)
{
	char *other;

	NEED();
	ASSERT_EQ(0, gmap_map(self->fd, self->host, 2 * GIB, LENGTH));
	other = window_map(self->fd, LENGTH, 2 * GIB);
	ASSERT_NE(MAP_FAILED, other);
	EXPECT_EQ(-1, numbered_not(other, LENGTH, 0));
	WORD(WINDOW(3)) = 77;
	EXPECT_EQ(77, WORD(other + 3 * page_size));
	WORD(other + 4 * page_size) = 78;
	EXPECT_EQ(78, WORD(WINDOW(4)));
	EXPECT_EQ(78, WORD(HOST(4)));
	ASSERT_EQ(0, mprotect(HOST(9), page_size, PROT_NONE));
	EXPECT_EQ(-SIGBUS, peek(WINDOW(9)));
	EXPECT_EQ(-SIGBUS, peek(other + 9 * page_size));
	ASSERT_EQ(0, gmap_unmap(self->fd, 2 * GIB, SEGMENT));
	EXPECT_EQ(-SIGBUS, peek(other));
	EXPECT_EQ(77, WORD(WINDOW(3)));
	munmap(other, LENGTH);
}

TEST_F(window, hole_is_sigbus)
{
	char *window;

	NEED();
	window = window_map(self->fd, LENGTH + 2 * SEGMENT, GUEST - SEGMENT);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(-SIGBUS, peek(window));
	EXPECT_EQ(-SIGBUS, peek(window + SEGMENT - 1));
	EXPECT_EQ(1, peek(window + SEGMENT));
	EXPECT_EQ(-SIGBUS, poke(window + SEGMENT + LENGTH, 1));
	EXPECT_EQ(-SIGBUS, peek(window + SEGMENT + LENGTH));
	ASSERT_EQ(0, gmap_unmap(self->fd, GUEST + SEGMENT, SEGMENT));
	EXPECT_EQ(-SIGBUS, peek(WINDOW(SEGMENT / page_size)));
	EXPECT_EQ(-SIGBUS, peek(window + 2 * SEGMENT));
	EXPECT_EQ(-1, numbered_not(WINDOW(0), SEGMENT, 0));
	munmap(window, LENGTH + 2 * SEGMENT);
}

TEST_F(window, store_over_a_read_only_parent_is_sigsegv)
{
	NEED();
	ASSERT_EQ(0, mprotect(HOST(8), page_size, PROT_READ));
	EXPECT_EQ(9, peek(WINDOW(8)));
	EXPECT_EQ(-SIGSEGV, poke(WINDOW(8), 1));
	EXPECT_EQ(9, peek(WINDOW(8)));
	EXPECT_EQ(0, poke(WINDOW(7), 1));
	EXPECT_EQ(0, poke(WINDOW(9), 1));
	/* one that nobody has read yet */
	ASSERT_EQ(0, mprotect(HOST(600), page_size, PROT_READ));
	EXPECT_EQ(-SIGSEGV, poke(WINDOW(600), 1));
	EXPECT_EQ(601, WORD(HOST(600)));
	ASSERT_EQ(0, mprotect(HOST(8), page_size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, poke(WINDOW(8), 1));
	EXPECT_EQ(1, WORD(HOST(8)));
}

TEST_F(window, is_shared_and_inside_the_limit)
{
	char *window;

	NEED();
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE, self->fd, GUEST));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LENGTH, PROT_READ, MAP_PRIVATE,
				   self->fd, GUEST));
	EXPECT_EQ(EINVAL, errno);
	/* where there is nothing yet */
	window = window_map(self->fd, LENGTH, 1 * GIB);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(-SIGBUS, peek(window));
	ASSERT_EQ(0, gmap_map(self->fd, self->host, 1 * GIB, LENGTH));
	EXPECT_EQ(-1, numbered_not(window, LENGTH, 0));
	munmap(window, LENGTH);
}

TEST_F(window, read_only_mapping_stays_so)
{
	char *window;

	NEED();
	window = region_map_prot(self->fd, LENGTH, GUEST, PROT_READ);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(1, peek(window));
	EXPECT_EQ(-SIGSEGV, poke(window, 2));
	ASSERT_EQ(0, mprotect(window, LENGTH, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, poke(window, 2));
	EXPECT_EQ(2, WORD(HOST(0)));
	munmap(window, LENGTH);
}

/* Changes of the translation */

TEST_F(window, remap_over_a_live_window_shows_the_new_and_leaves_the_rest)
{
	size_t segment = SEGMENT / page_size;
	char *other;
	int i;

	NEED();
	other = self->kind == HOST_SHARED ? host_alloc_shared(SEGMENT) :
					    host_alloc(SEGMENT);
	ASSERT_NE(NULL, other);
	for (i = 0; i < (int)segment; i++)
		*(__u32 *)(other + i * page_size) = 5000 + i;
	CHECK_BEGIN();
	for (i = 0; i < 50; i++) {
		checker_hold(&self->checker);
		ASSERT_EQ(0, gmap_map(self->fd, other, GUEST + SEGMENT,
				      SEGMENT));
		/* at once, and every one */
		EXPECT_EQ(5000 + i, WORD(WINDOW(segment + i)));
		EXPECT_EQ(5000, WORD(WINDOW(segment)));
		EXPECT_EQ(5000 + segment - 1, WORD(WINDOW(2 * segment - 1)));
		EXPECT_EQ(segment, WORD(WINDOW(segment - 1)));
		EXPECT_EQ(2 * segment + 1, WORD(WINDOW(2 * segment)));
		ASSERT_EQ(0, gmap_map(self->fd, HOST(segment), GUEST + SEGMENT,
				      SEGMENT));
		EXPECT_EQ(segment + i + 1, WORD(WINDOW(segment + i)));
		checker_release(&self->checker);
		if (i % 8 == 0)
			checker_wait(&self->checker);
	}
	CHECK_END();
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	munmap(other, SEGMENT);
}

TEST_F(window, unmap_and_map_again_under_a_reader)
{
	size_t segment = SEGMENT / page_size;
	int i;

	NEED();
	CHECK_BEGIN();
	for (i = 0; i < 50; i++) {
		checker_hold(&self->checker);
		ASSERT_EQ(0, gmap_unmap(self->fd, GUEST + SEGMENT, SEGMENT));
		EXPECT_EQ(-SIGBUS, peek(WINDOW(segment)));
		EXPECT_EQ(-SIGBUS, peek(WINDOW(segment + i)));
		EXPECT_EQ(segment, WORD(WINDOW(segment - 1)));
		ASSERT_EQ(0, gmap_map(self->fd, HOST(segment), GUEST + SEGMENT,
				      SEGMENT));
		EXPECT_EQ(segment + 1, WORD(WINDOW(segment)));
		checker_release(&self->checker);
	}
	CHECK_END();
}

/* What a page shows when its segment changes between two places, again and again */
struct mapper {
	int fd;
	char *first;
	char *second;
	int end;
	unsigned long rounds;
	unsigned long failed;
};

static void *map_on(void *arg)
{
	struct mapper *m = arg;

	pin(1);
	while (!load(&m->end)) {
		if (gmap_map(m->fd, m->rounds & 1 ? m->first : m->second, GUEST,
			     SEGMENT))
			m->failed++;
		store(&m->rounds, m->rounds + 1);
	}
	return NULL;
}

TEST_F_TIMEOUT(window, map_racing_a_fault_leaves_what_was_mapped_last, 120)
{
	struct rounds rounds = gmap_rounds(3000);
	struct mapper m = { .fd = self->fd };
	pthread_t thread;
	__u32 seen, i, page;
	bool second;

	NEED();
	m.first = HOST(0);
	m.second = HOST(2 * SEGMENT / page_size);
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		m.end = 0;
		m.rounds = i & 1;
		ASSERT_EQ(0, pthread_create(&thread, NULL, map_on, &m));
		page = i % 200;
		while (load(&m.rounds) < (i & 1) + 8) {
			seen = WORD(WINDOW(page));
			if (seen != page + 1 &&
			    seen != page + 1 + 2 * SEGMENT / page_size)
				break;
		}
		store(&m.end, 1);
		pthread_join(thread, NULL);
		second = !((m.rounds - 1) & 1);
		ASSERT_EQ(page + 1 + (second ? 2 * SEGMENT / page_size : 0),
			  WORD(WINDOW(page))) TH_LOG("round %u", i);
	}
	EXPECT_EQ(0, m.failed);
}

static void *unmap_on(void *arg)
{
	struct mapper *m = arg;

	pin(1);
	while (!load(&m->end)) {
		if (gmap_unmap(m->fd, GUEST, LENGTH) ||
		    gmap_map(m->fd, m->first, GUEST, LENGTH))
			m->failed++;
		store(&m->rounds, m->rounds + 1);
		sched_yield();
	}
	return NULL;
}

/*
 * What the parent gave up while it was being unmapped here is shown no more, either:
 * segments of a page, so that there are many.
 */
TEST_F_TIMEOUT(window, unmap_racing_a_change_of_the_parent, 120)
{
	struct rounds rounds = gmap_rounds(3000);
	struct mapper m = { .first = HOST(0) };
	unsigned int shown = 0;
	volatile __u32 *at;
	pthread_t thread;
	__u32 seen = 0;
	char *window;
	int i, n, other, ret;

	NEED();
	if (self->kind != HOST_SHARED)
		SKIP(return, "not of such memory");
	m.fd = gmap_create(LIMIT, 12, 0);
	ASSERT_LE(0, m.fd);
	window = window_map(m.fd, LENGTH, GUEST);
	ASSERT_NE(MAP_FAILED, window);
	ASSERT_EQ(0, gmap_map(m.fd, HOST(0), GUEST, LENGTH));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unmap_on, &m));
	pin(0);
	for (i = 0; rounds_until(&rounds, i, load(&m.rounds) >= 100); i++) {
		/* of those whose turn comes first */
		n = i % 32;
		at = (volatile __u32 *)(window + n * page_size);
		peek_word(at, &seen);
		/* another page of the file, and next time its own again */
		other = i & 32 ? n : (int)PAGES - 1;
		ASSERT_EQ(HOST(n), host_map_at(self->kind, self->backing,
					       HOST(n), page_size,
					       other * page_size));
		ret = peek_word(at, &seen);
		ASSERT_TRUE(!ret || ret == -SIGBUS);
		if (!ret)
			ASSERT_EQ(other + 1, seen) TH_LOG("round %d", i);
		shown += !ret;
	}
	store(&m.end, 1);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, m.failed);
	EXPECT_LE(100, m.rounds);
	printf("# %u shown of %d, unmapped %lu times\n", shown, i, m.rounds);
	munmap(window, LENGTH);
	close(m.fd);
}

/* In a row for the parent, and at both ends of all guest addresses. */
TEST_F(window, names_do_not_go_on_around_the_end)
{
	char *window;
	int fd;

	NEED();
	fd = gmap_create(~0ULL, 12, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, gmap_map(fd, HOST(0), -4096ULL, 4096));
	ASSERT_EQ(0, gmap_map(fd, HOST(1), 0, 4096));
	window = window_map(fd, page_size, 0);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(2, WORD(window));
	/* one invalidation of both */
	ASSERT_EQ(0, munmap(HOST(0), 2 * page_size));
	EXPECT_EQ(-SIGBUS, peek(window));
	munmap(window, page_size);
	close(fd);
}

/* What the parent does to its memory */

TEST_F_TIMEOUT(window, munmap_and_mmap_of_the_parent, 120)
{
	struct rounds rounds = gmap_rounds(100);
	size_t length = SEGMENT / 2;
	int i, n;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 37 % (PAGES - length / page_size);
		checker_hold(&self->checker);
		ASSERT_EQ(0, munmap(HOST(n), length));
		ASSERT_EQ(-SIGBUS, peek(WINDOW(n))) TH_LOG("round %d", i);
		ASSERT_EQ(-SIGBUS, poke(WINDOW(n + 1), 1));
		ASSERT_EQ(HOST(n), host_map_at(self->kind, self->backing,
					       HOST(n), length, n * page_size));
		ASSERT_EQ(WORD(HOST(n)), WORD(WINDOW(n)));
		WORD(HOST(n)) = 100000 + i;
		ASSERT_EQ(100000 + i, WORD(WINDOW(n))) TH_LOG("round %d", i);
		WORD(HOST(n + 1)) = 200000 + i;
		ASSERT_EQ(200000 + i, WORD(WINDOW(n + 1)));
		checker_release(&self->checker);
	}
	CHECK_END();
}

TEST_F_TIMEOUT(window, mmap_over_the_parent, 120)
{
	struct rounds rounds = gmap_rounds(100);
	int i, n;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 37 % (PAGES - 64);
		checker_hold(&self->checker);
		ASSERT_EQ(HOST(n), mmap(HOST(n), 64 * page_size,
					PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
					-1, 0));
		ASSERT_EQ(0, WORD(WINDOW(n))) TH_LOG("round %d", i);
		ASSERT_EQ(0, WORD(WINDOW(n + 63)));
		checker_release(&self->checker);
	}
	CHECK_END();
}

TEST_F_TIMEOUT(window, mremap_of_the_parent, 120)
{
	struct rounds rounds = gmap_rounds(100);
	char *away = place_alloc(TABLE);
	int i, n;

	NEED();
	ASSERT_NE(NULL, away);
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		/* some pages; and a whole table, which the kernel moves as one */
		size_t length = i % 4 ? 16 * page_size : TABLE;

		n = i % 4 ? i * 37 % (PAGES - 16) : i & 4 ? 0 : PAGES / 2;
		ASSERT_EQ(away, mremap(HOST(n), length, length,
				       MREMAP_MAYMOVE | MREMAP_FIXED, away));
		ASSERT_EQ(-SIGBUS, peek(WINDOW(n))) TH_LOG("round %d", i);
		/* what moved is not seen at the old place */
		WORD(away) = n + 1;
		ASSERT_EQ(HOST(n), mremap(away, length, length,
					  MREMAP_MAYMOVE | MREMAP_FIXED,
					  HOST(n)));
		ASSERT_EQ(n + 1, WORD(WINDOW(n))) TH_LOG("round %d", i);
	}
	CHECK_END();
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

/* The pages of two places change places by way of a third. */
TEST_F_TIMEOUT(window, mremap_of_the_parent_within_what_the_window_shows, 120)
{
	struct rounds rounds = gmap_rounds(80);
	char *away = place_alloc(64 * page_size);
	size_t length = 32 * page_size;
	__u32 a, b;
	int i;

	NEED();
	ASSERT_NE(NULL, away);
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		checker_hold(&self->checker);
		a = WORD(WINDOW(40));
		b = WORD(WINDOW(700));
		ASSERT_EQ(away, mremap(HOST(32), length, length,
				       MREMAP_MAYMOVE | MREMAP_FIXED, away));
		ASSERT_EQ(HOST(32), mremap(HOST(692), length, length,
					   MREMAP_MAYMOVE | MREMAP_FIXED,
					   HOST(32)));
		ASSERT_EQ(HOST(692), mremap(away, length, length,
					    MREMAP_MAYMOVE | MREMAP_FIXED,
					    HOST(692)));
		ASSERT_EQ(b, WORD(WINDOW(40))) TH_LOG("round %d", i);
		ASSERT_EQ(a, WORD(WINDOW(700))) TH_LOG("round %d", i);
		checker_release(&self->checker);
	}
	CHECK_END();
}

TEST_F_TIMEOUT(window, mprotect_of_the_parent, 120)
{
	struct rounds rounds = gmap_rounds(150);
	int i, n;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 37 % (PAGES - 16);
		ASSERT_EQ(0, mprotect(HOST(n), 16 * page_size, PROT_READ));
		ASSERT_EQ(-SIGSEGV, poke(WINDOW(n + 3) + 64, 1))
			TH_LOG("round %d", i);
		ASSERT_EQ(WORD(HOST(n)), WORD(WINDOW(n)));
		ASSERT_EQ(0, mprotect(HOST(n), 16 * page_size, PROT_NONE));
		ASSERT_EQ(-SIGBUS, peek(WINDOW(n))) TH_LOG("round %d", i);
		ASSERT_EQ(0, mprotect(HOST(n), 16 * page_size,
				      PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, poke(WINDOW(n + 3) + 64, 1));
	}
	CHECK_END();
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

TEST_F_TIMEOUT(window, madvise_dontneed_of_the_parent, 120)
{
	struct rounds rounds = gmap_rounds(150);
	int i, n;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		size_t nr = i % 8 ? 16 : PAGES / 2;

		n = i % 8 ? i * 37 % (PAGES - 16) : i & 8 ? 0 : PAGES / 2;
		/* it takes no byte of shared memory */
		if (self->kind != HOST_SHARED)
			checker_hold(&self->checker);
		ASSERT_EQ(0, madvise(HOST(n), nr * page_size, MADV_DONTNEED));
		ASSERT_EQ(WORD(HOST(n)), WORD(WINDOW(n))) TH_LOG("round %d", i);
		ASSERT_EQ(WORD(WINDOW(n + nr - 1)), WORD(HOST(n + nr - 1)));
		if (self->kind != HOST_SHARED) {
			WORD(HOST(n + 1)) = 0;
			WORD(WINDOW(n + 2)) = 300000 + i;
			ASSERT_EQ(300000 + i, WORD(HOST(n + 2)));
			checker_release(&self->checker);
		}
	}
	CHECK_END();
	if (self->kind == HOST_SHARED)
		EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

TEST_F_TIMEOUT(window, hole_punched_in_the_parents_file, 120)
{
	struct rounds rounds = gmap_rounds(80);
	int i, n;

	NEED();
	if (self->kind == HOST_ANON)
		SKIP(return, "not of such memory");
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 37 % (PAGES - 16);
		checker_hold(&self->checker);
		ASSERT_EQ(0, fallocate(self->backing, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, n * page_size,
				       16 * page_size));
		ASSERT_EQ(WORD(HOST(n)), WORD(WINDOW(n))) TH_LOG("round %d", i);
		WORD(WINDOW(n)) = 5;
		ASSERT_EQ(5, WORD(HOST(n)));
		checker_release(&self->checker);
	}
	CHECK_END();
}

TEST_F_TIMEOUT(window, truncate_of_the_parents_file, 120)
{
	struct rounds rounds = gmap_rounds(100);
	int i;

	NEED();
	if (self->kind != HOST_SHARED)
		SKIP(return, "not of such memory");
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		checker_hold(&self->checker);
		ASSERT_EQ(0, ftruncate(self->backing, LENGTH / 2));
		ASSERT_EQ(-SIGBUS, peek(WINDOW(PAGES / 2)))
			TH_LOG("round %d", i);
		ASSERT_EQ(-SIGBUS, poke(WINDOW(PAGES - 1), 1));
		ASSERT_EQ(PAGES / 2, WORD(WINDOW(PAGES / 2 - 1)));
		ASSERT_EQ(0, ftruncate(self->backing, LENGTH));
		ASSERT_EQ(0, WORD(WINDOW(PAGES / 2)));
		WORD(WINDOW(PAGES / 2)) = i;
		ASSERT_EQ(i, WORD(HOST(PAGES / 2)));
		checker_release(&self->checker);
	}
	CHECK_END();
}

/* What is stored through the window after a fork is not seen by the child. */
TEST_F_TIMEOUT(window, fork_and_stores_that_break_cow, 120)
{
	struct rounds rounds = gmap_rounds(60);
	int *told = shared_alloc(page_size);
	bool own = self->kind != HOST_SHARED;
	pid_t pid;
	int i, n;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 37 % (PAGES - 4);
		/* watched, a store to what is shown goes another way */
		ASSERT_EQ(0, gmap_dirty(self->fd, GUEST, LENGTH,
					i % 2 ? MMEXT_DIRTY_STOP :
						MMEXT_DIRTY_START, NULL));
		store(&told[0], 0);
		WORD(HOST(n)) = 400000 + i;
		WORD(HOST(n + 1)) = 500000 + i;
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			while (!load(&told[0]))
				usleep(100);
			CHILD_CHECK(WORD(HOST(n)) ==
				    (own ? 400000U : 410000U) + i);
			CHILD_CHECK(WORD(HOST(n + 1)) ==
				    (own ? 500000U : 510000U) + i);
			if (!own)
				_exit(0);
			/* nor the other way round */
			WORD(HOST(n)) = 1;
			WORD(HOST(n + 2)) = 1;
			_exit(0);
		}
		/* one through the window, which shows it by now, one by the parent itself */
		ASSERT_EQ(400000 + i, WORD(WINDOW(n)));
		WORD(WINDOW(n)) = 410000 + i;
		WORD(HOST(n + 1)) = 510000 + i;
		ASSERT_EQ(410000 + i, WORD(HOST(n))) TH_LOG("round %d", i);
		ASSERT_EQ(510000 + i, WORD(WINDOW(n + 1)));
		store(&told[0], 1);
		ASSERT_EQ(0, child_status(pid)) TH_LOG("round %d", i);
		ASSERT_EQ(410000 + i, WORD(WINDOW(n)));
		ASSERT_EQ(510000 + i, WORD(HOST(n + 1)));
		ASSERT_EQ(WORD(HOST(n + 2)), WORD(WINDOW(n + 2)));
	}
	CHECK_END();
	munmap(told, page_size);
}

/* A child does not have the window, and what it forked from has it still. */
TEST_F(window, fork_leaves_the_window_behind)
{
	pid_t pid;

	NEED();
	EXPECT_EQ(1, peek(WINDOW(0)));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		CHILD_CHECK(peek(WINDOW(0)) == -SIGSEGV);
		CHILD_CHECK(peek(WINDOW(PAGES - 1)) == -SIGSEGV);
		/* but the descriptor, and so its parent's memory */
		CHILD_CHECK(WORD(window_map(self->fd, LENGTH, GUEST)) == 1);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

/* Two that take the same entry out: a store that breaks COW and a zap. */
struct zapper {
	char *addr;
	size_t length;
	int start;
	int ready;
	int go;
	int done;
	int end;
	unsigned int later;
};

static void *zap_on(void *arg)
{
	struct zapper *z = arg;
	int round;

	pin(1);
	for (round = 1; ; round++) {
		wait_for(&z->start, round);
		if (load(&z->end))
			return NULL;
		store(&z->ready, round);
		wait_for(&z->go, round);
		spin(z->later);
		madvise(z->addr, z->length, MADV_DONTNEED);
		store(&z->done, round);
	}
}

TEST_F_TIMEOUT(window, two_invalidators_of_one_page, 120)
{
	struct rounds rounds = gmap_rounds(800);
	struct zapper z = { .addr = HOST(8), .length = 4 * page_size };
	__u32 random = 88172645U, seen, later;
	pthread_t thread;
	pid_t pid;
	int i;

	NEED();
	ASSERT_EQ(0, pthread_create(&thread, NULL, zap_on, &z));
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		WORD(HOST(8)) = 7;
		WORD(HOST(8) + 64) = 5;
		WORD(HOST(9)) = 7;
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			/* has the pages until it is killed */
			alarm(60);
			pause();
			_exit(0);
		}
		store(&z.start, i + 1);
		wait_for(&z.ready, i + 1);
		EXPECT_EQ(7, WORD(WINDOW(8)));
		EXPECT_EQ(7, WORD(WINDOW(9)));
		/* one of them later, by as much as it takes to any point of the other */
		later = next_random(&random) % (4000U << i / 2 % 6);
		z.later = i % 2 ? later : 0;
		store(&z.go, i + 1);
		spin(later - z.later);
		WORD(HOST(8) + 64) = 1000 + i;
		seen = WORD(WINDOW(8) + 64);
		WORD(WINDOW(9) + 64) = i;
		wait_for(&z.done, i + 1);
		/* or zapped since, but not what it was before */
		ASSERT_TRUE(seen == 1000U + i || !seen)
			TH_LOG("round %d: %u", i, seen);
		/* whichever was first: one memory */
		ASSERT_EQ(WORD(HOST(8)), WORD(WINDOW(8))) TH_LOG("round %d", i);
		ASSERT_EQ(WORD(HOST(8) + 64), WORD(WINDOW(8) + 64));
		ASSERT_EQ(WORD(HOST(9)), WORD(WINDOW(9)));
		ASSERT_EQ(WORD(HOST(9) + 64), WORD(WINDOW(9) + 64));
		WORD(HOST(8)) = 9;
		ASSERT_EQ(9, WORD(WINDOW(8)));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	}
	store(&z.end, 1);
	store(&z.start, i + 1);
	pthread_join(thread, NULL);
}

/* Two threads fault on the same guest pages, again and again. */
struct twin {
	char *window;
	unsigned int word;
	int start;
	int done;
	int end;
};

static void *twin_thread(void *arg)
{
	struct twin *t = arg;
	int round, i;

	pin(1);
	for (round = 1; ; round++) {
		wait_for(&t->start, round);
		if (load(&t->end))
			return NULL;
		for (i = 0; i < 64; i++)
			((volatile __u32 *)(t->window + i * page_size))[9] = round;
		store(&t->done, round);
	}
}

TEST_F_TIMEOUT(window, two_threads_on_one_guest_page, 120)
{
	struct rounds rounds = gmap_rounds(300);
	struct twin t = { .window = self->window };
	volatile __u32 *word;
	pthread_t thread;
	int i, n;

	NEED();
	ASSERT_EQ(0, pthread_create(&thread, NULL, twin_thread, &t));
	for (i = 1; rounds_go_on(&rounds, i); i++) {
		/* from nothing: no entry, and at times no page either */
		if (i & 1)
			madvise(self->window, 64 * page_size, MADV_DONTNEED);
		else
			madvise(self->host, 64 * page_size, MADV_DONTNEED);
		store(&t.start, i);
		for (n = 0; n < 64; n++)
			((volatile __u32 *)WINDOW(n))[8] = i;
		wait_for(&t.done, i);
		for (n = 0; n < 64; n++) {
			word = (volatile __u32 *)HOST(n);
			ASSERT_EQ(i, word[8]) TH_LOG("round %d page %d", i, n);
			ASSERT_EQ(i, word[9]) TH_LOG("round %d page %d", i, n);
		}
	}
	store(&t.end, 1);
	store(&t.start, i);
	pthread_join(thread, NULL);
}

/* The page of zeroes, which is everybody's */

TEST_F(window, untouched_page_read_and_then_written_by_the_parent)
{
	char *other = self->host;
	int n;

	NEED();
	if (self->kind == HOST_ANON)
		ASSERT_EQ(0, madvise(self->host, LENGTH, MADV_DONTNEED));
	for (n = 0; n < 32; n++) {
		EXPECT_EQ(self->kind == HOST_ANON ? 0 : n + 1, WORD(WINDOW(n)));
		WORD(other + n * page_size) = 600 + n;
		EXPECT_EQ(600 + n, WORD(WINDOW(n)));
	}
}

TEST_F(window, untouched_page_read_by_the_parent_and_then_written)
{
	char *fresh = host_alloc(SEGMENT);
	int n;

	NEED();
	if (self->kind != HOST_ANON)
		SKIP(return, "not of such memory");
	ASSERT_EQ(0, madvise(self->host, LENGTH, MADV_DONTNEED));
	for (n = 0; n < 32; n++) {
		EXPECT_EQ(0, WORD(HOST(n)));
		EXPECT_EQ(0, WORD(WINDOW(n)));
		if (n & 1)
			WORD(WINDOW(n)) = 700 + n;
		else
			WORD(HOST(n)) = 700 + n;
		EXPECT_EQ(700 + n, WORD(WINDOW(n)));
		EXPECT_EQ(700 + n, WORD(HOST(n)));
	}
	/* nor did anybody else's zeroes change */
	EXPECT_TRUE(all_bytes(fresh, SEGMENT, 0));
	munmap(fresh, SEGMENT);
}

/* Whoever pins what a window shows would pin the frame of every zero there is. */
TEST_F(window, untouched_page_read_through_it_can_not_be_pinned)
{
	__u32 value = 99;
	struct iovec local = { .iov_base = &value, .iov_len = sizeof(value) };
	struct iovec remote = {
		.iov_base = self->window, .iov_len = sizeof(value),
	};

	NEED();
	if (self->kind != HOST_ANON)
		SKIP(return, "not of such memory");
	/* a huge page of zeroes is another */
	madvise(self->host, LENGTH, MADV_NOHUGEPAGE);
	ASSERT_EQ(0, madvise(self->host, LENGTH, MADV_DONTNEED));
	EXPECT_EQ(0, WORD(WINDOW(0)));
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
}

TEST_HARNESS_MAIN
