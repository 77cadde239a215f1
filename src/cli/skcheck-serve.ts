import { createServer } from 'node:http';
import { ExhaustedError, isHostError } from '../host/error.js';
import type { HostSource } from '../host/source.js';
import { escapeText } from '../report/escape.js';
import { formatPrometheus } from '../report/skcheck-prometheus.js';
import { EXIT } from './skcheck-failure.js';
import { look } from './skcheck-look.js';
import type { ListenAddress, SkcheckOptions } from './skcheck-options.js';

/** One look, as metrics. What is listed does not matter for them, so all of it is looked through. */
export async function metrics(source: HostSource, options: SkcheckOptions): Promise<string> {
  const began = performance.now();
  const { stale: _, top: __, verdict: ___, ...all } = options;
  const { report } = await look(source, all);
  return formatPrometheus(report, performance.now() - began);
}

const MAX_CONNECTIONS = 32;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Serves `/metrics` until it is told to end. Each scrape looks anew; scrapes that come at once share one
 * look. A look that fails answers 503 with the reason.
 */
export function serve(
  source: HostSource,
  options: SkcheckOptions,
  { host, port }: ListenAddress,
): Promise<number> {
  let running: Promise<string> | null = null;
  const fresh = () => {
    running ??= metrics(source, options).finally(() => {
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
    fresh().then(
      (text) => reply(200, text, 'text/plain; version=0.0.4; charset=utf-8'),
      (error: unknown) => {
        if (!isHostError(error) && !(error instanceof ExhaustedError)) throw error;
        reply(503, `${escapeText(error.message)}\n`);
      },
    );
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
