export const PROGRAMS: readonly string[];
export function missing(programs: readonly string[], path?: string): string[];
