import type { HostErrorCode } from './host.js';
import type { KernelErrorCode, ReadErrorCode } from './kernel.js';

/** Why a source of memory could not be had: what kept it from being opened. */
export type UnavailableCode = KernelErrorCode | ReadErrorCode | HostErrorCode;
