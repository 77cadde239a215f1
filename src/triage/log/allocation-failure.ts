import type { Finding } from '../finding.js';
import type { ReportReader } from './by-caller.js';
import { gfpNames } from './gfp.js';
import { evidenceOf, groupsIn, type LogLine, type LogMessage } from './lines.js';
import { MemInfoReader, memoryThen } from './mem-info.js';

/** `page allocation stalls` in 4.10 to 4.14. */
const FAILED =
  /^(?<comm>.*): (?:page allocation (?:failure[.:]|stalls for (?<milliseconds>\d+)ms,) order:(?<order>\d+)|vmalloc(?: error)?: (?:allocation failure[,:] )?(?<vmalloc>.*?)), mode:(?<mask>0x[0-9a-f]+)(?:\((?<flags>[^)]*)\))?/s;

/** A report has this many lines at most: registers, a stack of calls, and what memory there was. */
const MOST_LINES = 400;

/** Tells failures of the page allocator from the log, line by line (`warn_alloc`, mm/page_alloc.c). */
export class AllocationFailureReader implements ReportReader {
  readonly #pageSize: number;
  #report:
    | {
        readonly line: LogLine;
        readonly groups: Readonly<Record<string, string | undefined>>;
        readonly memory: MemInfoReader;
        lines: number;
      }
    | undefined;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  get isOpen(): boolean {
    return this.#report !== undefined;
  }

  /** @returns a finding when its last line has come */
  take(line: LogMessage): Finding | undefined {
    const groups = groupsIn(line, FAILED);
    if (groups) {
      const before = this.end();
      this.#report = { line, groups, memory: new MemInfoReader(), lines: 0 };
      return before;
    }
    const report = this.#report;
    if (!report) return undefined;
    // That of the next report, where this one's last line is not printed.
    if (line.text === 'Mem-Info:' && report.memory.shown()) return this.end();
    report.memory.takeMessage(line);
    const isLast =
      /^\d+ pages (?:hwpoisoned|non-shared)$/.test(line.text) || ++report.lines >= MOST_LINES;
    return isLast ? this.end() : undefined;
  }

  end(): Finding | undefined {
    const report = this.#report;
    this.#report = undefined;
    if (!report) return undefined;
    const { comm, order, mask, flags, milliseconds, vmalloc } = report.groups;
    const shown = report.memory.shown();
    const pageSize = shown?.pageSize ?? this.#pageSize;
    const large = shown?.freeBlocks?.filter((block) => block.order >= Number(order ?? 0));
    const what = milliseconds === undefined ? 'failure' : 'stall';
    return {
      code: 'allocation-failure',
      // Such a request no machine of this size can serve.
      severity: vmalloc?.includes('exceeds total pages') ? 'note' : 'warning',
      title:
        vmalloc === undefined
          ? `page allocation ${what}: order:${order}`
          : 'vmalloc allocation failure',
      figures: {
        comm: comm ?? null,
        order: order === undefined ? null : Number(order),
        ...(milliseconds === undefined ? {} : { milliseconds: Number(milliseconds) }),
        ...(vmalloc === undefined ? {} : { vmalloc }),
        gfp: flags ?? (mask === undefined ? null : gfpNames(Number(mask))),
        /** Free bytes in blocks that are large enough, of all zones. */
        freeInLargeBlocksBytes:
          large?.reduce((sum, block) => sum + block.count * 2 ** block.order * pageSize, 0) ?? null,
        ...(shown === undefined ? {} : memoryThen(shown, pageSize)),
      },
      evidence: [evidenceOf(report.line)],
      deeper: 'memory --nodes',
    };
  }
}
