import type { Prefixed } from './prefix.js';

/** `linux_banner` (init/version.c). */
const BANNER = /^Linux version (?<release>\d[^\s]*)/;

/** Separator that journalctl prints between two boots; before systemd 254 without a boot ID. */
const MARK = /^-- (?:Boot (?<id>[0-9a-f]{32})|Reboot) --$/;

/** Lines that begin a boot contain one of these. */
export const BOOT_TRIGGERS = 'Linux version |-- Boot [0-9a-f]|-- Reboot --';

/**
 * A clock that goes back by more than this starts a new boot: messages of one boot are never that far out of
 * order, on any CPU. Nanoseconds.
 */
const BACK = 60_000_000_000n;
/**
 * A banner belongs to the current boot if no message so far is later than this, and there are at most FEW
 * (arm64 prints one before its banner). Nanoseconds.
 */
const YOUNG = 5_000_000_000n;
const FEW = 5;

/**
 * Maximum number of boots with details; further ones are only counted. An untrusted log may contain millions.
 */
const MAX_KEPT = 100_000;

/** A boot in a log. */
export interface Boot {
  /** The journal's boot ID; undefined if the log has none. */
  readonly id: string | undefined;
  readonly release: string | undefined;
  /** Whether the log contains the first message of the boot. */
  readonly fromStart: boolean;
  /** The latest kernel timestamp; null if the log has no kernel timestamps. */
  readonly newest: bigint | null;
}

/** Selects a boot by id, or counted from the first (1) or the last (0, -1, …). */
export type BootChoice = { readonly id: string } | { readonly number: number };

/** Returns the number of the selected boot, counted from 1; undefined if the log lacks it. */
export function findBoot(
  choice: BootChoice,
  { boots, bootCount }: { readonly boots: readonly Boot[]; readonly bootCount: number },
): number | undefined {
  if ('id' in choice) {
    const index = boots.findLastIndex(({ id }) => id === choice.id);
    return index < 0 ? undefined : index + 1;
  }
  const number = choice.number > 0 ? choice.number : bootCount + choice.number;
  return number >= 1 && number <= bootCount ? number : undefined;
}

/** Assigns the messages of a text to boots: a syslog file or serial console log can contain several. */
export class BootCounter {
  /** Boots before the current one. */
  readonly #ended: Boot[] = [];
  #newest: bigint | null = null;
  #messages = 0;
  #hasBanner = false;
  #id: string | undefined;
  #release: string | undefined;
  #fromStart = false;
  #number = 1;

  /** @returns the number of the boot that a message belongs to, counted from 1 */
  take({ text, timestamp, bare, bootId }: Omit<Prefixed, 'form'>): number {
    const banner = bare ? null : BANNER.exec(text);
    if (bootId !== undefined) {
      if (this.#id !== undefined && bootId !== this.#id) this.#next();
      this.#id = bootId;
    } else {
      const newest = this.#newest ?? 0n;
      const wentBack = timestamp !== null && timestamp < newest - BACK;
      const isOld = newest > YOUNG || this.#messages > FEW;
      if (wentBack || (banner && (this.#hasBanner || isOld))) this.#next();
    }
    if (banner) {
      this.#hasBanner = true;
      this.#fromStart = true;
      this.#release = banner.groups?.release;
    }
    if (this.#messages === 0 && timestamp === 0n) this.#fromStart = true;
    // Other output may precede a log.
    if (!bare) this.#messages++;
    if (timestamp !== null && timestamp >= (this.#newest ?? 0n)) this.#newest = timestamp;
    return this.#number;
  }

  /** @returns whether a line is journalctl's separator between two boots */
  mark(line: string): boolean {
    const match = MARK.exec(line);
    if (match === null) return false;
    if (this.#messages > 0) this.#next();
    this.#id = match.groups?.id;
    return true;
  }

  get number(): number {
    return this.#number;
  }

  get id(): string | undefined {
    return this.#id;
  }

  /** Returns the boots, the oldest first. */
  list(): Boot[] {
    return [...this.#ended, this.#current()];
  }

  #current(): Boot {
    const [id, release, fromStart, newest] = [this.#id, this.#release, this.#fromStart, this.#newest];
    return { id, release, fromStart, newest };
  }

  #next(): void {
    if (this.#ended.length < MAX_KEPT) this.#ended.push(this.#current());
    this.#number++;
    this.#newest = null;
    this.#messages = 0;
    this.#hasBanner = false;
    this.#fromStart = false;
    this.#id = undefined;
    this.#release = undefined;
  }
}
