/** Reasons why an answer is incomplete or doubtful. */
export const WARNING_CODES = [
  /** Required bytes are missing in the dump, or could not be read. */
  'unreadable',
  /** A list with inconsistent links: corruption in a dump, a race on a live kernel. */
  'torn-list',
  /** A count or a pointer that is invalid in any intact kernel. */
  'corrupt',
  /** An allocation whose order the kernel does not record. */
  'order-unknown',
  /** Frags in device memory (net_iov): they pin no page of this machine's memory. */
  'device-memory',
  /** A linear head outside the direct map, whose pages were not followed. */
  'head-not-counted',
  /** The kernel has a feature whose layout is not supported. */
  'unsupported-layout',
  /** Symbols or types were chosen by kernel release and may be from another build. */
  'by-release',
  /** Nothing proves that the types of a file are this kernel's. */
  'types-not-verified',
  /** The types file lacks members that the kernel's structs have. */
  'types-incomplete',
  /**
   * Objects of a live kernel, such as processes, were freed during the read. Nothing that still exists is
   * missing.
   */
  'freed-while-read',
  /** PSS of large processes was not requested (--pss all). */
  'pss-not-read',
] as const;
export type WarningCode = (typeof WARNING_CODES)[number];
