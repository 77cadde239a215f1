import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterEach, describe, expect, test } from 'vitest';
import type { KernelError } from '../../../src/base/errors.js';
import { CrashProcess } from '../../../src/kernel/crash/process.js';
import { commandPath } from '../../support/cli.js';

const fake = (name: string) => fileURLToPath(new URL(`../../support/crash/${name}`, import.meta.url));
const QUICK = { vmlinux: undefined, vmcore: undefined, startTimeout: 1000, requestTimeout: 1000 };
/** Timeout for a crash that is expected to answer, also on a busy machine. */
const PATIENT = { ...QUICK, startTimeout: 60_000, requestTimeout: 60_000 };

function failureOf(run: () => unknown): KernelError {
  try {
    run();
  } catch (error) {
    return error as KernelError;
  }
  throw new Error('it did not fail');
}

/** Scratch folders that a crash started here, or its guard shell, runs in. */
function leftovers(): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        const folder = readlinkSync(`/proc/${pid}/cwd`);
        const ours = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(fake(''));
        return ours && folder.includes('kdump-mem-') ? [folder] : [];
      } catch {
        return [];
      }
    });
}

async function allGone(): Promise<boolean> {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (leftovers().length === 0) return true;
    await sleep(50);
  }
  return false;
}

afterEach(async () => expect(await allGone(), `left behind: ${leftovers()}`).toBe(true));

describe('a misbehaving crash is stopped and reported if it', () => {
  test('hangs at startup with 100 % CPU', () => {
    const seconds: number[] = [];
    const error = failureOf(
      () => new CrashProcess({ ...QUICK, crash: fake('hang-at-start'), onWait: (s) => seconds.push(s) }),
    );
    expect(error.code).toBe('crash-hung');
    expect(error.message).toMatch(/hang-at-start: no answer for 1 s \(last output: crash: r/);
    expect(seconds.length).toBeGreaterThan(3);
  });

  test('stops responding later', () => {
    const session = new CrashProcess({ ...QUICK, crash: fake('hang-later'), onWait() {} });
    const error = failureOf(() => session.execute(['sym init_task']));
    expect(error.code).toBe('crash-hung');
  });

  test('exits immediately', () => {
    const error = failureOf(() => new CrashProcess({ ...QUICK, crash: fake('dies'), onWait() {} }));
    expect(error.code).toBe('crash-failed');
    expect(error.message).toMatch(/dies: exited with status 1 \(last output: crash: cannot resolve "init_task"\)$/);
  });

  test('prints without end', () => {
    const error = failureOf(
      () => new CrashProcess({ ...QUICK, startTimeout: 60_000, crash: fake('chatter'), onWait() {} }),
    );
    expect(error.code).toBe('crash-failed');
    expect(error.message).toContain('output does not end');
  });

  test('does not exist', () => {
    const error = failureOf(() => new CrashProcess({ ...QUICK, crash: fake('nonsense'), onWait() {} }));
    expect(error.code).toBe('crash-missing');
  });
});

describe('a crash that runs elsewhere', () => {
  const files = { vmlinux: '/proc/version', vmcore: '/proc/version' };

  test('cannot open the files: names both and the folder', () => {
    const error = failureOf(() => new CrashProcess({ ...PATIENT, ...files, crash: fake('elsewhere'), onWait() {} }));
    expect(error.code).toBe('crash-elsewhere');
    expect(error.message).toMatch(
      /elsewhere: cannot see these files of kdump-mem: (\/[\w-]+)+\/kdump-mem-\w+, \/proc\/version, \/proc\/version \(last output: crash: [^\n]*\/vmlinux: No such file or directory\)$/,
    );
  });

  test('writes memory to an inaccessible file system', () => {
    const session = new CrashProcess({ ...PATIENT, crash: fake('elsewhere'), onWait() {} });
    const error = failureOf(() => session.readMemory(2n ** 63n, 4096));
    expect(error.code).toBe('crash-elsewhere');
    expect(error.message).toMatch(/cannot see these files of kdump-mem: \/[^\n]*kdump-mem-\w+$/);
  });

  test('in another folder receives only absolute paths', () => {
    const session = new CrashProcess({
      ...PATIENT,
      ...files,
      vmcore: 'package.json',
      crash: fake('changes-folder'),
      onWait() {},
    });
    try {
      const bytes = session.readMemory(2n ** 63n, 64);
      expect(bytes).toEqual(readFileSync('package.json').subarray(0, 64));
    } finally {
      session.close();
    }
  });
});

test('returns no bytes if crash reports bytes that it failed to write', () => {
  const session = new CrashProcess({ ...PATIENT, crash: fake('no-room'), onWait() {} });
  const error = failureOf(() => session.readMemory(2n ** 63n, 4096));
  expect(error.code).toBe('no-room');
  expect(error.message).toMatch(/no-room: write to \/[^\n]*kdump-mem-\w+ failed$/);
});

describe('running out of file descriptors', () => {
  // With fewer, node itself does not start.
  test.each([20, 22, 24, 26, 28])('exits with a one-line error for a limit of %d', async (most) => {
    const command = [
      'skb',
      '--pid',
      '1',
      '--vmcore',
      'package.json',
      '--vmlinux',
      'package.json',
      '--engine',
      'crash',
      '--crash',
      fake('dies'),
    ];
    const { exitCode, stderr } = await execa(
      'sh',
      ['-c', `ulimit -n ${most}; exec "$@"`, 'sh', process.execPath, commandPath('kdump-mem'), ...command],
      { reject: false, stdin: 'ignore', stripFinalNewline: false },
    );
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/^kdump-mem: [^\n]+\n$/);
  });
});

describe('scratch folders and processes are removed', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const)('after %s while crash hangs', async (signal) => {
    // The files only have to be readable: this crash ignores both.
    const vmcore = `${process.cwd()}/package.json`;
    const command = execa(
      process.execPath,
      [
        commandPath('kdump-mem'),
        'skb',
        '--pid',
        '1',
        '--vmcore',
        vmcore,
        '--vmlinux',
        vmcore,
        '--engine',
        'crash',
        '--crash',
        fake('hang-at-start'),
      ],
      { reject: false },
    );
    for (let attempt = 0; leftovers().length === 0 && attempt < 200; attempt++) await sleep(20);
    const [folder = ''] = leftovers();
    expect(existsSync(folder)).toBe(true);
    command.kill(signal);
    const { signal: ended } = await command;
    expect(ended).toBe(signal);
    expect(await allGone()).toBe(true);
    expect(existsSync(folder)).toBe(false);
  });
});

test('never passes a hostile file name to the command line of crash', () => {
  const files = { vmcore: '/tmp/$(touch x)@0x1000 | !sh', vmlinux: '-s --help' };
  const error = failureOf(
    () => new CrashProcess({ ...PATIENT, ...files, crash: fake('shows-arguments'), onWait() {} }),
  );
  expect(error.message).toMatch(/arguments: -s (--no_\w+ )+(\/[\w/-]+)\/vmlinux \2\/vmcore\)$/);
});

test('does not wait for a crash that exits on a full disk without a message', () => {
  const error = failureOf(() => new CrashProcess({ ...PATIENT, crash: fake('full-disk'), onWait() {} }));
  expect(error.code).toBe('no-room');
  expect(error.message).toMatch(/full-disk: exited \(\/[^\n]*kdump-mem-\w+ is not writable\)$/);
});
