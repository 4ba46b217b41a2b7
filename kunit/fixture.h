/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the KUnit suites stand on: an object of FX_PAGES page frames that the
 * engine maps, in the address space of whoever loads the module.
 *
 * A case is written with FX_CASE().  It runs in that address space, begins
 * with nothing mapped between f->base and f->base + FX_SPAN, and may leave
 * there what it likes: it is unmapped afterwards, and then every count must be
 * what it was before the case, of the address spaces, of the pages and of the
 * engine.
 */
#ifndef _MMEXT_KUNIT_FIXTURE_H
#define _MMEXT_KUNIT_FIXTURE_H

#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/mmext.h>
#include <linux/pgtable.h>

#include "../mm_ext/engine.h"
#include "../mm_ext/pgtable.h"

#define FX_ORDER	10
#define FX_PAGES	BIT(FX_ORDER)

/* f->base is a multiple of PUD_SIZE, so this is two borders of every level. */
#define FX_SPAN		(2 * PUD_SIZE)

/* What an entry is, in one number; 0 is none. */
#define FX_WRITE	BIT_ULL(0)
#define FX_DIRTY	BIT_ULL(1)
#define FX_YOUNG	BIT_ULL(2)
#define FX_SPECIAL	BIT_ULL(3)
#define FX_PRESENT	BIT_ULL(4)
#define FX_NONE		0ULL
#define FX_MARKER	(~0ULL)

/* Entries of the engine: read-only, writable, and stored to. */
#define FX_BITS		(FX_PRESENT | FX_YOUNG | \
			 (IS_ENABLED(CONFIG_ARCH_HAS_PTE_SPECIAL) ? \
			  FX_SPECIAL : 0))
#define FX_RO(_pfn)	((u64)(_pfn) << 8 | FX_BITS)
#define FX_RW(_pfn)	(FX_RO(_pfn) | FX_WRITE)
#define FX_RWD(_pfn)	(FX_RW(_pfn) | FX_DIRTY)

/* vm_fault_t as a number, for KUNIT_EXPECT_EQ() */
#define FX_VMF(_ret)	((__force unsigned int)(_ret))
#define FX_NOPAGE	FX_VMF(VM_FAULT_NOPAGE)
#define FX_SIGBUS	FX_VMF(VM_FAULT_SIGBUS)

/* The number that frame @_index of the object begins with. */
#define FX_MARK(_index)	(0x6d6d657874000000ULL + (_index))

/**
 * struct fx_counts - what must be the same after a case
 * @rss: file, anonymous, swap and shared pages
 * @tables: bytes of page tables
 * @vm: pages mapped
 * @vmas: VMAs
 * @users: references to the address space
 * @flush_pending: announced TLB flushes
 */
struct fx_counts {
	long rss[NR_MM_COUNTERS];
	unsigned long tables;
	unsigned long vm;
	int vmas;
	int users;
	int flush_pending;
};

/**
 * struct fx - what a case has
 * @test: the case
 * @mm: the address space that the thread is in
 * @base: where to map
 * @pfn: first frame of the object
 * @map: the object, to the engine
 * @space: the object's VMAs
 * @file: to map it by
 * @mmap: what the file's mmap handler does, instead of fx_mmap()
 * @fault: what a fault does, instead of fx_fault()
 * @huge_fault: what a fault on a block does, instead of fx_huge_fault()
 * @mkwrite: what the first store does, instead of fx_mkwrite()
 * @faults: calls of @fault
 * @mkwrites: calls of @mkwrite
 * @data: for a case and its handlers
 * @home: counts of the first address space before the case
 * @other: counts of the second
 * @other_addr: where the object is mapped in the second
 * @other_size: bytes of that
 * @live_vmas: the engine's VMAs before the case
 * @running: the case has not been cleaned up yet
 */
struct fx {
	struct kunit *test;
	struct mm_struct *mm;
	unsigned long base;
	unsigned long pfn;
	struct mmext_mapping map;
	struct address_space *space;
	struct file *file;
	int (*mmap)(struct fx *f, struct vm_area_struct *vma);
	vm_fault_t (*fault)(struct fx *f, struct vm_fault *vmf);
	vm_fault_t (*huge_fault)(struct fx *f, struct vm_fault *vmf);
	vm_fault_t (*mkwrite)(struct fx *f, struct vm_fault *vmf);
	unsigned int faults;
	unsigned int mkwrites;
	unsigned long data;

	/* private: fixture.c */
	struct fx_counts home;
	struct fx_counts other;
	unsigned long other_addr;
	unsigned long other_size;
	long live_vmas;
	bool running;
};

/* FX_CASE(name) { ... }: a case, with test and f at hand */
#define FX_CASE(_name)							\
	static void _name##_body(struct kunit *test, struct fx *f);	\
	static void _name(struct kunit *test)				\
	{								\
		fx_run(test, _name##_body);				\
	}								\
	static void _name##_body(struct kunit *test, struct fx *f)

/* FX_SUITE(name, cases): what a file ends with */
#define FX_SUITE(_name, _cases)						\
	static struct kunit_suite _name##_suite = {			\
		.name = "mmext_" #_name,				\
		.suite_init = fx_suite_init,				\
		.suite_exit = fx_suite_exit,				\
		.exit = fx_exit,					\
		.test_cases = (_cases),					\
	};								\
	kunit_test_suite(_name##_suite)

int fx_suite_init(struct kunit_suite *suite);
void fx_suite_exit(struct kunit_suite *suite);
void fx_exit(struct kunit *test);
void fx_run(struct kunit *test, void (*body)(struct kunit *test, struct fx *f));

/* handlers, for those who change only one */
int fx_mmap(struct fx *f, struct vm_area_struct *vma);
int fx_mmap_foreign(struct fx *f, struct vm_area_struct *vma);
int fx_mmap_plain(struct fx *f, struct vm_area_struct *vma);
vm_fault_t fx_fault(struct fx *f, struct vm_fault *vmf);
vm_fault_t fx_huge_fault(struct fx *f, struct vm_fault *vmf);
vm_fault_t fx_mkwrite(struct fx *f, struct vm_fault *vmf);
extern const struct vm_operations_struct fx_vm_ops;

/* mappings of the object; a failure ends the case */
int fx_try_map(struct fx *f, unsigned long addr, unsigned long nr,
	       unsigned long prot, unsigned long flags, pgoff_t first);
void fx_map_at(struct fx *f, unsigned long addr, unsigned long nr,
	       pgoff_t first);
void fx_map_read_only(struct fx *f, unsigned long nr);
unsigned long fx_map(struct fx *f, unsigned long nr);
void fx_unmap(struct fx *f, unsigned long addr, unsigned long nr);
unsigned long fx_map_foreign(struct fx *f, unsigned long addr,
			     unsigned long nr);

/* a second address space, which the thread is in between the two */
unsigned long fx_map_other(struct fx *f, unsigned long nr);
void fx_enter_other(struct fx *f);
void fx_leave_other(struct fx *f);

/* the mmap lock for read, and the VMA of an address */
struct vm_area_struct *fx_lock(struct fx *f, unsigned long addr);
void fx_unlock(struct fx *f);

/* the engine's functions under that lock, pages in place of bytes */
unsigned int fx_insert(struct fx *f, unsigned long addr, unsigned long pfn);
unsigned int fx_insert_rw(struct fx *f, unsigned long addr, unsigned long pfn);
int fx_remap(struct fx *f, unsigned long addr, unsigned long pfn,
	     unsigned long nr);
int fx_remap_rw(struct fx *f, unsigned long addr, unsigned long pfn,
		unsigned long nr);
int fx_zap(struct fx *f, unsigned long addr, unsigned long nr);
int fx_unmap_pages(struct fx *f, pgoff_t first, pgoff_t nr);

/* what a program does; -EFAULT or 0 */
int fx_get(unsigned long addr, u64 *val);
int fx_put(unsigned long addr, u64 val);

/* what there is, read without the engine */
u64 fx_entry(struct fx *f, unsigned long addr);
u64 fx_entry_locked(struct fx *f, unsigned long addr);
unsigned long fx_entries(struct fx *f, unsigned long addr, unsigned long nr);
long fx_rss(struct mm_struct *mm, int member);
long fx_tables(struct fx *f);
long fx_frames(struct fx *f);
pte_t *fx_ptep(struct mm_struct *mm, unsigned long addr);
pte_t fx_marker(void);
void fx_plant(struct fx *f, unsigned long addr, pte_t pte);
u64 *fx_frame(struct fx *f, unsigned long index);
struct mmext_stats fx_stats(struct fx *f);

/* memory that is not there */
bool fx_injects(struct kunit *test);
void fx_fail_nth(unsigned int n);
bool fx_fail_end(void);

/* who removes stale translations, until the case ends */
struct fx_backend {
	const char *name;
	bool native;
};

#define FX_BACKENDS	2
extern const struct fx_backend fx_backends[FX_BACKENDS];
void fx_backend_name(const struct fx_backend *b, char *desc);
bool fx_use(struct fx *f, const struct fx_backend *b);
bool fx_use_native(struct fx *f);
bool fx_use_kernel(struct fx *f);

/* In a case: the entry at an address is ... */
#define FX_EXPECT_ENTRY(_f, _addr, _want) \
	KUNIT_EXPECT_EQ(test, fx_entry(_f, _addr), (u64)(_want))

/* None of the entries of @_nr pages is there. */
#define FX_EXPECT_NONE(_f, _addr, _nr) \
	KUNIT_EXPECT_EQ(test, fx_entries(_f, _addr, _nr), 0UL)

/* The engine counted so many since the case began. */
#define FX_EXPECT_COUNT(_f, _what, _want) \
	KUNIT_EXPECT_EQ(test, fx_stats(_f)._what, (u64)(_want))

#endif /* _MMEXT_KUNIT_FIXTURE_H */
