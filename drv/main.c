// SPDX-License-Identifier: GPL-2.0
/*
 * Loading, the device nodes, and what a descriptor is.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "../mm_ext/engine.h"
#include "region.h"

static char *tlb = "auto";
module_param(tlb, charp, 0444);
MODULE_PARM_DESC(tlb,
		 "who removes stale translations: auto, native (the module) or kernel");

static char *regions = "";
module_param(regions, charp, 0444);
MODULE_PARM_DESC(regions,
		 "SIZE[,SIZE...]: make /dev/mmext0..., shared regions of these bytes (K, M, G)");

/* A region with a name: /dev/mmext0, ... */
struct named_region {
	struct list_head list;
	struct miscdevice misc;
	struct region *region;
};

static LIST_HEAD(named_regions);

static void attach(struct file *file, struct region *r)
{
	file->private_data = r;
	/* the VMAs go to the region's i_mmap, and not to the node's */
	file->f_mapping = r->inode->i_mapping;
}

static int mmext_open(struct inode *inode, struct file *file)
{
	struct region *r = region_create(0);

	if (IS_ERR(r))
		return PTR_ERR(r);
	attach(file, r);
	return 0;
}

static int named_open(struct inode *inode, struct file *file)
{
	/* misc_open() left it there */
	struct named_region *n = container_of(file->private_data,
					      struct named_region, misc);

	region_get(n->region);
	attach(file, n->region);
	return 0;
}

static int mmext_release(struct inode *inode, struct file *file)
{
	region_put(file->private_data);
	return 0;
}

static void mmext_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct region *r = file->private_data;
	static const char * const backings[] = {
		[MMEXT_BACKING_PFN] = "pfn",
		[MMEXT_BACKING_PAGE] = "page",
		[MMEXT_BACKING_GUEST] = "guest",
		[MMEXT_BACKING_IOMEM] = "iomem",
	};
	struct mmext_stats stats;
	u64 reads = 0, writes = 0, mkwrites = 0;
	int cpu;

	mmext_mapping_stats(&r->map, &stats);
	for_each_possible_cpu(cpu) {
		struct region_faults *f = per_cpu_ptr(r->faults, cpu);

		reads += READ_ONCE(f->read);
		writes += READ_ONCE(f->write);
		mkwrites += READ_ONCE(f->mkwrite);
	}

	seq_printf(m, "mmext-backing:\t%s\n", backings[READ_ONCE(r->backing)]);
	seq_printf(m, "mmext-length:\t%llu\n", READ_ONCE(r->length));
	seq_printf(m, "mmext-around:\t%u\n", READ_ONCE(r->around));
	seq_printf(m, "mmext-pages:\t%ld\n", atomic_long_read(&r->nr_pages));
	seq_printf(m, "mmext-faults:\t%llu\n", reads + writes + mkwrites);
	seq_printf(m, "mmext-faults-read:\t%llu\n", reads);
	seq_printf(m, "mmext-faults-write:\t%llu\n", writes);
	seq_printf(m, "mmext-faults-mkwrite:\t%llu\n", mkwrites);
	seq_printf(m, "mmext-inserted:\t%llu\n", stats.inserted);
	seq_printf(m, "mmext-cleared:\t%llu\n", stats.cleared);
	seq_printf(m, "mmext-flushes:\t%llu\n", stats.flushes);
	seq_printf(m, "mmext-delegated:\t%llu\n", stats.delegated);
	seq_printf(m, "mmext-retries:\t%llu\n", stats.retries);
	seq_printf(m, "mmext-revoked:\t%d\n", READ_ONCE(r->revoked));
}

static const struct file_operations mmext_fops = {
	.owner = THIS_MODULE,
	.open = mmext_open,
	.release = mmext_release,
	.llseek = region_llseek,
	.read_iter = region_read_iter,
	.write_iter = region_write_iter,
	.mmap = region_mmap,
	.unlocked_ioctl = region_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.fsync = noop_fsync,	/* for msync(2) */
	.show_fdinfo = mmext_show_fdinfo,
};

static const struct file_operations named_fops = {
	.owner = THIS_MODULE,
	.open = named_open,
	.release = mmext_release,
	.llseek = region_llseek,
	.read_iter = region_read_iter,
	.write_iter = region_write_iter,
	.mmap = region_mmap,
	.unlocked_ioctl = region_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.fsync = noop_fsync,	/* for msync(2) */
	.show_fdinfo = mmext_show_fdinfo,
};

static struct miscdevice mmext_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mmext",
	.fops = &mmext_fops,
	.mode = 0600,
};

static int add_named(unsigned int nr, u64 length)
{
	struct named_region *n;
	int err = -ENOMEM;

	n = kzalloc(sizeof(*n), GFP_KERNEL);
	if (!n)
		return -ENOMEM;

	n->misc.minor = MISC_DYNAMIC_MINOR;
	n->misc.fops = &named_fops;
	n->misc.mode = 0600;
	n->misc.name = kasprintf(GFP_KERNEL, "mmext%u", nr);
	if (!n->misc.name)
		goto free;

	n->region = region_create(length);
	if (IS_ERR(n->region)) {
		err = PTR_ERR(n->region);
		goto free_name;
	}

	err = misc_register(&n->misc);
	if (err)
		goto put;

	list_add_tail(&n->list, &named_regions);
	return 0;

put:
	region_put(n->region);
free_name:
	kfree(n->misc.name);
free:
	kfree(n);
	return err;
}

static void remove_named(void)
{
	struct named_region *n, *next;

	list_for_each_entry_safe(n, next, &named_regions, list) {
		misc_deregister(&n->misc);
		region_put(n->region);
		kfree(n->misc.name);
		kfree(n);
	}
}

static int add_all_named(char *s)
{
	unsigned int nr = 0;
	u64 length;
	char *end;
	int err;

	for (; *s; s = end + 1) {
		length = memparse(s, &end);
		if (end == s || !length || !PAGE_ALIGNED(length) ||
		    length > REGION_MAX_LENGTH || (*end && *end != ',') ||
		    (*end && !end[1])) {
			pr_err("regions=%s: sizes are multiples of %lu bytes, with commas between\n",
			       regions, PAGE_SIZE);
			return -EINVAL;
		}
		err = add_named(nr++, length);
		if (err || !*end)
			return err;
	}
	return 0;
}

static int __init mmext_init(void)
{
	int err;

	err = mmext_tlb_init(tlb);
	if (err) {
		pr_err("tlb=%s: %s\n", tlb, err == -EINVAL ?
		       "auto, native or kernel" :
		       "no native flush for this architecture and configuration");
		return err;
	}
	region_limit_init();

	err = mmext_gmap_init();
	if (err)
		return err;
	err = region_fs_init();
	if (err)
		goto exit_gmap;

	err = add_all_named(regions);
	if (err)
		goto remove;

	err = misc_register(&mmext_misc);
	if (err)
		goto remove;
	return 0;

remove:
	remove_named();
	region_fs_exit();
exit_gmap:
	mmext_gmap_exit();
	return err;
}

static void __exit mmext_exit(void)
{
	u64 used;
	long live, vmas, gmaps, records;

	misc_deregister(&mmext_misc);
	remove_named();
	region_fs_exit();
	mmext_gmap_exit();

	live = region_live();
	used = region_used();
	vmas = mmext_live_vmas();
	gmaps = mmext_live_gmaps();
	records = mmext_live_records();
	if (live || used || vmas || gmaps || records)
		pr_err("leak: %ld regions, %llu bytes of pages, %ld mappings, %ld guest spaces, %ld records\n",
		       live, used, vmas, gmaps, records);
	else
		pr_info("unloaded, 0 regions, 0 pages, 0 mappings\n");
}

module_init(mmext_init);
module_exit(mmext_exit);

MODULE_DESCRIPTION("Page-table entries of a driver's own, and memory to share by them");
MODULE_AUTHOR("mmext developers");
MODULE_LICENSE("GPL");
