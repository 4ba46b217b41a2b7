// SPDX-License-Identifier: GPL-2.0
/*
 * Faults of several threads at once, each on its part of one object or on an
 * object of its own.  In nanoseconds of the wall: for machines that do not count.
 */
#include <pthread.h>

#include "bench.h"

#define THREADS	4
#define ROUNDS	5

struct worker {
	pthread_t thread;
	pthread_barrier_t *start;
	char *addr;
	size_t size;
};

static uint64_t wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	char *p;

	pthread_barrier_wait(w->start);
	for (p = w->addr; p < w->addr + w->size; p += PAGE)
		load(p);
	pthread_barrier_wait(w->start);
	return NULL;
}

static int own_fd(enum object object, size_t size)
{
	struct mmext_setup s = {
		.size = sizeof(s),
		.length = size,
		.around = PAGE,
	};
	int fd;

	if (object == MEMFD) {
		fd = memfd_create("scale", MFD_CLOEXEC);
		if (fd < 0 || fallocate(fd, 0, 0, size))
			die("memfd");
		return fd;
	}
	fd = open("/dev/mmext", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, MMEXT_SETUP, &s))
		die("region");
	return fd;
}

static char *map_touched(int fd, size_t offset, size_t size)
{
	char *addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  offset), *p;

	if (addr == MAP_FAILED)
		die("mmap");
	for (p = addr; p < addr + size; p += PAGE)
		store(p, 1);
	munmap(addr, size);

	addr = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, offset);
	if (addr == MAP_FAILED)
		die("mmap");
	return addr;
}

static void run_threads(const char *subject, enum object object, bool shared,
			int n, size_t size)
{
	uint64_t least = UINT64_MAX, most = 0, t;
	pthread_barrier_t start;
	struct worker w[THREADS];
	int fd[THREADS], round, i;

	for (i = 0; i < n; i++)
		fd[i] = i && shared ? fd[0] :
			own_fd(object, shared ? size * n : size);

	for (round = 0; round < ROUNDS; round++) {
		pthread_barrier_init(&start, NULL, n + 1);
		for (i = 0; i < n; i++) {
			w[i].start = &start;
			w[i].size = size;
			w[i].addr = map_touched(fd[i], shared ? i * size : 0,
						size);
			if (pthread_create(&w[i].thread, NULL, work, &w[i]))
				die("pthread_create");
		}
		t = wall();
		pthread_barrier_wait(&start);
		pthread_barrier_wait(&start);
		t = wall() - t;
		for (i = 0; i < n; i++) {
			pthread_join(w[i].thread, NULL);
			munmap(w[i].addr, size);
		}
		pthread_barrier_destroy(&start);
		least = t < least ? t : least;
		most = t > most ? t : most;
	}
	for (i = 0; i < n; i++)
		if (!i || !shared)
			close(fd[i]);

	/* of all threads together, the quickest round: the host is not ours */
	printf("scale-%s-%d\t%s\t%zu\t%zu\t%.2f\t%.2f\t%.2f\n",
	       shared ? "shared" : "own", n, subject, size * n, size * n / PAGE,
	       (double)least * PAGE / size / n, (double)least * PAGE / size / n,
	       (double)most * PAGE / size / n);
	fflush(stdout);
}

void scale(size_t size)
{
	int n, shared;

	for (shared = 0; shared <= 1; shared++) {
		for (n = 1; n <= THREADS; n *= 2) {
			run_threads("mmext", REGION_ONE, shared, n, size);
			run_threads("memfd", MEMFD, shared, n, size);
		}
	}
}
