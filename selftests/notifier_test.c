// SPDX-License-Identifier: GPL-2.0
/*
 * An address space with an MMU notifier: whoever mirrors its page tables is
 * told of every entry that goes, before the page does.
 */
#include "mmext_selftest.h"
#include "modules/mmext_test_notifier.h"

#define NR_PAGES	16

FIXTURE(notifier)
{
	int fd;
	int watch;
	size_t length;
	char *addr;
	/* forked before: has no notifier */
	struct peer peer;
};

static int watch_range(int watch, char *addr, size_t length)
{
	struct mmext_test_notifier arg = {
		.start = (uintptr_t)addr,
		.end = (uintptr_t)addr + length,
	};

	return call(watch, MMEXT_TEST_NOTIFIER_WATCH, &arg);
}

/* How many of the range's pages it was told of since it was last asked. */
static int pages_told(int watch)
{
	struct mmext_test_notifier arg;

	if (call(watch, MMEXT_TEST_NOTIFIER_COUNTS, &arg))
		return -1;
	return arg.out_starts == arg.out_ends ? (int)arg.out_pages : -2;
}

BACKINGS(notifier);

FIXTURE_SETUP(notifier)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, peer_start(&self->peer));
	EXPECT_EQ(1, peer_peek(&self->peer, self->addr));
	self->watch = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->watch, 0);
	ASSERT_EQ(0, watch_range(self->watch, self->addr, self->length));
	ASSERT_EQ(0, pages_told(self->watch));
}

FIXTURE_TEARDOWN(notifier)
{
	EXPECT_EQ(0, peer_stop(&self->peer));
	close(self->watch);
	munmap(self->addr, self->length);
	close(self->fd);
}

#define PAGE(n)	(self->addr + (n) * page_size)

TEST_F(notifier, is_told_of_an_unmap)
{
	ASSERT_EQ(0, region_unmap(self->fd, 2 * page_size, 3 * page_size, 0));
	EXPECT_EQ(3, pages_told(self->watch));
	EXPECT_EQ(0, entries_present(self->fd, PAGE(2), 3 * page_size));
	EXPECT_EQ(NR_PAGES - 3, entries_present(self->fd, self->addr,
						self->length));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
}

TEST_F(notifier, is_told_of_a_free)
{
	ASSERT_EQ(0, region_free(self->fd, 2 * page_size, 3 * page_size));
	EXPECT_EQ(3, pages_told(self->watch));
	EXPECT_TRUE(all_bytes(PAGE(2), 3 * page_size, 0));
	EXPECT_EQ(0, peer_peek(&self->peer, PAGE(2)));
}

TEST_F(notifier, is_told_of_an_exchange)
{
	ASSERT_EQ(0, region_exchange(self->fd, 0, 8 * page_size,
				     2 * page_size));
	EXPECT_EQ(4, pages_told(self->watch));
	EXPECT_EQ(9, *PAGE(0));
	EXPECT_EQ(10, *PAGE(1));
	EXPECT_EQ(1, *PAGE(8));
	EXPECT_EQ(9, peer_peek(&self->peer, PAGE(0)));
	EXPECT_EQ(2, peer_peek(&self->peer, PAGE(9)));
}

TEST_F(notifier, is_told_of_an_alias)
{
	ASSERT_EQ(0, region_alias(self->fd, 0, 8 * page_size, page_size));
	EXPECT_EQ(1, pages_told(self->watch));
	EXPECT_EQ(1, *PAGE(8));
	EXPECT_EQ(1, peer_peek(&self->peer, PAGE(8)));
}

TEST_F(notifier, is_told_of_a_zap)
{
	ASSERT_EQ(0, region_zap(self->fd, PAGE(2), 3 * page_size));
	EXPECT_EQ(3, pages_told(self->watch));
	EXPECT_EQ(0, entries_present(self->fd, PAGE(2), 3 * page_size));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
}

TEST_F(notifier, is_told_of_a_zap_of_a_span)
{
	/* two VMAs with a hole between */
	ASSERT_EQ(0, munmap(PAGE(4), page_size));
	ASSERT_NE(-1, pages_told(self->watch));
	EXPECT_EQ(0, region_zap_span(self->fd, PAGE(2), 5 * page_size));
	EXPECT_EQ(4, pages_told(self->watch));
	EXPECT_EQ(0, entries_present(self->fd, PAGE(2), 2 * page_size));
	EXPECT_EQ(0, entries_present(self->fd, PAGE(5), 2 * page_size));
	EXPECT_EQ(-1, filled_not(PAGE(5), 11 * page_size, 6));
}

TEST_F(notifier, is_told_of_a_protect)
{
	ASSERT_EQ(0, region_protect(self->fd, 2 * page_size, 3 * page_size,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(3, pages_told(self->watch));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(2), 9));
	EXPECT_EQ(-SIGSEGV, peer_poke(&self->peer, PAGE(2), 9));
	EXPECT_EQ(3, *PAGE(2));
}

TEST_F(notifier, is_told_of_a_revoke)
{
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(NR_PAGES, pages_told(self->watch));
	EXPECT_EQ(-SIGBUS, peek(PAGE(0)));
	EXPECT_EQ(-SIGBUS, peer_peek(&self->peer, PAGE(0)));
}

TEST_F(notifier, is_told_of_entries_in_two_tables)
{
	size_t length = 16 * page_size;
	char *addr = region_map_aligned(self->fd, 2 * TABLE, 0);
	int watch = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);
	size_t from = TABLE - length / 2;

	ASSERT_GE(watch, 0);
	ASSERT_NE(MAP_FAILED, addr);
	fill(addr + from, length, 1);
	ASSERT_EQ(0, watch_range(watch, addr + from, length));
	ASSERT_EQ(0, region_unmap(self->fd, from, length, 0));
	EXPECT_EQ(16, pages_told(watch));
	EXPECT_EQ(0, entries_present(self->fd, addr + from, length));
	close(watch);
	munmap(addr, 2 * TABLE);
}

TEST_F(notifier, every_one_of_several_is_told)
{
	int watch = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);

	ASSERT_GE(watch, 0);
	ASSERT_EQ(0, watch_range(watch, self->addr, self->length));
	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	EXPECT_EQ(2, pages_told(self->watch));
	EXPECT_EQ(2, pages_told(watch));
	close(watch);
	/* one goes, the other stays */
	ASSERT_EQ(0, region_exchange(self->fd, 0, page_size, page_size));
	EXPECT_EQ(2, pages_told(self->watch));
}

TEST_F(notifier, every_mapping_of_the_process_is_told_of)
{
	char *other = region_map(self->fd, self->length, 0);
	int watch = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);

	ASSERT_NE(MAP_FAILED, other);
	ASSERT_GE(watch, 0);
	fill(other, self->length, 1);
	ASSERT_EQ(0, watch_range(watch, other, self->length));
	ASSERT_EQ(0, region_unmap(self->fd, page_size, page_size, 0));
	EXPECT_EQ(1, pages_told(self->watch));
	EXPECT_EQ(1, pages_told(watch));
	EXPECT_FALSE(entry_present(self->fd, PAGE(1)));
	EXPECT_FALSE(entry_present(self->fd, other + page_size));
	close(watch);
	munmap(other, self->length);
}

/* The work of the kernel, that is, and not of the engine. */
TEST_F(notifier, work_is_handed_to_the_kernel)
{
	long long delegated = region_stat(self->fd, "delegated");

	ASSERT_EQ(0, region_unmap(self->fd, 0, page_size, 0));
	EXPECT_LT(delegated, region_stat(self->fd, "delegated"));
	delegated = region_stat(self->fd, "delegated");
	ASSERT_EQ(0, region_zap(self->fd, PAGE(1), page_size));
	EXPECT_LT(delegated, region_stat(self->fd, "delegated"));
}

TEST_F(notifier, process_without_one_loses_its_entries_all_the_same)
{
	ASSERT_LT(0, peer_entry(&self->peer, self->fd, PAGE(0)));
	ASSERT_EQ(0, region_unmap(self->fd, 0, self->length, 0));
	EXPECT_EQ(0, peer_entry(&self->peer, self->fd, PAGE(0)));
	EXPECT_EQ(0, entries_present(self->fd, self->addr, self->length));
	EXPECT_EQ(NR_PAGES, pages_told(self->watch));
}

TEST_F(notifier, gone_again_leaves_the_work_to_the_engine)
{
	struct mmext_info info;
	long long cleared;

	close(self->watch);
	self->watch = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, region_info(self->fd, &info));
	cleared = region_stat(self->fd, "cleared");
	ASSERT_EQ(0, region_unmap(self->fd, 0, self->length, 0));
	EXPECT_EQ(0, entries_present(self->fd, self->addr, self->length));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	EXPECT_TRUE(info.out_tlb == MMEXT_TLB_KERNEL ||
		    region_stat(self->fd, "cleared") >= cleared + NR_PAGES);
}

/* The same as stale_test, where the kernel does the flush. */
struct spinner {
	volatile __u8 *addr;
	int epoch;
	int expected;
	int ack;
	int running;
	int end;
	int stale;
};

static void *spinning_reader(void *arg)
{
	struct spinner *s = arg;
	int epoch, seen = 0;

	pin(1);
	while (!load(&s->end)) {
		epoch = load(&s->epoch);
		if (epoch == seen) {
			(void)*s->addr;
			store(&s->running, 1);
			continue;
		}
		if (*s->addr != load(&s->expected))
			s->stale++;
		seen = epoch;
		store(&s->ack, seen);
	}
	return NULL;
}

TEST_F_TIMEOUT(notifier, no_stale_byte_is_seen, 120)
{
	struct rounds rounds = rounds_begin(500);
	struct spinner s = { .addr = (volatile __u8 *)self->addr };
	pthread_t thread;
	int i;

	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, spinning_reader, &s));
	wait_for(&s.running, 1);
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(0, region_exchange(self->fd, 0, page_size,
					     page_size));
		store(&s.expected, i & 1 ? 1 : 2);
		store(&s.epoch, i + 1);
		wait_for(&s.ack, i + 1);
		ASSERT_EQ(0, s.stale) TH_LOG("round %d", i);
	}
	store(&s.end, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
}

/* Notifiers come and go while the entries do. */
static void *come_and_go(void *arg)
{
	struct spinner *s = arg;
	int watch;

	pin(1);
	while (!load(&s->end)) {
		watch = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);
		if (watch < 0 ||
		    watch_range(watch, (char *)s->addr, page_size))
			s->stale++;
		store(&s->running, 1);
		close(watch);
	}
	return NULL;
}

TEST_F_TIMEOUT(notifier, may_come_and_go_at_any_time, 120)
{
	struct rounds rounds = rounds_begin(500);
	struct spinner s = { .addr = (volatile __u8 *)self->addr };
	pthread_t thread;
	int i;

	close(self->watch);
	self->watch = -1;
	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, come_and_go, &s));
	wait_for(&s.running, 1);
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(0, region_exchange(self->fd, 0, page_size,
					     page_size));
		ASSERT_EQ(i & 1 ? 1 : 2, *PAGE(0)) TH_LOG("round %d", i);
		ASSERT_EQ(i & 1 ? 2 : 1, *PAGE(1));
	}
	store(&s.end, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s.stale);
}

/* The dirty log: the kernel clears the entries that the engine would protect. */

#define MARKS	64UL
#define BIT(n)	(1ULL << (n))

static __u64 harvest(int fd)
{
	__u64 marks = ~0ULL;
	int ret = dirty_call(fd, MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR, 0,
			     MARKS * page_size, &marks, 0);

	return ret ? ~0ULL : marks;
}

TEST_F(notifier, is_told_of_pages_that_are_tracked)
{
	int watch = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);

	ASSERT_GE(watch, 0);
	ASSERT_EQ(0, watch_range(watch, PAGE(2), 3 * page_size));
	ASSERT_EQ(0, dirty_start(self->fd, 2 * page_size, 3 * page_size));
	EXPECT_EQ(3, pages_told(watch));
	/* all that are behind them keep their entries */
	EXPECT_EQ(NR_PAGES - 5, entries_present(self->fd, PAGE(5),
						(NR_PAGES - 5) * page_size));
	EXPECT_EQ(0, harvest(self->fd));
	EXPECT_EQ(0, pages_told(watch));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	/* what is tracked already is not asked for twice */
	ASSERT_EQ(0, dirty_start(self->fd, 2 * page_size, 3 * page_size));
	EXPECT_EQ(0, pages_told(watch));
	close(watch);
}

TEST_F(notifier, is_told_of_pages_whose_marks_are_cleared)
{
	int watch = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);
	__u64 marks;

	ASSERT_GE(watch, 0);
	ASSERT_EQ(0, watch_range(watch, PAGE(9), page_size));
	ASSERT_EQ(0, dirty_start(self->fd, 0, MARKS * page_size));
	EXPECT_EQ(1, pages_told(watch));
	EXPECT_EQ(0, poke(PAGE(2), 77));
	EXPECT_EQ(0, poke(PAGE(9), 78));
	EXPECT_EQ(0, peer_poke(&self->peer, PAGE(11), 79));
	/* to look tells nobody */
	ASSERT_EQ(0, dirty_call(self->fd, MMEXT_DIRTY_GET, 0, MARKS * page_size,
				&marks, 0));
	EXPECT_EQ(BIT(2) | BIT(9) | BIT(11), marks);
	EXPECT_EQ(0, pages_told(watch));
	EXPECT_EQ(BIT(2) | BIT(9) | BIT(11), harvest(self->fd));
	EXPECT_EQ(1, pages_told(watch));
	/* and the next stores are marked anew, whoever makes them */
	EXPECT_EQ(0, poke(PAGE(9), 80));
	EXPECT_EQ(0, peer_poke(&self->peer, PAGE(2), 81));
	EXPECT_EQ(BIT(2) | BIT(9), harvest(self->fd));
	EXPECT_EQ(0, harvest(self->fd));
	EXPECT_EQ(81, *PAGE(2));
	EXPECT_EQ(80, peer_peek(&self->peer, PAGE(9)));
	EXPECT_EQ(79, *PAGE(11));
	close(watch);
}

TEST_F(notifier, marks_stay_when_the_range_is_protected)
{
	ASSERT_EQ(0, dirty_start(self->fd, 0, MARKS * page_size));
	EXPECT_EQ(0, poke(PAGE(3), 77));
	ASSERT_EQ(0, region_protect(self->fd, 0, self->length,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(4), 78));
	EXPECT_EQ(BIT(3), harvest(self->fd));
	ASSERT_EQ(0, region_protect(self->fd, 0, self->length, 0));
	EXPECT_EQ(0, poke(PAGE(4), 78));
	EXPECT_EQ(BIT(4), harvest(self->fd));
	EXPECT_EQ(77, peer_peek(&self->peer, PAGE(3)));
}

/*
 * Threads count up, each in pages of its own, while these are harvested and
 * protected: see dirty_test.  One word is what a harvest before made of it, or
 * is in what this one gives out.
 */
#define STORERS	2
/* Pages that are protected now and then. */
#define NR_PROTECTED	4

struct storer {
	char *addr;
	int nr;
	int stop;
	unsigned long stores;
	unsigned long refused;
};

static volatile __u32 *word_of(char *addr, size_t page)
{
	return (volatile __u32 *)(addr + page * page_size);
}

static __noinline int count_up(volatile __u32 *word)
{
	if (sigsetjmp(fault_env, 0))
		return -1;
	fault_armed = 1;
	++*word;
	fault_armed = 0;
	return 0;
}

static void *store_on(void *arg)
{
	struct storer *s = arg;
	__u32 state = 4711 + s->nr;
	size_t page;

	while (!load(&s->stop)) {
		page = next_random(&state) % (NR_PAGES / STORERS) * STORERS +
		       s->nr;
		if (!count_up(word_of(s->addr, page)))
			s->stores++;
		else if (page < NR_PROTECTED)
			s->refused++;
		else
			break;
	}
	return NULL;
}

TEST_F_TIMEOUT(notifier, no_store_is_lost_while_one_harvests_and_protects, 120)
{
	struct rounds rounds = rounds_begin(2000);
	__u32 known[NR_PAGES] = { 0 }, seen[NR_PAGES];
	struct storer storers[STORERS];
	pthread_t threads[STORERS];
	unsigned long stores = 0;
	__u64 marks, found = 0;
	int i, n, last = 0, told;

	fault_catch();
	ASSERT_EQ(0, region_free(self->fd, 0, self->length));
	ASSERT_EQ(0, dirty_start(self->fd, 0, MARKS * page_size));
	for (i = 0; i < STORERS; i++) {
		storers[i] = (struct storer) { .addr = self->addr, .nr = i };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, store_on,
					    &storers[i]));
	}

	for (n = 0; !last; n++) {
		if (!rounds_until(&rounds, n, found)) {
			for (i = 0; i < STORERS; i++) {
				store(&storers[i].stop, 1);
				ASSERT_EQ(0, pthread_join(threads[i], NULL));
				stores += storers[i].stores;
			}
			last = 1;
		}
		if (n % 8 == 1) {
			__u32 before;

			ASSERT_EQ(0, region_protect(self->fd, 0, NR_PROTECTED *
						    page_size,
						    MMEXT_PROTECT_READ_ONLY));
			before = *word_of(self->addr, n / 8 % NR_PROTECTED);
			spin(2000);
			EXPECT_EQ(before, *word_of(self->addr,
						   n / 8 % NR_PROTECTED));
			ASSERT_EQ(0, region_protect(self->fd, 0, NR_PROTECTED *
						    page_size, 0));
		}
		for (i = 0; i < NR_PAGES; i++)
			seen[i] = *word_of(self->addr, i);
		ASSERT_LE(0, pages_told(self->watch));
		marks = harvest(self->fd);
		told = pages_told(self->watch);
		ASSERT_LE(__builtin_popcountll(marks), told);
		for (i = 0; i < NR_PAGES; i++) {
			if (!(marks & BIT(i))) {
				ASSERT_EQ(known[i], seen[i])
					TH_LOG("round %d, page %d", n, i);
				continue;
			}
			found++;
			known[i] = *word_of(self->addr, i);
		}
	}
	for (i = 0; i < NR_PAGES; i++)
		EXPECT_EQ(known[i], *word_of(self->addr, i));
	printf("# %lu stores, %llu marks\n", stores, (unsigned long long)found);
	fflush(stdout);
	EXPECT_LT(0, stores);
	EXPECT_LT(0, found);
}

TEST_HARNESS_MAIN
