// SPDX-License-Identifier: GPL-2.0
/*
 * mmext-demo FILE SHA256: a tour of /dev/mmext on a real file.
 *
 * A, this process, opens a region and stores FILE in it.  B, which was forked
 * before that, is handed the descriptor and maps it for itself.  Then the
 * region is rearranged, looked at, freed and revoked under both.
 *
 * Whatever is shown is checked; the exit status is 0 if all of it is true, and
 * otherwise 1, after a word on what is not.  SHA256 is the digest of FILE, in
 * hex, from another machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/mmext.h>

#include "sha256.h"
#include "show.h"

#define DEVICE		"/dev/mmext"
#define HEX		(2 * SHA256_DIGEST + 1)
#define MIN_PAGES	64	/* of FILE: so that quarters are something */
#define FRESH_PAGES	1024	/* that are mapped behind FILE */
#define PATIENCE	120	/* seconds, for an emulated machine */
#define ENOUGH		10000	/* reads that make a point */

/* One process's mapping of the region. */
struct view {
	int fd;
	unsigned char *mem;
	const unsigned char *file;	/* the same bytes, from the disk */
};

/* What a process is asked to do with its mapping. */
enum op {
	OP_MAP,		/* the descriptor that comes along, @length bytes */
	OP_PRESENT,	/* count the entries of a range */
	OP_LOOKUP,	/* one entry */
	OP_READ,	/* some bytes */
	OP_HASH,	/* a range */
	OP_COMPARE,	/* a range with what FILE has at @other */
	OP_ZERO,	/* is a range zero? */
	OP_WATCH,	/* read one word until told to stop; it becomes @other */
	OP_SPIN,	/* read pages of a range until SIGBUS, @other at most */
	OP_CALLS,	/* a call, a read and an mmap, for their errors */
	OP_END,
};

struct request {
	enum op op;
	size_t offset;
	size_t length;
	size_t other;
};

struct answer {
	int err;		/* errno, if it could not be done */
	size_t value;
	unsigned char bytes[SHA256_DIGEST];
	struct mmext_entry entry;
	/* OP_WATCH: words read */
	size_t old, new, neither, stale;
	/* OP_SPIN */
	int code;		/* si_code of the signal, 0 if none came */
	/* OP_CALLS */
	int errors[3];
};

/* What A and B tell each other while both are busy. */
struct shared {
	size_t reads;		/* of OP_WATCH and OP_SPIN */
	bool returned;		/* the call that changes the word has returned */
	bool stop;
};

/* The module's counts for a region, in the order of the columns. */
enum { FAULTS, INSERTED, CLEARED, FLUSHES, PAGES, NR_COUNTS };

struct demo {
	const char *path;
	const char *sha;
	struct view a;
	int peer;		/* socket */
	pid_t pid;		/* of B */
	size_t size;		/* of FILE, bytes */
	size_t pages;		/* of FILE, the last one in part perhaps */
	size_t half;		/* bytes, the second may end in a hole */
	size_t fresh;		/* offset behind the halves */
	__u64 used;		/* bytes in other regions */
	bool native;		/* the module clears entries itself */
	const char *columns[NR_COUNTS];
	long shown[NR_COUNTS];
};

static size_t page;		/* bytes */
static struct shared *shared;
static sigjmp_buf bus_jump;
static void *bus_addr;
static int bus_code;

/* Saying things */

static const char *hex(const unsigned char *bytes, int nr, const char *between)
{
	static char texts[4][4 * SHA256_DIGEST];
	static unsigned int next;
	char *text = texts[next++ % 4], *p = text;
	int i;

	for (i = 0; i < nr; i++)
		p += sprintf(p, "%s%02x", i ? between : "", bytes[i]);
	return text;
}

/* Calls of the module */

/* With @left, again until nothing is.  Returns 0 or an errno. */
static int call(int fd, unsigned long cmd, void *arg, const __u64 *left)
{
	int ret;

	do {
		ret = ioctl(fd, cmd, arg);
	} while (ret ? errno == EINTR : left && *left);
	return ret ? errno : 0;
}

static int region_info(int fd, struct mmext_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return call(fd, MMEXT_INFO, info, NULL);
}

static int region_remap(int fd, unsigned int flags, size_t from, size_t to,
			size_t length)
{
	struct mmext_remap m = {
		.size = sizeof(m), .flags = flags,
		.from = from, .to = to, .length = length,
	};

	return call(fd, MMEXT_REMAP, &m, &m.length);
}

static int region_free(int fd, size_t offset, size_t length)
{
	struct mmext_unmap u = {
		.size = sizeof(u), .flags = MMEXT_UNMAP_FREE,
		.offset = offset, .length = length,
	};

	return call(fd, MMEXT_UNMAP, &u, &u.length);
}

static int region_populate(int fd, void *addr, size_t length)
{
	struct mmext_populate p = {
		.size = sizeof(p), .flags = MMEXT_POPULATE_WRITE,
		.addr = (unsigned long)addr, .length = length,
	};

	return call(fd, MMEXT_POPULATE, &p, &p.length);
}

static int region_zap(int fd, void *addr, size_t length)
{
	struct mmext_zap z = {
		.size = sizeof(z),
		.addr = (unsigned long)addr, .length = length,
	};

	return call(fd, MMEXT_ZAP, &z, &z.length);
}

static int region_lookup(int fd, void *addr, size_t length,
			 struct mmext_entry *entries)
{
	struct mmext_lookup l = {
		.size = sizeof(l),
		.addr = (unsigned long)addr, .length = length,
		.entries = (unsigned long)entries,
	};

	return call(fd, MMEXT_LOOKUP, &l, &l.length);
}

static int region_revoke(int fd)
{
	struct mmext_revoke r = { .size = sizeof(r) };

	return call(fd, MMEXT_REVOKE, &r, NULL);
}

/* What both processes do with their mappings */

static int do_present(struct view *v, const struct request *rq,
		      struct answer *an)
{
	struct mmext_entry entries[512];
	size_t done, nr, i;
	int err;

	for (done = 0; done < rq->length; done += nr * page) {
		nr = (rq->length - done) / page;
		if (nr > 512)
			nr = 512;
		err = region_lookup(v->fd, v->mem + rq->offset + done,
				    nr * page, entries);
		if (err)
			return err;
		for (i = 0; i < nr; i++)
			an->value += !!(entries[i].flags & MMEXT_ENTRY_PRESENT);
	}
	return 0;
}

/* The bytes that are the same, from the first on. */
static size_t same(const unsigned char *p, const unsigned char *q, size_t n)
{
	size_t i = 0;

	if (!memcmp(p, q, n))
		return n;
	while (i < n && p[i] == q[i])
		i++;
	return i;
}

static size_t zeroes(const unsigned char *p, size_t n)
{
	size_t i = 0;

	while (i < n && !p[i])
		i++;
	return i;
}

static void do_watch(const struct view *v, const struct request *rq,
		     struct answer *an)
{
	const size_t *word = (const void *)(v->mem + rq->offset);
	size_t old = __atomic_load_n(word, __ATOMIC_RELAXED), seen;
	bool returned;

	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		returned = __atomic_load_n(&shared->returned, __ATOMIC_ACQUIRE);
		seen = __atomic_load_n(word, __ATOMIC_RELAXED);
		if (seen == old) {
			an->old++;
			an->stale += returned;
		} else if (seen == rq->other) {
			an->new++;
		} else {
			an->neither++;
		}
		__atomic_add_fetch(&shared->reads, 1, __ATOMIC_RELAXED);
	}
}

static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	bus_addr = info->si_addr;
	bus_code = info->si_code;
	siglongjmp(bus_jump, 1);
}

static void read_pages(const unsigned char *p, size_t length, size_t times)
{
	size_t i;

	for (i = 0; i < times; i++) {
		__atomic_load_n(p + i * page % length, __ATOMIC_RELAXED);
		__atomic_add_fetch(&shared->reads, 1, __ATOMIC_RELAXED);
	}
}

static void do_spin(struct view *v, const struct request *rq, struct answer *an)
{
	struct sigaction action = {
		.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO,
	};

	sigaction(SIGBUS, &action, NULL);
	if (!sigsetjmp(bus_jump, 1)) {
		read_pages(v->mem + rq->offset, rq->length, rq->other);
		return;
	}
	an->value = (unsigned char *)bus_addr - v->mem;
	an->code = bus_code;
}

static void do_calls(struct view *v, struct answer *an)
{
	struct mmext_info info;
	char byte;

	an->errors[0] = region_info(v->fd, &info);
	an->errors[1] = pread(v->fd, &byte, 1, 0) < 0 ? errno : 0;
	an->errors[2] = mmap(NULL, page, PROT_READ, MAP_SHARED, v->fd, 0) ==
			MAP_FAILED ? errno : 0;
}

static void do_op(struct view *v, const struct request *rq, struct answer *an)
{
	unsigned char *p = v->mem + rq->offset;

	memset(an, 0, sizeof(*an));
	switch (rq->op) {
	case OP_MAP:
		/* elsewhere than in A, for all to see */
		mmap(NULL, rq->length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
		v->mem = mmap(NULL, rq->length, PROT_READ, MAP_SHARED, v->fd,
			      0);
		if (v->mem == MAP_FAILED)
			an->err = errno;
		an->value = (size_t)v->mem;
		break;
	case OP_PRESENT:
		an->err = do_present(v, rq, an);
		break;
	case OP_LOOKUP:
		an->err = region_lookup(v->fd, p, page, &an->entry);
		break;
	case OP_READ:
		memcpy(an->bytes, p, sizeof(an->bytes));
		break;
	case OP_HASH:
		sha256(p, rq->length, an->bytes);
		break;
	case OP_COMPARE:
		an->value = same(p, v->file + rq->other, rq->length);
		break;
	case OP_ZERO:
		an->value = zeroes(p, rq->length);
		break;
	case OP_WATCH:
		do_watch(v, rq, an);
		break;
	case OP_SPIN:
		do_spin(v, rq, an);
		break;
	case OP_CALLS:
		do_calls(v, an);
		break;
	case OP_END:
		break;
	}
}

/* B: one request after the other; a descriptor may come with one. */
static __noreturn void be_peer(int sock, struct view *v)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct request rq;
	struct answer an;
	struct iovec iov = { .iov_base = &rq, .iov_len = sizeof(rq) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	do {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		if (recvmsg(sock, &msg, 0) != sizeof(rq))
			_exit(1);
		c = CMSG_FIRSTHDR(&msg);
		if (c && c->cmsg_type == SCM_RIGHTS)
			memcpy(&v->fd, CMSG_DATA(c), sizeof(v->fd));
		do_op(v, &rq, &an);
		if (send(sock, &an, sizeof(an), MSG_NOSIGNAL) != sizeof(an))
			_exit(1);
	} while (rq.op != OP_END);
	_exit(0);
}

/* A's side of it */

static void ask(struct demo *d, const struct request *rq, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .head = {
		.cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
	} };
	struct iovec iov = { .iov_base = (void *)rq, .iov_len = sizeof(*rq) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	if (sendmsg(d->peer, &msg, MSG_NOSIGNAL) != sizeof(*rq))
		die("B cannot be asked: %s", strerror(errno));
}

static void hear(struct demo *d, struct answer *an)
{
	struct pollfd p = { .fd = d->peer, .events = POLLIN };

	if (poll(&p, 1, PATIENCE * 1000) <= 0)
		die("B did not answer in %d seconds", PATIENCE);
	if (recv(d->peer, an, sizeof(*an), 0) != sizeof(*an))
		die("B is gone");
	if (an->err)
		die("B: %s", strerror(an->err));
}

/* The same in both processes at a time; an[0] is A's, an[1] is B's. */
static void both(struct demo *d, const struct request *rq, struct answer *an)
{
	ask(d, rq, -1);
	do_op(&d->a, rq, &an[0]);
	if (an[0].err)
		die("A: %s", strerror(an[0].err));
	hear(d, &an[1]);
}

/* Does a range of both mappings show what FILE has at @other? */
static bool both_show(struct demo *d, size_t offset, size_t length,
		      size_t other)
{
	struct request rq = { OP_COMPARE, offset, length, other };
	struct answer an[2];

	both(d, &rq, an);
	return an[0].value == length && an[1].value == length;
}

static bool both_hash(struct demo *d)
{
	struct request rq = { .op = OP_HASH, .length = d->size };
	struct answer an[2];

	both(d, &rq, an);
	return !strcmp(hex(an[0].bytes, SHA256_DIGEST, ""), d->sha) &&
	       !strcmp(hex(an[1].bytes, SHA256_DIGEST, ""), d->sha);
}

/* Let B get on with OP_WATCH or OP_SPIN. */
static void wait_reads(size_t more)
{
	size_t until = __atomic_load_n(&shared->reads, __ATOMIC_RELAXED) + more;
	int ms = 0;

	while (__atomic_load_n(&shared->reads, __ATOMIC_RELAXED) < until) {
		if (++ms > PATIENCE * 1000)
			die("B does not get on with reading");
		usleep(1000);
	}
}

static void read_counts(const struct demo *d, long *counts)
{
	char path[64], line[128], name[32];
	int i, found = 0;
	long value;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", d->a.fd);
	f = fopen(path, "r");
	if (!f)
		die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "mmext-%31[^:]: %ld", name, &value) != 2)
			continue;
		for (i = 0; i < NR_COUNTS; i++) {
			if (strcmp(name, d->columns[i]))
				continue;
			counts[i] = value;
			found++;
		}
	}
	fclose(f);
	if (found != NR_COUNTS)
		die("%s: counts are missing", path);
}

/* What was counted since the last show_counts(). */
static void since_shown(const struct demo *d, long *change)
{
	int i;

	read_counts(d, change);
	for (i = 0; i < NR_COUNTS; i++)
		change[i] -= d->shown[i];
}

static void show_counts(struct demo *d)
{
	long now[NR_COUNTS];
	char change[32];
	int i;

	read_counts(d, now);
	printf("  ");
	for (i = 0; i < NR_COUNTS; i++)
		printf("%15s", d->columns[i]);
	printf("\n  ");
	for (i = 0; i < NR_COUNTS; i++) {
		snprintf(change, sizeof(change), "%+ld",
			 now[i] - d->shown[i]);
		printf("%8s%7ld", now[i] == d->shown[i] ? "." : change, now[i]);
		d->shown[i] = now[i];
	}
	printf("\n");
}

/* The steps */

static void show_setting(struct demo *d)
{
	static const char *const tlbs[] = {
		[MMEXT_TLB_KERNEL] = "by the kernel",
		[MMEXT_TLB_X86] = "by the module, for x86",
		[MMEXT_TLB_ARM64] = "by the module, for arm64",
	};
	struct mmext_info info;
	int fd, err;

	/* a region of its own, so that the demo's sees no call before it must */
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(DEVICE ": %s", strerror(errno));
	err = region_info(fd, &info);
	if (err)
		die("INFO: %s", strerror(err));
	close(fd);

	if (info.out_abi != MMEXT_ABI || info.out_tlb > MMEXT_TLB_ARM64)
		die("the module's interface is %u, the demo's is %u",
		    info.out_abi, MMEXT_ABI);
	if (info.out_limit < info.out_used + d->fresh + FRESH_PAGES * page)
		die("%s is too large for the module's limit", d->path);
	d->used = info.out_used;
	d->native = info.out_tlb != MMEXT_TLB_KERNEL;

	d->columns[FAULTS] = "faults";
	d->columns[INSERTED] = "inserted";
	d->columns[CLEARED] = "cleared";
	d->columns[FLUSHES] = d->native ? "flushes" : "delegated";
	d->columns[PAGES] = "pages";

	printf("mmext: a file, in memory that two processes map\n\n"
	       "   file     %s, %s bytes, %s pages of %zu\n"
	       "   module   interface %u; stale translations are removed %s\n"
	       "   limit    %s MiB in all regions together, %s MiB used\n"
	       "   A        process %d: opens " DEVICE " and stores the file\n"
	       "   B        process %d: forked before that, has no way to it yet\n"
	       "   counts   the module's, after each step: change and total\n",
	       d->path, num(d->size), num(d->pages), page, info.out_abi,
	       tlbs[info.out_tlb], num(info.out_limit >> 20),
	       num(info.out_used >> 20), getpid(), d->pid);
}

static void store_file(struct demo *d)
{
	size_t length = d->fresh + FRESH_PAGES * page;
	long change[NR_COUNTS];

	step("A stores the file: open, mmap, memcpy, no ioctl");
	d->a.fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (d->a.fd < 0)
		die(DEVICE ": %s", strerror(errno));
	d->a.mem = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED,
			d->a.fd, 0);
	if (d->a.mem == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	since_shown(d, change);
	claim(!change[PAGES], "A maps %s bytes at %p: the region has %ld pages",
	      num(length), d->a.mem, change[PAGES]);

	memcpy(d->a.mem, d->a.file, d->size);
	since_shown(d, change);
	claim(change[FAULTS] == (long)d->pages &&
	      change[PAGES] == (long)d->pages &&
	      !memcmp(d->a.mem, d->a.file, d->size),
	      "%s pages stored by %s faults, and read back the same",
	      num(change[PAGES]), num(change[FAULTS]));
	show_counts(d);
}

/* What coreutils have to say. */
static void run_sha256sum(const char *path, char *digest)
{
	int fds[2], status;
	ssize_t length;
	pid_t pid;

	if (pipe(fds))
		die("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		execlp("sha256sum", "sha256sum", "-b", "--", path, NULL);
		_exit(127);
	}
	close(fds[1]);
	length = read(fds[0], digest, HEX - 1);
	digest[length < 0 ? 0 : length] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	close(fds[0]);
	if (length != HEX - 1 || strspn(digest, "0123456789abcdef") != HEX - 1)
		die("sha256sum %s does not work", path);
}

static void pass_descriptor(struct demo *d)
{
	size_t length = d->pages * page;
	struct request map = { .op = OP_MAP };
	struct request present = { .op = OP_PRESENT, .length = length };
	struct request hash = { .op = OP_HASH, .length = d->size };
	long change[NR_COUNTS];
	struct answer an;
	const char *mine;
	void *where;
	char guest[HEX];

	step("B is handed the descriptor (SCM_RIGHTS), maps it, hashes the file");
	map.length = d->fresh + FRESH_PAGES * page;
	ask(d, &map, d->a.fd);
	hear(d, &an);
	where = (void *)an.value;
	ask(d, &present, -1);
	hear(d, &an);
	claim(where != d->a.mem && !an.value,
	      "B maps it at %p, for reading: %s entries in its page table",
	      where, num(an.value));

	ask(d, &hash, -1);
	run_sha256sum(d->path, guest);
	hear(d, &an);
	mine = hex(an.bytes, SHA256_DIGEST, "");
	printf("   expected   %s\n   sha256sum  %s\n   B          %s\n",
	       d->sha, guest, mine);
	claim(!strcmp(mine, d->sha) && !strcmp(guest, d->sha),
	      "B, sha256sum and what was expected agree");

	ask(d, &present, -1);
	hear(d, &an);
	since_shown(d, change);
	claim(an.value == d->pages && change[INSERTED] == (long)d->pages &&
	      !change[PAGES],
	      "B has %s entries now; pages added to the region: %ld",
	      num(an.value), change[PAGES]);
	show_counts(d);
}

/* The first aligned word in which the halves differ. */
static size_t find_spot(const struct demo *d)
{
	const unsigned char *p = d->a.file, *q = p + d->half;
	size_t i = same(p, q, d->size - d->half) / sizeof(size_t) *
		   sizeof(size_t);

	if (i + SHA256_DIGEST > d->size - d->half)
		die("%s: both halves are the same", d->path);
	return i;
}

/* And the last one. */
static size_t find_last_spot(const struct demo *d)
{
	const unsigned char *p = d->a.file, *q = p + d->half;
	size_t i = (d->size - d->half) / sizeof(size_t) * sizeof(size_t);

	do {
		i -= sizeof(size_t);
	} while (!memcmp(p + i, q + i, sizeof(size_t)));
	return i;
}

static void show_spots(struct demo *d, const char *when, size_t spot,
		       struct answer *low, struct answer *high)
{
	struct request rq = { .op = OP_READ };
	int i;

	rq.offset = spot;
	both(d, &rq, low);
	rq.offset += d->half;
	both(d, &rq, high);
	for (i = 0; i < 2; i++)
		printf("   %-6s  %c  %26s  %26s\n", i ? "" : when, "AB"[i],
		       hex(low[i].bytes, 8, " "), hex(high[i].bytes, 8, " "));
}

/*
 * Exchange, while B reads what is exchanged last: what was cleared long before
 * the call returns could be forgotten by B's CPU without anyone's doing.
 */
static void exchange_under_reader(struct demo *d, struct answer *seen)
{
	size_t spot = find_last_spot(d);
	struct request watch = { .op = OP_WATCH, .offset = d->half + spot };
	int err;

	memcpy(&watch.other, d->a.file + spot, sizeof(watch.other));
	ask(d, &watch, -1);
	wait_reads(ENOUGH);
	err = region_remap(d->a.fd, 0, 0, d->half, d->half);
	__atomic_store_n(&shared->returned, true, __ATOMIC_RELEASE);
	if (err)
		die("REMAP: %s", strerror(err));
	wait_reads(ENOUGH);
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELAXED);
	hear(d, seen);
}

static void exchange_halves(struct demo *d)
{
	size_t spot = find_spot(d), rest = d->size - d->half;
	struct answer low[2], high[2], then_low[2], then_high[2];
	struct request look = { .op = OP_LOOKUP };
	struct answer before, after, seen;
	long change[NR_COUNTS];
	int i, err;
	bool moved;

	step("A exchanges the file's halves (REMAP) while B reads");
	printf("   bytes at      %26s  %26s\n", num(spot), num(spot + d->half));
	show_spots(d, "before", spot, low, high);
	look.offset = spot / page * page;
	do_op(&d->a, &look, &before);

	exchange_under_reader(d, &seen);

	show_spots(d, "after", spot, then_low, then_high);
	moved = true;
	for (i = 0; i < 2; i++)
		moved &= !memcmp(low[i].bytes, then_high[i].bytes, 8) &&
			 !memcmp(high[i].bytes, then_low[i].bytes, 8);
	claim(moved && both_show(d, 0, rest, d->half) &&
	      both_show(d, d->half, d->half, 0),
	      "in A and in B, all %s bytes are the file's in the new order",
	      num(d->size));
	look.offset += d->half;
	do_op(&d->a, &look, &after);
	claim(before.entry.pfn && before.entry.pfn == after.entry.pfn,
	      "no byte was copied: frame %#llx has moved to the other half",
	      (unsigned long long)after.entry.pfn);
	claim(seen.old && !seen.neither,
	      "B read a word all the while: %s times old, %s new, %s else",
	      num(seen.old), num(seen.new), num(seen.neither));
	claim(seen.new && !seen.stale,
	      "old after REMAP had returned: %s times", num(seen.stale));

	err = region_remap(d->a.fd, 0, 0, d->half, d->half);
	if (err)
		die("REMAP: %s", strerror(err));
	claim(both_hash(d), "exchanged back: A and B hash it as before");
	since_shown(d, change);
	claim(!change[PAGES] &&
	      (!d->native || (change[CLEARED] >= 4 * (long)d->pages &&
			      change[FLUSHES] >= 4)),
	      d->native ? "each time all entries of both processes were cleared"
			: "each time the kernel cleared all entries of both");
	show_counts(d);
}

static void show_entry(const char *offset, char who,
		       const struct mmext_entry *e)
{
	static const unsigned int flags[] = {
		MMEXT_ENTRY_PRESENT, MMEXT_ENTRY_WRITABLE, MMEXT_ENTRY_DIRTY,
		MMEXT_ENTRY_YOUNG,
	};
	unsigned int i;

	printf("   %13s  %-4c", offset, who);
	for (i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		printf("%9s", e->flags & flags[i] ? "yes" : "-");
	if (e->flags)
		printf("%8lu  %#10llx\n", 1UL << e->shift,
		       (unsigned long long)e->pfn);
	else
		printf("%8s  %10s\n", "-", "-");
}

static void look_up(struct demo *d)
{
	/* one that A stores to, one that is only read, one without A's, a hole */
	const size_t offsets[] = {
		0, d->half, (d->pages - 1) * page, d->fresh,
	};
	struct request rq = { .op = OP_LOOKUP };
	struct answer an[4][2];
	int i, err;

	step("What the page tables of both hold (LOOKUP)");
	__atomic_store_n(d->a.mem, *d->a.file, __ATOMIC_RELAXED);
	err = region_zap(d->a.fd, d->a.mem + offsets[2], page);
	if (err)
		die("ZAP: %s", strerror(err));
	printf("   A has stored a byte at 0, and dropped its own entry at %s (ZAP)\n",
	       num(offsets[2]));

	printf("   %13s  %-4s%9s%9s%9s%9s%8s  %10s\n", "offset", "in",
	       "present", "writable", "dirty", "young", "bytes", "frame");
	for (i = 0; i < 4; i++) {
		rq.offset = offsets[i];
		both(d, &rq, an[i]);
		show_entry(num(offsets[i]), 'A', &an[i][0].entry);
		show_entry("", 'B', &an[i][1].entry);
	}

	claim(an[0][0].entry.flags == (MMEXT_ENTRY_PRESENT |
				       MMEXT_ENTRY_WRITABLE |
				       MMEXT_ENTRY_DIRTY | MMEXT_ENTRY_YOUNG) &&
	      !(an[1][0].entry.flags & MMEXT_ENTRY_DIRTY) &&
	      !((an[0][1].entry.flags | an[1][1].entry.flags) &
		(MMEXT_ENTRY_WRITABLE | MMEXT_ENTRY_DIRTY)),
	      "dirty only where A stored; not writable in B, which only reads");
	claim(an[0][0].entry.pfn && an[1][0].entry.pfn &&
	      an[0][0].entry.pfn == an[0][1].entry.pfn &&
	      an[1][0].entry.pfn == an[1][1].entry.pfn &&
	      an[0][0].entry.pfn != an[1][0].entry.pfn,
	      "the same frames in A and B");
	claim(!an[2][0].entry.flags && an[2][1].entry.flags &&
	      !an[3][0].entry.flags && !an[3][1].entry.flags,
	      "ZAP left B's entry alone; where nobody was, there is none");
	show_counts(d);
}

static void populate_and_alias(struct demo *d)
{
	static const char text[SHA256_DIGEST] = "one page, two offsets";
	size_t length = FRESH_PAGES * page, one = d->fresh, two = one + page;
	struct request rq = { .op = OP_READ, .offset = two };
	long change[NR_COUNTS], then[NR_COUNTS];
	struct answer an[2], looked[2];
	size_t i;
	int err;

	step("Pages without faults (POPULATE), and one at two offsets (ALIAS)");
	err = region_populate(d->a.fd, d->a.mem + d->fresh, length);
	if (err)
		die("POPULATE: %s", strerror(err));
	since_shown(d, change);
	claim(change[PAGES] == FRESH_PAGES && change[INSERTED] == FRESH_PAGES &&
	      !change[FAULTS],
	      "POPULATE: %s new pages behind the file, faults: %ld",
	      num(change[PAGES]), change[FAULTS]);
	for (i = 0; i < FRESH_PAGES; i++)
		d->a.mem[d->fresh + i * page] = i;
	since_shown(d, then);
	claim(then[FAULTS] == change[FAULTS],
	      "A stores to each of them, faults: %ld",
	      then[FAULTS] - change[FAULTS]);

	err = region_remap(d->a.fd, MMEXT_REMAP_ALIAS, one, two, page);
	if (err)
		die("REMAP with ALIAS: %s", strerror(err));
	memcpy(d->a.mem + one, text, sizeof(text));
	both(d, &rq, an);
	printf("   A stores \"%s\" at %s\n", text, num(one));
	claim(!memcmp(an[0].bytes, text, sizeof(text)) &&
	      !memcmp(an[1].bytes, text, sizeof(text)),
	      "at %s A reads \"%.31s\", B too", num(two), an[0].bytes);

	rq.op = OP_LOOKUP;
	do_op(&d->a, &rq, &looked[1]);
	rq.offset = one;
	do_op(&d->a, &rq, &looked[0]);
	since_shown(d, change);
	claim(looked[0].entry.pfn &&
	      looked[0].entry.pfn == looked[1].entry.pfn &&
	      change[PAGES] == FRESH_PAGES - 1,
	      "frame %#llx at both; the page it took the place of is freed",
	      (unsigned long long)looked[0].entry.pfn);
	show_counts(d);
}

static void free_range(struct demo *d)
{
	size_t offset = d->pages / 4 * page, length = offset;
	size_t end = offset + length;
	struct request present = { OP_PRESENT, offset, length, 0 };
	struct request zero = { OP_ZERO, offset, length, 0 };
	long nr = length / page, change[NR_COUNTS];
	struct answer an[2];
	int err;

	step("A frees the second quarter of the file (UNMAP with FREE)");
	err = region_free(d->a.fd, offset, length);
	if (err)
		die("UNMAP: %s", strerror(err));
	since_shown(d, change);
	both(d, &present, an);
	claim(change[PAGES] == -nr, "pages that the region holds: %s less",
	      num(-change[PAGES]));
	claim(!an[0].value && !an[1].value &&
	      (!d->native || change[CLEARED] == 2 * nr),
	      "entries of them in A: %s, in B: %s",
	      num(an[0].value), num(an[1].value));
	show_counts(d);

	both(d, &zero, an);
	claim(an[0].value == length && an[1].value == length,
	      "A reads %s zeroes there, B reads %s", num(an[0].value),
	      num(an[1].value));
	claim(both_show(d, 0, offset, 0) &&
	      both_show(d, end, d->size - end, end),
	      "the rest of the file is as it was, in both");
	since_shown(d, change);
	claim(change[PAGES] == nr,
	      "reading brought %s pages, new and zeroed", num(change[PAGES]));
	show_counts(d);
}

static void revoke_region(struct demo *d)
{
	struct request spin = {
		OP_SPIN, 0, d->pages * page / 4, (size_t)-1 / page / 2,
	};
	struct request calls = { .op = OP_CALLS };
	struct answer an[2];
	struct mmext_info info;
	long now[NR_COUNTS];
	bool gone = true;
	size_t reads;
	int fd, i, err;

	step("A takes the region away (REVOKE) while B reads");
	__atomic_store_n(&shared->reads, 0, __ATOMIC_RELAXED);
	ask(d, &spin, -1);
	wait_reads(ENOUGH);
	err = region_revoke(d->a.fd);
	if (err)
		die("REVOKE: %s", strerror(err));
	hear(d, &an[1]);
	reads = __atomic_load_n(&shared->reads, __ATOMIC_RELAXED);
	claim(an[1].code == BUS_ADRERR && an[1].value < spin.length,
	      "B caught SIGBUS at offset %s, after %s good reads",
	      num(an[1].value), num(reads));
	spin.other = 1;
	do_op(&d->a, &spin, &an[0]);
	claim(an[0].code == BUS_ADRERR && !an[0].value,
	      "A caught SIGBUS at offset %s, at its first read",
	      num(an[0].value));

	both(d, &calls, an);
	for (i = 0; i < 3; i++)
		gone &= an[0].errors[i] == ENODEV && an[1].errors[i] == ENODEV;
	claim(gone, "INFO, read and mmap, in A and in B: %s",
	      strerror(an[1].errors[0]));
	show_counts(d);

	read_counts(d, now);
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(DEVICE ": %s", strerror(errno));
	err = region_info(fd, &info);
	if (err)
		die("INFO: %s", strerror(err));
	close(fd);
	claim(!now[PAGES] && info.out_used == d->used,
	      "nothing is left: the region holds %s pages, all regions %s MiB",
	      num(now[PAGES]), num(info.out_used >> 20));
}

/* Before and after */

static void map_file(struct demo *d)
{
	struct stat st;
	int fd;

	fd = open(d->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		die("%s: %s", d->path, strerror(errno));
	d->size = st.st_size;
	d->pages = (d->size + page - 1) / page;
	d->half = (d->pages + 1) / 2 * page;
	d->fresh = 2 * d->half;
	if (!S_ISREG(st.st_mode) || d->pages < MIN_PAGES)
		die("%s: not a file of %zu bytes or more", d->path,
		    MIN_PAGES * page);

	d->a.file = mmap(NULL, d->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (d->a.file == MAP_FAILED)
		die("%s: %s", d->path, strerror(errno));
	close(fd);
}

static void start_peer(struct demo *d)
{
	struct view b = { .fd = -1, .file = d->a.file };
	pid_t parent = getpid();
	int socks[2];

	shared = mmap(NULL, page, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks))
		die("socketpair: %s", strerror(errno));
	d->pid = fork();
	if (d->pid < 0)
		die("fork: %s", strerror(errno));
	if (!d->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		close(socks[0]);
		be_peer(socks[1], &b);
	}
	close(socks[1]);
	d->peer = socks[0];
}

static void end_peer(struct demo *d)
{
	struct request end = { .op = OP_END };
	struct answer an;
	int status;

	ask(d, &end, -1);
	hear(d, &an);
	if (waitpid(d->pid, &status, 0) != d->pid || status)
		die("B ended badly");
}

static bool is_digest(const char *text)
{
	return strlen(text) == HEX - 1 &&
	       strspn(text, "0123456789abcdef") == HEX - 1;
}

int main(int argc, char **argv)
{
	struct demo d = { 0 };

	page = sysconf(_SC_PAGESIZE);
	show_begin();
	if (argc != 3 || !is_digest(argv[2]))
		die("usage: mmext-demo FILE SHA256");
	d.path = argv[1];
	d.sha = argv[2];

	map_file(&d);
	start_peer(&d);

	show_setting(&d);
	store_file(&d);
	pass_descriptor(&d);
	exchange_halves(&d);
	look_up(&d);
	populate_and_alias(&d);
	free_range(&d);
	revoke_region(&d);

	end_peer(&d);
	show_end();
	return 0;
}
