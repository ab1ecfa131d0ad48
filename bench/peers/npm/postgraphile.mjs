// PostGraphile 5 with its own subscriptions over LISTEN and NOTIFY. A trigger tells each transition whole, so that
// nobody has to read it again. node postgraphile.mjs DSN PORT
import { createServer } from "node:http";
import pg from "pg";
import { postgraphile } from "postgraphile";
import { jsonParse } from "postgraphile/@dataplan/json";
import { makePgService } from "postgraphile/adaptors/pg";
import { constant, context, get, listen } from "postgraphile/grafast";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { extendSchema, gql } from "postgraphile/utils";
import { connection } from "./transitions.mjs";

const [dsn, port] = process.argv.slice(2);
const pool = new pg.Pool(connection(dsn));
await pool.query(`
  create function moved() returns trigger language plpgsql as $$ begin
    perform pg_notify('moved', json_build_object('seq', new.seq::int, 'at', new.at, 'machineId', new.machine_id,
                                                 'kind', upper(new.kind), 'toState', new.to_state)::text)
      from worlds where world_id = new.world_id and name = 'local';
    return null;
  end $$;
  create trigger moved after insert on transitions for each row execute function moved();
  create schema live`);
const field = (name) => ($event) => get($event, name);
const subscriptions = extendSchema({
  typeDefs: gql`
    type Step { seq: Int! at: String! machineId: ID! kind: String! toState: String! }
    extend type Subscription { transitions: Step }
  `,
  objects: {
    Step: {
      plans: {
        seq: field("seq"),
        at: field("at"),
        machineId: field("machineId"),
        kind: field("kind"),
        toState: field("toState"),
      },
    },
    Subscription: {
      plans: {
        transitions: {
          subscribePlan: () => listen(context().get("pgSubscriber"), constant("moved"), jsonParse),
          plan: ($event) => $event,
        },
      },
    },
  },
});
const served = postgraphile({
  extends: [PostGraphileAmberPreset],
  plugins: [subscriptions],
  pgServices: [makePgService({ pool, schemas: ["live"], pubsub: true })],
  grafserv: { websockets: true, watch: false },
  grafast: { explain: false },
}).createServ(grafserv);
const server = createServer();
await served.addTo(server);
server.listen(Number(port), "127.0.0.1");
