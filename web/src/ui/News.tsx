/** "3 new", above a list that somebody reads: it moves only when asked to. */
export function News({ count, noun, onShow }: { count: number; noun: string; onShow: () => void }) {
  return (
    <div className="news" role="status">
      {count > 0 && (
        <button type="button" className="button primary small" onClick={onShow}>
          {count} new {noun}
          {count === 1 ? "" : "s"}
        </button>
      )}
    </div>
  );
}
