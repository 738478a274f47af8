// server.js PORT PROCESSES: the conversion of docs/contract.md, as a team would write it with Fastify
// and pg: one statement, which is what a team that had measured would end with.
import cluster from "node:cluster";
import Fastify from "fastify";
import pg from "pg";

const POOL = 16;
const [port, processes] = process.argv.slice(2).map(Number);
const keys = JSON.parse(process.env.BENCH_KEYS); // cached: from secret to partner

const text = (more) => ({ type: "string", ...more });
const optional = ["event_id", "order_id", "page_url", "referrer", "user_agent", "session_id", "client_id", "tag_id"];
const body = {
  type: "object",
  required: ["click_id", "conversion_time", "conversion_value", "currency"],
  properties: {
    click_id: text(),
    conversion_time: text({ format: "date-time" }),
    conversion_value: { type: "number" },
    currency: text({ minLength: 3, maxLength: 3 }),
    event_type: text({ default: "purchase_completed" }),
    channel: text({ default: "server" }),
    ...Object.fromEntries(optional.map((name) => [name, text()])),
  },
};

const columns = ["click_id", "partner_id", "event_type", "idempotency_key", "conversion_time", "conversion_value",
  "currency", "channel", ...optional, "params"];
const types = { conversion_time: "timestamptz", conversion_value: "numeric", params: "jsonb" };
const values = columns.map((name, i) => `$${i + 1}::${types[name] ?? "text"}`).join(", ");
const statement = `WITH found AS (SELECT bid_id FROM click WHERE click_id = $1 AND expires_at > now()),
  added AS (INSERT INTO conversion (${columns.join(", ")}) SELECT ${values} FROM found WHERE bid_id IS NOT NULL
            ON CONFLICT DO NOTHING RETURNING id)
  SELECT (SELECT bid_id FROM found) AS bid, (SELECT id FROM added) AS id, EXISTS (SELECT FROM found) AS found`;

function rowOf(given, partner, key) {
  const extra = Object.fromEntries(Object.entries(given).filter(([name]) => !(name in body.properties)));
  const more = { partner_id: partner, idempotency_key: key ?? given.event_id, params: { extra } };
  return columns.map((name) => more[name] ?? given[name] ?? null);
}

function serve() {
  const pool = new pg.Pool({ max: POOL });
  const app = Fastify();
  app.post("/v1/api/conversion", { schema: { body } }, async (request, reply) => {
    const partner = keys[(request.headers.authorization ?? "").replace(/^Bearer /, "")];
    if (!partner) return reply.code(401).send({ detail: "Invalid API key" });
    const row = rowOf(request.body, partner, request.headers["idempotency-key"]);
    const { rows: [is] } = await pool.query({ name: "convert", text: statement, values: row });
    if (!is.found) return reply.code(404).send({ detail: "Click not found" });
    if (is.bid === null) return reply.code(400).send({ detail: "Click missing bid id" });
    return { status: is.id === null ? "duplicate" : "ok" };
  });
  app.listen({ port, host: "127.0.0.1" });
}

if (cluster.isPrimary) {
  for (let i = 0; i < processes; i++) cluster.fork();
  process.on("SIGTERM", () => { for (const worker of Object.values(cluster.workers)) worker.kill(); process.exit(); });
} else {
  serve();
}
