// SPDX-License-Identifier: GPL-2.0
/*
 * A note for a debugger: a text in a region, which somebody else is to read, and to
 * change to "latter".  Says its process and where the note is, and waits.
 *
 *	gdb -p PID -ex 'print (char *)ADDRESS'
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	const struct timespec tick = { .tv_nsec = 10000000 };
	int fd = open("/dev/mmext", O_RDWR), ticks;
	volatile char *note;

	if (fd < 0)
		return perror("/dev/mmext"), 1;
	note = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (note == MAP_FAILED)
		return perror("mmap"), 1;

	strcpy((char *)note, "sooner");
	/* where only a parent may look into a process */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	printf("%d %p\n", getpid(), (void *)note);
	fflush(stdout);

	for (ticks = 0; ticks < 6000; ticks++) {
		if (!strcmp((char *)note, "latter"))
			return 0;
		nanosleep(&tick, NULL);
	}
	return 1;
}
