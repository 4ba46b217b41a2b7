// SPDX-License-Identifier: GPL-2.0
/*
 * LOOKUP: what the caller's page table holds.
 */
#include "mmext_selftest.h"

#include <elf.h>
#include <linux/capability.h>

#define NR_PAGES	16

FIXTURE(lookup)
{
	int fd;
	size_t length;
	char *addr;
	struct mmext_entry entries[NR_PAGES];
};

BACKINGS(lookup);

FIXTURE_SETUP(lookup)
{
	region_backing = variant->backing;
	self->fd = region_open();
	ASSERT_GE(self->fd, 0);
	self->length = NR_PAGES * page_size;
	self->addr = region_map(self->fd, self->length, 0);
	ASSERT_NE(MAP_FAILED, self->addr);
}

FIXTURE_TEARDOWN(lookup)
{
	munmap(self->addr, self->length);
	close(self->fd);
}

#define PAGE(n)	(self->addr + (n) * page_size)

TEST_F(lookup, finds_nothing_before_a_touch_and_faults_nothing_in)
{
	const struct mmext_entry none = { 0 };
	int i;

	memset(self->entries, 0xff, sizeof(self->entries));
	ASSERT_EQ(0, region_lookup(self->fd, self->addr, self->length,
				   self->entries));
	for (i = 0; i < NR_PAGES; i++)
		EXPECT_EQ(0, memcmp(&none, &self->entries[i], sizeof(none)));
	EXPECT_EQ(0, region_pages(self->fd));
	EXPECT_EQ(0, region_stat(self->fd, "faults"));
}

TEST_F(lookup, entry_of_a_page_that_was_read_is_clean)
{
	int flags;

	EXPECT_EQ(0, peek(PAGE(0)));
	flags = entry_flags(self->fd, PAGE(0));
	EXPECT_TRUE(flags & MMEXT_ENTRY_PRESENT);
	EXPECT_TRUE(flags & MMEXT_ENTRY_YOUNG);
	EXPECT_FALSE(flags & MMEXT_ENTRY_DIRTY);
}

TEST_F(lookup, entry_of_a_page_that_was_stored_to_is_writable_and_dirty)
{
	EXPECT_EQ(0, poke(PAGE(0), 1));
	EXPECT_EQ(MMEXT_ENTRY_PRESENT | MMEXT_ENTRY_WRITABLE |
		  MMEXT_ENTRY_DIRTY | MMEXT_ENTRY_YOUNG,
		  entry_flags(self->fd, PAGE(0)));
	/* also if it was read before */
	EXPECT_EQ(0, peek(PAGE(1)));
	EXPECT_EQ(0, poke(PAGE(1), 1));
	EXPECT_EQ(MMEXT_ENTRY_PRESENT | MMEXT_ENTRY_WRITABLE |
		  MMEXT_ENTRY_DIRTY | MMEXT_ENTRY_YOUNG,
		  entry_flags(self->fd, PAGE(1)));
}

TEST_F(lookup, tells_the_size_of_an_entry)
{
	struct mmext_entry entry = { 0 };

	self->addr[0] = 1;
	ASSERT_EQ(0, region_lookup(self->fd, PAGE(0), page_size, &entry));
	EXPECT_EQ(page_size, 1UL << entry.shift);
}

TEST_F(lookup, tells_pages_of_a_range_apart)
{
	int i;

	for (i = 0; i < NR_PAGES; i += 2)
		*PAGE(i) = 1;
	ASSERT_EQ(0, region_lookup(self->fd, self->addr, self->length,
				   self->entries));
	for (i = 0; i < NR_PAGES; i++)
		EXPECT_EQ(!(i % 2), !!self->entries[i].flags);
}

TEST_F(lookup, finds_nothing_after_a_zap)
{
	const struct mmext_entry none = { 0 };

	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, region_zap(self->fd, PAGE(1), page_size));
	ASSERT_EQ(0, region_lookup(self->fd, self->addr, self->length,
				   self->entries));
	EXPECT_NE(0, self->entries[0].flags);
	EXPECT_EQ(0, memcmp(&none, &self->entries[1], sizeof(none)));
	EXPECT_NE(0, self->entries[2].flags);
}

TEST_F(lookup, shows_what_mprotect_took_away)
{
	fill(self->addr, self->length, 1);
	ASSERT_EQ(0, mprotect(PAGE(1), page_size, PROT_READ));
	EXPECT_TRUE(entry_flags(self->fd, PAGE(0)) & MMEXT_ENTRY_WRITABLE);
	EXPECT_FALSE(entry_flags(self->fd, PAGE(1)) & MMEXT_ENTRY_WRITABLE);
}

/* Where /proc/kcore shows a page frame, -1 if nowhere. */
static off_t kcore_offset(int fd, __u64 pfn)
{
	__u64 phys = pfn * page_size;
	Elf64_Ehdr head;
	Elf64_Phdr seg;
	int i;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return -1;
	for (i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &seg, sizeof(seg), head.e_phoff +
			  i * sizeof(seg)) != sizeof(seg))
			return -1;
		if (seg.p_type == PT_LOAD && phys >= seg.p_paddr &&
		    phys - seg.p_paddr < seg.p_memsz)
			return seg.p_offset + (phys - seg.p_paddr);
	}
	return -1;
}

TEST_F(lookup, pfn_is_the_frame_that_holds_the_bytes)
{
	char *buf = malloc(page_size);
	int fd = open("/proc/kcore", O_RDONLY);
	__u32 state = 12345;
	off_t offset;
	size_t i;

	if (fd < 0 && errno == ENOENT)
		SKIP(return, "no CONFIG_PROC_KCORE");
	ASSERT_GE(fd, 0);
	ASSERT_NE(NULL, buf);
	for (i = 0; i < self->length; i++)
		self->addr[i] = next_random(&state);
	ASSERT_EQ(0, region_lookup(self->fd, self->addr, self->length,
				   self->entries));
	for (i = 0; i < NR_PAGES; i++) {
		ASSERT_NE(0, self->entries[i].pfn);
		offset = kcore_offset(fd, self->entries[i].pfn);
		ASSERT_NE(-1, offset);
		ASSERT_EQ(page_size, pread(fd, buf, page_size, offset));
		EXPECT_EQ(0, memcmp(buf, PAGE(i), page_size));
	}
	free(buf);
	close(fd);
}

TEST_F(lookup, pfns_of_pages_differ_and_those_of_one_page_do_not)
{
	char *other = region_map(self->fd, self->length, 0);
	int i, j;

	ASSERT_NE(MAP_FAILED, other);
	fill(self->addr, self->length, 1);
	fill(other, self->length, 1);
	ASSERT_EQ(0, region_lookup(self->fd, self->addr, self->length,
				   self->entries));
	for (i = 0; i < NR_PAGES; i++) {
		EXPECT_EQ(self->entries[i].pfn,
			  entry_pfn(self->fd, other + i * page_size));
		for (j = 0; j < i; j++)
			EXPECT_NE(self->entries[i].pfn, self->entries[j].pfn);
	}
	munmap(other, self->length);
}

static bool drop_all_caps(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = { 0 };

	return !syscall(SYS_capset, &head, data);
}

TEST_F(lookup, pfn_is_hidden_from_a_process_without_the_capability)
{
	struct mmext_entry entry = { 0 };
	pid_t pid;

	fill(self->addr, self->length, 1);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		CHILD_CHECK(entry_pfn(self->fd, self->addr));
		CHILD_CHECK(drop_all_caps());
		CHILD_CHECK(!region_lookup(self->fd, self->addr, page_size,
					   &entry));
		CHILD_CHECK(!entry.pfn);
		CHILD_CHECK(entry.flags & MMEXT_ENTRY_PRESENT);
		CHILD_CHECK(1UL << entry.shift == page_size);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
}

TEST_F(lookup, pfn_is_hidden_from_another_user)
{
	struct mmext_entry entry = { 0 };
	pid_t pid;

	fill(self->addr, self->length, 1);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		CHILD_CHECK(!setresuid(65534, 65534, 65534));
		CHILD_CHECK(!region_lookup(self->fd, self->addr, page_size,
					   &entry));
		CHILD_CHECK(!entry.pfn);
		CHILD_CHECK(entry.flags & MMEXT_ENTRY_PRESENT);
		/* all else works on a descriptor that it has */
		CHILD_CHECK(!poke(self->addr, 2));
		CHILD_CHECK(!region_exchange(self->fd, 0, page_size,
					     page_size));
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(2, *PAGE(0));
	EXPECT_EQ(2, *PAGE(1));
}

TEST_F(lookup, pfn_is_hidden_from_the_root_of_another_user_namespace)
{
	struct mmext_entry entry = { 0 };
	pid_t pid;

	fill(self->addr, self->length, 1);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		CHILD_CHECK(!unshare(CLONE_NEWUSER));
		CHILD_CHECK(!region_lookup(self->fd, self->addr, page_size,
					   &entry));
		CHILD_CHECK(!entry.pfn);
		CHILD_CHECK(entry.flags & MMEXT_ENTRY_PRESENT);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(pid));
}

TEST_F(lookup, crosses_tables_that_exist_and_that_do_not)
{
	size_t nr = 3 * TABLE / page_size, i, present = 0;
	struct mmext_entry *entries = calloc(nr, sizeof(*entries));
	char *addr = region_map_aligned(self->fd, 3 * TABLE, 0);

	ASSERT_NE(NULL, entries);
	ASSERT_NE(MAP_FAILED, addr);
	addr[TABLE - 1] = 1;
	addr[3 * TABLE - 1] = 1;
	ASSERT_EQ(0, region_lookup(self->fd, addr, 3 * TABLE, entries));
	for (i = 0; i < nr; i++)
		present += !!entries[i].flags;
	EXPECT_EQ(2, present);
	EXPECT_NE(0, entries[TABLE / page_size - 1].flags);
	EXPECT_NE(0, entries[nr - 1].flags);
	munmap(addr, 3 * TABLE);
	free(entries);
}

TEST_F(lookup, answer_that_cannot_be_written_is_efault)
{
	char *buf = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = buf + page_size;

	ASSERT_NE(MAP_FAILED, buf);
	ASSERT_EQ(0, mprotect(end, page_size, PROT_NONE));
	fill(self->addr, self->length, 1);
	EXPECT_EQ(-EFAULT, region_lookup(self->fd, self->addr, self->length,
					 NULL));
	EXPECT_EQ(-EFAULT, region_lookup(self->fd, self->addr, self->length,
					 (void *)end));
	EXPECT_EQ(-EFAULT, region_lookup(self->fd, self->addr, self->length,
					 (void *)0xffff888000000000UL));
	/* one entry short */
	EXPECT_EQ(-EFAULT, region_lookup(self->fd, self->addr, self->length,
					 (struct mmext_entry *)end -
					 NR_PAGES + 1));
	EXPECT_EQ(0, region_lookup(self->fd, self->addr, self->length,
				   (struct mmext_entry *)end - NR_PAGES));
	ASSERT_EQ(0, mprotect(buf, page_size, PROT_READ));
	EXPECT_EQ(-EFAULT, region_lookup(self->fd, self->addr, self->length,
					 (void *)buf));
	munmap(buf, 2 * page_size);
}

TEST_F(lookup, answer_may_be_written_to_the_region_itself)
{
	struct mmext_entry *entries = (void *)PAGE(4);

	fill(PAGE(0), 2 * page_size, 1);
	/* a hole, which the copy faults in */
	ASSERT_EQ(0, region_lookup(self->fd, self->addr, 8 * page_size,
				   entries));
	EXPECT_NE(0, entries[0].flags);
	EXPECT_NE(0, entries[1].flags);
	EXPECT_EQ(0, entries[2].flags);
	EXPECT_EQ(0, entries[4].flags);
}

TEST_F(lookup, writes_the_entries_of_its_range_and_no_more)
{
	fill(self->addr, self->length, 1);
	memset(self->entries, 0x55, sizeof(self->entries));
	ASSERT_EQ(0, region_lookup(self->fd, self->addr, 3 * page_size,
				   self->entries));
	EXPECT_EQ(0x55555555, self->entries[3].flags);
	EXPECT_EQ(0x5555555555555555ULL, self->entries[3].pfn);
	EXPECT_NE(0x55555555, self->entries[2].flags);
}

TEST_HARNESS_MAIN
