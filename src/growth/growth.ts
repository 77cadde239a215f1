import type { GrowthJson } from '../answers/growth/schema.js';
/**
 * Rate of change by samples, in bytes per second if the samples are bytes. The true rate is between `low` and
 * `high` with the given confidence.
 */
export type Growth = NonNullable<GrowthJson>;

/** Confidence of every interval. With hundreds of processes, 95 % would report some by chance. */
export const CONFIDENCE = 0.99;

/** Two-sided quantile of the standard normal distribution for this confidence. */
export const Z = 2.575_829;
