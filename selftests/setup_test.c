// SPDX-License-Identifier: GPL-2.0
/*
 * The shape of a region, and what INFO and fdinfo say about it.
 */
#include "mmext_selftest.h"

FIXTURE(setup)
{
	int fd;
};

FIXTURE_SETUP(setup)
{
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(setup)
{
	close(self->fd);
}

TEST_F(setup, region_without_it_has_pfn_backing_and_no_end)
{
	struct mmext_info info;

	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(0, info.out_length);
	EXPECT_EQ(MMEXT_BACKING_PFN, info.out_backing);
	EXPECT_EQ(MMEXT_CACHE_WB, info.out_cache);
}

TEST_F(setup, gives_a_region_its_length)
{
	struct mmext_info info;

	ASSERT_EQ(0, region_setup(self->fd, 5 * page_size));
	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(5 * page_size, info.out_length);
	EXPECT_EQ(5 * page_size, region_stat(self->fd, "length"));
}

TEST_F(setup, length_0_is_no_end)
{
	struct mmext_info info;
	char *addr;

	ASSERT_EQ(0, region_setup(self->fd, 0));
	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(0, info.out_length);
	addr = region_map(self->fd, page_size, 1ULL << 40);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(0, poke(addr, 1));
	munmap(addr, page_size);
}

TEST_F(setup, length_may_be_the_largest_offset)
{
	struct mmext_info info;

	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(-EINVAL, region_setup(self->fd, info.out_max_offset +
					page_size));
	EXPECT_EQ(-EINVAL, region_setup(self->fd, -page_size));
	EXPECT_EQ(0, region_setup(self->fd, info.out_max_offset));
}

TEST_F(setup, comes_once)
{
	ASSERT_EQ(0, region_setup(self->fd, 4 * page_size));
	EXPECT_EQ(-EBUSY, region_setup(self->fd, 4 * page_size));
	EXPECT_EQ(-EBUSY, region_setup(self->fd, 8 * page_size));
	EXPECT_EQ(4 * page_size, region_stat(self->fd, "length"));
}

TEST_F(setup, may_follow_info)
{
	struct mmext_info info;

	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(0, region_setup(self->fd, 4 * page_size));
}

TEST_F(setup, after_mmap_is_ebusy)
{
	char *addr = region_map(self->fd, page_size, 0);

	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(-EBUSY, region_setup(self->fd, page_size));
	munmap(addr, page_size);
	EXPECT_EQ(-EBUSY, region_setup(self->fd, page_size));
}

TEST_F(setup, after_read_is_ebusy)
{
	char byte;

	ASSERT_EQ(1, pread(self->fd, &byte, 1, 0));
	EXPECT_EQ(-EBUSY, region_setup(self->fd, page_size));
}

TEST_F(setup, after_write_is_ebusy)
{
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 0));
	EXPECT_EQ(-EBUSY, region_setup(self->fd, page_size));
}

TEST_F(setup, after_another_call_is_ebusy)
{
	int fd;

	ASSERT_EQ(0, region_protect(self->fd, 0, page_size, 0));
	EXPECT_EQ(-EBUSY, region_setup(self->fd, page_size));
	fd = region_open();
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, region_free(fd, 0, page_size));
	EXPECT_EQ(-EBUSY, region_setup(fd, page_size));
	close(fd);
	fd = region_open();
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, region_exchange(fd, 0, page_size, page_size));
	EXPECT_EQ(-EBUSY, region_setup(fd, page_size));
	close(fd);
}

TEST_F(setup, value_outside_its_enum_is_einval)
{
	struct mmext_setup arg = { .size = sizeof(arg) };

	arg.backing = MMEXT_BACKING_GUEST + 1;
	EXPECT_EQ(-EINVAL, call(self->fd, MMEXT_SETUP, &arg));
	arg.backing = ~0U;
	EXPECT_EQ(-EINVAL, call(self->fd, MMEXT_SETUP, &arg));
	arg.backing = MMEXT_BACKING_PFN;
	arg.cache = MMEXT_CACHE_UC + 1;
	EXPECT_EQ(-EINVAL, call(self->fd, MMEXT_SETUP, &arg));
	arg.cache = ~0U;
	EXPECT_EQ(-EINVAL, call(self->fd, MMEXT_SETUP, &arg));
}

TEST_F(setup, what_this_release_does_not_serve_is_eopnotsupp)
{
	struct mmext_setup arg = { .size = sizeof(arg) };

	arg.cache = MMEXT_CACHE_WC;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, MMEXT_SETUP, &arg));
	arg.cache = MMEXT_CACHE_UC;
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, MMEXT_SETUP, &arg));
}

TEST_F(setup, that_failed_may_be_done_again)
{
	struct mmext_setup arg = {
		.size = sizeof(arg),
		.cache = MMEXT_CACHE_WC,
	};

	ASSERT_EQ(-EOPNOTSUPP, call(self->fd, MMEXT_SETUP, &arg));
	ASSERT_EQ(-EINVAL, region_setup(self->fd, 1));
	EXPECT_EQ(0, region_setup(self->fd, 4 * page_size));
	EXPECT_EQ(4 * page_size, region_stat(self->fd, "length"));
}

TEST_F(setup, huge_is_a_hint_that_every_kernel_takes)
{
	struct mmext_setup arg = {
		.size = sizeof(arg),
		.flags = MMEXT_SETUP_HUGE,
		.length = 2 * TABLE,
	};
	char *addr;

	ASSERT_EQ(0, call(self->fd, MMEXT_SETUP, &arg));
	addr = region_map(self->fd, 2 * TABLE, 0);
	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, 2 * TABLE, 1);
	EXPECT_EQ(-1, filled_not(addr, 2 * TABLE, 1));
	munmap(addr, 2 * TABLE);
}

TEST_F(setup, info_reports_the_interface)
{
	struct mmext_info info;

	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(MMEXT_ABI, info.out_abi);
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(0, info.flags);
	EXPECT_TRUE(info.out_page_sizes & page_size);
	EXPECT_EQ(0, info.out_max_offset % page_size);
	EXPECT_LT(1ULL << 40, info.out_max_offset);
	EXPECT_EQ(0, info.out_features & ~(MMEXT_FEATURE_HUGE |
					   MMEXT_FEATURE_NOTIFIER |
					   MMEXT_FEATURE_PAGE_CHARGED |
					   MMEXT_FEATURE_GMAP_WINDOW |
					   MMEXT_FEATURE_GMAP_ANON));
}

TEST_F(setup, info_ignores_what_its_outputs_held)
{
	struct mmext_info info, junk;

	ASSERT_EQ(0, region_info(self->fd, &info));
	memset(&junk, 0xff, sizeof(junk));
	junk.size = sizeof(junk);
	junk.flags = 0;
	ASSERT_EQ(0, call(self->fd, MMEXT_INFO, &junk));
	EXPECT_EQ(0, memcmp(&info, &junk, sizeof(info)));
}

TEST_F(setup, info_reports_the_tlb_backend_that_is_live)
{
	struct mmext_info info;
	char choice[16];

	ASSERT_EQ(0, region_info(self->fd, &info));
	ASSERT_EQ(0, param_read("tlb", choice, sizeof(choice)));
	if (!strcmp(choice, "kernel")) {
		EXPECT_EQ(MMEXT_TLB_KERNEL, info.out_tlb);
		return;
	}
#ifdef __x86_64__
	EXPECT_EQ(MMEXT_TLB_X86, info.out_tlb);
#else
	EXPECT_LE(info.out_tlb, MMEXT_TLB_ARM64);
#endif
}

TEST_F(setup, info_counts_what_all_regions_hold)
{
	struct mmext_info before, info;
	int other = region_open();

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, region_info(other, &before));
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 0));
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 1ULL << 30));
	ASSERT_EQ(0, region_info(other, &info));
	EXPECT_EQ(before.out_used + 2 * page_size, info.out_used);
	EXPECT_LE(info.out_used, info.out_limit);
	ASSERT_EQ(0, region_free(self->fd, 0, page_size));
	ASSERT_EQ(0, region_info(other, &info));
	EXPECT_EQ(before.out_used + page_size, info.out_used);
	close(other);
}

TEST_F(setup, info_of_a_read_only_descriptor)
{
	int fd = open(MMEXT_DEVICE, O_RDONLY);
	struct mmext_info info;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, region_info(fd, &info));
	EXPECT_EQ(MMEXT_ABI, info.out_abi);
	close(fd);
}

TEST_F(setup, fdinfo_shows_backing_pages_and_faults)
{
	char path[64], text[2048];
	char *addr;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	ASSERT_EQ(0, region_setup(self->fd, 16 * page_size));
	addr = region_map(self->fd, 16 * page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_EQ(0, region_stat(self->fd, "pages"));
	EXPECT_EQ(0, region_stat(self->fd, "faults"));
	fill(addr, 3 * page_size, 1);
	EXPECT_EQ(3, region_stat(self->fd, "pages"));
	EXPECT_LE(3, region_stat(self->fd, "faults"));
	EXPECT_LE(3, region_stat(self->fd, "inserted"));
	EXPECT_EQ(0, region_stat(self->fd, "revoked"));
	EXPECT_EQ(16 * page_size, region_stat(self->fd, "length"));
	ASSERT_EQ(0, file_read_all(path, text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "mmext-backing:\tpfn\n"));
	munmap(addr, 16 * page_size);
}

TEST_F(setup, fdinfo_counts_what_the_engine_did)
{
	long long cleared, delegated, flushes;
	struct mmext_info info;
	char *addr;

	addr = region_map(self->fd, 4 * page_size, 0);
	ASSERT_NE(MAP_FAILED, addr);
	fill(addr, 4 * page_size, 1);
	cleared = region_stat(self->fd, "cleared");
	flushes = region_stat(self->fd, "flushes");
	delegated = region_stat(self->fd, "delegated");
	EXPECT_LE(0, region_stat(self->fd, "retries"));
	ASSERT_EQ(0, region_unmap(self->fd, 0, 4 * page_size, 0));
	ASSERT_EQ(0, region_info(self->fd, &info));
	if (info.out_tlb == MMEXT_TLB_KERNEL) {
		EXPECT_LT(delegated, region_stat(self->fd, "delegated"));
		EXPECT_EQ(cleared, region_stat(self->fd, "cleared"));
	} else {
		EXPECT_EQ(delegated, region_stat(self->fd, "delegated"));
		EXPECT_EQ(cleared + 4, region_stat(self->fd, "cleared"));
		EXPECT_LT(flushes, region_stat(self->fd, "flushes"));
	}
	munmap(addr, 4 * page_size);
}

TEST_HARNESS_MAIN
