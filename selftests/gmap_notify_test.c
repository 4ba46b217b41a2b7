// SPDX-License-Identifier: GPL-2.0
/*
 * Events: pages of a guest space that are armed, and what is told of them before
 * the parent's entry changes, or of an access that was not allowed.
 */
#include "mmext_gmap.h"

#define GUEST		(16 * SEGMENT)
#define HOST_LENGTH	(2 * SEGMENT)

FIXTURE(notify)
{
	int fd;
	int events;
	int backing;
	char *host;
};

FIXTURE_SETUP(notify)
{
	self->fd = gmap_open();
	ASSERT_GE(self->fd, 0);
	self->backing = host_backing(HOST_SHARED, HOST_LENGTH);
	ASSERT_GE(self->backing, 0);
	self->host = place_alloc(HOST_LENGTH);
	ASSERT_EQ(self->host, host_map_at(HOST_SHARED, self->backing,
					  self->host, HOST_LENGTH, 0));
	fill(self->host, HOST_LENGTH, 1);
	ASSERT_EQ(0, gmap_map(self->fd, self->host, GUEST, HOST_LENGTH));
	self->events = gmap_events(self->fd, 0);
	ASSERT_GE(self->events, 0);
	ASSERT_EQ(0, fcntl(self->events, F_SETFL, O_NONBLOCK));
}

FIXTURE_TEARDOWN(notify)
{
	munmap(self->host, HOST_LENGTH);
	close(self->backing);
	close(self->events);
	close(self->fd);
}

#define HOST(n)		(self->host + (n) * page_size)
#define GADDR(n)	(GUEST + (n) * page_size)
#define ARMED()		gmap_stat_of(self->fd, out_armed)

/* How many there are to be read, at most @nr; a negative errno if there are none. */
static int events_read(int fd, struct mmext_gmap_event *events, int nr)
{
	ssize_t len = read(fd, events, nr * sizeof(*events));

	if (len < 0)
		return -errno;
	return len % sizeof(*events) ? -EBADMSG : (int)(len / sizeof(*events));
}

static bool has_events(int fd)
{
	struct pollfd fds = { .fd = fd, .events = POLLIN };

	return poll(&fds, 1, 0) == 1 && fds.revents & POLLIN;
}

/*
 * What there is to be read: how many events of the pages of a range, where each
 * has one at most; -1 if there is anything else.
 */
static int events_of(int fd, __u64 gaddr, size_t length, __u32 flags)
{
	struct mmext_gmap_event event;
	bool seen[HOST_LENGTH / 4096] = { false };
	int count = 0;
	size_t page;

	while (events_read(fd, &event, 1) == 1) {
		page = (event.gaddr - gaddr) / page_size;
		if (event.gaddr < gaddr || event.gaddr >= gaddr + length ||
		    event.gaddr % page_size || event.flags != flags ||
		    event.lost || seen[page]) {
			printf("# event at %#llx, flags %#x\n",
			       (unsigned long long)event.gaddr, event.flags);
			fflush(stdout);
			return -1;
		}
		seen[page] = true;
		count++;
	}
	return count;
}

#define EVENTS(n, nr)							\
	events_of(self->events, GADDR(n), (nr) * page_size, 0)

/* Arming */

TEST_F(notify, gmap_ipte_notify)
{
	EXPECT_EQ(0, gmap_notify(self->fd, GADDR(2), 3 * page_size, 0));
	EXPECT_EQ(3, ARMED());
	EXPECT_FALSE(has_events(self->events));
	EXPECT_EQ(-EAGAIN, events_read(self->events,
				       &(struct mmext_gmap_event){ 0 }, 1));
	/* faulted in, for a store */
	EXPECT_EQ(1, gmap_stat_of(self->fd, out_linked));
	ASSERT_EQ(0, munmap(HOST(0), 16 * page_size));
	EXPECT_EQ(3, EVENTS(2, 3));
	EXPECT_EQ(0, ARMED());
	EXPECT_EQ(3, gmap_stat_of(self->fd, out_events));
}

TEST_F(notify, range_is_checked)
{
	__u64 page = page_size;

	EXPECT_EQ(-EINVAL, gmap_notify(self->fd, GADDR(0) + 1, page, 0));
	EXPECT_EQ(-EINVAL, gmap_notify(self->fd, GADDR(0), page + 1, 0));
	EXPECT_EQ(-EINVAL, gmap_notify(self->fd, GADDR(0), 1, 0));
	EXPECT_EQ(-EOVERFLOW, gmap_notify(self->fd, -page, 2 * page, 0));
	EXPECT_EQ(-EINVAL, gmap_notify(self->fd, LIMIT + 1, page, 0));
	EXPECT_EQ(0, gmap_notify(self->fd, GADDR(0), 0, 0));
	EXPECT_EQ(-EINVAL, gmap_protect(self->fd, GADDR(0), page, 0));
	EXPECT_EQ(-EINVAL, gmap_protect(self->fd, GADDR(0), page,
					MMEXT_GMAP_PROTECT_NONE |
					MMEXT_GMAP_PROTECT_READ));
	EXPECT_EQ(-EINVAL, gmap_protect(self->fd, GADDR(0) + 1, page,
					MMEXT_GMAP_PROTECT_READ));
	EXPECT_EQ(0, gmap_protect(self->fd, GADDR(0), 0,
				  MMEXT_GMAP_PROTECT_READ));
	EXPECT_EQ(0, ARMED());
	EXPECT_EQ(0, gmap_stat_of(self->fd, out_linked));
}

TEST_F(notify, pages_before_an_error_stay_armed)
{
	__u64 done = 99;

	ASSERT_EQ(0, munmap(HOST(4), page_size));
	EXPECT_EQ(-EFAULT, gmap_notify_done(self->fd, GADDR(1), 8 * page_size,
					    0, &done));
	EXPECT_EQ(3 * page_size, done);
	EXPECT_EQ(3, ARMED());
	EXPECT_EQ(0, EVENTS(0, 16));
	ASSERT_EQ(0, madvise(HOST(0), 4 * page_size, MADV_DONTNEED));
	EXPECT_EQ(3, EVENTS(1, 3));
	/* a hole of the translation */
	ASSERT_EQ(0, gmap_unmap(self->fd, GUEST + SEGMENT, SEGMENT));
	EXPECT_EQ(-EFAULT, gmap_notify_done(self->fd,
					    GUEST + SEGMENT - 2 * page_size,
					    4 * page_size, 0, &done));
	EXPECT_EQ(2 * page_size, done);
	EXPECT_EQ(2, ARMED());
}

TEST_F(notify, read_only_page_is_efault_but_for_reading)
{
	ASSERT_EQ(0, mprotect(HOST(3), page_size, PROT_READ));
	EXPECT_EQ(-EFAULT, gmap_notify(self->fd, GADDR(3), page_size, 0));
	EXPECT_EQ(0, ARMED());
	EXPECT_EQ(0, gmap_notify(self->fd, GADDR(3), page_size,
				 MMEXT_GMAP_NOTIFY_READ));
	EXPECT_EQ(1, ARMED());
	ASSERT_EQ(0, mprotect(HOST(3), page_size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(1, EVENTS(3, 1));
}

/* To read a page in is no store, and makes no copy of one. */
TEST_F(notify, for_reading_stores_nothing)
{
	char *host = host_alloc(SEGMENT);
	pid_t pid;

	ASSERT_NE(NULL, host);
	ASSERT_EQ(0, gmap_map(self->fd, host, 0, SEGMENT));
	host[0] = 1;
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(0, gmap_notify(self->fd, 0, page_size,
				 MMEXT_GMAP_NOTIFY_READ));
	EXPECT_EQ(0, events_of(self->events, 0, page_size, 0));
	/* the store that breaks COW is what is told of */
	host[0] = 2;
	EXPECT_EQ(1, events_of(self->events, 0, page_size, 0));
	kill(pid, SIGKILL);
	child_status(pid);
	munmap(host, SEGMENT);
}

/* Events */

TEST_F(notify, is_told_once)
{
	int i;

	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), page_size, 0));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, madvise(HOST(0), page_size, MADV_DONTNEED));
		ASSERT_EQ(1, *HOST(0));
	}
	EXPECT_EQ(1, EVENTS(0, 1));
	/* until it is armed again; twice is once */
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), page_size, 0));
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), page_size, 0));
	EXPECT_EQ(1, ARMED());
	ASSERT_EQ(0, madvise(HOST(0), page_size, MADV_DONTNEED));
	EXPECT_EQ(1, EVENTS(0, 1));
	EXPECT_EQ(2, gmap_stat_of(self->fd, out_events));
}

TEST_F(notify, is_told_for_each_name_that_is_armed)
{
	struct mmext_gmap_event events[4];

	ASSERT_EQ(0, gmap_map(self->fd, self->host, 0, SEGMENT));
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(5), page_size, 0));
	ASSERT_EQ(0, madvise(HOST(5), page_size, MADV_DONTNEED));
	/* one of them is not armed */
	EXPECT_EQ(1, EVENTS(5, 1));
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(5), page_size, 0));
	ASSERT_EQ(0, gmap_notify(self->fd, 5 * page_size, page_size, 0));
	EXPECT_EQ(2, ARMED());
	ASSERT_EQ(0, madvise(HOST(5), page_size, MADV_DONTNEED));
	ASSERT_EQ(2, events_read(self->events, events, 4));
	EXPECT_EQ(GADDR(5) + 5 * page_size, events[0].gaddr + events[1].gaddr);
	EXPECT_NE(events[0].gaddr, events[1].gaddr);
	EXPECT_EQ(0, ARMED());
}

TEST_F(notify, is_of_pages_alone_that_are_armed)
{
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(1), page_size, 0));
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(9), page_size, 0));
	ASSERT_EQ(0, munmap(HOST(0), HOST_LENGTH / 2));
	EXPECT_EQ(2, EVENTS(1, 9));
	EXPECT_EQ(0, ARMED());
}

/* In whatever way the entry changes */
FIXTURE(change)
{
	FIXTURE_DATA(notify) base;
};

FIXTURE_VARIANT(change)
{
	void (*change)(FIXTURE_DATA(notify) *self, char *addr);
};

static void by_munmap(FIXTURE_DATA(notify) *self __unused, char *addr)
{
	munmap(addr, page_size);
}

static void by_mmap(FIXTURE_DATA(notify) *self __unused, char *addr)
{
	host_map_at(HOST_ANON, -1, addr, page_size, 0);
}

static void by_mprotect(FIXTURE_DATA(notify) *self __unused, char *addr)
{
	mprotect(addr, page_size, PROT_READ);
}

static void by_dontneed(FIXTURE_DATA(notify) *self __unused, char *addr)
{
	madvise(addr, page_size, MADV_DONTNEED);
}

static void by_mremap(FIXTURE_DATA(notify) *self __unused, char *addr)
{
	mremap(addr, page_size, page_size, MREMAP_MAYMOVE | MREMAP_FIXED,
	       place_alloc(SEGMENT));
}

static void by_truncate(FIXTURE_DATA(notify) *self, char *addr)
{
	if (ftruncate(self->backing, addr - self->host))
		perror("ftruncate");
}

static void by_hole(FIXTURE_DATA(notify) *self, char *addr)
{
	fallocate(self->backing, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		  addr - self->host, page_size);
}

static void by_pageout(FIXTURE_DATA(notify) *self __unused, char *addr)
{
	/* where it is the only mapping, and can go somewhere, or is clean */
	madvise(addr, page_size, 21);
	madvise(addr, page_size, MADV_DONTNEED);
}

static void by_discard(FIXTURE_DATA(notify) *self, char *addr)
{
	gmap_discard(self->fd, GUEST + (addr - self->host), page_size);
}

#define CHANGE(name)							\
	FIXTURE_VARIANT_ADD(change, name)				\
	{								\
		.change = by_##name,					\
	}

CHANGE(munmap);
CHANGE(mmap);
CHANGE(mprotect);
CHANGE(dontneed);
CHANGE(mremap);
CHANGE(truncate);
CHANGE(hole);
CHANGE(pageout);
CHANGE(discard);

FIXTURE_SETUP(change)
{
	notify_setup(_metadata, &self->base, NULL);
}

FIXTURE_TEARDOWN(change)
{
	notify_teardown(_metadata, &self->base, NULL);
}

TEST_F(change, ptep_notify)
{
	FIXTURE_DATA(notify) *base = &self->base;
	char *addr = base->host + 100 * page_size;

	ASSERT_EQ(0, gmap_notify(base->fd, GUEST + 100 * page_size, page_size,
				 0));
	ASSERT_EQ(0, events_of(base->events, GUEST, HOST_LENGTH, 0));
	variant->change(base, addr);
	EXPECT_EQ(1, events_of(base->events, GUEST + 100 * page_size,
			       page_size, 0));
	EXPECT_EQ(0, gmap_stat_of(base->fd, out_armed));
}

/*
 * The event is there before the change is: who sees the change finds the event.
 */
struct watcher {
	volatile char *addr;
	int events;
	int round;
	int ready;
	int done;
	int end;
	unsigned long late;
	unsigned long saw;
};

static void *watcher_thread(void *arg)
{
	struct watcher *w = arg;
	int round;

	pin(1);
	for (round = 1; ; round++) {
		wait_for(&w->round, round);
		if (load(&w->end))
			return NULL;
		store(&w->ready, round);
		while (*w->addr != 0)
			;
		if (!has_events(w->events))
			w->late++;
		w->saw++;
		store(&w->done, round);
	}
}

TEST_F_TIMEOUT(notify, is_told_before_the_change, 120)
{
	struct rounds rounds = gmap_rounds(300);
	char *host = host_alloc(SEGMENT);
	struct watcher w = { .addr = host, .events = self->events };
	pthread_t thread;
	int i;

	ASSERT_NE(NULL, host);
	ASSERT_EQ(0, gmap_map(self->fd, host, 0, SEGMENT));
	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, watcher_thread, &w));
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		*host = 1;
		ASSERT_EQ(0, gmap_notify(self->fd, 0, page_size, 0));
		store(&w.round, i + 1);
		wait_for(&w.ready, i + 1);
		ASSERT_EQ(0, madvise(host, page_size, MADV_DONTNEED));
		wait_for(&w.done, i + 1);
		ASSERT_EQ(1, events_of(self->events, 0, page_size, 0))
			TH_LOG("round %d", i);
	}
	store(&w.end, 1);
	store(&w.round, i + 1);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, w.late);
	EXPECT_EQ(i, w.saw);
	munmap(host, SEGMENT);
}

/*
 * A page that is armed, and changes: there is no change without an event.  There is
 * some time between two changes, now more and now less: without, arming hardly ever
 * gets between them.
 */
struct changer {
	char *addr;
	int end;
	unsigned long changes;
};

static void *change_on(void *arg)
{
	struct changer *c = arg;
	__u32 random = run_seed();

	pin(1);
	while (!load(&c->end)) {
		madvise(c->addr, page_size, MADV_DONTNEED);
		store(&c->changes, c->changes + 1);
		spin(next_random(&random) % 20000);
	}
	return NULL;
}

TEST_F_TIMEOUT(notify, armed_while_it_changes_is_told_of, 120)
{
	struct rounds rounds = gmap_rounds(1000);
	struct changer c = { .addr = self->host };
	struct mmext_gmap_event events[16];
	unsigned long changes;
	pthread_t thread;
	int i, n;

	ASSERT_EQ(0, pthread_create(&thread, NULL, change_on, &c));
	pin(0);
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), page_size, 0));
		/* a whole change after it was armed */
		changes = load(&c.changes);
		while (load(&c.changes) < changes + 2)
			;
		n = events_read(self->events, events, 16);
		ASSERT_EQ(1, n) TH_LOG("round %d", i);
		ASSERT_EQ(GADDR(0), events[0].gaddr);
	}
	store(&c.end, 1);
	pthread_join(thread, NULL);
}

/* The descriptors */

TEST_F(notify, gmap_register_ipte_notifier)
{
	int other = gmap_events(self->fd, 16);

	ASSERT_GE(other, 0);
	EXPECT_EQ(FD_CLOEXEC, fcntl(other, F_GETFD));
	ASSERT_EQ(0, fcntl(other, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), 4 * page_size, 0));
	ASSERT_EQ(0, madvise(HOST(0), 4 * page_size, MADV_DONTNEED));
	/* each has every one */
	EXPECT_EQ(4, EVENTS(0, 4));
	EXPECT_EQ(4, events_of(other, GADDR(0), 4 * page_size, 0));
	/* but what was before it came */
	close(other);
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), page_size, 0));
	ASSERT_EQ(0, madvise(HOST(0), page_size, MADV_DONTNEED));
	other = gmap_events(self->fd, 16);
	ASSERT_GE(other, 0);
	EXPECT_FALSE(has_events(other));
	EXPECT_TRUE(has_events(self->events));
	close(other);
}

/* After it is unregistered nothing is told, and nobody waits for ever. */
struct registrar {
	int fd;
	int end;
	unsigned long rounds;
	unsigned long events;
	unsigned long failed;
};

static void *register_on(void *arg)
{
	struct registrar *r = arg;
	struct mmext_gmap_event events[8];
	int fd, n;

	while (!load(&r->end)) {
		fd = gmap_events(r->fd, 8);
		if (fd < 0) {
			r->failed++;
			continue;
		}
		fcntl(fd, F_SETFL, O_NONBLOCK);
		usleep(r->rounds % 300);
		n = events_read(fd, events, 8);
		if (n > 0)
			r->events += n;
		close(fd);
		store(&r->rounds, r->rounds + 1);
	}
	return NULL;
}

TEST_F_TIMEOUT(notify, gmap_unregister_ipte_notifier, 120)
{
	struct rounds rounds = gmap_rounds(3000);
	struct registrar r = { .fd = self->fd };
	unsigned long mine = 0;
	pthread_t thread;
	int i, n;

	ASSERT_EQ(0, pthread_create(&thread, NULL, register_on, &r));
	for (i = 0; rounds_until(&rounds, i, load(&r.rounds) > 2); i++) {
		ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), 8 * page_size, 0));
		ASSERT_EQ(0, madvise(HOST(0), 8 * page_size, MADV_DONTNEED));
		n = EVENTS(0, 8);
		ASSERT_EQ(8, n) TH_LOG("round %d", i);
		mine += n;
	}
	store(&r.end, 1);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.failed);
	EXPECT_LT(2, r.rounds);
	EXPECT_EQ(mine, gmap_stat_of(self->fd, out_events));
	printf("# %lu times registered, %lu events there\n", r.rounds,
	       r.events);
}

TEST_F(notify, room_for_events_is_1_to_65536)
{
	static const __u32 good[] = { 0, 1, 2, 1024, 65536 };
	static const __u32 bad[] = { 65537, 1 << 20, ~0U };
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		fd = gmap_events(self->fd, good[i]);
		EXPECT_GE(fd, 0);
		close(fd);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(-EINVAL, gmap_events(self->fd, bad[i]));
}

TEST_F(notify, what_there_is_no_room_for_is_counted)
{
	struct mmext_gmap_event events[64];
	int fd = gmap_events(self->fd, 4), n, i, overflows = 0;
	unsigned int told = 0, lost = 0;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), 16 * page_size, 0));
	ASSERT_EQ(0, munmap(HOST(0), 16 * page_size));
	while ((n = events_read(fd, events, 64)) > 0) {
		for (i = 0; i < n; i++) {
			if (events[i].flags & MMEXT_GMAP_EVENT_OVERFLOW) {
				EXPECT_EQ(MMEXT_GMAP_EVENT_OVERFLOW,
					  events[i].flags);
				EXPECT_EQ(0, events[i].gaddr);
				EXPECT_LT(0, events[i].lost);
				lost += events[i].lost;
				overflows++;
			} else {
				EXPECT_EQ(0, events[i].flags);
				EXPECT_EQ(0, events[i].lost);
				told++;
			}
		}
	}
	EXPECT_EQ(-EAGAIN, n);
	EXPECT_EQ(1, overflows);
	EXPECT_EQ(16, told + lost);
	EXPECT_LE(3, told);
	EXPECT_GE(4, told);
	/* the one that has room has them all, and it goes on */
	EXPECT_EQ(16, EVENTS(0, 16));
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(20), 2 * page_size, 0));
	ASSERT_EQ(0, munmap(HOST(20), 2 * page_size));
	EXPECT_EQ(2, events_of(fd, GADDR(20), 2 * page_size, 0));
	close(fd);
}

TEST_F(notify, read_gives_whole_elements)
{
	struct mmext_gmap_event events[4];

	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), 4 * page_size, 0));
	ASSERT_EQ(0, munmap(HOST(0), 4 * page_size));
	EXPECT_EQ(-1, read(self->events, events, sizeof(*events) - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, syscall(SYS_read, self->events, 0UL, sizeof(*events)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(sizeof(*events), read(self->events, events,
					2 * sizeof(*events) - 1));
	EXPECT_EQ(2 * sizeof(*events), read(self->events, events,
					    2 * sizeof(*events)));
	EXPECT_EQ(sizeof(*events), read(self->events, events,
					sizeof(events)));
	EXPECT_EQ(-1, read(self->events, events, sizeof(events)));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(-1, write(self->events, events, sizeof(*events)));
}

static void *change_later(void *arg)
{
	usleep(50000);
	madvise(arg, page_size, MADV_DONTNEED);
	return NULL;
}

TEST_F(notify, read_and_poll_wait)
{
	struct pollfd fds = { .fd = self->events, .events = POLLIN };
	struct mmext_gmap_event event;
	pthread_t thread;

	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), page_size, 0));
	EXPECT_EQ(0, poll(&fds, 1, 10));
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_later, self->host));
	EXPECT_EQ(1, poll(&fds, 1, 10000));
	EXPECT_EQ(POLLIN, fds.revents & ~POLLRDNORM);
	pthread_join(thread, NULL);
	EXPECT_EQ(1, EVENTS(0, 1));
	EXPECT_EQ(0, poll(&fds, 1, 0));
	/* a read that is asleep */
	ASSERT_EQ(0, fcntl(self->events, F_SETFL, 0));
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), page_size, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_later, self->host));
	EXPECT_EQ(1, events_read(self->events, &event, 1));
	EXPECT_EQ(GADDR(0), event.gaddr);
	pthread_join(thread, NULL);
}

static long run_munmap(int sock __unused, void *arg)
{
	struct owner *o = arg;

	return munmap(o->host, 4 * page_size);
}

TEST_F(notify, parent_that_exits_hangs_up)
{
	struct owner *owner = owner_start(HOST_SHARED);
	struct mmext_gmap_event events[8];
	struct pollfd fds = { .events = POLLIN };
	int fd, n, total = 0;

	ASSERT_NE(NULL, owner);
	fd = gmap_events(owner->space, 0);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, gmap_notify(owner->space, 0, 8 * page_size, 0));
	ASSERT_EQ(0, runner_do(&owner->runner, run_munmap, owner));
	EXPECT_EQ(0, owner_stop(owner));
	fds.fd = fd;
	EXPECT_EQ(1, poll(&fds, 1, 10000));
	EXPECT_TRUE(fds.revents & POLLHUP);
	EXPECT_TRUE(fds.revents & POLLIN);
	/* what there was is read first; then it is the end */
	while ((n = events_read(fd, events, 8)) > 0)
		total += n;
	EXPECT_EQ(0, n);
	EXPECT_LE(4, total);
	EXPECT_GE(8, total);
	EXPECT_EQ(0, events_read(fd, events, 8));
	EXPECT_EQ(1, poll(&fds, 1, 0));
	EXPECT_TRUE(fds.revents & POLLHUP);
	close(fd);
}

TEST_F(notify, events_outlive_the_spaces_descriptor)
{
	int fd = gmap_open(), events;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, gmap_map(fd, self->host, 0, SEGMENT));
	ASSERT_EQ(0, gmap_notify(fd, 0, page_size, 0));
	events = gmap_events(fd, 4);
	ASSERT_GE(events, 0);
	ASSERT_EQ(0, fcntl(events, F_SETFL, O_NONBLOCK));
	close(fd);
	madvise(self->host, page_size, MADV_DONTNEED);
	/* whether it is told of that or not, it does no harm */
	EXPECT_LE(0, events_of(events, 0, page_size, 0));
	close(events);
}

/* What no guest page names any more is nobody's to be told of. */
TEST_F(notify, unmapped_is_told_of_no_more)
{
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(0), 2 * page_size, 0));
	ASSERT_EQ(0, gmap_unmap(self->fd, GUEST, SEGMENT));
	events_of(self->events, GUEST, SEGMENT, 0);
	ASSERT_EQ(0, madvise(HOST(0), SEGMENT, MADV_DONTNEED));
	EXPECT_EQ(0, EVENTS(0, 2));
}

/* Several spaces of one parent: each has its own events. */
TEST_F(notify, is_told_to_every_space)
{
	int other = gmap_open(), events;

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, gmap_map(other, self->host, 0, SEGMENT));
	events = gmap_events(other, 0);
	ASSERT_GE(events, 0);
	ASSERT_EQ(0, fcntl(events, F_SETFL, O_NONBLOCK));
	ASSERT_EQ(0, gmap_notify(self->fd, GADDR(3), page_size, 0));
	ASSERT_EQ(0, gmap_notify(other, 3 * page_size, page_size, 0));
	ASSERT_EQ(0, gmap_notify(other, 4 * page_size, page_size, 0));
	ASSERT_EQ(0, madvise(HOST(0), 16 * page_size, MADV_DONTNEED));
	EXPECT_EQ(1, EVENTS(3, 1));
	EXPECT_EQ(2, events_of(events, 3 * page_size, 2 * page_size, 0));
	close(events);
	close(other);
}

/* PROTECT: an access is an event as well. */

#define ACCESSES(n, nr)							\
	events_of(self->events, GADDR(n), (nr) * page_size,		\
		  MMEXT_GMAP_EVENT_ACCESS)

TEST_F(notify, protect_none_is_told_of_a_load)
{
	char *window;

	NEED_WINDOWS();
	window = window_map(self->fd, HOST_LENGTH, GUEST);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(1, peek(window));
	ASSERT_EQ(0, gmap_protect(self->fd, GADDR(0), 4 * page_size,
				  MMEXT_GMAP_PROTECT_NONE));
	EXPECT_EQ(4, ARMED());
	EXPECT_EQ(0, ACCESSES(0, 4));
	/* which goes on */
	EXPECT_EQ(1, peek(window));
	EXPECT_EQ(1, ACCESSES(0, 1));
	EXPECT_EQ(0, poke(window + page_size, 7));
	EXPECT_EQ(7, *HOST(1));
	EXPECT_EQ(1, ACCESSES(1, 1));
	EXPECT_EQ(2, ARMED());
	/* once */
	EXPECT_EQ(1, peek(window));
	EXPECT_EQ(0, poke(window, 1));
	EXPECT_EQ(0, ACCESSES(0, 4));
	/* what the parent does itself is no access of this kind */
	*HOST(2) = 9;
	EXPECT_EQ(0, ACCESSES(0, 4));
	ASSERT_EQ(0, madvise(HOST(2), page_size, MADV_DONTNEED));
	EXPECT_EQ(1, EVENTS(2, 1));
	munmap(window, HOST_LENGTH);
}

TEST_F(notify, protect_read_is_told_of_a_store)
{
	char *window;

	NEED_WINDOWS();
	window = window_map(self->fd, HOST_LENGTH, GUEST);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(0, poke(window, 1));
	ASSERT_EQ(0, gmap_protect(self->fd, GADDR(0), 4 * page_size,
				  MMEXT_GMAP_PROTECT_READ));
	EXPECT_EQ(1, peek(window));
	EXPECT_EQ(2, peek(window + page_size));
	EXPECT_EQ(0, ACCESSES(0, 4));
	EXPECT_EQ(0, poke(window + page_size, 7));
	EXPECT_EQ(7, *HOST(1));
	EXPECT_EQ(1, ACCESSES(1, 1));
	EXPECT_EQ(0, poke(window + page_size, 8));
	EXPECT_EQ(0, ACCESSES(1, 1));
	EXPECT_EQ(3, ARMED());
	munmap(window, HOST_LENGTH);
}

TEST_F(notify, protect_read_is_told_of_a_store_beside_which_was_another)
{
	char *window;

	NEED_WINDOWS();
	window = window_map(self->fd, HOST_LENGTH, GUEST);
	ASSERT_NE(MAP_FAILED, window);
	ASSERT_EQ(0, gmap_protect(self->fd, GADDR(1), page_size,
				  MMEXT_GMAP_PROTECT_READ));
	EXPECT_EQ(0, poke(window, 1));
	EXPECT_EQ(0, poke(window + 2 * page_size, 1));
	EXPECT_EQ(0, ACCESSES(0, 3));
	EXPECT_EQ(1, ARMED());
	EXPECT_EQ(0, poke(window + page_size, 7));
	EXPECT_EQ(1, ACCESSES(1, 1));
	EXPECT_EQ(7, *HOST(1));
	munmap(window, HOST_LENGTH);
}

TEST_F(notify, protect_is_told_of_fault_and_write)
{
	char byte = 5;

	ASSERT_EQ(0, gmap_protect(self->fd, GADDR(0), 4 * page_size,
				  MMEXT_GMAP_PROTECT_READ));
	EXPECT_EQ(0, gmap_fault(self->fd, GADDR(0), page_size, 0));
	EXPECT_EQ(0, ACCESSES(0, 4));
	EXPECT_EQ(0, gmap_fault(self->fd, GADDR(0), page_size,
				MMEXT_GMAP_FAULT_WRITE));
	EXPECT_EQ(1, ACCESSES(0, 1));
	EXPECT_EQ(1, pwrite(self->fd, &byte, 1, GADDR(1) + 3));
	EXPECT_EQ(1, ACCESSES(1, 1));
	EXPECT_EQ(5, HOST(1)[3]);
	ASSERT_EQ(0, gmap_protect(self->fd, GADDR(0), 4 * page_size,
				  MMEXT_GMAP_PROTECT_NONE));
	EXPECT_EQ(0, gmap_fault(self->fd, GADDR(2), page_size, 0));
	EXPECT_EQ(1, ACCESSES(2, 1));
	EXPECT_EQ(3, ARMED());
}

TEST_F(notify, protect_read_is_of_a_read_only_page_too)
{
	ASSERT_EQ(0, mprotect(HOST(3), page_size, PROT_READ));
	EXPECT_EQ(0, gmap_protect(self->fd, GADDR(3), page_size,
				  MMEXT_GMAP_PROTECT_READ));
	EXPECT_EQ(1, ARMED());
}

/* Many threads store to what is protected: each page has one event, and no more. */
struct storer {
	char *window;
	int from;
	int start;
	int done;
	int end;
};

static void *storer_thread(void *arg)
{
	struct storer *s = arg;
	int round, i;

	pin(1);
	for (round = 1; ; round++) {
		wait_for(&s->start, round);
		if (load(&s->end))
			return NULL;
		for (i = 0; i < 32; i++)
			s->window[i * page_size + 8] = round;
		store(&s->done, round);
	}
}

TEST_F_TIMEOUT(notify, protect_is_told_once_by_two_threads, 120)
{
	struct rounds rounds = gmap_rounds(300);
	struct storer s = { 0 };
	pthread_t thread;
	int i, n;

	NEED_WINDOWS();
	s.window = window_map(self->fd, HOST_LENGTH, GUEST);
	ASSERT_NE(MAP_FAILED, s.window);
	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, storer_thread, &s));
	for (i = 1; rounds_go_on(&rounds, i); i++) {
		ASSERT_EQ(0, gmap_protect(self->fd, GADDR(0), 32 * page_size,
					  MMEXT_GMAP_PROTECT_READ));
		store(&s.start, i);
		for (n = 0; n < 32; n++)
			s.window[n * page_size + 16] = i;
		wait_for(&s.done, i);
		ASSERT_EQ(32, ACCESSES(0, 32)) TH_LOG("round %d", i);
		ASSERT_EQ(0, ARMED());
		ASSERT_EQ((char)i, HOST(31)[8]);
		ASSERT_EQ((char)i, HOST(31)[16]);
	}
	store(&s.end, 1);
	store(&s.start, i);
	pthread_join(thread, NULL);
	munmap(s.window, HOST_LENGTH);
}

/* A space that goes while an invalidation is at what it has armed. */
struct closer {
	int fd;
	int start;
	unsigned int later;
};

static void *close_fd(void *arg)
{
	struct closer *c = arg;

	pin(1);
	store(&c->start, 1);
	wait_for(&c->start, 2);
	spin(c->later);
	close(c->fd);
	return NULL;
}

TEST_F_TIMEOUT(notify, closed_while_armed_pages_change, 120)
{
	struct rounds rounds = gmap_rounds(300);
	struct closer c;
	pthread_t thread;
	int i;

	pin(0);
	for (i = 0; rounds_go_on(&rounds, i) || i < 20; i++) {
		c.fd = gmap_open();
		ASSERT_LE(0, c.fd);
		ASSERT_EQ(0, gmap_map(c.fd, HOST(0), GUEST, HOST_LENGTH));
		ASSERT_EQ(0, gmap_notify(c.fd, GUEST, 256 * page_size, 0));
		c.start = 0;
		c.later = i % 20 * 1000;
		ASSERT_EQ(0, pthread_create(&thread, NULL, close_fd, &c));
		wait_for(&c.start, 1);
		store(&c.start, 2);
		ASSERT_EQ(HOST(0), host_map_at(HOST_SHARED, self->backing,
					       HOST(0), 256 * page_size, 0));
		pthread_join(thread, NULL);
	}
}

TEST_HARNESS_MAIN
