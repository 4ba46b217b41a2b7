// SPDX-License-Identifier: GPL-2.0
/*
 * Windows onto memory that the kernel moves about: KSM, migration, huge pages, swap,
 * writeback; and that others watch or bring.
 */
#include "mmext_gmap_window.h"

#include <linux/userfaultfd.h>

#include "modules/mmext_test_notifier.h"

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

/*
 * Tells where collapsing is impossible in this kernel for such memory: khugepaged is
 * waited for in vain once.
 */
static bool collapse(void *addr, size_t length)
{
	static bool in_vain;
	int i;

	if (!madvise(addr, length, MADV_COLLAPSE))
		return true;
	for (i = 0; i < 300 && !in_vain && !huge_bytes(addr); i++)
		usleep(10000);
	in_vain = !huge_bytes(addr);
	return !in_vain;
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
	for (i = 0; i < 4; i++) {
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
	for (i = 0; i < 3; i++) {
		madvise(self->host, LENGTH, MADV_PAGEOUT);
		swapped += pages_swapped(self->host, LENGTH);
		checker_wait(&self->checker);
	}
	CHECK_END();
	/* without anyone in the way: all of it, in by loads and by stores */
	madvise(self->host, LENGTH, MADV_PAGEOUT);
	/* what is shared has no entry that says so */
	if (self->kind != HOST_SHARED)
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

#define FURTHER		4

/*
 * Further notifiers, of this space's kind and another, while windows are mapped.  Those
 * of KVM are another test's, see gmap_kvm_test.c.
 */
TEST_F_TIMEOUT(window, further_notifiers_registered_meanwhile, 180)
{
	struct mmext_test_notifier watch = {
		.start = to_u64(self->host),
		.end = to_u64(self->host) + LENGTH / 2,
	};
	int watches[FURTHER], spaces[FURTHER], i;
	char *windows[FURTHER];

	NEED();
	thp_allow();
	madvise(self->host, LENGTH, MADV_HUGEPAGE);
	CHECK_BEGIN();
	for (i = 0; i < FURTHER; i++) {
		watches[i] = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);
		ASSERT_GE(watches[i], 0);
		ASSERT_EQ(0, call(watches[i], MMEXT_TEST_NOTIFIER_WATCH, &watch));
		spaces[i] = gmap_open();
		ASSERT_GE(spaces[i], 0);
		ASSERT_EQ(0, gmap_map(spaces[i], self->host, 0, LENGTH));
		windows[i] = window_map(spaces[i], LENGTH, 0);
		ASSERT_NE(MAP_FAILED, windows[i]);
		EXPECT_EQ(-1, window_differs(windows[i], self->host, LENGTH));
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
	for (i = 0; i < FURTHER; i++) {
		close(watches[i]);
		if (i & 1)
			munmap(windows[i], LENGTH);
		close(spaces[i]);
		madvise(self->host, LENGTH, MADV_COLLAPSE);
		if (!(i & 1))
			munmap(windows[i], LENGTH);
		checker_wait(&self->checker);
	}
	CHECK_END();
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

TEST_F_TIMEOUT(file, writeback_under_a_window_loses_no_store, 600)
{
	struct rounds rounds = gmap_rounds(8);
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
	for (i = 0; i < 4; i++) {
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

TEST_F_TIMEOUT(file, truncate_and_extend_under_a_window, 600)
{
	struct rounds rounds = gmap_rounds(20);
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

TEST_HARNESS_MAIN
