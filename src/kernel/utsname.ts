/** Bytes of each string in `struct new_utsname` (include/uapi/linux/utsname.h), its NUL among them. */
export const UTS_BYTES = 65;

/** Which of its strings is what. */
export const UTS = {
  sysname: 0,
  nodename: 1,
  release: 2,
  version: 3,
  machine: 4,
  domain: 5,
} as const;
