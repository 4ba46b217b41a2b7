// SPDX-License-Identifier: GPL-2.0
/*
 * Guest spaces: their life, and what is mapped where.
 */
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "engine.h"
#include "gmap.h"

#define TABLE_BITS	(PAGE_SHIFT - 3)
#define TABLE_SIZE	BIT(TABLE_BITS)
#define TABLE_MASK	(TABLE_SIZE - 1)

/* Segments that are mapped or unmapped in one hold of the spinlock. */
#define STEP_SEGMENTS	16384UL

static atomic_long_t live_gmaps = ATOMIC_LONG_INIT(0);

long mmext_live_gmaps(void)
{
	return atomic_long_read(&live_gmaps);
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_live_gmaps);

static inline unsigned long vm_first(struct gmap_extent *e)
{
	return e->vm_first;
}

static inline unsigned long vm_last(struct gmap_extent *e)
{
	return e->vm_last;
}

INTERVAL_TREE_DEFINE(struct gmap_extent, by_vmaddr, unsigned long, subtree_last,
		     vm_first, vm_last, static __maybe_unused, extents)

/**
 * gmap_first_extent - the first range of the parent's that is mapped
 * @g: the space
 * @first: parent address
 * @last: parent address
 *
 * Context: space->lock; or without, for an answer that is checked.
 * Return: an extent that overlaps [@first, @last], or NULL.
 */
struct gmap_extent *gmap_first_extent(struct mmext_gmap *g, unsigned long first,
				      unsigned long last)
{
	return extents_iter_first(&g->by_vmaddr, first, last);
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_first_extent);

struct gmap_extent *gmap_next_extent(struct gmap_extent *e, unsigned long first,
				     unsigned long last)
{
	return extents_iter_next(e, first, last);
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_next_extent);

static unsigned long extent_last(const struct gmap_extent *e)
{
	return e->gaddr + (e->vm_last - e->vm_first);
}

/*
 * Tables.  A table is a page, so that where a word is says which segment it is
 * of; what its first one is of, and the size of a segment, is in its private.
 */

static unsigned long *alloc_table(unsigned long gaddr, unsigned int shift)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!page)
		return NULL;
	set_page_private(page, gaddr | shift);
	return page_address(page);
}

static void free_table(unsigned long *table, unsigned int level)
{
	unsigned long i;

	if (!table)
		return;
	for (i = 0; level && i < TABLE_SIZE; i++)
		free_table((unsigned long *)table[i], level - TABLE_BITS);
	set_page_private(virt_to_page(table), 0);
	free_page((unsigned long)table);
	cond_resched();
}

static __always_inline unsigned long *word_of(const struct mmext_gmap *g,
					      unsigned long gaddr)
{
	unsigned long index = gaddr >> (g->shift % BITS_PER_LONG);
	unsigned long *table = g->root;
	unsigned int level;

	if (unlikely(gaddr > g->limit))
		return NULL;

	for (level = g->top; level; level -= TABLE_BITS) {
		/* pairs with the release in add_tables() */
		table = (unsigned long *)
			READ_ONCE(table[(index >> level % BITS_PER_LONG) &
					TABLE_MASK]);
		if (!table)
			return NULL;
	}
	return table + (index & TABLE_MASK);
}

/**
 * gmap_entry - the word of a segment
 * @g: the space
 * @gaddr: guest address in the segment
 *
 * Context: any; tables stay as long as the space.
 * Return: the word; NULL if there is no table for it.
 */
unsigned long *gmap_entry(const struct mmext_gmap *g, unsigned long gaddr)
{
	return word_of(g, gaddr);
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_entry);

/* Have a table for the word of @gaddr. */
static int add_tables(struct mmext_gmap *g, unsigned long gaddr)
{
	unsigned long index = gaddr >> g->shift;
	unsigned long *table = g->root, *slot, *new;
	unsigned int level;

	for (level = g->top; level; level -= TABLE_BITS) {
		slot = &table[(index >> level) & TABLE_MASK];
		if (!*slot) {
			unsigned long first = index >> level << level;

			new = alloc_table(first << g->shift, g->shift);
			if (!new)
				return -ENOMEM;
			/* its zeroes before the table */
			smp_store_release(slot, (unsigned long)new);
		}
		table = (unsigned long *)*slot;
	}
	return 0;
}

static int add_tables_range(struct mmext_gmap *g, unsigned long first,
			    unsigned long last)
{
	/* of addresses, less one */
	unsigned long span = BIT(g->shift + TABLE_BITS) - 1;
	int err;

	for (;;) {
		err = add_tables(g, first);
		if (err)
			return err;
		if (last - (first & ~span) <= span)
			return 0;
		first = (first | span) + 1;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/**
 * __mmext_gmap_segment_gaddr - the guest address of a segment's entry
 * @entry: pointer to the entry in its table
 *
 * Pure arithmetic on the entry's place, whatever it holds.
 *
 * Context: any.
 * Return: the lowest guest address of the segment.
 */
unsigned long __mmext_gmap_segment_gaddr(unsigned long *entry)
{
	unsigned long info = page_private(virt_to_page(entry));
	unsigned int shift = info & (BITS_PER_LONG - 1);
	unsigned long index = offset_in_page(entry) / sizeof(*entry);

	return (info - shift) + (index << shift);
}
EXPORT_SYMBOL_GPL(__mmext_gmap_segment_gaddr);

static __always_inline unsigned long translate(struct mmext_gmap *g,
					       unsigned long gaddr)
{
	unsigned long *entry = word_of(g, gaddr);
	unsigned long in_segment = gmap_in_segment(g);
	unsigned long word = entry ? READ_ONCE(*entry) : 0;

	if (!(word & GMAP_MAPPED))
		return -EFAULT;
	return (word & ~in_segment) | (gaddr & in_segment);
}

static __always_inline unsigned long translate_living(struct mmext_gmap *g,
						      unsigned long gaddr)
{
	return unlikely(gmap_gone(g)) ? -EFAULT : translate(g, gaddr);
}

/**
 * __mmext_gmap_translate - translate a guest address to a parent address
 * @gmap: the space
 * @gaddr: guest address, of any alignment
 *
 * Faults nothing in.  A parent address of 0 is a translation as any other.
 *
 * Differs from __gmap_translate(): takes no lock and needs none, but for the answer
 * to stay true: with space->lock (mmext_gmap_lock()) it does.
 *
 * Context: any.
 * Return: the address in the parent's address space; -EFAULT, as an unsigned long,
 * if there is none.
 */
unsigned long __mmext_gmap_translate(struct mmext_gmap *gmap,
				     unsigned long gaddr)
{
	return translate(gmap, gaddr);
}
EXPORT_SYMBOL_GPL(__mmext_gmap_translate);

/**
 * mmext_gmap_translate - translate a guest address to a parent address
 * @gmap: the space
 * @gaddr: guest address, of any alignment
 *
 * __mmext_gmap_translate() for who has no lock: the answer is one that was true
 * while this ran, and a parent that has gone has no addresses.
 *
 * Differs from gmap_translate(): does not take the mmap lock.
 *
 * Context: any.
 * Return: as __mmext_gmap_translate().
 */
unsigned long mmext_gmap_translate(struct mmext_gmap *gmap,
				   unsigned long gaddr)
{
	return translate_living(gmap, gaddr);
}
EXPORT_SYMBOL_GPL(mmext_gmap_translate);

/* Extents by guest address: they do not overlap. */

/* Where an extent belongs among them: below @parent, at @link. */
struct place {
	struct rb_node *parent;
	struct rb_node **link;
};

/*
 * The first extent that ends at @gaddr or behind it; and the place of one that begins
 * there, if none is in its way.
 */
static struct gmap_extent *find_extent(struct mmext_gmap *g,
				       unsigned long gaddr, struct place *place)
{
	struct gmap_extent *e, *found = NULL;

	place->link = &g->by_gaddr.rb_node;
	place->parent = NULL;
	while (*place->link) {
		place->parent = *place->link;
		e = rb_entry(place->parent, struct gmap_extent, by_gaddr);
		if (extent_last(e) >= gaddr) {
			found = e;
			place->link = &place->parent->rb_left;
		} else {
			place->link = &place->parent->rb_right;
		}
	}
	return found;
}

static struct gmap_extent *extent_from(struct mmext_gmap *g,
				       unsigned long gaddr)
{
	struct place place;

	return find_extent(g, gaddr, &place);
}

static struct gmap_extent *extent_overlap(struct mmext_gmap *g,
					  unsigned long first,
					  unsigned long last)
{
	struct gmap_extent *e = extent_from(g, first);

	return e && e->gaddr <= last ? e : NULL;
}

static void insert_extent(struct mmext_gmap *g, struct gmap_extent *e,
			  const struct place *place)
{
	rb_link_node(&e->by_gaddr, place->parent, place->link);
	rb_insert_color(&e->by_gaddr, &g->by_gaddr);

	write_seqcount_begin(&g->tree_seq);
	extents_insert(e, &g->by_vmaddr);
	write_seqcount_end(&g->tree_seq);
}

static void remove_extent(struct mmext_gmap *g, struct gmap_extent *e)
{
	rb_erase(&e->by_gaddr, &g->by_gaddr);
	write_seqcount_begin(&g->tree_seq);
	extents_remove(e, &g->by_vmaddr);
	write_seqcount_end(&g->tree_seq);
	kfree_rcu(e, rcu);
}

/* What MAP and UNMAP allocate ahead of any change. */
static struct gmap_extent *take_spare(struct gmap_extent **spares)
{
	struct gmap_extent *e = *spares;

	*spares = e->spare;
	return e;
}

static void add_extent_at(struct mmext_gmap *g, struct gmap_extent **spares,
			  unsigned long gaddr, unsigned long vmaddr,
			  unsigned long less_one, const struct place *place)
{
	struct gmap_extent *e = take_spare(spares);

	e->gaddr = gaddr;
	e->vm_first = vmaddr;
	e->vm_last = vmaddr + less_one;
	insert_extent(g, e, place);
}

static void add_extent(struct mmext_gmap *g, struct gmap_extent **spares,
		       unsigned long gaddr, unsigned long vmaddr,
		       unsigned long less_one)
{
	struct place place;

	find_extent(g, gaddr, &place);
	add_extent_at(g, spares, gaddr, vmaddr, less_one, &place);
}

static void free_spares(struct gmap_extent *spares)
{
	while (spares)
		kfree(take_spare(&spares));
}

static int alloc_spares(struct gmap_extent **spares, unsigned long nr,
			gfp_t gfp)
{
	struct gmap_extent *e;

	for (; nr; nr--) {
		e = kzalloc(sizeof(*e), gfp);
		if (!e) {
			free_spares(*spares);
			*spares = NULL;
			return -ENOMEM;
		}
		e->spare = *spares;
		*spares = e;
	}
	return 0;
}

/* Extents that one step of a change of [@first, @last] makes; *empty: and cuts none. */
static unsigned long spares_needed(struct mmext_gmap *g, unsigned long first,
				   unsigned long last, bool *empty,
				   struct place *place)
{
	struct gmap_extent *e = find_extent(g, first, place);
	unsigned long nr = 1;

	*empty = !e || e->gaddr > last;
	if (*empty)
		return nr;
	if (e->gaddr < first)
		nr++;
	e = extent_from(g, last);
	if (e && e->gaddr <= last && extent_last(e) > last)
		nr++;
	return nr;
}

/* Take what is mapped there out of the trees, and leave the rest of it. */
static void cut_extents(struct mmext_gmap *g, unsigned long first,
			unsigned long last, struct gmap_extent **spares)
{
	unsigned long gaddr, vmaddr, end;
	struct gmap_extent *e;

	while ((e = extent_overlap(g, first, last))) {
		gaddr = e->gaddr;
		end = extent_last(e);
		vmaddr = e->vm_first;
		remove_extent(g, e);
		if (gaddr < first)
			add_extent(g, spares, gaddr, vmaddr, first - 1 - gaddr);
		if (end > last)
			add_extent(g, spares, last + 1,
				   vmaddr + (last + 1 - gaddr),
				   end - (last + 1));
	}
}

/*
 * Give a segment another translation, or with 0 none, in one step for those who look
 * it up without a lock.  What shows the old one leaves every window, and its arms go.
 * Returns whether it was linked.
 */
static bool change_word(struct mmext_gmap *g, unsigned long gaddr,
			unsigned long word)
{
	unsigned long first = gmap_segment_first(g, gaddr);
	unsigned long last = gmap_segment_last(g, gaddr);
	unsigned long *entry = gmap_entry(g, gaddr);
	unsigned long old = entry ? *entry : 0;

	g->seq++;
	if (!old && !word)
		return false;
	WRITE_ONCE(*entry, word);
	g->nr_segments += !!word - !!old;
	gmap_fire_range(g, first, last);
	if (!(old & GMAP_LINKED))
		return false;
	g->nr_linked--;
	gmap_window_clear(g, first, last);
	return true;
}

/**
 * __mmext_gmap_unmap_by_gaddr - unmap a segment by its guest address
 * @gmap: the space
 * @gaddr: guest address, of any alignment
 *
 * The segment's entries leave every window, its translation goes, and so do its arms,
 * with an event each.  Other segments that name the same memory stay as they are.
 *
 * Differs from __gmap_unmap_by_gaddr(): the flush is mmext_gmap_unlock()'s.  That
 * a range is mapped, which mmext_gmap_unmap_segment() undoes, stays on record.
 *
 * Context: space->lock (mmext_gmap_lock()).
 * Return: 1 if it was linked, so that a flush may be due; 0.
 */
int __mmext_gmap_unmap_by_gaddr(struct mmext_gmap *gmap, unsigned long gaddr)
{
	return change_word(gmap, gaddr, 0);
}
EXPORT_SYMBOL_GPL(__mmext_gmap_unmap_by_gaddr);

/* Steps over a range by segments, from @gaddr on: is there one more? */
static bool next_segment(struct mmext_gmap *g, unsigned long *gaddr,
			 unsigned long last)
{
	unsigned long end = gmap_segment_last(g, *gaddr);

	if (end >= last)
		return false;
	*gaddr = end + 1;
	return true;
}

static void unmap_words(struct mmext_gmap *g, unsigned long first,
			unsigned long last)
{
	unsigned long gaddr = first;

	do {
		__mmext_gmap_unmap_by_gaddr(g, gaddr);
	} while (next_segment(g, &gaddr, last));
}

static void map_words(struct mmext_gmap *g, unsigned long first,
		      unsigned long last, unsigned long vmaddr)
{
	unsigned long gaddr = first;

	do {
		change_word(g, gaddr, (vmaddr + (gaddr - first)) | GMAP_MAPPED);
	} while (next_segment(g, &gaddr, last));
}

/* Is it a range that can be mapped?  Says its last address. */
static int check_segments(struct mmext_gmap *g, unsigned long to,
			  unsigned long len, unsigned long *last)
{
	unsigned long in_segment = gmap_in_segment(g);

	*last = to + len - 1;
	if (to & in_segment || !len || *last < to || *last > g->limit)
		return -EINVAL;
	/* only the limit ends a segment before its end */
	if (len & in_segment && *last != g->limit)
		return -EINVAL;
	return 0;
}

/*
 * Replace what is mapped from @first to @last by @vmaddr on.  What it needs is
 * allocated ahead, so it is done whole or not at all; in steps, for the spinlock's
 * sake.
 */
static int replace(struct mmext_gmap *g, unsigned long first,
		   unsigned long last, unsigned long vmaddr)
{
	unsigned long step = (STEP_SEGMENTS << g->shift) - 1;
	unsigned long steps, end;
	struct gmap_extent *spares = NULL;
	struct place place;
	bool empty = false;
	int err;

	err = add_tables_range(g, first, last);
	if (err)
		return err;

	/* one step may leave to the next what that has to cut again */
	steps = (last - first) / (step + 1) + 1;
	err = alloc_spares(&spares, steps == 1 ?
			   spares_needed(g, first, last, &empty, &place) :
			   3 * steps, GFP_KERNEL_ACCOUNT);
	if (err)
		return err;

	for (;;) {
		end = last - first > step ? first + step : last;
		mmext_gmap_lock(g);
		if (!empty)
			cut_extents(g, first, end, &spares);
		map_words(g, first, end, vmaddr);
		/* the trees are the mutex's, so that the place is still it */
		if (empty)
			add_extent_at(g, &spares, first, vmaddr, end - first,
				      &place);
		else
			add_extent(g, &spares, first, vmaddr, end - first);
		/* who looks into the trees in vain may be under way */
		gmap_unsettle(&g->unsettled);
		mmext_gmap_unlock(g);
		if (end == last)
			break;
		vmaddr += end + 1 - first;
		first = end + 1;
		cond_resched();
	}
	free_spares(spares);
	return 0;
}

/*
 * Nothing is mapped from @first to @last any more.  To have less there is always
 * memory enough; and of what was never mapped there is any amount, and no work.
 */
static void unmap_range(struct mmext_gmap *g, unsigned long first,
			unsigned long last)
{
	unsigned long step = (STEP_SEGMENTS << g->shift) - 1, end;
	struct gmap_extent *spares = NULL, *e;

	while ((e = extent_overlap(g, first, last))) {
		first = max(first, e->gaddr);
		end = last - first > step ? first + step : last;
		/* what is left of two that are cut into */
		alloc_spares(&spares, 2, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL);
		mmext_gmap_lock(g);
		cut_extents(g, first, end, &spares);
		unmap_words(g, first, end);
		mmext_gmap_unlock(g);
		free_spares(spares);
		spares = NULL;
		if (end == last)
			break;
		first = end + 1;
		cond_resched();
	}
}

static int change(struct mmext_gmap *g, unsigned long first,
		  unsigned long last, bool map, unsigned long vmaddr)
{
	int err = 0;

	if (mutex_lock_killable(&g->change))
		return -EINTR;
	if (gmap_gone(g))
		err = -ESRCH;
	else if (map)
		err = replace(g, first, last, vmaddr);
	else
		unmap_range(g, first, last);
	mutex_unlock(&g->change);
	return err;
}

/**
 * mmext_gmap_unmap_segment - unmap segments from a space
 * @gmap: the space
 * @to: guest address, a multiple of the segment size
 * @len: bytes, a multiple of the segment size unless the range ends at the limit
 *
 * What is not mapped is no error.  The parent's memory stays, and so do other
 * segments that name it.  When this returns no window shows the range.
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL misaligned, @len 0, a range that wraps or crosses the limit;
 * -ESRCH the parent has gone; -EINTR.
 */
int mmext_gmap_unmap_segment(struct mmext_gmap *gmap, unsigned long to,
			     unsigned long len)
{
	unsigned long last;

	if (check_segments(gmap, to, len, &last))
		return -EINVAL;
	return change(gmap, to, last, false, 0);
}
EXPORT_SYMBOL_GPL(mmext_gmap_unmap_segment);

/**
 * mmext_gmap_map_segment - map segments into a space
 * @gmap: the space
 * @from: parent address, a multiple of the segment size
 * @to: guest address, a multiple of the segment size
 * @len: bytes, a multiple of the segment size unless the range ends at the limit
 *
 * Replaces what was mapped there.  Whether the parent has anything at @from is not
 * looked at.
 *
 * Differs from gmap_map_segment(): -ENOMEM leaves the space as it was; the last
 * segment below the limit can be mapped.
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL misaligned, @len 0, a range that wraps, crosses the limit or
 * the end of the parent's address space; -ENOMEM with nothing changed; -ESRCH the
 * parent has gone; -EINTR.
 */
int mmext_gmap_map_segment(struct mmext_gmap *gmap, unsigned long from,
			   unsigned long to, unsigned long len)
{
	unsigned long last;

	if (check_segments(gmap, to, len, &last))
		return -EINVAL;
	if (from & gmap_in_segment(gmap) || from + len - 1 < from ||
	    from + len - 1 >= gmap->mm->task_size)
		return -EINVAL;
	return change(gmap, to, last, true, from);
}
EXPORT_SYMBOL_GPL(mmext_gmap_map_segment);

/* From segment to segment. */
static noinline unsigned long contiguous(struct mmext_gmap *g,
					 unsigned long gaddr,
					 unsigned long vmaddr,
					 unsigned long most)
{
	unsigned long at = gaddr, end, len;

	for (;;) {
		end = min(gmap_segment_last(g, at), g->limit);
		len = end - gaddr + 1;
		/* all addresses there are */
		if (!len)
			return ULONG_MAX;
		if (len >= most || end == g->limit ||
		    mmext_gmap_translate(g, end + 1) != vmaddr + len)
			return len;
		at = end + 1;
	}
}

/**
 * mmext_gmap_contiguous - how far a translation goes on
 * @gmap: the space
 * @gaddr: guest address, of any alignment
 * @vmaddr: set to the parent's address
 * @most: bytes after which it is enough
 *
 * Context: any.
 * Return: bytes from @gaddr on that are contiguous in the parent, at least as far as
 * to the end of the segment; 0 if it is not mapped.
 */
unsigned long mmext_gmap_contiguous(struct mmext_gmap *gmap,
				    unsigned long gaddr,
				    unsigned long *vmaddr, unsigned long most)
{
	unsigned long end = gmap_segment_last(gmap, gaddr);

	*vmaddr = translate_living(gmap, gaddr);
	if (IS_ERR_VALUE(*vmaddr))
		return 0;

	/* the most that are asked for at once need no more */
	if (likely(end - gaddr >= most - 1 && end < gmap->limit))
		return end - gaddr + 1;
	return contiguous(gmap, gaddr, *vmaddr, most);
}
EXPORT_SYMBOL_GPL(mmext_gmap_contiguous);

/**
 * mmext_gmap_reverse - the guest addresses of a parent address
 * @gmap: the space
 * @vmaddr: parent address, of any alignment
 * @gaddrs: filled in, in no order
 * @nr: how many there is room for
 *
 * Context: process context.
 * Return: how many there are.
 */
unsigned long mmext_gmap_reverse(struct mmext_gmap *gmap, unsigned long vmaddr,
				 u64 *gaddrs, unsigned long nr)
{
	unsigned long gfirst, glast __maybe_unused, found = 0, *entry;
	struct gmap_extent *e;

	mmext_gmap_lock(gmap);
	gmap_for_each_alias(gmap, e, vmaddr, vmaddr, gfirst, glast) {
		entry = gmap_entry(gmap, gfirst);
		if (!entry || !(*entry & GMAP_MAPPED))
			continue;
		if (found < nr)
			gaddrs[found] = __mmext_gmap_segment_gaddr(entry) +
					(vmaddr & gmap_in_segment(gmap));
		found++;
	}
	mmext_gmap_unlock(gmap);
	return found;
}
EXPORT_SYMBOL_GPL(mmext_gmap_reverse);

/**
 * mmext_gmap_lock - have translations, links and windows of a space stay
 * @gmap: the space
 *
 * Context: process context, or a notifier's callback; interrupts are on.
 */
void mmext_gmap_lock(struct mmext_gmap *gmap)
	__acquires(&gmap->lock)
{
	spin_lock(&gmap->lock);
}
EXPORT_SYMBOL_GPL(mmext_gmap_lock);

/**
 * mmext_gmap_unlock - flush what is due, and let go
 * @gmap: the space
 *
 * The flush is ahead of the unlocking: an entry that somebody else finds cleared is
 * one that no CPU has any more.
 */
void mmext_gmap_unlock(struct mmext_gmap *gmap)
	__releases(&gmap->lock)
{
	gmap_window_flush(gmap);
	spin_unlock(&gmap->lock);
}
EXPORT_SYMBOL_GPL(mmext_gmap_unlock);

static void free_extents(struct mmext_gmap *g)
{
	struct gmap_extent *e;

	while ((e = extent_from(g, 0))) {
		mmext_gmap_lock(g);
		remove_extent(g, e);
		mmext_gmap_unlock(g);
		cond_resched();
	}
}

/**
 * mmext_gmap_create - make a guest space
 * @mm: the parent, on which the caller holds a reference; to be the caller's own
 *	if windows are to be mapped by it
 * @limit: highest guest address, enforced as it is given
 * @shift: log2 of the bytes of a segment, from PAGE_SHIFT to MMEXT_GMAP_MAX_SHIFT
 * @flags: 0 or MMEXT_GMAP_ALLOC_EXCLUSIVE
 *
 * Context: process context, may sleep; takes the mmap lock of @mm for write.
 * Return: the space, with a reference that is the caller's; ERR_PTR: -EINVAL @shift
 * or @flags; -ENOMEM; -EINTR; -ESRCH @mm has no more user space.
 */
struct mmext_gmap *mmext_gmap_create(struct mm_struct *mm, unsigned long limit,
				     unsigned int shift, unsigned int flags)
{
	struct mmext_gmap *g;
	int err = -ENOMEM;

	if (shift < PAGE_SHIFT || shift > MMEXT_GMAP_MAX_SHIFT ||
	    flags & ~MMEXT_GMAP_ALLOC_EXCLUSIVE)
		return ERR_PTR(-EINVAL);

	g = kzalloc(sizeof(*g), GFP_KERNEL_ACCOUNT);
	if (!g)
		return ERR_PTR(-ENOMEM);

	kref_init(&g->ref);
	mutex_init(&g->change);
	spin_lock_init(&g->lock);
	seqcount_spinlock_init(&g->tree_seq, &g->lock);
	g->by_vmaddr = RB_ROOT_CACHED;
	g->by_gaddr = RB_ROOT;
	g->records = RB_ROOT_CACHED;
	xa_init_flags(&g->arms, XA_FLAGS_ACCOUNT);
	xa_init_flags(&g->blocks, XA_FLAGS_ACCOUNT);
	mmext_gmap_view_init(&g->self);
	g->mm = mm;
	g->limit = limit;
	g->shift = shift;
	g->flags = flags;
	while (g->top + TABLE_BITS < BITS_PER_LONG &&
	       limit >> shift >> (g->top + TABLE_BITS))
		g->top += TABLE_BITS;

	g->root = alloc_table(0, shift);
	if (!g->root)
		goto free;

	g->gm = gmap_mm_get(mm);
	if (IS_ERR(g->gm)) {
		err = PTR_ERR(g->gm);
		goto free_root;
	}

	/* from here on invalidations find it */
	spin_lock(&g->gm->lock);
	if (g->gm->gone)
		g->gone = true;
	list_add_tail_rcu(&g->list, &g->gm->spaces);
	spin_unlock(&g->gm->lock);
	rcu_assign_pointer(g->self.current_gmap, g);
	atomic_long_inc(&live_gmaps);
	return g;

free_root:
	free_table(g->root, 0);
free:
	kfree(g);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_GPL(mmext_gmap_create);

/**
 * mmext_gmap_alloc - make a guest space
 * @mm: the parent
 * @limit: highest guest address
 *
 * mmext_gmap_create() with segments of 1 MiB.
 *
 * Differs from gmap_alloc(): @limit is enforced as it is given.
 *
 * Context: as mmext_gmap_create().
 * Return: the space, or NULL.
 */
struct mmext_gmap *mmext_gmap_alloc(struct mm_struct *mm, unsigned long limit)
{
	struct mmext_gmap *g;

	g = mmext_gmap_create(mm, limit, MMEXT_GMAP_DEFAULT_SHIFT, 0);
	return IS_ERR(g) ? NULL : g;
}
EXPORT_SYMBOL_GPL(mmext_gmap_alloc);

/**
 * mmext_gmap_get - take a reference
 * @gmap: the space, which the caller has one to
 *
 * Return: @gmap.
 */
struct mmext_gmap *mmext_gmap_get(struct mmext_gmap *gmap)
{
	kref_get(&gmap->ref);
	return gmap;
}
EXPORT_SYMBOL_GPL(mmext_gmap_get);

/**
 * mmext_gmap_remove - take a space away from everybody
 * @gmap: the space
 *
 * Every window of it is SIGBUS from here on, no callback is made for it any more,
 * and what others do with it is -ESRCH.  It waits for faults and callbacks in
 * flight.  The reference stays the caller's.
 *
 * Context: process context, may sleep; from no callback.
 */
void mmext_gmap_remove(struct mmext_gmap *gmap)
{
	struct gmap_mm *gm = gmap->gm;
	bool first;

	spin_lock(&gm->lock);
	first = !gmap->removed;
	if (first)
		list_del_rcu(&gmap->list);
	gmap->removed = true;
	spin_unlock(&gm->lock);
	if (!first)
		return;

	gmap_window_drop_all(gmap);
	gmap_tell_gone(gmap);
	/* callbacks that found it in the list */
	synchronize_rcu();
}
EXPORT_SYMBOL_GPL(mmext_gmap_remove);

static void release(struct kref *ref)
{
	struct mmext_gmap *g = container_of(ref, struct mmext_gmap, ref);

	mmext_gmap_remove(g);
	free_extents(g);
	free_table(g->root, g->top);
	xa_destroy(&g->arms);
	gmap_blocks_free(g);
	gmap_mm_put(g->gm);
	kfree_rcu(g, rcu);
	atomic_long_dec(&live_gmaps);
}

/**
 * mmext_gmap_put - drop a reference
 * @gmap: the space, which goes with the last
 *
 * Context: process context, may sleep; from no callback.
 */
void mmext_gmap_put(struct mmext_gmap *gmap)
{
	kref_put(&gmap->ref, release);
}
EXPORT_SYMBOL_GPL(mmext_gmap_put);

/**
 * mmext_gmap_free - free a guest space
 * @gmap: the space; the caller's reference goes
 *
 * Whoever else has a reference has an empty shell.
 *
 * Differs from gmap_free(): others may have references.
 *
 * Context: as mmext_gmap_remove().
 */
void mmext_gmap_free(struct mmext_gmap *gmap)
{
	mmext_gmap_remove(gmap);
	mmext_gmap_put(gmap);
}
EXPORT_SYMBOL_GPL(mmext_gmap_free);

/**
 * mmext_gmap_gone - has the parent gone, or was the space removed
 * @gmap: the space
 *
 * Context: any.
 */
bool mmext_gmap_gone(struct mmext_gmap *gmap)
{
	return gmap_gone(gmap);
}
EXPORT_SYMBOL_GPL(mmext_gmap_gone);

/**
 * mmext_gmap_parent - the parent of a space
 * @gmap: the space
 *
 * Return: its mm; good for comparisons, unless the caller knows more.
 */
struct mm_struct *mmext_gmap_parent(struct mmext_gmap *gmap)
{
	return gmap->mm;
}
EXPORT_SYMBOL_GPL(mmext_gmap_parent);

/**
 * __mmext_gmap_info - what a space is and has done
 * @gmap: the space
 * @info: filled in
 *
 * Context: space->lock (mmext_gmap_lock()).
 */
void __mmext_gmap_info(struct mmext_gmap *gmap, struct mmext_gmap_info *info)
{
	*info = (struct mmext_gmap_info) {
		.limit = gmap->limit,
		.shift = gmap->shift,
		.flags = gmap->flags,
		.segments = gmap->nr_segments,
		.linked = gmap->nr_linked,
		.armed = gmap->nr_armed,
		.records = gmap->nr_records,
		.inserted = gmap->stats.inserted,
		.cleared = gmap->stats.cleared,
		.faults = gmap->stats.faults,
		.retries = gmap->stats.retries,
		.events = gmap->stats.events,
		.notified = gmap->stats.notified,
	};
}
EXPORT_SYMBOL_GPL(__mmext_gmap_info);

/**
 * mmext_gmap_info - what a space is and has done
 * @gmap: the space
 * @info: filled in
 */
void mmext_gmap_info(struct mmext_gmap *gmap, struct mmext_gmap_info *info)
{
	spin_lock(&gmap->lock);
	__mmext_gmap_info(gmap, info);
	spin_unlock(&gmap->lock);
}
EXPORT_SYMBOL_GPL(mmext_gmap_info);

/**
 * mmext_gmap_limit - the highest guest address of a space
 * @gmap: the space
 *
 * Context: any.
 */
unsigned long mmext_gmap_limit(struct mmext_gmap *gmap)
{
	return gmap->limit;
}
EXPORT_SYMBOL_GPL(mmext_gmap_limit);
