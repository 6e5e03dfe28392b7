// Apart from the layout, so that the page needs no layout library for it.
export const NODE_WIDTH = 196;
export const NODE_HEIGHT = 52;
