import type { NotedFacts } from '../../answers/info/answer.js';
import type { SummaryJson } from '../../answers/triage/line-schema.js';
import { KernelError } from '../../base/errors/kernel.js';
import { isLog } from '../../host/logs.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import { endWithParent } from '../../triage/batch/parent.js';
import { explainFailure } from '../kit/failure.js';
import { type aids, openSourceImage, type SourceOptions } from '../kit/kernel-source.js';
import type { LogInputs } from '../kit/log-inputs.js';
import { printAnswer } from '../kit/output.js';
import { openAided } from './aids.js';
import { rulesStep } from './rules.js';

type LineOptions = SourceOptions & { readonly rules?: string; readonly symbolsDir?: string };

/**
 * Reads one dump for a run that reads many (`many.ts`), and prints what is between the dump's
 * name and the seconds in its line, or the reason why it is unreadable. Other errors are bugs, and end the process.
 */
export async function tellOne(options: LineOptions): Promise<void> {
  endWithParent();
  printAnswer(JSON.stringify(await summaryOf(options)));
}

async function summaryOf(options: LineOptions): Promise<SummaryJson> {
  const [
    { openNativeDump },
    { triage },
    { notedIn },
    { failedJson, textSummaryJson: textToldJson, summaryJson: toldJson },
  ] = await Promise.all([
    import('../../kernel/native/open.js'),
    import('../../triage/triage.js'),
    import('../../answers/info/noted.js'),
    import('../../answers/triage/line.js'),
  ]);
  const { textTriage, withLogBeside } = await import('./text-log.js');
  const { inputsBeside } = await import('../kit/log-inputs.js');
  const { vmcore = [] } = options;
  const textOf = async (inputs: LogInputs) => textToldJson(await textTriage(inputs, options));
  const [path = ''] = vmcore;
  const rules = options.rules === undefined ? undefined : await rulesStep(options.rules);
  let noted: NotedFacts = {};
  try {
    if (vmcore.length === 1 && (await isLog(path))) {
      const files = [{ name: path, content: path }];
      return await textOf({ path, logs: [{ name: path, files, isPstore: false }], warnings: [] });
    }
    const image = await openSourceImage(options);
    try {
      noted = notedIn(image);
      const open = (files: ReturnType<typeof aids>) => openNativeDump(image, files);
      const { kernel, used } = openAided(open, options.symbolsDir, noted);
      noted = notedIn(image, kernel.vmcoreinfo);
      needTables(kernel);
      const answer = await withLogBeside(triage(kernel), vmcore);
      return toldJson(rules ? rules(answer, kernel) : answer, noted, used);
    } finally {
      image.close();
    }
  } catch (error) {
    const message = explainFailure(error).line.replace(/^kdump-mem: /, '');
    const failed = failedJson({ code: codeOf(error), message, signal: null }, noted);
    try {
      const { findings, fingerprint, logs, warnings, ...told } = await textOf(
        inputsBeside(error, options),
      );
      const release = failed.release ?? told.release;
      return { ...failed, release, findings, fingerprint, logs, warnings };
    } catch {
      return failed;
    }
  }
}

const GIVE = 'Give --symbols-dir a folder with the vmlinux of that build.';

/** Without them every question has the same answer: that nothing is known. @throws {KernelError} */
function needTables({ provenance: { symbols, types } }: NativeKernel): void {
  if (!symbols.found) throw new KernelError('no-symbols', symbols.why, { next: GIVE });
  if (!types.found) throw new KernelError('no-types', types.why, { next: GIVE });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'exhausted';
}
