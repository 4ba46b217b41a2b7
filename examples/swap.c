// SPDX-License-Identifier: GPL-2.0
/*
 * A double buffer: a child shows frames out of the first half of a region,
 * while its parent draws the next one in the second half; then one MMEXT_REMAP
 * exchanges the two in both processes, and no byte is copied.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/mmext.h>

#define FRAME	(256 * 1024UL)
#define FRAMES	8

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Exchange the two halves; after a signal, what is left of it. */
static void swap(int fd)
{
	struct mmext_remap arg = {
		.size = sizeof(arg),
		.to = FRAME,
		.length = FRAME,
	};

	while (arg.length)
		if (ioctl(fd, MMEXT_REMAP, &arg))
			die("MMEXT_REMAP");
}

int main(void)
{
	int fd = open("/dev/mmext", O_RDWR), next[2], shown[2], i;
	unsigned char *front, *back, frame = 0;

	if (fd < 0)
		die("/dev/mmext");
	front = mmap(NULL, 2 * FRAME, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     0);
	if (front == MAP_FAILED)
		die("mmap");
	back = front + FRAME;
	if (pipe(next) || pipe(shown))
		die("pipe");

	if (!fork()) {
		close(next[1]);
		close(shown[0]);
		for (i = 0; i < FRAMES; i++) {
			if (read(next[0], &frame, 1) != 1)
				die("read");
			if (front[0] != frame || front[FRAME - 1] != frame)
				return 1;
			printf("frame %d\n", front[0]);
			if (write(shown[1], &frame, 1) != 1)
				die("write");
		}
		return 0;
	}

	/* so that each sees when the other is gone */
	close(next[0]);
	close(shown[1]);
	signal(SIGPIPE, SIG_IGN);
	for (frame = 1; frame <= FRAMES; frame++) {
		memset(back, frame, FRAME);
		swap(fd);
		if (write(next[1], &frame, 1) != 1 ||
		    read(shown[0], &frame, 1) != 1)
			die("pipe");
	}
	wait(&i);
	return i ? 1 : 0;
}
