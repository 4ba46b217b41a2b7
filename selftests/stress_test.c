// SPDX-License-Identifier: GPL-2.0
/*
 * Everything at once: threads of several processes, which are killed in the
 * middle of it and replaced, against a model of what each page must hold.
 *
 * The model, in memory that all processes share:
 *
 * - A page holds one stamp, in every cache line: which region and offset it was
 *   stored through, and a number that no other store has.  So a line that is
 *   anything but what it has to be says where it comes from.
 *
 * - Who changes what an offset shows, by a store, REMAP, FREE or PROTECT, holds
 *   the lock of its slab, says before what the offset shows now and will show
 *   then, and says after that it is done.  So readers need no lock: one that
 *   finds the same sequence number before and after its loads knows that they
 *   must have seen exactly this stamp, or, while it is being changed, one of two.
 *   What leaves contents as they are (ZAP, UNMAP, fork, mprotect, mremap, ...) is
 *   done by everybody at all times, and never asks.
 *
 * - Pages are aliased within their slab, so who holds its lock knows all offsets
 *   that a store is seen through.
 *
 * - A store that ended before a harvest began, and began after the harvest before
 *   had ended, is in what the harvest gives out.
 *
 * - A private copy stays what was stored to it until an UNMAP with EVEN_COWS of
 *   the slab begins, and is gone when one has ended.
 *
 * - What a process did that was killed with a lock held is found out by whoever
 *   gets the lock next: all of it, or nothing, or some lines of a store.
 */
#include "mmext_selftest.h"
#include "modules/mmext_test_notifier.h"

#include <stdarg.h>

#define REGION_PAGES	1024U
#define SLAB		8U
#define NR_SLABS	(REGION_PAGES / SLAB)
/* What a page table, or a huge entry, covers. */
#define BLOCK_SLABS	64U
#define LINES		64U
#define LINE_WORDS	8U

#define NR_PROCS	2
#define NR_THREADS	3
#define NR_WORKERS	(NR_PROCS * NR_THREADS + 1)
/* The one that starts, kills, and looks at what is left. */
#define SUPERVISOR	(NR_WORKERS - 1)

#define NR_MAPS		3
#define PRIVATE_PAGES	64U
#define OTHER_PAGES	16U

#define SECONDS		3
/*
 * Longer if there is a kind of operation left that nobody came to, or on a slow
 * or busy machine few of those that the rest is about.
 */
#define MORE_SECONDS	300
#define FEW_EXCHANGES	400
/* Nobody has done anything for so long. */
#define STUCK_SECONDS	120
/* vm/run has a limit of its own; this is no longer than that of a soak. */
#define FOREVER		(31 * 24 * 3600)

#define WORD(buf, line)	((buf)[(line) * LINE_WORDS])

enum operation {
	LOAD, WATCH, REFAULT, PREAD, MEM_READ, ACCESS_READ, VM_READ,
	STORE, PWRITE, MEM_WRITE, ACCESS_WRITE, VM_WRITE, REFUSED,
	EXCHANGE, EXCHANGE_FAR, ALIAS, FREE, FREE_COWS, BLOCK, COWS, PROTECT,
	UNPROTECT,
	ZAP, SPAN, UNMAP, POPULATE, POPULATE_WRITE, LOOKUP,
	MPROTECT, MREMAP, RENEW, PIERCE, DONTNEED, MLOCK, FORK, PASS,
	START, STOP, PEEK, HARVEST, RUNS,
	PRIVATE_LOAD, PRIVATE_STORE, PRIVATE_DROP, OTHER,
	KILL, RECOVER, MIRROR,
	NR_KINDS
};

/* What an offset shows: a stamp, 0 for zeroes; frames: which offsets share it. */
struct shown {
	__u64 stamp;
	__u64 frame;
};

/* Of seq, the lowest two bits: */
#define PHASE		3U
#define PHASE_SETUP	1U	/* the rest is being written */
#define PHASE_CHANGE	2U	/* old or new; 0: new */

/* Of ro, the lowest two bits; above them a count. */
#define RO_STATE	3U
#define RO_NO		0U
#define RO_YES		1U
#define RO_EITHER	2U

/**
 * struct offset - a page of the region
 * @seq: see above
 * @torn: it is changed byte by byte
 * @old: what it showed
 * @new: what it shows
 * @begun: changes through this offset
 * @logged: the last one of them that has ended and has to be in the dirty log
 * @ro: is it PROTECTed
 */
struct offset {
	__u32 seq;
	__u32 torn;
	struct shown old;
	struct shown new;
	__u32 begun;
	__u32 logged;
	__u32 ro;
};

#define DEAD	(-1)

/* Locks are 0, the holder's number plus one, or DEAD. */
struct slab {
	int lock;
	__u32 cows_begun;
	__u32 cows_ended;
};

/* The dirty log: by offset, how many changes were begun at the last harvest. */
struct log {
	int lock;
	bool tracked[REGION_PAGES];
	__u32 known[REGION_PAGES];
};

struct slot {
	int kind;
	__u64 done;
};

static struct arena {
	int stop;
	__u32 hot;
	__u64 number;
	__u64 wrong;
	__u64 checked;
	__u64 unsure;
	int failures;
	char text[8][320];
	__u64 count[NR_KINDS];
	struct slot slot[NR_WORKERS];
	struct log log;
	struct slab slab[NR_SLABS];
	struct offset offset[REGION_PAGES];
} *arena;

/**
 * struct map - a mapping of the process, which its threads share
 * @addr: where it is; it moves between two places, which are its own
 * @place: these
 * @first: index of its first page
 * @pages: its length
 * @busy: somebody changes the mapping
 * @split: it is more than one VMA
 */
struct map {
	char *addr;
	char *place[2];
	__u32 first;
	__u32 pages;
	int busy;
	bool split;
};

static struct map maps[NR_MAPS];
static int region_fd, mem_fd, bag[2];
static __u32 setup_flags;

struct worker {
	int id;
	__u32 rnd;
	pthread_t thread;
	/* a private mapping, the stamps of its copies, and cows_begun then */
	char *private;
	__u32 private_first;
	__u64 copy[PRIVATE_PAGES];
	__u32 copy_cows[PRIVATE_PAGES];
	char *other;
	/* offsets that are being changed */
	__u32 nr_changes;
	__u16 change[REGION_PAGES];
	__u64 buf[LINES * LINE_WORDS];
};

static bool has_pages(void)
{
	return region_backing == MMEXT_BACKING_PAGE;
}

static __u32 rnd(struct worker *w, __u32 below)
{
	return next_random(&w->rnd) % below;
}

static void count(enum operation kind)
{
	__atomic_fetch_add(&arena->count[kind], 1, __ATOMIC_RELAXED);
}

static bool stopped(void)
{
	return load(&arena->stop);
}

/* The first few are told; everybody stops. */
static void fail(struct worker *w, const char *format, ...)
{
	int n = __atomic_fetch_add(&arena->failures, 1, __ATOMIC_RELAXED);
	va_list args;
	int len;

	if (n < (int)ARRAY_SIZE(arena->text)) {
		len = snprintf(arena->text[n], sizeof(arena->text[n]),
			       "worker %d: ", w->id);
		va_start(args, format);
		vsnprintf(arena->text[n] + len, sizeof(arena->text[n]) - len,
			  format, args);
		va_end(args);
	}
	store(&arena->stop, 1);
}

/* Stamps */

#define REGION_MAIN	1ULL
#define REGION_OTHER	2ULL
#define PRIVATE_COPY	3ULL

static __u64 new_number(void)
{
	return __atomic_add_fetch(&arena->number, 1, __ATOMIC_RELAXED);
}

static __u64 new_stamp(__u64 region, __u32 o)
{
	return region << 60 | (__u64)o << 44 | (new_number() & ((1ULL << 44) - 1));
}

static const char *whose(__u64 stamp)
{
	static const char *const names[] = { "zeroes or none", "the region",
					     "another region", "a copy" };

	return stamp >> 60 < ARRAY_SIZE(names) ? names[stamp >> 60] : "nobody";
}

/* What a reader may see */

struct want {
	__u32 seq;
	__u32 torn;
	__u64 old;
	__u64 new;
};

static void want_begin(__u32 o, struct want *want)
{
	struct offset *at = &arena->offset[o];

	want->seq = load(&at->seq);
	want->torn = __atomic_load_n(&at->torn, __ATOMIC_RELAXED);
	want->old = __atomic_load_n(&at->old.stamp, __ATOMIC_RELAXED);
	want->new = __atomic_load_n(&at->new.stamp, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Did it stay so?  Then it is known what had to be there. */
static bool want_end(__u32 o, const struct want *want)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((want->seq & PHASE) == PHASE_SETUP ||
	    __atomic_load_n(&arena->offset[o].seq, __ATOMIC_RELAXED) !=
	    want->seq)
		return false;
	return true;
}

/* Is each byte of it that of the one or that of the other? */
static bool bytes_of(__u64 val, __u64 old, __u64 new)
{
	int i;

	for (i = 0; i < 64; i += 8)
		if ((val ^ old) >> i & 0xff && (val ^ new) >> i & 0xff)
			return false;
	return true;
}

static bool wanted(const struct want *want, __u64 val, bool bytewise)
{
	if (val == want->new)
		return true;
	if ((want->seq & PHASE) != PHASE_CHANGE)
		return false;
	return val == want->old || ((bytewise || want->torn) &&
				    bytes_of(val, want->old, want->new));
}

static void wrong(struct worker *w, const char *how, __u32 o, __u32 line,
		  __u64 val, const struct want *want)
{
	__atomic_fetch_add(&arena->wrong, sizeof(val), __ATOMIC_RELAXED);
	fail(w, "%s: offset %u, line %u holds %#llx (%s, offset %u), not %#llx%s%#llx (seq %u)",
	     how, o, line, (unsigned long long)val, whose(val),
	     (__u32)(val >> 44 & 0xffff), (unsigned long long)want->new,
	     (want->seq & PHASE) == PHASE_CHANGE ? " nor " : ", before that ",
	     (unsigned long long)want->old, want->seq);
}

static void check(struct worker *w, const char *how, __u32 o,
		  const struct want *want, __u32 first, __u32 nr, bool bytewise)
{
	__u32 i;

	__atomic_fetch_add(&arena->checked, nr, __ATOMIC_RELAXED);
	for (i = first; i < first + nr; i++)
		if (!wanted(want, WORD(w->buf, i), bytewise)) {
			wrong(w, how, o, i, WORD(w->buf, i), want);
			return;
		}
}

/* Loads and stores that may end in a signal: 0, or its number, negative. */

static __noinline int load_lines(const char *from, __u64 *to, __u32 first,
				 __u32 nr)
{
	int sig = sigsetjmp(fault_env, 0);
	__u32 i;

	if (sig)
		return -sig;
	fault_armed = 1;
	for (i = first; i < first + nr; i++)
		WORD(to, i) = WORD((const volatile __u64 *)from, i);
	fault_armed = 0;
	return 0;
}

static __noinline int store_lines(char *to, __u64 stamp)
{
	int sig = sigsetjmp(fault_env, 0);
	__u32 i;

	if (sig)
		return -sig;
	fault_armed = 1;
	for (i = 0; i < LINES; i++)
		WORD((volatile __u64 *)to, i) = stamp;
	fault_armed = 0;
	return 0;
}

/*
 * The mapping was moved, or is protected, by another thread of the process: once
 * more, but not for ever.
 */
static bool again(struct worker *w, const char *how, __u32 o, int err,
		  unsigned int *tries)
{
	if (load(&arena->failures))
		return false;
	if (err == -SIGBUS || ++*tries > 300000) {
		fail(w, "%s: offset %u: %d after %u tries", how, o, err, *tries);
		return false;
	}
	if (*tries < 10)
		sched_yield();
	else
		usleep(100);
	return true;
}

/* Which offset, which mapping of it */

static __u32 pick(struct worker *w)
{
	if (rnd(w, 4))
		return load(&arena->hot) * SLAB + rnd(w, SLAB);
	return rnd(w, REGION_PAGES);
}

static __noinline struct map *pick_map(struct worker *w, __u32 o)
{
	struct map *m = &maps[rnd(w, NR_MAPS)];

	/* and one more often, so that threads meet there */
	return o >= m->first && o < m->first + m->pages && rnd(w, 2) ? m :
								      &maps[0];
}

static char *map_at(const struct map *m, __u32 o)
{
	return load(&m->addr) + (o - m->first) * page_size;
}

/* Some pages of a mapping, near what the others are at more often than not. */
static void pick_range(struct worker *w, const struct map *m, __u32 *first,
		       __u32 *nr)
{
	__u32 o = pick(w), end = m->first + m->pages;

	if (o < m->first || o >= end)
		o = m->first + rnd(w, m->pages);
	*nr = rnd(w, 8) ? 1 + rnd(w, 2 * SLAB) : 1 + rnd(w, m->pages);
	*first = o;
	if (*nr > end - o)
		*nr = end - o;
}

/* Reading */

static const char *const kind_names[];

static bool do_load(struct worker *w, __u32 o)
{
	struct map *m = pick_map(w, o);
	unsigned int tries = 0;
	struct want want;
	int err;

	do {
		want_begin(o, &want);
		err = load_lines(map_at(m, o), w->buf, 0, LINES);
		if (!err) {
			if (want_end(o, &want))
				check(w, "load", o, &want, 0, LINES, false);
			else
				__atomic_fetch_add(&arena->unsure, 1,
						   __ATOMIC_RELAXED);
			return true;
		}
	} while (again(w, "load", o, err, &tries));
	return false;
}

/*
 * Lines of one page, again and again, which a CPU has in its TLB for as long as
 * it is left there: up to one that is wrong.  Returns 0 or a signal, negative.
 */
static __noinline int watch_lines(struct map *m, __u32 o, __u32 *n, __u32 end,
				  __u64 *val, struct want *want)
{
	int sig = sigsetjmp(fault_env, 0);

	if (sig)
		return -sig;
	fault_armed = 1;
	for (; *n < end; ++*n) {
		want_begin(o, want);
		*val = WORD((const volatile __u64 *)map_at(m, o), *n % LINES);
		if (want_end(o, want) && !wanted(want, *val, false))
			break;
	}
	fault_armed = 0;
	return 0;
}

static bool watch(struct worker *w, struct map *m, __u32 o, __u32 nr)
{
	__u32 begin = rnd(w, LINES), end = begin + nr, n = begin;
	unsigned int tries = 0;
	struct want want;
	__u64 val;
	int err;

	do {
		err = watch_lines(m, o, &n, end, &val, &want);
		if (!err && n < end) {
			wrong(w, "watch", o, n % LINES, val, &want);
			return false;
		}
		if (!err) {
			__atomic_fetch_add(&arena->checked, nr,
					   __ATOMIC_RELAXED);
			return true;
		}
	} while (again(w, "watch", o, err, &tries));
	return false;
}

#define WATCH_LINES	4000

static bool do_watch(struct worker *w, __u32 o)
{
	return watch(w, pick_map(w, o), o, WATCH_LINES);
}

/* Faults on what is being changed, one after another. */
static bool do_refault(struct worker *w, __u32 o)
{
	struct map *m = pick_map(w, o);
	__u32 first = o / SLAB * SLAB, i;
	int err;

	if (first < m->first || first + SLAB > m->first + m->pages)
		m = &maps[0];
	for (i = 0; i < 30; i++) {
		err = region_zap(region_fd, map_at(m, first), SLAB * page_size);
		/* it was moved meanwhile */
		if (err && err != -EFAULT) {
			fail(w, "zap: %d", err);
			return false;
		}
		if (!watch(w, m, first + rnd(w, SLAB), 4))
			return false;
	}
	return true;
}

static long vm_copy(char *addr, __u64 *buf, bool write)
{
	struct iovec local = { .iov_base = buf, .iov_len = page_size };
	struct iovec remote = { .iov_base = addr, .iov_len = page_size };

	return write ? process_vm_writev(getpid(), &local, 1, &remote, 1, 0) :
		       process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
}

/* By a call: bytes, or -1 if it has to be tried again. */
static long copy_page(struct worker *w, enum operation kind, char *addr, __u32 o)
{
	switch (kind) {
	case PREAD:
		return pread(region_fd, w->buf, page_size, o * page_size);
	case PWRITE:
		return pwrite(region_fd, w->buf, page_size, o * page_size);
	case MEM_READ:
		return pread(mem_fd, w->buf, page_size, (uintptr_t)addr);
	case MEM_WRITE:
		return pwrite(mem_fd, w->buf, page_size, (uintptr_t)addr);
	case ACCESS_READ:
		return region_access(region_fd, addr, w->buf, page_size, 0);
	case ACCESS_WRITE:
		return region_access(region_fd, addr, w->buf, page_size,
				     MMEXT_ACCESS_WRITE);
	case VM_READ:
		return vm_copy(addr, w->buf, false);
	case VM_WRITE:
		return vm_copy(addr, w->buf, true);
	default:
		return -1;
	}
}

static bool do_read(struct worker *w, enum operation kind, __u32 o)
{
	struct map *m = pick_map(w, o);
	unsigned int tries = 0;
	struct want want;
	long ret;

	do {
		want_begin(o, &want);
		ret = copy_page(w, kind, map_at(m, o), o);
		if (ret == (long)page_size) {
			if (want_end(o, &want))
				check(w, kind_names[kind], o, &want, 0, LINES,
				      true);
			else
				__atomic_fetch_add(&arena->unsure, 1,
						   __ATOMIC_RELAXED);
			return true;
		}
		if (kind == PREAD) {
			fail(w, "pread of offset %u: %ld, errno %d", o, ret,
			     errno);
			return false;
		}
	} while (again(w, kind_names[kind], o, ret, &tries));
	return false;
}

/* By any of them; nobody else changes it, so it is known what must be there. */
static bool verify(struct worker *w, __u32 o)
{
	switch (rnd(w, 6)) {
	case 0:
		return do_read(w, PREAD, o);
	case 1:
		return do_read(w, has_pages() ? VM_READ : ACCESS_READ, o);
	default:
		return do_load(w, o);
	}
}

/* Changing, with the slab's lock held */

/* There may be a change of what @o shows from now on. */
static void touch(__u32 o)
{
	struct offset *at = &arena->offset[o];

	store(&at->begun, at->begun + 1);
}

/* It has been, and has to be in the dirty log. */
static void logged(__u32 o)
{
	struct offset *at = &arena->offset[o];

	store(&at->logged, at->begun);
}

static void set_u64(__u64 *at, __u64 val)
{
	__atomic_store_n(at, val, __ATOMIC_RELEASE);
}

/*
 * From here on it may show either.  Whoever dies in between leaves in one of the
 * two what it shows.
 */
static void change(struct worker *w, __u32 o, struct shown new, bool torn)
{
	struct offset *at = &arena->offset[o];
	__u32 seq = at->seq;

	store(&at->seq, seq + PHASE_SETUP);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	set_u64(&at->old.stamp, at->new.stamp);
	set_u64(&at->old.frame, at->new.frame);
	set_u64(&at->new.stamp, new.stamp);
	set_u64(&at->new.frame, new.frame);
	store(&at->torn, torn);
	store(&at->seq, seq + PHASE_CHANGE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	w->change[w->nr_changes++] = o;
}

static void set_stable(__u32 o)
{
	struct offset *at = &arena->offset[o];

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	store(&at->seq, (at->seq & ~PHASE) + PHASE + 1);
}

/* They show what is new. */
static void changed(struct worker *w)
{
	while (w->nr_changes)
		set_stable(w->change[--w->nr_changes]);
}

static void changed_and_logged(struct worker *w)
{
	__u32 i;

	for (i = 0; i < w->nr_changes; i++)
		logged(w->change[i]);
	changed(w);
}

static __u32 ro_state(__u32 o)
{
	return load(&arena->offset[o].ro) & RO_STATE;
}

static void set_ro(__u32 first, __u32 nr, __u32 state)
{
	__u32 o;

	for (o = first; o < first + nr; o++)
		store(&arena->offset[o].ro,
		      (arena->offset[o].ro & ~RO_STATE) + RO_STATE + 1 + state);
}

static bool call_failed(struct worker *w, const char *what, __u32 o, __u32 nr,
			int err)
{
	fail(w, "%s of %u pages at %u: %d", what, nr, o, err);
	return false;
}

/* Where it is PROTECTed, and must not be. */
static bool do_refused(struct worker *w, __u32 o)
{
	struct map *m = pick_map(w, o);
	ssize_t ret;

	if (!store_lines(map_at(m, o), new_stamp(REGION_MAIN, o))) {
		fail(w, "store to offset %u, which is read-only", o);
		return false;
	}
	ret = pwrite(region_fd, &w->rnd, sizeof(w->rnd), o * page_size);
	if (ret != -1 || errno != EPERM) {
		fail(w, "write to offset %u, which is read-only: %zd", o, ret);
		return false;
	}
	count(REFUSED);
	return verify(w, o);
}

static bool store_loop(struct worker *w, enum operation kind, __u32 o, __u64 stamp)
{
	struct map *m = pick_map(w, o);
	unsigned int tries = 0;
	long ret;
	__u32 i;

	for (i = 0; i < LINES; i++)
		WORD(w->buf, i) = stamp;
	do {
		if (kind == STORE) {
			ret = store_lines(map_at(m, o), stamp);
			if (!ret)
				return true;
			continue;
		}
		ret = copy_page(w, kind, map_at(m, o), o);
		if (ret == (long)page_size)
			return true;
		if (kind == PWRITE)
			return call_failed(w, "pwrite", o, 1, -errno);
	} while (again(w, kind_names[kind], o, ret, &tries));
	return false;
}

/* What is written through a pin may be in no harvest. */
static bool by_pin(enum operation kind)
{
	return has_pages() && kind != STORE && kind != PWRITE;
}

static bool store_page(struct worker *w, enum operation kind, __u32 o)
{
	struct offset *at = &arena->offset[o];
	__u32 first = o / SLAB * SLAB, i;
	struct shown new = {
		.stamp = new_stamp(REGION_MAIN, o),
		.frame = at->new.frame,
	};

	touch(o);
	for (i = first; new.frame && i < first + SLAB; i++)
		if (arena->offset[i].new.frame == new.frame)
			change(w, i, new, kind != STORE);
	if (!new.frame) {
		new.frame = new_number();
		change(w, o, new, kind != STORE);
	}
	if (!store_loop(w, kind, o, new.stamp))
		return false;
	if (!by_pin(kind))
		logged(o);
	changed(w);
	return verify(w, first + rnd(w, SLAB));
}

static bool do_store(struct worker *w, enum operation kind, __u32 o)
{
	if (ro_state(o) == RO_YES)
		return do_refused(w, o);
	return store_page(w, kind, o);
}

static void show(struct worker *w, __u32 o, struct shown new)
{
	if (arena->offset[o].new.stamp == new.stamp)
		return;
	touch(o);
	change(w, o, new, false);
}

static bool exchange(struct worker *w, __u32 a, __u32 b, __u32 nr)
{
	__u32 i;
	int err;

	for (i = 0; i < nr; i++) {
		struct shown x = arena->offset[a + i].new;
		struct shown y = arena->offset[b + i].new;

		show(w, a + i, y);
		show(w, b + i, x);
	}
	err = region_exchange(region_fd, a * page_size, b * page_size,
			      nr * page_size);
	if (err)
		return call_failed(w, "exchange", a, nr, err);
	changed_and_logged(w);
	return verify(w, a + rnd(w, nr)) && verify(w, b + rnd(w, nr));
}

/* Two ranges of a slab that do not overlap. */
static __u32 pick_two(struct worker *w, __u32 slab, __u32 *a, __u32 *b)
{
	__u32 nr = 1 + rnd(w, SLAB / 2), x, y;

	x = rnd(w, SLAB - 2 * nr + 1);
	y = x + nr + rnd(w, SLAB - 2 * nr - x + 1);
	*a = slab * SLAB + (rnd(w, 2) ? x : y);
	*b = slab * SLAB + x + slab * SLAB + y - *a;
	return nr;
}

static bool do_alias(struct worker *w, __u32 slab)
{
	__u32 from, to, nr = pick_two(w, slab, &from, &to), i;
	int err;

	/* whether a hole that was read has a page is not known */
	for (i = from; i < from + nr; i++) {
		if (arena->offset[i].new.frame)
			continue;
		if (ro_state(i) == RO_YES)
			return do_refused(w, i);
		if (!store_page(w, STORE, i))
			return false;
	}
	for (i = 0; i < nr; i++)
		show(w, to + i, arena->offset[from + i].new);
	err = region_alias(region_fd, from * page_size, to * page_size,
			   nr * page_size);
	if (err)
		return call_failed(w, "alias", from, nr, err);
	changed_and_logged(w);
	return verify(w, from + rnd(w, nr)) && verify(w, to + rnd(w, nr));
}

static bool free_pages(struct worker *w, __u32 first, __u32 nr, __u32 flags)
{
	const struct shown hole = { 0 };
	__u32 o;
	int err;

	for (o = first; o < first + nr; o++)
		show(w, o, hole);
	err = region_unmap(region_fd, first * page_size, nr * page_size,
			   MMEXT_UNMAP_FREE | flags);
	if (err)
		return call_failed(w, "free", first, nr, err);
	changed_and_logged(w);
	return verify(w, first + rnd(w, nr));
}

/* All of a slab, with the copies; with FREE or without. */
static bool drop_copies(struct worker *w, __u32 slab, bool free)
{
	struct slab *s = &arena->slab[slab];
	int err;

	store(&s->cows_begun, s->cows_begun + 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (free) {
		if (!free_pages(w, slab * SLAB, SLAB, MMEXT_UNMAP_EVEN_COWS))
			return false;
	} else {
		err = region_unmap(region_fd, slab * SLAB * page_size,
				   SLAB * page_size, MMEXT_UNMAP_EVEN_COWS);
		if (err)
			return call_failed(w, "unmap of copies", slab * SLAB,
					   SLAB, err);
	}
	store(&s->cows_ended, s->cows_begun);
	return true;
}

static bool protect(struct worker *w, __u32 first, __u32 nr, bool on)
{
	int err;

	set_ro(first, nr, RO_EITHER);
	err = region_protect(region_fd, first * page_size, nr * page_size,
			     on ? MMEXT_PROTECT_READ_ONLY : 0);
	if (err)
		return call_failed(w, "protect", first, nr, err);
	set_ro(first, nr, on ? RO_YES : RO_NO);
	return on ? do_refused(w, first + rnd(w, nr)) : true;
}

/* The locks */

/* One that was being changed when its process was killed. */
static bool recover_offset(struct worker *w, __u32 o)
{
	struct offset *at = &arena->offset[o];
	__u32 line, new = 0, old = 0;
	__u64 val;

	if (pread(region_fd, w->buf, page_size, o * page_size) !=
	    (ssize_t)page_size)
		return call_failed(w, "pread", o, 1, -errno);
	for (line = 0; line < LINES; line++) {
		val = WORD(w->buf, line);
		new += val == at->new.stamp;
		old += val == at->old.stamp;
		if (val == at->new.stamp || val == at->old.stamp ||
		    (at->torn && bytes_of(val, at->old.stamp, at->new.stamp)))
			continue;
		wrong(w, "after a kill", o, line, val, &(struct want) {
			.seq = at->seq, .old = at->old.stamp,
			.new = at->new.stamp });
		return false;
	}
	if (new != LINES && old == LINES) {
		store(&at->seq, (at->seq & ~PHASE) + PHASE_SETUP);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		at->new = at->old;
	} else if (new != LINES) {
		/* in the middle of a store */
		touch(o);
		if (!store_loop(w, STORE, o, at->new.stamp))
			return false;
		logged(o);
	}
	set_stable(o);
	return true;
}

static bool recover(struct worker *w, __u32 slab)
{
	struct slab *s = &arena->slab[slab];
	__u32 o;

	for (o = slab * SLAB; o < (slab + 1) * SLAB; o++) {
		if (ro_state(o) == RO_EITHER && !protect(w, o, 1, false))
			return false;
		if (arena->offset[o].seq & PHASE && !recover_offset(w, o))
			return false;
	}
	if (s->cows_begun != s->cows_ended && !drop_copies(w, slab, false))
		return false;
	count(RECOVER);
	return true;
}

static bool try_lock(struct worker *w, int *lock, bool *dead)
{
	int val = load(lock);

	if (val > 0 || !__atomic_compare_exchange_n(lock, &val, w->id + 1, false,
						    __ATOMIC_SEQ_CST,
						    __ATOMIC_RELAXED))
		return false;
	*dead = val == DEAD;
	return true;
}

static bool lock_slab(struct worker *w, __u32 slab)
{
	bool dead;

	if (!try_lock(w, &arena->slab[slab].lock, &dead))
		return false;
	return !dead || recover(w, slab);
}

static void unlock_slabs(__u32 first, __u32 nr)
{
	__u32 s;

	/* what went wrong under a lock is nobody else's to see */
	for (s = first; !load(&arena->failures) && s < first + nr; s++)
		store(&arena->slab[s].lock, 0);
}

static bool lock_slabs(struct worker *w, __u32 first, __u32 nr)
{
	unsigned int tries = 0;
	__u32 s;

	for (s = first; s < first + nr; s++) {
		while (!lock_slab(w, s)) {
			if (++tries > 2 * nr || stopped()) {
				unlock_slabs(first, s - first);
				return false;
			}
			usleep(50);
		}
	}
	return true;
}

static bool change_slab(struct worker *w, enum operation kind, __u32 slab)
{
	__u32 first = slab * SLAB, o = first + rnd(w, SLAB), a, b, nr;

	switch (kind) {
	case EXCHANGE:
		nr = pick_two(w, slab, &a, &b);
		return exchange(w, a, b, nr);
	case ALIAS:
		return do_alias(w, slab);
	case FREE:
		return free_pages(w, o, 1 + rnd(w, first + SLAB - o), 0);
	case FREE_COWS:
	case COWS:
		return drop_copies(w, slab, kind == FREE_COWS);
	case PROTECT:
		return protect(w, o, 1 + rnd(w, first + SLAB - o), true);
	case UNPROTECT:
		return protect(w, first, SLAB, false);
	default:
		return do_store(w, kind, o);
	}
}

static bool do_log(struct worker *w, enum operation kind, __u32 o);

/* What needs the lock of one slab, and more of that as long as it is held. */
static bool in_slab(struct worker *w, enum operation kind)
{
	static const enum operation more[] = {
		STORE, EXCHANGE, STORE, FREE, STORE, HARVEST, STORE, EXCHANGE,
		STORE, FREE, STORE, HARVEST, STORE, ALIAS, UNPROTECT,
	};
	__u32 slab = pick(w) / SLAB, n = rnd(w, 12);
	bool done;

	if (!lock_slab(w, slab))
		return false;
	done = change_slab(w, kind, slab);
	while (done && n--) {
		kind = more[rnd(w, ARRAY_SIZE(more))];
		if (kind == HARVEST && !do_log(w, kind, slab * SLAB))
			continue;
		if (kind != HARVEST)
			done = change_slab(w, kind, slab);
		if (done)
			count(kind);
	}
	unlock_slabs(slab, 1);
	return done;
}

/* Whole slabs, so that what is aliased goes together. */
static bool exchange_far(struct worker *w)
{
	__u32 nr = 1 + rnd(w, 4), a = rnd(w, NR_SLABS - nr + 1);
	__u32 b = pick(w) / SLAB, x;
	bool done = false;

	if (b > NR_SLABS - nr)
		b = NR_SLABS - nr;
	if (b > a) {
		x = a;
		a = b;
		b = x;
	}
	if (a - b < nr || !lock_slabs(w, b, nr))
		return false;
	if (lock_slabs(w, a, nr)) {
		done = exchange(w, a * SLAB, b * SLAB, nr * SLAB);
		unlock_slabs(a, nr);
	}
	unlock_slabs(b, nr);
	return done;
}

/* A whole page table of them, or both. */
static bool do_block(struct worker *w)
{
	__u32 what = rnd(w, 3), nr = what ? BLOCK_SLABS : 2 * BLOCK_SLABS;
	__u32 first = what ? rnd(w, 2) * BLOCK_SLABS : 0, o;
	bool done = true;

	if (!lock_slabs(w, first, nr))
		return false;
	switch (what) {
	case 0:
		done = exchange(w, 0, BLOCK_SLABS * SLAB, BLOCK_SLABS * SLAB);
		break;
	case 1:
		done = free_pages(w, first * SLAB, nr * SLAB, 0);
		break;
	default:
		for (o = first * SLAB; done && o < (first + nr) * SLAB; o += SLAB)
			done = do_store(w, STORE, o + rnd(w, SLAB));
		break;
	}
	unlock_slabs(first, nr);
	return done;
}

/* What changes no content: on everything, at any time */

/* The address may be another mapping's by the time of the call, or nobody's. */
static bool moved_or(struct worker *w, const char *what, int ret)
{
	if (ret >= 0)
		return true;
	if (ret != -EFAULT)
		fail(w, "%s: %d", what, ret);
	return false;
}

static bool do_entries(struct worker *w, enum operation kind)
{
	struct map *m = &maps[rnd(w, NR_MAPS)];
	__u32 first, nr, flags;
	char *at;

	pick_range(w, m, &first, &nr);
	at = map_at(m, first);
	switch (kind) {
	case ZAP:
		return moved_or(w, "zap", region_zap(region_fd, at,
						     nr * page_size));
	case SPAN:
		return moved_or(w, "zap of a span",
				region_zap_span(region_fd, at, nr * page_size));
	case POPULATE:
	case POPULATE_WRITE:
		flags = kind == POPULATE ? 0 : MMEXT_POPULATE_WRITE;
		return moved_or(w, "populate",
				region_populate(region_fd, at, nr * page_size,
						flags));
	default:
		return moved_or(w, "unmap", region_unmap(region_fd,
				first * page_size, nr * page_size, 0));
	}
}

static bool do_lookup(struct worker *w)
{
	struct map *m = &maps[rnd(w, NR_MAPS)];
	struct mmext_entry entries[2 * SLAB];
	__u32 first, nr, i, ro[2 * SLAB];

	pick_range(w, m, &first, &nr);
	if (nr > 2 * SLAB)
		nr = 2 * SLAB;
	for (i = 0; i < nr; i++)
		ro[i] = load(&arena->offset[first + i].ro);
	memset(entries, 0, sizeof(entries));
	if (!moved_or(w, "lookup", region_lookup(region_fd, map_at(m, first),
						 nr * page_size, entries)))
		return false;
	for (i = 0; i < nr; i++) {
		if ((ro[i] & RO_STATE) == RO_YES &&
		    ro[i] == load(&arena->offset[first + i].ro) &&
		    entries[i].flags & MMEXT_ENTRY_WRITABLE) {
			fail(w, "offset %u is read-only, and has an entry that is not",
			     first + i);
			return false;
		}
	}
	return true;
}

/* Map it anew, by @fd. */
static bool map_again(struct worker *w, struct map *m, __u32 first, __u32 nr,
		      int fd)
{
	char *at = map_at(m, first);
	int flags = MAP_SHARED | MAP_FIXED;

	if (!rnd(w, 4))
		flags |= MAP_POPULATE;
	if (!rnd(w, 8))
		flags |= MAP_LOCKED;
	if (munmap(at, nr * page_size) ||
	    mmap(at, nr * page_size, PROT_READ | PROT_WRITE, flags, fd,
		 first * page_size) != at)
		return call_failed(w, "mmap", first, nr, -errno);
	m->split = nr != m->pages;
	return true;
}

static bool do_mprotect(struct worker *w, struct map *m)
{
	static const int prots[] = { PROT_READ, PROT_NONE };
	__u32 first = m->first, nr = m->pages;
	char *at;

	if (rnd(w, 3)) {
		pick_range(w, m, &first, &nr);
		m->split = true;
	}
	at = map_at(m, first);
	if (mprotect(at, nr * page_size, prots[rnd(w, 2)]))
		return call_failed(w, "mprotect", first, nr, -errno);
	spin(rnd(w, 1000));
	if (mprotect(at, nr * page_size, PROT_READ | PROT_WRITE))
		return call_failed(w, "mprotect", first, nr, -errno);
	return true;
}

static bool do_mremap(struct worker *w, struct map *m)
{
	char *to = m->place[m->addr == m->place[0]];

	/* only newer kernels move several VMAs at once */
	if (m->split && !map_again(w, m, m->first, m->pages, region_fd))
		return false;
	if (mremap(m->addr, m->pages * page_size, m->pages * page_size,
		   MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		return call_failed(w, "mremap", m->first, m->pages, -errno);
	store(&m->addr, to);
	return true;
}

static bool do_dontneed(struct worker *w, struct map *m)
{
	__u32 first, nr;
	int err;

	pick_range(w, m, &first, &nr);
	/* all of a table: it may be freed */
	if (m == &maps[1] && rnd(w, 2)) {
		nr = BLOCK_SLABS * SLAB;
		first = rnd(w, 2) * nr;
	}
	err = madvise(map_at(m, first), nr * page_size, MADV_DONTNEED) ?
	      -errno : 0;
	/* page frames have it refused */
	if (err == (has_pages() ? 0 : -EINVAL))
		return true;
	return call_failed(w, "MADV_DONTNEED", first, nr, err);
}

static bool do_mlock(struct worker *w, struct map *m)
{
	__u32 first, nr;
	char *at;

	pick_range(w, m, &first, &nr);
	at = map_at(m, first);
	if (mlock(at, nr * page_size) || munlock(at, nr * page_size))
		return call_failed(w, "mlock", first, nr, -errno);
	/* each end of the range is one of a VMA now */
	m->split = true;
	return true;
}

/* What the mapping must stay where it is for. */
static bool do_mapping(struct worker *w, enum operation kind)
{
	struct map *m = &maps[rnd(w, NR_MAPS)];
	bool done = false;
	__u32 first, nr;
	int idle = 0;

	if (!__atomic_compare_exchange_n(&m->busy, &idle, 1, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return false;
	switch (kind) {
	case MPROTECT:
		done = do_mprotect(w, m);
		break;
	case MREMAP:
		done = do_mremap(w, m);
		break;
	case RENEW:
		done = map_again(w, m, m->first, m->pages, region_fd);
		break;
	case PIERCE:
		pick_range(w, m, &first, &nr);
		done = map_again(w, m, first, nr, region_fd);
		break;
	case DONTNEED:
		done = do_dontneed(w, m);
		break;
	default:
		done = do_mlock(w, m);
		break;
	}
	store(&m->busy, 0);
	return done;
}

/* A child looks at its copies of the entries. */
static bool do_fork(struct worker *w)
{
	struct want want;
	struct map *m;
	int status, i;
	pid_t pid;
	__u32 o;

	pid = fork();
	if (pid < 0)
		return call_failed(w, "fork", 0, 0, -errno);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0; i < 24 && !stopped(); i++) {
			o = pick(w);
			m = pick_map(w, o);
			if (i == 12)
				region_zap(region_fd, maps[0].addr,
					   maps[0].pages * page_size);
			/* a mapping that was being changed stays as it was */
			want_begin(o, &want);
			if (!load_lines(map_at(m, o), w->buf, 0, LINES) &&
			    want_end(o, &want))
				check(w, "load in a child", o, &want, 0, LINES,
				      false);
		}
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status) {
		fail(w, "a child ended with %#x", status);
		return false;
	}
	return true;
}

/* One descriptor goes, another one comes. */
static bool do_pass(struct worker *w)
{
	struct map *m = &maps[rnd(w, NR_MAPS)];
	bool done = true;
	int fd, idle = 0;

	send_fd(bag[0], region_fd);
	fd = recv_fd(bag[1]);
	if (fd < 0)
		return false;
	if (__atomic_compare_exchange_n(&m->busy, &idle, 1, false,
					__ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {
		done = map_again(w, m, m->first, m->pages, fd);
		store(&m->busy, 0);
	}
	close(fd);
	return done;
}

/* The dirty log */

#define MARK_WORDS	(REGION_PAGES / 64)

static bool marked(const __u64 *marks, __u32 o)
{
	return marks[o / 64] >> o % 64 & 1;
}

static int get_bitmap(__u32 first, __u32 nr, __u32 flags, __u64 *marks)
{
	return dirty_call(region_fd, MMEXT_DIRTY_GET | flags, first * page_size,
			  nr * page_size, marks + first / 64, 0);
}

static int get_runs(__u32 first, __u32 nr, __u32 flags, __u64 *marks)
{
	struct mmext_run runs[8];
	struct mmext_dirty arg = {
		.size = sizeof(arg),
		.flags = MMEXT_DIRTY_GET | MMEXT_DIRTY_RUNS | flags,
		.offset = first * page_size,
		.length = nr * page_size,
	};
	__u32 i, o;
	int err;

	do {
		arg.marks = (uintptr_t)runs;
		arg.nr = ARRAY_SIZE(runs);
		err = call(region_fd, MMEXT_DIRTY, &arg);
		for (i = 0; i < ARRAY_SIZE(runs) - arg.nr; i++)
			for (o = runs[i].offset / page_size;
			     o < (runs[i].offset + runs[i].length) / page_size;
			     o++)
				marks[o / 64] |= 1ULL << o % 64;
	} while (!err && arg.length);
	return err;
}

/* With the log's lock held. */
static bool harvest(struct worker *w, __u32 first, __u32 nr, bool runs,
		    __u32 flags)
{
	static __thread __u32 before[REGION_PAGES];
	struct log *log = &arena->log;
	__u64 marks[MARK_WORDS] = { 0 };
	__u32 o;
	int err;

	for (o = first; o < first + nr; o++)
		before[o] = load(&arena->offset[o].logged);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	err = runs ? get_runs(first, nr, flags, marks) :
		     get_bitmap(first, nr, flags, marks);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (err)
		return call_failed(w, "harvest", first, nr, err);
	for (o = first; o < first + nr; o++) {
		if (marked(marks, o)) {
			if (!log->tracked[o]) {
				fail(w, "offset %u is marked, and not tracked",
				     o);
				return false;
			}
			if (flags & MMEXT_DIRTY_CLEAR)
				log->known[o] = load(&arena->offset[o].begun);
		} else if (log->tracked[o] &&
			   (__s32)(before[o] - log->known[o]) > 0) {
			__atomic_fetch_add(&arena->wrong, 1, __ATOMIC_RELAXED);
			fail(w, "offset %u was changed (%u, known %u), and is not marked",
			     o, before[o], log->known[o]);
			return false;
		}
	}
	return true;
}

static bool track(struct worker *w, __u32 first, __u32 nr, bool on)
{
	struct log *log = &arena->log;
	__u64 offset = first * page_size, length = nr * page_size;
	__u32 o;
	int err;

	err = on ? dirty_start(region_fd, offset, length) :
		   dirty_stop(region_fd, offset, length);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (err)
		return call_failed(w, "start or stop", first, nr, err);
	for (o = first; o < first + nr; o++) {
		if (on && !log->tracked[o])
			log->known[o] = load(&arena->offset[o].begun);
		log->tracked[o] = on;
	}
	return true;
}

static bool do_log(struct worker *w, enum operation kind, __u32 o)
{
	__u32 first = 0, nr = REGION_PAGES;
	bool done = false, dead;

	if (!try_lock(w, &arena->log.lock, &dead))
		return false;
	/* nobody knows what it did */
	if (dead && (!track(w, 0, REGION_PAGES, false) ||
		     !track(w, 0, REGION_PAGES, true)))
		return false;
	if (rnd(w, 4)) {
		first = o / 64 * 64;
		nr = 64;
		if (!rnd(w, 4))
			nr += 64 * rnd(w, MARK_WORDS - first / 64);
	}
	switch (kind) {
	case START:
		done = track(w, first, nr, true);
		break;
	case STOP:
		done = track(w, first, 64, false) && track(w, first, nr, true);
		break;
	case PEEK:
		done = harvest(w, first, nr, rnd(w, 2), 0);
		break;
	case HARVEST:
		done = harvest(w, first, nr, false, MMEXT_DIRTY_CLEAR);
		break;
	default:
		first += rnd(w, 64);
		nr -= rnd(w, 64);
		if (nr > REGION_PAGES - first)
			nr = REGION_PAGES - first;
		done = harvest(w, first, nr, true, MMEXT_DIRTY_CLEAR);
		break;
	}
	if (done)
		store(&arena->log.lock, 0);
	return done;
}

/* Private mappings, a thread's own */

static char *private_at(struct worker *w, __u32 page)
{
	return w->private + page * page_size;
}

static struct slab *private_slab(struct worker *w, __u32 page)
{
	return &arena->slab[(w->private_first + page) / SLAB];
}

/* By both of the calls that do it. */
static bool private_drop(struct worker *w, __u32 page, __u32 nr)
{
	char *at = private_at(w, page);
	int err;

	if (rnd(w, 2))
		err = region_zap(region_fd, at, nr * page_size);
	else
		err = madvise(at, nr * page_size, MADV_DONTNEED) ? -errno : 0;
	if (err)
		return call_failed(w, "drop of copies", page, nr, err);
	while (nr--)
		w->copy[page++] = 0;
	return true;
}

static bool private_store(struct worker *w, __u32 page)
{
	struct slab *s = private_slab(w, page);
	__u64 stamp = new_stamp(PRIVATE_COPY, w->private_first + page);
	__u32 ended = load(&s->cows_ended), begun = load(&s->cows_begun);
	int err;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	err = store_lines(private_at(w, page), stamp);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (err)
		return call_failed(w, "private store", page, 1, err);
	/* copies were dropped meanwhile: who knows which of the lines */
	if (ended != begun || load(&s->cows_begun) != begun)
		return private_drop(w, page, 1);
	w->copy[page] = stamp;
	w->copy_cows[page] = begun;
	return true;
}

static bool private_load(struct worker *w, __u32 page)
{
	__u32 o = w->private_first + page, line, own = 0, ended, begun;
	struct slab *s = private_slab(w, page);
	struct want want;
	bool sure;
	int err;

	ended = load(&s->cows_ended);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	want_begin(o, &want);
	err = load_lines(private_at(w, page), w->buf, 0, LINES);
	sure = want_end(o, &want);
	begun = load(&s->cows_begun);
	if (err)
		return call_failed(w, "private load", page, 1, err);
	for (line = 0; line < LINES; line++)
		own += w->copy[page] && WORD(w->buf, line) == w->copy[page];

	if (own == LINES) {
		if ((__s32)(ended - w->copy_cows[page]) <= 0)
			return true;
		fail(w, "the copy of offset %u is there, and was dropped", o);
		return false;
	}
	if (w->copy[page] && begun == w->copy_cows[page]) {
		__atomic_fetch_add(&arena->wrong, 8, __ATOMIC_RELAXED);
		fail(w, "the copy of offset %u is gone: %#llx", o,
		     (unsigned long long)w->buf[0]);
		return false;
	}
	if (!own && sure)
		check(w, "private load", o, &want, 0, LINES, false);
	return !w->copy[page] || private_drop(w, page, 1);
}

static bool do_private(struct worker *w, enum operation kind)
{
	__u32 page = rnd(w, PRIVATE_PAGES);

	switch (kind) {
	case PRIVATE_LOAD:
		return private_load(w, page);
	case PRIVATE_STORE:
		return private_store(w, page);
	default:
		return private_drop(w, page,
				    1 + rnd(w, PRIVATE_PAGES - page));
	}
}

/* A short-lived region, which gets the pages that the other one frees. */

static int setup(int fd)
{
	struct mmext_setup arg = {
		.size = sizeof(arg),
		.flags = setup_flags,
		.backing = region_backing,
	};

	return call(fd, MMEXT_SETUP, &arg);
}

static bool other_is(struct worker *w, __u32 first, __u32 nr, __u64 stamp)
{
	__u32 i, line;

	for (i = first; i < first + nr; i++) {
		if (load_lines(w->other + i * page_size, w->buf, 0, LINES)) {
			fail(w, "a region of one's own: page %u faults", i);
			return false;
		}
		for (line = 0; line < LINES; line++) {
			struct want want = { .new = stamp ? stamp + i : 0 };

			if (wanted(&want, WORD(w->buf, line), false))
				continue;
			wrong(w, "a region of one's own", i, line,
			      WORD(w->buf, line), &want);
			return false;
		}
	}
	return true;
}

static bool do_other(struct worker *w)
{
	int fd = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC), round;
	__u64 stamp = new_stamp(REGION_OTHER, 0);
	__u32 i, half = OTHER_PAGES / 2;
	bool done = true;
	int err;

	__atomic_fetch_add(&arena->number, OTHER_PAGES, __ATOMIC_RELAXED);
	if (fd < 0 || setup(fd) ||
	    mmap(w->other, OTHER_PAGES * page_size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0) != w->other)
		return call_failed(w, "region", 0, OTHER_PAGES, -errno);
	for (i = 0; i < OTHER_PAGES; i++)
		store_lines(w->other + i * page_size, stamp + i);
	for (round = 0; done && round < 3; round++) {
		sched_yield();
		done = other_is(w, 0, OTHER_PAGES, stamp);
	}
	err = region_free(fd, 0, half * page_size);
	done = done && !err && other_is(w, 0, half, 0) &&
	       other_is(w, half, half, stamp);
	if (rnd(w, 2)) {
		err = err ? err : region_revoke(fd);
		if (done && load_lines(w->other, w->buf, 0, 1) != -SIGBUS)
			err = -EEXIST;
	}
	if (err)
		return call_failed(w, "free or revoke", 0, half, err);
	munmap(w->other, OTHER_PAGES * page_size);
	close(fd);
	return done;
}

/* Everything */

static bool step(struct worker *w);

/* With somebody who mirrors the page table, for a while. */
static bool do_mirror(struct worker *w)
{
	struct mmext_test_notifier arg = {
		.start = (uintptr_t)maps[0].place[0],
		.end = (uintptr_t)maps[0].place[0] + REGION_PAGES * page_size,
	};
	int watch = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC), i;

	if (watch < 0 || call(watch, MMEXT_TEST_NOTIFIER_WATCH, &arg))
		return call_failed(w, "notifier", 0, 0, -errno);
	for (i = 0; i < 5 && !stopped(); i++)
		step(w);
	close(watch);
	return true;
}

#define PAGES_ONLY	true

static const struct {
	__u32 weight;
	bool pages_only;
} kinds[NR_KINDS] = {
	[LOAD] = { 60, false },
	[WATCH] = { 160, false },
	[REFAULT] = { 80, false },
	[PREAD] = { 15, false },
	[MEM_READ] = { 15, false },
	[ACCESS_READ] = { 15, false },
	[VM_READ] = { 15, PAGES_ONLY },
	[STORE] = { 120, false },
	[PWRITE] = { 20, false },
	[MEM_WRITE] = { 15, false },
	[ACCESS_WRITE] = { 15, false },
	[VM_WRITE] = { 15, PAGES_ONLY },
	[EXCHANGE] = { 80, false },
	[EXCHANGE_FAR] = { 20, false },
	[ALIAS] = { 30, false },
	[FREE] = { 50, false },
	[FREE_COWS] = { 10, PAGES_ONLY },
	[BLOCK] = { 3, false },
	[COWS] = { 10, PAGES_ONLY },
	[PROTECT] = { 20, false },
	[UNPROTECT] = { 30, false },
	[ZAP] = { 30, false },
	[SPAN] = { 10, false },
	[UNMAP] = { 30, false },
	[POPULATE] = { 15, false },
	[POPULATE_WRITE] = { 15, false },
	[LOOKUP] = { 10, false },
	[MPROTECT] = { 15, false },
	[MREMAP] = { 8, false },
	[RENEW] = { 5, false },
	[PIERCE] = { 5, false },
	[DONTNEED] = { 15, false },
	[MLOCK] = { 5, false },
	[FORK] = { 3, false },
	[PASS] = { 5, false },
	[START] = { 5, false },
	[STOP] = { 5, false },
	[PEEK] = { 15, false },
	[HARVEST] = { 50, false },
	[RUNS] = { 20, false },
	[PRIVATE_LOAD] = { 40, PAGES_ONLY },
	[PRIVATE_STORE] = { 40, PAGES_ONLY },
	[PRIVATE_DROP] = { 5, PAGES_ONLY },
	[OTHER] = { 10, false },
	[MIRROR] = { 2, false },
};

static const char *const kind_names[] = {
	[LOAD] = "load", [WATCH] = "watch", [REFAULT] = "refault",
	[PREAD] = "pread",
	[MEM_READ] = "mem_read", [ACCESS_READ] = "access_read",
	[VM_READ] = "vm_readv", [STORE] = "store", [PWRITE] = "pwrite",
	[MEM_WRITE] = "mem_write", [ACCESS_WRITE] = "access_write",
	[VM_WRITE] = "vm_writev", [REFUSED] = "refused",
	[EXCHANGE] = "exchange", [EXCHANGE_FAR] = "exchange_far",
	[ALIAS] = "alias", [FREE] = "free", [FREE_COWS] = "free_cows",
	[BLOCK] = "block", [COWS] = "cows", [PROTECT] = "protect",
	[UNPROTECT] = "unprotect", [ZAP] = "zap", [SPAN] = "span",
	[UNMAP] = "unmap", [POPULATE] = "populate",
	[POPULATE_WRITE] = "populate_write", [LOOKUP] = "lookup",
	[MPROTECT] = "mprotect", [MREMAP] = "mremap", [RENEW] = "mmap",
	[PIERCE] = "munmap", [DONTNEED] = "dontneed", [MLOCK] = "mlock",
	[FORK] = "fork", [PASS] = "pass", [START] = "start", [STOP] = "stop",
	[PEEK] = "peek", [HARVEST] = "harvest", [RUNS] = "runs",
	[PRIVATE_LOAD] = "private_load", [PRIVATE_STORE] = "private_store",
	[PRIVATE_DROP] = "private_drop", [OTHER] = "other", [KILL] = "kill",
	[RECOVER] = "recover", [MIRROR] = "mirror",
};

static bool wanted_kind(enum operation kind)
{
	return has_pages() || !kinds[kind].pages_only;
}

/* One that nobody came to yet, or -1. */
static int kind_left(void)
{
	int kind;

	for (kind = 0; kind < NR_KINDS; kind++)
		if (wanted_kind(kind) && !load(&arena->count[kind]))
			return kind;
	return -1;
}

static bool enough(void)
{
	return kind_left() < 0 &&
	       load(&arena->count[EXCHANGE]) >= FEW_EXCHANGES;
}

static enum operation pick_kind(struct worker *w)
{
	static __u32 total;
	__u32 sum = load(&total), n;
	int kind = rnd(w, 8) ? -1 : kind_left();

	if (kind >= 0 && kinds[kind].weight)
		return kind;
	/* by whoever comes first, and maybe by several: it is the same */
	if (!sum) {
		for (kind = 0; kind < NR_KINDS; kind++)
			sum += wanted_kind(kind) ? kinds[kind].weight : 0;
		store(&total, sum);
	}
	n = rnd(w, sum);
	for (kind = 0; ; kind++) {
		sum = wanted_kind(kind) ? kinds[kind].weight : 0;
		if (n < sum)
			return kind;
		n -= sum;
	}
}

static bool do_kind(struct worker *w, enum operation kind)
{
	switch (kind) {
	case LOAD:
		return do_load(w, pick(w));
	case WATCH:
		return do_watch(w, pick(w));
	case REFAULT:
		return do_refault(w, pick(w));
	case PREAD:
	case MEM_READ:
	case ACCESS_READ:
	case VM_READ:
		return do_read(w, kind, pick(w));
	case EXCHANGE_FAR:
		return exchange_far(w);
	case BLOCK:
		return do_block(w);
	case ZAP:
	case SPAN:
	case UNMAP:
	case POPULATE:
	case POPULATE_WRITE:
		return do_entries(w, kind);
	case LOOKUP:
		return do_lookup(w);
	case MPROTECT:
	case MREMAP:
	case RENEW:
	case PIERCE:
	case DONTNEED:
	case MLOCK:
		return do_mapping(w, kind);
	case FORK:
		return do_fork(w);
	case PASS:
		return do_pass(w);
	case START:
	case STOP:
	case PEEK:
	case HARVEST:
	case RUNS:
		return do_log(w, kind, pick(w));
	case PRIVATE_LOAD:
	case PRIVATE_STORE:
	case PRIVATE_DROP:
		return do_private(w, kind);
	case OTHER:
		return do_other(w);
	case MIRROR:
		return do_mirror(w);
	default:
		return in_slab(w, kind);
	}
}

static bool step(struct worker *w)
{
	struct slot *slot = &arena->slot[w->id];
	enum operation kind = pick_kind(w);
	bool done;

	store(&slot->kind, kind);
	done = do_kind(w, kind);
	if (done)
		count(kind);
	__atomic_fetch_add(&slot->done, 1, __ATOMIC_RELAXED);
	return done;
}

/* Processes */

static struct worker workers[NR_THREADS];

/* Addresses that nothing else is mapped at. */
static char *reserve(size_t length)
{
	char *at = mmap(NULL, length + TABLE, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	return (char *)(((uintptr_t)at + TABLE - 1) & ~(TABLE - 1));
}

/*
 * One mapping of all of it that is not aligned to page tables, one that is, and
 * one of a part.
 */
static bool make_maps(void)
{
	int i, place;

	for (i = 0; i < NR_MAPS; i++) {
		struct map *m = &maps[i];

		memset(m, 0, sizeof(*m));
		m->first = i == 2 ? 100 : 0;
		m->pages = i == 2 ? 700 : REGION_PAGES;
		for (place = 0; place < 2; place++) {
			m->place[place] = reserve(3 * TABLE);
			if (!m->place[place])
				return false;
			m->place[place] += i == 1 ? 0 : (3 + i) * page_size;
		}
		m->addr = mmap(m->place[0], m->pages * page_size,
			       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			       region_fd, m->first * page_size);
		if (m->addr != m->place[0])
			return false;
	}
	mem_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	return mem_fd >= 0;
}

static void worker_init(struct worker *w, int id, __u32 seed)
{
	memset(w, 0, sizeof(*w));
	w->id = id;
	w->rnd = seed ? seed : 1;
	next_random(&w->rnd);
	w->other = reserve(OTHER_PAGES * page_size);
	w->private = reserve(PRIVATE_PAGES * page_size);
	if (!w->other || !w->private) {
		fail(w, "no addresses: %d", errno);
		return;
	}
	w->private_first = rnd(w, REGION_PAGES - PRIVATE_PAGES);
	if (has_pages() &&
	    mmap(w->private, PRIVATE_PAGES * page_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED, region_fd,
		 w->private_first * page_size) != w->private)
		fail(w, "no private mapping: %d", errno);
}

static void *work(void *arg)
{
	while (!stopped())
		step(arg);
	return NULL;
}

static void process_main(int proc, __u32 seed)
{
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* it gets one from whoever has one to give */
	close(region_fd);
	while ((region_fd = recv_fd(bag[1])) < 0 && !stopped())
		usleep(100);
	if (!make_maps())
		fail(&workers[0], "no mappings: %d", errno);
	for (i = 0; i < NR_THREADS; i++)
		worker_init(&workers[i], proc * NR_THREADS + i,
			    seed + i * 0x9e3779b9);
	for (i = 1; i < NR_THREADS; i++)
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	work(&workers[0]);
	for (i = 1; i < NR_THREADS; i++)
		pthread_join(workers[i].thread, NULL);
	_exit(0);
}

struct proc {
	pid_t pid;
	__u64 done;
};

static __u64 proc_done(int proc)
{
	__u64 done = 0;
	int i;

	for (i = 0; i < NR_THREADS; i++)
		done += load(&arena->slot[proc * NR_THREADS + i].done);
	return done;
}

static bool proc_start(struct proc *p, int proc, __u32 seed)
{
	send_fd(bag[0], region_fd);
	p->done = proc_done(proc);
	p->pid = fork();
	if (!p->pid)
		process_main(proc, seed);
	return p->pid > 0;
}

/* What it held is for the next to look at. */
static void locks_of(int proc)
{
	int s, i;

	for (i = 1; i <= NR_THREADS; i++) {
		int id = proc * NR_THREADS + i;

		for (s = 0; s < (int)NR_SLABS; s++)
			if (load(&arena->slab[s].lock) == id)
				store(&arena->slab[s].lock, DEAD);
		if (load(&arena->log.lock) == id)
			store(&arena->log.lock, DEAD);
	}
}

static bool proc_kill(struct worker *w, struct proc *p, int proc)
{
	int status;

	kill(p->pid, SIGKILL);
	if (waitpid(p->pid, &status, 0) != p->pid)
		return false;
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail(w, "a process ended with %#x", status);
	locks_of(proc);
	count(KILL);
	return true;
}

static __u64 all_done(void)
{
	__u64 done = 0;
	int i;

	for (i = 0; i < NR_PROCS; i++)
		done += proc_done(i);
	return done;
}

static void tell(const char *name, __u32 seed, __u64 us)
{
	int i, kind;

	printf("# %s: seed %#x (MMEXT_SEED), %llu ms, %llu loads checked, %llu pages not sure\n#",
	       name, seed, (unsigned long long)us / 1000,
	       (unsigned long long)arena->checked,
	       (unsigned long long)arena->unsure);
	for (kind = 0; kind < NR_KINDS; kind++)
		if (wanted_kind(kind))
			printf(" %s %llu", kind_names[kind],
			       (unsigned long long)arena->count[kind]);
	printf("\n");
	for (i = 0; i < arena->failures && i < (int)ARRAY_SIZE(arena->text); i++)
		printf("# %s\n", arena->text[i]);
	printf("# wrong bytes: %llu\n", (unsigned long long)arena->wrong);
	fflush(stdout);
}

FIXTURE(stress)
{
	struct worker w;
	struct proc proc[NR_PROCS];
	struct mmext_info before;
	__u32 seed;
	__u64 begin_us;
	bool delays;
};

FIXTURE_VARIANT(stress)
{
	const char *name;
	__u32 backing;
	__u32 flags;
};

FIXTURE_VARIANT_ADD(stress, frames)
{
	.name = "frames",
	.backing = MMEXT_BACKING_PFN,
};

FIXTURE_VARIANT_ADD(stress, pages)
{
	.name = "pages",
	.backing = MMEXT_BACKING_PAGE,
};

FIXTURE_VARIANT_ADD(stress, huge)
{
	.name = "huge",
	.backing = MMEXT_BACKING_PFN,
	.flags = MMEXT_SETUP_HUGE,
};

#define NR_VARIANTS	3

FIXTURE_SETUP(stress)
{
	region_backing = variant->backing;
	setup_flags = variant->flags;
	arena = shared_alloc(sizeof(*arena));
	ASSERT_NE(MAP_FAILED, arena);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, bag));
	region_fd = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_GE(region_fd, 0);
	ASSERT_EQ(0, region_info(region_fd, &self->before));
	ASSERT_EQ(0, setup(region_fd));
	self->seed = run_seed();
	self->delays = delay_set(LOOKUP_DELAY, 0);
	fault_catch();
	ASSERT_TRUE(make_maps());
	worker_init(&self->w, SUPERVISOR, self->seed);
	ASSERT_TRUE(track(&self->w, 0, REGION_PAGES, true));
	self->begin_us = now_us();
}

FIXTURE_TEARDOWN(stress)
{
	int i;

	for (i = 0; i < NR_PROCS; i++)
		if (self->proc[i].pid > 0)
			kill(self->proc[i].pid, SIGKILL);
	delay_set(LOOKUP_DELAY, 0);
	delay_set(FLUSH_DELAY, 0);
	close(region_fd);
	close(bag[0]);
	close(bag[1]);
}

/* Kill and start, and turn to another slab, until the time is over. */
static void supervise(FIXTURE_DATA(stress) *self, __u64 us)
{
	__u64 end = self->begin_us + us, now;
	__u64 kill_us = now_us() + 100000, moved_us = now_us(), done = 0;
	__u32 serial = NR_PROCS;
	int i, status;

	while (!stopped()) {
		usleep(5000);
		now = now_us();
		if (!rnd(&self->w, 4))
			store(&arena->hot, rnd(&self->w, NR_SLABS));
		if (now > end + (enough() ? 0 : MORE_SECONDS * 1000000ULL))
			break;
		if (all_done() != done) {
			done = all_done();
			moved_us = now;
		}
		if (now - moved_us > STUCK_SECONDS * 1000000ULL) {
			for (i = 0; i < NR_PROCS * NR_THREADS; i++)
				fail(&self->w, "stuck: %d in %s", i,
				     kind_names[arena->slot[i].kind]);
			break;
		}
		i = rnd(&self->w, NR_PROCS);
		if (waitpid(self->proc[i].pid, &status, WNOHANG)) {
			if (!stopped())
				fail(&self->w, "a process ended with %#x",
				     status);
			self->proc[i].pid = 0;
			break;
		}
		/* it should have come to something */
		if (now < kill_us || proc_done(i) < self->proc[i].done + 40)
			continue;
		if (!proc_kill(&self->w, &self->proc[i], i) ||
		    !proc_start(&self->proc[i], i,
				self->seed + ++serial * 0x85ebca6b))
			fail(&self->w, "no new process: %d", errno);
		kill_us = now_us() + 50000 + rnd(&self->w, 100000);
		if (self->delays) {
			delay_set(LOOKUP_DELAY, rnd(&self->w, 3) * 200);
			delay_set(FLUSH_DELAY, rnd(&self->w, 2) * 300);
		}
	}
	store(&arena->stop, 1);
}

/* They have all seen that it is over; or are made to. */
static void end_all(FIXTURE_DATA(stress) *self)
{
	__u64 end = now_us() + STUCK_SECONDS * 1000000ULL;
	int i, status;

	for (i = 0; i < NR_PROCS; i++) {
		pid_t pid = self->proc[i].pid;

		while (pid > 0 && !waitpid(pid, &status, WNOHANG)) {
			if (now_us() > end) {
				fail(&self->w, "process %d does not end: %s, %s",
				     i, kind_names[arena->slot[i *
				     NR_THREADS].kind],
				     kind_names[arena->slot[i * NR_THREADS +
				     1].kind]);
				kill(pid, SIGKILL);
				end = now_us() + 1000000;
			}
			usleep(1000);
		}
		if (pid > 0 && status)
			fail(&self->w, "a process ended with %#x", status);
		self->proc[i].pid = 0;
		locks_of(i);
	}
}

/* Nobody else is there: every page is what it must be, and none is lost. */
static void look_at_all(FIXTURE_DATA(stress) *self)
{
	struct worker *w = &self->w;
	__u32 o;

	if (!lock_slabs(w, 0, NR_SLABS)) {
		fail(w, "locks that nobody holds are held");
		return;
	}
	for (o = 0; o < REGION_PAGES; o++)
		if (!do_load(w, o) || !do_read(w, PREAD, o))
			return;
	if (load(&arena->log.lock) != DEAD &&
	    !harvest(w, 0, REGION_PAGES, false, MMEXT_DIRTY_CLEAR))
		return;
	if (!protect(w, 0, REGION_PAGES, false) ||
	    !free_pages(w, 0, REGION_PAGES, MMEXT_UNMAP_EVEN_COWS) ||
	    !track(w, 0, REGION_PAGES, false))
		return;
	/* what was freed was looked at, which gave it a page */
	if (region_free(region_fd, 0, REGION_PAGES * page_size))
		fail(w, "the region cannot be freed");
}

TEST_F_TIMEOUT(stress, every_page_is_what_it_must_be, FOREVER)
{
	struct mmext_info after;
	int i, kind;

	for (i = 0; i < NR_PROCS; i++)
		ASSERT_TRUE(proc_start(&self->proc[i], i,
				       self->seed + (i + 1) * 0x85ebca6b));
	supervise(self, run_us(SECONDS, NR_VARIANTS));
	end_all(self);
	if (!arena->failures)
		look_at_all(self);
	tell(variant->name, self->seed, now_us() - self->begin_us);
	ASSERT_EQ(0, arena->failures);
	EXPECT_EQ(0, arena->wrong);
	kind = kind_left();
	EXPECT_EQ(-1, kind) TH_LOG("nobody did: %s", kind_names[kind]);
	EXPECT_EQ(0, region_pages(region_fd));
	ASSERT_EQ(0, region_info(region_fd, &after));
	EXPECT_EQ(self->before.out_used, after.out_used);
}

TEST_HARNESS_MAIN
