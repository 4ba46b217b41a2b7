// SPDX-License-Identifier: GPL-2.0
/*
 * Windows: mappings that show a guest space, and follow what the parent maps there.
 *
 * Their entries are special, 4 KiB, and hold no reference.  What keeps a frame is the
 * parent's entry for it, and before that changes the notifier has taken ours out, from
 * every window of every mm.  Where they are is known by records: what a space has
 * entries of in one page table.  A record is there for as long as its table is: the
 * notifier of the window's own mm drops it before the table can be freed or moved, and
 * no new one is made until that is over.  So who has space->lock and a record may walk
 * to its table.
 *
 * i_mmap is of no use here: to register a notifier takes every i_mmap_rwsem, and a
 * callback that waits for one would wait for whoever registers.
 */
#include <linux/export.h>
#include <linux/file.h>
#include <linux/gfp.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "engine.h"
#include "gmap.h"
#include "pgtable.h"

/* Pages that a fault maps around its own, of those that the parent has. */
#define AROUND_PAGES	16

/**
 * struct gmap_record - what a space has entries of in one page table
 * @by_gaddr: in space->records
 * @subtree_last: largest @glast below
 * @gfirst: guest address of the table's first page, or of the first that there is
 * @glast: and of the last byte
 * @by_addr: in gm->records
 * @g: the space
 * @gm: of the window's mm
 * @view: that the window is of
 * @addr: user address that the table begins at
 * @delta: guest address less user address; windows of one view may be at several
 * @present: pages of the table that there are entries of
 */
struct gmap_record {
	struct rb_node by_gaddr;
	unsigned long subtree_last;
	unsigned long gfirst;
	unsigned long glast;
	struct rb_node by_addr;
	struct mmext_gmap *g;
	struct gmap_mm *gm;
	struct mmext_gmap_view *view;
	unsigned long addr;
	unsigned long delta;
	DECLARE_BITMAP(present, PTRS_PER_PTE);
};

static atomic_long_t live_records = ATOMIC_LONG_INIT(0);

long mmext_live_records(void)
{
	return atomic_long_read(&live_records);
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_live_records);

/* What is shown in place of the zero page, which GUP takes wherever it is. */
static struct page *zeroes;

static inline unsigned long record_first(struct gmap_record *r)
{
	return r->gfirst;
}

static inline unsigned long record_last(struct gmap_record *r)
{
	return r->glast;
}

INTERVAL_TREE_DEFINE(struct gmap_record, by_gaddr, unsigned long, subtree_last,
		     record_first, record_last, static __maybe_unused, records)

/* TLB: what is cleared under space->lock is flushed before that is dropped. */

void gmap_window_flush(struct mmext_gmap *g)
{
	if (!mmext_tlb_native() || !g->due.mm)
		return;
	mmext_tlb_flush(g->due.mm, g->due.start, g->due.end, PAGE_SHIFT);
	g->due.mm = NULL;
}

static void flush_due(struct mmext_gmap *g, struct mm_struct *mm,
		      unsigned long addr)
{
	if (g->due.mm && g->due.mm != mm)
		gmap_window_flush(g);
	if (!g->due.mm) {
		g->due.mm = mm;
		g->due.start = addr;
		g->due.end = addr + PAGE_SIZE;
		return;
	}
	g->due.start = min(g->due.start, addr);
	g->due.end = max(g->due.end, addr + PAGE_SIZE);
}

/* What to do with the entries of a guest range; @only: see gmap_window_clean(). */
enum todo { CLEAR, PROTECT, CLEAN, AGE };

struct work {
	enum todo todo;
	unsigned long gfirst;
	unsigned long glast;
	const unsigned long *only;
	unsigned long base;
};

/* One entry, with its table locked.  Returns false if it is gone. */
static bool work_entry(struct gmap_record *r, unsigned long addr, pte_t *ptep,
		       const struct work *w)
{
	struct mm_struct *mm = r->gm->mn.mm;
	pte_t pte = READ_ONCE(*ptep);

	/* without a flush there are no windows */
	if (!mmext_tlb_native() || !mmext_pte_ours(pte))
		return false;
	if (w->todo == PROTECT && !pte_write(pte) && !pte_dirty(pte))
		return true;
	if (w->todo == CLEAN && !pte_dirty(pte))
		return true;
	if (w->todo == AGE && !pte_young(pte))
		return true;

	/* the hardware may set bits of a valid entry, so it is taken out first */
	pte = ptep_get_and_clear(mm, addr, ptep);
	flush_due(r->g, mm, addr);
	switch (w->todo) {
	case CLEAR:
		if (pte_dirty(pte))
			gmap_dirty_mark(r->g, addr + r->delta);
		if (pte_young(pte))
			gmap_young_mark(r->g, addr + r->delta);
		r->g->stats.cleared++;
		return false;
	case PROTECT:
		if (pte_dirty(pte))
			gmap_dirty_mark(r->g, addr + r->delta);
		pte = pte_wrprotect(pte_mkclean(pte));
		break;
	case CLEAN:
		pte = pte_mkclean(pte);
		break;
	case AGE:
		gmap_young_mark(r->g, addr + r->delta);
		pte = pte_mkold(pte);
		break;
	}
	mmext_set_pte(mm, addr, ptep, pte);
	return true;
}

/*
 * The entries of a record that are of a guest range.
 *
 * Context: space->lock; the record keeps the levels above the table.
 */
static void work_record(struct gmap_record *r, const struct work *work)
{
	unsigned long first = max(work->gfirst, r->gfirst) - r->delta;
	unsigned long last = min(work->glast, r->glast) - r->delta;
	unsigned long bit, end, page;
	struct mmext_walk w;

	bit = (first - r->addr) >> PAGE_SHIFT;
	end = ((last - r->addr) >> PAGE_SHIFT) + 1;
	bit = find_next_bit(r->present, end, bit);
	if (bit >= end)
		return;

	first = r->addr + (bit << PAGE_SHIFT);
	if (!mmext_walk_lock(r->gm->mn.mm, first, r->addr + PMD_SIZE, &w))
		return;
	for (page = bit; bit < end;
	     bit = find_next_bit(r->present, end, bit + 1)) {
		unsigned long addr = r->addr + (bit << PAGE_SHIFT);

		if (work->only &&
		    !test_bit(((addr + r->delta) >> PAGE_SHIFT) - work->base,
			      work->only))
			continue;
		if (!work_entry(r, addr, w.pte + (bit - page), work))
			__clear_bit(bit, r->present);
	}
	mmext_walk_unlock(&w);
}

/**
 * struct found - where gmap_window_mark() marks
 * @gfirst: guest address
 * @glast: guest address
 * @only: bitmap of the pages that are meant
 * @marks: bitmap
 * @base: guest page of their first bits
 */
struct found {
	unsigned long gfirst;
	unsigned long glast;
	const unsigned long *only;
	unsigned long *marks;
	unsigned long base;
};

/* The pages of a record that its entries say were stored to; as work_record(). */
static void mark_record(struct gmap_record *r, const struct found *f)
{
	unsigned long first = max(f->gfirst, r->gfirst) - r->delta;
	unsigned long last = min(f->glast, r->glast) - r->delta;
	unsigned long bit = (first - r->addr) >> PAGE_SHIFT;
	unsigned long end = ((last - r->addr) >> PAGE_SHIFT) + 1;
	unsigned long page, next;
	struct mmext_walk w;
	pte_t *table, pte;

	if (!mmext_walk_lock(r->gm->mn.mm, first, r->addr + PMD_SIZE, &w))
		return;
	table = w.pte - bit;
	for (; bit < end; bit = next) {
		next = min(round_down(bit, MMEXT_SOME_PTES) + MMEXT_SOME_PTES,
			   end);
		if (next - bit == MMEXT_SOME_PTES &&
		    !mmext_some_dirty(table + bit))
			continue;
		for (; bit < next; bit++) {
			pte = READ_ONCE(table[bit]);
			/* the table may begin below guest address 0 */
			page = ((r->addr + (bit << PAGE_SHIFT) + r->delta) >>
				PAGE_SHIFT) - f->base;
			/* the table may have entries of others as well */
			if (test_bit(bit, r->present) &&
			    mmext_pte_ours(pte) && pte_dirty(pte) &&
			    test_bit(page, f->only))
				__set_bit(page, f->marks);
		}
	}
	mmext_walk_unlock(&w);
}

static void work_range(struct mmext_gmap *g, const struct work *work)
{
	struct gmap_record *r;

	/* without a backend there are no windows, and what clears does not link */
	if (!mmext_tlb_native() || !g->nr_records)
		return;
	for (r = records_iter_first(&g->records, work->gfirst, work->glast); r;
	     r = records_iter_next(r, work->gfirst, work->glast))
		work_record(r, work);
}

/**
 * gmap_window_clear - take a guest range out of every window
 * @g: the space
 * @gfirst: guest address
 * @glast: guest address
 *
 * Context: space->lock; flushed by mmext_gmap_unlock().
 */
void gmap_window_clear(struct mmext_gmap *g, unsigned long gfirst,
		       unsigned long glast)
{
	struct work w = { .todo = CLEAR, .gfirst = gfirst, .glast = glast };

	work_range(g, &w);
}

/**
 * gmap_window_protect - take the right to store from a guest range in every window
 * @g: the space
 * @gfirst: guest address
 * @glast: guest address
 *
 * Context: as gmap_window_clear().
 */
void gmap_window_protect(struct mmext_gmap *g, unsigned long gfirst,
			 unsigned long glast)
{
	struct work w = { .todo = PROTECT, .gfirst = gfirst, .glast = glast };

	work_range(g, &w);
}

/**
 * gmap_window_mark - mark which pages of a guest range were stored to in any window
 * @g: the space
 * @gfirst: guest address
 * @glast: guest address
 * @only: bitmap of the pages that are meant
 * @marks: bitmap, that they are set in
 * @base: guest page of their first bits
 *
 * What entries tell of, which they go on to do: see gmap_window_clean().
 *
 * Context: space->lock.
 */
void gmap_window_mark(struct mmext_gmap *g, unsigned long gfirst,
		      unsigned long glast, const unsigned long *only,
		      unsigned long *marks, unsigned long base)
{
	struct found f = { gfirst, glast, only, marks, base };
	struct gmap_record *r;

	if (!mmext_tlb_native() || !g->nr_records)
		return;
	for (r = records_iter_first(&g->records, gfirst, glast); r;
	     r = records_iter_next(r, gfirst, glast))
		mark_record(r, &f);
}

/**
 * gmap_window_clean - have entries of a guest range tell of the next store
 * @g: the space
 * @gfirst: guest address
 * @glast: guest address
 * @only: bitmap of the pages that are meant
 * @base: guest page of its first bit
 *
 * What they told of until now is forgotten.
 *
 * Context: as gmap_window_clear().
 */
void gmap_window_clean(struct mmext_gmap *g, unsigned long gfirst,
		       unsigned long glast, const unsigned long *only,
		       unsigned long base)
{
	struct work w = {
		.todo = CLEAN,
		.gfirst = gfirst,
		.glast = glast,
		.only = only,
		.base = base,
	};

	work_range(g, &w);
}

/**
 * gmap_window_age - have entries of a guest range tell of the next access
 * @g: the space
 * @gfirst: guest address
 * @glast: guest address
 *
 * Those that were accessed are marked (gmap_young_mark()).
 *
 * Context: as gmap_window_clear().
 */
void gmap_window_age(struct mmext_gmap *g, unsigned long gfirst,
		     unsigned long glast)
{
	struct work w = { .todo = AGE, .gfirst = gfirst, .glast = glast };

	work_range(g, &w);
}

/* Records by address, in an mm. */

static struct gmap_record *record_at(struct rb_node *node)
{
	return rb_entry_safe(node, struct gmap_record, by_addr);
}

static void add_record(struct gmap_record *r)
{
	struct rb_node **link = &r->gm->records.rb_root.rb_node;
	struct rb_node *parent = NULL;
	bool leftmost = true;

	while (*link) {
		parent = *link;
		if (r->addr < record_at(parent)->addr) {
			link = &parent->rb_left;
		} else {
			link = &parent->rb_right;
			leftmost = false;
		}
	}
	rb_link_node(&r->by_addr, parent, link);
	rb_insert_color_cached(&r->by_addr, &r->gm->records, leftmost);
	records_insert(r, &r->g->records);
	r->g->nr_records++;
	atomic_long_inc(&live_records);
}

/* Context: gm->lock and space->lock. */
static void drop_record(struct gmap_record *r)
{
	struct work w = { .todo = CLEAR, .gfirst = 0, .glast = ULONG_MAX };

	if (mmext_tlb_native())
		work_record(r, &w);
	rb_erase_cached(&r->by_addr, &r->gm->records);
	records_remove(r, &r->g->records);
	r->g->nr_records--;
	kfree(r);
	atomic_long_dec(&live_records);
}

/* The first record of an mm whose table ends at @addr or behind it. */
static struct gmap_record *first_record(struct gmap_mm *gm, unsigned long addr)
{
	struct rb_node *node = gm->records.rb_root.rb_node;
	struct gmap_record *r, *found = NULL;

	while (node) {
		r = record_at(node);
		if (r->addr + (PMD_SIZE - 1) >= addr) {
			found = r;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return found;
}

/**
 * gmap_window_drop_range - drop the records of a range of user addresses, whole
 * @gm: of the mm
 * @first: user address
 * @last: user address
 *
 * Context: gm->lock.
 */
void gmap_window_drop_range(struct gmap_mm *gm, unsigned long first,
			    unsigned long last)
{
	struct gmap_record *r, *next;
	struct mmext_gmap *g = NULL;

	for (r = first_record(gm, first); r && r->addr <= last; r = next) {
		next = record_at(rb_next(&r->by_addr));
		if (g != r->g) {
			if (g)
				mmext_gmap_unlock(g);
			g = r->g;
			mmext_gmap_lock(g);
		}
		drop_record(r);
	}
	if (g)
		mmext_gmap_unlock(g);
}

/**
 * gmap_window_drop_all - have a space show nothing to anybody any more
 * @g: the space
 *
 * Context: process context.
 */
void gmap_window_drop_all(struct mmext_gmap *g)
{
	struct gmap_record *r, *next;
	struct gmap_mm *gm;

	mmext_gmap_lock(g);
	WRITE_ONCE(g->gone, true);
	g->seq++;
	mmext_gmap_unlock(g);

	/* a gm that a record was of is freed after a grace period at the earliest */
	rcu_read_lock();
	for (;;) {
		spin_lock(&g->lock);
		r = records_iter_first(&g->records, 0, ULONG_MAX);
		gm = r ? r->gm : NULL;
		spin_unlock(&g->lock);
		if (!gm)
			break;

		spin_lock(&gm->lock);
		mmext_gmap_lock(g);
		for (r = records_iter_first(&g->records, 0, ULONG_MAX); r;
		     r = next) {
			next = records_iter_next(r, 0, ULONG_MAX);
			if (r->gm == gm)
				drop_record(r);
		}
		mmext_gmap_unlock(g);
		spin_unlock(&gm->lock);
	}
	rcu_read_unlock();
}

/* The record of an address, if there is one.  Context: space->lock. */
static struct gmap_record *find_record(struct mmext_gmap *g, struct gmap_mm *gm,
				       struct mmext_gmap_view *view,
				       unsigned long addr, unsigned long gaddr)
{
	unsigned long delta = gaddr - addr;
	struct gmap_record *r;

	for (r = records_iter_first(&g->records, gaddr, gaddr); r;
	     r = records_iter_next(r, gaddr, gaddr)) {
		if (r->gm == gm && r->view == view && r->delta == delta)
			return r;
	}
	return NULL;
}

/* For the table of an address; a window may begin in the middle of it. */
static struct gmap_record *alloc_record(struct mmext_gmap *g,
					struct gmap_mm *gm,
					struct mmext_gmap_view *view,
					unsigned long addr, unsigned long gaddr)
{
	struct gmap_record *r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);

	if (!r)
		return NULL;
	r->g = g;
	r->gm = gm;
	r->view = view;
	r->addr = addr & PMD_MASK;
	r->delta = gaddr - addr;
	r->gfirst = gaddr - min(gaddr, addr - r->addr);
	r->glast = gaddr + min(ULONG_MAX - gaddr,
			       r->addr + (PMD_SIZE - 1) - addr);
	if (gmap_block_prepare(g, r->gfirst, r->glast)) {
		kfree(r);
		return NULL;
	}
	return r;
}

/* Faults. */

/**
 * struct shown - what a fault inserts
 * @vmf: the fault
 * @g: the space
 * @gm: of the window's mm
 * @view: that the window is of
 * @addr: user address of the fault, of its page
 * @gaddr: guest address of that
 * @vmaddr: what it translates to
 * @seq: from before it was translated
 * @write: for a store
 * @again: an entry shows it already; it was looked at by look_again()
 * @first: user address of the first page that there is something for
 * @nr: pages
 * @pfns: their frames, or MMEXT_NO_PFN
 */
struct shown {
	struct vm_fault *vmf;
	struct mmext_gmap *g;
	struct gmap_mm *gm;
	struct mmext_gmap_view *view;
	unsigned long addr;
	unsigned long gaddr;
	unsigned long vmaddr;
	unsigned long seq;
	bool write;
	bool again;
	unsigned long first;
	unsigned int nr;
	unsigned long pfns[AROUND_PAGES];
};

static bool may_retry(struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_ALLOW_RETRY &&
	       !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT);
}

/* One entry, with its table locked.  Returns whether a store was allowed by it. */
static bool set_entry(struct shown *s, struct gmap_record *r,
		      unsigned long addr, pte_t *ptep, unsigned long pfn,
		      pgprot_t prot)
{
	struct vm_area_struct *vma = s->vmf->vma;
	bool fault = addr == s->addr, write = s->write;
	pte_t old = READ_ONCE(*ptep), pte;

	if (!mmext_tlb_native())
		return false;
	if (mmext_pte_ours(old)) {
		if (!fault || !write || pte_write(old))
			return false;
		if (pte_pfn(old) == pfn) {
			mmext_pte_relax(vma, addr, ptep);
			return true;
		}
		/* the access comes again, and finds none */
		ptep_get_and_clear(vma->vm_mm, addr, ptep);
		flush_due(s->g, vma->vm_mm, addr);
		s->g->stats.cleared++;
		return false;
	}
	if (!pte_none(old))
		return false;

	pte = mmext_mk_pte(pfn, prot);
	if (!fault)
		pte = mmext_old_is_free() ? pte_mkold(pte) : pte;
	else if (write)
		pte = pte_mkdirty(pte_mkyoung(pte));
	mmext_set_pte(vma->vm_mm, addr, ptep, pte);
	__set_bit((addr - r->addr) >> PAGE_SHIFT, r->present);
	s->g->stats.inserted++;
	return false;
}

/* A page that the fault was not for, and of which nothing was checked. */
static bool may_come_along(struct shown *s, unsigned long addr)
{
	unsigned long vmaddr = s->vmaddr + (addr - s->addr);
	unsigned long gaddr = s->gaddr + (addr - s->addr);

	return !gmap_busy_overlaps(&s->g->busy, vmaddr, vmaddr | ~PAGE_MASK) &&
	       gmap_arm_allows(s->g, gaddr, s->write);
}

static int set_entries(struct shown *s, struct gmap_record *r)
{
	struct vm_area_struct *vma = s->vmf->vma;
	pgprot_t prot = mmext_vma_prot(vma, s->write);
	struct mmext_walk w;
	bool relaxed = false;
	unsigned long addr;
	unsigned int i;
	int err;

	err = mmext_walk_lock_alloc(vma, s->vmf, s->first, &w);
	if (err)
		return -EAGAIN;
	for (i = 0; i < s->nr; i++) {
		addr = s->first + ((unsigned long)i << PAGE_SHIFT);
		if (s->pfns[i] == MMEXT_NO_PFN)
			continue;
		if (addr != s->addr && !may_come_along(s, addr))
			continue;
		relaxed |= set_entry(s, r, addr, w.pte + i, s->pfns[i], prot);
	}
	mmext_walk_unlock(&w);
	if (relaxed)
		mmext_tlb_relaxed(vma->vm_mm, s->addr, s->addr + PAGE_SIZE);
	return 0;
}

/* After look_again(); if the entry has gone meanwhile, the store comes again. */
static int make_writable(struct shown *s)
{
	struct vm_area_struct *vma = s->vmf->vma;
	struct mmext_walk w;
	bool relax;
	pte_t old;

	if (!mmext_tlb_native() ||
	    mmext_walk_lock_alloc(vma, s->vmf, s->addr, &w))
		return -EAGAIN;
	old = READ_ONCE(*w.pte);
	relax = mmext_pte_ours(old) && !pte_write(old) &&
		pte_pfn(old) == s->pfns[0];
	if (relax)
		mmext_pte_relax(vma, s->addr, w.pte);
	mmext_walk_unlock(&w);
	if (relax)
		mmext_tlb_relaxed(vma->vm_mm, s->addr, s->addr + PAGE_SIZE);
	return 0;
}

/*
 * Look-up and insert are one step.  Returns -EAGAIN if something came between, and
 * the access is to be tried again.
 */
static int commit(struct shown *s, struct gmap_record *r)
{
	struct mmext_gmap *g = s->g;
	int err;

	if (s->again) {
		/* what has an entry is linked */
		gmap_fire_access(g, s->gaddr, true);
		return make_writable(s);
	}

	err = gmap_link_word(g, gmap_entry(g, s->gaddr), s->vmaddr);
	if (err)
		return err;
	gmap_fire_access(g, s->gaddr, s->write);
	return set_entries(s, r);
}

/* Context: space->lock. */
static bool still_true(struct shown *s)
{
	if (likely(gmap_seq_current(s->g, s->vmaddr, s->seq) &&
		   rcu_access_pointer(s->view->current_gmap) == s->g))
		return true;
	s->g->stats.retries++;
	return false;
}

/* Nothing that takes tables or records away is under way there. */
static bool may_add_record(struct gmap_mm *gm, unsigned long addr)
{
	return !gm->gone && gm->unsettled == gm->settled &&
	       !gmap_busy_overlaps(&gm->busy, addr, addr + (PMD_SIZE - 1));
}

/* Into a table that there is a record of; -ENOENT: there is none. */
static int insert_known(struct shown *s)
{
	struct mmext_gmap *g = s->g;
	struct gmap_record *r;
	int err = -ENOENT;

	mmext_gmap_lock(g);
	r = find_record(g, s->gm, s->view, s->addr, s->gaddr);
	if (r) {
		g->stats.faults++;
		err = still_true(s) ? commit(s, r) : -EAGAIN;
	}
	mmext_gmap_unlock(g);
	return err;
}

static int insert(struct shown *s)
{
	struct mmext_gmap *g = s->g;
	struct gmap_mm *gm = s->gm;
	struct gmap_record *r;
	int err;

	err = insert_known(s);
	if (err != -ENOENT)
		return err;

	/* the first entry of a table */
	err = -EAGAIN;
	if (!gmap_mm_settle(gm, &gm->lock, &gm->unsettled, &gm->settled))
		return -EINTR;
	r = alloc_record(g, gm, s->view, s->addr, s->gaddr);
	if (!r)
		return -ENOMEM;

	spin_lock(&gm->lock);
	mmext_gmap_lock(g);
	g->stats.faults++;
	if (!find_record(g, gm, s->view, s->addr, s->gaddr) &&
	    still_true(s) && may_add_record(gm, r->addr)) {
		add_record(r);
		err = commit(s, r);
		r = NULL;
	}
	mmext_gmap_unlock(g);
	spin_unlock(&gm->lock);
	kfree(r);
	return err;
}

/* Can what its entries say be taken at face value, as by GUP? */
static bool is_plain(struct vm_area_struct *vma, bool write)
{
	if (vma->vm_flags & (VM_IO | VM_PFNMAP | VM_MIXEDMAP | VM_HUGETLB) ||
	    !(vma->vm_flags & VM_READ))
		return false;
	if (write && (!(vma->vm_flags & VM_WRITE) ||
		      vma->vm_flags & VM_SHADOW_STACK))
		return false;
	/* but for secret memory, every file's memory has map_pages() */
	return vma_is_anonymous(vma) || vma->vm_ops->map_pages;
}

static __always_inline bool is_usable(pte_t pte, bool write)
{
	if (!pte_present(pte) || pte_special(pte) || pte_protnone(pte) ||
	    is_zero_pfn(pte_pfn(pte)))
		return false;
	/* dirty: the page will be by what the kernel does with the entry */
	return !write || (pte_write(pte) && pte_dirty(pte));
}

/*
 * What is shown is what the parent has, or the entry would be gone.  So all that there is
 * to see is whether the parent can store there by now, to that same frame.
 */
static bool look_again(struct shown *s)
{
	pte_t pte;

	/* nobody looked for the VMA, which may be on its way out */
	if (!mmext_peek_pte(s->g->mm, s->vmaddr, &pte))
		return false;

	s->first = s->addr;
	s->nr = 1;
	s->pfns[0] = pte_pfn(pte);
	return is_usable(pte, true) && compat_pte_store(pte) &&
	       pte_pfn(pte) == pte_pfn(s->vmf->orig_pte);
}

/*
 * The frames that the parent has entries for, of the fault and around it: of one VMA and
 * one table here, and of one segment, VMA and table there.  Returns whether that of
 * the fault is among them.
 *
 * Context: the parent's mmap lock.
 */
static bool look_around(struct shown *s)
{
	struct vm_area_struct *vma = s->vmf->vma, *pvma;
	unsigned long vmaddr = s->vmaddr, size, addr, low, high;
	struct mmext_walk w;
	unsigned int i;
	bool found;
	pte_t pte;

	s->again = s->again && look_again(s);
	if (s->again)
		return true;

	pvma = vma_lookup(s->g->mm, vmaddr);
	if (!pvma || !is_plain(pvma, s->write))
		return false;

	size = AROUND_PAGES * PAGE_SIZE;
	/* of both, the aligned block: it is in one table */
	low = min3(s->addr & (size - 1), s->addr - vma->vm_start,
		   min3(vmaddr & (size - 1), vmaddr - pvma->vm_start,
			vmaddr - gmap_segment_first(s->g, vmaddr)));
	high = min3((s->addr | (size - 1)) - s->addr, vma->vm_end - 1 - s->addr,
		    min3((vmaddr | (size - 1)) - vmaddr,
			 pvma->vm_end - 1 - vmaddr,
			 min(gmap_segment_last(s->g, vmaddr) - vmaddr,
			     (s->g->limit | ~PAGE_MASK) - s->gaddr)));
	s->first = s->addr - low;
	s->nr = (low + high + 1) >> PAGE_SHIFT;
	addr = vmaddr - low;

	if (!mmext_walk_lock(s->g->mm, addr, vmaddr + high + 1, &w))
		return false;
	for (i = 0; i < s->nr; i++) {
		pte = READ_ONCE(w.pte[i]);
		s->pfns[i] = is_usable(pte, s->write) ? pte_pfn(pte) :
							MMEXT_NO_PFN;
	}
	found = s->pfns[low >> PAGE_SHIFT] != MMEXT_NO_PFN;
	mmext_walk_unlock(&w);
	return found;
}

static vm_fault_t vmf_code(int err)
{
	switch (err) {
	case 0:
	case -EAGAIN:
	case -EINTR:
		return VM_FAULT_NOPAGE;
	case -ENOMEM:
		return VM_FAULT_OOM;
	case -EACCES:
		return VM_FAULT_SIGSEGV;
	default:
		return VM_FAULT_SIGBUS;
	}
}

/* By get_user_pages(): what is not there, and what is not plain. */
static int fault_one(struct shown *s, unsigned int fault_flags, int *locked)
{
	struct gmap_page p;
	int err;

	err = gmap_resolve(s->g->mm, s->vmaddr, fault_flags, locked, &p);
	if (err)
		return err;

	/* without the lock there may be no VMA any more */
	err = -EAGAIN;
	if (!locked || *locked) {
		if (s->write && p.page)
			set_page_dirty_lock(p.page);
		s->first = s->addr;
		s->nr = 1;
		s->pfns[0] = is_zero_pfn(p.pfn) ? page_to_pfn(zeroes) : p.pfn;
		err = insert(s);
	}
	gmap_put_page(&p);
	return err;
}

static int commit_nothing(struct mmext_gmap *g, unsigned long gaddr,
			  unsigned long vmaddr, void *arg)
{
	return 0;
}

/*
 * The parent is another mm, and its lock not to be waited for with that of the
 * window's held.  Let go of that, have the page there, and try again.
 */
static vm_fault_t fault_unlocked(struct shown *s)
{
	struct file *file = get_file(s->vmf->vma->vm_file);

	mmap_read_unlock(s->vmf->vma->vm_mm);
	gmap_fault_in(s->g, s->gaddr, s->write ? FAULT_FLAG_WRITE : 0,
		      commit_nothing, NULL);
	fput(file);
	return VM_FAULT_RETRY;
}

/* With the parent's mmap lock held: it is the window's own. */
static vm_fault_t fault_same(struct shown *s, unsigned int fault_flags)
{
	struct vm_fault *vmf = s->vmf;
	struct file *file;
	int locked = 1;
	int err;

	if (!may_retry(vmf)) {
		err = fault_one(s, fault_flags, NULL);
		if (err == -EAGAIN && fault_flags & FAULT_FLAG_RETRY_NOWAIT)
			return VM_FAULT_RETRY;
		return vmf_code(err);
	}

	/* if the lock is dropped, the VMA may go, and the module with it */
	file = get_file(vmf->vma->vm_file);
	err = fault_one(s, fault_flags, &locked);
	fput(file);
	return locked ? vmf_code(err) : VM_FAULT_RETRY;
}

static vm_fault_t fault_other(struct shown *s, unsigned int fault_flags,
			      bool *retry)
{
	int err;

	if (may_retry(s->vmf))
		fault_flags |= FAULT_FLAG_RETRY_NOWAIT;
	err = fault_one(s, fault_flags, NULL);
	if (err == -EAGAIN && may_retry(s->vmf))
		*retry = true;
	if (err == -EAGAIN && s->vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	return vmf_code(err);
}

/* With the parent's mmap lock held.  @retry: to be tried without the window's. */
static vm_fault_t fault_locked(struct shown *s, bool same, bool *retry)
{
	unsigned int fault_flags = s->write ? FAULT_FLAG_WRITE : 0;
	int err;

	err = gmap_read_begin(s->g, &s->seq);
	if (err)
		return vmf_code(err);
	s->vmaddr = __mmext_gmap_translate(s->g, s->gaddr);
	if (IS_ERR_VALUE(s->vmaddr))
		return VM_FAULT_SIGBUS;

	if (look_around(s))
		return vmf_code(insert(s));

	fault_flags |= s->vmf->flags & FAULT_FLAG_RETRY_NOWAIT;
	return same ? fault_same(s, fault_flags) :
		      fault_other(s, fault_flags, retry);
}

static vm_fault_t fault_in_space(struct shown *s)
{
	struct mm_struct *mm = s->vmf->vma->vm_mm, *parent = s->g->mm;
	bool retry = false;
	vm_fault_t ret;

	if (mm == parent)
		return fault_locked(s, true, &retry);

	if (!mmget_not_zero(parent))
		return VM_FAULT_SIGBUS;
	if (mmap_read_trylock(parent)) {
		ret = fault_locked(s, false, &retry);
		mmap_read_unlock(parent);
	} else {
		ret = VM_FAULT_NOPAGE;
		retry = may_retry(s->vmf);
		if (!retry)
			gmap_doze();
	}
	if (retry)
		ret = fault_unlocked(s);
	/* the last one would wait, with the window's lock, for all of exit_mmap() */
	mmput_async(parent);
	return ret;
}

/* Without waiting for anybody; -ENOENT: not without the mmap lock. */
static int fault_at_once(struct shown *s)
{
	struct mmext_gmap *g = s->g;
	int err = -ENOENT;

	/* an invalidation that is in no table would be waited for */
	if (!gmap_read_try(g, &s->seq) || !mmap_read_trylock(g->mm))
		return err;
	s->vmaddr = __mmext_gmap_translate(g, s->gaddr);
	if (!IS_ERR_VALUE(s->vmaddr) && look_around(s))
		err = insert_known(s);
	mmap_read_unlock(g->mm);
	return err;
}

/*
 * With no lock but the VMA's: if the parent's page is there, and so is our table, its
 * mmap lock is tried.  All else is for the fault that then comes with the mmap lock.
 */
static vm_fault_t fault_under_vma_lock(struct shown *s)
{
	struct vm_area_struct *vma = s->vmf->vma;
	struct mm_struct *parent = s->g->mm;
	struct file *file;
	int err = -ENOENT;

	if (vma->vm_mm == parent) {
		err = fault_at_once(s);
	} else if (mmget_not_zero(parent)) {
		err = fault_at_once(s);
		mmput_async(parent);
	}
	if (err != -ENOENT)
		return vmf_code(err);

	/* the VMA may go, and the module with it */
	file = get_file(vma->vm_file);
	compat_vma_end_read(vma);
	fput(file);
	return VM_FAULT_RETRY;
}

/* The space that a view shows, which then stays; NULL if there is none. */
static struct mmext_gmap *view_space(struct mmext_gmap_view *view)
{
	struct mmext_gmap *g = container_of(view, struct mmext_gmap, self);

	/* a space's own view is its file's, which a VMA keeps */
	if (rcu_access_pointer(view->current_gmap) == g)
		return g;

	rcu_read_lock();
	g = rcu_dereference(view->current_gmap);
	if (g && !kref_get_unless_zero(&g->ref))
		g = NULL;
	rcu_read_unlock();
	return g;
}

static void put_view_space(struct mmext_gmap_view *view, struct mmext_gmap *g)
{
	if (view != &g->self)
		mmext_gmap_put(g);
}

static vm_fault_t show_page(struct vm_fault *vmf, bool again)
{
	struct vm_area_struct *vma = vmf->vma;
	struct mm_struct *mm = vma->vm_mm;
	struct mmext_gmap_view *view = vma->vm_private_data;
	struct shown s;
	vm_fault_t ret;

	/*
	 * A window is nobody's memory, and so no parent's: one that is its own
	 * parent would go round and round.  An IOMMU does not ask.
	 */
	if (!view || vmf->flags & FAULT_FLAG_REMOTE || compat_mm_has_sva(mm))
		return VM_FAULT_SIGBUS;

	s.g = view_space(view);
	if (!s.g)
		return VM_FAULT_SIGBUS;
	s.vmf = vmf;
	s.view = view;
	s.addr = vmf->address & PAGE_MASK;
	s.gaddr = vmf->pgoff << PAGE_SHIFT;
	s.write = vmf->flags & FAULT_FLAG_WRITE;
	s.again = again;
	s.gm = mm == s.g->mm ? s.g->gm : gmap_window_mm(mm);

	ret = VM_FAULT_SIGBUS;
	if (s.gm && !gmap_gone(s.g))
		ret = compat_under_vma_lock(vmf) ? fault_under_vma_lock(&s) :
						   fault_in_space(&s);
	put_view_space(view, s.g);
	return ret;
}

static vm_fault_t window_fault(struct vm_fault *vmf)
{
	return show_page(vmf, false);
}

/* Only for who asks whether there is one: fault() maps what is around. */
static vm_fault_t __maybe_unused window_map_pages(struct vm_fault *vmf,
						  pgoff_t first, pgoff_t last)
{
	return 0;
}

/* finish_mkwrite_fault() follows, unless there is a code that it knows. */
static vm_fault_t window_mkwrite(struct vm_fault *vmf)
{
	vm_fault_t ret = show_page(vmf, true);

	return ret & VM_FAULT_RETRY ? ret | VM_FAULT_NOPAGE : ret;
}

/*
 * For debuggers, who hold the mmap lock of the window's mm.  That of the parent is
 * only tried, as in a fault.
 */
static int access_page(struct mmext_gmap *g, struct mm_struct *mm,
		       unsigned long gaddr, void *buf, int len, bool write)
{
	unsigned long vmaddr = __mmext_gmap_translate(g, gaddr);
	struct gmap_page p;
	void *at;
	int err;

	if (IS_ERR_VALUE(vmaddr) || gmap_gone(g))
		return -EFAULT;
	if (mm != g->mm && !mmap_read_trylock(g->mm))
		return -EAGAIN;
	err = gmap_resolve(g->mm, vmaddr & PAGE_MASK,
			   write ? FAULT_FLAG_WRITE : 0, NULL, &p);
	if (err)
		goto unlock;

	at = page_address(pfn_to_page(p.pfn)) + offset_in_page(vmaddr);
	if (write) {
		spin_lock(&g->lock);
		gmap_fire_access(g, gaddr, true);
		gmap_dirty_mark(g, gaddr);
		spin_unlock(&g->lock);
		memcpy(at, buf, len);
		if (p.page)
			set_page_dirty_lock(p.page);
		spin_lock(&g->lock);
		gmap_dirty_mark(g, gaddr);
		spin_unlock(&g->lock);
	} else {
		memcpy(buf, at, len);
	}
	gmap_put_page(&p);
unlock:
	if (mm != g->mm)
		mmap_read_unlock(g->mm);
	return err ?: len;
}

static int window_access(struct vm_area_struct *vma, unsigned long addr,
			 void *buf, int len, int write)
{
	struct mmext_gmap_view *view = vma->vm_private_data;
	struct mm_struct *mm = vma->vm_mm;
	struct mmext_gmap *g;
	unsigned long gaddr;
	int ret = -EFAULT;

	if (!view || (write && !(vma->vm_flags & VM_WRITE)))
		return -EFAULT;
	g = view_space(view);
	if (!g)
		return -EFAULT;

	gaddr = (vma->vm_pgoff << PAGE_SHIFT) + (addr - vma->vm_start);
	len = min_t(unsigned long, len, PAGE_SIZE - offset_in_page(addr));
	if (mm == g->mm || mmget_not_zero(g->mm)) {
		ret = access_page(g, mm, gaddr, buf, len, write);
		if (mm != g->mm)
			mmput_async(g->mm);
	}
	put_view_space(view, g);
	return ret;
}

/* Addresses that windows are at, or were: it only grows.  The mmap lock for write. */
static void widen(struct gmap_mm *gm, struct vm_area_struct *vma)
{
	spin_lock(&gm->lock);
	if (vma->vm_start < gm->windows_first)
		WRITE_ONCE(gm->windows_first, vma->vm_start);
	if (vma->vm_end - 1 > gm->windows_last)
		WRITE_ONCE(gm->windows_last, vma->vm_end - 1);
	spin_unlock(&gm->lock);
	atomic_inc(&gm->nr_windows);
}

/* By mremap(2) or a split; the mm has a window, and so its notifier. */
static void window_open(struct vm_area_struct *vma)
{
	struct gmap_mm *gm;

	if (!vma->vm_private_data)
		return;
	if (vma->vm_mm != current->mm) {
		/*
		 * A fork, which MADV_DOFORK allowed.  The entries that it would
		 * copy go first, and the child's window shows nothing.
		 */
		vma->vm_private_data = NULL;
		gm = gmap_window_mm(current->mm);
		if (gm) {
			spin_lock(&gm->lock);
			gmap_window_drop_range(gm, vma->vm_start,
					       vma->vm_end - 1);
			spin_unlock(&gm->lock);
		}
		return;
	}
	gm = gmap_mm_get_locked(vma->vm_mm);
	if (WARN_ON_ONCE(IS_ERR(gm)))
		vma->vm_private_data = NULL;
	else
		widen(gm, vma);
}

static void window_close(struct vm_area_struct *vma)
{
	struct gmap_mm *gm;

	if (!vma->vm_private_data)
		return;
	gm = gmap_window_mm(vma->vm_mm);
	atomic_dec(&gm->nr_windows);
	gmap_mm_put(gm);
}

static const struct vm_operations_struct window_vm_ops = {
	.open = window_open,
	.close = window_close,
	.fault = window_fault,
	COMPAT_MAP_PAGES(window_map_pages)
	.pfn_mkwrite = window_mkwrite,
	.access = window_access,
};

bool gmap_is_window(const struct vm_area_struct *vma)
{
	return vma->vm_ops == &window_vm_ops;
}

/**
 * mmext_gmap_windows_possible - can there be windows on this machine
 *
 * Not without a flush of the engine's own; and not where who pins memory, as
 * process_vm_readv(2) does, would take what is left in his array for the pages of a
 * window.
 *
 * Return: false if mmext_gmap_mmap() is -EOPNOTSUPP.
 */
bool mmext_gmap_windows_possible(void)
{
	return COMPAT_PINS_REFUSE_FRAMES && mmext_tlb_native();
}
EXPORT_SYMBOL_GPL(mmext_gmap_windows_possible);

/**
 * mmext_gmap_mmap - have a VMA show what a view does
 * @view: the view; stays for as long as the VMA's file
 * @vma: VMA under construction; its offset is the guest address
 *
 * What an mmap handler ends with.
 *
 * Context: from an mmap handler, mmap lock for write.
 * Return: 0; -EOPNOTSUPP see mmext_gmap_windows_possible(); -EINVAL a private
 * mapping, or one of guest addresses that there can't be; -EBUSY a device walks the
 * page tables of this mm (SVA); -ENOMEM; -EINTR.
 */
int mmext_gmap_mmap(struct mmext_gmap_view *view, struct vm_area_struct *vma)
{
	struct gmap_mm *gm;

	if (!mmext_gmap_windows_possible())
		return -EOPNOTSUPP;
	if (!(vma->vm_flags & VM_MAYSHARE) ||
	    vma->vm_pgoff + vma_pages(vma) > ULONG_MAX >> PAGE_SHIFT)
		return -EINVAL;
	if (compat_mm_has_sva(vma->vm_mm))
		return -EBUSY;

	gm = gmap_mm_get_locked(vma->vm_mm);
	if (IS_ERR(gm))
		return PTR_ERR(gm);

	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTCOPY | VM_DONTEXPAND |
			  VM_DONTDUMP);
	vma->vm_private_data = view;
	vma->vm_ops = &window_vm_ops;
	widen(gm, vma);
	return 0;
}
EXPORT_SYMBOL_GPL(mmext_gmap_mmap);

/**
 * mmext_gmap_view - the view of a space's own windows
 * @gmap: the space
 *
 * Return: a view that shows @gmap and nothing else.
 */
struct mmext_gmap_view *mmext_gmap_view(struct mmext_gmap *gmap)
{
	return &gmap->self;
}
EXPORT_SYMBOL_GPL(mmext_gmap_view);

/**
 * mmext_gmap_view_init - make a view, that shows nothing
 * @view: embedded in what windows are mapped by
 *
 * Undone by mmext_gmap_disable(), when there are no windows any more.
 */
void mmext_gmap_view_init(struct mmext_gmap_view *view)
{
	mutex_init(&view->lock);
	RCU_INIT_POINTER(view->current_gmap, NULL);
}
EXPORT_SYMBOL_GPL(mmext_gmap_view_init);

/* Take out of the windows of a view what they show of a space.  Context: its lock. */
static void clear_view(struct mmext_gmap *g, struct mmext_gmap_view *view)
{
	struct work w = { .todo = CLEAR, .gfirst = 0, .glast = ULONG_MAX };
	struct gmap_record *r;

	if (!mmext_tlb_native())
		return;
	for (r = records_iter_first(&g->records, 0, ULONG_MAX); r;
	     r = records_iter_next(r, 0, ULONG_MAX)) {
		if (r->view == view)
			work_record(r, &w);
	}
	gmap_window_flush(g);
}

static void show(struct mmext_gmap_view *view, struct mmext_gmap *g)
{
	struct mmext_gmap *old;

	mutex_lock(&view->lock);
	old = rcu_dereference_protected(view->current_gmap,
					lockdep_is_held(&view->lock));
	if (old != g) {
		if (g)
			mmext_gmap_get(g);
		/*
		 * Who inserts looks at the pointer under his space's lock: of the
		 * old one nothing comes back, of the new one nothing is there yet.
		 */
		if (old) {
			mmext_gmap_lock(old);
			clear_view(old, view);
		}
		rcu_assign_pointer(view->current_gmap, g);
		if (old)
			mmext_gmap_unlock(old);
	}
	mutex_unlock(&view->lock);
	if (old && old != g)
		mmext_gmap_put(old);
}

/**
 * mmext_gmap_enable - have the windows of a view show a space
 * @view: the view
 * @gmap: the space
 *
 * In place of what they showed.  The view holds a reference.
 *
 * Differs from gmap_enable(): it is a file's windows that show the space, where the
 * namesake switched a CPU.
 *
 * Context: process context, may sleep.
 * Return: 0; -ESRCH the parent has gone.
 */
int mmext_gmap_enable(struct mmext_gmap_view *view, struct mmext_gmap *gmap)
{
	if (gmap_gone(gmap))
		return -ESRCH;
	show(view, gmap);
	return 0;
}
EXPORT_SYMBOL_GPL(mmext_gmap_enable);

/**
 * mmext_gmap_disable - have the windows of a view show nothing
 * @view: the view
 *
 * Differs from gmap_disable() as that from its namesake.
 *
 * Context: process context, may sleep.
 * Return: 0, also if they showed nothing.
 */
int mmext_gmap_disable(struct mmext_gmap_view *view)
{
	show(view, NULL);
	return 0;
}
EXPORT_SYMBOL_GPL(mmext_gmap_disable);

int mmext_gmap_init(void)
{
	zeroes = alloc_page(GFP_KERNEL | __GFP_ZERO);
	return zeroes ? 0 : -ENOMEM;
}

void mmext_gmap_exit(void)
{
	gmap_notify_exit();
	__free_page(zeroes);
}
