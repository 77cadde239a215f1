import { HostError } from '../../base/errors.js';
import type { SiteFrame } from '../../records/allocation-sites.js';
import { ReadingCollector } from '../readings/takes.js';
import { parseSymbolFrame } from '../readings/tally.js';
import type { Recording } from '../recording.js';
import { packedLines } from './packed-lines.js';
import type { FromOrder } from './text-event.js';

/** The first line of a report: of bcc, and of its libbpf tools, which print no leading zeros. */
export const MEMLEAK = /^[\s>|]*\[(\d{1,2}):(\d{1,2}):(\d{1,2})\] Top (\d{1,6}) stacks with outstanding allocations:/;
const STACK = /^[\s>|]*(\d{1,15}) bytes in (\d{1,15}) allocations from stack$/;
const BLOCK = /^[\s>|]*addr = (?:0x)?[0-9a-f]{1,16} size = \d{1,15}$/;
/** A function of a stack, with its address in some versions. */
const FRAME =
  /^[\s>|]*(?:\d{1,3} )?(?:\[<(?<bracketed>[0-9a-f]{1,16})>\] ?|0x(?<bare>[0-9a-f]{8,16})\s+)?(?<name>\S+\+0x[0-9a-f]{1,8}(?: \[[^\]]{1,255}\])?|\[unknown\](?: \[[^\]]{1,255}\])?|<null sym>)$/;

const DAY = 86_400;
const MAX_FRAMES = 128;
/** Maximum number of stacks in all reports together. */
const MAX_STACKS = 500_000;

/** Maximum number of amounts in all readings together. */
const MAX_AMOUNTS = 250_000;

interface Stack {
  readonly bytes: number;
  readonly blocks: number;
  readonly frames: string[];
}

interface Report {
  /** Seconds of the day; those of the days before are added. */
  readonly seconds: number;
  /** Number of stacks that it prints at most. */
  readonly most: number;
  readonly stacks: Stack[];
}

/**
 * Makes a recording from the output of memleak: each report is a reading of what was allocated since it began, and not
 * freed. A report has the largest stacks only. One that is missing in it holds at most as much as its smallest.
 *
 * @throws {HostError} `unreadable`: fewer than two reports, or the allocations of a process
 */
export async function recordingOfMemleak({ type, paths, pageSize }: FromOrder): Promise<Recording> {
  const [path = '', other] = paths;
  if (other !== undefined)
    throw new HostError('unreadable', `${path} and ${other} are outputs of memleak: they count from different times`, {
      next: 'Give one output with several reports.',
    });
  if (type === 'vmalloc') throw new HostError('unreadable', `${path}: memleak records no vmalloc areas`);
  const { reports, strange, isCut } = await reportsIn(path);
  const [first, second] = reports;
  if (!first || !second)
    throw new HostError('unreadable', `${path}: one report of memleak does not show growth`, {
      next: 'Record several reports on that machine: memleak 60 10',
    });
  // It waits for one interval before the first report.
  const began = 2 * first.seconds - second.seconds;
  const takes = new ReadingCollector({ source: path, pageSize, maxSurvivors: 0 });
  await takes.one(0, async () => 0);
  const known = new Set<string>();
  const isFull = reports.some(({ most, stacks }) => stacks.length >= most);
  const keyOf = ({ frames }: Stack) => frames.join('\n');
  for (const { stacks } of reports) for (const stack of stacks) known.add(keyOf(stack));
  // All stacks are in each reading: of very many, only some readings are used.
  const step = Math.ceil((reports.length * known.size) / MAX_AMOUNTS);
  const used = reports.filter((_, index) => index % step === 0 || index === reports.length - 1);
  for (const [index, { seconds, most, stacks }] of used.entries())
    await takes.one((seconds - began) * 1000, async (tally) => {
      tally.strange += strange;
      tally.cut += isCut ? 1 : 0;
      const idOf = (frames: readonly string[]) => tally.known.idOfStack(frames, 'stack', frameOf);
      for (const { bytes, blocks, frames } of stacks) tally.add(idOf(frames), bytes, blocks);
      if (stacks.length < most || index === used.length - 1) return 0;
      const smallest = Math.min(...stacks.map(({ bytes }) => bytes));
      const printed = new Set(stacks.map(keyOf));
      for (const key of known) if (!printed.has(key)) tally.add(idOf(key.split('\n')), smallest, null);
      return 0;
    });
  const recording = takes.recording('slab', 'memleak', false);
  const { gaps = [], losses } = recording;
  return {
    ...recording,
    gaps: isFull ? [...gaps, { code: 'largest', source: path, count: first.most }] : gaps,
    losses: { ...losses, overrun: null, unknownFrees: null, missedFrees: null, dropped: null },
  };
}

async function reportsIn(path: string) {
  const reports: Report[] = [];
  let [strange, count, isCut, isOfKernel] = [0, 0, false, false];
  let open: Stack | undefined;
  for await (const lines of packedLines(path, () => (isCut = true)))
    for (const line of lines) {
      const last = reports.at(-1);
      const head = MEMLEAK.exec(line);
      if (head) {
        const [hours, minutes, rest, most] = head.slice(1).map(Number);
        const day = DAY * Math.floor((last?.seconds ?? 0) / DAY);
        const at = day + (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (rest ?? 0);
        const seconds = at < (last?.seconds ?? 0) ? at + DAY : at;
        // Two reports of one second are one reading.
        if (last?.seconds === seconds) reports.pop();
        reports.push({ seconds, most: most ?? 0, stacks: [] });
        open = undefined;
        continue;
      }
      const stack = STACK.exec(line);
      const frame = FRAME.exec(line);
      if (last && stack && ++count <= MAX_STACKS) {
        open = { bytes: Number(stack[1]), blocks: Number(stack[2]), frames: [] };
        last.stacks.push(open);
      } else if (open && frame) {
        isOfKernel ||= isKernelFrame(frame);
        if (open.frames.length < MAX_FRAMES) open.frames.push(frame.groups?.name ?? '');
      } else if (last && line.trim() !== '' && !BLOCK.test(line)) strange++;
    }
  if (count > 0 && !isOfKernel)
    throw new HostError('unreadable', `${path}: memleak recorded a process, not the kernel`, {
      next: 'Record the kernel on that machine: memleak 60 10',
    });
  // The last report of a text that was cut lacks stacks, or the end of one.
  const [last, before] = [reports.at(-1), reports.at(-2)];
  const isPart = last !== undefined && last.stacks.length < Math.min(last.most, before?.stacks.length ?? 0);
  if (isCut || isPart || count > MAX_STACKS) {
    reports.pop();
    isCut = true;
  }
  return { reports, strange, isCut };
}

/** Whether a function is surely the kernel's: those of a process have the name of a file behind them. */
function isKernelFrame({ groups = {} }: RegExpExecArray): boolean {
  const { bracketed, bare, name = '' } = groups;
  const address = bracketed ?? bare;
  if (address !== undefined && !/^f{4}/.test(address)) return false;
  return name.endsWith(' [kernel]') || (name.includes('+0x') && !name.includes(' ['));
}

function frameOf(line: string): SiteFrame | null {
  const frame = parseSymbolFrame(line.replace(/ \[kernel\]$/, ''));
  return frame && (frame.symbol === '[unknown]' || frame.symbol === '<null') ? { ...frame, symbol: null } : frame;
}
