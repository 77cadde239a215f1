import { hex } from '../../base/hex.js';
import type { RunningTask } from '../../walk/cpus.js';
import { taintFlags } from '../../walk/machine-facts.js';
import { dumpTime, type InfoAnswer, infoVendor, type KernelInfo } from './answer.js';
import type { InfoJson } from './schema.js';

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
    time: time
      ? {
          at: new Date(time.at).toISOString(),
          from: time.from,
          uptimeSeconds: time.uptime ?? null,
        }
      : null,
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
    cpus: {
      online: machine.online?.length ?? null,
      possible: machine.possible?.length ?? null,
    },
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
