import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = process.env.SYNAPSCALE_SERVER ?? "http://127.0.0.1:8080";
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "@": at("./src") } },
  build: {
    target: "es2022",
    // light-dark() stays as it is: every browser of the last two years knows it.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // The strict CSP allows no data: scripts or fonts; every asset is a file with a hash in its name.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  worker: { format: "es" },
  server: {
    port: 5173,
    proxy: {
      // The Host stays the browser's: the event stream takes a cookie only from pages of its own host.
      "/api": { target: server, changeOrigin: false, ws: true },
      "/docs": { target: server, changeOrigin: true },
    },
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
