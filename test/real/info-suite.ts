import { describe, expect, test } from 'vitest';
import type { Json } from '../../src/base/util.js';
import { type InfoAnswer, infoSchema } from '../../src/contracts/info.js';
import { drgnJson } from '../support/drgn.js';
import { kdumpMem } from '../support/in-process.js';
import { kernelOf, type LabDumpName, labDump } from '../support/lab.js';

export interface Drgn {
  readonly release: string;
  readonly version: string;
  readonly nodename: string;
  readonly machine: string;
  readonly wallSeconds: number;
  readonly uptimeSeconds: number;
  readonly online: number;
  readonly possible: number;
  readonly ramBytes: number;
  readonly taint: string;
  readonly processes: { readonly user: number; readonly kernel: number };
  readonly running: readonly { cpu: number; address: string; pid: number; comm: string }[];
  readonly modules: readonly string[];
  readonly panic: string | null;
  readonly fault: string | null;
}

const MIB = 1024 * 1024;
export const SCRIPT = new URL('./info.py', import.meta.url);

export async function info(...files: readonly string[]) {
  const sources = files.flatMap((file) => ['--vmcore', file]);
  const { stdout, stderr, status } = await kdumpMem('info', ...sources, '--json');
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  infoSchema.parse(JSON.parse(stdout));
  return JSON.parse(stdout) as Json<InfoAnswer>;
}

export function asDrgn(answer: Awaited<ReturnType<typeof info>>): Partial<Drgn> {
  const { kernel } = answer;
  if (!kernel) throw new Error('no kernel was found');
  return {
    release: kernel.release,
    version: kernel.version ?? '',
    nodename: kernel.nodename ?? '',
    machine: kernel.machine ?? '',
    online: kernel.cpus.online ?? -1,
    possible: kernel.cpus.possible ?? -1,
    ramBytes: kernel.ramBytes ?? -1,
    taint: kernel.taint?.mask ?? '',
    processes: kernel.processes ?? { user: -1, kernel: -1 },
    running: kernel.running.map(({ cpu, address, pid, comm }) => ({ cpu, address, pid, comm })),
    modules: kernel.modules?.names ?? [],
    panic: kernel.panic.message,
  };
}

export function fromDrgn({ wallSeconds: _w, uptimeSeconds: _u, fault: _f, ...same }: Drgn): Partial<Drgn> {
  return same;
}

/** Compares `info` about a guest that QEMU paused with drgn. */
export function pausedInfoSuite(name: LabDumpName): void {
  // A symbol table with functions only lacks the variables for these.
  const lacksVariables = kernelOf(name) === '6.1-arm64';
  const missingFacts = lacksVariables ? ['kernel clock and uptime', 'taint', 'panicked CPU'] : [];
  describe(`info about a paused guest, ${name}`, () => {
    test.each(['elf', 'kdumpZlib'] as const)(
      '%s: reports what drgn reports, and that the kernel was running',
      async (format) => {
        const dump = labDump(name);
        const truth = drgnJson<Drgn>(dump.elf, kernelOf(name), SCRIPT);
        const answer = await info(dump[format]);
        const taint = lacksVariables ? '' : truth.taint;
        expect(asDrgn(answer)).toEqual({ ...fromDrgn(truth), taint });
        expect(answer.vendor?.id).toBe('debian');
        const limits = answer.kernel?.limits?.map(({ command, part }) => `${command}: ${part}`);
        expect(limits).toEqual(lacksVariables ? ['procs: clock'] : []);
        expect(truth.panic).toBeNull();
        expect(answer.kernel?.panic).toEqual({
          state: lacksVariables ? 'unknown' : 'running',
          message: null,
          cause: null,
          cpu: null,
          task: null,
        });
        expect(answer.missing.map(({ what }) => what)).toEqual(expect.arrayContaining(missingFacts));
        if (lacksVariables) expect(answer.time).toBeNull();
        else {
          expect(answer.time?.from).toBe('clock');
          expect(Date.parse(answer.time?.at ?? '') / 1000).toBeCloseTo(truth.wallSeconds, 2);
          expect(answer.time?.uptimeSeconds).toBeCloseTo(truth.uptimeSeconds, 2);
        }
        expect(answer.noted.buildId).toMatch(/^[0-9a-f]{40}$/);
        // The guest's 512 MiB, less its legacy hole, and with QEMU's ROMs in the ELF core.
        expect(Math.abs(answer.dump.storedBytes - 512 * MIB)).toBeLessThanOrEqual(MIB / 2);
        expect(answer.dump.filtered).toBeNull();
      },
    );
  });
}
