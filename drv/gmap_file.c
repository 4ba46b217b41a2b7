// SPDX-License-Identifier: GPL-2.0
/*
 * A guest space as a file: its ioctls, read(2), write(2) and mmap(2).
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/mmext.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "gmap_file.h"
#include "ioctl.h"

/* Pages that one step of a long call works on between looks for a signal. */
#define FAULT_STEP_PAGES	64UL
#define DISCARD_STEP_PAGES	(1UL << (30 - PAGE_SHIFT))

/* Guest addresses that REVERSE tells at most. */
#define REVERSE_MAX		SZ_1M

#define EVENTS_DEFAULT		1024
#define EVENTS_MAX		65536

static u64 file_limit(struct file *file)
{
	return mmext_gmap_limit(file->private_data);
}

/* A range of whole pages, of which the last may be the one that the limit is in. */
static int check_guest(struct file *file, u64 gaddr, u64 length)
{
	if (!PAGE_ALIGNED(gaddr) || !PAGE_ALIGNED(length))
		return -EINVAL;
	if (!length)
		return 0;
	if (length - 1 > U64_MAX - gaddr)
		return -EOVERFLOW;
	if (gaddr + (length - 1) > (file_limit(file) | ~PAGE_MASK))
		return -EINVAL;
	return 0;
}

static int do_map(struct file *file, void *arg)
{
	struct mmext_gmap_map *m = arg;

	return mmext_gmap_map_segment(file->private_data, m->from, m->to,
				      m->length);
}

/* Pieces that are copied at once. */
#define BATCH	(PAGE_SIZE / sizeof(struct mmext_gmap_piece))

static int map_some(struct mmext_gmap *g, struct mmext_gmap_map_batch *b,
		    struct mmext_gmap_piece *p)
{
	unsigned int n = min_t(u32, b->nr, BATCH), done;
	int err;

	if (copy_from_user(p, u64_to_user_ptr(b->pieces), n * sizeof(*p)))
		return -EFAULT;

	err = mmext_gmap_map_pieces(g, p, n, &done);
	b->pieces += done * sizeof(*p);
	b->nr -= done;
	return err;
}

static int do_map_batch(struct file *file, void *arg)
{
	struct mmext_gmap_map_batch *b = arg;
	struct mmext_gmap_piece *p;
	bool progress = false;
	int err = 0;

	if (b->reserved)
		return -EINVAL;
	p = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!p)
		return -ENOMEM;

	while (b->nr && !err) {
		if (signal_pending(current)) {
			err = progress ? 0 : -EINTR;
			break;
		}
		err = map_some(file->private_data, b, p);
		progress = true;
		cond_resched();
	}
	free_page((unsigned long)p);
	return err;
}

static int do_unmap(struct file *file, void *arg)
{
	struct mmext_gmap_unmap *u = arg;

	return mmext_gmap_unmap_segment(file->private_data, u->to, u->length);
}

/* Segments that TRANSLATE of one address looks at for what is contiguous. */
#define CONTIGUOUS_MAX	SZ_1G

static void translate_one(struct mmext_gmap *g, struct mmext_gmap_address *a,
			  unsigned long most)
{
	unsigned long vmaddr;

	a->length = mmext_gmap_contiguous(g, a->gaddr, &vmaddr, most);
	a->vmaddr = a->length ? vmaddr : 0;
}

/* On the stack: a page would have to be cleared. */
#define ADDRESSES	32

static int translate_some(struct mmext_gmap *g, struct mmext_gmap_translate *t,
			  struct mmext_gmap_address *a)
{
	unsigned int n = min_t(u32, t->nr, ADDRESSES), i;
	void __user *to = u64_to_user_ptr(t->addresses);

	if (copy_from_user(a, to, n * sizeof(*a)))
		return -EFAULT;
	/* no further than the segment, but the answer is of all of them */
	for (i = 0; i < n; i++)
		translate_one(g, &a[i], 1);
	if (copy_to_user(to, a, n * sizeof(*a)))
		return -EFAULT;
	t->addresses += n * sizeof(*a);
	t->nr -= n;
	return 0;
}

static int translate_single(struct mmext_gmap *g,
			    struct mmext_gmap_translate *t)
{
	void __user *to = u64_to_user_ptr(t->addresses);
	struct mmext_gmap_address a;

	if (copy_from_user(&a, to, sizeof(a)))
		return -EFAULT;
	translate_one(g, &a, CONTIGUOUS_MAX);
	if (copy_to_user(to, &a, sizeof(a)) || !a.length)
		return -EFAULT;
	t->addresses += sizeof(a);
	t->nr = 0;
	return 0;
}

static int do_translate(struct file *file, void *arg)
{
	struct mmext_gmap_translate *t = arg;
	struct mmext_gmap_address a[ADDRESSES];
	bool progress = false;
	int err = 0;

	if (t->reserved || !t->nr)
		return -EINVAL;
	if (t->nr == 1)
		return translate_single(file->private_data, t);

	while (t->nr && !err) {
		if (signal_pending(current))
			return progress ? 0 : -EINTR;
		err = translate_some(file->private_data, t, a);
		progress = true;
		cond_resched();
	}
	return err;
}

static int compare_addresses(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static int do_reverse(struct file *file, void *arg)
{
	struct mmext_gmap *g = file->private_data;
	struct mmext_gmap_reverse *r = arg;
	unsigned long room, nr = 16;
	u64 *gaddrs = NULL;
	int err = 0;

	/* all of them, to have the lowest in their order */
	do {
		room = nr;
		kvfree(gaddrs);
		gaddrs = kvmalloc_array(room, sizeof(*gaddrs),
					GFP_KERNEL_ACCOUNT);
		if (!gaddrs)
			return -ENOMEM;
		nr = mmext_gmap_reverse(g, r->vmaddr, gaddrs, room);
	} while (nr > room && nr <= REVERSE_MAX);

	r->out_nr = min_t(unsigned long, nr, U32_MAX);
	nr = min(nr, room);
	sort(gaddrs, nr, sizeof(*gaddrs), compare_addresses, NULL);
	nr = min_t(unsigned long, nr, r->nr);
	if (copy_to_user(u64_to_user_ptr(r->gaddrs), gaddrs,
			 nr * sizeof(*gaddrs)))
		err = -EFAULT;
	kvfree(gaddrs);
	return err;
}

static int do_link(struct file *file, void *arg)
{
	struct mmext_gmap *g = file->private_data;
	struct mmext_gmap_link *l = arg;
	int err;

	mmext_gmap_lock(g);
	err = __mmext_gmap_link(g, l->gaddr, l->vmaddr);
	mmext_gmap_unlock(g);
	return err;
}

static int do_unlink(struct file *file, void *arg)
{
	struct mmext_gmap *g = file->private_data;
	struct mmext_gmap_unlink *u = arg;
	struct mmext_gmap_info before, after;

	if (u->reserved)
		return -EINVAL;
	if (u->flags & MMEXT_GMAP_UNLINK_EVERY_SPACE) {
		u->out_unlinked = mmext_gmap_unlink(mmext_gmap_parent(g), NULL,
						    u->vmaddr);
		return 0;
	}

	mmext_gmap_lock(g);
	__mmext_gmap_info(g, &before);
	__mmext_gmap_unlink_by_vmaddr(g, u->vmaddr);
	__mmext_gmap_info(g, &after);
	mmext_gmap_unlock(g);
	u->out_unlinked = before.linked - after.linked;
	return 0;
}

static long fault_step(struct file *file, void *arg, u64 pages)
{
	struct mmext_gmap_fault *f = arg;
	unsigned int flags = 0;
	unsigned long i;
	int err;

	if (f->flags & MMEXT_GMAP_FAULT_WRITE)
		flags |= FAULT_FLAG_WRITE;
	if (f->flags & MMEXT_GMAP_FAULT_NOWAIT)
		flags |= FAULT_FLAG_RETRY_NOWAIT;

	for (i = 0; i < min_t(u64, pages, FAULT_STEP_PAGES); i++) {
		err = mmext_gmap_fault(file->private_data,
				       f->gaddr + (i << PAGE_SHIFT), flags);
		if (err)
			return i ?: err;
	}
	return i;
}

static int do_fault(struct file *file, void *arg)
{
	struct mmext_gmap_fault *f = arg;
	int err = check_guest(file, f->gaddr, f->length);

	return err ?: in_steps(file, f, &f->gaddr, NULL, &f->length,
			       fault_step);
}

static u64 step_bytes(u64 pages, unsigned long most)
{
	return min_t(u64, pages, most) << PAGE_SHIFT;
}

static long notify_step(struct file *file, void *arg, u64 pages)
{
	struct mmext_gmap_notify *n = arg;
	long ret;

	ret = mmext_gmap_ipte_notify(file->private_data, n->gaddr,
				     step_bytes(pages, FAULT_STEP_PAGES),
				     n->flags & MMEXT_GMAP_NOTIFY_READ ?
				     MMEXT_GMAP_NOTIFY_FOR_READ : 0);
	return ret < 0 ? ret : ret >> PAGE_SHIFT;
}

static int do_notify(struct file *file, void *arg)
{
	struct mmext_gmap_notify *n = arg;
	int err = check_guest(file, n->gaddr, n->length);

	return err ?: in_steps(file, n, &n->gaddr, NULL, &n->length,
			       notify_step);
}

static long protect_step(struct file *file, void *arg, u64 pages)
{
	struct mmext_gmap_protect *p = arg;
	long ret;

	ret = mmext_gmap_protect_notify(file->private_data, p->gaddr,
					step_bytes(pages, FAULT_STEP_PAGES),
					p->flags & MMEXT_GMAP_PROTECT_READ);
	return ret < 0 ? ret : ret >> PAGE_SHIFT;
}

static int do_protect(struct file *file, void *arg)
{
	struct mmext_gmap_protect *p = arg;
	int err;

	if (hweight32(p->flags) != 1)
		return -EINVAL;
	err = check_guest(file, p->gaddr, p->length);
	return err ?: in_steps(file, p, &p->gaddr, NULL, &p->length,
			       protect_step);
}

static long discard_step(struct file *file, void *arg, u64 pages)
{
	struct mmext_gmap_discard *d = arg;
	long ret;

	ret = mmext_gmap_discard(file->private_data, d->gaddr,
				 step_bytes(pages, DISCARD_STEP_PAGES));
	return ret < 0 ? ret : ret >> PAGE_SHIFT;
}

static int do_discard(struct file *file, void *arg)
{
	struct mmext_gmap_discard *d = arg;
	int err = check_guest(file, d->gaddr, d->length);

	return err ?: in_steps(file, d, &d->gaddr, NULL, &d->length,
			       discard_step);
}

static unsigned long limit_runs(void *arg, unsigned long first,
				unsigned long nr)
{
	return dirty_find_runs(arg, first, nr);
}

static long dirty_get_step(struct file *file, void *arg, u64 pages)
{
	struct mmext_gmap *gmap = file->private_data;
	struct dirty_get *g = arg;
	struct mmext_dirty *d = g->d;
	bool clear = d->flags & MMEXT_DIRTY_CLEAR;
	bool runs = d->flags & MMEXT_DIRTY_RUNS;
	unsigned long first = d->offset >> PAGE_SHIFT, nr;
	int err;

	BUILD_BUG_ON(DIRTY_PAGES != MMEXT_GMAP_BLOCK_PAGES);
	if (runs) {
		if (!d->nr)
			return 0;
		nr = mmext_gmap_dirty_next(gmap, first, first + pages - 1) -
		     first;
		/* a stretch without a log has no marks */
		if (nr)
			return nr;
	}

	nr = mmext_gmap_dirty_get(gmap, first, pages, g->marks,
				  runs ? limit_runs : NULL, g, clear);
	err = dirty_put_marks(g, first, nr);
	if (err && clear)
		mmext_gmap_dirty_restore(gmap, first, nr, g->marks);
	return err ?: (long)nr;
}

static long dirty_track_step(struct file *file, void *arg, u64 pages)
{
	struct mmext_gmap *gmap = file->private_data;
	struct mmext_dirty *d = arg;
	unsigned long first = d->offset >> PAGE_SHIFT;

	return d->flags & MMEXT_DIRTY_START ?
	       mmext_gmap_dirty_start(gmap, first, pages) :
	       mmext_gmap_dirty_stop(gmap, first, pages);
}

static int do_dirty(struct file *file, void *arg)
{
	struct mmext_dirty *d = arg;
	u32 what;
	int err;

	err = dirty_check(file, d, &what);
	if (!err)
		err = check_guest(file, d->offset, d->length);
	if (err)
		return err;

	if (what == MMEXT_DIRTY_GET)
		return dirty_get(file, d, dirty_get_step);
	return in_steps(file, d, &d->offset, NULL, &d->length,
			dirty_track_step);
}

/* What AGE has found and not given out yet. */
struct age_get {
	struct mmext_gmap_age *a;
	unsigned long young[BITS_TO_LONGS(MMEXT_GMAP_BLOCK_PAGES)];
};

static long age_step(struct file *file, void *arg, u64 pages)
{
	struct age_get *g = arg;
	unsigned long first = g->a->gaddr >> PAGE_SHIFT, nr;
	size_t size;

	nr = mmext_gmap_age(file->private_data, first, pages, g->young);
	size = BITS_TO_LONGS(nr) * sizeof(long);
	if (copy_to_user(u64_to_user_ptr(g->a->marks),
			 &g->young[first % MMEXT_GMAP_BLOCK_PAGES /
				   BITS_PER_LONG], size))
		return -EFAULT;
	g->a->marks += size;
	return nr;
}

static int do_age(struct file *file, void *arg)
{
	struct mmext_gmap_age *a = arg;
	struct age_get *g;
	int err;

	err = check_guest(file, a->gaddr, a->length);
	if (err)
		return err;
	if ((a->gaddr >> PAGE_SHIFT) % BITS_PER_LONG)
		return -EINVAL;

	g = kzalloc(sizeof(*g), GFP_KERNEL_ACCOUNT);
	if (!g)
		return -ENOMEM;
	g->a = a;
	err = in_steps(file, g, &a->gaddr, NULL, &a->length, age_step);
	kfree(g);
	return err;
}

static struct file *do_events(struct file *file, void *arg)
{
	struct mmext_gmap_events *e = arg;

	if (e->nr > EVENTS_MAX)
		return ERR_PTR(-EINVAL);
	return gmap_events_file(file->private_data, e->nr ?: EVENTS_DEFAULT);
}

static int do_stat(struct file *file, void *arg)
{
	struct mmext_gmap_stat *s = arg;
	struct mmext_gmap_info info;

	mmext_gmap_info(file->private_data, &info);
	s->out_limit = info.limit;
	s->out_segments = info.segments;
	s->out_linked = info.linked;
	s->out_armed = info.armed;
	s->out_records = info.records;
	s->out_inserted = info.inserted;
	s->out_cleared = info.cleared;
	s->out_faults = info.faults;
	s->out_retries = info.retries;
	s->out_events = info.events;
	s->out_notified = info.notified;
	s->out_segment_shift = info.shift;
	s->out_flags = info.flags & MMEXT_GMAP_ALLOC_EXCLUSIVE ?
		       MMEXT_GMAP_CREATE_EXCLUSIVE : 0;
	return 0;
}

/* What a row says beside: only the parent may. */
#define PARENT	BIT(0)

static const struct op ops[] = {
	IOCTL_OP(GMAP_MAP, mmext_gmap_map, length, 0, false, PARENT, do_map),
	IOCTL_OP(GMAP_MAP_BATCH, mmext_gmap_map_batch, reserved, 0, false,
		 PARENT, do_map_batch),
	IOCTL_OP(GMAP_UNMAP, mmext_gmap_unmap, length, 0, false, PARENT,
		 do_unmap),
	IOCTL_OP(GMAP_TRANSLATE, mmext_gmap_translate, reserved, 0, false, 0,
		 do_translate),
	IOCTL_OP(GMAP_REVERSE, mmext_gmap_reverse, out_nr, 0, false, 0,
		 do_reverse),
	IOCTL_OP(GMAP_LINK, mmext_gmap_link, vmaddr, 0, false, PARENT,
		 do_link),
	IOCTL_OP(GMAP_UNLINK, mmext_gmap_unlink, reserved,
		 MMEXT_GMAP_UNLINK_EVERY_SPACE, false, PARENT, do_unlink),
	IOCTL_OP(GMAP_FAULT, mmext_gmap_fault, length,
		 MMEXT_GMAP_FAULT_WRITE | MMEXT_GMAP_FAULT_NOWAIT, false, 0,
		 do_fault),
	IOCTL_OP(GMAP_NOTIFY, mmext_gmap_notify, length,
		 MMEXT_GMAP_NOTIFY_READ, false, 0, do_notify),
	IOCTL_OP(GMAP_PROTECT, mmext_gmap_protect, length,
		 MMEXT_GMAP_PROTECT_NONE | MMEXT_GMAP_PROTECT_READ, false, 0,
		 do_protect),
	IOCTL_OP(GMAP_DISCARD, mmext_gmap_discard, length, 0, false, PARENT,
		 do_discard),
	IOCTL_OP(GMAP_DIRTY, mmext_dirty, reserved,
		 MMEXT_DIRTY_START | MMEXT_DIRTY_STOP | MMEXT_DIRTY_GET |
		 MMEXT_DIRTY_CLEAR | MMEXT_DIRTY_RUNS, false, 0, do_dirty),
	IOCTL_OP(GMAP_AGE, mmext_gmap_age, marks, 0, false, 0, do_age),
	IOCTL_FD_OP(GMAP_EVENTS, mmext_gmap_events, 0, do_events),
	IOCTL_OP(GMAP_STAT, mmext_gmap_stat, out_flags, 0, false, 0, do_stat),
};

union args {
	struct ioctl_head head;
	struct mmext_gmap_map map;
	struct mmext_gmap_map_batch map_batch;
	struct mmext_gmap_unmap unmap;
	struct mmext_gmap_translate translate;
	struct mmext_gmap_reverse reverse;
	struct mmext_gmap_link link;
	struct mmext_gmap_unlink unlink;
	struct mmext_gmap_fault fault;
	struct mmext_gmap_notify notify;
	struct mmext_gmap_protect protect;
	struct mmext_gmap_discard discard;
	struct mmext_dirty dirty;
	struct mmext_gmap_age age;
	struct mmext_gmap_events events;
	struct mmext_gmap_stat stat;
};

static int begin(struct file *file, const struct op *op)
{
	return mmext_gmap_gone(file->private_data) ? -ESRCH : 0;
}

static int checked(struct file *file, const struct op *op)
{
	struct mmext_gmap *g = file->private_data;

	if (op->what & PARENT && mmext_gmap_parent(g) != current->mm)
		return -EPERM;
	return 0;
}

static const struct op_table table = {
	.ops = ops,
	.nr = ARRAY_SIZE(ops),
	.begin = begin,
	.checked = checked,
};

static long gmap_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	union args args;

	return ioctl_dispatch(file, cmd, arg, &table, &args.head);
}

/* The guest addresses that a file position reaches end here, at the latest. */
static loff_t file_end(struct file *file)
{
	return min_t(u64, file_limit(file), LLONG_MAX - 1) + 1;
}

static ssize_t gmap_rw(struct kiocb *iocb, struct iov_iter *iter, bool write)
{
	struct file *file = iocb->ki_filp;
	struct mmext_gmap *g = file->private_data;
	loff_t end = file_end(file);
	size_t count = iov_iter_count(iter), rest = 0;
	ssize_t ret;

	if (mmext_gmap_gone(g))
		return -ESRCH;
	if (!count || iocb->ki_pos >= end)
		return count && write ? -ENOSPC : 0;

	if (count > end - iocb->ki_pos) {
		rest = count - (end - iocb->ki_pos);
		iov_iter_truncate(iter, count - rest);
	}
	ret = mmext_gmap_access_iter(g, iocb->ki_pos, iter, write);
	iov_iter_reexpand(iter, iov_iter_count(iter) + rest);
	if (ret > 0)
		iocb->ki_pos += ret;
	return ret;
}

static ssize_t gmap_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	return gmap_rw(iocb, to, false);
}

static ssize_t gmap_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	/* guest memory has no end of data to append to */
	if (iocb->ki_flags & IOCB_APPEND)
		return -EINVAL;
	return gmap_rw(iocb, from, true);
}

static loff_t gmap_llseek(struct file *file, loff_t offset, int whence)
{
	if (whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END)
		return -EINVAL;
	return generic_file_llseek_size(file, offset, whence, LLONG_MAX,
					file_end(file));
}

static int gmap_file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mmext_gmap *g = file->private_data;

	if (mmext_gmap_gone(g))
		return -ESRCH;
	if (vma->vm_pgoff + vma_pages(vma) - 1 >
	    file_limit(file) >> PAGE_SHIFT)
		return -EINVAL;
	return mmext_gmap_mmap(mmext_gmap_view(g), vma);
}

static int gmap_release(struct inode *inode, struct file *file)
{
	mmext_gmap_free(file->private_data);
	return 0;
}

static const struct file_operations gmap_fops = {
	.owner = THIS_MODULE,
	.release = gmap_release,
	.llseek = gmap_llseek,
	.read_iter = gmap_read_iter,
	.write_iter = gmap_write_iter,
	.mmap = gmap_file_mmap,
	.unlocked_ioctl = gmap_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.fsync = noop_fsync,	/* for msync(2) */
};

/* Of the caller's own memory. */
static struct mmext_gmap *create(struct mmext_gmap_create *c)
{
	unsigned int flags = c->flags & MMEXT_GMAP_CREATE_EXCLUSIVE ?
			     MMEXT_GMAP_ALLOC_EXCLUSIVE : 0;
	struct mmext_gmap *g;

	if (c->segment_shift || flags)
		return mmext_gmap_create(current->mm, c->limit,
					 c->segment_shift ?:
					 MMEXT_GMAP_DEFAULT_SHIFT, flags);

	g = mmext_gmap_alloc(current->mm, c->limit);
	if (g)
		return g;
	return ERR_PTR(fatal_signal_pending(current) ? -EINTR : -ENOMEM);
}

struct file *gmap_do_create(struct file *dev, void *arg)
{
	struct mmext_gmap *g = create(arg);
	struct file *file;

	if (IS_ERR(g))
		return ERR_CAST(g);
	file = anon_inode_getfile("[mmext-gmap]", &gmap_fops, g, O_RDWR);
	if (IS_ERR(file))
		mmext_gmap_free(g);
	else
		file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	return file;
}

/* Have the windows of a device show the space of a descriptor. */
int gmap_enable_fd(struct mmext_gmap_view *view, int fd)
{
	struct file *file = fget(fd);
	struct mmext_gmap *g;
	int err = -EINVAL;

	if (!file)
		return -EBADF;
	if (file->f_op == &gmap_fops) {
		g = file->private_data;
		if (mmext_gmap_gone(g))
			err = -ESRCH;
		else if (mmext_gmap_parent(g) != current->mm)
			err = -EPERM;
		else
			err = mmext_gmap_enable(view, g);
	}
	fput(file);
	return err;
}
