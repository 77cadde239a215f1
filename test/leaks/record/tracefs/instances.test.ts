import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { liveHost } from '../../../../src/host/live.js';
import { startTicks } from '../../../../src/host/proc/process.js';
import {
  instanceName,
  ownerOf,
  removeOrphans,
} from '../../../../src/leaks/record/tracefs/instances.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tracefs-'));
  mkdirSync(join(root, 'instances'));
});
afterEach(() => rmSync(root, { recursive: true }));

const make = (name: string) => mkdirSync(join(root, 'instances', name));

test('instances of a process that is gone are removed, and nobody else’s', () => {
  const { pid: gone } = spawnSync('true');
  const start = startTicks(liveHost, 'self') ?? '';
  const ours = instanceName({ pid: process.pid, start }, 'allocations');
  const killed = instanceName({ pid: gone, start: '17' }, 'frees');
  // The pid is somebody else's by now.
  const before = instanceName({ pid: process.pid, start: '17' }, 'allocations');
  const others = ['perf', 'kdump-mem', 'kdump-mem-1-2', 'kdump-mem-x-17-frees'];
  for (const name of [ours, killed, before, ...others]) make(name);
  expect(removeOrphans(root).toSorted()).toEqual([killed, before].toSorted());
  expect(readdirSync(join(root, 'instances')).toSorted()).toEqual([ours, ...others].toSorted());
});

test('one that somebody reads is left: the kernel says that it is busy', () => {
  const name = instanceName({ pid: 4_194_305, start: '17' }, 'allocations');
  make(join(name));
  make(join(name, 'per_cpu'));
  expect(removeOrphans(root)).toEqual([]);
  expect(readdirSync(join(root, 'instances'))).toEqual([name]);
});

test('when a process started tells it from others', () => {
  const self = startTicks(liveHost, 'self');
  expect(self).toMatch(/^\d+$/);
  expect(startTicks(liveHost, process.pid)).toBe(self);
  expect(startTicks(liveHost, 4_194_305)).toBe(null);
  expect(ownerOf(instanceName({ pid: 5, start: '6' }, 'rate'))).toEqual({ pid: 5, start: '6' });
});
