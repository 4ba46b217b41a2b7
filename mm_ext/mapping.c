// SPDX-License-Identifier: GPL-2.0
/*
 * The objects that VMAs map: their look-ups and invalidations, and taking a
 * range of one out of every process that maps it.
 */
#include <linux/export.h>
#include <linux/interval_tree_generic.h>
#include <linux/string.h>

#include "engine.h"
#include "huge.h"

bool mmext_tlb_use_native;
EXPORT_SYMBOL_MMEXT_TEST(mmext_tlb_use_native);

#ifdef MMEXT_TEST
unsigned int mmext_test_flush_delay_us;
EXPORT_SYMBOL_MMEXT_TEST(mmext_test_flush_delay_us);
module_param_named(test_flush_delay_us, mmext_test_flush_delay_us, uint, 0644);
MODULE_PARM_DESC(test_flush_delay_us, "sleep between clearing and flushing");
#endif

/* VMAs of the engine, all mappings together; 0 when the module can go. */
static atomic_long_t live_vmas = ATOMIC_LONG_INIT(0);

long mmext_live_vmas(void)
{
	return atomic_long_read(&live_vmas);
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_live_vmas);

/**
 * mmext_tlb_init - choose how stale translations are removed
 * @mode: "auto", "native" or "kernel"
 *
 * Return: 0; -EINVAL not one of these; -EOPNOTSUPP "native" where the build
 * has no native flush, or this machine can't use it.
 */
int mmext_tlb_init(const char *mode)
{
	bool native = mmext_tlb_backend() != MMEXT_TLB_ID_KERNEL;

	if (!strcmp(mode, "native") && !native)
		return -EOPNOTSUPP;
	if (!strcmp(mode, "kernel"))
		native = false;
	else if (strcmp(mode, "native") && strcmp(mode, "auto"))
		return -EINVAL;

	WRITE_ONCE(mmext_tlb_use_native, native);
	return 0;
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_tlb_init);

enum mmext_tlb_id mmext_tlb_live(void)
{
	return mmext_tlb_native() ? mmext_tlb_backend() : MMEXT_TLB_ID_KERNEL;
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_tlb_live);

/**
 * mmext_mapping_init - make an object mappable
 * @m: embedded in the driver's object
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int mmext_mapping_init(struct mmext_mapping *m)
{
	atomic_long_set(&m->seq, 0);
	atomic_set(&m->busy, 0);
	m->huge = false;
	m->stats = alloc_percpu_gfp(struct mmext_stats, GFP_KERNEL_ACCOUNT);
	return m->stats ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_GPL(mmext_mapping_init);

/**
 * mmext_mapping_destroy - undo mmext_mapping_init()
 * @m: no VMA maps it any more
 */
void mmext_mapping_destroy(struct mmext_mapping *m)
{
	free_percpu(m->stats);
	m->stats = NULL;
}
EXPORT_SYMBOL_GPL(mmext_mapping_destroy);

/**
 * mmext_mapping_stats - add up a mapping's counters
 * @m: the mapping
 * @sum: filled in; exact when nothing works on @m
 */
void mmext_mapping_stats(struct mmext_mapping *m, struct mmext_stats *sum)
{
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		struct mmext_stats *s = per_cpu_ptr(m->stats, cpu);

		sum->inserted += READ_ONCE(s->inserted);
		sum->cleared += READ_ONCE(s->cleared);
		sum->flushes += READ_ONCE(s->flushes);
		sum->delegated += READ_ONCE(s->delegated);
		sum->retries += READ_ONCE(s->retries);
		sum->huge += READ_ONCE(s->huge);
	}
}
EXPORT_SYMBOL_GPL(mmext_mapping_stats);

/**
 * mmext_vma_open - the open() of every driver on the engine
 * @vma: copy of one of the engine's, by fork(2), mremap(2) or a split
 */
void mmext_vma_open(struct vm_area_struct *vma)
{
	atomic_long_inc(&live_vmas);
	mmext_huge_open(vma);
}
EXPORT_SYMBOL_GPL(mmext_vma_open);

/**
 * mmext_vma_close - the close() of every driver on the engine
 * @vma: one of the engine's
 */
void mmext_vma_close(struct vm_area_struct *vma)
{
	atomic_long_dec(&live_vmas);
}
EXPORT_SYMBOL_GPL(mmext_vma_close);

static int init_vma(struct vm_area_struct *vma, struct mmext_mapping *m,
		    vm_flags_t backing)
{
	const struct vm_operations_struct *ops = vma->vm_ops;

	if (!m || !m->stats)
		return -EINVAL;
	if (!ops || ops->open != mmext_vma_open ||
	    ops->close != mmext_vma_close || !ops->pfn_mkwrite)
		return -EINVAL;
	if ((vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP | VM_HUGETLB)) & ~backing)
		return -EINVAL;

	vma->vm_private_data = m;
	vm_flags_set(vma, backing | VM_DONTEXPAND | VM_DONTDUMP);
	mmext_vma_open(vma);
	return 0;
}

/**
 * mmext_vma_init - make a VMA the engine's
 * @vma: VMA under construction, its vm_ops set
 * @m: what it maps
 *
 * Sets VM_PFNMAP, VM_DONTEXPAND and VM_DONTDUMP, and vm_private_data.  The
 * last step of an mmap handler: once it succeeded the handler must, too.
 *
 * A private mapping is refused even if it is read-only, since mprotect(2) can
 * make it writable later.
 *
 * Context: from an mmap handler, mmap lock for write.
 * Return: 0; -EINVAL a private mapping, or vm_ops without MMEXT_VM_OPS or
 * without pfn_mkwrite, or a VMA that has another kind of content.
 */
int mmext_vma_init(struct vm_area_struct *vma, struct mmext_mapping *m)
{
	if (is_cow_mapping(vma->vm_flags))
		return -EINVAL;

	return init_vma(vma, m, VM_PFNMAP);
}
EXPORT_SYMBOL_GPL(mmext_vma_init);

/**
 * mmext_vma_init_pages - make a VMA the engine's, for pages with references
 * @vma: VMA under construction, its vm_ops set
 * @m: what it maps
 *
 * Sets VM_MIXEDMAP, VM_DONTEXPAND and VM_DONTDUMP, and vm_private_data.  What
 * mmext_vm_insert_page() and its kin work on; those for page frames refuse it.
 * Otherwise as mmext_vma_init().
 *
 * A private mapping shows the object's pages until it is stored to; then the
 * kernel gives it a copy.
 *
 * Context: from an mmap handler, mmap lock for write.
 * Return: 0; -EINVAL vm_ops without MMEXT_VM_OPS, without pfn_mkwrite or without
 * page_mkwrite, or a VMA that has another kind of content.
 */
int mmext_vma_init_pages(struct vm_area_struct *vma, struct mmext_mapping *m)
{
	if (!vma->vm_ops || !vma->vm_ops->page_mkwrite)
		return -EINVAL;

	return init_vma(vma, m, VM_MIXEDMAP);
}
EXPORT_SYMBOL_GPL(mmext_vma_init_pages);

static bool is_shared_writable(unsigned long flags)
{
	return (flags & (VM_SHARED | VM_WRITE)) == (VM_SHARED | VM_WRITE);
}

/**
 * mmext_vma_prot - the protection for an entry
 * @vma: one of the engine's
 * @write: may it be stored to without a fault
 *
 * vma->vm_page_prot is read-only in every VMA of the engine, since it has
 * pfn_mkwrite or is private.  This gives the writable twin to an insert that
 * knows that no fault is needed, and never more than @vma allows.
 *
 * Return: the protection, of the memory type of @vma.
 */
pgprot_t mmext_vma_prot(struct vm_area_struct *vma, bool write)
{
	pte_t pte = pfn_pte(0, vma->vm_page_prot);
	bool now = pte_write(pte);

	write = write && is_shared_writable(vma->vm_flags);
	if (now == write)
		return vma->vm_page_prot;

	/* through an entry, since pgprot_modify() has an unexported callee */
	pte = write ? pte_mkwrite_novma(pte) : pte_wrprotect(pte);
	return __pgprot(pte_val(pte));
}
EXPORT_SYMBOL_GPL(mmext_vma_prot);

/* Is [addr, addr + size) page-aligned and inside the VMA? */
bool mmext_range_in_vma(struct vm_area_struct *vma, unsigned long addr,
			unsigned long size)
{
	if (!PAGE_ALIGNED(addr) || !PAGE_ALIGNED(size))
		return false;
	return addr >= vma->vm_start && addr <= vma->vm_end &&
	       size <= vma->vm_end - addr;
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_range_in_vma);

/*
 * Look-up and insert as one step.
 *
 * A fault that finds its page, loses the CPU, and inserts after another CPU
 * has unmapped the range and given it other pages, would bring the old page
 * back.  So who changes what a range shows raises busy and seq first, and who
 * inserts does so only if neither moved since before the look-up:
 *
 *	invalidation			fault
 *
 *	busy++, seq++			sample seq, busy is 0
 *	full barrier			look the page up
 *	read the tables, clear		publish a table
 *	flush				full barrier
 *	change what the range shows	table lock: busy is 0, seq is the same?
 *	busy--				then insert
 *
 * Either the fault sees the raised counts, or its table and entry are there
 * for the invalidation to see.
 */

/**
 * mmext_read_begin - begin to look up what an address shows
 * @m: the mapping
 * @seq: set to what mmext_fault_insert_pfn() wants
 *
 * It does not wait.  Whoever finds an invalidation in progress can return
 * VM_FAULT_NOPAGE and have the access tried again; or, which keeps a stream of
 * invalidations from starving faults, take a lock that they are made under and
 * insert under that.
 *
 * Context: any.
 * Return: false if an invalidation is in progress.
 */
bool mmext_read_begin(struct mmext_mapping *m, unsigned long *seq)
{
	/*
	 * seq before busy: a sample of an invalidation in progress is then
	 * never taken for one of a finished one
	 */
	*seq = atomic_long_read_acquire(&m->seq);
	return likely(!atomic_read_acquire(&m->busy));
}
EXPORT_SYMBOL_GPL(mmext_read_begin);

/* For an inserter, with the table that it is to insert into locked. */
bool mmext_seq_current(struct mmext_mapping *m, unsigned long seq)
{
	/* the table, which may be new, before the counts */
	smp_mb();
	return likely(!atomic_read(&m->busy) &&
		      (unsigned long)atomic_long_read(&m->seq) == seq);
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_seq_current);

/**
 * mmext_invalidate_begin - begin to change what a mapping shows
 * @m: the mapping
 *
 * Until mmext_invalidate_end() nothing is inserted into any VMA of @m.  In
 * between the caller unmaps the range (mmext_unmap_mapping_range() or _pages(),
 * or mmext_zap_*()) and then changes it.  Invalidations may overlap in time.
 *
 * Context: any.
 */
void mmext_invalidate_begin(struct mmext_mapping *m)
{
	atomic_inc(&m->busy);
	/* busy before seq, as mmext_read_begin() reads them the other way round */
	smp_mb__after_atomic();
	atomic_long_inc(&m->seq);
	/* the counts before the reads of the tables */
	smp_mb__after_atomic();
}
EXPORT_SYMBOL_GPL(mmext_invalidate_begin);

/**
 * mmext_invalidate_end - what the mapping shows is true again
 * @m: the mapping
 */
void mmext_invalidate_end(struct mmext_mapping *m)
{
	/* what the range shows now, before busy */
	smp_mb__before_atomic();
	atomic_dec(&m->busy);
}
EXPORT_SYMBOL_GPL(mmext_invalidate_end);

/* i_mmap is an interval tree by offset, whose functions are not exported. */
static inline unsigned long vma_first(struct vm_area_struct *vma)
{
	return vma->vm_pgoff;
}

static inline unsigned long vma_last(struct vm_area_struct *vma)
{
	return vma->vm_pgoff + vma_pages(vma) - 1;
}

INTERVAL_TREE_DEFINE(struct vm_area_struct, shared.rb, unsigned long,
		     shared.rb_subtree_last, vma_first, vma_last,
		     static __maybe_unused, i_mmap)

/* Pages of an object that something is done to. */
struct stretch {
	pgoff_t start;
	pgoff_t last;
	bool even_cows;
	const unsigned long *only;
};

/*
 * Do @fn, which says -EAGAIN if it is the kernel's to do, to each VMA that shows
 * @nr pages from s->start on, 0 for all from there; and then have the kernel
 * clear the pages wherever it said so.
 */
static int each_vma(struct address_space *mapping, struct stretch *s,
		    pgoff_t nr, int (*fn)(struct vm_area_struct *vma,
					  const struct stretch *s))
{
	struct vm_area_struct *vma;
	bool delegate = false;
	int ret = 0;

	s->last = s->start + nr - 1;
	if (!nr || s->last < s->start || s->last > LLONG_MAX >> PAGE_SHIFT)
		s->last = ULONG_MAX;

	i_mmap_lock_read(mapping);
	for (vma = i_mmap_iter_first(&mapping->i_mmap, s->start, s->last); vma;
	     vma = i_mmap_iter_next(vma, s->start, s->last)) {
		switch (fn(vma, s)) {
		case 0:
			break;
		case -EAGAIN:
			delegate = true;
			mmext_count(mmext_vma_mapping(vma), delegated, 1);
			break;
		default:
			ret = -EPERM;
			break;
		}
	}
	i_mmap_unlock_read(mapping);

	/* takes the lock itself; serves all that were skipped, and anew */
	if (delegate)
		mmext_delegate_mapping(mapping, s->start,
				       s->last == ULONG_MAX ? 0 : nr,
				       s->even_cows);
	return ret;
}

static int unmap_vma(struct vm_area_struct *vma, const struct stretch *s)
{
	struct mmext_zap_details details = {
		.flags = MMEXT_ZAP_NO_DELEGATE | MMEXT_ZAP_INDEX,
		.first_index = s->start,
		.last_index = s->last,
		.even_cows = s->even_cows,
	};

	return mmext_zap_page_range_single(vma, vma->vm_start,
					   vma->vm_end - vma->vm_start,
					   &details);
}

/**
 * mmext_unmap_mapping_pages - unmap pages of an object from every process
 * @mapping: the address space that the VMAs are linked in
 * @start: index of the first page
 * @nr: number of pages, 0 to the end of the file
 * @even_cows: also the copies that stores to private mappings made; the
 *	kernel made them, so it is the kernel that takes them out
 *
 * When this returns no CPU can reach the pages through any of the VMAs.  A
 * fork in flight keeps none either: the child is in the tree, behind its
 * parent, before entries are copied to it.
 *
 * Differs from unmap_mapping_pages(): VMAs there that are not the engine's are
 * left alone, and the caller is told.  (Where the kernel does the work for one
 * of the engine's, it unmaps them as well; the answer is the same.)
 *
 * Context: process context, may sleep.  Takes i_mmap_rwsem for read.  To change
 * what the range shows as well, between mmext_invalidate_begin() and _end().
 * Return: 0; -EINVAL @mapping is NULL; -EPERM there are VMAs of others, and
 * they were left alone.
 */
int mmext_unmap_mapping_pages(struct address_space *mapping, pgoff_t start,
			      pgoff_t nr, bool even_cows)
{
	struct stretch s = { .start = start, .even_cows = even_cows };

	if (!mapping)
		return -EINVAL;

	return each_vma(mapping, &s, nr, unmap_vma);
}
EXPORT_SYMBOL_GPL(mmext_unmap_mapping_pages);

/**
 * mmext_unmap_mapping_range - unmap a range of bytes from every process
 * @mapping: the address space that the VMAs are linked in
 * @holebegin: first byte; rounded down to a page
 * @holelen: bytes; the end is rounded up to a page; 0 to the end of the file
 * @even_cows: as for mmext_unmap_mapping_pages()
 *
 * Differs from unmap_mapping_range(): a negative begin or length, or a range
 * past the largest offset, is refused where the namesake goes to the end; the
 * namesake rounds the length up, and not the end, and so leaves the last page
 * of a range that begins inside of a page.
 *
 * Context: as mmext_unmap_mapping_pages().
 * Return: 0; -EINVAL; -EPERM as mmext_unmap_mapping_pages().
 */
int mmext_unmap_mapping_range(struct address_space *mapping,
			      loff_t const holebegin, loff_t const holelen,
			      int even_cows)
{
	u64 first, end;

	if (holebegin < 0 || holelen < 0 || holelen > LLONG_MAX - holebegin)
		return -EINVAL;

	first = (u64)holebegin >> PAGE_SHIFT;
	end = ((u64)holebegin + holelen + PAGE_SIZE - 1) >> PAGE_SHIFT;

	return mmext_unmap_mapping_pages(mapping, first,
					 holelen ? end - first : 0, even_cows);
}
EXPORT_SYMBOL_GPL(mmext_unmap_mapping_range);

static int wrprotect_vma(struct vm_area_struct *vma, const struct stretch *s)
{
	pgoff_t first = max(s->start, vma_first(vma));
	pgoff_t last = min(s->last, vma_last(vma));

	return mmext_wrprotect_range(vma, vma->vm_start +
				     ((first - vma->vm_pgoff) << PAGE_SHIFT),
				     (last - first + 1) << PAGE_SHIFT,
				     s->only, first - s->start);
}

/**
 * mmext_wrprotect_mapping_pages - write-protect pages of an object everywhere
 * @mapping: the address space that the VMAs are linked in
 * @start: index of the first page
 * @nr: number of pages; 0, without @only, to the end of the file
 * @only: bitmap of the pages that are meant, beginning with @start; NULL: all
 *
 * When this returns, no CPU can store to the pages through any of the VMAs: the
 * next store is a fault, and ends in pfn_mkwrite() or page_mkwrite().  Entries
 * are clean then, so mprotect(2) does not make them writable by itself.  That
 * they were dirty is not reported, but for PageDirty() of pages with references:
 * whoever keeps a log makes an entry of it before it lets an entry of the page
 * table be writable (mmext_finish_mkwrite_fault()).  A fork in flight keeps none
 * either, as for mmext_unmap_mapping_pages().
 *
 * An mm that somebody mirrors is cleared by the kernel's own zap, from @start
 * on for @nr pages: there the next store is a fault on no entry.
 *
 * The kernel has no such function for PFN mappings.
 *
 * Context: process context, may sleep.  Takes i_mmap_rwsem for read.  Between
 * mmext_invalidate_begin() and _end(), so that no fault that looked the pages
 * up before inserts a writable entry after.
 * Return: 0; -EINVAL @mapping is NULL, or @only and no @nr; -EPERM there are
 * VMAs of others, and they were left alone.
 */
int mmext_wrprotect_mapping_pages(struct address_space *mapping, pgoff_t start,
				  pgoff_t nr, const unsigned long *only)
{
	struct stretch s = { .start = start, .only = only };

	if (!mapping || (only && !nr))
		return -EINVAL;

	return each_vma(mapping, &s, nr, wrprotect_vma);
}
EXPORT_SYMBOL_GPL(mmext_wrprotect_mapping_pages);
