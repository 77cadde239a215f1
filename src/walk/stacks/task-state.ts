/** State letters as printed by `ps`, by the lowest set bit of the state (fs/proc/array.c). */
export const TASK_STATES = ['R', 'S', 'D', 'T', 't', 'X', 'Z', 'P', 'I'] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** TASK_REPORT: the reported states. */
const REPORTED = 0x7f;
/** TASK_UNINTERRUPTIBLE and TASK_NOLOAD: the task sleeps without contributing to the load average. */
const IDLE = 0x402;
/**
 * TASK_RTLOCK_WAIT (5.15) and TASK_FROZEN (6.1): the task waits for a lock, or is frozen. Both are reported
 * as D.
 */
const WAITS = 0x9000;

/**
 * Returns the reported state of a task; EXIT_DEAD and EXIT_ZOMBIE are bits of `exit_state`, which `state`
 * does not contain.
 */
export function taskState(state: number, exitState: number): TaskState {
  if ((state & WAITS) !== 0) return 'D';
  if ((state & IDLE) === IDLE) return 'I';
  const bits = (state | exitState) & REPORTED;
  return TASK_STATES[bits === 0 ? 0 : 32 - Math.clz32(bits)] ?? 'R';
}
