import { ReadError } from '../../src/base/errors.js';
import type { NativeKernel } from '../../src/kernel/native/kernel.js';
import { type Damage, type Denial, damagedKernel, type Patch, UNDAMAGED } from '../../test/support/damaged-kernel.js';
import { littleEndian } from '../../test/support/little-endian.js';
import { lacksSecondPlaces } from './meaning/meaning-cases.js';
import { type Question, questionsOf } from './questions.js';
import type { Random } from './random.js';
import { type Answered, ask, Broken, type Outcome } from './rules.js';
import { type Site, sitesOf } from './sites.js';
import { isDetectable } from './undetectable.js';
import { hostileText, wildValue } from './values.js';

/** A query, its reads of the undamaged kernel, and the answer. */
interface Prepared {
  readonly question: Question;
  readonly sites: readonly Site[];
  /** Sites by kind: a list of thousands must not outweigh a single pointer. */
  readonly byLabel: ReadonlyMap<string, readonly Site[]>;
  readonly truth: Answered;
}

/** The outcome of one case. */
export interface WalkCase {
  readonly question: string;
  readonly damage: readonly string[];
  readonly outcome: Outcome;
  /** The answer differs from that without the damage, and does not report that anything is missing. */
  readonly silent: boolean;
}

/** Damages the data that walkers read, in one kernel that stays open: thousands of cases per second. */
export class WalkCases {
  readonly #kernel: NativeKernel;
  readonly #prepared: readonly Prepared[];
  readonly #lacking: boolean;

  constructor(kernel: NativeKernel) {
    this.#kernel = kernel;
    this.#lacking = lacksSecondPlaces(kernel);
    this.#prepared = questionsOf(kernel).flatMap((question) => this.#prepareOrNot(question));
  }

  get questions(): readonly string[] {
    return this.#prepared.map(({ question }) => question.name);
  }

  /** @throws {Broken} */
  run(random: Random): WalkCase {
    // Queries of one descriptor are fast; those of the whole machine take as long as hundreds of them.
    const draw = random.below(40);
    const kind = draw === 0 ? 'sockets' : draw < 9 ? 'info' : draw < 11 ? 'struct' : draw < 13 ? 'blocked' : 'skb';
    const of = this.#prepared.filter(({ question }) => question.name.startsWith(kind));
    const among = of.length > 0 ? of : this.#prepared;
    const { question, byLabel, sites, truth } = random.pick(among);
    const told: string[] = [];
    const damaged: string[] = [];
    const damage = this.#damage(random, sites, byLabel, told, damaged);
    const kernel = damagedKernel(this.#kernel, damage);
    try {
      const outcome = ask(() => question.ask(kernel));
      const silent =
        question.lenient !== true &&
        outcome.kind === 'answered' &&
        outcome.complete &&
        truth.complete &&
        isAnother(outcome, truth);
      if (silent && damage.patches.length === 0) {
        throw new Broken('silent', 'memory was missing, and the answer is another without a word');
      }
      if (silent && damaged.every((label) => isDetectable(label, this.#lacking))) {
        throw new Broken('silent', `another answer without a word: ${damaged.join(', ')}`);
      }
      return { question: question.name, damage: told, outcome, silent };
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      const message = `${error.message}\n  ${question.name}\n  ${told.join('\n  ')}`;
      throw new Broken(error.rule, message, { cause: error });
    }
  }

  /** An extract lacks data of some lists, which are not queried. */
  #prepareOrNot(question: Question): Prepared[] {
    try {
      return [this.#prepare(question)];
    } catch (error) {
      if (question.lenient && error instanceof ReadError && error.code === 'filtered') return [];
      throw error;
    }
  }

  #prepare(question: Question): Prepared {
    let truth: Answered | undefined;
    const sites = sitesOf((onRead) => {
      truth = question.ask(damagedKernel(this.#kernel, UNDAMAGED, onRead));
    });
    if (!truth) throw new Error('a question without an answer');
    const byLabel = new Map<string, Site[]>();
    for (const site of sites) {
      const same = byLabel.get(site.label);
      if (same) same.push(site);
      else byLabel.set(site.label, [site]);
    }
    return { question, sites, byLabel, truth };
  }

  #damage(
    random: Random,
    sites: readonly Site[],
    byLabel: ReadonlyMap<string, readonly Site[]>,
    told: string[],
    damaged: string[],
  ): Damage {
    const labels = [...byLabel.keys()];
    const patches: Patch[] = [];
    const denials: Denial[] = [];
    const times = random.oneIn(4) ? 1 + random.below(4) : 1;
    for (let time = 0; time < times; time++) {
      const site = random.oneIn(4) ? random.pick(sites) : random.pick(byLabel.get(random.pick(labels))!);
      const at = `${site.label} at 0x${site.address.toString(16)}`;
      if (random.oneIn(8)) {
        const code = random.pick(['filtered', 'damaged', 'absent', 'truncated'] as const);
        denials.push({ address: site.address & ~0xfffn, length: 4096, code });
        told.push(`${at}: its page is ${code}`);
      } else {
        const patch = this.#patch(random, site, sites);
        patches.push(patch);
        // A whole page contains members of every kind.
        damaged.push(patch.bytes.length === 4096 ? 'memory' : site.label);
        told.push(`${at}: ${Buffer.from(patch.bytes.subarray(0, 16)).toString('hex')}`);
      }
    }
    return { patches, denials };
  }

  #patch(random: Random, site: Site, sites: readonly Site[]): Patch {
    const { address, size } = site;
    if (random.oneIn(30)) {
      const bytes = random.oneIn(2) ? random.bytes(4096) : new Uint8Array(4096).fill(random.below(256));
      return { address: address & ~0xfffn, bytes };
    }
    if (size > 8 || ![1, 2, 4, 8].includes(size)) {
      return { address, bytes: hostileText(random, size) };
    }
    const view = this.#kernel.read(address, size);
    let old = 0n;
    for (let at = size - 1; at >= 0; at--) old = (old << 8n) | BigInt(view.getUint8(at));
    if (size === 8 && old >= 1n << 63n && !random.oneIn(3)) {
      return { address, bytes: littleEndian(this.#pointer(random, old, site, sites), 8) };
    }
    return { address, bytes: littleEndian(wildValue(random, old, size), size) };
  }

  /** Another plausible address in an undamaged kernel: a nearly correct value is worse than a wild one. */
  #pointer(random: Random, old: bigint, site: Site, sites: readonly Site[]): bigint {
    switch (random.below(7)) {
      case 0:
        return site.address;
      case 1:
        return site.address & ~0xffn;
      case 2:
        return 0n;
      case 3:
        return old + BigInt(8 * (random.below(65) - 32));
      case 4:
        return this.#kernel.pages.pageOf(old) ?? old ^ 0x1000n;
      default: {
        const other = random.pick(sites);
        if (random.oneIn(2)) return other.address;
        const same = sites.filter(({ label, size }) => label === site.label && size === 8);
        const view = this.#kernel.read(random.pick(same).address, 8);
        return view.getBigUint64(0, true);
      }
    }
  }
}

/** Whether an answer differs from the one without damage. */
function isAnother(answer: Answered, truth: Answered): boolean {
  const isFalse = (claim: string): boolean => !truth.claims?.includes(claim);
  if (answer.claims?.some(isFalse)) return true;
  return JSON.stringify(answer.json) !== JSON.stringify(truth.json);
}
