// Tasks with all below them: from the trees that are here, else asked for.
import type { QueryClient } from "@tanstack/react-query";
import { keys } from "@/api/cache";
import { api, take } from "@/api/client";
import type { TaskTree } from "@/api/tasks-cache";
import type { Task } from "@/api/types";
import { childrenOf } from "@/lib/tree";

interface Node {
  task: Task;
  children: Node[];
}

/** Requests under way at a time. */
const AT_ONCE = 4;

export async function withBelow(client: QueryClient, tops: readonly Task[], signal: AbortSignal): Promise<Task[]> {
  const found = new Map<string, Task>();
  const wanted: Task[] = [];
  for (const top of tops) {
    // Only a tree with the archive knows what of it is put away.
    const tree = client.getQueryData<TaskTree>([...keys.tree(top.project_id), "all"]);
    if (tree?.complete && tree.tasks.has(top.id)) below(tree, top, found);
    else wanted.push(top);
  }
  const work = async () => {
    for (let top = wanted.pop(); top; top = wanted.pop()) {
      const path = { task_id: top.id };
      const node = await take(api.GET("/tasks/{task_id}/tree", { params: { path }, signal }));
      gather(node as unknown as Node, found);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return [...found.values()];
}

function gather({ task, children }: Node, found: Map<string, Task>) {
  found.set(task.id, task);
  for (const child of children) gather(child, found);
}

function below(tree: TaskTree, top: Task, found: Map<string, Task>) {
  const children = childrenOf(tree.tasks);
  const visit = (task: Task) => {
    found.set(task.id, task);
    for (const child of children.get(task.id) ?? []) visit(child);
  };
  visit(tree.tasks.get(top.id) ?? top);
}
