// The kinds of providers that the server knows, with their usual addresses.

export interface Preset {
  name: string;
  label: string;
  address: string;
  /** Calls without a key make sense. */
  keyOptional?: boolean;
  local?: boolean;
}

export const PRESETS: readonly Preset[] = [
  { name: "openai", label: "OpenAI", address: "https://api.openai.com/v1" },
  { name: "anthropic", label: "Anthropic", address: "https://api.anthropic.com/v1" },
  { name: "gemini", label: "Google Gemini", address: "https://generativelanguage.googleapis.com/v1beta/openai" },
  { name: "mistral", label: "Mistral", address: "https://api.mistral.ai/v1" },
  { name: "deepseek", label: "DeepSeek", address: "https://api.deepseek.com/v1" },
  { name: "groq", label: "Groq", address: "https://api.groq.com/openai/v1" },
  { name: "openrouter", label: "OpenRouter", address: "https://openrouter.ai/api/v1" },
  { name: "together", label: "Together", address: "https://api.together.xyz/v1" },
  { name: "fireworks", label: "Fireworks", address: "https://api.fireworks.ai/inference/v1" },
  { name: "xai", label: "xAI", address: "https://api.x.ai/v1" },
  { name: "ollama", label: "Ollama", address: "http://127.0.0.1:11434/v1", keyOptional: true, local: true },
  { name: "vllm", label: "vLLM", address: "http://127.0.0.1:8000/v1", keyOptional: true, local: true },
  { name: "llamacpp", label: "llama.cpp", address: "http://127.0.0.1:8080/v1", keyOptional: true, local: true },
  { name: "lmstudio", label: "LM Studio", address: "http://127.0.0.1:1234/v1", keyOptional: true, local: true },
  { name: "openai_compatible", label: "OpenAI-compatible", address: "", keyOptional: true },
];

export function presetOf(name: string): Preset | undefined {
  return PRESETS.find((preset) => preset.name === name);
}
