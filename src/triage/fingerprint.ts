import { createHash } from 'node:crypto';
import type { SummaryJson } from '../contracts/triage-line.js';
import type { MachineFacts } from '../walk/machine-facts.js';
import type { Finding, StackEvidence } from './finding.js';
import { hasTrait } from './findings/all.js';
import type { TopOwner } from './top-owner.js';

/**
 * Features that dumps with the same problem share: a hash of the others (16 hex digits); the cause of the panic without
 * numbers, otherwise the codes of the findings; functions of the stack of the panicked CPU, or of the owner of a lock,
 * without offsets, outermost last; the largest owner, if the problem is memory. Text is from the dump: untrusted.
 */
type Fingerprint = NonNullable<SummaryJson['fingerprint']>;

/** Number of functions to compare: outer callers are the same for many problems. */
const MAX_FUNCTIONS = 12;

/** Null if no finding is more severe than a note. */
export function fingerprint(
  {
    findings,
    machine,
  }: { readonly findings: readonly Finding[]; readonly machine: Pick<MachineFacts, 'panic'> & Partial<MachineFacts> },
  owner: TopOwner | undefined,
): Fingerprint | null {
  const grave = findings.filter(({ severity }) => severity !== 'note');
  const { panic } = machine;
  const panicked = grave.find(({ code }) => code === 'panic');
  const reason = panic.cause ?? panic.message;
  if (grave.length === 0) return null;
  const kind =
    panicked && reason !== undefined
      ? withoutNumbers(reason)
      : [...new Set(grave.map(({ code }) => code))].sort().join(', ');
  const functions = panicked ? functionsOf(panicked) : [];
  // The owner of the lock that others wait for.
  const root = grave.find(({ code }) => code === 'deadlock' || code === 'blocked-on-lock');
  if (functions.length === 0 && root) functions.push(...functionsOf(root));
  if (functions.length === 0) functions.push(...printedFunctions(grave));
  const starved = grave.some((finding) => hasTrait(finding, 'shortage'));
  const who = starved && owner ? `${owner.kind} ${owner.name}` : null;
  const id = createHash('sha256').update(JSON.stringify([kind, functions, who]));
  return { id: id.digest('hex').slice(0, 16), kind, functions, owner: who };
}

/** Removes addresses, CPUs, pids, seconds, and the task in brackets, which differ each time. */
function withoutNumbers(text: string): string {
  return text
    .replace(/\[[^\]]*:\d+\]/g, '[#]')
    .replace(/\+0x[0-9a-f]+(\/0x[0-9a-f]+)?/gi, '')
    .replace(/\b(0x)?[0-9a-f]{8,}\b|0x[0-9a-f]+/gi, '#')
    .replace(/\d+/g, '#');
}

/** Functions of the panic path, above the cause. */
const ENDING =
  /^(v?panic|.*crash_kexec.*|machine_kexec|crash_setup_regs|oops_end|die|die_.*|nmi_panic|__die.*|page_fault_oops|no_context|__bad_area.*|bad_area.*)$/;

/** Functions of a stack without guessed frames, which differ between dumps of the same problem. */
function functionsOf({ evidence }: Finding): string[] {
  const stack = evidence.find((evidence): evidence is StackEvidence => evidence.kind === 'stack');
  const frames = stack?.frames.filter(({ guess }) => !guess) ?? [];
  // The interrupted frame caused the fault; frames before it handle the fault.
  const fault = frames.findIndex(({ interrupted }, index) => interrupted && index > 0);
  const names = frames.slice(Math.max(0, fault)).map(({ symbol }) => plainName(symbol ?? '?'));
  const first = names.findIndex((name) => !ENDING.test(name));
  return names.slice(Math.max(0, first), Math.max(0, first) + MAX_FUNCTIONS);
}

/** Functions as printed in the log, if the dump has no stack. */
function printedFunctions(grave: readonly Finding[]): string[] {
  const report = grave.find((finding) => finding.report)?.report;
  const frames = report?.stack.filter(({ guess }) => !guess) ?? [];
  const names = frames.map(({ symbol }) => plainName(symbol));
  const first = report?.function == null ? 0 : names.indexOf(plainName(report.function));
  return names.slice(Math.max(0, first)).slice(0, MAX_FUNCTIONS);
}

/** Removes suffixes of functions that the compiler split or cloned. */
function plainName(name: string): string {
  return name.replace(/\.(isra|constprop|part|cold|llvm)\b.*$/, '');
}
