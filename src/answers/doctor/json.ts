import type { Check } from '../../doctor/check.js';
import type { DoctorJson } from './schema.js';
import { CHECK_WORDS } from './words.js';

/** @param version of the program */
export function doctorJson(checks: readonly Check[], version: string): DoctorJson {
  return {
    schema: 'kdump-mem.doctor/1',
    version,
    node: process.versions.node,
    checks: checks.map((check) => {
      const { needs, ...words } = CHECK_WORDS[check.code];
      return { ...check, needs: [...needs], ...words };
    }),
  };
}
