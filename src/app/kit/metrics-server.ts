import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { ListenAddress } from './arguments.js';

const MAX_CONNECTIONS = 32;
const REQUEST_TIMEOUT_MS = 10_000;
/** From its first byte to its last answer: a scrape takes seconds at most. */
const CONNECTION_MS = 60_000;

/** What answers scrapes of Prometheus. */
export interface MetricsServer {
  /** No more scrapes are answered; resolves once it is closed. */
  close(): Promise<void>;
}

/**
 * Serves `/metrics` over HTTP, and says on stderr where.
 *
 * @param program its name
 * @param metrics of each scrape: its text
 * @returns null: it cannot listen, which stderr says
 */
export function serveMetrics(
  program: string,
  { host, port }: ListenAddress,
  metrics: () => Promise<string>,
): Promise<MetricsServer | null> {
  const limits = {
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
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
    if (path === '/') return reply(200, `${program}: see /metrics\n`);
    if (path !== '/metrics') return reply(404, 'not here: see /metrics\n');
    void metrics().then((text) => reply(200, text, 'text/plain; version=0.0.4; charset=utf-8'));
  });
  // Further requests of a client that reads nothing would all be answered, into memory.
  server.maxRequestsPerSocket = 1;
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    const late = setTimeout(() => socket.destroy(), CONNECTION_MS);
    open.add(socket);
    socket.once('close', () => {
      clearTimeout(late);
      open.delete(socket);
    });
    // The oldest makes room: clients that keep theirs open keep no other out.
    const [oldest] = open;
    if (open.size > MAX_CONNECTIONS) oldest?.destroy();
  });
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      process.stderr.write(`${program}: cannot listen on ${host}:${port} (${error.code}).\n`);
      resolve(null);
    });
    server.listen(port, host, () => {
      const address = server.address();
      const bound = typeof address === 'object' && address ? address.port : port;
      const name = host.includes(':') ? `[${host}]` : host;
      process.stderr.write(`${program}: metrics at http://${name}:${bound}/metrics\n`);
      resolve({ close });
    });
  });
}
