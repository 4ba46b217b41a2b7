/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the selftests of guest spaces share: calls, windows, accesses of words,
 * a process that runs functions, and a thread that compares a window with what
 * its parent has while something is done to either.
 */
#ifndef MMEXT_GMAP_H
#define MMEXT_GMAP_H

#include "mmext_selftest.h"

#define SEGMENT		MIB
#define LIMIT		(64 * GIB - 1)

/* There are many tests that go round: less time for each, see rounds_begin(). */
static inline struct rounds gmap_rounds(int nr)
{
	return rounds_within(nr, 500000);
}

/* Calls: 0 or a negative errno. */

static inline int gmap_create(__u64 limit, __u32 segment_shift, __u32 flags)
{
	struct mmext_gmap_create arg = {
		.size = sizeof(arg),
		.flags = flags,
		.limit = limit,
		.segment_shift = segment_shift,
		.out_fd = -1,
	};
	int ret, fd = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ret = call(fd, MMEXT_GMAP_CREATE, &arg);
	close(fd);
	return ret ? ret : arg.out_fd;
}

static inline int gmap_open(void)
{
	return gmap_create(LIMIT, 0, 0);
}

static inline __u64 to_u64(const volatile void *addr)
{
	return (uintptr_t)addr;
}

static inline int gmap_map_at(int fd, __u64 from, __u64 to, __u64 length)
{
	struct mmext_gmap_map arg = {
		.size = sizeof(arg),
		.from = from,
		.to = to,
		.length = length,
	};

	return call(fd, MMEXT_GMAP_MAP, &arg);
}

static inline int gmap_map(int fd, const volatile void *from, __u64 to,
			   __u64 length)
{
	return gmap_map_at(fd, to_u64(from), to, length);
}

/* How many pieces were done is in @done, whatever it returns. */
static inline int gmap_map_batch(int fd, struct mmext_gmap_piece *pieces,
				 __u32 nr, __u32 *done)
{
	struct mmext_gmap_map_batch arg = {
		.size = sizeof(arg),
		.pieces = to_u64(pieces),
		.nr = nr,
	};
	int ret;

	do {
		ret = call(fd, MMEXT_GMAP_MAP_BATCH, &arg);
	} while (ret == -EINTR || (!ret && arg.nr));
	if (done)
		*done = nr - arg.nr;
	if (arg.pieces != to_u64(pieces + nr - arg.nr))
		return -EBADMSG;
	return ret;
}

static inline int gmap_unmap(int fd, __u64 to, __u64 length)
{
	struct mmext_gmap_unmap arg = {
		.size = sizeof(arg),
		.to = to,
		.length = length,
	};

	return call(fd, MMEXT_GMAP_UNMAP, &arg);
}

static inline int gmap_translate_many(int fd,
				      struct mmext_gmap_address *addresses,
				      __u32 nr)
{
	struct mmext_gmap_translate arg = {
		.size = sizeof(arg),
		.addresses = to_u64(addresses),
		.nr = nr,
	};
	int ret;

	do {
		ret = call(fd, MMEXT_GMAP_TRANSLATE, &arg);
	} while (ret == -EINTR || (!ret && arg.nr));
	return ret;
}

static inline int gmap_translate_length(int fd, __u64 gaddr, __u64 *vmaddr,
					__u64 *length)
{
	struct mmext_gmap_address address = { .gaddr = gaddr };
	int ret = gmap_translate_many(fd, &address, 1);

	*vmaddr = address.vmaddr;
	*length = address.length;
	if (!ret && !address.length)
		return -EBADMSG;
	return ret;
}

/* The parent's address, or a negative errno. */
static inline long long gmap_translate(int fd, __u64 gaddr)
{
	__u64 vmaddr, length;
	int ret = gmap_translate_length(fd, gaddr, &vmaddr, &length);

	return ret ? ret : (long long)vmaddr;
}

/* How many guest addresses there are, or a negative errno. */
static inline int gmap_reverse(int fd, __u64 vmaddr, __u64 *gaddrs, __u32 nr)
{
	struct mmext_gmap_reverse arg = {
		.size = sizeof(arg),
		.vmaddr = vmaddr,
		.gaddrs = to_u64(gaddrs),
		.nr = nr,
	};
	int ret = call(fd, MMEXT_GMAP_REVERSE, &arg);

	return ret ? ret : (int)arg.out_nr;
}

static inline int gmap_link(int fd, __u64 gaddr, __u64 vmaddr)
{
	struct mmext_gmap_link arg = {
		.size = sizeof(arg),
		.gaddr = gaddr,
		.vmaddr = vmaddr,
	};

	return call(fd, MMEXT_GMAP_LINK, &arg);
}

/* How many guest segments were linked, or a negative errno. */
static inline int gmap_unlink(int fd, __u64 vmaddr, __u32 flags)
{
	struct mmext_gmap_unlink arg = {
		.size = sizeof(arg),
		.flags = flags,
		.vmaddr = vmaddr,
	};
	int ret = call(fd, MMEXT_GMAP_UNLINK, &arg);

	return ret ? ret : (int)arg.out_unlinked;
}

/* The calls that go through a range; @done, if any, is how far they came. */
struct gmap_range {
	__u32 size;
	__u32 flags;
	__aligned_u64 gaddr;
	__aligned_u64 length;
};

static inline int gmap_range(int fd, unsigned long cmd, __u64 gaddr,
			     __u64 length, __u32 flags, __u64 *done)
{
	struct gmap_range arg = {
		.size = sizeof(arg),
		.flags = flags,
		.gaddr = gaddr,
		.length = length,
	};
	int ret = call_all(fd, cmd, &arg);

	if (done)
		*done = arg.gaddr - gaddr;
	if (arg.gaddr + arg.length != gaddr + length)
		return -EBADMSG;
	return ret;
}

static inline int gmap_fault_done(int fd, __u64 gaddr, __u64 length,
				  __u32 flags, __u64 *done)
{
	return gmap_range(fd, MMEXT_GMAP_FAULT, gaddr, length, flags, done);
}

static inline int gmap_fault(int fd, __u64 gaddr, __u64 length, __u32 flags)
{
	return gmap_fault_done(fd, gaddr, length, flags, NULL);
}

static inline int gmap_notify_done(int fd, __u64 gaddr, __u64 length,
				   __u32 flags, __u64 *done)
{
	return gmap_range(fd, MMEXT_GMAP_NOTIFY, gaddr, length, flags, done);
}

static inline int gmap_notify(int fd, __u64 gaddr, __u64 length, __u32 flags)
{
	return gmap_notify_done(fd, gaddr, length, flags, NULL);
}

static inline int gmap_protect(int fd, __u64 gaddr, __u64 length, __u32 flags)
{
	return gmap_range(fd, MMEXT_GMAP_PROTECT, gaddr, length, flags, NULL);
}

static inline int gmap_discard(int fd, __u64 gaddr, __u64 length)
{
	return gmap_range(fd, MMEXT_GMAP_DISCARD, gaddr, length, 0, NULL);
}

static inline int gmap_dirty(int fd, __u64 gaddr, __u64 length, __u32 flags,
			     void *marks)
{
	struct mmext_dirty arg = {
		.size = sizeof(arg),
		.flags = flags,
		.offset = gaddr,
		.length = length,
		.marks = to_u64(marks),
	};

	return call_all(fd, MMEXT_GMAP_DIRTY, &arg);
}

static inline int gmap_age(int fd, __u64 gaddr, __u64 length, void *marks)
{
	struct mmext_gmap_age arg = {
		.size = sizeof(arg),
		.gaddr = gaddr,
		.length = length,
		.marks = to_u64(marks),
	};

	return call_all(fd, MMEXT_GMAP_AGE, &arg);
}

static inline int gmap_events(int fd, __u32 nr)
{
	struct mmext_gmap_events arg = {
		.size = sizeof(arg),
		.nr = nr,
		.out_fd = -1,
	};
	int ret = call(fd, MMEXT_GMAP_EVENTS, &arg);

	return ret ? ret : arg.out_fd;
}

static inline int gmap_stat(int fd, struct mmext_gmap_stat *stat)
{
	memset(stat, 0, sizeof(*stat));
	stat->size = sizeof(*stat);
	return call(fd, MMEXT_GMAP_STAT, stat);
}

/* One member of it, or ~0. */
#define gmap_stat_of(fd, member)					\
({									\
	struct mmext_gmap_stat __stat;					\
									\
	gmap_stat(fd, &__stat) ? ~0ULL : (__u64)__stat.member;		\
})

static inline int gmap_enable(int device, int fd)
{
	struct mmext_gmap_enable arg = { .size = sizeof(arg), .fd = fd };

	return call(device, MMEXT_GMAP_ENABLE, &arg);
}

static inline int gmap_disable(int device)
{
	struct mmext_gmap_disable arg = { .size = sizeof(arg) };

	return call(device, MMEXT_GMAP_DISABLE, &arg);
}

/* A device file whose mappings show the space that is enabled on it. */
static inline int guest_open(void)
{
	struct mmext_setup arg = {
		.size = sizeof(arg),
		.backing = MMEXT_BACKING_GUEST,
	};
	int ret, fd = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ret = call(fd, MMEXT_SETUP, &arg);
	if (ret)
		close(fd);
	return ret ? ret : fd;
}

/* What this kernel and this build can show. */

static inline __u64 features(void)
{
	struct mmext_info info = { 0 };
	int fd = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		region_info(fd, &info);
	close(fd);
	return info.out_features;
}

static inline bool have_windows(void)
{
	return features() & MMEXT_FEATURE_GMAP_WINDOW;
}

static inline bool have_anonymous(void)
{
	return have_windows() && (features() & MMEXT_FEATURE_GMAP_ANON);
}

#define NEED_WINDOWS()							\
do {									\
	if (!have_windows())						\
		SKIP(return, "no windows without a TLB backend");	\
} while (0)

#define NEED_ANONYMOUS()						\
do {									\
	NEED_WINDOWS();							\
	if (!have_anonymous())						\
		SKIP(return, "no windows onto anonymous memory");	\
} while (0)

/* Memory of a parent */

enum host_kind {
	HOST_ANON,	/* private, anonymous */
	HOST_SHARED,	/* shared, of a memfd */
	HOST_PRIVATE,	/* private, of a memfd: both, once stored to */
	HOST_FRAMES,	/* a region of this module */
	HOST_PAGES,	/* the same, with references */
};

/* Address space that is aligned to what a page table covers, and empty. */
static inline char *place_alloc(size_t length)
{
	char *hole = mmap(NULL, length + TABLE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (hole == MAP_FAILED)
		return NULL;
	return (char *)(((uintptr_t)hole + TABLE - 1) & ~(TABLE - 1));
}

/* What backs memory of that kind: a descriptor, -1 for none. */
static inline int host_backing(enum host_kind kind, size_t length)
{
	int fd;

	switch (kind) {
	case HOST_ANON:
		break;
	case HOST_SHARED:
	case HOST_PRIVATE:
		fd = syscall(SYS_memfd_create, "host", 1U);
		if (fd >= 0 && ftruncate(fd, length)) {
			close(fd);
			return -1;
		}
		return fd;
	case HOST_FRAMES:
	case HOST_PAGES:
		region_backing = kind == HOST_PAGES ? MMEXT_BACKING_PAGE :
						      MMEXT_BACKING_PFN;
		return region_open_length(0);
	}
	return -1;
}

static inline void *host_map_at(enum host_kind kind, int backing, void *addr,
				size_t length, off_t offset)
{
	int flags = MAP_FIXED;

	switch (kind) {
	case HOST_ANON:
		flags |= MAP_PRIVATE | MAP_ANONYMOUS;
		backing = -1;
		offset = 0;
		break;
	case HOST_PRIVATE:
		flags |= MAP_PRIVATE;
		break;
	default:
		flags |= MAP_SHARED;
	}
	return mmap(addr, length, PROT_READ | PROT_WRITE, flags, backing,
		    offset);
}

/* Anonymous memory, at a multiple of 2 MiB; NULL if there is none. */
static inline char *host_alloc(size_t length)
{
	char *addr = place_alloc(length);

	if (!addr ||
	    host_map_at(HOST_ANON, -1, addr, length, 0) == MAP_FAILED)
		return NULL;
	return addr;
}

/* Shared memory there, which every kernel and build can show in a window. */
static inline char *host_alloc_shared(size_t length)
{
	char *addr = place_alloc(length);
	int fd = host_backing(HOST_SHARED, length);

	if (!addr || fd < 0 ||
	    host_map_at(HOST_SHARED, fd, addr, length, 0) == MAP_FAILED)
		return NULL;
	close(fd);
	return addr;
}

static inline void *window_map(int fd, size_t length, __u64 gaddr)
{
	return region_map(fd, length, gaddr);
}

/* Accesses of words that may end in a signal: 0 or its negative number. */

static __noinline __unused int peek_word(const volatile __u32 *addr,
					 __u32 *val)
{
	int sig;

	fault_catch();
	sig = sigsetjmp(fault_env, 0);
	if (sig)
		return -sig;
	fault_armed = 1;
	*val = *addr;
	fault_armed = 0;
	return 0;
}

static __noinline __unused int poke_word(volatile __u32 *addr, __u32 val)
{
	int sig;

	fault_catch();
	sig = sigsetjmp(fault_env, 0);
	if (sig)
		return -sig;
	fault_armed = 1;
	*addr = val;
	fault_armed = 0;
	return 0;
}

/* Another process, which runs functions of this program. */

struct runner {
	pid_t pid;
	int sock;
};

typedef long (*runner_fn)(int sock, void *arg);

struct runner_msg {
	runner_fn fn;
	void *arg;
};

static inline int runner_start(struct runner *r)
{
	struct runner_msg msg;
	int socks[2];
	pid_t pid;
	long ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks))
		return -errno;
	/* *r may be in memory that both have */
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid) {
		close(socks[1]);
		r->pid = pid;
		r->sock = socks[0];
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(socks[0]);
	while (recv(socks[1], &msg, sizeof(msg), 0) == sizeof(msg)) {
		ret = msg.fn(socks[1], msg.arg);
		if (send(socks[1], &ret, sizeof(ret), 0) != sizeof(ret))
			break;
	}
	_exit(0);
}

/* Start it, and do not wait for it to be done. */
static inline int runner_begin(struct runner *r, runner_fn fn, void *arg)
{
	struct runner_msg msg = { .fn = fn, .arg = arg };

	return send(r->sock, &msg, sizeof(msg), 0) == sizeof(msg) ? 0 : -errno;
}

static inline long runner_end(struct runner *r)
{
	long ret;

	if (recv(r->sock, &ret, sizeof(ret), 0) != sizeof(ret))
		return -EPIPE;
	return ret;
}

static inline long runner_do(struct runner *r, runner_fn fn, void *arg)
{
	return runner_begin(r, fn, arg) ? -EPIPE : runner_end(r);
}

static inline long run_recv_fd(int sock, void *arg __unused)
{
	return recv_fd(sock);
}

/* Hand a descriptor over; what it is called there. */
static inline long runner_send_fd(struct runner *r, int fd)
{
	if (runner_begin(r, run_recv_fd, NULL) || send_fd(r->sock, fd))
		return -EPIPE;
	return runner_end(r);
}

static inline long run_peek(int sock __unused, void *arg)
{
	return peek(arg);
}

static inline long runner_peek(struct runner *r, const void *addr)
{
	return runner_do(r, run_peek, (void *)addr);
}

static inline int runner_stop(struct runner *r)
{
	close(r->sock);
	return child_status(r->pid);
}

static inline int runner_kill(struct runner *r)
{
	kill(r->pid, SIGKILL);
	return runner_stop(r);
}

/**
 * struct owner - a process that is the parent of a space
 * @runner: it
 * @space: here, the descriptor of the space
 * @host: there, memory that is mapped at guest address 0: HOST_PAGES pages, each
 *	begins with its number plus 1
 * @kind: of that memory
 */
struct owner {
	struct runner runner;
	int space;
	char *host;
	enum host_kind kind;
};

#define OWNER_LENGTH	(2 * TABLE)

static inline long run_own(int sock, void *arg)
{
	struct owner *o = arg;
	int backing = host_backing(o->kind, OWNER_LENGTH);
	int space = gmap_open();

	o->host = place_alloc(OWNER_LENGTH);
	if (space < 0 || !o->host ||
	    host_map_at(o->kind, backing, o->host, OWNER_LENGTH, 0) == MAP_FAILED)
		return -EINVAL;
	fill(o->host, OWNER_LENGTH, 1);
	if (gmap_map(space, o->host, 0, OWNER_LENGTH))
		return -EIO;
	o->space = space;
	return send_fd(sock, space);
}

/* NULL if it can't be done. */
static inline struct owner *owner_start(enum host_kind kind)
{
	struct owner *o = shared_alloc(sizeof(*o));

	o->kind = kind;
	if (runner_start(&o->runner) ||
	    runner_begin(&o->runner, run_own, o))
		return NULL;
	o->space = recv_fd(o->runner.sock);
	if (o->space < 0 || runner_end(&o->runner))
		return NULL;
	return o;
}

static inline int owner_stop(struct owner *o)
{
	int ret = runner_stop(&o->runner);

	close(o->space);
	munmap(o, sizeof(*o));
	return ret;
}

/*
 * A thread that goes through the pages of a window and of what it shows, again
 * and again: what the parent has is what the window has; what is stored through
 * the window is in the parent's memory, and the other way round.
 *
 * Of each page it compares the first word, which it does not store to, stores to
 * the second through the window and to the third through the parent.  Where the
 * parent, or the window, can't be accessed it compares nothing.  What changes
 * bytes otherwise than by stores of ever larger numbers to the first word is
 * done between checker_hold() and checker_release(): the thread goes on with its
 * accesses, and draws no conclusion.
 */
struct checker {
	volatile __u32 *window;
	volatile __u32 *parent;
	size_t nr;
	bool loads_only;
	pthread_t thread;
	int cpu;
	int hold;
	int end;
	__u32 count;
	unsigned long rounds;
	unsigned long compared;
	unsigned long faults;
	long stale;
	long lost;
	size_t page;
	__u32 is;
	__u32 should_be;
};

static inline void checker_differs(struct checker *c, size_t page, long *what,
				   __u32 is, __u32 should_be)
{
	if (!c->stale && !c->lost) {
		c->page = page;
		c->is = is;
		c->should_be = should_be;
	}
	(*what)++;
}

#define WORDS(n)	((n) * (page_size / sizeof(__u32)))

static inline void checker_page(struct checker *c, size_t page)
{
	volatile __u32 *w = c->window + WORDS(page);
	volatile __u32 *p = c->parent + WORDS(page);
	__u32 before, shown, after, value;
	int hold = load(&c->hold);

	if (peek_word(w, &shown))
		c->faults++;
	if (!peek_word(p, &before) && !peek_word(w, &shown) &&
	    !peek_word(p, &after) && before == after && !(hold & 1) &&
	    load(&c->hold) == hold) {
		c->compared++;
		if (shown != before)
			checker_differs(c, page, &c->stale, shown, before);
	}
	if (c->loads_only)
		return;

	value = ++c->count;
	if (!poke_word(w + 1, value) && !peek_word(p + 1, &shown) &&
	    !(hold & 1) && load(&c->hold) == hold && shown != value)
		checker_differs(c, page, &c->lost, shown, value);
	if (!poke_word(p + 2, value) && !peek_word(w + 2, &shown) &&
	    !(hold & 1) && load(&c->hold) == hold && shown != value)
		checker_differs(c, page, &c->stale, shown, value);
}

static inline void *checker_thread(void *arg)
{
	struct checker *c = arg;
	size_t page;

	pin(c->cpu);
	while (!load(&c->end)) {
		for (page = 0; page < c->nr && !load(&c->end); page++)
			checker_page(c, page);
		store(&c->rounds, c->rounds + 1);
	}
	return NULL;
}

static inline int checker_start(struct checker *c, void *window, void *parent,
				size_t length)
{
	c->window = window;
	c->parent = parent;
	c->nr = length / page_size;
	c->end = 0;
	fault_catch();
	return -pthread_create(&c->thread, NULL, checker_thread, c);
}

static inline void checker_hold(struct checker *c)
{
	__atomic_add_fetch(&c->hold, 1, __ATOMIC_SEQ_CST);
}

static inline void checker_release(struct checker *c)
{
	__atomic_add_fetch(&c->hold, 1, __ATOMIC_SEQ_CST);
}

/* Until it has been at every page since now. */
static inline void checker_wait(struct checker *c)
{
	unsigned long rounds = load(&c->rounds);

	while (load(&c->rounds) < rounds + 2)
		usleep(100);
}

/* How often it found something; and says what. */
static inline long checker_stop(struct checker *c)
{
	store(&c->end, 1);
	pthread_join(c->thread, NULL);
	if (c->stale || c->lost)
		printf("# %ld stale, %ld lost; page %zu is %u, not %u\n",
		       c->stale, c->lost, c->page, c->is, c->should_be);
	if (!c->compared)
		printf("# the checker compared nothing, %lu faults\n",
		       c->faults);
	fflush(stdout);
	return c->stale + c->lost + !c->compared;
}

/* The first page of which the window is not what the parent is, or -1. */
static inline long window_differs(const void *window, const void *parent,
				  size_t length)
{
	const volatile __u32 *w = window, *p = parent;
	size_t i;

	for (i = 0; i < length / page_size; i++)
		if (w[WORDS(i)] != p[WORDS(i)])
			return i;
	return -1;
}

#endif /* MMEXT_GMAP_H */
