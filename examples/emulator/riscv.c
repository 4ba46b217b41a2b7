// SPDX-License-Identifier: GPL-2.0
/*
 * Interprets RV64IMAC.  An instruction is decoded where it is met first, compressed
 * or not, into one form, and what was decoded is kept until hart_forget().
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "riscv.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the guest's memory is little-endian, and is accessed as it is"
#endif

/*
 * In groups, so that funct3 is added to the first of a group; where that leaves
 * holes, decode() lets nothing through.
 */
enum op {
	UNKNOWN, ILLEGAL, LUI, AUIPC, JAL, JALR, FENCE, FENCE_I, ECALL,
	BEQ = 0x10, BNE, BLT = BEQ + 4, BGE, BLTU, BGEU,
	LB = 0x18, LH, LW, LD, LBU, LHU, LWU,
	SB = 0x20, SH, SW, SD,
	ADDI = 0x28, SLLI, SLTI, SLTIU, XORI, SRLI, ORI, ANDI, SRAI,
	ADDIW = 0x38, SLLIW, SRLIW = ADDIW + 5, SRAIW,
	ADD = 0x40, SLL, SLT, SLTU, XOR, SRL, OR, AND, SUB, SRA,
	ADDW = 0x50, SLLW, SRLW = ADDW + 5, SUBW, SRAW,
	MUL = 0x58, MULH, MULHSU, MULHU, DIV, DIVU, REM, REMU,
	MULW = 0x60, DIVW = MULW + 4, DIVUW, REMW, REMUW,
	AMO_W = 0x80,		/* and funct5, below */
	AMO_D = 0xa0,
};

enum amo {
	AMOADD, AMOSWAP, LR, SC, AMOXOR, AMOOR = 8, AMOAND = 12,
	AMOMIN = 16, AMOMAX = 20, AMOMINU = 24, AMOMAXU = 28,
};

struct insn {
	u8 op;
	u8 length;		/* bytes, 2 or 4 */
	u8 rd, rs1, rs2;
	s32 imm;
};

#define SLOTS	(CODE_PAGE / 2)

struct code {
	struct insn insn[SLOTS];
};

/* Bits @high to @low of @w, as a number. */
static u32 bits(u32 w, int high, int low)
{
	return w << (31 - high) >> (31 - high + low);
}

/* The low @nr bits of @w with their sign. */
static s32 sign(u32 w, int nr)
{
	return (s32)(w << (32 - nr)) >> (32 - nr);
}

static struct insn decode_shift(struct insn i, u32 w, int width, int arith)
{
	u32 top = w >> (20 + width);

	i.imm = bits(w, 19 + width, 20);
	if (top == 0x400U >> width && bits(w, 14, 12) == 5)
		i.op = arith;
	else if (top)
		i.op = ILLEGAL;
	return i;
}

static u8 decode_op(u32 w, int f3)
{
	switch (w >> 25) {
	case 0x00:	return ADD + f3;
	case 0x01:	return MUL + f3;
	case 0x20:	return f3 == 0 ? SUB : f3 == 5 ? SRA : ILLEGAL;
	}
	return ILLEGAL;
}

static u8 decode_op32(u32 w, int f3)
{
	switch (w >> 25) {
	case 0x00:	return f3 == 0 || f3 == 1 || f3 == 5 ? ADDW + f3 : ILLEGAL;
	case 0x01:	return f3 == 0 || f3 >= 4 ? MULW + f3 : ILLEGAL;
	case 0x20:	return f3 == 0 ? SUBW : f3 == 5 ? SRAW : ILLEGAL;
	}
	return ILLEGAL;
}

static u8 decode_amo(u32 w, int f3)
{
	int f5 = w >> 27;

	if ((f3 != 2 && f3 != 3) || (f5 > SC && f5 % 4) ||
	    (f5 == LR && bits(w, 24, 20)))
		return ILLEGAL;
	return (f3 == 2 ? AMO_W : AMO_D) + f5;
}

static struct insn decode(u32 w)
{
	int f3 = bits(w, 14, 12);
	struct insn i = {
		.op = ILLEGAL, .length = 4, .rd = bits(w, 11, 7),
		.rs1 = bits(w, 19, 15), .rs2 = bits(w, 24, 20),
		.imm = sign(w >> 20, 12),
	};

	switch (bits(w, 6, 0)) {
	case 0x03:
		if (f3 <= 6)
			i.op = LB + f3;
		break;
	case 0x0f:
		if (f3 <= 1)
			i.op = FENCE + f3;
		break;
	case 0x13:
		i.op = ADDI + f3;
		if (f3 == 1 || f3 == 5)
			i = decode_shift(i, w, 6, SRAI);
		break;
	case 0x17:
		i.op = AUIPC;
		i.imm = w & ~0xfffU;
		break;
	case 0x1b:
		if (f3 == 0 || f3 == 1 || f3 == 5)
			i.op = ADDIW + f3;
		if (f3 == 1 || f3 == 5)
			i = decode_shift(i, w, 5, SRAIW);
		break;
	case 0x23:
		if (f3 <= 3)
			i.op = SB + f3;
		i.imm = sign(bits(w, 31, 25) << 5 | bits(w, 11, 7), 12);
		break;
	case 0x2f:
		i.op = decode_amo(w, f3);
		break;
	case 0x33:
		i.op = decode_op(w, f3);
		break;
	case 0x37:
		i.op = LUI;
		i.imm = w & ~0xfffU;
		break;
	case 0x3b:
		i.op = decode_op32(w, f3);
		break;
	case 0x63:
		if (f3 != 2 && f3 != 3)
			i.op = BEQ + f3;
		i.imm = sign(bits(w, 31, 31) << 12 | bits(w, 7, 7) << 11 |
			     bits(w, 30, 25) << 5 | bits(w, 11, 8) << 1, 13);
		break;
	case 0x67:
		if (f3 == 0)
			i.op = JALR;
		break;
	case 0x6f:
		i.op = JAL;
		i.imm = sign(bits(w, 31, 31) << 20 | bits(w, 19, 12) << 12 |
			     bits(w, 20, 20) << 11 | bits(w, 30, 21) << 1, 21);
		break;
	case 0x73:
		if (w == 0x73)
			i.op = ECALL;
		break;
	}
	return i;
}

/* The arithmetic of quadrant 1, on the registers that three bits can name. */
static struct insn decode_c_alu(u32 w, struct insn i)
{
	static const u8 ops[8] = {
		SUB, XOR, OR, AND, SUBW, ADDW, ILLEGAL, ILLEGAL,
	};

	i.rd = bits(w, 9, 7) + 8;
	i.rs1 = i.rd;
	switch (bits(w, 11, 10)) {
	case 0:
	case 1:
		i.op = bits(w, 11, 10) ? SRAI : SRLI;
		i.imm &= 63;
		break;
	case 2:
		i.op = ANDI;
		break;
	case 3:
		i.op = ops[bits(w, 12, 12) << 2 | bits(w, 6, 5)];
		i.rs2 = bits(w, 4, 2) + 8;
		break;
	}
	return i;
}

static struct insn decode_c_jump(u32 w, struct insn i)
{
	u8 rs2 = bits(w, 6, 2);
	bool link = bits(w, 12, 12);

	if (rs2) {			/* C.MV, C.ADD */
		i.op = ADD;
		i.rs1 = link ? i.rd : ZERO;
		i.rs2 = rs2;
	} else if (i.rd) {		/* C.JR, C.JALR */
		i.op = JALR;
		i.rd = link ? RA : ZERO;
		i.imm = 0;
	}
	return i;
}

static struct insn decode_c(u32 w)
{
	int f3 = bits(w, 15, 13), quadrant = bits(w, 1, 0);
	struct insn i = {
		.op = ILLEGAL, .length = 2, .rd = bits(w, 11, 7),
		.rs1 = bits(w, 11, 7), .rs2 = ZERO,
		.imm = sign(bits(w, 12, 12) << 5 | bits(w, 6, 2), 6),
	};
	/* offsets of words and double words, from a register and from the stack */
	s32 word = bits(w, 12, 10) << 3 | bits(w, 6, 6) << 2 |
		       bits(w, 5, 5) << 6;
	s32 dword = bits(w, 12, 10) << 3 | bits(w, 6, 5) << 6;
	s32 sp_word = bits(w, 12, 12) << 5 | bits(w, 6, 4) << 2 |
			  bits(w, 3, 2) << 6;
	s32 sp_dword = bits(w, 12, 12) << 5 | bits(w, 6, 5) << 3 |
			   bits(w, 4, 2) << 6;

	switch (quadrant << 3 | f3) {
	case 000:			/* C.ADDI4SPN */
		i.rd = bits(w, 4, 2) + 8;
		i.rs1 = SP;
		i.imm = bits(w, 12, 11) << 4 | bits(w, 10, 7) << 6 |
			bits(w, 6, 6) << 2 | bits(w, 5, 5) << 3;
		if (i.imm)
			i.op = ADDI;
		break;
	case 002:			/* C.LW, C.LD, C.SW, C.SD */
	case 003:
		i.op = LB + f3;
		i.rd = bits(w, 4, 2) + 8;
		i.rs1 = bits(w, 9, 7) + 8;
		i.imm = f3 == 2 ? word : dword;
		break;
	case 006:
	case 007:
		i.op = SB + f3 - 4;
		i.rs1 = bits(w, 9, 7) + 8;
		i.rs2 = bits(w, 4, 2) + 8;
		i.imm = f3 == 6 ? word : dword;
		break;
	case 010:			/* C.ADDI */
		i.op = ADDI;
		break;
	case 011:			/* C.ADDIW */
		if (i.rd)
			i.op = ADDIW;
		break;
	case 012:			/* C.LI */
		i.op = ADDI;
		i.rs1 = ZERO;
		break;
	case 013:			/* C.LUI, C.ADDI16SP */
		i.op = i.imm ? LUI : ILLEGAL;
		i.imm *= 1 << 12;
		if (i.rd == SP) {
			i.op = i.imm ? ADDI : ILLEGAL;
			i.imm = sign(bits(w, 12, 12) << 9 | bits(w, 6, 6) << 4 |
				     bits(w, 5, 5) << 6 | bits(w, 4, 3) << 7 |
				     bits(w, 2, 2) << 5, 10);
		}
		break;
	case 014:
		i = decode_c_alu(w, i);
		break;
	case 015:			/* C.J */
		i.op = JAL;
		i.rd = ZERO;
		i.imm = sign(bits(w, 12, 12) << 11 | bits(w, 11, 11) << 4 |
			     bits(w, 10, 9) << 8 | bits(w, 8, 8) << 10 |
			     bits(w, 7, 7) << 6 | bits(w, 6, 6) << 7 |
			     bits(w, 5, 3) << 1 | bits(w, 2, 2) << 5, 12);
		break;
	case 016:			/* C.BEQZ, C.BNEZ */
	case 017:
		i.op = BEQ + f3 - 6;
		i.rs1 = bits(w, 9, 7) + 8;
		i.imm = sign(bits(w, 12, 12) << 8 | bits(w, 11, 10) << 3 |
			     bits(w, 6, 5) << 6 | bits(w, 4, 3) << 1 |
			     bits(w, 2, 2) << 5, 9);
		break;
	case 020:			/* C.SLLI */
		i.op = SLLI;
		i.imm &= 63;
		break;
	case 022:			/* C.LWSP, C.LDSP */
	case 023:
		if (i.rd)
			i.op = LB + f3;
		i.rs1 = SP;
		i.imm = f3 == 2 ? sp_word : sp_dword;
		break;
	case 024:
		i = decode_c_jump(w, i);
		break;
	case 026:			/* C.SWSP, C.SDSP */
	case 027:
		i.op = SB + f3 - 4;
		i.rs1 = SP;
		i.rs2 = bits(w, 6, 2);
		i.imm = f3 == 6 ? bits(w, 12, 9) << 2 | bits(w, 8, 7) << 6 :
				  bits(w, 12, 10) << 3 | bits(w, 9, 7) << 6;
		break;
	}
	return i;
}

int hart_init(struct hart *h, void *mem, u64 size)
{
	memset(h, 0, sizeof(*h));
	h->mem = mem;
	h->size = size;
	h->state.reserved = NOT_RESERVED;
	h->code = calloc(size / CODE_PAGE, sizeof(*h->code));
	return h->code ? 0 : -1;
}

int hart_watch(struct hart *h, u64 addr)
{
	struct code **code = &h->code[addr / CODE_PAGE];

	if (!*code)
		*code = calloc(1, sizeof(**code));
	return *code ? 0 : -1;
}

int hart_forget(struct hart *h, u64 addr)
{
	u64 page = addr / CODE_PAGE;
	int was = h->code[page] ? 1 : 0;

	free(h->code[page]);
	h->code[page] = NULL;
	/* an instruction may begin in one page and end in the next */
	if (page && h->code[page - 1])
		h->code[page - 1]->insn[SLOTS - 1].op = UNKNOWN;
	return was;
}

/* Is there decoded code at @addr, or may there be? */
static bool is_watched(struct hart *h, u64 addr, enum stop *stop)
{
	h->where = addr;
	*stop = addr < h->size ? STOP_CODE : STOP_ACCESS;
	return addr < h->size && h->code[addr / CODE_PAGE];
}

/* The instruction at pc; NULL if it can't be had yet, or at all. */
static const struct insn *fetch(struct hart *h, u64 pc, enum stop *stop)
{
	struct insn *i;
	u16 half;
	u32 word;

	if (!is_watched(h, pc, stop))
		return NULL;
	i = &h->code[pc / CODE_PAGE]->insn[pc % CODE_PAGE / 2];
	if (i->op != UNKNOWN)
		return i;

	memcpy(&half, h->mem + pc, sizeof(half));
	if ((half & 3) != 3) {
		*i = decode_c(half);
		return i;
	}
	if (!is_watched(h, pc + 2, stop))
		return NULL;
	memcpy(&word, h->mem + pc, sizeof(word));
	*i = decode(word);
	return i;
}

static u64 divide(u64 a, u64 b, bool remainder)
{
	s64 n = a, d = b;

	if (!d)
		return remainder ? a : ~0ULL;
	if (n == (s64)(1ULL << 63) && d == -1)
		return remainder ? 0 : a;
	return remainder ? n % d : n / d;
}

static u64 divide_unsigned(u64 a, u64 b, bool remainder)
{
	if (!b)
		return remainder ? a : ~0ULL;
	return remainder ? a % b : a / b;
}

/* A word that is extended by its sign keeps its order among others, in both ways. */
static u64 modify(enum amo what, u64 old, u64 val)
{
	switch (what) {
	case AMOADD:	return old + val;
	case AMOXOR:	return old ^ val;
	case AMOOR:	return old | val;
	case AMOAND:	return old & val;
	case AMOMIN:	return (s64)old < (s64)val ? old : val;
	case AMOMAX:	return (s64)old > (s64)val ? old : val;
	case AMOMINU:	return old < val ? old : val;
	case AMOMAXU:	return old > val ? old : val;
	default:	return val;
	}
}

/* There is one hart, so nothing comes between the load and the store. */
static bool atomic(struct hart *h, const struct insn *i)
{
	enum amo what = (i->op - AMO_W) % 32;
	size_t bytes = i->op < AMO_D ? 4 : 8;
	u64 *x = h->state.x, addr = x[i->rs1], val = x[i->rs2], old = 0;
	bool stores = true;
	s32 word;

	h->where = addr;
	if (addr % bytes || addr >= h->size)
		return false;
	if (bytes == 4)
		val = (s32)val;
	if (what == SC) {
		stores = h->state.reserved == addr;
		old = !stores;
		h->state.reserved = NOT_RESERVED;
	} else if (bytes == 4) {
		memcpy(&word, h->mem + addr, bytes);
		old = (s64)word;
	} else {
		memcpy(&old, h->mem + addr, bytes);
	}
	if (what == LR) {
		stores = false;
		h->state.reserved = addr;
	}
	val = modify(what, old, val);
	if (stores)
		memcpy(h->mem + addr, &val, bytes);
	x[i->rd] = old;
	return true;
}

/* Of a load or store, the bytes that are to be inside of the memory. */
static bool is_memory(struct hart *h, u64 addr, size_t bytes)
{
	h->where = addr;
	return addr <= h->size - bytes;
}

static bool load(struct hart *h, const struct insn *i)
{
	int f3 = i->op - LB, bytes = 1 << (f3 & 3), shift = 64 - 8 * bytes;
	u64 *x = h->state.x, addr = x[i->rs1] + i->imm, val = 0;

	if (!is_memory(h, addr, bytes))
		return false;
	memcpy(&val, h->mem + addr, bytes);
	val <<= shift;
	x[i->rd] = f3 & 4 ? val >> shift : (u64)((s64)val >> shift);
	return true;
}

static bool store(struct hart *h, const struct insn *i)
{
	int bytes = 1 << (i->op - SB);
	u64 *x = h->state.x, addr = x[i->rs1] + i->imm;

	if (!is_memory(h, addr, bytes))
		return false;
	memcpy(h->mem + addr, &x[i->rs2], bytes);
	return true;
}

#define branch_if(is_true) do {						\
	if (is_true)							\
		next = pc + imm;					\
} while (0)

enum stop hart_run(struct hart *h, u64 until)
{
	struct state *s = &h->state;
	enum stop stop;

	while (s->count < until) {
		u64 pc = s->pc, next, a, b, *rd;
		const struct insn *i = fetch(h, pc, &stop);
		s64 imm;

		if (!i)
			return stop;
		next = pc + i->length;
		a = s->x[i->rs1];
		b = s->x[i->rs2];
		rd = &s->x[i->rd];
		imm = i->imm;
		stop = STOP_COUNT;

		switch (i->op) {
		case LUI:	*rd = imm; break;
		case AUIPC:	*rd = pc + imm; break;
		case JAL:
			*rd = next;
			next = pc + imm;
			break;
		case JALR:
			*rd = next;
			next = (a + imm) & ~1ULL;
			break;
		case FENCE:	break;
		case FENCE_I:	stop = STOP_FENCE_I; break;
		case ECALL:	stop = STOP_ECALL; break;

		case BEQ:	branch_if(a == b); break;
		case BNE:	branch_if(a != b); break;
		case BLT:	branch_if((s64)a < (s64)b); break;
		case BGE:	branch_if((s64)a >= (s64)b); break;
		case BLTU:	branch_if(a < b); break;
		case BGEU:	branch_if(a >= b); break;

		case LB ... LWU:
			if (!load(h, i))
				return STOP_ACCESS;
			break;
		case SB ... SD:
			if (!store(h, i))
				return STOP_ACCESS;
			break;

		case ADDI:	*rd = a + imm; break;
		case SLLI:	*rd = a << imm; break;
		case SLTI:	*rd = (s64)a < imm; break;
		case SLTIU:	*rd = a < (u64)imm; break;
		case XORI:	*rd = a ^ imm; break;
		case SRLI:	*rd = a >> imm; break;
		case SRAI:	*rd = (s64)a >> imm; break;
		case ORI:	*rd = a | imm; break;
		case ANDI:	*rd = a & imm; break;
		case ADDIW:	*rd = (s32)(a + imm); break;
		case SLLIW:	*rd = (s32)((u32)a << imm); break;
		case SRLIW:	*rd = (s32)((u32)a >> imm); break;
		case SRAIW:	*rd = (s32)a >> imm; break;

		case ADD:	*rd = a + b; break;
		case SUB:	*rd = a - b; break;
		case SLL:	*rd = a << (b & 63); break;
		case SLT:	*rd = (s64)a < (s64)b; break;
		case SLTU:	*rd = a < b; break;
		case XOR:	*rd = a ^ b; break;
		case SRL:	*rd = a >> (b & 63); break;
		case SRA:	*rd = (s64)a >> (b & 63); break;
		case OR:	*rd = a | b; break;
		case AND:	*rd = a & b; break;
		case ADDW:	*rd = (s32)(a + b); break;
		case SUBW:	*rd = (s32)(a - b); break;
		case SLLW:	*rd = (s32)((u32)a << (b & 31)); break;
		case SRLW:	*rd = (s32)((u32)a >> (b & 31)); break;
		case SRAW:	*rd = (s32)a >> (b & 31); break;

		case MUL:	*rd = a * b; break;
		case MULH:
			*rd = (__int128_t)(s64)a * (s64)b >> 64;
			break;
		case MULHSU:
			*rd = (__int128_t)(s64)a * (__int128_t)b >> 64;
			break;
		case MULHU:	*rd = (__uint128_t)a * b >> 64; break;
		case DIV:	*rd = divide(a, b, false); break;
		case DIVU:	*rd = divide_unsigned(a, b, false); break;
		case REM:	*rd = divide(a, b, true); break;
		case REMU:	*rd = divide_unsigned(a, b, true); break;
		case MULW:	*rd = (s32)(a * b); break;
		case DIVW:
			*rd = (s32)divide((s32)a, (s32)b, false);
			break;
		case DIVUW:
			*rd = (s32)divide_unsigned((u32)a, (u32)b,
						       false);
			break;
		case REMW:
			*rd = (s32)divide((s32)a, (s32)b, true);
			break;
		case REMUW:
			*rd = (s32)divide_unsigned((u32)a, (u32)b,
						       true);
			break;

		default:
			if (i->op < AMO_W)
				return STOP_ILLEGAL;
			if (!atomic(h, i))
				return STOP_ACCESS;
		}
		s->x[ZERO] = 0;
		s->pc = next;
		s->count++;
		if (stop != STOP_COUNT)
			return stop;
	}
	return STOP_COUNT;
}
