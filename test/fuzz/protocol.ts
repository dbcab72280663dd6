import { Decoder } from "ioredis/built/resp/decoder.js";
import { ReplyGuard } from "../../src/redis/reply-guard.js";
import type { Target } from "./fuzz.js";

interface Sent {
  readonly bytes: Buffer;
  readonly subscribes: boolean;
  /** Where the network cut it. */
  readonly cutAt: number;
}

const b = (text: string) => Buffer.from(text);
const replies = [
  "+OK\r\n-ERR x\r\n:-12\r\n$5\r\n>1\r\n_\r\n$0\r\n\r\n$-1\r\n",
  "*-1\r\n*0\r\n*2\r\n*1\r\n:1\r\n$4\r\n\r\n>1\r\n",
  "*3\r\n$9\r\nsubscribe\r\n$3\r\none\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$3\r\none\r\n$5\r\nhello\r\n",
  "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$3\r\nkey\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n",
  ":9223372036854775807\r\n$3\r\n123\r\n+PONG\r\n",
];
/** What no Redis sends us: other types, lengths that lead nowhere. */
const strange = ["%1\r\n", "~2\r\n", ">2\r\n_\r\n_\r\n", "#t\r\n", ",1.5\r\n", "(9\r\n", "*-2\r\n", "$-0\r\n", ":\r\n"];

/**
 * What a server sends on a connection: what the guard lets through, the client library's decoder takes to pieces without
 * an error, and makes of it what RESP2 has; to a subscriber nothing comes that the library would fall over.
 */
export const protocol: Target<Sent> = {
  name: "Redis protocol",
  seeds: [...replies.flatMap((reply) => [b(reply), b(reply + reply)]), ...strange.map(b)],
  input(mutator) {
    const bytes = mutator.next();
    return { bytes, subscribes: mutator.below(3) === 0, cutAt: mutator.below(bytes.length + 1) };
  },
  show: ({ bytes, subscribes, cutAt }) => `${JSON.stringify(bytes.toString("latin1"))} ${subscribes} ${cutAt}`,
  try({ bytes, subscribes, cutAt }) {
    const guard = new ReplyGuard();
    guard.subscribes = subscribes;
    const isFor = subscribes ? mustBeForSubscribers : mustBeReply;
    const decoder = new Decoder({
      getTypeMapping: () => bytesMapping,
      onReply: (reply: unknown) => isFor(reply),
      onErrorReply: () => {},
      onPush: () => {
        throw new Error("a push");
      },
    });
    for (const chunk of [bytes.subarray(0, cutAt), bytes.subarray(cutAt)]) {
      if (!guard.accepts(chunk)) return "refused";
      decoder.write(chunk);
    }
    return "taken";
  },
};

/** As the library has it where replies are asked for as bytes. */
const bytesMapping = { 43: Buffer, 36: Buffer };

function mustBeReply(reply: unknown): void {
  if (Array.isArray(reply)) for (const one of reply) mustBeReply(one);
  else if (reply !== null && typeof reply !== "number" && !Buffer.isBuffer(reply))
    if (!(reply instanceof Error)) throw new Error(`a ${typeof reply}`);
}

function mustBeForSubscribers(reply: unknown): void {
  mustBeReply(reply);
  if (Array.isArray(reply) ? reply.length < 2 || reply[0] === null || reply[1] === null : !Buffer.isBuffer(reply))
    throw new Error("nothing for a subscriber");
}
