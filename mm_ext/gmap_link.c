// SPDX-License-Identifier: GPL-2.0
/*
 * Guest spaces and the parent's pages: linking, faulting in, and copying.
 */
#include <linux/export.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "engine.h"
#include "gmap.h"

/* Bytes of the guest's that are copied between two looks at translations. */
#define ACCESS_STEP	(256 * PAGE_SIZE)

/* Is another guest segment linked to the host segment of @vmaddr? */
static bool linked_elsewhere(struct mmext_gmap *g, const unsigned long *word,
			     unsigned long vmaddr)
{
	unsigned long first = gmap_segment_first(g, vmaddr);
	struct gmap_alias a;
	unsigned long *other;

	gmap_for_each_alias(g, &a, first, first) {
		other = gmap_entry(g, a.gfirst);
		if (other != word && *other & GMAP_LINKED)
			return true;
	}
	return false;
}

/**
 * gmap_link_word - link a segment
 * @g: the space
 * @word: of the segment, or NULL
 * @vmaddr: parent address that it has to name
 *
 * Context: space->lock.
 * Return: 0; -EFAULT it names something else, or the space is EXCLUSIVE and another
 * segment is linked to that of @vmaddr.
 */
int gmap_link_word(struct mmext_gmap *g, unsigned long *word,
		   unsigned long vmaddr)
{
	unsigned long val = word ? *word : 0;

	if (!(val & GMAP_MAPPED) ||
	    gmap_segment_first(g, val) != gmap_segment_first(g, vmaddr))
		return -EFAULT;
	if (val & GMAP_LINKED)
		return 0;
	if (g->flags & MMEXT_GMAP_ALLOC_EXCLUSIVE &&
	    linked_elsewhere(g, word, vmaddr))
		return -EFAULT;

	WRITE_ONCE(*word, val | GMAP_LINKED);
	g->nr_linked++;
	return 0;
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_link_word);

/**
 * __mmext_gmap_link - connect a guest segment to the parent's pages
 * @gmap: the space
 * @gaddr: guest address, of any alignment
 * @vmaddr: parent address that it translates to
 *
 * Differs from __gmap_link(): takes no memory, since a segment that is mapped has its
 * table; many guest segments may be linked to one of the parent's, unless the space
 * was made with MMEXT_GMAP_ALLOC_EXCLUSIVE.
 *
 * Context: space->lock (mmext_gmap_lock()).
 * Return: 0, also if it is linked already; -EFAULT @gaddr does not translate to
 * @vmaddr, or the space is exclusive and another segment is linked to that of
 * @vmaddr; -ESRCH the parent has gone.
 */
int __mmext_gmap_link(struct mmext_gmap *gmap, unsigned long gaddr,
		      unsigned long vmaddr)
{
	if (gmap_gone(gmap))
		return -ESRCH;
	if (__mmext_gmap_translate(gmap, gaddr) != vmaddr)
		return -EFAULT;
	return gmap_link_word(gmap, gmap_entry(gmap, gaddr), vmaddr);
}
EXPORT_SYMBOL_GPL(__mmext_gmap_link);

/*
 * Unlink what is linked of a guest range.  Returns whether anything was.
 *
 * A segment that is not linked has no entries in any window.
 */
bool gmap_unlink_range(struct mmext_gmap *g, unsigned long gfirst,
		       unsigned long glast)
{
	unsigned long gaddr = gmap_segment_first(g, gfirst), last, *word;
	bool found = false;

	for (;;) {
		last = gmap_segment_last(g, gaddr);
		word = gmap_entry(g, gaddr);
		if (word && *word & GMAP_LINKED) {
			WRITE_ONCE(*word, *word & ~GMAP_LINKED);
			g->nr_linked--;
			gmap_window_clear(g, gaddr, last);
			found = true;
		}
		if (last >= glast || !g->nr_linked)
			return found;
		gaddr = last + 1;
	}
}
EXPORT_SYMBOL_MMEXT_TEST(gmap_unlink_range);

/**
 * __mmext_gmap_unlink_by_vmaddr - unlink the segments that name a host segment
 * @gmap: the space
 * @vmaddr: parent address, of any alignment
 *
 * All of them.  Their entries leave every window; translations stay, and the next
 * fault links again.
 *
 * Differs from __gmap_unlink_by_vmaddr(): the flush is mmext_gmap_unlock()'s.
 *
 * Context: space->lock (mmext_gmap_lock()).
 * Return: 1 if one was linked, so that a flush may be due; 0.
 */
int __mmext_gmap_unlink_by_vmaddr(struct mmext_gmap *gmap,
				  unsigned long vmaddr)
{
	unsigned long first = gmap_segment_first(gmap, vmaddr);
	struct gmap_alias a;
	int ret = 0;

	gmap->seq++;
	gmap_for_each_alias(gmap, &a, first, first)
		ret |= gmap_unlink_range(gmap, a.gfirst, a.glast);
	return ret;
}
EXPORT_SYMBOL_GPL(__mmext_gmap_unlink_by_vmaddr);

/*
 * A bare frame in one of the engine's own mappings, which get_user_pages() refuses.
 * Not of a device: its memory type would have to be the window's.
 */
static int resolve_frame(struct vm_area_struct *vma, unsigned long vmaddr,
			 unsigned int fault_flags, int *locked,
			 struct gmap_page *p)
{
	bool write = fault_flags & FAULT_FLAG_WRITE;
	struct mm_struct *mm = vma->vm_mm;
	struct mmext_pte pte;
	bool unlocked = false;
	int err;

	for (;;) {
		if (!mmext_vma_mapping(vma) || vma->vm_flags & VM_IO)
			return -EFAULT;
		if (!mmext_follow_pte(vma, vmaddr, &pte) &&
		    (pte.write || !write))
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		err = fixup_user_fault(mm, vmaddr, FAULT_FLAG_REMOTE |
				       (write ? FAULT_FLAG_WRITE : 0),
				       locked ? &unlocked : NULL);
		if (err)
			return err == -ENOMEM ? -ENOMEM : -EFAULT;
		/* another VMA, for all that is known */
		if (unlocked)
			return -EAGAIN;
	}
	if (!pfn_valid(pte.pfn))
		return -EFAULT;
	p->pfn = pte.pfn;
	p->page = NULL;
	return 0;
}

/**
 * gmap_resolve - have a page of the parent's there
 * @mm: the parent
 * @vmaddr: its address, a multiple of the page size
 * @fault_flags: FAULT_FLAG_WRITE, FAULT_FLAG_RETRY_NOWAIT
 * @locked: NULL: the mmap lock may not be dropped; or set to 0 if it was
 * @p: filled in, to be given back by gmap_put_page()
 *
 * What it says is true for as long as no invalidation comes (gmap_seq_current()).
 *
 * Context: process context, may sleep; the mmap lock of @mm for read.
 * Return: 0; -EFAULT there is nothing; -EACCES what is there may not be stored to;
 * -EAGAIN it would have to wait, or something changed; -ENOMEM; -EINTR.
 */
int gmap_resolve(struct mm_struct *mm, unsigned long vmaddr,
		 unsigned int fault_flags, int *locked, struct gmap_page *p)
{
	bool write = fault_flags & FAULT_FLAG_WRITE;
	unsigned int gup_flags = write ? FOLL_WRITE : 0;
	struct vm_area_struct *vma;
	long nr;

	/* GUP complains below a stack; and a window is nobody's memory */
	vma = vma_lookup(mm, vmaddr);
	if (!vma || gmap_is_window(vma))
		return -EFAULT;
	if (write && !(vma->vm_flags & VM_WRITE))
		return vma->vm_flags & VM_READ ? -EACCES : -EFAULT;
	if (!(vma->vm_flags & VM_READ))
		return -EFAULT;
	if (vma->vm_flags & VM_PFNMAP)
		return resolve_frame(vma, vmaddr, fault_flags, locked, p);

	if (fault_flags & FAULT_FLAG_RETRY_NOWAIT) {
		gup_flags |= FOLL_NOWAIT;
		locked = NULL;
	}
	nr = compat_get_user_pages_remote(mm, vmaddr, 1, gup_flags, &p->page,
					  locked);
	if (nr == 1) {
		p->pfn = page_to_pfn(p->page);
		return 0;
	}
	if (fatal_signal_pending(current))
		return -EINTR;
	if (!nr || nr == -EAGAIN || nr == -EBUSY)
		return -EAGAIN;
	return nr == -ENOMEM ? -ENOMEM : -EFAULT;
}

void gmap_put_page(struct gmap_page *p)
{
	if (p->page)
		put_page(p->page);
}

/**
 * gmap_fault_in - fault a page of the parent's in, and do something that stands on it
 * @g: the space
 * @gaddr: guest address
 * @fault_flags: FAULT_FLAG_WRITE; FAULT_FLAG_RETRY_NOWAIT: do not wait
 * @commit: called under space->lock with what @gaddr translates to, and with nothing
 *	having changed since that was faulted in
 * @arg: for @commit
 *
 * Context: process context, may sleep; takes the parent's mmap lock.
 * Return: what @commit returned; or as mmext_gmap_fault().
 */
int gmap_fault_in(struct mmext_gmap *g, unsigned long gaddr,
		  unsigned int fault_flags,
		  int (*commit)(struct mmext_gmap *g, unsigned long gaddr,
				unsigned long vmaddr, void *arg), void *arg)
{
	bool nowait = fault_flags & FAULT_FLAG_RETRY_NOWAIT;
	struct mm_struct *mm = g->mm;
	unsigned long seq, vmaddr;
	struct gmap_page p;
	bool done = false;
	int err, locked;

	if (!mmget_not_zero(mm))
		return -ESRCH;

	do {
		err = gmap_read_begin(g, &seq);
		if (err)
			break;
		vmaddr = __mmext_gmap_translate(g, gaddr);
		err = IS_ERR_VALUE(vmaddr) ? -EFAULT : 0;
		if (!err && mmap_read_lock_killable(mm))
			err = -EINTR;
		if (err)
			break;

		locked = 1;
		err = gmap_resolve(mm, vmaddr & PAGE_MASK, fault_flags, &locked,
				   &p);
		if (locked)
			mmap_read_unlock(mm);
		if (err == -EAGAIN && !nowait)
			continue;
		if (err)
			break;

		mmext_gmap_lock(g);
		done = gmap_seq_current(g, vmaddr, seq);
		if (done)
			err = commit(g, gaddr, vmaddr, arg);
		else
			g->stats.retries++;
		mmext_gmap_unlock(g);
		gmap_put_page(&p);
		if (!done) {
			err = -EINTR;
			gmap_doze();
		}
	} while (!done && !fatal_signal_pending(current));

	mmput(mm);
	return err == -EACCES ? -EFAULT : err;
}

static int commit_fault(struct mmext_gmap *g, unsigned long gaddr,
			unsigned long vmaddr, void *arg)
{
	bool write = *(unsigned int *)arg & FAULT_FLAG_WRITE;
	int err;

	err = gmap_link_word(g, gmap_entry(g, gaddr), vmaddr);
	if (err)
		return err;
	gmap_fire_access(g, gaddr, write);
	if (write)
		gmap_dirty_mark(g, gaddr);
	g->stats.faults++;
	return 0;
}

/**
 * mmext_gmap_fault - resolve a fault on a guest address
 * @gmap: the space
 * @gaddr: guest address, of any alignment
 * @fault_flags: FAULT_FLAG_WRITE; FAULT_FLAG_RETRY_NOWAIT: do not wait for memory
 *	that has to be read from somewhere
 *
 * Has the parent's page there, and links the segment.
 *
 * Differs from gmap_fault(): a signal that kills is told from an error.
 *
 * Context: process context, may sleep; takes the parent's mmap lock.
 * Return: 0; -EFAULT @gaddr is not mapped, the parent has nothing there or may not
 * store there, or as __mmext_gmap_link(); -EAGAIN it would have to wait; -ENOMEM;
 * -ESRCH the parent has gone; -EINTR.
 */
int mmext_gmap_fault(struct mmext_gmap *gmap, unsigned long gaddr,
		     unsigned int fault_flags)
{
	return gmap_fault_in(gmap, gaddr, fault_flags, commit_fault,
			     &fault_flags);
}
EXPORT_SYMBOL_GPL(mmext_gmap_fault);

/* Tell those who want to know of an access of [gaddr, gaddr + len). */
static void announce_access(struct mmext_gmap *g, unsigned long gaddr,
			    unsigned long len, bool write)
{
	unsigned long page = gaddr & PAGE_MASK;

	if (!READ_ONCE(g->nr_armed) && !(write && !xa_empty(&g->blocks)))
		return;

	spin_lock(&g->lock);
	for (; page - (gaddr & PAGE_MASK) < offset_in_page(gaddr) + len;
	     page += PAGE_SIZE) {
		gmap_fire_access(g, page, write);
		if (write)
			gmap_dirty_mark(g, page);
	}
	spin_unlock(&g->lock);
}

/**
 * mmext_gmap_access_iter - copy from or to guest memory
 * @gmap: the space
 * @gaddr: guest address, of any alignment
 * @iter: source or destination; advanced
 * @write: @iter is the source
 *
 * Through the parent's memory, as far as it is mapped and there.  What is mapped when
 * a piece of it is begun is what that piece is copied from or to.
 *
 * Context: process context, may sleep; takes the parent's mmap lock.
 * Return: bytes; if there are none, -EFAULT, -ENOMEM, -ESRCH or -EINTR.
 */
ssize_t mmext_gmap_access_iter(struct mmext_gmap *gmap, unsigned long gaddr,
			       struct iov_iter *iter, bool write)
{
	unsigned int gup_flags = MMEXT_FOLL_NO_WINDOW |
				 (write ? FOLL_WRITE : 0);
	unsigned long vmaddr, len;
	size_t left, rest;
	ssize_t done = 0, ret = 0;

	if (!mmget_not_zero(gmap->mm))
		return -ESRCH;

	while ((left = iov_iter_count(iter))) {
		ret = -ESRCH;
		if (gmap_gone(gmap))
			break;
		len = min_t(size_t, left, ACCESS_STEP);
		len = min(len, mmext_gmap_contiguous(gmap, gaddr + done,
						     &vmaddr, len));
		ret = -EFAULT;
		if (!len)
			break;

		announce_access(gmap, gaddr + done, len, write);
		rest = left - len;
		iov_iter_truncate(iter, len);
		ret = mmext_access_remote_iter(gmap->mm, vmaddr, iter,
					       gup_flags);
		iov_iter_reexpand(iter, iov_iter_count(iter) + rest);
		if (ret <= 0)
			break;
		/* a mark that was taken out between that and the copy */
		if (write)
			announce_access(gmap, gaddr + done, ret, true);
		done += ret;
		if (ret < (ssize_t)len || fatal_signal_pending(current))
			break;
		cond_resched();
	}

	mmput(gmap->mm);
	return done ?: ret;
}
EXPORT_SYMBOL_GPL(mmext_gmap_access_iter);

/* What MADV_DONTNEED leaves alone. */
static bool may_discard(struct vm_area_struct *vma)
{
	if (vma->vm_flags & (VM_LOCKED | VM_PFNMAP | VM_MIXEDMAP | VM_IO |
			     VM_HUGETLB))
		return false;
	/* what is sealed can't be given up by who may not store to it */
	return !(vma->vm_flags & VM_SEALED) || vma->vm_flags & VM_WRITE;
}

static void discard_locked(struct mm_struct *mm, unsigned long addr,
			   unsigned long end)
{
	struct vm_area_struct *vma;

	for (vma = find_vma(mm, addr); vma && vma->vm_start < end;
	     vma = find_vma(mm, vma->vm_end)) {
		unsigned long from = max(addr, vma->vm_start);

		if (may_discard(vma))
			compat_zap_any(vma, from,
				       min(end, vma->vm_end) - from);
	}
}

/**
 * mmext_gmap_discard - drop the parent's pages behind a guest range
 * @gmap: the space
 * @gaddr: guest address, a multiple of the page size
 * @len: bytes, a multiple of the page size, not 0
 *
 * As MADV_DONTNEED of the parent's addresses, of which what is not there, or can't be
 * dropped, is left alone.  Works on one contiguous piece, or one hole.
 *
 * Context: process context, may sleep; takes the parent's mmap lock.
 * Return: bytes done, from @gaddr on, at least a page; -EINVAL misaligned; -ESRCH the
 * parent has gone; -EINTR.
 */
long mmext_gmap_discard(struct mmext_gmap *gmap, unsigned long gaddr,
			unsigned long len)
{
	struct mm_struct *mm = gmap->mm;
	unsigned long vmaddr, done;

	if (!PAGE_ALIGNED(gaddr) || !PAGE_ALIGNED(len) || !len)
		return -EINVAL;
	len = min_t(unsigned long, len, LONG_MAX & PAGE_MASK);
	if (gmap_gone(gmap) || !mmget_not_zero(mm))
		return -ESRCH;

	done = mmext_gmap_contiguous(gmap, gaddr, &vmaddr, len);
	if (!done) {
		/* to the end of the segment, which is a hole */
		done = gmap_segment_last(gmap, gaddr) - gaddr + 1;
		goto put;
	}
	if (mmap_read_lock_killable(mm)) {
		mmput(mm);
		return -EINTR;
	}
	/* the limit may be inside of a page */
	done = min(len, PAGE_ALIGN(done));
	discard_locked(mm, vmaddr, vmaddr + done);
	mmap_read_unlock(mm);
put:
	mmput(mm);
	return min(done, len);
}
EXPORT_SYMBOL_GPL(mmext_gmap_discard);
