// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "show.h"

#define WIDTH		70	/* columns of text before an "ok" */

static bool colours;
static int claims;

void show_begin(void)
{
	colours = isatty(STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

void show_end(void)
{
	printf("\nAll of it is true: %d checks.\n", claims);
}

void die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void claim(bool is_true, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	claims++;
	printf("   %-*s  %s%s%s\n", WIDTH, text,
	       !colours ? "" : is_true ? "\033[32m" : "\033[31m",
	       is_true ? "ok" : "WRONG", colours ? "\033[0m" : "");
	if (!is_true)
		die("not as it should be: %s", text);
}

void step(const char *text)
{
	static int nr;

	printf("\n%s%d. %s%s\n", colours ? "\033[1m" : "", ++nr, text,
	       colours ? "\033[0m" : "");
}

const char *num(unsigned long n)
{
	static char texts[8][32];
	static unsigned int next;
	char *p = texts[next++ % 8] + 31;
	int digits = 0;

	*p = '\0';
	do {
		if (digits && digits % 3 == 0)
			*--p = ',';
		*--p = '0' + n % 10;
		digits++;
		n /= 10;
	} while (n);
	return p;
}
