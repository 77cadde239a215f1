import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { triageEndSchema, triageLineSchema } from '../../src/contracts/triage-line.js';
import { commandPath } from './cli.js';

type Line = ReturnType<typeof triageLineSchema.parse>;
type End = ReturnType<typeof triageEndSchema.parse>;

/** Output of `triage --ndjson`, validated against its schemas. */
export function parseRun(text: string): { lines: Line[]; end: End } {
  const lines = text.trimEnd().split('\n');
  const last = lines.pop() ?? '';
  return {
    lines: lines.map((line) => triageLineSchema.parse(JSON.parse(line))),
    end: triageEndSchema.parse(JSON.parse(last)),
  };
}

/** The same output without the figures that differ in each run. */
export function withoutSeconds(text: string): string {
  return text.replace(/"seconds":[\d.]+\}$/gm, '}');
}

/** `kdump-mem triage` in the background, with processes that a test can find. */
export class TriageRun {
  readonly child: ChildProcess;
  readonly ended: Promise<{ status: number | null; signal: string | null }>;
  stdout = '';
  stderr = '';
  /** Processes of others: where they are thousands, reading all again takes longer than a dump. */
  readonly #others = new Set<string>();

  constructor(...words: readonly string[]) {
    this.child = spawn(process.execPath, [commandPath('kdump-mem'), 'triage', ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout?.on('data', (piece) => {
      this.stdout += piece;
    });
    this.child.stderr?.on('data', (piece) => {
      this.stderr += piece;
    });
    this.ended = new Promise((resolve) => {
      this.child.once('close', (status, signal) => resolve({ status, signal }));
    });
  }

  /** Its processes that are reading a dump now. */
  workers(): number[] {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && !this.#others.has(name));
    const own = pids.filter((pid) => {
      const isOwn = parentOf(pid) === this.child.pid;
      if (!isOwn) this.#others.add(pid);
      return isOwn;
    });
    return own.filter((pid) => wordsOf(pid).includes('--as-worker')).map(Number);
  }

  /** Waits for a process that reads a dump with this in its path; undefined if the run ends before. */
  async workerOn(part: string): Promise<number | undefined> {
    while (this.child.exitCode === null && this.child.signalCode === null) {
      const found = this.workers().find((pid) => wordsOf(String(pid)).includes(part));
      if (found !== undefined) return found;
      await delay(2);
    }
    return undefined;
  }
}

/** Whether a process exists and is no zombie. */
export function isRunning(pid: number): boolean {
  return /^State:\s+[^ZX]/m.test(read(`/proc/${pid}/status`));
}

function parentOf(pid: string): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(read(`/proc/${pid}/status`))?.[1] ?? -1);
}

function wordsOf(pid: string): string {
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
}

/** Empty for a process that has exited meanwhile. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
