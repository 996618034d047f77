// Runs a command in our place: with our standard streams, our signals, and its exit status as ours.
import { spawn, type ChildProcess } from "node:child_process";
import { constants } from "node:os";
import { isatty } from "node:tty";
import { codeOf } from "../platform/unknown-values.ts";

/** A terminal sends these to its whole foreground process group. Passing them on would send them to the child twice. */
const OF_TERMINAL = ["SIGINT", "SIGQUIT", "SIGWINCH"] as const;
const PASSED_ON = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCONT"] as const;

const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** How it ended: its exit status, or 128 plus the signal's number. If it could not be run: 127 or 126, with the reason. */
export interface Ended {
  readonly status: number;
  readonly problem?: string;
}

/** Runs `command` and resolves when it has ended. Its command line has only its own arguments. */
export function runChild(
  command: string,
  args: readonly string[],
  variables: NodeJS.ProcessEnv,
): Promise<Ended> {
  return new Promise((resolve) => {
    let child: ChildProcess | undefined = undefined;
    const unlisten = listen((signal) => child?.kill(signal));
    const end = (ended: Ended): void => {
      unlisten();
      resolve(ended);
    };
    try {
      child = spawn(command, args, { env: variables, stdio: "inherit" });
    } catch (error) {
      end(notRun(command, error));
      return;
    }
    child.once("error", (error) => end(notRun(command, error)));
    child.once("exit", (code, signal) =>
      end({ status: code ?? 128 + constants.signals[signal ?? "SIGKILL"] }),
    );
  });
}

function notRun(command: string, error: unknown): Ended {
  const code = codeOf(error);
  return code === "ENOENT"
    ? { status: NOT_FOUND, problem: `${command}: command not found` }
    : { status: NOT_EXECUTABLE, problem: `${command}: can't be run (${code ?? "unknown error"})` };
}

/** Passes our signals to `pass` instead of ending. Returns a function that stops this. */
function listen(pass: (signal: NodeJS.Signals) => void): () => void {
  const atTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));
  const passOn = (signal: NodeJS.Signals): void => pass(signal);
  const ignore = (): void => undefined;
  const listeners: [NodeJS.Signals, (signal: NodeJS.Signals) => void][] = [
    ...PASSED_ON.map((signal): [NodeJS.Signals, typeof passOn] => [signal, passOn]),
    ...OF_TERMINAL.map((signal): [NodeJS.Signals, typeof passOn] => [
      signal,
      atTerminal ? ignore : passOn,
    ]),
  ];
  // At a terminal Ctrl-Z stops both processes. Elsewhere only the command is stopped, and we go on renewing its lease.
  if (!atTerminal) listeners.push(["SIGTSTP", passOn]);
  for (const [signal, listener] of listeners) process.on(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}
