/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's memory: pieces of this process's, a segment each, that a guest space
 * of /dev/mmext shows in a row.
 */
#ifndef SPACE_H
#define SPACE_H

#include <stdbool.h>

#include <linux/mmext.h>

#include "riscv.h"

#define PAGE		4096UL
#define SEGMENT_SHIFT	16
#define SEGMENT		0x10000UL
#define NR_SEGMENTS	256
#define SPACE_SIZE	(NR_SEGMENTS * SEGMENT)
#define SPACE_PAGES	(SPACE_SIZE / PAGE)

struct space {
	int fd;
	int events;
	unsigned char *window;		/* guest address 0 */
	bool mapped[NR_SEGMENTS];
	/* where pieces are made: one in two places, in an order of chance */
	unsigned char *arena;
	int memfd;
	bool anonymous;			/* pieces may be so */
	int order[NR_SEGMENTS];
	int nr_pieces;
};

/**
 * space_can_be - does this kernel show guest spaces?
 *
 * Return: whether windows can be mapped.
 */
bool space_can_be(void);

/**
 * space_create - a guest space in which nothing is mapped, and its window
 * @s: filled in
 * @seed: says in which order pieces lie
 */
void space_create(struct space *s, unsigned int seed);

/**
 * space_map - have memory in a range, where there is none yet
 * @s: the space
 * @gaddr: guest address
 * @length: bytes
 *
 * In whole segments.
 */
void space_map(struct space *s, u64 gaddr, u64 length);

/**
 * space_pieces - ask where everything lies
 * @s: the space
 * @pieces: a row for each segment, of which length is 0 where nothing is mapped
 */
void space_pieces(struct space *s, struct mmext_gmap_address *pieces);

/**
 * space_read - copy out of the guest's memory
 * @s: the space
 * @gaddr: guest address
 * @buffer: to where
 * @length: bytes
 */
void space_read(struct space *s, u64 gaddr, void *buffer, u64 length);

/**
 * space_write - copy into the guest's memory
 * @s: the space
 * @gaddr: guest address
 * @buffer: from where
 * @length: bytes
 */
void space_write(struct space *s, u64 gaddr, const void *buffer,
		 u64 length);

/**
 * space_arm - have an event when somebody stores to a page
 * @s: the space
 * @gaddr: guest address of the page
 */
void space_arm(struct space *s, u64 gaddr);

/**
 * space_events - take what events there are
 * @s: the space
 * @events: filled in
 * @nr: that there is room for
 *
 * Return: how many there were.
 */
int space_events(struct space *s, struct mmext_gmap_event *events, int nr);

/**
 * space_track - begin to log stores
 * @s: the space
 */
void space_track(struct space *s);

/**
 * space_dirty - take the log of stores, and go on with an empty one
 * @s: the space
 * @runs: filled in
 * @nr: that there is room for; there never are more than SPACE_PAGES
 *
 * Return: how many runs there were.
 */
int space_dirty(struct space *s, struct mmext_run *runs, int nr);

/**
 * space_stat - what the space has done
 * @s: the space
 * @stat: filled in
 */
void space_stat(struct space *s, struct mmext_gmap_stat *stat);

#endif /* SPACE_H */
