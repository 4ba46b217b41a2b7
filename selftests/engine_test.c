// SPDX-License-Identifier: GPL-2.0
/*
 * The engine as another driver uses it: /dev/mmext_test_driver calls what it
 * is told to, with what it is told to.
 */
#include "mmext_selftest.h"
#include "modules/mmext_test_driver.h"

#define NR_PAGES	16
#define BIG_PAGES	1024

FIXTURE(engine)
{
	int fd;
	/* the frame of the driver's first page; the others follow */
	__u64 pfn;
	size_t length;
	char *addr;
};

static int driver_call(int fd, struct mmext_test_call *c)
{
	int ret = call(fd, MMEXT_TEST_CALL, c);

	return ret ? ret : c->out_result;
}

/* The call with the VMA of @addr, which may be told apart from @addr. */
static int on_vma(int fd, enum mmext_test_op op, void *vma, void *addr,
		  __u64 size, __u64 pfn, __u32 prot)
{
	struct mmext_test_call c = {
		.op = op,
		.prot = prot,
		.vma = (uintptr_t)vma,
		.addr = (uintptr_t)addr,
		.size = size,
		.pfn = pfn,
	};

	return driver_call(fd, &c);
}

static int insert(int fd, void *addr, __u64 pfn)
{
	return on_vma(fd, MMEXT_TEST_INSERT_PFN, addr, addr, 0, pfn, 0);
}

static int insert_prot(int fd, void *addr, __u64 pfn, __u32 prot)
{
	return on_vma(fd, MMEXT_TEST_INSERT_PFN_PROT, addr, addr, 0, pfn, prot);
}

static int remap(int fd, void *addr, __u64 size, __u64 pfn, __u32 prot)
{
	return on_vma(fd, MMEXT_TEST_REMAP_PFN_RANGE, addr, addr, size, pfn,
		      prot);
}

static int zap(int fd, void *addr, __u64 size)
{
	return on_vma(fd, MMEXT_TEST_ZAP_VMA_PTES, addr, addr, size, 0, 0);
}

static int zap_single(int fd, void *addr, __u64 size)
{
	return on_vma(fd, MMEXT_TEST_ZAP_PAGE_RANGE_SINGLE, addr, addr, size,
		      0, 0);
}

static int unmap_bytes(int fd, __u64 start, __u64 length)
{
	struct mmext_test_call c = {
		.op = MMEXT_TEST_UNMAP_MAPPING_RANGE,
		.addr = start,
		.size = length,
	};

	return driver_call(fd, &c);
}

static int unmap_pages(int fd, __u64 start, __u64 nr)
{
	struct mmext_test_call c = {
		.op = MMEXT_TEST_UNMAP_MAPPING_PAGES,
		.addr = start,
		.size = nr,
	};

	return driver_call(fd, &c);
}

/* Pages of the device, by the one function or the other. */
static int unmap_by(bool bytes, int fd, __u64 first, __u64 nr)
{
	return bytes ? unmap_bytes(fd, first * page_size, nr * page_size) :
		       unmap_pages(fd, first, nr);
}

/* The frame at an address, 0 if none. */
static __u64 follow(int fd, void *addr)
{
	struct mmext_test_call c = {
		.op = MMEXT_TEST_FOLLOW_PFN,
		.vma = (uintptr_t)addr,
		.addr = (uintptr_t)addr,
	};

	return driver_call(fd, &c) ? 0 : c.out_pfn;
}

static int follow_pte(int fd, void *addr, struct mmext_test_call *c)
{
	memset(c, 0, sizeof(*c));
	c->op = MMEXT_TEST_FOLLOW_PTE;
	c->vma = (uintptr_t)addr;
	c->addr = (uintptr_t)addr;
	return driver_call(fd, c);
}

static bool present(int fd, void *addr)
{
	struct mmext_test_call c;

	return !follow_pte(fd, addr, &c);
}

static int count_present(int fd, char *addr, size_t length)
{
	size_t i;
	int nr = 0;

	for (i = 0; i < length; i += page_size)
		nr += present(fd, addr + i);
	return nr;
}

static int mkwrites(int fd)
{
	struct mmext_test_call c = { .op = MMEXT_TEST_INFO };

	driver_call(fd, &c);
	return c.out_value;
}

static void set_kind(int fd, enum mmext_test_kind kind)
{
	struct mmext_test_call c = { .op = MMEXT_TEST_KIND, .size = kind };

	driver_call(fd, &c);
}

static int driver_open(void)
{
	return open("/dev/mmext_test_driver", O_RDWR | O_CLOEXEC);
}

FIXTURE_SETUP(engine)
{
	struct mmext_test_call c = { .op = MMEXT_TEST_INFO };

	self->fd = driver_open();
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, driver_call(self->fd, &c));
	self->pfn = c.out_pfn;
	ASSERT_NE(0, self->pfn);
	self->length = NR_PAGES * page_size;
	/* where nothing comes by itself */
	self->addr = region_map(self->fd, self->length,
				MMEXT_TEST_NO_FAULT * page_size);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(engine)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

#define PAGE(n)	(self->addr + (n) * page_size)

/* a page table's worth and more, at a table's border */
static char *map_big(int fd)
{
	return region_map_aligned(fd, BIG_PAGES * page_size,
				  (MMEXT_TEST_NO_FAULT + 4096) * page_size);
}

TEST_F(engine, driver_serves_faults)
{
	char *addr = region_map(self->fd, self->length, 0);
	int i;

	ASSERT_NE(MAP_FAILED, addr);
	for (i = 1; i < NR_PAGES; i++) {
		EXPECT_EQ(i, peek(addr + i * page_size));
		EXPECT_EQ(self->pfn + i, follow(self->fd, addr +
						i * page_size));
	}
	EXPECT_EQ(-SIGBUS, peek(self->addr));
	munmap(addr, self->length);
}

TEST_F(engine, first_store_of_a_driver_without_more_is_pfn_mkwrite)
{
	char *addr = region_map(self->fd, self->length, 0);
	int before = mkwrites(self->fd);

	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(3, peek(addr + 3 * page_size));
	EXPECT_EQ(before, mkwrites(self->fd));
	EXPECT_EQ(0, poke(addr + 3 * page_size, 3));
	EXPECT_EQ(before + 1, mkwrites(self->fd));
	EXPECT_EQ(0, poke(addr + 3 * page_size, 3));
	EXPECT_EQ(before + 1, mkwrites(self->fd));
	munmap(addr, self->length);
}

/* mmext_vmf_insert_pfn() */
TEST_F(engine, insert_pfn_puts_a_frame_in)
{
	struct mmext_test_call c;

	ASSERT_EQ(MMEXT_TEST_NOPAGE, insert(self->fd, PAGE(0), self->pfn + 5));
	EXPECT_EQ(5, peek(PAGE(0)));
	EXPECT_EQ(self->pfn + 5, follow(self->fd, PAGE(0)));
	ASSERT_EQ(0, follow_pte(self->fd, PAGE(0), &c));
	EXPECT_EQ(page_size, 1UL << (c.out_value >> 8));
	EXPECT_FALSE(c.out_value & (MMEXT_TEST_PTE_WRITE |
				    MMEXT_TEST_PTE_DIRTY));
	EXPECT_FALSE(present(self->fd, PAGE(1)));
}

TEST_F(engine, insert_pfn_at_the_first_and_last_page_of_a_vma)
{
	EXPECT_EQ(MMEXT_TEST_NOPAGE, insert(self->fd, PAGE(0), self->pfn + 1));
	EXPECT_EQ(MMEXT_TEST_NOPAGE, insert(self->fd, PAGE(NR_PAGES - 1),
					    self->pfn + 2));
	EXPECT_EQ(1, peek(PAGE(0)));
	EXPECT_EQ(2, peek(PAGE(NR_PAGES - 1)));
}

TEST_F(engine, insert_pfn_leaves_an_entry_that_is_there)
{
	ASSERT_EQ(MMEXT_TEST_NOPAGE, insert(self->fd, PAGE(0), self->pfn + 5));
	EXPECT_EQ(MMEXT_TEST_NOPAGE, insert(self->fd, PAGE(0), self->pfn + 6));
	EXPECT_EQ(5, peek(PAGE(0)));
}

TEST_F(engine, insert_pfn_outside_of_the_vma_is_sigbus)
{
	static const enum mmext_test_op ops[] = {
		MMEXT_TEST_INSERT_PFN, MMEXT_TEST_INSERT_PFN_PROT,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		EXPECT_EQ(MMEXT_TEST_SIGBUS,
			  on_vma(self->fd, ops[i], PAGE(0),
				 PAGE(0) - page_size, 0, self->pfn, 0));
		EXPECT_EQ(MMEXT_TEST_SIGBUS,
			  on_vma(self->fd, ops[i], PAGE(0), PAGE(NR_PAGES), 0,
				 self->pfn, 0));
		EXPECT_EQ(MMEXT_TEST_SIGBUS,
			  on_vma(self->fd, ops[i], PAGE(0), NULL, 0,
				 self->pfn, 0));
		EXPECT_EQ(MMEXT_TEST_SIGBUS,
			  on_vma(self->fd, ops[i], PAGE(0), (void *)-1UL, 0,
				 self->pfn, 0));
	}
}

TEST_F(engine, insert_pfn_of_a_frame_that_cannot_be_is_sigbus)
{
	static const __u64 pfns[] = {
		1ULL << 40, 1ULL << 52, 1ULL << 63, -1ULL,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(pfns); i++) {
		EXPECT_EQ(MMEXT_TEST_SIGBUS, insert(self->fd, PAGE(0),
						    pfns[i]));
		EXPECT_EQ(MMEXT_TEST_SIGBUS, insert_prot(self->fd, PAGE(0),
							 pfns[i], 0));
		EXPECT_FALSE(present(self->fd, PAGE(0)));
	}
}

TEST_F(engine, insert_pfn_while_an_invalidation_is_under_way_does_nothing)
{
	EXPECT_EQ(MMEXT_TEST_NOPAGE,
		  on_vma(self->fd, MMEXT_TEST_INSERT_WHILE_BUSY, PAGE(0),
			 PAGE(0), 0, self->pfn + 5, 0));
	EXPECT_FALSE(present(self->fd, PAGE(0)));
	/* and afterwards it does */
	EXPECT_EQ(MMEXT_TEST_NOPAGE, insert(self->fd, PAGE(0), self->pfn + 5));
	EXPECT_TRUE(present(self->fd, PAGE(0)));
}

/* mmext_vmf_insert_pfn_prot() */
TEST_F(engine, insert_pfn_prot_gives_the_protection)
{
	struct mmext_test_call c;
	int before = mkwrites(self->fd);

	ASSERT_EQ(MMEXT_TEST_NOPAGE,
		  insert_prot(self->fd, PAGE(0), self->pfn + 5,
			      MMEXT_TEST_PROT_WRITE));
	ASSERT_EQ(MMEXT_TEST_NOPAGE,
		  insert_prot(self->fd, PAGE(1), self->pfn + 6, 0));
	ASSERT_EQ(0, follow_pte(self->fd, PAGE(0), &c));
	EXPECT_TRUE(c.out_value & MMEXT_TEST_PTE_WRITE);
	ASSERT_EQ(0, follow_pte(self->fd, PAGE(1), &c));
	EXPECT_FALSE(c.out_value & MMEXT_TEST_PTE_WRITE);
	/* the store to the one takes no fault, that to the other does */
	EXPECT_EQ(0, poke(PAGE(0), 5));
	EXPECT_EQ(before, mkwrites(self->fd));
	EXPECT_EQ(0, poke(PAGE(1), 6));
	EXPECT_EQ(before + 1, mkwrites(self->fd));
}

TEST_F(engine, read_only_entries_are_clean_whatever_the_driver_says)
{
	int before = mkwrites(self->fd);
	struct mmext_test_call c;

	ASSERT_EQ(MMEXT_TEST_NOPAGE,
		  insert_prot(self->fd, PAGE(0), self->pfn + 5,
			      MMEXT_TEST_PROT_DIRTY));
	ASSERT_EQ(0, follow_pte(self->fd, PAGE(0), &c));
	EXPECT_FALSE(c.out_value & MMEXT_TEST_PTE_DIRTY);
	/* or mprotect() would make it writable behind the driver's back */
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	ASSERT_EQ(0, mprotect(self->addr, self->length,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, poke(PAGE(0), 5));
	EXPECT_EQ(before + 1, mkwrites(self->fd));
	/* the same for a range */
	ASSERT_EQ(0, remap(self->fd, PAGE(2), 2 * page_size, self->pfn + 7,
			   MMEXT_TEST_PROT_DIRTY));
	ASSERT_EQ(0, follow_pte(self->fd, PAGE(3), &c));
	EXPECT_FALSE(c.out_value & MMEXT_TEST_PTE_DIRTY);
}

TEST_F(engine, no_protection_makes_a_read_only_mapping_writable)
{
	char *addr = region_map_prot(self->fd, self->length,
				     (MMEXT_TEST_NO_FAULT + 64) * page_size,
				     PROT_READ);

	ASSERT_NE(MAP_FAILED, addr);
	ASSERT_EQ(MMEXT_TEST_NOPAGE,
		  insert_prot(self->fd, addr, self->pfn + 5,
			      MMEXT_TEST_PROT_WRITE));
	EXPECT_EQ(5, peek(addr));
	EXPECT_EQ(-SIGSEGV, poke(addr, 5));
	munmap(addr, self->length);
}

/* mmext_remap_pfn_range() */
TEST_F(engine, remap_pfn_range_maps_a_range)
{
	int i;

	ASSERT_EQ(0, remap(self->fd, PAGE(2), 5 * page_size, self->pfn + 20,
			   0));
	EXPECT_EQ(5, count_present(self->fd, self->addr, self->length));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(20 + i, peek(PAGE(2 + i)));
		EXPECT_EQ(self->pfn + 20 + i, follow(self->fd, PAGE(2 + i)));
	}
	EXPECT_FALSE(present(self->fd, PAGE(1)));
	EXPECT_FALSE(present(self->fd, PAGE(7)));
}

TEST_F(engine, remap_pfn_range_of_a_whole_vma)
{
	ASSERT_EQ(0, remap(self->fd, self->addr, self->length, self->pfn, 0));
	EXPECT_EQ(-1, filled_not(self->addr, self->length, 0));
	EXPECT_EQ(NR_PAGES, count_present(self->fd, self->addr, self->length));
}

TEST_F(engine, remap_pfn_range_crosses_table_borders)
{
	size_t nr = 520, from = 500;
	char *big = map_big(self->fd);

	ASSERT_NE(MAP_FAILED, big);
	ASSERT_EQ(0, remap(self->fd, big + from * page_size, nr * page_size,
			   self->pfn + 100, 0));
	EXPECT_EQ(nr, count_present(self->fd, big, BIG_PAGES * page_size));
	EXPECT_EQ(-1, filled_not(big + from * page_size, nr * page_size, 100));
	munmap(big, BIG_PAGES * page_size);
}

TEST_F(engine, remap_pfn_range_rounds_the_size_up)
{
	ASSERT_EQ(0, remap(self->fd, PAGE(0), page_size + 1, self->pfn + 1,
			   0));
	EXPECT_EQ(2, count_present(self->fd, self->addr, self->length));
}

TEST_F(engine, remap_pfn_range_takes_the_same_frames_again)
{
	struct mmext_test_call c;

	ASSERT_EQ(0, remap(self->fd, PAGE(2), 2 * page_size, self->pfn + 2, 0));
	ASSERT_EQ(0, remap(self->fd, PAGE(0), 8 * page_size, self->pfn,
			   MMEXT_TEST_PROT_WRITE));
	EXPECT_EQ(-1, filled_not(PAGE(0), 8 * page_size, 0));
	/* what was read-only is made what is asked for */
	ASSERT_EQ(0, follow_pte(self->fd, PAGE(2), &c));
	EXPECT_TRUE(c.out_value & MMEXT_TEST_PTE_WRITE);
}

TEST_F(engine, remap_pfn_range_over_another_frame_is_ebusy)
{
	ASSERT_EQ(MMEXT_TEST_NOPAGE, insert(self->fd, PAGE(5), self->pfn + 50));
	ASSERT_EQ(MMEXT_TEST_NOPAGE, insert(self->fd, PAGE(9), self->pfn + 51));
	ASSERT_EQ(-EBUSY, remap(self->fd, PAGE(2), 6 * page_size, self->pfn,
				0));
	/* nothing is left before the page that failed, nothing came after */
	EXPECT_EQ(0, count_present(self->fd, PAGE(0), 5 * page_size));
	EXPECT_EQ(self->pfn + 50, follow(self->fd, PAGE(5)));
	EXPECT_EQ(50, peek(PAGE(5)));
	EXPECT_EQ(0, count_present(self->fd, PAGE(6), 3 * page_size));
	EXPECT_EQ(51, peek(PAGE(9)));
}

TEST_F(engine, remap_pfn_range_that_fails_in_a_later_table_leaves_nothing)
{
	char *big = map_big(self->fd);

	ASSERT_NE(MAP_FAILED, big);
	ASSERT_EQ(MMEXT_TEST_NOPAGE, insert(self->fd, big + 600 * page_size,
					    self->pfn));
	ASSERT_EQ(-EBUSY, remap(self->fd, big + 500 * page_size,
				200 * page_size, self->pfn, 0));
	EXPECT_EQ(1, count_present(self->fd, big, BIG_PAGES * page_size));
	EXPECT_TRUE(present(self->fd, big + 600 * page_size));
	munmap(big, BIG_PAGES * page_size);
}

TEST_F(engine, remap_pfn_range_refuses_a_wrong_range)
{
	EXPECT_EQ(-EINVAL, remap(self->fd, PAGE(0), 0, self->pfn, 0));
	EXPECT_EQ(-EINVAL, remap(self->fd, PAGE(0) + 1, page_size, self->pfn,
				 0));
	EXPECT_EQ(-EINVAL, remap(self->fd, PAGE(0), self->length + page_size,
				 self->pfn, 0));
	EXPECT_EQ(-EINVAL, remap(self->fd, PAGE(NR_PAGES - 1), 2 * page_size,
				 self->pfn, 0));
	EXPECT_EQ(-EINVAL, remap(self->fd, PAGE(0), -page_size, self->pfn, 0));
	EXPECT_EQ(-EINVAL, remap(self->fd, PAGE(0), -1ULL, self->pfn, 0));
	EXPECT_EQ(-EINVAL, remap(self->fd, PAGE(0), 1ULL << 63, self->pfn, 0));
	EXPECT_EQ(-EINVAL, on_vma(self->fd, MMEXT_TEST_REMAP_PFN_RANGE,
				  PAGE(0), PAGE(0) - page_size, page_size,
				  self->pfn, 0));
	EXPECT_EQ(-EINVAL, on_vma(self->fd, MMEXT_TEST_REMAP_PFN_RANGE,
				  PAGE(0), PAGE(NR_PAGES), page_size,
				  self->pfn, 0));
	EXPECT_EQ(-EINVAL, on_vma(self->fd, MMEXT_TEST_REMAP_PFN_RANGE,
				  PAGE(0), (void *)-page_size, 2 * page_size,
				  self->pfn, 0));
	EXPECT_EQ(0, count_present(self->fd, self->addr, self->length));
}

TEST_F(engine, remap_pfn_range_refuses_frames_that_cannot_be)
{
	EXPECT_EQ(-EINVAL, remap(self->fd, PAGE(0), page_size, 1ULL << 40, 0));
	EXPECT_EQ(-EINVAL, remap(self->fd, PAGE(0), page_size, 1ULL << 63, 0));
	EXPECT_EQ(-EINVAL, remap(self->fd, PAGE(0), page_size, -1ULL, 0));
	EXPECT_EQ(-EINVAL, remap(self->fd, PAGE(0), 2 * page_size, -1ULL, 0));
	EXPECT_EQ(0, count_present(self->fd, self->addr, self->length));
}

/* mmext_zap_vma_ptes() and mmext_zap_page_range_single() */
FIXTURE(zapper)
{
	FIXTURE_DATA(engine) base;
};

FIXTURE_VARIANT(zapper)
{
	int (*zap)(int fd, void *addr, __u64 size);
	enum mmext_test_op op;
};

FIXTURE_VARIANT_ADD(zapper, zap_vma_ptes)
{
	.zap = zap,
	.op = MMEXT_TEST_ZAP_VMA_PTES,
};

FIXTURE_VARIANT_ADD(zapper, zap_page_range_single)
{
	.zap = zap_single,
	.op = MMEXT_TEST_ZAP_PAGE_RANGE_SINGLE,
};

FIXTURE_SETUP(zapper)
{
	FIXTURE_DATA(engine) *base = &self->base;

	engine_setup(_metadata, base, NULL);
	ASSERT_EQ(0, remap(base->fd, base->addr, base->length, base->pfn, 0));
}

FIXTURE_TEARDOWN(zapper)
{
	engine_teardown(_metadata, &self->base, NULL);
}

TEST_F(zapper, takes_out_its_range_and_no_more)
{
	FIXTURE_DATA(engine) *base = &self->base;
	char *addr = base->addr;

	ASSERT_EQ(0, variant->zap(base->fd, addr + 3 * page_size,
				  4 * page_size));
	EXPECT_EQ(3, count_present(base->fd, addr, 3 * page_size));
	EXPECT_EQ(0, count_present(base->fd, addr + 3 * page_size,
				   4 * page_size));
	EXPECT_EQ(9, count_present(base->fd, addr + 7 * page_size,
				   9 * page_size));
	EXPECT_EQ(-SIGBUS, peek(addr + 3 * page_size));
	EXPECT_EQ(2, peek(addr + 2 * page_size));
}

TEST_F(zapper, takes_out_the_first_and_last_page)
{
	FIXTURE_DATA(engine) *base = &self->base;
	char *last = base->addr + base->length - page_size;

	ASSERT_EQ(0, variant->zap(base->fd, base->addr, page_size));
	ASSERT_EQ(0, variant->zap(base->fd, last, page_size));
	EXPECT_EQ(NR_PAGES - 2, count_present(base->fd, base->addr,
					      base->length));
	EXPECT_EQ(-SIGBUS, peek(base->addr));
	EXPECT_EQ(-SIGBUS, peek(last));
}

TEST_F(zapper, crosses_table_borders_and_gaps)
{
	FIXTURE_DATA(engine) *base = &self->base;
	char *big = map_big(base->fd);

	ASSERT_NE(MAP_FAILED, big);
	ASSERT_EQ(0, remap(base->fd, big + 500 * page_size, 10 * page_size,
			   base->pfn, 0));
	ASSERT_EQ(0, remap(base->fd, big + 520 * page_size, 10 * page_size,
			   base->pfn, 0));
	ASSERT_EQ(0, variant->zap(base->fd, big + 501 * page_size,
				  28 * page_size));
	EXPECT_EQ(2, count_present(base->fd, big, BIG_PAGES * page_size));
	EXPECT_TRUE(present(base->fd, big + 500 * page_size));
	EXPECT_TRUE(present(base->fd, big + 529 * page_size));
	munmap(big, BIG_PAGES * page_size);
}

TEST_F(zapper, of_nothing_does_nothing)
{
	FIXTURE_DATA(engine) *base = &self->base;

	EXPECT_EQ(0, variant->zap(base->fd, base->addr, 0));
	EXPECT_EQ(NR_PAGES, count_present(base->fd, base->addr, base->length));
	EXPECT_EQ(0, variant->zap(base->fd, base->addr, base->length));
	EXPECT_EQ(0, variant->zap(base->fd, base->addr, base->length));
	EXPECT_EQ(0, count_present(base->fd, base->addr, base->length));
}

TEST_F(zapper, refuses_a_wrong_range)
{
	FIXTURE_DATA(engine) *base = &self->base;
	char *addr = base->addr;
	int fd = base->fd;

	EXPECT_EQ(-EINVAL, variant->zap(fd, addr + 1, page_size));
	EXPECT_EQ(-EINVAL, variant->zap(fd, addr, page_size + 1));
	EXPECT_EQ(-EINVAL, variant->zap(fd, addr, base->length + page_size));
	EXPECT_EQ(-EINVAL, variant->zap(fd, addr, -page_size));
	EXPECT_EQ(-EINVAL, variant->zap(fd, addr + page_size, -page_size));
	EXPECT_EQ(-EINVAL, on_vma(fd, variant->op, addr, addr - page_size,
				  2 * page_size, 0, 0));
	EXPECT_EQ(-EINVAL, on_vma(fd, variant->op, addr, addr + base->length,
				  page_size, 0, 0));
	EXPECT_EQ(-EINVAL, on_vma(fd, variant->op, addr, NULL, page_size, 0,
				  0));
	EXPECT_EQ(NR_PAGES, count_present(fd, addr, base->length));
}

/*
 * mmext_zap_page_range() and mmext_unmap_vmas(): two mappings of the driver, the
 * second at the page behind the first and of other pages, with a hole and a
 * third behind.
 */
FIXTURE(walker)
{
	FIXTURE_DATA(engine) base;
	char *second;
	char *third;
};

FIXTURE_SETUP(walker)
{
	FIXTURE_DATA(engine) *base = &self->base;
	size_t length;
	int i;

	engine_setup(_metadata, base, NULL);
	length = base->length;
	munmap(base->addr, length);
	base->addr = mmap(NULL, 4 * length, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, base->addr);
	self->second = base->addr + length;
	self->third = base->addr + 3 * length;
	munmap(self->second + length, length);
	for (i = 0; i < 4; i++) {
		char *addr = base->addr + i * length;

		if (i == 2)
			continue;
		ASSERT_EQ(addr, mmap(addr, length, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_FIXED, base->fd,
				     (MMEXT_TEST_NO_FAULT + 100 * i) *
				     page_size));
		ASSERT_EQ(0, remap(base->fd, addr, length, base->pfn, 0));
	}
}

FIXTURE_TEARDOWN(walker)
{
	munmap(self->base.addr, 4 * self->base.length);
	close(self->base.fd);
}

static int zap_range(int fd, void *addr, __u64 size)
{
	return on_vma(fd, MMEXT_TEST_ZAP_PAGE_RANGE, addr, addr, size, 0, 0);
}

/* @skipped: bytes that were left alone */
static int unmap_vmas(int fd, void *vma, void *addr, __u64 size, __u32 details,
		      __u32 first, __u32 last, __u64 *skipped)
{
	struct mmext_test_call c = {
		.op = MMEXT_TEST_UNMAP_VMAS,
		.prot = details,
		.vma = (uintptr_t)vma,
		.addr = (uintptr_t)addr,
		.size = size,
		.pfn = first | (__u64)last << 32,
	};
	int ret = driver_call(fd, &c);

	if (skipped)
		*skipped = c.out_pfn;
	return ret;
}

TEST_F(walker, zap_page_range_goes_on_behind_its_vma)
{
	FIXTURE_DATA(engine) *base = &self->base;

	ASSERT_EQ(0, zap_range(base->fd, base->addr + page_size,
			       3 * base->length));
	EXPECT_EQ(1, count_present(base->fd, base->addr, base->length));
	EXPECT_EQ(0, count_present(base->fd, self->second, base->length));
	EXPECT_EQ(NR_PAGES - 1, count_present(base->fd, self->third,
					      base->length));
}

TEST_F(walker, zap_page_range_refuses_what_is_no_range_of_its_vma)
{
	FIXTURE_DATA(engine) *base = &self->base;
	char *addr = base->addr;
	int fd = base->fd;

	EXPECT_EQ(-EINVAL, zap_range(fd, addr + 1, page_size));
	EXPECT_EQ(-EINVAL, zap_range(fd, addr, 1));
	EXPECT_EQ(-EINVAL, zap_range(fd, addr, -page_size));
	EXPECT_EQ(-EINVAL, on_vma(fd, MMEXT_TEST_ZAP_PAGE_RANGE, addr,
				  self->second, page_size, 0, 0));
	EXPECT_EQ(-EINVAL, on_vma(fd, MMEXT_TEST_ZAP_PAGE_RANGE, self->second,
				  addr, page_size, 0, 0));
	EXPECT_EQ(0, zap_range(fd, addr, 0));
	EXPECT_EQ(NR_PAGES, count_present(fd, addr, base->length));
	EXPECT_EQ(NR_PAGES, count_present(fd, self->second, base->length));
}

TEST_F(walker, unmap_vmas_takes_what_is_between_two_addresses)
{
	FIXTURE_DATA(engine) *base = &self->base;
	__u64 skipped;

	ASSERT_EQ(0, unmap_vmas(base->fd, base->addr,
				self->second - page_size, 2 * page_size, 0, 0,
				0, &skipped));
	EXPECT_EQ(0, skipped);
	EXPECT_EQ(NR_PAGES - 1, count_present(base->fd, base->addr,
					      base->length));
	EXPECT_FALSE(present(base->fd, self->second - page_size));
	EXPECT_FALSE(present(base->fd, self->second));
	EXPECT_EQ(NR_PAGES - 1, count_present(base->fd, self->second,
					      base->length));
	/* the first VMA that is looked at is the caller's to say */
	ASSERT_EQ(0, unmap_vmas(base->fd, self->third, base->addr,
				4 * base->length, 0, 0, 0, NULL));
	EXPECT_EQ(NR_PAGES - 1, count_present(base->fd, self->second,
					      base->length));
	EXPECT_EQ(0, count_present(base->fd, self->third, base->length));
	EXPECT_EQ(-EINVAL, unmap_vmas(base->fd, base->addr, base->addr + 1,
				      page_size, 0, 0, 0, NULL));
	EXPECT_EQ(-EINVAL, unmap_vmas(base->fd, base->addr, base->addr,
				      -page_size, 0, 0, 0, NULL));
}

TEST_F(walker, leaves_vmas_of_others_alone_and_says_so)
{
	FIXTURE_DATA(engine) *base = &self->base;
	char *anon = self->second + base->length;
	__u64 skipped;

	ASSERT_EQ(anon, mmap(anon, base->length, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	fill(anon, base->length, 5);
	EXPECT_EQ(-EPERM, unmap_vmas(base->fd, base->addr, base->addr,
				     4 * base->length, 0, 0, 0, &skipped));
	EXPECT_EQ(base->length, skipped);
	EXPECT_EQ(-1, filled_not(anon, base->length, 5));
	EXPECT_EQ(0, count_present(base->fd, base->addr, base->length));
	EXPECT_EQ(0, count_present(base->fd, self->third, base->length));
	EXPECT_EQ(-EPERM, zap_range(base->fd, self->second,
				    2 * base->length));
	EXPECT_EQ(-EPERM, on_vma(base->fd, MMEXT_TEST_ZAP_PAGE_RANGE, anon,
				 anon, page_size, 0, 0));
	EXPECT_EQ(-1, filled_not(anon, base->length, 5));
}

TEST_F(walker, takes_only_the_mapping_that_the_details_name)
{
	FIXTURE_DATA(engine) *base = &self->base;
	int region = region_open();
	__u64 skipped;

	ASSERT_GE(region, 0);
	ASSERT_EQ(self->second, mmap(self->second, base->length,
				     PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_FIXED, region, 0));
	fill(self->second, base->length, 5);
	EXPECT_EQ(-EPERM, unmap_vmas(base->fd, base->addr, base->addr,
				     4 * base->length, MMEXT_TEST_ZAP_MAPPING,
				     0, 0, &skipped));
	EXPECT_EQ(base->length, skipped);
	EXPECT_EQ(NR_PAGES, entries_present(region, self->second,
					    base->length));
	EXPECT_EQ(0, count_present(base->fd, base->addr, base->length));
	EXPECT_EQ(0, count_present(base->fd, self->third, base->length));
	EXPECT_EQ(-EINVAL, unmap_vmas(base->fd, self->second, self->second,
				      page_size, MMEXT_TEST_ZAP_MAPPING |
				      MMEXT_TEST_ZAP_ONE, 0, 0, NULL));
	EXPECT_EQ(NR_PAGES, entries_present(region, self->second,
					    base->length));
	close(region);
}

/* Offsets are MMEXT_TEST_NO_FAULT and more, which is beyond 32 bits. */
TEST_F(walker, takes_only_the_pages_that_the_details_name)
{
	FIXTURE_DATA(engine) *base = &self->base;
	char *low = region_map(base->fd, 8 * page_size, 16 * page_size);
	__u32 one = MMEXT_TEST_ZAP_INDEX | MMEXT_TEST_ZAP_ONE;

	ASSERT_NE(MAP_FAILED, low);
	EXPECT_EQ(-1, filled_not(low, 8 * page_size, 16));
	/* pages 16 to 23: none, the middle, none again, the ends */
	EXPECT_EQ(0, unmap_vmas(base->fd, low, low, 8 * page_size, one, 0, 15,
				NULL));
	EXPECT_EQ(0, unmap_vmas(base->fd, low, low, 8 * page_size, one, 24,
				99, NULL));
	EXPECT_EQ(0, unmap_vmas(base->fd, low, low, 8 * page_size, one, 20,
				19, NULL));
	EXPECT_EQ(8, count_present(base->fd, low, 8 * page_size));
	EXPECT_EQ(0, unmap_vmas(base->fd, low, low, 8 * page_size, one, 19,
				20, NULL));
	EXPECT_EQ(6, count_present(base->fd, low, 8 * page_size));
	EXPECT_FALSE(present(base->fd, low + 3 * page_size));
	EXPECT_FALSE(present(base->fd, low + 4 * page_size));
	EXPECT_EQ(0, unmap_vmas(base->fd, low, low + page_size,
				7 * page_size, MMEXT_TEST_ZAP_INDEX, 0, 17,
				NULL));
	EXPECT_TRUE(present(base->fd, low));
	EXPECT_FALSE(present(base->fd, low + page_size));
	EXPECT_TRUE(present(base->fd, low + 2 * page_size));
	EXPECT_EQ(0, unmap_vmas(base->fd, low, low, 8 * page_size,
				MMEXT_TEST_ZAP_INDEX, 23, -1U, NULL));
	EXPECT_FALSE(present(base->fd, low + 7 * page_size));
	EXPECT_EQ(4, count_present(base->fd, low, 8 * page_size));
	munmap(low, 8 * page_size);
}

/* mmext_unmap_mapping_range() and mmext_unmap_mapping_pages() */
FIXTURE(unmapper)
{
	FIXTURE_DATA(engine) base;
	struct peer peer;
	char *other;
};

FIXTURE_VARIANT(unmapper)
{
	bool bytes;
};

FIXTURE_VARIANT_ADD(unmapper, unmap_mapping_range)
{
	.bytes = true,
};

FIXTURE_VARIANT_ADD(unmapper, unmap_mapping_pages)
{
};

FIXTURE_SETUP(unmapper)
{
	FIXTURE_DATA(engine) *base = &self->base;

	engine_setup(_metadata, base, NULL);
	ASSERT_EQ(0, remap(base->fd, base->addr, base->length, base->pfn, 0));
	/* from page 4 on */
	self->other = region_map(base->fd, base->length,
				 (MMEXT_TEST_NO_FAULT + 4) * page_size);
	ASSERT_NE(MAP_FAILED, self->other);
	ASSERT_EQ(0, remap(base->fd, self->other, base->length, base->pfn + 4,
			   0));
	ASSERT_EQ(0, peer_start(&self->peer));
}

FIXTURE_TEARDOWN(unmapper)
{
	EXPECT_EQ(0, peer_stop(&self->peer));
	munmap(self->other, self->base.length);
	engine_teardown(_metadata, &self->base, NULL);
}

#define UNMAP(first, nr) \
	unmap_by(variant->bytes, self->base.fd, first, nr)

TEST_F(unmapper, takes_a_range_out_of_every_vma_and_process)
{
	char *addr = self->base.addr;
	int fd = self->base.fd;

	EXPECT_EQ(6, peer_peek(&self->peer, addr + 6 * page_size));
	ASSERT_EQ(0, UNMAP(MMEXT_TEST_NO_FAULT + 6, 2));
	EXPECT_EQ(6, count_present(fd, addr, 6 * page_size));
	EXPECT_EQ(0, count_present(fd, addr + 6 * page_size, 2 * page_size));
	EXPECT_EQ(8, count_present(fd, addr + 8 * page_size, 8 * page_size));
	EXPECT_EQ(2, count_present(fd, self->other, 2 * page_size));
	EXPECT_EQ(0, count_present(fd, self->other + 2 * page_size,
				   2 * page_size));
	EXPECT_EQ(12, count_present(fd, self->other + 4 * page_size,
				    12 * page_size));
	EXPECT_EQ(-SIGBUS, peer_peek(&self->peer, addr + 6 * page_size));
	EXPECT_EQ(-SIGBUS, peer_peek(&self->peer,
				     self->other + 3 * page_size));
	EXPECT_EQ(5, peer_peek(&self->peer, addr + 5 * page_size));
	EXPECT_EQ(8, peer_peek(&self->peer, addr + 8 * page_size));
}

TEST_F(unmapper, of_length_0_goes_to_the_end)
{
	char *addr = self->base.addr;
	int fd = self->base.fd;

	ASSERT_EQ(0, UNMAP(MMEXT_TEST_NO_FAULT + 6, 0));
	EXPECT_EQ(6, count_present(fd, addr, self->base.length));
	EXPECT_EQ(2, count_present(fd, self->other, self->base.length));
	EXPECT_EQ(-SIGBUS, peer_peek(&self->peer, addr + 15 * page_size));
	ASSERT_EQ(0, UNMAP(0, 0));
	EXPECT_EQ(0, count_present(fd, addr, self->base.length));
}

TEST_F(unmapper, of_what_nobody_maps_does_nothing)
{
	EXPECT_EQ(0, UNMAP(MMEXT_TEST_NO_FAULT + 1000, 1000));
	EXPECT_EQ(0, UNMAP(MMEXT_TEST_NO_FAULT - 10, 10));
	EXPECT_EQ(NR_PAGES, count_present(self->base.fd, self->base.addr,
					  self->base.length));
	EXPECT_EQ(NR_PAGES, count_present(self->base.fd, self->other,
					  self->base.length));
}

TEST_F(unmapper, of_no_address_space_is_einval)
{
	struct mmext_test_call c = {
		.op = variant->bytes ? MMEXT_TEST_UNMAP_MAPPING_RANGE :
				       MMEXT_TEST_UNMAP_MAPPING_PAGES,
		.vma = 1,
		.size = page_size,
	};

	EXPECT_EQ(-EINVAL, driver_call(self->base.fd, &c));
}

TEST_F(unmapper, leaves_vmas_of_others_alone_and_says_so)
{
	int fd = driver_open();
	char *foreign;

	ASSERT_GE(fd, 0);
	set_kind(fd, MMEXT_TEST_FOREIGN);
	/* the first pages of the device, by the kernel's own means */
	foreign = region_map(fd, 4 * page_size, 0);
	ASSERT_NE(MAP_FAILED, foreign);
	EXPECT_EQ(-1, filled_not(foreign, 4 * page_size, 0));
	EXPECT_EQ(-EPERM, UNMAP(0, 0));
	EXPECT_EQ(0, count_present(self->base.fd, self->base.addr,
				   self->base.length));
	EXPECT_EQ(-1, filled_not(foreign, 4 * page_size, 0));
	munmap(foreign, 4 * page_size);
	EXPECT_EQ(0, UNMAP(0, 0));
	close(fd);
}

TEST_F(engine, unmap_mapping_range_takes_every_page_it_touches)
{
	__u64 offset = MMEXT_TEST_NO_FAULT * page_size;

	ASSERT_EQ(0, remap(self->fd, self->addr, self->length, self->pfn, 0));
	ASSERT_EQ(0, unmap_bytes(self->fd, offset + page_size + 1, 1));
	EXPECT_FALSE(present(self->fd, PAGE(1)));
	ASSERT_EQ(0, unmap_bytes(self->fd, offset + 4 * page_size - 1, 2));
	EXPECT_FALSE(present(self->fd, PAGE(3)));
	EXPECT_FALSE(present(self->fd, PAGE(4)));
	EXPECT_EQ(NR_PAGES - 3, count_present(self->fd, self->addr,
					      self->length));
}

TEST_F(engine, unmap_mapping_range_refuses_what_is_no_range)
{
	EXPECT_EQ(-EINVAL, unmap_bytes(self->fd, -page_size, page_size));
	EXPECT_EQ(-EINVAL, unmap_bytes(self->fd, 0, -page_size));
	EXPECT_EQ(-EINVAL, unmap_bytes(self->fd, (1ULL << 63) - page_size,
				       page_size));
}

/* mmext_follow_pfn() and mmext_follow_pte() */
TEST_F(engine, follow_pfn_finds_what_is_there)
{
	struct mmext_test_call c = { .op = MMEXT_TEST_FOLLOW_PFN };

	ASSERT_EQ(MMEXT_TEST_NOPAGE, insert(self->fd, PAGE(3), self->pfn + 9));
	EXPECT_EQ(self->pfn + 9, follow(self->fd, PAGE(3)));
	EXPECT_EQ(self->pfn + 9, follow(self->fd, PAGE(3) + 100));
	/* no entry, no table, not in the VMA */
	EXPECT_EQ(-EINVAL, on_vma(self->fd, MMEXT_TEST_FOLLOW_PFN, PAGE(3),
				  PAGE(2), 0, 0, 0));
	EXPECT_EQ(-EINVAL, on_vma(self->fd, MMEXT_TEST_FOLLOW_PFN, PAGE(3),
				  PAGE(NR_PAGES), 0, 0, 0));
	EXPECT_EQ(-EINVAL, on_vma(self->fd, MMEXT_TEST_FOLLOW_PFN, PAGE(3),
				  NULL, 0, 0, 0));
	c.vma = (uintptr_t)PAGE(3);
	c.addr = (uintptr_t)PAGE(4);
	EXPECT_EQ(-EINVAL, driver_call(self->fd, &c));
	EXPECT_EQ(0, c.out_pfn);
}

TEST_F(engine, follow_pte_tells_no_entry_from_no_business_of_ours)
{
	char *big = map_big(self->fd);
	struct mmext_test_call c;

	ASSERT_NE(MAP_FAILED, big);
	/* a table without the entry, and no table */
	ASSERT_EQ(MMEXT_TEST_NOPAGE, insert(self->fd, big, self->pfn));
	EXPECT_EQ(-ENOENT, follow_pte(self->fd, big + page_size, &c));
	EXPECT_EQ(-ENOENT, follow_pte(self->fd, big + 600 * page_size, &c));
	EXPECT_EQ(-EINVAL, on_vma(self->fd, MMEXT_TEST_FOLLOW_PTE, big,
				  big - page_size, 0, 0, 0));
	munmap(big, BIG_PAGES * page_size);
}

TEST_F(engine, follow_pte_shows_what_the_cpu_did)
{
	struct mmext_test_call c;

	ASSERT_EQ(MMEXT_TEST_NOPAGE,
		  insert_prot(self->fd, PAGE(0), self->pfn + 5,
			      MMEXT_TEST_PROT_WRITE));
	EXPECT_EQ(5, peek(PAGE(0)));
	ASSERT_EQ(0, follow_pte(self->fd, PAGE(0), &c));
	EXPECT_TRUE(c.out_value & MMEXT_TEST_PTE_YOUNG);
	EXPECT_FALSE(c.out_value & MMEXT_TEST_PTE_DIRTY);
	EXPECT_EQ(0, poke(PAGE(0), 5));
	ASSERT_EQ(0, follow_pte(self->fd, PAGE(0), &c));
	EXPECT_TRUE(c.out_value & MMEXT_TEST_PTE_DIRTY);
}

/* mmext_vm_iomap_memory(), of a VMA of the driver's pages 16 to 23 */
FIXTURE(iomapper)
{
	int fd;
	__u64 pfn;
	char *addr;
};

#define IO_FIRST	16
#define IO_PAGES	8
#define IO_BYTES	(IO_PAGES * page_size)

FIXTURE_SETUP(iomapper)
{
	struct mmext_test_call c = { .op = MMEXT_TEST_INFO };

	self->fd = driver_open();
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, driver_call(self->fd, &c));
	self->pfn = c.out_pfn;
	self->addr = region_map(self->fd, IO_BYTES, IO_FIRST * page_size);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(iomapper)
{
	munmap(self->addr, IO_BYTES);
	close(self->fd);
}

static int iomap(int fd, void *vma, __u64 start, __u64 len)
{
	return on_vma(fd, MMEXT_TEST_VM_IOMAP_MEMORY, vma, (void *)start, len,
		      0, 0);
}

TEST_F(iomapper, maps_all_of_the_vma)
{
	int i;

	ASSERT_EQ(0, iomap(self->fd, self->addr, 0, 64 * page_size));
	for (i = 0; i < IO_PAGES; i++)
		EXPECT_EQ(self->pfn + IO_FIRST + i,
			  follow(self->fd, self->addr + i * page_size));
	EXPECT_EQ(-1, filled_not(self->addr, IO_BYTES, IO_FIRST));
	/* and once more, with some of it gone */
	ASSERT_EQ(0, zap(self->fd, self->addr + page_size, page_size));
	EXPECT_EQ(0, iomap(self->fd, self->addr, 0, 64 * page_size));
	EXPECT_EQ(IO_PAGES, count_present(self->fd, self->addr, IO_BYTES));
}

TEST_F(iomapper, keeps_to_the_range)
{
	__u64 end = (IO_FIRST + IO_PAGES) * page_size;

	EXPECT_EQ(-EINVAL, iomap(self->fd, self->addr, 0, end - page_size));
	EXPECT_EQ(-EINVAL, iomap(self->fd, self->addr, 0, page_size));
	EXPECT_EQ(-EINVAL, iomap(self->fd, self->addr, 0, 0));
	EXPECT_EQ(-EINVAL, iomap(self->fd, self->addr, 0, -1ULL));
	EXPECT_EQ(-EINVAL, iomap(self->fd, self->addr, -page_size, -1ULL));
	EXPECT_EQ(0, count_present(self->fd, self->addr, IO_BYTES));
	/* the last byte of the last page, and its first */
	EXPECT_EQ(0, iomap(self->fd, self->addr, 0, end - page_size + 1));
	EXPECT_EQ(IO_FIRST + IO_PAGES - 1,
		  peek(self->addr + IO_BYTES - page_size));
}

TEST_F(iomapper, begins_inside_of_a_page)
{
	__u64 end = (IO_FIRST + IO_PAGES) * page_size;

	/* a byte of the page before the first is one page more */
	ASSERT_EQ(0, iomap(self->fd, self->addr, page_size - 1,
			   end - page_size + 1));
	EXPECT_EQ(self->pfn + IO_FIRST, follow(self->fd, self->addr));
}

TEST_F(iomapper, refuses_a_vma_of_others)
{
	char *anon = mmap(NULL, page_size, PROT_READ, MAP_PRIVATE |
			  MAP_ANONYMOUS, -1, 0);

	EXPECT_EQ(-EINVAL, iomap(self->fd, anon, 0, -1ULL >> 20));
	EXPECT_EQ(0, peek(anon));
	munmap(anon, page_size);
}

/* mmext_access_remote_vm() */
FIXTURE(remote)
{
	FIXTURE_DATA(engine) base;
	/* forked, with all mappings of its own */
	struct peer peer;
	/* anonymous, the same address in both */
	__u8 *anon;
	__u8 *buffer;
};

#define REMOTE_LENGTH	(600 * page_size)

FIXTURE_SETUP(remote)
{
	FIXTURE_DATA(engine) *base = &self->base;

	engine_setup(_metadata, base, NULL);
	self->anon = mmap(NULL, REMOTE_LENGTH, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->anon);
	fill(self->anon, REMOTE_LENGTH, 1);
	ASSERT_EQ(0, peer_start(&self->peer));
	self->buffer = mmap(NULL, REMOTE_LENGTH, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->buffer);
}

FIXTURE_TEARDOWN(remote)
{
	EXPECT_EQ(0, peer_stop(&self->peer));
	engine_teardown(_metadata, &self->base, NULL);
}

static int remote(FIXTURE_DATA(remote) *self, void *addr, __u64 size,
		  __u32 flags)
{
	struct mmext_test_call c = {
		.op = MMEXT_TEST_ACCESS,
		.prot = flags,
		.vma = self->peer.pid,
		.addr = (uintptr_t)addr,
		.size = size,
		.pfn = (uintptr_t)self->buffer,
	};

	return driver_call(self->base.fd, &c);
}

TEST_F(remote, access_remote_vm_reads_another_process)
{
	ASSERT_EQ(0, peer_poke(&self->peer, self->anon, 77));
	ASSERT_EQ(REMOTE_LENGTH, remote(self, self->anon, REMOTE_LENGTH, 0));
	EXPECT_EQ(77, self->buffer[0]);
	EXPECT_EQ(-1, filled_not(self->buffer + page_size,
				 REMOTE_LENGTH - page_size, 2));
	EXPECT_EQ(1, self->anon[0]);
}

TEST_F(remote, access_remote_vm_writes_another_process)
{
	memset(self->buffer, 9, REMOTE_LENGTH);
	ASSERT_EQ(2 * page_size, remote(self, self->anon + 100, 2 * page_size,
					MMEXT_TEST_ACCESS_WRITE));
	EXPECT_EQ(9, peer_peek(&self->peer, self->anon + 100));
	EXPECT_EQ(9, peer_peek(&self->peer, self->anon + 99 + 2 * page_size));
	EXPECT_EQ(3, self->anon[2 * page_size]);
	EXPECT_EQ(1, peer_peek(&self->peer, self->anon));
	EXPECT_EQ(0, peer_peek(&self->peer,
			       self->anon + 100 + 2 * page_size));
	EXPECT_EQ(1, self->anon[0]);
}

TEST_F(remote, access_remote_vm_counts_what_it_did)
{
	ASSERT_EQ(0, peer_munmap(&self->peer, self->anon + 3 * page_size,
				 page_size));
	EXPECT_EQ(3 * page_size - 5, remote(self, self->anon + 5,
					    REMOTE_LENGTH - 5, 0));
	EXPECT_EQ(0, remote(self, self->anon + 3 * page_size, 1, 0));
	EXPECT_EQ(0, remote(self, NULL, 1, 0));
	EXPECT_EQ(0, remote(self, self->anon, 0, 0));
}

TEST_F(remote, access_remote_vm_forces_what_is_protected)
{
	ASSERT_EQ(0, peer_mprotect(&self->peer, self->anon, page_size,
				   PROT_READ));
	EXPECT_EQ(0, remote(self, self->anon, 1, MMEXT_TEST_ACCESS_WRITE));
	self->buffer[0] = 55;
	EXPECT_EQ(1, remote(self, self->anon, 1, MMEXT_TEST_ACCESS_WRITE |
			    MMEXT_TEST_ACCESS_FORCE));
	EXPECT_EQ(55, peer_peek(&self->peer, self->anon));
	EXPECT_EQ(-SIGSEGV, peer_poke(&self->peer, self->anon, 1));
	ASSERT_EQ(0, peer_mprotect(&self->peer, self->anon, page_size,
				   PROT_NONE));
	EXPECT_EQ(0, remote(self, self->anon, 1, 0));
	EXPECT_EQ(1, remote(self, self->anon, 1, MMEXT_TEST_ACCESS_FORCE));
	EXPECT_EQ(55, self->buffer[0]);
}

TEST_F(remote, access_remote_vm_refuses_what_it_does_not_know)
{
	EXPECT_EQ(-EINVAL, remote(self, self->anon, 1,
				  MMEXT_TEST_ACCESS_OTHER));
	EXPECT_EQ(-EINVAL, remote(self, self->anon, 0xffffffff, 0));
}

/* The driver has no access(): the engine follows its entries. */
TEST_F(remote, access_remote_vm_follows_and_faults_frames)
{
	FIXTURE_DATA(engine) *base = &self->base;
	char *addr = peer_map(&self->peer, base->fd, base->length, 0);
	struct mmext_test_call c;
	char *mine;
	int before;

	ASSERT_NE(MAP_FAILED, addr);
	ASSERT_EQ(base->length - 1, remote(self, addr + 1, base->length - 1,
					   0));
	EXPECT_EQ(1, self->buffer[page_size - 1]);
	EXPECT_EQ(15, self->buffer[15 * page_size - 1]);
	/* a store is the driver's to allow */
	before = mkwrites(base->fd);
	self->buffer[0] = 200;
	ASSERT_EQ(1, remote(self, addr + 9, 1, MMEXT_TEST_ACCESS_WRITE));
	EXPECT_EQ(before + 1, mkwrites(base->fd));
	EXPECT_EQ(200, peer_peek(&self->peer, addr + 9));
	/* and to see */
	mine = region_map(base->fd, base->length, 0);
	ASSERT_NE(MAP_FAILED, mine);
	EXPECT_EQ(200, peek(mine + 9));
	EXPECT_EQ(0, poke(mine + 9, 0));
	ASSERT_EQ(0, follow_pte(base->fd, mine, &c));
	EXPECT_TRUE(c.out_value & MMEXT_TEST_PTE_DIRTY);
	/* where it has none to give, nothing is read */
	addr = peer_map(&self->peer, base->fd, base->length,
			MMEXT_TEST_NO_FAULT * page_size);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(0, remote(self, addr, 1, 0));
	munmap(mine, base->length);
}

TEST_F(remote, access_remote_vm_stores_leave_a_dirty_entry)
{
	FIXTURE_DATA(engine) *base = &self->base;
	pid_t pid = self->peer.pid;
	struct mmext_test_call c;

	ASSERT_EQ(MMEXT_TEST_NOPAGE,
		  insert_prot(base->fd, base->addr, base->pfn + 5,
			      MMEXT_TEST_PROT_WRITE));
	ASSERT_EQ(0, follow_pte(base->fd, base->addr, &c));
	ASSERT_FALSE(c.out_value & MMEXT_TEST_PTE_DIRTY);
	self->peer.pid = getpid();
	ASSERT_EQ(1, remote(self, base->addr, 1, 0));
	EXPECT_EQ(5, self->buffer[0]);
	ASSERT_EQ(0, follow_pte(base->fd, base->addr, &c));
	EXPECT_FALSE(c.out_value & MMEXT_TEST_PTE_DIRTY);
	EXPECT_EQ(1, remote(self, base->addr, 1, MMEXT_TEST_ACCESS_WRITE));
	ASSERT_EQ(0, follow_pte(base->fd, base->addr, &c));
	EXPECT_TRUE(c.out_value & MMEXT_TEST_PTE_DIRTY);
	self->peer.pid = pid;
}

/* An entry stays when mprotect(2) takes the right to read away. */
TEST_F(remote, access_remote_vm_reads_no_frame_of_prot_none)
{
	FIXTURE_DATA(engine) *base = &self->base;
	pid_t pid = self->peer.pid;

	ASSERT_EQ(MMEXT_TEST_NOPAGE,
		  insert_prot(base->fd, base->addr, base->pfn + 5, 0));
	self->peer.pid = getpid();
	EXPECT_EQ(1, remote(self, base->addr, 1, 0));
	ASSERT_EQ(0, mprotect(base->addr, page_size, PROT_NONE));
	EXPECT_EQ(0, remote(self, base->addr, 1, 0));
	ASSERT_EQ(0, mprotect(base->addr, page_size, PROT_READ));
	EXPECT_EQ(1, remote(self, base->addr, 1, 0));
	EXPECT_EQ(0, remote(self, base->addr, 1, MMEXT_TEST_ACCESS_WRITE));
	self->peer.pid = pid;
}

/* VMAs that are not the engine's */
FIXTURE(others)
{
	int fd;
	char *addr;
	__u64 pfn;
};

FIXTURE_VARIANT(others)
{
	bool anonymous;
};

FIXTURE_VARIANT_ADD(others, anonymous)
{
	.anonymous = true,
};

FIXTURE_VARIANT_ADD(others, of_a_driver)
{
};

FIXTURE_SETUP(others)
{
	struct mmext_test_call c = { .op = MMEXT_TEST_INFO };

	self->fd = driver_open();
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, driver_call(self->fd, &c));
	self->pfn = c.out_pfn;
	if (variant->anonymous) {
		self->addr = mmap(NULL, NR_PAGES * page_size,
				  PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	} else {
		set_kind(self->fd, MMEXT_TEST_FOREIGN);
		self->addr = region_map(self->fd, NR_PAGES * page_size, 0);
	}
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(others)
{
	munmap(self->addr, NR_PAGES * page_size);
	close(self->fd);
}

TEST_F(others, get_no_entry)
{
	struct mmext_test_call c = {
		.op = MMEXT_TEST_VMA_MAPPING,
		.vma = (uintptr_t)self->addr,
	};

	EXPECT_EQ(MMEXT_TEST_SIGBUS, insert(self->fd, self->addr, self->pfn));
	EXPECT_EQ(MMEXT_TEST_SIGBUS, insert_prot(self->fd, self->addr,
						 self->pfn, 0));
	EXPECT_EQ(-EINVAL, remap(self->fd, self->addr, page_size, self->pfn,
				 0));
	EXPECT_EQ(0, driver_call(self->fd, &c));
	EXPECT_EQ(0, c.out_value);
	/* page 0 of the device is zero as well */
	EXPECT_EQ(0, peek(self->addr));
}

TEST_F(others, lose_no_entry)
{
	fill(self->addr, NR_PAGES * page_size, 0);
	EXPECT_EQ(-EINVAL, zap(self->fd, self->addr, page_size));
	EXPECT_EQ(-EINVAL, zap_single(self->fd, self->addr, page_size));
	EXPECT_EQ(-1, filled_not(self->addr, NR_PAGES * page_size, 0));
}

TEST_F(others, are_not_looked_at)
{
	struct mmext_test_call c;

	fill(self->addr, NR_PAGES * page_size, 0);
	EXPECT_EQ(0, follow(self->fd, self->addr));
	EXPECT_EQ(-EINVAL, follow_pte(self->fd, self->addr, &c));
}

TEST(vma_of_another_driver_on_the_engine_is_its_own)
{
	int region = region_open(), fd = driver_open();
	struct mmext_test_call c = { .op = MMEXT_TEST_VMA_MAPPING };
	char *addr, *mine;

	ASSERT_GE(region, 0);
	ASSERT_GE(fd, 0);
	addr = region_map(region, page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	mine = region_map(fd, page_size, 0);
	ASSERT_NE(MAP_FAILED, mine);
	c.vma = (uintptr_t)addr;
	EXPECT_EQ(0, driver_call(fd, &c));
	EXPECT_EQ(1, c.out_value);
	c.vma = (uintptr_t)mine;
	EXPECT_EQ(0, driver_call(fd, &c));
	EXPECT_EQ(2, c.out_value);
	/* and neither device takes the other's mapping for one of its own */
	EXPECT_EQ(-EFAULT, region_zap(region, mine, page_size));
	close(fd);
	close(region);
}

/* mmext_vma_init() */
static int init_with(enum mmext_test_kind kind, int flags, int prot)
{
	int fd = driver_open(), ret = 0;
	char *addr;

	set_kind(fd, kind);
	addr = mmap(NULL, page_size, prot, flags, fd, 0);
	if (addr == MAP_FAILED)
		ret = -errno;
	else
		munmap(addr, page_size);
	close(fd);
	return ret;
}

TEST(vma_init_takes_a_shared_mapping)
{
	EXPECT_EQ(0, init_with(MMEXT_TEST_GOOD, MAP_SHARED,
			       PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, init_with(MMEXT_TEST_GOOD, MAP_SHARED, PROT_READ));
	EXPECT_EQ(0, init_with(MMEXT_TEST_GOOD, MAP_SHARED, PROT_NONE));
}

TEST(vma_init_refuses_a_private_mapping)
{
	EXPECT_EQ(-EINVAL, init_with(MMEXT_TEST_GOOD, MAP_PRIVATE,
				     PROT_READ | PROT_WRITE));
	EXPECT_EQ(-EINVAL, init_with(MMEXT_TEST_GOOD, MAP_PRIVATE, PROT_READ));
}

TEST(vma_init_refuses_vm_ops_that_are_not_for_the_engine)
{
	EXPECT_EQ(-EINVAL, init_with(MMEXT_TEST_NO_VM_OPS, MAP_SHARED,
				     PROT_READ));
	EXPECT_EQ(-EINVAL, init_with(MMEXT_TEST_OTHER_VM_OPS, MAP_SHARED,
				     PROT_READ));
	EXPECT_EQ(-EINVAL, init_with(MMEXT_TEST_NO_PFN_MKWRITE, MAP_SHARED,
				     PROT_READ));
}

TEST(vma_init_refuses_no_mapping)
{
	EXPECT_EQ(-EINVAL, init_with(MMEXT_TEST_NO_MAPPING, MAP_SHARED,
				     PROT_READ));
}

TEST_F(engine, vma_stays_the_engines_through_fork_split_and_move)
{
	char *place = mmap(NULL, page_size, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mmext_test_call c = { .op = MMEXT_TEST_VMA_MAPPING };
	pid_t pid;

	ASSERT_NE(MAP_FAILED, place);
	ASSERT_EQ(0, remap(self->fd, self->addr, self->length, self->pfn, 0));
	ASSERT_EQ(0, munmap(PAGE(5), page_size));
	ASSERT_EQ(place, mremap(PAGE(8), page_size, page_size,
				MREMAP_MAYMOVE | MREMAP_FIXED, place));
	c.vma = (uintptr_t)PAGE(6);
	ASSERT_EQ(0, driver_call(self->fd, &c));
	EXPECT_EQ(2, c.out_value);
	c.vma = (uintptr_t)place;
	ASSERT_EQ(0, driver_call(self->fd, &c));
	EXPECT_EQ(2, c.out_value);
	EXPECT_EQ(self->pfn + 8, follow(self->fd, place));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		CHILD_CHECK(follow(self->fd, place) == self->pfn + 8);
		CHILD_CHECK(!zap(self->fd, place, page_size));
		CHILD_CHECK(!present(self->fd, place));
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_TRUE(present(self->fd, place));
}

TEST_HARNESS_MAIN
