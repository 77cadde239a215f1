import type { LogAnswer } from '../account/log.js';
import type { MemoryAnswer } from '../account/memory/answer.js';
import type { CensusAnswer } from '../account/sockets.js';
import type { Captured } from '../contracts/common.js';
import type { RulesOutcome } from '../contracts/triage.js';
import type { KernelFacts } from '../kernel/kernel.js';
import type { TextLogSummary } from '../log/reader.js';
import type { TextRecord } from '../records/log-records.js';
import type { Pasted } from '../records/pasted.js';
import type { HostCheckName } from '../records/triage-codes.js';
import { SEVERITIES } from '../records/triage-codes.js';
import type { MachineFacts } from '../walk/machine-facts.js';
import { leavesComplete, type Warning } from '../walk/warnings.js';
import { type CauseFacts, causesOf } from './causes.js';
import { bySeverity, type Finding } from './finding.js';
import type { Holders } from './holders.js';
import type { Unread } from './host-reader.js';

/** Findings of a machine, with their sources. A part that the source does not have is undefined. */
export interface TriageAnswer {
  /** Kernel memory that was read. */
  readonly kernel?: KernelFacts;
  readonly machine?: MachineFacts;
  /** The host, if its files were read without its kernel memory. */
  readonly host?: HostOrigin;
  /** Text logs. */
  readonly logs?: readonly LogTriage[];
  /** The most severe first. */
  readonly findings: readonly Finding[];
  /** Lost messages of the log, whose content is unknown. Undefined: no log could be read. */
  readonly lost: LostMessages | undefined;
  /** The log beside a dump that lacks its own, whose findings are here. */
  readonly logBeside?: string;
  /** The log of kernel memory, if it could be read. */
  readonly log?: LogAnswer | undefined;
  /** Undefined: memory could not be counted, and a warning gives the reason. */
  readonly memory: MemoryAnswer | undefined;
  /** The largest holders of memory; undefined: unknown. */
  readonly holders?: Holders | undefined;
  /** All sockets by cgroup, even if page frames could not be counted. */
  readonly census?: CensusAnswer | undefined;
  /** Checks whose sources were all read; undefined: text logs, which have none. */
  readonly checked?: readonly HostCheckName[];
  readonly unread?: readonly Unread[];
  /** Parts of a host that could not be read at all, in words. */
  readonly failed?: readonly string[];
  readonly warnings: readonly Warning[];
  /** Whether every check was completed, with a complete log and complete counters. */
  readonly complete: boolean;
  /** Effects of a team's rules; undefined: none. */
  readonly rules?: RulesOutcome;
}

/** Findings from kernel memory. */
export type KernelTriage = TriageAnswer & Required<Pick<TriageAnswer, 'kernel' | 'machine' | 'log'>>;
/** Findings of a host, live or captured, without its kernel memory. */
export type HostTriage = TriageAnswer & Required<Pick<TriageAnswer, 'host' | 'checked' | 'unread'>>;
/** Findings of text logs. Each log is complete since a boot, or the answer is not. */
export type TextTriage = TriageAnswer & Required<Pick<TriageAnswer, 'logs'>>;

interface LostMessages {
  /** Null: unknown. */
  readonly overwritten: number | null;
  /** Null: a log without this counter. */
  readonly noRoom: number | null;
}

/** The host, and when it was read. */
export interface HostOrigin extends Captured {
  readonly isCaptured: boolean;
  /** The text that the files are from; undefined: they are whole files. */
  readonly pasted?: Pasted | undefined;
  /** '' if unknown. */
  readonly release: string;
  /** Undefined: unknown. */
  readonly uptimeSeconds: number | undefined;
}

/** Findings of one text log. */
export interface LogTriage {
  readonly name: string;
  /** Files of the log, the oldest first. */
  readonly files: readonly string[];
  readonly log: TextLogSummary;
  /** The selected boot, from 1 on; undefined: all. */
  readonly boot?: number | undefined;
  readonly findings: readonly Finding[];
  /** Parts that could not be read. */
  readonly missing: readonly string[];
  /** The newest messages, for the HTML page and for rules; undefined: not needed. */
  readonly held?: { readonly records: readonly TextRecord[]; readonly older: number } | undefined;
}

/** The release of the kernel; undefined: the logs contain none, or several. */
export function releaseOf(logs: readonly LogTriage[]): string | undefined {
  const releases = new Set(
    logs.flatMap(({ log, boot }) =>
      (boot === undefined ? log.boots : log.boots.slice(boot - 1, boot)).map((boot) => boot.release),
    ),
  );
  return releases.size === 1 ? [...releases][0] : undefined;
}

/** Facts for causes: the uptime is the time of the findings about memory. */
export function causeFacts({ host, machine, lost, memory, warnings, complete }: CauseSources): CauseFacts {
  // Causes rest on figures of the log and of memory: another unread check makes none of these doubtful.
  if (host)
    return {
      uptimeSeconds: host.uptimeSeconds,
      complete: warnings.length === 0 && lost?.overwritten === 0,
      socketsUncounted: ['counters', 'pageflags'].includes(memory?.source ?? ''),
    };
  if (!machine) return { uptimeSeconds: undefined, complete };
  const { clock } = machine;
  return {
    uptimeSeconds: clock && Number(clock.uptime) / 1e9,
    complete: warnings.every(leavesComplete) && memory?.complete === true,
  };
}

type CauseSources = Pick<TriageAnswer, 'findings' | 'host' | 'machine' | 'lost' | 'memory' | 'warnings' | 'complete'>;

/** An answer whose findings are sorted by severity. A cause is at least as severe as what follows from it. */
export function ranked<A extends CauseSources>(answer: A): A {
  const { findings } = answer;
  const severities = findings.map(({ severity }) => SEVERITIES.indexOf(severity));
  const links = causesOf(findings, causeFacts(answer)).links.filter(({ relation }) => relation !== 'same-process');
  for (const { effect } of links)
    for (let below = effect, steps = 0; steps < links.length; steps++) {
      const cause = links.find((link) => link.effect === below)?.cause;
      if (cause === undefined) break;
      severities[cause] = Math.min(severities[cause]!, severities[effect]!);
      below = cause;
    }
  const all = findings.map((finding, index) => {
    const severity = SEVERITIES[severities[index]!]!;
    return severity === finding.severity ? finding : { ...finding, severity };
  });
  return { ...answer, findings: bySeverity(all) };
}
