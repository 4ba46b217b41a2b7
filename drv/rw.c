// SPDX-License-Identifier: GPL-2.0
/*
 * read(2), write(2) and lseek(2) of a region.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "region.h"

/*
 * A page to copy from or to, with a reference: the copy may fault, on a
 * mapping of this region if need be, so it is not made under the lock.
 * *page is NULL for a hole that is to be read.
 */
static int get_page_at(struct region *r, pgoff_t index, bool write,
		       struct page **page)
{
	int err = 0;

	if (down_read_killable(&r->lock))
		return -EINTR;

	if (r->revoked) {
		err = -ENODEV;
	} else if (!write) {
		*page = region_page(r, index);
	} else if (region_read_only(r, index)) {
		err = -EPERM;
	} else {
		*page = region_page_alloc(r, index);
		err = PTR_ERR_OR_ZERO(*page);
	}
	if (!err && *page)
		get_page(*page);

	up_read(&r->lock);
	return err;
}

static ssize_t region_rw(struct kiocb *iocb, struct iov_iter *iter, bool write)
{
	struct region *r = iocb->ki_filp->private_data;
	ssize_t done = 0;
	int err = 0;

	if (READ_ONCE(r->revoked))
		return -ENODEV;
	region_shape(r);

	if (write && iov_iter_count(iter) && iocb->ki_pos >= region_end(r))
		return -ENOSPC;

	while (iov_iter_count(iter) && iocb->ki_pos < region_end(r)) {
		size_t offset = offset_in_page(iocb->ki_pos);
		size_t len = min_t(size_t, iov_iter_count(iter),
				   PAGE_SIZE - offset);
		struct page *page = NULL;
		size_t copied;

		if (signal_pending(current)) {
			err = -EINTR;
			break;
		}

		err = get_page_at(r, iocb->ki_pos >> PAGE_SHIFT, write, &page);
		if (err)
			break;

		if (!page)
			copied = iov_iter_zero(len, iter);
		else if (write)
			copied = copy_page_from_iter(page, offset, len, iter);
		else
			copied = copy_page_to_iter(page, offset, len, iter);
		if (page)
			put_page(page);

		iocb->ki_pos += copied;
		done += copied;
		if (copied < len) {
			err = -EFAULT;
			break;
		}
		cond_resched();
	}

	return done ?: err;
}

ssize_t region_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	return region_rw(iocb, to, false);
}

ssize_t region_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct region *r = iocb->ki_filp->private_data;

	if (iocb->ki_flags & IOCB_APPEND) {
		/* a region has no end of data to append to */
		if (!READ_ONCE(r->length))
			return -EINVAL;
		iocb->ki_pos = r->length;
	}
	return region_rw(iocb, from, true);
}

loff_t region_llseek(struct file *file, loff_t offset, int whence)
{
	struct region *r = file->private_data;

	if (READ_ONCE(r->revoked))
		return -ENODEV;

	switch (whence) {
	case SEEK_END:
		if (!READ_ONCE(r->length))
			return -EINVAL;
		break;
	case SEEK_SET:
	case SEEK_CUR:
		break;
	default:
		return -EINVAL;
	}
	return generic_file_llseek_size(file, offset, whence,
					REGION_MAX_LENGTH, region_end(r));
}
