/** What `ps` calls the states of a task: the lowest bit of its state tells, as fs/proc/array.c does it. */
export const TASK_STATES = ['R', 'S', 'D', 'T', 't', 'X', 'Z', 'P', 'I'] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** TASK_REPORT: the states that are told. */
const REPORTED = 0x7f;
/** TASK_UNINTERRUPTIBLE and TASK_NOLOAD: it waits, and counts for no load. */
const IDLE = 0x402;
/** TASK_RTLOCK_WAIT (5.15): it waits for a lock. */
const LOCK_WAIT = 0x1000;

/** EXIT_DEAD and EXIT_ZOMBIE of `exit_state` lie where `state` has no bits that are told. */
export function taskState(state: number, exitState: number): TaskState {
  if ((state & IDLE) === IDLE) return 'I';
  const lock = (state & LOCK_WAIT) !== 0 ? 2 : 0;
  const bits = (state | exitState | lock) & REPORTED;
  return TASK_STATES[bits === 0 ? 0 : 32 - Math.clz32(bits)] ?? 'R';
}
