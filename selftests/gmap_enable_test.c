// SPDX-License-Identifier: GPL-2.0
/*
 * The current space of a device file: one address, and behind it whichever guest
 * space is enabled.
 */
#include "mmext_gmap.h"

#define LENGTH		(2 * SEGMENT)
#define PAGES		(LENGTH / page_size)
#define PAGES_MAX	(LENGTH / 4096)
#define NR_SPACES	3

FIXTURE(current)
{
	bool windows;
	int device;
	char *window;
	int spaces[NR_SPACES];
	char *hosts[NR_SPACES];
};

/* Of space n, page i begins with 100 * (n + 1) + i. */
static void mark_pages(char *host, int space)
{
	volatile __u32 *word = (volatile __u32 *)host;
	size_t i;

	for (i = 0; i < PAGES; i++)
		word[WORDS(i)] = 1000 * (space + 1) + i;
}

FIXTURE_SETUP(current)
{
	int i;

	self->windows = have_windows();
	fault_catch();
	for (i = 0; i < NR_SPACES; i++) {
		self->spaces[i] = gmap_open();
		ASSERT_GE(self->spaces[i], 0);
		self->hosts[i] = host_alloc_shared(LENGTH);
		ASSERT_NE(NULL, self->hosts[i]);
		mark_pages(self->hosts[i], i);
		ASSERT_EQ(0, gmap_map(self->spaces[i], self->hosts[i], 0,
				      LENGTH));
	}
	if (!self->windows)
		return;
	self->device = guest_open();
	ASSERT_GE(self->device, 0);
	self->window = window_map(self->device, LENGTH, 0);
	ASSERT_NE(MAP_FAILED, self->window);
}

FIXTURE_TEARDOWN(current)
{
	int i;

	for (i = 0; i < NR_SPACES; i++) {
		close(self->spaces[i]);
		munmap(self->hosts[i], LENGTH);
	}
	if (!self->windows)
		return;
	munmap(self->window, LENGTH);
	close(self->device);
}

#define NEED()								\
do {									\
	if (!self->windows)						\
		SKIP(return, "no windows without a TLB backend");	\
} while (0)

#define WINDOW(n)	(self->window + (n) * page_size)
#define WORD(addr)	(*(volatile __u32 *)(addr))

/* The first page at which it does not show that space, or -1. */
static long shows_not(const char *window, int space)
{
	size_t i;
	__u32 word;

	for (i = 0; i < PAGES; i++)
		if (peek_word((__u32 *)(window + i * page_size), &word) ||
		    word != 1000U * (space + 1) + i)
			return i;
	return -1;
}

TEST_F(current, gmap_enable)
{
	NEED();
	/* none yet */
	EXPECT_EQ(-SIGBUS, peek(self->window));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[0]));
	EXPECT_EQ(-1, shows_not(self->window, 0));
	WORD(WINDOW(1)) = 5;
	EXPECT_EQ(5, WORD(self->hosts[0] + page_size));
	/* the last one wins */
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[1]));
	EXPECT_EQ(-1, shows_not(self->window, 1));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[2]));
	EXPECT_EQ(-1, shows_not(self->window, 2));
	/* the same once more */
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[2]));
	EXPECT_EQ(-1, shows_not(self->window, 2));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[0]));
	EXPECT_EQ(5, WORD(WINDOW(1)));
}

TEST_F(current, gmap_disable)
{
	NEED();
	/* with none enabled, nothing happens */
	EXPECT_EQ(0, gmap_disable(self->device));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[0]));
	EXPECT_EQ(-1, shows_not(self->window, 0));
	EXPECT_EQ(0, gmap_disable(self->device));
	EXPECT_EQ(-SIGBUS, peek(WINDOW(0)));
	EXPECT_EQ(-SIGBUS, poke(WINDOW(1), 1));
	EXPECT_EQ(-SIGBUS, peek(WINDOW(PAGES - 1)));
	EXPECT_EQ(0, gmap_disable(self->device));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[1]));
	EXPECT_EQ(-1, shows_not(self->window, 1));
}

TEST_F(current, of_another_kind_of_file_is_ebusy)
{
	int fd;

	for (region_backing = MMEXT_BACKING_PFN;
	     region_backing <= MMEXT_BACKING_PAGE; region_backing++) {
		fd = region_open();
		ASSERT_GE(fd, 0);
		EXPECT_EQ(-EBUSY, gmap_enable(fd, self->spaces[0]));
		EXPECT_EQ(-EBUSY, gmap_disable(fd));
		close(fd);
	}
	/* one that has no shape yet, and one that is mapped already */
	fd = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EBUSY, gmap_enable(fd, self->spaces[0]));
	EXPECT_NE(MAP_FAILED, region_map(fd, page_size, 0));
	EXPECT_EQ(-EBUSY, gmap_enable(fd, self->spaces[0]));
	close(fd);
}

TEST_F(current, of_no_space_is_an_error)
{
	int region = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);
	int pipes[2];

	NEED();
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[0]));
	EXPECT_EQ(-EBADF, gmap_enable(self->device, -1));
	EXPECT_EQ(-EBADF, gmap_enable(self->device, 9999));
	EXPECT_EQ(-EINVAL, gmap_enable(self->device, pipes[0]));
	EXPECT_EQ(-EINVAL, gmap_enable(self->device, region));
	EXPECT_EQ(-EINVAL, gmap_enable(self->device, self->device));
	/* and changes nothing */
	EXPECT_EQ(-1, shows_not(self->window, 0));
	close(pipes[0]);
	close(pipes[1]);
	close(region);
}

TEST_F(current, setup_comes_before_the_first_mapping)
{
	struct mmext_setup arg = {
		.size = sizeof(arg),
		.backing = MMEXT_BACKING_GUEST,
	};
	struct mmext_info info;
	int fd;

	NEED();
	EXPECT_EQ(-EBUSY, call(self->device, MMEXT_SETUP, &arg));
	ASSERT_EQ(0, region_info(self->device, &info));
	EXPECT_EQ(MMEXT_BACKING_GUEST, info.out_backing);
	fd = region_open_length(0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EBUSY, call(fd, MMEXT_SETUP, &arg));
	close(fd);
}

TEST_F(current, space_without_a_tlb_backend_is_refused)
{
	int fd = guest_open();

	if (self->windows) {
		EXPECT_GE(fd, 0);
		close(fd);
		return;
	}
	EXPECT_TRUE(fd == -EOPNOTSUPP ||
		    gmap_enable(fd, self->spaces[0]) == -EOPNOTSUPP ||
		    (window_map(fd, LENGTH, 0) == MAP_FAILED &&
		     errno == EOPNOTSUPP));
	EXPECT_EQ(MAP_FAILED, window_map(self->spaces[0], LENGTH, 0));
	EXPECT_EQ(EOPNOTSUPP, errno);
	/* what needs no window works */
	EXPECT_EQ(0, gmap_fault(self->spaces[0], 0, LENGTH,
				MMEXT_GMAP_FAULT_WRITE));
	EXPECT_EQ((long long)to_u64(self->hosts[0]),
		  gmap_translate(self->spaces[0], 0));
}

TEST_F(current, is_switched_in_every_window_of_the_file)
{
	char *other, *part;
	int fd;

	NEED();
	other = window_map(self->device, LENGTH, 0);
	part = window_map(self->device, SEGMENT, SEGMENT);
	fd = dup(self->device);
	ASSERT_NE(MAP_FAILED, other);
	ASSERT_NE(MAP_FAILED, part);
	ASSERT_EQ(0, gmap_enable(fd, self->spaces[0]));
	EXPECT_EQ(-1, shows_not(self->window, 0));
	EXPECT_EQ(-1, shows_not(other, 0));
	EXPECT_EQ(1000 + SEGMENT / page_size, WORD(part));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[1]));
	EXPECT_EQ(2000 + SEGMENT / page_size, WORD(part));
	EXPECT_EQ(-1, shows_not(other, 1));
	EXPECT_EQ(-1, shows_not(self->window, 1));
	munmap(other, LENGTH);
	munmap(part, SEGMENT);
	close(fd);
}

TEST_F(current, is_of_each_file_its_own)
{
	int fd;
	char *other;

	NEED();
	fd = guest_open();
	ASSERT_GE(fd, 0);
	other = window_map(fd, LENGTH, 0);
	ASSERT_NE(MAP_FAILED, other);
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[0]));
	EXPECT_EQ(-SIGBUS, peek(other));
	ASSERT_EQ(0, gmap_enable(fd, self->spaces[1]));
	EXPECT_EQ(-1, shows_not(self->window, 0));
	EXPECT_EQ(-1, shows_not(other, 1));
	ASSERT_EQ(0, gmap_enable(fd, self->spaces[0]));
	EXPECT_EQ(-1, shows_not(other, 0));
	ASSERT_EQ(0, gmap_disable(self->device));
	EXPECT_EQ(-SIGBUS, peek(self->window));
	EXPECT_EQ(-1, shows_not(other, 0));
	munmap(other, LENGTH);
	close(fd);
}

TEST_F(current, follows_the_parents_memory)
{
	NEED();
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[0]));
	EXPECT_EQ(-1, shows_not(self->window, 0));
	ASSERT_EQ(0, munmap(self->hosts[0] + page_size, page_size));
	EXPECT_EQ(-SIGBUS, peek(WINDOW(1)));
	EXPECT_EQ(1000, WORD(WINDOW(0)));
	ASSERT_EQ(0, gmap_unmap(self->spaces[0], 0, SEGMENT));
	EXPECT_EQ(-SIGBUS, peek(WINDOW(0)));
	ASSERT_EQ(0, gmap_map(self->spaces[0], self->hosts[2], 0, LENGTH));
	EXPECT_EQ(-1, shows_not(self->window, 2));
	/* also after the space was another's for a while */
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[1]));
	ASSERT_EQ(0, gmap_map(self->spaces[0], self->hosts[1], 0, LENGTH));
	ASSERT_EQ(0, mprotect(self->hosts[2], LENGTH, PROT_NONE));
	EXPECT_EQ(-1, shows_not(self->window, 1));
}

/* Where nobody has the descriptor any more the space is freed. */
TEST_F(current, of_a_space_that_is_freed_is_sigbus)
{
	NEED();
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[0]));
	EXPECT_EQ(-1, shows_not(self->window, 0));
	close(self->spaces[0]);
	self->spaces[0] = -1;
	EXPECT_EQ(-SIGBUS, peek(WINDOW(0)));
	EXPECT_EQ(-SIGBUS, poke(WINDOW(1), 1));
	ASSERT_EQ(0, mprotect(self->hosts[0], page_size, PROT_NONE));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[1]));
	EXPECT_EQ(-1, shows_not(self->window, 1));
}

static long run_enable(int sock __unused, void *arg)
{
	int *fds = arg;

	return gmap_enable(fds[0], fds[1]);
}

TEST_F(current, is_the_parents_to_enable)
{
	int *fds = shared_alloc(page_size);
	struct runner other;

	NEED();
	fds[0] = self->device;
	fds[1] = self->spaces[0];
	ASSERT_EQ(0, runner_start(&other));
	EXPECT_EQ(-EPERM, runner_do(&other, run_enable, fds));
	EXPECT_EQ(-SIGBUS, peek(self->window));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[0]));
	EXPECT_EQ(-1, shows_not(self->window, 0));
	EXPECT_EQ(0, runner_stop(&other));
	munmap(fds, page_size);
}

TEST_F(current, of_a_parent_that_has_exited_is_sigbus)
{
	struct owner *owner;

	NEED();
	owner = owner_start(HOST_SHARED);
	ASSERT_NE(NULL, owner);
	EXPECT_EQ(-EPERM, gmap_enable(self->device, owner->space));
	EXPECT_EQ(0, runner_kill(&owner->runner) - 128 - SIGKILL);
	EXPECT_EQ(-ESRCH, gmap_enable(self->device, owner->space));
	EXPECT_EQ(-SIGBUS, peek(self->window));
	close(owner->space);
}

/* The device file in another process: a window that the parent switches */
struct shown {
	int device;
	char *window;
};

static long run_show(int sock __unused, void *arg)
{
	struct shown *s = arg;

	s->window = window_map(s->device, LENGTH, 0);
	return s->window == MAP_FAILED ? -errno : 0;
}

TEST_F(current, is_switched_in_other_processes)
{
	struct shown *s = shared_alloc(sizeof(*s));
	struct runner other;

	NEED();
	s->device = self->device;
	ASSERT_EQ(0, runner_start(&other));
	ASSERT_EQ(0, runner_do(&other, run_show, s));
	EXPECT_EQ(-SIGBUS, runner_peek(&other, s->window));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[0]));
	EXPECT_EQ((__u8)1000, runner_peek(&other, s->window));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[1]));
	EXPECT_EQ((__u8)2000, runner_peek(&other, s->window));
	ASSERT_EQ(0, gmap_disable(self->device));
	EXPECT_EQ(-SIGBUS, runner_peek(&other, s->window));
	EXPECT_EQ(0, runner_stop(&other));
}

/* Under a thread that reads: one of the spaces, whole, or nothing */
struct reader {
	char *window;
	int end;
	/* no other than these may be seen: even while it is changed, of two */
	int hold;
	int current;
	unsigned long seen[NR_SPACES];
	unsigned long bus;
	unsigned long wrong;
	unsigned long stale;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;
	__u32 word;
	size_t i;
	int space, current, hold;

	pin(1);
	for (i = 0; !load(&r->end); i = (i + 1) % PAGES) {
		hold = load(&r->hold);
		current = load(&r->current);
		if (peek_word((__u32 *)(r->window + i * page_size), &word)) {
			space = -1;
			r->bus++;
		} else {
			space = (int)(word / 1000) - 1;
			if (space < 0 || space >= NR_SPACES ||
			    word % 1000 != i) {
				r->wrong++;
				continue;
			}
			r->seen[space]++;
		}
		if (!(hold & 1) && load(&r->hold) == hold && space != current)
			r->stale++;
	}
	return NULL;
}

static void set_current(struct reader *r, int device, int *spaces, int space)
{
	__atomic_add_fetch(&r->hold, 1, __ATOMIC_SEQ_CST);
	if (space < 0)
		gmap_disable(device);
	else
		gmap_enable(device, spaces[space]);
	store(&r->current, space);
	__atomic_add_fetch(&r->hold, 1, __ATOMIC_SEQ_CST);
}

static bool saw_all(struct reader *r)
{
	int i;

	for (i = 0; i < NR_SPACES && load(&r->seen[i]); i++)
		;
	return i == NR_SPACES && load(&r->bus);
}

TEST_F_TIMEOUT(current, is_switched_and_disabled_under_a_reader, 120)
{
	struct rounds rounds = gmap_rounds(2000);
	struct reader r = { .window = self->window, .current = -1 };
	pthread_t thread;
	int i;

	NEED();
	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_on, &r));
	for (i = 0; rounds_until(&rounds, i, saw_all(&r)); i++) {
		set_current(&r, self->device, self->spaces, i % 4 - 1);
		usleep(i % 5 * 100);
	}
	store(&r.end, 1);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.wrong);
	EXPECT_EQ(0, r.stale);
	EXPECT_LT(0, r.bus);
	for (i = 0; i < NR_SPACES; i++)
		EXPECT_LT(0, r.seen[i]);
}

/* The dirty log of each space, where one table has entries of both in turn. */

#define START(n)							\
	gmap_dirty(self->spaces[n], 0, LENGTH, MMEXT_DIRTY_START, NULL)
#define CLEAR(n, marks)							\
	gmap_dirty(self->spaces[n], 0, LENGTH,				\
		   MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR, marks)

TEST_F(current, dirty_log_has_what_was_stored_while_it_was_shown)
{
	__u64 marks[PAGES_MAX / 64];
	int i;

	NEED();
	ASSERT_EQ(0, START(0));
	ASSERT_EQ(0, START(1));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[0]));
	EXPECT_EQ(0, poke_word(&WORD(WINDOW(3)), 1));
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[1]));
	EXPECT_EQ(0, poke_word(&WORD(WINDOW(4)), 1));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, CLEAR(0, marks));
		EXPECT_EQ(i ? 0 : 1ULL << 3, marks[0]);
		ASSERT_EQ(0, CLEAR(1, marks));
		EXPECT_EQ(i ? 0 : 1ULL << 4, marks[0]);
	}
}

struct storer {
	char *window;
	int end;
	unsigned long stores;
};

static void *store_on(void *arg)
{
	struct storer *s = arg;
	__u32 value = 1, seen;
	size_t i;

	pin(1);
	for (i = 0; !load(&s->end); i++) {
		/* read-only by a load, then not */
		peek_word(&WORD(s->window + i % PAGES * page_size), &seen);
		if (!poke_word(&WORD(s->window + i % PAGES * page_size),
			       value++))
			store(&s->stores, s->stores + 1);
	}
	return NULL;
}

TEST_F_TIMEOUT(current, dirty_log_loses_no_store_by_a_switch, 120)
{
	struct rounds rounds = gmap_rounds(2000);
	struct storer s = { .window = self->window };
	__u64 marks[PAGES_MAX / 64];
	__u32 copies[2][PAGES_MAX];
	pthread_t thread;
	int i, hidden;
	size_t n;

	NEED();
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, START(i));
		for (n = 0; n < PAGES; n++)
			copies[i][n] = WORD(self->hosts[i] + n * page_size);
	}
	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, store_on, &s));
	for (i = 0; rounds_until(&rounds, i, load(&s.stores)); i++) {
		ASSERT_EQ(0, gmap_enable(self->device, self->spaces[i & 1]));
		spin(i % 7 * 1000);
		/* nobody stores to the other one: a copy kept by its log is it */
		hidden = !(i & 1);
		ASSERT_EQ(0, CLEAR(hidden, marks));
		for (n = 0; n < PAGES; n++) {
			__u32 *copy = &copies[hidden][n];
			__u32 now = WORD(self->hosts[hidden] + n * page_size);

			if (marks[n / 64] >> n % 64 & 1)
				*copy = now;
			ASSERT_EQ(now, *copy)
				TH_LOG("round %d, page %zu", i, n);
		}
	}
	store(&s.end, 1);
	pthread_join(thread, NULL);
	EXPECT_LT(0, s.stores);
}

/* What does not belong to such a file */
TEST_F(current, calls_of_regions_with_pages_are_refused)
{
	__u64 marks;

	NEED();
	ASSERT_EQ(0, gmap_enable(self->device, self->spaces[0]));
	EXPECT_EQ(-1, shows_not(self->window, 0));
	EXPECT_NE(0, region_exchange(self->device, 0, SEGMENT, page_size));
	EXPECT_NE(0, region_protect(self->device, 0, page_size,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_NE(0, region_free(self->device, 0, page_size));
	EXPECT_NE(0, gmap_dirty(self->device, 0, 64 * page_size,
				MMEXT_DIRTY_GET, &marks));
	EXPECT_EQ(-1, shows_not(self->window, 0));
}

TEST_F(current, private_mapping_is_einval)
{
	NEED();
	EXPECT_EQ(MAP_FAILED, mmap(NULL, LENGTH, PROT_READ, MAP_PRIVATE,
				   self->device, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
