import type { Flaw, Listing, ListName } from '../../../diff/state.js';
import { namesOf, sameBoot } from '../../../diff/times.js';
import { contradiction, type Told } from './parts.js';

/** Answers that are further apart tell of different times, seconds. */
const FAR = 60;

/** Several answers of one time as one; what two of them tell, the first does. */
export function merged(all: readonly Told[]): Told {
  const first = <T>(pick: (told: Told) => T | null): T | null =>
    all.map(pick).find((one) => one !== null) ?? null;
  return {
    taken: {
      at: first(({ taken }) => taken.at),
      host: first(({ taken }) => taken.host),
      bootId: first(({ taken }) => taken.bootId),
      uptime: first(({ taken }) => taken.uptime),
    },
    release: first(({ release }) => release),
    pageSize: first(({ pageSize }) => pageSize),
    memory: first(({ memory }) => memory),
    lists: listsOf(all),
    flaws: [...all.flatMap(({ flaws }) => flaws), ...apart(all)],
  };
}

function listsOf(all: readonly Told[]): Told['lists'] {
  const lists: Partial<Record<ListName, Listing>> = {};
  for (const { lists: own } of all)
    for (const [name, list] of Object.entries(own)) {
      const before = lists[name as ListName];
      // What is charged to a cgroup, and what its processes hold, are of one list.
      if (before && name === 'cgroups') lists.cgroups = both(before, list);
      else lists[name as ListName] ??= list;
    }
  return lists;
}

function both(one: Listing, other: Listing): Listing {
  const items = new Map(one.items);
  for (const [key, item] of other.items) {
    const known = items.get(key);
    items.set(key, known ? { ...known, sizes: { ...item.sizes, ...known.sizes } } : item);
  }
  return { items, whole: one.whole && other.whole };
}

function apart(all: readonly Told[]): Flaw[] {
  const pairs = all.flatMap((one, at) => all.slice(at + 1).map((other) => [one, other] as const));
  const times = all.flatMap(({ taken }) => (taken.at === null ? [] : taken.at.getTime() / 1000));
  const spread = times.length === 0 ? 0 : Math.max(...times) - Math.min(...times);
  return [
    ...(pairs.some(([one, other]) => sameBoot(one, other) === false)
      ? [contradiction('its answers are of different boots')]
      : []),
    ...(pairs.some(([one, other]) => areOfTwoHosts(one, other))
      ? [contradiction('its answers are of different hosts')]
      : []),
    ...(spread > FAR
      ? [
          {
            code: 'spread' as const,
            words: `its answers were taken ${Math.round(spread)} seconds apart`,
          },
        ]
      : []),
  ];
}

/** Names of one boot may differ: a container has its own. */
function areOfTwoHosts(one: Told, other: Told): boolean {
  const { bootId } = one.taken;
  return namesOf([one, other]).length > 1 && (bootId === null || bootId !== other.taken.bootId);
}
