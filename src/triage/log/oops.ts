import type { Figure, Finding } from '../finding.js';
import type { ReportReader } from './by-caller.js';
import { evidenceOf, groupsIn, type LogLine, type LogMessage } from './lines.js';

/** What the report of a fault begins with, before its count (arch/x86/mm/fault.c, lib/bug.c, arch/arm64/mm/fault.c). */
const HEADS: readonly RegExp[] = [
  /^BUG: kernel NULL pointer dereference, address: (?<address>[0-9a-f]+)/,
  /^BUG: unable to handle page fault for address: (?<address>[0-9a-f]+)/,
  // Its address is not the true one before 5.16.
  /^BUG: (?:\w+ )?(?<kind>stack guard page was hit) at /,
  /^(?<kind>Insufficient stack space to handle exception)!/,
  /^kernel BUG at (?<place>.*)!$/,
  /^Unable to handle kernel (?<kind>.*) at virtual address (?<address>[0-9a-f]+)/,
];

/**
 * The line with the count of faults, or one that stands for it (`__die_header`, `die`). What names a program has
 * the count in its middle.
 */
const COUNTED: readonly RegExp[] = [
  /^(?:Oops: )?(?<trap>(?:[a-z-]+ )?general protection fault|divide error|double fault|stack segment|invalid opcode|int3)\b[^[]*\[#\d+\](?: [A-Z]|$)/,
  /^Internal error: (?<error>.*)$/s,
  /^(?:Oops: )?(?<kind>[A-Za-z][\w ,#-]*(?: \([\w -]+\))?): [0-9a-f]{4,16} \[#\d+\](?: [A-Z]|$)/,
  /^Oops: (?<kind>[^[]*?):? ?\[#\d+\](?: [A-Z]|$)/,
];

const NUMBER = / \[#(?<number>\d+)\]/;

/** Greedy: a command may have the same words in it. */
const WHO =
  /^CPU: (?<cpu>\d+) (?:UID: \d+ )?PID: (?<pid>\d+) Comm: (?<comm>.{0,15}) (?:Kdump: loaded )?(?:Tainted: |Not tainted )/s;

/** The kernel's own code: cs is 0x10. */
const PLACE =
  /^(?:RIP: 0010:|pc : )(?:(?<symbol>[^+ ]+)\+0x[0-9a-f]+\/0x[0-9a-f]+(?: \[(?<module>[^ \]]+).*\])?|(?:0x)?[0-9a-f]+$)/;

const LAST = /^(?:---\[ end trace |Kernel panic - not syncing: )/;

/** A report with registers, a stack of calls, and the modules. */
const MOST_LINES = 400;

interface Report {
  readonly figures: Record<string, Figure>;
  readonly evidence: LogLine[];
  counted: boolean;
  located: boolean;
  lines: number;
}

/** Findings of faults that are one: the same fault in the same function. */
export const OOPS_BY = ['address', 'place', 'kind', 'trap', 'error', 'symbol'] as const;

/** Tells faults of the kernel from the log, each once, whatever number of lines names it. */
export class OopsReader implements ReportReader {
  #report: Report | undefined;

  get isOpen(): boolean {
    return this.#report !== undefined;
  }

  /** @returns a finding when its last line has come, or that of the next */
  take(line: LogMessage): Finding | undefined {
    if (line.ofCommand) return undefined;
    const { text } = line;
    const head = firstMatch(HEADS, text);
    if (head) return this.#begin(line, head, false);
    const counted = firstMatch(COUNTED, text);
    if (counted) {
      if (this.#report === undefined || this.#report.counted)
        return this.#begin(line, counted, true);
      this.#report.counted = true;
      this.#report.evidence.push(line);
      this.#number(text);
      return undefined;
    }
    const report = this.#report;
    if (!report) return undefined;
    const who = groupsIn(line, WHO);
    if (who && report.figures.pid === undefined) {
      const { cpu, pid, comm = '' } = who;
      Object.assign(report.figures, { cpu: Number(cpu), pid: Number(pid), comm });
    }
    const place = PLACE.exec(text)?.groups;
    if (place && !report.located) {
      report.located = true;
      const { symbol, module } = place;
      Object.assign(report.figures, { ...(symbol && { symbol }), ...(module && { module }) });
      report.evidence.push(line);
    }
    return LAST.test(text) || ++report.lines >= MOST_LINES ? this.end() : undefined;
  }

  end(): Finding | undefined {
    const report = this.#report;
    this.#report = undefined;
    if (!report) return undefined;
    const { figures, evidence } = report;
    return {
      code: 'oops',
      severity: 'critical',
      figures,
      evidence: evidence.map(evidenceOf),
      deeper: 'log',
    };
  }

  #begin(line: LogLine, figures: Record<string, Figure>, counted: boolean): Finding | undefined {
    const before = this.end();
    this.#report = { figures, evidence: [line], counted, located: false, lines: 0 };
    if (counted) this.#number(line.text);
    return before;
  }

  #number(text: string): void {
    const number = NUMBER.exec(text)?.groups?.number;
    if (number !== undefined && this.#report) this.#report.figures.number = Number(number);
  }
}

function firstMatch(patterns: readonly RegExp[], text: string): Record<string, Figure> | undefined {
  for (const pattern of patterns) {
    const found = pattern.exec(text);
    if (!found) continue;
    const told = Object.entries(found.groups ?? {}).filter(([, value]) => value !== undefined);
    return Object.fromEntries(told);
  }
  return undefined;
}
