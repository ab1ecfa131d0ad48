// graphql-yoga with graphql-ws, as their pages put them together: one reader of the database for the process
// publishes what is new, and each subscription is executed for each of these events. node yoga.mjs DSN PORT
import { createServer } from "node:http";
import { useServer } from "graphql-ws/use/ws";
import { createPubSub, createSchema, createYoga } from "graphql-yoga";
import { WebSocketServer } from "ws";
import { follow } from "./transitions.mjs";

const [dsn, port] = process.argv.slice(2);
const pubSub = createPubSub();
const yoga = createYoga({
  logging: false,
  schema: createSchema({
    typeDefs: `
      type Transition { seq: Int! at: String! machineId: ID! kind: String! toState: String! }
      type TransitionBatch { cursor: String! transitions: [Transition!]! }
      type Query { version: String! }
      type Subscription { transitions: TransitionBatch! }`,
    resolvers: {
      Query: { version: () => "1" },
      Subscription: {
        transitions: { subscribe: () => pubSub.subscribe("transitions"), resolve: (batch) => batch },
      },
    },
  }),
});
const server = createServer(yoga);
const sockets = new WebSocketServer({ server, path: "/graphql" });
useServer(
  {
    execute: (given) => given.rootValue.execute(given),
    subscribe: (given) => given.rootValue.subscribe(given),
    onSubscribe: async (context, id, payload) => {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...context,
        req: context.extra.request,
        socket: context.extra.socket,
        params: payload,
      });
      const given = {
        schema,
        operationName: payload.operationName,
        document: parse(payload.query),
        variableValues: payload.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      };
      const errors = validate(given.schema, given.document);
      return errors.length ? errors : given;
    },
  },
  sockets,
);
server.listen(Number(port), "127.0.0.1");
await follow(dsn, (transitions) => {
  pubSub.publish("transitions", { cursor: String(transitions.at(-1).seq), transitions });
});
