// A route, new or known: its deployments in their order, moved by drag or by arrows.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ArrowDown, ArrowUp, GripVertical, Plus, Trash2, X } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { keys } from "@/api/cache";
import { callOperation, useChange } from "@/api/call";
import type { KnownModel, ModelRoute, Provider, Strategy } from "@/api/models-types";
import { useMay } from "@/api/session";
import { type DeploymentDraft, moved, newDeployment, type RouteDraft, routeDraft, routeInput } from "@/lib/route-draft";
import { Confirm } from "@/ui/Dialog";
import { Pane } from "@/ui/Pane";
import { ProblemNotice } from "@/ui/Problem";
import { toast, toastError } from "@/ui/toasts";
import { useModels, useProviders } from "./queries";
import { STRATEGIES } from "./RoutesPage";

interface RoutePaneProps {
  route: ModelRoute | undefined;
  onClose: () => void;
  onOpen: (id: string) => void;
}

const MOST_DEPLOYMENTS = 20;

export function RoutePane({ route, onClose, onOpen }: RoutePaneProps) {
  const client = useQueryClient();
  const may = useMay();
  const providers = useProviders();
  const models = useModels();
  const [draft, setDraft] = useState<RouteDraft>(() => routeDraft(route));
  const [asking, setAsking] = useState(false);
  const id = useId();
  const set = (fields: Partial<RouteDraft>) => setDraft({ ...draft, ...fields });
  const save = useMutation({
    mutationFn: () =>
      callOperation<ModelRoute>(
        route ? "routes.update" : "routes.create",
        route ? { route_id: route.id, ...routeInput(draft) } : routeInput(draft),
        { revision: route?.revision },
      ),
    onSuccess: async (saved) => {
      toast(route ? "Changed. Calls under way end as they began." : `${saved.alias} leads to models now.`);
      setDraft(routeDraft(saved));
      await client.invalidateQueries({ queryKey: keys.modelRoutes });
      void client.invalidateQueries({ queryKey: keys.models });
      if (!route) onOpen(saved.id);
    },
  });
  const remove = useChange("routes.delete", {
    touches: [keys.modelRoutes, keys.models],
    onDone: () => {
      toast("The route is gone.");
      onClose();
    },
    onFailed: (error) => toastError("The route was not removed.", error),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  const title = route ? route.alias : "Add a route";
  return (
    <Pane label={title} title={<h2 className="clip">{title}</h2>} onClose={onClose}>
      <form className="stack wide" onSubmit={submit}>
        {save.error && <ProblemNotice error={save.error} what="The route was not saved" />}
        <div className="field">
          <label htmlFor={`${id}-alias`}>Name</label>
          <input
            id={`${id}-alias`}
            className="input mono"
            required
            maxLength={64}
            autoComplete="off"
            spellCheck={false}
            value={draft.alias}
            onChange={(event) => set({ alias: event.target.value })}
          />
          <span className="hint">
            <code>default</code> is used by calls that name no model.
          </span>
        </div>
        <div className="field">
          <label htmlFor={`${id}-strategy`}>First tried</label>
          <select
            id={`${id}-strategy`}
            className="input"
            value={draft.strategy}
            onChange={(event) => set({ strategy: event.target.value as Strategy })}
          >
            {STRATEGIES.map((each) => (
              <option key={each.value} value={each.value}>
                {each.label} – {each.about}
              </option>
            ))}
          </select>
        </div>
        <Deployments
          draft={draft}
          providers={providers.data?.items ?? []}
          models={models.data?.items ?? []}
          onChange={(deployments) => set({ deployments })}
        />
        <div className="field">
          <label htmlFor={`${id}-total`}>Longest time for a call, in seconds</label>
          <input
            id={`${id}-total`}
            className="input"
            type="number"
            min={1}
            max={3600}
            placeholder="900"
            value={draft.total}
            onChange={(event) => set({ total: event.target.value })}
          />
          <span className="hint">All attempts and pauses together.</span>
        </div>
        {may("models:write") && (
          <div className="bar wrap">
            <button type="submit" className="button primary" disabled={save.isPending}>
              {save.isPending ? "Saving…" : route ? "Save" : "Add the route"}
            </button>
            {route && (
              <button type="button" className="button danger" onClick={() => setAsking(true)}>
                <Trash2 aria-hidden /> Remove
              </button>
            )}
          </div>
        )}
      </form>
      {asking && route && (
        <Confirm
          danger
          title={`Remove ${route.alias}?`}
          text="Who calls it is refused from then on. What it cost stays on record."
          action="Remove it"
          busy={remove.isPending}
          onConfirm={() => remove.mutate({ route_id: route.id })}
          onClose={() => setAsking(false)}
        />
      )}
    </Pane>
  );
}

interface DeploymentsProps {
  draft: RouteDraft;
  providers: readonly Provider[];
  models: readonly KnownModel[];
  onChange: (deployments: DeploymentDraft[]) => void;
}

function Deployments({ draft, providers, models, onChange }: DeploymentsProps) {
  const { deployments } = draft;
  const [dragged, setDragged] = useState<number>();
  const [told, setTold] = useState("");
  const move = (from: number, to: number) => {
    if (to < 0 || to >= deployments.length) return;
    onChange(moved(deployments, from, to));
    setTold(`Moved to place ${to + 1} of ${deployments.length}.`);
  };
  return (
    <fieldset className="deployments">
      <legend>Leads to</legend>
      <ol>
        {deployments.map((each, index) => (
          <li
            key={each.key}
            className={dragged === index ? "deployment dragged" : "deployment"}
            onDragOver={(event) => {
              if (dragged === undefined) return;
              event.preventDefault();
              if (dragged !== index) {
                onChange(moved(deployments, dragged, index));
                setDragged(index);
              }
            }}
            onDrop={(event) => event.preventDefault()}
          >
            <DeploymentRow
              draft={each}
              place={index}
              count={deployments.length}
              weighted={draft.strategy === "weighted"}
              providers={providers}
              models={models}
              onDrag={(on) => setDragged(on ? index : undefined)}
              onMove={(to) => move(index, to)}
              onChange={(fields) =>
                onChange(deployments.map((other) => (other.key === each.key ? { ...other, ...fields } : other)))
              }
              onRemove={() => onChange(deployments.filter((other) => other.key !== each.key))}
            />
          </li>
        ))}
      </ol>
      <span className="hidden-text" role="status">
        {told}
      </span>
      <button
        type="button"
        className="button small"
        disabled={deployments.length >= MOST_DEPLOYMENTS}
        onClick={() => onChange([...deployments, newDeployment(providers[0]?.id)])}
      >
        <Plus aria-hidden /> Another model
      </button>
    </fieldset>
  );
}

interface RowProps {
  draft: DeploymentDraft;
  place: number;
  count: number;
  weighted: boolean;
  providers: readonly Provider[];
  models: readonly KnownModel[];
  onDrag: (on: boolean) => void;
  onMove: (to: number) => void;
  onChange: (fields: Partial<DeploymentDraft>) => void;
  onRemove: () => void;
}

const LIMITS = [
  { field: "first_token", label: "First token within, s" },
  { field: "idle", label: "Longest silence, s" },
  { field: "attempt", label: "One attempt, s" },
  { field: "retries", label: "Tries again" },
  { field: "max_tokens", label: "Longest answer, tokens" },
] as const;

function DeploymentRow(props: RowProps) {
  const { draft, place, count, providers, onChange } = props;
  const id = useId();
  const provider = providers.find((each) => each.id === draft.provider_id);
  const known = props.models.filter((model) => model.provider === provider?.name);
  const name = `Model ${place + 1}`;
  return (
    <>
      <div className="deployment-head">
        <button
          type="button"
          className="grip"
          draggable
          tabIndex={-1}
          aria-hidden
          title="Drag to another place"
          onDragStart={() => props.onDrag(true)}
          onDragEnd={() => props.onDrag(false)}
        >
          <GripVertical />
        </button>
        <span className="grow muted">{place + 1}.</span>
        <button
          type="button"
          className="button small quiet icon"
          aria-label={`${name} up`}
          disabled={place === 0}
          onClick={() => props.onMove(place - 1)}
        >
          <ArrowUp />
        </button>
        <button
          type="button"
          className="button small quiet icon"
          aria-label={`${name} down`}
          disabled={place === count - 1}
          onClick={() => props.onMove(place + 1)}
        >
          <ArrowDown />
        </button>
        <button
          type="button"
          className="button small quiet icon"
          aria-label={`Leave out ${name}`}
          disabled={count === 1}
          onClick={props.onRemove}
        >
          <X />
        </button>
      </div>
      <div className="deployment-what">
        <select
          className="input"
          aria-label={`Provider of ${name}`}
          required
          value={draft.provider_id}
          onChange={(event) => onChange({ provider_id: event.target.value })}
        >
          <option value="">Provider</option>
          {providers.map((each) => (
            <option key={each.id} value={each.id}>
              {each.name}
              {each.status === "disabled" ? " (not used)" : ""}
            </option>
          ))}
        </select>
        <input
          className="input mono"
          aria-label={name}
          placeholder="model"
          required
          list={`${id}-models`}
          autoComplete="off"
          spellCheck={false}
          value={draft.model}
          onChange={(event) => onChange({ model: event.target.value })}
        />
        <datalist id={`${id}-models`}>
          {known.map((model) => (
            <option key={model.id} value={model.model} />
          ))}
        </datalist>
        {props.weighted && (
          <input
            className="input"
            type="number"
            min={0}
            max={1000}
            aria-label={`Weight of ${name}`}
            placeholder="weight 1"
            value={draft.weight}
            onChange={(event) => onChange({ weight: event.target.value })}
          />
        )}
      </div>
      <details className="deployment-more">
        <summary>Times and limits</summary>
        <div className="deployment-limits">
          {LIMITS.map(({ field, label }) => (
            <label key={field} className="field">
              <span className="hint">{label}</span>
              <input
                className="input small"
                inputMode="decimal"
                value={draft[field]}
                placeholder="usual"
                onChange={(event) => onChange({ [field]: event.target.value })}
              />
            </label>
          ))}
        </div>
      </details>
    </>
  );
}
