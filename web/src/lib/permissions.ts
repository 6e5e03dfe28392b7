/** Whether a list of grants such as `tasks:*` covers a permission such as `tasks:write`. */
export function allows(grants: readonly string[], permission: string): boolean {
  const noun = permission.split(":")[0];
  return grants.some((grant) => grant === "*" || grant === "*:*" || grant === permission || grant === `${noun}:*`);
}
