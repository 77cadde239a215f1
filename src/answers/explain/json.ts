import type { Explained } from './codes.js';
import type { ExplainJson } from './schema.js';

export function explainJson(codes: readonly Explained[]): ExplainJson {
  return {
    schema: 'kdump-mem.explain/1',
    codes: codes.map(({ kind, code, means, known, next, deeper }) => {
      return { kind, code, means, known, next, deeper: deeper ?? null };
    }),
  };
}
