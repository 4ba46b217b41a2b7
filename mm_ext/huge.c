// SPDX-License-Identifier: GPL-2.0
/*
 * Leaves: one entry for a block of PMD_SIZE (2 MiB) of a mapping of page frames,
 * in the place of a table.
 *
 * A block is a leaf or has a table, and never both; what is there decides, and
 * the lock of the level above the tables (pmd_lock()) orders who puts what there.
 * But apply_to_page_range(), which makes tables outside of faults, warns if it
 * meets a leaf: so whoever calls it, and whoever puts a leaf in, holds the level's
 * mutex (mmext_block_lock()).  Tables stay, so a block that got one is small until
 * its mapping, or that table, goes.
 *
 * A leaf goes as a whole, whichever part of it is to go.  Besides the engine the
 * kernel takes leaves out: for a part that is unmapped, protected or moved, and
 * for a store that huge_fault() did not serve.  It flushes before it lets go of
 * the lock, and announces nothing (tlb_flush_pending): who finds nothing there,
 * and has to know that nothing is reachable, takes the lock once
 * (mmext_leaf_settle()).
 *
 * fork(2) copies a leaf that it looked at without the lock, so it may give the
 * child one that was taken out meanwhile, after the child was looked through.
 * Therefore a VMA with leaves is not copied: open(), which comes before the copy,
 * says so to fork (mmext_huge_open()).  The child's first accesses are faults,
 * one for each block.
 */
#include <linux/export.h>
#include <linux/hash.h>

#include "engine.h"
#include "huge.h"

#define BLOCK_LOCK_BITS	6

static struct mutex block_locks[1 << BLOCK_LOCK_BITS];

/* Who has mmext_huge_prepare() make a fault; set under prepare_lock. */
static struct task_struct *preparing;
static DEFINE_MUTEX(prepare_lock);

void mmext_huge_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(block_locks); i++)
		mutex_init(&block_locks[i]);
}

/**
 * mmext_huge_possible - can there be leaves on this machine
 *
 * Return: false if mmext_vma_allow_huge() has no effect.
 */
bool mmext_huge_possible(void)
{
	return has_transparent_hugepage() && !arch_needs_pgtable_deposit();
}
EXPORT_SYMBOL_GPL(mmext_huge_possible);

/**
 * mmext_vma_allow_huge - let a VMA have leaves
 * @vma: one of the engine's, with page frames, whose vm_ops have huge_fault
 *
 * As if the program had asked for it (MADV_HUGEPAGE), and until it asks for the
 * contrary.  From then on mmext_remap_pfn_range() and
 * mmext_fault_insert_pfn_huge() put leaves in where they can.
 *
 * Context: from an mmap handler, after mmext_vma_init(); mmap lock for write.
 */
void mmext_vma_allow_huge(struct vm_area_struct *vma)
{
	if (mmext_huge_possible())
		vm_flags_set(vma, VM_HUGEPAGE);
}
EXPORT_SYMBOL_GPL(mmext_vma_allow_huge);

static bool may_have_leaves(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_HUGEPAGE && !mmext_vma_has_pages(vma) &&
	       vma->vm_ops->huge_fault && mmext_huge_possible();
}

/**
 * mmext_huge_fits - may the block of an address be a leaf
 * @vma: one of the engine's
 * @addr: user address in it
 *
 * Context: the mmap lock or the VMA's.
 * Return: false if the block is not inside @vma, or @vma is to have no leaves.
 */
bool mmext_huge_fits(struct vm_area_struct *vma, unsigned long addr)
{
	return may_have_leaves(vma) &&
	       mmext_range_in_vma(vma, addr & PMD_MASK, PMD_SIZE);
}
EXPORT_SYMBOL_GPL(mmext_huge_fits);

/*
 * Can there be a leaf, of now or of before?  MADV_NOHUGEPAGE takes none out.  What
 * cuts a VMA does, so of those that are left all of the block is inside.
 */
static bool may_have_kept_leaves(const struct vm_area_struct *vma)
{
	return vma->vm_flags & (VM_HUGEPAGE | VM_NOHUGEPAGE) &&
	       !mmext_vma_has_pages(vma) &&
	       ALIGN(vma->vm_start, PMD_SIZE) + PMD_SIZE <= vma->vm_end;
}

/*
 * For open().  MADV_KEEPONFORK would take the flag away if the program's VMA had
 * it; the child's is nobody's yet.
 */
void mmext_huge_open(struct vm_area_struct *vma)
{
	struct mmext_mapping *m = mmext_vma_mapping(vma);

	if (vma->vm_mm != current->mm && READ_ONCE(m->huge) &&
	    may_have_kept_leaves(vma))
		vm_flags_set(vma, VM_WIPEONFORK);
}

/**
 * mmext_block_lock - have the block of an address stay without a leaf
 * @vma: one of the engine's
 * @addr: user address in it
 *
 * Context: the mmap lock or the VMA's.  May sleep.
 * Return: for mmext_block_unlock(); NULL if none can come anyway.
 */
struct mutex *mmext_block_lock(struct vm_area_struct *vma, unsigned long addr)
{
	struct mutex *lock;

	if (!mmext_huge_fits(vma, addr))
		return NULL;

	lock = &block_locks[hash_long((addr >> PUD_SHIFT) ^
				      (unsigned long)vma->vm_mm,
				      BLOCK_LOCK_BITS)];
	mutex_lock(lock);
	return lock;
}

/* For a frame of a leaf. */
static void leaf_read(pmd_t pmd, unsigned long addr, struct mmext_pte *e)
{
	e->pfn = pmd_pfn(pmd) + ((addr & ~PMD_MASK) >> PAGE_SHIFT);
	e->shift = PMD_SHIFT;
	e->write = pmd_write(pmd);
	e->dirty = pmd_dirty(pmd);
	e->young = pmd_young(pmd);
}

/**
 * mmext_leaf_get - lock a leaf that mmext_walk_lock() came upon
 * @mm: address space
 * @addr: user address in the block
 * @w: the walk
 * @e: filled in
 *
 * Context: as mmext_walk_lock().
 * Return: true with the leaf locked, for mmext_leaf_put(); false it is none, or
 * not any more.
 */
bool mmext_leaf_get(struct mm_struct *mm, unsigned long addr,
		    struct mmext_walk *w, struct mmext_pte *e)
{
	if (!w->leaf)
		return false;

	w->pte = NULL;
	w->ptl = pmd_lock(mm, w->pmd);
	if (likely(pmd_leaf(READ_ONCE(*w->pmd)))) {
		leaf_read(*w->pmd, addr, e);
		/* for sparse, as in mmext_walk_lock() */
		__release(w->ptl);
		return true;
	}

	spin_unlock(w->ptl);
	return false;
}

/*
 * Store a leaf.  As in mmext_set_pte(); that of s390 is no matter here, which has
 * none.
 */
static void set_leaf(struct mm_struct *mm, unsigned long addr, pmd_t *pmdp,
		     pmd_t pmd)
{
	if (IS_ENABLED(CONFIG_ARM64) || IS_ENABLED(CONFIG_RISCV))
		set_pmd(pmdp, pmd);
	else
		set_pmd_at(mm, addr & PMD_MASK, pmdp, pmd);
}

/* Read-only means clean, as in mmext_mk_pte(). */
static pmd_t mk_leaf(unsigned long pfn, pgprot_t prot)
{
	pmd_t pmd = pfn_pmd(pfn, compat_leaf_prot(prot));

	pmd = pmd_mkspecial(pmd_mkhuge(pmd));
	return pmd_write(pmd) ? pmd : pmd_mkclean(pmd);
}

/* Take out a leaf that is locked; to be flushed. */
void mmext_leaf_clear(struct mm_struct *mm, unsigned long addr,
		      struct mmext_walk *w)
{
	pmdp_huge_get_and_clear(mm, addr & PMD_MASK, w->pmd);
}

/* Take the right to store from a leaf that is locked; to be flushed. */
void mmext_leaf_wrprotect(struct mm_struct *mm, unsigned long addr,
			  struct mmext_walk *w)
{
	pmd_t pmd = pmdp_huge_get_and_clear(mm, addr & PMD_MASK, w->pmd);

	set_leaf(mm, addr, w->pmd, pmd_wrprotect(pmd_mkclean(pmd)));
}

/* As mmext_pte_relax(), of a leaf that is locked. */
void mmext_leaf_relax(struct mm_struct *mm, unsigned long addr,
		      struct mmext_walk *w)
{
	pmd_t pmd = pmd_mkwrite_novma(pmd_mkclean(pmd_mkyoung(*w->pmd)));

	set_leaf(mm, addr, w->pmd, pmd_mkdirty(pmd));
}

/**
 * mmext_leaf_settle - wait for whoever takes a leaf out
 * @m: mapping of the VMA
 * @mm: address space
 * @w: a walk that found neither a table nor a leaf
 *
 * Context: as mmext_walk_lock().
 */
void mmext_leaf_settle(struct mmext_mapping *m, struct mm_struct *mm,
		       struct mmext_walk *w)
{
	/* what was found, before whether there ever was a leaf */
	smp_rmb();
	if (w->pmd && READ_ONCE(m->huge))
		spin_unlock(pmd_lock(mm, w->pmd));
}

/* With the level locked. */
static __always_inline enum mmext_leaf
put_leaf(struct mmext_mapping *m, struct mm_struct *mm, unsigned long addr,
	 pmd_t *pmd, pmd_t leaf, bool store, bool *relaxed)
{
	pmd_t old = READ_ONCE(*pmd);

	if (likely(pmd_none(old))) {
		/* for those who will find nothing there again */
		if (!READ_ONCE(m->huge))
			WRITE_ONCE(m->huge, true);
		if (store && pmd_write(leaf))
			leaf = pmd_mkdirty(pmd_mkyoung(leaf));
		set_leaf(mm, addr, pmd, leaf);
		return MMEXT_LEAF_IN;
	}
	if (!pmd_leaf(old))
		return MMEXT_LEAF_SMALL;
	if (pmd_pfn(old) != pmd_pfn(leaf))
		return MMEXT_LEAF_OTHER;
	if (pmd_write(leaf) && !pmd_write(old)) {
		struct mmext_walk w = { .pmd = pmd };

		mmext_leaf_relax(mm, addr, &w);
		*relaxed = true;
	}
	return MMEXT_LEAF_KEPT;
}

/**
 * mmext_leaf_insert - put a leaf in
 * @vma: one of the engine's, which mmext_huge_fits() was asked about
 * @pmd: its place
 * @addr: first user address of the block
 * @pfn: first frame, a multiple of those of a block
 * @prot: protection of the leaf
 * @seq: what the mapping's sequence was at the look-up
 * @store: for a store, so a new one that is writable is dirty
 * @relaxed: set if one that was there became writable; mmext_tlb_relaxed() is due
 *
 * Context: the mmap lock or the VMA's.  May sleep.
 */
enum mmext_leaf mmext_leaf_insert(struct vm_area_struct *vma, pmd_t *pmd,
				  unsigned long addr, unsigned long pfn,
				  pgprot_t prot, unsigned long seq, bool store,
				  bool *relaxed)
{
	struct mmext_mapping *m = mmext_vma_mapping(vma);
	struct mutex *lock = mmext_block_lock(vma, addr);
	enum mmext_leaf ret = MMEXT_LEAF_STALE;
	struct mm_struct *mm = vma->vm_mm;
	spinlock_t *ptl = pmd_lock(mm, pmd);

	if (mmext_seq_current(m, seq))
		ret = put_leaf(m, mm, addr, pmd, mk_leaf(pfn, prot), store,
			       relaxed);
	if (ret == MMEXT_LEAF_STALE)
		mmext_count(m, retries, 1);
	if (ret == MMEXT_LEAF_IN) {
		mmext_count(m, inserted, 1);
		mmext_count(m, huge, 1);
	}
	spin_unlock(ptl);
	mmext_block_unlock(lock);
	return ret;
}

/* Of one level: what mmext_remap_leaves() does.  Returns how many. */
static unsigned long remap_level(struct vm_area_struct *vma, unsigned long addr,
				 struct page **blocks, unsigned long nr,
				 pgprot_t prot, unsigned long seq,
				 bool *relaxed)
{
	pmd_t *pmd = mmext_find_pmd(vma->vm_mm, addr);
	struct mmext_mapping *m = mmext_vma_mapping(vma);
	u64 zero = pmd_val(mk_leaf(0, prot));
	bool plain = mmext_stores_are_plain() && zero + PMD_SIZE ==
		     pmd_val(mk_leaf(MMEXT_HUGE_PAGES, prot));
	unsigned long i, pfn, put = 0;
	enum mmext_leaf ret;
	spinlock_t *ptl; /* of the level */
	struct mutex *lock;
	pmd_t leaf;

	if (!pmd)
		return 0;

	lock = mmext_block_lock(vma, addr);
	ptl = pmd_lock(vma->vm_mm, pmd);
	if (!mmext_seq_current(m, seq))
		nr = 0;
	for (i = 0; i < nr; i++, addr += PMD_SIZE, pmd++) {
		pfn = page_to_pfn(blocks[i]);
		if (!IS_ALIGNED(pfn, MMEXT_HUGE_PAGES))
			break;
		/* as in mmext_ptes() */
		leaf = plain ? __pmd(zero + ((u64)pfn << PAGE_SHIFT)) :
			       mk_leaf(pfn, prot);
		ret = put_leaf(m, vma->vm_mm, addr, pmd, leaf, false, relaxed);
		if (ret == MMEXT_LEAF_IN)
			put++;
		else if (ret != MMEXT_LEAF_KEPT)
			break;
	}
	mmext_count(m, inserted, put);
	mmext_count(m, huge, put);
	spin_unlock(ptl);
	mmext_block_unlock(lock);
	return i;
}

/**
 * mmext_remap_leaves - map blocks, by a leaf each
 * @vma: one of the engine's, from mmext_vma_init()
 * @addr: user address of the first, a multiple of PMD_SIZE
 * @blocks: the first page of each; its others follow it
 * @nr: how many
 * @prot: protection of the entries
 *
 * mmext_remap_pfn_range() for blocks that do not follow each other, with a walk and a
 * lock for those of a level.  It ends where one can't be a leaf, or something else is
 * there, or an invalidation came between: mmext_remap_pfn_range() says which, or
 * makes it small.
 *
 * What the blocks show must stay true until this returns.  There is no such function
 * in mm/memory.c.
 *
 * Context: process context; mmap lock.
 * Return: how many of @blocks, from the first on, are leaves now.
 */
unsigned long mmext_remap_leaves(struct vm_area_struct *vma, unsigned long addr,
				 struct page **blocks, unsigned long nr,
				 pgprot_t prot)
{
	struct mmext_mapping *m = mmext_vma_mapping(vma);
	unsigned long done = 0, some, n, seq;
	bool relaxed = false;

	if (!m || !may_have_leaves(vma) || !IS_ALIGNED(addr, PMD_SIZE) ||
	    addr < vma->vm_start || addr >= vma->vm_end)
		return 0;

	nr = min(nr, (vma->vm_end - addr) / PMD_SIZE);
	seq = atomic_long_read(&m->seq);
	while (done < nr) {
		unsigned long at = addr + done * PMD_SIZE;

		some = min(nr - done, (PUD_SIZE - (at & ~PUD_MASK)) / PMD_SIZE);
		n = remap_level(vma, at, blocks + done, some, prot, seq,
				&relaxed);
		done += n;
		if (n < some)
			break;
		cond_resched();
	}
	if (relaxed)
		mmext_tlb_relaxed(vma->vm_mm, addr, addr + done * PMD_SIZE);
	return done;
}
EXPORT_SYMBOL_GPL(mmext_remap_leaves);

/**
 * mmext_fault_insert_pfn_huge - insert the block that a huge_fault() looked up
 * @vmf: the fault, in one of the engine's VMAs
 * @pfn: page frame that the first address of the block shows; those of the
 *	following pages follow it
 * @pgprot: protection of the entry, see mmext_vma_prot()
 * @seq: what mmext_read_begin() gave before @pfn was looked up
 *
 * mmext_fault_insert_pfn() for all of a block (PMD_SIZE, aligned), by one entry,
 * for the huge_fault() of a driver, where its order is PMD_ORDER.  All of it has
 * to be of one protection.  If the fault is a store, and @pgprot is writable, an
 * entry that is there becomes so: the core calls huge_fault() for that as well,
 * in place of pfn_mkwrite().
 *
 * There are such entries only in a VMA that mmext_vma_allow_huge() was called
 * for, and on 6.12 or later.
 *
 * Context: from huge_fault().  May sleep.
 * Return: 0 an invalidation came: look up again, see mmext_read_begin().
 * Otherwise the value for the handler to return: VM_FAULT_NOPAGE; or
 * VM_FAULT_FALLBACK the block can't be one entry, and the core goes on to
 * fault().  (If there is an entry that the store does not suit, it takes that
 * out first.)
 */
vm_fault_t mmext_fault_insert_pfn_huge(struct vm_fault *vmf, unsigned long pfn,
				       pgprot_t pgprot, unsigned long seq)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE, relaxed = false;
	unsigned long addr = vmf->address & PMD_MASK;
	struct vm_area_struct *vma = vmf->vma;
	enum mmext_leaf leaf;

	if (!mmext_vma_mapping(vma) || !mmext_huge_fits(vma, addr) ||
	    !IS_ALIGNED(pfn, MMEXT_HUGE_PAGES) ||
	    !mmext_pfns_possible(pfn, MMEXT_HUGE_PAGES))
		return VM_FAULT_FALLBACK;
	if (unlikely(READ_ONCE(preparing) == current))
		return VM_FAULT_NOPAGE;

	leaf = mmext_leaf_insert(vma, vmf->pmd, addr, pfn, pgprot, seq, write,
				 &relaxed);
	if (relaxed)
		mmext_tlb_relaxed(vma->vm_mm, addr, addr + PMD_SIZE);
	switch (leaf) {
	case MMEXT_LEAF_IN:
	case MMEXT_LEAF_KEPT:
		return VM_FAULT_NOPAGE;
	case MMEXT_LEAF_STALE:
		return 0;
	default:
		return VM_FAULT_FALLBACK;
	}
}
EXPORT_SYMBOL_GPL(mmext_fault_insert_pfn_huge);

/**
 * mmext_huge_ready - is there a place for a leaf, or a table, of an address
 * @vma: one of the engine's
 * @addr: user address in it
 *
 * Context: the mmap lock.
 * Return: false if mmext_huge_prepare() is to be called first.
 */
bool mmext_huge_ready(struct vm_area_struct *vma, unsigned long addr)
{
	return mmext_find_pmd(vma->vm_mm, addr);
}
EXPORT_SYMBOL_GPL(mmext_huge_ready);

/**
 * mmext_huge_prepare - make the place for a leaf
 * @vma: one of the engine's
 * @addr: user address in it
 *
 * Nothing that is exported makes the levels above the tables without a table, but
 * a fault.  So this makes one, of @addr, to which
 * mmext_fault_insert_pfn_huge() inserts nothing.  (If the driver's huge_fault()
 * does not call that, its fault() serves it.)
 *
 * For a driver that maps blocks ahead of faults: mmext_remap_pfn_range() makes
 * the first block of such a level small if there is none.
 *
 * Context: process context, may sleep; the mmap lock, and nothing that the
 * driver's fault handlers take.
 */
void mmext_huge_prepare(struct vm_area_struct *vma, unsigned long addr)
{
	if (!mmext_huge_fits(vma, addr) || mmext_huge_ready(vma, addr))
		return;

	mutex_lock(&prepare_lock);
	WRITE_ONCE(preparing, current);
	handle_mm_fault(vma, addr, FAULT_FLAG_REMOTE, NULL);
	WRITE_ONCE(preparing, NULL);
	mutex_unlock(&prepare_lock);
}
EXPORT_SYMBOL_GPL(mmext_huge_prepare);
