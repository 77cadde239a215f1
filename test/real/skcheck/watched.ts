import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { skcheckSchema } from '../../../src/answers/skcheck/schema.js';
import { isProblem } from '../../../src/skcheck/verdict.js';
import { CLI } from './stage.js';

/** Runs skcheck asynchronously, so that the test's processes continue. */
export async function watched(args: string[]): Promise<{ stdout: string }> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString('utf8');
  });
  await once(child, 'close');
  return { stdout };
}

/** Verdicts in the NDJSON of `--watch` for the sockets of some processes. */
export function judgements(ndjson: string, pids: readonly number[]) {
  const looks = ndjson
    .trimEnd()
    .split('\n')
    .map((line) => skcheckSchema.parse(JSON.parse(line)));
  const theirs = looks.flatMap(({ sockets }) =>
    sockets.filter(({ holders }) => holders.some(({ pid }) => pids.includes(pid))),
  );
  return {
    looks: looks.length,
    seen: theirs.length,
    flagged: theirs.filter(({ stalled }) => isProblem(stalled.verdict)),
  };
}
