// SPDX-License-Identifier: GPL-2.0
/*
 * What is done to a window itself, who else can use what it shows, and windows in
 * other processes.
 */
#include "mmext_gmap_window.h"

#include <sys/ptrace.h>

/* What is done to the window itself */

TEST_F_TIMEOUT(window, madvise_of_the_window_takes_no_byte, 120)
{
	struct rounds rounds = gmap_rounds(500);
	int i;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		if (i % 8)
			madvise(WINDOW(i % 500), 16 * page_size, MADV_DONTNEED);
		else
			madvise(self->window, LENGTH, MADV_DONTNEED);
	}
	CHECK_END();
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	EXPECT_EQ(-1, numbered_not(self->host, LENGTH, 0));
}

TEST_F_TIMEOUT(window, mremap_of_the_window, 120)
{
	char *places[2] = { self->window, place_alloc(LENGTH) };
	struct rounds rounds = gmap_rounds(200);
	int i;

	NEED();
	ASSERT_NE(NULL, places[1]);
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		char *from = places[i & 1], *to = places[!(i & 1)];

		EXPECT_EQ(i % 7 + 1, WORD(from + i % 7 * page_size));
		ASSERT_EQ(to, mremap(from, LENGTH, LENGTH,
				     MREMAP_MAYMOVE | MREMAP_FIXED, to));
		ASSERT_EQ(-SIGSEGV, peek(from)) TH_LOG("round %d", i);
		ASSERT_EQ(i % 7 + 1, WORD(to + i % 7 * page_size));
		/* what follows finds it at its new place, also what it took along */
		WORD(HOST(9)) = 70000 + i;
		ASSERT_EQ(70000 + i, WORD(to + 9 * page_size));
		ASSERT_EQ(HOST(16), host_map_at(self->kind, self->backing,
						HOST(16), 16 * page_size,
						16 * page_size));
		WORD(HOST(20)) = 80000 + i;
		ASSERT_EQ(80000 + i, WORD(to + 20 * page_size))
			TH_LOG("round %d", i);
		ASSERT_EQ(0, mprotect(HOST(0), page_size, PROT_NONE));
		ASSERT_EQ(-SIGBUS, peek(to));
		ASSERT_EQ(0, mprotect(HOST(0), page_size,
				      PROT_READ | PROT_WRITE));
	}
	self->window = places[i & 1];
	EXPECT_EQ(-1, window_differs(self->window, self->host, LENGTH));
}

/* Parts of tables, and of another alignment */
TEST_F_TIMEOUT(window, mremap_of_a_part_of_the_window, 120)
{
	char *place = place_alloc(2 * LENGTH);
	struct rounds rounds = gmap_rounds(100);
	size_t length = 64 * page_size;
	int i, n;
	char *to;

	NEED();
	ASSERT_NE(NULL, place);
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		/* each a VMA of its own from then on: those of a window never merge */
		n = i * 5 % (PAGES / 64) * 64;
		to = place + i % 300 * page_size;
		WORD(WINDOW(n)) = i;
		ASSERT_EQ(to, mremap(WINDOW(n), length, length,
				     MREMAP_MAYMOVE | MREMAP_FIXED, to));
		ASSERT_EQ(i, WORD(to));
		WORD(HOST(n + 1)) = i;
		ASSERT_EQ(i, WORD(to + page_size));
		ASSERT_EQ(0, mprotect(HOST(n), page_size, PROT_NONE));
		ASSERT_EQ(-SIGBUS, peek(to)) TH_LOG("round %d", i);
		ASSERT_EQ(0, mprotect(HOST(n), page_size,
				      PROT_READ | PROT_WRITE));
		ASSERT_EQ(WINDOW(n), mremap(to, length, length,
					    MREMAP_MAYMOVE | MREMAP_FIXED,
					    WINDOW(n)));
		ASSERT_EQ(i, WORD(WINDOW(n)));
	}
	EXPECT_EQ(-1, window_differs(self->window, self->host, LENGTH));
}

TEST_F(window, can_not_grow)
{
	NEED();
	EXPECT_EQ(MAP_FAILED, mremap(self->window, LENGTH, LENGTH + SEGMENT,
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F_TIMEOUT(window, munmap_of_a_part_of_the_window, 120)
{
	struct rounds rounds = gmap_rounds(200);
	int i, n;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		size_t nr = i % 4 ? 16 : PAGES / 2;

		n = i % 4 ? i * 37 % (PAGES - 16) : i & 4 ? 0 : PAGES / 2;
		ASSERT_EQ(0, munmap(WINDOW(n), nr * page_size));
		ASSERT_EQ(-SIGSEGV, peek(WINDOW(n)));
		/* what is beside it is there, and what is gone is not written to */
		WORD(HOST((n + nr) % PAGES)) = 60000 + i;
		ASSERT_EQ(60000 + i, n + nr < PAGES ? WORD(WINDOW(n + nr)) :
						      60000U + i);
		ASSERT_EQ(WINDOW(n), mmap(WINDOW(n), nr * page_size,
					  PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_FIXED, self->fd,
					  GUEST + n * page_size));
		ASSERT_EQ(WORD(HOST(n)), WORD(WINDOW(n)));
	}
	CHECK_END();
}

TEST_F_TIMEOUT(window, mprotect_of_the_window, 120)
{
	struct rounds rounds = gmap_rounds(300);
	int i, n;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 37 % (PAGES - 16);
		ASSERT_EQ(0, mprotect(WINDOW(n), 16 * page_size, PROT_READ));
		ASSERT_EQ(-SIGSEGV, poke(WINDOW(n) + 64, 1));
		ASSERT_EQ(WORD(HOST(n)), WORD(WINDOW(n)));
		ASSERT_EQ(0, mprotect(WINDOW(n), 16 * page_size, PROT_NONE));
		ASSERT_EQ(-SIGSEGV, peek(WINDOW(n)));
		ASSERT_EQ(0, mprotect(WINDOW(n), 16 * page_size,
				      PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, poke(WINDOW(n) + 64, 1));
		ASSERT_EQ(1, HOST(n)[64]);
	}
	CHECK_END();
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

/* What mprotect lets be stored to is no way around what the parent may not. */
TEST_F(window, mprotect_of_the_window_gives_no_right_to_store)
{
	NEED();
	ASSERT_EQ(0, mprotect(HOST(4), page_size, PROT_READ));
	EXPECT_EQ(5, peek(WINDOW(4)));
	ASSERT_EQ(0, mprotect(self->window, LENGTH, PROT_READ));
	ASSERT_EQ(0, mprotect(self->window, LENGTH, PROT_READ | PROT_WRITE));
	EXPECT_EQ(-SIGSEGV, poke(WINDOW(4), 1));
	EXPECT_EQ(5, peek(WINDOW(4)));
	/* nor around a page that a child shares */
	if (self->kind == HOST_ANON) {
		pid_t pid = fork();

		ASSERT_GE(pid, 0);
		if (!pid) {
			usleep(200000);
			_exit(WORD(HOST(5)) == 6 ? 0 : 1);
		}
		EXPECT_EQ(6, peek(WINDOW(5)));
		ASSERT_EQ(0, mprotect(self->window, LENGTH, PROT_READ));
		ASSERT_EQ(0, mprotect(self->window, LENGTH,
				      PROT_READ | PROT_WRITE));
		EXPECT_EQ(0, poke(WINDOW(5), 99));
		EXPECT_EQ(99, WORD(HOST(5)));
		EXPECT_EQ(0, child_status(pid));
	}
}

TEST_F(window, mlock_and_populate_of_a_window)
{
	char *window;

	NEED();
	window = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_POPULATE, self->fd, GUEST);
	ASSERT_NE(MAP_FAILED, window);
	EXPECT_EQ(-1, numbered_not(window, LENGTH, 0));
	mlock(window, LENGTH);
	EXPECT_EQ(-1, numbered_not(window, LENGTH, 0));
	ASSERT_EQ(HOST(0), host_map_at(self->kind, self->backing, HOST(0),
				       LENGTH, 0));
	EXPECT_EQ(-1, window_differs(window, self->host, LENGTH));
	munlock(window, LENGTH);
	munmap(window, LENGTH);
}

/* Who pins memory, and who looks at it */

TEST_F(window, process_vm_readv_and_o_direct_are_refused)
{
	char buffer[16] = "0123456789abcde", name[] = "/tmp/mmext-gmap-XXXXXX";
	struct iovec local = { .iov_base = buffer, .iov_len = 8 };
	struct iovec remote = { .iov_base = self->window, .iov_len = 8 };
	int fd;

	NEED();
	/* as it is, and with an entry there */
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(1, peek(WINDOW(0)));
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, poke(WINDOW(0), 1));
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_STREQ("0123456789abcde", buffer);
	EXPECT_EQ(1, WORD(HOST(0)));
	/* what copies is another thing */
	fd = mkstemp(name);
	ASSERT_GE(fd, 0);
	unlink(name);
	EXPECT_EQ(2 * page_size, pwrite(fd, self->window, 2 * page_size, 0));
	WORD(HOST(1)) = 55;
	EXPECT_EQ(2 * page_size, pread(fd, self->window, 2 * page_size, 0));
	EXPECT_EQ(2, WORD(HOST(1)));
	close(fd);
	/* TRANSLATE's address can be pinned */
	remote.iov_base = (void *)(uintptr_t)gmap_translate(self->fd, GUEST);
	EXPECT_EQ(8, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(1, *(__u32 *)buffer);
}

TEST_F(window, o_direct_into_a_window_is_refused)
{
	const char *dir = "/tmp/mmext-gmap-disk", *image = "/tmp/mmext-gmap-img";
	char *buffer = mmap(NULL, page_size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t written;
	int fd;

	NEED();
	if (self->kind != HOST_SHARED)
		SKIP(return, "not of such memory");
	ASSERT_TRUE(disk_mount(dir, image));
	fd = open("/tmp/mmext-gmap-disk/file", O_CREAT | O_RDWR | O_DIRECT,
		  0600);
	ASSERT_GE(fd, 0);
	memset(buffer, 'd', page_size);
	ASSERT_EQ(page_size, pwrite(fd, buffer, page_size, 0));
	/* the kernel's word for an entry without a page, if there is one, is EEXIST */
	EXPECT_EQ(-1, pread(fd, self->window, page_size, 0));
	EXPECT_TRUE(errno == EFAULT || errno == EEXIST);
	EXPECT_EQ(0, poke(self->window, 1));
	EXPECT_EQ(-1, pread(fd, self->window, page_size, 0));
	EXPECT_TRUE(errno == EFAULT || errno == EEXIST);
	/* ext2 copies what it could not pin, which is as good: the window can be read */
	written = pwrite(fd, self->window, page_size, 0);
	EXPECT_TRUE(written == (ssize_t)page_size ||
		    (written == -1 && (errno == EFAULT || errno == EEXIST)));
	EXPECT_EQ(page_size, pread(fd, buffer, page_size, 0));
	EXPECT_EQ(written == (ssize_t)page_size ? 1 : 'd', *buffer);
	memset(buffer, 'd', page_size);
	EXPECT_EQ(page_size, pwrite(fd, buffer, page_size, 0));
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
	/* the parent's own address will do, and the window shows what came */
	EXPECT_EQ(page_size, pread(fd, self->host, page_size, 0));
	EXPECT_EQ('d', peek(self->window));
	close(fd);
	disk_umount(dir, image);
}

TEST_F(window, debuggers_see_what_it_shows)
{
	char path[64];
	pid_t pid;
	long word;
	int mem, value = 0x01020304;

	NEED();
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_GE(mem, 0);
	EXPECT_EQ(4, pread(mem, &value, 4, to_u64(WINDOW(6))));
	EXPECT_EQ(7, value);
	value = 4242;
	EXPECT_EQ(4, pwrite(mem, &value, 4, to_u64(WINDOW(6))));
	EXPECT_EQ(4242, WORD(HOST(6)));
	EXPECT_EQ(4242, WORD(WINDOW(6)));
	/* not what is a hole, nor with more right than the parent has */
	ASSERT_EQ(0, mprotect(HOST(7), page_size, PROT_READ));
	EXPECT_EQ(-1, pwrite(mem, &value, 4, to_u64(WINDOW(7))));
	EXPECT_EQ(8, WORD(HOST(7)));
	ASSERT_EQ(0, gmap_unmap(self->fd, GUEST + SEGMENT, SEGMENT));
	EXPECT_EQ(-1, pread(mem, &value, 4, to_u64(self->window) + SEGMENT));
	close(mem);

	/* of another process's window */
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		CHILD_CHECK(mmap(self->window, LENGTH, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, self->fd, GUEST) ==
			    self->window);
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, pid, WINDOW(8), NULL);
	EXPECT_EQ(0, errno);
	EXPECT_EQ(9, (__u32)word);
	EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, pid, WINDOW(8), 0x77L));
	EXPECT_EQ(0x77, WORD(HOST(8)));
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	EXPECT_EQ(4, pread(mem, &value, 4, to_u64(WINDOW(6))));
	EXPECT_EQ(4242, value);
	close(mem);
	kill(pid, SIGKILL);
	child_status(pid);
}

/* discard */

TEST_F(window, discard_drops_the_parents_pages)
{
	bool zero = self->kind == HOST_ANON;
	int n;

	NEED();
	for (n = 0; n < (int)PAGES; n++)
		WORD(WINDOW(n)) = 2000 + n;
	EXPECT_EQ(0, gmap_discard(self->fd, GUEST + 4 * page_size,
				  8 * page_size));
	EXPECT_EQ(2003, WORD(WINDOW(3)));
	for (n = 4; n < 12; n++) {
		/* what a private mapping of a file has then is the file's */
		EXPECT_EQ(self->kind == HOST_SHARED ? 2000 + n : 0,
			  WORD(WINDOW(n)));
		EXPECT_EQ(WORD(HOST(n)), WORD(WINDOW(n)));
	}
	EXPECT_EQ(2012, WORD(WINDOW(12)));
	/* across a hole of the translation, and one of the parent's */
	ASSERT_EQ(0, gmap_unmap(self->fd, GUEST + SEGMENT, SEGMENT));
	ASSERT_EQ(0, munmap(HOST(2 * SEGMENT / page_size + 1), page_size));
	EXPECT_EQ(0, gmap_discard(self->fd, GUEST, LENGTH));
	EXPECT_EQ(zero ? 0 : WORD(HOST(3)), WORD(WINDOW(3)));
	EXPECT_EQ(WORD(HOST(PAGES - 1)), WORD(WINDOW(PAGES - 1)));
	/* what is not named by the space is left alone */
	EXPECT_EQ(2000 + SEGMENT / page_size, WORD(HOST(SEGMENT / page_size)));
}

TEST_F(window, discard_with_unaligned_ends_is_einval)
{
	NEED();
	EXPECT_EQ(-EINVAL, gmap_discard(self->fd, GUEST + 1, page_size));
	EXPECT_EQ(-EINVAL, gmap_discard(self->fd, GUEST, page_size + 1));
	EXPECT_EQ(-EINVAL, gmap_discard(self->fd, GUEST, page_size - 1));
	EXPECT_EQ(-EINVAL, gmap_discard(self->fd, GUEST + page_size / 2,
					page_size / 2));
	EXPECT_EQ(-EINVAL, gmap_discard(self->fd, LIMIT + 1, page_size));
	EXPECT_EQ(-EOVERFLOW, gmap_discard(self->fd, GUEST, -page_size));
	EXPECT_EQ(0, gmap_discard(self->fd, GUEST, 0));
	EXPECT_EQ(-1, numbered_not(self->window, LENGTH, 0));
}

TEST_F(window, discard_leaves_what_is_locked)
{
	NEED();
	if (self->kind != HOST_ANON)
		SKIP(return, "not of such memory");
	ASSERT_EQ(0, mlock(HOST(4), 2 * page_size));
	EXPECT_EQ(0, gmap_discard(self->fd, GUEST, 16 * page_size));
	EXPECT_EQ(5, WORD(WINDOW(4)));
	EXPECT_EQ(6, WORD(HOST(5)));
	EXPECT_EQ(0, WORD(WINDOW(3)));
	EXPECT_EQ(0, WORD(WINDOW(6)));
}

/* The descriptor in other hands */

struct far_word {
	volatile __u32 *addr;
	__u32 value;
};

static long run_peek_word(int sock __unused, void *arg)
{
	struct far_word *w = arg;

	return peek_word(w->addr, &w->value);
}

static long run_poke_word(int sock __unused, void *arg)
{
	struct far_word *w = arg;

	return poke_word(w->addr, w->value);
}

static __u32 far_peek(struct runner *r, struct far_word *w, char *addr)
{
	long ret;

	w->addr = (volatile __u32 *)addr;
	ret = runner_do(r, run_peek_word, w);
	return ret ? (__u32)ret : w->value;
}

static long far_poke(struct runner *r, struct far_word *w, char *addr,
		     __u32 value)
{
	w->addr = (volatile __u32 *)addr;
	w->value = value;
	return runner_do(r, run_poke_word, w);
}

TEST_F_TIMEOUT(window, of_another_process_follows_the_parents_memory, 180)
{
	struct far *f = shared_alloc(sizeof(*f));
	struct far_word *w = shared_alloc(sizeof(*w));
	struct rounds rounds = gmap_rounds(100);
	struct runner other;
	int i, n;

	NEED();
	ASSERT_EQ(0, runner_start(&other));
	f->fd = runner_send_fd(&other, self->fd);
	ASSERT_GE(f->fd, 0);
	ASSERT_EQ(0, runner_do(&other, run_map_far, f));
#define FAR(n)	(f->window + (n) * page_size)
#define FAR_IS(n, val)							\
	ASSERT_EQ((__u32)(val), far_peek(&other, w, FAR(n)))		\
		TH_LOG("round %d", i)
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		n = i * 37 % (PAGES - 32);
		checker_hold(&self->checker);
		FAR_IS(n, WORD(HOST(n)));
		WORD(HOST(n)) = 1000000 + i;
		FAR_IS(n, 1000000 + i);
		ASSERT_EQ(0, far_poke(&other, w, FAR(n), 2000000 + i));
		ASSERT_EQ(2000000 + i, WORD(HOST(n)));
		ASSERT_EQ(2000000 + i, WORD(WINDOW(n)));
		ASSERT_EQ(0, munmap(HOST(n), 16 * page_size));
		FAR_IS(n, -SIGBUS);
		ASSERT_EQ(HOST(n), host_map_at(self->kind, self->backing,
					       HOST(n), 16 * page_size,
					       n * page_size));
		FAR_IS(n, WORD(HOST(n)));
		WORD(HOST(n + 1)) = 3000000 + i;
		FAR_IS(n + 1, 3000000 + i);
		ASSERT_EQ(0, mprotect(HOST(n), page_size, PROT_READ));
		ASSERT_EQ(-SIGSEGV, far_poke(&other, w, FAR(n), 1));
		ASSERT_EQ(0, mprotect(HOST(n), page_size,
				      PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, far_poke(&other, w, FAR(n), 4000000 + i));
		ASSERT_EQ(4000000 + i, WORD(HOST(n)));
		ASSERT_EQ(0, gmap_unmap(self->fd, GUEST, SEGMENT));
		FAR_IS(0, -SIGBUS);
		ASSERT_EQ(0, gmap_map(self->fd, self->host, GUEST, SEGMENT));
		FAR_IS(0, WORD(HOST(0)));
		checker_release(&self->checker);
	}
	CHECK_END();
	EXPECT_EQ(0, runner_stop(&other));
	/* and when that one has gone, nothing of it is missed */
	WORD(HOST(0)) = 5;
	EXPECT_EQ(5, WORD(WINDOW(0)));
}

/* A thread of another process reads while the parent changes: with a kill */
static long run_read_on(int sock __unused, void *arg)
{
	struct far *f = arg;
	size_t i;
	__u32 value;

	if (run_map_far(sock, arg))
		return -1;
	store(&f->fd, -2);
	for (;;)
		for (i = 0; i < PAGES; i++)
			if (peek_word((__u32 *)(f->window + i * page_size),
				      &value) == 0)
				poke_word((__u32 *)(f->window + i * page_size) +
					  9, value);
}

TEST_F_TIMEOUT(window, holder_is_killed, 120)
{
	struct far *f = shared_alloc(sizeof(*f));
	struct rounds rounds = gmap_rounds(20);
	struct runner other;
	int i;

	NEED();
	CHECK_BEGIN();
	for (i = 0; rounds_go_on(&rounds, i); i++) {
		store(&f->fd, self->fd);
		ASSERT_EQ(0, runner_start(&other));
		ASSERT_EQ(0, runner_begin(&other, run_read_on, f));
		while (load(&f->fd) != -2)
			usleep(100);
		usleep(i * 500);
		ASSERT_EQ(0, mprotect(HOST(i), page_size, PROT_READ));
		ASSERT_EQ(0, mprotect(HOST(i), page_size,
				      PROT_READ | PROT_WRITE));
		EXPECT_EQ(128 + SIGKILL, runner_kill(&other));
	}
	CHECK_END();
	/* the records of who has gone have gone */
	EXPECT_GE(4, gmap_stat_of(self->fd, out_records));
}

TEST_HARNESS_MAIN
