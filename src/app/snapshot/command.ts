import { type Command, Option } from 'commander';
import { formatJson } from '../../base/json.js';
import { OPTIONAL_PARTS } from '../../capture/read/contents.js';
import { parseShortInterval, timeWithin } from '../kit/arguments.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { printAnswer } from '../kit/output.js';
import type { SnapshotCommandOptions } from './options.js';
import { parseParts, refuseParts } from './parts.js';
import { addWhenOptions, checkWhen } from './when-options.js';

const EXAMPLES = `
Examples:
  kdump-mem snapshot -o host.tar.gz        what to save before somebody restarts the pod
  kdump-mem memory --from host.tar.gz      then, anywhere: where the memory was
  skcheck --from host.tar.gz               and who had stopped reading
  kdump-mem snapshot --verify host.tar.gz  whether it is as it was written
  kdump-mem snapshot -o send.tar.gz --anonymize
  kdump-mem snapshot -o host.tar.gz --with smaps,stacks
  ssh host kdump-mem snapshot --to-stdout > host.tar.gz
  kdump-mem snapshot --when psi=20,available=5%,oom --into /var/lib/kdump-mem
      waits, and takes one when it is time: deploy/systemd, deploy/kubernetes
  kdump-mem snapshot --script > snapshot.sh
      for hosts without Node: there sh snapshot.sh host.tar.gz

It reads /proc, /sys and the kernel's log by itself, twice where two samples matter, and starts ss for
sockets. It changes nothing, lets others go first (nice, ionice), stays below 100 MB of memory, and ends
in time (--timeout): what could not be taken by then, or not be read, stands in the archive's file errors.

Left out: the environment of processes, always; their arguments and the names of unix sockets, unless
--with asks for them. Parts: ${OPTIONAL_PARTS.join(', ')} (docs/snapshot.md).
--anonymize replaces addresses (by others of their kind) and the names of processes, cgroups,
interfaces and the host, and leaves the log out.

Exit status: 0 taken, or whole (--verify); 1 not whole (--verify); 2 wrong usage; 3 it could not be
written, or /proc or the archive not be read; 5 (with --strict) something could not be taken.`;

const parseTimeout = timeWithin(0, 3600, '0 to 3600 seconds');

/** `kdump-mem snapshot`: everything that is asked of a running host, in one file. */
export function registerSnapshot(program: Command): void {
  const command = program
    .command('snapshot')
    .description('save what this host shows of its memory, sockets and processes, to ask later')
    .addOption(
      new Option('-o, --output <file>', 'the archive to write (tar.gz, mode 600); - is stdout'),
    )
    .addOption(
      new Option('--to-stdout', 'write the archive to stdout, for ssh and kubectl exec').conflicts(
        'output',
      ),
    )
    .addOption(
      new Option('--verify <file>', 'hold an archive against its manifest instead').conflicts([
        ...['output', 'toStdout', 'script', 'with', 'anonymize', 'force', 'tmpfs', 'strict'],
      ]),
    )
    .addOption(
      new Option(
        '--script',
        'print a shell script that takes the same, for hosts without Node',
      ).conflicts(['output', 'toStdout', 'with', 'anonymize', 'force', 'tmpfs', 'json', 'strict']),
    )
    .option('--interval <time>', 'time between the two samples', parseShortInterval, 1)
    .option('--timeout <time>', 'take what can be taken in this time', parseTimeout, 30)
    .option('--with <parts>', 'optional parts, with commas between them', parseParts)
    .option('--anonymize', 'replace addresses and names, consistently')
    .option('--force', 'replace the file if it exists')
    .option('--tmpfs', 'write also where files lie in memory')
    .option('--json', 'say what was taken as JSON')
    .option('--strict', 'exit with status 5 if anything could not be taken')
    .addHelpText('after', EXAMPLES)
    .action(run);
  addWhenOptions(command);
}

async function run(options: SnapshotCommandOptions): Promise<void> {
  checkWhen(options);
  if (options.script) {
    const { CAPTURE_SCRIPT } = await import('../../capture/read/script.js');
    process.stdout.write(CAPTURE_SCRIPT);
    return;
  }
  if (options.verify !== undefined) return verify(options.verify, options);
  refuseParts(options.with ?? [], options.anonymize ?? false);
  if (options.output === '')
    throw new UsageError('-o takes the name of a file, and this one is empty');
  const { takeHere } = await import('./take.js');
  await takeHere(options.output === '-' ? { ...options, toStdout: true } : options);
}

async function verify(file: string, { json }: SnapshotCommandOptions): Promise<void> {
  const [{ verifySnapshot }, { snapshotVerifyJson }, { snapshotVerifyText }] = await Promise.all([
    import('../../capture/write/verify.js'),
    import('../../answers/snapshot/json.js'),
    import('../../answers/snapshot/text.js'),
  ]);
  const said = snapshotVerifyJson(file, await verifySnapshot(file));
  printAnswer(json ? formatJson(said, 2) : snapshotVerifyText(said));
  if (!said.whole) process.exitCode = EXIT.differs;
}
