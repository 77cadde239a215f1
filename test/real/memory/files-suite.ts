import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { accountMemory } from '../../../src/account/memory/memory.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { type MemoryJson, memorySchema } from '../../../src/contracts/memory.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { drgnJson } from '../../support/drgn.js';
import { LAB, type LabKernel } from '../../support/lab.js';
import { expectTold } from './functions-only.js';

/** drgn's view of an inode with pages. */
interface Inode {
  readonly pages: number;
  readonly path: string | null;
  readonly size: number;
  readonly links: number;
}

/**
 * Compares files in the page cache and shared memory with the inodes of all super blocks, which
 * count their pages.
 */
export function filesSuite(dump: string, kernel: LabKernel): void {
  describe(`files in memory: ${dump}`, () => {
    const core = join(LAB, 'dumps', dump, 'elf.vmcore');
    let answer: MemoryJson;
    let inodes: Record<string, Inode>;
    let openers: Record<string, readonly number[]>;

    beforeAll(() => {
      const opened = openNative({ files: [core] });
      try {
        const found = accountMemory(opened, undefined, { files: true });
        answer = memorySchema.parse(memoryJson(found));
      } finally {
        opened.close();
      }
      ({ inodes, openers } = drgnJson<{ inodes: Record<string, Inode>; openers: Record<string, readonly number[]> }>(
        core,
        kernel,
        new URL('files.py', import.meta.url),
      ));
    });

    test('no inode contradicts the answer', () => {
      expectTold(answer, dump);
    });

    test('they sum to the page cache and shared memory, to the byte', () => {
      expect(sumOf(answer)).toBe(bytesOf(answer, 'page-cache') + bytesOf(answer, 'shared'));
      expect(answer.files?.unnamed).toEqual([]);
    });

    test('each inode has as many pages as it counts, and no other has any', () => {
      const pageSize = answer.kernel?.pageSize ?? Number.NaN;
      const ours = (answer.files?.files ?? []).map((file) => [
        `${file.fsType} ${file.device} ${file.inode}`,
        { pages: file.bytes / pageSize, size: file.sizeBytes },
      ]);
      const theirs = Object.entries(inodes).map(([key, { pages, size }]) => [key, { pages, size }]);
      expect(ours.length).toBeGreaterThan(10);
      expect(Object.fromEntries(ours)).toEqual(Object.fromEntries(theirs));
    });

    test('paths match those that drgn builds from dentries', () => {
      const files = (answer.files?.files ?? []).filter(({ path }) => path !== null);
      expect(files.length).toBeGreaterThan(10);
      for (const { path, fsType, device, inode } of files) {
        expect(path).toBe(inodes[`${fsType} ${device} ${inode}`]?.path);
      }
    });

    test('the categories name the largest files as owners', () => {
      const files = (answer.files?.files ?? []).filter(({ sharedBytes }) => sharedBytes > 0);
      const [largest] = files;
      const shared = category(answer, 'shared');
      const name = largest?.path;
      expect(shared?.owners[0]).toMatchObject({ kind: 'file', name, bytes: largest?.sharedBytes });
      for (const { name: path, pid } of shared?.owners ?? [])
        if (pid === undefined) expect(openers[path] ?? []).toEqual([]);
        else expect(openers[path]).toContain(pid);
      expect(shared?.next).toBe('kdump-mem memory --files');
    });
  });
}

export function sumOf({ files }: MemoryJson): number {
  const all = [...(files?.files ?? []), ...(files?.unnamed ?? [])];
  return all.reduce((sum, { bytes }) => sum + bytes, 0);
}

function category({ memory }: MemoryJson, name: string) {
  return memory.children.flatMap(({ children }) => children).find((one) => one.category === name);
}

export function bytesOf(answer: MemoryJson, name: string): number {
  return category(answer, name)?.bytes ?? Number.NaN;
}
