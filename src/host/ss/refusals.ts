/**
 * What an older ss refuses and skcheck can do without: `-O` (iproute2 5.2; without it details follow on
 * lines of their own), `-H` (4.10; a heading then), and tables of `-A` that it does not know, such as mptcp
 * (5.6), vsock_stream (4.15) and sctp (4.18). Learned from its own answers, never from its version.
 */
export class Refusals {
  readonly #options = new Set<string>();
  readonly #tables = new Set<string>();

  /** The arguments without what was refused; null when no table is left to ask for. */
  without(args: readonly string[]): string[] | null {
    const left: string[] = [];
    for (const [index, arg] of args.entries()) {
      if (this.#options.has(arg)) continue;
      const tables = args[index - 1] === '-A' ? this.#known(arg) : [arg];
      if (tables.length === 0) return null;
      left.push(tables.join(','));
    }
    return left;
  }

  /** The tables among the arguments that were refused. */
  tablesOf(args: readonly string[]): string[] {
    const tables = args[args.indexOf('-A') + 1] ?? '';
    return args.includes('-A') ? tables.split(',').filter((each) => this.#tables.has(each)) : [];
  }

  /** Learns from a complaint of ss run with these arguments. True: try without what it names. */
  learn(complaint: string, args: readonly string[]): boolean {
    const option = OPTION.exec(complaint)?.[1];
    if (option !== undefined && DISPENSABLE.has(`-${option}`) && args.includes(`-${option}`)) {
      this.#options.add(`-${option}`);
      return true;
    }
    const table = TABLE.exec(complaint)?.[1];
    const asked = args[args.indexOf('-A') + 1]?.split(',') ?? [];
    if (table === undefined || !args.includes('-A') || !asked.includes(table)) return false;
    this.#tables.add(table);
    return true;
  }

  #known(tables: string): string[] {
    return tables.split(',').filter((each) => !this.#tables.has(each));
  }
}

const DISPENSABLE: ReadonlySet<string> = new Set(['-O', '-H']);

/** getopt_long of glibc, and of musl. */
const OPTION = /^\S+: (?:invalid option -- '|unrecognized option: )(\w)/;
/** The parsing of `-A` in misc/ss.c. */
const TABLE = /^ss: "(\w+)" is illegal socket table id/;
