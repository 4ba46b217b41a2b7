/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every difference between kernels, and nothing else.  Included ahead of every
 * file by the build, so that the rest reads as if there were only the newest
 * kernel.  What a kernel has is probed (probe.sh), not told from its version.
 */
#ifndef _MMEXT_COMPAT_H
#define _MMEXT_COMPAT_H

/* here, since it is too late after the first include */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/version.h>
#include <linux/mm.h>

#include "probed.h"

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 10, 0)
#error "mmext needs Linux 5.10 or later"
#endif

#ifndef CONFIG_64BIT
#error "mmext needs a 64-bit kernel: it reads page-table entries in one access"
#endif

#ifndef CONFIG_MMU
#error "mmext needs an MMU"
#endif

/* 6.3 made vm_flags const, and setting or clearing one a function */
#ifndef MMEXT_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* 5.12 moved it out of mm/internal.h */
#ifndef MMEXT_HAVE_IS_COW_MAPPING
static inline bool is_cow_mapping(vm_flags_t flags)
{
	return (flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE;
}
#endif

/*
 * 6.6 made pte_mkwrite() take the VMA, for shadow stacks, and on x86 an
 * unexported function.  None of ours is a shadow stack.
 */
#ifndef MMEXT_HAVE_PTE_MKWRITE_NOVMA
static inline pte_t pte_mkwrite_novma(pte_t pte)
{
	return pte_mkwrite(pte);
}
#endif

/*
 * The kernel's own zap of a PFN mapping, for a caller that holds the mmap
 * lock.  7.1 renamed it.
 */
#ifdef MMEXT_HAVE_ZAP_VMA_PTES
#define compat_zap_pfnmap(vma, addr, size)	zap_vma_ptes(vma, addr, size)
#elif defined(MMEXT_HAVE_ZAP_SPECIAL_VMA_RANGE)
#define compat_zap_pfnmap(vma, addr, size) \
	zap_special_vma_range(vma, addr, size)
#else
#error "mmext needs zap_vma_ptes or zap_special_vma_range, which this kernel does not export"
#endif

/* 6.5 took the array of VMAs away */
#ifdef MMEXT_HAVE_PIN_REMOTE_NO_VMAS
#define __compat_pin_user_pages_remote(mm, start, nr, flags, pages, locked) \
	pin_user_pages_remote(mm, start, nr, flags, pages, locked)
#define compat_get_user_pages_remote(mm, start, nr, flags, pages, locked) \
	get_user_pages_remote(mm, start, nr, flags, pages, locked)
#else
#define __compat_pin_user_pages_remote(mm, start, nr, flags, pages, locked) \
	pin_user_pages_remote(mm, start, nr, flags, pages, NULL, locked)
#define compat_get_user_pages_remote(mm, start, nr, flags, pages, locked) \
	get_user_pages_remote(mm, start, nr, flags, pages, NULL, locked)
#endif

/*
 * Before 5.18 (65462462ffb2, "mm/gup: follow_pfn_pte(): -EEXIST cleanup") who pins
 * an entry of a bare frame, outside of VM_IO and VM_PFNMAP, is told that he has it,
 * and finds in pages[] what was there before.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
#define COMPAT_PINS_REFUSE_FRAMES	true
#else
#define COMPAT_PINS_REFUSE_FRAMES	false
#endif

static inline long compat_pin_user_pages_remote(struct mm_struct *mm,
						unsigned long start,
						unsigned long nr,
						unsigned int flags,
						struct page **pages,
						int *locked)
{
	long pinned, good = 0, i;

	if (!COMPAT_PINS_REFUSE_FRAMES)
		memset(pages, 0, nr * sizeof(*pages));
	pinned = __compat_pin_user_pages_remote(mm, start, nr, flags, pages,
						locked);
	if (COMPAT_PINS_REFUSE_FRAMES || pinned <= 0)
		return pinned;

	while (good < pinned && pages[good])
		good++;
	for (i = good; i < pinned; i++) {
		if (pages[i])
			unpin_user_page(pages[i]);
	}
	return good ? good : -EEXIST;
}

/* Is a device of an IOMMU walking the page tables of this mm? */
#ifdef MMEXT_HAVE_MM_VALID_PASID
#include <linux/iommu.h>
#define compat_mm_has_sva(mm)	mm_valid_pasid(mm)
#elif defined(MMEXT_HAVE_PASID_VALID)
#include <linux/ioasid.h>
#define compat_mm_has_sva(mm)	pasid_valid((mm)->pasid)
#elif defined(MMEXT_HAVE_MM_PASID)
#define compat_mm_has_sva(mm)	((mm)->pasid != 0)
#else
#define compat_mm_has_sva(mm)	((void)(mm), false)
#endif

/* The kernel's own zap of any mapping, as MADV_DONTNEED has it. */
#ifdef MMEXT_HAVE_ZAP_VMA_RANGE
#define compat_zap_any(vma, addr, size)	zap_vma_range(vma, addr, size)
#else
#define compat_zap_any(vma, addr, size)	compat_zap_mixedmap(vma, addr, size)
#endif

/* Does the entry let a plain store through?  A shadow stack's is writable, too. */
#ifdef CONFIG_X86
#define compat_pte_store(pte)	(pte_flags(pte) & _PAGE_RW)
#elif defined(CONFIG_ARCH_HAS_USER_SHADOW_STACK)
#define compat_pte_store(pte)	((void)(pte), false)
#else
#define compat_pte_store(pte)	pte_write(pte)
#endif

/* 6.6 has shadow stacks, 6.10 sealed mappings */
#ifndef VM_SHADOW_STACK
#define VM_SHADOW_STACK	VM_NONE
#endif
#ifndef VM_SEALED
#define VM_SEALED	VM_NONE
#endif

/* an iov_iter of one range of user space; @iov has to live as long */
#ifdef MMEXT_HAVE_IMPORT_UBUF
#define compat_import_user(rw, buf, len, iov, iter) \
	({ (void)(iov); import_ubuf(rw, buf, len, iter); })
#else
#define compat_import_user(rw, buf, len, iov, iter) \
	import_single_range(rw, buf, len, iov, iter)
#endif

/* The same of a mapping of pages. */
#ifdef MMEXT_HAVE_ZAP_PAGE_RANGE
#define compat_zap_mixedmap(vma, addr, size)	zap_page_range(vma, addr, size)
#elif defined(MMEXT_HAVE_ZAP_PAGE_RANGE_SINGLE)
#define compat_zap_mixedmap(vma, addr, size) \
	zap_page_range_single(vma, addr, size, NULL)
#elif defined(MMEXT_HAVE_ZAP_SPECIAL_VMA_RANGE)
#define compat_zap_mixedmap(vma, addr, size) \
	zap_special_vma_range(vma, addr, size)
#else
#error "mmext needs zap_page_range, or a successor of it, and this kernel exports none"
#endif

/*
 * Counters of an mm.  6.2 gave them a part for each CPU.  add_mm_counter() has
 * an unexported callee, for a trace point.
 */
static inline void compat_add_mm_counter(struct mm_struct *mm, int member,
					 long nr)
{
#ifdef MMEXT_HAVE_RSS_PERCPU
	percpu_counter_add(&mm->rss_stat[member], nr);
#else
	atomic_long_add(nr, &mm->rss_stat.count[member]);
#endif
}

/*
 * Pages that are mapped, of the node and of the page's memory cgroup; with
 * preemption off.  When the kernel takes an entry out, it subtracts from both.
 * What is charged to a memory cgroup and can be mapped is
 * COMPAT_GFP_MAPPED: 5.10 exports nothing that adds to the cgroup's counter, and
 * marks charged pages where others count their mappings.
 */
#ifdef MMEXT_HAVE_LRUVEC_STAT_MOD_FOLIO
#define compat_mod_file_mapped(page, nr) \
	lruvec_stat_mod_folio(page_folio(page), NR_FILE_MAPPED, nr)
#elif defined(MMEXT_HAVE___LRUVEC_STAT_MOD_FOLIO)
#define compat_mod_file_mapped(page, nr) \
	__lruvec_stat_mod_folio(page_folio(page), NR_FILE_MAPPED, nr)
#elif defined(MMEXT_HAVE___MOD_LRUVEC_PAGE_STATE)
#define compat_mod_file_mapped(page, nr) \
	__mod_lruvec_page_state(page, NR_FILE_MAPPED, nr)
#else
#define compat_mod_file_mapped(page, nr) \
	mod_node_page_state(page_pgdat(page), NR_FILE_MAPPED, nr)
#define COMPAT_GFP_MAPPED	GFP_KERNEL
#endif

#ifndef COMPAT_GFP_MAPPED
#define COMPAT_GFP_MAPPED	GFP_KERNEL_ACCOUNT
#endif

/* What a page is of; 6.16 left that to the folio. */
static inline void compat_set_page_mapping(struct page *page,
					   struct address_space *mapping,
					   pgoff_t index)
{
#ifdef MMEXT_HAVE_PAGE_INDEX
	page->index = index;
	WRITE_ONCE(page->mapping, mapping);
#else
	page_folio(page)->index = index;
	WRITE_ONCE(page_folio(page)->mapping, mapping);
#endif
}

/* riscv's are functions, and not exported */
#ifdef CONFIG_RISCV
static inline p4d_t *compat_p4d_offset(pgd_t *pgd, unsigned long addr)
{
	if (!pgtable_l5_enabled)
		return (p4d_t *)pgd;
	return pgd_pgtable(*pgd) + p4d_index(addr);
}

static inline pud_t *compat_pud_offset(p4d_t *p4d, unsigned long addr)
{
	if (!pgtable_l4_enabled)
		return (pud_t *)p4d;
	return p4d_pgtable(*p4d) + pud_index(addr);
}
#else
#define compat_p4d_offset(pgd, addr)	p4d_offset(pgd, addr)
#define compat_pud_offset(p4d, addr)	pud_offset(p4d, addr)
#endif

/*
 * Can a table of entries be freed or moved under what keeps the levels above it?
 * MADV_DONTNEED frees them from 6.14 on, and pte_offset_map_lock() looks twice from 6.5
 * on.  Before 5.14 mremap(2) moved them without the locks of the file's mappings.
 */
#define COMPAT_TABLES_GO						\
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0) ||		\
	 LINUX_VERSION_CODE < KERNEL_VERSION(5, 14, 0))

/*
 * The core calls fault() and pfn_mkwrite() under the VMA's lock only if there is
 * map_pages(), and otherwise lets go of it and takes the mmap lock
 * (vmf_can_call_fault()).  Kernels without that lock gain nothing by it.
 */
#ifdef MMEXT_HAVE_VMA_LOCK_FAULTS
#define COMPAT_MAP_PAGES(_fn)	.map_pages = _fn,
#define compat_under_vma_lock(vmf)	((vmf)->flags & FAULT_FLAG_VMA_LOCK)
#define compat_vma_end_read(vma)	vma_end_read(vma)
#else
#define COMPAT_MAP_PAGES(_fn)
#define compat_under_vma_lock(vmf)	false
#define compat_vma_end_read(vma)	do { } while (0)
#endif

/* from 5.14 on; on 6.1 and later it is the shorter search */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 14, 0)
static inline struct vm_area_struct *vma_lookup(struct mm_struct *mm,
						unsigned long addr)
{
	struct vm_area_struct *vma = find_vma(mm, addr);

	return vma && vma->vm_start <= addr ? vma : NULL;
}
#endif

/*
 * Leaves of 2 MiB in a mapping of page frames: from 6.12 on get_user_pages() knows
 * them by their special bit, and takes no reference.  huge_fault() had another
 * parameter before that.
 */
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
#include <linux/huge_mm.h>

#define COMPAT_HUGE_FAULT(_fn)		.huge_fault = _fn,
#define COMPAT_HUGE_AREA(_fn)		.get_unmapped_area = _fn,
#define compat_orig_pmd(vmf)		((vmf)->orig_pmd)
#else
#define COMPAT_HUGE_FAULT(_fn)
#define COMPAT_HUGE_AREA(_fn)
#define compat_orig_pmd(vmf)		__pmd(0)
#endif

/* x86 has the memory type's bits of a leaf in another place */
#ifdef CONFIG_X86
#define compat_leaf_prot(prot)	pgprot_4k_2_large(prot)
#else
#define compat_leaf_prot(prot)	(prot)
#endif

#ifdef CONFIG_ARM64
#include <asm/cpucaps.h>
#include <asm/cpufeature.h>

/* 6.1 has the one name, 7.3 the other */
#ifdef ARM64_WORKAROUND_REPEAT_TLBI_SYNC
#define compat_arm64_repeat_tlbi() \
	cpus_have_cap(ARM64_WORKAROUND_REPEAT_TLBI_SYNC)
#else
#define compat_arm64_repeat_tlbi() \
	cpus_have_cap(ARM64_WORKAROUND_REPEAT_TLBI)
#endif

/* is an erratum there, and known, for which TLBI and DSB are not enough? */
#ifdef ARM64_WORKAROUND_4193714
#define compat_arm64_tlbi_suffices() \
	(!cpus_have_cap(ARM64_WORKAROUND_4193714))
#else
#define compat_arm64_tlbi_suffices()	true
#endif

#define compat_hw_young()	cpu_has_hw_af()
#else
#define compat_hw_young()	IS_ENABLED(CONFIG_X86)
#endif /* CONFIG_ARM64 */

#endif /* _MMEXT_COMPAT_H */
