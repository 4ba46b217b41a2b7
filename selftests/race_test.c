// SPDX-License-Identifier: GPL-2.0
/*
 * Races between a fault and what changes the page that it looked up, and
 * between two that take entries out.
 *
 * A test build of the module can be told to sleep in the gap.  With it a few
 * rounds hit the race each time; without it the same test runs many rounds
 * with the two sides shifted against each other.
 */
#include "mmext_selftest.h"

#define TIMEOUT		120

#define DELAY_US	40000
#define WIDE_ROUNDS	12
#define ROUNDS		240

#define VALUE_A		10
#define VALUE_B		99
#define VALUE_STORED	7

/* What the other thread does to the first page when a round starts. */
enum access {
	ACCESS_READ,
	ACCESS_STORE,
	ACCESS_POPULATE,
	ACCESS_ZAP,
	ACCESS_MOVE,
	ACCESS_END,
};

struct other {
	int fd;
	char *volatile addr;
	char *place;
	enum access access;
	unsigned int spin;
	int start;
	int begun;
	int done;
	/* of the access */
	int result;
};

static void do_access(struct other *o)
{
	char *old = o->addr;

	switch (o->access) {
	case ACCESS_READ:
		o->result = peek(o->addr);
		break;
	case ACCESS_STORE:
		o->result = poke(o->addr, VALUE_STORED);
		break;
	case ACCESS_POPULATE:
		o->result = region_populate(o->fd, o->addr, page_size, 0);
		break;
	case ACCESS_ZAP:
		o->result = region_zap(o->fd, o->addr, page_size);
		break;
	case ACCESS_MOVE:
		o->addr = mremap(old, page_size, page_size,
				 MREMAP_MAYMOVE | MREMAP_FIXED, o->place);
		o->result = o->addr == MAP_FAILED ? -errno : 0;
		o->place = old;
		break;
	case ACCESS_END:
		break;
	}
}

static void *other_thread(void *arg)
{
	struct other *o = arg;
	int round;

	pin(1);
	for (round = 1; ; round++) {
		wait_for(&o->start, round);
		if (o->access == ACCESS_END)
			return NULL;
		store(&o->begun, round);
		spin(o->spin);
		do_access(o);
		store(&o->done, round);
	}
}

FIXTURE(race)
{
	int fd;
	char *addr;
	struct other other;
	pthread_t thread;
	bool wide;
	int rounds;
	int overlaps;
	int wanted;
	__u32 random;
};

BACKINGS(race);

FIXTURE_SETUP(race)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	/* nothing of the second page is mapped, only of the first */
	self->addr = region_map(self->fd, page_size, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	self->wide = delay_set(LOOKUP_DELAY, 0);
	self->rounds = self->wide ? WIDE_ROUNDS : ROUNDS;
	self->wanted = self->wide ? WIDE_ROUNDS / 2 : 0;
	self->random = 2463534242U;
	self->other.fd = self->fd;
	self->other.addr = self->addr;
	fault_catch();
	pin(0);
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, other_thread,
				    &self->other));
}

FIXTURE_TEARDOWN(race)
{
	delay_set(LOOKUP_DELAY, 0);
	delay_set(FLUSH_DELAY, 0);
	self->other.access = ACCESS_END;
	store(&self->other.start, self->other.start + 1);
	EXPECT_EQ(0, pthread_join(self->thread, NULL));
	munmap(self->other.addr, page_size);
	close(self->fd);
}

static int put_byte(int fd, off_t offset, __u8 val)
{
	return pwrite(fd, &val, 1, offset) == 1 ? 0 : -errno;
}

static int get_byte(int fd, off_t offset)
{
	__u8 val;

	return pread(fd, &val, 1, offset) == 1 ? val : -errno;
}

/* Start the other thread's access, and come back in the middle of it. */
static void race_start(FIXTURE_DATA(race) *self, const char *delay,
		       enum access access)
{
	struct other *o = &self->other;

	o->access = access;
	o->spin = self->wide ? 0 : next_random(&self->random) % 4000;
	if (self->wide)
		delay_set(delay, DELAY_US);
	store(&o->start, o->start + 1);
	wait_for(&o->begun, o->start);
	if (self->wide)
		usleep(DELAY_US / 4);
	else
		spin(next_random(&self->random) % 4000);
}

/* What was to be done in the middle is done. */
static void race_end(FIXTURE_DATA(race) *self, const char *delay)
{
	struct other *o = &self->other;

	if (load(&o->done) != o->start)
		self->overlaps++;
	if (self->wide)
		delay_set(delay, 0);
	wait_for(&o->done, o->start);
}

/* With the gap widened, the two sides meet: it goes on until they did, often. */
#define MEETS_GO_ON(rounds, done) \
	rounds_until(rounds, done, self->overlaps >= self->wanted)
#define EXPECT_OVERLAPS()	EXPECT_LE(self->wanted, self->overlaps)

TEST_F_TIMEOUT(race, fault_during_an_exchange_shows_the_new_page, TIMEOUT)
{
	struct rounds rounds = rounds_begin(self->rounds);
	int i;

	ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
	ASSERT_EQ(0, put_byte(self->fd, page_size, VALUE_B));
	for (i = 0; MEETS_GO_ON(&rounds, i); i++) {
		ASSERT_EQ(0, region_unmap(self->fd, 0, page_size, 0));
		race_start(self, LOOKUP_DELAY, ACCESS_READ);
		ASSERT_EQ(0, region_exchange(self->fd, 0, page_size,
					     page_size));
		race_end(self, LOOKUP_DELAY);
		ASSERT_EQ(i & 1 ? VALUE_A : VALUE_B, peek(self->addr))
			TH_LOG("round %d", i);
	}
	EXPECT_OVERLAPS();
	EXPECT_LE(self->wide, region_stat(self->fd, "retries"));
}

TEST_F_TIMEOUT(race, store_during_an_exchange_is_in_one_page, TIMEOUT)
{
	struct rounds rounds = rounds_begin(self->rounds);
	int i, first, second;

	for (i = 0; MEETS_GO_ON(&rounds, i); i++) {
		ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
		ASSERT_EQ(0, put_byte(self->fd, page_size, VALUE_B));
		ASSERT_EQ(0, region_unmap(self->fd, 0, page_size, 0));
		race_start(self, LOOKUP_DELAY, ACCESS_STORE);
		ASSERT_EQ(0, region_exchange(self->fd, 0, page_size,
					     page_size));
		race_end(self, LOOKUP_DELAY);
		ASSERT_EQ(0, self->other.result);
		first = get_byte(self->fd, 0);
		second = get_byte(self->fd, page_size);
		ASSERT_EQ(first, peek(self->addr)) TH_LOG("round %d", i);
		/* before: in what is second now; after: in what is first */
		ASSERT_EQ(first == VALUE_STORED ? VALUE_A : VALUE_STORED,
			  second);
	}
	EXPECT_OVERLAPS();
}

TEST_F_TIMEOUT(race, first_store_to_a_read_only_entry_during_an_exchange,
	       TIMEOUT)
{
	struct rounds rounds = rounds_begin(self->rounds);
	int i, first, second;

	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
		ASSERT_EQ(0, put_byte(self->fd, page_size, VALUE_B));
		ASSERT_EQ(0, region_unmap(self->fd, 0, page_size, 0));
		/* so that it is the store that has to be made possible */
		ASSERT_EQ(0, region_populate(self->fd, self->addr, page_size,
					     0));
		race_start(self, LOOKUP_DELAY, ACCESS_STORE);
		ASSERT_EQ(0, region_exchange(self->fd, 0, page_size,
					     page_size));
		race_end(self, LOOKUP_DELAY);
		ASSERT_EQ(0, self->other.result);
		first = get_byte(self->fd, 0);
		second = get_byte(self->fd, page_size);
		ASSERT_EQ(first, peek(self->addr)) TH_LOG("round %d", i);
		ASSERT_EQ(1, (first == VALUE_STORED) +
			     (second == VALUE_STORED));
	}
}

TEST_F_TIMEOUT(race, fault_during_an_alias_shows_the_new_page, TIMEOUT)
{
	struct rounds rounds = rounds_begin(self->rounds);
	int i;

	ASSERT_EQ(0, put_byte(self->fd, page_size, VALUE_B));
	for (i = 0; MEETS_GO_ON(&rounds, i); i++) {
		ASSERT_EQ(0, region_free(self->fd, 0, page_size));
		ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
		race_start(self, LOOKUP_DELAY, ACCESS_READ);
		ASSERT_EQ(0, region_alias(self->fd, page_size, 0, page_size));
		race_end(self, LOOKUP_DELAY);
		ASSERT_EQ(VALUE_B, peek(self->addr)) TH_LOG("round %d", i);
		ASSERT_EQ(1, region_pages(self->fd));
	}
	EXPECT_OVERLAPS();
}

TEST_F_TIMEOUT(race, fault_during_a_free_does_not_map_the_freed_page, TIMEOUT)
{
	struct rounds rounds = rounds_begin(self->rounds);
	int i;

	for (i = 0; MEETS_GO_ON(&rounds, i); i++) {
		ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
		ASSERT_EQ(0, region_unmap(self->fd, 0, page_size, 0));
		race_start(self, LOOKUP_DELAY, ACCESS_READ);
		ASSERT_EQ(0, region_free(self->fd, 0, page_size));
		race_end(self, LOOKUP_DELAY);
		ASSERT_EQ(0, peek(self->addr)) TH_LOG("round %d", i);
		/* what is mapped there now is the region's page */
		ASSERT_EQ(0, poke(self->addr, VALUE_B));
		ASSERT_EQ(VALUE_B, get_byte(self->fd, 0));
		ASSERT_EQ(1, region_pages(self->fd));
	}
	EXPECT_OVERLAPS();
}

TEST_F_TIMEOUT(race, store_during_a_free_is_kept_or_freed, TIMEOUT)
{
	struct rounds rounds = rounds_begin(self->rounds);
	int i, val;

	for (i = 0; MEETS_GO_ON(&rounds, i); i++) {
		ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
		ASSERT_EQ(0, region_unmap(self->fd, 0, page_size, 0));
		race_start(self, LOOKUP_DELAY, ACCESS_STORE);
		ASSERT_EQ(0, region_free(self->fd, 0, page_size));
		race_end(self, LOOKUP_DELAY);
		ASSERT_EQ(0, self->other.result);
		val = get_byte(self->fd, 0);
		ASSERT_TRUE(val == 0 || val == VALUE_STORED)
			TH_LOG("round %d: %d", i, val);
		ASSERT_EQ(val, peek(self->addr));
	}
	EXPECT_OVERLAPS();
}

TEST_F_TIMEOUT(race, fault_during_a_protect_gives_no_writable_entry, TIMEOUT)
{
	struct rounds rounds = rounds_begin(self->rounds);
	int i, val;

	for (i = 0; MEETS_GO_ON(&rounds, i); i++) {
		ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
		ASSERT_EQ(0, region_unmap(self->fd, 0, page_size, 0));
		race_start(self, LOOKUP_DELAY, i & 1 ? ACCESS_STORE :
						       ACCESS_READ);
		ASSERT_EQ(0, region_protect(self->fd, 0, page_size,
					    MMEXT_PROTECT_READ_ONLY));
		race_end(self, LOOKUP_DELAY);
		val = get_byte(self->fd, 0);
		ASSERT_TRUE(self->other.result != -SIGSEGV || val == VALUE_A);
		ASSERT_EQ(-SIGSEGV, poke(self->addr, VALUE_B))
			TH_LOG("round %d", i);
		ASSERT_EQ(val, peek(self->addr));
		ASSERT_EQ(0, region_protect(self->fd, 0, page_size, 0));
	}
	EXPECT_OVERLAPS();
}

TEST_F_TIMEOUT(race, populate_during_an_exchange_maps_the_new_page, TIMEOUT)
{
	struct rounds rounds = rounds_begin(self->rounds);
	int i;

	ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
	ASSERT_EQ(0, put_byte(self->fd, page_size, VALUE_B));
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(0, region_unmap(self->fd, 0, page_size, 0));
		race_start(self, LOOKUP_DELAY, ACCESS_POPULATE);
		ASSERT_EQ(0, region_exchange(self->fd, 0, page_size,
					     page_size));
		race_end(self, LOOKUP_DELAY);
		ASSERT_EQ(0, self->other.result);
		ASSERT_EQ(i & 1 ? VALUE_A : VALUE_B, peek(self->addr))
			TH_LOG("round %d", i);
	}
}

TEST_F_TIMEOUT(race, mapping_that_moves_during_an_exchange, TIMEOUT)
{
	struct rounds rounds = rounds_begin(ROUNDS / 2);
	int i;

	self->other.place = mmap(NULL, page_size, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->other.place);
	ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
	ASSERT_EQ(0, put_byte(self->fd, page_size, VALUE_B));
	self->wide = false;
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(i & 1 ? VALUE_B : VALUE_A, peek(self->other.addr));
		race_start(self, LOOKUP_DELAY, ACCESS_MOVE);
		ASSERT_EQ(0, region_exchange(self->fd, 0, page_size,
					     page_size));
		race_end(self, LOOKUP_DELAY);
		ASSERT_EQ(0, self->other.result);
		ASSERT_EQ(i & 1 ? VALUE_A : VALUE_B, peek(self->other.addr))
			TH_LOG("round %d", i);
	}
}

TEST_F_TIMEOUT(race, fault_during_a_revoke_ends_in_sigbus, TIMEOUT)
{
	struct rounds rounds = rounds_begin(self->wide ? WIDE_ROUNDS :
							 ROUNDS / 6);
	int i, fd;

	for (i = 0; MEETS_GO_ON(&rounds, i); i++) {
		fd = region_open();
		ASSERT_GE(fd, 0);
		self->other.addr = region_map(fd, page_size, 0);
		ASSERT_NE(MAP_FAILED, self->other.addr);
		ASSERT_EQ(0, put_byte(fd, 0, VALUE_A));
		race_start(self, LOOKUP_DELAY, ACCESS_READ);
		ASSERT_EQ(0, region_revoke(fd));
		race_end(self, LOOKUP_DELAY);
		ASSERT_EQ(-SIGBUS, peek(self->other.addr))
			TH_LOG("round %d", i);
		ASSERT_TRUE(self->other.result == VALUE_A ||
			    self->other.result == -SIGBUS);
		munmap(self->other.addr, page_size);
		close(fd);
	}
	self->other.addr = self->addr;
	EXPECT_OVERLAPS();
}

/*
 * The child gets a copy of the entries while they are taken out: it must have
 * none that was taken out before, and what it has must go, too.
 */
TEST_F_TIMEOUT(race, fork_during_an_exchange_copies_no_old_entry, TIMEOUT)
{
	struct rounds rounds = rounds_begin(25);
	size_t length = 64 * page_size, i;
	struct mmext_remap arg;
	char *addr;
	pid_t pid;
	int n;

	addr = region_map(self->fd, length, 0);
	ASSERT_NE(MAP_FAILED, addr);
	for (n = 0; rounds_go_on(&rounds, n); n++) {
		int go[2], done[2];
		char byte;

		ASSERT_EQ(0, pipe(go));
		ASSERT_EQ(0, pipe(done));
		fill(addr, length, n);
		/* the other process exchanges while this one forks */
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			pin(1);
			arg = (struct mmext_remap) {
				.size = sizeof(arg),
				.from = 0,
				.to = length / 2,
				.length = length / 2,
			};
			CHILD_CHECK(write(go[1], "x", 1) == 1);
			spin(next_random(&self->random) % 20000 * (n % 8));
			CHILD_CHECK(!call_all(self->fd, MMEXT_REMAP, &arg));
			CHILD_CHECK(write(done[1], "x", 1) == 1);
			_exit(0);
		}
		ASSERT_EQ(1, read(go[0], &byte, 1));
		for (i = 0; i < 3; i++) {
			pid_t copy = fork();

			ASSERT_GE(copy, 0);
			if (copy) {
				ASSERT_EQ(0, child_status(copy));
				continue;
			}
			/* both have their copy before the exchange is over */
			CHILD_CHECK(read(done[0], &byte, 1) == 1);
			CHILD_CHECK(write(done[1], "x", 1) == 1);
			for (i = 0; i < 64; i++)
				CHILD_CHECK((__u8)addr[i * page_size] ==
					    get_byte(self->fd,
						     i * page_size));
			_exit(0);
		}
		ASSERT_EQ(0, child_status(pid));
		close(go[0]);
		close(go[1]);
		close(done[0]);
		close(done[1]);
	}
	munmap(addr, length);
}

/*
 * Two that take the same entry out.  The second finds it gone, but not yet
 * flushed: it must not return before it is.
 */
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

static void *zapping_thread(void *arg)
{
	struct other *o = arg;
	int round;

	pin(0);
	for (round = 1; ; round++) {
		wait_for(&o->start, round);
		if (o->access == ACCESS_END)
			return NULL;
		store(&o->begun, round);
		o->result = region_zap(o->fd, o->addr, page_size);
		store(&o->done, round);
	}
}

FIXTURE(second)
{
	int fd;
	char *addr;
	struct other other;
	struct spinner spinner;
	pthread_t thread;
	pthread_t reader;
	bool wide;
	int rounds;
	int overlaps;
	int wanted;
};

BACKINGS(second);

FIXTURE_SETUP(second)
{
	struct mmext_info info;

	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->addr = region_map(self->fd, page_size, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
	ASSERT_EQ(0, put_byte(self->fd, page_size, VALUE_B));
	self->wide = delay_set(FLUSH_DELAY, 0);
	self->rounds = self->wide ? 2 * WIDE_ROUNDS : ROUNDS / 2;
	ASSERT_EQ(0, region_info(self->fd, &info));
	/* the kernel's own zap has no such gap to widen */
	self->wanted = self->wide && info.out_tlb != MMEXT_TLB_KERNEL ?
		       WIDE_ROUNDS : 0;
	self->other.fd = self->fd;
	self->other.addr = self->addr;
	self->spinner.addr = (volatile __u8 *)self->addr;
	pin(0);
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, zapping_thread,
				    &self->other));
	ASSERT_EQ(0, pthread_create(&self->reader, NULL, spinning_reader,
				    &self->spinner));
	wait_for(&self->spinner.running, 1);
}

FIXTURE_TEARDOWN(second)
{
	delay_set(FLUSH_DELAY, 0);
	self->other.access = ACCESS_END;
	store(&self->other.start, self->other.start + 1);
	EXPECT_EQ(0, pthread_join(self->thread, NULL));
	store(&self->spinner.end, 1);
	EXPECT_EQ(0, pthread_join(self->reader, NULL));
	munmap(self->addr, page_size);
	close(self->fd);
}

/* A ZAP is on its way, between the clearing and the flush if that is wide. */
static void zap_start(FIXTURE_DATA(second) *self)
{
	struct other *o = &self->other;

	if (self->wide)
		delay_set(FLUSH_DELAY, DELAY_US);
	store(&o->start, o->start + 1);
	wait_for(&o->begun, o->start);
	if (self->wide) {
		usleep(DELAY_US / 4);
		/* and no delay for what comes second */
		delay_set(FLUSH_DELAY, 0);
	}
}

static void zap_end(FIXTURE_DATA(second) *self, int expected)
{
	struct other *o = &self->other;
	struct spinner *s = &self->spinner;

	if (load(&o->done) != o->start)
		self->overlaps++;
	store(&s->expected, expected);
	store(&s->epoch, s->epoch + 1);
	wait_for(&s->ack, s->epoch);
	wait_for(&o->done, o->start);
}

TEST_F_TIMEOUT(second, exchange_does_not_overtake_a_zap, TIMEOUT)
{
	struct rounds rounds = rounds_begin(self->rounds);
	int i;

	for (i = 0; MEETS_GO_ON(&rounds, i); i++) {
		zap_start(self);
		ASSERT_EQ(0, region_exchange(self->fd, 0, page_size,
					     page_size));
		zap_end(self, i & 1 ? VALUE_A : VALUE_B);
		ASSERT_EQ(0, self->other.result);
		ASSERT_EQ(0, self->spinner.stale) TH_LOG("round %d", i);
	}
	EXPECT_OVERLAPS();
}

TEST_F_TIMEOUT(second, free_does_not_overtake_a_zap, TIMEOUT)
{
	struct rounds rounds = rounds_begin(self->rounds);
	int i;

	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
		/* the reader has what it is to lose */
		store(&self->spinner.expected, VALUE_A);
		store(&self->spinner.epoch, self->spinner.epoch + 1);
		wait_for(&self->spinner.ack, self->spinner.epoch);
		zap_start(self);
		ASSERT_EQ(0, region_free(self->fd, 0, page_size));
		zap_end(self, 0);
		ASSERT_EQ(0, self->spinner.stale) TH_LOG("round %d", i);
	}
}

/* The kernel takes entries out as well, and announces it in the same way. */
static void *protecting_thread(void *arg)
{
	struct other *o = arg;

	pin(0);
	while (!load(&o->done)) {
		mprotect(o->addr, page_size, PROT_NONE);
		mprotect(o->addr, page_size, PROT_READ | PROT_WRITE);
		store(&o->begun, 1);
	}
	return NULL;
}

TEST_F_TIMEOUT(race, mprotect_during_exchanges_leaves_the_new_page, TIMEOUT)
{
	struct rounds rounds = rounds_begin(200);
	struct other o = { .addr = self->addr };
	pthread_t thread;
	int i;

	ASSERT_EQ(0, put_byte(self->fd, 0, VALUE_A));
	ASSERT_EQ(0, put_byte(self->fd, page_size, VALUE_B));
	self->wide = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, protecting_thread, &o));
	wait_for(&o.begun, 1);
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		race_start(self, LOOKUP_DELAY, ACCESS_READ);
		ASSERT_EQ(0, region_exchange(self->fd, 0, page_size,
					     page_size));
		race_end(self, LOOKUP_DELAY);
	}
	store(&o.done, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	/* exchanged so many times */
	EXPECT_EQ(i % 2 ? VALUE_B : VALUE_A, peek(self->addr));
	EXPECT_EQ(i % 2 ? VALUE_B : VALUE_A, get_byte(self->fd, 0));
}

TEST_HARNESS_MAIN
