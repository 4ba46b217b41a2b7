// SPDX-License-Identifier: GPL-2.0
/*
 * A secondary MMU that is none: it hears of what leaves a page table, and
 * counts.
 */
#include <linux/bitmap.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

#include "mmext_test_notifier.h"

/**
 * struct watch - what one open watches
 * @mn: registered while @mm is not NULL
 * @mutex: held to register
 * @mm: the address space
 * @lock: held to count
 * @start: of the range
 * @end: of the range
 * @starts: overlapping calls
 * @ends: overlapping calls
 * @pages: of the range, that were in one
 */
struct watch {
	struct mmu_notifier mn;
	struct mutex mutex; /* @mm, and registering */
	struct mm_struct *mm;
	spinlock_t lock; /* the counts */
	unsigned long start;
	unsigned long end;
	unsigned int starts;
	unsigned int ends;
	DECLARE_BITMAP(pages, MMEXT_TEST_NOTIFIER_MAX);
};

static int watch_range_start(struct mmu_notifier *mn,
			     const struct mmu_notifier_range *range)
{
	struct watch *w = container_of(mn, struct watch, mn);
	unsigned long start, end;

	spin_lock(&w->lock);
	start = max(range->start, w->start);
	end = min(range->end, w->end);
	if (start < end) {
		w->starts++;
		bitmap_set(w->pages, (start - w->start) >> PAGE_SHIFT,
			   (PAGE_ALIGN(end) - (start & PAGE_MASK)) >>
			   PAGE_SHIFT);
	}
	spin_unlock(&w->lock);
	return 0;
}

static void watch_range_end(struct mmu_notifier *mn,
			    const struct mmu_notifier_range *range)
{
	struct watch *w = container_of(mn, struct watch, mn);

	spin_lock(&w->lock);
	if (range->start < w->end && range->end > w->start)
		w->ends++;
	spin_unlock(&w->lock);
}

static const struct mmu_notifier_ops watch_ops = {
	.invalidate_range_start = watch_range_start,
	.invalidate_range_end = watch_range_end,
};

static int watch_open(struct inode *inode, struct file *file)
{
	struct watch *w = kzalloc(sizeof(*w), GFP_KERNEL);

	if (!w)
		return -ENOMEM;
	w->mn.ops = &watch_ops;
	mutex_init(&w->mutex);
	spin_lock_init(&w->lock);
	file->private_data = w;
	return 0;
}

static int watch_release(struct inode *inode, struct file *file)
{
	struct watch *w = file->private_data;

	if (w->mm)
		mmu_notifier_unregister(&w->mn, w->mm);
	kfree(w);
	return 0;
}

static long watch_start(struct watch *w, const struct mmext_test_notifier *arg)
{
	int err;

	if (!PAGE_ALIGNED(arg->start) || !PAGE_ALIGNED(arg->end) ||
	    arg->start >= arg->end ||
	    (arg->end - arg->start) >> PAGE_SHIFT > MMEXT_TEST_NOTIFIER_MAX)
		return -EINVAL;

	mutex_lock(&w->mutex);
	if (w->mm) {
		err = -EBUSY;
		goto unlock;
	}
	w->start = arg->start;
	w->end = arg->end;
	err = mmu_notifier_register(&w->mn, current->mm);
	if (!err)
		w->mm = current->mm;
unlock:
	mutex_unlock(&w->mutex);
	return err;
}

static void watch_counts(struct watch *w, struct mmext_test_notifier *arg)
{
	memset(arg, 0, sizeof(*arg));
	spin_lock(&w->lock);
	arg->start = w->start;
	arg->end = w->end;
	arg->out_starts = w->starts;
	arg->out_ends = w->ends;
	arg->out_pages = bitmap_weight(w->pages, MMEXT_TEST_NOTIFIER_MAX);
	w->starts = 0;
	w->ends = 0;
	bitmap_zero(w->pages, MMEXT_TEST_NOTIFIER_MAX);
	spin_unlock(&w->lock);
}

static long watch_ioctl(struct file *file, unsigned int cmd, unsigned long uarg)
{
	struct mmext_test_notifier arg;

	switch (cmd) {
	case MMEXT_TEST_NOTIFIER_WATCH:
		if (copy_from_user(&arg, (void __user *)uarg, sizeof(arg)))
			return -EFAULT;
		return watch_start(file->private_data, &arg);
	case MMEXT_TEST_NOTIFIER_COUNTS:
		watch_counts(file->private_data, &arg);
		if (copy_to_user((void __user *)uarg, &arg, sizeof(arg)))
			return -EFAULT;
		return 0;
	}
	return -ENOTTY;
}

static const struct file_operations watch_fops = {
	.owner = THIS_MODULE,
	.open = watch_open,
	.release = watch_release,
	.unlocked_ioctl = watch_ioctl,
};

static struct miscdevice watch_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mmext_test_notifier",
	.fops = &watch_fops,
};

module_misc_device(watch_misc);

MODULE_DESCRIPTION("An MMU notifier for the selftests of mmext");
MODULE_AUTHOR("mmext developers");
MODULE_LICENSE("GPL");
