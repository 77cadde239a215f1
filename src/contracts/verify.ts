import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { count } from './common.js';

/** `--engine verify --json` of any command, version 1: the figures on which two engines differ. */
export const verifySchema = z.strictObject({
  schema: z.literal('kdump-mem.verify/1'),
  /** Number of compared figures. */
  compared: count,
  differences: z.array(
    z.strictObject({
      /** Such as `queues.receive.pages`. */
      path: z.string(),
      /** Undefined where an engine lacks the figure. */
      native: z.unknown(),
      crash: z.unknown(),
    }),
  ),
});

export type VerifyAnswer = Immutable<z.output<typeof verifySchema>>;
export type Difference = VerifyAnswer['differences'][number];
