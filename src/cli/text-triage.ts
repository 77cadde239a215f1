import { HostError } from '../host/error.js';
import { type BootChoice, findBoot } from '../log/boots.js';
import { textTriageJson, textTriageText } from '../report/triage/text-log.js';
import { type FailOn, isFailing } from '../triage/fail-on.js';
import { LogFindings } from '../triage/log/log-findings.js';
import { type LogTriage, triageText } from '../triage/text.js';
import { type AnswerOptions, tell } from './answer.js';
import { EXIT, UsageError } from './failure.js';
import { type LogInputs, noLog, readLog } from './log-inputs.js';

/** The page size is not printed: findings in pages are of the most common one. */
const PAGE_SIZE = 4096;

interface TextTriageOptions extends AnswerOptions {
  readonly verbose?: true;
  readonly boot?: BootChoice;
}

/**
 * What was the matter, by logs that are text.
 *
 * @throws {HostError} none can be read, or contains a kernel log; {@link UsageError} none has that boot
 */
export async function triageTextLog(
  { path, logs, warnings }: LogInputs,
  options: TextTriageOptions,
  failing: FailOn | null,
): Promise<void> {
  const { found, failures } = await findingsOf(logs, PAGE_SIZE, options.boot);
  const answer = triageText(found, [...warnings, ...failures.map(({ message }) => message)]);
  if (found.length === 0) throw failures[0] ?? noLog(path);
  tell(answer, options, {
    toJson: textTriageJson,
    toText: (told, width) =>
      textTriageText(told, { width, verbose: options.verbose, source: path }),
  });
  if (failing && answer.findings.some((finding) => isFailing(failing, finding)))
    process.exitCode = EXIT.differs;
}

/**
 * What each log tells, in bounded memory; of several those without a message of the kernel are left out.
 *
 * @throws {UsageError} no log has the boot
 */
export async function findingsOf(
  logs: LogInputs['logs'],
  pageSize: number,
  choice?: BootChoice,
): Promise<{ readonly found: LogTriage[]; readonly failures: HostError[] }> {
  const found: LogTriage[] = [];
  const failures: HostError[] = [];
  let lacksBoot = false;
  for (const source of logs) {
    const { name, files } = source;
    const findings = new LogFindings(pageSize);
    try {
      const { summary, missing } = await readLog(source, findings);
      const boot = choice && findBoot(choice, summary);
      const list = findings.finish(summary, boot);
      if (summary.messages === 0 || (summary.format === undefined && list.length === 0)) continue;
      if (choice && boot === undefined) lacksBoot = true;
      else
        found.push({
          name,
          files: files.map((file) => file.name),
          log: summary,
          boot,
          findings: list,
          missing,
        });
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      failures.push(error);
    }
  }
  if (lacksBoot && found.length === 0)
    throw new UsageError('the log does not have that boot', 'Leave --boot out to see all boots.');
  return { found, failures };
}
