import type { KernelFacts } from '../../kernel/kernel.js';
import type { DumpFacts } from '../../kernel/native/image/describe.js';
import type { Provenance } from '../../kernel/native/provenance.js';
import type { Limit } from '../../walk/limits.js';
import type { MachineFacts } from '../../walk/machine/machine.js';
import type { Unknown } from '../../walk/machine/unknowns.js';
import { type Vendor, vendorOf } from '../../walk/machine/vendor.js';

/** The answer to `kdump-mem info`. */
export interface InfoAnswer {
  readonly dump: DumpFacts;
  /** What the dump says of its kernel before anything in memory is looked at. */
  readonly noted: NotedFacts;
  /** Absent if no kernel could be found in the dump; `missing` says why. */
  readonly kernel?: KernelInfo;
  /** Unknown facts, and the answers that depend on them. */
  readonly missing: readonly Unknown[];
}

/** From VMCOREINFO, or the dump's header. */
export interface NotedFacts {
  readonly release?: string;
  readonly buildId?: string;
  /** Seconds since 1970. */
  readonly crashTime?: number;
}

export interface KernelInfo {
  readonly facts: KernelFacts;
  readonly provenance: Provenance;
  /** How many modules' types could be read; absent if they could not be looked for. */
  readonly moduleTypes?: number;
  readonly machine: MachineFacts;
  /** linux_banner, where it can be read. */
  readonly banner?: string | undefined;
  /** Parts that commands leave out; absent where there are no types. */
  readonly limits?: readonly Limit[] | undefined;
}

/** Who built the kernel, as far as its names say. */
export function infoVendor({ noted, kernel }: InfoAnswer): Vendor | undefined {
  const release = kernel?.facts.release ?? noted.release;
  return release === undefined
    ? undefined
    : vendorOf(release, kernel?.machine.uts?.version, kernel?.banner);
}

/** The time of the dump, and the uptime of the kernel. */
export interface DumpTime {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly from: 'crash' | 'clock';
  /** Seconds. */
  readonly uptime?: number;
}

/**
 * The time of the crash is the kernel's note of it. Without a crash it is that of its clock, which
 * stands at the last tick. The clock also tells when it booted.
 */
export function dumpTime(
  { crashTime }: { readonly crashTime?: number | undefined },
  clock?: MachineFacts['clock'],
): DumpTime | undefined {
  const time = timeOf(crashTime, clock);
  return time && time.at >= 0 && time.at < YEAR_10000 ? time : undefined;
}

/** Milliseconds since 1970: no date that is written with four digits for its year. */
const YEAR_10000 = 253_402_300_800_000;

function timeOf(crashTime: number | undefined, clock: MachineFacts['clock']): DumpTime | undefined {
  const wall = clock && Number(clock.wallClock / 1_000_000n);
  if (crashTime === undefined) {
    if (clock === undefined || wall === undefined) return undefined;
    return { at: wall, from: 'clock', uptime: Number(clock.uptime / 1_000_000n) / 1000 };
  }
  const at = crashTime * 1000;
  if (clock === undefined || wall === undefined) return { at, from: 'crash' };
  const booted = wall - Number(clock.uptime / 1_000_000n);
  const uptime = (at - booted) / 1000;
  return { at, from: 'crash', ...(uptime >= 0 ? { uptime } : {}) };
}

/** What a figure needs that is not there, in terms of the commands that show it. */
export function impossibleFigures({ provenance }: KernelInfo): Unknown[] {
  const { symbols, types, directMap, pages } = provenance;
  const missing: Unknown[] = [];
  if (!symbols.found) {
    missing.push({
      what: 'skb and sockets (no process can be found)',
      code: symbols.code,
      why: symbols.why,
    });
  }
  if (!types.found)
    missing.push({ what: 'skb, sockets and struct', code: types.code, why: types.why });
  if (!directMap.found) {
    missing.push({
      what: 'pages, orders and pinned bytes',
      code: directMap.code,
      why: directMap.why,
    });
  }
  if (!pages.found) {
    missing.push({ what: 'pages, orders and pinned bytes', code: pages.code, why: pages.why });
  }
  return missing;
}
