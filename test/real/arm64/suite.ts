import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { accountAll } from '../../../src/account/sockets.js';
import { extract } from '../../../src/extract/extract.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { socketsSchema } from '../../../src/report/schema.js';
import { socketsJson } from '../../../src/report/sockets-json.js';
import { listNodes } from '../../../src/walk/list.js';
import { PageReader } from '../../../src/walk/pages.js';
import { TaskReader } from '../../../src/walk/tasks.js';
import { answers } from '../../support/answers.js';
import { drgnJson } from '../../support/drgn.js';
import { asOracle, fromOracle } from '../../support/expected.js';
import { compareWithGuest, compareWithOracle } from '../../support/figures.js';
import {
  kernelOf,
  type LabArm64DumpName,
  labDump,
  labKernel,
  labPageOrders,
  labTool,
  role,
} from '../../support/lab.js';

/** What the same code as for x86_64 finds in a dump of an arm64 guest, beside drgn and the guest. */
export function arm64Suite(dump: LabArm64DumpName): void {
  describe.each(['elf', 'kdumpZlib'] as const)(`${dump}, %s`, (format) => {
    test('skb: every figure of every socket is what drgn finds, and what the guest knew', () => {
      const said = labDump(dump);
      withKernel(said[format], (kernel) => {
        expect(kernel.facts).toMatchObject({ arch: 'arm64', release: said.truth.release });
        expect(kernel.facts.pageSize).toBe(said.truth.pageSize);
        compareWithOracle(kernel, said);
        compareWithGuest(kernel, said);
      });
    });

    test('sockets: all that drgn finds, in descriptors and in slabs', () => {
      const { oracle, truth, elf, [format]: file } = labDump(dump);
      const answer = withKernel(file, (kernel) => {
        const found = accountAll(kernel, { by: 'netns' });
        return socketsJson(found, found.sockets, 'netns');
      });
      socketsSchema.parse(answer);
      expect(answer.warnings).toEqual([]);
      const script = new URL('../sockets/slabs.py', import.meta.url);
      const { socks } = drgnJson<{ socks: object }>(elf, kernelOf(dump), script);
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

  test(`${dump}: read has drgn’s bytes of all maps: linear, image, modules, stacks, pages`, () => {
    const { elf, oracle } = labDump(dump);
    withKernel(elf, (kernel) => {
      const task = kernel.struct('task_struct')!;
      const module = kernel.struct('module')!.member('list')!.offset;
      const tasks = [...new TaskReader(kernel).processes()];
      const places = [
        { what: 'linear', at: oracle.sockets.map(({ sock }) => BigInt(sock)), length: 1500 },
        { what: 'image', at: [kernel.symbol('init_task')!], length: task.size },
        { what: 'tables', at: [kernel.symbol('swapper_pg_dir')!], length: kernel.facts.pageSize },
        {
          what: 'modules',
          at: [...listNodes(kernel, kernel.symbol('modules')!)].map(
            (node) => node - BigInt(module),
          ),
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
      const asked = places.flatMap(({ at, length }) =>
        at.map((address) => `v:${address.toString(16)}:${length.toString(16)}`),
      );
      const script = new URL('../read.py', import.meta.url);
      const theirs = drgnJson<(string | null)[]>(elf, kernelOf(dump), script, ...asked);
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

  test(`${dump}: an extract gives every answer that the dump gives, and opens in drgn`, async () => {
    const { elf } = labDump(dump);
    const folder = mkdtempSync(join(tmpdir(), 'arm64-'));
    const small = join(folder, 'small.vmcore');
    try {
      const kernel = openNative({ files: [elf] });
      await extract(kernel, { output: small, compression: 'zlib' });
      kernel.close();
      expect(statSync(small).size).toBeLessThan(statSync(elf).size / 50);
      const all = withKernel(elf, answers);
      expect(all.processes.length).toBeGreaterThan(50);
      expect(withKernel(small, answers)).toEqual(all);
      const queues = (file: string) =>
        execFileSync(
          labTool('drgn'),
          [
            ...['-q', '-c', file, '-s', labKernel(kernelOf(dump)).vmlinux],
            join(import.meta.dirname, '../extract/queues.py'),
          ],
          { encoding: 'utf8', timeout: 100_000, stdio: ['ignore', 'pipe', 'pipe'] },
        );
      const found = queues(small);
      expect(found.split('\n').length).toBeGreaterThan(30);
      expect(found).toBe(queues(elf));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test(`${dump}: orders are what the guest’s /proc/kpageflags says`, () => {
    const { elf, oracle } = labDump(dump);
    const order = labPageOrders(dump);
    withKernel(elf, (kernel) => {
      const reader = new PageReader(kernel);
      const pages = oracle.sockets.flatMap((socket) => Object.values(socket.pages).flat());
      for (const { pfn } of pages) {
        const block = reader.block(kernel.pageOfFrame(pfn) ?? 0n);
        expect(block, `page frame ${pfn}`).toMatchObject({ kind: 'page', order: order(pfn) });
      }
      expect(pages.length).toBeGreaterThan(100);
    });
  });
}

function withKernel<T>(file: string, use: (kernel: Kernel) => T): T {
  const kernel = openNative({ files: [file] });
  try {
    return use(kernel);
  } finally {
    kernel.close();
  }
}
