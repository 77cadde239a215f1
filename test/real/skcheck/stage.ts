import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { type SkcheckReport, skcheckSchema } from '../../../src/answers/skcheck/schema.js';

export const CLI = fileURLToPath(new URL('../../../dist/bin/skcheck.js', import.meta.url));
const ACTOR = fileURLToPath(new URL('./actor.mjs', import.meta.url));

export interface ActorOptions {
  readonly reads?: 'never' | 'healthy' | 'slow';
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly backlog?: number;
  readonly bytes?: number;
  readonly chunk?: number;
  readonly count?: number;
  readonly bursts?: boolean;
  readonly comm?: string;
  readonly writes?: boolean;
  readonly share?: boolean;
  readonly hangs?: boolean;
  readonly spins?: boolean;
}

export interface Actor {
  readonly pid: number;
  readonly port: number;
  /** The process that was started with the first connection's socket as two of its descriptors. */
  readonly child: Promise<number>;
  /** Kept when the first connection is a descriptor of the server: only then is it an owner. */
  readonly accepted: Promise<unknown>;
  stop(): void;
}

/**
 * Commands that end in exec, to run a pair's processes through; the client's command receives the
 * server.
 */
export interface PairPlace {
  readonly around?: string[];
  readonly enter?: (server: Actor) => string[];
}

/** A separate network namespace for the pair. */
export const NEW_NETNS = {
  around: ['unshare', '-n', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'],
  enter: ({ pid }: Actor) => ['nsenter', `--net=/proc/${pid}/ns/net`],
};

/** Real processes with real sockets, all stopped together. */
export class Stage {
  readonly #pids: number[] = [];

  /**
   * Starts an actor (through `wrapper`, a command that ends in exec) and waits until it is ready.
   */
  async start(role: string, options: ActorOptions = {}, wrapper: string[] = []): Promise<Actor> {
    const [command = '', ...args] = [...wrapper, process.execPath, ACTOR, role, JSON.stringify(options)];
    const actor = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const pid = actor.pid;
    if (pid === undefined) throw new Error(`${command} did not start`);
    this.#pids.push(pid);
    const child = nextMessage(actor, 'child').then((value) => {
      this.#pids.push(value);
      return value;
    });
    child.catch(() => undefined);
    const accepted = nextMessage(actor, 'accepted');
    accepted.catch(() => undefined);
    const port = await nextMessage(actor, 'port', 'ready');
    return { pid, port, child, accepted, stop: () => process.kill(pid, 'SIGSTOP') };
  }

  /**
   * A server, and a client of it; waits until the server holds the connection. A wrapper for each
   * runs it elsewhere.
   */
  async pair(
    reads: ActorOptions,
    writes: ActorOptions = {},
    { around = [], enter = () => [] }: PairPlace = {},
  ): Promise<{ server: Actor; client: Actor }> {
    const server = await this.start('server', { reads: 'never', ...reads }, around);
    const { host, path } = reads;
    const where = path === undefined ? { port: server.port, ...(host && { host }) } : { path };
    const client = await this.start('client', { ...where, ...writes }, enter(server));
    await server.accepted;
    return { server, client };
  }

  /** Starts a perl program of this folder; the first line that it prints is its port. */
  async perl(program: string, ...args: string[]): Promise<{ pid: number; port: number }> {
    const path = fileURLToPath(new URL(program, import.meta.url));
    const actor = spawn('perl', [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    if (actor.pid === undefined) throw new Error('perl did not start');
    this.#pids.push(actor.pid);
    const port = await new Promise<number>((resolve, reject) => {
      actor.on('exit', (code) => reject(new Error(`${program} ended with ${code}`)));
      actor.stdout.once('data', (bytes: Buffer) => resolve(Number(bytes.toString())));
    });
    return { pid: actor.pid, port };
  }

  end(): void {
    for (const pid of this.#pids)
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has exited on its own.
      }
  }
}

function nextMessage(actor: ChildProcess, field: string, also = field): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${field} from an actor`)), STEP_MS);
    timer.unref();
    actor.on('exit', (code) => reject(new Error(`an actor ended with ${code}`)));
    actor.on('message', (message: Record<string, unknown>) => {
      if (!(field in message) && !(also in message)) return;
      clearTimeout(timer);
      resolve(Number(message[field] ?? 0));
    });
  });
}

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built command as a user would, behind `wrapper`. */
export function skcheck(args: string[], wrapper: string[] = [], env: NodeJS.ProcessEnv = {}): Run {
  if (!existsSync(CLI)) throw new Error('dist/bin/skcheck.js is missing: npm run build');
  const [command = '', ...rest] = [...wrapper, process.execPath, CLI, ...args];
  const { status, stdout, stderr, error } = spawnSync(command, rest, {
    encoding: 'utf8',
    timeout: STEP_MS,
    maxBuffer: 2 ** 28,
    env: { ...process.env, ...env },
  });
  if (error) throw error;
  return { status, stdout, stderr };
}

/** The same with `--json`, checked against the schema. */
export function skcheckJson(
  args: string[],
  wrapper: string[] = [],
  env: NodeJS.ProcessEnv = {},
): Run & { report: SkcheckReport } {
  const run = skcheck([...args, '--json'], wrapper, env);
  try {
    return { ...run, report: skcheckSchema.parse(JSON.parse(run.stdout)) };
  } catch (cause) {
    throw new Error(`skcheck ended with ${run.status}: ${run.stdout}${run.stderr}`, { cause });
  }
}

/** Several in parallel, with `--json`: each mostly waits for its second sample. */
export function together(...runs: string[][]): Promise<(Run & { report: SkcheckReport })[]> {
  return Promise.all(
    runs.map(async (args) => {
      const child = spawn(process.execPath, [CLI, ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
      const [stdout, stderr, [status]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close'),
      ]);
      return { status, stdout, stderr, report: skcheckSchema.parse(JSON.parse(stdout)) };
    }),
  );
}

/** Removes a cgroup as soon as its killed processes have exited. */
export function removeCgroup(path: string): Promise<void> {
  return until(() => {
    try {
      rmdirSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
    }
    return !existsSync(path);
  });
}

/** Waits until `ready` returns true, with the usual limit. */
export async function until(ready: () => boolean): Promise<void> {
  const deadline = Date.now() + STEP_MS;
  while (!ready()) {
    if (Date.now() > deadline) throw new Error(`it did not come about: ${ready}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
