// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of a region, and the dispatcher: one table, a row each.  It copies the
 * structure, checks size, tail and flags, and copies it back; a handler sees the copy.
 */
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mmext.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "../mm_ext/tlb.h"
#include "gmap_file.h"
#include "ioctl.h"
#include "region.h"

/* Pages that one step of a long call works on between looks for a signal. */
#define STEP_PAGES		512UL
#define REMAP_STEP_PAGES	4096UL
#define STEP_BLOCKS		32UL
#define ZAP_STEP_PAGES		(1UL << (30 - PAGE_SHIFT))

/* [start, start + length) of a thing that ends at @end */
int check_range(u64 start, u64 length, u64 end)
{
	if (!PAGE_ALIGNED(start) || !PAGE_ALIGNED(length))
		return -EINVAL;
	if (length > U64_MAX - start)
		return -EOVERFLOW;
	if (start + length > end)
		return -EINVAL;
	return 0;
}

static int check_addr(u64 addr, u64 length)
{
	int err = check_range(addr, length, U64_MAX);

	return err ?: addr + length > TASK_SIZE ? -EFAULT : 0;
}

/* Does a VMA map this region, through this descriptor? */
static bool maps_file(struct vm_area_struct *vma, struct file *file)
{
	struct region *r = file->private_data;

	return vma && vma->vm_file == file && mmext_vma_mapping(vma) == &r->map;
}

/*
 * The caller's VMA at @addr, with the mmap lock held for read; it is not held
 * on error.  All of [addr, addr + length) must be one mapping of this
 * descriptor: mprotect(2) splits a mapping into several VMAs, which go on in
 * each other's offsets and, being special, never merge again.
 *
 * @flags: VM_ flags that each of them has to have
 */
static struct vm_area_struct *lock_vma(struct file *file, u64 addr, u64 length,
				       unsigned long flags)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *first, *vma, *next;

	if (mmap_read_lock_killable(mm))
		return ERR_PTR(-EINTR);

	first = find_vma(mm, addr);
	if (!maps_file(first, file) || first->vm_start > addr)
		goto unlock;

	for (vma = first; (vma->vm_flags & flags) == flags; vma = next) {
		if (addr + length <= vma->vm_end)
			return first;
		next = find_vma(mm, vma->vm_end);
		if (!maps_file(next, file) || next->vm_start != vma->vm_end ||
		    next->vm_pgoff != vma->vm_pgoff + vma_pages(vma))
			break;
	}
unlock:
	mmap_read_unlock(mm);
	return ERR_PTR(-EFAULT);
}

/* How many of @pages at @addr are in @vma, @most at once. */
static unsigned long pages_in_vma(struct vm_area_struct *vma, u64 addr,
				  u64 pages, unsigned long most)
{
	return min3(pages, (u64)(vma->vm_end - addr) >> PAGE_SHIFT, (u64)most);
}

static int lock_region(struct region *r)
{
	if (down_write_killable(&r->lock))
		return -EINTR;
	if (!r->revoked)
		return 0;
	up_write(&r->lock);
	return -ENODEV;
}

/*
 * Work through a range in steps.  @step is told how many pages are left and
 * says how many it did.  @a, and @b unless NULL, are advanced, @length counted
 * down.
 */
int in_steps(struct file *file, void *arg, u64 *a, u64 *b, u64 *length,
	     long (*step)(struct file *file, void *arg, u64 pages))
{
	bool progress = false;

	while (*length) {
		long done;

		if (signal_pending(current))
			return progress ? 0 : -EINTR;

		done = step(file, arg, *length >> PAGE_SHIFT);
		if (done == -EINTR && progress)
			return 0;
		if (done < 0)
			return done;
		/* there is no room for more of what it gives out */
		if (!done)
			return 0;

		*a += (u64)done << PAGE_SHIFT;
		if (b)
			*b += (u64)done << PAGE_SHIFT;
		*length -= (u64)done << PAGE_SHIFT;
		progress = true;
		cond_resched();
	}
	return 0;
}

static int do_info(struct file *file, void *arg)
{
	struct region *r = file->private_data;
	struct mmext_info *info = arg;
	struct iomem *io = region_io(r);

	info->out_abi = MMEXT_ABI;
	info->out_tlb = mmext_tlb_live();
	info->out_features = IS_ENABLED(CONFIG_MMU_NOTIFIER) ?
			     MMEXT_FEATURE_NOTIFIER : 0;
	if (COMPAT_GFP_MAPPED & __GFP_ACCOUNT)
		info->out_features |= MMEXT_FEATURE_PAGE_CHARGED;
	if (gmap_windows_possible())
		info->out_features |= MMEXT_FEATURE_GMAP_WINDOW |
				      MMEXT_FEATURE_GMAP_ANON;
	info->out_page_sizes = PAGE_SIZE;
	if (mmext_huge_possible()) {
		info->out_features |= MMEXT_FEATURE_HUGE;
		info->out_page_sizes |= PMD_SIZE;
	}
	info->out_max_offset = REGION_MAX_LENGTH;
	info->out_length = READ_ONCE(r->length);
	info->out_limit = region_limit();
	info->out_used = region_used();
	info->out_backing = READ_ONCE(r->backing);
	info->out_cache = io ? io->cache : MMEXT_CACHE_WB;
	return 0;
}

static int do_setup(struct file *file, void *arg)
{
	struct mmext_setup *s = arg;
	int err;

	err = check_range(0, s->length, REGION_MAX_LENGTH);
	if (err)
		return err;
	if (s->backing > MMEXT_BACKING_GUEST || s->cache > MMEXT_CACHE_UC)
		return -EINVAL;
	if (s->reserved || (s->around && !region_around_valid(s->around)))
		return -EINVAL;
	if (s->cache != MMEXT_CACHE_WB ||
	    (s->backing == MMEXT_BACKING_GUEST && !gmap_windows_possible()))
		return -EOPNOTSUPP;

	return region_setup(file->private_data, s->length, s->backing,
			    s->around, s->flags & MMEXT_SETUP_HUGE);
}

static int do_iomem(struct file *file, void *arg)
{
	struct mmext_iomem *i = arg;
	int err;

	err = check_range(i->phys, i->length, U64_MAX);
	if (err)
		return err;
	if (!i->length || i->cache > MMEXT_CACHE_UC || i->reserved)
		return -EINVAL;
	if (i->cache == MMEXT_CACHE_WB)
		return -EOPNOTSUPP;

	return region_iomem(file->private_data, i->phys, i->length, i->cache);
}

/* The same of a physical range. */
static int populate_io(struct vm_area_struct *vma, struct iomem *io,
		       unsigned long addr, unsigned long nr, bool write,
		       unsigned long *done)
{
	unsigned long pfn = (io->phys >> PAGE_SHIFT) + region_index(vma, addr);
	pgprot_t prot = pgprot_decrypted(mmext_vma_prot(vma, write));
	int err;

	err = mmext_remap_pfn_range(vma, addr, pfn, nr << PAGE_SHIFT, prot);
	*done = err ? 0 : nr;
	return err;
}

/* Pages of one protection, in a row of addresses. */
static int populate_run(struct vm_area_struct *vma, struct region *r,
			unsigned long addr, struct page **pages,
			unsigned long nr, pgprot_t prot, unsigned long *done)
{
	unsigned long left = nr;
	int err;

	if (region_has_pages(r)) {
		err = mmext_vm_insert_pages_prot(vma, addr, pages, &left, prot);
		*done += nr - left;
		return err;
	}

	err = mmext_remap_pages(vma, addr, pages, nr, prot);
	if (!err)
		*done += nr;
	return err;
}

/*
 * Have the pages of a stretch, those that are missing made, and, if they are to be
 * stored to, marked: the stores are seen by nobody.  *nr is how many there are now.
 */
static int populate_make(struct region *r, pgoff_t index, bool write,
			 unsigned long *nr)
{
	struct page *page;
	unsigned long i;

	for (i = 0; i < *nr; i++) {
		page = region_page_alloc(r, index + i);
		if (IS_ERR(page)) {
			*nr = i;
			return PTR_ERR(page);
		}
		if (write && !region_read_only(r, index + i))
			region_dirty_mark(r, index + i);
	}
	return 0;
}

/*
 * Map the pages of a stretch, at most STEP_PAGES, which @pages has room for.  The
 * region's lock keeps them where they are.
 */
static int populate_pages(struct vm_area_struct *vma, struct region *r,
			  unsigned long addr, unsigned long nr, bool write,
			  struct page **pages, unsigned long *done)
{
	DECLARE_BITMAP(read_only, STEP_PAGES);
	pgoff_t index = region_index(vma, addr);
	unsigned long i, end;
	int err = 0, ret = 0;

	/* a store to a private mapping makes a copy, whatever is there */
	write = write && vma->vm_flags & VM_SHARED;

	if (region_pages(r, index, nr, pages, read_only) < nr ||
	    (write && !xa_empty(&r->dirty))) {
		err = populate_make(r, index, write, &nr);
		if (nr)
			region_pages(r, index, nr, pages, read_only);
	}
	if (!write)
		bitmap_fill(read_only, nr);

	for (i = 0; i < nr && !ret; i = end) {
		bool ro = test_bit(i, read_only);

		end = ro ? find_next_zero_bit(read_only, nr, i) :
			   find_next_bit(read_only, nr, i);
		ret = populate_run(vma, r, addr + (i << PAGE_SHIFT), pages + i,
				   end - i, mmext_vma_prot(vma, !ro), done);
	}

	return ret ?: err;
}

/* The pages of a block, if they are in one piece; if it is a hole, it is filled. */
static struct page *populate_block(struct region *r, pgoff_t first)
{
	struct page *pages = region_block(r, first);

	/* without memory, what is an error is found page by page */
	if (pages || region_page(r, first) ||
	    IS_ERR(region_page_alloc(r, first)))
		return pages;
	return region_block(r, first);
}

/*
 * The same of blocks, by an entry each, as far as they can be that.  Says 0 and
 * does nothing where the next can't; and -EXDEV if it wants
 * mmext_huge_prepare() before.
 */
static int populate_blocks(struct vm_area_struct *vma, struct region *r,
			   unsigned long addr, unsigned long nr, bool write,
			   unsigned long *done)
{
	pgprot_t prot = mmext_vma_prot(vma, write);
	pgoff_t index = region_index(vma, addr);
	struct page *blocks[STEP_BLOCKS];
	unsigned long n, mapped;
	int err;

	if (!IS_ALIGNED(index, MMEXT_HUGE_PAGES) || !mmext_huge_fits(vma, addr))
		return 0;

	nr = min(nr / MMEXT_HUGE_PAGES, STEP_BLOCKS);
	for (n = 0; n < nr; n++, index += MMEXT_HUGE_PAGES) {
		blocks[n] = populate_block(r, index);
		if (!blocks[n])
			break;
	}
	if (!n)
		return 0;

	mapped = mmext_remap_leaves(vma, addr, blocks, n, prot);
	if (!mapped) {
		if (!mmext_huge_ready(vma, addr))
			return -EXDEV;
		err = mmext_remap_pfn_range(vma, addr, page_to_pfn(blocks[0]),
					    PMD_SIZE, prot);
		if (err)
			return err;
		mapped = 1;
	}
	*done = mapped * MMEXT_HUGE_PAGES;
	return 0;
}

/*
 * POPULATE on its way.  Room for pages is there from the first step on that needs it:
 * to get a page for that, and have it cleared, in each step costs.
 */
struct populating {
	struct mmext_populate *p;
	struct page **pages;
};

static bool populate_room(struct populating *pop)
{
	if (!pop->pages)
		pop->pages = kmalloc_array(min_t(u64, STEP_PAGES,
						 pop->p->length >> PAGE_SHIFT),
					   sizeof(*pop->pages),
					   GFP_KERNEL_ACCOUNT);
	return pop->pages;
}

/* With the mmap lock, and the region's, held. */
static int populate_some(struct populating *pop, struct vm_area_struct *vma,
			 struct region *r, unsigned long addr, unsigned long nr,
			 bool write, bool huge, unsigned long *done)
{
	unsigned long block = MMEXT_HUGE_PAGES;
	int err;

	if (r->revoked)
		return -ENODEV;
	if (r->huge && huge) {
		err = populate_blocks(vma, r, addr, nr, write, done);
		if (err || *done)
			return err;
	}

	/* up to where a block begins */
	if (r->huge || r->io)
		nr = min(nr, block - (addr >> PAGE_SHIFT) % block);
	nr = min(nr, STEP_PAGES);
	if (r->io)
		return populate_io(vma, r->io, addr, nr, write, done);
	if (!populate_room(pop))
		return -ENOMEM;
	return populate_pages(vma, r, addr, nr, write, pop->pages, done);
}

static long populate_step(struct file *file, void *arg, u64 pages)
{
	struct region *r = file->private_data;
	struct populating *pop = arg;
	struct mmext_populate *p = pop->p;
	struct vm_area_struct *vma;
	unsigned long done = 0;
	bool write = p->flags & MMEXT_POPULATE_WRITE, huge = true;
	unsigned long nr;
	int err;

	vma = lock_vma(file, p->addr, p->length, write ? VM_WRITE : 0);
	if (IS_ERR(vma))
		return PTR_ERR(vma);

again:
	err = -EINTR;
	if (down_read_killable(&r->lock))
		goto unlock;

	nr = pages_in_vma(vma, p->addr, pages, STEP_BLOCKS * MMEXT_HUGE_PAGES);
	err = populate_some(pop, vma, r, p->addr, nr, write, huge, &done);
	up_read(&r->lock);
	/* a fault, which takes the region's lock */
	if (err == -EXDEV && !done) {
		mmext_huge_prepare(vma, p->addr);
		huge = mmext_huge_ready(vma, p->addr);
		goto again;
	}
unlock:
	mmap_read_unlock(current->mm);
	/* a failure after some progress comes again, at its own place */
	return done ?: err;
}

static int do_populate(struct file *file, void *arg)
{
	struct mmext_populate *p = arg;
	struct populating pop = { .p = p };
	int err;

	if (p->flags & MMEXT_POPULATE_WRITE && !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	err = check_addr(p->addr, p->length);
	if (err)
		return err;

	err = in_steps(file, &pop, &p->addr, NULL, &p->length, populate_step);
	kfree(pop.pages);
	return err;
}

static long remap_step(struct file *file, void *arg, u64 pages)
{
	struct region *r = file->private_data;
	struct mmext_remap *m = arg;
	unsigned long nr = min_t(u64, pages, REMAP_STEP_PAGES);
	int err;

	err = lock_region(r);
	if (err)
		return err;

	if (m->flags & MMEXT_REMAP_ALIAS)
		err = region_alias(r, m->from >> PAGE_SHIFT,
				   m->to >> PAGE_SHIFT, nr);
	else
		err = region_exchange(r, m->from >> PAGE_SHIFT,
				      m->to >> PAGE_SHIFT, nr);
	up_write(&r->lock);
	return err ?: nr;
}

static int do_remap(struct file *file, void *arg)
{
	struct region *r = file->private_data;
	struct mmext_remap *m = arg;
	int err;

	err = check_range(m->from, m->length, region_end(r));
	if (!err)
		err = check_range(m->to, m->length, region_end(r));
	if (err)
		return err;
	if (r->io)
		return -EOPNOTSUPP;
	if (m->length && m->from < m->to + m->length &&
	    m->to < m->from + m->length)
		return -EINVAL;

	return in_steps(file, m, &m->from, &m->to, &m->length, remap_step);
}

static long zap_step(struct file *file, void *arg, u64 pages)
{
	struct mmext_zap *z = arg;
	struct vm_area_struct *vma;
	unsigned long size;
	int err;

	vma = lock_vma(file, z->addr, z->length, 0);
	if (IS_ERR(vma))
		return PTR_ERR(vma);

	size = min_t(u64, pages, ZAP_STEP_PAGES) << PAGE_SHIFT;
	/* a mapping that was split is all of it this descriptor's */
	if (region_has_pages(file->private_data) ||
	    size > vma->vm_end - z->addr)
		err = mmext_zap_page_range(vma, z->addr, size);
	else
		err = mmext_zap_vma_ptes(vma, z->addr, size);
	mmap_read_unlock(current->mm);
	return err ?: (long)(size >> PAGE_SHIFT);
}

/* Whatever else the range holds is skipped, and counted. */
static long zap_span_step(struct file *file, void *arg, u64 pages)
{
	struct region *r = file->private_data;
	struct mmext_zap_details details = {
		.mapping = &r->map,
		.even_cows = true,
	};
	struct mmext_zap *z = arg;
	u64 end = z->addr + z->length;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	struct mmext_gather g;
	int err;

	if (mmap_read_lock_killable(mm))
		return -EINTR;

	vma = find_vma(mm, z->addr);
	/* a hole is no work, however long it is */
	if (vma && vma->vm_start < end)
		end = min_t(u64, end, max_t(u64, z->addr, vma->vm_start) +
				      (ZAP_STEP_PAGES << PAGE_SHIFT));

	mmext_gather_begin(&g, mm, &details);
	err = mmext_unmap_vmas(&g, vma, z->addr, end);
	mmext_gather_end(&g);
	mmap_read_unlock(mm);

	if (err && err != -EPERM)
		return err;
	z->out_skipped += g.skipped;
	return (end - z->addr) >> PAGE_SHIFT;
}

static int do_zap(struct file *file, void *arg)
{
	struct mmext_zap *z = arg;
	int err;

	z->out_skipped = 0;
	err = check_addr(z->addr, z->length);
	if (err)
		return err;

	return in_steps(file, z, &z->addr, NULL, &z->length,
			z->flags & MMEXT_ZAP_SPAN ? zap_span_step : zap_step);
}

static long unmap_step(struct file *file, void *arg, u64 pages)
{
	struct region *r = file->private_data;
	struct mmext_unmap *u = arg;
	pgoff_t first = u->offset >> PAGE_SHIFT;
	bool even_cows = u->flags & MMEXT_UNMAP_EVEN_COWS;
	long ret;

	if (u->flags & MMEXT_UNMAP_FREE) {
		ret = lock_region(r);
		if (ret)
			return ret;
		ret = region_free(r, first, first + pages - 1, even_cows);
		up_write(&r->lock);
		return ret;
	}

	/* nothing changes but entries: those who fault need not wait */
	if (down_read_killable(&r->lock))
		return -EINTR;
	if (r->revoked)
		ret = -ENODEV;
	else
		ret = region_unmap(r, u->offset, u->length, even_cows);
	up_read(&r->lock);
	return ret ?: (long)pages;
}

static int do_unmap(struct file *file, void *arg)
{
	struct region *r = file->private_data;
	struct mmext_unmap *u = arg;
	int err;

	if (u->flags & (MMEXT_UNMAP_FREE | MMEXT_UNMAP_EVEN_COWS) &&
	    !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (u->flags & MMEXT_UNMAP_TO_END && u->length)
		return -EINVAL;
	if (u->flags & MMEXT_UNMAP_FREE && r->io)
		return -EOPNOTSUPP;
	err = check_range(u->offset, u->length, region_end(r));
	if (err)
		return err;

	if (u->flags & MMEXT_UNMAP_TO_END) {
		u->flags &= ~MMEXT_UNMAP_TO_END;
		u->length = region_end(r) - u->offset;
	}

	return in_steps(file, u, &u->offset, NULL, &u->length, unmap_step);
}

static int do_revoke(struct file *file, void *arg)
{
	struct region *r = file->private_data;
	int err;

	err = lock_region(r);
	if (err)
		return err;

	err = region_revoke(r);
	up_write(&r->lock);
	return err;
}

static long protect_step(struct file *file, void *arg, u64 pages)
{
	struct region *r = file->private_data;
	struct mmext_protect *p = arg;
	pgoff_t first = p->offset >> PAGE_SHIFT;
	long ret;

	ret = lock_region(r);
	if (ret)
		return ret;

	if (p->flags & MMEXT_PROTECT_READ_ONLY)
		ret = region_protect(r, first, min_t(u64, pages, STEP_PAGES));
	else
		ret = region_unprotect(r, first, first + pages - 1);
	up_write(&r->lock);
	return ret;
}

static int do_protect(struct file *file, void *arg)
{
	struct region *r = file->private_data;
	struct mmext_protect *p = arg;
	int err;

	err = check_range(p->offset, p->length, region_end(r));
	if (err)
		return err;
	if (r->io)
		return -EOPNOTSUPP;

	return in_steps(file, p, &p->offset, NULL, &p->length, protect_step);
}

static long dirty_track_step(struct file *file, void *arg, u64 pages)
{
	struct region *r = file->private_data;
	struct mmext_dirty *d = arg;
	pgoff_t first = d->offset >> PAGE_SHIFT;
	long ret;

	ret = lock_region(r);
	if (ret)
		return ret;

	if (d->flags & MMEXT_DIRTY_START)
		ret = region_dirty_start(r, first, pages);
	else
		ret = region_dirty_stop(r, first, pages);
	up_write(&r->lock);
	return ret;
}

/* Of @nr pages from @first on, those that the runs there is room for cover. */
unsigned long dirty_find_runs(struct dirty_get *g, pgoff_t first,
			      unsigned long nr)
{
	unsigned long bit = first % DIRTY_PAGES, begin = bit, end = bit + nr;
	unsigned int most = min_t(u32, g->d->nr, ARRAY_SIZE(g->runs));
	struct mmext_run *run = g->runs;

	for (g->nr_runs = 0; ; g->nr_runs++, run++) {
		bit = find_next_bit(g->marks, end, bit);
		if (bit >= end)
			return nr;
		if (g->nr_runs == most)
			return bit - begin;
		run->offset = (u64)(first + (bit - begin)) << PAGE_SHIFT;
		run->length = bit;
		bit = find_next_zero_bit(g->marks, end, bit);
		run->length = (bit - run->length) << PAGE_SHIFT;
	}
}

int dirty_put_marks(struct dirty_get *g, pgoff_t first, unsigned long nr)
{
	struct mmext_dirty *d = g->d;
	size_t size;
	void *from;

	if (d->flags & MMEXT_DIRTY_RUNS) {
		from = g->runs;
		size = g->nr_runs * sizeof(*g->runs);
	} else {
		from = &g->marks[first % DIRTY_PAGES / BITS_PER_LONG];
		size = BITS_TO_LONGS(nr) * sizeof(*g->marks);
	}
	if (copy_to_user(u64_to_user_ptr(d->marks), from, size))
		return -EFAULT;

	d->marks += size;
	if (d->flags & MMEXT_DIRTY_RUNS)
		d->nr -= g->nr_runs;
	return 0;
}

static long dirty_get_step(struct file *file, void *arg, u64 pages)
{
	struct region *r = file->private_data;
	struct dirty_get *g = arg;
	struct mmext_dirty *d = g->d;
	pgoff_t first = d->offset >> PAGE_SHIFT;
	bool clear = d->flags & MMEXT_DIRTY_CLEAR;
	unsigned long nr;
	int err;

	if (d->flags & MMEXT_DIRTY_RUNS && !d->nr)
		return 0;

	if (clear)
		err = lock_region(r);
	else
		err = down_read_killable(&r->lock);
	if (err)
		return err;

	if (d->flags & MMEXT_DIRTY_RUNS) {
		nr = region_dirty_next(r, first, first + pages - 1) - first;
		if (nr) {
			/* a stretch without a log has no marks */
			g->nr_runs = 0;
			goto unlock;
		}
	}
	nr = region_dirty_peek(r, first, pages, g->marks);
	if (d->flags & MMEXT_DIRTY_RUNS)
		nr = dirty_find_runs(g, first, nr);
	if (clear)
		err = region_dirty_clear(r, first, nr, g->marks);
unlock:
	if (clear)
		up_write(&r->lock);
	else
		up_read(&r->lock);
	if (err)
		return err;

	err = dirty_put_marks(g, first, nr);
	if (err && clear)
		region_dirty_restore(r, first, nr, g->marks);
	return err ?: (long)nr;
}

/* @step: gives out a part, and is told of a struct dirty_get. */
int dirty_get(struct file *file, struct mmext_dirty *d,
	      long (*step)(struct file *file, void *arg, u64 pages))
{
	struct dirty_get *g;
	int err;

	if (d->flags & MMEXT_DIRTY_RUNS) {
		if (!d->nr && d->length)
			return -EINVAL;
	} else if ((d->offset >> PAGE_SHIFT) % BITS_PER_LONG) {
		return -EINVAL;
	}

	g = kzalloc(sizeof(*g), GFP_KERNEL_ACCOUNT);
	if (!g)
		return -ENOMEM;
	g->d = d;
	err = in_steps(file, g, &d->offset, NULL, &d->length, step);
	kfree(g);
	return err;
}

/* What is said of the flags of DIRTY; @what: set to that of the three. */
int dirty_check(struct file *file, const struct mmext_dirty *d, u32 *what)
{
	*what = d->flags & (MMEXT_DIRTY_START | MMEXT_DIRTY_STOP |
			    MMEXT_DIRTY_GET);
	if (d->reserved || !is_power_of_2(*what))
		return -EINVAL;
	if (*what != MMEXT_DIRTY_GET && *what != d->flags)
		return -EINVAL;
	if (d->flags & ~(MMEXT_DIRTY_GET | MMEXT_DIRTY_RUNS) &&
	    !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	return 0;
}

static int do_dirty(struct file *file, void *arg)
{
	struct region *r = file->private_data;
	struct mmext_dirty *d = arg;
	u32 what;
	int err;

	err = dirty_check(file, d, &what);
	if (!err)
		err = check_range(d->offset, d->length, region_end(r));
	if (err)
		return err;
	if (r->io)
		return -EOPNOTSUPP;

	if (what == MMEXT_DIRTY_GET)
		return dirty_get(file, d, dirty_get_step);

	/* the whole of it, or none */
	if (what == MMEXT_DIRTY_START &&
	    region_used() + region_dirty_bytes(d->offset >> PAGE_SHIFT,
					       d->length >> PAGE_SHIFT) >
	    region_limit())
		return -ENOSPC;

	return in_steps(file, d, &d->offset, NULL, &d->length,
			dirty_track_step);
}

static void put_entry(struct mmext_entry *e, const struct mmext_pte *pte,
		      bool show_pfn)
{
	e->flags = MMEXT_ENTRY_PRESENT;
	if (pte->write)
		e->flags |= MMEXT_ENTRY_WRITABLE;
	if (pte->dirty)
		e->flags |= MMEXT_ENTRY_DIRTY;
	if (pte->young)
		e->flags |= MMEXT_ENTRY_YOUNG;
	e->shift = pte->shift;
	if (show_pfn)
		e->pfn = pte->pfn;
}

static void lookup_one(struct vm_area_struct *vma, unsigned long addr,
		       bool show_pfn, struct mmext_entry *e)
{
	struct mmext_pte pte;
	unsigned long pfn;

	/* another process can change the entry: flags and frame of one */
	do {
		if (mmext_follow_pte(vma, addr, &pte))
			return;
		pfn = pte.pfn;
		/* which is for frames that nobody holds */
		if (show_pfn && vma->vm_flags & VM_PFNMAP &&
		    mmext_follow_pfn(vma, addr, &pfn))
			return;
	} while (pfn != pte.pfn);

	put_entry(e, &pte, show_pfn);
}

/* How many at once: what there is room for on the stack. */
#define LOOKUP_PAGES	32UL

static void lookup_many(struct vm_area_struct *vma, unsigned long addr,
			unsigned long nr, bool show_pfn, struct mmext_entry *e)
{
	struct mmext_pte ptes[LOOKUP_PAGES];
	unsigned long i, n;

	for (; nr; nr -= n, addr += n << PAGE_SHIFT) {
		n = min(nr, LOOKUP_PAGES);
		if (mmext_follow_ptes(vma, addr, n, ptes))
			return;
		for (i = 0; i < n; i++, e++) {
			if (ptes[i].shift)
				put_entry(e, &ptes[i], show_pfn);
		}
	}
}

static long lookup_step(struct file *file, void *arg, u64 pages)
{
	bool show_pfn = capable(CAP_SYS_ADMIN);
	struct mmext_lookup *l = arg;
	struct mmext_entry *entries;
	struct vm_area_struct *vma;
	unsigned long nr;
	long ret;

	nr = min_t(u64, pages, STEP_PAGES);
	entries = kvcalloc(nr, sizeof(*entries), GFP_KERNEL_ACCOUNT);
	if (!entries)
		return -ENOMEM;

	vma = lock_vma(file, l->addr, l->length, 0);
	if (IS_ERR(vma)) {
		ret = PTR_ERR(vma);
		goto free;
	}
	nr = pages_in_vma(vma, l->addr, pages, STEP_PAGES);
	if (nr == 1)
		lookup_one(vma, l->addr, show_pfn, entries);
	else
		lookup_many(vma, l->addr, nr, show_pfn, entries);
	mmap_read_unlock(current->mm);

	if (copy_to_user(u64_to_user_ptr(l->entries), entries,
			 nr * sizeof(*entries))) {
		ret = -EFAULT;
		goto free;
	}
	l->entries += nr * sizeof(*entries);
	ret = nr;
free:
	kvfree(entries);
	return ret;
}

static int do_lookup(struct file *file, void *arg)
{
	struct mmext_lookup *l = arg;
	int err;

	err = check_addr(l->addr, l->length);
	if (err)
		return err;

	return in_steps(file, l, &l->addr, NULL, &l->length, lookup_step);
}

/* Bytes of ACCESS between looks for a signal. */
#define ACCESS_STEP	SZ_1M

static ssize_t access_step(struct mmext_access *a)
{
	bool write = a->flags & MMEXT_ACCESS_WRITE;
	struct iov_iter iter;
	struct iovec iov;
	int err;

	err = compat_import_user(write ? WRITE : READ,
				 u64_to_user_ptr(a->buffer),
				 min_t(u64, a->length, ACCESS_STEP), &iov,
				 &iter);
	if (err)
		return err;
	return mmext_access_remote_iter(current->mm, a->addr, &iter,
					write ? FOLL_WRITE : 0);
}

static int do_access(struct file *file, void *arg)
{
	struct mmext_access *a = arg;
	bool progress = false;
	ssize_t done;

	if (a->length > U64_MAX - a->addr)
		return -EOVERFLOW;
	if (a->addr + a->length > TASK_SIZE)
		return -EFAULT;

	while (a->length) {
		done = signal_pending(current) ? -EINTR : access_step(a);
		if (done == -EINTR && progress)
			return 0;
		if (done < 0)
			return done;

		a->addr += done;
		a->buffer += done;
		a->length -= done;
		progress = true;
		cond_resched();
	}
	return 0;
}

static int lock_guest(struct region *r)
{
	if (!region_is_guest(r))
		return -EBUSY;
	if (down_read_killable(&r->lock))
		return -EINTR;
	if (!r->revoked)
		return 0;
	up_read(&r->lock);
	return -ENODEV;
}

static int do_enable(struct file *file, void *arg)
{
	struct region *r = file->private_data;
	struct mmext_gmap_enable *e = arg;
	int err;

	if (e->reserved)
		return -EINVAL;
	err = lock_guest(r);
	if (err)
		return err;

	err = gmap_enable_fd(&r->guest, e->fd);
	up_read(&r->lock);
	return err;
}

static int do_disable(struct file *file, void *arg)
{
	struct region *r = file->private_data;
	int err = lock_guest(r);

	if (err)
		return err;

	err = gmap_disable_view(&r->guest);
	up_read(&r->lock);
	return err;
}

/*
 * What a row says beside: the region can't be SETUP after it; and it is for a region
 * that has pages, or a physical range, of its own.
 */
#define SHAPES	BIT(0)
#define OWN	BIT(1)

static const struct op ops[] = {
	IOCTL_OP(INFO, mmext_info, out_cache, 0, false, 0, do_info),
	IOCTL_OP(SETUP, mmext_setup, cache, MMEXT_SETUP_HUGE, true, 0,
		 do_setup),
	IOCTL_OP(POPULATE, mmext_populate, length, MMEXT_POPULATE_WRITE, false,
		 SHAPES | OWN, do_populate),
	IOCTL_OP(REMAP, mmext_remap, length, MMEXT_REMAP_ALIAS, true,
		 SHAPES | OWN, do_remap),
	IOCTL_OP(ZAP, mmext_zap, length, MMEXT_ZAP_SPAN, false, SHAPES | OWN,
		 do_zap),
	IOCTL_OP(UNMAP, mmext_unmap, length,
		 MMEXT_UNMAP_FREE | MMEXT_UNMAP_TO_END | MMEXT_UNMAP_EVEN_COWS,
		 false, SHAPES | OWN, do_unmap),
	IOCTL_OP(REVOKE, mmext_revoke, flags, 0, true, SHAPES, do_revoke),
	IOCTL_OP(PROTECT, mmext_protect, length, MMEXT_PROTECT_READ_ONLY, true,
		 SHAPES | OWN, do_protect),
	IOCTL_OP(DIRTY, mmext_dirty, reserved,
		 MMEXT_DIRTY_START | MMEXT_DIRTY_STOP | MMEXT_DIRTY_GET |
		 MMEXT_DIRTY_CLEAR | MMEXT_DIRTY_RUNS, false, SHAPES | OWN,
		 do_dirty),
	IOCTL_OP(LOOKUP, mmext_lookup, entries, 0, false, SHAPES | OWN,
		 do_lookup),
	IOCTL_OP(IOMEM, mmext_iomem, reserved, 0, true, 0, do_iomem),
	IOCTL_OP(ACCESS, mmext_access, buffer, MMEXT_ACCESS_WRITE, false, 0,
		 do_access),
	IOCTL_FD_OP(GMAP_CREATE, mmext_gmap_create, MMEXT_GMAP_CREATE_EXCLUSIVE,
		    gmap_do_create),
	IOCTL_OP(GMAP_ENABLE, mmext_gmap_enable, reserved, 0, false, SHAPES,
		 do_enable),
	IOCTL_OP(GMAP_DISABLE, mmext_gmap_disable, flags, 0, false, SHAPES,
		 do_disable),
};

static int begin(struct file *file, const struct op *op)
{
	struct region *r = file->private_data;

	return READ_ONCE(r->revoked) ? -ENODEV : 0;
}

static int checked(struct file *file, const struct op *op)
{
	struct region *r = file->private_data;

	if (op->what & SHAPES)
		region_shape(r);
	if (op->what & OWN && region_is_guest(r))
		return -EOPNOTSUPP;
	return 0;
}

union args {
	struct ioctl_head head;
	struct mmext_info info;
	struct mmext_setup setup;
	struct mmext_populate populate;
	struct mmext_remap remap;
	struct mmext_zap zap;
	struct mmext_unmap unmap;
	struct mmext_revoke revoke;
	struct mmext_protect protect;
	struct mmext_dirty dirty;
	struct mmext_lookup lookup;
	struct mmext_iomem iomem;
	struct mmext_access access;
	struct mmext_gmap_create gmap_create;
	struct mmext_gmap_enable gmap_enable;
	struct mmext_gmap_disable gmap_disable;
};

static const struct op_table table = {
	.ops = ops,
	.nr = ARRAY_SIZE(ops),
	.begin = begin,
	.checked = checked,
};

long region_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	union args args;

	return ioctl_dispatch(file, cmd, arg, &table, &args.head);
}

/* A descriptor is the program's when it has been told of it, and not before. */
static int do_make(struct file *file, const struct op *op, void __user *uarg,
		   struct ioctl_head *head, u32 size)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *made;
	int err;

	if (fd < 0)
		return fd;

	made = op->make(file, head);
	err = PTR_ERR_OR_ZERO(made);
	if (err)
		goto put_fd;
	*(s32 *)((void *)head + op->fd) = fd;
	if (copy_to_user(uarg, head, size)) {
		fput(made);
		err = -EFAULT;
		goto put_fd;
	}
	fd_install(fd, made);
	return 0;

put_fd:
	put_unused_fd(fd);
	return err;
}

/**
 * ioctl_dispatch - do an ioctl by a table
 * @file: of the call
 * @cmd: its number
 * @arg: user address of its structure
 * @table: the rows
 * @head: room for the largest of their structures
 *
 * Return: for the program.
 */
long ioctl_dispatch(struct file *file, unsigned int cmd, unsigned long arg,
		    const struct op_table *table, struct ioctl_head *head)
{
	void __user *uarg = (void __user *)arg;
	unsigned int nr = _IOC_NR(cmd);
	const struct op *op;
	u32 size;
	int err;

	if (nr >= table->nr || !table->ops[nr].cmd || table->ops[nr].cmd != cmd)
		return -ENOTTY;
	op = &table->ops[nr];

	err = table->begin(file, op);
	if (err)
		return err;

	if (get_user(size, (u32 __user *)uarg))
		return -EFAULT;
	if (size < op->min)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	memset(head, 0, op->size);
	err = copy_struct_from_user(head, op->size, uarg, size);
	if (err)
		return err;
	/* what was checked is what counts, whatever the program wrote since */
	head->size = size;

	if (head->flags & ~op->flags)
		return -EINVAL;
	if (op->write && !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	err = table->checked(file, op);
	if (err)
		return err;
	size = min(size, op->size);
	/* before anything is done that nobody would be told of */
	if (copy_to_user(uarg, head, size))
		return -EFAULT;
	if (op->make)
		return do_make(file, op, uarg, head, size);

	err = op->fn(file, head);

	/* also after an error: it says how far it came */
	if (copy_to_user(uarg, head, size))
		return -EFAULT;
	return err;
}
