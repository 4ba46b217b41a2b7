/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the bench's module share. */
#ifndef MMEXT_BENCH_MODULE_H
#define MMEXT_BENCH_MODULE_H

#include "mmext_bench.h"

struct miscdevice;

/* gmap.c */
extern struct miscdevice bench_gmap_misc;

#endif /* MMEXT_BENCH_MODULE_H */
