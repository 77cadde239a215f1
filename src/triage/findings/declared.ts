import { escapeText } from '../../base/escape.js';
import { formatSize, percentWords } from '../../base/size.js';
import type { Explanation } from '../../contracts/explain.js';
import type { CrashReport } from '../../contracts/log-reports.js';
import { placeOf } from '../../records/cgroups.js';

/** A figure that supports a finding, or a name: untrusted. */
export type Figure = number | string | null;
export type Figures = Readonly<Record<string, Figure>>;

/** Figures by name; null: unknown. */
export type Of<Names extends string, Type extends number | string = number> = Readonly<Record<Names, Type | null>>;
export type OfProcess = Of<'pid'> & Of<'comm', string>;
/** Bytes, and their share of memory. */
export type Amount = Readonly<Record<'bytes' | 'share', number>>;
/** Figures of any report of the kernel log. */
export type Reported = Partial<Of<'cpu' | 'pid'> & Of<'comm' | 'symbol', string>>;

/**
 * Properties of a finding that other code depends on. `excessive`: memory that is large only if something is wrong.
 * `uncounted`: memory in no counter of an OOM report. `shortage`: the largest owner of memory belongs to the problem.
 * `single`: one subject, the machine or a caller of vmalloc. `passing`: a shortage that the kernel survives. `unread`: a
 * detail of the memory that its process pins.
 */
export type Trait = 'excessive' | 'uncounted' | 'shortage' | 'single' | 'passing' | 'unread';

/** Headline and further sentences. A string is only a headline. */
export type Words = string | readonly [headline: string, ...details: string[]];

/** A code: its sentences, whose figures every finding of the code has, and its explanation. */
export interface Declaration extends Explanation {
  readonly words: (figures: never, title?: string) => Words;
  /**
   * What to do about it, if that is not `next` in each case; false: nothing, the details say it. `panicked`: in a dump of a
   * panic. `report`: of the log.
   */
  readonly act?: false | ((figures: never, panicked: boolean, report?: CrashReport) => string | undefined);
  readonly traits?: readonly Trait[];
}
export type Declarations = Readonly<Record<string, Declaration>>;

export const text = (figure: Figure | undefined): string => (figure == null ? '?' : escapeText(String(figure)));
export const size = (figure: Figure | undefined): string => (typeof figure === 'number' ? formatSize(figure) : '?');
export const percent = (figure: Figure | undefined): string =>
  typeof figure === 'number' ? percentWords(100 * figure) : '?';
export const process = ({ pid, comm }: Partial<OfProcess>): string => `pid ${text(pid)} (${text(comm)})`;
export const program = (of: OfProcess & Partial<Of<'processes'>>): string =>
  Number(of.processes ?? 1) > 1 ? `${text(of.processes)} processes named ${text(of.comm)} have` : `${process(of)} has`;
export const place = ({ symbol }: Partial<Of<'symbol', string>>): string =>
  symbol == null ? '' : ` in ${text(symbol)}`;
export const largestWords = (of: Partial<OfProcess & Of<'anonBytes'>>): string[] =>
  of.pid == null ? [] : [`Largest process: ${process(of)}, ${size(of.anonBytes)} of anonymous memory.`];

/** The pod and container of a cgroup, whose path is long; undefined: the path names none. */
const podOf = (path: Figure | undefined): string | undefined => {
  if (typeof path !== 'string') return undefined;
  const { pod, container } = placeOf(path);
  const parts = [
    ...(pod === null ? [] : [`pod ${pod}`]),
    ...(container === null ? [] : [`container ${container.slice(0, 12)}`]),
  ];
  return parts.length === 0 ? undefined : escapeText(parts.join(', '));
};
/** `cgroup /web`, or `the cgroup of pod 7, container 3f2a`. */
export const cgroupWords = (path: Figure | undefined): string => {
  const pod = podOf(path);
  return pod === undefined ? `cgroup ${text(path)}` : `the cgroup of ${pod}`;
};
/** The same without its noun. */
export const cgroupName = (path: Figure | undefined): string => podOf(path) ?? text(path);
/** The path of a cgroup that is named by its pod or container. */
export const cgroupPath = (path: Figure | undefined): string[] =>
  podOf(path) === undefined ? [] : [`Cgroup path: ${text(path)}.`];

/** The figures that a line of the log had, whichever of its forms it has. */
export const figuresOf = <Names extends string>(
  figures: Partial<Of<Names, number | string>>,
  ...names: readonly Names[]
): string => names.flatMap((name) => (figures[name] == null ? [] : text(figures[name]))).join(': ');

/** `CPU 1 was running pid 7 (x).`, where the task is known. */
export const running = (of: Reported): string[] =>
  of.pid == null ? [] : [`${of.cpu == null ? 'A CPU' : `CPU ${text(of.cpu)}`} was running ${process(of)}.`];

/** Pageblocks of the zone, which compaction cannot empty. */
export const blocksWords = (of: Partial<Of<'pageblocks' | 'unmovableBlocks' | 'reclaimableBlocks'>>): string[] =>
  of.pageblocks == null
    ? []
    : [
        `Now ${text(of.unmovableBlocks)} of the ${text(of.pageblocks)} pageblocks of that zone are unmovable, and ${text(of.reclaimableBlocks)} are reclaimable.`,
      ];
