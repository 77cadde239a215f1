import { InvalidArgumentError } from 'commander';
import type { LogMoment } from '../../account/log.js';
import { nanosecondsOf } from '../../base/quantity.js';
import { FACILITIES, LEVELS } from '../../walk/log/words.js';

/**
 * Levels by their names, with commas, as dmesg takes them: `err+` is err and all that is worse, `+info`
 * info and all that is less.
 */
export function parseLevels(text: string): ReadonlySet<number> {
  const chosen = new Set<number>();
  for (const word of text.split(',')) {
    const {
      less = '',
      name = '',
      worse = '',
    } = /^(?<less>\+?)(?<name>[a-z]+)(?<worse>\+?)$/.exec(word)?.groups ?? {};
    const level = LEVELS.indexOf(name);
    if (level < 0 || (less !== '' && worse !== ''))
      throw new InvalidArgumentError(
        `Use levels of ${LEVELS.join(', ')}; err+ is err and more severe.`,
      );
    for (let one = worse ? 0 : level; one <= (less ? LEVELS.length - 1 : level); one++)
      chosen.add(one);
  }
  return chosen;
}

/** Facilities by their names, with commas. */
export function parseFacilities(text: string): ReadonlySet<number> {
  const chosen = text.split(',').map((name) => FACILITIES.indexOf(name));
  if (chosen.includes(-1))
    throw new InvalidArgumentError(`Use facilities of ${FACILITIES.join(', ')}.`);
  return new Set(chosen);
}

/** `90.5`: seconds after boot, as messages have it; `-10m`: that long before the newest message. */
export function parseMoment(text: string): LogMoment {
  const nanoseconds = nanosecondsOf(text.replace(/^-/, ''));
  if (nanoseconds === undefined)
    throw new InvalidArgumentError(
      'Use seconds after boot (90.5), or a time before the newest message (-10m).',
    );
  return { nanoseconds, from: text.startsWith('-') ? 'end' : 'boot' };
}
