#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# probe.sh SYMVERS CC FLAGS...: what the kernel being built for has, as a C
# header on standard output.  Distributions backport, so a version number does
# not tell; the compiler and the list of exported symbols do.
set -eu

symvers=$1
shift

if [ ! -s "$symvers" ]; then
	echo "mmext: $symvers is missing: build the kernel, or install its headers package" >&2
	exit 1
fi

exported() {
	grep -q "	$1	" "$symvers"
}

# Stop the build here, with the name, and not at modpost with a list.
needs() {
	for sym; do
		exported "$sym" || {
			echo "mmext: needs $sym, which this kernel does not export" >&2
			exit 1
		}
	done
}

# compiles NAME BODY COMMAND...: does a function with that body compile?
compiles() {
	name=$1 body=$2
	shift 2
	if printf '%s\n' "#include <linux/mm.h>" \
		"void probe(struct vm_area_struct *vma, pte_t pte);" \
		"void probe(struct vm_area_struct *vma, pte_t pte)" \
		"{ $body; }" |
	   "$@" -Werror=implicit-function-declaration -Wno-unused \
		-DKBUILD_MODNAME='"probe"' -DKBUILD_BASENAME='"probe"' \
		-fsyntax-only -x c - >/dev/null 2>&1; then
		echo "#define MMEXT_HAVE_$name 1"
	fi
}

needs apply_to_page_range unmap_mapping_range alloc_anon_inode init_pseudo

echo "/* made by probe.sh */"
for sym in zap_vma_ptes zap_special_vma_range zap_page_range \
	zap_page_range_single zap_vma_range follow_pfn import_ubuf \
	lruvec_stat_mod_folio __lruvec_stat_mod_folio __mod_lruvec_page_state; do
	if exported "$sym"; then
		echo "#define MMEXT_HAVE_$(echo "$sym" | tr '[:lower:]' '[:upper:]') 1"
	fi
done
compiles VM_FLAGS_SET 'vm_flags_set(vma, 0)' "$@"
compiles IS_COW_MAPPING 'is_cow_mapping(0)' "$@"
compiles PTE_MKWRITE_NOVMA 'pte = pte_mkwrite_novma(pte)' "$@"
compiles PIN_REMOTE_NO_VMAS \
	'pin_user_pages_remote(vma->vm_mm, 0, 0, 0, NULL, NULL)' "$@"
compiles VMA_LOCK_FAULTS 'enum fault_flag f = FAULT_FLAG_VMA_LOCK' "$@"
compiles PAGE_INDEX 'struct page *page = NULL; page->index = 0; page->mapping = NULL' "$@"
compiles RSS_PERCPU '(void)percpu_counter_sum(&vma->vm_mm->rss_stat[0])' "$@"
