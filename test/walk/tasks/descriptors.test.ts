import { afterAll, expect, test } from 'vitest';
import { KernelError } from '../../../src/base/errors.js';
import { OpenFiles, sharedTables } from '../../../src/walk/tasks/descriptors.js';
import { FileTables } from '../../../src/walk/tasks/files.js';
import { PF_EXITING, type Task } from '../../../src/walk/tasks/tasks.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { type Damage, damagedKernel, UNDAMAGED } from '../../support/damaged-kernel.js';
import { fixtureKernel } from '../../support/fixture-kernel.js';
import { kernelReading } from '../../support/kernel-reading.js';

const { kernel, offset, pointer, with: change } = fixtureKernel('6.1');
afterAll(() => kernel.close());

const owned = sharedTables(kernel, new Warnings());
/** The file table of a single-threaded process that does not share it. */
const [files, users] = [...owned.tables].find(([, { threads }]) => threads.length === 1)!;
const [thread] = users.threads;
const fdt = pointer(files + offset('files_struct', 'fdt'));
/** Memory of a file table that was freed. */
const noTable = change(fdt, 'fdtable', 'max_fds', 77n, 4);
const exiting = (task: Task): Damage => change(task.address, 'task_struct', 'flags', BigInt(PF_EXITING), 4);

/** Reads files of a live kernel, whose memory changed after its tasks were found. */
function opened(...changes: Damage[]) {
  const patches = changes.flatMap((each) => each.patches);
  const damaged = damagedKernel(kernel, { ...UNDAMAGED, patches });
  const live = new Proxy(damaged, {
    get: (target, name) => (name === 'facts' ? { ...kernel.facts, live: true } : Reflect.get(target, name, target)),
  });
  const errors: string[] = [];
  const found = new OpenFiles(live, owned, (_, error) => errors.push((error as Error).message));
  const warnings = new Warnings();
  found.note('files', warnings);
  const has = [...found].some(([, { slots }]) => slots.some((slot) => slot.files === files));
  return { found, errors, has, warnings: warnings.list() };
}

test('reports a process that exited during a live scan, not damage to its table', () => {
  const processes = new Set([...owned.tables.values()].flatMap((each) => [...each.processes]));
  expect(opened(exiting(thread!), noTable)).toMatchObject({
    errors: [],
    has: false,
    warnings: [
      {
        code: 'freed-while-read',
        message: `processes that exited while files were read: 1 of ${processes.size}`,
      },
    ],
  });
});

test('reports the table of a process that still exists as damaged', () => {
  const { errors, warnings } = opened(noTable);
  expect([errors, warnings]).toEqual([[expect.stringContaining('77 descriptors')], []]);
});

test('reads the new table of a process that changed its table', () => {
  const [other] = [...owned.tables.keys()].filter((table) => table !== files);
  const moved = change(thread!.address, 'task_struct', 'files', other!, 8);
  expect(opened(moved, noTable)).toMatchObject({ errors: [], has: false, warnings: [] });
});

test('returns an incomplete answer if too many processes exit', () => {
  const many = new Map(
    Array.from({ length: 65 }, (_, at) => [
      BigInt(at + 1),
      { processes: new Set([{ ...thread!, pid: at + 1 }]), threads: [thread!] },
    ]),
  );
  const live = new Proxy(damagedKernel(kernel, exiting(thread!)), {
    get: (target, name) => (name === 'facts' ? { ...kernel.facts, live: true } : Reflect.get(target, name, target)),
  });
  const warnings = new Warnings();
  new OpenFiles(live, { ...owned, tables: many }, () => {}).note('files', warnings);
  expect(warnings.list()).toEqual([
    { code: 'torn-list', message: 'processes that exited while files were read: 65 of 65' },
  ]);
});

test('reports an unreadable file as damage while its descriptor refers to it, otherwise as closed', () => {
  const slot = { address: 0n, isCleared: false };
  const live = new Proxy(kernel, {
    get: (target, name) => {
      if (name === 'facts') return { ...kernel.facts, live: true };
      const { address, isCleared } = slot;
      const patches = isCleared ? [{ address, bytes: new Uint8Array(8) }] : [];
      return Reflect.get(damagedKernel(target, { ...UNDAMAGED, patches }), name);
    },
  });
  const found = new OpenFiles(live, owned, () => {});
  const [file, { slots }] = [...found].find(([, openers]) => openers.slots.length === 1)!;
  const table = pointer(slots[0]!.files + offset('files_struct', 'fdt'));
  slot.address = pointer(table + offset('fdtable', 'fd')) + BigInt(8 * slots[0]!.fd);
  let reads = 0;
  const fails = () => {
    reads++;
    throw new KernelError('damaged', 'it contradicts itself');
  };
  expect(() => found.read(file, fails)).toThrow('it contradicts itself');
  expect(reads).toBeGreaterThan(1);
  slot.isCleared = true;
  expect(found.read(file, fails)).toBeUndefined();
  const warnings = new Warnings();
  found.note('files', warnings);
  expect(warnings.list()).toEqual([
    {
      code: 'freed-while-read',
      message: `files that were closed while files were read: 1 of ${[...found].length}`,
    },
  ]);
  const fault = () => {
    throw new TypeError('a fault of this program');
  };
  expect(() => found.read(file, fault)).toThrow(TypeError);
});

/** A live kernel in which the bitmap of open descriptors reads as zeros the first `times` times. */
function opening(times: number) {
  const bitmap = pointer(fdt + offset('fdtable', 'open_fds'));
  let left = times;
  const live = kernelReading(kernel, (address, length) =>
    address === bitmap && left-- > 0 ? new DataView(new ArrayBuffer(length)) : kernel.read(address, length),
  );
  return new FileTables(
    new Proxy(live, {
      get: (target, name) => (name === 'facts' ? { ...kernel.facts, live: true } : Reflect.get(target, name)),
    }),
  );
}

test('accepts a descriptor that was opened between two reads of a live kernel', () => {
  const sound = [...new FileTables(kernel).open(files)];
  expect(sound.length).toBeGreaterThan(0);
  expect([...opening(1).open(files)]).toEqual(sound);
  expect(() => [...opening(100).open(files)]).toThrow('have a file, but are not in open_fds');
});
