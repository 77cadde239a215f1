import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import { captureFiles, captureTar, tcpRow } from '../../support/capture.js';
import { commandPath } from '../../support/cli.js';
import { fixture } from '../../support/fixtures.js';
import { scratchFolder } from '../../support/scratch.js';

/** How the bug shows, and the message that it has. */
const BREAKS = {
  'throws on the way': 'fs.fstatSync = () => { throw new TypeError(WORDS); };',
  'throws in a callback': 'setImmediate(() => { throw new TypeError(WORDS); });',
  'throws no error at all': 'setImmediate(() => { throw WORDS; });',
  'leaves a promise rejected': 'setImmediate(() => { Promise.reject(new RangeError(WORDS)); });',
  'emits an error that nobody listens to':
    'setImmediate(() => { new EventEmitter().emit("error", new Error(WORDS)); });',
} as const;

const PRELOAD = `
const { EventEmitter } = require('node:events');
const fs = require('node:fs');
const WORDS = 'x\u001b[2Jis not';
`;

const folder = scratchFolder('last-resort-');
/** A fixed input: the sockets of this host must not decide how far skcheck runs. */
const CAPTURE = join(folder, 'capture.tar');
beforeAll(() => {
  const files = captureFiles({ inet: [tcpRow(500, 100, 300), tcpRow(500, 100, 300)] });
  writeFileSync(CAPTURE, captureTar(files));
});

const COMMANDS = { 'kdump-mem': ['info', '--vmcore', fixture('6.1').vmcore], skcheck: ['--from', CAPTURE] } as const;

async function runBroken(name: keyof typeof COMMANDS, code: string, env = {}) {
  const preload = join(folder, 'break.cjs');
  writeFileSync(preload, `${PRELOAD}${code}`);
  return execa(process.execPath, ['--require', preload, commandPath(name), ...COMMANDS[name]], {
    reject: false,
    stdin: 'ignore',
    stripFinalNewline: false,
    env,
  });
}

describe.each(['kdump-mem', 'skcheck'] as const)('%s with a bug that', (name) => {
  test.each(Object.entries(BREAKS))('%s prints one line and exits with status 70', async (_, code) => {
    const { exitCode, stderr } = await runBroken(name, code);
    expect(exitCode).toBe(70);
    expect(stderr).toMatch(new RegExp(`^${name}: internal error \\([^\\n]*x\\\\x1b\\[2Jis not\\)\\. [^\\n]+\\n$`));
  });

  test('prints its stack trace on request', async () => {
    const { exitCode, stderr } = await runBroken(name, BREAKS['leaves a promise rejected'], { KDUMP_MEM_STACK: '1' });
    expect(exitCode).toBe(70);
    expect(stderr).toMatch(/^[^\n]+KDUMP_MEM_STACK=1\.\n( {4}at [^\n]+\n)+$/);
  });
});
