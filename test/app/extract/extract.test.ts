import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ExtractAnswer, extractSchema } from '../../../src/contracts/extract.js';
import { extract } from '../../../src/extract/extract.js';
import { restored } from '../../../src/extract/map/read.js';
import { mapSchema } from '../../../src/extract/map/schema.js';
import type { MemoryImage } from '../../../src/kernel/native/image/image.js';
import type { KeptBytes } from '../../../src/kernel/native/image/kept-bytes.js';
import { openImage } from '../../../src/kernel/native/image/open.js';
import { openNative, openNativeImage } from '../../../src/kernel/native/open.js';
import { answers } from '../../support/answers.js';
import { rawPages } from '../../support/dump/raw-pages.js';
import { FIXTURES, type FixtureName, fixture } from '../../support/fixtures.js';
import { kdumpMem, kdumpMemJson } from '../../support/in-process.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('extract-');

const mapOf = (file: string) => mapSchema.parse(JSON.parse(readFileSync(file, 'utf8')));

const mapPath = (name: FixtureName) => join(folder, `${name}.map`);
const smallPath = (name: FixtureName) => join(folder, `${name}.vmcore`);

async function cut(name: FixtureName) {
  const kernel = openNative({ files: [fixture(name).vmcore] });
  const [output, map] = [smallPath(name), mapPath(name)];
  const options = { output, map, anonymize: true, compression: 'zlib' } as const;
  try {
    return await extract(kernel, options);
  } finally {
    kernel.close();
  }
}

describe.each(FIXTURES)('an anonymous extract of %s', (name) => {
  const { vmcore, truth } = fixture(name);
  const small = smallPath(name);
  const map = mapPath(name);
  let inside: ExtractAnswer;
  beforeAll(async () => {
    inside = await cut(name);
  });

  test('reports its contents', () => {
    const written = mapOf(map);
    expect(inside).toMatchObject({ file: small, map, anonymized: true, log: 'left-out' });
    expect(inside.sizeBytes).toBe(statSync(small).size);
    expect(inside.pages).toBeGreaterThan(rawPages(small, truth.pageSize).size);
    expect(inside.sockets).toBeGreaterThanOrEqual(truth.sockets.length);
    for (const kind of ['addresses', 'paths', 'commands', 'interfaces', 'hosts'] as const) {
      const replaced = written[kind].filter(({ made, real }) => made !== real).length;
      expect(replaced, kind).toBeGreaterThan(0);
      expect(inside.names[kind]).toEqual({ replaced, kept: written[kind].length - replaced });
    }
    const locals = truth.sockets.flatMap(({ local }) => /^(\d[\d.]*):/.exec(local ?? '')?.[1] ?? []);
    const real = written.addresses.map((one) => one.real);
    expect(real).toEqual(expect.arrayContaining(locals.filter((one) => one !== '0.0.0.0')));
    expect(written.interfaces.map((one) => one.real)).toEqual(expect.arrayContaining(['eth0', 'lo', 'tun0']));
  });

  test('contains none of the replaced names', () => {
    const kernel = openNative({ files: [small] });
    const { keptBytes } = kernel.image as { keptBytes?: KeptBytes };
    // Pages that are copied unchanged are kernel constants, which contain such words too.
    const pages = [...rawPages(small, truth.pageSize)].filter(([number]) => keptBytes?.pages.of(number));
    kernel.close();
    expect(pages.length).toBeGreaterThan(100);
    const { paths, commands, interfaces } = mapOf(map);
    // Short words also occur in names of types and symbols.
    const secret = [...paths, ...commands.filter(({ real }) => real.length > 7), ...interfaces]
      .filter(({ made, real }) => made !== real && /^[ -~]+$/.test(real))
      .map(({ real }) => real);
    expect(secret).toEqual(expect.arrayContaining(['eth0', 'tun0', 'starver-large']));
    for (const name of secret) {
      const bytes = Buffer.from(name, 'latin1');
      expect(
        pages.some(([, page]) => page.includes(bytes)),
        name,
      ).toBe(false);
    }
  });

  test('gives the dump’s answers with its map, and different ones without', async () => {
    const answersOf = (image: MemoryImage) => {
      const kernel = openNativeImage(image);
      const said = answers(kernel);
      kernel.close();
      return said;
    };
    const right = answersOf(openImage([vmcore]));
    expect(answersOf(await restored(openImage([small]), map))).toEqual(right);
    expect(answersOf(openImage([small])).census).not.toBe(right.census);
  });
});

describe('a map', () => {
  const { vmcore } = fixture('6.1');
  const small = join(folder, '6.1.vmcore');
  const map = join(folder, '6.1.map');
  const bad = join(folder, 'bad');
  const answerWith = (...args: string[]) => kdumpMem('sockets', small, '--map', ...args);

  test('is readable by its owner only, and is not overwritten without --force', async () => {
    expect(statSync(map).mode & 0o777).toBe(0o600);
    const before = readFileSync(map);
    const other = join(folder, 'other.vmcore');
    const again = ['extract', vmcore, '-o', other, '--anonymize', '--map', map];
    const ran = await kdumpMem(...again);
    expect(ran).toMatchObject({ status: 2, stdout: '' });
    expect(ran.stderr).toMatch(/^kdump-mem: .*: already exists \(--force replaces it\)\n$/);
    expect(readFileSync(map).equals(before)).toBe(true);
    expect(existsSync(other)).toBe(false);
    expect((await kdumpMem(...again, '--force')).status).toBe(0);
    rmSync(map);
    writeFileSync(map, before, { mode: 0o600 });
  });

  test('without --anonymize, or with the extract’s own path, is a usage error', async () => {
    const own = join(folder, 'own');
    const without = await kdumpMem('extract', vmcore, '-o', own, '--map', `${own}.map`);
    expect(without).toMatchObject({ status: 2, stdout: '' });
    const same = await kdumpMem('extract', vmcore, '-o', own, '--anonymize', '--map', own);
    expect(same).toMatchObject({ status: 2, stdout: '' });
    expect(same.stderr).toContain('also the output (the map must be another file)');
    expect(existsSync(own)).toBe(false);
  });

  test('from another extract is refused', async () => {
    const ran = await answerWith(join(folder, '5.10.map'));
    expect(ran).toMatchObject({ status: 3, stdout: '' });
    expect(ran.stderr).toContain('map of a different extract. Give --map the file that');
  });

  test.each([
    ['invalid JSON', () => 'names', /malformed map \(not JSON\)\. /],
    ['an array', () => '[]', /malformed map \(it: /],
    [
      'an escape sequence as a key',
      () => JSON.stringify({ ...mapOf(map), '\x1b]0;t\x07': 1 }),
      /malformed map \(it: [^\n]*\\x1b/,
    ],
    [
      'invalid byte positions',
      () => JSON.stringify({ ...mapOf(map), places: [[0, 'zz']] }),
      /malformed map \(places\.0\.1: /,
    ],
    [
      'overlapping positions',
      () =>
        JSON.stringify({
          ...mapOf(map),
          places: [
            [4096, '0000'],
            [4097, '00'],
          ],
        }),
      /malformed map \(offsets out of order\)\. /,
    ],
  ])('with %s is refused in one line', async (_, text, line) => {
    writeFileSync(bad, text());
    const ran = await answerWith(bad);
    expect(ran).toMatchObject({ status: 3, stdout: '' });
    expect(ran.stderr).toMatch(/^kdump-mem: [^\n]*\n$/);
    expect(ran.stderr).not.toContain('\x1b');
    expect(ran.stderr).toMatch(line);
  });

  test('from a large, special or missing file is refused in one line', async () => {
    writeFileSync(bad, '');
    truncateSync(bad, 2 ** 31);
    expect(await answerWith(bad)).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(/^kdump-mem: .*: file too large for a map\. [^\n]*\n$/),
    });
    for (const file of [folder, join(folder, 'nowhere'), '/dev/zero'])
      expect(await answerWith(file)).toMatchObject({
        status: 3,
        stderr: expect.stringMatching(/^kdump-mem: [^\n]*\n$/),
      });
  });

  test('does not apply to crash or a running kernel', async () => {
    expect((await answerWith(map, '--engine', 'crash')).status).toBe(2);
    expect((await kdumpMem('sockets', '--live', '--map', map)).status).toBe(2);
  });

  test.each([
    [['sockets', '--all', '--by', 'process']],
    [['read', 'init_task', '--length', '4k', '--json']],
    [['struct', 'task_struct.comm,pid', 'init_task']],
  ])('makes %j answer as for the dump', async (args) => {
    const [ours, theirs] = [
      await kdumpMem(...args, '--vmcore', small, '--map', map),
      await kdumpMem(...args, '--vmcore', vmcore),
    ];
    // The next command names the given file.
    const words = (text: string) => text.replace(/^(Next: .*?) --vmcore .*$/m, '$1');
    expect({ ...ours, stdout: words(ours.stdout) }).toEqual({ ...theirs, stdout: words(theirs.stdout) });
  });
});

test('extract reports the contents, in text and in JSON', async () => {
  const { vmcore, truth } = fixture('6.12');
  const output = join(folder, 'words.vmcore');
  const open = await kdumpMem('extract', vmcore, '-o', output);
  expect(open).toMatchObject({ status: 0, stderr: '' });
  const lines = open.stdout.split('\n');
  expect(lines[0]).toMatch(/words\.vmcore: [\d.]+ MiB, [\d,]+ pages \([\d,]+ of them partial\), \d+ sockets$/);
  expect(lines[1]).toMatch(
    /^Contains \d+ addresses, 2 unix socket paths, \d+ command names, .*\. --anonymize replaces them\.$/,
  );
  expect(lines[2]).toContain('ports, pids, inode numbers, ');
  expect(lines[2]).toContain(truth.release);
  const inside = await kdumpMemJson(extractSchema, 'extract', vmcore, '-o', output, '--force');
  expect(inside).toMatchObject({ anonymized: false, map: null });
});

test('an anonymous extract reports what was replaced', async () => {
  const output = join(folder, 'replaced.vmcore');
  const { vmcore } = fixture('6.12');
  const { stdout } = await kdumpMem('extract', vmcore, '-o', output, '--anonymize');
  expect(stdout).toMatch(
    /^Replaced: \d+ addresses, 2 unix socket paths, \d+ command names, 2 interface names, 1 host name\.$/m,
  );
  expect(stdout).toMatch(/^Not replaced, because they identify nothing: 2 addresses, 1 interface name\.$/m);
});
