"""Rewrites the pages of a diskdump file with another codec: recompress.py lzo|snappy FROM TO.

The layout is that of diskdump's headers in crash and makedumpfile: a header block, sub-header blocks,
two bitmaps, one descriptor for each dumped page, then the pages.
"""

import ctypes
import struct
import sys
import zlib

ZLIB, LZO, SNAPPY, ZSTD = 0x1, 0x2, 0x4, 0x20
CODECS = ZLIB | LZO | SNAPPY | ZSTD
STATUS = 424  # of struct disk_dump_header; block_size, sub_hdr_size, bitmap_blocks follow
DESCRIPTOR = struct.Struct("<QIIQ")  # offset, size, flags, page_flags


def lzo_compressor():
    library = ctypes.CDLL("liblzo2.so.2")
    work = ctypes.create_string_buffer(16384 * 8)  # LZO1X_1_MEM_COMPRESS

    def compress(page):
        out = ctypes.create_string_buffer(len(page) + len(page) // 16 + 67)
        length = ctypes.c_ulong(len(out))
        if library.lzo1x_1_compress(page, ctypes.c_ulong(len(page)), out, ctypes.byref(length), work):
            raise ValueError("lzo1x_1_compress failed")
        return out.raw[: length.value]

    return compress


def snappy_compressor():
    library = ctypes.CDLL("libsnappy.so.1")
    library.snappy_max_compressed_length.restype = ctypes.c_size_t

    def compress(page):
        length = ctypes.c_size_t(library.snappy_max_compressed_length(ctypes.c_size_t(len(page))))
        out = ctypes.create_string_buffer(length.value)
        if library.snappy_compress(page, ctypes.c_size_t(len(page)), out, ctypes.byref(length)):
            raise ValueError("snappy_compress failed")
        return out.raw[: length.value]

    return compress


def recompress(source, target, compress, flag):
    data = memoryview(source.read())
    if bytes(data[:8]) != b"KDUMP   ":
        raise SystemExit("not a diskdump file")
    status, block, sub, bitmap = struct.unpack_from("<4I", data, STATUS)
    second = (1 + sub) * block + bitmap * block // 2
    start = (1 + sub + bitmap) * block
    pages = int.from_bytes(data[second:start], "little").bit_count()
    end = start + pages * DESCRIPTOR.size

    head = bytearray(data[:end])
    struct.pack_into("<I", head, STATUS, (status & ~CODECS) | flag)
    written = {}  # old offset → new descriptor; all zero pages share one
    target.write(bytes(end))
    at = end
    for i in range(pages):
        offset, size, flags, page_flags = DESCRIPTOR.unpack_from(data, start + i * DESCRIPTOR.size)
        new = written.get(offset)
        if new is None:
            page = bytes(data[offset : offset + size])
            if flags & ZLIB:
                page = zlib.decompress(page)
            elif flags & CODECS:
                raise SystemExit(f"page {i} is of flags {flags:#x}, not zlib")
            packed, kind = compress(page), flag
            if len(packed) >= len(page):
                packed, kind = page, 0
            new = written[offset] = (at, len(packed), (flags & ~CODECS) | kind)
            target.write(packed)
            at += len(packed)
        DESCRIPTOR.pack_into(head, start + i * DESCRIPTOR.size, *new, page_flags)
    target.seek(0)
    target.write(head)


def main():
    codec, source, target = sys.argv[1:]
    compress, flag = {"lzo": (lzo_compressor, LZO), "snappy": (snappy_compressor, SNAPPY)}[codec]
    with open(source, "rb") as reading, open(target, "wb") as writing:
        recompress(reading, writing, compress(), flag)


main()
