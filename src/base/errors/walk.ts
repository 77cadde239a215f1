import { KdumpMemError } from '../error.js';

/** Why what was asked for is not there. */
export const WALK_ERROR_CODES = [
  'no-such-pid',
  'kernel-thread',
  'no-such-netns',
  'no-such-fd',
  'not-a-socket',
  'no-such-symbol',
  'ambiguous-symbol',
  'no-such-cpu',
  'no-such-type',
  'ambiguous-type',
  'no-such-member',
] as const;
export type WalkErrorCode = (typeof WALK_ERROR_CODES)[number];

export class WalkError extends KdumpMemError<WalkErrorCode> {}
