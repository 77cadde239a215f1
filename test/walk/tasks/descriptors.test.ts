import { expect, test } from 'vitest';
import { KernelError } from '../../../src/base/errors.js';
import { OpenFiles, sharedTables } from '../../../src/walk/tasks/descriptors.js';
import { FileTables } from '../../../src/walk/tasks/files.js';
import { PF_EXITING, type Task } from '../../../src/walk/tasks/tasks.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { type Damage, damagedKernel, kernelWith, liveKernel, UNDAMAGED } from '../../support/damaged-kernel.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

const { kernel, read, set, clear, damagedBy } = fixtureKernel('6.1');

const owned = sharedTables(kernel, new Warnings());
/** The file table of a single-threaded process that does not share it. */
const [files, users] = [...owned.tables].find(([, { threads }]) => threads.length === 1)!;
const [thread] = users.threads;
const fdt = read(files, 'files_struct.fdt');
/** Memory of a file table that was freed. */
const noTable = set(fdt, 'fdtable.max_fds', 77n);
const exiting = (task: Task): Damage => set(task.address, 'task_struct.flags', BigInt(PF_EXITING));

/** Reads files of a live kernel, whose memory changed after its tasks were found. */
function opened(...changes: Damage[]) {
  const live = liveKernel(damagedBy(...changes));
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
      { code: 'freed-while-read', message: `processes that exited while files were read: 1 of ${processes.size}` },
    ],
  });
});

test('reports the table of a process that still exists as damaged', () => {
  const { errors, warnings } = opened(noTable);
  expect([errors, warnings]).toEqual([[expect.stringContaining('77 descriptors')], []]);
});

test('reads the new table of a process that changed its table', () => {
  const [other] = [...owned.tables.keys()].filter((table) => table !== files);
  const moved = set(thread!.address, 'task_struct.files', other!);
  expect(opened(moved, noTable)).toMatchObject({ errors: [], has: false, warnings: [] });
});

test('returns an incomplete answer if too many processes exit', () => {
  const many = new Map(
    Array.from({ length: 65 }, (_, at) => [
      BigInt(at + 1),
      { processes: new Set([{ ...thread!, pid: at + 1 }]), threads: [thread!] },
    ]),
  );
  const live = liveKernel(damagedBy(exiting(thread!)));
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
      return Reflect.get(damagedKernel(target, isCleared ? clear(address, 8) : UNDAMAGED), name);
    },
  });
  const found = new OpenFiles(live, owned, () => {});
  const [file, { slots }] = [...found].find(([, openers]) => openers.slots.length === 1)!;
  const table = read(slots[0]!.files, 'files_struct.fdt');
  slot.address = read(table, 'fdtable.fd') + BigInt(8 * slots[0]!.fd);
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
    { code: 'freed-while-read', message: `files that were closed while files were read: 1 of ${[...found].length}` },
  ]);
  const fault = () => {
    throw new TypeError('a fault of this program');
  };
  expect(() => found.read(file, fault)).toThrow(TypeError);
});

/** A live kernel in which the bitmap of open descriptors reads as zeros the first `times` times. */
function opening(times: number) {
  const bitmap = read(fdt, 'fdtable.open_fds');
  let left = times;
  const zerosFirst = (address: bigint, length: number) =>
    address === bitmap && left-- > 0 ? new DataView(new ArrayBuffer(length)) : kernel.read(address, length);
  return new FileTables(liveKernel(kernelWith(kernel, { read: zerosFirst })));
}

test('accepts a descriptor that was opened between two reads of a live kernel', () => {
  const sound = [...new FileTables(kernel).open(files)];
  expect(sound.length).toBeGreaterThan(0);
  expect([...opening(1).open(files)]).toEqual(sound);
  expect(() => [...opening(100).open(files)]).toThrow('have a file, but are not in open_fds');
});
