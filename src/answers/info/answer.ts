import { hex } from '../../base/util.js';
import type { KernelFacts } from '../../kernel/kernel.js';
import type { MemoryImage } from '../../kernel/native/image/image.js';
import type { DumpFacts } from '../../kernel/native/image/open.js';
import type { Provenance } from '../../kernel/native/provenance.js';
import { Vmcoreinfo } from '../../kernel/native/vmcoreinfo.js';
import type { RunningTask } from '../../walk/cpus.js';
import type { Limit } from '../../walk/limits.js';
import { type Vendor, vendorOf } from '../../walk/machine/vendor.js';
import { type MachineFacts, taintFlags } from '../../walk/machine-facts.js';
import type { Unknown } from '../../walk/warnings.js';
import type { InfoJson } from './schema.js';

/** The answer to `kdump-mem info`. */
export interface InfoAnswer {
  readonly dump: DumpFacts;
  /** Facts of the dump's headers, without reading memory. */
  readonly noted: NotedFacts;
  /** Absent if no kernel could be found in the dump; `missing` says why. */
  readonly kernel?: KernelInfo;
  /** Unknown facts, and the answers that depend on them. */
  readonly missing: readonly Unknown[];
}

/** Facts from VMCOREINFO or the dump's header. */
export interface NotedFacts {
  readonly release?: string;
  readonly buildId?: string;
  /** Seconds since 1970. */
  readonly crashTime?: number;
}

export interface KernelInfo {
  readonly facts: KernelFacts;
  readonly provenance: Provenance;
  /** Number of modules whose types could be read; absent if the list could not be read. */
  readonly moduleTypes?: number;
  readonly machine: MachineFacts;
  /** linux_banner, if readable. */
  readonly banner?: string | undefined;
  /** Parts that commands omit for this kernel; absent without types. */
  readonly limits?: readonly Limit[] | undefined;
}

/** Returns the vendor of the kernel. */
export function infoVendor({ noted, kernel }: InfoAnswer): Vendor | undefined {
  const release = kernel?.facts.release ?? noted.release;
  return release === undefined ? undefined : vendorOf(release, kernel?.machine.uts?.version, kernel?.banner);
}

/** Time of the dump, and uptime of the kernel. */
export interface DumpTime {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly from: 'crash' | 'clock';
  /** Seconds. */
  readonly uptime?: number;
}

/**
 * Returns the time of the crash as recorded by the kernel, otherwise the kernel's clock at its last tick. The
 * clock also provides the boot time.
 */
export function dumpTime(
  { crashTime }: { readonly crashTime?: number | undefined },
  clock?: MachineFacts['clock'],
): DumpTime | undefined {
  const time = timeOf(crashTime, clock);
  return time && time.at >= 0 && time.at < YEAR_10000 ? time : undefined;
}

/** Upper bound of plausible times, milliseconds since 1970: the first year with five digits. */
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

/** Returns the missing requirements of figures, with the commands that show those figures. */
export function impossibleFigures({ provenance }: KernelInfo): Unknown[] {
  const { symbols, types, directMap, pages } = provenance;
  const missing: Unknown[] = [];
  if (!symbols.found) {
    missing.push({ what: 'skb and sockets (no process can be found)', code: symbols.code, why: symbols.why });
  }
  if (!types.found) missing.push({ what: 'skb, sockets and struct', code: types.code, why: types.why });
  if (!directMap.found) {
    missing.push({ what: 'pages, orders and pinned bytes', code: directMap.code, why: directMap.why });
  }
  if (!pages.found) {
    missing.push({ what: 'pages, orders and pinned bytes', code: pages.code, why: pages.why });
  }
  return missing;
}

/** @param found VMCOREINFO found in memory, if the image contains none */
export function notedIn(image: MemoryImage, found?: Vmcoreinfo): NotedFacts {
  const text = image.vmcoreinfo;
  const info = found ?? (text === undefined ? undefined : new Vmcoreinfo(text));
  const release = info?.release ?? image.facts.release;
  const { buildId, crashTime } = info ?? {};
  return {
    ...(release === undefined ? {} : { release }),
    ...(buildId === undefined ? {} : { buildId }),
    ...(crashTime === undefined ? {} : { crashTime }),
  };
}

/** Returns the answer to `info` according to the JSON contract. */
export function infoJson(answer: InfoAnswer): InfoJson {
  const { dump, noted, kernel, missing } = answer;
  const time = dumpTime(answer.noted, answer.kernel?.machine.clock);
  const vendor = infoVendor(answer);
  return {
    schema: 'kdump-mem.info/1',
    dump: {
      files: dump.files,
      format: dump.format,
      description: dump.description,
      compression: dump.compression,
      machine: dump.machine ?? null,
      dumpLevel: dump.dumpLevel ?? null,
      filtered: dump.filtered ? [...dump.filtered] : null,
      storedBytes: dump.stored,
      storedExact: dump.storedExact,
      live: dump.live,
      anomalies: dump.anomalies,
    },
    noted: { release: noted.release ?? null, buildId: noted.buildId ?? null },
    vendor: vendor ? { ...vendor, stream: vendor.stream ?? null } : null,
    time: time ? { at: new Date(time.at).toISOString(), from: time.from, uptimeSeconds: time.uptime ?? null } : null,
    kernel: kernel ? kernelJson(kernel) : null,
    missing,
  };
}

function kernelJson(kernel: KernelInfo): InfoJson['kernel'] {
  const { facts, machine, provenance } = kernel;
  const { panic, modules, taint } = machine;
  const { release, arch, pageSize, source, engine } = facts;
  const { vmcoreinfo, symbols, types, directMap, pages, anomalies } = provenance;
  return {
    release,
    arch,
    pageSize,
    source,
    engine,
    version: machine.uts?.version ?? null,
    nodename: machine.uts?.nodename ?? null,
    machine: machine.uts?.machine ?? null,
    paging: provenance.paging,
    cpus: { online: machine.online?.length ?? null, possible: machine.possible?.length ?? null },
    ramBytes: machine.ram ?? null,
    panic: {
      state: panic.state,
      message: panic.message ?? null,
      cause: panic.cause ?? null,
      cpu: panic.cpu ?? null,
      task: panic.task ? taskJson(panic.task) : null,
    },
    running: machine.running.map(taskJson),
    taint: taint === undefined ? null : { mask: hex(taint), flags: taintFlags(taint) },
    processes: machine.processes ?? null,
    modules: modules ? { names: modules, withTypes: kernel.moduleTypes ?? null } : null,
    sources: {
      vmcoreinfo,
      symbols,
      types,
      typesVerified: provenance.typesVerified ?? null,
      directMap,
      pages,
      anomalies,
    },
    limits: kernel.limits ?? null,
  };
}

function taskJson({ address, ...task }: RunningTask) {
  return { ...task, address: hex(address) };
}
