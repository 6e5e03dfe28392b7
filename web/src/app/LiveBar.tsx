// Says quietly that the stream is broken, and that the page catches up by itself.
import { useEffect, useState } from "react";
import { useLiveState } from "@/api/live/live";

/** Breaks shorter than this are nobody's business. */
const QUIET_MS = 1_500;

export function LiveBar() {
  const state = useLiveState();
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (state !== "broken") {
      setShown(false);
      return;
    }
    const timer = setTimeout(() => setShown(true), QUIET_MS);
    return () => clearTimeout(timer);
  }, [state]);
  return (
    <div role="status">
      {shown && (
        <div className="live-bar">
          No live connection. What you see may be old; the page catches up by itself once the server answers.
        </div>
      )}
    </div>
  );
}
