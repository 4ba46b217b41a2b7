// SPDX-License-Identifier: GPL-2.0
/*
 * An object, two address spaces, and what may not change; see fixture.h.
 *
 * Who loads the module waits for the suites, and each suite begins in its
 * context.  Its address space is the first, that of its parent, which waits for
 * it, the second.  The cases run in threads without one.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs_context.h>
#include <linux/kthread.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/uaccess.h>

#include "fixture.h"

static struct mm_struct *home_mm;
static struct mm_struct *other_mm;
static struct page *pages;
static struct vfsmount *mnt;

/* The file: its VMAs are linked in an inode that nobody else has. */

static int fs_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, 0x6d6d6b75) ? 0 : -ENOMEM;
}

static struct file_system_type fs_type = {
	.name = "mmext_kunit",
	.init_fs_context = fs_init_context,
	.kill_sb = kill_anon_super,
};

static vm_fault_t vm_fault(struct vm_fault *vmf)
{
	struct fx *f = vmf->vma->vm_file->private_data;

	f->faults++;
	return f->fault(f, vmf);
}

static vm_fault_t __maybe_unused vm_huge_fault(struct vm_fault *vmf,
					       unsigned int order)
{
	struct fx *f = vmf->vma->vm_file->private_data;

	if (order != ilog2(MMEXT_HUGE_PAGES))
		return VM_FAULT_FALLBACK;
	return f->huge_fault(f, vmf);
}

static vm_fault_t vm_pfn_mkwrite(struct vm_fault *vmf)
{
	struct fx *f = vmf->vma->vm_file->private_data;

	f->mkwrites++;
	return f->mkwrite(f, vmf);
}

const struct vm_operations_struct fx_vm_ops = {
	MMEXT_VM_OPS,
	.fault = vm_fault,
	COMPAT_HUGE_FAULT(vm_huge_fault)
	.pfn_mkwrite = vm_pfn_mkwrite,
	.page_mkwrite = vm_pfn_mkwrite,
};

static const struct vm_operations_struct foreign_vm_ops = {
	.fault = vm_fault,
	.pfn_mkwrite = vm_pfn_mkwrite,
};

/* A page of the object at its offset, writable where the VMA is. */
vm_fault_t fx_fault(struct fx *f, struct vm_fault *vmf)
{
	unsigned long seq;

	if (vmf->pgoff >= FX_PAGES || !mmext_read_begin(&f->map, &seq))
		return VM_FAULT_SIGBUS;
	return mmext_fault_insert_pfn(vmf, f->pfn + vmf->pgoff,
				      mmext_vma_prot(vmf->vma, true), seq) ?:
	       VM_FAULT_SIGBUS;
}

/* The same of a block, where there may be one; it is aligned as its offset. */
vm_fault_t fx_huge_fault(struct fx *f, struct vm_fault *vmf)
{
	pgoff_t first = round_down(vmf->pgoff, MMEXT_HUGE_PAGES);
	unsigned long seq;

	if (!mmext_huge_fits(vmf->vma, vmf->address) || first >= FX_PAGES ||
	    !mmext_read_begin(&f->map, &seq))
		return VM_FAULT_FALLBACK;
	if ((vmf->address >> PAGE_SHIFT) % MMEXT_HUGE_PAGES !=
	    vmf->pgoff % MMEXT_HUGE_PAGES)
		return VM_FAULT_FALLBACK;
	return mmext_fault_insert_pfn_huge(vmf, f->pfn + first,
					   mmext_vma_prot(vmf->vma, true), seq) ?:
	       VM_FAULT_FALLBACK;
}

vm_fault_t fx_mkwrite(struct fx *f, struct vm_fault *vmf)
{
	return mmext_finish_mkwrite_fault(vmf) < 0 ? VM_FAULT_SIGBUS :
						     VM_FAULT_NOPAGE;
}

int fx_mmap(struct fx *f, struct vm_area_struct *vma)
{
	vma->vm_ops = &fx_vm_ops;
	return mmext_vma_init(vma, &f->map);
}

/* A PFN mapping by the kernel's own means, made to look like the engine's. */
int fx_mmap_foreign(struct fx *f, struct vm_area_struct *vma)
{
	vma->vm_ops = &foreign_vm_ops;
	vma->vm_private_data = &f->map;
	return remap_pfn_range(vma, vma->vm_start, f->pfn + vma->vm_pgoff,
			       vma->vm_end - vma->vm_start, vma->vm_page_prot);
}

/* A mapping that has nothing to do with the engine but its handlers. */
int fx_mmap_plain(struct fx *f, struct vm_area_struct *vma)
{
	vma->vm_ops = &foreign_vm_ops;
	vma->vm_private_data = &f->map;
	return 0;
}

static int file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct fx *f = file->private_data;

	return f->mmap(f, vma);
}

static int file_release(struct inode *inode, struct file *file)
{
	iput(file->f_mapping->host);
	return 0;
}

static const struct file_operations file_ops = {
	.owner = THIS_MODULE,
	.mmap = file_mmap,
	.release = file_release,
};

static struct file *open_object(struct fx *f)
{
	struct inode *inode = alloc_anon_inode(mnt->mnt_sb);
	struct file *file;

	if (IS_ERR(inode))
		return ERR_CAST(inode);
	file = anon_inode_getfile("[mmext_kunit]", &file_ops, f, O_RDWR);
	if (IS_ERR(file)) {
		iput(inode);
		return file;
	}
	file->f_mapping = inode->i_mapping;
	return file;
}

/* Suites */

static struct mm_struct *parents_mm(void)
{
	struct task_struct *parent;
	struct mm_struct *mm;

	rcu_read_lock();
	parent = rcu_dereference(current->real_parent);
	get_task_struct(parent);
	rcu_read_unlock();
	mm = get_task_mm(parent);
	put_task_struct(parent);
	return mm;
}

int fx_suite_init(struct kunit_suite *suite)
{
	struct page *p;

	other_mm = parents_mm();
	if (!other_mm || other_mm == current->mm) {
		pr_err("whoever loads this needs a parent with an address space of its own\n");
		goto put;
	}
	mnt = kern_mount(&fs_type);
	if (IS_ERR(mnt))
		goto put;
	pages = alloc_pages(GFP_KERNEL | __GFP_ZERO, FX_ORDER);
	if (!pages)
		goto unmount;
	/* so that each has a reference count to look at */
	split_page(pages, FX_ORDER);
	for (p = pages; p < pages + FX_PAGES; p++)
		*(u64 *)page_address(p) = FX_MARK(p - pages);

	home_mm = current->mm;
	mmget(home_mm);
	return 0;

unmount:
	kern_unmount(mnt);
put:
	if (other_mm)
		mmput(other_mm);
	return -ENOMEM;
}

void fx_suite_exit(struct kunit_suite *suite)
{
	unsigned long i;

	if (suite->suite_init_err)
		return;
	flush_delayed_fput();
	for (i = 0; i < FX_PAGES; i++)
		__free_page(pages + i);
	kern_unmount(mnt);
	mmput(other_mm);
	mmput(home_mm);
}

/* Cases */

/* The exact count; 6.2 made it a counter of each CPU. */
long fx_rss(struct mm_struct *mm, int member)
{
#ifdef MMEXT_HAVE_RSS_PERCPU
	return percpu_counter_sum(&mm->rss_stat[member]);
#else
	return get_mm_counter(mm, member);
#endif
}

static struct fx_counts counts_of(struct mm_struct *mm)
{
	struct fx_counts c;
	int i;

	for (i = 0; i < NR_MM_COUNTERS; i++)
		c.rss[i] = fx_rss(mm, i);
	c.tables = mm_pgtables_bytes(mm);
	c.vm = mm->total_vm;
	c.vmas = mm->map_count;
	c.users = atomic_read(&mm->mm_users);
	c.flush_pending = atomic_read(&mm->tlb_flush_pending);
	return c;
}

static void expect_counts(struct kunit *test, struct mm_struct *mm,
			  const struct fx_counts *want)
{
	struct fx_counts c = counts_of(mm);
	int i;

	for (i = 0; i < NR_MM_COUNTERS; i++)
		KUNIT_EXPECT_EQ_MSG(test, c.rss[i], want->rss[i], "rss %d", i);
	KUNIT_EXPECT_EQ(test, c.tables, want->tables);
	KUNIT_EXPECT_EQ(test, c.vm, want->vm);
	KUNIT_EXPECT_EQ(test, c.vmas, want->vmas);
	KUNIT_EXPECT_EQ(test, c.users, want->users);
	KUNIT_EXPECT_EQ(test, c.flush_pending, want->flush_pending);
}

/* Frames with a reference or a mapping that is none of the object's own. */
long fx_frames(struct fx *f)
{
	struct page *p;
	long n = 0;

	for (p = pages; p < pages + FX_PAGES; p++) {
		if (page_ref_count(p) != 1 || atomic_read(&p->_mapcount) != -1)
			n++;
	}
	return n;
}

static void enter(struct fx *f, struct mm_struct *mm)
{
	if (current->mm && current->mm != mm)
		kthread_unuse_mm(current->mm);
	if (!current->mm)
		kthread_use_mm(mm);
	f->mm = mm;
}

/* Room between borders; the address space is not to be used by others. */
static unsigned long find_room(void)
{
	unsigned long size = FX_SPAN + 2 * PUD_SIZE;
	unsigned long addr;

	addr = vm_mmap(NULL, 0, size, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, 0);
	if (IS_ERR_VALUE(addr))
		return 0;
	vm_munmap(addr, size);
	/* with a free block in front: tables are not shared with neighbours */
	return ALIGN(addr, PUD_SIZE) + PUD_SIZE;
}

static void unmap_all(struct fx *f)
{
	if (f->other_size) {
		enter(f, other_mm);
		vm_munmap(f->other_addr, f->other_size);
		f->other_size = 0;
	}
	enter(f, home_mm);
	if (f->base)
		vm_munmap(f->base, FX_SPAN);
}

static void begin(struct kunit *test, struct fx *f)
{
	f->test = test;
	f->mmap = fx_mmap;
	f->fault = fx_fault;
	f->huge_fault = fx_huge_fault;
	f->mkwrite = fx_mkwrite;
	f->pfn = page_to_pfn(pages);
	/*
	 * The end of a thread, and an assertion that fails is one, lets go of
	 * the address space that it is in.
	 */
	mmget(home_mm);
	enter(f, home_mm);
	f->running = true;

	f->base = find_room();
	KUNIT_ASSERT_NE(test, f->base, 0UL);
	KUNIT_ASSERT_EQ(test, mmext_mapping_init(&f->map), 0);
	f->file = open_object(f);
	KUNIT_ASSERT_FALSE(test, IS_ERR(f->file));
	f->space = f->file->f_mapping;
	f->live_vmas = mmext_live_vmas();
	f->home = counts_of(home_mm);
	f->other = counts_of(other_mm);
}

static void end(struct fx *f)
{
	f->running = false;
	unmap_all(f);
	mmext_tlb_init("auto");
	if (!IS_ERR_OR_NULL(f->file)) {
		fput(f->file);
		flush_delayed_fput();
	}
	if (f->map.stats)
		mmext_mapping_destroy(&f->map);
}

void fx_run(struct kunit *test, void (*body)(struct kunit *test, struct fx *f))
{
	struct fx *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	test->priv = f;
	begin(test, f);
	body(test, f);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->map.busy), 0);
	end(f);

	expect_counts(test, home_mm, &f->home);
	expect_counts(test, other_mm, &f->other);
	KUNIT_EXPECT_EQ(test, mmext_live_vmas(), f->live_vmas);
	KUNIT_EXPECT_EQ(test, fx_frames(f), 0L);

	kthread_unuse_mm(home_mm);
	mmput(home_mm);
}

/* After a case that did not come to its end; in whatever thread that is. */
void fx_exit(struct kunit *test)
{
	struct fx *f = test->priv;
	bool borrow = !current->mm;

	if (!f || !f->running)
		return;
	end(f);
	if (borrow)
		kthread_unuse_mm(home_mm);
}

/* Mappings */

int fx_try_map(struct fx *f, unsigned long addr, unsigned long nr,
	       unsigned long prot, unsigned long flags, pgoff_t first)
{
	unsigned long ret = vm_mmap(f->file, addr, nr << PAGE_SHIFT, prot,
				    flags | MAP_FIXED, first << PAGE_SHIFT);

	return IS_ERR_VALUE(ret) ? (int)ret : 0;
}

void fx_map_at(struct fx *f, unsigned long addr, unsigned long nr,
	       pgoff_t first)
{
	KUNIT_ASSERT_EQ(f->test, 0,
			fx_try_map(f, addr, nr, PROT_READ | PROT_WRITE,
				   MAP_SHARED, first));
}

unsigned long fx_map(struct fx *f, unsigned long nr)
{
	fx_map_at(f, f->base, nr, 0);
	return f->base;
}

void fx_map_read_only(struct fx *f, unsigned long nr)
{
	KUNIT_ASSERT_EQ(f->test, 0, fx_try_map(f, f->base, nr, PROT_READ,
					       MAP_SHARED, 0));
}

unsigned long fx_map_foreign(struct fx *f, unsigned long addr, unsigned long nr)
{
	int (*mmap)(struct fx *f, struct vm_area_struct *vma) = f->mmap;

	f->mmap = fx_mmap_foreign;
	fx_map_at(f, addr, nr, 0);
	f->mmap = mmap;
	return addr;
}

void fx_unmap(struct fx *f, unsigned long addr, unsigned long nr)
{
	KUNIT_ASSERT_EQ(f->test, 0, vm_munmap(addr, nr << PAGE_SHIFT));
}

void fx_enter_other(struct fx *f)
{
	enter(f, other_mm);
}

void fx_leave_other(struct fx *f)
{
	enter(f, home_mm);
}

unsigned long fx_map_other(struct fx *f, unsigned long nr)
{
	unsigned long addr;

	fx_enter_other(f);
	addr = vm_mmap(f->file, 0, nr << PAGE_SHIFT, PROT_READ | PROT_WRITE,
		       MAP_SHARED, 0);
	fx_leave_other(f);
	KUNIT_ASSERT_FALSE(f->test, IS_ERR_VALUE(addr));
	f->other_addr = addr;
	f->other_size = nr << PAGE_SHIFT;
	return addr;
}

/* The engine, under the mmap lock */

struct vm_area_struct *fx_lock(struct fx *f, unsigned long addr)
{
	mmap_read_lock(f->mm);
	return find_vma(f->mm, addr);
}

void fx_unlock(struct fx *f)
{
	mmap_read_unlock(f->mm);
}

unsigned int fx_insert(struct fx *f, unsigned long addr, unsigned long pfn)
{
	vm_fault_t ret = mmext_vmf_insert_pfn(fx_lock(f, addr), addr, pfn);

	fx_unlock(f);
	return FX_VMF(ret);
}

unsigned int fx_insert_rw(struct fx *f, unsigned long addr, unsigned long pfn)
{
	struct vm_area_struct *vma = fx_lock(f, addr);
	vm_fault_t ret = mmext_vmf_insert_pfn_prot(vma, addr, pfn,
						   mmext_vma_prot(vma, true));

	fx_unlock(f);
	return FX_VMF(ret);
}

int fx_remap(struct fx *f, unsigned long addr, unsigned long pfn,
	     unsigned long nr)
{
	struct vm_area_struct *vma = fx_lock(f, addr);
	int ret = mmext_remap_pfn_range(vma, addr, pfn, nr << PAGE_SHIFT,
					mmext_vma_prot(vma, false));

	fx_unlock(f);
	return ret;
}

int fx_remap_rw(struct fx *f, unsigned long addr, unsigned long pfn,
		unsigned long nr)
{
	struct vm_area_struct *vma = fx_lock(f, addr);
	int ret = mmext_remap_pfn_range(vma, addr, pfn, nr << PAGE_SHIFT,
					mmext_vma_prot(vma, true));

	fx_unlock(f);
	return ret;
}

int fx_zap(struct fx *f, unsigned long addr, unsigned long nr)
{
	int ret = mmext_zap_vma_ptes(fx_lock(f, addr), addr, nr << PAGE_SHIFT);

	fx_unlock(f);
	return ret;
}

int fx_unmap_pages(struct fx *f, pgoff_t first, pgoff_t nr)
{
	return mmext_unmap_mapping_pages(f->space, first, nr, true);
}

/* What a program does, and what there is */

int fx_get(unsigned long addr, u64 *val)
{
	return copy_from_user(val, (void __user *)addr, sizeof(*val)) ?
	       -EFAULT : 0;
}

int fx_put(unsigned long addr, u64 val)
{
	return copy_to_user((void __user *)addr, &val, sizeof(val)) ?
	       -EFAULT : 0;
}

/* Where the entry of an address is, NULL where there is no table. */
pte_t *fx_ptep(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud))
		return NULL;
	pmd = pmd_offset(pud, addr);
	if (pmd_none(*pmd))
		return NULL;
	return pte_offset_kernel(pmd, addr);
}

/* From a fault handler, or with the mmap lock held. */
u64 fx_entry_locked(struct fx *f, unsigned long addr)
{
	pte_t *ptep = fx_ptep(f->mm, addr);
	pte_t pte = ptep ? READ_ONCE(*ptep) : __pte(0);
	u64 ret;

	if (pte_none(pte))
		return FX_NONE;
	if (!pte_present(pte))
		return FX_MARKER;
	ret = (u64)pte_pfn(pte) << 8 | FX_PRESENT;
	if (pte_write(pte))
		ret |= FX_WRITE;
	if (pte_dirty(pte))
		ret |= FX_DIRTY;
	if (pte_young(pte))
		ret |= FX_YOUNG;
	if (pte_special(pte))
		ret |= FX_SPECIAL;
	return ret;
}

u64 fx_entry(struct fx *f, unsigned long addr)
{
	u64 ret;

	mmap_read_lock(f->mm);
	ret = fx_entry_locked(f, addr);
	mmap_read_unlock(f->mm);
	return ret;
}

/* How many of these pages have an entry. */
unsigned long fx_entries(struct fx *f, unsigned long addr, unsigned long nr)
{
	unsigned long n = 0;

	for (; nr; nr--, addr += PAGE_SIZE)
		n += fx_entry(f, addr) != FX_NONE;
	return n;
}

/* Page tables since the case began. */
long fx_tables(struct fx *f)
{
	return (long)(mm_pgtables_bytes(f->mm) - f->home.tables) >> PAGE_SHIFT;
}

/* An entry that is neither present nor none, as swapped pages leave it. */
pte_t fx_marker(void)
{
	return swp_entry_to_pte(swp_entry(0, 1));
}

/* An entry that the engine did not make; take it out again with __pte(0). */
void fx_plant(struct fx *f, unsigned long addr, pte_t pte)
{
	pte_t *ptep;

	mmap_read_lock(f->mm);
	ptep = fx_ptep(f->mm, addr);
	if (ptep)
		set_pte(ptep, pte);
	mmap_read_unlock(f->mm);
	KUNIT_ASSERT_NOT_NULL(f->test, ptep);
}

u64 *fx_frame(struct fx *f, unsigned long index)
{
	return page_address(pages + index);
}

struct mmext_stats fx_stats(struct fx *f)
{
	struct mmext_stats sum;

	mmext_mapping_stats(&f->map, &sum);
	return sum;
}

/* Who removes stale translations */

const struct fx_backend fx_backends[FX_BACKENDS] = {
	{ "native", true },
	{ "kernel", false },
};

void fx_backend_name(const struct fx_backend *b, char *desc)
{
	strscpy(desc, b->name, KUNIT_PARAM_DESC_SIZE);
}

bool fx_use(struct fx *f, const struct fx_backend *b)
{
	if (mmext_tlb_init(b->name)) {
		kunit_mark_skipped(f->test, "no flush of the engine's own");
		return false;
	}
	return true;
}

bool fx_use_native(struct fx *f)
{
	return fx_use(f, &fx_backends[0]);
}

bool fx_use_kernel(struct fx *f)
{
	return fx_use(f, &fx_backends[1]);
}

MODULE_DESCRIPTION("KUnit suites of mmext's engine");
MODULE_AUTHOR("mmext developers");
MODULE_LICENSE("GPL");

/* The @n-th allocation of this thread fails, from now on. */
void fx_fail_nth(unsigned int n)
{
#ifdef CONFIG_FAULT_INJECTION
	WRITE_ONCE(current->fail_nth, n);
#endif
}

/* No longer.  Was there one? */
bool fx_fail_end(void)
{
	bool failed = false;

#ifdef CONFIG_FAULT_INJECTION
	failed = !READ_ONCE(current->fail_nth);
	WRITE_ONCE(current->fail_nth, 0);
#endif
	return failed;
}

/* Is there fault injection, and does it take what may wait?  Or else skips the case. */
bool fx_injects(struct kunit *test)
{
	void *p;

	fx_fail_nth(1);
	p = kmalloc(64, GFP_KERNEL);
	fx_fail_end();
	kfree(p);
	if (p)
		kunit_skip(test, "no fault injection, or failslab leaves out what may wait");
	return !p;
}
