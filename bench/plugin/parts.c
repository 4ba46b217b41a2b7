// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU: how often each stretch of instructions was executed between marks
 * that the guest makes, the first of which begins and the next ends.  A mark is
 * "xchg %bx, %bx", which does nothing.
 *
 * Output, at the end, into the file that the argument "out" names: a line a stretch:
 * how often, how many instructions, address of the first.  And ahead of these a line
 * with how often counting began.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used here of QEMU's interface for plugins, in its version 3. */
typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;

#define EXPORT	__attribute__((__visibility__("default")))

typedef void (*tb_fn)(plugin_id id, struct qemu_plugin_tb *tb);
typedef void (*exec_fn)(unsigned int cpu, void *arg);
typedef void (*exit_fn)(plugin_id id, void *arg);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, tb_fn cb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_fn cb,
					  int flags, void *arg);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    exec_fn cb, int flags, void *arg);
void qemu_plugin_register_atexit_cb(plugin_id id, exit_fn cb, void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *dest,
			     size_t len);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

EXPORT int qemu_plugin_version = 3;

/**
 * struct stretch - instructions that are executed one after the other
 * @next: in the list of all
 * @addr: of the first
 * @insns: how many
 * @times: executed
 */
struct stretch {
	struct stretch *next;
	uint64_t addr;
	uint64_t insns;
	uint64_t times;
};

static struct stretch *stretches;
static const char *out = "parts";
static uint64_t begun;
static bool counting;

static void executed(unsigned int cpu, void *arg)
{
	struct stretch *s = arg;

	(void)cpu;
	s->times += counting;
}

static void marked(unsigned int cpu, void *arg)
{
	(void)cpu;
	(void)arg;
	counting = !counting;
	begun += counting;
}

static bool is_mark(const struct qemu_plugin_insn *insn)
{
	char bytes[3];

	return qemu_plugin_insn_size(insn) == sizeof(bytes) &&
	       qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) == sizeof(bytes) &&
	       !memcmp(bytes, "\x66\x87\xdb", sizeof(bytes));
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	struct stretch *s = calloc(1, sizeof(*s));
	size_t i;

	(void)id;
	if (!s)
		abort();
	s->insns = qemu_plugin_tb_n_insns(tb);
	s->addr = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, 0));
	s->next = stretches;
	stretches = s;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, s);
	for (i = 0; i < s->insns; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (is_mark(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marked, 0,
							       NULL);
	}
}

static void finished(plugin_id id, void *arg)
{
	FILE *file = fopen(out, "w");
	struct stretch *s;

	(void)id;
	(void)arg;
	if (!file)
		abort();
	fprintf(file, "%" PRIu64 "\n", begun);
	for (s = stretches; s; s = s->next) {
		if (s->times)
			fprintf(file, "%" PRIu64 " %" PRIu64 " %#" PRIx64 "\n",
				s->times, s->insns, s->addr);
	}
	fclose(file);
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info_t *info,
			       int argc, char **argv);

int qemu_plugin_install(plugin_id id, const struct qemu_info_t *info, int argc,
			char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (strncmp(argv[i], "out=", 4))
			return -1;
		out = argv[i] + 4;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finished, NULL);
	return 0;
}
