// npm's graphql-ws, with node's own WebSocket.
import { createClient } from "graphql-ws";
import { run, tell } from "./scenario.mjs";

const [url, token] = process.argv.slice(2);
const socket = url.replace("http", "ws");
const connect = (given, retryAttempts) =>
  createClient({
    url: socket,
    connectionParams: { authorization: `Bearer ${given}` },
    retryAttempts,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
    shouldRetry: () => true,
  });

// The protocol before it, under its own name.
const legacy = new WebSocket(socket, "graphql-ws");
const closed = await new Promise((resolve) => {
  legacy.onerror = () => {};
  legacy.onclose = (event) => resolve(event.code);
});
tell("legacy", closed);
const client = connect(token, 400); // a restart may take its time
await run(client, connect("wrong", 20));
await client.dispose();
