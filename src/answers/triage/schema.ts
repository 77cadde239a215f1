import { z } from 'zod';
import { CORRUPTIONS, SEVERITIES } from '../../triage/finding.js';
import { RULE_DOUBTS } from '../../triage/rules/match.js';
import { kernelSchema, warningSchema } from '../schema.js';
import { frameSchema, stopShape } from '../task-stacks/schema.js';

/**
 * `kdump-mem triage --json`, version 1. Text of the log, names and commands are as the kernel has them: JSON
 * escapes them. Null: not known.
 */

const count = z.int().nonnegative();
const severity = z.enum(SEVERITIES);

const printedFrames = z.array(
  z.strictObject({
    symbol: z.string(),
    offset: count.nullable(),
    module: z.string().nullable(),
    source: z.string().nullable(),
    inline: z.boolean(),
    /** The unwinder was not sure. */
    guess: z.boolean(),
  }),
);

/** What the kernel printed of one fault; null: not printed. */
const crashReport = z.strictObject({
  /** The function to blame. */
  function: z.string().nullable(),
  /** Why the report cannot be trusted; null: nothing says so. */
  corrupted: z.enum(CORRUPTIONS).nullable(),
  cpu: count.nullable(),
  pid: count.nullable(),
  /** Printed since 6.12. */
  uid: count.nullable(),
  comm: z.string().nullable(),
  taint: z.string().nullable(),
  release: z.string().nullable(),
  hardware: z.string().nullable(),
  /** Hexadecimal, as printed. */
  address: z.string().nullable(),
  access: z.enum(['read', 'write']).nullable(),
  accessBytes: count.nullable(),
  modules: z.array(z.string()),
  stack: printedFrames,
  allocatedBy: printedFrames,
  freedBy: printedFrames,
});

const bytes = count.nullable();
/** RSS counts shared pages with each process. */
const taskMemory = { rssBytes: count, swapBytes: bytes, pageTableBytes: bytes };

/** What the kernel printed when memory ran out; null: not printed, or cut off. Names are hostile. */
const oomReport = z.strictObject({
  /** In the order in which they were killed. */
  victims: z.array(
    z.strictObject({
      pid: count,
      comm: z.string(),
      uid: count.nullable(),
      totalVmBytes: bytes,
      anonBytes: bytes,
      fileBytes: bytes,
      shmemBytes: bytes,
      pageTableBytes: bytes,
      oomScoreAdj: z.int().nullable(),
      /** What the OOM reaper printed of it: `reaped` or `failed`. */
      reaper: z.string().nullable(),
    }),
  ),
  /** The stack of the process that invoked the OOM killer. */
  stack: printedFrames,
  /** Counters of the whole machine by the kernel's names, in pages. */
  pages: z.record(z.string(), count),
  zones: z.array(
    z.strictObject({
      node: count,
      zone: z.string(),
      freeBytes: count,
      minBytes: count,
      lowBytes: bytes,
      highBytes: bytes,
      presentBytes: bytes,
      managedBytes: bytes,
      /** `lowmem_reserve`: pages. */
      reserves: z.array(count),
      /** Letters of migrate types as printed. */
      freeBlocks: z.array(z.strictObject({ order: count, count, types: z.string() })).nullable(),
    }),
  ),
  /** The largest by RSS, page tables and swap. */
  tasks: z.array(
    z.strictObject({
      pid: count,
      tgid: bytes,
      name: z.string(),
      uid: count.nullable(),
      ...taskMemory,
      totalVmBytes: bytes,
      oomScoreAdj: z.int().nullable(),
    }),
  ),
  byName: z.array(z.strictObject({ name: z.string(), tasks: count, ...taskMemory })),
  /** By the names of memory.stat: bytes, or events. */
  memcgs: z.array(z.strictObject({ path: z.string(), counters: z.record(z.string(), count) })),
  /** Unreclaimable slab caches. */
  slabs: z.array(z.strictObject({ cache: z.string(), usedBytes: count, totalBytes: count })),
  /** Memory allocation profiling; the kernel rounds to three digits. */
  sites: z.array(z.strictObject({ site: z.string(), calls: count, aboutBytes: count })),
});

export const findingSchema = z.strictObject({
  /** `panic`, `oom-kill`, …: stable. */
  code: z.string(),
  severity,
  /** The form that people search for, such as `KASAN: slab-use-after-free Read in f`. */
  title: z.string().optional(),
  report: crashReport.optional(),
  /** Of `oom-kill`. */
  oom: oomReport.optional(),
  /** For people. */
  words: z.string(),
  /** By names that each code has for good; bytes where the name ends so. `times`: how often it was seen. */
  figures: z.record(z.string(), z.union([z.number(), z.string(), z.null()])),
  /** Lines of the log, and stacks: their functions, outermost last. */
  evidence: z.array(
    z.discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('log'),
        seq: count,
        /** Since boot, on the log's clock. */
        timestampMicroseconds: count,
        text: z.string(),
      }),
      z.strictObject({
        kind: z.literal('stack'),
        frames: z.array(frameSchema),
        end: z.enum(['user', 'first', 'stopped']),
        why: z.string().nullable(),
        ...stopShape,
      }),
    ]),
  ),
  /** Lines of a log that is text and does not have the log's clock: with wall-clock time, where it has that. */
  lines: z
    .array(z.strictObject({ seq: count, printedTime: z.string().nullable(), text: z.string() }))
    .optional(),
  /** The command that shows more, without `kdump-mem` and the dump. */
  next: z.string().nullable(),
  /** Of a finding of a team's own rule: what it says to do. */
  advice: z.string().nullable().optional(),
});

const adjusted = z.array(
  z.strictObject({
    code: z.string(),
    from: severity,
    to: z.enum([...SEVERITIES, 'silent']),
    findings: count,
    because: z.string(),
  }),
);

/** What a team's own rules did (--rules). */
const rulesOutcome = z.strictObject({
  /** How many there are, and of how many what they ask for is there. */
  rules: count,
  matched: count,
  /** Those which what could not be read may decide. */
  unknown: z.array(
    z.strictObject({ code: z.string(), reason: z.enum(RULE_DOUBTS), why: z.string() }),
  ),
  /** Silenced findings, by code, severity and reason. */
  silenced: adjusted,
  /** Findings whose severity a rule changed. */
  changed: adjusted,
});

export const triageSchema = z.strictObject({
  schema: z.literal('kdump-mem.triage/1'),
  kernel: kernelSchema,
  nodename: z.string().nullable(),
  uptimeSeconds: count.nullable(),
  panic: z.strictObject({
    state: z.enum(['panicked', 'running', 'unknown']),
    message: z.string().nullable(),
    cause: z.string().nullable(),
  }),
  /** The most severe first. */
  findings: z.array(findingSchema),
  /** Messages of the log that newer ones have overwritten; null: no log could be read. */
  overwritten: count.nullable(),
  /** Messages for which the log had no room when they came. */
  noRoom: count.nullable(),
  /** Categories of `memory` that have something, the largest first; null: they could not be counted. */
  memory: z
    .strictObject({
      bytes: count,
      categories: z.array(z.strictObject({ category: z.string(), bytes: count })),
    })
    .nullable(),
  /** Absent: there were none. */
  rules: rulesOutcome.optional(),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type TriageJson = z.infer<typeof triageSchema>;
