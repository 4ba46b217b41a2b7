/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the engine's files keep to themselves is exported in the test build, for
 * the KUnit suites, which are a module of their own.
 */
#ifndef _MMEXT_VISIBLE_H
#define _MMEXT_VISIBLE_H

#ifdef MMEXT_TEST
#include <linux/export.h>
#define EXPORT_SYMBOL_MMEXT_TEST(_sym)	EXPORT_SYMBOL_GPL(_sym)
#else
#define EXPORT_SYMBOL_MMEXT_TEST(_sym)
#endif

#endif /* _MMEXT_VISIBLE_H */
