import { z } from 'zod';
import { HOST_ERROR_CODES, KERNEL_ERROR_CODES, READ_ERROR_CODES } from '../base/errors.js';
import { hex, type Immutable } from '../base/util.js';
import type { WarningCode } from '../records/warnings.js';

/** Parts that several contracts share. Sizes are bytes, counts are integers. */

export const count = z.int().nonnegative();

/** Address as text, in answers whose code does not have it as a bigint. */
export const addressText = z.string().regex(/^0x[0-9a-f]{1,16}$/);

/** Address: bigint in code, hexadecimal text in JSON (`formatJson`, `jsonOf`). */
export const address = z.codec(addressText, z.bigint(), { decode: BigInt, encode: hex });

export const kernelSchema = z.strictObject({
  release: z.string(),
  arch: z.enum(['x86_64', 'arm64']),
  pageSize: z.int().positive(),
  source: z.enum(['vmcore', 'kcore']),
  engine: z.enum(['crash', 'native']),
});

export type KernelIdentity = Immutable<z.output<typeof kernelSchema>>;

/** Host and time of the capture read with `--from`; its own statements are untrusted. Null: the source is not a capture. */
export const capturedSchema = z
  .strictObject({ host: z.string().nullable(), takenAt: z.iso.datetime().nullable() })
  .nullable();

export type Captured = NonNullable<Immutable<z.output<typeof capturedSchema>>>;

/**
 * Origin of an answer: host, boot and time of its source (for a dump, the time of its clock's last tick);
 * null: unknown. `kdump-mem diff` uses it to decide whether two answers are comparable.
 */
export const originSchema = z
  .strictObject({
    at: z.iso.datetime().nullable(),
    host: z.string().nullable(),
    /** Differs after each boot. */
    bootId: z.string().nullable(),
    /** Since boot, including suspend. */
    uptimeSeconds: z.number().nonnegative().nullable(),
    /** OOM kills since boot, those in cgroups included. Absent: not counted (before Linux 4.13), not captured, or the answer is from kernel memory. */
    oomKills: count.optional(),
  })
  .nullable();

/** Of a source that was read. The host name is untrusted. */
export type Origin = NonNullable<Immutable<z.output<typeof originSchema>>>;

/** A line of a PSI file (Documentation/accounting/psi.rst): share of time that tasks waited for memory. */
const pressureLine = z.strictObject({
  /** Percentage of the last 10, 60 and 300 seconds. */
  avg10: z.number(),
  avg60: z.number(),
  avg300: z.number(),
  /** Since boot, or since the cgroup was created. */
  totalMicroseconds: count,
});

/** PSI: percentage of time that some tasks, or all, stalled on memory. Null: not available. */
export const pressureSchema = z.strictObject({ some: pressureLine, full: pressureLine }).nullable();

export type Pressure = NonNullable<Immutable<z.output<typeof pressureSchema>>>;
export type PressureLine = Pressure['some'];

/** A function on the stack of an allocation, or a line of source. Names are untrusted. */
export const siteFrameSchema = z.strictObject({
  symbol: z.string().nullable(),
  /** Bytes from the start of the function. */
  offset: count.nullable(),
  module: z.string().nullable(),
  /** File and line; null: the source does not report them. */
  line: z.string().nullable(),
  /** Always false: frames come from the kernel’s own unwinder. */
  guess: z.boolean(),
});

/** Any code in JSON: programs that read it know codes of other versions. */
const warningCode = z.codec(z.string(), z.custom<WarningCode>(), {
  decode: (code) => code as WarningCode,
  encode: (code) => code,
});

export const warningSchema = z.strictObject({ code: warningCode, message: z.string() });

/** Why a source could not be had. */
export const unavailableCode = z.enum([...KERNEL_ERROR_CODES, ...READ_ERROR_CODES, ...HOST_ERROR_CODES]);
