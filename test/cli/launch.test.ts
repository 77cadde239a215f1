import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commandPath } from '../support/cli.js';

/** Requires a built command as its launcher is made to be, and tells whether V8 took the cache. */
const TELL = `
process.argv = [process.execPath, process.env.COMMAND, '--version'];
const { cachedDataRejected } = require(process.env.COMMAND);
process.on('exit', () => console.log(cachedDataRejected ? 'compiled' : 'cached'));
`;

describe.each(['kdump-mem', 'skcheck'] as const)('%s starts', (name) => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kdump-mem-launch-'));
    // Away from every node_modules.
    cpSync(dirname(commandPath(name)), folder, { recursive: true });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const start = (...flags: string[]): string[] => {
    const env = { PATH: process.env.PATH, COMMAND: join(folder, `${name}.js`) };
    const printed = execFileSync(process.execPath, [...flags, '-e', TELL], { env });
    return printed.toString().trim().split('\n');
  };
  const cache = () => join(folder, `${name}.bundle.js.cache`);

  test('with nothing but what is beside it, without compiling', () => {
    expect(start()).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+$/), 'cached']);
  });

  test('on a node with other settings, which compiles', () => {
    expect(start('--no-lazy')).toEqual([expect.stringMatching(/^\d+\./), 'compiled']);
  });

  test('with a cache that is cut off, or of another version', () => {
    const bytes = readFileSync(cache());
    writeFileSync(cache(), bytes.subarray(0, bytes.length / 2));
    expect(start()).toEqual([expect.stringMatching(/^\d+\./), 'compiled']);
    bytes.writeUInt32LE(bytes.readUInt32LE(4) ^ 1, 4);
    writeFileSync(cache(), bytes);
    expect(start()).toEqual([expect.stringMatching(/^\d+\./), 'compiled']);
  });

  test('without a cache', () => {
    rmSync(cache());
    expect(start()[0]).toMatch(/^\d+\./);
  });
});
