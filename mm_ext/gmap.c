// SPDX-License-Identifier: GPL-2.0
/*
 * Guest spaces: their life, and what is mapped where.
 */
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include <uapi/linux/mmext.h>

#include "engine.h"
#include "gmap.h"

#define TABLE_BITS	(PAGE_SHIFT - 3)
#define TABLE_SIZE	BIT(TABLE_BITS)
#define TABLE_MASK	(TABLE_SIZE - 1)

/* Segments that are mapped or unmapped in one hold of the spinlock. */
#define STEP_SEGMENTS	16384UL

/* Pieces that are, each of which is looked at before. */
#define STEP_PIECES	1024U

/* Steps that are looked for words, in vain, before others may run; two at least. */
#define UNMAP_STEPS	512U

/* Segments that are one alias at most; who wants the first of many looks no further. */
#define ROW_SEGMENTS	16

static atomic_long_t live_gmaps = ATOMIC_LONG_INIT(0);

long mmext_live_gmaps(void)
{
	return atomic_long_read(&live_gmaps);
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_live_gmaps);

/*
 * Tables.  A table is a page, so that where a word is says which it is: of segments,
 * what the first one is of and the size of a segment is in its private; of names, how
 * many there are in it.
 */

static unsigned long *alloc_table(unsigned long private)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!page)
		return NULL;
	set_page_private(page, private);
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

static void free_tree(struct gmap_tree *t)
{
	free_table(t->root, t->top);
}

/* A tree of words up to @last. */
static void init_tree(struct gmap_tree *t, unsigned long last)
{
	t->last = last;
	while (t->top + TABLE_BITS < BITS_PER_LONG &&
	       last >> (t->top + TABLE_BITS))
		t->top += TABLE_BITS;
}

/* The table of a word that is in the tree's range; or NULL, and the @level of the hole. */
static __always_inline unsigned long *tree_table(const struct gmap_tree *t,
						 unsigned long index,
						 unsigned int *level)
{
	unsigned long *table = READ_ONCE(t->root);

	for (*level = t->top; *level && table; *level -= TABLE_BITS) {
		/* pairs with the release in add_tables() */
		table = (unsigned long *)
			READ_ONCE(table[(index >> *level % BITS_PER_LONG) &
					TABLE_MASK]);
		if (!table)
			break;
	}
	return table;
}

static __always_inline unsigned long *tree_word(const struct gmap_tree *t,
						unsigned long index)
{
	unsigned int level;
	unsigned long *table = tree_table(t, index, &level);

	return table ? table + (index & TABLE_MASK) : NULL;
}

static __always_inline unsigned long *word_of(const struct mmext_gmap *g,
					      unsigned long gaddr)
{
	if (unlikely(gaddr > g->limit))
		return NULL;
	return tree_word(&g->words, gaddr >> (g->shift % BITS_PER_LONG));
}

/*
 * The first word that is not 0, from *@index up to @last; NULL: there is none.
 * @counted: of names, whose tables say how many they have.
 * @steps: how many are taken, each over a table or over what there is none for.  If
 * none is left, *@index is where to go on.  NULL: as many as it takes.
 *
 * Context: any; without the lock, for an answer that is checked.
 */
static __always_inline unsigned long *
find_word(const struct gmap_tree *t, unsigned long *index, unsigned long last,
	  bool counted, unsigned int *steps)
{
	unsigned long *table, i = *index;
	unsigned int level;

	last = min(last, t->last);
	while (i <= last) {
		if (steps) {
			*index = i;
			if (!*steps)
				return NULL;
			--*steps;
		}
		table = tree_table(t, i, &level);
		if (table && counted && !READ_ONCE(virt_to_page(table)->private))
			table = NULL;
		/* to the end of the table, or of what there is none for */
		do {
			if (!table) {
				i |= BIT(max_t(unsigned int, level,
					       TABLE_BITS)) - 1;
			} else if (READ_ONCE(table[i & TABLE_MASK])) {
				*index = i;
				return table + (i & TABLE_MASK);
			}
			if (i >= last)
				return NULL;
			i++;
		} while (i & TABLE_MASK);
	}
	return NULL;
}

static unsigned long *next_word(const struct gmap_tree *t, unsigned long *index,
				unsigned long last, bool counted)
{
	return find_word(t, index, last, counted, NULL);
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

/* What a new table's private is. */
static unsigned long table_private(const struct mmext_gmap *g,
				   const struct gmap_tree *t,
				   unsigned long first)
{
	return t == &g->words ? first << g->shift | g->shift : 0;
}

/* Have a table for a word. */
static int add_tables(struct mmext_gmap *g, struct gmap_tree *t,
		      unsigned long index)
{
	unsigned long **slot = &t->root, *new;
	unsigned int level = t->top + TABLE_BITS;

	for (;;) {
		if (!*slot) {
			new = alloc_table(table_private(g, t, level < BITS_PER_LONG ?
							index >> level << level : 0));
			if (!new)
				return -ENOMEM;
			/* its zeroes before the table */
			smp_store_release(slot, new);
		}
		level -= TABLE_BITS;
		if (!level)
			return 0;
		slot = (unsigned long **)*slot + ((index >> level) & TABLE_MASK);
	}
}

static int add_tables_range(struct mmext_gmap *g, struct gmap_tree *t,
			    unsigned long first, unsigned long last)
{
	int err;

	for (;;) {
		err = add_tables(g, t, first);
		if (err)
			return err;
		first |= TABLE_MASK;
		if (first >= last)
			return 0;
		first++;
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

/*
 * Names: which guest segments show a segment of the parent's.  Mostly it is one, and
 * its address is the word; where there are more they are a list, by two words each
 * in a third tree.  Names change under space->lock.
 */

/* The words of the next and the one before it in the list; NULL: it is by itself. */
static unsigned long *link_of(const struct mmext_gmap *g, unsigned long gaddr)
{
	return g->links.root ?
	       tree_word(&g->links, gaddr >> g->shift << 1) : NULL;
}

static unsigned long name_segment(unsigned long name)
{
	return name & ~GMAP_WORD_BITS;
}

static void count_name(unsigned long *name, int by)
{
	struct page *page = virt_to_page(name);

	WRITE_ONCE(page->private, page->private + by);
}

/* There is room, see prepare(). */
static void add_name(struct mmext_gmap *g, unsigned long *name,
		     unsigned long gaddr)
{
	unsigned long self = gaddr | GMAP_MAPPED;

	if (*name) {
		link_of(g, gaddr)[0] = *name;
		link_of(g, name_segment(*name))[1] = self;
	} else {
		count_name(name, 1);
	}
	WRITE_ONCE(*name, self);
}

static void remove_name(struct mmext_gmap *g, unsigned long *name,
			unsigned long gaddr)
{
	unsigned long *link = link_of(g, gaddr);
	unsigned long next = link ? link[0] : 0, prev = link ? link[1] : 0;

	if (next)
		link_of(g, name_segment(next))[1] = prev;
	if (prev)
		link_of(g, name_segment(prev))[0] = next;
	else
		WRITE_ONCE(*name, next);
	if (!next && !prev)
		count_name(name, -1);
	if (link) {
		link[0] = 0;
		link[1] = 0;
	}
}

static unsigned long *name_of(const struct mmext_gmap *g, unsigned long vmaddr)
{
	return tree_word(&g->names, vmaddr >> g->shift);
}

/**
 * gmap_is_named - does a segment show something of a range of the parent's
 * @g: the space
 * @first: parent address
 * @last: parent address
 *
 * Context: space->lock; or a section of RCU, for an answer that is checked.
 */
bool gmap_is_named(const struct mmext_gmap *g, unsigned long first,
		   unsigned long last)
{
	unsigned int shift = g->shift % BITS_PER_LONG;
	unsigned long index = first >> shift, *name;

	/* mostly it is a page, or a few */
	if (likely(index == last >> shift)) {
		if (index > g->names.last)
			return false;
		name = tree_word(&g->names, index);
		return name && READ_ONCE(*name);
	}
	return next_word(&g->names, &index, last >> shift, true);
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_is_named);

/* Is the next one shown by one segment alone, in a row with what @a is of? */
static bool goes_on(const struct mmext_gmap *g, const struct gmap_alias *a,
		    const unsigned long *name, unsigned long gaddr)
{
	unsigned long *link;

	/* of the same table, so that it is the next word; and not around the end */
	if (!(a->index & TABLE_MASK) || !gaddr ||
	    *name != (gaddr | GMAP_MAPPED))
		return false;
	link = link_of(g, gaddr);
	return !link || !link[0];
}

/**
 * gmap_next_alias - what shows a range of the parent's: the next
 * @g: the space
 * @a: where it is
 * @first: parent address
 * @last: parent address
 *
 * Context: space->lock.
 * Return: false there is none.
 */
bool gmap_next_alias(struct mmext_gmap *g, struct gmap_alias *a,
		     unsigned long first, unsigned long last)
{
	unsigned long in_segment = gmap_in_segment(g), name, *at, *link;
	unsigned long vmaddr, gaddr, row;

	for (;;) {
		at = NULL;
		name = a->chain;
		if (!name) {
			at = next_word(&g->names, &a->index, last >> g->shift,
				       true);
			if (!at)
				return false;
			name = *at;
			a->segment = a->index++ << g->shift;
		}
		vmaddr = a->segment;
		gaddr = name_segment(name);
		link = link_of(g, gaddr);
		a->chain = link ? link[0] : 0;
		a->vmaddr = max(first, vmaddr);
		a->gfirst = gaddr + (a->vmaddr - vmaddr);

		row = a->index + ROW_SEGMENTS - 1;
		while (at && !a->chain && a->index < row &&
		       a->index <= last >> g->shift &&
		       goes_on(g, a, ++at, gaddr + in_segment + 1)) {
			a->index++;
			gaddr += in_segment + 1;
			vmaddr += in_segment + 1;
		}
		/* only the limit ends a segment before its end */
		a->glast = min(gaddr + min(in_segment, last - vmaddr),
			       g->limit);
		if (a->gfirst <= a->glast)
			return true;
	}
}

/*
 * Nothing of a range is in any window any more, nor in a TLB: before it is nobody's
 * concern what becomes of the parent's pages.  Nothing comes back as long as the lock
 * is held.
 */
static void take_out(struct mmext_gmap *g, unsigned long first,
		     unsigned long last)
{
	if (g->nr_linked)
		gmap_window_clear(g, first, last);
	/* or of what was unlinked in the same hold */
	gmap_window_flush(g);
}

/*
 * Give a segment that was taken out another translation, or with 0 none, in one step
 * for those who look it up without a lock.  Its arms go, with an event each, and then
 * what would have told of them.  Returns whether it was linked.
 */
static bool set_word(struct mmext_gmap *g, unsigned long gaddr,
		     unsigned long *entry, unsigned long word)
{
	unsigned long old = *entry;

	g->seq++;
	gmap_fire_range(g, gaddr, gmap_segment_last(g, gaddr));
	if (old)
		remove_name(g, name_of(g, old), gaddr);
	WRITE_ONCE(*entry, word);
	if (word)
		add_name(g, name_of(g, word), gaddr);
	g->nr_segments += !!word - !!old;
	g->nr_linked -= !!(old & GMAP_LINKED);
	return old & GMAP_LINKED;
}

/**
 * __mmext_gmap_unmap_by_gaddr - unmap a segment by its guest address
 * @gmap: the space
 * @gaddr: guest address, of any alignment
 *
 * The segment's entries leave every window, its translation goes, and so do its arms,
 * with an event each.  Other segments that name the same memory stay as they are.
 *
 * Differs from __gmap_unmap_by_gaddr(): what is cleared is flushed.
 *
 * Context: space->lock (mmext_gmap_lock()).
 * Return: 1 if it was linked; 0.
 */
int __mmext_gmap_unmap_by_gaddr(struct mmext_gmap *gmap, unsigned long gaddr)
{
	unsigned long first = gmap_segment_first(gmap, gaddr);
	unsigned long *entry = gmap_entry(gmap, gaddr);

	if (!entry || !*entry)
		return 0;
	take_out(gmap, first, gmap_segment_last(gmap, gaddr));
	return set_word(gmap, first, entry, 0);
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

static void map_words(struct mmext_gmap *g, unsigned long first,
		      unsigned long last, unsigned long vmaddr)
{
	unsigned long gaddr = first;

	do {
		set_word(g, gaddr, gmap_entry(g, gaddr),
			 (vmaddr + (gaddr - first)) | GMAP_MAPPED);
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

/* Have lists for those of a range that somebody names already. */
static int add_links(struct mmext_gmap *g, unsigned long first,
		     unsigned long last, unsigned long vmaddr)
{
	unsigned long index = vmaddr >> g->shift, gaddr, *name;
	unsigned long end = (vmaddr + (last - first)) >> g->shift;
	int err;

	while ((name = next_word(&g->names, &index, end, true))) {
		gaddr = first + ((index << g->shift) - vmaddr);
		err = add_tables(g, &g->links, gaddr >> g->shift << 1);
		if (!err)
			err = add_tables(g, &g->links,
					 name_segment(READ_ONCE(*name)) >>
					 g->shift << 1);
		if (err)
			return err;
		if (index++ == end)
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Have all that there has to be for a range to be mapped. */
static int prepare(struct mmext_gmap *g, unsigned long first,
		   unsigned long last, unsigned long vmaddr)
{
	int err;

	err = add_tables_range(g, &g->words, first >> g->shift,
			       last >> g->shift);
	if (!err)
		err = add_tables_range(g, &g->names, vmaddr >> g->shift,
				       (vmaddr + (last - first)) >> g->shift);
	return err ?: add_links(g, first, last, vmaddr);
}

/* What one hold of the spinlock does of a range. */
static unsigned long end_of_step(struct mmext_gmap *g, unsigned long first,
				 unsigned long last)
{
	unsigned long step = (STEP_SEGMENTS << g->shift) - 1;

	return last - first > step ? first + step : last;
}

/*
 * Replace what is mapped from @first to @last by @vmaddr on.  What it needs is
 * allocated ahead, so it is done whole or not at all; in steps, for the spinlock's
 * sake.
 */
static int replace(struct mmext_gmap *g, unsigned long first,
		   unsigned long last, unsigned long vmaddr)
{
	unsigned long end;
	int err;

	err = prepare(g, first, last, vmaddr);
	if (err)
		return err;

	for (;;) {
		end = end_of_step(g, first, last);
		mmext_gmap_lock(g);
		take_out(g, first, end);
		map_words(g, first, end, vmaddr);
		/* who looks for names in vain may be under way */
		gmap_unsettle(&g->unsettled);
		mmext_gmap_unlock(g);
		if (end == last)
			return 0;
		vmaddr += end + 1 - first;
		first = end + 1;
		cond_resched();
	}
}

/*
 * replace() of one segment, under the lock, if there is all for it, nobody else's name
 * and nothing to be flushed.  Returns whether it was done.
 */
static bool replace_one(struct mmext_gmap *g, unsigned long first,
			unsigned long last, unsigned long vmaddr)
{
	unsigned long *entry, *name;

	if (last - first > gmap_in_segment(g))
		return false;
	entry = gmap_entry(g, first);
	name = name_of(g, vmaddr);
	if (!entry || !name || *name || *entry & GMAP_LINKED)
		return false;
	set_word(g, first, entry, vmaddr | GMAP_MAPPED);
	return true;
}

/*
 * Nothing is mapped from @first to @last any more.  Of what was never mapped there is
 * any amount, and no work.
 */
static void unmap_range(struct mmext_gmap *g, unsigned long first,
			unsigned long last)
{
	unsigned long index = first >> g->shift, end, *entry;
	unsigned int steps;

	for (;;) {
		steps = UNMAP_STEPS;
		if (!find_word(&g->words, &index, last >> g->shift, false,
			       &steps)) {
			if (steps)
				break;
			cond_resched();
			continue;
		}
		first = index << g->shift;
		end = end_of_step(g, first, last);
		mmext_gmap_lock(g);
		take_out(g, first, end);
		while ((entry = next_word(&g->words, &index, end >> g->shift,
					  false)))
			set_word(g, index << g->shift, entry, 0);
		mmext_gmap_unlock(g);
		if (end == last)
			break;
		index = (end + 1) >> g->shift;
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

static int check_map(struct mmext_gmap *g, unsigned long from,
		     unsigned long to, unsigned long len, unsigned long *last)
{
	if (check_segments(g, to, len, last))
		return -EINVAL;
	if (from & gmap_in_segment(g) || from + len - 1 < from ||
	    from + len - 1 >= g->mm->task_size)
		return -EINVAL;
	return 0;
}

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

	if (check_map(gmap, from, to, len, &last))
		return -EINVAL;
	return change(gmap, to, last, true, from);
}
EXPORT_SYMBOL_GPL(mmext_gmap_map_segment);

/* As many of these as replace_one() does, from the first on. */
static unsigned int replace_some(struct mmext_gmap *g,
				 const struct mmext_gmap_piece *p,
				 unsigned int nr)
{
	unsigned long last;
	unsigned int i;

	nr = min(nr, STEP_PIECES);
	mmext_gmap_lock(g);
	for (i = 0; i < nr; i++, p++) {
		if (check_map(g, p->from, p->to, p->length, &last) ||
		    !replace_one(g, p->to, last, p->from))
			break;
	}
	/* as replace() does */
	if (i)
		gmap_unsettle(&g->unsettled);
	mmext_gmap_unlock(g);
	return i;
}

/**
 * mmext_gmap_map_pieces - map many pieces into a space
 * @gmap: the space
 * @pieces: them, each as for mmext_gmap_map_segment()
 * @nr: how many
 * @done: set to how many were mapped, of which this is the first @done
 *
 * mmext_gmap_map_segment() of each, in turn, at less cost where they are a segment each.
 *
 * Context: process context, may sleep.
 * Return: 0; or as mmext_gmap_map_segment() of the piece that was not mapped.
 */
int mmext_gmap_map_pieces(struct mmext_gmap *gmap,
			  const struct mmext_gmap_piece *pieces,
			  unsigned int nr, unsigned int *done)
{
	const struct mmext_gmap_piece *p;
	unsigned long last;
	unsigned int some;
	int err = 0;

	*done = 0;
	if (mutex_lock_killable(&gmap->change))
		return -EINTR;
	if (gmap_gone(gmap)) {
		mutex_unlock(&gmap->change);
		return -ESRCH;
	}

	while (*done < nr) {
		some = replace_some(gmap, pieces + *done, nr - *done);
		*done += some;
		cond_resched();
		if (some)
			continue;
		p = pieces + *done;
		err = check_map(gmap, p->from, p->to, p->length, &last);
		if (!err)
			err = replace(gmap, p->to, last, p->from);
		if (err)
			break;
		++*done;
	}
	mutex_unlock(&gmap->change);
	return err;
}
EXPORT_SYMBOL_GPL(mmext_gmap_map_pieces);

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
	unsigned long found = 0;
	struct gmap_alias a;

	spin_lock(&gmap->lock);
	gmap_for_each_alias(gmap, &a, vmaddr, vmaddr) {
		if (found < nr)
			gaddrs[found] = a.gfirst;
		found++;
	}
	spin_unlock(&gmap->lock);
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
	struct gmap_mm *gm;

	if (shift < PAGE_SHIFT || shift > MMEXT_GMAP_MAX_SHIFT ||
	    flags & ~MMEXT_GMAP_ALLOC_EXCLUSIVE)
		return ERR_PTR(-EINVAL);

	g = kzalloc(sizeof(*g), GFP_KERNEL_ACCOUNT);
	if (!g)
		return ERR_PTR(-ENOMEM);

	kref_init(&g->ref);
	mutex_init(&g->change);
	spin_lock_init(&g->lock);
	g->records = RB_ROOT_CACHED;
	xa_init_flags(&g->arms, XA_FLAGS_ACCOUNT);
	xa_init_flags(&g->blocks, XA_FLAGS_ACCOUNT);
	mmext_gmap_view_init(&g->self);
	g->mm = mm;
	g->limit = limit;
	g->shift = shift;
	g->flags = flags;
	init_tree(&g->words, limit >> shift);
	init_tree(&g->names, (mm->task_size - 1) >> shift);
	init_tree(&g->links, limit >> shift << 1 | 1);

	gm = gmap_mm_get(mm);
	if (IS_ERR(gm)) {
		kfree(g);
		return ERR_CAST(gm);
	}

	/* from here on invalidations find it */
	g->gm = gm;
	spin_lock(&gm->lock);
	if (gm->gone)
		g->gone = true;
	list_add_tail_rcu(&g->list, &gm->spaces);
	spin_unlock(&gm->lock);
	rcu_assign_pointer(g->self.current_gmap, g);
	atomic_long_inc(&live_gmaps);
	return g;
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
	free_tree(&g->words);
	free_tree(&g->names);
	free_tree(&g->links);
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
