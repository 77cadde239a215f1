import { expect, test } from 'vitest';
import { HostError } from '../../../src/base/errors.js';
import { descriptors, withTablesReadOnce } from '../../../src/host/proc/descriptor-tables.js';
import { scanHolders, withLateHolders } from '../../../src/host/proc/holders.js';
import { FakeHost } from '../fake-host.js';

function twoProcesses(): FakeHost {
  const host = new FakeHost();
  host.addProcess(10, { fds: { 3: 500, 4: 501 } });
  host.addProcess(20, { fds: { 3: 500 } });
  host.links.set('/proc/20/fd/1', '/tmp/socket:[7]');
  return host;
}

test('repeats descriptor tables as they were, without reading them again', () => {
  const host = twoProcesses();
  const once = withTablesReadOnce(host);
  const reads: string[] = [];
  host.onRead = (path) => reads.push(path);
  expect(once.list('/proc/10/fd')).toEqual(['0', '3', '4']);
  expect(once.size('/proc/10/fd')).toBe(3);
  const links = [0, 3, 4].map((fd) => once.readLink(`/proc/10/fd/${fd}`));
  expect(links).toEqual(['/dev/null', 'socket:[500]', 'socket:[501]']);
  expect(once.readLink('/proc/20/fd/1')).toBe('/tmp/socket:[7]');
  expect(reads).toEqual([]);
  host.links.set('/proc/20/fd/9', 'socket:[900]');
  // It was opened since: it is in no table, and its link is read.
  expect([once.list('/proc/20/fd'), once.readLink('/proc/20/fd/9')]).toEqual([['0', '3', '1'], 'socket:[900]']);
  expect(reads).toEqual(['/proc/20/fd/9']);
});

test('lists the processes, and reads the namespace of each, once', () => {
  const host = twoProcesses();
  host.links.set('/proc/10/ns/mnt', 'mnt:[1]');
  host.links.set('/proc/20/ns/mnt', 'denied');
  const once = withTablesReadOnce(host);
  const before = once.list('/proc');
  expect(once.readLink('/proc/10/ns/mnt')).toBe('mnt:[1]');
  // One process starts, and pid 10 is another process now: the answer is of the moment before.
  host.addProcess(30, { fds: { 3: 502 } });
  host.links.set('/proc/10/ns/mnt', 'mnt:[2]');
  host.links.set('/proc/10/fd/3', '/etc/passwd');
  expect(once.list('/proc')).toEqual(before);
  expect(once.readLink('/proc/10/ns/mnt')).toBe('mnt:[1]');
  expect([...descriptors(once, '/proc/10/fd')].map(({ link }) => link)).toEqual(['/dev/null', 500, 501]);
  expect(once.fresh?.list('/proc')).toContain('30');
  // Never the namespace of another process, nor of another kind.
  expect(() => once.readLink('/proc/20/ns/mnt')).toThrow(/permission denied/);
  expect(() => once.readLink('/proc/10/ns/net')).toThrow(HostError);
});

test('reads all other paths, and tables of threads', () => {
  const host = twoProcesses();
  const once = withTablesReadOnce(host);
  host.links.set('/proc/10/task/11/fd/5', 'socket:[502]');
  host.links.set('/proc/10/ns/net', 'net:[1]');
  expect(once.readLink('/proc/10/task/11/fd/5')).toBe('socket:[502]');
  expect(once.readLink('/proc/10/ns/net')).toBe('net:[1]');
  expect(once.readText('/proc/10/comm')).toBe('feedd\n');
});

test('fails for an unreadable table as the host did, and reads an unreadable link again', () => {
  const host = twoProcesses();
  host.closed.add('/proc/99/fd');
  host.links.set('/proc/10/fd/4', 'denied');
  const once = withTablesReadOnce(host);
  expect(() => once.list('/proc/99/fd')).toThrow(new HostError('denied', '/proc/99/fd: permission denied'));
  expect(() => once.readLink('/proc/10/fd/4')).toThrow(/permission denied/);
  const links = () => [...descriptors(once, '/proc/10/fd')].map(({ link }) => link);
  expect(links()).toEqual(['/dev/null', 500, 'denied']);
  host.links.set('/proc/10/fd/4', 'socket:[501]');
  expect(links()).toEqual(['/dev/null', 500, 501]);
  expect(() => [...descriptors(once, '/proc/99/fd')]).toThrow(/permission denied/);
});

test('a socket that was passed on since is searched for on the host itself', async () => {
  const host = twoProcesses();
  const once = withTablesReadOnce(host);
  host.links.set('/proc/20/fd/9', 'socket:[900]');
  const wanted = new Set([501, 900]);
  const early = await scanHolders(once, wanted);
  expect(early.byInode.get(900)).toBeUndefined();
  const late = await withLateHolders(once, early, wanted);
  expect(late.byInode.get(501)).toEqual([{ pid: 10, fds: [4] }]);
  expect(late.byInode.get(900)).toEqual([{ pid: 20, fds: [9] }]);
});
