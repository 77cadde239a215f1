import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { messages } from '../../../src/account/log.js';
import { groupedStacks } from '../../../src/account/task-stacks.js';
import { logJson } from '../../../src/answers/log/render.js';
import { triageJson } from '../../../src/answers/triage/json.js';
import { extract } from '../../../src/extract/extract.js';
import type { NativeKernel } from '../../../src/kernel/native/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { triage } from '../../../src/triage/triage.js';
import { listNodes } from '../../../src/walk/list.js';
import { partsOf } from '../../../src/walk/lists/loaded-modules.js';
import { StructReader } from '../../../src/walk/struct-reader.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { DamagedDump } from '../../support/damaged-dump.js';
import { rawPages } from '../../support/dump/raw-pages.js';
import { kdumpMem } from '../../support/in-process.js';
import { KERNELS, labDump, labKdump, labKernel, labTool } from '../../support/lab.js';

const folder = mkdtempSync(join(tmpdir(), 'triage-extract-'));
afterAll(() => rmSync(folder, { recursive: true }));

function queryOf<T>(file: string, ask: (kernel: NativeKernel) => T): T {
  const kernel = openNative({ files: [file] });
  try {
    return ask(kernel);
  } finally {
    kernel.close();
  }
}

const answers = (file: string) =>
  queryOf(file, (kernel) => ({
    log: logJson(messages(kernel, {})),
    stacks: groupedStacks(kernel, {}),
    triage: triageJson(triage(kernel)),
  }));

type Options = Omit<Parameters<typeof extract>[1], 'output' | 'compression'>;

/** Makes an extract, or names the one that another test made. */
async function cut(from: string, name: string, options: Options): Promise<string> {
  const output = join(folder, name);
  if (existsSync(output)) return output;
  const kernel = openNative({ files: [from] });
  try {
    await extract(kernel, { ...options, output, compression: 'zlib' });
  } finally {
    kernel.close();
  }
  return output;
}

const ALL = { log: true, memory: true, stacks: true };

const panicked = () => labKdump('6.1').formats['lzo-d31'][0] ?? '';

const CASES = [
  ...KERNELS.map((kernel) => [kernel, () => labDump(kernel).elf] as const),
  ['6.12-arm64-16k', () => labDump('6.12-arm64-16k').elf],
  ['6.1 after a panic', panicked],
] as const;

test.each(CASES)('%s: an extract with all that triage reads gives the dump’s answers', async (name, file) => {
  const whole = answers(file());
  const small = await cut(file(), `${name}.all`, ALL);
  expect(answers(small)).toEqual(whole);
  expect(whole.stacks.tasks).toBeGreaterThan(60);
  expect(whole.log.messages.length).toBeGreaterThan(200);
  expect(statSync(small).size).toBeLessThan(5e6);
});

test.each(CASES.slice(-2))('%s: an extract without stacks or the log is no all-clear', async (name, file) => {
  const without = await cut(file(), `${name}.without`, {});
  const said = await kdumpMem('stacks', '--strict', '--vmcore', without);
  expect([3, 5]).toContain(said.status);
  expect(said.stderr).toContain('not in this extract');
  expect(said.stdout).not.toContain('(user space)');
  const { stdout, stderr, status } = await kdumpMem('triage', '--strict', '--vmcore', without);
  expect(status).toBe(5);
  expect(stderr).toMatch(/^kdump-mem: warning: ((of )?the log: |incomplete: .*: the log, )/m);
  expect(stdout).not.toContain('No problems found');
});

const panickedAll = () => cut(panicked(), '6.1 after a panic.all', ALL);

test('one option of the command includes it', async () => {
  const small = join(folder, 'by-option.all');
  const ran = await kdumpMem('extract', '--with-triage', '-o', small, '--vmcore', panicked());
  expect(ran).toMatchObject({ stderr: '', status: 0 });
  expect(readFileSync(small).equals(readFileSync(await panickedAll()))).toBe(true);
});

test.each([
  ['--with-triage', '--anonymize'],
  ['--with-triage', '--pid', '1'],
  ['--with-stacks', '--pid', '1'],
])('%s together with %s is refused', async (...options) => {
  const output = join(folder, 'none');
  const ran = await kdumpMem('extract', ...options, '-o', output, '--vmcore', panicked());
  expect(ran).toMatchObject({ status: 2, stdout: '' });
  expect(ran.stderr).toMatch(/^kdump-mem: [^\n]*exclude each other: [^\n]+\n$/);
  expect(existsSync(output)).toBe(false);
});

test('crash opens it, and finds the same log, tasks and functions of the panic', async () => {
  const crashAnswers = (vmcore: string) => {
    const input = 'log\nps\nbt\nquit\n';
    const printed = execFileSync(labTool('crash'), ['-s', labKernel('6.1').vmlinux, vmcore], {
      input,
      maxBuffer: 1 << 26,
      timeout: STEP_MS,
    }).toString('latin1');
    return {
      log: printed.match(/^\[ *\d+\.\d{6}\].*$/gm) ?? [],
      tasks: printed.match(/^>? +\d+ +\d+ +\d+ +ffff[\da-f]{12} /gm) ?? [],
      panic: [...printed.matchAll(/^ *#\d+ \[[\da-f]+\] (\S+) at/gm)].map(([, name]) => name),
    };
  };
  const whole = crashAnswers(panicked());
  const small = crashAnswers(await panickedAll());
  expect(small.log).toEqual(whole.log);
  expect(small.tasks).toEqual(whole.tasks);
  // Data between the first functions is left out, and crash starts at the next one.
  expect(whole.panic.slice(-small.panic.length)).toEqual(small.panic);
  expect(small.panic.length).toBeGreaterThan(5);
});

test('has the page tables of all memory of modules: crash exits without one', async () => {
  const [whole, small] = [panicked(), await panickedAll()].map((file) => openNative({ files: [file] }));
  if (!whole || !small) throw new Error('two dumps');
  try {
    const partsIn = partsOf(whole);
    const link = new StructReader(whole, 'module', ['list']);
    let pages = 0;
    for (const node of listNodes(whole, whole.symbol('modules') ?? 0n))
      for (const { base, size } of partsIn(link.containerOf(node, 'list')).parts)
        for (let at = 0; at < size; at += 4096, pages++)
          expect(small.physicalOf(base + BigInt(at))).toBe(whole.physicalOf(base + BigInt(at)));
    expect(pages).toBeGreaterThan(50);
  } finally {
    whole.close();
    small.close();
  }
});

test('keeps only the unwinding data of a stack; an anonymous one has other names', async () => {
  const { elf } = labDump('6.1');
  const marked = new DamagedDump(elf);
  const marker = 'MARKER:r10,r9 and r8 use';
  const kernel = openNative({ files: [elf] });
  const stackAt = BigInt(kernel.struct('task_struct')?.member('stack')?.offset ?? Number.NaN);
  const base = kernel.read(kernel.symbol('page_offset_base') ?? 0n, 8).getBigUint64(0, true);
  const asleep = [...new TaskReader(kernel).processes()].filter(
    ({ kernelThread, comm }) => !kernelThread && comm !== 'init',
  );
  for (const { address } of asleep) {
    // From r10 on, which is 7 words after the first of 21.
    const registers = marked.pointer(address + stackAt) + 16_384n - 14n * 8n;
    marked.setBytes(base + BigInt(kernel.physicalOf(registers) ?? Number.NaN), Buffer.from(marker));
  }
  kernel.close();
  expect(asleep.length).toBeGreaterThan(10);
  const of = async (name: string, anonymize: boolean) => {
    const small = await cut(marked.path, name, { stacks: true, anonymize });
    const found = queryOf(small, (opened) => groupedStacks(opened, {}));
    const comms = found.stacks.flatMap(({ tasks }) => tasks.map(({ comm }) => comm));
    const nameless = found.stacks.map(({ tasks, ...stack }) => ({
      ...stack,
      tasks: tasks.map(({ comm: _, ...task }) => task),
    }));
    const isKept = [...rawPages(small).values()].some((page) => page.includes(marker));
    return { found: { ...found, stacks: nameless }, comms, isKept };
  };
  const [plain, anonymous] = [await of('plain', false), await of('anonymous', true)];
  marked.remove();
  expect(plain.isKept).toBe(false);
  expect(anonymous.isKept).toBe(false);
  expect(anonymous.found).toEqual(plain.found);
  expect(plain.found.complete).toBe(true);
  const names = new Set(asleep.map(({ comm }) => comm));
  expect(plain.comms.filter((comm) => names.has(comm)).length).toBeGreaterThan(10);
  expect(anonymous.comms.filter((comm) => names.has(comm))).toEqual([]);
});
