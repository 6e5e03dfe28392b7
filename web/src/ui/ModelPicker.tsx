// A model by its name: routes and known models are offered, any other name goes too.
import type { ModelList } from "@/api/models-types";
import { usdPrice } from "@/lib/money";

interface ModelPickerProps {
  id: string;
  value: string;
  onChange: (value: string) => void;
  models: ModelList | undefined;
  placeholder?: string;
  wrong?: boolean;
}

export function ModelPicker({ id, value, onChange, models, placeholder, wrong }: ModelPickerProps) {
  const found = models?.items.find((model) => model.id === value);
  const route = models?.routes.includes(value);
  const known = !models || !value || route || found;
  return (
    <>
      <input
        id={id}
        className="input mono"
        list={`${id}-list`}
        autoComplete="off"
        spellCheck={false}
        placeholder={placeholder}
        aria-invalid={wrong}
        aria-describedby={`${id}-about`}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
      <datalist id={`${id}-list`}>
        {models?.routes.map((alias) => (
          <option key={alias} value={alias}>
            route
          </option>
        ))}
        {models?.items.map((model) => (
          <option key={`${model.id} ${model.source}`} value={model.id} />
        ))}
      </datalist>
      <span id={`${id}-about`} className="hint">
        {!known && "Neither a route nor a model that is known; it may still exist. "}
        {route && "A route. "}
        {found && usdPrice(found.price)}
        {!value && "A route's name, or provider/model."}
      </span>
    </>
  );
}
