import { errorCode, KernelError } from '../../base/errors.js';
import { OutputError } from '../../base/output-file.js';
import { groupLogs, isCrashLog, isLog } from '../../host/logs.js';
import type { NotedFacts } from '../../kernel/identity.js';
import type { SymbolFile } from '../../kernel/layout.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import { symbolFiles } from '../../kernel/native/provenance.js';
import type { TriageAnswer } from '../../triage/answer.js';
import { endWithParent } from '../../triage/batch/worker.js';
import type { TriageDetail } from '../../triage/finding.js';
import { explainFailure } from '../kit/failure.js';
import { type aids, openSourceImage, type SourceOptions } from '../kit/kernel-source.js';
import type { LogInputs } from '../kit/log-inputs.js';
import { printAnswer } from '../kit/output.js';
import type { NoExtract, WorkerSummary } from './beside.js';
import { rulesStep } from './rules.js';

type LineOptions = SourceOptions & {
  readonly rules?: string;
  readonly ring?: string;
  readonly symbolsDir?: string;
  /** Path of the answers to write, without their suffix. */
  readonly besidePrefix?: string;
  /** Also writes an extract there. */
  readonly besideExtract?: true;
  readonly anonymize?: true;
};

/**
 * Reads one dump for a run over many (`many.ts`), and prints the part of the dump's line between its name and
 * the duration, or the reason why it is unreadable. Other errors are bugs, and terminate the process.
 */
export async function printTriageLine(options: LineOptions): Promise<void> {
  endWithParent();
  printAnswer(JSON.stringify(await summaryOf(options)));
}

async function summaryOf(options: LineOptions): Promise<WorkerSummary> {
  const [{ openNativeDump }, { triage }, { notedIn }, { failedJson, textSummaryJson, summaryJson }] = await Promise.all(
    [
      import('../../kernel/native/open.js'),
      import('../../triage/triage.js'),
      import('../../kernel/native/vmcoreinfo.js'),
      import('../../answers/triage/line.js'),
    ],
  );
  const { textTriage, withLogBeside } = await import('./text-log.js');
  const { inputsBeside } = await import('../kit/log-inputs.js');
  const { momentOf, ringsBeside, withRing } = await import('./ring.js');
  const { vmcore = [] } = options;
  const { besidePrefix } = options;
  const written = async (answer: TriageAnswer, detail?: TriageDetail): Promise<void> => {
    if (besidePrefix !== undefined) (await import('./beside.js')).writeAnswers(besidePrefix, answer, vmcore, detail);
  };
  const textOf = async (inputs: LogInputs) => {
    const answer = await textTriage(inputs, options);
    await written(answer);
    return textSummaryJson(answer);
  };
  const [path = ''] = vmcore;
  const rules = options.rules === undefined ? undefined : await rulesStep(options.rules);
  let noted: NotedFacts = {};
  try {
    if (vmcore.every(isCrashLog) || (vmcore.length === 1 && (await isLog(path)))) {
      const logs = groupLogs(vmcore.map((file) => ({ name: file, content: file })));
      return await textOf({ path, logs, warnings: [] });
    }
    const image = await openSourceImage(options);
    try {
      noted = notedIn(image);
      const open = (files: ReturnType<typeof aids>) => openNativeDump(image, files);
      const { kernel, used } = openAided(open, options.symbolsDir, noted);
      noted = notedIn(image, kernel.vmcoreinfo);
      needTables(kernel);
      const isOwn = kernel.physical.isExtract && OF_CAPTURE_KERNEL.test(path);
      // Another one has nothing more, unless names are to be replaced.
      const isWanted = options.besideExtract && (options.anonymize || !isOwn);
      const noExtract = isWanted && (await extracted(kernel, options, filesOf(used)));
      const read = await withLogBeside(triage(kernel), vmcore);
      const answer = withRing(read, options.ring, ringsBeside(path), momentOf(read.machine));
      const judged = rules ? rules(answer, kernel) : answer;
      if (besidePrefix !== undefined)
        await written(judged, (await import('../../triage/finding.js')).triageDetail(kernel));
      return { ...summaryJson(judged, noted, used), ...(noExtract ? { noExtract } : {}) };
    } finally {
      image.close();
    }
  } catch (error) {
    const message = explainFailure(error).line.replace(/^kdump-mem: /, '');
    const failed = failedJson({ code: codeOf(error), message, signal: null }, noted);
    try {
      const { findings, fingerprint, logs, warnings, ...rest } = await textOf(inputsBeside(error, options));
      const release = failed.release ?? rest.release;
      return { ...failed, release, findings, fingerprint, logs, warnings };
    } catch {
      return failed;
    }
  }
}

/** Where kdump-mem-vmcore writes extracts, with all that an extract beside a dump has. */
const OF_CAPTURE_KERNEL = /\/extract-\d{14}\/vmcore$/;

/** Errors of a disk, a quota or a limit that has no room. */
const NO_SPACE = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/** Writes an extract beside the dump. Returns why it could not. */
async function extracted(
  kernel: NativeKernel,
  { besidePrefix, anonymize }: LineOptions,
  files: Files,
): Promise<NoExtract | undefined> {
  const { extract } = await import('../../extract/extract.js');
  const scope = { memory: true, processes: false, stacks: true, log: !anonymize, anonymize: anonymize ?? false };
  try {
    await extract(kernel, { files, output: `${besidePrefix}.extract`, force: true, compression: 'zlib', ...scope });
    return undefined;
  } catch (error) {
    const why = explainFailure(error).line.replace(/^kdump-mem: /, '');
    return { why, mayFit: error instanceof OutputError && NO_SPACE.includes(errorCode(error.cause)) };
  }
}

const GIVE = 'Give --symbols-dir a folder with the vmlinux of that build.';

/** Requires symbols and types, without which all facts would be unknown. @throws {KernelError} */
function needTables({ provenance: { symbols, types } }: NativeKernel): void {
  if (!symbols.found) throw new KernelError('no-symbols', symbols.why, { next: GIVE });
  if (!types.found) throw new KernelError('no-types', types.why, { next: GIVE });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'exhausted';
}

type Opened = Pick<NativeKernel, 'provenance'>;
/** Files by the option that they are passed as. */
type Files = Readonly<Partial<Record<'vmlinux' | 'symbols' | 'types', string>>>;

/** Parts that a dump may lack, with the files that can replace them, the best first. */
const PARTS = [
  { part: 'symbols', as: ['vmlinux', 'symbols'] },
  { part: 'types', as: ['vmlinux', 'btf'] },
] as const;

/**
 * Opens a dump with what is in it, and where it lacks symbols or types with files of a folder. A file that turns
 * out to be of another kernel is passed over.
 *
 * @param open with files; the last kernel that it opened is the one to use
 * @returns the kernel, and which files it needed
 * @throws what opening it without files throws
 */
export function openAided<K extends Opened>(
  open: (files: Files) => K,
  folder: string | undefined,
  noted: NotedFacts,
): { readonly kernel: K; readonly used: readonly SymbolFile[] } {
  let kernel = open({});
  let used: readonly SymbolFile[] = [];
  if (folder === undefined) return { kernel, used };
  for (const { part, as } of PARTS) {
    const files = as.flatMap((kind) => symbolFiles(folder, noted, kind));
    for (const file of files) {
      if (kernel.provenance[part].found) break;
      const all = [...used.filter((other) => other.as !== file.as), file];
      const better = attempt(() => open(filesOf(all)));
      if (!better?.provenance[part].found) continue;
      [kernel, used] = [better, all];
    }
  }
  return { kernel, used };
}

function filesOf(files: readonly SymbolFile[]): Files {
  return Object.fromEntries(files.map(({ as, path }) => [as === 'btf' ? 'types' : as, path]));
}

/** Returns undefined if the files do not match the dump. */
function attempt<K>(open: () => K): K | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
