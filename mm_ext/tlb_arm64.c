// SPDX-License-Identifier: GPL-2.0
/*
 * Flushing on arm64, by the instruction alone: TLBI with the IS suffix reaches
 * the TLBs of every CPU that Linux runs on, so there is no mask of CPUs, no IPI
 * and no function of the kernel's to call.  flush_tlb_range() and its like are
 * inline, but newer ones have an unexported callee.
 *
 * Why the sequence is enough:
 *
 * - DSB ISHST first: table walkers of all CPUs see the cleared entries before
 *   the first TLBI.  What a walker fetched earlier, the TLBI removes.
 *
 * - Then the ASID is read, after the barrier.  A rollover may give the mm
 *   another one meanwhile, but an ASID is handed out again only after every
 *   CPU has flushed all it had (flush_context(), check_and_switch_context()),
 *   and whoever runs with the new one got it after that: its walks see the
 *   cleared entries.  A TLBI for the old one then removes nothing, or what
 *   another mm fetches again.
 *
 * - By address and last level (VALE1): entries are cleared here, and tables
 *   never, so what a CPU caches of upper levels stays true.  The engine's
 *   entries are never contiguous ones: they are special, which the kernel does
 *   not fold.
 *
 * - With the kernel unmapped at EL0 an mm has a second ASID, with bit 0 set,
 *   that user accesses use: the same again for it.
 *
 * - DSB ISH waits until all CPUs have done it, and until accesses that used the
 *   old translations are complete.  No ISB: only user mappings changed, and
 *   the way back to user space synchronises.  It waits for the TLBIs of this
 *   CPU alone; a task that moves to another one between the two has passed the
 *   DSB ISH of __switch_to(), which is there for that.
 *
 * Errata, where the kernel itself does more than that:
 *
 * - "Repeat TLBI": the DSB may not wait for accesses by other CPUs, unless
 *   there is a second pair of TLBI and DSB, of any address.  (Where the
 *   kernel's __tlbi() repeats by itself, this is one more.)
 *
 * - 4193714: with SME, other CPUs must be sent an IPI, by a function that is
 *   not exported.  No native flush on such machines.
 *
 * What the system's CPUs have is settled before modules load; one that comes
 * online later with an erratum that none had before is refused by the kernel.
 *
 * Read in 6.1 and 7.3.
 */
#include <linux/mm.h>
#include <asm/cpufeature.h>
#include <asm/mmu.h>
#include <asm/tlbflush.h>

#include "tlb.h"

/*
 * Beyond this many pages everything of the mm goes: by address they take one
 * instruction each, all over the system.  As many as the kernel allows itself.
 */
#define FLUSH_CEILING	PTRS_PER_PTE

/* Bits of the operand: the ASID above, the address in units of 4 KiB below. */
#define TLBI_ASID_SHIFT	48
#define TLBI_ADDR_SHIFT	12
#define TLBI_ADDR_MASK	GENMASK_ULL(43, 0)

enum mmext_tlb_id mmext_tlb_backend(void)
{
	return compat_arm64_tlbi_suffices() ? MMEXT_TLB_ID_ARM64 :
					      MMEXT_TLB_ID_KERNEL;
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_tlb_backend);

static void flush_page(u64 asid, unsigned long addr)
{
	u64 arg = asid | ((addr >> TLBI_ADDR_SHIFT) & TLBI_ADDR_MASK);

	__tlbi(vale1is, arg);
	if (arm64_kernel_unmapped_at_el0())
		__tlbi(vale1is, arg | USER_ASID_FLAG);
}

static void flush_asid(u64 asid)
{
	__tlbi(aside1is, asid);
	if (arm64_kernel_unmapped_at_el0())
		__tlbi(aside1is, asid | USER_ASID_FLAG);
}

/**
 * mmext_tlb_flush - remove an mm's stale translations from every CPU
 * @mm: the address space whose entries were cleared
 * @start: first user address
 * @end: end of the range, or MMEXT_TLB_ALL
 * @shift: log2 of the bytes that the smallest entry mapped; of a larger one, any
 *	address is as good as all
 *
 * Context: any, without a page-table lock.  Waits.
 */
void mmext_tlb_flush(struct mm_struct *mm, unsigned long start,
		     unsigned long end, unsigned int shift)
{
	unsigned long addr;
	u64 asid;

	dsb(ishst);
	asid = (u64)ASID(mm) << TLBI_ASID_SHIFT;

	if (end == MMEXT_TLB_ALL ||
	    (end - start) >> shift > FLUSH_CEILING) {
		flush_asid(asid);
	} else {
		for (addr = start; addr < end; addr += 1UL << shift)
			flush_page(asid, addr);
	}

	dsb(ish);
	if (compat_arm64_repeat_tlbi()) {
		__tlbi(vale1is, 0);
		dsb(ish);
	}
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_tlb_flush);

/*
 * A CPU that may not store by its TLB takes a fault and keeps the entry.  The
 * kernel then finds nothing to do, and older ones do not remove it either
 * (flush_tlb_fix_spurious_fault() is empty in 6.1): the CPU would fault until the
 * entry is evicted.  This is no matter of what an access may still reach, so
 * it is done with tlb=kernel as well.
 */
void mmext_tlb_relaxed(struct mm_struct *mm, unsigned long start,
		       unsigned long end)
{
	mmext_tlb_flush(mm, start, end, PAGE_SHIFT);
}
