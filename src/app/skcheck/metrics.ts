import { formatHealth, type ScanHealth } from '../../answers/skcheck/health.js';
import { formatPrometheus } from '../../answers/skcheck/prometheus.js';
import { escapeText } from '../../answers/text/escape.js';
import { ExhaustedError, isHostError } from '../../base/errors/host.js';
import { EXHAUSTION_ADVICE } from '../../base/exhaustion.js';
import type { HostSource } from '../../host/host-source.js';
import { adviceFor } from './failure.js';
import { type MemoryMetrics, machineMemory } from './memory.js';
import type { SkcheckOptions } from './request.js';
import { scan } from './scan.js';

type Past = Pick<ScanHealth, 'failures' | 'lastSuccessMs'>;

/** Looks as metrics: one that fails is told by metrics too, and on stderr. */
export class ScanMetrics {
  #failures: number;
  #lastSuccessMs: number | null;
  readonly #memory: MemoryMetrics | undefined;
  /** What was said last, so that a scrape that fails every few seconds says it once. */
  #said = '';

  constructor(
    readonly source: HostSource,
    readonly options: SkcheckOptions,
    { failures, lastSuccessMs }: Past = { failures: 0, lastSuccessMs: null },
  ) {
    this.#failures = failures;
    this.#lastSuccessMs = lastSuccessMs;
    this.#memory = options.memory === undefined ? undefined : machineMemory(options.memory);
  }

  /** One look, and where the memory is if that is asked for: neither spoils the other. */
  async next(): Promise<{ readonly text: string; readonly ok: boolean }> {
    const sockets = await this.#sockets();
    const memory = await this.#memory?.next();
    if (!memory) return sockets;
    return { text: `${sockets.text}${memory.text}`, ok: sockets.ok && memory.ok };
  }

  /** What is listed does not matter for metrics, so all of it is looked through. */
  async #sockets(): Promise<{ readonly text: string; readonly ok: boolean }> {
    const began = performance.now();
    const { stale: _, top: __, verdict: ___, ...all } = this.options;
    try {
      const { report } = await scan(this.source, all);
      this.#lastSuccessMs = Date.now();
      this.#said = '';
      const figures = formatPrometheus(report, performance.now() - began);
      return { text: `${this.#health(null)}${figures}`, ok: true };
    } catch (error) {
      const exhausted = error instanceof ExhaustedError;
      if (!exhausted && !isHostError(error)) throw error;
      this.#failures++;
      const advice = exhausted
        ? EXHAUSTION_ADVICE
        : adviceFor(error.code, this.options.from !== undefined);
      const words = `skcheck: ${escapeText(error.message)}. ${advice}\n`;
      if (words !== this.#said) process.stderr.write(words);
      this.#said = words;
      return { text: this.#health(error.code), ok: false };
    }
  }

  #health(failure: ScanHealth['failure']): string {
    return formatHealth({
      failure,
      failures: this.#failures,
      lastSuccessMs: this.#lastSuccessMs,
    });
  }
}
