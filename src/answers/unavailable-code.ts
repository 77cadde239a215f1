import { z } from 'zod';
import { HOST_ERROR_CODES } from '../base/errors/host.js';
import { KERNEL_ERROR_CODES, READ_ERROR_CODES } from '../base/errors/kernel.js';

/** Why a source could not be had. */
export const unavailableCode = z.enum([
  ...KERNEL_ERROR_CODES,
  ...READ_ERROR_CODES,
  ...HOST_ERROR_CODES,
]);
