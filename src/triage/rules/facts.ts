import type { LogAnswer } from '../../account/log.js';
import { KernelError, ReadError } from '../../base/errors.js';
import type { StacksAnswer } from '../../contracts/task-stacks.js';
import type { LogRecord, TextRecord } from '../../records/log-records.js';
import type { TaskState } from '../../records/waits.js';
import type { KernelTriage } from '../answer.js';
import { type LogLine, linesOf } from '../log/lines.js';

/** Reads the stacks of all tasks, or of those in a state. @throws as groupedStacks does */
export type AskStacks = (state?: TaskState) => StacksAnswer;

/** Input of rules: an answer about a kernel, or the corresponding parts from text logs. */
export type RuleBasis = Pick<KernelTriage, 'findings' | 'memory' | 'complete'> & {
  /** '' if unknown. */
  readonly kernel: Pick<KernelTriage['kernel'], 'release'>;
  readonly machine: Pick<KernelTriage['machine'], 'panic' | 'taint' | 'modules'>;
  readonly log: RuleLog | undefined;
};

type RuleLog = Pick<LogAnswer, 'overwritten' | 'noRoom' | 'complete'> & {
  readonly records: Iterable<LogRecord | TextRecord>;
};

/** Facts for rules: the answer, and facts that only rules need, read on first use. */
export class RuleFacts {
  readonly answer: RuleBasis;
  readonly #ask: AskStacks;
  readonly #stacks = new Map<TaskState | 'all', StacksAnswer | Error>();
  #lines: readonly LogLine[] | undefined;

  constructor(answer: RuleBasis, ask: AskStacks) {
    this.#ask = ask;
    this.answer = answer;
  }

  /** Lines of the kernel's own messages. */
  get lines(): readonly LogLine[] {
    this.#lines ??= [...linesOf(this.answer.log?.records ?? [])];
    return this.#lines;
  }

  /** Why lines may be missing; undefined: the log is complete. */
  get logLacks(): string | undefined {
    return whyIncomplete(this.answer.log);
  }

  /** Stacks of all tasks, or of those in a state; an error: they cannot be read. */
  stacks(state?: TaskState): StacksAnswer | Error {
    const key = state ?? 'all';
    const known = this.#stacks.get(key);
    if (known !== undefined) return known;
    const result = this.#find(state);
    this.#stacks.set(key, result);
    return result;
  }

  #find(state: TaskState | undefined): StacksAnswer | Error {
    try {
      return this.#ask(state);
    } catch (error) {
      if (error instanceof KernelError || error instanceof ReadError) return error;
      throw error;
    }
  }
}

function whyIncomplete(log: RuleLog | undefined): string | undefined {
  if (log === undefined) return 'the log is not available';
  if (log.overwritten > 0) return `the oldest ${log.overwritten} messages of the log are missing`;
  if (log.noRoom > 0) return `the log had no room for ${log.noRoom} messages`;
  return log.complete ? undefined : 'parts of the log cannot be read';
}
