// SPDX-License-Identifier: GPL-2.0
/*
 * Pages are charged to the memory cgroup of whoever allocates them.
 */
#include "mmext_selftest.h"

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define SIZE		(16 * MIB)
/* page tables, slots, and what the counters lag behind */
#define SLACK		(3 * MIB)

FIXTURE(memcg)
{
	char dir[64];
	int fd;
	char *addr;
};

static int group_write(const char *dir, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return file_write(path, text);
}

static long long group_read(const char *dir, const char *file)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (file_read(path, text, sizeof(text)))
		return -1;
	return strtoll(text, NULL, 10);
}

/* A counter of a file of "name value" lines. */
static long long group_event(const char *dir, const char *file,
			     const char *name)
{
	char path[128], text[4096], *line;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (file_read_all(path, text, sizeof(text)))
		return -1;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, name, strlen(name)) &&
		    line[strlen(name)] == ' ')
			return strtoll(line + strlen(name), NULL, 10);
	return -1;
}

static int cgroup2_ready(void)
{
	if (access(CGROUP_ROOT "/cgroup.controllers", F_OK)) {
		mkdir(CGROUP_ROOT, 0755);
		if (mount("cgroup2", CGROUP_ROOT, "cgroup2", 0, NULL))
			return -errno;
	}
	return file_write(CGROUP_ROOT "/cgroup.subtree_control", "+memory");
}

FIXTURE_SETUP(memcg)
{
	ASSERT_EQ(0, cgroup2_ready());
	snprintf(self->dir, sizeof(self->dir), CGROUP_ROOT "/mmext-test-%d",
		 getpid());
	ASSERT_EQ(0, mkdir(self->dir, 0755));
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->addr = region_map(self->fd, 2 * SIZE, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(memcg)
{
	int i;

	munmap(self->addr, 2 * SIZE);
	close(self->fd);
	/* a member that has exited may be there for a moment yet */
	for (i = 0; i < 100 && rmdir(self->dir); i++)
		usleep(10000);
}

enum how {
	BY_FAULT,
	BY_POPULATE,
	BY_WRITE,
};

/* In a member of the group: allocate, and stay until told to go. */
static pid_t start_member(FIXTURE_DATA(memcg) *self, enum how how, int *told)
{
	char *buf;
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CHILD_CHECK(!group_write(self->dir, "cgroup.procs", "0"));
	switch (how) {
	case BY_FAULT:
		fill(self->addr, SIZE, 1);
		break;
	case BY_POPULATE:
		CHILD_CHECK(!region_populate(self->fd, self->addr, SIZE, 0));
		break;
	case BY_WRITE:
		buf = calloc(1, 64 * KIB);
		CHILD_CHECK(buf);
		while (lseek(self->fd, 0, SEEK_CUR) < (off_t)SIZE)
			CHILD_CHECK(write(self->fd, buf, 64 * KIB) ==
				    64 * KIB);
		break;
	}
	store(&told[0], 1);
	while (!load(&told[1]))
		usleep(1000);
	_exit(0);
}

static void wait_for_member(pid_t pid, const int *told)
{
	while (!load(told) && !kill(pid, 0) &&
	       waitpid(pid, NULL, WNOHANG | __WNOTHREAD) != pid)
		usleep(1000);
}

FIXTURE(charge)
{
	FIXTURE_DATA(memcg) base;
	int *told;
};

FIXTURE_VARIANT(charge)
{
	enum how how;
};

FIXTURE_VARIANT_ADD(charge, fault)
{
	.how = BY_FAULT,
};

FIXTURE_VARIANT_ADD(charge, populate)
{
	.how = BY_POPULATE,
};

FIXTURE_VARIANT_ADD(charge, write)
{
	.how = BY_WRITE,
};

FIXTURE_SETUP(charge)
{
	memcg_setup(_metadata, &self->base, NULL);
	self->told = shared_alloc(page_size);
	ASSERT_NE(MAP_FAILED, self->told);
}

FIXTURE_TEARDOWN(charge)
{
	memcg_teardown(_metadata, &self->base, NULL);
	munmap(self->told, page_size);
}

TEST_F(charge, is_to_the_group_of_the_task_and_ends_with_the_region)
{
	const char *dir = self->base.dir;
	pid_t pid = start_member(&self->base, variant->how, self->told);
	long long current;
	int i;

	ASSERT_GT(pid, 0);
	wait_for_member(pid, self->told);
	ASSERT_EQ(1, load(self->told));
	EXPECT_EQ(SIZE / page_size, region_pages(self->base.fd));
	current = group_read(dir, "memory.current");
	EXPECT_LE(SIZE, current);
	EXPECT_GE(SIZE + SLACK, current);
	/* the pages, and so the charge, outlive the task */
	store(&self->told[1], 1);
	ASSERT_EQ(0, child_status(pid));
	EXPECT_LE(SIZE, group_read(dir, "memory.current"));
	/* and go with the region */
	munmap(self->base.addr, 2 * SIZE);
	close(self->base.fd);
	for (i = 0; i < 200; i++) {
		current = group_read(dir, "memory.current");
		if (current <= (long long)SLACK)
			break;
		usleep(10000);
	}
	EXPECT_GE(SLACK, current);
	self->base.fd = region_open();
	self->base.addr = region_map(self->base.fd, 2 * SIZE, 0);
}

TEST_F(memcg, freed_pages_are_no_longer_charged)
{
	int *told = shared_alloc(page_size), i;
	pid_t pid = start_member(self, BY_FAULT, told);
	long long current = 0;

	ASSERT_GT(pid, 0);
	wait_for_member(pid, told);
	ASSERT_EQ(1, load(told));
	ASSERT_LE(SIZE, group_read(self->dir, "memory.current"));
	ASSERT_EQ(0, region_free(self->fd, 0, SIZE));
	for (i = 0; i < 200; i++) {
		current = group_read(self->dir, "memory.current");
		if (current <= (long long)SLACK)
			break;
		usleep(10000);
	}
	EXPECT_GE(SLACK, current);
	store(&told[1], 1);
	EXPECT_EQ(0, child_status(pid));
}

TEST_F(memcg, pages_that_others_made_cost_nothing)
{
	int *told = shared_alloc(page_size);
	pid_t pid;

	fill(self->addr, SIZE, 1);
	pid = start_member(self, BY_FAULT, told);
	ASSERT_GT(pid, 0);
	wait_for_member(pid, told);
	ASSERT_EQ(1, load(told));
	EXPECT_GE(SLACK, group_read(self->dir, "memory.current"));
	store(&told[1], 1);
	EXPECT_EQ(0, child_status(pid));
}

TEST_F(memcg, task_over_the_limit_of_its_group_ends_and_no_other)
{
	char limit[32];
	pid_t pid;
	int status;

	snprintf(limit, sizeof(limit), "%lu", SIZE);
	ASSERT_EQ(0, group_write(self->dir, "memory.max", limit));
	group_write(self->dir, "memory.swap.max", "0");
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CHILD_CHECK(!group_write(self->dir, "cgroup.procs", "0"));
		fill(self->addr, 2 * SIZE, 1);
		_exit(0);
	}
	status = child_status(pid);
	EXPECT_TRUE(status == 128 + SIGKILL || status == 128 + SIGBUS)
		TH_LOG("status %d", status);
	EXPECT_LT(0, group_event(self->dir, "memory.events", "max"));
	EXPECT_GE(SIZE / page_size, region_pages(self->fd));
	/* this process, outside of the group, goes on */
	EXPECT_EQ(0, poke(self->addr + 2 * SIZE - 1, 1));
}

TEST_HARNESS_MAIN
