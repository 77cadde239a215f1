import { statSync } from 'node:fs';
import { attempt, HostError } from '../../base/errors/host.js';
import { SlabTracesParser } from '../readings/slab-traces.js';
import { parserOf, type ReadingMethod } from '../readings/take.js';
import { Takes } from '../readings/takes.js';
import type { Tally, TallyParser } from '../readings/tally.js';
import type { Recording } from '../recording.js';
import type { CopyOrder } from './copy-order/copy-facts.js';
import { factsOf } from './copy-order/facts-of.js';
import { recordingOfEvents } from './events.js';
import type { FromOrder } from './order.js';
import { packedLines } from './packed-lines.js';

/**
 * A recording out of files: what `perf script` or tracefs printed of kmem events with stacks, or copies of what
 * the kernel keeps by itself (page_owner, page_owner_stacks, allocinfo, alloc_traces, vmallocinfo). Which of them it
 * is, is seen by what they say.
 *
 * @throws {HostError} `gone`, `denied`, `unreadable`
 */
export async function recordingFrom(order: FromOrder): Promise<Recording> {
  checkDifferent(order.paths);
  const forms = await Promise.all(order.paths.map(recognise));
  const [form] = forms;
  if (form === undefined) throw new HostError('unreadable', 'no file is given');
  const other = forms.findIndex((each) => each !== form);
  if (other >= 0)
    throw new HostError(
      'unreadable',
      `${order.paths[0]} is ${form} and ${order.paths[other]} is ${forms[other]}: they cannot be combined`,
    );
  checkMeant(form, order);
  return form === 'trace-text' || form === 'perf-script'
    ? recordingOfEvents(form, order)
    : recordingOfCopies(form, order);
}

/** Of one file, given twice, nothing would seem to grow, and each event would come twice. @throws {HostError} */
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

/** What would be passed over is refused. @throws {HostError} */
function checkMeant(form: FileForm, { paths, seconds, windows }: FromOrder): void {
  const areEvents = form === 'trace-text' || form === 'perf-script';
  if (areEvents && seconds !== null)
    throw new HostError('unreadable', `${paths[0]} is ${form}: its events have timestamps`, {
      next: 'Remove --interval, which applies to copies.',
    });
  if (!areEvents && windows !== null)
    throw new HostError('unreadable', `${paths[0]} is ${form}: each copy ends a window`, {
      next: 'Remove --windows, which applies to events.',
    });
}

/** What a file holds. */
type FileForm = ReadingMethod | 'trace-text' | 'perf-script';

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
  throw new HostError('unreadable', `${path}: unsupported format`, {
    next: 'Give perf script or tracefs output with kmem events, or two copies of page_owner, show_stacks, allocinfo, alloc_traces or vmallocinfo.',
  });
}

/** Copies of what the kernel keeps by itself, each a reading. @throws {HostError} */
async function recordingOfCopies(method: ReadingMethod, order: FromOrder): Promise<Recording> {
  const { type, paths, pageSize, maxSurvivors } = order;
  if (paths.length < 2)
    throw new HostError('unreadable', `one copy of ${method} does not show growth`, {
      next: 'Give two copies or more, oldest first.',
    });
  const moments = momentsOf(order);
  const takes = new Takes({ source: paths.join(', '), pageSize, maxSurvivors });
  let earlier = factsOf(method);
  let untold = 0;
  for (const [at, path] of paths.entries()) {
    const facts = factsOf(method);
    await takes.one(moments[at] ?? 0, async (tally) => {
      const parser = copyParser(method, path, tally);
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
      if (order === 'untold') untold++;
    }
    earlier = facts;
  }
  const recording = takes.recording(type, method, false);
  return untold === 0 ? recording : { ...recording, unknownOrder: untold };
}

/** @throws {HostError} what came and what went would be told the wrong way round, or of nothing at all */
function checkOrder(order: CopyOrder, before: string, path: string): void {
  if (order === 'earlier')
    throw new HostError('unreadable', `${path} is not later than ${before}`, {
      next: 'Give copies of one machine and one boot, oldest first.',
    });
  if (order === 'unrelated')
    throw new HostError(
      'unreadable',
      `${before} and ${path} are from different machines or boots`,
      { next: 'Give copies of one machine and one boot, oldest first.' },
    );
}

function copyParser(method: ReadingMethod, path: string, tally: Tally): TallyParser {
  if (method !== 'slab-traces') return parserOf(method, tally);
  // The file does not tell how large its objects are; its cache's name may.
  const size = /(?:^|[^a-z0-9])kmalloc-(?:[a-z]+-)*(\d{1,5})(k?)(?![0-9a-z])/.exec(path);
  if (!size)
    throw new HostError('unreadable', `${path}: the object size is unknown`, {
      next: 'Name the copy after its cache, with the size: kmalloc-1k.',
    });
  return new SlabTracesParser(tally, Number(size[1]) * (size[2] === 'k' ? 1024 : 1));
}

/** Milliseconds from the first copy on. @throws {HostError} nobody tells when they were made */
function momentsOf({ paths, seconds }: FromOrder): number[] {
  if (seconds !== null) return paths.map((_, at) => (seconds * 1000 * at) / (paths.length - 1));
  const times = paths.map((path) => attempt(path, () => statSync(path)).mtimeMs);
  const began = times[0] ?? 0;
  if (times.some((time, at) => at > 0 && time < (times[at - 1] ?? 0) + LEAST_APART_MS))
    throw new HostError(
      'unreadable',
      'the times of the copies are unknown (file times must be at least 1 s apart)',
      { next: 'Give them oldest first, with the time from first to last: --interval 10m' },
    );
  return times.map((time) => time - began);
}

const LEAST_APART_MS = 1000;
