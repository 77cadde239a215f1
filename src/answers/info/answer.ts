import { readOrNot } from '../../base/errors.js';
import type { DumpFacts, InfoAnswer } from '../../contracts/info.js';
import { kernelIdentity, type NotedFacts } from '../../kernel/identity.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import type { Provenance } from '../../kernel/native/provenance.js';
import { limitsOf } from '../../walk/limits.js';
import { dumpTime } from '../../walk/machine/clock.js';
import { fieldsOf } from '../../walk/machine/fields.js';
import { vendorOf } from '../../walk/machine/vendor.js';
import { describeMachine, type MachineFacts, taintFlags } from '../../walk/machine-facts.js';
import { decodeText } from '../../walk/struct-reader.js';
import type { Unknown, Unknowns } from '../../walk/warnings.js';

/**
 * Describes a dump and its kernel.
 *
 * @param noted facts of the dump's headers, without reading memory
 * @param native absent: no kernel could be found in the dump; `unknowns` has the reason
 */
export function describeInfo(
  dump: DumpFacts,
  noted: NotedFacts,
  unknowns: Unknowns,
  native?: NativeKernel,
): InfoAnswer {
  const { release = null, buildId = null, crashTime } = noted;
  const shape = { schema: 'kdump-mem.info/1', dump, noted: { release, buildId } } as const;
  if (!native) {
    const vendor = release === null ? null : vendorOf(release);
    return { ...shape, vendor, time: dumpTime({ crashTime }), kernel: null, missing: unknowns.list() };
  }
  const { facts, provenance } = native;
  unknowns.try('skb, sockets and struct', () => {
    if (provenance.types.found) native.struct('sk_buff');
  });
  const machine = describeMachine(native, fieldsOf(native), unknowns);
  const kernel = describeKernel(native, machine, unknowns);
  return {
    ...shape,
    vendor: vendorOf(facts.release, machine.uts?.version, bannerOf(native)),
    time: dumpTime({ crashTime, clock: machine.clock }),
    kernel,
    missing: [...impossibleFigures(provenance), ...unknowns.list()],
  };
}

function describeKernel(native: NativeKernel, machine: MachineFacts, unknowns: Unknowns): InfoAnswer['kernel'] {
  const { facts, provenance } = native;
  const { uts, panic, taint, modules } = machine;
  const { vmcoreinfo, symbols, types, typesVerified = null, directMap, pages, anomalies } = provenance;
  const limits = unknowns.try('limits of commands', () => (types.found ? limitsOf(native) : null));
  const moduleTypes = unknowns.try('types of modules', () => native.moduleTypes);
  for (const problem of moduleTypes?.problems ?? []) unknowns.add('types of a module', 'no-types', problem);
  return {
    ...kernelIdentity(facts),
    version: uts?.version ?? null,
    nodename: uts?.nodename ?? null,
    machine: uts?.machine ?? null,
    paging: provenance.paging,
    cpus: { online: machine.online?.length ?? null, possible: machine.possible?.length ?? null },
    ramBytes: machine.ram ?? null,
    panic: {
      state: panic.state,
      message: panic.message ?? null,
      cause: panic.cause ?? null,
      cpu: panic.cpu ?? null,
      task: panic.task ?? null,
    },
    running: machine.running,
    taint: taint === undefined ? null : { mask: taint, flags: taintFlags(taint) },
    processes: machine.processes ?? null,
    modules: modules ? { names: modules, withTypes: moduleTypes?.modules.length ?? null } : null,
    sources: { vmcoreinfo, symbols, types, typesVerified, directMap, pages, anomalies },
    limits: limits ?? null,
  };
}

/** linux_banner, if readable. */
function bannerOf(native: NativeKernel): string | undefined {
  return readOrNot(() => {
    const at = native.provenance.symbols.found ? native.symbol('linux_banner') : undefined;
    return at === undefined ? undefined : decodeText(native.read(at, 512), 0, 512);
  });
}

/** Returns the missing requirements of figures, with the commands that show those figures. */
function impossibleFigures(provenance: Provenance): Unknown[] {
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
