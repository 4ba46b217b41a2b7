// SPDX-License-Identifier: GPL-2.0
/*
 * Guest spaces, where only a module can see what they take: the look-up of an
 * address, and a notifier that does nothing for theirs to be compared with.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmext.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "module.h"

/**
 * struct guest - what one open has
 * @gmap: a space of the process that made it, or NULL
 * @nr: its segments
 * @from: parent address of the first
 * @mn: registered while @mm is not NULL
 * @mm: the address space
 */
struct guest {
	struct mmext_gmap *gmap;
	unsigned long nr;
	unsigned long from;
	struct mmu_notifier mn;
	struct mm_struct *mm;
};

/* Segments are a page; every other page of the parent, so that none joins the next. */
static unsigned long parent_address(const struct guest *guest, unsigned long i)
{
	return guest->from + 2 * i * PAGE_SIZE;
}

static int make_space(struct guest *guest, unsigned long from, unsigned long nr)
{
	struct mmext_gmap *gmap;
	unsigned long i;
	int err = 0;

	if (guest->gmap)
		return -EBUSY;
	gmap = mmext_gmap_create(current->mm, nr * PAGE_SIZE - 1, PAGE_SHIFT, 0);
	if (IS_ERR(gmap))
		return PTR_ERR(gmap);
	guest->gmap = gmap;
	guest->nr = nr;
	guest->from = from;
	for (i = 0; !err && i < nr; i++)
		err = mmext_gmap_map_segment(gmap, parent_address(guest, i),
					     i * PAGE_SIZE, PAGE_SIZE);
	return err;
}

static int translate_each(struct guest *guest)
{
	unsigned long i;

	if (!guest->gmap)
		return -EINVAL;
	for (i = 0; i < guest->nr; i++) {
		if (mmext_gmap_translate(guest->gmap, i * PAGE_SIZE + 8) !=
		    parent_address(guest, i) + 8)
			return -EIO;
	}
	return 0;
}

static int idle_start(struct mmu_notifier *mn,
		      const struct mmu_notifier_range *range)
{
	return 0;
}

static void idle_end(struct mmu_notifier *mn,
		     const struct mmu_notifier_range *range)
{
}

static const struct mmu_notifier_ops idle_ops = {
	.invalidate_range_start = idle_start,
	.invalidate_range_end = idle_end,
};

static int add_notifier(struct guest *guest)
{
	int err;

	if (guest->mm)
		return -EBUSY;
	guest->mn.ops = &idle_ops;
	err = mmu_notifier_register(&guest->mn, current->mm);
	if (!err)
		guest->mm = current->mm;
	return err;
}

static int guest_open(struct inode *inode, struct file *file)
{
	struct guest *guest = kzalloc(sizeof(*guest), GFP_KERNEL);

	file->private_data = guest;
	return guest ? 0 : -ENOMEM;
}

static int guest_release(struct inode *inode, struct file *file)
{
	struct guest *guest = file->private_data;

	if (guest->gmap)
		mmext_gmap_free(guest->gmap);
	if (guest->mm)
		mmu_notifier_unregister(&guest->mn, guest->mm);
	kfree(guest);
	return 0;
}

/* One process with one thread uses it. */
static long guest_ioctl(struct file *file, unsigned int cmd, unsigned long uarg)
{
	struct guest *guest = file->private_data;
	struct mmext_bench_call c;

	if (cmd != MMEXT_BENCH_CALL)
		return -ENOTTY;
	if (copy_from_user(&c, (void __user *)uarg, sizeof(c)))
		return -EFAULT;

	switch (c.op) {
	case MMEXT_BENCH_GMAP_MAKE:
		return make_space(guest, c.addr, c.size >> PAGE_SHIFT);
	case MMEXT_BENCH_GMAP_TRANSLATE:
		return translate_each(guest);
	case MMEXT_BENCH_NOTIFIER:
		return add_notifier(guest);
	}
	return -ENOTTY;
}

static const struct file_operations guest_fops = {
	.owner = THIS_MODULE,
	.open = guest_open,
	.release = guest_release,
	.unlocked_ioctl = guest_ioctl,
};

struct miscdevice bench_gmap_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mmext_bench_gmap",
	.fops = &guest_fops,
};
