/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A region: the sparse array of pages behind an open /dev/mmext.
 *
 * Locks, outermost first:
 *
 *	mmap lock, or a VMA's lock in a fault
 *	region->lock
 *	i_mmap_rwsem of the region's inode	(taken by the engine)
 *	page-table lock				(taken by the engine)
 *
 * region->lock is held for write by whoever changes what offsets show, and for
 * read by whoever adds pages to holes or wants what it looked up to stay.
 * Nothing is copied from or to user space under it.  A fault on a page that
 * exists does not take it, unless the mapping's sequence says that something
 * changed meanwhile (mmext_read_begin()); being fair, the lock then keeps those
 * who change from starving those who fault.
 */
#ifndef _MMEXT_REGION_H
#define _MMEXT_REGION_H

#include <linux/kref.h>
#include <linux/mmext.h>
#include <linux/rwsem.h>
#include <linux/xarray.h>
#include <uapi/linux/mmext.h>

/* Where a region without a length ends. */
#define REGION_MAX_LENGTH	((u64)MAX_LFS_FILESIZE & PAGE_MASK)

/* An offset with this mark in region->pages can't be stored to. */
#define REGION_READ_ONLY	XA_MARK_0

/**
 * struct iomem - a physical range that a region shows
 * @phys: its physical address
 * @length: bytes
 * @cache: MMEXT_CACHE_WC or MMEXT_CACHE_UC
 * @virt: the kernel's own mapping of it, which holds the memory type; NULL once
 *	the range was given back.  Under region->lock.
 */
struct iomem {
	phys_addr_t phys;
	u64 length;
	u32 cache;
	void __iomem *virt;
};

/**
 * struct region_faults - page faults by kind
 * @read: loads where there was no entry
 * @write: stores where there was no entry
 * @mkwrite: stores to an entry that was read-only
 */
struct region_faults {
	u64 read;
	u64 write;
	u64 mkwrite;
};

/**
 * struct region - a sparse array of pages that programs map
 * @ref: descriptors, and the module for the named ones
 * @lock: see above
 * @map: the engine's part
 * @inode: its mapping links the VMAs of this region and no other
 * @pages: by page index: the page; a value where there is none but a mark
 * @io: the physical range that it shows, in place of pages; set before @shaped
 * @blocks: by page index / MMEXT_HUGE_PAGES: the first page of an aligned block
 *	that offsets show as it was allocated, in one piece; empty without @huge
 * @guest: the guest space that it shows, in place of pages
 * @dirty: the dirty log, see dirty.c; empty unless it is used
 * @length: bytes, a multiple of the page size; 0: no end
 * @backing: one of enum mmext_backing
 * @around: bytes of addresses that one fault may map
 * @huge: holes are filled by the block, and blocks mapped by one entry, where
 *	they can
 * @has_private: there was a private mapping
 * @shaped: @length, @backing, @around and @huge can't change any more
 * @revoked: nothing can be done with it any more
 * @nr_pages: pages, each counted once however many offsets show it
 * @faults: page faults handled, by kind, one set of counters for each CPU
 */
struct region {
	struct kref ref;
	struct rw_semaphore lock;
	struct mmext_mapping map;
	struct inode *inode;
	struct xarray pages;
	struct xarray blocks;
	struct iomem *io;
	struct mmext_gmap_view guest;
	struct xarray dirty;
	u64 length;
	u32 around;
	u32 backing;
	bool huge;
	bool has_private;
	bool shaped;
	bool revoked;
	atomic_long_t nr_pages;
	struct region_faults __percpu *faults;
};

/* Its physical range; NULL if it has none, or is not known to have one yet. */
static inline struct iomem *region_io(struct region *r)
{
	/* pairs with region_iomem() */
	return smp_load_acquire(&r->shaped) ? r->io : NULL;
}

/* The page index that a user address shows; linear_page_index() wants hugetlb. */
static inline pgoff_t region_index(struct vm_area_struct *vma,
				   unsigned long addr)
{
	return vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
}

/* Do its entries hold references to its pages? */
static inline bool region_has_pages(struct region *r)
{
	return READ_ONCE(r->backing) == MMEXT_BACKING_PAGE;
}

/* Does it show a guest space, and has nothing of its own? */
static inline bool region_is_guest(struct region *r)
{
	return READ_ONCE(r->backing) == MMEXT_BACKING_GUEST;
}

/* What byte of a page an offset or address is; there is no highmem. */
static inline void *page_at(struct page *page, unsigned long pos)
{
	return page_address(page) + offset_in_page(pos);
}

/* region.c */
int region_fs_init(void);
void region_fs_exit(void);
void region_limit_init(void);
bool region_around_valid(u64 bytes);
u64 region_limit(void);
u64 region_used(void);
long region_live(void);

int region_charge(long bytes);
void region_uncharge(long bytes);

struct region *region_create(u64 length);
void region_get(struct region *r);
void region_put(struct region *r);

u64 region_end(struct region *r);
void region_shape(struct region *r);
int region_setup(struct region *r, u64 length, u32 backing, u32 around,
		 bool huge);
int region_iomem(struct region *r, u64 phys, u64 length, u32 cache);

struct page *region_page(struct region *r, pgoff_t index);
struct page *region_page_alloc(struct region *r, pgoff_t index);
struct page *region_block(struct region *r, pgoff_t first);
bool region_read_only(struct region *r, pgoff_t index);
void region_pfns(struct region *r, pgoff_t first, unsigned int nr,
		 unsigned long *pfns, unsigned long *read_only);
unsigned int region_pages(struct region *r, pgoff_t first, unsigned int nr,
			  struct page **pages, unsigned long *read_only);

int region_exchange(struct region *r, pgoff_t from, pgoff_t to,
		    unsigned long nr);
int region_alias(struct region *r, pgoff_t from, pgoff_t to, unsigned long nr);
int region_unmap(struct region *r, u64 offset, u64 length, bool even_cows);
long region_free(struct region *r, pgoff_t first, pgoff_t last,
		 bool even_cows);
long region_protect(struct region *r, pgoff_t first, unsigned long nr);
long region_unprotect(struct region *r, pgoff_t first, pgoff_t last);
int region_revoke(struct region *r);

/* iomem.c */
#ifdef CONFIG_HAS_IOMEM
struct iomem *iomem_claim(u64 phys, u64 length, u32 cache);
void iomem_release(struct iomem *io);
pgprot_t iomem_prot(struct iomem *io, pgprot_t prot);
void iomem_copy(struct iomem *io, u64 offset, void *buf, size_t len,
		bool write);
#else
static inline struct iomem *iomem_claim(u64 phys, u64 length, u32 cache)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void iomem_release(struct iomem *io)
{
}

static inline pgprot_t iomem_prot(struct iomem *io, pgprot_t prot)
{
	return prot;
}

static inline void iomem_copy(struct iomem *io, u64 offset, void *buf,
			      size_t len, bool write)
{
}
#endif

/* dirty.c */
#define DIRTY_PAGES	4096UL	/* that a step of a call is inside a block of */

long region_dirty_start(struct region *r, pgoff_t first, unsigned long nr);
unsigned long region_dirty_stop(struct region *r, pgoff_t first,
				unsigned long nr);
unsigned long region_dirty_peek(struct region *r, pgoff_t first,
				unsigned long nr, unsigned long *marks);
int region_dirty_clear(struct region *r, pgoff_t first, unsigned long nr,
		       unsigned long *marks);
void region_dirty_restore(struct region *r, pgoff_t first, unsigned long nr,
			  const unsigned long *marks);
pgoff_t region_dirty_next(struct region *r, pgoff_t first, pgoff_t last);
u64 region_dirty_bytes(pgoff_t first, unsigned long nr);
void region_dirty_free(struct region *r);
void __region_dirty_mark(struct region *r, pgoff_t index);
bool __region_dirty_clean(struct region *r, pgoff_t index);
bool region_dirty_any_clean(struct region *r, pgoff_t first, unsigned long nr);

/*
 * What an offset shows is about to change, or can from here on.
 *
 * Context: region->lock, at least for read.
 */
static inline void region_dirty_mark(struct region *r, pgoff_t index)
{
	if (unlikely(!xa_empty(&r->dirty)))
		__region_dirty_mark(r, index);
}

/*
 * Is the offset tracked, and not marked?  Then no entry may be writable.
 *
 * Context: as region_page().
 */
static inline bool region_dirty_clean(struct region *r, pgoff_t index)
{
	return unlikely(!xa_empty(&r->dirty)) && __region_dirty_clean(r, index);
}

/* mmap.c, rw.c, ioctl.c */
int region_mmap(struct file *file, struct vm_area_struct *vma);
ssize_t region_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t region_write_iter(struct kiocb *iocb, struct iov_iter *from);
loff_t region_llseek(struct file *file, loff_t offset, int whence);
long region_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

#endif /* _MMEXT_REGION_H */
