// npm's graphql-sse, in its mode of distinct connections.
import { createClient } from "graphql-sse";
import { run } from "./scenario.mjs";

const [url, token] = process.argv.slice(2);
const connect = (given, retryAttempts) =>
  createClient({
    url,
    headers: { authorization: `Bearer ${given}` },
    retryAttempts,
    retry: () => new Promise((resolve) => setTimeout(resolve, 50)),
  });
const client = connect(token, 400); // a restart may take its time
await run(client, connect("wrong", 20));
client.dispose();
