// SPDX-License-Identifier: GPL-2.0
/*
 * What is in examples/: the driver, a ring of pages that turns, and programs.
 */
#include "mmext_selftest.h"

#define NR_PAGES	16
#define LENGTH		(NR_PAGES * page_size)

FIXTURE(example)
{
	int fd;
	char *addr;
};

FIXTURE_SETUP(example)
{
	self->fd = open("/dev/mmext_example", O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->fd, 0);
	self->addr = region_map(self->fd, LENGTH, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	fill(self->addr, LENGTH, 1);
}

FIXTURE_TEARDOWN(example)
{
	munmap(self->addr, LENGTH);
	close(self->fd);
}

TEST_F(example, keeps_what_is_stored)
{
	char *other = region_map(self->fd, LENGTH, 0);

	ASSERT_NE(MAP_FAILED, other);
	EXPECT_EQ(-1, filled_not(other, LENGTH, 1));
	EXPECT_EQ(-SIGBUS, peek(region_map(self->fd, page_size, LENGTH)));
	munmap(other, LENGTH);
}

TEST_F(example, turns_in_every_process)
{
	struct peer peer;

	ASSERT_EQ(0, peer_start(&peer));
	EXPECT_EQ(1, peer_peek(&peer, self->addr));
	ASSERT_EQ(1, write(self->fd, "", 1));
	EXPECT_EQ(-1, filled_not(self->addr, LENGTH - page_size, 2));
	EXPECT_EQ(1, self->addr[LENGTH - page_size]);
	EXPECT_EQ(2, peer_peek(&peer, self->addr));
	EXPECT_EQ(0, peer_stop(&peer));
}

static int turning;

static void *turn(void *arg)
{
	while (load(&turning))
		if (write(*(int *)arg, "", 1) != 1)
			return (void *)1;
	return NULL;
}

/* Whatever place a page is seen at, it is one of the ring's. */
TEST_F(example, turns_under_running_readers)
{
	struct rounds rounds = rounds_begin(20000);
	pthread_t thread;
	void *failed;
	int i, val;

	store(&turning, 1);
	ASSERT_EQ(0, pthread_create(&thread, NULL, turn, &self->fd));
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		val = peek(self->addr + i % NR_PAGES * page_size);
		ASSERT_GE(val, 1);
		ASSERT_LE(val, NR_PAGES);
	}
	store(&turning, 0);
	ASSERT_EQ(0, pthread_join(thread, &failed));
	EXPECT_EQ(NULL, failed);
}

/* examples/swap.c */
TEST(double_buffer_of_two_processes)
{
	EXPECT_EQ(0, system("./swap"));
}

/* examples/emulator; 4 is a kernel that can't show guest spaces */
FIXTURE(emulator) {
};

FIXTURE_SETUP(emulator)
{
}

FIXTURE_TEARDOWN(emulator)
{
}

TEST_F_TIMEOUT(emulator, runs_a_guest_saves_and_restores_it, 300)
{
	int status = system("./emulator sort expected");

	if (WIFEXITED(status) && WEXITSTATUS(status) == 4)
		SKIP(return, "no windows of guest spaces");
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
