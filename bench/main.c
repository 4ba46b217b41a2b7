// SPDX-License-Identifier: GPL-2.0
/*
 * mmext-bench: measures mmext and what else does the same, in turn.
 *
 * Output: a line a row, words separated by tabs: measure, subject, bytes, pages,
 * then what a page took: the median, the least and the most of the rounds.
 */
#include "bench.h"

#define MOST_ROUNDS	15

/* Objects up to this size are made once; of larger ones there is room for few. */
#define MOST_KEPT	(64 * MIB)

/* What is run is between marks, for bench/parts. */
static bool marks;

/* This subject and no other */
static const char *only_subject;

static int fds[OBJECTS];
static size_t sizes_of[OBJECTS];

void die(const char *what)
{
	fprintf(stderr, "mmext-bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static __u64 features(void)
{
	struct mmext_info info = { .size = sizeof(info) };
	int fd = open("/dev/mmext", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, MMEXT_INFO, &info))
		die("/dev/mmext");
	close(fd);
	return info.out_features;
}

/* Is it there, on this kernel? */
bool object_exists(enum object object)
{
	return (object != REGION_HUGE && object != KERNEL_HUGE) || features() & MMEXT_FEATURE_HUGE;
}

static int open_region(enum object object, size_t size)
{
	bool pages = object == REGION_PAGES || object == REGION_PAGES_ONE;
	struct mmext_setup s = {
		.size = sizeof(s),
		.flags = object == REGION_HUGE ? MMEXT_SETUP_HUGE : 0,
		.length = size,
		.backing = pages ? MMEXT_BACKING_PAGE : MMEXT_BACKING_PFN,
	};
	struct mmext_populate p = { .size = sizeof(p), .length = size };
	int fd = open("/dev/mmext", O_RDWR | O_CLOEXEC);
	char *addr;

	if (object == REGION_ONE || object == REGION_PAGES_ONE)
		s.around = PAGE;
	else if (object == REGION_WIDE)
		s.around = 64 * PAGE;
	if (fd < 0 || ioctl(fd, MMEXT_SETUP, &s))
		die("region");

	addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	p.addr = (uintptr_t)addr;
	if (addr == MAP_FAILED || ioctl(fd, MMEXT_POPULATE, &p))
		die("populate");
	munmap(addr, size);
	return fd;
}

static int open_memfd(size_t size)
{
	int fd = memfd_create("bench", MFD_CLOEXEC);

	if (fd < 0 || fallocate(fd, 0, 0, size))
		die("memfd");
	return fd;
}

int object_open(enum object object, size_t size)
{
	switch (object) {
	case ENGINE:
	case ENGINE_PAGES:
		return open("/dev/mmext_bench_engine", O_RDWR | O_CLOEXEC);
	case KERNEL:
	case KERNEL_PAGES:
	case KERNEL_HUGE:
		return open("/dev/mmext_bench_kernel", O_RDWR | O_CLOEXEC);
	case MEMFD:
		return open_memfd(size);
	default:
		return open_region(object, size);
	}
}

/* The object of that kind and size, the same each time. */
int object_fd(enum object object, size_t size)
{
	if (object == ANON || object == THP)
		return -1;
	if (fds[object] && sizes_of[object] == size)
		return fds[object];

	if (fds[object])
		close(fds[object]);
	fds[object] = object_open(object, size);
	sizes_of[object] = size;
	if (fds[object] < 0)
		die("object");
	return fds[object];
}

/*
 * A new mapping, that begins with a page table.  @part: and is a page longer: x86
 * wants what remap_pfn_range() put into all of a VMA to stay there.
 */
char *object_map(enum object object, size_t size, bool part)
{
	size_t more = 2 * MIB, hole = size + 2 * more;
	bool file = object != ANON && object != THP;
	off_t offset = object == ENGINE_PAGES || object == KERNEL_PAGES ?
		       MMEXT_BENCH_PAGES * PAGE :
		       object == KERNEL_HUGE ? MMEXT_BENCH_HUGE * PAGE : 0;
	char *addr;

	addr = mmap(NULL, hole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (addr == MAP_FAILED)
		die("mmap");
	munmap(addr, hole);
	addr = (char *)(((uintptr_t)addr + more - 1) & ~(more - 1));

	addr = mmap(addr, size + part * PAGE, PROT_READ | PROT_WRITE,
		    MAP_FIXED | (file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS),
		    object_fd(object, size), offset);
	if (addr == MAP_FAILED)
		die("mmap of an object");
	if (!file)
		madvise(addr, size, object == THP ? MADV_HUGEPAGE :
						    MADV_NOHUGEPAGE);
	return addr;
}

void bench_call(struct run *r, enum mmext_bench_op op)
{
	struct mmext_bench_call c = {
		.op = op,
		.addr = (uintptr_t)r->addr,
		.size = r->size,
	};

	if (ioctl(r->fd, MMEXT_BENCH_CALL, &c))
		die(r->row->subject);
}

static void mark(void)
{
#ifdef __x86_64__
	if (marks)
		__asm__ __volatile__("xchg %%bx, %%bx" : : : "memory");
#endif
}

/* What one turn took; UINT64_MAX if this kernel can't. */
static uint64_t turn(const struct row *row, size_t size, bool counted)
{
	struct run r = {
		.row = row,
		.size = size,
		.fd = object_fd(row->object, size),
		.addr = object_map(row->object, size, row->part),
	};
	uint64_t t = UINT64_MAX;

	if (!row->prepare || row->prepare(&r)) {
		if (counted)
			mark();
		t = now();
		row->run(&r);
		t = now() - t;
		if (counted)
			mark();
		if (row->finish)
			row->finish(&r);
	}
	munmap(r.addr, size + PAGE);
	return t;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void report(const struct row *row, size_t size, uint64_t *t, int rounds)
{
	double pages = (row->pages ? row->pages : size / PAGE) *
		       (row->times ? row->times : 1);

	qsort(t, rounds, sizeof(*t), compare);
	if (t[rounds - 1] == UINT64_MAX)
		return;
	printf("%s\t%s\t%zu\t%.0f\t%.2f\t%.2f\t%.2f\n", row->measure,
	       row->subject, size, pages, t[rounds / 2] / pages, t[0] / pages,
	       t[rounds - 1] / pages);
	fflush(stdout);
}

static bool is_wanted(const struct row *row, bool full)
{
	return object_exists(row->object) && (full || row->sizes) &&
	       (!only_subject || !strcmp(only_subject, row->subject));
}

/* The rows of one measure, which follow each other.  Returns how many. */
static int measure(const struct row *rows, size_t size, bool full, int rounds)
{
	uint64_t t[32][MOST_ROUNDS];
	int n = 0, i, round;

	while (rows[n].measure &&
	       !strcmp(rows[n].measure, rows[0].measure))
		n++;
	if (n > 32)
		abort();

	/* the first round finds caches empty, and is not counted */
	for (round = -1; round < rounds; round++) {
		for (i = 0; i < n; i++) {
			if (!is_wanted(&rows[i], full))
				continue;
			t[i][round < 0 ? 0 : round] =
				turn(&rows[i], size, round >= 0);
		}
	}
	for (i = 0; i < n; i++) {
		if (is_wanted(&rows[i], full))
			report(&rows[i], size, t[i], rounds);
	}
	return n;
}

static void close_objects(void)
{
	int i;

	for (i = 0; i < OBJECTS; i++) {
		if (fds[i])
			close(fds[i]);
		fds[i] = 0;
	}
}

static void all(const struct row *rows, size_t size, bool full, int rounds,
		const char *only)
{
	while (rows->measure) {
		if (!only || !strcmp(only, rows->measure))
			rows += measure(rows, size, full, rounds);
		else
			rows++;
		if (size > MOST_KEPT)
			close_objects();
	}
}

static size_t bytes(const char *s)
{
	char *end;
	size_t n = strtoul(s, &end, 0);

	switch (*end) {
	case 'G':
		return n << 30;
	case 'M':
		return n << 20;
	case 'K':
		return n << 10;
	}
	return n;
}

static void usage(void)
{
	fputs("mmext-bench [-r ROUNDS] [-m MEASURE [-s SUBJECT]] [-p] [-l | -t | -M]\n"
	      "            SIZE [SIZE...]\n"
	      "Every measure at the first size, some at the others as well; -l:\n"
	      "some at all; -t: how faults of several threads scale, in\n"
	      "nanoseconds; -M: what they keep in memory, in bytes; -p: what is\n"
	      "counted is between marks.\n", stderr);
	exit(1);
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	bool threads = false, kept = false, full = true;
	int rounds = 3, opt;
	size_t size;

	while ((opt = getopt(argc, argv, "r:m:s:pltM")) >= 0) {
		switch (opt) {
		case 'r':
			rounds = atoi(optarg);
			break;
		case 'm':
			only = optarg;
			break;
		case 's':
			only_subject = optarg;
			break;
		case 'p':
			marks = true;
			break;
		case 'l':
			full = false;
			break;
		case 't':
			threads = true;
			break;
		case 'M':
			kept = true;
			break;
		default:
			usage();
		}
	}
	if (optind == argc || rounds < 1 || rounds > MOST_ROUNDS)
		usage();

	size = bytes(argv[optind]);
	if (threads) {
		scale(size);
		return 0;
	}
	if (kept) {
		measure_memory(size);
		return 0;
	}
	all(map_rows, size, full, rounds, only);
	all(dirty_rows, size, full, rounds, only);
	while (++optind < argc)
		all(map_rows, bytes(argv[optind]), false, rounds, only);
	/* last: an mm that had a notifier looks for one ever after */
	all(gmap_rows, size, full, rounds, only);
	return 0;
}
