// x3sproxy secret …: real keys, by provider and environment.
import type { Command } from "commander";
import type { Clock } from "../platform/clock.ts";
import type { KeyTest, Secret } from "../contract/index.ts";
import { call, list } from "./api.ts";
import { examples, reports, relative, table } from "./output.ts";
import { Failure, quoted, type Candidate } from "./failure.ts";
import { confirm, readSecret, typed } from "./prompt.ts";
import { positiveInteger } from "./arguments.ts";

interface Where {
  readonly environment: string;
}

// The provider has 10 s to answer.
const TEST_DEADLINE_MS = 30_000;
const ENVIRONMENT = ["--environment <name>", "which environment's key", "production"] as const;

export function addSecretCommands(program: Command, clock: Clock): void {
  const secret = program
    .command("secret")
    .helpCommand(false)
    .description("add, rotate and remove real provider keys");

  reports(
    secret
      .command("set <provider>")
      .description(
        "add a key, or rotate it: the new value is active once the provider takes it; it is asked for or read from standard input",
      )
      .option(...ENVIRONMENT)
      .option("--label <text>", "a note on where the key comes from")
      .option(
        "--origin <url>",
        "where it goes, for providers without one address (azure-openai, bedrock)",
      )
      .option("--skip-test", "make it active without asking the provider whether it takes it")
      .addHelpText(
        "after",
        examples(
          "x3sproxy secret set anthropic",
          "x3sproxy secret set openai --environment staging < key.txt",
          "x3sproxy secret set azure-openai --origin https://my-resource.openai.azure.com",
        ),
      ),
    async ([provider = ""], command) => {
      const { environment, label, origin, skipTest } = command.opts<
        Where & { label?: string; origin?: string; skipTest?: true }
      >();
      const value = await readSecret(`Key for ${provider} (${environment}), not shown: `);
      const body = { provider, environment, label, origin, value, skipTest };
      try {
        const { secret, test } = await call("PUT /secrets", { body, deadlineMs: TEST_DEADLINE_MS });
        return { json: { ...secret, test }, text: describeSaved(secret, test) };
      } catch (error) {
        if (!(error instanceof Failure) || error.candidate === undefined) throw error;
        const { candidate } = error;
        const secret = await decide(error, candidate, { provider, environment, label });
        return { json: { ...secret, test: null }, text: describeActive(secret) };
      }
    },
  );

  reports(
    secret
      .command("activate <provider>")
      .description("make a candidate active: a new key that the provider has not taken")
      .option(...ENVIRONMENT)
      .option("--yes", "don't ask")
      .addHelpText("after", examples("x3sproxy secret activate openai --environment staging")),
    async ([provider = ""], command) => {
      const { environment, yes } = command.opts<Where & { yes?: true }>();
      const { id, version, candidate } = await findCandidate(provider, environment);
      await confirm(
        `Make version ${candidate} of ${provider}/${environment} active in place of ${version}? The provider has not taken it.`,
        yes,
      );
      const { secret } = await call("POST /secrets/:id/activate", {
        params: { id },
        body: { version: candidate },
      });
      return { json: secret, text: describeActive(secret) };
    },
  );

  reports(
    secret
      .command("discard <provider>")
      .description("throw a candidate away: a new key that is not active")
      .option(...ENVIRONMENT)
      .addHelpText("after", examples("x3sproxy secret discard openai --environment staging")),
    async ([provider = ""], command) => {
      const { environment } = command.opts<Where>();
      const { id, candidate } = await findCandidate(provider, environment);
      const { secret } = await call("POST /secrets/:id/discard", {
        params: { id },
        body: { version: candidate },
      });
      const text = `Threw version ${candidate} away. Version ${secret.version} is active: ${describe(secret)}.`;
      return { json: secret, text };
    },
  );

  reports(
    secret
      .command("list")
      .description("what keys there are; values are masked")
      .addHelpText("after", examples("x3sproxy secret list")),
    async () => {
      const secrets = await list("GET /secrets", ({ secrets }) => secrets);
      const rows = secrets.map((it) => [
        it.provider,
        it.environment,
        it.masked,
        it.candidate === null ? String(it.version) : `${it.version} (${it.candidate} waits)`,
        relative(it.updatedAt, clock.nowMs()),
        it.label,
      ]);
      const headings = ["PROVIDER", "ENVIRONMENT", "KEY", "VERSION", "CHANGED", "LABEL"];
      const refused = secrets.flatMap((it) => [
        ...misplacedText(it),
        ...refusedText(it, clock.nowMs()),
      ]);
      const text =
        rows.length === 0
          ? "No keys yet: x3sproxy secret set <provider>"
          : [table(headings, rows), ...refused].join("\n");
      return { json: secrets, text };
    },
  );

  reports(
    secret
      .command("rollback <provider>")
      .description("make an earlier version active again")
      .option(...ENVIRONMENT)
      .option("--to <version>", "which version (default: the one before)", positiveInteger)
      .addHelpText(
        "after",
        examples("x3sproxy secret rollback openai", "x3sproxy secret rollback openai --to 3"),
      ),
    async ([provider = ""], command) => {
      const { environment, to } = command.opts<Where & { to?: number }>();
      const { id } = await find(provider, environment);
      const { secret } = await call("POST /secrets/:id/rollback", {
        params: { id },
        body: { version: to },
      });
      return {
        json: secret,
        text: `Version ${secret.version} is active again: ${describe(secret)}.`,
      };
    },
  );

  reports(
    secret
      .command("delete <provider>")
      .description("remove a key and all its versions")
      .option(...ENVIRONMENT)
      .option("--yes", "don't ask")
      .addHelpText("after", examples("x3sproxy secret delete openai --environment staging --yes")),
    async ([provider = ""], command) => {
      const { environment, yes } = command.opts<Where & { yes?: true }>();
      const { id } = await find(provider, environment);
      await confirm(`Delete the key for ${provider} (${environment}) with all its versions?`, yes);
      const { secret } = await call("DELETE /secrets/:id", { params: { id } });
      return { json: secret, text: `Deleted ${describe(secret)}.` };
    },
  );
}

async function find(provider: string, environment: string): Promise<Secret> {
  const secrets = await list("GET /secrets", ({ secrets }) => secrets);
  const found = secrets.find((it) => it.provider === provider && it.environment === environment);
  if (found === undefined) {
    throw new Failure(
      "secret_not_found",
      `There is no key for ${quoted(provider)} in ${quoted(environment)}. See: x3sproxy secret list`,
    );
  }
  return found;
}

/** A line, where calls with it are refused because of what became of its provider. */
function misplacedText({ provider, environment, misplaced }: Secret): string[] {
  if (misplaced === null) return [];
  const where = `${provider} --environment ${environment}`;
  return [
    misplaced === "provider_changed"
      ? `${provider} takes its key elsewhere now than where ${provider}/${environment} was saved for: calls get 403. Save it again: x3sproxy secret set ${where}`
      : `${provider} was removed, and ${provider}/${environment} is of no use without it. Delete it: x3sproxy secret delete ${where}`,
  ];
}

/** A line, where its provider refuses it. */
function refusedText({ provider, environment, refusals }: Secret, nowMs: number): string[] {
  if (refusals === null) return [];
  const { calls, agents, since } = refusals;
  const whose = agents === 1 ? "1 agent" : `${agents} agents`;
  return [
    `${provider}/${environment} refused ${calls} calls of ${whose}, the first ${relative(since, nowMs)}. ` +
      `Replace the key: x3sproxy secret set ${provider} --environment ${environment}`,
  ];
}

async function findCandidate(
  provider: string,
  environment: string,
): Promise<{ id: string; version: number; candidate: number }> {
  const { id, version, candidate } = await find(provider, environment);
  if (candidate !== null) return { id, version, candidate };
  throw new Failure(
    "candidate_gone",
    `The key for ${quoted(provider)} in ${quoted(environment)} has no candidate. Version ${version} is active.`,
  );
}

/** A new key was not made active. On a terminal its name makes it so all the same; otherwise the failure says how. */
async function decide(
  failure: Failure,
  candidate: Candidate,
  o: Where & { readonly provider: string; readonly label: string | undefined },
): Promise<Secret> {
  const { provider, environment, label } = o;
  const { version } = candidate;
  const where = `${provider}${environment === "production" ? "" : ` --environment ${environment}`}`;
  const name = `${provider}/${environment}`;
  const answer =
    failure.code === "key_refused"
      ? await typed(`${failure.message}\nType ${name} to make it active all the same: `)
      : await typed(`${failure.message}\nMake it active untested? [y/N] `);
  if (answer === name || (failure.code !== "key_refused" && /^y(es)?$/i.test(answer ?? ""))) {
    const { secret } = await call("POST /secrets/:id/activate", {
      params: { id: candidate.secret },
      body: { version, label },
    });
    return secret;
  }
  throw new Failure(
    failure.code,
    `${failure.message}\nMake it active all the same: x3sproxy secret activate ${where}\nThrow it away: x3sproxy secret discard ${where}`,
  );
}

const CAME: Readonly<Record<KeyTest["reason"], string>> = {
  accepted: "The provider takes it.",
  refused: "But the provider refused it: calls will fail. Save another one.",
  unreachable: "The provider did not answer, so nothing is known of the key.",
  no_test: "No free call of this provider would prove it.",
  unexpected: "The provider answered neither yes nor no to it.",
};

function describeSaved(secret: Secret, test: KeyTest | null): string {
  return `Saved ${describe(secret)}. ${test === null ? "Not tested." : CAME[test.reason]} ${activeNow(secret)}`;
}

function describeActive(secret: Secret): string {
  return `Activated ${describe(secret)}, which the provider has not taken. ${activeNow(secret)}`;
}

function activeNow({ version, provider, environment }: Secret): string {
  const back = `x3sproxy secret rollback ${provider} --environment ${environment}`;
  const active = `Version ${version} is active; agents use it within a second.`;
  return version === 1 ? active : `${active}\nThe one before comes back with: ${back}`;
}

function describe(secret: Secret): string {
  return `the key ${secret.masked} for ${secret.provider} (${secret.environment})`;
}
