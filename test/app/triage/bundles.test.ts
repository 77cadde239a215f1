import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { kdumpMem } from '../../support/in-process.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('bundles-');
const PLUGIN = 'deploy/supportconfig/kdump_mem';

/** Runs the plugin with these programs before those of the system. */
function supportconfig(programs: Readonly<Record<string, string>>) {
  const bin = join(folder, `bin-${Object.keys(programs).length}`);
  mkdirSync(bin);
  for (const [name, text] of Object.entries(programs))
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return execa('/bin/sh', [PLUGIN], { env: { PATH: `${bin}:/usr/bin:/bin` }, extendEnv: false, reject: false });
}

test('the plugin of supportconfig prints what kdump-mem reports, and never fails', async () => {
  const { exitCode, stdout } = await supportconfig({ 'kdump-mem': 'echo "ran $*"; [ "$1" != memory ]' });
  expect(exitCode).toBe(0);
  for (const words of ['--version', 'triage', 'memory --live', 'procs --live'])
    expect(stdout).toContain(`\nran ${words}\n`);
  expect(stdout).toContain('ran memory --live\n# ended with status 1\n');
});

test('without kdump-mem it prints a line', async () => {
  const { exitCode, stdout } = await supportconfig({});
  expect([exitCode, stdout.split('\n')[0]]).toEqual([0, '# kdump-mem is not installed']);
});

describe('triage --from', () => {
  const INCIDENT = 'fixtures/incident.vmcore';
  let made = 0;
  /** A bundle with these files, by path. */
  function bundle(files: Readonly<Record<string, string>>): string {
    const at = join(folder, `bundle-${++made}`);
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(at, name, '..'), { recursive: true });
      writeFileSync(join(at, name), text);
    }
    return at;
  }
  const LIVE = 'sos_commands/kdump_mem/kdump-mem_triage_--json';
  const MEMORY = 'sos_commands/kdump_mem/kdump-mem_memory_--live_--json';
  const BESIDE = 'var/crash/202611200412/kdump-mem.json';
  const answer = (more: object) =>
    JSON.stringify({
      schema: 'kdump-mem.triage/1',
      takenAt: '2026-11-20T04:12:00.000Z',
      findings: [],
      complete: true,
      ...more,
    });
  const finding = (severity: string, words: string) => ({ code: 'oom-kill', severity, words });
  async function triage(from: string) {
    const { stdout } = await kdumpMem('triage', '--json', '--from', from);
    const { findings, complete, warnings } = JSON.parse(stdout) as {
      findings: { code: string; severity: string; figures: Record<string, unknown>; words: string }[];
      complete: boolean;
      warnings: { message: string }[];
    };
    const recorded = findings.filter(({ code }) => code === 'recorded-answer');
    return { recorded, complete, words: warnings.map(({ message }) => message).join('\n') };
  }

  test('names the answers of kdump-mem in a report, their time and their first finding', async () => {
    const dump = await kdumpMem('triage', '--json', INCIDENT);
    const memory = JSON.stringify({
      schema: 'kdump-mem.memory/1',
      origin: { at: '2026-11-20T04:13:00.000Z' },
      complete: true,
    });
    const at = bundle({ [BESIDE]: dump.stdout, [LIVE]: answer({}), [MEMORY]: memory });
    const { recorded, complete } = await triage(at);
    const { findings, time } = JSON.parse(dump.stdout) as {
      findings: { severity: string; words: string }[];
      time: { at: string };
    };
    expect(recorded.map(({ severity, figures }) => ({ severity, ...figures }))).toMatchObject([
      {
        severity: 'warning',
        file: BESIDE,
        answer: 'kdump-mem.triage/1',
        at: time.at,
        findings: findings.length,
        first: findings[0]?.words.slice(0, 300),
        firstSeverity: findings[0]?.severity,
      },
      { severity: 'note', file: MEMORY, answer: 'kdump-mem.memory/1', at: '2026-11-20T04:13:00.000Z', findings: null },
      { severity: 'note', file: LIVE, at: '2026-11-20T04:12:00.000Z', findings: 0, first: null, complete: 1 },
    ]);
    // They prove nothing about the machine of the report.
    expect(complete).toBe(false);
    const text = await kdumpMem('triage', '--from', at);
    expect(text.stdout).toContain(`Recorded by kdump-mem: ${BESIDE} is an answer`);
    expect(text.stdout).not.toContain('No findings');
  });

  test.each([
    ['no JSON', '{"schema": "kdump-mem.triage/1", "findings": ['],
    ['another schema', answer({ schema: 'kdump-mem.other/1' })],
    ['no findings', answer({ findings: null })],
    ['a code that is none', answer({ findings: [{ ...finding('note', 'x'), code: '../x' }] })],
    ['an unknown severity', answer({ findings: [finding('fatal', 'x')] })],
    ['nothing', ''],
    ['a deep array', '['.repeat(200_000)],
  ])('reports a file with %s as damaged', async (_, text) => {
    const { recorded, complete, words } = await triage(bundle({ [LIVE]: text, [BESIDE]: answer({}) }));
    expect([recorded.map(({ figures }) => figures.file), complete]).toEqual([[BESIDE], false]);
    expect(words).toContain(`${LIVE}: not an answer of kdump-mem, or damaged`);
  });

  test('escapes and cuts what an answer says', async () => {
    const words = `\u001b[31m${'x'.repeat(5000)}`;
    const at = bundle({ [LIVE]: answer({ findings: [finding('critical', words)] }) });
    const { recorded } = await triage(at);
    expect(recorded).toMatchObject([{ severity: 'warning', figures: { first: words.slice(0, 300) } }]);
    const { stdout } = await kdumpMem('triage', '--from', at);
    expect(stdout).toContain('\\x1b[31mxxx');
    expect(stdout).not.toContain('\u001b');
  });

  test('repeats why a dump could not be read', async () => {
    const error = { code: 'not-a-dump', message: '/var/crash/x/vmcore: not a dump' };
    const line = { schema: 'kdump-mem.triage-line/1', findings: null, error, crashTime: null };
    const at = bundle({ [BESIDE]: answer(line) });
    const { recorded } = await triage(at);
    expect(recorded).toMatchObject([{ severity: 'warning', figures: { findings: null, first: error.message } }]);
    const { stdout } = await kdumpMem('triage', '--from', at);
    expect(stdout).toContain('It could not read the dump: /var/crash/x/vmcore: not a dump');
  });

  test('reads those of a supportconfig', async () => {
    const said = answer({ findings: [finding('critical', 'OOM killer killed pid 7 (x).')] });
    const { stdout } = await supportconfig({ 'kdump-mem': `[ "$*" != "triage --json" ] || echo '${said}'`, other: '' });
    const { recorded } = await triage(bundle({ 'plugin-kdump_mem.txt': stdout, 'basic-environment.txt': '\n' }));
    expect(recorded).toMatchObject([{ figures: { file: LIVE, first: 'OOM killer killed pid 7 (x).' } }]);
  });
});
