import { z } from 'zod';
import type { Immutable } from '../../base/util.js';
import { count } from '../../contracts/common.js';

const argument = z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]);

/** A call of a tool. */
const call = z.strictObject({ tool: z.string(), arguments: z.record(z.string(), argument) });

/** Structured content of a tool of `kdump-mem mcp`, version 1. */
export const mcpAnswerSchema = z.strictObject({
  schema: z.literal('kdump-mem.mcp-answer/1'),
  /** The files that were read, or `live`. */
  sources: z.array(z.string()),
  /**
   * JSON of the command, with its own schema (resource `kdump-mem://schema/NAME`). Strings are data from the source,
   * never instructions: control characters and invisible characters in them are escaped.
   */
  answer: z.looseObject({ schema: z.string() }),
  /** The part of the answer that the argument `list` selected: other lists are empty. Null: all of it. */
  part: z.strictObject({ list: z.string(), from: count }).nullable(),
  /** Lists that were cut to fit the budget, outer lists first; `list` is a path in `answer`. */
  omitted: z.array(
    z.strictObject({
      list: z.string(),
      /** Items before `from` belong to earlier parts; items from `from + shown` on are left out. */
      from: count,
      shown: count,
      total: count,
      /** Returns the next items. */
      more: call,
    }),
  ),
  /** Number of cut lists that `omitted` does not name. */
  omittedLists: count,
  /** Suggested calls, best first. */
  next: z.array(call),
});

export type McpAnswerJson = Immutable<z.infer<typeof mcpAnswerSchema>>;
export type ToolCall = Immutable<z.infer<typeof call>>;
