import { endianness } from 'node:os';
import { unsupported } from './format.js';

/** How a page of a ring buffer is laid out (`events/header_page`): bytes from its start. */
export interface PageLayout {
  /** Nanoseconds, 64 bits. */
  readonly timestamp: number;
  /** Bytes of data, with flags in its upper bits. */
  readonly commit: number;
  readonly data: number;
  /** Of the whole page, as one read gives it at most. */
  readonly pageBytes: number;
}

/** What a header of an event must say, or we do not understand its pages (`events/header_event`). */
const EVENT_HEADER = {
  type_len: 5,
  time_delta: 27,
  padding: 29,
  time_extend: 30,
  time_stamp: 31,
} as const;

/** A page of a ring buffer is a page of memory, or by an option of 6.8 on as much as 2^7 of those. */
const MOST_PAGE_BYTES = 64 * 1024 * 128;

/**
 * @param headerPage text of `events/header_page`
 * @param headerEvent text of `events/header_event`
 * @param pageKilobytes `buffer_subbuf_size_kb` of the instance, where there is such a file
 * @throws {TraceError} `trace-unsupported`
 */
export function parsePageLayout(
  headerPage: string,
  headerEvent: string,
  pageKilobytes: number | null,
): PageLayout {
  if (endianness() !== 'LE') throw unsupported('big-endian');
  for (const [name, value] of Object.entries(EVENT_HEADER)) {
    const told = new RegExp(`^\\s*${name}\\s*:\\s*(?:type == )?(\\d+)`, 'm').exec(headerEvent)?.[1];
    if (told !== String(value))
      throw unsupported(`header_event says ${name} ${told ?? 'nothing'}, not ${value}`);
  }
  const field = (name: string) => {
    const found = new RegExp(
      `^\\s*field: [^;]*\\b${name};\\s*offset:(\\d{1,4});\\s*size:(\\d{1,7});`,
      'm',
    ).exec(headerPage);
    if (!found) throw unsupported(`header_page has no field ${name}`);
    return { offset: Number(found[1]), size: Number(found[2]) };
  };
  const [timestamp, commit, data] = [field('timestamp'), field('commit'), field('data')];
  const pageBytes =
    pageKilobytes === null ? data.offset + data.size : Math.floor(pageKilobytes) * 1024;
  if (timestamp.size !== 8 || commit.size !== 8 || commit.offset + commit.size > data.offset)
    throw unsupported('unexpected header_page');
  if (!(pageBytes > data.offset && pageBytes <= MOST_PAGE_BYTES))
    throw unsupported(`buffer pages of ${pageBytes} bytes`);
  return { timestamp: timestamp.offset, commit: commit.offset, data: data.offset, pageBytes };
}
