// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings of a region: their faults, and what debuggers see of them.
 */
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mmext.h>
#include <linux/moduleparam.h>
#include <linux/pagemap.h>

#include "../mm_ext/engine.h"
#include "gmap_file.h"
#include "region.h"

#ifdef MMEXT_TEST
static unsigned int test_lookup_delay_us;
module_param(test_lookup_delay_us, uint, 0644);
MODULE_PARM_DESC(test_lookup_delay_us,
		 "sleep between looking a page up and inserting it");
#define test_lookup_gap(may_sleep) do {				\
	if (may_sleep)						\
		mmext_test_delay(test_lookup_delay_us);		\
} while (0)
#define test_lookup_sleeps() (test_lookup_delay_us)
#else
#define test_lookup_gap(may_sleep) do { } while (0)
#define test_lookup_sleeps() false
#endif

static struct region *vma_region(struct vm_area_struct *vma)
{
	return container_of(mmext_vma_mapping(vma), struct region, map);
}

/* Can this VMA store to a page without the region being asked again? */
static bool entry_writable(struct vm_area_struct *vma, bool read_only)
{
	return vma->vm_flags & VM_WRITE && !read_only;
}

/* Is there nothing to be had at this offset? */
static bool is_gone(struct region *r, pgoff_t index)
{
	return READ_ONCE(r->revoked) || index >= region_end(r) >> PAGE_SHIFT;
}

static vm_fault_t vmf_code(long err)
{
	return err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}

/* A store to a private mapping: the core makes a copy of the page. */
static bool wants_copy(struct vm_fault *vmf)
{
	return vmf->flags & FAULT_FLAG_WRITE &&
	       !(vmf->vma->vm_flags & VM_SHARED);
}

/*
 * With references.  A page that is to be copied stays locked until it is: who
 * takes the copies away waits for that (settle_copies()).
 */
static vm_fault_t finish_page(struct vm_fault *vmf, struct page *page)
{
	vm_fault_t ret;

	get_page(page);
	vmf->page = page;
	if (wants_copy(vmf)) {
		lock_page(page);
		return VM_FAULT_LOCKED;
	}

	ret = mmext_finish_fault(vmf);
	if (!ret)
		return VM_FAULT_NOPAGE;
	put_page(page);
	return ret;
}

/*
 * The first touch of an offset, or a fault that an invalidation came in the way
 * of.  The lock keeps what is looked up, and put there, until it is inserted.
 */
static vm_fault_t fault_locked(struct vm_fault *vmf, struct region *r)
{
	struct vm_area_struct *vma = vmf->vma;
	vm_fault_t ret = VM_FAULT_SIGBUS;
	struct page *page;
	bool read_only;

	if (down_read_killable(&r->lock))
		return VM_FAULT_SIGBUS;
	if (is_gone(r, vmf->pgoff))
		goto unlock;

	read_only = region_read_only(r, vmf->pgoff);
	if (vmf->flags & FAULT_FLAG_WRITE && read_only && !wants_copy(vmf)) {
		ret = VM_FAULT_SIGSEGV;
		goto unlock;
	}

	page = region_page_alloc(r, vmf->pgoff);
	if (IS_ERR(page)) {
		ret = vmf_code(PTR_ERR(page));
		goto unlock;
	}

	/* a mark is there before a store can be */
	if (vmf->flags & FAULT_FLAG_WRITE && !wants_copy(vmf))
		region_dirty_mark(r, vmf->pgoff);
	read_only |= region_dirty_clean(r, vmf->pgoff);
	if (region_has_pages(r))
		ret = finish_page(vmf, page);
	else if (entry_writable(vma, read_only))
		ret = mmext_vmf_insert_pfn_prot(vma, vmf->address,
						page_to_pfn(page),
						mmext_vma_prot(vma, true));
	else
		ret = mmext_vmf_insert_pfn(vma, vmf->address,
					   page_to_pfn(page));
unlock:
	up_read(&r->lock);
	return ret;
}

/* The whole VMA at once, as its driver would do it in mmap. */
static vm_fault_t fault_io(struct vm_fault *vmf, struct region *r)
{
	vm_fault_t ret = VM_FAULT_SIGBUS;
	int err;

	/*
	 * Not in mmap(2): a VMA is in i_mmap, where REVOKE finds it, only when
	 * its handler has returned.
	 */
	if (down_read_killable(&r->lock))
		return VM_FAULT_SIGBUS;
	if (!is_gone(r, vmf->pgoff)) {
		err = mmext_vm_iomap_memory(vmf->vma, r->io->phys,
					    r->io->length);
		ret = err ? vmf_code(err) : VM_FAULT_NOPAGE;
	}
	up_read(&r->lock);
	return ret;
}

/* The page of the fault and no other.  Returns 0 if it takes the lock. */
static vm_fault_t fault_one(struct vm_fault *vmf, struct region *r,
			    unsigned long seq, bool may_sleep)
{
	struct vm_area_struct *vma = vmf->vma;
	struct page *page = region_page(r, vmf->pgoff);
	bool read_only;
	pgprot_t prot;

	/*
	 * It may be freed from here on, so only its number is used, unless
	 * under the table's lock it turns out that it was not.
	 */
	if (!page)
		return 0;

	read_only = region_read_only(r, vmf->pgoff) ||
		    region_dirty_clean(r, vmf->pgoff);
	if (vmf->flags & FAULT_FLAG_WRITE && read_only)
		return 0;

	test_lookup_gap(may_sleep);
	prot = mmext_vma_prot(vma, entry_writable(vma, read_only));
	if (region_has_pages(r))
		return mmext_fault_insert_page(vmf, page, prot, seq);
	return mmext_fault_insert_pfn(vmf, page_to_pfn(page), prot, seq);
}

/*
 * The pages that exist around that of the fault, in the block of addresses that
 * the region's window is.  Returns 0 if it takes the lock.
 */
static vm_fault_t fault_around(struct vm_fault *vmf, struct region *r,
			       unsigned long seq, bool may_sleep)
{
	struct vm_area_struct *vma = vmf->vma;
	DECLARE_BITMAP(read_only, MMEXT_AROUND_MAX);
	unsigned long pfns[MMEXT_AROUND_MAX];
	unsigned long addr, last, page;
	unsigned int nr;

	addr = max(vmf->address & ~(r->around - 1UL), vma->vm_start);
	last = min(vmf->address | (r->around - 1UL), vma->vm_end - 1);
	nr = (last - addr + 1) >> PAGE_SHIFT;
	page = (vmf->address - addr) >> PAGE_SHIFT;

	/* those of which the numbers are used may be freed from here on */
	region_pfns(r, vmf->pgoff - page, nr, pfns, read_only);
	if (pfns[page] == MMEXT_NO_PFN)
		return 0;
	if (vmf->flags & FAULT_FLAG_WRITE && test_bit(page, read_only))
		return 0;

	test_lookup_gap(may_sleep);
	return mmext_fault_insert_pfns(vmf, addr, nr, pfns, read_only, seq);
}

/* For a page that exists, and may be accessed so; otherwise 0. */
static vm_fault_t fault_unlocked(struct vm_fault *vmf, struct region *r,
				 bool may_sleep)
{
	unsigned long seq;

	if (wants_copy(vmf) || !mmext_read_begin(&r->map, &seq) ||
	    is_gone(r, vmf->pgoff))
		return 0;

	return r->around > PAGE_SIZE ? fault_around(vmf, r, seq, may_sleep) :
				       fault_one(vmf, r, seq, may_sleep);
}

static void count_fault(struct vm_fault *vmf, struct region *r)
{
	if (vmf->flags & FAULT_FLAG_WRITE)
		this_cpu_inc(r->faults->write);
	else
		this_cpu_inc(r->faults->read);
}

static vm_fault_t region_fault(struct vm_fault *vmf)
{
	struct region *r = vma_region(vmf->vma);

	count_fault(vmf, r);
	if (r->io)
		return fault_io(vmf, r);

	return fault_unlocked(vmf, r, true) ?: fault_locked(vmf, r);
}

/*
 * The core offers read faults here first, in a section of RCU, and then, if that
 * is no answer, to region_fault().
 */
static vm_fault_t __maybe_unused region_map_pages(struct vm_fault *vmf,
						  pgoff_t first, pgoff_t last)
{
	struct region *r = vma_region(vmf->vma);
	vm_fault_t ret;

	if (r->io || test_lookup_sleeps())
		return 0;

	ret = fault_unlocked(vmf, r, false);
	if (ret)
		count_fault(vmf, r);
	return ret;
}

/* A store to the physical range, or to what fault_io() mapped by leaves. */
static vm_fault_t mkwrite_io(struct vm_fault *vmf, struct region *r)
{
	unsigned long first = (vmf->address & PMD_MASK) - vmf->vma->vm_start;
	vm_fault_t ret = VM_FAULT_FALLBACK;
	unsigned long pfn, seq;
	pgprot_t prot;

	if (down_read_killable(&r->lock))
		return VM_FAULT_SIGBUS;
	if (!is_gone(r, vmf->pgoff) && mmext_read_begin(&r->map, &seq)) {
		this_cpu_inc(r->faults->mkwrite);
		pfn = (r->io->phys >> PAGE_SHIFT) + vmf->vma->vm_pgoff +
		      (first >> PAGE_SHIFT);
		prot = pgprot_decrypted(mmext_vma_prot(vmf->vma, true));
		ret = mmext_fault_insert_pfn_huge(vmf, pfn, prot, seq);
	}
	up_read(&r->lock);
	return ret ?: VM_FAULT_NOPAGE;
}

/* The block of the fault by one entry.  Returns 0 if it takes the lock. */
static vm_fault_t fault_block(struct vm_fault *vmf, struct region *r,
			      pgoff_t first, unsigned long seq)
{
	struct page *pages = region_block(r, first);
	pgprot_t prot;

	if (!pages)
		return VM_FAULT_FALLBACK;

	test_lookup_gap(true);
	prot = mmext_vma_prot(vmf->vma, entry_writable(vmf->vma, false));
	return mmext_fault_insert_pfn_huge(vmf, page_to_pfn(pages), prot, seq);
}

static vm_fault_t fault_block_locked(struct vm_fault *vmf, struct region *r,
				     pgoff_t first)
{
	vm_fault_t ret = VM_FAULT_FALLBACK;
	unsigned long seq;

	if (down_read_killable(&r->lock))
		return VM_FAULT_SIGBUS;
	/* of what is an error, region_fault() makes one */
	if (!is_gone(r, vmf->pgoff) && mmext_read_begin(&r->map, &seq) &&
	    !IS_ERR(region_page_alloc(r, vmf->pgoff)))
		ret = fault_block(vmf, r, first, seq);
	up_read(&r->lock);
	return ret ?: VM_FAULT_NOPAGE;
}

/*
 * The core calls this where there is nothing yet, and for a store where there is a
 * leaf that is read-only; then compat_orig_pmd() is that.
 */
static vm_fault_t __maybe_unused region_huge_fault(struct vm_fault *vmf,
						   unsigned int order)
{
	pgoff_t first = round_down(vmf->pgoff, MMEXT_HUGE_PAGES);
	struct vm_area_struct *vma = vmf->vma;
	struct region *r = vma_region(vma);
	bool none = pmd_none(compat_orig_pmd(vmf));
	vm_fault_t ret = 0;
	unsigned long seq;

	if (order != ilog2(MMEXT_HUGE_PAGES) ||
	    !mmext_huge_fits(vma, vmf->address))
		return VM_FAULT_FALLBACK;
	if (r->io)
		return none ? VM_FAULT_FALLBACK : mkwrite_io(vmf, r);
	if (!r->huge || region_index(vma, vmf->address & PMD_MASK) != first)
		return VM_FAULT_FALLBACK;

	if (mmext_read_begin(&r->map, &seq) && !is_gone(r, vmf->pgoff) &&
	    region_page(r, vmf->pgoff))
		ret = fault_block(vmf, r, first, seq);
	ret = ret ?: fault_block_locked(vmf, r, first);

	if (ret & VM_FAULT_FALLBACK)
		return ret;
	if (none)
		count_fault(vmf, r);
	else
		this_cpu_inc(r->faults->mkwrite);
	return ret;
}

static vm_fault_t region_mkwrite(struct vm_fault *vmf)
{
	struct region *r = vma_region(vmf->vma);
	vm_fault_t ret = VM_FAULT_NOPAGE;

	this_cpu_inc(r->faults->mkwrite);

	if (down_read_killable(&r->lock))
		return VM_FAULT_SIGBUS;
	if (is_gone(r, vmf->pgoff)) {
		ret = VM_FAULT_SIGBUS;
	} else if (region_read_only(r, vmf->pgoff)) {
		ret = VM_FAULT_SIGSEGV;
	} else {
		/* ahead of the store */
		region_dirty_mark(r, vmf->pgoff);
		if (mmext_finish_mkwrite_fault(vmf) < 0)
			ret = VM_FAULT_SIGBUS;
	}
	up_read(&r->lock);
	return ret;
}

/*
 * ptrace(2) and /proc/PID/mem, which cannot take a reference to a page of a
 * PFN mapping; with PAGE backing they can, and come here with what was refused.
 * It follows the region and not the page table, so the program need not have
 * touched the page.
 */
static int region_access(struct vm_area_struct *vma, unsigned long addr,
			 void *buf, int len, int write)
{
	pgoff_t index = region_index(vma, addr);
	struct region *r = vma_region(vma);
	struct page *page;
	int ret = -EFAULT;

	if (write && !(vma->vm_flags & VM_WRITE))
		return -EFAULT;
	/* what it shows may be a copy of the process's own */
	if (is_cow_mapping(vma->vm_flags))
		return -EFAULT;
	len = min_t(unsigned long, len, PAGE_SIZE - offset_in_page(addr));

	if (down_read_killable(&r->lock))
		return -EINTR;
	if (is_gone(r, index) || (write && region_read_only(r, index)))
		goto unlock;

	if (r->io) {
		iomem_copy(r->io, ((u64)index << PAGE_SHIFT) +
				  offset_in_page(addr), buf, len, write);
		ret = len;
		goto unlock;
	}

	page = write ? region_page_alloc(r, index) : region_page(r, index);
	if (IS_ERR(page)) {
		ret = PTR_ERR(page);
		goto unlock;
	}
	if (write)
		region_dirty_mark(r, index);

	if (!page)
		memset(buf, 0, len);
	else if (write)
		memcpy(page_at(page, addr), buf, len);
	else
		memcpy(buf, page_at(page, addr), len);
	ret = len;
unlock:
	up_read(&r->lock);
	return ret;
}

static const struct vm_operations_struct region_vm_ops = {
	MMEXT_VM_OPS,
	.fault = region_fault,
	COMPAT_MAP_PAGES(region_map_pages)
	COMPAT_HUGE_FAULT(region_huge_fault)
	.pfn_mkwrite = region_mkwrite,
	.page_mkwrite = region_mkwrite,
	.access = region_access,
};

int region_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct region *r = file->private_data;
	int err;

	if (READ_ONCE(r->revoked))
		return -ENODEV;

	region_shape(r);
	if (vma->vm_pgoff + vma_pages(vma) > region_end(r) >> PAGE_SHIFT)
		return -EINVAL;

	if (region_is_guest(r))
		return gmap_mmap(&r->guest, vma);

	if (r->io) {
		vm_flags_set(vma, VM_IO);
		vma->vm_page_prot = iomem_prot(r->io, vma->vm_page_prot);
	}
	vma->vm_ops = &region_vm_ops;
	if (!region_has_pages(r)) {
		err = mmext_vma_init(vma, &r->map);
		if (!err && (r->huge || r->io))
			mmext_vma_allow_huge(vma);
		return err;
	}

	if (is_cow_mapping(vma->vm_flags))
		WRITE_ONCE(r->has_private, true);
	return mmext_vma_init_pages(vma, &r->map);
}
