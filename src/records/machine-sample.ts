import type { HostErrorCode } from '../base/errors/host.js';

/** A line of a PSI file (Documentation/accounting/psi.rst): how much of the time tasks waited for memory. */
export interface PressureLine {
  /** Per cent of the last 10, 60 and 300 seconds. */
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
  /** Since the machine or the cgroup began. */
  readonly totalMicroseconds: number;
}

/** What a PSI file says: of some tasks, and of all that could have run at once. */
export interface Pressure {
  readonly some: PressureLine;
  readonly full: PressureLine;
}

/** The machine at one time. Bytes; null: it does not tell. */
export interface MachineSample {
  readonly at: Date;
  /** Since it was booted: of all clocks the one that nobody sets. */
  readonly uptime: number;
  /** Another one after each boot; null: it is hidden. */
  readonly bootId: string | null;
  readonly host: string | null;
  readonly total: number | null;
  /** MemAvailable: what could be had without swapping, as the kernel thinks. */
  readonly available: number | null;
  readonly swapTotal: number | null;
  readonly swapFree: number | null;
  readonly pressure: Pressure | null;
  /** Why there is no pressure. */
  readonly noPressure: string | null;
  readonly noPressureCode?: HostErrorCode | null;
}
