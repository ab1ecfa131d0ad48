// GraphiQL on this server: queries and mutations by POST, subscriptions over graphql-transport-ws.
"use strict";
(() => {
  // Styles that GraphiQL's dialogs insert are let in by the page's policy under its nonce.
  window.__webpack_nonce__ = document.currentScript.nonce;

  const url = new URL("graphql", document.baseURI);
  const socketUrl = new URL(url);
  socketUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";

  // A browser sends no headers with a websocket: the token of the headers editor goes into its first message.
  let headers = {};
  const wsClient = graphqlWs.createClient({
    url: socketUrl.href,
    lazy: true,
    retryAttempts: 0,
    connectionParams: () => {
      const found = Object.entries(headers).find(([name]) => name.toLowerCase() === "authorization");
      return found ? { authorization: String(found[1]) } : {};
    },
  });
  const base = GraphiQL.createFetcher({ url: url.href, wsClient, enableIncrementalDelivery: false });
  const fetcher = (params, options) => {
    headers = options?.headers ?? {};
    return base(params, options);
  };

  // Whatever is kept is kept without headers: GraphiQL itself writes those of its tabs into the browser's storage.
  const kept = window.localStorage;
  const storage = {
    getItem: (key) => kept.getItem(key),
    removeItem: (key) => kept.removeItem(key),
    clear: () => kept.clear(),
    get length() {
      return kept.length;
    },
    setItem(key, value) {
      let safe = value;
      try {
        safe = JSON.stringify(JSON.parse(value), (name, one) => (name === "headers" ? null : one));
      } catch {
        if (key.endsWith(":headers")) return;
      }
      kept.setItem(key, safe);
    },
  };

  const defaultQuery = `# deployd's GraphQL API. Its documentation: at the left.
# A token goes among the headers below:
# {"Authorization": "Bearer TOKEN"}

{
  worlds {
    name
    services {
      nodes {
        name
        state
        health
        url
      }
    }
  }
}
`;
  const element = React.createElement(GraphiQL, {
    fetcher,
    defaultQuery,
    defaultHeaders: "{}",
    storage,
    shouldPersistHeaders: false,
    isHeadersEditorEnabled: true,
  });
  ReactDOM.createRoot(document.getElementById("playground")).render(element);
})();
