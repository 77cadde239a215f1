import { HostError } from '../../host/error.js';
import type { ReadingMethod } from '../readings/take.js';
import { packedLines } from './packed-lines.js';

/** What a file holds. */
export type FileForm = ReadingMethod | 'trace-text' | 'perf-script';

const FORMS: readonly (readonly [FileForm, RegExp])[] = [
  ['allocinfo', /^allocinfo - version: \d/],
  ['page-owner', /^Page allocated via order \d/],
  ['page-owner-stacks', /^nr_base_pages: \d/],
  ['slab-traces', /^ {0,6}\d+ \S+.* age=\d/],
  ['vmallocinfo', /^0x[0-9a-f]+-0x[0-9a-f]+ +\d+ /],
  ['trace-text', /^# tracer: |^ *\S.*-\d+ +.*\[\d+\] .*\d+\.\d+: (\w+:|<stack trace>)/],
  ['perf-script', /^ *\S.* +\d+ .*\d+\.\d+: +(\d+ +)?\w+:\w+: /],
];

/** Enough for a stack and the line behind it. */
const MOST_LINES = 300;

/** @throws {HostError} `gone`, `denied`, `unreadable`: it is none of those that are known */
export async function recognise(path: string): Promise<FileForm> {
  let seen = 0;
  for await (const lines of packedLines(path)) {
    for (const line of lines.slice(0, MOST_LINES - seen)) {
      const form = FORMS.find(([, pattern]) => pattern.test(line.slice(0, 1000)))?.[0];
      if (form) return form;
    }
    seen += lines.length;
    if (seen >= MOST_LINES) break;
  }
  throw new HostError('unreadable', `${path} is nothing that leaks can read`, {
    next: 'Give what perf script or tracefs printed of kmem events, or two copies of page_owner, show_stacks, allocinfo, alloc_traces or vmallocinfo.',
  });
}
