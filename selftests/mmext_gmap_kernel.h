/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel does to memory behind a process's back, on demand: swap, KSM,
 * huge pages, migration, a file system with writeback; and its counters, to prove
 * that it did.
 */
#ifndef MMEXT_GMAP_KERNEL_H
#define MMEXT_GMAP_KERNEL_H

#include "mmext_gmap.h"

#include <sys/swap.h>

#ifndef MADV_COLD
#define MADV_COLD		20
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif

static inline int shell(const char *command)
{
	int status;

	fflush(NULL);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A counter of /proc/vmstat, 0 if there is none. */
static inline unsigned long long vmstat(const char *name)
{
	unsigned long long value = 0, found = 0;
	char key[64];
	FILE *file = fopen("/proc/vmstat", "re");

	while (file && fscanf(file, "%63s %llu", key, &value) == 2)
		if (!strcmp(key, name))
			found = value;
	if (file)
		fclose(file);
	return found;
}

static inline unsigned long long number_of(const char *path)
{
	char text[64];

	return file_read(path, text, sizeof(text)) ? 0 :
	       strtoull(text, NULL, 10);
}

/* Swap */

#define SWAP_DEVICE	"/dev/zram0"

static inline bool swap_on(void)
{
	shell("modprobe -q zram");
	swapoff(SWAP_DEVICE);
	file_write("/sys/block/zram0/reset", "1");
	return !file_write("/sys/block/zram0/disksize", "256M") &&
	       !shell("mkswap " SWAP_DEVICE " >/dev/null 2>&1") &&
	       !swapon(SWAP_DEVICE, 0);
}

static inline void swap_off(void)
{
	swapoff(SWAP_DEVICE);
	file_write("/sys/block/zram0/reset", "1");
}

/* How many pages of a range of this process are swapped out. */
static inline size_t pages_swapped(void *addr, size_t length)
{
	size_t i, nr = length / page_size, swapped = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	__u64 *entries = calloc(nr, sizeof(*entries));

	if (pread(fd, entries, nr * sizeof(*entries),
		  to_u64(addr) / page_size * sizeof(*entries)) ==
	    (ssize_t)(nr * sizeof(*entries)))
		for (i = 0; i < nr; i++)
			swapped += entries[i] >> 62 & 1;
	free(entries);
	close(fd);
	return swapped;
}

/* KSM */

#define KSM	"/sys/kernel/mm/ksm/"

static inline bool ksm_start(void)
{
	return !file_write(KSM "pages_to_scan", "5000") &&
	       !file_write(KSM "sleep_millisecs", "5") &&
	       !file_write(KSM "run", "1");
}

static inline void ksm_stop(void)
{
	file_write(KSM "run", "2");
	file_write(KSM "run", "0");
}

/* Huge pages */

static inline void thp_allow(void)
{
	file_write("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	file_write("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
		   "10");
	file_write("/sys/kernel/mm/transparent_hugepage/khugepaged/alloc_sleep_millisecs",
		   "10");
	file_write("/sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan",
		   "8192");
}

/* In bytes of huge entries, of the mappings that a range is in. */
static inline size_t huge_bytes(void *addr)
{
	unsigned long start, end, kib;
	char line[256], name[64];
	bool inside = false;
	size_t sum = 0;
	FILE *file = fopen("/proc/self/smaps", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start <= to_u64(addr) && to_u64(addr) < end;
		else if (inside &&
			 sscanf(line, "%63[^:]: %lu kB", name, &kib) == 2 &&
			 (!strcmp(name, "AnonHugePages") ||
			  !strcmp(name, "ShmemPmdMapped")))
			sum += kib * KIB;
	}
	if (file)
		fclose(file);
	return sum;
}

static inline void thp_split(void *addr, size_t length)
{
	char text[96];

	snprintf(text, sizeof(text), "%d,0x%lx,0x%lx", getpid(),
		 (unsigned long)addr, (unsigned long)addr + length);
	if (file_write("/sys/kernel/debug/split_huge_pages", text))
		file_write("/sys/kernel/debug/split_huge_pages", "1");
}

/* Migration: to another node, or away from pages that are given up. */
static inline void migrate(void *addr, size_t length, int node)
{
	size_t i, nr = length / page_size;
	void **pages;
	int *nodes;

	if (!access("/sys/devices/system/node/node1", F_OK)) {
		pages = calloc(nr, sizeof(*pages));
		nodes = calloc(nr, 2 * sizeof(*nodes));
		for (i = 0; i < nr; i++) {
			pages[i] = (char *)addr + i * page_size;
			nodes[i] = node & 1;
		}
		syscall(SYS_move_pages, 0, nr, pages, nodes, nodes + nr, 2);
		free(pages);
		free(nodes);
		return;
	}
	file_write("/proc/sys/vm/compact_memory", "1");
	/* each is a page of the machine that is lost to it */
	for (i = 0; i < nr; i += nr / 2)
		madvise((char *)addr + i * page_size, page_size,
			MADV_SOFT_OFFLINE);
}

/* A file system that writes back, at @dir. */
static inline bool disk_mount(const char *dir, const char *image)
{
	char command[1024];

	mkdir(dir, 0700);
	shell("modprobe -q loop; modprobe -q ext4");
	/*
	 * Not mount -o loop, whose own descriptor is a second writer, which kernels
	 * without CONFIG_BLK_DEV_WRITE_MOUNTED refuse.  The loop goes with the mount.
	 */
	snprintf(command, sizeof(command),
		 "truncate -s 48M %s && "
		 "{ busybox mke2fs -F %s || mke2fs -q -F %s; } >/dev/null 2>&1 && "
		 "t=ext2; ! grep -qw ext4 /proc/filesystems || t=ext4; "
		 "l=$(losetup -f --show %s) && mount -t $t $l %s && losetup -d $l",
		 image, image, image, image, dir);
	return !shell(command);
}

static inline void disk_umount(const char *dir, const char *image)
{
	int i;

	/* a process that was killed may hold it for a moment */
	for (i = 0; i < 100 && umount(dir); i++)
		usleep(20000);
	rmdir(dir);
	unlink(image);
}

#endif /* MMEXT_GMAP_KERNEL_H */
