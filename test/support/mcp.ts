import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import type { RequestOptions } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  type McpAnswerJson,
  mcpAnswerSchema,
  type ToolCall,
} from '../../src/answers/mcp/schema.js';
import { commandPath } from './cli.js';

/** Generous: the machine may be busy. */
const TIMEOUT_MS = 200_000;

export interface McpResult {
  readonly text: string;
  readonly structured: McpAnswerJson;
  readonly failed: boolean;
  /** Bytes of both forms. */
  readonly bytes: number;
}

/** The SDK's own client, connected to the built `kdump-mem mcp`. */
export class McpClient implements AsyncDisposable {
  readonly client = new Client({ name: 'test', version: '1' });
  readonly #transport: StdioClientTransport;

  private constructor(args: readonly string[]) {
    this.#transport = new StdioClientTransport({
      command: process.execPath,
      args: [commandPath('kdump-mem'), 'mcp', ...args],
      stderr: 'pipe',
    });
  }

  static async connect(...args: readonly string[]): Promise<McpClient> {
    const connected = new McpClient(args);
    await connected.client.connect(connected.#transport);
    // The client compiles the output schemas, and checks every answer from here on.
    await connected.client.listTools();
    return connected;
  }

  get pid(): number {
    return this.#transport.pid ?? 0;
  }

  async call(
    tool: string,
    args: ToolCall['arguments'] = {},
    options: RequestOptions = {},
  ): Promise<McpResult> {
    const result = await this.client.callTool({ name: tool, arguments: { ...args } }, undefined, {
      timeout: TIMEOUT_MS,
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
