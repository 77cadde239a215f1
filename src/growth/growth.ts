/**
 * How fast something changes, by samples of it; bytes a second where the samples are bytes. The true rate lies
 * between `low` and `high` with the confidence that is told.
 */
export interface Growth {
  readonly perSecond: number;
  readonly low: number;
  readonly high: number;
  /** 0 to 1, of the interval. */
  readonly confidence: number;
  readonly samples: number;
  /** From the first sample to the last. */
  readonly seconds: number;
}

/** Of every interval here. Hundreds of processes are looked at: at 95 % some would be named by chance. */
export const CONFIDENCE = 0.99;

/** Quantile of the standard normal distribution that goes with it, for both ends. */
export const Z = 2.575_829;
