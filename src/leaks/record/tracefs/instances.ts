import { TraceError } from '../../../base/errors/trace.js';
import { liveHost } from '../../../host/live.js';
import { startTicks } from '../../../host/proc/process.js';
import { TraceInstance } from './instance.js';
import { instanceName, type Purpose } from './instance-name.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** How often one that somebody reads is tried again before it is left. */
const TRIES = 20;
const BETWEEN_TRIES_MS = 5;

/** All instances that this run has made. Whatever ends the run but SIGKILL, they are removed. */
export class TraceInstances {
  /** Those that could not be removed, since somebody else has them open. */
  readonly left: string[] = [];
  readonly #root: string;
  readonly #start: string;
  #all: { readonly instance: TraceInstance; readonly close: (() => void)[] }[] = [];
  readonly #clean = (): void => {
    for (const { instance, close } of this.#all) {
      for (const one of close) one();
      if (!removed(instance)) this.left.push(instance.path);
    }
    this.#all = [];
  };
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.removeAll();
    process.kill(process.pid, signal);
  };
  readonly #signals: readonly NodeJS.Signals[];

  /** @throws {TraceError} `trace-failed` */
  constructor(root: string) {
    const start = startTicks(liveHost, 'self');
    if (start === null) throw new TraceError('trace-failed', '/proc/self/stat cannot be read');
    this.#root = root;
    this.#start = start;
    // Those that somebody takes end the recording by it; others would end us.
    this.#signals = SIGNALS.filter((signal) => process.listenerCount(signal) === 0);
    process.on('exit', this.#clean);
    for (const signal of this.#signals) process.on(signal, this.#onSignal);
  }

  /** @throws {TraceError} `trace-no-root`, `trace-locked-down`, `trace-failed` */
  make(purpose: Purpose): TraceInstance {
    const name = instanceName({ pid: process.pid, start: this.#start }, purpose);
    const instance = new TraceInstance(this.#root, name);
    this.#all.push({ instance, close: [] });
    return instance;
  }

  /** What keeps an instance busy, and is to be closed before it is removed. */
  closeBefore(instance: TraceInstance, close: () => void): void {
    this.#all.find((one) => one.instance === instance)?.close.push(close);
  }

  /** One is no longer needed. */
  remove(instance: TraceInstance): void {
    const found = this.#all.find((one) => one.instance === instance);
    for (const close of found?.close ?? []) close();
    if (!removed(instance)) this.left.push(instance.path);
    this.#all = this.#all.filter((one) => one !== found);
  }

  removeAll(): void {
    this.#clean();
    process.off('exit', this.#clean);
    for (const signal of this.#signals) process.off(signal, this.#onSignal);
  }
}

/** In one go, since no event loop runs when a process exits. */
function removed(instance: TraceInstance): boolean {
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  for (let tries = 0; tries < TRIES; tries++) {
    if (instance.remove()) return true;
    Atomics.wait(nobody, 0, 0, BETWEEN_TRIES_MS);
  }
  return false;
}
