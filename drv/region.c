// SPDX-License-Identifier: GPL-2.0
/*
 * Regions: their pages, and the calls that change what their offsets show.
 *
 * page_private() counts the offsets that show a page.  It is set to 1 before
 * the page is in region->pages and changes under region->lock held for write;
 * the region's reference is dropped with the last.  With PFN backing there is
 * no other; with PAGE backing each entry has one, and so has whoever pinned the
 * page (get_user_pages()), whose it then is alone.
 */
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/gfp.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "gmap_file.h"
#include "region.h"

#define REGION_FS_MAGIC	0x6d6d6578	/* "mmex" */

static atomic_long_t live_regions = ATOMIC_LONG_INIT(0);

/*
 * Bytes of all regions, and how many there may be.  A page counts as what it
 * is.  An offset that has an entry in region->pages without having a page to
 * itself (a protected hole, one more offset of an aliased page) counts as a
 * node of the xarray, which is what it costs when it is alone.
 */
static atomic_long_t used_bytes = ATOMIC_LONG_INIT(0);
static unsigned long limit_bytes;

#define SLOT_BYTES	sizeof(struct xa_node)

static void charge(long bytes)
{
	atomic_long_add(bytes, &used_bytes);
}

int region_charge(long bytes)
{
	if (atomic_long_add_return(bytes, &used_bytes) <=
	    READ_ONCE(limit_bytes))
		return 0;
	charge(-bytes);
	return -ENOSPC;
}

void region_uncharge(long bytes)
{
	charge(-bytes);
}

static int limit_set(const char *val, const struct kernel_param *kp)
{
	char *end;
	u64 bytes = memparse(val, &end);

	if (end == val || (*end && *end != '\n') || bytes < PAGE_SIZE ||
	    bytes > LONG_MAX)
		return -EINVAL;
	WRITE_ONCE(limit_bytes, bytes & PAGE_MASK);
	return 0;
}

static int limit_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%llu\n", region_limit());
}

static const struct kernel_param_ops limit_ops = {
	.set = limit_set,
	.get = limit_get,
};

module_param_cb(limit, &limit_ops, NULL, 0644);
MODULE_PARM_DESC(limit,
		 "bytes that all regions may hold together (K, M, G; default: half of the memory)");

/* What one fault maps, where SETUP does not say it. */
static u32 around_bytes = 16 * PAGE_SIZE;

/* A power of two: aligned, it is in one page table. */
bool region_around_valid(u64 bytes)
{
	return bytes >= PAGE_SIZE && bytes <= MMEXT_AROUND_MAX * PAGE_SIZE &&
	       is_power_of_2(bytes);
}

static int around_set(const char *val, const struct kernel_param *kp)
{
	char *end;
	u64 bytes = memparse(val, &end);

	if (end == val || (*end && *end != '\n') || !region_around_valid(bytes))
		return -EINVAL;
	WRITE_ONCE(around_bytes, bytes);
	return 0;
}

static int around_get(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(around_bytes));
}

static const struct kernel_param_ops around_ops = {
	.set = around_set,
	.get = around_get,
};

module_param_cb(around, &around_ops, NULL, 0644);
MODULE_PARM_DESC(around,
		 "bytes that one fault maps of the pages that exist, a power of two up to 64 pages (K; default: 16 pages), one page: no more than it needs");

static struct vfsmount *region_mnt;

static int region_fs_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, REGION_FS_MAGIC) ? 0 : -ENOMEM;
}

/*
 * No owner: the mount lives as long as the module, and would keep it.  What
 * uses the inodes, descriptors and mappings, holds the module itself.
 */
static struct file_system_type region_fs = {
	.name = "mmext",
	.init_fs_context = region_fs_init_context,
	.kill_sb = kill_anon_super,
};

int region_fs_init(void)
{
	region_mnt = kern_mount(&region_fs);
	return PTR_ERR_OR_ZERO(region_mnt);
}

void region_fs_exit(void)
{
	kern_unmount(region_mnt);
}

void region_limit_init(void)
{
	if (!limit_bytes)
		limit_bytes = totalram_pages() / 2 << PAGE_SHIFT;
}

u64 region_limit(void)
{
	return READ_ONCE(limit_bytes);
}

u64 region_used(void)
{
	return atomic_long_read(&used_bytes);
}

long region_live(void)
{
	return atomic_long_read(&live_regions);
}

/**
 * region_create - make a region
 * @length: bytes, a multiple of the page size; 0: no end, SETUP may give one
 *
 * Return: the region, to be put; ERR_PTR(-ENOMEM).
 */
struct region *region_create(u64 length)
{
	struct region *r;

	r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (!r)
		return ERR_PTR(-ENOMEM);

	kref_init(&r->ref);
	init_rwsem(&r->lock);
	xa_init_flags(&r->pages, XA_FLAGS_ACCOUNT);
	xa_init_flags(&r->blocks, XA_FLAGS_ACCOUNT);
	xa_init_flags(&r->dirty, XA_FLAGS_ACCOUNT);
	gmap_view_init(&r->guest);
	r->length = length;
	r->around = READ_ONCE(around_bytes);
	r->shaped = length;

	r->faults = alloc_percpu_gfp(struct region_faults, GFP_KERNEL_ACCOUNT);
	if (!r->faults)
		goto free_region;

	if (mmext_mapping_init(&r->map))
		goto free_faults;

	r->inode = alloc_anon_inode(region_mnt->mnt_sb);
	if (IS_ERR(r->inode))
		goto destroy_mapping;

	atomic_long_inc(&live_regions);
	return r;

destroy_mapping:
	mmext_mapping_destroy(&r->map);
free_faults:
	free_percpu(r->faults);
free_region:
	kfree(r);
	return ERR_PTR(-ENOMEM);
}

void region_get(struct region *r)
{
	kref_get(&r->ref);
}

/*
 * A page of PAGE backing is of the region's inode, since a futex that processes
 * share is known by that and by the index.  REMAP moves pages, so the index is
 * not an offset, but what no other page has: no more is asked of it, as the
 * kernel neither writes such pages back nor moves them.
 */
static void adopt_page(struct region *r, struct page *page)
{
	if (region_has_pages(r))
		compat_set_page_mapping(page, r->inode->i_mapping,
					page_to_pfn(page));
}

/* Nobody else's, for whoever holds it on, and to be freed. */
static void disown_page(struct page *page)
{
	compat_set_page_mapping(page, NULL, 0);
}

/* An offset that showed @page no longer does, and no entry shows it there. */
static void drop_page(struct region *r, struct page *page)
{
	unsigned long offsets = page_private(page) - 1;

	set_page_private(page, offsets);
	if (!offsets) {
		disown_page(page);
		atomic_long_dec(&r->nr_pages);
		charge(-(long)(PAGE_SIZE - SLOT_BYTES));
		__free_page(page);
	}
}

/* Free everything: nothing is looked up any more, and nothing mapped. */
static void erase_all(struct region *r)
{
	unsigned long index;
	void *entry;

	xa_destroy(&r->blocks);
	xa_for_each(&r->pages, index, entry) {
		xa_erase(&r->pages, index);
		charge(-(long)SLOT_BYTES);
		if (!xa_is_value(entry))
			drop_page(r, entry);
		cond_resched();
	}
}

static void region_release(struct kref *ref)
{
	struct region *r = container_of(ref, struct region, ref);

	/* no descriptor is left, and so no VMA */
	erase_all(r);
	xa_destroy(&r->pages);
	if (r->io)
		iomem_release(r->io);
	kfree(r->io);
	gmap_disable_view(&r->guest);
	region_dirty_free(r);

	iput(r->inode);
	mmext_mapping_destroy(&r->map);
	free_percpu(r->faults);
	kfree(r);
	atomic_long_dec(&live_regions);
}

void region_put(struct region *r)
{
	kref_put(&r->ref, region_release);
}

/* Bytes: the first offset that is not the region's. */
u64 region_end(struct region *r)
{
	u64 length = READ_ONCE(r->length);

	return length ?: REGION_MAX_LENGTH;
}

/* Whatever it is by now is what it stays. */
void region_shape(struct region *r)
{
	/* pairs with the release below: the length that was set before it */
	if (smp_load_acquire(&r->shaped))
		return;

	down_write(&r->lock);
	/* pairs with the acquire above */
	smp_store_release(&r->shaped, true);
	up_write(&r->lock);
}

/* @around: 0: as it is; @huge: a hint */
int region_setup(struct region *r, u64 length, u32 backing, u32 around,
		 bool huge)
{
	int ret = -EBUSY;

	down_write(&r->lock);
	if (!r->shaped) {
		WRITE_ONCE(r->length, length);
		if (around)
			WRITE_ONCE(r->around, around);
		WRITE_ONCE(r->backing, backing);
		r->huge = huge && backing == MMEXT_BACKING_PFN &&
			  mmext_huge_possible();
		/* pairs with region_shape() */
		smp_store_release(&r->shaped, true);
		ret = 0;
	}
	up_write(&r->lock);
	return ret;
}

/**
 * region_iomem - give a region a physical range to show
 * @r: the region
 * @phys: as for iomem_claim(), as those that follow
 * @length: bytes, which the region ends at
 * @cache: memory type
 *
 * Return: 0; -EBUSY the region has its shape; or what iomem_claim() says.
 */
int region_iomem(struct region *r, u64 phys, u64 length, u32 cache)
{
	struct iomem *io;
	int ret = -EBUSY;

	down_write(&r->lock);
	if (r->shaped)
		goto unlock;

	io = iomem_claim(phys, length, cache);
	ret = PTR_ERR_OR_ZERO(io);
	if (ret)
		goto unlock;

	r->io = io;
	WRITE_ONCE(r->backing, MMEXT_BACKING_IOMEM);
	WRITE_ONCE(r->length, length);
	/* pairs with region_shape() */
	smp_store_release(&r->shaped, true);
unlock:
	up_write(&r->lock);
	return ret;
}

/**
 * region_page - the page that an offset shows
 * @r: the region
 * @index: page index
 *
 * Context: region->lock, at least for read, or for a look-up that is checked
 * against the mapping's sequence and uses no more than the frame number.
 * Return: the page, NULL for a hole.
 */
struct page *region_page(struct region *r, pgoff_t index)
{
	void *entry = xa_load(&r->pages, index);

	return xa_is_value(entry) ? NULL : entry;
}

bool region_read_only(struct region *r, pgoff_t index)
{
	return xa_marked(&r->pages, REGION_READ_ONLY) &&
	       xa_get_mark(&r->pages, index, REGION_READ_ONLY);
}

/* The marks of those that are pages, for region_pages(). */
static void get_marks(struct region *r, pgoff_t first, unsigned int nr,
		      const unsigned long *entries, unsigned long none,
		      unsigned long *read_only)
{
	bool protects = xa_marked(&r->pages, REGION_READ_ONLY);
	unsigned int i;

	bitmap_zero(read_only, nr);
	if (likely(!protects && xa_empty(&r->dirty)))
		return;

	for (i = 0; i < nr; i++) {
		if (entries[i] != none &&
		    (region_read_only(r, first + i) ||
		     region_dirty_clean(r, first + i)))
			__set_bit(i, read_only);
	}
}

/* A page, and no value, nothing of the xarray's own, and not nothing? */
static bool is_page(const void *entry)
{
	return likely(entry && !((unsigned long)entry & 3));
}

/* Slots of a node that are looked at together. */
#define AT_ONCE		8

/*
 * Slots of a node, AT_ONCE of them, up to where one is no page or less than that are
 * left.  Returns how many.  That all are pages is one question where the addresses of
 * the kernel are known to have their highest bit set; and their frames are computed
 * ahead of the answer, so not where that looks into the pages.
 */
static __always_inline unsigned long gather_many(void __rcu **slots,
						 unsigned long *out,
						 unsigned long nr, bool frames)
{
	const unsigned long *begin = out;
	unsigned long entry, all, any;

	if (!IS_ENABLED(CONFIG_X86_64) && !IS_ENABLED(CONFIG_ARM64))
		return 0;
	if (frames && !IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP))
		return 0;

#define TAKE(_n) do {							\
	entry = (unsigned long)rcu_dereference_raw(slots[_n]);		\
	all &= entry;							\
	any |= entry;							\
	out[_n] = frames ? page_to_pfn((struct page *)entry) : entry;	\
} while (0)

	for (; nr >= AT_ONCE; nr -= AT_ONCE) {
		all = ~0UL;
		any = 0;
		TAKE(0);
		TAKE(1);
		TAKE(2);
		TAKE(3);
		TAKE(4);
		TAKE(5);
		TAKE(6);
		TAKE(7);
		if (unlikely((long)all >= 0 || any & 3))
			break;
		slots += AT_ONCE;
		out += AT_ONCE;
	}
#undef TAKE
	return out - begin;
}

/*
 * What a range of offsets has: pages, or with @frames their numbers, and @none.
 * Node by node of the xarray, since to look one up is most of what it costs.
 * Returns how many have something.
 */
static __always_inline unsigned int gather(struct region *r, pgoff_t first,
					   unsigned int nr, unsigned long *out,
					   bool frames, unsigned long none)
{
	XA_STATE(xas, &r->pages, first);
	unsigned int i = 0, n, end, found = 0;
	void __rcu **slots;
	struct page *entry;

	rcu_read_lock();
	entry = xas_load(&xas);
	for (;;) {
		n = (first + i) % XA_CHUNK_SIZE;
		end = min_t(unsigned int, nr, i + XA_CHUNK_SIZE - n);

		/* what is not there is in no node, and offset 0 can be alone */
		if (!xas_is_node(&xas) || xas.xa_node->shift) {
			for (; i < end; i++, entry = NULL) {
				out[i] = none;
				if (!is_page(entry))
					continue;
				out[i] = frames ? page_to_pfn(entry) :
						  (unsigned long)entry;
				found++;
			}
			if (i == nr)
				break;
			xas_set(&xas, first + i);
			entry = xas_load(&xas);
			continue;
		}

		slots = &xas.xa_node->slots[n];
		n = gather_many(slots, out + i, end - i, frames);
		found += n;
		for (slots += n, i += n; i < end; i++) {
			entry = rcu_dereference_raw(*slots++);
			if (!is_page(entry)) {
				out[i] = none;
				continue;
			}
			out[i] = frames ? page_to_pfn(entry) :
					  (unsigned long)entry;
			found++;
		}
		if (i == nr)
			break;
		/* from the node's last slot, which is nearer than from the top */
		xas.xa_offset = XA_CHUNK_MASK;
		xas.xa_index = first + i - 1;
		entry = xas_next(&xas);
	}
	rcu_read_unlock();
	return found;
}

/**
 * region_pfns - the page frames that a range of offsets shows
 * @r: the region
 * @first: page index
 * @nr: pages, at least 1
 * @pfns: filled in; MMEXT_NO_PFN for a hole
 * @read_only: bitmap, filled in: a store has to ask first
 *
 * Context: as region_page().
 */
void region_pfns(struct region *r, pgoff_t first, unsigned int nr,
		 unsigned long *pfns, unsigned long *read_only)
{
	gather(r, first, nr, pfns, true, MMEXT_NO_PFN);
	get_marks(r, first, nr, pfns, MMEXT_NO_PFN, read_only);
}

/**
 * region_pages - the pages that a range of offsets shows
 * @r: the region
 * @first: page index
 * @nr: pages, at least 1
 * @pages: filled in; NULL for a hole
 * @read_only: bitmap, filled in: a store has to ask first
 *
 * Context: region->lock, at least for read.
 * Return: how many there are.
 */
unsigned int region_pages(struct region *r, pgoff_t first, unsigned int nr,
			  struct page **pages, unsigned long *read_only)
{
	unsigned int found;

	found = gather(r, first, nr, (unsigned long *)pages, false, 0);
	get_marks(r, first, nr, (unsigned long *)pages, 0, read_only);
	return found;
}

/**
 * region_block - the pages that an aligned block shows, if they are in one piece
 * @r: the region
 * @first: page index, a multiple of MMEXT_HUGE_PAGES
 *
 * Context: as region_page().
 * Return: the first page; NULL if they are not, or if a store to one of them is
 * to be a fault.
 */
struct page *region_block(struct region *r, pgoff_t first)
{
	pgoff_t last = first + MMEXT_HUGE_PAGES - 1;
	unsigned long index = first;

	if (xa_marked(&r->pages, REGION_READ_ONLY) &&
	    xa_find(&r->pages, &index, last, REGION_READ_ONLY))
		return NULL;
	if (region_dirty_any_clean(r, first, MMEXT_HUGE_PAGES))
		return NULL;
	return xa_load(&r->blocks, first / MMEXT_HUGE_PAGES);
}

/*
 * Fill the block of an offset, all of which are holes, in one piece.  If it can't
 * be had, nothing is said: then it is page by page.
 */
static void block_alloc(struct region *r, pgoff_t index)
{
	pgoff_t first = round_down(index, MMEXT_HUGE_PAGES);
	pgoff_t last = first + MMEXT_HUGE_PAGES - 1;
	unsigned int order = ilog2(MMEXT_HUGE_PAGES), i;
	struct page *pages;

	index = first;
	if (last >= region_end(r) >> PAGE_SHIFT ||
	    xa_find(&r->pages, &index, last, XA_PRESENT))
		return;
	if (region_charge(PMD_SIZE))
		return;

	pages = alloc_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NORETRY |
			    __GFP_NOWARN, order);
	if (!pages) {
		region_uncharge(PMD_SIZE);
		return;
	}

	/* each is its own, to be freed and moved */
	split_page(pages, order);
	for (i = 0; i < MMEXT_HUGE_PAGES; i++) {
		set_page_private(pages + i, 1);
		/* somebody else may fill the same holes */
		if (xa_cmpxchg(&r->pages, first + i, NULL, pages + i,
			       GFP_KERNEL)) {
			set_page_private(pages + i, 0);
			break;
		}
		atomic_long_inc(&r->nr_pages);
	}

	/* without memory for this it is not known to be in one piece */
	if (i == MMEXT_HUGE_PAGES)
		xa_store(&r->blocks, first / MMEXT_HUGE_PAGES, pages,
			 GFP_KERNEL);
	for (; i < MMEXT_HUGE_PAGES; i++) {
		__free_page(pages + i);
		region_uncharge(PAGE_SIZE);
	}
}

/**
 * region_page_alloc - the page that an offset shows, a new one for a hole
 * @r: the region
 * @index: page index, inside the region
 *
 * The page is zeroed, and charged to the caller's memory cgroup where it can be
 * (COMPAT_GFP_MAPPED).
 *
 * Context: region->lock, at least for read; sleeps.
 * Return: the page; ERR_PTR(-ENOSPC) the limit, ERR_PTR(-ENOMEM).
 */
struct page *region_page_alloc(struct region *r, pgoff_t index)
{
	gfp_t gfp = region_has_pages(r) ? COMPAT_GFP_MAPPED :
					  GFP_KERNEL_ACCOUNT;
	void *entry = xa_load(&r->pages, index);
	struct page *page;
	void *old;
	long bytes;
	int err;

	if (!entry && r->huge) {
		block_alloc(r, index);
		entry = xa_load(&r->pages, index);
	}
	if (entry && !xa_is_value(entry))
		return entry;

	/* a protected hole has paid for its entry */
	bytes = entry ? PAGE_SIZE - SLOT_BYTES : PAGE_SIZE;
	err = region_charge(bytes);
	if (err)
		return ERR_PTR(err);

	page = alloc_page(gfp | __GFP_ZERO);
	if (!page) {
		charge(-bytes);
		return ERR_PTR(-ENOMEM);
	}
	set_page_private(page, 1);
	adopt_page(r, page);

	/* a value that is replaced leaves its mark */
	old = xa_cmpxchg(&r->pages, index, entry, page, GFP_KERNEL);
	if (old == entry) {
		atomic_long_inc(&r->nr_pages);
		return page;
	}

	set_page_private(page, 0);
	disown_page(page);
	__free_page(page);
	charge(-bytes);
	/* there is a page by now: marks change only under the lock for write */
	return xa_is_err(old) ? ERR_PTR(xa_err(old)) : old;
}

/*
 * Make an offset show @page, or nothing.  Slots that get a page must be there
 * (reserve_slots()), so this needs no memory.
 */
static void set_slot(struct region *r, pgoff_t index, struct page *page)
{
	void *entry = page;
	void *old;

	if (r->huge && xa_load(&r->blocks, index / MMEXT_HUGE_PAGES))
		xa_erase(&r->blocks, index / MMEXT_HUGE_PAGES);

	/* a mark needs an entry to be on */
	if (!entry && region_read_only(r, index))
		entry = xa_mk_value(0);

	/* a slot that is only reserved is not counted, and reads as NULL */
	old = xa_store(&r->pages, index, entry, 0);
	charge((long)SLOT_BYTES * (!!entry - !!old));
}

/*
 * Have memory for @to to show what @from shows; undone by release_slots().
 * Returns how many offsets of @to have no entry yet, or -ENOMEM.
 */
static long reserve_slots(struct region *r, pgoff_t from, pgoff_t to,
			  unsigned long nr)
{
	unsigned long i;
	long count = 0;

	for (i = 0; i < nr; i++) {
		if (!region_page(r, from + i) || xa_load(&r->pages, to + i))
			continue;
		if (xa_reserve(&r->pages, to + i, GFP_KERNEL))
			return -ENOMEM;
		count++;
	}
	return count;
}

static void release_slots(struct region *r, pgoff_t first, unsigned long nr)
{
	unsigned long i;

	for (i = 0; i < nr; i++)
		xa_release(&r->pages, first + i);
}

/* What processes copied is theirs, and stays. */
static int unmap_pages(struct region *r, pgoff_t first, pgoff_t nr)
{
	return mmext_unmap_mapping_range(r->inode->i_mapping,
					 (loff_t)first << PAGE_SHIFT,
					 (loff_t)nr << PAGE_SHIFT, 0);
}

/*
 * The core has pages that region_fault() gave it, locked, to copy for private
 * mappings.  Wait until it has: an unmapping of the copies then finds them.
 */
static void settle_copies(struct region *r, pgoff_t first, pgoff_t last)
{
	unsigned long index;
	void *entry;

	if (!READ_ONCE(r->has_private))
		return;

	xa_for_each_range(&r->pages, index, entry, first, last) {
		if (!xa_is_value(entry)) {
			lock_page(entry);
			unlock_page(entry);
		}
		cond_resched();
	}
}

/* How many of @nr pages to take at once, so that whole blocks are. */
static unsigned long pages_at_once(struct region *r, pgoff_t from, pgoff_t to,
				   unsigned long nr)
{
	if (!r->huge || (from ^ to) % MMEXT_HUGE_PAGES)
		return nr;
	return min(nr, MMEXT_HUGE_PAGES - from % MMEXT_HUGE_PAGES);
}

/* The pages of a range, if it is a block in one piece and @to is one, too. */
static struct page *get_block(struct region *r, pgoff_t first, pgoff_t to,
			      unsigned long nr)
{
	if (nr != MMEXT_HUGE_PAGES || !IS_ALIGNED(first | to, nr))
		return NULL;
	return xa_load(&r->blocks, first / MMEXT_HUGE_PAGES);
}

/* Now @to shows them; without memory it does so page by page. */
static void put_block(struct region *r, pgoff_t to, struct page *pages)
{
	if (pages)
		xa_store(&r->blocks, to / MMEXT_HUGE_PAGES, pages, GFP_KERNEL);
}

static void exchange_pages(struct region *r, pgoff_t from, pgoff_t to,
			   unsigned long nr)
{
	struct page *block_a = get_block(r, from, to, nr);
	struct page *block_b = get_block(r, to, from, nr);
	unsigned long i;

	for (i = 0; i < nr; i++) {
		struct page *a = region_page(r, from + i);
		struct page *b = region_page(r, to + i);

		if (a == b)
			continue;
		region_dirty_mark(r, from + i);
		region_dirty_mark(r, to + i);
		set_slot(r, from + i, b);
		set_slot(r, to + i, a);
	}
	put_block(r, from, block_b);
	put_block(r, to, block_a);
}

/**
 * region_exchange - two ranges change places
 * @r: the region
 * @from: page index of one range
 * @to: page index of the other; they do not overlap
 * @nr: pages
 *
 * Context: region->lock for write.
 * Return: 0; -ENOMEM with nothing changed.
 */
int region_exchange(struct region *r, pgoff_t from, pgoff_t to,
		    unsigned long nr)
{
	unsigned long i, n;
	int err = 0;

	if (reserve_slots(r, from, to, nr) < 0 ||
	    reserve_slots(r, to, from, nr) < 0) {
		err = -ENOMEM;
		goto release;
	}

	mmext_invalidate_begin(&r->map);
	err = unmap_pages(r, from, nr);
	if (!err)
		err = unmap_pages(r, to, nr);
	for (i = 0; !err && i < nr; i += n) {
		n = pages_at_once(r, from + i, to + i, nr - i);
		exchange_pages(r, from + i, to + i, n);
	}
	mmext_invalidate_end(&r->map);
release:
	if (err) {
		release_slots(r, from, nr);
		release_slots(r, to, nr);
	}
	return err;
}

static void alias_pages(struct region *r, pgoff_t from, pgoff_t to,
			unsigned long nr)
{
	struct page *block = get_block(r, from, to, nr);
	unsigned long i;

	for (i = 0; i < nr; i++) {
		struct page *page = region_page(r, from + i);
		struct page *old = region_page(r, to + i);

		if (page == old)
			continue;
		region_dirty_mark(r, to + i);
		if (page)
			set_page_private(page, page_private(page) + 1);
		set_slot(r, to + i, page);
		if (old)
			drop_page(r, old);
	}
	put_block(r, to, block);
}

/**
 * region_alias - a range shows the pages of another
 * @r: the region
 * @from: page index of the range whose pages are shown
 * @to: page index of the range that shows them; they do not overlap
 * @nr: pages
 *
 * Context: region->lock for write.
 * Return: 0; -ENOMEM, or -ENOSPC the limit, with nothing changed.
 */
int region_alias(struct region *r, pgoff_t from, pgoff_t to, unsigned long nr)
{
	unsigned long i, n;
	long slots;
	int err;

	slots = reserve_slots(r, from, to, nr);
	/* the room for them, ahead of set_slot() */
	err = slots < 0 ? slots : region_charge(slots * (long)SLOT_BYTES);
	if (err)
		goto release;

	mmext_invalidate_begin(&r->map);
	err = unmap_pages(r, to, nr);
	for (i = 0; !err && i < nr; i += n) {
		n = pages_at_once(r, from + i, to + i, nr - i);
		alias_pages(r, from + i, to + i, n);
	}
	mmext_invalidate_end(&r->map);
	charge(-slots * (long)SLOT_BYTES);
release:
	if (err)
		release_slots(r, to, nr);
	return err;
}

/**
 * region_unmap - drop entries in every process
 * @r: the region
 * @offset: bytes
 * @length: bytes, not 0
 * @even_cows: also the copies that stores to private mappings made
 *
 * Context: region->lock, at least for read: the pages stay.
 * Return: 0 or what mmext_unmap_mapping_range() says.
 */
int region_unmap(struct region *r, u64 offset, u64 length, bool even_cows)
{
	if (even_cows)
		settle_copies(r, offset >> PAGE_SHIFT,
			      (offset + length - 1) >> PAGE_SHIFT);
	return mmext_unmap_mapping_range(r->inode->i_mapping, offset, length,
					 even_cows);
}

/* How many entries one step of a long call works on. */
#define FREE_STEP	8192

/* The index of the last of at most FREE_STEP entries in a range. */
static pgoff_t free_step_end(struct region *r, pgoff_t first, pgoff_t last)
{
	unsigned long index, n = 0;
	void *entry;

	xa_for_each_range(&r->pages, index, entry, first, last) {
		if (++n == FREE_STEP)
			return index;
	}
	return last;
}

static void erase_range(struct region *r, pgoff_t first, pgoff_t last)
{
	unsigned long index;
	void *entry;

	xa_for_each_range(&r->pages, index, entry, first, last) {
		if (!xa_is_value(entry)) {
			region_dirty_mark(r, index);
			set_slot(r, index, NULL);
			drop_page(r, entry);
		}
		cond_resched();
	}
}

/**
 * region_free - drop entries in every process, and free the pages
 * @r: the region
 * @first: page index
 * @last: page index
 * @even_cows: also the copies that stores to private mappings made
 *
 * Context: region->lock for write.
 * Return: pages done, from @first on, at least 1; or a negative error.
 */
long region_free(struct region *r, pgoff_t first, pgoff_t last, bool even_cows)
{
	int err;

	last = free_step_end(r, first, last);

	mmext_invalidate_begin(&r->map);
	err = region_unmap(r, (u64)first << PAGE_SHIFT,
			   (u64)(last - first + 1) << PAGE_SHIFT, even_cows);
	if (!err)
		erase_range(r, first, last);
	mmext_invalidate_end(&r->map);

	return err ?: (long)(last - first + 1);
}

static int protect_page(struct region *r, pgoff_t index)
{
	int err;

	if (!xa_load(&r->pages, index)) {
		err = region_charge(SLOT_BYTES);
		if (err)
			return err;
		err = xa_err(xa_store(&r->pages, index, xa_mk_value(0),
				      GFP_KERNEL));
		if (err) {
			charge(-(long)SLOT_BYTES);
			return err;
		}
	}
	xa_set_mark(&r->pages, index, REGION_READ_ONLY);
	return 0;
}

/**
 * region_protect - have a range not be stored to
 * @r: the region
 * @first: page index
 * @nr: pages
 *
 * Context: region->lock for write.
 * Return: pages done, from @first on, at least 1; or a negative error.
 */
long region_protect(struct region *r, pgoff_t first, unsigned long nr)
{
	unsigned long i;
	int err;

	mmext_invalidate_begin(&r->map);
	err = unmap_pages(r, first, nr);
	for (i = 0; !err && i < nr; i++) {
		err = protect_page(r, first + i);
		if (err)
			break;
	}
	mmext_invalidate_end(&r->map);

	return i ? (long)i : err;
}

/**
 * region_unprotect - let a range be stored to again
 * @r: the region
 * @first: page index
 * @last: page index
 *
 * Entries stay as they are: the next store is a fault, and makes them writable.
 *
 * Context: region->lock for write.
 * Return: pages done, from @first on, at least 1; fewer if a signal came.
 */
long region_unprotect(struct region *r, pgoff_t first, pgoff_t last)
{
	unsigned long index;
	void *entry;

	for (index = first, entry = xa_find(&r->pages, &index, last,
					    REGION_READ_ONLY);
	     entry;
	     entry = xa_find_after(&r->pages, &index, last, REGION_READ_ONLY)) {
		if (xa_is_value(entry)) {
			xa_erase(&r->pages, index);
			charge(-(long)SLOT_BYTES);
		} else {
			xa_clear_mark(&r->pages, index, REGION_READ_ONLY);
		}
		if (signal_pending(current))
			return index - first + 1;
		cond_resched();
	}
	return last - first + 1;
}

/**
 * region_revoke - take a region away for good
 * @r: the region
 *
 * Context: region->lock for write.
 * Return: 0 or what mmext_unmap_mapping_pages() says.
 */
int region_revoke(struct region *r)
{
	int err;

	if (region_is_guest(r)) {
		WRITE_ONCE(r->revoked, true);
		return gmap_disable_view(&r->guest);
	}

	mmext_invalidate_begin(&r->map);
	settle_copies(r, 0, ULONG_MAX);
	err = mmext_unmap_mapping_pages(r->inode->i_mapping, 0, 0, true);
	if (!err)
		WRITE_ONCE(r->revoked, true);
	mmext_invalidate_end(&r->map);

	if (!err) {
		erase_all(r);
		if (r->io)
			iomem_release(r->io);
		region_dirty_free(r);
	}
	return err;
}
