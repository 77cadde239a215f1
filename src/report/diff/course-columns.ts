import type { Course } from '../../diff/course.js';
import { perMinute } from '../growth/words.js';
import type { Column } from '../text/table.js';
import { signedSize, sizeOrUnknown } from './words.js';

/** The columns that show how a figure went; `it` is what it does, where there are more than two inputs. */
export function courseColumns<Row extends Course>(several: boolean): Column<Row>[] {
  return [
    {
      heading: 'BEFORE',
      align: 'right',
      value: ({ bytes }) => sizeOrUnknown(bytes[0]),
      spare: 4,
    },
    { heading: 'AFTER', align: 'right', value: ({ bytes }) => sizeOrUnknown(bytes.at(-1)) },
    { heading: 'CHANGE', align: 'right', value: ({ change }) => signedSize(change) },
    {
      heading: 'A MINUTE',
      align: 'right',
      value: ({ perSecond }) => (perSecond === null ? '?' : perMinute(perSecond)),
      spare: 2,
    },
    ...(several ? [{ heading: 'IT', value: itWords, spare: 3 }] : []),
  ];
}

function itWords({ trend, grewEachTime, change }: Course): string {
  if (trend) return trend.course;
  return grewEachTime ? 'grew each time' : change === null ? '?' : '';
}
