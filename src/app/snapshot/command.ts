import type { Command } from 'commander';
import { formatJson } from '../../base/util.js';
import { OPTIONAL_PARTS } from '../../records/snapshot-parts.js';
import { EXIT, UsageError } from '../kit/failure.js';
import { printAnswer, printText } from '../kit/output.js';
import { addSnapshotOptions, addWhenOptions, checkWhen, refuseParts, type SnapshotCommandOptions } from './options.js';

const EXAMPLES = `
Examples:
  kdump-mem snapshot -o host.tar.gz        save the evidence before the pod is restarted
  kdump-mem memory --from host.tar.gz      then, on any machine: memory breakdown
  skcheck --from host.tar.gz               and stalled sockets
  kdump-mem snapshot --verify host.tar.gz  check an archive against its manifest
  kdump-mem snapshot -o send.tar.gz --anonymize
  kdump-mem snapshot -o host.tar.gz --with smaps,stacks
  ssh host kdump-mem snapshot --to-stdout > host.tar.gz
  kdump-mem snapshot --when psi=20,available=5%,oom --into /var/lib/kdump-mem
      run as a service, take a snapshot under memory pressure: deploy/systemd, deploy/kubernetes
  kdump-mem snapshot --script > snapshot.sh
      for hosts without Node: run sh snapshot.sh host.tar.gz there

It reads /proc, /sys and the kernel log, and runs ss; counters and sockets are sampled twice. It changes
nothing, runs at low priority (nice, ionice), needs less than 100 MB of memory, and stops after --timeout.
The file "errors" in the archive lists everything that could not be read.

Never included: the environment of processes. Included only with --with: process arguments, unix socket
names. Parts: ${OPTIONAL_PARTS.join(', ')} (docs/snapshot.md).
--anonymize replaces addresses (consistently; those of loopback stay) and the names of processes,
cgroups, interfaces and the host, and excludes the log.

Exit status: 0 written, or intact (--verify); 1 not intact (--verify); 2 wrong usage; 3 cannot write the
file, or cannot read /proc or the archive; 5 (with --strict) the snapshot is incomplete.`;

/** Registers `kdump-mem snapshot`, which saves the state of a running host in one file. */
export function registerSnapshot(program: Command): void {
  const command = addSnapshotOptions(program.command('snapshot'))
    .description('save figures of memory, sockets and processes of this host to a file, without memory contents')
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
  if (options.output === '') throw new UsageError('-o: the file name is empty');
  const { takeHere } = await import('./take.js');
  await takeHere(options.output === '-' ? { ...options, toStdout: true } : options);
}

async function verify(file: string, { json }: SnapshotCommandOptions): Promise<void> {
  const [{ verifySnapshot }, { snapshotVerifyJson, snapshotVerifyText }] = await Promise.all([
    import('../../capture/write/verify.js'),
    import('../../answers/snapshot/render.js'),
  ]);
  const answer = snapshotVerifyJson(file, await verifySnapshot(file));
  if (json) printAnswer(formatJson(answer, 2));
  else printText(snapshotVerifyText(answer));
  if (!answer.intact) process.exitCode = EXIT.differs;
}
