/** One line of an output, in its colours. */
import type { Colour, Span, TextStyle } from '../output/ansi.ts';

export interface OutputLineProps {
  spans: readonly Span[];
  /** Undefined for the rows that a line goes on in. */
  number: number | undefined;
  top: number;
  isFound: boolean;
}

export function OutputLine({ spans, number, top, isFound }: OutputLineProps) {
  const isError = spans.some((span) => span.isError);
  const classes = ['line', isError && 'stderr', isFound && 'found'].filter(Boolean).join(' ');
  return (
    <div class={classes} style={{ transform: `translateY(${top}px)` }}>
      <span class="number" aria-hidden="true">
        {number}
      </span>
      <span class="mark" title={isError ? 'stderr' : undefined}>
        {isError && '!'}
      </span>
      {spans.map(({ text, style, isError }, i) => (
        <span key={i} class={classOf(style, isError)} style={coloursOf(style)}>
          {text}
        </span>
      ))}
    </div>
  );
}

function classOf(style: TextStyle, isError: boolean): string {
  const { fg, bg } = swapped(style);
  return [
    isError && 'error',
    typeof fg === 'number' && `fg${fg}`,
    typeof bg === 'number' && `bg${bg}`,
    style.inverse && 'inverse',
    style.bold && 'bold',
    style.dim && 'dim',
    style.italic && 'italic',
    style.underline && 'underline',
    style.strike && 'strike',
  ]
    .filter(Boolean)
    .join(' ');
}

/** Set by script, which the policy of the page allows. */
function coloursOf(style: TextStyle) {
  const { fg, bg } = swapped(style);
  return { ...cssOf('color', fg), ...cssOf('backgroundColor', bg) };
}

const cssOf = (name: string, colour: Colour | undefined) => (typeof colour === 'string' ? { [name]: colour } : {});

function swapped({ fg, bg, inverse }: TextStyle): Pick<TextStyle, 'fg' | 'bg'> {
  return inverse
    ? { ...(bg !== undefined && { fg: bg }), ...(fg !== undefined && { bg: fg }) }
    : { ...(fg !== undefined && { fg }), ...(bg !== undefined && { bg }) };
}
