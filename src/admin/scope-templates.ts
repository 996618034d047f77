// Templates of scopes over REST: rules to begin with, the same for every workspace.
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { scopeTemplates } from "../scopes/index.ts";
import { addRoute } from "./route.ts";

const templateView = z
  .object({
    name: z.string(),
    title: z.string(),
    description: z.string(),
    rules: z.array(z.string()).describe("As an agent's scope takes them."),
  })
  .meta({ id: "ScopeTemplate" });

export function addScopeTemplateRoutes(app: FastifyInstance): void {
  addRoute(app, {
    method: "GET",
    path: "/scope-templates",
    summary: "List templates of scopes: rules to begin with",
    permission: "viewer",
    answer: z.object({ templates: z.array(templateView) }),
    handle: () =>
      Promise.resolve({
        templates: scopeTemplates.map((template) => ({ ...template, rules: [...template.rules] })),
      }),
  });
}
