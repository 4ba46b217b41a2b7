// SPDX-License-Identifier: GPL-2.0
/*
 * Flushing on x86, without arch/x86/mm/tlb.c: none of it is exported, but with
 * CONFIG_PARAVIRT the instructions at the bottom of it are reached through
 * pv_ops, which is.
 *
 * Why a flush that does not go through flush_tlb_func() is seen by every CPU.
 * A CPU can hold translations of an mm in three states:
 *
 * 1. The mm is loaded and a task (or, lazily, a kernel thread) runs on it.
 *    The CPU is in mm_cpumask(), current->active_mm is the mm, and the IPI
 *    flushes.  That this leaves cpu_tlbstate.ctxs[].tlb_gen behind makes the
 *    kernel's next flush on that CPU a full one (flush_tlb_func() does a
 *    partial flush only if it finds no generation between) and costs nothing
 *    else.
 *
 * 2. The mm was left and its PCID is still in use: the CPU is out of
 *    mm_cpumask() or runs something else, and no IPI reaches its entries.
 *    Before it uses them again it is in switch_mm_irqs_off(), which sets the
 *    bit in mm_cpumask(), then reads context.tlb_gen, and flushes if its own
 *    is older (choose_new_asid()).  The flush here increments tlb_gen, a full
 *    barrier, and then reads mm_cpumask().  One of the two sees the other:
 *    either the CPU is sent the IPI, or it flushes at the switch.
 *
 * 3. The mm is loaded but current->active_mm is another one, with interrupts
 *    on: in exec_mmap() between the assignment and activate_mm().  No user
 *    access is made there, and the old mm is left by activate_mm(), so it is
 *    state 2 before anyone can use it.  Where kernel code borrows the CPU for
 *    an mm of its own (text poking, EFI calls) it has interrupts off or moves
 *    active_mm along, and comes back through switch_mm_irqs_off().
 *
 * A lazy CPU that switches back to a thread of the same mm compares its
 * generation too (the real_prev == next branch), so state 1 holds for it
 * whether it flushed in the IPI or not.
 *
 * Read in 6.1 and 7.2.  Newer kernels take a CPU out of mm_cpumask() when a
 * flush finds another mm loaded there: that is state 2.
 *
 * Kernels with INVLPGB (6.15 on) may give a busy mm an address space
 * identifier that is the same on all CPUs and is not compared at a switch: then
 * every CPU flushes.  An mm that is given one after the look at it below needs
 * no more than the IPI: nobody used that identifier for it before the entries
 * were cleared, or the look, after a full barrier, would have found it.
 */
#include <linux/smp.h>
#include <asm/tlbflush.h>

#include "tlb.h"

enum mmext_tlb_id mmext_tlb_backend(void)
{
	return MMEXT_TLB_ID_X86;
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_tlb_backend);

/* Beyond this a full flush is cheaper; the kernel's default, and unexported. */
#define FLUSH_CEILING	33

struct flush {
	struct mm_struct *mm;
	unsigned long start;
	unsigned long end;
	unsigned int shift;
};

static void flush_this_cpu(void *info)
{
	const struct flush *f = info;
	unsigned long addr;

	if (current->active_mm != f->mm)
		return;

	if (f->end == MMEXT_TLB_ALL ||
	    (f->end - f->start) >> f->shift > FLUSH_CEILING) {
		__flush_tlb_local();
		return;
	}

	for (addr = f->start; addr < f->end; addr += 1UL << f->shift)
		__flush_tlb_one_user(addr);
}

#ifdef CONFIG_BROADCAST_TLB_FLUSH
static void flush_all_this_cpu(void *info)
{
	__flush_tlb_global();
}

static bool flush_global_asid(struct mm_struct *mm)
{
	if (!READ_ONCE(mm->context.global_asid))
		return false;
	on_each_cpu(flush_all_this_cpu, NULL, 1);
	return true;
}
#else
static inline bool flush_global_asid(struct mm_struct *mm)
{
	return false;
}
#endif

/**
 * mmext_tlb_flush - remove an mm's stale translations from every CPU
 * @mm: the address space whose entries were cleared
 * @start: first user address
 * @end: end of the range, or MMEXT_TLB_ALL
 * @shift: log2 of the bytes that the smallest entry mapped; of a larger one, any
 *	address is as good as all
 *
 * Context: process context, interrupts on, no page-table lock.  Waits.
 */
void mmext_tlb_flush(struct mm_struct *mm, unsigned long start,
		     unsigned long end, unsigned int shift)
{
	struct flush f = {
		.mm = mm,
		.start = start,
		.end = end,
		.shift = shift,
	};

	/* full barrier: the cleared entries before the reads of mm_cpumask() */
	atomic64_inc_return(&mm->context.tlb_gen);

	if (flush_global_asid(mm))
		return;

	on_each_cpu_mask(mm_cpumask(mm), flush_this_cpu, &f, true);
}
EXPORT_SYMBOL_MMEXT_TEST(mmext_tlb_flush);

/* A CPU that takes a fault for what its TLB says drops the entry by that. */
void mmext_tlb_relaxed(struct mm_struct *mm, unsigned long start,
		       unsigned long end)
{
}
