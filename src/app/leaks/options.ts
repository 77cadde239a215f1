import { type Command, InvalidArgumentError, Option } from 'commander';
import type { TraceError, TraceErrorCode } from '../../base/errors.js';
import { programPath } from '../../base/shell.js';
import { type MethodRefusal, type OfferedMethod, offeredReadings } from '../../leaks/readings/methods.js';
import { READING_METHODS } from '../../leaks/readings/take.js';
import { MAX_ONE_IN, tracefsRefusal } from '../../leaks/record/tracefs/kinds.js';
import type { AllocationType } from '../../leaks/recording.js';
import { MIN_WINDOWS } from '../../leaks/site-growth.js';
import { type OptionsOf, parseNumber, parseUpTo, timeWithin } from '../kit/arguments.js';
import { UsageError } from '../kit/failure.js';
import { collectFiles } from '../kit/kernel-source.js';
import { checkPrintedProfile, STDOUT } from '../kit/output.js';

/** Methods that record allocations live. */
const LEAK_METHODS = [...READING_METHODS, 'tracefs'] as const;
export type LeakMethod = (typeof LEAK_METHODS)[number];

/** Engines that trace allocation events. */
const ENGINES = ['tracefs', 'bpftrace'] as const;

export type LeaksOptions = OptionsOf<typeof addLeaksOptions>;

/** The largest order of the buddy allocator in common kernels. */
const MAX_ORDER = 10;
const MAX_SECONDS = 7 * 86_400;
const MAX_WINDOWS = 1000;

const parseLength = timeWithin(1, MAX_SECONDS, '1 second to 7 days');

export function addLeaksOptions(command: Command) {
  return command
    .addOption(
      new Option('--type <type>', 'kind of allocation: pages, slab objects or vmalloc areas (default page)').choices([
        'page',
        'slab',
        'vmalloc',
      ]),
    )
    .option('--interval <time>', 'length of the recording, such as 90s or 10m (default 10m)', parseLength)
    .option('--windows <n>', 'number of windows (default 15)', parseWindows)
    .option('--order <n>', 'only page blocks of this order and larger', parseUpTo(MAX_ORDER))
    .option('--sample <1/N>', 'follow one page frame or object in N; auto: as --budget allows', parseSample)
    .option('--budget <share>', 'maximum CPU use of recording, as a share of one core (default 2%)', parseBudget)
    .addOption(
      new Option('--pid <pid>', 'only allocations by threads of this process')
        .argParser(parseNumber)
        .conflicts('cgroup'),
    )
    .option('--cgroup <path>', 'only allocations by threads in this cgroup and below', parseCgroup)
    .addOption(new Option('--method <method>', 'recording method (default: best available)').choices(LEAK_METHODS))
    .addOption(
      new Option(
        '--engine <engine>',
        'engine that follows events (default tracefs); bpftrace matches frees in the kernel, for high rates',
      ).choices(ENGINES),
    )
    .option('--methods', 'list the available methods and their cost')
    .addOption(
      new Option('--from <file...>', 'earlier recordings: perf script, memleak or trace text, or copies, oldest first')
        .argParser(collectFiles)
        .conflicts(['order', 'sample', 'budget', 'pid', 'cgroup', 'method', 'engine', 'methods']),
    )
    .option('--limit <n>', 'maximum number of stacks (default 20; JSON: all)', parseNumber)
    .option('--json', 'print the answer as JSON')
    .option('--folded', 'print folded stacks, weighted by held bytes')
    .addOption(
      new Option('--html <file>', 'write an HTML page; - writes to stdout').conflicts([
        'json',
        'folded',
        'pprof',
        'speedscope',
        'methods',
      ]),
    )
    .option('--pprof <file>', 'also write a pprof profile; - prints it instead')
    .option('--speedscope <file>', 'also write a speedscope profile; - prints it instead')
    .option('--force', 'replace existing profiles or an HTML file')
    .option('--strict', 'exit with status 5 if the answer is incomplete');
}

/** @throws {UsageError} for options that cannot be combined */
export function checkLeaksOptions(options: LeaksOptions): void {
  const { json, folded, method, type = 'page', pprof, speedscope, force } = options;
  if (json && folded) throw new UsageError('--folded and --json exclude each other');
  const profiles = profileFiles(options);
  if (force && options.html === undefined && profiles.every((file) => file === STDOUT))
    throw new UsageError('--force needs --html, --pprof or --speedscope');
  checkPrintedProfile(profiles, options);
  if (pprof === '' || speedscope === '') throw new UsageError('a file’s name is empty');
  if (pprof !== undefined && pprof === speedscope) throw new UsageError('--pprof and --speedscope name the same file');
  if (options.order !== undefined && type !== 'page') throw new UsageError('--order needs --type page');
  const [alone] = method === undefined || method === 'tracefs' ? [] : eventOptions(options);
  if (alone !== undefined)
    throw new UsageError(`--${alone} needs an event-based method: --method ${method} records no events`);
  if (options.engine === 'bpftrace') checkBpftrace(options);
  const [other] = Object.entries({ folded, pprof, speedscope, method, engine: options.engine }).filter(
    ([, value]) => value !== undefined,
  );
  if (options.methods && other) throw new UsageError(`--methods cannot be combined with --${other[0]}`);
}

/** Returns the output files of profiles. */
export function profileFiles({ pprof, speedscope }: LeaksOptions): string[] {
  return [pprof, speedscope].filter((file) => file !== undefined);
}

/** Rejects options that bpftrace does not support. */
function checkBpftrace({ type = 'page', sample, budget, cgroup }: LeaksOptions): void {
  if (type !== 'page') throw new UsageError(`--engine bpftrace supports pages only, not --type ${type}`);
  if (sample !== undefined && sample !== 1)
    throw new UsageError('--engine bpftrace follows every block: --sample needs --engine tracefs');
  if (budget !== undefined) throw new UsageError('--engine bpftrace has no --budget: use --engine tracefs');
  if (cgroup !== undefined) throw new UsageError('--engine bpftrace does not support --cgroup: use --engine tracefs');
}

/** Returns the given options that apply only to event tracing. */
export function eventOptions(options: LeaksOptions): string[] {
  const { order, sample, budget, pid, cgroup, engine } = options;
  return Object.entries({ order, sample, budget, pid, cgroup, engine }).flatMap(([name, value]) =>
    value === undefined ? [] : [name],
  );
}

function parseWindows(text: string): number {
  const windows = parseNumber(text);
  if (windows < MIN_WINDOWS || windows > MAX_WINDOWS)
    throw new InvalidArgumentError(`It takes ${MIN_WINDOWS} to ${MAX_WINDOWS} windows.`);
  return windows;
}

/** Parses a sampling rate: one in this many. */
function parseSample(text: string): 'auto' | number {
  if (text === 'auto') return text;
  const parts = /^1\/([1-9]\d{0,6})$/.exec(text);
  const oneIn = Number(parts?.[1]);
  // Sampling selects by bits of a number, so the rate must be a power of two.
  if (!parts || !Number.isInteger(Math.log2(oneIn)))
    throw new InvalidArgumentError('It takes auto, or 1/N with a power of two: 1/1, 1/8, 1/64.');
  if (oneIn > MAX_ONE_IN) throw new InvalidArgumentError(`The smallest sample is 1/${MAX_ONE_IN}.`);
  return oneIn;
}

/** Parses a maximum CPU use; returns a share of one core. */
function parseBudget(text: string): number {
  const parts = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text);
  const share = Number(parts?.[1]) / 100;
  if (!parts || !(share > 0 && share <= 1))
    throw new InvalidArgumentError('It takes a share of one core: 0.5%, 2%, 100%.');
  return share;
}

function parseCgroup(text: string): string {
  const path = text.replace(/^\/sys\/fs\/cgroup(?=\/|$)/, '').replace(/\/+$/, '');
  if (path === '') return '/';
  const names = path.split('/').slice(1);
  if (!path.startsWith('/') || names.some((name) => ['', '.', '..'].includes(name)))
    throw new InvalidArgumentError('It takes a path as in /proc/PID/cgroup: /system.slice/…');
  return path;
}

/** Returns the methods for an allocation type on this machine, in order of preference; tracing is last. */
export function methodsHere(type: AllocationType): OfferedMethod[] {
  const readings = offeredReadings(type);
  if (type === 'vmalloc') return readings;
  const traced = tracedMethod(tracefsRefusal(type));
  return [...readings, traced, ...(type === 'page' ? [pairedMethod(traced)] : [])];
}

/** Returns bpftrace as a method: it requires tracefs and an installed bpftrace. */
function pairedMethod(traced: OfferedMethod): OfferedMethod {
  if (programPath('bpftrace') !== undefined) return { ...traced, method: 'bpftrace' };
  return { method: 'bpftrace', refusal: 'not-installed', why: null };
}

const REFUSALS: Readonly<Partial<Record<TraceErrorCode, MethodRefusal>>> = {
  'trace-no-root': 'denied',
  'trace-not-mounted': 'not-mounted',
  'trace-unsupported': 'absent',
};

/** Returns tracing as a method; refused if recording would fail with `error`. */
export function tracedMethod(error: TraceError | null): OfferedMethod {
  if (error === null) return { method: 'tracefs', refusal: null, why: null };
  const refusal = REFUSALS[error.code] ?? 'not-readable';
  return { method: 'tracefs', refusal, why: error.message };
}
