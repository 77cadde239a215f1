import { statSync } from 'node:fs';
import { skcheckReport } from '../../answers/skcheck/report.js';
import type { SkcheckReport, SkcheckWarning } from '../../answers/skcheck/schema.js';
import type { TextOptions } from '../../answers/skcheck/text.js';
import { captureWarnings } from '../../answers/skcheck/warnings.js';
import { CapturedHost } from '../../capture/read/host.js';
import type { HostSource } from '../../host/host-source.js';
import type { Observation } from '../../host/observation.js';
import { observe } from '../../host/observe.js';
import { takeCensus, theoreticalWorst } from '../../host/proc/census.js';
import { hostOrigin } from '../../host/proc/machine-sample.js';
import { readPageSize } from '../../host/proc/memory.js';
import { optionalText } from '../../host/proc/process.js';
import type { Sample } from '../../host/ss/read.js';
import { lackingRights } from '../../records/processes.js';
import { type Diagnosis, diagnose } from '../../skcheck/diagnose.js';
import type { CountedDiagnosis } from '../../skcheck/exact.js';
import { socketFilter } from '../../skcheck/filter.js';
import type { Finding } from '../../skcheck/finding.js';
import type { Ages } from '../../skcheck/socket-history.js';
import { STALE_CODES } from '../../skcheck/verdict.js';
import { painter, terminalWidth } from '../kit/terminal.js';
import { EXIT, requestedVerdicts, type SkcheckOptions } from './options.js';

/** State kept between scans: the newest sample, and the conclusions so far. */
export interface Earlier {
  readonly since: Sample | null;
  readonly ages: Ages;
}

/** Scans a host once. */
export async function scan(
  source: HostSource,
  options: SkcheckOptions,
  earlier: Earlier | null = null,
): Promise<{ report: SkcheckReport; observation: Observation }> {
  const captured = source instanceof CapturedHost ? source : null;
  const contradictions = captured?.contradictions() ?? [];
  const root = process.geteuid?.() === 0;
  const accepts = filterOf(options);
  const seen = await observe(source, {
    accepts,
    intervalMs: captured ? captured.intervalMs : options.interval * 1000,
    netns: options.netns ?? (captured || root ? 'all' : 'own'),
    reader: options.procfs ? 'procfs' : 'auto',
    ...(captured ? { captured: true, windows: 1, torn: captured.damage.length + contradictions.length > 0 } : {}),
    ...(options.samples === undefined ? {} : { samples: options.samples }),
    ...(options.pid === undefined ? {} : { pid: options.pid }),
    ...(earlier?.since ? { since: earlier.since } : {}),
  });
  const census = options.census ? takeCensus(source, readPageSize(source)) : null;
  const observation = census === null ? seen : bounded(seen, census.bytes);
  const estimated = diagnose(observation, {
    minBytes: options.minBytes,
    minAgeMs: options.minAge * 1000,
    accepts,
    ...(earlier ? { ages: earlier.ages, sort: 'growth' } : {}),
  });
  const exact = options.exact ? await countLive(estimated) : null;
  const report = skcheckReport(observation, exact?.diagnosis ?? estimated, {
    takenAt: captured ? captured.capturedAt : new Date(),
    boot: hostOrigin(source, null),
    captured: captured !== null,
    root,
    lacking: root && !captured ? lackingRights(source.readText('/proc/self/status')) : [],
    modules: captured ? [] : securityModules(source),
    ...(exact ? { counted: (finding: Finding) => exact.counts.get(finding) ?? null } : {}),
    warnings: [
      ...(captured
        ? captureWarnings({ kind: captured.kind, damage: captured.damage, unproved: captured.unproved, contradictions })
        : []),
      ...(exact?.warnings ?? []),
    ],
    only: requestedVerdicts(options),
    theoreticalWorstBytes: theoreticalWorst(source, observation.host.maxSkbFrags),
    census: census && {
      orders: Object.fromEntries(census.orders),
      bytes: census.bytes,
      durationMs: Math.round(census.durationMs),
    },
    ...(options.top === undefined ? {} : { top: options.top }),
    ...(options.by === undefined ? {} : { by: options.by }),
  });
  return { report, observation };
}

/** Security modules of this kernel that can hide processes from root (Documentation/admin-guide/LSM). */
function securityModules(source: HostSource): string[] {
  const names = optionalText(source, '/sys/kernel/security/lsm').trim().split(',');
  return names.filter((name) => ['apparmor', 'selinux', 'smack', 'tomoyo'].includes(name));
}

/** Limits the memory that packets can occupy to what the census found. */
function bounded(observation: Observation, bytes: number): Observation {
  const unplacedMemory = Math.min(observation.host.unplacedMemory, bytes);
  return { ...observation, host: { ...observation.host, unplacedMemory, unplacedIsCounted: true } };
}

/**
 * Returns the exit status of a scan: a requested verdict was found (by default a stale one), none was found,
 * or none was found but something could not be checked.
 */
export function statusOf(report: SkcheckReport, options: SkcheckOptions): number {
  const codes = requestedVerdicts(options) ?? STALE_CODES;
  if (codes.some((code) => (report.totals.verdicts[code] ?? 0) > 0)) return EXIT.stale;
  return report.complete ? EXIT.nothingStale : EXIT.scanIncomplete;
}

function filterOf({ state, sport, dport, address }: SkcheckOptions) {
  return socketFilter({
    ...(state === undefined ? {} : { states: state }),
    ...(sport === undefined ? {} : { sport }),
    ...(dport === undefined ? {} : { dport }),
    ...(address === undefined ? {} : { address }),
  });
}

/** Rows without --top. */
const USUAL_ROWS = 50;

/** Returns the layout of the answer for stdout. A single socket is shown in full. */
export function textOptions({
  verbose,
  pid,
  top = USUAL_ROWS,
}: SkcheckOptions): Required<Omit<TextOptions, 'keepsOrder'>> {
  return {
    paint: painter(),
    width: terminalWidth(),
    verbose: verbose === true || top === 1,
    kcore: statSync('/proc/kcore', { throwIfNoEntry: false })?.isFile() === true,
    limit: top,
    ofProcess: pid !== undefined,
  };
}

/**
 * `skcheck --exact`: counts the contents of the findings' sockets in the running kernel's memory. If that is
 * not readable, returns the diagnosis unchanged, with a warning that states why.
 */
async function countLive(
  diagnosis: Diagnosis,
): Promise<CountedDiagnosis & { readonly warnings: readonly SkcheckWarning[] }> {
  const { countExactly, withCounts } = await import('../../skcheck/exact.js');
  const { openNative } = await import('../../kernel/native/open.js');
  const { KernelError } = await import('../../base/errors.js');
  const warning = (count: number, message: string) => ({ code: 'exact', count, message }) as const;
  try {
    const kernel = openNative({ files: [], live: true });
    try {
      const exact = countExactly(kernel, diagnosis.findings);
      const { failed } = exact;
      const message = `${failed?.count} sockets could not be counted (${failed?.because}) and keep estimates`;
      const warnings = failed ? [warning(failed.count, message)] : [];
      return { ...withCounts(diagnosis, exact), warnings };
    } finally {
      kernel.close();
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const message = `--exact is not available, so the figures are estimates: ${error.message}`;
    const warnings = [warning(diagnosis.findings.length, message)];
    return { diagnosis, counts: new Map(), warnings };
  }
}
