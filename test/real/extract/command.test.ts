import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import type { KeptBytes } from '../../../src/kernel/native/image/kept-bytes.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { answers } from '../../support/answers.js';
import { commandPath } from '../../support/cli.js';
import { rawPages } from '../../support/dump/raw-pages.js';
import { kdumpMem } from '../../support/in-process.js';
import { labDump, labKernel, labTool, role } from '../../support/lab.js';
import { askDump } from '../../support/opened-kernel.js';
import { scratchFolder } from '../../support/scratch.js';

const { elf, truth, oracle } = labDump('6.1');
const folder = scratchFolder('extract-');
const output = join(folder, 'small.vmcore');
beforeEach(() => rmSync(output, { force: true }));

const cut = (...more: readonly string[]) => kdumpMem('extract', '--vmcore', elf, '-o', output, ...more);

const packedFolder = scratchFolder('extract-packed-');

/** Path of an extract with this compression, made once. */
async function packed(method: 'zlib' | 'none' | 'lzo' | 'snappy'): Promise<string> {
  const path = join(packedFolder, method);
  if (existsSync(path)) return path;
  expect((await kdumpMem('extract', '--vmcore', elf, '-o', path, '--compress', method)).status).toBe(0);
  return path;
}

function ask(file: string) {
  return askDump(file, answers);
}

describe('kdump-mem extract', () => {
  test('overwrites no file without --force', async () => {
    writeFileSync(output, 'mine');
    const refused = await cut();
    expect(refused).toMatchObject({ status: 2, stdout: '' });
    expect(refused.stderr).toMatch(/^kdump-mem: .*: already exists \(--force replaces it\)\n$/);
    expect(readFileSync(output, 'utf8')).toBe('mine');
    expect((await cut('--force')).status).toBe(0);
    expect(readFileSync(output).subarray(0, 8).toString()).toBe('KDUMP   ');
  });

  test('leaves no partial file when interrupted, and keeps the file that it was to replace', async () => {
    writeFileSync(output, 'mine');
    const command = [commandPath('kdump-mem'), 'extract', '--vmcore', elf, '-o', output, '--force'];
    // On a busy machine it may exit before the test sees it writing.
    for (let attempt = 0; attempt < 5; attempt++) {
      const child = spawn(process.execPath, command, { stdio: 'ignore' });
      const ended = new Promise((done) => child.on('exit', (_, by) => done(by)));
      while (child.exitCode === null && readdirSync(folder).length === 1)
        await new Promise((done) => setTimeout(done, 2));
      child.kill('SIGINT');
      const signal = await ended;
      expect(readdirSync(folder)).toEqual(['small.vmcore']);
      if (signal === null) continue;
      expect(signal).toBe('SIGINT');
      expect(readFileSync(output, 'utf8')).toBe('mine');
      return;
    }
    throw new Error('it was never interrupted');
  });

  test('leaves nothing if there is no space', async () => {
    const command = [process.execPath, commandPath('kdump-mem'), 'extract', '--vmcore', elf];
    // Files are limited to 1 MiB here, so that writing fails within the pages.
    const limited = `trap '' XFSZ; ulimit -f 1024; exec "$@"`;
    const { execa } = await import('execa');
    const ran = await execa('bash', ['-c', limited, 'bash', ...command, '-o', output], {
      reject: false,
      timeout: STEP_MS,
    });
    expect(ran.exitCode).toBe(3);
    expect(ran.stderr).toBe(`kdump-mem: ${output}: write failed (EFBIG)`);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('reports an output that cannot be written, and a missing input', async () => {
    const nowhere = await kdumpMem('extract', '--vmcore', elf, '-o', join(folder, 'no', 'where'));
    expect(nowhere).toMatchObject({ status: 3, stdout: '' });
    expect(nowhere.stderr).toContain(': write failed (ENOENT)');
    expect((await cut('--pid', '99999')).status).toBe(4);
    expect((await cut('--fd', '3')).status).toBe(2);
    expect((await cut('--anonymize', '--with-log')).status).toBe(2);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('contains the answer about one descriptor on request', async () => {
    const { pid, fd } = role(truth, 'loopback-large');
    expect((await cut('--pid', `${pid}`, '--fd', `${fd}`)).status).toBe(0);
    const about = ['skb', '--pid', `${pid}`, '--fd', `${fd}`, '--json'];
    const [all, one] = await Promise.all([elf, output].map((file) => kdumpMem(...about, '--vmcore', file)));
    expect(one?.status).toBe(0);
    expect(JSON.parse(one?.stdout ?? '')).toEqual(JSON.parse(all?.stdout ?? ''));
  });

  test.each(['none', 'lzo', 'snappy'] as const)('stores the same pages with %s as with zlib', async (method) => {
    const zlib = rawPages(await packed('zlib'));
    const pages = rawPages(await packed(method));
    expect([...pages.keys()]).toEqual([...zlib.keys()]);
    for (const [number, page] of zlib) expect(pages.get(number)?.equals(page)).toBe(true);
  });

  test('compresses LZO that liblzo2 decodes', async () => {
    const lzo = await packed('lzo');
    const { execa } = await import('execa');
    const { vmlinux } = labKernel('6.1');
    const code = 'print(prog["init_uts_ns"].name.release.string_().decode())';
    const ran = await execa(labTool('drgn'), ['-q', '-c', lzo, '-s', vmlinux, '-e', code], { timeout: STEP_MS });
    expect(ran.stdout.trim()).toBe(oracle.release);
  });

  test('includes the log only on request', async () => {
    const info = async (file: string) => (await kdumpMem('info', '--vmcore', file)).stdout;
    expect(await info(await packed('zlib'))).toMatch(/unknown whether it panicked[\s\S]*Unknown:\n {2}the log:/);
    await cut('--with-log');
    const all = await info(output);
    expect(all).toContain('no panic');
    expect(all).not.toContain('Unknown:');
  });

  test('--anonymize keeps figures and kinds of addresses, and no name', async () => {
    expect((await cut('--anonymize')).status).toBe(0);
    const [all, anonymous] = [ask(elf), ask(output)];
    const names = /("(comm|(?:local|peer)(?:Address)?|cgroup|key|name)":)(null|"(?:[^"\\]|\\.)*")/g;
    const figures = (text: string) => text.replace(names, '$1""');
    const bare = (texts: readonly string[]) => texts.map(figures).map((one) => one.length);
    expect(bare(anonymous.processes)).toEqual(bare(all.processes));

    // Equal values stay equal: as many distinct ones as before, and loopback addresses stay.
    const locals = (text: string) => [...text.matchAll(/"local":"([^"]+)"/g)].map(([, one]) => one ?? '');
    const [before, after] = [locals(all.census), locals(anonymous.census)];
    expect(new Set(after).size).toBe(new Set(before).size);
    expect(after.filter((one) => one.startsWith('127.')).length).toBe(
      before.filter((one) => one.startsWith('127.')).length,
    );
    // Strings of the kernel contain such words too, in pages that are the same everywhere.
    const kernel = openNative({ files: [output] });
    const image = kernel.image as { keptBytes?: KeptBytes };
    const whole = [...rawPages(output)].filter(([number]) => image.keptBytes?.pages.of(number)).map(([, page]) => page);
    kernel.close();
    expect(whole.length).toBeGreaterThan(100);
    const comms = new Set(truth.roles.map(({ comm }) => comm).filter((comm) => comm.length > 7));
    const paths = new Set(before.filter((one) => /^[/@]./.test(one)).map((one) => one.slice(1)));
    expect(comms.size + paths.size).toBeGreaterThan(5);
    for (const name of [...comms, ...paths]) {
      const bytes = Buffer.from(name, 'latin1');
      expect(
        whole.some((page) => page.includes(bytes)),
        name,
      ).toBe(false);
    }
    expect(existsSync(output)).toBe(true);
  });
});
