// The operator's guide with the generated TypeScript client: each step prints one line, as in the other languages.

import { readFileSync } from "node:fs";
import { request } from "node:https";
import { env } from "node:process";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

const baseUrl = env["MASTIO_URL"] ?? "";
const ca = readFileSync(env["MASTIO_CA"] ?? "");
const agent_name = "kyc-screener";

/** Fetches with a client certificate, which the fetch of Node.js takes from no option. */
function fetchWith(cert?: string, key?: string) {
  return async (input: Request): Promise<Response> => {
    const body = Buffer.from(await input.arrayBuffer());
    return new Promise((resolve, reject) => {
      const sent = request(
        input.url,
        { ca, cert, key, method: input.method, headers: Object.fromEntries(input.headers), agent: false },
        (answer) => {
          const parts: Buffer[] = [];
          answer.on("data", (part: Buffer) => parts.push(part));
          answer.on("error", reject);
          answer.on("end", () => {
            const headers = new Headers();
            for (const [name, value] of Object.entries(answer.headers)) {
              if (value !== undefined) headers.set(name, [value].flat().join(", "));
            }
            const status = answer.statusCode ?? 0;
            resolve(new Response(status === 204 ? null : Buffer.concat(parts), { status, headers }));
          });
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  };
}

const operator = createClient<paths>({
  baseUrl,
  fetch: fetchWith(),
  headers: { "X-Admin-Secret": env["MASTIO_ADMIN_SECRET"] ?? "" },
});

const agent = (cert: string, key: string) => createClient<paths>({ baseUrl, fetch: fetchWith(cert, key) });

/** The data of a successful answer. */
function must<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data === undefined) throw new Error(`${answer.response.status}: ${JSON.stringify(answer.error)}`);
  return answer.data;
}

/** What a token request comes to. */
async function token(client: ReturnType<typeof agent>): Promise<string> {
  const { data, error, response } = await client.POST("/v1/auth/token", { body: { grant_type: "client_credentials" } });
  if (data !== undefined) return `${response.status} ${data.token_type} ${data.scope}`;
  return `${response.status} ${(error as Schemas["OAuthError"]).error}`;
}

const code = (error: unknown) => (error as Schemas["Problem"]).code;

const health = must(await operator.GET("/healthz"));
console.log("health:", health.status, health.org_id, "generation", health.generation);

const capabilities = ["kyc:read"];
const enrolled = must(await operator.POST("/v1/admin/agents", { body: { agent_name, capabilities } }));
const { agent_id } = enrolled;
console.log("enrolled:", agent_id, "private key", python(enrolled.key_pem?.includes("PRIVATE KEY")));

const again = await operator.POST("/v1/admin/agents", { body: { agent_name } });
console.log("enrolled again:", again.response.status, code(again.error));

const old = agent(enrolled.cert_pem, enrolled.key_pem ?? "");
console.log("token:", await token(old));

const params = { path: { agent_id } };
const rotated = must(
  await operator.POST("/registry/agents/{agent_id}/rotate-cert", { params, body: { reason: "keyCompromise" } }),
);
console.log("rotated:", rotated.agent_id, "replaces", python(rotated.previous_thumbprint === enrolled.cert_thumbprint));
console.log("token, old certificate:", await token(old));
const renewed = agent(rotated.cert_pem, rotated.key_pem ?? "");
console.log("token, new certificate:", await token(renewed));

const page = must(await operator.GET("/v1/admin/agents", { params: { query: { q: "screener" } } }));
console.log("listed:", page.agents.map((a) => `${a.agent_id} ${a.method} ${a.status}`).join(", "));

const owner = "team-kyc@example.com";
const changed = must(await operator.PATCH("/v1/admin/agents/{agent_id}", { params, body: { owner } }));
console.log("owner:", changed.owner);

const hygiene = must(
  await operator.PUT("/v1/admin/agents/{agent_id}/hygiene", { params, body: { deliver: "secretsmanager" } }),
);
console.log("hygiene:", hygiene.hygiene.deliver);

const forecast = must(await operator.POST("/v1/admin/agents:rotate", { body: { dry_run: true, all: true } }));
if (!("reissue" in forecast)) throw new Error("a dry run began a job");
console.log("a job would re-issue:", forecast.reissue);

const foreign = await operator.POST("/v1/admin/agents/enroll/byoca", {
  body: { agent_name: "foreign", cert_pem: "no certificate" },
});
console.log("foreign certificate:", foreign.response.status, code(foreign.error));

const staged = must(await operator.POST("/pki/rotate-ca", { params: { query: { mode: "stage", source: "mint" } } }));
console.log("staged:", staged.status);
const { fingerprint } = staged;
const current = must(
  await operator.POST("/pki/rotate-ca", { params: { query: { mode: "commit", fingerprint, overlap: 3600 } } }),
);
console.log("committed:", python(current.fingerprint === fingerprint), "generation", current.generation);
const status = must(await operator.GET("/pki/rotate-ca"));
console.log("the fleet:", status.progress?.remaining, "of", status.progress?.agents, "remain");
console.log("token in the overlap:", await token(renewed));

const query = { subject: agent_id };
const head = must(await operator.GET("/v1/admin/audit/head", { params: { query } }));
const rows = must(await operator.GET("/v1/admin/audit/export", { params: { query }, parseAs: "text" }));
const count = rows.split("\n").length - 1;
console.log("audit rows:", python(head.seq === count), "rotation", python(rows.includes('"agent.cert_rotated"')));

const ended = await operator.DELETE("/v1/admin/agents/{agent_id}", { params });
console.log("deactivated:", ended.response.status);
console.log("token, deactivated:", await token(renewed));
console.log("status:", must(await operator.GET("/v1/admin/agents/{agent_id}", { params })).status);

/** A truth value as the flow in Python prints it. */
function python(value: boolean | undefined): string {
  return value ? "True" : "False";
}
