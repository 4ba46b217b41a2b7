// SPDX-License-Identifier: GPL-2.0
/*
 * The guest: sorts some MiB of words by one byte after the other, and writes what
 * it has after each.  The function that takes the byte out of a word is machine code
 * that it makes for the occasion, each time in the same place.
 *
 * For riscv64 Linux, without a C library.
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

#define NR_WORDS	(384 * 1024UL)
#define PAGE		4096

enum { SYS_WRITE = 64, SYS_EXIT = 93, SYS_BRK = 214, SYS_MPROTECT = 226 };
enum { PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4 };

static u8 code[PAGE] __attribute__((__aligned__(PAGE)));
static u32 count[256];

static long syscall(long nr, long arg0, long arg1, long arg2)
{
	register long a0 asm("a0") = arg0;
	register long a1 asm("a1") = arg1;
	register long a2 asm("a2") = arg2;
	register long a7 asm("a7") = nr;

	asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
	return a0;
}

static char *put(char *p, const char *text)
{
	while (*text)
		*p++ = *text++;
	return p;
}

static char *put_number(char *p, u64 n)
{
	if (n >= 10)
		p = put_number(p, n / 10);
	*p++ = '0' + n % 10;
	return p;
}

static char *put_hex(char *p, u64 n)
{
	int i;

	for (i = 60; i >= 0; i -= 4)
		*p++ = "0123456789abcdef"[n >> i & 15];
	return p;
}

static void say(const char *what, u64 nr, u64 sum)
{
	char line[80], *p = put(line, what);

	p = put_number(p, nr);
	p = put(p, ": ");
	p = put_hex(p, sum);
	p = put(p, "\n");
	syscall(SYS_WRITE, 1, (long)line, p - line);
}

/* x -> x >> @shift & 255 */
static u32 (*make_digit(u32 shift))(u32)
{
	u32 *insn = (u32 *)code;

	insn[0] = 0x0005551b | shift << 20;	/* srliw a0, a0, shift */
	insn[1] = 0x0ff57513;			/* andi a0, a0, 255 */
	insn[2] = 0x00008067;			/* ret */
	asm volatile("fence.i" : : : "memory");
	return (u32 (*)(u32))code;
}

static void sort_by_digit(const u32 *from, u32 *to, u32 (*digit)(u32))
{
	u32 sum = 0, nr;
	u64 i;

	for (i = 0; i < 256; i++)
		count[i] = 0;
	for (i = 0; i < NR_WORDS; i++)
		count[digit(from[i])]++;
	for (i = 0; i < 256; i++) {
		nr = count[i];
		count[i] = sum;
		sum += nr;
	}
	for (i = 0; i < NR_WORDS; i++)
		to[count[digit(from[i])]++] = from[i];
}

static u64 checksum(const u32 *words)
{
	u64 sum = 0xcbf29ce484222325, i;

	for (i = 0; i < NR_WORDS; i++)
		sum = (sum ^ words[i]) * 0x100000001b3;
	return sum;
}

static int in_order(const u32 *words)
{
	u64 i;

	for (i = 1; i < NR_WORDS; i++)
		if (words[i - 1] > words[i])
			return 0;
	return 1;
}

static int run(void)
{
	u64 x = 88172645463325252, i, bytes = NR_WORDS * sizeof(u32);
	u32 *from = (u32 *)((syscall(SYS_BRK, 0, 0, 0) + 15) & ~15L), *to, *swap;
	u32 shift;

	if (syscall(SYS_BRK, (long)from + 2 * bytes, 0, 0) <
	    (long)(from + 2 * NR_WORDS))
		return 2;
	if (syscall(SYS_MPROTECT, (long)code, PAGE,
		    PROT_READ | PROT_WRITE | PROT_EXEC))
		return 2;

	to = from + NR_WORDS;
	for (i = 0; i < NR_WORDS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		from[i] = x >> 16;
	}
	say("words to sort ", NR_WORDS, checksum(from));
	for (shift = 0; shift < 32; shift += 8) {
		sort_by_digit(from, to, make_digit(shift));
		swap = from;
		from = to;
		to = swap;
		say("by the byte at bit ", shift, checksum(from));
	}
	say("the median is word ", NR_WORDS / 2, from[NR_WORDS / 2]);
	return in_order(from) ? 0 : 1;
}

void _start(void);
void _start(void)
{
	syscall(SYS_EXIT, run(), 0, 0);
	__builtin_unreachable();
}
