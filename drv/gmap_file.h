/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest spaces as the device knows them.
 */
#ifndef _MMEXT_GMAP_FILE_H
#define _MMEXT_GMAP_FILE_H

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mmext.h>

#ifdef CONFIG_MMU_NOTIFIER
/* Can a guest space be mapped? */
static inline bool gmap_windows_possible(void)
{
	return mmext_gmap_windows_possible();
}

/* gmap_file.c */
struct file *gmap_do_create(struct file *file, void *arg);
int gmap_enable_fd(struct mmext_gmap_view *view, int fd);

/* gmap_event.c */
struct file *gmap_events_file(struct mmext_gmap *g, unsigned int nr);

static inline void gmap_view_init(struct mmext_gmap_view *view)
{
	mmext_gmap_view_init(view);
}

static inline int gmap_disable_view(struct mmext_gmap_view *view)
{
	return mmext_gmap_disable(view);
}

static inline int gmap_mmap(struct mmext_gmap_view *view,
			    struct vm_area_struct *vma)
{
	return mmext_gmap_mmap(view, vma);
}
#else
static inline bool gmap_windows_possible(void)
{
	return false;
}

static inline struct file *gmap_do_create(struct file *file, void *arg)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline int gmap_enable_fd(struct mmext_gmap_view *view, int fd)
{
	return -EOPNOTSUPP;
}

static inline void gmap_view_init(struct mmext_gmap_view *view)
{
}

static inline int gmap_disable_view(struct mmext_gmap_view *view)
{
	return 0;
}

static inline int gmap_mmap(struct mmext_gmap_view *view,
			    struct vm_area_struct *vma)
{
	return -EOPNOTSUPP;
}
#endif

#endif /* _MMEXT_GMAP_FILE_H */
