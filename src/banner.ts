/** What the person at the terminal is told when the server listens. */

export interface BannerOptions {
  /** What it is: `is ready`. */
  state: string;
  /** Such as `http://127.0.0.1:8080`. */
  address: string;
  /** The Unix socket that it listens on instead of a port. */
  socket: string | undefined;
  /** Whether callers must have a token. */
  wantsToken: boolean;
  hasDocs: boolean;
  dataDir: string;
  /** Where the database is. */
  where: string;
}

export function banner({ state, address, socket, wantsToken, hasDocs, dataDir, where }: BannerOptions): string {
  const curl = ['curl -s', socket !== undefined && `--unix-socket ${socket}`].filter(Boolean).join(' ');
  const token = wantsToken ? ` -H "Authorization: Bearer $SHELLVISOR_TOKEN"` : '';
  return `
  shellvisor ${state}

${socket === undefined ? `    Open   ${address}/\n` : ''}    API    ${address}/api/v1/commands${socket === undefined ? '' : ` (by ${socket})`}
${hasDocs ? `    Docs   ${address}/docs\n` : ''}    Data   ${dataDir} (${where})

    Try    ${curl} -H 'Content-Type: application/json'${token} -d '{"script":"echo Hello"}' ${address}/api/v1/commands
    Stop   Ctrl-C

`;
}
