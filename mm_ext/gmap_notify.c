// SPDX-License-Identifier: GPL-2.0
/*
 * What the parent's memory does, and who hears of it: the MMU notifier, arms and
 * their callbacks.
 *
 * Fault against invalidation is the rule of mapping.c with ranges: an invalidation
 * that concerns a space is entered in its table of those in progress, seq moves,
 * what windows have of the range is cleared and flushed, and all that in one hold
 * of space->lock; at its end it is taken out of the table, and seq moves again.  A
 * fault samples seq, looks the parent's page up, and inserts under the same lock if
 * seq is what it was and the page is in no range of the table.  What it saw while an
 * invalidation was in progress may be from before the change, hence the second time.
 *
 * An invalidation that concerns no segment is not entered anywhere and writes
 * nothing that others read, but for a counter that it has nearly to itself
 * (gm->active).  It may be under way when a segment is mapped that it would have
 * concerned; so that is not believed to be clear before each of these counters was
 * 0 once (gmap_mm_settle()).
 */
#include <linux/export.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "engine.h"
#include "gmap.h"

/* Those that have a notifier, by mm, so that one is found without its spaces. */
static DEFINE_HASHTABLE(gmap_mms, 6);
static DEFINE_SPINLOCK(gmap_mms_lock);

/* The callbacks.  RCU; changes under the spinlock. */
static LIST_HEAD(notifiers);
static DEFINE_SPINLOCK(notifiers_lock);

/* Tables of invalidations in progress. */

/* Returns whether there was room. */
bool gmap_busy_add(struct gmap_busy_table *t, const void *key,
		   unsigned long first, unsigned long last)
{
	unsigned int i;

	for (i = 0; i < GMAP_BUSY_MAX; i++) {
		struct gmap_busy *b = &t->slots[i];

		if (b->key)
			continue;
		b->first = first;
		b->last = last;
		/* gmap_busy_has() looks without the lock */
		WRITE_ONCE(b->key, key);
		WRITE_ONCE(t->nr, t->nr + 1);
		return true;
	}
	return false;
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_busy_add);

/* Without the lock, for the task that may have added it. */
bool gmap_busy_has(const struct gmap_busy_table *t, const void *key)
{
	unsigned int i;

	if (!READ_ONCE(t->nr))
		return false;
	for (i = 0; i < GMAP_BUSY_MAX; i++) {
		if (READ_ONCE(t->slots[i].key) == key)
			return true;
	}
	return false;
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_busy_has);

bool gmap_busy_del(struct gmap_busy_table *t, const void *key)
{
	unsigned int i;

	for (i = 0; i < GMAP_BUSY_MAX; i++) {
		if (t->slots[i].key != key)
			continue;
		WRITE_ONCE(t->slots[i].key, NULL);
		WRITE_ONCE(t->nr, t->nr - 1);
		return true;
	}
	return false;
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_busy_del);

bool gmap_busy_overlaps(const struct gmap_busy_table *t, unsigned long first,
			unsigned long last)
{
	unsigned int i;

	if (likely(!t->nr))
		return false;
	for (i = 0; i < GMAP_BUSY_MAX; i++) {
		const struct gmap_busy *b = &t->slots[i];

		if (b->key && b->first <= last && first <= b->last)
			return true;
	}
	return false;
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_busy_overlaps);

/* Invalidations in progress, whatever they concern. */

static atomic_t *active_of(struct gmap_mm *gm, const void *key)
{
	return &gm->active[hash_ptr(key, GMAP_ACTIVE_BITS)];
}

/*
 * Say that there may be invalidations in progress that are in no table.  The lock
 * of @unsettled is held.
 */
void gmap_unsettle(unsigned long *unsettled)
{
	/* what was changed, before this is seen */
	smp_store_release(unsettled, *unsettled + 1);
}

/* For who waits, in process context, for somebody who does not wait for him. */
void gmap_doze(void)
{
	usleep_range(20, 200);
}

/**
 * gmap_mm_settle - wait for the invalidations that are in no table
 * @gm: of the mm
 * @lock: of @unsettled and @settled
 * @unsettled: moved by gmap_unsettle()
 * @settled: what it was when all invalidations of before had ended
 *
 * Context: process context, may sleep.
 * Return: false a fatal signal came first.
 */
bool gmap_mm_settle(struct gmap_mm *gm, spinlock_t *lock,
		    unsigned long *unsettled, unsigned long *settled)
{
	unsigned long seen;
	unsigned int i;

	/* pairs with the release in gmap_unsettle() */
	while ((seen = smp_load_acquire(unsettled)) != READ_ONCE(*settled)) {
		/* that, before the counts: see start() */
		smp_mb();
		for (i = 0; i < ARRAY_SIZE(gm->active); i++) {
			while (atomic_read_acquire(&gm->active[i])) {
				if (fatal_signal_pending(current))
					return false;
				gmap_doze();
			}
		}
		spin_lock(lock);
		if (*unsettled == seen)
			WRITE_ONCE(*settled, seen);
		spin_unlock(lock);
	}
	return true;
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_mm_settle);

/**
 * gmap_concerns - is there a segment that names memory of a range
 * @g: the space
 * @first: parent address
 * @last: parent address
 *
 * Context: a section of RCU; no lock.
 * Return: false there was none; true there may be one.
 */
bool gmap_concerns(struct mmext_gmap *g, unsigned long first,
		   unsigned long last)
{
	return gmap_is_named(g, first, last);
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_concerns);

/*
 * What moves when an invalidation begins, and when it ends; @settled is the end of
 * those that are in no table.
 */
static unsigned long current_seq(struct mmext_gmap *g)
{
	return READ_ONCE(g->seq) + READ_ONCE(g->settled);
}

/**
 * gmap_read_try - gmap_read_begin() for who can't wait
 * @g: the space
 * @seq: set to what gmap_seq_current() wants
 *
 * Return: false there are invalidations to wait for.
 */
bool gmap_read_try(struct mmext_gmap *g, unsigned long *seq)
{
	/* pairs with the release in gmap_unsettle() */
	if (smp_load_acquire(&g->unsettled) != READ_ONCE(g->settled))
		return false;
	*seq = current_seq(g);
	/* seq before what is looked up */
	smp_rmb();
	return true;
}

/**
 * gmap_read_begin - begin to look up what a guest address shows
 * @g: the space
 * @seq: set to what gmap_seq_current() wants
 *
 * Context: process context; may sleep while invalidations of before a MAP are
 * under way, which do not wait for page faults.
 * Return: 0; -ESRCH the parent has gone; -EINTR.
 */
int gmap_read_begin(struct mmext_gmap *g, unsigned long *seq)
{
	if (gmap_gone(g))
		return -ESRCH;
	while (!gmap_read_try(g, seq)) {
		if (!gmap_mm_settle(g->gm, &g->lock, &g->unsettled,
				    &g->settled))
			return -EINTR;
	}
	return 0;
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_read_begin);

/**
 * gmap_seq_current - is it still what was looked up
 * @g: the space
 * @vmaddr: parent address that the guest address shows
 * @seq: of gmap_read_begin()
 *
 * Context: space->lock.
 */
bool gmap_seq_current(struct mmext_gmap *g, unsigned long vmaddr,
		      unsigned long seq)
{
	unsigned long first = vmaddr & PAGE_MASK;

	return current_seq(g) == seq && g->unsettled == g->settled && !g->gone &&
	       !gmap_busy_overlaps(&g->busy, first, first | ~PAGE_MASK);
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_seq_current);

/* Callbacks. */

/**
 * mmext_gmap_register_ipte_notifier - have a callback when armed pages change
 * @nb: its notifier_call set; the caller's until it is unregistered
 *
 * It is called for every space: before an entry of the parent's that an armed guest
 * page shows changes, or may, with the arm taken off; and for an access that
 * mmext_gmap_protect_notify() wanted to hear of, with MMEXT_GMAP_NOTIFY_ACCESS; and
 * once with MMEXT_GMAP_NOTIFY_GONE when the parent has gone or the space is removed.
 * It is called with space->lock held: it does not sleep, and calls nothing of the
 * space's.
 *
 * Differs from gmap_register_ipte_notifier(): says whether it did it.
 *
 * Context: any but a callback.
 * Return: 0; -EEXIST it is registered already.
 */
int mmext_gmap_register_ipte_notifier(struct mmext_gmap_notifier *nb)
{
	struct mmext_gmap_notifier *other;
	int ret = 0;

	spin_lock(&notifiers_lock);
	list_for_each_entry(other, &notifiers, list) {
		if (other == nb)
			ret = -EEXIST;
	}
	if (!ret)
		list_add_tail_rcu(&nb->list, &notifiers);
	spin_unlock(&notifiers_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(mmext_gmap_register_ipte_notifier);

/**
 * mmext_gmap_unregister_ipte_notifier - have it no more
 * @nb: a registered one
 *
 * When this returns it is not running, and does not any more.
 *
 * Context: process context, may sleep; from no callback.
 */
void mmext_gmap_unregister_ipte_notifier(struct mmext_gmap_notifier *nb)
{
	spin_lock(&notifiers_lock);
	list_del_rcu(&nb->list);
	spin_unlock(&notifiers_lock);
	synchronize_rcu();
}
EXPORT_SYMBOL_GPL(mmext_gmap_unregister_ipte_notifier);

static void call_notifiers(struct mmext_gmap *g, unsigned long gaddr,
			   unsigned int flags)
{
	struct mmext_gmap_notifier *nb;

	rcu_read_lock();
	list_for_each_entry_rcu(nb, &notifiers, list)
		nb->notifier_call(nb, g, gaddr, flags);
	rcu_read_unlock();
}

/* Arms: space->lock is held. */

static enum gmap_arm arm_of(struct mmext_gmap *g, unsigned long gaddr)
{
	void *entry;

	if (likely(!g->nr_armed))
		return 0;
	entry = xa_load(&g->arms, gaddr >> PAGE_SHIFT);
	return entry ? xa_to_value(entry) : 0;
}

/* The arm is off before the event is told. */
static void fire(struct mmext_gmap *g, unsigned long gaddr, unsigned int flags)
{
	xa_erase(&g->arms, gaddr >> PAGE_SHIFT);
	g->nr_armed--;
	g->stats.events++;
	call_notifiers(g, gaddr & PAGE_MASK, flags);
}

/* Each armed page from @gfirst to @glast. */
void gmap_fire_range(struct mmext_gmap *g, unsigned long gfirst,
		     unsigned long glast)
{
	unsigned long index = gfirst >> PAGE_SHIFT;

	while (g->nr_armed &&
	       xa_find(&g->arms, &index, glast >> PAGE_SHIFT, XA_PRESENT))
		fire(g, index << PAGE_SHIFT, 0);
}

/**
 * gmap_arm_allows - what windows may do with a page
 * @g: the space
 * @gaddr: guest address
 * @write: store, and not only load
 *
 * Context: space->lock.
 */
bool gmap_arm_allows(struct mmext_gmap *g, unsigned long gaddr, bool write)
{
	switch (arm_of(g, gaddr)) {
	case GMAP_ARM_NONE:
		return false;
	case GMAP_ARM_READ:
		return !write;
	default:
		return true;
	}
}

/* An access that goes on: if the arm does not allow it, it is an event. */
void gmap_fire_access(struct mmext_gmap *g, unsigned long gaddr, bool write)
{
	if (!gmap_arm_allows(g, gaddr, write))
		fire(g, gaddr, MMEXT_GMAP_NOTIFY_ACCESS);
}

/* What commit_arm() is told. */
struct arm {
	enum gmap_arm arm;
	bool dirty;
};

static int commit_arm(struct mmext_gmap *g, unsigned long gaddr,
		      unsigned long vmaddr, void *arg)
{
	unsigned long page = gaddr & PAGE_MASK;
	struct arm *a = arg;
	void *old;
	int err;

	err = gmap_link_word(g, gmap_entry(g, gaddr), vmaddr);
	if (err)
		return err;

	/* there is a slot, see arm_page() */
	old = xa_store(&g->arms, gaddr >> PAGE_SHIFT, xa_mk_value(a->arm),
		       GFP_NOWAIT);
	if (xa_is_err(old))
		return xa_err(old);
	if (!old)
		g->nr_armed++;
	if (a->dirty)
		gmap_dirty_mark(g, page);

	if (a->arm == GMAP_ARM_NONE)
		gmap_window_clear(g, page, page | ~PAGE_MASK);
	else if (a->arm == GMAP_ARM_READ)
		gmap_window_protect(g, page, page | ~PAGE_MASK);
	return 0;
}

static int arm_page(struct mmext_gmap *g, unsigned long gaddr, struct arm *a)
{
	int err;

	/* reads as nothing until the arm is there */
	err = xa_reserve(&g->arms, gaddr >> PAGE_SHIFT, GFP_KERNEL);
	if (!err)
		err = gmap_fault_in(g, gaddr, a->dirty ? FAULT_FLAG_WRITE : 0,
				    commit_arm, a);
	if (err)
		xa_release(&g->arms, gaddr >> PAGE_SHIFT);
	return err;
}

static long arm_range(struct mmext_gmap *g, unsigned long gaddr,
		      unsigned long len, struct arm *a)
{
	unsigned long done;
	int err;

	if (!PAGE_ALIGNED(gaddr) || !PAGE_ALIGNED(len) ||
	    (len && gaddr + len - 1 < gaddr) || (long)len < 0)
		return -EINVAL;

	for (done = 0; done < len; done += PAGE_SIZE) {
		err = arm_page(g, gaddr + done, a);
		if (err)
			return done ? (long)done : err;
		cond_resched();
	}
	return done;
}

/**
 * mmext_gmap_ipte_notify - arm a range for one event a page
 * @gmap: the space
 * @gaddr: guest address, a multiple of the page size
 * @len: bytes, a multiple of the page size
 * @flags: 0: the pages are faulted in for a store; MMEXT_GMAP_NOTIFY_FOR_READ: for a
 *	load
 *
 * Faults the parent's pages in, links, and arms.
 *
 * Differs from gmap_ipte_notify(): has @flags, and says how far it came; the next
 * call, for the rest, says why not further.
 *
 * Context: process context, may sleep; takes the parent's mmap lock.
 * Return: bytes that are armed, from @gaddr on, 0 if @len is; if there are none,
 * -EFAULT a page that is not mapped, that the parent has not, or may not store to;
 * -EINVAL misaligned; -ENOMEM; -ESRCH; -EINTR.
 */
long mmext_gmap_ipte_notify(struct mmext_gmap *gmap, unsigned long gaddr,
			    unsigned long len, unsigned int flags)
{
	struct arm a = {
		.arm = GMAP_ARM_NOTIFY,
		.dirty = !(flags & MMEXT_GMAP_NOTIFY_FOR_READ),
	};

	return arm_range(gmap, gaddr, len, &a);
}
EXPORT_SYMBOL_GPL(mmext_gmap_ipte_notify);

/**
 * mmext_gmap_protect_notify - arm a range for an access as well
 * @gmap: the space
 * @gaddr: guest address, a multiple of the page size
 * @len: bytes, a multiple of the page size
 * @read: windows may load; else they may do nothing
 *
 * As mmext_gmap_ipte_notify(), and an access through the space that wants more is an
 * event, too.  The access then goes on.
 *
 * Context: as mmext_gmap_ipte_notify().
 * Return: as mmext_gmap_ipte_notify().
 */
long mmext_gmap_protect_notify(struct mmext_gmap *gmap, unsigned long gaddr,
			       unsigned long len, bool read)
{
	struct arm a = {
		.arm = read ? GMAP_ARM_READ : GMAP_ARM_NONE,
		.dirty = !read,
	};

	return arm_range(gmap, gaddr, len, &a);
}
EXPORT_SYMBOL_GPL(mmext_gmap_protect_notify);

/*
 * Every space of a parent, in a section of RCU.  One that was put and is not freed
 * yet is found as well; it has no spaces.
 */
#define for_each_space_of(_mm, _gm, _g)					\
	hash_for_each_possible_rcu(gmap_mms, _gm, hash, (unsigned long)(_mm)) \
		if ((_gm)->mn.mm == (_mm))				\
			list_for_each_entry_rcu(_g, &(_gm)->spaces, list)

/**
 * mmext_ptep_notify - call the callbacks for an entry
 * @mm: the parent
 * @vmaddr: parent address
 * @pte: the entry, or NULL; it is not looked at
 *
 * To be called before the entry changes: for each armed guest page, of every space of
 * @mm, that names the page of @vmaddr.
 *
 * Differs from ptep_notify(): the page table's lock is not needed.
 *
 * Context: any with interrupts on; takes space->lock, so from no callback.
 */
void mmext_ptep_notify(struct mm_struct *mm, unsigned long vmaddr, pte_t *pte)
{
	unsigned long first = vmaddr & PAGE_MASK, last = first | ~PAGE_MASK;
	struct gmap_alias a;
	struct mmext_gmap *g;
	struct gmap_mm *gm;

	rcu_read_lock();
	for_each_space_of(mm, gm, g) {
		if (!READ_ONCE(g->nr_armed))
			continue;
		spin_lock(&g->lock);
		gmap_for_each_alias(g, &a, first, last)
			gmap_fire_range(g, a.gfirst, a.glast);
		spin_unlock(&g->lock);
	}
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(mmext_ptep_notify);

/**
 * mmext_gmap_unlink - disconnect a page table of the parent's from its spaces
 * @mm: the parent
 * @table: the page table, or NULL; it is not looked at
 * @vmaddr: parent address
 *
 * In every space of @mm, the segments that name that of @vmaddr are linked no more.
 * Translations stay.
 *
 * Differs from gmap_unlink(): flushes; says how many.
 *
 * Context: process context, or a notifier's callback.
 * Return: segments that were linked.
 */
unsigned long mmext_gmap_unlink(struct mm_struct *mm, unsigned long *table,
				unsigned long vmaddr)
{
	unsigned long before, unlinked = 0;
	struct mmext_gmap *g;
	struct gmap_mm *gm;

	rcu_read_lock();
	for_each_space_of(mm, gm, g) {
		mmext_gmap_lock(g);
		before = g->nr_linked;
		__mmext_gmap_unlink_by_vmaddr(g, vmaddr);
		unlinked += before - g->nr_linked;
		mmext_gmap_unlock(g);
	}
	rcu_read_unlock();
	return unlinked;
}
EXPORT_SYMBOL_GPL(mmext_gmap_unlink);

/*
 * An armed page that shows something of the parent's range, by its parent address.
 * The arm is left to mmext_ptep_notify(), which finds its aliases as well.  @from is
 * the one before it: of its segment other names may be armed elsewhere.
 */
static bool find_armed(struct mmext_gmap *g, unsigned long first,
		       unsigned long last, unsigned long from,
		       unsigned long *vmaddr)
{
	struct gmap_alias a;
	unsigned long index;
	bool found = false;

	first = max(first, gmap_segment_first(g, from));
	spin_lock(&g->lock);
	gmap_for_each_alias(g, &a, first, last) {
		index = a.gfirst >> PAGE_SHIFT;
		if (!xa_find(&g->arms, &index, a.glast >> PAGE_SHIFT,
			     XA_PRESENT))
			continue;
		*vmaddr = a.vmaddr + ((index << PAGE_SHIFT) - a.gfirst);
		found = true;
		break;
	}
	spin_unlock(&g->lock);
	return found;
}

/*
 * The start of an invalidation that may concern the space.  New arms and entries for
 * the range are out of the question until its end, so what is done here in steps is
 * done for all.
 */
static void invalidate(struct mmext_gmap *g, unsigned long first,
		       unsigned long last, const void *key, bool tables_go)
{
	struct gmap_alias a;
	unsigned long vmaddr = first;

	mmext_gmap_lock(g);
	if (!gmap_is_named(g, first, last)) {
		mmext_gmap_unlock(g);
		return;
	}
	g->stats.notified++;
	g->seq++;
	if (!gmap_busy_add(&g->busy, key, first, last))
		gmap_unsettle(&g->unsettled);

	if (g->nr_linked) {
		gmap_for_each_alias(g, &a, first, last) {
			if (tables_go)
				gmap_unlink_range(g, a.gfirst, a.glast);
			else
				gmap_window_clear(g, a.gfirst, a.glast);
		}
	}
	mmext_gmap_unlock(g);

	/* one that is being removed is found no more, and has no events to come */
	while (READ_ONCE(g->nr_armed) && !gmap_gone(g) &&
	       find_armed(g, first, last, vmaddr, &vmaddr))
		mmext_ptep_notify(g->mm, vmaddr, NULL);
}

/* Window addresses of the mm itself: their records go before their tables can. */
static void invalidate_windows(struct gmap_mm *gm, unsigned long first,
			       unsigned long last, const void *key)
{
	spin_lock(&gm->lock);
	if (!gmap_busy_add(&gm->busy, key, first, last))
		gmap_unsettle(&gm->unsettled);
	gmap_window_drop_range(gm, first, last);
	spin_unlock(&gm->lock);
}

static int start(struct mmu_notifier *mn, const struct mmu_notifier_range *r)
{
	struct gmap_mm *gm = container_of(mn, struct gmap_mm, mn);
	unsigned long last = r->end - 1;
	bool tables_go = r->event == MMU_NOTIFY_UNMAP;
	struct mmext_gmap *g;

	atomic_inc(active_of(gm, r));
	/* that, before a look at the trees: pairs with gmap_mm_settle() */
	smp_mb__after_atomic();

	if (r->start <= READ_ONCE(gm->windows_last) &&
	    last >= READ_ONCE(gm->windows_first))
		invalidate_windows(gm, r->start, last, r);

	rcu_read_lock();
	list_for_each_entry_rcu(g, &gm->spaces, list) {
		if (gmap_concerns(g, r->start, last))
			invalidate(g, r->start, last, r, tables_go);
	}
	rcu_read_unlock();
	return 0;
}

static void end(struct mmu_notifier *mn, const struct mmu_notifier_range *r)
{
	struct gmap_mm *gm = container_of(mn, struct gmap_mm, mn);
	struct mmext_gmap *g;

	if (gmap_busy_has(&gm->busy, r)) {
		spin_lock(&gm->lock);
		gmap_busy_del(&gm->busy, r);
		spin_unlock(&gm->lock);
	}

	rcu_read_lock();
	list_for_each_entry_rcu(g, &gm->spaces, list) {
		if (!gmap_busy_has(&g->busy, r))
			continue;
		spin_lock(&g->lock);
		g->seq++;
		gmap_busy_del(&g->busy, r);
		spin_unlock(&g->lock);
	}
	rcu_read_unlock();

	/* all of it, before the count */
	smp_mb__before_atomic();
	atomic_dec(active_of(gm, r));
}

/**
 * gmap_tell_gone - there will be no more events
 * @g: the space, marked as gone
 */
void gmap_tell_gone(struct mmext_gmap *g)
{
	spin_lock(&g->lock);
	call_notifiers(g, 0, MMEXT_GMAP_NOTIFY_GONE);
	spin_unlock(&g->lock);
}

static void mm_released(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct gmap_mm *gm = container_of(mn, struct gmap_mm, mn);
	struct mmext_gmap *g;

	spin_lock(&gm->lock);
	WRITE_ONCE(gm->gone, true);
	gmap_window_drop_range(gm, 0, ULONG_MAX);
	spin_unlock(&gm->lock);

	rcu_read_lock();
	list_for_each_entry_rcu(g, &gm->spaces, list) {
		mmext_gmap_lock(g);
		WRITE_ONCE(g->gone, true);
		g->seq++;
		gmap_window_clear(g, 0, ULONG_MAX);
		mmext_gmap_unlock(g);
		gmap_tell_gone(g);
	}
	rcu_read_unlock();
}

static struct mmu_notifier *alloc_mm(struct mm_struct *mm)
{
	struct gmap_mm *gm = kzalloc(sizeof(*gm), GFP_KERNEL_ACCOUNT);

	if (!gm)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&gm->spaces);
	spin_lock_init(&gm->lock);
	gm->windows_first = ULONG_MAX;
	gm->records = RB_ROOT_CACHED;
	return &gm->mn;
}

static void free_mm(struct mmu_notifier *mn)
{
	struct gmap_mm *gm = container_of(mn, struct gmap_mm, mn);

	spin_lock(&gmap_mms_lock);
	if (!hlist_unhashed(&gm->hash))
		hash_del_rcu(&gm->hash);
	spin_unlock(&gmap_mms_lock);
	kfree_rcu(gm, rcu);
}

static const struct mmu_notifier_ops gmap_mn_ops = {
	.invalidate_range_start = start,
	.invalidate_range_end = end,
	.release = mm_released,
	.alloc_notifier = alloc_mm,
	.free_notifier = free_mm,
};

/**
 * gmap_mm_get_locked - the notifier of an mm
 * @mm: the mm
 *
 * Context: process context, may sleep; the mmap lock for write.
 * Return: it, to be given back by gmap_mm_put(); ERR_PTR(-ENOMEM), ERR_PTR(-EINTR).
 */
struct gmap_mm *gmap_mm_get_locked(struct mm_struct *mm)
{
	struct mmu_notifier *mn = mmu_notifier_get_locked(&gmap_mn_ops, mm);
	struct gmap_mm *gm;

	if (IS_ERR(mn))
		return ERR_CAST(mn);

	gm = container_of(mn, struct gmap_mm, mn);
	spin_lock(&gmap_mms_lock);
	if (hlist_unhashed(&gm->hash))
		hash_add_rcu(gmap_mms, &gm->hash, (unsigned long)mm);
	spin_unlock(&gmap_mms_lock);
	return gm;
}

struct gmap_mm *gmap_mm_get(struct mm_struct *mm)
{
	struct gmap_mm *gm;

	if (mmap_write_lock_killable(mm))
		return ERR_PTR(-EINTR);
	gm = gmap_mm_get_locked(mm);
	mmap_write_unlock(mm);
	return gm;
}

/**
 * gmap_window_mm - the notifier of an mm that has windows
 * @mm: the mm, with a window that stays for as long as the answer is used
 *
 * Return: it; NULL if there is no window.
 */
struct gmap_mm *gmap_window_mm(struct mm_struct *mm)
{
	struct gmap_mm *gm, *found = NULL;

	rcu_read_lock();
	hash_for_each_possible_rcu(gmap_mms, gm, hash, (unsigned long)mm) {
		if (gm->mn.mm == mm && atomic_read(&gm->nr_windows))
			found = gm;
	}
	rcu_read_unlock();
	return found;
}

void gmap_mm_put(struct gmap_mm *gm)
{
	mmu_notifier_put(&gm->mn);
}

/* The last callbacks that are under way are this module's code. */
void gmap_notify_exit(void)
{
	mmu_notifier_synchronize();
}
