/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the engine share, and what module init needs of them.
 */
#ifndef _MMEXT_ENGINE_H
#define _MMEXT_ENGINE_H

#include <linux/delay.h>
#include <linux/mmext.h>
#include <linux/mmu_notifier.h>
#include <linux/moduleparam.h>

#include "tlb.h"

/* @_what is a member of struct mmext_stats */
#define mmext_count(_m, _what, _n) this_cpu_add((_m)->stats->_what, _n)

/* mapping.c */
long mmext_live_vmas(void);
bool mmext_seq_current(struct mmext_mapping *m, unsigned long seq);
bool mmext_range_in_vma(struct vm_area_struct *vma, unsigned long addr,
			unsigned long size);

/* zap.c */
int mmext_wrprotect_range(struct vm_area_struct *vma, unsigned long address,
			  unsigned long size, const unsigned long *only,
			  unsigned long first);

/*
 * access.c: beside the flags of get_user_pages(), a guest space's window is no memory
 * of its mm.
 */
#define MMEXT_FOLL_NO_WINDOW	BIT(31)

/* gmap*.c, where the kernel has MMU notifiers */
#ifdef CONFIG_MMU_NOTIFIER
int mmext_gmap_init(void);
void mmext_gmap_exit(void);
long mmext_live_gmaps(void);
long mmext_live_records(void);
bool gmap_is_window(const struct vm_area_struct *vma);
#else
static inline int mmext_gmap_init(void)
{
	return 0;
}

static inline void mmext_gmap_exit(void)
{
}

static inline long mmext_live_gmaps(void)
{
	return 0;
}

static inline long mmext_live_records(void)
{
	return 0;
}

static inline bool gmap_is_window(const struct vm_area_struct *vma)
{
	return false;
}
#endif

/* fault.c */
bool mmext_may_insert_page(struct vm_fault *vmf);

/* page.c */
bool mmext_page_mappable(struct page *page);
void mmext_page_enter(struct vm_area_struct *vma, unsigned long addr,
		      pte_t *ptep, struct page *page, pte_t pte);
bool mmext_page_leave(struct page *page, pte_t pte);

/* delegate.c */
void mmext_delegate_vma(struct vm_area_struct *vma, unsigned long addr,
			unsigned long size);
void mmext_delegate_mapping(struct address_space *mapping, pgoff_t start,
			    pgoff_t nr, bool even_cows);

/*
 * Must the kernel's own zap do the clearing?  Yes where the engine has no
 * flush, and where somebody else mirrors the page tables: the calls that tell
 * a mirror are not exported, and after a clearing of ours the kernel's zap
 * would find nothing and tell nobody.
 *
 * Context: the mmap lock, a VMA lock or an i_mmap_rwsem of the mm.  To register
 * a notifier takes all of these for write, so the answer holds as long.
 */
static inline bool mmext_needs_kernel(struct mm_struct *mm)
{
	return !mmext_tlb_native() || mm_has_notifiers(mm);
}

/* Knobs of the test build: make a race as wide as a test wants it. */
#ifdef MMEXT_TEST
extern unsigned int mmext_test_flush_delay_us;

static inline void mmext_test_delay(unsigned int us)
{
	if (us)
		usleep_range(us, us + 100);
}

#define mmext_test_flush_gap() mmext_test_delay(mmext_test_flush_delay_us)
#else
#define mmext_test_flush_gap() do { } while (0)
#endif

#endif /* _MMEXT_ENGINE_H */
