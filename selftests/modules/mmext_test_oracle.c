// SPDX-License-Identifier: GPL-2.0
/*
 * One driver, once on mmext's engine and once on the kernel's own functions;
 * see its header.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmext.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mmext_test_compat.h"
#include "mmext_test_oracle.h"

#define ORDER		8
#define BLOCK_ORDER	9

static struct page *pages;
static struct page *block;
static struct mmext_mapping mapping;

/**
 * struct side - one of the two
 * @misc: its device, with an address space of its own
 * @vm_ops: of its VMAs
 * @mkwrites: calls of pfn_mkwrite and page_mkwrite
 * @vma_init: the last step of mmap
 * @vma_init_pages: the same for pages with references
 * @insert_pfn: vmf_insert_pfn()
 * @insert_pfn_prot: vmf_insert_pfn_prot()
 * @insert_checked: the same from a fault, as a driver would do it
 * @insert_huge: vmf_insert_pfn_pmd()
 * @finish_mkwrite: what pfn_mkwrite does
 * @finish_page_mkwrite: what page_mkwrite does
 * @insert_page: vm_insert_page()
 * @insert_pages: vm_insert_pages()
 * @remap_pfn_range: by its name, as those that follow
 * @zap_vma_ptes: by its name
 * @zap_page_range: or what the kernel has in its place
 * @zap_vmas: zap_page_range(), where it goes over several VMAs
 * @vm_iomap_memory: by its name
 * @unmap_mapping_range: by its name
 * @unmap_mapping_pages: by its name
 * @follow_pfn: or what the kernel has in its place
 */
struct side {
	struct miscdevice misc;
	const struct vm_operations_struct *vm_ops;
	atomic_t mkwrites;
	int (*vma_init)(struct vm_area_struct *vma);
	int (*vma_init_pages)(struct vm_area_struct *vma);
	vm_fault_t (*insert_pfn)(struct vm_area_struct *vma, unsigned long addr,
				 unsigned long pfn);
	vm_fault_t (*insert_pfn_prot)(struct vm_area_struct *vma,
				      unsigned long addr, unsigned long pfn,
				      pgprot_t prot);
	vm_fault_t (*insert_checked)(struct vm_fault *vmf, unsigned long pfn,
				     pgprot_t prot);
	vm_fault_t (*insert_huge)(struct vm_fault *vmf, unsigned long pfn,
				  bool write);
	vm_fault_t (*finish_mkwrite)(struct vm_fault *vmf);
	vm_fault_t (*finish_page_mkwrite)(struct vm_fault *vmf);
	int (*insert_page)(struct vm_area_struct *vma, unsigned long addr,
			   struct page *page);
	int (*insert_pages)(struct vm_area_struct *vma, unsigned long addr,
			    struct page **pages, unsigned long *num);
	int (*remap_pfn_range)(struct vm_area_struct *vma, unsigned long addr,
			       unsigned long pfn, unsigned long size,
			       pgprot_t prot);
	int (*zap_vma_ptes)(struct vm_area_struct *vma, unsigned long addr,
			    unsigned long size);
	int (*zap_page_range)(struct vm_area_struct *vma, unsigned long addr,
			      unsigned long size);
	int (*zap_vmas)(struct vm_area_struct *vma, unsigned long addr,
			unsigned long size);
	int (*vm_iomap_memory)(struct vm_area_struct *vma, phys_addr_t start,
			       unsigned long len);
	int (*unmap_mapping_range)(struct address_space *mapping, loff_t begin,
				   loff_t length);
	int (*unmap_mapping_pages)(struct address_space *mapping, pgoff_t first,
				   pgoff_t nr);
	int (*follow_pfn)(struct vm_area_struct *vma, unsigned long addr,
			  unsigned long *pfn);
};

static unsigned long frame(u64 page)
{
	return page_to_pfn(pages) + page;
}

static struct side *vma_side(struct vm_area_struct *vma)
{
	return vma->vm_file->private_data;
}

/* Of the memory type and with the rights of the VMA. */
static pgprot_t oracle_prot(struct vm_area_struct *vma, u32 prot)
{
	pte_t pte = pte_wrprotect(pfn_pte(0, vma->vm_page_prot));

	if (prot & MMEXT_ORACLE_WRITE && vma->vm_flags & VM_WRITE)
		pte = pte_mkwrite_novma(pte);
	if (prot & MMEXT_ORACLE_DIRTY)
		pte = pte_mkdirty(pte);
	if (prot & MMEXT_ORACLE_WC)
		return pgprot_writecombine(__pgprot(pte_val(pte)));
	return __pgprot(pte_val(pte));
}

static vm_fault_t oracle_fault(struct vm_fault *vmf)
{
	unsigned long pfn = frame(vmf->pgoff % MMEXT_ORACLE_PAGES);
	struct vm_area_struct *vma = vmf->vma;
	struct side *s = vma_side(vma);

	switch (vmf->pgoff / MMEXT_ORACLE_MODE) {
	case MMEXT_ORACLE_FAULT:
		return s->insert_pfn(vma, vmf->address, pfn);
	case MMEXT_ORACLE_FAULT_PROT:
		return s->insert_pfn_prot(vma, vmf->address, pfn,
					  oracle_prot(vma, MMEXT_ORACLE_WRITE));
	case MMEXT_ORACLE_FAULT_CHECKED:
		return s->insert_checked(vmf, pfn,
					 oracle_prot(vma, MMEXT_ORACLE_WRITE));
	case MMEXT_ORACLE_HUGE_MODE:
		return s->insert_pfn(vma, vmf->address, page_to_pfn(block) +
				     vmf->pgoff % MMEXT_ORACLE_BLOCK);
	default:
		return VM_FAULT_SIGBUS;
	}
}

static vm_fault_t __maybe_unused oracle_huge_fault(struct vm_fault *vmf,
						   unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr = vmf->address & PMD_MASK;

	if (vmf->pgoff / MMEXT_ORACLE_MODE != MMEXT_ORACLE_HUGE_MODE ||
	    1 << order != MMEXT_ORACLE_BLOCK || addr < vma->vm_start ||
	    addr + PMD_SIZE > vma->vm_end)
		return VM_FAULT_FALLBACK;
	return vma_side(vma)->insert_huge(vmf, page_to_pfn(block),
					  vmf->flags & FAULT_FLAG_WRITE);
}

static vm_fault_t oracle_pfn_mkwrite(struct vm_fault *vmf)
{
	struct side *s = vma_side(vmf->vma);

	atomic_inc(&s->mkwrites);
	return s->finish_mkwrite(vmf);
}

static vm_fault_t oracle_page_mkwrite(struct vm_fault *vmf)
{
	struct side *s = vma_side(vmf->vma);

	atomic_inc(&s->mkwrites);
	return s->finish_page_mkwrite(vmf);
}

/* mmext's side */
static const struct vm_operations_struct engine_vm_ops = {
	MMEXT_VM_OPS,
	.fault = oracle_fault,
	COMPAT_HUGE_FAULT(oracle_huge_fault)
	.pfn_mkwrite = oracle_pfn_mkwrite,
	.page_mkwrite = oracle_page_mkwrite,
};

static int engine_vma_init_pages(struct vm_area_struct *vma)
{
	return mmext_vma_init_pages(vma, &mapping);
}

static bool is_huge(const struct vm_area_struct *vma)
{
	return vma->vm_pgoff / MMEXT_ORACLE_MODE == MMEXT_ORACLE_HUGE_MODE;
}

static int engine_vma_init(struct vm_area_struct *vma)
{
	int err = mmext_vma_init(vma, &mapping);

	/* not for all of them: of a mapping that had leaves, fork copies nothing */
	if (!err && is_huge(vma))
		mmext_vma_allow_huge(vma);
	return err;
}

static vm_fault_t engine_insert_huge(struct vm_fault *vmf, unsigned long pfn,
				     bool write)
{
	unsigned long seq;

	if (!mmext_read_begin(&mapping, &seq))
		return VM_FAULT_NOPAGE;
	return mmext_fault_insert_pfn_huge(vmf, pfn,
					   mmext_vma_prot(vmf->vma, write),
					   seq) ?: VM_FAULT_NOPAGE;
}

static vm_fault_t engine_insert_checked(struct vm_fault *vmf, unsigned long pfn,
					pgprot_t prot)
{
	unsigned long seq;

	if (!mmext_read_begin(&mapping, &seq))
		return VM_FAULT_NOPAGE;
	return mmext_fault_insert_pfn(vmf, pfn, prot, seq) ?: VM_FAULT_NOPAGE;
}

static vm_fault_t engine_finish_mkwrite(struct vm_fault *vmf)
{
	return mmext_finish_mkwrite_fault(vmf) < 0 ? VM_FAULT_SIGBUS :
						     VM_FAULT_NOPAGE;
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

static int engine_unmap_mapping_pages(struct address_space *mapping,
				      pgoff_t first, pgoff_t nr)
{
	return mmext_unmap_mapping_pages(mapping, first, nr, true);
}

static const struct file_operations oracle_fops;

static struct side engine = {
	.misc = {
		.minor = MISC_DYNAMIC_MINOR,
		.name = "mmext_test_engine",
		.fops = &oracle_fops,
	},
	.vm_ops = &engine_vm_ops,
	.vma_init = engine_vma_init,
	.vma_init_pages = engine_vma_init_pages,
	.insert_pfn = mmext_vmf_insert_pfn,
	.insert_pfn_prot = mmext_vmf_insert_pfn_prot,
	.insert_checked = engine_insert_checked,
	.insert_huge = engine_insert_huge,
	.finish_mkwrite = engine_finish_mkwrite,
	.finish_page_mkwrite = engine_finish_mkwrite,
	.insert_page = mmext_vm_insert_page,
	.insert_pages = mmext_vm_insert_pages,
	.remap_pfn_range = mmext_remap_pfn_range,
	.zap_vma_ptes = mmext_zap_vma_ptes,
	.zap_page_range = engine_zap_page_range,
	.zap_vmas = mmext_zap_page_range,
	.vm_iomap_memory = mmext_vm_iomap_memory,
	.unmap_mapping_range = engine_unmap_mapping_range,
	.unmap_mapping_pages = engine_unmap_mapping_pages,
	.follow_pfn = mmext_follow_pfn,
};

/* The kernel's side: what a driver does that has nothing else */
static const struct vm_operations_struct kernel_vm_ops = {
	.fault = oracle_fault,
	COMPAT_HUGE_FAULT(oracle_huge_fault)
	.pfn_mkwrite = oracle_pfn_mkwrite,
	.page_mkwrite = oracle_page_mkwrite,
};

static int kernel_vma_init_pages(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_MIXEDMAP | VM_DONTEXPAND | VM_DONTDUMP);
	return 0;
}

/* The same, which wants the page locked. */
static vm_fault_t kernel_finish_page_mkwrite(struct vm_fault *vmf)
{
	lock_page(vmf->page);
	return VM_FAULT_LOCKED;
}

static int kernel_vma_init(struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	if (mmext_huge_possible() && is_huge(vma))
		vm_flags_set(vma, VM_HUGEPAGE);
	return 0;
}

/*
 * The engine's has no namesake.  Of what is inserted for a store it does what
 * vmf_insert_mixed_mkwrite() does: soft-dirty is not for the hardware to set.
 */
static vm_fault_t kernel_insert_checked(struct vm_fault *vmf, unsigned long pfn,
					pgprot_t prot)
{
	pte_t pte = pfn_pte(0, prot);

	if (vmf->flags & FAULT_FLAG_WRITE && pte_write(pte))
		prot = __pgprot(pte_val(pte_mkdirty(pte_mkyoung(pte))));
	return vmf_insert_pfn_prot(vmf->vma, vmf->address, pfn, prot);
}

/* The core goes on with finish_mkwrite_fault(). */
static vm_fault_t kernel_finish_mkwrite(struct vm_fault *vmf)
{
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

static int kernel_zap_vmas(struct vm_area_struct *vma, unsigned long addr,
			   unsigned long size)
{
	test_zap_vmas(vma, addr, size);
	return 0;
}

static int kernel_unmap_mapping_range(struct address_space *mapping,
				      loff_t begin, loff_t length)
{
	unmap_mapping_range(mapping, begin, length, 1);
	return 0;
}

/* unmap_mapping_pages() is not exported; this is what it is made of. */
static int kernel_unmap_mapping_pages(struct address_space *mapping,
				      pgoff_t first, pgoff_t nr)
{
	unmap_mapping_range(mapping, (loff_t)first << PAGE_SHIFT,
			    (loff_t)nr << PAGE_SHIFT, 1);
	return 0;
}

static struct side kernel = {
	.misc = {
		.minor = MISC_DYNAMIC_MINOR,
		.name = "mmext_test_kernel",
		.fops = &oracle_fops,
	},
	.vm_ops = &kernel_vm_ops,
	.vma_init = kernel_vma_init,
	.vma_init_pages = kernel_vma_init_pages,
	.insert_pfn = vmf_insert_pfn,
	.insert_pfn_prot = vmf_insert_pfn_prot,
	.insert_checked = kernel_insert_checked,
	.insert_huge = test_vmf_insert_pfn_pmd,
	.finish_mkwrite = kernel_finish_mkwrite,
	.finish_page_mkwrite = kernel_finish_page_mkwrite,
	.insert_page = vm_insert_page,
	.insert_pages = vm_insert_pages,
	.remap_pfn_range = remap_pfn_range,
	.zap_vma_ptes = kernel_zap_vma_ptes,
	.zap_page_range = kernel_zap_page_range,
	.zap_vmas = kernel_zap_vmas,
	.vm_iomap_memory = vm_iomap_memory,
	.unmap_mapping_range = kernel_unmap_mapping_range,
	.unmap_mapping_pages = kernel_unmap_mapping_pages,
	.follow_pfn = test_follow_pfn,
};

static int oracle_open(struct inode *inode, struct file *file)
{
	/* misc_open() left it there */
	file->private_data = container_of(file->private_data, struct side,
					  misc);
	return 0;
}

static int oracle_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct side *s = file->private_data;

	vma->vm_ops = s->vm_ops;
	if (vma->vm_pgoff / MMEXT_ORACLE_MODE == MMEXT_ORACLE_PAGES_MODE)
		return s->vma_init_pages(vma);
	return s->vma_init(vma);
}

/* The entry that a walk to @addr ends at; mmap lock held for write. */
static void walk(struct mm_struct *mm, unsigned long addr,
		 struct mmext_oracle_entry *e)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;
	pte_t pte;

	memset(e, 0, sizeof(*e));
	e->page = -1;
	e->level = 5;
	if (pgd_none(*pgd))
		return;
	p4d = p4d_offset(pgd, addr);
	e->level = 4;
	if (p4d_none(*p4d))
		return;
	pud = pud_offset(p4d, addr);
	e->level = 3;
	if (pud_none(*pud) || pud_leaf(*pud)) {
		e->raw = pud_val(*pud);
		return;
	}
	pmd = pmd_offset(pud, addr);
	e->level = 2;
	if (pmd_none(*pmd) || pmd_leaf(*pmd)) {
		e->raw = pmd_val(*pmd);
		return;
	}
	pte = READ_ONCE(*pte_offset_kernel(pmd, addr));
	e->level = 1;
	e->raw = pte_val(pte);
	if (!pte_present(pte))
		return;

	e->flags = MMEXT_ORACLE_PRESENT;
	if (pte_write(pte))
		e->flags |= MMEXT_ORACLE_WRITABLE;
	if (pte_dirty(pte))
		e->flags |= MMEXT_ORACLE_IS_DIRTY;
	if (pte_young(pte))
		e->flags |= MMEXT_ORACLE_YOUNG;
	if (pte_special(pte))
		e->flags |= MMEXT_ORACLE_SPECIAL;
	if (pte_pfn(pte) - frame(0) < MMEXT_ORACLE_PAGES)
		e->page = pte_pfn(pte) - frame(0);
}

static bool is_empty(struct mm_struct *mm, unsigned long addr,
		     unsigned long end)
{
	struct mmext_oracle_entry e;

	for (; addr < end; addr += PAGE_SIZE) {
		walk(mm, addr, &e);
		if (e.raw)
			return false;
	}
	return true;
}

/* See MMEXT_ORACLE_DEFINED. */
static bool make_defined(struct vm_area_struct *vma,
			 struct mmext_oracle_call *c)
{
	if (c->addr < vma->vm_start || c->addr >= vma->vm_end)
		return false;
	c->size = min_t(u64, c->size, vma->vm_end - c->addr);
	if (c->op != MMEXT_ORACLE_REMAP_PFN_RANGE)
		return true;
	if (c->size == vma->vm_end - vma->vm_start)
		return false;
	return is_empty(vma->vm_mm, c->addr, c->addr + c->size);
}

static int fault_result(vm_fault_t ret)
{
	switch (ret) {
	case VM_FAULT_NOPAGE:
		return MMEXT_ORACLE_NOPAGE;
	case VM_FAULT_SIGBUS:
		return MMEXT_ORACLE_SIGBUS;
	case VM_FAULT_OOM:
		return MMEXT_ORACLE_OOM;
	default:
		return MMEXT_ORACLE_OTHER;
	}
}

static int call_insert_pages(struct side *s, struct vm_area_struct *vma,
			     struct mmext_oracle_call *c)
{
	unsigned long num = min_t(u64, c->size, MMEXT_ORACLE_PAGES), i;
	struct page **list;
	int ret;

	list = kmalloc_array(MMEXT_ORACLE_PAGES, sizeof(*list), GFP_KERNEL);
	if (!list)
		return -ENOMEM;
	for (i = 0; i < num; i++)
		list[i] = pages + (c->page + i) % MMEXT_ORACLE_PAGES;
	ret = s->insert_pages(vma, c->addr, list, &num);
	c->out_value = num;
	kfree(list);
	return ret;
}

static int call_on_vma(struct side *s, struct vm_area_struct *vma,
		       struct mmext_oracle_call *c)
{
	unsigned long pfn = c->flags & MMEXT_ORACLE_RAW ? c->page :
							  frame(c->page);
	int ret;

	if (c->flags & MMEXT_ORACLE_DEFINED && !make_defined(vma, c))
		return -EEXIST;

	switch (c->op) {
	case MMEXT_ORACLE_INSERT_PFN:
		return fault_result(s->insert_pfn(vma, c->addr, pfn));
	case MMEXT_ORACLE_INSERT_PFN_PROT:
		return fault_result(s->insert_pfn_prot(vma, c->addr, pfn,
						       oracle_prot(vma, c->prot)));
	case MMEXT_ORACLE_REMAP_PFN_RANGE:
		return s->remap_pfn_range(vma, c->addr, pfn, c->size,
					  oracle_prot(vma, c->prot));
	case MMEXT_ORACLE_INSERT_PAGE:
		return s->insert_page(vma, c->addr, pages + c->page);
	case MMEXT_ORACLE_INSERT_PAGES:
		return call_insert_pages(s, vma, c);
	case MMEXT_ORACLE_ZAP_VMA_PTES:
		return s->zap_vma_ptes(vma, c->addr, c->size);
	case MMEXT_ORACLE_ZAP_PAGE_RANGE:
		return s->zap_page_range(vma, c->addr, c->size);
	case MMEXT_ORACLE_ZAP_VMAS:
		return s->zap_vmas(vma, c->addr, c->size);
	case MMEXT_ORACLE_VM_IOMAP_MEMORY:
		return s->vm_iomap_memory(vma, PFN_PHYS(frame(0)) + c->addr,
					  c->size);
	case MMEXT_ORACLE_FOLLOW_PFN:
		ret = s->follow_pfn(vma, c->addr, &pfn);
		if (!ret)
			c->out_value = pfn - frame(0);
		return ret;
	}
	return -ENOTTY;
}

/* For write, as remap_pfn_range() wants it. */
static int find_and_call(struct side *s, struct mmext_oracle_call *c)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	int ret = -ENOENT;

	mmap_write_lock(mm);
	vma = find_vma(mm, c->vma);
	if (vma && vma->vm_start <= c->vma && vma->vm_ops == s->vm_ops)
		ret = call_on_vma(s, vma, c);
	mmap_write_unlock(mm);
	return ret;
}

static void count_pages(struct side *s, struct mmext_oracle_call *c)
{
	unsigned int i;

	c->out_value = atomic_read(&s->mkwrites);
	for (i = 0; i < MMEXT_ORACLE_PAGES; i++) {
		c->out_refs += page_count(pages + i) - 1;
		c->out_maps += atomic_read(&pages[i]._mapcount) + 1;
	}
}

static int do_call(struct file *file, struct mmext_oracle_call *c)
{
	struct side *s = file->private_data;
	u8 byte;

	switch (c->op) {
	case MMEXT_ORACLE_UNMAP_MAPPING_RANGE:
		return s->unmap_mapping_range(file->f_mapping, c->addr,
					      c->size);
	case MMEXT_ORACLE_UNMAP_MAPPING_PAGES:
		return s->unmap_mapping_pages(file->f_mapping, c->addr,
					      c->size);
	case MMEXT_ORACLE_LOAD:
		if (get_user(byte, (u8 __user *)(uintptr_t)c->addr))
			return -EFAULT;
		c->out_value = byte;
		return 0;
	case MMEXT_ORACLE_STORE:
		byte = c->page;
		return put_user(byte, (u8 __user *)(uintptr_t)c->addr);
	case MMEXT_ORACLE_COUNTS:
		count_pages(s, c);
		return 0;
	}
	return find_and_call(s, c);
}

static long oracle_call(struct file *file, void __user *uarg)
{
	struct mmext_oracle_call c;
	unsigned int i;

	BUILD_BUG_ON(ARRAY_SIZE(c.out_rss) != NR_MM_COUNTERS);
	if (copy_from_user(&c, uarg, sizeof(c)))
		return -EFAULT;
	c.out_value = 0;
	c.out_refs = 0;
	c.out_maps = 0;
	for (i = 0; i < NR_MM_COUNTERS; i++)
		c.out_rss[i] = -test_rss(i);
	c.out_result = do_call(file, &c);
	for (i = 0; i < NR_MM_COUNTERS; i++)
		c.out_rss[i] += test_rss(i);
	return copy_to_user(uarg, &c, sizeof(c)) ? -EFAULT : 0;
}

static long oracle_look(void __user *uarg)
{
	struct mm_struct *mm = current->mm;
	struct mmext_oracle_entry *entries;
	struct mmext_oracle_look look;
	unsigned long last = ULONG_MAX;
	unsigned int i;
	long ret = 0;

	if (copy_from_user(&look, uarg, sizeof(look)))
		return -EFAULT;
	if (look.nr > 4096 || !PAGE_ALIGNED(look.addr) ||
	    look.addr + (look.nr << PAGE_SHIFT) > TASK_SIZE)
		return -EINVAL;
	entries = kvcalloc(look.nr, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;

	look.out_tables = 0;
	mmap_write_lock(mm);
	for (i = 0; i < look.nr; i++) {
		unsigned long addr = look.addr + ((u64)i << PAGE_SHIFT);

		walk(mm, addr, &entries[i]);
		if (entries[i].level == 1 && addr >> PMD_SHIFT != last) {
			last = addr >> PMD_SHIFT;
			look.out_tables++;
		}
	}
	look.out_pgtables = mm_pgtables_bytes(mm);
	mmap_write_unlock(mm);

	if (copy_to_user((void __user *)(uintptr_t)look.entries, entries,
			 look.nr * sizeof(*entries)) ||
	    copy_to_user(uarg, &look, sizeof(look)))
		ret = -EFAULT;
	kvfree(entries);
	return ret;
}

static long oracle_ioctl(struct file *file, unsigned int cmd, unsigned long uarg)
{
	switch (cmd) {
	case MMEXT_ORACLE_CALL:
		return oracle_call(file, (void __user *)uarg);
	case MMEXT_ORACLE_LOOK:
		return oracle_look((void __user *)uarg);
	}
	return -ENOTTY;
}

static const struct file_operations oracle_fops = {
	.owner = THIS_MODULE,
	.open = oracle_open,
	.mmap = oracle_mmap,
	.unlocked_ioctl = oracle_ioctl,
	.fsync = noop_fsync,
};

static void free_pages_of_ours(void)
{
	unsigned int i;

	for (i = 0; i < MMEXT_ORACLE_PAGES; i++)
		__free_page(pages + i);
	__free_pages(block, BLOCK_ORDER);
}

static int __init oracle_init(void)
{
	unsigned int i;
	int err;

	BUILD_BUG_ON(MMEXT_ORACLE_PAGES != 1 << ORDER);
	BUILD_BUG_ON(MMEXT_ORACLE_BLOCK != 1 << BLOCK_ORDER);
	pages = alloc_pages(GFP_KERNEL | __GFP_ZERO, ORDER);
	if (!pages)
		return -ENOMEM;
	block = alloc_pages(GFP_KERNEL | __GFP_ZERO, BLOCK_ORDER);
	if (!block) {
		__free_pages(pages, ORDER);
		return -ENOMEM;
	}
	/* each with a reference count of its own, to see who takes one */
	split_page(pages, ORDER);
	for (i = 0; i < MMEXT_ORACLE_PAGES; i++)
		*(u8 *)page_address(pages + i) = i;

	err = mmext_mapping_init(&mapping);
	if (err)
		goto free;
	err = misc_register(&engine.misc);
	if (err)
		goto destroy;
	err = misc_register(&kernel.misc);
	if (err)
		goto deregister;
	return 0;

deregister:
	misc_deregister(&engine.misc);
destroy:
	mmext_mapping_destroy(&mapping);
free:
	free_pages_of_ours();
	return err;
}

static void __exit oracle_exit(void)
{
	misc_deregister(&kernel.misc);
	misc_deregister(&engine.misc);
	mmext_mapping_destroy(&mapping);
	free_pages_of_ours();
}

module_init(oracle_init);
module_exit(oracle_exit);

MODULE_DESCRIPTION("A driver on mmext's engine and its twin on the kernel's functions");
MODULE_AUTHOR("mmext developers");
MODULE_LICENSE("GPL");
