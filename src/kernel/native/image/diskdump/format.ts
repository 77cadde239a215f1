// What readers and writers of "kdump compressed" files must agree upon (makedumpfile's diskdump_mod.h).

/** Of the utsname in struct disk_dump_header. */
export const UTSNAME_AT = 12;
/** Of `status` in it. */
export const STATUS_AT = 424;
/** struct kdump_sub_header. */
export const SUB_HEADER_BYTES = 104;
/** struct page_desc: offset, size, flags, page_flags. */
export const DESCRIPTOR_BYTES = 24;

/** DUMP_DH_COMPRESSED_…, in a descriptor's flags and in the header's status. */
export const COMPRESSION_FLAGS = { none: 0, zlib: 0x1, lzo: 0x2, snappy: 0x4, zstd: 0x20 } as const;
