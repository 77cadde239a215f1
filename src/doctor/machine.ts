import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { attempt } from '../base/errors.js';
import { searchPath } from '../base/shell.js';
import { liveHost } from '../host/live.js';
import { openNative } from '../kernel/native/open.js';

/** Checks, in the order of the answer. */
export const CHECK_CODES = [
  'root',
  'processes',
  'ss',
  'namespaces',
  'counters',
  'pageflags',
  'kcore',
  'crash',
  'pressure',
  'perf',
  'tracefs',
  'bpftrace',
] as const;

export type CheckCode = (typeof CHECK_CODES)[number];

/** Whether a feature is usable here: `partly` only in part. */
export type CheckState = 'works' | 'partly' | 'refused' | 'missing';

export interface Check {
  readonly code: CheckCode;
  readonly state: CheckState;
  /** Details: a version, a source; or why it is not usable. One line, hostile. */
  readonly found: string;
}

/** First non-empty output line of a program, and whether it exited with status 0. */
export interface Output {
  readonly line: string;
  readonly ok: boolean;
}

/** Access of checks to this machine, or to a substitute. */
export interface Machine {
  /** Effective user id. */
  readonly uid: number;
  /** Reads a small file. @throws {HostError} */
  readText(path: string): string;
  /** Reads a symbolic link. @throws {HostError} */
  readLink(path: string): string;
  /** Opens a file, and reads some of it. @throws {HostError} */
  open(path: string, reads?: boolean): void;
  list(path: string): readonly string[];
  /** Runs a short command; null: not installed. */
  run(program: string, args: readonly string[]): Output | null;
  /** Opens the running kernel, and returns missing symbols and types. @throws {KernelError} */
  openKernel(): { readonly lacking: readonly string[]; readonly release: string };
}

/** Time limit for printing a version. */
const TIMEOUT_MS = 10_000;

export const here: Machine = {
  uid: process.geteuid?.() ?? -1,
  readText: (path) => liveHost.readText(path),
  readLink: (path) => liveHost.readLink(path),
  list: (path) => liveHost.list(path),
  open: (path, reads = true) =>
    attempt(path, () => {
      const file = openSync(path, 'r');
      try {
        if (reads) readSync(file, Buffer.alloc(8));
      } finally {
        closeSync(file);
      }
    }),
  run: (program, args) => {
    const { error, status, stdout, stderr } = spawnSync(program, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      env: { ...process.env, LC_ALL: 'C', PATH: searchPath() },
    });
    if (error && 'code' in error && error.code === 'ENOENT') return null;
    const firstLine = `${stdout ?? ''}\n${stderr ?? ''}`
      .split('\n')
      .find((line) => line.trim() !== '');
    if (error) return { line: `${program} cannot be started (${error.message})`, ok: false };
    return { line: firstLine ?? `${program} printed nothing`, ok: status === 0 };
  },
  openKernel: () => {
    const kernel = openNative({ files: [], live: true });
    try {
      const { symbols, types } = kernel.provenance;
      const lacking = [
        ...(symbols.found ? [] : [`no symbols: ${symbols.why}`]),
        ...(types.found ? [] : [`no types: ${types.why}`]),
      ];
      return { lacking, release: kernel.facts.release };
    } finally {
      kernel.close();
    }
  },
};
