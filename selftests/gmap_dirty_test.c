// SPDX-License-Identifier: GPL-2.0
/*
 * Which guest pages were stored to, and which were accessed.
 */
#include "mmext_gmap.h"

#define HOST_LENGTH	(4 * SEGMENT)
#define PAGES		(HOST_LENGTH / page_size)
#define GUEST		(16 * SEGMENT)

FIXTURE(log)
{
	int fd;
	char *host;
	char *window;
	bool windows;
	__u64 marks[HOST_LENGTH / 4096 / 64];
};

FIXTURE_SETUP(log)
{
	self->windows = have_windows();
	self->fd = gmap_open();
	ASSERT_GE(self->fd, 0);
	self->host = host_alloc_shared(HOST_LENGTH);
	ASSERT_NE(NULL, self->host);
	fill(self->host, HOST_LENGTH, 1);
	ASSERT_EQ(0, gmap_map(self->fd, self->host, GUEST, HOST_LENGTH));
	if (!self->windows)
		return;
	self->window = window_map(self->fd, HOST_LENGTH, GUEST);
	ASSERT_NE(MAP_FAILED, self->window);
}

FIXTURE_TEARDOWN(log)
{
	if (self->window)
		munmap(self->window, HOST_LENGTH);
	munmap(self->host, HOST_LENGTH);
	close(self->fd);
}

#define NEED()								\
do {									\
	if (!self->windows)						\
		SKIP(return, "no windows without a TLB backend");	\
} while (0)

#define HOST(n)		(self->host + (n) * page_size)
#define WINDOW(n)	(self->window + (n) * page_size)
#define GADDR(n)	(GUEST + (n) * page_size)

#define START(n, nr)	gmap_dirty(self->fd, GADDR(n), (nr) * page_size, \
				   MMEXT_DIRTY_START, NULL)
#define STOP(n, nr)	gmap_dirty(self->fd, GADDR(n), (nr) * page_size, \
				   MMEXT_DIRTY_STOP, NULL)

/* How many marks a bitmap has. */
static int count_marks(const __u64 *marks, size_t nr)
{
	size_t i;
	int count = 0;

	for (i = 0; i < nr / 64; i++)
		count += __builtin_popcountll(marks[i]);
	return count;
}

/* How many marks there are of all pages, in self->marks. */
static int get_marks(FIXTURE_DATA(log) *self, __u32 flags)
{
	int ret;

	memset(self->marks, 0xff, sizeof(self->marks));
	ret = gmap_dirty(self->fd, GUEST, HOST_LENGTH,
			 MMEXT_DIRTY_GET | flags, self->marks);
	return ret ? ret : count_marks(self->marks, PAGES);
}

#define GET()		get_marks(self, 0)
#define CLEAR()		get_marks(self, MMEXT_DIRTY_CLEAR)
#define MARKED(n)	(self->marks[(n) / 64] >> (n) % 64 & 1)

/* Dirty */

/* In another process: through a window of its own to the space's page 77. */
static long store_in_window(int sock __unused, void *fd)
{
	char *window = window_map(*(int *)fd, page_size, GADDR(77));

	return window == MAP_FAILED ? -ENOMEM : poke(window, 1);
}

TEST_F(log, marks_what_is_stored_to_through_a_window)
{
	NEED();
	ASSERT_EQ(0, START(0, PAGES));
	EXPECT_EQ(0, GET());
	EXPECT_EQ(0, poke(WINDOW(3), 1));
	EXPECT_EQ(0, poke(WINDOW(64), 1));
	EXPECT_EQ(0, poke(WINDOW(PAGES - 1), 1));
	EXPECT_EQ(3, GET());
	EXPECT_TRUE(MARKED(3));
	EXPECT_TRUE(MARKED(64));
	EXPECT_TRUE(MARKED(PAGES - 1));
	/* a load is none */
	EXPECT_EQ(6, peek(WINDOW(5)));
	EXPECT_EQ(3, GET());
}

TEST_F(log, starts_with_entries_that_can_be_stored_through)
{
	size_t i;

	NEED();
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(0, poke(WINDOW(i) + 8, 1));
	ASSERT_EQ(0, START(0, PAGES));
	EXPECT_EQ(0, GET());
	EXPECT_EQ(0, poke(WINDOW(7), 1));
	EXPECT_EQ(1, GET());
	EXPECT_TRUE(MARKED(7));
}

TEST_F(log, is_cleared_and_marked_again)
{
	int i;

	NEED();
	ASSERT_EQ(0, START(0, PAGES));
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(0, poke(WINDOW(i), i));
		EXPECT_EQ(0, poke(WINDOW(i), i + 1));
		EXPECT_EQ(0, poke(WINDOW(200), i + 1));
		EXPECT_EQ(2, GET());
		EXPECT_EQ(2, CLEAR());
		EXPECT_TRUE(MARKED(i));
		EXPECT_TRUE(MARKED(200));
		EXPECT_EQ(0, CLEAR());
	}
}

/* The entry tells, not a fault. */
TEST_F(log, store_to_a_clean_page_is_no_fault)
{
	__u64 faults;
	size_t i;

	NEED();
	ASSERT_EQ(0, START(0, PAGES));
	for (i = 0; i < 256; i++)
		EXPECT_EQ(0, poke(WINDOW(i), 1));
	EXPECT_EQ(256, CLEAR());
	faults = gmap_stat_of(self->fd, out_faults);
	for (i = 0; i < 256; i += 2)
		EXPECT_EQ(0, poke(WINDOW(i), 2));
	EXPECT_EQ(faults, gmap_stat_of(self->fd, out_faults));
	EXPECT_EQ(128, CLEAR());
	EXPECT_TRUE(MARKED(254));
	EXPECT_FALSE(MARKED(255));
}

/* Two windows, one beside the other's table, and one of a process that has ended. */
TEST_F(log, is_of_every_window)
{
	struct runner r;
	char *other;

	NEED();
	ASSERT_EQ(0, START(0, PAGES));
	other = window_map(self->fd, HOST_LENGTH - page_size, GADDR(1));
	ASSERT_NE(MAP_FAILED, other);
	EXPECT_EQ(0, poke(WINDOW(9), 1));
	EXPECT_EQ(0, poke(other, 1));
	EXPECT_EQ(0, poke(other + (PAGES - 2) * page_size, 1));
	EXPECT_EQ(3, CLEAR());
	EXPECT_TRUE(MARKED(1));
	EXPECT_TRUE(MARKED(9));
	EXPECT_TRUE(MARKED(PAGES - 1));
	EXPECT_EQ(0, poke(other, 2));
	EXPECT_EQ(0, poke(WINDOW(1), 3));
	EXPECT_EQ(0, munmap(other, HOST_LENGTH - page_size));
	EXPECT_EQ(1, CLEAR());
	EXPECT_TRUE(MARKED(1));

	ASSERT_EQ(0, runner_start(&r));
	EXPECT_EQ(0, runner_do(&r, store_in_window, &self->fd));
	EXPECT_EQ(0, runner_stop(&r));
	EXPECT_EQ(1, CLEAR());
	EXPECT_TRUE(MARKED(77));
}

/* What takes the right to store leaves the mark. */
TEST_F(log, has_what_was_stored_before_it_is_protected)
{
	NEED();
	ASSERT_EQ(0, START(0, PAGES));
	EXPECT_EQ(0, poke(WINDOW(3), 1));
	EXPECT_EQ(0, poke(WINDOW(4), 1));
	CLEAR();
	EXPECT_EQ(0, poke(WINDOW(3), 2));
	EXPECT_EQ(0, gmap_protect(self->fd, GADDR(3), 2 * page_size,
				  MMEXT_GMAP_PROTECT_READ));
	EXPECT_EQ(1, CLEAR());
	EXPECT_TRUE(MARKED(3));
	EXPECT_EQ(0, poke(WINDOW(4), 2));
	EXPECT_EQ(1, CLEAR());
	EXPECT_TRUE(MARKED(4));
}

TEST_F(log, does_not_have_what_the_parent_stores_itself)
{
	NEED();
	ASSERT_EQ(0, START(0, PAGES));
	*HOST(3) = 9;
	EXPECT_EQ(9, peek(WINDOW(3)));
	EXPECT_EQ(0, GET());
	EXPECT_EQ(0, poke(WINDOW(3), 8));
	EXPECT_EQ(1, GET());
}

TEST_F(log, marks_what_write_and_fault_and_notify_do)
{
	char byte = 1;

	ASSERT_EQ(0, START(0, PAGES));
	EXPECT_EQ(1, pread(self->fd, &byte, 1, GADDR(1)));
	EXPECT_EQ(0, gmap_fault(self->fd, GADDR(1), page_size, 0));
	EXPECT_EQ(0, GET());
	EXPECT_EQ(1, pwrite(self->fd, &byte, 1, GADDR(2) + 5));
	EXPECT_EQ(1, GET());
	EXPECT_TRUE(MARKED(2));
	EXPECT_EQ(0, gmap_fault(self->fd, GADDR(4), 2 * page_size,
				MMEXT_GMAP_FAULT_WRITE));
	EXPECT_EQ(3, GET());
	EXPECT_TRUE(MARKED(4));
	EXPECT_TRUE(MARKED(5));
	EXPECT_EQ(0, gmap_notify(self->fd, GADDR(8), page_size, 0));
	EXPECT_EQ(4, GET());
	EXPECT_TRUE(MARKED(8));
	EXPECT_EQ(0, gmap_notify(self->fd, GADDR(9), page_size,
				 MMEXT_GMAP_NOTIFY_READ));
	EXPECT_EQ(4, CLEAR());
	EXPECT_EQ(0, GET());
	/* over a boundary of pages */
	EXPECT_EQ(2, pwrite(self->fd, "ab", 2, GADDR(20) - 1));
	EXPECT_EQ(2, GET());
	EXPECT_TRUE(MARKED(19));
	EXPECT_TRUE(MARKED(20));
}

TEST_F(log, marks_what_a_debugger_stores)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char byte = 1;

	NEED();
	ASSERT_GE(mem, 0);
	ASSERT_EQ(0, START(0, PAGES));
	EXPECT_EQ(1, pread(mem, &byte, 1, to_u64(WINDOW(6))));
	EXPECT_EQ(0, GET());
	EXPECT_EQ(1, pwrite(mem, &byte, 1, to_u64(WINDOW(7))));
	EXPECT_EQ(1, GET());
	EXPECT_TRUE(MARKED(7));
	close(mem);
}

TEST_F(log, is_of_tracked_pages_alone)
{
	size_t i;

	NEED();
	ASSERT_EQ(0, START(64, 64));
	ASSERT_EQ(0, START(100, 100));
	for (i = 0; i < 256; i++)
		EXPECT_EQ(0, poke(WINDOW(i), 1));
	EXPECT_EQ(136, GET());
	EXPECT_FALSE(MARKED(63));
	EXPECT_TRUE(MARKED(64));
	EXPECT_TRUE(MARKED(199));
	EXPECT_FALSE(MARKED(200));
	ASSERT_EQ(0, STOP(64, 64));
	EXPECT_EQ(72, GET());
	EXPECT_FALSE(MARKED(127));
	for (i = 0; i < 256; i++)
		EXPECT_EQ(0, poke(WINDOW(i), 2));
	EXPECT_EQ(72, GET());
	ASSERT_EQ(0, STOP(0, PAGES));
	EXPECT_EQ(0, GET());
}

/* What a store maps around it can be stored to as well, but for what is tracked. */
TEST_F(log, store_beside_tracked_pages_leaves_them_clean)
{
	size_t i;

	NEED();
	for (i = 1; i < 64; i += 2)
		ASSERT_EQ(0, START(i, 1));
	for (i = 0; i < 64; i += 8)
		EXPECT_EQ(0, poke(WINDOW(i), 1));
	EXPECT_EQ(0, GET());
	for (i = 0; i < 64; i++)
		EXPECT_EQ(0, poke(WINDOW(i), 2));
	EXPECT_EQ(32, GET());
	EXPECT_FALSE(MARKED(2));
	EXPECT_TRUE(MARKED(3));
	/* with its own mark, it may come along */
	EXPECT_EQ(32, CLEAR());
	for (i = 0; i < 64; i++)
		EXPECT_EQ(0, poke(WINDOW(i), 3));
	EXPECT_EQ(32, GET());
}

/* What is shown already, and watched, is stored to only where the parent may. */
TEST_F(log, store_over_a_read_only_parent_is_sigsegv)
{
	NEED();
	ASSERT_EQ(0, START(0, PAGES));
	ASSERT_EQ(0, mprotect(HOST(3), page_size, PROT_READ));
	EXPECT_EQ(4, peek(WINDOW(3)));
	EXPECT_EQ(-SIGSEGV, poke(WINDOW(3), 1));
	EXPECT_EQ(4, peek(WINDOW(3)));
	ASSERT_EQ(0, mprotect(HOST(3), page_size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(4, peek(WINDOW(3)));
	CLEAR();
	EXPECT_EQ(0, poke(WINDOW(3), 1));
	EXPECT_EQ(1, *HOST(3));
	EXPECT_EQ(1, GET());
	EXPECT_TRUE(MARKED(3));
}

/* It is the guest page that is marked, and not what is mapped there. */
TEST_F(log, is_of_the_guest_page)
{
	char *other;

	NEED();
	ASSERT_EQ(0, gmap_map(self->fd, self->host, 0, SEGMENT));
	ASSERT_EQ(0, START(0, PAGES));
	other = window_map(self->fd, SEGMENT, 0);
	ASSERT_NE(MAP_FAILED, other);
	EXPECT_EQ(0, poke(other, 7));
	EXPECT_EQ(7, peek(WINDOW(0)));
	EXPECT_EQ(0, GET());
	/* before anything is mapped there */
	ASSERT_EQ(0, gmap_unmap(self->fd, GUEST, SEGMENT));
	EXPECT_EQ(-SIGBUS, poke(WINDOW(1), 1));
	ASSERT_EQ(0, gmap_map(self->fd, self->host, GUEST, SEGMENT));
	CLEAR();
	EXPECT_EQ(0, poke(WINDOW(1), 1));
	EXPECT_EQ(1, GET());
	EXPECT_TRUE(MARKED(1));
	munmap(other, SEGMENT);
}

TEST_F(log, loses_no_mark_by_what_the_parent_or_the_window_does)
{
	NEED();
	ASSERT_EQ(0, START(0, PAGES));
	EXPECT_EQ(0, poke(WINDOW(0), 1));
	EXPECT_EQ(0, poke(WINDOW(1), 1));
	EXPECT_EQ(0, madvise(self->host, HOST_LENGTH, MADV_DONTNEED));
	EXPECT_EQ(0, madvise(self->window, HOST_LENGTH, MADV_DONTNEED));
	EXPECT_EQ(0, mprotect(HOST(0), page_size, PROT_READ));
	EXPECT_EQ(0, munmap(HOST(1), page_size));
	EXPECT_EQ(0, munmap(self->window, HOST_LENGTH));
	self->window = NULL;
	EXPECT_EQ(2, CLEAR());
	EXPECT_TRUE(MARKED(0));
	EXPECT_TRUE(MARKED(1));
}

TEST_F(log, gives_runs)
{
	struct mmext_run runs[8];
	struct mmext_dirty arg = {
		.size = sizeof(arg),
		.flags = MMEXT_DIRTY_GET | MMEXT_DIRTY_RUNS | MMEXT_DIRTY_CLEAR,
		.offset = GUEST,
		.length = HOST_LENGTH,
		.marks = to_u64(runs),
		.nr = 8,
	};
	size_t i;

	NEED();
	ASSERT_EQ(0, START(0, PAGES));
	for (i = 10; i < 20; i++)
		EXPECT_EQ(0, poke(WINDOW(i), 1));
	EXPECT_EQ(0, poke(WINDOW(30), 1));
	ASSERT_EQ(0, call(self->fd, MMEXT_GMAP_DIRTY, &arg));
	EXPECT_EQ(0, arg.length);
	EXPECT_EQ(6, arg.nr);
	EXPECT_EQ(to_u64(runs + 2), arg.marks);
	EXPECT_EQ(GADDR(10), runs[0].offset);
	EXPECT_EQ(10 * page_size, runs[0].length);
	EXPECT_EQ(GADDR(30), runs[1].offset);
	EXPECT_EQ(page_size, runs[1].length);
	EXPECT_EQ(0, GET());
	/* and stops where there is no room */
	for (i = 0; i < 20; i += 2)
		EXPECT_EQ(0, poke(WINDOW(i), 1));
	arg.offset = GUEST;
	arg.length = HOST_LENGTH;
	arg.marks = to_u64(runs);
	arg.nr = 4;
	ASSERT_EQ(0, call(self->fd, MMEXT_GMAP_DIRTY, &arg));
	EXPECT_LT(0, arg.length);
	EXPECT_EQ(0, arg.nr);
	EXPECT_EQ(GADDR(6), runs[3].offset);
	EXPECT_EQ(6, GET());
}

TEST_F(log, arguments_are_checked)
{
	__u64 page = page_size;

	EXPECT_EQ(-EINVAL, gmap_dirty(self->fd, GUEST, SEGMENT, 0, NULL));
	EXPECT_EQ(-EINVAL, gmap_dirty(self->fd, GUEST, SEGMENT,
				      MMEXT_DIRTY_START | MMEXT_DIRTY_STOP,
				      NULL));
	EXPECT_EQ(-EINVAL, gmap_dirty(self->fd, GUEST, SEGMENT,
				      MMEXT_DIRTY_START | MMEXT_DIRTY_CLEAR,
				      NULL));
	EXPECT_EQ(-EINVAL, gmap_dirty(self->fd, GUEST + 1, page,
				      MMEXT_DIRTY_START, NULL));
	EXPECT_EQ(-EINVAL, gmap_dirty(self->fd, GUEST, page + 1,
				      MMEXT_DIRTY_START, NULL));
	EXPECT_EQ(-EINVAL, gmap_dirty(self->fd, GUEST + page, SEGMENT,
				      MMEXT_DIRTY_GET, self->marks));
	EXPECT_EQ(-EINVAL, gmap_dirty(self->fd, LIMIT + 1, page,
				      MMEXT_DIRTY_START, NULL));
	EXPECT_EQ(-EOVERFLOW, gmap_dirty(self->fd, -page, 2 * page,
					 MMEXT_DIRTY_START, NULL));
	EXPECT_EQ(0, gmap_dirty(self->fd, GUEST, 0, MMEXT_DIRTY_START, NULL));
	ASSERT_EQ(0, START(0, 64));
	EXPECT_EQ(-EFAULT, gmap_dirty(self->fd, GUEST, SEGMENT,
				      MMEXT_DIRTY_GET, NULL));
}

TEST_F(log, marks_stay_if_they_can_not_be_written)
{
	char byte = 1;

	ASSERT_EQ(0, START(0, PAGES));
	EXPECT_EQ(1, pwrite(self->fd, &byte, 1, GADDR(2)));
	EXPECT_EQ(-EFAULT, gmap_dirty(self->fd, GUEST, HOST_LENGTH,
				      MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR,
				      (void *)8));
	EXPECT_EQ(1, GET());
}

/* A harvest while there are stores: what it does not have the next one has. */
struct writer {
	volatile __u32 *window;
	size_t nr;
	int end;
	unsigned long stores;
};

static void *write_on(void *arg)
{
	struct writer *w = arg;
	__u32 value = 1;
	size_t i;

	pin(1);
	while (!load(&w->end)) {
		for (i = 0; i < w->nr; i++) {
			w->window[WORDS(i)] = value;
			store(&w->stores, w->stores + 1);
		}
		value++;
	}
	return NULL;
}

TEST_F_TIMEOUT(log, loses_no_store_of_a_writer, 120)
{
	struct rounds rounds = gmap_rounds(500);
	struct writer w = { .nr = 128 };
	__u32 copy[128];
	pthread_t thread;
	size_t n;
	int i;

	NEED();
	w.window = (volatile __u32 *)self->window;
	ASSERT_EQ(0, START(0, PAGES));
	for (n = 0; n < 128; n++) {
		w.window[WORDS(n)] = 0;
		copy[n] = 0;
	}
	CLEAR();
	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_on, &w));
	/* a copy that is kept by the log alone */
	for (i = 0; rounds_until(&rounds, i, load(&w.stores) >= 1000); i++) {
		ASSERT_LE(0, CLEAR());
		for (n = 0; n < 128; n++)
			if (MARKED(n))
				copy[n] = *(volatile __u32 *)HOST(n);
		if (i % 3 == 0)
			madvise(self->host, SEGMENT, MADV_DONTNEED);
	}
	store(&w.end, 1);
	pthread_join(thread, NULL);
	EXPECT_LE(1000, w.stores);
	ASSERT_LE(0, CLEAR());
	for (n = 0; n < 128; n++) {
		if (MARKED(n))
			copy[n] = *(volatile __u32 *)HOST(n);
		EXPECT_EQ(*(volatile __u32 *)HOST(n), copy[n])
			TH_LOG("page %zu", n);
	}
	printf("# %lu stores, %d harvests\n", w.stores, i);
}

/*
 * A store to what a window shows already looks at the parent's entry without a look for
 * its VMA, while munmap(2) frees the tables above: one MiB, alone in its GiB.
 */
struct storer {
	char *window;
	int end;
	int other;
	unsigned long stores;
	unsigned long holes;
};

static void *store_on(void *arg)
{
	struct storer *s = arg;
	int ret, i;

	pin(1);
	for (i = 0; !load(&s->end); i++) {
		/* what a load finds is mapped around it, read-only */
		peek(s->window + i % 8 * page_size);
		ret = poke(s->window + i % 8 * page_size, i);
		if (!ret)
			store(&s->stores, s->stores + 1);
		else if (ret == -SIGBUS)
			store(&s->holes, s->holes + 1);
		else
			s->other = ret;
	}
	return NULL;
}

TEST_F_TIMEOUT(log, store_while_the_parent_frees_its_tables, 120)
{
	struct rounds rounds = gmap_rounds(2000);
	struct storer s = { 0 };
	pthread_t thread;
	char *area, *host;
	int memfd, i;

	NEED();
	if (sizeof(long) < 8)
		SKIP(return, "no address space for it");
	area = mmap(NULL, 3 * GIB, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	host = area + GIB - (to_u64(area) & (GIB - 1));
	s.window = window_map(self->fd, SEGMENT, 0);
	ASSERT_NE(MAP_FAILED, s.window);
	memfd = syscall(SYS_memfd_create, "host", 0);
	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ftruncate(memfd, SEGMENT));
	ASSERT_EQ(0, pthread_create(&thread, NULL, store_on, &s));
	/* what was mapped in between is neither below nor above */
	ASSERT_EQ(0, munmap(area, 3 * GIB));
	ASSERT_EQ(0, gmap_map(self->fd, host, 0, SEGMENT));
	ASSERT_EQ(0, gmap_dirty(self->fd, 0, SEGMENT, MMEXT_DIRTY_START, NULL));

	pin(0);
	for (i = 0; rounds_until(&rounds, i, load(&s.stores) && load(&s.holes));
	     i++) {
		ASSERT_EQ(host, mmap(host, SEGMENT, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_FIXED, memfd, 0));
		memset(host, i, 8 * page_size);
		if (i % 4)
			sched_yield();
		ASSERT_EQ(0, munmap(host, SEGMENT));
	}
	store(&s.end, 1);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, s.other);
	EXPECT_LT(0, s.holes);
	printf("# %lu stores, %lu found nothing, %d times\n", s.stores, s.holes,
	       i);
	/* what was stored is marked, and nothing beside it */
	ASSERT_EQ(0, gmap_dirty(self->fd, 0, SEGMENT, MMEXT_DIRTY_GET,
				self->marks));
	EXPECT_LE(1, count_marks(self->marks, 64));
	EXPECT_EQ(0, self->marks[0] & ~0xffULL);
	close(memfd);
	munmap(s.window, SEGMENT);
}

/* Age */

#define AGE()								\
({									\
	int __ret;							\
									\
	memset(self->marks, 0xff, sizeof(self->marks));			\
	__ret = gmap_age(self->fd, GUEST, HOST_LENGTH, self->marks);	\
	__ret ? __ret : count_marks(self->marks, PAGES);		\
})

TEST_F(log, age_has_what_was_accessed_since)
{
	NEED();
	AGE();
	EXPECT_EQ(0, AGE());
	EXPECT_EQ(4, peek(WINDOW(3)));
	EXPECT_EQ(0, poke(WINDOW(100), 1));
	/* others may have come with them, but are not accessed */
	EXPECT_LE(2, AGE());
	EXPECT_TRUE(MARKED(3));
	EXPECT_TRUE(MARKED(100));
	EXPECT_EQ(0, AGE());
	/* with the entry there */
	EXPECT_EQ(4, peek(WINDOW(3)));
	EXPECT_EQ(1, AGE());
	EXPECT_TRUE(MARKED(3));
	EXPECT_EQ(1, peek(WINDOW(100)));
	EXPECT_EQ(1, AGE());
	EXPECT_TRUE(MARKED(100));
	/* not by the parent itself */
	EXPECT_EQ(4, *HOST(3));
	EXPECT_EQ(0, AGE());
}

TEST_F(log, age_takes_no_byte_and_no_mark)
{
	size_t i;

	NEED();
	ASSERT_EQ(0, START(0, PAGES));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(0, poke(WINDOW(i), 50 + i));
	AGE();
	EXPECT_EQ(64, GET());
	for (i = 0; i < 64; i++)
		EXPECT_EQ(50 + (int)i, peek(WINDOW(i)));
	EXPECT_LE(64, AGE());
	EXPECT_EQ(64, CLEAR());
}

TEST_F(log, age_of_a_range_leaves_the_others)
{
	__u64 marks[4];

	NEED();
	AGE();
	EXPECT_EQ(1, peek(WINDOW(0)));
	EXPECT_EQ((__u8)65, peek(WINDOW(64)));
	EXPECT_EQ(0, gmap_age(self->fd, GADDR(64), 64 * page_size, marks));
	EXPECT_TRUE(marks[0] & 1);
	EXPECT_EQ(0, gmap_age(self->fd, GADDR(64), 64 * page_size, marks));
	EXPECT_EQ(0, marks[0]);
	EXPECT_EQ(0, gmap_age(self->fd, GADDR(0), 3 * page_size, marks));
	EXPECT_EQ(1, marks[0] & 1);
	EXPECT_EQ(0, marks[0] & ~7ULL);
}

TEST_F(log, age_arguments_are_checked)
{
	__u64 marks[8];

	EXPECT_EQ(-EINVAL, gmap_age(self->fd, GUEST + page_size,
				    64 * page_size, marks));
	EXPECT_EQ(-EINVAL, gmap_age(self->fd, GUEST + 1, page_size, marks));
	EXPECT_EQ(-EINVAL, gmap_age(self->fd, GUEST, 1, marks));
	EXPECT_EQ(-EINVAL, gmap_age(self->fd, LIMIT + 1, page_size, marks));
	EXPECT_EQ(-EOVERFLOW, gmap_age(self->fd, GUEST, -page_size, marks));
	EXPECT_EQ(-EFAULT, gmap_age(self->fd, GUEST, page_size, NULL));
	EXPECT_EQ(0, gmap_age(self->fd, GUEST, 0, NULL));
	EXPECT_EQ(0, gmap_age(self->fd, 0, 64 * page_size, marks));
	EXPECT_EQ(0, marks[0]);
}

TEST_HARNESS_MAIN
