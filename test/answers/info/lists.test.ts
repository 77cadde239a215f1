import { expect, test } from 'vitest';
import { listText } from '../../../src/answers/info/lists/text.js';
import type { ListAnswer, ListName } from '../../../src/contracts/lists.js';

const MODULE = {
  address: 0x1n,
  name: 'alpha\n',
  state: 'live',
  sizeBytes: 8192,
  textBytes: 4096,
  references: 1,
  usedBy: ['beta'],
  taints: [],
};
const MOUNT = {
  address: 0x1n,
  id: 1,
  superBlock: 0x2n,
  device: '8:1',
  fsType: 'ext4',
  source: null,
  path: '/',
  options: ['rw'],
};
const DEVICE = {
  address: 0x1n,
  path: '/swap',
  kind: 'file',
  sizeBytes: 8192,
  usedBytes: 4096,
  usedSlotBytes: null,
  priority: -2,
};
const SEGMENT = {
  address: 0x1n,
  id: 3,
  key: 0x0n,
  uid: 0,
  permissions: '600',
  removed: true,
  sizeBytes: 4096,
  attaches: 0,
  creatorPid: 1,
  lastPid: null,
  attachTime: '2023-11-14T22:13:20.000Z',
  detachTime: null,
  residentBytes: null,
  swapBytes: 0,
};
const RUNNING = { address: 0x1n, pid: 7, comm: 'busy' };
const WAITING = { address: 0x2n, pid: 8, comm: 'other', class: 'fair', priority: 120, throttled: true };
const CPU = {
  cpu: 0,
  running: 2,
  current: RUNNING,
  tasks: [{ ...RUNNING, class: 'fair', priority: 120, throttled: false }, WAITING],
};

/** Lists as their readers make them. */
const LISTS = {
  modules: { modules: [MODULE, { ...MODULE, name: 'beta', sizeBytes: 2 ** 20, state: null, references: null }] },
  mounts: { mounts: [MOUNT], namespace: 42 },
  swap: { devices: [DEVICE] },
  'shared-memory': { segments: [SEGMENT] },
  'run-queues': {
    cpus: [CPU, { cpu: 1, running: 0, current: { address: 0x3n, pid: 0, comm: 'swapper/1' }, tasks: [] }],
  },
};

function text(name: ListName, list: unknown, complete: boolean): string {
  return listText(name, { ...(list as ListAnswer<typeof name>), complete }, null);
}

test.each<readonly [ListName, RegExp, RegExp]>([
  ['modules', /^2 loaded modules, 1\.01 MiB without init sections\.\n/, /^beta .*\nalpha\\x0a /m],
  ['mounts', /^1 mount in mount namespace 42\.\n/, /^\? +\/ +ext4/m],
  ['swap', /^1 swap device: 4\.00 KiB of 8\.00 KiB used\.\n/, /^\/swap +file +8\.00 KiB +4\.00 KiB +- +-2$/m],
  [
    'shared-memory',
    /^1 System V shared memory segment: 4\.00 KiB, of which 0 are in memory\.\n/,
    /^ +3 +0x0 +0 +600 +4\.00 KiB +- +0 +0 +1 +- +2023-11-14 22:13:20 +removed$/m,
  ],
  [
    'run-queues',
    /^2 runnable tasks on 2 CPUs; 1 idle\.\n/,
    /pid 7 \(busy\), running +fair +120\n +pid 8 \(other\), throttled +fair +120\n +1 +0 +idle/,
  ],
])('text of %s', (name, sentence, row) => {
  const whole = text(name, LISTS[name], true);
  expect(whole).toMatch(sentence);
  expect(whole).toMatch(row);
  expect(text(name, LISTS[name], false)).toMatch(/^At least /);
});

test.each<readonly [ListName, unknown, boolean, string]>([
  ['swap', { devices: [] }, true, 'No swap device is in use.'],
  ['swap', { devices: [] }, false, 'No readable swap device is in use.'],
  ['shared-memory', { segments: [] }, true, 'No System V shared memory segment exists.'],
  [
    'shared-memory',
    { segments: [] },
    false,
    'At least 0 System V shared memory segments: 0, of which 0 are in memory.',
  ],
])('text of an empty list of %s', (name, list, complete, sentence) => {
  expect(text(name, list, complete)).toBe(sentence);
});
