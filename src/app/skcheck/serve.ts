import type { HostSource } from '../../host/host-source.js';
import type { ListenAddress } from '../kit/arguments.js';
import { serveMetrics } from '../kit/metrics-server.js';
import { EXIT } from './failure.js';
import { ScanMetrics } from './metrics.js';
import type { SkcheckOptions } from './request.js';

/**
 * Serves `/metrics` until it is told to end. Each scrape looks anew; scrapes that come at once share one
 * look. A look that fails is told by metrics too (`skcheck_up 0`): of an answer with an error's status
 * Prometheus would keep nothing.
 */
export async function serve(
  source: HostSource,
  options: SkcheckOptions,
  address: ListenAddress,
): Promise<number> {
  const metrics = new ScanMetrics(source, options);
  let running: ReturnType<ScanMetrics['next']> | null = null;
  const fresh = async () => {
    running ??= metrics.next().finally(() => {
      running = null;
    });
    return (await running).text;
  };
  const ended = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  const server = await serveMetrics('skcheck', address, fresh);
  if (!server) return EXIT.couldNotLook;
  await ended;
  await server.close();
  return EXIT.nothingStale;
}
