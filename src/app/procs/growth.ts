import { formatJson } from '../../base/util.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { printAnswer, printText, printWarnings } from '../kit/output.js';
import { terminalWidth } from '../kit/terminal.js';
import type { ProcsOptions } from './options.js';

/** Finds growing processes from samples of this machine, or from stored ones. */
export async function answerGrowth(options: ProcsOptions): Promise<void> {
  const { from, fromSamples } = options;
  if (from !== undefined) return (await import('./captured-growth.js')).answerCapturedGrowth(from, options);
  if (fromSamples !== undefined) return answerSamples(fromSamples, options);
  const [{ watchProcesses }, { liveHost }] = await Promise.all([import('./watch.js'), import('../../host/live.js')]);
  await watchProcesses(liveHost, options);
}

async function answerSamples(files: readonly string[], options: ProcsOptions): Promise<void> {
  if (files.includes('')) throw new UsageError('a file’s name is empty');
  const [{ growthOfFiles }, { procsGrowth }, { growthText }, { processMetrics }] = await Promise.all([
    import('./samples.js'),
    import('../../answers/growth/lines.js'),
    import('../../answers/growth/text.js'),
    import('../../answers/growth/prometheus.js'),
  ]);
  const { json, prometheus, limit = 20, verbose, strict } = options;
  const { answer, warnings } = growthOfFiles(files);
  if (prometheus === true) process.stdout.write(processMetrics(answer));
  else if (prometheus !== undefined) {
    const { writeTextfile } = await import('../kit/output.js');
    writeTextfile(prometheus, processMetrics(answer));
  } else if (json) printAnswer(formatJson(procsGrowth(answer, warnings), 2));
  else {
    const { processes: listed } = answer;
    printText(growthText(answer, { listed, limit, verbose, width: terminalWidth() }));
  }
  if (!json) printWarnings(warnings);
  if (strict && (warnings.length > 0 || !answer.complete)) process.exitCode = EXIT.incomplete;
}
