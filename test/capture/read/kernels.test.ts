import { describe, expect, test } from 'vitest';
import { type Category, leaves } from '../../../src/account/memory/tree.js';
import { memoryOfCapture } from '../../../src/app/memory/captured.js';
import { CapturedFiles } from '../../../src/capture/read/captured-files.js';
import { memoryFindings } from '../../../src/triage/kernel-findings.js';
import {
  expectTruth,
  KERNELS,
  type Kernel,
  MIB,
  meminfoOf,
  pagesOf,
  RESERVED,
  TRUTH,
  totalOf,
} from '../../support/counter-tables.js';

type Files = Readonly<Record<string, string>>;
const uname = (release: string) => ({
  'sos_commands/kernel/uname_-a': `Linux host-1 ${release} #1 SMP x86_64 GNU/Linux\n`,
});
const answerOf = (files: Files) => memoryOfCapture('capture', new CapturedFiles(Object.entries(files)));

/** Rows whose pages are counted, by this answer. */
function check(kernel: Kernel, files: Files): Category[] {
  const answer = answerOf(files);
  const rows = leaves(answer.memory);
  // Nothing in this machine is a problem: no finding, or one that states no lower bound.
  for (const { code, severity, figures } of memoryFindings(answer))
    if (code === 'unattributed-memory') expect([severity, figures.bytes]).toEqual(['note', 0]);
  expectTruth(kernel, rows, answer.memory.bytes);
  return rows;
}

describe.each(KERNELS)('$release', (kernel) => {
  const lines = meminfoOf(kernel);
  const bytesOf = (rows: readonly Category[], name: string) => rows.find(({ category }) => category === name);

  test('whole: rows are exact, and what the kernel does not count is unattributed', () => {
    const { zoneinfo, vmstat } = pagesOf(kernel, 0);
    const rows = check(kernel, {
      ...uname(kernel.release),
      'proc/meminfo': lines.join(''),
      'proc/zoneinfo': zoneinfo,
      'proc/vmstat': vmstat,
    });
    for (const row of ['page-cache', 'shared', 'hugetlb', 'slab-reclaimable', 'slab-unreclaimable'] as const)
      expect(bytesOf(rows, row)?.bytes).toBe(TRUTH[row] * 1024);
    const compressed = kernel.zone.includes('nr_zspages') ? TRUTH.compressed * 1024 : null;
    expect(bytesOf(rows, 'compressed')).toMatchObject({ bytes: compressed ?? 0, counterBytes: compressed });
    expect(bytesOf(rows, 'missing-counters')?.bytes).toBe(0);
    const vmalloc = bytesOf(rows, 'vmalloc');
    if (kernel.vmalloc === 'pages') expect(vmalloc?.bytes).toBe(TRUTH.vmalloc * 1024);
    else expect(vmalloc).toMatchObject({ bytes: 0, why: expect.stringContaining('not counted by this kernel') });
    expect(bytesOf(rows, 'reserved-other')?.bytes).toBe(RESERVED * 1024);
  });

  test.each([-900, 0, 900])('cut after each line, with zones read at another time (%i MiB)', (moved) => {
    const { zoneinfo, vmstat } = pagesOf(kernel, moved * MIB);
    for (let count = 1; count <= lines.length; count++) {
      const meminfo = lines.slice(0, count).join('');
      check(kernel, {
        ...uname(kernel.release),
        'proc/meminfo': meminfo,
        'proc/zoneinfo': zoneinfo,
        'proc/vmstat': vmstat,
      });
      // In the middle of a line, and without any other file.
      if (moved === 0) check(kernel, { 'proc/meminfo': meminfo.slice(0, -4) + (count === 1 ? ' kB\n' : '') });
    }
  });

  test('has no page size alone, and needs none', () => {
    const answer = answerOf({ 'proc/meminfo': lines.join('') });
    expect(answer.host).toMatchObject({ pageSizeKnown: false });
    expect(answerOf({ 'proc/meminfo': lines.join(''), 'proc/vmstat': pagesOf(kernel, 300 * MIB).vmstat }).host).toEqual(
      { release: '', pageSize: 4096, pageSizeKnown: true },
    );
  });

  test('a hole of a third of memory is reported, also with zones of another time', () => {
    const total = totalOf(kernel.lines);
    const hole = Math.round(total / 8) * 4;
    const text = lines.join('').replace(/MemTotal: +\d+/, `MemTotal: ${total + hole}`);
    const pages = Math.round((total + hole) / 4);
    const { zoneinfo } = pagesOf(kernel, 900 * MIB);
    const grown = zoneinfo.replace(/(present|managed) +\d+/g, `$1 ${pages}`);
    const [finding] = memoryFindings(
      answerOf({ ...uname(kernel.release), 'proc/meminfo': text, 'proc/zoneinfo': grown }),
    );
    expect(finding).toMatchObject({ code: 'unattributed-memory', severity: 'critical' });
    expect(Number(finding?.figures.bytes)).toBeGreaterThan(((hole * 3) / 4) * 1024);
    expect(Number(finding?.figures.bytes)).toBeLessThan((hole + 700 * MIB) * 1024);
  });
});
