import { formatJson } from '../json.js';
import { EXIT, UsageError } from './failure.js';
import { printAnswer, printWarnings } from './output.js';
import type { ProcsOptions } from './procs-options.js';
import { terminalWidth } from './terminal-width.js';

/** Which processes grow, by looks at this machine or by samples that were stored. */
export async function answerGrowth(options: ProcsOptions): Promise<void> {
  const { from, fromSamples } = options;
  if (from !== undefined)
    return (await import('./procs-captured-growth.js')).answerCapturedGrowth(from, options);
  if (fromSamples !== undefined) return answerSamples(fromSamples, options);
  const [{ watchProcesses }, { liveHost }] = await Promise.all([
    import('./procs-watch.js'),
    import('../host/live.js'),
  ]);
  await watchProcesses(liveHost, options);
}

async function answerSamples(files: readonly string[], options: ProcsOptions): Promise<void> {
  if (files.includes('')) throw new UsageError('a file’s name is empty');
  const [{ growthOfFiles }, { procsGrowth }, { growthText }, { processMetrics }] =
    await Promise.all([
      import('./procs-samples.js'),
      import('../report/growth/json.js'),
      import('../report/growth/text.js'),
      import('../report/growth/prometheus.js'),
    ]);
  const { json, prometheus, limit = 20, verbose, strict } = options;
  const { answer, warnings } = growthOfFiles(files);
  if (prometheus === true) process.stdout.write(processMetrics(answer));
  else if (prometheus !== undefined) {
    const { writeTextfile } = await import('./textfile.js');
    writeTextfile(prometheus, processMetrics(answer));
  } else if (json) printAnswer(formatJson(procsGrowth(answer, warnings), 2));
  else {
    const { processes: listed } = answer;
    printAnswer(growthText(answer, { listed, limit, verbose, width: terminalWidth() }));
  }
  if (!json) printWarnings(warnings);
  if (strict && (warnings.length > 0 || !answer.complete)) process.exitCode = EXIT.incomplete;
}
