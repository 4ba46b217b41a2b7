// SPDX-License-Identifier: GPL-2.0
/*
 * Event descriptors: what armed guest pages have to say, for programs.
 */
#include <linux/anon_inodes.h>
#include <linux/mmext.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <uapi/linux/mmext.h>

#include "gmap_file.h"

/**
 * struct gmap_events - an event descriptor
 * @nb: who is called
 * @gmap: of which space
 * @wait: who reads and polls
 * @reading: what is given out stays until it was
 * @lock: of what follows
 * @gone: there will be no more
 * @lost: events that there was no room for, since the last that there was
 * @head: where the next goes, modulo @nr
 * @tail: the oldest
 * @nr: elements of @ring
 * @ring: events
 */
struct gmap_events {
	struct mmext_gmap_notifier nb;
	struct mmext_gmap *gmap;
	wait_queue_head_t wait;
	struct mutex reading;	/* one reader at a time */
	spinlock_t lock;	/* of what follows */
	bool gone;
	u32 lost;
	u32 head;
	u32 tail;
	u32 nr;
	struct mmext_gmap_event ring[];
};

static void put(struct gmap_events *ev, u64 gaddr, u32 flags, u32 lost)
{
	ev->ring[ev->head++ % ev->nr] = (struct mmext_gmap_event) {
		.gaddr = gaddr,
		.flags = flags,
		.lost = lost,
	};
}

static void put_event(struct gmap_events *ev, u64 gaddr, u32 flags)
{
	u32 room = ev->nr - (ev->head - ev->tail);

	if (room < (ev->lost ? 2 : 1)) {
		ev->lost++;
		return;
	}
	if (ev->lost)
		put(ev, 0, MMEXT_GMAP_EVENT_OVERFLOW, ev->lost);
	ev->lost = 0;
	put(ev, gaddr, flags, 0);
}

/* With the space's spinlock held. */
static void event(struct mmext_gmap_notifier *nb, struct mmext_gmap *gmap,
		  unsigned long gaddr, unsigned int flags)
{
	struct gmap_events *ev = container_of(nb, struct gmap_events, nb);

	if (gmap != ev->gmap)
		return;

	spin_lock(&ev->lock);
	if (flags & MMEXT_GMAP_NOTIFY_GONE)
		ev->gone = true;
	else
		put_event(ev, gaddr, flags & MMEXT_GMAP_NOTIFY_ACCESS ?
			  MMEXT_GMAP_EVENT_ACCESS : 0);
	spin_unlock(&ev->lock);
	wake_up_interruptible_poll(&ev->wait, EPOLLIN);
}

/* The oldest, which stay.  Returns how many there are. */
static unsigned int peek(struct gmap_events *ev, struct mmext_gmap_event *to,
			 unsigned int most)
{
	unsigned int n = 0;
	u32 at;

	spin_lock(&ev->lock);
	for (at = ev->tail; n < most && at != ev->head; at++)
		to[n++] = ev->ring[at % ev->nr];
	if (n < most && ev->lost)
		to[n++] = (struct mmext_gmap_event) {
			.flags = MMEXT_GMAP_EVENT_OVERFLOW,
			.lost = ev->lost,
		};
	spin_unlock(&ev->lock);
	return n;
}

/* They were given out. */
static void take(struct gmap_events *ev, const struct mmext_gmap_event *taken,
		 unsigned int n)
{
	const struct mmext_gmap_event *last;

	spin_lock(&ev->lock);
	if (n > ev->head - ev->tail) {
		ev->lost -= taken[n - 1].lost;
		ev->tail = ev->head;
	} else if (n) {
		ev->tail += n;
		/* that some were lost may have become an element, of some more */
		last = &ev->ring[(ev->tail - 1) % ev->nr];
		ev->lost += last->lost - taken[n - 1].lost;
	}
	spin_unlock(&ev->lock);
}

static bool readable(struct gmap_events *ev)
{
	return READ_ONCE(ev->tail) != READ_ONCE(ev->head) ||
	       READ_ONCE(ev->lost);
}

static ssize_t events_read(struct file *file, char __user *buf, size_t len,
			   loff_t *pos)
{
	struct gmap_events *ev = file->private_data;
	struct mmext_gmap_event some[16];
	size_t done = 0;
	unsigned long failed;
	unsigned int n;

	if (len < sizeof(*some))
		return -EINVAL;

	while (len - done >= sizeof(*some)) {
		if (mutex_lock_interruptible(&ev->reading))
			return done ?: -ERESTARTSYS;
		n = peek(ev, some, min_t(size_t, ARRAY_SIZE(some),
					 (len - done) / sizeof(*some)));
		failed = copy_to_user(buf + done, some, n * sizeof(*some));
		if (!failed)
			take(ev, some, n);
		mutex_unlock(&ev->reading);
		if (failed)
			return done ?: -EFAULT;
		done += n * sizeof(*some);
		if (n)
			continue;

		if (done || READ_ONCE(ev->gone))
			return done;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(ev->wait, readable(ev) ||
					     READ_ONCE(ev->gone)))
			return -ERESTARTSYS;
	}
	return done;
}

static __poll_t events_poll(struct file *file, poll_table *wait)
{
	struct gmap_events *ev = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &ev->wait, wait);
	if (readable(ev))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (READ_ONCE(ev->gone))
		mask |= EPOLLHUP;
	return mask;
}

static void free_events(struct gmap_events *ev)
{
	mmext_gmap_unregister_ipte_notifier(&ev->nb);
	mmext_gmap_put(ev->gmap);
	kvfree(ev);
}

static int events_release(struct inode *inode, struct file *file)
{
	free_events(file->private_data);
	return 0;
}

static const struct file_operations events_fops = {
	.owner = THIS_MODULE,
	.release = events_release,
	.read = events_read,
	.poll = events_poll,
};

/**
 * gmap_events_file - make the file of an event descriptor
 * @g: the space
 * @nr: events that it has room for
 *
 * Return: the file; ERR_PTR: -ENOMEM, -ENFILE.
 */
struct file *gmap_events_file(struct mmext_gmap *g, unsigned int nr)
{
	struct gmap_events *ev;
	struct file *file;

	ev = kvzalloc(struct_size(ev, ring, nr), GFP_KERNEL_ACCOUNT);
	if (!ev)
		return ERR_PTR(-ENOMEM);
	init_waitqueue_head(&ev->wait);
	mutex_init(&ev->reading);
	spin_lock_init(&ev->lock);
	ev->nr = nr;
	ev->gmap = mmext_gmap_get(g);
	ev->nb.notifier_call = event;
	mmext_gmap_register_ipte_notifier(&ev->nb);
	/* it may have gone ahead of that */
	if (mmext_gmap_gone(g))
		ev->gone = true;

	file = anon_inode_getfile("[mmext-gmap-events]", &events_fops, ev,
				  O_RDONLY);
	if (IS_ERR(file))
		free_events(ev);
	return file;
}
