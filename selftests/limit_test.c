// SPDX-License-Identifier: GPL-2.0
/*
 * The module's limit: what all regions together may hold.
 */
#include "mmext_selftest.h"

#define ROOM_PAGES	20

FIXTURE(limit)
{
	char before[32];
	int fd;
	size_t length;
	char *addr;
};

static int limit_write(__u64 bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", bytes);
	return param_write("limit", text);
}

BACKINGS(limit);

FIXTURE_SETUP(limit)
{
	struct mmext_info info;

	region_backing = variant->backing;
	ASSERT_EQ(0, param_read("limit", self->before, sizeof(self->before)));
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = 2 * ROOM_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	/* room for some pages more than there are */
	ASSERT_EQ(0, region_info(self->fd, &info));
	ASSERT_EQ(0, limit_write(info.out_used + ROOM_PAGES * page_size));
}

FIXTURE_TEARDOWN(limit)
{
	EXPECT_EQ(0, param_write("limit", self->before));
	munmap(self->addr, self->length);
	close(self->fd);
}

TEST_F(limit, fault_over_it_is_sigbus)
{
	int i;

	for (i = 0; i < ROOM_PAGES; i++)
		ASSERT_EQ(0, poke(self->addr + i * page_size, i));
	EXPECT_EQ(-SIGBUS, poke(self->addr + i * page_size, i));
	EXPECT_EQ(-SIGBUS, peek(self->addr + i * page_size));
	EXPECT_EQ(ROOM_PAGES, region_pages(self->fd));
	/* what is there stays good */
	EXPECT_EQ(-1, filled_not(self->addr, ROOM_PAGES * page_size, 0));
}

TEST_F(limit, populate_over_it_is_enospc_and_says_how_far_it_came)
{
	struct mmext_populate arg = {
		.size = sizeof(arg),
		.flags = MMEXT_POPULATE_WRITE,
		.addr = (uintptr_t)self->addr,
		.length = self->length,
	};
	size_t done;

	ASSERT_EQ(-ENOSPC, call_all(self->fd, MMEXT_POPULATE, &arg));
	done = arg.addr - (uintptr_t)self->addr;
	EXPECT_EQ(ROOM_PAGES * page_size, done);
	EXPECT_EQ(self->length, done + arg.length);
	EXPECT_EQ(ROOM_PAGES, region_pages(self->fd));
	EXPECT_EQ(done / page_size, entries_present(self->fd, self->addr,
						    done));
	EXPECT_EQ(0, entries_present(self->fd, self->addr + done,
				     arg.length));
	/* more room, and the same structure again */
	ASSERT_EQ(0, param_write("limit", self->before));
	ASSERT_EQ(0, call_all(self->fd, MMEXT_POPULATE, &arg));
	EXPECT_EQ(2 * ROOM_PAGES, entries_present(self->fd, self->addr,
						  self->length));
}

TEST_F(limit, write_over_it_is_short_and_then_enospc)
{
	char *buf = calloc(1, self->length);

	ASSERT_NE(NULL, buf);
	EXPECT_EQ(ROOM_PAGES * page_size, write(self->fd, buf, self->length));
	EXPECT_EQ(-1, write(self->fd, buf, self->length));
	EXPECT_EQ(ENOSPC, errno);
	/* pages that are there can be written to, and holes be read */
	EXPECT_EQ(1, pwrite(self->fd, "x", 1, 0));
	EXPECT_EQ(self->length, pread(self->fd, buf, self->length, 0));
	free(buf);
}

TEST_F(limit, is_of_all_regions_together)
{
	int fd = region_open();

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, region_populate(self->fd, self->addr,
				     (ROOM_PAGES - 1) * page_size, 0));
	EXPECT_EQ(1, pwrite(fd, "x", 1, 0));
	EXPECT_EQ(-1, pwrite(fd, "x", 1, page_size));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(-SIGBUS, poke(self->addr + ROOM_PAGES * page_size, 1));
	/* closing one makes room for the other */
	close(fd);
	EXPECT_EQ(0, poke(self->addr + ROOM_PAGES * page_size, 1));
}

TEST_F(limit, freed_pages_make_room)
{
	ASSERT_EQ(0, region_populate(self->fd, self->addr,
				     ROOM_PAGES * page_size, 0));
	EXPECT_EQ(-SIGBUS, poke(self->addr + ROOM_PAGES * page_size, 1));
	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	EXPECT_EQ(0, poke(self->addr + ROOM_PAGES * page_size, 1));
	EXPECT_EQ(-SIGBUS, poke(self->addr, 1));
}

TEST_F(limit, exchange_needs_no_room)
{
	ASSERT_EQ(0, region_populate(self->fd, self->addr,
				     ROOM_PAGES * page_size, 0));
	EXPECT_EQ(0, region_exchange(self->fd, 0, ROOM_PAGES * page_size,
				     page_size));
	EXPECT_EQ(ROOM_PAGES, region_pages(self->fd));
	EXPECT_EQ(0, poke(self->addr + ROOM_PAGES * page_size, 1));
	EXPECT_EQ(-SIGBUS, poke(self->addr, 1));
}

TEST_F(limit, alias_over_it_is_enospc_and_changes_nothing)
{
	const off_t there = 1ULL << 30;
	const int nr = page_size / 128;
	char *addr = region_map(self->fd, nr * page_size, there);
	int i, j, ret = 0;

	ASSERT_NE(MAP_FAILED, addr);
	/*
	 * One page less than there is room for, and aliases until it is full; of
	 * CONFIG_BASE_SMALL's slots, too, a page's worth.
	 */
	fill(self->addr, (ROOM_PAGES - 1) * page_size, 1);
	for (i = 0; i < nr; i++) {
		ret = region_alias(self->fd, i % (ROOM_PAGES - 1) * page_size,
				   there + i * page_size, page_size);
		if (ret)
			break;
	}
	ASSERT_EQ(-ENOSPC, ret);
	EXPECT_LT(0, i);
	for (j = 0; j < i; j++)
		ASSERT_EQ(1 + j % (ROOM_PAGES - 1), peek(addr + j * page_size));
	EXPECT_EQ(-SIGBUS, peek(addr + i * page_size));
	EXPECT_EQ(-1, filled_not(self->addr, (ROOM_PAGES - 1) * page_size, 1));
	EXPECT_EQ(ROOM_PAGES - 1, region_pages(self->fd));
	/* with more room it is done */
	ASSERT_EQ(0, param_write("limit", self->before));
	EXPECT_EQ(0, region_alias(self->fd, 0, there,
				  (ROOM_PAGES - 1) * page_size));
	EXPECT_EQ(-1, filled_not(addr, (ROOM_PAGES - 1) * page_size, 1));
	munmap(addr, nr * page_size);
}

TEST_F(limit, protect_of_holes_over_it_is_enospc)
{
	struct mmext_protect arg = {
		.size = sizeof(arg),
		.flags = MMEXT_PROTECT_READ_ONLY,
		.offset = 1ULL << 30,
		.length = 4 * MIB,
	};
	struct mmext_info before, info;

	ASSERT_EQ(0, region_info(self->fd, &before));
	EXPECT_EQ(-ENOSPC, call_all(self->fd, MMEXT_PROTECT, &arg));
	EXPECT_EQ((1ULL << 30) + 4 * MIB, arg.offset + arg.length);
	EXPECT_NE(0, arg.length);
	EXPECT_EQ(0, region_pages(self->fd));
	/* lifted, it takes nothing */
	EXPECT_EQ(0, region_protect(self->fd, 1ULL << 30, 4 * MIB, 0));
	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(before.out_used, info.out_used);
	/* and pages that are there can be protected in a full region */
	ASSERT_EQ(0, region_populate(self->fd, self->addr,
				     ROOM_PAGES * page_size, 0));
	EXPECT_EQ(0, region_protect(self->fd, 0, ROOM_PAGES * page_size,
				    MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(-SIGSEGV, poke(self->addr, 1));
}

TEST_F(limit, below_what_is_held_takes_nothing_away)
{
	fill(self->addr, 10 * page_size, 1);
	ASSERT_EQ(0, limit_write(page_size));
	EXPECT_EQ(-1, filled_not(self->addr, 10 * page_size, 1));
	EXPECT_EQ(0, poke(self->addr, 9));
	EXPECT_EQ(-SIGBUS, poke(self->addr + 10 * page_size, 1));
	EXPECT_EQ(10, region_pages(self->fd));
}

TEST_F(limit, is_what_info_reports)
{
	struct mmext_info info;
	char text[32];

	ASSERT_EQ(0, limit_write(123 * page_size));
	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(123 * page_size, info.out_limit);
	ASSERT_EQ(0, param_read("limit", text, sizeof(text)));
	EXPECT_EQ(123 * page_size, strtoull(text, NULL, 10));
}

TEST_F(limit, takes_sizes_with_a_suffix_and_refuses_nonsense)
{
	struct mmext_info info;

	ASSERT_EQ(0, param_write("limit", "64M"));
	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(64 * MIB, info.out_limit);
	ASSERT_EQ(0, param_write("limit", "1G\n"));
	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(GIB, info.out_limit);
	EXPECT_EQ(-EINVAL, param_write("limit", "much"));
	EXPECT_EQ(-EINVAL, param_write("limit", "64Mx"));
	EXPECT_EQ(-EINVAL, param_write("limit", "0"));
	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(GIB, info.out_limit);
}

#define NR_RACERS	4

struct racer {
	char *addr;
	int got;
};

static void *take_pages(void *arg)
{
	struct racer *racer = arg;
	int i;

	for (i = 0; i < ROOM_PAGES; i++)
		if (!poke(racer->addr + i * page_size, 1))
			racer->got++;
	return NULL;
}

TEST_F(limit, is_kept_by_threads_that_race_for_the_last_page)
{
	size_t length = ROOM_PAGES * page_size;
	struct racer racers[NR_RACERS] = { 0 };
	pthread_t threads[NR_RACERS];
	int i, got = 0;
	char *addr;

	addr = region_map(self->fd, NR_RACERS * length, 0);
	ASSERT_NE(MAP_FAILED, addr);
	fault_catch();
	for (i = 0; i < NR_RACERS; i++) {
		racers[i].addr = addr + i * length;
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, take_pages,
					    &racers[i]));
	}
	for (i = 0; i < NR_RACERS; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		got += racers[i].got;
	}
	EXPECT_EQ(got, region_pages(self->fd));
	EXPECT_LE(got, ROOM_PAGES);
	EXPECT_LE(ROOM_PAGES - NR_RACERS, got);
	munmap(addr, NR_RACERS * length);
}

TEST_HARNESS_MAIN
