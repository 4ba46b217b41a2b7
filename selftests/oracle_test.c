// SPDX-License-Identifier: GPL-2.0
/*
 * The engine beside the kernel: two devices that differ in whose functions they
 * call, the same done to a mapping of each, and nothing to tell them apart by.
 *
 * What is meant to differ is a row of meant[], with its reason.
 */
#include "mmext_selftest.h"
#include "modules/mmext_test_notifier.h"
#include "modules/mmext_test_oracle.h"

/* A stretch of addresses that nothing else is near, across a table's border. */
#define ARENA_PAGES	192
#define BORDER		96
#define ARENA		(ARENA_PAGES * page_size)

/**
 * struct twin - one of the two
 * @fd: its device
 * @addr: its arena: what is at the same place in both is the same
 * @rss_moved: a call changed a counter of the process
 * @counts: its entries have references and count as resident
 */
struct twin {
	int fd;
	char *addr;
	bool rss_moved;
	bool counts;
};

enum { ENGINE, KERNEL };

FIXTURE(oracle)
{
	struct twin twin[2];
};

static char *arena_reserve(void)
{
	/* two tables of its own: what shares a table would keep it */
	char *room = mmap(NULL, 3 * TABLE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t border;

	if (room == MAP_FAILED)
		return NULL;
	border = ((uintptr_t)room + 2 * TABLE - 1) & ~(TABLE - 1);
	return (char *)border - BORDER * page_size;
}

static int twins_open(struct twin *twin)
{
	twin[ENGINE].fd = open("/dev/mmext_test_engine", O_RDWR | O_CLOEXEC);
	twin[KERNEL].fd = open("/dev/mmext_test_kernel", O_RDWR | O_CLOEXEC);
	twin[ENGINE].addr = arena_reserve();
	twin[KERNEL].addr = arena_reserve();
	return twin[ENGINE].fd < 0 || twin[KERNEL].fd < 0 ||
	       !twin[ENGINE].addr || !twin[KERNEL].addr ? -ENODEV : 0;
}

/* Places are pages of the arena from here on. */
static char *at(const struct twin *t, long place)
{
	return t->addr + place * (long)page_size;
}

static __u64 pgoff(enum mmext_oracle_mode mode, unsigned int page)
{
	return mode * MMEXT_ORACLE_MODE + page;
}

static long map(struct twin *t, int place, int nr, int prot, __u64 offset)
{
	void *addr = mmap(at(t, place), nr * page_size, prot,
			  MAP_SHARED | MAP_FIXED, t->fd, offset * page_size);

	return addr == MAP_FAILED ? -errno : 0;
}

/* Leaves no hole, in which the two would get different things. */
static long reserve(struct twin *t, int place, int nr)
{
	void *addr = mmap(at(t, place), nr * page_size, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			  MAP_FIXED, -1, 0);

	return addr == MAP_FAILED ? -errno : 0;
}

static long unmap(struct twin *t, int place, int nr)
{
	if (munmap(at(t, place), nr * page_size))
		return -errno;
	return reserve(t, place, nr);
}

static long oracle_call(struct twin *t, struct mmext_oracle_call *c)
{
	int ret = call(t->fd, MMEXT_ORACLE_CALL, c);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(c->out_rss); i++)
		t->rss_moved |= !ret && c->out_rss[i];
	return ret ? ret : c->out_result;
}

/* A call on the VMA of @place, with any address and size. */
static long raw_call(struct twin *t, enum mmext_oracle_op op, int place,
		     void *addr, __u64 size, __u64 page, __u32 prot,
		     __u32 flags)
{
	struct mmext_oracle_call c = {
		.op = op,
		.prot = prot,
		.flags = flags,
		.vma = (uintptr_t)at(t, place),
		.addr = (uintptr_t)addr,
		.size = size,
		.page = page,
	};

	return oracle_call(t, &c);
}

static long insert(struct twin *t, int place, __u64 page)
{
	return raw_call(t, MMEXT_ORACLE_INSERT_PFN, place, at(t, place), 0,
			page, 0, 0);
}

static long insert_prot(struct twin *t, int place, __u64 page, __u32 prot)
{
	return raw_call(t, MMEXT_ORACLE_INSERT_PFN_PROT, place, at(t, place),
			0, page, prot, 0);
}

static long remap(struct twin *t, int place, int nr, __u64 page, __u32 prot)
{
	return raw_call(t, MMEXT_ORACLE_REMAP_PFN_RANGE, place, at(t, place),
			nr * page_size, page, prot, 0);
}

static long zap(struct twin *t, enum mmext_oracle_op op, int place, int nr)
{
	return raw_call(t, op, place, at(t, place), nr * page_size, 0, 0, 0);
}

static long follow(struct twin *t, int vma, int place)
{
	struct mmext_oracle_call c = {
		.op = MMEXT_ORACLE_FOLLOW_PFN,
		.vma = (uintptr_t)at(t, vma),
		.addr = (uintptr_t)at(t, place),
	};
	long ret = oracle_call(t, &c);

	return ret ? ret : (long)c.out_value;
}

static long unmap_mapping(struct twin *t, bool bytes, __u64 first, __u64 nr)
{
	struct mmext_oracle_call c = {
		.op = bytes ? MMEXT_ORACLE_UNMAP_MAPPING_RANGE :
			      MMEXT_ORACLE_UNMAP_MAPPING_PAGES,
		.addr = first,
		.size = nr,
	};

	return oracle_call(t, &c);
}

/* An access from inside a call, and so with the counters watched. */
static long kernel_load(struct twin *t, int place)
{
	struct mmext_oracle_call c = {
		.op = MMEXT_ORACLE_LOAD,
		.addr = (uintptr_t)at(t, place),
	};
	long ret = oracle_call(t, &c);

	return ret ? ret : (long)c.out_value;
}

static long kernel_store(struct twin *t, int place, __u8 byte)
{
	return raw_call(t, MMEXT_ORACLE_STORE, place, at(t, place), 0, byte, 0,
			0);
}

static long mkwrites(struct twin *t)
{
	struct mmext_oracle_call c = { .op = MMEXT_ORACLE_COUNTS };
	long ret = oracle_call(t, &c);

	return ret ? ret : (long)c.out_value;
}

/* What a call with pages changed in the counter of a file's pages. */
static long insert_page_rss(struct twin *t, int place, __u64 page)
{
	struct mmext_oracle_call c = {
		.op = MMEXT_ORACLE_INSERT_PAGE,
		.vma = (uintptr_t)at(t, place),
		.addr = (uintptr_t)at(t, place),
		.page = page,
	};
	long ret = oracle_call(t, &c);

	return ret ? ret : (long)c.out_rss[0];
}

static long insert_page(struct twin *t, int place, __u64 page)
{
	return raw_call(t, MMEXT_ORACLE_INSERT_PAGE, place, at(t, place), 0,
			page, 0, 0);
}

/* How many are not in, beside the answer: -EBUSY and 3 are 3 - 1000 * EBUSY. */
static long insert_pages(struct twin *t, int place, int nr, __u64 page)
{
	struct mmext_oracle_call c = {
		.op = MMEXT_ORACLE_INSERT_PAGES,
		.vma = (uintptr_t)at(t, place),
		.addr = (uintptr_t)at(t, place),
		.size = nr,
		.page = page,
	};

	return 1000 * oracle_call(t, &c) + (long)c.out_value;
}

/*
 * Of all pages, which both twins show: references, and on top map counts in
 * thousands.
 */
static long held(struct twin *t)
{
	struct mmext_oracle_call c = { .op = MMEXT_ORACLE_COUNTS };
	long ret = oracle_call(t, &c);

	return ret ? ret : (long)(c.out_refs + 1000 * c.out_maps);
}

/* What a program's own calls do */
static long protect(struct twin *t, int place, int nr, int prot)
{
	return mprotect(at(t, place), nr * page_size, prot) ? -errno : 0;
}

static long move(struct twin *t, int from, int to, int nr)
{
	void *addr = mremap(at(t, from), nr * page_size, nr * page_size,
			    MREMAP_MAYMOVE | MREMAP_FIXED, at(t, to));

	if (addr == MAP_FAILED)
		return -errno;
	return reserve(t, from, nr);
}

static long resize(struct twin *t, int place, int from, int to)
{
	void *addr = mremap(at(t, place), from * page_size, to * page_size, 0);

	if (addr == MAP_FAILED)
		return -errno;
	return to < from ? reserve(t, place + to, from - to) : 0;
}

static long advise(struct twin *t, int place, int nr, int advice)
{
	return madvise(at(t, place), nr * page_size, advice) ? -errno : 0;
}

static long lock(struct twin *t, int place, int nr, bool on)
{
	int ret = on ? mlock(at(t, place), nr * page_size) :
		       munlock(at(t, place), nr * page_size);

	return ret ? -errno : 0;
}

static long sync_range(struct twin *t, int place, int nr, int flags)
{
	return msync(at(t, place), nr * page_size, flags) ? -errno : 0;
}

static long proc_mem(struct twin *t, int place, bool store)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	__u8 byte = 1;
	ssize_t len;
	long ret;

	if (fd < 0)
		return -errno;
	len = store ? pwrite(fd, &byte, 1, (off_t)at(t, place)) :
		      pread(fd, &byte, 1, (off_t)at(t, place));
	ret = len < 0 ? -errno : len;
	close(fd);
	return ret;
}

static long process_vm(struct twin *t, int place, bool store)
{
	__u8 byte = 1;
	struct iovec mine = { .iov_base = &byte, .iov_len = 1 };
	struct iovec his = { .iov_base = at(t, place), .iov_len = 1 };
	ssize_t len;

	len = store ? process_vm_writev(getpid(), &mine, 1, &his, 1, 0) :
		      process_vm_readv(getpid(), &mine, 1, &his, 1, 0);
	return len < 0 ? -errno : len;
}

/* Comparing */

#define LEVEL_PMD	2

static int look(struct twin *t, struct mmext_oracle_look *look,
		struct mmext_oracle_entry *entries)
{
	int i, ret;

	look->addr = (uintptr_t)t->addr;
	look->nr = ARENA_PAGES;
	look->entries = (uintptr_t)entries;
	ret = call(t->fd, MMEXT_ORACLE_LOOK, look);
	/* a table above the PMD is there for whatever else lies in its gibibyte */
	for (i = 0; !ret && i < ARENA_PAGES; i++)
		if (entries[i].level > LEVEL_PMD)
			entries[i].level = LEVEL_PMD;
	return ret;
}

static int present(struct twin *t)
{
	struct mmext_oracle_entry entries[ARENA_PAGES];
	struct mmext_oracle_look arg;
	int i, nr = 0;

	if (look(t, &arg, entries))
		return -1;
	for (i = 0; i < ARENA_PAGES; i++)
		nr += entries[i].flags & MMEXT_ORACLE_PRESENT;
	return nr;
}

static int page_counts_wrong(struct twin *t)
{
	struct mmext_oracle_call c = { .op = MMEXT_ORACLE_COUNTS };
	int wrong = 0;

	if (t->counts)
		return 0;
	if (oracle_call(t, &c) || c.out_refs || c.out_maps) {
		printf("# %lld references, %lld map counts too many\n",
		       (long long)c.out_refs, (long long)c.out_maps);
		wrong++;
	}
	if (t->rss_moved) {
		printf("# a call moved a counter of the process\n");
		wrong++;
	}
	t->rss_moved = false;
	return wrong;
}

static void print_entry(const char *side, int place,
			const struct mmext_oracle_entry *e)
{
	printf("# %s: place %d, entry %#llx, page %lld, flags %#x, level %u\n",
	       side, place, (unsigned long long)e->raw, (long long)e->page,
	       e->flags, e->level);
}

/* How many things differ between the twins; says what. */
static int differences(struct twin *twin)
{
	struct mmext_oracle_entry entries[2][ARENA_PAGES], *e, *k;
	struct mmext_oracle_look arg[2];
	int i, nr;

	for (i = 0; i < 2; i++)
		if (look(&twin[i], &arg[i], entries[i]))
			return -1;
	nr = page_counts_wrong(&twin[ENGINE]) + page_counts_wrong(&twin[KERNEL]);
	if (arg[ENGINE].out_tables != arg[KERNEL].out_tables) {
		printf("# tables: engine %llu, kernel %llu\n",
		       (unsigned long long)arg[ENGINE].out_tables,
		       (unsigned long long)arg[KERNEL].out_tables);
		nr++;
	}
	for (i = 0; i < ARENA_PAGES; i++) {
		e = &entries[ENGINE][i];
		k = &entries[KERNEL][i];
		if (!memcmp(e, k, sizeof(*e)))
			continue;
		if (nr++ < 4) {
			print_entry("engine", i, e);
			print_entry("kernel", i, k);
		}
	}
	fflush(stdout);
	return nr;
}

/* The same done to both: the same answer, and the same entries afterwards. */
#define SAME(call_)							\
({									\
	struct twin *t = &self->twin[ENGINE];				\
	long engine_ = (call_), kernel_;				\
									\
	t = &self->twin[KERNEL];					\
	kernel_ = (call_);						\
	EXPECT_EQ(kernel_, engine_) {					\
		TH_LOG("%s", #call_);					\
	}								\
	EXPECT_EQ(0, differences(self->twin)) {				\
		TH_LOG("after %s", #call_);				\
	}								\
	kernel_;							\
})

/* And that answer is known. */
#define BOTH(answer_, call_)	EXPECT_EQ(answer_, SAME(call_))

#define NR	64
#define FIRST	(BORDER - NR / 2)
#define RW	(PROT_READ | PROT_WRITE)

FIXTURE_SETUP(oracle)
{
	ASSERT_EQ(0, twins_open(self->twin));
	fault_catch();
	/* across the border; nothing comes by itself */
	BOTH(0, map(t, FIRST, NR, RW, pgoff(MMEXT_ORACLE_NO_FAULT, 0)));
}

FIXTURE_TEARDOWN(oracle)
{
	BOTH(0, unmap(t, 0, ARENA_PAGES));
	close(self->twin[ENGINE].fd);
	close(self->twin[KERNEL].fd);
}

/* Where there is nothing of the kind, with small pages on both sides. */
TEST_F(oracle, vmf_insert_pfn_pmd)
{
	int nr = MMEXT_ORACLE_BLOCK, first = BORDER;

	BOTH(0, map(t, first, nr, RW, pgoff(MMEXT_ORACLE_HUGE_MODE, 0)));
	BOTH(0, peek(at(t, first + 5)));
	SAME(follow(t, first, first + 5));
	BOTH(0, poke(at(t, first + 5), 1));
	BOTH(1, peek(at(t, first + 5)));
	SAME(follow(t, first, first + 5));
	BOTH(-EFAULT, process_vm(t, first + 5, false));
	/* all of it, and what is stored then */
	BOTH(0, protect(t, first, nr, PROT_READ));
	BOTH(-SIGSEGV, poke(at(t, first + 5), 2));
	BOTH(0, protect(t, first, nr, PROT_NONE));
	BOTH(-SIGSEGV, peek(at(t, first + 5)));
	BOTH(0, protect(t, first, nr, RW));
	BOTH(0, poke(at(t, first + 5), 2));
	/* a part takes all of it out */
	BOTH(0, zap(t, MMEXT_ORACLE_ZAP_VMA_PTES, first + 3, 1));
	BOTH(2, peek(at(t, first + 5)));
	BOTH(0, unmap_mapping(t, false, pgoff(MMEXT_ORACLE_HUGE_MODE, 7), 1));
	BOTH(0, poke(at(t, first + 5), 3));
	BOTH(0, protect(t, first + 8, 1, PROT_READ));
	BOTH(3, peek(at(t, first + 5)));
	BOTH(0, peek(at(t, first + 8)));
	BOTH(-SIGSEGV, poke(at(t, first + 8), 3));
	BOTH(0, protect(t, first + 8, 1, RW));
	BOTH(0, poke(at(t, first + 8), 0));
	BOTH(0, unmap(t, first + 16, 1));
	BOTH(3, peek(at(t, first + 5)));
	BOTH(0, poke(at(t, first + 5), 0));
	BOTH(0, unmap(t, first, nr));
}

TEST_F(oracle, vm_insert_page)
{
	struct peer peer;

	self->twin[ENGINE].counts = true;
	self->twin[KERNEL].counts = true;
	BOTH(0, map(t, FIRST, NR, RW, pgoff(MMEXT_ORACLE_PAGES_MODE, 0)));
	BOTH(0, insert_page(t, FIRST, 5));
	BOTH(1, insert_page_rss(t, BORDER, 6));
	BOTH(4004, held(t));
	/* over an entry, the same and another */
	BOTH(-EBUSY, insert_page(t, FIRST, 5));
	BOTH(-EBUSY, insert_page(t, FIRST, 7));
	/* not in the VMA */
	BOTH(-EFAULT, raw_call(t, MMEXT_ORACLE_INSERT_PAGE, FIRST,
			       at(t, FIRST + NR), 0, 1, 0, 0));
	BOTH(5, peek(at(t, FIRST)));
	BOTH(0, poke(at(t, FIRST), 5));
	SAME(mkwrites(t));
	BOTH(0, kernel_store(t, BORDER, 6));
	SAME(mkwrites(t));
	BOTH(1, process_vm(t, FIRST, false));
	BOTH(4004, held(t));
	/* a child's entries hold the pages, too, until it ends */
	ASSERT_EQ(0, peer_start(&peer));
	BOTH(8008, held(t));
	EXPECT_EQ(0, peer_stop(&peer));
	BOTH(4004, held(t));
	BOTH(0, protect(t, FIRST, NR, PROT_READ));
	BOTH(0, protect(t, FIRST, NR, RW));
	BOTH(0, poke(at(t, FIRST), 5));
	BOTH(0, zap(t, MMEXT_ORACLE_ZAP_PAGE_RANGE, FIRST, 1));
	BOTH(2002, held(t));
	BOTH(0, unmap_mapping(t, false, pgoff(MMEXT_ORACLE_PAGES_MODE, 0),
			      NR));
	BOTH(0, held(t));
	BOTH(0, present(t));
}

TEST_F(oracle, vm_insert_pages)
{
	self->twin[ENGINE].counts = true;
	self->twin[KERNEL].counts = true;
	BOTH(0, map(t, FIRST, NR, RW, pgoff(MMEXT_ORACLE_PAGES_MODE, 0)));
	BOTH(0, insert_pages(t, FIRST + 1, NR - 8, 3));
	BOTH(2002 * (NR - 8), held(t));
	BOTH(3, peek(at(t, FIRST + 1)));
	/* stops at an entry, and what is in stays */
	BOTH(0, insert_page(t, FIRST + NR - 3, 1));
	BOTH(-1000 * EBUSY + 2, insert_pages(t, FIRST + NR - 7, 6, 9));
	BOTH(9, peek(at(t, FIRST + NR - 7)));
	/* past the end of the VMA: none */
	BOTH(-1000 * EFAULT + 3, insert_pages(t, FIRST + NR - 2, 3, 1));
	BOTH(0, poke(at(t, FIRST + NR - 7), 9));
	BOTH(0, move(t, FIRST, FIRST + NR, NR / 2));
	BOTH(0, unmap(t, FIRST, 2 * NR));
	BOTH(0, held(t));
}

TEST_F(oracle, insert_pfn)
{
	BOTH(MMEXT_ORACLE_NOPAGE, insert(t, FIRST, 5));
	BOTH(MMEXT_ORACLE_NOPAGE, insert(t, BORDER, 6));
	BOTH(MMEXT_ORACLE_NOPAGE, insert(t, FIRST + NR - 1, 7));
	/* over an entry, the same and another */
	BOTH(MMEXT_ORACLE_NOPAGE, insert(t, FIRST, 5));
	BOTH(MMEXT_ORACLE_NOPAGE, insert(t, FIRST, 8));
	BOTH(5, peek(at(t, FIRST)));
	/* not the address of a page */
	BOTH(MMEXT_ORACLE_NOPAGE,
	     raw_call(t, MMEXT_ORACLE_INSERT_PFN, FIRST, at(t, FIRST + 1) + 77,
		      0, 9, 0, 0));
	BOTH(4, present(t));
}

TEST_F(oracle, insert_pfn_outside_of_the_vma)
{
	static const enum mmext_oracle_op ops[] = {
		MMEXT_ORACLE_INSERT_PFN, MMEXT_ORACLE_INSERT_PFN_PROT,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		BOTH(MMEXT_ORACLE_SIGBUS,
		     raw_call(t, ops[i], FIRST, at(t, FIRST - 1), 0, 5, 0, 0));
		BOTH(MMEXT_ORACLE_SIGBUS,
		     raw_call(t, ops[i], FIRST, at(t, FIRST + NR), 0, 5, 0, 0));
		BOTH(MMEXT_ORACLE_SIGBUS,
		     raw_call(t, ops[i], FIRST, NULL, 0, 5, 0, 0));
		BOTH(MMEXT_ORACLE_SIGBUS,
		     raw_call(t, ops[i], FIRST, (void *)-1UL, 0, 5, 0, 0));
	}
}

TEST_F(oracle, insert_pfn_prot)
{
	BOTH(MMEXT_ORACLE_NOPAGE, insert_prot(t, FIRST, 5, 0));
	BOTH(MMEXT_ORACLE_NOPAGE,
	     insert_prot(t, FIRST + 1, 6, MMEXT_ORACLE_WRITE));
	BOTH(MMEXT_ORACLE_NOPAGE,
	     insert_prot(t, FIRST + 2, 7,
			 MMEXT_ORACLE_WRITE | MMEXT_ORACLE_DIRTY));
	/* a writable one over a read-only one, and the other way round */
	BOTH(MMEXT_ORACLE_NOPAGE,
	     insert_prot(t, FIRST, 5, MMEXT_ORACLE_WRITE));
	BOTH(MMEXT_ORACLE_NOPAGE, insert_prot(t, FIRST + 1, 6, 0));
	/* what the CPU makes of them */
	BOTH(0, poke(at(t, FIRST + 1), 6));
	BOTH(0, poke(at(t, FIRST), 5));
	BOTH(7, peek(at(t, FIRST + 2)));
}

TEST_F(oracle, remap_pfn_range)
{
	BOTH(0, remap(t, FIRST + 1, 1, 1, 0));
	BOTH(0, remap(t, FIRST + 4, NR - 8, 4, MMEXT_ORACLE_WRITE));
	BOTH(NR - 7, present(t));
	BOTH(4, peek(at(t, FIRST + 4)));
	BOTH(0, poke(at(t, BORDER), NR / 2));
	/* a size that is no number of pages */
	BOTH(0, raw_call(t, MMEXT_ORACLE_REMAP_PFN_RANGE, FIRST,
			 at(t, FIRST + 2), page_size + 1, 100, 0, 0));
	BOTH(NR - 5, present(t));
}

TEST_F(oracle, remap_pfn_range_of_a_whole_vma)
{
	BOTH(0, remap(t, FIRST, NR, 3, MMEXT_ORACLE_WRITE));
	BOTH(NR, present(t));
	BOTH(0, poke(at(t, FIRST), 3));
	BOTH(0, unmap(t, FIRST, NR));
	BOTH(0, present(t));
}

TEST_F(oracle, zaps)
{
	static const enum mmext_oracle_op ops[] = {
		MMEXT_ORACLE_ZAP_VMA_PTES, MMEXT_ORACLE_ZAP_PAGE_RANGE,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		BOTH(0, remap(t, FIRST + 1, NR - 1, 1, MMEXT_ORACLE_WRITE));
		BOTH(0, zap(t, ops[i], FIRST, 1));
		BOTH(0, zap(t, ops[i], FIRST + 1, 1));
		BOTH(0, zap(t, ops[i], FIRST + NR - 1, 1));
		BOTH(-SIGBUS, peek(at(t, FIRST + 1)));
		BOTH(2, peek(at(t, FIRST + 2)));
		BOTH(0, zap(t, ops[i], BORDER - 3, 6));
		BOTH(NR - 9, present(t));
		BOTH(0, zap(t, ops[i], FIRST, NR));
		BOTH(0, present(t));
		BOTH(0, zap(t, ops[i], FIRST, NR));
	}
}

TEST_F(oracle, zap_page_range_over_vmas)
{
	/* three VMAs of one, a hole that is none to the twins, and a second */
	BOTH(0, map(t, FIRST + NR + 4, 8, RW,
		    pgoff(MMEXT_ORACLE_NO_FAULT, 100)));
	BOTH(0, remap(t, FIRST + 1, NR - 1, 1, MMEXT_ORACLE_WRITE));
	BOTH(0, remap(t, FIRST + NR + 5, 7, 50, 0));
	BOTH(0, protect(t, BORDER - 1, 2, PROT_READ));
	munmap(at(&self->twin[ENGINE], FIRST + NR), 4 * page_size);
	munmap(at(&self->twin[KERNEL], FIRST + NR), 4 * page_size);
	BOTH(0, zap(t, MMEXT_ORACLE_ZAP_VMAS, FIRST + 2, NR + 5));
	BOTH(0, reserve(t, FIRST + NR, 4));
	BOTH(1 + 5, present(t));
	BOTH(1, peek(at(t, FIRST + 1)));
	BOTH(-SIGBUS, peek(at(t, BORDER)));
	BOTH(-SIGBUS, peek(at(t, FIRST + NR + 6)));
	BOTH(52, peek(at(t, FIRST + NR + 7)));
}

static long iomap(struct twin *t, int place, __u64 start, __u64 len)
{
	return raw_call(t, MMEXT_ORACLE_VM_IOMAP_MEMORY, place, (void *)start,
			len, 0, 0, 0);
}

TEST_F(oracle, vm_iomap_memory)
{
	__u64 end = MMEXT_ORACLE_PAGES * page_size;

	BOTH(0, map(t, 0, 16, RW, 4));
	/* too short by a page, by a byte, and before its begin */
	BOTH(-EINVAL, iomap(t, 0, 0, 19 * page_size));
	BOTH(-EINVAL, iomap(t, 0, 0, 3 * page_size));
	BOTH(-EINVAL, iomap(t, 0, 0, 0));
	BOTH(-EINVAL, iomap(t, 0, 0, -page_size));
	BOTH(0, present(t));
	/* from inside of a page, to inside of the last */
	BOTH(0, iomap(t, 0, 100, 20 * page_size - 200));
	BOTH(16, present(t));
	BOTH(4, peek(at(t, 0)));
	BOTH(0, poke(at(t, 15), 19));
	BOTH(0, map(t, 20, 4, PROT_READ, MMEXT_ORACLE_PAGES - 4));
	BOTH(0, iomap(t, 20, 0, end));
	BOTH((MMEXT_ORACLE_PAGES - 1) % 256, peek(at(t, 23)));
	/* what the VMA is now */
	BOTH(-EIO, proc_mem(t, 15, false));
	BOTH(-EFAULT, process_vm(t, 15, false));
	BOTH(-EINVAL, advise(t, 0, 16, MADV_DOFORK));
	BOTH(-EINVAL, advise(t, 0, 16, MADV_DODUMP));
}

TEST_F(oracle, unmap_mappings)
{
	__u64 offset = pgoff(MMEXT_ORACLE_NO_FAULT, 0);
	int i;

	/* a second mapping, from page 8 of the first on */
	BOTH(0, map(t, 0, 16, RW, offset + 8));
	for (i = 0; i < 2; i++) {
		bool bytes = i;
		size_t unit = bytes ? page_size : 1;

		BOTH(0, remap(t, FIRST + 1, NR - 1, 1, 0));
		BOTH(0, remap(t, 1, 15, 9, 0));
		BOTH(0, unmap_mapping(t, bytes, (offset + 10) * unit,
				      2 * unit));
		BOTH(NR - 1 - 2 + 15 - 2, present(t));
		BOTH(-SIGBUS, peek(at(t, 2)));
		BOTH(-SIGBUS, peek(at(t, FIRST + 11)));
		/* before it, behind it, and to the end */
		BOTH(0, unmap_mapping(t, bytes, 0, offset * unit));
		BOTH(0, unmap_mapping(t, bytes, (offset + NR) * unit, 0));
		BOTH(NR - 1 - 2 + 15 - 2, present(t));
		BOTH(0, unmap_mapping(t, bytes, (offset + 20) * unit, 0));
		BOTH(19 - 2 + 11 - 2, present(t));
		BOTH(0, unmap_mapping(t, bytes, 0, 0));
		BOTH(0, present(t));
	}
	/* bytes inside of a page */
	BOTH(0, remap(t, FIRST + 1, 4, 1, 0));
	BOTH(0, unmap_mapping(t, true, (offset + 2) * page_size + 5, 1));
	BOTH(0, unmap_mapping(t, true, (offset + 3) * page_size,
			      page_size + 1));
	BOTH(1, present(t));
}

TEST_F(oracle, follow_pfn)
{
	BOTH(MMEXT_ORACLE_NOPAGE, insert(t, FIRST + 1, 9));
	BOTH(9, follow(t, FIRST, FIRST + 1));
	/* a table without the entry, and no table */
	BOTH(-EINVAL, follow(t, FIRST, FIRST));
	BOTH(-EINVAL, follow(t, FIRST, BORDER));
	/* not its addresses, and nothing there */
	BOTH(-EINVAL, follow(t, FIRST, 0));
	/* an entry that no access may use */
	BOTH(0, protect(t, FIRST, NR, PROT_NONE));
	BOTH(9, follow(t, FIRST, FIRST + 1));
	BOTH(0, zap(t, MMEXT_ORACLE_ZAP_VMA_PTES, FIRST, NR));
	BOTH(-EINVAL, follow(t, FIRST, FIRST + 1));
}

/* Faults of a program, and what the driver is asked */
FIXTURE(faults)
{
	struct twin twin[2];
};

FIXTURE_VARIANT(faults)
{
	enum mmext_oracle_mode mode;
};

FIXTURE_VARIANT_ADD(faults, insert_pfn)
{
	.mode = MMEXT_ORACLE_FAULT,
};

FIXTURE_VARIANT_ADD(faults, insert_pfn_prot)
{
	.mode = MMEXT_ORACLE_FAULT_PROT,
};

FIXTURE_VARIANT_ADD(faults, fault_insert_pfn)
{
	.mode = MMEXT_ORACLE_FAULT_CHECKED,
};

FIXTURE_SETUP(faults)
{
	ASSERT_EQ(0, twins_open(self->twin));
	fault_catch();
	BOTH(0, map(t, FIRST, NR, RW, pgoff(variant->mode, 0)));
}

FIXTURE_TEARDOWN(faults)
{
	BOTH(0, unmap(t, 0, ARENA_PAGES));
	close(self->twin[ENGINE].fd);
	close(self->twin[KERNEL].fd);
}

TEST_F(faults, load_store_and_store_first)
{
	long before = SAME(mkwrites(t));

	BOTH(1, peek(at(t, FIRST + 1)));
	SAME(mkwrites(t));
	BOTH(0, poke(at(t, FIRST + 1), 1));
	SAME(mkwrites(t));
	BOTH(0, poke(at(t, FIRST + 1), 1));
	SAME(mkwrites(t));
	BOTH(0, poke(at(t, BORDER), NR / 2));
	BOTH(1, peek(at(t, FIRST + 1)));
	BOTH(before + (variant->mode == MMEXT_ORACLE_FAULT ? 2 : 0),
	     mkwrites(t));
	BOTH(2, present(t));
}

TEST_F(faults, from_inside_the_kernel)
{
	BOTH(3, kernel_load(t, FIRST + 3));
	BOTH(0, kernel_store(t, FIRST + 3, 3));
	BOTH(0, kernel_store(t, FIRST + 4, 4));
	BOTH(-EFAULT, kernel_load(t, FIRST - 1));
	BOTH(0, protect(t, FIRST, NR, PROT_READ));
	BOTH(-EFAULT, kernel_store(t, FIRST + 5, 5));
	BOTH(5, kernel_load(t, FIRST + 5));
	SAME(mkwrites(t));
}

TEST_F(faults, in_a_read_only_mapping)
{
	BOTH(0, map(t, 0, 8, PROT_READ, pgoff(variant->mode, 16)));
	BOTH(16, peek(at(t, 0)));
	BOTH(-SIGSEGV, poke(at(t, 0), 1));
	BOTH(-SIGSEGV, poke(at(t, 1), 1));
	/* which may become a writable one, where the file is open for it */
	BOTH(0, protect(t, 0, 8, RW));
	BOTH(0, poke(at(t, 0), 16));
	BOTH(0, poke(at(t, 2), 18));
	SAME(mkwrites(t));
}

TEST_F(faults, through_mprotect)
{
	static const int prots[] = {
		PROT_READ, RW, PROT_NONE, RW, PROT_NONE, PROT_READ, RW,
		PROT_READ | PROT_EXEC, RW,
	};
	size_t i;
	int p;

	/* one stored to, one loaded from, one never touched */
	BOTH(0, poke(at(t, FIRST + 1), 1));
	BOTH(2, peek(at(t, FIRST + 2)));
	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		BOTH(0, protect(t, FIRST, NR, prots[i]));
		for (p = 1; p < 4; p++)
			SAME(peek(at(t, FIRST + p)));
		SAME(mkwrites(t));
	}
	for (p = 1; p < 4; p++)
		BOTH(0, poke(at(t, FIRST + p), p));
	SAME(mkwrites(t));
	/* of a part: three VMAs */
	BOTH(0, protect(t, FIRST + 2, 1, PROT_READ));
	BOTH(-SIGSEGV, poke(at(t, FIRST + 2), 2));
	BOTH(0, poke(at(t, FIRST + 1), 1));
	BOTH(0, poke(at(t, FIRST + 3), 3));
}

TEST_F(faults, through_fork)
{
	pid_t pid;

	BOTH(0, poke(at(t, FIRST + 1), 1));
	BOTH(2, peek(at(t, FIRST + 2)));
	BOTH(0, poke(at(t, BORDER), NR / 2));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		struct twin *twin = self->twin, *t;

		CHILD_CHECK(!differences(twin));
		CHILD_CHECK(present(&twin[KERNEL]) == 3);
		for (t = twin; t < twin + 2; t++) {
			CHILD_CHECK(peek(at(t, FIRST + 1)) == 1);
			CHILD_CHECK(!poke(at(t, FIRST + 2), 2));
			CHILD_CHECK(!poke(at(t, FIRST + 3), 3));
			CHILD_CHECK(peek(at(t, FIRST + 4)) == 4);
			CHILD_CHECK(!zap(t, MMEXT_ORACLE_ZAP_VMA_PTES,
					 BORDER, 1));
		}
		CHILD_CHECK(!differences(twin));
		CHILD_CHECK(mkwrites(&twin[ENGINE]) == mkwrites(&twin[KERNEL]));
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	/* the parent has what it had */
	BOTH(3, present(t));
}

TEST_F(faults, through_fork_and_unmap_mapping)
{
	int told[2];
	char byte;
	pid_t pid;

	BOTH(0, poke(at(t, FIRST + 1), 1));
	ASSERT_EQ(0, pipe(told));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		close(told[1]);
		CHILD_CHECK(!read(told[0], &byte, 1));
		CHILD_CHECK(!differences(self->twin));
		CHILD_CHECK(!present(&self->twin[KERNEL]));
		_exit(0);
	}
	BOTH(0, unmap_mapping(t, false, pgoff(variant->mode, 0), NR));
	close(told[1]);
	EXPECT_EQ(0, child_status(pid));
	close(told[0]);
	BOTH(0, present(t));
}

TEST_F(faults, through_mremap)
{
	fill(at(&self->twin[ENGINE], FIRST), NR * page_size, 0);
	fill(at(&self->twin[KERNEL], FIRST), NR * page_size, 0);
	/* across the border to where there is none, and back with holes */
	BOTH(0, move(t, BORDER - 4, 0, 8));
	BOTH(NR / 2 - 4, peek(at(t, 0)));
	BOTH(0, poke(at(t, 7), NR / 2 + 3));
	BOTH(0, zap(t, MMEXT_ORACLE_ZAP_VMA_PTES, 2, 3));
	BOTH(0, move(t, 0, BORDER - 4, 8));
	BOTH(NR / 2 - 2, peek(at(t, BORDER - 2)));
	/* smaller, and not larger */
	BOTH(0, resize(t, FIRST, 8, 5));
	BOTH(-SIGSEGV, peek(at(t, FIRST + 5)));
	BOTH(-EFAULT, resize(t, FIRST, 5, 6));
	BOTH(-EFAULT, resize(t, FIRST, 0, 5));
	SAME(mkwrites(t));
}

TEST_F(faults, through_a_partial_munmap)
{
	fill(at(&self->twin[ENGINE], FIRST), NR * page_size, 0);
	fill(at(&self->twin[KERNEL], FIRST), NR * page_size, 0);
	BOTH(0, unmap(t, FIRST, 1));
	BOTH(0, unmap(t, BORDER - 2, 4));
	BOTH(0, unmap(t, FIRST + NR - 1, 1));
	BOTH(NR - 6, present(t));
	BOTH(1, peek(at(t, FIRST + 1)));
	BOTH(0, zap(t, MMEXT_ORACLE_ZAP_PAGE_RANGE, BORDER + 2, 4));
	BOTH(NR / 2 + 2, peek(at(t, BORDER + 2)));
	/* the rest of a table goes with its last page */
	BOTH(0, unmap(t, BORDER, ARENA_PAGES - BORDER));
}

TEST_F(faults, through_madvise)
{
	int advice;

	BOTH(0, poke(at(t, FIRST + 1), 1));
	BOTH(2, peek(at(t, FIRST + 2)));
	/* all that Linux has, and some that it has not; no page is poisoned */
	for (advice = 0; advice < 32; advice++) {
		SAME(advise(t, FIRST, 8, advice));
		BOTH(1, peek(at(t, FIRST + 1)));
		SAME(peek(at(t, FIRST + 3)));
	}
	/* guards */
	SAME(advise(t, FIRST, 8, 102));
	SAME(advise(t, FIRST, 8, 103));
	SAME(mkwrites(t));
}

TEST_F(faults, through_mlock)
{
	BOTH(0, poke(at(t, FIRST + 1), 1));
	SAME(lock(t, FIRST, 8, true));
	BOTH(2, peek(at(t, FIRST + 2)));
	BOTH(0, zap(t, MMEXT_ORACLE_ZAP_VMA_PTES, FIRST, 8));
	BOTH(0, poke(at(t, FIRST + 1), 1));
	SAME(sync_range(t, FIRST, 8, MS_SYNC | MS_INVALIDATE));
	SAME(lock(t, FIRST, 8, false));
	SAME(sync_range(t, FIRST, 8, MS_SYNC));
	SAME(sync_range(t, FIRST, 8, MS_ASYNC));
	SAME(sync_range(t, FIRST - 1, 8, MS_SYNC));
}

TEST_F(faults, that_others_make)
{
	int store, place;

	BOTH(0, poke(at(t, FIRST + 1), 1));
	for (store = 0; store < 2; store++) {
		for (place = 1; place < 3; place++) {
			BOTH(-EIO, proc_mem(t, FIRST + place, store));
			BOTH(-EFAULT, process_vm(t, FIRST + place, store));
		}
	}
}

static long populate_map(struct twin *t)
{
	void *addr = mmap(at(t, 0), 8 * page_size, RW,
			  MAP_SHARED | MAP_FIXED | MAP_POPULATE, t->fd,
			  pgoff(MMEXT_ORACLE_FAULT, 0) * page_size);

	return addr == MAP_FAILED ? -errno : 0;
}

TEST_F(faults, ahead)
{
	BOTH(0, populate_map(t));
	SAME(present(t));
	BOTH(0, peek(at(t, 0)));
}

/* What the kernel tells of the mappings */

/* The text about an arena in smaps, without what names or places it. */
static void smaps_text(struct twin *t, char *text, size_t size)
{
	unsigned long start, end, offset;
	char line[512], perms[8];
	bool inside = false;
	size_t len = 0;
	FILE *file = fopen("/proc/self/smaps", "re");

	text[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx %7s %lx", &start, &end, perms,
			   &offset) == 4) {
			inside = start >= (uintptr_t)t->addr &&
				 end <= (uintptr_t)t->addr + ARENA;
			snprintf(line, sizeof(line), "%lx-%lx %s %lx\n",
				 start - (uintptr_t)t->addr,
				 end - (uintptr_t)t->addr, perms, offset);
		}
		if (inside && len < size)
			len += snprintf(text + len, size - len, "%s", line);
	}
	if (file)
		fclose(file);
}

static int pagemap_read(struct twin *t, __u64 *entries)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t size = ARENA_PAGES * sizeof(*entries), len;

	len = pread(fd, entries, size, (uintptr_t)t->addr / page_size *
		    sizeof(*entries));
	close(fd);
	return len == size ? 0 : -EIO;
}

TEST_F(faults, as_smaps_and_pagemap_tell_them)
{
	static char text[2][64 * KIB];
	__u64 entries[2][ARENA_PAGES];
	int i;

	BOTH(0, map(t, 8, 8, PROT_READ, pgoff(variant->mode, 16)));
	fill(at(&self->twin[ENGINE], FIRST), NR / 2 * page_size, 0);
	fill(at(&self->twin[KERNEL], FIRST), NR / 2 * page_size, 0);
	BOTH(16, peek(at(t, 8)));
	BOTH(0, protect(t, FIRST, 4, PROT_NONE));
	for (i = 0; i < 2; i++) {
		smaps_text(&self->twin[i], text[i], sizeof(text[i]));
		ASSERT_EQ(0, pagemap_read(&self->twin[i], entries[i]));
	}
	EXPECT_STREQ(text[KERNEL], text[ENGINE]);
	EXPECT_NE(NULL, strstr(text[ENGINE], "VmFlags:"));
	EXPECT_EQ(0, memcmp(entries[KERNEL], entries[ENGINE],
			    sizeof(entries[KERNEL])));
	/* of page frames pagemap has a bit for soft-dirty, or nothing at all */
}

/* What is meant to differ */

#define NOT_CALLED	(-10000)	/* what the kernel would do is no answer */
#define EITHER		(-10001)	/* kernels differ */

struct meant {
	const char *what;
	const char *why;
	long (*call)(struct twin *t);
	long engine;
	long kernel;
	/* which flags of entries differ; present: there are more or fewer */
	__u32 flags;
	/* entries differ in bits that are no flag: a memory type */
	bool bits;
};

static long zap_past_the_vma(struct twin *t)
{
	return zap(t, MMEXT_ORACLE_ZAP_VMA_PTES, FIRST + NR - 1, 2);
}

static long zap_before_the_vma(struct twin *t)
{
	return raw_call(t, MMEXT_ORACLE_ZAP_VMA_PTES, FIRST, at(t, FIRST - 1),
			2 * page_size, 0, 0, 0);
}

static long zap_range_past_the_vma(struct twin *t)
{
	return zap(t, MMEXT_ORACLE_ZAP_PAGE_RANGE, FIRST + NR - 1, 2);
}

static long zap_part_of_a_page(struct twin *t)
{
	return raw_call(t, MMEXT_ORACLE_ZAP_VMA_PTES, FIRST, at(t, FIRST), 1,
			0, 0, 0);
}

static long unmap_from_below_zero(struct twin *t)
{
	return unmap_mapping(t, true, -page_size, page_size);
}

static long unmap_a_negative_length(struct twin *t)
{
	return unmap_mapping(t, true, 0, -page_size);
}

static long unmap_two_bytes_across_pages(struct twin *t)
{
	return unmap_mapping(t, true,
			     pgoff(MMEXT_ORACLE_NO_FAULT, 4) * page_size - 1, 2);
}

static long insert_impossible_frame(struct twin *t)
{
	return raw_call(t, MMEXT_ORACLE_INSERT_PFN, FIRST, at(t, FIRST), 0,
			1ULL << 40, 0, MMEXT_ORACLE_RAW);
}

static long remap_impossible_frame(struct twin *t)
{
	return raw_call(t, MMEXT_ORACLE_REMAP_PFN_RANGE, FIRST, at(t, FIRST),
			page_size, 1ULL << 40, 0, MMEXT_ORACLE_RAW);
}

static long insert_dirty_read_only(struct twin *t)
{
	return insert_prot(t, FIRST, 5, MMEXT_ORACLE_DIRTY);
}

static long remap_dirty_read_only(struct twin *t)
{
	return remap(t, FIRST, 1, 5, MMEXT_ORACLE_DIRTY);
}

static long remap_over_another_frame(struct twin *t)
{
	return remap(t, FIRST + 2, 1, 99, 0);
}

static long remap_the_same_again(struct twin *t)
{
	return remap(t, FIRST + 1, 4, 1, 0);
}

static long remap_nothing(struct twin *t)
{
	return remap(t, FIRST, 0, 0, 0);
}

static long remap_no_page_address(struct twin *t)
{
	return raw_call(t, MMEXT_ORACLE_REMAP_PFN_RANGE, FIRST,
			at(t, FIRST) + 1, page_size, 0, 0, 0);
}

static long remap_past_the_vma(struct twin *t)
{
	return remap(t, FIRST + NR - 1, 2, NR - 1, 0);
}

static long follow_into_another_vma(struct twin *t)
{
	return follow(t, 0, FIRST + 1);
}

static long map_private(struct twin *t)
{
	void *addr = mmap(NULL, page_size, PROT_READ, MAP_PRIVATE, t->fd,
			  pgoff(MMEXT_ORACLE_NO_FAULT, 0) * page_size);

	if (addr == MAP_FAILED)
		return -errno;
	munmap(addr, page_size);
	return 0;
}

/* After the remap_pfn_range() that each row begins with. */
static long has_vm_io(struct twin *t)
{
	static char text[64 * KIB];

	smaps_text(t, text, sizeof(text));
	return !!strstr(text, " io");
}

#ifdef __x86_64__
static long insert_write_combined(struct twin *t)
{
	return insert_prot(t, FIRST, 5, MMEXT_ORACLE_WC);
}
#endif

static const struct meant meant[] = {
	{
		.what = "zap_vma_ptes() past the end of the VMA",
		.why = "void there",
		.call = zap_past_the_vma,
		.engine = -EINVAL,
		.kernel = 0,
	}, {
		.what = "zap_vma_ptes() from before the VMA",
		.why = "void there",
		.call = zap_before_the_vma,
		.engine = -EINVAL,
		.kernel = 0,
	}, {
		.what = "zap_page_range() past the end of the VMA",
		.why = "what else is there is not the caller's",
		.call = zap_range_past_the_vma,
		.engine = -EINVAL,
		.kernel = NOT_CALLED,
	}, {
		.what = "zap_vma_ptes() of part of a page",
		.why = "takes another range there",
		.call = zap_part_of_a_page,
		.engine = -EINVAL,
		.kernel = NOT_CALLED,
	}, {
		.what = "unmap_mapping_range() from below 0",
		.why = "void there",
		.call = unmap_from_below_zero,
		.engine = -EINVAL,
		.kernel = 0,
	}, {
		.what = "unmap_mapping_range() of a negative length",
		.why = "a mistake there, and not all of the file",
		.call = unmap_a_negative_length,
		.engine = -EINVAL,
		.kernel = 0,
		.flags = MMEXT_ORACLE_PRESENT,
	}, {
		.what = "unmap_mapping_range() of two bytes in two pages",
		.why = "the caller must not find one of them still mapped",
		.call = unmap_two_bytes_across_pages,
		.engine = 0,
		.kernel = 0,
		.flags = MMEXT_ORACLE_PRESENT,
	}, {
		.what = "vmf_insert_pfn() of a frame that cannot be",
		.why = "reserved bits, an oops at the first access",
		.call = insert_impossible_frame,
		.engine = MMEXT_ORACLE_SIGBUS,
		.kernel = NOT_CALLED,
	}, {
		.what = "remap_pfn_range() of a frame that cannot be",
		.why = "reserved bits, an oops at the first access",
		.call = remap_impossible_frame,
		.engine = -EINVAL,
		.kernel = NOT_CALLED,
	}, {
		.what = "vmf_insert_pfn_prot() read-only and dirty",
		.why = "mprotect() would make it writable without asking",
		.call = insert_dirty_read_only,
		.engine = MMEXT_ORACLE_NOPAGE,
		.kernel = MMEXT_ORACLE_NOPAGE,
		.flags = MMEXT_ORACLE_IS_DIRTY,
	}, {
		.what = "remap_pfn_range() read-only and dirty",
		.why = "mprotect() would make it writable without asking",
		.call = remap_dirty_read_only,
		.engine = 0,
		.kernel = 0,
		.flags = MMEXT_ORACLE_IS_DIRTY,
	}, {
		.what = "remap_pfn_range() over another frame",
		.why = "a BUG there",
		.call = remap_over_another_frame,
		.engine = -EBUSY,
		.kernel = NOT_CALLED,
	}, {
		.what = "remap_pfn_range() of what is there",
		.why = "a BUG there",
		.call = remap_the_same_again,
		.engine = 0,
		.kernel = NOT_CALLED,
	}, {
		.what = "remap_pfn_range() of nothing",
		.why = "a BUG there",
		.call = remap_nothing,
		.engine = -EINVAL,
		.kernel = NOT_CALLED,
	}, {
		.what = "remap_pfn_range() from inside of a page",
		.why = "a warning there",
		.call = remap_no_page_address,
		.engine = -EINVAL,
		.kernel = NOT_CALLED,
	}, {
		.what = "remap_pfn_range() past the end of the VMA",
		.why = "leaves entries there that nobody takes out",
		.call = remap_past_the_vma,
		.engine = -EINVAL,
		.kernel = NOT_CALLED,
	}, {
		.what = "follow_pfn() of an address in another VMA",
		.why = "answered before 6.12, which is stricter",
		.call = follow_into_another_vma,
		.engine = -EINVAL,
		.kernel = EITHER,
	}, {
		.what = "private mapping",
		.why = "a BUG there at the first insertion",
		.call = map_private,
		.engine = -EINVAL,
		.kernel = 0,
	}, {
		.what = "VM_IO after remap_pfn_range()",
		.why = "pages of memory are nothing that reading disturbs",
		.call = has_vm_io,
		.engine = 0,
		.kernel = 1,
	},
#ifdef __x86_64__
	{
		.what = "memory type other than that of the page",
		.why = "it is the caller's to say",
		.call = insert_write_combined,
		.engine = MMEXT_ORACLE_NOPAGE,
		.kernel = MMEXT_ORACLE_NOPAGE,
		.bits = true,
	},
#endif
};

TEST_F(oracle, nothing_differs_but_what_is_meant_to)
{
	struct mmext_oracle_entry entries[2][ARENA_PAGES], *e, *k;
	struct mmext_oracle_look arg;
	const struct meant *m;
	long engine, kernel;
	__u32 flags;
	bool bits;
	int i;

	for (m = meant; m < meant + ARRAY_SIZE(meant); m++) {
		/* as on a clean sheet; some entries, and the first page free */
		BOTH(0, unmap(t, 0, ARENA_PAGES));
		BOTH(0, map(t, FIRST, NR, RW, pgoff(MMEXT_ORACLE_NO_FAULT, 0)));
		BOTH(0, map(t, 0, 8, RW, pgoff(MMEXT_ORACLE_NO_FAULT, 100)));
		BOTH(0, remap(t, FIRST + 1, 8, 1, 0));

		engine = m->call(&self->twin[ENGINE]);
		EXPECT_EQ(m->engine, engine)
			TH_LOG("%s", m->what);
		if (m->kernel == NOT_CALLED) {
			/* to refuse is to leave everything as it was */
			EXPECT_EQ(0, differences(self->twin))
				TH_LOG("%s", m->what);
			continue;
		}
		kernel = m->call(&self->twin[KERNEL]);
		if (m->kernel != EITHER)
			EXPECT_EQ(m->kernel, kernel)
				TH_LOG("%s", m->what);

		for (i = 0; i < 2; i++)
			ASSERT_EQ(0, look(&self->twin[i], &arg, entries[i]));
		flags = 0;
		bits = false;
		for (i = 0; i < ARENA_PAGES; i++) {
			e = &entries[ENGINE][i];
			k = &entries[KERNEL][i];
			if ((e->flags ^ k->flags) & MMEXT_ORACLE_PRESENT) {
				flags |= MMEXT_ORACLE_PRESENT;
				continue;
			}
			flags |= e->flags ^ k->flags;
			bits |= e->flags == k->flags && e->raw != k->raw;
			/* never meant */
			EXPECT_EQ(k->page, e->page);
		}
		EXPECT_EQ(0, m->flags & MMEXT_ORACLE_WRITABLE);
		/* a row that is no longer true goes */
		EXPECT_EQ(m->flags, flags)
			TH_LOG("%s", m->what);
		EXPECT_EQ(m->bits, bits)
			TH_LOG("%s", m->what);
		EXPECT_EQ(0, page_counts_wrong(&self->twin[ENGINE]));
		EXPECT_EQ(0, page_counts_wrong(&self->twin[KERNEL]));
	}
}

/* Anything, in any order */

enum kind {
	LOAD, STORE, KERNEL_LOAD, KERNEL_STORE, INSERT, INSERT_PROT, REMAP,
	ZAP, ZAP_RANGE, UNMAP_RANGE, UNMAP_PAGES, FOLLOW, MAP, UNMAP, PROTECT,
	MOVE, SHRINK, ADVISE, MLOCK, MSYNC, PROC_MEM, PROCESS_VM, FORK,
	NR_KINDS
};

static const char * const kind_names[] = {
	"load", "store", "load by the kernel", "store by the kernel",
	"insert_pfn", "insert_pfn_prot", "remap_pfn_range", "zap_vma_ptes",
	"zap_page_range", "unmap_mapping_range", "unmap_mapping_pages",
	"follow_pfn", "mmap", "munmap", "mprotect", "mremap", "mremap smaller",
	"madvise", "mlock", "msync", "/proc/self/mem", "process_vm", "fork",
};

/* How often each comes */
static const __u8 weights[NR_KINDS] = {
	[LOAD] = 12, [STORE] = 12, [KERNEL_LOAD] = 3, [KERNEL_STORE] = 3,
	[INSERT] = 8, [INSERT_PROT] = 8, [REMAP] = 10, [ZAP] = 6,
	[ZAP_RANGE] = 6, [UNMAP_RANGE] = 4, [UNMAP_PAGES] = 4, [FOLLOW] = 4,
	[MAP] = 6, [UNMAP] = 4, [PROTECT] = 8, [MOVE] = 5, [SHRINK] = 3,
	[ADVISE] = 3, [MLOCK] = 2, [MSYNC] = 2, [PROC_MEM] = 1,
	[PROCESS_VM] = 1, [FORK] = 1,
};

/**
 * struct step - one thing that is done to both
 * @kind: what
 * @place: where
 * @nr: pages, inside of what is mapped where the kind wants that
 * @to: another place
 * @page: of the device
 * @arg: a number more
 */
struct step {
	enum kind kind;
	int place;
	int nr;
	int to;
	unsigned int page;
	unsigned int arg;
};

/* Which places show the device. */
struct model {
	bool mapped[ARENA_PAGES];
};

static long zap_defined(struct twin *t, const struct step *s)
{
	return raw_call(t, s->kind == ZAP ? MMEXT_ORACLE_ZAP_VMA_PTES :
					    MMEXT_ORACLE_ZAP_PAGE_RANGE,
			s->place, at(t, s->place), s->nr * page_size, 0, 0,
			MMEXT_ORACLE_DEFINED);
}

static long remap_defined(struct twin *t, const struct step *s)
{
	return raw_call(t, MMEXT_ORACLE_REMAP_PFN_RANGE, s->place,
			at(t, s->place), s->nr * page_size, s->page,
			s->arg & 1 ? MMEXT_ORACLE_WRITE : 0,
			MMEXT_ORACLE_DEFINED);
}

static long step_prot(const struct step *s)
{
	static const int prots[] = { RW, RW, PROT_READ, PROT_NONE };

	return prots[s->arg % ARRAY_SIZE(prots)];
}

/* The child of a fork has nothing to say but what it sees. */
static long fork_and_look(struct twin *twin)
{
	pid_t pid = fork();
	int i;

	if (pid < 0)
		return -errno;
	if (pid)
		return child_status(pid);
	CHILD_CHECK(!differences(twin));
	for (i = 0; i < ARENA_PAGES; i += 5)
		CHILD_CHECK(peek(at(&twin[ENGINE], i)) ==
			    peek(at(&twin[KERNEL], i)));
	for (i = 0; i < ARENA_PAGES; i += 7)
		CHILD_CHECK(poke(at(&twin[ENGINE], i), i) ==
			    poke(at(&twin[KERNEL], i), i));
	CHILD_CHECK(!differences(twin));
	_exit(0);
}

static long do_step(struct twin *t, const struct step *s)
{
	static const int advices[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED,
		MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_COLD, MADV_PAGEOUT,
		MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE,
	};
	static const int syncs[] = { MS_SYNC, MS_ASYNC, MS_INVALIDATE };
	enum mmext_oracle_mode mode = s->arg % MMEXT_ORACLE_MODES;
	__u64 offset = pgoff(mode, s->page);

	switch (s->kind) {
	case LOAD:
		return peek(at(t, s->place));
	case STORE:
		return poke(at(t, s->place), s->arg);
	case KERNEL_LOAD:
		return kernel_load(t, s->place);
	case KERNEL_STORE:
		return kernel_store(t, s->place, s->arg);
	case INSERT:
		return insert(t, s->place, s->page);
	case INSERT_PROT:
		return insert_prot(t, s->place, s->page,
				   s->arg & 1 ? MMEXT_ORACLE_WRITE : 0);
	case REMAP:
		return remap_defined(t, s);
	case ZAP:
	case ZAP_RANGE:
		return zap_defined(t, s);
	case UNMAP_RANGE:
		return unmap_mapping(t, true, offset * page_size,
				     s->nr * page_size);
	case UNMAP_PAGES:
		return unmap_mapping(t, false, offset, s->nr);
	case FOLLOW:
		return follow(t, s->place, s->place);
	case MAP:
		return map(t, s->place, s->nr, step_prot(s), offset);
	case UNMAP:
		return unmap(t, s->place, s->nr);
	case PROTECT:
		return protect(t, s->place, s->nr, step_prot(s));
	case MOVE:
		return move(t, s->place, s->to, s->nr);
	case SHRINK:
		return resize(t, s->place, s->nr, (s->nr + 1) / 2);
	case ADVISE:
		return advise(t, s->place, s->nr,
			      advices[s->arg % ARRAY_SIZE(advices)]);
	case MLOCK:
		return lock(t, s->place, s->nr, s->arg & 1);
	case MSYNC:
		return sync_range(t, s->place, s->nr,
				  syncs[s->arg % ARRAY_SIZE(syncs)]);
	case PROC_MEM:
		return proc_mem(t, s->place, s->arg & 1);
	case PROCESS_VM:
		return process_vm(t, s->place, s->arg & 1);
	default:
		return 0;
	}
}

static void step_name(const struct step *s, char *text, size_t size)
{
	snprintf(text, size, "%s: place %d, %d pages, to %d, page %u, arg %u",
		 kind_names[s->kind], s->place, s->nr, s->to, s->page, s->arg);
}

static enum kind random_kind(__u32 *rnd)
{
	unsigned int sum = 0, i, n;

	for (i = 0; i < NR_KINDS; i++)
		sum += weights[i];
	n = next_random(rnd) % sum;
	for (i = 0; n >= weights[i]; i++)
		n -= weights[i];
	return i;
}

/* False if it makes no sense where it came to. */
static bool random_step(struct step *s, const struct model *m, __u32 *rnd)
{
	int most = 1 + next_random(rnd) % 24;

	s->kind = random_kind(rnd);
	s->place = next_random(rnd) % ARENA_PAGES;
	s->to = next_random(rnd) % ARENA_PAGES;
	s->page = next_random(rnd) % (MMEXT_ORACLE_PAGES - 32);
	s->arg = next_random(rnd) % 256;
	s->nr = 1;
	switch (s->kind) {
	case MAP:
	case UNMAP:
		while (s->nr < most && s->place + s->nr < ARENA_PAGES)
			s->nr++;
		return true;
	case UNMAP_RANGE:
	case UNMAP_PAGES:
		s->nr = most;
		return true;
	case LOAD:
	case STORE:
	case KERNEL_LOAD:
	case KERNEL_STORE:
	case FORK:
		return true;
	default:
		break;
	}
	/* a range that is mapped, though not always as one */
	if (!m->mapped[s->place])
		return false;
	while (s->nr < most && s->place + s->nr < ARENA_PAGES &&
	       m->mapped[s->place + s->nr])
		s->nr++;
	if (s->kind == MOVE)
		return s->to + s->nr <= ARENA_PAGES &&
		       (s->to + s->nr <= s->place || s->place + s->nr <= s->to);
	return s->kind != SHRINK || s->nr > 1;
}

static void set_mapped(struct model *m, int place, int nr, bool mapped)
{
	memset(m->mapped + place, mapped, nr);
}

static void follow_step(struct model *m, const struct step *s, long ret)
{
	if (s->kind == MAP && !ret) {
		set_mapped(m, s->place, s->nr, true);
	} else if (s->kind == UNMAP) {
		set_mapped(m, s->place, s->nr, false);
	} else if (s->kind == MOVE && !ret) {
		set_mapped(m, s->place, s->nr, false);
		set_mapped(m, s->to, s->nr, true);
	} else if (s->kind == SHRINK && !ret) {
		set_mapped(m, s->place + (s->nr + 1) / 2, s->nr / 2, false);
	}
}

#define NR_STEPS	4000
#define NR_SHOWN	12
#define DEFAULT_SEED	0x6d6d6578

static __u32 seed(void)
{
	const char *text = getenv("MMEXT_SEED");
	__u32 value = text ? strtoul(text, NULL, 0) : DEFAULT_SEED;

	return value ? value : 1;
}

FIXTURE(sequence)
{
	struct twin twin[2];
	int notifier;
};

FIXTURE_VARIANT(sequence)
{
	bool watched;
};

FIXTURE_VARIANT_ADD(sequence, plain)
{
};

/* with an MMU notifier, so that the clearing is handed to the kernel */
FIXTURE_VARIANT_ADD(sequence, watched)
{
	.watched = true,
};

FIXTURE_SETUP(sequence)
{
	struct mmext_test_notifier arg;

	ASSERT_EQ(0, twins_open(self->twin));
	fault_catch();
	self->notifier = -1;
	if (!variant->watched)
		return;
	self->notifier = open("/dev/mmext_test_notifier", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->notifier);
	arg.start = (uintptr_t)self->twin[ENGINE].addr;
	arg.end = arg.start + ARENA;
	ASSERT_EQ(0, call(self->notifier, MMEXT_TEST_NOTIFIER_WATCH, &arg));
}

FIXTURE_TEARDOWN(sequence)
{
	BOTH(0, unmap(t, 0, ARENA_PAGES));
	if (self->notifier >= 0)
		close(self->notifier);
	close(self->twin[ENGINE].fd);
	close(self->twin[KERNEL].fd);
}

TEST_F_TIMEOUT(sequence, of_anything_leaves_them_the_same, 120)
{
	/* all of them, if it takes no longer than this on a busy host */
	struct rounds rounds = {
		.nr = NR_STEPS, .end_us = now_us() + 22500000
	};
	unsigned int counts[NR_KINDS] = { 0 }, i;
	struct step steps[NR_SHOWN] = { { 0 } };
	struct model model = { { 0 } };
	__u32 rnd = seed();
	long answers[2];
	char text[128];
	int done = 0;

	printf("# seed %#x (MMEXT_SEED)\n", rnd);
	while (rounds_go_on(&rounds, done)) {
		struct step *s = &steps[done % NR_SHOWN];
		bool same;

		if (!random_step(s, &model, &rnd))
			continue;
		done++;
		counts[s->kind]++;
		if (s->kind == FORK) {
			answers[ENGINE] = fork_and_look(self->twin);
			answers[KERNEL] = 0;
		} else {
			answers[ENGINE] = do_step(&self->twin[ENGINE], s);
			answers[KERNEL] = do_step(&self->twin[KERNEL], s);
		}
		if (s->kind == MOVE && answers[KERNEL]) {
			/* what was in the way may be gone all the same */
			reserve(&self->twin[ENGINE], s->to, s->nr);
			reserve(&self->twin[KERNEL], s->to, s->nr);
			set_mapped(&model, s->to, s->nr, false);
		}
		same = answers[ENGINE] == answers[KERNEL] &&
		       !differences(self->twin) &&
		       mkwrites(&self->twin[ENGINE]) ==
		       mkwrites(&self->twin[KERNEL]);
		ASSERT_TRUE(same) {
			TH_LOG("engine %ld, kernel %ld, after %d steps, the last:",
			       answers[ENGINE], answers[KERNEL], done);
			for (i = NR_SHOWN; i > 0; i--) {
				step_name(&steps[(done + NR_SHOWN - i) % NR_SHOWN], text,
					  sizeof(text));
				TH_LOG("%s", text);
			}
		}
		follow_step(&model, s, answers[KERNEL]);
	}
	printf("# %d steps:", done);
	for (i = 0; i < NR_KINDS; i++)
		printf(" %s %u%s", kind_names[i], counts[i],
		       i + 1 < NR_KINDS ? "," : "\n");
	fflush(stdout);
	if (done == NR_STEPS)
		for (i = 0; i < NR_KINDS; i++)
			EXPECT_NE(0, counts[i])
				TH_LOG("no %s", kind_names[i]);
}

TEST_HARNESS_MAIN
