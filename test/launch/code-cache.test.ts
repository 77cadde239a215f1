import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fixture } from '../support/fixtures.js';
import { Installed, launch } from '../support/launched.js';

let installed: Installed;
beforeEach(() => {
  installed = new Installed();
});
afterEach(() => installed.remove());

const VERSION = /^\d+\.\d+\.\d+\n$/;

/** Runs `kdump-mem --version`, which must always answer, and returns whether it was compiled for that. */
async function version(...options: Parameters<Installed['run']>[1][]): Promise<string | undefined> {
  const { status, stderr, stdout, code } = await installed.run(['--version'], ...options);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(VERSION);
  return code;
}

/** The only file in the cache. */
function entry(): string {
  const [name = '', ...others] = installed.kept();
  expect(others).toEqual([]);
  return join(installed.cache, name);
}

describe('compiled code is cached', () => {
  test('at the first run, in a folder and a file that only its user can read', async () => {
    expect(await version()).toBe('compiled');
    expect(statSync(installed.cache).mode & 0o7777).toBe(0o700);
    expect(statSync(entry()).mode & 0o7777).toBe(0o600);
    expect(await version()).toBe('cached');
  });

  test('with the functions that the answer required', async () => {
    const { vmcore, truth } = fixture('6.1');
    const { pid, fd } = truth.roles.find(({ name }) => name === 'starving')!;
    const args = ['skb', '--pid', `${pid}`, '--fd', `${fd}`, '--vmcore', vmcore];
    const first = await installed.run(args);
    const second = await installed.run(args);
    expect([first.code, second.code]).toEqual(['compiled', 'cached']);
    expect(second.stdout).toBe(first.stdout);
    expect(Math.abs(second.lacked)).toBeLessThan(statSync(entry()).size / 20);
  });

  test('in ~/.cache if XDG_CACHE_HOME is not a path', async () => {
    const env = { XDG_CACHE_HOME: 'relative', HOME: installed.folder };
    expect([await version({ env }), await version({ env })]).toEqual(['compiled', 'cached']);
    expect(statSync(join(installed.folder, '.cache/kdump-mem')).isDirectory()).toBe(true);
  });

  test('separately for each setting of V8', async () => {
    const other = { flags: ['--no-lazy'] };
    expect([await version(), await version(other)]).toEqual(['compiled', 'compiled']);
    expect([await version(), await version(other)]).toEqual(['cached', 'cached']);
    expect(installed.kept()).toHaveLength(2);
  });

  test('once if several processes run at a time', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => version()));
    expect(all).toContain('compiled');
    expect(await version()).toBe('cached');
    expect(installed.kept()).toHaveLength(1);
  });

  test('with a limit, beyond which old files are removed, including unfinished ones', async () => {
    await version();
    for (let old = 0; old < 60; old++) {
      const file = join(installed.cache, `old-${old}`);
      writeFileSync(file, '');
      utimesSync(file, old, old);
    }
    await version({ flags: ['--no-lazy'] });
    expect(installed.kept()).toHaveLength(32);
    expect(installed.kept()).toEqual(expect.arrayContaining(['old-59', 'old-30']));
    expect([await version(), await version({ flags: ['--no-lazy'] })]).toEqual(['cached', 'cached']);
  });

  test('not for a run that failed or printed help', async () => {
    await installed.run(['skb', '--pid', '1']);
    await installed.run(['skb', '--help']);
    await installed.run(['skb', '--version']);
    await installed.run(['skb', '--pid', '99999', '--vmcore', fixture('6.1').vmcore]);
    await installed.run(['--help'], { command: 'skcheck' });
    expect(() => installed.kept()).toThrow('ENOENT');
  });
});

describe('compiled code is not passed to V8', () => {
  beforeEach(async () => {
    expect(await version()).toBe('compiled');
  });

  test.each([
    ['truncated', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['truncated in its header', (bytes: Buffer) => bytes.subarray(0, 5)],
    ['empty', () => Buffer.alloc(0)],
    ['longer', (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc(1)])],
    [
      'changed by one bit',
      (bytes: Buffer) => {
        const at = bytes.length - 1000;
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        return bytes;
      },
    ],
  ])('from a file that is %s, which is replaced', async (_, damage) => {
    writeFileSync(entry(), damage(readFileSync(entry())));
    expect([await version(), await version()]).toEqual(['compiled', 'cached']);
  });

  test('for different code of the same length', async () => {
    const bundle = join(installed.bin, 'bundles/kdump-mem.js');
    const code = readFileSync(bundle, 'latin1');
    writeFileSync(bundle, code.replace('Finds where the memory', 'Finds where the MEMORY'));
    expect(await version()).toBe('compiled');
    expect((await installed.run(['--help'])).stdout).toContain('where the MEMORY');
  });

  test('for the same code at another path', async () => {
    renameSync(installed.bin, join(installed.folder, 'moved'));
    symlinkSync('moved', installed.bin);
    expect(await version()).toBe('compiled');
  });

  test('for another file of the same node version, however it was installed', async () => {
    const node = join(installed.folder, 'node');
    copyFileSync(process.execPath, node);
    expect([await version({ node }), await version({ node })]).toEqual(['compiled', 'cached']);
    // By an upgrade, and in place.
    copyFileSync(process.execPath, `${node}-new`);
    renameSync(`${node}-new`, node);
    expect([await version({ node }), await version({ node })]).toEqual(['compiled', 'cached']);
    appendFileSync(node, '\0');
    expect([await version({ node }), await version({ node })]).toEqual(['compiled', 'cached']);
  });

  test('for a node with another libnode', async () => {
    // Any library works: it matters that a file with such a name is mapped.
    const [library = ''] = /\/\S*\/libm[.-]\S*/.exec(readFileSync('/proc/self/maps', 'utf8')) ?? [];
    const libnode = join(installed.folder, 'libnode.so.115');
    copyFileSync(library, libnode);
    const env = { LD_PRELOAD: libnode };
    expect([await version({ env }), await version({ env })]).toEqual(['compiled', 'cached']);
    expect(await version()).toBe('cached');
    copyFileSync(library, `${libnode}-new`);
    renameSync(`${libnode}-new`, libnode);
    expect([await version({ env }), await version({ env })]).toEqual(['compiled', 'cached']);
  });
});

describe('compiled code that another user may have written is not passed to V8', () => {
  beforeEach(async () => {
    expect(await version()).toBe('compiled');
    expect(await version()).toBe('cached');
  });

  const never = async () => {
    // Nor is anything written there.
    expect(await version()).toBe('compiled');
    expect(await version()).toBe('compiled');
  };

  test.each(['770', '702', '755'])('in a folder of mode %s', async (mode) => {
    chmodSync(installed.cache, Number.parseInt(mode, 8));
    await never();
  });

  test('in a folder whose parent is writable by others', async () => {
    chmodSync(installed.cacheHome, 0o777);
    await never();
    chmodSync(installed.cacheHome, 0o775);
    await never();
    chmodSync(installed.cacheHome, 0o755);
    expect(await version()).toBe('cached');
  });

  test('in a folder that another user can replace', async () => {
    chmodSync(installed.folder, 0o777);
    await never();
    // As in /tmp, where users cannot rename each other's folders.
    chmodSync(installed.folder, 0o1777);
    expect(await version()).toBe('cached');
  });

  test('behind a link in place of the folder', async () => {
    renameSync(installed.cache, `${installed.cache}-elsewhere`);
    symlinkSync(`${installed.cache}-elsewhere`, installed.cache);
    await never();
  });

  test.each([
    ['that is writable by others', (file: string) => chmodSync(file, 0o622)],
    [
      'that is a link',
      (file: string) => {
        renameSync(file, join(installed.folder, 'elsewhere'));
        symlinkSync(join(installed.folder, 'elsewhere'), file);
      },
    ],
    ['with another name', (file: string) => linkSync(file, join(installed.folder, 'elsewhere'))],
  ])('in a file %s, which is replaced', async (_, change) => {
    const file = entry();
    change(file);
    expect([await version(), await version()]).toEqual(['compiled', 'cached']);
    expect(statSync(file)).toMatchObject({ nlink: 1 });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('from a FIFO, which is not opened', async () => {
    const file = entry();
    renameSync(file, join(installed.folder, 'elsewhere'));
    const made = await launch('mkfifo', [file], { PATH: process.env.PATH });
    expect(made.status).toBe(0);
    expect([await version(), await version()]).toEqual(['compiled', 'cached']);
  });
});

describe('a command answers without a message if nothing can be cached:', () => {
  test.each([
    ['no home', { XDG_CACHE_HOME: '', HOME: undefined }],
    ['a home that does not exist', { XDG_CACHE_HOME: '', HOME: '/nonexistent' }],
    ['/ as home', { XDG_CACHE_HOME: '', HOME: '/' }],
    ['a file as home', { XDG_CACHE_HOME: '/dev/null' }],
    ['a home that is not writable', { XDG_CACHE_HOME: '/proc/self' }],
  ])('%s', async (_, env) => {
    expect([await version({ env }), await version({ env })]).toEqual(['compiled', 'compiled']);
  });

  test('a limit of the file size', async () => {
    const node = join(installed.folder, 'limited-node');
    writeFileSync(node, `#!/bin/sh\nulimit -f 8\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
    expect([await version({ node }), await version({ node })]).toEqual(['compiled', 'compiled']);
    expect(installed.kept()).toEqual([]);
  });

  test('a folder in place of the file', async () => {
    await version();
    const file = entry();
    renameSync(file, join(installed.folder, 'elsewhere'));
    mkdirSync(file);
    expect([await version(), await version()]).toEqual(['compiled', 'compiled']);
    expect(installed.kept()).toHaveLength(1);
  });
});
