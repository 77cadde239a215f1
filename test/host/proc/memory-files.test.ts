import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { MemoryFiles } from '../../../src/host/proc/memory-files.js';

const folder = mkdtempSync(join(tmpdir(), 'memory-files-'));
afterAll(() => rmSync(folder, { recursive: true }));

const whole = (path: string, files = new MemoryFiles()) => files.read(path, 1 << 20);

/** A FIFO without a writer: opening it blocks, as a read of smaps does while the mmap_lock is held. */
function fifo(name: string): string {
  const path = join(folder, name);
  execFileSync('mkfifo', [path]);
  return path;
}

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('files are read', () => {
  test('byte for byte, many concurrently', async () => {
    const files = new MemoryFiles();
    const sizes = [0, 1, 31, 32, 33, 65_536, 200_000];
    const contents = sizes.map((size) => Buffer.alloc(size, 'a\nb\0'));
    const found = await Promise.all(contents.map((content, index) => whole(file(`size-${index}`, content), files)));
    expect(found.map(({ bytes }) => bytes.equals(contents.shift() ?? bytes))).not.toContain(false);
    expect(found.some(({ cut }) => cut)).toBe(false);
  });

  test('from this process', async () => {
    const { bytes } = await whole(`/proc/${process.pid}/cmdline`);
    expect(bytes).toEqual(readFileSync('/proc/self/cmdline'));
  });

  test.skipIf(process.geteuid?.() !== 0)('at normal priority, whatever that of this process (needs root)', async () => {
    const nice = async () => {
      const stat = (await whole('/proc/self/stat')).bytes.toString();
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16];
    };
    const own = getPriority();
    setPriority(10);
    try {
      await expect(nice()).resolves.toBe('0');
    } finally {
      setPriority(own);
    }
  });

  test('up to a limit, and longer files are truncated', async () => {
    const path = file('long', '0123456789');
    const files = new MemoryFiles();
    expect(await files.read(path, 10)).toEqual({ bytes: Buffer.from('0123456789'), cut: false });
    expect(await files.read(path, 9)).toEqual({ bytes: Buffer.from('012345678'), cut: true });
  });

  test('with an error code for a missing path and for a directory', async () => {
    await expect(whole(join(folder, 'none'))).rejects.toMatchObject({ code: 'gone' });
    await expect(whole(folder)).rejects.toMatchObject({ code: 'unreadable' });
  });

  test('by a reader that starts slowly, as on a machine that is short of memory', async () => {
    const { execPath } = process;
    process.execPath = file('slow-node', `#!/bin/sh\nsleep 4\nexec '${execPath}' "$@"\n`);
    chmodSync(process.execPath, 0o755);
    try {
      expect((await whole(file('slow', 'x'))).bytes.toString()).toBe('x');
    } finally {
      process.execPath = execPath;
    }
  });

  test('again after the reader was idle', async () => {
    const files = new MemoryFiles();
    const path = file('again', 'x');
    await whole(path, files);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect((await whole(path, files)).bytes.toString()).toBe('x');
  });
});

describe('a read that makes no progress', () => {
  test('fails individually: reads before and after it succeed', async () => {
    const files = new MemoryFiles();
    const all = [file('first', '1'), fifo('blocked'), file('last', '3')];
    const found = await Promise.allSettled(all.map((path) => whole(path, files)));
    expect(found.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(found[1]).toMatchObject({ reason: { code: 'blocked' } });
  });

  test('is not retried immediately, nor are others of its process', async () => {
    const files = new MemoryFiles();
    // Few: the first is avoided for 10 s.
    const all = Array.from({ length: 3 }, (_, index) => fifo(`many-${index}`));
    const found = await Promise.allSettled(all.map((path) => whole(path, files)));
    expect(found.every(({ status }) => status === 'rejected')).toBe(true);
    // A read would succeed now.
    for (const path of all) {
      rmSync(path);
      writeFileSync(path, '');
      await expect(whole(path, files)).rejects.toMatchObject({ code: 'blocked' });
    }
  });
});
