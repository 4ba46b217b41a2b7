// SPDX-License-Identifier: GPL-2.0
/*
 * Guest spaces: making them, and what is mapped where.  No window and no fault:
 * but for the last, all of it works on memory that need not exist.
 */
#include "mmext_gmap.h"

#define HOST_LENGTH	(8 * SEGMENT)
#define GUEST		(16 * SEGMENT)

FIXTURE(space)
{
	int fd;
	/* need not be there, and isn't */
	char *host;
};

FIXTURE_SETUP(space)
{
	self->fd = gmap_open();
	ASSERT_GE(self->fd, 0);
	self->host = (char *)(64 * GIB);
}

FIXTURE_TEARDOWN(space)
{
	close(self->fd);
}

#define HOST(n)		(self->host + (n) * SEGMENT)
#define TRANSLATES(fd, gaddr, vmaddr)					\
	EXPECT_EQ((long long)to_u64(vmaddr), gmap_translate(fd, gaddr))
#define IS_HOLE(fd, gaddr)						\
	EXPECT_EQ(-EFAULT, gmap_translate(fd, gaddr))

/* Creation */

TEST(gmap_alloc)
{
	static const __u64 limits[] = {
		0, 1, 4095, SEGMENT - 1, SEGMENT, 5 * GIB + 123, 1ULL << 62,
		(1ULL << 63) - 1, 1ULL << 63, ~0ULL - 1, ~0ULL,
	};
	struct mmext_gmap_stat stat;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		fd = gmap_create(limits[i], 0, 0);
		ASSERT_GE(fd, 0) TH_LOG("limit %#llx", limits[i]);
		ASSERT_EQ(0, gmap_stat(fd, &stat));
		EXPECT_EQ(limits[i], stat.out_limit);
		EXPECT_EQ(20, stat.out_segment_shift);
		EXPECT_EQ(0, stat.out_flags);
		EXPECT_EQ(0, stat.out_segments);
		EXPECT_EQ(0, stat.out_linked);
		EXPECT_EQ(0, stat.out_armed);
		EXPECT_EQ(0, stat.out_records);
		EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
		IS_HOLE(fd, 0);
		IS_HOLE(fd, limits[i]);
		close(fd);
	}
}

TEST(gmap_alloc_with_any_size_of_segments)
{
	static const __u32 wrong[] = { 1, 11, 41, 62, 63, 64, 76, ~0U };
	__u64 segment;
	__u32 shift;
	size_t i;
	int fd;

	for (shift = __builtin_ctz(page_size); shift <= 40; shift++) {
		fd = gmap_create(~0ULL, shift, 0);
		ASSERT_GE(fd, 0) TH_LOG("shift %u", shift);
		EXPECT_EQ(shift, gmap_stat_of(fd, out_segment_shift));
		segment = 1ULL << shift;
		EXPECT_EQ(0, gmap_map_at(fd, segment, 2 * segment, segment));
		IS_HOLE(fd, 2 * segment - 1);
		TRANSLATES(fd, 2 * segment, (char *)segment);
		TRANSLATES(fd, 3 * segment - 1, (char *)(2 * segment - 1));
		IS_HOLE(fd, 3 * segment);
		EXPECT_EQ(-EINVAL, gmap_map_at(fd, segment / 2, 0, segment));
		EXPECT_EQ(-EINVAL, gmap_map_at(fd, 0, segment / 2, segment));
		EXPECT_EQ(-EINVAL, gmap_map_at(fd, 0, 0, segment / 2));
		close(fd);
	}
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_EQ(-EINVAL, gmap_create(LIMIT, wrong[i], 0))
			TH_LOG("shift %u", wrong[i]);
}

TEST(created_exclusive_is_so)
{
	int fd = gmap_create(LIMIT, 0, MMEXT_GMAP_CREATE_EXCLUSIVE);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(MMEXT_GMAP_CREATE_EXCLUSIVE, gmap_stat_of(fd, out_flags));
	close(fd);
}

static long module_references(void)
{
	char text[32];

	if (file_read("/sys/module/mmext/refcnt", text, sizeof(text)))
		return -1;
	return atol(text);
}

/* Spaces come and go, with all that they can have. */
TEST(gmap_free)
{
	long before = module_references();
	char *host = host_alloc_shared(2 * SEGMENT), *window;
	struct pollfd fds = {};
	int i, fd, events;

	ASSERT_NE(NULL, host);
	for (i = 0; i < 40; i++) {
		fd = gmap_open();
		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, gmap_map(fd, host, 0, 2 * SEGMENT));
		ASSERT_EQ(0, gmap_map(fd, host, GUEST, 2 * SEGMENT));
		ASSERT_EQ(0, gmap_notify(fd, 0, 4 * page_size, 0));
		events = gmap_events(fd, 0);
		ASSERT_GE(events, 0);
		window = MAP_FAILED;
		if (have_windows()) {
			window = window_map(fd, 2 * SEGMENT, GUEST);
			ASSERT_NE(MAP_FAILED, window);
			ASSERT_EQ(0, poke(window, i));
			EXPECT_EQ(i, *host);
		}
		if (i & 1)
			close(events);
		close(fd);
		if (window != MAP_FAILED) {
			/* a mapping keeps its file */
			EXPECT_EQ(i, peek(window));
			EXPECT_EQ(0, munmap(window, 2 * SEGMENT));
		}
		if (!(i & 1)) {
			/* there is no more that it could tell of */
			fds.fd = events;
			EXPECT_EQ(1, poll(&fds, 1, 10000));
			EXPECT_TRUE(fds.revents & POLLHUP);
			close(events);
		}
	}
	/* what the last close left for later */
	for (i = 0; i < 500 && module_references() > before; i++)
		usleep(10000);
	EXPECT_EQ(before, module_references());
	munmap(host, 2 * SEGMENT);
}

/* Mapping */

TEST_F(space, gmap_map_segment)
{
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 2 * SEGMENT));
	TRANSLATES(self->fd, GUEST, HOST(0));
	TRANSLATES(self->fd, GUEST + 1, HOST(0) + 1);
	TRANSLATES(self->fd, GUEST + SEGMENT, HOST(1));
	TRANSLATES(self->fd, GUEST + 2 * SEGMENT - 1, HOST(2) - 1);
	IS_HOLE(self->fd, GUEST - 1);
	IS_HOLE(self->fd, GUEST + 2 * SEGMENT);
	EXPECT_EQ(2, gmap_stat_of(self->fd, out_segments));
	EXPECT_EQ(0, gmap_stat_of(self->fd, out_linked));
}

TEST_F(space, map_replaces_what_was_there_and_nothing_else)
{
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 4 * SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(6), GUEST + SEGMENT, 2 * SEGMENT));
	TRANSLATES(self->fd, GUEST, HOST(0));
	TRANSLATES(self->fd, GUEST + SEGMENT, HOST(6));
	TRANSLATES(self->fd, GUEST + 2 * SEGMENT, HOST(7));
	TRANSLATES(self->fd, GUEST + 3 * SEGMENT, HOST(3));
	EXPECT_EQ(4, gmap_stat_of(self->fd, out_segments));
	/* nor does the reverse know what was replaced */
	EXPECT_EQ(0, gmap_reverse(self->fd, to_u64(HOST(1)), NULL, 0));
	EXPECT_EQ(1, gmap_reverse(self->fd, to_u64(HOST(6)), NULL, 0));
}

TEST_F(space, map_of_the_same_again_changes_nothing)
{
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 2 * SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 2 * SEGMENT));
	EXPECT_EQ(2, gmap_stat_of(self->fd, out_segments));
	EXPECT_EQ(1, gmap_reverse(self->fd, to_u64(HOST(0)), NULL, 0));
	TRANSLATES(self->fd, GUEST, HOST(0));
}

/* Each argument of MAP, alone. */
FIXTURE(argument)
{
	int fd;
};

FIXTURE_VARIANT(argument)
{
	__u64 from;
	__u64 to;
	__u64 length;
};

#define BAD_MAP(name, f, t, l)						\
	FIXTURE_VARIANT_ADD(argument, name)				\
	{								\
		.from = f,						\
		.to = t,						\
		.length = l,						\
	}

BAD_MAP(from_by_a_byte, GUEST + 1, GUEST, SEGMENT);
BAD_MAP(from_by_a_page, GUEST + 4096, GUEST, SEGMENT);
BAD_MAP(from_by_half_a_segment, GUEST + SEGMENT / 2, GUEST, SEGMENT);
BAD_MAP(to_by_a_byte, GUEST, GUEST + 1, SEGMENT);
BAD_MAP(to_by_a_page, GUEST, GUEST + 4096, SEGMENT);
BAD_MAP(to_by_half_a_segment, GUEST, GUEST + SEGMENT / 2, SEGMENT);
BAD_MAP(length_by_a_byte, GUEST, GUEST, SEGMENT + 1);
BAD_MAP(length_by_a_page, GUEST, GUEST, SEGMENT + 4096);
BAD_MAP(length_of_half_a_segment, GUEST, GUEST, SEGMENT / 2);
BAD_MAP(length_0, GUEST, GUEST, 0);
BAD_MAP(from_wraps, -SEGMENT, GUEST, 2 * SEGMENT);
BAD_MAP(from_and_to_wrap, -SEGMENT, -SEGMENT, 2 * SEGMENT);
BAD_MAP(to_wraps, GUEST, -SEGMENT, 2 * SEGMENT);
BAD_MAP(to_wraps_to_mapped, GUEST, -SEGMENT, GUEST + 2 * SEGMENT);
BAD_MAP(length_of_all, 0, 0, -SEGMENT);
BAD_MAP(beyond_the_limit, GUEST, LIMIT + 1, SEGMENT);
BAD_MAP(across_the_limit, GUEST, LIMIT + 1 - SEGMENT, 2 * SEGMENT);
BAD_MAP(guest_of_the_upper_half, GUEST, 1ULL << 63, SEGMENT);
BAD_MAP(host_of_the_upper_half, 1ULL << 63, GUEST, SEGMENT);
BAD_MAP(host_of_the_kernel, 0xffff888000000000ULL, GUEST, SEGMENT);
BAD_MAP(host_at_the_very_end, -SEGMENT, GUEST, SEGMENT);

FIXTURE_SETUP(argument)
{
	self->fd = gmap_open();
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(0, gmap_map_at(self->fd, 2 * GUEST, GUEST, SEGMENT));
}

FIXTURE_TEARDOWN(argument)
{
	close(self->fd);
}

TEST_F(argument, of_map_is_einval_and_changes_nothing)
{
	EXPECT_EQ(-EINVAL, gmap_map_at(self->fd, variant->from, variant->to,
				       variant->length));
	EXPECT_EQ(1, gmap_stat_of(self->fd, out_segments));
	TRANSLATES(self->fd, GUEST, (char *)(2 * GUEST));
	IS_HOLE(self->fd, GUEST + SEGMENT);
}

TEST_F(argument, of_unmap_is_einval_and_changes_nothing)
{
	/* what is wrong with the parent's address only is no concern of it */
	bool good = !(variant->to % SEGMENT) && !(variant->length % SEGMENT) &&
		    variant->length && variant->to < LIMIT &&
		    variant->length <= LIMIT + 1 - variant->to;

	EXPECT_EQ(good ? 0 : -EINVAL,
		  gmap_unmap(self->fd, variant->to, variant->length));
	if (!good || variant->to > GUEST) {
		TRANSLATES(self->fd, GUEST, (char *)(2 * GUEST));
	} else {
		IS_HOLE(self->fd, GUEST);
	}
}

TEST_F(argument, of_one_piece_is_einval_for_the_batch)
{
	struct mmext_gmap_piece pieces[] = {
		{ .from = GUEST, .to = 4 * GUEST, .length = SEGMENT },
		{
			.from = variant->from,
			.to = variant->to,
			.length = variant->length,
		},
		{ .from = GUEST, .to = 5 * GUEST, .length = SEGMENT },
	};
	__u32 done = 99;

	EXPECT_EQ(-EINVAL, gmap_map_batch(self->fd, pieces, 3, &done));
	EXPECT_EQ(1, done);
	TRANSLATES(self->fd, 4 * GUEST, (char *)GUEST);
	IS_HOLE(self->fd, 5 * GUEST);
	TRANSLATES(self->fd, GUEST, (char *)(2 * GUEST));
}

/* The end of the parent's address space is no place that is known here. */
TEST_F(space, map_up_to_the_end_of_the_parents_addresses_and_not_further)
{
	__u64 low = 0, high = 1ULL << 63, middle;

	while (high - low > SEGMENT) {
		middle = (low + (high - low) / 2) & ~(SEGMENT - 1);
		if (gmap_map_at(self->fd, middle, GUEST, SEGMENT))
			high = middle;
		else
			low = middle;
	}
	EXPECT_LT(to_u64(&low), low + SEGMENT);
	EXPECT_EQ(-EINVAL, gmap_map_at(self->fd, low, GUEST, 2 * SEGMENT));
	EXPECT_EQ(0, gmap_map_at(self->fd, low - SEGMENT, GUEST, 2 * SEGMENT));
	TRANSLATES(self->fd, GUEST + SEGMENT, (char *)low);
}

TEST(the_last_segment_can_be_mapped)
{
	int fd = gmap_create(~0ULL, 0, 0);
	__u64 last = -SEGMENT;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, gmap_map_at(fd, GUEST, last, SEGMENT));
	TRANSLATES(fd, last, (char *)GUEST);
	TRANSLATES(fd, ~0ULL, (char *)(GUEST + SEGMENT - 1));
	IS_HOLE(fd, last - 1);
	IS_HOLE(fd, 0);
	ASSERT_EQ(0, gmap_map_at(fd, 2 * GUEST, last - SEGMENT, 2 * SEGMENT));
	TRANSLATES(fd, last, (char *)(2 * GUEST + SEGMENT));
	EXPECT_EQ(2, gmap_stat_of(fd, out_segments));
	EXPECT_EQ(-EINVAL, gmap_map_at(fd, GUEST, last, 2 * SEGMENT));
	EXPECT_EQ(0, gmap_unmap(fd, last, SEGMENT));
	IS_HOLE(fd, ~0ULL);
	TRANSLATES(fd, last - 1, (char *)(2 * GUEST + SEGMENT - 1));
	close(fd);
}

TEST(the_last_segment_below_a_limit_can_be_mapped)
{
	int fd = gmap_create(GUEST + SEGMENT - 1, 0, 0);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, gmap_map_at(fd, GUEST, GUEST, SEGMENT));
	EXPECT_EQ(-EINVAL, gmap_map_at(fd, GUEST, GUEST, 2 * SEGMENT));
	EXPECT_EQ(-EINVAL, gmap_map_at(fd, GUEST, GUEST + SEGMENT, SEGMENT));
	TRANSLATES(fd, GUEST + SEGMENT - 1, (char *)(GUEST + SEGMENT - 1));
	close(fd);
}

/* Where the limit is inside a segment, so is the end of what is mapped. */
TEST(a_limit_inside_a_segment_is_kept)
{
	__u64 limit = GUEST + SEGMENT / 2 - 1;
	__u64 vmaddr, length;
	int fd = gmap_create(limit, 0, 0);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(-EINVAL, gmap_map_at(fd, GUEST, GUEST, SEGMENT));
	EXPECT_EQ(-EINVAL, gmap_map_at(fd, GUEST, GUEST, SEGMENT / 4));
	EXPECT_EQ(-EINVAL, gmap_map_at(fd, GUEST, GUEST,
				       SEGMENT / 2 + page_size));
	IS_HOLE(fd, GUEST);
	/* less than a segment at the limit alone */
	EXPECT_EQ(-EINVAL, gmap_map_at(fd, GUEST, GUEST - SEGMENT,
				       SEGMENT / 2));
	ASSERT_EQ(0, gmap_map_at(fd, GUEST, GUEST, SEGMENT / 2));
	TRANSLATES(fd, limit, (char *)limit);
	IS_HOLE(fd, limit + 1);
	ASSERT_EQ(0, gmap_translate_length(fd, GUEST, &vmaddr, &length));
	EXPECT_EQ(SEGMENT / 2, length);
	EXPECT_EQ(-EINVAL, gmap_unmap(fd, GUEST, SEGMENT));
	EXPECT_EQ(-EINVAL, gmap_fault(fd, GUEST, SEGMENT, 0));
	EXPECT_EQ(0, gmap_unmap(fd, GUEST, SEGMENT / 2));
	IS_HOLE(fd, limit);
	/* together with the whole segment before it */
	ASSERT_EQ(0, gmap_map_at(fd, GUEST, GUEST - SEGMENT,
				 SEGMENT + SEGMENT / 2));
	TRANSLATES(fd, limit, (char *)(GUEST + SEGMENT + SEGMENT / 2 - 1));
	IS_HOLE(fd, limit + 1);
	EXPECT_EQ(limit, gmap_stat_of(fd, out_limit));
	close(fd);
}

TEST_F(space, host_address_0_is_an_address)
{
	__u64 vmaddr = 1, length = 0, gaddr;

	ASSERT_EQ(0, gmap_map_at(self->fd, 0, GUEST, 2 * SEGMENT));
	EXPECT_EQ(0, gmap_translate_length(self->fd, GUEST, &vmaddr, &length));
	EXPECT_EQ(0, vmaddr);
	EXPECT_LT(0, length);
	TRANSLATES(self->fd, GUEST + 5, (char *)5);
	TRANSLATES(self->fd, GUEST + SEGMENT, (char *)SEGMENT);
	EXPECT_EQ(1, gmap_reverse(self->fd, 0, &gaddr, 1));
	EXPECT_EQ(GUEST, gaddr);
	EXPECT_EQ(2, gmap_stat_of(self->fd, out_segments));
	EXPECT_EQ(0, gmap_unmap(self->fd, GUEST, SEGMENT));
	IS_HOLE(self->fd, GUEST);
	TRANSLATES(self->fd, GUEST + SEGMENT, (char *)SEGMENT);
}

TEST_F(space, guest_address_0_is_an_address)
{
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), 0, SEGMENT));
	TRANSLATES(self->fd, 0, HOST(0));
	ASSERT_EQ(0, gmap_map_at(self->fd, 0, 0, SEGMENT));
	EXPECT_EQ(0, gmap_translate(self->fd, 0));
	EXPECT_EQ(0, gmap_unmap(self->fd, 0, SEGMENT));
	IS_HOLE(self->fd, 0);
}

/* Unmapping */

TEST_F(space, gmap_unmap_segment)
{
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 4 * SEGMENT));
	EXPECT_EQ(0, gmap_unmap(self->fd, GUEST + SEGMENT, 2 * SEGMENT));
	TRANSLATES(self->fd, GUEST + SEGMENT - 1, HOST(1) - 1);
	IS_HOLE(self->fd, GUEST + SEGMENT);
	IS_HOLE(self->fd, GUEST + 3 * SEGMENT - 1);
	TRANSLATES(self->fd, GUEST + 3 * SEGMENT, HOST(3));
	EXPECT_EQ(2, gmap_stat_of(self->fd, out_segments));
	EXPECT_EQ(0, gmap_reverse(self->fd, to_u64(HOST(1)), NULL, 0));
}

TEST_F(space, unmap_of_a_hole_is_no_error)
{
	EXPECT_EQ(0, gmap_unmap(self->fd, GUEST, 4 * SEGMENT));
	EXPECT_EQ(0, gmap_unmap(self->fd, 0, LIMIT + 1));
	EXPECT_EQ(0, gmap_stat_of(self->fd, out_segments));
}

TEST_F(space, unmap_of_what_is_in_part_a_hole_takes_the_other_part)
{
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(2), GUEST + 2 * SEGMENT, SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(4), GUEST + 4 * SEGMENT, SEGMENT));
	EXPECT_EQ(0, gmap_unmap(self->fd, GUEST + SEGMENT, 3 * SEGMENT));
	TRANSLATES(self->fd, GUEST, HOST(0));
	IS_HOLE(self->fd, GUEST + 2 * SEGMENT);
	TRANSLATES(self->fd, GUEST + 4 * SEGMENT, HOST(4));
	EXPECT_EQ(2, gmap_stat_of(self->fd, out_segments));
	EXPECT_EQ(0, gmap_unmap(self->fd, 0, LIMIT + 1));
	EXPECT_EQ(0, gmap_stat_of(self->fd, out_segments));
}

/* There is any amount of what was never mapped, and to unmap it is no work. */
TEST(unmap_of_all_that_there_can_be_takes_no_time)
{
	int fd = gmap_create(~0ULL, __builtin_ctz(page_size), 0);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, gmap_map_at(fd, GUEST, 1ULL << 50, 2 * page_size));
	ASSERT_EQ(0, gmap_map_at(fd, GUEST, 1ULL << 62, 5000 * page_size));
	ASSERT_EQ(0, gmap_map_at(fd, GUEST, -1ULL << 63, 2 * page_size));
	EXPECT_EQ(0, gmap_unmap(fd, page_size, (1ULL << 63)));
	IS_HOLE(fd, 1ULL << 50);
	IS_HOLE(fd, (1ULL << 62) + 4999 * page_size);
	IS_HOLE(fd, 1ULL << 63);
	TRANSLATES(fd, (1ULL << 63) + page_size, (char *)GUEST + page_size);
	EXPECT_EQ(1, gmap_stat_of(fd, out_segments));
	close(fd);
}

TEST_F(space, __gmap_unmap_by_gaddr)
{
	__u64 gaddr = 0;

	/* of two names for one place, one goes */
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), 4 * GUEST, SEGMENT));
	EXPECT_EQ(0, gmap_unmap(self->fd, GUEST, SEGMENT));
	IS_HOLE(self->fd, GUEST);
	TRANSLATES(self->fd, 4 * GUEST, HOST(0));
	EXPECT_EQ(1, gmap_reverse(self->fd, to_u64(HOST(0)), &gaddr, 1));
	EXPECT_EQ(4 * GUEST, gaddr);
	EXPECT_EQ(1, gmap_stat_of(self->fd, out_segments));
}

/* Translating */

TEST_F(space, gmap_translate)
{
	struct mmext_gmap_address addresses[] = {
		{ .gaddr = GUEST + 17 },
		{ .gaddr = GUEST - 1, .vmaddr = 1, .length = 1 },
		{ .gaddr = LIMIT + 1, .length = 1 },
		{ .gaddr = ~0ULL, .length = 1 },
		{ .gaddr = GUEST + 2 * SEGMENT - 1 },
	};

	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 2 * SEGMENT));
	ASSERT_EQ(0, gmap_translate_many(self->fd, addresses, 5));
	EXPECT_EQ(to_u64(HOST(0) + 17), addresses[0].vmaddr);
	EXPECT_LE(SEGMENT - 17, addresses[0].length);
	EXPECT_GE(2 * SEGMENT - 17, addresses[0].length);
	EXPECT_EQ(0, addresses[1].length);
	EXPECT_EQ(0, addresses[2].length);
	EXPECT_EQ(0, addresses[3].length);
	EXPECT_EQ(to_u64(HOST(2) - 1), addresses[4].vmaddr);
	EXPECT_EQ(1, addresses[4].length);
	/* a question of one has an error for an answer */
	IS_HOLE(self->fd, GUEST - 1);
	IS_HOLE(self->fd, LIMIT + 1);
	IS_HOLE(self->fd, ~0ULL);
	/* and nothing was faulted in, or linked */
	EXPECT_EQ(0, gmap_stat_of(self->fd, out_linked));
	EXPECT_EQ(0, gmap_stat_of(self->fd, out_faults));
}

TEST_F(space, translate_of_none_or_of_nowhere_is_an_error)
{
	struct mmext_gmap_address *page = mmap(NULL, 2 * page_size,
					       PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS,
					       -1, 0);
	struct mmext_gmap_translate arg = {
		.size = sizeof(arg),
		.addresses = to_u64(page),
	};

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), 0, SEGMENT));
	EXPECT_EQ(-EINVAL, call(self->fd, MMEXT_GMAP_TRANSLATE, &arg));
	arg.nr = 2;
	arg.addresses = 0;
	EXPECT_EQ(-EFAULT, call(self->fd, MMEXT_GMAP_TRANSLATE, &arg));
	arg.addresses = ~0ULL - 7;
	EXPECT_EQ(-EFAULT, call(self->fd, MMEXT_GMAP_TRANSLATE, &arg));
	arg.addresses = to_u64(page) + page_size - sizeof(*page);
	ASSERT_EQ(0, munmap((char *)page + page_size, page_size));
	EXPECT_EQ(-EFAULT, call(self->fd, MMEXT_GMAP_TRANSLATE, &arg));
	ASSERT_EQ(0, mprotect(page, page_size, PROT_READ));
	arg.nr = 1;
	arg.addresses = to_u64(page);
	EXPECT_EQ(-EFAULT, call(self->fd, MMEXT_GMAP_TRANSLATE, &arg));
	munmap(page, page_size);
}

TEST_F(space, translate_says_how_far_it_goes_on)
{
	__u64 vmaddr, length;

	/* three in a row, of which the third is elsewhere in the parent */
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 2 * SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(5), GUEST + 2 * SEGMENT, SEGMENT));
	ASSERT_EQ(0, gmap_translate_length(self->fd, GUEST + 100, &vmaddr,
					   &length));
	EXPECT_LE(SEGMENT - 100, length);
	EXPECT_GE(2 * SEGMENT - 100, length);
	ASSERT_EQ(0, gmap_translate_length(self->fd, GUEST + SEGMENT, &vmaddr,
					   &length));
	EXPECT_EQ(SEGMENT, length);
	EXPECT_EQ(to_u64(HOST(1)), vmaddr);
}

/* Many at once, and while the space is changed: one or the other, and no third. */
struct translator {
	int fd;
	__u64 first;
	__u64 second;
	int end;
	long wrong;
	long right;
};

static void *translate_on(void *arg)
{
	struct translator *t = arg;
	struct mmext_gmap_address *addresses;
	unsigned int i;

	addresses = calloc(512, sizeof(*addresses));
	while (!load(&t->end)) {
		for (i = 0; i < 512; i++)
			addresses[i].gaddr = GUEST + i * page_size;
		if (gmap_translate_many(t->fd, addresses, 512))
			t->wrong++;
		for (i = 0; i < 512; i++) {
			if (!addresses[i].length)
				continue;
			if (addresses[i].vmaddr == t->first + i * page_size ||
			    addresses[i].vmaddr == t->second + i * page_size)
				t->right++;
			else
				t->wrong++;
		}
	}
	free(addresses);
	return NULL;
}

TEST_F_TIMEOUT(space, __gmap_translate, 120)
{
	struct translator t = {
		.fd = self->fd,
		.first = to_u64(HOST(0)),
		.second = to_u64(HOST(8)),
	};
	struct rounds rounds = gmap_rounds(20000);
	pthread_t thread;
	int i;

	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, 2 * SEGMENT));
	ASSERT_EQ(0, pthread_create(&thread, NULL, translate_on, &t));
	for (i = 0; rounds_until(&rounds, i, load(&t.right)); i++) {
		EXPECT_EQ(0, gmap_map(self->fd, HOST(i & 1 ? 8 : 0), GUEST,
				      2 * SEGMENT));
		if (i % 8 == 7)
			EXPECT_EQ(0, gmap_unmap(self->fd, GUEST, SEGMENT));
	}
	store(&t.end, 1);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, t.wrong);
	EXPECT_LT(0, t.right);
}

/* Every place of every table says the address that it stands for. */
TEST_F(space, __gmap_segment_gaddr)
{
	static const unsigned int places[] = {
		0, 1, 2, 510, 511, 512, 513, 1023, 1024, 2047, 2048, 2049, 4095,
		4096, 10000, 65535,
	};
	__u64 gaddr;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		ASSERT_EQ(0, gmap_map(self->fd, HOST(i), places[i] * SEGMENT,
				      SEGMENT));
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		EXPECT_EQ(1, gmap_reverse(self->fd, to_u64(HOST(i)), &gaddr,
					  1));
		EXPECT_EQ(places[i] * SEGMENT, gaddr);
	}
}

/* The other way round */

TEST_F(space, reverse_gives_every_name_in_order)
{
	static const __u64 names[] = {
		GUEST, 3 * GUEST, 3 * GUEST + SEGMENT, 60 * GIB,
	};
	__u64 gaddrs[8];
	size_t i;

	/* not in that order */
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), names[3], SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), names[1], SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), names[0], SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), names[2], SEGMENT));
	memset(gaddrs, 0xff, sizeof(gaddrs));
	ASSERT_EQ(4, gmap_reverse(self->fd, to_u64(HOST(0)) + 4321, gaddrs, 8));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(names[i] + 4321, gaddrs[i]);
	EXPECT_EQ(~0ULL, gaddrs[4]);
	/* room for fewer, for none */
	memset(gaddrs, 0xff, sizeof(gaddrs));
	EXPECT_EQ(4, gmap_reverse(self->fd, to_u64(HOST(0)), gaddrs, 2));
	EXPECT_EQ(names[1], gaddrs[1]);
	EXPECT_EQ(~0ULL, gaddrs[2]);
	EXPECT_EQ(4, gmap_reverse(self->fd, to_u64(HOST(0)), NULL, 0));
	EXPECT_EQ(-EFAULT, gmap_reverse(self->fd, to_u64(HOST(0)), NULL, 1));
	/* neighbours have none */
	EXPECT_EQ(0, gmap_reverse(self->fd, to_u64(HOST(0)) - 1, gaddrs, 8));
	EXPECT_EQ(0, gmap_reverse(self->fd, to_u64(HOST(1)), gaddrs, 8));
	EXPECT_EQ(0, gmap_reverse(self->fd, ~0ULL, gaddrs, 8));
}

TEST_F(space, reverse_keeps_up_with_maps_and_unmaps)
{
	__u32 random = 2463534242U;
	int guest[64], i, n, host, want;

	memset(guest, 0xff, sizeof(guest));
	for (i = 0; i < 2000; i++) {
		n = next_random(&random) % 64;
		if (next_random(&random) % 4) {
			host = next_random(&random) % 8;
			ASSERT_EQ(0, gmap_map(self->fd, HOST(host), n * SEGMENT,
					      SEGMENT));
			guest[n] = host;
		} else {
			ASSERT_EQ(0, gmap_unmap(self->fd, n * SEGMENT,
						SEGMENT));
			guest[n] = -1;
		}
		host = next_random(&random) % 8;
		for (want = 0, n = 0; n < 64; n++)
			want += guest[n] == host;
		ASSERT_EQ(want, gmap_reverse(self->fd, to_u64(HOST(host)),
					     NULL, 0))
			TH_LOG("step %d", i);
	}
	for (want = 0, n = 0; n < 64; n++) {
		want += guest[n] >= 0;
		EXPECT_EQ(guest[n] < 0 ? -EFAULT :
				(long long)to_u64(HOST(guest[n])),
			  gmap_translate(self->fd, n * SEGMENT));
	}
	EXPECT_EQ(want, gmap_stat_of(self->fd, out_segments));
}

/* Batches */

TEST_F(space, batch_of_none_does_nothing)
{
	__u32 done = 9;

	EXPECT_EQ(0, gmap_map_batch(self->fd, NULL, 0, &done));
	EXPECT_EQ(0, done);
	EXPECT_EQ(0, gmap_stat_of(self->fd, out_segments));
}

TEST_F(space, batch_is_one_after_the_other)
{
	struct mmext_gmap_piece pieces[] = {
		{ to_u64(HOST(0)), GUEST, 4 * SEGMENT },
		{ to_u64(HOST(4)), GUEST + SEGMENT, SEGMENT },
		{ to_u64(HOST(5)), GUEST + SEGMENT, SEGMENT },
	};
	__u32 done;

	EXPECT_EQ(0, gmap_map_batch(self->fd, pieces, 3, &done));
	EXPECT_EQ(3, done);
	TRANSLATES(self->fd, GUEST, HOST(0));
	TRANSLATES(self->fd, GUEST + SEGMENT, HOST(5));
	TRANSLATES(self->fd, GUEST + 2 * SEGMENT, HOST(2));
}

TEST_F(space, batch_that_cannot_be_read_says_how_far_it_came)
{
	struct mmext_gmap_piece *pieces = mmap(NULL, 2 * page_size,
					       PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS,
					       -1, 0);
	__u32 i, nr = page_size / sizeof(*pieces), done = 0;

	ASSERT_NE(MAP_FAILED, pieces);
	ASSERT_EQ(0, munmap((char *)pieces + page_size, page_size));
	for (i = 0; i < nr; i++)
		pieces[i] = (struct mmext_gmap_piece) {
			to_u64(HOST(i)), i * SEGMENT, SEGMENT,
		};
	EXPECT_EQ(-EFAULT, gmap_map_batch(self->fd, pieces, nr + 2, &done));
	EXPECT_GE(nr, done);
	EXPECT_EQ(done, gmap_stat_of(self->fd, out_segments));
	if (done)
		TRANSLATES(self->fd, (done - 1) * SEGMENT, HOST(done - 1));
	IS_HOLE(self->fd, done * SEGMENT);
	EXPECT_EQ(-EFAULT, gmap_map_batch(self->fd, NULL, 1, &done));
	munmap(pieces, page_size);
}

FIXTURE(pieces)
{
};

FIXTURE_SETUP(pieces)
{
}

FIXTURE_TEARDOWN(pieces)
{
}

/* One VMA that shows 100,000 pages in an order of their own. */
TEST_F_TIMEOUT(pieces, a_hundred_thousand_scattered_in_one_mapping, 300)
{
	const __u32 nr = 100003, step = 31337;
	size_t length = nr * page_size;
	struct mmext_gmap_piece *pieces;
	volatile __u32 *window;
	__u32 i, at, done = 0;
	long wrong = 0;
	char *host;
	int fd;

	fd = gmap_create(LIMIT, __builtin_ctz(page_size), 0);
	ASSERT_GE(fd, 0);
	host = host_alloc_shared(length);
	ASSERT_NE(NULL, host);
	pieces = calloc(nr, sizeof(*pieces));
	ASSERT_NE(NULL, pieces);
	for (i = 0, at = 0; i < nr; i++, at = (at + step) % nr) {
		*(__u32 *)(host + at * page_size) = i;
		pieces[i].from = to_u64(host + at * page_size);
		pieces[i].to = i * page_size;
		pieces[i].length = page_size;
	}
	/* in three parts, the second of them the largest */
	ASSERT_EQ(0, gmap_map_batch(fd, pieces, 1, &done));
	ASSERT_EQ(0, gmap_map_batch(fd, pieces + 1, nr - 1001, &done));
	ASSERT_EQ(nr - 1001, done);
	ASSERT_EQ(0, gmap_map_batch(fd, pieces + nr - 1000, 1000, &done));
	EXPECT_EQ(nr, gmap_stat_of(fd, out_segments));
	for (i = 0; i < nr; i += 997)
		TRANSLATES(fd, i * page_size, (char *)pieces[i].from);

	if (have_windows()) {
		window = window_map(fd, length, 0);
		ASSERT_NE(MAP_FAILED, window);
		for (i = 0; i < nr; i++)
			wrong += window[WORDS(i)] != i;
		EXPECT_EQ(0, wrong);
		for (i = 0; i < nr; i += 7)
			window[WORDS(i)] = ~i;
		for (i = 0; i < nr; i++)
			wrong += *(__u32 *)pieces[i].from != (i % 7 ? i : ~i);
		EXPECT_EQ(0, wrong);
		EXPECT_EQ(0, munmap((void *)window, length));
	}
	free(pieces);
	munmap(host, length);
	close(fd);
}

/* Whose space it is */

static long run_not_mine(int sock __unused, void *arg)
{
	int fd = *(int *)arg;
	struct mmext_gmap_piece piece = { 0, GUEST, SEGMENT };
	struct mmext_gmap_stat stat;

	CHILD_CHECK(gmap_map_at(fd, 0, 4 * GUEST, SEGMENT) == -EPERM);
	CHILD_CHECK(gmap_map_batch(fd, &piece, 1, NULL) == -EPERM);
	CHILD_CHECK(gmap_unmap(fd, GUEST, SEGMENT) == -EPERM);
	CHILD_CHECK(gmap_link(fd, GUEST, 64 * GIB) == -EPERM);
	CHILD_CHECK(gmap_unlink(fd, 64 * GIB, 0) == -EPERM);
	CHILD_CHECK(gmap_discard(fd, GUEST, page_size) == -EPERM);
	/* to look is another thing */
	CHILD_CHECK(gmap_translate(fd, GUEST) == 64LL * (long long)GIB);
	CHILD_CHECK(gmap_reverse(fd, 64 * GIB, NULL, 0) == 1);
	CHILD_CHECK(!gmap_stat(fd, &stat));
	return 0;
}

TEST_F(space, only_the_parent_changes_it)
{
	struct runner other;

	ASSERT_EQ(0, gmap_map(self->fd, HOST(0), GUEST, SEGMENT));
	ASSERT_EQ(0, runner_start(&other));
	EXPECT_EQ(0, runner_do(&other, run_not_mine, &self->fd));
	EXPECT_EQ(0, runner_stop(&other));
	EXPECT_EQ(1, gmap_stat_of(self->fd, out_segments));
	TRANSLATES(self->fd, GUEST, HOST(0));
}

/* When the parent has gone, whoever is left with the descriptor has nothing. */
TEST(a_space_whose_parent_has_exited_is_esrch)
{
	struct owner *owner = owner_start(HOST_SHARED);
	struct mmext_gmap_piece piece = { 0, GUEST, SEGMENT };
	struct mmext_gmap_stat stat;
	__u64 marks = 0;
	int fd, events;
	char byte;

	ASSERT_NE(NULL, owner);
	TRANSLATES(owner->space, 0, owner->host);
	EXPECT_EQ(1, pread(owner->space, &byte, 1, 0));
	EXPECT_EQ(1, byte);
	fd = dup(owner->space);
	ASSERT_EQ(0, owner_stop(owner));

	EXPECT_EQ(-ESRCH, gmap_map_at(fd, 0, GUEST, SEGMENT));
	EXPECT_EQ(-ESRCH, gmap_map_batch(fd, &piece, 1, NULL));
	EXPECT_EQ(-ESRCH, gmap_unmap(fd, 0, SEGMENT));
	EXPECT_EQ(-ESRCH, gmap_translate(fd, 0));
	EXPECT_EQ(-ESRCH, gmap_reverse(fd, 0, NULL, 0));
	EXPECT_EQ(-ESRCH, gmap_link(fd, 0, 0));
	EXPECT_EQ(-ESRCH, gmap_unlink(fd, 0, 0));
	EXPECT_EQ(-ESRCH, gmap_fault(fd, 0, page_size, 0));
	EXPECT_EQ(-ESRCH, gmap_notify(fd, 0, page_size, 0));
	EXPECT_EQ(-ESRCH, gmap_protect(fd, 0, page_size,
				       MMEXT_GMAP_PROTECT_READ));
	EXPECT_EQ(-ESRCH, gmap_discard(fd, 0, page_size));
	EXPECT_EQ(-ESRCH, gmap_dirty(fd, 0, SEGMENT, MMEXT_DIRTY_START, NULL));
	EXPECT_EQ(-ESRCH, gmap_age(fd, 0, page_size, &marks));
	events = gmap_events(fd, 0);
	EXPECT_EQ(-ESRCH, events);
	EXPECT_EQ(-ESRCH, gmap_stat(fd, &stat));
	EXPECT_EQ(-1, pread(fd, &byte, 1, 0));
	EXPECT_EQ(ESRCH, errno);
	EXPECT_EQ(-1, pwrite(fd, &byte, 1, 0));
	EXPECT_EQ(ESRCH, errno);
	close(fd);
}

/* Numbers of the other file, and of none. */
TEST_F(space, calls_of_a_region_are_none_of_a_space)
{
	int region = region_open();
	struct mmext_gmap_stat stat;
	struct mmext_info info;

	ASSERT_GE(region, 0);
	EXPECT_EQ(-ENOTTY, region_info(self->fd, &info));
	EXPECT_EQ(-ENOTTY, region_setup(self->fd, 0));
	EXPECT_EQ(-ENOTTY, gmap_disable(self->fd));
	EXPECT_EQ(-ENOTTY, gmap_stat(region, &stat));
	EXPECT_EQ(-ENOTTY, gmap_map_at(region, 0, 0, SEGMENT));
	close(region);
}

/* read(2) and write(2), which take the parent's memory as it is. */

TEST_F(space, read_and_write_are_of_the_guests_bytes)
{
	char *host = host_alloc(4 * SEGMENT), text[32] = "";
	size_t length = 2 * SEGMENT;
	char *copy = malloc(length);

	ASSERT_NE(NULL, host);
	/* crosswise */
	ASSERT_EQ(0, gmap_map(self->fd, host + SEGMENT, GUEST, SEGMENT));
	ASSERT_EQ(0, gmap_map(self->fd, host, GUEST + SEGMENT, SEGMENT));
	memset(host, 'a', SEGMENT);
	memset(host + SEGMENT, 'b', SEGMENT);
	EXPECT_EQ(8, pread(self->fd, text, 8, GUEST + SEGMENT - 4));
	EXPECT_STREQ("bbbbaaaa", text);
	EXPECT_EQ(6, pwrite(self->fd, "123456", 6, GUEST + SEGMENT - 3));
	EXPECT_EQ(0, memcmp(host + 2 * SEGMENT - 3, "123", 3));
	EXPECT_EQ(0, memcmp(host, "456", 3));
	/* by the file's position */
	EXPECT_EQ(GUEST + SEGMENT - 2, lseek(self->fd, GUEST + SEGMENT - 2,
					     SEEK_SET));
	EXPECT_EQ(4, read(self->fd, text, 4));
	EXPECT_EQ(0, memcmp(text, "2345", 4));
	EXPECT_EQ(2, write(self->fd, "xy", 2));
	EXPECT_EQ(0, memcmp(host + 2, "xy", 2));
	EXPECT_EQ(GUEST + SEGMENT + 4, lseek(self->fd, 0, SEEK_CUR));
	/* all of it */
	EXPECT_EQ(length, pread(self->fd, copy, length, GUEST));
	EXPECT_EQ(0, memcmp(copy, host + SEGMENT, SEGMENT));
	EXPECT_EQ(0, memcmp(copy + SEGMENT, host, SEGMENT));
	/* up to a hole, and from one */
	EXPECT_EQ(4, pread(self->fd, text, 8, GUEST + length - 4));
	EXPECT_EQ(-1, pread(self->fd, text, 8, GUEST + length));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, pwrite(self->fd, text, 8, GUEST - 8));
	EXPECT_EQ(EFAULT, errno);
	free(copy);
	munmap(host, 4 * SEGMENT);
}

TEST_F(space, write_to_a_read_only_parent_is_efault)
{
	char *host = host_alloc(SEGMENT), text[4];

	ASSERT_NE(NULL, host);
	memset(host, 'a', SEGMENT);
	ASSERT_EQ(0, gmap_map(self->fd, host, GUEST, SEGMENT));
	ASSERT_EQ(0, mprotect(host, page_size, PROT_READ));
	EXPECT_EQ(-1, pwrite(self->fd, "bbbb", 4, GUEST));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(4, pread(self->fd, text, 4, GUEST));
	EXPECT_EQ('a', *host);
	EXPECT_EQ(4, pwrite(self->fd, "bbbb", 4, GUEST + page_size));
	munmap(host, SEGMENT);
}

TEST_HARNESS_MAIN
