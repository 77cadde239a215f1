import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { triageSchema } from '../../../src/contracts/triage.js';
import { kdumpMem } from '../../support/in-process.js';
import { LAB, type LabKernel, labKernel, labTool } from '../../support/lab.js';
import { DRGN_LOST, drgnDifferences, LEAF_CALLER, UNSEEN_EXCEPTION } from '../stacks/drgn-stacks.js';
import type { PanicKind } from './kinds.js';
import { type Panicked, panickedGuest } from './panicked-guest.js';

type TriageJson = ReturnType<typeof triageSchema.parse>;

/** Programs that report the same independently. */
export type Oracle = 'crash' | 'drgn';

/** A guest for each kind panics, and the answer about its dump is compared with the kind. */
export function panicsSuite(kernel: LabKernel, kinds: readonly PanicKind[], oracles: readonly Oracle[] = []): void {
  describe.each(kinds)(`$name, on ${kernel}`, (kind) => {
    let work = '';
    let truth: Panicked;
    let answer: TriageJson;

    beforeAll(async () => {
      work = mkdtempSync(join(LAB, 'panics-'));
      truth = await panickedGuest(kernel, kind, work);
      const { stdout } = await kdumpMem('triage', '--vmcore', truth.dump, '--json');
      answer = triageSchema.parse(JSON.parse(stdout));
    });

    afterAll(() => {
      if (work) rmSync(work, { recursive: true, force: true });
    });

    /** Frames of the panic's own stack. */
    const stack = () => {
      const evidence = answer.findings[0]?.evidence.find((one) => one.kind === 'stack');
      return evidence?.kind === 'stack' ? evidence : undefined;
    };

    test('the panic is the first finding, with its reason, CPU and task', () => {
      expect(answer.warnings).toEqual([]);
      expect(answer.complete).toBe(true);
      expect(answer.panic?.state).toBe('panicked');
      const { reason, cpu, pid, comm } = truth;
      expect(reason).toMatch(kind.reason);
      const [panic] = answer.findings;
      expect(panic).toMatchObject({ code: 'panic', severity: 'critical' });
      expect(panic?.figures).toMatchObject({ reason, cpu, pid, comm });
      const { cause } = panic?.figures ?? {};
      if (kind.cause) expect(cause).toMatch(kind.cause);
      else expect(cause).toBeNull();
    });

    test('there are no findings except those that belong to it', () => {
      const codes = answer.findings.filter(({ severity }) => severity !== 'note').map(({ code }) => code);
      expect(codes.join(' ')).toMatch(kind.findings);
    });

    test('a fault is reported with its function, task and CPU', () => {
      const oops = answer.findings.find(({ code }) => code === 'oops');
      if (!oops) return expect(String(kind.findings)).not.toContain('oops');
      const { cpu, pid, comm } = truth;
      expect(oops.figures).toMatchObject({ cpu, pid, comm, number: 1, times: 1 });
      const { symbol, module } = oops.figures;
      expect(String(symbol)).toContain(kind.interrupted);
      expect(module ?? null).toBe(kind.interrupted?.startsWith('panics') ? 'panics' : null);
    });

    test('the stack leads through the exception to the interrupted function, without a guess', () => {
      const frames = stack()?.frames ?? [];
      const names = frames.map(({ symbol }) => symbol ?? '');
      let at = -1;
      for (const name of kind.stack) {
        at = names.findIndex((one, index) => index > at && one.startsWith(name));
        expect(at, `${name} in ${names.join(' ')}`).toBeGreaterThanOrEqual(0);
      }
      // At the entry of an exception, a dump does not have the address that it interrupted (ELR_EL1 of arm64).
      const isEntered = (index: number) => names[index - 1] === 'vectors';
      expect(frames.filter(({ guess }, index) => guess && !isEntered(index))).toEqual([]);
      expect(stack()?.why).toBeNull();
      // An interrupt may itself have been interrupted.
      const interrupted = frames.slice(1).filter((frame) => frame.interrupted);
      const symbols = interrupted.map(({ symbol }) => symbol ?? '');
      if (kind.interrupted) expect(symbols).toContainEqual(expect.stringContaining(kind.interrupted));
      const own = frames.filter(({ symbol }) => symbol?.startsWith('panics'));
      expect(own.every(({ module }) => module === 'panics')).toBe(true);
    });

    if (oracles.includes('drgn'))
      test('drgn unwinds every task to the same frames', () => {
        const { found, left, warnings } = drgnDifferences(truth.dump, kernel);
        delete found[UNSEEN_EXCEPTION];
        delete found[DRGN_LOST];
        delete found[LEAF_CALLER];
        expect(warnings).toEqual([]);
        expect(left).toEqual([]);
        // An exited task has no stack any more, and drgn unwinds old data. For the panic's own
        // stack crash is the oracle, if it can: drgn fails in a module of older kernels.
        const differ = Object.values(found)
          .flat()
          .filter((what) => !what.includes(':  | '))
          .filter((what) => !oracles.includes('crash') || !what.startsWith(`pid ${truth.pid} `));
        expect(differ).toEqual([]);
      });

    if (oracles.includes('crash'))
      test('crash reports the same panic, task and CPU; its frames are among ours', () => {
        const byCrash = askCrash(kernel, truth.dump);
        expect(answer.panic?.message).toContain(byCrash.panic);
        const { cpu, pid, comm } = truth;
        expect(byCrash).toMatchObject({ cpu, pid, comm });
        const frames = stack()?.frames ?? [];
        const ours = frames.map(({ address }) => BigInt(address));
        expect(byCrash.frames.length).toBeGreaterThan(2);
        const names = frames.map(({ address, symbol }) => `${BigInt(address).toString(16)} ${symbol}`).join('\n');
        expect(
          byCrash.frames.filter((frame) => !ours.includes(frame)),
          `${byCrash.printed}\nours:\n${names}`,
        ).toEqual([]);
      });
  });
}

/** The panic in crash's `sys` and `bt`. */
function askCrash(kernel: LabKernel, dump: string) {
  const printed = execFileSync(labTool('crash'), ['-s', labKernel(kernel).vmlinux, dump], {
    input: 'sys\nbt\nquit\n',
    maxBuffer: 1 << 26,
    timeout: STEP_MS,
  }).toString('latin1');
  const [, panic = ''] = /^ *PANIC: "(.*)"/m.exec(printed) ?? [];
  const who = /^PID: (?<pid>\d+) .*CPU: (?<cpu>\d+) +COMMAND: "(?<comm>.*)"/m.exec(printed)?.groups;
  // After an exception, crash also takes a word below the interrupted stack pointer for a frame, which is an old one.
  let least = 0n;
  const frames = [...printed.matchAll(/^ *#\d+ \[([0-9a-f]+)\] \S+ at ([0-9a-f]+)|RSP: ([0-9a-f]+)/gm)].flatMap(
    ([, slot, address, pointer]) => {
      if (pointer !== undefined) least = BigInt(`0x${pointer}`);
      const isOld = slot !== undefined && BigInt(`0x${slot}`) < least;
      return address === undefined || isOld ? [] : [BigInt(`0x${address}`)];
    },
  );
  return { panic, pid: Number(who?.pid), cpu: Number(who?.cpu), comm: who?.comm, printed, frames };
}
