import type { LogRecord, TextRecord } from '../../log-records.js';

/** `linux_banner` (init/version.c). */
const BANNER = /^Linux version \d/;

/** The kernel's clock never goes back so far within a boot, whatever the order of CPUs. */
const BACK = 60_000_000_000n;
/** Of a boot that goes on no message is so young, and so few stand before its banner (arm64 has one). */
const YOUNG = 5_000_000_000n;
const FEW = 5;

/** Tells which boot of a log a message belongs to: a file of syslog or a serial console has several. */
export class BootCounter {
  #newest = 0n;
  #messages = 0;
  #hasBanner = false;
  /** From 1 on. */
  boot = 1;

  /** @returns the boot of the message */
  take({ text, timestamp, ...record }: LogRecord | TextRecord): number {
    const isBanner = !('bare' in record && record.bare) && BANNER.test(text);
    const wentBack = timestamp !== null && timestamp < this.#newest - BACK;
    const isOld = this.#newest > YOUNG || this.#messages > FEW;
    if (wentBack || (isBanner && (this.#hasBanner || isOld))) {
      this.boot++;
      this.#newest = 0n;
      this.#messages = 0;
      this.#hasBanner = false;
    }
    this.#hasBanner ||= isBanner;
    this.#messages++;
    if (timestamp !== null && timestamp > this.#newest) this.#newest = timestamp;
    return this.boot;
  }
}
