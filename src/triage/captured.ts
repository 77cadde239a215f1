import type { CapturedLogWhole } from '../account/log.js';
import type { MemoryAnswer } from '../account/memory/answer.js';
import { leaves } from '../account/memory/tree.js';
import { HostError } from '../base/errors.js';
import { readUptime } from '../host/proc/machine-sample.js';
import { optionalText } from '../host/proc/process.js';
import type { LogRecord } from '../records/log-records.js';
import type { CaptureOrigin } from '../records/machine-sample.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import { bySeverity, type Finding, withPast } from './finding.js';
import { memoryFindings } from './findings.js';
import { pageblocks } from './host-memory.js';
import type { HostCheckName, HostReader, Unread } from './host-reader.js';
import { balloonDriver, withBalloon, withHypervisor } from './hypervisor.js';
import { logFindings } from './log/log-findings.js';
import { findingsBeside, type LogTriage } from './text.js';

/** Sources of a host's findings; a string: why a source is not available. */
export interface HostParts {
  readonly of: HostOrigin;
  /** '' if unknown. */
  readonly release: string;
  readonly pageSize: number;
  readonly log: (CapturedLogWhole & { readonly records: readonly LogRecord[] }) | string;
  /** Other logs of the host, including those of other boots. */
  readonly otherLogs?: readonly LogTriage[];
  readonly memory: MemoryAnswer | string;
  /** Findings from its other files and its sockets. */
  readonly found: readonly Finding[];
  readonly reader: HostReader;
  readonly warnings: readonly Warning[];
}

/** The host, and when it was read. */
export interface HostOrigin extends CaptureOrigin {
  readonly isCaptured: boolean;
}

/** Problems of a host, live or captured. */
export interface HostTriage {
  readonly of: HostOrigin;
  readonly release: string;
  /** Undefined: unknown. */
  readonly uptimeSeconds: number | undefined;
  /** The most severe first. */
  readonly findings: readonly Finding[];
  /** Number of overwritten log messages; null: unknown. */
  readonly overwritten: number | null;
  readonly memory: MemoryAnswer | undefined;
  /** Checks whose sources were all read. */
  readonly checked: readonly HostCheckName[];
  readonly unread: readonly Unread[];
  /** Parts that could not be read at all, in words. */
  readonly failed: readonly string[];
  readonly warnings: readonly Warning[];
  /** Whether every check was completed, with a complete log and complete counters. */
  readonly complete: boolean;
}

/** Commands that work without readable kernel memory. */
const ANSWERED = {
  live: /^(?:memory|procs|skcheck)(?: |$)/,
  captured: /^(?:log|memory|procs|skcheck)(?: |$)/,
};

/** Problems that stay hidden without the log, or without the memory counters. */
const HIDES = {
  log: 'panics, OOM kills, hung tasks and errors in the kernel log',
  memory: 'memory that is not attributed to any owner',
};

export function triageHost(parts: HostParts): HostTriage {
  const { of, release, pageSize, log, otherLogs = [], memory, found, reader } = parts;
  const warnings = new Warnings();
  const logged = typeof log === 'string' ? undefined : log;
  const counted = typeof memory === 'string' ? undefined : memory;
  const beside = otherLogs.map(({ name }) => name).join(', ');
  if (typeof log === 'string') warnings.add('unreadable', beside === '' ? log : `${log}: findings rest on ${beside}`);
  if (typeof memory === 'string') warnings.add('unreadable', memory);
  const known = [...parts.warnings, ...(logged?.warnings ?? []), ...(counted?.warnings ?? [])];
  for (const { code, message } of known) warnings.add(code, message);
  const uptime = readUptime(reader.source) ?? undefined;
  const own = logged ? withPast(logFindings(logged.records, pageSize), uptime) : [];
  const findings = [
    ...own.map((one) => withPageblocks(one, reader)),
    ...findingsBeside(own, otherLogs),
    ...(counted ? memoryFindings(counted) : []),
  ];
  const zones = new Set(findings.map(zoneOf));
  findings.push(...found.filter((one) => zoneOf(one) === null || !zones.has(zoneOf(one))));
  if (typeof log === 'string') reader.miss('log', HIDES.log, new HostError('unreadable', log));
  else if (logged?.overwritten !== 0)
    reader.miss('log', HIDES.log, new HostError('unreadable', lostWords(logged?.overwritten)));
  else reader.checked.unshift('log');
  if (typeof memory === 'string') reader.miss('memory', HIDES.memory, new HostError('unreadable', memory));
  else if (leaves(memory.memory).some(({ category, bytes }) => category === 'missing-counters' && bytes > 0)) {
    const [why] = memory.warnings.filter(({ message }) => message.startsWith('memory is incomplete'));
    reader.miss('memory', HIDES.memory, new HostError('unreadable', why?.message ?? 'counters are missing'));
  } else reader.checked.push('memory');
  const list = warnings.list();
  const balloon = balloonDriver(optionalText(reader.source, '/proc/modules'), logged?.records ?? []);
  const all = withBalloon(withHypervisor(findings, counted), balloon).map((one) => withoutKernel(one, of.isCaptured));
  return {
    of,
    checked: reader.checked,
    unread: reader.unread,
    failed: [
      ...(typeof memory === 'string' ? [`memory could not be computed: ${memory}`] : []),
      ...(typeof log === 'string' && beside === '' ? [`the kernel log could not be read: ${log}`] : []),
    ],
    release,
    memory: counted,
    warnings: list,
    findings: bySeverity(all),
    uptimeSeconds: uptime,
    overwritten: logged?.overwritten ?? null,
    // A check with an unread source finds nothing there: for a program that would be an all-clear.
    complete: list.length === 0 && logged?.overwritten === 0 && reader.unread.length === 0,
  };
}

function lostWords(overwritten: number | null | undefined): string {
  return typeof overwritten === 'number'
    ? `the oldest ${overwritten} messages of the kernel log were overwritten`
    : 'the kernel log may lack its oldest messages';
}

/** A refused allocation of several pages, with what fills the zone now. */
function withPageblocks(finding: Finding, reader: HostReader): Finding {
  const { node, zone, order } = finding.figures;
  if (finding.code !== 'allocation-failure' || zone == null || !order) return finding;
  return { ...finding, figures: { ...finding.figures, ...pageblocks(reader, node ?? null, zone) } };
}

/** Zone of a low-memory finding; null for others. Counters and watermarks may both report a zone. */
function zoneOf({ code, figures }: Finding): string | null {
  return code === 'low-memory' ? `${figures.node} ${figures.zone}` : null;
}

/** Drops the next command if it needs kernel memory. */
function withoutKernel({ next, ...finding }: Finding, isCaptured: boolean): Finding {
  const answered = isCaptured ? ANSWERED.captured : ANSWERED.live;
  return next !== undefined && answered.test(next) ? { ...finding, next } : finding;
}
