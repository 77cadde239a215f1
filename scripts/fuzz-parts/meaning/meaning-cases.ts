import { ReadError, readOrNot } from '../../../src/base/errors.js';
import type { Kernel } from '../../../src/kernel/kernel.js';

import { slabsCounted } from '../../../src/walk/pages/slab-caches.js';
import type { Patch } from '../../../test/support/damaged-kernel.js';
import { Random } from '../random.js';
import { Broken, clock, refusal } from '../rules.js';
import { fieldOf, isExplained } from '../undetectable.js';
import { type Command, commandsOf, type Said } from './answers.js';
import { type Difference, differencesOf } from './differences.js';
import { flipsOf, MUTATIONS, type Mutation, mutate } from './mutations.js';
import { OverlayKernel } from './overlay-kernel.js';
import { type Frame, pageSites, type Recorded, Recorder, type Site } from './recording.js';

/** The change of a case: one member in one way, or all of a page, or all of a struct page. */
type Plan =
  | { readonly kind: 'member'; readonly member: string; readonly mutation: Mutation }
  | { readonly kind: 'page'; readonly page: bigint }
  | { readonly kind: 'struct page'; readonly frame: number };

interface Prepared {
  readonly command: Command;
  readonly truth: Said;
  /** Milliseconds of CPU time. */
  readonly took: number;
}

interface Change {
  readonly patches: readonly Patch[];
  readonly members: readonly string[];
  readonly told: string;
  readonly readBy: ReadonlySet<number>;
}

/** An answer may take this many times as long as without the damage, plus this many milliseconds. */
const MAX_TIMES = 10;
const MORE_MS = 1000;

/** Struct pages that only the scan over all frames reads: numbers of slabs, and of others. */
const MAX_SCANNED = 300;

/** Number of pages of struct pages that are zeroed if all of them are read. */
const MAX_PAGES = 60;

/** Index for reads before any command. */
const BEFORE = -1;

/** The queries, and the damage for them; by default, everything that the answers about sockets read. */
interface Choice {
  readonly commands?: (kernel: Kernel) => Command[];
  /** Data read by these is damaged by other cases, and stays unchanged here. */
  readonly before?: (kernel: Kernel) => void;
  /** The struct pages that are damaged; by default, some of those that are read individually. */
  readonly frames?: (kernel: Kernel) => ReadonlyMap<number, Frame>;
  /** The members that are changed individually, also bit by bit; by default all, and pages. */
  readonly only?: RegExp;
  /** Whether each case runs every command that reads the damage, instead of one. */
  readonly every?: boolean;
}

/** Outcomes of a case, worst first. */
export const OUTCOMES: readonly string[] = [
  'another answer, as is known',
  'incomplete',
  'refused',
  'the same answer',
  'nothing to change',
];

/** `sockets` takes as long as dozens of the others: it runs once in this many cases if others are available. */
const SELDOM = 6;

/**
 * Changes one thing that a command read, in a meaningful way, and compares the answer
 * with the one without the change.
 */
export class MeaningCases {
  readonly #kernel: OverlayKernel;
  readonly #prepared: readonly Prepared[];
  readonly #byMember = new Map<string, Site[]>();
  readonly #sites: readonly Site[];
  readonly #plans: readonly Plan[];
  readonly #pages: ReadonlyMap<bigint, ReadonlySet<number>>;
  readonly #frames: ReadonlyMap<number, Frame>;
  readonly #stride: number;
  readonly #lacking: boolean;
  readonly #every: boolean;
  #order: { readonly seed: number; readonly plans: readonly Plan[] } | undefined;

  /** Asks each command twice: what it reads, and its answer without damage. */
  static async open(kernel: Kernel, choice: Choice = {}): Promise<MeaningCases> {
    const { commands = commandsOf, before } = choice;
    const overlay = new OverlayKernel(kernel);
    const recorder = new Recorder(overlay);
    if (before) await recorder.record(BEFORE, () => before(overlay));
    const recorded: { command: Command; truth: Said | undefined }[] = [];
    for (const [index, command] of commands(overlay).entries())
      await recorder.record(index, async () => {
        recorded.push({ command, truth: await command.ask(overlay) });
      });
    overlay.freeze();
    const prepared: Prepared[] = [];
    for (const { command, truth } of recorded) {
      const spent = clock();
      const again = await command.ask(overlay);
      if (!truth?.complete || differencesOf(truth.json, again.json).length > 0)
        throw new Error(`${command.name}: incomplete, or not the same twice`);
      prepared.push({ command, truth, took: spent() });
    }
    return new MeaningCases(kernel, overlay, prepared, recorder.recorded(), choice);
  }

  private constructor(
    kernel: Kernel,
    overlay: OverlayKernel,
    prepared: readonly Prepared[],
    read: Recorded,
    { frames, only, every = false }: Choice,
  ) {
    this.#every = every;
    this.#kernel = overlay;
    this.#prepared = prepared;
    this.#stride = kernel.struct('page')?.size ?? 64;
    this.#lacking = lacksSecondPlaces(kernel);
    const isNew = ({ readBy }: { readonly readBy: ReadonlySet<number> }) => !readBy.has(BEFORE);
    this.#pages = frames ? this.#pagesOfOwn(read.pages) : read.pages;
    this.#frames = frames ? frames(kernel) : chosen(read.frames);
    this.#sites = [...read.sites.filter(isNew), ...pageSites(kernel, this.#frames)];
    for (const site of this.#sites) {
      const same = this.#byMember.get(site.member);
      if (same) same.push(site);
      else this.#byMember.set(site.member, [site]);
    }
    this.#plans = this.#plan(only);
  }

  /** Pages that were not read before, including some of the array of struct pages. */
  #pagesOfOwn(pages: ReadonlyMap<bigint, ReadonlySet<number>>): Map<bigint, ReadonlySet<number>> {
    const own = [...pages].filter(([, readBy]) => !readBy.has(BEFORE));
    const others = own.filter(([address]) => !this.#isOfPages(address));
    const ofPages = own.filter(([address]) => this.#isOfPages(address));
    return new Map([...others, ...spread(ofPages, MAX_PAGES)]);
  }

  /** Number of different cases; cases beyond it change the same members elsewhere. */
  get count(): number {
    return this.#plans.length;
  }

  /** A description of the damage. @throws {Broken} */
  async run(seed: number, index: number): Promise<readonly string[]> {
    const random = new Random(seed, index);
    const plan = this.#ordered(seed)[index % this.#plans.length]!;
    const change = this.#change(random, plan);
    if (!change) return ['nothing to change'];
    const name = plan.kind === 'member' ? plan.member : plan.kind;
    this.#kernel.patch(change.patches);
    try {
      const ends: { name: string; end: string }[] = [];
      for (const one of this.#asked(random, change.readBy))
        ends.push({ name: one.command.name, end: await this.#ask(one, change, name) });
      const words = ends.map(({ name, end }) => `${name}: ${end}`);
      const worst = OUTCOMES.find((outcome) => ends.some(({ end }) => end.startsWith(outcome)));
      return [change.told, ...words, worst ?? 'the same answer'];
    } finally {
      this.#kernel.patch([]);
    }
  }

  /** The outcome of one command, which begins with one of {@link OUTCOMES}. @throws {Broken} */
  async #ask({ command, truth, took }: Prepared, { told: done, members }: Change, name: string): Promise<string> {
    const told = [command.name, done];
    const spent = clock();
    let said: Said;
    try {
      said = await command.ask(this.#kernel);
    } catch (error) {
      if (spent() > took * MAX_TIMES + MORE_MS) throw slow(spent(), told);
      try {
        return `refused: ${refusal(error).line}`;
      } catch (fault) {
        if (!(fault instanceof Broken)) throw fault;
        throw new Broken(fault.rule, `${fault.message}\n  ${told.join('\n  ')}`);
      }
    }
    if (spent() > took * MAX_TIMES + MORE_MS) throw slow(spent(), told);
    if (!said.complete) return 'incomplete';
    const silent = silentDifferences(truth, said);
    const has = (name: string) => {
      const [type = '', member = ''] = name.split('.');
      return this.#kernel.struct(type)?.member(member) !== undefined;
    };
    const left = silent.filter(({ path }) => !isExplained(members, path, this.#lacking, has));
    if (left.length === 0) return silent.length > 0 ? 'another answer, as is known' : 'the same answer';
    const fields = [...new Set(left.map(({ path }) => fieldOf(path)))].sort();
    const about = `${name} → ${fields.join(' ')}`;
    throw new Broken('silent difference', [about, ...told, ...left.map(words)].join('\n  '));
  }

  #plan(only: RegExp | undefined): Plan[] {
    const plans: Plan[] = [];
    for (const member of this.#byMember.keys()) {
      if (only && !only.test(member)) continue;
      for (const mutation of [...MUTATIONS, ...(only ? flipsOf(member) : [])])
        plans.push({ kind: 'member', member, mutation });
    }
    if (only) return plans;
    for (const page of this.#pages.keys()) plans.push({ kind: 'page', page });
    for (const frame of this.#frames.keys()) plans.push({ kind: 'struct page', frame });
    return plans;
  }

  /** All cases in an order from a seed: the first ones of any number are a fair sample. */
  #ordered(seed: number): readonly Plan[] {
    if (this.#order?.seed === seed) return this.#order.plans;
    const random = new Random(seed, -1);
    const plans = [...this.#plans];
    for (let last = plans.length - 1; last > 0; last--) {
      const other = random.below(last + 1);
      [plans[last], plans[other]] = [plans[other]!, plans[last]!];
    }
    this.#order = { seed, plans };
    return plans;
  }

  #change(random: Random, plan: Plan): Change | undefined {
    if (plan.kind === 'member') return this.#changeMember(random, plan.member, plan.mutation);
    const whole = plan.kind === 'page';
    const address = whole ? plan.page : this.#kernel.pages.pageOfFrame(plan.frame);
    const bytes = new Uint8Array(whole ? 4096 : this.#stride);
    const end = address + BigInt(bytes.length);
    const inside = (site: Site) => site.address >= address && site.address < end;
    const named = [...new Set(this.#sites.filter(inside).map(({ member }) => member))];
    // A missing page is named separately, since it affects more.
    const members = [
      ...(this.#isOfPages(address) ? ['struct page'] : []),
      ...named,
      ...(whole ? named.map((member) => `page of ${member}`) : []),
    ];
    const readBy = whole ? this.#pages.get(plan.page) : this.#frames.get(plan.frame)?.readBy;
    const told = `${plan.kind} 0x${address.toString(16)} zeroed: ${named.join(' ')}`;
    return { patches: [{ address, bytes }], members, told, readBy: readBy ?? new Set() };
  }

  #isOfPages(address: bigint): boolean {
    const { pages } = this.#kernel;
    const frame = Number((address - pages.pageOfFrame(0)) / BigInt(this.#stride));
    return frame >= 0 && pages.addressOfPage(pages.pageOfFrame(frame)) !== undefined;
  }

  #changeMember(random: Random, member: string, mutation: Mutation): Change | undefined {
    const alike = this.#byMember.get(member) ?? [];
    for (let tries = 0; tries < 8; tries++) {
      const site = random.pick(alike);
      const patches = this.#patches(random, site, mutation, alike);
      const [patch] = patches;
      if (!patch) continue;
      const hex = Buffer.from(patch.bytes).reverse().toString('hex');
      const told = `${member} at 0x${site.address.toString(16)}: ${mutation.name}: 0x${hex}`;
      return { patches, members: [member], told, readBy: site.readBy };
    }
    return undefined;
  }

  #patches(random: Random, site: Site, mutation: Mutation, alike: readonly Site[]): Patch[] {
    try {
      return mutate(this.#kernel, random, site, mutation, alike);
    } catch (error) {
      // A word of a struct page that has another value in the dump.
      if (error instanceof ReadError) return [];
      throw error;
    }
  }

  /** All commands whose answer the change may affect, or one of them. */
  #asked(random: Random, readBy: ReadonlySet<number>): readonly Prepared[] {
    if (this.#every) return this.#prepared.filter((_, index) => readBy.has(index));
    const quick = [...readBy].filter((index) => index > 0);
    const index = quick.length === 0 || random.oneIn(SELDOM) ? 0 : random.pick(quick);
    return [this.#prepared[index]!];
  }
}

/** Extracts that were made before the slabs of every cache were counted lack these counts. */
export function lacksSecondPlaces(kernel: Kernel): boolean {
  const cache = kernel.symbol('sock_inode_cachep') ?? 0n;
  return readOrNot(() => slabsCounted(kernel, kernel.read(cache, 8).getBigUint64(0, true))) === undefined;
}

/** Rows of the breakdown without a figure have a reason. */
function silentDifferences(truth: Said, said: Said): Difference[] {
  return differencesOf(told(truth, said), told(said, truth));
}

function told({ json }: Said, other: Said): unknown {
  const { ledger, ...rest } = json as { ledger?: readonly { what: string; objects: unknown }[] };
  if (!ledger) return json;
  const { ledger: others = [] } = other.json as { ledger?: typeof ledger };
  // One row may replace several: `rings` for `rings tun`, and one driver's for another's.
  const uncounted = [...ledger, ...others].filter(({ objects }) => objects === null);
  const said = new Set(uncounted.map(({ what }) => firstWord(what)));
  return { ...rest, ledger: ledger.filter(({ what }) => !said.has(firstWord(what))) };
}

function firstWord(text: string): string {
  return text.split(' ', 1)[0]!;
}

/** Frames that other reads than the scan use, and some of the others. */
function chosen(frames: ReadonlyMap<number, Frame>): Map<number, Frame> {
  const walked = [...frames].filter(([, { readBy }]) => [...readBy].some((index) => index > 0));
  const scanned = [...frames].filter(([, { readBy }]) => [...readBy].every((index) => index === 0));
  const slabs = scanned.filter(([, { offsets }]) => offsets.size > 2);
  const others = scanned.filter(([, { offsets }]) => offsets.size <= 2);
  return new Map([...walked, ...spread(slabs), ...spread(others)]);
}

function spread<T>(all: readonly T[], most = MAX_SCANNED): T[] {
  const step = Math.max(1, Math.floor(all.length / most));
  return all.filter((_, index) => index % step === 0);
}

function slow(milliseconds: number, told: readonly string[]): Broken {
  return new Broken('too slow', `${Math.round(milliseconds)} ms: ${told.join('\n  ')}`);
}

/** Maximum number of printed values of a difference. */
function words({ path, was, is }: Difference): string {
  const short = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 80);
  return `${path}: ${short(was)} → ${short(is)}`;
}
