/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * mmext - the ioctl interface of /dev/mmext
 *
 * The object
 * ----------
 * A *region* is a sparse array of pages, zero-filled on demand, that programs
 * map with mmap(2).  Every open of /dev/mmext makes a new region, private to
 * that open file and whoever receives the descriptor; it goes away with the
 * last descriptor and the last mapping.  /dev/mmext0, /dev/mmext1, ... (module
 * parameter "regions") are regions that live as long as the module and that
 * every opener shares.
 *
 * No ioctl is needed: open, mmap(MAP_SHARED), touch.  A region can also be
 * used with read(2), write(2), pread(2), pwrite(2) and lseek(2).
 *
 * Three things are told apart throughout:
 *
 *   offset   a position in the region, in bytes; what mmap(2) takes
 *   page     the memory that backs an offset; an offset without one is a hole
 *            and reads as zeroes
 *   entry    what one process's page table holds for one address; dropping an
 *            entry loses no data, the next access brings it back
 *
 * The rules of every call
 * -----------------------
 * Each call takes a pointer to a structure that begins with
 *
 *   __u32 size;    sizeof the structure as the program was compiled
 *   __u32 flags;   zero, or flags of that call
 *
 * A structure shorter than the first published version is -EINVAL.  One that
 * is shorter than the module's is extended with zeroes.  One that is longer
 * is taken if what the module does not know is zero, and is -E2BIG otherwise
 * (also beyond a page).  Members whose name begins with out_ are written by
 * the module; what the program left in them is ignored.  Unknown flags, and
 * reserved members that are not zero, are -EINVAL.  A flag or mode that is
 * known but that this kernel or this build can't serve is -EOPNOTSUPP.
 *
 * An address range has to be one mapping of this descriptor, or part of one,
 * else -EFAULT; but for ACCESS and for ZAP with SPAN.  A mapping that
 * mprotect(2) split stays one here.
 *
 * Offsets, addresses and lengths are in bytes and are multiples of the page
 * size, else -EINVAL; those of ACCESS are any.  A range that wraps is
 * -EOVERFLOW; one that passes the end of the region is -EINVAL.  A length of 0
 * does nothing and returns 0.
 *
 * A call that works through a range advances it in the structure as it goes,
 * whether it succeeds or not: what is left of the range is what is left to do.
 * It returns 0 when all is done (the length is 0 then), 0 with a length that
 * is not 0 when a signal came after some progress, and -EINTR when a signal
 * came before any.  In the latter two cases pass the same structure again.
 *
 * The calls without a range are not interrupted but by a fatal signal.
 *
 * Errors of every call: -ENOTTY the number is not one of this interface;
 * -EFAULT the structure can't be read or written; -EINVAL, -E2BIG,
 * -EOVERFLOW, -EOPNOTSUPP as said above; -ENODEV the region was revoked.
 * Calls that change what offsets show (SETUP, IOMEM, REMAP, REVOKE, PROTECT,
 * UNMAP with FREE or EVEN_COWS), POPULATE with WRITE, and DIRTY with more than
 * GET need a descriptor that is open for writing, else -EBADF.
 *
 * PAGE backing
 * ------------
 * The entries of a region with MMEXT_BACKING_PAGE hold references to its pages,
 * as those of any file do: they count as resident, and O_DIRECT, io_uring,
 * process_vm_readv(2), futex(2), vmsplice(2) and all else that pins user memory
 * work on them.  Who has pinned a page has the page and not the offset: it goes
 * on being written to where it is protected, goes with REMAP, and outlives FREE
 * and REVOKE, without being counted any more; and what is written through a pin
 * after a harvest is in no dirty log.
 *
 * It can be mapped with MAP_PRIVATE, and shows the region's pages until the
 * process stores to one: then it has a copy of its own, and the region keeps
 * its page.  The copies are left alone by every call but ZAP, REVOKE and UNMAP
 * with EVEN_COWS.
 *
 * mlock, MAP_POPULATE, madvise
 * ----------------------------
 * Of page frames Linux faults nothing in and locks nothing: mlock(2) and
 * MAP_POPULATE succeed and do nothing, MADV_DONTNEED and most other advice is
 * -EINVAL; MMEXT_POPULATE and MMEXT_ZAP are what there is instead.  Of PAGE
 * backing mlock(2) and MAP_POPULATE fault every page in, by loads, which give a
 * hole a page and mark nothing in the dirty log, and for a private mapping that
 * can be stored to by stores, which make copies; they lock nothing, and the
 * entries go by every call that drops entries.  MADV_DONTNEED drops the entries
 * of the range, and of a private mapping the copies, at any time, whatever else
 * is done to the region meanwhile; from 6.14 on it frees page tables as well.
 * No advice changes what a region holds.
 */
#ifndef _UAPI_LINUX_MMEXT_H
#define _UAPI_LINUX_MMEXT_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MMEXT_TYPE	0xEE

/* The revision of this interface, as INFO reports it. */
#define MMEXT_ABI	1

enum {
	MMEXT_CMD_INFO = 0x00,
	MMEXT_CMD_SETUP = 0x01,
	MMEXT_CMD_POPULATE = 0x02,
	MMEXT_CMD_REMAP = 0x03,
	MMEXT_CMD_ZAP = 0x04,
	MMEXT_CMD_UNMAP = 0x05,
	MMEXT_CMD_REVOKE = 0x06,
	MMEXT_CMD_PROTECT = 0x07,
	MMEXT_CMD_DIRTY = 0x08,
	MMEXT_CMD_LOOKUP = 0x09,
	MMEXT_CMD_IOMEM = 0x0a,
	MMEXT_CMD_ACCESS = 0x0b,
};

/* How a region is backed. */
enum mmext_backing {
	/* page frames, entered without a reference; get_user_pages() refuses */
	MMEXT_BACKING_PFN = 0,
	/* pages with references: they can be pinned, and mapped privately */
	MMEXT_BACKING_PAGE = 1,
	/* the guest space that GMAP_ENABLE made the current one */
	MMEXT_BACKING_GUEST = 2,
	/* a physical range, which the region got by IOMEM and not by SETUP */
	MMEXT_BACKING_IOMEM = 3,
};

/* The memory type of a region's entries. */
enum mmext_cache {
	MMEXT_CACHE_WB = 0,	/* write-back, as all other memory */
	MMEXT_CACHE_WC = 1,	/* write-combined: by IOMEM alone */
	MMEXT_CACHE_UC = 2,	/* uncached: by IOMEM alone */
};

/* How stale translations are removed. */
enum mmext_tlb {
	MMEXT_TLB_KERNEL = 0,	/* by handing the range to the kernel's zap */
	MMEXT_TLB_X86 = 1,	/* by the module, on x86 */
	MMEXT_TLB_ARM64 = 2,	/* by the module, on arm64 */
};

/* What INFO reports in out_features. */
#define MMEXT_FEATURE_HUGE	(1ULL << 0)	/* SETUP's HUGE takes effect */
#define MMEXT_FEATURE_NOTIFIER	(1ULL << 1)	/* kernel has MMU notifiers */
/* guest spaces can be mapped */
#define MMEXT_FEATURE_GMAP_WINDOW	(1ULL << 3)
/* also where the parent's memory is anonymous */
#define MMEXT_FEATURE_GMAP_ANON	(1ULL << 4)
/* pages of PAGE backing are charged to memory cgroups, as those of PFN are */
#define MMEXT_FEATURE_PAGE_CHARGED	(1ULL << 2)

/**
 * struct mmext_info - MMEXT_INFO: what the module and this region are
 * @size: sizeof(struct mmext_info)
 * @flags: 0
 * @out_abi: MMEXT_ABI of the module
 * @out_tlb: one of enum mmext_tlb, the one that is live
 * @out_features: MMEXT_FEATURE_* bits
 * @out_page_sizes: bit n set: entries of 2^n bytes can be made
 * @out_max_offset: bytes; the end of a region that SETUP gave no length
 * @out_length: bytes; the length of this region, 0 if it has no end
 * @out_limit: bytes; what all regions together may hold
 * @out_used: bytes; what all regions together hold now: pages, and some 600
 *	bytes for each offset that takes memory without having a page to itself
 *	(a protected hole, one more offset of an aliased page)
 * @out_backing: one of enum mmext_backing, of this region
 * @out_cache: one of enum mmext_cache, of this region
 */
struct mmext_info {
	__u32 size;
	__u32 flags;
	__u32 out_abi;
	__u32 out_tlb;
	__aligned_u64 out_features;
	__aligned_u64 out_page_sizes;
	__aligned_u64 out_max_offset;
	__aligned_u64 out_length;
	__aligned_u64 out_limit;
	__aligned_u64 out_used;
	__u32 out_backing;
	__u32 out_cache;
};

#define MMEXT_INFO _IO(MMEXT_TYPE, MMEXT_CMD_INFO)

/*
 * A hint, accepted on every kernel: back aligned blocks of the region in one
 * piece, and map each by one entry.  A block has the larger of the sizes in
 * INFO's out_page_sizes; MMEXT_FEATURE_HUGE says whether the hint has an effect,
 * which it has with PFN backing.
 *
 * What fills a hole then fills the block that it is in, and all of that counts
 * as held, if it is inside the region and has no page and no PROTECTed offset
 * yet, if the limit allows it and if so much memory is there in one piece.  Page
 * faults and POPULATE map it by one entry where all of it is mapped, the mapping
 * is aligned as the offset is (mmap(2) sees to that), and the same may be done
 * with all of it: no part is PROTECTed, or tracked by DIRTY and not marked.
 * REMAP of whole blocks keeps them whole.
 *
 * Otherwise pages are small, and nothing but LOOKUP tells.  What is done to a part
 * of a block makes it small; what has been so in a mapping stays so, until it is
 * unmapped there.  After fork(2), the child's entries come with its accesses.
 */
#define MMEXT_SETUP_HUGE	(1U << 0)

/**
 * struct mmext_setup - MMEXT_SETUP: give a region its shape
 * @size: sizeof(struct mmext_setup)
 * @flags: 0 or MMEXT_SETUP_HUGE
 * @length: bytes, the region's end; 0: none
 * @backing: one of enum mmext_backing
 * @cache: one of enum mmext_cache
 * @around: bytes; how much one fault maps: of the block of addresses of this
 *	size that the fault is in, all pages that exist; a power of two, from
 *	one page (no more than the page of the fault) to 64 pages; 0: as the
 *	module's parameter "around" says, 16 pages by default
 * @reserved: 0
 *
 * Once, before the first mmap(2), read(2) or write(2) and before any other
 * call but INFO.  A region without it has PFN backing, write-back entries and
 * no end.
 *
 * Errors: -EBUSY the region has its shape already; -EINVAL @backing or @cache
 * is not of its enum, @length passes INFO's out_max_offset or is not a
 * multiple of the page size, or @around is none of these; -EOPNOTSUPP a backing
 * or memory type that can't be served; -EBADF.
 */
struct mmext_setup {
	__u32 size;
	__u32 flags;
	__aligned_u64 length;
	__u32 backing;
	__u32 cache;
	__u32 around;
	__u32 reserved;
};

#define MMEXT_SETUP _IO(MMEXT_TYPE, MMEXT_CMD_SETUP)

/* Make the entries writable, so that the first store takes no fault. */
#define MMEXT_POPULATE_WRITE	(1U << 0)

/**
 * struct mmext_populate - MMEXT_POPULATE: allocate and map, without faults
 * @size: sizeof(struct mmext_populate)
 * @flags: 0 or MMEXT_POPULATE_WRITE
 * @addr: user address, in a mapping of this descriptor; advanced
 * @length: bytes; counted down
 *
 * Pages that are missing are allocated, charged to the caller's memory cgroup.
 * Entries that exist stay as they are, but that WRITE makes those writable
 * that may be.  Entries that WRITE does not ask for are read-only, and their
 * first store is a (cheap) fault.  In a private mapping all are, whatever is
 * asked for: there the first store makes a copy.
 *
 * Errors: -EFAULT the range is not inside one mapping of this descriptor, or
 * WRITE and the mapping is not PROT_WRITE; -ENOSPC the module's limit;
 * -ENOMEM; -EINTR; -EBADF.
 */
struct mmext_populate {
	__u32 size;
	__u32 flags;
	__aligned_u64 addr;
	__aligned_u64 length;
};

#define MMEXT_POPULATE _IO(MMEXT_TYPE, MMEXT_CMD_POPULATE)

/* @to shows what @from shows; both hold the page until the last is dropped. */
#define MMEXT_REMAP_ALIAS	(1U << 0)

/**
 * struct mmext_remap - MMEXT_REMAP: exchange or alias two ranges of a region
 * @size: sizeof(struct mmext_remap)
 * @flags: 0: the two ranges change places; MMEXT_REMAP_ALIAS: @to shows the
 *	pages of @from, and the pages @to showed are dropped
 * @from: offset; advanced
 * @to: offset; advanced
 * @length: bytes; counted down
 *
 * No byte is copied.  Holes move, and are aliased, as holes.  When the call
 * returns, the next access of any process sees what was done; no access during
 * the call sees anything but what a page showed before or shows after.  A
 * PROTECTed offset stays protected whatever page it shows.
 *
 * A page that several offsets show is freed when the last of them drops it.
 *
 * Errors: -EINVAL the ranges overlap; -ENOMEM, or -ENOSPC the module's limit,
 * with the ranges advanced to where all is done before and nothing is done
 * after; -EINTR; -EBADF.
 */
struct mmext_remap {
	__u32 size;
	__u32 flags;
	__aligned_u64 from;
	__aligned_u64 to;
	__aligned_u64 length;
};

#define MMEXT_REMAP _IO(MMEXT_TYPE, MMEXT_CMD_REMAP)

/*
 * The range may span several mappings of the region, through whichever
 * descriptor, and holes between them; what else is mapped there stays as it is.
 */
#define MMEXT_ZAP_SPAN		(1U << 0)

/**
 * struct mmext_zap - MMEXT_ZAP: drop the entries of the caller's own mapping
 * @size: sizeof(struct mmext_zap)
 * @flags: 0 or MMEXT_ZAP_SPAN
 * @addr: user address, in a mapping of this descriptor; advanced
 * @length: bytes; counted down
 * @out_skipped: with SPAN, how many bytes of the part of the range that this
 *	call did are mapped by something else, and were left alone
 *
 * The pages stay; other processes' entries stay.  Of a private mapping, the
 * process's own copies go as well, as by MADV_DONTNEED.
 *
 * Errors: -EFAULT the range is not inside one mapping of this descriptor, or
 * with SPAN, not inside the address space; -EINTR.
 */
struct mmext_zap {
	__u32 size;
	__u32 flags;
	__aligned_u64 addr;
	__aligned_u64 length;
	__aligned_u64 out_skipped;
};

#define MMEXT_ZAP _IO(MMEXT_TYPE, MMEXT_CMD_ZAP)

/* Free the pages as well: the range becomes a hole and reads as zeroes. */
#define MMEXT_UNMAP_FREE	(1U << 0)
/*
 * The range goes from @offset to the end of the region; @length is 0.  The
 * call clears the flag and sets @length, so that the structure can be passed
 * again.
 */
#define MMEXT_UNMAP_TO_END	(1U << 1)
/* Also the copies that stores to private mappings made; else they stay. */
#define MMEXT_UNMAP_EVEN_COWS	(1U << 2)

/**
 * struct mmext_unmap - MMEXT_UNMAP: drop entries in every process
 * @size: sizeof(struct mmext_unmap)
 * @flags: MMEXT_UNMAP_* bits
 * @offset: offset; advanced
 * @length: bytes; counted down
 *
 * Errors: -EINVAL @length is not 0 with TO_END; -EINTR; -EBADF.
 */
struct mmext_unmap {
	__u32 size;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 length;
};

#define MMEXT_UNMAP _IO(MMEXT_TYPE, MMEXT_CMD_UNMAP)

/**
 * struct mmext_revoke - MMEXT_REVOKE: take a region away for good
 * @size: sizeof(struct mmext_revoke)
 * @flags: 0
 *
 * Drops every entry in every process, the copies of private mappings included,
 * and frees every page.  From then on every access through a mapping is SIGBUS,
 * and every call, read, write and mmap on any descriptor of the region is
 * -ENODEV.  It can't be undone.
 *
 * Errors: -EBADF.
 */
struct mmext_revoke {
	__u32 size;
	__u32 flags;
};

#define MMEXT_REVOKE _IO(MMEXT_TYPE, MMEXT_CMD_REVOKE)

/* The range can't be stored to; without it, it can again. */
#define MMEXT_PROTECT_READ_ONLY	(1U << 0)

/**
 * struct mmext_protect - MMEXT_PROTECT: what may be done with a range
 * @size: sizeof(struct mmext_protect)
 * @flags: 0 or MMEXT_PROTECT_READ_ONLY
 * @offset: offset; advanced
 * @length: bytes; counted down
 *
 * In every process that maps the range, now and later, whatever mprotect(2)
 * says: a store to a read-only offset is SIGSEGV, write(2) to it is -EPERM.
 * The offset keeps its protection when REMAP gives it another page or UNMAP
 * frees the one it had.  A protected hole takes memory, which counts for the
 * module's limit (INFO).
 *
 * It is the offset that is protected: a private mapping can be stored to, which
 * makes a copy; and where an aliased page is shown by another offset as well, it
 * can be stored to there.
 *
 * Errors: -ENOSPC the module's limit; -ENOMEM; -EINTR; -EBADF.
 */
struct mmext_protect {
	__u32 size;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 length;
};

#define MMEXT_PROTECT _IO(MMEXT_TYPE, MMEXT_CMD_PROTECT)

/* Exactly one of these: */
#define MMEXT_DIRTY_START	(1U << 0)	/* track the range */
#define MMEXT_DIRTY_STOP	(1U << 1)	/* do not, and forget its marks */
#define MMEXT_DIRTY_GET		(1U << 2)	/* give out its marks */
/* With GET: */
#define MMEXT_DIRTY_CLEAR	(1U << 3)	/* and clear what is given out */
#define MMEXT_DIRTY_RUNS	(1U << 4)	/* as runs, not as a bitmap */

/**
 * struct mmext_run - pages that follow each other
 * @offset: bytes
 * @length: bytes
 */
struct mmext_run {
	__aligned_u64 offset;
	__aligned_u64 length;
};

/**
 * struct mmext_dirty - MMEXT_DIRTY: which offsets were changed
 * @size: sizeof(struct mmext_dirty)
 * @flags: MMEXT_DIRTY_* bits
 * @offset: offset; advanced
 * @length: bytes; counted down
 * @marks: GET: pointer, advanced: to a bitmap, an array of __u64 in which bit
 *	n % 64 of element n / 64 is page n of the range, and which is written in
 *	whole elements; with RUNS to an array of struct mmext_run
 * @nr: GET with RUNS: elements that there is room for at @marks; counted down
 * @reserved: 0
 *
 * A tracked offset is marked when what it shows changes: by a store of any
 * process through any mapping, by a debugger, by write(2), by REMAP for both
 * ranges (with ALIAS for @to), by UNMAP with FREE of a page that was there; and
 * by POPULATE with WRITE, which makes stores possible that nobody sees.  The mark
 * is there before the store.  A load is no change, also of a hole.  PROTECT and
 * mprotect(2), fork(2) and mremap(2) change nothing, and lose no mark.
 *
 * It is the offset that is marked: where an aliased page is shown by another
 * offset as well, that one is not.
 *
 * There is one log for a region.  To START on offsets that are tracked does
 * nothing to them, so ranges may overlap; to STOP takes an offset out however
 * often it was started.  Offsets that are not tracked are never marked.
 *
 * What GET with CLEAR gives out and clears is one step for each mark: a change
 * is either in what is given out, and then its bytes are there to be read after
 * the call, or in the log after it.  No change is lost, and none is if @marks
 * can't be written: then the marks stay.
 *
 * GET with RUNS that finds no room for more returns 0 with a length that is not
 * 0: pass the structure again with another array.  Runs may end where the call
 * had to take a breath, and go on in the next element.
 *
 * Tracking takes 2 KiB for every 16 MiB (at a page size of 4 KiB) that the
 * range touches, which counts for the module's limit (INFO), and all of it
 * before START returns.
 *
 * Errors: -EINVAL none or more than one of START, STOP and GET, CLEAR or RUNS
 * without GET, RUNS and no room, or a bitmap and @offset is not a multiple of
 * 64 pages; -EFAULT @marks can't be written; -ENOSPC the module's limit: there
 * is no room for all of the range; -ENOMEM; -EINTR; -EBADF START, STOP or CLEAR by
 * a descriptor that is not open for writing.
 */
struct mmext_dirty {
	__u32 size;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 length;
	__aligned_u64 marks;
	__u32 nr;
	__u32 reserved;
};

#define MMEXT_DIRTY _IO(MMEXT_TYPE, MMEXT_CMD_DIRTY)

/* What an entry is, in struct mmext_entry. */
#define MMEXT_ENTRY_PRESENT	(1U << 0)
#define MMEXT_ENTRY_WRITABLE	(1U << 1)
#define MMEXT_ENTRY_DIRTY	(1U << 2)
#define MMEXT_ENTRY_YOUNG	(1U << 3)

/**
 * struct mmext_entry - one page of LOOKUP's answer
 * @pfn: page frame number; 0 where there is no entry, and for callers without
 *	CAP_SYS_ADMIN in the initial user namespace
 * @flags: MMEXT_ENTRY_* bits; 0: no entry
 * @shift: log2 of the bytes that the entry maps; 0: no entry
 */
struct mmext_entry {
	__aligned_u64 pfn;
	__u32 flags;
	__u32 shift;
};

/**
 * struct mmext_lookup - MMEXT_LOOKUP: read the caller's page table
 * @size: sizeof(struct mmext_lookup)
 * @flags: 0
 * @addr: user address, in a mapping of this descriptor; advanced
 * @length: bytes; counted down
 * @entries: pointer to an array of struct mmext_entry, one for each page of
 *	the range; advanced
 *
 * Faults nothing in.
 *
 * Errors: -EFAULT the range is not inside one mapping of this descriptor, or
 * @entries can't be written; -ENOMEM; -EINTR.
 */
struct mmext_lookup {
	__u32 size;
	__u32 flags;
	__aligned_u64 addr;
	__aligned_u64 length;
	__aligned_u64 entries;
};

#define MMEXT_LOOKUP _IO(MMEXT_TYPE, MMEXT_CMD_LOOKUP)

/**
 * struct mmext_iomem - MMEXT_IOMEM: have a region show a physical range
 * @size: sizeof(struct mmext_iomem)
 * @flags: 0
 * @phys: physical address, a multiple of the page size
 * @length: bytes, and the region's end; not 0
 * @cache: MMEXT_CACHE_WC or MMEXT_CACHE_UC
 * @reserved: 0
 *
 * The bar of a PCI device, memory that was kept from the kernel at boot
 * (memmap=), and the like.  In place of SETUP, and as early.  The region has the
 * range to itself until it is revoked or gone: no driver and no /dev/mem gets
 * it, and it is mapped with no other memory type.  That the device stays, and
 * what its registers do when they are read, is the caller's business.  On arm64
 * MMEXT_CACHE_UC is Device memory: a load or store that is not aligned is SIGBUS,
 * and memcpy() makes such.
 *
 * On such a region mmap, page faults, read(2), write(2), debuggers' accesses,
 * POPULATE, ZAP, UNMAP, LOOKUP, ACCESS, REVOKE and INFO work.  A fault maps all
 * of its mapping.  REMAP, PROTECT, DIRTY and UNMAP with FREE are -EOPNOTSUPP.
 *
 * Errors: -EPERM the caller has not CAP_SYS_RAWIO in the initial user
 * namespace, or the kernel is locked down (integrity); -EINVAL part of the
 * range is memory of the kernel's, or no physical address, or @cache is not of
 * its enum; -EOPNOTSUPP MMEXT_CACHE_WB, which the machine need not keep to;
 * -EBUSY part of the range is a driver's, or the region has its shape already;
 * -ENOMEM; -EBADF.
 */
struct mmext_iomem {
	__u32 size;
	__u32 flags;
	__aligned_u64 phys;
	__aligned_u64 length;
	__u32 cache;
	__u32 reserved;
};

#define MMEXT_IOMEM _IO(MMEXT_TYPE, MMEXT_CMD_IOMEM)

/* From @buffer to @addr; without it, from @addr to @buffer. */
#define MMEXT_ACCESS_WRITE	(1U << 0)

/**
 * struct mmext_access - MMEXT_ACCESS: copy from or to the caller's own memory
 * @size: sizeof(struct mmext_access)
 * @flags: 0 or MMEXT_ACCESS_WRITE
 * @addr: user address, of whatever is mapped there; advanced
 * @length: bytes; counted down
 * @buffer: pointer to @length bytes; advanced
 *
 * As process_vm_readv(2) and process_vm_writev(2) of the caller itself, and in
 * what these refuse as well: mappings of page frames, of this or another
 * region or driver, as far as a debugger can read and write them.  @addr is
 * accessed with the rights of its mapping; pages that are not there come as by
 * an access.  No alignment is asked for.
 *
 * Both ranges may be of any number of pages and mappings.  What one of them
 * ends at is -EFAULT, with all that comes before it transferred and counted:
 * @addr, or @buffer, is the first byte that could not be had, or one in the same
 * page that could be.
 *
 * Errors: -EFAULT also if @addr and @length are not inside the address space,
 * and then with nothing done; -ENOMEM; -EINTR.
 */
struct mmext_access {
	__u32 size;
	__u32 flags;
	__aligned_u64 addr;
	__aligned_u64 length;
	__aligned_u64 buffer;
};

#define MMEXT_ACCESS _IO(MMEXT_TYPE, MMEXT_CMD_ACCESS)

/*
 * Guest spaces
 * ------------
 * A *guest space* shows pieces of one process's memory, its *parent*'s, at
 * addresses of another numbering: guest addresses.  GMAP_CREATE makes one; its
 * parent is the process that called it, and the descriptor that it returns is
 * the space.
 *
 *   segment      2^segment_shift bytes, what is mapped at a time; MAP and UNMAP
 *                take multiples of it
 *   translation  guest segment to parent address; says nothing of what is there
 *   link         a translated segment of which pages were handed out; the first
 *                fault links, and what takes the parent's page tables away unlinks
 *   window       mmap(2) of the space, MAP_SHARED, at the guest address as offset:
 *                the guest's memory, linearly.  It follows what the parent maps
 *                there, whoever changes it.  Where nothing is mapped, or the parent
 *                has nothing, an access is SIGBUS; a store where the parent may
 *                not store is SIGSEGV.  What pins memory refuses windows
 *                (-EFAULT): TRANSLATE gives the parent's address, which can be.
 *
 * read(2), write(2), pread(2), pwrite(2) and lseek(2) work on the space at guest
 * addresses.
 *
 * Whoever has the descriptor has what is mapped; what to map is the parent's to
 * say: MAP, MAP_BATCH, UNMAP, UNLINK, LINK, DISCARD and ENABLE by another process
 * are -EPERM.  When the parent has exited, or has executed another program, every
 * call is -ESRCH and every window SIGBUS.
 *
 * The rules of the other calls hold, with guest addresses in place of offsets: a
 * range that wraps is -EOVERFLOW but for MAP and UNMAP, where it is -EINVAL as
 * documented; one that crosses the limit is -EINVAL.  What TRANSLATE is asked for
 * above it is -EFAULT.
 */
enum {
	/* of /dev/mmext */
	MMEXT_CMD_GMAP_CREATE = 0x10,
	MMEXT_CMD_GMAP_ENABLE = 0x11,
	MMEXT_CMD_GMAP_DISABLE = 0x12,
	/* of a guest space */
	MMEXT_CMD_GMAP_MAP = 0x20,
	MMEXT_CMD_GMAP_MAP_BATCH = 0x21,
	MMEXT_CMD_GMAP_UNMAP = 0x22,
	MMEXT_CMD_GMAP_TRANSLATE = 0x23,
	MMEXT_CMD_GMAP_REVERSE = 0x24,
	MMEXT_CMD_GMAP_LINK = 0x25,
	MMEXT_CMD_GMAP_UNLINK = 0x26,
	MMEXT_CMD_GMAP_FAULT = 0x27,
	MMEXT_CMD_GMAP_NOTIFY = 0x28,
	MMEXT_CMD_GMAP_PROTECT = 0x29,
	MMEXT_CMD_GMAP_DISCARD = 0x2a,
	MMEXT_CMD_GMAP_DIRTY = 0x2b,
	MMEXT_CMD_GMAP_AGE = 0x2c,
	MMEXT_CMD_GMAP_EVENTS = 0x2d,
	MMEXT_CMD_GMAP_STAT = 0x2e,
};

/* A host segment has one guest segment at most: a second LINK is -EFAULT. */
#define MMEXT_GMAP_CREATE_EXCLUSIVE	(1U << 0)

/**
 * struct mmext_gmap_create - MMEXT_GMAP_CREATE: a guest space of this process's
 * @size: sizeof(struct mmext_gmap_create)
 * @flags: 0 or MMEXT_GMAP_CREATE_EXCLUSIVE
 * @limit: the highest guest address, inside a segment or not; as it is given
 * @segment_shift: log2 of the bytes of a segment, from the page size's to 40; 0:
 *	20, 1 MiB
 * @out_fd: descriptor of the space, close-on-exec
 *
 * On a descriptor of /dev/mmext, whatever it shows.
 *
 * Errors: -EINVAL @segment_shift; -EMFILE, -ENFILE; -ENOMEM; -EINTR;
 * -EOPNOTSUPP the kernel has no MMU notifiers.
 */
struct mmext_gmap_create {
	__u32 size;
	__u32 flags;
	__aligned_u64 limit;
	__u32 segment_shift;
	__s32 out_fd;
};

#define MMEXT_GMAP_CREATE _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_CREATE)

/**
 * struct mmext_gmap_enable - MMEXT_GMAP_ENABLE: make a space the current one
 * @size: sizeof(struct mmext_gmap_enable)
 * @flags: 0
 * @fd: of the space
 * @reserved: 0
 *
 * On a descriptor of /dev/mmext with MMEXT_BACKING_GUEST.  Its mappings show the
 * space from then on, at the guest address that is their offset; the one that was
 * current until then, they do not.
 *
 * Errors: -EBUSY the descriptor has another backing; -EINVAL @fd is no guest
 * space; -EPERM the caller is not its parent; -ESRCH; -EBADF.
 */
struct mmext_gmap_enable {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 reserved;
};

#define MMEXT_GMAP_ENABLE _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_ENABLE)

/**
 * struct mmext_gmap_disable - MMEXT_GMAP_DISABLE: no space is current
 * @size: sizeof(struct mmext_gmap_disable)
 * @flags: 0
 *
 * Accesses are SIGBUS then.  If none was, nothing happens.
 *
 * Errors: -EBUSY the descriptor has another backing; -EBADF.
 */
struct mmext_gmap_disable {
	__u32 size;
	__u32 flags;
};

#define MMEXT_GMAP_DISABLE _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_DISABLE)

/**
 * struct mmext_gmap_map - MMEXT_GMAP_MAP: parent range to guest range
 * @size: sizeof(struct mmext_gmap_map)
 * @flags: 0
 * @from: parent address, a multiple of the segment size
 * @to: guest address, a multiple of the segment size
 * @length: bytes, a multiple of the segment size, not 0; less only at the limit
 *
 * Replaces what was mapped there.  Whether the parent has anything at @from is
 * not looked at, now or ever but by a fault.
 *
 * Errors: -EINVAL any of the three is not so, or a range wraps, or crosses the
 * limit or the parent's address space; -ENOMEM, and then the space is as it was;
 * -EPERM; -ESRCH; -EINTR.
 */
struct mmext_gmap_map {
	__u32 size;
	__u32 flags;
	__aligned_u64 from;
	__aligned_u64 to;
	__aligned_u64 length;
};

#define MMEXT_GMAP_MAP _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_MAP)

/**
 * struct mmext_gmap_piece - one of MAP_BATCH's
 * @from: as in struct mmext_gmap_map
 * @to: as there
 * @length: as there
 */
struct mmext_gmap_piece {
	__aligned_u64 from;
	__aligned_u64 to;
	__aligned_u64 length;
};

/**
 * struct mmext_gmap_map_batch - MMEXT_GMAP_MAP_BATCH: many of MAP
 * @size: sizeof(struct mmext_gmap_map_batch)
 * @flags: 0
 * @pieces: pointer to an array of struct mmext_gmap_piece; advanced
 * @nr: elements; counted down
 * @reserved: 0
 *
 * One after the other.  When it returns with an error, @pieces points at the one
 * that has it, and all before it are done.
 *
 * Errors: -EFAULT @pieces can't be read; as MAP.
 */
struct mmext_gmap_map_batch {
	__u32 size;
	__u32 flags;
	__aligned_u64 pieces;
	__u32 nr;
	__u32 reserved;
};

#define MMEXT_GMAP_MAP_BATCH _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_MAP_BATCH)

/**
 * struct mmext_gmap_unmap - MMEXT_GMAP_UNMAP: forget translations
 * @size: sizeof(struct mmext_gmap_unmap)
 * @flags: 0
 * @to: guest address, a multiple of the segment size
 * @length: bytes, as in MAP
 *
 * Holes are no error.  The parent's memory, and other guest segments that name
 * it, stay.
 *
 * Errors: -EINVAL as MAP; -EPERM; -ESRCH; -EINTR.
 */
struct mmext_gmap_unmap {
	__u32 size;
	__u32 flags;
	__aligned_u64 to;
	__aligned_u64 length;
};

#define MMEXT_GMAP_UNMAP _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_UNMAP)

/**
 * struct mmext_gmap_address - one of TRANSLATE's
 * @gaddr: guest address, of any alignment
 * @vmaddr: the parent's address
 * @length: bytes from @gaddr on that are contiguous in the parent as well, as far
 *	as was looked; 0: @gaddr is not mapped
 */
struct mmext_gmap_address {
	__aligned_u64 gaddr;
	__aligned_u64 vmaddr;
	__aligned_u64 length;
};

/**
 * struct mmext_gmap_translate - MMEXT_GMAP_TRANSLATE: guest to parent addresses
 * @size: sizeof(struct mmext_gmap_translate)
 * @flags: 0
 * @addresses: pointer to an array of struct mmext_gmap_address, of which @gaddr is
 *	read and the rest written; advanced
 * @nr: elements, not 0; counted down
 * @reserved: 0
 *
 * Faults nothing in.
 *
 * Errors: -EFAULT @addresses can't be read or written; or there is one element,
 * and its address is not mapped or above the limit; -EINVAL; -ESRCH; -EINTR.
 */
struct mmext_gmap_translate {
	__u32 size;
	__u32 flags;
	__aligned_u64 addresses;
	__u32 nr;
	__u32 reserved;
};

#define MMEXT_GMAP_TRANSLATE _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_TRANSLATE)

/**
 * struct mmext_gmap_reverse - MMEXT_GMAP_REVERSE: parent to guest addresses
 * @size: sizeof(struct mmext_gmap_reverse)
 * @flags: 0
 * @vmaddr: parent address, of any alignment
 * @gaddrs: pointer to an array of __u64, for the guest addresses that name it, in
 *	their order
 * @nr: elements that there is room for
 * @out_nr: guest addresses that there are, more than @nr or not
 *
 * Errors: -EFAULT @gaddrs can't be written; -ENOMEM; -ESRCH; -EINTR.
 */
struct mmext_gmap_reverse {
	__u32 size;
	__u32 flags;
	__aligned_u64 vmaddr;
	__aligned_u64 gaddrs;
	__u32 nr;
	__u32 out_nr;
};

#define MMEXT_GMAP_REVERSE _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_REVERSE)

/**
 * struct mmext_gmap_link - MMEXT_GMAP_LINK: link a segment without a fault
 * @size: sizeof(struct mmext_gmap_link)
 * @flags: 0
 * @gaddr: guest address, of any alignment
 * @vmaddr: parent address of the same place in its segment
 *
 * If @gaddr is linked already, and so, nothing happens.
 *
 * Errors: -EFAULT @gaddr does not translate to @vmaddr, or the space is EXCLUSIVE
 * and another guest segment is linked to that of @vmaddr; -ENOMEM; -EPERM; -ESRCH;
 * -EINTR.
 */
struct mmext_gmap_link {
	__u32 size;
	__u32 flags;
	__aligned_u64 gaddr;
	__aligned_u64 vmaddr;
};

#define MMEXT_GMAP_LINK _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_LINK)

/* In every guest space of this parent, and not only in this one. */
#define MMEXT_GMAP_UNLINK_EVERY_SPACE	(1U << 0)

/**
 * struct mmext_gmap_unlink - MMEXT_GMAP_UNLINK: drop the links to a host segment
 * @size: sizeof(struct mmext_gmap_unlink)
 * @flags: 0 or MMEXT_GMAP_UNLINK_EVERY_SPACE
 * @vmaddr: parent address, of any alignment
 * @out_unlinked: guest segments that were linked to it
 * @reserved: 0
 *
 * Their entries leave every window; translations stay, and the next fault links
 * again.
 *
 * Errors: -EPERM; -ESRCH; -EINTR.
 */
struct mmext_gmap_unlink {
	__u32 size;
	__u32 flags;
	__aligned_u64 vmaddr;
	__u32 out_unlinked;
	__u32 reserved;
};

#define MMEXT_GMAP_UNLINK _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_UNLINK)

/* For a store. */
#define MMEXT_GMAP_FAULT_WRITE	(1U << 0)
/* Do not wait for memory that has to be read from somewhere: -EAGAIN. */
#define MMEXT_GMAP_FAULT_NOWAIT	(1U << 1)

/**
 * struct mmext_gmap_fault - MMEXT_GMAP_FAULT: have the parent's pages there
 * @size: sizeof(struct mmext_gmap_fault)
 * @flags: MMEXT_GMAP_FAULT_* bits
 * @gaddr: guest address; advanced
 * @length: bytes; counted down
 *
 * Resolves what an access of the range would have to, and links its segments; no
 * window need exist.
 *
 * Errors: -EFAULT part of the range is not mapped, the parent has nothing there, or
 * WRITE and it may not store there; or as LINK; -EAGAIN with NOWAIT; -ENOMEM;
 * -ESRCH; -EINTR.
 */
struct mmext_gmap_fault {
	__u32 size;
	__u32 flags;
	__aligned_u64 gaddr;
	__aligned_u64 length;
};

#define MMEXT_GMAP_FAULT _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_FAULT)

/* Fault the pages in for a load, and not for a store. */
#define MMEXT_GMAP_NOTIFY_READ	(1U << 0)

/**
 * struct mmext_gmap_notify - MMEXT_GMAP_NOTIFY: arm pages for one event each
 * @size: sizeof(struct mmext_gmap_notify)
 * @flags: 0 or MMEXT_GMAP_NOTIFY_READ
 * @gaddr: guest address; advanced
 * @length: bytes; counted down
 *
 * Faults the parent's pages in and arms them: before the parent's entry of one
 * changes, for whatever reason, there is an event (EVENTS), and it is armed no
 * more.  There may be one without a change, but no change without one.  Pages before
 * an error stay armed.
 *
 * Errors: as FAULT, without -EAGAIN; a page that the parent may not store to is
 * -EFAULT, but with READ.
 */
struct mmext_gmap_notify {
	__u32 size;
	__u32 flags;
	__aligned_u64 gaddr;
	__aligned_u64 length;
};

#define MMEXT_GMAP_NOTIFY _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_NOTIFY)

/* What windows may do with the range; exactly one of these: */
#define MMEXT_GMAP_PROTECT_NONE	(1U << 0)	/* nothing */
#define MMEXT_GMAP_PROTECT_READ	(1U << 1)	/* load */

/**
 * struct mmext_gmap_protect - MMEXT_GMAP_PROTECT: arm pages for an access
 * @size: sizeof(struct mmext_gmap_protect)
 * @flags: MMEXT_GMAP_PROTECT_NONE or MMEXT_GMAP_PROTECT_READ
 * @gaddr: guest address; advanced
 * @length: bytes; counted down
 *
 * As NOTIFY, and an access through a window, or FAULT, or write(2), that wants more
 * than this is an event as well; then the page is armed no more, and the access goes
 * on.  READ faults the pages in for a load.
 *
 * Errors: -EINVAL none or both of the flags; as NOTIFY.
 */
struct mmext_gmap_protect {
	__u32 size;
	__u32 flags;
	__aligned_u64 gaddr;
	__aligned_u64 length;
};

#define MMEXT_GMAP_PROTECT _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_PROTECT)

/**
 * struct mmext_gmap_discard - MMEXT_GMAP_DISCARD: drop the parent's pages
 * @size: sizeof(struct mmext_gmap_discard)
 * @flags: 0
 * @gaddr: guest address; advanced
 * @length: bytes; counted down
 *
 * As MADV_DONTNEED of the parent's addresses: anonymous memory reads as zeroes
 * after, shared memory stays what it is.  Holes, and what the parent has nothing
 * at, are no error; what it locked stays.
 *
 * Errors: -EPERM; -ESRCH; -EINTR.
 */
struct mmext_gmap_discard {
	__u32 size;
	__u32 flags;
	__aligned_u64 gaddr;
	__aligned_u64 length;
};

#define MMEXT_GMAP_DISCARD _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_DISCARD)

/*
 * MMEXT_GMAP_DIRTY takes struct mmext_dirty, with guest addresses for offsets and
 * MMEXT_DIRTY_* bits, and says which guest pages were stored to: through a window, by
 * write(2), and by FAULT with WRITE, NOTIFY and what else makes a store possible.  What
 * the parent stores to its own memory is not in it.  Errors as DIRTY; -ESRCH.
 */
#define MMEXT_GMAP_DIRTY _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_DIRTY)

/**
 * struct mmext_gmap_age - MMEXT_GMAP_AGE: which pages were accessed
 * @size: sizeof(struct mmext_gmap_age)
 * @flags: 0
 * @gaddr: guest address, a multiple of 64 pages; advanced
 * @length: bytes; counted down
 * @marks: pointer, advanced, to a bitmap as GET of DIRTY writes it
 *
 * Gives out, and clears, which pages were accessed through a window since the last
 * call for them.
 *
 * Errors: -EFAULT @marks can't be written; -EINVAL; -ENOMEM; -ESRCH; -EINTR.
 */
struct mmext_gmap_age {
	__u32 size;
	__u32 flags;
	__aligned_u64 gaddr;
	__aligned_u64 length;
	__aligned_u64 marks;
};

#define MMEXT_GMAP_AGE _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_AGE)

/* In struct mmext_gmap_event: events were lost, there was no room for them. */
#define MMEXT_GMAP_EVENT_OVERFLOW	(1U << 0)
/* It was an access that PROTECT did not allow. */
#define MMEXT_GMAP_EVENT_ACCESS		(1U << 1)

/**
 * struct mmext_gmap_event - what read(2) of an event descriptor gives
 * @gaddr: guest address of a page that was armed; 0 with OVERFLOW
 * @flags: MMEXT_GMAP_EVENT_* bits
 * @lost: with OVERFLOW, how many; they were before this element
 */
struct mmext_gmap_event {
	__aligned_u64 gaddr;
	__u32 flags;
	__u32 lost;
};

/**
 * struct mmext_gmap_events - MMEXT_GMAP_EVENTS: a descriptor to read events from
 * @size: sizeof(struct mmext_gmap_events)
 * @flags: 0
 * @nr: events that it has room for, 1 to 65536; 0: 1024
 * @out_fd: the descriptor, close-on-exec
 *
 * read(2) gives whole elements of struct mmext_gmap_event, as many as there are and
 * fit, and waits for one unless O_NONBLOCK is set (-EAGAIN); poll(2) says when there
 * are.  Each such descriptor gets every event of the space from then on.  When the
 * parent has gone and all is read, read(2) gives 0 and poll(2) POLLHUP.
 *
 * Errors: -EINVAL @nr; -EMFILE, -ENFILE; -ENOMEM; -ESRCH.
 */
struct mmext_gmap_events {
	__u32 size;
	__u32 flags;
	__u32 nr;
	__s32 out_fd;
};

#define MMEXT_GMAP_EVENTS _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_EVENTS)

/**
 * struct mmext_gmap_stat - MMEXT_GMAP_STAT: what a space is and has done
 * @size: sizeof(struct mmext_gmap_stat)
 * @flags: 0
 * @out_limit: the highest guest address
 * @out_segments: that are mapped
 * @out_linked: and linked
 * @out_armed: pages armed by NOTIFY or PROTECT
 * @out_records: 2 MiB blocks of windows that have entries
 * @out_inserted: entries put into windows
 * @out_cleared: and taken out
 * @out_faults: faults of windows, and pages of FAULT
 * @out_retries: insertions given up because the parent changed meanwhile
 * @out_events: that there were
 * @out_notified: calls of the MMU notifier that found something of this space
 * @out_segment_shift: log2 of the bytes of a segment
 * @out_flags: MMEXT_GMAP_CREATE_* bits
 *
 * Errors: -ESRCH.
 */
struct mmext_gmap_stat {
	__u32 size;
	__u32 flags;
	__aligned_u64 out_limit;
	__aligned_u64 out_segments;
	__aligned_u64 out_linked;
	__aligned_u64 out_armed;
	__aligned_u64 out_records;
	__aligned_u64 out_inserted;
	__aligned_u64 out_cleared;
	__aligned_u64 out_faults;
	__aligned_u64 out_retries;
	__aligned_u64 out_events;
	__aligned_u64 out_notified;
	__u32 out_segment_shift;
	__u32 out_flags;
};

#define MMEXT_GMAP_STAT _IO(MMEXT_TYPE, MMEXT_CMD_GMAP_STAT)

#endif /* _UAPI_LINUX_MMEXT_H */
