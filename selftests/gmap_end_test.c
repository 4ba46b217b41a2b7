// SPDX-License-Identifier: GPL-2.0
/*
 * Parents that end, are reaped or execute another program; and memory of this module
 * itself as a parent's: regions, windows.
 */
#include "mmext_gmap_window.h"

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
	unsigned int rest_us;
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
		if (c->rest_us)
			usleep(c->rest_us);
	}
	return NULL;
}

/* A fault in flight may be the last to have the memory of a parent that ended. */
static int peek_at_last(const char *addr)
{
	int i;

	for (i = 0; i < 2000 && peek(addr) >= 0; i++)
		usleep(5000);
	return peek(addr);
}

TEST_F_TIMEOUT(owner, ends_with_faults_in_flight, 180)
{
	struct rounds rounds = gmap_rounds(20);
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
		EXPECT_EQ(-SIGBUS, peek_at_last(self->window));
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
	struct rounds rounds = gmap_rounds(100);
	struct crowd c = { .window = self->window, .nr = 64 };
	pthread_t threads[2];
	int i, n, fd;

	NEED();
	fd = dup(self->owner->space);
	for (n = 0; n < 2; n++)
		ASSERT_EQ(0, pthread_create(&threads[n], NULL, crowd_thread,
					    &c));
	/* the threads may begin late */
	for (i = 0; rounds_until(&rounds, i, load(&c.good)); i++) {
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
	/* the reaper takes two seconds */
	struct crowd c = { .window = self->window, .nr = 64, .rest_us = 2000 };
	/* which the process that was forked before has as well */
	static char path[] = "/tmp/mmext-gmap-disk/file";
	char reaped[64];
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
	for (i = 0; i < 60 && !log_has(reaped); i++)
		usleep(500000);
	EXPECT_GT(60, i);
	/* it is there yet, but its memory is not */
	EXPECT_EQ(0, kill(self->owner->runner.pid, 0));
	if (variant->kind == HOST_ANON) {
		EXPECT_EQ(-SIGBUS, peek(WINDOW(100)));
		EXPECT_EQ(-SIGBUS, peek(WINDOW(1)));
	}
	ASSERT_EQ(0, ioctl(frozen, _IOWR('X', 120, int), 0));
	close(frozen);
	EXPECT_EQ(128 + SIGKILL, runner_stop(&self->owner->runner));
	EXPECT_EQ(-SIGBUS, peek_at_last(WINDOW(100)));
	EXPECT_EQ(-SIGBUS, peek_at_last(WINDOW(1)));
	/* it may have been resting */
	for (i = 0; i < 2000 && !load(&c.bus); i++)
		usleep(5000);
	store(&c.end, 1);
	pthread_join(thread, NULL);
	EXPECT_LT(0, c.bus);
	EXPECT_EQ(0, c.segv + c.other);
	close(self->owner->space);
	disk_umount(dir, image);
	for (i = 0; i < 100 && rmdir(GROUP); i++)
		usleep(20000);
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
	struct rounds rounds = gmap_rounds(200);
	int i, n, ret;
	__u32 a, b;

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
		/* it is not the parent's mapping that says so */
		ret = poke(WINDOW(n), 1);
		ASSERT_TRUE(ret == -SIGSEGV || ret == -SIGBUS)
			TH_LOG("round %d: %d", i, ret);
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
	window = region_map_aligned(other, LENGTH, 0);
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
	window = region_map_aligned(space, LENGTH, 0);
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

TEST_HARNESS_MAIN
