// SPDX-License-Identifier: GPL-2.0
#include <linux/hugetlb.h>
#include <linux/ioport.h>
#include <asm/pgalloc.h>

#include "huge.h"
#include "pgtable.h"

/* The end of the @size block that @addr is in, but not past @end. */
static unsigned long block_end(unsigned long addr, unsigned long end,
			       unsigned long size)
{
	unsigned long next = (addr + size) & ~(size - 1);

	/* the block at the top of the address space ends at 0 */
	return next - 1 < end - 1 ? next : end;
}

/*
 * The PMD of an address, NULL where there is none.  *next is the end of the
 * stretch that the answer holds for.
 */
static __always_inline pmd_t *find_pmd(struct mm_struct *mm, unsigned long addr,
				       unsigned long end, unsigned long *next)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	unsigned long size = PGDIR_SIZE;
	pmd_t *pmd = NULL;
	p4d_t *p4d;
	pud_t *pud;

	if (pgd_none(*pgd))
		goto out;

	p4d = compat_p4d_offset(pgd, addr);
	size = P4D_SIZE;
	if (p4d_none(*p4d))
		goto out;

	pud = compat_pud_offset(p4d, addr);
	size = PUD_SIZE;
	if (!pud_present(*pud) || pud_leaf(*pud))
		goto out;

	size = PMD_SIZE;
	pmd = pmd_offset(pud, addr);
out:
	*next = block_end(addr, end, size);
	return pmd;
}

/* The table that a PMD points to, if it does. */
static __always_inline bool lock_table(struct mm_struct *mm, pmd_t *pmd,
				       unsigned long addr, struct mmext_walk *w)
{
	pmd_t val;

again:
	/* a table that is taken out meanwhile is freed after a grace period */
	if (COMPAT_TABLES_GO)
		rcu_read_lock();
	val = READ_ONCE(*pmd);
	if (!pmd_present(val) || pmd_leaf(val)) {
		w->leaf = !pmd_none(val);
		if (COMPAT_TABLES_GO)
			rcu_read_unlock();
		return false;
	}

	/* both from the value that was looked at, not from what is there now */
	w->pte = pte_offset_kernel(&val, addr);
	w->ptl = pte_lockptr(mm, &val);
	spin_lock(w->ptl);
	if (!COMPAT_TABLES_GO || likely(pmd_same(val, READ_ONCE(*pmd)))) {
		/* for sparse, which has no word for "if it returns true" */
		__release(w->ptl);
		if (COMPAT_TABLES_GO)
			__release(RCU);
		return true;
	}

	spin_unlock(w->ptl);
	if (COMPAT_TABLES_GO)
		rcu_read_unlock();
	goto again;
}

/**
 * mmext_walk_lock - find and lock the table of an address
 * @mm: address space
 * @addr: user address
 * @end: where the caller's range ends, beyond @addr
 * @w: filled in; @w->next in any case
 *
 * Context: something that keeps the upper levels; see the top of pgtable.h.
 * Return: true with @w->pte valid and its table locked, to be given back by
 * mmext_walk_unlock(); false if there is no table.
 */
bool mmext_walk_lock(struct mm_struct *mm, unsigned long addr,
		     unsigned long end, struct mmext_walk *w)
{
	pmd_t *pmd = find_pmd(mm, addr, end, &w->next);

	w->pmd = pmd;
	w->leaf = false;
	return pmd && lock_table(mm, pmd, addr, w);
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_walk_lock);

void mmext_walk_unlock(struct mmext_walk *w)
{
	__acquire(w->ptl);
	spin_unlock(w->ptl);
	if (COMPAT_TABLES_GO) {
		__acquire(RCU);
		rcu_read_unlock();
	}
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_walk_unlock);

/**
 * mmext_peek_pte - the entry of an address, without a lock
 * @mm: address space
 * @addr: user address
 * @pte: set to what it was
 *
 * There need be no VMA.  Who takes tables out frees them after an IPI or a grace period,
 * and both wait for interrupts.  By the time this returns the entry may be another: the
 * caller has something by which he notices.
 *
 * Context: any, while @mm has user space.
 * Return: false there is no table.
 */
bool mmext_peek_pte(struct mm_struct *mm, unsigned long addr, pte_t *pte)
{
	bool found = false;
	/* generic builds have no use for it, and on riscv no way up here */
#ifndef MMEXT_TLB_NONE
	unsigned long flags;
	pgd_t *pgdp, pgd;
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;

	local_irq_save(flags);
	/* each from the value that was looked at, not from what is there now */
	pgdp = pgd_offset(mm, addr);
	pgd = READ_ONCE(*pgdp);
	if (pgd_none(pgd))
		goto out;
	p4dp = p4d_offset_lockless(pgdp, pgd, addr);
	p4d = READ_ONCE(*p4dp);
	if (p4d_none(p4d))
		goto out;
	pudp = pud_offset_lockless(p4dp, p4d, addr);
	pud = READ_ONCE(*pudp);
	if (!pud_present(pud) || pud_leaf(pud))
		goto out;
	pmdp = pmd_offset_lockless(pudp, pud, addr);
	pmd = READ_ONCE(*pmdp);
	if (!pmd_present(pmd) || pmd_leaf(pmd))
		goto out;
	*pte = READ_ONCE(*pte_offset_kernel(&pmd, addr));
	found = true;
out:
	local_irq_restore(flags);
#endif
	return found;
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_peek_pte);

/**
 * mmext_find_pmd - the entry above the table of an address
 * @mm: address space
 * @addr: user address
 *
 * Context: as mmext_walk_lock().
 * Return: NULL if there is no such level yet.
 */
pmd_t *mmext_find_pmd(struct mm_struct *mm, unsigned long addr)
{
	unsigned long next;

	return find_pmd(mm, addr, addr + PAGE_SIZE, &next);
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_find_pmd);

/* Put the table in that the core allocated ahead of the fault. */
static bool install_prealloc(struct mm_struct *mm, struct vm_fault *vmf)
{
	spinlock_t *ptl; /* of the PMD table */

	if (!vmf->prealloc_pte)
		return false;

	ptl = pmd_lock(mm, vmf->pmd);
	if (pmd_none(*vmf->pmd)) {
		mm_inc_nr_ptes(mm);
		/*
		 * The table's zeroes before the table: a lockless walker on
		 * another CPU follows the entry without a lock, as in
		 * pmd_install().
		 */
		smp_wmb();
		pmd_populate(mm, vmf->pmd, vmf->prealloc_pte);
		vmf->prealloc_pte = NULL;
	}
	spin_unlock(ptl);
	return true;
}

/**
 * mmext_apply_to_table - make the table of an address, unless a leaf stands there
 * @vma: VMA of the address, one of the engine's
 * @addr: user address
 * @fn: called for its entry, with the table locked
 * @data: for @fn
 *
 * apply_to_page_range() does it, which warns of leaves.
 *
 * Context: process context, the mmap lock or the VMA's lock.  Allocates with
 * GFP_KERNEL.
 * Return: what @fn says; -EEXIST a leaf stands there; -ENOMEM.
 */
int mmext_apply_to_table(struct vm_area_struct *vma, unsigned long addr,
			 pte_fn_t fn, void *data)
{
	struct mutex *lock = mmext_block_lock(vma, addr);
	pmd_t *pmd = mmext_find_pmd(vma->vm_mm, addr);
	int err = -EEXIST;

	if (!pmd || !pmd_leaf(READ_ONCE(*pmd)))
		err = apply_to_page_range(vma->vm_mm, addr, PAGE_SIZE, fn,
					  data);
	mmext_block_unlock(lock);
	return err;
}

/**
 * mmext_entry_lock - find and lock the entry of an address, of any size
 * @mm: address space
 * @addr: user address
 * @w: filled in; @w->pte is NULL for a leaf
 * @e: filled in
 *
 * Context: as mmext_walk_lock().
 * Return: true with the entry locked, for mmext_entry_unlock(); false if there
 * is none that is present.
 */
bool mmext_entry_lock(struct mm_struct *mm, unsigned long addr,
		      struct mmext_walk *w, struct mmext_pte *e)
{
	pte_t pte;

	addr &= PAGE_MASK;
	if (!mmext_walk_lock(mm, addr, addr + PAGE_SIZE, w))
		return mmext_leaf_get(mm, addr, w, e);

	pte = READ_ONCE(*w->pte);
	if (!pte_present(pte)) {
		mmext_walk_unlock(w);
		return false;
	}

	e->pfn = pte_pfn(pte);
	e->shift = PAGE_SHIFT;
	e->write = pte_write(pte);
	e->dirty = pte_dirty(pte);
	e->young = pte_young(pte);
	return true;
}

void mmext_entry_unlock(struct mmext_walk *w)
{
	if (w->pte)
		mmext_walk_unlock(w);
	else
		mmext_leaf_put(w);
}

static int touch_pte(pte_t *pte, unsigned long addr, void *data)
{
	return 0;
}

/**
 * mmext_walk_lock_alloc - find or make, and lock, the table of an address
 * @vma: VMA of the address
 * @vmf: the fault this is done for, NULL outside of one
 * @addr: user address in @vma
 * @w: filled in
 *
 * In a fault the table is the one that the core allocated ahead of it, and
 * if there is none (the table was there then, and was reclaimed since) the
 * access is to be tried again.
 *
 * Context: process context, the mmap lock or the VMA's lock.  Without @vmf it
 * allocates with GFP_KERNEL.
 * Return: 0 with the table locked; -EAGAIN no table and none at hand; -EBUSY a
 * larger entry stands there; -ENOMEM.
 */
int mmext_walk_lock_alloc(struct vm_area_struct *vma, struct vm_fault *vmf,
			  unsigned long addr, struct mmext_walk *w)
{
	struct mm_struct *mm = vma->vm_mm;
	int err;

	w->leaf = false;
	w->pmd = vmf ? vmf->pmd : NULL;
	w->next = addr + PAGE_SIZE;
	/* the core has walked as far as here */
	while (vmf && !lock_table(mm, vmf->pmd, addr, w)) {
		if (w->leaf)
			return -EBUSY;
		if (!install_prealloc(mm, vmf))
			return -EAGAIN;
	}
	if (vmf)
		return 0;

	while (!mmext_walk_lock(mm, addr, addr + PAGE_SIZE, w)) {
		if (w->leaf)
			return -EBUSY;
		err = mmext_apply_to_table(vma, addr, touch_pte, NULL);
		if (err && err != -EEXIST)
			return err;
	}
	return 0;
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_walk_lock_alloc);

/* The last page frame that an entry can name and the CPU can reach. */
static unsigned long find_last_pfn(void)
{
	u64 last = iomem_resource.end;
#ifdef CONFIG_ARM64
	u64 mmfr0 = read_sanitised_ftr_reg(SYS_ID_AA64MMFR0_EL1);

	/* its lowest four bits are the range of physical addresses */
	last = min(last, BIT_ULL(id_aa64mmfr0_parange_to_phys_shift(mmfr0 &
								    0xf)) - 1);
#endif
#ifdef MAX_PHYSMEM_BITS	/* of kernels with sparse memory */
	/* only x86's iomem_resource ends with the CPU's address bits */
	if (!IS_ENABLED(CONFIG_X86))
		last = min(last, BIT_ULL(MAX_PHYSMEM_BITS) - 1);
#endif

	return last >> PAGE_SHIFT;
}

/**
 * mmext_pfns_possible - can there be such page frames
 * @pfn: the first
 * @nr: how many, at least 1
 *
 * An entry with address bits that the CPU does not have is an oops on the
 * first access, and on some architectures other bits of the entry.
 *
 * Context: any.
 */
bool mmext_pfns_possible(unsigned long pfn, unsigned long nr)
{
	static unsigned long last_pfn;
	unsigned long last = READ_ONCE(last_pfn);

	if (unlikely(!last)) {
		last = find_last_pfn();
		WRITE_ONCE(last_pfn, last);
	}
	return pfn <= last && nr - 1 <= last - pfn;
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_pfns_possible);
