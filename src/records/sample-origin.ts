/** Time, boot and machine of a sample; null: unknown. */
export interface Origin {
  readonly at: Date | null;
  /** Host name, untrusted. */
  readonly host: string | null;
  /** /proc/sys/kernel/random/boot_id: unique for each boot. */
  readonly bootId: string | null;
  /** Seconds since boot, including suspend. */
  readonly uptime: number | null;
}

/** Host and time of a capture; its own statements are untrusted. */
export interface CaptureOrigin {
  /** Undefined: not reported. */
  readonly name: string | undefined;
  readonly taken: Date | null;
}
