import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { keys } from "./api/cache";
import { whenSignedOut } from "./api/client";
import { asApiError } from "./api/problem";
import { installHotkeys } from "./app/hotkeys";
import { ownerTokenFromAddress } from "./app/owner-token";
import { makeRouter } from "./app/router";
import { applyTheme } from "./app/theme";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/kit.css";
import "./styles/lists.css";
import "./styles/frame.css";

applyTheme();
installHotkeys();

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // The event stream says what changed; age alone is no reason to ask again.
      staleTime: 60_000,
      gcTime: 600_000,
      refetchOnWindowFocus: false,
      retry: (count, error) => {
        const { status } = asApiError(error);
        return count < 2 && (status === 0 || status === 429 || status >= 500);
      },
    },
  },
});
whenSignedOut(() => void client.invalidateQueries({ queryKey: keys.session }));

const router = makeRouter(client);
if (ownerTokenFromAddress()) void router.navigate({ to: "/owner", replace: true });

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
