import { type Command, Option } from 'commander';
import { formatJson } from '../../base/util.js';
import { COMPRESSIONS } from '../../extract/write/compress.js';
import { type OptionsOf, parseNumber } from '../kit/arguments.js';
import { takeDumpArguments } from '../kit/dump-arguments.js';
import { UsageError } from '../kit/failure.js';
import { addTypesOption, aids, collectFiles, openedAids, openSource } from '../kit/kernel-source.js';
import { printAnswer, printText, printWarnings } from '../kit/output.js';
import { Progress } from '../kit/terminal.js';

const EXAMPLES = `
Examples:
  kdump-mem extract --vmcore /var/crash/vmcore -o small.vmcore
      keep the sockets of the machine, in a few MB
  kdump-mem extract --vmcore /var/crash/vmcore -o one.vmcore --pid 4711 --fd 12 --anonymize
      keep one socket, with replaced names, addresses and paths
  kdump-mem extract --vmcore vmcore -o case.vmcore --with-triage
      keep everything that triage, log, stacks and memory read
  kdump-mem extract --vmcore vmcore -o send.vmcore --anonymize --map mine.json
  kdump-mem sockets --vmcore send.vmcore --map mine.json
      share the extract; the map restores the names in your answers

Kept: kernel tables, and the parts of tasks, files, sockets, queues and pages that answers read.
Left out: payload, user memory, file contents, environment, arguments, keys, stacks, the log.
crash and drgn open the result with the vmlinux of the dump; kdump-mem needs none. (crash 9.0.2 needs
--no_modules on 7.2, for the original dump too.)

--anonymize replaces IP addresses (within their kind), paths of unix sockets and files, command names,
and names of cgroups, network interfaces and the host. Loopback addresses, lo, kernel threads, ports,
pids, inode numbers, modules, the kernel build and the time are kept. The command prints the counts.

Answers of skb and sockets are identical to those of the dump. The same holds for memory
(--with-memory), procs and procs --pid (--with-processes), stacks and blocked (--with-stacks), log
and triage with their options.
--with-processes adds 0.5 MB for a machine of 512 MB with 34 processes, mostly struct pages (1.6 % of
the memory before compression). --with-log adds 10 to 40 kB, a full log more, --with-stacks 0.1 MB.
Stacks keep addresses of the kernel only, and no user-space registers.

struct knows every type and symbol address; read and struct TYPE ADDR report other memory as missing.
In crash, ps shows no memory sizes, files no paths, modules no symbols, and bt needs --with-stacks.

Exit status: 0 written, 2 wrong usage, 3 the dump could not be read or the file could not be written,
4 no such pid or fd.`;

function declareExtract(program: Command) {
  return addTypesOption(takeDumpArguments(program.command('extract')))
    .usage('[options] -o <file> <dump...>')
    .description('save a small copy of a dump with only the kernel structures that kdump-mem reads')
    .option('--vmcore <file>', 'the dump to read (repeat for each part of a split dump)', collectFiles)
    .requiredOption('-o, --output <file>', 'the dump to write')
    .option('--pid <pid>', 'keep only this process', parseNumber)
    .option('--fd <fd>', 'keep only this socket of the process (needs --pid)', parseNumber)
    .addOption(new Option('--compress <method>', 'compression of pages').choices(COMPRESSIONS).default('zlib'))
    .option('--anonymize', 'replace addresses, paths of unix sockets and names consistently')
    .option('--map <file>', 'save the original names to this file (mode 600; needs --anonymize)')
    .option('--with-log', 'also keep the kernel log (not with --anonymize)')
    .option('--with-memory', 'also keep what `memory` reads: every struct page (not with --pid)')
    .option('--with-processes', 'also keep what `procs` reads: every struct page, page tables (not with --pid)')
    .option('--with-stacks', 'also keep what `stacks` and `blocked` read (not with --pid)')
    .option('--with-triage', 'also keep what `triage` reads (implies --with-log --with-memory --with-stacks)')
    .option('--force', 'overwrite existing files')
    .option('--json', 'print a summary of the extract as JSON')
    .option('--vmlinux <file>', 'symbols and types, if the dump lacks them')
    .option('--symbols <file>', 'System.map to use instead of the symbols in the dump');
}

type ExtractOptions = OptionsOf<typeof declareExtract>;

/** Registers `kdump-mem extract`, which reduces a dump to the structures that the commands read. */
export function registerExtract(program: Command): void {
  declareExtract(program).addHelpText('after', EXAMPLES).action(run);
}

/** Options that require the complete machine, with the reason. */
const WHOLE = [
  ['withMemory', '--with-memory', 'memory is counted for the machine'],
  ['withProcesses', '--with-processes', 'shared memory is divided among all processes'],
  ['withStacks', '--with-stacks', 'stacks are kept for all threads'],
  ['withTriage', '--with-triage', 'triage reads the complete machine'],
] as const;

/** Rejects options that cannot be combined. @throws {UsageError} */
function refuseContradictions(options: ExtractOptions): void {
  const { pid, fd, anonymize, withLog, withTriage } = options;
  if (fd !== undefined && pid === undefined) throw new UsageError('--fd needs --pid');
  if (anonymize && withLog)
    throw new UsageError('--with-log and --anonymize exclude each other: the log can contain any name');
  if (anonymize && withTriage)
    throw new UsageError(
      '--with-triage and --anonymize exclude each other: the log can contain any name. Use --with-memory --with-stacks.',
    );
  for (const [name, option, why] of WHOLE)
    if (options[name] && pid !== undefined) throw new UsageError(`${option} and --pid exclude each other: ${why}`);
}

async function run(options: ExtractOptions): Promise<void> {
  const { pid, fd, vmcore } = options;
  refuseContradictions(options);
  const { withTriage = false } = options;
  if (vmcore === undefined) throw new UsageError('no dump given: use --vmcore FILE');
  const { map, output } = options;
  if (map !== undefined && !options.anonymize) throw new UsageError('--map needs --anonymize');
  const kernel = await openSource({ vmcore, engine: 'native', ...aids(options) });
  const progress = new Progress();
  try {
    const { NativeKernel } = await import('../../kernel/native/kernel.js');
    if (!(kernel instanceof NativeKernel)) throw new TypeError('extract needs the native engine');
    const { extract } = await import('../../extract/extract.js');
    const answer = await extract(kernel, {
      files: await openedAids(options),
      output,
      ...(map === undefined ? {} : { map }),
      compression: options.compress,
      ...(pid === undefined ? {} : { pid }),
      ...(fd === undefined ? {} : { fd }),
      force: options.force ?? false,
      anonymize: options.anonymize ?? false,
      log: options.withLog ?? withTriage,
      memory: options.withMemory ?? withTriage,
      processes: options.withProcesses ?? false,
      stacks: options.withStacks ?? withTriage,
      onProgress: (words) => progress.show(words),
    });
    progress.clear();
    const { extractText } = await import('../../answers/extract/text.js');
    if (options.json) printAnswer(formatJson(answer, 2));
    else printText(extractText(answer));
    if (!options.json) printWarnings(answer.warnings);
  } finally {
    progress.clear();
    kernel.close();
  }
}
