/** The dashboard's server: login, commands, log history. The live stream is in stream.js. */

let csrf = "";

/** Someone has to log in (again). */
export class NotLoggedIn extends Error {}

/** Find out whether this browser is logged in; throws NotLoggedIn when it is not. */
export async function openSession() {
  const answer = await request("GET", "/api/session");
  csrf = answer.csrf;
  return answer;
}

/** Exchange the login token for a cookie that scripts cannot read. */
export async function login(token) {
  const answer = await request("POST", "/api/login", { token });
  csrf = answer.csrf;
  return answer;
}

export async function logout() {
  await request("POST", "/api/logout", {});
  csrf = "";
}

/** Every log line that the server keeps, oldest first. */
export function earlierLogs() {
  return request("GET", "/api/logs");
}

/** Hand a command in; the same `command_id` again asks for its answer again. */
export function sendCommand(command) {
  return request("POST", "/api/commands", command);
}

async function request(method, path, body) {
  const headers = { "X-Perpmaker-CSRF": csrf };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "same-origin",
    cache: "no-store",
    redirect: "error",
    signal: AbortSignal.timeout(12000),
  });
  const answer = await response.json();
  if (response.ok) return answer;
  if (response.status === 401) throw new NotLoggedIn(answer.error);
  throw new Error(answer.error);
}
