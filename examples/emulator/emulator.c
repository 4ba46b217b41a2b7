// SPDX-License-Identifier: GPL-2.0
/*
 * emulator GUEST OUTPUT: a program of another architecture, in memory that lies in
 * pieces.
 *
 * Interprets GUEST, a static riscv64 program for Linux, through the window of a
 * guest space.  Once to the end; then in a process that saves all of the guest's
 * memory early and what has changed since half way, and ends; then in a third, from
 * what was saved, in pieces that lie elsewhere.  OUTPUT is what GUEST writes, from
 * another emulator.
 *
 * Decoded instructions are kept, and dropped by event: the page that they came from
 * is armed against stores.
 *
 * Whatever is shown is checked; the exit status is 0 if all of it is true, 1 after
 * a word on what is not, and 4 where the kernel can't show guest spaces.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../demo/show.h"
#include "riscv.h"
#include "space.h"

#define SKIPPED		4
#define STACK		(4 * SEGMENT)
#define OUTPUT_MAX	4096

enum {
	SYS_WRITE = 64, SYS_EXIT = 93, SYS_EXIT_GROUP, SYS_BRK = 214,
	SYS_MPROTECT = 226,
};

/* What a process found, for the one that says it. */
struct report {
	bool exited;
	int status;		/* of the guest */
	struct state state;
	unsigned long hash;	/* of the guest's memory */
	size_t length;		/* of output */
	char output[OUTPUT_MAX];
	unsigned long events;
	unsigned long stores;	/* among events: stores to armed pages */
	unsigned long dropped;	/* pages of decoded instructions */
	struct mmext_gmap_stat stat;
	struct mmext_gmap_address pieces[NR_SEGMENTS];
	/* of a checkpoint, in pages */
	unsigned long all, dirty, changed, missed;
	u64 saved;		/* instructions done then */
};

struct machine {
	struct space space;
	struct hart hart;
	u64 brk;
	struct report *report;
};

/* What makes a checkpoint, beside of the memory. */
struct header {
	struct state state;
	u64 brk;
	u64 nr_records;
};

/* Ranges of memory follow, later ones over earlier ones, and their bytes. */
struct record {
	u64 gaddr;
	u64 length;
};

static const char *guest;		/* path */
static const unsigned char *elf;
static size_t elf_size;
static int checkpoint;			/* file */
static u64 half;			/* instructions */

/* The guest and its machine */

static void start(struct machine *m, struct report *r, unsigned int seed)
{
	memset(m, 0, sizeof(*m));
	m->report = r;
	space_create(&m->space, seed);
	if (hart_init(&m->hart, m->space.window, SPACE_SIZE))
		die("no memory");
}

/* As Linux would; a stack of zeroes has neither arguments nor an environment. */
static void load(struct machine *m)
{
	const Elf64_Ehdr *e = (const void *)elf;
	const Elf64_Phdr *p = (const void *)(elf + e->e_phoff);
	int i;

	for (i = 0; i < e->e_phnum; i++) {
		u64 end = p[i].p_vaddr + p[i].p_memsz;

		if (p[i].p_type != PT_LOAD)
			continue;
		if (p[i].p_offset > elf_size ||
		    p[i].p_filesz > elf_size - p[i].p_offset)
			die("%s: cut short", guest);
		space_map(&m->space, p[i].p_vaddr, p[i].p_memsz);
		space_write(&m->space, p[i].p_vaddr, elf + p[i].p_offset,
			    p[i].p_filesz);
		if (m->brk < end)
			m->brk = end;
	}
	m->brk = (m->brk + PAGE - 1) & ~(PAGE - 1);
	space_map(&m->space, SPACE_SIZE - STACK, STACK);
	m->hart.state.pc = e->e_entry;
	m->hart.state.x[SP] = SPACE_SIZE - PAGE;
}

static s64 sys_write(struct machine *m, u64 fd, u64 addr, u64 length)
{
	struct report *r = m->report;

	if (fd != STDOUT_FILENO && fd != STDERR_FILENO)
		return -EBADF;
	if (length > OUTPUT_MAX - r->length)
		return -ENOSPC;
	space_read(&m->space, addr, r->output + r->length, length);
	r->length += length;
	return length;
}

static s64 sys_brk(struct machine *m, u64 brk)
{
	if (brk > m->brk && brk <= SPACE_SIZE - STACK) {
		space_map(&m->space, m->brk, brk - m->brk);
		m->brk = brk;
	}
	return m->brk;
}

/* Returns whether it was the last one. */
static bool system_call(struct machine *m)
{
	u64 *x = m->hart.state.x;

	switch (x[A7]) {
	case SYS_WRITE:
		x[A0] = sys_write(m, x[A0], x[A1], x[A2]);
		break;
	case SYS_BRK:
		x[A0] = sys_brk(m, x[A0]);
		break;
	case SYS_MPROTECT:	/* all may be done with all of its memory */
		x[A0] = 0;
		break;
	case SYS_EXIT:
	case SYS_EXIT_GROUP:
		m->report->exited = true;
		m->report->status = x[A0] & 255;
		return true;
	default:
		x[A0] = -ENOSYS;
	}
	return false;
}

/*
 * Armed first, and decoded then: a store after that is an event, one before it is
 * in what is decoded.
 */
static void watch(struct machine *m)
{
	space_arm(&m->space, m->hart.where);
	if (hart_watch(&m->hart, m->hart.where))
		die("no memory");
}

/*
 * The page of an event is armed no more: what was decoded of it goes, and watch()
 * comes again.
 */
static void drop_changed(struct machine *m)
{
	struct mmext_gmap_event events[16];
	struct report *r = m->report;
	u64 addr;
	int nr, i;

	while ((nr = space_events(&m->space, events, 16)) > 0) {
		for (i = 0; i < nr; i++) {
			r->events++;
			r->stores += !!(events[i].flags &
					MMEXT_GMAP_EVENT_ACCESS);
			if (!(events[i].flags & MMEXT_GMAP_EVENT_OVERFLOW)) {
				r->dropped += hart_forget(&m->hart,
							  events[i].gaddr);
				continue;
			}
			for (addr = 0; addr < SPACE_SIZE; addr += CODE_PAGE)
				r->dropped += hart_forget(&m->hart, addr);
		}
	}
}

/* Until the guest exits, or has done so many instructions. */
static void run(struct machine *m, u64 until)
{
	struct hart *h = &m->hart;

	for (;;) {
		switch (hart_run(h, until)) {
		case STOP_COUNT:
			return;
		case STOP_ECALL:
			if (system_call(m))
				return;
			break;
		case STOP_FENCE_I:
			drop_changed(m);
			break;
		case STOP_CODE:
			watch(m);
			break;
		case STOP_ILLEGAL:
			die("not an instruction at %#llx", h->state.pc);
		case STOP_ACCESS:
			die("no memory at %#llx, for the instruction at %#llx",
			    h->where, h->state.pc);
		}
	}
}

static void finish(struct machine *m)
{
	struct report *r = m->report;
	const u64 *word;
	int i;

	space_stat(&m->space, &r->stat);
	space_pieces(&m->space, r->pieces);
	r->state = m->hart.state;
	r->hash = 0xcbf29ce484222325;
	for (i = 0; i < NR_SEGMENTS; i++) {
		if (!m->space.mapped[i])
			continue;
		word = (const void *)(m->space.window + i * SEGMENT);
		for (; (void *)word < (void *)(m->space.window +
					       (i + 1) * SEGMENT); word++)
			r->hash = (r->hash ^ *word) * 0x100000001b3;
	}
}

/* Checkpoints */

static void write_all(const void *buffer, size_t length)
{
	ssize_t n;

	for (; length; length -= n, buffer = (const char *)buffer + n) {
		n = write(checkpoint, buffer, length);
		if (n <= 0)
			die("writing the checkpoint: %s", strerror(errno));
	}
}

static void read_all(void *buffer, size_t length)
{
	ssize_t n;

	for (; length; length -= n, buffer = (char *)buffer + n) {
		n = read(checkpoint, buffer, length);
		if (n <= 0)
			die("reading the checkpoint: %s",
			    n ? strerror(errno) : "cut short");
	}
}

static void save_range(struct machine *m, u64 gaddr, u64 length,
		       unsigned char *memory)
{
	struct record r = { gaddr, length };

	space_read(&m->space, gaddr, memory + gaddr, length);
	write_all(&r, sizeof(r));
	write_all(memory + gaddr, length);
}

static void save_all(struct machine *m, struct header *h, unsigned char *memory)
{
	int i;

	memset(h, 0, sizeof(*h));
	write_all(h, sizeof(*h));
	for (i = 0; i < NR_SEGMENTS; i++) {
		if (!m->space.mapped[i])
			continue;
		save_range(m, i * SEGMENT, SEGMENT, memory);
		h->nr_records++;
		m->report->all += SEGMENT / PAGE;
	}
}

/*
 * @memory is what was saved before.  Where it is not what the guest has now, the
 * log had better say so.
 */
static void compare(struct machine *m, const unsigned char *memory,
		    const bool *logged)
{
	struct report *r = m->report;
	unsigned char now[PAGE];
	u64 i;

	for (i = 0; i < SPACE_PAGES; i++) {
		if (!m->space.mapped[i * PAGE / SEGMENT])
			continue;
		space_read(&m->space, i * PAGE, now, PAGE);
		if (!memcmp(memory + i * PAGE, now, PAGE))
			continue;
		r->changed++;
		r->missed += !logged[i];
	}
}

static void save_dirty(struct machine *m, struct header *h,
		       unsigned char *memory)
{
	static struct mmext_run runs[SPACE_PAGES];
	static bool logged[SPACE_PAGES];
	int nr = space_dirty(&m->space, runs, SPACE_PAGES), i;
	u64 page;

	for (i = 0; i < nr; i++) {
		m->report->dirty += runs[i].length / PAGE;
		page = runs[i].offset / PAGE;
		while (page < (runs[i].offset + runs[i].length) / PAGE)
			logged[page++] = true;
	}
	compare(m, memory, logged);
	for (i = 0; i < nr; i++)
		save_range(m, runs[i].offset, runs[i].length, memory);

	h->nr_records += nr;
	h->state = m->hart.state;
	h->brk = m->brk;
	if (pwrite(checkpoint, h, sizeof(*h), 0) != sizeof(*h))
		die("writing the checkpoint: %s", strerror(errno));
	m->report->saved = h->state.count;
}

static void restore(struct machine *m)
{
	static unsigned char buffer[SEGMENT];
	struct header h;
	struct record r;
	u64 n;

	if (lseek(checkpoint, 0, SEEK_SET))
		die("checkpoint: %s", strerror(errno));
	read_all(&h, sizeof(h));
	while (h.nr_records--) {
		read_all(&r, sizeof(r));
		space_map(&m->space, r.gaddr, r.length);
		for (; r.length; r.length -= n, r.gaddr += n) {
			n = r.length < SEGMENT ? r.length : SEGMENT;
			read_all(buffer, n);
			space_write(&m->space, r.gaddr, buffer, n);
		}
	}
	m->hart.state = h.state;
	m->brk = h.brk;
}

/* The three processes */

static void run_to_end(struct report *r)
{
	struct machine m;

	start(&m, r, 1);
	load(&m);
	run(&m, ~0ULL);
	finish(&m);
}

static void run_and_save(struct report *r)
{
	unsigned char *memory = calloc(1, SPACE_SIZE);
	struct header h;
	struct machine m;

	if (!memory)
		die("no memory");
	start(&m, r, 2);
	load(&m);
	run(&m, half - half / 4);
	space_track(&m.space);
	save_all(&m, &h, memory);
	run(&m, half);
	save_dirty(&m, &h, memory);
	finish(&m);
}

static void restore_and_run(struct report *r)
{
	struct machine m;

	start(&m, r, 3);
	restore(&m);
	run(&m, ~0ULL);
	finish(&m);
}

static pid_t in_process(void (*what)(struct report *r), struct report *r)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		what(r);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		die("process %d: %s", pid, strsignal(WTERMSIG(status)));
	if (status)
		die("process %d ended badly", pid);
	return pid;
}

/* Saying what they did */

static void show_output(const struct report *r)
{
	const char *p = r->output, *end = p + r->length, *line;

	for (; p < end; p = line + 1) {
		line = memchr(p, '\n', end - p);
		if (!line)
			line = end;
		printf("   guest    %.*s\n", (int)(line - p), p);
	}
}

static void show_stat(pid_t pid, const struct report *r)
{
	printf("%12s%15s%10s%10s%10s%10s\n", "process", "instructions",
	       "faults", "inserted", "cleared", "events");
	printf("%12d%15s%10s%10s%10s%10s\n", pid, num(r->state.count),
	       num(r->stat.out_faults), num(r->stat.out_inserted),
	       num(r->stat.out_cleared), num(r->stat.out_events));
}

/* Shows where the first ones are, and returns how many neighbours are so here. */
static int show_pieces(const struct report *r, int *nr)
{
	const struct mmext_gmap_address *p = r->pieces;
	int i, beside = 0;

	*nr = 0;
	for (i = 0; i < NR_SEGMENTS; i++) {
		if (!p[i].length)
			continue;
		if (++*nr <= 4)
			printf("   guest %#8lx  is at %#lx\n",
			       (unsigned long)p[i].gaddr,
			       (unsigned long)p[i].vmaddr);
		if (i && p[i - 1].length &&
		    p[i].vmaddr == p[i - 1].vmaddr + SEGMENT)
			beside++;
	}
	return beside;
}

static void show_whole(struct report *r, const char *expected, size_t length)
{
	int nr, beside;
	pid_t pid;

	step("A guest in pieces: interpreted through the window, to the end");
	pid = in_process(run_to_end, r);
	beside = show_pieces(r, &nr);
	claim(nr > 4 && !beside,
	      "%d pieces of %lu KiB in a row; neighbours that are so here: %d",
	      nr, SEGMENT >> 10, beside);
	show_output(r);
	claim(r->exited && !r->status, "the guest exits with %d", r->status);
	claim(r->length == length && !memcmp(r->output, expected, length),
	      "it wrote what it writes under qemu-user, %zu bytes", length);
	claim(r->dropped >= 3 && r->stores >= 3,
	      "it stored over its own code: %s events, %s of them stores",
	      num(r->events), num(r->stores));
	show_stat(pid, r);
}

static void show_saved(struct report *r)
{
	pid_t pid;

	step("Another process: all is saved early, at half way what is dirty");
	pid = in_process(run_and_save, r);
	show_output(r);
	claim(!r->exited && r->saved == half,
	      "saved after %s instructions; the process ends here",
	      num(r->saved));
	claim(r->all && r->dirty && r->dirty < r->all,
	      "pages saved at first: %s, later: %s", num(r->all),
	      num(r->dirty));
	claim(r->changed && !r->missed,
	      "pages that had changed meanwhile: %s, without a mark: %s",
	      num(r->changed), num(r->missed));
	show_stat(pid, r);
}

static void show_restored(struct report *r, const struct report *whole,
			  const struct report *saved)
{
	int i, nr = 0, same = 0;
	pid_t pid;

	step("A third process: restored into other pieces, run to the end");
	pid = in_process(restore_and_run, r);
	for (i = 0; i < NR_SEGMENTS; i++) {
		nr += !!r->pieces[i].length;
		same += r->pieces[i].length &&
			r->pieces[i].vmaddr == saved->pieces[i].vmaddr;
	}
	claim(nr && same <= nr / 4,
	      "%d pieces, %d of them at the address that they had", nr, same);
	show_output(r);
	claim(r->exited && !r->status &&
	      saved->length + r->length == whole->length &&
	      !memcmp(whole->output, saved->output, saved->length) &&
	      !memcmp(whole->output + saved->length, r->output, r->length),
	      "both halves of the output are the whole, %zu and %zu bytes",
	      saved->length, r->length);
	claim(!memcmp(&r->state, &whole->state, sizeof(r->state)),
	      "the same registers, and %s instructions in all",
	      num(r->state.count));
	claim(r->hash == whole->hash, "the same memory: hash %016lx", r->hash);
	show_stat(pid, r);
}

static const void *map_file(const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const void *p;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		die("%s: %s", path, strerror(errno));
	p = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die("%s: %s", path, strerror(errno));
	close(fd);
	*length = st.st_size;
	return p;
}

static void check_elf(void)
{
	const Elf64_Ehdr *e = (const void *)elf;

	if (elf_size < sizeof(*e) || memcmp(e->e_ident, ELFMAG, SELFMAG) ||
	    e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_type != ET_EXEC ||
	    e->e_machine != EM_RISCV || e->e_phentsize != sizeof(Elf64_Phdr) ||
	    e->e_phoff > elf_size ||
	    e->e_phnum > (elf_size - e->e_phoff) / sizeof(Elf64_Phdr))
		die("%s: not a static riscv64 program", guest);
}

int main(int argc, char **argv)
{
	struct report *r;	/* one for each process */
	const char *expected;
	size_t length;

	show_begin();
	if (argc != 3)
		die("usage: emulator GUEST OUTPUT");
	guest = argv[1];
	elf = map_file(guest, &elf_size);
	check_elf();
	expected = map_file(argv[2], &length);
	if (!space_can_be()) {
		printf("this kernel, or tlb=kernel, shows no guest spaces\n");
		return SKIPPED;
	}
	checkpoint = memfd_create("checkpoint", MFD_CLOEXEC);
	r = mmap(NULL, 3 * sizeof(*r), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (checkpoint < 0 || r == MAP_FAILED)
		die("%s", strerror(errno));

	printf("mmext: a riscv64 program, %s bytes, in scattered memory\n",
	       num(elf_size));
	show_whole(&r[0], expected, length);
	half = r[0].state.count / 2;
	show_saved(&r[1]);
	show_restored(&r[2], &r[0], &r[1]);
	show_end();
	return 0;
}
