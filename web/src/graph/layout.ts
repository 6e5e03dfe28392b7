// Where each node goes: left to right, by dagre.
import dagre from "@dagrejs/dagre";
import type { GraphModel } from "@/lib/graph-model";
import { NODE_HEIGHT, NODE_WIDTH } from "./size";

/** Above this many nodes the quicker, slightly looser ranking is used. */
const LARGE = 200;

export type Places = Record<string, { x: number; y: number }>;

export function layout({ nodes, edges }: GraphModel): Places {
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({
    rankdir: "LR",
    nodesep: 20,
    ranksep: 64,
    marginx: 16,
    marginy: 16,
    ranker: nodes.length > LARGE ? "longest-path" : "network-simplex",
  });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const node of nodes) graph.setNode(node.id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  for (const edge of edges) graph.setEdge(edge.from, edge.to, {}, edge.id);
  dagre.layout(graph);
  const places: Places = {};
  for (const { id } of nodes) {
    const { x, y } = graph.node(id);
    places[id] = { x: x - NODE_WIDTH / 2, y: y - NODE_HEIGHT / 2 };
  }
  return places;
}
