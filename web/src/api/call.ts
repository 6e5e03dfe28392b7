// Any operation by its name: for those that the checked-in schema does not describe yet.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useOperations } from "@/pages/operations/queries";
import { raw } from "./client";

interface CallOptions {
  signal?: AbortSignal;
  /** The change is refused when somebody else made one since. */
  revision?: number;
}

export async function callOperation<T>(name: string, input: object = {}, options: CallOptions = {}): Promise<T> {
  const headers: Record<string, string> | undefined =
    options.revision === undefined ? undefined : { "If-Match": `"${options.revision}"` };
  return (await raw("POST", `/call/${name}`, input, options.signal, headers)) as T;
}

interface Asked {
  queryKey: readonly unknown[];
  enabled?: boolean;
  staleTime?: number;
}

/** The answer of an operation that reads. */
export function useCall<T>(name: string, input: object, { queryKey, enabled, staleTime }: Asked) {
  return useQuery({
    queryKey,
    queryFn: ({ signal }) => callOperation<T>(name, input, { signal }),
    enabled,
    staleTime,
  });
}

interface Change<I, T> {
  /** Asked for again afterwards, also when it failed. */
  touches: readonly (readonly unknown[])[];
  onDone?: (answer: T, input: I) => void;
  onFailed?: (error: unknown, input: I) => void;
}

/** An operation that changes something. */
export function useChange<T = unknown, I extends object = Record<string, unknown>>(
  name: string,
  { touches, onDone, onFailed }: Change<I & { revision?: number }, T>,
) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ revision, ...input }: I & { revision?: number }) => callOperation<T>(name, input, { revision }),
    onSuccess: (answer, input) => onDone?.(answer, input),
    onError: (error, input) => onFailed?.(error, input),
    onSettled: () => {
      for (const queryKey of touches) void client.invalidateQueries({ queryKey });
    },
  });
}

/** Whether this server has an operation that one may call; false until it is known. */
export function useHas(name: string): boolean {
  return useOperations().data?.some((operation) => operation.name === name) ?? false;
}
