import { OF_LOOKS } from '../growth/history.js';
import { ProcessGrowth } from '../growth/processes.js';
import { readCapture } from '../host/capture/files.js';
import { HostError } from '../host/error.js';
import { formatJson } from '../json.js';
import { procsEnd } from '../report/growth/json.js';
import { processMetrics } from '../report/growth/prometheus.js';
import { growthText } from '../report/growth/text.js';
import { capturedAt } from './captured-source.js';
import { EXIT } from './failure.js';
import { printAnswer, printStream, printWarnings } from './output.js';
import { withoutMemory } from './procs-host.js';
import { lookAtProcesses } from './procs-look.js';
import { checkThere, chosen, lookLines } from './procs-look-lines.js';
import type { ProcsOptions } from './procs-options.js';
import { terminalWidth } from './terminal-width.js';
import { writeTextfile } from './textfile.js';

/**
 * What grew between the two samples of a capture: as a table, as the lines that --ndjson stores, as metrics.
 *
 * @throws {HostError} it has no memory of processes, one sample alone, or does not say when it was taken
 */
export async function answerCapturedGrowth(from: string, options: ProcsOptions): Promise<void> {
  const { ndjson, prometheus, verbose, limit = 20, strict } = options;
  const files = await readCapture(from);
  const samples = files.has('sample-2/began') ? (['first', 'last'] as const) : (['last'] as const);
  if (options.watch && samples.length < 2)
    throw new HostError('unreadable', `${from} has one sample: nothing tells what grew`, {
      next: 'Leave --watch out.',
    });
  const growth = new ProcessGrowth(ndjson ? 'last' : 'first', OF_LOOKS);
  for (const [index, sample] of samples.entries()) {
    const { host, of, warnings } = capturedAt(files, sample);
    if (host.at === null)
      throw new HostError('unreadable', `${from} does not say when it was taken`);
    const found = await lookAtProcesses(host, host.at, { captured: of, warnings });
    if (found.answer.processes.length === 0) throw withoutMemory(from);
    if (growth.add(found.look) === 'mixed')
      throw new HostError('unreadable', `${from} has samples of several boots`);
    const answer = growth.answer();
    if (!answer) continue;
    if (index === 0) checkThere(found, options);
    if (ndjson) await printStream(lookLines(found, answer, index + 1, options));
    if (index + 1 < samples.length) continue;
    if (strict && !found.answer.complete) process.exitCode = EXIT.incomplete;
    if (ndjson) printAnswer(formatJson(procsEnd(samples.length, false)));
    else if (prometheus === true) process.stdout.write(processMetrics(answer));
    else if (prometheus !== undefined) writeTextfile(prometheus, processMetrics(answer));
    else {
      const listed = chosen(found, answer, options);
      printAnswer(growthText(answer, { listed, limit, verbose, width: terminalWidth() }));
    }
    if (!ndjson) printWarnings(found.answer.warnings);
  }
}
