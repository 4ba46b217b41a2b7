// SPDX-License-Identifier: GPL-2.0
/*
 * Which guest pages were stored to, and which were accessed, since somebody asked.
 *
 * The rule: a tracked page that was stored to is marked, or an entry of a window is
 * dirty.  The hardware makes it so, without a fault; whoever takes an entry away, or
 * the right to store, marks the page.  To take a mark out is to have the entries of
 * every window clean again, and flushed, in one hold of space->lock: what is given out
 * is read after that.  All of it is under that lock, and allocates nothing but ahead.
 */
#include <linux/bitmap.h>
#include <linux/export.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "engine.h"
#include "gmap.h"

/**
 * struct gmap_block - a part of the log
 * @tracked: pages that are tracked
 * @marks: pages that were stored to; of those that are tracked
 * @young: pages that were accessed, but for what entries still tell
 *
 * In space->blocks by guest page / GMAP_BLOCK_PAGES.
 */
struct gmap_block {
	DECLARE_BITMAP(tracked, GMAP_BLOCK_PAGES);
	DECLARE_BITMAP(marks, GMAP_BLOCK_PAGES);
	DECLARE_BITMAP(young, GMAP_BLOCK_PAGES);
};

static struct gmap_block *find_block(struct mmext_gmap *g, unsigned long page)
{
	return xa_load(&g->blocks, page / GMAP_BLOCK_PAGES);
}

static unsigned long pages_in_block(unsigned long first, unsigned long nr)
{
	return min(nr, GMAP_BLOCK_PAGES - first % GMAP_BLOCK_PAGES);
}

static int add_block(struct mmext_gmap *g, unsigned long page)
{
	struct gmap_block *b;
	void *old;

	if (find_block(g, page))
		return 0;
	b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	if (!b)
		return -ENOMEM;

	old = xa_cmpxchg(&g->blocks, page / GMAP_BLOCK_PAGES, NULL, b,
			 GFP_KERNEL);
	if (old)
		kfree(b);
	return xa_err(old);
}

/* Have room for what is to be said of a guest range; blocks stay with the space. */
int gmap_block_prepare(struct mmext_gmap *g, unsigned long gfirst,
		       unsigned long glast)
{
	int err = add_block(g, gfirst >> PAGE_SHIFT);

	return err ?: add_block(g, glast >> PAGE_SHIFT);
}

/**
 * gmap_dirty_mark - a guest page was stored to, or can be from here on
 * @g: the space
 * @gaddr: guest address
 *
 * Context: space->lock.
 */
void gmap_dirty_mark(struct mmext_gmap *g, unsigned long gaddr)
{
	unsigned long page = gaddr >> PAGE_SHIFT;
	struct gmap_block *b = find_block(g, page);

	if (b && test_bit(page % GMAP_BLOCK_PAGES, b->tracked))
		__set_bit(page % GMAP_BLOCK_PAGES, b->marks);
}

/* An entry that was accessed goes.  Context: space->lock. */
void gmap_young_mark(struct mmext_gmap *g, unsigned long gaddr)
{
	unsigned long page = gaddr >> PAGE_SHIFT;
	struct gmap_block *b = find_block(g, page);

	if (b)
		__set_bit(page % GMAP_BLOCK_PAGES, b->young);
}

void gmap_blocks_free(struct mmext_gmap *g)
{
	unsigned long index;
	struct gmap_block *b;

	xa_for_each(&g->blocks, index, b) {
		xa_erase(&g->blocks, index);
		kfree(b);
		cond_resched();
	}
	xa_destroy(&g->blocks);
}

static unsigned long page_addr(unsigned long page)
{
	return page << PAGE_SHIFT;
}

/* Mark what windows know of pages of a block that are tracked, from @bit to @end. */
static void find_stores(struct mmext_gmap *g, struct gmap_block *b,
			unsigned long page, unsigned long bit,
			unsigned long end)
{
	unsigned long base = page - page % GMAP_BLOCK_PAGES;

	bit = find_next_bit(b->tracked, end, bit);
	if (bit < end)
		gmap_window_mark(g, page_addr(base + bit),
				 page_addr(base + end) - 1, b->tracked,
				 b->marks, base);
}

/* The next store to pages of a block is news: those of [bit, end) in @only. */
static void clean(struct mmext_gmap *g, unsigned long page, unsigned long bit,
		  unsigned long end, const unsigned long *only)
{
	unsigned long base = page - page % GMAP_BLOCK_PAGES;

	bit = find_next_bit(only, end, bit);
	if (bit < end)
		gmap_window_clean(g, page_addr(base + bit),
				  page_addr(base + end) - 1, only, base);
}

/**
 * mmext_gmap_dirty_start - track guest pages
 * @gmap: the space
 * @first: guest page
 * @nr: pages, at least 1
 *
 * Context: process context, may sleep.
 * Return: pages done, from @first on, at least 1; -ENOMEM.
 */
long mmext_gmap_dirty_start(struct mmext_gmap *gmap, unsigned long first,
			    unsigned long nr)
{
	unsigned long bit = first % GMAP_BLOCK_PAGES;
	DECLARE_BITMAP(fresh, GMAP_BLOCK_PAGES);
	struct gmap_block *b;
	int err;

	nr = pages_in_block(first, nr);
	err = add_block(gmap, first);
	if (err)
		return err;

	bitmap_zero(fresh, GMAP_BLOCK_PAGES);
	bitmap_set(fresh, bit, nr);

	mmext_gmap_lock(gmap);
	b = find_block(gmap, first);
	bitmap_andnot(fresh, fresh, b->tracked, GMAP_BLOCK_PAGES);
	bitmap_or(b->tracked, b->tracked, fresh, GMAP_BLOCK_PAGES);
	clean(gmap, first, bit, bit + nr, fresh);
	mmext_gmap_unlock(gmap);
	return nr;
}
EXPORT_SYMBOL_GPL(mmext_gmap_dirty_start);

/**
 * mmext_gmap_dirty_stop - do not track guest pages, and forget their marks
 * @gmap: the space
 * @first: guest page
 * @nr: pages, at least 1
 *
 * Context: process context.
 * Return: pages done, from @first on, at least 1.
 */
long mmext_gmap_dirty_stop(struct mmext_gmap *gmap, unsigned long first,
			   unsigned long nr)
{
	unsigned long bit = first % GMAP_BLOCK_PAGES;
	struct gmap_block *b;

	nr = pages_in_block(first, nr);
	spin_lock(&gmap->lock);
	b = find_block(gmap, first);
	if (b) {
		bitmap_clear(b->tracked, bit, nr);
		bitmap_clear(b->marks, bit, nr);
	}
	spin_unlock(&gmap->lock);
	return nr;
}
EXPORT_SYMBOL_GPL(mmext_gmap_dirty_stop);

/**
 * mmext_gmap_dirty_next - skip what has no log
 * @gmap: the space
 * @first: guest page
 * @last: guest page
 *
 * Context: any.
 * Return: the page, from @first on, that a part of the log begins at; @last + 1 if
 * there is none up to @last.
 */
unsigned long mmext_gmap_dirty_next(struct mmext_gmap *gmap,
				    unsigned long first, unsigned long last)
{
	unsigned long block = first / GMAP_BLOCK_PAGES;

	if (!xa_find(&gmap->blocks, &block, last / GMAP_BLOCK_PAGES,
		     XA_PRESENT))
		return last + 1;
	return max(first, block * GMAP_BLOCK_PAGES);
}
EXPORT_SYMBOL_GPL(mmext_gmap_dirty_next);

/* Copy those elements of a bitmap that pages are in, without what is not theirs. */
static void copy_bits(unsigned long *to, const unsigned long *from,
		      unsigned long bit, unsigned long end)
{
	unsigned long i = bit / BITS_PER_LONG, n = BITS_TO_LONGS(end) - i;

	if (from)
		memcpy(to + i, from + i, n * sizeof(*to));
	else
		memset(to + i, 0, n * sizeof(*to));
	to[i] &= BITMAP_FIRST_WORD_MASK(bit);
	to[i + n - 1] &= BITMAP_LAST_WORD_MASK(end);
}

/**
 * mmext_gmap_dirty_get - read marks, and clear them
 * @gmap: the space
 * @first: guest page
 * @nr: pages, at least 1
 * @marks: bitmap of MMEXT_GMAP_BLOCK_PAGES bits: bit n is the page whose number is n
 *	modulo that; of those elements that the range is in, filled in, zero outside of
 *	the range
 * @limit: said for what was found, how many of the pages are to be cleared, see
 *	@clear; NULL: all that there is room for
 * @arg: for @limit
 * @clear: so that the next store sets them again
 *
 * Context: process context.
 * Return: pages done, from @first on, all of one block.
 */
unsigned long mmext_gmap_dirty_get(struct mmext_gmap *gmap,
				   unsigned long first, unsigned long nr,
				   unsigned long *marks,
				   unsigned long (*limit)(void *arg,
							  unsigned long first,
							  unsigned long nr),
				   void *arg, bool clear)
{
	unsigned long bit = first % GMAP_BLOCK_PAGES, end, i;
	struct gmap_block *b;

	nr = pages_in_block(first, nr);
	mmext_gmap_lock(gmap);
	b = find_block(gmap, first);
	if (b)
		find_stores(gmap, b, first, bit, bit + nr);
	copy_bits(marks, b ? b->marks : NULL, bit, bit + nr);
	if (limit)
		nr = limit(arg, first, nr);
	if (b && clear && nr) {
		end = bit + nr;
		copy_bits(marks, marks, bit, end);
		for (i = bit / BITS_PER_LONG; i < BITS_TO_LONGS(end); i++)
			b->marks[i] &= ~marks[i];
		clean(gmap, first, bit, end, marks);
	}
	mmext_gmap_unlock(gmap);
	return nr;
}
EXPORT_SYMBOL_GPL(mmext_gmap_dirty_get);

/**
 * mmext_gmap_dirty_restore - set marks again that nobody got to see
 * @gmap: the space
 * @first: guest page
 * @nr: pages, all of one block
 * @marks: as mmext_gmap_dirty_get() filled it
 *
 * Context: process context.
 */
void mmext_gmap_dirty_restore(struct mmext_gmap *gmap, unsigned long first,
			      unsigned long nr, const unsigned long *marks)
{
	unsigned long bit = first % GMAP_BLOCK_PAGES, end = bit + nr, i;

	spin_lock(&gmap->lock);
	for (i = find_next_bit(marks, end, bit); i < end;
	     i = find_next_bit(marks, end, i + 1))
		gmap_dirty_mark(gmap, page_addr(first - bit + i));
	spin_unlock(&gmap->lock);
}
EXPORT_SYMBOL_GPL(mmext_gmap_dirty_restore);

/**
 * mmext_gmap_age - which pages were accessed through windows since the last call
 * @gmap: the space
 * @first: guest page
 * @nr: pages, at least 1
 * @young: bitmap as for mmext_gmap_dirty_get(), filled in
 *
 * Context: process context.
 * Return: pages done, from @first on, all of one block.
 */
unsigned long mmext_gmap_age(struct mmext_gmap *gmap, unsigned long first,
			     unsigned long nr, unsigned long *young)
{
	unsigned long bit = first % GMAP_BLOCK_PAGES;
	struct gmap_block *b;

	nr = pages_in_block(first, nr);
	mmext_gmap_lock(gmap);
	gmap_window_age(gmap, page_addr(first), page_addr(first + nr) - 1);
	b = find_block(gmap, first);
	copy_bits(young, b ? b->young : NULL, bit, bit + nr);
	if (b)
		bitmap_clear(b->young, bit, nr);
	mmext_gmap_unlock(gmap);
	return nr;
}
EXPORT_SYMBOL_GPL(mmext_gmap_age);
