import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { STEP_MS } from '../../../../scripts/lab-parts/limits.mjs';
import { CAPTURE_SCRIPT } from '../../../../src/capture/read/script.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { liveHost } from '../../../../src/host/live.js';
import { messageQueues } from '../../../../src/host/proc/message-queues.js';
import { kdumpMem } from '../../../support/cli.js';

const PROGRAM = join(import.meta.dirname, 'message-queues.py');
const MESSAGES = 20_000;

/** Runs the program, through a command if given, until `use` has finished. */
async function during(
  enter: readonly string[],
  [kind, messages]: readonly [kind: string, messages: number],
  use: (payload: number, pid: number) => Promise<void>,
): Promise<void> {
  const [command = '', ...args] = [...enter, 'python3', PROGRAM, kind, `${messages}`];
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [line] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
    const [, payload] = /^ready (\d+)$/m.exec(String(line)) ?? [];
    expect(payload, String(line)).toBeDefined();
    await use(Number(payload), child.pid ?? 0);
  } finally {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    // A queue stays; another namespace is gone with its process.
    if (enter.length === 0) spawnSync('ipcrm', ['--all=msg']);
  }
}

describe.skipIf(existsSync('/proc/kcore') || process.geteuid?.() !== 0)(
  'unread messages on this machine (needs root, and no /proc/kcore)',
  () => {
    test.each([
      ['of this ipc namespace', []],
      ['of another ipc namespace', ['unshare', '--ipc']],
    ])('%s: amount and owner, without the memfd beside them', async (_, enter) => {
      await during(enter, ['sysv', MESSAGES], async (payload, pid) => {
        const { stdout } = await kdumpMem('triage', '--json');
        const { findings, unread } = triageSchema.parse(JSON.parse(stdout));
        const own = findings.filter(({ code }) => code === 'message-queues');
        const figures = { bytes: payload + 48 * MESSAGES, queues: 1, messages: MESSAGES, uid: 0, comm: 'sender' };
        expect(own, JSON.stringify(unread)).toMatchObject([{ figures }]);
        // unshare becomes the program: it has the pid of the child.
        expect(own[0]?.figures.pid).toBe(pid);
        expect(own[0]?.figures.inside).toBe(enter.length > 0 ? pid : undefined);
        expect(own[0]?.figures.name).toMatch(/^queue \d+$/);
      });
    });

    // Their limit without CAP_SYS_RESOURCE is below that of a finding.
    test('of a POSIX queue in other namespaces', async () => {
      await during(['unshare', '--ipc', '--mount'], ['posix', 150], async (payload, pid) => {
        const missing: string[] = [];
        const queues = messageQueues(liveHost, (why) => missing.push(why), true);
        const own = queues.filter(({ kind }) => kind === 'posix');
        expect(own).toMatchObject([{ name: '/run/queues/filled', bytes: payload, messages: null, inside: pid }]);
        expect(missing).toEqual([]);
      });
    });

    test('no file is read in place of a POSIX queue whose mount is covered', async () => {
      await during(['unshare', '--ipc', '--mount'], ['covered', 1], async () => {
        const names = messageQueues(liveHost, () => undefined, true).map(({ name }) => name);
        expect(names).not.toContain('/run/queues/blocks');
        const script = spawnSync('sh', ['-s', '--', '--tmpfs', '-', '0'], { input: CAPTURE_SCRIPT, timeout: STEP_MS });
        expect(script.status, `${script.stderr}`).toBe(0);
      });
    });
  },
);
