// Answers `/v1/session` while developing with an API token, where nobody signs in. Never part of what is built.

import type { Plugin } from "vite";

const SESSION = {
  user: "developer",
  role: "administrator",
  may: ["calls", "orders", "audio", "people", "reports", "audit", "operate"],
  idle_s: 1800,
};

/** Everybody who knows a password of any kind is let in; the token that the proxy adds is what counts. */
export function tokenSession(): Plugin {
  let signedIn = true;
  return {
    name: "calmline-token-session",
    apply: "serve",
    configureServer(server) {
      server.middlewares.use("/v1/session", (request, response) => {
        signedIn = request.method === "POST" || (request.method === "GET" && signedIn);
        if (request.method === "DELETE") {
          response.writeHead(204).end();
          return;
        }
        const [status, body] = signedIn ? [200, SESSION] : [401, { status: 401, detail: "nobody is signed in" }];
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      });
    },
  };
}
