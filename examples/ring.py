#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A log in a region of /dev/mmext that is rotated by page table.

Records are appended to the first half of the region. When it is full, one
MMEXT_REMAP makes it the second half, and MMEXT_UNMAP with FREE makes a hole of
what was there: no byte is copied.
"""
import ctypes
import fcntl
import mmap
import struct

TYPE = 0xEE


def ioctl_nr(nr):
    """_IO(MMEXT_TYPE, nr): the structure carries its own size."""
    return TYPE << 8 | nr


MMEXT_INFO, MMEXT_REMAP, MMEXT_UNMAP = map(ioctl_nr, (0x00, 0x03, 0x05))
MMEXT_UNMAP_FREE = 1


class Info(ctypes.Structure):
    """struct mmext_info"""
    _fields_ = [("size", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("out_abi", ctypes.c_uint32), ("out_tlb", ctypes.c_uint32),
                ("out_features", ctypes.c_uint64),
                ("out_page_sizes", ctypes.c_uint64),
                ("out_max_offset", ctypes.c_uint64),
                ("out_length", ctypes.c_uint64),
                ("out_limit", ctypes.c_uint64),
                ("out_used", ctypes.c_uint64),
                ("out_backing", ctypes.c_uint32),
                ("out_cache", ctypes.c_uint32)]


def call(fd, cmd, fmt, *values):
    """A call on a range, until nothing of it is left."""
    length = len(values) - 1
    while True:
        arg = bytearray(struct.pack("=II" + fmt, 8 + struct.calcsize("=" + fmt),
                                    *values))
        fcntl.ioctl(fd, cmd, arg)
        values = struct.unpack("=II" + fmt, arg)[1:]
        if not values[length]:
            return


def main():
    """Fill half a region, rotate it, and look."""
    half = 64 * mmap.PAGESIZE
    with open("/dev/mmext", "r+b", buffering=0) as region:
        info = Info(size=ctypes.sizeof(Info))
        fcntl.ioctl(region, MMEXT_INFO, info)
        log = mmap.mmap(region.fileno(), 2 * half)
        for turn in range(3):
            log[:half] = bytes([turn + 1]) * half
            call(region, MMEXT_REMAP, "QQQ", 0, 0, half, half)
            call(region, MMEXT_UNMAP, "QQ", MMEXT_UNMAP_FREE, 0, half)
            assert log[half:] == bytes([turn + 1]) * half
            assert log[:half] == bytes(half)
        print(f"ABI {info.out_abi}: 3 halves of {half} bytes rotated")


if __name__ == "__main__":
    main()
