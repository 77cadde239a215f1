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
import { PageReader } from '../../../src/walk/pages.js';
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
