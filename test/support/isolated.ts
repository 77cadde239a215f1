import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { PoolOptions, PoolRunnerInitializer, PoolWorker, WorkerRequest } from 'vitest/node';
import { metricTools } from './metric-tools.js';

/**
 * Prepares the namespaces and runs the worker in them. The shell stays pid 1: it reaps processes that lose their parent, and the kernel
 * kills whatever is left when it exits.
 */
const PREPARE = `set -e
shm=$(stat -c %d /dev/shm)
mount -t proc proc /proc
# A tmpfs can be mounted several times: at /dev/shm itself, and elsewhere.
cut -d ' ' -f 5 /proc/self/mountinfo | while read -r at; do
  [ "$(stat -c %d "$at")" != "$shm" ] || umount -l "$at"
done
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
"$@"`;

type Listener = Parameters<PoolWorker['on']>[1];

/**
 * A worker of vitest in pid, mount, network and ipc namespaces of its own, with its own /proc, /dev/shm and /run. The test
 * and all that it starts see each other, under the pids that the test knows, and no other process, socket or shared memory of this
 * machine. Needs root.
 */
class IsolatedWorker implements PoolWorker {
  readonly name = 'isolated';
  readonly cacheFs = true;
  readonly #options: PoolOptions;
  #child: ChildProcess | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  get #process(): ChildProcess {
    if (this.#child === undefined) throw new Error('the worker was not started');
    return this.#child;
  }

  on(event: string, callback: Listener): void {
    this.#process.on(event, callback);
  }

  off(event: string, callback: Listener): void {
    this.#process.off(event, callback);
  }

  send(message: WorkerRequest): void {
    this.#process.send(message);
  }

  deserialize(data: unknown): unknown {
    return data;
  }

  async start(): Promise<void> {
    // The tests have no network: what they fetch once is fetched before.
    metricTools();
    const { distPath, env, execArgv } = this.#options;
    const worker = [process.execPath, ...execArgv, `${distPath}/workers/forks.js`];
    const namespaces = ['--fork', '--kill-child', '--pid', '--mount', '--net', '--ipc'];
    this.#child = spawn('unshare', [...namespaces, 'sh', '-c', PREPARE, 'sh', ...worker], {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
  }

  async stop(): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }
}

/** The pool of tests that look at "this machine". */
export const isolated: PoolRunnerInitializer = {
  name: 'isolated',
  createPoolWorker: (options) => new IsolatedWorker(options),
};
