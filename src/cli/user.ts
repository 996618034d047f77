// x3sproxy user …: who may use the dashboard. With the API key in the data folder, `user reset` lets an owner back in who is locked out.
import { Option, type Command } from "commander";
import type { Clock } from "../platform/clock.ts";
import type { Role } from "../contract/index.ts";
import type { User } from "../contract/index.ts";
import { call, list } from "./api.ts";
import { examples, reports, relative, table } from "./output.ts";
import { Failure, quoted } from "./failure.ts";

// Not identity's own list: the command line would load all of that room to say it.
const ROLES = {
  viewer: true,
  operator: true,
  admin: true,
  owner: true,
  auditor: true,
} satisfies Record<Role, true>;

export function addUserCommands(program: Command, clock: Clock): void {
  const user = program
    .command("user")
    .helpCommand(false)
    .description("invite people to the dashboard, and let them back in");

  reports(
    user
      .command("list")
      .description("who there is")
      .addHelpText("after", examples("x3sproxy user list")),
    async () => {
      const users = await list("GET /users", (page) => page.users);
      const nowMs = clock.nowMs();
      const rows = users.map((it) => [
        it.email,
        it.agents === null ? it.role : `${it.role} (${it.agents.join(",")})`,
        it.secondFactor ? "yes" : "no",
        it.lastSignInAt === null ? "never" : relative(it.lastSignInAt, nowMs),
      ]);
      const headings = ["E-MAIL", "ROLE", "SECOND FACTOR", "SIGNED IN"];
      const text =
        rows.length === 0
          ? "No users yet: the service prints a link for the first one when it starts."
          : table(headings, rows);
      return { json: users, text };
    },
  );

  reports(
    user
      .command("invite <email>")
      .description("make a link, shown once, by which somebody becomes a user")
      .addOption(
        new Option("--role <role>", "what the user may do")
          .choices(Object.keys(ROLES))
          .makeOptionMandatory(),
      )
      .addHelpText("after", examples("x3sproxy user invite ada@example.com --role operator")),
    async ([email = ""], command) => {
      const { role } = command.opts<{ role: Role }>();
      const { invitation, url } = await call("POST /invitations", { body: { email, role } });
      return {
        json: { ...invitation, url },
        text: `${invitation.email} can become a user (${role}) with this link. It works once, until ${invitation.expiresAt}:\n${url}`,
      };
    },
  );

  reports(
    user
      .command("reset <email>")
      .description("make a link, shown once, by which a user sets another password")
      .option("--second-factor", "the link takes the user's second factor away, too")
      .addHelpText(
        "after",
        examples(
          "x3sproxy user reset ada@example.com",
          "x3sproxy user reset ada@example.com --second-factor",
        ),
      ),
    async ([email = ""], command) => {
      const { secondFactor = false } = command.opts<{ secondFactor?: true }>();
      const { id, email: found } = await find(email);
      const reset = await call("POST /users/:id/reset", {
        params: { id },
        body: { secondFactor },
      });
      return {
        json: { email: found, ...reset },
        text: `${found} can set another password with this link. It works once, until ${reset.expiresAt}:\n${reset.url}`,
      };
    },
  );
}

async function find(email: string): Promise<User> {
  const wanted = email.trim().toLowerCase();
  const found = (await list("GET /users", ({ users }) => users)).find(
    (it) => it.email.toLowerCase() === wanted,
  );
  if (found === undefined) {
    throw new Failure(
      "user_not_found",
      `There is no user ${quoted(email)}. See: x3sproxy user list`,
    );
  }
  return found;
}
