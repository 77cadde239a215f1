import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { type MemoryJson, memorySchema } from '../../../src/contracts/memory.js';
import { drgnJson } from '../../support/drgn.js';
import { testGuest } from '../../support/guest.js';
import { kdumpMem, kdumpMemJson } from '../../support/in-process.js';
import type { LabKernel } from '../../support/lab.js';
import { bytesOf, sumOf } from './files-suite.js';

const MIB = 2 ** 20;
const AMOUNT = 16 * MIB;

/** Pages that CPUs have yet to add to an LRU list: at most the size of their batches. */
const BATCHES = 2 * 5 * 31;

/**
 * Up to about 5.12 each of two CPUs adds 32 pages of each kind of slab at a time to memory.stat.
 */
const KEPT_BACK = 2 * 2 * 32 * 4096;

/** Since about 7.2 the pages of a removed cgroup move to its parent at once. */
const REPARENTED: readonly LabKernel[] = ['newest'];

/** Runs a command in a cgroup, which is charged for it. */
const within = (group: string, command: string) => `sh -c 'echo $$ > /cg/${group}/cgroup.procs; ${command}'`;

const SCENE = [
  'mkdir -p /disk /cg /mnt; mount -t ext4 /dev/vda /disk; mount -t cgroup2 none /cg',
  'echo +memory > /cg/cgroup.subtree_control; mkdir /cg/lives /cg/dies /cg/empty',
  within('dies', 'cat /disk/file > /dev/null; dd if=/dev/zero of=/tmp/left bs=1M count=8'),
  `${within('lives', `exec takeuser anonymous ${AMOUNT}`)} > /tmp/anonymous &`,
  `${within('lives', `exec takekernel pipes ${AMOUNT / 2}`)} > /tmp/pipes &`,
  'until [ -s /tmp/anonymous ] && [ -s /tmp/pipes ]; do usleep 20000; done',
  // A deleted file that is open, and one that only another mount namespace contains.
  'sh -c "dd if=/dev/zero of=/tmp/gone bs=1M count=2; exec 3< /tmp/gone; rm /tmp/gone; touch /tmp/opened; exec sleep 9999" &',
  'unshare -m sh -c "mount -t tmpfs none /mnt && dd if=/dev/zero of=/mnt/hidden bs=1M count=3 && touch /tmp/hides; exec sleep 9999" &',
  'until [ -e /tmp/hides ] && [ -e /tmp/opened ]; do usleep 20000; done',
  'rmdir /cg/dies',
];

interface Group {
  readonly anonymous: number;
  readonly 'page-cache': number;
  readonly shared: number;
  readonly usage: number;
  /** By file system, device and inode; null: on generation lists, which have no active pages. */
  readonly files: Readonly<Record<string, { readonly pages: number; readonly active: number | null }>>;
}

/** Two cgroups use memory, and one is removed: checks which is charged, and for which files. */
export function cgroupsSuite(kernel: LabKernel): void {
  describe(`memory of cgroups and files of a guest: ${kernel}`, () => {
    const guest = testGuest(kernel);
    let answer: MemoryJson;
    let text: string;
    let drgn: Record<string, Group>;
    let stat: ReadonlyMap<string, number>;

    beforeAll(async () => {
      await guest.boot({
        tools: ['takeuser', 'takekernel'],
        disks: [guest.disk('disk', (2 * AMOUNT) / MIB, [['file', Buffer.alloc(AMOUNT, 'a file ')]])],
      });
      await guest.run(SCENE.join('\n'));
      await sleep(500);
      const counted = await guest.output('cat /cg/lives/memory.stat');
      stat = new Map(counted.split('\n').map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]));
      const core = await guest.dump();
      const memoryRun = await kdumpMem('memory', '--all', '--json', '--vmcore', core);
      expect(memoryRun).toMatchObject({ stderr: '', status: 0 });
      answer = memorySchema.parse(JSON.parse(memoryRun.stdout));
      text = (await kdumpMem('memory', '--cgroups', '--vmcore', core)).stdout;
      drgn = drgnJson(core, kernel, new URL('cgroups.py', import.meta.url));
    });

    const extracted = async (...options: readonly string[]) => {
      const small = guest.path('small');
      const from = ['--vmcore', guest.path('vmcore'), '-o', small, '--force'];
      const made = await kdumpMem('extract', '--with-memory', ...options, ...from);
      expect(made).toMatchObject({ stderr: '', status: 0 });
      return kdumpMemJson(memorySchema, 'memory', '--all', '--vmcore', small);
    };

    const group = (path: string) => answer.cgroups?.cgroups.find((one) => one.path === path);
    const charged = (path: string, category: string) =>
      group(path)?.categories.find((one) => one.category === category)?.bytes ?? 0;

    test('no two facts contradict', () => {
      expect(answer.warnings).toEqual([]);
      expect(answer.complete).toBe(true);
    });

    test('rows of cgroups, uncharged pages and slabs sum to each category, to the byte', () => {
      const { cgroups = [], uncharged, slabs, unnamed } = answer.cgroups ?? {};
      expect(unnamed).toEqual([]);
      const sums = new Map<string, number>();
      for (const { categories } of [...cgroups, uncharged ?? { categories: [] }, slabs ?? { categories: [] }])
        for (const { category, bytes } of categories) sums.set(category, (sums.get(category) ?? 0) + bytes);
      const leaves = answer.memory.children.flatMap(({ children }) => children);
      const all = leaves.filter(({ bytes }) => bytes > 0);
      expect(Object.fromEntries(sums)).toEqual(Object.fromEntries(all.map(({ category, bytes }) => [category, bytes])));
    });

    test('memory of a program is charged to its cgroup, as in memory.stat', () => {
      for (const [category, name] of [
        ['anonymous', 'anon'],
        ['page-cache', 'file'],
      ] as const)
        expect(Math.abs(charged('/lives', category) - (stat.get(name) ?? 0))).toBeLessThan(MIB / 2);
      expect(charged('/lives', 'anonymous')).toBeGreaterThan(AMOUNT);
      expect(charged('/lives', 'pipes')).toBeGreaterThan(0.99 * (AMOUNT / 2));
      // Files, pipes and descriptor tables: each object with its slot, where memory.stat counts
      // pieces too.
      const slab = stat.get('slab') ?? Number.NaN;
      expect(group('/lives')?.slabObjectBytes).toBeGreaterThan(0.9 * slab);
      expect(group('/lives')?.slabObjectBytes).toBeLessThan(1.1 * slab + (kernel === '5.10' ? KEPT_BACK : 0));
      expect(group('/lives')).toMatchObject({ dying: false });
      expect(answer.cgroups?.empty).toBe(1);
    });

    test('reports memory of a removed cgroup under the cgroup that is charged', () => {
      const left = REPARENTED.includes(kernel) ? '/' : '/dies';
      expect(charged(left, 'page-cache')).toBeGreaterThanOrEqual(AMOUNT);
      expect(charged(left, 'shared')).toBeGreaterThanOrEqual(8 * MIB);
      const dying = answer.cgroups?.cgroups.filter((one) => one.dying) ?? [];
      if (left === '/dies') {
        expect(dying.map(({ path }) => path)).toEqual(['/dies']);
        expect(text).toMatch(/^\/dies \(dying\) .*page cache 16\.\d MiB, shared memory/m);
        expect(text).toContain('1 dying cgroup (removed, still charged)');
        expect(text).toMatch(/Files that keep them: \/disk\/file 16\.\d MiB, \/tmp\/left 8\.00/);
      }
    });

    test('each has the pages on its LRU lists, and those that CPUs have yet to add', () => {
      const pageSize = answer.kernel?.pageSize ?? Number.NaN;
      const listed = Object.entries(drgn);
      expect(listed.length).toBeGreaterThan(2);
      for (const [key, pages] of listed) {
        const path = key.replace(/ \(dying\)$/, '');
        for (const category of ['anonymous', 'page-cache', 'shared'] as const) {
          const ours = charged(path, category) / pageSize;
          expect.soft(ours, `${path} ${category}`).toBeGreaterThanOrEqual(pages[category]);
          expect.soft(ours, `${path} ${category}`).toBeLessThanOrEqual(pages[category] + BATCHES);
        }
        const counted = group(path)?.usageBytes;
        if (path !== '/' && counted !== undefined) expect(counted).toBe(pages.usage * pageSize);
      }
    });

    test('each file of a cgroup has the pages on its LRU lists, active ones apart', () => {
      const pageSize = answer.kernel?.pageSize ?? Number.NaN;
      const ours = new Map(
        (answer.files?.files ?? []).flatMap(({ fsType, device, inode, cgroups }) =>
          (cgroups ?? []).map((one) => [`${one.path}${one.dying ? ' (dying)' : ''} ${fsType} ${device} ${inode}`, one]),
        ),
      );
      const parts = (answer.files?.files ?? []).map(({ bytes, cgroups }) => [
        (cgroups ?? []).reduce((sum, one) => sum + one.bytes, 0),
        bytes,
      ]);
      expect(parts.filter(([all, bytes]) => all !== bytes)).toEqual([]);
      let compared = 0;
      for (const [group, { files }] of Object.entries(drgn))
        for (const [file, { pages, active }] of Object.entries(files)) {
          const own = ours.get(`${group} ${file}`);
          compared++;
          expect.soft((own?.bytes ?? 0) / pageSize, file).toBeGreaterThanOrEqual(pages);
          expect.soft((own?.bytes ?? 0) / pageSize, file).toBeLessThanOrEqual(pages + BATCHES);
          if (active === null) expect.soft(own?.activeBytes, file).toBeNull();
          else {
            expect.soft((own?.activeBytes ?? -1) / pageSize, file).toBeGreaterThanOrEqual(active);
            expect.soft((own?.activeBytes ?? -1) / pageSize, file).toBeLessThanOrEqual(active + BATCHES);
          }
        }
      expect(compared).toBeGreaterThan(10);
    });

    test('an extract gives the same answer; an anonymous one has no cgroup or file names', async () => {
      expect(await extracted()).toEqual(answer);
      const anonymous = await extracted('--anonymize');
      const bytes = ({ cgroups }: MemoryJson) => cgroups?.cgroups.map((one) => one.bytes);
      expect(bytes(anonymous)).toEqual(bytes(answer));
      const words = JSON.stringify([anonymous.cgroups, anonymous.files, anonymous.memory]);
      expect(JSON.stringify([answer.cgroups, answer.files])).toMatch(/lives.*hidden/);
      expect(words).not.toMatch(/lives|dies|gone|hidden|disk|takeuser/);
    });

    test('finds files on a disk, its metadata, deleted files and other mounts', () => {
      expect(sumOf(answer)).toBe(bytesOf(answer, 'page-cache') + bytesOf(answer, 'shared'));
      const files = answer.files?.files ?? [];
      const named = (path: string) => files.find((file) => file.path === path);
      expect(named('/disk/file')).toMatchObject({
        sizeBytes: AMOUNT,
        fsType: 'ext4',
        sharedBytes: 0,
        mapped: false,
        mounts: 'init',
        deleted: false,
        blockDevice: null,
        dirtyBytes: 0,
      });
      // Readahead may leave a page beyond the end.
      expect((named('/disk/file')?.pageCacheBytes ?? 0) - AMOUNT).toBeOneOf([0, 4096]);
      expect(files.find(({ blockDevice }) => blockDevice === 'vda')).toMatchObject({
        path: null,
        fsType: 'bdev',
        device: named('/disk/file')?.device,
      });
      expect(named('/tmp/gone')).toMatchObject({ bytes: 2 * MIB, deleted: true, mounts: 'init' });
      expect(named('/mnt/hidden')).toMatchObject({ bytes: 3 * MIB, mounts: 'other' });
    });
  });
}
