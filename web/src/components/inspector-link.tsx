/** The way to the inspector, where the server has one for whoever looks. */
import { useEffect, useState } from 'preact/hooks';
import { words } from '../i18n/language.ts';
import { addressOf } from '../inspector/filter.ts';
import { useKeys } from '../keys.ts';
import { navigate } from '../router.ts';
import { client } from '../session.ts';

/** @param of the uuid of the command that is to be seen there; all are unless given. */
export function InspectorLink({ of = '' }: { of?: string }) {
  const [isThere, setThere] = useState(false);
  const server = client.value;
  useEffect(() => {
    // Who can't be told so is not shown the way; what is wrong then is seen elsewhere.
    server.readiness().then(
      ({ inspect = false }) => setThere(inspect),
      () => {},
    );
  }, [server]);
  return isThere ? <Way to={addressOf({ of })} /> : null;
}

function Way({ to }: { to: string }) {
  useKeys([{ keys: ['i'], does: ({ keys }) => keys.inspector, run: () => navigate(to) }]);
  return (
    <a href={to} data-screen>
      {words.value.system.inspector}
    </a>
  );
}
