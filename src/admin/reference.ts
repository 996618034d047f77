// The reference page: the OpenAPI document for people. Plain HTML without any script, made when it is first asked for, the same for everybody.
import type { FastifyInstance } from "fastify";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { API, PROBLEMS } from "../contract/index.ts";
import { html, prose, type Html } from "./html.ts";
import type { JsonSchema, OpenApiDocument, Operation } from "./openapi.ts";
import { fieldsTable, limits, objectId, table, typeOf } from "./reference-fields.ts";

const STYLE_FILE = join(import.meta.dirname, "pages", "reference.css");
const JSON_TYPE = "application/json";

interface Entry {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

/** Adds `/reference`, with its style. `dashboardUrl`: what the examples call. */
export async function addReference(
  app: FastifyInstance,
  document: () => OpenApiDocument,
  { dashboardUrl }: { dashboardUrl: string },
): Promise<void> {
  let page: string | undefined;
  const style = await readFile(STYLE_FILE);
  const config = { permission: "public" } as const;
  app.get("/reference", { config }, (_request, reply) =>
    reply
      .type("text/html; charset=utf-8")
      .send((page ??= referencePage(document(), dashboardUrl).text)),
  );
  app.get("/reference.css", { config }, (_request, reply) =>
    reply.type("text/css; charset=utf-8").send(style),
  );
}

function referencePage(document: OpenApiDocument, dashboardUrl: string): Html {
  const entries = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]): Entry => ({ method, path, operation })),
  );
  const groups = document.tags.map(({ name }) => ({
    name,
    entries: entries.filter(({ operation }) => operation.tags.includes(name)),
  }));
  const objects = Object.entries(document.components.schemas);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>API reference · ${document.info.title}</title>
        <link rel="stylesheet" href="/reference.css" />
      </head>
      <body>
        <a class="skip" href="#content">Skip to the content</a>
        <header>
          <a class="brand" href="/">${document.info.title}</a>
          <span class="muted">API reference</span>
          <a class="document" href="${API}/openapi.json">OpenAPI 3.1</a>
        </header>
        <div class="columns">
          <nav aria-label="Contents">
            <ul class="top">
              <li><a href="#introduction">Introduction</a></li>
              <li><a href="#errors">Errors</a></li>
            </ul>
            ${groups.map(
              (group) =>
                html`<h2><a href="#${slug(group.name)}">${group.name}</a></h2>
                  <ul>
                    ${group.entries.map(
                      ({ method, path, operation }) =>
                        html` <li>
                          <a href="#${operation.operationId}" title="${operation.summary}"
                            ><b class="${method}">${method.toUpperCase()}</b> ${breakable(path)}</a
                          >
                        </li>`,
                    )}
                  </ul>`,
            )}
            <h2><a href="#objects">Objects</a></h2>
            <ul>
              ${objects.map(([name]) => html` <li><a href="#${objectId(name)}">${name}</a></li>`)}
            </ul>
          </nav>
          <main id="content">
            <h1 id="introduction">API reference</h1>
            ${introduction(document, dashboardUrl)} ${errors()}
            ${groups.map(
              (group) =>
                html`<section>
                  <h2 id="${slug(group.name)}"><a href="#${slug(group.name)}">${group.name}</a></h2>
                  ${group.entries.map((entry) => operationArticle(entry, document, dashboardUrl))}
                </section>`,
            )}
            <section>
              <h2 id="objects"><a href="#objects">Objects</a></h2>
              ${objects.map(
                ([name, schema]) =>
                  html`<article>
                    <h3 id="${objectId(name)}"><a href="#${objectId(name)}">${name}</a></h3>
                    ${fieldsTable(schema, document)}
                  </article>`,
              )}
            </section>
          </main>
        </div>
      </body>
    </html> `;
}

function introduction(document: OpenApiDocument, dashboardUrl: string): Html {
  return html`<p>${prose(document.info.description)}</p>
    <p>
      All paths begin with <code>${API}</code>. A program sends an API key; <code>x3sproxy</code> on
      the service’s own machine finds the owner’s in the data folder.
    </p>
    <pre tabindex="0"><code>curl ${dashboardUrl}${API}/whoami \\
  -H "Authorization: Bearer $X3SPROXY_API_KEY"</code></pre>
    <p>
      A signed-in browser sends its session cookie, and with it the header
      <code>X3sproxy-Session</code>: the <code>sessionSecret</code> of the answer that began the
      session. Neither is worth anything alone.
    </p>
    <h3 id="lists">Lists</h3>
    <p>
      Lists come in pages: <code>limit</code> says how many at most, and <code>nextCursor</code>,
      unless it is null, is given as <code>cursor</code> for the page after. What is added or
      removed in between neither repeats nor hides other rows.
    </p>
    <h3 id="repeating">Repeating a deployment</h3>
    <p>
      A deployment whose answer got lost is safe to repeat when it was sent with an
      <code>Idempotency-Key</code>: the same key, body and caller get the same answer, token
      included, for 24 hours.
    </p>`;
}

function errors(): Html {
  return html`<section>
    <h2 id="errors"><a href="#errors">Errors</a></h2>
    <p>
      Everything that goes wrong is answered with a problem document (RFC 9457,
      <code>application/problem+json</code>): <code>detail</code> says it to people,
      <code>code</code> to programs. Codes are stable; new ones may be added. <code>429</code> and
      <code>503</code> carry <code>Retry-After</code> in seconds.
    </p>
    <details>
      <summary>All codes</summary>
      <div class="table">
        <table>
          <thead>
            <tr>
              <th scope="col">code</th>
              <th scope="col">status</th>
              <th scope="col">meaning</th>
            </tr>
          </thead>
          <tbody>
            ${Object.entries(PROBLEMS).map(
              ([code, { statuses, meaning }]) =>
                html` <tr>
                  <td><code>${code}</code></td>
                  <td>${statuses.join(", ")}</td>
                  <td>${prose(meaning)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </details>
  </section>`;
}

function operationArticle(entry: Entry, document: OpenApiDocument, dashboardUrl: string): Html {
  const { method, path, operation } = entry;
  const { parameters = [], requestBody, responses, operationId } = operation;
  const paragraphs = operation.description.split("\n\n");
  const permission = paragraphs.pop() ?? "";
  const body = requestBody?.content[JSON_TYPE]?.schema;
  const successes = Object.entries(responses).filter(([status]) => status.startsWith("2"));
  const [answer] = successes.flatMap(([, response]) =>
    "content" in response ? [response.content[JSON_TYPE]?.schema] : [],
  );
  const problems = Object.keys(responses).filter((status) => /^[45]/.test(status));
  return html`<article>
    <h3 id="${operationId}">
      <a href="#${operationId}"
        ><b class="${method}">${method.toUpperCase()}</b> <code>${breakable(path)}</code></a
      >
    </h3>
    <p class="summary">${prose(operation.summary)}.</p>
    ${paragraphs.map((text) => html`<p>${prose(text)}</p>`)}
    <p class="permission">${prose(permission)}</p>
    ${
      parameters.length === 0
        ? undefined
        : html`<h4>Parameters</h4>
            ${table(
              parameters.map(({ name, in: place, required, description, schema }) => ({
                name,
                note: place,
                required,
                type: typeOf(schema, document),
                text: [description, limits(schema)]
                  .filter((part) => part !== undefined && part !== "")
                  .join(" "),
              })),
            )}`
    }
    ${
      body === undefined
        ? undefined
        : html`<h4>Body</h4>
            ${fieldsTable(body, document)}`
    }
    <h4>Answer <span class="muted">${successes.map(([status]) => status).join(" or ")}</span></h4>
    ${answer === undefined ? html`<p class="muted">${successes.some(([status]) => status === "204") ? "Empty." : "See above."}</p>` : fieldsTable(answer, document)}
    ${problems.length === 0 ? undefined : html`<p class="muted">Problems: ${problems.join(", ")}. See <a href="#errors">Errors</a>.</p>`}
    <pre tabindex="0"><code>${curl(entry, document, dashboardUrl)}</code></pre>
  </article>`;
}

function curl(
  { method, path, operation }: Entry,
  document: OpenApiDocument,
  dashboardUrl: string,
): string {
  const target = path.replace(/\{(\w+)\}/g, (_, name: string) => `$${name.toUpperCase()}`);
  const url = `${dashboardUrl}${API}${target}`;
  const lines = [
    `curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${target === path ? url : `"${url}"`}`,
  ];
  if (operation.security.some((way) => "apiKey" in way)) {
    lines.push('-H "Authorization: Bearer $X3SPROXY_API_KEY"');
  } else if (operation.security.length > 0) {
    const { name } = document.components.securitySchemes["session"] ?? {};
    lines.push(`-b "${name}=$SESSION"`, '-H "X3sproxy-Session: $SESSION_SECRET"');
  }
  const content = operation.requestBody?.content[JSON_TYPE];
  if (content !== undefined) {
    const example = content.example ?? exampleOf(content.schema);
    lines.push('-H "Content-Type: application/json"', `-d '${JSON.stringify(example)}'`);
  }
  return lines.join(" \\\n  ");
}

/** The required fields, each with something in its place. */
function exampleOf({ properties = {}, required = [] }: JsonSchema): object {
  return Object.fromEntries(
    required.map((name) => {
      const { enum: values, type } = (properties[name] ?? {}) as JsonSchema;
      const value =
        values?.[0] ?? (type === "boolean" ? true : type === "integer" ? 1 : `<${name}>`);
      return [name, value];
    }),
  );
}

function breakable(path: string): Html[] {
  return path.split(/(?<=\/)/).map((part) => html`${part}<wbr />`);
}

function slug(text: string): string {
  return `tag-${text.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
}
