import type { MemoryAnswer } from '../../account/memory/answer.js';
import { NOT_KEPT } from '../../base/errors.js';
import { escapeText } from '../../base/escape.js';
import { count, formatCount, formatSize, inflect } from '../../base/size.js';
import { grouped } from '../../base/util.js';
import type { Pasted } from '../../records/pasted.js';
import type { HostCheckName } from '../../records/triage-codes.js';
import { SEVERITIES } from '../../records/triage-codes.js';
import type { TriageAnswer } from '../../triage/answer.js';
import { causeFacts } from '../../triage/answer.js';
import { causesOf } from '../../triage/causes.js';
import { type Evidence, type Finding, isSameBoot } from '../../triage/finding.js';
import { FINDINGS, hasTrait } from '../../triage/findings/all.js';
import { cgroupWords, type Declarations, type Figures } from '../../triage/findings/declared.js';
import type { Unread } from '../../triage/host-reader.js';
import { pastedCommands } from '../../triage/pasted-outputs.js';
import { dumpTime } from '../../walk/machine/clock.js';
import { CORRUPTION } from '../explain/generated.js';
import { logTime, textLogWords } from '../log/render.js';
import { groupsWords, isMuchUnattributed, memoryShortage } from '../memory/sentences.js';
import { ownerWords } from '../memory/words.js';
import { captureWords, pastedWords, shortageWords } from '../origin.js';
import { framesText } from '../task-stacks/document.js';
import { hostCommand } from '../text/blocks.js';
import { wrap } from '../text/cut.js';
import { concluded, conclusionSentences, type FindingTree, type LargestUse } from './causes.js';
import { oomLines } from './oom.js';
import { adviceWords, ageWords, findingSentences, numberOf, othersWords, rulesLines, titleWords } from './words.js';

export interface TriageTextOptions {
  /** Columns of the terminal; null: no terminal. */
  readonly width: number | null;
  /** Options that name the dump, such as `--vmcore vmcore`. */
  readonly source: string;
  /** Shows everything that findings are based on, and commands for more. */
  readonly verbose?: boolean | undefined;
  /** Why the finding is below another one: `Caused by [oom-kill].` */
  readonly relation?: string | undefined;
  /** The finding is below its cause, which has what both share. */
  readonly isEffect?: boolean | undefined;
  /** Findings below it that are a part of it, such as the reader of its queue: what to do stands there. */
  readonly parts?: readonly Finding[] | undefined;
  /** All findings: a panic of the same boot may be among them. */
  readonly all?: readonly Finding[] | undefined;
  /** Colours of severities; undefined: none. */
  readonly paint?: ((style: 'red' | 'yellow' | 'dim', text: string) => string) | undefined;
}

/** Notes have no colour. */
const STYLES = { critical: 'red', warning: 'yellow' } as const;
const RELATIONS = { follows: 'Caused by', probable: 'Probably caused by' } as const;
const LABELS = { critical: 'CRITICAL', warning: 'WARNING ', note: 'NOTE    ' } as const;

/** Summary, unread sources, findings, memory, and the next command. */
export function triageText(answer: TriageAnswer, options: TriageTextOptions): string {
  const { host, logs, findings, memory, checked = [], unread = [] } = answer;
  const { width, verbose, source } = options;
  const { sentences, trees, earlier, deciding, largestUse, second } = concluded(findings, causeFacts(answer));
  const missing = host?.pasted && !verbose ? pastedText(host.pasted) : unreadWords(unread, verbose);
  const lines = [...summaryLines(answer, options), ...conclusionLines(sentences, options), ''];
  const add = (text: string) => lines.push(...wrap(text, width), '');
  // The source of standard input cannot be read again.
  const command =
    source === '-'
      ? undefined
      : ((deciding && nextOf(deciding, verbose)) ??
        (logs ? 'log' : (trees.find(({ finding }) => finding.next)?.finding.next ?? lastCommand(answer))));
  const linesOf = linesIn(answer, command);
  // Beside notes alone, how much memory is free is what a reader looks for.
  const isCalm = memory !== undefined && isWithoutProblem(findings);
  const breakdown = breakdownLines(answer, options);
  if (isCalm) lines.push(...breakdown);
  lines.push(...treeLines(trees, { ...options, all: findings }, linesOf));
  if (earlier.length > 0) lines.push('Earlier:', ...treeLines(earlier, options, linesOf));
  if (missing !== undefined) {
    const isMinor = lacksOneProcess(answer);
    const shown = wrap(missing, width).map((line) => (isMinor && options.paint ? options.paint('dim', line) : line));
    lines.push(...shown, '');
  }
  if (!logs && verbose) add(`Checked: ${checked.join(', ')}.`);
  if (!isCalm) lines.push(...breakdown);
  for (const line of answer.rules ? rulesLines(answer.rules) : []) lines.push(...wrap(line, width));
  if (answer.rules) lines.push('');
  for (const line of lostLines(answer)) add(line);
  const toDo = deciding && deciding.severity !== 'note' ? actionWords(deciding, answer, largestUse) : undefined;
  const isOfCgroup = deciding?.past === true && deciding.figures.scope === 'cgroup' && deciding.figures.subject == null;
  const first =
    host?.isCaptured && isOfCgroup
      ? 'First check whether the cgroup still exists, which this file does not show. '
      : '';
  const also = [
    ...(second === undefined ? [] : [` Also compare ${second} with what it normally uses.`]),
    ...(deciding?.code === 'oom-kill' ? alsoKilledIn(deciding, findings) : []),
  ].join('');
  // Beside what is true now, a past event is named.
  const about = deciding?.past === true && trees.length > 0 ? ` about the earlier [${deciding.code}]` : '';
  if (toDo !== undefined) lines.push(...wrap(`To do${about}: ${first}${toDo}${also}`, width));
  if (host?.pasted && command === PASTED_CACHES) add(AGAIN);
  else if (command !== undefined) lines.push(`Next: ${hostCommand(command, source)}`);
  if (isCalm && command !== 'watch' && memoryShortage(memory) === 'not short') lines.push(...growthLines(answer));
  const there = thereLines(trees[0]?.finding, largestUse);
  // It needs a file.
  const saved = (deciding && nextOf(deciding, verbose)) ?? 'log';
  if (logs && source === '-' && findings.length > 0)
    lines.push(`With the text in a file: ${hostCommand(saved, 'FILE')}`);
  if (logs) lines.push(...there);
  else if (host?.pasted && command === undefined)
    lines.push(...(there.length > 0 ? there : ['On that machine: kdump-mem triage']));
  return lines.join('\n').trimEnd();
}

/** What to do about the finding that decides; undefined: nothing, or its rule says it. */
function actionWords(
  finding: Finding,
  { machine, logs, findings }: Pick<TriageAnswer, 'machine' | 'logs' | 'findings'>,
  largestUse?: LargestUse,
): string | undefined {
  const { code, rule, figures, report } = finding;
  if (rule) return undefined;
  const { act, next } = (FINDINGS as Declarations)[code] ?? {};
  const decide = act as
    | false
    | ((figures: Figures, panicked: boolean, report: Finding['report']) => string | undefined)
    | undefined;
  const isPanicked = machine?.panic.state === 'panicked' || (logs && panicOf(finding, findings) !== undefined) === true;
  const words = decide === undefined ? next : decide === false ? undefined : decide(figures, isPanicked, report);
  if (words === undefined || code !== 'oom-kill') return words;
  // The free memory is the problem, and the first lines say what helps.
  if (largestUse === 'unusable') return undefined;
  return largestUse === 'slab' ? 'Find the slab cache that grew: it is memory of the kernel, not of processes.' : words;
}

/** The panic of the same log and boot: only there is one clock. */
const panicOf = (finding: Finding, findings: readonly Finding[]): Finding | undefined =>
  findings.find((other) => other.code === 'panic' && other.past === finding.past && isSameBoot(other, finding));

/** The command of a finding. Today's processes do not show who used the memory of a past kill: its report does. */
const nextOf = ({ code, past, next }: Finding, verbose = false): string | undefined =>
  code === 'oom-kill' && past && !verbose ? 'triage -v' : next;

const isWithoutProblem = (findings: readonly Finding[]) => findings.every(({ severity }) => severity === 'note');

/** The memory breakdown and the largest holders, and an empty line. */
function breakdownLines(answer: TriageAnswer, { width, verbose }: TriageTextOptions): string[] {
  const { memory, findings } = answer;
  const breakdown = memory ? memoryWords(memory, findings, verbose) : noMemoryWords(answer);
  // The table of an OOM report has them, with swap.
  const isListed = findings.some(({ oom, severity, past }) => oom?.byName.length && severity !== 'note' && !past);
  const lines = [breakdown, answer.logs && isListed ? undefined : holdersWords(answer)].flatMap((words) =>
    words === undefined ? [] : wrap(words, width),
  );
  return lines.length === 0 ? [] : [...lines, ''];
}

/** The module to look at, of a report that does not name it otherwise. */
function moduleLines({ figures, report }: Finding, lines: readonly string[]): string[] {
  const module = figures.module ?? report?.stack.find((frame) => frame.module !== null && !frame.guess)?.module;
  const words = module == null ? '' : escapeText(String(module));
  const what = report?.outOfTree.includes(String(module))
    ? 'out-of-tree: not part of the kernel'
    : 'a place to begin, no proven cause';
  return words === '' || lines.some((line) => line.includes(`[${words}]`))
    ? []
    : [`First module in its stack: “${words}” (${what})`];
}

/** A cgroup whose own limit was reached, beside an OOM kill of the machine. */
function alsoKilledIn(deciding: Finding, findings: readonly Finding[]): string[] {
  const own = findings.find(
    ({ code, figures, past }) => code === 'oom-kill' && figures.scope === 'cgroup' && figures.cgroup != null && !past,
  );
  return own === undefined || deciding.figures.scope !== 'machine'
    ? []
    : [` Separately, find out why ${cgroupWords(own.figures.cgroup)} reached its limit, before you raise the limit.`];
}

/** What to run where a log is from: the command that shows what the log cannot. */
function thereLines(first: Finding | undefined, largestUse: LargestUse | undefined): string[] {
  if (!first || largestUse === 'unusable') return [];
  const { deeper = '' } =
    (largestUse === 'other' || largestUse === 'slab') && first.code === 'oom-kill'
      ? { deeper: 'kdump-mem memory' }
      : ((FINDINGS as Declarations)[first.code] ?? {});
  const live = deeper.replace(/^kdump-mem (memory|procs)(?!.* --live)/, 'kdump-mem $1 --live');
  const isLive = /^skcheck|^kdump-mem leaks| --live/.test(live);
  return isLive ? [`On that machine: ${live}`] : [];
}

/** What shows growth, which one sample of a machine does not. */
function growthLines({ host }: TriageAnswer): string[] {
  if (!host || host.pasted) return [];
  const command = host.isCaptured ? 'kdump-mem diff EARLIER LATER (two snapshots)' : 'kdump-mem watch';
  return [`If memory is being lost: ${command}`];
}

const pastedText = (pasted: Pasted) =>
  pastedWords(pasted)
    .map((clause) => `${clause.charAt(0).toUpperCase()}${clause.slice(1)}.`)
    .join(' ');

/** The command after a triage whose findings name none: one that this input has data for. */
function lastCommand({
  memory,
  host,
  kernel,
  findings,
  lost,
  logBeside,
  failed = [],
}: TriageAnswer): string | undefined {
  const isLive = kernel?.live ?? host?.isCaptured === false;
  // It would print what could not be read.
  if (!memory && !host && !isLive) return (lost ?? logBeside) === undefined ? undefined : 'log';
  const isWell = memory && isWithoutProblem(findings) && memoryShortage(memory) !== 'short';
  if (isLive && isWell && !isMuchUnattributed(memory)) return 'watch';
  if (memory || !host?.isCaptured) return 'memory';
  if (host.pasted) return pastedCommands(host.pasted)[0];
  // Memory and the log.
  return failed.length > 1 ? undefined : 'log';
}

const PASTED_CACHES = 'memory --caches';
/** The command would list what the text has. */
const AGAIN =
  'Next: on that machine, run slabtop again some minutes later: a cache that only grows is a leak in the kernel.';

/** Summary; of several logs first their forms. */
function summaryLines(answer: TriageAnswer, { width, source }: TriageTextOptions): string[] {
  const { logs = [] } = answer;
  const lines = wrap(summary(answer), width);
  const [only] = logs;
  if (logs.length > 1)
    return [
      ...logs.flatMap(({ name, log }) => wrap(`${escapeText(name)}: ${textLogWords(log)}.`, width)),
      '',
      ...lines,
    ];
  if (!only) return lines;
  const name = only.name === source ? '' : `${escapeText(only.name)}: `;
  return wrap(`${name}${textLogWords(only.log)}. ${summary(answer)}`, width);
}

/**
 * How a finding is printed: of a host with its command, each once; of a text log with its title and what damaged it.
 *
 * @param last the command that ends the answer
 */
function linesIn(answer: TriageAnswer, last: string | undefined): typeof findingLines {
  const { host, logs, findings } = answer;
  if (host) {
    const named = new Set([last]);
    // Where something is short, or blocks tasks, a note may be urgent.
    // A cgroup that was at its limit does not make the machine’s memory short.
    const present = findings.filter(({ past, figures }) => !past || figures.scope !== 'cgroup');
    const isCalm = isWithoutProblem(present) && answer.memory && memoryShortage(answer.memory) === 'not short';
    return (finding, options) => {
      const { next: _, ...rest } = finding;
      const [lines, next] = [findingLines(rest, options), nextOf(finding, options.verbose)];
      const isDecided = typeof (FINDINGS as Declarations)[finding.code]?.act === 'function';
      const isHeld = hasTrait(finding, 'excessive') || hasTrait(finding, 'unread');
      const isSaid = options.parts?.some((part) => actionWords(part, answer) !== undefined) === true;
      const act = isCalm && isHeld && isDecided && !finding.past && !isSaid ? actionWords(finding, answer) : undefined;
      // Its pid may be another process today.
      const check =
        host.isCaptured && finding.figures.pid != null
          ? `First check that pid ${finding.figures.pid} is still that process. `
          : '';
      if (act !== undefined) lines.push(...indented(wrap(`Not urgent: ${check}${act}`, roomIn(options))));
      if (next === undefined || named.has(next) || options.source === '-') return lines;
      named.add(next);
      return [...lines, ...indented([`More: ${hostCommand(next, options.source)}`])];
    };
  }
  if (!logs) return findingLines;
  return (finding, options) => {
    const corrupted = finding.report?.corrupted;
    const note = corrupted == null || options.isEffect ? [] : wrap(CORRUPTION[corrupted].means, roomIn(options));
    const lines = findingLines(finding, options, true);
    return [...lines, ...indented([...note, ...(options.isEffect ? [] : moduleLines(finding, lines))])];
  };
}

/** The groups of the memory breakdown. Beside a problem of memory, a zone or a cgroup can be short of it. */
function memoryWords(memory: MemoryAnswer, findings: readonly Finding[], verbose = false): string {
  const shortage = memoryShortage(memory);
  // A stall may be one of reclaim.
  const isOther = findings.every(
    ({ severity, past, code, figures: { reason } }) =>
      severity === 'note' ||
      past ||
      code === 'oops' ||
      (code === 'panic' && reason != null && !/memory/i.test(String(reason))),
  );
  const words = shortage === null || (shortage === 'not short' && !isOther) ? 'Memory' : shortageWords(shortage);
  return `${words}: ${groupsWords(memory, verbose)}`;
}

/** Why there is no memory breakdown; undefined: an OOM report of a log has holders. */
function noMemoryWords({ logs, holders }: TriageAnswer): string | undefined {
  if (!logs) return 'Memory: not available.';
  return holders ? undefined : 'Memory: not in this log.';
}

/** Smaller shares of memory are no holder that matters. */
const MIN_HELD = 0.01;

/** What a name is, where it does not say so itself. */
const KIND_WORDS: Partial<Record<string, string>> = { cache: 'slab cache ', caller: 'kernel function ' };

/** Shared memory has the name of its file, mount or segment. */
const FILE = /^(?:\/|memfd:|tmpfs |SysV segment )/;

/** A deleted file is freed when its last process closes it. */
function fileHolder(name: string, pid: number | null): string {
  if (pid === null) return name;
  return name.endsWith(DELETED)
    ? `${name.slice(0, -DELETED.length)} (deleted, but open or mapped in pid ${pid})`
    : `${name} (pid ${pid})`;
}

const DELETED = ' (deleted)';

/** The largest holders of memory, and the processes that could not be read; undefined: unknown. */
export function holdersWords({ logs, holders, memory }: TriageAnswer): string | undefined {
  if (!holders) return undefined;
  const { unreadProcesses, hidden, byRss } = holders;
  const least = MIN_HELD * (memory?.memory.bytes ?? 0);
  const largest = holders.largest.filter(({ bytes }) => bytes >= least);
  const named = largest.map(({ kind, name, pid, processes, bytes }) => {
    const shown = escapeText(name);
    const owner =
      kind === 'program'
        ? `${formatCount(processes ?? 0)} processes named ${shown}`
        : kind === 'cgroup'
          ? cgroupWords(name)
          : kind === 'unmapped'
            ? FILE.test(name)
              ? fileHolder(shown, pid)
              : `memory outside of processes, of ${pid === null ? shown : `pid ${pid} (${shown})`}`
            : kind === 'pipes'
              ? `pipes of ${(processes ?? 1) > 1 ? `${formatCount(processes ?? 0)} processes named ${shown}` : `pid ${pid} (${shown})`}, at most`
              : `${KIND_WORDS[kind] ?? ''}${ownerWords({ kind, name, bytes, ...(pid === null ? {} : { pid }) })}`;
    return `${owner} ${formatSize(bytes)}`;
  });
  const noun = inflect(unreadProcesses, 'process', 'processes');
  const more = unreadProcesses > 0 ? [`${formatCount(unreadProcesses)} ${noun}`] : [];
  if (hidden) more.push(byRss ? 'processes that are not listed' : 'processes that /proc does not list');
  // A report lists processes: memory of no process may be larger.
  const label = logs
    ? 'Largest processes at the last OOM kill'
    : byRss
      ? 'Largest processes by RSS, which counts shared pages, and each mapping of a page'
      : 'Largest holders';
  if (largest.length === 0 && holders.largest.length > 0) named.push('none has 1 % of memory');
  const sentences = [
    [label, named],
    ['Not read', more],
  ] as const;
  const parts = sentences.flatMap(([words, all]) => (all.length === 0 ? [] : [`${words}: ${all.join(', ')}.`]));
  return parts.length === 0 ? undefined : parts.join(' ');
}

/** Missing parts of the log in kernel memory; those of a host are unread sources. */
export function lostLines({ machine, lost }: TriageAnswer): string[] {
  if (!machine) return [];
  if (lost === undefined) return ['The kernel log is not available: findings from it are unknown.'];
  const { overwritten, noRoom } = lost;
  return [
    ...(overwritten ? [`The kernel log is incomplete: its oldest ${overwritten} messages were overwritten.`] : []),
    ...(noRoom ? [`The kernel log is incomplete: it had no room for ${noRoom} messages.`] : []),
  ];
}

/** Sources that the line about missing ones names. */
const MAX_UNREAD = 4;

/** A capture lacks the file. */
const UNCAPTURED = /^(\S+) was not captured$/;

/** Problems that it names of one source. */
const MAX_HIDDEN = 2;

/** What was not checked, and why; undefined: nothing. */
export function unreadWords(unread: readonly Unread[], verbose = false): string | undefined {
  if (unread.length === 0) return undefined;
  const uncaptured = verbose ? [] : unread.filter(({ why }) => UNCAPTURED.test(why));
  const files = [...new Set(uncaptured.flatMap(({ why }) => UNCAPTURED.exec(why)?.[1] ?? []))];
  if (files.length >= MAX_UNREAD) {
    const checks = new Set(uncaptured.map(({ check }) => check)).size;
    const named = files.slice(0, MAX_UNREAD).map(escapeText).join(', ');
    const others = files.length > MAX_UNREAD ? `, ${files.length - MAX_UNREAD} more` : '';
    const rest = unreadWords(unread.filter(({ why }) => !UNCAPTURED.test(why)));
    const need = count(checks, 'check needs', 'checks need');
    const words = `Not captured: ${named}${others}; ${need} these files (-v lists them).`;
    return rest === undefined ? words : `${words} ${rest}`;
  }
  // One unreadable file may hide several things.
  const hidden = [...grouped(unread, ({ why }) => why)].map(([why, of]) => {
    const hides = [...new Set(of.map((unread) => unread.hides))];
    const listed = verbose || hides.length <= MAX_HIDDEN + 1 ? hides : hides.slice(0, MAX_HIDDEN);
    const others = hides.length > listed.length ? [`${hides.length - listed.length} other problems`] : [];
    return { what: [...listed, ...others].join(', '), why: escapeText(why) };
  });
  // The same may be hidden for several reasons.
  const all = [...grouped(hidden, ({ what }) => what)].map(
    ([what, of]) => `${what} (${of.map(({ why }) => why).join(', and ')})`,
  );
  const listed = verbose ? all : all.slice(0, MAX_UNREAD);
  const more = all.length - listed.length;
  return `Not checked: ${listed.join('; ')}${more > 0 ? `; ${more} more (-v lists ${inflect(more, 'it', 'them')})` : ''}.`;
}

/** Host, kernel, state or time, and number of findings; escaped. Of text logs only the number of findings. */
export function summary(answer: TriageAnswer): string {
  const { host, logs, failed = [] } = answer;
  if (logs) return foundWords(answer);
  const lacks = failed.map((words) => ` ${words.charAt(0).toUpperCase()}${escapeText(words.slice(1))}.`).join('');
  const from = host?.pasted ? 'Pasted text of ' : '';
  // /proc/vmstat counts kills.
  const unlogged = answer.findings.some(({ code }) => code === 'oom-kills') ? 'faults' : 'OOM kills and faults';
  const logless = host?.pasted && !host.pasted.hasLog ? ` It has no dmesg: ${unlogged} are unknown.` : '';
  if (host?.isCaptured)
    return `${from}${linuxWords(host.release)}, ${captureWords(host)}.${lacks}${logless} ${foundWords(answer)}`;
  return `${machineWords(answer)}.${lacks} ${foundWords(answer)}`;
}

/** Host, kernel, time and state; escaped. */
function machineWords({ kernel, machine, host }: TriageAnswer): string {
  // "(none)": the kernel’s own name for a host without one.
  const nodename = machine?.uts?.nodename ?? host?.host ?? '(none)';
  const name = nodename === '(none)' || nodename === '' ? '' : `${escapeText(nodename)}, `;
  const time = machine && !kernel?.live ? dumpTime(machine)?.at : host?.takenAt;
  const at = time ? `, ${time.slice(0, 19).replace('T', ' ')} UTC` : '';
  const up = machine?.clock ? `, up ${duration(machine.clock.uptime)}` : '';
  const states = {
    panicked: ', panicked',
    running: kernel?.live ? ', running' : ', no panic',
    unknown: ', state unknown',
  };
  const state = machine ? states[machine.panic.state] : '';
  return `${name}${linuxWords(kernel?.release ?? host?.release ?? '')}${at}${up}${state}`;
}

const linuxWords = (release: string) => (release === '' ? 'Linux' : `Linux ${escapeText(release)}`);

/** The number of findings, in a sentence; past events in another one. */
function foundWords(answer: TriageAnswer): string {
  const [now, then] = [false, true].map((past) =>
    answer.findings.filter((finding) => (finding.past === true) === past),
  );
  const counts = countWords(then ?? []);
  // What is over may be why someone looks: its code and age, not its number alone.
  const [worst] = then ?? [];
  const secondsAgo = Math.min(
    ...(then ?? []).map(({ code, figures }) =>
      code === worst?.code ? Number(figures.secondsAgo ?? Infinity) : Infinity,
    ),
  );
  const isOne = then?.length === 1 && (worst?.figures.times ?? 1) === 1;
  const age = secondsAgo === Infinity ? '' : `, ${isOne ? '' : 'the last '}about ${ageWords(secondsAgo)} ago`;
  const earlier = counts === '' ? '' : ` Earlier: ${counts} (${worst?.code}${age}).`;
  return `${presentWords({ ...answer, findings: now ?? [] })}${earlier}`;
}

function presentWords(answer: TriageAnswer): string {
  const { host, logs, findings, rules, complete, checked = [] } = answer;
  const logsWords = (logs?.length ?? 0) > 1 ? 'the logs are' : 'the log is';
  const missing = logs ? `${logsWords} incomplete` : `some data could not be read${host ? '' : ' (see the warnings)'}`;
  const severe = severeWords(findings, complete || lacksOneProcess(answer), missing);
  if (severe !== undefined) return `${severe}${earlierBootsWords(findings)}`;
  const notes = notesWords(findings);
  if (logs) {
    const none = notes ?? `No findings${rules?.silenced.length ? ' except those silenced by rules' : ''}`;
    return complete ? `${none}.` : `${none}, but ${logsWords} incomplete.`;
  }
  if (host) {
    const hidden = hiddenWords(answer);
    // Most of the machine is unknown: nothing about it is good news.
    if (hidden !== undefined)
      return `${notes === undefined ? 'Incomplete' : `${notes}, but the answer is incomplete`}: ${hidden}. ${host.isCaptured ? 'Take the snapshot as root' : 'Run as root'}. Completed: ${checkedWords(checked)}.`;
    if (notes !== undefined && complete) return `${notes}.`;
    if (notes !== undefined && lacksOneProcess(answer)) return `${notes} in what could be read.`;
    if (complete) return `No problems found. Checked: ${checkedWords(checked)}.`;
    if (lacksOneProcess(answer)) return `No problems found in what could be read. Checked: ${checkedWords(checked)}.`;
    const missed = new Set(answer.unread?.map(({ check }) => check)).size;
    const all = `${formatCount(missed)} of ${formatCount(missed + checked.length)} checks could not be completed`;
    const done = `Completed: ${checkedWords(checked)}.`;
    return missed > checked.length
      ? `Incomplete: ${all}. ${notes === undefined ? '' : `${notes}. `}${done}`
      : `${notes ?? 'No findings'}, but ${missed === 0 ? 'some data could not be read (see the warnings)' : all}. ${done}`;
  }
  if (isAllClear(answer)) return notes === undefined ? 'No problems found. All checks were completed.' : `${notes}.`;
  return rules?.silenced.length
    ? 'No findings except those silenced by rules.'
    : isUnjudged(answer)
      ? `This dump could not be judged: its log, its memory and its state could not be read (see the warnings).${answer.warnings.some(({ message }) => message.includes(NOT_KEPT)) ? ' It is a reduced copy (an extract): use the original; sockets and skb read this one.' : ''}`
      : 'No findings, but some data could not be read (see the warnings).';
}

/** Whether nothing that a triage of a dump rests on could be read. */
const isUnjudged = ({ memory, lost, logBeside, machine, findings }: TriageAnswer): boolean =>
  memory === undefined &&
  (lost ?? logBeside) === undefined &&
  machine?.panic.state === 'unknown' &&
  findings.length === 0;

/** Whether a single process is all that could not be read: the line `Not read` says what it may hide. */
export function lacksOneProcess({ warnings, lost, unread = [] }: TriageAnswer): boolean {
  const isRead = warnings.length === 0 && lost?.overwritten === 0;
  return isRead && unread.length > 0 && unread.every(({ processes }) => processes === 1);
}

/** Says that several processes could not be read, or that their number is unknown; undefined: at most one was not. */
function hiddenWords({ host, unread = [], holders }: TriageAnswer): string | undefined {
  // A list of ps may be cut on purpose.
  if (host?.pasted) return undefined;
  const most = Math.max(0, ...unread.map(({ processes = 0 }) => processes));
  if (most > 1) return `${formatCount(most)} processes could not be read`;
  return holders?.hidden ? '/proc does not list all processes' : undefined;
}

/** Checks that a reader looks for first. */
const MAIN_CHECKS: readonly HostCheckName[] = ['log', 'memory', 'processes', 'cgroups', 'sockets'];

/** The main checks by name, and the number of the others. */
function checkedWords(checked: readonly HostCheckName[]): string {
  const main = MAIN_CHECKS.filter((name) => checked.includes(name));
  const others = checked.length - main.length;
  if (others <= 1 || main.length === 0) return checked.join(', ') || 'nothing';
  return [...main, `${others} more`].join(', ');
}

/**
 * How many findings are critical, and how many warnings; undefined: none is either.
 *
 * @param missing why there may be more, if the answer is incomplete
 */
function severeWords(findings: readonly Finding[], complete: boolean, missing: string): string | undefined {
  if (!findings.some(({ severity }) => severity !== 'note')) return undefined;
  return `${countWords(findings)}${complete ? '' : `, and possibly more: ${missing}`}.`;
}

/** How many findings each severity has: `1 critical, 2 warnings`. */
const countWords = (findings: readonly Finding[]): string =>
  SEVERITIES.flatMap((severity) => {
    const count = entries(findings.filter((finding) => finding.severity === severity));
    return count === 0 ? [] : [`${count} ${severity}${count === 1 || severity === 'critical' ? '' : 's'}`];
  }).join(', ');

/** Of a log of several boots, what was before the last one: the machine was started since then. */
function earlierBootsWords(findings: readonly Finding[]): string {
  const earlier = findings.filter(({ figures }) => Number(figures.boot ?? 0) < 0);
  return earlier.length === 0 ? '' : ` Before the last boot in the log: ${countWords(earlier)}.`;
}

/** The number of findings if none is critical or a warning; undefined: there is none at all. */
function notesWords(findings: readonly Finding[]): string | undefined {
  const count = entries(findings);
  if (count === 0) return undefined;
  return `No critical findings or warnings, ${count} ${inflect(count, 'note')}`;
}

/** Nothing is silenced, unknown or missing. */
function isAllClear(answer: TriageAnswer): boolean {
  const { complete, rules, machine } = answer;
  const isKnown = machine !== undefined && machine.panic.state !== 'unknown';
  const isWhole = complete && isKnown && lostLines(answer).length === 0;
  return isWhole && (rules?.silenced.length ?? 0) === 0 && (rules?.unknown.length ?? 0) === 0;
}

/** A finding: headline and code, further sentences, evidence, and with -v the command that shows more. */
export function findingLines(
  finding: Finding,
  { width, source, verbose, relation, isEffect = false, paint = (_, text) => text }: TriageTextOptions,
  titled = verbose === true,
): string[] {
  const { severity, code, evidence, next } = finding;
  const room = roomIn({ width });
  const [headline, ...sentences] = findingSentences(finding, verbose, isEffect);
  // The sentences of an OOM report have all of its lines that people read.
  const isSaid =
    !verbose &&
    ((finding.oom && finding.figures.outcome !== 'unknown') || code === 'hung-task' || code === 'stalled-reader');
  const time = isSaid && finding.figures.secondsAgo === undefined ? timeWords(evidence[0]) : [];
  const details = [...(relation === undefined ? [] : [relation]), ...time, ...sentences];
  const [first = '', ...rest] = wrap(`${headline.replace(/\.$/, '')} [${code}]`, room);
  const label = LABELS[severity];
  const painted = severity === 'note' ? label : paint(STYLES[severity], label);
  const lines = [`${painted}  ${first}`, ...indented(rest)];
  if (details.length > 0) lines.push(...indented(wrap(details.join(' '), room)));
  // Nobody reports an OOM kill as a bug of the kernel.
  const hasTitle = titled && (verbose || (code !== 'oom-kill' && !isEffect));
  const title = hasTitle ? titleWords(finding) : undefined;
  if (title !== undefined) lines.push(...indented(wrap(`Search the web for: ${title}`, room)));
  const advice = adviceWords(finding);
  if (advice !== undefined) lines.push(...indented(wrap(`Action: ${advice}`, room)));
  if (!verbose && (severity === 'note' || finding.past || isEffect)) return lines;
  for (const item of isSaid ? [] : evidence) lines.push(...indented(evidenceLines(item, room, verbose === true)));
  if (finding.oom) lines.push(...indented(oomLines(finding, room, verbose === true)));
  if (verbose && next !== undefined) lines.push(...indented([`More: kdump-mem ${escapeText(next)} ${source}`]));
  return lines;
}

/** When the kernel reported it, ns since boot; undefined: unknown, or several times. */
function timeOf(finding: Finding | undefined): bigint | undefined {
  const [line] = finding?.evidence ?? [];
  if (line?.kind !== 'log' || Number(finding?.figures.times ?? 1) > 1) return undefined;
  return line.timestamp ?? undefined;
}

/** The time of a log line as it is printed; none: the log has no times. */
function timeWords(evidence: Evidence | undefined): string[] {
  if (evidence?.kind !== 'log' || (evidence.timestamp === null && (evidence.printedTime ?? '') === '')) return [];
  return [
    `Time: ${logTime(evidence.timestamp, evidence.printedTime).replace(/^\[ *(.*)\]$/, '$1')}${evidence.timestamp === null ? '' : ' s after boot'}.`,
  ];
}

const INDENT = ' '.repeat(10);

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `${INDENT}${line}`);
}

function roomIn({ width }: Pick<TriageTextOptions, 'width'>): number | null {
  return width === null ? null : Math.max(20, width - INDENT.length);
}

/** Functions of a stack without -v. */
const FEW = 12;

function evidenceLines(evidence: Evidence, room: number | null, verbose: boolean): string[] {
  if (evidence.kind === 'log') {
    const isTimed = evidence.timestamp !== null || (evidence.printedTime ?? '') !== '';
    const time = isTimed ? `${logTime(evidence.timestamp, evidence.printedTime)} ` : '';
    return wrap(`${time}${escapeText(evidence.text)}`, room);
  }
  const lines = framesText(evidence, verbose);
  const left = lines.length - FEW;
  return verbose || left <= 1 ? lines : [...lines.slice(0, FEW), `    … ${left} more (-v)`];
}

function duration(nanoseconds: bigint): string {
  const seconds = Number(nanoseconds / 1_000_000_000n);
  const [days, hours, minutes] = [86_400, 3600, 60].map((unit) => Math.floor(seconds / unit));
  if (days! > 0) return `${days} d ${hours! % 24} h`;
  if (hours! > 0) return `${hours} h ${minutes! % 60} min`;
  return minutes! > 0 ? `${minutes} min` : `${seconds} s`;
}

/** Findings, those that follow from another indented below it, then parts of it; an empty line after each. */
export function treeLines(
  trees: readonly FindingTree[],
  options: TriageTextOptions,
  linesOf: typeof findingLines = findingLines,
  above?: Finding,
): string[] {
  return alike(trees).flatMap(({ tree, others }) => {
    const relation = relationWords(tree, above) ?? afterWords(tree.finding, options.all);
    const isEffect = tree.relation !== undefined && tree.relation !== 'part';
    const { finding } = tree;
    const isShort = !options.verbose && others.length > 0 && finding.code === 'stalled-reader' && !finding.rule;
    const more = numberOf(others.map(({ finding }) => finding));
    const shown = isShort ? { ...finding, figures: { ...finding.figures, alike: more } } : finding;
    const isPart = ({ relation }: FindingTree) => relation === 'part';
    const parts = tree.below.filter(isPart);
    const lines = linesOf(shown, { ...options, relation, isEffect, parts: parts.map(({ finding }) => finding) });
    if (options.verbose) for (const { finding } of others) lines.push('', ...linesOf(finding, options));
    else if (others.length > 0) {
      const words = othersWords(
        others.map(({ finding }) => finding),
        isShort,
      );
      const omitted = numberOf(others.map(({ finding }) => finding)) - others.length;
      const next = omitted > 0 && finding.next?.startsWith('skcheck ') ? finding.next : undefined;
      const listed = omitted > 0 ? `${others.length} of them` : inflect(others.length, 'it', 'them');
      const where =
        next === undefined ? `-v lists ${listed}` : `${hostCommand(listing(next, more + 1), options.source)} lists all`;
      lines.push(...indented(wrap(`${words} ${where}.`, roomIn(options))));
    }
    const narrower = options.width === null ? null : options.width - STEP.length;
    const effects = tree.below.filter((below) => !isPart(below));
    const below = treeLines(effects, { ...options, width: narrower }, linesOf, tree.finding);
    const beside = treeLines(parts, options, linesOf, tree.finding);
    return [...lines, '', ...below.map((line) => (line === '' ? '' : `${STEP}${line}`)), ...beside];
  });
}

/** The command with which skcheck lists each of so many sockets. */
const listing = (next: string, sockets: number): string => next.replace(/^skcheck/, `skcheck -v --top ${sockets}`);

/** Why a finding is below another one; a part of the one above needs words only if it is the reason. */
function relationWords(tree: FindingTree, above: Finding | undefined): string | undefined {
  if (tree.relation === 'part')
    return above && tree.finding.code === 'stalled-reader'
      ? `The reason for [${above.code}]: the memory is not freed until the data is read.`
      : undefined;
  // A CPU that waits for another one is stuck in any process.
  const victim = tree.finding.code === 'soft-lockup' ? ', not by this process' : '';
  return tree.relation && above ? `${RELATIONS[tree.relation]} [${above.code}]${victim}.` : causeWords(tree);
}

/** What the kernel reported after it panicked need not have caused that. */
function afterWords(finding: Finding, all: readonly Finding[] = []): string | undefined {
  const [at, panicked] = [timeOf(finding), timeOf(panicOf(finding, all))];
  return at !== undefined && panicked !== undefined && at > panicked ? 'Reported after [panic].' : undefined;
}

/** Says of a finding without one above it that it is the cause of those below it; undefined: there are none. */
function causeWords({ below }: FindingTree): string | undefined {
  const effects = below.flatMap(({ relation }) => (relation === 'part' ? [] : [relation]));
  if (effects.length === 0) return undefined;
  const cause = effects.includes('follows') ? 'Cause' : 'Probable cause';
  return `${cause} of the ${inflect(effects.length, 'finding')} indented below.`;
}

/** The conclusion below the summary: no line without one. */
export function conclusionLines(sentences: readonly string[], { width }: Pick<TriageTextOptions, 'width'>): string[] {
  return sentences.length === 0 ? [] : wrap(sentences.join(' '), width);
}

const STEP = '  ';

/** A finding, and others that differ from it only in their socket; tasks that hung long ago. */
interface Alike {
  readonly tree: FindingTree;
  readonly others: readonly FindingTree[];
}

/** Groups the unread sockets of one process, and tasks that hung long ago, in the order of the first of each. */
function alike(trees: readonly FindingTree[]): Alike[] {
  const groups = new Map<Finding | string, [FindingTree, ...FindingTree[]]>();
  for (const tree of trees) {
    const key = keyOf(tree.finding);
    const group = groups.get(key);
    if (group) group.push(tree);
    else groups.set(key, [tree]);
  }
  return [...groups.values()].map(([tree, ...others]) => ({ tree, others }));
}

/** Number of findings as they are printed: like ones together. */
const entries = (findings: readonly Finding[]): number => new Set(findings.map(keyOf)).size;

function keyOf(finding: Finding): Finding | string {
  const { code, severity, figures, past } = finding;
  // A finding that represents those of other processes is not merged.
  if (typeof figures.others === 'number' && (figures.pid == null || figures.othersPid !== figures.pid)) return finding;
  const isOld = past || (typeof figures.secondsAgo === 'number' && figures.secondsAgo >= 3600);
  if (code === 'hung-task' && isOld) return JSON.stringify([code, severity, past, figures.log]);
  if (code !== 'stalled-reader' || figures.pid === null) return finding;
  const { pid, doing, symbol } = figures;
  return JSON.stringify([code, severity, pid, doing, symbol]);
}

/** Findings that a chat window has room for. */
const MAX_BRIEF = 5;

/** The headline, the conclusion, and the most severe findings in a line each; nothing is wrapped. */
export function briefText(answer: TriageAnswer): string {
  const { findings } = answer;
  // Many alike must not hide another problem.
  const kinds = [...grouped(findings, ({ code, severity, past }) => `${code} ${severity} ${past}`)];
  const more = kinds.slice(MAX_BRIEF).reduce((sum, [, members]) => sum + members.length, 0);
  const { conclusion, links } = causesOf(findings, causeFacts(answer));
  return [
    summary(answer),
    ...(conclusion ? [conclusionSentences(conclusion, findings, links).join(' ')].filter(Boolean) : []),
    ...kinds.slice(0, MAX_BRIEF).flatMap(([, members]) => briefKind(members)),
    ...(more > 0 ? [`${more} more findings are not listed.`] : []),
  ].join('\n');
}

/** The first finding of a kind, and how many there are of it. */
function briefKind([first, ...others]: readonly Finding[]): string[] {
  if (first === undefined) return [];
  return [`${briefFinding(first)}${others.length === 0 ? '' : ` ${others.length} more of this kind.`}`];
}

function briefFinding(finding: Finding): string {
  return `${finding.past ? 'EARLIER ' : ''}${finding.severity.toUpperCase()}  ${findingSentences(finding)[0]}`;
}

/** Functions of the stack of a panic that one row has room for. */
const MAX_CALLS = 6;

/** What is known of a dump before its memory is read: the headline, what the log reports, the stack of the panic. */
export function earlyLines(answer: TriageAnswer): string[] {
  const stack = answer.findings.flatMap(({ evidence }) => evidence).find(({ kind }) => kind === 'stack');
  const calls = stack?.kind === 'stack' ? stack.frames.flatMap(({ symbol }) => symbol ?? []) : [];
  return [
    machineWords(answer),
    // Without the process that invoked the OOM killer: a line that is cut off does not say that it need not be the cause.
    ...answer.findings
      .slice(0, MAX_BRIEF)
      .map((found) => briefFinding({ ...found, figures: { ...found.figures, invokedBy: null } })),
    ...(calls.length > 0 ? [`stack of the panic: ${calls.slice(0, MAX_CALLS).map(escapeText).join(' < ')}`] : []),
  ];
}
