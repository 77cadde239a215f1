import { HostError } from '../host/error.js';
import { openText } from '../host/text-input.js';
import { type MessageSink, TextLogReader, type TextLogSummary } from '../log/reader.js';
import { textTriageJson, textTriageText } from '../report/triage/text-log.js';
import { type FailOn, isFailing } from '../triage/fail-on.js';
import { LogFindings } from '../triage/log/log-findings.js';
import { triageText } from '../triage/text.js';
import { type AnswerOptions, tell } from './answer.js';
import { EXIT } from './failure.js';
import { noLog } from './text-log.js';

/** The page size is not printed: findings in pages are of the most common one. */
const PAGE_SIZE = 4096;

/**
 * What was the matter, by a log that is text.
 *
 * @throws {HostError} it cannot be read, or contains no kernel log
 */
export async function triageTextLog(
  file: string,
  options: AnswerOptions & { readonly verbose?: true },
  failing: FailOn | null,
): Promise<void> {
  const findings = new LogFindings(PAGE_SIZE);
  const { summary, why } = await readAll(file, findings);
  const answer = triageText(file, summary, findings.finish(), why);
  if (summary.format === undefined && answer.findings.length === 0)
    throw why === undefined ? noLog(file) : new HostError('unreadable', why);
  tell(answer, options, {
    toJson: textTriageJson,
    toText: (found, width) =>
      textTriageText(found, { width, verbose: options.verbose, source: file }),
  });
  if (failing && answer.findings.some((finding) => isFailing(failing, finding)))
    process.exitCode = EXIT.differs;
}

/** Reads as far as it goes. */
async function readAll(
  file: string,
  sink: MessageSink,
): Promise<{ summary: TextLogSummary; why?: string }> {
  const reader = new TextLogReader(sink);
  try {
    for await (const part of openText(file)) reader.push(part);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const summary = reader.end();
    if (summary.bytes === 0) throw error;
    return { summary, why: error.message };
  }
  return { summary: reader.end() };
}
