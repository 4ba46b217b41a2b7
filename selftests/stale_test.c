// SPDX-License-Identifier: GPL-2.0
/*
 * No stale byte: a reader on one CPU reads without an end while another CPU
 * changes what it reads.  When the call that changed it has returned, the
 * reader must not see what was there before.
 *
 * The reader keeps the translation in its TLB by reading in a loop.  A round:
 * the changer makes its call, sets what is expected, moves the epoch; the
 * reader sees the epoch move, reads once more, compares, and acknowledges.
 * Without a flush the read hits the translation that it has.
 */
#include "mmext_selftest.h"

#define MAX_PAGES	600

/* Seconds: on a busy host each round may wait for a turn of the CPUs. */
#define TIMEOUT		120

struct shared {
	/* set by the changer */
	int epoch;
	int expected;
	int end;
	/* set by the reader */
	int ack;
	int running;
	int stale;
	int signals;
	/* where to read */
	unsigned int nr_addrs;
	unsigned int nr_pages;
	volatile __u8 *addr[4];
};

/*
 * Page i of a range holds @expected + i.  More than one page tells what an
 * exchange of ranges leaves behind, more than one address what it leaves in
 * other mappings.
 */
static void read_all(struct shared *s, int expected)
{
	unsigned int a, i;

	for (a = 0; a < s->nr_addrs; a++)
		for (i = 0; i < s->nr_pages; i++)
			if (s->addr[a][i * 4096] != (__u8)(expected + i))
				s->stale++;
}

static void touch_some(struct shared *s)
{
	unsigned int a, i;

	for (a = 0; a < s->nr_addrs; a++)
		for (i = 0; i < s->nr_pages; i++)
			(void)s->addr[a][i * 4096];
}

static void reader(struct shared *s, int cpu)
{
	int epoch, seen = 0;

	pin(cpu);
	touch_some(s);
	store(&s->running, 1);
	while (!load(&s->end)) {
		epoch = load(&s->epoch);
		if (epoch == seen) {
			touch_some(s);
			continue;
		}
		read_all(s, load(&s->expected));
		seen = epoch;
		store(&s->ack, seen);
	}
}

static void *reader_thread(void *arg)
{
	reader(arg, 1);
	return NULL;
}

FIXTURE(stale)
{
	struct shared *s;
	int fd;
	size_t length;
	char *addr;
	/* the changer's own, so that its entries are not the reader's */
	char *mine;
	pthread_t thread;
	pid_t pid;
};

FIXTURE_VARIANT(stale)
{
	unsigned int nr_pages;
	unsigned int nr_addrs;
	bool process;
	int rounds;
	__u32 backing;
};

/* 2 CPUs, one address */
FIXTURE_VARIANT_ADD(stale, thread)
{
	.nr_pages = 1,
	.nr_addrs = 1,
	.rounds = 2400,
};

FIXTURE_VARIANT_ADD(stale, process)
{
	.nr_pages = 1,
	.nr_addrs = 1,
	.process = true,
	.rounds = 1000,
};

FIXTURE_VARIANT_ADD(stale, several_mappings)
{
	.nr_pages = 3,
	.nr_addrs = 4,
	.rounds = 200,
};

FIXTURE_VARIANT_ADD(stale, many_pages)
{
	.nr_pages = 100,
	.nr_addrs = 1,
	.rounds = 80,
};

FIXTURE_VARIANT_ADD(stale, two_tables)
{
	.nr_pages = MAX_PAGES,
	.nr_addrs = 1,
	.rounds = 30,
};

FIXTURE_VARIANT_ADD(stale, pages_with_references)
{
	.nr_pages = 1,
	.nr_addrs = 1,
	.rounds = 1000,
	.backing = MMEXT_BACKING_PAGE,
};

FIXTURE_VARIANT_ADD(stale, many_pages_with_references)
{
	.nr_pages = MAX_PAGES,
	.nr_addrs = 1,
	.rounds = 30,
	.backing = MMEXT_BACKING_PAGE,
};

#define OFFSET_A	0UL
#define OFFSET_B	(4 * MIB)

/* What the first of the two ranges shows, and the second. */
#define VALUE_A		10
#define VALUE_B		99

FIXTURE_SETUP(stale)
{
	unsigned int i;

	region_backing = variant->backing;
	self->length = variant->nr_pages * page_size;
	self->s = shared_alloc(sizeof(*self->s));
	ASSERT_NE(MAP_FAILED, self->s);
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->mine = region_map(self->fd, 16 * MIB, 0);
	ASSERT_NE(MAP_FAILED, self->mine);
	fill(self->mine + OFFSET_A, self->length, VALUE_A);
	fill(self->mine + OFFSET_B, self->length, VALUE_B);
	self->s->nr_pages = variant->nr_pages;
	self->s->nr_addrs = variant->nr_addrs;
	for (i = 0; i < variant->nr_addrs; i++) {
		/* across a border of tables if there are enough pages */
		char *addr = region_map_aligned(self->fd, 3 * TABLE, OFFSET_A);

		ASSERT_NE(MAP_FAILED, addr);
		self->s->addr[i] = (volatile __u8 *)addr;
	}
	pin(0);
	if (variant->process) {
		self->pid = fork();
		ASSERT_GE(self->pid, 0);
		if (!self->pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			reader(self->s, 1);
			_exit(0);
		}
	} else {
		ASSERT_EQ(0, pthread_create(&self->thread, NULL,
					    reader_thread, self->s));
	}
	wait_for(&self->s->running, 1);
}

FIXTURE_TEARDOWN(stale)
{
	store(&self->s->end, 1);
	EXPECT_EQ(0, variant->process ? child_status(self->pid) :
					pthread_join(self->thread, NULL));
	close(self->fd);
}

/* The call has returned: from here on the reader must see @expected. */
static void publish(struct shared *s, int expected)
{
	store(&s->expected, expected);
	store(&s->epoch, s->epoch + 1);
	wait_for(&s->ack, s->epoch);
}

TEST_F_TIMEOUT(stale, no_byte_is_seen_after_an_exchange, TIMEOUT)
{
	struct rounds rounds = rounds_begin(variant->rounds);
	int i;

	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(0, region_exchange(self->fd, OFFSET_A, OFFSET_B,
					     self->length));
		publish(self->s, i & 1 ? VALUE_A : VALUE_B);
		ASSERT_EQ(0, self->s->stale) TH_LOG("round %d", i);
	}
}

TEST_F_TIMEOUT(stale, no_byte_is_seen_after_an_alias, TIMEOUT)
{
	struct rounds rounds = rounds_begin(variant->rounds / 4);
	size_t third = 12 * MIB;
	int i;

	/* of one and the other of two that stay */
	fill(self->mine + third, self->length, VALUE_A + 20);
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(0, region_alias(self->fd, i & 1 ? third : OFFSET_B,
					  OFFSET_A, self->length));
		publish(self->s, i & 1 ? VALUE_A + 20 : VALUE_B);
		ASSERT_EQ(0, self->s->stale) TH_LOG("round %d", i);
	}
}

/* Zeroes, but for what the changer puts there: @expected + 0 is 0. */
TEST_F_TIMEOUT(stale, no_byte_is_seen_after_a_free, TIMEOUT)
{
	struct rounds rounds = rounds_begin(variant->rounds / 4);
	unsigned int p;
	int i;

	for (i = 0; rounds_go_on(&rounds, i); i++) {
		for (p = 0; p < variant->nr_pages; p++)
			self->mine[OFFSET_A + p * page_size] = i + p;
		publish(self->s, i);
		ASSERT_EQ(0, region_free(self->fd, OFFSET_A, self->length));
		if (variant->nr_pages == 1) {
			publish(self->s, 0);
			ASSERT_EQ(0, self->s->stale) TH_LOG("round %d", i);
		}
		/* and the pages that come in their place are the reader's */
		for (p = 0; p < variant->nr_pages; p++)
			self->mine[OFFSET_A + p * page_size] = i + p + 1;
		publish(self->s, i + 1);
		ASSERT_EQ(0, self->s->stale) TH_LOG("round %d", i);
	}
}

/* The entry went before: only its flush can have taken the translation. */
TEST_F_TIMEOUT(stale, no_byte_is_seen_after_an_unmap_and_an_exchange, TIMEOUT)
{
	struct rounds rounds = rounds_begin(variant->rounds / 8);
	int i;

	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(0, region_unmap(self->fd, OFFSET_A, self->length,
					  0));
		ASSERT_EQ(0, region_exchange(self->fd, OFFSET_A, OFFSET_B,
					     self->length));
		publish(self->s, i & 1 ? VALUE_A : VALUE_B);
		ASSERT_EQ(0, self->s->stale) TH_LOG("round %d", i);
	}
}

TEST_F_TIMEOUT(stale, no_byte_is_seen_after_a_zap_and_an_exchange, TIMEOUT)
{
	struct rounds rounds = rounds_begin(variant->rounds / 8);
	unsigned int a;
	int i;

	/* ZAP is of the caller's own entries */
	if (variant->process)
		return;
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		for (a = 0; a < variant->nr_addrs; a++) {
			ASSERT_EQ(0, region_zap(self->fd,
						(void *)self->s->addr[a],
						self->length));
		}
		ASSERT_EQ(0, region_exchange(self->fd, OFFSET_A, OFFSET_B,
					     self->length));
		publish(self->s, i & 1 ? VALUE_A : VALUE_B);
		ASSERT_EQ(0, self->s->stale) TH_LOG("round %d", i);
	}
}

TEST_F_TIMEOUT(stale, no_byte_is_seen_after_a_span_and_an_exchange, TIMEOUT)
{
	struct rounds rounds = rounds_begin(variant->rounds / 8);
	uintptr_t first = -1UL, end = 0;
	unsigned int a;
	int i;

	if (variant->process)
		return;
	for (a = 0; a < variant->nr_addrs; a++) {
		uintptr_t addr = (uintptr_t)self->s->addr[a];

		first = addr < first ? addr : first;
		end = addr + self->length > end ? addr + self->length : end;
	}
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_LE(0, region_zap_span(self->fd, (void *)first,
					     end - first));
		ASSERT_EQ(0, region_exchange(self->fd, OFFSET_A, OFFSET_B,
					     self->length));
		publish(self->s, i & 1 ? VALUE_A : VALUE_B);
		ASSERT_EQ(0, self->s->stale) TH_LOG("round %d", i);
	}
}

/* A reader on the changer's own CPU, which switches between the two. */
TEST(no_stale_byte_of_a_process_on_the_same_cpu)
{
	struct rounds rounds = rounds_begin(500);
	struct shared *s = shared_alloc(sizeof(*s));
	int i, epoch, seen = 0, fd = region_open();
	char *addr;
	pid_t pid;

	ASSERT_GE(fd, 0);
	addr = region_map(fd, 2 * page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	addr[0] = VALUE_A;
	addr[page_size] = VALUE_B;
	s->nr_addrs = 1;
	s->nr_pages = 1;
	s->addr[0] = (volatile __u8 *)addr;
	pin(0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (!load(&s->end)) {
			epoch = load(&s->epoch);
			if (epoch == seen) {
				touch_some(s);
				store(&s->running, seen + 1);
				sched_yield();
				continue;
			}
			read_all(s, load(&s->expected));
			seen = epoch;
			store(&s->ack, seen);
		}
		_exit(0);
	}
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		wait_for(&s->running, i + 1);
		ASSERT_EQ(0, region_exchange(fd, 0, page_size, page_size));
		publish(s, i & 1 ? VALUE_A : VALUE_B);
		ASSERT_EQ(0, s->stale) TH_LOG("round %d", i);
	}
	store(&s->end, 1);
	EXPECT_EQ(0, child_status(pid));
	close(fd);
}

/*
 * A reader that sleeps while the change is made: its CPU is idle then, with
 * the address space still loaded or not.
 */
struct sleeper {
	struct shared *s;
	int to_reader[2];
	int to_changer[2];
	int cpu;
	bool moves;
};

static void sleeping_reader(struct sleeper *sleeper)
{
	struct shared *s = sleeper->s;
	char byte;
	int i;

	pin(sleeper->cpu);
	for (i = 0; ; i++) {
		if (sleeper->moves)
			pin(i & 1);
		touch_some(s);
		if (write(sleeper->to_changer[1], "x", 1) != 1)
			break;
		if (read(sleeper->to_reader[0], &byte, 1) != 1 || byte == 'q')
			break;
		read_all(s, load(&s->expected));
	}
}

static void *sleeping_thread(void *arg)
{
	sleeping_reader(arg);
	return NULL;
}

FIXTURE(sleeper)
{
	struct sleeper sleeper;
	int fd;
	char *addr;
	pthread_t thread;
	pid_t pid;
};

FIXTURE_VARIANT(sleeper)
{
	bool process;
	bool moves;
	__u32 backing;
};

FIXTURE_VARIANT_ADD(sleeper, thread)
{
};

FIXTURE_VARIANT_ADD(sleeper, process)
{
	.process = true,
};

FIXTURE_VARIANT_ADD(sleeper, moving_thread)
{
	.moves = true,
};

FIXTURE_VARIANT_ADD(sleeper, moving_process)
{
	.process = true,
	.moves = true,
};

FIXTURE_VARIANT_ADD(sleeper, pages_with_references)
{
	.backing = MMEXT_BACKING_PAGE,
};

FIXTURE_SETUP(sleeper)
{
	struct shared *s = shared_alloc(sizeof(*s));

	ASSERT_NE(MAP_FAILED, s);
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->addr = region_map(self->fd, 2 * page_size, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	self->addr[0] = VALUE_A;
	self->addr[page_size] = VALUE_B;
	s->nr_addrs = 1;
	s->nr_pages = 1;
	s->addr[0] = (volatile __u8 *)self->addr;
	self->sleeper.s = s;
	self->sleeper.cpu = 1;
	self->sleeper.moves = variant->moves;
	ASSERT_EQ(0, pipe(self->sleeper.to_reader));
	ASSERT_EQ(0, pipe(self->sleeper.to_changer));
	pin(0);
	if (variant->process) {
		self->pid = fork();
		ASSERT_GE(self->pid, 0);
		if (!self->pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			sleeping_reader(&self->sleeper);
			_exit(0);
		}
	} else {
		ASSERT_EQ(0, pthread_create(&self->thread, NULL,
					    sleeping_thread, &self->sleeper));
	}
}

FIXTURE_TEARDOWN(sleeper)
{
	EXPECT_EQ(1, write(self->sleeper.to_reader[1], "q", 1));
	EXPECT_EQ(0, variant->process ? child_status(self->pid) :
					pthread_join(self->thread, NULL));
	close(self->fd);
}

TEST_F_TIMEOUT(sleeper, that_wakes_sees_no_stale_byte, TIMEOUT)
{
	struct rounds rounds = rounds_begin(200);
	char byte;
	int i;

	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(1, read(self->sleeper.to_changer[0], &byte, 1));
		ASSERT_EQ(0, region_exchange(self->fd, 0, page_size,
					     page_size));
		store(&self->sleeper.s->expected, i & 1 ? VALUE_A : VALUE_B);
		ASSERT_EQ(1, write(self->sleeper.to_reader[1], "x", 1));
		ASSERT_EQ(0, self->sleeper.s->stale) TH_LOG("round %d", i);
	}
	/* the last round's read */
	ASSERT_EQ(1, read(self->sleeper.to_changer[0], &byte, 1));
	ASSERT_EQ(0, self->sleeper.s->stale);
}

/*
 * A reader that reads what is not a value of either state is seeing a page in
 * between: "no access during the call sees anything but what a page showed
 * before or shows after".
 */
struct watcher {
	volatile __u8 *addr;
	int end;
	int running;
	unsigned long wrong;
	unsigned long seen_a;
	unsigned long seen_b;
};

static void *watch(void *arg)
{
	struct watcher *w = arg;
	__u8 val;

	pin(1);
	while (!load(&w->end)) {
		val = *w->addr;
		if (val == VALUE_A)
			w->seen_a++;
		else if (val == VALUE_B)
			w->seen_b++;
		else
			w->wrong++;
		store(&w->running, 1);
	}
	return NULL;
}

TEST(reader_during_exchanges_sees_one_page_or_the_other)
{
	struct rounds rounds = rounds_begin(2000);
	struct watcher w = { 0 };
	int i, fd = region_open();
	pthread_t thread;
	char *addr;

	ASSERT_GE(fd, 0);
	addr = region_map(fd, 2 * page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	addr[0] = VALUE_A;
	addr[page_size] = VALUE_B;
	w.addr = (volatile __u8 *)addr;
	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, watch, &w));
	wait_for(&w.running, 1);
	/* a busy host may run the two threads one after the other */
	for (i = 0; rounds_until(&rounds, i, load(&w.seen_a) && load(&w.seen_b));
	     i++)
		ASSERT_EQ(0, region_exchange(fd, 0, page_size, page_size));
	store(&w.end, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, w.wrong);
	EXPECT_NE(0, w.seen_a);
	EXPECT_NE(0, w.seen_b);
	close(fd);
}

TEST_HARNESS_MAIN
