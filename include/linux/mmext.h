/* SPDX-License-Identifier: GPL-2.0 */
/*
 * mmext - page-table entries of a driver's own
 *
 * The in-kernel interface: what mm/memory.c offers a driver for putting page
 * frames into user mappings and taking them out, as a library of its own.  A
 * documented function keeps its name and its parameters, with the prefix
 * mmext_; what differs is said in its comment.
 *
 * How a driver uses it
 *
 *	static const struct vm_operations_struct my_vm_ops = {
 *		MMEXT_VM_OPS,
 *		.fault		= my_fault,
 *		.pfn_mkwrite	= my_pfn_mkwrite,
 *	};
 *
 *	static int my_mmap(struct file *file, struct vm_area_struct *vma)
 *	{
 *		vma->vm_ops = &my_vm_ops;
 *		return mmext_vma_init(vma, &dev->mapping);
 *	}
 *
 * Or mmext_vma_init_pages(), for pages with references; then with a
 * .page_mkwrite as well.
 *
 * From then on the VMA, and whatever fork(2), mremap(2) and splits make of it,
 * is "the engine's", and the other functions work on it.  They refuse every
 * other VMA.
 *
 * Locks, outermost first: mmap lock (or the VMA's own, in a fault); the
 * driver's locks; i_mmap_rwsem; the page table's.
 */
#ifndef _LINUX_MMEXT_H
#define _LINUX_MMEXT_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/types.h>

struct iov_iter;
struct mmext_gmap;
struct mmext_gmap_piece;	/* of the ioctls' header */

/**
 * struct mmext_stats - what the engine did for a mapping
 * @inserted: entries put in
 * @cleared: entries taken out by the engine
 * @flushes: TLB flushes by the engine
 * @delegated: ranges handed to the kernel's own zap
 * @retries: insertions given up because an invalidation came between
 * @huge: of those inserted, entries of more than a page
 */
struct mmext_stats {
	u64 inserted;
	u64 cleared;
	u64 flushes;
	u64 delegated;
	u64 retries;
	u64 huge;
};

/**
 * struct mmext_mapping - what the VMAs of one backing object have in common
 * @seq: moves with every invalidation
 * @busy: invalidations in progress
 * @huge: there was an entry of more than a page
 * @stats: counters, one set for each CPU
 *
 * A driver embeds one in whatever its VMAs map and does not look into it.
 * vma->vm_private_data points at it.
 */
struct mmext_mapping {
	atomic_long_t seq;
	atomic_t busy;
	bool huge;
	struct mmext_stats __percpu *stats;
};

/*
 * How a zap is to work.  NO_DELEGATE: the caller holds i_mmap_rwsem in place of
 * the mmap lock, so what only the kernel's own zap can clear is left alone and
 * reported as -EAGAIN.  INDEX: @first_index and @last_index count.
 */
#define MMEXT_ZAP_NO_DELEGATE	BIT(0)
#define MMEXT_ZAP_INDEX		BIT(1)

/**
 * struct mmext_zap_details - details of a zap
 * @flags: MMEXT_ZAP_* bits
 * @mapping: only VMAs of this mapping, the others are as if they were not the
 *	engine's; NULL: of any
 * @first_index: with MMEXT_ZAP_INDEX, only pages that the object has from this
 *	index on
 * @last_index: and up to this one
 * @even_cows: also the copies that stores to a private mapping made, which stay
 *	otherwise.  Without details, they go.
 */
struct mmext_zap_details {
	unsigned int flags;
	struct mmext_mapping *mapping;
	pgoff_t first_index;
	pgoff_t last_index;
	bool even_cows;
};

/**
 * struct mmext_gather - what was cleared in an mm and is not flushed yet
 * @mm: the mm
 * @details: details of the zap, or NULL
 * @last: mapping that the last entries were of; a flush is counted for it
 * @start: first address
 * @end: behind the last one
 * @nr: entries
 * @shift: log2 of the bytes that the smallest of them maps
 * @refs: the entries' references to their pages, to be put after the flush
 * @nr_refs: how many
 * @max_refs: how many there is room for
 * @few: @refs, if there is no memory for more
 * @skipped: bytes of VMAs that were left alone, not the engine's or not of
 *	@details' mapping
 * @delegate: the kernel's own zap does the clearing
 *
 * The engine's own in place of struct mmu_gather: mmext_gather_begin(), any
 * number of mmext_unmap_vmas(), mmext_gather_end().
 */
struct mmext_gather {
	struct mm_struct *mm;
	const struct mmext_zap_details *details;
	struct mmext_mapping *last;
	unsigned long start;
	unsigned long end;
	unsigned long nr;
	unsigned long skipped;
	bool delegate;
	unsigned int shift;
	unsigned int nr_refs;
	unsigned int max_refs;
	unsigned long *refs;
	unsigned long few[16];
};

/**
 * struct mmext_pte - what an entry was when it was looked at
 * @pfn: page frame of the address
 * @shift: log2 of the bytes that the entry maps
 * @write: a store does not fault
 * @dirty: was stored to
 * @young: was accessed
 */
struct mmext_pte {
	unsigned long pfn;
	unsigned int shift;
	bool write;
	bool dirty;
	bool young;
};

/* How many pages mmext_fault_insert_pfns() takes, and what it takes for none. */
#define MMEXT_AROUND_MAX	64
#define MMEXT_NO_PFN		ULONG_MAX

/* How many pages mmext_fault_insert_pfn_huge() inserts. */
#define MMEXT_HUGE_PAGES	(PMD_SIZE >> PAGE_SHIFT)

/* Segments of guest spaces: 1 MiB unless something else is asked for. */
#define MMEXT_GMAP_DEFAULT_SHIFT	20
#define MMEXT_GMAP_MAX_SHIFT		40

/* A segment of the parent's is linked to one guest segment at most. */
#define MMEXT_GMAP_ALLOC_EXCLUSIVE	BIT(0)

/* Guest pages that one step of the dirty log, or of age, is inside a block of. */
#define MMEXT_GMAP_BLOCK_PAGES		4096UL

/* For mmext_gmap_ipte_notify(): fault the pages in for a load. */
#define MMEXT_GMAP_NOTIFY_FOR_READ	BIT(0)

/* What a callback is told. */
#define MMEXT_GMAP_NOTIFY_ACCESS	BIT(0)	/* an access that was to be told */
#define MMEXT_GMAP_NOTIFY_GONE		BIT(1)	/* there will be no more */

/**
 * struct mmext_gmap_notifier - a callback for armed guest pages
 * @notifier_call: see mmext_gmap_register_ipte_notifier()
 * @list: the module's
 */
struct mmext_gmap_notifier {
	void (*notifier_call)(struct mmext_gmap_notifier *nb,
			      struct mmext_gmap *gmap, unsigned long gaddr,
			      unsigned int flags);
	struct list_head list;
};

/**
 * struct mmext_gmap_view - what windows are mapped by, and which space they show
 * @lock: who changes that
 * @current_gmap: the space, or NULL; RCU
 */
struct mmext_gmap_view {
	struct mutex lock; /* for who changes current_gmap */
	struct mmext_gmap __rcu *current_gmap;
};

/**
 * struct mmext_gmap_info - what a space is and has done
 * @limit: highest guest address
 * @segments: that are mapped
 * @linked: and linked
 * @armed: guest pages
 * @records: 2 MiB blocks of windows
 * @inserted: entries put into windows
 * @cleared: and taken out
 * @faults: of windows, and pages faulted in
 * @retries: insertions given up
 * @events: callbacks made for arms
 * @notified: invalidations that concerned it
 * @shift: log2 of the bytes of a segment
 * @flags: MMEXT_GMAP_ALLOC_* bits
 */
struct mmext_gmap_info {
	unsigned long limit;
	unsigned long segments;
	unsigned long linked;
	unsigned long armed;
	unsigned long records;
	u64 inserted;
	u64 cleared;
	u64 faults;
	u64 retries;
	u64 events;
	u64 notified;
	unsigned int shift;
	unsigned int flags;
};

/* mapping.c: objects, invalidation, reverse mapping */
int mmext_mapping_init(struct mmext_mapping *m);
void mmext_mapping_destroy(struct mmext_mapping *m);
void mmext_mapping_stats(struct mmext_mapping *m, struct mmext_stats *sum);
void mmext_vma_open(struct vm_area_struct *vma);
void mmext_vma_close(struct vm_area_struct *vma);
int mmext_vma_init(struct vm_area_struct *vma, struct mmext_mapping *m);
int mmext_vma_init_pages(struct vm_area_struct *vma, struct mmext_mapping *m);
pgprot_t mmext_vma_prot(struct vm_area_struct *vma, bool write);
bool mmext_read_begin(struct mmext_mapping *m, unsigned long *seq);
void mmext_invalidate_begin(struct mmext_mapping *m);
void mmext_invalidate_end(struct mmext_mapping *m);
int mmext_unmap_mapping_pages(struct address_space *mapping, pgoff_t start,
			      pgoff_t nr, bool even_cows);
int mmext_unmap_mapping_range(struct address_space *mapping,
			      loff_t const holebegin, loff_t const holelen,
			      int even_cows);
int mmext_wrprotect_mapping_pages(struct address_space *mapping, pgoff_t start,
				  pgoff_t nr, const unsigned long *only);

/* insert.c */
vm_fault_t mmext_vmf_insert_pfn(struct vm_area_struct *vma, unsigned long addr,
				unsigned long pfn);
vm_fault_t mmext_vmf_insert_pfn_prot(struct vm_area_struct *vma,
				     unsigned long addr, unsigned long pfn,
				     pgprot_t pgprot);
vm_fault_t mmext_fault_insert_pfn(struct vm_fault *vmf, unsigned long pfn,
				  pgprot_t pgprot, unsigned long seq);
vm_fault_t mmext_fault_insert_pfns(struct vm_fault *vmf, unsigned long addr,
				   unsigned int nr, const unsigned long *pfns,
				   const unsigned long *read_only,
				   unsigned long seq);

/* huge.c */
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
bool mmext_huge_possible(void);
void mmext_vma_allow_huge(struct vm_area_struct *vma);
bool mmext_huge_fits(struct vm_area_struct *vma, unsigned long addr);
bool mmext_huge_ready(struct vm_area_struct *vma, unsigned long addr);
void mmext_huge_prepare(struct vm_area_struct *vma, unsigned long addr);
unsigned long mmext_remap_leaves(struct vm_area_struct *vma, unsigned long addr,
				 struct page **blocks, unsigned long nr,
				 pgprot_t prot);
vm_fault_t mmext_fault_insert_pfn_huge(struct vm_fault *vmf, unsigned long pfn,
				       pgprot_t pgprot, unsigned long seq);
#else
static inline bool mmext_huge_possible(void)
{
	return false;
}

static inline void mmext_vma_allow_huge(struct vm_area_struct *vma)
{
}

static inline bool mmext_huge_fits(struct vm_area_struct *vma,
				   unsigned long addr)
{
	return false;
}

static inline bool mmext_huge_ready(struct vm_area_struct *vma,
				    unsigned long addr)
{
	return true;
}

static inline void mmext_huge_prepare(struct vm_area_struct *vma,
				      unsigned long addr)
{
}

static inline unsigned long mmext_remap_leaves(struct vm_area_struct *vma,
					       unsigned long addr,
					       struct page **blocks,
					       unsigned long nr, pgprot_t prot)
{
	return 0;
}

static inline vm_fault_t mmext_fault_insert_pfn_huge(struct vm_fault *vmf,
						     unsigned long pfn,
						     pgprot_t pgprot,
						     unsigned long seq)
{
	return VM_FAULT_FALLBACK;
}
#endif /* CONFIG_ARCH_SUPPORTS_PMD_PFNMAP */

/* remap.c */
int mmext_remap_pfn_range(struct vm_area_struct *vma, unsigned long addr,
			  unsigned long pfn, unsigned long size,
			  pgprot_t prot);
int mmext_remap_pages(struct vm_area_struct *vma, unsigned long addr,
		      struct page **pages, unsigned long nr, pgprot_t prot);

/* iomap.c */
int mmext_vm_iomap_memory(struct vm_area_struct *vma, phys_addr_t start,
			  unsigned long len);

/* page.c */
int mmext_vm_insert_page(struct vm_area_struct *vma, unsigned long addr,
			 struct page *page);
int mmext_vm_insert_pages(struct vm_area_struct *vma, unsigned long addr,
			  struct page **pages, unsigned long *num);
int mmext_vm_insert_pages_prot(struct vm_area_struct *vma, unsigned long addr,
			       struct page **pages, unsigned long *num,
			       pgprot_t pgprot);

/* fault.c */
int mmext_finish_mkwrite_fault(struct vm_fault *vmf);
vm_fault_t mmext_alloc_set_pte(struct vm_fault *vmf, struct page *page);
void mmext_pte_unlock(struct vm_fault *vmf);
vm_fault_t mmext_finish_fault(struct vm_fault *vmf);
vm_fault_t mmext_fault_insert_page(struct vm_fault *vmf, struct page *page,
				   pgprot_t pgprot, unsigned long seq);

/* zap.c */
int mmext_zap_vma_ptes(struct vm_area_struct *vma, unsigned long address,
		       unsigned long size);
int mmext_zap_page_range_single(struct vm_area_struct *vma,
				unsigned long address, unsigned long size,
				struct mmext_zap_details *details);
void mmext_gather_begin(struct mmext_gather *g, struct mm_struct *mm,
			const struct mmext_zap_details *details);
void mmext_gather_end(struct mmext_gather *g);
int mmext_unmap_vmas(struct mmext_gather *g, struct vm_area_struct *vma,
		     unsigned long start_addr, unsigned long end_addr);
int mmext_zap_page_range(struct vm_area_struct *vma, unsigned long start,
			 unsigned long size);

/* follow.c */
int mmext_follow_pte(struct vm_area_struct *vma, unsigned long address,
		     struct mmext_pte *out);
int mmext_follow_ptes(struct vm_area_struct *vma, unsigned long address,
		      unsigned long nr, struct mmext_pte *out);
int mmext_follow_pfn(struct vm_area_struct *vma, unsigned long address,
		     unsigned long *pfn);

/* access.c */
int mmext_access_remote_vm(struct mm_struct *mm, unsigned long addr, void *buf,
			   int len, unsigned int gup_flags);
ssize_t mmext_access_remote_iter(struct mm_struct *mm, unsigned long addr,
				 struct iov_iter *iter, unsigned int gup_flags);

/* gmap.c: guest spaces */
struct mmext_gmap *mmext_gmap_alloc(struct mm_struct *mm, unsigned long limit);
void mmext_gmap_free(struct mmext_gmap *gmap);
struct mmext_gmap *mmext_gmap_create(struct mm_struct *mm, unsigned long limit,
				     unsigned int shift, unsigned int flags);
struct mmext_gmap *mmext_gmap_get(struct mmext_gmap *gmap);
void mmext_gmap_put(struct mmext_gmap *gmap);
void mmext_gmap_remove(struct mmext_gmap *gmap);
bool mmext_gmap_gone(struct mmext_gmap *gmap);
struct mm_struct *mmext_gmap_parent(struct mmext_gmap *gmap);
unsigned long mmext_gmap_limit(struct mmext_gmap *gmap);
void __mmext_gmap_info(struct mmext_gmap *gmap, struct mmext_gmap_info *info);
void mmext_gmap_info(struct mmext_gmap *gmap, struct mmext_gmap_info *info);
void mmext_gmap_lock(struct mmext_gmap *gmap);
void mmext_gmap_unlock(struct mmext_gmap *gmap);
unsigned long __mmext_gmap_segment_gaddr(unsigned long *entry);
int __mmext_gmap_unmap_by_gaddr(struct mmext_gmap *gmap, unsigned long gaddr);
int mmext_gmap_unmap_segment(struct mmext_gmap *gmap, unsigned long to,
			     unsigned long len);
int mmext_gmap_map_segment(struct mmext_gmap *gmap, unsigned long from,
			   unsigned long to, unsigned long len);
int mmext_gmap_map_pieces(struct mmext_gmap *gmap,
			  const struct mmext_gmap_piece *pieces,
			  unsigned int nr, unsigned int *done);
unsigned long __mmext_gmap_translate(struct mmext_gmap *gmap,
				     unsigned long gaddr);
unsigned long mmext_gmap_translate(struct mmext_gmap *gmap,
				   unsigned long gaddr);
unsigned long mmext_gmap_contiguous(struct mmext_gmap *gmap,
				    unsigned long gaddr,
				    unsigned long *vmaddr, unsigned long most);
unsigned long mmext_gmap_reverse(struct mmext_gmap *gmap, unsigned long vmaddr,
				 u64 *gaddrs, unsigned long nr);

/* gmap_link.c */
int __mmext_gmap_link(struct mmext_gmap *gmap, unsigned long gaddr,
		      unsigned long vmaddr);
int __mmext_gmap_unlink_by_vmaddr(struct mmext_gmap *gmap,
				  unsigned long vmaddr);
int mmext_gmap_fault(struct mmext_gmap *gmap, unsigned long gaddr,
		     unsigned int fault_flags);
ssize_t mmext_gmap_access_iter(struct mmext_gmap *gmap, unsigned long gaddr,
			       struct iov_iter *iter, bool write);
long mmext_gmap_discard(struct mmext_gmap *gmap, unsigned long gaddr,
			unsigned long len);

/* gmap_notify.c */
int mmext_gmap_register_ipte_notifier(struct mmext_gmap_notifier *nb);
void mmext_gmap_unregister_ipte_notifier(struct mmext_gmap_notifier *nb);
long mmext_gmap_ipte_notify(struct mmext_gmap *gmap, unsigned long gaddr,
			    unsigned long len, unsigned int flags);
long mmext_gmap_protect_notify(struct mmext_gmap *gmap, unsigned long gaddr,
			       unsigned long len, bool read);
void mmext_ptep_notify(struct mm_struct *mm, unsigned long vmaddr, pte_t *pte);
unsigned long mmext_gmap_unlink(struct mm_struct *mm, unsigned long *table,
				unsigned long vmaddr);

/* gmap_window.c */
void mmext_gmap_view_init(struct mmext_gmap_view *view);
int mmext_gmap_enable(struct mmext_gmap_view *view, struct mmext_gmap *gmap);
int mmext_gmap_disable(struct mmext_gmap_view *view);
struct mmext_gmap_view *mmext_gmap_view(struct mmext_gmap *gmap);
bool mmext_gmap_windows_possible(void);
int mmext_gmap_mmap(struct mmext_gmap_view *view, struct vm_area_struct *vma);

/* gmap_dirty.c */
long mmext_gmap_dirty_start(struct mmext_gmap *gmap, unsigned long first,
			    unsigned long nr);
long mmext_gmap_dirty_stop(struct mmext_gmap *gmap, unsigned long first,
			   unsigned long nr);
unsigned long mmext_gmap_dirty_next(struct mmext_gmap *gmap,
				    unsigned long first, unsigned long last);
unsigned long mmext_gmap_dirty_get(struct mmext_gmap *gmap,
				   unsigned long first, unsigned long nr,
				   unsigned long *marks,
				   unsigned long (*limit)(void *arg,
							  unsigned long first,
							  unsigned long nr),
				   void *arg, bool clear);
void mmext_gmap_dirty_restore(struct mmext_gmap *gmap, unsigned long first,
			      unsigned long nr, const unsigned long *marks);
unsigned long mmext_gmap_age(struct mmext_gmap *gmap, unsigned long first,
			     unsigned long nr, unsigned long *young);

/*
 * What the vm_operations_struct of every driver on the engine begins with.
 * It is also how the engine knows its own: a VMA whose operations have another
 * open() is not the engine's, whatever its vm_private_data holds.
 */
#define MMEXT_VM_OPS				\
	.open	= mmext_vma_open,		\
	.close	= mmext_vma_close

/**
 * mmext_vma_mapping - the mapping of a VMA
 * @vma: any VMA that can't go away
 *
 * Return: what mmext_vma_init() was given, NULL if @vma is not the engine's.
 */
static inline struct mmext_mapping *
mmext_vma_mapping(const struct vm_area_struct *vma)
{
	if (!vma->vm_ops || vma->vm_ops->open != mmext_vma_open)
		return NULL;
	return vma->vm_private_data;
}

#endif /* _LINUX_MMEXT_H */
