import { eachCaptured } from '../account/captured-log.js';
import type { MemoryAnswer } from '../account/memory/answer.js';
import { type CapturedFiles, readCapture } from '../host/capture/files.js';
import { capturedLog } from '../host/capture/log.js';
import { otherLogs } from '../host/capture/other-logs.js';
import { HostError } from '../host/error.js';
import { readPageSize } from '../host/proc/memory.js';
import { optionalText } from '../host/proc/process.js';
import { KernelError } from '../kernel/error.js';
import { pstoreText } from '../log/pstore.js';
import { textRecords } from '../log/text.js';
import type { LogRecord } from '../log-records.js';
import { hostTriageJson, hostTriageText } from '../report/triage/captured.js';
import {
  type CapturedParts,
  type CapturedTriage,
  type NamedLog,
  triageCaptured,
} from '../triage/captured.js';
import type { FailOn } from '../triage/fail-on.js';
import { isFailing } from '../triage/fail-on.js';
import type { Warning } from '../walk/warnings.js';
import { type AnswerOptions, tell } from './answer.js';
import { type CapturedSource, capturedAt } from './captured-source.js';
import { EXIT } from './failure.js';
import { sourceWords } from './kernel-source.js';
import { memoryOfCapture } from './memory-captured.js';

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
  options: CapturedTriageOptions,
  failing: FailOn | null,
): Promise<void> {
  const files = await readCapture(from, { logs: true });
  const source = capturedAt(files, 'last');
  const { host, of } = source;
  const { logs, warnings } = logsBeside(files);
  const parts: CapturedParts = {
    ...{ of, warnings: [...source.warnings, ...warnings], pageSize: readPageSize(host) },
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

/** Logs beside the capture's own, and what is missing of them. */
function logsBeside(files: CapturedFiles): { logs: NamedLog[]; warnings: Warning[] } {
  const warnings: Warning[] = [];
  const logs = otherLogs(files).map(({ name, records, isPstore }) => {
    if (!isPstore) return { name, records: textRecords(records[0]?.text ?? '') };
    const { text, missing, unreadable } = pstoreText(records);
    if (missing.length > 0)
      warnings.push({ code: 'unreadable', message: `${name}: missing ${missing.join(', ')}` });
    for (const one of unreadable)
      warnings.push({
        code: 'unreadable',
        message: `${one}: no record of pstore (compressed or damaged)`,
      });
    return { name, records: textRecords(text) };
  });
  return { logs, warnings };
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
