// SPDX-License-Identifier: GPL-2.0
/*
 * Fault-around: one fault maps what exists around it, as far as the window goes.
 */
#include "mmext_selftest.h"

#define WINDOW	16UL

FIXTURE(around)
{
	int fd;
	size_t length;
	char *addr;
};

static int setup_around(int fd, __u64 length, __u32 around)
{
	struct mmext_setup arg = {
		.size = sizeof(arg),
		.length = length,
		.backing = region_backing,
		.around = around,
	};

	return call(fd, MMEXT_SETUP, &arg);
}

BACKINGS(around);

/* Two tables, at an address that a window begins at. */
FIXTURE_SETUP(around)
{
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	region_backing = variant->backing;
	self->length = 2 * TABLE;
	ASSERT_EQ(0, setup_around(self->fd, self->length, WINDOW * page_size));
	self->addr = region_map_aligned(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(around)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

#define PAGE(n)		(self->addr + (n) * page_size)
#define PRESENT(n, nr)	entries_present(self->fd, PAGE(n), (nr) * page_size)

/* Have these pages, and no entries. */
#define HAVE(n, nr)							\
do {									\
	fill(PAGE(n), (nr) * page_size, 1);				\
	ASSERT_EQ(0, region_zap(self->fd, self->addr, self->length));	\
} while (0)

TEST_F(around, a_load_maps_its_whole_window_and_no_more)
{
	HAVE(0, 4 * WINDOW);
	EXPECT_EQ(6, peek(PAGE(WINDOW + 5)) - (int)WINDOW);
	EXPECT_EQ(0, PRESENT(0, WINDOW));
	EXPECT_EQ(WINDOW, PRESENT(WINDOW, WINDOW));
	EXPECT_EQ(0, PRESENT(2 * WINDOW, 2 * WINDOW));
	EXPECT_EQ(-1, filled_not(self->addr, 4 * WINDOW * page_size, 1));
}

TEST_F(around, a_store_maps_its_whole_window_as_well)
{
	HAVE(0, 2 * WINDOW);
	EXPECT_EQ(0, poke(PAGE(3), 4));
	EXPECT_EQ(WINDOW, PRESENT(0, 2 * WINDOW));
	EXPECT_EQ(-1, filled_not(self->addr, 2 * WINDOW * page_size, 1));
}

TEST_F(around, loads_in_order_take_one_fault_a_window)
{
	long long faults;

	HAVE(0, 512);
	faults = region_stat(self->fd, "faults");
	EXPECT_EQ(-1, filled_not(self->addr, 512 * page_size, 1));
	EXPECT_EQ(512 / WINDOW, region_stat(self->fd, "faults") - faults);
}

TEST_F(around, only_the_accessed_page_is_young_and_dirty)
{
	int i, flags;

	HAVE(0, WINDOW);
	EXPECT_EQ(0, poke(PAGE(3), 4));
	for (i = 0; i < (int)WINDOW; i++) {
		flags = entry_flags(self->fd, PAGE(i));
		EXPECT_TRUE(flags & MMEXT_ENTRY_WRITABLE);
		EXPECT_EQ(i == 3, !!(flags & MMEXT_ENTRY_DIRTY));
#ifdef __x86_64__
		EXPECT_EQ(i == 3, !!(flags & MMEXT_ENTRY_YOUNG));
#endif
	}
}

TEST_F(around, neighbours_take_a_store_without_a_fault)
{
	long long faults;

	HAVE(0, WINDOW);
	EXPECT_EQ(1, peek(PAGE(0)));
	faults = region_stat(self->fd, "faults");
	fill(self->addr, WINDOW * page_size, 101);
	EXPECT_EQ(faults, region_stat(self->fd, "faults"));
	EXPECT_EQ(-1, filled_not(self->addr, WINDOW * page_size, 101));
}

TEST_F(around, holes_are_skipped_and_not_filled)
{
	HAVE(1, 3);
	EXPECT_EQ(0, poke(PAGE(9), 10));
	EXPECT_EQ(4, region_pages(self->fd));
	ASSERT_EQ(0, region_zap(self->fd, self->addr, self->length));
	EXPECT_EQ(2, peek(PAGE(2)));
	EXPECT_EQ(0, PRESENT(0, 1));
	EXPECT_EQ(3, PRESENT(1, 3));
	EXPECT_EQ(0, PRESENT(4, 5));
	EXPECT_EQ(1, PRESENT(9, 7));
	EXPECT_EQ(4, region_pages(self->fd));
	EXPECT_EQ(10, peek(PAGE(9)));
}

TEST_F(around, the_touch_of_a_hole_maps_it_alone)
{
	HAVE(1, 3);
	EXPECT_EQ(0, peek(PAGE(0)));
	EXPECT_EQ(1, PRESENT(0, WINDOW));
	EXPECT_EQ(4, region_pages(self->fd));
}

TEST_F(around, protected_neighbours_are_read_only)
{
	HAVE(0, WINDOW);
	ASSERT_EQ(0, region_protect(self->fd, 4 * page_size, 2 * page_size,
				    MMEXT_PROTECT_READ_ONLY));
	/* a hole, and protected */
	ASSERT_EQ(0, region_protect(self->fd, WINDOW * page_size, page_size,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(0, poke(PAGE(0), 1));
	EXPECT_EQ(WINDOW, PRESENT(0, 2 * WINDOW));
	EXPECT_FALSE(entry_flags(self->fd, PAGE(4)) & MMEXT_ENTRY_WRITABLE);
	EXPECT_TRUE(entry_flags(self->fd, PAGE(6)) & MMEXT_ENTRY_WRITABLE);
	EXPECT_EQ(-SIGSEGV, poke(PAGE(4), 9));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(5), 9));
	EXPECT_EQ(0, poke(PAGE(6), 7));
	EXPECT_EQ(-1, filled_not(self->addr, WINDOW * page_size, 1));
}

TEST_F(around, a_store_to_a_protected_page_maps_nothing)
{
	HAVE(0, WINDOW);
	ASSERT_EQ(0, region_protect(self->fd, 0, page_size,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(0), 9));
	EXPECT_EQ(0, PRESENT(0, WINDOW));
}

TEST_F(around, a_read_only_mapping_gets_read_only_entries)
{
	HAVE(0, WINDOW);
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	EXPECT_EQ(1, peek(PAGE(0)));
	EXPECT_EQ(WINDOW, PRESENT(0, WINDOW));
	EXPECT_EQ(-SIGSEGV, poke(PAGE(1), 9));
	ASSERT_EQ(0, mprotect(self->addr, self->length,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, poke(PAGE(1), 2));
}

TEST_F(around, ends_at_the_borders_of_the_mapping)
{
	HAVE(0, 2 * WINDOW);
	ASSERT_EQ(0, munmap(PAGE(0), 3 * page_size));
	ASSERT_EQ(0, munmap(PAGE(8), page_size));
	EXPECT_EQ(5, peek(PAGE(4)));
	EXPECT_EQ(5, PRESENT(3, 5));
	EXPECT_EQ(0, PRESENT(9, WINDOW));
	EXPECT_EQ(10, peek(PAGE(9)));
	EXPECT_EQ(WINDOW - 9, PRESENT(9, WINDOW));
}

TEST_F(around, shows_the_offsets_of_the_mapping)
{
	char *addr;

	HAVE(0, 2 * WINDOW);
	/* neither address nor offset begins a window */
	ASSERT_EQ(0, munmap(self->addr, self->length));
	addr = mmap(PAGE(5), 10 * page_size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, self->fd, 3 * page_size);
	ASSERT_EQ(PAGE(5), addr);
	EXPECT_EQ(10, peek(addr + 6 * page_size));
	EXPECT_EQ(10, entries_present(self->fd, addr, 10 * page_size));
	EXPECT_EQ(-1, filled_not(addr, 10 * page_size, 4));
}

TEST_F(around, entries_that_are_there_stay)
{
	struct mmext_entry before, after;

	HAVE(0, WINDOW);
	ASSERT_EQ(0, region_populate(self->fd, PAGE(2), page_size, 0));
	ASSERT_EQ(0, region_lookup(self->fd, PAGE(2), page_size, &before));
	ASSERT_FALSE(before.flags & MMEXT_ENTRY_WRITABLE);
	EXPECT_EQ(1, peek(PAGE(0)));
	ASSERT_EQ(0, region_lookup(self->fd, PAGE(2), page_size, &after));
	EXPECT_EQ(before.flags, after.flags);
	EXPECT_EQ(before.pfn, after.pfn);
	EXPECT_EQ(WINDOW, PRESENT(0, WINDOW));
}

TEST_F(around, aliases_and_exchanged_pages_are_what_they_show)
{
	HAVE(0, 2 * WINDOW);
	ASSERT_EQ(0, region_alias(self->fd, 0, 8 * page_size, page_size));
	ASSERT_EQ(0, region_exchange(self->fd, page_size,
				     WINDOW * page_size, page_size));
	EXPECT_EQ(3, peek(PAGE(2)));
	EXPECT_EQ(WINDOW, PRESENT(0, 2 * WINDOW));
	EXPECT_EQ(1, *PAGE(8));
	EXPECT_EQ(WINDOW + 1, *PAGE(1));
	EXPECT_EQ(2, *PAGE(WINDOW));
}

TEST_F(around, the_window_is_what_setup_said)
{
	unsigned long pages;
	char *addr;
	int fd;

	for (pages = 1; pages <= 64; pages *= 2) {
		fd = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, setup_around(fd, 0, pages * page_size));
		EXPECT_EQ(pages * page_size, region_stat(fd, "around"));
		addr = region_map_aligned(fd, TABLE, 0);
		ASSERT_NE(MAP_FAILED, addr);
		fill(addr, 256 * page_size, 1);
		ASSERT_EQ(0, region_zap(fd, addr, TABLE));
		EXPECT_EQ(101, peek(addr + 100 * page_size));
		EXPECT_EQ(pages, entries_present(fd, addr, TABLE));
		munmap(addr, TABLE);
		close(fd);
	}
}

TEST(around_that_is_no_window_is_einval)
{
	__u32 wrong[] = { 1, page_size - 1, page_size + 1, 3 * page_size,
			  128 * page_size, ~0U };
	struct mmext_setup arg = { .size = sizeof(arg), .reserved = 1 };
	int fd = region_open();
	size_t i;

	ASSERT_GE(fd, 0);
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		EXPECT_EQ(-EINVAL, setup_around(fd, 0, wrong[i]));
	EXPECT_EQ(-EINVAL, call(fd, MMEXT_SETUP, &arg));
	EXPECT_EQ(0, setup_around(fd, 0, page_size));
	close(fd);
}

TEST(around_is_the_parameter_where_setup_does_not_say)
{
	char before[32], text[32];
	int fd;

	ASSERT_EQ(0, param_read("around", before, sizeof(before)));
	EXPECT_EQ(16 * (long)page_size, atol(before));
	EXPECT_EQ(-EINVAL, param_write("around", "0"));
	EXPECT_EQ(-EINVAL, param_write("around", "12K"));
	EXPECT_EQ(-EINVAL, param_write("around", "1M"));
	snprintf(text, sizeof(text), "%zu", 4 * page_size);
	ASSERT_EQ(0, param_write("around", text));
	fd = region_open();
	EXPECT_EQ(4 * page_size, region_stat(fd, "around"));
	EXPECT_EQ(0, setup_around(fd, 0, 0));
	EXPECT_EQ(4 * page_size, region_stat(fd, "around"));
	close(fd);
	EXPECT_EQ(0, param_write("around", before));
}

/*
 * A fault maps neighbours while others change what these show: what was
 * exchanged away is not seen again.
 */
struct swapper {
	char *addr;
	int fd;
	int stop;
	long wrong;
	long faults;
};

static void *fault_on(void *arg)
{
	struct swapper *s = arg;
	unsigned int i;

	pin(1);
	while (!load(&s->stop)) {
		/* page 0 is never exchanged, and its fault maps the others */
		region_zap(s->fd, s->addr, page_size);
		if (peek(s->addr) != 1)
			s->wrong++;
		s->faults++;
		for (i = 0; i < 64; i++)
			spin(10);
	}
	return NULL;
}

TEST_F_TIMEOUT(around, never_brings_back_what_a_neighbour_showed, 120)
{
	struct swapper s = { .addr = self->addr, .fd = self->fd };
	struct rounds rounds = rounds_begin(3000);
	pthread_t thread;
	int i, val;

	HAVE(0, WINDOW);
	pin(0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, fault_on, &s));
	for (i = 0; rounds_until(&rounds, i, load(&s.faults)); i++) {
		ASSERT_EQ(0, region_exchange(self->fd, 4 * page_size,
					     8 * page_size, page_size));
		val = i % 2 ? 5 : 9;
		ASSERT_EQ(val, *(volatile char *)PAGE(4)) TH_LOG("round %d", i);
		ASSERT_EQ(14 - val, *(volatile char *)PAGE(8));
	}
	store(&s.stop, 1);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, s.wrong);
	EXPECT_LT(0, s.faults);
}

TEST_HARNESS_MAIN
