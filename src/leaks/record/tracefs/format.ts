import { TraceError } from '../../../base/errors.js';

/** Position of a field in an event's data. */
export interface EventField {
  /** Bytes from the start of the event's data. */
  readonly offset: number;
  /** Bytes; 0: the field extends to the end of the data. */
  readonly size: number;
}

/** Type of an event, as `events/SYSTEM/NAME/format` describes it. */
export interface EventFormat {
  readonly name: string;
  /** Value of `common_type` in its data. */
  readonly id: number;
  readonly fields: ReadonlyMap<string, EventField>;
}

/** Maximum size of a format: it has at most 20 lines of fields, but its `print fmt` can be very long. */
const MOST_TEXT = 256 * 1024;

const FIELD =
  /^\tfield:[^;]*?\b(?<name>\w+)(?:\[\w*\])*;\toffset:(?<offset>\d{1,5});\tsize:(?<size>\d{1,5});/gm;

/**
 * Parses an event format as printed by kernel/trace/trace_events.c.
 *
 * @throws {TraceError} `trace-unsupported`
 */
export function parseEventFormat(text: string, name: string): EventFormat {
  const head = text.slice(0, MOST_TEXT);
  const id = /^ID: (\d{1,5})$/m.exec(head)?.[1];
  if (id === undefined) throw unsupported(`the format of ${name} has no ID`);
  const fields = new Map<string, EventField>();
  for (const { groups } of head.matchAll(FIELD))
    fields.set(groups?.name ?? '', {
      offset: Number(groups?.offset),
      size: Number(groups?.size),
    });
  return { name, id: Number(id), fields };
}

/**
 * The first existing field of several names that kernels have used. @throws {TraceError} `trace-unsupported`
 */
export function fieldOf(format: EventFormat, ...names: readonly [string, ...string[]]): EventField {
  for (const name of names) {
    const field = format.fields.get(name);
    if (field) return field;
  }
  const has = [...format.fields.keys()].join(', ');
  throw unsupported(`the event ${format.name} has no field ${names.join(' or ')} (it has ${has})`);
}

export function unsupported(what: string): TraceError {
  return new TraceError('trace-unsupported', `unsupported tracing format: ${what}`);
}
