/** When something was looked at, and of which boot of which machine; null: that is not told. */
export interface Origin {
  readonly at: Date | null;
  /** The machine's name; hostile. */
  readonly host: string | null;
  /** /proc/sys/kernel/random/boot_id: another one after each boot. */
  readonly bootId: string | null;
  /** Seconds since the machine was booted, those that it slept among them. */
  readonly uptime: number | null;
}
