import { HostError } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { logBeside } from '../../host/logs.js';
import { type BootChoice, findBoot } from '../../log/boots.js';
import type { MessageSink } from '../../log/reader.js';
import type { TextRecord } from '../../records/log-records.js';
import type { KernelTriage, LogTriage, TextTriage } from '../../triage/answer.js';
import { ranked } from '../../triage/answer.js';
import { findDumps } from '../../triage/batch/search.js';
import type { FailOn } from '../../triage/finding.js';
import { LogFindings } from '../../triage/log/log-findings.js';
import { findingsBeside, HeldMessages, isNoLog, PAGE_SIZE, ruleBasis, triageText } from '../../triage/text.js';
import { hasWholeLog } from '../../triage/triage.js';
import { UsageError } from '../kit/failure.js';
import { checkPage } from '../kit/html-page.js';
import { type LogInputs, noLog, readLog } from '../kit/log-inputs.js';
import { presentTriage, type TriagePrintOptions } from './print.js';
import { bootId, ringsBeside, withRing } from './ring.js';
import { rulesStep } from './rules.js';

interface TextTriageOptions extends TriagePrintOptions {
  readonly rules?: string;
  readonly ring?: string;
  readonly boot?: BootChoice;
}

/**
 * Prints findings from text logs.
 *
 * @throws {HostError} none can be read, or none contains a kernel log; {@link UsageError} none has that boot
 */
export async function triageTextLog(
  inputs: LogInputs,
  options: TextTriageOptions,
  failing: FailOn | null,
): Promise<void> {
  const { path: source } = inputs;
  const read = inputs.logs.flatMap(({ files }) => files);
  const vmcore = read.flatMap(({ content }) => (typeof content === 'string' ? [content] : []));
  checkPage({ ...options, vmcore });
  const answer = await textTriage(inputs, { ...options, holds: options.html !== undefined });
  presentTriage(answer, options, failing, options.html === undefined ? source : escapeText(source));
}

/**
 * Adds findings from the log next to the dump if the dump lacks all or part of its log. Each such finding
 * names that log (figure `log`).
 */
export async function withLogBeside(answer: KernelTriage, vmcore: readonly string[] = []): Promise<KernelTriage> {
  const { kernel, findings: own } = answer;
  const [dump, ...others] = hasWholeLog(answer) ? [] : findDumps(vmcore).dumps;
  const source = dump && others.length === 0 && logBeside(dump.dump);
  if (!source) return answer;
  const { found, failures } = await findingsOf([source], kernel.pageSize);
  const reason = found[0]?.findings.find(({ code }) => code === 'panic')?.figures.reason ?? null;
  const known = own.map((finding) =>
    finding.code === 'panic' && finding.figures.reason === null && reason !== null
      ? { ...finding, figures: { ...finding.figures, reason, log: source.name } }
      : finding,
  );
  const findings = findingsBeside(known, found).filter(
    ({ code }) => code !== 'panic' || !known.some((finding) => finding.code === code),
  );
  const message = `the log in the dump is missing or incomplete: findings are also from ${source.name} in the same folder`;
  const missing = [...failures.map((failure) => failure.message), ...(found.length > 0 ? [message] : [])];
  const warnings = missing.map((text) => ({ code: 'unreadable', message: text }) as const);
  return ranked({
    ...answer,
    logBeside: source.name,
    findings: [...known, ...findings],
    complete: false,
    warnings: [...answer.warnings, ...warnings],
  });
}

/** @throws as triageTextLog; {@link UsageError} the rules cannot be read */
export async function textTriage(
  { path, logs, warnings }: LogInputs,
  { boot, ring, rules, holds = false }: Pick<TextTriageOptions, 'boot' | 'ring' | 'rules'> & { holds?: boolean },
): Promise<TextTriage> {
  const step = rules === undefined ? undefined : await rulesStep(rules);
  const needs = { choice: boot, holds: holds || step !== undefined };
  const { found, failures } = await findingsOf(logs, PAGE_SIZE, needs);
  if (found.length === 0) throw failures[0] ?? noLog(path);
  const own = triageText(found, [...warnings, ...failures.map(({ message }) => message)]);
  const [file] = found.flatMap(({ files }) => files);
  const answer = withRing(own, ring, file === undefined ? [] : ringsBeside(file), { notBootId: bootId() });
  if (!step) return answer;
  const { findings, rules: outcome } = step(ruleBasis(answer));
  return { ...answer, findings, rules: outcome };
}

/**
 * Returns findings of each log, in bounded memory. If there are several logs, those without a kernel message
 * are omitted.
 *
 * @param needs.choice selected boot
 * @param needs.holds whether the messages are needed too
 * @throws {UsageError} no log has the boot
 */
export async function findingsOf(
  logs: LogInputs['logs'],
  pageSize: number,
  { choice, holds = false }: { readonly choice?: BootChoice | undefined; holds?: boolean } = {},
): Promise<{ readonly found: LogTriage[]; readonly failures: HostError[] }> {
  const found: LogTriage[] = [];
  const failures: HostError[] = [];
  let lacksBoot = false;
  for (const source of logs) {
    const { name, files } = source;
    const findings = new LogFindings(pageSize);
    try {
      const held = holds ? new HeldMessages() : undefined;
      const { summary, missing } = await readLog(source, held ? bothOf(findings, held) : findings);
      const boot = choice && findBoot(choice, summary);
      const list = findings.finish(summary, boot);
      if (isNoLog(summary, list)) continue;
      if (held && boot !== undefined) held.choose(boot);
      if (choice && boot === undefined) lacksBoot = true;
      else
        found.push({ name, files: files.map((file) => file.name), log: summary, boot, findings: list, missing, held });
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      failures.push(error);
    }
  }
  if (lacksBoot && found.length === 0)
    throw new UsageError('the log does not contain that boot', 'Omit --boot to see all boots.');
  return { found, failures };
}

/** Passes each message to the findings, and stores it. */
function bothOf(findings: LogFindings, held: HeldMessages): MessageSink {
  const take = (record: TextRecord): void => {
    findings.take(record);
    held.take(record);
  };
  const takeProgram = (line: string, seq: number) => findings.takeProgram(line, seq);
  return { take, takeProgram, isOpen: true, triggers: findings.triggers };
}
