import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { failedJson } from '../../../src/answers/triage/line.js';
import { isAnswered, removeOldExtracts, writeBeside } from '../../../src/app/triage/beside.js';
import { triageSchema } from '../../../src/contracts/triage.js';
import { findDumps } from '../../../src/triage/batch/search.js';
import { commandPath, kdumpMem } from '../../support/cli.js';
import { fixture } from '../../support/fixtures.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('beside-');
const crash = join(folder, 'crash');
const at = (path: string) => join(crash, path);
const dump = readFileSync(fixture('6.1').vmcore);
/** A dump that cannot be read. */
const CUT = dump.subarray(0, 100_000);
const HOUR = 3600;

/** Writes a dump as kdump does, an hour ago. */
function kdump(path: string, bytes: Uint8Array = dump, seconds = HOUR): void {
  mkdirSync(join(crash, path, '..'), { recursive: true });
  writeFileSync(at(path), bytes);
  const then = Date.now() / 1000 - seconds;
  utimesSync(at(path), then, then);
}

const beside = (...words: readonly string[]) => kdumpMem('triage', '--beside', '--jobs', '1', ...words, crash);
/** Whether a process reads or writes in the folder. */
const isWorking = () =>
  readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(crash);
    } catch {
      return false;
    }
  });
const ANSWERS = ['kdump-mem.extract', 'kdump-mem.html', 'kdump-mem.json', 'kdump-mem.txt'];

beforeEach(() => {
  rmSync(crash, { recursive: true, force: true });
  mkdirSync(crash);
});

describe('triage --beside', () => {
  test('writes four answers beside a dump of each distribution, once', async () => {
    kdump('202611200412/dump.202611200412', CUT);
    kdump('127.0.0.1-2026-11-20-04:12:00/vmcore', CUT);
    kdump('compressed/vmcore.gz', gzipSync(dump, { level: 1 }));
    kdump('vm1.vmcore');
    kdump('202611200500/dump-incomplete', dump, HOUR / 2);
    kdump('127.0.0.1-2026-11-20-05:00:00/vmcore-incomplete', dump, HOUR / 2);
    const first = await beside();
    expect(first).toMatchObject({ status: 3, stderr: '' });
    // What cannot be read has the reason alone.
    const reason = ['kdump-mem.json', 'kdump-mem.txt'];
    const read = [at('127.0.0.1-2026-11-20-04:12:00/vmcore'), at('202611200412/dump.202611200412')];
    const lines = first.stdout.trimEnd().split('\n');
    expect(lines.map((line) => line.split(': ')[0])).toEqual([...read, at('compressed/vmcore.gz'), at('vm1.vmcore')]);
    expect(readdirSync(at('202611200412'))).toEqual(['dump.202611200412', ...reason]);
    expect(readdirSync(at('127.0.0.1-2026-11-20-04:12:00'))).toEqual([...reason, 'vmcore']);
    expect(readdirSync(at('compressed'))).toEqual([...ANSWERS, 'vmcore.gz']);
    for (const name of ANSWERS) expect(existsSync(at(`vm1.vmcore.${name}`))).toBe(true);
    expect(readdirSync(at('202611200500'))).toEqual(['dump-incomplete']);

    const alone = await kdumpMem('triage', at('vm1.vmcore'));
    expect(readFileSync(at('vm1.vmcore.kdump-mem.txt'), 'utf8')).toBe(
      alone.stdout + alone.stderr.replaceAll('kdump-mem: warning: ', 'warning: '),
    );
    const json = triageSchema.parse(JSON.parse(readFileSync(at('vm1.vmcore.kdump-mem.json'), 'utf8')));
    expect(json).toEqual(JSON.parse((await kdumpMem('triage', '--json', at('vm1.vmcore'))).stdout));
    expect(readFileSync(at('vm1.vmcore.kdump-mem.html'), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/i);
    const kept = await kdumpMem('triage', '--json', at('vm1.vmcore.kdump-mem.extract'));
    expect(JSON.parse(kept.stdout).findings).toEqual(json.findings);
    for (const name of ANSWERS) expect(statSync(at(`vm1.vmcore.${name}`)).mode & 0o777).toBe(0o600);

    // Neither the dumps nor the extracts are read again.
    expect(await beside()).toMatchObject({ status: 0, stdout: '', stderr: '' });
    const all = await kdumpMem('triage', '--ndjson', crash);
    expect(all.stdout).not.toContain('kdump-mem.extract');
  });

  test('a dump that was replaced is read again, whether it is newer or older', async () => {
    kdump('a/vmcore', CUT);
    kdump('b/vmcore', CUT);
    await beside();
    kdump('a/vmcore', CUT, HOUR / 2);
    kdump('b/vmcore', CUT, 2 * HOUR);
    expect((await beside()).stdout.match(/: truncated /g)).toHaveLength(2);
    expect(await beside()).toMatchObject({ status: 0, stdout: '' });
  });

  test('another version of kdump-mem reads again what one could not read, and nothing else', async () => {
    kdump('a/vmcore', CUT);
    kdump('b/vmcore');
    await beside();
    for (const name of ['a', 'b']) {
      const json = at(`${name}/kdump-mem.json`);
      const { mtime } = statSync(json);
      const text = readFileSync(json, 'utf8');
      writeFileSync(json, text.replace(/"version": "[^"]+"\n}\n$/, '"version": "0.0.1"\n}\n'));
      utimesSync(json, mtime, mtime);
    }
    expect((await beside()).stdout).toMatch(/^\S+a\/vmcore: truncated [^\n]+\n$/);
  });

  test('a dump whose worker is killed is read twice, and has the reason', async () => {
    kdump('a/vmcore', CUT);
    const message = 'the worker was killed by SIGKILL';
    const [one] = findDumps([crash]).dumps;
    let reads = 0;
    const run = async () => {
      if (isAnswered(one!)) return;
      await writeBeside(
        one!,
        { notify: '/bin/false' },
        async () => {
          reads++;
          return failedJson({ code: 'killed', message, signal: 'SIGKILL' });
        },
        (problem) => void problems.push(problem),
      );
      expect(readFileSync(at('a/kdump-mem.txt'), 'utf8')).toBe(`${message}\n`);
    };
    const problems: string[] = [];
    for (let runs = 0; runs < 3; runs++) await run();
    // Each run reads it with and without an extract.
    expect([reads, problems]).toEqual([4, ['/bin/false ended with status 1']]);
    kdump('a/vmcore', CUT, 2 * HOUR);
    expect(isAnswered(findDumps([crash]).dumps[0]!)).toBe(false);
  });

  test('an extract, as the capture kernel leaves one, is not extracted again', async () => {
    kdump('vm1.vmcore');
    await beside();
    kdump('extract-20261120041200/vmcore', readFileSync(at('vm1.vmcore.kdump-mem.extract')));
    expect(await beside()).toMatchObject({ status: 0, stderr: '' });
    const [text, html, json] = ['kdump-mem.txt', 'kdump-mem.html', 'kdump-mem.json'];
    expect(readdirSync(at('extract-20261120041200'))).toEqual([html, json, text, 'vmcore']);
    rmSync(at(`extract-20261120041200/${json}`));
    // One without names is another file.
    expect(await beside('--anonymize')).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(at('extract-20261120041200'))).toEqual([...ANSWERS, 'vmcore']);
  });

  test('a dump that is being written waits', () => {
    const now = Date.UTC(2026, 10, 20);
    const found = (name: string, secondsAgo: number) => {
      const path = at(name);
      return { dump: path, files: [path], place: name, size: 1, mtime: now - secondsAgo * 1000 };
    };
    for (const [name, secondsAgo, isLeft] of [
      ['vmcore', 10, true],
      ['vmcore', 31, false],
      ['vmcore-incomplete', HOUR / 2, true],
      ['dump-incomplete', HOUR + 1, false],
      // The clock of the capture kernel was wrong.
      ['vmcore', -HOUR, false],
    ] as const)
      expect(isAnswered(found(name, secondsAgo), now), `${name} ${secondsAgo}`).toBe(isLeft);
  });

  test('a dump of the future is read once', async () => {
    kdump('a/vmcore', CUT, -10 * HOUR);
    expect((await beside()).stdout).toContain('truncated');
    expect(await beside()).toMatchObject({ status: 0, stdout: '' });
  });

  test('the end line counts no answered dump as one of another shard', async () => {
    kdump('a/vmcore', CUT);
    await beside();
    const { stdout } = await beside('--ndjson');
    expect(JSON.parse(stdout)).toMatchObject({ dumps: 0, otherShards: 0 });
  });

  test('a dump that cannot be read gets the reason, once', async () => {
    kdump('a/vmcore', CUT);
    const first = await beside();
    expect(first.status).toBe(3);
    expect(first.stdout).toMatch(/vmcore: truncated [^\n]+\n$/);
    expect(readFileSync(at('a/kdump-mem.txt'), 'utf8')).toBe(first.stdout);
    expect(readdirSync(at('a'))).toEqual(['kdump-mem.json', 'kdump-mem.txt', 'vmcore']);
    expect(await beside()).toMatchObject({ status: 0, stdout: '' });
  });

  test('names of dumps and folders can be anything, and as long as a name can be', async () => {
    const names = [
      `${'d'.repeat(255)}/vmcore`,
      'b\n\u001b[31m/vmcore',
      'c\n\u001b[31m.vmcore',
      `${'é'.repeat(124)}.vmcore`,
      `${'v'.repeat(241)}.other.vmcore`,
      `${'v'.repeat(241)}.third.vmcore`,
    ];
    for (const name of names) kdump(name, CUT);
    const { stdout, stderr, status } = await beside();
    expect([stdout.match(/: truncated /g)?.length, stderr, status]).toEqual([names.length, '', 3]);
    expect(stdout.split('\n')).toHaveLength(names.length + 1);
    expect(stdout).not.toContain('\u001b');
    // Each has answers of its own.
    const answers = readdirSync(crash, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
    expect(answers).toHaveLength(names.length);
    expect(await beside()).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  test('the folder of dumps may be a link, a link in it is not followed', async () => {
    mkdirSync(join(folder, 'elsewhere', 'a'), { recursive: true });
    writeFileSync(join(folder, 'elsewhere', 'a', 'vmcore'), CUT);
    utimesSync(join(folder, 'elsewhere', 'a', 'vmcore'), 1, 1);
    rmSync(crash, { recursive: true });
    symlinkSync(join(folder, 'elsewhere'), crash);
    symlinkSync('a', at('b'));
    expect((await beside()).stdout.match(/: truncated /g)).toHaveLength(1);
    expect(readdirSync(at('a'))).toEqual(['kdump-mem.json', 'kdump-mem.txt', 'vmcore']);
  });

  test('a folder that is removed meanwhile is a problem of its dump alone', async () => {
    const problems: string[] = [];
    const error = { code: 'no-such-file', message: 'gone', signal: null } as const;
    const found = { dump: at('a/vmcore'), files: [at('a/vmcore')], place: 'a/vmcore', size: 1 };
    await writeBeside(
      found,
      {},
      async () => failedJson(error),
      (message) => void problems.push(message),
    );
    expect(problems).toEqual([expect.stringContaining('write failed (ENOENT)')]);
  });

  test('two runs at a time write whole answers', async () => {
    kdump('a/vmcore');
    const both = await Promise.all([beside(), beside()]);
    expect(both.map(({ status, stderr }) => [status, stderr])).toEqual([
      [0, ''],
      [0, ''],
    ]);
    expect(readdirSync(at('a'))).toEqual([...ANSWERS, 'vmcore']);
    triageSchema.parse(JSON.parse(readFileSync(at('a/kdump-mem.json'), 'utf8')));
    expect(readFileSync(at('a/kdump-mem.html'), 'utf8')).toMatch(/<\/html>\n$/i);
  });

  test('a dump that kdump did not complete is read after an hour', async () => {
    kdump('a/vmcore-incomplete', CUT, HOUR + 60);
    kdump('a/vmcore-dmesg.txt', Buffer.from('[    1.000000] Kernel panic - not syncing: sysrq triggered crash\n'));
    expect((await beside()).stdout).toContain('sysrq triggered crash');
    expect(readFileSync(at('a/kdump-mem.txt'), 'utf8')).toMatch(/truncated/);
  });

  test('the log that kdump saved without a dump is read', async () => {
    kdump('a/vmcore-dmesg.txt', Buffer.from('[    1.000000] Kernel panic - not syncing: sysrq triggered crash\n'));
    expect((await beside()).stdout).toContain('sysrq triggered crash');
    expect(readFileSync(at('a/kdump-mem.txt'), 'utf8')).toContain('sysrq triggered crash');
  });

  const PANIC = '<0>[    2.000000] Kernel panic - not syncing: sysrq triggered crash\n';
  const BOOT =
    '<5>[    0.000000] Linux version 6.12.0 (x@y) #1 SMP\n<3>[    1.000000] BUG: soft lockup - CPU#0 stuck for 22s! [x:7]\n';

  test('logs without a dump are read: each record of pstore once, the other logs of a folder together', async () => {
    kdump('pstore/1701234567/dmesg-efi-170123456701001', Buffer.from(`Panic#1 Part1\n${PANIC}`));
    kdump('pstore/1701234567/dmesg-efi-170123456702001', Buffer.from(`Panic#1 Part2\n${BOOT}`));
    kdump('pstore/1701234567/dmesg.txt', Buffer.from(`Panic#1 Part2\n${BOOT}Panic#1 Part1\n${PANIC}`));
    kdump('pstore/dmesg-erst-7.enc.z', Buffer.from('ffffffff', 'hex'));
    kdump('both/kexec-dmesg.log', Buffer.from(BOOT));
    kdump('both/vmcore-dmesg.txt', Buffer.from(PANIC));
    kdump('debian/dmesg.202611221104', Buffer.from(PANIC));
    kdump('debian/dmesg.202611221204', Buffer.from(BOOT));
    const { stdout, stderr, status } = await beside('--ndjson');
    expect([status, stderr]).toEqual([3, '']);
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(
      lines.map(({ dump: path, parts, findings, error }) => [
        path?.slice(crash.length + 1),
        parts,
        findings?.map((one: { code: string }) => one.code),
        error?.message,
      ]),
    ).toEqual([
      ['both/vmcore-dmesg.txt', 2, ['soft-lockup', 'panic'], undefined],
      ['debian/dmesg.202611221104', 1, ['panic'], undefined],
      ['debian/dmesg.202611221204', 1, ['soft-lockup'], undefined],
      ['pstore/1701234567/dmesg-efi-170123456701001', 3, ['soft-lockup', 'panic'], undefined],
      [
        'pstore/dmesg-erst-7.enc.z',
        1,
        undefined,
        expect.stringContaining('dmesg-erst-7.enc.z: compressed pstore record'),
      ],
      [undefined, undefined, undefined, undefined],
    ]);
    const text = readFileSync(at('pstore/1701234567/kdump-mem.txt'), 'utf8');
    expect(text).toMatch(/Soft lockup: CPU 0[\s\S]*sysrq triggered crash/);
    expect(text).not.toMatch(/missing|malformed/);
    expect(await beside()).toMatchObject({ status: 0, stdout: '' });
    // Answers are no logs.
    const again = await kdumpMem('triage', '--json', at('pstore/1701234567'));
    expect(JSON.parse(again.stdout).logs).toHaveLength(1);
  });

  test('dumps that arrive during a run, or are being written at its beginning, are read by it', async () => {
    kdump('a/vmcore', CUT);
    const program = join(folder, 'arrive');
    // The program is run after the first answer: it is when the second dump arrives, written 27 seconds ago.
    writeFileSync(
      program,
      `#!/bin/sh\nmkdir ${at('b')} && head -c 99999 ${at('a/vmcore')} > ${at('b/vmcore')} && touch -d @$(($(date +%s) - 27)) ${at('b/vmcore')}\nexit 0\n`,
    );
    chmodSync(program, 0o755);
    const { stdout } = await beside('--notify', program, '--settle', '2m');
    expect(stdout.split('\n').map((line) => line.split(':')[0])).toEqual([at('a/vmcore'), at('b/vmcore'), '']);
  });

  test('only the newest extracts are kept', async () => {
    for (const name of ['a', 'b', 'c']) kdump(`${name}/kdump-mem.extract`, dump, name === 'b' ? 1 : HOUR);
    // The dump of one is still there.
    kdump('c/vmcore', CUT);
    const found = findDumps([crash]);
    const left = () => ['a', 'b', 'c'].filter((name) => existsSync(at(`${name}/kdump-mem.extract`)));
    removeOldExtracts(found, {});
    removeOldExtracts(found, { keep: 3, keepBytes: 3 * dump.length });
    expect(left()).toEqual(['a', 'b', 'c']);
    removeOldExtracts(found, { keepBytes: 3 * dump.length - 1 });
    expect(left()).toHaveLength(2);
    removeOldExtracts(found, { keep: 1 });
    expect(left()).toEqual(['b']);
    removeOldExtracts(found, { keep: 0 });
    expect(left()).toEqual([]);
  });

  test('an extract can be anonymized', async () => {
    kdump('a/vmcore');
    const stderr = 'kdump-mem: warning: /bin/false ended with status 1\n';
    expect(await beside('--anonymize', '--notify', '/bin/false', '--keep', '1')).toMatchObject({ status: 3, stderr });
    const { stdout } = await kdumpMem('log', at('a/kdump-mem.extract'));
    expect(stdout).toBe('');
  });

  test('a program gets the text on stdin, and nothing of the dump otherwise', async () => {
    const program = join(folder, 'notify');
    writeFileSync(program, `#!/bin/sh\n{ cat; echo "arguments: $#"; env; } > ${folder}/message\n`);
    chmodSync(program, 0o755);
    kdump('a/vmcore');
    expect(await beside('--notify', program)).toMatchObject({ status: 0, stderr: '' });
    const message = readFileSync(join(folder, 'message'), 'utf8');
    expect(message).toContain(readFileSync(at('a/kdump-mem.txt'), 'utf8'));
    expect(message.split('arguments: ')[1]).toMatch(/^0\n(?:(?:PATH|PWD|SHLVL|_)=[^\n]*\n)*$/);
  });

  test('the failure of that program does not change the answers', async () => {
    kdump('a/vmcore', CUT);
    const { status, stderr } = await beside('--notify', '/nonexistent');
    expect([status, stderr]).toEqual([3, 'kdump-mem: warning: /nonexistent cannot be started (ENOENT)\n']);
    expect(readdirSync(at('a'))).toEqual(['kdump-mem.json', 'kdump-mem.txt', 'vmcore']);
  });

  test('a full disk loses nothing that was there, and the next run completes', async () => {
    kdump('a/vmcore');
    await beside();
    const before = readFileSync(at('a/kdump-mem.extract'));
    kdump('a/vmcore', dump, HOUR / 2);
    utimesSync(at('a/kdump-mem.json'), 1, 1);
    // No file can have more than 4 KiB: the text and the page fail, too.
    const ran = await execa(
      'bash',
      ['-c', 'ulimit -f 4; exec "$0" "$@"', process.execPath, commandPath('kdump-mem'), 'triage', '--beside', crash],
      { reject: false },
    );
    expect(ran.exitCode).toBe(3);
    expect(ran.stderr).toContain('EFBIG');
    expect(readFileSync(at('a/kdump-mem.extract')).equals(before)).toBe(true);
    expect(readdirSync(at('a'))).toEqual([...ANSWERS, 'vmcore']);
    expect(await beside()).toMatchObject({ status: 0 });
    expect(statSync(at('a/kdump-mem.json')).mtimeMs).toBeCloseTo(statSync(at('a/vmcore')).mtimeMs, -1);
  });

  test('an extract that does not fit is written when there is room for it', async () => {
    kdump('a/vmcore');
    const program = join(folder, 'notify-once');
    writeFileSync(program, `#!/bin/sh\necho >> ${join(folder, 'notified')}\n`);
    chmodSync(program, 0o755);
    const limited = () =>
      execa(
        'bash',
        [
          '-c',
          'ulimit -f 1000; exec "$0" "$@"',
          process.execPath,
          commandPath('kdump-mem'),
          'triage',
          '--beside',
          '--notify',
          program,
          crash,
        ],
        { reject: false },
      );
    for (const run of [await limited(), await limited()]) {
      expect(run.exitCode).toBe(3);
      expect(run.stderr).toMatch(/^kdump-mem: warning: \S+: no extract \([^\n]*EFBIG[^\n]*\)$/);
      expect(readdirSync(at('a'))).toEqual(['kdump-mem.html', 'kdump-mem.json', 'kdump-mem.txt', 'vmcore']);
    }
    expect(await beside('--notify', program)).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(at('a'))).toEqual([...ANSWERS, 'vmcore']);
    expect(await beside()).toMatchObject({ status: 0, stdout: '' });
    // The text was the same each time.
    expect(readFileSync(join(folder, 'notified'), 'utf8')).toBe('\n');
  });

  test('a run that is killed when it has written any of the answers leaves whole files, and is repeated', async () => {
    kdump('a/vmcore');
    for (const last of ['kdump-mem.extract', 'kdump-mem.txt', 'kdump-mem.html']) {
      rmSync(at(`a/${last}`), { force: true });
      const run = execa(process.execPath, [commandPath('kdump-mem'), 'triage', '--beside', crash], { reject: false });
      await vi.waitFor(() => expect(existsSync(at(`a/${last}`))).toBe(true), { timeout: STEP_MS, interval: 1 });
      run.kill('SIGKILL');
      await run;
      // Its worker exits with it. What that was writing has another name.
      await vi.waitFor(() => expect(isWorking()).toBe(false), { timeout: STEP_MS });
      const partial = readdirSync(at('a')).filter((name) => name.endsWith('.partial'));
      for (const name of partial) utimesSync(at(`a/${name}`), 1, 1);
      if (existsSync(at('a/kdump-mem.html')))
        expect(readFileSync(at('a/kdump-mem.html'), 'utf8')).toMatch(/<\/html>\n$/i);
      rmSync(at('a/kdump-mem.json'), { force: true });
    }
    expect(await beside()).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(at('a'))).toEqual([...ANSWERS, 'vmcore']);
  });

  test('half an extract that a power failure left is no dump, and is removed', async () => {
    kdump('a/vmcore');
    const partial = at('a/.kdump-mem.extract.d0e642ea4909.partial');
    writeFileSync(partial, readFileSync(at('a/vmcore')).subarray(0, 464));
    utimesSync(partial, 1, 1);
    expect(await beside()).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(at('a'))).toEqual([...ANSWERS, 'vmcore']);
  });

  test('the command that docs have for --notify is that of the unit', () => {
    const commandOf = (path: string, program: string) =>
      new RegExp(`^ExecStart=${program} (.+)$`, 'm').exec(readFileSync(path, 'utf8'))?.[1];
    const unit = commandOf('deploy/systemd/kdump-mem-triage.service', '/usr/local/bin/kdump-mem');
    expect(unit).toBeDefined();
    expect(
      commandOf('docs/many-dumps.md', '/usr/bin/kdump-mem')?.replace('--notify /usr/local/bin/send-answer ', ''),
    ).toBe(unit);
  });

  test.each([
    [['--keep', '3'], /--keep needs --beside/],
    [['--beside', '--json'], /'--beside' cannot be used with option '--json'/],
    [['--beside'], /no input: name dumps/],
  ])('%j is refused', async (words, message) => {
    kdump('a/vmcore');
    const { status, stderr } = await kdumpMem('triage', ...words, ...(words.length > 1 ? [crash] : []));
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
  });
});
