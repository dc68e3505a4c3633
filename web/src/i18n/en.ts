/** What the page says in English. What it holds is the type of every other language. */
import type { Reason, Status } from '../../../src/command.ts';
import { plural } from './plural.ts';

const commands = plural('en', { one: 'command', other: 'commands' });

const statuses: Record<Status, string> = {
  QUEUED: 'Waiting',
  EXECUTING: 'Running',
  EXECUTED: 'Done',
  FAILED: 'Failed',
  STOPPED: 'Stopped',
};

const reasons: Record<Reason, string> = {
  exit: 'ended by itself',
  signal: 'killed by a signal',
  timeout: 'ran out of time',
  output_limit: 'printed too much',
  stop: 'stopped by somebody',
  shutdown: 'stopped with the server',
  spawn_error: 'could not start',
  lost: 'lost',
};

/** Sentences for codes of the server that a person meets here; of others the server's own sentence is shown. */
const errors: Record<string, string> = {
  SCOPE_MISSING: 'Your token is not good for this.',
  RATE_LIMITED: 'That was too much for the server at once. Wait a minute.',
  STORAGE_UNAVAILABLE: 'The database does not answer at the moment.',
  COMMAND_NOT_FOUND: 'There is no such command (any more).',
  COMMAND_ENDED: 'It had already ended by itself.',
  DRAINING: 'The server is shutting down.',
};

export const en = {
  /** The name of this language, in itself. */
  language: 'English',
  locale: 'en',
  bytes: ['B', 'kB', 'MB', 'GB', 'TB'],
  errors,
  unreachable: 'The server does not answer.',
  statuses,
  reasons,
  nav: {
    label: 'Screens',
    commands: 'Commands',
    docs: 'API',
    skip: 'To the content',
    keys: 'Keys',
    toDark: 'Dark theme',
    toLight: 'Light theme',
    switchTheme: 'Switch between dark and light',
    switchLanguage: 'Переключить на русский',
    otherLanguage: 'RU',
    signOut: 'Sign out',
  },
  live: { on: 'Live', off: 'Connecting…' },
  login: {
    title: 'Sign in',
    why: 'This server wants a token. It is kept until you close the tab, and is sent to this server alone.',
    token: 'Token',
    submit: 'Sign in',
    unknown: 'This token is not known here.',
    expired: 'Your token is not known here any more.',
    lacksRead: 'This token lacks the scope “read”, without which there is nothing to see.',
  },
  notFound: { title: 'There is nothing here', back: 'To the commands' },
  keys: {
    title: 'Keys',
    close: 'Close',
    singleKeys: 'Letters do something',
    singleKeysWhy: 'Switch it off if you speak to your computer, or hit keys by accident.',
    help: 'Show the keys',
    theme: 'Dark or light',
    language: 'English or Russian',
    toCommands: 'To the commands',
    search: 'Search',
    next: 'Next row',
    previous: 'Row before',
    open: 'Open it',
    select: 'Select it, or not',
    selectRange: 'Select all up to it',
    stop: 'Stop what is selected',
    delete: 'Delete what is selected',
    top: 'To the newest',
    clear: 'Select nothing',
  },
  commands: {
    title: 'Commands',
    count: commands,
    empty: 'There are no commands yet.',
    emptyHint: 'Send one:',
    nothingFound: 'No command is like that.',
    clearFilters: 'Show all',
    loading: 'Loading…',
    retry: 'Try again',
    columns: {
      select: 'Select',
      status: 'Status',
      what: 'Command',
      started: 'Started',
      duration: 'Duration',
      exit: 'Exit',
      size: 'Output',
    },
    selectRow: (name: string) => `Select ${name}`,
    fresh: plural('en', { one: 'new', other: 'new' }),
    manyFresh: 'Many new',
    toFresh: 'Show the newest',
    waiting: 'waits',
  },
  filters: {
    label: 'Filters',
    search: 'Search in descriptions and scripts',
    searchShort: 'At least 3 characters',
    statuses: 'Status',
    more: 'More filters',
    any: 'any',
    durable: 'Kind',
    durables: { true: 'durable', false: 'regular' },
    pinned: 'Pinned',
    yes: 'yes',
    no: 'no',
    reason: 'Ended because it',
    exitCode: 'Exit code',
    labels: 'Label',
    labelHint: 'name=text',
    after: 'Sent after',
    before: 'Sent before',
    clear: 'Clear',
  },
  bulk: {
    label: 'What is selected',
    selected: plural('en', { one: 'selected', other: 'selected' }),
    stop: 'Stop',
    delete: 'Delete',
    clear: 'Select nothing',
    deleteMatching: 'Delete all that match…',
    stopTitle: (count: number) => `Stop ${commands(count)}?`,
    stopBody: 'All that they have started ends with them. What they have printed so far stays.',
    deleteTitle: (count: number) => `Delete ${commands(count)}?`,
    deleteBody: 'With their output, for good. What waits or runs is stopped first.',
    matchingTitle: (count: number) => `Delete all ${commands(count)} that match?`,
    matchingBody: 'With their output, for good.',
    matchingKept: (live: number, pinned: number) =>
      [live > 0 && `${commands(live)} that wait or run will stay`, pinned > 0 && `${commands(pinned)} pinned will stay`]
        .filter(Boolean)
        .join('; '),
    nothingMatching: 'Of those that match none can be deleted: they wait, run or are pinned.',
    cancel: 'Cancel',
    stopped: (count: number) => `Stopped ${commands(count)}.`,
    deleted: (count: number) => `Deleted ${commands(count)}.`,
    failed: (count: number, why: string) => `It did not work for ${commands(count)}: ${why}`,
  },
  close: 'Close',
};

export type Words = typeof en;
