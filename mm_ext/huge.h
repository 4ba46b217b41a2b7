/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Leaves: entries of PMD_SIZE, as the other files of the engine see them.
 */
#ifndef _MMEXT_HUGE_H
#define _MMEXT_HUGE_H

#include <linux/mmext.h>
#include <linux/mutex.h>

#include "pgtable.h"

/* What became of a leaf that was to be put in. */
enum mmext_leaf {
	MMEXT_LEAF_IN,		/* it is there */
	MMEXT_LEAF_KEPT,	/* it was there */
	MMEXT_LEAF_OTHER,	/* one of other frames is there */
	MMEXT_LEAF_SMALL,	/* a table is there, or no place for either */
	MMEXT_LEAF_STALE,	/* an invalidation came */
};

#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
void mmext_huge_init(void);
void mmext_huge_open(struct vm_area_struct *vma);
struct mutex *mmext_block_lock(struct vm_area_struct *vma, unsigned long addr);
bool mmext_leaf_get(struct mm_struct *mm, unsigned long addr,
		    struct mmext_walk *w, struct mmext_pte *e);
void mmext_leaf_clear(struct mm_struct *mm, unsigned long addr,
		      struct mmext_walk *w);
void mmext_leaf_wrprotect(struct mm_struct *mm, unsigned long addr,
			  struct mmext_walk *w);
void mmext_leaf_relax(struct mm_struct *mm, unsigned long addr,
		      struct mmext_walk *w);
void mmext_leaf_settle(struct mmext_mapping *m, struct mm_struct *mm,
		       struct mmext_walk *w);
enum mmext_leaf mmext_leaf_insert(struct vm_area_struct *vma, pmd_t *pmd,
				  unsigned long addr, unsigned long pfn,
				  pgprot_t prot, unsigned long seq, bool store,
				  bool *relaxed);
#else
static inline void mmext_huge_init(void)
{
}

static inline void mmext_huge_open(struct vm_area_struct *vma)
{
}

static inline struct mutex *mmext_block_lock(struct vm_area_struct *vma,
					     unsigned long addr)
{
	return NULL;
}

static inline bool mmext_leaf_get(struct mm_struct *mm, unsigned long addr,
				  struct mmext_walk *w, struct mmext_pte *e)
{
	return false;
}

static inline void mmext_leaf_clear(struct mm_struct *mm, unsigned long addr,
				    struct mmext_walk *w)
{
}

static inline void mmext_leaf_wrprotect(struct mm_struct *mm,
					unsigned long addr,
					struct mmext_walk *w)
{
}

static inline void mmext_leaf_relax(struct mm_struct *mm, unsigned long addr,
				    struct mmext_walk *w)
{
}

static inline void mmext_leaf_settle(struct mmext_mapping *m,
				     struct mm_struct *mm, struct mmext_walk *w)
{
}

static inline enum mmext_leaf
mmext_leaf_insert(struct vm_area_struct *vma, pmd_t *pmd, unsigned long addr,
		  unsigned long pfn, pgprot_t prot, unsigned long seq,
		  bool store, bool *relaxed)
{
	return MMEXT_LEAF_SMALL;
}
#endif /* CONFIG_ARCH_SUPPORTS_PMD_PFNMAP */

static inline void mmext_leaf_put(struct mmext_walk *w)
{
	__acquire(w->ptl);
	spin_unlock(w->ptl);
}

/* Undoes mmext_block_lock(). */
static inline void mmext_block_unlock(struct mutex *lock)
{
	if (lock)
		mutex_unlock(lock);
}

#endif /* _MMEXT_HUGE_H */
