// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: what is seen and stored through a mapping of a guest space, whatever
 * is done to the parent's memory, or to the mapping, meanwhile.
 */
#include "mmext_gmap_kernel.h"

#include <linux/userfaultfd.h>
#include <sys/ptrace.h>

#include "modules/mmext_test_notifier.h"

#define LENGTH		(2 * TABLE)
#define PAGES		(LENGTH / page_size)
/* so that no page table of the window shows one of the parent's alone */
#define GUEST		(3 * SEGMENT)

/* Each kind of memory that a parent has */
FIXTURE(window)
{
	const char *skip;
	enum host_kind kind;
	int fd;
	int backing;
	char *host;
	char *window;
	struct checker checker;
};

FIXTURE_VARIANT(window)
{
	enum host_kind kind;
};

FIXTURE_VARIANT_ADD(window, anonymous)
{
	.kind = HOST_ANON,
};

FIXTURE_VARIANT_ADD(window, shared)
{
	.kind = HOST_SHARED,
};

FIXTURE_VARIANT_ADD(window, private)
{
	.kind = HOST_PRIVATE,
};

static const char *cannot_show(enum host_kind kind)
{
	if (!have_windows())
		return "no windows without a TLB backend";
	if ((kind == HOST_ANON || kind == HOST_PRIVATE) && !have_anonymous())
		return "no windows onto anonymous memory";
	return NULL;
}

static void number_pages(void *addr, size_t length)
{
	volatile __u32 *word = addr;
	size_t i;

	for (i = 0; i < length / page_size; i++)
		word[WORDS(i)] = i + 1;
}

/* The first page that is not as number_pages() left it, or -1. */
static long numbered_not(const void *addr, size_t length, size_t first)
{
	const volatile __u32 *word = addr;
	size_t i;

	for (i = 0; i < length / page_size; i++)
		if (word[WORDS(i)] != first + i + 1)
			return i;
	return -1;
}

FIXTURE_SETUP(window)
{
	self->kind = variant->kind;
	self->skip = cannot_show(variant->kind);
	self->fd = gmap_open();
	ASSERT_GE(self->fd, 0);
	self->backing = host_backing(self->kind, LENGTH);
	self->host = place_alloc(LENGTH);
	ASSERT_NE(NULL, self->host);
	ASSERT_EQ(self->host, host_map_at(self->kind, self->backing, self->host,
					  LENGTH, 0));
	number_pages(self->host, LENGTH);
	ASSERT_EQ(0, gmap_map(self->fd, self->host, GUEST, LENGTH));
	if (self->skip)
		return;
	self->window = region_map_aligned(self->fd, LENGTH, GUEST);
	ASSERT_NE(MAP_FAILED, self->window);
	self->checker.cpu = 1;
	fault_catch();
	pin(0);
}

FIXTURE_TEARDOWN(window)
{
	if (self->window)
		munmap(self->window, LENGTH);
	munmap(self->host, LENGTH);
	close(self->backing);
	close(self->fd);
}

#define NEED()								\
do {									\
	if (self->skip)							\
		SKIP(return, "%s", self->skip);				\
} while (0)

#define HOST(n)		(self->host + (n) * page_size)
#define WINDOW(n)	(self->window + (n) * page_size)
#define WORD(addr)	(*(volatile __u32 *)(addr))

#define CHECK_BEGIN()							\
do {									\
	ASSERT_EQ(0, checker_start(&self->checker, self->window,	\
				   self->host, LENGTH));		\
	checker_wait(&self->checker);					\
} while (0)

#define CHECK_END()							\
do {									\
	checker_wait(&self->checker);					\
	EXPECT_EQ(0, checker_stop(&self->checker));			\
	EXPECT_EQ(-1, window_differs(self->window, self->host,		\
				     LENGTH));				\
} while (0)

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
	struct rounds rounds = rounds_begin(3000);
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

/* What the parent does to its memory */

TEST_F_TIMEOUT(window, munmap_and_mmap_of_the_parent, 120)
{
	struct rounds rounds = rounds_begin(300);
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
	struct rounds rounds = rounds_begin(300);
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
	struct rounds rounds = rounds_begin(300);
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
	struct rounds rounds = rounds_begin(200);
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
	struct rounds rounds = rounds_begin(500);
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
	struct rounds rounds = rounds_begin(500);
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
	struct rounds rounds = rounds_begin(200);
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
	struct rounds rounds = rounds_begin(100);
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
	struct rounds rounds = rounds_begin(60);
	int *told = shared_alloc(page_size);
	bool own = self->kind != HOST_SHARED;
	pid_t pid;
	int i, n;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 37 % (PAGES - 4);
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
		/* one through the window, one by the parent itself */
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
	int done;
	int end;
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
		madvise(z->addr, z->length, MADV_DONTNEED);
		store(&z->done, round);
	}
}

TEST_F_TIMEOUT(window, two_invalidators_of_one_page, 120)
{
	struct rounds rounds = rounds_begin(400);
	struct zapper z = { .addr = HOST(8), .length = 4 * page_size };
	__u32 random = 88172645U;
	pthread_t thread;
	pid_t pid;
	int i;

	NEED();
	ASSERT_EQ(0, pthread_create(&thread, NULL, zap_on, &z));
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		WORD(HOST(8)) = 7;
		WORD(HOST(9)) = 7;
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			_exit(0);
		EXPECT_EQ(7, WORD(WINDOW(8)));
		EXPECT_EQ(7, WORD(WINDOW(9)));
		store(&z.start, i + 1);
		spin(next_random(&random) % 4000);
		WORD(HOST(8) + 64) = i;
		WORD(WINDOW(9) + 64) = i;
		wait_for(&z.done, i + 1);
		/* whichever was first: one memory */
		ASSERT_EQ(WORD(HOST(8)), WORD(WINDOW(8))) TH_LOG("round %d", i);
		ASSERT_EQ(WORD(HOST(8) + 64), WORD(WINDOW(8) + 64));
		ASSERT_EQ(WORD(HOST(9)), WORD(WINDOW(9)));
		ASSERT_EQ(WORD(HOST(9) + 64), WORD(WINDOW(9) + 64));
		WORD(HOST(8)) = 9;
		ASSERT_EQ(9, WORD(WINDOW(8)));
		ASSERT_EQ(0, child_status(pid));
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
	struct rounds rounds = rounds_begin(300);
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
	ASSERT_EQ(0, madvise(self->host, LENGTH, MADV_DONTNEED));
	EXPECT_EQ(0, WORD(WINDOW(0)));
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
}

/* What the kernel does to it */

TEST_F_TIMEOUT(window, ksm, 180)
{
	unsigned long long merged = 0;
	int i, n, round;

	NEED();
	if (self->kind == HOST_SHARED)
		SKIP(return, "not of such memory");
	self->checker.loads_only = true;
	if (madvise(self->host, LENGTH, MADV_MERGEABLE))
		SKIP(return, "no KSM in this kernel");
	ASSERT_TRUE(ksm_start());
	CHECK_BEGIN();
	for (round = 0; round < 3; round++) {
		/* all the same, but not of the same number before */
		checker_hold(&self->checker);
		for (n = 0; n < 256; n++)
			memset(HOST(n), 17 + round, page_size);
		checker_release(&self->checker);
		for (i = 0; i < 1500; i++) {
			merged = number_of(KSM "pages_sharing");
			if (merged > 200)
				break;
			usleep(10000);
		}
		EXPECT_LT(200, merged);
		/* still what it was; and a store to one is one to no other */
		for (n = 0; n < 256; n++)
			ASSERT_TRUE(all_bytes(WINDOW(n), page_size, 17 + round))
				TH_LOG("page %d", n);
		for (n = 0; n < 256; n += 2) {
			if (n & 2)
				WORD(WINDOW(n)) = 800000 + n;
			else
				WORD(HOST(n)) = 800000 + n;
		}
		for (n = 0; n < 256; n++) {
			if (n & 1) {
				ASSERT_TRUE(all_bytes(WINDOW(n), page_size,
						      17 + round));
			} else {
				ASSERT_EQ(800000 + n, WORD(WINDOW(n)));
			}
			ASSERT_EQ(WORD(HOST(n)), WORD(WINDOW(n)));
		}
	}
	ksm_stop();
	CHECK_END();
}

TEST_F_TIMEOUT(window, migration, 180)
{
	unsigned long long before = vmstat("pgmigrate_success");
	int i;

	NEED();
	CHECK_BEGIN();
	for (i = 0; i < 8; i++) {
		migrate(self->host, LENGTH, i + 1);
		checker_wait(&self->checker);
	}
	CHECK_END();
	EXPECT_LT(before + 8, vmstat("pgmigrate_success"));
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

/* Tells where collapsing is impossible in this kernel for such memory. */
static bool collapse(void *addr, size_t length)
{
	int i;

	if (!madvise(addr, length, MADV_COLLAPSE))
		return true;
	for (i = 0; i < 300 && !huge_bytes(addr); i++)
		usleep(10000);
	return huge_bytes(addr);
}

TEST_F_TIMEOUT(window, huge_pages_made_and_split, 180)
{
	unsigned long long made = 0, splits = vmstat("thp_split_page") +
				  vmstat("thp_split_pmd");
	int i;

	NEED();
	if (self->kind == HOST_PRIVATE)
		SKIP(return, "not of such memory");
	thp_allow();
	madvise(self->host, LENGTH, MADV_HUGEPAGE);
	CHECK_BEGIN();
	for (i = 0; i < 6; i++) {
		made += collapse(self->host, LENGTH);
		checker_wait(&self->checker);
		if (i & 1)
			thp_split(self->host, LENGTH);
		else
			EXPECT_EQ(0, mprotect(HOST(9), page_size, PROT_READ));
		checker_wait(&self->checker);
		EXPECT_EQ(0, mprotect(HOST(9), page_size,
				      PROT_READ | PROT_WRITE));
	}
	CHECK_END();
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	if (self->kind == HOST_ANON) {
		EXPECT_LT(0, made);
		EXPECT_LT(splits, vmstat("thp_split_page") +
				  vmstat("thp_split_pmd"));
	}
	printf("# %llu times huge\n", made);
}

TEST_F_TIMEOUT(window, huge_pages_from_the_first_fault_on, 180)
{
	int i;

	NEED();
	if (self->kind != HOST_ANON)
		SKIP(return, "not of such memory");
	thp_allow();
	CHECK_BEGIN();
	for (i = 0; i < 20; i++) {
		checker_hold(&self->checker);
		ASSERT_EQ(self->host, host_map_at(HOST_ANON, -1, self->host,
						  LENGTH, 0));
		madvise(self->host, LENGTH, MADV_HUGEPAGE);
		/* the first access through the one or the other */
		if (i & 1)
			WORD(WINDOW(3)) = 3;
		else
			WORD(HOST(3)) = 3;
		ASSERT_EQ(3, WORD(HOST(3)));
		ASSERT_EQ(3, WORD(WINDOW(3)));
		ASSERT_EQ(0, WORD(WINDOW(4)));
		checker_release(&self->checker);
		checker_wait(&self->checker);
		/* part of a huge page goes */
		checker_hold(&self->checker);
		ASSERT_EQ(0, madvise(HOST(100), 8 * page_size, MADV_DONTNEED));
		ASSERT_EQ(0, WORD(WINDOW(100)));
		ASSERT_EQ(3, WORD(WINDOW(3)));
		checker_release(&self->checker);
	}
	CHECK_END();
}

TEST_F_TIMEOUT(window, swap_out_and_in, 180)
{
	unsigned long long out = vmstat("pswpout"), in = vmstat("pswpin");
	size_t swapped = 0;
	int i;

	NEED();
	if (!swap_on())
		SKIP(return, "no zram in this kernel");
	CHECK_BEGIN();
	for (i = 0; i < 12; i++) {
		madvise(self->host, LENGTH, MADV_PAGEOUT);
		swapped += pages_swapped(self->host, LENGTH);
		checker_wait(&self->checker);
	}
	CHECK_END();
	/* without anyone in the way: all of it, in by loads and by stores */
	madvise(self->host, LENGTH, MADV_PAGEOUT);
	EXPECT_LT(0, pages_swapped(self->host, LENGTH) + swapped);
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	madvise(self->host, LENGTH, MADV_PAGEOUT);
	for (i = 0; i < (int)PAGES; i++)
		WORD(WINDOW(i)) = i + 2;
	EXPECT_EQ(-1, numbered_not(self->host, LENGTH, 1));
	madvise(self->host, LENGTH, MADV_PAGEOUT);
	EXPECT_EQ(-1, numbered_not(self->host, LENGTH, 1));
	printf("# %llu pages out, %llu in\n", vmstat("pswpout") - out,
	       vmstat("pswpin") - in);
	EXPECT_LT(out, vmstat("pswpout"));
	EXPECT_LT(in, vmstat("pswpin"));
	swap_off();
	EXPECT_EQ(-1, window_differs(self->window, self->host, LENGTH));
}

TEST_F_TIMEOUT(window, reclaim_by_other_means, 120)
{
	int i;

	NEED();
	CHECK_BEGIN();
	for (i = 0; i < 20; i++) {
		madvise(self->host, LENGTH, MADV_COLD);
		madvise(HOST(i * 8), 8 * page_size, i & 1 ? MADV_PAGEOUT :
							    MADV_COLD);
		if (i % 5 == 0)
			file_write("/proc/sys/vm/drop_caches", "3");
		checker_wait(&self->checker);
	}
	CHECK_END();
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

/* Further notifiers, of this space's kind and another, while windows are mapped */
TEST_F_TIMEOUT(window, further_notifiers_registered_meanwhile, 180)
{
	struct mmext_test_notifier watch = {
		.start = to_u64(self->host),
		.end = to_u64(self->host) + LENGTH / 2,
	};
	int watches[8], spaces[8], i, kvm, vm = -1;
	char *windows[8];

	NEED();
	shell("modprobe -q kvm_amd; modprobe -q kvm_intel");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	thp_allow();
	madvise(self->host, LENGTH, MADV_HUGEPAGE);
	CHECK_BEGIN();
	for (i = 0; i < 8; i++) {
		watches[i] = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);
		ASSERT_GE(watches[i], 0);
		ASSERT_EQ(0, call(watches[i], MMEXT_TEST_NOTIFIER_WATCH, &watch));
		spaces[i] = gmap_open();
		ASSERT_GE(spaces[i], 0);
		ASSERT_EQ(0, gmap_map(spaces[i], self->host, 0, LENGTH));
		windows[i] = window_map(spaces[i], LENGTH, 0);
		ASSERT_NE(MAP_FAILED, windows[i]);
		EXPECT_EQ(-1, window_differs(windows[i], self->host, LENGTH));
		if (kvm >= 0 && i == 4)
			vm = ioctl(kvm, 0xAE01, 0);
		/* reclaim and collapse */
		madvise(self->host, LENGTH, MADV_PAGEOUT);
		madvise(self->host, LENGTH, MADV_COLLAPSE);
		EXPECT_EQ(0, mprotect(HOST(9), page_size, PROT_READ));
		EXPECT_EQ(0, mprotect(HOST(9), page_size,
				      PROT_READ | PROT_WRITE));
		checker_wait(&self->checker);
		WORD(HOST(i)) = 900 + i;
		EXPECT_EQ(900 + i, WORD(windows[i] + i * page_size));
		EXPECT_EQ(900 + i, WORD(windows[0] + i * page_size));
	}
	printf("# %s\n", vm >= 0 ? "with KVM" : "without KVM");
	for (i = 0; i < 8; i++) {
		close(watches[i]);
		if (i & 1)
			munmap(windows[i], LENGTH);
		close(spaces[i]);
		madvise(self->host, LENGTH, MADV_COLLAPSE);
		if (!(i & 1))
			munmap(windows[i], LENGTH);
		checker_wait(&self->checker);
	}
	close(vm);
	close(kvm);
	CHECK_END();
}

/* What is done to the window itself */

TEST_F_TIMEOUT(window, madvise_of_the_window_takes_no_byte, 120)
{
	struct rounds rounds = rounds_begin(500);
	int i;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		if (i % 8)
			madvise(WINDOW(i % 500), 16 * page_size, MADV_DONTNEED);
		else
			madvise(self->window, LENGTH, MADV_DONTNEED);
	}
	CHECK_END();
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	EXPECT_EQ(-1, numbered_not(self->host, LENGTH, 0));
}

TEST_F_TIMEOUT(window, mremap_of_the_window, 120)
{
	char *places[2] = { self->window, place_alloc(LENGTH) };
	struct rounds rounds = rounds_begin(200);
	int i;

	NEED();
	ASSERT_NE(NULL, places[1]);
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		char *from = places[i & 1], *to = places[!(i & 1)];

		EXPECT_EQ(i % 7 + 1, WORD(from + i % 7 * page_size));
		ASSERT_EQ(to, mremap(from, LENGTH, LENGTH,
				     MREMAP_MAYMOVE | MREMAP_FIXED, to));
		ASSERT_EQ(-SIGSEGV, peek(from)) TH_LOG("round %d", i);
		ASSERT_EQ(i % 7 + 1, WORD(to + i % 7 * page_size));
		/* what follows finds it at its new place, also what it took along */
		WORD(HOST(9)) = 70000 + i;
		ASSERT_EQ(70000 + i, WORD(to + 9 * page_size));
		ASSERT_EQ(HOST(16), host_map_at(self->kind, self->backing,
						HOST(16), 16 * page_size,
						16 * page_size));
		WORD(HOST(20)) = 80000 + i;
		ASSERT_EQ(80000 + i, WORD(to + 20 * page_size))
			TH_LOG("round %d", i);
		ASSERT_EQ(0, mprotect(HOST(0), page_size, PROT_NONE));
		ASSERT_EQ(-SIGBUS, peek(to));
		ASSERT_EQ(0, mprotect(HOST(0), page_size,
				      PROT_READ | PROT_WRITE));
	}
	self->window = places[i & 1];
	EXPECT_EQ(-1, window_differs(self->window, self->host, LENGTH));
}

/* Parts of tables, and of another alignment */
TEST_F_TIMEOUT(window, mremap_of_a_part_of_the_window, 120)
{
	char *place = place_alloc(2 * LENGTH);
	struct rounds rounds = rounds_begin(100);
	size_t length = 64 * page_size;
	int i, n;
	char *to;

	NEED();
	ASSERT_NE(NULL, place);
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 53 % (PAGES - 64);
		to = place + i % 300 * page_size;
		WORD(WINDOW(n)) = i;
		ASSERT_EQ(to, mremap(WINDOW(n), length, length,
				     MREMAP_MAYMOVE | MREMAP_FIXED, to));
		ASSERT_EQ(i, WORD(to));
		WORD(HOST(n + 1)) = i;
		ASSERT_EQ(i, WORD(to + page_size));
		ASSERT_EQ(0, mprotect(HOST(n), page_size, PROT_NONE));
		ASSERT_EQ(-SIGBUS, peek(to)) TH_LOG("round %d", i);
		ASSERT_EQ(0, mprotect(HOST(n), page_size,
				      PROT_READ | PROT_WRITE));
		ASSERT_EQ(WINDOW(n), mremap(to, length, length,
					    MREMAP_MAYMOVE | MREMAP_FIXED,
					    WINDOW(n)));
		ASSERT_EQ(i, WORD(WINDOW(n)));
	}
	EXPECT_EQ(-1, window_differs(self->window, self->host, LENGTH));
}

TEST_F(window, can_not_grow)
{
	NEED();
	EXPECT_EQ(MAP_FAILED, mremap(self->window, LENGTH, LENGTH + SEGMENT,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F_TIMEOUT(window, munmap_of_a_part_of_the_window, 120)
{
	struct rounds rounds = rounds_begin(200);
	int i, n;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		size_t nr = i % 4 ? 16 : PAGES / 2;

		n = i % 4 ? i * 37 % (PAGES - 16) : i & 4 ? 0 : PAGES / 2;
		ASSERT_EQ(0, munmap(WINDOW(n), nr * page_size));
		ASSERT_EQ(-SIGSEGV, peek(WINDOW(n)));
		/* what is beside it is there, and what is gone is not written to */
		WORD(HOST((n + nr) % PAGES)) = 60000 + i;
		ASSERT_EQ(60000 + i, n + nr < PAGES ? WORD(WINDOW(n + nr)) :
						      60000U + i);
		ASSERT_EQ(WINDOW(n), mmap(WINDOW(n), nr * page_size,
					  PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_FIXED, self->fd,
					  GUEST + n * page_size));
		ASSERT_EQ(WORD(HOST(n)), WORD(WINDOW(n)));
	}
	CHECK_END();
}

TEST_F_TIMEOUT(window, mprotect_of_the_window, 120)
{
	struct rounds rounds = rounds_begin(300);
	int i, n;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 37 % (PAGES - 16);
		ASSERT_EQ(0, mprotect(WINDOW(n), 16 * page_size, PROT_READ));
		ASSERT_EQ(-SIGSEGV, poke(WINDOW(n) + 64, 1));
		ASSERT_EQ(WORD(HOST(n)), WORD(WINDOW(n)));
		ASSERT_EQ(0, mprotect(WINDOW(n), 16 * page_size, PROT_NONE));
		ASSERT_EQ(-SIGSEGV, peek(WINDOW(n)));
		ASSERT_EQ(0, mprotect(WINDOW(n), 16 * page_size,
				      PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, poke(WINDOW(n) + 64, 1));
		ASSERT_EQ(1, HOST(n)[64]);
	}
	CHECK_END();
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

/* What mprotect lets be stored to is no way around what the parent may not. */
TEST_F(window, mprotect_of_the_window_gives_no_right_to_store)
{
	NEED();
	ASSERT_EQ(0, mprotect(HOST(4), page_size, PROT_READ));
	EXPECT_EQ(5, peek(WINDOW(4)));
	ASSERT_EQ(0, mprotect(self->window, LENGTH, PROT_READ));
	ASSERT_EQ(0, mprotect(self->window, LENGTH, PROT_READ | PROT_WRITE));
	EXPECT_EQ(-SIGSEGV, poke(WINDOW(4), 1));
	EXPECT_EQ(5, peek(WINDOW(4)));
	/* nor around a page that a child shares */
	if (self->kind == HOST_ANON) {
		pid_t pid = fork();

		ASSERT_GE(pid, 0);
		if (!pid) {
			usleep(200000);
			_exit(WORD(HOST(5)) == 6 ? 0 : 1);
		}
		EXPECT_EQ(6, peek(WINDOW(5)));
		ASSERT_EQ(0, mprotect(self->window, LENGTH, PROT_READ));
		ASSERT_EQ(0, mprotect(self->window, LENGTH,
				      PROT_READ | PROT_WRITE));
		EXPECT_EQ(0, poke(WINDOW(5), 99));
		EXPECT_EQ(99, WORD(HOST(5)));
		EXPECT_EQ(0, child_status(pid));
	}
}

TEST_F(window, mlock_and_populate_of_a_window)
{
	char *window;

	NEED();
	window = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_POPULATE, self->fd, GUEST);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(-1, numbered_not(window, LENGTH, 0));
	mlock(window, LENGTH);
	EXPECT_EQ(-1, numbered_not(window, LENGTH, 0));
	ASSERT_EQ(HOST(0), host_map_at(self->kind, self->backing, HOST(0),
				       LENGTH, 0));
	EXPECT_EQ(-1, window_differs(window, self->host, LENGTH));
	munlock(window, LENGTH);
	munmap(window, LENGTH);
}

/* Who pins memory, and who looks at it */

TEST_F(window, process_vm_readv_and_o_direct_are_refused)
{
	char buffer[16] = "0123456789abcde", name[] = "/tmp/mmext-gmap-XXXXXX";
	struct iovec local = { .iov_base = buffer, .iov_len = 8 };
	struct iovec remote = { .iov_base = self->window, .iov_len = 8 };
	int fd;

	NEED();
	/* as it is, and with an entry there */
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(1, peek(WINDOW(0)));
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, poke(WINDOW(0), 1));
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_STREQ("0123456789abcde", buffer);
	EXPECT_EQ(1, WORD(HOST(0)));
	/* what copies is another thing */
	fd = mkstemp(name);
	ASSERT_GE(fd, 0);
	unlink(name);
	EXPECT_EQ(2 * page_size, pwrite(fd, self->window, 2 * page_size, 0));
	WORD(HOST(1)) = 55;
	EXPECT_EQ(2 * page_size, pread(fd, self->window, 2 * page_size, 0));
	EXPECT_EQ(2, WORD(HOST(1)));
	close(fd);
	/* TRANSLATE's address can be pinned */
	remote.iov_base = (void *)(uintptr_t)gmap_translate(self->fd, GUEST);
	EXPECT_EQ(8, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(1, *(__u32 *)buffer);
}

TEST_F(window, o_direct_into_a_window_is_efault)
{
	const char *dir = "/tmp/mmext-gmap-disk", *image = "/tmp/mmext-gmap-img";
	char *buffer = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd;

	NEED();
	if (self->kind != HOST_SHARED)
		SKIP(return, "not of such memory");
	ASSERT_TRUE(disk_mount(dir, image));
	fd = open("/tmp/mmext-gmap-disk/file", O_CREAT | O_RDWR | O_DIRECT,
		  0600);
	ASSERT_GE(fd, 0);
	memset(buffer, 'd', page_size);
	ASSERT_EQ(page_size, pwrite(fd, buffer, page_size, 0));
	EXPECT_EQ(-1, pread(fd, self->window, page_size, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, poke(self->window, 1));
	EXPECT_EQ(-1, pread(fd, self->window, page_size, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, pwrite(fd, self->window, page_size, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	/* the parent's own address will do, and the window shows what came */
	EXPECT_EQ(page_size, pread(fd, self->host, page_size, 0));
	EXPECT_EQ('d', peek(self->window));
	close(fd);
	disk_umount(dir, image);
}

TEST_F(window, debuggers_see_what_it_shows)
{
	char path[64];
	pid_t pid;
	long word;
	int mem, value = 0x01020304;

	NEED();
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_GE(mem, 0);
	EXPECT_EQ(4, pread(mem, &value, 4, to_u64(WINDOW(6))));
	EXPECT_EQ(7, value);
	value = 4242;
	EXPECT_EQ(4, pwrite(mem, &value, 4, to_u64(WINDOW(6))));
	EXPECT_EQ(4242, WORD(HOST(6)));
	EXPECT_EQ(4242, WORD(WINDOW(6)));
	/* not what is a hole, nor with more right than the parent has */
	ASSERT_EQ(0, mprotect(HOST(7), page_size, PROT_READ));
	EXPECT_EQ(-1, pwrite(mem, &value, 4, to_u64(WINDOW(7))));
	EXPECT_EQ(8, WORD(HOST(7)));
	ASSERT_EQ(0, gmap_unmap(self->fd, GUEST + SEGMENT, SEGMENT));
	EXPECT_EQ(-1, pread(mem, &value, 4, to_u64(self->window) + SEGMENT));
	close(mem);

	/* of another process's window */
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CHILD_CHECK(mmap(self->window, LENGTH, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, self->fd, GUEST) ==
			    self->window);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, WINDOW(8), NULL);
	EXPECT_EQ(0, errno);
	EXPECT_EQ(9, (__u32)word);
	EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, pid, WINDOW(8), 0x77L));
	EXPECT_EQ(0x77, WORD(HOST(8)));
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	EXPECT_EQ(4, pread(mem, &value, 4, to_u64(WINDOW(6))));
	EXPECT_EQ(4242, value);
	close(mem);
	kill(pid, SIGKILL);
	child_status(pid);
}

/* discard */

TEST_F(window, discard_drops_the_parents_pages)
{
	bool zero = self->kind == HOST_ANON;
	int n;

	NEED();
	for (n = 0; n < (int)PAGES; n++)
		WORD(WINDOW(n)) = 2000 + n;
	EXPECT_EQ(0, gmap_discard(self->fd, GUEST + 4 * page_size,
				  8 * page_size));
	EXPECT_EQ(2003, WORD(WINDOW(3)));
	for (n = 4; n < 12; n++) {
		/* what a private mapping of a file has then is the file's */
		EXPECT_EQ(self->kind == HOST_SHARED ? 2000 + n : 0,
			  WORD(WINDOW(n)));
		EXPECT_EQ(WORD(HOST(n)), WORD(WINDOW(n)));
	}
	EXPECT_EQ(2012, WORD(WINDOW(12)));
	/* across a hole of the translation, and one of the parent's */
	ASSERT_EQ(0, gmap_unmap(self->fd, GUEST + SEGMENT, SEGMENT));
	ASSERT_EQ(0, munmap(HOST(2 * SEGMENT / page_size + 1), page_size));
	EXPECT_EQ(0, gmap_discard(self->fd, GUEST, LENGTH));
	EXPECT_EQ(zero ? 0 : WORD(HOST(3)), WORD(WINDOW(3)));
	EXPECT_EQ(WORD(HOST(PAGES - 1)), WORD(WINDOW(PAGES - 1)));
	/* what is not named by the space is left alone */
	EXPECT_EQ(2000 + SEGMENT / page_size, WORD(HOST(SEGMENT / page_size)));
}

TEST_F(window, discard_with_unaligned_ends_is_einval)
{
	NEED();
	EXPECT_EQ(-EINVAL, gmap_discard(self->fd, GUEST + 1, page_size));
	EXPECT_EQ(-EINVAL, gmap_discard(self->fd, GUEST, page_size + 1));
	EXPECT_EQ(-EINVAL, gmap_discard(self->fd, GUEST, page_size - 1));
	EXPECT_EQ(-EINVAL, gmap_discard(self->fd, GUEST + page_size / 2,
					page_size / 2));
	EXPECT_EQ(-EINVAL, gmap_discard(self->fd, LIMIT + 1, page_size));
	EXPECT_EQ(-EOVERFLOW, gmap_discard(self->fd, GUEST, -page_size));
	EXPECT_EQ(0, gmap_discard(self->fd, GUEST, 0));
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

TEST_F(window, discard_leaves_what_is_locked)
{
	NEED();
	if (self->kind != HOST_ANON)
		SKIP(return, "not of such memory");
	ASSERT_EQ(0, mlock(HOST(4), 2 * page_size));
	EXPECT_EQ(0, gmap_discard(self->fd, GUEST, 16 * page_size));
	EXPECT_EQ(5, WORD(WINDOW(4)));
	EXPECT_EQ(6, WORD(HOST(5)));
	EXPECT_EQ(0, WORD(WINDOW(3)));
	EXPECT_EQ(0, WORD(WINDOW(6)));
}

/* The descriptor in other hands */

struct far {
	int fd;
	char *window;
	struct checker checker;
};

static long run_map_far(int sock __unused, void *arg)
{
	struct far *f = arg;

	f->window = region_map_aligned(f->fd, LENGTH, GUEST);
	if (f->window == MAP_FAILED)
		return -errno;
	return 0;
}

struct far_word {
	volatile __u32 *addr;
	__u32 value;
};

static long run_peek_word(int sock __unused, void *arg)
{
	struct far_word *w = arg;

	return peek_word(w->addr, &w->value);
}

static long run_poke_word(int sock __unused, void *arg)
{
	struct far_word *w = arg;

	return poke_word(w->addr, w->value);
}

static __u32 far_peek(struct runner *r, struct far_word *w, char *addr)
{
	long ret;

	w->addr = (volatile __u32 *)addr;
	ret = runner_do(r, run_peek_word, w);
	return ret ? (__u32)ret : w->value;
}

static long far_poke(struct runner *r, struct far_word *w, char *addr,
		     __u32 value)
{
	w->addr = (volatile __u32 *)addr;
	w->value = value;
	return runner_do(r, run_poke_word, w);
}

TEST_F_TIMEOUT(window, of_another_process_follows_the_parents_memory, 180)
{
	struct far *f = shared_alloc(sizeof(*f));
	struct far_word *w = shared_alloc(sizeof(*w));
	struct rounds rounds = rounds_begin(100);
	struct runner other;
	int i, n;

	NEED();
	ASSERT_EQ(0, runner_start(&other));
	f->fd = runner_send_fd(&other, self->fd);
	ASSERT_GE(f->fd, 0);
	ASSERT_EQ(0, runner_do(&other, run_map_far, f));
#define FAR(n)	(f->window + (n) * page_size)
#define FAR_IS(n, val)							\
	ASSERT_EQ((__u32)(val), far_peek(&other, w, FAR(n)))		\
		TH_LOG("round %d", i)
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 37 % (PAGES - 32);
		checker_hold(&self->checker);
		FAR_IS(n, WORD(HOST(n)));
		WORD(HOST(n)) = 1000000 + i;
		FAR_IS(n, 1000000 + i);
		ASSERT_EQ(0, far_poke(&other, w, FAR(n), 2000000 + i));
		ASSERT_EQ(2000000 + i, WORD(HOST(n)));
		ASSERT_EQ(2000000 + i, WORD(WINDOW(n)));
		ASSERT_EQ(0, munmap(HOST(n), 16 * page_size));
		FAR_IS(n, -SIGBUS);
		ASSERT_EQ(HOST(n), host_map_at(self->kind, self->backing,
					       HOST(n), 16 * page_size,
					       n * page_size));
		FAR_IS(n, WORD(HOST(n)));
		WORD(HOST(n + 1)) = 3000000 + i;
		FAR_IS(n + 1, 3000000 + i);
		ASSERT_EQ(0, mprotect(HOST(n), page_size, PROT_READ));
		ASSERT_EQ(-SIGSEGV, far_poke(&other, w, FAR(n), 1));
		ASSERT_EQ(0, mprotect(HOST(n), page_size,
				      PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, far_poke(&other, w, FAR(n), 4000000 + i));
		ASSERT_EQ(4000000 + i, WORD(HOST(n)));
		ASSERT_EQ(0, gmap_unmap(self->fd, GUEST, SEGMENT));
		FAR_IS(0, -SIGBUS);
		ASSERT_EQ(0, gmap_map(self->fd, self->host, GUEST, SEGMENT));
		FAR_IS(0, WORD(HOST(0)));
		checker_release(&self->checker);
	}
	CHECK_END();
	EXPECT_EQ(0, runner_stop(&other));
	/* and when that one has gone, nothing of it is missed */
	WORD(HOST(0)) = 5;
	EXPECT_EQ(5, WORD(WINDOW(0)));
}

/* A thread of another process reads while the parent changes: with a kill */
static long run_read_on(int sock __unused, void *arg)
{
	struct far *f = arg;
	size_t i;
	__u32 value;

	if (run_map_far(sock, arg))
		return -1;
	store(&f->fd, -2);
	for (;;)
		for (i = 0; i < PAGES; i++)
			if (peek_word((__u32 *)(f->window + i * page_size),
				      &value) == 0)
				poke_word((__u32 *)(f->window + i * page_size) +
					  9, value);
}

TEST_F_TIMEOUT(window, holder_is_killed, 120)
{
	struct far *f = shared_alloc(sizeof(*f));
	struct rounds rounds = rounds_begin(20);
	struct runner other;
	int i;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		store(&f->fd, self->fd);
		ASSERT_EQ(0, runner_start(&other));
		ASSERT_EQ(0, runner_begin(&other, run_read_on, f));
		while (load(&f->fd) != -2)
			usleep(100);
		usleep(i * 500);
		ASSERT_EQ(0, mprotect(HOST(i), page_size, PROT_READ));
		ASSERT_EQ(0, mprotect(HOST(i), page_size,
				      PROT_READ | PROT_WRITE));
		EXPECT_EQ(128 + SIGKILL, runner_kill(&other));
	}
	CHECK_END();
	/* the records of who has gone have gone */
	EXPECT_GE(4, gmap_stat_of(self->fd, out_records));
}

/* Spaces that end */

FIXTURE(owner)
{
	const char *skip;
	struct owner *owner;
	char *window;
};

FIXTURE_VARIANT(owner)
{
	enum host_kind kind;
};

FIXTURE_VARIANT_ADD(owner, anonymous)
{
	.kind = HOST_ANON,
};

FIXTURE_VARIANT_ADD(owner, shared)
{
	.kind = HOST_SHARED,
};

FIXTURE_SETUP(owner)
{
	self->skip = cannot_show(variant->kind);
	fault_catch();
	self->owner = owner_start(variant->kind);
	ASSERT_NE(NULL, self->owner);
	if (self->skip)
		return;
	self->window = window_map(self->owner->space, OWNER_LENGTH, 0);
	ASSERT_NE(MAP_FAILED, self->window);
}

FIXTURE_TEARDOWN(owner)
{
	if (self->window)
		munmap(self->window, OWNER_LENGTH);
}

TEST_F(owner, exits_and_windows_are_sigbus)
{
	int fd;

	NEED();
	EXPECT_EQ(-1, filled_not(self->window, OWNER_LENGTH, 1));
	fd = dup(self->owner->space);
	EXPECT_EQ(0, owner_stop(self->owner));
	EXPECT_EQ(-SIGBUS, peek(self->window));
	EXPECT_EQ(-SIGBUS, poke(WINDOW(1), 1));
	EXPECT_EQ(-SIGBUS, peek(WINDOW(OWNER_LENGTH / page_size - 1)));
	EXPECT_EQ(-ESRCH, gmap_fault(fd, 0, page_size, 0));
	/* nor is there another after */
	EXPECT_EQ(MAP_FAILED, window_map(fd, OWNER_LENGTH, 0));
	EXPECT_EQ(ESRCH, errno);
	close(fd);
}

TEST_F(owner, is_killed_and_windows_are_sigbus)
{
	NEED();
	EXPECT_EQ(-1, filled_not(self->window, OWNER_LENGTH, 1));
	EXPECT_EQ(128 + SIGKILL, runner_kill(&self->owner->runner));
	EXPECT_EQ(-SIGBUS, peek(self->window));
	EXPECT_EQ(-SIGBUS, poke(WINDOW(1), 1));
	close(self->owner->space);
}

static long run_exec(int sock __unused, void *arg __unused)
{
	/* the descriptor is the other process's now, and the program another */
	execl("/bin/sleep", "sleep", "1000", NULL);
	return -errno;
}

TEST_F(owner, executes_another_program_and_windows_are_sigbus)
{
	struct mmext_gmap_stat stat;
	int i;

	NEED();
	EXPECT_EQ(-1, filled_not(self->window, OWNER_LENGTH, 1));
	ASSERT_EQ(0, runner_begin(&self->owner->runner, run_exec, NULL));
	for (i = 0; i < 2000 && peek(self->window) >= 0; i++)
		usleep(5000);
	EXPECT_EQ(-SIGBUS, peek(self->window));
	EXPECT_EQ(-SIGBUS, poke(WINDOW(1), 1));
	EXPECT_EQ(-ESRCH, gmap_stat(self->owner->space, &stat));
	EXPECT_EQ(-ESRCH, gmap_fault(self->owner->space, 0, page_size, 0));
	EXPECT_EQ(0, kill(self->owner->runner.pid, 0));
	EXPECT_EQ(128 + SIGKILL, runner_kill(&self->owner->runner));
	close(self->owner->space);
}

/* Threads fault, while what they fault on goes. */
struct crowd {
	char *window;
	size_t nr;
	int end;
	unsigned long good;
	unsigned long bus;
	unsigned long segv;
	unsigned long other;
};

static void *crowd_thread(void *arg)
{
	struct crowd *c = arg;
	size_t i;
	int ret;

	while (!load(&c->end)) {
		for (i = 0; i < c->nr; i++) {
			ret = i & 1 ? poke(c->window + i * page_size + 8, 1) :
				      peek(c->window + i * page_size);
			if (ret == -SIGBUS)
				__atomic_add_fetch(&c->bus, 1, __ATOMIC_RELAXED);
			else if (ret == -SIGSEGV)
				__atomic_add_fetch(&c->segv, 1, __ATOMIC_RELAXED);
			else if (ret < 0)
				__atomic_add_fetch(&c->other, 1, __ATOMIC_RELAXED);
			else
				__atomic_add_fetch(&c->good, 1, __ATOMIC_RELAXED);
		}
		madvise(c->window, c->nr * page_size, MADV_DONTNEED);
	}
	return NULL;
}

TEST_F_TIMEOUT(owner, ends_with_faults_in_flight, 180)
{
	struct rounds rounds = rounds_begin(20);
	struct crowd c = { .window = self->window, .nr = 64 };
	pthread_t threads[3];
	int i, n;

	NEED();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		c.end = 0;
		for (n = 0; n < 3; n++)
			ASSERT_EQ(0, pthread_create(&threads[n], NULL,
						    crowd_thread, &c));
		usleep(2000 + i * 300);
		EXPECT_EQ(i & 1 ? 128 + SIGKILL : 0,
			  i & 1 ? runner_kill(&self->owner->runner) :
				  runner_stop(&self->owner->runner));
		EXPECT_EQ(-SIGBUS, peek(self->window));
		usleep(1000);
		store(&c.end, 1);
		for (n = 0; n < 3; n++)
			pthread_join(threads[n], NULL);
		close(self->owner->space);
		munmap(self->window, OWNER_LENGTH);
		self->owner = owner_start(variant->kind);
		ASSERT_NE(NULL, self->owner);
		self->window = window_map(self->owner->space, OWNER_LENGTH, 0);
		ASSERT_NE(MAP_FAILED, self->window);
		c.window = self->window;
	}
	EXPECT_LT(0, c.good);
	EXPECT_LT(0, c.bus);
	EXPECT_EQ(0, c.segv + c.other);
	EXPECT_EQ(0, owner_stop(self->owner));
}

TEST_F_TIMEOUT(owner, space_is_freed_with_windows_mapped_and_faults_in_flight, 180)
{
	struct rounds rounds = rounds_begin(100);
	struct crowd c = { .window = self->window, .nr = 64 };
	pthread_t threads[2];
	int i, n, fd;

	NEED();
	fd = dup(self->owner->space);
	for (n = 0; n < 2; n++)
		ASSERT_EQ(0, pthread_create(&threads[n], NULL, crowd_thread,
					    &c));
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		/* the last mapping goes under them, and another comes */
		ASSERT_EQ(self->window, mmap(self->window, OWNER_LENGTH,
					     PROT_NONE, MAP_PRIVATE |
					     MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		ASSERT_EQ(self->window, mmap(self->window, OWNER_LENGTH,
					     PROT_READ | PROT_WRITE,
					     MAP_SHARED | MAP_FIXED, fd, 0));
	}
	/* now the space as well */
	close(fd);
	EXPECT_EQ(0, owner_stop(self->owner));
	ASSERT_EQ(0, munmap(self->window, OWNER_LENGTH));
	usleep(10000);
	store(&c.end, 1);
	for (n = 0; n < 2; n++)
		pthread_join(threads[n], NULL);
	self->window = NULL;
	EXPECT_LT(0, c.good);
	EXPECT_EQ(0, c.other);
}

/* The OOM reaper takes the memory of a parent that is slow to die. */

#define GROUP	"/sys/fs/cgroup/mmext-gmap-oom"

static long run_oom(int sock __unused, void *arg)
{
	size_t length = 128 * MIB, i;
	volatile char *more;

	(void)arg;
	if (file_write(GROUP "/cgroup.procs", "0"))
		return -1;
	more = mmap(NULL, length, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < length; i += page_size)
		more[i] = 1;
	return -2;
}

/* A thread that the signal does not end: a write to a frozen file system */
static void *stuck_thread(void *arg)
{
	int fd = open(arg, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 && write(fd, "x", 1) == 1)
		close(fd);
	return NULL;
}

static long run_stuck(int sock __unused, void *arg)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, stuck_thread, arg);
}

static bool log_has(const char *text)
{
	char command[160];

	snprintf(command, sizeof(command), "dmesg | grep -q '%s'", text);
	return !shell(command);
}

TEST_F_TIMEOUT(owner, is_taken_by_the_oom_reaper, 180)
{
	const char *dir = "/tmp/mmext-gmap-disk", *image = "/tmp/mmext-gmap-img";
	struct crowd c = { .window = self->window, .nr = 64 };
	char path[] = "/tmp/mmext-gmap-disk/file", reaped[64];
	pthread_t thread;
	int frozen, i;

	NEED();
	file_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(GROUP, 0755);
	ASSERT_EQ(0, file_write(GROUP "/memory.max", "33554432"));
	file_write(GROUP "/memory.swap.max", "0");
	ASSERT_TRUE(disk_mount(dir, image));
	frozen = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_EQ(0, ioctl(frozen, _IOWR('X', 119, int), 0));
	ASSERT_EQ(0, runner_do(&self->owner->runner, run_stuck, path));
	usleep(100000);
	ASSERT_EQ(0, pthread_create(&thread, NULL, crowd_thread, &c));
	EXPECT_EQ(-1, filled_not(self->window, 16 * page_size, 1));
	ASSERT_EQ(0, runner_begin(&self->owner->runner, run_oom, NULL));

	snprintf(reaped, sizeof(reaped), "oom_reaper: reaped process %d",
		 self->owner->runner.pid);
	for (i = 0; i < 600 && !log_has(reaped); i++)
		usleep(50000);
	EXPECT_TRUE(log_has(reaped));
	/* it is there yet, but its memory is not */
	EXPECT_EQ(0, kill(self->owner->runner.pid, 0));
	if (variant->kind == HOST_ANON) {
		EXPECT_EQ(-SIGBUS, peek(WINDOW(100)));
		EXPECT_EQ(-SIGBUS, peek(WINDOW(1)));
	}
	ASSERT_EQ(0, ioctl(frozen, _IOWR('X', 120, int), 0));
	close(frozen);
	EXPECT_EQ(128 + SIGKILL, runner_stop(&self->owner->runner));
	EXPECT_EQ(-SIGBUS, peek(WINDOW(100)));
	EXPECT_EQ(-SIGBUS, peek(WINDOW(1)));
	store(&c.end, 1);
	pthread_join(thread, NULL);
	EXPECT_LT(0, c.bus);
	EXPECT_EQ(0, c.segv + c.other);
	close(self->owner->space);
	disk_umount(dir, image);
	for (i = 0; i < 100 && rmdir(GROUP); i++)
		usleep(20000);
}

/* Files that are written back */

#define DISK_DIR	"/tmp/mmext-gmap-disk"
#define DISK_IMAGE	"/tmp/mmext-gmap-img"

FIXTURE(file)
{
	const char *skip;
	int fd;
	int backing;
	int direct;
	char *host;
	char *window;
	struct checker checker;
};

FIXTURE_SETUP(file)
{
	self->skip = cannot_show(HOST_SHARED);
	if (self->skip)
		return;
	ASSERT_TRUE(disk_mount(DISK_DIR, DISK_IMAGE));
	self->backing = open(DISK_DIR "/file", O_CREAT | O_RDWR | O_CLOEXEC,
			     0600);
	ASSERT_GE(self->backing, 0);
	ASSERT_EQ(0, ftruncate(self->backing, LENGTH));
	self->direct = open(DISK_DIR "/file", O_RDONLY | O_DIRECT | O_CLOEXEC);
	ASSERT_GE(self->direct, 0);
	self->fd = gmap_open();
	ASSERT_GE(self->fd, 0);
	self->host = place_alloc(LENGTH);
	ASSERT_EQ(self->host, host_map_at(HOST_SHARED, self->backing,
					  self->host, LENGTH, 0));
	number_pages(self->host, LENGTH);
	ASSERT_EQ(0, gmap_map(self->fd, self->host, GUEST, LENGTH));
	self->window = region_map_aligned(self->fd, LENGTH, GUEST);
	ASSERT_NE(MAP_FAILED, self->window);
	self->checker.cpu = 1;
	fault_catch();
	pin(0);
}

FIXTURE_TEARDOWN(file)
{
	if (self->skip)
		return;
	munmap(self->window, LENGTH);
	munmap(self->host, LENGTH);
	close(self->direct);
	close(self->backing);
	close(self->fd);
	disk_umount(DISK_DIR, DISK_IMAGE);
}

/* The first page that the disk does not have as memory has it, or -1. */
static long disk_differs(int direct, const char *host)
{
	char *page = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long differs = -1;
	size_t i;

	for (i = 0; differs < 0 && i < PAGES; i++)
		if (pread(direct, page, page_size, i * page_size) !=
		    (ssize_t)page_size ||
		    memcmp(page, host + i * page_size, page_size))
			differs = i;
	munmap(page, page_size);
	return differs;
}

TEST_F_TIMEOUT(file, writeback_under_a_window_loses_no_store, 180)
{
	struct rounds rounds = rounds_begin(50);
	int i, n;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		fsync(self->backing);
		if (i % 3 == 0)
			sync_file_range(self->backing, 0, LENGTH,
					SYNC_FILE_RANGE_WRITE);
		/* known to be written before, stored to through the window */
		WORD(WINDOW(i) + 32) = i;
	}
	CHECK_END();
	ASSERT_EQ(0, fsync(self->backing));
	EXPECT_EQ(-1, disk_differs(self->direct, self->host));
	/* each store after a writeback is seen by the next */
	for (i = 0; i < 10; i++) {
		for (n = 0; n < 64; n++)
			WORD(WINDOW(n) + 48) = i * 1000 + n;
		ASSERT_EQ(0, fsync(self->backing));
		ASSERT_EQ(-1, disk_differs(self->direct, self->host))
			TH_LOG("round %d", i);
	}
}

TEST_F(file, loads_through_a_window_dirty_nothing)
{
	unsigned long long dirtied;
	int i;

	NEED();
	ASSERT_EQ(0, fsync(self->backing));
	ASSERT_EQ(0, sync_file_range(self->backing, 0, LENGTH,
				     SYNC_FILE_RANGE_WAIT_BEFORE |
				     SYNC_FILE_RANGE_WRITE |
				     SYNC_FILE_RANGE_WAIT_AFTER));
	dirtied = vmstat("nr_dirtied");
	for (i = 0; i < (int)PAGES; i++)
		ASSERT_EQ(i + 1, WORD(WINDOW(i)));
	/* the log of the machine, and the like */
	EXPECT_GT(dirtied + PAGES / 4, vmstat("nr_dirtied"));
}

TEST_F_TIMEOUT(file, truncate_and_extend_under_a_window, 180)
{
	struct rounds rounds = rounds_begin(50);
	int i;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		checker_hold(&self->checker);
		ASSERT_EQ(0, ftruncate(self->backing, LENGTH / 4));
		ASSERT_EQ(-SIGBUS, peek(WINDOW(PAGES / 4)));
		ASSERT_EQ(-SIGBUS, poke(WINDOW(PAGES - 1), 1));
		ASSERT_EQ(0, ftruncate(self->backing, LENGTH));
		ASSERT_EQ(0, WORD(WINDOW(PAGES / 4)));
		WORD(WINDOW(PAGES / 2)) = i;
		checker_release(&self->checker);
		file_write("/proc/sys/vm/drop_caches", "1");
	}
	CHECK_END();
	ASSERT_EQ(0, fsync(self->backing));
	EXPECT_EQ(-1, disk_differs(self->direct, self->host));
}

/* A private mapping of it: what the file has, until a store makes a copy. */
TEST_F(file, private_parent_keeps_its_stores_from_the_file)
{
	NEED();
	ASSERT_EQ(0, fsync(self->backing));
	ASSERT_EQ(self->host, host_map_at(HOST_PRIVATE, self->backing,
					  self->host, LENGTH, 0));
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	if (!have_anonymous())
		return;
	WORD(WINDOW(3)) = 5;
	WORD(HOST(4)) = 6;
	EXPECT_EQ(5, WORD(HOST(3)));
	EXPECT_EQ(6, WORD(WINDOW(4)));
	ASSERT_EQ(0, fsync(self->backing));
	ASSERT_EQ(self->host, host_map_at(HOST_SHARED, self->backing,
					  self->host, LENGTH, 0));
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

/* Regions of this module as the parent's memory */

FIXTURE(device)
{
	const char *skip;
	int fd;
	int backing;
	char *host;
	char *window;
	struct checker checker;
};

BACKINGS(device);

FIXTURE_SETUP(device)
{
	enum host_kind kind = variant->backing == MMEXT_BACKING_PAGE ?
			      HOST_PAGES : HOST_FRAMES;

	self->skip = cannot_show(kind);
	self->backing = host_backing(kind, 0);
	ASSERT_GE(self->backing, 0);
	self->host = place_alloc(LENGTH);
	ASSERT_EQ(self->host, host_map_at(kind, self->backing, self->host,
					  LENGTH, 0));
	number_pages(self->host, LENGTH);
	self->fd = gmap_open();
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, gmap_map(self->fd, self->host, GUEST, LENGTH));
	if (self->skip)
		return;
	self->window = region_map_aligned(self->fd, LENGTH, GUEST);
	ASSERT_NE(MAP_FAILED, self->window);
	self->checker.cpu = 1;
	fault_catch();
	pin(0);
}

FIXTURE_TEARDOWN(device)
{
	if (self->window)
		munmap(self->window, LENGTH);
	munmap(self->host, LENGTH);
	close(self->backing);
	close(self->fd);
}

TEST_F_TIMEOUT(device, as_a_parent, 180)
{
	struct rounds rounds = rounds_begin(200);
	__u32 a, b;
	int i, n;

	NEED();
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 37 % (PAGES / 2 - 16);
		/* what takes no byte */
		ASSERT_EQ(0, region_unmap(self->backing, n * page_size,
					  16 * page_size, 0));
		ASSERT_EQ(0, region_zap(self->backing, HOST(n),
					8 * page_size));
		ASSERT_EQ(WORD(HOST(n)), WORD(WINDOW(n)));
		ASSERT_EQ(0, region_protect(self->backing, n * page_size,
					    page_size,
					    MMEXT_PROTECT_READ_ONLY));
		ASSERT_EQ(-SIGSEGV, poke(WINDOW(n), 1)) TH_LOG("round %d", i);
		ASSERT_EQ(WORD(HOST(n)), WORD(WINDOW(n)));
		ASSERT_EQ(0, region_protect(self->backing, n * page_size,
					    page_size, 0));
		/* and what does */
		checker_hold(&self->checker);
		a = WORD(WINDOW(n));
		b = WORD(WINDOW(n + PAGES / 2));
		ASSERT_EQ(0, region_exchange(self->backing, n * page_size,
					     LENGTH / 2 + n * page_size,
					     4 * page_size));
		ASSERT_EQ(b, WORD(WINDOW(n))) TH_LOG("round %d", i);
		ASSERT_EQ(a, WORD(WINDOW(n + PAGES / 2)));
		ASSERT_EQ(0, region_free(self->backing, n * page_size,
					 2 * page_size));
		ASSERT_EQ(0, WORD(WINDOW(n))) TH_LOG("round %d", i);
		WORD(WINDOW(n)) = b;
		ASSERT_EQ(b, WORD(HOST(n)));
		checker_release(&self->checker);
	}
	CHECK_END();
	checker_hold(&self->checker);
	ASSERT_EQ(0, region_revoke(self->backing));
	EXPECT_EQ(-SIGBUS, peek(WINDOW(0)));
	EXPECT_EQ(-SIGBUS, poke(WINDOW(PAGES - 1), 1));
	EXPECT_EQ(-EFAULT, gmap_fault(self->fd, GUEST, page_size, 0));
}

TEST_F(device, as_a_parent_fills_its_holes_through_the_window)
{
	NEED();
	ASSERT_EQ(0, region_free(self->backing, 0, LENGTH));
	ASSERT_EQ(0, region_pages(self->backing));
	EXPECT_EQ(0, WORD(WINDOW(0)));
	WORD(WINDOW(1)) = 11;
	EXPECT_EQ(11, WORD(HOST(1)));
	WORD(HOST(0)) = 12;
	EXPECT_EQ(12, WORD(WINDOW(0)));
	EXPECT_EQ(0, gmap_fault(self->fd, GUEST, LENGTH,
				MMEXT_GMAP_FAULT_WRITE));
	EXPECT_EQ(PAGES, region_pages(self->backing));
}

/* A window in a parent's memory is nothing of the parent's. */

FIXTURE(nested)
{
	const char *skip;
	int fd;
	char *host;
	char *window;
};

FIXTURE_SETUP(nested)
{
	self->skip = cannot_show(HOST_SHARED);
	self->fd = gmap_open();
	ASSERT_GE(self->fd, 0);
	self->host = host_alloc_shared(LENGTH);
	ASSERT_NE(NULL, self->host);
	number_pages(self->host, LENGTH);
	ASSERT_EQ(0, gmap_map(self->fd, self->host, GUEST, LENGTH));
	if (self->skip)
		return;
	self->window = region_map_aligned(self->fd, 4 * LENGTH, GUEST);
	ASSERT_NE(MAP_FAILED, self->window);
}

FIXTURE_TEARDOWN(nested)
{
	if (self->window)
		munmap(self->window, 4 * LENGTH);
	munmap(self->host, LENGTH);
	close(self->fd);
}

TEST_F(nested, window_as_a_parent_of_itself)
{
	NEED();
	/* of the same place, and of one that has something */
	ASSERT_EQ(0, gmap_map(self->fd, self->window + LENGTH, GUEST + LENGTH,
			      LENGTH));
	EXPECT_EQ(-SIGBUS, peek(self->window + LENGTH));
	EXPECT_EQ(-SIGBUS, poke(self->window + LENGTH, 1));
	EXPECT_EQ(-EFAULT, gmap_fault(self->fd, GUEST + LENGTH, page_size, 0));
	EXPECT_EQ(-EFAULT, gmap_fault(self->fd, GUEST + LENGTH, page_size,
				      MMEXT_GMAP_FAULT_WRITE));
	ASSERT_EQ(0, gmap_map(self->fd, self->window, GUEST + LENGTH, LENGTH));
	EXPECT_EQ(1, peek(self->window));
	EXPECT_EQ(-SIGBUS, peek(self->window + LENGTH));
	EXPECT_EQ(-SIGBUS, poke(self->window + LENGTH, 1));
	EXPECT_EQ(-EFAULT, gmap_fault(self->fd, GUEST + LENGTH, page_size, 0));
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

TEST_F(nested, window_as_a_parent_of_another)
{
	int other = gmap_open(), byte;
	char *window;

	NEED();
	ASSERT_GE(other, 0);
	ASSERT_EQ(0, gmap_map(other, self->window, 0, LENGTH));
	window = window_map(other, LENGTH, 0);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(1, peek(self->window));
	EXPECT_EQ(-SIGBUS, peek(window));
	EXPECT_EQ(-SIGBUS, poke(window, 1));
	EXPECT_EQ(-EFAULT, gmap_fault(other, 0, page_size, 0));
	EXPECT_EQ(-1, pread(other, &byte, 1, 0));
	EXPECT_EQ(-1, pwrite(other, &byte, 1, 0));
	/* each of the other */
	ASSERT_EQ(0, gmap_map(self->fd, window, GUEST + LENGTH, LENGTH));
	EXPECT_EQ(-SIGBUS, peek(self->window + LENGTH));
	EXPECT_EQ(-SIGBUS, peek(window));
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	munmap(window, LENGTH);
	close(other);
}

/* A space of the other process, on its window of this one's */
static long run_nest(int sock, void *arg)
{
	struct far *f = arg;
	int space;

	if (run_map_far(sock, arg))
		return -1;
	space = gmap_open();
	if (gmap_map(space, f->window, 0, LENGTH))
		return -2;
	if (peek(f->window) != 1)
		return -3;
	return send_fd(sock, space);
}

TEST_F(nested, window_as_a_parent_across_processes)
{
	struct far *f = shared_alloc(sizeof(*f));
	struct runner other;
	char *window;
	int space;

	NEED();
	ASSERT_EQ(0, runner_start(&other));
	f->fd = self->fd;
	ASSERT_EQ(0, runner_begin(&other, run_nest, f));
	space = recv_fd(other.sock);
	ASSERT_GE(space, 0);
	ASSERT_EQ(0, runner_end(&other));
	window = window_map(space, LENGTH, 0);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(-SIGBUS, peek(window));
	EXPECT_EQ(-EFAULT, gmap_fault(space, 0, page_size, 0));
	/* a circle of two processes */
	ASSERT_EQ(0, gmap_map(self->fd, window, GUEST + LENGTH, LENGTH));
	EXPECT_EQ(-SIGBUS, peek(self->window + LENGTH));
	EXPECT_EQ(-SIGBUS, peek(window));
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	munmap(window, LENGTH);
	close(space);
	EXPECT_EQ(0, runner_stop(&other));
}

/* Memory that a program brings: userfaultfd */

struct bringer {
	int fd;
	char *source;
	char *base;
	int end;
	unsigned long missing;
	unsigned long protected;
};

static void *bring_on(void *arg)
{
	struct bringer *b = arg;
	struct pollfd fds = { .fd = b->fd, .events = POLLIN };
	struct uffd_msg msg;
	__u64 addr;

	while (!load(&b->end)) {
		if (poll(&fds, 1, 20) != 1 ||
		    read(b->fd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		addr = msg.arg.pagefault.address & ~(__u64)(page_size - 1);
		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
			struct uffdio_writeprotect wp = {
				.range = { .start = addr, .len = page_size },
			};

			b->protected++;
			ioctl(b->fd, UFFDIO_WRITEPROTECT, &wp);
		} else {
			struct uffdio_copy copy = {
				.dst = addr,
				.src = to_u64(b->source),
				.len = page_size,
			};

			*(volatile __u32 *)b->source =
				(addr - to_u64(b->base)) / page_size + 1;
			b->missing++;
			ioctl(b->fd, UFFDIO_COPY, &copy);
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(window, userfaultfd_parent, 120)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { .start = to_u64(self->host), .len = LENGTH },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect wp = {
		.range = { .start = to_u64(self->host), .len = LENGTH },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	struct bringer b = { .base = self->host };
	pthread_t thread;
	bool protects;
	int i;

	NEED();
	if (self->kind == HOST_PRIVATE)
		SKIP(return, "not of such memory");
	b.source = host_alloc(page_size);
	b.fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	ASSERT_GE(b.fd, 0);
	ASSERT_EQ(0, ioctl(b.fd, UFFDIO_API, &api));
	protects = !ioctl(b.fd, UFFDIO_REGISTER, &reg);
	if (!protects) {
		/* not of every memory on every kernel */
		reg.mode = UFFDIO_REGISTER_MODE_MISSING;
		ASSERT_EQ(0, ioctl(b.fd, UFFDIO_REGISTER, &reg));
	}
	if (self->kind == HOST_SHARED) {
		ASSERT_EQ(0, fallocate(self->backing, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, 0, LENGTH));
	} else {
		ASSERT_EQ(0, madvise(self->host, LENGTH, MADV_DONTNEED));
	}
	ASSERT_EQ(0, pthread_create(&thread, NULL, bring_on, &b));
	/* each page is asked for, once, whoever is first */
	for (i = 0; i < 200; i++)
		ASSERT_EQ(i + 1, i & 1 ? WORD(HOST(i)) : WORD(WINDOW(i)));
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	EXPECT_LE(PAGES, b.missing);
	if (protects) {
		ASSERT_EQ(0, ioctl(b.fd, UFFDIO_WRITEPROTECT, &wp));
		EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
		ASSERT_EQ(0, b.protected);
		for (i = 0; i < 100; i++) {
			WORD(WINDOW(i) + 8) = i;
			ASSERT_EQ(i + 1, load(&b.protected));
		}
		/* again, under entries that stores went through */
		ASSERT_EQ(0, ioctl(b.fd, UFFDIO_WRITEPROTECT, &wp));
		for (i = 0; i < 100; i++)
			WORD(WINDOW(i) + 8) = i + 1;
		EXPECT_EQ(200, b.protected);
	}
	store(&b.end, 1);
	pthread_join(thread, NULL);
	printf("# %lu missing, %lu protected\n", b.missing, b.protected);
	close(b.fd);
	EXPECT_EQ(-1, window_differs(self->window, self->host, LENGTH));
}

/* KVM, where there is one */

#define KVM_CREATE_VM_		_IO(0xAE, 0x01)
#define KVM_RUN_SIZE_		_IO(0xAE, 0x04)
#define KVM_CREATE_VCPU_	_IO(0xAE, 0x41)
#define KVM_RUN_		_IO(0xAE, 0x80)

struct kvm_slot {
	__u32 slot;
	__u32 flags;
	__u64 guest;
	__u64 size;
	__u64 user;
};

#define KVM_SET_SLOT_		_IOW(0xAE, 0x46, struct kvm_slot)

TEST_F_TIMEOUT(window, kvm_on_a_window_is_refused, 120)
{
	struct kvm_slot slot = {
		/* with the address that a processor begins at */
		.guest = 0xfffff000,
		.size = page_size,
	};
	int kvm, vm, vcpu, ret;

	NEED();
	if (self->kind != HOST_SHARED)
		SKIP(return, "not of such memory");
	shell("modprobe -q kvm_amd; modprobe -q kvm_intel");
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		SKIP(return, "no KVM in this machine");
	/* hlt, at f000:fff0 */
	HOST(0)[0xff0] = 0xf4;
	EXPECT_EQ(0xf4, peek(self->window + 0xff0));
	vm = ioctl(kvm, KVM_CREATE_VM_, 0);
	ASSERT_GE(vm, 0);
	slot.user = to_u64(self->window);
	ASSERT_EQ(0, ioctl(vm, KVM_SET_SLOT_, &slot));
	vcpu = ioctl(vm, KVM_CREATE_VCPU_, 0);
	ASSERT_GE(vcpu, 0);
	ret = ioctl(vcpu, KVM_RUN_, 0);
	EXPECT_EQ(-1, ret);
	EXPECT_EQ(EFAULT, errno);
	close(vcpu);
	close(vm);
	close(kvm);
	EXPECT_EQ(2, WORD(WINDOW(1)));
}

TEST_HARNESS_MAIN
