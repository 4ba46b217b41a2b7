// SPDX-License-Identifier: GPL-2.0
/*
 * Regions of pages with references: they can be pinned and mapped privately.
 * What both backings do is in the other tests, a variant each.
 */
#include "mmext_selftest.h"
#include "modules/mmext_test_notifier.h"

#include <linux/futex.h>
#include <linux/io_uring.h>

#define NR_PAGES	8

/* A disk of the machine's, to read from without the page cache. */
#define DISK		"/dev/vda"

FIXTURE(page)
{
	int fd;
	size_t length;
	char *addr;
};

FIXTURE_SETUP(page)
{
	region_backing = MMEXT_BACKING_PAGE;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(page)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

#define PAGE(n)	(self->addr + (n) * page_size)

static char *map_private(int fd, size_t length)
{
	return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
}

/* The dirty log's first 64 pages, as it was left. */
static __u64 marks_of(int fd)
{
	__u64 marks = 0;
	int ret = dirty_call(fd, MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR, 0,
			     64 * page_size, &marks, 0);

	return ret ? ~0ULL : marks;
}

TEST_F(page, backing_is_what_info_and_fdinfo_say)
{
	char path[64], text[512];
	struct mmext_info info;

	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(MMEXT_BACKING_PAGE, info.out_backing);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	ASSERT_EQ(0, file_read_all(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "mmext-backing:\tpage\n"));
}

/* Pinning */

TEST_F(page, process_vm_calls_read_and_write_it)
{
	char buf[16] = "";
	struct iovec local = { .iov_base = buf, .iov_len = sizeof(buf) };
	struct iovec remote = {
		.iov_base = PAGE(1) - 8,
		.iov_len = sizeof(buf),
	};

	memcpy(PAGE(1) - 8, "across two pages", 16);
	EXPECT_EQ(16, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(0, memcmp(buf, "across two pages", 16));
	memcpy(buf, "and back into it", 16);
	EXPECT_EQ(16, process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(0, memcmp(PAGE(1) - 8, "and back into it", 16));
}

TEST_F(page, direct_io_reads_the_bytes_of_a_disk)
{
	int direct = open(DISK, O_RDONLY | O_DIRECT | O_CLOEXEC);
	int cached = open(DISK, O_RDONLY | O_CLOEXEC);
	char *want = malloc(self->length);

	ASSERT_GE(direct, 0);
	ASSERT_GE(cached, 0);
	ASSERT_EQ(self->length, pread(cached, want, self->length, 0));
	/* the first half has pages already, the other has holes */
	memset(self->addr, 0xa5, self->length / 2);
	EXPECT_EQ(self->length, pread(direct, self->addr, self->length, 0));
	EXPECT_EQ(0, memcmp(want, self->addr, self->length));
	/* and where it is not mapped */
	memset(self->addr, 0, self->length);
	EXPECT_EQ(self->length, pread(direct, self->addr, self->length, 0));
	ASSERT_EQ(self->length, pread(self->fd, want, self->length, 0));
	EXPECT_EQ(0, memcmp(want, self->addr, self->length));
	free(want);
	close(direct);
	close(cached);
}

TEST_F(page, direct_io_into_a_protected_range_is_refused)
{
	int direct = open(DISK, O_RDONLY | O_DIRECT | O_CLOEXEC);

	ASSERT_GE(direct, 0);
	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, region_protect(self->fd, 0, self->length,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(-1, pread(direct, self->addr, self->length, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	close(direct);
}

struct ring {
	int fd;
	struct io_uring_params params;
	char *sq;
	char *cq;
	struct io_uring_sqe *sqes;
};

static int ring_open(struct ring *ring)
{
	struct io_uring_params *p = &ring->params;

	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(__NR_io_uring_setup, 4, p);
	if (ring->fd < 0)
		return -errno;
	ring->sq = mmap(NULL, p->sq_off.array + p->sq_entries * sizeof(__u32),
			PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			IORING_OFF_SQ_RING);
	ring->cq = mmap(NULL, p->cq_off.cqes +
			p->cq_entries * sizeof(struct io_uring_cqe),
			PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			IORING_OFF_CQ_RING);
	ring->sqes = mmap(NULL, p->sq_entries * sizeof(*ring->sqes),
			  PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			  IORING_OFF_SQES);
	return ring->sq == MAP_FAILED || ring->cq == MAP_FAILED ||
	       ring->sqes == MAP_FAILED ? -ENOMEM : 0;
}

/* The one operation in sqes[0]; its result. */
static int ring_do(struct ring *ring)
{
	__u32 *tail = (__u32 *)(ring->sq + ring->params.sq_off.tail);
	__u32 *head = (__u32 *)(ring->cq + ring->params.cq_off.head);
	__u32 *array = (__u32 *)(ring->sq + ring->params.sq_off.array);
	struct io_uring_cqe *cqes =
		(struct io_uring_cqe *)(ring->cq + ring->params.cq_off.cqes);
	__u32 at = *head & (ring->params.cq_entries - 1);
	int ret;

	array[*tail & (ring->params.sq_entries - 1)] = 0;
	store(tail, *tail + 1);
	ret = syscall(__NR_io_uring_enter, ring->fd, 1, 1,
		      IORING_ENTER_GETEVENTS, NULL, 0);
	if (ret != 1)
		return -errno;
	ret = cqes[at].res;
	store(head, *head + 1);
	return ret;
}

TEST_F(page, io_uring_reads_into_it)
{
	int direct = open(DISK, O_RDONLY | O_DIRECT | O_CLOEXEC);
	int cached = open(DISK, O_RDONLY | O_CLOEXEC);
	struct iovec iov = {
		.iov_base = self->addr,
		.iov_len = self->length,
	};
	char *want = malloc(self->length);
	struct ring ring;

	ASSERT_GE(direct, 0);
	ASSERT_GE(cached, 0);
	ASSERT_EQ(self->length, pread(cached, want, self->length, 0));
	ASSERT_EQ(0, ring_open(&ring));
	memset(ring.sqes, 0, sizeof(*ring.sqes));
	ring.sqes->opcode = IORING_OP_READV;
	ring.sqes->fd = direct;
	ring.sqes->addr = (uintptr_t)&iov;
	ring.sqes->len = 1;
	EXPECT_EQ(self->length, ring_do(&ring));
	EXPECT_EQ(0, memcmp(want, self->addr, self->length));
	free(want);
	close(ring.fd);
	close(direct);
	close(cached);
}

/*
 * To pin memory of a file for writing and for good is refused: by io_uring for
 * every file but tmpfs's at first, and later (6.5) by get_user_pages() for
 * every mapping whose owner wants to know of stores.
 */
TEST_F(page, io_uring_takes_no_buffer_of_it_for_good)
{
	struct iovec iov = {
		.iov_base = self->addr,
		.iov_len = self->length,
	};
	struct ring ring;

	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, ring_open(&ring));
	EXPECT_EQ(-1, syscall(__NR_io_uring_register, ring.fd,
			      IORING_REGISTER_BUFFERS, &iov, 1));
	EXPECT_TRUE(errno == EOPNOTSUPP || errno == EFAULT);
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	close(ring.fd);
}

/* A pipe that has a page of the region, which says so. */
static int splice_page(char *addr, int fds[2])
{
	struct iovec iov = { .iov_base = addr, .iov_len = page_size };

	strcpy(addr, "pinned");
	return pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != (ssize_t)page_size;
}

/* Does the pipe still give what the page said? */
static bool spliced_is_pinned(int fds[2])
{
	char buf[32] = "";
	ssize_t nr = read(fds[0], buf, sizeof(buf));

	close(fds[0]);
	close(fds[1]);
	return nr == sizeof(buf) && !strcmp(buf, "pinned");
}

TEST_F(page, a_spliced_page_outlives_the_offset)
{
	int fds[2];

	ASSERT_EQ(0, splice_page(self->addr, fds));
	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	EXPECT_EQ(0, region_pages(self->fd));
	EXPECT_EQ(0, self->addr[0]);
	strcpy(self->addr, "new");
	EXPECT_TRUE(spliced_is_pinned(fds));
	EXPECT_STREQ("new", self->addr);
}

TEST_F(page, a_spliced_page_outlives_the_region)
{
	int fds[2];

	ASSERT_EQ(0, splice_page(self->addr, fds));
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(-SIGBUS, peek(self->addr));
	close(self->fd);
	munmap(self->addr, self->length);
	EXPECT_TRUE(spliced_is_pinned(fds));
}

static long futex(__u32 *addr, int op, __u32 val)
{
	struct timespec timeout = { .tv_sec = 100 };

	return syscall(__NR_futex, addr, op, val, &timeout, NULL, 0);
}

/* Wait for 1 at another mapping of the page, after it is at another offset. */
TEST_F(page, processes_share_a_futex)
{
	int *told = shared_alloc(page_size);
	__u32 *here = (__u32 *)PAGE(3);
	int woken = 0, i;
	pid_t pid;

	*here = 7;
	ASSERT_EQ(0, region_exchange(self->fd, 3 * page_size, 0, page_size));
	here = (__u32 *)PAGE(0);
	ASSERT_EQ(7, *here);
	pid = fork();
	if (!pid) {
		char *addr = region_map(self->fd, self->length, 0);

		CHILD_CHECK(addr != MAP_FAILED);
		store(told, 1);
		CHILD_CHECK(!futex((__u32 *)addr, FUTEX_WAIT, 7));
		_exit(0);
	}
	wait_for(told, 1);
	/* the one of another page has nobody waiting */
	for (i = 0; i < 60000 && !woken; i++) {
		EXPECT_EQ(0, futex((__u32 *)PAGE(3), FUTEX_WAKE, 1));
		woken = futex(here, FUTEX_WAKE, 1);
		usleep(1000);
	}
	EXPECT_EQ(1, woken);
	EXPECT_EQ(0, child_status(pid));
}

/* What the kernel counts */

/* Kilobytes of a line of smaps, of the mapping at an address. */
static long smaps_kb(const void *addr, const char *key)
{
	bool here = false;
	unsigned long start, end;
	char line[256];
	long kb = -1;
	FILE *file = fopen("/proc/self/smaps", "re");

	while (file && kb < 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)addr;
		if (here && !strncmp(line, key, strlen(key)))
			kb = strtol(line + strlen(key) + 1, NULL, 10);
	}
	fclose(file);
	return kb;
}

static long number_of(const char *path, const char *key)
{
	size_t len = strlen(key);
	long val = -1;
	char line[256];
	FILE *file = fopen(path, "re");

	while (file && val < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, len))
			val = strtol(line + len + 1, NULL, 10);
	fclose(file);
	return val;
}

TEST_F(page, entries_count_as_resident)
{
	long kb = page_size / KIB;

	fill(self->addr, 4 * page_size, 1);
	EXPECT_EQ(4 * kb, smaps_kb(self->addr, "Rss:"));
	EXPECT_EQ(4 * kb, smaps_kb(self->addr, "Private_Dirty:"));
	EXPECT_EQ(0, smaps_kb(self->addr, "Anonymous:"));
	ASSERT_EQ(0, region_zap(self->fd, self->addr, page_size));
	EXPECT_EQ(3 * kb, smaps_kb(self->addr, "Rss:"));
	ASSERT_EQ(0, region_unmap(self->fd, 0, 2 * page_size, 0));
	EXPECT_EQ(2 * kb, smaps_kb(self->addr, "Rss:"));
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length, 0));
	EXPECT_EQ(NR_PAGES * kb, smaps_kb(self->addr, "Rss:"));
	ASSERT_EQ(0, region_free(self->fd, 0, self->length));
	EXPECT_EQ(0, smaps_kb(self->addr, "Rss:"));
}

/* More than what the counters keep for each CPU, and who else is at work. */
#define MANY		(16 * MIB)
#define NEARLY_KB	4096

TEST_F(page, counters_go_up_and_back)
{
	static const char *const files[] = { "/proc/self/status",
					     "/proc/meminfo" };
	static const char *const keys[] = { "RssFile:", "Mapped:" };
	char *addr = region_map(self->fd, MANY, 0);
	long before[2], with[2], after[2];
	int i;

	ASSERT_NE(MAP_FAILED, addr);
	for (i = 0; i < 2; i++)
		before[i] = number_of(files[i], keys[i]);
	ASSERT_EQ(0, region_populate(self->fd, addr, MANY, 0));
	for (i = 0; i < 2; i++)
		with[i] = number_of(files[i], keys[i]);
	ASSERT_EQ(0, region_zap(self->fd, addr, MANY));
	for (i = 0; i < 2; i++)
		after[i] = number_of(files[i], keys[i]);
	for (i = 0; i < 2; i++) {
		EXPECT_LE(labs(with[i] - before[i] - (long)(MANY / KIB)),
			  NEARLY_KB);
		EXPECT_LE(labs(after[i] - before[i]), NEARLY_KB);
	}
	munmap(addr, MANY);
}

TEST_F(page, mapping_is_of_pages_and_not_dumped_nor_expanded)
{
	bool here = false, seen = false;
	unsigned long start, end;
	char line[256];
	FILE *file = fopen("/proc/self/smaps", "r");

	ASSERT_NE(NULL, file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)self->addr;
		if (!here || strncmp(line, "VmFlags:", 8))
			continue;
		seen = true;
		EXPECT_NE(NULL, strstr(line, " mm"));
		EXPECT_NE(NULL, strstr(line, " de"));
		EXPECT_NE(NULL, strstr(line, " dd"));
		EXPECT_EQ(NULL, strstr(line, " pf"));
	}
	EXPECT_TRUE(seen);
	fclose(file);
}

/* What the kernel's memory calls do */

TEST_F(page, map_populate_maps_it)
{
	char *addr = mmap(NULL, self->length, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, addr);
	/* by loads, but nothing is left to fault */
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, addr, self->length));
	munmap(addr, self->length);
}

TEST_F(page, dontneed_drops_entries_and_keeps_data)
{
	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, madvise(PAGE(2), 3 * page_size, MADV_DONTNEED));
	EXPECT_EQ(NR_PAGES - 3, entries_present(self->fd, self->addr,
						self->length));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(page, mlock_maps_it_and_locks_nothing)
{
	ASSERT_EQ(0, dirty_start(self->fd, 0, 64 * page_size));
	fill(self->addr, self->length / 2, 1);
	ASSERT_EQ(0, region_unmap(self->fd, 0, self->length, 0));
	EXPECT_EQ(0, mlock(self->addr, self->length));
	/* by loads, which give a hole a page and mark nothing */
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, self->addr,
					    self->length));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(0xf, marks_of(self->fd));
	EXPECT_EQ(0, status_kb("VmLck:"));
	/* nothing keeps the pages from going */
	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	EXPECT_EQ(0, peek(self->addr));
	EXPECT_EQ(-1, filled_not(PAGE(1), self->length / 2 - page_size, 2));
	EXPECT_EQ(0, munlock(self->addr, self->length));
}

TEST_F(page, map_populate_marks_nothing_and_may_be_protected)
{
	char *addr;

	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, dirty_start(self->fd, 0, 64 * page_size));
	ASSERT_EQ(0, region_protect(self->fd, 0, 2 * page_size,
				    MMEXT_PROTECT_READ_ONLY));
	addr = mmap(NULL, self->length, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, addr, self->length));
	EXPECT_EQ(0, marks_of(self->fd));
	EXPECT_EQ(-SIGSEGV, poke(addr, 9));
	EXPECT_EQ(0, poke(addr + 2 * page_size, 9));
	EXPECT_EQ(4, marks_of(self->fd));
	munmap(addr, self->length);
}

/* Of a private mapping that can be stored to, both make copies. */
TEST_F(page, mlock_of_a_private_mapping_keeps_the_region)
{
	char *addr = map_private(self->fd, self->length);

	ASSERT_NE(MAP_FAILED, addr);
	fill(self->addr, self->length, 1);
	EXPECT_EQ(0, mlock(addr, self->length));
	EXPECT_EQ(0, status_kb("VmLck:"));
	EXPECT_EQ(-1, filled_not(addr, self->length, 1));
	EXPECT_EQ(0, poke(addr, 77));
	EXPECT_EQ(1, peek(self->addr));
	EXPECT_EQ(0, munlock(addr, self->length));
	ASSERT_EQ(0, region_unmap(self->fd, 0, self->length,
				  MMEXT_UNMAP_EVEN_COWS));
	EXPECT_EQ(-1, filled_not(addr, self->length, 1));
	munmap(addr, self->length);
}

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif

/*
 * Whatever a kernel says to it, no advice but DONTNEED takes entries, and none
 * loses what was stored.  Not those that poison a page.
 */
TEST_F(page, no_advice_loses_data)
{
	size_t half = self->length / 2;
	int advice, left;
	char *private;
	bool drops;

	for (advice = 0; advice < 100; advice++) {
		private = map_private(self->fd, self->length);
		ASSERT_NE(MAP_FAILED, private);
		fill(self->addr, self->length, advice);
		fill(private, half, 200);
		drops = advice == MADV_DONTNEED ||
			advice == MADV_DONTNEED_LOCKED;
		left = madvise(self->addr, self->length, advice) || !drops ?
		       NR_PAGES : 0;
		EXPECT_EQ(left, entries_present(self->fd, self->addr,
						self->length))
			TH_LOG("advice %d", advice);
		EXPECT_EQ(-1, filled_not(self->addr, self->length, advice))
			TH_LOG("advice %d", advice);
		/* of copies these and FREE are for the taking away */
		if (!drops && advice != MADV_FREE) {
			madvise(private, self->length, advice);
			EXPECT_EQ(-1, filled_not(private, half, 200))
				TH_LOG("advice %d", advice);
		}
		EXPECT_EQ(-1, filled_not(private + half, half,
					 advice + NR_PAGES / 2))
			TH_LOG("advice %d", advice);
		munmap(private, self->length);
	}
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(page, dontneed_of_copies_shows_the_region_again)
{
	char *addr = map_private(self->fd, self->length);

	ASSERT_NE(MAP_FAILED, addr);
	fill(self->addr, self->length, 1);
	fill(addr, self->length, 100);
	ASSERT_EQ(0, madvise(addr, 2 * page_size, MADV_DONTNEED));
	EXPECT_EQ(1, peek(addr));
	EXPECT_EQ(2, peek(addr + page_size));
	EXPECT_EQ(-1, filled_not(addr + 2 * page_size,
				 self->length - 2 * page_size, 102));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 1));
	munmap(addr, self->length);
}

struct storm {
	char *addr;
	int fd;
	int end;
	long dropped;
	int failed;
	int bad;
};

static void *drop_tables(void *arg)
{
	struct storm *s = arg;

	while (!load(&s->end)) {
		/* from 6.14 on this frees the table as well */
		if (madvise(s->addr, TABLE, MADV_DONTNEED))
			store(&s->failed, -errno);
		s->dropped++;
	}
	return NULL;
}

TEST_F(page, dontneed_of_a_table_against_faults_populate_and_zap)
{
	struct storm s = { .fd = self->fd };
	struct rounds rounds = rounds_begin(400);
	pthread_t thread;
	int ret = 0;
	long i, at;

	s.addr = region_map_aligned(self->fd, TABLE, 0);
	ASSERT_NE(MAP_FAILED, s.addr);
	fill(s.addr, TABLE, 3);
	ASSERT_EQ(0, pthread_create(&thread, NULL, drop_tables, &s));
	for (i = 0; rounds_until(&rounds, i, load(&s.dropped)); i++) {
		at = i * 37 % (TABLE / page_size);
		if (s.addr[at * page_size] != (char)(3 + at))
			s.bad++;
		s.addr[at * page_size] = 3 + at;
		ret = region_populate(self->fd, s.addr + at / 2 * page_size,
				      16 * page_size, MMEXT_POPULATE_WRITE);
		if (!ret)
			ret = region_zap(self->fd, s.addr, TABLE / 2);
		if (ret)
			break;
	}
	EXPECT_EQ(0, ret);
	store(&s.end, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_GT(s.dropped, 0);
	EXPECT_EQ(0, s.failed);
	EXPECT_EQ(0, s.bad);
	EXPECT_EQ(-1, filled_not(s.addr, TABLE, 3));
	munmap(s.addr, TABLE);
}

/* The same with copies, which go with the table. */
TEST_F(page, dontneed_of_a_table_of_copies_against_stores_and_unmap)
{
	struct storm s = { .fd = self->fd };
	struct rounds rounds = rounds_begin(400);
	char *shared = region_map(self->fd, TABLE, 0);
	char *hole = region_map_aligned(self->fd, TABLE, 0);
	pthread_t thread;
	long i, at;
	int val;

	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_NE(MAP_FAILED, hole);
	s.addr = mmap(hole, TABLE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_FIXED, self->fd, 0);
	ASSERT_EQ(hole, s.addr);
	fill(shared, TABLE, 3);
	ASSERT_EQ(0, pthread_create(&thread, NULL, drop_tables, &s));
	for (i = 0; rounds_until(&rounds, i, load(&s.dropped)); i++) {
		at = i * 37 % (TABLE / page_size);
		val = peek(s.addr + at * page_size);
		s.bad += val != (__u8)(3 + at) && val != 77;
		s.addr[at * page_size] = 77;
		val = peek(s.addr + at * page_size);
		s.bad += val != (__u8)(3 + at) && val != 77;
		if (i % 8 == 0)
			ASSERT_EQ(0, region_unmap(self->fd, 0, TABLE, i % 16 ?
						  0 : MMEXT_UNMAP_EVEN_COWS));
	}
	store(&s.end, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_GT(s.dropped, 0);
	EXPECT_EQ(0, s.failed);
	EXPECT_EQ(0, s.bad);
	EXPECT_EQ(-1, filled_not(shared, TABLE, 3));
	munmap(s.addr, TABLE);
	munmap(shared, TABLE);
}

/* More references than there is room for at once. */
TEST_F(page, many_entries_are_zapped_in_one_call)
{
	size_t length = 3 * TABLE + 5 * page_size;
	char *addr = region_map(self->fd, length, 0);

	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, length, 9);
	ASSERT_EQ(0, region_zap(self->fd, addr, length));
	EXPECT_EQ(0, entries_present(self->fd, addr, length));
	EXPECT_EQ(0, smaps_kb(addr, "Rss:"));
	EXPECT_EQ(-1, filled_not(addr, length, 9));
	munmap(addr, length);
}

TEST_F(page, a_read_fault_of_a_new_page_gives_a_read_only_entry)
{
	EXPECT_EQ(0, peek(self->addr));
	EXPECT_EQ(MMEXT_ENTRY_PRESENT | MMEXT_ENTRY_YOUNG,
		  entry_flags(self->fd, self->addr));
	EXPECT_EQ(0, poke(self->addr, 1));
	EXPECT_EQ(MMEXT_ENTRY_PRESENT | MMEXT_ENTRY_YOUNG |
		  MMEXT_ENTRY_WRITABLE | MMEXT_ENTRY_DIRTY,
		  entry_flags(self->fd, self->addr));
	/* where the page is there, a store needs no fault of its own */
	ASSERT_EQ(0, region_zap(self->fd, self->addr, page_size));
	EXPECT_EQ(1, peek(self->addr));
	EXPECT_EQ(MMEXT_ENTRY_PRESENT | MMEXT_ENTRY_YOUNG |
		  MMEXT_ENTRY_WRITABLE,
		  entry_flags(self->fd, self->addr));
}

/* Private mappings, in a process with an MMU notifier or without */

FIXTURE(copy)
{
	int fd;
	int watch;
	size_t length;
	char *shared;
	char *addr;
};

FIXTURE_VARIANT(copy)
{
	bool notifier;
};

FIXTURE_VARIANT_ADD(copy, plain)
{
	.notifier = false,
};

FIXTURE_VARIANT_ADD(copy, mirrored)
{
	.notifier = true,
};

FIXTURE_SETUP(copy)
{
	region_backing = MMEXT_BACKING_PAGE;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->shared = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	self->addr = map_private(self->fd, self->length);
	ASSERT_NE(MAP_FAILED, self->addr);
	fill(self->shared, self->length, 1);
	self->watch = -1;
	if (variant->notifier) {
		struct mmext_test_notifier arg = {
			.start = (uintptr_t)self->addr,
			.end = (uintptr_t)self->addr + self->length,
		};

		self->watch = open("/dev/mmext_test_notifier",
				   O_RDWR | O_CLOEXEC);
		ASSERT_GE(self->watch, 0);
		ASSERT_EQ(0, call(self->watch, MMEXT_TEST_NOTIFIER_WATCH,
				  &arg));
	}
}

FIXTURE_TEARDOWN(copy)
{
	munmap(self->addr, self->length);
	munmap(self->shared, self->length);
	close(self->fd);
	if (self->watch >= 0)
		close(self->watch);
}

#define SHARED(n)	(self->shared + (n) * page_size)

TEST_F(copy, a_store_is_the_process_s_own)
{
	/* one that was read before, and one that was not */
	EXPECT_EQ(1, peek(PAGE(0)));
	EXPECT_EQ(0, poke(PAGE(0), 77));
	EXPECT_EQ(0, poke(PAGE(1), 78));
	EXPECT_EQ(77, peek(PAGE(0)));
	EXPECT_EQ(78, peek(PAGE(1)));
	EXPECT_EQ(-1, filled_not(self->shared, self->length, 1));
	EXPECT_EQ(2 * page_size / KIB, smaps_kb(self->addr, "Anonymous:"));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(copy, what_was_not_stored_to_is_the_region_s)
{
	EXPECT_EQ(3, peek(PAGE(2)));
	*SHARED(2) = 33;
	EXPECT_EQ(33, peek(PAGE(2)));
	ASSERT_EQ(0, region_exchange(self->fd, 2 * page_size, 3 * page_size,
				     page_size));
	EXPECT_EQ(4, peek(PAGE(2)));
	EXPECT_EQ(33, peek(PAGE(3)));
}

TEST_F(copy, a_hole_is_copied_too)
{
	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	EXPECT_EQ(0, poke(PAGE(0), 5));
	EXPECT_EQ(0, peek(SHARED(0)));
	EXPECT_EQ(5, peek(PAGE(0)));
}

TEST_F(copy, stays_when_the_region_s_entries_go)
{
	EXPECT_EQ(0, poke(PAGE(1), 77));
	EXPECT_EQ(3, peek(PAGE(2)));
	ASSERT_EQ(0, region_unmap(self->fd, 0, self->length, 0));
	EXPECT_EQ(1, entries_present(self->fd, self->addr, self->length));
	EXPECT_EQ(0, entries_present(self->fd, self->shared, self->length));
	ASSERT_EQ(0, region_free(self->fd, 0, self->length));
	EXPECT_EQ(77, peek(PAGE(1)));
	EXPECT_EQ(0, peek(PAGE(2)));
	EXPECT_EQ(0, peek(SHARED(1)));
}

TEST_F(copy, goes_when_it_is_said)
{
	EXPECT_EQ(0, poke(PAGE(1), 77));
	EXPECT_EQ(0, poke(PAGE(3), 78));
	ASSERT_EQ(0, region_unmap(self->fd, page_size, page_size,
				  MMEXT_UNMAP_EVEN_COWS));
	EXPECT_EQ(2, peek(PAGE(1)));
	EXPECT_EQ(78, peek(PAGE(3)));
	ASSERT_EQ(0, region_unmap(self->fd, 0, self->length,
				  MMEXT_UNMAP_EVEN_COWS | MMEXT_UNMAP_FREE));
	EXPECT_TRUE(all_bytes(self->addr, self->length, 0));
}

TEST_F(copy, goes_by_zap)
{
	EXPECT_EQ(0, poke(PAGE(1), 77));
	EXPECT_EQ(0, poke(PAGE(2), 78));
	ASSERT_EQ(0, region_zap(self->fd, self->addr, 2 * page_size));
	EXPECT_EQ(2, peek(PAGE(1)));
	EXPECT_EQ(78, peek(PAGE(2)));
}

TEST_F(copy, goes_by_revoke)
{
	EXPECT_EQ(0, poke(PAGE(1), 77));
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(-SIGBUS, peek(PAGE(1)));
	EXPECT_EQ(-SIGBUS, poke(PAGE(1), 1));
	EXPECT_EQ(0, smaps_kb(self->addr, "Anonymous:"));
}

TEST_F(copy, can_be_made_of_a_protected_page)
{
	ASSERT_EQ(0, region_protect(self->fd, 0, self->length,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(0, poke(PAGE(1), 77));
	EXPECT_EQ(77, peek(PAGE(1)));
	EXPECT_EQ(2, peek(SHARED(1)));
	EXPECT_EQ(-SIGSEGV, poke(SHARED(1), 9));
}

TEST_F(copy, is_the_child_s_own_after_fork)
{
	struct peer peer;

	EXPECT_EQ(0, poke(PAGE(1), 77));
	EXPECT_EQ(3, peek(PAGE(2)));
	ASSERT_EQ(0, peer_start(&peer));
	EXPECT_EQ(77, peer_peek(&peer, PAGE(1)));
	EXPECT_EQ(0, peer_poke(&peer, PAGE(1), 78));
	EXPECT_EQ(0, peer_poke(&peer, PAGE(2), 79));
	EXPECT_EQ(77, peek(PAGE(1)));
	EXPECT_EQ(3, peek(PAGE(2)));
	EXPECT_EQ(78, peer_peek(&peer, PAGE(1)));
	ASSERT_EQ(0, region_unmap(self->fd, 0, self->length,
				  MMEXT_UNMAP_EVEN_COWS));
	EXPECT_EQ(2, peer_peek(&peer, PAGE(1)));
	EXPECT_EQ(3, peer_peek(&peer, PAGE(2)));
	EXPECT_EQ(0, peer_stop(&peer));
}

TEST_F(copy, populate_leaves_it)
{
	EXPECT_EQ(0, poke(PAGE(1), 77));
	ASSERT_EQ(0, region_populate(self->fd, self->addr, self->length,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, self->addr,
					    self->length));
	EXPECT_FALSE(entry_flags(self->fd, PAGE(2)) & MMEXT_ENTRY_WRITABLE);
	EXPECT_EQ(77, peek(PAGE(1)));
	EXPECT_EQ(0, poke(PAGE(2), 78));
	EXPECT_EQ(-1, filled_not(self->shared, self->length, 1));
}

TEST_F(copy, a_debugger_sees_it_and_not_the_region)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char byte = 0;

	ASSERT_GE(mem, 0);
	EXPECT_EQ(0, poke(PAGE(1), 77));
	EXPECT_EQ(1, pread(mem, &byte, 1, (uintptr_t)PAGE(1)));
	EXPECT_EQ(77, byte);
	byte = 78;
	EXPECT_EQ(1, pwrite(mem, &byte, 1, (uintptr_t)PAGE(2)));
	EXPECT_EQ(78, peek(PAGE(2)));
	EXPECT_EQ(-1, filled_not(self->shared, self->length, 1));
	close(mem);
}

/* Stores that make copies while they are taken away: none is left over. */
static void *store_on(void *arg)
{
	struct storm *s = arg;

	while (!load(&s->end))
		if (poke(s->addr, 77) == -SIGBUS)
			break;
	return NULL;
}

TEST_F(copy, none_is_made_across_a_revoke)
{
	struct rounds rounds = rounds_begin(150);
	int i;

	for (i = 0; rounds_go_on(&rounds, i); i++) {
		struct storm s = { .fd = region_open() };
		pthread_t thread;

		ASSERT_GE(s.fd, 0);
		s.addr = map_private(s.fd, page_size);
		ASSERT_NE(MAP_FAILED, s.addr);
		ASSERT_EQ(0, pthread_create(&thread, NULL, store_on, &s));
		spin(i * 500 % 20000);
		ASSERT_EQ(0, region_revoke(s.fd));
		EXPECT_EQ(-SIGBUS, peek(s.addr));
		store(&s.end, 1);
		ASSERT_EQ(0, pthread_join(thread, NULL));
		munmap(s.addr, page_size);
		close(s.fd);
	}
}

TEST_HARNESS_MAIN
