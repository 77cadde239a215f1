/** A command of kdump-mem as others list it. */
export interface CommandRow {
  /** Heading in the help. */
  readonly group: 'start' | 'deeper' | 'dump' | 'setup';
  /** Accepts snapshots, or the advice for one. Absent: advice on all commands that do. FILE is the snapshot. */
  readonly snapshot?: 'accepted' | `Run: ${string}` | `A snapshot ${string}`;
}

/** Every command, in the order of the help. test/app/kit/commands.test.ts compares them with the declarations. */
export const COMMANDS: Readonly<Record<string, CommandRow>> = {
  triage: { group: 'start', snapshot: 'accepted' },
  memory: { group: 'start', snapshot: 'accepted' },
  procs: { group: 'start', snapshot: 'accepted' },
  snapshot: { group: 'start' },
  diff: { group: 'start' },
  sockets: { group: 'deeper', snapshot: 'Run: skcheck --from FILE' },
  skb: { group: 'deeper', snapshot: 'Run: skcheck --from FILE' },
  stacks: {
    group: 'deeper',
    snapshot: 'A snapshot made with --with stacks has them as text, in its file sample-2/stacks',
  },
  blocked: { group: 'deeper', snapshot: 'accepted' },
  log: { group: 'deeper', snapshot: 'accepted' },
  watch: { group: 'deeper' },
  leaks: { group: 'deeper' },
  info: { group: 'dump', snapshot: 'Run: kdump-mem triage --from FILE' },
  whatis: { group: 'dump' },
  refs: { group: 'dump' },
  read: { group: 'dump' },
  struct: { group: 'dump' },
  extract: { group: 'dump' },
  doctor: { group: 'setup' },
  explain: { group: 'setup' },
  mcp: { group: 'setup' },
  completion: { group: 'setup' },
  help: { group: 'setup' },
};

const HEADINGS: Readonly<Record<CommandRow['group'], string>> = {
  start: 'Start here (for sockets that are not read: skcheck):',
  deeper: 'Deeper:',
  dump: 'Examine a dump in detail:',
  setup: 'Set up and look up:',
};

/** Headings of the help, each with the names of its commands. */
export function commandGroups(): readonly (readonly [heading: string, names: readonly string[]])[] {
  const namesOf = (group: string) => Object.keys(COMMANDS).filter((name) => COMMANDS[name]?.group === group);
  return Object.entries(HEADINGS).map(([group, heading]) => [heading, namesOf(group)]);
}

/** Returns advice on a snapshot, for a command that needs kernel memory; undefined if it has none of its own. */
export function snapshotAdvice(command: string): string | undefined {
  const { snapshot } = COMMANDS[command] ?? {};
  return snapshot === 'accepted' ? undefined : snapshot;
}

/** Returns advice on reading a snapshot that was passed to a command as a dump. */
export function snapshotNext(command: string, file: string): string {
  const isAccepted = COMMANDS[command]?.snapshot === 'accepted';
  const name = isAccepted ? command : 'triage';
  return (snapshotAdvice(command) ?? `Run: kdump-mem ${name} --from FILE`).replace('FILE', () => file);
}
