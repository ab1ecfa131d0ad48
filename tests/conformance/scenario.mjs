// What both clients do, each event as one line of JSON; `client` is graphql-ws's or graphql-sse's.
export const tell = (event, value) => console.log(JSON.stringify([event, value]));

export const first = async (client, query, variables) => {
  for await (const result of client.iterate({ query, variables })) return result;
};

const reason = (error) =>
  Array.isArray(error)
    ? { code: error[0].extensions.code }
    : { close: error.code, status: error.response?.status, message: error.message };

export const refused = async (client, query) => {
  try {
    const result = await first(client, query);
    return result.errors ? { code: result.errors[0].extensions.code } : { answered: result };
  } catch (error) {
    return reason(error);
  }
};

export const run = async (client, stranger) => {
  tell("query", await first(client, "query ($name: String!) { world(name: $name) { name } }", { name: "local" }));
  tell("mutation", await first(client, 'mutation { createWorld(name: "other") { ... on World { name } } }'));
  tell("wrong document", await refused(client, "{ nothing }"));
  tell("no document", await refused(client, "{"));
  tell("costly", await refused(client, "{ worlds { services { nodes { deployments(first: 100) { nodes { release { id } } } } } } }"));
  tell("wrong subscription", await refused(client, 'subscription { transitions(world: "nowhere") { ... on TransitionBatch { cursor } } }'));
  tell("stranger", await refused(stranger, "{ version }"));

  // The same object is sent again when the client connects anew: from where it stands by then.
  const variables = { after: (await first(client, '{ world(name: "local") { cursor } }')).data.world.cursor };
  const query = `subscription ($after: Cursor) { transitions(world: "local", after: $after) {
    ... on TransitionBatch { cursor transitions { seq } } } }`;
  const seen = [];
  tell("subscribing", null);
  for await (const result of client.iterate({ query, variables })) {
    const { cursor, transitions } = result.data.transitions;
    variables.after = cursor;
    seen.push(...transitions.map((one) => one.seq));
    tell("seen", seen);
    if (seen.at(-1) >= 6) break;
  }
  tell("end", seen);
};
