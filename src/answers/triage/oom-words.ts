import type { Figure } from '../../triage/finding.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';

type Figures = Readonly<Record<string, Figure>>;

const text = (figure: Figure | undefined): string =>
  figure == null ? '?' : escapeText(String(figure));
const size = (figure: Figure | undefined): string =>
  typeof figure === 'number' ? formatSize(figure) : text(figure);

/** A part of memory as people read it. */
export const share = (bytes: number, ram: number): string => `${Math.round((100 * bytes) / ram)} %`;

/** The sentences of a report of the OOM killer; a figure that an older report lacks has none. */
export function oomWords(of: Figures): readonly [headline: string, ...details: string[]] {
  return [verdict(of), ...kill(of), ...cause(of), ...shortage(of), ...rest(of)];
}

/** Drawn from all lines of the report: a kernel that panics first has no victim. */
function verdict(of: Figures): string {
  const killer =
    of.invokedBy == null ? 'OOM killer' : `OOM killer invoked by ${text(of.invokedBy)}`;
  const victim = `pid ${text(of.pid)} (${text(of.comm)})`;
  switch (of.outcome) {
    case 'panic':
      return `${killer} killed no process: the kernel panicked first (${text(of.panicOnOom)} vm.panic_on_oom).`;
    case 'no-killable-process':
      return `${killer} found no process that it may kill.`;
    case 'exiting':
      return `${killer} chose ${victim}, which was already exiting.`;
    case 'chosen':
      return `${killer} chose ${victim}; the log does not contain the kill.`;
    case 'unknown':
      return `${killer}; the log does not name the victim.`;
    default:
      return `OOM killer killed ${victim}, which had ${size(of.victimAnonBytes)} of anonymous memory${
        typeof of.victimRssBytes === 'number' && typeof of.ramBytes === 'number'
          ? ` (RSS: ${share(of.victimRssBytes, of.ramBytes)} of RAM)`
          : ''
      }${
        typeof of.victimSwapBytes === 'number' && of.victimSwapBytes > 0
          ? ` and ${size(of.victimSwapBytes)} in swap`
          : ''
      }.`;
  }
}

function kill(of: Figures): string[] {
  const others = typeof of.victims === 'number' ? of.victims - 1 : 0;
  return [
    ...(others > 0
      ? [`${others} more ${others === 1 ? 'process was' : 'processes were'} killed with it.`]
      : []),
    ...(of.chosenPid != null && of.chosenPid !== of.pid
      ? [
          `It was killed in place of its parent, pid ${text(of.chosenPid)} (${text(of.chosenComm)}).`,
        ]
      : []),
    ...(of.outcome === 'killed' && of.invokedBy != null
      ? [`Invoked by ${text(of.invokedBy)}.`]
      : []),
    ...(of.scope === 'machine' && of.victimCgroup != null && of.victimCgroup !== '/'
      ? [`The victim’s memory cgroup was ${text(of.victimCgroup)}.`]
      : []),
    ...(of.reaper === 'failed' ? ['The OOM reaper could not free its memory.'] : []),
  ];
}

function cause(of: Figures): string[] {
  if (of.scope === 'cgroup')
    return of.cgroup == null
      ? ['Its memory cgroup was at its limit.']
      : [`Memory cgroup ${text(of.cgroup)} was at its limit of ${size(of.limitBytes)}.`];
  const nodes = { cpuset: of.memsAllowed, mempolicy: of.nodemask }[String(of.reason)];
  if (of.reason === 'sysrq') return ['It was requested by SysRq-f.'];
  if (nodes !== undefined)
    return [`The memory nodes of its ${text(of.reason)} (${text(nodes)}) were out of memory.`];
  return of.scope === 'machine' ? ['The whole machine was out of memory.'] : [];
}

function shortage(of: Figures): string[] {
  const zone = `Zone ${text(of.zone)} of node ${text(of.node)}`;
  if (of.shortage === 'fragmentation')
    return [
      `Memory was fragmented: ${zone} had ${size(of.zoneFreeBytes)} free, but no block of order ${text(of.order)} was usable.`,
    ];
  if (of.shortage === 'watermark')
    return [
      `${zone} had ${size(of.zoneFreeBytes)} free (watermarks: min ${size(of.zoneMinBytes)}, high ${size(of.zoneHighBytes)}).`,
    ];
  return [];
}

function rest(of: Figures): string[] {
  const { unattributedBytes: hidden, managedBytes: managed, swapTotalBytes: swap } = of;
  return [
    ...(of.largestPid != null && of.largestPid !== of.pid
      ? [
          `The largest process was pid ${text(of.largestPid)} (${text(of.largestComm)}), ${size(of.largestRssBytes)}.`,
        ]
      : []),
    ...(typeof swap === 'number' && swap > 0
      ? [`Free swap: ${size(of.swapFreeBytes)} of ${size(swap)}.`]
      : []),
    ...(typeof hidden === 'number' && typeof managed === 'number' && hidden > managed / 10
      ? [
          `Unattributed: ${size(hidden)} (${share(hidden, managed)} of memory) in no counter that the kernel printed.`,
        ]
      : []),
  ];
}
