/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A window and what it shows, of each kind of memory that a parent has, and what the
 * tests of them share.
 */
#ifndef MMEXT_GMAP_WINDOW_H
#define MMEXT_GMAP_WINDOW_H

#include "mmext_gmap_kernel.h"

#define LENGTH		(2 * TABLE)
#define PAGES		(LENGTH / page_size)
/* so that no page table of the window shows one of the parent's alone */
#define GUEST		(3 * SEGMENT)

/* Each kind of memory that a parent has */
FIXTURE(window)
{
	const char *skip;
	enum host_kind kind;
	int fd;
	int backing;
	char *host;
	char *window;
	struct checker checker;
};

FIXTURE_VARIANT(window)
{
	enum host_kind kind;
};

FIXTURE_VARIANT_ADD(window, anonymous)
{
	.kind = HOST_ANON,
};

FIXTURE_VARIANT_ADD(window, shared)
{
	.kind = HOST_SHARED,
};

FIXTURE_VARIANT_ADD(window, private)
{
	.kind = HOST_PRIVATE,
};

static inline const char *cannot_show(enum host_kind kind)
{
	if (!have_windows())
		return "no windows without a TLB backend";
	if ((kind == HOST_ANON || kind == HOST_PRIVATE) && !have_anonymous())
		return "no windows onto anonymous memory";
	return NULL;
}

static inline void number_pages(void *addr, size_t length)
{
	volatile __u32 *word = addr;
	size_t i;

	for (i = 0; i < length / page_size; i++)
		word[WORDS(i)] = i + 1;
}

/* The first page that is not as number_pages() left it, or -1. */
static inline long numbered_not(const void *addr, size_t length, size_t first)
{
	const volatile __u32 *word = addr;
	size_t i;

	for (i = 0; i < length / page_size; i++)
		if (word[WORDS(i)] != first + i + 1)
			return i;
	return -1;
}

FIXTURE_SETUP(window)
{
	self->kind = variant->kind;
	self->skip = cannot_show(variant->kind);
	self->fd = gmap_open();
	ASSERT_GE(self->fd, 0);
	self->backing = host_backing(self->kind, LENGTH);
	self->host = place_alloc(LENGTH);
	ASSERT_NE(NULL, self->host);
	ASSERT_EQ(self->host, host_map_at(self->kind, self->backing, self->host,
					  LENGTH, 0));
	number_pages(self->host, LENGTH);
	ASSERT_EQ(0, gmap_map(self->fd, self->host, GUEST, LENGTH));
	if (self->skip)
		return;
	self->window = region_map_aligned(self->fd, LENGTH, GUEST);
	ASSERT_NE(MAP_FAILED, self->window);
	self->checker.cpu = 1;
	fault_catch();
	pin(0);
}

FIXTURE_TEARDOWN(window)
{
	if (self->window)
		munmap(self->window, LENGTH);
	munmap(self->host, LENGTH);
	close(self->backing);
	close(self->fd);
}

#define NEED()								\
do {									\
	if (self->skip)							\
		SKIP(return, "%s", self->skip);				\
} while (0)

#define HOST(n)		(self->host + (n) * page_size)
#define WINDOW(n)	(self->window + (n) * page_size)
#define WORD(addr)	(*(volatile __u32 *)(addr))

#define CHECK_BEGIN()							\
do {									\
	ASSERT_EQ(0, checker_start(&self->checker, self->window,	\
				   self->host, LENGTH));		\
	checker_wait(&self->checker);					\
} while (0)

#define CHECK_END()							\
do {									\
	checker_wait(&self->checker);					\
	EXPECT_EQ(0, checker_stop(&self->checker));			\
	EXPECT_EQ(-1, window_differs(self->window, self->host,		\
				     LENGTH));				\
} while (0)

/* A window in another process */
struct far {
	int fd;
	char *window;
	struct checker checker;
};

static inline long run_map_far(int sock __unused, void *arg)
{
	struct far *f = arg;

	f->window = region_map_aligned(f->fd, LENGTH, GUEST);
	if (f->window == MAP_FAILED)
		return -errno;
	return 0;
}

#endif /* MMEXT_GMAP_WINDOW_H */
