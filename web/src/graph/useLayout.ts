import { useEffect, useState } from "react";
import type { GraphModel } from "@/lib/graph-model";
import type { Places } from "./layout";

/** The places of a graph's nodes, once the worker has found them. */
export function useLayout(model: GraphModel): Places | undefined {
  const [done, setDone] = useState<{ model: GraphModel; places: Places }>();
  useEffect(() => {
    const worker = new Worker(new URL("./layout.worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = (message: MessageEvent<Places>) => {
      setDone({ model, places: message.data });
      worker.terminate();
    };
    worker.postMessage(model);
    return () => worker.terminate();
  }, [model]);
  return done?.model === model ? done.places : undefined;
}
