/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How make demo says things, and that what it says is true.
 */
#ifndef SHOW_H
#define SHOW_H

#include <stdbool.h>

#define __attr(...)	__attribute__((__VA_ARGS__))
#define __noreturn	__attr(__noreturn__)
#define __printf(a, b)	__attr(__format__(printf, a, b))

/**
 * show_begin - before anything is said
 */
void show_begin(void);

/**
 * show_end - say how much was claimed
 */
void show_end(void);

/**
 * step - begin the next part
 * @text: what it is about
 */
void step(const char *text);

/**
 * claim - say something that is true, or else end
 * @is_true: is it?
 * @fmt: what is said
 */
__printf(2, 3) void claim(bool is_true, const char *fmt, ...);

/**
 * die - end, and say why
 * @fmt: why
 */
__noreturn __printf(1, 2) void die(const char *fmt, ...);

/**
 * num - a number with commas
 * @n: the number
 *
 * Return: text that is good for the next few calls.
 */
const char *num(unsigned long n);

#endif /* SHOW_H */
