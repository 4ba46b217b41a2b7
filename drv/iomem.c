// SPDX-License-Identifier: GPL-2.0
/*
 * Physical ranges that regions show: claimed for the region alone, and mapped
 * by the kernel with the memory type of the region's entries for as long, so
 * that nobody can map them with another.
 */
#include <linux/capability.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/security.h>
#include <linux/slab.h>

#include "../mm_ext/pgtable.h"
#include "region.h"

/**
 * iomem_claim - take a physical range
 * @phys: its address, a multiple of the page size
 * @length: bytes, a multiple of the page size, not 0
 * @cache: MMEXT_CACHE_WC or MMEXT_CACHE_UC
 *
 * Return: the range, for iomem_release(); ERR_PTR: -EPERM the caller has not
 * CAP_SYS_RAWIO, or the kernel is locked down; -EINVAL memory, or no physical
 * address; -EBUSY it is a driver's; -ENOMEM.
 */
struct iomem *iomem_claim(u64 phys, u64 length, u32 cache)
{
	struct iomem *io;
	int err = -EBUSY;

	if (!capable(CAP_SYS_RAWIO) || security_locked_down(LOCKDOWN_DEV_MEM))
		return ERR_PTR(-EPERM);
	if (!mmext_pfns_possible(phys >> PAGE_SHIFT, length >> PAGE_SHIFT) ||
	    region_intersects(phys, length, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT)
		return ERR_PTR(-EINVAL);

	io = kzalloc(sizeof(*io), GFP_KERNEL_ACCOUNT);
	if (!io)
		return ERR_PTR(-ENOMEM);
	io->phys = phys;
	io->length = length;
	io->cache = cache;

	/* exclusively: not for /dev/mem either */
	if (!request_mem_region_exclusive(phys, length, KBUILD_MODNAME))
		goto free;

	err = -ENOMEM;
	io->virt = cache == MMEXT_CACHE_WC ? ioremap_wc(phys, length) :
					     ioremap(phys, length);
	if (!io->virt)
		goto release;
	return io;

release:
	release_mem_region(phys, length);
free:
	kfree(io);
	return ERR_PTR(err);
}

/**
 * iomem_release - give a physical range back, and no more than that
 * @io: nothing shows it any more; it stays, to say what it was
 */
void iomem_release(struct iomem *io)
{
	if (!io->virt)
		return;
	iounmap(io->virt);
	io->virt = NULL;
	release_mem_region(io->phys, io->length);
}

/* The protection for entries of the range, of the type it is held with. */
pgprot_t iomem_prot(struct iomem *io, pgprot_t prot)
{
	/* what ioremap() is: UC- on x86, nGnRE on arm64 */
	return io->cache == MMEXT_CACHE_WC ? pgprot_writecombine(prot) :
					     pgprot_device(prot);
}

/* Context: region->lock, at least for read, of a region that was not revoked. */
void iomem_copy(struct iomem *io, u64 offset, void *buf, size_t len, bool write)
{
	if (write)
		memcpy_toio(io->virt + offset, buf, len);
	else
		memcpy_fromio(buf, io->virt + offset, len);
}
