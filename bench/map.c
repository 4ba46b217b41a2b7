// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping, unmapping, faulting, looking up, exchanging, reading.
 */
#include <poll.h>
#include <linux/userfaultfd.h>

#include "bench.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#endif

/* Faults */

static void touch(struct run *r)
{
	char *p;

	for (p = r->addr; p < r->addr + r->size; p += PAGE)
		load(p);
}

static void touch_write(struct run *r)
{
	char *p;

	for (p = r->addr; p < r->addr + r->size; p += PAGE)
		store(p, 1);
}

/* What the kernel maps around a fault, in bytes. */
static bool set_around(const char *bytes)
{
	int fd = open("/sys/kernel/debug/fault_around_bytes", O_WRONLY);
	bool set = fd >= 0 && write(fd, bytes, strlen(bytes)) > 0;

	close(fd);
	return set;
}

static bool no_around(struct run *r __unused)
{
	return set_around("4096");
}

static void around_again(struct run *r __unused)
{
	set_around("65536");
}

/* The same order each time. */
static bool shuffle(struct run *r)
{
	size_t n = r->size / PAGE, i, j;
	uint64_t x = 88172645463325252ULL;
	uint32_t *order, swap;

	order = malloc(n * sizeof(*order));
	r->state = order;
	if (!order)
		die("malloc");
	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n; i > 1; i--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		j = x % i;
		swap = order[i - 1];
		order[i - 1] = order[j];
		order[j] = swap;
	}
	return true;
}

static bool shuffle_no_around(struct run *r)
{
	return shuffle(r) && no_around(r);
}

static void touch_shuffled(struct run *r)
{
	const uint32_t *order = r->state;
	size_t n = r->size / PAGE, i;

	for (i = 0; i < n; i++)
		load(r->addr + order[i] * PAGE);
}

static void forget(struct run *r)
{
	free(r->state);
}

static void forget_around_again(struct run *r)
{
	around_again(r);
	forget(r);
}

/* All at once */

static void populate(struct run *r)
{
	struct mmext_populate p = {
		.size = sizeof(p),
		.flags = r->row->arg,
		.addr = (uintptr_t)r->addr,
		.length = r->size,
	};

	if (ioctl(r->fd, MMEXT_POPULATE, &p) || p.length)
		die("POPULATE");
}

static bool populated(struct run *r)
{
	populate(r);
	return true;
}

static void call(struct run *r)
{
	bench_call(r, r->row->arg);
}

static bool remapped(struct run *r)
{
	bench_call(r, MMEXT_BENCH_REMAP_PFN_RANGE);
	return true;
}

static bool inserted(struct run *r)
{
	bench_call(r, MMEXT_BENCH_INSERT_PAGES);
	return true;
}

static void madvise_all(struct run *r)
{
	if (madvise(r->addr, r->size, r->row->arg))
		die("madvise");
}

static bool can_populate(struct run *r)
{
	return !madvise(r->addr, PAGE, MADV_POPULATE_READ);
}

static bool touched(struct run *r)
{
	touch(r);
	return true;
}

static bool stored(struct run *r)
{
	touch_write(r);
	return true;
}

/* userfaultfd: pages that the file has, mapped without a fault. */
bool minor_open(struct run *r)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_MINOR_SHMEM,
	};
	struct uffdio_register reg = {
		.range = { (uintptr_t)r->addr, r->size },
		.mode = UFFDIO_REGISTER_MODE_MINOR,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		return false;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg)) {
		close(fd);
		return false;
	}
	r->state = (void *)(intptr_t)fd;
	return true;
}

static void minor_continue(struct run *r)
{
	struct uffdio_continue c = {
		.range = { (uintptr_t)r->addr, r->size },
	};

	if (ioctl((intptr_t)r->state, UFFDIO_CONTINUE, &c))
		die("UFFDIO_CONTINUE");
}

static void close_state(struct run *r)
{
	close((intptr_t)r->state);
}

/* Out again */

static void zap(struct run *r)
{
	struct mmext_zap z = {
		.size = sizeof(z),
		.addr = (uintptr_t)r->addr,
		.length = r->size,
	};

	if (ioctl(r->fd, MMEXT_ZAP, &z) || z.length)
		die("ZAP");
}

static void unmap(struct run *r)
{
	struct mmext_unmap u = { .size = sizeof(u), .length = r->size };

	if (ioctl(r->fd, MMEXT_UNMAP, &u) || u.length)
		die("UNMAP");
}

/* times - 1 further processes with the same entries, waiting to be let go. */
struct children {
	int go[2];
	int ready[2];
	pid_t pid[16];
};

static void start_children(struct run *r)
{
	struct children *c = calloc(1, sizeof(*c));
	unsigned long i;
	char byte;

	if (!c || pipe(c->go) || pipe(c->ready))
		die("pipe");
	for (i = 0; i + 1 < r->row->times; i++) {
		c->pid[i] = fork();
		if (c->pid[i] < 0)
			die("fork");
		if (!c->pid[i]) {
			close(c->go[1]);
			/* not all of them come over by fork */
			touch(r);
			if (write(c->ready[1], "", 1) != 1 ||
			    read(c->go[0], &byte, 1))
				_exit(1);
			_exit(0);
		}
		if (read(c->ready[0], &byte, 1) != 1)
			die("child");
	}
	r->state = c;
}

static bool populated_everywhere(struct run *r)
{
	struct mmext_populate p = {
		.size = sizeof(p),
		.addr = (uintptr_t)r->addr,
		.length = r->size,
	};

	if (ioctl(r->fd, MMEXT_POPULATE, &p))
		die("POPULATE");
	start_children(r);
	return true;
}

static bool remapped_everywhere(struct run *r)
{
	bench_call(r, MMEXT_BENCH_REMAP_PFN_RANGE);
	start_children(r);
	return true;
}

static void call_unmap(struct run *r)
{
	bench_call(r, MMEXT_BENCH_UNMAP_MAPPING_RANGE);
}

static void end_children(struct run *r)
{
	struct children *c = r->state;
	unsigned long i;

	close(c->go[1]);
	for (i = 0; i + 1 < r->row->times; i++)
		waitpid(c->pid[i], NULL, 0);
	close(c->go[0]);
	close(c->ready[0]);
	close(c->ready[1]);
	free(c);
}

/* Looking up */

static bool lookup_begin(struct run *r)
{
	populate(r);
	r->state = malloc(r->size / PAGE * sizeof(struct mmext_entry));
	if (!r->state)
		die("malloc");
	memset(r->state, 1, r->size / PAGE * sizeof(struct mmext_entry));
	return true;
}

static void lookup(struct run *r)
{
	struct mmext_lookup l = {
		.size = sizeof(l),
		.addr = (uintptr_t)r->addr,
		.length = r->size,
		.entries = (uintptr_t)r->state,
	};

	if (ioctl(r->fd, MMEXT_LOOKUP, &l) || l.length)
		die("LOOKUP");
}

static void pagemap(struct run *r)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	size_t length = r->size / PAGE * 8, done = 0;
	ssize_t n;

	while (done < length) {
		n = pread(fd, (char *)r->state + done, length - done,
			  (uintptr_t)r->addr / PAGE * 8 + done);
		if (n <= 0)
			die("pagemap");
		done += n;
	}
	close(fd);
}

/* Reading: a MiB at a time, from a mapping into a buffer that is there */

static bool buffer_begin(struct run *r)
{
	r->state = malloc(MIB);
	if (!r->state)
		die("malloc");
	memset(r->state, 1, MIB);
	touch_write(r);
	return true;
}

static void access_range(struct run *r)
{
	size_t at;

	for (at = 0; at < r->size; at += MIB) {
		struct mmext_access a = {
			.size = sizeof(a),
			.addr = (uintptr_t)r->addr + at,
			.length = MIB,
			.buffer = (uintptr_t)r->state,
		};

		if (ioctl(object_fd(REGION, r->size), MMEXT_ACCESS, &a) ||
		    a.length)
			die("ACCESS");
	}
}

static void process_vm_read(struct run *r)
{
	size_t at;

	for (at = 0; at < r->size; at += MIB) {
		struct iovec to = { r->state, MIB };
		struct iovec from = { r->addr + at, MIB };

		if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != MIB)
			die("process_vm_readv");
	}
}

/* Exchanging */

static void exchange(struct run *r)
{
	struct mmext_remap m = {
		.size = sizeof(m),
		.to = r->size / 2,
		.length = r->size / 2,
	};

	if (ioctl(r->fd, MMEXT_REMAP, &m) || m.length)
		die("REMAP");
}

static void map_at(struct run *r, size_t at, size_t offset, size_t size)
{
	if (mmap(r->addr + at, size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, r->fd, offset) == MAP_FAILED)
		die("MAP_FIXED");
}

static void exchange_fixed(struct run *r)
{
	map_at(r, 0, r->size / 2, r->size / 2);
	map_at(r, r->size / 2, 0, r->size / 2);
}

static void exchange_and_touch(struct run *r)
{
	exchange(r);
	touch(r);
}

static void exchange_fixed_and_touch(struct run *r)
{
	exchange_fixed(r);
	touch(r);
}

/* Pages, each with one of the other half, so that none joins its neighbour. */
#define EXCHANGES	512UL

static void exchange_pages(struct run *r)
{
	struct mmext_remap m = { .size = sizeof(m) };
	size_t step = r->size / 2 / EXCHANGES, i;

	for (i = 0; i < EXCHANGES; i++) {
		m.from = i * step;
		m.to = r->size - PAGE - i * step;
		m.length = PAGE;
		if (ioctl(r->fd, MMEXT_REMAP, &m) || m.length)
			die("REMAP");
	}
}

static void exchange_pages_fixed(struct run *r)
{
	size_t step = r->size / 2 / EXCHANGES, i, other;

	for (i = 0; i < EXCHANGES; i++) {
		other = r->size - PAGE - i * step;
		map_at(r, i * step, other, PAGE);
		map_at(r, other, i * step, PAGE);
	}
}

/* Away for good: an object of its own each time */

static bool fresh_region(struct run *r)
{
	r->fd = open("/dev/mmext", O_RDWR | O_CLOEXEC);
	if (r->fd < 0)
		die("/dev/mmext");
	map_at(r, 0, 0, r->size);
	populate(r);
	return true;
}

static bool fresh_memfd(struct run *r)
{
	r->fd = memfd_create("fresh", MFD_CLOEXEC);
	if (r->fd < 0 || ftruncate(r->fd, r->size))
		die("memfd");
	map_at(r, 0, 0, r->size);
	touch_write(r);
	return true;
}

static void revoke_region(struct run *r)
{
	struct mmext_revoke v = { .size = sizeof(v) };

	if (ioctl(r->fd, MMEXT_REVOKE, &v))
		die("REVOKE");
}

static void truncate_to_none(struct run *r)
{
	if (ftruncate(r->fd, 0))
		die("ftruncate");
}

static void close_fresh(struct run *r)
{
	close(r->fd);
}

const struct row map_rows[] = {
	{ "fault", "mmext", REGION_ONE, NULL, touch, .sizes = true },
	{ "fault", "mmext_vmf_insert_pfn", ENGINE, NULL, touch },
	{ "fault", "vmf_insert_pfn", KERNEL, NULL, touch, .sizes = true },
	{ "fault", "mmext-pages", REGION_PAGES_ONE, NULL, touch },
	{ "fault", "memfd", MEMFD, no_around, touch, around_again, .sizes = true },
	{ "fault", "anonymous", ANON, NULL, touch },

	{ "fault-around", "mmext", REGION, NULL, touch, .sizes = true },
	{ "fault-around", "mmext-64", REGION_WIDE, NULL, touch },
	{ "fault-around", "mmext-pages", REGION_PAGES, NULL, touch },
	{ "fault-around", "mmext-huge", REGION_HUGE, NULL, touch, .sizes = true },
	{ "fault-around", "vmf_insert_pfn_pmd", KERNEL_HUGE, NULL, touch },
	{ "fault-around", "memfd", MEMFD, NULL, touch, .sizes = true },
	{ "fault-around", "THP", THP, NULL, touch },

	{ "fault-write", "mmext", REGION_ONE, NULL, touch_write },
	{ "fault-write", "mmext_vmf_insert_pfn", ENGINE, NULL, touch_write },
	{ "fault-write", "vmf_insert_pfn", KERNEL, NULL, touch_write },
	{ "fault-write", "mmext-pages", REGION_PAGES_ONE, NULL, touch_write },
	{ "fault-write", "mmext-16", REGION, NULL, touch_write },
	{ "fault-write", "mmext-huge", REGION_HUGE, NULL, touch_write },
	{ "fault-write", "memfd", MEMFD, NULL, touch_write },
	{ "fault-write", "anonymous", ANON, NULL, touch_write },
	{ "fault-write", "THP", THP, NULL, touch_write },

	{ "fault-random", "mmext", REGION_ONE, shuffle, touch_shuffled, forget },
	{ "fault-random", "mmext-16", REGION, shuffle, touch_shuffled, forget },
	{ "fault-random", "vmf_insert_pfn", KERNEL, shuffle, touch_shuffled,
	  forget },
	{ "fault-random", "memfd", MEMFD, shuffle, touch_shuffled, forget },
	{ "fault-random", "memfd-1", MEMFD, shuffle_no_around, touch_shuffled,
	  forget_around_again },

	{ "populate", "mmext", REGION, NULL, populate, .sizes = true },
	{ "populate", "mmext-write", REGION, NULL, populate,
	  .arg = MMEXT_POPULATE_WRITE },
	{ "populate", "mmext-huge", REGION_HUGE, NULL, populate, .sizes = true },
	{ "populate", "mmext_remap_pfn_range", ENGINE, NULL, call,
	  .arg = MMEXT_BENCH_REMAP_PFN_RANGE, .sizes = true },
	{ "populate", "remap_pfn_range", KERNEL, NULL, call,
	  .arg = MMEXT_BENCH_REMAP_PFN_RANGE, .sizes = true },
	{ "populate", "remap_pfn_range-1", KERNEL, NULL, call,
	  .arg = MMEXT_BENCH_REMAP_EACH },
	{ "populate", "MADV_POPULATE_READ", MEMFD, can_populate, madvise_all,
	  .arg = MADV_POPULATE_READ, .sizes = true },
	{ "populate", "UFFDIO_CONTINUE", MEMFD, minor_open, minor_continue,
	  close_state },

	{ "populate-pages", "mmext", REGION_PAGES, NULL, populate },
	{ "populate-pages", "mmext_vm_insert_pages", ENGINE_PAGES, NULL, call,
	  .arg = MMEXT_BENCH_INSERT_PAGES },
	{ "populate-pages", "mmext_vm_insert_page", ENGINE_PAGES, NULL, call,
	  .arg = MMEXT_BENCH_INSERT_PAGE },
	{ "populate-pages", "vm_insert_pages", KERNEL_PAGES, NULL, call,
	  .arg = MMEXT_BENCH_INSERT_PAGES },
	{ "populate-pages", "vm_insert_page", KERNEL_PAGES, NULL, call,
	  .arg = MMEXT_BENCH_INSERT_PAGE },

	{ "zap", "mmext", REGION, populated, zap, .sizes = true },
	{ "zap", "mmext-huge", REGION_HUGE, populated, zap, .sizes = true },
	{ "zap", "mmext_zap_vma_ptes", ENGINE, remapped, call,
	  .arg = MMEXT_BENCH_ZAP_VMA_PTES, .sizes = true, .part = true },
	{ "zap", "zap_vma_ptes", KERNEL, remapped, call,
	  .arg = MMEXT_BENCH_ZAP_VMA_PTES, .sizes = true, .part = true },
	{ "zap", "MADV_DONTNEED", MEMFD, touched, madvise_all,
	  .arg = MADV_DONTNEED, .sizes = true },

	{ "zap-pages", "mmext", REGION_PAGES, populated, zap },
	{ "zap-pages", "mmext_zap_page_range", ENGINE_PAGES, inserted, call,
	  .arg = MMEXT_BENCH_ZAP_PAGE_RANGE },
	{ "zap-pages", "zap_page_range", KERNEL_PAGES, inserted, call,
	  .arg = MMEXT_BENCH_ZAP_PAGE_RANGE },

	{ "unmap-1", "mmext", REGION, populated_everywhere, unmap, end_children,
	  .times = 1 },
	{ "unmap-1", "mmext_unmap_mapping_range", ENGINE, remapped_everywhere,
	  call_unmap, end_children, .times = 1, .part = true },
	{ "unmap-1", "unmap_mapping_range", KERNEL, remapped_everywhere,
	  call_unmap, end_children, .times = 1, .part = true },

	{ "unmap-4", "mmext", REGION, populated_everywhere, unmap, end_children,
	  .times = 4 },
	{ "unmap-4", "mmext_unmap_mapping_range", ENGINE, remapped_everywhere,
	  call_unmap, end_children, .times = 4, .part = true },
	{ "unmap-4", "unmap_mapping_range", KERNEL, remapped_everywhere,
	  call_unmap, end_children, .times = 4, .part = true },

	{ "unmap-16", "mmext", REGION, populated_everywhere, unmap, end_children,
	  .times = 16 },
	{ "unmap-16", "mmext_unmap_mapping_range", ENGINE, remapped_everywhere,
	  call_unmap, end_children, .times = 16, .part = true },
	{ "unmap-16", "unmap_mapping_range", KERNEL, remapped_everywhere,
	  call_unmap, end_children, .times = 16, .part = true },

	{ "revoke", "mmext", ANON, fresh_region, revoke_region, close_fresh },
	{ "revoke", "ftruncate", ANON, fresh_memfd, truncate_to_none,
	  close_fresh },

	{ "follow", "mmext_follow_pfn", ENGINE, remapped, call,
	  .arg = MMEXT_BENCH_FOLLOW_PFN },
	{ "follow", "follow_pfn", KERNEL, remapped, call,
	  .arg = MMEXT_BENCH_FOLLOW_PFN },

	{ "lookup", "mmext", REGION, lookup_begin, lookup, forget },
	{ "lookup", "pagemap", REGION, lookup_begin, pagemap, forget },

	{ "access", "mmext", ANON, buffer_begin, access_range, forget },
	{ "access", "process_vm_readv", ANON, buffer_begin, process_vm_read,
	  forget },
	{ "access", "mmext-frames", REGION, buffer_begin, access_range, forget },
	{ "access", "mmext-pages", REGION_PAGES, buffer_begin, access_range,
	  forget },

	{ "exchange", "mmext", REGION, populated, exchange },
	{ "exchange", "MAP_FIXED", MEMFD, touched, exchange_fixed },

	{ "exchange-touch", "mmext", REGION, populated, exchange_and_touch },
	{ "exchange-touch", "MAP_FIXED", MEMFD, touched,
	  exchange_fixed_and_touch },

	{ "exchange-1", "mmext", REGION, populated, exchange_pages,
	  .pages = 2 * EXCHANGES },
	{ "exchange-1", "MAP_FIXED", MEMFD, touched, exchange_pages_fixed,
	  .pages = 2 * EXCHANGES },

	{ "discard", "anonymous", ANON, stored, madvise_all,
	  .arg = MADV_DONTNEED },
	{ "discard", "THP", THP, stored, madvise_all, .arg = MADV_DONTNEED },

	{ "nothing", "ioctl", KERNEL, NULL, call, .arg = MMEXT_BENCH_NOTHING,
	  .pages = 1 },
	{ }
};
