/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Walking, locking and allocating page tables: the only place that does.
 *
 * Who keeps the levels above the PTE table while a walk is under way is the
 * caller's to say: the mmap lock where there is a VMA, the VMA's lock in a fault, or
 * the i_mmap_rwsem of the VMA's file (free_pgtables() unlinks the VMA from it
 * before it frees).  Where there may be no VMA the mmap lock for read does not do, since
 * munmap(2) holds no more than that when it frees: who did not look for one peeks, as
 * gup_fast() does (mmext_peek_pte()).  The PTE table itself can go under all of these, on
 * some kernels (COMPAT_TABLES_GO), so there it is found, locked and looked at again, as
 * pte_offset_map_lock() does.
 */
#ifndef _MMEXT_PGTABLE_H
#define _MMEXT_PGTABLE_H

#include <linux/mm.h>

#include "visible.h"

struct mmext_pte;

/**
 * struct mmext_walk - where a walk has come to
 * @pte: entry of the address; the table is locked while this is in use
 * @pmd: the entry above the table; NULL if there is no such level
 * @ptl: the table's lock
 * @next: end of what this table, or this hole in the tables, covers
 * @leaf: a larger entry stands where the table would
 */
struct mmext_walk {
	pte_t *pte;
	pmd_t *pmd;
	spinlock_t *ptl; /* page-table lock */
	unsigned long next;
	bool leaf;
};

bool mmext_walk_lock(struct mm_struct *mm, unsigned long addr,
		     unsigned long end, struct mmext_walk *w);
void mmext_walk_unlock(struct mmext_walk *w);
bool mmext_peek_pte(struct mm_struct *mm, unsigned long addr, pte_t *pte);
int mmext_walk_lock_alloc(struct vm_area_struct *vma, struct vm_fault *vmf,
			  unsigned long addr, struct mmext_walk *w);
bool mmext_entry_lock(struct mm_struct *mm, unsigned long addr,
		      struct mmext_walk *w, struct mmext_pte *e);
void mmext_entry_unlock(struct mmext_walk *w);
int mmext_apply_to_table(struct vm_area_struct *vma, unsigned long addr,
			 pte_fn_t fn, void *data);
pmd_t *mmext_find_pmd(struct mm_struct *mm, unsigned long addr);
bool mmext_pfns_possible(unsigned long pfn, unsigned long nr);

/*
 * Store an entry of ours.  set_pte_at() has unexported callees: on arm64 for
 * tags, which our VMAs can't have (PROT_MTE is for anonymous memory and shmem),
 * there and on riscv64 for instruction caches, which is the program's to do here,
 * and on s390 for the storage keys of KVM's guests.
 */
static inline void mmext_set_pte(struct mm_struct *mm, unsigned long addr,
				 pte_t *ptep, pte_t pte)
{
	if (IS_ENABLED(CONFIG_ARM64) || IS_ENABLED(CONFIG_RISCV) ||
	    IS_ENABLED(CONFIG_S390))
		set_pte(ptep, pte);
	else
		set_pte_at(mm, addr, ptep, pte);
}

/*
 * An entry for a page frame.  Read-only means clean: mprotect(2) makes a
 * read-only entry that is dirty writable again without a fault.
 */
static inline pte_t mmext_mk_pte(unsigned long pfn, pgprot_t prot)
{
	pte_t pte = pte_mkspecial(pfn_pte(pfn, prot));

	return pte_write(pte) ? pte : pte_mkclean(pte);
}

/*
 * Is storing an entry a store and no more?  Xen's PV guests, and who counts what is
 * mapped (page_table_check), want to be told.
 */
static inline bool mmext_stores_are_plain(void)
{
#ifdef CONFIG_X86
	return !IS_ENABLED(CONFIG_PAGE_TABLE_CHECK) &&
	       !cpu_feature_enabled(X86_FEATURE_XENPV);
#else
	return false;
#endif
}

/**
 * struct mmext_ptes - what many entries have in common
 * @prot: their protection
 * @zero: the entry of frame 0
 * @plain: the others' are that and the frame's address, and are plainly stored.  So it
 *	is on x86, if the entry can be used at all: else the address is inverted (L1TF).
 */
struct mmext_ptes {
	pgprot_t prot;
	u64 zero;
	bool plain;
};

static inline struct mmext_ptes mmext_ptes(pgprot_t prot)
{
	u64 zero = pte_val(mmext_mk_pte(0, prot));
	u64 one = pte_val(mmext_mk_pte(1, prot));
	struct mmext_ptes p = {
		.prot = prot,
		.zero = zero,
		.plain = mmext_stores_are_plain() && one == zero + PAGE_SIZE,
	};

	return p;
}

/* The pieces of plain entries: where it matters, pte_val() and the like are calls. */
#ifdef CONFIG_X86
#define mmext_plain_pte(val)		native_make_pte(val)
#define mmext_plain_val(pte)		native_pte_val(pte)
#define mmext_plain_store(ptep, pte)	native_set_pte(ptep, pte)
#else
#define mmext_plain_pte(val)		__pte(val)
#define mmext_plain_val(pte)		pte_val(pte)
#define mmext_plain_store(ptep, pte)	set_pte(ptep, pte)
#endif

/* mmext_mk_pte(), without asking again what the protection is. */
static __always_inline pte_t mmext_pte_of(const struct mmext_ptes *p,
					  unsigned long pfn)
{
	return likely(p->plain) ?
	       mmext_plain_pte(p->zero + ((u64)pfn << PAGE_SHIFT)) :
	       mmext_mk_pte(pfn, p->prot);
}

/* mmext_set_pte(), of an entry of theirs. */
static __always_inline void mmext_store_pte(const struct mmext_ptes *p,
					    struct mm_struct *mm,
					    unsigned long addr, pte_t *ptep,
					    pte_t pte)
{
	if (likely(p->plain))
		mmext_plain_store(ptep, pte);
	else
		mmext_set_pte(mm, addr, ptep, pte);
}

/*
 * Is it an entry that the engine put there?  Where entries have no bit for it,
 * that it is there must do: the kernel puts none into a shared PFN mapping.
 */
static inline bool mmext_pte_ours(pte_t pte)
{
	return pte_present(pte) &&
	       (!IS_ENABLED(CONFIG_ARCH_HAS_PTE_SPECIAL) || pte_special(pte));
}

/* Is it an entry that the engine put there, for this frame? */
static inline bool mmext_pte_is(pte_t pte, unsigned long pfn)
{
	return mmext_pte_ours(pte) && pte_pfn(pte) == pfn;
}

/*
 * Does it cost nothing to insert an entry that is not young?  Where the first
 * access is a fault, it does.
 */
static inline bool mmext_old_is_free(void)
{
	return compat_hw_young();
}

/*
 * An entry for a page, with a reference to it and without the special bit:
 * get_user_pages() takes it.  Read-only means clean here, too.
 */
static inline pte_t mmext_mk_page_pte(struct page *page, pgprot_t prot)
{
	pte_t pte = pfn_pte(page_to_pfn(page), prot);

	return pte_write(pte) ? pte : pte_mkclean(pte);
}

/* Does this VMA of the engine's have pages, or else bare frames? */
static inline bool mmext_vma_has_pages(const struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_MIXEDMAP;
}

/*
 * Is it an entry that the engine put into this VMA?  Among pages, those of a
 * process's own are the kernel's: it made them of the engine's, on a store to a
 * private mapping.
 */
static inline bool mmext_vma_pte_ours(struct vm_area_struct *vma, pte_t pte)
{
	if (!mmext_vma_has_pages(vma))
		return mmext_pte_ours(pte);

	return pte_present(pte) && !pte_special(pte) &&
	       !PageAnon(pfn_to_page(pte_pfn(pte)));
}

static inline bool mmext_vma_pte_is(struct vm_area_struct *vma, pte_t pte,
				    unsigned long pfn)
{
	return mmext_vma_pte_ours(vma, pte) && pte_pfn(pte) == pfn;
}

/* Entries that mmext_some_dirty() looks at, of a table that is locked. */
#define MMEXT_SOME_PTES	16

/*
 * Is one of them dirty?  Or so it seems: whether it is ours, and there at all, is to be
 * seen.  On x86 there are bits of an entry that say it by themselves.
 */
static __always_inline bool mmext_some_dirty(const pte_t *ptep)
{
	unsigned int i;
#ifdef CONFIG_X86
	u64 val = 0;

#pragma GCC unroll 16
	for (i = 0; i < MMEXT_SOME_PTES; i++) {
		/* what the processor sets meanwhile is for who asks next */
		val |= data_race(native_pte_val(ptep[i]));
	}
	return pte_dirty(native_make_pte(val));
#else
	for (i = 0; i < MMEXT_SOME_PTES; i++) {
		if (pte_dirty(READ_ONCE(ptep[i])))
			return true;
	}
	return false;
#endif
}

/*
 * Let an entry be stored to.  What the hardware may set meanwhile, accessed
 * and (never on a read-only entry) dirty, is set here as well, so nothing of
 * it is lost by a plain store.  s390 must not store over a valid entry: there
 * it is exchanged.
 *
 * Writable before dirty: x86 keeps the dirty bit of a read-only entry in
 * another place, and only pte_mkwrite(), which is not exported, brings it back.
 *
 * To be followed by mmext_tlb_relaxed(), without the table's lock.
 */
static inline void mmext_pte_relax(struct vm_area_struct *vma,
				   unsigned long addr, pte_t *ptep)
{
	pte_t pte = pte_mkwrite_novma(pte_mkclean(pte_mkyoung(*ptep)));

	pte = pte_mkdirty(pte);
	if (IS_ENABLED(CONFIG_S390))
		ptep_set_access_flags(vma, addr, ptep, pte, 1);
	else
		mmext_set_pte(vma->vm_mm, addr, ptep, pte);
}

#endif /* _MMEXT_PGTABLE_H */
