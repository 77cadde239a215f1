import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { accountProcess } from '../../../src/account/skb.js';
import { skbProcessSchema } from '../../../src/contracts/sockets.js';
import { CrashKernel } from '../../../src/kernel/crash/kernel.js';
import { playSession, recordSession } from '../../../src/kernel/crash/session.js';

// Regenerate with: npm run build && scripts/lab up 5.10 6.1 6.12 && node scripts/record-crash.mjs
const fixture = (name: string) => readFileSync(new URL(`../../../fixtures/crash/${name}`, import.meta.url));
const session = (version: string) => gunzipSync(fixture(`${version}.session.jsonl.gz`)).toString('utf8');

describe.each(['5.10', '6.1', '6.12'])('a replayed session of crash on %s', (version) => {
  test('yields the figures of the original run', () => {
    const expected = skbProcessSchema.parse(JSON.parse(String(fixture(`${version}.answer.json`))));
    const kernel = new CrashKernel(playSession(session(version)), 'vmcore');
    const answer = accountProcess(kernel, expected.process.pid);
    expect(answer).toEqual(expected);
    expect(answer.total.pages).toBeGreaterThan(0);
  });

  test('is recorded identically', () => {
    const expected = skbProcessSchema.parse(JSON.parse(String(fixture(`${version}.answer.json`))));
    let again = '';
    const recorder = recordSession(playSession(session(version)), (line) => {
      again += line;
    });
    accountProcess(new CrashKernel(recorder, 'vmcore'), expected.process.pid);
    const lines = (text: string) => new Set(text.split('\n').filter((line) => line !== ''));
    const before = lines(session(version));
    for (const line of lines(again)) expect(before).toContain(line);
  });
});

test('refuses a query that was not recorded', () => {
  const player = playSession(session('6.1'));
  expect(() => player.execute(['sym nonsense'])).toThrow('recording: no answer to sym nonsense');
  expect(() => player.readMemory(0xffff_8000_dead_0000n, 4096)).toThrow('no answer to 0xffff');
});

test.each(['{"command":"sys","answer":"', '{"command":"sys"}', '{"read":"0x1000+8","bytes":"no base64!"}', '[1]'])(
  'reports the number of a malformed line: %s',
  (line) => {
    const good = '{"command":"sys","answer":"RELEASE"}';
    expect(playSession(`${good}\n`).execute(['sys'])).toEqual(['RELEASE']);
    expect(() => playSession(`${good}\n${line}\n`)).toThrow('recording: malformed line 2');
  },
);
