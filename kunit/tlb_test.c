// SPDX-License-Identifier: GPL-2.0
/*
 * Who removes stale translations, and that they are gone.
 */
#include <linux/kthread.h>

#include "fixture.h"

/* UML has CONFIG_X86_64 as well. */
#if defined(CONFIG_X86_64) && defined(CONFIG_PARAVIRT)
#define HAVE_X86
#endif

static bool has_native(void)
{
	return mmext_tlb_backend() != MMEXT_TLB_ID_KERNEL;
}

FX_CASE(the_backend_is_that_of_the_architecture)
{
#ifdef HAVE_X86
	KUNIT_EXPECT_EQ(test, mmext_tlb_backend(), MMEXT_TLB_ID_X86);
#else
	KUNIT_EXPECT_NE(test, mmext_tlb_backend(), MMEXT_TLB_ID_X86);
#endif
}

struct mode {
	const char *name;
	bool known;
	bool native;
};

static const struct mode modes[] = {
	{ "auto", true, true },
	{ "native", true, true },
	{ "kernel", true, false },
	{ "", false },
	{ "Native", false },
	{ "nativ", false },
	{ "kernel ", false },
};

static void mode_name(const struct mode *p, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "tlb='%s'", p->name);
}

KUNIT_ARRAY_PARAM(modes, modes, mode_name);

FX_CASE(mode)
{
	const struct mode *p = test->param_value;
	bool forced = p->known && p->native && strcmp(p->name, "auto");
	bool native = p->native && has_native();
	int err = 0;

	/* the other one before, to see the change */
	KUNIT_ASSERT_EQ(test, mmext_tlb_init(native ? "kernel" : "auto"), 0);
	if (!p->known)
		err = -EINVAL;
	else if (forced && !has_native())
		err = -EOPNOTSUPP;
	KUNIT_EXPECT_EQ(test, mmext_tlb_init(p->name), err);

	if (err)
		native = has_native();
	KUNIT_EXPECT_EQ(test, mmext_tlb_native(), native);
	KUNIT_EXPECT_EQ(test, mmext_tlb_live(),
			native ? mmext_tlb_backend() : MMEXT_TLB_ID_KERNEL);
}

FX_CASE(the_kernel_is_needed_where_there_is_no_flush)
{
	if (fx_use_kernel(f))
		KUNIT_EXPECT_TRUE(test, mmext_needs_kernel(f->mm));
	if (fx_use_native(f))
		KUNIT_EXPECT_FALSE(test, mmext_needs_kernel(f->mm));
}

/* Change the frames of some pages behind the engine's back, and flush. */
static void swap_and_flush(struct fx *f, unsigned long nr, bool all)
{
	unsigned long addr = fx_map(f, nr), end = addr + nr * PAGE_SIZE, i;
	u64 val;

	KUNIT_ASSERT_EQ(f->test, fx_remap(f, addr, f->pfn, nr), 0);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(f->test, fx_get(addr + i * PAGE_SIZE, &val), 0);
	for (i = 0; i < nr; i++)
		fx_plant(f, addr + i * PAGE_SIZE,
			 mmext_mk_pte(f->pfn + nr + i, PAGE_READONLY));

	mmext_tlb_flush(f->mm, all ? 0 : addr, all ? MMEXT_TLB_ALL : end,
			PAGE_SHIFT);

	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(f->test, fx_get(addr + i * PAGE_SIZE, &val), 0);
		KUNIT_EXPECT_EQ(f->test, val, FX_MARK(nr + i));
	}
	/* as they were, for who counts the pages of tables */
	for (i = 0; i < nr; i++)
		fx_plant(f, addr + i * PAGE_SIZE,
			 mmext_mk_pte(f->pfn + i, PAGE_READONLY));
	mmext_tlb_flush(f->mm, 0, MMEXT_TLB_ALL, PAGE_SHIFT);
}

FX_CASE(a_page_is_flushed)
{
	if (fx_use_native(f))
		swap_and_flush(f, 1, false);
}

FX_CASE(some_pages_are_flushed_one_by_one)
{
	if (fx_use_native(f))
		swap_and_flush(f, 33, false);
}

FX_CASE(many_pages_are_flushed_at_once)
{
	if (fx_use_native(f))
		swap_and_flush(f, 34, false);
}

FX_CASE(everything_is_flushed)
{
	if (fx_use_native(f))
		swap_and_flush(f, 3, true);
}

#ifdef HAVE_X86
FX_CASE(a_flush_is_a_generation)
{
	u64 gen = atomic64_read(&f->mm->context.tlb_gen);
	unsigned long addr = f->base;

	if (!fx_use_native(f))
		return;
	mmext_tlb_flush(f->mm, addr, addr + PAGE_SIZE, PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&f->mm->context.tlb_gen),
			gen + 1);
	mmext_tlb_flush(f->mm, 0, MMEXT_TLB_ALL, PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&f->mm->context.tlb_gen),
			gen + 2);
}

FX_CASE(a_zap_is_one_flush)
{
	unsigned long addr = fx_map(f, FX_PAGES);
	u64 gen;

	if (!fx_use_native(f))
		return;
	KUNIT_ASSERT_EQ(test, fx_remap(f, addr, f->pfn, FX_PAGES), 0);
	gen = atomic64_read(&f->mm->context.tlb_gen);
	KUNIT_EXPECT_EQ(test, fx_zap(f, addr, FX_PAGES), 0);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&f->mm->context.tlb_gen),
			gen + 1);
}
#endif

/* Another CPU */

struct reader {
	struct fx *f;
	unsigned long addr;
	unsigned long round;	/* frame that is mapped, or later ones */
	unsigned long seen;	/* frame read last */
	unsigned long stale;	/* reads of a frame that was gone */
};

static int read_on(void *data)
{
	struct reader *r = data;
	unsigned long round;
	u64 val;

	kthread_use_mm(r->f->mm);
	while (!kthread_should_stop()) {
		/* what is mapped, before it is read */
		round = smp_load_acquire(&r->round);
		if (!fx_get(r->addr, &val)) {
			if (val - FX_MARK(0) < round)
				r->stale++;
			WRITE_ONCE(r->seen, val - FX_MARK(0));
		}
		cond_resched();
	}
	kthread_unuse_mm(r->f->mm);
	return 0;
}

static vm_fault_t fault_of_none(struct fx *f, struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

#define ROUNDS	200

FX_CASE(another_cpu_reads_no_page_that_is_gone)
{
	unsigned int cpu = cpumask_any_but(cpu_online_mask,
					   raw_smp_processor_id());
	struct reader r = { .f = f, .addr = fx_map(f, 1), .seen = ROUNDS };
	unsigned long deadline = jiffies + 240 * HZ;
	struct task_struct *t;
	unsigned long i;

	if (!fx_use_native(f))
		return;
	if (cpu >= nr_cpu_ids) {
		kunit_mark_skipped(test, "one CPU");
		return;
	}
	f->fault = fault_of_none;
	t = kthread_create_on_cpu(read_on, &r, cpu, "mmext_kunit/%u");
	KUNIT_ASSERT_FALSE(test, IS_ERR(t));
	wake_up_process(t);

	for (i = 0; i < ROUNDS; i++) {
		if (fx_remap(f, r.addr, f->pfn + i, 1))
			break;
		/* mapped, before it is said */
		smp_store_release(&r.round, i);
		/* until it is in that CPU's TLB */
		while (READ_ONCE(r.seen) != i && time_before(jiffies, deadline))
			cond_resched();
		if (READ_ONCE(r.seen) != i || fx_zap(f, r.addr, 1))
			break;
	}
	kthread_stop(t);
	KUNIT_EXPECT_EQ(test, i, (unsigned long)ROUNDS);
	KUNIT_EXPECT_EQ(test, r.stale, 0UL);
	FX_EXPECT_COUNT(f, flushes, ROUNDS);
}

static int zap_slowly(void *data)
{
	struct reader *r = data;

	kthread_use_mm(r->f->mm);
	fx_zap(r->f, r->addr, 1);
	kthread_unuse_mm(r->f->mm);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

FX_CASE(a_second_zap_does_not_overtake_the_first)
{
	struct reader r = { .f = f, .addr = fx_map(f, 1) };
	struct task_struct *t;

	if (!fx_use_native(f))
		return;
	KUNIT_ASSERT_EQ(test, fx_insert(f, r.addr, f->pfn), FX_NOPAGE);
	t = kthread_create(zap_slowly, &r, "mmext_kunit/slow");
	KUNIT_ASSERT_FALSE(test, IS_ERR(t));

	/* the first has cleared the entry, and sleeps before it flushes */
	mmext_test_flush_delay_us = 5000000;
	wake_up_process(t);
	while (fx_entry(f, r.addr) != FX_NONE)
		schedule_timeout_uninterruptible(1);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->mm->tlb_flush_pending), 1);

	/* the second finds nothing, and flushes */
	KUNIT_EXPECT_EQ(test, fx_zap(f, r.addr, 1), 0);
	FX_EXPECT_COUNT(f, flushes, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->mm->tlb_flush_pending), 1);

	kthread_stop(t);
	mmext_test_flush_delay_us = 0;
	FX_EXPECT_COUNT(f, flushes, 2);
	FX_EXPECT_COUNT(f, cleared, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&f->mm->tlb_flush_pending), 0);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(the_backend_is_that_of_the_architecture),
	KUNIT_CASE_PARAM(mode, modes_gen_params),
	KUNIT_CASE(the_kernel_is_needed_where_there_is_no_flush),
	KUNIT_CASE(a_page_is_flushed),
	KUNIT_CASE(some_pages_are_flushed_one_by_one),
	KUNIT_CASE(many_pages_are_flushed_at_once),
	KUNIT_CASE(everything_is_flushed),
#ifdef HAVE_X86
	KUNIT_CASE(a_flush_is_a_generation),
	KUNIT_CASE(a_zap_is_one_flush),
#endif
	KUNIT_CASE(another_cpu_reads_no_page_that_is_gone),
	KUNIT_CASE(a_second_zap_does_not_overtake_the_first),
	{}
};

FX_SUITE(tlb, cases);
