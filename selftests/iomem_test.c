// SPDX-License-Identifier: GPL-2.0
/*
 * IOMEM: a region that shows a physical range: the bar of a PCI device, and
 * memory that was kept from the kernel at boot.
 */
#include "mmext_selftest.h"
#include "modules/mmext_test_oracle.h"

#include <sys/klog.h>
#include <linux/capability.h>

#define NR	(IO_LENGTH / page_size)

FIXTURE(iomem)
{
	int fd;
	__u64 phys;
	__u8 *addr;
};

FIXTURE_VARIANT(iomem)
{
	__u64 (*find)(void);
	__u32 cache;
	/* as x86's list of memory types calls it, and as its entries have it */
	const char *type;
	__u64 bits;
};

#define X86_PWT		0x08
#define X86_PCD		0x10
#define X86_PAT		0x80

FIXTURE_VARIANT_ADD(iomem, bar_write_combined)
{
	.find = bar_find,
	.cache = MMEXT_CACHE_WC,
	.type = "write-combining",
	.bits = X86_PWT,
};

FIXTURE_VARIANT_ADD(iomem, bar_uncached)
{
	.find = bar_find,
	.cache = MMEXT_CACHE_UC,
	.type = "uncached-minus",
	.bits = X86_PCD,
};

FIXTURE_VARIANT_ADD(iomem, reserved_write_combined)
{
	.find = reserved_find,
	.cache = MMEXT_CACHE_WC,
	.type = "write-combining",
	.bits = X86_PWT,
};

FIXTURE_VARIANT_ADD(iomem, reserved_uncached)
{
	.find = reserved_find,
	.cache = MMEXT_CACHE_UC,
	.type = "uncached-minus",
	.bits = X86_PCD,
};

FIXTURE_SETUP(iomem)
{
	/* where there is no such range, the other once more */
	self->phys = variant->find() ?: io_find();
	ASSERT_NE(0, self->phys);
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, region_iomem(self->fd, self->phys, IO_LENGTH,
				  variant->cache));
	self->addr = region_map(self->fd, IO_LENGTH, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(iomem)
{
	munmap(self->addr, IO_LENGTH);
	close(self->fd);
}

#define PAGE(n)	(self->addr + (n) * page_size)

/* A byte after the other: uncached memory of arm64's faults on what is not aligned. */
static bool shows(const volatile __u8 *at, const __u8 *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		if (at[i] != bytes[i])
			return false;
	}
	return true;
}

TEST_F(iomem, shows_the_range_and_keeps_what_is_stored)
{
	fill(self->addr, IO_LENGTH, 1);
	EXPECT_EQ(-1, filled_not(self->addr, IO_LENGTH, 1));
	/* it is not the region that has it */
	munmap(self->addr, IO_LENGTH);
	close(self->fd);
	self->fd = region_open();
	ASSERT_EQ(0, region_iomem(self->fd, self->phys, IO_LENGTH,
				  variant->cache));
	self->addr = region_map(self->fd, IO_LENGTH, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
	EXPECT_EQ(-1, filled_not(self->addr, IO_LENGTH, 1));
	EXPECT_EQ(0, region_pages(self->fd));
}

TEST_F(iomem, first_fault_maps_all_of_the_mapping)
{
	struct mmext_entry entries[NR];
	size_t i;

	EXPECT_EQ(0, entries_present(self->fd, self->addr, IO_LENGTH));
	EXPECT_LE(0, peek(PAGE(7)));
	ASSERT_EQ(0, region_lookup(self->fd, self->addr, IO_LENGTH, entries));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(self->phys / page_size + i, entries[i].pfn);
}

TEST_F(iomem, offsets_are_those_of_the_range)
{
	__u8 *part = region_map(self->fd, 2 * page_size, 5 * page_size);

	ASSERT_NE(MAP_FAILED, part);
	EXPECT_EQ(0, poke(part + page_size, 77));
	EXPECT_EQ(self->phys / page_size + 6,
		  entry_pfn(self->fd, part + page_size));
	EXPECT_EQ(77, peek(PAGE(6)));
	EXPECT_EQ(MAP_FAILED, region_map(self->fd, 2 * page_size,
					 IO_LENGTH - page_size));
	EXPECT_EQ(EINVAL, errno);
	/* what is left of a mapping is still where it was */
	ASSERT_EQ(0, region_zap(self->fd, part, 2 * page_size));
	ASSERT_EQ(0, munmap(part, page_size));
	EXPECT_EQ(77, peek(part + page_size));
	munmap(part + page_size, page_size);
}

TEST_F(iomem, can_be_read_and_written_as_a_file)
{
	__u8 out[5000], in[5000];
	size_t i;

	for (i = 0; i < sizeof(out); i++)
		out[i] = i * 7;
	ASSERT_EQ(sizeof(out), pwrite(self->fd, out, sizeof(out), 4000));
	EXPECT_TRUE(shows(self->addr + 4000, out, sizeof(out)));
	self->addr[4001] = 99;
	ASSERT_EQ(sizeof(in), pread(self->fd, in, sizeof(in), 4000));
	out[1] = 99;
	EXPECT_EQ(0, memcmp(in, out, sizeof(out)));
	EXPECT_EQ(0, pread(self->fd, in, 1, IO_LENGTH));
}

TEST_F(iomem, can_be_accessed_by_debuggers_and_by_access)
{
	int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	__u8 bytes[6000], again[6000];

	ASSERT_GE(memory, 0);
	memset(bytes, 3, sizeof(bytes));
	ASSERT_EQ(sizeof(bytes), pwrite(memory, bytes, sizeof(bytes),
					(off_t)(self->addr + 100)));
	EXPECT_TRUE(shows(self->addr + 100, bytes, sizeof(bytes)));
	memset(bytes, 4, sizeof(bytes));
	ASSERT_EQ(sizeof(bytes), region_access(self->fd, self->addr + 200,
					       bytes, sizeof(bytes),
					       MMEXT_ACCESS_WRITE));
	ASSERT_EQ(sizeof(again), pread(memory, again, sizeof(again),
				       (off_t)(self->addr + 200)));
	EXPECT_TRUE(all_bytes(again, sizeof(again), 4));
	ASSERT_EQ(100, region_access(self->fd, self->addr + 100, again, 100,
				     0));
	EXPECT_TRUE(all_bytes(again, 100, 3));
	close(memory);
}

TEST_F(iomem, comes_back_after_a_zap_and_an_unmap)
{
	fill(self->addr, IO_LENGTH, 2);
	ASSERT_EQ(0, region_zap(self->fd, PAGE(3), 10 * page_size));
	EXPECT_EQ(NR - 10, entries_present(self->fd, self->addr, IO_LENGTH));
	EXPECT_EQ(-1, filled_not(self->addr, IO_LENGTH, 2));
	EXPECT_EQ(NR, entries_present(self->fd, self->addr, IO_LENGTH));
	ASSERT_EQ(0, region_unmap(self->fd, 0, IO_LENGTH, 0));
	EXPECT_EQ(0, entries_present(self->fd, self->addr, IO_LENGTH));
	EXPECT_EQ(-1, filled_not(self->addr, IO_LENGTH, 2));
	/* the kernel gives no advice about frames */
	EXPECT_EQ(-1, madvise(self->addr, IO_LENGTH, MADV_DONTNEED));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, filled_not(self->addr, IO_LENGTH, 2));
}

TEST_F(iomem, revoke_takes_it_away_and_gives_it_back)
{
	int fd = region_open();
	__u8 byte;

	ASSERT_GE(fd, 0);
	EXPECT_LE(0, peek(self->addr));
	EXPECT_EQ(-EBUSY, region_iomem(fd, self->phys, page_size,
				       variant->cache));
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_EQ(-SIGBUS, peek(self->addr));
	EXPECT_EQ(-SIGBUS, poke(self->addr, 1));
	EXPECT_EQ(-1, pread(self->fd, &byte, 1, 0));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-EFAULT, region_access(fd, self->addr, &byte, 1, 0));
	EXPECT_EQ(0, region_iomem(fd, self->phys, page_size, variant->cache));
	close(fd);
}

TEST_F(iomem, is_claimed_for_the_region_alone)
{
	int fd = region_open();
	char text[8192], name[64];

	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EBUSY, region_iomem(fd, self->phys + page_size, page_size,
				       MMEXT_CACHE_UC));
	/* a call that was refused leaves a region as it was */
	EXPECT_EQ(0, region_setup(fd, MIB));
	close(fd);
	snprintf(name, sizeof(name), "%08llx-%08llx : mmext",
		 (unsigned long long)self->phys,
		 (unsigned long long)(self->phys + IO_LENGTH - 1));
	ASSERT_EQ(0, file_read_all("/proc/iomem", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, name));
	munmap(self->addr, IO_LENGTH);
	close(self->fd);
	ASSERT_EQ(0, file_read_all("/proc/iomem", text, sizeof(text)));
	EXPECT_EQ(NULL, strstr(text, name));
	self->fd = region_open();
}

#ifdef __x86_64__
/* The line of a range in the list that x86 keeps of memory types. */
static bool type_listed(__u64 phys, const char *type)
{
	FILE *file = fopen("/sys/kernel/debug/x86/pat_memtype_list", "re");
	char line[256], start[32];
	bool found = false;

	snprintf(start, sizeof(start), "%llx-", (unsigned long long)phys);
	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, start) && strstr(line, type);
	if (file)
		fclose(file);
	return found;
}

/*
 * A 6.1 that finds no MTRRs to be on leaves the PAT as it is after a reset, and
 * what is write-combined elsewhere is uncached there.
 */
static bool has_write_combining(void)
{
	static char log[1 << 20];
	int length = klogctl(3, log, sizeof(log) - 1);

	return length < 0 || strstr(log, "[0-7]: WB  WC");
}

TEST_F(iomem, is_held_and_mapped_with_its_memory_type)
{
	const __u64 bits = has_write_combining() ? variant->bits : X86_PCD;
	struct mmext_oracle_entry entries[NR];
	struct mmext_oracle_look look = {
		.addr = (uintptr_t)self->addr,
		.nr = NR,
		.entries = (uintptr_t)entries,
	};
	int oracle = open("/dev/mmext_test_engine", O_RDWR | O_CLOEXEC);
	size_t i;

	ASSERT_GE(oracle, 0);
	EXPECT_TRUE(type_listed(self->phys, variant->type));
	EXPECT_EQ(0, poke(self->addr, 1));
	ASSERT_EQ(0, call(oracle, MMEXT_ORACLE_LOOK, &look));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(bits, entries[i].raw & (X86_PWT | X86_PCD | X86_PAT));
	/* mprotect() keeps it */
	ASSERT_EQ(0, mprotect(self->addr, IO_LENGTH, PROT_READ));
	ASSERT_EQ(0, mprotect(self->addr, IO_LENGTH, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, region_zap(self->fd, self->addr, IO_LENGTH));
	ASSERT_EQ(0, region_populate(self->fd, self->addr, IO_LENGTH,
				     MMEXT_POPULATE_WRITE));
	ASSERT_EQ(0, call(oracle, MMEXT_ORACLE_LOOK, &look));
	for (i = 0; i < NR; i++)
		ASSERT_EQ(bits, entries[i].raw & (X86_PWT | X86_PCD | X86_PAT));
	ASSERT_EQ(0, region_revoke(self->fd));
	EXPECT_FALSE(type_listed(self->phys, variant->type));
	close(oracle);
}
#endif

TEST_F(iomem, populate_maps_ahead_of_faults)
{
	long long faults;

	ASSERT_EQ(0, region_populate(self->fd, PAGE(2), 5 * page_size,
				     MMEXT_POPULATE_WRITE));
	EXPECT_EQ(5, entries_present(self->fd, self->addr, IO_LENGTH));
	faults = region_stat(self->fd, "faults");
	fill(PAGE(2), 5 * page_size, 9);
	EXPECT_EQ(faults, region_stat(self->fd, "faults"));
	/* without, the first store of a page is one */
	ASSERT_EQ(0, region_populate(self->fd, self->addr, IO_LENGTH, 0));
	EXPECT_EQ(-1, filled_not(PAGE(2), 5 * page_size, 9));
	EXPECT_EQ(faults, region_stat(self->fd, "faults"));
	EXPECT_EQ(0, poke(PAGE(0), 1));
	EXPECT_EQ(faults + 1, region_stat(self->fd, "faults"));
}

TEST_F(iomem, has_no_pages_to_rearrange)
{
	struct mmext_dirty dirty = {
		.size = sizeof(dirty),
		.flags = MMEXT_DIRTY_START,
		.length = page_size,
	};

	EXPECT_EQ(-EOPNOTSUPP, region_exchange(self->fd, 0, 4 * page_size,
					       page_size));
	EXPECT_EQ(-EOPNOTSUPP, region_alias(self->fd, 0, 4 * page_size,
					    page_size));
	EXPECT_EQ(-EOPNOTSUPP, call(self->fd, MMEXT_DIRTY, &dirty));
	EXPECT_EQ(-EOPNOTSUPP, region_free(self->fd, 0, page_size));
	EXPECT_EQ(-EOPNOTSUPP, region_protect(self->fd, 0, page_size,
					      MMEXT_PROTECT_READ_ONLY));
	EXPECT_EQ(-EBUSY, region_setup(self->fd, IO_LENGTH));
	EXPECT_EQ(-EBUSY, region_iomem(self->fd, self->phys, IO_LENGTH,
				       variant->cache));
}

TEST_F(iomem, info_says_what_it_is)
{
	struct mmext_info info;

	ASSERT_EQ(0, region_info(self->fd, &info));
	EXPECT_EQ(MMEXT_BACKING_IOMEM, info.out_backing);
	EXPECT_EQ(variant->cache, info.out_cache);
	EXPECT_EQ(IO_LENGTH, info.out_length);
}

TEST_F(iomem, goes_along_with_fork_and_mremap)
{
	__u8 *moved;
	pid_t pid;

	fill(self->addr, IO_LENGTH, 4);
	pid = fork();
	if (!pid) {
		CHILD_CHECK(filled_not(self->addr, IO_LENGTH, 4) == -1);
		CHILD_CHECK(!poke(PAGE(1), 200));
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(200, *PAGE(1));
	*PAGE(1) = 5;
	moved = mremap(self->addr, IO_LENGTH, IO_LENGTH,
		       MREMAP_MAYMOVE | MREMAP_FIXED,
		       mmap(NULL, IO_LENGTH, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	ASSERT_NE(MAP_FAILED, moved);
	self->addr = moved;
	EXPECT_EQ(-1, filled_not(self->addr, IO_LENGTH, 4));
}

TEST_F(iomem, read_only_mapping_cannot_be_stored_to)
{
	__u8 *addr = region_map_prot(self->fd, IO_LENGTH, 0, PROT_READ);

	ASSERT_NE(MAP_FAILED, addr);
	EXPECT_LE(0, peek(addr));
	EXPECT_EQ(-SIGSEGV, poke(addr, 1));
	munmap(addr, IO_LENGTH);
}

/* What is refused. */
FIXTURE(refused)
{
	int fd;
};

FIXTURE_SETUP(refused)
{
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(refused)
{
	close(self->fd);
}

/* The first of the kernel's own memory beyond the first megabyte. */
static __u64 ram_find(void)
{
	FILE *file = fopen("/proc/iomem", "re");
	unsigned long long start = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, "System RAM") &&
		    sscanf(line, "%llx-", &start) == 1 && start >= MIB)
			break;
	if (file)
		fclose(file);
	return start;
}

TEST_F(refused, memory_of_the_kernel)
{
	__u64 ram = ram_find();

	ASSERT_NE(0, ram);
	EXPECT_EQ(-EINVAL, region_iomem(self->fd, ram, page_size,
					MMEXT_CACHE_UC));
	/* also if only its end is */
	EXPECT_EQ(-EINVAL, region_iomem(self->fd, ram - page_size,
					2 * page_size, MMEXT_CACHE_UC));
	EXPECT_EQ(0, region_setup(self->fd, MIB));
}

TEST_F(refused, what_is_no_range)
{
	struct mmext_iomem arg = {
		.size = sizeof(arg),
		.phys = io_find(),
		.length = page_size,
		.cache = MMEXT_CACHE_UC,
		.reserved = 1,
	};
	__u64 bar = io_find();

	ASSERT_NE(0, bar);
	EXPECT_EQ(-EINVAL, call(self->fd, MMEXT_IOMEM, &arg));
	EXPECT_EQ(-EINVAL, region_iomem(self->fd, bar + 1, page_size, 2));
	EXPECT_EQ(-EINVAL, region_iomem(self->fd, bar, page_size + 1, 2));
	EXPECT_EQ(-EINVAL, region_iomem(self->fd, bar, 0, 2));
	EXPECT_EQ(-EINVAL, region_iomem(self->fd, bar, page_size, 3));
	EXPECT_EQ(-EOPNOTSUPP, region_iomem(self->fd, bar, page_size,
					    MMEXT_CACHE_WB));
	EXPECT_EQ(-EINVAL, region_iomem(self->fd, 1ULL << 60, page_size, 2));
	EXPECT_EQ(-EOVERFLOW, region_iomem(self->fd, -page_size,
					   2 * page_size, 2));
	EXPECT_EQ(0, region_iomem(self->fd, bar, page_size, 2));
}

TEST_F(refused, who_may_not_touch_hardware)
{
	__u64 bar = io_find();
	pid_t pid;

	ASSERT_NE(0, bar);
	pid = fork();
	if (!pid) {
		struct __user_cap_header_struct head = {
			.version = _LINUX_CAPABILITY_VERSION_3,
		};
		struct __user_cap_data_struct data[2];

		CHILD_CHECK(!syscall(SYS_capget, &head, data));
		data[0].effective &= ~(1U << CAP_SYS_RAWIO);
		CHILD_CHECK(!syscall(SYS_capset, &head, data));
		CHILD_CHECK(region_iomem(self->fd, bar, page_size, 2) ==
			    -EPERM);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(0, region_iomem(self->fd, bar, page_size, 2));
}

TEST_F(refused, a_region_that_has_its_shape)
{
	int shared = open(MMEXT_SHARED, O_RDWR | O_CLOEXEC);
	__u64 bar = io_find();

	ASSERT_NE(0, bar);
	ASSERT_GE(shared, 0);
	EXPECT_EQ(-EBUSY, region_iomem(shared, bar, page_size, 2));
	ASSERT_EQ(0, region_setup(self->fd, MIB));
	EXPECT_EQ(-EBUSY, region_iomem(self->fd, bar, page_size, 2));
	close(shared);
}

TEST_HARNESS_MAIN
