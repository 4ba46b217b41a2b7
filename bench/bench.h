/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the bench share.
 *
 * A *measure* is something that is done to every page of a range, a *subject*
 * one way to do it, and a row is one of both.  The rows of a measure take turns
 * in each round.  Under vm/run --icount the clock counts instructions, one a
 * nanosecond.
 */
#ifndef MMEXT_BENCH_USER_H
#define MMEXT_BENCH_USER_H

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/mmext.h>

#include "module/mmext_bench.h"

#define PAGE	4096UL
#define KIB	1024UL
#define MIB	(1024 * KIB)

#define __unused	__attribute__((__unused__))

/* What is mapped: each has all its pages before it is measured. */
enum object {
	REGION_ONE,	/* a fault maps one page */
	REGION,		/* 16 pages, as a region does that is not told */
	REGION_WIDE,	/* 64 pages, the most */
	REGION_PAGES_ONE,	/* pages with references */
	REGION_PAGES,
	REGION_HUGE,	/* 2 MiB entries where the module can make them */
	ENGINE,		/* the bench's driver, see module/mmext_bench.h */
	ENGINE_PAGES,
	KERNEL,
	KERNEL_PAGES,
	KERNEL_HUGE,	/* 2 MiB entries where the module can make them, too */
	MEMFD,
	ANON,		/* no object: each mapping has memory of its own */
	THP,
	OBJECTS
};

/**
 * struct run - one row's turn
 * @row: what is run
 * @size: bytes
 * @fd: the object's
 * @addr: its mapping
 * @state: what @row's prepare() left for run() and finish()
 */
struct run {
	const struct row *row;
	size_t size;
	int fd;
	char *addr;
	void *state;
};

/**
 * struct row - a measure of a subject
 * @measure: its name
 * @subject: its name
 * @object: what is mapped
 * @prepare: untimed, or NULL; false: not on this kernel
 * @run: what is timed
 * @finish: untimed, or NULL
 * @arg: for these
 * @sizes: measured at several sizes, and not at the full one alone
 * @pages: how many pages the time is divided by; 0: all of the range
 * @times: and by this, unless it is 0
 * @part: what is mapped is more than what is worked on
 */
struct row {
	const char *measure;
	const char *subject;
	enum object object;
	bool (*prepare)(struct run *r);
	void (*run)(struct run *r);
	void (*finish)(struct run *r);
	unsigned long arg;
	bool sizes;
	unsigned long pages;
	unsigned long times;
	bool part;
};

/* A list of rows ends with one that has no measure. */
extern const struct row map_rows[];
extern const struct row dirty_rows[];
extern const struct row gmap_rows[];

/* map.c: userfaultfd for pages that the file has; @r->state is its descriptor */
bool minor_open(struct run *r);

void scale(size_t size);
void measure_memory(size_t size);

/* gmap.c: room for a mapping; guest spaces */
char *reserve(size_t size);
int space_open(unsigned long bytes, unsigned int shift);
void space_map(int space, char *parent, size_t size);
int space_of_segments(size_t nr, char *parent);

/* Says what failed, with errno, and ends the program. */
void die(const char *what) __attribute__((__noreturn__));

int object_open(enum object object, size_t size);
int object_fd(enum object object, size_t size);
char *object_map(enum object object, size_t size, bool part);
bool object_exists(enum object object);
void bench_call(struct run *r, enum mmext_bench_op op);

static inline uint64_t now(void)
{
#ifdef __x86_64__
	/* under --icount it is the count of instructions itself */
	return __builtin_ia32_rdtsc();
#else
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
#endif
}

static inline void load(const char *p)
{
	(void)*(const volatile char *)p;
}

static inline void store(char *p, char value)
{
	*(volatile char *)p = value;
}

#endif /* MMEXT_BENCH_USER_H */
