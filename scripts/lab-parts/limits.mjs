// Limits that end what hangs. No test asserts them, and none waits for them: on a slow machine beside other work, a step
// takes twenty times as long as on an idle one.

/** Milliseconds for one step: a command, an answer of drgn, a condition that a scene waits for. */
export const STEP_MS = 1_800_000;
/** Milliseconds for a test, for a hook, and for a guest from its boot to its end. */
export const WHOLE_MS = 4 * STEP_MS;
