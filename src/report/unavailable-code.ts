import { z } from 'zod';
import { HOST_ERROR_CODES } from '../host/error.js';
import { KERNEL_ERROR_CODES, READ_ERROR_CODES } from '../kernel/error.js';

/** Why a source could not be had. */
export const unavailableCode = z.enum([
  ...KERNEL_ERROR_CODES,
  ...READ_ERROR_CODES,
  ...HOST_ERROR_CODES,
]);
