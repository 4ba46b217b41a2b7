// SPDX-License-Identifier: GPL-2.0
/*
 * Guest spaces: looking up, mapping, faults of windows, who stored to what, and what
 * the parent pays for it.
 */
#include <pthread.h>
#include <linux/userfaultfd.h>

#include "bench.h"

/* What guests have at least: segments for look-ups, pieces that are mapped. */
#define SEGMENTS	16384UL
#define PIECES		4096UL
#define ADDRESSES	512UL
#define SEGMENT		MIB
#define UNRELATED	1024UL

/* What every method of a row has at hand. */
static struct {
	int space;
	int kernel;
	size_t size;
	char *window;
	char *parent;
	void *array;
	pthread_t thread;
} guest = { .space = -1, .kernel = -1 };

/* Addresses that nothing is at, and that begin with a page table. */
char *reserve(size_t size)
{
	size_t more = 2 * MIB;
	char *addr = mmap(NULL, size + more, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (addr == MAP_FAILED)
		die("mmap");
	return (char *)(((uintptr_t)addr + more - 1) & ~(more - 1));
}

static void *zeroed(size_t nr, size_t size)
{
	void *p = calloc(nr, size);

	if (!p)
		die("calloc");
	return p;
}

int space_open(unsigned long bytes, unsigned int shift)
{
	struct mmext_gmap_create c = {
		.size = sizeof(c),
		.limit = bytes - 1,
		.segment_shift = shift,
	};
	int fd = open("/dev/mmext", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/mmext");
	if (ioctl(fd, MMEXT_GMAP_CREATE, &c))
		die("GMAP_CREATE");
	close(fd);
	return c.out_fd;
}

static void guest_end(struct run *r __unused)
{
	if (guest.window)
		munmap(guest.window, guest.size);
	if (guest.space >= 0)
		close(guest.space);
	if (guest.kernel >= 0)
		close(guest.kernel);
	free(guest.array);
	guest.window = NULL;
	guest.array = NULL;
	guest.space = -1;
	guest.kernel = -1;
}

/* Segments in any number, in the parent in another order than in the guest. */

static struct mmext_gmap_piece *scattered(size_t nr, const char *parent,
					  size_t segment)
{
	struct mmext_gmap_piece *pieces = zeroed(nr, sizeof(*pieces));
	size_t i;

	for (i = 0; i < nr; i++) {
		pieces[i].from = (uintptr_t)parent + i * 5 % nr * segment;
		pieces[i].to = i * segment;
		pieces[i].length = segment;
	}
	return pieces;
}

static void map_batch(int space, const struct mmext_gmap_piece *pieces,
		      size_t nr)
{
	struct mmext_gmap_map_batch b = {
		.size = sizeof(b),
		.pieces = (uintptr_t)pieces,
		.nr = nr,
	};

	while (b.nr) {
		if (ioctl(space, MMEXT_GMAP_MAP_BATCH, &b))
			die("GMAP_MAP_BATCH");
	}
}

int space_of_segments(size_t nr, char *parent)
{
	struct mmext_gmap_piece *pieces = scattered(nr, parent, PAGE);
	int space = space_open(nr * PAGE, 12);

	map_batch(space, pieces, nr);
	free(pieces);
	return space;
}

static bool pieces_begin(struct run *r __unused)
{
	guest.space = space_open(PIECES * PAGE, 12);
	guest.size = PIECES * PAGE;
	guest.parent = reserve(guest.size);
	guest.array = scattered(PIECES, guest.parent, PAGE);
	return true;
}

static void pieces_map(struct run *r __unused)
{
	map_batch(guest.space, guest.array, PIECES);
}

static void pieces_end(struct run *r)
{
	munmap(guest.parent, guest.size);
	guest_end(r);
}

static bool aliases_begin(struct run *r __unused)
{
	guest.size = PIECES * PAGE;
	guest.parent = reserve(guest.size);
	guest.space = memfd_create("aliases", MFD_CLOEXEC);
	if (guest.space < 0 || ftruncate(guest.space, guest.size))
		die("memfd");
	return true;
}

static void aliases_map(struct run *r __unused)
{
	size_t i;

	for (i = 0; i < PIECES; i++) {
		if (mmap(guest.parent + i * PAGE, PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, guest.space,
			 i * 5 % PIECES * PAGE) == MAP_FAILED)
			die("MAP_FIXED");
	}
}

/* Looking up */

static bool many_segments(struct run *r __unused)
{
	guest.size = SEGMENTS * PAGE;
	guest.parent = reserve(guest.size);
	guest.space = space_of_segments(SEGMENTS, guest.parent);
	return true;
}

static bool addresses_begin(struct run *r)
{
	struct mmext_gmap_address *a;
	size_t i;

	many_segments(r);
	a = zeroed(ADDRESSES, sizeof(*a));
	for (i = 0; i < ADDRESSES; i++)
		a[i].gaddr = i * 7919 % SEGMENTS * PAGE;
	guest.array = a;
	return true;
}

static void translate(struct run *r __unused)
{
	struct mmext_gmap_translate t = {
		.size = sizeof(t),
		.addresses = (uintptr_t)guest.array,
		.nr = ADDRESSES,
	};

	if (ioctl(guest.space, MMEXT_GMAP_TRANSLATE, &t) || t.nr)
		die("GMAP_TRANSLATE");
}

static void kernel_call(enum mmext_bench_op op)
{
	struct mmext_bench_call c = {
		.op = op,
		.addr = (uintptr_t)guest.parent,
		.size = SEGMENTS * PAGE,
	};

	if (ioctl(guest.kernel, MMEXT_BENCH_CALL, &c))
		die("/dev/mmext_bench_gmap");
}

static void kernel_begin(void)
{
	guest.kernel = open("/dev/mmext_bench_gmap", O_RDWR | O_CLOEXEC);
	if (guest.kernel < 0)
		die("/dev/mmext_bench_gmap");
	guest.size = 2 * SEGMENTS * PAGE;
	guest.parent = reserve(guest.size);
}

static bool kernel_segments(struct run *r __unused)
{
	kernel_begin();
	kernel_call(MMEXT_BENCH_GMAP_MAKE);
	return true;
}

static void kernel_translate(struct run *r __unused)
{
	kernel_call(MMEXT_BENCH_GMAP_TRANSLATE);
}

/* What the parent pays where it has nothing that the space shows */

static bool kernel_notifier(struct run *r __unused)
{
	kernel_begin();
	kernel_call(MMEXT_BENCH_NOTIFIER);
	return true;
}

static void discard_unrelated(struct run *r)
{
	unsigned long i;

	for (i = 0; i < UNRELATED; i++) {
		if (madvise(r->addr, PAGE, MADV_DONTNEED))
			die("madvise");
	}
}

/* Windows */

void space_map(int space, char *parent, size_t size)
{
	struct mmext_gmap_map m = {
		.size = sizeof(m),
		.from = (uintptr_t)parent,
		.length = size,
	};

	if (ioctl(space, MMEXT_GMAP_MAP, &m))
		die("GMAP_MAP");
}

static bool window_of(struct run *r)
{
	char *p;

	for (p = r->addr; p < r->addr + r->size; p += PAGE)
		store(p, 1);
	guest.space = space_open(r->size, 20);
	space_map(guest.space, r->addr, r->size);
	guest.size = r->size;
	guest.window = mmap(reserve(r->size), r->size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_FIXED, guest.space, 0);
	if (guest.window != MAP_FAILED)
		return true;
	if (errno != EOPNOTSUPP)
		die("window");
	guest.window = NULL;
	guest_end(r);
	return false;
}

static void window_load(struct run *r)
{
	size_t i;

	for (i = 0; i < r->size; i += PAGE)
		load(guest.window + i);
}

static void window_store(struct run *r)
{
	size_t i;

	for (i = 0; i < r->size; i += PAGE)
		store(guest.window + i, 1);
}

/* Who stored to what */

static void dirty(struct run *r, __u32 flags)
{
	struct mmext_dirty d = {
		.size = sizeof(d),
		.flags = flags,
		.length = r->size,
		.marks = flags & MMEXT_DIRTY_GET ? (uintptr_t)guest.array : 0,
	};

	if (ioctl(guest.space, MMEXT_GMAP_DIRTY, &d) || d.length)
		die("GMAP_DIRTY");
}

static void harvest(struct run *r)
{
	dirty(r, MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR);
}

/* Everything is mapped, nothing is marked. */
static bool watched(struct run *r)
{
	if (!window_of(r))
		return false;
	guest.array = zeroed(r->size / PAGE / 64, 8);
	dirty(r, MMEXT_DIRTY_START);
	window_store(r);
	harvest(r);
	return true;
}

static bool watched_and_stored(struct run *r)
{
	if (!watched(r))
		return false;
	window_store(r);
	return true;
}

/* Everything was marked, or nothing, and is as it is to be. */
static void check_marks(struct run *r, uint64_t expected)
{
	const uint64_t *marks = guest.array;
	size_t i;

	for (i = 0; i < r->size / PAGE / 64; i++) {
		if (marks[i] != expected) {
			errno = ENODATA;
			die(r->row->measure);
		}
	}
}

static void harvested(struct run *r)
{
	check_marks(r, ~0ULL);
	guest_end(r);
}

static void harvested_nothing(struct run *r)
{
	check_marks(r, 0);
	guest_end(r);
}

/* userfaultfd: a thread that is told of each page that the file has, and maps it */

static void *minor_thread(void *arg)
{
	struct uffd_msg msg;

	while (read(guest.space, &msg, sizeof(msg)) == sizeof(msg)) {
		struct uffdio_continue c = {
			.range = { msg.arg.pagefault.address & ~(PAGE - 1), PAGE },
		};

		if (ioctl(guest.space, UFFDIO_CONTINUE, &c))
			_exit(1);
	}
	return arg;
}

static bool minor_begin(struct run *r)
{
	if (!minor_open(r))
		return false;
	guest.space = (intptr_t)r->state;
	if (pthread_create(&guest.thread, NULL, minor_thread, NULL))
		die("pthread_create");
	return true;
}

static void minor_load(struct run *r)
{
	size_t i;

	for (i = 0; i < r->size; i += PAGE)
		load(r->addr + i);
}

static void minor_end(struct run *r)
{
	pthread_cancel(guest.thread);
	pthread_join(guest.thread, NULL);
	guest_end(r);
}

static void segments_end(struct run *r)
{
	munmap(guest.parent, guest.size);
	guest_end(r);
}

const struct row gmap_rows[] = {
	{ "gmap-fault", "mmext", MEMFD, window_of, window_store, guest_end },
	{ "gmap-fault", "mmext-anonymous", ANON, window_of, window_store,
	  guest_end },
	{ "gmap-fault", "UFFDIO_CONTINUE", MEMFD, minor_begin, minor_load,
	  minor_end },

	{ "gmap-around", "mmext", MEMFD, window_of, window_load, guest_end },
	{ "gmap-around", "mmext-anonymous", ANON, window_of, window_load,
	  guest_end },
	{ "gmap-around", "mmext-THP", THP, window_of, window_load, guest_end },

	{ "gmap-store", "mmext", MEMFD, watched, window_store, guest_end },
	{ "gmap-harvest", "mmext", MEMFD, watched_and_stored, harvest,
	  harvested },
	{ "gmap-harvest-clean", "mmext", MEMFD, watched, harvest,
	  harvested_nothing },

	{ "gmap-map", "mmext", ANON, pieces_begin, pieces_map, pieces_end,
	  .pages = PIECES },
	{ "gmap-map", "MAP_FIXED", ANON, aliases_begin, aliases_map, pieces_end,
	  .pages = PIECES },

	{ "gmap-translate", "mmext", ANON, addresses_begin, translate,
	  segments_end, .pages = ADDRESSES },
	{ "gmap-translate", "mmext_gmap_translate", ANON, kernel_segments,
	  kernel_translate, segments_end, .pages = SEGMENTS },

	{ "gmap-unrelated", "mmext", ANON, kernel_segments, discard_unrelated,
	  segments_end, .pages = UNRELATED },
	{ "gmap-unrelated", "notifier", ANON, kernel_notifier,
	  discard_unrelated, segments_end, .pages = UNRELATED },
	{ }
};
