/** Physical addresses that a source of memory contains, `end` exclusive. */
export interface StoredRange {
  readonly start: number;
  readonly end: number;
}

/** Stored memory that lies in an open file as it was in memory: neither compressed nor filtered. */
export interface FileRange extends StoredRange {
  /** File descriptor of this process. */
  readonly descriptor: number;
  /** Position of the first byte. */
  readonly offset: number;
}

/** Memory of a kernel by physical address, for passes over all of it. */
export interface PhysicalMemory {
  /** Most memory is missing on purpose: `kdump-mem extract` wrote it. */
  readonly isExtract: boolean;
  /** Ranges that are stored or known to be zero, in ascending order. */
  readonly stored: Iterable<StoredRange>;
  /** The same ranges by place in a file; undefined where they are not plain bytes of one file. */
  readonly inFile: Iterable<FileRange> | undefined;

  /** @throws {ReadError} */
  read(address: number, length: number): DataView;
}
