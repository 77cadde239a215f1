/** What `ps` calls the states of a task: the lowest bit of its state tells, as fs/proc/array.c does it. */
export const TASK_STATES = ['R', 'S', 'D', 'T', 't', 'X', 'Z', 'P', 'I'] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** TASK_REPORT: the states that are told. */
const REPORTED = 0x7f;
/** TASK_UNINTERRUPTIBLE and TASK_NOLOAD: it waits, and counts for no load. */
const IDLE = 0x402;
/** TASK_RTLOCK_WAIT (5.15) and TASK_FROZEN (6.1): it waits for a lock, or to thaw. Both are told as D. */
const WAITS = 0x9000;

/** EXIT_DEAD and EXIT_ZOMBIE of `exit_state` lie where `state` has no bits that are told. */
export function taskState(state: number, exitState: number): TaskState {
  if ((state & WAITS) !== 0) return 'D';
  if ((state & IDLE) === IDLE) return 'I';
  const bits = (state | exitState) & REPORTED;
  return TASK_STATES[bits === 0 ? 0 : 32 - Math.clz32(bits)] ?? 'R';
}
