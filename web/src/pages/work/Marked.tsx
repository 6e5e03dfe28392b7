import type { Part } from "@/lib/found-text";

/** A text with what was found in it marked. */
export function Marked({ parts }: { parts: readonly Part[] }) {
  let at = 0;
  return parts.map((part) => {
    // A part has no other name than where it begins.
    const key = at;
    at += part.text.length;
    return part.hit ? <mark key={key}>{part.text}</mark> : <span key={key}>{part.text}</span>;
  });
}
