import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TraceInstance } from '../../../../src/leaks/record/tracefs/instance.js';
import { KeptSettings } from '../../../../src/leaks/record/tracefs/instances.js';

let root: string;
let instance: TraceInstance;
let settings: KeptSettings;

const write = (file: string, text: string) => {
  const path = join(instance.path, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};
const EVENTS = [
  { system: 'kmem', name: 'kmalloc' },
  { system: 'kmem', name: 'kmem_cache_alloc' },
];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tracefs-'));
  mkdirSync(join(root, 'instances'));
  instance = new TraceInstance(root, 'ours');
  write('tracing_on', '1\n');
  write('tracing_cpumask', 'f\n');
  write('trace_clock', 'local global [mono]\n');
  write('options/stacktrace', '1\n');
  write('set_event_pid', '');
  for (const { name } of EVENTS) {
    write(`events/kmem/${name}/enable`, '1\n');
    write(`events/kmem/${name}/filter`, '!(ptr & 0x7000)\n');
  }
  settings = new KeptSettings(instance, EVENTS);
  settings.keep();
});
afterEach(() => rmSync(root, { recursive: true }));

test('reports no unchanged settings', () => {
  expect(settings.changed()).toEqual([]);
  // A trigger of another user next to it.
  write('events/kmem/kmalloc/enable', '1*\n');
  expect(settings.changed()).toEqual([]);
});

describe('reports settings that another process changed, by path', () => {
  test.each([
    ['tracing is off', 'tracing_on', '0\n'],
    ['an event is disabled', 'events/kmem/kmem_cache_alloc/enable', '0\n'],
    ['a trigger has disabled it', 'events/kmem/kmalloc/enable', '0*\n'],
    ['another filter', 'events/kmem/kmalloc/filter', 'none\n'],
    ['limited to some CPUs', 'tracing_cpumask', '1\n'],
    ['another clock', 'trace_clock', '[local] global mono\n'],
    ['no stacks', 'options/stacktrace', '0\n'],
    ['limited to one process', 'set_event_pid', '4711\n'],
    ['a new file', 'set_event_notrace_pid', '4711\n'],
  ])('%s', (_, file, text) => {
    write(file, text);
    expect(settings.changed()).toEqual([join(instance.path, file)]);
  });

  test('reports settings that become unreadable', () => {
    rmSync(join(instance.path, 'events'), { recursive: true });
    expect(settings.changed()).toHaveLength(4);
  });

  test('does not report a filter that kdump-mem itself changed', () => {
    write('events/kmem/kmalloc/filter', '!(ptr & 0xf000)\n');
    settings.keep();
    expect(settings.changed()).toEqual([]);
  });
});
