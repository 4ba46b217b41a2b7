/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/mmext_test_notifier: an MMU notifier on the caller's address space
 * that counts what it is told about a range.  Closing it unregisters.
 */
#ifndef MMEXT_TEST_NOTIFIER_H
#define MMEXT_TEST_NOTIFIER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MMEXT_TEST_NOTIFIER_MAX	1024

/**
 * struct mmext_test_notifier - a range, and what was said about it
 * @start: user address, a multiple of the page size
 * @end: end of the range, at most MMEXT_TEST_NOTIFIER_MAX pages on
 * @out_starts: calls of invalidate_range_start() that overlapped it
 * @out_ends: calls of invalidate_range_end() that did
 * @out_pages: its pages that were in one of them
 * @reserved: 0
 */
struct mmext_test_notifier {
	__aligned_u64 start;
	__aligned_u64 end;
	__u32 out_starts;
	__u32 out_ends;
	__u32 out_pages;
	__u32 reserved;
};

/* Register for a range, once for each open. */
#define MMEXT_TEST_NOTIFIER_WATCH \
	_IOW(0xED, 0, struct mmext_test_notifier)
/* Read what was counted, and count from 0 again. */
#define MMEXT_TEST_NOTIFIER_COUNTS \
	_IOR(0xED, 1, struct mmext_test_notifier)

#endif /* MMEXT_TEST_NOTIFIER_H */
