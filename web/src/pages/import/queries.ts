// Imports as the server has them.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import type { operations } from "@/api/schema";
import { base64, pieces } from "@/lib/transfer";

type Ok<K extends keyof operations> = operations[K]["responses"] extends {
  200: { content: { "application/json": infer T } };
}
  ? T
  : never;

export type Import = Ok<"imports_get">;
export type Preview = Ok<"imports_preview">;
export type Problem = Preview["problems"]["items"][number];
export type Reading = NonNullable<operations["imports_preview"]["requestBody"]>["content"]["application/json"];
export type Format = Preview["format"];
export type Field = NonNullable<Preview["table"]>["columns"][number]["field"];

const LOOK_MS = 500;

/** Whether a run is at work on it. */
export function isGoing(found: Import): boolean {
  return (found.status === "running" || found.status === "undoing") && !found.stopped;
}

export function useImport(id: string | undefined) {
  return useQuery({
    queryKey: keys.import(id ?? ""),
    queryFn: ({ signal }) =>
      take(api.GET("/imports/{import_id}", { params: { path: { import_id: id ?? "" } }, signal })),
    enabled: id !== undefined,
    refetchInterval: ({ state }) => (state.data && isGoing(state.data) ? LOOK_MS : false),
  });
}

export function usePreview(id: string | undefined, reading: Reading, enabled: boolean) {
  return useQuery({
    queryKey: [...keys.import(id ?? ""), "preview", reading],
    queryFn: ({ signal }) =>
      take(
        api.POST("/imports/{import_id}/preview", {
          params: { path: { import_id: id ?? "" } },
          body: reading,
          signal,
        }),
      ),
    enabled: enabled && id !== undefined,
    retry: false,
    placeholderData: (before) => before,
  });
}

/** Sends a file by its pieces; tells how much of it is there. */
export async function upload(file: File, told: (part: number) => void): Promise<Import> {
  let found = await take(api.POST("/imports", { body: { name: file.name.slice(0, 200) || "file" } }));
  const all = pieces(file.size);
  for (const [number, [from, to]] of all.entries()) {
    const bytes = new Uint8Array(await file.slice(from, to).arrayBuffer());
    found = await take(
      api.POST("/imports/{import_id}/pieces", {
        params: { path: { import_id: found.id } },
        body: { number, content: base64(bytes) },
      }),
    );
    told((number + 1) / all.length);
  }
  return found;
}

/** Starting, undoing and going on; each answers the import. */
export function useSteps(id: string) {
  const client = useQueryClient();
  const path = { import_id: id };
  const onSuccess = (found: Import) => client.setQueryData(keys.import(id), found);
  const start = useMutation({
    mutationFn: (reading: Reading) => take(api.POST("/imports/{import_id}/start", { params: { path }, body: reading })),
    onSuccess,
  });
  const undo = useMutation({
    mutationFn: () => take(api.POST("/imports/{import_id}/undo", { params: { path } })),
    onSuccess,
  });
  const resume = useMutation({
    mutationFn: () => take(api.POST("/imports/{import_id}/resume", { params: { path } })),
    onSuccess,
  });
  return { start, undo, resume };
}
