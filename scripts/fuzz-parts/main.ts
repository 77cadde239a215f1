import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Task, Told } from './child.js';
import { KINDS, type Kind, type Lane, lanesOf } from './lanes.js';

const USAGE = `scripts/fuzz [--seconds N] [--cases N] [--seed S] [--kinds KIND,...] [--dump FILE ...]
             [--lane NAME] [--case LANE/N]

Damages dumps and what is in them and asks every command about it, for N seconds (60): made-up dumps
of every format, and the dumps of fixtures/dumps, the lab's, or those named. Prints what was found and exits
with 1 if anything was. --case repeats one case of a seed and tells what it does.

Kinds; unless some are named, all but meaning and those below it, which take seconds to begin:
  synthetic, arm64  made-up dumps and page tables, damaged byte by byte
  walk              what walkers read of a dump, damaged at random
  file              the file of a dump, damaged at random
  opening           page tables, symbols and types of a dump, damaged at random
  meaning           each member that walkers read set to 0, 1, huge, all ones, one more, one less,
                    with its sign flipped, or to what another object has there; variables likewise;
                    pages and struct pages zeroed one by one. An answer that differs from the
                    undamaged dump's and says nothing is a fault, unless docs/internals/undetectable.md names
                    the member and what may differ.
  memory            the same with what \`memory\` reads besides, in the lab's whole dumps
  procs             the same with what \`procs\` reads besides
  log, stacks       the same with what \`log\` and \`stacks\` read
  triage            the same with what \`triage\` reads beyond the sockets and the memory
  lists             the same with what the lists of \`info\` read: modules, mounts, run queues and others
  blocked, sites, refs, unreachable  the same with what \`blocked --all\`, \`memory --by site\`, \`refs\` and
                    \`memory --unreachable\` read; blocked needs a --dump with tasks that wait
  structures        the structures of tasks, memory, files, cgroups and pages alone, with single bits
                    flipped and values swapped; procs, memory and sockets are all asked

--cases N: as many cases in all, the same number in each lane, however long they take:
  scripts/fuzz --kinds meaning --cases 10000 --seed 7`;

/** Processor seconds that one case may take before it counts as a hang. */
const MAX_SECONDS = 15;
/** Seconds after which the process of a lane is replaced. */
const SLICE = 20;
/** A part of a lane that ends only by other limits. */
const UNBOUND = { seconds: 2 ** 31, before: 2 ** 31, once: false };

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    cases: { type: 'string' },
    seed: { type: 'string' },
    kinds: { type: 'string' },
    dump: { type: 'string', multiple: true },
    lane: { type: 'string' },
    case: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const kinds = kindsOf(values.kinds ?? values.case?.replace(/[:/].*/, ''));
const lanes = lanesOf(values.dump ?? fixtures(), kinds, values.dump ?? lab());
const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-fuzz-main-'));
const found = new Map<string, { id: string; rule: string; message: string; times: number }>();
const counts = new Map<string, number>();
/** Cases by outcome, for kinds with an undamaged answer. */
const ends = new Map<string, number>();
let cases = 0;

try {
  if (values.case !== undefined) await repeat(values.case);
  else if (values.cases !== undefined) await count(Number(values.cases));
  else await fuzz(Number(values.seconds));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = found.size > 0 ? 1 : 0;

type Part = Pick<Task, 'from' | 'seconds' | 'before' | 'once'>;

/** The dumps in the repository. */
function fixtures(): string[] {
  const place = 'fixtures/dumps';
  if (!existsSync(place)) return [];
  return readdirSync(place)
    .filter((name) => name.endsWith('.vmcore'))
    .map((name) => join(place, name));
}

/** Complete dumps of the lab: fixtures lack data that only `memory` reads. */
function lab(): string[] {
  const folder = join(process.env.KDUMP_MEM_LAB ?? '.lab', 'dumps');
  const dumps = ['5.10', '6.1', '6.12', 'newest'].map((name) => join(folder, name, 'elf.vmcore'));
  return dumps.filter((dump) => existsSync(dump));
}

async function repeat(id: string): Promise<void> {
  const slash = id.lastIndexOf('/');
  const lane = lanes.find(({ name }) => name === id.slice(0, slash));
  if (!lane) throw new Error(`no lane ${id.slice(0, slash)}; there are ${names(lanes)}`);
  await run(lane, { from: Number(id.slice(slash + 1)), seconds: 0, before: 0, once: true });
  report();
}

function chosenLanes(): readonly Lane[] {
  const chosen = values.lane ? lanes.filter(({ name }) => name.includes(values.lane!)) : lanes;
  if (lanes.length === 0) throw new Error('no dump to damage: scripts/lab up makes some');
  if (chosen.length === 0) throw new Error(`no lane ${values.lane}; there are ${names(lanes)}`);
  return chosen;
}

function kindsOf(named: string | undefined): readonly Kind[] {
  const quick: readonly Kind[] = ['synthetic', 'arm64', 'walk', 'file', 'opening'];
  const kinds = named?.split(',') ?? quick;
  const unknown = kinds.find((name) => !KINDS.includes(name as Kind));
  if (unknown !== undefined) throw new Error(`no kind ${unknown}; there are ${KINDS.join(', ')}`);
  return kinds as readonly Kind[];
}

async function fuzz(seconds: number): Promise<void> {
  const chosen = chosenLanes();
  console.log(`seed ${seed}, ${seconds} s: ${names(chosen)}`);
  const started = performance.now();
  const left = (): number => seconds - (performance.now() - started) / 1000;
  const slice = Math.max(2, Math.min(SLICE, seconds / chosen.length));
  const next = new Map<string, number>();
  for (let turn = 0; left() > 0; turn++) {
    const lane = chosen[turn % chosen.length]!;
    const from = next.get(lane.name) ?? 0;
    const seconds = Math.min(slice, left());
    const end = await run(lane, { ...UNBOUND, from, seconds });
    next.set(lane.name, end);
    counted(lane, end - from);
  }
  tellCounts(started);
}

/** The same total number of cases, lane after lane. */
async function count(all: number): Promise<void> {
  const chosen = chosenLanes();
  console.log(`seed ${seed}, ${all} cases: ${names(chosen)}`);
  const started = performance.now();
  const before = Math.ceil(all / chosen.length);
  for (const lane of chosen) {
    for (let from = 0; from < before; ) {
      const end = await run(lane, { ...UNBOUND, from, before });
      counted(lane, end - from);
      from = end;
    }
  }
  tellCounts(started);
}

function counted(lane: Lane, count: number): void {
  cases += count;
  counts.set(lane.name, (counts.get(lane.name) ?? 0) + count);
}

function tellCounts(started: number): void {
  const took = (performance.now() - started) / 1000;
  for (const [name, count] of counts) console.log(`${name}: ${count} cases`);
  for (const [end, many] of ends) console.log(`${many} ended so: ${end}`);
  console.log(`${cases} cases in ${took.toFixed(0)} s, ${(cases / took).toFixed(0)} a second`);
  report();
}

/** Runs a child until it exits, crashes or hangs; returns the index of the next case. */
async function run(lane: Lane, part: Part): Promise<number> {
  const progress = join(folder, 'progress');
  const task: Task = { lane, seed, progress, ...part };
  const child = spawn(
    process.execPath,
    ['--max-old-space-size=256', fileURLToPath(new URL('child.js', import.meta.url)), JSON.stringify(task)],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let next: number | undefined;
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-4000);
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const told = JSON.parse(line) as Told;
    if (told.type === 'end') {
      next = told.next;
      for (const [end, many] of Object.entries(told.ends)) ends.set(end, (ends.get(end) ?? 0) + many);
    } else if (told.type === 'case') console.log(told.told.join('\n'));
    else note(lane, told.index, told.rule, told.message);
  });
  const hung = await ended(child, () => current(progress));
  if (next !== undefined) return next;
  const index = current(progress) ?? part.from;
  if (hung) note(lane, index, 'hang', `over ${MAX_SECONDS} s of processor time`);
  else note(lane, index, 'died', errors.trim() || 'without a word');
  return index + 1;
}

/** Waits for the exit of a child, and kills it if one case takes too long. */
function ended(child: ChildProcess, index: () => number | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    let last: number | undefined;
    let since = 0;
    let hung = false;
    const timer = setInterval(() => {
      const used = cpuSeconds(child.pid);
      const now = index();
      if (now !== last) {
        last = now;
        since = used;
      } else if (used - since > MAX_SECONDS) {
        hung = true;
        child.kill('SIGKILL');
      }
    }, 500);
    child.on('close', () => {
      clearInterval(timer);
      resolve(hung);
    });
  });
}

/** Processor time of a process: fields 14 and 15 of /proc/PID/stat, in hundredths of seconds. */
function cpuSeconds(pid: number | undefined): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

function current(path: string): number | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'latin1').trim();
  return text === '' ? undefined : Number(text);
}

/** A repeated fault is counted, not printed again. */
function note(lane: Lane, index: number, rule: string, message: string): void {
  // For silent differences, the first line names the member and the fields.
  const lines = rule === 'silent difference' ? 1 : 3;
  const key = `${rule} ${message
    .split('\n')
    .slice(0, lines)
    .join(' ')
    .replace(/[\da-f]{3,}|\d+/g, '#')}`;
  const known = found.get(key);
  if (known) {
    known.times++;
    return;
  }
  const id = `${lane.name}/${index}`;
  found.set(key, { id, rule, message, times: 1 });
  console.log(`FOUND ${rule}: --seed ${seed} --case ${id}\n${message.slice(0, 3000)}\n`);
}

function report(): void {
  if (found.size === 0) {
    console.log('nothing found');
    return;
  }
  console.log(`${found.size} found:`);
  for (const { id, rule, message, times } of found.values())
    console.log(`  ${rule} ${message.split('\n')[0]?.slice(0, 160)}: --seed ${seed} --case ${id}, met ${times} times`);
}

function names(all: readonly Lane[]): string {
  return all.map(({ name }) => name).join(', ');
}
