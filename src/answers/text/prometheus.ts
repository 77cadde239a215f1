import { escapeText } from '../../base/escape.js';

/** Label values are cut to this: a comm has 15 bytes, a container's id 64, a pod's uid 36. */
const MAX_LABEL = 64;

export type Labels = Readonly<Record<string, string>>;
export type Series = readonly [Labels, number];

export interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly series: readonly Series[];
}

export function gauge(name: string, help: string, series: readonly Series[]): Metric {
  return { name, type: 'gauge', help, series };
}

export function counter(name: string, help: string, series: readonly Series[]): Metric {
  return { name, type: 'counter', help, series };
}

/** One metric in Prometheus' text format (0.0.4); nothing when it has no series. */
export function formatMetric({ name, type, help, series }: Metric): string {
  if (series.length === 0) return '';
  const lines = series.map(([labels, value]) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${labelValue(text)}"`);
    return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

/** Escaped for terminals first, then cut, then escaped for the format. */
export function labelValue(text: string): string {
  return escapeText(text).slice(0, MAX_LABEL).replace(/\\/g, '\\\\').replace(/"/g, '\\"');
}
