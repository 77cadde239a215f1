import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { accountAll } from '../../../src/account/sockets.js';
import { socketsJson } from '../../../src/answers/sockets/json.js';
import { jsonOf } from '../../../src/base/util.js';
import { socketsSchema } from '../../../src/contracts/sockets.js';
import { extract } from '../../../src/extract/extract.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { listNodes } from '../../../src/walk/list.js';
import { PageReader } from '../../../src/walk/pages/pages.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { answers } from '../../support/answers.js';
import { drgnJson } from '../../support/drgn.js';
import { asOracle, fromOracle } from '../../support/expected.js';
import { compareWithGuest, compareWithOracle } from '../../support/figures.js';
import {
  kernelOf,
  type LabArm64DumpName,
  type LabKernel,
  type LabVmcore,
  labDump,
  labKernel,
  labPageOrders,
  labTool,
  labVmcore,
  role,
} from '../../support/lab.js';
import { askDump } from '../../support/opened-kernel.js';
import { pausedInfoSuite } from '../info-suite.js';
import { categoriesSuite } from '../memory/categories-suite.js';
import { filesSuite } from '../memory/files-suite.js';
import { outsideQueuesSuite } from '../queues/outside-queues-suite.js';
import { otherPagesSuite } from '../sockets/other-pages-suite.js';
import { networkPagesSuite } from '../sockets/pages-suite.js';
import { structInstancesSuite } from '../struct-instances.js';

/** Runs the x86_64 checks on a dump of an arm64 guest, against drgn and the guest. */
export function arm64Suite(dump: LabArm64DumpName): void {
  for (const format of ['elf', 'kdumpZlib'] as const)
    figures(
      `${dump}, ${format}`,
      () => [labDump(dump)[format]],
      () => labDump(dump),
    );
  maps(dump, () => labDump(dump));
  small(dump, () => labDump(dump));
  orders(dump);
  pausedInfoSuite(dump);
  structInstancesSuite(dump);
  outsideQueuesSuite(dump, kernelOf(dump), () => labDump(dump).elf);
  networkPagesSuite(dump, kernelOf(dump));
  otherPagesSuite(dump, kernelOf(dump));
  categoriesSuite(dump, kernelOf(dump));
  filesSuite(dump, kernelOf(dump));
}

/** The same for kdumps: a copy of /proc/vmcore, and the output of makedumpfile. */
export function arm64KdumpSuite(kernel: LabKernel, formats: Readonly<Record<string, () => readonly string[]>>): void {
  for (const [format, files] of Object.entries(formats))
    figures(`${kernel}, kdump, ${format}`, files, () => labVmcore(kernel));
  maps(`${kernel}, kdump`, () => labVmcore(kernel));
  small(`${kernel}, kdump`, () => labVmcore(kernel));
}

function figures(name: string, files: () => readonly string[], dump: () => LabVmcore): void {
  describe(name, () => {
    test('skb: every figure of every socket matches drgn and the guest', () => {
      const said = dump();
      askDump(files(), (kernel) => {
        expect(kernel.facts).toMatchObject({ arch: 'arm64', release: said.truth.release });
        expect(kernel.facts.pageSize).toBe(said.truth.pageSize);
        compareWithOracle(kernel, said);
        compareWithGuest(kernel, said);
      });
    });

    test('sockets: finds all sockets that drgn finds, in descriptors and in slabs', () => {
      const { oracle, truth, elf, kernel: of } = dump();
      const answer = askDump(files(), (kernel) => {
        const found = accountAll(kernel, { by: 'netns' });
        return jsonOf(socketsJson(found, found.sockets));
      });
      socketsSchema.parse(answer);
      expect(answer.warnings).toEqual([]);
      const socks = socksInSlabs(elf, of);
      const inSlabs = answer.sockets.filter(({ foundBy }) => foundBy.includes('slab'));
      expect(inSlabs.map(({ socket }) => socket.sock).sort()).toEqual(Object.keys(socks).sort());
      const byDescriptor = answer.sockets.filter(({ foundBy }) => foundBy.includes('fd'));
      expect(byDescriptor).toHaveLength(oracle.sockets.length);
      for (const expected of oracle.sockets) {
        const ours = answer.sockets.find(({ socket }) => socket.sock === expected.sock);
        expect(ours && asOracle(ours), expected.sock).toEqual(fromOracle(expected));
      }
      const listener = role(truth, 'listener').socket?.inode;
      const { socket } = answer.sockets.find((one) => one.socket.inode === listener) ?? {};
      const waiting = answer.sockets.filter(
        ({ foundBy, socket: one }) => foundBy.includes('accept') && one.local === socket?.local,
      );
      expect(waiting).toHaveLength(3);
    });
  });
}

function maps(name: string, dump: () => LabVmcore): void {
  test(`${name}: read returns drgn’s bytes for all maps: linear, image, modules, stacks, pages`, () => {
    const { elf, oracle, kernel: of } = dump();
    askDump([elf], (kernel) => {
      const task = kernel.struct('task_struct')!;
      const module = kernel.struct('module')!.member('list')!.offset;
      const tasks = [...new TaskReader(kernel).processes()];
      const places = [
        { what: 'linear', at: oracle.sockets.map(({ sock }) => BigInt(sock)), length: 1500 },
        { what: 'image', at: [kernel.symbol('init_task')!], length: task.size },
        { what: 'tables', at: [kernel.symbol('swapper_pg_dir')!], length: kernel.facts.pageSize },
        {
          what: 'modules',
          at: [...listNodes(kernel, kernel.symbol('modules')!)].map((node) => node - BigInt(module)),
          length: 700,
        },
        {
          what: 'stacks',
          at: tasks.map(({ address }) =>
            kernel.read(address + BigInt(task.member('stack')!.offset), 8).getBigUint64(0, true),
          ),
          length: 16_384,
        },
        {
          what: 'pages',
          at: oracle.sockets.flatMap(({ pages }) =>
            Object.values(pages).flatMap((all) => all.map(({ page }) => BigInt(page))),
          ),
          length: 64,
        },
      ].map(({ what, at, length }) => ({ what, length, at: at.slice(0, 40) }));
      const queries = places.flatMap(({ at, length }) =>
        at.map((address) => `v:${address.toString(16)}:${length.toString(16)}`),
      );
      const script = new URL('../read.py', import.meta.url);
      const theirs = drgnJson<(string | null)[]>(elf, of, script, ...queries);
      const ours = places.flatMap(({ at, length }) =>
        at.map((address) => {
          const { buffer, byteOffset } = kernel.read(address, length);
          return Buffer.from(buffer, byteOffset, length).toString('hex');
        }),
      );
      for (const { what, at } of places) expect(at.length, what).toBeGreaterThan(0);
      expect(ours).toEqual(theirs);
    });
  });
}

function small(name: string, dump: () => LabVmcore): void {
  test(`${name}: an extract gives all answers of the dump, opens in drgn, and extracts to itself`, async () => {
    const { elf, kernel: of } = dump();
    const folder = mkdtempSync(join(tmpdir(), 'arm64-'));
    const cut = async (from: string, to: string): Promise<string> => {
      const output = join(folder, to);
      const kernel = openNative({ files: [from] });
      await extract(kernel, { output, compression: 'zlib' });
      kernel.close();
      return output;
    };
    try {
      const output = await cut(elf, 'small.vmcore');
      const again = await cut(output, 'again.vmcore');
      expect(readFileSync(again).equals(readFileSync(output))).toBe(true);
      expect(statSync(output).size).toBeLessThan(statSync(elf).size / 50);
      const all = askDump([elf], answers);
      expect(all.processes.length).toBeGreaterThan(50);
      expect(askDump([output], answers)).toEqual(all);
      const queues = (file: string) =>
        execFileSync(
          labTool('drgn'),
          ['-q', '-c', file, '-s', labKernel(of).vmlinux, join(import.meta.dirname, '../extract/queues.py')],
          { encoding: 'utf8', timeout: STEP_MS, stdio: ['ignore', 'pipe', 'pipe'] },
        );
      const found = queues(output);
      expect(found.split('\n').length).toBeGreaterThan(30);
      expect(found).toBe(queues(elf));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

function orders(dump: LabArm64DumpName): void {
  test(`${dump}: orders match the guest’s /proc/kpageflags`, () => {
    const { elf, oracle } = labDump(dump);
    const order = labPageOrders(dump);
    askDump([elf], (kernel) => {
      const reader = new PageReader(kernel);
      const pages = oracle.sockets.flatMap((socket) => Object.values(socket.pages).flat());
      for (const { pfn } of pages) {
        const block = reader.block(kernel.pages.pageOfFrame(pfn));
        expect(block, `page frame ${pfn}`).toMatchObject({ kind: 'page', order: order(pfn) });
      }
      expect(pages.length).toBeGreaterThan(100);
    });
  });
}

const inSlabsOf = new Map<string, object>();

/** Address → drgn's view of a `struct sock` in a slab; drgn needs 20 s for it. */
function socksInSlabs(elf: string, kernel: LabKernel): object {
  const script = new URL('../sockets/slabs.py', import.meta.url);
  const socks = inSlabsOf.get(elf) ?? drgnJson<{ socks: object }>(elf, kernel, script).socks;
  inSlabsOf.set(elf, socks);
  return socks;
}
