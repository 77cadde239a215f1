import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, describe, expect, test } from 'vitest';
import { commandPath } from '../../../support/cli.js';
import { scratchFolder } from '../../../support/scratch.js';
import { removeCgroup } from '../../skcheck/stage.js';

const V1 = '/sys/fs/cgroup/memory';
const isV1 = existsSync(V1);
const MIB = 2 ** 20;
const LIMIT_MIB = 256;
const UNIT = readFileSync('deploy/systemd/kdump-mem-triage.service', 'utf8');

/** A cgroup with a limit, as the unit's; undefined: cgroups are not writable here. */
function cgroupWithLimit(): string | undefined {
  try {
    const path = mkdtempSync(`${isV1 ? V1 : '/sys/fs/cgroup'}/kdump-mem-beside-`);
    writeFileSync(`${path}/memory.${isV1 ? 'limit_in_bytes' : 'max'}`, `${LIMIT_MIB * MIB}`);
    // What systemd makes of OOMPolicy=continue: the kernel kills one process, not all.
    if (!isV1) writeFileSync(`${path}/memory.oom.group`, '0');
    return path;
  } catch {
    return undefined;
  }
}

const cgroup = process.geteuid?.() === 0 ? cgroupWithLimit() : undefined;

describe.skipIf(cgroup === undefined)('triage --beside in a cgroup (needs root and writable cgroups)', () => {
  const crash = scratchFolder('beside-oom-');
  afterAll(() => removeCgroup(cgroup!));
  const answers = (name: string) => readdirSync(join(crash, name)).filter((file) => file.startsWith('kdump-mem.'));

  test('a dump whose worker the OOM killer kills has the reason, is read twice, and costs no other dump', async () => {
    expect(UNIT).toMatch(/^OOMPolicy=continue$/m);
    for (const name of ['a-large', 'b']) {
      mkdirSync(join(crash, name));
      copyFileSync('fixtures/incident.vmcore', join(crash, name, 'vmcore'));
      utimesSync(join(crash, name, 'vmcore'), 1e9, 1e9);
    }
    const preload = join(crash, 'preload.cjs');
    writeFileSync(
      preload,
      `if (process.argv.includes('--as-worker') && process.argv.some((word) => word.includes('/a-large/')))
         globalThis.kept = Buffer.alloc(${2 * LIMIT_MIB * MIB}, 1);`,
    );
    const kills = () =>
      Number(
        /^oom_kill (\d+)$/m.exec(readFileSync(`${cgroup}/memory.${isV1 ? 'oom_control' : 'events'}`, 'utf8'))?.[1],
      );
    const run = async () => {
      const words = ['triage', '--beside', '--jobs', '1', '--worker-memory', '4G', crash];
      const { exitCode, stdout, stderr } = await execa(
        'sh',
        [
          '-c',
          `echo $$ > ${cgroup}/cgroup.procs; exec "$0" "$@"`,
          process.execPath,
          commandPath('kdump-mem'),
          ...words,
        ],
        { reject: false, env: { NODE_OPTIONS: `--require ${preload}` } },
      );
      return { exitCode, lines: stdout.split('\n'), stderr, kills: kills() };
    };
    const reason = 'the worker was killed by SIGKILL, probably by the OOM killer';
    const failed = `${crash}/a-large/vmcore: ${reason}`;
    const first = await run();
    // Each run tries it with an extract, and without.
    expect(first).toMatchObject({ exitCode: 3, stderr: '', kills: 2 });
    expect(first.lines).toEqual([failed, expect.stringContaining(`${crash}/b/vmcore: `)]);
    expect(readFileSync(join(crash, 'a-large/kdump-mem.txt'), 'utf8')).toBe(`${reason}\n`);
    expect(answers('a-large')).toEqual(['kdump-mem.json', 'kdump-mem.txt']);
    expect(answers('b')).toEqual(['kdump-mem.extract', 'kdump-mem.html', 'kdump-mem.json', 'kdump-mem.txt']);
    expect(await run()).toEqual({ exitCode: 3, lines: [failed], stderr: '', kills: 4 });
    expect(await run()).toEqual({ exitCode: 0, lines: [''], stderr: '', kills: 4 });
    expect(readFileSync(join(crash, 'a-large/kdump-mem.txt'), 'utf8')).toBe(`${reason}\n`);
  });
});
