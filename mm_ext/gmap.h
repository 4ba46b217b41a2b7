/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest spaces: what the gmap files share, and what module exit needs of them.
 *
 * A space is four things, each with its own rule:
 *
 *	words		guest segment to parent address, a radix tree whose last
 *			level holds one word a segment.  Read without a lock;
 *			the words change under @lock, tables are added under
 *			@change and go with the space.
 *	names		the same the other way round: which segments show one of
 *			the parent's.  It is what an invalidation looks into, at
 *			first without a lock (gmap_concerns()); so a name goes
 *			when there is nothing of it in any window any more.
 *			Tables stay, as those of words do.
 *	arms		guest pages that somebody wants to hear of.
 *	records		the entries that windows have, 2 MiB of a page table each.
 *
 * Locks, outermost first:
 *
 *	mmap lock of a window's mm, then by trylock that of the parent
 *	space->change	(mutex: who maps, unmaps and adds tables)
 *	view->lock	(mutex: which space a view shows)
 *	gmap_mm->lock	(spinlock: the records in an mm, by address)
 *	space->lock	(spinlock)
 *	page-table lock
 *
 * The spinlocks are taken with interrupts on and by nobody who has them off, since
 * a TLB flush waits for every CPU with space->lock held.  What a notifier's callback
 * takes are the spinlocks; it neither sleeps, nor allocates, nor fails.
 */
#ifndef _MMEXT_GMAP_H
#define _MMEXT_GMAP_H

#include <linux/interval_tree_generic.h>
#include <linux/kref.h>
#include <linux/mmext.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/xarray.h>

/* What the word of a segment says, beside the parent address. */
#define GMAP_MAPPED	BIT(0)
#define GMAP_LINKED	BIT(1)
#define GMAP_WORD_BITS	(GMAP_MAPPED | GMAP_LINKED)

/* An arm, in space->arms by guest page: what it allows windows to do. */
enum gmap_arm {
	GMAP_ARM_NOTIFY = 1,	/* everything */
	GMAP_ARM_READ = 2,	/* load */
	GMAP_ARM_NONE = 3,	/* nothing */
};

/**
 * struct gmap_tree - words by index, in tables of a page
 * @root: the root table, or NULL
 * @top: shift of the index into it
 * @last: the last index
 */
struct gmap_tree {
	unsigned long *root;
	unsigned int top;
	unsigned long last;
};

/**
 * struct gmap_busy - an invalidation in progress
 * @key: the range that the notifier was given, which its end is given as well;
 *	NULL: a free slot
 * @first: first address
 * @last: last address
 */
struct gmap_busy {
	const void *key;
	unsigned long first;
	unsigned long last;
};

#define GMAP_BUSY_MAX	16

/**
 * struct gmap_busy_table - the invalidations in progress that concern somebody
 * @slots: they
 * @nr: slots in use
 */
struct gmap_busy_table {
	struct gmap_busy slots[GMAP_BUSY_MAX];
	unsigned int nr;
};

#define GMAP_ACTIVE_BITS	6

/**
 * struct gmap_mm - an mm that is a parent, or has windows, or both
 * @mn: its notifier, of which there is one an mm
 * @hash: among all of them, by mm
 * @rcu: see mmext_ptep_notify()
 * @spaces: spaces that it is the parent of; RCU
 * @nr_windows: VMAs of windows that it has
 * @active: invalidations in progress, whatever they concern, by who makes them
 * @lock: of what follows
 * @busy: invalidations in progress of addresses that windows are, or were, at
 * @windows_first: the lowest address of these
 * @windows_last: the highest; 0: there were none
 * @records: those in this mm, by address
 * @unsettled: moves when @busy had no room
 * @settled: what that was when all invalidations of before had ended
 * @gone: the mm has no more user space
 */
struct gmap_mm {
	struct mmu_notifier mn;
	struct hlist_node hash;
	struct rcu_head rcu;
	struct list_head spaces;
	atomic_t nr_windows;
	atomic_t active[1 << GMAP_ACTIVE_BITS];
	spinlock_t lock; /* see above */
	struct gmap_busy_table busy;
	unsigned long windows_first;
	unsigned long windows_last;
	struct rb_root_cached records;
	unsigned long unsettled;
	unsigned long settled;
	bool gone;
};

/**
 * struct gmap_stats - what a space has done; under space->lock
 * @inserted: entries put into windows
 * @cleared: and taken out
 * @faults: faults of windows, and pages of FAULT
 * @retries: insertions given up
 * @events: callbacks made for arms
 * @notified: invalidations that concerned it
 */
struct gmap_stats {
	u64 inserted;
	u64 cleared;
	u64 faults;
	u64 retries;
	u64 events;
	u64 notified;
};

/**
 * struct mmext_gmap - a guest space
 * @ref: who holds it
 * @rcu: callbacks in flight
 * @gm: of the parent
 * @mm: the parent, which @gm keeps from being freed
 * @list: in gm->spaces
 * @removed: and out of it again; under gm->lock
 * @limit: highest guest address
 * @shift: log2 of the bytes of a segment
 * @flags: MMEXT_GMAP_ALLOC_* bits
 * @gone: the parent has gone, or the space was removed
 * @words: segments, by guest address
 * @names: segments that show one of the parent's, by parent address
 * @links: of those that show the same, by guest address
 * @change: who maps, unmaps and adds tables
 * @self: what windows show that are of the space itself
 * @lock: of what follows
 * @seq: moves with everything that makes a look-up stale
 * @busy: invalidations in progress that concern the space
 * @unsettled: moves when names came, or @busy had no room: then there may be
 *	invalidations in progress that are not in @busy
 * @settled: what that was when all of these had ended
 * @nr_segments: that are mapped
 * @nr_linked: and linked
 * @arms: see enum gmap_arm
 * @nr_armed: how many
 * @records: by guest address
 * @nr_records: how many
 * @blocks: dirty log and age, by guest page / GMAP_BLOCK_PAGES
 * @due: what was cleared and is not flushed yet
 * @stats: counters
 */
struct mmext_gmap {
	struct kref ref;
	struct rcu_head rcu;
	struct gmap_mm *gm;
	struct mm_struct *mm;
	struct list_head list;
	bool removed;
	unsigned long limit;
	unsigned int shift;
	unsigned int flags;
	bool gone;
	struct gmap_tree words;
	struct gmap_tree names;
	struct gmap_tree links;
	struct mutex change; /* who maps and unmaps */
	struct mmext_gmap_view self;

	spinlock_t lock; /* see above */
	unsigned long seq;
	struct gmap_busy_table busy;
	unsigned long unsettled;
	unsigned long settled;
	unsigned long nr_segments;
	unsigned long nr_linked;
	struct xarray arms;
	unsigned long nr_armed;
	struct rb_root_cached records;
	unsigned long nr_records;
	struct xarray blocks;
	struct {
		struct mm_struct *mm;
		unsigned long start;
		unsigned long end;
	} due;
	struct gmap_stats stats;
};

/* Bits of an address that are within a segment; a shift in range, as UBSAN sees. */
static inline unsigned long gmap_in_segment(const struct mmext_gmap *g)
{
	return BIT(g->shift % BITS_PER_LONG) - 1;
}

/* The last byte of the segment of an address. */
static inline unsigned long gmap_segment_last(const struct mmext_gmap *g,
					      unsigned long addr)
{
	return addr | gmap_in_segment(g);
}

static inline unsigned long gmap_segment_first(const struct mmext_gmap *g,
					       unsigned long addr)
{
	return addr & ~gmap_in_segment(g);
}

/* Nobody else has pages, words and records of the space in hand. */
static inline bool gmap_gone(const struct mmext_gmap *g)
{
	return READ_ONCE(g->gone);
}

/* gmap.c */
unsigned long *gmap_entry(const struct mmext_gmap *g, unsigned long gaddr);
bool gmap_is_named(const struct mmext_gmap *g, unsigned long first,
		   unsigned long last);

/**
 * struct gmap_alias - a guest range that shows something of a range of the parent's
 * @gfirst: guest address of its first byte
 * @glast: and of its last
 * @vmaddr: parent address that @gfirst shows
 * @index: parent's segment that the search goes on with
 * @segment: parent address of the one it is at
 * @chain: the next name of that, or 0
 */
struct gmap_alias {
	unsigned long gfirst;
	unsigned long glast;
	unsigned long vmaddr;
	unsigned long index;
	unsigned long segment;
	unsigned long chain;
};

bool gmap_next_alias(struct mmext_gmap *g, struct gmap_alias *a,
		     unsigned long first, unsigned long last);

/*
 * Each guest range that shows something of the parent's range [_first, _last].
 *
 * Context: space->lock.
 */
#define gmap_for_each_alias(_g, _a, _first, _last)			\
	for ((_a)->index = (_first) >> (_g)->shift, (_a)->chain = 0;	\
	     gmap_next_alias(_g, _a, _first, _last);)

/* gmap_link.c */

/**
 * struct gmap_page - what the parent has at an address
 * @pfn: page frame number
 * @page: with a reference; NULL where the parent has a bare frame
 */
struct gmap_page {
	unsigned long pfn;
	struct page *page;
};

int gmap_resolve(struct mm_struct *mm, unsigned long vmaddr,
		 unsigned int fault_flags, int *locked, struct gmap_page *p);
void gmap_put_page(struct gmap_page *p);
int gmap_fault_in(struct mmext_gmap *g, unsigned long gaddr,
		  unsigned int fault_flags,
		  int (*commit)(struct mmext_gmap *g, unsigned long gaddr,
				unsigned long vmaddr, void *arg), void *arg);
bool gmap_unlink_range(struct mmext_gmap *g, unsigned long gfirst,
		       unsigned long glast);
int gmap_link_word(struct mmext_gmap *g, unsigned long *word,
		   unsigned long vmaddr);

/* gmap_notify.c */
struct gmap_mm *gmap_mm_get(struct mm_struct *mm);
struct gmap_mm *gmap_mm_get_locked(struct mm_struct *mm);
struct gmap_mm *gmap_window_mm(struct mm_struct *mm);
void gmap_mm_put(struct gmap_mm *gm);
void gmap_doze(void);
bool gmap_busy_add(struct gmap_busy_table *t, const void *key,
		   unsigned long first, unsigned long last);
bool gmap_busy_has(const struct gmap_busy_table *t, const void *key);
bool gmap_busy_del(struct gmap_busy_table *t, const void *key);
bool gmap_busy_overlaps(const struct gmap_busy_table *t, unsigned long first,
			unsigned long last);
bool gmap_concerns(struct mmext_gmap *g, unsigned long first,
		   unsigned long last);
bool gmap_read_try(struct mmext_gmap *g, unsigned long *seq);
int gmap_read_begin(struct mmext_gmap *g, unsigned long *seq);
bool gmap_seq_current(struct mmext_gmap *g, unsigned long vmaddr,
		      unsigned long seq);
bool gmap_mm_settle(struct gmap_mm *gm, spinlock_t *lock,
		    unsigned long *unsettled, unsigned long *settled);
void gmap_unsettle(unsigned long *unsettled);
void gmap_fire_range(struct mmext_gmap *g, unsigned long gfirst,
		     unsigned long glast);
bool gmap_arm_allows(struct mmext_gmap *g, unsigned long gaddr, bool write);
void gmap_fire_access(struct mmext_gmap *g, unsigned long gaddr, bool write);
void gmap_tell_gone(struct mmext_gmap *g);
void gmap_notify_exit(void);

/* gmap_window.c */
void gmap_window_clear(struct mmext_gmap *g, unsigned long gfirst,
		       unsigned long glast);
void gmap_window_protect(struct mmext_gmap *g, unsigned long gfirst,
			 unsigned long glast);
void gmap_window_mark(struct mmext_gmap *g, unsigned long gfirst,
		      unsigned long glast, const unsigned long *only,
		      unsigned long *marks, unsigned long base);
void gmap_window_clean(struct mmext_gmap *g, unsigned long gfirst,
		       unsigned long glast, const unsigned long *only,
		       unsigned long base);
void gmap_window_age(struct mmext_gmap *g, unsigned long gfirst,
		     unsigned long glast);
void gmap_window_flush(struct mmext_gmap *g);
void gmap_window_drop_range(struct gmap_mm *gm, unsigned long first,
			    unsigned long last);
void gmap_window_drop_all(struct mmext_gmap *g);

/* gmap_dirty.c */

/* Guest pages that a part of the dirty log is of. */
#define GMAP_BLOCK_PAGES	MMEXT_GMAP_BLOCK_PAGES

void gmap_dirty_mark(struct mmext_gmap *g, unsigned long gaddr);
void gmap_young_mark(struct mmext_gmap *g, unsigned long gaddr);
int gmap_block_prepare(struct mmext_gmap *g, unsigned long gfirst,
		       unsigned long glast);
void gmap_blocks_free(struct mmext_gmap *g);

#endif /* _MMEXT_GMAP_H */
