// SPDX-License-Identifier: GPL-2.0
/*
 * The storm: a parent whose memory is changed in every way there is, with windows
 * in itself and in other processes, through which is read and stored meanwhile; and
 * all of these are killed at times.
 *
 * The model, in memory that all processes share:
 *
 * - Each page has a word for each writer, which stores ever larger numbers to it.
 *   It says before what it will store, and after that it has.  So who reads the
 *   word, through whatever mapping, must find no less than what was done before
 *   and no more than what was begun after.
 *
 * - What takes bytes away (MADV_DONTNEED, a truncation, ...) holds the page: the
 *   number of its holds is odd meanwhile, and what was done before is of another
 *   number then, and is not asked for any more.
 *
 * - What leaves bytes as they are (mprotect, migration, swap, fork, ...) is done at
 *   all times and holds nothing.  Accesses may fail then, and say nothing.
 *
 * - Where guest segments change places they are held, and stores wait for it.
 */
#include "mmext_gmap_kernel.h"

#include <stdarg.h>

#include "modules/mmext_test_notifier.h"

#define SEG_PAGES	((unsigned int)(SEGMENT / page_size))
#define NR_SEGS		10
#define MAX_PAGES	(NR_SEGS * 256)
#define LENGTH		(NR_SEGS * SEGMENT)

/* Far below where the kernel puts what it is to find a place for. */
#define HOST_AT		((char *)(1UL << 40))
#define WINDOW_AT	((char *)(1UL << 41))
#define AWAY_AT		((char *)(1UL << 42))

#define NR_HOLDERS	2
#define NR_MUTATORS	2

/* Who stores, each to a word of its own, in a cache line of its own */
enum {
	WRITER_MUTATOR,		/* and the other */
	WRITER_PARENT = WRITER_MUTATOR + NR_MUTATORS,
	WRITER_WINDOW,
	WRITER_HOLDER,
	NR_WRITERS = WRITER_HOLDER + NR_HOLDERS,
};

#define WORD_OF(writer)	((writer) * 16 + 3)

/* The last pages of the first segment are all the same, for KSM. */
#define QUIET		48U
#define QUIET_WORD	0xa5a5a5a5U
#define QUIET_OTHER	0xa6a6a6a6U

#define SECONDS		6
/* Longer if there is a kind of operation left, or a counter that did not move. */
#define MORE_SECONDS	300
#define STUCK_SECONDS	180
/* vm/run has a limit of its own. */
#define FOREVER		(24 * 60 * 60)

enum kind {
	CHECK_MEMORY,
	CHECK_WINDOW,
	CHECK_FAR,
	STORE_MEMORY,
	STORE_WINDOW,
	STORE_FAR,
	/* what takes bytes */
	DONTNEED,
	MMAP_OVER,
	MUNMAP_MMAP,
	PUNCH,
	TRUNCATE,
	DISCARD,
	EXCHANGE,
	/* what does not */
	MPROTECT_READ,
	MPROTECT_NONE,
	MREMAP,
	FORK,
	PAGEOUT,
	COLLAPSE,
	SPLIT,
	MIGRATE,
	KSM_BREAK,
	WRITEBACK,
	MLOCK,
	REGION_UNMAP,
	REGION_PROTECT,
	MAP_AGAIN,
	UNMAP_MAP,
	UNLINK,
	FAULT,
	NOTIFY,
	PROTECT,
	EVENTS,
	DIRTY,
	AGE,
	READ_WRITE,
	/* of windows */
	WINDOW_DONTNEED,
	WINDOW_MUNMAP,
	WINDOW_MREMAP,
	WINDOW_MPROTECT,
	FAR_DONTNEED,
	FAR_MUNMAP,
	FAR_MREMAP,
	FAR_FORK,
	/* others that look on */
	NOTIFIER,
	SPACE,
	/* ends */
	KILL_PARENT,
	KILL_HOLDER,
	KILL_BOTH,
	EXEC,
	NR_KINDS,
};

static const char *const kind_names[NR_KINDS] = {
	[CHECK_MEMORY] = "check of memory",
	[CHECK_WINDOW] = "check of a window",
	[CHECK_FAR] = "check of another's window",
	[STORE_MEMORY] = "store to memory",
	[STORE_WINDOW] = "store to a window",
	[STORE_FAR] = "store to another's window",
	[DONTNEED] = "MADV_DONTNEED",
	[MMAP_OVER] = "mmap over it",
	[MUNMAP_MMAP] = "munmap and mmap",
	[PUNCH] = "hole punched",
	[TRUNCATE] = "truncate",
	[DISCARD] = "DISCARD",
	[EXCHANGE] = "MAP of two places exchanged",
	[MPROTECT_READ] = "mprotect read-only",
	[MPROTECT_NONE] = "mprotect none",
	[MREMAP] = "mremap",
	[FORK] = "fork",
	[PAGEOUT] = "MADV_PAGEOUT",
	[COLLAPSE] = "collapse",
	[SPLIT] = "split",
	[MIGRATE] = "migration",
	[KSM_BREAK] = "store to a page of KSM",
	[WRITEBACK] = "writeback",
	[MLOCK] = "mlock",
	[REGION_UNMAP] = "UNMAP of a region",
	[REGION_PROTECT] = "PROTECT of a region",
	[MAP_AGAIN] = "MAP of the same",
	[UNMAP_MAP] = "UNMAP and MAP",
	[UNLINK] = "UNLINK",
	[FAULT] = "FAULT",
	[NOTIFY] = "NOTIFY",
	[PROTECT] = "PROTECT",
	[EVENTS] = "EVENTS",
	[DIRTY] = "DIRTY",
	[AGE] = "AGE",
	[READ_WRITE] = "read and write",
	[WINDOW_DONTNEED] = "MADV_DONTNEED of a window",
	[WINDOW_MUNMAP] = "munmap of a window",
	[WINDOW_MREMAP] = "mremap of a window",
	[WINDOW_MPROTECT] = "mprotect of a window",
	[FAR_DONTNEED] = "MADV_DONTNEED of another's window",
	[FAR_MUNMAP] = "munmap of another's window",
	[FAR_MREMAP] = "mremap of another's window",
	[FAR_FORK] = "fork of another's window",
	[NOTIFIER] = "another notifier",
	[SPACE] = "another space",
	[KILL_PARENT] = "parent killed",
	[KILL_HOLDER] = "holder killed",
	[KILL_BOTH] = "both killed",
	[EXEC] = "parent executed a program",
};

/**
 * struct said - what a writer says of a page
 * @begun: the number that it stores, or has stored
 * @done: the last that it has stored
 * @hold: of the page, when it had
 */
struct said {
	__u32 begun;
	__u32 done;
	int hold;
};

/**
 * struct arena - what all processes share
 * @stop: it is over
 * @epoch: of the parent: holders of another's windows end
 * @exec: the parent is to execute another program
 * @ready: of the parent, what it was made for
 * @wanted: once its time is over, a kind that has not been yet; or NR_KINDS
 * @failures: that somebody told of
 * @wrong: bytes that were not what they must be
 * @accesses_failed: since nothing could be accessed there
 * @retries: as STAT says
 * @events: that were read
 * @done: operations of each kind
 * @count: the last number of each writer
 * @active: it is at a store through a window
 * @seg_hold: of a guest segment
 * @seg_host: the host segment that it shows
 * @seg_lock: of a host segment, by whoever changes it
 * @hold: of a host page
 * @said: of a host page
 * @message: the first failure
 */
struct arena {
	int stop;
	int epoch;
	int exec;
	int ready;
	int wanted;
	int failures;
	unsigned long wrong;
	unsigned long accesses_failed;
	unsigned long long retries;
	unsigned long events;
	unsigned long done[NR_KINDS];
	__u32 count[NR_WRITERS];
	int active[NR_WRITERS];
	int seg_hold[NR_SEGS];
	int seg_host[NR_SEGS];
	int seg_lock[NR_SEGS];
	int hold[MAX_PAGES];
	struct said said[MAX_PAGES][NR_WRITERS];
	char message[512];
};

static struct arena *arena;
static bool anonymous;
static int space_fd = -1;
static bool with_disk;

#define STORM_DIR	"/tmp/mmext-storm"
#define STORM_IMAGE	"/tmp/mmext-storm-image"

static void did(enum kind kind)
{
	__atomic_add_fetch(&arena->done[kind], 1, __ATOMIC_RELAXED);
}

__attribute__((format(printf, 1, 2)))
static void fail(const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!__atomic_fetch_add(&arena->failures, 1, __ATOMIC_SEQ_CST))
		snprintf(arena->message, sizeof(arena->message), "%s", text);
	store(&arena->stop, 1);
}

static __u32 rnd(__u32 *seed, __u32 below)
{
	return next_random(seed) % below;
}

/* Places */

/* What a host segment is made of. */
static enum host_kind kind_of(unsigned int seg)
{
	static const enum host_kind kinds[NR_SEGS] = {
		HOST_ANON, HOST_ANON, HOST_ANON, HOST_ANON, HOST_SHARED,
		HOST_SHARED, HOST_PRIVATE, HOST_SHARED, HOST_FRAMES, HOST_PAGES,
	};

	if (!anonymous && (kinds[seg] == HOST_ANON ||
			   kinds[seg] == HOST_PRIVATE))
		return HOST_SHARED;
	return kinds[seg];
}

/* The one that is a file on a disk, if there is a disk. */
#define DISK_SEG	7U

static bool loses_bytes(unsigned int seg)
{
	return kind_of(seg) == HOST_ANON || kind_of(seg) == HOST_PRIVATE;
}

static bool is_quiet(unsigned int page)
{
	return page < SEG_PAGES && page >= SEG_PAGES - QUIET;
}

static volatile __u32 *word_at(char *base, unsigned int page, int writer)
{
	return (volatile __u32 *)(base + page * page_size) + WORD_OF(writer);
}

/* Through which mapping */
struct route {
	char *base;
	/* of guest pages, and not of host pages */
	bool window;
	int writer;
	enum kind check;
	enum kind store;
};

/* The host page that a route shows at @page; false if that is being changed. */
static bool shown(const struct route *r, unsigned int page, unsigned int *host,
		  int *seg_hold)
{
	unsigned int seg = page / SEG_PAGES;

	*host = page;
	*seg_hold = 0;
	if (!r->window)
		return true;
	*seg_hold = load(&arena->seg_hold[seg]);
	*host = load(&arena->seg_host[seg]) * SEG_PAGES + page % SEG_PAGES;
	return !(*seg_hold & 1);
}

static bool still_shown(const struct route *r, unsigned int page, int seg_hold)
{
	return !r->window ||
	       load(&arena->seg_hold[page / SEG_PAGES]) == seg_hold;
}

static void access_failed(void)
{
	__atomic_add_fetch(&arena->accesses_failed, 1, __ATOMIC_RELAXED);
}

static void check_quiet(const struct route *r, unsigned int page,
			unsigned int host, int seg_hold)
{
	__u32 value;

	if (peek_word(word_at(r->base, page, 0), &value)) {
		access_failed();
		return;
	}
	if (value == QUIET_WORD || value == QUIET_OTHER ||
	    !still_shown(r, page, seg_hold))
		return;
	__atomic_add_fetch(&arena->wrong, 4, __ATOMIC_RELAXED);
	fail("%s: quiet page %u (host %u) is %#x", kind_names[r->check], page,
	     host, value);
}

static void check_page(const struct route *r, unsigned int page)
{
	struct said before, after;
	unsigned int host;
	int writer, hold, seg_hold;
	__u32 value;

	if (!shown(r, page, &host, &seg_hold))
		return;
	did(r->check);
	if (is_quiet(host)) {
		check_quiet(r, page, host, seg_hold);
		return;
	}
	for (writer = 0; writer < NR_WRITERS; writer++) {
		struct said *said = &arena->said[host][writer];

		hold = load(&arena->hold[host]);
		before.done = load(&said->done);
		before.hold = load(&said->hold);
		if (hold & 1 || before.hold != hold) {
			/* nothing is known of it, but it is there to be read */
			peek_word(word_at(r->base, page, writer), &value);
			continue;
		}
		if (peek_word(word_at(r->base, page, writer), &value)) {
			access_failed();
			continue;
		}
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		after.begun = load(&said->begun);
		if (load(&arena->hold[host]) != hold ||
		    !still_shown(r, page, seg_hold))
			continue;
		if (value >= before.done && value <= after.begun)
			continue;
		__atomic_add_fetch(&arena->wrong, 4, __ATOMIC_RELAXED);
		fail("%s: page %u (host %u, kind %d), word of writer %d is %u, not %u to %u",
		     kind_names[r->check], page, host, kind_of(host / SEG_PAGES),
		     writer, value, before.done, after.begun);
	}
}

static void store_page(const struct route *r, unsigned int page)
{
	unsigned int host;
	struct said *said;
	int hold, seg_hold;
	__u32 value;

	store(&arena->active[r->writer], 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!shown(r, page, &host, &seg_hold) || is_quiet(host))
		goto out;
	hold = load(&arena->hold[host]);
	if (hold & 1)
		goto out;
	said = &arena->said[host][r->writer];
	value = ++arena->count[r->writer];
	store(&said->begun, value);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (poke_word(word_at(r->base, page, r->writer), value)) {
		access_failed();
		goto out;
	}
	did(r->store);
	if (load(&arena->hold[host]) != hold) {
		store(&said->hold, -1);
		goto out;
	}
	/* in this order: who finds the hold finds the number */
	store(&said->done, value);
	store(&said->hold, hold);
out:
	store(&arena->active[r->writer], 0);
}

/* Holding */

static bool seg_trylock(unsigned int seg)
{
	return !__atomic_exchange_n(&arena->seg_lock[seg], 1, __ATOMIC_SEQ_CST);
}

static void seg_unlock(unsigned int seg)
{
	store(&arena->seg_lock[seg], 0);
}

static void hold_pages(unsigned int page, unsigned int nr)
{
	unsigned int i;

	for (i = page; i < page + nr; i++)
		__atomic_add_fetch(&arena->hold[i], 1, __ATOMIC_SEQ_CST);
}

/**
 * struct mutator - a thread that changes the parent's memory
 * @memory: its own way to store
 * @window: to look through the window of the parent's process
 * @seed: of its choices
 * @backing: of each segment, as for all of them
 * @nr: which one
 */
struct mutator {
	struct route memory;
	struct route window;
	__u32 seed;
	int *backing;
	int nr;
};

/* The same numbers again, now that everything else is of another hold. */
static void release_pages(struct mutator *m, unsigned int page, unsigned int nr)
{
	unsigned int i;

	for (i = page; i < page + nr; i++) {
		__atomic_add_fetch(&arena->hold[i], 1, __ATOMIC_SEQ_CST);
		store_page(&m->memory, i);
	}
}

/* The guest page that shows a host page; -1 if that is being changed. */
static int guest_of(unsigned int host)
{
	int i;

	for (i = 0; i < NR_SEGS; i++)
		if (load(&arena->seg_host[i]) == (int)(host / SEG_PAGES))
			return i * SEG_PAGES + host % SEG_PAGES;
	return -1;
}

/*
 * Nobody else stores to the mutator's word: what it stores is in the window at
 * once, also while it holds the page.
 */
static void compare_now(struct mutator *m, unsigned int host, const char *what)
{
	volatile __u32 *word = word_at(m->memory.base, host, m->memory.writer);
	int guest = guest_of(host), seg_hold;
	__u32 is, shown_is;

	if (guest < 0)
		return;
	seg_hold = load(&arena->seg_hold[guest / SEG_PAGES]);
	if (seg_hold & 1 ||
	    load(&arena->seg_host[guest / SEG_PAGES]) != (int)(host / SEG_PAGES))
		return;
	if (peek_word(word, &is) ||
	    peek_word(word_at(m->window.base, guest, m->memory.writer),
		      &shown_is) ||
	    load(&arena->seg_hold[guest / SEG_PAGES]) != seg_hold)
		return;
	if (is == shown_is)
		return;
	__atomic_add_fetch(&arena->wrong, 4, __ATOMIC_RELAXED);
	fail("after %s: page %u (kind %d) is %u and its window %u", what, host,
	     kind_of(host / SEG_PAGES), is, shown_is);
}

/* Operations */

/* A part of a segment, that has no quiet page. */
struct part {
	unsigned int seg;
	unsigned int page;
	unsigned int nr;
	char *addr;
	size_t length;
};

static void choose(struct mutator *m, unsigned int seg, struct part *p)
{
	unsigned int pages = seg ? SEG_PAGES : SEG_PAGES - QUIET;

	p->seg = seg;
	p->nr = 1U << rnd(&m->seed, 6);
	if (!rnd(&m->seed, 16))
		p->nr = pages;
	p->page = seg * SEG_PAGES + rnd(&m->seed, pages - p->nr + 1);
	p->addr = m->memory.base + p->page * page_size;
	p->length = p->nr * page_size;
}

static bool map_seg(struct mutator *m, struct part *p)
{
	if (host_map_at(kind_of(p->seg), m->backing[p->seg], p->addr, p->length,
			(p->page % SEG_PAGES) * page_size) == p->addr)
		return true;
	fail("mmap of the parent's memory: %d", errno);
	return false;
}

static void take_bytes(struct mutator *m, struct part *p, enum kind kind)
{
	size_t offset = (p->page % SEG_PAGES) * page_size;
	enum host_kind host = kind_of(p->seg);
	bool done = true;
	int guest, ret;

	switch (kind) {
	case DONTNEED:
		hold_pages(p->page, p->nr);
		madvise(p->addr, p->length, MADV_DONTNEED);
		break;
	case MMAP_OVER:
		hold_pages(p->page, p->nr);
		map_seg(m, p);
		break;
	case MUNMAP_MMAP:
		hold_pages(p->page, p->nr);
		munmap(p->addr, p->length);
		map_seg(m, p);
		break;
	case PUNCH:
		hold_pages(p->page, p->nr);
		if (host == HOST_FRAMES || host == HOST_PAGES)
			done = !region_free(m->backing[p->seg], offset,
					    p->length);
		else
			done = host != HOST_ANON &&
			       !fallocate(m->backing[p->seg],
					  FALLOC_FL_PUNCH_HOLE |
					  FALLOC_FL_KEEP_SIZE, offset,
					  p->length);
		break;
	case TRUNCATE:
		/* not that with the quiet pages at its end */
		if ((host != HOST_SHARED && host != HOST_PRIVATE) || !p->seg)
			return;
		p->nr = SEG_PAGES - p->page % SEG_PAGES;
		hold_pages(p->page, p->nr);
		if (ftruncate(m->backing[p->seg], offset) ||
		    ftruncate(m->backing[p->seg], SEGMENT))
			fail("ftruncate: %d", errno);
		break;
	case DISCARD:
		guest = guest_of(p->page);
		if (guest < 0)
			return;
		hold_pages(p->page, p->nr);
		ret = gmap_discard(space_fd, (__u64)guest * page_size,
				   p->length);
		if (ret)
			fail("DISCARD of page %u (kind %d): %d", p->page, host,
			     ret);
		break;
	default:
		return;
	}
	compare_now(m, p->page, kind_names[kind]);
	compare_now(m, p->page + p->nr - 1, kind_names[kind]);
	release_pages(m, p->page, p->nr);
	if (done)
		did(kind);
}

static int map_guest(int guest_seg, int host_seg)
{
	return gmap_map(space_fd, HOST_AT + host_seg * SEGMENT,
			guest_seg * SEGMENT, SEGMENT);
}

static void exchange(struct mutator *m, unsigned int a)
{
	unsigned int b = rnd(&m->seed, NR_SEGS);
	int ga = -1, gb = -1, i, writer, ret;
	__u64 end;

	if (a == b || !seg_trylock(b))
		return;
	for (i = 0; i < NR_SEGS; i++) {
		if (arena->seg_host[i] == (int)a)
			ga = i;
		if (arena->seg_host[i] == (int)b)
			gb = i;
	}
	if (ga < 0 || gb < 0) {
		fail("segment %u is at %d, and %u at %d", a, ga, b, gb);
		goto unlock;
	}
	__atomic_add_fetch(&arena->seg_hold[ga], 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&arena->seg_hold[gb], 1, __ATOMIC_SEQ_CST);
	/* those that are at a store, through a window, let it happen */
	end = now_us() + 1000000;
	for (writer = WRITER_WINDOW; writer < NR_WRITERS; writer++)
		while (load(&arena->active[writer]) && now_us() < end)
			usleep(50);
	if (now_us() >= end)
		goto release;
	ret = map_guest(ga, b);
	if (!ret)
		ret = map_guest(gb, a);
	if (ret) {
		fail("MAP: %d", ret);
	} else {
		store(&arena->seg_host[ga], b);
		store(&arena->seg_host[gb], a);
		did(EXCHANGE);
	}
release:
	__atomic_add_fetch(&arena->seg_hold[ga], 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&arena->seg_hold[gb], 1, __ATOMIC_SEQ_CST);
unlock:
	seg_unlock(b);
}

/* A child of the parent: its copies are its own, whoever stores to what. */
static void fork_and_look(struct mutator *m, struct part *p)
{
	unsigned int i, writer;
	__u32 first[64];
	pid_t pid;
	int status;

	if (p->nr > 8)
		p->nr = 8;
	pid = fork();
	if (pid < 0)
		return;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!loses_bytes(p->seg))
			_exit(0);
		for (i = 0; i < p->nr; i++)
			for (writer = 0; writer < NR_WRITERS; writer++)
				if (peek_word(word_at(m->memory.base,
						      p->page + i, writer),
					      &first[i * 8 + writer]))
					_exit(0);
		usleep(2000);
		for (i = 0; i < p->nr; i++)
			for (writer = 0; writer < NR_WRITERS; writer++)
				if (*word_at(m->memory.base, p->page + i,
					     writer) != first[i * 8 + writer])
					_exit(7);
		/* and what it stores is not the parent's */
		for (i = 0; i < p->nr; i++)
			*word_at(m->memory.base, p->page + i, 0) = ~0U;
		_exit(0);
	}
	for (i = 0; i < p->nr; i++)
		store_page(&m->memory, p->page + i);
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 7) {
		__atomic_add_fetch(&arena->wrong, 4, __ATOMIC_RELAXED);
		fail("a child of the parent sees what is stored to page %u on",
		     p->page);
	}
	did(FORK);
}

/* Of two pages that are one since they are the same, one is stored to. */
static void break_ksm(struct mutator *m)
{
	unsigned int page = SEG_PAGES - QUIET + rnd(&m->seed, QUIET - 1);
	char *base = rnd(&m->seed, 2) ? m->memory.base : m->window.base;
	int guest = guest_of(page);
	volatile __u32 *word, *next;
	__u32 value = QUIET_WORD;

	if (guest < 0)
		return;
	if (base == m->memory.base)
		guest = page;
	word = word_at(base, guest, 0);
	next = word_at(m->memory.base, page + 1, 0);
	if (poke_word(word, QUIET_OTHER))
		return;
	if (!peek_word(next, &value) && value != QUIET_WORD)
		fail("a store to page %u is seen in the next", page);
	/* not through the window, which may be gone by now */
	if (!poke_word(word_at(m->memory.base, page, 0), QUIET_WORD))
		did(KSM_BREAK);
}

static void look_at_events(int fd)
{
	struct mmext_gmap_event events[64];
	ssize_t len;
	size_t i;

	while ((len = read(fd, events, sizeof(events))) > 0) {
		for (i = 0; i < len / sizeof(*events); i++) {
			if (!(events[i].flags & MMEXT_GMAP_EVENT_OVERFLOW) &&
			    (events[i].gaddr >= LENGTH ||
			     events[i].gaddr % page_size))
				fail("an event at %#llx",
				     (unsigned long long)events[i].gaddr);
			__atomic_add_fetch(&arena->events, 1, __ATOMIC_RELAXED);
		}
	}
}

static void other_space(struct mutator *m)
{
	unsigned int seg = rnd(&m->seed, NR_SEGS);
	int fd = gmap_open();
	char *window;

	if (fd < 0)
		return;
	window = gmap_map(fd, HOST_AT + seg * SEGMENT, 0, SEGMENT) ? MAP_FAILED :
		 window_map(fd, SEGMENT, 0);
	if (window != MAP_FAILED) {
		struct route r = {
			/* as if it were the parent's memory */
			.base = window - seg * SEGMENT,
			.check = CHECK_WINDOW,
		};
		int i;

		for (i = 0; i < 32; i++)
			check_page(&r, seg * SEG_PAGES +
				       rnd(&m->seed, SEG_PAGES));
		munmap(window, SEGMENT);
		did(SPACE);
	}
	close(fd);
}

static void other_notifier(struct mutator *m)
{
	struct mmext_test_notifier watch = {
		.start = to_u64(HOST_AT),
		.end = to_u64(HOST_AT) + SEGMENT,
	};
	int fd = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);

	if (fd < 0 || call(fd, MMEXT_TEST_NOTIFIER_WATCH, &watch)) {
		fail("no other notifier: %d", errno);
	} else {
		usleep(rnd(&m->seed, 1000));
		did(NOTIFIER);
	}
	close(fd);
}

static void read_and_write(struct mutator *m, struct part *p)
{
	int guest = guest_of(p->page), ret;
	char buffer[64];

	if (guest < 0)
		return;
	/* between the words */
	ret = pread(space_fd, buffer, sizeof(buffer),
		    (__u64)guest * page_size + 2000);
	if (ret == sizeof(buffer))
		ret = pwrite(space_fd, buffer, 8,
			     (__u64)guest * page_size + 3000 + 8 * m->nr);
	if (ret < 0 && errno != EFAULT && errno != EINTR)
		fail("read and write of page %u: %d", p->page, errno);
	did(READ_WRITE);
}

/* One of the calls that go through a guest range, where it may not be mapped */
static void call_range(struct mutator *m, struct part *p, enum kind kind)
{
	__u64 marks[8], gaddr;
	int guest = guest_of(p->page), ret = 0, fd;

	if (guest < 0)
		return;
	gaddr = (__u64)guest * page_size;
	switch (kind) {
	case FAULT:
		ret = gmap_fault(space_fd, gaddr, p->length,
				 rnd(&m->seed, 4) & 3);
		break;
	case NOTIFY:
		ret = gmap_notify(space_fd, gaddr, p->length,
				  rnd(&m->seed, 2));
		break;
	case PROTECT:
		ret = gmap_protect(space_fd, gaddr, p->length,
				   1U << rnd(&m->seed, 2));
		break;
	case DIRTY:
		gaddr &= ~(64 * (__u64)page_size - 1);
		ret = gmap_dirty(space_fd, gaddr, 64 * page_size,
				 rnd(&m->seed, 2) ? MMEXT_DIRTY_START :
				 MMEXT_DIRTY_GET | MMEXT_DIRTY_CLEAR, marks);
		break;
	case AGE:
		gaddr &= ~(64 * (__u64)page_size - 1);
		ret = gmap_age(space_fd, gaddr, 64 * page_size, marks);
		break;
	case EVENTS:
		fd = gmap_events(space_fd, 1 + rnd(&m->seed, 100));
		if (fd < 0) {
			ret = fd;
			break;
		}
		fcntl(fd, F_SETFL, O_NONBLOCK);
		gmap_notify(space_fd, gaddr, p->length, 0);
		usleep(rnd(&m->seed, 2000));
		look_at_events(fd);
		close(fd);
		break;
	default:
		return;
	}
	if (ret && ret != -EFAULT && ret != -EAGAIN && ret != -EINTR)
		fail("%s: %d", kind_names[kind], ret);
	did(kind);
}

static void mutate(struct mutator *m)
{
	/* more of what needs more to come to something */
	enum kind kind = DONTNEED + rnd(&m->seed, NOTIFIER + 2 - DONTNEED);
	unsigned int seg = rnd(&m->seed, NR_SEGS);
	int guest, ret, wanted = load(&arena->wanted);
	struct part p;

	if (wanted >= DONTNEED && wanted <= SPACE && rnd(&m->seed, 2))
		kind = wanted;
	if (!seg_trylock(seg))
		return;
	choose(m, seg, &p);
	switch (kind) {
	case DONTNEED ... DISCARD:
		take_bytes(m, &p, kind);
		break;
	case EXCHANGE:
		exchange(m, seg);
		break;
	case MPROTECT_READ:
	case MPROTECT_NONE:
		mprotect(p.addr, p.length,
			 kind == MPROTECT_READ ? PROT_READ : PROT_NONE);
		usleep(rnd(&m->seed, 300));
		mprotect(p.addr, p.length, PROT_READ | PROT_WRITE);
		store_page(&m->memory, p.page);
		compare_now(m, p.page, kind_names[kind]);
		did(kind);
		break;
	case MREMAP: {
		char *away = AWAY_AT + m->nr * LENGTH;

		/* those of a region never become one VMA again */
		if (seg >= NR_SEGS - 2)
			p.length = page_size;
		if (mremap(p.addr, p.length, p.length,
			   MREMAP_MAYMOVE | MREMAP_FIXED, away) != away) {
			/* more than one VMA */
			if (errno != EFAULT)
				fail("mremap: %d", errno);
			break;
		}
		usleep(rnd(&m->seed, 300));
		if (mremap(away, p.length, p.length,
			   MREMAP_MAYMOVE | MREMAP_FIXED, p.addr) != p.addr)
			fail("mremap back: %d", errno);
		store_page(&m->memory, p.page);
		compare_now(m, p.page, kind_names[kind]);
		did(kind);
		break;
	}
	case FORK:
		fork_and_look(m, &p);
		break;
	case PAGEOUT:
		madvise(p.addr, p.length, MADV_PAGEOUT);
		did(kind);
		break;
	case COLLAPSE:
	case SPLIT:
		/* what is there by chance is split, unless that is waited for */
		if (kind == COLLAPSE || wanted == SPLIT) {
			/* the first two segments of anonymous memory are a table */
			madvise(HOST_AT, 4 * SEGMENT, MADV_HUGEPAGE);
			madvise(HOST_AT + (seg & 2) * SEGMENT, 2 * SEGMENT,
				MADV_COLLAPSE);
		}
		if (kind == SPLIT)
			thp_split(HOST_AT, 4 * SEGMENT);
		did(kind);
		break;
	case MIGRATE:
		if (access("/sys/devices/system/node/node1", F_OK))
			file_write("/proc/sys/vm/compact_memory", "1");
		else
			migrate(p.addr, p.length, rnd(&m->seed, 2));
		/* each is a page of the machine that is lost to it */
		if (arena->done[MIGRATE] < 40 && seg < NR_SEGS - 2)
			madvise(p.addr, page_size, MADV_SOFT_OFFLINE);
		did(kind);
		break;
	case KSM_BREAK:
		/* the quiet pages are of the first segment, which is to stay */
		seg_unlock(seg);
		seg = 0;
		if (!seg_trylock(seg))
			return;
		if (loses_bytes(0))
			break_ksm(m);
		else
			did(kind);
		break;
	case WRITEBACK:
		sync_file_range(m->backing[DISK_SEG], 0, SEGMENT,
				SYNC_FILE_RANGE_WRITE);
		did(kind);
		break;
	case MLOCK:
		mlock(p.addr, p.length);
		usleep(rnd(&m->seed, 300));
		munlock(p.addr, p.length);
		did(kind);
		break;
	case REGION_UNMAP:
		seg_unlock(seg);
		seg = NR_SEGS - 1 - rnd(&m->seed, 2);
		if (!seg_trylock(seg))
			return;
		choose(m, seg, &p);
		region_unmap(m->backing[seg], (p.page % SEG_PAGES) * page_size,
			     p.length, 0);
		did(kind);
		break;
	case REGION_PROTECT:
		seg_unlock(seg);
		seg = NR_SEGS - 1 - rnd(&m->seed, 2);
		if (!seg_trylock(seg))
			return;
		choose(m, seg, &p);
		region_protect(m->backing[seg],
			       (p.page % SEG_PAGES) * page_size, p.length,
			       MMEXT_PROTECT_READ_ONLY);
		usleep(rnd(&m->seed, 300));
		region_protect(m->backing[seg],
			       (p.page % SEG_PAGES) * page_size, p.length, 0);
		did(kind);
		break;
	case MAP_AGAIN:
	case UNMAP_MAP:
		guest = guest_of(p.page);
		if (guest < 0)
			break;
		if (kind == UNMAP_MAP)
			gmap_unmap(space_fd, guest / SEG_PAGES * SEGMENT,
				   SEGMENT);
		ret = map_guest(guest / SEG_PAGES, seg);
		if (ret)
			fail("MAP: %d", ret);
		did(kind);
		break;
	case UNLINK:
		gmap_unlink(space_fd, to_u64(p.addr), rnd(&m->seed, 2));
		did(kind);
		break;
	case FAULT ... AGE:
		call_range(m, &p, kind);
		break;
	case READ_WRITE:
		read_and_write(m, &p);
		break;
	case WINDOW_DONTNEED:
		madvise(WINDOW_AT + rnd(&m->seed, LENGTH / page_size - 64) *
			page_size, 64 * page_size, MADV_DONTNEED);
		did(kind);
		break;
	case WINDOW_MPROTECT:
		mprotect(WINDOW_AT + p.page * page_size, p.length, PROT_READ);
		mprotect(WINDOW_AT + p.page * page_size, p.length,
			 PROT_READ | PROT_WRITE);
		did(kind);
		break;
	case WINDOW_MUNMAP:
		munmap(WINDOW_AT + p.page * page_size, p.length);
		if (mmap(WINDOW_AT + p.page * page_size, p.length,
			 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 space_fd, p.page * page_size) == MAP_FAILED)
			fail("mmap of a window: %d", errno);
		did(kind);
		break;
	case WINDOW_MREMAP: {
		char *away = AWAY_AT + (NR_MUTATORS + m->nr) * LENGTH;
		char *at = WINDOW_AT + p.page * page_size;

		if (mremap(at, p.length, p.length, MREMAP_MAYMOVE |
			   MREMAP_FIXED, away) != away)
			break;
		usleep(rnd(&m->seed, 300));
		if (mremap(away, p.length, p.length, MREMAP_MAYMOVE |
			   MREMAP_FIXED, at) != at)
			fail("mremap of a window: %d", errno);
		did(kind);
		break;
	}
	case NOTIFIER:
		other_notifier(m);
		break;
	case SPACE:
		other_space(m);
		break;
	default:
		break;
	}
	seg_unlock(seg);
}

static void *mutator_thread(void *arg)
{
	struct mutator *m = arg;

	while (!load(&arena->stop))
		mutate(m);
	return NULL;
}

/* A thread that checks and stores, by one way and another */
struct looker {
	struct route routes[2];
	int nr;
	__u32 seed;
};

static void look(struct looker *l)
{
	const struct route *r = &l->routes[rnd(&l->seed, l->nr)];
	unsigned int page = rnd(&l->seed, NR_SEGS * SEG_PAGES);

	if (rnd(&l->seed, 3))
		check_page(r, page);
	else
		store_page(r, page);
}

static void *looker_thread(void *arg)
{
	while (!load(&arena->stop))
		look(arg);
	return NULL;
}

/* The parent */

static int backing_of(unsigned int seg)
{
	char path[64];
	int fd;

	if (seg != DISK_SEG || !with_disk)
		return host_backing(kind_of(seg), SEGMENT);
	snprintf(path, sizeof(path), STORM_DIR "/%d", getpid());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	unlink(path);
	if (fd >= 0 && ftruncate(fd, SEGMENT))
		return -1;
	return fd;
}

static void parent_main(int sock, __u32 seed)
{
	static struct mutator mutators[NR_MUTATORS];
	static struct looker looker;
	int backing[NR_SEGS], i;
	unsigned int page;
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fault_catch();
	space_fd = gmap_open();
	if (space_fd < 0)
		_exit(2);
	for (i = 0; i < NR_SEGS; i++) {
		backing[i] = backing_of(i);
		if (host_map_at(kind_of(i), backing[i], HOST_AT + i * SEGMENT,
				SEGMENT, 0) == MAP_FAILED ||
		    map_guest(i, arena->seg_host[i]))
			_exit(3);
	}
	for (page = SEG_PAGES - QUIET; page < SEG_PAGES; page++)
		memset(HOST_AT + page * page_size, QUIET_WORD & 0xff, page_size);
	if (loses_bytes(0))
		madvise(HOST_AT, SEGMENT, MADV_MERGEABLE);
	if (mmap(WINDOW_AT, LENGTH, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, space_fd, 0) == MAP_FAILED ||
	    send_fd(sock, space_fd))
		_exit(4);

	looker.seed = seed ^ 0x9e3779b9;
	looker.nr = 2;
	looker.routes[0] = (struct route) {
		.base = HOST_AT,
		.writer = WRITER_PARENT,
		.check = CHECK_MEMORY,
		.store = STORE_MEMORY,
	};
	looker.routes[1] = (struct route) {
		.base = WINDOW_AT,
		.window = true,
		.writer = WRITER_WINDOW,
		.check = CHECK_WINDOW,
		.store = STORE_WINDOW,
	};
	if (pthread_create(&thread, NULL, looker_thread, &looker))
		_exit(5);
	for (i = 0; i < NR_MUTATORS; i++) {
		mutators[i].memory = looker.routes[0];
		mutators[i].memory.writer = WRITER_MUTATOR + i;
		mutators[i].window = looker.routes[1];
		mutators[i].seed = (seed + i * 0x85ebca6b) | 1;
		mutators[i].backing = backing;
		mutators[i].nr = i;
		if (pthread_create(&thread, NULL, mutator_thread, &mutators[i]))
			_exit(5);
	}
	store(&arena->ready, load(&arena->epoch));
	while (!load(&arena->stop)) {
		usleep(2000);
		if (load(&arena->exec)) {
			execl("/bin/true", "true", NULL);
			_exit(6);
		}
		store(&arena->retries, gmap_stat_of(space_fd, out_retries));
	}
	/* the threads see that it is over, and are not missed */
	usleep(100000);
	_exit(0);
}

/* A holder of the descriptor, with windows of its own */
static void holder_main(int nr, __u32 seed)
{
	char *window = WINDOW_AT + nr * 4 * LENGTH, *part;
	char *away = AWAY_AT + nr * 4 * LENGTH;
	int epoch = load(&arena->epoch);
	size_t length;
	struct looker l = {
		.nr = 1,
		.seed = seed | 1,
	};
	pid_t pid;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fault_catch();
	l.routes[0] = (struct route) {
		.base = window,
		.window = true,
		.writer = WRITER_HOLDER + nr,
		.check = CHECK_FAR,
		.store = STORE_FAR,
	};
	if (mmap(window, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 space_fd, 0) == MAP_FAILED)
		/* the parent may have gone already */
		_exit(errno == ESRCH ? 0 : 2);
	while (!load(&arena->stop) && load(&arena->epoch) == epoch) {
		for (i = 0; i < 200; i++)
			look(&l);
		length = 16 * page_size;
		part = window + rnd(&l.seed, LENGTH / page_size - 16) *
				page_size;
		switch (rnd(&l.seed, 8)) {
		case 0:
		case 1:
			madvise(part, length, MADV_DONTNEED);
			did(FAR_DONTNEED);
			break;
		case 2:
			munmap(part, length);
			if (mmap(part, length, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, space_fd,
				 part - window) == MAP_FAILED)
				_exit(errno == ESRCH ? 0 : 3);
			did(FAR_MUNMAP);
			break;
		case 3:
			/* in one VMA, which those of a window never become again */
			length = page_size;
			if (mremap(part, length, length, MREMAP_MAYMOVE |
				   MREMAP_FIXED, away) != away)
				break;
			if (mremap(away, length, length, MREMAP_MAYMOVE |
				   MREMAP_FIXED, part) != part)
				_exit(4);
			did(FAR_MREMAP);
			break;
		case 4:
			pid = fork();
			if (!pid)
				_exit(peek(part) == -SIGSEGV ? 0 : 7);
			if (pid > 0 && child_status(pid) == 7)
				fail("a child has the window");
			did(FAR_FORK);
			break;
		}
	}
	_exit(0);
}

/* The supervisor */

FIXTURE(storm)
{
	bool windows;
	__u32 seed;
	__u64 begin_us;
	pid_t parent;
	pid_t holders[NR_HOLDERS];
	unsigned long long merged;
	unsigned long long vmstat[8];
};

static const char *const vmstat_names[8] = {
	"pswpout", "pswpin", "pgmigrate_success", "thp_collapse_alloc",
	"thp_split_pmd", "thp_fault_alloc", "cow_ksm", "pgscan_direct",
};

/* How many of these have to move; the others depend on the kernel. */
#define VMSTAT_MUST	5

/* What moves them */
static const enum kind vmstat_kinds[VMSTAT_MUST] = {
	PAGEOUT, PAGEOUT, MIGRATE, COLLAPSE, SPLIT,
};

FIXTURE_SETUP(storm)
{
	int i;

	self->windows = have_windows();
	if (!self->windows)
		return;
	anonymous = have_anonymous();
	arena = shared_alloc(sizeof(*arena));
	ASSERT_NE(MAP_FAILED, arena);
	arena->wanted = NR_KINDS;
	self->seed = run_seed();
	printf("# seed %u\n", self->seed);
	fflush(stdout);
	ASSERT_TRUE(swap_on());
	with_disk = disk_mount(STORM_DIR, STORM_IMAGE);
	ASSERT_TRUE(with_disk);
	thp_allow();
	if (anonymous)
		ASSERT_TRUE(ksm_start());
	for (i = 0; i < 8; i++)
		self->vmstat[i] = vmstat(vmstat_names[i]);
	for (i = 0; i < NR_SEGS; i++)
		arena->seg_host[i] = (i * 3 + 1) % NR_SEGS;
}

FIXTURE_TEARDOWN(storm)
{
	if (!self->windows)
		return;
	ksm_stop();
	disk_umount(STORM_DIR, STORM_IMAGE);
	swap_off();
	munmap(arena, sizeof(*arena));
}

/* What nobody knows any more, now that the parent has gone */
static void forget_all(void)
{
	int i;

	memset(arena->active, 0, sizeof(arena->active));
	memset(arena->seg_lock, 0, sizeof(arena->seg_lock));
	for (i = 0; i < NR_SEGS; i++) {
		arena->seg_hold[i] = (arena->seg_hold[i] | 1) + 1;
		arena->seg_host[i] = (i * 3 + 1) % NR_SEGS;
	}
	for (i = 0; i < MAX_PAGES; i++)
		arena->hold[i] = (arena->hold[i] | 1) + 1;
}

static bool parent_start(FIXTURE_DATA(storm) *self, __u32 seed)
{
	int socks[2];

	store(&arena->exec, 0);
	if (space_fd >= 0)
		close(space_fd);
	space_fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks))
		return false;
	store(&arena->epoch, arena->epoch + 1);
	fflush(NULL);
	self->parent = fork();
	if (!self->parent) {
		close(socks[0]);
		parent_main(socks[1], seed);
	}
	close(socks[1]);
	space_fd = recv_fd(socks[0]);
	close(socks[0]);
	return space_fd >= 0;
}

static void holder_start(FIXTURE_DATA(storm) *self, int nr, __u32 seed)
{
	fflush(NULL);
	store(&arena->active[WRITER_HOLDER + nr], 0);
	self->holders[nr] = fork();
	if (!self->holders[nr])
		holder_main(nr, seed);
}

static int end_of(pid_t pid)
{
	int status = 0;

	if (pid > 0)
		waitpid(pid, &status, 0);
	return status;
}

static void kill_holder(FIXTURE_DATA(storm) *self, int nr)
{
	int status;

	kill(self->holders[nr], SIGKILL);
	status = end_of(self->holders[nr]);
	if (WIFEXITED(status) ? WEXITSTATUS(status) :
				WTERMSIG(status) != SIGKILL)
		fail("a holder ended with %#x", status);
}

static unsigned long long all_done(void)
{
	unsigned long long sum = 0;
	int i;

	for (i = 0; i < NR_KINDS; i++)
		sum += load(&arena->done[i]);
	return sum;
}

/* What has not happened yet, or NULL; and what does it, if that can be done */
static const char *left(FIXTURE_DATA(storm) *self, int *wanted)
{
	int i;

	for (i = 0; i < NR_KINDS; i++) {
		*wanted = i;
		if (!load(&arena->done[i]))
			return kind_names[i];
	}
	for (i = 0; anonymous && i < VMSTAT_MUST; i++) {
		*wanted = vmstat_kinds[i];
		if (vmstat(vmstat_names[i]) == self->vmstat[i])
			return vmstat_names[i];
	}
	*wanted = NR_KINDS;
	return !anonymous || self->merged ? NULL : "pages merged by KSM";
}

/* One end, and a beginning of the same */
static void end_something(FIXTURE_DATA(storm) *self, enum kind kind, __u32 *seed)
{
	int i, status, nr = rnd(seed, NR_HOLDERS);

	if (kind == KILL_HOLDER) {
		kill_holder(self, nr);
		holder_start(self, nr, next_random(seed));
		did(kind);
		return;
	}
	if (kind == EXEC)
		store(&arena->exec, 1);
	else
		kill(self->parent, SIGKILL);
	if (kind == KILL_BOTH)
		for (i = 0; i < NR_HOLDERS; i++)
			kill(self->holders[i], SIGKILL);
	status = end_of(self->parent);
	if (status != (kind == EXEC ? 0 : SIGKILL))
		fail("the parent ended with %#x", status);
	/* those that are left have a window onto nothing, for a while */
	usleep(rnd(seed, 5000));
	store(&arena->epoch, arena->epoch + 1);
	for (i = 0; i < NR_HOLDERS; i++) {
		status = end_of(self->holders[i]);
		if (status && status != SIGKILL)
			fail("a holder ended with %#x", status);
	}
	forget_all();
	if (!parent_start(self, next_random(seed))) {
		fail("no new parent: %d", errno);
		return;
	}
	for (i = 0; i < NR_HOLDERS; i++)
		holder_start(self, i, next_random(seed));
	did(kind);
}

static void tell(FIXTURE_DATA(storm) *self)
{
	int i;

	for (i = 0; i < NR_KINDS; i++)
		printf("# %s: %lu\n", kind_names[i], arena->done[i]);
	for (i = 0; i < 8; i++)
		printf("# %s: %llu\n", vmstat_names[i],
		       vmstat(vmstat_names[i]) - self->vmstat[i]);
	printf("# pages merged by KSM: %llu\n", self->merged);
	printf("# accesses that could not be: %lu\n", arena->accesses_failed);
	printf("# insertions given up, of the last parent: %llu\n",
	       arena->retries);
	printf("# events: %lu\n", arena->events);
	printf("# seed %u, %llu seconds\n", self->seed,
	       (now_us() - self->begin_us) / 1000000ULL);
	printf("# wrong bytes: %lu\n", arena->wrong);
	if (arena->failures)
		printf("# %d failures, the first: %s\n", arena->failures,
		       arena->message);
	fflush(stdout);
}

TEST_F_TIMEOUT(storm, window_and_parent_are_one_memory, FOREVER)
{
	__u64 now, moved_us = now_us(), next_us = now_us() + 1000000, end;
	unsigned long long sum = 0, at_end_of_last = 0;
	int i, status, kind, wanted = NR_KINDS;
	__u32 seed;

	if (!self->windows)
		SKIP(return, "no windows without a TLB backend");
	seed = self->seed;
	self->begin_us = now_us();
	end = self->begin_us + run_us(SECONDS, 1);
	ASSERT_TRUE(parent_start(self, next_random(&seed)));
	for (i = 0; i < NR_HOLDERS; i++)
		holder_start(self, i, next_random(&seed));

	while (!load(&arena->stop)) {
		usleep(10000);
		now = now_us();
		self->merged = number_of(KSM "pages_sharing") ?: self->merged;
		if (now > end) {
			if (now > end + MORE_SECONDS * 1000000ULL ||
			    !left(self, &wanted))
				break;
			store(&arena->wanted, wanted);
		}
		if (all_done() != sum) {
			sum = all_done();
			moved_us = now;
		} else if (now - moved_us > STUCK_SECONDS * 1000000ULL) {
			fail("nothing moves");
		}
		for (i = 0; i < NR_HOLDERS; i++) {
			/* nobody has killed it, nor the parent */
			if (waitpid(self->holders[i], &status, WNOHANG) ==
			    self->holders[i]) {
				fail("a holder ended with %#x", status);
				self->holders[i] = 0;
			}
		}
		/* they should have come to something */
		if (now < next_us || sum < at_end_of_last + 3000 ||
		    load(&arena->ready) != load(&arena->epoch))
			continue;
		kind = wanted >= KILL_PARENT && wanted <= EXEC ?
		       wanted : KILL_PARENT + (int)rnd(&seed, 4);
		end_something(self, kind, &seed);
		at_end_of_last = all_done();
		next_us = now_us() + 200000 + rnd(&seed, 800000);
	}
	store(&arena->stop, 1);
	status = end_of(self->parent);
	if (status)
		fail("the parent ended with %#x", status);
	for (i = 0; i < NR_HOLDERS; i++)
		end_of(self->holders[i]);
	tell(self);
	close(space_fd);
	ASSERT_EQ(0, arena->failures) TH_LOG("%s", arena->message);
	EXPECT_EQ(0, arena->wrong);
	EXPECT_EQ(NULL, left(self, &wanted))
		TH_LOG("nothing of: %s", left(self, &wanted));
}

TEST_HARNESS_MAIN
