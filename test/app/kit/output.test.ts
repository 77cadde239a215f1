import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { captureFiles, captureTar, manifestOf, udpRow } from '../../support/capture.js';
import { commandPath } from '../../support/cli.js';
import { fixture } from '../../support/fixtures.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('output-');
const CAPTURE = join(folder, 'capture.tar');
const FIFO = join(folder, 'fifo');
beforeAll(() => {
  const files = captureFiles({ inet: [udpRow(601, 1280), udpRow(601, 1280)] });
  writeFileSync(CAPTURE, captureTar([...files, ['manifest', manifestOf(files)]]));
  execFileSync('mkfifo', [FIFO]);
});

/** Opens a stdout that accepts no data. */
const REFUSING = {
  ENOSPC: () => openSync('/dev/full', 'w'),
  EPIPE: () => {
    const reader = openSync(FIFO, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(FIFO, 'w');
    closeSync(reader);
    return writer;
  },
  // Address 0 of this process, which is not mapped.
  EIO: () => openSync('/proc/self/mem', 'r+'),
} as const;

const { vmcore } = fixture('6.1');

const COUNTERS = ['--live', '--source', 'counters'] as const;

type Command = readonly ['kdump-mem' | 'skcheck', ...string[]];

const COMMANDS: readonly Command[] = [
  ['kdump-mem', 'info', '--vmcore', vmcore],
  ['kdump-mem', 'info', '--json', '--vmcore', vmcore],
  ['kdump-mem', 'sockets', '--ndjson', '--vmcore', vmcore],
  ['kdump-mem', 'read', 'init_task', '--vmcore', vmcore],
  ['kdump-mem', 'memory', ...COUNTERS],
  ['kdump-mem', 'memory', ...COUNTERS, '--json'],
  ['kdump-mem', 'memory', ...COUNTERS, '--prometheus'],
  ['kdump-mem', 'memory', ...COUNTERS, '--watch', '--interval', '0.5', '--count', '3'],
  ['kdump-mem', 'memory', ...COUNTERS, '--watch', '--interval', '0.5', '--count', '3', '--json'],
  ['kdump-mem', 'watch', '--interval', '0.1', '--for', '0.3'],
  ['kdump-mem', 'watch', '--interval', '0.1', '--for', '0.3', '--json'],
  ['skcheck', '--prometheus', '--interval', '0', '--memory'],
  ['kdump-mem', '--help'],
  ['skcheck', '--from', CAPTURE],
  ['skcheck', '--json', '--from', CAPTURE],
  ['skcheck', '--stale', '--from', CAPTURE],
  ['skcheck', '--capture-script'],
];

function run([name, ...args]: Command, stdout: number) {
  return spawnSync(process.execPath, [commandPath(name), ...args], {
    stdio: ['ignore', stdout, 'pipe'],
    encoding: 'utf8',
  });
}

const titled = COMMANDS.map((command) => ({
  command,
  title: command.filter((word) => !word.startsWith('/')).join(' '),
}));

describe.each([
  ['ENOSPC', 3],
  ['EPIPE', 141],
  ['EIO', 3],
] as const)('stdout that fails with %s', (code, expected) => {
  test.each(titled)('is reported, with a status that no answer has: $title', ({ command }) => {
    const stdout = REFUSING[code]();
    try {
      const { status, stderr } = run(command, stdout);
      const complaints = stderr
        .split(/(?<=\n)/)
        .filter((line) => !/^\S+: (?:warning|note): /.test(line))
        .join('');
      expect({ status, complaints }).toEqual({
        status: expected,
        // A reader that closed its end needs no message.
        complaints: code === 'EPIPE' ? '' : `${command[0]}: the answer cannot be written (${code}).\n`,
      });
    } finally {
      closeSync(stdout);
    }
  });
});

test('a caller that ignores stdout receives the status of the answer', () => {
  const ignored = openSync('/dev/null', 'r+');
  try {
    expect(run(COMMANDS[0]!, ignored).status).toBe(0);
    expect(run(['skcheck', '--from', CAPTURE], ignored).status).toBe(1);
  } finally {
    closeSync(ignored);
  }
});
