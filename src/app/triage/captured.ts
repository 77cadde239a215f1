import { eachCaptured } from '../../account/captured-log.js';
import type { MemoryAnswer } from '../../account/memory/answer.js';
import { hostTriageJson, hostTriageText } from '../../answers/triage/captured.js';
import { HostError } from '../../base/errors/host.js';
import { KernelError } from '../../base/errors/kernel.js';
import type { CapturedFiles } from '../../capture/read/files.js';
import { capturedLog } from '../../capture/read/log.js';
import { groupLogs } from '../../host/logs.js';
import { readPageSize } from '../../host/proc/memory.js';
import { optionalText } from '../../host/proc/process.js';
import type { LogRecord } from '../../records/log-records.js';
import { type CapturedParts, type CapturedTriage, triageCaptured } from '../../triage/captured.js';
import type { FailOn } from '../../triage/fail-on.js';
import { isFailing } from '../../triage/fail-on.js';
import { type AnswerOptions, tell } from '../kit/answer.js';
import { type CapturedSource, capturedAt } from '../kit/captured-source.js';
import { EXIT } from '../kit/failure.js';
import { sourceWords } from '../kit/kernel-source.js';
import { memoryOfCapture } from '../memory/captured.js';
import { findingsOf } from './text-log.js';

interface CapturedTriageOptions extends AnswerOptions {
  readonly verbose?: true;
}

/**
 * What was the matter with a host when it was captured.
 *
 * @throws {HostError} the capture cannot be read
 */
export async function tellCaptured(
  from: string,
  files: CapturedFiles,
  options: CapturedTriageOptions,
  failing: FailOn | null,
): Promise<void> {
  const source = capturedAt(files, 'last');
  const { host, of } = source;
  const pageSize = readPageSize(host);
  const { found: logs, failures } = await findingsOf(groupLogs(files.logs()), pageSize);
  const missing = [
    ...failures.map(({ message }) => message),
    ...logs.flatMap((log) => log.missing),
  ];
  const warnings = missing.map((message) => ({ code: 'unreadable', message }) as const);
  const parts: CapturedParts = {
    of,
    warnings: [...source.warnings, ...warnings],
    pageSize,
    release: optionalText(host, '/proc/sys/kernel/osrelease').trim(),
    log: logOf(source),
    otherLogs: logs,
    memory: memoryOf(from, files),
  };
  const found = triageCaptured(parts);
  const verbose = options.verbose;
  tell(found, options, {
    toJson: hostTriageJson,
    toText: (answer: CapturedTriage, width: number | null) =>
      hostTriageText(answer, { width, verbose, source: sourceWords({ ...options, from }) }),
  });
  if (failing && found.findings.some((finding) => isFailing(failing, finding)))
    process.exitCode = EXIT.differs;
}

function logOf({ host, of }: CapturedSource): CapturedParts['log'] {
  try {
    const log = capturedLog(host.logText());
    const each = eachCaptured({ of, log, cut: host.logCut, warnings: [] }, {});
    const records: LogRecord[] = [];
    for (;;) {
      const { done, value } = each.next();
      if (done) return { ...value, records };
      records.push(value);
    }
  } catch (error) {
    if (error instanceof HostError) return error.message;
    throw error;
  }
}

function memoryOf(from: string, files: CapturedFiles): MemoryAnswer | string {
  try {
    return memoryOfCapture(from, files);
  } catch (error) {
    if (error instanceof HostError || error instanceof KernelError) return error.message;
    throw error;
  }
}
