import { describe, expect, test } from 'vitest';
import { isHostError } from '../../src/base/errors.js';
import { findNamespaces } from '../../src/host/namespaces.js';
import { observe } from '../../src/host/observe.js';
import { diagnose } from '../../src/skcheck/diagnose.js';
import { FakeHost } from './fake-host.js';

function host(answer: (args: readonly string[], netns: string | null) => string = () => '') {
  const fake = new FakeHost(answer);
  fake.links.set('/proc/self/ns/net', 'net:[1]');
  fake.links.set('/proc/10/ns/net', 'net:[1]');
  fake.links.set('/proc/20/ns/net', 'net:[2]');
  fake.links.set('/proc/21/ns/net', 'net:[2]');
  fake.files.set(
    '/proc/self/mountinfo',
    [
      '22 1 0:20 / /proc rw - proc proc rw',
      '30 1 0:4 net:[2] /run/netns/we\\040b rw shared:1 - nsfs nsfs rw',
      '31 1 0:4 net:[3] /run/docker/netns/left rw - nsfs nsfs rw',
      '32 1 0:4 mnt:[9] /run/snapd/ns/x rw - nsfs nsfs rw',
    ].join('\n'),
  );
  return fake;
}

describe('network namespaces', () => {
  test('are found from processes and mounts, each once, the own one first', () => {
    expect(findNamespaces(host(), 'all')).toMatchObject([
      { inode: 1, own: true, pid: 'self', name: null },
      { inode: 2, own: false, pid: 20, name: 'we b', path: '/run/netns/we b' },
      { inode: 3, own: false, pid: null, name: 'left', path: '/run/docker/netns/left' },
    ]);
  });

  test.each([
    ['its name', 'we b', 2],
    ['the path of a mount', '/run/docker/netns/left', 3],
    ['a pid', '21', 2],
    ['its inode', '3', 3],
    ['its own by its pid', '10', 1],
  ])('are selected by %s', (_, choice, inode) => {
    expect(findNamespaces(host(), choice).map((each) => each.inode)).toEqual([inode]);
  });

  test('are reported with the processes in none of the visible ones', async () => {
    const fake = host();
    // 30 is in a namespace of its own, 31 in that of 20; 32 has exited, and 33 is gone.
    for (const pid of [30, 31, 32]) fake.links.set(`/proc/${pid}/ns/net`, 'denied');
    fake.files.set('/proc/33/status', '');
    for (const [pid, inode] of Object.entries({ self: 5, 20: 6, 30: 7, 31: 6 }))
      fake.inodes.set(`/proc/${pid}/net/dev`, inode);
    const hidden: string[] = [];
    findNamespaces(fake, 'all', (pid) => hidden.push(pid));
    expect(hidden).toEqual(['30']);
    const losses = async (netns: string) => (await observe(fake, { intervalMs: 0, netns })).losses;
    expect(await losses('all')).toMatchObject({ hidden: 1 });
    // A selection of namespaces misses nothing.
    expect(await losses('own')).toMatchObject({ hidden: 0 });
    expect(await losses('we b')).toMatchObject({ hidden: 0 });
  });

  test('fail if they do not exist', () => {
    for (const choice of ['web', '/etc/passwd', '99']) {
      try {
        findNamespaces(host(), choice);
        expect.unreachable();
      } catch (error) {
        expect(isHostError(error, 'no-such-netns')).toBe(true);
      }
    }
  });

  test('include the own one even if it is unreadable', () => {
    expect(findNamespaces(new FakeHost(), 'own')).toMatchObject([{ inode: null, own: true }]);
  });
});

test('keep sockets with the same cookie and addresses apart', async () => {
  let looks = 0;
  const row = (received: number) =>
    `tcp ESTAB 100 0 10.0.0.1:80 10.0.0.2:9 ino:0 sk:1 cgroup:/ <-> skmem:(r1280,rb131072,t0,tb1,f0,w0,o0,bl0,d0) ts rcvmss:536 bytes_received:${received} lastrcv:4000`;
  const fake = host((args, netns) => {
    if (args.includes('-x')) return '';
    if (netns === null) looks++;
    // The own one is read between the samples, the second is not, the third is empty.
    return netns === null ? row(looks > 1 ? 900 : 100) : netns.includes('left') ? '' : row(100);
  });
  const found = diagnose(await observe(fake, { intervalMs: 2000, netns: 'all' }));
  expect(found.findings.map(({ socket, verdict }) => [socket.netns, verdict.verdict])).toEqual([
    [2, 'stalled-reader'],
    [1, 'reading'],
  ]);
});

test('may disappear during the scan without an error', async () => {
  const fake = host();
  const ss = fake.ss.bind(fake);
  const { HostError } = await import('../../src/base/errors.js');
  fake.ss = async (args, netns, onBytes) => {
    if (netns?.includes('left')) throw new HostError('gone', 'no');
    if (netns?.includes('we b')) throw new HostError('netns-closed', 'no');
    return ss(args, netns, onBytes);
  };
  const { last } = await observe(fake, { intervalMs: 2000, netns: 'all' });
  expect(last?.closed.map(({ inode }) => inode)).toEqual([2]);
});
