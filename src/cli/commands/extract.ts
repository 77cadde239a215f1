import { type Command, Option } from 'commander';
import { COMPRESSIONS, type Compression } from '../../extract/write/compress.js';
import { escapeText } from '../../report/escape.js';
import { formatSize } from '../../report/size.js';
import { takeDumpArguments } from '../dump-arguments.js';
import { UsageError } from '../failure.js';
import { parseNumber } from '../number-argument.js';
import { Progress } from '../progress.js';
import { collectFiles, openSource } from '../source.js';

interface ExtractOptions {
  readonly vmcore?: readonly string[];
  readonly output: string;
  readonly pid?: number;
  readonly fd?: number;
  readonly compress: Compression;
  readonly anonymize?: true;
  readonly withLog?: true;
  readonly force?: true;
  readonly vmlinux?: string;
  readonly symbols?: string;
  readonly btf?: string;
}

const EXAMPLES = `
Examples:
  kdump-mem extract --vmcore /var/crash/vmcore -o small.vmcore
      all that any question about sockets needs, in a few MB
  kdump-mem extract --vmcore /var/crash/vmcore -o one.vmcore --pid 4711 --fd 12 --anonymize
      one socket, with made-up addresses, paths and command names

Kept: the kernel's tables, and of its tasks, files, sockets, queues and pages the bytes that an answer
reads. Left out: payload, user memory, file contents, environment, arguments, keys, the log.
crash and drgn open the result with the vmlinux that the dump needs; kdump-mem needs none. (On 7.2
crash 9.0.2 needs --no_modules, for the whole dump too.)

Every answer of skb and sockets is the same; struct knows every type, and every symbol has its
address. Whatever else is asked of the memory (read, struct TYPE ADDR) is said to be left out. In
crash, ps has no memory sizes, and files no paths; there are no stacks for bt, and no symbols of
modules. The tables of symbols and types are packed: only kdump-mem finds them.

Exit status: 0 written, 2 wrong usage, 3 the dump could not be read or the file not written,
4 the pid or fd is not there.`;

/** `kdump-mem extract`: a dump cut down to what answers are made of. */
export function registerExtract(program: Command): void {
  takeDumpArguments(program.command('extract'))
    .usage('[options] -o <file> <dump...>')
    .description('cut a dump down to what the questions need: small, and without anybody’s data')
    .option('--vmcore <file>', 'the dump to read; again for each part of a split one', collectFiles)
    .requiredOption('-o, --output <file>', 'the dump to write')
    .option('--pid <pid>', 'only what is needed to ask about this process', parseNumber)
    .option('--fd <fd>', 'only one socket of it (needs --pid)', parseNumber)
    .addOption(
      new Option('--compress <method>', 'how to store pages').choices(COMPRESSIONS).default('zlib'),
    )
    .option('--anonymize', 'replace addresses, unix socket paths and command names, consistently')
    .option('--with-log', 'keep the kernel’s log too (not with --anonymize)')
    .option('--force', 'replace the output file if it exists')
    .option('--vmlinux <file>', 'symbols and types, where the dump lacks them')
    .option('--symbols <file>', 'System.map, instead of the dump’s own symbols')
    .option('--btf <file>', 'types, instead of the dump’s own: raw BTF or a vmlinux')
    .addHelpText('after', EXAMPLES)
    .action(run);
}

async function run(options: ExtractOptions): Promise<void> {
  const { pid, fd, vmlinux, symbols, btf } = options;
  if (fd !== undefined && pid === undefined) throw new UsageError('--fd needs --pid');
  if (options.anonymize && options.withLog) {
    throw new UsageError('the log can name anybody: --with-log and --anonymize exclude each other');
  }
  const { vmcore } = options;
  if (vmcore === undefined) throw new UsageError('say which dump to cut: --vmcore FILE');
  const files = {
    ...(vmlinux === undefined ? {} : { vmlinux }),
    ...(symbols === undefined ? {} : { symbols }),
    ...(btf === undefined ? {} : { btf }),
  };
  const kernel = await openSource({ vmcore, engine: 'native', ...files });
  const progress = new Progress();
  try {
    const { NativeKernel } = await import('../../kernel/native/kernel.js');
    if (!(kernel instanceof NativeKernel)) throw new TypeError('only the native engine extracts');
    const { extract } = await import('../../extract/extract.js');
    const { size } = await extract(kernel, {
      files,
      output: options.output,
      compression: options.compress,
      ...(pid === undefined ? {} : { pid }),
      ...(fd === undefined ? {} : { fd }),
      force: options.force ?? false,
      anonymize: options.anonymize ?? false,
      log: options.withLog ?? false,
      onProgress: (words) => progress.show(words),
    });
    progress.clear();
    if (process.stderr.isTTY) {
      process.stderr.write(`${escapeText(options.output)}: ${formatSize(size)}\n`);
    }
  } finally {
    progress.clear();
    kernel.close();
  }
}
