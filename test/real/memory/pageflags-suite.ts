import { beforeAll, describe, expect, test } from 'vitest';
import { type CategoryJson, type MemoryJson, memorySchema } from '../../../src/contracts/memory.js';
import { inGuest, jsonInGuest, testGuest } from '../../support/guest.js';
import type { LabKernel } from '../../support/lab.js';

/** Changes between two samples: our own memory, and per-CPU free lists. */
const DRIFT = 64 << 20;

/** The same for categories that our own program does not change. */
const STILL = 2 << 20;

/** Categories that page flags, or exact counters, report like kernel memory. */
const ALIKE: Readonly<Record<string, number>> = {
  'free-buddy': DRIFT,
  'free-cpu-lists': DRIFT,
  anonymous: DRIFT,
  'page-cache': DRIFT,
  shared: STILL,
  'swap-cache': STILL,
  hugetlb: 0,
  'slab-reclaimable': STILL,
  'slab-unreclaimable': STILL,
  'kernel-stacks': STILL,
  modules: STILL,
  bpf: STILL,
  vmalloc: STILL,
  compressed: STILL,
  balloon: 0,
  'crash-kernel': 0,
  // Here it includes boot allocations right behind the image.
  image: STILL,
  unread: 0,
};

const MIB = 2 ** 20;

/**
 * Files of a tmpfs, two of them written by processes in cgroups, the second of which is removed.
 */
const SCENE = [
  'mkdir -p /held /cg; mount -t tmpfs none /held; mount -t cgroup2 none /cg',
  'echo +memory > /cg/cgroup.subtree_control; mkdir /cg/lives /cg/dies',
  'dd if=/dev/zero of=/held/open bs=1M count=8',
  ...['lives', 'dies'].map(
    (group) => `sh -c 'echo $$ > /cg/${group}/cgroup.procs; dd if=/dev/zero of=/held/${group} bs=1M count=6'`,
  ),
  // A deleted file that stays in memory as long as a process has it open.
  "sh -c 'exec 3< /held/open; rm /held/open; exec sleep 9999' > /dev/null 2>&1 < /dev/null &",
  'until [ ! -e /held/open ]; do usleep 20000; done; rmdir /cg/dies',
];

/** Compares page flags with kernel memory and counters, in one guest. */
export function pageflagsSuite(kernel: LabKernel): void {
  describe(`sources of memory --live in a guest of ${kernel}`, () => {
    const guest = testGuest(kernel);
    let kcore: MemoryJson;
    let flags: MemoryJson;

    const ask = async (options: string) => memorySchema.parse(await jsonInGuest(guest, `memory --live ${options}`));

    beforeAll(async () => {
      await guest.boot({ kdumpMem: true, append: 'crashkernel=64M' });
      // Huge pages, and files that stay in memory.
      await guest.run('echo 3 > /proc/sys/vm/nr_hugepages');
      await guest.run(SCENE.join('\n'));
      await ask('--source pageflags');
      kcore = await ask('');
      flags = await ask('--source pageflags');
    });

    test('every frame is in a category, and rows sum to the byte', () => {
      expect(flags.source).toBe('pageflags');
      expect(flags.memory.bytes).toBe(kcore.memory.bytes);
      checkSums(flags.memory);
    });

    test('categories match kernel memory, except for what changes', () => {
      const [ours, theirs] = [categories(flags), categories(kcore)];
      for (const [category, most] of Object.entries(ALIKE)) {
        const by = Math.abs((ours.get(category) ?? Number.NaN) - (theirs.get(category) ?? Number.NaN));
        expect.soft(by, category).toBeLessThanOrEqual(most);
      }
      expect(ours.get('hugetlb')).toBe(3 * 2 ** 21);
      expect(ours.get('crash-kernel')).toBe(2 ** 26);
      const sum = (of: ReadonlyMap<string, number>, ...names: string[]) =>
        names.reduce((all, name) => all + (of.get(name) ?? 0), 0);
      // Memory reserved at boot, including what was released since.
      const boot = ['image', 'memmap', 'reserved-other', 'crash-kernel'];
      const rest = ['percpu', 'tables', 'page-tables', 'unattributed', 'large-kmalloc', 'movable'];
      const kinds = [...boot, ...rest, 'network-sockets', 'network-other', 'pipes', 'rings'];
      expect(Math.abs(sum(ours, ...kinds) - sum(theirs, ...kinds))).toBeLessThanOrEqual(DRIFT);
    });

    test('reports unknown categories, and counters that changed', () => {
      expect(flags.complete).toBe(false);
      const network = leaves(flags.memory).find(({ category }) => category === 'network-sockets');
      expect(network).toMatchObject({ complete: false, why: expect.stringContaining('skcheck') });
      expect(flags.warnings).toEqual([]);
      expect(flags.driftBytes).toBeGreaterThan(0);
      expect(flags.unflagged?.bytes).toBeGreaterThan(categories(flags).get('unattributed') ?? 0);
    });

    test('counters beside categories are from the same moment', () => {
      const counted = leaves(flags.memory).filter(({ differenceBytes }) => differenceBytes !== null);
      const names = counted.map(({ category }) => category);
      expect(names).toEqual(expect.arrayContaining(['free-buddy', 'anonymous', 'page-tables']));
      for (const { category, bytes, differenceBytes } of counted)
        if (bytes > 0)
          expect.soft(Math.abs(differenceBytes ?? 0), category).toBeLessThanOrEqual(STILL + flags.driftBytes);
    });

    test('the counters of /proc agree', async () => {
      const counters = await ask('--source counters');
      expect(counters.memory.bytes).toBe(flags.memory.bytes);
      const [ours, theirs] = [categories(flags), categories(counters)];
      for (const category of ['free-buddy', 'anonymous', 'shared', 'slab-reclaimable', 'hugetlb'])
        expect
          .soft(Math.abs((ours.get(category) ?? 0) - (theirs.get(category) ?? 0)), category)
          .toBeLessThanOrEqual(DRIFT);
    });

    test('caches, callers and zones match kernel memory', () => {
      const names = (answer: MemoryJson) =>
        answer.caches.filter(({ bytes }) => bytes > 0).map(({ name, reclaimable }) => `${name} ${reclaimable}`);
      const ours = new Set(names(flags));
      const missing = names(kcore).filter((name) => !ours.has(name));
      expect(missing.length).toBeLessThanOrEqual(kcore.caches.length / 20);
      expect(flags.zones.map(({ zone, presentPages }) => [zone, presentPages])).toEqual(
        kcore.zones.map(({ zone, presentPages }) => [zone, presentPages]),
      );
      const callers = (answer: MemoryJson) =>
        new Map(answer.callers.map(({ caller, bytes, category }) => [`${category} ${caller}`, bytes]));
      // For functions of modules /proc has the names; it attributes cached stacks to no caller.
      const named = [...callers(kcore)].filter(([name]) => !/ (|kernel_clone)$/.test(name));
      const largest = named.slice(0, 3);
      expect([...callers(flags)]).toEqual(expect.arrayContaining(largest));
    });

    describe('every list at once, from one sample', () => {
      let all: MemoryJson;
      let counted: number;

      beforeAll(async () => {
        all = await ask('--all');
        counted = Number(await guest.output('cat /cg/lives/memory.current'));
      });

      test('files match kernel memory, including deleted ones', () => {
        const { files = [], unnamed = [] } = all.files ?? {};
        const listedFiles = files.map((one) => [one.path, one.bytes, one.sharedBytes, one.deleted]);
        expect(listedFiles).toEqual(
          expect.arrayContaining([
            ['/held/open', 8 * MIB, 8 * MIB, true],
            ['/held/lives', 6 * MIB, 6 * MIB, false],
            ['/held/dies', 6 * MIB, 6 * MIB, false],
          ]),
        );
        expect(files.find(({ path }) => path === process.execPath)?.mapped).toBe(true);
        const of = categories(all);
        expect([...files, ...unnamed].reduce((sum, { bytes }) => sum + bytes, 0)).toBe(
          (of.get('page-cache') ?? 0) + (of.get('shared') ?? 0),
        );
      });

      test('cgroups match kernel memory, including a removed one', () => {
        const { cgroups = [] } = all.cgroups ?? {};
        const shared = ({ categories: parts }: (typeof cgroups)[number]) =>
          parts.find(({ category }) => category === 'shared')?.bytes;
        const lives = cgroups.find(({ path }) => path === '/lives');
        expect(lives && shared(lives)).toBe(6 * MIB);
        expect(lives?.usageBytes).toBe(counted);
        const left = cgroups.filter(({ dying }) => dying).flatMap((one) => shared(one) ?? []);
        // Since about 7.2 the pages of a removed cgroup move to its parent at once.
        expect(left).toEqual(kernel === 'newest' ? [] : [6 * MIB]);
      });

      test('no two facts contradict', () => {
        expect(all.warnings).toEqual([]);
      });
    });

    test('uses the most detailed source, and reports why a more detailed one is not available', async () => {
      expect(kcore).toMatchObject({ source: 'kcore', unavailable: [] });
      await guest.run('mount -o bind /dev/null /proc/kcore');
      try {
        const { status, output } = await inGuest(guest, 'memory --live');
        expect(status).toBe(0);
        expect(output.toString()).toMatch(
          /^Source: page flags \(\/proc\/kpageflags\); \/proc\/kcore: not a regular file\.$/m,
        );
        const refused = await inGuest(guest, 'memory --live --source kcore');
        expect(refused.output.toString()).toMatch(/^kdump-mem: \/proc\/kcore: not a regular file.*\n$/);
        expect(refused.status).toBe(3);
        await guest.run('mount -o bind /dev/null /proc/kpageflags');
        const counted = await ask('');
        expect(counted.source).toBe('counters');
        expect(counted.unavailable.map(({ source }) => source)).toEqual(['kcore', 'pageflags']);
        const masked = await inGuest(guest, 'memory --live --source pageflags');
        expect(masked.output.toString()).toMatch(/^kdump-mem: \/proc\/kpageflags: not a regular file.*\n$/);
        expect(masked.status).toBe(3);
      } finally {
        await guest.run('umount /proc/kcore; umount /proc/kpageflags', { mayFail: true });
      }
    });

    test('an unprivileged user gets counters, with the reason', async () => {
      const { output } = await guest.run("su -s /bin/sh nobody -c 'kdump-mem memory --live --json'", { mayFail: true });
      const answer = memorySchema.parse(JSON.parse(output.toString()));
      expect(answer.source).toBe('counters');
      expect(answer.unavailable).toEqual([
        { source: 'kcore', code: 'permission', why: '/proc/kcore: permission denied' },
        { source: 'pageflags', code: 'denied', why: '/proc/kpageflags: permission denied' },
      ]);
      const caches = await guest.run("su -s /bin/sh nobody -c 'kdump-mem memory --live --caches'", { mayFail: true });
      expect(caches.output.toString()).toMatch(
        /^kdump-mem: --caches: not available \(\/proc\/slabinfo: permission denied\)\. .*\n$/,
      );
      expect(caches.status).toBe(3);
    });
  });
}

function leaves(category: CategoryJson): CategoryJson[] {
  return category.children.length === 0 ? [category] : category.children.flatMap(leaves);
}

function categories({ memory }: MemoryJson): Map<string, number> {
  return new Map(leaves(memory).map(({ category, bytes }) => [category, bytes]));
}

function checkSums({ bytes, children }: CategoryJson): void {
  if (children.length === 0) return;
  expect(children.reduce((sum, child) => sum + child.bytes, 0)).toBe(bytes);
  children.forEach(checkSums);
}
