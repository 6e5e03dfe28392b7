// How the stand-in moves what is about billing to next week, and splits the first task in three.
import { type Asked, answers, type Turn } from "./model";

export const WISH = "move everything about billing to next week and split the first one in three";
export const SPLIT = ["Read the ledger's export", "Compare it with the invoices", "Write down what differs"];
/** Noon in UTC, in a week. */
export const NEXT_WEEK = `${new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10)}T12:00:00Z`;

interface Listed {
  items: { id: string; title: string; revision: number }[];
}

/** The result in what a tool answered. */
function resultIn<T>(text: string): T {
  return (JSON.parse(text) as { result: T }).result;
}

/** Lists the project's tasks, changes those about billing, and tells what came of it. */
export function planner(project: string): (asked: Asked) => Turn {
  return (asked) => {
    const [listed, applied] = answers(asked);
    if (listed === undefined) {
      const list = { name: "tasks_list", arguments: { project_id: project, limit: 50 } };
      return { text: "I look at what there is first.", calls: [list] };
    }
    if (applied === undefined) {
      const about = resultIn<Listed>(listed).items.filter((task) => /billing/i.test(task.title));
      const [first] = about;
      const task_patches = [
        ...about.map(({ id }) => ({ op: "update", task_id: id, body: { due_date: NEXT_WEEK } })),
        ...SPLIT.map((title) => ({ op: "create", parent_id: first?.id, body: { title } })),
      ];
      const text = `There are **${about.length} tasks** about billing. I would change them so:`;
      return { text, calls: [{ name: "patches_apply", arguments: { task_patches } }] };
    }
    if (/declined/.test(applied)) return { text: "Understood, then I leave everything as it is." };
    return { text: "Done: everything about billing is due **next week**, and the first task has three parts now." };
  };
}
