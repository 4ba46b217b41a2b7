// SPDX-License-Identifier: GPL-2.0
/*
 * The rules that every call keeps: size, flags and tail of its structure,
 * ranges, addresses, descriptors, signals.
 */
#include <stdalign.h>

#include "mmext_selftest.h"

#include <sys/time.h>

#define NR_PAGES	8

union any_call {
	struct {
		__u32 size;
		__u32 flags;
	};
	struct mmext_info info;
	struct mmext_setup setup;
	struct mmext_populate populate;
	struct mmext_remap remap;
	struct mmext_zap zap;
	struct mmext_unmap unmap;
	struct mmext_revoke revoke;
	struct mmext_protect protect;
	struct mmext_dirty dirty;
	struct mmext_lookup lookup;
	struct mmext_iomem iomem;
	struct mmext_access access;
};

/* It gives the region its shape, and so comes before any mapping. */
static bool comes_first(unsigned long cmd)
{
	return cmd == MMEXT_SETUP || cmd == MMEXT_IOMEM;
}

/* A good call of one page, of the region's second or of a mapping's second. */
static void good_call(unsigned long cmd, void *place, char *addr,
		      struct mmext_entry *entries)
{
	union any_call *any = place;

	switch (cmd) {
	case MMEXT_INFO:
		any->info = (struct mmext_info) { .size = sizeof(any->info) };
		break;
	case MMEXT_SETUP:
		any->setup = (struct mmext_setup) {
			.size = sizeof(any->setup),
			.length = NR_PAGES * page_size,
		};
		break;
	case MMEXT_POPULATE:
		any->populate = (struct mmext_populate) {
			.size = sizeof(any->populate),
			.addr = (uintptr_t)addr + page_size,
			.length = page_size,
		};
		break;
	case MMEXT_REMAP:
		any->remap = (struct mmext_remap) {
			.size = sizeof(any->remap),
			.from = page_size,
			.to = 4 * page_size,
			.length = page_size,
		};
		break;
	case MMEXT_ZAP:
		any->zap = (struct mmext_zap) {
			.size = sizeof(any->zap),
			.addr = (uintptr_t)addr + page_size,
			.length = page_size,
		};
		break;
	case MMEXT_UNMAP:
		any->unmap = (struct mmext_unmap) {
			.size = sizeof(any->unmap),
			.offset = page_size,
			.length = page_size,
		};
		break;
	case MMEXT_REVOKE:
		any->revoke = (struct mmext_revoke) {
			.size = sizeof(any->revoke),
		};
		break;
	case MMEXT_PROTECT:
		any->protect = (struct mmext_protect) {
			.size = sizeof(any->protect),
			.offset = page_size,
			.length = page_size,
		};
		break;
	case MMEXT_DIRTY:
		any->dirty = (struct mmext_dirty) {
			.size = sizeof(any->dirty),
			.flags = MMEXT_DIRTY_START,
			.offset = page_size,
			.length = page_size,
		};
		break;
	case MMEXT_LOOKUP:
		any->lookup = (struct mmext_lookup) {
			.size = sizeof(any->lookup),
			.addr = (uintptr_t)addr + page_size,
			.length = page_size,
			.entries = (uintptr_t)entries,
		};
		break;
	case MMEXT_IOMEM:
		any->iomem = (struct mmext_iomem) {
			.size = sizeof(any->iomem),
			.phys = io_find(),
			.length = page_size,
			.cache = MMEXT_CACHE_UC,
		};
		break;
	case MMEXT_ACCESS:
		any->access = (struct mmext_access) {
			.size = sizeof(any->access),
			.addr = (uintptr_t)addr + page_size,
			.length = sizeof(*entries),
			.buffer = (uintptr_t)entries,
		};
		break;
	}
}

/* Every call, with a place for its structure that ends in unmapped memory. */
FIXTURE(call)
{
	int fd;
	char *addr;
	char *place;
	char *end;
	struct mmext_entry entry;
};

FIXTURE_VARIANT(call)
{
	unsigned long cmd;
	size_t size;
	/* as first published, if it has grown since */
	size_t min;
	__u32 flags;
	/* needs a descriptor that is open for writing */
	bool needs_write;
};

FIXTURE_VARIANT_ADD(call, info)
{
	.cmd = MMEXT_INFO,
	.size = sizeof(struct mmext_info),
};

FIXTURE_VARIANT_ADD(call, setup)
{
	.cmd = MMEXT_SETUP,
	.size = sizeof(struct mmext_setup),
	.min = offsetof(struct mmext_setup, around),
	.flags = MMEXT_SETUP_HUGE,
	.needs_write = true,
};

FIXTURE_VARIANT_ADD(call, populate)
{
	.cmd = MMEXT_POPULATE,
	.size = sizeof(struct mmext_populate),
	.flags = MMEXT_POPULATE_WRITE,
};

FIXTURE_VARIANT_ADD(call, remap)
{
	.cmd = MMEXT_REMAP,
	.size = sizeof(struct mmext_remap),
	.flags = MMEXT_REMAP_ALIAS,
	.needs_write = true,
};

FIXTURE_VARIANT_ADD(call, zap)
{
	.cmd = MMEXT_ZAP,
	.size = sizeof(struct mmext_zap),
	.min = offsetof(struct mmext_zap, out_skipped),
	.flags = MMEXT_ZAP_SPAN,
};

FIXTURE_VARIANT_ADD(call, unmap)
{
	.cmd = MMEXT_UNMAP,
	.size = sizeof(struct mmext_unmap),
	.flags = MMEXT_UNMAP_FREE | MMEXT_UNMAP_TO_END |
		 MMEXT_UNMAP_EVEN_COWS,
};

FIXTURE_VARIANT_ADD(call, revoke)
{
	.cmd = MMEXT_REVOKE,
	.size = sizeof(struct mmext_revoke),
	.needs_write = true,
};

FIXTURE_VARIANT_ADD(call, protect)
{
	.cmd = MMEXT_PROTECT,
	.size = sizeof(struct mmext_protect),
	.flags = MMEXT_PROTECT_READ_ONLY,
	.needs_write = true,
};

FIXTURE_VARIANT_ADD(call, dirty)
{
	.cmd = MMEXT_DIRTY,
	.size = sizeof(struct mmext_dirty),
	.flags = MMEXT_DIRTY_START | MMEXT_DIRTY_STOP | MMEXT_DIRTY_GET |
		 MMEXT_DIRTY_CLEAR | MMEXT_DIRTY_RUNS,
	.needs_write = true,
};

FIXTURE_VARIANT_ADD(call, lookup)
{
	.cmd = MMEXT_LOOKUP,
	.size = sizeof(struct mmext_lookup),
};

FIXTURE_VARIANT_ADD(call, iomem)
{
	.cmd = MMEXT_IOMEM,
	.size = sizeof(struct mmext_iomem),
	.needs_write = true,
};

FIXTURE_VARIANT_ADD(call, access)
{
	.cmd = MMEXT_ACCESS,
	.size = sizeof(struct mmext_access),
	.flags = MMEXT_ACCESS_WRITE,
};

FIXTURE_SETUP(call)
{
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	if (!comes_first(variant->cmd)) {
		self->addr = region_map(self->fd, NR_PAGES * page_size, 0);
		ASSERT_NE(MAP_FAILED, self->addr);
		fill(self->addr, NR_PAGES * page_size, 1);
	}
	self->place = mmap(NULL, 3 * page_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->place);
	self->end = self->place + 2 * page_size;
	ASSERT_EQ(0, mprotect(self->end, page_size, PROT_NONE));
}

FIXTURE_TEARDOWN(call)
{
	munmap(self->place, 3 * page_size);
	if (self->addr)
		munmap(self->addr, NR_PAGES * page_size);
	close(self->fd);
}

#define GOOD_CALL(place)	\
	good_call(variant->cmd, place, self->addr, &self->entry)

TEST_F(call, succeeds_when_it_is_good)
{
	GOOD_CALL(self->place);
	EXPECT_EQ(0, call(self->fd, variant->cmd, self->place));
}

TEST_F(call, shorter_struct_is_einval)
{
	__u32 size, min = variant->min ? variant->min : variant->size;

	for (size = 0; size < min; size++) {
		GOOD_CALL(self->place);
		memcpy(self->place, &size, sizeof(size));
		EXPECT_EQ(-EINVAL, call(self->fd, variant->cmd, self->place));
	}
}

TEST_F(call, struct_of_an_older_program_is_taken_and_not_written_beyond)
{
	__u32 size = variant->min;
	union any_call any;
	int good = 0;

	for (; size && size < variant->size; size += sizeof(__u32)) {
		GOOD_CALL(&any);
		any.size = size;
		memcpy(self->end - size, &any, size);
		EXPECT_EQ(good, call(self->fd, variant->cmd, self->end - size));
		/* a region gets its shape once */
		if (comes_first(variant->cmd))
			good = -EBUSY;
	}
}

TEST_F(call, longer_struct_with_a_zero_tail_is_taken)
{
	__u32 size = variant->size + 24;

	GOOD_CALL(self->place);
	memcpy(self->place, &size, sizeof(size));
	EXPECT_EQ(0, call(self->fd, variant->cmd, self->place));
}

TEST_F(call, struct_of_a_whole_page_is_taken)
{
	__u32 size = page_size;

	GOOD_CALL(self->place);
	memcpy(self->place, &size, sizeof(size));
	EXPECT_EQ(0, call(self->fd, variant->cmd, self->place));
}

TEST_F(call, non_zero_tail_is_e2big)
{
	const size_t tails[] = {
		variant->size, variant->size + 7, 2 * variant->size,
		page_size - 1,
	};
	__u32 size = page_size;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tails); i++) {
		GOOD_CALL(self->place);
		memcpy(self->place, &size, sizeof(size));
		self->place[tails[i]] = 1;
		EXPECT_EQ(-E2BIG, call(self->fd, variant->cmd, self->place));
		self->place[tails[i]] = 0;
	}
	/* bytes that are beyond the size are nobody's */
	size = variant->size;
	memset(self->place + size, 0xff, 64);
	GOOD_CALL(self->place);
	EXPECT_EQ(0, call(self->fd, variant->cmd, self->place));
}

TEST_F(call, struct_larger_than_a_page_is_e2big)
{
	const __u32 sizes[] = {
		page_size + 1, 2 * page_size, 0x80000000, 0xffffffff,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		GOOD_CALL(self->place);
		memcpy(self->place, &sizes[i], sizeof(sizes[i]));
		EXPECT_EQ(-E2BIG, call(self->fd, variant->cmd, self->place));
	}
}

TEST_F(call, unknown_flags_are_einval)
{
	union any_call *any = (union any_call *)self->place;
	int bit;

	for (bit = 0; bit < 32; bit++) {
		if (variant->flags & (1U << bit))
			continue;
		GOOD_CALL(any);
		any->flags = 1U << bit;
		EXPECT_EQ(-EINVAL, call(self->fd, variant->cmd, any))
			TH_LOG("flag 1 << %d", bit);
	}
}

TEST_F(call, struct_may_be_the_last_bytes_before_an_unmapped_page)
{
	GOOD_CALL(self->end - variant->size);
	EXPECT_EQ(0, call(self->fd, variant->cmd, self->end - variant->size));
}

TEST_F(call, struct_that_runs_into_an_unmapped_page_is_efault)
{
	union any_call any;
	size_t there;

	GOOD_CALL(&any);
	for (there = 1; there < variant->size; there++) {
		memcpy(self->end - there, &any, there);
		EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd,
					self->end - there));
	}
}

TEST_F(call, tail_that_runs_into_an_unmapped_page_is_efault)
{
	__u32 size = variant->size + 8;

	GOOD_CALL(self->end - variant->size);
	memcpy(self->end - variant->size, &size, sizeof(size));
	EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd,
				self->end - variant->size));
}

TEST_F(call, pointer_to_nothing_is_efault)
{
	EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd, NULL));
	EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd, self->end));
	EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd, (void *)-1UL));
	/* the kernel's memory; to a 32-bit program, nothing once more */
	EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd,
				(void *)(uintptr_t)0xffff888000000000ULL));
}

TEST_F(call, struct_need_not_be_aligned)
{
	GOOD_CALL(self->place);
	memmove(self->place + 1, self->place, variant->size);
	EXPECT_EQ(0, call(self->fd, variant->cmd, self->place + 1));
}

TEST_F(call, struct_that_cannot_be_written_is_efault)
{
	GOOD_CALL(self->place);
	ASSERT_EQ(0, mprotect(self->place, page_size, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd, self->place));
}

TEST_F(call, revoked_region_is_enodev)
{
	ASSERT_EQ(0, region_revoke(self->fd));
	GOOD_CALL(self->place);
	EXPECT_EQ(-ENODEV, call(self->fd, variant->cmd, self->place));
}

TEST_F(call, read_only_descriptor_is_ebadf_where_offsets_change)
{
	int fd = open(MMEXT_DEVICE, O_RDONLY);
	char *addr = NULL;

	ASSERT_GE(fd, 0);
	if (!comes_first(variant->cmd)) {
		addr = region_map_prot(fd, NR_PAGES * page_size, 0, PROT_READ);
		ASSERT_NE(MAP_FAILED, addr);
	}
	good_call(variant->cmd, self->place, addr, &self->entry);
	EXPECT_EQ(variant->needs_write ? -EBADF : 0,
		  call(fd, variant->cmd, self->place));
	close(fd);
}

TEST_F(call, write_only_descriptor_will_do)
{
	int fd = open(MMEXT_DEVICE, O_WRONLY);

	ASSERT_GE(fd, 0);
	GOOD_CALL(self->place);
	/* it can't be mapped, so no address is in a mapping of it */
	switch (variant->cmd) {
	case MMEXT_POPULATE:
	case MMEXT_ZAP:
	case MMEXT_LOOKUP:
		EXPECT_EQ(-EFAULT, call(fd, variant->cmd, self->place));
		break;
	default:
		EXPECT_EQ(0, call(fd, variant->cmd, self->place));
	}
	close(fd);
}

TEST_F(call, another_number_is_enotty)
{
	unsigned int nr = _IOC_NR(variant->cmd);

	GOOD_CALL(self->place);
	/* the same number of another type, direction or size */
	EXPECT_EQ(-ENOTTY, call(self->fd, _IO('m', nr), self->place));
	EXPECT_EQ(-ENOTTY, call(self->fd, _IOWR(MMEXT_TYPE, nr, __u64),
				self->place));
	EXPECT_EQ(-ENOTTY, call(self->fd, _IOR(MMEXT_TYPE, nr, __u64),
				self->place));
	if (self->addr)
		EXPECT_EQ(-1, filled_not(self->addr, NR_PAGES * page_size, 1));
}

TEST_F(call, refused_struct_changes_nothing)
{
	union any_call *any = (union any_call *)self->place;
	struct mmext_info info;

	if (comes_first(variant->cmd)) {
		GOOD_CALL(any);
		any->flags = 1U << 31;
		EXPECT_EQ(-EINVAL, call(self->fd, variant->cmd, any));
		ASSERT_EQ(0, region_info(self->fd, &info));
		EXPECT_EQ(0, info.out_length);
		GOOD_CALL(any);
		EXPECT_EQ(0, call(self->fd, variant->cmd, any));
		return;
	}
	GOOD_CALL(any);
	any->flags = 1U << 31;
	EXPECT_EQ(-EINVAL, call(self->fd, variant->cmd, any));
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, self->addr,
					    NR_PAGES * page_size));
	EXPECT_EQ(-1, filled_not(self->addr, NR_PAGES * page_size, 1));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
	EXPECT_EQ(0, poke(self->addr + page_size, 2));
}

TEST(numbers_of_no_call_are_enotty)
{
	static const unsigned int known[] = {
		MMEXT_CMD_INFO, MMEXT_CMD_SETUP, MMEXT_CMD_POPULATE,
		MMEXT_CMD_REMAP, MMEXT_CMD_ZAP, MMEXT_CMD_UNMAP,
		MMEXT_CMD_REVOKE, MMEXT_CMD_PROTECT, MMEXT_CMD_DIRTY,
		MMEXT_CMD_LOOKUP, MMEXT_CMD_IOMEM, MMEXT_CMD_ACCESS,
		MMEXT_CMD_GMAP_CREATE, MMEXT_CMD_GMAP_ENABLE,
		MMEXT_CMD_GMAP_DISABLE,
	};
	struct mmext_info info = { .size = sizeof(info) };
	int fd = region_open();
	unsigned int nr, i;

	ASSERT_GE(fd, 0);
	for (nr = 0; nr < 256; nr++) {
		for (i = 0; i < ARRAY_SIZE(known); i++)
			if (known[i] == nr)
				break;
		if (i < ARRAY_SIZE(known))
			continue;
		EXPECT_EQ(-ENOTTY, call(fd, _IO(MMEXT_TYPE, nr), &info))
			TH_LOG("number %u", nr);
	}
	EXPECT_EQ(-ENOTTY, call(fd, 0, &info));
	EXPECT_EQ(-ENOTTY, call(fd, ~0U, &info));
	close(fd);
}

TEST(structs_are_laid_out_as_published)
{
	EXPECT_EQ(72, sizeof(struct mmext_info));
	EXPECT_EQ(32, sizeof(struct mmext_setup));
	EXPECT_EQ(24, sizeof(struct mmext_populate));
	EXPECT_EQ(32, sizeof(struct mmext_remap));
	EXPECT_EQ(32, sizeof(struct mmext_zap));
	EXPECT_EQ(24, sizeof(struct mmext_unmap));
	EXPECT_EQ(8, sizeof(struct mmext_revoke));
	EXPECT_EQ(24, sizeof(struct mmext_protect));
	EXPECT_EQ(40, sizeof(struct mmext_dirty));
	EXPECT_EQ(16, sizeof(struct mmext_run));
	EXPECT_EQ(24, offsetof(struct mmext_dirty, marks));
	EXPECT_EQ(32, offsetof(struct mmext_dirty, nr));
	EXPECT_EQ(32, sizeof(struct mmext_lookup));
	EXPECT_EQ(32, sizeof(struct mmext_iomem));
	EXPECT_EQ(32, sizeof(struct mmext_access));
	EXPECT_EQ(16, sizeof(struct mmext_entry));
	EXPECT_EQ(8, alignof(struct mmext_info));
	EXPECT_EQ(16, offsetof(struct mmext_info, out_features));
	EXPECT_EQ(64, offsetof(struct mmext_info, out_backing));
	EXPECT_EQ(16, offsetof(struct mmext_setup, backing));
	EXPECT_EQ(24, offsetof(struct mmext_setup, around));
	EXPECT_EQ(24, offsetof(struct mmext_remap, length));
	EXPECT_EQ(24, offsetof(struct mmext_lookup, entries));
	EXPECT_EQ(12, offsetof(struct mmext_entry, shift));
}

TEST(structs_of_guest_spaces_are_laid_out_as_published)
{
	EXPECT_EQ(24, sizeof(struct mmext_gmap_create));
	EXPECT_EQ(16, sizeof(struct mmext_gmap_enable));
	EXPECT_EQ(8, sizeof(struct mmext_gmap_disable));
	EXPECT_EQ(32, sizeof(struct mmext_gmap_map));
	EXPECT_EQ(24, sizeof(struct mmext_gmap_piece));
	EXPECT_EQ(24, sizeof(struct mmext_gmap_map_batch));
	EXPECT_EQ(24, sizeof(struct mmext_gmap_unmap));
	EXPECT_EQ(24, sizeof(struct mmext_gmap_address));
	EXPECT_EQ(24, sizeof(struct mmext_gmap_translate));
	EXPECT_EQ(32, sizeof(struct mmext_gmap_reverse));
	EXPECT_EQ(24, sizeof(struct mmext_gmap_link));
	EXPECT_EQ(24, sizeof(struct mmext_gmap_unlink));
	EXPECT_EQ(24, sizeof(struct mmext_gmap_fault));
	EXPECT_EQ(24, sizeof(struct mmext_gmap_notify));
	EXPECT_EQ(24, sizeof(struct mmext_gmap_protect));
	EXPECT_EQ(24, sizeof(struct mmext_gmap_discard));
	EXPECT_EQ(32, sizeof(struct mmext_gmap_age));
	EXPECT_EQ(16, sizeof(struct mmext_gmap_event));
	EXPECT_EQ(16, sizeof(struct mmext_gmap_events));
	EXPECT_EQ(104, sizeof(struct mmext_gmap_stat));
	EXPECT_EQ(8, alignof(struct mmext_gmap_event));
	EXPECT_EQ(16, offsetof(struct mmext_gmap_create, segment_shift));
	EXPECT_EQ(20, offsetof(struct mmext_gmap_create, out_fd));
	EXPECT_EQ(16, offsetof(struct mmext_gmap_translate, nr));
	EXPECT_EQ(28, offsetof(struct mmext_gmap_reverse, out_nr));
	EXPECT_EQ(16, offsetof(struct mmext_gmap_unlink, out_unlinked));
	EXPECT_EQ(24, offsetof(struct mmext_gmap_age, marks));
	EXPECT_EQ(12, offsetof(struct mmext_gmap_event, lost));
	EXPECT_EQ(12, offsetof(struct mmext_gmap_events, out_fd));
	EXPECT_EQ(96, offsetof(struct mmext_gmap_stat, out_segment_shift));
}

TEST(published_values_do_not_move)
{
	EXPECT_EQ(0xee00, MMEXT_INFO);
	EXPECT_EQ(0xee01, MMEXT_SETUP);
	EXPECT_EQ(0xee02, MMEXT_POPULATE);
	EXPECT_EQ(0xee03, MMEXT_REMAP);
	EXPECT_EQ(0xee04, MMEXT_ZAP);
	EXPECT_EQ(0xee05, MMEXT_UNMAP);
	EXPECT_EQ(0xee06, MMEXT_REVOKE);
	EXPECT_EQ(0xee07, MMEXT_PROTECT);
	EXPECT_EQ(0xee08, MMEXT_DIRTY);
	EXPECT_EQ(0xee09, MMEXT_LOOKUP);
	EXPECT_EQ(1, MMEXT_SETUP_HUGE);
	EXPECT_EQ(1, MMEXT_POPULATE_WRITE);
	EXPECT_EQ(1, MMEXT_REMAP_ALIAS);
	EXPECT_EQ(1, MMEXT_UNMAP_FREE);
	EXPECT_EQ(2, MMEXT_UNMAP_TO_END);
	EXPECT_EQ(4, MMEXT_UNMAP_EVEN_COWS);
	EXPECT_EQ(1, MMEXT_PROTECT_READ_ONLY);
	EXPECT_EQ(1, MMEXT_DIRTY_START);
	EXPECT_EQ(2, MMEXT_DIRTY_STOP);
	EXPECT_EQ(4, MMEXT_DIRTY_GET);
	EXPECT_EQ(8, MMEXT_DIRTY_CLEAR);
	EXPECT_EQ(16, MMEXT_DIRTY_RUNS);
	EXPECT_EQ(1, MMEXT_ENTRY_PRESENT);
	EXPECT_EQ(2, MMEXT_ENTRY_WRITABLE);
	EXPECT_EQ(4, MMEXT_ENTRY_DIRTY);
	EXPECT_EQ(8, MMEXT_ENTRY_YOUNG);
	EXPECT_EQ(1, MMEXT_BACKING_PAGE);
	EXPECT_EQ(2, MMEXT_BACKING_GUEST);
	EXPECT_EQ(1, MMEXT_CACHE_WC);
	EXPECT_EQ(2, MMEXT_CACHE_UC);
}

TEST(published_values_of_guest_spaces_do_not_move)
{
	EXPECT_EQ(0xee10, MMEXT_GMAP_CREATE);
	EXPECT_EQ(0xee11, MMEXT_GMAP_ENABLE);
	EXPECT_EQ(0xee12, MMEXT_GMAP_DISABLE);
	EXPECT_EQ(0xee20, MMEXT_GMAP_MAP);
	EXPECT_EQ(0xee21, MMEXT_GMAP_MAP_BATCH);
	EXPECT_EQ(0xee22, MMEXT_GMAP_UNMAP);
	EXPECT_EQ(0xee23, MMEXT_GMAP_TRANSLATE);
	EXPECT_EQ(0xee24, MMEXT_GMAP_REVERSE);
	EXPECT_EQ(0xee25, MMEXT_GMAP_LINK);
	EXPECT_EQ(0xee26, MMEXT_GMAP_UNLINK);
	EXPECT_EQ(0xee27, MMEXT_GMAP_FAULT);
	EXPECT_EQ(0xee28, MMEXT_GMAP_NOTIFY);
	EXPECT_EQ(0xee29, MMEXT_GMAP_PROTECT);
	EXPECT_EQ(0xee2a, MMEXT_GMAP_DISCARD);
	EXPECT_EQ(0xee2b, MMEXT_GMAP_DIRTY);
	EXPECT_EQ(0xee2c, MMEXT_GMAP_AGE);
	EXPECT_EQ(0xee2d, MMEXT_GMAP_EVENTS);
	EXPECT_EQ(0xee2e, MMEXT_GMAP_STAT);
	EXPECT_EQ(1, MMEXT_GMAP_CREATE_EXCLUSIVE);
	EXPECT_EQ(1, MMEXT_GMAP_UNLINK_EVERY_SPACE);
	EXPECT_EQ(1, MMEXT_GMAP_FAULT_WRITE);
	EXPECT_EQ(2, MMEXT_GMAP_FAULT_NOWAIT);
	EXPECT_EQ(1, MMEXT_GMAP_NOTIFY_READ);
	EXPECT_EQ(1, MMEXT_GMAP_PROTECT_NONE);
	EXPECT_EQ(2, MMEXT_GMAP_PROTECT_READ);
	EXPECT_EQ(1, MMEXT_GMAP_EVENT_OVERFLOW);
	EXPECT_EQ(2, MMEXT_GMAP_EVENT_ACCESS);
	EXPECT_EQ(8, MMEXT_FEATURE_GMAP_WINDOW);
	EXPECT_EQ(16, MMEXT_FEATURE_GMAP_ANON);
}

/* Every member that has to be a multiple of the page size. */
FIXTURE(aligned_member)
{
	int fd;
	char *addr;
	struct mmext_entry entry;
};

FIXTURE_VARIANT(aligned_member)
{
	unsigned long cmd;
	size_t member;
};

FIXTURE_VARIANT_ADD(aligned_member, setup_length)
{
	.cmd = MMEXT_SETUP,
	.member = offsetof(struct mmext_setup, length),
};

FIXTURE_VARIANT_ADD(aligned_member, populate_addr)
{
	.cmd = MMEXT_POPULATE,
	.member = offsetof(struct mmext_populate, addr),
};

FIXTURE_VARIANT_ADD(aligned_member, populate_length)
{
	.cmd = MMEXT_POPULATE,
	.member = offsetof(struct mmext_populate, length),
};

FIXTURE_VARIANT_ADD(aligned_member, remap_from)
{
	.cmd = MMEXT_REMAP,
	.member = offsetof(struct mmext_remap, from),
};

FIXTURE_VARIANT_ADD(aligned_member, remap_to)
{
	.cmd = MMEXT_REMAP,
	.member = offsetof(struct mmext_remap, to),
};

FIXTURE_VARIANT_ADD(aligned_member, remap_length)
{
	.cmd = MMEXT_REMAP,
	.member = offsetof(struct mmext_remap, length),
};

FIXTURE_VARIANT_ADD(aligned_member, zap_addr)
{
	.cmd = MMEXT_ZAP,
	.member = offsetof(struct mmext_zap, addr),
};

FIXTURE_VARIANT_ADD(aligned_member, zap_length)
{
	.cmd = MMEXT_ZAP,
	.member = offsetof(struct mmext_zap, length),
};

FIXTURE_VARIANT_ADD(aligned_member, unmap_offset)
{
	.cmd = MMEXT_UNMAP,
	.member = offsetof(struct mmext_unmap, offset),
};

FIXTURE_VARIANT_ADD(aligned_member, unmap_length)
{
	.cmd = MMEXT_UNMAP,
	.member = offsetof(struct mmext_unmap, length),
};

FIXTURE_VARIANT_ADD(aligned_member, protect_offset)
{
	.cmd = MMEXT_PROTECT,
	.member = offsetof(struct mmext_protect, offset),
};

FIXTURE_VARIANT_ADD(aligned_member, protect_length)
{
	.cmd = MMEXT_PROTECT,
	.member = offsetof(struct mmext_protect, length),
};

FIXTURE_VARIANT_ADD(aligned_member, dirty_offset)
{
	.cmd = MMEXT_DIRTY,
	.member = offsetof(struct mmext_dirty, offset),
};

FIXTURE_VARIANT_ADD(aligned_member, dirty_length)
{
	.cmd = MMEXT_DIRTY,
	.member = offsetof(struct mmext_dirty, length),
};

FIXTURE_VARIANT_ADD(aligned_member, lookup_addr)
{
	.cmd = MMEXT_LOOKUP,
	.member = offsetof(struct mmext_lookup, addr),
};

FIXTURE_VARIANT_ADD(aligned_member, lookup_length)
{
	.cmd = MMEXT_LOOKUP,
	.member = offsetof(struct mmext_lookup, length),
};

FIXTURE_SETUP(aligned_member)
{
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	if (variant->cmd == MMEXT_SETUP)
		return;
	self->addr = region_map(self->fd, NR_PAGES * page_size, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	fill(self->addr, NR_PAGES * page_size, 1);
}

FIXTURE_TEARDOWN(aligned_member)
{
	if (self->addr)
		munmap(self->addr, NR_PAGES * page_size);
	close(self->fd);
}

TEST_F(aligned_member, that_is_not_a_multiple_of_the_page_size_is_einval)
{
	const size_t wrong[] = { 1, 8, 512, page_size / 2, page_size - 1 };
	union any_call any;
	size_t i;
	__u64 val;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		GOOD_CALL(&any);
		memcpy(&val, (char *)&any + variant->member, sizeof(val));
		val += wrong[i];
		memcpy((char *)&any + variant->member, &val, sizeof(val));
		EXPECT_EQ(-EINVAL, call(self->fd, variant->cmd, &any));
	}
	GOOD_CALL(&any);
	EXPECT_EQ(0, call(self->fd, variant->cmd, &any));
}

/* Every range: where it begins, and how long it is. */
FIXTURE(range)
{
	int fd;
	int fixed;
	char *addr;
	struct mmext_entry entry;
	struct mmext_entry entries[NR_PAGES];
};

FIXTURE_VARIANT(range)
{
	unsigned long cmd;
	size_t start;
	size_t length;
	/* of addresses, and not of offsets */
	bool addresses;
};

FIXTURE_VARIANT_ADD(range, populate)
{
	.cmd = MMEXT_POPULATE,
	.start = offsetof(struct mmext_populate, addr),
	.length = offsetof(struct mmext_populate, length),
	.addresses = true,
};

FIXTURE_VARIANT_ADD(range, remap_from)
{
	.cmd = MMEXT_REMAP,
	.start = offsetof(struct mmext_remap, from),
	.length = offsetof(struct mmext_remap, length),
};

FIXTURE_VARIANT_ADD(range, remap_to)
{
	.cmd = MMEXT_REMAP,
	.start = offsetof(struct mmext_remap, to),
	.length = offsetof(struct mmext_remap, length),
};

FIXTURE_VARIANT_ADD(range, zap)
{
	.cmd = MMEXT_ZAP,
	.start = offsetof(struct mmext_zap, addr),
	.length = offsetof(struct mmext_zap, length),
	.addresses = true,
};

FIXTURE_VARIANT_ADD(range, unmap)
{
	.cmd = MMEXT_UNMAP,
	.start = offsetof(struct mmext_unmap, offset),
	.length = offsetof(struct mmext_unmap, length),
};

FIXTURE_VARIANT_ADD(range, protect)
{
	.cmd = MMEXT_PROTECT,
	.start = offsetof(struct mmext_protect, offset),
	.length = offsetof(struct mmext_protect, length),
};

FIXTURE_VARIANT_ADD(range, dirty)
{
	.cmd = MMEXT_DIRTY,
	.start = offsetof(struct mmext_dirty, offset),
	.length = offsetof(struct mmext_dirty, length),
};

FIXTURE_VARIANT_ADD(range, lookup)
{
	.cmd = MMEXT_LOOKUP,
	.start = offsetof(struct mmext_lookup, addr),
	.length = offsetof(struct mmext_lookup, length),
	.addresses = true,
};

FIXTURE_SETUP(range)
{
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->addr = region_map(self->fd, NR_PAGES * page_size, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	fill(self->addr, NR_PAGES * page_size, 1);
	self->fixed = region_open();
	ASSERT_GE(self->fixed, 0);
	ASSERT_EQ(0, region_setup(self->fixed, NR_PAGES * page_size));
}

FIXTURE_TEARDOWN(range)
{
	munmap(self->addr, NR_PAGES * page_size);
	close(self->fd);
	close(self->fixed);
}

static void member_set(void *any, size_t member, __u64 val)
{
	memcpy((char *)any + member, &val, sizeof(val));
}

static __u64 member_get(void *any, size_t member)
{
	__u64 val;

	memcpy(&val, (char *)any + member, sizeof(val));
	return val;
}

/* The good call with another range. */
#define RANGE_CALL(fd, from, len)					\
({									\
	union any_call __any;						\
									\
	GOOD_CALL(&__any);						\
	if (variant->cmd == MMEXT_LOOKUP)				\
		__any.lookup.entries = (uintptr_t)self->entries;	\
	member_set(&__any, variant->start, from);			\
	member_set(&__any, variant->length, len);			\
	call(fd, variant->cmd, &__any);					\
})

#define ADDR_CALL(fd, addr, len) \
	RANGE_CALL(fd, (uintptr_t)(addr), len)

TEST_F(range, that_wraps_is_eoverflow)
{
	__u64 page = page_size;

	EXPECT_EQ(-EOVERFLOW, RANGE_CALL(self->fd, -page, 2 * page));
	EXPECT_EQ(-EOVERFLOW, RANGE_CALL(self->fd, -8 * page, 9 * page));
	/* the same length would have the other range pass the end */
	if (variant->cmd == MMEXT_REMAP)
		return;
	EXPECT_EQ(-EOVERFLOW, RANGE_CALL(self->fd, 1ULL << 63, 1ULL << 63 |
					 page));
	EXPECT_EQ(-EOVERFLOW, RANGE_CALL(self->fd, 3 * page, -2 * page));
}

TEST_F(range, past_the_end_of_the_region_is_einval)
{
	struct mmext_info info;
	__u64 max;

	if (variant->addresses) {
		/* an address has no end but its mapping's */
		EXPECT_EQ(-EFAULT, RANGE_CALL(self->fd, 1ULL << 62,
					      page_size));
		return;
	}
	ASSERT_EQ(0, region_info(self->fd, &info));
	max = info.out_max_offset;
	EXPECT_EQ(-EINVAL, RANGE_CALL(self->fd, max, page_size));
	EXPECT_EQ(-EINVAL, RANGE_CALL(self->fd, max - page_size,
				      2 * page_size));
	EXPECT_EQ(-EINVAL, RANGE_CALL(self->fd, 1ULL << 63, page_size));
	EXPECT_EQ(-EINVAL, RANGE_CALL(self->fixed, NR_PAGES * page_size,
				      page_size));
	EXPECT_EQ(-EINVAL, RANGE_CALL(self->fixed, 7 * page_size,
				      2 * page_size));
	EXPECT_EQ(0, RANGE_CALL(self->fixed, 7 * page_size, page_size));
}

TEST_F(range, of_length_0_does_nothing)
{
	EXPECT_EQ(0, RANGE_CALL(self->fd, variant->addresses ?
				(uintptr_t)self->addr : 0, 0));
	EXPECT_EQ(NR_PAGES, entries_present(self->fd, self->addr,
					    NR_PAGES * page_size));
	EXPECT_EQ(-1, filled_not(self->addr, NR_PAGES * page_size, 1));
	EXPECT_EQ(NR_PAGES, region_pages(self->fd));
}

TEST_F(range, is_advanced)
{
	union any_call any;
	__u64 start;

	GOOD_CALL(&any);
	if (variant->cmd == MMEXT_LOOKUP)
		any.lookup.entries = (uintptr_t)self->entries;
	start = member_get(&any, variant->start);
	member_set(&any, variant->length, 3 * page_size);
	ASSERT_EQ(0, call(self->fd, variant->cmd, &any));
	EXPECT_EQ(0, member_get(&any, variant->length));
	EXPECT_EQ(start + 3 * page_size, member_get(&any, variant->start));
	if (variant->cmd == MMEXT_LOOKUP)
		EXPECT_EQ((uintptr_t)(self->entries + 3), any.lookup.entries);
	if (variant->cmd == MMEXT_REMAP) {
		EXPECT_EQ(4 * page_size, any.remap.from);
		EXPECT_EQ(7 * page_size, any.remap.to);
	}
}

TEST_F(range, of_addresses_outside_one_mapping_is_efault)
{
	size_t length = 4 * page_size;
	char *area, *other;
	int fd;

	if (!variant->addresses)
		return;
	/* a mapping of this region in the middle of nothing */
	area = mmap(NULL, 3 * length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	ASSERT_EQ(0, munmap(area, 3 * length));
	area += length;
	ASSERT_EQ(area, mmap(area, length, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_FIXED, self->fd, 0));
	EXPECT_EQ(0, ADDR_CALL(self->fd, area, length));
	/* none, before, behind */
	EXPECT_EQ(-EFAULT, ADDR_CALL(self->fd, area + length, page_size));
	EXPECT_EQ(-EFAULT, ADDR_CALL(self->fd, area - page_size, page_size));
	EXPECT_EQ(-EFAULT, ADDR_CALL(self->fd, area - page_size,
				     2 * page_size));
	EXPECT_EQ(-EFAULT, ADDR_CALL(self->fd, area + 3 * page_size,
				     2 * page_size));
	EXPECT_EQ(-EFAULT, RANGE_CALL(self->fd, 0, page_size));
	EXPECT_EQ(-EFAULT, RANGE_CALL(self->fd, 0xffff888000000000ULL,
				      page_size));
	/* memory of another kind */
	other = mmap(area + length, length, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_EQ(area + length, other);
	EXPECT_EQ(-EFAULT, ADDR_CALL(self->fd, other, page_size));
	EXPECT_EQ(-EFAULT, ADDR_CALL(self->fd, other - page_size,
				     2 * page_size));
	/* another region */
	fd = region_open();
	ASSERT_GE(fd, 0);
	ASSERT_EQ(other, mmap(other, length, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, fd, length));
	EXPECT_EQ(-EFAULT, ADDR_CALL(self->fd, other, page_size));
	EXPECT_EQ(-EFAULT, ADDR_CALL(self->fd, other - page_size,
				     2 * page_size));
	EXPECT_EQ(-EFAULT, ADDR_CALL(fd, area, page_size));
	EXPECT_EQ(0, ADDR_CALL(fd, other, page_size));
	/* the same region, but another mapping of it */
	ASSERT_EQ(other, mmap(other, length, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, self->fd,
			      64 * page_size));
	EXPECT_EQ(0, ADDR_CALL(self->fd, other, page_size));
	EXPECT_EQ(-EFAULT, ADDR_CALL(self->fd, other - page_size,
				     2 * page_size));
	close(fd);
}

TEST_F(range, of_addresses_may_cross_what_mprotect_split)
{
	if (!variant->addresses)
		return;
	ASSERT_EQ(0, mprotect(self->addr + 2 * page_size, page_size,
			      PROT_READ));
	EXPECT_EQ(0, ADDR_CALL(self->fd, self->addr, NR_PAGES * page_size));
	EXPECT_EQ(variant->cmd == MMEXT_ZAP ? 0 : NR_PAGES,
		  entries_present(self->fd, self->addr,
				  NR_PAGES * page_size));
	EXPECT_EQ(-1, filled_not(self->addr, NR_PAGES * page_size, 1));
	/* but not a gap */
	ASSERT_EQ(0, munmap(self->addr + 2 * page_size, page_size));
	EXPECT_EQ(-EFAULT, ADDR_CALL(self->fd, self->addr,
				     NR_PAGES * page_size));
	EXPECT_EQ(0, ADDR_CALL(self->fd, self->addr, 2 * page_size));
}

/* A signal comes in the middle of a call that has much to do. */
static volatile sig_atomic_t ticks;

static void tick(int sig __unused)
{
	ticks++;
}

static void ticks_start(void)
{
	struct sigaction action = { .sa_handler = tick };
	struct itimerval timer = {
		.it_interval.tv_usec = 2000,
		.it_value.tv_usec = 2000,
	};

	ticks = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void ticks_stop(void)
{
	struct itimerval timer = { 0 };

	setitimer(ITIMER_REAL, &timer, NULL);
}

/*
 * Pass the structure until the length is 0, as programs do.  How often it came
 * back before that; -1 if what is left isn't what there was to do.
 */
static int call_in_parts(int fd, unsigned long cmd, void *any, size_t start,
			 size_t length)
{
	__u64 end = member_get(any, start) + member_get(any, length);
	__u64 left = member_get(any, length);
	int ret, parts = 0;

	for (;;) {
		ret = call(fd, cmd, any);
		if (member_get(any, start) + member_get(any, length) != end)
			return -1;
		if (ret == -EINTR && member_get(any, length) != left)
			return -1;
		if (ret && ret != -EINTR)
			return ret;
		if (!ret && member_get(any, length) >= left)
			return -1;
		left = member_get(any, length);
		if (!left)
			return ret ? -1 : parts;
		parts++;
	}
}

TEST(signal_in_a_long_populate_is_progress_or_eintr)
{
	size_t length = 192 * MIB;
	struct mmext_populate arg = {
		.size = sizeof(arg),
		.flags = MMEXT_POPULATE_WRITE,
		.length = length,
	};
	int parts, fd = region_open();
	char *addr;

	ASSERT_GE(fd, 0);
	addr = region_map(fd, length, 0);
	ASSERT_NE(MAP_FAILED, addr);
	arg.addr = (uintptr_t)addr;
	ticks_start();
	parts = call_in_parts(fd, MMEXT_POPULATE, &arg,
			      offsetof(struct mmext_populate, addr),
			      offsetof(struct mmext_populate, length));
	ticks_stop();
	EXPECT_GT(parts, 0);
	EXPECT_EQ(length / page_size, region_pages(fd));
	EXPECT_EQ(length / page_size, entries_present(fd, addr, length));
	munmap(addr, length);
	close(fd);
}

TEST(signal_in_a_long_protect_is_progress_or_eintr)
{
	struct mmext_protect arg = { .size = sizeof(arg) };
	int i, parts = 0, fd = region_open();
	size_t length = 256 * MIB;
	char *addr;

	ASSERT_GE(fd, 0);
	for (i = 0; i < 6 && !parts; i++) {
		length *= 2;
		arg.flags = MMEXT_PROTECT_READ_ONLY;
		arg.offset = 0;
		arg.length = length;
		ticks_start();
		parts = call_in_parts(fd, MMEXT_PROTECT, &arg,
				      offsetof(struct mmext_protect, offset),
				      offsetof(struct mmext_protect, length));
		ticks_stop();
		ASSERT_GE(parts, 0);
	}
	EXPECT_GT(parts, 0);
	addr = region_map(fd, length + page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(-SIGSEGV, poke(addr, 1));
	EXPECT_EQ(-SIGSEGV, poke(addr + length / 2, 1));
	EXPECT_EQ(-SIGSEGV, poke(addr + length - page_size, 1));
	EXPECT_EQ(0, poke(addr + length, 1));
	munmap(addr, length + page_size);
	close(fd);
}

TEST(signal_in_a_long_exchange_is_progress_or_eintr)
{
	size_t length = 64 * MIB;
	struct mmext_remap arg = {
		.size = sizeof(arg),
		.to = length,
		.length = length,
	};
	int i, parts = 0, fd = region_open();
	char *addr;

	ASSERT_GE(fd, 0);
	addr = region_map(fd, 2 * length, 0);
	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, length, 1);
	/* there and back, so that it ends where it began */
	for (i = 0; i < 8 && !parts; i++) {
		arg.from = 0;
		arg.to = length;
		arg.length = length;
		ticks_start();
		parts = call_in_parts(fd, MMEXT_REMAP, &arg,
				      offsetof(struct mmext_remap, to),
				      offsetof(struct mmext_remap, length));
		ticks_stop();
		ASSERT_GE(parts, 0);
		EXPECT_EQ(arg.from + length, arg.to);
	}
	EXPECT_GT(parts, 0);
	EXPECT_EQ(-1, filled_not(addr + (i & 1 ? length : 0), length, 1));
	EXPECT_EQ(length / page_size, region_pages(fd));
	munmap(addr, 2 * length);
	close(fd);
}

TEST(signal_in_a_long_unmap_to_the_end_is_progress_or_eintr)
{
	size_t length = 128 * MIB;
	struct mmext_unmap arg = { .size = sizeof(arg) };
	int i, parts = 0, fd = region_open();
	char *addr;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, region_setup(fd, length));
	addr = region_map(fd, length, 0);
	ASSERT_NE(MAP_FAILED, addr);
	for (i = 0; i < 8 && !parts; i++) {
		ASSERT_EQ(0, region_populate(fd, addr, length, 0));
		memset(&arg, 0, sizeof(arg));
		arg.size = sizeof(arg);
		arg.flags = MMEXT_UNMAP_FREE | MMEXT_UNMAP_TO_END;
		ticks_start();
		/* the first call makes the range of it */
		while (call(fd, MMEXT_UNMAP, &arg) == -EINTR)
			;
		EXPECT_EQ(MMEXT_UNMAP_FREE, arg.flags);
		EXPECT_EQ(length, arg.offset + arg.length);
		if (arg.length) {
			parts = call_in_parts(fd, MMEXT_UNMAP, &arg,
					      offsetof(struct mmext_unmap,
						       offset),
					      offsetof(struct mmext_unmap,
						       length)) + 1;
			ASSERT_GT(parts, 0);
		}
		ticks_stop();
		EXPECT_EQ(0, region_pages(fd));
	}
	EXPECT_GT(parts, 0);
	EXPECT_EQ(0, entries_present(fd, addr, length));
	munmap(addr, length);
	close(fd);
}

TEST(signal_in_a_long_zap_or_lookup_leaves_a_range_to_go_on_with)
{
	size_t length = 128 * MIB, nr = length / page_size;
	struct mmext_entry *entries = calloc(nr, sizeof(*entries));
	struct mmext_lookup lookup = {
		.size = sizeof(lookup),
		.length = length,
		.entries = (uintptr_t)entries,
	};
	struct mmext_zap zap = { .size = sizeof(zap), .length = length };
	int parts, fd = region_open();
	size_t i;
	char *addr;

	ASSERT_GE(fd, 0);
	ASSERT_NE(NULL, entries);
	addr = region_map(fd, length, 0);
	ASSERT_NE(MAP_FAILED, addr);
	ASSERT_EQ(0, region_populate(fd, addr, length, 0));
	lookup.addr = (uintptr_t)addr;
	zap.addr = (uintptr_t)addr;
	ticks_start();
	parts = call_in_parts(fd, MMEXT_LOOKUP, &lookup,
			      offsetof(struct mmext_lookup, addr),
			      offsetof(struct mmext_lookup, length));
	EXPECT_GE(parts, 0);
	parts = call_in_parts(fd, MMEXT_ZAP, &zap,
			      offsetof(struct mmext_zap, addr),
			      offsetof(struct mmext_zap, length));
	ticks_stop();
	EXPECT_GE(parts, 0);
	EXPECT_EQ((uintptr_t)(entries + nr), lookup.entries);
	for (i = 0; i < nr; i++)
		if (!entries[i].flags || !entries[i].pfn)
			break;
	EXPECT_EQ(nr, i);
	EXPECT_EQ(0, entries_present(fd, addr, length));
	free(entries);
	munmap(addr, length);
	close(fd);
}

/* The calls of guest spaces, each a good one of what there is */

union any_gmap_call {
	struct {
		__u32 size;
		__u32 flags;
	};
	struct mmext_gmap_create create;
	struct mmext_gmap_enable enable;
	struct mmext_gmap_disable disable;
	struct mmext_gmap_map map;
	struct mmext_gmap_map_batch batch;
	struct mmext_gmap_unmap unmap;
	struct mmext_gmap_translate translate;
	struct mmext_gmap_reverse reverse;
	struct mmext_gmap_link link;
	struct mmext_gmap_unlink unlink;
	struct mmext_gmap_fault fault;
	struct mmext_gmap_notify notify;
	struct mmext_gmap_protect protect;
	struct mmext_gmap_discard discard;
	struct mmext_dirty dirty;
	struct mmext_gmap_age age;
	struct mmext_gmap_events events;
	struct mmext_gmap_stat stat;
};

FIXTURE(gmap_call)
{
	/* of which kind the call is */
	int fd;
	int space;
	int device;
	char *addr;
	char *place;
	char *end;
	__u64 marks[2];
	struct mmext_gmap_piece piece;
	struct mmext_gmap_address address;
	/* descriptors before the first call */
	int next_fd;
};

FIXTURE_VARIANT(gmap_call)
{
	unsigned long cmd;
	size_t size;
	__u32 flags;
	/* a member that is not looked at yet, and has to be 0 */
	size_t reserved;
	/* of a device file, and of which */
	bool of_device;
	bool of_guest;
};

#define GMAP_CALL(name, nr, type, known, ...)				\
	FIXTURE_VARIANT_ADD(gmap_call, name)				\
	{								\
		.cmd = MMEXT_GMAP_##nr,					\
		.size = sizeof(struct type),				\
		.flags = known,						\
		__VA_ARGS__						\
	}

#define RESERVED(type)	.reserved = offsetof(struct type, reserved)

GMAP_CALL(create, CREATE, mmext_gmap_create, MMEXT_GMAP_CREATE_EXCLUSIVE,
	  .of_device = true);
GMAP_CALL(enable, ENABLE, mmext_gmap_enable, 0, .of_guest = true,
	  RESERVED(mmext_gmap_enable));
GMAP_CALL(disable, DISABLE, mmext_gmap_disable, 0, .of_guest = true);
GMAP_CALL(map, MAP, mmext_gmap_map, 0);
GMAP_CALL(map_batch, MAP_BATCH, mmext_gmap_map_batch, 0,
	  RESERVED(mmext_gmap_map_batch));
GMAP_CALL(unmap, UNMAP, mmext_gmap_unmap, 0);
GMAP_CALL(translate, TRANSLATE, mmext_gmap_translate, 0,
	  RESERVED(mmext_gmap_translate));
GMAP_CALL(reverse, REVERSE, mmext_gmap_reverse, 0);
GMAP_CALL(link, LINK, mmext_gmap_link, 0);
GMAP_CALL(unlink, UNLINK, mmext_gmap_unlink, MMEXT_GMAP_UNLINK_EVERY_SPACE,
	  RESERVED(mmext_gmap_unlink));
GMAP_CALL(fault, FAULT, mmext_gmap_fault,
	  MMEXT_GMAP_FAULT_WRITE | MMEXT_GMAP_FAULT_NOWAIT);
GMAP_CALL(notify, NOTIFY, mmext_gmap_notify, MMEXT_GMAP_NOTIFY_READ);
GMAP_CALL(protect, PROTECT, mmext_gmap_protect,
	  MMEXT_GMAP_PROTECT_NONE | MMEXT_GMAP_PROTECT_READ);
GMAP_CALL(discard, DISCARD, mmext_gmap_discard, 0);
GMAP_CALL(dirty, DIRTY, mmext_dirty,
	  MMEXT_DIRTY_START | MMEXT_DIRTY_STOP | MMEXT_DIRTY_GET |
	  MMEXT_DIRTY_CLEAR | MMEXT_DIRTY_RUNS, RESERVED(mmext_dirty));
GMAP_CALL(age, AGE, mmext_gmap_age, 0);
GMAP_CALL(events, EVENTS, mmext_gmap_events, 0);
GMAP_CALL(stat, STAT, mmext_gmap_stat, 0);

#define GMAP_LENGTH	(64 * page_size)

/* Of the second page, which is mapped already; any of them may come twice. */
static void good_gmap_call(FIXTURE_DATA(gmap_call) *self, unsigned long cmd,
			   void *place)
{
	union any_gmap_call any;
	size_t size = 0;

#define GOOD(member, ...)						\
do {									\
	any.member = (__typeof__(any.member)) {				\
		.size = sizeof(any.member), __VA_ARGS__			\
	};								\
	size = sizeof(any.member);					\
} while (0)

	self->piece.from = (uintptr_t)self->addr + page_size;
	self->piece.to = page_size;
	self->piece.length = page_size;
	self->address.gaddr = page_size;
	switch (cmd) {
	case MMEXT_GMAP_CREATE:
		GOOD(create, .limit = GMAP_LENGTH - 1);
		break;
	case MMEXT_GMAP_ENABLE:
		GOOD(enable, .fd = self->space);
		break;
	case MMEXT_GMAP_DISABLE:
		any.disable = (struct mmext_gmap_disable) {
			.size = sizeof(any.disable),
		};
		size = sizeof(any.disable);
		break;
	case MMEXT_GMAP_MAP:
		GOOD(map, .from = self->piece.from, .to = page_size,
		     .length = page_size);
		break;
	case MMEXT_GMAP_MAP_BATCH:
		GOOD(batch, .pieces = (uintptr_t)&self->piece, .nr = 1);
		break;
	case MMEXT_GMAP_UNMAP:
		GOOD(unmap, .to = page_size, .length = page_size);
		break;
	case MMEXT_GMAP_TRANSLATE:
		GOOD(translate, .addresses = (uintptr_t)&self->address,
		     .nr = 1);
		break;
	case MMEXT_GMAP_REVERSE:
		GOOD(reverse, .vmaddr = self->piece.from,
		     .gaddrs = (uintptr_t)self->marks, .nr = 1);
		break;
	case MMEXT_GMAP_LINK:
		GOOD(link, .gaddr = page_size, .vmaddr = self->piece.from);
		break;
	case MMEXT_GMAP_UNLINK:
		GOOD(unlink, .vmaddr = self->piece.from);
		break;
	case MMEXT_GMAP_FAULT:
		GOOD(fault, .gaddr = page_size, .length = page_size);
		break;
	case MMEXT_GMAP_NOTIFY:
		GOOD(notify, .gaddr = page_size, .length = page_size);
		break;
	case MMEXT_GMAP_PROTECT:
		GOOD(protect, .flags = MMEXT_GMAP_PROTECT_READ,
		     .gaddr = page_size, .length = page_size);
		break;
	case MMEXT_GMAP_DISCARD:
		GOOD(discard, .gaddr = page_size, .length = page_size);
		break;
	case MMEXT_GMAP_DIRTY:
		GOOD(dirty, .flags = MMEXT_DIRTY_START, .offset = page_size,
		     .length = page_size);
		break;
	case MMEXT_GMAP_AGE:
		GOOD(age, .length = page_size,
		     .marks = (uintptr_t)self->marks);
		break;
	case MMEXT_GMAP_EVENTS:
		GOOD(events, .nr = 1);
		break;
	case MMEXT_GMAP_STAT:
		any.stat = (struct mmext_gmap_stat) {
			.size = sizeof(any.stat),
		};
		size = sizeof(any.stat);
		break;
	}
	memcpy(place, &any, size);
}

FIXTURE_SETUP(gmap_call)
{
	struct mmext_setup setup = {
		.size = sizeof(setup),
		.backing = MMEXT_BACKING_GUEST,
	};
	struct mmext_gmap_create create = {
		.size = sizeof(create),
		.limit = GMAP_LENGTH - 1,
		.segment_shift = __builtin_ctz(page_size),
	};
	struct mmext_gmap_map map = {
		.size = sizeof(map),
		.length = GMAP_LENGTH,
	};

	self->device = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->device, 0);
	ASSERT_EQ(0, call(self->device, MMEXT_GMAP_CREATE, &create));
	self->space = create.out_fd;
	self->addr = mmap(NULL, GMAP_LENGTH, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	map.from = (uintptr_t)self->addr;
	ASSERT_EQ(0, call(self->space, MMEXT_GMAP_MAP, &map));
	self->fd = variant->of_device ? self->device : self->space;
	if (variant->of_guest)
		self->fd = call(self->device, MMEXT_SETUP, &setup) ?
			   -1 : self->device;
	self->place = mmap(NULL, 3 * page_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->place);
	self->end = self->place + 2 * page_size;
	ASSERT_EQ(0, mprotect(self->end, page_size, PROT_NONE));
	self->next_fd = dup(0);
	close(self->next_fd);
}

FIXTURE_TEARDOWN(gmap_call)
{
	int fd;

	/* those that calls made */
	for (fd = self->next_fd; fd < self->next_fd + 1000; fd++)
		close(fd);
	munmap(self->place, 3 * page_size);
	munmap(self->addr, GMAP_LENGTH);
	close(self->space);
	close(self->device);
}

#define GOOD_GMAP_CALL(place)	good_gmap_call(self, variant->cmd, place)
#define NEED_THE_FILE()							\
do {									\
	if (self->fd < 0)						\
		SKIP(return, "no windows without a TLB backend");	\
} while (0)

TEST_F(gmap_call, succeeds_when_it_is_good)
{
	NEED_THE_FILE();
	GOOD_GMAP_CALL(self->place);
	EXPECT_EQ(0, call(self->fd, variant->cmd, self->place));
	GOOD_GMAP_CALL(self->end - variant->size);
	EXPECT_EQ(0, call(self->fd, variant->cmd, self->end - variant->size));
	GOOD_GMAP_CALL(self->place);
	memmove(self->place + 1, self->place, variant->size);
	EXPECT_EQ(0, call(self->fd, variant->cmd, self->place + 1));
}

TEST_F(gmap_call, shorter_struct_is_einval)
{
	__u32 size;

	NEED_THE_FILE();
	for (size = 0; size < variant->size; size++) {
		GOOD_GMAP_CALL(self->place);
		memcpy(self->place, &size, sizeof(size));
		EXPECT_EQ(-EINVAL, call(self->fd, variant->cmd, self->place))
			TH_LOG("size %u", size);
	}
}

TEST_F(gmap_call, longer_struct_is_taken_if_its_tail_is_zero)
{
	const __u32 good[] = { variant->size + 8, variant->size + 24, page_size };
	const __u32 large[] = { page_size + 1, 0x80000000, 0xffffffff };
	__u32 size = page_size;
	size_t i;

	NEED_THE_FILE();
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		GOOD_GMAP_CALL(self->place);
		memcpy(self->place, &good[i], sizeof(good[i]));
		EXPECT_EQ(0, call(self->fd, variant->cmd, self->place));
	}
	GOOD_GMAP_CALL(self->place);
	memcpy(self->place, &size, sizeof(size));
	self->place[variant->size] = 1;
	EXPECT_EQ(-E2BIG, call(self->fd, variant->cmd, self->place));
	self->place[variant->size] = 0;
	self->place[page_size - 1] = 1;
	EXPECT_EQ(-E2BIG, call(self->fd, variant->cmd, self->place));
	self->place[page_size - 1] = 0;
	for (i = 0; i < ARRAY_SIZE(large); i++) {
		memcpy(self->place, &large[i], sizeof(large[i]));
		EXPECT_EQ(-E2BIG, call(self->fd, variant->cmd, self->place));
	}
	/* what is beyond the size is nobody's */
	memset(self->place + variant->size, 0xff, 64);
	GOOD_GMAP_CALL(self->place);
	EXPECT_EQ(0, call(self->fd, variant->cmd, self->place));
	EXPECT_TRUE(all_bytes(self->place + variant->size, 64, 0xff));
}

TEST_F(gmap_call, unknown_flags_and_reserved_members_are_einval)
{
	union any_gmap_call *any = (union any_gmap_call *)self->place;
	int bit;

	NEED_THE_FILE();
	for (bit = 0; bit < 32; bit++) {
		if (variant->flags & (1U << bit))
			continue;
		GOOD_GMAP_CALL(any);
		any->flags |= 1U << bit;
		EXPECT_EQ(-EINVAL, call(self->fd, variant->cmd, any))
			TH_LOG("flag 1 << %d", bit);
	}
	if (!variant->reserved)
		return;
	GOOD_GMAP_CALL(self->place);
	self->place[variant->reserved + 3] = 1;
	EXPECT_EQ(-EINVAL, call(self->fd, variant->cmd, self->place));
}

TEST_F(gmap_call, struct_that_is_not_there_is_efault)
{
	union any_gmap_call any;
	size_t there;

	NEED_THE_FILE();
	GOOD_GMAP_CALL(&any);
	for (there = 1; there < variant->size; there++) {
		memcpy(self->end - there, &any, there);
		EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd,
					self->end - there));
	}
	EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd, NULL));
	EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd, self->end));
	EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd, (void *)-1UL));
	GOOD_GMAP_CALL(self->place);
	ASSERT_EQ(0, mprotect(self->place, page_size, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd, self->place));
}

/* A descriptor that nobody was told of is nobody's to close. */
TEST_F(gmap_call, that_fails_leaves_no_descriptor)
{
	int fd;

	NEED_THE_FILE();
	GOOD_GMAP_CALL(self->place);
	ASSERT_EQ(0, mprotect(self->place, page_size, PROT_READ));
	EXPECT_EQ(-EFAULT, call(self->fd, variant->cmd, self->place));
	fd = dup(0);
	EXPECT_EQ(self->next_fd, fd);
	close(fd);
}

TEST_F(gmap_call, another_number_is_enotty)
{
	unsigned int nr = _IOC_NR(variant->cmd);
	int other = variant->of_device || variant->of_guest ? self->space :
							      self->device;

	NEED_THE_FILE();
	GOOD_GMAP_CALL(self->place);
	EXPECT_EQ(-ENOTTY, call(self->fd, _IO('m', nr), self->place));
	EXPECT_EQ(-ENOTTY, call(self->fd, _IOWR(MMEXT_TYPE, nr, __u64),
				self->place));
	/* of the other kind of file */
	EXPECT_EQ(-ENOTTY, call(other, variant->cmd, self->place));
}

TEST(numbers_of_no_call_of_a_space_are_enotty)
{
	struct mmext_gmap_create create = { .size = sizeof(create) };
	int fd = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);
	unsigned int nr;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, call(fd, MMEXT_GMAP_CREATE, &create));
	for (nr = 0; nr < 256; nr++) {
		if (nr >= MMEXT_CMD_GMAP_MAP && nr <= MMEXT_CMD_GMAP_STAT)
			continue;
		EXPECT_EQ(-ENOTTY, call(create.out_fd, _IO(MMEXT_TYPE, nr),
					&create)) TH_LOG("number %u", nr);
	}
	close(create.out_fd);
	close(fd);
}

TEST_HARNESS_MAIN
