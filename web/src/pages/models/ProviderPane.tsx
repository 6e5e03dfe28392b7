// A provider, new or known: its address, its key (which only goes in), its default model, and its test.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { CircleCheck, CircleX, FlaskConical, Trash2 } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { keys } from "@/api/cache";
import { callOperation, useChange } from "@/api/call";
import type { Provider, ProviderTest } from "@/api/models-types";
import { asApiError } from "@/api/problem";
import { useMay } from "@/api/session";
import { byField } from "@/lib/schema-form";
import { duration } from "@/lib/time";
import { Confirm } from "@/ui/Dialog";
import { Pane } from "@/ui/Pane";
import { ProblemNotice } from "@/ui/Problem";
import { Time } from "@/ui/Time";
import { toast, toastError } from "@/ui/toasts";
import { PRESETS, presetOf } from "./presets";
import { useLastTest, useModels, useTest } from "./queries";

interface ProviderPaneProps {
  /** Undefined for a new one. */
  provider: Provider | undefined;
  onClose: () => void;
  onOpen: (id: string) => void;
}

export function ProviderPane({ provider, onClose, onOpen }: ProviderPaneProps) {
  const may = useMay();
  const title = provider ? provider.name : "Add a provider";
  return (
    <Pane label={title} title={<h2 className="clip">{title}</h2>} onClose={onClose}>
      <div className="stack wide">
        <ProviderForm provider={provider} onMade={onOpen} />
        {provider && <TestBox provider={provider} />}
        {provider && may("models:write") && <Doors provider={provider} onGone={onClose} />}
      </div>
    </Pane>
  );
}

interface Draft {
  preset: string;
  name: string;
  address: string;
  key: string;
  model: string;
  dropKey: boolean;
}

function draftOf(provider: Provider | undefined): Draft {
  return {
    preset: provider?.preset ?? "openai",
    name: provider?.name ?? "openai",
    address: provider?.base_url ?? "",
    key: "",
    model: provider?.settings.default_model ?? "",
    dropKey: false,
  };
}

/** What a new provider is made with, or what changes in one that is known. */
function inputOf(draft: Draft, provider: Provider | undefined): Record<string, unknown> {
  const settings = { ...provider?.settings, default_model: draft.model.trim() || null };
  const address = draft.address.trim() || null;
  if (!provider) {
    return { preset: draft.preset, name: draft.name.trim(), base_url: address, key: draft.key || null, settings };
  }
  const input: Record<string, unknown> = { provider_id: provider.id, settings };
  if (draft.name.trim() !== provider.name) input.name = draft.name.trim();
  if (address !== provider.base_url) input.base_url = address;
  if (draft.key) input.key = draft.key;
  else if (draft.dropKey) input.key = null;
  return input;
}

function ProviderForm({ provider, onMade }: { provider: Provider | undefined; onMade: (id: string) => void }) {
  const client = useQueryClient();
  const may = useMay();
  const models = useModels();
  const test = useTest();
  const [draft, setDraft] = useState(() => draftOf(provider));
  const id = useId();
  const preset = presetOf(draft.preset);
  const set = (fields: Partial<Draft>) => setDraft({ ...draft, ...fields });
  const save = useMutation({
    mutationFn: () =>
      callOperation<Provider>(provider ? "providers.update" : "providers.create", inputOf(draft, provider), {
        revision: provider?.revision,
      }),
    onSuccess: async (saved) => {
      toast(provider ? "Changed." : `${saved.name} was added. It is tested now.`);
      setDraft(draftOf(saved));
      await client.invalidateQueries({ queryKey: keys.providers });
      void client.invalidateQueries({ queryKey: keys.models });
      test.mutate(saved.id);
      if (!provider) onMade(saved.id);
    },
  });
  const wrong = save.error ? byField(asApiError(save.error).problem.errors ?? []) : {};
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  const known = models.data?.items.filter((model) => model.provider === (provider?.name ?? draft.preset)) ?? [];
  return (
    <form className="stack wide" onSubmit={submit} autoComplete="off">
      {save.error && <ProblemNotice error={save.error} what="It was not saved" />}
      <div className="field">
        <label htmlFor={`${id}-preset`}>Kind</label>
        <select
          id={`${id}-preset`}
          className="input"
          value={draft.preset}
          disabled={provider !== undefined}
          onChange={(event) =>
            set({
              preset: event.target.value,
              // A name that was only taken over follows the kind.
              name: draft.name === draft.preset ? event.target.value : draft.name,
            })
          }
        >
          <optgroup label="By key">
            {PRESETS.filter((each) => !each.local).map((each) => (
              <option key={each.name} value={each.name}>
                {each.label}
              </option>
            ))}
          </optgroup>
          <optgroup label="On one's own machine">
            {PRESETS.filter((each) => each.local).map((each) => (
              <option key={each.name} value={each.name}>
                {each.label}
              </option>
            ))}
          </optgroup>
        </select>
      </div>
      <Text id={`${id}-name`} label="Name" value={draft.name} wrong={wrong.name} onChange={(name) => set({ name })}>
        Models are called by it: <code>{draft.name || "name"}/model</code>.
      </Text>
      <Text
        id={`${id}-address`}
        label="Address"
        value={draft.address}
        placeholder={preset?.address || "https://llm.example.com/v1"}
        wrong={wrong.base_url}
        onChange={(address) => set({ address })}
      >
        {preset?.address ? "Empty for the usual one. " : "With the version, such as /v1. "}
        {preset?.local && "Addresses of this machine have to be opened by the operator. "}
        {provider?.has_key && "A new address needs the key again."}
      </Text>
      <div className="field">
        <label htmlFor={`${id}-key`}>Key {preset?.keyOptional && <span className="faint">if it needs one</span>}</label>
        <input
          id={`${id}-key`}
          className="input mono"
          type="password"
          autoComplete="new-password"
          spellCheck={false}
          aria-invalid={wrong.key !== undefined}
          aria-describedby={`${id}-key-hint`}
          placeholder={provider?.has_key ? `…${provider.key_hint ?? "kept"}, stays unless you give another` : undefined}
          value={draft.key}
          onChange={(event) => set({ key: event.target.value, dropKey: false })}
        />
        <span id={`${id}-key-hint`}>
          <span className="hint">Sealed at once, and never shown again. </span>
          {wrong.key && <span className="wrong">{wrong.key}</span>}
        </span>
        {provider?.has_key && (
          <label className="check">
            <input
              type="checkbox"
              checked={draft.dropKey}
              onChange={(event) => set({ dropKey: event.target.checked, key: "" })}
            />
            Take the key away
          </label>
        )}
      </div>
      <Text
        id={`${id}-model`}
        label="Default model"
        value={draft.model}
        list={`${id}-models`}
        wrong={wrong.settings}
        onChange={(model) => set({ model })}
      >
        For calls that name no model, while this is the only provider.
      </Text>
      <datalist id={`${id}-models`}>
        {known.map((model) => (
          <option key={model.id} value={model.model} />
        ))}
      </datalist>
      {may("models:write") && (
        <div className="bar">
          <button type="submit" className="button primary" disabled={save.isPending}>
            {save.isPending ? "Saving…" : provider ? "Save" : "Add and test"}
          </button>
        </div>
      )}
    </form>
  );
}

interface TextProps {
  id: string;
  label: string;
  value: string;
  onChange: (value: string) => void;
  children: React.ReactNode;
  placeholder?: string;
  wrong?: string;
  list?: string;
}

function Text({ id, label, value, onChange, children, placeholder, wrong, list }: TextProps) {
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="input"
        value={value}
        placeholder={placeholder}
        list={list}
        autoComplete="off"
        spellCheck={false}
        aria-invalid={wrong !== undefined}
        aria-describedby={`${id}-hint`}
        onChange={(event) => onChange(event.target.value)}
      />
      <span id={`${id}-hint`}>
        <span className="hint">{children} </span>
        {wrong && <span className="wrong">{wrong}</span>}
      </span>
    </div>
  );
}

function TestBox({ provider }: { provider: Provider }) {
  const test = useTest();
  const last = useLastTest(provider.id);
  const may = useMay();
  return (
    <section className="stack" aria-label="Test" aria-live="polite">
      <div className="bar">
        <h3 className="grow">Test</h3>
        {may("models:write") && (
          <button
            type="button"
            className="button small"
            disabled={test.isPending}
            onClick={() => test.mutate(provider.id)}
          >
            <FlaskConical aria-hidden /> {test.isPending ? "Asking it…" : "Test now"}
          </button>
        )}
      </div>
      {test.error && <ProblemNotice error={test.error} what="The test could not be made" />}
      {last ? (
        <Result test={last} />
      ) : (
        <p className="muted">
          {provider.models_at ? (
            <>
              Told of {provider.models} {provider.models === 1 ? "model" : "models"} <Time at={provider.models_at} />.
            </>
          ) : (
            "It was not tested yet."
          )}
        </p>
      )}
    </section>
  );
}

const MOST_MODELS = 40;

function Result({ test }: { test: ProviderTest }) {
  const [all, setAll] = useState(false);
  if (!test.ok) {
    return (
      <div className="notice bad">
        <CircleX aria-hidden />
        <div className="stack">
          <strong>It does not answer as it should.</strong>
          <div>
            {test.message} <code>{test.error}</code>
          </div>
          <div className="muted">after {duration(test.took_ms)}</div>
        </div>
      </div>
    );
  }
  return (
    <div className="notice good">
      <CircleCheck aria-hidden className="tone-good" />
      <div className="stack grow">
        <div>
          <strong>It answers</strong>, in {duration(test.took_ms)},{" "}
          {test.by === "models"
            ? `and has ${test.models.length} ${test.models.length === 1 ? "model" : "models"}.`
            : "by its default model."}
        </div>
        <div className="bar wrap models-chips">
          {(all ? test.models : test.models.slice(0, MOST_MODELS)).map((model) => (
            <span key={model} className="chip">
              {model}
            </span>
          ))}
          {!all && test.models.length > MOST_MODELS && (
            <button type="button" className="button small" onClick={() => setAll(true)}>
              all {test.models.length}
            </button>
          )}
        </div>
      </div>
    </div>
  );
}

function Doors({ provider, onGone }: { provider: Provider; onGone: () => void }) {
  const [asking, setAsking] = useState(false);
  const touches = [keys.providers, keys.models] as const;
  const used = provider.status === "active";
  const turn = useChange("providers.update", {
    touches,
    onDone: () => toast(used ? `No call goes to ${provider.name} any more.` : `${provider.name} is used again.`),
    onFailed: (error) => toastError("It stays as it was.", error),
  });
  const remove = useChange("providers.delete", {
    touches,
    onDone: () => {
      toast(`${provider.name} and its key are gone.`);
      onGone();
    },
    onFailed: (error) => {
      setAsking(false);
      toastError("It was not removed.", error);
    },
  });
  return (
    <section className="bar wrap models-doors" aria-label="Use">
      <button
        type="button"
        className="button small"
        disabled={turn.isPending}
        onClick={() =>
          turn.mutate({
            provider_id: provider.id,
            status: used ? "disabled" : "active",
            revision: provider.revision,
          })
        }
      >
        {used ? "Stop using it" : "Use it again"}
      </button>
      <button type="button" className="button small danger" onClick={() => setAsking(true)}>
        <Trash2 aria-hidden /> Remove
      </button>
      {asking && (
        <Confirm
          danger
          title={`Remove ${provider.name}?`}
          text="Its key is deleted for good. What it cost stays on record. It is refused while a route leads to it."
          action="Remove it"
          busy={remove.isPending}
          onConfirm={() => remove.mutate({ provider_id: provider.id })}
          onClose={() => setAsking(false)}
        />
      )}
    </section>
  );
}
