import { beforeAll, describe, expect, test } from 'vitest';
import { kernelProcesses } from '../../../src/account/processes/kernel.js';
import type { FoundProcesses } from '../../../src/account/processes/process.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { memberOf, struct } from '../../../src/walk/pages/struct-page.js';
import { addressSpaces } from '../../../src/walk/processes/address-spaces.js';
import { ReverseMapReader } from '../../../src/walk/processes/mapped-page.js';
import { findInPidNamespace } from '../../../src/walk/processes/process-facts.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { testGuest } from '../../support/guest.js';
import { KERNELS } from '../../support/lab.js';
import { pagesOnly } from '../../support/opened-kernel.js';

const AMOUNT = 8 * 2 ** 20;

/**
 * Programs of the guest: known kinds of memory, children that share memory, a separate pid
 * namespace.
 */
const PROGRAMS = [
  `takeuser anonymous ${AMOUNT}`,
  `takeuser huge ${AMOUNT}`,
  `takeuser locked ${AMOUNT}`,
  `takeuser shared ${AMOUNT}`,
  `takeuser tables ${AMOUNT}`,
  `takeuser threads ${AMOUNT}`,
  'merged 600',
  'takemaps /run',
  "sh -c 'x=$(seq 20000); (sleep 1000) & (sleep 1001) & echo ready 1; sleep 1002'",
  "unshare -p -f sh -c 'echo ready 1; sleep 1003'",
  `unshare -p -f sh -c "unshare -p -f sh -c 'echo ready 1; sleep 1004'; true"`,
];

/** Own report of one process: kB by field, from /proc/PID/smaps_rollup and status. */
type Told = Readonly<Record<string, number>>;

// The guest's own report, read just before it is stopped and dumped.
describe.each(KERNELS)('processes of a dump match /proc/PID/smaps: %s', (version) => {
  const guest = testGuest(version);
  const reports = new Map<number, Told>();
  const nsPids = new Map<number, readonly number[]>();
  const namespaces = new Map<number, number>();
  let dump: string;
  let answer: FoundProcesses;

  beforeAll(async () => {
    await guest.boot({ memoryMiB: 384, tools: ['takeuser', 'takemaps', 'merged'] });
    await guest.run('cd /sys/kernel/mm/transparent_hugepage; echo madvise > enabled; echo 1 > use_zero_page');
    // Large folios that are mapped page by page, since 6.8.
    await guest.run(
      'cd /sys/kernel/mm/transparent_hugepage; ! [ -e hugepages-64kB ] || echo always > hugepages-64kB/enabled',
    );
    await guest.run('cd /sys/kernel/mm/ksm; echo 10000 > pages_to_scan; echo 1 > run');
    await guest.run('echo 2 > /proc/sys/vm/nr_hugepages');
    for (const [index, program] of PROGRAMS.entries()) {
      const file = `/tmp/taken-${index}`;
      const { output } = await guest.run(
        `touch ${file}; ${program} > ${file} 2>&1 & until [ -s ${file} ]; do usleep 20000; done; cat ${file}`,
      );
      // Without a ready line the program failed, and the test would be meaningless.
      expect(output.toString()).toMatch(/^ready \d+/m);
    }
    const { output } = await guest.run(
      'echo 0 > /sys/kernel/mm/ksm/run; sleep 1; cd /proc; for p in [0-9]*; do echo "== $p"; cat $p/smaps_rollup $p/status 2>/dev/null; readlink $p/ns/pid; done; true',
    );
    for (const part of output.toString().split(/^== /m).slice(1)) {
      const pid = Number.parseInt(part, 10);
      const fields = [...part.matchAll(/^(\w+):\s+(\d+)/gm)].map(
        ([, name = '', value]) => [name, Number(value)] as const,
      );
      reports.set(pid, Object.fromEntries(fields));
      const numbers = /^NSpid:\s+(.*)$/m.exec(part)?.[1];
      nsPids.set(pid, (numbers ?? '').trim().split(/\s+/).map(Number));
      namespaces.set(pid, Number(/^pid:\[(\d+)\]$/m.exec(part)?.[1]));
    }
    dump = await guest.dump();
    const kernel = openNative({ files: [dump] });
    try {
      answer = kernelProcesses(kernel);
    } finally {
      kernel.close();
    }
  });

  /**
   * Excludes processes that changed since, because they ran: the reader of /proc, and the shell
   * that answers.
   */
  const still = () => answer.processes.filter(({ pid, comm }) => reports.has(pid) && !['init', 'sh'].includes(comm));

  test('complete', () => {
    expect(answer.warnings).toEqual([]);
    expect(answer.complete).toBe(true);
    expect(still().length).toBeGreaterThan(PROGRAMS.length);
  });

  test.each([
    ['rssBytes', 'Rss'],
    ['anonBytes', 'Anonymous'],
    ['swapBytes', 'Swap'],
    ['pageTableBytes', 'VmPTE'],
    ['hugetlbBytes', 'HugetlbPages'],
  ] as const)('%s is %s, to the page', (size, field) => {
    for (const process of still()) {
      const kilobytes = reports.get(process.pid)?.[field];
      // The top-level table is in no counter.
      const more = size === 'pageTableBytes' ? 4 : 0;
      expect((process[size] ?? Number.NaN) / 1024, process.comm).toBe((kilobytes ?? 0) + more);
    }
  });

  test('uss is the private memory, to the page', () => {
    for (const process of still()) {
      const { Private_Clean: clean = Number.NaN, Private_Dirty: dirty = Number.NaN } = reports.get(process.pid) ?? {};
      expect((process.ussBytes ?? Number.NaN) / 1024, process.comm).toBe(clean + dirty);
    }
  });

  test('pss is Pss, which truncates to KiB', () => {
    for (const process of still()) {
      const more = (process.pssBytes ?? Number.NaN) / 1024 - (reports.get(process.pid)?.Pss ?? Number.NaN);
      expect(more, process.comm).toBeGreaterThanOrEqual(0);
      // The kernel truncates each page's share, too. The reading cat and its shell had a share of
      // the pages of busybox then.
      if (process.comm === 'takeuser') expect(more).toBeLessThan(1.01);
    }
    const takers = still().filter(({ comm }) => comm === 'takeuser');
    expect(
      takers.every(
        ({ pssBytes, rssBytes, ussBytes }) => (pssBytes ?? 0) < (rssBytes ?? 0) && (pssBytes ?? 0) > (ussBytes ?? 0),
      ),
    ).toBe(true);
  });

  test('threads, users and pids match /proc', () => {
    for (const { pid, comm, threads, uid, nsPids: own } of still()) {
      const { Threads, Uid } = reports.get(pid) ?? {};
      expect({ comm, threads, uid }).toEqual({ comm, threads: Threads, uid: Uid });
      expect(own).toEqual(nsPids.get(pid));
    }
    expect(answer.processes.some(({ nsPids }) => nsPids.length === 2)).toBe(true);
  });

  test('finds a pid in its namespace, two levels deep, and from the parent namespace', () => {
    const kernel = openNative({ files: [dump] });
    try {
      const inside = still().filter(({ nsPids }) => nsPids.length > 1);
      expect(new Set(inside.map(({ nsPids }) => nsPids.length))).toEqual(new Set([2, 3]));
      for (const { pid, nsPids: own } of inside) {
        const namespace = namespaces.get(pid) ?? Number.NaN;
        expect(findInPidNamespace(kernel, { namespace, pid: own.at(-1) ?? 0 })).toBe(pid);
      }
      // Its own namespace is the parent of the innermost one, which has the pid at its second
      // level.
      const innermost = inside.find(({ nsPids }) => nsPids.length === 3);
      const between = innermost?.nsPids[1] ?? Number.NaN;
      const around = [...new Set(inside.filter(({ nsPids }) => nsPids.length === 2))]
        .map(({ pid }) => namespaces.get(pid) ?? Number.NaN)
        .filter((namespace) => namespace !== namespaces.get(innermost?.pid ?? 0));
      const found = around.flatMap((namespace) => {
        try {
          return [findInPidNamespace(kernel, { namespace, pid: between })];
        } catch (error) {
          expect(error).toMatchObject({ code: 'no-such-pid' });
          return [];
        }
      });
      expect(found).toContain(innermost?.pid);
      expect(() => findInPidNamespace(kernel, { namespace: 1, pid: 1 })).toThrow(/no process is in/);
    } finally {
      kernel.close();
    }
  });

  test('reports a large folio and a merged page with a wrong mapcount', () => {
    const kernel = openNative({ files: [dump] });
    try {
      const [page, folio] = [struct(kernel, 'page'), kernel.struct('folio')];
      const large = folio?.member('_large_mapcount') ?? folio?.member('_entire_mapcount');
      // Before 6.3 it is in the second struct page.
      const inHead = large?.offset ?? page.size + memberOf(page, 'compound_mapcount').offset;
      const own = memberOf(page, '_mapcount').offset;
      const tail = page.member('compound_head') ?? memberOf(page, 'compound_info');
      // A count of each kind by process, with the mapping of its page.
      const found = new Map<string, { readonly count: bigint; readonly mapping: bigint }>();
      const spaces = addressSpaces(kernel);
      for (const { pgd, processes } of spaces) {
        const [{ comm = '', pid = 0 } = {}] = processes;
        kernel.userPages(
          pgd,
          pagesOnly((_page, pages, frame) => {
            const address = kernel.pages.pageOfFrame(frame);
            // A tail has other members in place of these: pages of a folio may be mapped from its middle on.
            if ((kernel.read(address + BigInt(tail.offset), 8).getUint8(0) & 1) !== 0) return;
            const at = address + BigInt(memberOf(page, 'mapping').offset);
            const mapping = kernel.read(at, 8).getBigUint64(0, true);
            const kind = mapping & 3n;
            if (comm === 'merged' && kind === 3n) found.set('merged', { count: address + BigInt(own), mapping });
            if (comm === 'takeuser' && kind === 1n && pages > 1)
              found.set(`large ${pid}`, { count: address + BigInt(inHead), mapping });
          }),
        );
      }
      expect(found.has('merged')).toBe(true);
      expect(found.size).toBeGreaterThan(1);
      // A process that is running, or being created or torn down, may be mapping a page just then: fewer mappings than
      // counted are no contradiction.
      const trees = new ReverseMapReader(kernel);
      const atRest = new Set(spaces.filter(({ running }) => !running).map(({ mm }) => mm));
      const judged = [...found.values()].filter(({ mapping }) =>
        [...(trees.spacesOf(mapping) ?? [0n])].every((mm) => atRest.has(mm)),
      );
      expect(judged.length).toBeGreaterThan(0);
      for (const { count: address } of judged)
        for (const [by, message] of [
          [1, 'pages have fewer mappings than their _mapcount'],
          [-1, 'pages have more mappings than their _mapcount'],
        ] as const) {
          const { add, damagedBy } = memoryOf(kernel);
          const { warnings, complete } = kernelProcesses(damagedBy(add(address, 4, by)));
          expect(warnings.map((warning) => warning.message).join('\n')).toContain(message);
          expect(complete).toBe(false);
        }
    } finally {
      kernel.close();
    }
  });

  test('allocated memory is attributed to its process', () => {
    const most = answer.processes.toSorted((a, b) => (b.freedIfKilledBytes ?? 0) - (a.freedIfKilledBytes ?? 0));
    const takers = most.filter(
      ({ comm, freedIfKilledBytes }) => comm === 'takeuser' && (freedIfKilledBytes ?? 0) > AMOUNT,
    );
    expect(takers.length).toBeGreaterThanOrEqual(3);
  });
});
