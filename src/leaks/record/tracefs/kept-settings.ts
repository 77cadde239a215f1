import type { TraceInstance } from './instance.js';
import type { EventName } from './kinds.js';

/** Files of an instance that decide, beside those of its events, what is recorded. A kernel may lack some. */
const COMMON = [
  'tracing_on',
  'tracing_cpumask',
  'trace_clock',
  'options/stacktrace',
  'set_event_pid',
  'set_event_notrace_pid',
] as const;

/**
 * What decides which events an instance records: whoever is root may change it while it is recorded
 * (`trace-cmd reset -a`, `echo 0 > events/enable`), and the buffers do not tell.
 */
export class KeptSettings {
  readonly #instance: Pick<TraceInstance, 'path' | 'readOptional'>;
  readonly #files: readonly string[];
  #kept: ReadonlyMap<string, string | null> = new Map();

  constructor(
    instance: Pick<TraceInstance, 'path' | 'readOptional'>,
    events: readonly Pick<EventName, 'system' | 'name'>[],
  ) {
    this.#instance = instance;
    this.#files = [
      ...COMMON,
      ...events.flatMap(({ system, name }) => [
        `events/${system}/${name}/enable`,
        `events/${system}/${name}/filter`,
      ]),
    ];
  }

  /** What is there now is what we set. */
  keep(): void {
    this.#kept = this.#texts();
  }

  /** Files that say something else than they did, or that can be read no more. Paths. */
  changed(): string[] {
    const texts = this.#texts();
    return this.#files
      .filter((file) => texts.get(file) !== this.#kept.get(file))
      .map((file) => `${this.#instance.path}/${file}`);
  }

  #texts(): ReadonlyMap<string, string | null> {
    return new Map(this.#files.map((file) => [file, textOf(this.#instance, file)]));
  }
}

function textOf(instance: Pick<TraceInstance, 'readOptional'>, file: string): string | null {
  const text = instance.readOptional(file);
  // `1*`: a trigger is set besides, which may disable it; then it is `0*` (event_enable_read of trace_events.c).
  return file.endsWith('/enable') ? (text?.slice(0, 1) ?? null) : text;
}
