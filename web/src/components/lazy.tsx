/** Components that are loaded when they are shown first. */
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { words } from '../i18n/language.ts';
import { Problem } from './problem.tsx';

/** @param load imports the component. */
export function lazy<Props extends object>(load: () => Promise<ComponentType<Props>>) {
  let loaded: ComponentType<Props> | undefined;
  return function Lazy(props: Props) {
    // A function that is given as it is would be called.
    const [, setLoaded] = useState(() => loaded);
    const [error, setError] = useState<unknown>();
    const start = () => {
      setError(undefined);
      load().then((component) => {
        loaded = component;
        setLoaded(() => component);
      }, setError);
    };
    useEffect(() => {
      if (loaded === undefined) start();
    }, []);
    const Loaded = loaded;
    if (Loaded !== undefined) return <Loaded {...props} />;
    if (error !== undefined) return <Problem error={error} onRetry={start} />;
    return <p class="centred late muted">{words.value.commands.loading}</p>;
  };
}
