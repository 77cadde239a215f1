import { procsEnd } from '../../answers/growth/lines.js';
import { processMetrics } from '../../answers/growth/prometheus.js';
import { growthText } from '../../answers/growth/text.js';
import { HostError } from '../../base/errors.js';
import { formatJson } from '../../base/util.js';
import { readCapture } from '../../capture/read/files.js';
import { ProcessGrowth } from '../../growth/processes.js';
import { SAMPLE_HISTORY } from '../../growth/trend.js';
import { capturedAt } from '../kit/captured-source.js';
import { EXIT } from '../kit/failure.js';
import { printAnswer, printStream, printText, printWarnings, writeTextfile } from '../kit/output.js';
import { terminalWidth } from '../kit/terminal.js';
import { checkProcessExists, lookLines, sampleProcesses, selectProcesses, withoutMemory } from './host.js';
import type { ProcsOptions } from './options.js';

/**
 * Reports growth between the two samples of a capture: as a table, as lines in the format of --ndjson, or as
 * metrics.
 *
 * @throws {HostError} it has no process memory, only one sample, or no time of capture
 */
export async function answerCapturedGrowth(from: string, options: ProcsOptions): Promise<void> {
  const { ndjson, prometheus, verbose, limit = 20, strict } = options;
  const files = await readCapture(from);
  const samples = files.has('sample-2/began') ? (['first', 'last'] as const) : (['last'] as const);
  if (options.watch && samples.length < 2)
    throw new HostError('unreadable', `${from} has only one sample: growth is unknown`, {
      next: 'Run it without --watch.',
    });
  const growth = new ProcessGrowth(ndjson ? 'last' : 'first', SAMPLE_HISTORY);
  for (const [index, sample] of samples.entries()) {
    const { host, of, warnings } = capturedAt(files, sample);
    if (host.at === null) throw new HostError('unreadable', `${from}: time of capture is missing`);
    const sampled = await sampleProcesses(host, host.at, { capture: { captured: of, warnings } });
    if (sampled.answer.processes.length === 0) throw withoutMemory(from, warnings);
    if (growth.add(sampled.look) === 'mixed') throw new HostError('unreadable', `${from}: samples of several boots`);
    const answer = growth.answer();
    if (!answer) continue;
    if (index === 0) checkProcessExists(sampled, options);
    if (ndjson) await printStream(lookLines(sampled, answer, index + 1, options));
    if (index + 1 < samples.length) continue;
    if (strict && !sampled.answer.complete) process.exitCode = EXIT.incomplete;
    if (ndjson) printAnswer(formatJson(procsEnd(samples.length, false)));
    else if (prometheus === true) process.stdout.write(processMetrics(answer));
    else if (prometheus !== undefined) writeTextfile(prometheus, processMetrics(answer));
    else {
      const listed = selectProcesses(sampled, answer, options);
      printText(growthText(answer, { listed, limit, verbose, width: terminalWidth() }));
    }
    if (!ndjson) printWarnings(sampled.answer.warnings);
  }
}
