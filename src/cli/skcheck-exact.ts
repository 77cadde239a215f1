import type { Diagnosis } from '../diagnosis/diagnose.js';
import type { CountedDiagnosis } from '../diagnosis/exact.js';
import type { SkcheckWarning } from '../report/skcheck/schema.js';

/**
 * `skcheck --exact`: counts what was found in the memory of the running kernel, where that can be read;
 * elsewhere the diagnosis stays as it is, and a warning says why.
 */
export async function countLive(
  diagnosis: Diagnosis,
): Promise<CountedDiagnosis & { readonly warnings: readonly SkcheckWarning[] }> {
  const { countExactly, withCounts } = await import('../diagnosis/exact.js');
  const { openNative } = await import('../kernel/native/open.js');
  const { KernelError } = await import('../kernel/error.js');
  const warning = (count: number, message: string) => ({ code: 'exact', count, message }) as const;
  try {
    const kernel = openNative({ files: [], live: true });
    try {
      const exact = countExactly(kernel, diagnosis.findings);
      const { failed } = exact;
      const message = `${failed?.count} of what was found could not be counted (${failed?.because}); there the figures are estimates`;
      const warnings = failed ? [warning(failed.count, message)] : [];
      return { ...withCounts(diagnosis, exact), warnings };
    } finally {
      kernel.close();
    }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    const message = `nothing was counted, the figures are estimates: ${error.message}`;
    const warnings = [warning(diagnosis.findings.length, message)];
    return { diagnosis, counts: new Map(), warnings };
  }
}
