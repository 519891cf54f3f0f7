/** Asks for the login token when the address did not bring one. */

import { html, useState } from "../view.js";

export function LoginPage({ problem, onLogin }) {
  const [token, setToken] = useState("");
  function submit(event) {
    event.preventDefault();
    onLogin(token.trim().replace(/^.*#/, ""));
  }
  return html`<main class="login" data-testid="login">
    <h1>perpmaker</h1>
    <p>Open the address that <code>./run</code> or <code>perpmaker dashboard</code> printed; it carries the login token after <code>#</code>. Or paste it here:</p>
    <form onSubmit=${submit}>
      <label>Address or token <input type="password" autocomplete="off" spellcheck="false" autofocus value=${token} onInput=${(event) => setToken(event.currentTarget.value)} data-testid="token" /></label>
      <button type="submit" class="control strong resume" data-testid="login-submit">Log in</button>
    </form>
    ${problem && html`<p class="bad" role="alert" data-testid="login-problem">${problem}</p>`}
  </main>`;
}
