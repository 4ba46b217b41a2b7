// SPDX-License-Identifier: GPL-2.0
/*
 * Another mm's memory: across pages and VMAs, and what is mapped by page frame.
 *
 * Pages are pinned in batches, one hold of the mmap lock each, and copied
 * without it, so that a copy from or to user space may fault whatever it likes.
 * What can't be pinned is asked for from the VMA's access(), or, in one of the
 * engine's VMAs without that, copied under the lock of its page table.
 */
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uio.h>

#include "engine.h"
#include "huge.h"
#include "pgtable.h"

/* How many pages are pinned at once: what there is room for on the stack. */
#define BATCH_PAGES	128UL

static unsigned long pages_of(unsigned long addr, size_t len)
{
	return (offset_in_page(addr) + len + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/*
 * Pin pages from @addr on, to be unpinned.  Returns how many, or -EFAULT if
 * there is none that can be pinned, or -EINTR.
 */
static long pin_pages(struct mm_struct *mm, unsigned long addr, size_t len,
		      unsigned int gup_flags, struct page **pages)
{
	unsigned long first = addr & PAGE_MASK;
	struct vm_area_struct *vma;
	int locked = 1;
	long nr = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;

	/* one VMA at a time: below a stack GUP complains, in the log */
	vma = vma_lookup(mm, addr);
	if (vma && !(vma->vm_flags & (VM_IO | VM_PFNMAP))) {
		nr = min3(pages_of(addr, len), BATCH_PAGES,
			  (vma->vm_end - first) >> PAGE_SHIFT);
		nr = compat_pin_user_pages_remote(mm, first, nr,
						  gup_flags &
						  ~MMEXT_FOLL_NO_WINDOW,
						  pages, &locked);
	}
	if (locked)
		mmap_read_unlock(mm);

	if (nr > 0)
		return nr;
	return fatal_signal_pending(current) ? -EINTR : -EFAULT;
}

/*
 * Copy from or to the frame of an address, at most to the end of the page.
 * Under the table's lock nobody takes the entry out and gives the frame away.
 *
 * Returns bytes; -EAGAIN there is no entry, or none that may be stored to;
 * -EFAULT the frame is no memory that the kernel can reach.
 */
static int copy_frame(struct vm_area_struct *vma, unsigned long addr, void *buf,
		      int len, bool write)
{
	unsigned long page_addr = addr & PAGE_MASK;
	bool relaxed = false;
	struct mmext_walk w;
	int ret = -EAGAIN;
	struct mmext_pte e;
	struct page *page;
	void *at;

	len = min_t(unsigned long, len, PAGE_SIZE - offset_in_page(addr));
	if (!mmext_entry_lock(vma->vm_mm, page_addr, &w, &e))
		return -EAGAIN;

	if ((w.pte && !mmext_pte_ours(*w.pte)) || (write && !e.write))
		goto unlock;

	/* a reserved page may be a hole in the kernel's own mapping */
	ret = -EFAULT;
	if (!pfn_valid(e.pfn) || PageReserved(pfn_to_page(e.pfn)))
		goto unlock;

	page = pfn_to_page(e.pfn);
	at = page_address(page) + offset_in_page(addr);
	if (!write) {
		memcpy(buf, at, len);
	} else {
		memcpy(at, buf, len);
		relaxed = !e.dirty;
		if (relaxed && w.pte)
			mmext_pte_relax(vma, page_addr, w.pte);
		else if (relaxed)
			mmext_leaf_relax(vma->vm_mm, page_addr, &w);
	}
	ret = len;
unlock:
	mmext_entry_unlock(&w);
	if (relaxed)
		mmext_tlb_relaxed(vma->vm_mm, page_addr, page_addr + PAGE_SIZE);
	return ret;
}

/*
 * Copy from or to memory that can't be pinned, at most to the end of its VMA.
 * Returns bytes, at least 1, or a negative error.
 */
static int access_special(struct mm_struct *mm, unsigned long addr, void *buf,
			  int len, unsigned int gup_flags)
{
	bool write = gup_flags & FOLL_WRITE;
	unsigned int fault_flags = FAULT_FLAG_REMOTE |
				   (write ? FAULT_FLAG_WRITE : 0);
	struct vm_area_struct *vma;
	bool unlocked;
	int ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	do {
		ret = -EFAULT;
		vma = vma_lookup(mm, addr);
		if (!vma)
			break;
		if (gup_flags & MMEXT_FOLL_NO_WINDOW && gmap_is_window(vma))
			break;

		len = min_t(unsigned long, len, vma->vm_end - addr);
		if (vma->vm_ops && vma->vm_ops->access)
			ret = vma->vm_ops->access(vma, addr, buf, len, write);
		else if (mmext_vma_mapping(vma) &&
			 vma->vm_flags & (write ? VM_WRITE : VM_READ))
			ret = copy_frame(vma, addr, buf, len, write);

		/* may drop the lock, and then the VMA is another */
		if (ret == -EAGAIN &&
		    fixup_user_fault(mm, addr, fault_flags, &unlocked))
			ret = -EFAULT;
	} while (ret == -EAGAIN && !fatal_signal_pending(current));
	mmap_read_unlock(mm);

	return ret ?: -EFAULT;
}

static bool flags_known(unsigned int gup_flags)
{
	return !(gup_flags & ~(FOLL_WRITE | FOLL_FORCE |
			       MMEXT_FOLL_NO_WINDOW));
}

/**
 * mmext_access_remote_vm - access another process' address space
 * @mm: the address space, on which the caller holds a reference
 * @addr: user address in it
 * @buf: the kernel's, source or destination
 * @len: bytes
 * @gup_flags: FOLL_WRITE to copy from @buf to @mm; FOLL_FORCE to do what the
 *	protection of a mapping forbids, as a debugger may
 *
 * Goes over pages and VMAs as far as there is something.  FOLL_FORCE is not for
 * what is mapped by page frame.
 *
 * Differs from access_remote_vm(): in one of the engine's VMAs without access()
 * the entries are followed, and faulted in; an access() is not asked for more
 * than its VMA; a stack does not grow; wrong arguments are -EINVAL.  Where the
 * CPU does not do it by itself, what is written is not made visible to
 * instruction fetches.
 *
 * Context: process context, may sleep; takes the mmap lock of @mm.
 * Return: the number of bytes transferred, fewer than @len up to the first byte
 * that can't be had, or if a fatal signal came; -EINVAL @len is negative or
 * @gup_flags has other bits.
 */
int mmext_access_remote_vm(struct mm_struct *mm, unsigned long addr, void *buf,
			   int len, unsigned int gup_flags)
{
	bool write = gup_flags & FOLL_WRITE;
	struct page *pages[BATCH_PAGES];
	int done = 0;

	if (len < 0 || !flags_known(gup_flags))
		return -EINVAL;

	while (done < len) {
		size_t left = len - done;
		long nr, n, i;

		nr = pin_pages(mm, addr + done, left, gup_flags, pages);
		if (nr == -EFAULT) {
			n = access_special(mm, addr + done, buf + done, left,
					   gup_flags);
			if (n < 0)
				break;
			done += n;
			continue;
		}
		if (nr < 0)
			break;

		for (i = 0; i < nr; i++) {
			unsigned long offset = offset_in_page(addr + done);
			void *at = page_address(pages[i]) + offset;

			n = min_t(size_t, len - done, PAGE_SIZE - offset);
			if (write)
				memcpy(at, buf + done, n);
			else
				memcpy(buf + done, at, n);
			done += n;
		}
		unpin_user_pages_dirty_lock(pages, nr, write);
	}
	return done;
}
EXPORT_SYMBOL_GPL(mmext_access_remote_vm);

/* Memory that can't be pinned, by way of a page. */
static ssize_t bounce(struct mm_struct *mm, unsigned long addr,
		      struct iov_iter *iter, unsigned int gup_flags)
{
	size_t len = min_t(size_t, iov_iter_count(iter),
			   PAGE_SIZE - offset_in_page(addr));
	void *page = (void *)__get_free_page(GFP_KERNEL);
	bool write = gup_flags & FOLL_WRITE;
	ssize_t ret = -EFAULT;

	if (!page)
		return -ENOMEM;

	if (write)
		len = copy_from_iter(page, len, iter);
	if (len)
		ret = mmext_access_remote_vm(mm, addr, page, len, gup_flags);
	if (ret > 0 && !write)
		ret = copy_to_iter(page, ret, iter);
	else if (write)
		iov_iter_revert(iter, len - max_t(ssize_t, ret, 0));

	free_page((unsigned long)page);
	if (ret)
		return ret;
	return fatal_signal_pending(current) ? -EINTR : -EFAULT;
}

/*
 * Bytes of pages that follow each other, from @offset into the first on.  All memory
 * has an address: copy_page_to_iter() would ask, page by page, whether this has.
 */
static size_t copy_pages(struct page **pages, size_t offset, size_t bytes,
			 struct iov_iter *iter, bool write)
{
	size_t done, len, n;
	void *at;

	for (done = 0; done < bytes; done += n, offset = 0) {
		len = min_t(size_t, bytes - done, PAGE_SIZE - offset);
		at = page_address(*pages++) + offset;
		n = write ? _copy_from_iter(at, len, iter) :
			    _copy_to_iter(at, len, iter);
		if (unlikely(n < len))
			return done + n;
	}
	return done;
}

/**
 * mmext_access_remote_iter - access another process' address space
 * @mm: the address space, on which the caller holds a reference
 * @addr: user address in it
 * @iter: source or destination, the caller's user space for example; advanced
 * @gup_flags: as for mmext_access_remote_vm(); FOLL_WRITE if @iter is a source,
 *	and only then
 *
 * mmext_access_remote_vm() for as many bytes as @iter has, without a copy in
 * between where pages can be pinned.  There is no such function in mm/memory.c.
 *
 * Context: process context, may sleep; takes the mmap lock of @mm, and not
 * while it copies.
 * Return: the number of bytes transferred, fewer than asked for up to the first
 * byte that can't be had on either side, or if a fatal signal came.  If there
 * is none: -EFAULT; -EINTR; -ENOMEM; -EINVAL @gup_flags.
 */
ssize_t mmext_access_remote_iter(struct mm_struct *mm, unsigned long addr,
				 struct iov_iter *iter, unsigned int gup_flags)
{
	bool write = gup_flags & FOLL_WRITE;
	struct page *pages[BATCH_PAGES];
	ssize_t done = 0, ret = 0;
	size_t offset, want, n;
	long nr;

	if (!flags_known(gup_flags) || write != (iov_iter_rw(iter) == WRITE))
		return -EINVAL;

	while (iov_iter_count(iter)) {
		nr = pin_pages(mm, addr + done, iov_iter_count(iter), gup_flags,
			       pages);
		if (nr == -EFAULT) {
			ret = bounce(mm, addr + done, iter, gup_flags);
			if (ret < 0)
				break;
			done += ret;
			continue;
		}
		if (nr < 0) {
			ret = nr;
			break;
		}

		offset = offset_in_page(addr + done);
		want = min_t(size_t, iov_iter_count(iter),
			     (nr << PAGE_SHIFT) - offset);
		n = copy_pages(pages, offset, want, iter, write);
		unpin_user_pages_dirty_lock(pages, nr, write);
		done += n;
		if (n < want) {
			ret = -EFAULT;
			break;
		}
	}
	return done ?: ret;
}
EXPORT_SYMBOL_GPL(mmext_access_remote_iter);
