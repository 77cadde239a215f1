import { z } from 'zod';
import { HOST_ERROR_CODES, KERNEL_ERROR_CODES, READ_ERROR_CODES } from '../base/errors.js';
import type { Immutable } from '../base/util.js';
import { type capturedSchema, count, kernelSchema, type originSchema } from '../contracts/common.js';

/**
 * Common JSON contract of kdump-mem commands, version 1. Addresses are hex strings, sizes are bytes, counts
 * are integers. Text from a dump (comm, addresses, protocol names) is copied from the kernel and
 * JSON-escaped.
 */

export { capturedSchema, count, kernelSchema, originSchema } from '../contracts/common.js';

export const warningSchema = z.strictObject({ code: z.string(), message: z.string() });

export const address = z.string().regex(/^0x[0-9a-f]{1,16}$/);

export type OriginJson = Immutable<z.infer<typeof originSchema>>;

export type CapturedJson = Immutable<z.infer<typeof capturedSchema>>;

/** Why a source could not be had. */
export const unavailableCode = z.enum([...KERNEL_ERROR_CODES, ...READ_ERROR_CODES, ...HOST_ERROR_CODES]);
