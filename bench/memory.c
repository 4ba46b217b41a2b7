// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel keeps for a page, a segment, a region: what is gone after many were
 * made, less the pages themselves and the tables that map them.
 */
#include <glob.h>
#include <limits.h>

#include "bench.h"

#define ROUNDS		3
#define SEGMENTS	16384UL
#define FILES		512UL

/**
 * struct thing - something that takes memory
 * @what: its name
 * @subject: one way to have it
 * @make: make all of them, in what is static below
 * @own: bytes of each that are not counted
 * @object: for @make
 */
struct thing {
	const char *what;
	const char *subject;
	size_t (*make)(const struct thing *t, size_t size);
	size_t own;
	enum object object;
};

/* What make() left: all that is undone by closing and unmapping. */
static int files[FILES];
static size_t nr_files;
static char *mapped[2];
static size_t mapped_size;

static int keep_file(int fd)
{
	if (fd < 0)
		die("memory");
	files[nr_files++] = fd;
	return fd;
}

static void undo(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (mapped[i])
			munmap(mapped[i], mapped_size);
		mapped[i] = NULL;
	}
	while (nr_files)
		close(files[--nr_files]);
}

/* The sum of what follows @name at the beginning of a line. */
static long sum_of(const char *path, const char *name)
{
	FILE *f = fopen(path, "r");
	char line[256], *p;
	long sum = 0;

	if (!f)
		die(path);
	while (fgets(line, sizeof(line), f)) {
		p = line + strspn(line, " ");
		if (!strncmp(p, name, strlen(name)))
			sum += strtol(p + strlen(name), NULL, 10);
	}
	fclose(f);
	return sum;
}

static void tell(const char *path, const char *what)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, what, 1) != 1)
		die(path);
	close(fd);
}

/* Pages that are taken, but by page tables; what a CPU has at hand is free. */
static long taken_now(void)
{
	glob_t caches;
	size_t i;

	/* what the kernel can do without, and objects that are free */
	tell("/proc/sys/vm/drop_caches", "3");
	if (!glob("/sys/kernel/slab/*/shrink", 0, NULL, &caches)) {
		for (i = 0; i < caches.gl_pathc; i++)
			tell(caches.gl_pathv[i], "1");
		globfree(&caches);
	}
	tell("/proc/sys/vm/stat_refresh", "1");
	return -(sum_of("/proc/vmstat", "nr_free_pages ") +
		 sum_of("/proc/zoneinfo", "count:") +
		 sum_of("/proc/vmstat", "nr_page_table_pages "));
}

/* In bytes, when what is freed after a grace period is free. */
static long taken(void)
{
	long now = taken_now(), was = LONG_MIN;
	int i;

	for (i = 0; i < 20 && now != was; i++) {
		was = now;
		usleep(500000);
		now = taken_now();
	}
	return now * (long)PAGE;
}

/* Pages of a file that nobody maps */
static size_t make_pages(const struct thing *t, size_t size)
{
	keep_file(object_open(t->object, size));
	return size / PAGE;
}

/* The same, with a log of who stores to them */
static size_t make_watched(const struct thing *t, size_t size)
{
	struct mmext_dirty d = {
		.size = sizeof(d),
		.flags = MMEXT_DIRTY_START,
		.length = size,
	};

	if (ioctl(keep_file(object_open(t->object, size)), MMEXT_DIRTY, &d))
		die("DIRTY");
	return size / PAGE;
}

/* A guest's view of a file that is mapped, of which it shows each page */
static size_t make_shown(const struct thing *t, size_t size)
{
	int space = keep_file(space_open(size, 20));
	size_t i;

	mapped_size = size;
	mapped[0] = mmap(reserve(size), size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED,
			 keep_file(object_open(t->object, size)), 0);
	space_map(space, mapped[0], size);
	mapped[1] = mmap(reserve(size), size, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, space, 0);
	for (i = 0; i < size; i += PAGE) {
		store(mapped[0] + i, 1);
		store(mapped[1] + i, 1);
	}
	return size / PAGE;
}

/* Memory in another order, a page at a time: in a guest space, or by mappings */
static size_t make_segments(const struct thing *t __unused, size_t size __unused)
{
	mapped_size = SEGMENTS * PAGE;
	mapped[0] = reserve(mapped_size);
	keep_file(space_of_segments(SEGMENTS, mapped[0]));
	return SEGMENTS;
}

static size_t make_aliases(const struct thing *t __unused, size_t size __unused)
{
	int fd = keep_file(memfd_create("aliases", MFD_CLOEXEC));
	size_t i;

	mapped_size = SEGMENTS * PAGE;
	mapped[0] = reserve(mapped_size);
	if (ftruncate(fd, mapped_size))
		die("ftruncate");
	for (i = 0; i < SEGMENTS; i++) {
		if (mmap(mapped[0] + i * PAGE, PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd,
			 i * 5 % SEGMENTS * PAGE) == MAP_FAILED)
			die("MAP_FIXED");
	}
	return SEGMENTS;
}

/* Regions or files with nothing in them */
static size_t make_files(const struct thing *t, size_t size __unused)
{
	struct mmext_setup s = { .size = sizeof(s), .length = 2 * MIB };
	size_t i;
	int fd;

	for (i = 0; i < FILES; i++) {
		if (t->object == MEMFD) {
			fd = keep_file(memfd_create("file", MFD_CLOEXEC));
			if (ftruncate(fd, s.length))
				die("ftruncate");
			continue;
		}
		fd = keep_file(open("/dev/mmext", O_RDWR | O_CLOEXEC));
		if (ioctl(fd, MMEXT_SETUP, &s))
			die("SETUP");
	}
	return FILES;
}

static const struct thing things[] = {
	{ "page", "mmext", make_pages, PAGE, REGION },
	{ "page", "mmext-pages", make_pages, PAGE, REGION_PAGES },
	{ "page", "memfd", make_pages, PAGE, MEMFD },
	{ "page, watched", "mmext", make_watched, PAGE, REGION },
	{ "page of a memfd, in a window", "mmext", make_shown, PAGE, MEMFD },
	{ "segment", "mmext", make_segments },
	{ "segment", "MAP_FIXED", make_aliases },
	{ "region", "mmext", make_files, 0, REGION },
	{ "region", "memfd", make_files, 0, MEMFD },
	{ }
};

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* A line each: as main()'s rows, in bytes. */
void measure_memory(size_t size)
{
	const struct thing *t;
	double each[ROUNDS];
	size_t nr = 0;
	long before;
	int i;

	for (t = things; t->what; t++) {
		/* the first time it takes what it gives back to nobody */
		for (i = -1; i < ROUNDS; i++) {
			before = taken();
			nr = t->make(t, size);
			each[i < 0 ? 0 : i] =
				(double)(taken() - before) / nr - t->own;
			undo();
		}
		qsort(each, ROUNDS, sizeof(*each), compare);
		printf("memory-%s\t%s\t%zu\t%zu\t%.2f\t%.2f\t%.2f\n", t->what,
		       t->subject, size, nr, each[ROUNDS / 2], each[0],
		       each[ROUNDS - 1]);
		fflush(stdout);
	}
}
