import { beforeAll, describe, expect, test } from 'vitest';
import { accountMemory } from '../../../../src/account/memory/memory.js';
import { surveyProcesses } from '../../../../src/account/processes/kernel.js';
import { memoryJson } from '../../../../src/answers/memory/json.js';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { openNative } from '../../../../src/kernel/native/open.js';
import { drgnJson } from '../../../support/drgn.js';
import { jsonInGuest, testGuest } from '../../../support/guest.js';
import { expectNamed } from '../../../support/named-growth.js';

const HUGE = 2 * 2 ** 20;
const PAGE = 4096;
/** Much more than the own memory of two runs of kdump-mem differs by: 2 MiB. */
const [MANY, TOUCHED, ALL] = [120, 5, 512];

describe.each(['6.1', 'newest'] as const)('zeros in huge pages: %s', (kernel) => {
  const guest = testGuest(kernel);
  const expected = (answer: MemoryJson) => {
    const own = answer.hugePages?.owners.filter(({ comm }) => comm === 'sparse');
    const amounts = { folios: MANY, bytes: MANY * HUGE, unreadBytes: 0 };
    expect(own).toEqual([
      { ...amounts, comm: 'sparse', pid: expect.any(Number), zeroBytes: MANY * (ALL - TOUCHED) * PAGE },
      // A decoy as large has no zero page.
      { ...amounts, comm: 'sparse', pid: expect.any(Number), zeroBytes: 0 },
    ]);
  };

  const counted = async () => memorySchema.parse(await jsonInGuest(guest, 'memory --live --source counters'));
  let before: MemoryJson;

  beforeAll(async () => {
    await guest.boot({ kdumpMem: true, memoryMiB: 1536, tools: ['sparse'] });
    before = await counted();
    await guest.run(`(sparse ${MANY} ${TOUCHED} & sparse ${MANY} ${ALL} &) > /tmp/pids`);
    await guest.run('until [ $(wc -l < /tmp/pids) = 2 ]; do usleep 100000; done');
  });

  test('are counted on the running kernel', async () => {
    expected(memorySchema.parse(await jsonInGuest(guest, 'memory --live --huge')));
  });

  test('are anonymous memory, without kernel memory too', async () => {
    const bytes = MANY * HUGE;
    const decoy = { row: 'anonymous', bytes };
    expectNamed({ scene: `${kernel} huge pages`, before, after: await counted(), bytes, row: 'anonymous', decoy });
  });

  test('are counted in its dump, and no other process has them', async () => {
    const core = await guest.lastDump();
    const opened = openNative({ files: [core] });
    try {
      const answer = memorySchema.parse(memoryJson(accountMemory(opened, undefined, { huge: true })));
      expected(answer);
      // All of them, also those of other programs.
      const drgn = drgnJson<{ bytes: number }>(core, kernel, new URL('huge_pages.py', import.meta.url));
      expect(drgn.bytes).toBeGreaterThanOrEqual(2 * MANY * HUGE);
      expect(answer.hugePages).toMatchObject(drgn);
      const processes = surveyProcesses(opened, () => undefined, { huge: true }).answer.processes;
      const zeros = processes.filter(({ comm }) => comm === 'sparse').map(({ zeroHugeBytes }) => zeroHugeBytes);
      expect(zeros.toSorted((a, b) => (b ?? 0) - (a ?? 0))).toEqual([MANY * (ALL - TOUCHED) * PAGE, 0]);
      const note = answer.notes.find((one) => one.note === 'thp' && one.category === 'anonymous');
      expect(note?.bytes).toBe(drgn.bytes);
    } finally {
      opened.close();
    }
  });
});
