/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the test modules call in the kernel and mmext itself does not, under one
 * name whatever the kernel has.
 */
#ifndef MMEXT_TEST_COMPAT_H
#define MMEXT_TEST_COMPAT_H

#include <linux/mm.h>
#include <linux/sched.h>

/* zap_page_range() lost the further VMAs with 6.3, and its name with 7.1 */
#ifdef MMEXT_HAVE_ZAP_PAGE_RANGE
#define test_zap_page_range(vma, addr, size) zap_page_range(vma, addr, size)
#elif defined(MMEXT_HAVE_ZAP_PAGE_RANGE_SINGLE)
#define test_zap_page_range(vma, addr, size) \
	zap_page_range_single(vma, addr, size, NULL)
#elif defined(MMEXT_HAVE_ZAP_VMA_RANGE)
#define test_zap_page_range(vma, addr, size) zap_vma_range(vma, addr, size)
#else
#error "no zap_page_range() and no successor of it"
#endif

static inline void test_zap_vmas(struct vm_area_struct *vma, unsigned long addr,
				 unsigned long size)
{
#ifdef MMEXT_HAVE_ZAP_PAGE_RANGE
	zap_page_range(vma, addr, size);
#else
	unsigned long end = addr + size, next;

	for (; vma && addr < end;
	     addr = next, vma = find_vma(current->mm, addr)) {
		addr = max(addr, vma->vm_start);
		next = vma->vm_end;
		if (addr < end)
			test_zap_page_range(vma, addr, min(end, next) - addr);
	}
#endif
}

/* 6.12 has follow_pfnmap_start() in place of follow_pfn() */
static inline int test_follow_pfn(struct vm_area_struct *vma,
				  unsigned long addr, unsigned long *pfn)
{
#ifdef MMEXT_HAVE_FOLLOW_PFN
	return follow_pfn(vma, addr, pfn);
#else
	struct follow_pfnmap_args args = { .vma = vma, .address = addr };
	int err = follow_pfnmap_start(&args);

	if (err)
		return err;
	*pfn = args.pfn;
	follow_pfnmap_end(&args);
	return 0;
#endif
}

#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
#include <linux/huge_mm.h>
#ifdef MMEXT_HAVE_PFN_T
#include <linux/pfn_t.h>
#endif

/* 6.16 took pfn_t away */
static inline vm_fault_t test_vmf_insert_pfn_pmd(struct vm_fault *vmf,
						 unsigned long pfn, bool write)
{
#ifdef MMEXT_HAVE_PFN_T
	return vmf_insert_pfn_pmd(vmf, pfn_to_pfn_t(pfn), write);
#else
	return vmf_insert_pfn_pmd(vmf, pfn, write);
#endif
}
#else
static inline vm_fault_t test_vmf_insert_pfn_pmd(struct vm_fault *vmf,
						 unsigned long pfn, bool write)
{
	return VM_FAULT_FALLBACK;
}
#endif

/* A counter of the current process, with what is not added to it yet. */
static inline long test_rss(int type)
{
#ifdef MMEXT_HAVE_RSS_PERCPU
	return percpu_counter_sum(&current->mm->rss_stat[type]);
#else
	long count = atomic_long_read(&current->mm->rss_stat.count[type]);

#ifdef SPLIT_RSS_COUNTING
	count += current->rss_stat.count[type];
#endif
	return count;
#endif
}

#endif /* MMEXT_TEST_COMPAT_H */
