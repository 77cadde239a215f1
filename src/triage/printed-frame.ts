/** A line of a stack trace as the kernel printed it. Hostile. */
export interface PrintedFrame {
  readonly symbol: string;
  /** Bytes into the function; null: inlined. */
  readonly offset: number | null;
  readonly module: string | null;
  /** As scripts/decode_stacktrace.sh prints it: `mm/slub.c:1234`. */
  readonly source: string | null;
  readonly inline: boolean;
  /** The unwinder was not sure: `? f+0x1/0x2`. */
  readonly guess: boolean;
}
