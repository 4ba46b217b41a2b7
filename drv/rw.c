// SPDX-License-Identifier: GPL-2.0
/*
 * read(2), write(2) and lseek(2) of a region.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "region.h"

/*
 * Copy at most to the end of a page, by way of @bounce: a copy from or to user
 * space may fault, on a mapping of this very region if need be, and is not made
 * under the lock; and without the lock, PROTECT or REMAP may come in between.
 */
static ssize_t read_some(struct region *r, loff_t pos, size_t len,
			 struct iov_iter *to, char *bounce)
{
	struct page *page = NULL;
	int err = 0;

	if (down_read_killable(&r->lock))
		return -EINTR;
	if (r->revoked)
		err = -ENODEV;
	else if (r->io)
		iomem_copy(r->io, pos, bounce, len, false);
	else
		page = region_page(r, pos >> PAGE_SHIFT);
	if (page)
		memcpy(bounce, page_at(page, pos), len);
	up_read(&r->lock);
	if (err)
		return err;

	len = page || r->io ? copy_to_iter(bounce, len, to) :
			      iov_iter_zero(len, to);
	return len ?: -EFAULT;
}

static ssize_t write_some(struct region *r, loff_t pos, size_t len,
			  struct iov_iter *from, char *bounce)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	struct page *page;
	ssize_t ret;

	len = copy_from_iter(bounce, len, from);
	if (!len)
		return -EFAULT;

	if (down_read_killable(&r->lock))
		return -EINTR;
	if (r->revoked) {
		ret = -ENODEV;
	} else if (r->io) {
		iomem_copy(r->io, pos, bounce, len, true);
		ret = len;
	} else if (region_read_only(r, index)) {
		ret = -EPERM;
	} else {
		page = region_page_alloc(r, index);
		ret = PTR_ERR_OR_ZERO(page);
		if (!ret) {
			region_dirty_mark(r, index);
			memcpy(page_at(page, pos), bounce, len);
			ret = len;
		}
	}
	up_read(&r->lock);
	return ret;
}

static ssize_t region_rw(struct kiocb *iocb, struct iov_iter *iter,
			 ssize_t (*some)(struct region *r, loff_t pos,
					 size_t len, struct iov_iter *iter,
					 char *bounce))
{
	struct region *r = iocb->ki_filp->private_data;
	ssize_t done = 0, ret = 0;
	char *bounce;

	bounce = (char *)__get_free_page(GFP_KERNEL);
	if (!bounce)
		return -ENOMEM;

	while (iov_iter_count(iter) && iocb->ki_pos < region_end(r)) {
		if (done && signal_pending(current))
			break;

		ret = some(r, iocb->ki_pos,
			   min_t(size_t, iov_iter_count(iter),
				 PAGE_SIZE - offset_in_page(iocb->ki_pos)),
			   iter, bounce);
		if (ret < 0)
			break;

		iocb->ki_pos += ret;
		done += ret;
		cond_resched();
	}

	free_page((unsigned long)bounce);
	return done ?: ret;
}

ssize_t region_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct region *r = iocb->ki_filp->private_data;

	if (READ_ONCE(r->revoked))
		return -ENODEV;
	region_shape(r);
	if (region_is_guest(r))
		return -EOPNOTSUPP;

	return region_rw(iocb, to, read_some);
}

ssize_t region_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct region *r = iocb->ki_filp->private_data;

	if (READ_ONCE(r->revoked))
		return -ENODEV;
	region_shape(r);
	if (region_is_guest(r))
		return -EOPNOTSUPP;

	if (iocb->ki_flags & IOCB_APPEND) {
		/* a region has no end of data to append to */
		if (!READ_ONCE(r->length))
			return -EINVAL;
		iocb->ki_pos = r->length;
	}
	if (iov_iter_count(from) && iocb->ki_pos >= region_end(r))
		return -ENOSPC;

	return region_rw(iocb, from, write_some);
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
