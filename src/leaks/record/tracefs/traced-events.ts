import { parseEventFormat } from './format.js';
import type { TraceInstance } from './instance.js';
import {
  type Decoder,
  decoderOf,
  EVENTS,
  type EventName,
  noEvent,
  type TracedType,
} from './kinds.js';
import { type PageLayout, parsePageLayout } from './page-layout.js';

/** The events of one type of allocation that this kernel has, and how they and their pages are laid out. */
export class TracedEvents {
  readonly allocations: readonly EventName[];
  readonly frees: readonly EventName[];
  /** By `common_type`; that of stacks is among them. */
  readonly decoders: ReadonlyMap<number, Decoder>;
  readonly layout: PageLayout;

  /** @throws {TraceError} `trace-unsupported` an event that is needed is not there, or not known */
  constructor(instance: TraceInstance, type: TracedType) {
    const decoders = new Map<number, Decoder>();
    const known = (events: readonly EventName[]) =>
      events.filter(({ system, name, kind, needed }) => {
        const text = instance.format(system, name);
        if (text === null && needed) throw noEvent({ system, name });
        if (text === null) return false;
        const format = parseEventFormat(text, name);
        decoders.set(format.id, decoderOf(kind, format));
        return true;
      });
    this.allocations = known(EVENTS[type].allocations);
    this.frees = known(EVENTS[type].frees);
    known([STACK]);
    this.decoders = decoders;
    this.layout = parsePageLayout(
      instance.header('header_page'),
      instance.header('header_event'),
      kilobytes(instance.readOptional('buffer_subbuf_size_kb')),
    );
  }

  get all(): readonly EventName[] {
    return [...this.allocations, ...this.frees];
  }
}

const STACK: EventName = { system: 'ftrace', name: 'kernel_stack', kind: 'stack', needed: true };

function kilobytes(text: string | null): number | null {
  const told = text === null ? undefined : /^(\d{1,6})\s*$/.exec(text)?.[1];
  return told === undefined ? null : Number(told);
}
