import { z } from 'zod';
import { HOST_ERROR_CODES, KERNEL_ERROR_CODES, READ_ERROR_CODES } from '../base/errors.js';

/** Why a source could not be had. */
export const unavailableCode = z.enum([
  ...KERNEL_ERROR_CODES,
  ...READ_ERROR_CODES,
  ...HOST_ERROR_CODES,
]);
