// What the look-alike "says": reads the stage directions in the user's text and makes the answer from them.
// It knows nothing of any provider's wire format.
//
//   status:429            answer with this status and the provider's own error body
//   slow, slow:100x50     a stream of 100 pieces, 50 ms apart (plain `slow`: 50 pieces, 100 ms apart)
//   pace:30               the usual answer, its pieces 30 ms apart
//   tool                  call the request's first tool with {"city":"Paris"}
//   tool:Name {"a":1}     call the tool of that name with these arguments
//   break                 cut the connection in the middle of the answer
//   hang                  begin the answer (a stream's first piece) and then say nothing more

export interface ToolCall {
  readonly name: string;
  /** A JSON object, as text. */
  readonly arguments: string;
}

/** One turn of a conversation, read out of a provider's request. */
export interface Turn {
  readonly provider: string;
  /** The key that the request was accepted with. */
  readonly key: string;
  /** The last thing that the user said; empty when the turn brings a tool's result instead. */
  readonly userText: string;
  readonly toolResult: string | undefined;
  readonly tools: readonly string[];
}

export interface Script {
  /** An error status to answer with, instead of all that follows. */
  readonly status: number | undefined;
  readonly text: string;
  /** `text` or the tool's arguments, cut as a stream sends them. */
  readonly pieces: readonly string[];
  readonly tool: ToolCall | undefined;
  readonly intervalMs: number;
  readonly ending: "complete" | "break" | "hang";
}

/** Writes the script of a turn. */
export function writeScript(turn: Turn): Script {
  const said = turn.userText;
  const tool = readTool(said, turn.tools);
  const slow = /\bslow(?::(\d+)x(\d+))?\b/.exec(said);
  const text =
    slow !== null
      ? countUpTo(Number(slow[1] ?? 50))
      : turn.toolResult !== undefined
        ? `The tool answered: ${turn.toolResult.slice(0, 500)}`
        : `Hello from the ${turn.provider} look-alike. I was called with the key ${mask(turn.key)}.`;
  const pace = /\bpace:(\d+)\b/.exec(said)?.[1];
  const status = /\bstatus:(\d{3})\b/.exec(said)?.[1];
  return {
    status: status === undefined ? undefined : Number(status),
    text,
    pieces: tool === undefined ? (text.match(/\S+\s*/g) ?? []) : halves(tool.arguments),
    tool,
    intervalMs: slow === null ? Number(pace ?? 0) : Number(slow[2] ?? 100),
    ending: /\bbreak\b/.test(said) ? "break" : /\bhang\b/.test(said) ? "hang" : "complete",
  };
}

/** A key as the providers show it: the beginning of its prefix and the last four characters. */
export function mask(key: string): string {
  return `${/^[a-z]{2}-(?:[a-z]{2,4}-)?/.exec(key)?.[0] ?? ""}…${key.slice(-4)}`;
}

function readTool(said: string, tools: readonly string[]): ToolCall | undefined {
  const named = /\btool:([\w-]+)(?:\s+(\{.*\}))?/s.exec(said);
  if (named?.[1] !== undefined) return { name: named[1], arguments: named[2] ?? "{}" };
  const first = tools[0];
  if (first === undefined || !/\btool\b/.test(said)) return undefined;
  return { name: first, arguments: '{"city":"Paris"}' };
}

function countUpTo(count: number): string {
  return Array.from({ length: count }, (_, index) => `${index + 1} `).join("");
}

function halves(text: string): string[] {
  const middle = Math.ceil(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)];
}
