import { beforeAll, describe, expect, test } from 'vitest';
import { memorySchema } from '../../../../src/answers/memory/schema.js';
import { triageSchema } from '../../../../src/answers/triage/schema.js';
import { jsonInGuest, testGuest } from '../../../support/guest.js';

type TriageJson = ReturnType<typeof triageSchema.parse>;

const MIB = 2 ** 20;
const PAGES = 60;

/** Memory of the whole machine, which has no namespace. */
describe.each([
  ['with /proc/kcore', 'true', 'kcore'],
  ['without /proc/kcore', 'mount --bind /dev/null /proc/kcore', 'pageflags'],
])('incidents in a guest %s', (_, hide, source) => {
  const guest = testGuest('newest');
  beforeAll(async () => {
    await guest.boot({ kdumpMem: true, modules: ['zram', 'lzo_rle'], limitMs: 1_800_000 });
    await guest.run(`${hide}; ip link set lo up`);
  });
  const triaged = async (): Promise<TriageJson> =>
    triageSchema.parse(await jsonInGuest(guest, 'triage --live', 240_000));
  const hugetlb = ({ findings }: TriageJson) => findings.filter(({ code }) => code === 'hugetlb-unused');

  test('incompressible pages in zram are a row of their own', async () => {
    const { output } = await guest.run(
      `echo 300M > /sys/block/zram0/disksize; dd if=/dev/urandom of=/dev/zram0 bs=1M count=120 conv=fsync 2>/dev/null
       echo 3 > /proc/sys/vm/drop_caches; cat /sys/block/zram0/mm_stat`,
    );
    const used = Number(/^ *\d+ +\d+ +(\d+) /m.exec(output.toString())?.[1]);
    expect(used).toBeGreaterThan(100 * MIB);
    const answer = memorySchema.parse(await jsonInGuest(guest, 'memory --live', 240_000));
    expect(answer.source).toBe(source);
    const rows = answer.memory.children.flatMap(({ children }) => children);
    const bytes = rows.find(({ category }) => category === 'compressed')?.bytes ?? 0;
    expect(Math.abs(bytes - used) / used).toBeLessThan(0.05);
    await guest.run('echo 1 > /sys/block/zram0/reset');
  });

  test('huge pages that no process uses, and a file of hugetlbfs that no process maps', async () => {
    const { output } = await guest.run(
      `echo ${PAGES} > /proc/sys/vm/nr_hugepages; cat /proc/sys/vm/nr_hugepages; mkdir /huge; mount -t hugetlbfs none /huge`,
    );
    expect(Number(output.toString())).toBe(PAGES);
    const unused = hugetlb(await triaged());
    expect(unused).toMatchObject([{ figures: { bytes: PAGES * 2 * MIB, pages: PAGES } }]);
    await guest.run(`fallocate -l ${PAGES * 2 * MIB} /huge/kept`);
    const inFile = hugetlb(await triaged());
    expect(inFile).toMatchObject([{ figures: { bytes: PAGES * 2 * MIB, inFilesBytes: PAGES * 2 * MIB } }]);
    const { memory } = memorySchema.parse(await jsonInGuest(guest, `${inFile[0]?.next} --live`, 240_000));
    const rows = memory.children.flatMap(({ children }) => children);
    expect(rows.find(({ category }) => category === 'hugetlb')?.bytes).toBe(PAGES * 2 * MIB);
    await guest.run('rm /huge/kept; umount /huge; echo 0 > /proc/sys/vm/nr_hugepages');
    expect(hugetlb(await triaged())).toEqual([]);
  });
});
