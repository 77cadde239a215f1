import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { TraceInstance } from '../../../../src/leaks/record/tracefs/instance.js';
import { InstanceReader } from '../../../../src/leaks/record/tracefs/reader.js';
import { scratchFolder } from '../../../support/scratch.js';
import { KERNELS, pagesOf, planOf, streamOf } from './streams.js';

const folder = scratchFolder('reader-');

test('reads the last events of a CPU that goes offline, and skips it while it is offline', () => {
  const stream = streamOf(KERNELS[0]!);
  const pages = pagesOf(stream.allocations);
  expect(pages.length).toBeGreaterThan(2);
  const file = join(folder, 'per_cpu/cpu3/trace_pipe_raw');
  mkdirSync(join(folder, 'per_cpu/cpu3'), { recursive: true });
  writeFileSync(file, pages[0]!);
  const instance = { path: folder, cpus: [3] } as unknown as TraceInstance;
  const reader = new InstanceReader(instance, planOf(stream));
  const off: ReadonlySet<number> = new Set([0]);
  reader.read(4, 1, new Set([0, 3]));
  const before = reader.events;
  appendFileSync(file, pages[1]!);
  reader.read(4, 2, off);
  const after = reader.events;
  expect(after).toBeGreaterThan(before);
  // Nothing is written there any more: it is skipped until the CPU is online again, or until the final read.
  appendFileSync(file, pages[2]!);
  reader.read(4, 3, off);
  expect(reader.events).toBe(after);
  reader.read(4, 4);
  expect(reader.events).toBeGreaterThan(after);
  reader.close();
});
