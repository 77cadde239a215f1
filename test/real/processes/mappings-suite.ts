import { writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { sumOfMappings } from '../../../src/account/processes/mappings.js';
import { kernelProcess } from '../../../src/account/processes/one-process.js';
import type { Mapping, ProcessAnswer } from '../../../src/contracts/process.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { MAPPING_KINDS, MAPPING_SIZES } from '../../../src/records/mappings.js';
import { openDescriptors } from '../../../src/walk/lists/open-descriptors.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { testGuest } from '../../support/guest.js';
import type { LabKernel } from '../../support/lab.js';
import { askDump } from '../../support/opened-kernel.js';
import { exceptWakeups, expectDrgnLists, expectReported, type ListDamage, listsOf } from '../info-lists.js';

/** One mapping as reported by the guest's kernel: kB by field, and its line of /proc/PID/smaps. */
interface Told {
  readonly header: string;
  readonly fields: Readonly<Record<string, number>>;
}

/** Parsed in another way than in the code under test. */
function reportsOf(text: string): Told[] {
  const reports: { header: string; fields: Record<string, number> }[] = [];
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    if (/^[0-9a-f]+-[0-9a-f]+$/.test(words[0] ?? '')) reports.push({ header: line, fields: {} });
    else if (words[2] === 'kB') reports.at(-1)!.fields[words[0]?.slice(0, -1) ?? ''] = Number(words[1]);
  }
  // Not part of the process: it is above its half of the addresses.
  return reports.filter(({ header }) => !header.includes('[vsyscall]'));
}

/** A line of /proc/PID/maps, without device and inode. */
function headerOf({ start, end, permissions, offset, path: name }: Mapping): string {
  const hex = (value: bigint) => value.toString(16).padStart(8, '0');
  return `${hex(start)}-${hex(end)} ${permissions} ${hex(offset)} ${name ?? ''}`.trim();
}

/** Mount options that are not specific to a file system. */
const GENERAL = new Set(['ro', 'rw', 'nosuid', 'nodev', 'noexec', 'relatime', 'noatime']);

/**
 * Compares a dump with the guest's own report of each mapping, read just before it is stopped and
 * dumped.
 *
 * @param lacks sizes that the guest does not have, or that cannot be reported
 */
export function mappingsSuite(
  version: LabKernel,
  lacks: readonly (keyof typeof MAPPING_SIZES)[] = ['fileHugeBytes'],
): void {
  describe(`mappings of a dump match /proc/PID/smaps: ${version}`, () => {
    const guest = testGuest(version);
    const processes: { readonly reports: Told[]; readonly answer: ProcessAnswer }[] = [];
    const said: Record<string, string> = {};
    let core: string;
    let pids: number[];

    beforeAll(async () => {
      const disks = ['swap', 'disk'].map((name) => guest.path(name));
      for (const path of disks) writeFileSync(path, Buffer.alloc(32 * 2 ** 20));
      await guest.boot({ memoryMiB: 384, tools: ['takemaps', 'spin'], disks });
      const thp = '/sys/kernel/mm/transparent_hugepage';
      await guest.run(`cd ${thp}; echo madvise > enabled; echo advise > shmem_enabled; echo 1 > use_zero_page`);
      await guest.run('echo 4 > /proc/sys/vm/nr_hugepages; mkswap /dev/vda && swapon /dev/vda');
      const ready = await guest.output(
        'mkdir -p /run/maps; takemaps /run/maps /dev/vdb > /tmp/ready 2>&1 & until [ -s /tmp/ready ]; do usleep 20000; done; sleep 1; cat /tmp/ready',
      );
      pids = /^ready (\d+) (\d+)$/m.exec(ready)?.slice(1).map(Number) ?? [];
      expect(pids, ready).toHaveLength(2);
      // Compaction that is amid its work has pages in no page table, and `spin` below would keep it there.
      await guest.run(
        `echo 0 > /proc/sys/vm/compaction_proactiveness
         until ! cat /proc/[0-9]*/stat 2> /dev/null | grep -E '^[0-9]+ \\((kcompactd0|kswapd0|khugepaged)\\) ' | grep -qv ') S '
         do usleep 50000; done`,
      );
      const smaps: Told[][] = [];
      for (const pid of pids) smaps.push(reportsOf(await guest.output(`cat /proc/${pid}/smaps`)));
      for (const name of ['swaps', 'mounts', 'modules', 'sysvipc/shm', `${pids[0]}/limits`])
        said[name] = await guest.output(`cat /proc/${name}`);
      // Name, inode and 512-byte blocks of each descriptor.
      said.links = await guest.output(
        `for fd in /proc/${pids[0]}/fd/*; do echo "$(readlink $fd)|$(stat -L -c '%i|%b' $fd)"; done`,
      );
      // Runnable tasks of two classes, and an unread pipe.
      said.busy = await guest.output('(echo unread; sleep 1000) | sleep 1000 >/dev/null 2>&1 & spin');
      core = await guest.dump();
      const kernel = openNative({ files: [core] });
      try {
        for (const [index, pid] of pids.entries())
          processes.push({
            reports: smaps[index] ?? [],
            answer: kernelProcess(kernel, (process) => process.pid === pid),
          });
      } finally {
        kernel.close();
      }
    });

    test('complete, without contradictions', () => {
      for (const { answer } of processes) {
        expect(answer.warnings).toEqual([]);
        expect(answer.complete).toBe(true);
      }
      expect(processes).toHaveLength(2);
    });

    test('the same mappings, with the same names', () => {
      for (const { reports, answer } of processes) {
        const plain = reports.map(({ header }) => header.replace(/ [0-9a-f]+:[0-9a-f]+ \d+ */, ' ').trim());
        expect(answer.mappings.map(headerOf)).toEqual(plain);
      }
    });

    const exact = Object.entries(MAPPING_SIZES).filter(
      ([size]) => !['pssBytes', 'swapPssBytes', 'lockedBytes'].includes(size),
    ) as [keyof typeof MAPPING_SIZES, string][];

    test.each(exact)('%s is %s, to the page', (size, field) => {
      for (const { reports, answer } of processes) {
        const ours = answer.mappings.map((mapping) => (mapping[size] ?? Number.NaN) / 1024);
        expect(ours.map((bytes, index) => `${bytes} ${reports[index]?.header}`)).toEqual(
          reports.map(({ header, fields }) => `${fields[field] ?? 0} ${header}`),
        );
      }
    });

    test.each([
      ['pssBytes', 'Pss'],
      ['swapPssBytes', 'SwapPss'],
      ['lockedBytes', 'Locked'],
    ] as const)('%s is %s, which truncates to KiB', (size, field) => {
      for (const { reports, answer } of processes)
        for (const [index, { header, fields }] of reports.entries()) {
          if (lacks.includes(size) && answer.mappings[index]?.[size] === null) continue;
          const more = (answer.mappings[index]?.[size] ?? Number.NaN) / 1024 - (fields[field] ?? 0);
          expect(more, header).toBeGreaterThanOrEqual(0);
          // The kernel truncates each page's share, too. The reading cat had a share of the vdso.
          if (!header.endsWith('[vdso]')) expect(more, header).toBeLessThan(1.01);
        }
    });

    test('the compared mappings include all kinds, and pages in all states', () => {
      const all = processes.flatMap(({ answer }) => answer.mappings);
      const kinds = new Set(all.map(({ kind }) => kind));
      // A file of tmpfs (some of the lab's dumps have one), and rings.
      const rare = ['shmem', 'kernel'];
      if (lacks.includes('privateHugetlbBytes')) rare.push('hugetlb');
      for (const kind of MAPPING_KINDS) if (!rare.includes(kind)) expect(kinds).toContain(kind);
      const sum = sumOfMappings(all);
      for (const size of Object.keys(MAPPING_SIZES) as (keyof typeof MAPPING_SIZES)[])
        if (!lacks.includes(size)) expect(sum[size], size).toBeGreaterThan(0);
      const hidden = all.filter(({ permissions, rssBytes }) => permissions === '---p' && (rssBytes ?? 0) > 0);
      expect(hidden.length).toBeGreaterThan(0);
    });

    test('mappings add up to the process', () => {
      for (const { answer } of processes) {
        const { mappings, mapped } = answer;
        expect(mapped.rssBytes).toBe(answer.rssBytes);
        expect(mapped.anonBytes).toBe(answer.anonBytes);
        expect((mapped.privateCleanBytes ?? 0) + (mapped.privateDirtyBytes ?? 0)).toBe(answer.ussBytes);
        expect(Math.abs((mapped.pssBytes ?? 0) - (answer.pssBytes ?? 0))).toBeLessThan(mappings.length);
      }
    });

    const lists = (names: keyof typeof said) =>
      (said[names] ?? '')
        .trimEnd()
        .split('\n')
        .map((line) => line.trim().split(/\s+/));

    test('lists of swap, mounts, modules and shared memory match /proc', () => {
      const { swap, mounts, modules, segments } = askDump(core, listsOf);
      const [, ...swaps] = lists('swaps');
      expect(
        swap.devices.map(({ path, kind, sizeBytes, priority }) => [path, kind, `${sizeBytes / 1024}`, `${priority}`]),
      ).toEqual(swaps.map(([path, kind, size, , priority]) => [path, kind, size, priority]));
      expect(swap.devices).toHaveLength(1);
      expect(swap.devices[0]?.usedBytes).toBeGreaterThan(0);
      expect(swap.devices[0]?.usedSlotBytes).toBe(swap.devices[0]?.usedBytes);
      // The root of the mount namespace is hidden from processes.
      expect(
        mounts.mounts
          .filter(({ fsType }) => fsType !== 'nullfs')
          .map(({ source, path, fsType, options }) => `${source} ${path} ${fsType} ${options.join(',')}`),
      ).toEqual(
        lists('mounts').map(([source, path, type, options = '']) => {
          const general = options.split(',').filter((one) => GENERAL.has(one));
          return `${source} ${path} ${type} ${general.join(',')}`;
        }),
      );
      expect(
        modules.modules.map(({ name, references, usedBy }) => [
          name,
          `${references}`,
          usedBy.length === 0 ? '-' : `${usedBy.join(',')},`,
        ]),
      ).toEqual(lists('modules').map(([name, , count, users]) => [name, count, users]));
      const [heading = [], ...rows] = lists('sysvipc/shm');
      const field = (row: readonly string[], name: string) => row[heading.indexOf(name)];
      expect(
        segments.segments.map((one) => [
          one.id,
          one.sizeBytes,
          one.creatorPid,
          one.lastPid,
          one.attaches,
          one.uid,
          one.residentBytes,
          one.swapBytes,
          ...[one.attachTime, one.detachTime].map((time) => (time ? Date.parse(time) / 1000 : 0)),
        ]),
      ).toEqual(
        rows.map((row) =>
          ['shmid', 'size', 'cpid', 'lpid', 'nattch', 'uid', 'rss', 'swap', 'atime', 'dtime'].map((name) =>
            Number(field(row, name)),
          ),
        ),
      );
      expect(segments.segments.some(({ residentBytes }) => (residentBytes ?? 0) > 0)).toBe(true);
    });

    test('descriptors of a process match its links in /proc/PID/fd', () => {
      const kernel = openNative({ files: [core] });
      const warnings = new Warnings();
      const [pid = 0] = pids;
      const found = openDescriptors(kernel, pid, warnings);
      kernel.close();
      expect(warnings.list()).toEqual([]);
      const opened = (said.links ?? '')
        .trimEnd()
        .split('\n')
        .map((line) => line.split('|'));
      const links = opened.map(([link = '']) => link);
      expect(found.count).toBe(links.length);
      const limit = /^Max open files +(\d+)/m.exec(said[`${pid}/limits`] ?? '')?.[1];
      expect(found.limit).toBe(Number(limit));
      const counted = (test: (link: string) => boolean) => links.filter(test).length;
      const kinds = {
        memfd: counted((link) => link.startsWith('/memfd:')),
        pipe: counted((link) => link.startsWith('pipe:[')),
        device: counted((link) => link.startsWith('/dev/')),
        'deleted-file': counted((link) => /^\/(?!memfd:|dev\/).* \(deleted\)$/.test(link)),
      };
      for (const [kind, count] of Object.entries(kinds))
        expect(found.groups.find((one) => one.kind === kind)?.count ?? 0, kind).toBe(count);
      const memfd = found.groups.find(({ kind }) => kind === 'memfd');
      const blocks = new Map(
        opened.flatMap(([link = '', inode, many]) => (link.startsWith('/memfd:') ? [[inode, Number(many)]] : [])),
      );
      expect(memfd?.bytes).toBe([...blocks.values()].reduce((sum, many) => sum + 512 * many, 0));
      expect(blocks.size).toBeGreaterThan(1);
    });

    test('runnable tasks are on the run queues, in their classes', () => {
      const { queues } = askDump(core, listsOf);
      expect(exceptWakeups(queues.warnings)).toEqual([]);
      const busy = (said.busy ?? '').trim().split(/\s+/).map(Number);
      const tasks = queues.cpus.flatMap((cpu) => cpu.tasks);
      const classes = busy.map((pid) => tasks.find((task) => task.pid === pid)?.class);
      expect(classes).toEqual(['fair', 'fair', 'fair', 'realtime']);
    });

    test('one changed word of swap, a segment or a run queue makes its list incomplete', () => {
      const kernel = openNative({ files: [core] });
      const { swap, segments, queues } = listsOf(kernel);
      const at = (address: string | undefined, type: string, path: string) => {
        const member = kernel.struct(type)?.member(path);
        if (address === undefined || !member) throw new Error(`struct ${type} has no ${path}`);
        return BigInt(address) + BigInt(member.offset);
      };
      const [device] = swap.devices;
      const [segment] = segments.segments;
      const task = queues.cpus.flatMap(({ tasks }) => tasks).find((one) => one.class === 'fair')?.address;
      const more = (value: bigint) => value + 1n;
      const map = kernel.struct('swap_info_struct')?.member('swap_map');
      // 7.0 has tables of clusters instead.
      const slots: ListDamage = map
        ? [
            [
              'swap',
              'map of slots',
              kernel.read(BigInt(device?.address ?? 0) + BigInt(map.offset), 8).getBigUint64(0, true) + 1024n,
              4,
              (value) => (value === 0n ? 1n : 0n),
            ],
          ]
        : [];
      const file = kernel.read(at(segment?.address, 'shmid_kernel', 'shm_file'), 8);
      const open = `0x${file.getBigUint64(0, true).toString(16)}`;
      expectReported(kernel, [
        ['swap', 'used pages', at(device?.address, 'swap_info_struct', 'inuse_pages'), 4, more],
        ['swap', 'pages', at(device?.address, 'swap_info_struct', 'pages'), 4, (value) => value - 1n],
        ['swap', 'flags', at(device?.address, 'swap_info_struct', 'flags'), 8, () => 0n],
        ...slots,
        ['segments', 'size', at(segment?.address, 'shmid_kernel', 'shm_segsz'), 8, more],
        ['segments', 'attaches', at(segment?.address, 'shmid_kernel', 'shm_nattch'), 8, more],
        ['segments', 'identifier', at(segment?.address, 'shmid_kernel', 'shm_perm.id'), 4, more],
        ['segments', 'file', at(open, 'file', 'f_inode'), 8, more],
        ['queues', 'on_rq', at(task, 'task_struct', 'on_rq'), 4, (value) => value - 1n],
        ['queues', 'group', at(task, 'task_struct', 'se.group_node'), 8, more],
      ]);
      kernel.close();
    });

    test('lists match drgn, including used swap and unread pipes', () => {
      const { swap, segments, queues, descriptors } = askDump(core, (kernel) => expectDrgnLists(kernel, core, version));
      expect(swap).toHaveLength(1);
      expect(segments.length).toBeGreaterThan(0);
      expect(queues.flatMap(({ realtime }) => realtime)).toHaveLength(1);
      expect(descriptors.some(({ pipeBytes }) => pipeBytes > 0)).toBe(true);
    });
  });
}
