import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { HostError } from './error.js';
import type { HostSource } from './source.js';

/** How long one `ss` may take: a quarter of a million sockets take it some seconds. */
const SS_TIMEOUT_MS = 60_000;
/** 256 MiB: about 350,000 TCP sockets with all their details. */
const SS_MAX_CHARS = 256 * 1024 * 1024;

/** The host that this process runs on: its network namespace, its /proc. */
export const liveHost: HostSource = {
  ss: runSs,
  readText: (path) => attempt(path, () => readFileSync(path, 'utf8')),
  readLink: (path) => attempt(path, () => readlinkSync(path)),
  list: (path) => attempt(path, () => readdirSync(path)),
  now: () => performance.now(),
  sleep: async (ms) => {
    await delay(ms);
  },
};

async function runSs(args: readonly string[]): Promise<string> {
  // Imported here because the import alone costs as much as a run of ss.
  const { execa } = await import('execa');
  const result = await execa('ss', args, {
    reject: false,
    timeout: SS_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: SS_MAX_CHARS,
    stripFinalNewline: false,
    stdin: 'ignore',
    // ss often lies in a directory that only root has in its PATH.
    env: { LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin` },
  });
  if (!result.failed) return result.stdout;
  if (result.code === 'ENOENT')
    throw new HostError('ss-missing', 'ss is not installed (no such command in PATH)');
  if (result.timedOut)
    throw new HostError('ss-hung', `ss did not answer within ${SS_TIMEOUT_MS / 1000} s`);
  if (result.isMaxBuffer)
    throw new HostError('ss-too-much', 'ss printed more than 256 MiB, which is more than we take');
  const said = result.stderr.trim().split('\n')[0] ?? '';
  const how = result.exitCode === undefined ? `(${result.code ?? result.signal ?? 'unknown'})` : '';
  throw new HostError(
    'ss-failed',
    `ss failed${result.exitCode === undefined ? ` ${how}` : ` with status ${result.exitCode}`}${said && `: ${said.slice(0, 200)}`}`,
  );
}

function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    switch (code) {
      case 'ENOENT':
      case 'ESRCH':
      case 'ENOTDIR':
        throw new HostError('gone', `${path} is not there`, { cause });
      case 'EACCES':
      case 'EPERM':
        throw new HostError('denied', `${path} may not be read`, { cause });
      default:
        if (typeof code !== 'string') throw cause;
        throw new HostError('unreadable', `${path} cannot be read (${code})`, { cause });
    }
  }
}
