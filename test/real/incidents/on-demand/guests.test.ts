import { beforeAll, describe, expect, test } from 'vitest';
import { type MemoryJson, memorySchema } from '../../../../src/contracts/memory.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { jsonInGuest, testGuest } from '../../../support/guest.js';
import { expectNamed } from '../../../support/named-growth.js';

type TriageJson = ReturnType<typeof triageSchema.parse>;

const MIB = 2 ** 20;
const PAGES = 60;
const MEMORY_MIB = 1536;

/** Memory of the whole machine, which has no namespace. */
describe.each([
  ['with /proc/kcore', 'true', 'kcore'],
  ['without /proc/kcore', 'mount --bind /dev/null /proc/kcore', 'pageflags'],
])('incidents in a guest %s', (_, hide, source) => {
  const guest = testGuest('newest');
  beforeAll(async () => {
    await guest.boot({
      kdumpMem: true,
      memoryMiB: MEMORY_MIB,
      tools: ['takeuser'],
      modules: ['zram', 'lzo_rle', 'virtio_balloon'],
      balloon: true,
    });
    await guest.run(`${hide}; ip link set lo up; mkdir /decoys; mount -t tmpfs none /decoys`);
  });
  const triaged = async (): Promise<TriageJson> => triageSchema.parse(await jsonInGuest(guest, 'triage --live'));
  const answerOf = async (options = '--live'): Promise<MemoryJson> =>
    memorySchema.parse(await jsonInGuest(guest, `memory ${options}`));
  /** Other memory, in a row of its own. */
  const decoyOf = async (bytes: number) => {
    await guest.run(`dd if=/dev/zero of=/decoys/file bs=4096 count=${bytes / 4096} 2>/dev/null`);
    return { row: 'shared', bytes };
  };
  const hugetlb = ({ findings }: TriageJson) => findings.filter(({ code }) => code === 'hugetlb-unused');

  test('incompressible pages in zram are a row of their own', async () => {
    const before = await answerOf();
    const { output } = await guest.run(
      `echo 300M > /sys/block/zram0/disksize; dd if=/dev/urandom of=/dev/zram0 bs=1M count=120 conv=fsync 2>/dev/null
       echo 3 > /proc/sys/vm/drop_caches; cat /sys/block/zram0/mm_stat`,
    );
    const used = Number(/^ *\d+ +\d+ +(\d+) /m.exec(output.toString())?.[1]);
    expect(used).toBeGreaterThan(100 * MIB);
    const decoy = await decoyOf(used);
    const after = await answerOf();
    expect(after.source).toBe(source);
    const owner = { kind: 'zram', name: 'zram0' } as const;
    expectNamed({ scene: 'zram', before, after, bytes: used, row: 'compressed', decoy, owner });
    expect(after.named?.filter(({ kind }) => kind === 'zram')).toMatchObject([{ name: 'zram0', bytes: used }]);
    await guest.run('echo 1 > /sys/block/zram0/reset; rm /decoys/file');
  });

  test('memory in a balloon is one row, which MemTotal excludes', async () => {
    const read = async () => {
      const { output } = await guest.run('grep MemTotal: /proc/meminfo; grep ^balloon_ /proc/vmstat');
      const of = (form: RegExp) => Number(form.exec(output.toString())?.[1]);
      const [inflated, deflated] = [of(/balloon_inflate (\d+)/), of(/balloon_deflate (\d+)/)];
      return { total: of(/MemTotal: +(\d+)/) * 1024, ballooned: (inflated - deflated) * 4096 };
    };
    const before = await read();
    expect(before.ballooned).toBe(0);
    const first = await answerOf();
    const kept = (guestMiB: number) => guest.machine.balloonTo(guestMiB * MIB);
    const settled = (done: string) => guest.run(`for i in $(seq 600); do ${done} && break; usleep 100000; done`);
    const pages = "awk '/^balloon_inflate/{a=$2}/^balloon_deflate/{b=$2}END{print a-b}' /proc/vmstat";
    await kept(MEMORY_MIB - 200);
    await settled(`[ $(${pages}) -ge ${(200 * MIB) / 4096} ]`);
    const now = await read();
    expect(now.ballooned).toBe(200 * MIB);
    expect(before.total - now.total).toBe(now.ballooned);
    const decoy = await decoyOf(now.ballooned);
    const answer = await answerOf();
    const owner = { kind: 'balloon', name: 'virtio_balloon (virtio)' } as const;
    const known = { bytes: now.ballooned, row: 'balloon', decoy, owner };
    expectNamed({ scene: 'balloon', before: first, after: answer, ...known });
    expect(answer.source).toBe(source);
    const rows = answer.memory.children.flatMap(({ children }) => children);
    expect(rows.find(({ category }) => category === 'balloon')?.bytes).toBe(now.ballooned);
    expect(answer.named).toMatchObject([{ kind: 'balloon', bytes: now.ballooned, figures: { isInMemTotal: 0 } }]);
    const counters = await answerOf('--live --source counters');
    const counted = counters.memory.children.flatMap(({ children }) => children);
    expect(counted.find(({ category }) => category === 'balloon')?.bytes).toBe(now.ballooned);
    expect(counters.memory.bytes).toBe(answer.memory.bytes);
    const { findings } = await triaged();
    expect(findings.filter(({ code }) => code === 'balloon')).toMatchObject([{ figures: { bytes: now.ballooned } }]);
    await kept(MEMORY_MIB);
    await settled(`[ $(${pages}) -eq 0 ]`);
    await guest.run('rm /decoys/file');
  });

  test('huge pages that no process uses, and a file of hugetlbfs that no process maps', async () => {
    const before = await answerOf();
    const { output } = await guest.run(
      `echo ${PAGES} > /proc/sys/vm/nr_hugepages; cat /proc/sys/vm/nr_hugepages; mkdir /huge; mount -t hugetlbfs none /huge`,
    );
    expect(Number(output.toString())).toBe(PAGES);
    const bytes = PAGES * 2 * MIB;
    // Transparent huge pages, which are in no pool.
    await guest.run(`(takeuser huge ${bytes} > /tmp/huge 2>&1 &); until [ -s /tmp/huge ]; do usleep 100000; done`);
    const owner = { kind: 'huge-pages', name: '2.00 MiB' } as const;
    const decoy = { row: 'anonymous', bytes };
    expectNamed({ scene: 'huge pages', before, after: await answerOf(), bytes, row: 'hugetlb', decoy, owner });
    const unused = hugetlb(await triaged());
    expect(unused).toMatchObject([{ figures: { bytes: PAGES * 2 * MIB, pages: PAGES } }]);
    await guest.run(`fallocate -l ${PAGES * 2 * MIB} /huge/kept`);
    const inFile = hugetlb(await triaged());
    expect(inFile).toMatchObject([{ figures: { bytes: PAGES * 2 * MIB, inFilesBytes: PAGES * 2 * MIB } }]);
    const { memory } = memorySchema.parse(await jsonInGuest(guest, `${inFile[0]?.next} --live`));
    const rows = memory.children.flatMap(({ children }) => children);
    expect(rows.find(({ category }) => category === 'hugetlb')?.bytes).toBe(PAGES * 2 * MIB);
    await guest.run('killall takeuser; rm /huge/kept; umount /huge; echo 0 > /proc/sys/vm/nr_hugepages');
    expect(hugetlb(await triaged())).toEqual([]);
  });
});
