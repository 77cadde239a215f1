import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { kdumpMem } from '../../../support/cli.js';
import { scratchFolder } from '../../../support/scratch.js';
import { copyWithPackage } from '../systemd-guest.js';

const BESIDE = 'var/crash/202611200412/kdump-mem.json';
const DUMP = 'var/crash/202611200412/dump.202611200412';
const OURS = 'sos_commands/kdump_mem';
/** What the plugin says itself. */
const LINES = 'sos_strings/kdump_mem';
const LIVE = ['memory_--live', 'procs_--live', 'triage'].map((words) => `${OURS}/kdump-mem_${words}_--json`);
const NOT_RUN = 'kdump-mem --version: status 127 (kdump-mem or its Node is not installed)\n';
/** Runs a command in a root, in namespaces of its own. */
const INSIDE = `set -e
root=$1; shift
hostname web-7
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
exec chroot "$root" "$@"`;

// sos 4.0, 4.9 and 4.12.
describe.each(['bookworm', 'trixie', 'sid'])('sos of %s', (suite) => {
  const folder = scratchFolder('sos-');
  const root = join(folder, 'root');
  const program = join(root, 'usr/bin/kdump-mem');
  let made = 0;

  function inside(...command: readonly string[]): string {
    const words = ['--mount', '--pid', '--fork', '--uts', '--net', '--ipc', 'sh', '-c', INSIDE, 'sh', root, ...command];
    const { status, stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8' });
    expect({ command, status, stderr }).toMatchObject({ status: 0 });
    return stdout;
  }

  /** Makes a report with the plugin alone, and unpacks it. */
  function report() {
    expect(inside('sos', 'report', '--batch', '--tmp-dir', '/root', '-o', 'kdump_mem')).toMatch(
      /Your sos ?report has been generated/,
    );
    // 4.0 uses gzip.
    const [name, suffix] = readdirSync(join(root, 'root'))
      .map((file) => /^sosreport-.*(\.tar\.[gx]z)$/.exec(file))
      .find((found) => found !== null)!;
    const [archive, into] = [join(folder, `${++made}${suffix}`), join(folder, `${made}`)];
    copyFileSync(join(root, 'root', name), archive);
    rmSync(join(root, 'root', name));
    mkdirSync(into);
    execFileSync('tar', ['-xf', archive, '-C', into, '--strip-components=1']);
    const read = (path: string) => readFileSync(join(into, path), 'utf8');
    const listed = (path: string) => (existsSync(join(into, path)) ? readdirSync(join(into, path)).toSorted() : []);
    return { archive, read, collected: listed(OURS), lines: listed(LINES) };
  }

  /** What `triage` says of the answers in a report: their files. */
  async function recordedIn(archive: string): Promise<unknown[]> {
    const { stdout } = await kdumpMem('triage', '--json', '--from', archive);
    const { findings } = triageSchema.parse(JSON.parse(stdout));
    return findings.flatMap(({ code, figures }) => (code === 'recorded-answer' ? [figures.file] : [])).toSorted();
  }

  beforeAll(() => {
    copyWithPackage(root, `${suite}-sos`);
    const plugins = inside('python3', '-c', 'import sos.report.plugins as p; print(p.__path__[0])').trim();
    cpSync('deploy/sos/kdump_mem.py', join(root, plugins, 'kdump_mem.py'));
    mkdirSync(join(root, DUMP, '..'), { recursive: true });
    copyFileSync('fixtures/incident.vmcore', join(root, DUMP));
    const hourAgo = Date.now() / 1000 - 3600;
    utimesSync(join(root, DUMP), hourAgo, hourAgo);
    inside('kdump-mem', 'triage', '/var/crash', '--beside');
  });

  test('a report has what kdump-mem reports of the machine, and the answers beside dumps', async () => {
    const { archive, read, collected, lines } = report();
    expect([collected, lines]).toEqual([
      [
        'kdump-mem_memory_--live_--json',
        'kdump-mem_procs_--live_--json',
        'kdump-mem_triage',
        'kdump-mem_triage_--json',
        'skcheck_--json',
      ],
      ['version'],
    ]);
    expect(triageSchema.parse(JSON.parse(read(LIVE[2]!))).nodename).toBe('web-7');
    expect(read(BESIDE)).toBe(readFileSync(join(root, BESIDE), 'utf8'));
    expect(read(BESIDE.replace('.json', '.txt'))).toBe(
      readFileSync(join(root, BESIDE.replace('.json', '.txt')), 'utf8'),
    );
    expect(await recordedIn(archive)).toEqual([...LIVE, BESIDE]);
  });

  test('without Node the report has a line, and the answers', async () => {
    // As npm installs it.
    writeFileSync(program, '#!/usr/bin/env node\n');
    const { archive, read, collected, lines } = report();
    expect([collected, lines]).toEqual([[], ['not-run']]);
    expect(read(`${LINES}/not-run`)).toBe(NOT_RUN);
    expect(await recordedIn(archive)).toEqual([BESIDE]);
  });

  test('without kdump-mem and without answers, each has a line', () => {
    rmSync(program);
    rmSync(join(root, 'var/crash'), { recursive: true });
    const { read, collected, lines } = report();
    expect([collected, lines]).toEqual([[], ['no-answers', 'not-run']]);
    expect(read(`${LINES}/not-run`)).toBe(NOT_RUN);
    expect(read(`${LINES}/no-answers`)).toMatch(/^no answers of kdump-mem in .*\n$/);
  });
});
