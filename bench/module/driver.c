// SPDX-License-Identifier: GPL-2.0
/*
 * What mmext is measured against: one driver, once on its engine and once on the
 * kernel's own functions; see the header.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmext.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "mmext_test_compat.h"
#include "module.h"

static unsigned long size = SZ_64M;
module_param(size, ulong, 0444);
MODULE_PARM_DESC(size, "bytes of pages to show");

/* The largest that every kernel's page allocator gives. */
#define BLOCK_ORDER	(ilog2(SZ_4M) - PAGE_SHIFT)
#define BLOCK_PAGES	(1UL << BLOCK_ORDER)

/* What both show: pages whose frames follow each other. */
static struct page *pages;
static unsigned long nr_pages;
/* the same as vm_insert_pages() wants them */
static struct page **list;
static struct mmext_mapping mapping;

/**
 * struct side - one of the two
 * @misc: its device, with an address space of its own
 * @vm_ops: of its VMAs
 * @vma_init: the last step of mmap
 * @vma_init_pages: the same for pages with references
 * @insert_pfn: vmf_insert_pfn()
 * @remap_pfn_range: by its name, as those that follow
 * @insert_page: vm_insert_page()
 * @insert_pages: vm_insert_pages()
 * @zap_vma_ptes: by its name
 * @zap_page_range: or what the kernel has in its place
 * @unmap_mapping_range: by its name
 * @follow_pfn: or what the kernel has in its place
 */
struct side {
	struct miscdevice misc;
	const struct vm_operations_struct *vm_ops;
	int (*vma_init)(struct vm_area_struct *vma);
	int (*vma_init_pages)(struct vm_area_struct *vma);
	vm_fault_t (*insert_pfn)(struct vm_area_struct *vma, unsigned long addr,
				 unsigned long pfn);
	int (*remap_pfn_range)(struct vm_area_struct *vma, unsigned long addr,
			       unsigned long pfn, unsigned long size,
			       pgprot_t prot);
	int (*insert_page)(struct vm_area_struct *vma, unsigned long addr,
			   struct page *page);
	int (*insert_pages)(struct vm_area_struct *vma, unsigned long addr,
			    struct page **pages, unsigned long *num);
	int (*zap_vma_ptes)(struct vm_area_struct *vma, unsigned long addr,
			    unsigned long size);
	int (*zap_page_range)(struct vm_area_struct *vma, unsigned long addr,
			      unsigned long size);
	int (*unmap_mapping_range)(struct address_space *mapping, loff_t begin,
				   loff_t length);
	int (*follow_pfn)(struct vm_area_struct *vma, unsigned long addr,
			  unsigned long *pfn);
};

static vm_fault_t bench_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct side *s = vma->vm_file->private_data;

	if (vmf->pgoff >= nr_pages)
		return VM_FAULT_SIGBUS;
	return s->insert_pfn(vma, vmf->address, page_to_pfn(pages) + vmf->pgoff);
}

/* mmext's side */
static vm_fault_t engine_mkwrite(struct vm_fault *vmf)
{
	return mmext_finish_mkwrite_fault(vmf) < 0 ? VM_FAULT_SIGBUS :
						     VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct engine_vm_ops = {
	MMEXT_VM_OPS,
	.fault = bench_fault,
	.pfn_mkwrite = engine_mkwrite,
	.page_mkwrite = engine_mkwrite,
};

/* What the namesake does, if there is no pfn_mkwrite. */
static vm_fault_t engine_insert_pfn(struct vm_area_struct *vma,
				    unsigned long addr, unsigned long pfn)
{
	return mmext_vmf_insert_pfn_prot(vma, addr, pfn,
					 mmext_vma_prot(vma, true));
}

static int engine_vma_init(struct vm_area_struct *vma)
{
	return mmext_vma_init(vma, &mapping);
}

static int engine_vma_init_pages(struct vm_area_struct *vma)
{
	return mmext_vma_init_pages(vma, &mapping);
}

static int engine_zap_page_range(struct vm_area_struct *vma, unsigned long addr,
				 unsigned long size)
{
	return mmext_zap_page_range_single(vma, addr, size, NULL);
}

static int engine_unmap_mapping_range(struct address_space *mapping,
				      loff_t begin, loff_t length)
{
	return mmext_unmap_mapping_range(mapping, begin, length, 1);
}

static const struct file_operations bench_fops;

static struct side engine = {
	.misc = {
		.minor = MISC_DYNAMIC_MINOR,
		.name = "mmext_bench_engine",
		.fops = &bench_fops,
	},
	.vm_ops = &engine_vm_ops,
	.vma_init = engine_vma_init,
	.vma_init_pages = engine_vma_init_pages,
	.insert_pfn = engine_insert_pfn,
	.remap_pfn_range = mmext_remap_pfn_range,
	.insert_page = mmext_vm_insert_page,
	.insert_pages = mmext_vm_insert_pages,
	.zap_vma_ptes = mmext_zap_vma_ptes,
	.zap_page_range = engine_zap_page_range,
	.unmap_mapping_range = engine_unmap_mapping_range,
	.follow_pfn = mmext_follow_pfn,
};

/* The kernel's side */
static const struct vm_operations_struct kernel_vm_ops = {
	.fault = bench_fault,
};

/* Of the range of offsets that is for this alone. */
static vm_fault_t __maybe_unused kernel_huge_fault(struct vm_fault *vmf,
						   unsigned int order)
{
	pgoff_t first = round_down(vmf->pgoff & (MMEXT_BENCH_PAGES - 1),
				   PTRS_PER_PMD);

	if (order != PMD_SHIFT - PAGE_SHIFT || first + PTRS_PER_PMD > nr_pages)
		return VM_FAULT_FALLBACK;
	return test_vmf_insert_pfn_pmd(vmf, page_to_pfn(pages) + first,
				       vmf->flags & FAULT_FLAG_WRITE);
}

static const struct vm_operations_struct kernel_huge_vm_ops = {
	.fault = bench_fault,
	COMPAT_HUGE_FAULT(kernel_huge_fault)
};

static int kernel_vma_init(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	return 0;
}

static int kernel_vma_init_pages(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP);
	return 0;
}

static int kernel_zap_vma_ptes(struct vm_area_struct *vma, unsigned long addr,
			       unsigned long size)
{
	compat_zap_pfnmap(vma, addr, size);
	return 0;
}

static int kernel_zap_page_range(struct vm_area_struct *vma, unsigned long addr,
				 unsigned long size)
{
	test_zap_page_range(vma, addr, size);
	return 0;
}

static int kernel_unmap_mapping_range(struct address_space *mapping,
				      loff_t begin, loff_t length)
{
	unmap_mapping_range(mapping, begin, length, 1);
	return 0;
}

static struct side kernel = {
	.misc = {
		.minor = MISC_DYNAMIC_MINOR,
		.name = "mmext_bench_kernel",
		.fops = &bench_fops,
	},
	.vm_ops = &kernel_vm_ops,
	.vma_init = kernel_vma_init,
	.vma_init_pages = kernel_vma_init_pages,
	.insert_pfn = vmf_insert_pfn,
	.remap_pfn_range = remap_pfn_range,
	.insert_page = vm_insert_page,
	.insert_pages = vm_insert_pages,
	.zap_vma_ptes = kernel_zap_vma_ptes,
	.zap_page_range = kernel_zap_page_range,
	.unmap_mapping_range = kernel_unmap_mapping_range,
	.follow_pfn = test_follow_pfn,
};

static int bench_open(struct inode *inode, struct file *file)
{
	/* misc_open() left it there */
	file->private_data = container_of(file->private_data, struct side,
					  misc);
	return 0;
}

static int bench_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct side *s = file->private_data;

	vma->vm_ops = s->vm_ops;
	if (vma->vm_pgoff >= MMEXT_BENCH_HUGE) {
		if (s != &kernel)
			return -EINVAL;
		vma->vm_ops = &kernel_huge_vm_ops;
	} else if (vma->vm_pgoff >= MMEXT_BENCH_PAGES) {
		return s->vma_init_pages(vma);
	}
	return s->vma_init(vma);
}

/* The index of the page that an address shows. */
static unsigned long index_of(struct vm_area_struct *vma, unsigned long addr)
{
	return (vma->vm_pgoff & (MMEXT_BENCH_PAGES - 1)) +
	       ((addr - vma->vm_start) >> PAGE_SHIFT);
}

static int follow(struct side *s, struct vm_area_struct *vma,
		  unsigned long addr, unsigned long end)
{
	unsigned long expected = page_to_pfn(pages) + index_of(vma, addr), pfn;
	int err;

	for (; addr < end; addr += PAGE_SIZE, expected++) {
		err = s->follow_pfn(vma, addr, &pfn);
		if (err)
			return err;
		if (pfn != expected)
			return -EIO;
	}
	return 0;
}

static int insert_each(struct side *s, struct vm_area_struct *vma,
		       unsigned long addr, unsigned long end)
{
	struct page *page = pages + index_of(vma, addr);
	int err = 0;

	for (; !err && addr < end; addr += PAGE_SIZE, page++)
		err = s->insert_page(vma, addr, page);
	return err;
}

/* As for frames that do not follow each other. */
static int remap_each(struct side *s, struct vm_area_struct *vma,
		      unsigned long addr, unsigned long end)
{
	unsigned long pfn = page_to_pfn(pages) + index_of(vma, addr);
	int err = 0;

	for (; !err && addr < end; addr += PAGE_SIZE, pfn++)
		err = s->remap_pfn_range(vma, addr, pfn, PAGE_SIZE,
					 vma->vm_page_prot);
	return err;
}

static int call_on_vma(struct side *s, struct vm_area_struct *vma, u32 op,
		       unsigned long addr, unsigned long end)
{
	unsigned long num = (end - addr) >> PAGE_SHIFT;

	switch (op) {
	case MMEXT_BENCH_REMAP_PFN_RANGE:
		return s->remap_pfn_range(vma, addr,
					  page_to_pfn(pages) + index_of(vma, addr),
					  end - addr, vma->vm_page_prot);
	case MMEXT_BENCH_REMAP_EACH:
		return remap_each(s, vma, addr, end);
	case MMEXT_BENCH_ZAP_VMA_PTES:
		return s->zap_vma_ptes(vma, addr, end - addr);
	case MMEXT_BENCH_FOLLOW_PFN:
		return follow(s, vma, addr, end);
	case MMEXT_BENCH_INSERT_PAGE:
		return insert_each(s, vma, addr, end);
	case MMEXT_BENCH_INSERT_PAGES:
		return s->insert_pages(vma, addr, list + index_of(vma, addr), &num);
	case MMEXT_BENCH_ZAP_PAGE_RANGE:
		return s->zap_page_range(vma, addr, end - addr);
	case MMEXT_BENCH_NOTHING:
		return 0;
	}
	return -ENOTTY;
}

static long bench_ioctl(struct file *file, unsigned int cmd, unsigned long uarg)
{
	struct side *s = file->private_data;
	struct mm_struct *mm = current->mm;
	struct mmext_bench_call c;
	struct vm_area_struct *vma;
	loff_t offset = 0;
	int ret = -EFAULT;

	if (cmd != MMEXT_BENCH_CALL)
		return -ENOTTY;
	if (copy_from_user(&c, (void __user *)uarg, sizeof(c)))
		return -EFAULT;
	if (!PAGE_ALIGNED(c.addr) || !PAGE_ALIGNED(c.size) || !c.size)
		return -EINVAL;

	/* for write, as remap_pfn_range() wants it */
	mmap_write_lock(mm);
	vma = find_vma(mm, c.addr);
	if (!vma || vma->vm_start > c.addr || vma->vm_ops != s->vm_ops ||
	    c.size > vma->vm_end - c.addr ||
	    index_of(vma, c.addr) + (c.size >> PAGE_SHIFT) > nr_pages)
		goto unlock;

	if (c.op == MMEXT_BENCH_UNMAP_MAPPING_RANGE) {
		offset = (loff_t)vma->vm_pgoff << PAGE_SHIFT;
		offset += c.addr - vma->vm_start;
		ret = 0;
	} else {
		ret = call_on_vma(s, vma, c.op, c.addr, c.addr + c.size);
	}
unlock:
	mmap_write_unlock(mm);
	if (!ret && c.op == MMEXT_BENCH_UNMAP_MAPPING_RANGE)
		ret = s->unmap_mapping_range(file->f_mapping, offset, c.size);
	return ret;
}

static const struct file_operations bench_fops = {
	.owner = THIS_MODULE,
	.open = bench_open,
	.mmap = bench_mmap,
	.unlocked_ioctl = bench_ioctl,
};

static void free_pages_of_ours(void)
{
	unsigned long i;

	for (i = 0; i < nr_pages; i++)
		__free_page(pages + i);
	kvfree(list);
}

/* Where among @nr blocks, in any order, @want of them begin to follow each other. */
static struct page *find_run(struct page **blocks, unsigned int nr,
			     unsigned int want)
{
	unsigned int i, j, found;

	for (i = 0; i < nr; i++) {
		for (j = found = 0; j < nr; j++) {
			if (blocks[j] >= blocks[i] &&
			    page_to_pfn(blocks[j]) - page_to_pfn(blocks[i]) <
			    want * BLOCK_PAGES)
				found++;
		}
		if (found == want)
			return blocks[i];
	}
	return NULL;
}

/* Nothing that is exported allocates so much in one piece; it comes as if, though. */
static int make_pages(void)
{
	unsigned int want = DIV_ROUND_UP(size, SZ_4M), most = want * 2 + 16, nr, i;
	struct page **blocks, *p;

	blocks = kvcalloc(most, sizeof(*blocks), GFP_KERNEL);
	list = kvcalloc(want * BLOCK_PAGES, sizeof(*list), GFP_KERNEL);
	if (!blocks || !list)
		goto free;

	for (nr = 0; nr < most && !pages; pages = find_run(blocks, nr, want)) {
		blocks[nr] = alloc_pages(GFP_KERNEL | __GFP_ZERO, BLOCK_ORDER);
		if (!blocks[nr])
			break;
		nr++;
	}
	for (i = 0; i < nr; i++) {
		if (pages && blocks[i] >= pages &&
		    blocks[i] < pages + want * BLOCK_PAGES)
			split_page(blocks[i], BLOCK_ORDER);
		else
			__free_pages(blocks[i], BLOCK_ORDER);
	}
	if (!pages)
		goto free;

	nr_pages = want * BLOCK_PAGES;
	for (i = 0, p = pages; i < nr_pages; i++, p++)
		list[i] = p;
	kvfree(blocks);
	return 0;
free:
	kvfree(blocks);
	kvfree(list);
	return -ENOMEM;
}

static int __init bench_init(void)
{
	int err;

	err = make_pages();
	if (err)
		return err;
	err = mmext_mapping_init(&mapping);
	if (err)
		goto free;
	err = misc_register(&engine.misc);
	if (err)
		goto destroy;
	err = misc_register(&kernel.misc);
	if (err)
		goto deregister_engine;
	err = misc_register(&bench_gmap_misc);
	if (err)
		goto deregister_kernel;
	return 0;

deregister_kernel:
	misc_deregister(&kernel.misc);
deregister_engine:
	misc_deregister(&engine.misc);
destroy:
	mmext_mapping_destroy(&mapping);
free:
	free_pages_of_ours();
	return err;
}

static void __exit bench_exit(void)
{
	misc_deregister(&bench_gmap_misc);
	misc_deregister(&kernel.misc);
	misc_deregister(&engine.misc);
	mmext_mapping_destroy(&mapping);
	free_pages_of_ours();
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("A driver on mmext's engine and its twin on the kernel's functions, to be measured");
MODULE_AUTHOR("mmext developers");
MODULE_LICENSE("GPL");
