import type { MemoryAnswer } from '../../account/memory/answer.js';
import { memoryMetrics } from '../../answers/memory/prometheus.js';
import { escapeText } from '../../answers/text/escape.js';
import { formatMetric, gauge } from '../../answers/text/prometheus.js';
import { KdumpMemError } from '../../base/error.js';
import type { LiveSource } from '../kit/live-sources.js';

/** So many times as long as a look took it is shown again: looks take a twentieth of the time at most. */
const KEPT_TIMES = 20;

interface Taken {
  readonly answer: MemoryAnswer;
  readonly at: number;
  readonly durationMs: number;
}

/**
 * Where the memory is, as metrics beside skcheck's own. Each scrape looks anew, unless looks would then take
 * more than a small part of the time: flags of all frames of a large machine take seconds. How old the
 * figures are is a metric; a look that fails is one too, and is said once.
 */
export class MemoryMetrics {
  readonly #look: () => Promise<MemoryAnswer>;
  readonly #now: () => number;
  #taken: Taken | undefined;
  #said = '';

  /** @param look fails with a {@link KdumpMemError} where it may not or cannot look */
  constructor(look: () => Promise<MemoryAnswer>, now: () => number = () => performance.now()) {
    this.#look = look;
    this.#now = now;
  }

  async next(): Promise<{ readonly text: string; readonly ok: boolean }> {
    const kept = this.#taken;
    if (kept && this.#now() - kept.at < KEPT_TIMES * kept.durationMs)
      return { text: this.#metrics(kept), ok: true };
    const begun = this.#now();
    try {
      const answer = await this.#look();
      const at = this.#now();
      this.#taken = { answer, at, durationMs: at - begun };
      this.#said = '';
      return { text: this.#metrics(this.#taken), ok: true };
    } catch (error) {
      if (!(error instanceof KdumpMemError)) throw error;
      this.#taken = undefined;
      const words = `skcheck: memory: ${escapeText(error.message)}.\n`;
      if (words !== this.#said) process.stderr.write(words);
      this.#said = words;
      return { text: up(0), ok: false };
    }
  }

  #metrics({ answer, at, durationMs }: Taken): string {
    const figures = [
      gauge('kdump_mem_memory_age_seconds', 'Age of the memory figures.', [
        [{}, (this.#now() - at) / 1000],
      ]),
      gauge('kdump_mem_memory_scan_seconds', 'Duration of the scan.', [[{}, durationMs / 1000]]),
    ];
    return `${up(1)}${memoryMetrics(answer)}\n${figures.map(formatMetric).join('')}`;
  }
}

function up(value: 0 | 1): string {
  const help = '1: the last memory scan succeeded. 0: it failed.';
  return formatMetric(gauge('kdump_mem_memory_up', help, [[{}, value]]));
}

/** Looks at this machine through one source. */
export function machineMemory(source: LiveSource): MemoryMetrics {
  return new MemoryMetrics(async () => {
    const { liveMemory: lookLive } = await import('../memory/live.js');
    return lookLive({ live: true, engine: 'native', source }, () => undefined);
  });
}
