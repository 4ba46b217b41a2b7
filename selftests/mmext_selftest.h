/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the selftests of mmext share: regions, calls, accesses that may fault,
 * counters, and a second process that does what it is told.
 *
 * Calls return 0 or a negative errno.  Accesses return a byte, or the negative
 * number of the signal that they ended in.
 */
#ifndef MMEXT_SELFTEST_H
#define MMEXT_SELFTEST_H

#include <kselftest_harness.h>

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/mmext.h>

/* Rounds may go on for a minute, see LATE_US; the harness has 30 seconds. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	120

#define MMEXT_DEVICE	"/dev/mmext"
#define MMEXT_SHARED	"/dev/mmext0"
#define MMEXT_PARAM	"/sys/module/mmext/parameters/"

#define KIB		1024UL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)

/* What one page table of small entries covers. */
#define TABLE		(2 * MIB)

#define __unused	__attribute__((__unused__))
#define __noinline	__attribute__((__noinline__))

#define load(ptr)	__atomic_load_n(ptr, __ATOMIC_ACQUIRE)
#define store(ptr, val)	__atomic_store_n(ptr, val, __ATOMIC_RELEASE)

static size_t page_size __unused;

static void __attribute__((constructor)) page_size_init(void)
{
	page_size = sysconf(_SC_PAGESIZE);
}

/* Calls */

static inline int call(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

/* Regions */

/* What the regions of this test have: a fixture's variants, in its setup. */
static __u32 region_backing __unused;

/* A test of the fixture for each backing. */
#define BACKINGS(fixture)						\
	FIXTURE_VARIANT(fixture)					\
	{								\
		__u32 backing;						\
	};								\
	FIXTURE_VARIANT_ADD(fixture, frames)				\
	{								\
		.backing = MMEXT_BACKING_PFN,				\
	};								\
	FIXTURE_VARIANT_ADD(fixture, pages)				\
	{								\
		.backing = MMEXT_BACKING_PAGE,				\
	}

static inline int region_setup(int fd, __u64 length)
{
	struct mmext_setup arg = {
		.size = sizeof(arg),
		.length = length,
		.backing = region_backing,
	};

	return call(fd, MMEXT_SETUP, &arg);
}

/* A region that ends, or with 0 one that does not; see also region_setup(). */
static inline int region_open_length(__u64 length)
{
	int fd = open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0 && region_setup(fd, length)) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline int region_open(void)
{
	if (region_backing)
		return region_open_length(0);
	return open(MMEXT_DEVICE, O_RDWR | O_CLOEXEC);
}

static inline void *region_map_prot(int fd, size_t length, off_t offset,
				    int prot)
{
	return mmap(NULL, length, prot, MAP_SHARED, fd, offset);
}

static inline void *region_map(int fd, size_t length, off_t offset)
{
	return region_map_prot(fd, length, offset, PROT_READ | PROT_WRITE);
}

/* A mapping at an address that is a multiple of what a page table covers. */
static inline void *region_map_aligned(int fd, size_t length, off_t offset)
{
	char *hole = mmap(NULL, length + TABLE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *addr;

	if (hole == MAP_FAILED)
		return MAP_FAILED;
	addr = (char *)(((uintptr_t)hole + TABLE - 1) & ~(TABLE - 1));
	return mmap(addr, length, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, offset);
}

/* Memory that a forked process shares, for what tests tell each other. */
static inline void *shared_alloc(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* The same structure again, until nothing is left of the range. */
#define call_all(fd, cmd, arg)						\
({									\
	__typeof__(arg) __arg = (arg);					\
	int __ret;							\
									\
	do {								\
		__ret = call(fd, cmd, __arg);				\
	} while (__ret == -EINTR || (!__ret && __arg->length));		\
	__ret;								\
})

static inline int region_info(int fd, struct mmext_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return call(fd, MMEXT_INFO, info);
}

static inline int region_populate(int fd, void *addr, __u64 length,
				  __u32 flags)
{
	struct mmext_populate arg = {
		.size = sizeof(arg),
		.flags = flags,
		.addr = (uintptr_t)addr,
		.length = length,
	};

	return call_all(fd, MMEXT_POPULATE, &arg);
}

static inline int region_remap(int fd, __u64 from, __u64 to,
			       __u64 length, __u32 flags)
{
	struct mmext_remap arg = {
		.size = sizeof(arg),
		.flags = flags,
		.from = from,
		.to = to,
		.length = length,
	};

	return call_all(fd, MMEXT_REMAP, &arg);
}

static inline int region_exchange(int fd, __u64 from, __u64 to,
				  __u64 length)
{
	return region_remap(fd, from, to, length, 0);
}

static inline int region_alias(int fd, __u64 from, __u64 to,
			       __u64 length)
{
	return region_remap(fd, from, to, length, MMEXT_REMAP_ALIAS);
}

static inline int region_zap(int fd, void *addr, __u64 length)
{
	struct mmext_zap arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)addr,
		.length = length,
	};

	return call_all(fd, MMEXT_ZAP, &arg);
}

/* Bytes that were skipped, or a negative errno. */
static inline long long region_zap_span(int fd, void *addr, __u64 length)
{
	struct mmext_zap arg = {
		.size = sizeof(arg),
		.flags = MMEXT_ZAP_SPAN,
		.addr = (uintptr_t)addr,
		.length = length,
	};
	__u64 skipped = 0;
	int ret;

	do {
		ret = call(fd, MMEXT_ZAP, &arg);
		skipped += arg.out_skipped;
	} while (ret == -EINTR || (!ret && arg.length));
	return ret ? ret : (long long)skipped;
}

static inline int region_unmap(int fd, __u64 offset, __u64 length,
			       __u32 flags)
{
	struct mmext_unmap arg = {
		.size = sizeof(arg),
		.flags = flags,
		.offset = offset,
		.length = length,
	};

	return call_all(fd, MMEXT_UNMAP, &arg);
}

static inline int region_free(int fd, __u64 offset, __u64 length)
{
	return region_unmap(fd, offset, length, MMEXT_UNMAP_FREE);
}

static inline int region_revoke(int fd)
{
	struct mmext_revoke arg = { .size = sizeof(arg) };

	return call(fd, MMEXT_REVOKE, &arg);
}

static inline int region_protect(int fd, __u64 offset, __u64 length,
				 __u32 flags)
{
	struct mmext_protect arg = {
		.size = sizeof(arg),
		.flags = flags,
		.offset = offset,
		.length = length,
	};

	return call_all(fd, MMEXT_PROTECT, &arg);
}

/* DIRTY: @marks and @nr are GET's. */
static inline int dirty_call(int fd, __u32 flags, __u64 offset, __u64 length,
			     void *marks, __u32 nr)
{
	struct mmext_dirty arg = {
		.size = sizeof(arg),
		.flags = flags,
		.offset = offset,
		.length = length,
		.marks = (uintptr_t)marks,
		.nr = nr,
	};

	return call_all(fd, MMEXT_DIRTY, &arg);
}

static inline int dirty_start(int fd, __u64 offset, __u64 length)
{
	return dirty_call(fd, MMEXT_DIRTY_START, offset, length, NULL, 0);
}

static inline int dirty_stop(int fd, __u64 offset, __u64 length)
{
	return dirty_call(fd, MMEXT_DIRTY_STOP, offset, length, NULL, 0);
}

static inline int region_lookup(int fd, void *addr, __u64 length,
				struct mmext_entry *entries)
{
	struct mmext_lookup arg = {
		.size = sizeof(arg),
		.addr = (uintptr_t)addr,
		.length = length,
		.entries = (uintptr_t)entries,
	};

	return call_all(fd, MMEXT_LOOKUP, &arg);
}

/* Bytes that were transferred, or a negative errno if there were none. */
static inline long long region_access(int fd, const void *addr, void *buffer,
				      __u64 length, __u32 flags)
{
	struct mmext_access arg = {
		.size = sizeof(arg),
		.flags = flags,
		.addr = (uintptr_t)addr,
		.length = length,
		.buffer = (uintptr_t)buffer,
	};
	int ret = call_all(fd, MMEXT_ACCESS, &arg);

	return ret && arg.length == length ? ret : (long long)(length - arg.length);
}

static inline int region_iomem(int fd, __u64 phys, __u64 length, __u32 cache)
{
	struct mmext_iomem arg = {
		.size = sizeof(arg),
		.phys = phys,
		.length = length,
		.cache = cache,
	};

	return call(fd, MMEXT_IOMEM, &arg);
}

/* The MMEXT_ENTRY_ bits of one page, or a negative errno. */
static inline int entry_flags(int fd, void *addr)
{
	struct mmext_entry entry = { 0 };
	int ret = region_lookup(fd, addr, page_size, &entry);

	return ret ? ret : (int)entry.flags;
}

static inline bool entry_present(int fd, void *addr)
{
	int flags = entry_flags(fd, addr);

	return flags >= 0 && (flags & MMEXT_ENTRY_PRESENT);
}

static inline __u64 entry_pfn(int fd, void *addr)
{
	struct mmext_entry entry = { 0 };

	return region_lookup(fd, addr, page_size, &entry) ? 0 : entry.pfn;
}

/* How many pages of a range have an entry, or a negative errno. */
static inline long entries_present(int fd, void *addr, size_t length)
{
	size_t i, nr = length / page_size;
	struct mmext_entry *entries = calloc(nr, sizeof(*entries));
	long ret;

	ret = region_lookup(fd, addr, length, entries);
	for (i = 0; ret >= 0 && i < nr; i++)
		ret += entries[i].flags & MMEXT_ENTRY_PRESENT;
	free(entries);
	return ret;
}

/* The value of a line "mmext-KEY:" of fdinfo, -1 if there is none. */
static inline long long region_stat(int fd, const char *key)
{
	char path[64], line[128];
	size_t len = strlen(key);
	long long val = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "mmext-", 6) || strncmp(line + 6, key, len) ||
		    line[6 + len] != ':')
			continue;
		val = strtoll(line + 6 + len + 1, NULL, 10);
	}
	fclose(file);
	return val;
}

static inline long long region_pages(int fd)
{
	return region_stat(fd, "pages");
}

/* Files and parameters */

static inline int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		ret = -errno;
	close(fd);
	return ret;
}

static inline int file_read_all(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	close(fd);
	if (len < 0)
		return -errno;
	text[len] = '\0';
	return 0;
}

/* The first line, without its end. */
static inline int file_read(const char *path, char *text, size_t size)
{
	int ret = file_read_all(path, text, size);

	if (!ret)
		text[strcspn(text, "\n")] = '\0';
	return ret;
}

/* Kilobytes of a line of /proc/self/status, -1 if there is none. */
static inline long status_kb(const char *key)
{
	char text[4096], *at;

	if (file_read_all("/proc/self/status", text, sizeof(text)))
		return -1;
	at = strstr(text, key);
	return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

static inline int param_write(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), MMEXT_PARAM "%s", name);
	return file_write(path, value);
}

static inline int param_read(const char *name, char *value, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), MMEXT_PARAM "%s", name);
	return file_read(path, value, size);
}

/* Physical ranges to try IOMEM on; 0 if there is none. */
#define IO_LENGTH	MIB

/* A bar that is memory: of the ivshmem device that vm/check gives a machine. */
static inline __u64 bar_find(void)
{
	unsigned long long start, end;
	char path[300], text[256];
	struct dirent *entry;
	static __u64 found;
	DIR *dir;
	FILE *file;

	dir = found ? NULL : opendir("/sys/bus/pci/devices");
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/modalias",
			 entry->d_name);
		if (file_read(path, text, sizeof(text)) ||
		    strncmp(text, "pci:v00001AF4d00001110", 22))
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable",
			 entry->d_name);
		file_write(path, "1");
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource",
			 entry->d_name);
		file = fopen(path, "re");
		if (file && fscanf(file, "%*s %*s %*s %*s %*s %*s %llx %llx",
				   &start, &end) == 2 &&
		    end - start + 1 == IO_LENGTH)
			found = start;
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Memory that the kernel was told to leave alone: memmap=1M$ADDRESS. */
static inline __u64 reserved_find(void)
{
	char text[4096], *at;

	if (file_read("/proc/cmdline", text, sizeof(text)))
		return 0;
	at = strstr(text, "memmap=1M$");
	return at ? strtoull(at + 10, NULL, 16) : 0;
}

/* Whichever there is: every machine of the tests has one. */
static inline __u64 io_find(void)
{
	return bar_find() ?: reserved_find();
}

/*
 * The delays of a test build, which widen a race until it can't be missed.
 * False where the module has none.
 */
static inline bool delay_set(const char *name, unsigned int us)
{
	char value[16];

	snprintf(value, sizeof(value), "%u", us);
	return !param_write(name, value);
}

#define LOOKUP_DELAY	"test_lookup_delay_us"
#define FLUSH_DELAY	"test_flush_delay_us"

/* Accesses that may end in a signal */

static __thread sigjmp_buf fault_env;
static __thread volatile sig_atomic_t fault_armed;

static inline void fault_handler(int sig)
{
	if (!fault_armed) {
		signal(sig, SIG_DFL);
		return;
	}
	fault_armed = 0;
	siglongjmp(fault_env, sig);
}

static inline void fault_catch(void)
{
	struct sigaction action = {
		.sa_handler = fault_handler,
		.sa_flags = SA_NODEFER,
	};
	static bool done;

	if (load(&done))
		return;
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	store(&done, true);
}

static __noinline __unused int peek(const volatile void *addr)
{
	int sig, val;

	fault_catch();
	sig = sigsetjmp(fault_env, 0);
	if (sig)
		return -sig;
	fault_armed = 1;
	val = *(const volatile __u8 *)addr;
	fault_armed = 0;
	return val;
}

static __noinline __unused int poke(volatile void *addr, __u8 val)
{
	int sig;

	fault_catch();
	sig = sigsetjmp(fault_env, 0);
	if (sig)
		return -sig;
	fault_armed = 1;
	*(volatile __u8 *)addr = val;
	fault_armed = 0;
	return 0;
}

/* Store to every page of a range: the low byte of @first plus its index. */
static inline void fill(void *addr, size_t length, unsigned int first)
{
	volatile __u8 *byte = addr;
	size_t i;

	for (i = 0; i < length / page_size; i++)
		byte[i * page_size] = first + i;
}

/* The index of the first page that fill() did not leave so, or -1. */
static inline long filled_not(const void *addr, size_t length,
			      unsigned int first)
{
	const volatile __u8 *byte = addr;
	size_t i;

	for (i = 0; i < length / page_size; i++)
		if (byte[i * page_size] != (__u8)(first + i))
			return i;
	return -1;
}

/* True if every byte of a range is @val. */
static inline bool all_bytes(const void *addr, size_t length, __u8 val)
{
	const __u8 *byte = addr;

	return !length ||
	       (byte[0] == val && !memcmp(byte, byte + 1, length - 1));
}

/* Time and place */

static inline void pin(int cpu)
{
	cpu_set_t all, one;
	int i;

	CPU_ZERO(&all);
	sched_getaffinity(1, sizeof(all), &all);
	CPU_ZERO(&one);
	for (i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all) || cpu--)
			continue;
		CPU_SET(i, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

static inline __u64 now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static inline void spin(unsigned int count)
{
	while (count--)
		__asm__ __volatile__("" ::: "memory");
}

/*
 * Wait for a flag: at first without giving up the CPU, then asleep, since on a
 * busy host the CPU that is to set it may be waiting for this one to be idle.
 */
static inline void wait_for(const int *flag, int val)
{
	unsigned int i;

	for (i = 0; load(flag) != val; i++)
		if (i > 1000)
			usleep(20);
}

/*
 * MMEXT_PERCENT of the rounds, or of the time, that a race has otherwise: for a
 * machine that is one of many.
 */
static inline __u64 portion(__u64 all)
{
	const char *text = getenv("MMEXT_PERCENT");
	unsigned int percent = text ? strtoul(text, NULL, 0) : 100;

	return all * (percent ? : 1) / 100;
}

/*
 * A loop of many rounds that stops early, and says so, on a host too busy for
 * all of them in a few seconds.
 */
struct rounds {
	int nr;
	__u64 end_us;
};

#define FEW_ROUNDS	50

static inline struct rounds rounds_within(int nr, unsigned int us)
{
	struct rounds rounds = {
		.nr = portion(nr), .end_us = now_us() + portion(us)
	};

	if (rounds.nr < FEW_ROUNDS)
		rounds.nr = nr < FEW_ROUNDS ? nr : FEW_ROUNDS;
	return rounds;
}

static inline struct rounds rounds_begin(int nr)
{
	return rounds_within(nr, 2500000);
}

static inline bool rounds_go_on(const struct rounds *rounds, int done)
{
	if (done >= rounds->nr)
		return false;
	if (done < FEW_ROUNDS || now_us() < rounds->end_us)
		return true;
	printf("# busy host: %d of %d rounds\n", done, rounds->nr);
	fflush(stdout);
	return false;
}

/*
 * The same, but when all is over and another thread has not done yet what is
 * asked of it, it goes on: on a busy host that may not even have begun.
 */
#define LATE_US		60000000

static inline bool rounds_until(const struct rounds *rounds, int done, bool seen)
{
	if (!seen && now_us() < rounds->end_us + LATE_US)
		return true;
	return rounds_go_on(rounds, done);
}

/* A small generator, so that a run can be repeated. */
static inline __u32 next_random(__u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/*
 * What vm/soak tells a test that runs for as long as it is told: MMEXT_SECONDS.
 * The tests of one binary share them.
 */
static inline __u64 run_us(unsigned int otherwise, unsigned int tests)
{
	const char *text = getenv("MMEXT_SECONDS");
	unsigned int seconds = text ? strtoul(text, NULL, 0) / tests : 0;

	return seconds ? seconds * 1000000ULL : portion(otherwise * 1000000ULL);
}

/* MMEXT_SEED, to repeat a run, or a seed that no other run had; never 0. */
static inline __u32 run_seed(void)
{
	const char *text = getenv("MMEXT_SEED");
	__u32 seed = text ? strtoul(text, NULL, 0) :
			    now_us() * 2654435761U ^ getpid();

	return seed ? seed : 1;
}

/* Processes */

static inline int child_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

/* In a forked process, where the harness's own assertions would mislead. */
#define CHILD_CHECK(cond)						\
do {									\
	if (!(cond)) {							\
		fprintf(stderr, "# %s:%d:child: %s\n", __FILE__,	\
			__LINE__, #cond);				\
		_exit(1);						\
	}								\
} while (0)

static inline int send_fd(int sock, int fd)
{
	char data = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { .iov_base = &data, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static inline int recv_fd(int sock)
{
	char data, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = &data, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &msg, 0) != 1)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -EBADMSG;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}

/*
 * A forked process that looks at memory and changes it for the test, so that
 * a test with two processes reads from top to bottom.
 */
struct peer {
	pid_t pid;
	int sock;
};

enum peer_op {
	PEER_PEEK,
	PEER_POKE,
	PEER_ENTRY,
	PEER_MAP,
	PEER_UNMAP,
	PEER_PROTECT,
	PEER_CLOSE,
	PEER_OPEN_SHARED,
	PEER_RECV_FD,
	PEER_ZAP,
};

struct peer_msg {
	enum peer_op op;
	int fd;
	void *addr;
	size_t length;
	long arg;
};

static inline long peer_do(int sock, const struct peer_msg *msg)
{
	void *addr;

	switch (msg->op) {
	case PEER_PEEK:
		return peek(msg->addr);
	case PEER_POKE:
		return poke(msg->addr, msg->arg);
	case PEER_ENTRY:
		return entry_flags(msg->fd, msg->addr);
	case PEER_MAP:
		addr = region_map(msg->fd, msg->length, msg->arg);
		return addr == MAP_FAILED ? -errno : (long)addr;
	case PEER_UNMAP:
		return munmap(msg->addr, msg->length) ? -errno : 0;
	case PEER_PROTECT:
		return mprotect(msg->addr, msg->length, msg->arg) ? -errno : 0;
	case PEER_CLOSE:
		return close(msg->fd) ? -errno : 0;
	case PEER_OPEN_SHARED:
		return open(MMEXT_SHARED, O_RDWR | O_CLOEXEC);
	case PEER_RECV_FD:
		return recv_fd(sock);
	case PEER_ZAP:
		return region_zap(msg->fd, msg->addr, msg->length);
	}
	return -EINVAL;
}

static inline int peer_start(struct peer *peer)
{
	struct peer_msg msg;
	int socks[2];
	long ret;

	peer->pid = -1;
	peer->sock = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks))
		return -errno;
	peer->pid = fork();
	if (peer->pid < 0)
		return -errno;
	if (peer->pid) {
		close(socks[1]);
		peer->sock = socks[0];
		return 0;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(socks[0]);
	while (recv(socks[1], &msg, sizeof(msg), 0) == sizeof(msg)) {
		ret = peer_do(socks[1], &msg);
		if (send(socks[1], &ret, sizeof(ret), 0) != sizeof(ret))
			break;
	}
	_exit(0);
}

static inline int peer_stop(struct peer *peer)
{
	close(peer->sock);
	return child_status(peer->pid);
}

static inline long peer_ask(struct peer *peer, const struct peer_msg *msg)
{
	long ret;

	if (send(peer->sock, msg, sizeof(*msg), 0) != sizeof(*msg) ||
	    recv(peer->sock, &ret, sizeof(ret), 0) != sizeof(ret))
		return -EPIPE;
	return ret;
}

static inline long peer_peek(struct peer *peer, void *addr)
{
	struct peer_msg msg = { .op = PEER_PEEK, .addr = addr };

	return peer_ask(peer, &msg);
}

static inline long peer_poke(struct peer *peer, void *addr, __u8 val)
{
	struct peer_msg msg = { .op = PEER_POKE, .addr = addr, .arg = val };

	return peer_ask(peer, &msg);
}

static inline long peer_entry(struct peer *peer, int fd, void *addr)
{
	struct peer_msg msg = { .op = PEER_ENTRY, .fd = fd, .addr = addr };

	return peer_ask(peer, &msg);
}

static inline void *peer_map(struct peer *peer, int fd, size_t length,
			     off_t offset)
{
	struct peer_msg msg = {
		.op = PEER_MAP,
		.fd = fd,
		.length = length,
		.arg = offset,
	};
	long ret = peer_ask(peer, &msg);

	return ret < 0 ? MAP_FAILED : (void *)ret;
}

static inline long peer_munmap(struct peer *peer, void *addr, size_t length)
{
	struct peer_msg msg = {
		.op = PEER_UNMAP,
		.addr = addr,
		.length = length,
	};

	return peer_ask(peer, &msg);
}

static inline long peer_mprotect(struct peer *peer, void *addr, size_t length,
				 int prot)
{
	struct peer_msg msg = {
		.op = PEER_PROTECT,
		.addr = addr,
		.length = length,
		.arg = prot,
	};

	return peer_ask(peer, &msg);
}

static inline long peer_zap(struct peer *peer, int fd, void *addr,
			    size_t length)
{
	struct peer_msg msg = {
		.op = PEER_ZAP,
		.fd = fd,
		.addr = addr,
		.length = length,
	};

	return peer_ask(peer, &msg);
}

static inline long peer_close(struct peer *peer, int fd)
{
	struct peer_msg msg = { .op = PEER_CLOSE, .fd = fd };

	return peer_ask(peer, &msg);
}

static inline long peer_open_shared(struct peer *peer)
{
	struct peer_msg msg = { .op = PEER_OPEN_SHARED };

	return peer_ask(peer, &msg);
}

/* Hand a descriptor over; what it is called there. */
static inline long peer_send_fd(struct peer *peer, int fd)
{
	struct peer_msg msg = { .op = PEER_RECV_FD };
	long ret;

	if (send(peer->sock, &msg, sizeof(msg), 0) != sizeof(msg) ||
	    send_fd(peer->sock, fd) ||
	    recv(peer->sock, &ret, sizeof(ret), 0) != sizeof(ret))
		return -EPIPE;
	return ret;
}

#endif /* MMEXT_SELFTEST_H */
