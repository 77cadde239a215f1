import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { extract } from '../../../src/extract/extract.js';
import { openCrash } from '../../../src/kernel/crash/open.js';
import type { CrashSession } from '../../../src/kernel/crash/session.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { answers } from '../../support/answers.js';
import { KERNELS, LAB, labDump, labKernel, labTool, PANICKED_KERNELS } from '../../support/lab.js';

const folder = mkdtempSync(join(tmpdir(), 'extract-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function cut(from: string, name: string): Promise<string> {
  const output = join(folder, name);
  const kernel = openNative({ files: [from] });
  await extract(kernel, { output, compression: 'zlib' });
  kernel.close();
  return output;
}

function native(file: string) {
  const kernel = openNative({ files: [file] });
  try {
    return answers(kernel);
  } finally {
    kernel.close();
  }
}

describe.each(KERNELS)('an extract of %s', (version) => {
  const dump = labDump(version);
  let small: string;
  beforeAll(async () => {
    small = await cut(dump.elf, `${version}.vmcore`);
  });

  test('is smaller than a hundredth of the dump', () => {
    expect(statSync(small).size).toBeLessThan(statSync(dump.elf).size / 100);
  });

  test('gives every answer of the dump, complete', () => {
    const all = native(dump.elf);
    expect(all.processes.length).toBeGreaterThan(50);
    expect(all.processes.filter((one) => one.includes('"complete":true')).length).toBeGreaterThan(5);
    expect(native(small)).toEqual(all);
  });

  test('extracts to itself', async () => {
    const again = await cut(small, `${version}-again.vmcore`);
    expect(readFileSync(again).equals(readFileSync(small))).toBe(true);
  });

  test('opens in drgn, which finds queues of the same lengths as in the dump', () => {
    const script = join(import.meta.dirname, 'queues.py');
    const walk = (file: string) =>
      execFileSync(labTool('drgn'), ['-q', '-c', file, '-s', labKernel(version).vmlinux, script], {
        encoding: 'utf8',
        timeout: STEP_MS,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    const found = walk(small);
    expect(found.split('\n').length).toBeGreaterThan(40);
    expect(found).toBe(walk(dump.elf));
  });
});

// Without its modules, which crash 9.0.2 does not support on 7.2, not even in the full dump.
test.each(KERNELS)('an extract of %s opens in crash, with the same answers and tasks', async (version) => {
  const { vmlinux } = labKernel(version);
  const { elf } = labDump(version);
  const through = (vmcore: string) => {
    let ask: CrashSession['execute'] = () => [];
    const wrap = (session: CrashSession) => {
      ask = (commands) => session.execute(commands);
      return session;
    };
    const kernel = openCrash({ vmcore, vmlinux, crash: labTool('crash'), wrap });
    try {
      const [ps = '', machine = ''] = ask(['ps', 'sys']);
      // Memory maps are left out: process sizes are not reported.
      const tasks = ps.replace(/( ffff[\da-f]{12} +[A-Z]{2}) +[\d.]+ +\d+ +\d+ /g, '$1 ');
      const sys = machine.replace(/(?:KERNEL|DUMPFILE): .*/g, '');
      return { tasks, sys, processes: answers(kernel).processes };
    } finally {
      kernel.close();
    }
  };
  const whole = through(elf);
  expect(whole.tasks.match(/ffff[\da-f]{12}/g)?.length).toBeGreaterThan(70);
  expect(through(await cut(elf, `${version}-crash.vmcore`))).toEqual(whole);
});

describe.each(PANICKED_KERNELS)('an extract of a filtered dump of %s', (version) => {
  test('is no more complete than that dump', async () => {
    const filtered = join(LAB, 'dumps', `${version}-kdump`, 'lzo-d31.vmcore');
    const small = await cut(filtered, `${version}-d31.vmcore`);
    expect(native(small)).toEqual(native(filtered));
  });
});
