// How the console is built, and tried out against a running server.

import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vitest/config";
import { tokenSession } from "./build/token-session";

const server = process.env.CALMLINE_URL ?? "http://127.0.0.1:8080";
const token = process.env.CALMLINE_TOKEN;
const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };

export default defineConfig({
  // Relative, so that the console works under whatever folder it is served from.
  base: "./",
  plugins: [vue(), ...(token === undefined ? [] : [tokenSession()])],
  define: { __VUE_OPTIONS_API__: "false" },
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: {
    proxy: {
      "/v1": { target: server, ws: true, headers },
      "/readyz": { target: server },
    },
  },
  test: { include: ["src/**/*.test.ts"] },
});
