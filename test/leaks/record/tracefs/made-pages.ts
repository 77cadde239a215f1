import { type EventFormat, parseEventFormat } from '../../../../src/leaks/record/tracefs/page.js';
import { PAGE_BYTES, type Stream } from './streams.js';

/** An event to write into a page, with the values of its fields. */
export interface MadeEvent {
  readonly name: string;
  readonly tid?: number;
  readonly flags?: number;
  readonly fields?: Readonly<Record<string, bigint | number>>;
  /** Addresses of a stack. */
  readonly callers?: readonly bigint[];
  /** Nanoseconds since the preceding event. */
  readonly later?: number;
}

/** Writes events in the kernel's layout, by its own format descriptions. */
export function pageOf({ formats }: Stream, time: bigint, events: readonly MadeEvent[]): Buffer {
  const page = Buffer.alloc(PAGE_BYTES);
  page.writeBigUInt64LE(time, 0);
  let at = 16;
  for (const event of events) {
    const data = dataOf(formatOf(formats, event.name), event);
    page.writeUInt32LE((((event.later ?? 1) << 5) | (data.length / 4)) >>> 0, at);
    at += 4 + data.copy(page, at + 4);
  }
  page.writeBigUInt64LE(BigInt(at - 16), 8);
  return page;
}

function formatOf(formats: Stream['formats'], name: string): EventFormat {
  const file = Object.keys(formats).find((one) => one.endsWith(`/${name}/format`)) ?? '';
  return parseEventFormat(formats[file] ?? '', name);
}

function dataOf(format: EventFormat, { tid = 1, flags = 0, fields, callers }: MadeEvent): Buffer {
  const ends = [...format.fields.values()].map(({ offset, size }) => offset + size);
  const stack = format.fields.get('caller');
  const bytes = callers && stack ? stack.offset + callers.length * 8 : Math.max(...ends);
  const data = Buffer.alloc(Math.ceil(bytes / 4) * 4);
  const all = { common_type: format.id, common_pid: tid, common_flags: flags, ...fields };
  for (const [name, value] of Object.entries(all)) {
    const field = format.fields.get(name);
    if (!field) throw new Error(`${format.name} has no ${name}`);
    const whole = Buffer.alloc(8);
    whole.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
    whole.copy(data, field.offset, 0, field.size);
  }
  if (callers && stack) {
    data.writeUInt32LE(callers.length, format.fields.get('size')?.offset ?? 0);
    callers.forEach((caller, at) => {
      data.writeBigUInt64LE(caller, stack.offset + at * 8);
    });
  }
  return data;
}
