// SPDX-License-Identifier: GPL-2.0
/*
 * A driver on mmext's engine, as short as one can be that is right: a ring of
 * sixteen pages that every process which opens /dev/mmext_example maps, and
 * that turns by a page with each write(2): what was the second page is the first
 * then, in every process, at its next access.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmext.h>
#include <linux/module.h>
#include <linux/mutex.h>

#define NR_PAGES	16

static struct page *pages[NR_PAGES];
static unsigned int turned;
/* whoever turns, and whoever's fault met that */
static DEFINE_MUTEX(turning);
static struct mmext_mapping ring;

static unsigned long ring_pfn(pgoff_t index)
{
	return page_to_pfn(pages[(index + READ_ONCE(turned)) % NR_PAGES]);
}

static vm_fault_t ring_fault(struct vm_fault *vmf)
{
	pgprot_t prot = mmext_vma_prot(vmf->vma, vmf->flags & FAULT_FLAG_WRITE);
	vm_fault_t ret = 0;
	unsigned long seq;

	if (vmf->pgoff >= NR_PAGES)
		return VM_FAULT_SIGBUS;

	/* look up and insert as one step; if the ring turned meanwhile, wait */
	if (mmext_read_begin(&ring, &seq))
		ret = mmext_fault_insert_pfn(vmf, ring_pfn(vmf->pgoff), prot,
					     seq);
	if (!ret) {
		mutex_lock(&turning);
		ret = mmext_vmf_insert_pfn_prot(vmf->vma, vmf->address,
						ring_pfn(vmf->pgoff), prot);
		mutex_unlock(&turning);
	}
	return ret;
}

static vm_fault_t ring_pfn_mkwrite(struct vm_fault *vmf)
{
	vm_fault_t ret = VM_FAULT_NOPAGE;

	mutex_lock(&turning);
	if (mmext_finish_mkwrite_fault(vmf) < 0)
		ret = VM_FAULT_SIGBUS;
	mutex_unlock(&turning);
	return ret;
}

static const struct vm_operations_struct ring_vm_ops = {
	MMEXT_VM_OPS,
	.fault = ring_fault,
	.pfn_mkwrite = ring_pfn_mkwrite,
};

static int ring_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &ring_vm_ops;
	return mmext_vma_init(vma, &ring);
}

static ssize_t ring_write(struct file *file, const char __user *buf, size_t len,
			  loff_t *pos)
{
	int err;

	mutex_lock(&turning);
	mmext_invalidate_begin(&ring);
	err = mmext_unmap_mapping_pages(file->f_mapping, 0, 0, true);
	if (!err)
		WRITE_ONCE(turned, turned + 1);
	mmext_invalidate_end(&ring);
	mutex_unlock(&turning);
	return err ?: len;
}

static const struct file_operations ring_fops = {
	.owner = THIS_MODULE,
	.mmap = ring_mmap,
	.write = ring_write,
};

static struct miscdevice ring_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mmext_example",
	.fops = &ring_fops,
};

static void ring_free(void)
{
	unsigned int i;

	for (i = 0; i < NR_PAGES && pages[i]; i++)
		__free_page(pages[i]);
	mmext_mapping_destroy(&ring);
}

static int __init ring_init(void)
{
	unsigned int i;
	int err = mmext_mapping_init(&ring);

	for (i = 0; i < NR_PAGES && !err; i++) {
		pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		err = pages[i] ? 0 : -ENOMEM;
	}
	err = err ?: misc_register(&ring_misc);
	if (err)
		ring_free();
	return err;
}

static void __exit ring_exit(void)
{
	misc_deregister(&ring_misc);
	ring_free();
}

module_init(ring_init);
module_exit(ring_exit);

MODULE_DESCRIPTION("An example of a driver on mmext's engine");
MODULE_AUTHOR("mmext developers");
MODULE_LICENSE("GPL");
