import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { StoreError } from '../../src/base/errors.js';
import { LineStore, lockStore, storeFiles } from '../../src/base/store.js';
import { scratchFolder } from '../support/scratch.js';

const folder = scratchFolder('kdump-mem-store-');
afterEach(() => vi.restoreAllMocks());

let files = 0;
const newFile = () => join(folder, `store-${++files}`);
const text = (file: string) => fs.readFileSync(file, 'utf8');
const ROOMY = { rotate: 1e6, keep: 2 };

/** @returns the code of the error that it throws */
function codeOf(step: () => void): string {
  try {
    step();
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
  return 'none';
}

test('appends lines to a file that only its owner can read', () => {
  const file = newFile();
  const store = new LineStore(file, ROOMY);
  store.append('a');
  store.append('b');
  store.close();
  new LineStore(file, ROOMY).append('c');
  expect(text(file)).toBe('a\nb\nc\n');
  expect(fs.statSync(file).mode & 0o777).toBe(0o600);
});

test('leaves a torn line unchanged, and begins the next after it', () => {
  const file = newFile();
  fs.writeFileSync(file, 'whole\n{"to', { mode: 0o600 });
  const store = new LineStore(file, ROOMY);
  store.append('next');
  store.append('more');
  expect(text(file)).toBe('whole\n{"to\nnext\nmore\n');
});

describe('rotation', () => {
  test('loses nothing if it is killed between two renames, and continues', () => {
    const file = newFile();
    const store = new LineStore(file, { rotate: 20, keep: 3 });
    for (const line of ['first', 'second', 'third']) store.append(line.padEnd(15));
    // FILE.1 was renamed to FILE.2, but FILE not yet to FILE.1.
    fs.renameSync(`${file}.2`, `${file}.3`);
    fs.renameSync(`${file}.1`, `${file}.2`);
    expect(storeFiles(file)).toEqual([`${file}.3`, `${file}.2`, file]);
    const again = new LineStore(file, { rotate: 20, keep: 3 });
    again.append('fourth'.padEnd(15));
    const words = () => storeFiles(file).map((name) => text(name).trim());
    expect(words()).toEqual(['first', 'second', 'third', 'fourth']);
    again.append('fifth'.padEnd(15));
    expect(words()).toEqual(['second', 'third', 'fourth', 'fifth']);
  });

  test('limits sizes and number of files, whatever is stored', () => {
    const file = newFile();
    const store = new LineStore(file, { rotate: 100, keep: 3 });
    for (let at = 0; at < 200; at++) {
      store.append(`line ${at}`.padEnd(20));
      const stored = storeFiles(file);
      expect(stored.length).toBeLessThanOrEqual(4);
      for (const name of stored) expect(fs.statSync(name).size).toBeLessThanOrEqual(100);
    }
    expect(storeFiles(file)).toEqual([`${file}.3`, `${file}.2`, `${file}.1`, file]);
    const lines = storeFiles(file).flatMap((name) => text(name).trim().split('\n'));
    const numbers = lines.map((line) => Number(line.trim().split(' ')[1]));
    expect(numbers.at(-1)).toBe(199);
    expect(numbers).toEqual(numbers.map((_, at) => (numbers[0] ?? 0) + at));
    expect(numbers.length).toBeGreaterThanOrEqual(13);
  });

  test('removes files after the limit is lowered', () => {
    const file = newFile();
    for (const age of ['', '.1', '.2', '.3', '.4']) fs.writeFileSync(file + age, `${age}\n`, { mode: 0o600 });
    new LineStore(file, { rotate: 2, keep: 2 }).append('new');
    expect(storeFiles(file).map(text)).toEqual(['.1\n', '\n', 'new\n']);
  });

  test('stores a single longer line completely', () => {
    const file = newFile();
    const store = new LineStore(file, { rotate: 10, keep: 1 });
    store.append('x'.repeat(50));
    expect(text(file)).toBe(`${'x'.repeat(50)}\n`);
  });
});

describe('errors', () => {
  test('include a line truncated by a full disk, which is removed before the next', () => {
    const file = newFile();
    const store = new LineStore(file, ROOMY);
    store.append('first');
    const write = fs.writeSync.bind(fs);
    const full = vi
      .spyOn(fs, 'writeSync')
      .mockImplementationOnce(((fd: number, bytes: Buffer) => write(fd, bytes, 0, 3)) as typeof fs.writeSync);
    full.mockImplementationOnce(() => {
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
    });
    expect(codeOf(() => store.append('second'))).toBe('cannot-write');
    expect(text(file)).toBe('first\n');
    store.append('third');
    expect(text(file)).toBe('first\nthird\n');
  });

  test('include lines of another program, which are detected and not mixed', () => {
    const file = newFile();
    const store = new LineStore(file, ROOMY);
    store.append('ours');
    fs.appendFileSync(file, 'theirs');
    expect(codeOf(() => store.append('lost'))).toBe('other-writer');
    store.append('ours again');
    expect(text(file)).toBe('ours\ntheirs\nours again\n');
  });

  test('do not occur if the file was moved away: a new one is created', () => {
    const file = newFile();
    const store = new LineStore(file, ROOMY);
    store.append('old');
    fs.renameSync(file, `${file}.moved`);
    store.append('new');
    expect([text(`${file}.moved`), text(file)]).toEqual(['old\n', 'new\n']);
  });

  test('include a path that is not a file, or in no folder', () => {
    expect(codeOf(() => new LineStore('/dev/null', ROOMY))).toBe('cannot-write');
    expect(codeOf(() => new LineStore(folder, ROOMY))).toBe('cannot-write');
    expect(codeOf(() => new LineStore(join(folder, 'none', 'x'), ROOMY))).toBe('cannot-write');
  });
});

describe('only a file of its owner is accepted as the store', () => {
  const refusal = (file: string) => {
    try {
      new LineStore(file, ROOMY);
    } catch (error) {
      return error instanceof StoreError ? error.message : '';
    }
    return null;
  };

  test('does not follow a symbolic link, or create its target', () => {
    const [target, link, dangling] = [newFile(), newFile(), newFile()];
    fs.writeFileSync(target, '', { mode: 0o600 });
    fs.symlinkSync(target, link);
    expect(refusal(link)).toContain('ELOOP');
    fs.symlinkSync(`${dangling}-target`, dangling);
    expect(refusal(dangling)).toContain('ELOOP');
    expect(fs.existsSync(`${dangling}-target`)).toBe(false);
  });

  test('does not follow a symbolic link that replaces it later', () => {
    const [file, target] = [newFile(), newFile()];
    const store = new LineStore(file, ROOMY);
    store.append('ours');
    fs.writeFileSync(target, '', { mode: 0o600 });
    fs.rmSync(file);
    fs.symlinkSync(target, file);
    expect(codeOf(() => store.append('not theirs'))).toBe('cannot-write');
    expect(text(target)).toBe('');
  });

  test.each([0o644, 0o620, 0o601])('refuses mode %o, and leaves it unchanged', (mode) => {
    const file = newFile();
    fs.writeFileSync(file, '');
    fs.chmodSync(file, mode);
    expect(refusal(file)).toContain(`mode ${mode.toString(8)}`);
    expect(() => new LineStore(file, ROOMY)).toThrow(
      expect.objectContaining({ next: expect.stringContaining('chmod 600') }),
    );
    expect(fs.statSync(file).mode & 0o777).toBe(mode);
  });

  test('refuses a file with two names', () => {
    const file = newFile();
    fs.writeFileSync(file, '', { mode: 0o600 });
    fs.linkSync(file, `${file}-other`);
    expect(refusal(file)).toContain('hard link');
  });

  test('refuses a FIFO immediately', () => {
    const file = newFile();
    execFileSync('mkfifo', ['-m', '600', file]);
    expect(refusal(file)).toContain('not a regular file');
  });

  test.skipIf(process.geteuid?.() !== 0)('refuses a file of another user (needs root)', () => {
    const file = newFile();
    fs.writeFileSync(file, '', { mode: 0o600 });
    fs.chownSync(file, 65_534, 65_534);
    expect(refusal(file)).toContain('uid 65534');
  });
});

describe('the lock', () => {
  const lockOf = (file: string) => join(folder, `.${basename(file)}.lock`);

  test('is exclusive under any path until it is released', async () => {
    const file = newFile();
    const linkedFolder = `${folder}.link`;
    fs.symlinkSync(folder, linkedFolder);
    const unlock = await lockStore(file);
    await expect(lockStore(join(linkedFolder, basename(file)))).rejects.toMatchObject({ code: 'locked' });
    fs.rmSync(linkedFolder);
    await expect(lockStore(join(folder, '.', basename(file)))).rejects.toThrow(file);
    unlock();
    expect(fs.existsSync(lockOf(file))).toBe(false);
    (await lockStore(file))();
  });

  test('is granted to one of many processes, also after a killed one left a lock', async () => {
    const file = newFile();
    const script = `require('node:net').createServer().listen('${lockOf(file)}', () =>
      process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', script]);
    expect(fs.lstatSync(lockOf(file)).isSocket()).toBe(true);
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => lockStore(file)));
    const got = all.filter(({ status }) => status === 'fulfilled');
    expect(got).toHaveLength(1);
    for (const each of all) if (each.status === 'fulfilled') each.value();
    expect(fs.readdirSync(folder).filter((name) => name.includes('.lock'))).toEqual([]);
  });

  test('may have a path of any valid length', async () => {
    const deep = join(folder, 'x'.repeat(200));
    fs.mkdirSync(deep);
    (await lockStore(join(deep, 'store')))();
  });

  test('is not blocked by an abstract socket name of another user', async () => {
    const file = newFile();
    const { dev, ino } = fs.statSync(folder);
    const name = createHash('sha256')
      .update(`${dev} ${ino} ${basename(file)}`)
      .digest('hex');
    const server = createServer().listen({ path: `\0kdump-mem-${name}` });
    await once(server, 'listening');
    (await lockStore(file))();
    server.close();
  });

  test.skipIf(process.geteuid?.() !== 0)('is not blocked by a lock file of another user (needs root)', async () => {
    const file = newFile();
    const server = createServer().listen({ path: lockOf(file) });
    await once(server, 'listening');
    fs.chownSync(lockOf(file), 65_534, 65_534);
    (await lockStore(file))();
    server.close();
  });

  test('reports a missing folder', async () => {
    await expect(lockStore(join(folder, 'none', 'x'))).rejects.toMatchObject({ code: 'cannot-write' });
  });
});
