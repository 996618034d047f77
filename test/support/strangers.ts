// Clients that come with tokens which nobody was ever given, each with another one every time, as fast as they are answered.
import { Agent, request } from "node:http";
import { newBearer, PROXY_TOKEN_PREFIX } from "../../src/platform/ids.ts";

export interface Caller {
  /** Calls with a token; gives the status, with the refusal where there is one: `401 unknown_token`. */
  call(token: string): Promise<string>;
  close(): void;
}

/** Calls openai's models at `port`, on up to `connections` kept ones. `address`: as a trusted proxy before it would name it. */
export function createCaller(port: number, connections: number, address?: string): Caller {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  return {
    call: (token) => call(token),
    close: () => agent.destroy(),
  };

  function call(token: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${token}`,
        ...(address === undefined ? {} : { "x-forwarded-for": address }),
      };
      const path = "/openai/v1/models";
      const sent = request({ agent, port, host: "127.0.0.1", path, headers }, (response) => {
        const refusal = response.headers["x3sproxy-refusal"];
        response.resume().on("error", reject);
        response.on("end", () =>
          resolve([response.statusCode, refusal].filter((it) => it !== undefined).join(" ")),
        );
      });
      sent.on("error", (error: NodeJS.ErrnoException) => {
        // It had been idle for so long that the proxy closed it in this moment.
        if (sent.reusedSocket && error.code === "ECONNRESET") resolve(call(token));
        else reject(error);
      });
      sent.end();
    });
  }
}

export interface Strangers {
  /** How often each answer came. */
  readonly answers: Readonly<Record<string, number>>;
  /** Resolves when each has had its last answer. */
  stop(): Promise<void>;
}

/** Begins to call with random tokens on `connections` connections, until `stop`. */
export function createStrangers(port: number, connections: number, address?: string): Strangers {
  const caller = createCaller(port, connections, address);
  const answers: Record<string, number> = {};
  let stopped = false;
  const one = async (): Promise<void> => {
    while (!stopped) {
      const answer = await caller.call(newBearer(PROXY_TOKEN_PREFIX));
      answers[answer] = (answers[answer] ?? 0) + 1;
    }
  };
  const all = Promise.all(Array.from({ length: connections }, one));
  return {
    answers,
    async stop() {
      stopped = true;
      await all;
      caller.close();
    },
  };
}
