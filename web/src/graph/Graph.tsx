// A workflow's graph to look at: it lays itself out, and shows by shape, word and colour where each step stands.
import {
  Background,
  Controls,
  type Edge,
  MiniMap,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  useStore,
} from "@xyflow/react";
import {
  Bot,
  Clock,
  GitFork,
  GitMerge,
  Globe,
  ListTree,
  type LucideIcon,
  MessageSquareReply,
  Pencil,
  SquareFunction,
  UserCheck,
  Workflow,
  Zap,
} from "lucide-react";
import { memo, useEffect, useMemo, useRef, useState } from "react";
import type { StepStatus } from "@/api/types";
import { isDark, useTheme } from "@/app/theme";
import { type GraphModel, kindWord } from "@/lib/graph-model";
import { StatusIcon, toneOf, wordOf } from "@/ui/Status";
import type { Places } from "./layout";
import { NODE_HEIGHT, NODE_WIDTH } from "./size";
import { useLayout } from "./useLayout";
import "@xyflow/react/dist/base.css";
import "./graph.css";

export interface StepLight {
  status: StepStatus;
  port?: string | null;
  attempts: number;
  /** Of a node in a cycle: which round it shows. */
  round?: string;
}

interface GraphProps {
  model: GraphModel;
  lights?: ReadonlyMap<string, StepLight>;
  chosen?: string;
  onChoose: (id: string | undefined) => void;
}

type StepData = { label: string; kind: string; note?: string; light?: StepLight };
type StepNode = Node<StepData, "step">;

const ICONS: Record<string, LucideIcon> = {
  operation: SquareFunction,
  http: Globe,
  set: Pencil,
  if: GitFork,
  switch: GitFork,
  merge: GitMerge,
  wait: Clock,
  approval: UserCheck,
  respond: MessageSquareReply,
  workflow: Workflow,
  foreach: ListTree,
  agent: Bot,
};

/** From so far away no word can be read; the boxes alone are drawn at once, however many there are. */
const FAR_ZOOM = 0.3;

const Step = memo(function Step({ data, selected }: NodeProps<StepNode>) {
  const word = kindWord(data.kind);
  const Icon = data.kind.startsWith("trigger.") ? Zap : (ICONS[word] ?? SquareFunction);
  const { light } = data;
  const far = useStore((state) => state.transform[2] < FAR_ZOOM);
  return (
    <div
      className={`step${light ? ` tone-edge-${toneOf(light.status)} is-${light.status}` : ""}${selected ? " selected" : ""}`}
    >
      <i className="step-end target" data-handlepos="left" />
      <i className="step-end source" data-handlepos="right" />
      {!far && <Icon className="step-kind" aria-hidden />}
      {!far && (
        <div className="grow">
          <div className="clip step-name">{data.label}</div>
          <div className="clip step-note">
            {light && light.status !== "pending" ? statusLine(light) : (data.note ?? word)}
          </div>
        </div>
      )}
      {!far && light && light.status !== "pending" && <StatusIcon status={light.status} />}
    </div>
  );
});

function statusLine(light: StepLight): string {
  const tries = light.attempts > 1 ? `, try ${light.attempts}` : "";
  const port = light.port && light.port !== "out" ? ` → ${light.port}` : "";
  const round = light.round ? `, ${light.round}` : "";
  return `${wordOf(light.status)}${port}${tries}${round}`;
}

const NODE_TYPES = { step: Step };
const SIZE = { width: NODE_WIDTH, height: NODE_HEIGHT };
/**
 * Where edges end. Said here, as is the size, so that edges need not wait until nodes were measured; the marks in the node
 * say the same. Handles as React Flow has them cost more than all else when hundreds of nodes come into sight.
 */
const HANDLES = [
  { type: "target" as const, position: Position.Left, x: 0, y: NODE_HEIGHT / 2, width: 1, height: 1 },
  { type: "source" as const, position: Position.Right, x: NODE_WIDTH - 1, y: NODE_HEIGHT / 2, width: 1, height: 1 },
];
/** Above this many nodes only those in sight are drawn, and a map helps to find one's way. */
const LARGE = 60;

export function Graph(props: GraphProps) {
  return (
    <ReactFlowProvider>
      <Drawn {...props} />
    </ReactFlowProvider>
  );
}

function Drawn({ model, lights, chosen, onChoose }: GraphProps) {
  const places = useLayout(model);
  useTheme();
  const base = useMemo<StepNode[]>(
    () =>
      places
        ? model.nodes.map((node) => ({
            id: node.id,
            type: "step",
            position: places[node.id] ?? { x: 0, y: 0 },
            ...SIZE,
            measured: SIZE,
            handles: HANDLES,
            data: { label: node.id, kind: node.kind, note: node.note },
            ariaLabel: `${node.id}, ${kindWord(node.kind)}`,
          }))
        : [],
    [model, places],
  );
  const nodes = useLit(base, lights, chosen);
  const edges = useMemo(() => edgesOf(model, lights), [model, lights]);
  const large = model.nodes.length > LARGE;
  const later = useLater(places !== undefined);
  const box = useRef<HTMLDivElement>(null);
  const whole = !large && places !== undefined && fitsWhole(places, box.current?.clientWidth);
  if (!places) return <div ref={box} className="graph" role="status" aria-label="Laying out the graph" />;
  return (
    <div ref={box} className="graph">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        colorMode={isDark() ? "dark" : "light"}
        fitView={whole}
        fitViewOptions={{ maxZoom: 1, padding: 0.08 }}
        onInit={(flow) => !whole && void flow.setViewport(startView(places, chosen ?? stands(lights), box.current))}
        minZoom={0.05}
        maxZoom={1.5}
        onlyRenderVisibleElements={large}
        nodesDraggable={false}
        nodesConnectable={false}
        edgesFocusable={false}
        deleteKeyCode={null}
        disableKeyboardA11y={false}
        onNodeClick={(_, node) => onChoose(node.id)}
        onPaneClick={() => onChoose(undefined)}
        proOptions={{ hideAttribution: true }}
      >
        <Background gap={20} size={1} color="var(--line-strong)" />
        <Controls
          showInteractive={false}
          position="bottom-left"
          fitViewOptions={large ? { padding: 0.02, duration: isCalm() ? 0 : FIT_MS } : undefined}
        />
        {large && later && <MiniMap pannable zoomable position="bottom-right" ariaLabel="Map of the graph" />}
        <FollowChosen id={chosen} />
      </ReactFlow>
    </div>
  );
}

/** A large graph is drawn as it comes into sight, a part in each frame, instead of all in one. */
const FIT_MS = 140;

function isCalm(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** True a moment after `ready`: for what may come after the first picture. */
function useLater(ready: boolean): boolean {
  const [later, setLater] = useState(false);
  useEffect(() => {
    if (!ready) return;
    const timer = setTimeout(() => setLater(true), LATER_MS);
    return () => clearTimeout(timer);
  }, [ready]);
  return later;
}

const LATER_MS = 60;

const START_ZOOM = 0.7;
/** Smaller than this, nobody reads it. */
const LEAST_ZOOM = 0.45;
const START_MARGIN_PX = 32;

function fitsWhole(places: Places, width = Number.POSITIVE_INFINITY): boolean {
  const right = Math.max(...Object.values(places).map((place) => place.x)) + NODE_WIDTH;
  return right * LEAST_ZOOM <= width;
}

/** What one looks for first in a run. */
const FIRST_SEEN: readonly StepStatus[] = ["failed", "waiting", "running"];

/** The step at which a run stands; none when it is through. */
function stands(lights: GraphProps["lights"]): string | undefined {
  const all = [...(lights ?? [])];
  for (const status of FIRST_SEEN) {
    const found = all.find(([, light]) => light.status === status);
    if (found) return found[0];
  }
  return undefined;
}

/** A large graph is too small to read as a whole: one begins at what matters, else where the graph begins. */
function startView(places: Places, matters: string | undefined, box: HTMLElement | null) {
  const [width, height] = [box?.clientWidth ?? 0, box?.clientHeight ?? 0];
  const at = places[matters ?? ""];
  const left = Math.min(...Object.values(places).map((place) => place.x));
  const first = Object.values(places).filter((place) => place.x === left);
  const y = at?.y ?? first.reduce((sum, place) => sum + place.y, 0) / first.length;
  const beginning = START_MARGIN_PX - left * START_ZOOM;
  return {
    // Nothing lies before the beginning, so the view does not either.
    x: at ? Math.min(beginning, width / 2 - (at.x + NODE_WIDTH / 2) * START_ZOOM) : beginning,
    y: height / 2 - (y + NODE_HEIGHT / 2) * START_ZOOM,
    zoom: START_ZOOM,
  };
}

/** Only nodes whose state changed become new objects, so that a live run redraws no more than it must. */
function useLit(base: StepNode[], lights: GraphProps["lights"], chosen: string | undefined): StepNode[] {
  const before = useRef(new Map<string, StepNode>());
  return useMemo(() => {
    const next = new Map<string, StepNode>();
    for (const node of base) {
      const light = lights?.get(node.id);
      const known = before.current.get(node.id);
      const selected = node.id === chosen;
      const same = known?.position === node.position && known.data.light === light && known.selected === selected;
      next.set(node.id, same && known ? known : { ...node, selected, data: { ...node.data, light } });
    }
    before.current = next;
    return [...next.values()];
  }, [base, lights, chosen]);
}

function edgesOf(model: GraphModel, lights: GraphProps["lights"]): Edge[] {
  return model.edges.map((edge) => {
    const from = lights?.get(edge.from);
    const taken = from?.status === "succeeded" && (from.port ?? "out") === edge.port;
    const live = taken && lights?.get(edge.to)?.status !== "skipped";
    return {
      id: edge.id,
      source: edge.from,
      target: edge.to,
      label: edge.port === "out" ? undefined : edge.port,
      className: !lights ? "edge" : live ? "edge taken" : "edge untaken",
      focusable: false,
    };
  });
}

/** Brings a node chosen elsewhere, in the time line say, into sight. */
function FollowChosen({ id }: { id: string | undefined }) {
  const flow = useReactFlow();
  useEffect(() => {
    if (!id) return;
    const node = flow.getNode(id);
    if (!node) return;
    const { x, y, zoom } = flow.getViewport();
    const left = node.position.x * zoom + x;
    const top = node.position.y * zoom + y;
    const box = document.querySelector(".graph")?.getBoundingClientRect();
    if (!box || (left > 0 && top > 0 && left + NODE_WIDTH * zoom < box.width && top + NODE_HEIGHT * zoom < box.height))
      return;
    void flow.setCenter(node.position.x + NODE_WIDTH / 2, node.position.y + NODE_HEIGHT / 2, {
      zoom: Math.max(zoom, 0.6),
      duration: isCalm() ? 0 : 150,
    });
  }, [flow, id]);
  return null;
}
