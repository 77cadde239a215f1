import { expect, test } from 'vitest';
import { HostError } from '../../../src/base/errors.js';
import { readGraphics } from '../../../src/host/proc/graphics.js';
import { UringBuffers } from '../../../src/host/proc/uring-buffers.js';
import type { NotRead } from '../../../src/records/named-memory.js';
import { FakeHost } from '../fake-host.js';

const MIB = 2 ** 20;

/** amdgpu_show_fdinfo of drivers/gpu/drm/amd/amdgpu/amdgpu_fdinfo.c, with drm_fdinfo_print_size of drm_file.c. */
const amdgpu = (client: number, gtt: number, shared: number, pdev = '0000:03:00.0') =>
  [
    'pos:\t0\nflags:\t02100002\nmnt_id:\t26\nino:\t1057\ndrm-driver:\tamdgpu',
    `drm-client-id:\t${client}\ndrm-pdev:\t${pdev}\npasid:\t32771`,
    `drm-total-vram:\t${400 * 1024} KiB\ndrm-shared-vram:\t0\ndrm-resident-vram:\t${300 * 1024} KiB\ndrm-memory-vram:\t${300 * 1024} KiB`,
    `drm-total-gtt:\t${2 * gtt} MiB\ndrm-shared-gtt:\t${shared} MiB\ndrm-resident-gtt:\t${gtt} MiB\ndrm-memory-gtt:\t${gtt} MiB`,
    'drm-total-cpu:\t0\ndrm-resident-cpu:\t0\ndrm-engine-gfx:\t123456789 ns\n',
  ].join('\n');
/** drm_show_memory_stats of drm_file.c: a driver whose buffers are shared memory. */
const panfrost = `drm-driver:\tpanfrost\ndrm-client-id:\t4\ndrm-total-memory:\t${64 * 1024} KiB\ndrm-shared-memory:\t0\ndrm-resident-memory:\t${40 * 1024} KiB\n`;
/** dma_buf_show_fdinfo of drivers/dma-buf/dma-buf.c, after the lines of seq_show (fs/proc/fd.c). */
const dmaBuf = (mib: number, exporter: string, inode: number | null) =>
  `pos:\t0\nflags:\t02000002\nmnt_id:\t11\n${inode === null ? '' : `ino:\t${inode}\n`}size:\t${mib * MIB}\ncount:\t2\nexp_name:\t${exporter}\n`;
/** dma_buf_debug_show, as a guest of Linux 7.2 printed it. */
const bufinfo = (buffers: readonly (readonly [mib: number, exporter: string, inode: number])[]) =>
  [
    '\nDma-buf Objects:\nsize    \tflags   \tmode    \tcount   \texp_name\tino     \tname',
    ...buffers.map(
      ([mib, exporter, inode]) =>
        `${String(mib * MIB).padStart(8, '0')}\t00000002\t02080007\t00000004\t${exporter}\t${String(inode).padStart(8, '0')}\t<none>\n\tAttached Devices:\nTotal 0 devices attached\n`,
    ),
    `\nTotal ${buffers.length} objects, ${buffers.reduce((sum, [mib]) => sum + mib * MIB, 0)} bytes\n`,
  ].join('\n');

/** A running host: descriptors by pid and number. */
function machine(opened: Readonly<Record<number, Readonly<Record<number, readonly [link: string, info: string]>>>>) {
  const host = Object.assign(new FakeHost(), {
    file: (): never => {
      throw new HostError('gone', 'not read');
    },
  });
  host.files.set('/sys/class/dma_heap/system/dev', '1:2\n');
  for (const [pid, fds] of Object.entries(opened)) {
    host.files.set(`/proc/${pid}/comm`, `p${pid}\n`);
    for (const [fd, [link, info]] of Object.entries(fds)) {
      host.links.set(`/proc/${pid}/fd/${fd}`, link);
      host.files.set(`/proc/${pid}/fdinfo/${fd}`, info);
    }
  }
  return host;
}

function read(host: FakeHost, meminfo: Readonly<Record<string, number>> = {}) {
  const notRead: NotRead[] = [];
  const facts = new Map(Object.entries({ MemTotal: 8000 * MIB, ...meminfo }));
  return {
    named: readGraphics(host, facts, notRead, { perf: new Set(), uring: new UringBuffers() }, 16 * MIB),
    notRead,
  };
}

const CARD = '/dev/dri/renderD128';

test('a client counts once, and what clients share counts once in the lower bound', () => {
  const host = machine({
    7: { 3: [CARD, amdgpu(1, 100, 30)], 4: [CARD, amdgpu(1, 100, 30)] },
    8: { 9: [CARD, amdgpu(2, 50, 40)], 10: ['/dev/dri/card0', amdgpu(1, 100, 30)] },
    // A decoy as large: its fdinfo is not read.
    9: { 3: ['/dev/null', amdgpu(5, 100, 0)] },
  });
  const [gpu, ...others] = read(host).named;
  expect(others).toEqual([]);
  expect(gpu).toMatchObject({
    kind: 'gpu',
    name: 'amdgpu 0000:03:00.0',
    category: 'gpu',
    bytes: (70 + 10 + 40) * MIB,
    figures: {
      leastBytes: 120 * MIB,
      mostBytes: 150 * MIB,
      sharedBytes: 40 * MIB,
      deviceBytes: 600 * MIB,
      clients: 2,
      silentClients: 0,
    },
    processes: [
      { pid: 8, comm: 'p8', bytes: 150 * MIB },
      { pid: 7, comm: 'p7', bytes: 100 * MIB },
    ],
  });
  // The kernel counts pages of TTM: no second time.
  expect(read(host, { GPUActive: 150 * MIB })).toMatchObject({ named: [{ category: null }], notRead: [] });
  expect(read(host, { GPUActive: 0 }).notRead).toMatchObject([{ kind: 'gpu', code: 'unreadable' }]);
});

test('the same client number of two devices, and a driver in shared memory', () => {
  const { named } = read(
    machine({ 7: { 3: [CARD, amdgpu(1, 10, 0)], 4: [CARD, amdgpu(1, 20, 0, '0000:04:00.0')], 5: [CARD, panfrost] } }),
  );
  expect(named.map(({ name, category, bytes }) => [name, category, bytes])).toEqual([
    ['panfrost', null, 40 * MIB],
    ['amdgpu 0000:04:00.0', 'gpu', 20 * MIB],
    ['amdgpu 0000:03:00.0', 'gpu', 10 * MIB],
  ]);
});

test('no device or exporter is left out, and the largest is first', () => {
  const device = (at: number, mib: number) =>
    [CARD, amdgpu(1, mib, 0, `0000:${at.toString(16).padStart(2, '0')}:00.0`)] as const;
  const clients = Array.from({ length: 12 }, (_, at) => [at, device(at, at === 11 ? 2900 : 1)] as const);
  const { named: gpus } = read(machine({ 7: Object.fromEntries(clients) }));
  expect(gpus.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0)).toBe(2911 * MIB);
  expect(gpus[0]).toMatchObject({ name: 'amdgpu 0000:0b:00.0', bytes: 2900 * MIB });
  const buffers = Array.from(
    { length: 12 },
    (_, at) => [at, ['/dmabuf:', dmaBuf(1, `heap${at}`, at)] as const] as const,
  );
  expect(read(machine({ 7: Object.fromEntries(buffers) })).named).toHaveLength(12);
});

test('a driver without sizes is unknown, not zero', () => {
  const info = 'drm-driver:\tvgem\ndrm-client-id:\t3\n';
  const [gpu] = read(machine({ 7: { 3: [CARD, info] } })).named;
  expect(gpu).toMatchObject({ bytes: null, figures: { leastBytes: null, mostBytes: null, silentClients: 1 } });
});

test('a dma-buf counts once by its inode; small ones do not cause a read of bufinfo', () => {
  const host = machine({
    7: { 3: ['/dmabuf:', dmaBuf(40, 'system', 1)], 4: ['/dmabuf:frame', dmaBuf(40, 'system', 1)] },
    8: { 3: ['/dmabuf:', dmaBuf(40, 'system', 1)], 4: ['/dmabuf:', dmaBuf(30, 'udmabuf', 2)] },
  });
  host.onRead = (path) => expect(path).not.toContain('bufinfo');
  const { named, notRead } = read(host);
  expect(notRead).toEqual([]);
  expect(named.map(({ name, category, bytes, figures }) => [name, category, bytes, figures.mostBytes])).toEqual([
    ['system', 'dma-buf', 40 * MIB, null],
    ['udmabuf', null, 30 * MIB, null],
  ]);
  expect(named[0]?.processes?.map(({ pid, bytes }) => [pid, bytes])).toEqual([
    [7, 40 * MIB],
    [8, 40 * MIB],
  ]);
});

test('bufinfo adds what no process has open, and contradicts nothing silently', () => {
  const host = machine({ 7: { 3: ['/dmabuf:', dmaBuf(100, 'system', 1)] } });
  host.files.set(
    '/sys/kernel/debug/dma_buf/bufinfo',
    bufinfo([
      [100, 'system', 1],
      [60, 'system', 2],
    ]),
  );
  const [heap] = read(host).named;
  expect(heap).toMatchObject({
    bytes: 160 * MIB,
    figures: { buffers: 2, unopenedBytes: 60 * MIB, mostBytes: 160 * MIB },
  });
  const text = bufinfo([[100, 'system', 1]]).replace('Total 1 objects', 'Total 2 objects');
  host.files.set('/sys/kernel/debug/dma_buf/bufinfo', text);
  const cut = read(host);
  expect(cut.named[0]).toMatchObject({ bytes: 100 * MIB, figures: { unopenedBytes: null, mostBytes: null } });
  expect(cut.notRead).toMatchObject([{ kind: 'dma-buf', code: 'unreadable' }]);
});

test('before 5.14 buffers have no inode: as many descriptors may be of one', () => {
  const host = machine({
    7: { 3: ['/dmabuf:', dmaBuf(100, 'system', null)], 4: ['/dmabuf:', dmaBuf(100, 'system', null)] },
    8: { 3: ['/dmabuf:', dmaBuf(100, 'system', null)], 4: ['/dmabuf:', dmaBuf(30, 'system', null)] },
  });
  expect(read(host).named).toMatchObject([{ bytes: 130 * MIB, figures: { leastBytes: 130 * MIB, mostBytes: null } }]);
  host.files.set('/sys/kernel/debug/dma_buf/bufinfo', bufinfo([1, 2, 3].map((inode) => [100, 'system', inode])));
  expect(read(host).named).toMatchObject([{ bytes: 300 * MIB, figures: { buffers: 3, unopenedBytes: null } }]);
});

test('unreadable descriptors are named, and a host without devices is not searched', () => {
  const host = machine({ 7: { 3: ['/dmabuf:', dmaBuf(100, 'system', 1)] } });
  host.closed.add('/proc/8/fd');
  expect(read(host).notRead).toMatchObject([{ code: 'denied' }]);
  host.files.delete('/sys/class/dma_heap/system/dev');
  expect(read(host)).toEqual({ named: [], notRead: [] });
});

/** bpf_map_show_fdinfo of kernel/bpf/syscall.c, after the lines of seq_show (fs/proc/fd.c). */
const bpfMap = (id: number, mib: number, flags = 0) =>
  `pos:\t0\nflags:\t02000002\nmnt_id:\t16\nino:\t1060\nmap_type:\t1\nkey_size:\t4\nvalue_size:\t8\nmax_entries:\t9\nmap_flags:\t${flags === 0 ? '0x0' : `0x${flags.toString(16)}`}\nmap_extra:\t0x0\nmemlock:\t${mib * MIB}\nmap_id:\t${id}\nfrozen:\t0\n`;
const MAP = 'anon_inode:bpf-map';

test('a BPF map counts once for all processes that have it open, also without a device', () => {
  const host = machine({
    7: { 3: [MAP, bpfMap(1, 20)], 4: [MAP, bpfMap(1, 20)], 5: [CARD, amdgpu(1, 100, 0)] },
    8: { 3: [MAP, bpfMap(1, 20)], 4: [MAP, bpfMap(2, 10, 1)], 5: ['anon_inode:bpf-prog', bpfMap(3, 50)] },
  });
  host.files.delete('/sys/class/dma_heap/system/dev');
  expect(read(host)).toEqual({
    named: [
      {
        kind: 'bpf-maps',
        name: 'BPF',
        category: null,
        bytes: 30 * MIB,
        source: '/proc/PID/fdinfo',
        figures: { maps: 2, lazyBytes: 10 * MIB },
        processes: [
          { pid: 8, comm: 'p8', bytes: 30 * MIB },
          { pid: 7, comm: 'p7', bytes: 20 * MIB },
        ],
      },
    ],
    notRead: [],
  });
  expect(read(machine({ 7: { 3: [MAP, bpfMap(1, 15)] } })).named).toEqual([]);
  // The sum is a part then.
  host.closed.add('/proc/9/fd');
  expect(read(host).notRead).toMatchObject([{ kind: 'bpf-maps', code: 'denied' }]);
});

test('a BPF ring buffer has the bytes of its data, in a row of its own', () => {
  // memlock: of 6.1, and of 6.12 with the table of its pages.
  const ring = (id: number, mib: number, memlock: number, type = 27) =>
    bpfMap(id, 0)
      .replace('map_type:\t1\n', `map_type:\t${type}\n`)
      .replace('max_entries:\t9\n', `max_entries:\t${mib * MIB}\n`)
      .replace('memlock:\t0\n', `memlock:\t${memlock}\n`);
  const host = machine({
    7: { 3: [MAP, ring(1, 64, 0)], 4: [MAP, bpfMap(2, 20)] },
    8: { 3: [MAP, ring(1, 64, 0)], 4: [MAP, ring(3, 16, 17_045_064, 31)] },
  });
  expect(read(host).named.filter(({ name }) => name === 'BPF')).toMatchObject([
    { kind: 'bpf-maps', category: null, bytes: 20 * MIB, processes: [{ pid: 7, bytes: 20 * MIB }] },
    {
      kind: 'trace-rings',
      category: 'rings',
      bytes: 80 * MIB,
      figures: { maps: 2 },
      processes: [
        { pid: 8, bytes: 80 * MIB },
        { pid: 7, bytes: 64 * MIB },
      ],
    },
  ]);
});

test('descriptors that were not reached in time are reported, also without a device', () => {
  const host = machine({ 7: { 3: [MAP, bpfMap(1, 20)] } });
  host.files.delete('/sys/class/dma_heap/system/dev');
  let now = 0;
  host.now = () => (now += 2000);
  expect(read(host)).toMatchObject({ named: [], notRead: [{ kind: 'bpf-maps', code: 'unreadable' }] });
});

test.each([
  ['a dma-buf without a size', 'dma-buf', '/dmabuf:', dmaBuf(40, 'system', 2).replace(/size:.*\n/, '')],
  ['a dma-buf of a negative size', 'dma-buf', '/dmabuf:', dmaBuf(-40, 'system', 2)],
  [
    'a dma-buf of 2^64 bytes',
    'dma-buf',
    '/dmabuf:',
    dmaBuf(2 ** 44, 'system', 2).replace(/size:.*/, `size:\t${2n ** 64n}`),
  ],
  ['one inode of two sizes', 'dma-buf', '/dmabuf:', dmaBuf(41, 'system', 1)],
  ['a map without memlock', 'bpf-maps', MAP, bpfMap(2, 20).replace(/memlock:.*\n/, '')],
  ['a map of a negative size', 'bpf-maps', MAP, bpfMap(2, -20)],
  ['a map of 2^63 bytes', 'bpf-maps', MAP, bpfMap(2, 20).replace(/memlock:.*/, `memlock:\t${2n ** 63n}`)],
  ['a map without an id', 'bpf-maps', MAP, bpfMap(2, 20).replace(/map_id:.*\n/, '')],
  ['one map of two sizes', 'bpf-maps', MAP, bpfMap(1, 2000)],
  ['a GPU in an unknown unit', 'gpu', CARD, panfrost.replace(/resident-memory:.*/, 'resident-memory:\t2 GiB')],
])('%s is not read, not zero', (_, kind, link, info) => {
  const host = machine({ 7: { 3: ['/dmabuf:', dmaBuf(40, 'system', 1)], 4: [MAP, bpfMap(1, 20)], 5: [link, info] } });
  const { named, notRead } = read(host);
  expect(notRead).toEqual([{ kind, code: 'unreadable', why: 'malformed or contradictory fdinfo of 1 descriptor' }]);
  expect(named.filter(({ kind }) => kind !== 'gpu').map(({ bytes }) => bytes)).toEqual([40 * MIB, 20 * MIB]);
  expect(named.filter(({ kind }) => kind === 'gpu').map(({ bytes }) => bytes)).toEqual(kind === 'gpu' ? [null] : []);
});

test('cycles of a GPU are no memory (xe_drm_client.c)', () => {
  const info = `${panfrost}drm-cycles-rcs:\t28257900\ndrm-total-cycles-rcs:\t7655183225000\n`;
  expect(read(machine({ 7: { 3: [CARD, info] } })).named).toMatchObject([{ bytes: 40 * MIB }]);
});
