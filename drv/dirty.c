// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log of a region: which offsets were changed since somebody asked.
 *
 * The rule that it stands on: no entry of any page table lets a tracked offset
 * be stored to unless the offset is marked.  So the first store to it is a
 * fault, and the fault marks it before it lets the store happen
 * (region_dirty_mark()).  To clear a mark is to take it out first, and then the
 * right to store from every entry, with a flush; both inside of an invalidation,
 * for faults that do not take region->lock, and under the lock for write, for
 * everything that does.
 *
 * Nothing is allocated but by START, and nothing that marks can fail.
 */
#include <linux/bitmap.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "region.h"

/**
 * struct dirty_block - a part of the log
 * @rcu: faults look at it without a lock
 * @tracked: offsets that are tracked, at least one of them
 * @marks: offsets that were changed; of those that are tracked
 *
 * In region->dirty by page index / DIRTY_PAGES.  @tracked and which blocks there
 * are change under region->lock held for write, @marks is cleared under that,
 * and set with the lock held for read.
 */
struct dirty_block {
	struct rcu_head rcu;
	DECLARE_BITMAP(tracked, DIRTY_PAGES);
	DECLARE_BITMAP(marks, DIRTY_PAGES);
};

/* What it takes of the memory, and of the limit: sizes of kmalloc() double. */
#define BLOCK_BYTES	2048

static struct dirty_block *find_block(struct region *r, pgoff_t index)
{
	BUILD_BUG_ON(sizeof(struct dirty_block) > BLOCK_BYTES);

	return xa_load(&r->dirty, index / DIRTY_PAGES);
}

/* How many of @nr pages at @first are in the same block. */
static unsigned long pages_in_block(pgoff_t first, unsigned long nr)
{
	return min(nr, DIRTY_PAGES - first % DIRTY_PAGES);
}

/* Bytes that the log of a range takes at most. */
u64 region_dirty_bytes(pgoff_t first, unsigned long nr)
{
	if (!nr)
		return 0;
	return ((u64)(first + nr - 1) / DIRTY_PAGES - first / DIRTY_PAGES + 1) *
	       BLOCK_BYTES;
}

void __region_dirty_mark(struct region *r, pgoff_t index)
{
	struct dirty_block *b = find_block(r, index);
	unsigned long bit = index % DIRTY_PAGES;

	if (b && test_bit(bit, b->tracked) && !test_bit(bit, b->marks))
		set_bit(bit, b->marks);
}

bool __region_dirty_clean(struct region *r, pgoff_t index)
{
	unsigned long bit = index % DIRTY_PAGES;
	struct dirty_block *b;
	bool clean;

	rcu_read_lock();
	b = find_block(r, index);
	clean = b && test_bit(bit, b->tracked) && !test_bit(bit, b->marks);
	rcu_read_unlock();
	return clean;
}

/**
 * region_dirty_any_clean - is there an offset that is tracked, and not marked
 * @r: the region
 * @first: page index, a multiple of BITS_PER_LONG
 * @nr: pages, another
 *
 * Context: as region_page().
 */
bool region_dirty_any_clean(struct region *r, pgoff_t first, unsigned long nr)
{
	unsigned long i, n, clean = 0;
	struct dirty_block *b;

	if (likely(xa_empty(&r->dirty)))
		return false;

	rcu_read_lock();
	for (; nr && !clean; first += n, nr -= n) {
		n = pages_in_block(first, nr);
		b = find_block(r, first);
		for (i = first % DIRTY_PAGES; b && i < first % DIRTY_PAGES + n;
		     i += BITS_PER_LONG)
			clean |= READ_ONCE(b->tracked[BIT_WORD(i)]) &
				 ~READ_ONCE(b->marks[BIT_WORD(i)]);
	}
	rcu_read_unlock();
	return clean;
}

static struct dirty_block *add_block(struct region *r, pgoff_t index)
{
	struct dirty_block *b;
	int err;

	err = region_charge(BLOCK_BYTES);
	if (err)
		return ERR_PTR(err);

	err = -ENOMEM;
	b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	if (!b)
		goto uncharge;

	err = xa_err(xa_store(&r->dirty, index / DIRTY_PAGES, b, GFP_KERNEL));
	if (!err)
		return b;

	kfree(b);
uncharge:
	region_uncharge(BLOCK_BYTES);
	return ERR_PTR(err);
}

static void drop_block(struct region *r, pgoff_t index, struct dirty_block *b)
{
	xa_erase(&r->dirty, index / DIRTY_PAGES);
	region_uncharge(BLOCK_BYTES);
	kfree_rcu(b, rcu);
}

/*
 * Take the right to store from the entries of those pages of a block that are in
 * @only, from bit @first to bit @last.
 */
static int wrprotect(struct region *r, pgoff_t block, unsigned long first,
		     unsigned long last, const unsigned long *only)
{
	/* the bitmap begins where an element does */
	first = round_down(first, BITS_PER_LONG);
	return mmext_wrprotect_mapping_pages(r->inode->i_mapping, block + first,
					     last - first + 1,
					     only + first / BITS_PER_LONG);
}

/**
 * region_dirty_start - track pages
 * @r: the region
 * @first: page index
 * @nr: pages
 *
 * Context: region->lock for write.
 * Return: pages done, from @first on, at least 1; or a negative error.
 */
long region_dirty_start(struct region *r, pgoff_t first, unsigned long nr)
{
	struct dirty_block *b = find_block(r, first);
	unsigned long bit = first % DIRTY_PAGES;
	DECLARE_BITMAP(fresh, DIRTY_PAGES);
	int err;

	nr = pages_in_block(first, nr);
	if (!b)
		b = add_block(r, first);
	if (IS_ERR(b))
		return PTR_ERR(b);

	bitmap_zero(fresh, DIRTY_PAGES);
	bitmap_set(fresh, bit, nr);
	bitmap_andnot(fresh, fresh, b->tracked, DIRTY_PAGES);
	if (bitmap_empty(fresh, DIRTY_PAGES))
		return nr;

	mmext_invalidate_begin(&r->map);
	bitmap_or(b->tracked, b->tracked, fresh, DIRTY_PAGES);
	err = wrprotect(r, first - bit, bit, bit + nr - 1, fresh);
	mmext_invalidate_end(&r->map);

	return err ?: (long)nr;
}

/**
 * region_dirty_stop - do not track pages
 * @r: the region
 * @first: page index
 * @nr: pages
 *
 * Entries stay read-only; the next store is a fault and changes that.
 *
 * Context: region->lock for write.
 * Return: pages done, from @first on, at least 1.
 */
unsigned long region_dirty_stop(struct region *r, pgoff_t first,
				unsigned long nr)
{
	struct dirty_block *b = find_block(r, first);

	if (!b)
		return region_dirty_next(r, first, first + nr - 1) - first;

	nr = pages_in_block(first, nr);
	bitmap_clear(b->tracked, first % DIRTY_PAGES, nr);
	bitmap_clear(b->marks, first % DIRTY_PAGES, nr);
	if (bitmap_empty(b->tracked, DIRTY_PAGES))
		drop_block(r, first, b);
	return nr;
}

/**
 * region_dirty_next - skip what has no log
 * @r: the region
 * @first: page index
 * @last: page index
 *
 * Context: region->lock, at least for read.
 * Return: the index, from @first on, that a part of the log begins at; @last + 1
 * if there is none up to @last.
 */
pgoff_t region_dirty_next(struct region *r, pgoff_t first, pgoff_t last)
{
	unsigned long block = first / DIRTY_PAGES;

	if (!xa_find(&r->dirty, &block, last / DIRTY_PAGES, XA_PRESENT))
		return last + 1;
	return max(first, block * DIRTY_PAGES);
}

/**
 * region_dirty_peek - read the marks of pages
 * @r: the region
 * @first: page index
 * @nr: pages
 * @marks: bitmap of DIRTY_PAGES bits: bit n is the page whose index is n modulo
 *	DIRTY_PAGES; of those elements that the range is in, filled in, zero
 *	outside of the range
 *
 * Context: region->lock, at least for read.
 * Return: pages done, from @first on, at least 1, all of one block.
 */
unsigned long region_dirty_peek(struct region *r, pgoff_t first,
				unsigned long nr, unsigned long *marks)
{
	struct dirty_block *b = find_block(r, first);
	unsigned long bit = first % DIRTY_PAGES, end, from, n;

	nr = pages_in_block(first, nr);
	end = bit + nr;
	from = bit / BITS_PER_LONG;
	n = BITS_TO_LONGS(end) - from;
	if (!b) {
		memset(marks + from, 0, n * sizeof(*marks));
		return nr;
	}

	memcpy(marks + from, b->marks + from, n * sizeof(*marks));
	marks[from] &= BITMAP_FIRST_WORD_MASK(bit);
	marks[from + n - 1] &= BITMAP_LAST_WORD_MASK(end);
	return nr;
}

/**
 * region_dirty_clear - clear marks, so that the next store sets them again
 * @r: the region
 * @first: page index
 * @nr: pages, all of one block
 * @marks: as region_dirty_peek() filled it; those outside of the range are not
 *	there any more afterwards
 *
 * Context: region->lock for write, held since region_dirty_peek().
 * Return: 0; or what mmext_wrprotect_mapping_pages() says, with all marks left.
 */
int region_dirty_clear(struct region *r, pgoff_t first, unsigned long nr,
		       unsigned long *marks)
{
	struct dirty_block *b = find_block(r, first);
	unsigned long bit = first % DIRTY_PAGES, end = bit + nr, i;
	unsigned long low, high;
	int err;

	if (!b || !nr)
		return 0;
	low = find_next_bit(marks, end, bit);
	if (low >= end)
		return 0;

	high = (end - 1) / BITS_PER_LONG;
	marks[high] &= BITMAP_LAST_WORD_MASK(end);
	while (!marks[high])
		high--;

	mmext_invalidate_begin(&r->map);
	for (i = low / BITS_PER_LONG; i <= high; i++)
		b->marks[i] &= ~marks[i];
	err = wrprotect(r, first - bit, low,
			high * BITS_PER_LONG + __fls(marks[high]), marks);
	if (err) {
		for (i = low / BITS_PER_LONG; i <= high; i++)
			b->marks[i] |= marks[i];
	}
	mmext_invalidate_end(&r->map);
	return err;
}

/**
 * region_dirty_restore - set marks again that nobody got to see
 * @r: the region
 * @first: page index
 * @nr: pages, all of one block
 * @marks: as region_dirty_clear() cleared them
 *
 * Context: takes region->lock.
 */
void region_dirty_restore(struct region *r, pgoff_t first, unsigned long nr,
			  const unsigned long *marks)
{
	unsigned long bit = first % DIRTY_PAGES, end = bit + nr, i;

	down_read(&r->lock);
	for (i = find_next_bit(marks, end, bit); i < end;
	     i = find_next_bit(marks, end, i + 1))
		region_dirty_mark(r, first - bit + i);
	up_read(&r->lock);
}

/**
 * region_dirty_free - there is no log any more
 * @r: the region
 *
 * Context: region->lock for write, or nobody else has the region.
 */
void region_dirty_free(struct region *r)
{
	unsigned long index;
	struct dirty_block *b;

	xa_for_each(&r->dirty, index, b) {
		drop_block(r, index * DIRTY_PAGES, b);
		cond_resched();
	}
	xa_destroy(&r->dirty);
}
