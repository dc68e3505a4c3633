/** The whole page: who is let in sees the screen of the address. */
import { useEffect } from 'preact/hooks';
import { Boundary } from './components/boundary.tsx';
import { ConfirmDialog } from './components/confirm-dialog.tsx';
import { Layout } from './components/layout.tsx';
import { lazy } from './components/lazy.tsx';
import { Notices } from './components/notices.tsx';
import { Problem } from './components/problem.tsx';
import { listen } from './events.ts';
import { screen } from './router.ts';
import { CommandScreen } from './screens/command.tsx';
import { CommandsScreen } from './screens/commands.tsx';
import { LoginScreen } from './screens/login.tsx';
import { NothingScreen } from './screens/nothing.tsx';
import { RunScreen } from './screens/run.tsx';
import { client, enter, failure, state } from './session.ts';

const InspectorScreen = lazy(async () => (await import('./screens/inspector.tsx')).InspectorScreen);
const SystemScreen = lazy(async () => (await import('./screens/system.tsx')).SystemScreen);

export function App() {
  return (
    <>
      <Layout>
        <Content />
      </Layout>
      <Notices />
      <ConfirmDialog />
    </>
  );
}

function Content() {
  switch (state.value) {
    case 'checking':
      return null;
    case 'failed':
      return <Problem error={failure.value} onRetry={enter} />;
    case 'out':
      return <LoginScreen />;
    case 'in':
      return (
        <Boundary key={screen.value.name}>
          <LiveScreen />
        </Boundary>
      );
    default:
      return state.value satisfies never;
  }
}

function LiveScreen() {
  const current = client.value;
  useEffect(() => listen(current), [current]);
  const shown = screen.value;
  switch (shown.name) {
    case 'commands':
      return <CommandsScreen />;
    case 'command':
      return <CommandScreen key={shown.uuid} uuid={shown.uuid} />;
    case 'run':
      return <RunScreen />;
    case 'system':
      return <SystemScreen />;
    case 'inspector':
      return <InspectorScreen />;
    default:
      return <NothingScreen />;
  }
}
