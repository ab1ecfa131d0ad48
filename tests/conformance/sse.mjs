// npm's graphql-sse, in its mode of distinct connections.
import { createClient } from "graphql-sse";
import { run } from "./scenario.mjs";

const [url, token] = process.argv.slice(2);
const connect = (given) =>
  createClient({
    url,
    headers: { authorization: `Bearer ${given}` },
    retryAttempts: 20,
    retry: () => new Promise((resolve) => setTimeout(resolve, 50)),
  });
const client = connect(token);
await run(client, connect("wrong"));
client.dispose();
