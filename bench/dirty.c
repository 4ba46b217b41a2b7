// SPDX-License-Identifier: GPL-2.0
/*
 * Who has stored to what: the first store to a page that is watched, and the
 * harvest of all that were.
 */
#include <pthread.h>
#include <linux/userfaultfd.h>

#include "bench.h"

/* 6.7's, which older headers do not have */
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM	(1 << 12)
#endif
#define FEATURE_WP_UNPOPULATED	(1 << 13)
#define FEATURE_WP_ASYNC	(1 << 15)

struct scan_region {
	__u64 start;
	__u64 end;
	__u64 categories;
};

struct scan_arg {
	__u64 size;
	__u64 flags;
	__u64 start;
	__u64 end;
	__u64 walk_end;
	__u64 vec;
	__u64 vec_len;
	__u64 max_pages;
	__u64 category_inverted;
	__u64 category_mask;
	__u64 category_anyof_mask;
	__u64 return_mask;
};

#define SCAN			_IOWR('f', 16, struct scan_arg)
#define SCAN_WP_MATCHING	1
#define SCAN_CHECK_WPASYNC	2
#define SCAN_WRITTEN		2

/* What every method of a row has at hand. */
static struct {
	char *addr;
	size_t size;
	uint64_t *marks;
	int fd;
	pthread_t thread;
} watch;

static void watch_begin(struct run *r)
{
	watch.addr = r->addr;
	watch.size = r->size;
	watch.marks = calloc(r->size / PAGE / 64 + 1, 8);
	if (!watch.marks)
		die("calloc");
}

static void mark(const char *p)
{
	size_t page = (p - watch.addr) / PAGE;

	watch.marks[page / 64] |= 1ULL << page % 64;
}

static void store_all(struct run *r)
{
	char *p;

	for (p = r->addr; p < r->addr + r->size; p += PAGE)
		store(p, 1);
}

static void watch_end(struct run *r __unused)
{
	free(watch.marks);
}

/* What was harvested has to be all of it, each time. */
static void check_marks(struct run *r)
{
	size_t i;

	for (i = 0; i < r->size / PAGE / 64; i++) {
		if (watch.marks[i] != ~0ULL) {
			errno = ENODATA;
			die(r->row->subject);
		}
	}
}

/* mmext */

static void dirty(struct run *r, __u32 flags)
{
	struct mmext_dirty d = {
		.size = sizeof(d),
		.flags = flags,
		.length = r->size,
		.marks = flags & MMEXT_DIRTY_GET ? (uintptr_t)watch.marks : 0,
	};

	if (ioctl(r->fd, MMEXT_DIRTY, &d) || d.length)
		die("DIRTY");
}

static bool mmext_watch(struct run *r)
{
	struct mmext_populate p = {
		.size = sizeof(p),
		.addr = (uintptr_t)r->addr,
		.length = r->size,
	};

	watch_begin(r);
	if (ioctl(r->fd, MMEXT_POPULATE, &p))
		die("POPULATE");
	dirty(r, MMEXT_DIRTY_START);
	return true;
}

static bool mmext_stored(struct run *r)
{
	mmext_watch(r);
	store_all(r);
	return true;
}

static void mmext_harvest(struct run *r)
{
	dirty(r, MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR);
}

static void mmext_end(struct run *r)
{
	dirty(r, MMEXT_DIRTY_STOP);
	watch_end(r);
}

static void mmext_harvested(struct run *r)
{
	check_marks(r);
	mmext_end(r);
}

/* mprotect(2), and a signal for each first store */

static void on_fault(int sig __unused, siginfo_t *info, void *context __unused)
{
	char *p = (char *)((uintptr_t)info->si_addr & ~(PAGE - 1));

	mark(p);
	if (mprotect(p, PAGE, PROT_READ | PROT_WRITE))
		_exit(1);
}

static void protect_all(struct run *r)
{
	if (mprotect(r->addr, r->size, PROT_READ))
		die("mprotect");
}

static bool signal_watch(struct run *r)
{
	struct sigaction act = {
		.sa_sigaction = on_fault,
		.sa_flags = SA_SIGINFO,
	};

	store_all(r);
	watch_begin(r);
	sigaction(SIGSEGV, &act, NULL);
	protect_all(r);
	return true;
}

static bool signal_stored(struct run *r)
{
	signal_watch(r);
	store_all(r);
	return true;
}

static void signal_end(struct run *r)
{
	signal(SIGSEGV, SIG_DFL);
	watch_end(r);
}

static void signal_harvested(struct run *r)
{
	check_marks(r);
	signal_end(r);
}

/* userfaultfd, with a thread that is told of each first store, or without */

static int uffd_open(struct run *r, __u64 features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = {
		.range = { (uintptr_t)r->addr, r->size },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int write_protect(const char *addr, size_t size, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)addr, size },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(watch.fd, UFFDIO_WRITEPROTECT, &wp);
}

static void *uffd_thread(void *arg)
{
	struct uffd_msg msg;
	char *p;

	while (read(watch.fd, &msg, sizeof(msg)) == sizeof(msg)) {
		p = (char *)(uintptr_t)(msg.arg.pagefault.address & ~(PAGE - 1));
		mark(p);
		if (write_protect(p, PAGE, false))
			_exit(1);
	}
	return arg;
}

static bool uffd_watch(struct run *r)
{
	store_all(r);
	watch.fd = uffd_open(r, r->row->object == ANON ?
				UFFD_FEATURE_PAGEFAULT_FLAG_WP :
				UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
	if (watch.fd < 0)
		return false;
	watch_begin(r);
	if (write_protect(r->addr, r->size, true))
		die("UFFDIO_WRITEPROTECT");
	if (pthread_create(&watch.thread, NULL, uffd_thread, NULL))
		die("pthread_create");
	return true;
}

static bool uffd_stored(struct run *r)
{
	if (!uffd_watch(r))
		return false;
	store_all(r);
	return true;
}

static void uffd_harvest(struct run *r)
{
	if (write_protect(r->addr, r->size, true))
		die("UFFDIO_WRITEPROTECT");
}

static void uffd_end(struct run *r)
{
	pthread_cancel(watch.thread);
	pthread_join(watch.thread, NULL);
	close(watch.fd);
	watch_end(r);
}

static void uffd_harvested(struct run *r)
{
	check_marks(r);
	uffd_end(r);
}

static int scan_fd = -1;

static bool async_watch(struct run *r)
{
	store_all(r);
	watch.fd = uffd_open(r, FEATURE_WP_ASYNC | FEATURE_WP_UNPOPULATED |
				UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
				UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	if (watch.fd < 0)
		return false;
	watch_begin(r);
	scan_fd = open("/proc/self/pagemap", O_RDONLY);
	if (write_protect(r->addr, r->size, true))
		die("UFFDIO_WRITEPROTECT");
	return true;
}

static bool async_stored(struct run *r)
{
	if (!async_watch(r))
		return false;
	store_all(r);
	return true;
}

static void async_harvest(struct run *r)
{
	struct scan_region found[16];
	struct scan_arg s = {
		.size = sizeof(s),
		.flags = SCAN_WP_MATCHING | SCAN_CHECK_WPASYNC,
		.start = (uintptr_t)r->addr,
		.end = (uintptr_t)r->addr + r->size,
		.vec = (uintptr_t)found,
		.vec_len = 16,
		.category_mask = SCAN_WRITTEN,
		.return_mask = SCAN_WRITTEN,
	};
	size_t pages = 0;
	int n, i;

	while (s.start < s.end) {
		n = ioctl(scan_fd, SCAN, &s);
		if (n < 0)
			die("PAGEMAP_SCAN");
		for (i = 0; i < n; i++)
			pages += (found[i].end - found[i].start) / PAGE;
		s.start = s.walk_end;
	}
	if (pages != r->size / PAGE) {
		errno = ENODATA;
		die("PAGEMAP_SCAN");
	}
}

static void async_end(struct run *r)
{
	close(scan_fd);
	close(watch.fd);
	watch_end(r);
}

/* The soft-dirty bit of entries */

static void clear_refs(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY);

	if (fd < 0 || write(fd, "4", 1) != 1)
		die("clear_refs");
	close(fd);
}

static bool soft_watch(struct run *r)
{
	uint64_t entry = 0;

	store_all(r);
	watch_begin(r);
	scan_fd = open("/proc/self/pagemap", O_RDONLY);
	clear_refs();
	store(r->addr, 1);
	if (pread(scan_fd, &entry, 8, (uintptr_t)r->addr / PAGE * 8) != 8)
		die("pagemap");
	if (!(entry >> 55 & 1)) {
		close(scan_fd);
		watch_end(r);
		return false;
	}
	return true;
}

static bool soft_stored(struct run *r)
{
	if (!soft_watch(r))
		return false;
	store_all(r);
	return true;
}

static void soft_harvest(struct run *r)
{
	uint64_t entries[512];
	size_t page, i;

	for (page = 0; page < r->size / PAGE; page += 512) {
		if (pread(scan_fd, entries, sizeof(entries),
			  ((uintptr_t)r->addr / PAGE + page) * 8) !=
		    sizeof(entries))
			die("pagemap");
		for (i = 0; i < 512; i++)
			if (entries[i] >> 55 & 1)
				mark(r->addr + (page + i) * PAGE);
	}
	clear_refs();
}

static void soft_end(struct run *r)
{
	close(scan_fd);
	watch_end(r);
}

static void soft_harvested(struct run *r)
{
	check_marks(r);
	soft_end(r);
}

const struct row dirty_rows[] = {
	{ "dirty-store", "mmext", REGION, mmext_watch, store_all, mmext_end },
	{ "dirty-store", "userfaultfd", MEMFD, uffd_watch, store_all, uffd_end },
	{ "dirty-store", "userfaultfd-async", MEMFD, async_watch, store_all,
	  async_end },
	{ "dirty-store", "SIGSEGV", MEMFD, signal_watch, store_all, signal_end },
	{ "dirty-store", "soft-dirty", ANON, soft_watch, store_all, soft_end },

	{ "dirty-harvest", "mmext", REGION, mmext_stored, mmext_harvest,
	  mmext_harvested },
	{ "dirty-harvest", "userfaultfd", MEMFD, uffd_stored, uffd_harvest,
	  uffd_harvested },
	{ "dirty-harvest", "PAGEMAP_SCAN", MEMFD, async_stored, async_harvest,
	  async_end },
	{ "dirty-harvest", "mprotect", MEMFD, signal_stored, protect_all,
	  signal_harvested },
	{ "dirty-harvest", "soft-dirty", ANON, soft_stored, soft_harvest,
	  soft_harvested },
	{ }
};
