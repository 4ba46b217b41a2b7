// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation fails in turn: what the call says then, what it leaves
 * behind, and that it succeeds when there is memory again.
 *
 * Wants a kernel with fault injection.  Two ways: the Nth allocation of any
 * kind fails (fail-nth); and, for what has a second try, two of the slab's in a
 * row, after a budget of bytes (failslab).
 */
#include "mmext_gmap.h"

#include <sys/utsname.h>

#define NR	16UL
#define LENGTH	(NR * page_size)
#define FAR	(1024 * GIB)
/* protected holes: more than a step, and more than a node of the xarray */
#define HOLES	600UL
/* where nothing is near, so that each level of the tables is to be made */
#define LONELY	((char *)(1UL << 45))
/* the parent's memory, and where it is in the space: more than one of its tables */
#define HOST	((char *)(1UL << 44))
#define SEGS	4UL
#define OTHER	((__u64)1 << 43)
#define MANY	2000UL

#define DEBUGFS	"/sys/kernel/debug/"

/**
 * struct world - what a call finds
 * @fd: a region, with bytes from 1 on in its first pages, and mapped
 * @addr: that mapping
 * @fresh: a region that nothing was done to
 * @memory: /proc/self/mem
 * @pipe: with a byte to read
 * @used: what all regions held before
 * @done: bytes that the call did before it failed
 * @phys: a range for IOMEM
 * @space: with SEGS segments at HOST from 0 on, of memory with bytes from 1 on; or none
 * @device: that shows the space that is enabled
 * @window: of @space, NULL if there can't be one
 */
struct world {
	int fd;
	char *addr;
	int fresh;
	int memory;
	int pipe[2];
	__u64 used;
	size_t done;
	__u64 phys;
	int space;
	int device;
	char *window;
	union {
		struct mmext_populate populate;
		struct mmext_remap remap;
		struct mmext_protect protect;
		struct mmext_dirty dirty;
		struct mmext_lookup lookup;
		struct mmext_access access;
	};
	struct mmext_entry entries[64];
	__u8 buffer[64 * KIB];
};

/* Nothing but what the call itself needs goes between the two. */
struct injection {
	void (*arm)(struct injection *in, unsigned int n);
	/* true if something failed meanwhile */
	bool (*disarm)(struct injection *in);
	int fd;
	int space;
	int times;
	int probability;
	/* bytes that the budget grows by */
	unsigned int step;
};

static int number_write(int fd, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n), ret;

	/* a copy from user space can be what is made to fail */
	do {
		ret = write(fd, text, len);
	} while (ret < 0 && errno == EFAULT);
	return ret == len ? 0 : -errno;
}

static void nth_arm(struct injection *in, unsigned int n)
{
	number_write(in->fd, n + 1);
}

static bool nth_disarm(struct injection *in)
{
	char text[16] = "";
	/* 0: it was; an error: the failure was kept for this very read */
	bool injected = pread(in->fd, text, sizeof(text) - 1, 0) > 0 &&
			!atoi(text);

	number_write(in->fd, 0);
	return injected;
}

static void pair_arm(struct injection *in, unsigned int n)
{
	number_write(in->space, n * in->step);
	number_write(in->times, 2);
	number_write(in->probability, 100);
}

static int debugfs_open(const char *dir, const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", dir, file);
	return open(path, O_RDWR | O_CLOEXEC);
}

static bool pair_disarm(struct injection *in)
{
	char text[16] = "";

	number_write(in->probability, 0);
	file_read(DEBUGFS "failslab/times", text, sizeof(text));
	return atoi(text) < 2;
}

static int debugfs_write(const char *dir, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", dir, file);
	return file_write(path, text);
}

/* All kinds of allocations, also those that may wait, and no words about it. */
static int injection_ready(void)
{
	int ret = debugfs_write("failslab", "verbose", "0");

	if (!ret)
		ret = debugfs_write("failslab", "ignore-gfp-wait", "N");
	if (!ret)
		ret = debugfs_write("failslab", "cache-filter", "N");
	if (!ret)
		ret = debugfs_write("failslab", "task-filter", "Y");
	if (!ret)
		ret = debugfs_write("fail_page_alloc", "verbose", "0");
	if (!ret)
		ret = debugfs_write("fail_page_alloc", "ignore-gfp-wait", "N");
	if (!ret)
		ret = debugfs_write("fail_page_alloc", "ignore-gfp-highmem",
				    "N");
	if (!ret)
		ret = debugfs_write("fail_page_alloc", "min-order", "0");
	/* optional: copies from and to user space are counted as well */
	debugfs_write("fail_usercopy", "verbose", "0");
	return ret;
}

static bool have_injection(void)
{
	return !access("/proc/self/fail-nth", F_OK);
}

static int nth_open(struct injection *in)
{
	in->arm = nth_arm;
	in->disarm = nth_disarm;
	in->fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return in->fd < 0 ? -errno : injection_ready();
}

static int pair_open(struct injection *in)
{
	in->step = 64;
	in->arm = pair_arm;
	in->disarm = pair_disarm;
	in->space = debugfs_open("failslab", "space");
	in->times = debugfs_open("failslab", "times");
	in->probability = debugfs_open("failslab", "probability");
	if (in->space < 0 || in->times < 0 || in->probability < 0)
		return -errno;
	number_write(in->probability, 0);
	return injection_ready() ? : file_write("/proc/self/make-it-fail", "1");
}

/* The bytes that a range of the region shows, without a mapping. */
static bool shows(struct world *w, __u64 offset, size_t nr, unsigned int first)
{
	size_t i;
	__u8 byte;

	for (i = 0; i < nr; i++) {
		if (pread(w->fd, &byte, 1, offset + i * page_size) != 1 ||
		    byte != (first ? first + i : 0)) {
			printf("# offset %#llx holds %u\n",
			       (unsigned long long)(offset + i * page_size),
			       byte);
			return false;
		}
	}
	return true;
}

static __u64 used(int fd)
{
	struct mmext_info info;

	return region_info(fd, &info) ? 0 : info.out_used;
}

static long result(long ret)
{
	return ret < 0 ? -errno : 0;
}

/*
 * The calls.  Each has run(); before(), true if all is as if it had not been
 * made, but for what w->done says; and after(), true if it is done.
 */

/* For calls that show by their answer alone what they did. */
static bool untouched(struct world *w)
{
	return shows(w, 0, NR, 1) && region_pages(w->fd) == NR &&
	       entries_present(w->fd, w->addr, LENGTH) == NR;
}

static long run_open(struct world *w __unused)
{
	int fd = region_open();

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static long run_open_shared(struct world *w __unused)
{
	int fd = open(MMEXT_SHARED, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static char *map_lonely(struct world *w, __u64 offset)
{
	char *addr = mmap(LONELY, LENGTH, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_FIXED, w->fd, offset);

	return addr == MAP_FAILED ? NULL : addr;
}

static long run_mmap(struct world *w)
{
	return map_lonely(w, 0) ? 0 : -errno;
}

static bool before_mmap(struct world *w)
{
	return untouched(w) && msync(LONELY, LENGTH, MS_ASYNC) &&
	       errno == ENOMEM;
}

static bool after_mmap(struct world *w)
{
	return untouched(w) && peek(LONELY + page_size) == 2;
}

static long run_info(struct world *w)
{
	struct mmext_info info;

	return region_info(w->fd, &info);
}

static long run_setup(struct world *w)
{
	return region_setup(w->fresh, LENGTH);
}

static bool before_setup(struct world *w)
{
	struct mmext_info info;

	return !region_info(w->fresh, &info) && !info.out_length;
}

static bool after_setup(struct world *w)
{
	struct mmext_info info;

	return !region_info(w->fresh, &info) && info.out_length == LENGTH;
}

static void prepare_populate(struct world *w)
{
	map_lonely(w, FAR);
	w->populate.size = sizeof(w->populate);
	w->populate.addr = (uintptr_t)LONELY;
	w->populate.length = LENGTH;
}

static void prepare_populate_write(struct world *w)
{
	prepare_populate(w);
	w->populate.flags = MMEXT_POPULATE_WRITE;
}

static long run_populate(struct world *w)
{
	return call_all(w->fd, MMEXT_POPULATE, &w->populate);
}

/* What was allocated and not mapped yet stays: zeroes, as the hole was. */
static bool before_populate(struct world *w)
{
	size_t done = w->populate.addr - (uintptr_t)LONELY;
	long long pages = region_pages(w->fd);

	return done + w->populate.length == LENGTH &&
	       entries_present(w->fd, LONELY, LENGTH) ==
	       (long)(done / page_size) &&
	       entries_present(w->fd, LONELY, done) ==
	       (long)(done / page_size) &&
	       pages >= (long long)(NR + done / page_size) &&
	       pages <= (long long)(2 * NR) &&
	       shows(w, 0, NR, 1) && shows(w, FAR, NR, 0);
}

static bool after_populate(struct world *w)
{
	return entries_present(w->fd, LONELY, LENGTH) == NR &&
	       region_pages(w->fd) == 2 * NR && shows(w, FAR, NR, 0);
}

static void prepare_exchange(struct world *w)
{
	w->remap.size = sizeof(w->remap);
	w->remap.to = FAR;
	w->remap.length = LENGTH;
}

static void prepare_alias(struct world *w)
{
	prepare_exchange(w);
	w->remap.flags = MMEXT_REMAP_ALIAS;
}

static long run_remap(struct world *w)
{
	return call_all(w->fd, MMEXT_REMAP, &w->remap);
}

static bool before_remap(struct world *w)
{
	return w->remap.from == 0 && w->remap.to == FAR &&
	       w->remap.length == LENGTH && shows(w, 0, NR, 1) &&
	       shows(w, FAR, NR, 0) && region_pages(w->fd) == NR;
}

static bool after_exchange(struct world *w)
{
	return shows(w, 0, NR, 0) && shows(w, FAR, NR, 1) &&
	       region_pages(w->fd) == NR;
}

static bool after_alias(struct world *w)
{
	return shows(w, 0, NR, 1) && shows(w, FAR, NR, 1) &&
	       region_pages(w->fd) == NR;
}

static long run_zap(struct world *w)
{
	return region_zap(w->fd, w->addr, LENGTH);
}

static long run_zap_span(struct world *w)
{
	return region_zap_span(w->fd, w->addr, LENGTH);
}

static bool after_unmap(struct world *w)
{
	return !entries_present(w->fd, w->addr, LENGTH) && shows(w, 0, NR, 1);
}

static long run_unmap(struct world *w)
{
	return region_unmap(w->fd, 0, LENGTH, 0);
}

static long run_free(struct world *w)
{
	return region_free(w->fd, 0, LENGTH);
}

static bool after_free(struct world *w)
{
	return shows(w, 0, NR, 0) && !region_pages(w->fd);
}

static long run_revoke(struct world *w)
{
	return region_revoke(w->fd);
}

static bool after_revoke(struct world *w)
{
	return peek(w->addr) == -SIGBUS && !region_pages(w->fd);
}

static void prepare_protect(struct world *w)
{
	w->protect.size = sizeof(w->protect);
	w->protect.flags = MMEXT_PROTECT_READ_ONLY;
	w->protect.offset = FAR;
	w->protect.length = HOLES * page_size;
}

static long run_protect(struct world *w)
{
	return call_all(w->fd, MMEXT_PROTECT, &w->protect);
}

static bool is_protected(struct world *w, __u64 offset)
{
	return pwrite(w->fd, "x", 1, offset) < 0 && errno == EPERM;
}

static bool before_protect(struct world *w)
{
	size_t done = w->protect.offset - FAR;

	return done + w->protect.length == HOLES * page_size &&
	       (!done || (is_protected(w, FAR) &&
			  is_protected(w, FAR + done - page_size))) &&
	       !is_protected(w, FAR + done) &&
	       !region_free(w->fd, FAR + done, page_size) && untouched(w);
}

static bool after_protect(struct world *w)
{
	return is_protected(w, FAR) &&
	       is_protected(w, FAR + (HOLES - 1) * page_size) &&
	       !is_protected(w, FAR + HOLES * page_size);
}

static void prepare_unprotect(struct world *w)
{
	region_protect(w->fd, FAR, LENGTH, MMEXT_PROTECT_READ_ONLY);
}

static long run_unprotect(struct world *w)
{
	return region_protect(w->fd, FAR, LENGTH, 0);
}

static bool after_unprotect(struct world *w)
{
	return !is_protected(w, FAR);
}

/* More than one block of the log. */
#define TRACKED	(5000 * page_size)

static void prepare_dirty_start(struct world *w)
{
	w->dirty.size = sizeof(w->dirty);
	w->dirty.flags = MMEXT_DIRTY_START;
	w->dirty.length = TRACKED;
}

static void prepare_dirty_get(struct world *w)
{
	prepare_dirty_start(w);
	call_all(w->fd, MMEXT_DIRTY, &w->dirty);
	poke(w->addr + page_size, 2);
	w->dirty.flags = MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR;
	w->dirty.offset = 0;
	w->dirty.length = LENGTH;
	w->dirty.marks = (uintptr_t)w->buffer;
}

static void prepare_dirty_stop(struct world *w)
{
	prepare_dirty_get(w);
	w->dirty.flags = MMEXT_DIRTY_STOP;
	w->dirty.length = TRACKED;
}

static long run_dirty(struct world *w)
{
	return call_all(w->fd, MMEXT_DIRTY, &w->dirty);
}

/* The marks of the first pages after a store to the third. */
static __u64 marks_after_store(struct world *w)
{
	__u64 marks = 0;
	struct mmext_dirty get = {
		.size = sizeof(get),
		.flags = MMEXT_DIRTY_GET,
		.length = LENGTH,
		.marks = (uintptr_t)&marks,
	};

	poke(w->addr + 2 * page_size, 3);
	return call_all(w->fd, MMEXT_DIRTY, &get) ? ~0ULL : marks;
}

/* The kernel's own zap takes entries out, in place of the right to store. */
static bool untouched_but_logged(struct world *w)
{
	struct mmext_info info;

	if (region_info(w->fd, &info) || info.out_tlb != MMEXT_TLB_KERNEL)
		return untouched(w);
	return shows(w, 0, NR, 1) && region_pages(w->fd) == NR;
}

static bool before_dirty_start(struct world *w)
{
	return w->dirty.offset + w->dirty.length == TRACKED &&
	       (w->dirty.offset || !marks_after_store(w)) && untouched_but_logged(w);
}

static bool after_dirty_start(struct world *w)
{
	return marks_after_store(w) == 4 && untouched_but_logged(w);
}

static bool before_dirty_get(struct world *w)
{
	return w->dirty.offset == 0 && marks_after_store(w) == 6;
}

static bool after_dirty_get(struct world *w)
{
	__u64 marks;

	memcpy(&marks, w->buffer, sizeof(marks));
	/* a failure before may have made a look at it, with a store */
	return (marks == 2 || marks == 6) && marks_after_store(w) == 4;
}

static bool after_dirty_stop(struct world *w)
{
	return !marks_after_store(w) && untouched_but_logged(w);
}

static void prepare_lookup(struct world *w)
{
	w->lookup.size = sizeof(w->lookup);
	w->lookup.addr = (uintptr_t)w->addr;
	w->lookup.length = LENGTH;
	w->lookup.entries = (uintptr_t)w->entries;
}

static long run_lookup(struct world *w)
{
	return call_all(w->fd, MMEXT_LOOKUP, &w->lookup);
}

static bool before_lookup(struct world *w)
{
	return w->lookup.addr == (uintptr_t)w->addr && untouched(w);
}

static bool after_lookup(struct world *w)
{
	size_t i;

	for (i = 0; i < NR; i++)
		if (!(w->entries[i].flags & MMEXT_ENTRY_PRESENT))
			return false;
	return untouched(w);
}

static void prepare_iomem(struct world *w)
{
	w->phys = io_find();
}

/* The kernel's answer to no memory for a resource is the one to a busy one. */
static long run_iomem(struct world *w)
{
	int ret = region_iomem(w->fresh, w->phys, IO_LENGTH, MMEXT_CACHE_UC);

	return ret == -EBUSY ? -ENOMEM : ret;
}

static bool before_iomem(struct world *w)
{
	struct mmext_info info;

	return !region_info(w->fresh, &info) && !info.out_length &&
	       info.out_backing == MMEXT_BACKING_PFN;
}

static bool after_iomem(struct world *w)
{
	struct mmext_info info;

	return !region_info(w->fresh, &info) &&
	       info.out_backing == MMEXT_BACKING_IOMEM;
}

/* More than is pinned without a page of pointers, and a page of the region. */
static void prepare_copy(struct world *w)
{
	map_lonely(w, FAR);
	memset(w->buffer, 7, sizeof(w->buffer));
	w->access.size = sizeof(w->access);
	w->access.flags = MMEXT_ACCESS_WRITE;
	w->access.addr = (uintptr_t)LONELY;
	w->access.length = sizeof(w->buffer);
	w->access.buffer = (uintptr_t)w->buffer;
}

static long run_copy(struct world *w)
{
	return call_all(w->fd, MMEXT_ACCESS, &w->access);
}

static bool before_copy(struct world *w)
{
	size_t done = w->access.addr - (uintptr_t)LONELY;

	return done + w->access.length == sizeof(w->buffer) &&
	       w->access.buffer == (uintptr_t)w->buffer + done &&
	       region_pages(w->fd) >= (long long)(NR + done / page_size) &&
	       shows(w, 0, NR, 1);
}

static bool after_copy(struct world *w)
{
	return all_bytes(LONELY, sizeof(w->buffer), 7) && shows(w, 0, NR, 1);
}

/* A short one is one that failed; the rest is for the next. */
static long run_read(struct world *w)
{
	ssize_t len = pread(w->fd, w->buffer + w->done, LENGTH - w->done,
			    w->done);

	if (len < 0)
		return -errno;
	w->done += len;
	return w->done == LENGTH ? 0 : -ENOMEM;
}

static bool after_read(struct world *w)
{
	return filled_not(w->buffer, LENGTH, 1) < 0 && untouched(w);
}

static void prepare_write(struct world *w)
{
	fill(w->buffer, LENGTH, 1);
}

static long run_write(struct world *w)
{
	ssize_t len = pwrite(w->fd, w->buffer + w->done, LENGTH - w->done,
			     FAR + w->done);

	if (len < 0)
		return -errno;
	w->done += len;
	return w->done == LENGTH ? 0 : -ENOMEM;
}

static bool before_write(struct world *w)
{
	size_t nr = w->done / page_size;

	return w->done % page_size == 0 && shows(w, 0, NR, 1) &&
	       shows(w, FAR, nr, 1) && shows(w, FAR + w->done, NR - nr, 0) &&
	       region_pages(w->fd) == (long long)(NR + nr);
}

static bool after_write(struct world *w)
{
	return shows(w, FAR, NR, 1) && region_pages(w->fd) == 2 * NR;
}

static void prepare_far(struct world *w)
{
	map_lonely(w, FAR);
}

static void prepare_near(struct world *w)
{
	map_lonely(w, 0);
}

/* Until it succeeds, which the kernel sees to. */
static long run_load(struct world *w __unused)
{
	return -(peek(LONELY) < 0);
}

static long run_store(struct world *w __unused)
{
	return poke(LONELY, 7);
}

static bool after_load(struct world *w)
{
	return shows(w, FAR, NR, 0) && region_pages(w->fd) == NR + 1 &&
	       entries_present(w->fd, LONELY, LENGTH) == 1;
}

static bool after_store(struct world *w)
{
	return shows(w, FAR, 1, 7) && region_pages(w->fd) == NR + 1 &&
	       entries_present(w->fd, LONELY, LENGTH) == 1;
}

static bool after_load_near(struct world *w)
{
	/* and what is around it, in the block of addresses that it is in */
	return untouched(w) && entries_present(w->fd, LONELY, LENGTH) == NR;
}

/* From inside the kernel: a fault that fails is an error of the call. */
static long run_kernel_store(struct world *w)
{
	ssize_t len = read(w->pipe[0], LONELY, 1);

	if (len == 1)
		return 0;
	return errno == EFAULT ? -ENOMEM : -errno;
}

static bool before_far(struct world *w)
{
	long long pages = region_pages(w->fd);

	return shows(w, 0, NR, 1) && shows(w, FAR, NR, 0) &&
	       (pages == NR || pages == NR + 1);
}

/* A debugger is told no more than that it did not work. */
static long run_access(struct world *w)
{
	ssize_t len = pwrite(w->memory, "\7", 1, (off_t)LONELY);

	if (len == 1)
		return 0;
	return errno == EIO ? -ENOMEM : -errno;
}

static bool after_access(struct world *w)
{
	return shows(w, FAR, 1, 7) && region_pages(w->fd) == NR + 1;
}

static long run_fork(struct world *w)
{
	pid_t pid = fork();
	int ret;

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(peek(w->addr + page_size) == 2 ? 0 : 1);
	ret = child_status(pid);
	return ret < 0 ? ret : ret ? -EIO : 0;
}

static long run_mprotect(struct world *w)
{
	return result(mprotect(w->addr + 4 * page_size, 4 * page_size,
			       PROT_READ));
}

static bool after_mprotect(struct world *w)
{
	return untouched(w) && poke(w->addr + 4 * page_size, 9) == -SIGSEGV &&
	       !poke(w->addr + 3 * page_size, 4) &&
	       !poke(w->addr + 8 * page_size, 9);
}

static long run_munmap(struct world *w)
{
	return result(munmap(w->addr + 4 * page_size, 4 * page_size));
}

static bool after_munmap(struct world *w)
{
	return shows(w, 0, NR, 1) && peek(w->addr + 4 * page_size) == -SIGSEGV &&
	       filled_not(w->addr, 4 * page_size, 1) < 0 &&
	       filled_not(w->addr + 8 * page_size, 8 * page_size, 9) < 0;
}

static long run_mremap(struct world *w)
{
	void *addr = mremap(w->addr, LENGTH, LENGTH,
			    MREMAP_MAYMOVE | MREMAP_FIXED, LONELY);

	return addr == MAP_FAILED ? -errno : 0;
}

/* The kernel leaves the old place mapped where it has no memory to unmap it. */
static bool after_mremap(struct world *w)
{
	return filled_not(LONELY, LENGTH, 1) < 0 &&
	       entries_present(w->fd, LONELY, LENGTH) == NR;
}

static bool mapped_as_before(struct world *w)
{
	return shows(w, 0, NR, 1) && filled_not(w->addr, LENGTH, 1) < 0;
}

/* Guest spaces */

/* What a new space finds: nothing is mapped, linked or armed but what is said. */
static bool space_untouched(struct world *w)
{
	unsigned long i;

	for (i = 0; i < SEGS; i++)
		if (gmap_translate(w->space, i * SEGMENT) !=
		    (long long)to_u64(HOST + i * SEGMENT) ||
		    gmap_reverse(w->space, to_u64(HOST + i * SEGMENT), NULL,
				 0) != 1)
			return false;
	return gmap_stat_of(w->space, out_segments) == SEGS &&
	       gmap_translate(w->space, SEGS * SEGMENT) == -EFAULT &&
	       !gmap_reverse(w->space, OTHER, NULL, 0) &&
	       !gmap_reverse(w->space, OTHER + SEGMENT, NULL, 0) &&
	       filled_not(HOST, LENGTH, 1) < 0;
}

static long run_gmap_create(struct world *w __unused)
{
	int fd = gmap_open();

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* Over what is mapped, and far beyond it. */
static long run_gmap_map(struct world *w)
{
	return gmap_map_at(w->space, OTHER, SEGMENT, MANY * SEGMENT);
}

static bool after_gmap_map(struct world *w)
{
	return gmap_translate(w->space, 0) == (long long)to_u64(HOST) &&
	       gmap_translate(w->space, SEGMENT) == (long long)OTHER &&
	       gmap_translate(w->space, MANY * SEGMENT) ==
	       (long long)(OTHER + (MANY - 1) * SEGMENT) &&
	       gmap_translate(w->space, (MANY + 1) * SEGMENT) == -EFAULT &&
	       gmap_reverse(w->space, OTHER, NULL, 0) == 1 &&
	       !gmap_reverse(w->space, to_u64(HOST + SEGMENT), NULL, 0) &&
	       gmap_stat_of(w->space, out_segments) == MANY + 1;
}

/* Out of the middle of one piece. */
static long run_gmap_map_inside(struct world *w)
{
	return gmap_map_at(w->space, OTHER, SEGMENT, SEGMENT);
}

static bool after_gmap_map_inside(struct world *w)
{
	return gmap_translate(w->space, 0) == (long long)to_u64(HOST) &&
	       gmap_translate(w->space, SEGMENT) == (long long)OTHER &&
	       gmap_translate(w->space, 2 * SEGMENT) ==
	       (long long)to_u64(HOST + 2 * SEGMENT) &&
	       gmap_stat_of(w->space, out_segments) == SEGS;
}

/* What was done before it failed is not done again. */
static long run_gmap_map_batch(struct world *w)
{
	struct mmext_gmap_piece pieces[4] = {
		{ OTHER, 100 * SEGMENT, SEGMENT },
		{ OTHER + SEGMENT, 5000 * SEGMENT, SEGMENT },
		{ OTHER + 2 * SEGMENT, 20000 * SEGMENT, SEGMENT },
		{ OTHER + 3 * SEGMENT, SEGMENT, SEGMENT },
	};
	__u32 done = 0;
	int ret = gmap_map_batch(w->space, pieces + w->done, 4 - w->done,
				 &done);

	w->done += done;
	return ret;
}

static bool before_gmap_map_batch(struct world *w)
{
	return gmap_stat_of(w->space, out_segments) == SEGS + w->done &&
	       gmap_translate(w->space, SEGMENT) ==
	       (long long)to_u64(HOST + SEGMENT);
}

static bool after_gmap_map_batch(struct world *w)
{
	return gmap_stat_of(w->space, out_segments) == SEGS + 3 &&
	       gmap_translate(w->space, 20000 * SEGMENT) ==
	       (long long)(OTHER + 2 * SEGMENT) &&
	       gmap_translate(w->space, SEGMENT) ==
	       (long long)(OTHER + 3 * SEGMENT);
}

/* It has no such error: what can be mapped can be unmapped. */
static long run_gmap_unmap(struct world *w)
{
	int ret = gmap_unmap(w->space, SEGMENT, SEGMENT);

	return ret == -ENOMEM ? -EIO : ret;
}

static bool after_gmap_unmap(struct world *w)
{
	return gmap_translate(w->space, 0) == (long long)to_u64(HOST) &&
	       gmap_translate(w->space, SEGMENT) == -EFAULT &&
	       gmap_translate(w->space, 2 * SEGMENT) ==
	       (long long)to_u64(HOST + 2 * SEGMENT) &&
	       gmap_stat_of(w->space, out_segments) == SEGS - 1;
}

static long run_gmap_translate(struct world *w)
{
	long long vmaddr = gmap_translate(w->space, SEGMENT);

	return vmaddr < 0 ? vmaddr : 0;
}

static long run_gmap_reverse(struct world *w)
{
	__u64 gaddr;
	int ret = gmap_reverse(w->space, to_u64(HOST), &gaddr, 1);

	return ret < 0 ? ret : 0;
}

static long run_gmap_link(struct world *w)
{
	return gmap_link(w->space, SEGMENT, to_u64(HOST + SEGMENT));
}

static bool before_gmap_link(struct world *w)
{
	return space_untouched(w) && !gmap_stat_of(w->space, out_linked);
}

static bool after_gmap_link(struct world *w)
{
	return space_untouched(w) && gmap_stat_of(w->space, out_linked) == 1;
}

static long run_gmap_unlink(struct world *w)
{
	int ret = gmap_unlink(w->space, to_u64(HOST), 0);

	return ret < 0 ? ret : 0;
}

/* Of pages that the parent does not have yet, in two segments. */
static long run_gmap_fault(struct world *w)
{
	__u64 done;
	int ret = gmap_fault_done(w->space, 2 * SEGMENT - 4 * page_size +
				  w->done, 8 * page_size - w->done,
				  MMEXT_GMAP_FAULT_WRITE, &done);

	w->done += done;
	return ret;
}

static bool after_gmap_fault(struct world *w)
{
	return space_untouched(w) && gmap_stat_of(w->space, out_linked) == 2;
}

static long run_gmap_notify(struct world *w)
{
	__u64 done;
	int ret = gmap_notify_done(w->space, w->done, LENGTH - w->done, 0,
				   &done);

	w->done += done;
	return ret;
}

static bool before_gmap_notify(struct world *w)
{
	return space_untouched(w) &&
	       gmap_stat_of(w->space, out_armed) == w->done / page_size;
}

static bool after_gmap_notify(struct world *w)
{
	return space_untouched(w) && gmap_stat_of(w->space, out_armed) == NR;
}

static long run_gmap_protect(struct world *w)
{
	return gmap_protect(w->space, 0, page_size, MMEXT_GMAP_PROTECT_READ);
}

static bool after_gmap_protect(struct world *w)
{
	return space_untouched(w) && gmap_stat_of(w->space, out_armed) == 1;
}

static long run_gmap_discard(struct world *w)
{
	return gmap_discard(w->space, 0, LENGTH);
}

static long run_gmap_dirty(struct world *w)
{
	return gmap_dirty(w->space, 0, 20000 * page_size, MMEXT_DIRTY_START,
			  NULL);
}

static bool after_gmap_dirty(struct world *w)
{
	__u64 marks = 0;
	char byte = 7;

	return pwrite(w->space, &byte, 1, SEGMENT) == 1 &&
	       !gmap_dirty(w->space, SEGMENT, page_size, MMEXT_DIRTY_GET,
			   &marks) && marks == 1 && space_untouched(w);
}

static long run_gmap_age(struct world *w)
{
	__u64 marks[4];

	return gmap_age(w->space, 0, 256 * page_size, marks);
}

static long run_gmap_events(struct world *w)
{
	int fd = gmap_events(w->space, 4000);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static long run_gmap_stat(struct world *w)
{
	struct mmext_gmap_stat stat;

	return gmap_stat(w->space, &stat);
}

static long run_gmap_enable(struct world *w)
{
	return gmap_enable(w->device, w->space);
}

static long run_gmap_disable(struct world *w)
{
	return gmap_disable(w->device);
}

static long run_gmap_read(struct world *w)
{
	ssize_t len = pread(w->space, w->buffer + w->done, LENGTH - w->done,
			    w->done);

	if (len < 0)
		return -errno;
	w->done += len;
	return w->done == LENGTH ? 0 : -ENOMEM;
}

static bool after_gmap_read(struct world *w)
{
	return filled_not(w->buffer, LENGTH, 1) < 0 && space_untouched(w);
}

static long run_gmap_window(struct world *w)
{
	char *window = window_map(w->space, LENGTH, 0);

	if (window == MAP_FAILED)
		return -errno;
	/* which takes memory as well */
	while (munmap(window, LENGTH))
		;
	return 0;
}

/* Until it succeeds, which the kernel sees to. */
static long run_gmap_load(struct world *w)
{
	return -(peek(w->window + 3 * SEGMENT) < 0);
}

static long run_gmap_store(struct world *w)
{
	return poke(w->window + 3 * SEGMENT, 7);
}

static bool after_gmap_load(struct world *w)
{
	return space_untouched(w) && !HOST[3 * SEGMENT] &&
	       gmap_stat_of(w->space, out_records);
}

static bool after_gmap_store(struct world *w)
{
	return space_untouched(w) && HOST[3 * SEGMENT] == 7;
}

static long run_gmap_access(struct world *w)
{
	ssize_t len = pwrite(w->memory, "\7", 1,
			     (off_t)(w->window + 3 * SEGMENT));

	if (len == 1)
		return 0;
	return errno == EIO ? -ENOMEM : -errno;
}

FIXTURE(call)
{
	struct world *world;
	struct injection injection;
	unsigned int failed;
	unsigned int injected;
};

FIXTURE_VARIANT(call)
{
	void (*prepare)(struct world *w);
	long (*run)(struct world *w);
	/* untouched() without */
	bool (*before)(struct world *w);
	bool (*after)(struct world *w);
	/* the ioctl that it is */
	unsigned int cmd;
	/* which wants a window */
	bool window;
	/*
	 * and it no space: one takes its time, and its notifier has the kernel take
	 * out what is changed
	 */
	bool no_space;
	/* it allocates, so it has to fail; twice: only without a second try */
	bool once;
	bool twice;
	/* takes pages alone, and nothing of the slab's */
	bool pages;
	/* memory that is not there is waited for, and it goes on */
	bool waits;
	/* it takes much, in objects that are larger than this */
	unsigned int step;
};

FIXTURE_VARIANT_ADD(call, open)
{
	.run = run_open,
	.no_space = true,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, open_shared)
{
	.run = run_open_shared,
	.no_space = true,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, mmap)
{
	.run = run_mmap,
	.before = before_mmap,
	.after = after_mmap,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, info)
{
	.run = run_info,
	.no_space = true,
	.cmd = MMEXT_INFO,
};

FIXTURE_VARIANT_ADD(call, setup)
{
	.run = run_setup,
	.before = before_setup,
	.after = after_setup,
	.no_space = true,
	.cmd = MMEXT_SETUP,
};

FIXTURE_VARIANT_ADD(call, populate)
{
	.prepare = prepare_populate,
	.run = run_populate,
	.before = before_populate,
	.after = after_populate,
	.no_space = true,
	.cmd = MMEXT_POPULATE,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, populate_write)
{
	.prepare = prepare_populate_write,
	.run = run_populate,
	.before = before_populate,
	.after = after_populate,
	.no_space = true,
	.cmd = MMEXT_POPULATE,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, exchange)
{
	.prepare = prepare_exchange,
	.run = run_remap,
	.before = before_remap,
	.after = after_exchange,
	.cmd = MMEXT_REMAP,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, alias)
{
	.prepare = prepare_alias,
	.run = run_remap,
	.before = before_remap,
	.after = after_alias,
	.cmd = MMEXT_REMAP,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, zap)
{
	.run = run_zap,
	.after = after_unmap,
	.cmd = MMEXT_ZAP,
};

FIXTURE_VARIANT_ADD(call, unmap)
{
	.run = run_unmap,
	.after = after_unmap,
	.cmd = MMEXT_UNMAP,
};

FIXTURE_VARIANT_ADD(call, free)
{
	.run = run_free,
	.after = after_free,
	.cmd = MMEXT_UNMAP,
};

FIXTURE_VARIANT_ADD(call, revoke)
{
	.run = run_revoke,
	.after = after_revoke,
	.cmd = MMEXT_REVOKE,
};

FIXTURE_VARIANT_ADD(call, protect)
{
	.prepare = prepare_protect,
	.run = run_protect,
	.before = before_protect,
	.after = after_protect,
	.cmd = MMEXT_PROTECT,
	.twice = true,
	.step = 256,
};

FIXTURE_VARIANT_ADD(call, unprotect)
{
	.prepare = prepare_unprotect,
	.run = run_unprotect,
	.after = after_unprotect,
	.cmd = MMEXT_PROTECT,
};

FIXTURE_VARIANT_ADD(call, dirty_start)
{
	.prepare = prepare_dirty_start,
	.run = run_dirty,
	.before = before_dirty_start,
	.after = after_dirty_start,
	.no_space = true,
	.cmd = MMEXT_DIRTY,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, dirty_get)
{
	.prepare = prepare_dirty_get,
	.run = run_dirty,
	.before = before_dirty_get,
	.after = after_dirty_get,
	.no_space = true,
	.cmd = MMEXT_DIRTY,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, dirty_stop)
{
	.prepare = prepare_dirty_stop,
	.run = run_dirty,
	.after = after_dirty_stop,
	.no_space = true,
	.cmd = MMEXT_DIRTY,
};

FIXTURE_VARIANT_ADD(call, lookup)
{
	.prepare = prepare_lookup,
	.run = run_lookup,
	.before = before_lookup,
	.after = after_lookup,
	.no_space = true,
	.cmd = MMEXT_LOOKUP,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, iomem)
{
	.prepare = prepare_iomem,
	.run = run_iomem,
	.before = before_iomem,
	.after = after_iomem,
	.no_space = true,
	.cmd = MMEXT_IOMEM,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, copy)
{
	.prepare = prepare_copy,
	.run = run_copy,
	.before = before_copy,
	.after = after_copy,
	.no_space = true,
	.cmd = MMEXT_ACCESS,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, zap_span)
{
	.run = run_zap_span,
	.after = after_unmap,
	.cmd = MMEXT_ZAP,
};

FIXTURE_VARIANT_ADD(call, read)
{
	.run = run_read,
	.after = after_read,
	.no_space = true,
	.once = true,
};

FIXTURE_VARIANT_ADD(call, write)
{
	.prepare = prepare_write,
	.run = run_write,
	.before = before_write,
	.after = after_write,
	.no_space = true,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, load)
{
	.prepare = prepare_far,
	.run = run_load,
	.before = before_far,
	.after = after_load,
	.no_space = true,
	.waits = true,
};

FIXTURE_VARIANT_ADD(call, store)
{
	.prepare = prepare_far,
	.run = run_store,
	.before = before_far,
	.after = after_store,
	.no_space = true,
	.waits = true,
};

FIXTURE_VARIANT_ADD(call, load_near)
{
	.prepare = prepare_near,
	.run = run_load,
	.after = after_load_near,
	.no_space = true,
	.waits = true,
};

FIXTURE_VARIANT_ADD(call, kernel_store)
{
	.prepare = prepare_far,
	.run = run_kernel_store,
	.before = before_far,
	.after = after_store,
	.no_space = true,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, access)
{
	.prepare = prepare_far,
	.run = run_access,
	.before = before_far,
	.after = after_access,
	.no_space = true,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, fork)
{
	.run = run_fork,
	.before = mapped_as_before,
	.after = mapped_as_before,
	.once = true,
	.twice = true,
	.step = 512,
};

FIXTURE_VARIANT_ADD(call, mprotect)
{
	.run = run_mprotect,
	.before = mapped_as_before,
	.after = after_mprotect,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, munmap)
{
	.run = run_munmap,
	.before = mapped_as_before,
	.after = after_munmap,
	.once = true,
	.twice = true,
};

FIXTURE_VARIANT_ADD(call, mremap)
{
	.run = run_mremap,
	.before = mapped_as_before,
	.after = after_mremap,
	.once = true,
	.twice = true,
};

#define GMAP_VARIANT(name, nr, after_, ...)				\
	FIXTURE_VARIANT_ADD(call, gmap_##name)				\
	{								\
		.run = run_gmap_##name,					\
		.before = space_untouched,				\
		.after = after_,					\
		.cmd = nr,						\
		__VA_ARGS__						\
	}

#define FAILS	.once = true, .twice = true
#define FAILS_PAGES	.once = true, .pages = true

GMAP_VARIANT(create, MMEXT_GMAP_CREATE, space_untouched, FAILS);
GMAP_VARIANT(map, MMEXT_GMAP_MAP, after_gmap_map, FAILS_PAGES);
GMAP_VARIANT(map_inside, MMEXT_GMAP_MAP, after_gmap_map_inside, FAILS_PAGES);

FIXTURE_VARIANT_ADD(call, gmap_map_batch)
{
	.run = run_gmap_map_batch,
	.before = before_gmap_map_batch,
	.after = after_gmap_map_batch,
	.cmd = MMEXT_GMAP_MAP_BATCH,
	FAILS_PAGES,
};

GMAP_VARIANT(unmap, MMEXT_GMAP_UNMAP, after_gmap_unmap);
GMAP_VARIANT(translate, MMEXT_GMAP_TRANSLATE, space_untouched);
GMAP_VARIANT(reverse, MMEXT_GMAP_REVERSE, space_untouched);

FIXTURE_VARIANT_ADD(call, gmap_link)
{
	.run = run_gmap_link,
	.before = before_gmap_link,
	.after = after_gmap_link,
	.cmd = MMEXT_GMAP_LINK,
};

GMAP_VARIANT(unlink, MMEXT_GMAP_UNLINK, space_untouched);
GMAP_VARIANT(fault, MMEXT_GMAP_FAULT, after_gmap_fault, FAILS);

FIXTURE_VARIANT_ADD(call, gmap_notify)
{
	.run = run_gmap_notify,
	.before = before_gmap_notify,
	.after = after_gmap_notify,
	.cmd = MMEXT_GMAP_NOTIFY,
	FAILS,
};

GMAP_VARIANT(protect, MMEXT_GMAP_PROTECT, after_gmap_protect);
GMAP_VARIANT(discard, MMEXT_GMAP_DISCARD, space_untouched);
GMAP_VARIANT(dirty, MMEXT_GMAP_DIRTY, after_gmap_dirty, FAILS);
GMAP_VARIANT(age, MMEXT_GMAP_AGE, space_untouched);
GMAP_VARIANT(events, MMEXT_GMAP_EVENTS, space_untouched, FAILS);
GMAP_VARIANT(stat, MMEXT_GMAP_STAT, space_untouched);
GMAP_VARIANT(enable, MMEXT_GMAP_ENABLE, space_untouched, .window = true);
GMAP_VARIANT(disable, MMEXT_GMAP_DISABLE, space_untouched, .window = true);
GMAP_VARIANT(read, 0, after_gmap_read, .once = true);
GMAP_VARIANT(window, 0, space_untouched, FAILS, .window = true);
GMAP_VARIANT(load, 0, after_gmap_load, .waits = true, .window = true);
GMAP_VARIANT(store, 0, after_gmap_store, .waits = true, .window = true);
GMAP_VARIANT(access, 0, after_gmap_store, FAILS, .window = true);

static int world_make(struct world *w, bool no_space)
{
	memset(w, 0, sizeof(*w));
	w->fresh = region_open();
	w->used = used(w->fresh);
	w->fd = region_open();
	w->memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (w->fresh < 0 || w->fd < 0 || w->memory < 0 || pipe(w->pipe) ||
	    write(w->pipe[1], "\7", 1) != 1)
		return -errno;
	w->addr = region_map(w->fd, LENGTH, 0);
	if (w->addr == MAP_FAILED)
		return -errno;
	fill(w->addr, LENGTH, 1);

	w->device = -1;
	w->space = -1;
	if (no_space)
		return 0;

	w->device = guest_open();
	w->space = gmap_open();
	if (w->space < 0 ||
	    mmap(HOST, SEGS * SEGMENT, PROT_READ | PROT_WRITE, MAP_SHARED |
		 MAP_ANONYMOUS | MAP_FIXED, -1, 0) != HOST)
		return -errno;
	fill(HOST, LENGTH, 1);
	if (gmap_map(w->space, HOST, 0, SEGS * SEGMENT))
		return -EINVAL;
	w->window = window_map(w->space, SEGS * SEGMENT, 0);
	if (w->window == MAP_FAILED)
		w->window = NULL;
	return 0;
}

/* How many bytes of pages are left of it. */
static long long world_end(struct world *w)
{
	long long left;

	if (w->window)
		munmap(w->window, SEGS * SEGMENT);
	munmap(HOST, SEGS * SEGMENT);
	if (w->space >= 0)
		close(w->space);
	if (w->device >= 0)
		close(w->device);
	munmap(w->addr, LENGTH);
	munmap(LONELY, LENGTH);
	close(w->fd);
	close(w->memory);
	close(w->pipe[0]);
	close(w->pipe[1]);
	left = used(w->fresh) - w->used;
	close(w->fresh);
	return left;
}

static long module_references(void)
{
	char text[32];

	if (file_read("/sys/module/mmext/refcnt", text, sizeof(text)))
		return -1;
	return atol(text);
}

FIXTURE_SETUP(call)
{
	fault_catch();
	/* not on the stack, and there before anything is counted */
	self->world = mmap(NULL, sizeof(*self->world), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->world);
}

FIXTURE_TEARDOWN(call)
{
	if (self->injection.arm)
		self->injection.disarm(&self->injection);
}

/*
 * Fail one allocation after the other until the call comes to none that is
 * left.  One that fails in spite of memory enough says so; it may also have
 * another way to go.
 */
static void sweep(struct __test_metadata *_metadata, FIXTURE_DATA(call) *self,
		  const FIXTURE_VARIANT(call) *variant)
{
	struct world *w = self->world;
	struct injection *in = &self->injection;
	bool (*as_before)(struct world *w) = variant->before ? : untouched;
	bool (*is_done)(struct world *w) = variant->after ? : untouched;
	long references = module_references();
	bool injected = true;
	unsigned int n;
	long ret;

	for (n = 0; injected; n++) {
		ASSERT_GT(4000, n);
		ASSERT_EQ(0, world_make(w, variant->no_space));
		if (variant->prepare)
			variant->prepare(w);

		in->arm(in, n);
		ret = variant->run(w);
		injected = in->disarm(in);

		self->injected += injected;
		self->failed += ret < 0;
		if (!injected)
			EXPECT_EQ(0, ret);
		/* a copy of the arguments was made to fail: before or after it */
		if (ret == -EFAULT) {
			EXPECT_EQ(0, world_end(w));
			continue;
		}
		EXPECT_TRUE(ret == 0 || ret == -ENOMEM)
			TH_LOG("number %u: %ld", n, ret);
		if (ret) {
			EXPECT_TRUE(as_before(w))
				TH_LOG("number %u: not as before", n);
			EXPECT_EQ(0, variant->run(w));
		}
		EXPECT_TRUE(is_done(w))
			TH_LOG("number %u: not done, %ld", n, ret);
		EXPECT_EQ(0, world_end(w))
			TH_LOG("number %u: pages are left", n);
		EXPECT_EQ(references, module_references());
		if (!_metadata->passed)
			break;
	}
	printf("# %u injected, %u errors\n", self->injected, self->failed);
	fflush(stdout);
}

TEST_F_TIMEOUT(call, with_one_allocation_failing, 900)
{
	if (!have_injection())
		SKIP(return, "no fault injection in this kernel");
	if (variant->window && !have_windows())
		SKIP(return, "no windows without a TLB backend");
	ASSERT_EQ(0, nth_open(&self->injection));
	sweep(_metadata, self, variant);
	if (variant->once)
		EXPECT_LT(0, self->failed);
	if (variant->waits)
		EXPECT_LT(2, self->injected);
}

/* 6.1's alloc_vmap_area() does, where two allocations of ioremap() fail. */
static bool vmalloc_warns(void)
{
	struct utsname name;

	return !uname(&name) && !strncmp(name.release, "6.1.", 4);
}

TEST_F_TIMEOUT(call, with_two_allocations_failing, 900)
{
	if (!have_injection())
		SKIP(return, "no fault injection in this kernel");
	if (variant->cmd == MMEXT_IOMEM && vmalloc_warns())
		SKIP(return, "this kernel's vmalloc warns of it");
	if (variant->window && !have_windows())
		SKIP(return, "no windows without a TLB backend");
	ASSERT_EQ(0, pair_open(&self->injection));
	if (variant->step)
		self->injection.step = variant->step;
	/* a part of them, if but a part of the time is given */
	self->injection.step = self->injection.step * 100 / portion(100);
	sweep(_metadata, self, variant);
	if (variant->twice)
		EXPECT_LT(0, self->failed);
	/* the injection is the slab's; pages were made to fail above */
	if (variant->pages)
		EXPECT_EQ(0, self->injected);
}

/*
 * A page that is lost is not in any region, and so in no count of the module.
 * But it stays charged to the group that it was allocated in.
 */
#define GROUP_ROOT	"/sys/fs/cgroup/"
#define ROUNDS		600

FIXTURE(group)
{
	char dir[64];
	struct injection injection;
	int fd;
};

FIXTURE_VARIANT(group)
{
	int (*open)(struct injection *in);
};

FIXTURE_VARIANT_ADD(group, one)
{
	.open = nth_open,
};

FIXTURE_VARIANT_ADD(group, two)
{
	.open = pair_open,
};

FIXTURE_SETUP(group)
{
	char path[96];

	if (!have_injection())
		return;
	snprintf(self->dir, sizeof(self->dir), GROUP_ROOT "mmext-nomem-%d",
		 getpid());
	ASSERT_EQ(0, file_write(GROUP_ROOT "cgroup.subtree_control",
				"+memory"));
	ASSERT_EQ(0, mkdir(self->dir, 0755));
	snprintf(path, sizeof(path), "%s/cgroup.procs", self->dir);
	ASSERT_EQ(0, file_write(path, "0"));
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(group)
{
	if (!have_injection())
		return;
	close(self->fd);
	file_write(GROUP_ROOT "cgroup.procs", "0");
	rmdir(self->dir);
}

static long long group_pages(FIXTURE_DATA(group) *self)
{
	char path[96], text[32];

	snprintf(path, sizeof(path), "%s/memory.current", self->dir);
	if (file_read(path, text, sizeof(text)))
		return -1;
	return atoll(text) / page_size;
}

/* A byte into a hole, whose every allocation is to be made. */
static long fill_hole(FIXTURE_DATA(group) *self, unsigned int n,
		      unsigned int round, bool *injected)
{
	__u64 offset = FAR + round * (1ULL << 30);
	ssize_t len;
	int err;

	self->injection.arm(&self->injection, n);
	len = pwrite(self->fd, "x", 1, offset);
	err = errno;
	*injected = self->injection.disarm(&self->injection);
	region_free(self->fd, offset, page_size);
	return len < 0 ? -err : 0;
}

TEST_F_TIMEOUT(group, is_charged_no_page_after_a_failure, 900)
{
	unsigned int failing[64], nr = 0, failed = 0, n, i;
	long long before, after;
	bool injected = true;

	if (!have_injection())
		SKIP(return, "no fault injection in this kernel");
	ASSERT_EQ(0, variant->open(&self->injection));
	for (n = 0; injected; n++) {
		ASSERT_GT(1000, n);
		if (fill_hole(self, n, n, &injected) == -ENOMEM &&
		    nr < ARRAY_SIZE(failing))
			failing[nr++] = n;
	}
	ASSERT_LT(0, nr);

	before = group_pages(self);
	/* what a call allocates is not the same each time */
	for (i = 0; failed < ROUNDS && i < 20 * ROUNDS; i++)
		failed += fill_hole(self, failing[i % nr], i % 512,
				    &injected) == -ENOMEM;
	after = group_pages(self);
	EXPECT_LT(0, before);
	EXPECT_EQ(ROUNDS, failed);
	/* the count is of batches of some dozens for each CPU */
	EXPECT_GT(ROUNDS / 2, after - before)
		TH_LOG("%lld pages after %u failures", after - before, failed);
	EXPECT_EQ(0, region_pages(self->fd));
}

/* A call that is added to the interface is added here. */
TEST(every_call_is_covered)
{
	bool covered[256] = { false };
	struct __fixture_variant_metadata *v;
	int fd, space, nr, calls = 0;

	if (!have_injection())
		SKIP(return, "no fault injection in this kernel");
	for (v = _call_fixture_object.variant; v; v = v->next) {
		const FIXTURE_VARIANT(call) *variant = v->data;

		if (variant->cmd)
			covered[_IOC_NR(variant->cmd)] = true;
	}
	fd = region_open();
	ASSERT_GE(fd, 0);
	space = gmap_open();
	ASSERT_GE(space, 0);
	for (nr = 0; nr < 256; nr++) {
		if (call(fd, _IO(MMEXT_TYPE, nr), NULL) == -ENOTTY &&
		    call(space, _IO(MMEXT_TYPE, nr), NULL) == -ENOTTY)
			continue;
		calls++;
		EXPECT_TRUE(covered[nr])
			TH_LOG("no failures are made in call %#x", nr);
	}
	EXPECT_LT(24, calls);
	close(space);
	close(fd);
}

/*
 * Without rseq(2): the kernel stores to its area on the way back to user space,
 * and if that page, shared since a fork, can't be copied, it is a SIGSEGV.
 */
static void __attribute__((constructor)) no_rseq(int argc, char **argv)
{
	if (argc && getenv("GLIBC_TUNABLES"))
		return;
	setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
	execv("/proc/self/exe", argv);
}

TEST_HARNESS_MAIN
