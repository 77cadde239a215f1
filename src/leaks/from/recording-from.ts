import { statSync } from 'node:fs';
import { attempt, HostError } from '../../base/errors.js';
import { PageOwnerSortParser, SlabTracesParser } from '../readings/page-owner.js';
import { parserOf, type ReadingMethod } from '../readings/take.js';
import { ReadingCollector } from '../readings/takes.js';
import type { Tally, TallyParser } from '../readings/tally.js';
import type { Recording } from '../recording.js';
import { type CopyOrder, factsOf } from './copy-order.js';
import { recordingOfEvents } from './events.js';
import { MEMLEAK, recordingOfMemleak } from './memleak.js';
import { packedLines } from './packed-lines.js';
import type { FromOrder } from './text-event.js';

/**
 * Makes a recording from files: output of `perf script` or tracefs with kmem events and stacks, or copies of
 * the kernel's own records (page_owner, page_owner_stacks, allocinfo, alloc_traces, vmallocinfo). The format
 * is recognized by content.
 *
 * @throws {HostError} `gone`, `denied`, `unreadable`
 */
export async function recordingFrom(order: FromOrder): Promise<Recording> {
  checkDifferent(order.paths);
  const forms = await Promise.all(order.paths.map(recognise));
  const [form] = forms;
  if (form === undefined) throw new HostError('unreadable', 'no file is given');
  const other = forms.findIndex((known) => known !== form);
  if (other >= 0)
    throw new HostError(
      'unreadable',
      `${order.paths[0]} is ${form} and ${order.paths[other]} is ${forms[other]}: they cannot be combined`,
    );
  checkMeant(form, order);
  if (form === 'memleak') return recordingOfMemleak(order);
  return form === 'trace-text' || form === 'perf-script'
    ? recordingOfEvents(form, order)
    : recordingOfCopies(form, order);
}

/**
 * With the same file twice nothing would seem to grow, and each event would be counted twice. @throws
 * {HostError}
 */
function checkDifferent(paths: readonly string[]): void {
  const known = new Map<string, string>();
  for (const path of paths) {
    const { dev, ino } = attempt(path, () => statSync(path));
    const key = `${dev} ${ino}`;
    const other = known.get(key);
    if (other !== undefined)
      throw new HostError('unreadable', `${other} and ${path} are the same file`, {
        next: 'Give copies made at different times, oldest first.',
      });
    known.set(key, path);
  }
}

/** Refuses options that would be ignored. @throws {HostError} */
function checkMeant(form: FileForm, { paths, seconds, windows }: FromOrder): void {
  const areEvents = form === 'trace-text' || form === 'perf-script';
  if ((areEvents || form === 'memleak') && seconds !== null)
    throw new HostError('unreadable', `${paths[0]} is ${form}: it has timestamps`, {
      next: 'Remove --interval, which applies to copies.',
    });
  if (!areEvents && windows !== null)
    throw new HostError('unreadable', `${paths[0]} is ${form}: each copy or report ends a window`, {
      next: 'Remove --windows, which applies to events.',
    });
}

/** Format of a file. */
type FileForm = ReadingMethod | 'page-owner-sort' | 'memleak' | 'trace-text' | 'perf-script';

const FORMS: readonly (readonly [FileForm, RegExp])[] = [
  ['allocinfo', /^allocinfo - version: \d/],
  ['page-owner-sort', /^\d+ times, \d+ pages/],
  ['memleak', MEMLEAK],
  ['page-owner', /^Page allocated via order \d/],
  ['page-owner-stacks', /^nr_base_pages: \d/],
  ['slab-traces', /^ {0,6}\d+ \S+.* age=\d/],
  ['vmallocinfo', /^0x[0-9a-f]+-0x[0-9a-f]+ +\d+ /],
  ['trace-text', /^# tracer: |^ *\S.*-\d+ +.*\[\d+\] .*\d+\.\d+: (\w+:|<stack trace>)/],
  ['perf-script', /^ *\S.* +\d+ .*\d+\.\d+: +(\d+ +)?\w+:\w+: /],
];

/** Enough lines for a stack and the line after it. */
const MAX_LINES = 300;

/** @throws {HostError} `gone`, `denied`, `unreadable`: the format is unknown */
export async function recognise(path: string): Promise<FileForm> {
  let seen = 0;
  for await (const lines of packedLines(path)) {
    for (const line of lines.slice(0, MAX_LINES - seen)) {
      const form = FORMS.find(([, pattern]) => pattern.test(line.slice(0, 1000)))?.[0];
      if (form) return form;
    }
    seen += lines.length;
    if (seen >= MAX_LINES) break;
  }
  throw new HostError('unreadable', `${path}: unsupported format`, {
    next: 'Give perf script or tracefs output with kmem events, output of memleak, or two copies of page_owner, show_stacks, allocinfo, alloc_traces or vmallocinfo.',
  });
}

/** Copies of the kernel's own records, each a reading. @throws {HostError} */
async function recordingOfCopies(form: ReadingMethod | 'page-owner-sort', order: FromOrder): Promise<Recording> {
  const method = form === 'page-owner-sort' ? 'page-owner-stacks' : form;
  const { type, paths, pageSize, maxSurvivors } = order;
  if (paths.length < 2)
    throw new HostError('unreadable', `one copy of ${form} does not show growth`, {
      next: 'Give two copies or more, oldest first.',
    });
  const moments = momentsOf(order);
  const takes = new ReadingCollector({ source: paths.join(', '), pageSize, maxSurvivors });
  let earlier = factsOf(method);
  let unordered = 0;
  for (const [at, path] of paths.entries()) {
    const facts = factsOf(method);
    await takes.one(moments[at] ?? 0, async (tally) => {
      const parser = copyParser(form, path, tally);
      const pieces = packedLines(path, () => tally.cut++);
      for await (const lines of pieces)
        for (const line of lines) {
          parser.line(line);
          facts.line(line);
        }
      parser.end();
      if (parser instanceof SlabTracesParser && parser.isCut) tally.cut++;
      if (method !== 'slab-traces') tally.check(path);
      return 0;
    });
    const before = paths[at - 1];
    if (before !== undefined) {
      const order = facts.after(earlier);
      checkOrder(order, before, path);
      if (order === 'untold') unordered++;
    }
    earlier = facts;
  }
  const recording = takes.recording(type, method, false);
  return unordered === 0 ? recording : { ...recording, unknownOrder: unordered };
}

/** @throws {HostError} the copies are in the wrong order, or unrelated */
function checkOrder(order: CopyOrder, before: string, path: string): void {
  if (order === 'earlier')
    throw new HostError('unreadable', `${path} is not later than ${before}`, {
      next: 'Give copies of one machine and one boot, oldest first.',
    });
  if (order === 'unrelated')
    throw new HostError('unreadable', `${before} and ${path} are from different machines or boots`, {
      next: 'Give copies of one machine and one boot, oldest first.',
    });
}

function copyParser(method: ReadingMethod | 'page-owner-sort', path: string, tally: Tally): TallyParser {
  if (method === 'page-owner-sort') return new PageOwnerSortParser(tally);
  if (method !== 'slab-traces') return parserOf(method, tally);
  // The file does not contain the object size, but the name of the cache may.
  const size = /(?:^|[^a-z0-9])kmalloc-(?:[a-z]+-)*(\d{1,5})(k?)(?![0-9a-z])/.exec(path);
  if (!size)
    throw new HostError('unreadable', `${path}: the object size is unknown`, {
      next: 'Name the copy after its cache, with the size: kmalloc-1k.',
    });
  return new SlabTracesParser(tally, Number(size[1]) * (size[2] === 'k' ? 1024 : 1));
}

/** Milliseconds since the first copy. @throws {HostError} the time of the copies is unknown */
function momentsOf({ paths, seconds }: FromOrder): number[] {
  if (seconds !== null) return paths.map((_, at) => (seconds * 1000 * at) / (paths.length - 1));
  const times = paths.map((path) => attempt(path, () => statSync(path)).mtimeMs);
  const began = times[0] ?? 0;
  const at = times.findIndex((time, index) => time < (times[index - 1] ?? 0) + MIN_APART_MS);
  if (at > 0)
    throw new HostError(
      'unreadable',
      `the time between the copies is unknown (the file time of ${paths[at]} is not at least 1 s after that of ${paths[at - 1]})`,
      {
        next: 'List the copies oldest first, and add --interval DURATION, the time from the first copy to the last (10m if ten minutes apart)',
      },
    );
  return times.map((time) => time - began);
}

const MIN_APART_MS = 1000;
