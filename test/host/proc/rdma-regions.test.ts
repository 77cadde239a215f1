import { expect, test } from 'vitest';
import { readNamedMemory } from '../../../src/host/proc/named-memory.js';
import { FakeHost, withDrivers } from '../fake-host.js';

const MIB = 2 ** 20;

/** Regions of processes in MiB, VmPin of these, and buffers of io_uring: bounds, and what each process registered. */
function of(
  regions: readonly (readonly [pid: number | null, mib: number])[],
  pinned: Readonly<Record<number, number>>,
) {
  const lines = regions.map(([pid, mib]) => `region 0 index=0${pid === null ? '' : ` 28=${pid}`} 45=${mib * MIB}\n`);
  const host = Object.assign(new FakeHost(), { netlink: () => `${lines.join('')}end\n`, file: () => ({}) as never });
  withDrivers(host, 'infiniband_verbs');
  for (const [pid, mib] of Object.entries(pinned)) host.files.set(`/proc/${pid}/status`, `VmPin:\t${mib * 1024} kB\n`);
  const rows = () => {
    const { named } = readNamedMemory(host, { meminfo: new Map(), unreadCounters: [] });
    return named
      .filter(({ name }) => name === 'RDMA')
      .map(({ bytes, figures, processes = [] }) => [
        (bytes ?? 0) / MIB,
        (figures.mostBytes ?? 0) / MIB,
        ...processes.map((one) => `${one.pid}: ${one.bytes / MIB}`),
      ]);
  };
  return { host, rows };
}

test('one region of a process is all of its pinned memory', () => {
  expect(of([[7, 64]], { 7: 64 }).rows()).toEqual([[64, 64, '7: 64']]);
  expect(of([], { 7: 8 }).rows()).toEqual([]);
});

test('several may be of the same pages, on one device or on many', () => {
  const regions = [
    [7, 24],
    [7, 24],
    [8, 40],
  ] as const;
  expect(of(regions, { 7: 48, 8: 40 }).rows()).toEqual([[64, 88, '7: 48', '8: 40']]);
});

test('a region that VmPin does not contain may be paged on demand: no lower bound', () => {
  expect(of([[7, 64]], { 7: 10 }).rows()).toEqual([[10, 64, '7: 64']]);
  expect(of([[7, 64]], {}).rows()).toEqual([[0, 64, '7: 64']]);
  expect(of([[null, 64]], {}).rows()).toEqual([[0, 64]]);
});

test('pages that several regions pin count once, beside one that is paged on demand', () => {
  const ten = Array.from({ length: 10 }, () => [7, 50] as const);
  expect(of([...ten, [7, 1024]], { 7: 500 }).rows()).toEqual([[50, 1524, '7: 1524']]);
});

test('buffers of queues are in VmPin too, and no region reports them', () => {
  // The region, or buffers of queues beside one that is paged on demand.
  expect(of([[7, 64]], { 7: 74 }).rows()).toEqual([[64, 74, '7: 64']]);
  expect(of([[7, 64]], { 7: 60 }).rows()).toEqual([[60, 64, '7: 64']]);
  expect(of([[7, 10]], { 7: 74 }).rows()).toEqual([[64, 74, '7: 10']]);
  const two = [
    [7, 24],
    [7, 24],
  ] as const;
  expect(of(two, { 7: 58 }).rows()).toEqual([[24, 58, '7: 48']]);
  // The second is paged on demand.
  expect(of([two[0], [7, 100]], { 7: 64 }).rows()).toEqual([[40, 124, '7: 124']]);
});

test('memory that other kinds may have in VmPin is no lower bound', () => {
  const { host, rows } = of([[7, 64]], { 7: 100 });
  host.links.set('/proc/7/fd/3', 'anon_inode:[io_uring]');
  host.files.set('/proc/7/fdinfo/3', `ino:\t1\nUserBufs:\t1\n    0: 0x7f0000000000/${60 * MIB}\n`);
  expect(rows()).toEqual([[40, 100, '7: 64']]);
  host.links.set('/proc/7/fd/4', 'anon_inode:[perf_event]');
  expect(rows()).toEqual([[0, 100, '7: 64']]);
});

test.each(['vhost-vdpa', 'iommu', 'hfi1'])('memory that %s may have pinned is no lower bound', (driver) => {
  const { host, rows } = of([[7, 64]], { 7: 64 });
  expect(rows()).toEqual([[64, 64, '7: 64']]);
  withDrivers(host, driver);
  expect(rows()).toEqual([[0, 64, '7: 64']]);
});
