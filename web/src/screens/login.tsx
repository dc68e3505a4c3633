/** Asks for a token. */
import { useState } from 'preact/hooks';
import { words } from '../i18n/language.ts';
import { problem, signIn } from '../session.ts';

export function LoginScreen() {
  const { login } = words.value;
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const token = new FormData(event.currentTarget as HTMLFormElement).get('token') as string;
    setBusy(true);
    await signIn(token.trim());
    setBusy(false);
  };
  return (
    <section class="centred">
      <form class="login" onSubmit={submit}>
        <h1>{login.title}</h1>
        <p id="login-why">{login.why}</p>
        <label for="token">{login.token}</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="current-password"
          required
          autofocus
          aria-describedby="login-why"
          aria-invalid={problem.value !== undefined}
        />
        <p role="alert" class="problem">
          {problem.value !== undefined && login[problem.value]}
        </p>
        <button type="submit" class="primary" disabled={isBusy}>
          {login.submit}
        </button>
      </form>
    </section>
  );
}
