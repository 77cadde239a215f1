import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { ListenAddress } from './arguments.js';

const MAX_CONNECTIONS = 32;
const REQUEST_TIMEOUT_MS = 10_000;
/**
 * Maximum duration of a connection, from its first byte to its last answer. A scrape takes seconds at most.
 */
const CONNECTION_MS = 60_000;

/** HTTP server for Prometheus scrapes. */
export interface MetricsServer {
  /** Stops answering scrapes; resolves when the server is closed. */
  close(): Promise<void>;
}

/**
 * Serves `/metrics` over HTTP, and prints the address on stderr.
 *
 * @param program its name
 * @param metrics returns the text of a scrape
 * @returns null if it cannot listen, after printing the reason on stderr
 */
export function serveMetrics(
  program: string,
  { host, port }: ListenAddress,
  metrics: () => Promise<string>,
): Promise<MetricsServer | null> {
  const limits = {
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    // Node's default interval for checking for slow clients is 30 s.
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
  // Pipelined requests of a client that reads nothing would all be answered, into memory.
  server.maxRequestsPerSocket = 1;
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    const late = setTimeout(() => socket.destroy(), CONNECTION_MS);
    open.add(socket);
    socket.once('close', () => {
      clearTimeout(late);
      open.delete(socket);
    });
    // The oldest connection is closed, so clients that keep connections open cannot block others.
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
