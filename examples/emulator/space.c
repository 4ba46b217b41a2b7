// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../demo/show.h"
#include "space.h"

/* With @left, again until nothing is. */
static void call(int fd, unsigned long cmd, void *arg, const char *name,
		 const __u64 *left)
{
	int ret;

	do {
		ret = ioctl(fd, cmd, arg);
	} while (ret ? errno == EINTR : left && *left);
	if (ret)
		die("%s: %s", name, strerror(errno));
}

#define CALL(fd, cmd, arg, left) call(fd, cmd, arg, #cmd, left)

static int device(__u64 *features)
{
	struct mmext_info info = { .size = sizeof(info) };
	int fd = open("/dev/mmext", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("/dev/mmext: %s", strerror(errno));
	CALL(fd, MMEXT_INFO, &info, NULL);
	*features = info.out_features;
	return fd;
}

bool space_can_be(void)
{
	__u64 features;

	close(device(&features));
	return features & MMEXT_FEATURE_GMAP_WINDOW;
}

static void *map(void *addr, size_t length, int prot, int flags, int fd,
		 off_t offset)
{
	void *p = mmap(addr, length, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	return p;
}

static void shuffle(int *order, int nr, unsigned int seed)
{
	int i, j;

	for (i = 0; i < nr; i++) {
		j = rand_r(&seed) % (i + 1);
		order[i] = order[j];
		order[j] = i;
	}
}

void space_create(struct space *s, unsigned int seed)
{
	struct mmext_gmap_create create = {
		.size = sizeof(create), .limit = SPACE_SIZE - 1,
		.segment_shift = SEGMENT_SHIFT,
	};
	struct mmext_gmap_events events = { .size = sizeof(events) };
	unsigned long arena;
	__u64 features;
	int fd;

	if (sysconf(_SC_PAGESIZE) != PAGE)
		die("pages are not of %lu bytes", PAGE);
	memset(s, 0, sizeof(*s));
	fd = device(&features);
	s->anonymous = features & MMEXT_FEATURE_GMAP_ANON;
	CALL(fd, MMEXT_GMAP_CREATE, &create, NULL);
	close(fd);
	s->fd = create.out_fd;
	CALL(s->fd, MMEXT_GMAP_EVENTS, &events, NULL);
	s->events = events.out_fd;
	if (fcntl(s->events, F_SETFL, O_NONBLOCK))
		die("fcntl: %s", strerror(errno));
	s->window = map(NULL, SPACE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			s->fd, 0);

	arena = (unsigned long)map(NULL, 2 * SPACE_SIZE + SEGMENT, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				   -1, 0);
	s->arena = (void *)((arena + SEGMENT - 1) & ~(SEGMENT - 1));
	s->memfd = memfd_create("pieces", MFD_CLOEXEC);
	if (s->memfd < 0 || ftruncate(s->memfd, SPACE_SIZE))
		die("memfd: %s", strerror(errno));
	shuffle(s->order, NR_SEGMENTS, seed);
}

/* One that is anonymous, if it may, and one of a memfd, in turns. */
static void *make_piece(struct space *s)
{
	int place = s->order[s->nr_pieces++];
	void *addr = s->arena + 2 * place * SEGMENT;
	int prot = PROT_READ | PROT_WRITE;

	if (s->anonymous && s->nr_pieces % 2)
		return map(addr, SEGMENT, prot,
			   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return map(addr, SEGMENT, prot, MAP_FIXED | MAP_SHARED, s->memfd,
		   place * SEGMENT);
}

void space_map(struct space *s, u64 gaddr, u64 length)
{
	static struct mmext_gmap_piece pieces[NR_SEGMENTS];
	struct mmext_gmap_map_batch batch = {
		.size = sizeof(batch), .pieces = (unsigned long)pieces,
	};
	u64 i, end = (gaddr + length + SEGMENT - 1) / SEGMENT;

	if (end > NR_SEGMENTS)
		die("the guest wants more than %lu bytes", SPACE_SIZE);
	for (i = gaddr / SEGMENT; i < end; i++) {
		if (s->mapped[i])
			continue;
		s->mapped[i] = true;
		pieces[batch.nr].from = (unsigned long)make_piece(s);
		pieces[batch.nr].to = i * SEGMENT;
		pieces[batch.nr++].length = SEGMENT;
	}
	while (batch.nr)
		CALL(s->fd, MMEXT_GMAP_MAP_BATCH, &batch, NULL);
}

void space_pieces(struct space *s, struct mmext_gmap_address *pieces)
{
	struct mmext_gmap_translate t = {
		.size = sizeof(t), .addresses = (unsigned long)pieces,
		.nr = NR_SEGMENTS,
	};
	int i;

	for (i = 0; i < NR_SEGMENTS; i++)
		pieces[i].gaddr = i * SEGMENT;
	while (t.nr)
		CALL(s->fd, MMEXT_GMAP_TRANSLATE, &t, NULL);
}

void space_read(struct space *s, u64 gaddr, void *buffer, u64 length)
{
	ssize_t n;

	for (; length; length -= n, gaddr += n, buffer = (char *)buffer + n) {
		n = pread(s->fd, buffer, length, gaddr);
		if (n <= 0)
			die("reading at guest address %#llx: %s", gaddr,
			    n ? strerror(errno) : "nothing there");
	}
}

void space_write(struct space *s, u64 gaddr, const void *buffer,
		 u64 length)
{
	ssize_t n;

	for (; length; length -= n, gaddr += n, buffer = (char *)buffer + n) {
		n = pwrite(s->fd, buffer, length, gaddr);
		if (n <= 0)
			die("writing at guest address %#llx: %s", gaddr,
			    n ? strerror(errno) : "nothing there");
	}
}

void space_arm(struct space *s, u64 gaddr)
{
	struct mmext_gmap_protect p = {
		.size = sizeof(p), .flags = MMEXT_GMAP_PROTECT_READ,
		.gaddr = gaddr & ~(PAGE - 1), .length = PAGE,
	};

	CALL(s->fd, MMEXT_GMAP_PROTECT, &p, &p.length);
}

int space_events(struct space *s, struct mmext_gmap_event *events, int nr)
{
	ssize_t n;

	do {
		n = read(s->events, events, nr * sizeof(*events));
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		die("reading events: %s", strerror(errno));
	return n < 0 ? 0 : n / sizeof(*events);
}

void space_track(struct space *s)
{
	struct mmext_dirty d = {
		.size = sizeof(d), .flags = MMEXT_DIRTY_START,
		.length = SPACE_SIZE,
	};

	CALL(s->fd, MMEXT_GMAP_DIRTY, &d, &d.length);
}

int space_dirty(struct space *s, struct mmext_run *runs, int nr)
{
	struct mmext_dirty d = {
		.size = sizeof(d),
		.flags = MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR | MMEXT_DIRTY_RUNS,
		.length = SPACE_SIZE, .marks = (unsigned long)runs, .nr = nr,
	};

	CALL(s->fd, MMEXT_GMAP_DIRTY, &d, &d.length);
	return nr - d.nr;
}

void space_stat(struct space *s, struct mmext_gmap_stat *stat)
{
	memset(stat, 0, sizeof(*stat));
	stat->size = sizeof(*stat);
	CALL(s->fd, MMEXT_GMAP_STAT, stat, NULL);
}
