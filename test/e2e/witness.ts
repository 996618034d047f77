// Clients that keep every byte that they are answered, for the canary to search: agents and operators of all manners.
import { connect } from "node:net";
import { WebSocket } from "ws";
import type { CommandResult, RunningService } from "../support/service.ts";
import type { Artefact } from "./leaks.ts";

export interface Witness {
  readonly answers: Artefact[];
  /** Which reasons the proxy has given for answering by itself. */
  readonly refusals: ReadonlySet<string>;
  /** One call, read to its end or to where it breaks; gives the status and the body. */
  readonly call: (
    method: string,
    url: string,
    headers?: Readonly<Record<string, string>>,
    body?: string | object,
    mayHold?: readonly string[],
  ) => Promise<{ status: number; text: string }>;
  /** Sends bytes as they are; gives all that came back until the connection ended. */
  readonly send: (url: string, bytes: string) => Promise<string>;
  /** Opens a WebSocket, says something if it opens, and closes it after the first answer. */
  readonly talk: (
    url: string,
    protocols: string[],
    headers: Record<string, string>,
    says: object[],
  ) => Promise<void>;
  /** Runs the command line. */
  readonly run: (
    args: readonly string[],
    input?: string,
    mayHold?: readonly string[],
  ) => Promise<CommandResult>;
}

export function createWitness(service: RunningService): Witness {
  const answers: Artefact[] = [];
  const refusals = new Set<string>();
  const keep = (what: string, text: string, mayHold: readonly string[] = []): void => {
    answers.push({ place: `the answer to ${what}`, bytes: Buffer.from(text), mayHold });
    for (const [, reason = ""] of text.matchAll(/^x3sproxy-refusal: (\S+)/gim))
      refusals.add(reason);
  };
  return {
    answers,
    refusals,
    async call(method, url, headers = {}, body, mayHold) {
      const isText = typeof body === "string";
      const response = await fetch(url, {
        method,
        redirect: "manual",
        headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
        ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
      });
      let text = "";
      try {
        for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
          text += chunk;
        }
      } catch {
        text += "\n(broken off)";
      }
      const head = [...response.headers].map((field) => field.join(": ")).join("\n");
      // Without the query: it may be what is watched.
      const what = `${method} ${new URL(url).pathname} (${answers.length})`;
      keep(what, `${response.status} ${response.statusText}\n${head}\n\n${text}`, mayHold);
      return { status: response.status, text };
    },
    async send(url, bytes) {
      const { hostname, port } = new URL(url);
      const socket = connect({ host: hostname, port: Number(port) });
      let text = "";
      socket.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
      socket.on("error", () => undefined);
      socket.write(bytes);
      await new Promise((resolve) => socket.once("close", resolve));
      keep(`raw bytes (${answers.length})`, text);
      return text;
    },
    async talk(url, protocols, headers, says) {
      const socket = new WebSocket(url.replace(/^http/, "ws"), protocols, { headers });
      let text = "";
      socket.on("error", (error) => (text += String(error)));
      socket.on("unexpected-response", (_request, response) => {
        text += `${JSON.stringify(response.headers)}\n`;
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => socket.terminate());
      });
      socket.on("upgrade", (response) => (text += JSON.stringify(response.headers)));
      socket.on("open", () => {
        for (const message of says) socket.send(JSON.stringify(message));
      });
      socket.on("message", (data: Buffer) => {
        text += data.toString();
        if (/response\.done|turnComplete/.test(text)) socket.close();
      });
      await new Promise((resolve) => socket.once("close", resolve));
      keep(`a WebSocket (${answers.length})`, text);
    },
    async run(args, input, mayHold) {
      const result = await service.cli(args, input);
      keep(
        `x3sproxy ${args.slice(0, 2).join(" ")} (${answers.length})`,
        result.stdout + result.stderr,
        mayHold,
      );
      return result;
    },
  };
}
