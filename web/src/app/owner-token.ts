// The secret of an owner link comes in the address's fragment, is taken from there at once, and stays in memory only.
const FRAGMENT = /^#owner=(.+)$/;

let token: string | undefined;

/** Whether the address brought one; the address no longer shows it afterwards. */
export function ownerTokenFromAddress(): boolean {
  const found = FRAGMENT.exec(location.hash)?.[1];
  if (!found) return false;
  token = decodeURIComponent(found);
  history.replaceState(history.state, "", location.pathname + location.search);
  return true;
}

export function ownerToken(): string | undefined {
  return token;
}

export function forgetOwnerToken() {
  token = undefined;
}
