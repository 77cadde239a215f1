import { expect, test } from 'vitest';
import { askNetlink, NETLINK_PROGRAMS } from '../../../src/host/netlink.js';
import { readInterfaces } from '../../../src/host/proc/interfaces.js';
import type { NotRead } from '../../../src/records/named-memory.js';
import { FakeHost } from '../fake-host.js';

const PAGE = 4096;

function read(text: string | null, uptime: number | null = 1000) {
  const host = Object.assign(new FakeHost(), { netlink: () => text });
  const notRead: NotRead[] = [];
  const { rows, regions } = readInterfaces(host, uptime, notRead);
  return { named: rows, regions, notRead };
}

const hex = (name: string) => Buffer.from(name).toString('hex');
const LINKS = `link 0 index=1 3=${hex('lo')} 16=0 4=65536 32=1\nlink 0 index=2 3=${hex('eth0')} 16=6 4=1500 32=4\n`;

test('page pools sum by interface, and those of another provider are apart', () => {
  const { named } = read(
    `${LINKS}pool 0 1=1 2=2 3=8200 4=100 5=${100 * PAGE}\npool 0 1=2 2=2 4=50 5=${50 * PAGE}\npool 0 1=3 2=2 4=9 5=${9 * PAGE} 8=1\nend\n`,
  );
  expect(named).toMatchObject([
    {
      kind: 'page-pools',
      name: 'eth0',
      category: 'network-other',
      bytes: 150 * PAGE,
      figures: { pools: 3, pages: 150, detachedPools: 0, detachedSeconds: null, foreignBytes: 9 * PAGE },
    },
  ]);
});

test('a detached pool has its age, and the interface that was removed has no name', () => {
  const text = `${LINKS}pool 0 1=1 2=2 4=7 5=${7 * PAGE} 6=940\npool 0 1=4 4=3 5=${3 * PAGE} 6=400\nend\n`;
  const { named } = read(text);
  expect(named.map(({ name, figures }) => [name, figures.detachedPages, figures.detachedSeconds])).toEqual([
    ['eth0', 7, 60],
    ['removed interfaces', 3, 600],
  ]);
  expect(read(text, null).named[0]?.figures.detachedSeconds).toBeNull();
});

test('no interface is left out: rows and findings sum them', () => {
  const pool = (at: number, pages: number, more = '') => `pool 0 1=${at} 2=${at} 4=${pages} 5=${pages * PAGE}${more}\n`;
  const large = Array.from({ length: 40 }, (_, at) => pool(at + 2, 1000)).join('');
  const { named } = read(`${large}${pool(99, 7, ' 6=400')}end\n`);
  expect(named.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0)).toBe(40_007 * PAGE);
  expect(named.at(-1)).toMatchObject({ name: 'interface 99', figures: { detachedPools: 1, detachedSeconds: 600 } });
});

test('rings are bounds: at least one full queue, at most all of them in pages', () => {
  const ring = (text: string) => read(`${text}ring 0 1=2 6=256\nend\n`).named[0];
  expect(ring(LINKS)).toMatchObject({
    kind: 'nic-rings',
    name: 'eth0',
    category: null,
    bytes: null,
    figures: { leastBytes: 256 * 1522, mostBytes: 4 * 256 * PAGE, descriptors: 256, queues: 4, mtu: 1500 },
  });
  // Frames of 9 KiB need 16 KiB of pages; an interface that is down may have none.
  expect(ring(LINKS.replace('4=1500', '4=9000'))?.figures.mostBytes).toBe(4 * 256 * 4 * PAGE);
  expect(ring(LINKS.replace('16=6', '16=2'))?.figures.leastBytes).toBe(0);
  // Without an interface of this index, its MTU is unknown.
  expect(ring('')).toBeUndefined();
});

test('closed namespaces are named', () => {
  const { notRead } = read(`${LINKS}closed 1\nend\n`);
  expect(notRead).toMatchObject([{ kind: 'page-pools', code: 'denied' }]);
  expect(read(null)).toEqual({ named: [], regions: [], notRead: [] });
});

test.each([
  ['cut in a number', `${LINKS}pool 0 1=1 2=2 4=100 5=${100 * PAGE}\npool 0 1=2 2=2 4=7 5=2147`, 1],
  ['without its last line', `${LINKS}pool 0 1=1 2=2 4=100 5=${100 * PAGE}\n`, 1],
  ['empty', '', 0],
])('a list that is truncated, %s, is reported', (_, text, rows) => {
  const { named, notRead } = read(text);
  expect(named.map(({ bytes }) => bytes)).toEqual(Array.from({ length: rows }, () => 100 * PAGE));
  expect(notRead).toMatchObject([{ kind: 'page-pools', code: 'unreadable', why: expect.stringMatching(/truncated/) }]);
});

test('a request that failed is reported; one that an older kernel lacks is not', () => {
  const { notRead } = read(`${LINKS}refused 0 pool\nrefused 1 ring\nend\n`);
  expect(notRead).toMatchObject([{ kind: 'page-pools' }, { kind: 'nic-rings' }]);
  expect(read(`${LINKS}lacks 0 pool\nlacks 0 ring\nend\n`).notRead).toEqual([]);
});

test.each(['4=', '5=ff', '6=', '6=ff', '6=1e2', '6=2000'])('a pool with %s is not read, others are', (field) => {
  const fields = { 4: `4=7`, 5: `5=${7 * PAGE}`, 6: '6=900', [field.slice(0, 1)]: field };
  const text = `${LINKS}pool 0 1=1 2=2 ${Object.values(fields).join(' ')}\npool 0 1=2 2=2 4=3 5=${3 * PAGE} 6=940\nend\n`;
  const { named, notRead } = read(text);
  expect(named).toMatchObject([{ bytes: 3 * PAGE, figures: { pools: 1, detachedSeconds: 60 } }]);
  expect(notRead).toEqual([{ kind: 'page-pools', code: 'unreadable', why: expect.stringContaining('1 page pool') }]);
});

test.each([
  ['no queues', LINKS.replace('32=4', '32=0'), '6=256'],
  ['a malformed number of queues', LINKS.replace('32=4', '32=ff'), '6=256'],
  ['a malformed number of descriptors', LINKS, '6='],
  ['a malformed MTU', LINKS.replace('4=1500', '4='), '6=256'],
])('rings of an interface with %s are not read', (_, links, field) => {
  const { named, notRead } = read(`${links}ring 0 1=2 ${field}\nend\n`);
  expect(named).toEqual([]);
  expect(notRead).toMatchObject([{ kind: 'nic-rings', code: 'unreadable' }]);
  expect(read(`${LINKS}ring 0 1=2 6=0\nend\n`)).toMatchObject({ named: [], notRead: [] });
});

test('regions of RDMA: those of a shared device once, and none of kernel modules', () => {
  const text = 'region 0 index=0 28=7 45=4096\nregion 0 index=0 29=1 45=8192\nregion 0 index=0 45=4096\n';
  const shared = `${LINKS}${text}${text.replaceAll('region 0', 'region 1')}region 1 index=1 28=7 45=16384\nend\n`;
  expect(read(shared)).toMatchObject({
    regions: [
      { pid: 7, bytes: 4096 },
      { pid: null, bytes: 4096 },
      { pid: 7, bytes: 16384 },
    ],
    notRead: [],
  });
  expect(read(`${LINKS}lacks 0 region\nend\n`).notRead).toMatchObject([{ kind: 'pinned', code: 'unreadable' }]);
});

test('regions of RDMA: each once, and a malformed line or size costs that region alone', () => {
  const sound = 'region 0 index=0 28=7 45=4096 63=1\n';
  const others = 'region 0 index=0 28=7 45=4096 63=2\nregion 0 index=1 28=7 45=4096 63=1\n';
  // Of an older kernel, or unreadable.
  const unnumbered = 'region 0 index=0 28=7 45=4096\nregion 0 index=0 28=7 45=4096 63=\n'.repeat(2);
  const damaged = 'region 0 index=0 28=7 45= 63=3\nregion 0 index=0 28=7 45=4096 63=x\n';
  const { regions, notRead } = read(`${sound}${sound}${others}${unnumbered}${damaged}end\n`);
  expect(regions).toEqual(Array.from({ length: 7 }, () => ({ pid: 7, bytes: 4096 })));
  expect(notRead).toEqual([
    { kind: 'pinned', code: 'unreadable', why: 'memory regions of RDMA: 1 malformed line' },
    { kind: 'pinned', code: 'unreadable', why: '1 memory region of RDMA with an impossible size' },
  ]);
});

test('perl and python3 print the same; a host without both has a reason for it', () => {
  const [perl, python] = NETLINK_PROGRAMS.map((program) => askNetlink(['-', '/proc/self/ns/none'], [program]));
  expect(perl).toBe(python);
  expect(perl).toMatch(/^link 0 index=1 3=6c6f /);
  expect(perl).toContain('closed 1\n');
  expect(() => askNetlink(['-'], [])).toThrow('needs python3 or perl');
});
