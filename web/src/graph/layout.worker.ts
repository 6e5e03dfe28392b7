// Lays graphs out beside the page: five hundred nodes would hold it up for longer than one likes.
import type { GraphModel } from "@/lib/graph-model";
import { layout } from "./layout";

self.onmessage = (message: MessageEvent<GraphModel>) => {
  self.postMessage(layout(message.data));
};
