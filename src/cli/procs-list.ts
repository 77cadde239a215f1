import type { ProcsAnswer } from '../account/processes/answer.js';
import type { ChosenProcs } from '../account/processes/chosen.js';
import { WalkError } from '../walk/error.js';
import { answer, tell } from './answer.js';
import { UsageError } from './failure.js';
import { sourceWords } from './kernel-source.js';
import { type ProcsOptions, SORT_WORDS, selection } from './procs-options.js';
import { seenSockets } from './procs-sockets.js';

/** The list of processes, or sums of them. */
export async function listProcesses(options: ProcsOptions): Promise<void> {
  const [{ chosen }, { procsJson }, { procsText }] = await Promise.all([
    import('../account/processes/chosen.js'),
    import('../report/procs/json.js'),
    import('../report/procs/text.js'),
  ]);
  const { sort, by, limit = 20, verbose } = options;
  const nameOf = options.live ? await userNames() : String;
  const choose = (found: ProcsAnswer): ChosenProcs => {
    const select = selection(options);
    const picked = chosen(found, { sort: SORT_WORDS[sort], by, select }, nameOf);
    if (options.container !== undefined && picked.processes.length === 0)
      throw new WalkError('no-such-pid', 'no process is as --container says');
    return picked;
  };
  const words = {
    toJson: procsJson,
    toText: (found: ChosenProcs, width: number | null) =>
      procsText(found, { limit, verbose, width, source: sourceWords(options) }),
  };
  if (options.live) {
    if (options.engine !== 'auto') throw new UsageError('--live reads /proc: it has no --engine');
    const [{ liveHost }, { readProcesses }, { hostProcesses }] = await Promise.all([
      import('../host/live.js'),
      import('../host/proc/process-memory.js'),
      import('../account/processes/host.js'),
    ]);
    const records = readProcesses(liveHost, { withoutOom: !showsOom(options) });
    const found = choose(hostProcesses(records, options.sockets && (await seenSockets())));
    tell(found, options, words);
    return;
  }
  const { kernelProcesses } = await import('../account/processes/kernel.js');
  await answer(options, {
    doing: 'looking at processes',
    ask: (kernel, progress) => choose(kernelProcesses(kernel, progress)),
    ...words,
  });
}

function showsOom({ json, verbose, sort }: ProcsOptions): boolean {
  return json === true || verbose === true || sort === 'oom';
}

/** The names in /etc/passwd; a user who is in none has a number. */
async function userNames(): Promise<(uid: number) => string> {
  const { readFileSync } = await import('node:fs');
  const names = new Map<number, string>();
  try {
    for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
      const [name = '', , uid = ''] = line.split(':');
      if (/^\d{1,10}$/.test(uid) && !names.has(Number(uid))) names.set(Number(uid), name);
    }
  } catch {
    // Numbers do as well.
  }
  return (uid) => names.get(uid) ?? String(uid);
}
