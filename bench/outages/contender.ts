/** What a queue must be able to do to meet an outage. Its tasks are numbered; whatever it says aside goes to `tell`. */
export interface Contender {
  readonly version: string;
  /** One task; settles when and as the library does, with a word for "accepted". */
  enqueue(n: number, options: EnqueueOptions): Promise<string>;
  /** A worker in this process. */
  work(concurrency: number, handler: (n: number) => Promise<void>): Promise<void>;
  /** Task 0 again and again, by the library's own scheduler; false where it has none. */
  repeat(everyMs: number): Promise<boolean>;
  left(): Promise<Left>;
  /** The worker's graceful stop, as its documentation has it. */
  stop(): Promise<void>;
}

export interface EnqueueOptions {
  /** Bytes of ballast in the payload. */
  readonly bytes?: number | undefined;
  /** To be run so much later. */
  readonly inMs?: number | undefined;
  /** Give the task an id of the caller's own. */
  readonly withId?: boolean | undefined;
}

export interface Left {
  /** Pending, running, scheduled, to be tried again. */
  readonly waiting: number;
  /** Given up. */
  readonly dead: number;
}

export interface Setting {
  readonly url: string;
  /** This scene's own, for what is kept beside Redis. */
  readonly folder: string;
  /** What stands after the colon in the contender's name. */
  readonly variant: string;
  readonly tell: (text: string) => void;
}

export type Open = (setting: Setting) => Contender;

/** In ms: how long a caller waits, where a library lets it say so. */
export const callerPatienceMs = 5_000;
