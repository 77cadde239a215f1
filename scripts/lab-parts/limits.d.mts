// Types of limits.mjs, for tests.

export declare const STEP_MS: number;
export declare const WHOLE_MS: number;
