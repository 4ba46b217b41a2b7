# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the scripts of this tree share. Sourced, after set -euo pipefail.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${MMEXT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mmext}
me=${0##*/}

# Host packages beyond a Debian 12 with git and make. Compilers and headers are
# not among them: everything is compiled inside a suite's own root.
host_packages=(
	cpio gnuplot-nox mmdebstrap mount patch perl python3 shellcheck squashfs-tools xz-utils zstd
)

say() { printf '%s: %s\n' "$me" "$*" >&2; }
die() { say "$@"; exit "${die_status:-1}"; }

missing_packages() {
	local p
	for p in "${host_packages[@]}"; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) == installed ]] ||
			printf '%s\n' "$p"
	done
}

# Once per machine; afterwards only the look-up.
setup_host() {
	local missing
	command -v dpkg-query apt-get >/dev/null ||
		die "needs a Debian machine: no dpkg or apt-get here"
	mapfile -t missing < <(missing_packages)
	if ((EUID)); then
		((${#missing[@]})) && say "missing packages: ${missing[*]}"
		die "needs root, to install packages and to make Debian roots"
	fi
	mkdir -p "$cache"
	((${#missing[@]})) || return 0
	(
		flock 9
		mapfile -t missing < <(missing_packages)
		((${#missing[@]})) || exit 0
		say "installing ${missing[*]}"
		export DEBIAN_FRONTEND=noninteractive
		apt-get -q update >&2 || say "apt-get update failed, trying without"
		apt-get -q -y --no-install-recommends install "${missing[@]}" >&2 ||
			die "apt-get could not install: ${missing[*]}"
	) 9>"$cache/apt.lock"
}

# apt_get ARGUMENT...: as apt-get, with one new look at the archive if it fails.
apt_get() {
	local options=(-q -o APT::Sandbox::User=root)
	apt-get "${options[@]}" "$@" || {
		apt-get -q update
		apt-get "${options[@]}" "$@"
	}
}

# sum ARGUMENT...: a short name for this content.
sum() { printf '%s\0' "$@" | sha256sum | cut -c1-16; }

# cached NAME FUNCTION [ARG...]: the directory $cache/NAME, which FUNCTION makes
# the first time (called with the directory to fill, then ARGs). NAME holds a
# hash of everything the content depends on. Serialised, and atomic: what was
# interrupted is made again. Not to be called where set -e is off, as in a
# condition: FUNCTION relies on it.
cached() {
	local dir=$cache/$1
	if [[ ! -d $dir ]]; then
		mkdir -p "$cache/lock"
		(
			flock 9
			[[ -d $dir ]] && exit 0
			rm -rf --one-file-system "$dir.new"
			mkdir -p "$dir.new"
			"$2" "$dir.new" "${@:3}" >&2
			mv "$dir.new" "$dir"
		) 9>"$cache/lock/$1"
	fi
	touch "$dir"
	printf '%s\n' "$dir"
}

# prune: what was not asked for in two weeks leaves the cache.
prune() {
	find "$cache" -mindepth 1 -maxdepth 1 -type d -name '*-*' -mtime +14 \
		-exec rm -rf --one-file-system {} +
	find "$cache/lock" -type f -mtime +14 -delete 2>/dev/null || :
}

# in_root ROOT DIR COMMAND...: COMMAND inside the Debian root, DIR as /mnt.
in_root() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare -m --propagation private sh -ec '
		root=$1 dir=$2
		shift 2
		mount --bind "$dir" "$root/mnt"
		mount -t proc proc "$root/proc"
		mount -t tmpfs tmpfs "$root/tmp"
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C.UTF-8 \
			chroot "$root" sh -ec "cd /mnt; exec \"\$@\"" sh "$@"
	' sh "$@"
}

# sources TREE PATH...: the source files under the paths, each ended by a NUL.
sources() {
	local tree=$1 p paths=()
	shift
	for p; do
		[[ ! -e $tree/$p ]] || paths+=("$p")
	done
	((${#paths[@]})) || return 0
	(cd "$tree" && find "${paths[@]}" -type f \
		\( -name '*.[chS]' -o -name 'Kbuild*' -o -name 'Makefile*' -o -name '*.sh' \) \
		! -name '*.mod.c' ! -name probed.h -print0 | LC_ALL=C sort -z)
}

# copy_sources TREE DIR PATH...: those files into DIR, and nothing built.
copy_sources() {
	sources "$1" "${@:3}" | (cd "$1" && cpio -p -d -m -0 --quiet "$2")
}

# shellcheck disable=SC2034 # used by those who source this
module_paths=(Kbuild include mm_ext drv)

# kernel_make ROOT DIR ARGUMENT...: make for the kernel of that root, on DIR.
kernel_make() {
	in_root "$1/root" "$2" make -s -j2 \
		-C "/lib/modules/$(cat "$1/release")/build" M=/mnt \
		${cross:+ARCH="$kernel_arch" CROSS_COMPILE="$cross"} "${@:3}" modules
}

# tap_begin NAME, tap_case TEST COMMAND..., tap_end: a stream for vm/tap.
tap_begin() { tap_name=$1 tap_count=0; echo "# run $1"; }
tap_end() { echo "1..$tap_count"; echo "# exit $tap_name 0"; }
tap_case() {
	local what=$1 output
	shift
	tap_count=$((tap_count + 1))
	if output=$("$@" 2>&1 </dev/null); then
		echo "ok $tap_count - $what"
	else
		[[ -z $output ]] || printf '%s\n' "$output" | tr -d '\0' | sed 's/^/# /'
		echo "not ok $tap_count - $what"
	fi
}

# end_jobs: for a trap of a script that runs its jobs under set -m.
end_jobs() {
	local job
	for job in $(jobs -p); do
		kill -- "-$job" 2>/dev/null || :
	done
	wait
}

# debug_suite OPTION: what --debug, or --debug=VERSION, stands for.
debug_suite() {
	case $1 in
	*=newest | --debug)	echo debug ;;
	*)			echo "debug-${1#*=}" ;;
	esac
}

# What a suite of another architecture is built with.
cross='' kernel_arch=''

# suite_row SUITE: sets release, headers, image, arch; cross, the prefix of its
# tools, and kernel_arch if they are not the host's.
suite_row() {
	local name
	cross='' kernel_arch=''
	# shellcheck disable=SC2034 # used by those who source this
	while read -r name release headers image arch; do
		[[ $name == "$1" ]] || continue
		case $arch in
		amd64) ;;
		arm64)	cross=aarch64-linux-gnu- kernel_arch=arm64 ;;
		s390x)	cross=s390x-linux-gnu- kernel_arch=s390 ;;
		riscv64) cross=riscv64-linux-gnu- kernel_arch=riscv ;;
		*)	die "vm/suites: no such architecture: $arch" ;;
		esac
		return 0
	done < <(grep -v '^#' "$top/vm/suites")
	die "unknown suite: $1 (known: $(awk '!/^#/ { print $1 }' "$top/vm/suites" | xargs))"
}

# test_machine SUITE: sets machine_args, those for vm/run that the tests want: memory
# that the kernel leaves alone, which only x86 can be told, and a PCI device with a bar
# that is memory; but no bus for a debug kernel, which would take its time with it.
test_machine() {
	local bar='-object memory-backend-ram,id=bar,size=1M,share=on'
	# shellcheck disable=SC2016 # no variable
	machine_args=(--append 'memmap=1M$0x30000000')
	[[ $1 != *-arm64 ]] || machine_args=(--append '')
	[[ $1 == debug* ]] || machine_args+=(--device "$bar -device ivshmem-plain,memdev=bar")
}

# suite_of SUITE ARCH: the suite of that architecture.
suite_of() {
	case $2 in
	amd64 | x86_64) printf '%s\n' "$1" ;;
	aarch64)	printf '%s\n' "${1%-arm64}-arm64" ;;
	*)		printf '%s\n' "${1%-"$2"}-$2" ;;
	esac
}
