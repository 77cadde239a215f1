import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { PASTED_STATES } from '../records/pasted.js';
import { CAUSE_RELATIONS, CONFIDENCES, HOST_CHECKS, RULE_DOUBTS, SEVERITIES } from '../records/triage-codes.js';
import { capturedSchema, count, kernelSchema, warningSchema } from './common.js';
import { textLogSchema } from './log.js';
import { crashReportSchema, oomReportSchema } from './log-reports.js';
import { stackSchema } from './task-stacks.js';

/**
 * `kdump-mem triage --json`, version 1. Log text, names and commands are as in the kernel: JSON escapes them.
 * Null: unknown.
 */

const severity = z.enum(SEVERITIES);

export const findingSchema = z.strictObject({
  /** `panic`, `oom-kill`, …: stable. */
  code: z.string(),
  severity,
  /** The form that people search for, such as `KASAN: slab-use-after-free Read in f`. */
  title: z.string().optional(),
  report: crashReportSchema.optional(),
  /** For `oom-kill`. */
  oom: oomReportSchema.optional(),
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
      z.strictObject({ kind: z.literal('stack'), ...stackSchema.shape }),
    ]),
  ),
  /** Lines of a log that is text and does not have the log's clock: with wall-clock time, where it has that. */
  lines: z.array(z.strictObject({ seq: count, printedTime: z.string().nullable(), text: z.string() })).optional(),
  /** The command that shows more, without `kdump-mem` and the dump. */
  next: z.string().nullable(),
  /** An event that is over: `findings` has it below what is true now, or at the time of the dump. */
  past: z.literal(true).optional(),
  /** Advice of a team's own rule. */
  advice: z.string().nullable().optional(),
});

/** By names that each code, relation or conclusion has for good. */
const figures = z.record(z.string(), z.union([z.number(), z.string(), z.null()]));

export const causesShape = {
  /** Findings that follow from others; numbers are places in `findings`. A finding has one cause at most. */
  causes: z.array(z.strictObject({ effect: count, cause: count, relation: z.enum(CAUSE_RELATIONS), figures })),
  /** Cause of the most severe finding; null: no finding follows from another. */
  conclusion: z
    .strictObject({
      /** `unknown`: no finding and no counter explains the effect. */
      confidence: z.enum(CONFIDENCES),
      effect: count,
      /** Null: a figure of the effect explains it, or nothing does. */
      cause: count.nullable(),
      figures,
      /** For people. */
      words: z.string(),
    })
    .nullable(),
};

const adjusted = z.array(
  z.strictObject({
    code: z.string(),
    from: severity,
    to: z.enum([...SEVERITIES, 'silent']),
    findings: count,
    because: z.string(),
  }),
);

/** Effects of a team's own rules (--rules). */
const rulesOutcome = z.strictObject({
  /** Number of rules, and number of those that matched. */
  rules: count,
  /** Of these: matched. */
  matched: count,
  /** Rules that unreadable data may decide. */
  unknown: z.array(z.strictObject({ code: z.string(), reason: z.enum(RULE_DOUBTS), why: z.string() })),
  /** Silenced findings, by code, severity and reason. */
  silenced: adjusted,
  /** Findings whose severity a rule changed. */
  changed: adjusted,
});

/** `triage --json`, whatever the source; a part that the source does not have is null. */
export const triageSchema = z.strictObject({
  schema: z.literal('kdump-mem.triage/1'),
  /** The dump or running kernel whose memory was read; null: only files of a host, or text logs. */
  kernel: kernelSchema.nullable(),
  /** Null: no snapshot. */
  captured: capturedSchema,
  /** A text that people pasted: its outputs of commands, and commands that print what it lacks. */
  pasted: z
    .strictObject({
      parts: z.array(
        z.strictObject({
          kind: z.string(),
          file: z.string(),
          /** Its first line, from 1 on. */
          line: count,
          lines: count,
          state: z.enum(PASTED_STATES),
          /** Why it is not used. */
          why: z.string().nullable(),
          /** Memory of a cgroup; absent: not in the text. */
          figures: z.record(z.string(), count).nullable(),
        }),
      ),
      unknownLines: count,
      lacks: z.array(z.string()),
    })
    .nullable(),
  nodename: z.string().nullable(),
  /** Time at which the files of the host were read. */
  takenAt: z.iso.datetime().nullable(),
  /** Time of the crash, as the kernel noted it; null: no crash, or not noted, as in a dump that QEMU made. */
  crashTime: z.iso.datetime().nullable(),
  /** Time of the memory that was read: that of the crash, or that of the kernel’s `clock`; null: unknown. */
  time: z.strictObject({ at: z.iso.datetime(), from: z.enum(['crash', 'clock']) }).nullable(),
  release: z.string().nullable(),
  uptimeSeconds: count.nullable(),
  panic: z
    .strictObject({
      state: z.enum(['panicked', 'running', 'unknown']),
      message: z.string().nullable(),
      cause: z.string().nullable(),
    })
    .nullable(),
  /** Text logs with kernel messages; if there are several, each finding names its own (figure `log`). */
  logs: z.array(textLogSchema).nullable(),
  /** What is true now, then past events; of each the most severe first. */
  findings: z.array(findingSchema),
  ...causesShape,
  /** Messages of the log that newer ones have overwritten; null: unknown. */
  overwritten: count.nullable(),
  /** Messages for which the log had no room when they came. */
  noRoom: count.nullable(),
  /** Categories of `memory` that have something, the largest first; null: they could not be counted. */
  memory: z
    .strictObject({ bytes: count, categories: z.array(z.strictObject({ category: z.string(), bytes: count })) })
    .nullable(),
  /**
   * The largest holders of memory, whether they are findings or not; of a text log those of its last OOM report.
   * Null: unknown.
   */
  holders: z
    .strictObject({
      largest: z.array(
        z.strictObject({
          /** `program`: processes of one name together. `unmapped`: memory that no process maps. `pipes`: an upper bound. */
          kind: z.string(),
          name: z.string(),
          pid: count.nullable(),
          /** Of a program, and of pipes. */
          processes: count.nullable(),
          bytes: count,
        }),
      ),
      /** Processes that could not be read, or only in part. */
      unreadProcesses: count,
      /** Present if /proc does not list all processes: any of the others may hold more. */
      hidden: z.literal(true).optional(),
      /** Present if they are processes by RSS, which includes shared pages and page cache: kernels before 4.5, and text of ps. */
      byRss: z.literal(true).optional(),
    })
    .nullable(),
  /** Checks whose sources were all read; null: a text log, which has none. */
  checked: z.array(z.enum(HOST_CHECKS)).nullable(),
  /** Unread sources of these checks, and problems that they may hide. */
  unread: z.array(
    z.strictObject({
      check: z.enum(HOST_CHECKS),
      code: z.string(),
      why: z.string(),
      hides: z.string(),
      /** Number of processes that could not be read. */
      processes: count.optional(),
    }),
  ),
  /** Absent: none. */
  rules: rulesOutcome.optional(),
  complete: z
    .boolean()
    .describe(
      'Every check was completed: without findings, false is no all-clear. `unread` has each check of a host that was not, or only in part; `warnings` names the same sources. False is usual without root, which the kernel log and other processes need.',
    ),
  warnings: z.array(warningSchema),
});

export type TriageJson = Immutable<z.input<typeof triageSchema>>;

/** The last line of `kdump-mem triage --watch --json`; a stream without it is truncated. */
export const triageWatchEndSchema = z.strictObject({
  schema: z.literal('kdump-mem.triage-watch-end/1'),
  samples: count,
  /** Whether a signal or a key stopped it; otherwise `--count` or a finding of `--fail-on` did. */
  interrupted: z.boolean(),
});

export type TriageWatchEndJson = Immutable<z.input<typeof triageWatchEndSchema>>;

/** A rule, by code, whose conditions could not be evaluated. */
export type Undecided = RulesOutcome['unknown'][number];

/** Effects of rules, beside the findings that they made. */
export type RulesOutcome = NonNullable<TriageJson['rules']>;

/** Findings whose severity a rule changed, or that it silenced. */
export type Adjusted = RulesOutcome['changed'][number];
