import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { RequestOptions } from '@modelcontextprotocol/sdk/shared/protocol.js';
import { STEP_MS } from '../../scripts/lab-parts/limits.mjs';
import { type McpAnswerJson, mcpAnswerSchema, type ToolCall } from '../../src/answers/mcp/schema.js';
import { commandPath } from './cli.js';

export interface McpResult {
  readonly text: string;
  readonly structured: McpAnswerJson;
  readonly failed: boolean;
  /** Size of both forms in bytes. */
  readonly bytes: number;
}

/** A program and its first arguments. */
type Program = readonly [command: string, ...args: string[]];

/** The client of the SDK, connected to the built `kdump-mem mcp`. */
export class McpClient implements AsyncDisposable {
  readonly client = new Client({ name: 'test', version: '1' });
  readonly #transport: StdioClientTransport;

  private constructor([command, ...first]: Program, args: readonly string[]) {
    this.#transport = new StdioClientTransport({ command, args: [...first, 'mcp', ...args], stderr: 'pipe' });
  }

  static connect(...args: readonly string[]): Promise<McpClient> {
    return McpClient.connectTo([process.execPath, commandPath('kdump-mem')], ...args);
  }

  /** @param program kdump-mem as installed elsewhere, or as another user runs it */
  static async connectTo(program: Program, ...args: readonly string[]): Promise<McpClient> {
    const connected = new McpClient(program, args);
    await connected.client.connect(connected.#transport);
    // The client compiles the output schemas, and checks every answer from here on.
    await connected.client.listTools();
    return connected;
  }

  get pid(): number {
    return this.#transport.pid ?? 0;
  }

  async call(tool: string, args: ToolCall['arguments'] = {}, options: RequestOptions = {}): Promise<McpResult> {
    const result = await this.client.callTool({ name: tool, arguments: { ...args } }, undefined, {
      timeout: STEP_MS,
      ...options,
    });
    const { content, structuredContent, isError } = result;
    const [first] = Array.isArray(content) ? content : [];
    const text: unknown = first?.text;
    if (typeof text !== 'string') throw new Error('a result without text');
    return {
      text,
      structured: mcpAnswerSchema.parse(structuredContent),
      failed: isError === true,
      bytes: Buffer.byteLength(text) + Buffer.byteLength(JSON.stringify(structuredContent)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }
}

/** The first line of an answer that names a cause. */
const BLAME = /^\| *(?:(?:Probable|Possible) cause|CRITICAL|WARNING).*$/m;

/** Maximum number of calls of an investigation. */
export const MAX_CALLS = 6;

/** The conclusion of an answer: its first line, and the line of the cause, without tables and details. */
function conclusionsOf({ text, failed }: McpResult): string[] {
  if (failed) return [];
  const lines = text.split('\n').flatMap((line) => /^\| (\S.*)$/.exec(line)?.[1] ?? []);
  return [
    ...lines.slice(0, 1),
    ...lines
      .filter((line) => /^(?:Probable cause|Possible cause|Cause)(?: of [a-z ]+)?: |^CRITICAL /.test(line))
      .slice(0, 1),
  ];
}

/**
 * An agent without knowledge of its own: it begins with triage, and makes each suggested call once, in the suggested
 * order. It stops at the first answer that concludes with the expected cause.
 *
 * @param innocent names that no answer may blame
 * @throws {Error} if the culprit is not found in {@link MAX_CALLS}, or the innocent is blamed first
 */
export async function follow(
  client: McpClient,
  source: string,
  culprit: RegExp,
  innocent?: RegExp,
): Promise<ToolCall[]> {
  const queue: ToolCall[] = [{ tool: 'triage', arguments: { source } }];
  const made: ToolCall[] = [];
  const concluded: string[] = [];
  while (made.length < MAX_CALLS) {
    const call = queue.shift();
    if (!call) break;
    made.push(call);
    const result = await client.call(call.tool, call.arguments);
    const conclusions = conclusionsOf(result);
    if (conclusions.some((line) => culprit.test(line))) return made;
    concluded.push(...conclusions);
    const blamed = BLAME.exec(result.text)?.[0];
    if (blamed !== undefined && innocent?.test(blamed)) throw new Error(`wrong culprit: ${blamed}`);
    for (const next of result.structured.next)
      if (![...queue, ...made].some((known) => JSON.stringify(known) === JSON.stringify(next))) queue.push(next);
  }
  throw new Error(`${source}: not found in ${JSON.stringify(made)}: ${concluded.join('\n')}`);
}
