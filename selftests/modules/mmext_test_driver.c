// SPDX-License-Identifier: GPL-2.0
/*
 * A driver on mmext's engine, made to be told what to do; see its header.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmext.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mmext_test_driver.h"

#define ORDER	10

static struct page *pages;
static struct mmext_mapping mapping;
static atomic_t nr_mkwrite = ATOMIC_INIT(0);

static vm_fault_t test_fault(struct vm_fault *vmf)
{
	if (vmf->pgoff >= MMEXT_TEST_PAGES)
		return VM_FAULT_SIGBUS;

	return mmext_vmf_insert_pfn(vmf->vma, vmf->address,
				    page_to_pfn(pages) + vmf->pgoff);
}

static vm_fault_t test_pfn_mkwrite(struct vm_fault *vmf)
{
	atomic_inc(&nr_mkwrite);
	return mmext_finish_mkwrite_fault(vmf) < 0 ? VM_FAULT_SIGBUS :
						     VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct good_vm_ops = {
	MMEXT_VM_OPS,
	.fault = test_fault,
	.pfn_mkwrite = test_pfn_mkwrite,
};

static const struct vm_operations_struct other_vm_ops = {
	.fault = test_fault,
	.pfn_mkwrite = test_pfn_mkwrite,
};

static const struct vm_operations_struct no_mkwrite_vm_ops = {
	MMEXT_VM_OPS,
	.fault = test_fault,
};

/* A driver that has nothing to do with the engine. */
static vm_fault_t foreign_fault(struct vm_fault *vmf)
{
	struct page *page;

	if (vmf->pgoff >= MMEXT_TEST_PAGES)
		return VM_FAULT_SIGBUS;

	page = pages + vmf->pgoff;
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct foreign_vm_ops = {
	.fault = foreign_fault,
};

static enum mmext_test_kind test_kind(struct file *file)
{
	return (unsigned long)file->private_data;
}

static int test_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &good_vm_ops;
	switch (test_kind(file)) {
	case MMEXT_TEST_GOOD:
		break;
	case MMEXT_TEST_NO_VM_OPS:
		vma->vm_ops = NULL;
		break;
	case MMEXT_TEST_OTHER_VM_OPS:
		vma->vm_ops = &other_vm_ops;
		break;
	case MMEXT_TEST_NO_PFN_MKWRITE:
		vma->vm_ops = &no_mkwrite_vm_ops;
		break;
	case MMEXT_TEST_NO_MAPPING:
		return mmext_vma_init(vma, NULL);
	case MMEXT_TEST_FOREIGN:
		vma->vm_ops = &foreign_vm_ops;
		return 0;
	}
	return mmext_vma_init(vma, &mapping);
}

static int test_open(struct inode *inode, struct file *file)
{
	file->private_data = (void *)MMEXT_TEST_GOOD;
	return 0;
}

static int fault_result(vm_fault_t ret)
{
	switch (ret) {
	case VM_FAULT_NOPAGE:
		return MMEXT_TEST_NOPAGE;
	case VM_FAULT_SIGBUS:
		return MMEXT_TEST_SIGBUS;
	case VM_FAULT_OOM:
		return MMEXT_TEST_OOM;
	default:
		return MMEXT_TEST_OTHER;
	}
}

static pgprot_t call_prot(struct vm_area_struct *vma, u32 prot)
{
	pte_t pte = pfn_pte(0, mmext_vma_prot(vma,
					      prot & MMEXT_TEST_PROT_WRITE));

	if (prot & MMEXT_TEST_PROT_DIRTY)
		pte = pte_mkdirty(pte);
	return __pgprot(pte_val(pte));
}

static int look_at_pte(struct vm_area_struct *vma, struct mmext_test_call *c)
{
	struct mmext_pte pte;
	int ret = mmext_follow_pte(vma, c->addr, &pte);

	if (ret)
		return ret;
	c->out_pfn = pte.pfn;
	c->out_value = pte.shift << 8;
	if (pte.write)
		c->out_value |= MMEXT_TEST_PTE_WRITE;
	if (pte.dirty)
		c->out_value |= MMEXT_TEST_PTE_DIRTY;
	if (pte.young)
		c->out_value |= MMEXT_TEST_PTE_YOUNG;
	return 0;
}

static int call_unmap_vmas(struct vm_area_struct *vma, struct mmext_test_call *c)
{
	struct mmext_zap_details details = {
		.mapping = c->prot & MMEXT_TEST_ZAP_MAPPING ? &mapping : NULL,
		.flags = c->prot & MMEXT_TEST_ZAP_INDEX ? MMEXT_ZAP_INDEX : 0,
		.first_index = lower_32_bits(c->pfn),
		.last_index = upper_32_bits(c->pfn),
	};
	struct mmext_gather g;
	int ret;

	if (c->prot & MMEXT_TEST_ZAP_ONE)
		return mmext_zap_page_range_single(vma, c->addr, c->size,
						   &details);

	mmext_gather_begin(&g, current->mm, &details);
	ret = mmext_unmap_vmas(&g, vma, c->addr, c->addr + c->size);
	mmext_gather_end(&g);
	c->out_pfn = g.skipped;
	return ret;
}

static int call_on_vma(struct vm_area_struct *vma, struct mmext_test_call *c)
{
	unsigned long pfn = 0;
	pgprot_t prot;
	int ret;

	switch (c->op) {
	case MMEXT_TEST_INSERT_PFN:
		return fault_result(mmext_vmf_insert_pfn(vma, c->addr, c->pfn));
	case MMEXT_TEST_INSERT_PFN_PROT:
		prot = call_prot(vma, c->prot);
		return fault_result(mmext_vmf_insert_pfn_prot(vma, c->addr,
							      c->pfn, prot));
	case MMEXT_TEST_REMAP_PFN_RANGE:
		return mmext_remap_pfn_range(vma, c->addr, c->pfn, c->size,
					     call_prot(vma, c->prot));
	case MMEXT_TEST_ZAP_VMA_PTES:
		return mmext_zap_vma_ptes(vma, c->addr, c->size);
	case MMEXT_TEST_ZAP_PAGE_RANGE_SINGLE:
		return mmext_zap_page_range_single(vma, c->addr, c->size, NULL);
	case MMEXT_TEST_ZAP_PAGE_RANGE:
		return mmext_zap_page_range(vma, c->addr, c->size);
	case MMEXT_TEST_UNMAP_VMAS:
		return call_unmap_vmas(vma, c);
	case MMEXT_TEST_VM_IOMAP_MEMORY:
		return mmext_vm_iomap_memory(vma, PFN_PHYS(page_to_pfn(pages)) +
					     c->addr, c->size);
	case MMEXT_TEST_FOLLOW_PFN:
		ret = mmext_follow_pfn(vma, c->addr, &pfn);
		c->out_pfn = pfn;
		return ret;
	case MMEXT_TEST_FOLLOW_PTE:
		return look_at_pte(vma, c);
	case MMEXT_TEST_VMA_MAPPING:
		if (mmext_vma_mapping(vma))
			c->out_value = mmext_vma_mapping(vma) == &mapping ?
				       2 : 1;
		return 0;
	case MMEXT_TEST_INSERT_WHILE_BUSY:
		mmext_invalidate_begin(&mapping);
		ret = fault_result(mmext_vmf_insert_pfn(vma, c->addr, c->pfn));
		mmext_invalidate_end(&mapping);
		return ret;
	}
	return -ENOTTY;
}

static int find_and_call(struct mmext_test_call *c)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	int ret = -ENOENT;

	/* to become VM_IO */
	if (c->op == MMEXT_TEST_VM_IOMAP_MEMORY)
		mmap_write_lock(mm);
	else
		mmap_read_lock(mm);
	vma = find_vma(mm, c->vma);
	if (vma && vma->vm_start <= c->vma)
		ret = call_on_vma(vma, c);
	if (c->op == MMEXT_TEST_VM_IOMAP_MEMORY)
		mmap_write_unlock(mm);
	else
		mmap_read_unlock(mm);
	return ret;
}

/* With a reference; NULL if there is no such process. */
static struct mm_struct *mm_of(pid_t nr)
{
	struct mm_struct *mm = NULL;
	struct task_struct *task;
	struct pid *pid;

	pid = find_get_pid(nr);
	task = get_pid_task(pid, PIDTYPE_PID);
	if (task) {
		mm = get_task_mm(task);
		put_task_struct(task);
	}
	put_pid(pid);
	return mm;
}

static int call_access(struct mmext_test_call *c)
{
	void __user *ubuf = (void __user *)(uintptr_t)c->pfn;
	unsigned int flags = 0;
	struct mm_struct *mm;
	int ret = -EFAULT;
	void *buf;

	if (c->prot & MMEXT_TEST_ACCESS_WRITE)
		flags |= FOLL_WRITE;
	if (c->prot & MMEXT_TEST_ACCESS_FORCE)
		flags |= FOLL_FORCE;
	if (c->prot & MMEXT_TEST_ACCESS_OTHER)
		flags |= FOLL_NOWAIT;

	mm = mm_of(c->vma);
	if (!mm)
		return -ESRCH;
	if (c->size > INT_MAX) {
		ret = mmext_access_remote_vm(mm, c->addr, NULL, c->size, flags);
		goto put;
	}

	buf = kvzalloc(c->size, GFP_KERNEL);
	if (!buf) {
		ret = -ENOMEM;
		goto put;
	}
	if (flags & FOLL_WRITE && copy_from_user(buf, ubuf, c->size))
		goto free;
	ret = mmext_access_remote_vm(mm, c->addr, buf, c->size, flags);
	if (!(flags & FOLL_WRITE) && ret > 0 && copy_to_user(ubuf, buf, ret))
		ret = -EFAULT;
free:
	kvfree(buf);
put:
	mmput(mm);
	return ret;
}

static int do_call(struct file *file, struct mmext_test_call *c)
{
	struct address_space *space = c->vma ? NULL : file->f_mapping;

	switch (c->op) {
	case MMEXT_TEST_KIND:
		file->private_data = (void *)(unsigned long)c->size;
		return 0;
	case MMEXT_TEST_INFO:
		c->out_pfn = page_to_pfn(pages);
		c->out_value = atomic_read(&nr_mkwrite);
		return 0;
	case MMEXT_TEST_UNMAP_MAPPING_RANGE:
		return mmext_unmap_mapping_range(space, c->addr, c->size, 1);
	case MMEXT_TEST_UNMAP_MAPPING_PAGES:
		return mmext_unmap_mapping_pages(space, c->addr, c->size,
						 true);
	case MMEXT_TEST_ACCESS:
		return call_access(c);
	}
	return find_and_call(c);
}

static long test_ioctl(struct file *file, unsigned int cmd, unsigned long uarg)
{
	struct mmext_test_call c;

	if (cmd != MMEXT_TEST_CALL)
		return -ENOTTY;
	if (copy_from_user(&c, (void __user *)uarg, sizeof(c)))
		return -EFAULT;
	c.out_pfn = 0;
	c.out_value = 0;
	c.out_result = do_call(file, &c);
	if (copy_to_user((void __user *)uarg, &c, sizeof(c)))
		return -EFAULT;
	return 0;
}

static const struct file_operations test_fops = {
	.owner = THIS_MODULE,
	.open = test_open,
	.mmap = test_mmap,
	.unlocked_ioctl = test_ioctl,
};

static struct miscdevice test_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "mmext_test_driver",
	.fops = &test_fops,
};

static int __init test_init(void)
{
	unsigned int i;
	int err;

	BUILD_BUG_ON(MMEXT_TEST_PAGES != 1 << ORDER);
	pages = alloc_pages(GFP_KERNEL | __GFP_ZERO, ORDER);
	if (!pages)
		return -ENOMEM;
	/* each with a reference count of its own, for foreign_fault() */
	split_page(pages, ORDER);
	for (i = 0; i < MMEXT_TEST_PAGES; i++)
		*(u8 *)page_address(pages + i) = i;

	err = mmext_mapping_init(&mapping);
	if (err)
		goto free;
	err = misc_register(&test_misc);
	if (err)
		goto destroy;
	return 0;

destroy:
	mmext_mapping_destroy(&mapping);
free:
	for (i = 0; i < MMEXT_TEST_PAGES; i++)
		__free_page(pages + i);
	return err;
}

static void __exit test_exit(void)
{
	unsigned int i;

	misc_deregister(&test_misc);
	mmext_mapping_destroy(&mapping);
	for (i = 0; i < MMEXT_TEST_PAGES; i++)
		__free_page(pages + i);
}

module_init(test_init);
module_exit(test_exit);

MODULE_DESCRIPTION("A driver on mmext's engine, for its selftests");
MODULE_AUTHOR("mmext developers");
MODULE_LICENSE("GPL");
