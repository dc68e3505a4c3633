/** What the routes talk to: closed until the database is there and what it holds has been taken up. */
import { ClusterOff, StorageUnavailable } from './errors.ts';
import type { Commander } from './ports/commander.ts';
import type { Nodes } from './ports/nodes.ts';
import type { CommandKeeper, CommandReader } from './ports/reader.ts';

type Behind = Commander & CommandReader & CommandKeeper;

export class Gate implements Behind, Nodes {
  #commander: Commander | undefined;
  #reader: CommandReader | undefined;
  #keeper: CommandKeeper | undefined;
  #nodes: Nodes | undefined;
  readonly #isInCluster: boolean;

  constructor(isInCluster = false) {
    this.#isInCluster = isInCluster;
  }

  /** Lets requests through. Until then each is refused with StorageUnavailable. */
  open(commander: Commander, reader: CommandReader, keeper: CommandKeeper, nodes?: Nodes): void {
    this.#commander = commander;
    this.#reader = reader;
    this.#keeper = keeper;
    this.#nodes = nodes;
  }

  async submit(...args: Parameters<Behind['submit']>) {
    return opened(this.#commander).submit(...args);
  }
  async rerun(...args: Parameters<Behind['rerun']>) {
    return opened(this.#commander).rerun(...args);
  }
  async stop(...args: Parameters<Behind['stop']>) {
    return opened(this.#commander).stop(...args);
  }
  async remove(...args: Parameters<Behind['remove']>) {
    return opened(this.#commander).remove(...args);
  }
  load() {
    return opened(this.#commander).load();
  }
  async pin(...args: Parameters<Behind['pin']>) {
    return opened(this.#keeper).pin(...args);
  }
  async prune(...args: Parameters<Behind['prune']>) {
    return opened(this.#keeper).prune(...args);
  }
  async get(...args: Parameters<Behind['get']>) {
    return opened(this.#reader).get(...args);
  }
  async output(...args: Parameters<Behind['output']>) {
    return opened(this.#reader).output(...args);
  }
  async summary(...args: Parameters<Behind['summary']>) {
    return opened(this.#reader).summary(...args);
  }
  watch(uuid: string) {
    return opened(this.#reader).watch(uuid);
  }
  async list(...args: Parameters<Behind['list']>) {
    return opened(this.#reader).list(...args);
  }
  async count(...args: Parameters<Behind['count']>) {
    return opened(this.#reader).count(...args);
  }
  async statusOf(...args: Parameters<Behind['statusOf']>) {
    return opened(this.#reader).statusOf(...args);
  }
  async transitions(...args: Parameters<Behind['transitions']>) {
    return opened(this.#reader).transitions(...args);
  }
  async requestOf(...args: Parameters<Behind['requestOf']>) {
    return opened(this.#reader).requestOf(...args);
  }
  async nodes() {
    return this.#shared().nodes();
  }
  async drain(...args: Parameters<Nodes['drain']>) {
    return this.#shared().drain(...args);
  }
  #shared(): Nodes {
    if (!this.#isInCluster) throw new ClusterOff();
    return opened(this.#nodes);
  }
  events(...args: Parameters<Behind['events']>) {
    return opened(this.#reader).events(...args);
  }
}

function opened<T>(behind: T | undefined): T {
  if (behind === undefined) throw new StorageUnavailable('the database is not there yet; try again later');
  return behind;
}
