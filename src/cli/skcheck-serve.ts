import { createServer } from 'node:http';
import type { HostSource } from '../host/host-source.js';
import type { ListenAddress, SkcheckOptions } from './skcheck-asked.js';
import { EXIT } from './skcheck-failure.js';
import { LookMetrics } from './skcheck-metrics.js';

const MAX_CONNECTIONS = 32;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Serves `/metrics` until it is told to end. Each scrape looks anew; scrapes that come at once share one
 * look. A look that fails is told by metrics too (`skcheck_up 0`): of an answer with an error's status
 * Prometheus would keep nothing.
 */
export function serve(
  source: HostSource,
  options: SkcheckOptions,
  { host, port }: ListenAddress,
): Promise<number> {
  const metrics = new LookMetrics(source, options);
  let running: ReturnType<LookMetrics['next']> | null = null;
  const fresh = () => {
    running ??= metrics.next().finally(() => {
      running = null;
    });
    return running;
  };
  const limits = {
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: REQUEST_TIMEOUT_MS,
    // Node looks for who is late every 30 s unless told.
    connectionsCheckingInterval: 1000,
  };
  const server = createServer(limits, (request, response) => {
    const path = request.url?.split('?')[0];
    const reply = (status: number, text: string, type = 'text/plain; charset=utf-8') => {
      response.writeHead(status, { 'Content-Type': type, 'X-Content-Type-Options': 'nosniff' });
      response.end(request.method === 'HEAD' ? '' : text);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') return reply(405, 'GET only\n');
    if (path === '/') return reply(200, 'skcheck: see /metrics\n');
    if (path !== '/metrics') return reply(404, 'not here: see /metrics\n');
    void fresh().then(({ text }) => reply(200, text, 'text/plain; version=0.0.4; charset=utf-8'));
  });
  server.maxConnections = MAX_CONNECTIONS;
  return new Promise((resolve) => {
    const end = () => {
      server.close(() => resolve(EXIT.nothingStale));
      server.closeAllConnections();
    };
    process.once('SIGINT', end);
    process.once('SIGTERM', end);
    server.once('error', (error: NodeJS.ErrnoException) => {
      process.stderr.write(`skcheck: cannot listen on ${host}:${port} (${error.code}).\n`);
      resolve(EXIT.couldNotLook);
    });
    server.listen(port, host, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address ? address.port : port;
      const name = host.includes(':') ? `[${host}]` : host;
      process.stderr.write(`skcheck: metrics at http://${name}:${bound}/metrics\n`);
    });
  });
}
