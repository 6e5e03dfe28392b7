import { describe, expect, it } from "vitest";
import { allPages, base64, counted, PIECE, percent, pieces } from "@/lib/transfer";

describe("a file that comes in", () => {
  it("is cut into pieces without a gap", () => {
    expect(pieces(0)).toEqual([]);
    expect(pieces(1)).toEqual([[0, 1]]);
    expect(pieces(PIECE * 2)).toEqual([
      [0, PIECE],
      [PIECE, PIECE * 2],
    ]);
    expect(pieces(PIECE + 1)[1]).toEqual([PIECE, PIECE + 1]);
  });

  it("is written as base64, whatever its bytes and length", () => {
    expect(base64(new Uint8Array([0, 255, 128]))).toBe("AP+A");
    const long = new Uint8Array(100_000).fill(7);
    expect(atob(base64(long)).length).toBe(100_000);
  });

  it("tells how far it is, forwards and back", () => {
    expect(percent({ parts: 4, parts_done: 1, status: "running" })).toBe(25);
    expect(percent({ parts: 4, parts_done: 1, status: "undoing" })).toBe(75);
    expect(percent({ parts: 0, parts_done: 0, status: "done" })).toBe(100);
  });

  it("tells what came of it", () => {
    expect(
      counted([
        [1_200, "new"],
        [0, "changed"],
        [3, "as they are"],
      ]),
    ).toBe("1,200 new, 3 as they are");
    expect(counted([[0, "new"]])).toBe("nothing");
  });
});

describe("a file that goes out", () => {
  it("is its pages one after the other", async () => {
    const pages = [
      { content: "a", next_cursor: "1" },
      { content: "b", next_cursor: "2" },
      { content: "c", next_cursor: null },
    ];
    const asked: (string | undefined)[] = [];
    const found = await allPages(async (cursor) => {
      asked.push(cursor);
      return pages[Number(cursor ?? 0)] ?? { content: "" };
    });
    expect(found.join("")).toBe("abc");
    expect(asked).toEqual([undefined, "1", "2"]);
  });
});
